//! What is shut by its drive: told to, watched on its way, and an alarm the moment it does not come.

use parcelshelf_core::actuation::Shuts;
use parcelshelf_core::time::Timestamp;

use super::{
    AlarmCause, Attempt, By, CarReading, Effect, Effects, INSIDE_MS, LOCK_TRIES, Lid, Notice, OPEN_TOO_LONG_MS, Phase,
    RecordKind, SHUT_BEGINS_MS,
};

impl Attempt {
    /// Whoever was inside is out, or the time inside is over. Not closed yet: nobody has seen it shut.
    pub(super) fn shut(&mut self, by: By, now: Timestamp, fx: &mut Effects) {
        self.p.phase = Phase::Locking;
        self.p.closed_at = Some(now);
        self.p.lock.done_at = None;
        // It was seen open: the courier waits until it is seen shut.
        self.p.lock.seen_unlocked = true;
        self.send_lock(by, now, fx);
        self.read_at(now.plus_millis(super::READ_FAST_MS), now, fx);
    }

    pub(super) fn seen_while_shutting(&mut self, r: &CarReading, now: Timestamp, fx: &mut Effects) {
        match r.lid {
            Lid::Closed => {
                if self.p.lock.seen_unlocked {
                    fx.push(Effect::Record(RecordKind::Closed));
                    fx.push(Effect::Notify(Notice::Closed));
                    self.p.closed_at = Some(now);
                }
                self.prove_or_retry(r, now, fx);
            }
            // It was seen shut, and the courier is gone.
            Lid::Open | Lid::Ajar | Lid::Stuck if self.p.released => {
                self.p.lock.seen_unlocked = true;
                self.raise(AlarmCause::OpenedAgain, now, fx);
                self.tell_it_again_later(now);
            }
            Lid::Stuck => self.does_not_shut(now, fx),
            // Not on its way, long after it was told.
            Lid::Open if self.was_told_before(now) => self.does_not_shut(now, fx),
            Lid::Open | Lid::Ajar => self.p.lock.seen_unlocked = true,
            Lid::Unknown => self.lost(now, fx),
        }
    }

    /// A door that is not seen open, and has been told often enough: told once more, it would say that it is shut. It is looked
    /// at, and somebody has been called.
    pub(super) fn is_told_in_vain(&self) -> bool {
        let lock = &self.p.lock;
        self.rules.shuts == Shuts::ByCommand && !lock.seen_unlocked && lock.tries >= LOCK_TRIES
    }

    fn was_told_before(&self, now: Timestamp) -> bool {
        self.p.lock.last_sent_at.is_none_or(|t| now.millis_since(t) >= SHUT_BEGINS_MS)
    }

    /// A person must look. It is told again meanwhile, after a while each time: a drive yields to what is in its way.
    fn does_not_shut(&mut self, now: Timestamp, fx: &mut Effects) {
        self.p.lock.seen_unlocked = true;
        self.raise(AlarmCause::DoesNotShut, now, fx);
        self.tell_it_again_later(now);
    }

    /// Open when it was last seen, and now nobody can say: alarm at once.
    pub(super) fn lost(&mut self, now: Timestamp, fx: &mut Effects) {
        // Last seen shut, and not proved so: that is an alarm of its own, and the two would follow each other for ever.
        if self.p.phase == Phase::Locking && !self.p.lock.seen_unlocked {
            return;
        }
        self.raise(AlarmCause::LostWhileOpen, now, fx);
        if self.p.phase == Phase::Locking {
            self.tell_it_again_later(now);
        }
    }

    fn tell_it_again_later(&mut self, now: Timestamp) {
        let lock = &self.p.lock;
        if lock.in_flight_since.is_none() && lock.next_at.is_none() && self.was_told_before(now) {
            self.retry_lock_later(now);
        }
    }

    /// The time inside is over, or it takes too long to be seen shut.
    pub(super) fn inside_deadlines(&mut self, now: Timestamp, fx: &mut Effects) {
        if self.rules.shuts != Shuts::ByCommand {
            return;
        }
        let past = |since: Option<Timestamp>, ms: i64| since.is_some_and(|t| now.millis_since(t) >= ms);
        if self.p.phase == Phase::Open && past(self.p.opened_at, INSIDE_MS) {
            self.shut(By::Keyholder, now, fx);
        }
        // Whoever has an alarm of it already knows: two causes that follow each other would never be done.
        let seen_open = self.p.phase == Phase::Locking && self.p.lock.seen_unlocked && self.p.alarm.is_none();
        if seen_open && past(self.p.opened_at, OPEN_TOO_LONG_MS) {
            self.raise(AlarmCause::OpenTooLong, now, fx);
        }
    }

    /// When the next of these is due.
    pub(super) fn next_inside(&self) -> Option<Timestamp> {
        let after = match (self.rules.shuts, self.p.phase) {
            (Shuts::ByCommand, Phase::Open) => INSIDE_MS,
            (Shuts::ByCommand, Phase::Locking) if self.p.alarm.is_none() => OPEN_TOO_LONG_MS,
            _ => return None,
        };
        self.p.opened_at.map(|t| t.plus_millis(after))
    }
}
