//! What a delivery is told and what it says.

use parcelshelf_core::id::{CourierId, ParcelId};
use parcelshelf_core::reason::{Fallback, Reason};
use parcelshelf_core::time::Window;

use super::{Acceptance, Ending, Readiness};
use crate::parcel::Violation;

/// What happens to a delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The keyholder accepted a grant (`psh-accepted+jwt`). Also late.
    Accepted(Acceptance),
    /// The recipient said no, or nobody answered in time.
    NotConfirmed,
    /// The recipient was told the time; under a standing rule, the signed announcement is posted.
    Announced,
    /// The answer to one of the three questions.
    ReadinessAnswered(Readiness),
    /// Scanned into the van.
    Loaded(ParcelId),
    /// Refused at the van by a rule.
    ParcelRefused {
        parcel: ParcelId,
        violation: Violation,
    },
    /// The courier starts the leg to this stop.
    LegStarted {
        courier: CourierId,
        window: Window,
    },
    ArrivedAtStop,
    /// Put into the car, or taken out of it.
    ParcelDone(ParcelId),
    ParcelFailed {
        parcel: ParcelId,
        reason: Reason,
    },
    /// The courier leaves the stop; every parcel has an outcome.
    StopClosed,
    /// Another courier takes over.
    CourierReassigned(CourierId),
    /// The owner blocked or withdrew.
    BlockedByOwner,
    /// The window's end has come.
    WindowPassed,
    /// The carrier gives up the car for all parcels that are not done.
    GivenUp(Reason),
    /// A planned fallback is carried out.
    FallbackDone(ParcelId),
    /// A planned fallback did not work either.
    FallbackFailed(ParcelId),
}
impl Event {
    /// The stable word in journals.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::NotConfirmed => "not_confirmed",
            Self::Announced => "announced",
            Self::ReadinessAnswered(_) => "readiness_answered",
            Self::Loaded(_) => "loaded",
            Self::ParcelRefused { .. } => "parcel_refused",
            Self::LegStarted { .. } => "leg_started",
            Self::ArrivedAtStop => "arrived_at_stop",
            Self::ParcelDone(_) => "parcel_done",
            Self::ParcelFailed { .. } => "parcel_failed",
            Self::StopClosed => "stop_closed",
            Self::CourierReassigned(_) => "courier_reassigned",
            Self::BlockedByOwner => "blocked_by_owner",
            Self::WindowPassed => "window_passed",
            Self::GivenUp(_) => "given_up",
            Self::FallbackDone(_) => "fallback_done",
            Self::FallbackFailed(_) => "fallback_failed",
        }
    }
}

/// What the shell must do, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Sign link 1 for this courier and post it to the gateway.
    SignDelegation {
        courier: CourierId,
        window: Window,
        put: Vec<ParcelId>,
        take: Vec<ParcelId>,
    },
    /// Do not use or renew the delegation any more.
    DropDelegation,
    /// This parcel goes there instead.
    PlanFallback {
        parcel: ParcelId,
        fallback: Fallback,
        reason: Reason,
    },
    /// The planned fallback is off.
    CancelFallback {
        parcel: ParcelId,
    },
    NotifyRecipient(RecipientNotice),
    NotifyMerchant(MerchantNotice),
    /// The stop is over; the route may go on.
    CloseStop,
    /// The delivery is over.
    End(Ending),
}
impl Effect {
    /// The stable word in journals.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SignDelegation { .. } => "sign_delegation",
            Self::DropDelegation => "drop_delegation",
            Self::PlanFallback { .. } => "plan_fallback",
            Self::CancelFallback { .. } => "cancel_fallback",
            Self::NotifyRecipient(_) => "notify_recipient",
            Self::NotifyMerchant(_) => "notify_merchant",
            Self::CloseStop => "close_stop",
            Self::End(_) => "end",
        }
    }
}

/// What the recipient is told by the carrier. Places and openings are told by the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RecipientNotice {
    Accepted,
    /// The consent came too late for the car.
    ConsentTooLate,
    Announced,
    /// The car is not ready; the gateway tells why and what to do.
    NotReady,
    OnItsWay,
    CourierChanged,
    ParcelDone(ParcelId),
    ParcelElsewhere {
        parcel: ParcelId,
        fallback: Fallback,
        reason: Reason,
    },
    Ended(Ending),
}
impl RecipientNotice {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::ConsentTooLate => "consent_too_late",
            Self::Announced => "announced",
            Self::NotReady => "not_ready",
            Self::OnItsWay => "on_its_way",
            Self::CourierChanged => "courier_changed",
            Self::ParcelDone(_) => "parcel_done",
            Self::ParcelElsewhere { .. } => "parcel_elsewhere",
            Self::Ended(_) => "ended",
        }
    }
}

/// What the merchant is told: outcomes, never places or times of opening.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MerchantNotice {
    Accepted,
    NotConfirmed,
    ParcelDone(ParcelId),
    ParcelElsewhere { parcel: ParcelId, fallback: Fallback, reason: Reason },
    Ended(Ending),
}
impl MerchantNotice {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NotConfirmed => "not_confirmed",
            Self::ParcelDone(_) => "parcel_done",
            Self::ParcelElsewhere { .. } => "parcel_elsewhere",
            Self::Ended(_) => "ended",
        }
    }
}

/// Why an event was refused. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[error("{}", self.code())]
pub enum Refused {
    /// The delivery is over.
    Ended,
    /// The event does not belong to this phase.
    WrongPhase,
    UnknownParcel,
    /// The parcel has gone another way already.
    ParcelElsewhere,
    /// No grant has been accepted.
    NotAccepted,
    /// The consent came too late; the fallback stands.
    TooLate,
    /// The owner has blocked it.
    Blocked,
    /// The last answer was no.
    NotReady,
    /// Not announced, or less than an hour ago under a standing rule.
    NotAnnounced,
    /// A parcel of this stop is not in the van.
    NotLoaded,
    /// The leg's window is longer than 60 minutes, outside the grant's, or past.
    LegWindow,
    /// The grant's window lies outside the delivery's.
    GrantWindow,
    /// A parcel of this stop has no outcome yet.
    OutcomeMissing,
}
impl Refused {
    pub const ALL: [Self; 13] = [
        Self::Ended,
        Self::WrongPhase,
        Self::UnknownParcel,
        Self::ParcelElsewhere,
        Self::NotAccepted,
        Self::TooLate,
        Self::Blocked,
        Self::NotReady,
        Self::NotAnnounced,
        Self::NotLoaded,
        Self::LegWindow,
        Self::GrantWindow,
        Self::OutcomeMissing,
    ];
    /// The stable word in problems.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::WrongPhase => "wrong_phase",
            Self::UnknownParcel => "unknown_parcel",
            Self::ParcelElsewhere => "parcel_elsewhere",
            Self::NotAccepted => "not_accepted",
            Self::TooLate => "too_late",
            Self::Blocked => "blocked",
            Self::NotReady => "not_ready",
            Self::NotAnnounced => "not_announced",
            Self::NotLoaded => "not_loaded",
            Self::LegWindow => "leg_window",
            Self::GrantWindow => "grant_window",
            Self::OutcomeMissing => "outcome_missing",
        }
    }
}
