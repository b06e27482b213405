//! The world file: who and what exists when a simulated cloud begins.

use parcelshelf_core::vehicle::Vin;
use serde::{Deserialize, Serialize};

use super::car::Place;
use super::fault::{self, Effect, Fault, Target, When};

/// Bytes of a world file.
pub const WORLD_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Owner of the default world's car.
pub const DEMO_OWNER: &str = "alex@example.org";
/// The default world's client application.
pub const DEMO_CLIENT_ID: &str = "parcelshelf-demo";
pub const DEMO_CLIENT_SECRET: &str = "simulated-client-secret";

/// A world file (JSON). Every member has a default, so `{}` is the default world without cars.
///
/// ```
/// use parcelshelf_simulator::smartcar::WorldFile;
/// let world = WorldFile::parse(br#"{"cars":[{"owner":"kim@example.org","make":"KIA","latitude":30.27,"longitude":-97.74}]}"#).unwrap();
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

/// Requests a minute, per owner and client application. The vendor's real ones belong to a plan.
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
}
impl std::fmt::Debug for ClientFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientFile").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct OwnerFile {
    /// What `login_hint` carries: the vendor's page has a person there.
    pub login: String,
    /// Permissions this owner does not give, whatever is asked.
    #[serde(default)]
    pub refused_scopes: Vec<String>,
}

/// What the cloud tells of the tailgate; makers differ.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum StorageTold {
    #[default]
    Told,
    /// `UNKNOWN`.
    Unknown,
    /// The list is empty.
    Empty,
}

/// A car. Only `owner` is required; a VIN is made up when there is none.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CarFile {
    pub owner: String,
    #[serde(default)]
    pub vin: Option<String>,
    /// In capital letters, as the vendor writes it.
    #[serde(default = "CarFile::default_make")]
    pub make: String,
    #[serde(default = "CarFile::default_model")]
    pub model: String,
    #[serde(default = "CarFile::default_year")]
    pub model_year: u16,
    /// Degrees, WGS 84. Default: a car park in Gothenburg.
    #[serde(default = "CarFile::default_latitude")]
    pub latitude: f64,
    #[serde(default = "CarFile::default_longitude")]
    pub longitude: f64,
    /// Seconds that the car has stood there when the world begins.
    #[serde(default = "CarFile::default_parked_since_s")]
    pub parked_since_s: u32,
    /// Seconds after which an unlocked car that nobody touched locks itself; 0: never.
    #[serde(default)]
    pub relock_after_s: u32,
    #[serde(default)]
    pub relock_on_close: bool,
    /// The maker's cloud asks the car anew only after so many seconds, and passes on what it has until then; 0: every time.
    #[serde(default)]
    pub data_every_s: u32,
    /// The maker gives no times: `sc-data-age` is missing.
    #[serde(default)]
    pub without_data_age: bool,
    #[serde(default)]
    pub storage: StorageTold,
    #[serde(default = "CarFile::yes")]
    pub publishes_position: bool,
    /// It can be locked and unlocked from the cloud.
    #[serde(default = "CarFile::yes")]
    pub capable: bool,
    #[serde(default)]
    pub asleep: bool,
    #[serde(default)]
    pub faults: Vec<FaultFile>,
}

/// `times` or `rate`; neither means once. See `/__sim/help` for names.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FaultFile {
    /// `unlock`, `lock`, `any` (command), or a reading: `attributes`, `vin`, `permissions`, `security`, `location`.
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
    fn default_make() -> String {
        "VOLVO".into()
    }
    fn default_model() -> String {
        "XC40".into()
    }
    const fn default_year() -> u16 {
        2022
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
    const fn yes() -> bool {
        true
    }
    /// The default car of this owner.
    #[must_use]
    pub fn of(owner: &str) -> Self {
        Self {
            owner: owner.to_owned(),
            vin: None,
            make: Self::default_make(),
            model: Self::default_model(),
            model_year: Self::default_year(),
            latitude: Self::default_latitude(),
            longitude: Self::default_longitude(),
            parked_since_s: Self::default_parked_since_s(),
            relock_after_s: 0,
            relock_on_close: false,
            data_every_s: 0,
            without_data_age: false,
            storage: StorageTold::Told,
            publishes_position: true,
            capable: true,
            asleep: false,
            faults: Vec::new(),
        }
    }
    /// # Errors
    /// [`BadWorld`] for a text, a time, a place or a fault that cannot be. The faults, parsed.
    pub(super) fn checked(&self) -> Result<(Place, Vec<Fault>), BadWorld> {
        if [&self.make, &self.model].into_iter().any(|t| t.is_empty() || t.len() > 100) {
            return Err(bad("texts have 1 to 100 bytes"));
        }
        if self.relock_after_s > 86_400 || self.data_every_s > 86_400 {
            return Err(bad("relock_after_s and data_every_s are at most 86400"));
        }
        if self.faults.len() > fault::FAULTS_PER_CAR_MAX {
            return Err(bad("too many faults"));
        }
        let faults = self.faults.iter().map(parse_fault).collect::<Result<_, _>>()?;
        Ok((place(self.latitude, self.longitude)?, faults))
    }
}

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
            return Err(bad("world file too long"));
        }
        serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))
    }
}

/// Why a world, car or fault cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a world: {0}")]
pub struct BadWorld(pub String);
pub(super) fn bad(why: impl Into<String>) -> BadWorld {
    BadWorld(why.into())
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
    let draft = format!("YV1XZ16B0{year}3{serial:06}");
    let digit = Vin::parse(&draft).map_err(|e| bad(e.to_string()))?.check_digit();
    Vin::parse(&format!("YV1XZ16B{digit}{year}3{serial:06}")).map_err(|e| bad(e.to_string()))
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
/// [`BadWorld`] unless the numbers are a place on the Earth.
pub fn place(latitude: f64, longitude: f64) -> Result<Place, BadWorld> {
    if (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude) {
        Ok(Place { latitude, longitude })
    } else {
        Err(bad("latitude -90 to 90, longitude -180 to 180"))
    }
}
