//! A parcel into a garage: a household's own server opens the door and shuts it, and its state proves that it is shut.

use std::path::Path;

use anyhow::Context as _;
use parcelshelf_access_homeassistant::GARAGES;
use parcelshelf_client::courier::{Device, Stop, StopPage};
use parcelshelf_client::photo::specimen;
use parcelshelf_core::area::Position;
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_simulator::homeassistant::{DoorFile, WorldFile};
use serde_json::{Value, json};

use super::guests::Door;
use super::{Case, end, outcome_of, tell};
use crate::cli::Demo;
use crate::judge::Seen;
use crate::people::{AtStop, Courier, Hands, Owner, carrier_says, order, persist, until};
use crate::stage::{Scene, Setting, Stage, Worlds};

/// Who the keyholder is at the home server: a person of its own, who administers nothing.
pub const LOGIN: &str = "keyholder";
/// A quick door: up in four seconds, and two seconds of warning before it comes down.
const TRAVEL_MS: u32 = 4_000;
const WARNING_MS: u32 = 2_000;

const LEARNED: [(&str, &str); 7] = [
    ("merchant", "that it was delivered"),
    (
        "carrier",
        "name, address and parcel, and that a garage there opens once; times rounded to 15 minutes. No code, no key",
    ),
    ("courier", "that the door of this stop opens and shuts; no code, no place that the address does not tell"),
    ("front", "that sealed bytes passed, how many and when"),
    ("keyholder", "where the house stands, in one request's memory; that this grant was used"),
    ("home server", "what it knows anyway: its own door was opened and shut"),
    ("log readers", "hashes, and their order"),
];

/// The world of one household with one garage.
pub fn household() -> WorldFile {
    let mut world = WorldFile::demo();
    for door in &mut world.doors {
        *door = DoorFile { travel_ms: TRAVEL_MS, warning_ms: WARNING_MS, ..door.clone() };
    }
    world
}
/// The same where the bundled streets are, with a door that nobody waits for.
pub fn to_link() -> WorldFile {
    let mut world = WorldFile { latitude: 60.1690, longitude: 24.9410, ..household() };
    for door in &mut world.doors {
        *door = DoorFile { travel_ms: 2_000, warning_ms: 1_000, ..door.clone() };
    }
    world
}
/// Where that house stands.
pub fn house(world: &WorldFile) -> anyhow::Result<Position> {
    Ok(Position::new(world.latitude, world.longitude, 10.0)?)
}

pub async fn run(args: &Demo, dir: &Path) -> anyhow::Result<()> {
    let home = household();
    let place = house(&home)?;
    let number = home.doors.first().map(|d| d.number.clone()).context("a household without a garage")?;
    tell("Starting carrier, gateway, keyholder and a simulated home server with a garage, each a process of its own …");
    let mut stage = Stage::start_with(dir, &Worlds::of_house(home), Setting::default()).await?;
    let play = Play { stage: &stage.scene, place, dir, number: &number };
    let door = Door { stage: &stage.scene, place, dir };
    let entry = if args.guest {
        tell("\n── A guest, whom the owner lets in ──");
        door.lets_a_guest_in(&play.owner().await?).await
    } else if args.walk_up {
        tell("\n── Whoever stands at the door ──");
        door.opens_to_whoever_asks(&play.owner().await?).await
    } else {
        tell("\n── One parcel into a garage ──");
        play.delivery().await
    };
    end(args, dir, &mut stage, vec![entry.context("the play stopped")?]).await
}

struct Play<'a> {
    stage: &'a Scene,
    place: Position,
    dir: &'a Path,
    number: &'a str,
}

impl Play<'_> {
    async fn owner(&self) -> anyhow::Result<Owner> {
        let hands = Hands::at(self.stage, GARAGES, self.number)?;
        let owner = Owner::enrol_garage(self.stage, LOGIN, hands, self.place).await?;
        tell(
            "owner      signs up with a passkey and no name, links the garage by a user of the home server who administers",
        );
        tell(
            "           nothing, and proves to stand at it: by the button on the wall and a hand in the light barrier, in an",
        );
        tell("           order that is drawn (hands simulated)");
        self.rehearse(&owner).await?;
        Ok(owner)
    }

    async fn delivery(&self) -> anyhow::Result<Value> {
        let (stage, owner) = (self.stage, self.owner().await?);
        let label = String::from("FJB70000000");
        let ordered =
            stage.merchant().ship(&order(stage.host.now(), &label)?, "garage-ship").await.context("to ship")?;
        tell("merchant   posts one parcel; the carrier checks its rules and signs a request to the owner");
        let granted = owner.allow(stage, &ordered).await?;
        tell("owner      reads the request, and allows it with a passkey: this garage, this window, once");
        let dispatch = stage.dispatch();
        carrier_says(&dispatch, ordered.delivery, &["accepted"]).await?;
        tell("carrier    learns: allowed, into the garage at the address that it has anyway");

        let courier = Courier::hire(stage, "Sam Rivera", "garage-courier").await?;
        dispatch.load(ordered.delivery, courier.id, "garage-load").await?;
        let url =
            persist(&stage.host, "the leg", async || courier.shipping.start_leg(ordered.delivery, "garage-leg").await)
                .await?;
        tell("courier    sets out; the carrier passes the permission on to this one device, for this one hour");
        let at = AtStop::open(stage, &courier, &owner, &url, self.place.moved(45.0, 15.0)).await?;
        courier.shipping.step(ordered.delivery, "arrived", "garage-arrived", &json!({})).await?;

        let before = Seen::of(&stage.seen_of(self.number).await?);
        let (attempt, key) = at.ask_to_open_with_key(&[at.scan(&label)?]).await?;
        let key = key.context("an opening without the owner's key for photos")?;
        at.follow(attempt, |s| s["state"] == "open").await?;
        tell("garage     goes up: its own state says so, under the very call that the keyholder made");
        let photo = at.photograph(attempt, &key, &specimen()).await?;
        tell("courier    puts the parcel inside and takes a photo, sealed to a key that came with the opening;");
        tell("           steps out and says so");
        at.shut(false, Some(photo)).await?;
        let over = |s: &Value| s["ended"] == json!(true) || s["state"] == "alarm" || s["state"] == "locked";
        let end = at.follow(attempt, over).await?;
        tell(&format!(
            "keyholder  has it driven shut and watches it on its way; shut is proved: {}",
            end["lock_proof"].as_str().unwrap_or("not proved")
        ));
        let parcel = ordered.parcels.first().context("a shipment without parcels")?;
        let step = format!("parcels/{parcel}/outcome");
        courier.shipping.step(ordered.delivery, &step, "garage-outcome", &json!({"outcome": "done"})).await?;
        courier.shipping.step(ordered.delivery, "finish", "garage-finish", &json!({})).await?;
        let done = carrier_says(&dispatch, ordered.delivery, &["ended", "falling_back"]).await?;
        let case = Case { stage, dir: self.dir, maker: GARAGES, sabotage: None, learned: &LEARNED };
        case.judged(&owner, &granted, &courier.device, before, outcome_of(&done)).await
    }

    /// The owner opens the own garage once, so that the first stranger's try is not the first try.
    async fn rehearse(&self, owner: &Owner) -> anyhow::Result<()> {
        let stage = self.stage;
        let device = Device::create(&stage.host)?;
        let start = Timestamp::from_unix_seconds(stage.host.now().unix_seconds());
        let window = Window::new(start, start.plus_seconds(600))?;
        let access_point = owner.wallet.access_point(device.thumbprint()).await?;
        let granted = owner.wallet.rehearse(&device, &owner.consent(window, access_point)?).await?;
        let stop = Stop { delivery: granted.delivery, last_link: granted.jws.clone(), salt: [0; 16] };
        let page = StopPage::open(&stage.layout.stop_origin, owner.wallet.pinned(), &stage.host).await?;
        let attempt = page.ask_to_open(&device, &stop, self.place, &[]).await.context("to rehearse")?;
        let mut after = 0;
        let mut follow = async |state: &'static str| {
            until(&stage.host, &format!("{state} in the rehearsal"), async || {
                let seen = page.attempt(attempt, after).await?;
                after = seen["seq"].as_u64().unwrap_or(after);
                Ok((seen["state"] == state).then_some(()))
            })
            .await
        };
        follow("open").await?;
        page.close(&device, &stop, self.place, None, true).await?;
        follow("locked").await?;
        tell("owner      rehearses: the own phone opens the own garage once, and it is driven shut again");
        Ok(())
    }
}
