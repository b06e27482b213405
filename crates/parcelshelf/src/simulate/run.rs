//! A day from the first sign-up to the report.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use parcelshelf_access_homeassistant::{DOORS, GARAGES};
use parcelshelf_access_onstar::MAKER as ONSTAR;
use parcelshelf_access_smartcar::MAKER as SMARTCAR;
use parcelshelf_access_tesla::{COMMAND_MICRO_USD, MAKER as TESLA, WAKE_MICRO_USD};
use parcelshelf_access_volvo::MAKER as VOLVO;
use parcelshelf_client::Failure;
use parcelshelf_core::area::Cell;
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::Host;
use parcelshelf_edge::clock::{Stopwatch, SystemEntropy};
use parcelshelf_edge::driven::Driven;
use parcelshelf_exchange::{self as exchange, Client};
use parcelshelf_protocol::bundle::Anchors;
use parcelshelf_simulator::garage::Seen;
use parcelshelf_simulator::sabotage::Tampering;
use parcelshelf_simulator::volvo::{self, CarFile, Latency, WorldFile};
use parcelshelf_simulator::{homeassistant, onstar, smartcar, tesla};
use parcelshelf_store::storage::Storage;
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::{LocalSet, spawn_local};

use super::city::{City, Home, Homes};
use super::conductor::Conductor;
use super::cost::{self, Counted};
use super::courier;
use super::day::{Car, Day, Plan, SICK_S};
use super::dice::Dice;
use super::fate::{Fate, OwnerFate};
use super::floor;
use super::garages::Garages;
use super::inside::{self, Seeded, Stepper};
use super::kills::Kills;
use super::leaks::{self, Leaks};
use super::operators;
use super::owner;
use super::plots;
use super::report::{Costs, NAMES, OfMaker, Results};
use super::verdict::{self, Case, Finding};
use crate::cli::{Faults, Sabotage, Simulate};
use crate::people::{Courier, persist};
use crate::stage::{Clockwork, Clouds, Scene, Setting, Stage, Worlds};
use crate::stops::Stops;

/// Tuesday, 24 November 2026, 04:00 in Austin: owners sign up.
pub(crate) const SIGN_UP: Timestamp = Timestamp::from_unix_seconds(1_795_514_400);
/// Vans leave so long after that: 08:00.
const DAY_AFTER_S: i64 = 4 * 3_600;
/// The second maker's cars are asked for a fresh place for at most this long; nobody is shown what comes after a block.
const FRESH_PLACE_MS: i64 = 40_000;
/// Simulated moments fall on whole steps of this.
pub(crate) const GRID_MS: i64 = 250;
/// What the maker's cloud usually takes.
const LATENCY: Latency = Latency { read_ms: 300, command_ms: 3_000 };
/// What the second maker's cloud takes; its cars take their own time after that.
const SECOND_LATENCY: onstar::Latency = onstar::Latency { read_ms: 300, command_ms: 600 };
/// Every record is covered by a checkpoint after this much real time.
const CHECKPOINT_AFTER: Duration = Duration::from_millis(2_500);
/// A service shows its counters within this.
const METRICS_WITHIN: Duration = Duration::from_secs(30);
const METRICS_BYTES_MAX: usize = 1 << 20;
/// So many people do the same thing at once.
const AT_ONCE: usize = 48;
/// After the last van is back everything at the cars must come to its end within this.
const EVENING_S: i64 = 6 * 3_600;
/// First serial number of the simulated cars.
const SERIAL: u32 = 100_001;
const MODEL_YEAR: u16 = 2022;

/// # Errors
/// When the day cannot be played, or the judge finds a violation.
pub async fn run(args: Simulate) -> anyhow::Result<()> {
    if !args.single_threaded {
        return LocalSet::new().run_until(run_here(args, None)).await;
    }
    ensure!(args.kills == 0, "inside one process nobody can be killed; leave --single-threaded or --kills away");
    // A runtime of its own, whose every pause moves the clock.
    let alone = move || {
        let stepper = Arc::new(Stepper::new(Driven::starting_at(SIGN_UP), GRID_MS));
        let (hook, clock) = (Arc::clone(&stepper), stepper.clock());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(move || hook.step()).build()?;
        LocalSet::new().block_on(&runtime, run_here(args, Some((clock, stepper))))
    };
    tokio::task::spawn_blocking(move || std::thread::spawn(alone).join())
        .await?
        .map_err(|_| anyhow::anyhow!("the day has panicked"))?
}

async fn run_here(args: Simulate, alone: Option<(Driven, Arc<Stepper>)>) -> anyhow::Result<()> {
    ensure!(args.deliveries > 0 && args.couriers > 0, "a day has at least one delivery and one courier");
    ensure!(args.deliveries.div_ceil(args.couriers) <= 150, "a courier serves at most 150 stops; name more couriers");
    let dir = Folder::make(args.out.as_deref(), "simulate")?;
    let (results, areas) = play(&args, dir.path(), alone).await?;
    println!("{}", results.table());
    if let Some(path) = &args.report {
        fs::write(path, serde_json::to_string_pretty(&results.to_json())? + "\n")
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    if let Some(path) = &args.page {
        fs::write(path, plots::page(&results, &areas))
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    let leaks = &results.leaks.found;
    ensure!(leaks.is_empty(), "what no log may hold stands in one: {leaks:?}");
    let violations = results.violations();
    ensure!(violations.sum() == 0, "the judge is not satisfied: {}", violations.to_json());
    Ok(())
}

/// The folder of a run; removed afterwards unless it was asked for.
pub(crate) struct Folder {
    path: PathBuf,
    kept: bool,
}
impl Folder {
    pub fn make(asked: Option<&Path>, of: &str) -> anyhow::Result<Self> {
        let path = match asked {
            Some(path) => path.to_owned(),
            None => std::env::temp_dir().join(format!("parcelshelf-{of}-{}", std::process::id())),
        };
        if fs::read_dir(&path).is_ok_and(|mut d| d.next().is_some()) {
            bail!("{} is not empty; choose another folder with --out", path.display());
        }
        fs::create_dir_all(&path)?;
        Ok(Self { path, kept: asked.is_some() })
    }
    pub fn path(&self) -> &Path {
        &self.path
    }
}
impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

pub(crate) fn bar(what: &'static str, length: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length as u64).with_message(what);
    let style = ProgressStyle::with_template("{msg:<22} {wide_bar} {pos}/{len} {elapsed} eta {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// What a home server takes; its drives take their own time after that.
const HOME_LATENCY: homeassistant::Latency = homeassistant::Latency { read_ms: 100, command_ms: 400 };

/// Whose cars there are unless somebody chooses.
pub(crate) const MAKERS: [&str; 4] = [VOLVO, ONSTAR, TESLA, SMARTCAR];
/// What Tesla's cloud takes; a car that sleeps takes its own time to wake.
const THIRD_LATENCY: tesla::Latency = tesla::Latency { read_ms: 400, command_ms: 2_000 };
/// What the aggregator's takes: it asks the maker's cloud behind it.
const FOURTH_LATENCY: smartcar::Latency = smartcar::Latency { read_ms: 900, command_ms: 4_000 };

/// The makers of this day, in the order in which their cars take turns.
fn makers_of(args: &Simulate) -> Vec<&'static str> {
    let chosen = |maker: &&'static str| args.makers.is_empty() || args.makers.iter().any(|m| m == maker);
    MAKERS.into_iter().filter(chosen).collect()
}
/// The makes behind the second maker's cloud take turns.
const MAKES: [onstar::Make; 4] =
    [onstar::Make::Chevrolet, onstar::Make::Buick, onstar::Make::Gmc, onstar::Make::Cadillac];
const fn make_of(n: usize) -> onstar::Make {
    MAKES[n / MAKERS.len() % MAKES.len()]
}
/// Every other of Tesla's cars takes signed commands only.
const fn is_signed(n: usize) -> bool {
    n / MAKERS.len() % 2 == 1
}
const fn model_of(n: usize) -> &'static str {
    if is_signed(n) { "Y" } else { "3" }
}

pub(crate) fn plan(args: &Simulate) -> anyhow::Result<Plan> {
    let file = Stops::read(&args.stops)?;
    let depot = file.depot_or_first().context("there are no stops")?;
    let dice = Dice::new(args.seed);
    let day_starts = SIGN_UP.plus_seconds(DAY_AFTER_S);
    let homes = Homes::spread(args.deliveries, args.homes, args.front_doors);
    let mut city = City::plan(&file.stops, depot, args.deliveries, args.couriers, args.seed, day_starts, &homes);
    if args.rush {
        city.rush();
    }
    let makers = makers_of(args);
    let maker_of = |n: usize| match homes.of(n) {
        Some(Home::Garage(_)) => GARAGES,
        Some(Home::Front(_)) => DOORS,
        None => makers[n % makers.len()],
    };
    let fates = (0..args.deliveries).map(|n| Fate::draw(args.faults, dice, n as u64, maker_of(n))).collect();
    let cars = (0..args.deliveries).map(|n| {
        let serial = SERIAL + u32::try_from(n)?;
        let (maker, login, home) = (maker_of(n), format!("owner-{n}@example.org"), homes.of(n));
        match home {
            Some(Home::Garage(k)) => {
                return Ok(Car { maker, login, vin: homeassistant::DoorFile::in_row(k).number, home });
            }
            Some(Home::Front(k)) => {
                return Ok(Car { maker, login, vin: homeassistant::FrontFile::in_row(k).number, home });
            }
            None => {}
        }
        let vin = match maker {
            ONSTAR => onstar::vin_of(make_of(n), MODEL_YEAR, serial)?,
            TESLA => tesla::vin_of(model_of(n), MODEL_YEAR, serial)?,
            SMARTCAR => smartcar::vin_of(MODEL_YEAR, serial)?,
            _ => volvo::vin_of(MODEL_YEAR, serial).map_err(|e| anyhow::anyhow!("{e:?}"))?,
        };
        Ok(Car { maker, login, vin: vin.expose().to_owned(), home })
    });
    let cars = cars.collect::<anyhow::Result<Vec<_>>>()?;
    let silent_couriers = args.sabotage == Some(Sabotage::SilentCouriers);
    Ok(Plan {
        city,
        fates,
        cars,
        dice,
        only: args.only,
        traced: args.trace.is_some(),
        silent_couriers,
        sick: args.sick,
    })
}

pub(crate) fn worlds(plan: &Plan, seed: u64) -> Worlds {
    let of = |maker: &'static str| {
        plan.cars.iter().enumerate().zip(&plan.city.errands).filter(move |((_, car), _)| car.maker == maker)
    };
    let cars = of(VOLVO).map(|((_, car), errand)| {
        let mut file = CarFile::of(&car.login);
        (file.latitude, file.longitude) = (errand.place.latitude_deg(), errand.place.longitude_deg());
        file.vin = Some(car.vin.clone());
        file.model_year = MODEL_YEAR;
        file
    });
    let volvo = WorldFile { seed, latency: LATENCY, cars: cars.collect(), ..WorldFile::default() };
    let cars = of(ONSTAR).map(|((n, car), errand)| {
        let mut file = onstar::CarFile::of(&car.login);
        (file.latitude, file.longitude) = (errand.place.latitude_deg(), errand.place.longitude_deg());
        file.vin = Some(car.vin.clone());
        file.make = make_of(n);
        file.model_year = MODEL_YEAR;
        file
    });
    let onstar =
        onstar::WorldFile { seed, latency: SECOND_LATENCY, cars: cars.collect(), ..onstar::WorldFile::default() };
    let cars = of(TESLA).map(|((n, car), errand)| {
        let mut file = tesla::CarFile::of(&car.login);
        (file.latitude, file.longitude) = (errand.place.latitude_deg(), errand.place.longitude_deg());
        file.vin = Some(car.vin.clone());
        (file.model, file.model_year, file.signed) = (model_of(n).to_owned(), MODEL_YEAR, is_signed(n));
        file
    });
    let tesla = tesla::WorldFile { seed, latency: THIRD_LATENCY, cars: cars.collect(), ..tesla::WorldFile::default() };
    let cars = of(SMARTCAR).map(|((_, car), errand)| {
        let mut file = smartcar::CarFile::of(&car.login);
        (file.latitude, file.longitude) = (errand.place.latitude_deg(), errand.place.longitude_deg());
        file.vin = Some(car.vin.clone());
        file.model_year = MODEL_YEAR;
        file
    });
    let latency = FOURTH_LATENCY;
    let smartcar = smartcar::WorldFile { seed, latency, cars: cars.collect(), ..smartcar::WorldFile::default() };
    Worlds { volvo, onstar: Some(onstar), tesla: Some(tesla), smartcar: Some(smartcar), home: building(plan, seed) }
}

/// A building with garages and front doors behind one home server, whose people administer nothing; `None`: nothing goes there.
fn building(plan: &Plan, seed: u64) -> Option<homeassistant::WorldFile> {
    let homes = || plan.cars.iter().zip(&plan.city.errands).filter_map(|(car, e)| Some((car.home?, car, e)));
    let (_, _, first) = homes().next()?;
    let person = |car: &Car| Some(car.login.clone());
    let garage = |(home, car): (Home, &Car)| match home {
        Home::Garage(k) => Some(homeassistant::DoorFile { person: person(car), ..homeassistant::DoorFile::in_row(k) }),
        Home::Front(_) => None,
    };
    let front = |(home, car): (Home, &Car)| match home {
        Home::Front(k) => Some(homeassistant::FrontFile { person: person(car), ..homeassistant::FrontFile::in_row(k) }),
        Home::Garage(_) => None,
    };
    Some(homeassistant::WorldFile {
        latitude: first.place.latitude_deg(),
        longitude: first.place.longitude_deg(),
        people: homes()
            .map(|(_, car, _)| homeassistant::PersonFile { login: car.login.clone(), admin: false })
            .collect(),
        doors: homes().filter_map(|(home, car, _)| garage((home, car))).collect(),
        fronts: homes().filter_map(|(home, car, _)| front((home, car))).collect(),
        seed,
        latency: HOME_LATENCY,
    })
}

/// What a day is played on.
struct Ground {
    scene: Arc<Scene>,
    garages: Garages,
    /// The services' processes, if they are such.
    stage: Option<Arc<Mutex<Stage>>>,
    ticks: Box<dyn Fn() -> u64>,
    /// What must live as long as the day.
    _kept: Box<dyn std::any::Any>,
}

/// Everybody in this thread.
async fn inside_one_thread(
    args: &Simulate,
    dir: &Path,
    plan: &Plan,
    (clock, stepper): (Driven, Arc<Stepper>),
) -> anyhow::Result<Ground> {
    ensure!(args.sabotage.is_none_or(|s| s == Sabotage::SilentCouriers), "this sabotage needs real sockets");
    let host = Host { clock: Arc::new(clock), entropy: Arc::new(Seeded::new(args.seed)) };
    let clouds = Clouds {
        volvo: inside::CLOUD.to_owned(),
        onstar: Some(inside::SECOND_CLOUD.to_owned()),
        tesla: Some(inside::THIRD_CLOUD.to_owned()),
        smartcar: Some(inside::FOURTH_CLOUD.to_owned()),
        home: Some(inside::HOME.to_owned()),
    };
    let garages = Garages::new(worlds(plan, args.seed), &host, &clouds)?;
    let started = inside::start(dir, &garages, &host, Storage::Memory).await?;
    Ok(Ground {
        scene: Arc::clone(&started.scene),
        garages,
        stage: None,
        ticks: Box::new(move || stepper.steps()),
        _kept: Box::new(started),
    })
}

/// Services as processes of their own, over real sockets and stores.
async fn over_http(args: &Simulate, dir: &Path, plan: &Plan) -> anyhow::Result<Ground> {
    let conductor = Arc::new(Conductor::start(dir, SIGN_UP, GRID_MS)?);
    let hold = conductor.hold();
    let host = Host { clock: Arc::new(conductor.clock()), entropy: Arc::new(SystemEntropy) };
    let (garages, clouds) = Garages::serve(worlds(plan, args.seed), &host).await?;
    let tampering = match args.sabotage {
        Some(Sabotage::RelockOff) => Some(Tampering::SwallowLocks),
        Some(Sabotage::SecondCommand) => Some(Tampering::RepeatUnlocks),
        Some(Sabotage::PaintedPictures) => Some(Tampering::PaintPictures),
        Some(Sabotage::LeafLeftOut | Sabotage::SilentCouriers) | None => None,
    };
    let clockwork = Clockwork { host, conductor: Some(Arc::clone(&conductor)) };
    let log_level = Some(args.log_level.code());
    let (fronts, doors) = (garages.fronts, garages.doors);
    let setting = Setting { tampering, log_level, garages: doors, front_doors: fronts, ..Setting::default() };
    let stage = Stage::start_parties(dir, clouds, setting, clockwork).await?;
    drop(hold);
    let scene = Arc::clone(&stage.scene);
    let counting = Arc::clone(&conductor);
    Ok(Ground {
        scene,
        garages,
        stage: Some(Arc::new(Mutex::new(stage))),
        ticks: Box::new(move || counting.ticks()),
        _kept: Box::new(conductor),
    })
}

async fn play(
    args: &Simulate,
    dir: &Path,
    alone: Option<(Driven, Arc<Stepper>)>,
) -> anyhow::Result<(Results, BTreeSet<Cell>)> {
    let watch = Stopwatch::start();
    let mut phases: Vec<(&'static str, f64)> = Vec::new();
    let mut lap = {
        let mut last = 0.0;
        move |name: &'static str, phases: &mut Vec<(&'static str, f64)>| {
            let now = watch.elapsed().as_secs_f64();
            phases.push((name, now - last));
            last = now;
        }
    };
    let plan = plan(args)?;
    let ground = match alone {
        Some(alone) => inside_one_thread(args, dir, &plan, alone).await?,
        None => over_http(args, dir, &plan).await?,
    };
    let kills = Kills::plan(ground.stage.clone(), args.kills, args.deliveries, plan.dice);
    let day = Arc::new(Day::new(Arc::clone(&ground.scene), ground.garages.clone(), kills, plan));
    lap("start", &mut phases);

    all(&day, "owners sign up", owner::enrol).await?;
    let couriers = hire(&day, args.couriers).await?;
    lap("sign_up", &mut phases);

    let costs = async || {
        let mut costs = Costs::default();
        let Some(stage) = &ground.stage else { return costs };
        for (i, pid) in pids(&*stage.lock().await).into_iter().enumerate() {
            costs.cpu_ms[i] = pid.map_or(0, cost::cpu_ms) + day.kills.spent_ms()[i];
            costs.bytes[i] = cost::bytes_below(&dir.join("parties").join(NAMES[i]));
        }
        costs
    };
    let by_thread = async || match &ground.stage {
        Some(stage) => threads(&*stage.lock().await),
        None => ByThread::new(),
    };
    let before: Vec<Seen> = day.cars.iter().map(|c| day.seen(c)).collect();
    let requests_before = requests(&day);
    let costs_before = costs().await;
    let threads_before = by_thread().await;
    let counted = async || match &ground.stage {
        Some(_) => counted(&ground.scene).await,
        None => Ok(Counts::new()),
    };
    let counted_before = counted().await?;
    all(&day, "merchants ship", owner::order).await?;
    lap("orders", &mut phases);

    load(&day, &couriers).await?;
    shifts(&day, args, couriers).await;
    lap("day", &mut phases);
    evening(&day, ground.stage.is_some()).await?;
    let costs = costs().await.since(costs_before);
    let cpu_by_thread_ms = since(by_thread().await, &threads_before);
    let counted = counted().await?;
    let counted: BTreeMap<_, _> = counted.into_iter().map(|(name, c)| (name, c.since(&counted_before[name]))).collect();
    lap("evening", &mut phases);

    let findings = judged(&day, args, &before).await?;
    let leaks = if ground.stage.is_some() { leaks::search(dir, &day)? } else { Leaks::default() };
    lap("judge", &mut phases);
    if let Some(path) = &args.trace {
        fs::write(path, day.book.trace()).with_context(|| format!("failed to write {}", path.display()))?;
    }
    let floor = floor::measure(&SystemEntropy, dir, counted.values(), args.deliveries).await?;
    let results = Results {
        deliveries: args.deliveries,
        makers: makers(&day, &before, &requests_before),
        pages: day.book.pages(),
        findings,
        leaks,
        hops: day.book.hops(),
        odd: day.book.oddities(),
        costs,
        cpu_by_thread_ms,
        counted,
        floor,
        ticks: (ground.ticks)(),
        kills: day.kills.counted(),
        wall_s: watch.elapsed().as_secs_f64(),
        phases_s: phases,
        seed: args.seed,
        faults: match args.faults {
            Faults::None => "none",
            Faults::Ordinary => "ordinary",
            Faults::Hostile => "hostile",
        },
    };
    // Nothing that matters is lost: the run is over, and the next one begins with stores of its own.
    if let Some(stage) = &ground.stage {
        let stage = &mut *stage.lock().await;
        for service in [&mut stage.carrier, &mut stage.gateway, &mut stage.keyholder] {
            // A child that is gone already is no reason to lose the report.
            let _ = service.kill().await;
        }
    }
    let owners = (0..day.cars.len()).filter_map(|n| day.owner(n));
    let areas = owners.filter_map(|owner| owner.area().ok()).flat_map(|area| area.cells().to_vec()).collect();
    Ok((results, areas))
}

/// What a maker bills for a command and for a wake.
fn prices_of(maker: &str) -> Option<(u64, u64)> {
    (maker == TESLA).then_some((COMMAND_MICRO_USD, WAKE_MICRO_USD))
}

/// Requests to each maker's cloud so far.
fn requests(day: &Day) -> BTreeMap<&'static str, u64> {
    day.cars
        .iter()
        .map(|car| car.maker)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|m| (m, day.garages.of(m).requests()))
        .collect()
}

/// What each maker's cars and cloud saw since the morning.
fn makers(
    day: &Day,
    before: &[Seen],
    requests_before: &BTreeMap<&'static str, u64>,
) -> BTreeMap<&'static str, OfMaker> {
    let mut makers: BTreeMap<&'static str, OfMaker> = BTreeMap::new();
    for ((car, before), page) in day.cars.iter().zip(before).zip(day.book.pages()) {
        let (of, after) = (makers.entry(car.maker).or_default(), day.seen(car));
        of.deliveries += 1;
        of.home = car.home.is_some();
        of.prices_micro_usd = prices_of(car.maker);
        of.delivered += usize::from(page.end.is_some_and(|(end, _)| end == "delivered"));
        of.commands += after.commands.saturating_sub(before.commands);
        of.wakes += after.wakes.saturating_sub(before.wakes);
        let places = after.position_reads_at.len().saturating_sub(before.position_reads_at.len());
        of.position_reads += places as u64;
        of.attended_ms.extend(page.attended_ms);
    }
    for (maker, now) in requests(day) {
        if let Some(of) = makers.get_mut(maker) {
            of.requests = now.saturating_sub(requests_before.get(maker).copied().unwrap_or(0));
        }
    }
    makers
}

fn pids(stage: &Stage) -> [Option<u32>; 3] {
    [stage.carrier.pid(), stage.gateway.pid(), stage.keyholder.pid()]
}

type Counts = BTreeMap<&'static str, Counted>;

/// What each service shows to whoever watches it.
async fn counted(scene: &Scene) -> anyhow::Result<Counts> {
    let socket = Client::unix(&scene.layout.dir.join("keyholder/keyholder.sock"), Arc::clone(&scene.host.clock));
    let net = &scene.host.client;
    let mut all = Counts::new();
    for (name, client, origin) in [
        ("carrier", net, scene.layout.carrier_origin.as_str()),
        ("gateway", net, scene.layout.gateway_origin.as_str()),
        ("keyholder", &socket, "http://keyholder"),
    ] {
        let answer =
            client.send(exchange::get(&format!("{origin}/metrics"))?, METRICS_WITHIN, METRICS_BYTES_MAX).await?;
        let text = answer.body.context("metrics without an end")?;
        all.insert(name, Counted::read(&String::from_utf8_lossy(&text)));
    }
    Ok(all)
}

type ByThread = BTreeMap<&'static str, BTreeMap<String, u64>>;

fn threads(stage: &Stage) -> ByThread {
    let services = [("carrier", &stage.carrier), ("gateway", &stage.gateway), ("keyholder", &stage.keyholder)];
    services.into_iter().map(|(name, s)| (name, s.pid().map(cost::cpu_ms_by_thread).unwrap_or_default())).collect()
}
fn since(mut now: ByThread, before: &ByThread) -> ByThread {
    for (service, threads) in &mut now {
        for (name, ms) in threads {
            let then = before.get(service).and_then(|t| t.get(name)).copied().unwrap_or(0);
            *ms = ms.saturating_sub(then);
        }
    }
    now
}

/// The same for every delivery, a few dozen at once.
pub(crate) async fn all<F>(
    day: &Arc<Day>,
    what: &'static str,
    act: impl Fn(Arc<Day>, usize) -> F + Clone + 'static,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + 'static,
{
    let (places, progress) = (Arc::new(Semaphore::new(AT_ONCE)), bar(what, day.cars.len()));
    let mut tasks = Vec::with_capacity(day.cars.len());
    for n in 0..day.cars.len() {
        let place = Arc::clone(&places).acquire_owned().await?;
        let (day, act, progress) = (Arc::clone(day), act.clone(), progress.clone());
        tasks.push(spawn_local(async move {
            let done = act(day, n).await;
            progress.inc(1);
            drop(place);
            done
        }));
    }
    for task in tasks {
        task.await?.with_context(|| format!("while {what}"))?;
    }
    progress.finish_and_clear();
    Ok(())
}

pub(crate) async fn hire(day: &Arc<Day>, count: usize) -> anyhow::Result<Vec<Arc<Courier>>> {
    let mut couriers = Vec::with_capacity(count);
    for k in 0..count {
        let key = format!("sim-courier-{k}");
        couriers.push(Arc::new(Courier::hire(&day.scene, &courier_name(k), &key).await?));
    }
    Ok(couriers)
}
pub(crate) fn courier_name(k: usize) -> String {
    format!("Courier {k}")
}

/// In the morning the vans are loaded; what no owner has allowed goes elsewhere.
pub(crate) async fn load(day: &Arc<Day>, couriers: &[Arc<Courier>]) -> anyhow::Result<()> {
    let couriers: Arc<[Arc<Courier>]> = couriers.into();
    all(day, "vans are loaded", move |day, n| load_one(day, n, Arc::clone(&couriers))).await
}

async fn load_one(day: Arc<Day>, n: usize, couriers: Arc<[Arc<Courier>]>) -> anyhow::Result<()> {
    let (dispatch, host) = (day.scene.dispatch(), &day.scene.host);
    let (Some(delivery), Some(errand)) = (day.delivery(n), day.city.errands.get(n)) else { return Ok(()) };
    if day.fate(n).owner == OwnerFate::Silent {
        let body = json!({"reason": "not_confirmed"});
        let key = format!("sim-{n}-cancel");
        return persist(host, "to cancel", async || dispatch.step(delivery.id, "cancel", &key, &body).await)
            .await
            .map(drop);
    }
    let courier = couriers.get(errand.courier).context("no such courier")?;
    let key = format!("sim-{n}-load");
    // The carrier hears of the owner's answer a moment after the owner gave it.
    persist(host, "to load", async || match dispatch.load(delivery.id, courier.id, &key).await {
        Err(Failure::Problem { code, .. }) if code == "wrong_state" => {
            let detail = String::from("not accepted yet");
            Err(Failure::Problem { status: 503, code, detail, retry_after_s: None })
        }
        done => done,
    })
    .await
    .map(drop)
}

/// Everybody works until the last van is back.
async fn shifts(day: &Arc<Day>, args: &Simulate, couriers: Vec<Arc<Courier>>) {
    for n in 0..day.cars.len() {
        let garage = day.garages.of(day.cars[n].maker);
        if let Err(why) = garage.plan_faults(&day.cars[n].vin, &day.fate(n).cloud) {
            tracing::error!(n, why, "a fault cannot be planned");
        }
    }
    let longest_s = day.city.errands.iter().map(|e| e.planned.millis_since(day.city.day_starts) / 1_000).max();
    let longest_s = longest_s.unwrap_or(0);
    if args.faults == Faults::Hostile {
        outages(day, longest_s);
    }
    if args.sick {
        sick_half_hours(day);
    }
    let killing = {
        let day = Arc::clone(day);
        spawn_local(async move {
            let day_s = u64::try_from(longest_s).unwrap_or(0).max(120);
            day.kills.all_day(&day, day_s).await;
        })
    };
    let operators = spawn_local(operators::all_day(Arc::clone(day)));
    let progress = bar("couriers", day.cars.len());
    let watching = {
        let (day, progress) = (Arc::clone(day), progress.clone());
        spawn_local(async move {
            loop {
                day.sleep_s(60).await;
                progress.set_position(day.ticked() as u64);
            }
        })
    };
    let shifts: Vec<_> = couriers
        .into_iter()
        .zip(day.city.routes.clone())
        .map(|(courier, route)| spawn_local(courier::shift(Arc::clone(day), courier, route)))
        .collect();
    for shift in shifts {
        let _ = shift.await;
    }
    let _ = killing.await;
    watching.abort();
    operators.abort();
    progress.finish_and_clear();
}

/// The second maker's cloud takes requests and does not answer, every other half hour.
fn sick_half_hours(day: &Arc<Day>) {
    let day = Arc::clone(day);
    spawn_local(async move {
        for n in 0_i64.. {
            day.sleep_until(day.city.day_starts.plus_seconds((2 * n + 1) * SICK_S)).await;
            day.garages.of(ONSTAR).hang(u32::try_from(SICK_S).unwrap_or(0));
        }
    });
}

/// A hostile cloud is down for five minutes, now and then.
fn outages(day: &Arc<Day>, longest_s: i64) {
    let day = Arc::clone(day);
    spawn_local(async move {
        for n in 0..4 {
            let pause = day.dice.between("outage", n, 600, u64::try_from(longest_s / 3).unwrap_or(0).max(1_200));
            day.sleep_s(i64::try_from(pause).unwrap_or(0)).await;
            day.garages.outage(300);
        }
    });
}

/// What is still open at cars comes to its end; parcels reach their fallbacks.
async fn evening(day: &Arc<Day>, real_log: bool) -> anyhow::Result<()> {
    let until = day.now().plus_seconds(EVENING_S);
    while day.has_later() && day.now() < until {
        day.sleep_s(30).await;
    }
    let (dispatch, host) = (day.scene.dispatch(), &day.scene.host);
    for n in (0..day.cars.len()).filter(|n| day.is_played(*n)) {
        let Some(delivery) = day.delivery(n) else { continue };
        let mut seen = persist(host, "a delivery", async || dispatch.delivery(delivery.id).await).await?;
        if seen["state"] == "falling_back" {
            let (key, body) = (format!("sim-{n}-fallback"), json!({"parcel": delivery.parcel}));
            persist(host, "the fallback", async || dispatch.step(delivery.id, "fallback-done", &key, &body).await)
                .await?;
            seen = persist(host, "a delivery", async || dispatch.delivery(delivery.id).await).await?;
        }
        let reason = seen["parcels"][0]["reason"].as_str().map(str::to_owned);
        let end = seen["end"].as_str().map(|end| (end.to_owned(), reason));
        day.note(n, || format!("the carrier says {} {}", seen["state"], seen["end"]));
        let kept_shut_by = if day.is_front_door(n) { owner::told_why(day, n).await? } else { Vec::new() };
        day.book.page(n, |p| (p.end, p.kept_shut_by) = (end, kept_shut_by));
    }
    // A checkpoint covers the last record: those come in real time, where there is any.
    day.scene.host.clock.sleep(CHECKPOINT_AFTER).await;
    if real_log {
        tokio::time::sleep(CHECKPOINT_AFTER).await;
    }
    Ok(())
}

async fn judged(day: &Arc<Day>, args: &Simulate, before: &[Seen]) -> anyhow::Result<Vec<Finding>> {
    let keys = day.keys();
    let claims = keys.claims();
    let anchors = Anchors::published(claims, &day.scene.operator);
    let pages = day.book.pages();
    let progress = bar("bundles are verified", day.cars.len());
    let mut findings = Vec::with_capacity(day.cars.len());
    for (n, page) in pages.iter().enumerate() {
        progress.inc(1);
        if !day.is_played(n) {
            continue;
        }
        let after = day.seen(&day.cars[n]);
        let bundle = bundle(day, n, page.granted.is_some(), args.sabotage).await?;
        let case = Case {
            before: before.get(n).context("a car without a record")?,
            after: &after,
            bundle: bundle.as_deref(),
            anchors: &anchors,
            places_shown: page.places_shown,
            saw_unknown: page.saw_unknown,
            is_home: day.is_home(n),
            asks_for_a_place_ms: if day.cars[n].maker == ONSTAR { FRESH_PLACE_MS } else { 0 },
            ended: page.end.is_some() && (!page.attempted || page.attempt_over),
        };
        let finding = verdict::judge(&case);
        if finding.violations.sum() > 0 || finding.refused.is_some() {
            day.note(n, || format!("VIOLATION {} {:?}", finding.violations.to_json(), finding.refused));
            eprintln!("delivery {n}: {} {}", finding.violations.to_json(), finding.refused.unwrap_or_default());
        }
        findings.push(finding);
    }
    progress.finish_and_clear();
    Ok(findings)
}

async fn bundle(day: &Day, n: usize, granted: bool, sabotage: Option<Sabotage>) -> anyhow::Result<Option<Vec<u8>>> {
    let (Some(owner), Some(delivery), true) = (day.owner(n), day.delivery(n), granted) else { return Ok(None) };
    let host = &day.scene.host;
    let bytes = persist(host, "the case bundle", async || match owner.wallet.bundle(delivery.id).await {
        Err(Failure::Problem { code, .. }) if code == "bundle_not_ready" => {
            Err(Failure::Problem { status: 503, code, detail: String::new(), retry_after_s: None })
        }
        done => done,
    });
    let mut bytes = match bytes.await {
        // A case that its owner cannot have proves nothing: the judge says so, and the day goes on.
        Err(error)
            if error
                .chain()
                .any(|e| e.downcast_ref::<Failure>().is_some_and(|f| f.code() == Some("bundle_too_large"))) =>
        {
            day.note(n, || String::from("the case is too large to be told"));
            return Ok(None);
        }
        other => other?,
    };
    if sabotage == Some(Sabotage::LeafLeftOut) {
        let mut open = parcelshelf_protocol::bundle::Bundle::parse_canonical(&bytes)?;
        open.records.remove(open.records.len().saturating_sub(2));
        bytes = open.encode();
    }
    Ok(Some(bytes))
}
