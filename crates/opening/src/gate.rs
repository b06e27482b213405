//! Who may speak with one maker's cloud now: a breaker for the cloud, a bulkhead for ourselves, budgets per account and per
//! car.
//!
//! ```text
//! breaker:  Closed ──8 silences in a row──▶ Open(until) ──time──▶ one probe at a time ──answer──▶ Closed
//!                                             ▲                        │ silence: twice as long, at most 2 min
//!                                             └────────────────────────┘
//! ```
//!
//! One account's silence is not a cloud that is down, but whoever stands at its car need not wait for the same silence again
//! and again: the account rests for some seconds, and then its readings are *brief*: they are made, and nobody waits long for
//! them.
//!
//! Laws, tested as properties:
//! * A lock, and any reading while something is or may be open, is never held back: not by a breaker, a budget, a
//!   maker's *come later* or a full bulkhead. They are counted, and their answers close the breaker again.
//! * An opening leaves room for its locks: it is let through only while the commands that close what it opens are left.
//! * Whoever asks ahead of time gives way to whoever stands at a car.
//! * What is held back has not been sent. The caller says so: it did not happen.

use std::collections::HashMap;

use parcelshelf_core::time::Timestamp;

/// Silences in a row after which a cloud is taken for down. A cloud that answers a third of the time is slow, not down.
pub const SILENCES: u8 = 8;
/// From so many accounts at least: one car in a garage says nothing of a cloud.
pub const SILENT_ACCOUNTS: usize = 3;
/// How long a cloud that is down is left alone first, and at most: milliseconds. It doubles with each probe in vain.
pub const REST_MS: [i64; 2] = [15_000, 120_000];
/// How long an account whose reading met silence is left alone first, and at most: milliseconds. It doubles.
pub const ACCOUNT_REST_MS: [i64; 2] = [5_000, 60_000];
/// A silence this long ago says nothing of now.
const SILENCE_KEPT_MS: i64 = 300_000;
/// A probe without an answer for this long counts as silence; no maker's call lasts as long.
pub const PROBE_LOST_MS: i64 = 330_000;
/// Calls to one maker at the same time for couriers, and among them for questions ahead of time.
pub const IN_FLIGHT_MAX: u32 = 1_024;
pub const IN_FLIGHT_AHEAD_MAX: u32 = 64;
/// An opening waits until so many commands are left: itself and two locks.
const OPEN_LEAVES: i64 = 3;
/// Lights wait until so many are left: an opening can still follow.
const SIGNAL_LEAVES: i64 = 4;
/// Waking costs money and battery: so often per car in a day.
pub const WAKES_PER_DAY: u32 = 3;
/// A maker that names no time to come back is left alone this long.
const PAUSE_MS: i64 = 30_000;
/// Nobody is told to come back later than this: the maker's own word, bounded.
const PAUSE_MAX_MS: i64 = 3_600_000;
/// Accounts and cars remembered; beyond, those whose budget is full are forgotten, which changes nothing.
const REMEMBERED: usize = 65_536;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// What is asked of a maker's cloud.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Call {
    Read,
    Wake,
    Signal,
    Open,
    Lock,
}
impl Call {
    pub const ALL: [Self; 5] = [Self::Read, Self::Wake, Self::Signal, Self::Open, Self::Lock];
    /// The word in metrics and reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Wake => "wake",
            Self::Signal => "signal",
            Self::Open => "open",
            Self::Lock => "lock",
        }
    }
}

/// For whom.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Urgency {
    /// Nobody waits: a question the evening before, a list of cars.
    Ahead,
    /// A courier stands there.
    Courier,
    /// Something is open, or may be.
    Safety,
}

/// Why a call was held back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Held {
    /// The cloud is down.
    MakerDown,
    /// The account's or the car's budget is used up, or the maker asked for patience.
    Budget,
    /// Too many calls to this maker are under way.
    TooMany,
}
impl Held {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MakerDown => "maker_down",
            Self::Budget => "budget",
            Self::TooMany => "too_many",
        }
    }
}

/// A call that was held back: why, and after how many milliseconds asking again makes sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotNow {
    pub why: Held,
    pub retry_after_ms: i64,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Something that a cloud says: a value, a refusal, "the car is asleep".
    Answer,
    /// Nothing, or nothing that could be understood.
    Silence,
    /// Nothing that tells of the cloud: a command whose outcome is unknown for whatever reason.
    Nothing,
    /// *Too many*: come back after so many milliseconds, if the maker says when.
    ComeLater(Option<i64>),
}

/// A call that was let through. Given back to [`Gate::heard`], once.
#[derive(PartialEq, Eq, Debug)]
#[must_use = "what was let through is under way until it is heard of"]
pub struct Pass {
    account: Key,
    call: Call,
    urgency: Urgency,
    probe: bool,
    brief: bool,
}

/// An account or a car, as a name that says nothing.
pub type Key = [u8; 16];

/// What a maker allows, as published.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    pub reads_per_minute: u32,
    pub commands_per_minute: u32,
}

/// A bucket that refills evenly. One call costs `per_ms`; `calls` of them fit.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: i64,
    at: Timestamp,
}
impl Bucket {
    /// Units in a full bucket: each millisecond brings `calls` of them, so that no fraction is lost.
    const fn full(calls: u32, per_ms: i64) -> i64 {
        calls as i64 * per_ms
    }
    fn now(self, calls: u32, per_ms: i64, now: Timestamp) -> i64 {
        let passed = now.millis_since(self.at).clamp(0, per_ms);
        (self.level + passed * i64::from(calls)).min(Self::full(calls, per_ms))
    }
}

/// Buckets by account or car.
#[derive(Debug)]
struct Budget {
    calls: u32,
    per_ms: i64,
    buckets: HashMap<Key, Bucket>,
}
impl Budget {
    fn new(calls: u32, per_ms: i64) -> Self {
        // A maker that publishes nothing, or zero, still gets one call at a time.
        Self { calls: calls.max(1), per_ms, buckets: HashMap::new() }
    }
    fn level(&self, key: Key, now: Timestamp) -> i64 {
        let full = Bucket::full(self.calls, self.per_ms);
        self.buckets.get(&key).map_or(full, |b| b.now(self.calls, self.per_ms, now))
    }
    /// How long until `share` (units) are there; zero if they are.
    fn short_ms(&self, key: Key, share: i64, now: Timestamp) -> i64 {
        let missing = share.min(Bucket::full(self.calls, self.per_ms)) - self.level(key, now);
        if missing <= 0 { 0 } else { (missing + i64::from(self.calls) - 1) / i64::from(self.calls) }
    }
    /// Takes one call out. What is always let through may find nothing: then nothing is left.
    fn take(&mut self, key: Key, now: Timestamp) {
        if self.buckets.len() >= REMEMBERED && !self.buckets.contains_key(&key) {
            let (calls, per_ms) = (self.calls, self.per_ms);
            self.buckets.retain(|_, b| b.now(calls, per_ms, now) < Bucket::full(calls, per_ms));
        }
        let level = (self.level(key, now) - self.per_ms).max(0);
        self.buckets.insert(key, Bucket { level, at: now });
    }
}

const ANSWERED: Breaker = Breaker::Closed { silences: 0, from: [None; SILENT_ACCOUNTS] };

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Breaker {
    /// `from`: the first accounts that met it.
    Closed {
        silences: u8,
        from: [Option<Key>; SILENT_ACCOUNTS],
    },
    Open {
        until: Timestamp,
        rest_ms: i64,
        probe_since: Option<Timestamp>,
    },
}

/// The gate to one maker's cloud.
#[derive(Debug)]
pub struct Gate {
    breaker: Breaker,
    in_flight: u32,
    in_flight_ahead: u32,
    reads: Budget,
    commands: Budget,
    car_commands: Budget,
    wakes: Budget,
    paused: HashMap<Key, Timestamp>,
    quiet: HashMap<Key, Quiet>,
}

/// An account whose last reading met silence.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    until: Timestamp,
    rest_ms: i64,
}
impl Quiet {
    fn is_over(self, now: Timestamp) -> bool {
        now.millis_since(self.until) > SILENCE_KEPT_MS
    }
}

impl Gate {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            breaker: ANSWERED,
            in_flight: 0,
            in_flight_ahead: 0,
            reads: Budget::new(limits.reads_per_minute, MINUTE_MS),
            commands: Budget::new(limits.commands_per_minute, MINUTE_MS),
            car_commands: Budget::new(limits.commands_per_minute, MINUTE_MS),
            wakes: Budget::new(WAKES_PER_DAY, DAY_MS),
            paused: HashMap::new(),
            quiet: HashMap::new(),
        }
    }

    /// Whether the cloud is taken for down.
    #[must_use]
    pub const fn is_down(&self) -> bool {
        matches!(self.breaker, Breaker::Open { .. })
    }
    /// Calls under way.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Asks to make one call. What is let through is counted as under way until [`Gate::heard`].
    ///
    /// # Errors
    /// [`NotNow`]; never for a lock or for [`Urgency::Safety`].
    pub fn ask(
        &mut self,
        account: Key,
        car: Key,
        call: Call,
        urgency: Urgency,
        now: Timestamp,
    ) -> Result<Pass, NotNow> {
        let always = call == Call::Lock || urgency == Urgency::Safety && call == Call::Read;
        let probe = if always { false } else { self.held_back(account, car, call, urgency, now)? };
        let met_silence = self.quiet.get(&account).is_some_and(|quiet| !quiet.is_over(now));
        let brief = probe || (!always && call == Call::Read && met_silence);
        match call {
            Call::Read => self.reads.take(account, now),
            Call::Wake => self.wakes.take(car, now),
            Call::Signal | Call::Open | Call::Lock => {
                self.commands.take(account, now);
                self.car_commands.take(car, now);
            }
        }
        self.in_flight = self.in_flight.saturating_add(1);
        if urgency == Urgency::Ahead {
            self.in_flight_ahead = self.in_flight_ahead.saturating_add(1);
        }
        if let (true, Breaker::Open { probe_since, .. }) = (probe, &mut self.breaker) {
            *probe_since = Some(now);
        }
        Ok(Pass { account, call, urgency, probe, brief })
    }

    /// `Ok(true)`: let through as the probe of a cloud that is down.
    fn held_back(&self, account: Key, car: Key, call: Call, urgency: Urgency, now: Timestamp) -> Result<bool, NotNow> {
        let not_now = |why, retry_after_ms: i64| Err(NotNow { why, retry_after_ms: retry_after_ms.max(1_000) });
        if self.in_flight >= IN_FLIGHT_MAX || urgency == Urgency::Ahead && self.in_flight_ahead >= IN_FLIGHT_AHEAD_MAX {
            return not_now(Held::TooMany, 2_000);
        }
        if let Some(until) = self.paused.get(&account).filter(|until| **until > now) {
            return not_now(Held::Budget, until.millis_since(now));
        }
        let short_ms = match call {
            Call::Read => {
                let full = Bucket::full(self.reads.calls, self.reads.per_ms);
                // The last quarter is for who must see whether a car is shut; the quarter before for couriers.
                let share = if urgency == Urgency::Ahead { full / 2 } else { full / 4 };
                self.reads.short_ms(account, share.max(MINUTE_MS), now)
            }
            Call::Wake => self.wakes.short_ms(car, DAY_MS, now),
            Call::Signal => self.commands_short_ms(account, car, SIGNAL_LEAVES, now),
            Call::Open | Call::Lock => self.commands_short_ms(account, car, OPEN_LEAVES, now),
        };
        if short_ms > 0 {
            return not_now(Held::Budget, short_ms);
        }
        match self.breaker {
            Breaker::Closed { .. } => match self.quiet.get(&account) {
                Some(quiet) if call == Call::Read && quiet.until > now => {
                    not_now(Held::MakerDown, quiet.until.millis_since(now))
                }
                _ => Ok(false),
            },
            Breaker::Open { until, .. } if now < until => not_now(Held::MakerDown, until.millis_since(now)),
            Breaker::Open { probe_since: Some(since), rest_ms, .. } if now.millis_since(since) < PROBE_LOST_MS => {
                not_now(Held::MakerDown, rest_ms)
            }
            // A reading asks whether it is back; nothing is opened to find that out.
            Breaker::Open { .. } if call == Call::Read => Ok(true),
            Breaker::Open { rest_ms, .. } => not_now(Held::MakerDown, rest_ms),
        }
    }

    fn commands_short_ms(&self, account: Key, car: Key, leaves: i64, now: Timestamp) -> i64 {
        let share = leaves * MINUTE_MS;
        self.commands.short_ms(account, share, now).max(self.car_commands.short_ms(car, share, now))
    }

    /// How a call that was let through ended.
    pub fn heard(&mut self, pass: Pass, heard: Heard, now: Timestamp) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if pass.urgency == Urgency::Ahead {
            self.in_flight_ahead = self.in_flight_ahead.saturating_sub(1);
        }
        if let Heard::ComeLater(after_ms) = heard {
            let pause = after_ms.unwrap_or(PAUSE_MS).clamp(1_000, PAUSE_MAX_MS);
            self.paused.retain(|_, until| *until > now);
            self.paused.insert(pass.account, now.plus_millis(pause));
        }
        self.note_silence(&pass, heard, now);
        self.breaker = match (self.breaker, heard) {
            // A cloud that asks for patience is there.
            (_, Heard::Answer | Heard::ComeLater(_)) => ANSWERED,
            (Breaker::Closed { silences, from }, Heard::Silence) => one_more_silence(silences, from, pass.account, now),
            (Breaker::Open { rest_ms, .. }, Heard::Silence) if pass.probe => {
                let rest_ms = (rest_ms * 2).min(REST_MS[1]);
                Breaker::Open { until: now.plus_millis(rest_ms), rest_ms, probe_since: None }
            }
            (Breaker::Open { until, rest_ms, .. }, Heard::Nothing) if pass.probe => {
                Breaker::Open { until, rest_ms, probe_since: None }
            }
            (as_before, Heard::Silence | Heard::Nothing) => as_before,
        };
    }
}

impl Gate {
    fn note_silence(&mut self, pass: &Pass, heard: Heard, now: Timestamp) {
        match heard {
            Heard::Answer | Heard::ComeLater(_) => {
                self.quiet.remove(&pass.account);
            }
            Heard::Silence if pass.call == Call::Read => {
                let [first_ms, most_ms] = ACCOUNT_REST_MS;
                let before = self.quiet.get(&pass.account).copied().filter(|quiet| !quiet.is_over(now));
                let rest_ms = match before {
                    // Readings that were under way together met the same silence.
                    Some(quiet) if quiet.until > now => return,
                    Some(quiet) => (quiet.rest_ms * 2).min(most_ms),
                    None => first_ms,
                };
                if self.quiet.len() >= REMEMBERED {
                    self.quiet.retain(|_, quiet| quiet.until > now);
                }
                if self.quiet.len() < REMEMBERED {
                    self.quiet.insert(pass.account, Quiet { until: now.plus_millis(rest_ms), rest_ms });
                }
            }
            Heard::Silence | Heard::Nothing => {}
        }
    }
}

fn one_more_silence(silences: u8, mut from: [Option<Key>; SILENT_ACCOUNTS], account: Key, now: Timestamp) -> Breaker {
    let silences = silences.saturating_add(1);
    if !from.contains(&Some(account))
        && let Some(free) = from.iter_mut().find(|known| known.is_none())
    {
        *free = Some(account);
    }
    if silences < SILENCES || from.contains(&None) {
        return Breaker::Closed { silences, from };
    }
    let [rest_ms, _] = REST_MS;
    Breaker::Open { until: now.plus_millis(rest_ms), rest_ms, probe_since: None }
}

impl Pass {
    #[must_use]
    pub const fn call(&self) -> Call {
        self.call
    }
    /// The last one met silence: nobody should wait long for this one.
    #[must_use]
    pub const fn is_brief(&self) -> bool {
        self.brief
    }
}
