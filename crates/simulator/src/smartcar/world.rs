//! The world: owners, client applications, cars, and everything the cloud knows. Moves only by its methods.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use sha2::{Digest as _, Sha256};

use super::car::{Answer, Build, Car, Closure, Event, Order, Place};
use super::fault::{self, Acts, Effect, Error, Fault, Hears, Target};
use super::file::{BadWorld, CarFile, ClientFile, Latency, Limits, WorldFile, bad, vin_of};
use super::identity::{Identity, Scopes};
use super::record::{CommandSeen, Record};

const CARS_MAX: usize = 50_000;
const OWNERS_MAX: usize = 50_000;
const CLIENTS_MAX: usize = 100;
/// Late commands waiting for one car.
const LATE_MAX: usize = 64;
/// Serial numbers of invented cars begin here.
const SERIAL_FIRST: u32 = 200_001;

/// What the maker's cloud keeps of a car until it asks anew.
#[derive(Debug, Clone)]
pub struct Kept {
    pub at: Timestamp,
    pub car: Car,
    pub place: Place,
}

/// A car in the cloud's books.
#[derive(Debug)]
pub struct Entry {
    pub file: CarFile,
    pub vin: Vin,
    /// The vendor's id.
    pub id: String,
    pub car: Car,
    pub faults: Vec<Fault>,
    kept: Option<Kept>,
    late: Vec<(Timestamp, Order)>,
    /// Simulated milliseconds for which answers about this car were held back.
    pub held_ms: u64,
    answers: u64,
    attempts: HashMap<Target, u64>,
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
    /// The vendor's ids, with the cars they stand for.
    ids: HashMap<String, String>,
    /// Cars that an application was told to let go of.
    disconnected: BTreeSet<(String, String)>,
    pub identity: Identity,
    pub record: Record,
    quota: HashMap<(String, String, bool), VecDeque<Timestamp>>,
    next_serial: u32,
}

/// What the cloud tells the caller of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandAnswer {
    Success,
    Error(Error),
    Odd,
    Nothing,
    Garbage,
    Later { error: Option<Error>, after_s: u32 },
}

/// A UUID (RFC 9562, the form of version 5) that depends on these words only.
#[must_use]
pub fn uuid_of(what: &str) -> String {
    let digest = Sha256::digest(what.as_bytes());
    let mut bytes: [u8; 16] = std::array::from_fn(|i| digest[i]);
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
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
            ids: HashMap::new(),
            disconnected: BTreeSet::new(),
            identity: Identity::default(),
            record: Record::default(),
            quota: HashMap::new(),
            next_serial: SERIAL_FIRST,
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
    /// [`BadWorld`] for a bad or known VIN, a place off the Earth, an unknown fault, or too many cars.
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
        let (place, faults) = file.checked()?;
        self.add_owner(&file.owner)?.vins.push(key.clone());
        let since = now.plus_seconds(-i64::from(file.parked_since_s));
        let build = Build {
            relock_after_s: (file.relock_after_s > 0).then_some(file.relock_after_s),
            relock_on_close: file.relock_on_close,
        };
        let mut car = Car::parked(build, place, since);
        if file.asleep {
            car = car.step(Event::Sleep, now).0;
        }
        let id = uuid_of(&format!("vehicle {key}"));
        self.ids.insert(id.clone(), key.clone());
        let entry = Entry {
            file,
            vin,
            id,
            car,
            faults,
            kept: None,
            late: Vec::new(),
            held_ms: 0,
            answers: 0,
            attempts: HashMap::new(),
        };
        self.cars.insert(key.clone(), entry);
        self.record.entered(now, &key);
        Ok(key)
    }
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
    /// The VIN of the car that the vendor calls so.
    #[must_use]
    pub fn vin_of_id(&self, id: &str) -> Option<String> {
        self.ids.get(id).cloned()
    }
    pub fn faults_of(&mut self, vin: &str) -> Option<&mut Vec<Fault>> {
        self.cars.get_mut(vin).map(|e| &mut e.faults)
    }

    // ---- connections ---------------------------------------------------------------------------------------------

    /// The owner consents anew: every car of theirs is connected.
    pub fn connect(&mut self, client_id: &str, owner: &str) {
        let vins: Vec<String> = self.owners.get(owner).map(|o| o.vins.clone()).unwrap_or_default();
        for vin in vins {
            self.disconnected.remove(&(client_id.to_owned(), vin));
        }
    }
    /// The application lets go of a car. With the last one the grant ends.
    pub fn disconnect(&mut self, client_id: &str, owner: &str, vin: &str) {
        self.disconnected.insert((client_id.to_owned(), vin.to_owned()));
        if self.connected(client_id, owner).is_empty() {
            self.identity.revoke(owner);
        }
    }
    /// Ids of an owner's cars that an application may ask for.
    #[must_use]
    pub fn connected(&self, client_id: &str, owner: &str) -> Vec<String> {
        let vins = self.owners.get(owner).into_iter().flat_map(|o| &o.vins);
        vins.filter(|vin| !self.disconnected.contains(&(client_id.to_owned(), (*vin).clone())))
            .filter_map(|vin| self.cars.get(vin).map(|e| e.id.clone()))
            .collect()
    }

    // ---- cars ----------------------------------------------------------------------------------------------------

    /// Time passes for one car: late commands act, it locks itself.
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
    /// The car as the maker's cloud knows it, which may be a while ago. A sleeping or lost car is not asked.
    pub fn known(&mut self, vin: &str, now: Timestamp) -> Option<Kept> {
        self.live(vin, now);
        let entry = self.cars.get_mut(vin)?;
        let due = |kept: &Kept| now.millis_since(kept.at) >= i64::from(entry.file.data_every_s) * 1_000;
        let answers = entry.car.online && !entry.car.asleep;
        match &entry.kept {
            Some(kept) if !due(kept) || !answers => Some(kept.clone()),
            None if !answers => {
                let (at, car) = (entry.car.parked_at, entry.car.clone());
                Some(Kept { at, place: car.place(now), car })
            }
            _ => {
                let kept = Kept { at: now, car: entry.car.clone(), place: entry.car.place(now) };
                entry.kept = Some(kept.clone());
                Some(kept)
            }
        }
    }

    /// A command from the cloud, with whatever fault strikes it. `None`: no such car.
    pub fn command(&mut self, vin: &str, order: Order, owner: &str, now: Timestamp) -> Option<CommandAnswer> {
        self.live(vin, now);
        let seed = self.seed;
        let entry = self.cars.get_mut(vin)?;
        let effect = entry.strike(seed, vin, Target::Order(order));
        let (mut refused, mut acted, mut acts_at) = (None, false, None);
        match effect.map_or(Acts::Now, |e| e.acts) {
            Acts::AfterSeconds(s) if entry.late.len() < LATE_MAX => {
                let at = now.plus_seconds(i64::from(s));
                acts_at = Some(at);
                entry.late.push((at, order));
            }
            Acts::No | Acts::AfterSeconds(_) => {}
            Acts::Now => match entry.apply(Event::Order(order), now, &mut self.record) {
                Answer::Done => acted = true,
                Answer::Refused(name) | Answer::Impossible(name) => refused = Error::named(name),
            },
        }
        let truth = refused.map_or(CommandAnswer::Success, CommandAnswer::Error);
        let answer = match effect.map(|e| e.hears) {
            None => truth,
            Some(Hears::Success) => CommandAnswer::Success,
            Some(Hears::Error(error)) => CommandAnswer::Error(error),
            Some(Hears::Odd) => CommandAnswer::Odd,
            Some(Hears::Nothing) => CommandAnswer::Nothing,
            Some(Hears::Garbage) => CommandAnswer::Garbage,
            Some(Hears::TruthAfterSeconds(after_s)) => CommandAnswer::Later { error: refused, after_s },
        };
        let answered = match answer {
            CommandAnswer::Success | CommandAnswer::Later { error: None, .. } => "success",
            CommandAnswer::Error(e) | CommandAnswer::Later { error: Some(e), .. } => e.name,
            CommandAnswer::Odd => "odd",
            CommandAnswer::Nothing => "nothing",
            CommandAnswer::Garbage => "garbage",
        };
        self.record.command(now, vin, CommandSeen { command: order.code(), owner, acted, acts_at, answered });
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

impl Entry {
    fn apply(&mut self, event: Event, now: Timestamp, record: &mut Record) -> Answer {
        let (car, answer, seen) = self.car.clone().step(event, now);
        self.car = car;
        for happening in seen {
            // A car that locked itself did so when it did, not when somebody looked.
            let at = if let super::car::Happening::Lock { .. } = happening { self.car.lock.changed_at } else { now };
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
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::json;
        let closures: serde_json::Map<_, _> = Closure::ALL
            .into_iter()
            .map(|c| {
                let lid = self.car.closure(c);
                (c.code().to_owned(), json!({"value": lid.value.code(), "changed_at": lid.changed_at.to_rfc3339()}))
            })
            .collect();
        let parked = self.car.place(self.car.parked_at);
        json!({
            "vin": self.vin.expose(),
            "id": self.id,
            "owner": self.file.owner,
            "make": self.file.make,
            "model": self.file.model,
            "model_year": self.file.model_year,
            "central_lock": {"value": self.car.lock.value.code(), "changed_at": self.car.lock.changed_at.to_rfc3339()},
            "closures": closures,
            "shut_and_locked": self.car.shut_and_locked(),
            "driving": self.car.trip != super::car::Trip::Parked,
            "parked": {
                "latitude": parked.latitude,
                "longitude": parked.longitude,
                "since": self.car.parked_at.to_rfc3339(),
            },
            "asleep": self.car.asleep,
            "online": self.car.online,
            "held_ms": self.held_ms,
            "faults": self.faults.len(),
            "late_commands": self.late.len(),
        })
    }
}
