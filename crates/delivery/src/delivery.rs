//! One delivery: its parcels, the owner's answer, the leg to its stop, an outcome for each parcel, and where each goes
//! otherwise.
//!
//! ```text
//!  Requested ──▶ Accepted ──▶ Loaded ──▶ Leg ──▶ AtStop ──▶ Ended
//!      │            │           │         │        │          ▲
//!      └────────────┴───────────┴─────────┴────────┴─▶ FallingBack
//! ```
//!
//! Every parcel has a next step at every moment ([`Delivery::next_step`]). A parcel that did not go into the car goes to
//! the first agreed fallback, or to another agreed one that the courier names. Pick-ups and returns are the same machine
//! with [`Direction::Take`].

use std::collections::BTreeMap;

use parcelshelf_core::id::{CourierId, DelegationId, DeliveryId, ParcelId};
use parcelshelf_core::reason::{Fallback, Reason};
use parcelshelf_core::time::{Timestamp, Window};

/// Windows that a carrier offers, in milliseconds: two hours and four.
pub const WINDOWS_MS: [i64; 2] = [2 * 3_600_000, 4 * 3_600_000];
/// A delegation lives at most this long: one leg to one stop.
pub const LEG_MS_MAX: i64 = 3_600_000;
/// Most parcels in one delivery: what fits a trunk and one person's hands at a kerb.
pub const PARCELS_MAX: usize = 8;

/// Into the car or out of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    Put,
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
        [Self::Put, Self::Take].into_iter().find(|d| d.code() == code)
    }
}

/// What became of one parcel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ParcelState {
    /// On its way to the car, or in it waiting to be taken.
    Planned,
    Placed,
    Taken,
    /// On its way to the fallback.
    FallingBack {
        reason: Reason,
        to: Fallback,
    },
    /// Arrived at the fallback, for good.
    FellBack {
        reason: Reason,
        to: Fallback,
    },
}
impl ParcelState {
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Placed | Self::Taken | Self::FellBack { .. })
    }
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Placed => "placed",
            Self::Taken => "taken",
            Self::FallingBack { .. } => "falling_back",
            Self::FellBack { .. } => "fell_back",
        }
    }
}

/// Where the delivery as a whole stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The owner has not answered.
    Requested,
    /// The keyholder said that a grant holds, for this window.
    Accepted {
        access: Window,
    },
    /// On a courier's van.
    Loaded {
        access: Window,
        courier: CourierId,
    },
    /// On the way to this stop, with a delegation for this courier's device.
    Leg {
        access: Window,
        courier: CourierId,
        delegation: DelegationId,
        until: Timestamp,
    },
    AtStop {
        access: Window,
        courier: CourierId,
        delegation: DelegationId,
        until: Timestamp,
    },
    /// Nothing more happens at the car; at least one parcel is on its way elsewhere.
    FallingBack,
    Ended(End),
}
impl Phase {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Accepted { .. } => "accepted",
            Self::Loaded { .. } => "loaded",
            Self::Leg { .. } => "leg",
            Self::AtStop { .. } => "at_stop",
            Self::FallingBack => "falling_back",
            Self::Ended(_) => "ended",
        }
    }
    /// The courier who has it, if any.
    #[must_use]
    pub const fn courier(self) -> Option<CourierId> {
        match self {
            Self::Loaded { courier, .. } | Self::Leg { courier, .. } | Self::AtStop { courier, .. } => Some(courier),
            _ => None,
        }
    }
}

/// How it ended, from the parcels' outcomes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum End {
    /// Every parcel placed or taken.
    Delivered,
    /// At least one parcel placed or taken, at least one elsewhere.
    Partly,
    /// Every parcel at a fallback.
    Fallback,
    /// Every parcel back with its sender.
    Returned,
}
impl End {
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Partly, Self::Fallback, Self::Returned];
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Partly => "partly_delivered",
            Self::Fallback => "fallback",
            Self::Returned => "returned",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.code() == code)
    }
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The keyholder's signed word: a grant holds.
    Accepted {
        window: Window,
    },
    /// The owner said no, or withdrew, or blocked; or the grant is gone.
    Stopped {
        reason: Reason,
    },
    Loaded {
        courier: CourierId,
    },
    /// Taken off this van: another courier may load it.
    Unloaded,
    /// The leg to this stop begins: the delegation with this id was signed for the courier's device.
    LegStarted {
        courier: CourierId,
        delegation: DelegationId,
        until: Timestamp,
    },
    /// The gateway refused the delegation, or it ended before the courier arrived.
    LegEnded,
    Arrived,
    /// The courier says what became of a parcel.
    ParcelDone {
        parcel: ParcelId,
    },
    ParcelNotDone {
        parcel: ParcelId,
        reason: Reason,
        to: Option<Fallback>,
    },
    /// The courier leaves the stop; parcels without an outcome fall back.
    StopLeft,
    /// The window of the grant is over.
    WindowPassed,
    /// A parcel reached its fallback.
    FallbackDone {
        parcel: ParcelId,
    },
}
impl Event {
    /// The word in the journal.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Stopped { .. } => "stopped",
            Self::Loaded { .. } => "loaded",
            Self::Unloaded => "unloaded",
            Self::LegStarted { .. } => "leg_started",
            Self::LegEnded => "leg_ended",
            Self::Arrived => "arrived",
            Self::ParcelDone { .. } => "parcel_done",
            Self::ParcelNotDone { .. } => "parcel_not_done",
            Self::StopLeft => "stop_left",
            Self::WindowPassed => "window_passed",
            Self::FallbackDone { .. } => "fallback_done",
        }
    }
}

/// What the shell must do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Wake up when this window is over, to send [`Event::WindowPassed`].
    WatchWindow {
        until: Timestamp,
    },
    /// Post the delegation, then watch the gateway's status until the leg ends.
    PostDelegation {
        courier: CourierId,
        delegation: DelegationId,
    },
    StopWatching,
    /// Plan the parcel's way to its fallback.
    PlanFallback {
        parcel: ParcelId,
        reason: Reason,
        to: Fallback,
    },
    End(End),
}

/// What a parcel waits for: there is always something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextStep {
    OwnersAnswer,
    Van,
    Leg,
    Arrival,
    CouriersOutcome,
    Fallback(Fallback),
    /// It is where it belongs.
    None,
}

/// The event does not fit the state; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTransition {
    #[error("{event} does not fit a delivery that is {phase}")]
    Phase { phase: &'static str, event: &'static str },
    #[error("the delivery has no such parcel")]
    NoSuchParcel,
    #[error("the parcel has another outcome already")]
    OutcomeStands,
    #[error("this fallback was not agreed")]
    FallbackNotAgreed,
    #[error("the delivery is on another courier's van")]
    AnotherCourier,
    #[error("a leg lasts at most an hour and lies inside the grant's window")]
    LegWindow,
}
impl IllegalTransition {
    /// The stable code in problems.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Phase { .. } => "wrong_state",
            Self::NoSuchParcel => "no_such_parcel",
            Self::OutcomeStands => "outcome_stands",
            Self::FallbackNotAgreed => "fallback_not_agreed",
            Self::AnotherCourier => "another_courier",
            Self::LegWindow => "leg_window",
        }
    }
}

/// Why a delivery cannot be made from these parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotADelivery {
    #[error("a delivery has 1 to {PARCELS_MAX} parcels, each once")]
    Parcels,
    #[error("at least one fallback is agreed, each once")]
    Fallbacks,
    #[error("a window is two or four hours long and not over")]
    Window,
    #[error("phase and parcels do not fit each other")]
    Inconsistent,
}

/// A delivery as the carrier keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    id: DeliveryId,
    /// What the recipient was offered.
    window: Window,
    parcels: BTreeMap<ParcelId, (Direction, ParcelState)>,
    /// Agreed before, best first; never empty.
    fallbacks: Vec<Fallback>,
    phase: Phase,
}

/// The plain fields of a [`Delivery`], for a row type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryParts {
    pub id: DeliveryId,
    pub window: Window,
    pub parcels: Vec<(ParcelId, Direction, ParcelState)>,
    pub fallbacks: Vec<Fallback>,
    pub phase: Phase,
}

impl Delivery {
    /// A fresh delivery that asks for the owner's answer.
    ///
    /// # Errors
    /// [`NotADelivery`] when parcels, fallbacks or window are out of bounds.
    pub fn request(
        id: DeliveryId,
        window: Window,
        parcels: Vec<(ParcelId, Direction)>,
        fallbacks: Vec<Fallback>,
        now: Timestamp,
    ) -> Result<Self, NotADelivery> {
        if !WINDOWS_MS.contains(&window.millis()) || window.end() <= now {
            return Err(NotADelivery::Window);
        }
        let parcels = parcels.into_iter().map(|(p, d)| (p, d, ParcelState::Planned)).collect();
        Self::from_parts(DeliveryParts { id, window, parcels, fallbacks, phase: Phase::Requested })
    }

    /// From a row.
    ///
    /// # Errors
    /// [`NotADelivery`] for parts that this machine never has.
    pub fn from_parts(parts: DeliveryParts) -> Result<Self, NotADelivery> {
        let count = parts.parcels.len();
        let parcels: BTreeMap<_, _> = parts.parcels.into_iter().map(|(p, d, s)| (p, (d, s))).collect();
        if count == 0 || count > PARCELS_MAX || parcels.len() != count {
            return Err(NotADelivery::Parcels);
        }
        let mut distinct = parts.fallbacks.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if parts.fallbacks.is_empty() || distinct.len() != parts.fallbacks.len() {
            return Err(NotADelivery::Fallbacks);
        }
        let made = Self { id: parts.id, window: parts.window, parcels, fallbacks: parts.fallbacks, phase: parts.phase };
        let all_final = made.parcels.values().all(|(_, s)| s.is_final());
        let any_falling = made.parcels.values().any(|(_, s)| matches!(s, ParcelState::FallingBack { .. }));
        let none_planned = made.parcels.values().all(|(_, s)| *s != ParcelState::Planned);
        let consistent = match made.phase {
            Phase::Ended(end) => all_final && end == made.end(),
            Phase::FallingBack => none_planned && any_falling,
            _ => !none_planned || !made.parcels.is_empty() && matches!(made.phase, Phase::AtStop { .. }),
        };
        if consistent { Ok(made) } else { Err(NotADelivery::Inconsistent) }
    }

    #[must_use]
    pub fn into_parts(self) -> DeliveryParts {
        let parcels = self.parcels.into_iter().map(|(p, (d, s))| (p, d, s)).collect();
        DeliveryParts { id: self.id, window: self.window, parcels, fallbacks: self.fallbacks, phase: self.phase }
    }

    #[must_use]
    pub const fn id(&self) -> DeliveryId {
        self.id
    }
    #[must_use]
    pub const fn window(&self) -> Window {
        self.window
    }
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }
    #[must_use]
    pub fn fallbacks(&self) -> &[Fallback] {
        &self.fallbacks
    }
    pub fn parcels(&self) -> impl Iterator<Item = (ParcelId, Direction, ParcelState)> + '_ {
        self.parcels.iter().map(|(p, (d, s))| (*p, *d, *s))
    }

    /// What a parcel waits for.
    #[must_use]
    pub fn next_step(&self, parcel: ParcelId) -> Option<NextStep> {
        let (_, state) = self.parcels.get(&parcel)?;
        Some(match (state, self.phase) {
            (ParcelState::FallingBack { to, .. }, _) => NextStep::Fallback(*to),
            (state, _) if state.is_final() => NextStep::None,
            (_, Phase::Requested) => NextStep::OwnersAnswer,
            (_, Phase::Accepted { .. }) => NextStep::Van,
            (_, Phase::Loaded { .. }) => NextStep::Leg,
            (_, Phase::Leg { .. }) => NextStep::Arrival,
            _ => NextStep::CouriersOutcome,
        })
    }

    /// The table. Repeating an event that already had its effect changes nothing and asks for nothing: a courier's phone
    /// with one bar of signal says things twice.
    ///
    /// # Errors
    /// [`IllegalTransition`]; the state is unchanged then.
    pub fn handle(mut self, event: Event, now: Timestamp) -> Result<(Self, Vec<Effect>), IllegalTransition> {
        let illegal = IllegalTransition::Phase { phase: self.phase.code(), event: event.code() };
        let effects = match (self.phase, event) {
            (Phase::Requested, Event::Accepted { window }) => {
                self.phase = Phase::Accepted { access: window };
                vec![Effect::WatchWindow { until: window.end() }]
            }
            (Phase::Accepted { access }, Event::Accepted { window }) if access == window => vec![],

            (Phase::Accepted { access }, Event::Loaded { courier }) => {
                self.phase = Phase::Loaded { access, courier };
                vec![]
            }
            (phase, Event::Loaded { courier }) if phase.courier() == Some(courier) => vec![],
            (Phase::Loaded { access, .. }, Event::Loaded { courier }) => {
                self.phase = Phase::Loaded { access, courier };
                vec![]
            }
            (Phase::Loaded { access, .. }, Event::Unloaded) => {
                self.phase = Phase::Accepted { access };
                vec![]
            }
            (Phase::Leg { access, .. } | Phase::AtStop { access, .. }, Event::Unloaded) => {
                self.phase = Phase::Accepted { access };
                vec![Effect::StopWatching]
            }
            (Phase::Accepted { .. }, Event::Unloaded) => vec![],

            (Phase::Loaded { access, courier }, Event::LegStarted { courier: by, delegation, until }) => {
                if courier != by {
                    return Err(IllegalTransition::AnotherCourier);
                }
                if until <= now || until.millis_since(now) > LEG_MS_MAX || until > access.end() || now < access.start()
                {
                    return Err(IllegalTransition::LegWindow);
                }
                self.phase = Phase::Leg { access, courier, delegation, until };
                vec![Effect::PostDelegation { courier, delegation }]
            }
            (
                Phase::Leg { delegation: d, .. } | Phase::AtStop { delegation: d, .. },
                Event::LegStarted { delegation, .. },
            ) if d == delegation => {
                vec![]
            }
            (Phase::Leg { access, courier, .. } | Phase::AtStop { access, courier, .. }, Event::LegEnded) => {
                self.phase = Phase::Loaded { access, courier };
                vec![Effect::StopWatching]
            }
            (Phase::Loaded { .. }, Event::LegEnded) => vec![],

            (Phase::Leg { access, courier, delegation, until }, Event::Arrived) => {
                self.phase = Phase::AtStop { access, courier, delegation, until };
                vec![]
            }
            (Phase::AtStop { .. }, Event::Arrived) => vec![],

            // A parcel's outcome may come late, after the leg's hour or the window: what happened, happened.
            (Phase::Leg { .. } | Phase::AtStop { .. } | Phase::FallingBack, Event::ParcelDone { parcel }) => {
                self.parcel_done(parcel)?
            }
            (
                Phase::Loaded { .. } | Phase::Leg { .. } | Phase::AtStop { .. } | Phase::FallingBack,
                Event::ParcelNotDone { parcel, reason, to },
            ) => self.parcel_not_done(parcel, reason, to)?,
            (Phase::AtStop { .. } | Phase::Leg { .. }, Event::StopLeft) => self.fall_back(Reason::NotConfirmed),

            (Phase::Ended(_) | Phase::FallingBack, Event::StopLeft | Event::WindowPassed | Event::Stopped { .. }) => {
                vec![]
            }
            (_, Event::Stopped { reason }) => self.fall_back(reason),
            // At the stop the keyholder decides whether the door still opens; the courier's word ends it.
            (Phase::AtStop { .. }, Event::WindowPassed) => vec![],
            (Phase::Requested, Event::WindowPassed) => self.fall_back(Reason::NotConfirmed),
            (_, Event::WindowPassed) => self.fall_back(Reason::CarrierLate),

            (_, Event::FallbackDone { parcel }) => self.fallback_done(parcel)?,
            (Phase::Ended(_), Event::ParcelDone { parcel }) => {
                let (_, state) = self.parcels.get(&parcel).ok_or(IllegalTransition::NoSuchParcel)?;
                match state {
                    ParcelState::Placed | ParcelState::Taken => vec![],
                    _ => return Err(IllegalTransition::OutcomeStands),
                }
            }
            _ => return Err(illegal),
        };
        Ok((self, effects))
    }

    fn parcel_done(&mut self, parcel: ParcelId) -> Result<Vec<Effect>, IllegalTransition> {
        let (direction, state) = self.parcels.get_mut(&parcel).ok_or(IllegalTransition::NoSuchParcel)?;
        let done = match direction {
            Direction::Put => ParcelState::Placed,
            Direction::Take => ParcelState::Taken,
        };
        match *state {
            ParcelState::Planned => *state = done,
            already if already == done => return Ok(vec![]),
            _ => return Err(IllegalTransition::OutcomeStands),
        }
        Ok(self.end_if_all_are_done())
    }

    fn parcel_not_done(
        &mut self,
        parcel: ParcelId,
        reason: Reason,
        to: Option<Fallback>,
    ) -> Result<Vec<Effect>, IllegalTransition> {
        let to = to.unwrap_or(self.fallbacks[0]);
        if !self.fallbacks.contains(&to) {
            return Err(IllegalTransition::FallbackNotAgreed);
        }
        let (_, state) = self.parcels.get_mut(&parcel).ok_or(IllegalTransition::NoSuchParcel)?;
        match *state {
            ParcelState::Planned => *state = ParcelState::FallingBack { reason, to },
            ParcelState::FallingBack { to: planned, .. } | ParcelState::FellBack { to: planned, .. }
                if planned == to =>
            {
                return Ok(vec![]);
            }
            _ => return Err(IllegalTransition::OutcomeStands),
        }
        let mut effects = vec![Effect::PlanFallback { parcel, reason, to }];
        effects.extend(self.end_if_all_are_done());
        Ok(effects)
    }

    /// Every parcel without an outcome falls back.
    fn fall_back(&mut self, reason: Reason) -> Vec<Effect> {
        let to = self.fallbacks[0];
        let mut effects = Vec::new();
        if matches!(self.phase, Phase::Leg { .. } | Phase::AtStop { .. }) {
            effects.push(Effect::StopWatching);
        }
        for (parcel, (_, state)) in &mut self.parcels {
            if *state == ParcelState::Planned {
                *state = ParcelState::FallingBack { reason, to };
                effects.push(Effect::PlanFallback { parcel: *parcel, reason, to });
            }
        }
        effects.extend(self.end_if_all_are_done());
        effects
    }

    fn fallback_done(&mut self, parcel: ParcelId) -> Result<Vec<Effect>, IllegalTransition> {
        let (_, state) = self.parcels.get_mut(&parcel).ok_or(IllegalTransition::NoSuchParcel)?;
        match *state {
            ParcelState::FallingBack { reason, to } => *state = ParcelState::FellBack { reason, to },
            ParcelState::FellBack { .. } => return Ok(vec![]),
            _ => return Err(IllegalTransition::OutcomeStands),
        }
        Ok(self.end_if_all_are_done())
    }

    /// Moves on when no parcel is planned for the car any more.
    fn end_if_all_are_done(&mut self) -> Vec<Effect> {
        let states = || self.parcels.values().map(|(_, s)| *s);
        if states().any(|s| s == ParcelState::Planned) || matches!(self.phase, Phase::Ended(_)) {
            return vec![];
        }
        let watching = matches!(self.phase, Phase::Leg { .. } | Phase::AtStop { .. });
        let mut effects = if watching { vec![Effect::StopWatching] } else { vec![] };
        if states().all(ParcelState::is_final) {
            let end = self.end();
            self.phase = Phase::Ended(end);
            effects.push(Effect::End(end));
        } else {
            self.phase = Phase::FallingBack;
        }
        effects
    }

    fn end(&self) -> End {
        let states = || self.parcels.values().map(|(_, s)| *s);
        let done = |s: ParcelState| matches!(s, ParcelState::Placed | ParcelState::Taken);
        if states().all(done) {
            End::Delivered
        } else if states().any(done) {
            End::Partly
        } else if states().all(|s| matches!(s, ParcelState::FellBack { to: Fallback::Return, .. })) {
            End::Returned
        } else {
            End::Fallback
        }
    }
}
