//! A stage with one car, of the second maker if nothing else is said, with simulated time, and people around it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parcelshelf::judge::{self, judge};
use parcelshelf::people::{AtStop, Courier, Hands, Owner, carrier_says, order, persist, until};
use parcelshelf::simulate::conductor::Conductor;
use parcelshelf::simulate::garages::Garages;
use parcelshelf::stage::{Clockwork, Scene, Setting, Stage, Worlds};
use parcelshelf_client::shipping::Ordered;
use parcelshelf_client::wallet::Granted;
use parcelshelf_core::area::Position;
use parcelshelf_core::id::AttemptId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::Host;
use parcelshelf_edge::clock::SystemEntropy;
use parcelshelf_protocol::bundle::Anchors;
use parcelshelf_protocol::encoding::Hash;
use parcelshelf_simulator::garage::{Garage, Seen};
use parcelshelf_simulator::{onstar, volvo};
use serde_json::{Value, json};

use super::play::LABEL;

/// Whose car it is, where, and when the day begins.
pub struct Cast {
    pub maker: &'static str,
    pub login: &'static str,
    pub place: Position,
    pub morning: Timestamp,
    pub vin: String,
    pub worlds: Worlds,
}

fn onstars() -> Cast {
    let (login, place) = ("alex@example.org", Position::new(42.329_15, -83.039_87, 10.0).unwrap());
    let mut car = onstar::CarFile::of(login);
    (car.latitude, car.longitude) = (place.latitude_deg(), place.longitude_deg());
    let vin = onstar::vin_of(car.make, car.model_year, 100_001).unwrap().expose().to_owned();
    car.vin = Some(vin.clone());
    let second = onstar::WorldFile { cars: vec![car], ..onstar::WorldFile::default() };
    let worlds =
        Worlds { volvo: volvo::WorldFile::default(), onstar: Some(second), tesla: None, smartcar: None, home: None };
    // Tuesday, 24 November 2026, 08:00 in Detroit.
    Cast { maker: "onstar", login, place, morning: Timestamp::from_unix_seconds(1_795_525_200), vin, worlds }
}

pub struct Theatre {
    pub scene: Arc<Scene>,
    pub owner: Owner,
    pub courier: Courier,
    pub garage: Arc<dyn Garage>,
    pub conductor: Arc<Conductor>,
    pub before: Seen,
}

/// A courier at the car, about to scan.
pub struct AtCar<'a> {
    pub at: AtStop<'a>,
    pub granted: Granted,
    pub delivery: Ordered,
}

impl Theatre {
    #[allow(dead_code, reason = "one of the tests has a car of its own")]
    pub async fn begin(dir: &Path, setting: Setting) -> (Stage, Self) {
        Self::begin_with(dir, setting, onstars()).await
    }
    pub async fn begin_with(dir: &Path, setting: Setting, cast: Cast) -> (Stage, Self) {
        let Cast { maker, login, place, morning, vin, worlds } = cast;
        let conductor = Arc::new(Conductor::start(dir, morning, 250).unwrap());
        let hold = conductor.hold();
        let host = Host { clock: Arc::new(conductor.clock()), entropy: Arc::new(SystemEntropy) };
        let (garages, clouds) = Garages::serve(worlds, &host).await.unwrap();
        let clockwork = Clockwork { host, conductor: Some(Arc::clone(&conductor)) };
        let stage = Stage::start_parties(dir, clouds, setting, clockwork).await.unwrap();
        drop(hold);
        let scene = Arc::clone(&stage.scene);
        let garage = garages.of(maker);
        let hands = Hands::near(Arc::clone(&garage), &vin);
        let owner = Owner::enrol_at(&scene, maker, login, hands, place, "KLM 482").await.unwrap();
        let courier = Courier::hire(&scene, "Sam Rivera", "hire-0001").await.unwrap();
        let before = garage.seen(&vin).unwrap();
        (stage, Self { scene, owner, courier, garage, conductor, before })
    }

    pub fn seen(&self) -> Seen {
        self.garage.seen(&self.owner.hands.vin).unwrap()
    }
    #[allow(dead_code, reason = "one of the two tests plans faults")]
    pub fn fault(&self, command: &str, fault: &str) {
        let planned = [json!({"command": command, "fault": fault})];
        self.garage.plan_faults(&self.owner.hands.vin, &planned).unwrap();
    }
    pub async fn trunk(&self, action: &str) -> bool {
        self.owner.hands.act(&json!({ "action": action })).await.is_ok()
    }

    /// Shipped, allowed, loaded, under way, located, described, arrived.
    #[allow(dead_code, reason = "what was allowed in advance comes another way")]
    pub async fn arrive(&self) -> AtCar<'_> {
        let scene = &self.scene;
        let order = order(scene.host.now(), LABEL).unwrap();
        let delivery = scene.merchant().ship(&order, "ship-0001").await.unwrap();
        let granted = self.owner.allow(scene, &delivery).await.unwrap();
        let (dispatch, id) = (scene.dispatch(), delivery.delivery);
        carrier_says(&dispatch, id, &["accepted"]).await.unwrap();
        dispatch.load(id, self.courier.id, "load-0001").await.unwrap();
        let url = persist(&scene.host, "the leg", async || self.courier.shipping.start_leg(id, "leg-00001").await);
        let phone = self.owner.place.moved(45.0, 20.0);
        let at = AtStop::open(scene, &self.courier, &self.owner, &url.await.unwrap(), phone).await.unwrap();
        let shown = at.locate().await.unwrap();
        assert!(shown.position.distance_m(&self.owner.place) < 1.0 && shown.taken_at.is_some(), "not a fresh place");
        assert_eq!(at.describe().await.unwrap().plate, "KLM 482");
        self.courier.shipping.step(id, "arrived", "arrived-1", &json!({})).await.unwrap();
        AtCar { at, granted, delivery }
    }

    pub async fn photo(&self, a: &AtCar<'_>, attempt: AttemptId) -> Hash {
        let to = self.owner.wallet.seal_key_of(a.granted.id).unwrap();
        a.at.photograph(attempt, &to, &parcelshelf_client::photo::specimen()).await.unwrap()
    }

    #[allow(dead_code, reason = "not every maker's cars need the hand")]
    /// Shut, photographed, and after the lock a hand at the handle, which must hold.
    pub async fn close_and_check(&self, a: &AtCar<'_>, attempt: AttemptId) -> Value {
        let photo = self.photo(a, attempt).await;
        a.at.shut(false, Some(photo)).await.unwrap();
        let asked = a.at.follow(attempt, |s| s["check_handle"] == json!(true)).await.unwrap();
        assert_eq!((&asked["state"], &asked["released"]), (&json!("locking"), &json!(false)));
        assert!(!self.trunk("try_trunk").await, "the handle gives");
        a.at.shut(true, Some(photo)).await.unwrap();
        a.at.follow(attempt, |s| s["ended"] == json!(true)).await.unwrap()
    }

    /// The parcel's outcome, and what the case shows against what the car itself recorded.
    pub async fn end(&self, a: &AtCar<'_>) -> judge::Finding {
        let (shipping, id) = (&self.courier.shipping, a.delivery.delivery);
        let outcome = format!("parcels/{}/outcome", a.delivery.parcels[0]);
        shipping.step(id, &outcome, "outcome-1", &json!({"outcome": "done"})).await.unwrap();
        shipping.step(id, "finish", "finish-01", &json!({})).await.unwrap();
        let said = carrier_says(&self.scene.dispatch(), id, &["ended"]).await.unwrap();
        assert_eq!(said["end"], "delivered");
        self.case(a).await
    }

    pub async fn case(&self, a: &AtCar<'_>) -> judge::Finding {
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
        let anchors = Anchors::published(keys, &self.scene.operator);
        let now = self.seen();
        let seen = judge::Seen {
            tailgate_openings: now.lid_openings - self.before.lid_openings,
            unlock_commands: now.open_commands - self.before.open_commands,
            shut_and_locked: now.shut_and_locked,
        };
        judge(seen, &bytes.await.unwrap(), &anchors)
    }
}
