//! One prepared world for all drills: a city in the middle of its day, with deliveries in every stage, and a copy of what
//! every party has stored by then.
//!
//! A drill that only reads looks at the copy. A drill that acts does so on the running services, with deliveries that no
//! other drill touches; one that damages a store keeps a copy first and brings it back. Noon itself cannot be brought back:
//! makers hand out a new token for each old one, so that services with an old store would have lost their permissions.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use parcelshelf_client::courier::{Stop, StopPage};
use parcelshelf_client::wallet::Granted;
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_edge::Host;
use parcelshelf_edge::clock::SystemEntropy;
use parcelshelf_simulator::garage::Seen;
use tokio::sync::Mutex;
use tokio::task::spawn_local;

use crate::cli::{Faults, LogLevel, Simulate};
use crate::people::{Courier, Owner, persist};
use crate::simulate::conductor::Conductor;
use crate::simulate::courier;
use crate::simulate::day::{Day, Delivery, Plan};
use crate::simulate::dice::Dice;
use crate::simulate::fate::Fate;
use crate::simulate::garages::Garages;
use crate::simulate::kills::Kills;
use crate::simulate::owner;
use crate::simulate::run::{self, GRID_MS, SIGN_UP};
use crate::stage::{Clockwork, Scene, Setting, Stage};

/// Every so manyth delivery is kept for the drills: loaded, allowed, no courier on the way.
const KEPT_EVERY: usize = 3;
/// Windows are four hours long; drills one after another take longer. So the kept ones come in turns, each of which
/// begins so long after the one before.
const TURNS: usize = 4;
const TURN_S: i64 = 2 * 3_600 + 1_800;
const WINDOW_S: i64 = 4 * 3_600;
/// The first turn has begun so long before noon.
const BEGUN_S: i64 = 1_800;
/// Whoever takes a delivery has at least so much of its window left.
const LEFT_S: i64 = 4_500;
/// After the couriers' phones went dark everything at the cars comes to its end within this, and every link that they had:
/// its hour is over.
const SETTLED_S: i64 = 3_900;

/// What an operator says who has looked at an altered store.
const ACCEPT: &str = "--accept-altered-store";

/// How large the world is, and what decides it.
#[derive(Debug, Clone)]
pub struct Size {
    pub stops: PathBuf,
    pub deliveries: usize,
    pub couriers: usize,
    pub seed: u64,
    /// Of the race between a block and an opening, in memory.
    pub schedules: usize,
    /// For tests: the keyholder believes its store whoever wrote to it.
    pub gullible: bool,
}

/// The prepared world.
pub struct World {
    pub day: Arc<Day>,
    pub couriers: Vec<Arc<Courier>>,
    pub dice: Dice,
    pub size: Size,
    /// Keyholder and front are started with pages, which mostly nobody looks at.
    pages: AtomicBool,
    stage: Mutex<Stage>,
    dir: PathBuf,
    /// Those that no drill has taken yet.
    kept: Vec<usize>,
    at_first: usize,
    /// When the couriers' phones went dark.
    pub noon: Timestamp,
    conductor: Arc<Conductor>,
}
impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World({:?})", self.day)
    }
}

impl World {
    /// Plays half a day below `dir` and keeps a copy of every store.
    ///
    /// # Errors
    /// When a party does not start, or a step that must work is refused.
    pub async fn prepare(dir: &Path, size: &Size) -> anyhow::Result<Self> {
        let args = simulated(&size.stops, size.deliveries, size.couriers, size.seed);
        let mut plan = run::plan(&args)?;
        let last = plan.city.errands.iter().map(|e| e.planned).max();
        let middle = last.map_or(0, |last| last.millis_since(plan.city.day_starts) / 2);
        let noon = plan.city.day_starts.plus_millis(middle);
        let kept = keep_for_drills(&mut plan, noon)?;
        let dice = plan.dice;

        let conductor = Arc::new(Conductor::start(dir, SIGN_UP, GRID_MS)?);
        let hold = conductor.hold();
        let host = Host { clock: Arc::new(conductor.clock()), entropy: Arc::new(SystemEntropy) };
        let (garages, clouds) = Garages::serve(run::worlds(&plan, size.seed), &host).await?;
        let clockwork = Clockwork { host, conductor: Some(Arc::clone(&conductor)) };
        let setting = Setting { log_level: Some(args.log_level.code()), ..Setting::default() };
        let stage = Stage::start_parties(dir, clouds, setting, clockwork).await?;
        drop(hold);
        let nobody_dies = Kills::plan(None, 0, size.deliveries, dice);
        let day = Arc::new(Day::new(Arc::clone(&stage.scene), garages, nobody_dies, plan));

        run::all(&day, "owners sign up", owner::enrol).await?;
        let couriers = run::hire(&day, size.couriers).await?;
        run::all(&day, "merchants ship", owner::order).await?;
        run::load(&day, &couriers).await?;
        let at_first = kept.len();
        let mut world = Self {
            at_first,
            size: size.clone(),
            pages: AtomicBool::new(false),
            day,
            couriers,
            dice,
            stage: Mutex::new(stage),
            dir: dir.to_owned(),
            kept,
            noon,
            conductor,
        };
        world.half_a_day().await;
        world.keep_a_copy().await?;
        Ok(world)
    }

    /// Waits in real time, for somebody outside of the world, while its clock stands: left to itself it would jump over hours.
    pub async fn wait_outside(&self, span: std::time::Duration) {
        let _hold = self.conductor.hold();
        tokio::time::sleep(span).await;
    }

    /// From the next start on the front shows pages, and the keyholder says in its log which.
    pub fn show_pages(&self, on: bool) {
        self.pages.store(on, Ordering::Release);
    }
    /// Something that has a time of its own; this world's stands still meanwhile.
    pub async fn outside<T>(&self, work: impl Future<Output = T>) -> T {
        let _hold = self.conductor.hold();
        work.await
    }

    async fn half_a_day(&self) {
        for n in 0..self.day.cars.len() {
            let car = &self.day.cars[n];
            if let Err(why) = self.day.garages.of(car.maker).plan_faults(&car.vin, &self.day.fate(n).cloud) {
                tracing::error!(n, why, "a fault cannot be planned");
            }
        }
        let routes = self.couriers.iter().zip(self.day.city.routes.clone());
        let shifts: Vec<_> =
            routes.map(|(c, route)| spawn_local(courier::shift(Arc::clone(&self.day), Arc::clone(c), route))).collect();
        let bar = run::bar("half a day", self.day.cars.len());
        while self.day.now() < self.noon {
            self.day.sleep_s(120).await;
            bar.set_position(self.day.ticked() as u64);
        }
        bar.finish_and_clear();
        // From here on no courier of this morning does anything.
        for shift in &shifts {
            shift.abort();
        }
        self.day.sleep_s(SETTLED_S).await;
    }

    /// The services are killed as they stand, and everything below their folders is copied.
    async fn keep_a_copy(&mut self) -> anyhow::Result<()> {
        let (parties, prepared) = (self.parties(), self.prepared());
        let gullible = self.size.gullible;
        let stage = self.stage.get_mut();
        kill(stage).await?;
        copy(&parties, &prepared)?;
        start(stage, gullible, false).await
    }

    /// What every party has stored by noon; nobody writes there.
    #[must_use]
    pub fn prepared(&self) -> PathBuf {
        self.dir.join("prepared")
    }
    /// What the services that run now write to.
    #[must_use]
    pub fn parties(&self) -> PathBuf {
        self.dir.join("parties")
    }
    /// A folder of this drill's own.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.dir.join("drills").join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }
    #[must_use]
    pub fn scene(&self) -> &Arc<Scene> {
        &self.day.scene
    }

    /// Keeps what is stored now, to come back to.
    ///
    /// # Errors
    /// When the services do not start again.
    pub async fn keep(&self, name: &str) -> anyhow::Result<PathBuf> {
        let kept = self.folder(name)?;
        self.changed(async |parties| {
            // A drill that was begun before has kept something else here.
            fs::remove_dir_all(&kept)?;
            copy(parties, &kept)
        })
        .await?;
        Ok(kept)
    }
    /// Services on what was kept.
    ///
    /// # Errors
    /// When they do not start.
    pub async fn back_to(&self, kept: &Path) -> anyhow::Result<()> {
        self.changed(async |parties| {
            fs::remove_dir_all(parties)?;
            copy(kept, parties)
        })
        .await
    }

    /// Kills the services, lets somebody at their files, and starts them again.
    ///
    /// # Errors
    /// When they do not start.
    pub async fn changed(&self, by: impl AsyncFnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut stage = self.stage.lock().await;
        kill(&mut stage).await?;
        by(&self.parties()).await?;
        start(&mut stage, self.size.gullible, self.pages.load(Ordering::Acquire)).await
    }

    /// The keyholder is started as by an operator who takes an altered store as it is.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn accepting_an_altered_store(&self) -> anyhow::Result<()> {
        let mut stage = self.stage.lock().await;
        stage.keyholder.kill().await?;
        stage.keyholder.restart(&[String::from(ACCEPT)]).await
    }

    /// Deliveries that no drill has touched: allowed, loaded, their cars parked and shut, their windows open for an hour and
    /// more. Waits for the next turn if this one has no more.
    ///
    /// # Errors
    /// When the world has not so many left.
    pub async fn take(&mut self, count: usize) -> anyhow::Result<Vec<usize>> {
        self.take_of(count, |_, _| true).await
    }
    /// The same, of some.
    ///
    /// # Errors
    /// When the world has not so many left.
    pub async fn take_of(&mut self, count: usize, fits: impl Fn(&Day, usize) -> bool) -> anyhow::Result<Vec<usize>> {
        loop {
            let now = self.day.now();
            let window = |n: &usize| self.day.city.errands[*n].window;
            let open = |n: &&usize| window(n).start() <= now && now.plus_seconds(LEFT_S) <= window(n).end();
            let fitting = self.kept.iter().filter(|n| fits(&self.day, **n));
            let open: Vec<usize> = fitting.filter(open).copied().collect();
            if open.len() >= count {
                let taken = self.spread(open, count);
                self.kept.retain(|n| !taken.contains(n));
                return Ok(taken);
            }
            let next = self.kept.iter().map(|n| window(n).start()).filter(|start| *start > now).min();
            let next = next.with_context(|| format!("the world is too small: {count} more deliveries are needed"))?;
            self.day.sleep_until(next.plus_seconds(5)).await;
        }
    }
    /// So many of them, of as many couriers as there are (a courier's phone holds one place at a time), and then of all makers.
    fn spread(&self, of: Vec<usize>, count: usize) -> Vec<usize> {
        spread(of, count, |n| (self.day.city.errands[n].courier, self.maker(n)))
    }
    /// # Panics
    /// For a delivery that is none.
    #[must_use]
    pub fn maker(&self, n: usize) -> &'static str {
        self.day.cars[n].maker
    }
    /// What was kept by [`World::keep`] is not needed any more: of a large world it has a gigabyte.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn drop_kept(&self, kept: &Path) -> anyhow::Result<()> {
        fs::remove_dir_all(kept).with_context(|| format!("failed to remove {}", kept.display()))
    }
    /// A share of what was kept, so that small worlds are drilled with less: at least one.
    #[must_use]
    pub fn share(&self, of: usize) -> usize {
        (self.at_first / of).max(1)
    }

    /// # Errors
    /// When there is none.
    pub fn delivery(&self, n: usize) -> anyhow::Result<Arc<Delivery>> {
        self.day.delivery(n).context("no such delivery")
    }
    /// # Errors
    /// When there is none.
    pub fn owner(&self, n: usize) -> anyhow::Result<Arc<Owner>> {
        self.day.owner(n).context("no such owner")
    }
    /// The courier on whose van this delivery lies.
    ///
    /// # Errors
    /// When there is none.
    pub fn courier(&self, n: usize) -> anyhow::Result<&Arc<Courier>> {
        let errand = self.day.city.errands.get(n).context("no such delivery")?;
        self.couriers.get(errand.courier).context("no such courier")
    }
    /// What the owner signed for this delivery.
    ///
    /// # Errors
    /// When the owner never answered.
    pub fn granted(&self, n: usize) -> anyhow::Result<Granted> {
        self.day.book.granted(n).context("nothing was granted")
    }
    /// What the car itself recorded.
    #[must_use]
    pub fn seen(&self, n: usize) -> Seen {
        self.day.cars.get(n).map(|car| self.day.seen(car)).unwrap_or_default()
    }
    /// Of several cars.
    #[must_use]
    pub fn all_seen(&self, of: &[usize]) -> BTreeMap<usize, Seen> {
        of.iter().map(|n| (*n, self.seen(*n))).collect()
    }

    /// The courier sets out, as the carrier's service lets: the address of the stop.
    ///
    /// # Errors
    /// When the carrier or the gateway refuses it.
    pub async fn set_out(&self, n: usize) -> anyhow::Result<Stop> {
        let (courier, delivery) = (self.courier(n)?, self.delivery(n)?);
        let key = format!("drill-{n}-leg-{}", self.day.now().unix_seconds());
        let url = persist(&self.scene().host, "the leg", async || courier.shipping.start_leg(delivery.id, &key).await);
        Ok(Stop::parse(&url.await?)?)
    }
    /// A stop page on somebody's phone.
    ///
    /// # Errors
    /// When it does not hold.
    pub async fn page(&self) -> anyhow::Result<StopPage> {
        let (keys, scene) = (self.day.keys(), self.scene());
        persist(&scene.host, "the stop page", async || {
            StopPage::open(&scene.layout.stop_origin, &keys, &scene.host).await
        })
        .await
    }
}

/// Takes every so manyth delivery off its courier's route, spares it every fault, and gives it the window of its turn.
fn keep_for_drills(plan: &mut Plan, noon: Timestamp) -> anyhow::Result<Vec<usize>> {
    let kept: Vec<usize> = (0..plan.cars.len()).step_by(KEPT_EVERY).collect();
    let mut of_makers: BTreeMap<&str, usize> = BTreeMap::new();
    for n in &kept {
        let maker = plan.cars[*n].maker;
        let before = of_makers.entry(maker).or_default();
        let turn = i64::try_from(turn_of(*before))? * TURN_S;
        *before += 1;
        let start = noon.plus_seconds(turn - BEGUN_S).rounded_down_to_minutes(15);
        plan.city.errands[*n].window = Window::new(start, start.plus_seconds(WINDOW_S))?;
        plan.fates[*n] = Fate::draw(Faults::None, plan.dice, *n as u64, maker);
    }
    for route in &mut plan.city.routes {
        route.retain(|stop| stop.errand.is_none_or(|n| n % KEPT_EVERY != 0));
    }
    Ok(kept)
}

/// The turn of a maker's car with so many of that maker before it: every turn has every maker, and every model of each.
/// Models take turns themselves, so that the turns shift by one each round.
const fn turn_of(before: usize) -> usize {
    (before + before / TURNS) % TURNS
}

/// A day's arguments, as `simulate` takes them.
#[must_use]
pub fn simulated(stops: &Path, deliveries: usize, couriers: usize, seed: u64) -> Simulate {
    Simulate {
        stops: stops.to_owned(),
        deliveries,
        // What these drills attack is cars.
        homes: 0.0,
        front_doors: 0.0,
        couriers,
        faults: Faults::Ordinary,
        makers: Vec::new(),
        seed,
        report: None,
        page: None,
        trace: None,
        only: None,
        log_level: LogLevel::Warn,
        sick: false,
        rush: false,
        single_threaded: false,
        kills: 0,
        out: None,
        sabotage: None,
    }
}

/// One after another: of whom the fewest were taken, first by courier, then by maker.
fn spread(mut of: Vec<usize>, count: usize, whose: impl Fn(usize) -> (usize, &'static str)) -> Vec<usize> {
    let (mut of_couriers, mut of_makers) = (BTreeMap::<usize, usize>::new(), BTreeMap::<&str, usize>::new());
    let mut taken = Vec::with_capacity(count);
    while taken.len() < count {
        let rank = |n: usize| {
            let (courier, maker) = whose(n);
            let so_far = (of_couriers.get(&courier), of_makers.get(maker));
            (so_far.0.copied().unwrap_or(0), so_far.1.copied().unwrap_or(0), n)
        };
        let Some(at) = (0..of.len()).min_by_key(|at| rank(of[*at])) else { break };
        let n = of.remove(at);
        let (courier, maker) = whose(n);
        *of_couriers.entry(courier).or_default() += 1;
        *of_makers.entry(maker).or_default() += 1;
        taken.push(n);
    }
    taken
}

async fn kill(stage: &mut Stage) -> anyhow::Result<()> {
    for service in [&mut stage.carrier, &mut stage.gateway, &mut stage.keyholder] {
        service.kill().await?;
    }
    Ok(())
}
async fn start(stage: &mut Stage, gullible: bool, pages: bool) -> anyhow::Result<()> {
    let show = pages.then(|| String::from("--with-pages"));
    let believe: Vec<String> = gullible.then(|| String::from(ACCEPT)).into_iter().chain(show.clone()).collect();
    stage.keyholder.restart(&believe).await?;
    stage.gateway.restart(&show.into_iter().collect::<Vec<_>>()).await?;
    stage.carrier.restart(&[]).await
}

/// Copies a folder with everything in it but sockets.
///
/// # Errors
/// When a file cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("failed to read {}", from.display()))? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target).with_context(|| format!("failed to copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Every file below a folder.
///
/// # Errors
/// When a folder cannot be read.
pub fn files(at: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(at).with_context(|| format!("failed to read {}", at.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            all.extend(files(&entry.path())?);
        } else {
            all.push(entry.path());
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::simulate::run::MAKERS;

    #[test]
    fn every_turn_has_cars_of_every_maker_and_every_model_of_each() {
        let dir = tempfile::tempdir().unwrap();
        let stops = super::super::invented(dir.path(), 3).unwrap();
        let mut plan = run::plan(&simulated(&stops, 960, 8, 3)).unwrap();
        let noon = plan.city.day_starts.plus_seconds(4 * 3_600);
        let kept = keep_for_drills(&mut plan, noon).unwrap();
        assert_eq!(kept.len(), 320);
        let mut turns: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for n in &kept {
            turns.entry(plan.city.errands[*n].window.start().unix_seconds()).or_default().push(*n);
        }
        assert_eq!(turns.len(), TURNS);
        // A VIN says maker and model in its first eight characters.
        let models = |of: &[usize]| of.iter().map(|n| plan.cars[*n].vin[..8].to_owned()).collect::<BTreeSet<_>>();
        let all = models(&kept);
        assert!(all.len() > MAKERS.len(), "{all:?}");
        for turn in turns.values() {
            for maker in MAKERS {
                assert_eq!(turn.iter().filter(|n| plan.cars[**n].maker == maker).count(), 20, "{maker}");
            }
            assert_eq!(models(turn), all);
        }
        let on_routes = plan.city.routes.iter().flatten().filter_map(|stop| stop.errand);
        assert!(on_routes.into_iter().all(|n| !kept.contains(&n)));
    }

    #[test]
    fn what_is_taken_is_spread_over_couriers_and_makers() {
        let whose = |n: usize| (n / 16, MAKERS[n % MAKERS.len()]);
        let taken = spread((0..64).collect(), 8, whose);
        let (couriers, makers): (Vec<_>, Vec<_>) = taken.iter().map(|n| whose(*n)).unzip();
        for courier in 0..4 {
            assert_eq!(couriers.iter().filter(|c| **c == courier).count(), 2, "{taken:?}");
        }
        for maker in MAKERS {
            assert_eq!(makers.iter().filter(|m| **m == maker).count(), 2, "{taken:?}");
        }
        assert_eq!(spread(vec![5, 3], 4, whose).len(), 2);
    }
}
