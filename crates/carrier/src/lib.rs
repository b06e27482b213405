//! The carrier's service.
//!
//! What it is: shipments, couriers and vans, requests to owners, delegations to couriers' devices, an outcome for every
//! parcel. What it is not: it holds no key that opens, sees no place of a car, and relies on nothing but the keyholder's
//! signed word; no crate that opens is in its closure.
//!
//! The three types to know: [`Config`], [`Shell`], and `Carrier` (everything a request needs).

mod board;
mod db;
mod feed;
mod gateway;
mod hooks;
mod http;
mod jobs;
mod legs;
mod live;
mod model;
mod people;
mod retention;
mod shipments;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parcelshelf_edge::Host;
use parcelshelf_edge::pages::Pages;
use parcelshelf_edge::serve::{self, Listener};
use parcelshelf_edge::steps::{self, Steps};
use parcelshelf_exchange::Client;
use parcelshelf_protocol::encoding::{Thumbprint, from_b64};
use parcelshelf_protocol::jws::{SigningKey, VerifyingKey};
use parcelshelf_protocol::nonce::NonceKey;
use parcelshelf_store::Engine;
use parcelshelf_store::sqlite::Options;
use parcelshelf_store::storage::Storage;
use parcelshelf_vault::{Epochs, Vault};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use hooks::WebhookConfig;
pub use http::openapi;
pub use retention::Retention;

/// Tables and fields of this service's rows: what docs/retention.md must explain.
#[must_use]
pub fn tables() -> Vec<(&'static str, &'static [&'static str])> {
    db::TABLES.to_vec()
}

/// Parsed once at start.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    /// Stores: `carrier.db`, and `carrier-keys.db`, which no backup may hold.
    pub data_dir: PathBuf,
    /// The gateway's origin.
    pub gateway: String,
    pub wallet_origin: String,
    pub stop_origin: String,
    /// The keyholder's name in tokens.
    pub aud: String,
    /// The name that owners read.
    pub name: String,
    /// The carrier root's public key, a JSON Web Key.
    pub root: PathBuf,
    /// The operator's certificate for the root.
    pub carrier_cert: PathBuf,
    /// The root's certificate for the delegation key.
    pub delegation_cert: PathBuf,
    pub delegation_key: PathBuf,
    /// What wrapped data keys before the first epoch. The folder `epochs` beside it holds the epoch keys that do now.
    pub storage_key: PathBuf,
    pub api_keys: Vec<ApiKey>,
    /// Merchants whose systems are told that something became of their deliveries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<WebhookConfig>,
    /// How long what is kept. docs/retention.md explains every class.
    #[serde(default)]
    pub retention: Retention,
    /// Without it nothing is shown, and this is an interface only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<PagesConfig>,
    #[serde(default = "info")]
    pub log_level: String,
}
fn info() -> String {
    String::from("info")
}
impl Config {
    /// Where the epoch keys are.
    #[must_use]
    pub fn epochs_dir(&self) -> PathBuf {
        self.storage_key.with_file_name("epochs")
    }
}

/// Two hosts of their own: what one shows cannot reach the other's sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagesConfig {
    /// Where the courier app is.
    pub courier_origin: String,
    /// Where staff's pages are; its host is the relying party of staff's passkeys.
    pub ops_origin: String,
}

/// A key of the interface, kept as its hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    pub role: Role,
    pub name: String,
    /// SHA-256 of the key, 64 hexadecimal digits.
    pub sha256: String,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Posts shipments and reads them.
    Merchant,
    /// Hires couriers, loads vans, sees everything.
    Dispatch,
}

/// What the shell gives to a carrier.
#[derive(Clone)]
pub struct Shell {
    pub host: Host,
    /// How the gateway is called.
    pub gateway: Client,
    pub storage: Storage,
    pub steps: Steps,
    /// What the two hosts of [`PagesConfig`] show.
    pub courier: Option<Arc<Pages>>,
    pub ops: Option<Arc<Pages>>,
}
impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shell")
    }
}

/// Why a carrier could not run.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("configuration: {0}")]
    Config(String),
    #[error("the store")]
    Store(#[from] parcelshelf_store::StoreError),
    #[error("the listener")]
    Listener(#[from] std::io::Error),
}

/// Keys and certificates, read once.
pub(crate) struct Papers {
    pub root: Thumbprint,
    pub carrier_cert: String,
    pub delegation_cert: String,
    pub delegation_key: SigningKey,
}

/// Everything a request needs.
pub(crate) struct Carrier {
    pub config: Config,
    pub host: Host,
    pub engine: Arc<dyn Engine>,
    pub papers: Papers,
    pub vault: Vault,
    pub gateway: Client,
    pub hooks: hooks::Hooks,
    pub bells: jobs::Bells,
    pub posting: feed::Posting,
    pub live: live::Live,
    pub keyholder: gateway::KnownKeys,
    pub sites: http::sites::Sites,
    /// Challenges for staff who log in; made at start, for they last five minutes.
    pub nonces: NonceKey,
}

impl Carrier {
    fn open(config: Config, shell: &Shell) -> Result<Self, Broken> {
        let root = VerifyingKey::parse_jwk(text(&config.root)?.as_bytes())
            .map_err(|_| Broken::Config(format!("{} is not a P-256 key", config.root.display())))?;
        let delegation_key = SigningKey::from_scalar(&*key(&config.delegation_key)?)
            .map_err(|_| Broken::Config(format!("{} is not a key", config.delegation_key.display())))?;
        let entropy = Arc::clone(&shell.host.entropy);
        let epochs = Epochs::open(&config.epochs_dir(), &*key(&config.storage_key)?, Arc::clone(&entropy))
            .map_err(|e| Broken::Config(e.to_string()))?;
        Ok(Self {
            papers: Papers {
                root: root.thumb(),
                carrier_cert: text(&config.carrier_cert)?,
                delegation_cert: text(&config.delegation_cert)?,
                delegation_key,
            },
            vault: Vault::new(Arc::new(epochs), shell.storage.keys(&config.data_dir, "carrier")?, entropy),
            engine: shell.storage.engine(
                &config.data_dir,
                "carrier",
                Options { on_step: steps::on_step(&shell.steps), ..Options::default() },
            )?,
            hooks: hooks::Hooks::open(&config.webhooks, &config.api_keys, shell)?,
            bells: jobs::Bells::new(),
            posting: feed::Posting::default(),
            live: live::Live::default(),
            keyholder: gateway::KnownKeys::default(),
            sites: http::sites::Sites::new(config.pages.as_ref(), shell).map_err(Broken::Config)?,
            nonces: NonceKey::from_bytes(shell.host.random()),
            gateway: shell.gateway.clone(),
            host: shell.host.clone(),
            config,
        })
    }
}

fn text(path: &Path) -> Result<String, Broken> {
    let text = std::fs::read_to_string(path).map_err(|e| Broken::Config(format!("{}: {e}", path.display())))?;
    Ok(text.trim().to_owned())
}
fn key(path: &Path) -> Result<zeroize::Zeroizing<[u8; 32]>, Broken> {
    let bytes = from_b64(&text(path)?).and_then(|b| b.try_into().ok()).map(zeroize::Zeroizing::new);
    bytes.ok_or_else(|| Broken::Config(format!("{} does not hold 32 bytes of base64url", path.display())))
}

type Assembled = (Arc<Carrier>, Vec<tokio::task::JoinHandle<()>>, axum::Router);

fn assemble(config: Config, shell: &Shell, stop: &watch::Receiver<bool>) -> Result<Assembled, Broken> {
    let carrier = Arc::new(Carrier::open(config, shell)?);
    let working = jobs::start(&carrier, stop);
    let router = http::router(Arc::clone(&carrier));
    Ok((carrier, working, router))
}

/// Starts without a listener, for a simulation inside one process: whoever gets the router asks it.
///
/// # Errors
/// [`Broken`].
pub fn inside(config: Config, shell: &Shell, stop: &watch::Receiver<bool>) -> Result<axum::Router, Broken> {
    assemble(config, shell, stop).map(|(_, _, router)| router)
}

/// Runs until `stop` says true. `ready` is called with the bound address when requests are answered.
///
/// # Errors
/// [`Broken`].
pub async fn run(
    config: Config,
    shell: Shell,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), Broken> {
    serve::start_metrics();
    parcelshelf_protocol::known::remember(4_096);
    let (carrier, working, router) = assemble(config, &shell, &stop)?;
    let (listener, address) = Listener::tcp(carrier.config.listen).await?;
    ready(address);
    serve::serve(listener, router, &carrier.host, stop).await?;
    for worker in working {
        let _ = worker.await;
    }
    carrier.engine.close().await;
    Ok(())
}
