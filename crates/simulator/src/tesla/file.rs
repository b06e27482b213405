//! The world file: who and what exists when a simulated cloud begins.

use parcelshelf_core::vehicle::Vin;
use serde::{Deserialize, Serialize};

use super::fault::{self, Effect, Fault, Target, When};

/// Bytes of a world file.
pub const WORLD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A world file (JSON). Every member has a default, so `{}` is the default world without cars.
///
/// ```
/// use parcelshelf_simulator::tesla::WorldFile;
/// let world = WorldFile::parse(br#"{"cars":[{"owner":"kim@example.org","model":"Y","latitude":52.5,"longitude":13.4}]}"#).unwrap();
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

/// Requests a minute and car. The figures usually quoted.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub reads_per_minute: u32,
    pub commands_per_minute: u32,
    pub wakes_per_minute: u32,
}
impl Default for Limits {
    fn default() -> Self {
        Self { reads_per_minute: 60, commands_per_minute: 30, wakes_per_minute: 3 }
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
    /// Exact addresses; empty: any http(s) address on `localhost`, `*.localhost` or a loopback address.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// The key that owners enrol in their cars: an uncompressed P-256 point, 130 hexadecimal digits. Empty: none.
    #[serde(default)]
    pub public_key: String,
}
impl ClientFile {
    /// The key as bytes; `None` if there is none, or it is no point.
    #[must_use]
    pub fn point(&self) -> Option<Vec<u8>> {
        let digits = self.public_key.as_bytes().chunks_exact(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let point: Option<Vec<u8>> = digits.map(byte).collect();
        point.filter(|p| self.public_key.len() == 130 && p.len() == 65)
    }
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
    /// The account lives in another region, whose API is there: 421 here.
    #[serde(default)]
    pub served_at: Option<String>,
}

/// A car. Only `owner` is required; a VIN is made up when there is none.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CarFile {
    pub owner: String,
    #[serde(default)]
    pub vin: Option<String>,
    /// The letter or digit of the VIN: `S`, `X`, `3`, `Y`, `C`.
    #[serde(default = "CarFile::default_model")]
    pub model: String,
    #[serde(default = "CarFile::default_year")]
    pub model_year: u16,
    /// As the maker writes it.
    #[serde(default = "CarFile::default_colour")]
    pub colour: String,
    /// Degrees, WGS 84. Default: a car park in Stockholm.
    #[serde(default = "CarFile::default_latitude")]
    pub latitude: f64,
    #[serde(default = "CarFile::default_longitude")]
    pub longitude: f64,
    #[serde(default)]
    pub heading: u16,
    /// Seconds that the car has stood there when the world begins.
    #[serde(default = "CarFile::default_parked_since_s")]
    pub parked_since_s: u32,
    /// The trunk has a motor, so that the button shuts it too.
    #[serde(default = "CarFile::yes")]
    pub powered_lid: bool,
    #[serde(default = "CarFile::yes")]
    pub can_actuate_trunks: bool,
    /// Takes signed commands only, as nearly all cars since 2021.
    #[serde(default)]
    pub signed: bool,
    /// The owner has enrolled the application's key in this car.
    #[serde(default = "CarFile::yes")]
    pub key_paired: bool,
    /// Steering wheel on the right.
    #[serde(default)]
    pub right_hand_drive: bool,
    /// Seconds from a call to wake to being awake, at most ten minutes.
    #[serde(default = "CarFile::default_wake_s")]
    pub wake_s: u32,
    #[serde(default)]
    pub asleep: bool,
    /// The owner has switched remote access off in the car.
    #[serde(default)]
    pub remote_access_off: bool,
    /// The account drives the car, and somebody else's holds it.
    #[serde(default)]
    pub shared: bool,
    #[serde(default)]
    pub valet_mode: bool,
    #[serde(default)]
    pub faults: Vec<FaultFile>,
}

/// `times` or `rate`; neither means once. See `/__sim/help` for names.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FaultFile {
    /// A command, `any`, or `vehicle`, `vehicle_data`, `fleet_status`, `wake_up`, `handshake`.
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
        "3".into()
    }
    const fn default_year() -> u16 {
        2023
    }
    fn default_colour() -> String {
        "PearlWhite".into()
    }
    const fn default_latitude() -> f64 {
        59.334_59
    }
    const fn default_longitude() -> f64 {
        18.063_24
    }
    const fn default_parked_since_s() -> u32 {
        3_600
    }
    const fn default_wake_s() -> u32 {
        20
    }
    const fn yes() -> bool {
        true
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
            latitude: Self::default_latitude(),
            longitude: Self::default_longitude(),
            heading: 90,
            parked_since_s: Self::default_parked_since_s(),
            powered_lid: true,
            can_actuate_trunks: true,
            signed: false,
            key_paired: true,
            right_hand_drive: false,
            wake_s: Self::default_wake_s(),
            asleep: false,
            remote_access_off: false,
            shared: false,
            valet_mode: false,
            faults: Vec::new(),
        }
    }
    /// # Errors
    /// [`BadWorld`] for anything out of its bounds.
    pub(super) fn check(&self) -> Result<(), BadWorld> {
        if !["S", "X", "3", "Y", "C", "R", "T"].contains(&self.model.as_str()) {
            return Err(bad("model is the letter of the VIN: S X 3 Y C R T"));
        }
        if self.colour.len() > 100 || self.wake_s > 600 {
            return Err(bad("colour has at most 100 bytes, wake_s is at most 600"));
        }
        place(self.latitude, self.longitude, self.heading)
    }
}

/// Owner of the default world's car.
pub const DEMO_OWNER: &str = "alex@example.org";
/// The default world's client application.
pub const DEMO_CLIENT_ID: &str = "5d1c7c3e-9a61-4f0a-8e57-5a1f00000003";
pub const DEMO_CLIENT_SECRET: &str = "simulated-client-secret";
/// Its private key for signed commands: the one of the protocol's published test vector, known to everybody.
pub const DEMO_COMMAND_KEY: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEICU4zcKal8GcHpmmN9bPT4yXDBGLVu3h5jI+bRYsSzDboAoGCCqGSM49
AwEHoUQDQgAEsra8aMLaBmXOZWgVWUmWxiOU7di+qQX+eBp1T+aoRacUMwkC8iXp
Jp1GbgWzSZgf2p2FzCPG+0RKpztikQXcbg==
-----END EC PRIVATE KEY-----
";
/// The public half, as owners enrol it.
const DEMO_PUBLIC_KEY: &str = "04b2b6bc68c2da0665ce656815594996c62394edd8bea905fe781a754fe6a845a714330902f225e9269d466e05b349981fda9d85cc23c6fb444aa73b629105dc6e";

impl Default for WorldFile {
    /// The default client application, no owners, no cars.
    fn default() -> Self {
        Self {
            seed: 0,
            limits: Limits::default(),
            latency: Latency::default(),
            clients: vec![ClientFile {
                client_id: DEMO_CLIENT_ID.into(),
                client_secret: DEMO_CLIENT_SECRET.into(),
                redirect_uris: Vec::new(),
                public_key: DEMO_PUBLIC_KEY.into(),
            }],
            owners: Vec::new(),
            cars: Vec::new(),
        }
    }
}
impl WorldFile {
    /// One Model 3 of model year 2023 in Stockholm, owned by [`DEMO_OWNER`].
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
/// [`BadWorld`] for a model year before 1980, a model of more than a letter, or a serial number that is too long.
pub fn vin_of(model: &str, model_year: u16, serial: u32) -> Result<Vin, BadWorld> {
    // ISO 3779 and 49 CFR 565: letters without I, O, Q, U, Z, then 1 to 9; 30 years.
    const CODES: &[u8; 30] = b"ABCDEFGHJKLMNPRSTVWXY123456789";
    let years = model_year.checked_sub(1980).ok_or_else(|| bad("model year before 1980"))?;
    let year = char::from(CODES[usize::from(years) % CODES.len()]);
    let spell = |digit: char| Vin::parse(&format!("5YJ{model}E1EA{digit}{year}F{serial:06}"));
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
/// [`BadWorld`] unless the numbers are a place on the Earth and a heading of 0 to 359.
pub(super) fn place(latitude: f64, longitude: f64, heading: u16) -> Result<(), BadWorld> {
    if (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude) && heading < 360 {
        Ok(())
    } else {
        Err(bad("latitude -90 to 90, longitude -180 to 180, heading 0 to 359"))
    }
}
