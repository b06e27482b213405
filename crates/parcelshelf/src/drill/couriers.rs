//! Attacks from a courier's side: with a real device, with what was overheard, with a depot's key.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use parcelshelf_client::courier::{Device, StopPage};
use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::reason::Action;
use parcelshelf_protocol::label;
use parcelshelf_simulator::canary::Needles;
use serde_json::json;

use super::gain::Gain;
use super::needles;
use super::stop::{Echo, Visit, answered, send_again};
use super::world::World;

/// Visits that are recorded: their links live for an hour, and everything is to be sent again within it.
const REPLAYED_MAX: usize = 6;
/// Groups of five stops: of most of them a courier goes away without having come near, and a carrier with more than ten such
/// in an hour is stopped, which is another drill.
const GROUPS_MAX: usize = 2;

/// What refuses because of how car, courier and owner stand.
const NOT_MET: &[&str] = &["conditions_not_met"];
/// What refuses a nonce that is not young.
const STALE: &[&str] = &["nonce_expired"];

/// Everything that phones sent is recorded and sent again: at once, to other stops and for other actions, twenty minutes later,
/// and to services that were set back to where the grants were unspent.
///
/// # Errors
/// When an honest step does not come about.
pub async fn replay(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let count = world.share(60).clamp(2, REPLAYED_MAX);
    let played = world.take(count).await?;
    let others = world.take(1).await?;
    let elsewhere = world.delivery(others[0])?.id;
    let mut heard = Heard { needles: Needles::new(&needles::of_cars(world, &played)), elsewhere };
    let mut visits = Vec::new();
    for n in &played {
        let mut visit = Visit::begin(world, *n).await?.overheard();
        let device = &world.courier(*n)?.device;
        visit.locate(world, device).await??;
        heard.tries(&mut gain, &mut visit).await?;
        let at = visit.beside(world)?;
        visit.act(world, device, Action::Describe, at, json!({})).await.context("the description")?;
        heard.tries(&mut gain, &mut visit).await?;
        visits.push(visit);
    }
    let unspent = world.keep("replay-unspent").await?;
    let mut attempts = BTreeMap::new();
    for visit in &mut visits {
        let device = &world.courier(visit.n)?.clone().device;
        let attempt = visit.open(world, device).await??;
        attempts.insert(visit.n, attempt);
        heard.tries(&mut gain, visit).await?;
        visit.finish(world, device, attempt).await?;
        heard.tries(&mut gain, visit).await?;
    }
    let honest = world.all_seen(&played);
    gain.figure("deliveries_recorded", played.len());
    gain.figure("requests_recorded", visits.iter().map(|v| v.sent.len()).sum::<usize>());

    world.day.sleep_s(1_200).await;
    for visit in &visits {
        for (action, prepared) in &visit.sent {
            let again = answered(world, async || send_again(&visit.page, prepared, prepared.path()).await).await;
            let attempt = again.as_ref().ok().and_then(|answer| StopPage::attempt_of(answer).ok());
            // An opening that was asked for is answered with what became of it.
            if *action == Action::Open && attempt.is_some() && attempt.as_ref() == attempts.get(&visit.n) {
                gain.count("the same bytes twenty minutes later", "the_same_attempt");
            } else {
                gain.refused("the same bytes twenty minutes later", STALE, &again);
            }
        }
    }
    // Services set back to where the grants were unspent, their links still alive: only the bytes are old.
    let spent = world.keep("replay-spent").await?;
    world.back_to(&unspent).await?;
    for visit in &visits {
        for (_, prepared) in &visit.sent {
            let again = answered(world, async || send_again(&visit.page, prepared, prepared.path()).await).await;
            gain.refused("the same bytes to stores from before the opening", STALE, &again);
        }
    }
    world.back_to(&spent).await?;
    for kept in [&unspent, &spent] {
        world.drop_kept(kept)?;
    }
    world.day.sleep_s(600).await;
    for (n, before) in honest {
        let after = world.seen(n);
        gain.must(after.open_commands == before.open_commands && after.lid_openings == before.lid_openings, || {
            format!("delivery {n}: overheard bytes moved the car")
        });
    }
    Ok(gain)
}

/// Somebody on the way who sends on what was just answered.
struct Heard {
    needles: Needles,
    /// A stop of somebody else's.
    elsewhere: DeliveryId,
}

impl Heard {
    /// What came of the same bytes at once; and, their nonces still young, to another stop and for another action.
    async fn tries(&mut self, gain: &mut Gain, visit: &mut Visit) -> anyhow::Result<()> {
        let echoes = visit.echoes();
        ensure!(!echoes.is_empty(), "nothing was overheard");
        for Echo { action, first, again } in &echoes {
            let n = visit.n;
            let Ok(answer) = again else {
                gain.refused("the same bytes at once", &["nonce_replayed"], again);
                continue;
            };
            match action {
                Action::Open | Action::Close | Action::Lock => {
                    let same = StopPage::attempt_of(answer)? == StopPage::attempt_of(first)?;
                    gain.must(same, || format!("delivery {n}: the same bytes began another attempt"));
                    gain.count("the same bytes at once", "the_same_attempt");
                }
                Action::Locate | Action::Describe | Action::Signal => {
                    // Sealed to the phone whose proof it is, as before.
                    let sealed = answer.as_object().is_some_and(|all| all.keys().eq(["envelope"]));
                    let plain = self.needles.search("an answer", answer.to_string().as_bytes());
                    gain.must(sealed && plain.is_empty(), || format!("delivery {n}: whoever overhears reads {answer}"));
                    gain.count("the same bytes at once", "sealed_to_the_same_phone");
                }
            }
        }
        let others = visit.sent.len() - echoes.len();
        for (action, prepared) in &visit.sent[others..] {
            let path = format!("/v1/stops/{}/{}", self.elsewhere, action.code());
            let away = send_again(&visit.page, prepared, &path).await;
            gain.refused("the same bytes for another stop", &["delegation_unknown"], &away);
            if *action == Action::Locate {
                let path = prepared.path().replace("/locate", "/describe");
                let other = send_again(&visit.page, prepared, &path).await;
                gain.refused("a proof of one action for another", &["proof_wrong_action", "proof_wrong_url"], &other);
            }
        }
        Ok(())
    }
}

/// A courier with a real device and real stops wants more than was signed: a second opening, another car, an opening after a
/// block or after the stop was given to somebody else, from far away, for another parcel.
///
/// # Errors
/// When an honest step does not come about.
pub async fn malicious_courier(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let each = world.share(100).min(GROUPS_MAX);
    let mine = world.take(5 * each).await?;
    let late = world.take(each).await?;
    let before = world.all_seen(&mine);
    let mut honest_openings = 0;
    for group in mine.chunks(5) {
        let &[twice, blocked, reassigned, far, other] = group else { break };
        second_opening(world, &mut gain, twice).await?;
        honest_openings += 1;
        after_block(world, &mut gain, blocked).await?;
        after_reassignment(world, &mut gain, reassigned).await?;
        from_afar(world, &mut gain, far).await?;
        with_anothers_link(world, &mut gain, other, far).await?;
    }
    kept_links(world, &mut gain, &late).await?;
    let opened: u64 = mine.iter().map(|n| world.seen(*n).open_commands - before[n].open_commands).sum();
    gain.figure("stops", mine.len() + late.len());
    gain.figure("honest_openings", honest_openings);
    gain.figure("commands_to_open", opened);
    gain.must(opened == honest_openings, || format!("{opened} commands to open for {honest_openings} signed uses"));
    Ok(gain)
}

async fn second_opening(world: &World, gain: &mut Gain, n: usize) -> anyhow::Result<()> {
    let device = &world.courier(n)?.device;
    let mut visit = Visit::begin(world, n).await?;
    visit.locate(world, device).await??;
    let attempt = visit.open(world, device).await??;
    visit.finish(world, device, attempt).await?;
    for _ in 0..3 {
        gain.refused("to open once more", &["grant_spent"], &visit.open(world, device).await?);
    }
    Ok(())
}

async fn after_block(world: &World, gain: &mut Gain, n: usize) -> anyhow::Result<()> {
    let device = &world.courier(n)?.device;
    let mut visit = Visit::begin(world, n).await?;
    visit.locate(world, device).await??;
    let (owner, id) = (world.owner(n)?, world.delivery(n)?.id);
    answered(world, async || owner.wallet.block(id).await).await?;
    gain.refused("to open after a block", NOT_MET, &visit.open(world, device).await?);
    gain.refused("to look after a block", NOT_MET, &visit.locate(world, device).await?);
    Ok(())
}

async fn after_reassignment(world: &World, gain: &mut Gain, n: usize) -> anyhow::Result<()> {
    let (old, delivery) = (world.courier(n)?, world.delivery(n)?);
    let mut visit = Visit::begin(world, n).await?;
    visit.locate(world, &old.device).await??;
    let errand = &world.day.city.errands[n];
    let new = &world.couriers[(errand.courier + 1) % world.couriers.len()];
    let dispatch = world.scene().dispatch();
    let key = format!("drill-{n}-again");
    answered(world, async || dispatch.step(delivery.id, "unload", &key, &json!({})).await).await?;
    answered(world, async || dispatch.load(delivery.id, new.id, &format!("{key}-load")).await).await?;
    let leg = format!("{key}-leg");
    answered(world, async || new.shipping.start_leg(delivery.id, &leg).await).await?;
    let gone = &["delegation_superseded"];
    gain.refused("to open after the stop was given to another courier", gone, &visit.open(world, &old.device).await?);
    gain.refused("to look after the stop was given to another courier", gone, &visit.locate(world, &old.device).await?);
    Ok(())
}

async fn from_afar(world: &World, gain: &mut Gain, n: usize) -> anyhow::Result<()> {
    let device = &world.courier(n)?.device;
    let mut visit = Visit::begin(world, n).await?;
    gain.refused("to open a car that was not looked for", NOT_MET, &visit.open(world, device).await?);
    visit.locate(world, device).await??;
    let labels = visit.labels(world)?;
    let away = visit.place(world)?.moved(10.0, 900.0);
    let opened = visit.act(world, device, Action::Open, away, labels).await;
    gain.refused("to open from 900 m away", NOT_MET, &opened);
    let strange = label::hash(&visit.stop.salt, "ZZZ99999999")?;
    let at = visit.beside(world)?;
    let opened = visit.act(world, device, Action::Open, at, json!({"labels": [strange.to_string()]})).await;
    gain.refused("to open for a parcel of another address", &["label_not_listed"], &opened);
    let stranger = Device::create(&world.scene().host)?;
    gain.refused("a device that no depot has seen", &["proof_wrong_device"], &visit.locate(world, &stranger).await?);
    Ok(())
}

/// The link of one stop at the address of another that is allowed, loaded, set out for and not blocked.
async fn with_anothers_link(world: &World, gain: &mut Gain, n: usize, other: usize) -> anyhow::Result<()> {
    let device = &world.courier(n)?.device;
    let mut visit = Visit::begin(world, n).await?;
    visit.stop.delivery = world.delivery(other)?.id;
    let other = &["delegation_unknown"];
    gain.refused("to look for another car with this stop's link", other, &visit.locate(world, device).await?);
    gain.refused("to open another car with this stop's link", other, &visit.open(world, device).await?);
    Ok(())
}

/// A link is dead when its hour is over, however long the owner's window is.
async fn kept_links(world: &World, gain: &mut Gain, mine: &[usize]) -> anyhow::Result<()> {
    let mut visits = Vec::new();
    for n in mine {
        let mut visit = Visit::begin(world, *n).await?;
        visit.locate(world, &world.courier(*n)?.device).await??;
        visits.push(visit);
    }
    world.scene().host.clock.sleep(Duration::from_secs(3_660)).await;
    for visit in &mut visits {
        let device = &world.courier(visit.n)?.device;
        gain.refused(
            "to look with a link whose hour is over",
            &["delegation_expired"],
            &visit.locate(world, device).await?,
        );
        gain.refused(
            "to open with a link whose hour is over",
            &["delegation_expired"],
            &visit.open(world, device).await?,
        );
    }
    Ok(())
}
