//! A courier's day, with hands, a phone in the rain, and no knowledge but what the phone shows.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use parcelshelf_access_onstar::MAKER as ONSTAR;
use parcelshelf_client::courier::{CloseSaid, Stop, StopPage};
use parcelshelf_client::shipping::Shipping;
use parcelshelf_client::{Failure, Host};
use parcelshelf_core::area::Position;
use parcelshelf_core::id::{AttemptId, DeliveryId};
use parcelshelf_core::reason::{Action, Reason};
use parcelshelf_protocol::label;
use parcelshelf_protocol::seal::SealPublicKey;
use serde_json::{Value, json};

use super::book::AtCar;
use super::city::{Stop as Planned, whole_steps};
use super::day::{Day, Delivery};
use super::fate::{BoltFate, ScanFate};
use super::owner;
use super::phone::{Net, Off};
use crate::people::Courier;

mod doorstep;
mod front;

/// A phone that gets no answer asks again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// What was refused for a reason that may pass is asked again after this, so often.
const SOON: Duration = Duration::from_secs(20);
const TRIES: u32 = 3;
/// A courier waits this long for anything at one stop, then does the next best thing.
const PATIENCE: Duration = Duration::from_secs(150);
/// What a courier waits for a maker's cloud that does not answer, however often the page says *try again*.
const MAKER_PATIENCE: Duration = Duration::from_secs(60);
/// The carrier hears of outcomes whenever there is a net again.
const CARRIER_PATIENCE: Duration = Duration::from_secs(3_600);
/// From the van to the car.
const PHONE_OFF_M: f64 = 20.0;
/// A handle that gives is said so, and tried again after the next lock, so often; then the alarm is others' to care for.
const HANDLE_TRIES: u32 = 3;
/// A sealed photo of a lid as phones make them smaller for the net.
const PHOTO_BYTES: usize = 24 * 1024;

/// The whole day of one courier.
pub async fn shift(day: Arc<Day>, courier: Arc<Courier>, route: Vec<Planned>) {
    day.sleep_until(day.city.day_starts).await;
    for stop in route {
        match stop.errand.filter(|n| day.is_played(*n)) {
            None => day.sleep_s(stop.drive_s + 60).await,
            Some(n) => visit(&day, &courier, n, stop.drive_s).await,
        }
    }
}

/// One stop at a car, from setting out to driving on.
async fn visit(day: &Arc<Day>, courier: &Arc<Courier>, n: usize, drive_s: i64) {
    let Some(delivery) = day.delivery(n) else { return day.sleep_s(drive_s).await };
    // Too early: a break.
    if let Some(errand) = day.city.errands.get(n) {
        day.sleep_until(errand.window.start()).await;
    }
    let (host, seen, photo_key) = (phone(day, n), RefCell::default(), RefCell::new(delivery.photo_key.clone()));
    let stop = AtStop { day, courier, n, delivery: &delivery, host, seen, photo_key };
    let done = stop.serve(drive_s).await;
    day.note(n, || format!("courier leaves: {done:?}"));
    day.book.page(n, |p| {
        p.at_car = Some(done);
        p.left_at = Some(day.scene.host.now());
    });
    stop.report(done).await;
    day.tick();
}

/// This stop's phone: a net and a clock of its own.
fn phone(day: &Arc<Day>, n: usize) -> Host {
    let fate = day.fate(n);
    let host = &day.scene.host;
    let clock = Arc::clone(&host.clock);
    let client = Net::client(host.client.clone(), Arc::clone(&clock), day.dice, fate.phone, format!("phone {n}"));
    let clock = if fate.phone_off_s == 0 { clock } else { Arc::new(Off { inner: clock, by_s: fate.phone_off_s }) };
    Host { clock, entropy: Arc::clone(&host.entropy), client }
}

struct AtStop<'a> {
    day: &'a Arc<Day>,
    courier: &'a Arc<Courier>,
    n: usize,
    delivery: &'a Delivery,
    host: Host,
    /// How the attempt stood when the page last heard of it.
    seen: RefCell<Value>,
    /// What photos are sealed to: the owner's key for this grant.
    photo_key: RefCell<Option<SealPublicKey>>,
}

/// Why a step did not come about.
enum Stuck {
    /// Nobody answered for too long.
    NoSignal,
    /// The page said for too long that the maker's cloud does not answer.
    MakerDown,
    /// Refused, with this code.
    Refused(String),
}
impl Stuck {
    fn code(&self) -> &str {
        match self {
            Self::NoSignal => "no_signal",
            Self::MakerDown => "maker_down",
            Self::Refused(code) => code,
        }
    }
}

impl AtStop<'_> {
    /// Asks until somebody answers. What is refused is not asked again.
    async fn patiently<T>(
        &self,
        what: &'static str,
        patience: Duration,
        mut act: impl AsyncFnMut() -> Result<T, Failure>,
    ) -> Result<T, Stuck> {
        let began = self.host.clock.uptime();
        loop {
            let failure = match act().await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let code = failure.code().map_or_else(|| failure.to_string(), str::to_owned);
            self.day.note(self.n, || format!("{what}: {failure}"));
            self.day.book.odd(&format!("{what}: {code}"));
            if !failure.is_passing() {
                return Err(Stuck::Refused(code));
            }
            let waited = self.host.clock.uptime() - began;
            // The page says what it is, and for how long to wait.
            let again = failure.retry_after().map_or(AGAIN, |told| told.max(AGAIN));
            if code.starts_with("maker_") && waited + again > MAKER_PATIENCE.min(patience) {
                return Err(Stuck::MakerDown);
            }
            if waited > patience {
                return Err(Stuck::NoSignal);
            }
            self.host.clock.sleep(again).await;
        }
    }

    /// As [`Self::patiently`], and what was refused because of the car's or the net's state is asked again a few times.
    async fn stubbornly<T>(
        &self,
        what: &'static str,
        mut act: impl AsyncFnMut() -> Result<T, Failure>,
    ) -> Result<T, Stuck> {
        let mut tries = 0;
        loop {
            match self.patiently(what, PATIENCE, &mut act).await {
                Err(Stuck::Refused(code)) if tries < TRIES && may_pass(&code) => {
                    tries += 1;
                    self.host.clock.sleep(SOON).await;
                }
                done => return done,
            }
        }
    }

    async fn sleep_s(&self, seconds: i64) {
        self.day.sleep_s(seconds).await;
    }
    fn drawn_s(&self, what: &str, from: u64, to: u64) -> i64 {
        whole_steps(i64::try_from(self.day.dice.between(what, self.n as u64, from, to)).unwrap_or(0))
    }
    /// Our own calls to the carrier, over the phone's net.
    fn carrier(&self) -> Shipping {
        self.courier.shipping.over(&self.host)
    }
    fn key(&self, step: &str) -> String {
        format!("sim-{}-{step}", self.n)
    }

    async fn serve(&self, drive_s: i64) -> AtCar {
        match self.serve_or_give_up(drive_s).await {
            Ok(done) => done,
            Err(stuck) => {
                self.day.note(self.n, || format!("gives up: {}", stuck.code()));
                AtCar::Not(reason_of(&stuck))
            }
        }
    }

    async fn serve_or_give_up(&self, drive_s: i64) -> Result<AtCar, Stuck> {
        let (day, n) = (self.day, self.n);
        owner::fate_strikes(day, n).await;
        let book = &day.book;
        let url = book
            .timed(&self.host, "leg", async {
                let key = self.key("leg");
                self.patiently("leg", CARRIER_PATIENCE, async || self.carrier().start_leg(self.delivery.id, &key).await)
                    .await
            })
            .await?;
        day.note(n, || String::from("sets out"));
        let stop = Stop::parse(&url).map_err(|_| Stuck::Refused(String::from("stop_url")))?;
        owner::blocks_on_the_way(day, n).await;
        let keys = day.keys();
        let page = book.timed(&self.host, "stop_page", async {
            self.patiently("stop page", PATIENCE, async || {
                StopPage::open_for(&day.scene.layout.stop_origin, &keys, &self.host, &self.courier.device, &stop).await
            })
            .await
        });
        let page = page.await?;
        if day.is_home(n) {
            self.sleep_s(drive_s).await;
            return self.attended(self.serve_the_house(&page, &stop)).await;
        }
        // The phone is still in the van, a street or two away.
        let van = self.delivery.place.moved(45.0, 400.0);
        let located = book.timed(&self.host, "locate", async {
            self.stubbornly("locate", async || page.locate(&self.courier.device, &stop, van).await).await
        });
        let place = located.await?.position;
        book.page(n, |p| p.places_shown += 1);
        day.note(n, || String::from("sees where the car stands"));
        self.sleep_s(drive_s).await;
        self.attended(self.serve_the_car(&page, &stop, place)).await
    }

    /// Serves, and writes down how long the courier stood there.
    async fn attended(&self, serving: impl Future<Output = Result<AtCar, Stuck>>) -> Result<AtCar, Stuck> {
        let book = &self.day.book;
        let began = self.host.clock.uptime();
        let done = serving.await;
        let attended_ms = i64::try_from((self.host.clock.uptime() - began).as_millis()).unwrap_or(0);
        book.took("attended", attended_ms, None);
        book.page(self.n, |p| p.attended_ms = Some(attended_ms));
        done
    }

    /// From arriving to driving on.
    async fn serve_the_car(&self, page: &StopPage, stop: &Stop, mut place: Position) -> Result<AtCar, Stuck> {
        let (day, n, book) = (self.day, self.n, &self.day.book);
        let fate = day.fate(n);
        let mut phone = place.moved(90.0, PHONE_OFF_M);
        let described = self.stubbornly("describe", async || page.describe(&self.courier.device, stop, phone).await);
        if let Err(stuck) = described.await {
            // The car may have moved meanwhile: look again, once.
            self.day.note(n, || format!("is not shown the description: {}", stuck.code()));
            place = self
                .stubbornly("locate again", async || page.locate(&self.courier.device, stop, phone).await)
                .await?
                .position;
            book.page(n, |p| p.places_shown += 1);
            phone = place.moved(90.0, PHONE_OFF_M);
        }
        self.arrives().await;
        if fate.scan == ScanFate::Missing {
            return Ok(AtCar::Not(Reason::MissingParcel));
        }
        let Some((attempt, asked)) = self.open(page, stop, phone).await? else {
            return Ok(AtCar::Not(Reason::DidNotOpen));
        };
        day.book.page(n, |p| p.attempted = true);
        let done = self.at_the_lid(page, stop, phone, attempt, asked).await;
        owner::care_afterwards(day, n, page.clone(), attempt);
        Ok(done)
    }

    /// Tells the carrier. Nothing waits for it.
    async fn arrives(&self) {
        let key = self.key("arrived");
        let arrived = self.patiently("arrived", PATIENCE, async || {
            self.carrier().step(self.delivery.id, "arrived", &key, &json!({})).await
        });
        let _ = arrived.await;
    }

    /// Scans and asks to open. The attempt; when it was asked for; what the maker had taken of this car's time until then.
    async fn open(
        &self,
        page: &StopPage,
        stop: &Stop,
        phone: Position,
    ) -> Result<Option<(AttemptId, (Duration, u64))>, Stuck> {
        let scan = |text: &str| label::hash(&stop.salt, text).map(|h| h.to_string()).unwrap_or_default();
        if self.day.fate(self.n).scan == ScanFate::WrongFirst {
            let labels = json!({"labels": [scan("FJB99999999")]});
            let wrong = self
                .patiently("open with the wrong parcel", PATIENCE, async || {
                    let device = &self.courier.device;
                    let prepared = page.prepare(device, stop, Action::Open, phone, labels.clone()).await?;
                    page.send(&prepared).await
                })
                .await;
            if wrong.is_ok() {
                self.day.book.odd("the wrong parcel opened a car");
                return Err(Stuck::Refused(String::from("wrong_parcel_opened")));
            }
            self.sleep_s(10).await;
        }
        let labels = json!({"labels": [scan(&self.delivery.label)]});
        // A fresh place is the car's time as well.
        let asked = (self.host.clock.uptime(), self.day.held_ms(self.n).await);
        let opened = self.day.book.timed(&self.host, "open_answered", async {
            self.stubbornly("open", async || self.ask_to_open(page, stop, phone, &labels).await).await
        });
        let attempt = opened.await?;
        self.day.kill_between(self.n).await;
        Ok(Some((attempt, asked)))
    }

    /// The same bytes are sent until somebody answers; when they have grown stale, a new proof joins what lives.
    async fn ask_to_open(
        &self,
        page: &StopPage,
        stop: &Stop,
        phone: Position,
        labels: &Value,
    ) -> Result<AttemptId, Failure> {
        for _ in 0..4 {
            let prepared = page.prepare(&self.courier.device, stop, Action::Open, phone, labels.clone()).await?;
            for _ in 0..8 {
                match page.send(&prepared).await {
                    Ok(answer) => {
                        self.saw(&answer);
                        if let Some(key) = page.photo_key(&self.courier.device, stop, &answer)? {
                            self.photo_key.replace(Some(key));
                        }
                        return StopPage::attempt_of(&answer);
                    }
                    Err(failure) if failure.is_passing() => self.host.clock.sleep(AGAIN).await,
                    Err(failure) if failure.code().is_some_and(|c| c.starts_with("nonce_")) => break,
                    Err(other) => return Err(other),
                }
            }
        }
        Err(Failure::Unexpected("nobody answered to the wish to open"))
    }

    /// Follows the attempt and uses the hands.
    async fn at_the_lid(
        &self,
        page: &StopPage,
        stop: &Stop,
        phone: Position,
        attempt: AttemptId,
        (asked, held_before): (Duration, u64),
    ) -> AtCar {
        let (day, n) = (self.day, self.n);
        let held_before = if self.untold() { held_before } else { day.held_ms(n).await };
        let ready = self.follow(page, attempt, |s| {
            matches!(
                s["state"].as_str(),
                Some("ready" | "open" | "did_not_happen" | "unknown" | "locking" | "locked" | "withdrawn")
            ) || s["ended"] == json!(true)
        });
        let Some(seen) = ready.await else { return AtCar::Not(Reason::NoSignal) };
        let state = seen["state"].as_str().unwrap_or_default().to_owned();
        day.note(n, || format!("the page says {state}"));
        if state == "ready" || state == "open" {
            let total_ms = i64::try_from((self.host.clock.uptime() - asked).as_millis()).unwrap_or(0);
            let maker_ms = day.held_ms(n).await.saturating_sub(held_before);
            let added_ms = (total_ms - i64::try_from(maker_ms).unwrap_or(0)).max(0);
            // A maker that is asked after has times of its own, which must not hide in those of the other.
            let (total, added) =
                if self.untold() { ("open_total_polled", "open_added_polled") } else { ("open_total", "open_added") };
            day.book.took(total, total_ms, None);
            day.book.took(added, added_ms, None);
            match day.is_sick() {
                Some(sick) if !self.untold() => {
                    let (total, added) = if sick {
                        ("open_total_others_sick", "open_added_others_sick")
                    } else {
                        ("open_total_others_well", "open_added_others_well")
                    };
                    day.book.took(total, total_ms, None);
                    day.book.took(added, added_ms, None);
                }
                _ => {}
            }
        }
        // Whatever the page says, a hand at the lid tells: an honest page asks for exactly that when it does not know.
        if state == "did_not_happen" && !self.try_lid().await {
            return AtCar::Not(Reason::DidNotOpen);
        }
        if !self.lid_opens(page, attempt).await {
            if self.untold() && state != "did_not_happen" {
                // Nobody but the courier can tell that it is shut.
                self.say_shut(page, stop, phone, attempt).await;
                self.wait_for_release(page, attempt).await;
            }
            return AtCar::Not(if state == "unknown" { Reason::UnknownOutcome } else { Reason::DidNotOpen });
        }
        day.note(n, || String::from("the lid is open"));
        self.sleep_s(self.drawn_s("put", 15, 30)).await;
        self.shut_lid().await;
        self.say_shut(page, stop, phone, attempt).await;
        self.wait_for_release(page, attempt).await;
        AtCar::Placed
    }

    /// The car tells neither lid nor lock: the page asks for the handle after the lock.
    fn untold(&self) -> bool {
        self.day.car(self.n).is_some_and(|car| car.maker == ONSTAR)
    }

    /// Photographs the shut lid and says so; where the page asks for it, pulls the handle after the lock and says whether
    /// it held.
    async fn say_shut(&self, page: &StopPage, stop: &Stop, phone: Position, attempt: AttemptId) {
        let photo = self.photograph(page, stop, attempt).await;
        self.close(page, stop, phone, CloseSaid { handle_checked: !self.untold(), photo, done: true }).await;
        if !self.untold() {
            return;
        }
        let asked = |s: &Value| {
            s["check_handle"] == json!(true)
                || s["ended"] == json!(true)
                || s["state"] == "locked"
                || !s["alarm"].is_null()
        };
        for _ in 0..HANDLE_TRIES {
            let seen = self.follow(page, attempt, asked).await;
            if !seen.is_some_and(|s| s["check_handle"] == json!(true)) {
                return;
            }
            self.sleep_s(5).await;
            let gives = self.day.hand(self.n, &json!({"action": "try_trunk"})).await;
            self.close(page, stop, phone, CloseSaid { handle_checked: !gives, photo, done: true }).await;
            if !gives {
                return;
            }
        }
    }

    async fn close(&self, page: &StopPage, stop: &Stop, phone: Position, said: CloseSaid) {
        let closed = self.day.book.timed(&self.host, "close", async {
            self.patiently("close", PATIENCE, async || page.shut(&self.courier.device, stop, phone, said).await).await
        });
        match closed.await {
            Ok(seen) => self.saw(&seen),
            Err(stuck) => self.day.note(self.n, || format!("cannot say that it is shut: {}", stuck.code())),
        }
    }

    /// The page has heard how the attempt stands.
    fn saw(&self, seen: &Value) {
        if seen["state"] == "unknown" {
            self.day.book.page(self.n, |page| page.saw_unknown = true);
        }
        self.seen.replace(seen.clone());
    }

    /// Pulls at the lid for a while: the window may open a moment after the page last spoke.
    async fn lid_opens(&self, page: &StopPage, attempt: AttemptId) -> bool {
        for _ in 0..8 {
            if self.try_lid().await {
                return true;
            }
            let seen = self.patiently("attempt", PATIENCE, async || page.attempt(attempt, 0).await).await;
            let over = seen.is_ok_and(|s| s["ended"] == json!(true) || s["state"] == "did_not_happen");
            if over {
                return self.try_lid().await;
            }
            self.sleep_s(10).await;
        }
        false
    }
    async fn try_lid(&self) -> bool {
        self.day.hand(self.n, &json!({"action": "open_tailgate"})).await
    }

    async fn shut_lid(&self) {
        let fate = self.day.fate(self.n);
        for _ in 0..fate.bounces {
            self.day.hand(self.n, &json!({"action": "leave_tailgate_ajar"})).await;
            self.day.note(self.n, || String::from("the lid springs open"));
            self.sleep_s(5).await;
        }
        match fate.bolt {
            BoltFate::Sound => {}
            BoltFate::Jams => drop(self.day.hand(self.n, &json!({"action": "jam_lock"})).await),
            BoltFate::JamsUnnoticed => drop(self.day.hand(self.n, &json!({"action": "jam_lock_unnoticed"})).await),
        }
        self.day.hand(self.n, &json!({"action": "close_tailgate"})).await;
    }

    async fn photograph(
        &self,
        page: &StopPage,
        stop: &Stop,
        attempt: AttemptId,
    ) -> Option<parcelshelf_protocol::encoding::Hash> {
        let to = self.photo_key.borrow().clone()?;
        let (device, to) = (&self.courier.device, &to);
        let photo = parcelshelf_client::photo::specimen_of(PHOTO_BYTES);
        let left = self.day.book.timed(&self.host, "photo", async {
            self.patiently("photo", PATIENCE, async || page.leave_photo(device, stop, attempt, to, &photo).await).await
        });
        left.await.ok().map(|(hash, _)| hash)
    }

    /// Until the page lets the courier go: locked, or nothing wrong for a while, or an alarm that others take over.
    async fn wait_for_release(&self, page: &StopPage, attempt: AttemptId) {
        let began = self.host.clock.uptime();
        let enough = |s: &Value| {
            s["released"] == json!(true) || s["ended"] == json!(true) || s["state"] == "locked" || !s["alarm"].is_null()
        };
        let seen = self.follow(page, attempt, enough).await;
        let waited = i64::try_from((self.host.clock.uptime() - began).as_millis()).unwrap_or(0);
        self.day.book.took("released_after_close", waited, None);
        self.day.note(self.n, || match &seen {
            Some(s) => format!("may go: {} released {} alarm {}", s["state"], s["released"], s["alarm"]),
            None => String::from("goes without an answer"),
        });
    }

    /// News of the attempt until `enough`; `None` when none comes for too long.
    async fn follow(&self, page: &StopPage, attempt: AttemptId, enough: impl Fn(&Value) -> bool) -> Option<Value> {
        let began = self.host.clock.uptime();
        // An answer to something else may have told it: what was heard is not asked for again.
        let mut seen = self.seen.borrow().clone();
        while !enough(&seen) {
            if self.host.clock.uptime() - began >= PATIENCE {
                return None;
            }
            let after = seen["seq"].as_u64().unwrap_or(0);
            seen = self.patiently("attempt", PATIENCE, async || page.attempt(attempt, after).await).await.ok()?;
            self.saw(&seen);
        }
        Some(seen)
    }

    /// What became of the parcel, and the way to its fallback.
    async fn report(&self, done: AtCar) {
        if self.day.silent_couriers {
            return;
        }
        let (id, carrier) = (self.delivery.id, self.carrier());
        let body = match done {
            AtCar::Placed => json!({"outcome": "done"}),
            AtCar::Not(reason) => json!({
                "outcome": "not_done", "reason": reason.code(), "fallback": self.day.fallback(self.n),
            }),
        };
        let outcome = format!("parcels/{}/outcome", self.delivery.parcel);
        self.step(&carrier, id, &outcome, "outcome", &body).await;
        self.step(&carrier, id, "finish", "finish", &json!({})).await;
    }

    async fn step(&self, carrier: &Shipping, id: DeliveryId, step: &str, key: &str, body: &Value) {
        let key = self.key(key);
        let told = self.day.book.timed(&self.host, "carrier_step", async {
            self.patiently("outcome", CARRIER_PATIENCE, async || carrier.step(id, step, &key, body).await).await
        });
        if let Err(stuck) = told.await {
            self.day.note(self.n, || format!("the carrier does not take {step}: {}", stuck.code()));
        }
    }
}

/// Refusals after which asking again helps, as the page tells couriers.
fn may_pass(code: &str) -> bool {
    matches!(code, "conditions_not_met" | "too_slow" | "busy" | "attempt_under_way") || code.starts_with("nonce_")
}

/// The reason that the courier's app shows for it.
fn reason_of(stuck: &Stuck) -> Reason {
    match stuck {
        Stuck::NoSignal => Reason::NoSignal,
        Stuck::MakerDown => Reason::NotReachable,
        Stuck::Refused(code) => match code.as_str() {
            "delegation_refused" | "wrong_state" => Reason::BlockedByOwner,
            "leg_window" => Reason::CarrierLate,
            code if code.starts_with("maker_") => Reason::NotReachable,
            _ => Reason::DidNotOpen,
        },
    }
}
