//! The gateway's front: what faces the internet.
//!
//! What it is: hosts, sessions, size and form of requests, a byte-exact relay to the keyholder's socket, and a shelf of
//! sealed photos. What it is not: it holds no key that opens, locates or signs, and can read nothing sealed. Whoever
//! takes it over can delay and see ciphertext with times; that is all.
//!
//! The three types to know: [`Config`], [`Shell`] (with the keyholder's interface document, from which the relayed
//! routes are made), and `Front` (everything a request needs).

mod photos;
mod push;
mod relay;
mod retention;
mod rows;
mod sessions;
mod sites;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use parcelshelf_edge::Host;
use parcelshelf_edge::pages::{Pages, hardened};
use parcelshelf_edge::problem::Problem;
use parcelshelf_edge::serve::{self, Listener};
use parcelshelf_edge::steps::{self, Steps};
use parcelshelf_exchange::Client;
use parcelshelf_protocol::nonce::NonceKey;
use parcelshelf_protocol::webauthn::RelyingParty;
use parcelshelf_store::sqlite::Options;
use parcelshelf_store::storage::Storage;
use parcelshelf_store::{Batch, CommitError, Engine};
use parcelshelf_vault::{Epochs, Vault};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::push::Pusher;
pub use crate::push::{PushConfig, known_services};
pub use crate::retention::Retention;
use crate::sites::Sites;

/// The keyholder answers long polls after 25 s and makers' calls after 30 s.
const KEYHOLDER_DEADLINE: Duration = Duration::from_secs(40);

/// Parsed once at start.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    /// Stores: `gateway.db`, and `gateway-keys.db`, which no backup may hold.
    pub data_dir: PathBuf,
    /// The keyholder's Unix socket.
    pub keyholder: PathBuf,
    /// Where carriers and depots ask, such as `https://gateway.example`.
    pub origin: String,
    /// Where wallets are; its host is the relying party of every passkey.
    pub wallet_origin: String,
    /// Where couriers' stop pages are.
    pub stop_origin: String,
    pub rp_id: String,
    /// The keyholder's name in tokens.
    pub aud: String,
    /// 32 bytes of base64url: challenges for logging in. The folder `epochs` beside it holds the epoch keys.
    pub nonce_key: PathBuf,
    /// How long what is kept. docs/retention.md explains every class.
    #[serde(default)]
    pub retention: Retention,
    /// How wallets are woken. Without it nobody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushConfig>,
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
        self.nonce_key.with_file_name("epochs")
    }
}

/// What the shell gives to a front.
#[derive(Clone)]
pub struct Shell {
    pub host: Host,
    /// How the keyholder is called.
    pub keyholder: Client,
    pub storage: Storage,
    pub steps: Steps,
    /// What the wallet's host shows, and the stop page's; nothing where it is only an interface.
    pub wallet: Option<Arc<Pages>>,
    pub stop: Option<Arc<Pages>>,
    /// The keyholder's interface: its paths are relayed, those with `session` security after a look at the session.
    pub relayed: OpenApi,
}
impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shell")
    }
}

/// Why a front could not run.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("configuration: {0}")]
    Config(String),
    #[error("the store")]
    Store(#[from] parcelshelf_store::StoreError),
    #[error("the listener")]
    Listener(#[from] std::io::Error),
}

/// Tables and fields of this service's rows: what docs/retention.md must explain.
#[must_use]
pub fn tables() -> Vec<(&'static str, &'static [&'static str])> {
    rows::TABLES.to_vec()
}

/// Everything a request needs.
pub(crate) struct Front {
    pub config: Config,
    pub host: Host,
    pub engine: Arc<dyn Engine>,
    pub vault: Vault,
    pub keyholder: Client,
    pub sites: Sites,
    pub rp: RelyingParty,
    pub nonces: NonceKey,
    pub wallet: Option<Arc<Pages>>,
    pub stop: Option<Arc<Pages>>,
    pub pusher: Option<Pusher>,
}

impl Front {
    /// Commits, or says why not as a problem.
    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.engine.commit(batch).await.map(|_| ())
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Parcelshelf gateway",
        description = "What wallets, stop pages, depots and carriers ask of a gateway. Most routes are relayed to the \
                       keyholder byte for byte."
    ),
    modifiers(&Security),
    components(schemas(parcelshelf_edge::problem::ProblemSchema))
)]
struct Doc;

struct Security;
impl utoipa::Modify for Security {
    fn modify(&self, document: &mut OpenApi) {
        use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
        let bearer = |about: &str| {
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build())
        };
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("session", bearer("a token of POST /v1/sessions or POST /v1/wallets"));
        components.add_security_scheme("call", bearer("psh-call+jwt by a certified delegation key"));
        let dpop =
            ApiKeyValue::with_description("dpop", "the proof (RFC 9449); the last link stands in Authorization: DPoP");
        components.add_security_scheme("dpop", SecurityScheme::ApiKey(ApiKey::Header(dpop)));
    }
}

fn own_routes() -> OpenApiRouter<Arc<Front>> {
    OpenApiRouter::with_openapi(Doc::openapi())
        .routes(routes!(sessions::challenge))
        .routes(routes!(sessions::begin, sessions::end))
        .routes(routes!(sessions::create_wallet))
        .routes(routes!(sessions::keep_seed_box, sessions::seed_box))
        .routes(routes!(sites::begin_link))
        .routes(routes!(sites::callback))
        .routes(routes!(sites::well_known))
        .routes(routes!(push::key))
        .routes(routes!(push::subscribe))
        .routes(routes!(push::unsubscribe))
        .routes(routes!(photos::leave))
        .routes(routes!(photos::list))
        .routes(routes!(photos::fetch))
        .routes(routes!(retention::erase))
}

/// The interface as a document: own routes and the relayed ones.
#[must_use]
pub fn openapi(relayed: OpenApi) -> OpenApi {
    let mut own = own_routes().split_for_parts().1;
    // Own routes win: a front answers `POST /v1/wallets` itself and relays inside.
    own.merge(relayed);
    own
}

fn router(front: &Arc<Front>, relayed: OpenApi) -> Router {
    let (own, document) = own_routes().split_for_parts();
    let own_paths: Vec<&String> = document.paths.paths.keys().collect();
    let mut router = own;
    for (path, item) in &relayed.paths.paths {
        if !own_paths.contains(&path) {
            router = router.route(path, relay::route(item));
        }
    }
    let text = openapi(relayed).to_json().unwrap_or_default();
    let router = router.route("/readyz", axum::routing::get(relay::ready)).with_state(Arc::clone(front));
    let sites = Arc::clone(front);
    serve::with_basics(router, &front.host, text)
        .layer(axum::middleware::map_response(async |response: Response| hardened(response)))
        .layer(axum::middleware::from_fn_with_state(sites, sites::check_host))
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
    let (front, router) = assemble(config, shell)?;
    let forgetting = tokio::spawn(retention::forget(Arc::clone(&front), stop.clone()));
    let waking = tokio::spawn(push::watch(Arc::clone(&front), stop.clone()));
    let (listener, address) = Listener::tcp(front.config.listen).await?;
    ready(address);
    serve::serve(listener, router, &front.host, stop).await?;
    let _ = tokio::join!(forgetting, waking);
    front.engine.close().await;
    Ok(())
}

/// Starts without a listener, for a simulation inside one process: whoever gets the router asks it.
///
/// # Errors
/// [`Broken`].
pub fn inside(config: Config, shell: Shell) -> Result<Router, Broken> {
    assemble(config, shell).map(|(_, router)| router)
}

fn assemble(config: Config, shell: Shell) -> Result<(Arc<Front>, Router), Broken> {
    let options = Options { on_step: steps::on_step(&shell.steps), ..Options::default() };
    let engine = shell.storage.engine(&config.data_dir, "gateway", options)?;
    let nonce_key = read_key(&config.nonce_key).map_err(Broken::Config)?;
    let entropy = Arc::clone(&shell.host.entropy);
    let epochs = Epochs::open(&config.epochs_dir(), &nonce_key, Arc::clone(&entropy))
        .map_err(|e| Broken::Config(e.to_string()))?;
    let front = Arc::new(Front {
        vault: Vault::new(Arc::new(epochs), shell.storage.keys(&config.data_dir, "gateway")?, entropy),
        sites: Sites::new(&config).map_err(Broken::Config)?,
        pusher: config.push.as_ref().map(|p| Pusher::open(p, &shell.host)).transpose().map_err(Broken::Config)?,
        rp: RelyingParty { rp_id: config.rp_id.clone(), origins: vec![config.wallet_origin.clone()] },
        nonces: NonceKey::from_bytes(nonce_key),
        keyholder: shell.keyholder,
        wallet: shell.wallet,
        stop: shell.stop,
        host: shell.host,
        engine,
        config,
    });
    let router = router(&front, shell.relayed);
    Ok((front, router))
}

fn read_key(path: &std::path::Path) -> Result<[u8; 32], String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let bytes = parcelshelf_protocol::encoding::from_b64(text.trim()).and_then(|b| b.try_into().ok());
    bytes.ok_or_else(|| format!("{} does not hold 32 bytes of base64url", path.display()))
}

/// A failed commit as a problem.
pub(crate) fn store_problem(error: CommitError) -> Problem {
    match error {
        CommitError::Conflict(_) | CommitError::Replayed(_) => Problem::unavailable("busy", "too many at once here", 1),
        CommitError::Store(error) => Problem::store(&error),
        other @ CommitError::TooLarge(_) => Problem::internal(&other),
    }
}
