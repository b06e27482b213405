//! Fresh keys and configurations for all parties, one folder each; no party gets what is another's.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use parcelshelf_access_onstar::MAKER as ONSTAR;
use parcelshelf_access_smartcar::MAKER as SMARTCAR;
use parcelshelf_access_tesla::MAKER as TESLA;
use parcelshelf_carrier as carrier;
use parcelshelf_client::depot::{CERTIFIED_DAYS, DELEGATION_DAYS, certify};
use parcelshelf_edge::Host;
use parcelshelf_gateway as gateway;
use parcelshelf_keyholder::config::{Config as KeyholderConfig, Jwk, LogConfig, PaddingConfig, WAIT_HOURS};

use parcelshelf_keyholder::keys::{KeyRing, read_key, write_key};
use parcelshelf_protocol::cert::Subject;
use parcelshelf_protocol::encoding::{b64, sha256};
use parcelshelf_protocol::jws::{Sign as _, SigningKey};
use parcelshelf_simulator::onstar::{self, LOGIN_PATH};
use parcelshelf_simulator::volvo::{DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_VCC_API_KEY};
use parcelshelf_simulator::{homeassistant, smartcar, tesla};

use crate::cli::Init;
use crate::services::{
    HomeAssistantFile, HomeDoorFile, HomeEntranceFile, KeyholderFile, OnstarFile, RegionFile, SmartcarFile, TeslaFile,
    VolvoFile,
};

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Layout {
    pub dir: PathBuf,
    /// Where carriers and depots ask.
    pub gateway_origin: String,
    pub wallet_origin: String,
    pub stop_origin: String,
    pub carrier_origin: String,
    pub courier_origin: String,
    pub ops_origin: String,
    pub merchant_key: String,
    pub dispatch_key: String,
}

impl Layout {
    /// Keys of the two people who release a stopped carrier.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn people(&self) -> anyhow::Result<[SigningKey; 2]> {
        let key = |file| signing_key(&self.dir.join(file));
        Ok([key("operator/operator.key")?, key("second-person/person.key")?])
    }
}

/// # Errors
/// When the folder cannot be written, or is not empty.
pub fn run(args: &Init) -> anyhow::Result<()> {
    let layout = write(args, &Host::system())?;
    println!("Written to {}.", layout.dir.display());
    println!();
    println!("  operator/       admits carriers; keep it offline");
    println!("  second-person/  releases a stopped carrier together with the operator; somebody else's, offline");
    println!("  carrier-root/   certifies depots and delegation keys; keep it offline");
    println!("  depot/          certifies couriers' devices");
    println!("  carrier/        parcelshelf carrier -c {}", layout.dir.join("carrier/carrier.toml").display());
    println!("  gateway/        parcelshelf gateway -c {}", layout.dir.join("gateway/gateway.toml").display());
    println!("  keyholder/      parcelshelf keyholder -c {}", layout.dir.join("keyholder/keyholder.toml").display());
    println!();
    println!("Keys of the carrier's interface, shown once:");
    println!("  merchant  {}", layout.merchant_key);
    println!("  dispatch  {}", layout.dispatch_key);
    println!();
    println!("Next: parcelshelf doctor {}", layout.dir.display());
    Ok(())
}

/// A gateway: the folder that holds the front's and the keyholder's, its public host, and its port behind the TLS terminator.
#[derive(Clone, Copy)]
pub(crate) struct GatewayAt<'a> {
    pub dir: &'a Path,
    pub host: &'a str,
    pub port: u16,
}
impl GatewayAt<'_> {
    fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.ends_with(".localhost")
    }
    /// `name`: `wallet`, `stop`, or nothing for the gateway itself.
    pub fn origin(&self, name: &str) -> String {
        let host = if name.is_empty() { self.host.to_owned() } else { format!("{name}.{}", self.host) };
        if self.is_local() { format!("http://{host}:{}", self.port) } else { format!("https://{host}") }
    }
    pub fn oauth_callback(&self) -> String {
        format!("{}/oauth/callback", self.origin("wallet"))
    }
    fn socket(&self) -> PathBuf {
        self.dir.join("keyholder/keyholder.sock")
    }

    /// Keys that the front and the keyholder have for themselves.
    pub fn write_keys(&self, host: &Host) -> anyhow::Result<()> {
        for party in ["gateway", "keyholder"] {
            fs::create_dir_all(self.dir.join(party))?;
        }
        for key in ["gateway/nonce.key", "gateway/push.key"] {
            write_key(&self.dir.join(key), &*host.entropy)?;
        }
        parcelshelf_vault::write_first(&self.dir.join("gateway/epochs"), &*host.entropy)?;
        KeyRing::generate(&self.dir.join("keyholder/keys"), &*host.entropy)?;
        Ok(())
    }

    pub fn keyholder(&self, operator: &SigningKey) -> KeyholderConfig {
        KeyholderConfig {
            aud: self.origin(""),
            socket: self.socket(),
            data_dir: self.dir.join("keyholder/data"),
            key_dir: self.dir.join("keyholder/keys"),
            rp_id: format!("wallet.{}", self.host),
            wallet_origin: self.origin("wallet"),
            stop_origin: Some(self.origin("stop")),
            log_origin: format!("{}/log", self.host),
            operator: Jwk::of(operator.verifying_key()),
            people: Vec::new(),
            country: String::from("SE"),
            country_of: BTreeMap::new(),
            possession_wait_hours: WAIT_HOURS,
            log: LogConfig {
                // A new gateway is a small one: see decision 37. A demo's log is nobody's diary.
                padding: (!self.is_local()).then_some(PaddingConfig::SMALL),
                ..LogConfig::default()
            },
            retention: parcelshelf_keyholder::config::Retention::default(),
            log_level: String::from("info"),
        }
    }
    pub fn front(&self) -> gateway::Config {
        gateway::Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)),
            data_dir: self.dir.join("gateway/data"),
            keyholder: self.socket(),
            origin: self.origin(""),
            wallet_origin: self.origin("wallet"),
            stop_origin: self.origin("stop"),
            rp_id: format!("wallet.{}", self.host),
            aud: self.origin(""),
            nonce_key: self.dir.join("gateway/nonce.key"),
            retention: gateway::Retention::default(),
            // A demo asks nobody outside this machine to wake anybody.
            push: (!self.is_local()).then(|| gateway::PushConfig {
                contact: self.origin(""),
                key: self.dir.join("gateway/push.key"),
                hosts: gateway::known_services(),
                local: false,
            }),
            log_level: String::from("info"),
        }
    }
}

/// What is configured, with a word on where it is explained.
pub(crate) fn write_config(path: &Path, by: &str, config: &impl serde::Serialize) -> anyhow::Result<()> {
    let comment = format!("# Written by `parcelshelf {by}`. Every member is explained in docs/operations/README.md.\n");
    fs::write(path, comment + &toml::to_string(config)?).with_context(|| format!("failed to write {}", path.display()))
}

/// Writes everything and says where it is.
///
/// # Errors
/// When the folder cannot be written, or is not empty.
pub fn write(args: &Init, host: &Host) -> anyhow::Result<Layout> {
    if fs::read_dir(&args.dir).is_ok_and(|mut d| d.next().is_some()) {
        bail!("{} is not empty: init never overwrites keys", args.dir.display());
    }
    fs::create_dir_all(&args.dir).with_context(|| format!("failed to create {}", args.dir.display()))?;
    let dir = args.dir.canonicalize()?;
    let at = GatewayAt { dir: &dir, host: &args.host, port: args.port };
    let carriers = GatewayAt { port: args.port + 1, ..at };
    let layout = Layout {
        gateway_origin: at.origin(""),
        wallet_origin: at.origin("wallet"),
        stop_origin: at.origin("stop"),
        carrier_origin: format!("http://127.0.0.1:{}", args.port + 1),
        courier_origin: carriers.origin("courier"),
        ops_origin: carriers.origin("ops"),
        merchant_key: b64(host.random::<32>()),
        dispatch_key: b64(host.random::<32>()),
        dir: dir.clone(),
    };
    for party in ["operator", "second-person", "carrier-root", "depot", "carrier"] {
        fs::create_dir_all(layout.dir.join(party))?;
    }
    at.write_keys(host)?;
    let keys = Authorities::write(&layout.dir, host)?;
    certificates(args, &layout, &keys, host)?;
    configurations(args, &layout, &at, &keys)?;
    Ok(layout)
}

/// Keys that certify others.
struct Authorities {
    operator: SigningKey,
    second_person: SigningKey,
    root: SigningKey,
}
impl Authorities {
    fn write(dir: &Path, host: &Host) -> anyhow::Result<Self> {
        let fresh = |path: &str| -> anyhow::Result<SigningKey> {
            let path = dir.join(path);
            write_key(&path, &*host.entropy).with_context(|| format!("failed to write {}", path.display()))?;
            signing_key(&path)
        };
        let (operator, root) = (fresh("operator/operator.key")?, fresh("carrier-root/root.key")?);
        let second_person = fresh("second-person/person.key")?;
        fresh("depot/depot.key")?;
        fresh("carrier/delegation.key")?;
        write_key(&dir.join("carrier/storage.key"), &*host.entropy)?;
        parcelshelf_vault::write_first(&dir.join("carrier/epochs"), &*host.entropy)?;
        Ok(Self { operator, second_person, root })
    }
}

/// A key written by `init`.
///
/// # Errors
/// When the file holds none.
pub fn signing_key(path: &Path) -> anyhow::Result<SigningKey> {
    let scalar = read_key(path).map_err(anyhow::Error::msg)?;
    SigningKey::from_scalar(&scalar).with_context(|| format!("{} is not a key", path.display()))
}

fn certificates(args: &Init, layout: &Layout, keys: &Authorities, host: &Host) -> anyhow::Result<()> {
    let host = &client_host(host)?;
    let dir = &layout.dir;
    let aud = &layout.gateway_origin;
    let domain =
        if args.host == "localhost" { String::from("carrier.localhost") } else { format!("carrier.{}", args.host) };
    let subject = Subject::Carrier { name: args.carrier_name.clone(), domain };
    let carrier = certify(&keys.operator, aud, keys.root.verifying_key(), subject, CERTIFIED_DAYS, host)?;
    let of = |path: &str, subject, days| -> anyhow::Result<String> {
        let key = signing_key(&dir.join(path))?;
        Ok(certify(&keys.root, aud, key.verifying_key(), subject, days, host)?.jws().to_owned())
    };
    let depot = of("depot/depot.key", Subject::Depot, CERTIFIED_DAYS)?;
    let delegation = of("carrier/delegation.key", Subject::Delegation, DELEGATION_DAYS)?;
    for (path, text) in [
        ("depot/depot.cert", depot.as_str()),
        ("carrier/carrier.cert", carrier.jws()),
        ("carrier/delegation.cert", &delegation),
        ("carrier/root.jwk", &keys.root.verifying_key().to_jwk()),
        ("operator/operator.jwk", &keys.operator.verifying_key().to_jwk()),
    ] {
        fs::write(dir.join(path), text)?;
    }
    Ok(())
}

/// The simulator's application, with the key that its cars' owners have let in.
fn tesla_section(layout: &Layout, base: &str) -> anyhow::Result<TeslaFile> {
    let key = layout.dir.join("keyholder/tesla-command.pem");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key)?;
    file.write_all(tesla::DEMO_COMMAND_KEY.as_bytes())?;
    Ok(TeslaFile {
        login_base: base.to_owned(),
        token_base: base.to_owned(),
        client_id: tesla::DEMO_CLIENT_ID.to_owned(),
        client_secret: tesla::DEMO_CLIENT_SECRET.to_owned(),
        redirect_uri: format!("{}/oauth/callback", layout.wallet_origin),
        command_key: Some(key),
        regions: vec![RegionFile { name: String::from("EU"), api_base: base.to_owned() }],
    })
}

/// The simulator's application at the aggregator.
fn smartcar_section(layout: &Layout, base: &str) -> SmartcarFile {
    let base = || base.to_owned();
    SmartcarFile {
        api_base: base(),
        vehicle_base: base(),
        auth_base: base(),
        connect_base: base(),
        client_id: smartcar::DEMO_CLIENT_ID.to_owned(),
        client_secret: smartcar::DEMO_CLIENT_SECRET.to_owned(),
        redirect_uri: format!("{}/oauth/callback", layout.wallet_origin),
        country: String::from("US"),
        mode: String::from("simulated"),
        api_version: String::from("2.0"),
    }
}

/// What an owner reads of a garage, by its place in the row from 0.
#[must_use]
pub fn garage_name(n: usize) -> String {
    if n == 0 { String::from("Garage") } else { format!("Garage {}", n + 1) }
}

/// What an owner reads of a front door, by its place from 0.
#[must_use]
pub fn front_door_name(n: usize) -> String {
    if n == 0 { String::from("Front door") } else { format!("Front door {}", n + 1) }
}

/// A front door of the simulated household.
fn front_door(n: usize) -> HomeDoorFile {
    let door = homeassistant::FrontFile::in_row(n);
    HomeDoorFile {
        number: door.number,
        name: front_door_name(n),
        lock: format!("lock.{}", door.entity),
        contact: format!("binary_sensor.{}_contact", door.entity),
        camera: format!("camera.{}", door.entity),
        light: format!("light.{}", door.entity),
    }
}
/// The simulated household's garage, or a row of them.
fn home_section(layout: &Layout, base: &str, args: &Init) -> HomeAssistantFile {
    let garage = |(n, door): (usize, homeassistant::DoorFile)| HomeEntranceFile {
        number: door.number,
        name: garage_name(n),
        cover: format!("cover.{}", door.entity),
        obstruction: Some(format!("binary_sensor.{}_obstruction", door.entity)),
    };
    HomeAssistantFile {
        base: base.to_owned(),
        client_id: format!("{}/", layout.wallet_origin),
        redirect_uri: format!("{}/oauth/callback", layout.wallet_origin),
        cars: Vec::new(),
        garages: (0..args.home_garages).map(homeassistant::DoorFile::in_row).enumerate().map(garage).collect(),
        gates: Vec::new(),
        doors: (0..args.home_front_doors).map(front_door).collect(),
    }
}

fn configurations(args: &Init, layout: &Layout, at: &GatewayAt<'_>, keys: &Authorities) -> anyhow::Result<()> {
    let dir = &layout.dir;
    let keyholder = KeyholderFile {
        keyholder: KeyholderConfig {
            people: vec![Jwk::of(keys.second_person.verifying_key())],
            country_of: [
                (args.onstar_base.is_some(), ONSTAR, &args.onstar_country),
                (args.tesla_base.is_some(), TESLA, &args.tesla_country),
                (args.smartcar_base.is_some(), SMARTCAR, &args.smartcar_country),
            ]
            .into_iter()
            .filter(|(takes_part, ..)| *takes_part)
            .map(|(_, maker, country)| (maker.to_owned(), country.clone()))
            .collect(),
            possession_wait_hours: if args.no_possession_wait { 0 } else { WAIT_HOURS },
            ..at.keyholder(&keys.operator)
        },
        volvo: Some(VolvoFile {
            api_base: args.maker_base.clone(),
            identity_base: args.maker_base.clone(),
            client_id: DEMO_CLIENT_ID.to_owned(),
            client_secret: DEMO_CLIENT_SECRET.to_owned(),
            vcc_api_key: DEMO_VCC_API_KEY.to_owned(),
            redirect_uri: format!("{}/oauth/callback", layout.wallet_origin),
        }),
        onstar: args.onstar_base.as_ref().map(|base| OnstarFile {
            api_base: base.clone(),
            login_base: format!("{base}{LOGIN_PATH}"),
            client_id: onstar::DEMO_CLIENT_ID.to_owned(),
            redirect_uri: format!("{}/oauth/callback", layout.wallet_origin),
            scope: String::from("openid profile offline_access"),
            exchange_scope: String::from("onstar gmoc user_trailer user msso priv"),
            app_version: String::from("parcelshelf-1"),
            device_id: String::from("66666666-7777-4888-8999-000000000000"),
        }),
        homeassistant: args.home_base.as_ref().map(|base| home_section(layout, base, args)),
        smartcar: args.smartcar_base.as_ref().map(|base| smartcar_section(layout, base)),
        tesla: args.tesla_base.as_ref().map(|base| tesla_section(layout, base)).transpose()?,
    };
    let key = |role: carrier::Role, name: &str, secret: &str| carrier::ApiKey {
        role,
        name: name.to_owned(),
        sha256: sha256(secret).as_bytes().iter().map(|b| format!("{b:02x}")).collect(),
    };
    let carrier = carrier::Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, args.port + 1)),
        data_dir: dir.join("carrier/data"),
        gateway: layout.gateway_origin.clone(),
        wallet_origin: layout.wallet_origin.clone(),
        stop_origin: layout.stop_origin.clone(),
        aud: layout.gateway_origin.clone(),
        name: args.carrier_name.clone(),
        root: dir.join("carrier/root.jwk"),
        carrier_cert: dir.join("carrier/carrier.cert"),
        delegation_cert: dir.join("carrier/delegation.cert"),
        delegation_key: dir.join("carrier/delegation.key"),
        storage_key: dir.join("carrier/storage.key"),
        api_keys: vec![
            key(carrier::Role::Merchant, "first merchant", &layout.merchant_key),
            key(carrier::Role::Dispatch, "dispatch", &layout.dispatch_key),
        ],
        webhooks: Vec::new(),
        retention: carrier::Retention::default(),
        pages: Some(carrier::PagesConfig {
            courier_origin: layout.courier_origin.clone(),
            ops_origin: layout.ops_origin.clone(),
        }),
        log_level: String::from("info"),
    };
    write_config(&dir.join("keyholder/keyholder.toml"), "init", &keyholder)?;
    write_config(&dir.join("gateway/gateway.toml"), "init", &at.front())?;
    write_config(&dir.join("carrier/carrier.toml"), "init", &carrier)
}

/// The same clock and randomness, for the client crate.
///
/// # Errors
/// When the machine's TLS library cannot be set up.
pub fn client_host(host: &Host) -> Result<parcelshelf_client::Host, parcelshelf_exchange::BadSetUp> {
    let client = parcelshelf_exchange::Client::network(host.clock.clone())?;
    Ok(parcelshelf_client::Host { clock: host.clock.clone(), entropy: host.entropy.clone(), client })
}
