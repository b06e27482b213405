//! The world: owners, client applications, cars, and everything the cloud knows. Moves only by its methods, and only to the
//! time that they are given.

use std::collections::{BTreeMap, HashMap, VecDeque};

use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use serde_json::json;

use super::car::{Answer, Build, Car, Closure, Event, Order, Parking, Trip};
use super::fault::{self, Acts, Effect, FAULTS_PER_CAR_MAX, Fault, Hears, Target};
use super::file::{BadWorld, CarFile, ClientFile, Latency, Limits, WorldFile, bad, parse_fault, vin_of};
use super::identity::{Identity, Scopes};
use super::record::{CommandSeen, Record};
use super::signed::{Came, Security};

pub const CARS_MAX: usize = 50_000;
pub const OWNERS_MAX: usize = 50_000;
pub const CLIENTS_MAX: usize = 100;
/// Late commands waiting for one car.
const LATE_MAX: usize = 64;

/// A car in the cloud's books.
#[derive(Debug)]
pub struct Entry {
    pub file: CarFile,
    pub vin: Vin,
    pub car: Car,
    faults: Vec<Fault>,
    /// The car's side of signed commands.
    security: Security,
    late: Vec<(Timestamp, Order)>,
    attempts: HashMap<Target, u64>,
    /// Simulated milliseconds for which answers about this car were held back.
    pub held_ms: u64,
    answers: u64,
}

#[derive(Debug, Default)]
pub struct Owner {
    pub refused_scopes: Scopes,
    pub served_at: Option<String>,
    vins: Vec<String>,
}

/// What a request is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charge {
    Read,
    Command,
    Wake,
}

#[derive(Debug)]
pub struct World {
    seed: u64,
    limits: Limits,
    latency: Latency,
    /// No request is answered before this moment, but with 503.
    pub down_until: Timestamp,
    pub clients: Vec<ClientFile>,
    pub owners: BTreeMap<String, Owner>,
    cars: BTreeMap<String, Entry>,
    pub identity: Identity,
    pub record: Record,
    quota: HashMap<(String, Charge), VecDeque<Timestamp>>,
    next_serial: u32,
}

/// What the cloud tells the caller of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The car's own answer.
    Car(Answer),
    /// Something else, after what the car made of it.
    Said(Hears, Answer),
    Http(u16),
    Nothing,
    Garbage,
    Late(Answer, u32),
}

impl World {
    /// # Errors
    /// [`BadWorld`] names the first thing that cannot be.
    pub fn build(file: WorldFile, now: Timestamp) -> Result<Self, BadWorld> {
        if file.clients.is_empty() || file.clients.len() > CLIENTS_MAX {
            return Err(bad("1 to 100 clients"));
        }
        let Limits { reads_per_minute, commands_per_minute, wakes_per_minute } = file.limits;
        if [reads_per_minute, commands_per_minute, wakes_per_minute].contains(&0) {
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
        for file in file.owners {
            let owner = world.add_owner(&file.login)?;
            owner.refused_scopes = file.refused_scopes.into_iter().collect();
            owner.served_at = file.served_at;
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
        self.add_owner(&file.owner)?.vins.push(key.clone());
        let build =
            Build { powered_lid: file.powered_lid, can_actuate_trunks: file.can_actuate_trunks, wake_s: file.wake_s };
        let at = now.plus_seconds(-i64::from(file.parked_since_s));
        let (latitude, longitude) = (file.latitude, file.longitude);
        let mut car = Car::parked(build, Parking { latitude, longitude, heading_deg: file.heading, at });
        car.asleep = file.asleep;
        let (late, attempts) = (Vec::new(), HashMap::new());
        // The car's clock began before this world did.
        let security = Security::of(self.seed, &key, at).ok_or_else(|| bad("a car without a key"))?;
        let entry = Entry { file, vin, car, faults, security, late, attempts, held_ms: 0, answers: 0 };
        self.cars.insert(key.clone(), entry);
        self.record.entered(now, &key);
        Ok(key)
    }

    /// The VIN of an invented car that nobody has yet.
    fn invent_vin(&mut self, file: &CarFile) -> Result<Vin, BadWorld> {
        while self.next_serial <= 999_999 {
            let vin = vin_of(&file.model, file.model_year, self.next_serial)?;
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
    pub fn vins_of<'a>(&'a self, owner: &'a str) -> impl Iterator<Item = &'a str> {
        self.owners.get(owner).into_iter().flat_map(|o| &o.vins).map(String::as_str)
    }

    /// Time passes for one car: late commands act, a car that was called wakes.
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
    /// Something befalls a car, not by a command. `None`: no such car.
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
    /// The fault that strikes this request, if any.
    pub fn fault_on(&mut self, vin: &str, target: Target) -> Option<Effect> {
        let seed = self.seed;
        self.cars.get_mut(vin).and_then(|e| e.strike(seed, vin, target))
    }

    /// A command from the cloud to a car that is awake, with whatever fault strikes it. `None`: no such car.
    pub fn command(
        &mut self,
        vin: &str,
        order: Order,
        style: &'static str,
        owner: &str,
        now: Timestamp,
    ) -> Option<Told> {
        self.live(vin, now);
        let seed = self.seed;
        let entry = self.cars.get_mut(vin)?;
        let effect = entry.strike(seed, vin, Target::Order(order));
        let mut acts_at = None;
        let mut truth = Answer::Deaf;
        match effect.map_or(Acts::Now, |e| e.acts) {
            Acts::AfterSeconds(s) if entry.late.len() < LATE_MAX => {
                let at = now.plus_seconds(i64::from(s));
                acts_at = Some(at);
                entry.late.push((at, order));
            }
            Acts::No | Acts::AfterSeconds(_) => {}
            Acts::Now => truth = entry.apply(Event::Order(order), now, &mut self.record),
        }
        let told = match effect.map(|e| e.hears) {
            None => Told::Car(truth),
            Some(Hears::Http(code)) => Told::Http(code),
            Some(Hears::Nothing) => Told::Nothing,
            Some(Hears::Garbage) => Told::Garbage,
            Some(Hears::TruthAfterSeconds(s)) => Told::Late(truth, s),
            Some(said) => Told::Said(said, truth),
        };
        let answered = match told {
            Told::Car(Answer::Done) | Told::Late(Answer::Done, _) => "yes".to_owned(),
            Told::Car(_) | Told::Late(..) => "no".to_owned(),
            Told::Said(said, _) => format!("{said:?}"),
            Told::Http(code) => code.to_string(),
            Told::Nothing => "nothing".to_owned(),
            Told::Garbage => "garbage".to_owned(),
        };
        let acted = truth == Answer::Done;
        let seen = CommandSeen { command: order.code(), style, owner, acted, acts_at, answered: &answered };
        self.record.command(now, vin, seen);
        Some(told)
    }
    /// A signed message for a car that is awake; `enrolled` is the key that its owner let in. `None`: no such car.
    pub fn take_signed(&mut self, vin: &str, message: &[u8], enrolled: Option<&[u8]>, now: Timestamp) -> Option<Came> {
        let entry = self.cars.get_mut(vin)?;
        Some(entry.security.take(message, vin, enrolled, now))
    }
    /// The car's security computer starts again.
    pub fn restart_security(&mut self, vin: &str, now: Timestamp) -> bool {
        let entry = self.cars.get_mut(vin);
        entry.map(|entry| entry.security.restart(now)).is_some()
    }
    /// A command that ended at the cloud, or that the car did not take for one.
    pub fn turned_away(
        &mut self,
        vin: &str,
        command: &'static str,
        style: &'static str,
        owner: &str,
        answered: &str,
        now: Timestamp,
    ) {
        self.record.command(now, vin, CommandSeen { command, style, owner, acted: false, acts_at: None, answered });
    }

    /// Counts a request against the quota of this car (or owner, for lists).
    ///
    /// # Errors
    /// Seconds until the oldest counted request is a minute old.
    pub fn charge(&mut self, subject: &str, charge: Charge, now: Timestamp) -> Result<(), u64> {
        let limit = match charge {
            Charge::Read => self.limits.reads_per_minute,
            Charge::Command => self.limits.commands_per_minute,
            Charge::Wake => self.limits.wakes_per_minute,
        };
        let spent = self.quota.entry((subject.to_owned(), charge)).or_default();
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
            record.happened(now, self.vin.expose(), happening);
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
            "signed": self.file.signed,
            "powered_lid": self.file.powered_lid,
            "lock": {"value": self.car.lock.value.code(), "changed_at": self.car.lock.changed_at.to_rfc3339()},
            "closures": closures,
            "shut_and_locked": self.car.shut_and_locked(),
            "driving": self.car.trip == Trip::Driving,
            "parked": {
                "latitude": self.car.parked.latitude,
                "longitude": self.car.parked.longitude,
                "heading": self.car.parked.heading_deg,
                "since": self.car.parked.at.to_rfc3339(),
            },
            "state": self.car.state(),
            "user_present": self.car.user_present,
            "held_ms": self.held_ms,
            "faults": self.faults.len(),
            "late_commands": self.late.len(),
        })
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn invented_cars_have_vins_whose_check_digit_holds() {
        for (model, year) in [("S", 2015), ("3", 2020), ("X", 2022), ("Y", 2026)] {
            let vin = vin_of(model, year, 100_001).unwrap();
            assert!(vin.check_digit_holds() && vin.expose()[3..4] == *model);
        }
        assert!(
            vin_of("3", 1979, 1).is_err() && vin_of("3", 2020, 1_000_000).is_err() && vin_of("I", 2020, 1).is_err()
        );
    }

    #[test]
    fn a_late_command_acts_when_its_time_has_come_and_not_before() {
        let (mut world, vin) = world(|_| {});
        let effect = Effect::parse("late", Some(8), None).unwrap();
        let target = Target::Order(Order::RearTrunk);
        world.faults_of(&vin).unwrap().push(Fault { target, effect, when: fault::When::Times(1) });
        assert_eq!(world.command(&vin, Order::RearTrunk, "plain", OWNER, at(0)), Some(Told::Http(504)));
        world.live(&vin, at(7));
        assert!(world.car(&vin).unwrap().car.shut());
        world.live(&vin, at(20));
        let car = &world.car(&vin).unwrap().car;
        assert_eq!(car.closure(Closure::Trunk).changed_at, at(8), "when it did, not when somebody looked");
    }

    #[test]
    fn wakes_are_scarce_and_a_full_quota_says_how_long_to_wait() {
        let (mut world, vin) = world(|_| {});
        for n in 0..3 {
            assert_eq!(world.charge(&vin, Charge::Wake, at(n)), Ok(()));
        }
        assert_eq!(world.charge(&vin, Charge::Wake, at(20)), Err(40));
        assert_eq!(world.charge(&vin, Charge::Command, at(20)), Ok(()), "commands are counted apart");
        assert_eq!(world.charge(&vin, Charge::Wake, at(60)), Ok(()));
    }
}
