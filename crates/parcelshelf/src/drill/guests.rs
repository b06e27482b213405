//! A guest who passes on what they got, and whoever gets it: the link before it is answered, the grant after it is used.
//!
//! On a stage of its own with one garage. What opened is counted by the door itself.

use std::path::PathBuf;

use anyhow::Context as _;
use parcelshelf_access_homeassistant::GARAGES;
use parcelshelf_client::Failure;
use parcelshelf_client::courier::{Device, Stop, StopPage};
use parcelshelf_client::guest::{Guest, link_of};
use parcelshelf_core::actuation::LockProof;
use parcelshelf_core::area::Position;
use parcelshelf_core::time::{Timestamp, Window};
use serde_json::json;

use super::gain::Gain;
use crate::demo::garage::{LOGIN, house, to_link};
use crate::judge::{Seen, judge};
use crate::people::{Hands, Owner, until};
use crate::stage::{Scene, Setting, Stage, Worlds};

/// # Errors
/// When the stage cannot be set, or a party does not answer.
pub async fn guest_passes_on(dir: PathBuf) -> anyhow::Result<Gain> {
    let home = to_link();
    let place = house(&home)?;
    let number = home.doors.first().map(|d| d.number.clone()).context("a household without a garage")?;
    let mut stage = Stage::start_with(&dir, &Worlds::of_house(home), Setting::default()).await?;
    let hands = Hands::at(&stage.scene, GARAGES, &number)?;
    let owner = Owner::enrol_garage(&stage.scene, LOGIN, hands, place).await?;
    let mut gain = Gain::default();
    Play { scene: &stage.scene, owner: &owner, place }.run(&mut gain).await?;
    stage.stop().await?;
    Ok(gain)
}

struct Play<'a> {
    scene: &'a Scene,
    owner: &'a Owner,
    place: Position,
}

impl Play<'_> {
    async fn run(&self, gain: &mut Gain) -> anyhow::Result<()> {
        let (scene, wallet) = (self.scene, &self.owner.wallet);
        let before = Seen::of(&scene.seen_of(&self.owner.hands.vin).await?);
        let friend = Device::create(&scene.host)?;

        // The link goes on before it is answered: the friend's phone is first, and the guest has no digits to read out.
        let early = wallet.invite("Anna").await?;
        let link = link_of(&scene.layout.stop_origin, &early);
        let thief = Guest::answer(&link, &scene.host).await?;
        let late = Guest::answer(&link, &scene.host).await;
        gain.refused("a second phone with one link", &["invitation_answered"], &late);
        let guessed = if thief.digits() == "000000" { "000001" } else { "000000" };
        gain.must(wallet.paired(&early, guessed).await.is_err(), || String::from("guessed digits paired a phone"));
        gain.must(thief.let_in().await?.is_none(), || String::from("a phone that nobody paired was let in"));

        // A guest who is let in passes everything on but the key that does not leave the phone.
        let invitation = wallet.invite("Ben").await?;
        let guest = Guest::answer(&link_of(&scene.layout.stop_origin, &invitation), &scene.host).await?;
        let shown = wallet.paired(&invitation, &guest.digits()).await?.context("nobody has answered")?;
        let start = Timestamp::from_unix_seconds(scene.host.now().unix_seconds());
        let window = Window::new(start, start.plus_seconds(1_800))?;
        let consent = self.owner.consent(window, wallet.access_point(shown.device()).await?)?;
        let granted = wallet.let_in(&shown, &consent).await?;
        let stop = guest.let_in().await?.context("nothing was signed")?.stop()?;
        let page = guest.page().await?;
        let passed_on = self.tries(&page, &friend, &stop).await;
        gain.refused("the grant with a friend's phone", &["proof_wrong_device"], &passed_on);
        let looked = page.locate(&guest.device, &stop, self.place).await;
        gain.refused("a guest asks where it is", &["houses_are_not_located"], &looked);

        let attempt = self.tries(&page, &guest.device, &stop).await?;
        until(&scene.host, "an open door", async || {
            Ok((page.attempt(attempt, 0).await?["state"] == "open").then_some(()))
        })
        .await?;
        let inside = self.tries(&page, &friend, &stop).await;
        gain.refused("the grant while the door is open", &["proof_wrong_device"], &inside);
        page.close(&guest.device, &stop, self.place, None, true).await?;
        until(&scene.host, "a shut door", async || {
            Ok((page.attempt(attempt, 0).await?["ended"] == json!(true)).then_some(()))
        })
        .await?;
        let again = self.tries(&page, &guest.device, &stop).await;
        gain.refused("a second visit", &["grant_spent"], &again);

        let bundle = self.owner.bundle(granted.delivery).await?;
        let seen = Seen::of(&scene.seen_of(&self.owner.hands.vin).await?).since(before);
        let finding = judge(seen, &bundle, &self.owner.anchors(scene));
        gain.must(finding.violations.is_empty(), || finding.violations.join(", "));
        gain.must(finding.openings == 1, || format!("opened {} times", finding.openings));
        gain.must(finding.lock_proof == Some(LockProof::Observed), || String::from("no proof that it is shut"));
        gain.figure("openings", finding.openings);
        Ok(())
    }

    async fn tries(
        &self,
        page: &StopPage,
        device: &Device,
        stop: &Stop,
    ) -> Result<parcelshelf_core::id::AttemptId, Failure> {
        page.ask_to_open(device, stop, self.place, &[]).await
    }
}
