//! Closing and locking: commands, their budget, and the proofs.

use parcelshelf_core::actuation::{Confirmation, LockProof, Outcome, Refusal, Shuts};
use parcelshelf_core::time::Timestamp;

use super::{
    AlarmCause, Attempt, By, CarReading, CloseReport, DOOR_PAUSE_MS, DOOR_TRIES, Effect, Effects, LOCK_BACKOFF_MS,
    LOCK_JOIN_MS, LOCK_TRIES, Lock, LockProgress, Notice, Phase, RecordKind,
};

impl Attempt {
    pub(super) fn close_reported(&mut self, report: CloseReport, now: Timestamp, fx: &mut Effects) {
        if matches!(self.p.phase, Phase::Intended | Phase::DidNotHappen(_)) {
            return;
        }
        self.p.close_report = Some(report);
        match self.p.phase {
            // Everybody is out.
            Phase::Open if self.rules.shuts == Shuts::ByCommand => self.shut(By::Courier, now, fx),
            // Whoever is out was in, whatever is seen of the door: shutting it cannot make it worse.
            Phase::Sent | Phase::Unknown { .. } if self.rules.shuts == Shuts::ByCommand => {
                self.take_as_opened(now, fx);
                self.read_at(now, now, fx);
            }
            Phase::Open if !self.rules.lid_state_observed => {
                self.closed(now, fx);
                self.send_lock(By::Keyholder, now, fx);
            }
            Phase::Locking if !self.rules.lock_state_observed => {
                self.prove_without_state(fx);
                // Shut only now, or the handle gave although the maker called it locked: it is locked once more.
                if self.p.lock.done_at.is_some() && !report.handle_checked && self.p.lock.tries < LOCK_TRIES {
                    self.p.lock.done_at = None;
                    self.send_lock(By::Keyholder, now, fx);
                }
                // Shut by the courier's word: what failed because it stood open need not wait for its turn.
                if self.p.phase == Phase::Locking && self.p.lock.next_at.is_some() {
                    self.send_lock(By::Keyholder, now, fx);
                }
            }
            // The maker's last word on the opening is awaited; nothing can be read meanwhile.
            Phase::Sent | Phase::Unknown { .. } if self.blind() => {}
            Phase::Locked(_) => {}
            _ => self.read_at(now, now, fx),
        }
    }

    pub(super) fn closed(&mut self, now: Timestamp, fx: &mut Effects) {
        fx.push(Effect::Record(RecordKind::Closed));
        fx.push(Effect::Notify(Notice::Closed));
        self.p.phase = Phase::Locking;
        self.p.closed_at = Some(now);
        // What was locked before it was shut proves nothing.
        self.p.lock.done_at = None;
    }

    pub(super) fn lock_again(&mut self, now: Timestamp, fx: &mut Effects) {
        self.p.phase = Phase::Locking;
        self.p.closed_at = Some(self.p.closed_at.unwrap_or(now));
        let last_sent_at = self.p.lock.last_sent_at;
        self.p.lock = LockProgress { last_sent_at, ..LockProgress::default() };
        self.send_lock(By::Keyholder, now, fx);
    }

    pub(super) fn lock_requested(&mut self, by: By, now: Timestamp, fx: &mut Effects) {
        let joins = self.p.lock.in_flight_since.is_some_and(|t| (0..LOCK_JOIN_MS).contains(&now.millis_since(t)));
        match self.p.phase {
            _ if joins => {}
            Phase::Open if self.rules.shuts == Shuts::ByCommand && !self.p.ended => self.shut(by, now, fx),
            _ => self.send_lock(by, now, fx),
        }
    }

    pub(super) fn send_lock(&mut self, by: By, now: Timestamp, fx: &mut Effects) {
        let lock = &mut self.p.lock;
        lock.tries = lock.tries.saturating_add(1);
        lock.first_at = Some(lock.first_at.unwrap_or(now));
        lock.in_flight_since = Some(now);
        lock.last_sent_at = Some(now);
        lock.next_at = None;
        fx.push(Effect::SendLock);
        fx.push(Effect::Record(RecordKind::LockSent(by)));
    }

    pub(super) fn lock_answered(&mut self, outcome: Outcome, now: Timestamp, fx: &mut Effects) {
        // An answer to nothing must not put off the next try; "done" is good news whenever it comes.
        if self.p.lock.in_flight_since.take().is_none() && !matches!(outcome, Outcome::Done(_)) {
            return;
        }
        fx.push(Effect::Record(RecordKind::LockAnswered(outcome)));
        if self.p.ended {
            return;
        }
        let done = matches!(outcome, Outcome::Done(c) if c >= Confirmation::Executed);
        if done {
            self.p.lock.done_at = Some(now);
            // Where the lock can be seen, only seeing takes back what was seen: a bolt that jams unnoticed is called done.
            if !self.rules.lock_state_observed {
                self.p.lock.seen_unlocked = false;
                // A handle that held before the bolt was told to engage proves nothing: it is asked for once more.
                if let Some(report) = self.p.close_report.as_mut() {
                    report.handle_checked = false;
                }
            }
        }
        match (self.p.phase, outcome) {
            // A drive that may be at it is not told again: what is seen of the door decides.
            (Phase::Locking, Outcome::Unknown) if self.rules.shuts == Shuts::ByCommand => {}
            (Phase::Locking, Outcome::DidNotHappen(refusal)) => {
                // A bolt that was told and did not come: a hand is needed at this door, and it is told again meanwhile.
                if self.rules.at_home && refusal == Refusal::CarFailed {
                    self.raise(AlarmCause::LockFailed, now, fx);
                }
                self.retry_lock_later(now);
            }
            (Phase::Locking, Outcome::Unknown) => self.retry_lock_later(now),
            _ => {}
        }
        if self.rules.lock_state_observed && matches!(self.p.phase, Phase::Open | Phase::Locking) {
            self.read_at(now, now, fx);
        }
    }

    pub(super) fn retry_lock_later(&mut self, now: Timestamp) {
        if self.is_told_in_vain() {
            return;
        }
        let i = usize::from(self.p.lock.tries.saturating_sub(1)).min(LOCK_BACKOFF_MS.len() - 1);
        let long = self.rules.shuts == Shuts::ByCommand && self.p.lock.tries >= DOOR_TRIES;
        self.p.lock.next_at = Some(now.plus_millis(if long { DOOR_PAUSE_MS } else { LOCK_BACKOFF_MS[i] }));
    }

    pub(super) fn locked(&mut self, proof: LockProof, fx: &mut Effects) {
        self.p.phase = Phase::Locked(proof);
        self.p.lock.next_at = None;
        self.spend(fx);
        fx.push(Effect::Record(RecordKind::Locked(proof)));
        fx.push(Effect::Notify(Notice::Locked(proof)));
        if proof == LockProof::Attested {
            return;
        }
        if self.p.alarm.is_some() {
            fx.push(Effect::Notify(Notice::AllClear));
        }
        if !self.p.released || self.p.recalled {
            self.p.released = true;
            self.p.recalled = false;
            fx.push(Effect::Release);
        }
    }

    pub(super) fn prove_or_retry(&mut self, r: &CarReading, now: Timestamp, fx: &mut Effects) {
        if matches!(self.p.phase, Phase::Locked(LockProof::Observed)) {
            return;
        }
        if self.proves(r) {
            self.locked(LockProof::Observed, fx);
            return;
        }
        self.p.lock.seen_unlocked = r.lock == Lock::Unlocked;
        let idle = self.p.lock.in_flight_since.is_none() && self.p.lock.next_at.is_none();
        if matches!(self.p.phase, Phase::Locking) && idle && self.rules.lock_state_observed && r.lock != Lock::Unknown {
            self.retry_lock_later(now);
        }
    }

    /// *Observed*: locked and closed, newer than the last opening, or read after a lock that the maker called done.
    pub(super) fn proves(&self, r: &CarReading) -> bool {
        let lid_ok = if self.rules.lid_state_observed { r.all_closed() } else { !r.lid_open() };
        let after_opening = match (r.lock_changed_at, self.p.last_opening) {
            (Some(lock), Some(opening)) => lock > opening,
            (Some(lock), None) => self.newer_than_intent(Some(lock)),
            (None, _) => false,
        };
        let after_done = self.p.lock.done_at.is_some_and(|t| r.read_at >= t);
        let locked = self.rules.lock_state_observed && r.lock == Lock::Locked;
        locked && lid_ok && r.doors_all_closed != Some(false) && (after_opening || after_done)
    }

    /// Neither lid nor lock can be read.
    pub(super) const fn blind(&self) -> bool {
        !self.rules.lid_state_observed && !self.rules.lock_state_observed
    }
    /// The maker has called the lock done and the courier's hand at the handle is awaited.
    #[must_use]
    pub fn wants_handle_check(&self) -> bool {
        let checked = self.p.close_report.is_some_and(|c| c.handle_checked && c.photo);
        self.p.phase == Phase::Locking
            && !self.rules.lock_state_observed
            && self.p.lock.done_at.is_some()
            && !checked
            && !self.p.ended
    }

    /// *Executed*: the maker says done, and after that the courier checked the handle and photographed the closed lid.
    /// Only where the state cannot be read.
    pub(super) fn prove_without_state(&mut self, fx: &mut Effects) {
        let checked = self.p.close_report.is_some_and(|c| c.handle_checked && c.photo);
        if self.p.lock.done_at.is_some() && checked && !self.p.lock.seen_unlocked {
            self.locked(LockProof::Executed, fx);
        }
    }
}
