//! The world file: who and what exists when a simulated cloud begins.

use parcelshelf_core::vehicle::Vin;
use serde::{Deserialize, Serialize};

use super::car::Place;
use super::fault::{self, Command, Effect, Fault, Target, When};

/// Bytes of a world file.
pub const WORLD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A world file (JSON). Every member has a default, so `{}` is the default world without cars.
///
/// ```
/// use parcelshelf_simulator::onstar::WorldFile;
/// let world = WorldFile::parse(br#"{"cars":[{"owner":"kim@example.org","make":"buick","latitude":30.27,"longitude":-97.74}]}"#).unwrap();
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

/// Requests a minute and owner. The maker publishes none; the app's own pace suggests a few commands.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub reads_per_minute: u32,
    pub commands_per_minute: u32,
}
impl Default for Limits {
    fn default() -> Self {
        Self { reads_per_minute: 120, commands_per_minute: 10 }
    }
}

/// How long the cloud takes to answer, simulated milliseconds; each answer takes 50 to 150 % of it, drawn from the seed. What
/// the car takes is a member of the car.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Latency {
    pub read_ms: u32,
    pub command_ms: u32,
}

/// A client application. It has no secret.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ClientFile {
    pub client_id: String,
    /// Exact addresses; empty: any http(s) address on `localhost`, `*.localhost` or a loopback address.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct OwnerFile {
    /// The e-mail at login; also what `login_hint` carries.
    pub login: String,
    /// Tokens of this owner name no cars: clients then log in again.
    #[serde(default)]
    pub without_vehs: bool,
}

/// The makes behind this cloud.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Make {
    #[default]
    Chevrolet,
    Buick,
    Gmc,
    Cadillac,
}
impl Make {
    /// As the cloud writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chevrolet => "Chevrolet",
            Self::Buick => "Buick",
            Self::Gmc => "GMC",
            Self::Cadillac => "Cadillac",
        }
    }
    /// World manufacturer identifier (ISO 3780) of its cars made in the USA.
    #[must_use]
    pub const fn identifier(self) -> &'static str {
        match self {
            Self::Chevrolet => "1G1",
            Self::Buick => "1G4",
            Self::Gmc => "1GK",
            Self::Cadillac => "1G6",
        }
    }
    const fn model(self) -> &'static str {
        match self {
            Self::Chevrolet => "Malibu",
            Self::Buick => "LaCrosse",
            Self::Gmc => "Terrain",
            Self::Cadillac => "CT5",
        }
    }
}

/// A car. Only `owner` is required; a VIN with a check digit that holds is made up when there is none.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CarFile {
    pub owner: String,
    #[serde(default)]
    pub vin: Option<String>,
    #[serde(default)]
    pub make: Make,
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default = "CarFile::default_year")]
    pub model_year: u16,
    #[serde(default = "CarFile::default_colour")]
    pub colour: String,
    /// Degrees, WGS 84. Default: a car park in Detroit.
    #[serde(default = "CarFile::default_latitude")]
    pub latitude: f64,
    #[serde(default = "CarFile::default_longitude")]
    pub longitude: f64,
    /// Seconds that the car has stood there when the world begins.
    #[serde(default = "CarFile::default_parked_since_s")]
    pub parked_since_s: u32,
    /// Milliseconds from a command to what the awake car does; at most a minute.
    #[serde(default = "CarFile::default_latency_ms")]
    pub latency_ms: u32,
    /// Seconds more for a sleeping car, at most ten minutes.
    #[serde(default = "CarFile::default_wake_s")]
    pub wake_s: u32,
    /// Milliseconds from a wish for a fresh position to it; at most ten minutes.
    #[serde(default = "CarFile::default_fix_ms")]
    pub fix_ms: u32,
    /// Seconds after which an unlocked trunk that nobody touched locks itself; 0: never.
    #[serde(default)]
    pub relock_after_s: u32,
    #[serde(default)]
    pub relock_on_close: bool,
    /// Older cars: every command of the new API is answered 400.
    #[serde(default = "CarFile::yes")]
    pub speaks_v3: bool,
    /// The car's contract allows these; others are listed as not eligible.
    #[serde(default = "CarFile::default_commands")]
    pub commands: Vec<String>,
    /// Another account owns the car and shares it with this one.
    #[serde(default)]
    pub shared: bool,
    #[serde(default)]
    pub plan_ended: bool,
    #[serde(default)]
    pub asleep: bool,
    #[serde(default)]
    pub faults: Vec<FaultFile>,
}

/// `times` or `rate`; neither means once. See `/__sim/help` for names.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FaultFile {
    /// A command, `any`, or a reading: `details`, `position`, `health`, `poll`.
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
    const fn default_year() -> u16 {
        2022
    }
    fn default_colour() -> String {
        "Summit White".into()
    }
    const fn default_latitude() -> f64 {
        42.329_15
    }
    const fn default_longitude() -> f64 {
        -83.039_87
    }
    const fn default_parked_since_s() -> u32 {
        3_600
    }
    const fn default_latency_ms() -> u32 {
        4_000
    }
    const fn default_wake_s() -> u32 {
        25
    }
    const fn default_fix_ms() -> u32 {
        6_000
    }
    const fn yes() -> bool {
        true
    }
    fn default_commands() -> Vec<String> {
        Command::ALL.iter().map(|c| c.code().to_owned()).collect()
    }
    /// The default car of this owner.
    #[must_use]
    pub fn of(owner: &str) -> Self {
        Self {
            owner: owner.to_owned(),
            vin: None,
            make: Make::default(),
            model: None,
            model_year: Self::default_year(),
            colour: Self::default_colour(),
            latitude: Self::default_latitude(),
            longitude: Self::default_longitude(),
            parked_since_s: Self::default_parked_since_s(),
            latency_ms: Self::default_latency_ms(),
            wake_s: Self::default_wake_s(),
            fix_ms: Self::default_fix_ms(),
            relock_after_s: 0,
            relock_on_close: false,
            speaks_v3: true,
            commands: Self::default_commands(),
            shared: false,
            plan_ended: false,
            asleep: false,
            faults: Vec::new(),
        }
    }
    #[must_use]
    pub fn model(&self) -> &str {
        self.model.as_deref().unwrap_or(self.make.model())
    }
    /// # Errors
    /// [`BadWorld`] for a place off the Earth, an unknown command, a number or a text out of its bounds.
    pub(super) fn check(&self) -> Result<(), BadWorld> {
        if self.commands.len() > 16 || self.commands.iter().any(|name| Command::parse(name).is_none()) {
            return Err(bad("unknown command"));
        }
        if self.model().len() > 100 || self.colour.len() > 100 {
            return Err(bad("texts have at most 100 bytes"));
        }
        if self.latency_ms > 60_000 || self.wake_s > 600 || self.fix_ms > 600_000 || self.relock_after_s > 86_400 {
            return Err(bad("latency_ms to 60000, wake_s to 600, fix_ms to 600000, relock_after_s to 86400"));
        }
        place(self.latitude, self.longitude).map(drop)
    }
}

/// Owner of the default world's car.
pub const DEMO_OWNER: &str = "alex@example.org";
/// The default world's client application.
pub const DEMO_CLIENT_ID: &str = "0c5d6f1e-70a4-4b7e-9d3c-5a1f00000001";

impl Default for WorldFile {
    /// The default client application, no owners, no cars.
    fn default() -> Self {
        Self {
            seed: 0,
            limits: Limits::default(),
            latency: Latency::default(),
            clients: vec![ClientFile { client_id: DEMO_CLIENT_ID.into(), redirect_uris: Vec::new() }],
            owners: Vec::new(),
            cars: Vec::new(),
        }
    }
}
impl WorldFile {
    /// One Chevrolet of model year 2022 in Detroit, owned by [`DEMO_OWNER`].
    #[must_use]
    pub fn demo() -> Self {
        Self { cars: vec![CarFile::of(DEMO_OWNER)], ..Self::default() }
    }
    /// # Errors
    /// [`BadWorld`] when the bytes are no world file or too many.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadWorld> {
        if bytes.len() as u64 > WORLD_BYTES_MAX {
            return Err(bad("world file too long"));
        }
        serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))
    }
}

/// Why a world, car or fault cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the world cannot be: {0}")]
pub struct BadWorld(pub String);
pub(super) fn bad(why: impl Into<String>) -> BadWorld {
    BadWorld(why.into())
}

/// An invented car's VIN with a check digit that holds; `serial` has at most six digits.
///
/// # Errors
/// [`BadWorld`] for a model year before 1980 or a serial number that is too long.
pub fn vin_of(make: Make, model_year: u16, serial: u32) -> Result<Vin, BadWorld> {
    // ISO 3779 and 49 CFR 565: letters without I, O, Q, U, Z, then 1 to 9; 30 years.
    const CODES: &[u8; 30] = b"ABCDEFGHJKLMNPRSTVWXY123456789";
    let years = model_year.checked_sub(1980).ok_or_else(|| bad("model year before 1980"))?;
    let year = char::from(CODES[usize::from(years) % CODES.len()]);
    let spell = |digit: char| Vin::parse(&format!("{}FZ6S0{digit}{year}4{serial:06}", make.identifier()));
    let digit = spell('0').map_err(|e| bad(e.to_string()))?.check_digit();
    spell(digit).map_err(|e| bad(e.to_string()))
}

/// # Errors
/// [`BadWorld`] for an unknown command or fault, a count of 0 or above the bound, or a rate outside 0 to 1.
pub(super) fn parse_fault(file: &FaultFile) -> Result<Fault, BadWorld> {
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
/// [`BadWorld`] unless the numbers are a place on the Earth.
pub(super) fn place(latitude: f64, longitude: f64) -> Result<Place, BadWorld> {
    if (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude) {
        Ok(Place { latitude, longitude })
    } else {
        Err(bad("latitude -90 to 90, longitude -180 to 180"))
    }
}
