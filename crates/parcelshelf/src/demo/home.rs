//! A parcel behind a front door: its camera is proved live before anything is unlocked, a hand opens and shuts it, and bolt and
//! sensor prove that it is locked.

use std::path::Path;

use anyhow::{Context as _, ensure};
use parcelshelf_access_homeassistant::DOORS;
use parcelshelf_client::photo::specimen;
use parcelshelf_client::shipping::Ordered;
use parcelshelf_client::wallet::Granted;
use parcelshelf_core::id::AttemptId;
use parcelshelf_protocol::encoding::Hash;
use parcelshelf_simulator::homeassistant::{FrontFile, WorldFile};
use serde_json::{Value, json};

use super::garage::{LOGIN, house};
use super::{Case, end, outcome_of, tell};
use crate::cli::Demo;
use crate::judge::Seen;
use crate::people::{AtStop, Courier, Hands, Owner, carrier_says, order, persist, until};
use crate::stage::{Scene, Setting, Stage, Worlds};

const LABEL: &str = "FJB80000000";

const LEARNED: [(&str, &str); 7] = [
    ("merchant", "that it was delivered"),
    (
        "carrier",
        "name, address and parcel, and that a front door there opens once; times rounded to 15 minutes. No code, no key",
    ),
    ("courier", "that the door of this stop opens and locks; no code, and nothing of its camera"),
    ("front", "that sealed bytes passed, how many and when"),
    (
        "keyholder",
        "where the house stands, in one request's memory; a picture a second of the hall, which is sealed to the owner before \
         the next; that this grant was used",
    ),
    ("home server", "what it knows anyway: its own light, camera and lock were asked"),
    ("log readers", "hashes, and their order"),
];

/// The world of one household with a front door beside its garage.
#[must_use]
pub fn household() -> WorldFile {
    let front = FrontFile { person: Some(LOGIN.to_owned()), ..FrontFile::demo() };
    WorldFile { fronts: vec![front], ..WorldFile::demo() }
}

/// Everybody, with that household.
///
/// # Errors
/// When a party does not become ready.
pub async fn stage(dir: &Path) -> anyhow::Result<Stage> {
    let setting = Setting { front_doors: 1, ..Setting::default() };
    Stage::start_with(dir, &Worlds::of_house(household()), setting).await
}

/// Its owner, who has linked the front door.
///
/// # Errors
/// When a step is refused.
pub async fn owner(scene: &Scene) -> anyhow::Result<Owner> {
    let home = household();
    let number = home.fronts.first().map(|front| front.number.clone()).context("a household without a front door")?;
    Owner::enrol_front_door(scene, LOGIN, Hands::at(scene, DOORS, &number)?, house(&home)?, None).await
}

pub async fn run(args: &Demo, dir: &Path) -> anyhow::Result<()> {
    tell(
        "Starting carrier, gateway, keyholder and a simulated home server with a front door, each a process of its own …",
    );
    let mut stage = stage(dir).await?;
    tell("\n── One parcel behind a front door ──");
    let entry = delivery(&stage.scene, dir).await.context("the play stopped")?;
    end(args, dir, &mut stage, vec![entry]).await
}

async fn delivery(stage: &Scene, dir: &Path) -> anyhow::Result<Value> {
    let owner = owner(stage).await?;
    tell(
        "owner      signs up with a passkey and no name, links the front door by a user of the home server who administers",
    );
    tell(
        "           nothing: a lock, a sensor, a camera and a light. It counts after 72 hours in which whoever has linked it",
    );
    tell("           before may object (here: none)");
    let ordered = stage.merchant().ship(&order(stage.host.now(), LABEL)?, "home-ship").await.context("to ship")?;
    tell("merchant   posts one parcel; the carrier checks its rules and signs a request to the owner");
    let granted = owner.allow(stage, &ordered).await?;
    tell("owner      reads the request, and allows it with a passkey: this door, this window, once");
    let dispatch = stage.dispatch();
    carrier_says(&dispatch, ordered.delivery, &["accepted"]).await?;
    tell("carrier    learns: allowed, behind the front door at the address that it has anyway");
    let courier = Courier::hire(stage, "Sam Rivera", "home-courier").await?;
    dispatch.load(ordered.delivery, courier.id, "home-load").await?;
    let url = persist(&stage.host, "the leg", async || courier.shipping.start_leg(ordered.delivery, "home-leg").await);
    let url = url.await?;
    tell("courier    sets out; the carrier passes the permission on to this one device, for this one hour");
    let at = AtStop::open(stage, &courier, &owner, &url, owner.place.moved(45.0, 15.0)).await?;
    courier.shipping.step(ordered.delivery, "arrived", "home-arrived", &json!({})).await?;

    let play = Play { stage, owner: &owner, at: &at, granted: &granted };
    let before = play.door().await?;
    play.refused_while_the_camera_is_frozen(before).await?;
    play.opened_shut_and_locked().await?;
    let done = play.done(&ordered).await?;
    let case = Case { stage, dir, maker: DOORS, sabotage: None, learned: &LEARNED };
    case.judged(&owner, &granted, &courier.device, before, outcome_of(&done)).await
}

/// A courier before the door.
struct Play<'a> {
    stage: &'a Scene,
    owner: &'a Owner,
    at: &'a AtStop<'a>,
    granted: &'a Granted,
}

impl Play<'_> {
    async fn act(&self, action: &str) -> anyhow::Result<()> {
        self.owner.hands.act(&json!({ "action": action })).await?;
        Ok(())
    }
    async fn door(&self) -> anyhow::Result<Seen> {
        Ok(Seen::of(&self.stage.seen_of(&self.owner.hands.vin).await?))
    }

    async fn refused_while_the_camera_is_frozen(&self, before: Seen) -> anyhow::Result<()> {
        self.act("freeze_camera").await?;
        tell("somebody   floods the camera's network: its last picture stands");
        let (device, label) = (&self.at.courier.device, self.at.scan(LABEL)?);
        let answer = self.at.page.ask_to_open(device, &self.at.stop, self.at.phone, &[label]).await;
        let refused = answer.err().context("a door opened before a camera that shows its last picture for ever")?;
        ensure!(refused.code() == Some("conditions_not_met"), "refused as {:?}", refused.code());
        let commands = self.door().await?.since(before).unlock_commands;
        ensure!(commands == 0, "{commands} commands to unlock before the camera was proved live");
        tell(
            "courier    asks to open: a light in the hall goes on and off in a pattern that was drawn just now, and no picture",
        );
        tell("           follows. Refused; no command to unlock has left, and the courier is not told why");
        let told = self.owner.wallet.timeline(self.granted.delivery).await?;
        let why = told["refused"].as_array().and_then(|all| all.iter().find(|no| no["code"] == "camera_not_live"));
        let why = why.and_then(|no| no["text"].as_str()).context("the owner is not told why")?;
        tell(&format!("owner      reads why: {why}"));
        self.act("mend_camera").await
    }

    async fn opened_shut_and_locked(&self) -> anyhow::Result<()> {
        tell("courier    asks again, when the camera is back: another pattern is drawn");
        let (attempt, key) = self.at.ask_to_open_with_key(&[self.at.scan(LABEL)?]).await?;
        let key = key.context("an opening without the owner's key for photos")?;
        tell(
            "keyholder  sees every picture follow the light: live. It reads bolt, sensor and place anew, writes down what it is",
        );
        tell("           about to do, and only then tells the bolt");
        self.at.follow(attempt, |s| s["state"] == "ready").await?;
        self.act("open_door").await?;
        self.at.follow(attempt, |s| s["state"] == "open").await?;
        tell(
            "courier    opens the door by hand, puts the parcel inside and takes a photo, sealed to a key that came with the",
        );
        let photo = self.at.photograph(attempt, &key, &specimen()).await?;
        self.act("shut_door").await?;
        tell("           opening; comes out, shuts the door and says so");
        self.locked(attempt, photo).await
    }
    async fn locked(&self, attempt: AttemptId, photo: Hash) -> anyhow::Result<()> {
        self.at.shut(true, Some(photo)).await?;
        let over = |s: &Value| s["ended"] == json!(true) || s["state"] == "alarm" || s["state"] == "locked";
        let end = self.at.follow(attempt, over).await?;
        let proof = end["lock_proof"].as_str().unwrap_or("not proved");
        tell(&format!("keyholder  has the bolt come; that it is locked is proved by bolt and sensor: {proof}"));
        self.recorded().await
    }
    /// What the owner has afterwards, with a picture of after the proof.
    async fn recorded(&self) -> anyhow::Result<()> {
        let wallet = &self.owner.wallet;
        let recording = until(&self.stage.host, "the end of the recording", async || {
            Ok(wallet.recordings(self.granted.delivery).await?.into_iter().find(|r| !r.running))
        });
        let pictures = wallet.pictures(self.granted, recording.await?, 0).await?;
        let (first, last) = (pictures.first().context("nothing was recorded")?, pictures.last());
        let seconds = last.map_or(0, |last| last.at.millis_since(first.at) / 1_000);
        tell(&format!(
            "owner      has {} pictures of the hall over {seconds} s, from before the unlock on: sealed one by one to this grant's \
             key,",
            pictures.len()
        ));
        tell("           as they were taken; whoever pulls the plug or takes the disk has nothing of them");
        Ok(())
    }

    async fn done(&self, ordered: &Ordered) -> anyhow::Result<Value> {
        let parcel = ordered.parcels.first().context("a shipment without parcels")?;
        let shipping = &self.at.courier.shipping;
        let step = format!("parcels/{parcel}/outcome");
        shipping.step(ordered.delivery, &step, "home-outcome", &json!({"outcome": "done"})).await?;
        shipping.step(ordered.delivery, "finish", "home-finish", &json!({})).await?;
        carrier_says(&self.stage.dispatch(), ordered.delivery, &["ended", "falling_back"]).await
    }
}
