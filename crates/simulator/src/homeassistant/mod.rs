//! A household's Home Assistant as a real HTTP server, as far as its garage doors and gates go: login, states, services, and
//! the doors behind it.
//!
//! What it is: the paths, words and traps of the real one (a wrong entity is 200 and an empty list, `unavailable` swallows
//! commands, changes of a call carry its context id for five seconds only, a wrong token is 401 in plain text), and doors with
//! a drive that warns, travels, yields and breaks ([`drive`]). What it is not: nothing of the product knows it, and it holds no
//! locks, cameras or automations; what a run is judged by is its record of the doors.
//!
//! The three things to know: [`WorldFile`] (which doors, which people), [`serve`], and `GET /__sim/help`.

mod api;
mod auth;
mod control;
pub mod drive;
mod world;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use parcelshelf_core::time::{Entropy, Timer, Timestamp};
use tokio::net::TcpListener;

use crate::clock::AdjustableClock;
use crate::volvo::wire;

pub use world::{BadWorld, DoorFile, PersonFile, WORLD_BYTES_MAX, WorldFile};

/// Bytes of one request's body; nothing that is asked here is longer.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A simulated server: what every handler holds. Cheap to clone.
#[derive(Clone)]
pub struct Home {
    world: Arc<Mutex<world::World>>,
    clock: AdjustableClock,
    entropy: Arc<dyn Entropy>,
    origin: Arc<str>,
}
impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Home({})", self.origin)
    }
}
impl Home {
    /// A world in a server that will answer at `origin`.
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
        let now = parcelshelf_core::time::Clock::now(&clock);
        let world = world::World::build(file, now)?;
        Ok(Self { world: Arc::new(Mutex::new(world)), clock, entropy, origin: origin.into() })
    }
    fn now(&self) -> Timestamp {
        parcelshelf_core::time::Clock::now(&self.clock)
    }
    /// The world as it is now. A handler that panicked leaves it as it was between two steps; the others go on.
    fn world(&self) -> MutexGuard<'_, world::World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.live(self.now(), &*self.entropy);
        world
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
    let home = Home::new(file, clock, entropy, &format!("http://{address}"))?;
    let app = router(home).into_make_service_with_connect_info::<wire::Scissors>();
    axum::serve(wire::Listener(listener), app).with_graceful_shutdown(until).await?;
    Ok(())
}

/// A simulated server on a free port of the loopback interface, with the machine's clock. Dropping it stops it.
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
        let host = parcelshelf_edge::Host::system();
        world::World::build(file.clone(), host.now())?;
        let serving = tokio::spawn(async move {
            let _ = serve(listener, file, host.clock, host.entropy, std::future::pending()).await;
        });
        Ok(Self { address, serving })
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

/// Why a simulated server does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    #[error(transparent)]
    World(#[from] BadWorld),
    #[error("the listener failed")]
    Listener(#[from] std::io::Error),
}

fn router(home: Home) -> Router {
    Router::new()
        .route("/auth/authorize", get(auth::authorize))
        .route("/auth/token", post(auth::token))
        .route("/auth/revoke", post(auth::revoke))
        .route("/api/", get(api::hello))
        .route("/api/config", get(api::config))
        .route("/api/template", post(api::template))
        .route("/api/states/{entity}", get(api::state))
        .route("/api/services/{domain}/{service}", post(api::service))
        .merge(control::routes())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(home)
}
