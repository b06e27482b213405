//! Everybody in one thread: services, cloud and people ask each other's routers, stores are memory, randomness comes from
//! the seed, and the clock jumps when the runtime has nothing left to do. The same seed gives the same day, line by line.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::ConnectInfo;
use http::{HeaderValue, Request, header};
use parcelshelf_core::time::{Clock as _, Entropy, Timer as _, Timestamp};
use parcelshelf_edge::Host;
use parcelshelf_edge::driven::Driven;
use parcelshelf_exchange::{Answer, Client, Silence, Way};
use parcelshelf_protocol::encoding::sha256;
use parcelshelf_simulator::wire::Scissors;
use parcelshelf_store::storage::Storage;
use tokio::sync::watch;
use tower::ServiceExt as _;
use url::Url;

use super::dice::Dice;
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
/// Where the building's home server does.
pub const HOME: &str = "http://home.localhost";
/// How the front calls the keyholder.
pub const KEYHOLDER: &str = "keyholder";
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

/// Who answers at one authority.
#[derive(Clone)]
struct Server {
    router: Router,
    /// A maker's: what leaves for it has left, and arrives at once. Only its answers take their time.
    cloud: bool,
}

/// How long messages are on their way: each another time, as the seed says.
#[derive(Debug, Clone)]
pub struct Unrest {
    pub clock: Driven,
    pub dice: Dice,
    pub most_ms: u64,
}

/// Hears every answer at the moment at which it leaves whoever gives it: authority and path.
pub type Ear = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// The net of one process: authority (`host:port`) → who answers there.
#[derive(Default)]
pub struct Net {
    hosts: Mutex<HashMap<String, Server>>,
    unrest: Mutex<Option<Unrest>>,
    ear: Mutex<Option<Ear>>,
    drawn: AtomicU64,
    /// A keyholder's word that is none: this path is answered with these bytes, and the keyholder never hears of it.
    lie: Mutex<Option<(&'static str, &'static str)>>,
}
impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Net")
    }
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Net {
    fn put(&self, origin: &str, router: &Router) -> anyhow::Result<()> {
        self.put_as(origin, router, false)
    }
    fn put_as(&self, origin: &str, router: &Router, cloud: bool) -> anyhow::Result<()> {
        let url = Url::parse(origin)?;
        held(&self.hosts).insert(url.authority().to_owned(), Server { router: router.clone(), cloud });
        Ok(())
    }
    fn at(&self, authority: &str) -> Option<Server> {
        held(&self.hosts).get(authority).cloned()
    }
    /// From now on messages take their time, or none.
    pub fn unrest(&self, unrest: Option<Unrest>) {
        *held(&self.unrest) = unrest;
    }
    /// Somebody hears answers leave, or nobody.
    pub fn listen(&self, ear: Option<Ear>) {
        *held(&self.ear) = ear;
    }
    /// For tests of whoever judges: see the field.
    pub fn lie(&self, path: &'static str, answer: &'static str) {
        *held(&self.lie) = Some((path, answer));
    }

    async fn way(&self) {
        let Some(Unrest { clock, dice, most_ms }) = held(&self.unrest).clone() else { return };
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        // Half of all messages arrive at once, so that what happens at one moment is tried as well.
        let ms = dice.between("way", n, 0, 2 * most_ms).saturating_sub(most_ms);
        if ms > 0 {
            clock.sleep(Duration::from_millis(ms)).await;
        }
    }
    fn lied(&self, authority: &str, path: &str) -> Option<Answer> {
        let (_, answer) = (*held(&self.lie)).filter(|(lie, _)| authority == KEYHOLDER && *lie == path)?;
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        Some(Answer {
            status: http::StatusCode::OK,
            headers: headers.into_iter().collect(),
            body: Some(Bytes::from_static(answer.as_bytes())),
        })
    }
    fn heard(&self, authority: &str, path: &str) {
        let ear = held(&self.ear).clone();
        if let Some(ear) = ear {
            ear(authority, path);
        }
    }
}

#[async_trait::async_trait]
impl Way for Net {
    async fn carry(&self, request: Request<Bytes>, max_bytes: usize) -> Result<Answer, Silence> {
        let (mut parts, body) = request.into_parts();
        let authority = parts.uri.authority().map(ToString::to_string).ok_or(Silence::NeverSent)?;
        let Server { router, cloud } = self.at(&authority).ok_or(Silence::NeverSent)?;
        let asked = parts.uri.path().to_owned();
        if !cloud {
            self.way().await;
        }
        if let Some(answer) = self.lied(&authority, &asked) {
            self.heard(&authority, &asked);
            return Ok(answer);
        }
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
        self.heard(&authority, &asked);
        self.way().await;
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

/// Everybody, started.
#[derive(Debug)]
pub struct Inside {
    pub scene: Arc<Scene>,
    pub net: Arc<Net>,
    /// The services work as long as this lives.
    _working: watch::Sender<bool>,
}

/// Starts carrier, gateway, keyholder and the cloud in this thread.
///
/// # Errors
/// When one of them cannot start.
pub async fn start(dir: &Path, garages: &Garages, host: &Host, storage: Storage) -> anyhow::Result<Inside> {
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
        home_base: garages.home.as_ref().map(|_| String::from(HOME)),
        home_garages: garages.doors,
        home_front_doors: garages.fronts,
        no_possession_wait: true,
    };
    let layout = init::write(&args, host)?;
    let net = Arc::new(Net::default());
    let client = Client::over(Arc::<Net>::clone(&net), Arc::clone(&host.clock));
    let (working, stop) = watch::channel(false);
    net.put_as(CLOUD, &garages.volvo.router(), true)?;
    if let Some(onstar) = &garages.onstar {
        net.put_as(SECOND_CLOUD, &onstar.router(), true)?;
    }
    if let Some(tesla) = &garages.tesla {
        net.put_as(THIRD_CLOUD, &tesla.router(), true)?;
    }
    if let Some(smartcar) = &garages.smartcar {
        net.put_as(FOURTH_CLOUD, &smartcar.router(), true)?;
    }
    if let Some(home) = &garages.home {
        net.put_as(HOME, &home.router(), true)?;
    }

    let file: KeyholderFile = read(&layout.dir.join("keyholder/keyholder.toml"))?;
    let shell = parcelshelf_keyholder::Shell {
        accesses: file.accesses(host, &client)?,
        witnesses: client.clone(),
        host: host.clone(),
        log_timer: Arc::clone(&host.clock),
        storage,
        steps: None,
        pages: Vec::new(),
        accept_altered_store: false,
    };
    net.put("http://keyholder", &parcelshelf_keyholder::inside(file.keyholder, shell, &stop).await?)?;

    let shell = parcelshelf_gateway::Shell {
        wallet: None,
        stop: None,
        host: host.clone(),
        keyholder: client.clone(),
        storage,
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
        storage,
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
        home: args.home_base,
    };
    let scene = Scene::at(layout, people, clouds).context("failed to set the scene")?;
    scene.admit_carrier().await?;
    Ok(Inside { scene: Arc::new(scene), net, _working: working })
}
