//! The simulator's own record of every lid, lock, command and reading of a place: the evidence a run is judged by.

use std::collections::{BTreeMap, VecDeque};

use parcelshelf_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::car::{By, Closure, Happening, Lid, Lock};

/// Entries kept in full; older ones are dropped and counted. The tallies count everything.
pub const ENTRIES_MAX: usize = 100_000;
/// Times kept of one kind for one car.
const TIMES_MAX: usize = 256;
/// Entries in one answer.
pub const PAGE_MAX: usize = 1_000;

#[derive(Clone, Debug)]
pub struct Entry {
    pub seq: u64,
    pub at: Timestamp,
    pub vin: String,
    pub kind: &'static str,
    detail: Map<String, Value>,
}
impl Entry {
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut all = Map::new();
        all.insert("seq".into(), json!(self.seq));
        all.insert("at".into(), json!(self.at.to_rfc3339()));
        all.insert("vin".into(), json!(self.vin));
        all.insert("kind".into(), json!(self.kind));
        all.extend(self.detail.clone());
        Value::Object(all)
    }
}

/// Sums per car, never dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often the tailgate went from shut to open.
    pub tailgate_openings: u64,
    /// How often any door, hood or tailgate went from shut to open.
    pub lid_openings: u64,
    pub unlocks: u64,
    pub locks: u64,
    /// Commands that arrived at the cloud for this car, by name, whatever was answered.
    pub commands: BTreeMap<&'static str, u64>,
    pub position_reads: u64,
    /// When, the first 256 of them.
    pub position_reads_at: Vec<Timestamp>,
    /// When the tailgate was opened, the first 256 times.
    pub tailgate_opened_at: Vec<Timestamp>,
    pub last_opened_at: Option<Timestamp>,
    pub last_locked_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub struct Record {
    entries: VecDeque<Entry>,
    next: u64,
    dropped: u64,
    tallies: BTreeMap<String, Tally>,
    /// API requests that arrived, with whatever credentials.
    pub requests: u64,
    /// Commands among them that reached a car's cloud entry.
    pub commands: u64,
    /// Requests to the token endpoint.
    pub token_requests: u64,
}

/// What became of a command, for the record.
#[derive(Clone, Copy, Debug)]
pub struct CommandSeen<'a> {
    pub command: &'static str,
    pub owner: &'a str,
    /// The car did it.
    pub acted: bool,
    /// The car will do it later.
    pub acts_at: Option<Timestamp>,
    /// `success`, type and code of an error, or `nothing`.
    pub answered: &'a str,
}

impl Record {
    pub fn command(&mut self, at: Timestamp, vin: &str, seen: CommandSeen<'_>) {
        self.commands += 1;
        *self.tally_of(vin).commands.entry(seen.command).or_default() += 1;
        self.push(
            at,
            vin,
            "command",
            json!({
                "command": seen.command,
                "owner": seen.owner,
                "acted": seen.acted,
                "acts_at": seen.acts_at.map(Timestamp::to_rfc3339),
                "answered": seen.answered,
            }),
        );
    }
    /// A place left the cloud.
    pub fn position_read(&mut self, at: Timestamp, vin: &str, owner: &str) {
        let tally = self.tally_of(vin);
        tally.position_reads += 1;
        if tally.position_reads_at.len() < TIMES_MAX {
            tally.position_reads_at.push(at);
        }
        self.push(at, vin, "position_read", json!({ "owner": owner }));
    }
    pub fn happened(&mut self, at: Timestamp, vin: &str, happening: Happening) {
        self.count(at, vin, happening);
        let (kind, detail) = match happening {
            Happening::Lid { closure, value } => ("lid", json!({"closure": closure.code(), "value": value.code()})),
            Happening::Lock { value, by } => ("lock", json!({"value": value.code(), "by": by.code()})),
            Happening::TripStarted => ("trip_started", json!({})),
            Happening::TripEnded => ("trip_ended", json!({})),
        };
        self.push(at, vin, kind, detail);
    }
    /// A lid, lock or place that was there from the start is told once, when the car enters the world.
    pub fn entered(&mut self, at: Timestamp, vin: &str) {
        self.tally_of(vin);
        self.push(at, vin, "entered", json!({}));
    }

    fn count(&mut self, at: Timestamp, vin: &str, happening: Happening) {
        let tally = self.tally_of(vin);
        match happening {
            Happening::Lid { closure, value: Lid::Open } => {
                if closure == Closure::Tailgate {
                    tally.tailgate_openings += 1;
                    if tally.tailgate_opened_at.len() < TIMES_MAX {
                        tally.tailgate_opened_at.push(at);
                    }
                }
                tally.lid_openings += 1;
                tally.last_opened_at = Some(at);
            }
            Happening::Lock { value: Lock::Locked, .. } => {
                tally.locks += 1;
                tally.last_locked_at = Some(at);
            }
            Happening::Lock { value: Lock::Unlocked, by } => {
                debug_assert!(by != By::Car, "a car never unlocks by itself");
                tally.unlocks += 1;
            }
            _ => {}
        }
    }
    fn tally_of(&mut self, vin: &str) -> &mut Tally {
        self.tallies.entry(vin.to_owned()).or_default()
    }
    fn push(&mut self, at: Timestamp, vin: &str, kind: &'static str, detail: Value) {
        if self.entries.len() == ENTRIES_MAX {
            self.entries.pop_front();
            self.dropped += 1;
        }
        self.next += 1;
        let detail = if let Value::Object(map) = detail { map } else { Map::new() };
        self.entries.push_back(Entry { seq: self.next, at, vin: vin.to_owned(), kind, detail });
    }

    #[must_use]
    pub fn tally(&self, vin: &str) -> Tally {
        self.tallies.get(vin).cloned().unwrap_or_default()
    }
    /// Entries after `seq`, at most `limit`, of one car if `vin` is given; with the counters.
    #[must_use]
    pub fn page(&self, after: u64, limit: usize, vin: Option<&str>) -> Value {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut matching =
            self.entries.iter().filter(|e| e.seq > after && vin.is_none_or(|v| e.vin == v)).take(limit + 1);
        let mut entries: Vec<&Entry> = matching.by_ref().collect();
        let more = entries.len() > limit;
        entries.truncate(limit);
        json!({
            "entries": entries.iter().map(|e| e.to_json()).collect::<Vec<_>>(),
            "next_after": more.then(|| entries.last().map(|e| e.seq)),
            "dropped": self.dropped,
            "requests": self.requests,
            "commands": self.commands,
            "token_requests": self.token_requests,
        })
    }
}
