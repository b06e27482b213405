//! The world: owners, client applications, cars, requests under way, and everything the cloud knows. Moves only by its
//! methods, and only to the time that they are given.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;

use super::car::{Answer, Build, Car, Closure, Event, Order, Place, Trip};
use super::fault::{self, Acts, Command, Effect, FAULTS_PER_CAR_MAX, Fault, Hears, Says, Target};
use super::file::{BadWorld, CarFile, ClientFile, Latency, Limits, WorldFile, bad, parse_fault, place, vin_of};
use super::identity::Identity;
use super::record::{CommandSeen, Record};

pub const CARS_MAX: usize = 50_000;
pub const OWNERS_MAX: usize = 50_000;
pub const CLIENTS_MAX: usize = 100;
/// Requests that can be asked about; the oldest are forgotten.
const REQUESTS_MAX: usize = 50_000;
/// Commands waiting for one car.
const WAITING_MAX: usize = 64;
/// An unreachable car fails its commands after so many seconds.
const UNREACHABLE_S: i64 = 60;

/// The two generations of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    V3,
    V1,
}
impl Api {
    const fn code(self) -> &'static str {
        match self {
            Self::V3 => "v3",
            Self::V1 => "v1",
        }
    }
}

/// A command as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub api: Api,
    pub command: Command,
    /// Of an alert: the horn too.
    pub horn: bool,
}
impl Wish {
    const fn order(self) -> Option<Order> {
        Some(match self.command {
            Command::UnlockTrunk => Order::UnlockTrunk,
            Command::LockTrunk => Order::LockTrunk,
            Command::Unlock => Order::Unlock,
            Command::Lock => Order::Lock,
            Command::Alert => Order::Alert { horn: self.horn },
            Command::CancelAlert => Order::CancelAlert,
            Command::Location => return None,
        })
    }
}

/// A command under way, found by its request URL.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: String,
    pub vin: String,
    pub owner: String,
    pub wish: Wish,
    pub asked_at: Timestamp,
    says: Says,
    /// Nothing but "in progress" before then.
    ends_at: Timestamp,
    /// What the car made of it, once it did.
    made: Option<Answer>,
    place: Option<Place>,
}
/// How a request stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    InProgress,
    Success(Option<Place>),
    Failure(&'static str),
    Error,
    Odd,
}
impl Request {
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        if now < self.ends_at {
            return Standing::InProgress;
        }
        match (self.says, self.made) {
            (Says::InProgress, _) | (Says::Truth, None) => Standing::InProgress,
            (Says::Success, _) | (Says::Truth, Some(Answer::Done)) => Standing::Success(self.place),
            (Says::Truth, Some(Answer::Refused(why) | Answer::Impossible(why))) => Standing::Failure(why),
            (Says::Failure, _) => Standing::Failure("simulated failure"),
            (Says::Error, _) => Standing::Error,
            (Says::Odd, _) => Standing::Odd,
        }
    }
}

/// What the caller of a command hears at once.
#[derive(Clone, Debug)]
pub enum Told {
    Request { request: Box<Request>, elsewhere: bool, late_by_s: u32 },
    Http(u16),
    Nothing,
    Garbage,
}

/// A position as the cloud has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fix {
    pub place: Place,
    pub pending: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Owner {
    pub without_vehs: bool,
    vins: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub file: CarFile,
    pub vin: Vin,
    pub car: Car,
    faults: Vec<Fault>,
    attempts: HashMap<Target, u64>,
    /// Request ids with the time at which the car acts on them.
    waiting: Vec<(Timestamp, String)>,
    /// The last position that reached the cloud.
    fix: Place,
    /// When a fresh one arrives, if one was asked for; `None` inside: never.
    fix_due: Option<Option<Timestamp>>,
    /// Commands this car's contract allows.
    allowed: BTreeSet<&'static str>,
    /// Simulated milliseconds for which answers about this car were held back, and that the car itself took.
    pub held_ms: u64,
    answers: u64,
}

#[derive(Debug)]
pub struct World {
    seed: u64,
    limits: Limits,
    latency: Latency,
    /// No request is answered before this moment, but with 503.
    pub down_until: Timestamp,
    /// Until then requests are taken and not answered.
    pub hangs_until: Timestamp,
    pub clients: Vec<ClientFile>,
    pub owners: BTreeMap<String, Owner>,
    cars: BTreeMap<String, Entry>,
    requests: HashMap<String, Request>,
    order_of_requests: VecDeque<String>,
    pub identity: Identity,
    pub record: Record,
    quota: HashMap<(String, bool), VecDeque<Timestamp>>,
    next_serial: u32,
}

impl World {
    /// # Errors
    /// [`BadWorld`] names the first thing that cannot be.
    pub fn build(file: WorldFile, now: Timestamp) -> Result<Self, BadWorld> {
        if file.clients.is_empty() || file.clients.len() > CLIENTS_MAX {
            return Err(bad("1 to 100 clients"));
        }
        if file.limits.reads_per_minute == 0 || file.limits.commands_per_minute == 0 {
            return Err(bad("limits are at least 1 a minute"));
        }
        let mut world = Self {
            seed: file.seed,
            limits: file.limits,
            latency: file.latency,
            down_until: Timestamp::EPOCH,
            hangs_until: Timestamp::EPOCH,
            clients: file.clients,
            owners: BTreeMap::new(),
            cars: BTreeMap::new(),
            requests: HashMap::new(),
            order_of_requests: VecDeque::new(),
            identity: Identity::default(),
            record: Record::default(),
            quota: HashMap::new(),
            next_serial: 100_001,
        };
        for owner in file.owners {
            world.add_owner(&owner.login)?.without_vehs = owner.without_vehs;
        }
        for car in file.cars {
            world.add_car(car, now)?;
        }
        Ok(world)
    }

    /// Finds or adds an owner.
    ///
    /// # Errors
    /// [`BadWorld`] for a name that is empty or longer than 200 bytes, or too many owners.
    pub fn add_owner(&mut self, login: &str) -> Result<&mut Owner, BadWorld> {
        if login.is_empty() || login.len() > 200 || login.chars().any(char::is_control) {
            return Err(bad("an owner's login has 1 to 200 printable characters"));
        }
        if !self.owners.contains_key(login) && self.owners.len() >= OWNERS_MAX {
            return Err(bad("too many owners"));
        }
        Ok(self.owners.entry(login.to_owned()).or_default())
    }

    /// Adds a car and, if need be, its owner. The VIN.
    ///
    /// # Errors
    /// [`BadWorld`] for a bad or known VIN, anything out of its bounds, or too many cars.
    pub fn add_car(&mut self, file: CarFile, now: Timestamp) -> Result<String, BadWorld> {
        if self.cars.len() >= CARS_MAX {
            return Err(bad("too many cars"));
        }
        file.check()?;
        let vin = match &file.vin {
            Some(text) => Vin::parse(text).map_err(|e| bad(e.to_string()))?,
            None => self.invent_vin(&file)?,
        };
        let key = vin.expose().to_owned();
        if self.cars.contains_key(&key) {
            return Err(bad("this VIN is taken"));
        }
        let faults = file.faults.iter().map(parse_fault).collect::<Result<Vec<_>, _>>()?;
        if faults.len() > FAULTS_PER_CAR_MAX {
            return Err(bad("too many faults"));
        }
        self.add_owner(&file.owner)?.vins.insert(key.clone());
        let since = now.plus_seconds(-i64::from(file.parked_since_s));
        let build = Build {
            relock_after_s: (file.relock_after_s > 0).then_some(file.relock_after_s),
            relock_on_close: file.relock_on_close,
        };
        let fix = place(file.latitude, file.longitude)?;
        let mut car = Car::parked(build, fix, since);
        car.asleep = file.asleep;
        let allowed = file.commands.iter().filter_map(|name| Command::parse(name)).map(Command::code).collect();
        let (attempts, waiting) = (HashMap::new(), Vec::new());
        let entry =
            Entry { file, vin, car, faults, attempts, waiting, fix, fix_due: None, allowed, held_ms: 0, answers: 0 };
        self.cars.insert(key.clone(), entry);
        self.record.entered(now, &key);
        Ok(key)
    }

    /// The VIN of an invented car that nobody has yet.
    fn invent_vin(&mut self, file: &CarFile) -> Result<Vin, BadWorld> {
        while self.next_serial <= 999_999 {
            let vin = vin_of(file.make, file.model_year, self.next_serial)?;
            self.next_serial += 1;
            if !self.cars.contains_key(vin.expose()) {
                return Ok(vin);
            }
        }
        Err(bad("no serial number left"))
    }

    pub fn cars(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.cars.iter().map(|(vin, entry)| (vin.as_str(), entry))
    }
    #[must_use]
    pub fn car(&self, vin: &str) -> Option<&Entry> {
        self.cars.get(vin)
    }
    pub fn faults_of(&mut self, vin: &str) -> Option<&mut Vec<Fault>> {
        self.cars.get_mut(vin).map(|e| &mut e.faults)
    }
    #[must_use]
    pub fn vins_of(&self, owner: &str) -> BTreeSet<String> {
        self.owners.get(owner).map(|o| o.vins.clone()).unwrap_or_default()
    }

    /// Time passes for one car: it acts on what waits for it, sends its position, locks itself.
    pub fn live(&mut self, vin: &str, now: Timestamp) {
        let Some(entry) = self.cars.get_mut(vin) else { return };
        entry.waiting.sort_by_key(|(at, _)| *at);
        while let Some((at, _)) = entry.waiting.first()
            && *at <= now
        {
            let (at, id) = entry.waiting.remove(0);
            if let Some(request) = self.requests.get_mut(&id) {
                entry.carry_out(request, at, &mut self.record);
            }
        }
        if let Some(Some(due)) = entry.fix_due
            && due <= now
        {
            entry.fix_due = None;
            entry.fix = entry.car.place(due);
        }
        entry.apply(Event::Tick, now, &mut self.record);
    }
    /// Time passes for every car.
    pub fn live_all(&mut self, now: Timestamp) {
        let vins: Vec<String> = self.cars.keys().cloned().collect();
        for vin in vins {
            self.live(&vin, now);
        }
    }
    /// Something befalls a car, not through the cloud. `None`: no such car.
    pub fn befall(&mut self, vin: &str, event: Event, now: Timestamp) -> Option<Answer> {
        self.live(vin, now);
        let entry = self.cars.get_mut(vin)?;
        Some(entry.apply(event, now, &mut self.record))
    }
    /// For how long the next answer about this car is held back, simulated milliseconds.
    pub fn hold_back(&mut self, vin: &str, command: bool) -> u64 {
        let usual = u64::from(if command { self.latency.command_ms } else { self.latency.read_ms });
        let seed = self.seed;
        let Some(entry) = self.cars.get_mut(vin).filter(|_| usual > 0) else { return 0 };
        entry.answers += 1;
        let held_ms = usual / 2 + (crate::cloud::drawn(seed, vin, "latency", entry.answers) * usual as f64) as u64;
        entry.held_ms += held_ms;
        held_ms
    }
    /// The fault that strikes this reading, if any.
    pub fn fault_on_reading(&mut self, vin: &str, target: Target) -> Option<Effect> {
        let seed = self.seed;
        self.cars.get_mut(vin).and_then(|e| e.strike(seed, vin, target))
    }

    /// A command from the cloud, with whatever fault strikes it. `None`: no such car. `id` is random.
    pub fn command(&mut self, vin: &str, wish: Wish, owner: &str, id: String, now: Timestamp) -> Option<Told> {
        self.live(vin, now);
        let seed = self.seed;
        let entry = self.cars.get_mut(vin)?;
        let effect = match wish.api {
            Api::V3 if !entry.file.speaks_v3 => Some(Effect { acts: Acts::No, hears: Hears::Http(400) }),
            _ => entry.strike(seed, vin, Target::Command(wish.command)),
        };
        let (acts, hears) = effect.map_or((Acts::Yes, Hears::Url(Says::Truth)), |e| (e.acts, e.hears));
        let in_time = now.plus_millis(entry.answer_after_ms());
        let acts_at = match acts {
            Acts::No => None,
            Acts::Yes => Some(in_time),
            Acts::Later(s) => Some(in_time.plus_seconds(i64::from(s))),
        };
        let acts_at = acts_at.filter(|_| entry.waiting.len() < WAITING_MAX);
        // What the car takes is the maker's time as much as what its cloud takes.
        entry.took(now, acts_at);
        let says = if let Hears::Url(says) = hears { says } else { Says::Truth };
        let request = Request {
            id: id.clone(),
            vin: vin.to_owned(),
            owner: owner.to_owned(),
            wish,
            asked_at: now,
            says,
            ends_at: acts_at.unwrap_or(in_time),
            made: None,
            place: None,
        };
        if let Some(at) = acts_at {
            entry.waiting.push((at, id));
        }
        self.keep(request.clone());
        let told = match hears {
            Hears::Url(_) | Hears::Stale => {
                Told::Request { request: Box::new(request), elsewhere: false, late_by_s: 0 }
            }
            Hears::UrlElsewhere => Told::Request { request: Box::new(request), elsewhere: true, late_by_s: 0 },
            Hears::LateBy(late_by_s) => Told::Request { request: Box::new(request), elsewhere: false, late_by_s },
            Hears::Http(code) => Told::Http(code),
            Hears::Nothing => Told::Nothing,
            Hears::Garbage => Told::Garbage,
        };
        let answered = match &told {
            Told::Request { .. } => "url".to_owned(),
            Told::Http(code) => code.to_string(),
            Told::Nothing => "nothing".to_owned(),
            Told::Garbage => "garbage".to_owned(),
        };
        let (command, api) = (wish.command.code(), wish.api.code());
        self.record.command(now, vin, CommandSeen { command, api, owner, acts_at, answered: &answered });
        Some(told)
    }
    fn keep(&mut self, request: Request) {
        if self.order_of_requests.len() >= REQUESTS_MAX
            && let Some(oldest) = self.order_of_requests.pop_front()
        {
            self.requests.remove(&oldest);
        }
        self.order_of_requests.push_back(request.id.clone());
        self.requests.insert(request.id.clone(), request);
    }
    /// A request of this owner.
    pub fn request(&mut self, id: &str, owner: &str, now: Timestamp) -> Option<Request> {
        let vin = self.requests.get(id).filter(|r| r.owner == owner)?.vin.clone();
        self.live(&vin, now);
        self.requests.get(id).cloned()
    }

    /// The position that the cloud has; `fresh` asks the car for another. `stale`: it will never come.
    pub fn position(&mut self, vin: &str, fresh: bool, stale: bool, now: Timestamp) -> Option<Fix> {
        self.live(vin, now);
        let entry = self.cars.get_mut(vin)?;
        if fresh && entry.fix_due.is_none_or(|due| due.is_none()) {
            let wake_ms = if entry.car.asleep { i64::from(entry.file.wake_s) * 1_000 } else { 0 };
            let due = now.plus_millis(i64::from(entry.file.fix_ms) + wake_ms);
            let due = (entry.car.online && !stale).then_some(due);
            entry.took(now, due);
            entry.fix_due = Some(due);
            entry.car.asleep &= !entry.car.online;
        }
        Some(Fix { place: entry.fix, pending: entry.fix_due.is_some() })
    }

    /// Counts a request against the quota of this owner. `Err`: seconds to wait.
    ///
    /// # Errors
    /// Seconds until the oldest counted request is a minute old.
    pub fn charge(&mut self, owner: &str, command: bool, now: Timestamp) -> Result<(), u64> {
        let limit = if command { self.limits.commands_per_minute } else { self.limits.reads_per_minute };
        let spent = self.quota.entry((owner.to_owned(), command)).or_default();
        while spent.front().is_some_and(|t| now.millis_since(*t) >= 60_000) {
            spent.pop_front();
        }
        match spent.front() {
            Some(oldest) if spent.len() >= limit as usize => {
                let wait_ms = 60_000 - now.millis_since(*oldest);
                Err(u64::try_from(wait_ms.max(0)).unwrap_or(0).div_ceil(1_000).max(1))
            }
            _ => {
                spent.push_back(now);
                Ok(())
            }
        }
    }
}

impl Entry {
    #[must_use]
    pub fn allows(&self, command: Command) -> bool {
        self.allowed.contains(command.code())
    }
    fn took(&mut self, from: Timestamp, until: Option<Timestamp>) {
        let ms = until.map_or(0, |t| t.millis_since(from));
        self.held_ms += u64::try_from(ms).unwrap_or(0);
    }
    fn answer_after_ms(&self) -> i64 {
        let wake_ms = if self.car.asleep { i64::from(self.file.wake_s) * 1_000 } else { 0 };
        let away_ms = if self.car.online { 0 } else { UNREACHABLE_S * 1_000 };
        i64::from(self.file.latency_ms) + wake_ms.max(away_ms)
    }
    fn carry_out(&mut self, request: &mut Request, at: Timestamp, record: &mut Record) {
        let answer = match request.wish.order() {
            Some(order) => self.apply(Event::Order(order), at, record),
            None if !self.car.online => Answer::Refused("vehicle not reachable"),
            None => {
                self.apply(Event::Wake, at, record);
                self.fix = self.car.place(at);
                request.place = Some(self.fix);
                Answer::Done
            }
        };
        let refused = match answer {
            Answer::Done => None,
            Answer::Refused(why) | Answer::Impossible(why) => Some(why),
        };
        record.carried_out(at, self.vin.expose(), request.wish.command.code(), refused);
        request.made = Some(answer);
    }
    fn apply(&mut self, event: Event, now: Timestamp, record: &mut Record) -> Answer {
        use super::car::{By, Happening, Which};
        let (car, answer, seen) = self.car.clone().step(event, now);
        self.car = car;
        for happening in seen {
            // A trunk that locked itself did so when it did, not when somebody looked.
            let at = match happening {
                Happening::Lock { which: Which::Trunk, by: By::Car, .. } => self.car.trunk.changed_at,
                _ => now,
            };
            record.happened(at, self.vin.expose(), happening);
        }
        answer
    }
    fn strike(&mut self, seed: u64, vin: &str, target: Target) -> Option<Effect> {
        let attempt = self.attempts.entry(target).or_default();
        *attempt += 1;
        fault::strike(&mut self.faults, target, seed, vin, *attempt)
    }
    /// Everything about the car, for the control path.
    #[must_use]
    pub fn to_json(&self, now: Timestamp) -> serde_json::Value {
        use serde_json::json;
        let closures: serde_json::Map<_, _> = Closure::ALL
            .into_iter()
            .map(|c| {
                let lid = self.car.closure(c);
                (c.code().to_owned(), json!({"value": lid.value.code(), "changed_at": lid.changed_at.to_rfc3339()}))
            })
            .collect();
        let lock = |l: super::car::Stamped<super::car::Lock>| json!({"value": l.value.code(), "changed_at": l.changed_at.to_rfc3339()});
        let here = self.car.place(now);
        json!({
            "vin": self.vin.expose(),
            "owner": self.file.owner,
            "make": self.file.make.name(),
            "model": self.file.model(),
            "model_year": self.file.model_year,
            "colour": self.file.colour,
            "door_lock": lock(self.car.doors),
            "trunk_lock": lock(self.car.trunk),
            "closures": closures,
            "shut_and_locked": self.car.shut_and_locked(),
            "driving": self.car.trip != Trip::Parked,
            "place": {"latitude": here.latitude, "longitude": here.longitude},
            "parked_at": self.car.parked_at.to_rfc3339(),
            "asleep": self.car.asleep,
            "online": self.car.online,
            "held_ms": self.held_ms,
            "faults": self.faults.len(),
            "waiting_commands": self.waiting.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::Make;
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_795_446_000 + seconds)
    }
    const OWNER: &str = "o@example.org";
    fn world(change: impl FnOnce(&mut CarFile)) -> (World, String) {
        let mut car = CarFile::of(OWNER);
        change(&mut car);
        let world = World::build(WorldFile { cars: vec![car], ..WorldFile::default() }, at(0)).unwrap();
        let vin = world.cars().next().unwrap().0.to_owned();
        (world, vin)
    }
    fn unlock(world: &mut World, vin: &str, id: &str, now: Timestamp) -> Told {
        let wish = Wish { api: Api::V3, command: Command::UnlockTrunk, horn: false };
        world.command(vin, wish, OWNER, id.to_owned(), now).unwrap()
    }
    fn standing(world: &mut World, id: &str, now: Timestamp) -> Standing {
        world.request(id, OWNER, now).unwrap().standing(now)
    }

    #[test]
    fn every_make_gets_real_vins() {
        for make in [Make::Chevrolet, Make::Buick, Make::Gmc, Make::Cadillac] {
            for year in [2015, 2020, 2026] {
                let vin = vin_of(make, year, 100_001).unwrap();
                assert!(vin.check_digit_holds() && vin.manufacturer_identifier() == make.identifier());
            }
        }
        assert!(vin_of(Make::Gmc, 1979, 1).is_err() && vin_of(Make::Gmc, 2020, 1_000_000).is_err());
    }

    #[test]
    fn a_car_acts_when_its_time_has_come_and_not_before() {
        let (mut world, vin) = world(|car| car.latency_ms = 4_000);
        assert!(matches!(unlock(&mut world, &vin, "r", at(0)), Told::Request { .. }));
        assert_eq!(standing(&mut world, "r", at(3)), Standing::InProgress);
        assert_eq!(world.car(&vin).unwrap().car.trunk.value, super::super::car::Lock::Locked);
        assert_eq!(standing(&mut world, "r", at(4)), Standing::Success(None));
        assert_eq!(world.car(&vin).unwrap().car.trunk.changed_at, at(4), "when it did, not when somebody looked");
        assert!(world.request("r", "somebody-else@example.org", at(4)).is_none());
        assert!(world.request("none", OWNER, at(4)).is_none());
    }

    #[test]
    fn a_car_asleep_or_away_answers_later() {
        let (mut asleep, vin) = world(|car| (car.latency_ms, car.asleep) = (1_000, true));
        unlock(&mut asleep, &vin, "r", at(0));
        assert_eq!(standing(&mut asleep, "r", at(25)), Standing::InProgress);
        assert_eq!(standing(&mut asleep, "r", at(26)), Standing::Success(None));
        let (mut away, vin) = world(|car| car.latency_ms = 1_000);
        away.befall(&vin, Event::Network { online: false }, at(0));
        unlock(&mut away, &vin, "r", at(0));
        assert_eq!(standing(&mut away, "r", at(60)), Standing::InProgress);
        assert_eq!(standing(&mut away, "r", at(61)), Standing::Failure("vehicle not reachable"));
    }

    #[test]
    fn a_fresh_position_comes_when_asked_for_and_no_sooner() {
        let (mut world, vin) = world(|car| car.fix_ms = 6_000);
        let there = Place { latitude: 42.5, longitude: -83.1 };
        world.befall(&vin, Event::Park(there), at(0));
        let old = world.position(&vin, false, false, at(1)).unwrap();
        assert!(!old.pending && old.place != there, "nobody asked: the last one that was sent");
        assert!(world.position(&vin, true, false, at(2)).unwrap().pending);
        assert!(world.position(&vin, true, false, at(7)).unwrap().pending, "asking again does not start anew");
        assert_eq!(world.position(&vin, false, false, at(8)), Some(Fix { place: there, pending: false }));
        assert!(world.position(&vin, true, true, at(9)).unwrap().pending);
        assert!(world.position(&vin, false, false, at(9_999)).unwrap().pending, "stale for ever");
    }

    #[test]
    fn a_full_quota_says_how_long_to_wait() {
        let (mut world, _) = world(|_| {});
        for n in 0..10 {
            assert_eq!(world.charge(OWNER, true, at(n)), Ok(()));
        }
        assert_eq!(world.charge(OWNER, true, at(20)), Err(40));
        assert_eq!(world.charge(OWNER, false, at(20)), Ok(()), "readings are counted apart");
        assert_eq!(world.charge(OWNER, true, at(60)), Ok(()));
    }
}
