//! The table of an attempt and its transitions.

use parcelshelf_core::actuation::{Confirmation, LockProof, Outcome, Refusal};
use parcelshelf_core::time::Timestamp;

use super::{
    AlarmCause, AlarmState, Attempt, By, CLOCK_SKEW_MS, COMMANDS_MAX, CONCLUDE_GRACE_MS, CarReading, CloseReport,
    EXECUTED_AFTER_MS, Effect, Event, INTENT_PATIENCE_MS, LOCK_BACKOFF_MS, LOCK_JOIN_MS, LOCK_LOST_MS,
    LOCK_PATIENCE_MS, LOCK_TRIES, Lid, Lock, LockProgress, MakerRules, Notice, OPEN_TOO_LONG_MS, Phase, READ_ALARM_MS,
    READ_FAST_FOR_MS, READ_FAST_MS, READ_LOST_MS, READ_MS, READ_SLOW_MS, RELEASE_AFTER_MS, REOPEN_WITHIN_MS,
    RecordKind, ReopenRefused, UseFate, WATCH_ACKNOWLEDGED_MS,
};
use crate::conditions::OpenPermit;
use crate::grant::{BlockEpoch, VerifiedChain};

type Effects = Vec<Effect>;

impl Attempt {
    /// Begins an attempt with a reserved use. The shell stores [`Attempt::parts`] and the record in the transaction
    /// that reserves; then it gives [`Event::IntentDurable`].
    #[must_use]
    pub fn intend(chain: VerifiedChain, rules: MakerRules, now: Timestamp) -> (Self, Vec<Effect>) {
        let mut attempt = Self::begin(chain, rules, now);
        let mut fx = vec![Effect::Record(RecordKind::OpenIntended(1))];
        attempt.settle(now, &mut fx);
        (attempt, fx)
    }

    /// The table: state, event, now → state, effects. Total: an event that a state has no use for changes nothing.
    #[must_use]
    pub fn handle(mut self, event: Event, now: Timestamp) -> (Self, Vec<Effect>) {
        let mut fx = Effects::new();
        match (self.p.phase, event) {
            // A lock is never refused, in no state.
            (_, Event::LockRequested(by)) => self.lock_requested(by, now, &mut fx),
            (_, Event::ReopenRequested { permit, epoch }) => self.reopen(&permit, epoch, now, &mut fx),
            (_, Event::LockAnswered { outcome }) => self.lock_answered(outcome, now, &mut fx),
            // After the end only the three above mean anything.
            _ if self.p.ended => {}

            (Phase::Intended, Event::IntentDurable { epoch }) => self.command_may_leave(epoch, now, &mut fx),
            (Phase::Intended, Event::Blocked) => {
                self.note_block(&mut fx);
                self.withdraw(&mut fx, now);
            }
            (_, Event::Blocked) => self.block(now, &mut fx),

            (Phase::Sent, Event::CommandSent { at }) => self.p.sent_at = Some(at),
            (Phase::Sent | Phase::Unknown { .. }, Event::CommandAnswered { outcome, may_act_until, ready_until }) => {
                self.answered(outcome, may_act_until, ready_until, now, &mut fx);
            }

            (_, Event::CarRead(reading)) => {
                self.p.read_due = None;
                self.seen(&reading, now, &mut fx);
            }
            (_, Event::CarUnreadable) => {
                self.p.read_due = None;
                self.unreadable(now, &mut fx);
            }
            (_, Event::CloseReported(report)) => self.close_reported(report, now, &mut fx),
            (_, Event::StopEnded) => self.p.stop_ended = true,
            (_, Event::Recovered) => self.recovered(now, &mut fx),
            (_, Event::Acknowledged { by }) => self.acknowledged(by, now, &mut fx),
            // Deadlines are looked at after every event.
            (_, Event::Timer) => {}

            // Late or repeated: the state has moved on.
            (_, Event::IntentDurable { .. } | Event::CommandSent { .. } | Event::CommandAnswered { .. }) => {}
        }
        self.settle(now, &mut fx);
        (self, fx)
    }

    /// Whether [`Event::ReopenRequested`] would be granted now, given a fresh permit. Otherwise a new proof of the same
    /// device joins the attempt and sends nothing.
    ///
    /// # Errors
    /// [`ReopenRefused`] with the first reason.
    pub fn may_reopen(&self, now: Timestamp) -> Result<(), ReopenRefused> {
        let p = &self.p;
        let closed_at = match (p.ended, p.phase, p.closed_at) {
            (true, ..) => return Err(ReopenRefused::Ended),
            (false, Phase::Unknown { .. }, _) => return Err(ReopenRefused::Unknown),
            (false, Phase::Locking | Phase::Locked(_), Some(at)) => at,
            _ => return Err(ReopenRefused::NotClosed),
        };
        if p.recovered {
            Err(ReopenRefused::Recovered)
        } else if p.blocked {
            Err(ReopenRefused::Blocked)
        } else if p.opened_at.is_none() {
            // Taken as opened without having been seen: the open before is the unknown one.
            Err(ReopenRefused::Unknown)
        } else if p.reopened || p.commands >= COMMANDS_MAX || p.stop_ended {
            Err(ReopenRefused::UsedUp)
        } else if p.alarm.is_some() {
            Err(ReopenRefused::Alarm)
        } else if now.millis_since(closed_at) > REOPEN_WITHIN_MS {
            Err(ReopenRefused::TooLate)
        } else {
            Ok(())
        }
    }

    // ---- opening -------------------------------------------------------------------------------------------------

    /// The only place that says "send the open command".
    fn command_may_leave(&mut self, epoch: BlockEpoch, now: Timestamp, fx: &mut Effects) {
        match self.licence.take() {
            Some(chain) if chain.epoch() == epoch && !self.p.blocked && !self.p.recovered => {
                self.p.phase = Phase::Sent;
                self.p.sent_at = Some(now);
                fx.push(Effect::SendOpen { command: self.p.commands });
            }
            // Restored from a store: whether it left before nobody knows.
            None => self.recovered(now, fx),
            Some(_) => self.withdraw(fx, now),
        }
    }

    /// Nothing has left and nothing will.
    fn withdraw(&mut self, fx: &mut Effects, now: Timestamp) {
        self.licence = None;
        self.did_not_happen(Refusal::NeverSent, now, fx);
    }

    fn answered(
        &mut self,
        outcome: Outcome,
        may_act_until: Option<Timestamp>,
        ready_until: Option<Timestamp>,
        now: Timestamp,
        fx: &mut Effects,
    ) {
        let window = self.rules.opening_is_a_window;
        let window_end =
            |from: Timestamp, rules: &MakerRules| ready_until.unwrap_or(from.plus_millis(rules.default_window_ms));
        match outcome {
            Outcome::Done(Confirmation::Armed | Confirmation::Executed | Confirmation::Observed) if window => {
                self.armed(window_end(now, &self.rules), now, fx);
            }
            Outcome::Done(Confirmation::Executed | Confirmation::Observed) => self.opened(now, now, fx),
            Outcome::Done(Confirmation::Armed) => self.armed(window_end(now, &self.rules), now, fx),
            Outcome::DidNotHappen(refusal) if may_act_until.is_none_or(|t| t <= now) => {
                self.did_not_happen(refusal, now, fx);
            }
            Outcome::DidNotHappen(refusal) => {
                self.p.claimed = Some(refusal);
                let until = self.acts_until(may_act_until, ready_until);
                self.watch(until, Notice::MayStillOpen { until }, fx);
            }
            // Taken by the cloud or the car, not known to be done.
            Outcome::Done(Confirmation::Accepted | Confirmation::Delivered) | Outcome::Unknown => {
                let until = self.acts_until(may_act_until, ready_until);
                self.watch(until, Notice::LookAtTheLid, fx);
            }
        }
    }

    /// Until when an unfinished open may act: as told, but never shorter than the maker's rules say.
    fn acts_until(&self, may_act_until: Option<Timestamp>, ready_until: Option<Timestamp>) -> Timestamp {
        let by_rule = match self.p.phase {
            Phase::Unknown { until } => until,
            _ => self.unanswered_until(self.p.sent_at.unwrap_or(self.p.intent_at)),
        };
        let window = if self.rules.opening_is_a_window { self.rules.default_window_ms } else { 0 };
        let told = may_act_until.map(|t| ready_until.unwrap_or(t.plus_millis(window)));
        told.map_or(by_rule, |t| t.max(by_rule))
    }

    fn armed(&mut self, until: Timestamp, now: Timestamp, fx: &mut Effects) {
        fx.push(Effect::Record(RecordKind::Armed));
        if !self.rules.lid_state_observed {
            // Whether a hand used the window cannot be seen: taken as opened.
            self.opened(now, now, fx);
            return;
        }
        self.p.phase = Phase::Armed { until };
        fx.push(Effect::Notify(Notice::Ready { until }));
    }

    fn watch(&mut self, until: Timestamp, notice: Notice, fx: &mut Effects) {
        if !matches!(self.p.phase, Phase::Unknown { .. }) {
            fx.push(Effect::Record(RecordKind::OpenUnknown));
            fx.push(Effect::Notify(notice));
        }
        self.p.phase = Phase::Unknown { until };
    }

    fn opened(&mut self, opening: Timestamp, now: Timestamp, fx: &mut Effects) {
        self.spend(fx);
        if self.p.phase != Phase::Open {
            fx.push(Effect::Record(RecordKind::Opened));
            fx.push(Effect::Notify(Notice::Opened));
            self.p.opened_at = Some(now);
            self.p.lock = LockProgress { last_sent_at: self.p.lock.last_sent_at, ..LockProgress::default() };
            self.p.close_report = None;
        }
        self.p.phase = Phase::Open;
        self.p.closed_at = None;
        self.p.last_opening = Some(self.p.last_opening.map_or(opening, |t| t.max(opening)));
        if self.p.commands > 1 {
            self.p.reopened = true;
        }
    }

    /// Definitely did not happen. A first command ends the attempt; a reopening leaves a car that must be locked.
    fn did_not_happen(&mut self, refusal: Refusal, now: Timestamp, fx: &mut Effects) {
        fx.push(Effect::Record(RecordKind::OpenDidNotHappen(refusal)));
        fx.push(Effect::Notify(Notice::WillNotOpen(refusal)));
        if self.p.usage == UseFate::Spent {
            self.lock_again(now, fx);
            return;
        }
        self.p.phase = Phase::DidNotHappen(refusal);
        self.p.usage = UseFate::Returned;
        fx.push(Effect::ReturnUse);
        self.finish(fx);
    }

    /// After the time in which the command may act: what does the car's state say?
    fn conclude(&mut self, r: &CarReading, now: Timestamp, fx: &mut Effects) {
        let nothing_moved = r.all_closed()
            && r.lock == Lock::Locked
            && self.rules.lid_state_observed
            && self.rules.lock_state_observed
            && !self.newer_than_intent(r.lid_changed_at)
            && !self.newer_than_intent(r.lock_changed_at);
        if nothing_moved {
            let by_default = if self.rules.opening_is_a_window { Refusal::WindowPassed } else { Refusal::MakerRefused };
            self.did_not_happen(self.p.claimed.unwrap_or(by_default), now, fx);
            return;
        }
        // Unlocked, or unlocked and locked since: nobody can say that it was not opened.
        self.take_as_opened(now, fx);
        self.prove_or_retry(r, now, fx);
    }

    /// It may have been opened: the use is spent, the car is locked.
    fn take_as_opened(&mut self, now: Timestamp, fx: &mut Effects) {
        self.spend(fx);
        if self.p.commands > 1 {
            self.p.reopened = true;
        }
        self.p.opened_at = None;
        self.lock_again(now, fx);
    }

    // ---- the car's state -----------------------------------------------------------------------------------------

    fn seen(&mut self, r: &CarReading, now: Timestamp, fx: &mut Effects) {
        if r.read_at < self.p.intent_at {
            return;
        }
        match self.p.phase {
            Phase::Sent | Phase::Armed { .. } | Phase::Unknown { .. } => self.seen_before_opening(r, now, fx),
            Phase::Open => self.seen_while_open(r, now, fx),
            Phase::Locking | Phase::Locked(_) => self.seen_after_close(r, now, fx),
            Phase::Intended | Phase::DidNotHappen(_) => {}
        }
    }

    fn seen_before_opening(&mut self, r: &CarReading, now: Timestamp, fx: &mut Effects) {
        if r.lid_open() {
            self.opened(r.lid_changed_at.unwrap_or(r.read_at), now, fx);
        } else if r.lid == Lid::Closed && self.newer_than_intent(r.lid_changed_at) {
            // Opened and closed between two looks.
            self.opened(self.p.intent_at, now, fx);
            self.seen_while_open(r, now, fx);
        } else if self.may_act_until().is_some_and(|until| r.read_at >= until) {
            if r.lid != Lid::Unknown && r.lock != Lock::Unknown {
                self.conclude(r, now, fx);
            }
        } else if r.all_closed() && r.lock == Lock::Unlocked && (self.p.recovered || self.p.blocked) {
            // Nobody waits for it any more: lock at once instead of watching the window pass.
            self.take_as_opened(now, fx);
        }
    }

    fn seen_while_open(&mut self, r: &CarReading, now: Timestamp, fx: &mut Effects) {
        if r.lid_open() {
            let opening = r.lid_changed_at.unwrap_or(r.read_at);
            self.p.last_opening = Some(self.p.last_opening.map_or(opening, |t| t.max(opening)));
            if self.p.close_report.take().is_some() {
                fx.push(Effect::Notify(Notice::StillOpen));
            }
        } else if r.all_closed() {
            self.closed(now, fx);
            if self.proves(r) {
                self.locked(LockProof::Observed, fx);
            } else {
                self.send_lock(By::Keyholder, now, fx);
            }
        }
    }

    fn seen_after_close(&mut self, r: &CarReading, now: Timestamp, fx: &mut Effects) {
        if r.lid_open() {
            let was_locked = matches!(self.p.phase, Phase::Locked(_));
            self.opened(r.lid_changed_at.unwrap_or(r.read_at), now, fx);
            if was_locked || self.p.released {
                self.raise(AlarmCause::OpenedAgain, now, fx);
            }
        } else {
            self.prove_or_retry(r, now, fx);
        }
    }

    fn prove_or_retry(&mut self, r: &CarReading, now: Timestamp, fx: &mut Effects) {
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
    fn proves(&self, r: &CarReading) -> bool {
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

    fn unreadable(&mut self, now: Timestamp, fx: &mut Effects) {
        match self.p.phase {
            // The courier says closed and the car says nothing: locking cannot make it worse.
            Phase::Open if self.p.close_report.is_some() => {
                self.closed(now, fx);
                self.send_lock(By::Keyholder, now, fx);
            }
            // Observed is the stronger proof: give the car's state a while to come back.
            Phase::Locking if self.p.lock.done_at.is_some_and(|t| now.millis_since(t) >= EXECUTED_AFTER_MS) => {
                self.prove_without_state(fx);
            }
            _ => {}
        }
    }

    /// *Executed*: the maker says done, the courier checked the handle and photographed the closed lid. Only where the
    /// state cannot be read.
    fn prove_without_state(&mut self, fx: &mut Effects) {
        let checked = self.p.close_report.is_some_and(|c| c.handle_checked && c.photo);
        if self.p.lock.done_at.is_some() && checked && !self.p.lock.seen_unlocked {
            self.locked(LockProof::Executed, fx);
        }
    }

    fn newer_than_intent(&self, changed_at: Option<Timestamp>) -> bool {
        changed_at.is_some_and(|t| t > self.p.intent_at.plus_millis(-CLOCK_SKEW_MS))
    }

    // ---- closing and locking -------------------------------------------------------------------------------------

    fn close_reported(&mut self, report: CloseReport, now: Timestamp, fx: &mut Effects) {
        if matches!(self.p.phase, Phase::Intended | Phase::DidNotHappen(_)) {
            return;
        }
        self.p.close_report = Some(report);
        match self.p.phase {
            Phase::Open if !self.rules.lid_state_observed => {
                self.closed(now, fx);
                self.send_lock(By::Keyholder, now, fx);
            }
            Phase::Locking if !self.rules.lock_state_observed => self.prove_without_state(fx),
            Phase::Locked(_) => {}
            _ => self.read_at(now, now, fx),
        }
    }

    fn closed(&mut self, now: Timestamp, fx: &mut Effects) {
        fx.push(Effect::Record(RecordKind::Closed));
        fx.push(Effect::Notify(Notice::Closed));
        self.p.phase = Phase::Locking;
        self.p.closed_at = Some(now);
    }

    fn lock_again(&mut self, now: Timestamp, fx: &mut Effects) {
        self.p.phase = Phase::Locking;
        self.p.closed_at = Some(self.p.closed_at.unwrap_or(now));
        let last_sent_at = self.p.lock.last_sent_at;
        self.p.lock = LockProgress { last_sent_at, ..LockProgress::default() };
        self.send_lock(By::Keyholder, now, fx);
    }

    fn lock_requested(&mut self, by: By, now: Timestamp, fx: &mut Effects) {
        let joins = self.p.lock.in_flight_since.is_some_and(|t| (0..LOCK_JOIN_MS).contains(&now.millis_since(t)));
        if !joins {
            self.send_lock(by, now, fx);
        }
    }

    fn send_lock(&mut self, by: By, now: Timestamp, fx: &mut Effects) {
        let lock = &mut self.p.lock;
        lock.tries = lock.tries.saturating_add(1);
        lock.first_at = Some(lock.first_at.unwrap_or(now));
        lock.in_flight_since = Some(now);
        lock.last_sent_at = Some(now);
        lock.next_at = None;
        fx.push(Effect::SendLock);
        fx.push(Effect::Record(RecordKind::LockSent(by)));
    }

    fn lock_answered(&mut self, outcome: Outcome, now: Timestamp, fx: &mut Effects) {
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
            self.p.lock.seen_unlocked = false;
        }
        match (self.p.phase, outcome) {
            (Phase::Locking, Outcome::DidNotHappen(_) | Outcome::Unknown) => self.retry_lock_later(now),
            (Phase::Locking, Outcome::Done(_)) if !self.rules.lock_state_observed => self.prove_without_state(fx),
            _ => {}
        }
        if self.rules.lock_state_observed && matches!(self.p.phase, Phase::Open | Phase::Locking) {
            self.read_at(now, now, fx);
        }
    }

    fn retry_lock_later(&mut self, now: Timestamp) {
        let i = usize::from(self.p.lock.tries.saturating_sub(1)).min(LOCK_BACKOFF_MS.len() - 1);
        self.p.lock.next_at = Some(now.plus_millis(LOCK_BACKOFF_MS[i]));
    }

    fn locked(&mut self, proof: LockProof, fx: &mut Effects) {
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

    // ---- reopening, block, recovery ------------------------------------------------------------------------------

    fn reopen(&mut self, permit: &OpenPermit, epoch: BlockEpoch, now: Timestamp, fx: &mut Effects) {
        if let Err(refused) = self.may_reopen(now) {
            fx.push(Effect::RefuseReopen(refused));
            return;
        }
        let Ok(chain) = VerifiedChain::for_reopening(permit, self.p.grant, self.p.id, epoch, now) else {
            fx.push(Effect::RefuseReopen(ReopenRefused::Permit));
            return;
        };
        if epoch != self.p.epoch {
            fx.push(Effect::RefuseReopen(ReopenRefused::Blocked));
            return;
        }
        self.licence = Some(chain);
        self.p.phase = Phase::Intended;
        self.p.commands += 1;
        self.p.intent_at = now;
        self.p.sent_at = None;
        self.p.claimed = None;
        self.p.released = false;
        fx.push(Effect::Record(RecordKind::OpenIntended(self.p.commands)));
    }

    fn note_block(&mut self, fx: &mut Effects) {
        if !self.p.blocked {
            self.p.blocked = true;
            fx.push(Effect::Record(RecordKind::Blocked));
            fx.push(Effect::Notify(Notice::Blocked { may_act_until: self.may_act_until() }));
        }
    }

    fn block(&mut self, now: Timestamp, fx: &mut Effects) {
        let first = !self.p.blocked;
        self.note_block(fx);
        // Closes the window of a car that nobody has opened yet; an open lid is locked when it is closed.
        if first && matches!(self.p.phase, Phase::Sent | Phase::Armed { .. } | Phase::Unknown { .. }) {
            self.lock_requested(By::Owner, now, fx);
        }
    }

    fn recovered(&mut self, now: Timestamp, fx: &mut Effects) {
        self.licence = None;
        if !self.p.recovered {
            self.p.recovered = true;
            fx.push(Effect::Record(RecordKind::Recovered));
        }
        // What was pending in memory is gone.
        self.p.read_due = None;
        self.p.timer = None;
        if self.p.lock.in_flight_since.take().is_some() && self.p.phase == Phase::Locking {
            self.p.lock.next_at = Some(now);
        }
        match self.p.phase {
            // Whether it left before the crash nobody knows; it did not leave later than now.
            Phase::Intended | Phase::Sent => {
                if self.p.phase == Phase::Intended {
                    self.p.claimed = Some(Refusal::NeverSent);
                }
                let until = self.unanswered_until(now);
                self.watch(until, Notice::LookAtTheLid, fx);
            }
            Phase::Locking if self.p.lock.tries == 0 => self.send_lock(By::Keyholder, now, fx),
            _ => {}
        }
        if !matches!(self.p.phase, Phase::Locked(_) | Phase::DidNotHappen(_)) {
            self.read_at(now, now, fx);
        }
    }

    // ---- alarm and end -------------------------------------------------------------------------------------------

    fn raise(&mut self, cause: AlarmCause, now: Timestamp, fx: &mut Effects) {
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

    fn acknowledged(&mut self, by: By, now: Timestamp, fx: &mut Effects) {
        if let Some(alarm) = self.p.alarm.as_mut().filter(|a| a.acknowledged_at.is_none()) {
            alarm.acknowledged_at = Some(now);
            fx.push(Effect::Record(RecordKind::AlarmAcknowledged(by)));
        }
    }

    fn spend(&mut self, fx: &mut Effects) {
        if self.p.usage == UseFate::Held {
            self.p.usage = UseFate::Spent;
            fx.push(Effect::SpendUse);
        }
    }

    fn finish(&mut self, fx: &mut Effects) {
        self.p.ended = true;
        self.p.timer = None;
        self.p.read_due = None;
        fx.push(Effect::Finish);
    }

    // ---- deadlines, looked at after every event ------------------------------------------------------------------

    fn settle(&mut self, now: Timestamp, fx: &mut Effects) {
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

    fn pass_deadlines(&mut self, now: Timestamp, fx: &mut Effects) {
        let past = |since: Option<Timestamp>, ms: i64| since.is_some_and(|t| now.millis_since(t) >= ms);
        if past(self.p.lock.in_flight_since, LOCK_LOST_MS) {
            self.lock_answered(Outcome::Unknown, now, fx);
        }
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
            Phase::Open if past(self.p.opened_at, OPEN_TOO_LONG_MS) => self.raise(AlarmCause::OpenTooLong, now, fx),
            Phase::Locking => self.locking_deadlines(now, fx),
            _ => {}
        }
        let waiting = matches!(self.p.phase, Phase::Locking) && self.p.alarm.is_none();
        if waiting && !self.p.released && !self.p.lock.seen_unlocked && past(self.p.closed_at, RELEASE_AFTER_MS) {
            self.p.released = true;
            fx.push(Effect::Release);
        }
    }

    fn locking_deadlines(&mut self, now: Timestamp, fx: &mut Effects) {
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

    fn end_if_done(&mut self, now: Timestamp, fx: &mut Effects) {
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
    fn read_pace(&self, now: Timestamp) -> Option<i64> {
        let pace = |since: Timestamp| if now.millis_since(since) < READ_FAST_FOR_MS { READ_FAST_MS } else { READ_MS };
        let p = &self.p;
        if !self.rules.lid_state_observed && !self.rules.lock_state_observed {
            return None;
        }
        if let Some(alarm) = p.alarm {
            let fresh = now.millis_since(alarm.raised_at) < WATCH_ACKNOWLEDGED_MS;
            let waits = !matches!(p.phase, Phase::Locked(_)) || p.phase == Phase::Locked(LockProof::Attested);
            return waits.then_some(if fresh { READ_ALARM_MS } else { READ_SLOW_MS });
        }
        match p.phase {
            Phase::Sent | Phase::Armed { .. } | Phase::Unknown { .. } => Some(pace(p.sent_at.unwrap_or(p.intent_at))),
            Phase::Open => Some(pace(p.opened_at.unwrap_or(now))),
            Phase::Locking => Some(pace(p.closed_at.unwrap_or(now))),
            Phase::Intended | Phase::Locked(_) | Phase::DidNotHappen(_) => None,
        }
    }

    fn ask_for_read(&mut self, now: Timestamp, fx: &mut Effects) {
        let Some(pace) = self.read_pace(now) else {
            self.p.read_due = None;
            return;
        };
        match self.p.read_due {
            Some(due) if now.millis_since(due) < READ_LOST_MS => {}
            _ => self.read_at(now.plus_millis(pace), now, fx),
        }
    }

    /// Asks for a read, unless one is due at that time or earlier and not lost.
    fn read_at(&mut self, at: Timestamp, now: Timestamp, fx: &mut Effects) {
        let pending = self.p.read_due.is_some_and(|due| due <= at && now.millis_since(due) < READ_LOST_MS);
        if !pending {
            self.p.read_due = Some(at);
            fx.push(Effect::ReadCar { at });
        }
    }

    fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let p = &self.p;
        let after = |t: Option<Timestamp>, ms: i64| t.map(|t| t.plus_millis(ms));
        let by_phase = match p.phase {
            Phase::Intended => after(Some(p.intent_at), INTENT_PATIENCE_MS),
            Phase::Sent | Phase::Armed { .. } | Phase::Unknown { .. } => after(self.may_act_until(), CONCLUDE_GRACE_MS),
            Phase::Open if p.alarm.is_none_or(|a| a.cause != AlarmCause::OpenTooLong) => {
                after(p.opened_at, OPEN_TOO_LONG_MS)
            }
            Phase::Locking if p.alarm.is_none() => after(p.lock.first_at, LOCK_PATIENCE_MS),
            Phase::Locked(_) => after(p.closed_at, REOPEN_WITHIN_MS + 1),
            _ => None,
        };
        let release =
            if p.phase == Phase::Locking && !p.released { after(p.closed_at, RELEASE_AFTER_MS) } else { None };
        let retry = if p.phase == Phase::Locking { p.lock.next_at } else { None };
        let lock_lost = after(p.lock.in_flight_since, LOCK_LOST_MS);
        let watched = after(p.alarm.and_then(|a| a.acknowledged_at), WATCH_ACKNOWLEDGED_MS);
        let read_lost = after(p.read_due, READ_LOST_MS);
        [by_phase, release, retry, lock_lost, watched, read_lost].into_iter().flatten().filter(|t| *t > now).min()
    }
}
