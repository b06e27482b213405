//! Alarm and end, and every deadline: looked at after each event.

use parcelshelf_core::actuation::{LockProof, Outcome};
use parcelshelf_core::time::Timestamp;

use super::{
    AlarmCause, AlarmState, Attempt, By, CONCLUDE_GRACE_MS, Effect, Effects, INTENT_PATIENCE_MS, LOCK_LOST_MS,
    LOCK_PATIENCE_MS, LOCK_TRIES, OPEN_TOO_LONG_MS, Phase, READ_ALARM_MS, READ_FAST_FOR_MS, READ_FAST_MS, READ_LOST_MS,
    READ_MS, READ_SLOW_MS, RELEASE_AFTER_MS, REOPEN_WITHIN_MS, RecordKind, UseFate, WATCH_ACKNOWLEDGED_MS,
};

impl Attempt {
    pub(super) fn raise(&mut self, cause: AlarmCause, now: Timestamp, fx: &mut Effects) {
        // One alarm at a time; one that a person has seen does not cover a new cause.
        if self.p.alarm.is_some_and(|a| a.acknowledged_at.is_none() || a.cause == cause) {
            return;
        }
        self.p.alarm = Some(AlarmState { cause, raised_at: now, acknowledged_at: None });
        fx.push(Effect::Record(RecordKind::AlarmRaised(cause)));
        fx.push(Effect::Raise(cause));
        if self.p.released && !self.p.recalled {
            self.p.recalled = true;
            fx.push(Effect::Recall);
        }
    }

    pub(super) fn acknowledged(&mut self, by: By, now: Timestamp, fx: &mut Effects) {
        if let Some(alarm) = self.p.alarm.as_mut().filter(|a| a.acknowledged_at.is_none()) {
            alarm.acknowledged_at = Some(now);
            fx.push(Effect::Record(RecordKind::AlarmAcknowledged(by)));
        }
    }

    pub(super) fn spend(&mut self, fx: &mut Effects) {
        if self.p.usage == UseFate::Held {
            self.p.usage = UseFate::Spent;
            fx.push(Effect::SpendUse);
        }
    }

    pub(super) fn finish(&mut self, fx: &mut Effects) {
        self.p.ended = true;
        self.p.timer = None;
        self.p.read_due = None;
        fx.push(Effect::Finish);
    }

    pub(super) fn settle(&mut self, now: Timestamp, fx: &mut Effects) {
        if self.p.ended {
            return;
        }
        self.pass_deadlines(now, fx);
        self.end_if_done(now, fx);
        if self.p.ended {
            return;
        }
        self.ask_for_read(now, fx);
        let next = self.next_deadline(now);
        if next != self.p.timer {
            self.p.timer = next;
            if let Some(at) = next {
                fx.push(Effect::SetTimer { at });
            }
        }
    }

    pub(super) fn pass_deadlines(&mut self, now: Timestamp, fx: &mut Effects) {
        let past = |since: Option<Timestamp>, ms: i64| since.is_some_and(|t| now.millis_since(t) >= ms);
        if past(self.p.lock.in_flight_since, LOCK_LOST_MS) {
            self.lock_answered(Outcome::Unknown, now, fx);
        }
        self.inside_deadlines(now, fx);
        match self.p.phase {
            Phase::Intended if past(Some(self.p.intent_at), INTENT_PATIENCE_MS) => {
                if self.licence.is_some() {
                    self.withdraw(fx, now)
                } else {
                    self.recovered(now, fx)
                }
            }
            Phase::Sent | Phase::Armed { .. } | Phase::Unknown { .. }
                if past(self.may_act_until(), CONCLUDE_GRACE_MS) =>
            {
                self.take_as_opened(now, fx);
            }
            Phase::Open if past(self.p.opened_at, OPEN_TOO_LONG_MS) => {
                self.raise(AlarmCause::OpenTooLong, now, fx);
                // Whether it still is open nobody can see. A lid that is down gets locked, an open one refuses.
                if self.blind() {
                    self.lock_again(now, fx);
                }
            }
            Phase::Locking => self.locking_deadlines(now, fx),
            _ => {}
        }
        let waiting = self.p.phase == Phase::Locking && self.p.alarm.is_none() && self.releases_in_time();
        if waiting && !self.p.released && !self.p.lock.seen_unlocked && past(self.p.closed_at, RELEASE_AFTER_MS) {
            self.p.released = true;
            fx.push(Effect::Release);
        }
    }

    /// Whether the courier may go after a while without the proof. Where the lock cannot be seen, a hand at the handle is needed
    /// once more, after the lock; whoever stands before a house's door sees it shut.
    fn releases_in_time(&self) -> bool {
        self.rules.lock_state_observed && !self.rules.at_home
    }

    pub(super) fn locking_deadlines(&mut self, now: Timestamp, fx: &mut Effects) {
        if self.p.lock.next_at.is_some_and(|t| now >= t) {
            self.send_lock(By::Keyholder, now, fx);
        }
        let lock = self.p.lock;
        let out_of_time = lock.first_at.is_some_and(|t| now.millis_since(t) >= LOCK_PATIENCE_MS);
        // The last one failed, too: the next is scheduled already.
        let out_of_tries = lock.tries >= LOCK_TRIES && lock.next_at.is_some();
        if !(out_of_time || out_of_tries) {
            return;
        }
        if lock.next_at.is_none() && lock.in_flight_since.is_none() && lock.done_at.is_none() {
            self.retry_lock_later(now);
        }
        self.prove_without_state(fx);
        if self.p.phase != Phase::Locking {
            return;
        }
        let attested = self.p.close_report.is_some_and(|c| c.handle_checked);
        if lock.seen_unlocked {
            self.raise(AlarmCause::LockFailed, now, fx);
        } else if attested {
            self.locked(LockProof::Attested, fx);
            self.raise(AlarmCause::AttestedOnly, now, fx);
        } else {
            self.raise(AlarmCause::LockUnproved, now, fx);
        }
    }

    pub(super) fn end_if_done(&mut self, now: Timestamp, fx: &mut Effects) {
        let acknowledged_at = self.p.alarm.and_then(|a| a.acknowledged_at);
        let over = match self.p.phase {
            Phase::Locked(LockProof::Attested) => acknowledged_at.is_some(),
            // An alarm followed by a proof needs nobody; the record shows both.
            Phase::Locked(_) => self.may_reopen(now).is_err(),
            _ => acknowledged_at.is_some_and(|t| now.millis_since(t) >= WATCH_ACKNOWLEDGED_MS),
        };
        if over {
            self.finish(fx);
        }
    }

    /// Whether the car's state is worth a read in this phase, and how long to wait before it.
    pub(super) fn read_pace(&self, now: Timestamp) -> Option<i64> {
        let pace = |since: Timestamp| if now.millis_since(since) < READ_FAST_FOR_MS { READ_FAST_MS } else { READ_MS };
        let p = &self.p;
        if !self.rules.lid_state_observed && !self.rules.lock_state_observed {
            return None;
        }
        if let Some(alarm) = p.alarm {
            let fresh = now.millis_since(alarm.raised_at) < WATCH_ACKNOWLEDGED_MS;
            // Whoever stands at a door that does not shut waits for it; its server is in that house and counts nothing.
            let pace = if self.rules.at_home { READ_MS } else { READ_ALARM_MS };
            return Some(if fresh { pace } else { READ_SLOW_MS });
        }
        match p.phase {
            Phase::Sent | Phase::Unknown { .. } => Some(pace(p.sent_at.unwrap_or(p.intent_at))),
            // A hand is at the lid, and whoever closes it says so, which is a reason to look at once.
            Phase::Armed { .. } | Phase::Open => Some(READ_MS),
            Phase::Locking => Some(pace(p.closed_at.unwrap_or(now))),
            Phase::Intended | Phase::Locked(_) | Phase::DidNotHappen(_) => None,
        }
    }

    pub(super) fn ask_for_read(&mut self, now: Timestamp, fx: &mut Effects) {
        match self.read_pace(now) {
            Some(pace) => self.read_at(now.plus_millis(pace), now, fx),
            None => self.p.read_due = None,
        }
    }

    /// Asks for a read, unless one is due at that time or earlier and not lost.
    pub(super) fn read_at(&mut self, at: Timestamp, now: Timestamp, fx: &mut Effects) {
        let pending = self.p.read_due.is_some_and(|due| due <= at && now.millis_since(due) < READ_LOST_MS);
        if !pending {
            self.p.read_due = Some(at);
            fx.push(Effect::ReadCar { at });
        }
    }

    pub(super) fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let p = &self.p;
        let after = |t: Option<Timestamp>, ms: i64| t.map(|t| t.plus_millis(ms));
        let by_phase = match p.phase {
            Phase::Intended => after(Some(p.intent_at), INTENT_PATIENCE_MS),
            Phase::Sent | Phase::Armed { .. } | Phase::Unknown { .. } => after(self.may_act_until(), CONCLUDE_GRACE_MS),
            Phase::Open => after(p.opened_at, OPEN_TOO_LONG_MS),
            Phase::Locking => after(p.lock.first_at, LOCK_PATIENCE_MS),
            Phase::Locked(_) => after(p.closed_at, REOPEN_WITHIN_MS + 1),
            _ => None,
        };
        let release = if p.phase == Phase::Locking && !p.released && self.releases_in_time() {
            after(p.closed_at, RELEASE_AFTER_MS)
        } else {
            None
        };
        let retry = if p.phase == Phase::Locking { p.lock.next_at } else { None };
        let lock_lost = after(p.lock.in_flight_since, LOCK_LOST_MS);
        let watched = after(p.alarm.and_then(|a| a.acknowledged_at), WATCH_ACKNOWLEDGED_MS);
        let read_lost = after(p.read_due, READ_LOST_MS);
        [by_phase, self.next_inside(), release, retry, lock_lost, watched, read_lost]
            .into_iter()
            .flatten()
            .filter(|t| *t > now)
            .min()
    }
}
