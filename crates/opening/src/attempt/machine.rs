//! The table of an attempt and its transitions.

use parcelshelf_core::actuation::{Confirmation, LockProof, Outcome, Refusal, Shuts};
use parcelshelf_core::time::Timestamp;

use super::{
    AlarmCause, Attempt, By, CLOCK_SKEW_MS, COMMANDS_MAX, CarReading, EXECUTED_AFTER_MS, Effect, Effects, Event, Lid,
    Lock, LockProgress, MakerRules, Notice, Phase, REOPEN_WITHIN_MS, RecordKind, ReopenRefused, UNDER_WAY_MAX_MS,
    UNDER_WAY_QUIET_MS, UseFate,
};
use crate::conditions::OpenPermit;
use crate::grant::{BlockEpoch, VerifiedChain};

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
            (Phase::Sent | Phase::Unknown { .. }, Event::CommandUnderWay { may_act_until }) => {
                self.under_way(may_act_until, now, &mut fx);
            }

            (_, Event::CarRead(reading)) => {
                self.p.read_due = None;
                self.seen(&reading, now, &mut fx);
            }
            (_, Event::CarUnreadable) => {
                self.p.read_due = None;
                self.unreadable(now, &mut fx);
            }
            (_, Event::CameraLost) => self.camera_lost(now, &mut fx),
            (_, Event::CloseReported(report)) => self.close_reported(report, now, &mut fx),
            (_, Event::StopEnded) => self.p.stop_ended = true,
            (_, Event::Recovered) => self.recovered(now, &mut fx),
            (_, Event::Acknowledged { by }) => self.acknowledged(by, now, &mut fx),
            // Deadlines are looked at after every event.
            (_, Event::Timer) => {}

            // Late or repeated: the state has moved on.
            (
                _,
                Event::IntentDurable { .. }
                | Event::CommandSent { .. }
                | Event::CommandAnswered { .. }
                | Event::CommandUnderWay { .. },
            ) => {}
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
    pub(super) fn command_may_leave(&mut self, epoch: BlockEpoch, now: Timestamp, fx: &mut Effects) {
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
    pub(super) fn withdraw(&mut self, fx: &mut Effects, now: Timestamp) {
        self.licence = None;
        self.did_not_happen(Refusal::NeverSent, now, fx);
    }

    pub(super) fn answered(
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
            Outcome::Done(Confirmation::Executed | Confirmation::Observed) => self.executed(now, fx),
            Outcome::Done(Confirmation::Armed) => self.armed(window_end(now, &self.rules), now, fx),
            // It reached the car, and no lid can be seen: nobody can say that nothing moved.
            Outcome::DidNotHappen(Refusal::CarFailed) if !self.rules.lid_state_observed => self.take_as_opened(now, fx),
            Outcome::DidNotHappen(refusal)
                if may_act_until.is_none_or(|t| t <= now) && refusal != Refusal::CarFailed =>
            {
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

    /// The maker says that it is still at it. Whoever waits at the lid is asked to look once that takes long.
    pub(super) fn under_way(&mut self, may_act_until: Option<Timestamp>, now: Timestamp, fx: &mut Effects) {
        let since = self.p.sent_at.unwrap_or(self.p.intent_at);
        let long = now.millis_since(since) >= UNDER_WAY_QUIET_MS;
        if long || matches!(self.p.phase, Phase::Unknown { .. }) {
            // A maker that never comes to an end must not keep the attempt from its own.
            let last = since.plus_millis(UNDER_WAY_MAX_MS);
            let until = self.acts_until(may_act_until.map(|t| t.min(last)), None);
            self.watch(until, Notice::LookAtTheLid, fx);
        }
    }

    /// The maker says that the car did it.
    pub(super) fn executed(&mut self, now: Timestamp, fx: &mut Effects) {
        // The courier may have been faster than the maker: shut again before the word came.
        let shut = self.p.close_report.take();
        self.opened(now, now, fx);
        if self.rules.lid_state_observed {
            return;
        }
        if let Some(report) = shut {
            self.close_reported(report, now, fx);
        } else if self.p.blocked {
            // Nobody should open it any more, and nobody can see whether somebody did.
            self.lock_again(now, fx);
        }
    }

    /// Until when an unfinished open may act: as told, but never shorter than the maker's rules say.
    pub(super) fn acts_until(&self, may_act_until: Option<Timestamp>, ready_until: Option<Timestamp>) -> Timestamp {
        let by_rule = match self.p.phase {
            Phase::Unknown { until } => until,
            _ => self.unanswered_until(self.p.sent_at.unwrap_or(self.p.intent_at)),
        };
        let window = if self.rules.opening_is_a_window { self.rules.default_window_ms } else { 0 };
        let told = may_act_until.map(|t| ready_until.unwrap_or(t.plus_millis(window)));
        told.map_or(by_rule, |t| t.max(by_rule))
    }

    pub(super) fn armed(&mut self, until: Timestamp, now: Timestamp, fx: &mut Effects) {
        fx.push(Effect::Record(RecordKind::Armed));
        if !self.rules.lid_state_observed {
            // Whether a hand used the window cannot be seen: taken as opened.
            self.opened(now, now, fx);
            return;
        }
        self.p.phase = Phase::Armed { until };
        fx.push(Effect::Notify(Notice::Ready { until }));
    }

    pub(super) fn watch(&mut self, until: Timestamp, notice: Notice, fx: &mut Effects) {
        if !matches!(self.p.phase, Phase::Unknown { .. }) {
            fx.push(Effect::Record(RecordKind::OpenUnknown));
            fx.push(Effect::Notify(notice));
        }
        self.p.phase = Phase::Unknown { until };
    }

    pub(super) fn opened(&mut self, opening: Timestamp, now: Timestamp, fx: &mut Effects) {
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
    pub(super) fn did_not_happen(&mut self, refusal: Refusal, now: Timestamp, fx: &mut Effects) {
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
    pub(super) fn conclude(&mut self, r: &CarReading, now: Timestamp, fx: &mut Effects) {
        // A maker that does not say since when a lid is shut cannot say that it was not opened and shut meanwhile.
        let times_are_told = r.lid_changed_at.is_some() && r.lock_changed_at.is_some();
        let nothing_moved = times_are_told
            && r.all_closed()
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
    pub(super) fn take_as_opened(&mut self, now: Timestamp, fx: &mut Effects) {
        self.spend(fx);
        if self.p.commands > 1 {
            self.p.reopened = true;
        }
        self.p.opened_at = None;
        self.lock_again(now, fx);
    }

    // ---- the car's state -----------------------------------------------------------------------------------------

    pub(super) fn seen(&mut self, r: &CarReading, now: Timestamp, fx: &mut Effects) {
        if r.read_at < self.p.intent_at {
            return;
        }
        match self.p.phase {
            Phase::Sent | Phase::Armed { .. } | Phase::Unknown { .. } => self.seen_before_opening(r, now, fx),
            Phase::Open => self.seen_while_open(r, now, fx),
            Phase::Locking if self.rules.shuts == Shuts::ByCommand => self.seen_while_shutting(r, now, fx),
            Phase::Locking | Phase::Locked(_) => self.seen_after_close(r, now, fx),
            Phase::Intended | Phase::DidNotHappen(_) => {}
        }
    }

    pub(super) fn seen_before_opening(&mut self, r: &CarReading, now: Timestamp, fx: &mut Effects) {
        let unseen = r.lid == Lid::Unknown || r.lock == Lock::Unknown;
        if self.rules.at_home && unseen && matches!(self.p.phase, Phase::Armed { .. }) {
            self.lost(now, fx);
        }
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

    pub(super) fn seen_while_open(&mut self, r: &CarReading, now: Timestamp, fx: &mut Effects) {
        // Its bolt cannot be told anything now, and the door stands open.
        if self.rules.at_home && r.lid_open() && r.lock == Lock::Unknown {
            self.lost(now, fx);
        }
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
        } else if self.rules.at_home {
            self.lost(now, fx);
        }
    }

    pub(super) fn seen_after_close(&mut self, r: &CarReading, now: Timestamp, fx: &mut Effects) {
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
    pub(super) fn unreadable(&mut self, now: Timestamp, fx: &mut Effects) {
        match self.p.phase {
            Phase::Armed { .. } | Phase::Open | Phase::Locking if self.rules.at_home => {
                self.lost(now, fx);
                // The courier says that it is shut: telling the bolt once cannot make it worse.
                let by_hand = self.p.phase == Phase::Open && self.rules.shuts == Shuts::ByHand;
                if by_hand && self.p.close_report.take().is_some() {
                    self.send_lock(By::Keyholder, now, fx);
                }
            }
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

    /// An alarm as long as the door may be open; what was proved locked needs no eye on it.
    pub(super) fn camera_lost(&mut self, now: Timestamp, fx: &mut Effects) {
        if !matches!(self.p.phase, Phase::Intended | Phase::Locked(_) | Phase::DidNotHappen(_)) {
            self.raise(AlarmCause::CameraLost, now, fx);
        }
    }

    pub(super) fn newer_than_intent(&self, changed_at: Option<Timestamp>) -> bool {
        changed_at.is_some_and(|t| t > self.p.intent_at.plus_millis(-CLOCK_SKEW_MS))
    }

    // ---- reopening, block, recovery ------------------------------------------------------------------------------

    pub(super) fn reopen(&mut self, permit: &OpenPermit, epoch: BlockEpoch, now: Timestamp, fx: &mut Effects) {
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

    pub(super) fn note_block(&mut self, fx: &mut Effects) {
        if !self.p.blocked {
            self.p.blocked = true;
            fx.push(Effect::Record(RecordKind::Blocked));
            fx.push(Effect::Notify(Notice::Blocked { may_act_until: self.may_act_until() }));
        }
    }

    pub(super) fn block(&mut self, now: Timestamp, fx: &mut Effects) {
        let first = !self.p.blocked;
        self.note_block(fx);
        // Closes the window of a car that nobody has opened yet; an open lid is locked when it is closed.
        if first && matches!(self.p.phase, Phase::Sent | Phase::Armed { .. } | Phase::Unknown { .. }) {
            self.lock_requested(By::Owner, now, fx);
        }
    }

    pub(super) fn recovered(&mut self, now: Timestamp, fx: &mut Effects) {
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
}
