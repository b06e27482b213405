//! The judge: the simulator's own record of lids and locks, joined with a bundle that was verified offline.
//!
//! Nobody's word counts: neither the services' answers nor the courier's. What the car did stands in the simulator's
//! record, what was permitted and written stands in the bundle; where the two disagree there is a violation.

use parcelshelf_core::actuation::LockProof;
use parcelshelf_opening::grant::{Calendar, WeeklyHours};
use parcelshelf_protocol::bundle::{self, Anchors, Verdict};
use parcelshelf_protocol::grant::Weekday;
use serde_json::{Value, json};

/// What the judge found out about one delivery.
#[derive(Debug, Clone)]
pub struct Finding {
    pub openings: u64,
    pub lock_proof: Option<LockProof>,
    /// Codes; empty if everything agrees.
    pub violations: Vec<&'static str>,
    pub verdict: Option<Verdict>,
}

/// What happened to a car between two looks at the simulator's summary.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub tailgate_openings: u64,
    /// Commands to unlock that reached the maker's cloud.
    pub unlock_commands: u64,
    pub shut_and_locked: bool,
}

impl Seen {
    /// From an entry of `/__sim/summary`.
    #[must_use]
    pub fn of(car: &Value) -> Self {
        let number = |v: &Value| v.as_u64().unwrap_or(0);
        Self {
            // The makers call the lid for parcels and the command for it differently.
            tailgate_openings: number(&car["tailgate_openings"])
                + number(&car["trunk_openings"])
                + number(&car["door_openings"]),
            unlock_commands: ["unlock", "unlockTrunk", "actuate_trunk", "door_unlock", "open_cover"]
                .iter()
                .map(|name| number(&car["commands"][name]))
                .sum(),
            shut_and_locked: car["shut_and_locked"] == json!(true),
        }
    }
    /// What is new since an earlier look.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            tailgate_openings: self.tailgate_openings.saturating_sub(before.tailgate_openings),
            unlock_commands: self.unlock_commands.saturating_sub(before.unlock_commands),
            shut_and_locked: self.shut_and_locked,
        }
    }
}

/// Whether a delivery or a visit under a standing rule lay in the rule's hours; what is for one delivery has none.
#[must_use]
pub fn in_hours(verdict: &Verdict) -> bool {
    let Some(signed) = &verdict.standing else { return true };
    let s = &signed.schedule;
    let hours = |day: &Weekday| WeeklyHours { weekday: day.iso(), from_minute: s.from_minute, to_minute: s.to_minute };
    let calendar = Calendar::new(s.days.iter().map(hours).collect(), &s.zone, signed.life);
    calendar.is_ok_and(|calendar| calendar.covers_whole(verdict.window))
}

/// Judges one delivery by what the car did and what the bundle proves.
#[must_use]
pub fn judge(seen: Seen, bundle: &[u8], anchors: &Anchors) -> Finding {
    let mut violations = Vec::new();
    let verdict = match bundle::verify(bundle, Some(anchors)) {
        Ok(verdict) => Some(verdict),
        Err(refused) => {
            violations.push(refused.code());
            None
        }
    };
    let proved = verdict.as_ref();
    if proved.is_some_and(|v| !in_hours(v)) {
        violations.push("outside_the_rule");
    }
    let intended = proved.map_or(0, |v| v.timeline.iter().filter(|m| m.event.kind() == "open_intended").count());
    let opened = proved.map_or(0, |v| u64::from(v.openings + v.unknown));
    if seen.unlock_commands > intended as u64 {
        violations.push("command_without_record");
    }
    if seen.tailgate_openings > opened {
        violations.push("opened_without_record");
    }
    if seen.tailgate_openings > 1 {
        violations.push("second_opening");
    }
    let lock_proof = proved.and_then(|v| v.lock_proof);
    let alarmed = proved.is_some_and(|v| v.timeline.iter().any(|m| m.event.kind() == "alarm"));
    if seen.tailgate_openings > 0 && lock_proof.is_none() && !alarmed {
        violations.push("no_lock_proof");
    }
    if !seen.shut_and_locked && !alarmed {
        violations.push("left_open_without_alarm");
    }
    if !seen.shut_and_locked && lock_proof == Some(LockProof::Observed) {
        violations.push("lock_proof_untrue");
    }
    Finding { openings: seen.tailgate_openings, lock_proof, violations, verdict }
}
