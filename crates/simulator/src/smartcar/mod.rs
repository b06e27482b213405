//! Smartcar's cloud as a real HTTP server: consent, tokens, vehicle API v2.0, what is known of v3, and the cars behind it.
//!
//! What it is: shapes, permissions, freshness headers, token lifetimes and errors as published, close enough that client
//! packages written by strangers work against it; behind it cars that behave physically ([`car`]) and fail on demand
//! ([`fault`]). What it is not: nothing of the product knows it; what a run is judged by is its [`record`], not the product's
//! own counters.
//!
//! The three things to know: [`WorldFile`] (who and what exists), [`serve`] or [`Running::start`], and `GET /__sim/help`.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use parcelshelf_simulator::smartcar::{Running, WorldFile};
//! let cloud = Running::start(WorldFile::demo()).await.unwrap();
//! let help = reqwest::get(format!("{}/__sim/help", cloud.base())).await.unwrap().text().await.unwrap();
//! assert!(help.contains("open_tailgate"));
//! # });
//! ```

mod api;
pub mod car;
mod control;
pub mod fault;
mod file;
mod identity;
mod oauth;
mod pages;
pub mod record;
mod staged;
mod world;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use parcelshelf_core::time::{Clock as _, Entropy, Timer, Timestamp};
use parcelshelf_edge::Host;

use tokio::net::TcpListener;

use crate::clock::AdjustableClock;
use crate::volvo::wire;

pub use file::{
    BadWorld, CarFile, ClientFile, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_OWNER, FaultFile, Latency, Limits,
    OwnerFile, StorageTold, WORLD_BYTES_MAX, WorldFile, vin_of,
};

/// Bytes of one request's body; nothing that is asked here is longer.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A simulated cloud: what every handler holds. Cheap to clone.
#[derive(Clone)]
pub struct Cloud {
    world: Arc<Mutex<world::World>>,
    clock: AdjustableClock,
    entropy: Arc<dyn Entropy>,
    origin: Arc<str>,
}
impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cloud({})", self.origin)
    }
}
impl Cloud {
    /// A world in a cloud that will answer at `origin`.
    ///
    /// # Errors
    /// [`BadWorld`] when it cannot be.
    pub fn new(
        file: WorldFile,
        clock: Arc<dyn Timer>,
        entropy: Arc<dyn Entropy>,
        origin: &str,
    ) -> Result<Self, BadWorld> {
        let clock = AdjustableClock::new(clock);
        let world = world::World::build(file, clock.now())?;
        Ok(Self { world: Arc::new(Mutex::new(world)), clock, entropy, origin: origin.into() })
    }
    /// Everything that the cloud answers, for whoever serves it over another way than [`Cloud::serve`]; each request needs
    /// [`wire::Scissors`] as its `ConnectInfo`.
    pub fn router(&self) -> Router {
        router(self.clone())
    }
    /// Serves until `until` is ready. Connections that are open then are answered to their end.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        &self,
        listener: TcpListener,
        until: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let app = self.router().into_make_service_with_connect_info::<wire::Scissors>();
        axum::serve(wire::Listener(listener), app).with_graceful_shutdown(until).await
    }
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
    /// A handler that panicked leaves the world as it was between two steps; the others go on.
    fn world(&self) -> MutexGuard<'_, world::World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a world until `until` is ready. Connections that are open then are answered to their end.
///
/// # Errors
/// [`ServeError`] when the world cannot be, or the listener fails.
pub async fn serve(
    listener: TcpListener,
    file: WorldFile,
    clock: Arc<dyn Timer>,
    entropy: Arc<dyn Entropy>,
    until: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    let cloud = Cloud::new(file, clock, entropy, &format!("http://{address}"))?;
    cloud.serve(listener, until).await?;
    Ok(())
}

/// Why a simulated cloud does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    #[error(transparent)]
    World(#[from] BadWorld),
    #[error("the listener failed")]
    Listener(#[from] std::io::Error),
}

fn router(cloud: Cloud) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/oauth/authorize", get(oauth::authorize))
        .route("/oauth/token", post(oauth::token))
        .merge(control::routes())
        // Everything else is the vendor's API, unknown paths included: its errors are JSON too.
        .fallback(any(api::handle))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(cloud)
}

async fn root(State(cloud): State<Cloud>) -> Response {
    Html(pages::root(&cloud.world(), &cloud.origin)).into_response()
}

/// A simulated cloud on a free port of the loopback interface, with the machine's clock. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    serving: tokio::task::JoinHandle<()>,
}
impl Running {
    /// # Errors
    /// [`ServeError`] when the world cannot be, or no port can be bound.
    pub async fn start(file: WorldFile) -> Result<Self, ServeError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        // Built once here so that a bad world is an error of this call.
        let host = Host::system();
        world::World::build(file.clone(), host.now())?;
        let serving = tokio::spawn(async move {
            let forever = std::future::pending();
            let _ = serve(listener, file, host.clock, host.entropy, forever).await;
        });
        Ok(Self { address, serving })
    }
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
    /// Such as `http://127.0.0.1:49152`.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }
}
impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
