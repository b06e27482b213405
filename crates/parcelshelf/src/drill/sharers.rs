//! Two who share a garage: one has stopped everything, the other wants it open, with everything that a wallet can say, with a
//! session of the first one's, with further wallets.
//!
//! On a stage of its own with one garage, and the machine's clock. What opened is counted by the door itself.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use parcelshelf_access_homeassistant::GARAGES;
use parcelshelf_client::Failure;
use parcelshelf_client::authenticator::Authenticator;
use parcelshelf_client::courier::{Device, Stop, StopPage};
use parcelshelf_client::guest::{Guest, link_of};
use parcelshelf_core::actuation::LockProof;
use parcelshelf_core::area::Position;
use parcelshelf_core::id::{AttemptId, DeliveryId};
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_edge::clock::Stopwatch;
use parcelshelf_protocol::encoding::b64;
use parcelshelf_protocol::statement::{self, Said, Statement, ToErase};
use serde_json::{Value, json};

use super::gain::Gain;
use crate::demo::garage::{LOGIN, house, to_link};
use crate::judge::{Seen, judge};
use crate::people::{Hands, Owner, until};
use crate::stage::{Scene, Setting, Stage, Worlds};

/// Whoever has stopped hears of an attempt to undo it within so long, seconds.
const NOTICE_S: f64 = 10.0;
/// Stops at different distances in time from an opening, milliseconds.
const APART_MS: [u64; 6] = [0, 40, 90, 150, 250, 600];

/// # Errors
/// When the stage cannot be set, or a party does not answer.
pub async fn co_owner_undo(dir: PathBuf) -> anyhow::Result<Gain> {
    let home = to_link();
    let place = house(&home)?;
    let number = home.doors.first().map(|d| d.number.clone()).context("a household without a garage")?;
    let mut stage = Stage::start_with(&dir, &Worlds::of_house(home), Setting::default()).await?;
    let hands = Hands::at(&stage.scene, GARAGES, &number)?;
    let enrol = async || Owner::enrol_garage(&stage.scene, LOGIN, hands.clone(), place).await;
    // Whoever wants it open linked it first: so they are heard about the other one's link.
    let (other, stopper) = (enrol().await?, enrol().await?);
    let further = enrol().await.context("a further wallet")?;
    let mut gain = Gain::default();
    let play = Play { scene: &stage.scene, other, further, place };
    play.undo(&mut gain, &stopper).await?;
    for apart in APART_MS {
        play.race(&mut gain, &stopper, Duration::from_millis(apart)).await?;
    }
    stage.stop().await?;
    Ok(gain)
}

struct Play<'a> {
    scene: &'a Scene,
    /// Who shares the garage with whoever stops, and wants it open.
    other: Owner,
    /// One more wallet of theirs.
    further: Owner,
    place: Position,
}

/// Somebody whom the other one has let in.
struct LetIn {
    delivery: DeliveryId,
    guest: Guest,
    stop: Stop,
    page: StopPage,
}
impl LetIn {
    async fn opens(&self, at: Position) -> Result<AttemptId, Failure> {
        self.page.ask_to_open(&self.guest.device, &self.stop, at, &[]).await
    }
    async fn ended(&self, scene: &Scene, attempt: AttemptId) -> anyhow::Result<()> {
        until(&scene.host, "a shut door", async || {
            Ok((self.page.attempt(attempt, 0).await?["ended"] == json!(true)).then_some(()))
        })
        .await
    }
}

impl Play<'_> {
    async fn seen(&self) -> anyhow::Result<Seen> {
        Ok(Seen::of(&self.scene.seen_of(&self.other.hands.vin).await?))
    }

    async fn let_in(&self, name: &str) -> anyhow::Result<LetIn> {
        let wallet = &self.other.wallet;
        let invitation = wallet.invite(name).await?;
        let guest = Guest::answer(&link_of(&self.scene.layout.stop_origin, &invitation), &self.scene.host).await?;
        let shown = wallet.paired(&invitation, &guest.digits()).await?.context("nobody has answered")?;
        let start = Timestamp::from_unix_seconds(self.scene.host.now().unix_seconds());
        let window = Window::new(start, start.plus_seconds(1_800))?;
        let consent = self.other.consent(window, wallet.access_point(shown.device()).await?)?;
        let delivery = wallet.let_in(&shown, &consent).await?.delivery;
        let stop = guest.let_in().await?.context("nothing was signed")?.stop()?;
        let page = guest.page().await?;
        Ok(LetIn { delivery, guest, stop, page })
    }

    /// Everything that undoes a stop, or might.
    async fn undo(&self, gain: &mut Gain, stopper: &Owner) -> anyhow::Result<()> {
        let visit = self.let_in("Ben").await?;
        let before = self.seen().await?;
        let stopped = stopper.wallet.halt(stopper.vehicle).await?;
        ensure!(stopped["settled"] == json!(true), "nothing was under way: {stopped}");
        let tries = async |gain: &mut Gain, when: &'static str| {
            gain.refused(when, &["conditions_not_met"], &visit.opens(self.place).await);
        };
        tries(gain, "to open what a co-owner has stopped").await;

        // The other one's wallet: a passkey's word only asks, and is told.
        let watch = Stopwatch::start();
        let asked = self.other.wallet.lift_halt(self.other.vehicle).await?;
        gain.must(asked.is_some(), || String::from("a co-owner lifted another's stop at once"));
        self.is_told(stopper, "lift_asked").await?;
        let seconds = watch.elapsed().as_secs_f64();
        gain.figure("seconds_from_attempt_to_notice", (seconds * 100.0).round() / 100.0);
        gain.must(seconds <= NOTICE_S, || format!("whoever stopped was told after {seconds:.0} s"));
        tries(gain, "to open once its end was asked for").await;
        for one in [&self.other, &self.further] {
            let again = one.wallet.lift_halt(one.vehicle).await;
            gain.refused("to ask again, also from a further wallet", &["lift_asked_already"], &again);
            let objects = one.wallet.keep_halted(one.vehicle).await;
            gain.refused("to answer in the place of who stopped", &["not_stopped"], &objects);
        }
        self.other.wallet.unblock_all().await?;
        tries(gain, "to open after lifting all blocks of one's own").await;
        self.other.wallet.halt(self.other.vehicle).await?;
        let lifted = self.other.wallet.lift_halt(self.other.vehicle).await?;
        gain.must(lifted.is_some(), || String::from("taking back a stop of one's own lifted another's"));
        tries(gain, "to open after stopping and lifting oneself").await;
        let device = Device::create(&self.scene.host)?;
        for one in [&self.other, &self.further] {
            let now = self.scene.host.now();
            let window = Window::new(now, now.plus_seconds(600))?;
            let consent = one.consent(window, one.wallet.access_point(device.thumbprint()).await?)?;
            gain.refused("a new grant", &["halted"], &one.wallet.rehearse(&device, &consent).await);
        }
        // A word against the link of whoever stopped, which a session is enough for.
        let linked = self.other.wallet.vehicles().await?;
        let later =
            linked.first().and_then(|garage| garage["later_links"].as_array()).context("nobody linked later")?;
        for link in later {
            let name = link["link"].as_str().context("a link without a name")?;
            self.other.wallet.refuse_link(self.other.vehicle, name).await?;
        }
        tries(gain, "to open after refusing the link of whoever stopped").await;

        self.with_a_session(gain, stopper).await?;
        tries(gain, "to open with a session of whoever stopped").await;

        // Their word, for which a session is enough, keeps it.
        stopper.wallet.keep_halted(stopper.vehicle).await?;
        let asked = self.other.wallet.lift_halt(self.other.vehicle).await;
        gain.refused("to ask against a word", &["halt_kept"], &asked);
        tries(gain, "to open against a word").await;
        let after = self.seen().await?.since(before);
        gain.must(after.unlock_commands == 0 && after.tailgate_openings == 0, || {
            format!("{} commands, {} openings while it was stopped", after.unlock_commands, after.tailgate_openings)
        });

        // Nothing but the stop was in the way: whoever put it lifts it, and the very same grant opens.
        gain.must(stopper.wallet.lift_halt(stopper.vehicle).await?.is_none(), || {
            String::from("whoever stopped could not lift it")
        });
        let attempt = visit.opens(self.place).await.context("what nothing stops any more")?;
        until(&self.scene.host, "an open door", async || {
            Ok((visit.page.attempt(attempt, 0).await?["state"] == "open").then_some(()))
        })
        .await?;
        visit.page.close(&visit.guest.device, &visit.stop, self.place, None, true).await?;
        visit.ended(self.scene, attempt).await?;
        let bundle = self.other.bundle(visit.delivery).await?;
        let finding = judge(self.seen().await?.since(before), &bundle, &self.other.anchors(self.scene));
        gain.must(finding.violations.is_empty(), || finding.violations.join(", "));
        gain.must(finding.openings == 1 && finding.lock_proof == Some(LockProof::Observed), || {
            format!("opened {} times, shut: {:?}", finding.openings, finding.lock_proof)
        });
        // Who was refused for the drill is let in again for the race.
        let linked = self.other.wallet.vehicles().await?;
        let later =
            linked.first().and_then(|garage| garage["later_links"].as_array()).context("nobody linked later")?;
        for link in later {
            let name = link["link"].as_str().context("a link without a name")?;
            self.other.wallet.confirm_link(self.other.vehicle, name).await?;
        }
        Ok(())
    }

    /// A session of whoever stopped, without their passkey.
    async fn with_a_session(&self, gain: &mut Gain, stopper: &Owner) -> anyhow::Result<()> {
        let (wallet, vehicle) = (stopper.wallet.id(), stopper.vehicle);
        gain.refused(
            "to take the garage back for whoever stopped",
            &["halted_by_you"],
            &stopper.wallet.unlink(vehicle).await,
        );
        let forged = [
            ("a lift with another passkey", "/v1/wallet/halt-lifts", Said::LiftHalt { wallet, vehicle }),
            ("an erasure with another passkey", "/v1/wallet/erasures", Said::Erase { wallet, erased: ToErase::Wallet }),
        ];
        for (what, path, said) in forged {
            let answer = stopper.wallet.post(path, &self.forged(stopper, said).await?).await;
            gain.refused(what, &["assertion_unknown_credential"], &answer);
        }
        // A passkey that counts, over the name that the garage has for whoever stopped.
        let answer = self.other.wallet.lift_halt(vehicle).await;
        gain.refused("a lift of the stopper's own link by another wallet", &["vehicle_unknown"], &answer);
        Ok(())
    }

    async fn forged(&self, of: &Owner, said: Said) -> anyhow::Result<Value> {
        let keys = of.wallet.pinned().claims();
        let thief = Authenticator::create(&keys.rp_id, &keys.wallet_origin, &self.scene.host);
        let challenge = of.wallet.http().post("/v1/challenges", &[], &json!({})).await?;
        let nonce = challenge["nonce"].as_str().context("no challenge")?.to_owned();
        let bytes = Statement { aud: keys.iss.clone(), nonce, said }.to_bytes();
        let assertion: Value = serde_json::from_str(&thief.confirm(&statement::challenge(&bytes))?.to_json())?;
        Ok(json!({"statement": b64(bytes), "assertion": assertion}))
    }

    async fn is_told(&self, owner: &Owner, what: &str) -> anyhow::Result<()> {
        until(&self.scene.host, "a notice", async || {
            let lines = owner.wallet.shared(owner.vehicle).await?;
            Ok(lines.iter().any(|line| line["what"] == what && line["mine"] == json!(false)).then_some(()))
        })
        .await
    }

    /// One stops in the very moment in which the other one's guest opens. After the answer *nothing is under way* no command
    /// reaches the door any more.
    async fn race(&self, gain: &mut Gain, stopper: &Owner, apart: Duration) -> anyhow::Result<()> {
        let visit = self.let_in("Cleo").await?;
        let before = self.seen().await?;
        let stop = async {
            self.scene.host.clock.sleep(apart).await;
            let answer = stopper.wallet.halt(stopper.vehicle).await;
            (answer, self.seen().await)
        };
        let (opened, (stopped, at_the_answer)) = tokio::join!(visit.opens(self.place), stop);
        let (settled, at_the_answer) = (stopped?["settled"] == json!(true), at_the_answer?);
        match opened {
            Ok(attempt) => {
                gain.count("to open while a co-owner stops", "opening_was_first");
                visit.ended(self.scene, attempt).await?;
            }
            Err(refused) => {
                gain.refused("to open while a co-owner stops", &["conditions_not_met"], &Err::<(), _>(refused))
            }
        }
        let after = self.seen().await?;
        gain.must(!settled || after.unlock_commands == at_the_answer.unlock_commands, || {
            format!("{apart:?} apart: a command left after the stop was acknowledged")
        });
        gain.must(after.unlock_commands - before.unlock_commands <= 1, || format!("{apart:?} apart: opened twice"));
        gain.must(after.shut_and_locked, || format!("{apart:?} apart: it stands open"));
        gain.must(stopper.wallet.lift_halt(stopper.vehicle).await?.is_none(), || String::from("it stays stopped"));
        Ok(())
    }
}
