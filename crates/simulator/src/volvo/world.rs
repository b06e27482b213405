//! The world: owners, client applications, cars, and everything the cloud knows. Moves only by its methods.

use std::collections::{BTreeMap, HashMap, VecDeque};

use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use serde::{Deserialize, Serialize};

use super::car::{Answer, Build, Car, Closure, Event, Order, Parking, RELOCK_S_DEFAULT, UnlockStyle, WINDOW_S_DEFAULT};
use super::fault::{self, Acts, Effect, FAULTS_PER_CAR_MAX, Fault, Target, When};
use super::identity::{Identity, Scopes};
use super::record::Record;

pub const CARS_MAX: usize = 50_000;
pub const OWNERS_MAX: usize = 50_000;
pub const CLIENTS_MAX: usize = 100;
/// Bytes of a world file.
pub const WORLD_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Late commands waiting for one car.
const LATE_MAX: usize = 64;

/// A world file (JSON). Every member has a default, so `{}` is the default world without cars.
///
/// ```
/// use parcelshelf_simulator::volvo::WorldFile;
/// let world = WorldFile::parse(br#"{"cars":[{"owner":"kim@example.org","model_year":2020,"latitude":30.27,"longitude":-97.74}]}"#).unwrap();
/// assert_eq!(world.cars.len(), 1);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct WorldFile {
    /// Decides every fault that has a rate.
    pub seed: u64,
    pub limits: Limits,
    pub latency: Latency,
    pub clients: Vec<ClientFile>,
    /// Owners without a car; an owner named by a car need not stand here.
    pub owners: Vec<OwnerFile>,
    pub cars: Vec<CarFile>,
}

/// Requests a minute, per owner and client application.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub reads_per_minute: u32,
    pub commands_per_minute: u32,
}
impl Default for Limits {
    fn default() -> Self {
        Self { reads_per_minute: 100, commands_per_minute: 10 }
    }
}

/// How long the cloud takes to answer, simulated milliseconds; each answer takes 50 to 150 % of it, drawn from the seed.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Latency {
    pub read_ms: u32,
    pub command_ms: u32,
}

/// A client application as its developer registered it.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ClientFile {
    pub client_id: String,
    pub client_secret: String,
    pub vcc_api_key: String,
    /// Exact addresses; empty: any http(s) address on `localhost`, `*.localhost` or a loopback address.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
}
impl std::fmt::Debug for ClientFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientFile").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct OwnerFile {
    /// The name at login; also what `login_hint` carries.
    pub login: String,
    /// Scopes this owner does not give, whatever is asked.
    #[serde(default)]
    pub refused_scopes: Vec<String>,
}

/// How `readyToUnlockUntil` is written; implementers have seen both.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ReadyAs {
    #[default]
    Seconds,
    EpochMs,
    /// Neither `readyToUnlock` nor `readyToUnlockUntil`.
    Absent,
}

/// A car. Only `owner` is required; a VIN is made up when there is none.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CarFile {
    pub owner: String,
    #[serde(default)]
    pub vin: Option<String>,
    #[serde(default = "CarFile::default_model")]
    pub model: String,
    #[serde(default = "CarFile::default_year")]
    pub model_year: u16,
    #[serde(default = "CarFile::default_colour")]
    pub colour: Option<String>,
    #[serde(default = "CarFile::default_fuel")]
    pub fuel: String,
    /// Degrees, WGS 84. Default: a car park in Gothenburg.
    #[serde(default = "CarFile::default_latitude")]
    pub latitude: f64,
    #[serde(default = "CarFile::default_longitude")]
    pub longitude: f64,
    #[serde(default)]
    pub heading: u16,
    /// Seconds that the car has stood there when the world begins.
    #[serde(default = "CarFile::default_parked_since_s")]
    pub parked_since_s: u32,
    /// Seconds of the unlock window; 0: the bolts are pulled at once.
    #[serde(default = "CarFile::default_window_s")]
    pub unlock_window_s: u32,
    #[serde(default)]
    pub ready_as: ReadyAs,
    /// Seconds after which an unlocked car that nobody touched locks itself; 0: never.
    #[serde(default = "CarFile::default_relock_s")]
    pub relock_after_s: u32,
    #[serde(default)]
    pub relock_on_close: bool,
    /// The cloud leaves out every `timestamp` of this car.
    #[serde(default)]
    pub without_timestamps: bool,
    /// Location is published in some regions only.
    #[serde(default = "CarFile::yes")]
    pub publishes_position: bool,
    /// Names as in the maker's list of commands.
    #[serde(default = "CarFile::default_commands")]
    pub commands: Vec<String>,
    #[serde(default)]
    pub asleep: bool,
    #[serde(default)]
    pub faults: Vec<FaultFile>,
}

/// `times` or `rate`; neither means once. See `/__sim/help` for names.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FaultFile {
    /// `unlock`, `lock`, …, `any` (command), or a reading: `doors`, `location`, `command-accessibility`, `commands`, `details`, `windows`.
    pub command: String,
    pub fault: String,
    #[serde(default)]
    pub times: Option<u32>,
    #[serde(default)]
    pub rate: Option<f64>,
    #[serde(default)]
    pub after_s: Option<u32>,
    #[serde(default)]
    pub slow_s: Option<u32>,
}

impl CarFile {
    fn default_model() -> String {
        "XC40".into()
    }
    const fn default_year() -> u16 {
        2022
    }
    #[expect(clippy::unnecessary_wraps, reason = "the field is optional, its default is not empty")]
    fn default_colour() -> Option<String> {
        Some("Crystal White Pearl".into())
    }
    fn default_fuel() -> String {
        "PETROL".into()
    }
    const fn default_latitude() -> f64 {
        57.708_87
    }
    const fn default_longitude() -> f64 {
        11.974_56
    }
    const fn default_parked_since_s() -> u32 {
        3_600
    }
    const fn default_window_s() -> u32 {
        WINDOW_S_DEFAULT
    }
    const fn default_relock_s() -> u32 {
        RELOCK_S_DEFAULT
    }
    const fn yes() -> bool {
        true
    }
    fn default_commands() -> Vec<String> {
        Order::ALL.iter().map(|o| o.name().to_owned()).collect()
    }
    /// The default car of this owner.
    #[must_use]
    pub fn of(owner: &str) -> Self {
        Self {
            owner: owner.to_owned(),
            vin: None,
            model: Self::default_model(),
            model_year: Self::default_year(),
            colour: Self::default_colour(),
            fuel: Self::default_fuel(),
            latitude: Self::default_latitude(),
            longitude: Self::default_longitude(),
            heading: 90,
            parked_since_s: Self::default_parked_since_s(),
            unlock_window_s: Self::default_window_s(),
            ready_as: ReadyAs::Seconds,
            relock_after_s: Self::default_relock_s(),
            relock_on_close: false,
            without_timestamps: false,
            publishes_position: true,
            commands: Self::default_commands(),
            asleep: false,
            faults: Vec::new(),
        }
    }
}

/// Owner of the default world's car.
pub const DEMO_OWNER: &str = "alex@example.org";
/// The default world's client application.
pub const DEMO_CLIENT_ID: &str = "parcelshelf-demo";
pub const DEMO_CLIENT_SECRET: &str = "simulated-client-secret";
pub const DEMO_VCC_API_KEY: &str = "simulated-vcc-api-key-0123456789";

impl Default for WorldFile {
    /// The default client application, no owners, no cars, published limits.
    fn default() -> Self {
        Self {
            seed: 0,
            limits: Limits::default(),
            latency: Latency::default(),
            clients: vec![ClientFile {
                client_id: DEMO_CLIENT_ID.into(),
                client_secret: DEMO_CLIENT_SECRET.into(),
                vcc_api_key: DEMO_VCC_API_KEY.into(),
                redirect_uris: Vec::new(),
            }],
            owners: Vec::new(),
            cars: Vec::new(),
        }
    }
}
impl WorldFile {
    /// One XC40 of model year 2022 in Gothenburg, owned by [`DEMO_OWNER`].
    #[must_use]
    pub fn demo() -> Self {
        Self { cars: vec![CarFile::of(DEMO_OWNER)], ..Self::default() }
    }
    /// # Errors
    /// [`BadWorld`] when the bytes are no world file or too many.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadWorld> {
        if bytes.len() as u64 > WORLD_BYTES_MAX {
            return Err(BadWorld("world file too long".into()));
        }
        serde_json::from_slice(bytes).map_err(|e| BadWorld(e.to_string()))
    }
}

/// Why a world, car or fault cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a world: {0}")]
pub struct BadWorld(pub String);
fn bad(why: impl Into<String>) -> BadWorld {
    BadWorld(why.into())
}

/// A car in the cloud's books.
#[derive(Debug)]
pub struct Entry {
    pub file: CarFile,
    pub vin: Vin,
    pub car: Car,
    pub faults: Vec<Fault>,
    late: Vec<(Timestamp, Order)>,
    /// Simulated milliseconds for which answers about this car were held back.
    pub held_ms: u64,
    answers: u64,
    attempts: HashMap<Target, u64>,
    /// Accessibility's time: when it last changed.
    pub accessible: (&'static str, Option<&'static str>, Timestamp),
}

#[derive(Debug, Default)]
pub struct Owner {
    pub refused_scopes: Scopes,
    vins: Vec<String>,
}

#[derive(Debug)]
pub struct World {
    pub seed: u64,
    pub limits: Limits,
    pub latency: Latency,
    /// No request is answered before this moment, but with 503.
    pub down_until: Timestamp,
    pub clients: Vec<ClientFile>,
    pub owners: BTreeMap<String, Owner>,
    cars: BTreeMap<String, Entry>,
    pub identity: Identity,
    pub record: Record,
    quota: HashMap<(String, String, bool), VecDeque<Timestamp>>,
    next_serial: u32,
}

/// An invented car's VIN with a check digit that holds; `serial` has at most six digits.
///
/// # Errors
/// [`BadWorld`] for a model year before 1980 or a serial number that is too long.
pub fn vin_of(model_year: u16, serial: u32) -> Result<Vin, BadWorld> {
    // ISO 3779 and 49 CFR 565: letters without I, O, Q, U, Z, then 1 to 9; 30 years.
    const CODES: &[u8; 30] = b"ABCDEFGHJKLMNPRSTVWXY123456789";
    let years = model_year.checked_sub(1980).ok_or_else(|| bad("model year before 1980"))?;
    let year = char::from(CODES[usize::from(years) % CODES.len()]);
    let draft = format!("YV1XZ16B0{year}2{serial:06}");
    let digit = Vin::parse(&draft).map_err(|e| bad(e.to_string()))?.check_digit();
    Vin::parse(&format!("YV1XZ16B{digit}{year}2{serial:06}")).map_err(|e| bad(e.to_string()))
}

/// What the cloud tells the caller of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandAnswer {
    Status { word: &'static str, ready_until: Option<Timestamp> },
    Http(u16),
    Nothing,
    Garbage,
    LaterStatus { word: &'static str, ready_until: Option<Timestamp>, after_real_s: u32 },
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
            clients: file.clients,
            owners: BTreeMap::new(),
            cars: BTreeMap::new(),
            identity: Identity::default(),
            record: Record::default(),
            quota: HashMap::new(),
            next_serial: 100_001,
        };
        for owner in file.owners {
            world.add_owner(&owner.login)?.refused_scopes = owner.refused_scopes.into_iter().collect();
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
    /// [`BadWorld`] for a bad or known VIN, a place off the Earth, an unknown command or fault, or too many cars.
    pub fn add_car(&mut self, file: CarFile, now: Timestamp) -> Result<String, BadWorld> {
        if self.cars.len() >= CARS_MAX {
            return Err(bad("too many cars"));
        }
        let vin = match &file.vin {
            Some(text) => Vin::parse(text).map_err(|e| bad(e.to_string()))?,
            None => self.invent_vin(file.model_year)?,
        };
        let key = vin.expose().to_owned();
        if self.cars.contains_key(&key) {
            return Err(bad("this VIN is taken"));
        }
        if file.commands.len() > 16 || file.commands.iter().any(|name| Order::parse_name(name).is_none()) {
            return Err(bad("unknown command"));
        }
        if [&file.model, &file.fuel].into_iter().chain(file.colour.as_ref()).any(|t| t.len() > 100) {
            return Err(bad("texts have at most 100 bytes"));
        }
        if file.unlock_window_s > 3_600 || file.relock_after_s > 86_400 {
            return Err(bad("unlock_window_s is at most 3600, relock_after_s at most 86400"));
        }
        place(file.latitude, file.longitude, file.heading)?;
        let faults = file.faults.iter().map(parse_fault).collect::<Result<Vec<_>, _>>()?;
        if faults.len() > FAULTS_PER_CAR_MAX {
            return Err(bad("too many faults"));
        }
        self.add_owner(&file.owner)?.vins.push(key.clone());
        let since = now.plus_seconds(-i64::from(file.parked_since_s));
        let build = Build {
            unlock: match file.unlock_window_s {
                0 => UnlockStyle::AtOnce,
                seconds => UnlockStyle::Window { seconds },
            },
            relock_after_s: (file.relock_after_s > 0).then_some(file.relock_after_s),
            relock_on_close: file.relock_on_close,
        };
        let parking =
            Parking { latitude: file.latitude, longitude: file.longitude, heading_deg: file.heading, at: since };
        let mut car = Car::parked(build, parking);
        if file.asleep {
            car = car.step(Event::Sleep, now).0;
        }
        let mut entry = Entry {
            file,
            vin,
            car,
            faults,
            late: Vec::new(),
            held_ms: 0,
            answers: 0,
            attempts: HashMap::new(),
            accessible: ("AVAILABLE", None, since),
        };
        entry.note_accessibility(now);
        self.cars.insert(key.clone(), entry);
        self.record.entered(now, &key);
        Ok(key)
    }

    /// `YV1`, an invented type, a check digit that holds, the model-year code and a serial number.
    fn invent_vin(&mut self, model_year: u16) -> Result<Vin, BadWorld> {
        loop {
            let serial = self.next_serial;
            self.next_serial += 1;
            let vin = vin_of(model_year, serial)?;
            if !self.cars.contains_key(vin.expose()) {
                return Ok(vin);
            }
            if serial >= 999_999 {
                return Err(bad("no serial number left"));
            }
        }
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
    pub fn vins_of<'a>(&'a self, owner: &'a str) -> impl Iterator<Item = &'a str> {
        self.owners.get(owner).into_iter().flat_map(|o| &o.vins).map(String::as_str)
    }

    /// Time passes for one car: late commands act, windows pass, it locks itself.
    pub fn live(&mut self, vin: &str, now: Timestamp) {
        let Some(entry) = self.cars.get_mut(vin) else { return };
        entry.late.sort_by_key(|(at, _)| *at);
        while let Some(&(at, order)) = entry.late.first()
            && at <= now
        {
            entry.late.remove(0);
            entry.apply(Event::Order(order), at, &mut self.record);
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

    /// A command from the cloud, with whatever fault strikes it. `None`: no such car.
    pub fn command(&mut self, vin: &str, order: Order, owner: &str, now: Timestamp) -> Option<CommandAnswer> {
        self.live(vin, now);
        let seed = self.seed;
        let entry = self.cars.get_mut(vin)?;
        let effect = entry.strike(seed, vin, Target::Order(order));
        let acts = effect.map_or(Acts::Now, |e| e.acts);
        let mut truth = ("COMPLETED", None);
        let mut acted = false;
        let mut acts_at = None;
        match acts {
            Acts::No => {}
            Acts::AfterSeconds(s) if entry.late.len() < LATE_MAX => {
                let at = now.plus_seconds(i64::from(s));
                acts_at = Some(at);
                entry.late.push((at, order));
            }
            Acts::AfterSeconds(_) => {}
            Acts::Now => {
                (truth, acted) = match entry.apply(Event::Order(order), now, &mut self.record) {
                    Answer::Done => (("COMPLETED", None), true),
                    Answer::Ready { until } => (("COMPLETED", Some(until)), true),
                    Answer::Refused(word) | Answer::Impossible(word) => ((word, None), false),
                };
            }
        }
        let answer = told(effect, truth, acted);
        let answered = match answer {
            CommandAnswer::Status { word, .. } | CommandAnswer::LaterStatus { word, .. } => word.to_owned(),
            CommandAnswer::Http(code) => code.to_string(),
            CommandAnswer::Nothing => "nothing".to_owned(),
            CommandAnswer::Garbage => "garbage".to_owned(),
        };
        let seen = super::record::CommandSeen { command: order.path(), owner, acted, acts_at, answered: &answered };
        self.record.command(now, vin, seen);
        Some(answer)
    }

    /// Counts a request against the quota of this owner and client. `Err`: seconds to wait.
    ///
    /// # Errors
    /// Seconds until the oldest counted request is a minute old.
    pub fn charge(&mut self, owner: &str, client_id: &str, command: bool, now: Timestamp) -> Result<(), u64> {
        let limit = if command { self.limits.commands_per_minute } else { self.limits.reads_per_minute };
        let spent = self.quota.entry((owner.to_owned(), client_id.to_owned(), command)).or_default();
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

/// What the caller hears, given the fault, the car's own answer, and whether it acted.
fn told(effect: Option<Effect>, truth: (&'static str, Option<Timestamp>), acted: bool) -> CommandAnswer {
    use fault::Hears;
    let (word, ready_until) = truth;
    match effect.map(|e| e.hears) {
        None => CommandAnswer::Status { word, ready_until },
        Some(Hears::Status(said)) => {
            CommandAnswer::Status { word: said, ready_until: ready_until.filter(|_| said == "COMPLETED" && acted) }
        }
        Some(Hears::Http(code)) => CommandAnswer::Http(code),
        Some(Hears::Nothing) => CommandAnswer::Nothing,
        Some(Hears::Garbage) => CommandAnswer::Garbage,
        Some(Hears::TruthAfterSeconds(after_real_s)) => CommandAnswer::LaterStatus { word, ready_until, after_real_s },
    }
}

impl Entry {
    fn apply(&mut self, event: Event, now: Timestamp, record: &mut Record) -> Answer {
        let (car, answer, seen) = self.car.clone().step(event, now);
        self.car = car;
        for happening in seen {
            // A car that locked itself did so when it did, not when somebody looked.
            let at = if let super::car::Happening::Lock { .. } = happening { self.car.lock.changed_at } else { now };
            record.happened(at, self.vin.expose(), happening);
        }
        self.note_accessibility(now);
        answer
    }
    fn strike(&mut self, seed: u64, vin: &str, target: Target) -> Option<Effect> {
        let attempt = self.attempts.entry(target).or_default();
        *attempt += 1;
        fault::strike(&mut self.faults, target, seed, vin, *attempt)
    }
    fn note_accessibility(&mut self, now: Timestamp) {
        use super::car::{Power, Trip};
        let (value, reason) = match &self.car {
            Car { online: false, .. } => ("UNAVAILABLE", Some("NO_INTERNET")),
            Car { trip: Trip::Driving, .. } => ("UNAVAILABLE", Some("CAR_IN_USE")),
            Car { updating: true, .. } => ("UNAVAILABLE", Some("OTA_INSTALLATION_IN_PROGRESS")),
            Car { power, .. } if power.value == Power::Asleep => ("UNAVAILABLE", Some("POWER_SAVING_MODE")),
            _ => ("AVAILABLE", None),
        };
        if (self.accessible.0, self.accessible.1) != (value, reason) {
            self.accessible = (value, reason, now);
        }
    }
    /// Everything about the car, for the control path.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::json;
        let closures: serde_json::Map<_, _> = Closure::ALL
            .into_iter()
            .map(|c| {
                let lid = self.car.closure(c);
                (c.code().to_owned(), json!({"value": lid.value.code(), "changed_at": lid.changed_at.to_rfc3339()}))
            })
            .collect();
        json!({
            "vin": self.vin.expose(),
            "owner": self.file.owner,
            "model": self.file.model,
            "model_year": self.file.model_year,
            "colour": self.file.colour,
            "central_lock": {"value": self.car.lock.value.code(), "changed_at": self.car.lock.changed_at.to_rfc3339()},
            "closures": closures,
            "shut_and_locked": self.car.shut_and_locked(),
            "driving": self.car.trip == super::car::Trip::Driving,
            "parked": {
                "latitude": self.car.parked.latitude,
                "longitude": self.car.parked.longitude,
                "heading": self.car.parked.heading_deg,
                "since": self.car.parked.at.to_rfc3339(),
            },
            "asleep": self.car.power.value == super::car::Power::Asleep,
            "online": self.car.online,
            "ready_until": self.car.ready_until.map(Timestamp::to_rfc3339),
            "held_ms": self.held_ms,
            "faults": self.faults.len(),
            "late_commands": self.late.len(),
        })
    }
}

/// # Errors
/// [`BadWorld`] for an unknown command or fault, a count of 0 or above the bound, or a rate outside 0 to 1.
pub fn parse_fault(file: &FaultFile) -> Result<Fault, BadWorld> {
    let target = Target::parse(&file.command).ok_or_else(|| bad("unknown command; see /__sim/help"))?;
    let effect = Effect::parse(&file.fault, file.after_s, file.slow_s).map_err(|e| bad(e.to_string()))?;
    let when = match (file.times, file.rate) {
        (None, None) => When::Times(1),
        (Some(n), None) if (1..=fault::TIMES_MAX).contains(&n) => When::Times(n),
        (None, Some(rate)) if (0.0..=1.0).contains(&rate) => When::Rate(rate),
        _ => return Err(bad("times (1 to 1000) or rate (0 to 1)")),
    };
    Ok(Fault { target, effect, when })
}

/// # Errors
/// [`BadWorld`] unless the numbers are a place on the Earth and a heading of 0 to 359.
pub fn place(latitude: f64, longitude: f64, heading: u16) -> Result<(), BadWorld> {
    if (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude) && heading < 360 {
        Ok(())
    } else {
        Err(bad("latitude -90 to 90, longitude -180 to 180, heading 0 to 359"))
    }
}
