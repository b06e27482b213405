//! What must not happen, and what must always be possible, played on a running stage.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/play.rs"]
#[expect(dead_code, reason = "only the label is needed here")]
mod play;

use std::time::Duration;

use parcelshelf::judge::Seen;
use parcelshelf::people::{AtStop, Courier, Owner, carrier_says, order, until};
use parcelshelf::stage::{Setting, Stage};
use parcelshelf_client::Failure;
use parcelshelf_client::courier::{Device, StopPage};
use parcelshelf_client::wallet::Granted;
use parcelshelf_core::area::Position;
use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::reason::Action;
use parcelshelf_core::time::Timestamp;
use parcelshelf_protocol::statement::ToErase;
use parcelshelf_simulator::volvo::{CarFile, WorldFile};
use play::LABEL;
use serde_json::json;

/// One stage with a car for each story: commands are counted per owner.
struct Theatre {
    stage: Stage,
    owner: Owner,
    courier: Courier,
    _dir: tempfile::TempDir,
}

fn place() -> Position {
    Position::new(57.725_374, 11.849_843, 10.0).unwrap()
}

async fn theatre() -> Theatre {
    let dir = tempfile::tempdir().unwrap();
    let mut car = CarFile::of("kim@example.org");
    (car.latitude, car.longitude, car.relock_after_s) = (place().latitude_deg(), place().longitude_deg(), 0);
    let world = WorldFile { cars: vec![car], ..WorldFile::demo() };
    let stage = Stage::start(dir.path(), &world, Setting::default()).await.unwrap();
    let cars = stage.scene.sim().get("/__sim/cars", &[]).await.unwrap();
    let vin = cars["cars"][0]["vin"].as_str().unwrap();
    let owner = Owner::enrol(&stage.scene, "kim@example.org", vin, place(), "KLM 482").await.unwrap();
    let courier = Courier::hire(&stage.scene, "Sam Rivera", "hire-0001").await.unwrap();
    Theatre { stage, owner, courier, _dir: dir }
}

impl Theatre {
    /// Shipped, allowed, loaded, under way: the stop page's address.
    async fn under_way(&self) -> (Granted, String) {
        let scene = &self.stage.scene;
        let order = order(scene.host.now(), LABEL).unwrap();
        let ordered = scene.merchant().ship(&order, "ship-0001").await.unwrap();
        let granted = self.owner.allow(scene, &ordered).await.unwrap();
        let dispatch = scene.dispatch();
        carrier_says(&dispatch, ordered.delivery, &["accepted"]).await.unwrap();
        dispatch.load(ordered.delivery, self.courier.id, "load-0001").await.unwrap();
        let url = self.courier.shipping.start_leg(ordered.delivery, "leg-00001").await.unwrap();
        (granted, url)
    }
    async fn at(&self, url: &str) -> AtStop<'_> {
        AtStop::open(&self.stage.scene, &self.courier, &self.owner, url, place().moved(45.0, 20.0)).await.unwrap()
    }
    async fn seen(&self) -> Seen {
        Seen::of(&self.stage.scene.seen_of(&self.owner.hands.vin).await.unwrap())
    }
    /// A car that only waits for a hand at its lid is shut and locked, too: until the command to lock has ended that.
    async fn locked_on_command(&self) {
        until(&self.stage.scene.host, "a car that was locked", async || {
            let told = self.stage.scene.sim().get("/__sim/summary", &[]).await?;
            let cars = self.stage.scene.sim().get("/__sim/cars", &[]).await?;
            let (told, car) = (&told["cars"][0], &cars["cars"][0]);
            let over = told["commands"]["lock"].as_u64() >= Some(1) && car["ready_until"].is_null();
            Ok((over && Seen::of(told).shut_and_locked).then_some(()))
        })
        .await
        .unwrap();
    }
}

fn code<T: std::fmt::Debug>(refused: Result<T, Failure>) -> String {
    refused.unwrap_err().code().unwrap_or("no problem").to_owned()
}

#[tokio::test]
async fn nothing_opens_before_it_was_located_nor_from_afar_nor_for_another_label_nor_another_device() {
    let t = theatre().await;
    let (_, url) = t.under_way().await;
    let at = t.at(&url).await;
    let (page, stop, device) = (&at.page, &at.stop, &t.courier.device);
    let label = at.scan(LABEL).unwrap();

    assert_eq!(code(page.ask_to_open(device, stop, at.phone, &[label]).await), "conditions_not_met");
    let far = place().moved(0.0, 9_000.0);
    let refused = page.locate(device, stop, far).await.unwrap_err();
    assert_eq!(refused.code(), Some("conditions_not_met"), "from nine kilometres away");
    page.locate(device, stop, at.phone).await.unwrap();
    let down_the_road = place().moved(0.0, 400.0);
    assert_eq!(code(page.ask_to_open(device, stop, down_the_road, &[label]).await), "conditions_not_met");
    let other = at.scan("ZZZ99999999").unwrap();
    assert_eq!(code(page.ask_to_open(device, stop, at.phone, &[other]).await), "label_not_listed");
    let stranger = Device::create(&t.stage.scene.host).unwrap();
    assert_eq!(code(page.locate(&stranger, stop, at.phone).await), "proof_wrong_device");
    // A proof of one action is none of another, and a changed body is another request.
    let prepared = page.prepare(device, stop, Action::Locate, at.phone, json!({})).await.unwrap();
    let (link, proof, body) = prepared.parts();
    let headers = [("authorization", link), ("dpop", proof)];
    let elsewhere = format!("/v1/stops/{}/describe", stop.delivery);
    let sent = page.http().send(reqwest::Method::POST, &elsewhere, &headers, Some(body.to_vec())).await;
    assert_eq!(code(sent), "proof_wrong_url");
    let spaced = [body, b" "].concat();
    let sent = page.http().send(reqwest::Method::POST, prepared.path(), &headers, Some(spaced)).await;
    assert_eq!(code(sent), "proof_wrong_body");
    assert_eq!(t.seen().await.unlock_commands, 0);
}

#[tokio::test]
async fn a_request_sent_twice_opens_once_and_a_spent_grant_never_again() {
    let mut t = theatre().await;
    let (granted, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    let label = at.scan(LABEL).unwrap();
    let body = json!({"labels": [label.to_string()]});
    let prepared = at.page.prepare(&t.courier.device, &at.stop, Action::Open, at.phone, body).await.unwrap();
    let read = async || {
        let car = t.stage.scene.seen_of(&t.owner.hands.vin).await.unwrap();
        car["position_reads"].as_u64().unwrap()
    };
    let before = read().await;
    // The answer was lost on the way: the same bytes again, four at a time.
    let four = futures_util::future::join_all((0..4).map(|_| at.page.send(&prepared))).await;
    let attempts: Vec<_> = four.into_iter().map(|a| StopPage::attempt_of(&a.unwrap()).unwrap()).collect();
    assert!(attempts.iter().all(|a| *a == attempts[0]), "{attempts:?}");
    // Who came second waited for the first, and did not ask the car again.
    assert_eq!(read().await - before, 1);
    let again = StopPage::attempt_of(&at.page.send(&prepared).await.unwrap()).unwrap();
    assert_eq!(again, attempts[0]);
    // A fresh proof joins what lives, and sends nothing.
    let joined = at.page.ask_to_open(&t.courier.device, &at.stop, at.phone, &[label]).await.unwrap();
    assert_eq!(joined, attempts[0]);

    at.follow(again, |s| s["state"] == "ready").await.unwrap();
    t.owner.hands.act(&json!({"action": "open_tailgate"})).await.unwrap();
    at.follow(again, |s| s["state"] == "open").await.unwrap();
    t.owner.hands.act(&json!({"action": "close_tailgate"})).await.unwrap();
    at.close(None).await.unwrap();
    let end = at.follow(again, |s| s["ended"] == json!(true)).await.unwrap();
    assert_eq!(end["lock_proof"], "observed");
    assert_eq!(code(at.page.ask_to_open(&t.courier.device, &at.stop, at.phone, &[label]).await), "grant_spent");
    assert_eq!(t.seen().await.unlock_commands, 1);
    // Locking is never refused to the device that opened, not even now.
    at.page.lock(&t.courier.device, &at.stop, at.phone).await.unwrap();
    assert!(t.seen().await.shut_and_locked);
    // And what the owner signed is accepted once: the same delivery cannot be granted in other words.
    assert!(t.owner.wallet.bundle(DeliveryId::from_bytes([1; 16])).await.is_err());
    let timeline = t.owner.wallet.timeline(granted.delivery).await.unwrap().to_string();
    assert_eq!(timeline.matches("\"open_intended\"").count(), 1, "{timeline}");
    assert_eq!(timeline.matches("\"joined\"").count(), 1, "{timeline}");
    t.stage.stop().await.unwrap();
}

#[tokio::test]
async fn the_second_parcel_that_was_forgotten_opens_it_once_more_under_its_own_record() {
    let t = theatre().await;
    let (granted, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    let label = at.scan(LABEL).unwrap();
    let device = &t.courier.device;
    let attempt = at.ask_to_open(&[label]).await.unwrap();
    for round in 1..=2 {
        at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
        t.owner.hands.act(&json!({"action": "open_tailgate"})).await.unwrap();
        at.follow(attempt, |s| s["state"] == "open").await.unwrap();
        t.owner.hands.act(&json!({"action": "close_tailgate"})).await.unwrap();
        at.page.close(device, &at.stop, at.phone, None, round == 2).await.unwrap();
        at.follow(attempt, |s| s["state"] == "locked").await.unwrap();
        if round == 1 {
            let again = at.page.ask_to_open(device, &at.stop, at.phone, &[label]).await.unwrap();
            assert_eq!(again, attempt, "the same attempt, with a command of its own");
        }
    }
    // A third time is too much: it joins or is refused, and sends nothing.
    let third = at.page.ask_to_open(device, &at.stop, at.phone, &[label]).await;
    assert!(third.is_err() || third.is_ok_and(|a| a == attempt));
    let seen = t.seen().await;
    assert_eq!(seen.unlock_commands, 2);
    assert!(seen.shut_and_locked);
    at.follow(attempt, |s| s["ended"] == json!(true)).await.unwrap();
    let bundle = parcelshelf::people::until(&t.stage.scene.host, "the case bundle", async || {
        match t.owner.wallet.bundle(granted.delivery).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(failure) if failure.code() == Some("bundle_not_ready") => Ok(None),
            Err(other) => Err(other),
        }
    });
    let verdict = parcelshelf_protocol::bundle::verify(&bundle.await.unwrap(), None).unwrap();
    assert_eq!((verdict.openings, verdict.unknown), (2, 0));
    assert_eq!(verdict.lock_proof.map(|p| p.code()), Some("observed"));
}

#[tokio::test]
async fn an_answer_that_was_lost_after_the_car_acted_is_no_failure_and_no_reason_to_send_again() {
    let t = theatre().await;
    let (_, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    t.owner.hands.plan_fault("unlock", "connection_drop_acted").await.unwrap();
    t.owner.hands.plan_fault("lock", "timeout_acted").await.unwrap();
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "unknown").await.unwrap();
    // The courier looks at the lid: it gives.
    t.owner.hands.act(&json!({"action": "open_tailgate"})).await.unwrap();
    at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    t.owner.hands.act(&json!({"action": "close_tailgate"})).await.unwrap();
    at.close(None).await.unwrap();
    let end = at.follow(attempt, |s| s["ended"] == json!(true)).await.unwrap();
    assert_eq!(end["lock_proof"], "observed");
    let seen = t.seen().await;
    assert!(seen.unlock_commands == 1 && seen.shut_and_locked, "{seen:?}");
}

#[tokio::test]
async fn a_bolt_that_does_not_engage_ends_in_an_alarm_that_the_owner_acknowledges() {
    let t = theatre().await;
    let (granted, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    t.owner.hands.act(&json!({"action": "open_tailgate"})).await.unwrap();
    at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    t.owner.hands.act(&json!({"action": "jam_lock"})).await.unwrap();
    t.owner.hands.act(&json!({"action": "close_tailgate"})).await.unwrap();
    at.close(None).await.unwrap();
    // Five tries with pauses between them, then a person is called.
    let mut alarm = json!(null);
    for _ in 0..4 {
        if let Ok(seen) = at.follow(attempt, |s| s["state"] == "alarm").await {
            alarm = seen;
            break;
        }
    }
    assert_eq!(alarm["alarm"], "lock_failed", "{alarm}");
    assert!(alarm["lock_proof"].is_null() && !t.seen().await.shut_and_locked);
    let dispatch = t.stage.scene.dispatch();
    parcelshelf::people::until(&t.stage.scene.host, "the carrier's knowledge of it", async || {
        Ok((dispatch.delivery(granted.delivery).await?["access"]["state"] == "alarm").then_some(()))
    })
    .await
    .unwrap();
    t.owner.wallet.post(&format!("/v1/wallet/deliveries/{}/acknowledge", granted.delivery), &json!({})).await.unwrap();
    let timeline = t.owner.wallet.timeline(granted.delivery).await.unwrap().to_string();
    assert!(timeline.contains("\"alarm\"") && timeline.contains("\"alarm_acknowledged\""), "{timeline}");
    // Whoever mends the bolt lets the next try succeed: locking is never given up.
    t.owner.hands.act(&json!({"action": "free_lock"})).await.unwrap();
    t.owner.wallet.post(&format!("/v1/wallet/deliveries/{}/lock", granted.delivery), &json!({})).await.unwrap();
    let locked = at.follow(attempt, |s| s["lock_proof"] == "observed").await.unwrap();
    assert!(t.seen().await.shut_and_locked, "{locked}");
}

#[tokio::test]
async fn the_carrier_hears_one_word_whether_the_car_is_ready_and_the_owner_hears_why() {
    let t = theatre().await;
    let scene = &t.stage.scene;
    let ordered = scene.merchant().ship(&order(scene.host.now(), LABEL).unwrap(), "ship-0001").await.unwrap();
    t.owner.allow(scene, &ordered).await.unwrap();
    let dispatch = scene.dispatch();
    let answered = async |slot: &str| {
        until(&scene.host, "the answer", async || {
            let seen = dispatch.delivery(ordered.delivery).await?;
            Ok((seen["ready"]["slot"] == slot).then(|| seen.clone()))
        })
        .await
        .unwrap()
    };
    let seen = answered("start_of_window").await;
    assert_eq!(seen["ready"], json!({"slot": "start_of_window", "answer": "yes"}));

    let away = place().moved(200.0, 25_000.0);
    t.owner.hands.act(&json!({"action": "drive_away"})).await.unwrap();
    let park = json!({"action": "park", "latitude": away.latitude_deg(), "longitude": away.longitude_deg()});
    t.owner.hands.act(&park).await.unwrap();
    dispatch.load(ordered.delivery, t.courier.id, "load-0001").await.unwrap();
    t.courier.shipping.start_leg(ordered.delivery, "leg-00001").await.unwrap();
    let seen = answered("ten_minutes_before").await;
    assert_eq!(seen["ready"], json!({"slot": "ten_minutes_before", "answer": "no"}), "before anybody walked");
    assert!(!seen.to_string().contains("not_in_area"), "why is the owner's: {seen}");
    let by_the_shop = scene.merchant().delivery(ordered.delivery).await.unwrap();
    assert!(by_the_shop.get("ready").is_none(), "a shop hears nothing of where a car is: {by_the_shop}");

    let told = t.owner.wallet.timeline(ordered.delivery).await.unwrap()["readiness"].clone();
    let words: Vec<_> = told.as_array().unwrap().iter().map(|r| (r["slot"].clone(), r["answer"].clone())).collect();
    assert_eq!(words, [(json!("start_of_window"), json!("yes")), (json!("ten_minutes_before"), json!("no"))]);
    assert_eq!(told[0]["reasons"], json!([]));
    assert_eq!(told[1]["reasons"][0]["code"], "not_in_area");
    assert!(told[1]["reasons"][0]["text"].as_str().unwrap().contains("Park there"), "{told}");
}

#[tokio::test]
async fn a_car_that_its_owner_takes_back_is_gone_but_not_while_it_may_be_open() {
    let t = theatre().await;
    let (_, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    let vehicle = t.owner.vehicle;
    assert_eq!(code(t.owner.wallet.unlink(vehicle).await), "car_may_be_open");
    t.owner.hands.act(&json!({"action": "open_tailgate"})).await.unwrap();
    t.owner.hands.act(&json!({"action": "close_tailgate"})).await.unwrap();
    at.close(None).await.unwrap();
    at.follow(attempt, |s| s["ended"] == json!(true)).await.unwrap();

    let permission = t.owner.wallet.unlink(vehicle).await.unwrap();
    assert_eq!(permission, "owner_must", "this maker lets only the owner withdraw it, and the owner is told so");
    assert!(t.owner.wallet.vehicles().await.unwrap().is_empty());
    assert_eq!(code(t.owner.wallet.unlink(vehicle).await), "vehicle_unknown");
    assert_eq!(code(at.page.locate(&t.courier.device, &at.stop, at.phone).await), "conditions_not_met");
}

#[tokio::test]
async fn a_permission_that_is_lost_is_asked_of_the_owner_and_not_of_the_maker_again() {
    let t = theatre().await;
    let (_, url) = t.under_way().await;
    let at = t.at(&url).await;
    let (scene, wallet) = (&t.stage.scene, &t.owner.wallet);
    scene.sim().post("/__sim/owners/kim@example.org/revoke", &[], &json!({})).await.unwrap();
    let locate = async || code(at.page.locate(&t.courier.device, &at.stop, at.phone).await);
    assert_eq!(locate().await, "owner_action_needed");
    let requests = async || scene.sim().get("/__sim/summary", &[]).await.unwrap()["requests"].clone();
    let before = requests().await;
    assert!(before.is_u64(), "the simulator counts requests: {before}");
    for _ in 0..3 {
        assert_eq!(locate().await, "owner_action_needed");
    }
    assert_eq!(requests().await, before, "the maker was asked again");
    assert_eq!(wallet.vehicles().await.unwrap()[0]["owner_must_act"], json!(true));

    // The owner links the account anew, and everything goes on.
    let url = wallet.link("volvo").await.unwrap();
    assert_eq!(wallet.http().browse(&format!("{url}&login_hint=kim@example.org")).await.unwrap(), 200);
    assert_eq!(wallet.vehicles().await.unwrap()[0]["owner_must_act"], json!(false));
    at.locate().await.unwrap();
}

#[tokio::test]
async fn a_car_that_is_taken_back_under_way_sends_its_delivery_to_the_fallback_at_once() {
    let t = theatre().await;
    let (granted, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    t.owner.wallet.unlink(t.owner.vehicle).await.unwrap();
    // The courier hears that nothing will come of it, and not why; the carrier has a next step for the parcel.
    let label = at.scan(LABEL).unwrap();
    assert_eq!(code(at.page.ask_to_open(&t.courier.device, &at.stop, at.phone, &[label]).await), "conditions_not_met");
    assert_eq!(code(at.page.locate(&t.courier.device, &at.stop, at.phone).await), "conditions_not_met");
    let dispatch = t.stage.scene.dispatch();
    let stopped = carrier_says(&dispatch, granted.delivery, &["falling_back"]).await.unwrap();
    assert_eq!(stopped["parcels"][0]["reason"], "blocked_by_owner");
    assert!(!stopped.to_string().contains("taken_back"), "that a car was taken back is its owner's: {stopped}");
    let told = t.owner.wallet.timeline(granted.delivery).await.unwrap();
    let words = told["refused"].as_array().unwrap().iter().find(|d| d["code"] == "car_taken_back").unwrap();
    assert!(words["text"].as_str().unwrap().contains("fallback"), "{told}");
    assert_eq!(t.seen().await.unlock_commands, 0);
    // Nothing brings it back, not even the owner's unblocking.
    t.owner.wallet.unblock(granted.delivery).await.unwrap();
    assert_eq!(code(at.page.locate(&t.courier.device, &at.stop, at.phone).await), "conditions_not_met");
}

#[tokio::test]
async fn a_courier_reads_that_the_makers_cloud_is_down_and_when_to_try_again() {
    let t = theatre().await;
    let (granted, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    let sim = t.stage.scene.sim();
    sim.post("/__sim/outage", &[], &json!({"seconds": 4})).await.unwrap();
    let locate = async || at.page.locate(&t.courier.device, &at.stop, at.phone).await;
    let first = locate().await.unwrap_err();
    assert_eq!((first.code(), first.is_passing()), (Some("maker_unreachable"), true));
    // From here on the cloud is not asked again at once, and nobody waits to hear that.
    let requests = async || sim.get("/__sim/summary", &[]).await.unwrap()["requests"].as_u64().unwrap();
    let before = requests().await;
    let label = at.scan(LABEL).unwrap();
    let second = at.page.ask_to_open(&t.courier.device, &at.stop, at.phone, &[label]).await.unwrap_err();
    let Failure::Problem { status, code, detail, retry_after_s } = &second else { panic!("{second}") };
    assert_eq!((*status, code.as_str()), (503, "maker_down"));
    assert!(retry_after_s.is_some_and(|s| (1..=5).contains(&s)), "{second:?}");
    assert!(detail.starts_with("try again in "), "{detail}");
    assert_eq!(requests().await, before);
    // The owner reads it as well; the carrier and the shop read nothing of it.
    let told = t.owner.wallet.timeline(granted.delivery).await.unwrap();
    assert!(told["refused"].as_array().unwrap().iter().any(|d| d["code"] == "maker_down"), "{told}");
    let carrier = t.stage.scene.dispatch().delivery(granted.delivery).await.unwrap();
    assert!(!carrier.to_string().contains("maker"), "{carrier}");
    // It comes back by itself: people keep trying as long as the page says.
    tokio::time::sleep(Duration::from_secs(6)).await;
    at.locate().await.unwrap();
    assert_eq!(t.seen().await.unlock_commands, 0, "what was held back is not sent later");
}

#[tokio::test]
async fn a_command_that_only_the_owner_can_unlock_is_not_sent_again() {
    let t = theatre().await;
    let (granted, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    t.owner.hands.act(&json!({"action": "privacy_on"})).await.unwrap();
    let label = at.scan(LABEL).unwrap();
    let attempt = at.ask_to_open(&[label]).await.unwrap();
    let refused = at.follow(attempt, |s| s["state"] == "did_not_happen").await.unwrap();
    assert_eq!(refused["reason"], "owner_action_needed");
    let ask = async || code(at.page.ask_to_open(&t.courier.device, &at.stop, at.phone, &[label]).await);
    for _ in 0..3 {
        assert_eq!(ask().await, "owner_action_needed");
    }
    assert_eq!(t.seen().await.unlock_commands, 1, "the maker was asked again");
    let car = t.owner.wallet.vehicles().await.unwrap().remove(0);
    assert_eq!(car["owner_must_act"], json!(true));
    assert!(car["owner_must_act_text"].as_str().unwrap().contains("privacy"), "{car}");
    let told = t.owner.wallet.timeline(granted.delivery).await.unwrap();
    assert!(told["refused"].as_array().unwrap().iter().any(|d| d["code"] == "owner_action_needed"), "{told}");

    // The owner switches it off and says so.
    t.owner.hands.act(&json!({"action": "privacy_off"})).await.unwrap();
    t.owner.wallet.look_again(t.owner.vehicle).await.unwrap();
    assert_eq!(t.owner.wallet.vehicles().await.unwrap()[0]["owner_must_act"], json!(false));
    let attempt = at.ask_to_open(&[label]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
}

#[tokio::test]
async fn after_a_block_nothing_is_shown_and_nothing_opens_and_the_carrier_learns_only_that() {
    let t = theatre().await;
    let (granted, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    assert!(t.owner.wallet.block(granted.delivery).await.unwrap(), "no command was in flight");
    let reads = async || t.stage.scene.seen_of(&t.owner.hands.vin).await.unwrap()["position_reads"].as_u64().unwrap();
    let read_before = reads().await;
    let device = &t.courier.device;
    assert_eq!(code(at.page.locate(device, &at.stop, at.phone).await), "conditions_not_met");
    let label = at.scan(LABEL).unwrap();
    assert_eq!(code(at.page.ask_to_open(device, &at.stop, at.phone, &[label]).await), "conditions_not_met");
    assert_eq!(t.seen().await.unlock_commands, 0);
    assert_eq!(reads().await, read_before, "the maker was asked for a place without a live grant");
    let dispatch = t.stage.scene.dispatch();
    let stopped = carrier_says(&dispatch, granted.delivery, &["falling_back"]).await.unwrap();
    assert_eq!(stopped["parcels"][0]["reason"], "blocked_by_owner");
    // A session blocks; only the passkey lifts it.
    let session_only = json!({"scope": "delivery", "id": granted.delivery.to_string()});
    let refused = t.owner.wallet.post("/v1/wallet/unblocks", &session_only).await;
    assert_eq!(code(refused), "body_wrong_member");
    t.owner.wallet.unblock(granted.delivery).await.unwrap();
    at.locate().await.unwrap();
}

#[tokio::test]
async fn a_pause_ends_when_the_owner_signed_that_it_does_and_stops_what_is_under_way() {
    let t = theatre().await;
    let (_, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    let now = || t.stage.scene.host.now();
    let (owner, device) = (&t.owner.wallet, &t.courier.device);
    let end = Timestamp::from_unix_seconds(now().unix_seconds() + 4);
    owner.pause(Some(end)).await.unwrap();
    assert_eq!(code(at.page.locate(device, &at.stop, at.phone).await), "conditions_not_met");
    // A session alone neither pauses nor ends a pause, and a pause has an end that lies ahead.
    assert_eq!(code(owner.post("/v1/wallet/pauses", &json!({})).await), "body_wrong_member");
    let far = Timestamp::from_unix_seconds(now().unix_seconds() + 91 * 86_400);
    for wrong in [now().plus_seconds(-60), far] {
        assert_eq!(code(owner.pause(Some(wrong)).await), "pause_wrong_end");
    }
    while now() < end {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    at.locate().await.unwrap();
    // Ended early by the passkey's word.
    owner.pause(Some(now().plus_seconds(3_600))).await.unwrap();
    assert_eq!(code(at.page.locate(device, &at.stop, at.phone).await), "conditions_not_met");
    owner.pause(None).await.unwrap();
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    owner.pause(Some(now().plus_seconds(3_600))).await.unwrap();
    t.locked_on_command().await;
    assert!(t.owner.hands.act(&json!({"action": "open_tailgate"})).await.is_err(), "the handle gave");
}

#[tokio::test]
async fn a_courier_whom_the_owner_blocked_can_do_nothing_and_another_delivers() {
    let t = theatre().await;
    let (granted, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    let stranger = Device::create(&t.stage.scene.host).unwrap();
    assert_eq!(code(t.owner.wallet.block_courier(stranger.thumbprint()).await), "courier_unknown");
    assert!(t.owner.wallet.block_courier(t.courier.device.thumbprint()).await.unwrap(), "no command was in flight");
    let label = at.scan(LABEL).unwrap();
    assert_eq!(code(at.page.locate(&t.courier.device, &at.stop, at.phone).await), "conditions_not_met");
    assert_eq!(code(at.page.ask_to_open(&t.courier.device, &at.stop, at.phone, &[label]).await), "conditions_not_met");
    // The delivery stands: a second courier takes it over and opens.
    let second = Courier::hire(&t.stage.scene, "Robin Berg", "hire-0002").await.unwrap();
    let dispatch = t.stage.scene.dispatch();
    dispatch.step(granted.delivery, "unload", "unload-01", &json!({})).await.unwrap();
    dispatch.load(granted.delivery, second.id, "load-0002").await.unwrap();
    let url = second.shipping.start_leg(granted.delivery, "leg-00002").await.unwrap();
    let now = AtStop::open(&t.stage.scene, &second, &t.owner, &url, at.phone).await.unwrap();
    now.locate().await.unwrap();
    let attempt = now.ask_to_open(&[now.scan(LABEL).unwrap()]).await.unwrap();
    now.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    assert_eq!(t.seen().await.unlock_commands, 1);
}

#[tokio::test]
async fn blocked_while_it_stands_ready_it_is_locked_at_once() {
    let t = theatre().await;
    let (granted, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    assert!(!t.owner.wallet.block(granted.delivery).await.unwrap(), "a window is open: it is not settled yet");
    // The lock leaves at once; the attempt itself ends only when the window is over, for no maker says that a lock ends it.
    t.locked_on_command().await;
    let refused = t.owner.hands.act(&json!({"action": "open_tailgate"})).await.unwrap_err();
    assert!(matches!(refused, Failure::Problem { status: 409, .. }), "the handle gave: {refused}");
}

#[tokio::test]
async fn after_a_reassignment_the_first_courier_can_do_nothing_but_lock() {
    let t = theatre().await;
    let (granted, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    let second = Courier::hire(&t.stage.scene, "Kim Berg", "hire-0002").await.unwrap();
    let dispatch = t.stage.scene.dispatch();
    dispatch.step(granted.delivery, "unload", "unload-01", &json!({})).await.unwrap();
    dispatch.load(granted.delivery, second.id, "load-0002").await.unwrap();
    let url = second.shipping.start_leg(granted.delivery, "leg-00002").await.unwrap();
    let now = AtStop::open(&t.stage.scene, &second, &t.owner, &url, at.phone).await.unwrap();
    assert_eq!(code(at.page.locate(&t.courier.device, &at.stop, at.phone).await), "delegation_superseded");
    now.locate().await.unwrap();
    let attempt = now.ask_to_open(&[now.scan(LABEL).unwrap()]).await.unwrap();
    now.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    assert_eq!(t.seen().await.unlock_commands, 1);
}

#[tokio::test]
async fn whoever_is_sent_after_an_open_lid_finds_it_and_shuts_it_and_can_do_nothing_else() {
    let t = theatre().await;
    let (granted, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    let label = at.scan(LABEL).unwrap();
    let attempt = at.ask_to_open(&[label]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    t.owner.hands.act(&json!({"action": "open_tailgate"})).await.unwrap();
    at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    // Its own page, loaded anew, finds it again while it is open.
    let (_, own) = at.page.find(&t.courier.device, &at.stop, at.phone).await.unwrap();
    assert_eq!(own, Some(attempt));

    let second = Courier::hire(&t.stage.scene, "Kim Berg", "hire-0002").await.unwrap();
    let dispatch = t.stage.scene.dispatch();
    dispatch.step(granted.delivery, "unload", "unload-01", &json!({})).await.unwrap();
    dispatch.load(granted.delivery, second.id, "load-0002").await.unwrap();
    let url = second.shipping.start_leg(granted.delivery, "leg-00002").await.unwrap();
    let now = AtStop::open(&t.stage.scene, &second, &t.owner, &url, at.phone).await.unwrap();
    let (page, stop, device) = (&now.page, &now.stop, &second.device);
    assert_eq!(code(page.find(device, stop, place().moved(0.0, 9_000.0)).await), "conditions_not_met");
    let (found, left_open) = page.find(device, stop, now.phone).await.unwrap();
    assert_eq!((left_open, found.position.distance_m(&place()) < 1.0), (Some(attempt), true));
    assert_eq!(code(page.describe(device, stop, now.phone).await), "conditions_not_met", "no plate");
    assert_eq!(code(page.ask_to_open(device, stop, now.phone, &[label]).await), "attempt_of_another");
    assert_eq!(code(at.page.find(&t.courier.device, &at.stop, at.phone).await), "delegation_superseded");

    t.owner.hands.act(&json!({"action": "close_tailgate"})).await.unwrap();
    page.close(device, stop, now.phone, None, true).await.unwrap();
    now.follow(attempt, |s| s["state"] == "locked" && s["ended"] == json!(true)).await.unwrap();
    let seen = t.seen().await;
    assert_eq!((seen.unlock_commands, seen.shut_and_locked), (1, true));
    // It is over: nothing is left to take over, and who opened nothing locks nothing.
    assert_eq!(code(page.lock(device, stop, now.phone).await), "nothing_opened");
}

#[tokio::test]
async fn a_page_is_told_that_its_owner_has_stopped_what_it_could_open_once_more() {
    let t = theatre().await;
    let (granted, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    t.owner.hands.act(&json!({"action": "open_tailgate"})).await.unwrap();
    let open = at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    assert_eq!(open["may_reopen"], json!(false), "it is open");
    t.owner.hands.act(&json!({"action": "close_tailgate"})).await.unwrap();
    at.page.close(&t.courier.device, &at.stop, at.phone, None, false).await.unwrap();
    let locked = at.follow(attempt, |s| s["state"] == "locked").await.unwrap();
    assert_eq!(locked["may_reopen"], json!(true));
    // Whoever waits for news hears of it.
    let news = at.follow(attempt, |s| s["may_reopen"] == json!(false));
    let (news, stopped) = tokio::join!(news, t.owner.wallet.block(granted.delivery));
    stopped.unwrap();
    assert_eq!(news.unwrap()["state"], "locked");
}

#[tokio::test]
async fn a_keyholder_that_is_told_to_stop_first_sees_the_open_trunk_locked() {
    let mut t = theatre().await;
    let (_, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    t.owner.hands.act(&json!({"action": "open_tailgate"})).await.unwrap();
    at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    let hands = t.owner.hands.clone();
    let shut = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        hands.act(&json!({"action": "close_tailgate"})).await
    });
    t.stage.keyholder.stop().await.unwrap();
    shut.await.unwrap().unwrap();
    assert!(t.seen().await.shut_and_locked, "it stopped with the trunk unlocked");
}

#[tokio::test]
async fn the_gateway_answers_for_its_own_hosts_only_and_sessions_live_on_the_wallets() {
    let t = theatre().await;
    let l = &t.stage.scene.layout;
    let http = parcelshelf_exchange::bare(None).unwrap();
    let asked = |host: &'static str| http.get(format!("{}/v1/keys", l.gateway_origin)).header("host", host).send();
    assert_eq!(asked("evil.example").await.unwrap().status(), 421);
    let session = t.owner.wallet.session().to_owned();
    let cars = |origin: &str| http.get(format!("{origin}/v1/wallet/vehicles")).header("authorization", &session).send();
    assert_eq!(cars(&l.wallet_origin).await.unwrap().status(), 200);
    assert_eq!(cars(&l.stop_origin).await.unwrap().status(), 404);
    assert_eq!(cars(&l.gateway_origin).await.unwrap().status(), 404);
    // Whoever says who is logged in is not believed.
    let forged = http.get(format!("{}/v1/wallet/vehicles", l.wallet_origin));
    let forged = forged.header("parcelshelf-wallet", t.owner.wallet.id().to_string()).send().await.unwrap();
    assert_eq!(forged.status(), 401);
    // The keys of the carrier's interface do what their role allows.
    let ship = parcelshelf_client::shipping::Shipping::new(&l.carrier_origin, &l.dispatch_key, &t.stage.scene.host);
    let order = order(t.stage.scene.host.now(), LABEL).unwrap();
    assert_eq!(code(ship.ship(&order, "ship-0009").await), "not_allowed");
    let nobody =
        parcelshelf_client::shipping::Shipping::new(&l.carrier_origin, "not-a-key-of-anybody", &t.stage.scene.host);
    assert_eq!(code(nobody.ship(&order, "ship-0009").await), "key_unknown");
    let merchant = t.stage.scene.merchant();
    let first = merchant.ship(&order, "ship-0010").await.unwrap();
    assert_eq!(merchant.ship(&order, "ship-0010").await.unwrap().delivery, first.delivery, "the same answer again");
}

#[tokio::test]
async fn the_log_is_served_and_holds_what_its_checkpoint_says() {
    use parcelshelf_log::note::{Checkpoint, LogVerifier};
    use parcelshelf_log::tile::{FromTiles, TileId, TileKind, Tiles};
    use parcelshelf_log::tree;
    struct One(Vec<u8>);
    impl Tiles for One {
        fn hashes(&self, level: u8, number: u64) -> Option<&[u8]> {
            (level == 0 && number == 0).then_some(self.0.as_slice())
        }
    }
    let t = theatre().await;
    let (granted, _) = t.under_way().await;
    let http = parcelshelf_exchange::bare(None).unwrap();
    let get = async |path: &str| {
        let answer = http.get(format!("{}/log/{path}", t.stage.scene.layout.gateway_origin)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.bytes().await.unwrap().to_vec()
    };
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let note = String::from_utf8(get("checkpoint").await).unwrap();
    let log = LogVerifier::parse(&t.owner.wallet.pinned().claims().log).unwrap();
    let checkpoint = Checkpoint::verify_alone(&note, &log).unwrap();
    let width = u16::try_from(checkpoint.size).unwrap();
    let hashes = get(&TileId { kind: TileKind::Hashes { level: 0 }, number: 0, width }.path()).await;
    let entries = get(&TileId { kind: TileKind::Entries, number: 0, width }.path()).await;
    let entries = parcelshelf_log::tile::unbundled(&entries).unwrap();
    assert_eq!(entries.len(), usize::from(width));
    let tiles = One(hashes);
    assert_eq!(tree::root_of(&FromTiles(&tiles), checkpoint.size).unwrap(), checkpoint.root);
    let accepted: [u8; 32] = granted.accepted.claims().leaf.clone().try_into().unwrap();
    let index = entries.iter().position(|e| *e == accepted).expect("the leaf that the acceptance names") as u64;
    let path = tree::inclusion_proof(&FromTiles(&tiles), index, checkpoint.size).unwrap();
    assert!(tree::verify_inclusion(&tree::leaf_hash(&accepted), index, checkpoint.size, &path, &checkpoint.root));
}

#[tokio::test]
async fn answers_bring_the_next_nonce_so_that_a_stop_asks_for_none() {
    let t = theatre().await;
    let (_, url) = t.under_way().await;
    let net = parcelshelf_exchange::bare(None).unwrap();
    let front = t.stage.scene.layout.stop_origin.clone();
    let asked = async || {
        let metrics = net.get(format!("{front}/metrics")).send().await.unwrap().text().await.unwrap();
        let counts = metrics.lines().filter(|l| l.starts_with("http_requests_total") && l.contains("/nonces\""));
        counts.map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    at.describe().await.unwrap();
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    assert_eq!(asked().await, 0, "the page, the place and the description brought what came next");
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    // Something else than what was expected: asked for, as ever.
    at.page.lock(&t.courier.device, &at.stop, at.phone).await.unwrap();
    assert_eq!(asked().await, 1);

    // Whoever says what it is for gets one, with a refusal, too; whoever does not, or says it badly, gets none.
    let wish = format!("locate.{}.{}", t.courier.device.thumbprint(), "A".repeat(43));
    for (path, wish, comes) in [
        ("/v1/keys", Some(wish.as_str()), true),
        ("/v1/attempts/none", Some(wish.as_str()), true),
        ("/v1/keys", Some("locate"), false),
        ("/v1/keys", None, false),
    ] {
        let mut request = net.get(format!("{front}{path}"));
        if let Some(wish) = wish {
            request = request.header("parcelshelf-next", wish);
        }
        let answer = request.send().await.unwrap();
        let nonce = answer.headers().get("dpop-nonce").map(|n| n.to_str().unwrap().len());
        assert_eq!(nonce, comes.then_some(54), "{path} {wish:?}");
    }
}

/// The car is seen locked long before its maker says so; by then the owner has erased the delivery.
#[tokio::test]
async fn what_a_maker_says_of_an_erased_delivery_is_dropped() {
    let t = theatre().await;
    let (granted, url) = t.under_way().await;
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    let late = json!({"command": "lock", "fault": "slow", "slow_s": 20});
    let faults = format!("/__sim/cars/{}/faults", t.owner.hands.vin);
    t.stage.scene.sim().post(&faults, &[], &late).await.unwrap();
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    t.owner.hands.act(&json!({"action": "open_tailgate"})).await.unwrap();
    at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    t.owner.hands.act(&json!({"action": "close_tailgate"})).await.unwrap();
    at.close(None).await.unwrap();
    at.follow(attempt, |s| s["ended"] == json!(true)).await.unwrap();
    t.owner.wallet.erase(ToErase::Delivery(granted.delivery)).await.unwrap();
    let keyholder = &t.stage.keyholder;
    let dropped = "what is said of it now is dropped";
    assert!(!keyholder.has_said(dropped).unwrap(), "the lock was answered too early for this story");
    until(&t.stage.scene.host, "the late answer", async || Ok(keyholder.has_said(dropped).unwrap().then_some(())))
        .await
        .unwrap();
    assert!(!keyholder.has_said("is tried again").unwrap(), "nobody tries for ever to keep what was erased");
    assert!(t.seen().await.shut_and_locked);
}

#[tokio::test]
async fn nobody_is_erased_with_a_parcel_in_the_van() {
    let t = theatre().await;
    let (granted, url) = t.under_way().await;
    let (dispatch, courier, id) = (t.stage.scene.dispatch(), t.courier.id, granted.delivery);
    assert_eq!(code(dispatch.erase_courier(courier, "erase-0001").await), "courier_carries");
    // They go on as if nobody had asked.
    let at = t.at(&url).await;
    at.locate().await.unwrap();
    t.courier.shipping.step(id, "arrived", "arrived-1", &json!({})).await.unwrap();
    assert_eq!(code(dispatch.erase_courier(courier, "erase-0002").await), "courier_carries");
    t.courier.shipping.step(id, "finish", "finish-01", &json!({})).await.unwrap();
    let left = carrier_says(&dispatch, id, &["falling_back"]).await.unwrap();
    assert_eq!(code(dispatch.erase_courier(courier, "erase-0003").await), "courier_carries", "it is still in the van");
    let parcel = json!({"parcel": left["parcels"][0]["parcel"]});
    t.courier.shipping.step(id, "fallback-done", "fallback1", &parcel).await.unwrap();
    carrier_says(&dispatch, id, &["ended"]).await.unwrap();
    dispatch.erase_courier(courier, "erase-0004").await.unwrap();
    assert_eq!(code(dispatch.load(id, courier, "load-0002").await), "courier_unknown");
}
