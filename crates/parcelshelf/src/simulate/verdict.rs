//! The judge of a day: what the cars and doors themselves recorded, joined with bundles verified offline. Pure.
//!
//! Neither the services' counters nor anybody's word count. Where a car's record and its delivery's bundle disagree there
//! is a violation; and where a front door was told to unlock and nobody can have seen what is there.

use parcelshelf_core::actuation::LockProof;
use parcelshelf_core::time::Timestamp;
use parcelshelf_protocol::bundle::{self, Anchors, Verdict};
use parcelshelf_protocol::records::{CommandOutcome, Event};
use parcelshelf_simulator::garage::Seen;
use serde_json::{Value, json};

/// A request that was on its way to the maker when the owner blocked arrives within this.
const ON_ITS_WAY_MS: i64 = 1_000;

/// What must not happen, counted in deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Violations {
    /// A lid was opened, or a command to open arrived, that no intent in the bundle stands for.
    pub opened_without_chain: u32,
    /// A place reached a phone, or was read at the maker, that no live grant stands for.
    pub located_without_chain: u32,
    pub second_opening: u32,
    /// A front door was told to unlock behind a camera that had lied or been silent, or with a lock that had been lost, since
    /// before anybody looked.
    pub unlocked_unseen: u32,
    pub left_open_without_alarm: u32,
    /// Nobody knew whether it opened, and neither a proof nor an alarm came of it.
    pub unknown_left: u32,
    pub without_end: u32,
}
impl Violations {
    #[must_use]
    pub const fn sum(self) -> u32 {
        self.opened_without_chain
            + self.located_without_chain
            + self.second_opening
            + self.unlocked_unseen
            + self.left_open_without_alarm
            + self.unknown_left
            + self.without_end
    }
    #[must_use]
    pub fn to_json(self) -> Value {
        json!({
            "opened_without_chain": self.opened_without_chain,
            "located_without_chain": self.located_without_chain,
            "second_opening": self.second_opening,
            "unlocked_unseen": self.unlocked_unseen,
            "left_open_without_alarm": self.left_open_without_alarm,
            "unknown_left": self.unknown_left,
            "without_end": self.without_end,
        })
    }
    pub fn add(&mut self, other: Self) {
        self.opened_without_chain += other.opened_without_chain;
        self.located_without_chain += other.located_without_chain;
        self.second_opening += other.second_opening;
        self.unlocked_unseen += other.unlocked_unseen;
        self.left_open_without_alarm += other.left_open_without_alarm;
        self.unknown_left += other.unknown_left;
        self.without_end += other.without_end;
    }
}

/// Everything about one delivery that the judge looks at.
#[derive(Debug)]
pub struct Case<'a> {
    /// The car's record when owners had proved possession: what came before was done with a key.
    pub before: &'a Seen,
    pub after: &'a Seen,
    /// `None`: the owner never allowed anything.
    pub bundle: Option<&'a [u8]>,
    pub anchors: &'a Anchors,
    /// Places that reached the courier's phone.
    pub places_shown: u32,
    /// The courier's page said at some time that nobody knows.
    pub saw_unknown: bool,
    /// A house's door: it is found by its address, and no place is shown to anybody.
    pub is_home: bool,
    /// For how long one wish for a place goes on asking the maker: what began before a block may be answered after it.
    pub asks_for_a_place_ms: i64,
    /// The carrier says that it has ended, and everything at the car is over.
    pub ended: bool,
}

/// What the judge found.
#[derive(Debug, Clone)]
pub struct Finding {
    pub violations: Violations,
    pub lock_proof: Option<LockProof>,
    pub alarmed: bool,
    /// There was an opening of which somebody could not say whether it happened: what became of that.
    pub unknown: Option<Settled>,
    /// A front door was told to unlock, or unlocked late, while camera, network or lock failed, which had not when somebody looked.
    pub failed_since_seen: bool,
    /// Why the bundle does not hold, if it does not.
    pub refused: Option<&'static str>,
}

/// What became of an opening that was unknown for a while, or stayed so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It turned out what had happened, or the lock was proved whatever had.
    Resolved,
    /// A person was called.
    Alarmed,
    Neither,
}

/// Judges one delivery.
#[must_use]
pub fn judge(case: &Case<'_>) -> Finding {
    let (verdict, refused) = match case.bundle.map(|bytes| bundle::verify(bytes, Some(case.anchors))) {
        Some(Ok(verdict)) => (Some(verdict), None),
        Some(Err(refused)) => (None, Some(refused.code())),
        None => (None, None),
    };
    let proved = Proved::of(verdict.as_ref());
    let new = |all: &[Timestamp], known: &[Timestamp]| all.get(known.len()..).unwrap_or_default().to_vec();
    let opened_at = new(&case.after.lid_opened_at, &case.before.lid_opened_at);
    let openings = case.after.lid_openings.saturating_sub(case.before.lid_openings);
    let commands = case.after.open_commands.saturating_sub(case.before.open_commands);
    let reads = new(&case.after.position_reads_at, &case.before.position_reads_at);

    // The lid can open only after an intent, and as often as bundles say that it did or may have.
    let without_intent = opened_at.iter().any(|at| proved.intended_at.first().is_none_or(|intent| intent > at));
    let opened = without_intent || openings > u64::from(proved.openings) || commands > proved.intended_at.len() as u64;
    let dead_read = reads.iter().any(|at| !proved.live_at(*at, case.asks_for_a_place_ms));
    let shown_at_home = case.is_home && (case.places_shown > 0 || proved.disclosed > 0);
    let located = dead_read || case.places_shown > proved.disclosed || shown_at_home;
    let touched = openings > 0 || commands > 0;
    let left_open = touched && !case.after.shut_and_locked && !proved.alarmed;
    let untrue = touched && !case.after.shut_and_locked && proved.lock_proof == Some(LockProof::Observed);
    // By the car's record and by the bundle: commands of which no record says what became of them.
    let sent = commands.max(proved.intended_at.len() as u64);
    let undecided = sent > u64::from(proved.decided);
    let unknown = (undecided || case.saw_unknown).then_some(match (undecided, proved.lock_proof, proved.alarmed) {
        (false, ..) | (true, Some(_), _) => Settled::Resolved,
        (true, None, true) => Settled::Alarmed,
        (true, None, false) => Settled::Neither,
    });
    let unproved = openings > 0 && proved.lock_proof.is_none() && !proved.alarmed;
    let violations = Violations {
        opened_without_chain: u32::from(opened),
        located_without_chain: u32::from(located),
        second_opening: u32::from(openings > 1 || commands > 1),
        unlocked_unseen: u32::from(case.after.unseen_unlocks > case.before.unseen_unlocks),
        left_open_without_alarm: u32::from(left_open || untrue || unproved),
        unknown_left: u32::from(unknown == Some(Settled::Neither)),
        without_end: u32::from(!case.ended),
    };
    let failed_since_seen = case.after.failed_since_seen > case.before.failed_since_seen;
    Finding { violations, lock_proof: proved.lock_proof, alarmed: proved.alarmed, unknown, failed_since_seen, refused }
}

/// What a bundle proves, as far as it matters here. Without a bundle that holds: nothing.
#[derive(Default)]
struct Proved {
    accepted_at: Option<Timestamp>,
    dead_from: Option<Timestamp>,
    intended_at: Vec<Timestamp>,
    openings: u32,
    /// Commands that opened, or definitely did not.
    decided: u32,
    disclosed: u32,
    lock_proof: Option<LockProof>,
    alarmed: bool,
}
impl Proved {
    fn of(verdict: Option<&Verdict>) -> Self {
        let Some(verdict) = verdict else { return Self::default() };
        let at = |wanted: fn(&Event) -> bool| verdict.timeline.iter().filter(move |m| wanted(&m.event)).map(|m| m.at);
        let blocked = at(|e| matches!(e, Event::Blocked { .. })).next();
        Self {
            accepted_at: at(|e| matches!(e, Event::GrantAccepted { .. })).next(),
            dead_from: Some(blocked.map_or(verdict.window.end(), |b| b.min(verdict.window.end()))),
            intended_at: at(|e| matches!(e, Event::OpenIntended { .. })).collect(),
            openings: verdict.openings + verdict.unknown,
            decided: u32::try_from(
                at(|e| matches!(e, Event::Outcome { outcome, .. } if *outcome != CommandOutcome::Unknown)).count(),
            )
            .unwrap_or(0),
            disclosed: u32::try_from(at(|e| matches!(e, Event::PlaceDisclosed { .. })).count()).unwrap_or(0),
            lock_proof: verdict.lock_proof,
            alarmed: at(|e| matches!(e, Event::Alarm { .. })).next().is_some(),
        }
    }
    fn live_at(&self, at: Timestamp, asked_for_ms: i64) -> bool {
        let begun = self.accepted_at.is_some_and(|from| at >= from);
        begun && self.dead_from.is_some_and(|end| at <= end.plus_millis(ON_ITS_WAY_MS + asked_for_ms))
    }
}
