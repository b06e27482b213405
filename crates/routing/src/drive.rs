//! A drive over a whole route: metres, and the places that a phone held at once.

use std::collections::BTreeSet;

use parcelshelf_core::area::{Cell, Position};

use crate::path::improve;
use crate::place::Place;

/// When a private stop's place may be read on the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// One place at a time, when its turn comes; the carrier's order is kept. For comparison.
    PlanOnly,
    /// The next stop's place, once the stop before is finished.
    NextStop,
    /// All places of an area, once the courier enters it on the way to a stop in it.
    Area,
}

/// What a drive came to.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Driven {
    /// Metres from the depot over all stops and back, as the crow flies.
    pub metres: f64,
    /// The most places of unfinished private stops that the phone held at once.
    pub held_max: usize,
    pub replans: usize,
    /// The stops, as indices into the plan, in the order in which they were served.
    pub order: Vec<usize>,
}

/// Drives `plan` (stops in the carrier's order) from the depot and back to it. `open` gives a private stop's place; it is
/// called once for each, not before `policy` allows. `kicks` as in [`improve`].
pub fn drive(
    plan: &[Place],
    depot: &Position,
    policy: Policy,
    kicks: usize,
    open: &mut impl FnMut(usize) -> Position,
) -> Driven {
    let left = plan.iter().copied().enumerate().collect();
    let mut phone = Phone { here: *depot, end: *depot, left, held: BTreeSet::new(), kicks, driven: Driven::default() };
    if policy != Policy::PlanOnly {
        phone.replan();
    }
    while let Some((_, place)) = phone.left.first().copied() {
        if policy == Policy::Area && phone.hides(place.cell()) {
            phone.enter(place);
            phone.open_where(open, |_, place_cell| place_cell == place.cell());
            phone.replan();
            // The best next stop may lie elsewhere by now; it has an area of its own.
            continue;
        }
        let Some((stop, place)) = phone.left.first().copied() else { break };
        if place.is_hidden() {
            phone.open_where(open, |i, _| i == stop);
        }
        phone.serve();
        if policy == Policy::NextStop && phone.guessed() {
            phone.replan();
        }
    }
    phone.go(&phone.end.clone());
    phone.driven
}

/// What a phone knows. There are no places in it but known ones.
struct Phone {
    here: Position,
    end: Position,
    /// Remaining stops in the order to be driven.
    left: Vec<(usize, Place)>,
    /// Private stops that are open and not finished.
    held: BTreeSet<usize>,
    kicks: usize,
    driven: Driven,
}

impl Phone {
    fn go(&mut self, to: &Position) {
        self.driven.metres += self.here.distance_m(to);
        self.here = *to;
    }
    fn hides(&self, cell: Cell) -> bool {
        self.left.iter().any(|(_, p)| *p == Place::Hidden(cell))
    }
    /// Whether anything is left that a better order could be found for.
    fn guessed(&self) -> bool {
        self.left.len() > 1
    }
    fn replan(&mut self) {
        let places: Vec<Place> = self.left.iter().map(|(_, p)| *p).collect();
        let order = improve(&self.here, &places, &self.end, self.kicks);
        self.left = order.into_iter().filter_map(|i| self.left.get(i).copied()).collect();
        self.driven.replans += 1;
    }
    /// Drives towards a stop until its cell begins.
    fn enter(&mut self, to: Place) {
        let (cell, target) = (to.cell(), to.reckoned());
        if Cell::of(&self.here) != cell {
            let edge = edge(&self.here, &target, cell);
            self.go(&edge);
        }
    }
    fn open_where(&mut self, open: &mut impl FnMut(usize) -> Position, which: impl Fn(usize, Cell) -> bool) {
        for (stop, place) in &mut self.left {
            if let Place::Hidden(cell) = *place
                && which(*stop, cell)
            {
                *place = Place::Known(open(*stop));
                self.held.insert(*stop);
            }
        }
        self.driven.held_max = self.driven.held_max.max(self.held.len());
    }
    /// Drives to the first remaining stop and finishes it. The phone forgets its place.
    fn serve(&mut self) {
        let (stop, place) = self.left.remove(0);
        self.go(&place.reckoned());
        self.held.remove(&stop);
        self.driven.order.push(stop);
    }
}

/// The first point inside `cell` on the way to `target` inside it, within some metres.
fn edge(from: &Position, target: &Position, cell: Cell) -> Position {
    let (mut outside, mut inside) = (*from, *target);
    // Twenty halvings bring 1,000 km down to a metre.
    for _ in 0..20 {
        let Ok(middle) = Position::new(
            f64::midpoint(outside.latitude_deg(), inside.latitude_deg()),
            f64::midpoint(outside.longitude_deg(), inside.longitude_deg()),
            target.accuracy_m(),
        ) else {
            break;
        };
        if Cell::of(&middle) == cell { inside = middle } else { outside = middle }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::length_m;
    use crate::split::Chance;
    use proptest::prelude::*;

    const POLICIES: [Policy; 3] = [Policy::PlanOnly, Policy::NextStop, Policy::Area];

    struct World {
        depot: Position,
        truth: Vec<Position>,
        plan: Vec<Place>,
    }
    fn world(count: usize, seed: u64, private: f64) -> World {
        let depot = Position::new(30.4, -97.7, 10.0).unwrap();
        let mut chance = Chance::new(seed);
        let truth: Vec<Position> =
            (0..count).map(|_| depot.moved(chance.share() * 360.0, chance.share() * 8_000.0)).collect();
        let plan = truth
            .iter()
            .map(|p| if chance.share() < private { Place::Hidden(Cell::of(p)) } else { Place::Known(*p) })
            .collect();
        World { depot, truth, plan }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_stop_is_served_once_and_the_metres_are_at_least_those_of_its_order(count in 0..40usize, seed: u64, private in 0.0..1.0f64) {
            let w = world(count, seed, private);
            for policy in POLICIES {
                let mut opened = Vec::new();
                let driven = drive(&w.plan, &w.depot, policy, 1, &mut |i| { opened.push(i); w.truth[i] });
                let mut served = driven.order.clone();
                served.sort_unstable();
                prop_assert_eq!(served, (0..count).collect::<Vec<_>>());
                let places: Vec<Position> = driven.order.iter().map(|i| w.truth[*i]).collect();
                // Whoever drives to an area's edge first and turns then drives further, never less.
                prop_assert!(driven.metres >= length_m(&w.depot, &places, &w.depot) - 0.5);
                opened.sort_unstable();
                let hidden: Vec<usize> = (0..count).filter(|i| w.plan[*i].is_hidden()).collect();
                prop_assert_eq!(&opened, &hidden, "each private place is opened once, no other");
                prop_assert!(driven.held_max <= hidden.len());
                if policy != Policy::Area {
                    prop_assert!(driven.held_max <= 1);
                }
            }
        }

        /// A place decides nothing before it is open: when all places opened after the n-th lie elsewhere in their cells,
        /// the drive asks for the same places in the same order up to there.
        #[test]
        fn a_hidden_place_changes_nothing_before_it_is_opened(count in 2..40usize, seed: u64, n in 0..40usize) {
            let w = world(count, seed, 0.5);
            for policy in POLICIES {
                let asked = |moved_after: usize| {
                    let mut asked = Vec::new();
                    drive(&w.plan, &w.depot, policy, 0, &mut |i| {
                        asked.push(i);
                        if asked.len() > moved_after { w.plan[i].reckoned() } else { w.truth[i] }
                    });
                    asked
                };
                let (one, other) = (asked(n), asked(usize::MAX));
                let same = (n + 1).min(one.len());
                prop_assert_eq!(&one[..same], &other[..same]);
            }
        }

        #[test]
        fn without_private_stops_no_drive_is_longer_than_the_plan(count in 0..40usize, seed: u64) {
            let w = world(count, seed, 0.0);
            let planned_m = length_m(&w.depot, &w.truth, &w.depot);
            for policy in POLICIES {
                let driven = drive(&w.plan, &w.depot, policy, 0, &mut |_| w.depot);
                prop_assert!(driven.metres <= planned_m + 0.5);
                prop_assert_eq!(driven.held_max, 0);
            }
        }
    }
}
