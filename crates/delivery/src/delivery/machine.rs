//! The table of a delivery and its transitions.

use parcelshelf_core::id::{CourierId, ParcelId};
use parcelshelf_core::reason::{Fallback, Reason};
use parcelshelf_core::time::{Timestamp, Window};

use super::{
    ANNOUNCED_BEFORE_MINUTES, Acceptance, Delivery, Direction, Effect, Event, LATE_CONSENT_MINUTES, LEG_MINUTES_MAX,
    MerchantNotice, ParcelPhase, Phase, Readiness, RecipientNotice, Refused,
};

type Effects = Vec<Effect>;

impl Delivery {
    /// The table: state, event, now → state, effects. An event that has happened already changes nothing and is no
    /// error; on an error nothing has changed.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn handle(&self, event: &Event, now: Timestamp) -> Result<(Self, Vec<Effect>), Refused> {
        if self.has_happened(event) {
            return Ok((self.clone(), vec![]));
        }
        if self.ended().is_some() {
            return Err(Refused::Ended);
        }
        let mut next = self.clone();
        let mut fx = Effects::new();
        match (self.p.phase, event) {
            (Phase::Requested, Event::Accepted(acceptance)) => next.accept(*acceptance, &mut fx)?,
            (Phase::FallingBack, Event::Accepted(acceptance)) => next.accept_late(*acceptance, now, &mut fx)?,
            (Phase::Requested, Event::NotConfirmed) => {
                fx.push(Effect::NotifyMerchant(MerchantNotice::NotConfirmed));
                next.give_up(Reason::NotConfirmed, &mut fx);
            }

            (Phase::Accepted, Event::Announced) => {
                next.p.phase = Phase::Announced;
                next.p.announced_at = Some(now);
                fx.push(Effect::NotifyRecipient(RecipientNotice::Announced));
            }
            (_, Event::ReadinessAnswered(answer)) if self.p.phase.is_waiting() => next.answered(*answer, &mut fx),
            (Phase::LegStarted, Event::ReadinessAnswered(answer)) => next.p.readiness = Some(*answer),

            (Phase::NotReady, Event::Loaded(_)) => return Err(Refused::NotReady),
            (phase, Event::Loaded(parcel)) if phase.is_waiting() => next.load(*parcel)?,
            (phase, Event::ParcelRefused { parcel, .. }) if phase == Phase::Requested || phase.is_waiting() => {
                next.fail(*parcel, Reason::ParcelRule, &mut fx)?;
            }

            (phase, Event::LegStarted { courier, window }) if phase.is_waiting() => {
                next.start_leg(*courier, *window, now, &mut fx)?;
            }
            (Phase::Requested, Event::LegStarted { .. }) => return Err(Refused::NotAccepted),
            (Phase::LegStarted, Event::ArrivedAtStop) => next.p.phase = Phase::AtStop,

            (Phase::AtStop, Event::ParcelDone(parcel)) => next.done(*parcel, &mut fx)?,
            (phase, Event::ParcelFailed { parcel, reason })
                if phase.is_waiting() || matches!(phase, Phase::LegStarted | Phase::AtStop) =>
            {
                next.fail(*parcel, *reason, &mut fx)?;
            }
            (Phase::AtStop, Event::StopClosed) => next.close_stop(&mut fx)?,

            (_, Event::CourierReassigned(courier)) => next.reassign(*courier, now, &mut fx)?,
            (_, Event::BlockedByOwner) => next.block(&mut fx),
            // A courier who has arrived finishes; the keyholder judges the opening by its own clock.
            (Phase::AtStop, Event::WindowPassed) => {}
            (Phase::Requested, Event::WindowPassed) => next.give_up(Reason::NotConfirmed, &mut fx),
            (_, Event::WindowPassed) if now < self.p.window.end() => return Err(Refused::WrongPhase),
            (_, Event::WindowPassed) => next.give_up(next.reason_of_lateness(), &mut fx),
            (_, Event::GivenUp(reason)) => next.give_up(*reason, &mut fx),

            (_, Event::FallbackDone(parcel)) => next.fallback_done(*parcel)?,
            (_, Event::FallbackFailed(parcel)) => next.fallback_failed(*parcel, &mut fx)?,

            _ => return Err(Refused::WrongPhase),
        }
        next.leave_car_behind(&mut fx);
        next.end_if_done(&mut fx);
        Ok((next, fx))
    }

    /// Repeats: what the state shows to have happened.
    fn has_happened(&self, event: &Event) -> bool {
        let phase_of = |id: &ParcelId| self.parcel(*id).map(|x| x.phase);
        let p = &self.p;
        match event {
            Event::Accepted(acceptance) => p.acceptance == Some(*acceptance) && p.phase != Phase::FallingBack,
            Event::Announced => p.announced_at.is_some(),
            Event::ReadinessAnswered(answer) => {
                let shown = match answer {
                    Readiness::Yes => Phase::Ready,
                    Readiness::No => Phase::NotReady,
                    Readiness::Later => p.phase,
                };
                p.readiness == Some(*answer) && (p.phase == shown || p.phase == Phase::OnVan)
            }
            Event::Loaded(parcel) => {
                self.parcel(*parcel).is_some_and(|x| x.was_loaded || x.phase == ParcelPhase::OnVan)
            }
            Event::LegStarted { courier, window } => p.courier == Some(*courier) && p.leg == Some(*window),
            Event::ArrivedAtStop => p.phase == Phase::AtStop,
            Event::ParcelDone(parcel) => phase_of(parcel) == Some(ParcelPhase::Done),
            Event::ParcelFailed { parcel, reason } => {
                phase_of(parcel).and_then(ParcelPhase::fallback).is_some_and(|(_, r)| r == *reason)
            }
            Event::ParcelRefused { parcel, .. } => {
                phase_of(parcel).and_then(ParcelPhase::fallback).is_some_and(|(_, r)| r == Reason::ParcelRule)
            }
            Event::BlockedByOwner => p.blocked,
            Event::CourierReassigned(courier) => p.courier == Some(*courier),
            Event::FallbackDone(parcel) => matches!(phase_of(parcel), Some(ParcelPhase::FallbackDone { .. })),
            Event::StopClosed => p.leg.is_some() && matches!(p.phase, Phase::FallingBack | Phase::Ended(_)),
            Event::NotConfirmed | Event::WindowPassed | Event::GivenUp(_) | Event::FallbackFailed(_) => false,
        }
    }

    // ---- consent and readiness -----------------------------------------------------------------------------------

    fn accept(&mut self, acceptance: Acceptance, fx: &mut Effects) -> Result<(), Refused> {
        if !self.p.window.encloses(&acceptance.window) {
            return Err(Refused::GrantWindow);
        }
        self.p.acceptance = Some(acceptance);
        self.p.phase = Phase::Accepted;
        fx.push(Effect::NotifyRecipient(RecipientNotice::Accepted));
        fx.push(Effect::NotifyMerchant(MerchantNotice::Accepted));
        Ok(())
    }

    /// A consent after "not confirmed": taken while every parcel still waits for its fallback and time is left.
    fn accept_late(&mut self, acceptance: Acceptance, now: Timestamp, fx: &mut Effects) -> Result<(), Refused> {
        let only_unconfirmed = self.p.parcels.iter().all(
            |x| matches!(x.phase, ParcelPhase::FallbackPlanned { reason: Reason::NotConfirmed, .. } if x.failed.is_empty()),
        );
        let time_left = acceptance.window.end().millis_since(now) >= LATE_CONSENT_MINUTES * 60_000;
        if self.p.blocked || !only_unconfirmed || !time_left {
            return Err(Refused::TooLate);
        }
        self.accept(acceptance, fx)?;
        for parcel in &mut self.p.parcels {
            parcel.phase = ParcelPhase::Expected;
            fx.push(Effect::CancelFallback { parcel: parcel.id });
        }
        Ok(())
    }

    fn answered(&mut self, answer: Readiness, fx: &mut Effects) {
        self.p.readiness = Some(answer);
        if answer == Readiness::No {
            fx.push(Effect::NotifyRecipient(RecipientNotice::NotReady));
        }
        if self.p.phase == Phase::OnVan {
            return;
        }
        match answer {
            Readiness::Yes => self.p.phase = Phase::Ready,
            Readiness::No => self.p.phase = Phase::NotReady,
            Readiness::Later => {}
        }
        self.note_loaded();
    }

    // ---- van and leg ---------------------------------------------------------------------------------------------

    fn load(&mut self, id: ParcelId) -> Result<(), Refused> {
        let parcel = self.p.parcels.iter_mut().find(|x| x.id == id).ok_or(Refused::UnknownParcel)?;
        if parcel.direction == Direction::Take || parcel.phase != ParcelPhase::Expected {
            return Err(Refused::ParcelElsewhere);
        }
        parcel.phase = ParcelPhase::OnVan;
        parcel.was_loaded = true;
        self.note_loaded();
        Ok(())
    }

    fn note_loaded(&mut self) {
        let any = self.p.parcels.iter().any(|x| x.phase == ParcelPhase::OnVan);
        if any && self.all_loaded() && self.p.phase != Phase::NotReady {
            self.p.phase = Phase::OnVan;
        }
    }

    fn all_loaded(&self) -> bool {
        !self.p.parcels.iter().any(|x| x.direction == Direction::Put && x.phase == ParcelPhase::Expected)
    }

    fn start_leg(
        &mut self,
        courier: CourierId,
        window: Window,
        now: Timestamp,
        fx: &mut Effects,
    ) -> Result<(), Refused> {
        self.may_delegate(&window, now)?;
        if !self.all_loaded() {
            return Err(Refused::NotLoaded);
        }
        self.p.courier = Some(courier);
        self.p.leg = Some(window);
        self.p.phase = Phase::LegStarted;
        self.sign(courier, window, fx);
        fx.push(Effect::NotifyRecipient(RecipientNotice::OnItsWay));
        Ok(())
    }

    fn may_delegate(&self, window: &Window, now: Timestamp) -> Result<(), Refused> {
        let acceptance = self.p.acceptance.ok_or(Refused::NotAccepted)?;
        if self.p.blocked {
            return Err(Refused::Blocked);
        }
        if self.p.readiness == Some(Readiness::No) {
            return Err(Refused::NotReady);
        }
        let long_enough = |t: Timestamp| now.millis_since(t) >= ANNOUNCED_BEFORE_MINUTES * 60_000;
        if acceptance.standing && !self.p.announced_at.is_some_and(long_enough) {
            return Err(Refused::NotAnnounced);
        }
        let short = window.millis() <= LEG_MINUTES_MAX * 60_000;
        if short && acceptance.window.encloses(window) && now < window.end() { Ok(()) } else { Err(Refused::LegWindow) }
    }

    fn sign(&self, courier: CourierId, window: Window, fx: &mut Effects) {
        let of = |direction| {
            let here = self.p.parcels.iter().filter(|x| x.phase.is_for_car() && x.direction == direction);
            here.map(|x| x.id).collect::<Vec<_>>()
        };
        fx.push(Effect::SignDelegation { courier, window, put: of(Direction::Put), take: of(Direction::Take) });
    }

    /// Before the leg nothing is signed yet; on it and at the stop the successor gets a delegation of the same window.
    fn reassign(&mut self, courier: CourierId, now: Timestamp, fx: &mut Effects) -> Result<(), Refused> {
        match (self.p.phase, self.p.leg) {
            (Phase::LegStarted | Phase::AtStop, Some(window)) if self.may_delegate(&window, now).is_ok() => {
                fx.push(Effect::DropDelegation);
                self.p.courier = Some(courier);
                self.sign(courier, window, fx);
            }
            // The leg's time is over: it starts anew, with a new window.
            (Phase::LegStarted, Some(_)) => {
                fx.push(Effect::DropDelegation);
                self.p.courier = Some(courier);
                self.p.leg = None;
                self.p.phase = Phase::Accepted;
                self.note_loaded();
            }
            // Nothing can be signed any more, but somebody must finish: recovery needs no delegation of ours.
            (Phase::AtStop, _) => self.p.courier = Some(courier),
            (phase, _) if phase.is_waiting() => self.p.courier = Some(courier),
            _ => return Err(Refused::WrongPhase),
        }
        fx.push(Effect::NotifyRecipient(RecipientNotice::CourierChanged));
        Ok(())
    }

    // ---- outcomes ------------------------------------------------------------------------------------------------

    fn done(&mut self, id: ParcelId, fx: &mut Effects) -> Result<(), Refused> {
        let blocked = self.p.blocked;
        let parcel = self.p.parcels.iter_mut().find(|x| x.id == id).ok_or(Refused::UnknownParcel)?;
        match parcel.phase {
            // Put in before the block was heard of, reported after it: what is true counts.
            ParcelPhase::FallbackPlanned { reason: Reason::BlockedByOwner, .. } if blocked => {
                fx.push(Effect::CancelFallback { parcel: id });
            }
            ParcelPhase::OnVan => {}
            ParcelPhase::Expected if parcel.direction == Direction::Take => {}
            _ => return Err(Refused::ParcelElsewhere),
        }
        parcel.phase = ParcelPhase::Done;
        fx.push(Effect::NotifyRecipient(RecipientNotice::ParcelDone(id)));
        fx.push(Effect::NotifyMerchant(MerchantNotice::ParcelDone(id)));
        Ok(())
    }

    fn fail(&mut self, id: ParcelId, reason: Reason, fx: &mut Effects) -> Result<(), Refused> {
        let parcel = self.parcel(id).ok_or(Refused::UnknownParcel)?;
        if !parcel.phase.is_for_car() {
            return Err(Refused::ParcelElsewhere);
        }
        self.plan(id, reason, fx);
        self.note_loaded_after_failure();
        Ok(())
    }

    fn note_loaded_after_failure(&mut self) {
        if self.p.phase.is_waiting() {
            self.note_loaded();
        }
    }

    fn plan(&mut self, id: ParcelId, reason: Reason, fx: &mut Effects) {
        let agreed = self.p.fallbacks.clone();
        let Some(parcel) = self.p.parcels.iter_mut().find(|x| x.id == id) else { return };
        let possible =
            |f: &Fallback| !parcel.failed.contains(f) && (*f != Fallback::NextWindow || may_try_again(reason));
        let fallback = agreed.into_iter().find(possible).unwrap_or(Fallback::Return);
        parcel.phase = ParcelPhase::FallbackPlanned { fallback, reason };
        fx.push(Effect::PlanFallback { parcel: id, fallback, reason });
        fx.push(Effect::NotifyRecipient(RecipientNotice::ParcelElsewhere { parcel: id, fallback, reason }));
        fx.push(Effect::NotifyMerchant(MerchantNotice::ParcelElsewhere { parcel: id, fallback, reason }));
    }

    fn close_stop(&mut self, fx: &mut Effects) -> Result<(), Refused> {
        if self.p.parcels.iter().any(|x| x.phase.is_for_car()) {
            return Err(Refused::OutcomeMissing);
        }
        self.p.phase = Phase::FallingBack;
        fx.push(Effect::CloseStop);
        Ok(())
    }

    fn fallback_done(&mut self, id: ParcelId) -> Result<(), Refused> {
        let parcel = self.p.parcels.iter_mut().find(|x| x.id == id).ok_or(Refused::UnknownParcel)?;
        match parcel.phase {
            ParcelPhase::FallbackPlanned { fallback, reason } => {
                parcel.phase = ParcelPhase::FallbackDone { fallback, reason };
                Ok(())
            }
            _ => Err(Refused::ParcelElsewhere),
        }
    }

    fn fallback_failed(&mut self, id: ParcelId, fx: &mut Effects) -> Result<(), Refused> {
        let parcel = self.p.parcels.iter_mut().find(|x| x.id == id).ok_or(Refused::UnknownParcel)?;
        let ParcelPhase::FallbackPlanned { fallback, reason } = parcel.phase else {
            return Err(Refused::ParcelElsewhere);
        };
        // A return that fails is a return to be tried again: there is nothing behind it.
        if fallback != Fallback::Return && !parcel.failed.contains(&fallback) {
            parcel.failed.push(fallback);
        }
        self.plan(id, reason, fx);
        Ok(())
    }

    // ---- giving up -----------------------------------------------------------------------------------------------

    fn for_car(&self) -> Vec<ParcelId> {
        self.p.parcels.iter().filter(|x| x.phase.is_for_car()).map(|x| x.id).collect()
    }

    fn give_up(&mut self, reason: Reason, fx: &mut Effects) {
        for id in self.for_car() {
            self.plan(id, reason, fx);
        }
    }

    fn block(&mut self, fx: &mut Effects) {
        self.p.blocked = true;
        if matches!(self.p.phase, Phase::LegStarted | Phase::AtStop) {
            fx.push(Effect::DropDelegation);
        }
        self.give_up(Reason::BlockedByOwner, fx);
    }

    /// The car said "no" to the last question: that is why; otherwise the carrier is late.
    fn reason_of_lateness(&self) -> Reason {
        if self.p.readiness == Some(Readiness::No) { Reason::NotReachable } else { Reason::CarrierLate }
    }

    /// No parcel left for the car and no courier at it: only fallbacks remain.
    fn leave_car_behind(&mut self, fx: &mut Effects) {
        let settled = matches!(self.p.phase, Phase::AtStop | Phase::FallingBack | Phase::Ended(_));
        if settled || self.p.parcels.iter().any(|x| x.phase.is_for_car()) {
            return;
        }
        if self.p.phase == Phase::LegStarted {
            fx.push(Effect::CloseStop);
        }
        self.p.phase = Phase::FallingBack;
    }

    fn end_if_done(&mut self, fx: &mut Effects) {
        if self.p.phase != Phase::FallingBack {
            return;
        }
        if let Some(ending) = self.ending_by_parcels() {
            self.p.phase = Phase::Ended(ending);
            fx.push(Effect::NotifyRecipient(RecipientNotice::Ended(ending)));
            fx.push(Effect::NotifyMerchant(MerchantNotice::Ended(ending)));
            fx.push(Effect::End(ending));
        }
    }
}

/// Whether another window could end otherwise.
const fn may_try_again(reason: Reason) -> bool {
    !matches!(reason, Reason::BlockedByOwner | Reason::DoesNotFit | Reason::ParcelRule | Reason::NotConfirmed)
}
