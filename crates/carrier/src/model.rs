//! Between rows and the delivery machine.

use parcelshelf_core::id::{CourierId, DelegationId, DeliveryId, ParcelId};
use parcelshelf_core::reason::{Fallback, Reason};
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_delivery::delivery::{Delivery, DeliveryParts, Direction, End, ParcelState, Phase};
use serde::{Deserialize, Serialize};

/// Times that a carrier keeps are multiples of this.
pub(crate) const STEP_MINUTES: i64 = 15;

/// A parcel of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParcelPart {
    pub parcel: String,
    pub direction: String,
    pub state: String,
    pub reason: Option<String>,
    pub fallback: Option<String>,
    /// Salted hash of its label.
    pub label: String,
    pub size_mm: [u32; 3],
}

/// Where a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveryPart {
    pub phase: String,
    pub start_ms: i64,
    pub end_ms: i64,
    pub access_start_ms: Option<i64>,
    pub access_end_ms: Option<i64>,
    pub courier: Option<String>,
    pub delegation: Option<String>,
    /// Rounded up: when the leg is over at the latest.
    pub until_ms: Option<i64>,
    pub end: Option<String>,
    pub fallbacks: Vec<String>,
    pub parcels: Vec<ParcelPart>,
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_millis(ms)
}
fn window(start: i64, end: i64) -> Option<Window> {
    Window::new(at(start), at(end)).ok()
}

/// Rounded up to the carrier's step.
pub(crate) fn rounded_up(t: Timestamp) -> Timestamp {
    let down = t.rounded_down_to_minutes(STEP_MINUTES);
    if down == t { t } else { down.plus_seconds(STEP_MINUTES * 60) }
}

impl DeliveryPart {
    /// Takes over the machine's state; labels and sizes stay.
    pub fn update(&mut self, delivery: Delivery) {
        let p = delivery.into_parts();
        let access = match p.phase {
            Phase::Accepted { access }
            | Phase::Loaded { access, .. }
            | Phase::Leg { access, .. }
            | Phase::AtStop { access, .. } => Some(access),
            _ => None,
        };
        let leg = match p.phase {
            Phase::Leg { delegation, until, .. } | Phase::AtStop { delegation, until, .. } => Some((delegation, until)),
            _ => None,
        };
        self.phase = p.phase.code().to_owned();
        self.access_start_ms = access.map(|a| a.start().unix_millis());
        self.access_end_ms = access.map(|a| a.end().unix_millis());
        self.courier = p.phase.courier().map(|c| c.to_string());
        self.delegation = leg.map(|(d, _)| d.to_string());
        self.until_ms = leg.map(|(_, until)| rounded_up(until).unix_millis());
        self.end = match p.phase {
            Phase::Ended(end) => Some(end.code().to_owned()),
            _ => None,
        };
        for (id, _, state) in p.parcels {
            let id = id.to_string();
            let Some(part) = self.parcels.iter_mut().find(|x| x.parcel == id) else { continue };
            part.state = state.code().to_owned();
            (part.reason, part.fallback) = match state {
                ParcelState::FallingBack { reason, to } | ParcelState::FellBack { reason, to } => {
                    (Some(reason.code().to_owned()), Some(to.code().to_owned()))
                }
                _ => (None, None),
            };
        }
    }

    /// The machine; `None` for a row that says something impossible.
    pub fn machine(&self, id: DeliveryId) -> Option<Delivery> {
        Delivery::from_parts(DeliveryParts {
            id,
            window: window(self.start_ms, self.end_ms)?,
            parcels: self.parcels.iter().map(parcel).collect::<Option<_>>()?,
            fallbacks: self.fallbacks.iter().map(|f| Fallback::parse(f)).collect::<Option<_>>()?,
            phase: self.machine_phase()?,
        })
        .ok()
    }

    fn machine_phase(&self) -> Option<Phase> {
        let access = || window(self.access_start_ms?, self.access_end_ms?);
        let courier = || CourierId::parse(self.courier.as_deref()?).ok();
        let delegation = || DelegationId::parse(self.delegation.as_deref()?).ok();
        let until = || self.until_ms.map(at);
        Some(match self.phase.as_str() {
            "requested" => Phase::Requested,
            "accepted" => Phase::Accepted { access: access()? },
            "loaded" => Phase::Loaded { access: access()?, courier: courier()? },
            "leg" => Phase::Leg { access: access()?, courier: courier()?, delegation: delegation()?, until: until()? },
            "at_stop" => {
                Phase::AtStop { access: access()?, courier: courier()?, delegation: delegation()?, until: until()? }
            }
            "falling_back" => Phase::FallingBack,
            "ended" => Phase::Ended(End::parse(self.end.as_deref()?)?),
            _ => return None,
        })
    }
}

fn parcel(p: &ParcelPart) -> Option<(ParcelId, Direction, ParcelState)> {
    let fallback = || Some((Reason::parse(p.reason.as_deref()?)?, Fallback::parse(p.fallback.as_deref()?)?));
    let state = match p.state.as_str() {
        "planned" => ParcelState::Planned,
        "placed" => ParcelState::Placed,
        "taken" => ParcelState::Taken,
        "falling_back" => fallback().map(|(reason, to)| ParcelState::FallingBack { reason, to })?,
        "fell_back" => fallback().map(|(reason, to)| ParcelState::FellBack { reason, to })?,
        _ => return None,
    };
    Some((ParcelId::parse(&p.parcel).ok()?, Direction::parse(&p.direction)?, state))
}

#[cfg(test)]
mod tests {
    use parcelshelf_delivery::delivery::Event;

    use super::*;

    /// Every state on the way survives its row.
    #[test]
    fn a_delivery_comes_back_from_its_row_as_it_was() {
        let noon = Timestamp::from_unix_seconds(1_800_000_000);
        let asked = Window::new(noon, noon.plus_seconds(4 * 3_600)).unwrap();
        let (id, parcel) = (DeliveryId::from_bytes([1; 16]), ParcelId::from_bytes([2; 16]));
        let (courier, delegation) = (CourierId::from_bytes([3; 16]), DelegationId::from_bytes([4; 16]));
        let until = noon.plus_seconds(1_800);
        let mut row = DeliveryPart {
            phase: String::new(),
            start_ms: noon.unix_millis(),
            end_ms: asked.end().unix_millis(),
            access_start_ms: None,
            access_end_ms: None,
            courier: None,
            delegation: None,
            until_ms: None,
            end: None,
            fallbacks: vec!["address".into(), "return".into()],
            parcels: vec![ParcelPart {
                parcel: parcel.to_string(),
                direction: "put".into(),
                state: "planned".into(),
                reason: None,
                fallback: None,
                label: String::new(),
                size_mm: [1, 1, 1],
            }],
        };
        let fallbacks = vec![Fallback::Address, Fallback::Return];
        let mut machine = Delivery::request(id, asked, vec![(parcel, Direction::Put)], fallbacks, noon).unwrap();
        let not_done = Event::ParcelNotDone { parcel, reason: Reason::DidNotOpen, to: None };
        for event in [
            Event::Accepted { window: asked },
            Event::Loaded { courier },
            Event::LegStarted { courier, delegation, until },
            Event::Arrived,
            not_done,
            Event::FallbackDone { parcel },
        ] {
            machine = machine.handle(event, noon.plus_seconds(60)).unwrap().0;
            row.update(machine.clone());
            // Written and read, as the store does.
            let text = serde_json::to_string(&row).unwrap();
            let read: DeliveryPart = serde_json::from_str(&text).unwrap();
            assert_eq!(read.machine(id).as_ref(), Some(&machine), "after {}", event.code());
        }
        assert_eq!((row.phase.as_str(), row.end.as_deref()), ("ended", Some("fallback")));
        row.end = Some("delivered".into());
        assert_eq!(row.machine(id), None, "a row that contradicts itself is none");
    }
}
