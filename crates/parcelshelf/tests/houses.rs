//! Stories at a house's door, over real HTTP with services as processes of their own and a simulated home server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;

use parcelshelf::demo::home;
use parcelshelf::judge::Seen;
use parcelshelf::people::{AtStop, Courier, Hands, Owner, carrier_says, order, until};
use parcelshelf::stage::{Scene, Setting, Stage, Worlds};
use parcelshelf_access_homeassistant::GARAGES;
use parcelshelf_client::Failure;
use parcelshelf_client::courier::StopPage;
use parcelshelf_client::guest::{Guest, link_of};
use parcelshelf_client::recordings::Recording;
use parcelshelf_client::wallet::Granted;
use parcelshelf_core::area::Position;
use parcelshelf_core::id::AttemptId;
use parcelshelf_core::reason::Action;
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_protocol::statement::ToErase;
use parcelshelf_simulator::homeassistant::WorldFile as Household;
use parcelshelf_store::sqlite::{Options, SqliteEngine};
use parcelshelf_store::{Engine as _, ListQuery};
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

// ---- front doors -------------------------------------------------------------------------------------------------------

/// A household with a front door, and nobody before it.
struct Hall {
    stage: Stage,
    scene: Arc<Scene>,
    owner: Owner,
    _dir: tempfile::TempDir,
}
/// A courier before that door.
struct Caller {
    courier: Courier,
    granted: Granted,
    url: String,
    label: String,
}

impl Hall {
    async fn build() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stage = home::stage(dir.path()).await.unwrap();
        let scene = Arc::clone(&stage.scene);
        let owner = home::owner(&scene).await.unwrap();
        Self { stage, scene, owner, _dir: dir }
    }
    /// Somebody with a parcel for this door, of a delivery of their own.
    async fn caller(&self, name: &str, n: u32) -> Caller {
        let (scene, label) = (&self.scene, format!("FJB7000000{n}"));
        let courier = Courier::hire(scene, name, &format!("hire-{n:04}")).await.unwrap();
        let ordered = order(scene.host.now(), &label).unwrap();
        let ordered = scene.merchant().ship(&ordered, &format!("ship-{n:04}")).await.unwrap();
        let granted = self.owner.allow(scene, &ordered).await.unwrap();
        let dispatch = scene.dispatch();
        carrier_says(&dispatch, ordered.delivery, &["accepted"]).await.unwrap();
        dispatch.load(ordered.delivery, courier.id, &format!("load-{n:04}")).await.unwrap();
        let url = courier.shipping.start_leg(ordered.delivery, &format!("leg-{n:05}")).await.unwrap();
        Caller { courier, granted, url, label }
    }
    async fn before_the_door<'a>(&'a self, caller: &'a Caller) -> AtStop<'a> {
        let phone = self.owner.place.moved(45.0, 15.0);
        AtStop::open(&self.scene, &caller.courier, &self.owner, &caller.url, phone).await.unwrap()
    }
    async fn act(&self, action: &str) {
        self.owner.hands.act(&json!({ "action": action })).await.unwrap();
    }
    async fn door(&self) -> Seen {
        Seen::of(&self.scene.seen_of(&self.owner.hands.vin).await.unwrap())
    }
    /// How often the camera was proved or was not; a recording's pictures are no proofs.
    fn proofs(&self) -> usize {
        let log = std::fs::read_to_string(self.stage.keyholder.log_path()).unwrap();
        log.matches("a camera was asked whether it is live").count()
    }
    /// How often where the house stands was asked for.
    async fn house_reads(&self) -> u64 {
        self.scene.seen_of(&self.owner.hands.vin).await.unwrap()["position_reads"].as_u64().unwrap()
    }
    async fn camera_is_asked(&self) {
        let begun = until(&self.scene.host, "the camera to be asked", async || {
            Ok((self.scene.seen_of(&self.owner.hands.vin).await.unwrap()["stills"].as_u64() > Some(1)).then_some(()))
        });
        begun.await.unwrap();
    }
    async fn light(&self) -> String {
        self.owner.hands.look().await.unwrap()["light"].as_str().unwrap().to_owned()
    }
    /// In by hand, out, and seen locked.
    async fn delivers(&self, at: &AtStop<'_>, attempt: AttemptId) {
        at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
        self.act("open_door").await;
        at.follow(attempt, |s| s["state"] == "open").await.unwrap();
        self.act("shut_door").await;
        at.shut(true, None).await.unwrap();
        let end = at.follow(attempt, |s| s["lock_proof"].is_string()).await.unwrap();
        assert_eq!(end["lock_proof"], "observed", "{end}");
    }
}

#[tokio::test]
async fn two_proofs_of_one_courier_and_one_whose_asker_has_gone_are_one_opening_and_one_proof_of_the_camera() {
    let mut t = Hall::build().await;
    let caller = t.caller("Sam Rivera", 1).await;
    let at = t.before_the_door(&caller).await;
    let before = t.door().await;
    let labels = [at.scan(&caller.label).unwrap()];
    let body = json!({"labels": [labels[0].to_string()]});
    let first = at.page.prepare(&caller.courier.device, &at.stop, Action::Open, at.phone, body).await.unwrap();
    {
        let (page, sent) = (at.page.clone(), first.clone());
        let gone = tokio::spawn(async move { page.send(&sent).await });
        t.camera_is_asked().await;
        gone.abort();
        assert!(gone.await.is_err(), "it waited for the answer when it went");
    }
    // The same bytes once more, and another proof of the same phone.
    let (same, other) = tokio::join!(at.page.send(&first), at.ask_to_open(&labels));
    let attempt = StopPage::attempt_of(&same.unwrap()).unwrap();
    assert_eq!(other.unwrap(), attempt);
    assert_eq!((t.proofs(), t.light().await.as_str()), (1, "off"));
    t.delivers(&at, attempt).await;
    let seen = t.door().await.since(before);
    assert_eq!((seen.unlock_commands, seen.shut_and_locked), (1, true));
    t.stage.stop().await.unwrap();
}

#[tokio::test]
async fn two_couriers_at_one_front_door_come_one_after_the_other_and_never_draw_over_each_others_pattern() {
    let mut t = Hall::build().await;
    let (sam, kim) = (t.caller("Sam Rivera", 1).await, t.caller("Kim Berg", 2).await);
    let (first, second) = (t.before_the_door(&sam).await, t.before_the_door(&kim).await);
    let before = t.door().await;
    let (sams, kims) = ([first.scan(&sam.label).unwrap()], [second.scan(&kim.label).unwrap()]);
    let after = async {
        t.camera_is_asked().await;
        second.ask_to_open(&kims).await
    };
    let (opened, refused) = tokio::join!(first.ask_to_open(&sams), after);
    let attempt = opened.unwrap();
    // What the first has left is seen: at a door that is unlocked no camera is asked.
    let refused = refused.unwrap_err();
    let refused = refused.downcast_ref::<Failure>().and_then(Failure::code);
    assert_eq!((refused, t.proofs()), (Some("conditions_not_met"), 1));
    let told = t.owner.wallet.timeline(kim.granted.delivery).await.unwrap()["refused"].to_string();
    assert!(!told.contains("camera") && told.contains("code"), "{told}");
    t.delivers(&first, attempt).await;
    let attempt = second.ask_to_open(&kims).await.unwrap();
    assert_eq!((t.proofs(), t.light().await.as_str()), (2, "off"));
    t.delivers(&second, attempt).await;
    let seen = t.door().await.since(before);
    assert_eq!((seen.unlock_commands, seen.shut_and_locked), (2, true));
    t.stage.stop().await.unwrap();
}

#[tokio::test]
async fn a_keyholder_that_stops_while_nobody_listens_any_more_leaves_no_light_on() {
    let mut t = Hall::build().await;
    let caller = t.caller("Sam Rivera", 1).await;
    // So that nothing is opened in the end, which a stop would wait for as well.
    t.act("freeze_camera").await;
    {
        let at = t.before_the_door(&caller).await;
        let labels = [at.scan(&caller.label).unwrap()];
        tokio::select! {
            answer = at.page.ask_to_open(&caller.courier.device, &at.stop, at.phone, &labels) => {
                panic!("answered before the camera was asked: {answer:?}")
            }
            () = t.camera_is_asked() => {}
        }
    }
    t.stage.gateway.kill().await.unwrap();
    t.stage.keyholder.stop().await.unwrap();
    assert_eq!((t.proofs(), t.light().await.as_str()), (1, "off"));
    assert_eq!(t.door().await.unlock_commands, 0);
    t.stage.stop().await.unwrap();
}

/// A simulated day found it: after its camera had been asked the house was read once more, whatever that had come to, and
/// although its owner had stopped the delivery meanwhile.
#[tokio::test]
async fn what_is_stopped_while_the_camera_is_asked_or_whose_camera_lies_reads_nothing_of_the_house_any_more() {
    let mut t = Hall::build().await;
    let mut proofs = 0;
    for (n, (name, lies)) in [(1, ("Sam Rivera", false)), (2, ("Kim Berg", true))] {
        let caller = t.caller(name, n).await;
        let at = t.before_the_door(&caller).await;
        let labels = [at.scan(&caller.label).unwrap()];
        if lies {
            t.act("freeze_camera").await;
        }
        let meanwhile = async {
            let lit = until(&t.scene.host, "the light", async || Ok((t.light().await == "on").then_some(())));
            lit.await.unwrap();
            if !lies {
                t.owner.wallet.block(caller.granted.delivery).await.unwrap();
            }
            t.house_reads().await
        };
        let asks = at.page.ask_to_open(&caller.courier.device, &at.stop, at.phone, &labels);
        let (answer, reads) = tokio::join!(asks, meanwhile);
        proofs += 1;
        assert_eq!(answer.unwrap_err().code(), Some("conditions_not_met"), "{name}");
        assert!(reads > 0, "before the light went on");
        assert_eq!((t.house_reads().await, t.proofs()), (reads, proofs), "{name}");
    }
    assert_eq!(t.door().await.unlock_commands, 0);
    t.stage.stop().await.unwrap();
}

/// What a guest's or a courier's opening showed is the owner's: read in order, from before the unlock until after the proof.
async fn is_seen(t: &Hall, granted: &Granted) -> Recording {
    let wallet = &t.owner.wallet;
    let over = until(&t.scene.host, "the end of the recording", async || {
        Ok(wallet.recordings(granted.delivery).await?.into_iter().find(|r| !r.running))
    });
    let recording = over.await.unwrap();
    let pictures = wallet.pictures(granted, recording, 0).await.unwrap();
    assert!(
        pictures.len() >= 2 && pictures.windows(2).all(|two| two[0].at < two[1].at && two[0].bytes != two[1].bytes)
    );
    recording
}

#[tokio::test]
async fn what_a_camera_saw_is_the_owners_also_of_a_guest_and_goes_with_the_delivery() {
    let mut t = Hall::build().await;
    let wallet = &t.owner.wallet;
    let invitation = wallet.invite("Anna").await.unwrap();
    let guest = Guest::answer(&link_of(&t.scene.layout.stop_origin, &invitation), &t.scene.host).await.unwrap();
    let shown = wallet.paired(&invitation, &guest.digits()).await.unwrap().unwrap();
    let start = Timestamp::from_unix_seconds(t.scene.host.now().unix_seconds());
    let window = Window::new(start, start.plus_seconds(3_600)).unwrap();
    let consent = t.owner.consent(window, wallet.access_point(shown.device()).await.unwrap()).unwrap();
    let granted = wallet.let_in(&shown, &consent).await.unwrap();
    let (stop, page) = (guest.let_in().await.unwrap().unwrap().stop().unwrap(), guest.page().await.unwrap());
    let attempt = page.ask_to_open(&guest.device, &stop, t.owner.place, &[]).await.unwrap();
    let reaches = async |state: &str| {
        let seen = until(&t.scene.host, state, async || {
            Ok((page.attempt(attempt, 0).await?["state"] == json!(state)).then_some(()))
        });
        seen.await.unwrap();
    };
    reaches("ready").await;
    t.act("open_door").await;
    reaches("open").await;
    // Live: what is there is read while it is still being made.
    let live = wallet.recordings(granted.delivery).await.unwrap();
    assert!(live.len() == 1 && live[0].running && live[0].attempt == attempt, "{live:?}");
    assert_eq!(wallet.pictures(&granted, live[0], 0).await.unwrap().len(), live[0].pictures as usize);
    t.act("shut_door").await;
    page.close(&guest.device, &stop, t.owner.place, None, true).await.unwrap();
    reaches("locked").await;
    let recording = is_seen(&t, &granted).await;

    // The picture before the first and the one after the last are none.
    let past = wallet.sealed_picture(granted.delivery, attempt, recording.pictures).await.unwrap_err();
    assert_eq!(past.code(), Some("picture_unknown"));
    let erased = until(&t.scene.host, "the delivery to be over", async || {
        let erased = wallet.erase(ToErase::Delivery(granted.delivery)).await;
        match erased {
            Err(not) if not.code() == Some("not_over") => Ok(None),
            other => other.map(Some),
        }
    });
    erased.await.unwrap();
    let gone = wallet.sealed_picture(granted.delivery, attempt, 0).await.unwrap_err();
    assert_eq!(gone.code(), Some("delivery_unknown"));
    t.stage.keyholder.stop().await.unwrap();
    let left = rows_left(&t.scene.layout.dir.join("keyholder/data/keyholder.db")).await;
    assert_eq!(left, 0, "{left} pictures are left behind");
    t.stage.stop().await.unwrap();
}

/// Pictures in a keyholder's store, readable or not.
async fn rows_left(store: &Path) -> usize {
    const TABLE: &str = "recorded";
    assert!(parcelshelf_keyholder::tables().iter().any(|(table, ..)| *table == TABLE));
    let engine = SqliteEngine::open(store, Options::default()).unwrap();
    let (table, index, prefix) = (TABLE.to_owned(), String::new(), Vec::new());
    engine.list(ListQuery { table, index, prefix, cursor: None, limit: 10 }).await.unwrap().rows.len()
}
