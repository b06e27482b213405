//! What a delivery remembers, in plain fields that a row type can hold.

use parcelshelf_core::id::{CourierId, DeliveryId, ParcelId, ShipmentId};
use parcelshelf_core::reason::{Fallback, Reason};
use parcelshelf_core::time::{Timestamp, Window};

use super::PARCELS_MAX;

/// Which way a parcel goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// Into the car.
    Put,
    /// Out of the car: returns, pick-ups, laundry.
    Take,
}
impl Direction {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Take => "take",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        [Self::Put, Self::Take].into_iter().find(|c| c.code() == code)
    }
}

/// Where one parcel is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ParcelPhase {
    /// To be loaded (put) or collected (take).
    Expected,
    /// In the van, for the car.
    OnVan,
    /// In the car (put), or out of it and in the van (take).
    Done,
    /// Goes another way; not there yet.
    FallbackPlanned { fallback: Fallback, reason: Reason },
    /// Went another way.
    FallbackDone { fallback: Fallback, reason: Reason },
}
impl ParcelPhase {
    /// The stable word; fallback and reason have codes of their own.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::OnVan => "on_van",
            Self::Done => "done",
            Self::FallbackPlanned { .. } => "fallback_planned",
            Self::FallbackDone { .. } => "fallback_done",
        }
    }
    /// Fallback and reason, where there are some.
    #[must_use]
    pub const fn fallback(self) -> Option<(Fallback, Reason)> {
        match self {
            Self::FallbackPlanned { fallback, reason } | Self::FallbackDone { fallback, reason } => {
                Some((fallback, reason))
            }
            _ => None,
        }
    }
    /// From [`ParcelPhase::code`] and [`ParcelPhase::fallback`]. `None` for a combination that does not exist.
    #[must_use]
    pub fn parse(code: &str, fallback: Option<(Fallback, Reason)>) -> Option<Self> {
        Some(match (code, fallback) {
            ("expected", None) => Self::Expected,
            ("on_van", None) => Self::OnVan,
            ("done", None) => Self::Done,
            ("fallback_planned", Some((fallback, reason))) => Self::FallbackPlanned { fallback, reason },
            ("fallback_done", Some((fallback, reason))) => Self::FallbackDone { fallback, reason },
            _ => return None,
        })
    }
    /// Nothing more happens to it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::FallbackDone { .. })
    }
    /// Still meant for the car.
    #[must_use]
    pub const fn is_for_car(self) -> bool {
        matches!(self, Self::Expected | Self::OnVan)
    }
}

/// One parcel of a delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parcel {
    pub id: ParcelId,
    pub direction: Direction,
    pub phase: ParcelPhase,
    /// It has been scanned into the van at some time, so that it is on board when its fallback comes.
    pub was_loaded: bool,
    /// Fallbacks that were tried and failed.
    pub failed: Vec<Fallback>,
}
impl Parcel {
    /// A parcel at the start of its way.
    #[must_use]
    pub const fn expected(id: ParcelId, direction: Direction) -> Self {
        Self { id, direction, phase: ParcelPhase::Expected, was_loaded: false, failed: Vec::new() }
    }
}

/// What the keyholder's acceptance of a grant says, as far as the carrier decides by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Acceptance {
    /// The grant's window, inside the delivery's.
    pub window: Window,
    /// The grant is a standing rule: announce it an hour before.
    pub standing: bool,
}

/// The one word that a carrier gets for "is the car ready?".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Readiness {
    Yes,
    No,
    Later,
}
impl Readiness {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Later => "later",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        [Self::Yes, Self::No, Self::Later].into_iter().find(|c| c.code() == code)
    }
}

/// How a delivery ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ending {
    /// Every parcel into or out of the car.
    Delivered,
    /// Every parcel the same other way.
    Fallback(Fallback),
    /// Every parcel back to its sender.
    Returned,
    /// Each parcel says for itself.
    Mixed,
}
impl Ending {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Fallback(Fallback::Address) => "fallback_address",
            Self::Fallback(Fallback::ParcelShop) => "fallback_parcel_shop",
            Self::Fallback(Fallback::NextWindow) => "fallback_next_window",
            Self::Fallback(Fallback::Return) | Self::Returned => "returned",
            Self::Mixed => "mixed",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        [
            Self::Delivered,
            Self::Fallback(Fallback::Address),
            Self::Fallback(Fallback::ParcelShop),
            Self::Fallback(Fallback::NextWindow),
            Self::Returned,
            Self::Mixed,
        ]
        .into_iter()
        .find(|c| c.code() == code)
    }
}

/// Where a delivery is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Asked for; the recipient has not consented.
    Requested,
    /// The keyholder has accepted a grant.
    Accepted,
    /// The recipient knows the time.
    Announced,
    Ready,
    NotReady,
    /// Everything for this stop is in the van.
    OnVan,
    /// A courier is on the leg to this stop, with a delegation.
    LegStarted,
    AtStop,
    /// The car is given up or done with; planned fallbacks are being carried out.
    FallingBack,
    Ended(Ending),
}
impl Phase {
    /// The stable word; the ending has a code of its own.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Accepted => "accepted",
            Self::Announced => "announced",
            Self::Ready => "ready",
            Self::NotReady => "not_ready",
            Self::OnVan => "on_van",
            Self::LegStarted => "leg_started",
            Self::AtStop => "at_stop",
            Self::FallingBack => "falling_back",
            Self::Ended(_) => "ended",
        }
    }
    #[must_use]
    pub const fn ending(self) -> Option<Ending> {
        match self {
            Self::Ended(ending) => Some(ending),
            _ => None,
        }
    }
    /// From [`Phase::code`] and [`Phase::ending`]. `None` for a combination that does not exist.
    #[must_use]
    pub fn parse(code: &str, ending: Option<Ending>) -> Option<Self> {
        if let Some(ending) = ending {
            return (code == "ended").then_some(Self::Ended(ending));
        }
        [
            Self::Requested,
            Self::Accepted,
            Self::Announced,
            Self::Ready,
            Self::NotReady,
            Self::OnVan,
            Self::LegStarted,
            Self::AtStop,
            Self::FallingBack,
        ]
        .into_iter()
        .find(|p| p.code() == code)
    }
    /// Before the leg, with a consent.
    pub(super) const fn is_waiting(self) -> bool {
        matches!(self, Self::Accepted | Self::Announced | Self::Ready | Self::NotReady | Self::OnVan)
    }
}

/// What happens with a parcel now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NextStep {
    AwaitConsent,
    /// Consented; the car is not ready or the time has not come.
    AwaitReadiness,
    /// To be scanned into the van.
    Load,
    /// In the van, or to be collected: drive there.
    Drive,
    /// Into or out of the car now.
    HandOver,
    CarryOutFallback(Fallback),
    /// It is where it belongs.
    None,
}
impl NextStep {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::AwaitConsent => "await_consent",
            Self::AwaitReadiness => "await_readiness",
            Self::Load => "load",
            Self::Drive => "drive",
            Self::HandOver => "hand_over",
            Self::CarryOutFallback(_) => "carry_out_fallback",
            Self::None => "none",
        }
    }
}

/// The plain fields of a [`Delivery`], for a row type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryParts {
    pub id: DeliveryId,
    pub shipment: ShipmentId,
    /// What the recipient was offered.
    pub window: Window,
    /// Agreed before, in order of preference. Return is always possible and need not be listed.
    pub fallbacks: Vec<Fallback>,
    pub parcels: Vec<Parcel>,
    pub phase: Phase,
    pub acceptance: Option<Acceptance>,
    pub announced_at: Option<Timestamp>,
    pub readiness: Option<Readiness>,
    pub courier: Option<CourierId>,
    pub leg: Option<Window>,
    pub blocked: bool,
}

/// Why no delivery can be requested so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotADelivery {
    #[error("a delivery has 1 to {PARCELS_MAX} parcels")]
    ParcelCount,
    #[error("a parcel is listed twice")]
    ParcelTwice,
    #[error("a fallback is listed twice")]
    FallbackTwice,
}

/// Parts that no delivery can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImpossibleDelivery {
    #[error(transparent)]
    NotADelivery(#[from] NotADelivery),
    #[error("a phase after consent needs an acceptance")]
    NoAcceptance,
    #[error("a leg needs a courier and a window")]
    NoLeg,
    #[error("an ended delivery has a final outcome for each parcel, and the ending that follows from them")]
    WrongEnding,
    #[error("a delivery that falls back has no parcel left for the car")]
    ParcelWithoutNextStep,
}

/// One delivery. See the module's text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    pub(super) p: DeliveryParts,
}

impl Delivery {
    /// A delivery as it is offered to the recipient. The parcels have passed the rules.
    ///
    /// # Errors
    /// [`NotADelivery`].
    pub fn request(
        id: DeliveryId,
        shipment: ShipmentId,
        window: Window,
        fallbacks: Vec<Fallback>,
        parcels: Vec<(ParcelId, Direction)>,
    ) -> Result<Self, NotADelivery> {
        let parcels: Vec<_> = parcels.into_iter().map(|(id, direction)| Parcel::expected(id, direction)).collect();
        sane(&parcels, &fallbacks)?;
        let p = DeliveryParts {
            id,
            shipment,
            window,
            fallbacks,
            parcels,
            phase: Phase::Requested,
            acceptance: None,
            announced_at: None,
            readiness: None,
            courier: None,
            leg: None,
            blocked: false,
        };
        Ok(Self { p })
    }
    /// The plain fields.
    #[must_use]
    pub const fn parts(&self) -> &DeliveryParts {
        &self.p
    }
    /// The plain fields, for a row type.
    #[must_use]
    pub fn into_parts(self) -> DeliveryParts {
        self.p
    }
    /// From a row type.
    ///
    /// # Errors
    /// [`ImpossibleDelivery`] for parts that no sequence of events makes.
    pub fn from_parts(p: DeliveryParts) -> Result<Self, ImpossibleDelivery> {
        sane(&p.parcels, &p.fallbacks)?;
        let consented = p.phase.is_waiting() || matches!(p.phase, Phase::LegStarted | Phase::AtStop);
        if (consented || p.parcels.iter().any(|x| x.phase == ParcelPhase::Done)) && p.acceptance.is_none() {
            return Err(ImpossibleDelivery::NoAcceptance);
        }
        let on_leg = matches!(p.phase, Phase::LegStarted | Phase::AtStop);
        if on_leg && (p.courier.is_none() || p.leg.is_none()) {
            return Err(ImpossibleDelivery::NoLeg);
        }
        if p.phase == Phase::FallingBack && p.parcels.iter().any(|x| x.phase.is_for_car()) {
            return Err(ImpossibleDelivery::ParcelWithoutNextStep);
        }
        let delivery = Self { p };
        match delivery.p.phase.ending() {
            Some(ending) if delivery.ending_by_parcels() != Some(ending) => Err(ImpossibleDelivery::WrongEnding),
            _ => Ok(delivery),
        }
    }
    #[must_use]
    pub const fn id(&self) -> DeliveryId {
        self.p.id
    }
    #[must_use]
    pub const fn shipment(&self) -> ShipmentId {
        self.p.shipment
    }
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.p.phase
    }
    #[must_use]
    pub const fn window(&self) -> Window {
        self.p.window
    }
    #[must_use]
    pub fn parcels(&self) -> &[Parcel] {
        &self.p.parcels
    }
    #[must_use]
    pub fn parcel(&self, id: ParcelId) -> Option<&Parcel> {
        self.p.parcels.iter().find(|x| x.id == id)
    }
    #[must_use]
    pub const fn courier(&self) -> Option<CourierId> {
        self.p.courier
    }
    #[must_use]
    pub const fn leg(&self) -> Option<Window> {
        self.p.leg
    }
    #[must_use]
    pub const fn ended(&self) -> Option<Ending> {
        self.p.phase.ending()
    }
    /// What happens with a parcel now; `None` only for a parcel of another delivery.
    #[must_use]
    pub fn next_step(&self, id: ParcelId) -> Option<NextStep> {
        let parcel = self.parcel(id)?;
        Some(match (parcel.phase, self.p.phase) {
            (ParcelPhase::Done | ParcelPhase::FallbackDone { .. }, _) => NextStep::None,
            (ParcelPhase::FallbackPlanned { fallback, .. }, _) => NextStep::CarryOutFallback(fallback),
            (_, Phase::Requested) => NextStep::AwaitConsent,
            (_, Phase::AtStop) => NextStep::HandOver,
            (_, Phase::NotReady) => NextStep::AwaitReadiness,
            (ParcelPhase::Expected, _) if parcel.direction == Direction::Put => NextStep::Load,
            (ParcelPhase::Expected | ParcelPhase::OnVan, _) => NextStep::Drive,
        })
    }
    /// The ending that follows from the parcels, once each has a final outcome.
    pub(super) fn ending_by_parcels(&self) -> Option<Ending> {
        let parcels = &self.p.parcels;
        if !parcels.iter().all(|x| x.phase.is_final()) {
            return None;
        }
        if parcels.iter().all(|x| x.phase == ParcelPhase::Done) {
            return Some(Ending::Delivered);
        }
        let first = parcels.first().and_then(|x| x.phase.fallback()).map(|(fallback, _)| fallback);
        let same = parcels.iter().all(|x| x.phase.fallback().map(|(fallback, _)| fallback) == first);
        Some(match first {
            Some(Fallback::Return) if same => Ending::Returned,
            Some(fallback) if same => Ending::Fallback(fallback),
            _ => Ending::Mixed,
        })
    }
}

fn sane(parcels: &[Parcel], fallbacks: &[Fallback]) -> Result<(), NotADelivery> {
    if !(1..=PARCELS_MAX).contains(&parcels.len()) {
        return Err(NotADelivery::ParcelCount);
    }
    if parcels.iter().enumerate().any(|(i, x)| parcels[..i].iter().any(|y| y.id == x.id)) {
        return Err(NotADelivery::ParcelTwice);
    }
    if fallbacks.iter().enumerate().any(|(i, x)| fallbacks[..i].contains(x)) {
        return Err(NotADelivery::FallbackTwice);
    }
    Ok(())
}
