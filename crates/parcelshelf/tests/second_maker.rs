//! Deliveries into cars whose maker answers later and tells neither lid nor lock: the whole story through real processes,
//! with simulated time. One test, because whoever moves the clock watches every thread of this process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/play.rs"]
#[expect(dead_code, reason = "only the label is needed here")]
mod play;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parcelshelf::judge::{self, judge};
use parcelshelf::people::{AtStop, Courier, Hands, Owner, carrier_says, order, persist, until};
use parcelshelf::simulate::conductor::Conductor;
use parcelshelf::simulate::garages::Garages;
use parcelshelf::stage::{Clockwork, Scene, Setting, Stage, Worlds};
use parcelshelf_client::wallet::Granted;
use parcelshelf_core::area::Position;
use parcelshelf_core::id::AttemptId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::Host;
use parcelshelf_edge::clock::SystemEntropy;
use parcelshelf_protocol::bundle::Anchors;
use parcelshelf_simulator::garage::{Garage, Seen};
use parcelshelf_simulator::{onstar, volvo};
use play::LABEL;
use serde_json::{Value, json};

const MAKER: &str = "onstar";
const LOGIN: &str = "alex@example.org";
/// Tuesday, 24 November 2026, 08:00 in Detroit.
const MORNING: Timestamp = Timestamp::from_unix_seconds(1_795_525_200);

fn place() -> Position {
    Position::new(42.329_15, -83.039_87, 10.0).unwrap()
}

struct Theatre {
    scene: Arc<Scene>,
    owner: Owner,
    courier: Courier,
    garage: Arc<dyn Garage>,
    conductor: Arc<Conductor>,
    before: Seen,
}

/// A courier at the car, about to scan.
struct AtCar<'a> {
    at: AtStop<'a>,
    granted: Granted,
    delivery: parcelshelf_client::shipping::Ordered,
}

impl Theatre {
    async fn begin(dir: &Path) -> (Stage, Self) {
        let conductor = Arc::new(Conductor::start(dir, MORNING, 250).unwrap());
        let hold = conductor.hold();
        let host = Host { clock: Arc::new(conductor.clock()), entropy: Arc::new(SystemEntropy) };
        let mut car = onstar::CarFile::of(LOGIN);
        (car.latitude, car.longitude) = (place().latitude_deg(), place().longitude_deg());
        let vin = onstar::vin_of(car.make, car.model_year, 100_001).unwrap().expose().to_owned();
        car.vin = Some(vin.clone());
        let second = onstar::WorldFile { cars: vec![car], ..onstar::WorldFile::default() };
        let worlds = Worlds { volvo: volvo::WorldFile::default(), onstar: Some(second), tesla: None };
        let (garages, clouds) = Garages::serve(worlds, &host).await.unwrap();
        let clockwork = Clockwork { host, conductor: Some(Arc::clone(&conductor)) };
        let stage = Stage::start_parties(dir, clouds, Setting::default(), clockwork).await.unwrap();
        drop(hold);
        let scene = Arc::clone(&stage.scene);
        let garage = garages.of(MAKER);
        let hands = Hands::near(Arc::clone(&garage), &vin);
        let owner = Owner::enrol_at(&scene, MAKER, LOGIN, hands, place(), "KLM 482").await.unwrap();
        let courier = Courier::hire(&scene, "Sam Rivera", "hire-0001").await.unwrap();
        let before = garage.seen(&vin).unwrap();
        (stage, Self { scene, owner, courier, garage, conductor, before })
    }

    fn seen(&self) -> Seen {
        self.garage.seen(&self.owner.hands.vin).unwrap()
    }
    fn fault(&self, command: &str, fault: &str) {
        let planned = [json!({"command": command, "fault": fault})];
        self.garage.plan_faults(&self.owner.hands.vin, &planned).unwrap();
    }
    async fn trunk(&self, action: &str) -> bool {
        self.owner.hands.act(&json!({ "action": action })).await.is_ok()
    }

    /// Shipped, allowed, loaded, under way, located, described, arrived.
    async fn arrive(&self) -> AtCar<'_> {
        let scene = &self.scene;
        let order = order(scene.host.now(), LABEL).unwrap();
        let delivery = scene.merchant().ship(&order, "ship-0001").await.unwrap();
        let granted = self.owner.allow(scene, &delivery).await.unwrap();
        let (dispatch, id) = (scene.dispatch(), delivery.delivery);
        carrier_says(&dispatch, id, &["accepted"]).await.unwrap();
        dispatch.load(id, self.courier.id, "load-0001").await.unwrap();
        let url = persist(&scene.host, "the leg", async || self.courier.shipping.start_leg(id, "leg-00001").await);
        let phone = place().moved(45.0, 20.0);
        let at = AtStop::open(scene, &self.courier, &self.owner, &url.await.unwrap(), phone).await.unwrap();
        let shown = at.locate().await.unwrap();
        assert!(shown.position.distance_m(&place()) < 1.0 && shown.taken_at.is_some(), "not a fresh place");
        assert_eq!(at.describe().await.unwrap().plate, "KLM 482");
        self.courier.shipping.step(id, "arrived", "arrived-1", &json!({})).await.unwrap();
        AtCar { at, granted, delivery }
    }

    async fn photo(&self, a: &AtCar<'_>, attempt: AttemptId) -> parcelshelf_protocol::encoding::Hash {
        let to = self.owner.wallet.seal_key_of(a.granted.id).unwrap();
        a.at.photograph(attempt, &to, b"a closed lid").await.unwrap()
    }

    /// Shut, photographed, and after the lock a hand at the handle, which must hold.
    async fn close_and_check(&self, a: &AtCar<'_>, attempt: AttemptId) -> Value {
        let photo = self.photo(a, attempt).await;
        a.at.shut(false, Some(photo)).await.unwrap();
        let asked = a.at.follow(attempt, |s| s["check_handle"] == json!(true)).await.unwrap();
        assert_eq!((&asked["state"], &asked["released"]), (&json!("locking"), &json!(false)));
        assert!(!self.trunk("try_trunk").await, "the handle gives");
        a.at.shut(true, Some(photo)).await.unwrap();
        a.at.follow(attempt, |s| s["ended"] == json!(true)).await.unwrap()
    }

    /// The parcel's outcome, and what the case shows against what the car itself recorded.
    async fn end(&self, a: &AtCar<'_>) -> judge::Finding {
        let (shipping, id) = (&self.courier.shipping, a.delivery.delivery);
        let outcome = format!("parcels/{}/outcome", a.delivery.parcels[0]);
        shipping.step(id, &outcome, "outcome-1", &json!({"outcome": "done"})).await.unwrap();
        shipping.step(id, "finish", "finish-01", &json!({})).await.unwrap();
        let said = carrier_says(&self.scene.dispatch(), id, &["ended"]).await.unwrap();
        assert_eq!(said["end"], "delivered");
        self.case(a).await
    }

    async fn case(&self, a: &AtCar<'_>) -> judge::Finding {
        // Checkpoints come in real time.
        let hold = self.conductor.hold();
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        drop(hold);
        let bytes = until(&self.scene.host, "the case bundle", async || {
            match self.owner.wallet.bundle(a.granted.delivery).await {
                Ok(bytes) => Ok(Some(bytes)),
                Err(failure) if failure.code() == Some("bundle_not_ready") => Ok(None),
                Err(other) => Err(other),
            }
        });
        let keys = self.owner.wallet.pinned().claims();
        let anchors = Anchors {
            aud: keys.iss.clone(),
            log: keys.log.clone(),
            operator: self.scene.operator.clone(),
            rp_id: keys.rp_id.clone(),
            wallet_origin: keys.wallet_origin.clone(),
        };
        let now = self.seen();
        let seen = judge::Seen {
            tailgate_openings: now.lid_openings - self.before.lid_openings,
            unlock_commands: now.open_commands - self.before.open_commands,
            shut_and_locked: now.shut_and_locked,
        };
        judge(seen, &bytes.await.unwrap(), &anchors)
    }
}

fn code(finding: &judge::Finding) -> Option<&'static str> {
    finding.lock_proof.map(|p| p.code())
}

async fn a_parcel_is_delivered_and_the_case_agrees_with_the_car(t: &Theatre) {
    let cars = t.owner.wallet.vehicles().await.unwrap();
    let words = cars[0]["facts"]["how_locking_is_proved"].as_str().unwrap();
    assert!(words.contains("the courier checks the handle"), "{words}");
    let a = t.arrive().await;
    let attempt = a.at.ask_to_open(&[a.at.scan(LABEL).unwrap()]).await.unwrap();
    a.at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    assert!(t.trunk("open_trunk").await && t.trunk("close_trunk").await);
    let end = t.close_and_check(&a, attempt).await;
    assert_eq!(end["lock_proof"], "executed");
    let finding = t.end(&a).await;
    assert_eq!((finding.violations.as_slice(), finding.openings, code(&finding)), (&[][..], 1, Some("executed")));
    assert_eq!(t.seen().open_commands - t.before.open_commands, 1);
}

async fn it_moved_though_the_maker_says_failed(t: &Theatre) {
    t.fault("unlockTrunk", "failure_acted");
    let a = t.arrive().await;
    let attempt = a.at.ask_to_open(&[a.at.scan(LABEL).unwrap()]).await.unwrap();
    a.at.follow(attempt, |s| s["state"] == "unknown" || s["state"] == "locking").await.unwrap();
    assert!(t.trunk("open_trunk").await, "it had moved before the maker said no");
    assert!(t.trunk("close_trunk").await);
    let end = t.close_and_check(&a, attempt).await;
    assert_eq!(end["lock_proof"], "executed");
    // The use is spent: nobody can say that nothing moved.
    let again = a.at.page.ask_to_open(&t.courier.device, &a.at.stop, a.at.phone, &[a.at.scan(LABEL).unwrap()]).await;
    assert_eq!(again.unwrap_err().code(), Some("grant_spent"));
    let finding = t.end(&a).await;
    let verdict = finding.verdict.as_ref().unwrap();
    assert_eq!((verdict.openings, verdict.unknown, finding.violations.len()), (0, 1, 0), "{:?}", finding.violations);
    assert!(t.seen().shut_and_locked);
}

async fn without_a_hand_at_the_handle_there_is_an_alarm(t: &Theatre) {
    let a = t.arrive().await;
    let attempt = a.at.ask_to_open(&[a.at.scan(LABEL).unwrap()]).await.unwrap();
    a.at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    assert!(t.trunk("open_trunk").await && t.trunk("close_trunk").await);
    let photo = t.photo(&a, attempt).await;
    a.at.shut(false, Some(photo)).await.unwrap();
    let alarmed = a.at.follow(attempt, |s| s["state"] == "alarm").await.unwrap();
    assert_eq!((&alarmed["alarm"], &alarmed["lock_proof"]), (&json!("lock_unproved"), &Value::Null));
    let finding = t.case(&a).await;
    assert_eq!((finding.violations.as_slice(), code(&finding)), (&[][..], None));
    // The courier comes back to the handle after all: proved, and nobody need look.
    assert!(!t.trunk("try_trunk").await);
    a.at.shut(true, Some(photo)).await.unwrap();
    let end = a.at.follow(attempt, |s| s["ended"] == json!(true)).await.unwrap();
    assert_eq!((&end["lock_proof"], &end["alarm"]), (&json!("executed"), &json!("lock_unproved")));
}

/// Killed as soon as the handle of the command is durable: the same command is asked after, none is sent.
async fn killed_while_it_asks_the_keyholder_goes_on(stage: &mut Stage, t: &Theatre) {
    let keyholder = &mut stage.keyholder;
    keyholder.kill().await.unwrap();
    keyholder.restart(&["--hold-at".to_owned(), "after:keep_open_handle".to_owned()]).await.unwrap();
    let a = t.arrive().await;
    let labels = [a.at.scan(LABEL).unwrap()];
    let killing = async {
        while !keyholder.has_said("\"held\"").unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        keyholder.kill().await.unwrap();
        keyholder.restart(&[]).await.unwrap();
    };
    let (attempt, ()) = tokio::join!(a.at.ask_to_open(&labels), killing);
    let attempt = attempt.unwrap();
    a.at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    assert!(t.trunk("open_trunk").await && t.trunk("close_trunk").await);
    let end = t.close_and_check(&a, attempt).await;
    assert_eq!(end["lock_proof"], "executed");
    let finding = t.end(&a).await;
    assert_eq!((finding.violations.as_slice(), finding.openings), (&[][..], 1));
    assert_eq!(t.seen().open_commands - t.before.open_commands, 1, "asked after, not sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_car_that_tells_nothing_goes_through_the_whole_story() {
    for story in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let (mut stage, theatre) = Theatre::begin(dir.path()).await;
        match story {
            0 => a_parcel_is_delivered_and_the_case_agrees_with_the_car(&theatre).await,
            1 => it_moved_though_the_maker_says_failed(&theatre).await,
            2 => without_a_hand_at_the_handle_there_is_an_alarm(&theatre).await,
            _ => killed_while_it_asks_the_keyholder_goes_on(&mut stage, &theatre).await,
        }
        stage.stop().await.unwrap();
    }
}
