//! Stories at a house's door, over real HTTP with services as processes of their own and a simulated home server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use parcelshelf::judge::Seen;
use parcelshelf::people::{AtStop, Courier, Hands, Owner, carrier_says, order};
use parcelshelf::stage::{Scene, Setting, Stage, Worlds};
use parcelshelf_access_homeassistant::GARAGES;
use parcelshelf_client::Failure;
use parcelshelf_client::wallet::Granted;
use parcelshelf_core::area::Position;
use parcelshelf_simulator::homeassistant::WorldFile as Household;
use serde_json::json;

const LABEL: &str = "FJB70000000";

/// A household with a quick garage, and a courier before it.
struct Theatre {
    stage: Stage,
    scene: Arc<Scene>,
    owner: Owner,
    courier: Courier,
    granted: Granted,
    url: String,
    _dir: tempfile::TempDir,
}

async fn theatre() -> Theatre {
    let dir = tempfile::tempdir().unwrap();
    let mut home = Household::demo();
    for door in &mut home.doors {
        (door.travel_ms, door.warning_ms) = (1_000, 500);
    }
    let (place, number) = (Position::new(home.latitude, home.longitude, 10.0).unwrap(), home.doors[0].number.clone());
    let stage = Stage::start_with(dir.path(), &Worlds::of_house(home), Setting::default()).await.unwrap();
    let scene = Arc::clone(&stage.scene);
    let hands = Hands::at(&scene, GARAGES, &number).unwrap();
    let owner = Owner::enrol_garage(&scene, "keyholder", hands, place).await.unwrap();
    let courier = Courier::hire(&scene, "Sam Rivera", "hire-0001").await.unwrap();
    let ordered = scene.merchant().ship(&order(scene.host.now(), LABEL).unwrap(), "ship-0001").await.unwrap();
    let granted = owner.allow(&scene, &ordered).await.unwrap();
    let dispatch = scene.dispatch();
    carrier_says(&dispatch, ordered.delivery, &["accepted"]).await.unwrap();
    dispatch.load(ordered.delivery, courier.id, "load-0001").await.unwrap();
    let url = courier.shipping.start_leg(ordered.delivery, "leg-00001").await.unwrap();
    Theatre { stage, scene, owner, courier, granted, url, _dir: dir }
}

impl Theatre {
    async fn before_the_door<'a>(&'a self, courier: &'a Courier, url: &str) -> AtStop<'a> {
        let phone = self.owner.place.moved(45.0, 15.0);
        AtStop::open(&self.scene, courier, &self.owner, url, phone).await.unwrap()
    }
    /// Dispatch gives the stop to somebody else.
    async fn sent_after(&self, name: &str, key: &str) -> (Courier, String) {
        let second = Courier::hire(&self.scene, name, &format!("hire-{key}")).await.unwrap();
        let dispatch = self.scene.dispatch();
        dispatch.step(self.granted.delivery, "unload", &format!("unload-{key}"), &json!({})).await.unwrap();
        dispatch.load(self.granted.delivery, second.id, &format!("load-{key}")).await.unwrap();
        let url = second.shipping.start_leg(self.granted.delivery, &format!("leg-{key}")).await.unwrap();
        (second, url)
    }
    async fn door(&self) -> Seen {
        Seen::of(&self.scene.seen_of(&self.owner.hands.vin).await.unwrap())
    }
}
fn code<T: std::fmt::Debug>(refused: Result<T, Failure>) -> String {
    refused.unwrap_err().code().unwrap_or("no problem").to_owned()
}

#[tokio::test]
async fn whoever_is_sent_after_a_courier_at_a_house_is_told_what_stands_open_and_has_it_shut() {
    let mut t = theatre().await;
    let before = t.door().await;
    let at = t.before_the_door(&t.courier, &t.url).await;
    assert_eq!(
        code(at.page.left_open(&t.courier.device, &at.stop, at.phone).await),
        "houses_are_not_located",
        "nothing is left open, and no house is located"
    );
    let label = at.scan(LABEL).unwrap();
    let attempt = at.ask_to_open(&[label]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    // Its own page, loaded anew, is told the same.
    assert_eq!(at.page.left_open(&t.courier.device, &at.stop, at.phone).await.unwrap(), attempt);

    let (second, url) = t.sent_after("Kim Berg", "0002").await;
    let now = t.before_the_door(&second, &url).await;
    let (page, stop, device) = (&now.page, &now.stop, &second.device);
    assert_eq!(page.left_open(device, stop, now.phone).await.unwrap(), attempt);
    assert!(page.locate(device, stop, now.phone).await.is_err(), "there is no place in it");
    assert_eq!(code(page.describe(device, stop, now.phone).await), "houses_are_not_located");
    assert_eq!(code(page.ask_to_open(device, stop, now.phone, &[label]).await), "attempt_of_another");
    assert_eq!(code(at.page.left_open(&t.courier.device, &at.stop, at.phone).await), "delegation_superseded");

    page.close(device, stop, now.phone, None, true).await.unwrap();
    let end = now.follow(attempt, |s| s["state"] == "locked" && s["ended"] == json!(true)).await.unwrap();
    assert_eq!(end["lock_proof"], "observed");
    let seen = t.door().await.since(before);
    assert_eq!((seen.unlock_commands, seen.tailgate_openings, seen.shut_and_locked), (1, 1, true));
    // It is over: nothing is left to take over, and who opened nothing shuts nothing.
    assert_eq!(code(page.left_open(device, stop, now.phone).await), "houses_are_not_located");
    assert_eq!(code(page.lock(device, stop, now.phone).await), "nothing_opened");
    t.stage.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_keeps_nobody_from_taking_over_and_a_stop_of_the_owner_does() {
    let mut t = theatre().await;
    let at = t.before_the_door(&t.courier, &t.url).await;
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    let (second, url) = t.sent_after("Kim Berg", "0002").await;
    let now = t.before_the_door(&second, &url).await;

    let house = t.scene.sim_of(GARAGES).unwrap();
    house.post("/__sim/outage", &[], &json!({"seconds": 8})).await.unwrap();
    assert_eq!(now.page.left_open(&second.device, &now.stop, now.phone).await.unwrap(), attempt);
    now.page.lock(&second.device, &now.stop, now.phone).await.unwrap();
    let alarmed = now.follow(attempt, |s| s["alarm"] == "lost_while_open").await.unwrap();
    assert!(alarmed["lock_proof"].is_null(), "{alarmed}");

    t.owner.wallet.block(t.granted.delivery).await.unwrap();
    let refused = code(now.page.left_open(&second.device, &now.stop, now.phone).await);
    assert_eq!(refused, "conditions_not_met", "whom the owner has stopped is told nothing more");
    // And has it shut all the same.
    now.page.lock(&second.device, &now.stop, now.phone).await.unwrap();
    now.follow(attempt, |s| s["lock_proof"] == "observed").await.unwrap();
    assert!(t.door().await.shut_and_locked);
    t.stage.stop().await.unwrap();
}
