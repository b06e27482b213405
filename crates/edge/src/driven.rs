//! A clock that somebody else moves, for simulated days.
//!
//! Time stands still until the driver has seen that everybody sleeps; then it jumps to the next moment for which somebody
//! waits. Nothing of ours measures a deadline by anything else, so that no timeout shrinks however slow the machine is.
//!
//! Processes share a *board*, a small file: the first eight bytes are the time, every process has eight more in which it
//! says for when it wants to be woken. A process whose moment has come gets a byte through a pipe; the others notice
//! nothing and cost nothing.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parcelshelf_core::time::{Clock, Sleep, Timer, Timestamp};

/// How often a thread of this process has woken up; 0 while nobody counts.
static WAKES: AtomicU64 = AtomicU64::new(0);

/// To be called by the runtime whenever one of its threads wakes up. Time moves only while every thread sleeps, and what
/// wakes one is always something that a thread of the runtime has seen: between two wakes the board need not be read.
pub fn a_thread_wakes() {
    WAKES.fetch_add(1, Ordering::AcqRel);
}

/// Nobody waits for anything.
const NEVER: i64 = i64::MAX;

/// The shared file: milliseconds since 1970, little endian, at 0; what slot *n* waits for at 8·*n*, *n* ≥ 1.
#[derive(Debug)]
pub struct Board(File);

impl Board {
    /// A new board that says `now`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path, now: Timestamp, slots: u16) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        let board = Self(file);
        board.set_now(now)?;
        for slot in 1..=slots {
            board.set_wish(slot, None)?;
        }
        Ok(board)
    }
    /// One that another process has made.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().read(true).write(true).open(path).map(Self)
    }
    /// # Errors
    /// When the file is gone.
    pub fn now(&self) -> io::Result<Timestamp> {
        self.read(0).map(Timestamp::from_unix_millis)
    }
    /// # Errors
    /// When the file is gone.
    pub fn set_now(&self, now: Timestamp) -> io::Result<()> {
        self.0.write_all_at(&now.unix_millis().to_le_bytes(), 0)
    }
    /// For when a process wants to be woken.
    ///
    /// # Errors
    /// When the file is gone.
    pub fn wish(&self, slot: u16) -> io::Result<Option<Timestamp>> {
        let at = self.read(slot)?;
        Ok((at != NEVER).then(|| Timestamp::from_unix_millis(at)))
    }
    /// # Errors
    /// When the file is gone.
    pub fn set_wish(&self, slot: u16, at: Option<Timestamp>) -> io::Result<()> {
        let at = at.map_or(NEVER, Timestamp::unix_millis);
        self.0.write_all_at(&at.to_le_bytes(), u64::from(slot) * 8)
    }
    fn read(&self, slot: u16) -> io::Result<i64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, u64::from(slot) * 8)?;
        Ok(i64::from_le_bytes(bytes))
    }
}

/// Where the time is written.
#[derive(Debug)]
enum Source {
    Own(Timestamp),
    /// `read`: what the board said, and after how many wakes.
    Board {
        board: Board,
        slot: u16,
        told: Option<Timestamp>,
        read: (u64, Timestamp),
    },
}

/// The clock of one simulated process. Cheap to clone.
#[derive(Clone)]
pub struct Driven(Arc<Mutex<State>>);
impl std::fmt::Debug for Driven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Driven({})", self.now().to_rfc3339())
    }
}

struct State {
    source: Source,
    began: Timestamp,
    next_id: u64,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
}

impl State {
    fn now(&mut self) -> Timestamp {
        match &mut self.source {
            Source::Own(now) => *now,
            Source::Board { board, read, .. } => {
                let wakes = WAKES.load(Ordering::Acquire);
                if wakes == 0 || read.0 != wakes {
                    // Without the board there is no driver any more, and time stands still.
                    *read = (wakes, board.now().unwrap_or(read.1));
                }
                read.1
            }
        }
    }
    /// Says on the board for when this process wants to be woken, if that is sooner than it has said.
    ///
    /// Most waits are deadlines that are given up: taking each back would cost a system call for nothing. Who is woken too
    /// early says anew what is true ([`Driven::wake`]).
    fn tell(&mut self) {
        let first = self.first();
        if let Source::Board { told, .. } = &self.source
            && first.is_some_and(|first| told.is_none_or(|told| first < told))
        {
            self.say(first);
        }
    }
    /// Writes on the board what is true, if it says otherwise.
    fn say(&mut self, first: Option<Timestamp>) {
        if let Source::Board { board, slot, told, .. } = &mut self.source
            && *told != first
        {
            *told = first;
            let _ = board.set_wish(*slot, first);
        }
    }
    fn first(&self) -> Option<Timestamp> {
        self.sleepers.first_key_value().map(|((at, _), _)| *at)
    }
}

impl Driven {
    /// A clock of this process alone.
    #[must_use]
    pub fn starting_at(now: Timestamp) -> Self {
        Self::new(Source::Own(now), now)
    }
    /// The clock on a board.
    ///
    /// # Errors
    /// When the board cannot be read.
    pub fn on_board(path: &Path, slot: u16) -> io::Result<Self> {
        let board = Board::open(path)?;
        let began = board.now()?;
        board.set_wish(slot, None)?;
        Ok(Self::new(Source::Board { board, slot, told: None, read: (0, began) }, began))
    }
    fn new(source: Source, began: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(State { source, began, next_id: 0, sleepers: BTreeMap::new() })))
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For when somebody waits next.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.state().sleepers.first_key_value().map(|((at, _), _)| *at)
    }
    /// Puts an own clock forward; a board's is put forward on the board. It never goes back.
    pub fn set(&self, to: Timestamp) {
        if let Source::Own(now) = &mut self.state().source {
            *now = (*now).max(to);
        }
    }
    /// Wakes everybody whose moment has come, in the order of their moments.
    pub fn wake(&self) {
        let due: Vec<Waker> = {
            let mut state = self.state();
            let now = state.now();
            let later = state.sleepers.split_off(&(now.plus_millis(1), 0));
            let due = std::mem::replace(&mut state.sleepers, later);
            let first = state.first();
            state.say(first);
            due.into_values().collect()
        };
        for waker in due {
            waker.wake();
        }
    }
}

impl Clock for Driven {
    fn now(&self) -> Timestamp {
        self.state().now()
    }
}
impl Timer for Driven {
    fn sleep(&self, span: Duration) -> Sleep {
        let span_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4);
        // Part of a millisecond is a whole one: nobody wakes too early.
        let span_ms = span_ms + i64::from(!span.subsec_nanos().is_multiple_of(1_000_000));
        Box::pin(Sleeping { at: self.now().plus_millis(span_ms), clock: self.clone(), id: None })
    }
    fn uptime(&self) -> Duration {
        let mut state = self.state();
        Duration::from_millis(u64::try_from(state.now().millis_since(state.began)).unwrap_or(0))
    }
}

struct Sleeping {
    clock: Driven,
    at: Timestamp,
    id: Option<u64>,
}
impl Future for Sleeping {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut state = clock.state();
        if state.now() >= self.at {
            return Poll::Ready(());
        }
        let id = *self.id.get_or_insert_with(|| {
            state.next_id += 1;
            state.next_id
        });
        state.sleepers.insert((self.at, id), cx.waker().clone());
        state.tell();
        Poll::Pending
    }
}
impl Drop for Sleeping {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.clock.state().sleepers.remove(&(self.at, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);

    #[tokio::test]
    async fn time_stands_still_until_it_is_moved_and_who_waits_wakes_in_order() {
        let clock = Driven::starting_at(T0);
        let order = Arc::new(Mutex::new(Vec::new()));
        let sleeper = |ms: u64| {
            let (clock, order) = (clock.clone(), Arc::clone(&order));
            async move {
                clock.sleep(Duration::from_millis(ms)).await;
                order.lock().unwrap().push(ms);
            }
        };
        let (late, soon) = (tokio::spawn(sleeper(40)), tokio::spawn(sleeper(10)));
        tokio::task::yield_now().await;
        assert_eq!(clock.next(), Some(T0.plus_millis(10)));
        clock.set(T0.plus_millis(9));
        clock.wake();
        assert_eq!(clock.next(), Some(T0.plus_millis(10)), "nobody wakes too early");
        clock.set(T0.plus_millis(40));
        clock.wake();
        soon.await.unwrap();
        late.await.unwrap();
        assert_eq!(*order.lock().unwrap(), [10, 40]);
        assert_eq!((clock.next(), clock.uptime()), (None, Duration::from_millis(40)));
        clock.set(T0);
        assert_eq!(clock.now(), T0.plus_millis(40), "it never goes back");
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_leaves_nothing_behind() {
        let clock = Driven::starting_at(T0);
        let wait = parcelshelf_core::time::within(&clock, Duration::from_secs(5), async { 7 });
        assert_eq!(wait.await, Some(7));
        assert_eq!(clock.next(), None);
    }

    #[tokio::test]
    async fn a_board_tells_the_time_and_for_when_each_process_waits() {
        let path = std::env::temp_dir().join(format!("parcelshelf-board-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let board = Board::create(&path, T0, 2).unwrap();
        let clock = Driven::on_board(&path, 2).unwrap();
        let wait = tokio::spawn(clock.sleep(Duration::from_secs(3)));
        tokio::task::yield_now().await;
        assert_eq!((board.wish(1).unwrap(), board.wish(2).unwrap()), (None, Some(T0.plus_seconds(3))));
        board.set_now(T0.plus_seconds(3)).unwrap();
        assert_eq!(clock.now(), T0.plus_seconds(3));
        clock.wake();
        wait.await.unwrap();
        assert_eq!(board.wish(2).unwrap(), None);
        // A wait that is given up stays on the board until the process is woken for it.
        let given_up = parcelshelf_core::time::within(&clock, Duration::from_secs(5), tokio::task::yield_now()).await;
        assert_eq!(given_up, Some(()));
        let stale = board.wish(2).unwrap().unwrap();
        board.set_now(stale).unwrap();
        clock.wake();
        assert_eq!(board.wish(2).unwrap(), None);
        std::fs::remove_file(&path).unwrap();
    }
}
