//! Who moves the clock: it jumps to the next moment for which somebody waits, once everybody sleeps.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::driven::{Board, Driven};

use super::quiet::{Watcher, this_thread};

/// How many processes can share a board.
const SLOTS: u16 = 8;
/// Real time between two looks whether everybody sleeps.
const LOOK_EVERY: Duration = Duration::from_micros(40);

/// One process of the simulation besides this one.
#[derive(Debug)]
struct Party {
    pid: u32,
    bell: UnixStream,
}

#[derive(Debug)]
struct Shared {
    board: Board,
    own: Driven,
    parties: Mutex<BTreeMap<u16, Party>>,
    holds: AtomicUsize,
    stop: AtomicBool,
    ticks: AtomicU64,
    /// No next moment comes before this one: everybody sleeps through what lies between.
    leap_to_ms: AtomicI64,
}
impl Shared {
    fn parties(&self) -> MutexGuard<'_, BTreeMap<u16, Party>> {
        self.parties.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves the clock of a simulation until it is dropped.
#[derive(Debug)]
pub struct Conductor {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// While it lives, time stands still: something takes real time that must take none of the simulation's.
#[derive(Debug)]
pub struct Hold(Arc<Shared>);
impl Drop for Hold {
    fn drop(&mut self) {
        self.0.holds.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Conductor {
    /// Starts a clock at `now` with its board in `dir`. Moments are rounded up to whole `grid_ms`, so that what happens
    /// close together happens together.
    ///
    /// # Errors
    /// When the board cannot be written or no thread can be started.
    pub fn start(dir: &Path, now: Timestamp, grid_ms: i64) -> anyhow::Result<Self> {
        let path = dir.join("board");
        let shared = Arc::new(Shared {
            board: Board::create(&path, now, SLOTS).context("failed to write the clock's board")?,
            own: Driven::starting_at(now),
            parties: Mutex::default(),
            holds: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            ticks: AtomicU64::new(0),
            leap_to_ms: AtomicI64::new(i64::MIN),
        });
        let theirs = Arc::clone(&shared);
        let work = move || {
            if let Err(error) = conduct(&theirs, grid_ms.max(1)) {
                tracing::error!(%error, "the simulated clock stops");
            }
        };
        let thread = std::thread::Builder::new().name(String::from("conductor")).spawn(work)?;
        Ok(Self { path, shared, thread: Some(thread) })
    }

    /// This process's clock.
    #[must_use]
    pub fn clock(&self) -> Driven {
        self.shared.own.clone()
    }
    #[must_use]
    pub fn board(&self) -> &Path {
        &self.path
    }
    /// How often the clock has moved.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.shared.ticks.load(Ordering::Relaxed)
    }
    /// Time stands still from now until the result is dropped.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.shared.holds.fetch_add(1, Ordering::AcqRel);
        Hold(Arc::clone(&self.shared))
    }
    /// The next moment for anybody is this one: days pass in which nobody does anything, not even sweep.
    pub fn leap_to(&self, moment: Timestamp) {
        self.shared.leap_to_ms.store(moment.unix_millis(), Ordering::Release);
    }
    /// A process with this slot of the board takes part.
    pub fn join(&self, slot: u16, pid: u32, bell: UnixStream) {
        self.shared.parties().insert(slot, Party { pid, bell });
    }
    /// It has ended: nobody waits for it.
    pub fn leave(&self, slot: u16) {
        self.shared.parties().remove(&slot);
        let _ = self.shared.board.set_wish(slot, None);
    }
}
impl Drop for Conductor {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn conduct(shared: &Shared, grid_ms: i64) -> std::io::Result<()> {
    let (own, me) = (std::process::id(), this_thread()?);
    let mut watcher = Watcher::default();
    while !shared.stop.load(Ordering::Acquire) {
        let held = || shared.holds.load(Ordering::Acquire) > 0;
        let pids: Vec<u32> = std::iter::once(own).chain(shared.parties().values().map(|p| p.pid)).collect();
        if held() || !watcher.all_sleep(&pids, me) || held() {
            std::thread::sleep(LOOK_EVERY);
            continue;
        }
        if !jump(shared, grid_ms)? {
            // Nobody waits for anything: somebody else's turn, such as a child's that is about to be started.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

/// Moves the clock to the next moment for which somebody waits, and wakes whoever it is. False if there is none.
fn jump(shared: &Shared, grid_ms: i64) -> std::io::Result<bool> {
    let mut parties = shared.parties();
    let wishes: Vec<(u16, Timestamp)> = parties
        .keys()
        .map(|slot| Ok((*slot, shared.board.wish(*slot)?)))
        .collect::<std::io::Result<Vec<_>>>()?
        .into_iter()
        .filter_map(|(slot, wish)| Some((slot, wish?)))
        .collect();
    let Some(next) = wishes.iter().map(|(_, at)| *at).chain(shared.own.next()).min() else { return Ok(false) };
    let now = shared.board.now()?;
    let ms = next.max(now).unix_millis().max(shared.leap_to_ms.load(Ordering::Acquire));
    let to = Timestamp::from_unix_millis(ms + (grid_ms - ms.rem_euclid(grid_ms)) % grid_ms);
    shared.board.set_now(to)?;
    shared.own.set(to);
    for (slot, _) in wishes.into_iter().filter(|(_, at)| *at <= to) {
        if let Some(party) = parties.get_mut(&slot) {
            // A killed process hears nothing; whoever restarts it joins anew.
            let _ = party.bell.write_all(&[1]);
        }
    }
    shared.own.wake();
    shared.ticks.fetch_add(1, Ordering::Relaxed);
    Ok(true)
}
