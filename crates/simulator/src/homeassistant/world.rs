//! The household: its doors as entities, its people, what is open to whom. Moves only by its methods.

use std::collections::{BTreeMap, HashMap};

use parcelshelf_core::time::{Entropy, Timestamp, random};
use parcelshelf_core::vehicle::Vin;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::auth::Logins;
use super::drive::{Drive, Happening, Motion};

/// Bytes of a world file.
pub const WORLD_BYTES_MAX: u64 = 1024 * 1024;
const DOORS_MAX: usize = 64;
const PEOPLE_MAX: usize = 64;
const FAULTS_MAX: usize = 64;
const TIMES_MAX: usize = 256;
/// The server files a change under a call's context for so long after it.
const CONTEXT_RECENT_MS: i64 = 5_000;
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
}
impl Default for WorldFile {
    fn default() -> Self {
        Self { latitude: 57.725_374, longitude: 11.849_843, people: Vec::new(), doors: Vec::new() }
    }
}
impl WorldFile {
    /// One garage, a person for the keyholder, and one who administers.
    #[must_use]
    pub fn demo() -> Self {
        let person = |login: &str, admin| PersonFile { login: login.to_owned(), admin };
        Self {
            people: vec![person("keyholder", false), person("owner", true)],
            doors: vec![DoorFile::of("0GARAGE0000000001", "garage")],
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
}
impl DoorFile {
    #[must_use]
    pub fn of(number: &str, entity: &str) -> Self {
        Self {
            number: number.to_owned(),
            entity: entity.to_owned(),
            device_class: garage(),
            travel_ms: travel(),
            warning_ms: warning(),
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
    #[error("the house stands nowhere on Earth")]
    Place,
}

/// What goes wrong with the next command, and whether the drive hears it all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends without an answer.
    Drop {
        acted: bool,
    },
    Status {
        status: u16,
        acted: bool,
    },
    Garbage {
        acted: bool,
    },
}
impl Fault {
    /// `connection_drop`, `garbage` or an HTTP status, with `_acted` or `_not_acted` behind it.
    pub fn parse(text: &str) -> Option<Self> {
        let (what, acted) = match text.strip_suffix("_not_acted") {
            Some(what) => (what, false),
            None => (text.strip_suffix("_acted")?, true),
        };
        Some(match what {
            "connection_drop" => Self::Drop { acted },
            "garbage" => Self::Garbage { acted },
            status => {
                let status = status.parse().ok().filter(|s| (400..600).contains(s))?;
                Self::Status { status, acted }
            }
        })
    }
    pub const fn acted(self) -> bool {
        match self {
            Self::Drop { acted } | Self::Status { acted, .. } | Self::Garbage { acted } => acted,
        }
    }
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
}

/// A door as the server shows it.
#[derive(Debug)]
pub struct Door {
    pub file: DoorFile,
    pub drive: Drive,
    pub online: bool,
    pub faults: Vec<(&'static str, Fault)>,
    pub tally: Tally,
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
    pub requests: u64,
    /// Nothing answers until then.
    pub away_until: Timestamp,
    since: Timestamp,
}

impl World {
    pub fn build(file: WorldFile, now: Timestamp) -> Result<Self, BadWorld> {
        if file.doors.len() > DOORS_MAX || file.people.len() > PEOPLE_MAX {
            return Err(BadWorld::TooMany);
        }
        let on_earth = (-90.0..=90.0).contains(&file.latitude) && (-180.0..=180.0).contains(&file.longitude);
        if !on_earth {
            return Err(BadWorld::Place);
        }
        let mut names: Vec<&str> = file.doors.iter().flat_map(|d| [d.number.as_str(), d.entity.as_str()]).collect();
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
        Ok(Self {
            latitude: file.latitude,
            longitude: file.longitude,
            logins: Logins::of(people),
            doors: file.doors.into_iter().map(|file| Door::shut(file, now)).collect(),
            requests: 0,
            away_until: now,
            since: now,
        })
    }
    pub fn live(&mut self, now: Timestamp, entropy: &dyn Entropy) {
        for door in &mut self.doors {
            // Each change is written when it happens, not when somebody looks.
            while let Some((at, happening)) = door.drive.step(now) {
                door.happened(vec![(at, happening)]);
                door.show(at, entropy);
            }
            door.show(now, entropy);
        }
    }
    pub fn door(&mut self, number: &str) -> Option<&mut Door> {
        self.doors.iter_mut().find(|d| d.file.number == number)
    }
    pub fn cover(&mut self, entity: &str) -> Option<&mut Door> {
        let name = entity.strip_prefix("cover.")?;
        self.doors.iter_mut().find(|d| d.file.entity == name)
    }
    /// One entity's state, as the server writes it.
    pub fn state(&self, entity: &str) -> Option<Value> {
        if entity == "zone.home" {
            return Some(self.house());
        }
        let sensed = |d: &&Door| entity == format!("binary_sensor.{}_obstruction", d.file.entity);
        if let Some(door) = self.doors.iter().find(sensed) {
            return Some(door.sensor_state());
        }
        let name = entity.strip_prefix("cover.")?;
        self.doors.iter().find(|d| d.file.entity == name).map(Door::cover_state)
    }
    fn house(&self) -> Value {
        let at = self.since.to_rfc3339();
        json!({
            "entity_id": "zone.home",
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
            faults: Vec::new(),
            tally: Tally::default(),
            shown: (String::from("closed"), 0),
            last_changed: now,
            last_updated: now,
            context: nobody.clone(),
            called: false,
            recent: None,
            sensor: (String::from("off"), now, nobody),
        }
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
            _ => return false,
        }
        self.show(now, entropy);
        true
    }
    pub fn plan(&mut self, service: &'static str, fault: Fault) -> bool {
        if self.faults.len() >= FAULTS_MAX {
            return false;
        }
        self.faults.push((service, fault));
        true
    }
    /// A service was called. The states that it changed in this moment; the fault that struck it.
    pub fn command(
        &mut self,
        service: &'static str,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> (Vec<Value>, Option<Fault>) {
        *self.tally.commands.entry(service).or_default() += 1;
        let strikes = self.faults.iter().position(|(s, _)| *s == service).map(|n| self.faults.remove(n).1);
        let acts = self.online && strikes.is_none_or(Fault::acted);
        if !acts {
            return (Vec::new(), strikes);
        }
        self.recent = Some((context(entropy), now));
        let seen = match service {
            "open_cover" => self.drive.open(now),
            _ => self.drive.close(now),
        };
        self.happened(seen);
        let before = self.shown.clone();
        self.show(now, entropy);
        let changed = if self.shown == before { Vec::new() } else { vec![self.cover_state()] };
        (changed, strikes)
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
            "broken": self.drive.broken, "faults": self.faults.len(),
        })
    }
}

/// 26 characters, as the server's.
fn context(entropy: &dyn Entropy) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    random::<26>(entropy).iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect()
}
