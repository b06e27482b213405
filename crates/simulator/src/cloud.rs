//! What every simulated cloud is: a world behind a lock, a clock that can be put forward, and how it is served. What it answers
//! is its maker's ([`World::routes`]).

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use parcelshelf_core::time::{Clock as _, Entropy, Timer, Timestamp};
use parcelshelf_edge::Host;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use crate::clock::AdjustableClock;
use crate::wire;

/// Bytes of one request's body; nothing that is asked of any maker is longer.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A number in [0, 1) that depends on these values only: `of` is a car or a door, `what` is asked for the `attempt`th time.
#[must_use]
pub fn drawn(seed: u64, of: &str, what: &str, attempt: u64) -> f64 {
    let hash = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(of).chain_update(what);
    let digest = hash.chain_update(attempt.to_be_bytes()).finalize();
    let head = digest.iter().take(6).fold(0_u64, |n, byte| (n << 8) | u64::from(*byte));
    // 48 bits fit a double exactly.
    head as f64 / (1_u64 << 48) as f64
}

/// What a maker's cloud knows, and what it answers.
pub trait World: Sized + Send + 'static {
    /// What it is made of.
    type File: Clone + Send + 'static;
    /// Why it cannot be.
    type Bad: std::error::Error + Send + Sync + 'static;

    /// # Errors
    /// When it cannot be.
    fn made(file: Self::File, now: Timestamp) -> Result<Self, Self::Bad>;
    fn routes() -> Router<Cloud<Self>>;
    /// What has happened until now by itself, before anybody looks. Where only what is asked about is to be brought up to date,
    /// whoever answers does it.
    fn passed(&mut self, _now: Timestamp, _entropy: &dyn Entropy) {}
}

/// A simulated cloud: what every handler holds. Cheap to clone.
pub struct Cloud<W> {
    world: Arc<Mutex<W>>,
    pub(crate) clock: AdjustableClock,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) origin: Arc<str>,
}
impl<W> Clone for Cloud<W> {
    fn clone(&self) -> Self {
        let (clock, entropy) = (self.clock.clone(), Arc::clone(&self.entropy));
        Self { world: Arc::clone(&self.world), clock, entropy, origin: Arc::clone(&self.origin) }
    }
}
impl<W> fmt::Debug for Cloud<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cloud({})", self.origin)
    }
}
impl<W: World> Cloud<W> {
    /// A world in a cloud that will answer at `origin`.
    ///
    /// # Errors
    /// When the world cannot be.
    pub fn new(file: W::File, clock: Arc<dyn Timer>, entropy: Arc<dyn Entropy>, origin: &str) -> Result<Self, W::Bad> {
        let clock = AdjustableClock::new(clock);
        let world = W::made(file, clock.now())?;
        Ok(Self { world: Arc::new(Mutex::new(world)), clock, entropy, origin: origin.into() })
    }
    /// Makes a world and serves it until `until` is ready. Connections that are open then are answered to their end.
    ///
    /// # Errors
    /// [`ServeError`] when the world cannot be, or the listener fails.
    pub async fn run(
        listener: TcpListener,
        file: W::File,
        clock: Arc<dyn Timer>,
        entropy: Arc<dyn Entropy>,
        until: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError<W::Bad>> {
        let address = listener.local_addr()?;
        let cloud = Self::new(file, clock, entropy, &format!("http://{address}")).map_err(ServeError::World)?;
        Ok(cloud.serve(listener, until).await?)
    }
    /// Everything that the cloud answers, for whoever serves it over another way than [`Cloud::serve`]; each request needs
    /// [`wire::Scissors`] as its `ConnectInfo`.
    pub fn router(&self) -> Router {
        W::routes().layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(self.clone())
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
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
    /// A handler that panicked leaves the world as it was between two steps; the others go on.
    pub(crate) fn world(&self) -> MutexGuard<'_, W> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.passed(self.now(), &*self.entropy);
        world
    }
}

/// Why a simulated cloud does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError<B: std::error::Error + 'static> {
    #[error(transparent)]
    World(B),
    #[error("the listener failed")]
    Listener(#[from] std::io::Error),
}

/// A simulated cloud on a free port of the loopback interface, with the machine's clock. Dropping it stops it.
#[derive(Debug)]
pub struct Running<W> {
    cloud: Cloud<W>,
    address: SocketAddr,
    serving: tokio::task::JoinHandle<()>,
}
impl<W: World> Running<W> {
    /// # Errors
    /// [`ServeError`] when the world cannot be, or no port can be bound.
    pub async fn start(file: W::File) -> Result<Self, ServeError<W::Bad>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let host = Host::system();
        let cloud = Cloud::<W>::new(file, host.clock, host.entropy, &format!("http://{address}"));
        let cloud = cloud.map_err(ServeError::World)?;
        let serving = tokio::spawn({
            let cloud = cloud.clone();
            async move {
                let _ = cloud.serve(listener, std::future::pending()).await;
            }
        });
        Ok(Self { cloud, address, serving })
    }
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
    /// Such as `http://127.0.0.1:49152`.
    #[must_use]
    pub fn base(&self) -> String {
        self.cloud.origin.to_string()
    }
}
impl<W> Drop for Running<W> {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
