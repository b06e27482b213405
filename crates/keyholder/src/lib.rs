//! The keyholder: the last hop before a car maker's cloud.
//!
//! What it is: it verifies every chain itself over the bytes received, judges conditions with `parcelshelf-opening`, writes
//! intent and leaf in one transaction, only then asks the maker, and watches until the lock is proved. What it is not:
//! it serves no browser (the front does), decides nothing that `opening` does not decide, and no function of it locates
//! or opens without a chain.
//!
//! Three things to know: [`Config`](config::Config), `Keyholder` (everything a request needs), and the module `attempts`
//! (the running attempts, each driven by one task).

mod asking;
mod at_door;
mod attempts;
mod bells;
mod bundle;
mod car;
mod carriers;
mod cars;
mod chain;
mod choosing;
pub mod config;
mod convert;
mod db;
mod door_signs;
mod erasure;
mod failure;
mod feeds;
mod following;
mod grants;
mod guests;
mod housekeeping;
mod http;
pub mod keys;
mod known_rows;
mod legs;
mod linking;
mod logbook;
mod makers;
mod occupants;
mod orders;
mod pages;
mod recorded;
mod recovery;
mod rows;
mod rules;
mod sharing;
mod stops;
mod turns;
mod unlinking;
mod vault;
mod views;
mod waking;
mod wallets;
mod witnesses;

use std::path::Path;
use std::sync::Arc;

use parcelshelf_access::Access;
use parcelshelf_core::time::Timer;
use parcelshelf_edge::Host;
use parcelshelf_edge::problem::Problem;
use parcelshelf_edge::serve::{self, Listener};
use parcelshelf_edge::steps::{self, Steps};
use parcelshelf_protocol::webauthn::RelyingParty;
use parcelshelf_store::sqlite::Options;
use parcelshelf_store::storage::Storage;
use parcelshelf_store::whole::Whole;
use parcelshelf_vault::Epochs;
use tokio::sync::watch;

use crate::attempts::Attempts;
use crate::config::Config;
use crate::db::{Db, MAC_BYTES};
use crate::keys::KeyRing;
use crate::vault::Vault;

pub use http::openapi;

/// Tables and fields of this service's rows, and whether rows are sealed under their owner's data key: what
/// docs/retention.md must explain.
#[must_use]
pub fn tables() -> Vec<(&'static str, &'static [&'static str], bool)> {
    rows::TABLES.to_vec()
}

/// What the shell gives to a keyholder.
#[derive(Clone)]
pub struct Shell {
    pub host: Host,
    /// Paces the log's checkpoints. Real time also where `host`'s time is simulated.
    pub log_timer: Arc<dyn Timer>,
    pub accesses: Vec<Arc<dyn Access>>,
    /// How witnesses of the log are called.
    pub witnesses: parcelshelf_exchange::Client,
    pub storage: Storage,
    pub steps: Steps,
    /// What the front shows to browsers, by this release: its hashes go into the log.
    pub pages: Vec<SitePages>,
    /// An operator has looked at a store that somebody else has written to, and takes it as it is.
    pub accept_altered_store: bool,
}
impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shell")
    }
}

/// A page host of the front. What it must show the keyholder knows from its own release, never from the front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitePages {
    /// A code: `wallet` or `stop`.
    pub site: &'static str,
    pub origin: String,
    /// SHA-256 of the list of its files.
    pub files: [u8; 32],
}

/// An operator looks at an altered store within hours, not seconds.
const STORE_ALTERED_RETRY_S: u64 = 600;

/// Everything a request needs.
pub(crate) struct Keyholder {
    pub config: Config,
    pub host: Host,
    pub rp: RelyingParty,
    pub keys: KeyRing,
    pub db: Db,
    pub makers: makers::Makers,
    pub attempts: Attempts,
    pub bells: bells::Bells,
    pub feeds: feeds::Feeds,
    pub legs: legs::Legs,
    pub begun: occupants::Begun,
    /// One refresh at a time per account: two would use the same refresh token, and the second kills the account.
    pub tokens: turns::Turns,
    /// One answer at a time per proof that opens.
    pub openings: turns::Turns,
    /// One request to open at a time per front door, for its camera is proved by a light.
    pub front_doors: turns::Turns,
    pub offers: choosing::Offers,
    pub waking: waking::Waking,
    pub log: logbook::Logbook,
    pub witnesses: witnesses::Witnesses,
    /// What the log is paced by.
    pub log_timer: Arc<dyn Timer>,
    pub steps: Steps,
}

impl Keyholder {
    /// Whether rows may be believed: somebody who writes to a store that is closed can put an old row back, whose proof
    /// holds. What locks and what stops does not ask.
    pub(crate) fn believes_its_store(&self) -> Result<(), failure::Failure> {
        if self.db.engine().is_altered() {
            return Err(Problem::unavailable(
                "store_altered",
                "somebody else has written to this gateway's store; its operator has to look at it first",
                STORE_ALTERED_RETRY_S,
            )
            .into());
        }
        Ok(())
    }
    pub(crate) fn step(&self, name: &str) {
        if let Some(steps) = &self.steps {
            steps.reached(name);
        }
    }
    pub(crate) fn access(&self, maker: &str) -> Option<&Arc<dyn Access>> {
        self.makers.access(maker)
    }
}

/// Why a keyholder could not run.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("configuration: {0}")]
    Config(String),
    #[error("keys: {0}")]
    Keys(String),
    #[error("the store")]
    Store(#[from] parcelshelf_store::StoreError),
    #[error("the socket")]
    Socket(#[from] std::io::Error),
    #[error("start: {0}")]
    Start(String),
}

/// About four megabytes: certificates and links of some thousand deliveries under way.
const SIGNATURES_REMEMBERED: usize = 65_536;

/// Runs until `stop` says true: opens the stores, finishes what a crash interrupted, serves.
///
/// `ready` is called with the socket's path when requests are answered.
///
/// # Errors
/// [`Broken`].
pub async fn run(
    config: Config,
    shell: Shell,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(&Path),
) -> Result<(), Broken> {
    serve::start_metrics();
    parcelshelf_protocol::known::remember(SIGNATURES_REMEMBERED);
    let (keyholder, [sequencer, sweeping, watching, waking], router) = assemble(config, shell, &stop).await?;
    let listener = Listener::unix(&keyholder.config.socket)?;
    ready(&keyholder.config.socket);
    serve::serve(listener, router, &keyholder.host, stop).await?;
    // No light is left on in a hall: whoever asks a camera asks it to the end, also for somebody who has gone.
    keyholder.front_doors.over().await;
    // Nobody is left alone with an open trunk: the attempts go on until everything is locked.
    keyholder.attempts.drain(&keyholder.host).await;
    let _ = tokio::join!(sequencer, sweeping, watching, waking);
    keyholder.db.close().await;
    Ok(())
}

type Assembled = (Arc<Keyholder>, [tokio::task::JoinHandle<()>; 4], axum::Router);

async fn assemble(config: Config, shell: Shell, stop: &watch::Receiver<bool>) -> Result<Assembled, Broken> {
    let pages = shell.pages.clone();
    let keyholder = open(config, shell)?;
    keyholder.remember_rollback().await.map_err(|e| Broken::Start(e.to_string()))?;
    keyholder.finish_erasing().await.map_err(|e| Broken::Start(e.to_string()))?;
    keyholder.begin().await.map_err(|e| Broken::Start(e.to_string()))?;
    keyholder.show_pages(&pages).await.map_err(|e| Broken::Start(e.to_string()))?;
    keyholder.recount().await.map_err(|e| Broken::Start(e.to_string()))?;
    attempts::recover_all(&keyholder).await.map_err(|e| Broken::Start(e.to_string()))?;
    let sequencer = tokio::spawn(logbook::sequence(Arc::clone(&keyholder), stop.clone()));
    let sweeping = tokio::spawn(housekeeping::sweep(Arc::clone(&keyholder), stop.clone()));
    let watching = tokio::spawn(witnesses::watch(Arc::clone(&keyholder), stop.clone()));
    let waking = tokio::spawn(waking::note(Arc::clone(&keyholder), stop.clone()));
    let router = http::router(Arc::clone(&keyholder));
    Ok((keyholder, [sequencer, sweeping, watching, waking], router))
}

/// Starts without a listener, for a simulation inside one process: whoever gets the router asks it.
///
/// # Errors
/// [`Broken`].
pub async fn inside(config: Config, shell: Shell, stop: &watch::Receiver<bool>) -> Result<axum::Router, Broken> {
    assemble(config, shell, stop).await.map(|(_, _, router)| router)
}

fn open(config: Config, shell: Shell) -> Result<Arc<Keyholder>, Broken> {
    let keys = KeyRing::load(&config.key_dir, &config.log_origin).map_err(Broken::Keys)?;
    let whole = Whole {
        key: vault::whole_key(&keys.storage),
        // A row's MAC binds the rest of it.
        binding_bytes: u16::try_from(MAC_BYTES).unwrap_or(u16::MAX),
        accept: shell.accept_altered_store,
    };
    let options = Options { on_step: steps::on_step(&shell.steps), whole: Some(whole) };
    let engine = shell.storage.engine(&config.data_dir, "keyholder", options)?;
    if engine.is_altered() {
        tracing::error!(
            "somebody else has written to this store: nothing is located, opened or allowed until an operator has looked; \
             locks go on. See docs/operations/README.md, `The store was altered`"
        );
    }
    let data_keys = shell.storage.keys(&config.data_dir, "keyholder")?;
    let entropy = Arc::clone(&shell.host.entropy);
    let epochs = Epochs::open(&config.key_dir.join(keys::EPOCHS), &keys.storage, Arc::clone(&entropy))
        .map_err(|e| Broken::Keys(e.to_string()))?;
    let vault = Arc::new(Vault::new(&keys.storage, Arc::new(epochs), data_keys, entropy));
    let witnesses = witnesses::Witnesses::new(&config.log, shell.witnesses).map_err(Broken::Config)?;
    let rp = RelyingParty { rp_id: config.rp_id.clone(), origins: vec![config.wallet_origin.clone()] };
    Ok(Arc::new(Keyholder {
        rp,
        keys,
        db: Db::new(engine, vault),
        makers: makers::Makers::new(shell.accesses),
        attempts: Attempts::default(),
        bells: bells::Bells::default(),
        feeds: feeds::Feeds::new(shell.host.random()),
        legs: legs::Legs::default(),
        begun: occupants::Begun::default(),
        tokens: turns::Turns::default(),
        openings: turns::Turns::default(),
        front_doors: turns::Turns::default(),
        offers: choosing::Offers::default(),
        waking: waking::Waking::default(),
        log: logbook::Logbook::default(),
        witnesses,
        log_timer: shell.log_timer,
        host: shell.host,
        steps: shell.steps,
        config,
    }))
}
