//! What everybody of a simulated day shares.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parcelshelf_access_homeassistant::DOORS;
use parcelshelf_core::area::Position;
use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_protocol::keys::VerifiedKeys;
use parcelshelf_protocol::seal::SealPublicKey;
use parcelshelf_simulator::garage::Seen;
use serde_json::Value;

use super::book::Book;
use super::city::{City, Home, STEP_S};
use super::dice::Dice;
use super::fate::Fate;
use super::garages::Garages;
use super::kills::Kills;
use crate::people::Owner;
use crate::stage::Scene;

/// A sick cloud hangs so long, then it is well so long: seconds.
pub const SICK_S: i64 = 1_800;

/// One delivery as carrier and courier know it, and what the judge needs.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: DeliveryId,
    pub parcel: String,
    pub label: String,
    /// The link that the carrier sent to the owner.
    pub consent_url: String,
    /// Where the car stood in the morning: the courier's van starts from near there.
    pub place: Position,
    /// For the photo: the owner's key of this grant.
    pub photo_key: Option<SealPublicKey>,
}

/// One delivery's car, or its garage or front door.
#[derive(Debug, Clone)]
pub struct Car {
    pub maker: &'static str,
    pub login: String,
    pub vin: String,
    /// What stands at the building instead of a car.
    pub home: Option<Home>,
}

/// A simulated day.
pub struct Day {
    pub scene: Arc<Scene>,
    pub city: City,
    pub fates: Vec<Fate>,
    pub cars: Vec<Car>,
    pub garages: Garages,
    pub dice: Dice,
    pub book: Book,
    pub kills: Kills,
    /// Play only this delivery's stop.
    pub only: Option<usize>,
    pub silent_couriers: bool,
    /// The second maker's cloud hangs every other half hour.
    pub sick: bool,
    owners: Mutex<Vec<Option<Arc<Owner>>>>,
    deliveries: Mutex<Vec<Option<Arc<Delivery>>>>,
    keys: Mutex<Option<VerifiedKeys>>,
    done: AtomicUsize,
    later: AtomicUsize,
}
impl std::fmt::Debug for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Day({} deliveries)", self.cars.len())
    }
}

/// The parts of a day that are decided before it begins.
#[derive(Debug)]
pub struct Plan {
    pub city: City,
    pub fates: Vec<Fate>,
    pub cars: Vec<Car>,
    pub dice: Dice,
    pub only: Option<usize>,
    pub traced: bool,
    /// Couriers never say what became of a parcel: the judge must notice.
    pub silent_couriers: bool,
    pub sick: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Day {
    #[must_use]
    pub fn new(scene: Arc<Scene>, garages: Garages, kills: Kills, plan: Plan) -> Self {
        let count = plan.cars.len();
        Self {
            scene,
            city: plan.city,
            fates: plan.fates,
            cars: plan.cars,
            garages,
            dice: plan.dice,
            book: Book::new(count, plan.traced),
            kills,
            only: plan.only,
            silent_couriers: plan.silent_couriers,
            sick: plan.sick,
            owners: Mutex::new(vec![None; count]),
            deliveries: Mutex::new(vec![None; count]),
            keys: Mutex::new(None),
            done: AtomicUsize::new(0),
            later: AtomicUsize::new(0),
        }
    }

    #[must_use]
    pub fn car(&self, n: usize) -> Option<&Car> {
        self.cars.get(n)
    }
    /// # Panics
    /// For a delivery that is not in the plan, which nobody asks for.
    #[must_use]
    pub fn fate(&self, n: usize) -> &Fate {
        &self.fates[n]
    }
    #[must_use]
    pub fn is_played(&self, n: usize) -> bool {
        self.only.is_none_or(|only| only == n)
    }
    #[must_use]
    pub fn owner(&self, n: usize) -> Option<Arc<Owner>> {
        lock(&self.owners).get(n).cloned().flatten()
    }
    pub fn put_owner(&self, n: usize, owner: Arc<Owner>) {
        lock(&self.keys).get_or_insert_with(|| owner.wallet.pinned().clone());
        if let Some(place) = lock(&self.owners).get_mut(n) {
            *place = Some(owner);
        }
    }
    #[must_use]
    pub fn delivery(&self, n: usize) -> Option<Arc<Delivery>> {
        lock(&self.deliveries).get(n).cloned().flatten()
    }
    pub fn put_delivery(&self, n: usize, delivery: Delivery) {
        if let Some(place) = lock(&self.deliveries).get_mut(n) {
            *place = Some(Arc::new(delivery));
        }
    }
    /// The keyholder's keys as every phone has pinned them.
    ///
    /// # Panics
    /// Before the first owner has enrolled; couriers set out later.
    #[must_use]
    pub fn keys(&self) -> VerifiedKeys {
        lock(&self.keys).clone().expect("owners enrol before couriers set out")
    }

    /// Whether the second maker's cloud hangs now; `None` on a day without that.
    #[must_use]
    pub fn is_sick(&self) -> Option<bool> {
        let half_hours = self.now().millis_since(self.city.day_starts).div_euclid(SICK_S * 1_000);
        self.sick.then_some(half_hours.rem_euclid(2) == 1)
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.scene.host.now()
    }
    /// People's doings end on whole steps of the day's clock: what happens close together happens together, and the
    /// services are busy as they would be in a large city instead of waking up for each request alone.
    pub async fn sleep_s(&self, seconds: i64) {
        let end_ms = self.now().plus_seconds(seconds).unix_millis();
        let step_ms = STEP_S * 1_000;
        let until = Timestamp::from_unix_millis(end_ms + (step_ms - end_ms.rem_euclid(step_ms)) % step_ms);
        self.sleep_until(until).await;
    }
    pub async fn sleep_until(&self, at: Timestamp) {
        self.scene.host.clock.sleep(self.now().until(at)).await;
    }
    pub fn note(&self, n: usize, line: impl FnOnce() -> String) {
        self.book.note(n, self.now(), line);
    }

    /// Whether this delivery goes into a garage or behind a front door.
    #[must_use]
    pub fn is_home(&self, n: usize) -> bool {
        self.car(n).is_some_and(|car| car.home.is_some())
    }
    #[must_use]
    pub fn is_front_door(&self, n: usize) -> bool {
        self.car(n).is_some_and(|car| car.maker == DOORS)
    }
    /// A hand at the car. False when it does not let it.
    pub async fn hand(&self, n: usize, action: &Value) -> bool {
        let done = self.car(n).is_some_and(|car| self.garages.of(car.maker).hand(&car.vin, action));
        self.note(n, || format!("hand: {} {}", action["action"], if done { "done" } else { "impossible" }));
        done
    }
    /// What a car recorded.
    #[must_use]
    pub fn seen(&self, car: &Car) -> Seen {
        self.garages.of(car.maker).seen(&car.vin).unwrap_or_default()
    }
    /// What whoever stands before a garage sees of its door, or a hand at a front door finds.
    #[must_use]
    pub fn stands_open(&self, n: usize) -> bool {
        self.car(n).is_some_and(|car| !self.seen(car).shut_and_locked)
    }
    /// Simulated milliseconds for which the maker held answers about this car back, so far.
    pub async fn held_ms(&self, n: usize) -> u64 {
        self.car(n).map_or(0, |car| self.seen(car).held_ms)
    }
    /// Where the parcel goes if not into the car.
    #[must_use]
    pub fn fallback(&self, n: usize) -> &'static str {
        match self.dice.between("fallback", n as u64, 0, 9) {
            0..=6 => "address",
            7 => "parcel_shop",
            _ => "return",
        }
    }
    /// Now would be a moment between intent and result: kills the keyholder there if it is this one's turn.
    pub async fn kill_between(&self, n: usize) {
        self.kills.between(self, n).await;
    }

    pub fn tick(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
    #[must_use]
    pub fn ticked(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }
    /// Something goes on after the courier has left.
    pub fn later(&self) {
        self.later.fetch_add(1, Ordering::AcqRel);
    }
    pub fn done_later(&self) {
        self.later.fetch_sub(1, Ordering::AcqRel);
    }
    #[must_use]
    pub fn has_later(&self) -> bool {
        self.later.load(Ordering::Acquire) > 0
    }
}
