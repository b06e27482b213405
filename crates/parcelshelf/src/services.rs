//! Running one service from its configuration file.

use std::borrow::Cow;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use parcelshelf_access::Access;
use parcelshelf_access_homeassistant::{Car, Door, Entrance, HomeAssistant, HomeAssistantConfig, Things, Watch};
use parcelshelf_access_onstar::{Onstar, OnstarConfig};
use parcelshelf_access_smartcar::{ApiVersion, Mode, Smartcar, SmartcarConfig};
use parcelshelf_access_tesla::{Region, Tesla, TeslaConfig};
use parcelshelf_access_volvo::{Volvo, VolvoConfig};
use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::secret::Redacted;
use parcelshelf_core::vehicle::Vin;
use parcelshelf_edge::driven::Driven;
use parcelshelf_edge::pages::{File, Pages, Rights};
use parcelshelf_edge::steps::{Hook, Steps};
use parcelshelf_edge::{Host, logging, serve};
use parcelshelf_exchange::Client;
use parcelshelf_gateway as gateway;
use parcelshelf_keyholder as keyholder;
use parcelshelf_store::storage::Storage;
use parcelshelf_web_assets::App;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::cli::Serve;

/// A keyholder's file: itself, and the makers whose cars it opens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyholderFile {
    pub keyholder: keyholder::config::Config,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volvo: Option<VolvoFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onstar: Option<OnstarFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homeassistant: Option<HomeAssistantFile>,
    pub tesla: Option<TeslaFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smartcar: Option<SmartcarFile>,
}
impl KeyholderFile {
    /// The makers that this file names, each ready for use.
    ///
    /// # Errors
    /// When there is none, or a section cannot be used; the section is named, no value is repeated.
    pub fn accesses(&self, host: &Host, client: &Client) -> anyhow::Result<Vec<Arc<dyn Access>>> {
        let mut accesses = Vec::new();
        if let Some(volvo) = &self.volvo {
            accesses.push(volvo.access(host, client).context("[volvo]")?);
        }
        if let Some(onstar) = &self.onstar {
            accesses.push(onstar.access(host, client).context("[onstar]")?);
        }
        if let Some(tesla) = &self.tesla {
            accesses.push(tesla.access(host, client).context("[tesla]")?);
        }
        if let Some(smartcar) = &self.smartcar {
            accesses.push(smartcar.access(host, client).context("[smartcar]")?);
        }
        if let Some(home) = &self.homeassistant {
            accesses.extend(home.accesses(host, client).context("[homeassistant]")?);
        }
        ensure!(
            !accesses.is_empty(),
            "no maker is configured: add a section [volvo], [onstar], [tesla], [smartcar] or [homeassistant]"
        );
        Ok(accesses)
    }
}

/// One registered application at the maker.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolvoFile {
    pub api_base: String,
    pub identity_base: String,
    pub client_id: String,
    pub client_secret: String,
    pub vcc_api_key: String,
    pub redirect_uri: String,
}
impl std::fmt::Debug for VolvoFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VolvoFile").field("api_base", &self.api_base).finish_non_exhaustive()
    }
}
impl VolvoFile {
    /// # Errors
    /// When the configuration cannot be used; no value is repeated.
    pub fn access(&self, host: &Host, client: &Client) -> anyhow::Result<Arc<dyn Access>> {
        let config = VolvoConfig {
            api_base: self.api_base.clone(),
            identity_base: self.identity_base.clone(),
            client_id: self.client_id.clone(),
            client_secret: Redacted::new(self.client_secret.clone()),
            vcc_api_key: Redacted::new(self.vcc_api_key.clone()),
            redirect_uri: self.redirect_uri.clone(),
        };
        Ok(Arc::new(Volvo::new(config, client.clone(), host.clock.clone())?))
    }
}

/// One registered application at the maker of Chevrolet, Buick, GMC and Cadillac. It has no secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnstarFile {
    pub api_base: String,
    pub login_base: String,
    pub client_id: String,
    pub redirect_uri: String,
    pub scope: String,
    pub exchange_scope: String,
    pub app_version: String,
    pub device_id: String,
}
impl OnstarFile {
    /// # Errors
    /// When the configuration cannot be used; no value is repeated.
    pub fn access(&self, host: &Host, client: &Client) -> anyhow::Result<Arc<dyn Access>> {
        let config = OnstarConfig {
            api_base: self.api_base.clone(),
            login_base: self.login_base.clone(),
            client_id: self.client_id.clone(),
            redirect_uri: self.redirect_uri.clone(),
            scope: self.scope.clone(),
            exchange_scope: self.exchange_scope.clone(),
            app_version: self.app_version.clone(),
            device_id: self.device_id.clone(),
        };
        Ok(Arc::new(Onstar::new(config, client.clone(), host.clock.clone())?))
    }
}

/// One household's server, and its entities that are cars. VINs do not print.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HomeAssistantFile {
    pub base: String,
    pub client_id: String,
    pub redirect_uri: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cars: Vec<HomeCarFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub garages: Vec<HomeEntranceFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<HomeEntranceFile>,
    /// Front doors. What happens behind them is recorded, for their owner alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doors: Vec<HomeDoorFile>,
}
/// One front door: its lock, and what sees it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HomeDoorFile {
    /// Seventeen characters like a VIN, of the operator's choice, that begin with `0`.
    pub number: String,
    pub name: String,
    pub lock: String,
    pub contact: String,
    pub camera: String,
    pub light: String,
}
impl std::fmt::Debug for HomeDoorFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HomeDoorFile(<redacted>)")
    }
}
impl HomeDoorFile {
    fn door(&self) -> anyhow::Result<Door> {
        let watch = Watch { contact: self.contact.clone(), camera: self.camera.clone(), light: self.light.clone() };
        Ok(Door {
            number: Vin::parse(&self.number).context("number")?,
            name: self.name.clone(),
            lock: self.lock.clone(),
            watch: Some(watch),
        })
    }
}
/// One garage door or gate with a drive.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HomeEntranceFile {
    /// Seventeen characters like a VIN, of the operator's choice, that begin with `0`.
    pub number: String,
    pub name: String,
    pub cover: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstruction: Option<String>,
}
impl std::fmt::Debug for HomeEntranceFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HomeEntranceFile(<redacted>)")
    }
}
impl HomeEntranceFile {
    fn entrance(&self, class: AccessClass) -> anyhow::Result<Entrance> {
        Ok(Entrance {
            number: Vin::parse(&self.number).context("number")?,
            name: self.name.clone(),
            class,
            cover: self.cover.clone(),
            obstruction: self.obstruction.clone(),
        })
    }
}
/// One car: who it is by its papers, and the three entities that tell of it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HomeCarFile {
    pub vin: String,
    pub make: String,
    pub model: Option<String>,
    pub model_year: Option<u16>,
    pub colour: Option<String>,
    /// `trunk`, `tailgate_with_cabin` or `cabin`.
    pub class: String,
    pub lock: String,
    pub lid: String,
    pub tracker: String,
}
impl std::fmt::Debug for HomeAssistantFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HomeAssistantFile").field("base", &self.base).finish_non_exhaustive()
    }
}
impl std::fmt::Debug for HomeCarFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HomeCarFile(<redacted>)")
    }
}
impl HomeCarFile {
    fn car(&self) -> anyhow::Result<Car> {
        Ok(Car {
            vin: Vin::parse(&self.vin).context("vin")?,
            make: self.make.clone(),
            model: self.model.clone(),
            model_year: self.model_year,
            colour: self.colour.clone(),
            class: AccessClass::parse(&self.class).context("class is none")?,
            lock: self.lock.clone(),
            lid: self.lid.clone(),
            tracker: self.tracker.clone(),
        })
    }
}
impl HomeAssistantFile {
    /// One adapter for each kind of thing: what a server can tell differs by kind.
    ///
    /// # Errors
    /// When the configuration cannot be used; no value is repeated.
    pub fn accesses(&self, host: &Host, client: &Client) -> anyhow::Result<Vec<Arc<dyn Access>>> {
        let entrances = |all: &[HomeEntranceFile], class| {
            all.iter().map(|e| e.entrance(class)).collect::<anyhow::Result<Vec<_>>>().map(Things::Entrances)
        };
        let mut kinds = Vec::new();
        if !self.cars.is_empty() {
            kinds.push(Things::Cars(self.cars.iter().map(HomeCarFile::car).collect::<anyhow::Result<_>>()?));
        }
        if !self.garages.is_empty() {
            kinds.push(entrances(&self.garages, AccessClass::Garage)?);
        }
        if !self.gates.is_empty() {
            kinds.push(entrances(&self.gates, AccessClass::Gate)?);
        }
        if !self.doors.is_empty() {
            kinds.push(Things::Doors(self.doors.iter().map(HomeDoorFile::door).collect::<anyhow::Result<_>>()?));
        }
        ensure!(!kinds.is_empty(), "there are neither cars nor garages, gates nor doors");
        let adapter = |things| {
            let config = HomeAssistantConfig {
                base: self.base.clone(),
                client_id: self.client_id.clone(),
                redirect_uri: self.redirect_uri.clone(),
                things,
            };
            let home = HomeAssistant::new(config, client.clone(), host.clock.clone())?;
            Ok(Arc::new(home) as Arc<dyn Access>)
        };
        kinds.into_iter().map(adapter).collect()
    }
}

/// One registered application at Tesla.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeslaFile {
    pub login_base: String,
    pub token_base: String,
    pub client_id: String,
    pub client_secret: String,
    pub redirect_uri: String,
    /// The key that owners enrol in their cars (PEM, P-256), readable by this process only. Without it, cars that take signed
    /// commands only do not open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_key: Option<PathBuf>,
    pub regions: Vec<RegionFile>,
}
impl std::fmt::Debug for TeslaFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TeslaFile").field("regions", &self.regions).finish_non_exhaustive()
    }
}
/// One region of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionFile {
    pub name: String,
    pub api_base: String,
}
impl TeslaFile {
    /// # Errors
    /// When the configuration cannot be used, or the key cannot be read; no value is repeated.
    pub fn access(&self, host: &Host, client: &Client) -> anyhow::Result<Arc<dyn Access>> {
        const KEY_BYTES_MAX: u64 = 8 * 1024;
        let key = |path: &PathBuf| -> anyhow::Result<Redacted<String>> {
            let length = std::fs::metadata(path).context("command_key cannot be read")?.len();
            ensure!(length <= KEY_BYTES_MAX, "command_key is too long for a key");
            Ok(Redacted::new(std::fs::read_to_string(path).context("command_key cannot be read")?))
        };
        let region = |file: &RegionFile| Region { name: file.name.clone(), api_base: file.api_base.clone() };
        let config = TeslaConfig {
            regions: self.regions.iter().map(region).collect(),
            login_base: self.login_base.clone(),
            token_base: self.token_base.clone(),
            client_id: self.client_id.clone(),
            client_secret: Redacted::new(self.client_secret.clone()),
            redirect_uri: self.redirect_uri.clone(),
            command_key: self.command_key.as_ref().map(key).transpose()?,
        };
        Ok(Arc::new(Tesla::new(config, client.clone(), host.clock.clone(), host.entropy.clone())?))
    }
}

/// One registered application at an aggregator.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmartcarFile {
    pub api_base: String,
    pub vehicle_base: String,
    pub auth_base: String,
    pub connect_base: String,
    pub client_id: String,
    pub client_secret: String,
    pub redirect_uri: String,
    pub country: String,
    /// `live`, `test` or `simulated`.
    pub mode: String,
    /// `2.0` or `3`.
    pub api_version: String,
}
impl std::fmt::Debug for SmartcarFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmartcarFile").field("api_base", &self.api_base).finish_non_exhaustive()
    }
}
impl SmartcarFile {
    /// # Errors
    /// When the configuration cannot be used; no value is repeated.
    pub fn access(&self, host: &Host, client: &Client) -> anyhow::Result<Arc<dyn Access>> {
        let config = SmartcarConfig {
            api_base: self.api_base.clone(),
            vehicle_base: self.vehicle_base.clone(),
            auth_base: self.auth_base.clone(),
            connect_base: self.connect_base.clone(),
            client_id: self.client_id.clone(),
            client_secret: Redacted::new(self.client_secret.clone()),
            redirect_uri: self.redirect_uri.clone(),
            country: self.country.clone(),
            mode: Mode::parse(&self.mode).context("mode is live, test or simulated")?,
            api_version: ApiVersion::parse(&self.api_version).context("api_version is 2.0 or 3")?,
        };
        Ok(Arc::new(Smartcar::new(config, client.clone(), host.clock.clone())?))
    }
}

/// Reads a configuration file. What it says wrong is named with file and line.
///
/// # Errors
/// When it cannot be read or is not what the service expects.
pub fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not a configuration of this service", path.display()))
}

/// What tests do with this process at an exact step.
struct AtStep {
    trace: bool,
    hold_at: Option<String>,
    driven: bool,
    /// Fails once.
    fail_at: Option<String>,
    failed: AtomicBool,
}
impl Hook for AtStep {
    fn reached(&self, step: &str) {
        if self.trace {
            say(&json!({ "step": step }));
        }
        if self.hold_at.as_deref() == Some(step) {
            say(&json!({ "held": step }));
            loop {
                // In simulated time nobody may take this for sleep: the clock stands still until somebody kills us.
                if self.driven { std::thread::yield_now() } else { std::thread::park() }
            }
        }
    }
    fn fails(&self, step: &str) -> bool {
        let now = self.fail_at.as_deref() == Some(step) && !self.failed.swap(true, Ordering::AcqRel);
        if now {
            say(&json!({ "failed": step }));
        }
        now
    }
}
pub(crate) fn steps(args: &Serve) -> Steps {
    let (hold_at, fail_at, trace) = (args.hold_at.clone(), args.fail_at.clone(), args.trace_steps);
    if hold_at.is_none() && fail_at.is_none() && !trace {
        return None;
    }
    Some(Arc::new(AtStep { trace, hold_at, driven: args.driven.is_some(), fail_at, failed: AtomicBool::new(false) }))
}

/// The machine's clock, or in a simulation the board's.
pub(crate) fn host(args: &Serve) -> anyhow::Result<Host> {
    let Some([board, slot]) = args.driven.as_deref() else { return Ok(Host::system()) };
    let clock = Driven::on_board(Path::new(board), slot.parse().context("not a slot")?)?;
    let bell = std::os::unix::net::UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    bell.set_nonblocking(true)?;
    let mut bell = tokio::net::UnixStream::from_std(bell)?;
    let woken = clock.clone();
    tokio::spawn(async move {
        let mut bytes = [0; 64];
        while let Ok(1..) = bell.read(&mut bytes).await {
            woken.wake();
        }
        // Whoever moved the clock is gone: time would stand still for ever.
        std::process::exit(1);
    });
    Ok(Host { clock: Arc::new(clock), ..Host::system() })
}

/// One line on standard output, at once.
pub(crate) fn say(line: &serde_json::Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

pub(crate) fn ready(name: &str, address: impl std::fmt::Display) {
    say(&json!({"ready": name, "address": address.to_string()}));
}

/// What a host shows. A simulation shows nothing to nobody.
fn pages(app: App, args: &Serve) -> anyhow::Result<Option<Arc<Pages>>> {
    if args.driven.is_some() && !args.with_pages {
        return Ok(None);
    }
    built_pages(app).map(Some)
}

fn built_pages(app: App) -> anyhow::Result<Arc<Pages>> {
    let files = parcelshelf_web_assets::files(app).map_err(anyhow::Error::msg)?;
    let bytes = |content: Cow<'static, [u8]>| match content {
        Cow::Borrowed(content) => Bytes::from_static(content),
        Cow::Owned(content) => Bytes::from(content),
    };
    let file = |f: parcelshelf_web_assets::File| File {
        path: f.path,
        body: bytes(f.body),
        brotli: f.brotli.map(bytes),
        gzip: f.gzip.map(bytes),
    };
    let rights = match app {
        // An owner who rehearses proves to stand at the car, as a courier does.
        App::Wallet => Rights { place: true, passkeys: true, ..Rights::default() },
        App::Ops => Rights { passkeys: true, ..Rights::default() },
        App::Stop => Rights { camera: true, place: true, motion: true, passkeys: true, wasm: true },
        App::Courier => Rights::default(),
    };
    Ok(Pages::new(files.into_iter().map(file), rights))
}

/// What the front must show, by this very program. A keyholder without pages locks and opens as well as any; what it does not
/// say an audit complains of.
fn site_pages(config: &keyholder::config::Config, args: &Serve) -> Vec<keyholder::SitePages> {
    let stop = config.stop_origin.as_ref().map(|origin| (App::Stop, origin));
    let mut all = Vec::new();
    for (app, origin) in [(App::Wallet, &config.wallet_origin)].into_iter().chain(stop) {
        match pages(app, args) {
            Ok(Some(pages)) => {
                all.push(keyholder::SitePages { site: app.name(), origin: origin.clone(), files: *pages.hash() });
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(site = app.name(), %error, "what this host must show is not known here"),
        }
    }
    all
}

/// # Errors
/// When the service cannot run.
pub async fn keyholder(args: &Serve) -> anyhow::Result<()> {
    let file: KeyholderFile = read(&args.config)?;
    logging::init(&file.keyholder.log_level);
    let host = host(args)?;
    let shell = keyholder::Shell {
        accesses: file.accesses(&host, &Client::network(Arc::clone(&host.clock))?)?,
        // Deadlines of real time, as the pace of checkpoints.
        witnesses: Client::network(Host::system().clock)?,
        host,
        log_timer: Host::system().clock,
        storage: Storage::Disk,
        steps: steps(args),
        pages: site_pages(&file.keyholder, args),
        accept_altered_store: args.accept_altered_store,
    };
    let stop = serve::stop_signal()?;
    keyholder::run(file.keyholder, shell, stop, |socket| ready("keyholder", socket.display())).await?;
    Ok(())
}

/// # Errors
/// When the service cannot run.
pub async fn gateway(args: &Serve) -> anyhow::Result<()> {
    let config: gateway::Config = read(&args.config)?;
    logging::init(&config.log_level);
    let host = host(args)?;
    let shell = gateway::Shell {
        keyholder: Client::unix(&config.keyholder, Arc::clone(&host.clock)),
        storage: Storage::Disk,
        host,
        steps: steps(args),
        wallet: pages(App::Wallet, args)?,
        stop: pages(App::Stop, args)?,
        relayed: keyholder::openapi(),
    };
    let stop = serve::stop_signal()?;
    gateway::run(config, shell, stop, |address| ready("gateway", address)).await?;
    Ok(())
}

/// # Errors
/// When the service cannot run.
pub async fn carrier(args: &Serve) -> anyhow::Result<()> {
    let config: parcelshelf_carrier::Config = read(&args.config)?;
    logging::init(&config.log_level);
    let host = host(args)?;
    let shows = |app: App| if config.pages.is_some() { pages(app, args) } else { Ok(None) };
    let shell = parcelshelf_carrier::Shell {
        courier: shows(App::Courier)?,
        ops: shows(App::Ops)?,
        gateway: Client::network(Arc::clone(&host.clock))?,
        storage: Storage::Disk,
        host,
        steps: steps(args),
    };
    let stop = serve::stop_signal()?;
    parcelshelf_carrier::run(config, shell, stop, |address| ready("carrier", address)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTION: &str = r#"
        api_base = "https://api.example.com"
        login_base = "https://login.example.com/tenant/policy"
        client_id = "from-the-contract"
        redirect_uri = "https://wallet.example.org/oauth/callback"
        scope = "openid offline_access"
        exchange_scope = "onstar"
        app_version = "parcelshelf-1"
        device_id = "66666666-7777-4888-8999-000000000000"
    "#;

    #[tokio::test]
    async fn a_makers_section_has_no_defaults() {
        let host = Host::system();
        let client = Client::network(Arc::clone(&host.clock)).unwrap();
        let whole: OnstarFile = toml::from_str(SECTION).unwrap();
        assert_eq!(whole.access(&host, &client).unwrap().facts().maker, "onstar");
        for line in SECTION.lines().filter(|l| l.contains('=')) {
            assert!(toml::from_str::<OnstarFile>(&SECTION.replace(line, "")).is_err(), "without{line}");
        }
        assert!(toml::from_str::<OnstarFile>(&format!("{SECTION}\nclient_secret = \"x\"")).is_err());
        let plain: OnstarFile = toml::from_str(&SECTION.replace("https://api", "http://api")).unwrap();
        assert!(plain.access(&host, &client).is_err());
    }

    #[tokio::test]
    async fn a_households_cars_are_named_one_by_one() {
        const HOME: &str = r#"
            base = "https://home.example.org"
            client_id = "https://wallet.example.org/"
            redirect_uri = "https://wallet.example.org/oauth/callback"
            [[cars]]
            vin = "1M8GDM9AXKP042788"
            make = "Example"
            class = "tailgate_with_cabin"
            lock = "lock.car"
            lid = "cover.car_tailgate"
            tracker = "device_tracker.car"
        "#;
        let host = Host::system();
        let client = Client::network(Arc::clone(&host.clock)).unwrap();
        let whole: HomeAssistantFile = toml::from_str(HOME).unwrap();
        let makers = |file: &HomeAssistantFile| {
            let all = file.accesses(&host, &client).unwrap();
            all.iter().map(|a| a.facts().maker).collect::<Vec<_>>()
        };
        assert_eq!(makers(&whole), ["homeassistant-car"]);
        for (good, bad) in [("1M8GDM9AXKP042788", "SHORT"), ("lock.car", "light.car"), ("tailgate_with_cabin", "door")]
        {
            let odd: HomeAssistantFile = toml::from_str(&HOME.replace(good, bad)).unwrap();
            let refused = odd.accesses(&host, &client).err().map(|e| format!("{e:#}"));
            assert!(refused.is_some_and(|text| !text.contains(bad) || bad == "door"), "{bad}");
        }
        assert!(!format!("{whole:?}").contains("1M8GDM9AXKP042788"), "no VIN prints");

        const ENTRANCES: &str = r#"
            [[garages]]
            number = "0GARAGE0000000001"
            name = "Garage"
            cover = "cover.garage"
            obstruction = "binary_sensor.garage_obstruction"
            [[gates]]
            number = "0GATE000000000001"
            name = "Gate"
            cover = "cover.gate"
        "#;
        let all: HomeAssistantFile = toml::from_str(&format!("{HOME}{ENTRANCES}")).unwrap();
        assert_eq!(makers(&all), ["homeassistant-car", "homeassistant-garage", "homeassistant-gate"]);
        let server = HOME.split("[[cars]]").next().unwrap();
        let house: HomeAssistantFile = toml::from_str(&format!("{server}{ENTRANCES}")).unwrap();
        assert_eq!(makers(&house), ["homeassistant-garage", "homeassistant-gate"]);
        let nothing: HomeAssistantFile = toml::from_str(server).unwrap();
        assert!(nothing.accesses(&host, &client).is_err(), "a server with nothing to open");
    }

    #[tokio::test]
    async fn an_aggregators_section_is_whole_and_its_secret_does_not_print() {
        const SECTION: &str = r#"
            api_base = "https://api.example.com"
            vehicle_base = "https://vehicle.example.com"
            auth_base = "https://auth.example.com"
            connect_base = "https://connect.example.com"
            client_id = "from-the-contract"
            client_secret = "canary"
            redirect_uri = "https://wallet.example.org/oauth/callback"
            country = "US"
            mode = "live"
            api_version = "2.0"
        "#;
        let host = Host::system();
        let client = Client::network(Arc::clone(&host.clock)).unwrap();
        let whole: SmartcarFile = toml::from_str(SECTION).unwrap();
        assert_eq!(whole.access(&host, &client).unwrap().facts().maker, "smartcar");
        assert!(!format!("{whole:?}").contains("canary"));
        for line in SECTION.lines().filter(|l| l.contains('=')) {
            assert!(toml::from_str::<SmartcarFile>(&SECTION.replace(line, "")).is_err(), "without{line}");
        }
        for (good, bad) in [("live", "alive"), ("\"2.0\"", "\"2\""), ("https://auth", "http://auth")] {
            let odd: SmartcarFile = toml::from_str(&SECTION.replace(good, bad)).unwrap();
            assert!(odd.access(&host, &client).is_err(), "{bad}");
        }
    }

    const TESLA: &str = r#"
        login_base = "https://auth.example.com"
        token_base = "https://fleet-auth.example.com"
        client_id = "from-the-registration"
        client_secret = "canary"
        redirect_uri = "https://wallet.example.org/oauth/callback"
        regions = [{ name = "EU", api_base = "https://fleet-api.eu.example.com" }]
    "#;

    #[tokio::test]
    async fn a_tesla_section_names_its_regions_and_its_key_is_a_file() {
        let host = Host::system();
        let client = Client::network(Arc::clone(&host.clock)).unwrap();
        let whole: TeslaFile = toml::from_str(TESLA).unwrap();
        assert_eq!(whole.access(&host, &client).unwrap().facts().maker, "tesla");
        assert!(!format!("{whole:?}").contains("canary"), "a secret does not print");
        for line in TESLA.lines().filter(|l| l.contains('=')) {
            assert!(toml::from_str::<TeslaFile>(&TESLA.replace(line, "")).is_err(), "without{line}");
        }
        let refused = |text: &str| toml::from_str::<TeslaFile>(text).unwrap().access(&host, &client).is_err();
        assert!(refused(&TESLA.replace("https://fleet-api", "http://fleet-api")));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("command.pem");
        let with_key = format!("{TESLA}\ncommand_key = {path:?}");
        assert!(refused(&with_key), "a file that is not there");
        std::fs::write(&path, "no key").unwrap();
        assert!(refused(&with_key), "a file that is no key");
        std::fs::write(&path, parcelshelf_simulator::tesla::DEMO_COMMAND_KEY).unwrap();
        assert!(!refused(&with_key));
    }
}
