//! Everybody in one thread: services, cloud and people ask each other's routers, stores are memory, randomness comes from
//! the seed, and the clock jumps when the runtime has nothing left to do. The same seed gives the same day, line by line.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::ConnectInfo;
use http::{HeaderValue, Request, header};
use parcelshelf_core::time::{Clock as _, Entropy, Timestamp};
use parcelshelf_edge::Host;
use parcelshelf_edge::driven::Driven;
use parcelshelf_exchange::{Answer, Client, Silence, Way};
use parcelshelf_protocol::encoding::sha256;
use parcelshelf_simulator::volvo::wire::Scissors;
use parcelshelf_store::storage::Storage;
use tokio::sync::watch;
use tower::ServiceExt as _;
use url::Url;

use super::garages::Garages;
use crate::cli::Init;
use crate::init;
use crate::services::{KeyholderFile, read};
use crate::stage::{Clouds, Scene};

/// Where the cloud answers; only inside.
pub const CLOUD: &str = "http://cloud.localhost";
/// Where the second maker's cloud answers.
pub const SECOND_CLOUD: &str = "http://second-cloud.localhost";
/// Where the third one does.
pub const THIRD_CLOUD: &str = "http://third-cloud.localhost";
/// Where the aggregator does.
pub const FOURTH_CLOUD: &str = "http://fourth-cloud.localhost";
/// The gateway's port in names; nothing listens there.
const PORT: u16 = 8470;

/// Bytes from a seed: SHA-256 over seed and a counter.
#[derive(Debug)]
pub struct Seeded {
    seed: u64,
    drawn: AtomicU64,
}
impl Seeded {
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }
}
impl Entropy for Seeded {
    fn fill(&self, into: &mut [u8]) {
        for chunk in into.chunks_mut(32) {
            let n = self.drawn.fetch_add(1, Ordering::Relaxed);
            let bytes = sha256(format!("{}/{n}", self.seed));
            chunk.copy_from_slice(&bytes.as_bytes()[..chunk.len()]);
        }
    }
}

/// Moves an own clock whenever the runtime has nothing left to do.
#[derive(Debug)]
pub struct Stepper {
    clock: Driven,
    grid_ms: i64,
    steps: AtomicU64,
}
impl Stepper {
    #[must_use]
    pub const fn new(clock: Driven, grid_ms: i64) -> Self {
        Self { clock, grid_ms, steps: AtomicU64::new(0) }
    }
    /// The clock that it moves.
    #[must_use]
    pub fn clock(&self) -> Driven {
        self.clock.clone()
    }
    /// Jumps to the next moment for which somebody waits.
    pub fn step(&self) {
        let Some(next) = self.clock.next() else { return };
        let ms = next.max(self.clock.now()).unix_millis();
        let to = ms + (self.grid_ms - ms.rem_euclid(self.grid_ms)) % self.grid_ms;
        self.clock.set(Timestamp::from_unix_millis(to));
        self.clock.wake();
        self.steps.fetch_add(1, Ordering::Relaxed);
    }
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }
}

/// The net of one process: authority (`host:port`) → who answers there.
#[derive(Default)]
pub struct Net(Mutex<HashMap<String, Router>>);
impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Net")
    }
}
impl Net {
    fn put(&self, origin: &str, router: &Router) -> anyhow::Result<()> {
        let url = Url::parse(origin)?;
        let authority = url.authority().to_owned();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(authority, router.clone());
        Ok(())
    }
    fn at(&self, authority: &str) -> Option<Router> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(authority).cloned()
    }
}

#[async_trait::async_trait]
impl Way for Net {
    async fn carry(&self, request: Request<Bytes>, max_bytes: usize) -> Result<Answer, Silence> {
        let (mut parts, body) = request.into_parts();
        let authority = parts.uri.authority().map(ToString::to_string).ok_or(Silence::NeverSent)?;
        let router = self.at(&authority).ok_or(Silence::NeverSent)?;
        let host = HeaderValue::from_str(&authority).map_err(|_| Silence::NeverSent)?;
        parts.headers.entry(header::HOST).or_insert(host);
        let path = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        parts.uri = path.parse().map_err(|_| Silence::NeverSent)?;
        let scissors = Scissors::default();
        parts.extensions.insert(ConnectInfo(scissors.clone()));
        let response = router.oneshot(Request::from_parts(parts, Body::from(body))).await.map_err(|_| Silence::Lost)?;
        if scissors.has_cut() {
            return Err(Silence::Lost);
        }
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, max_bytes).await.ok();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

/// Everybody, started.
#[derive(Debug)]
pub struct Inside {
    pub scene: Arc<Scene>,
    /// The services work as long as this lives.
    _working: watch::Sender<bool>,
}

/// Starts carrier, gateway, keyholder and the cloud in this thread.
///
/// # Errors
/// When one of them cannot start.
pub async fn start(dir: &Path, garages: &Garages, host: &Host) -> anyhow::Result<Inside> {
    let args = Init {
        dir: dir.join("parties"),
        host: String::from("localhost"),
        port: PORT,
        carrier_name: String::from("Northwind Parcels"),
        maker_base: String::from(CLOUD),
        onstar_base: garages.onstar.as_ref().map(|_| String::from(SECOND_CLOUD)),
        onstar_country: String::from("US"),
        tesla_base: garages.tesla.as_ref().map(|_| String::from(THIRD_CLOUD)),
        tesla_country: String::from("SE"),
        smartcar_base: garages.smartcar.as_ref().map(|_| String::from(FOURTH_CLOUD)),
        smartcar_country: String::from("SE"),
        no_possession_wait: true,
    };
    let layout = init::write(&args, host)?;
    let net = Arc::new(Net::default());
    let client = Client::over(Arc::<Net>::clone(&net), Arc::clone(&host.clock));
    let (working, stop) = watch::channel(false);
    net.put(CLOUD, &garages.volvo.router())?;
    if let Some(onstar) = &garages.onstar {
        net.put(SECOND_CLOUD, &onstar.router())?;
    }
    if let Some(tesla) = &garages.tesla {
        net.put(THIRD_CLOUD, &tesla.router())?;
    }
    if let Some(smartcar) = &garages.smartcar {
        net.put(FOURTH_CLOUD, &smartcar.router())?;
    }

    let file: KeyholderFile = read(&layout.dir.join("keyholder/keyholder.toml"))?;
    let shell = parcelshelf_keyholder::Shell {
        accesses: file.accesses(host, &client)?,
        witnesses: client.clone(),
        host: host.clone(),
        log_timer: Arc::clone(&host.clock),
        storage: Storage::Memory,
        steps: None,
        accept_altered_store: false,
    };
    net.put("http://keyholder", &parcelshelf_keyholder::inside(file.keyholder, shell, &stop).await?)?;

    let shell = parcelshelf_gateway::Shell {
        wallet: None,
        stop: None,
        host: host.clone(),
        keyholder: client.clone(),
        storage: Storage::Memory,
        steps: None,
        relayed: parcelshelf_keyholder::openapi(),
    };
    let gateway = parcelshelf_gateway::inside(read(&layout.dir.join("gateway/gateway.toml"))?, shell)?;
    for origin in [&layout.gateway_origin, &layout.wallet_origin, &layout.stop_origin] {
        net.put(origin, &gateway)?;
    }

    let shell = parcelshelf_carrier::Shell {
        courier: None,
        ops: None,
        host: host.clone(),
        gateway: client.clone(),
        storage: Storage::Memory,
        steps: None,
    };
    let carrier = parcelshelf_carrier::inside(read(&layout.dir.join("carrier/carrier.toml"))?, &shell, &stop)?;
    net.put(&layout.carrier_origin, &carrier)?;

    let people =
        parcelshelf_client::Host { clock: Arc::clone(&host.clock), entropy: Arc::clone(&host.entropy), client };
    let clouds = Clouds {
        volvo: String::from(CLOUD),
        onstar: args.onstar_base,
        tesla: args.tesla_base,
        smartcar: args.smartcar_base,
    };
    let scene = Scene::at(layout, people, clouds).context("failed to set the scene")?;
    scene.admit_carrier().await?;
    Ok(Inside { scene: Arc::new(scene), _working: working })
}
