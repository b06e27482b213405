//! A courier's route: stops in order, one leg at a time.
//!
//! A stop groups the deliveries at one access point. The place of the next stop stays hidden until the courier is
//! released from this one; so a route never has two legs under way.

use parcelshelf_core::id::{CourierId, DeliveryId, StopId};
use parcelshelf_core::reason::Reason;

/// Stops in one route: a long day.
pub const STOPS_MAX: usize = 400;
/// Deliveries at one stop.
pub const DELIVERIES_MAX: usize = 20;

/// Where a stop is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StopPhase {
    Planned,
    /// The leg to it is under way.
    EnRoute,
    Arrived,
    /// Done with; each delivery says how.
    Closed,
    /// Passed over.
    Skipped(Reason),
}
impl StopPhase {
    /// The stable word; the reason has a code of its own.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::EnRoute => "en_route",
            Self::Arrived => "arrived",
            Self::Closed => "closed",
            Self::Skipped(_) => "skipped",
        }
    }
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Skipped(reason) => Some(reason),
            _ => None,
        }
    }
    /// From [`StopPhase::code`] and [`StopPhase::reason`].
    #[must_use]
    pub fn parse(code: &str, reason: Option<Reason>) -> Option<Self> {
        match (code, reason) {
            ("skipped", Some(reason)) => Some(Self::Skipped(reason)),
            (_, None) => {
                [Self::Planned, Self::EnRoute, Self::Arrived, Self::Closed].into_iter().find(|p| p.code() == code)
            }
            _ => None,
        }
    }
    const fn is_live(self) -> bool {
        matches!(self, Self::EnRoute | Self::Arrived)
    }
}

/// One stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stop {
    pub id: StopId,
    pub deliveries: Vec<DeliveryId>,
    pub phase: StopPhase,
}

/// What happens on a route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The courier drives to this stop; any planned one.
    Start(StopId),
    Arrive(StopId),
    /// The courier may go on.
    Close(StopId),
    Skip {
        stop: StopId,
        reason: Reason,
    },
    /// Planned stops in a new order; all of them, each once.
    Reorder(Vec<StopId>),
    /// A stop more, at the end.
    Add {
        stop: StopId,
        deliveries: Vec<DeliveryId>,
    },
    /// Another courier takes the whole route.
    Reassign(CourierId),
}

/// What the shell must do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Start the leg of each of these deliveries.
    StartLegs { courier: CourierId, deliveries: Vec<DeliveryId> },
    /// The car is given up for each of these deliveries.
    GiveUp { deliveries: Vec<DeliveryId>, reason: Reason },
    /// Each of these deliveries has another courier.
    Reassign { courier: CourierId, deliveries: Vec<DeliveryId> },
    /// Every stop is closed or skipped.
    Done,
}

/// Why an event was refused. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[error("{}", self.code())]
pub enum Refused {
    UnknownStop,
    WrongPhase,
    /// The courier is not released from another stop.
    AnotherStopIsLive,
    /// The new order does not hold each planned stop once.
    NotAnOrder,
    /// The route has this stop or delivery already.
    Twice,
    TooMany,
    Empty,
}
impl Refused {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownStop => "unknown_stop",
            Self::WrongPhase => "wrong_phase",
            Self::AnotherStopIsLive => "another_stop_is_live",
            Self::NotAnOrder => "not_an_order",
            Self::Twice => "twice",
            Self::TooMany => "too_many",
            Self::Empty => "empty",
        }
    }
}

/// A courier's route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    courier: CourierId,
    stops: Vec<Stop>,
}

impl Route {
    #[must_use]
    pub const fn new(courier: CourierId) -> Self {
        Self { courier, stops: Vec::new() }
    }
    #[must_use]
    pub const fn courier(&self) -> CourierId {
        self.courier
    }
    #[must_use]
    pub fn stops(&self) -> &[Stop] {
        &self.stops
    }
    /// The stop that the courier drives to or stands at.
    #[must_use]
    pub fn live(&self) -> Option<&Stop> {
        self.stops.iter().find(|s| s.phase.is_live())
    }
    /// The plain fields, for a row type.
    #[must_use]
    pub fn into_parts(self) -> (CourierId, Vec<Stop>) {
        (self.courier, self.stops)
    }
    /// From a row type.
    ///
    /// # Errors
    /// [`Refused`] as [`Event::Add`] would, and for two live stops.
    pub fn from_parts(courier: CourierId, stops: Vec<Stop>) -> Result<Self, Refused> {
        let mut route = Self::new(courier);
        for stop in stops {
            route.add(stop.id, &stop.deliveries)?;
            if stop.phase.is_live() && route.live().is_some() {
                return Err(Refused::AnotherStopIsLive);
            }
            route.stops.last_mut().ok_or(Refused::UnknownStop)?.phase = stop.phase;
        }
        Ok(route)
    }

    /// The table: state, event → state, effects. A repeat changes nothing; on an error nothing has changed.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn handle(&self, event: &Event) -> Result<(Self, Vec<Effect>), Refused> {
        let mut next = self.clone();
        let mut fx = Vec::new();
        match event {
            Event::Start(id) => match self.phase(*id)? {
                StopPhase::EnRoute => {}
                StopPhase::Planned if self.live().is_some() => return Err(Refused::AnotherStopIsLive),
                StopPhase::Planned => {
                    let deliveries = next.set(*id, StopPhase::EnRoute);
                    fx.push(Effect::StartLegs { courier: self.courier, deliveries });
                }
                _ => return Err(Refused::WrongPhase),
            },
            Event::Arrive(id) => match self.phase(*id)? {
                StopPhase::EnRoute | StopPhase::Arrived => drop(next.set(*id, StopPhase::Arrived)),
                _ => return Err(Refused::WrongPhase),
            },
            Event::Close(id) => match self.phase(*id)? {
                StopPhase::Closed => return Ok((next, fx)),
                phase if phase.is_live() => drop(next.set(*id, StopPhase::Closed)),
                _ => return Err(Refused::WrongPhase),
            },
            Event::Skip { stop, reason } => match self.phase(*stop)? {
                StopPhase::Skipped(_) => return Ok((next, fx)),
                StopPhase::Planned | StopPhase::EnRoute => {
                    let deliveries = next.set(*stop, StopPhase::Skipped(*reason));
                    fx.push(Effect::GiveUp { deliveries, reason: *reason });
                }
                _ => return Err(Refused::WrongPhase),
            },
            Event::Reorder(order) => next.reorder(order)?,
            Event::Add { stop, deliveries } => next.add(*stop, deliveries)?,
            Event::Reassign(courier) if *courier == self.courier => {}
            Event::Reassign(courier) => {
                next.courier = *courier;
                let open = self.stops.iter().filter(|s| s.phase == StopPhase::Planned || s.phase.is_live());
                let deliveries = open.flat_map(|s| s.deliveries.iter().copied()).collect();
                fx.push(Effect::Reassign { courier: *courier, deliveries });
            }
        }
        let ends = matches!(event, Event::Close(_) | Event::Skip { .. });
        if ends && next.stops.iter().all(|s| matches!(s.phase, StopPhase::Closed | StopPhase::Skipped(_))) {
            fx.push(Effect::Done);
        }
        Ok((next, fx))
    }

    fn phase(&self, id: StopId) -> Result<StopPhase, Refused> {
        self.stops.iter().find(|s| s.id == id).map(|s| s.phase).ok_or(Refused::UnknownStop)
    }

    fn set(&mut self, id: StopId, phase: StopPhase) -> Vec<DeliveryId> {
        let Some(stop) = self.stops.iter_mut().find(|s| s.id == id) else { return vec![] };
        stop.phase = phase;
        stop.deliveries.clone()
    }

    fn reorder(&mut self, order: &[StopId]) -> Result<(), Refused> {
        let (planned, rest): (Vec<_>, Vec<_>) = self.stops.drain(..).partition(|s| s.phase == StopPhase::Planned);
        let distinct = order.iter().enumerate().all(|(i, id)| !order[..i].contains(id));
        if order.len() != planned.len() || !distinct {
            return Err(Refused::NotAnOrder);
        }
        let find = |id: &StopId| planned.iter().find(|s| s.id == *id).cloned().ok_or(Refused::NotAnOrder);
        let ordered = order.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        self.stops = rest.into_iter().chain(ordered).collect();
        Ok(())
    }

    fn add(&mut self, id: StopId, deliveries: &[DeliveryId]) -> Result<(), Refused> {
        if deliveries.is_empty() {
            return Err(Refused::Empty);
        }
        if self.stops.len() >= STOPS_MAX || deliveries.len() > DELIVERIES_MAX {
            return Err(Refused::TooMany);
        }
        let known = |d: &DeliveryId| self.stops.iter().any(|s| s.deliveries.contains(d));
        let repeated = deliveries.iter().enumerate().any(|(i, d)| deliveries[..i].contains(d) || known(d));
        if repeated || self.stops.iter().any(|s| s.id == id) {
            return Err(Refused::Twice);
        }
        self.stops.push(Stop { id, deliveries: deliveries.to_vec(), phase: StopPhase::Planned });
        Ok(())
    }
}
