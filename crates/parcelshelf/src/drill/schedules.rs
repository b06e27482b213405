//! A block against an opening in thousands of schedules, in memory.
//!
//! Carrier, gateway, keyholder, cars and people in one thread, as in a day that repeats itself ([`inside`]). The seed decides
//! how long each message is on its way, whose turn it is between any two reads and commits of a store, how far apart owner
//! and courier begin, and what goes wrong at the maker. Two questions are asked of every schedule: what had left for the
//! maker when the keyholder gave the owner its word, and what has arrived there in the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use parcelshelf_client::Failure;
use parcelshelf_client::courier::{Device, Stop, StopPage};
use parcelshelf_core::area::Position;
use parcelshelf_core::reason::Action;
use parcelshelf_core::time::Window;
use parcelshelf_edge::Host;
use parcelshelf_edge::driven::Driven;
use parcelshelf_protocol::label;
use parcelshelf_store::storage::Storage;
use serde_json::{Value, json};
use tokio::task::LocalSet;

use super::world::simulated;
use crate::cli::Faults;
use crate::people::persist;
use crate::simulate::day::Day;
use crate::simulate::dice::Dice;
use crate::simulate::fate::Fate;
use crate::simulate::garages::Garages;
use crate::simulate::inside::{self, Inside, KEYHOLDER, Net, Seeded, Stepper, Unrest};
use crate::simulate::kills::Kills;
use crate::simulate::{owner, run};
use crate::stage::Clouds;

/// Schedules of one small world: a store in memory looks at every row for every list.
const OF_A_WORLD: usize = 40;
const COURIERS: usize = 4;
/// Worlds that are played at once.
const LANES: usize = 2;
/// Messages are on their way for at most this long.
const WAY_MS: u64 = 400;
/// Deliveries' windows begin so long after everybody has signed up, and are so long.
const BEGINS_S: i64 = 3_600;
const WINDOW_S: i64 = 4 * 3_600;
/// Of all clouds, so many have a bad day.
const BAD_CLOUDS: f64 = 0.3;
/// A refusal that passes is asked again so often: an owner's block comes in between.
const TRIES: usize = 6;
const AGAIN: Duration = Duration::from_secs(2);
/// After this nothing that has left can still act.
const SETTLED_S: i64 = 1_800;
/// Commands of one attempt.
const COMMANDS_MAX: u64 = 3;
/// Where a block is asked for.
const BLOCKS: &str = "/v1/wallet/blocks";
/// What a keyholder would say that has not blocked anything.
const EMPTY_WORD: &str = r#"{"blocked":true,"settled":true,"may_act_until":null}"#;

/// What to play.
#[derive(Debug, Clone)]
pub struct Races {
    /// For configurations and keys; worlds have folders of their own below it.
    pub dir: PathBuf,
    pub stops: PathBuf,
    pub seed: u64,
    pub schedules: usize,
    /// For tests: blocks are acknowledged and never carried out.
    pub empty_words: bool,
}

/// How the schedules went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub schedules: u64,
    /// A courier did not come as far as to the car: a maker did not answer, say.
    pub not_raced: u64,
    /// The opening was refused before anything left.
    pub block_first: u64,
    /// Everything had happened before the block.
    pub open_first: u64,
    /// The owner was told that a command is under way, and until when it may act.
    pub in_flight: u64,
    /// Openings that were taken, and of which no command left: the block came between.
    pub held_back: u64,
    pub commands: u64,
    /// What the courier was told who asked again, after the block.
    pub again: BTreeMap<String, u64>,
    pub won: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.not_raced += other.not_raced;
        self.block_first += other.block_first;
        self.open_first += other.open_first;
        self.in_flight += other.in_flight;
        self.held_back += other.held_back;
        self.commands += other.commands;
        for (word, n) in other.again {
            *self.again.entry(word).or_default() += n;
        }
        self.won.extend(other.won);
    }
    /// For the drill's report.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "schedules": self.schedules,
            "not_raced": self.not_raced,
            "block_was_first": self.block_first,
            "opening_was_first": self.open_first,
            "command_was_under_way": self.in_flight,
            "taken_and_held_back": self.held_back,
            "commands": self.commands,
            "asked_again_after_the_block": self.again,
        })
    }
}

/// Plays them all.
///
/// # Errors
/// When an honest step does not come about, or hardly any courier comes to a car.
pub async fn raced(races: Races) -> anyhow::Result<Tally> {
    let sizes: Vec<usize> =
        (0..races.schedules).step_by(OF_A_WORLD).map(|n| OF_A_WORLD.min(races.schedules - n)).collect();
    let lanes = (0..LANES).map(|lane| {
        let (races, sizes) = (races.clone(), sizes.clone());
        let play = move || {
            let mut tally = Tally::default();
            for (number, size) in sizes.into_iter().enumerate().filter(|(n, _)| n % LANES == lane) {
                tally.add(alone(&races, number, size).with_context(|| format!("in world {number}"))?);
            }
            anyhow::Ok(tally)
        };
        // A runtime of its own starts below, which no thread of this one may do.
        tokio::task::spawn_blocking(move || std::thread::spawn(play).join())
    });
    let mut tally = Tally::default();
    for lane in lanes.collect::<Vec<_>>() {
        tally.add(lane.await?.map_err(|_| anyhow::anyhow!("a world has panicked"))??);
    }
    ensure!(
        tally.not_raced * 5 <= tally.schedules,
        "of {} couriers {} never got to open",
        tally.schedules,
        tally.not_raced
    );
    Ok(tally)
}

/// One world in this thread, with a clock that jumps whenever nobody has anything left to do.
fn alone(races: &Races, number: usize, size: usize) -> anyhow::Result<Tally> {
    let stepper = Arc::new(Stepper::new(Driven::starting_at(run::SIGN_UP), 1));
    let (hook, clock) = (Arc::clone(&stepper), stepper.clock());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(move || hook.step()).build()?;
    LocalSet::new().block_on(&runtime, world(races, number, size, clock))
}

async fn world(races: &Races, number: usize, size: usize, clock: Driven) -> anyhow::Result<Tally> {
    let seed = Dice::new(races.seed).number("world", number as u64);
    let dir = races.dir.join(number.to_string());
    std::fs::create_dir_all(&dir)?;
    let args = simulated(&races.stops, size, COURIERS.min(size), seed);
    let mut plan = run::plan(&args)?;
    let start = run::SIGN_UP.plus_seconds(BEGINS_S).rounded_down_to_minutes(15);
    for (n, errand) in plan.city.errands.iter_mut().enumerate() {
        errand.window = Window::new(start, start.plus_seconds(WINDOW_S))?;
        plan.fates[n] = Fate::draw(Faults::None, plan.dice, n as u64, plan.cars[n].maker);
    }
    let dice = plan.dice;
    let host = Host { clock: Arc::new(clock.clone()), entropy: Arc::new(Seeded::new(seed)) };
    let clouds = Clouds {
        volvo: inside::CLOUD.to_owned(),
        onstar: Some(inside::SECOND_CLOUD.to_owned()),
        tesla: Some(inside::THIRD_CLOUD.to_owned()),
        smartcar: Some(inside::FOURTH_CLOUD.to_owned()),
        home: None,
    };
    let garages = Garages::new(run::worlds(&plan, seed), &host, &clouds)?;
    let started = inside::start(&dir, &garages, &host, Storage::Unhurried(seed)).await?;
    let day = Arc::new(Day::new(Arc::clone(&started.scene), garages, Kills::plan(None, 0, size, dice), plan));
    run::all(&day, "owners sign up", owner::enrol).await?;
    let couriers = run::hire(&day, COURIERS.min(size)).await?;
    run::all(&day, "merchants ship", owner::order).await?;
    run::load(&day, &couriers).await?;
    day.sleep_until(start.plus_seconds(5)).await;

    if races.empty_words {
        started.net.lie(BLOCKS, EMPTY_WORD);
    }
    let mut tally = Tally { schedules: size as u64, ..Tally::default() };
    let mut words = Vec::new();
    for n in 0..size {
        let courier = couriers.get(day.city.errands[n].courier).context("no such courier")?;
        let Some(ready) = Ready::come(&day, n, &courier.device, &courier.shipping).await else {
            tally.not_raced += 1;
            continue;
        };
        words.push(race(&day, &started, &clock, ready, &mut tally).await?);
    }
    day.sleep_s(SETTLED_S).await;
    for word in words {
        word.judge(day.seen(&day.cars[word.n]).open_commands, number, &mut tally);
    }
    drop(std::fs::remove_dir_all(&dir));
    Ok(tally)
}

/// A courier at a car, with an opening that is signed and not sent.
struct Ready<'a> {
    n: usize,
    device: &'a Device,
    page: StopPage,
    stop: Stop,
    at: Position,
    labels: Value,
}

impl<'a> Ready<'a> {
    /// `None`: some honest step was refused, as happens.
    async fn come(
        day: &Arc<Day>,
        n: usize,
        device: &'a Device,
        shipping: &parcelshelf_client::shipping::Shipping,
    ) -> Option<Self> {
        let (host, delivery) = (&day.scene.host, day.delivery(n)?);
        let key = format!("race-{n}-leg");
        let url = persist(host, "the leg", async || shipping.start_leg(delivery.id, &key).await).await.ok()?;
        let stop = Stop::parse(&url).ok()?;
        let origin = &day.scene.layout.stop_origin;
        let page = persist(host, "the page", async || StopPage::open(origin, &day.keys(), host).await).await.ok()?;
        let at = delivery.place.moved(90.0, 20.0);
        persist(host, "the place", async || page.locate(device, &stop, at).await).await.ok()?;
        // Whoever goes away from many cars without coming near stops the carrier.
        persist(host, "the description", async || page.describe(device, &stop, at).await).await.ok()?;
        let hash = label::hash(&stop.salt, &delivery.label).ok()?;
        Some(Self { n, device, page, stop, at, labels: json!({"labels": [hash.to_string()]}) })
    }

    /// Asks to open, with a fresh proof each time.
    async fn open(&self, day: &Day) -> Result<Value, Failure> {
        let mut tries = 0;
        loop {
            let sent = async {
                let (at, labels) = (self.at, self.labels.clone());
                let prepared = self.page.prepare(self.device, &self.stop, Action::Open, at, labels).await?;
                self.page.send(&prepared).await
            };
            match sent.await {
                Err(failure) if failure.is_passing() && tries < TRIES => tries += 1,
                answer => return answer,
            }
            day.scene.host.clock.sleep(AGAIN).await;
        }
    }
}

/// What an owner was told, and what had left for the maker when it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word {
    n: usize,
    settled: bool,
    before: u64,
    at_the_word: u64,
    taken: bool,
}

impl Word {
    /// Nothing leaves after *settled*; after the other word the one command that is under way, and none after it.
    fn judge(self, in_the_end: u64, world: usize, tally: &mut Tally) {
        let (later, all) = (in_the_end - self.at_the_word, in_the_end - self.before);
        tally.commands += all;
        tally.held_back += u64::from(self.taken && all == 0);
        let n = self.n;
        if later > u64::from(!self.settled) {
            tally.won.push(format!("schedule {world}/{n}: {later} commands left after the block was acknowledged"));
        }
        if all > COMMANDS_MAX {
            tally.won.push(format!("schedule {world}/{n}: {all} commands for one use"));
        }
    }
}

/// The owner blocks and the courier opens, so far apart as the seed says.
async fn race(
    day: &Arc<Day>,
    inside: &Inside,
    clock: &Driven,
    ready: Ready<'_>,
    tally: &mut Tally,
) -> anyhow::Result<Word> {
    let (n, dice, host) = (ready.n, day.dice, &day.scene.host);
    let (car, i) = (&day.cars[n], n as u64);
    let (garage, net): (_, &Arc<Net>) = (day.garages.of(car.maker), &inside.net);
    if dice.hit("a bad cloud", i, BAD_CLOUDS) {
        let faults = Fate::draw(Faults::Hostile, dice, i, car.maker).cloud;
        garage.plan_faults(&car.vin, &faults).map_err(|why| anyhow::anyhow!("a fault cannot be planned: {why}"))?;
    }
    // Most openings ask the maker for a second or two before anything leaves; some take as long as a bad cloud does.
    let longest = if dice.hit("far apart", i, 0.25) { 20_000 } else { 3_000 };
    let apart = Duration::from_millis(dice.between("apart", i, 0, longest));
    let opener_waits = dice.hit("who waits", i, 0.3);
    let before = day.seen(car).open_commands;
    let at_the_word = Arc::new(AtomicU64::new(before));
    let (heard, there, vin) = (Arc::clone(&at_the_word), Arc::clone(&garage), car.vin.clone());
    net.listen(Some(Arc::new(move |authority: &str, path: &str| {
        if authority == KEYHOLDER && path == BLOCKS {
            heard.store(there.seen(&vin).map_or(0, |seen| seen.open_commands), Ordering::Release);
        }
    })));
    net.unrest(Some(Unrest { clock: clock.clone(), dice: Dice::new(dice.number("ways", i)), most_ms: WAY_MS }));
    let (owner, id) = (day.owner(n).context("no owner")?, day.delivery(n).context("no delivery")?.id);
    let wait = async |waits: bool| {
        if waits {
            host.clock.sleep(apart).await;
        }
    };
    let open = async {
        wait(opener_waits).await;
        ready.open(day).await
    };
    let block = async {
        wait(!opener_waits).await;
        persist(host, "the block", async || owner.wallet.block(id).await).await
    };
    let (opened, settled) = tokio::join!(open, block);
    let settled = settled.context("a block is never refused")?;
    let word = Word { n, settled, before, at_the_word: at_the_word.load(Ordering::Acquire), taken: opened.is_ok() };
    match (&opened, settled) {
        (Ok(_), false) => tally.in_flight += 1,
        (Ok(_), true) => tally.open_first += 1,
        (Err(_), _) => tally.block_first += 1,
    }
    net.listen(None);
    // The courier does not give up.
    let again = ready.open(day).await;
    let again = again.as_ref().map_or_else(|f| f.code().unwrap_or("no_answer"), |_| "taken");
    *tally.again.entry(again.to_owned()).or_default() += 1;
    net.unrest(None);
    garage.clear_faults(&car.vin);
    Ok(word)
}

/// Where the small worlds lie.
#[must_use]
pub fn folder(of: &Path) -> PathBuf {
    of.join("schedules")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn play(seed: u64, empty_words: bool) -> Tally {
        let dir = tempfile::tempdir().unwrap();
        let stops = super::super::invented(dir.path(), seed).unwrap();
        raced(Races { dir: folder(dir.path()), stops, seed, schedules: 48, empty_words }).await.unwrap()
    }

    #[tokio::test]
    async fn no_schedule_lets_a_command_leave_after_the_word_and_each_can_be_played_again() {
        let tally = play(5, false).await;
        assert_eq!((tally.schedules, &tally.won), (48, &Vec::new()), "{tally:?}");
        // Otherwise nothing was raced.
        assert!(tally.block_first > 4 && tally.open_first + tally.in_flight > 8 && tally.commands > 8, "{tally:?}");
        assert_eq!(play(5, false).await, tally, "the same seed, the same schedules");
    }

    #[tokio::test]
    async fn a_word_with_nothing_behind_it_is_found_out() {
        let tally = play(5, true).await;
        assert!(tally.won.len() > 4, "{tally:?}");
    }

    #[test]
    fn what_was_said_decides_what_may_still_leave() {
        let judged = |settled, at_the_word, in_the_end| {
            let mut tally = Tally::default();
            Word { n: 0, settled, before: 1, at_the_word, taken: true }.judge(in_the_end, 0, &mut tally);
            tally.won.len()
        };
        assert_eq!([judged(true, 1, 1), judged(true, 2, 2), judged(false, 1, 2)], [0; 3]);
        assert_eq!([judged(true, 1, 2), judged(false, 1, 3), judged(true, 5, 5)], [1; 3]);
    }
}
