//! The household: its doors as entities, its people, what is open to whom. Moves only by its methods.

use std::collections::{BTreeMap, HashMap};

use parcelshelf_core::time::{Entropy, Timestamp, random};
use parcelshelf_core::vehicle::Vin;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::auth::{Caller, Logins};
use super::drive::{Drive, Happening, Motion};
use super::fault::{Effect, Hears, Target};
use super::front::{Front, FrontFile};
use super::line::Line;

/// Bytes of a world file.
pub const WORLD_BYTES_MAX: u64 = 1024 * 1024;
const DOORS_MAX: usize = 64;
const PEOPLE_MAX: usize = 64;
const TIMES_MAX: usize = 256;
/// The server files a change under a call's context for so long after it.
const CONTEXT_RECENT_MS: i64 = 5_000;
/// The zone of the house itself.
const HOUSE: &str = "zone.home";
/// The user behind whatever was called. Which one, nobody here asks.
const CALLER: &str = "5f0c1d2e3b4a59687766554433221100";

/// A world file (JSON). Every member has a default; `{}` is a house without doors.
///
/// ```
/// use parcelshelf_simulator::homeassistant::WorldFile;
/// let world = WorldFile::parse(br#"{"doors":[{"number":"0GARAGE0000000001","entity":"garage"}]}"#).unwrap();
/// assert_eq!(world.doors.len(), 1);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct WorldFile {
    /// Where the house stands, degrees WGS 84.
    pub latitude: f64,
    pub longitude: f64,
    pub people: Vec<PersonFile>,
    pub doors: Vec<DoorFile>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fronts: Vec<FrontFile>,
    /// Decides which requests a fault with a rate strikes.
    pub seed: u64,
    pub latency: Latency,
}
impl Default for WorldFile {
    fn default() -> Self {
        let latency = Latency { read_ms: 0, command_ms: 0 };
        Self {
            latitude: 57.725_374,
            longitude: 11.849_843,
            people: Vec::new(),
            doors: Vec::new(),
            fronts: Vec::new(),
            seed: 1,
            latency,
        }
    }
}

/// What an answer usually takes; half to one and a half of it. Milliseconds of the simulator's clock.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    pub read_ms: u32,
    pub command_ms: u32,
}
impl WorldFile {
    /// One garage, a person for the keyholder, and one who administers.
    #[must_use]
    pub fn demo() -> Self {
        let person = |login: &str, admin| PersonFile { login: login.to_owned(), admin };
        Self {
            people: vec![person("keyholder", false), person("owner", true)],
            doors: vec![DoorFile::in_row(0)],
            ..Self::default()
        }
    }
    /// # Errors
    /// [`BadWorld::NotAWorld`], with what does not fit.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadWorld> {
        serde_json::from_slice(bytes).map_err(|e| BadWorld::NotAWorld(e.to_string()))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PersonFile {
    /// The name at login; also what `login_hint` carries here, which the real server does not know.
    pub login: String,
    #[serde(default)]
    pub admin: bool,
}

/// One door: `cover.<entity>` and `binary_sensor.<entity>_obstruction`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct DoorFile {
    /// By which the control path and whoever configures a keyholder know it; the server itself does not.
    pub number: String,
    pub entity: String,
    /// `garage` or `gate`.
    #[serde(default = "garage")]
    pub device_class: String,
    #[serde(default = "travel")]
    pub travel_ms: u32,
    #[serde(default = "warning")]
    pub warning_ms: u32,
    /// Whose looks at where the house stands are written down with this door, where each door is another person's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}
impl DoorFile {
    /// One of a row of garages, by its place in the row from 0. The first is that of [`WorldFile::demo`].
    #[must_use]
    pub fn in_row(n: usize) -> Self {
        let entity = if n == 0 { String::from("garage") } else { format!("garage_{}", n + 1) };
        Self::of(&format!("0GARAGE{:010}", n + 1), &entity)
    }
    #[must_use]
    pub fn of(number: &str, entity: &str) -> Self {
        Self {
            number: number.to_owned(),
            entity: entity.to_owned(),
            device_class: garage(),
            travel_ms: travel(),
            warning_ms: warning(),
            person: None,
        }
    }
}
fn garage() -> String {
    String::from("garage")
}
const fn travel() -> u32 {
    12_000
}
const fn warning() -> u32 {
    5_000
}

/// Why a world cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadWorld {
    #[error("not a world file: {0}")]
    NotAWorld(String),
    #[error("at most 64 doors and 64 people")]
    TooMany,
    #[error("two doors or people have the same name")]
    Twice,
    #[error(
        "door {0}: a number has 17 characters, an entity a-z, 0-9 and _, a class garage or gate, a travel 1 to 600000 ms"
    )]
    Door(usize),
    #[error(
        "front door {0}: a number has 17 characters, an entity a-z, 0-9 and _, a camera is at most 60000 ms behind"
    )]
    Front(usize),
    #[error("the house stands nowhere on Earth")]
    Place,
}

/// What the door itself recorded.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub openings: u64,
    pub opened_at: Vec<Timestamp>,
    pub shut_at: Option<Timestamp>,
    pub hindered_at: Option<Timestamp>,
    /// Commands that arrived, by service, whatever became of them.
    pub commands: BTreeMap<&'static str, u64>,
    /// When this door's person was told where the house stands, the first 256 times.
    pub house_told_at: Vec<Timestamp>,
}

/// A door as the server shows it.
#[derive(Debug)]
pub struct Door {
    pub file: DoorFile,
    pub drive: Drive,
    pub online: bool,
    pub line: Line,
    pub tally: Tally,
    /// The integration tells the server nothing new.
    frozen: bool,
    shown: (String, u8),
    last_changed: Timestamp,
    last_updated: Timestamp,
    context: String,
    /// Somebody's call stands behind the cover's last change.
    called: bool,
    /// The newest call's context, and when it came.
    recent: Option<(String, Timestamp)>,
    sensor: (String, Timestamp, String),
}

#[derive(Debug)]
pub struct World {
    pub latitude: f64,
    pub longitude: f64,
    pub logins: Logins,
    pub doors: Vec<Door>,
    pub fronts: Vec<Front>,
    pub requests: u64,
    /// Nothing answers until then.
    pub away_until: Timestamp,
    seed: u64,
    latency: Latency,
    since: Timestamp,
}

impl World {
    pub fn build(file: WorldFile, now: Timestamp) -> Result<Self, BadWorld> {
        if file.doors.len() + file.fronts.len() > DOORS_MAX || file.people.len() > PEOPLE_MAX {
            return Err(BadWorld::TooMany);
        }
        let on_earth = (-90.0..=90.0).contains(&file.latitude) && (-180.0..=180.0).contains(&file.longitude);
        if !on_earth {
            return Err(BadWorld::Place);
        }
        let mut names: Vec<&str> = file.doors.iter().flat_map(|d| [d.number.as_str(), d.entity.as_str()]).collect();
        names.extend(file.fronts.iter().flat_map(|d| [d.number.as_str(), d.entity.as_str()]));
        let people: HashMap<String, bool> = file.people.iter().map(|p| (p.login.clone(), p.admin)).collect();
        names.sort_unstable();
        if names.windows(2).any(|w| w[0] == w[1]) || people.len() != file.people.len() {
            return Err(BadWorld::Twice);
        }
        for (n, door) in file.doors.iter().enumerate() {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            let good = Vin::parse(&door.number).is_ok()
                && (1..=100).contains(&door.entity.len())
                && door.entity.bytes().all(plain)
                && matches!(door.device_class.as_str(), "garage" | "gate")
                && (1..=600_000).contains(&door.travel_ms)
                && door.warning_ms <= 600_000;
            if !good {
                return Err(BadWorld::Door(n));
            }
        }
        if let Some(n) = file.fronts.iter().position(|front| !front.is_good()) {
            return Err(BadWorld::Front(n));
        }
        Ok(Self {
            latitude: file.latitude,
            longitude: file.longitude,
            logins: Logins::of(people),
            doors: file.doors.into_iter().map(|file| Door::shut(file, now)).collect(),
            fronts: file.fronts.into_iter().map(|file| Front::shut(file, now)).collect(),
            requests: 0,
            away_until: now,
            seed: file.seed,
            latency: file.latency,
            since: now,
        })
    }
    pub fn live(&mut self, now: Timestamp, entropy: &dyn Entropy) {
        for door in &mut self.doors {
            door.live(now, entropy);
        }
        for front in &mut self.fronts {
            front.live(now, entropy);
        }
    }
    pub fn door(&mut self, number: &str) -> Option<&mut Door> {
        self.doors.iter_mut().find(|d| d.file.number == number)
    }
    pub fn front(&mut self, number: &str) -> Option<&mut Front> {
        self.fronts.iter_mut().find(|d| d.file.number == number)
    }
    /// Whatever is behind this number: what goes wrong with requests about it.
    pub fn line(&mut self, number: &str) -> Option<&mut Line> {
        let door = self.doors.iter_mut().find(|d| d.file.number == number).map(|d| &mut d.line);
        door.or_else(|| self.fronts.iter_mut().find(|d| d.file.number == number).map(|d| &mut d.line))
    }
    /// A service is called for an entity. What the caller hears, with the states that the call changed in this moment, and
    /// after how many milliseconds; `None` for what does not exist.
    pub fn call(
        &mut self,
        service: Target,
        entity: &str,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Option<(Vec<Value>, Hears, u64)> {
        let (seed, usual_ms) = (self.seed, self.latency.command_ms);
        let name = entity.strip_prefix("cover.")?;
        let door = self.doors.iter_mut().find(|d| d.file.entity == name)?;
        *door.tally.commands.entry(service.code()).or_default() += 1;
        let strikes = door.line.strike(service, seed, &door.file.number);
        let changed = door.command(service, strikes, now, entropy);
        let (hears, held_ms) = door.line.holds_back(strikes, usual_ms, seed, &door.file.number);
        Some((changed, hears, held_ms))
    }
    /// The same of a lock's or a light's service. A light is at it at once: how long it takes is no matter of the server's.
    pub fn call_front(
        &mut self,
        service: Target,
        entity: &str,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Option<(Vec<Value>, Hears, u64)> {
        let (seed, usual_ms) = (self.seed, if service.is_of_light() { 0 } else { self.latency.command_ms });
        let kind = if service.is_of_light() { "light." } else { "lock." };
        let front = self.fronts.iter_mut().find(|front| entity.starts_with(kind) && front.has(entity))?;
        let strikes = front.line.strike(service, seed, &front.file.number);
        let changed = front.call(service, strikes, now, entropy);
        let (hears, held_ms) = front.line.holds_back(strikes, usual_ms, seed, &front.file.number);
        Some((changed, hears, held_ms))
    }
    /// What a camera gives: a PNG or nothing. `None`: there is no such camera.
    pub fn still(&mut self, entity: &str, now: Timestamp) -> Option<(Option<Vec<u8>>, Hears, u64)> {
        let seed = self.seed;
        let front = self.fronts.iter_mut().find(|front| front.has(entity) && entity.starts_with("camera."))?;
        let strikes = front.line.strike(Target::Still, seed, &front.file.number);
        let (hears, held_ms) = front.line.holds_back(strikes, 0, seed, &front.file.number);
        let arrives = matches!(hears, Hears::Success | Hears::TruthAfterSeconds(_));
        Some((front.picture(now, arrives), hears, held_ms))
    }
    /// A look at an entity: what stands there, what the caller hears, and after how many milliseconds.
    pub fn look(&mut self, entity: &str, caller: &Caller, now: Timestamp) -> (Option<Value>, Hears, u64) {
        let (seed, read_ms, told) = (self.seed, self.latency.read_ms, self.state(entity));
        let Some((number, asked)) = self.about(entity, caller) else { return (told, Hears::Success, 0) };
        let usual_ms = if asked.is_of_light() { 0 } else { read_ms };
        let Some(line) = self.line(&number) else { return (told, Hears::Success, 0) };
        let strikes = line.strike(asked, seed, &number);
        let (hears, held_ms) = line.holds_back(strikes, usual_ms, seed, &number);
        let told_where = matches!(hears, Hears::Success | Hears::TruthAfterSeconds(_)) && asked == Target::House;
        let house_told_at = self.house_told_at(&number).filter(|all| told_where && all.len() < TIMES_MAX);
        if let Some(all) = house_told_at {
            all.push(now);
        }
        (told, hears, held_ms)
    }
    fn house_told_at(&mut self, number: &str) -> Option<&mut Vec<Timestamp>> {
        let door = self.doors.iter_mut().find(|d| d.file.number == number).map(|d| &mut d.tally.house_told_at);
        door.or_else(|| self.fronts.iter_mut().find(|d| d.file.number == number).map(|d| &mut d.house_told_at))
    }
    /// Which door a look is about, by its number. Where the house stands is asked for by somebody.
    fn about(&self, entity: &str, caller: &Caller) -> Option<(String, Target)> {
        if entity == HOUSE {
            let own = |person: &Option<String>| person.as_ref() == Some(&caller.login);
            let door = self.doors.iter().find(|d| own(&d.file.person)).map(|d| &d.file.number);
            let front = || self.fronts.iter().find(|d| own(&d.file.person)).map(|d| &d.file.number);
            return door.or_else(front).map(|number| (number.clone(), Target::House));
        }
        if let Some((front, asked)) = self.fronts.iter().find_map(|d| Some((d, d.looked_at(entity)?))) {
            return Some((front.file.number.clone(), asked));
        }
        let (cover, sensor) = (entity.strip_prefix("cover."), entity.strip_prefix("binary_sensor."));
        let sensor = sensor.and_then(|s| s.strip_suffix("_obstruction"));
        let (name, asked) = cover.map(|c| (c, Target::Cover)).or(sensor.map(|s| (s, Target::Obstruction)))?;
        self.doors.iter().find(|d| d.file.entity == name).map(|d| (d.file.number.clone(), asked))
    }
    /// One entity's state, as the server writes it.
    pub fn state(&self, entity: &str) -> Option<Value> {
        if entity == HOUSE {
            return Some(self.house());
        }
        let sensed = |d: &&Door| entity == format!("binary_sensor.{}_obstruction", d.file.entity);
        if let Some(door) = self.doors.iter().find(sensed) {
            return Some(door.sensor_state());
        }
        if let Some(told) = self.fronts.iter().find_map(|front| front.state(entity)) {
            return Some(told);
        }
        let name = entity.strip_prefix("cover.")?;
        self.doors.iter().find(|d| d.file.entity == name).map(Door::cover_state)
    }
    fn house(&self) -> Value {
        let at = self.since.to_rfc3339();
        json!({
            "entity_id": HOUSE,
            "state": "0",
            "attributes": {
                "latitude": self.latitude, "longitude": self.longitude, "radius": 100, "passive": false,
                "persons": [], "editable": true, "icon": "mdi:home", "friendly_name": "Home",
            },
            "last_changed": at, "last_reported": at, "last_updated": at,
            "context": {"id": "00000000000000000000000000", "parent_id": null, "user_id": null},
        })
    }
}

impl Door {
    fn shut(file: DoorFile, now: Timestamp) -> Self {
        let nobody = String::from("00000000000000000000000000");
        Self {
            drive: Drive::shut(file.travel_ms, file.warning_ms),
            file,
            online: true,
            line: Line::default(),
            tally: Tally::default(),
            frozen: false,
            shown: (String::from("closed"), 0),
            last_changed: now,
            last_updated: now,
            context: nobody.clone(),
            called: false,
            recent: None,
            sensor: (String::from("off"), now, nobody),
        }
    }
    /// Lives up to `now`, in the order in which it happens: each change is written then, not when somebody looks.
    fn live(&mut self, now: Timestamp, entropy: &dyn Entropy) {
        while let Some((at, service)) = self.line.arrives(now) {
            self.moves_until(at, entropy);
            self.hears_of(service, at, entropy);
        }
        self.moves_until(now, entropy);
    }
    fn moves_until(&mut self, now: Timestamp, entropy: &dyn Entropy) {
        while let Some((at, happening)) = self.drive.step(now) {
            self.happened(vec![(at, happening)]);
            self.show(at, entropy);
        }
        self.show(now, entropy);
    }
    fn word(&self) -> &'static str {
        match self.drive.motion {
            _ if !self.online => "unavailable",
            Motion::Opening { .. } => "opening",
            Motion::Closing { .. } => "closing",
            Motion::Still | Motion::Warning { .. } if self.drive.is_shut() => "closed",
            Motion::Still | Motion::Warning { .. } => "open",
        }
    }
    fn happened(&mut self, seen: Vec<(Timestamp, Happening)>) {
        for (at, happening) in seen {
            match happening {
                Happening::Opened => {
                    self.tally.openings += 1;
                    if self.tally.opened_at.len() < TIMES_MAX {
                        self.tally.opened_at.push(at);
                    }
                }
                Happening::Shut => self.tally.shut_at = Some(at),
                Happening::Yielded | Happening::Stalled => self.tally.hindered_at = Some(at),
                Happening::Moved => {}
            }
        }
    }
    /// Writes the state anew where it has changed, under the newest call's context if that is recent.
    fn show(&mut self, now: Timestamp, entropy: &dyn Entropy) {
        if self.frozen {
            return;
        }
        let (word, position) = (self.word(), self.drive.position);
        if self.shown.0 != word {
            self.last_changed = now;
        }
        if self.shown.0 != word || self.shown.1 != position {
            self.last_updated = now;
            let recent = self.recent.as_ref().filter(|(_, at)| now.millis_since(*at) <= CONTEXT_RECENT_MS);
            self.called = recent.is_some();
            self.context = recent.map_or_else(|| context(entropy), |(context, _)| context.clone());
            self.shown = (word.to_owned(), position);
        }
        let sensed = match (self.online, self.drive.in_the_way) {
            (false, _) => "unavailable",
            (true, true) => "on",
            (true, false) => "off",
        };
        if self.sensor.0 != sensed {
            self.sensor = (sensed.to_owned(), now, context(entropy));
        }
    }
    /// A hand at the door itself.
    pub fn hand(&mut self, action: &str, now: Timestamp, entropy: &dyn Entropy) -> bool {
        match action {
            "press_button" => {
                // A call before says nothing of a hand after it.
                self.recent = None;
                let seen = self.drive.press(now);
                self.happened(seen);
            }
            "block_doorway" => self.drive.in_the_way = true,
            "clear_doorway" => self.drive.in_the_way = false,
            "break_drive" => self.drive.broken = true,
            "mend_drive" => self.drive.broken = false,
            "lose_network" => self.online = false,
            "regain_network" => self.online = true,
            "freeze_state" => self.frozen = true,
            "thaw_state" => self.frozen = false,
            _ => return false,
        }
        self.show(now, entropy);
        true
    }
    /// The states that a command changes in this moment.
    fn command(
        &mut self,
        service: Target,
        strikes: Option<Effect>,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Vec<Value> {
        let before = self.shown.clone();
        if self.line.reaches(strikes, service, now) {
            self.hears_of(service, now, entropy);
        }
        if self.shown == before { Vec::new() } else { vec![self.cover_state()] }
    }
    /// The drive is told.
    fn hears_of(&mut self, service: Target, now: Timestamp, entropy: &dyn Entropy) {
        if !self.online {
            return;
        }
        self.recent = Some((context(entropy), now));
        let seen = match service {
            Target::Open => self.drive.open(now),
            Target::Close => self.drive.close(now),
            // Nothing else moves it.
            _ => Vec::new(),
        };
        self.happened(seen);
        self.show(now, entropy);
    }

    fn cover_state(&self) -> Value {
        let mut attributes = json!({
            "device_class": self.file.device_class,
            "friendly_name": self.file.entity,
            // Open, close and stop.
            "supported_features": 11,
        });
        if self.online {
            attributes["current_position"] = json!(self.shown.1);
        }
        self.written(
            &format!("cover.{}", self.file.entity),
            &self.shown.0,
            &attributes,
            self.last_changed,
            self.last_updated,
        )
    }
    fn sensor_state(&self) -> Value {
        let attributes = json!({"device_class": "problem", "friendly_name": "obstruction"});
        let name = format!("binary_sensor.{}_obstruction", self.file.entity);
        self.written(&name, &self.sensor.0, &attributes, self.sensor.1, self.sensor.1)
    }
    fn written(&self, entity: &str, state: &str, attributes: &Value, changed: Timestamp, updated: Timestamp) -> Value {
        let (context, called) =
            if entity.starts_with("cover.") { (&self.context, self.called) } else { (&self.sensor.2, false) };
        json!({
            "entity_id": entity, "state": state, "attributes": attributes,
            "last_changed": changed.to_rfc3339(), "last_reported": updated.to_rfc3339(),
            "last_updated": updated.to_rfc3339(),
            "context": {"id": context, "parent_id": null, "user_id": called.then_some(CALLER)},
        })
    }
    /// For the control path.
    pub fn to_json(&self) -> Value {
        json!({
            "number": self.file.number, "cover": format!("cover.{}", self.file.entity), "state": self.shown.0,
            "position": self.drive.position, "online": self.online, "in_the_way": self.drive.in_the_way,
            "broken": self.drive.broken, "frozen": self.frozen, "faults": self.line.faults.len(),
        })
    }
}

/// 26 characters, as the server's.
pub(super) fn context(entropy: &dyn Entropy) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    random::<26>(entropy).iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect()
}
