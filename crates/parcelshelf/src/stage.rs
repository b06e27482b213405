//! All parties running on this machine, each a process of its own with a folder of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, bail};
use parcelshelf_access_homeassistant::{DOORS, GARAGES};
use parcelshelf_access_onstar::MAKER as ONSTAR;
use parcelshelf_access_smartcar::MAKER as SMARTCAR;
use parcelshelf_access_tesla::MAKER as TESLA;
use parcelshelf_client::depot::Depot;
use parcelshelf_client::shipping::Shipping;
use parcelshelf_client::{Host, Http};
use parcelshelf_edge::Host as System;
use parcelshelf_protocol::cert::{Cert, Role};
use parcelshelf_protocol::jws::{Moment, Sign as _, VerifyingKey};
use parcelshelf_simulator::sabotage::{Proxy, Tampering};
use parcelshelf_simulator::volvo::WorldFile;
use parcelshelf_simulator::wiretap::Wiretap;
use parcelshelf_simulator::{homeassistant, onstar, smartcar, tesla};
use serde_json::Value;

use crate::cli::Init;
use crate::init::{self, Layout, client_host, signing_key};
use crate::process::Service;
use crate::simulate::conductor::Conductor;

/// How a stage differs from an ordinary one.
#[derive(Debug, Default, Clone, Copy)]
pub struct Setting {
    /// Every byte on the sockets into carrier and front, and from the front to the keyholder, is recorded.
    pub tapped: bool,
    pub tampering: Option<Tampering>,
    /// Own crates log at this level.
    pub log_level: Option<&'static str>,
    /// The services print every durable step.
    pub traced: bool,
    /// Owners wait as long as they must; else not at all.
    pub waits: bool,
    /// Garages in a row at the home server, where one takes part; 0 is one.
    pub garages: usize,
    /// Front doors at the home server.
    pub front_doors: usize,
}

/// Where the simulated makers' clouds answer.
#[derive(Debug, Clone)]
pub struct Clouds {
    pub volvo: String,
    /// The second maker's, if its cars take part.
    pub onstar: Option<String>,
    /// The third maker's, if its cars take part.
    pub tesla: Option<String>,
    /// The aggregator's, if its cars take part.
    pub smartcar: Option<String>,
    /// A household's own server, if its garage takes part.
    pub home: Option<String>,
}
impl Clouds {
    fn all(&self) -> impl Iterator<Item = &String> {
        let others = [&self.onstar, &self.tesla, &self.smartcar, &self.home];
        std::iter::once(&self.volvo).chain(others.into_iter().flatten())
    }
    fn of(&self, maker: &str) -> Option<&str> {
        match maker {
            ONSTAR => self.onstar.as_deref(),
            TESLA => self.tesla.as_deref(),
            SMARTCAR => self.smartcar.as_deref(),
            GARAGES | DOORS => self.home.as_deref(),
            _ => Some(&self.volvo),
        }
    }
}

/// The simulated cars of a stage.
#[derive(Debug, Clone)]
pub struct Worlds {
    pub volvo: WorldFile,
    pub onstar: Option<onstar::WorldFile>,
    pub tesla: Option<tesla::WorldFile>,
    pub smartcar: Option<smartcar::WorldFile>,
    pub home: Option<homeassistant::WorldFile>,
}
impl Worlds {
    /// One household, and no car.
    #[must_use]
    pub fn of_house(home: homeassistant::WorldFile) -> Self {
        let volvo = WorldFile { cars: Vec::new(), ..WorldFile::demo() };
        Self { volvo, onstar: None, tesla: None, smartcar: None, home: Some(home) }
    }
}

/// What people on the stage know: addresses, keys that are theirs, the operator's public key.
#[derive(Debug)]
pub struct Scene {
    pub layout: Layout,
    pub host: Host,
    /// The simulated clouds themselves, also where a proxy stands before one.
    pub clouds: Clouds,
    pub operator: VerifyingKey,
    pub depot: Depot,
}

/// Everything running.
#[derive(Debug)]
pub struct Stage {
    pub scene: Arc<Scene>,
    /// The makers' clouds, where they are processes of their own.
    pub sims: Vec<Service>,
    pub keyholder: Service,
    pub gateway: Service,
    pub carrier: Service,
    taps: Vec<Wiretap>,
    _proxies: Vec<Proxy>,
}

/// Whose time it is on a stage.
#[derive(Debug, Clone)]
pub struct Clockwork {
    pub host: System,
    /// Whoever moves the children's clocks; `None`: the machine's clock.
    pub conductor: Option<Arc<Conductor>>,
}

/// Slots of the services on a conductor's board.
const SLOTS: [(&str, u16); 3] = [("carrier", 1), ("gateway", 2), ("keyholder", 3)];

impl Stage {
    /// Writes keys and configurations below `dir` and starts every party.
    ///
    /// # Errors
    /// When a party does not become ready; its log's end is in the error.
    pub async fn start(dir: &Path, world: &WorldFile, setting: Setting) -> anyhow::Result<Self> {
        Self::start_with(
            dir,
            &Worlds { volvo: world.clone(), onstar: None, tesla: None, smartcar: None, home: None },
            setting,
        )
        .await
    }

    /// As [`Stage::start`], with cars of other makers too.
    ///
    /// # Errors
    /// When a party does not become ready; its log's end is in the error.
    pub async fn start_with(dir: &Path, worlds: &Worlds, setting: Setting) -> anyhow::Result<Self> {
        fs::create_dir_all(dir.join("log"))?;
        let (sim, volvo) = cloud(dir, "volvo", &serde_json::to_vec(&worlds.volvo)?).await?;
        let mut sims = vec![sim];
        let mut clouds = Clouds { volvo, onstar: None, tesla: None, smartcar: None, home: None };
        if let Some(world) = &worlds.onstar {
            let (sim, base) = cloud(dir, "onstar", &serde_json::to_vec(world)?).await?;
            sims.push(sim);
            clouds.onstar = Some(base);
        }
        if let Some(world) = &worlds.tesla {
            let (sim, base) = cloud(dir, "tesla", &serde_json::to_vec(world)?).await?;
            sims.push(sim);
            clouds.tesla = Some(base);
        }
        if let Some(world) = &worlds.smartcar {
            let (sim, base) = cloud(dir, "smartcar", &serde_json::to_vec(world)?).await?;
            sims.push(sim);
            clouds.smartcar = Some(base);
        }
        if let Some(world) = &worlds.home {
            let (sim, base) = cloud(dir, "home", &serde_json::to_vec(world)?).await?;
            sims.push(sim);
            clouds.home = Some(base);
        }
        let clockwork = Clockwork { host: System::system(), conductor: None };
        let mut stage = Self::start_parties(dir, clouds, setting, clockwork).await?;
        stage.sims = sims;
        Ok(stage)
    }

    /// Starts everybody but the makers' clouds.
    ///
    /// # Errors
    /// When a party does not become ready; its log's end is in the error.
    pub async fn start_parties(
        dir: &Path,
        clouds: Clouds,
        setting: Setting,
        clockwork: Clockwork,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(dir.join("log"))?;
        let log = |name: &str| dir.join(format!("log/{name}.log"));
        // Before the first maker's cloud, and before a household's server.
        let mut proxies = Vec::new();
        let (mut maker_base, mut home_base) = (clouds.volvo.clone(), clouds.home.clone());
        if let Some(tampering) = setting.tampering {
            for base in std::iter::once(&mut maker_base).chain(&mut home_base) {
                let proxy = Proxy::start(base.clone(), tampering).await?;
                *base = proxy.base();
                proxies.push(proxy);
            }
        }
        let port = free_ports()?;
        let args = Init {
            dir: dir.join("parties"),
            host: String::from("localhost"),
            port,
            carrier_name: String::from("Northwind Parcels"),
            maker_base,
            onstar_base: clouds.onstar.clone(),
            onstar_country: String::from("US"),
            tesla_base: clouds.tesla.clone(),
            tesla_country: String::from("SE"),
            smartcar_base: clouds.smartcar.clone(),
            smartcar_country: String::from("SE"),
            home_base,
            home_garages: setting.garages.max(1),
            home_front_doors: setting.front_doors,
            no_possession_wait: !setting.waits,
        };
        let layout = init::write(&args, &clockwork.host)?;
        let taps = if setting.tapped { tap(&layout, port, &args.maker_base).await? } else { Vec::new() };
        if let Some(level) = setting.log_level {
            for file in ["keyholder/keyholder.toml", "gateway/gateway.toml", "carrier/carrier.toml"] {
                edit(&layout.dir.join(file), "log_level = \"info\"", &format!("log_level = \"{level}\""))?;
            }
        }
        let host = client_host(&clockwork.host)?;
        let service = |name: &str| {
            let mut all = vec![name.to_owned(), "-c".to_owned(), path(&layout.dir.join(format!("{name}/{name}.toml")))];
            if setting.traced {
                all.push("--trace-steps".to_owned());
            }
            all
        };
        let start = async |name: &'static str| {
            let slot = SLOTS.iter().find(|(n, _)| *n == name).map_or(0, |(_, slot)| *slot);
            let conductor = clockwork.conductor.clone().map(|c| (c, slot));
            Service::start_driven(name, service(name), &log(name), conductor).await
        };
        let keyholder = start("keyholder").await?;
        let gateway = start("gateway").await?;
        let carrier = start("carrier").await?;
        let scene = Arc::new(Scene::at(layout, host, clouds)?);
        scene.admit_carrier().await?;
        Ok(Self { scene, sims: Vec::new(), keyholder, gateway, carrier, taps, _proxies: proxies })
    }

    /// Everything that crossed the sockets of carrier and front, and of the keyholder to the maker's cloud.
    #[must_use]
    pub fn recorded(&self) -> Vec<(&'static str, Vec<u8>)> {
        TAPPED.into_iter().zip(&self.taps).map(|(name, tap)| (name, tap.recorded())).collect()
    }

    /// Stops every party, the last hop last but one: it finishes open trunks.
    ///
    /// # Errors
    /// When one had to be killed.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.carrier.stop().await?;
        self.gateway.stop().await?;
        self.keyholder.stop().await?;
        for sim in &mut self.sims {
            sim.stop().await?;
        }
        Ok(())
    }
}

impl Scene {
    /// What people know when the parties of this layout run.
    ///
    /// # Errors
    /// When a key or certificate of the layout cannot be read.
    pub fn at(layout: Layout, host: Host, clouds: Clouds) -> anyhow::Result<Self> {
        let operator = signing_key(&layout.dir.join("operator/operator.key"))?.verifying_key().clone();
        let depot = depot(&layout, &host)?;
        Ok(Self { layout, host, clouds, operator, depot })
    }

    /// The operator has signed the carrier's certificate; the gateway learns of it.
    ///
    /// # Errors
    /// When it does not take it.
    pub async fn admit_carrier(&self) -> anyhow::Result<()> {
        let cert = fs::read_to_string(self.layout.dir.join("carrier/carrier.cert"))?;
        let gateway = self.gateway_http();
        gateway.post("/v1/carriers", &[], &serde_json::json!({ "cert": cert.trim() })).await?;
        Ok(())
    }

    /// A merchant's hand at the carrier.
    #[must_use]
    pub fn merchant(&self) -> Shipping {
        Shipping::new(&self.layout.carrier_origin, &self.layout.merchant_key, &self.host)
    }
    /// Dispatch's hand at the carrier.
    #[must_use]
    pub fn dispatch(&self) -> Shipping {
        Shipping::new(&self.layout.carrier_origin, &self.layout.dispatch_key, &self.host)
    }
    /// A courier's hand at the carrier.
    #[must_use]
    pub fn courier(&self, token: &str) -> Shipping {
        Shipping::new(&self.layout.carrier_origin, token, &self.host)
    }
    /// The gateway as depots and carriers see it.
    #[must_use]
    pub fn gateway_http(&self) -> Http {
        Http::new(&self.layout.gateway_origin, &self.host.client)
    }
    /// The carrier as its own people and machines see it.
    #[must_use]
    pub fn carrier_http(&self) -> Http {
        Http::new(&self.layout.carrier_origin, &self.host.client)
    }
    /// Every delivery of the carrier, as dispatch sees it; the first five hundred.
    ///
    /// # Errors
    /// When the carrier does not answer.
    pub async fn deliveries(&self) -> anyhow::Result<Vec<Value>> {
        let bearer = format!("Bearer {}", self.layout.dispatch_key);
        let page = self.carrier_http().get("/v1/deliveries?limit=500", &[("authorization", &bearer)]).await?;
        Ok(page["deliveries"].as_array().cloned().unwrap_or_default())
    }
    /// The first simulated maker's control paths.
    #[must_use]
    pub fn sim(&self) -> Http {
        Http::new(&self.clouds.volvo, &self.host.client)
    }
    /// A simulated maker's control paths.
    ///
    /// # Errors
    /// When that maker does not take part.
    pub fn sim_of(&self, maker: &str) -> anyhow::Result<Http> {
        let base = self.clouds.of(maker).context("that maker does not take part")?;
        Ok(Http::new(base, &self.host.client))
    }

    /// What the simulator itself has seen of one car.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn seen_of(&self, vin: &str) -> anyhow::Result<Value> {
        for base in self.clouds.all() {
            let summary = Http::new(base, &self.host.client).get("/__sim/summary", &[]).await?;
            let cars = summary["cars"].as_array().cloned().unwrap_or_default();
            if let Some(car) = cars.into_iter().find(|c| c["vin"] == vin) {
                return Ok(car);
            }
        }
        bail!("no simulator knows this car")
    }
}

/// One maker's cloud as a process of its own, and where it answers.
async fn cloud(dir: &Path, maker: &str, world: &[u8]) -> anyhow::Result<(Service, String)> {
    let world_file = dir.join(format!("world-{maker}.json"));
    fs::write(&world_file, world)?;
    let sim = ["sim", maker, "--listen", "127.0.0.1:0", "--world"].map(str::to_owned);
    let arguments = sim.into_iter().chain([path(&world_file)]).collect();
    let mut sim = Service::start("sim", arguments, &dir.join(format!("log/sim-{maker}.log"))).await?;
    let line = sim.wait_for("\"ready\":\"sim\"", std::time::Duration::from_secs(1)).await?;
    let base = address(&line)?;
    Ok((sim, base))
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn address(ready: &str) -> anyhow::Result<String> {
    let line: Value = serde_json::from_str(ready)?;
    line["address"].as_str().map(str::to_owned).context("the ready line has no address")
}

/// Two free ports side by side, below those from which the system gives outgoing connections theirs (32768 on Linux): a
/// service that is killed finds its port free when it comes back.
///
/// # Errors
/// When none are found.
pub fn free_ports() -> anyhow::Result<u16> {
    const FIRST: u16 = 15_000;
    const PAIRS: u32 = 8_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that start at the same time begin far from each other.
    let begin = std::process::id().wrapping_mul(2_654_435_761);
    for _ in 0..256 {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let pair = u16::try_from(begin.wrapping_add(n) % PAIRS).unwrap_or(0);
        let port = FIRST + 2 * pair;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no two free ports side by side were found")
}

fn depot(layout: &Layout, host: &Host) -> anyhow::Result<Depot> {
    let key = signing_key(&layout.dir.join("depot/depot.key"))?;
    let root = signing_key(&layout.dir.join("carrier-root/root.key"))?;
    let jws = fs::read_to_string(layout.dir.join("depot/depot.cert"))?;
    let now = Moment::Posted(host.now());
    let cert = Cert::verify(jws.trim(), root.verifying_key(), Role::Depot, &layout.gateway_origin, now)?;
    Ok(Depot { key, cert })
}

fn edit(file: &Path, from: &str, to: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(file)?;
    anyhow::ensure!(text.contains(from), "{} does not say {from}", file.display());
    fs::write(file, text.replace(from, to))?;
    Ok(())
}

/// What is recorded on a stage with taps; the last one is for finding out what must not be in the others.
const TAPPED: [&str; 4] = [
    "socket into the carrier",
    "socket into the front",
    "socket from the front to the keyholder",
    "socket to the maker",
];

/// Moves everybody behind recording proxies: clients keep their addresses.
async fn tap(layout: &Layout, port: u16, maker: &str) -> anyhow::Result<Vec<Wiretap>> {
    let hidden = free_ports()?;
    let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let listen = |port: u16| format!("listen = \"127.0.0.1:{port}\"");
    edit(&layout.dir.join("carrier/carrier.toml"), &listen(port + 1), &listen(hidden + 1))?;
    let gateway_toml = layout.dir.join("gateway/gateway.toml");
    edit(&gateway_toml, &listen(port), &listen(hidden))?;
    let (carrier, _) = Wiretap::tcp(local(port + 1), local(hidden + 1)).await?;
    let (gateway, _) = Wiretap::tcp(local(port), local(hidden)).await?;
    let socket = layout.dir.join("keyholder/keyholder.sock");
    let tapped = layout.dir.join("keyholder/tapped.sock");
    edit(&gateway_toml, &path(&socket), &path(&tapped))?;
    let keyholder = Wiretap::unix(&tapped, &socket).await?;
    let there: SocketAddr = maker.trim_start_matches("http://").parse()?;
    let (cloud, address) = Wiretap::tcp(local(0), there).await?;
    edit(&layout.dir.join("keyholder/keyholder.toml"), maker, &format!("http://{address}"))?;
    Ok(vec![carrier, gateway, keyholder, cloud])
}

/// Where a stage keeps what the carrier and the front stored and logged.
#[must_use]
pub fn stored_by_carrier_and_front(layout: &Layout) -> Vec<PathBuf> {
    let top = layout.dir.parent().map(Path::to_path_buf).unwrap_or_default();
    vec![
        layout.dir.join("carrier"),
        layout.dir.join("gateway"),
        top.join("log/carrier.log"),
        top.join("log/gateway.log"),
    ]
}
