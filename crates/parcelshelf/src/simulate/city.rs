//! The city: stops, routes over them, the cars that stand near some, and a building with garages and front doors. Pure.

use std::collections::BTreeSet;

use parcelshelf_core::area::{Cell, Position};
use parcelshelf_core::time::{Timestamp, Window};

use super::dice::Dice;

/// Stops of a courier's day, cars among them.
const STOPS_PER_ROUTE: [u64; 2] = [100, 150];
/// A car stands at least this far from the stop of the file that it was made from.
const OFFSET_MIN_M: f64 = 50.0;
/// Streets are longer than the crow flies, and vans stop at lights.
const METRES_PER_S: f64 = 30.0 / 3.6 / 1.3;
/// Far stretches are highways, and a leg lasts an hour at most.
const DRIVE_MAX_S: i64 = 2_400;
/// What a stop at a door takes.
const DOOR_S: i64 = 60;
/// What a stop at a car is planned to take.
const CAR_S: i64 = 60;
/// People's doings fall on whole steps of this, so that a simulated second is shared by many.
pub const STEP_S: i64 = 5;
/// The window of a delivery begins this long before the planned arrival.
const WINDOW_BEFORE_S: i64 = 3_600;
const WINDOW_S: i64 = 4 * 3_600;

/// Most garages and front doors of a day: what one home server has for a keyholder.
const HOMES_MAX: usize = 16;
/// From the depot to that building: every van passes there, and hardly any car is reached later for it.
const TO_THE_BUILDING_M: f64 = 300.0;

/// What a delivery goes into at the building, by its place in the row of its kind, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    Garage(usize),
    Front(usize),
}

/// Which deliveries go to the building instead of into cars, and to what. The others are who they would be without.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Homes(Vec<(usize, Home)>);
impl Homes {
    /// A `share` of `deliveries`, spread over the couriers and over the makers whose cars they take the place of; a share of them
    /// behind `fronts`, in turn with the others.
    #[must_use]
    pub fn spread(deliveries: usize, share: f64, fronts: f64) -> Self {
        let count = ((deliveries as f64 * share).round() as usize).min(deliveries).min(HOMES_MAX);
        let makers = super::run::MAKERS.len();
        let turn = |k: usize| if deliveries / count >= makers { k % makers } else { 0 };
        let fronts_before = |k: usize| (k as f64 * fronts) as usize;
        let home = |k: usize| match fronts_before(k + 1) > fronts_before(k) {
            true => Home::Front(fronts_before(k)),
            false => Home::Garage(k - fronts_before(k)),
        };
        Self((0..count).map(|k| (k * deliveries / count + turn(k), home(k))).collect())
    }
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len()
    }
    /// What a delivery goes into at the building; `None`: it goes into a car.
    #[must_use]
    pub fn of(&self, delivery: usize) -> Option<Home> {
        self.0.binary_search_by_key(&delivery, |(n, _)| *n).ok().map(|k| self.0[k].1)
    }
}

/// One delivery into a car or at the building.
#[derive(Debug, Clone)]
pub struct Errand {
    pub n: usize,
    pub place: Position,
    pub courier: usize,
    pub planned: Timestamp,
    pub window: Window,
}

/// One stop of a route.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stop {
    pub place: Position,
    /// The way there from the stop before.
    pub drive_s: i64,
    /// The delivery into a car or at the building; `None`: an ordinary door.
    pub errand: Option<usize>,
}

/// A day.
#[derive(Debug, Clone)]
pub struct City {
    pub errands: Vec<Errand>,
    /// One for each courier.
    pub routes: Vec<Vec<Stop>>,
    pub day_starts: Timestamp,
}

impl City {
    /// Plans a day for `couriers` with `deliveries` into cars, or at one building, spread evenly;
    /// `day_starts` is when the vans leave.
    ///
    /// # Panics
    /// Never: windows are made from a start and a fixed length.
    #[must_use]
    pub fn plan(
        stops: &[Position],
        depot: Position,
        deliveries: usize,
        couriers: usize,
        seed: u64,
        day_starts: Timestamp,
        homes: &Homes,
    ) -> Self {
        let dice = Dice::new(seed);
        let mut by_angle: Vec<usize> = (0..stops.len()).collect();
        by_angle.sort_by(|a, b| {
            let angle = |i: usize| {
                let (p, d) = (&stops[i], &depot);
                (p.latitude_deg() - d.latitude_deg()).atan2(p.longitude_deg() - d.longitude_deg())
            };
            angle(*a).total_cmp(&angle(*b)).then(a.cmp(b))
        });
        let mut city = Self { errands: Vec::with_capacity(deliveries), routes: Vec::new(), day_starts };
        for courier in 0..couriers {
            let cars = deliveries * (courier + 1) / couriers - deliveries * courier / couriers;
            let wanted = dice.between("stops", courier as u64, STOPS_PER_ROUTE[0], STOPS_PER_ROUTE[1]) as usize;
            let count = wanted.max(cars);
            let first = by_angle.len() * courier / couriers;
            let near: Vec<Position> = (0..count).map(|i| stops[by_angle[(first + i) % by_angle.len()]]).collect();
            let building = depot.moved(90.0, TO_THE_BUILDING_M);
            let doors = city.doors(&near, cars, dice, |n| homes.of(n).map(|_| building));
            city.route(nearest_first(doors, depot), depot, courier);
        }
        city.errands.sort_by_key(|errand| errand.n);
        city
    }

    /// Which of these stops are cars, and where those stand; which are at the building.
    fn doors(&self, near: &[Position], cars: usize, dice: Dice, home: impl Fn(usize) -> Option<Position>) -> Vec<Door> {
        let count = near.len();
        let at_cars: BTreeSet<usize> = (0..cars).map(|i| i * count / cars.max(1)).collect();
        let mut next = self.errands.len();
        let door = |(i, stop): (usize, &Position)| {
            if !at_cars.contains(&i) {
                return Door { known: *stop, place: *stop, errand: None };
            }
            let n = next;
            next += 1;
            // A house has an address, which the carrier knows.
            if let Some(place) = home(n) {
                return Door { known: place, place, errand: Some(n) };
            }
            // The same stop may serve several days' worth of cars: each stands somewhere else.
            let away = OFFSET_MIN_M + 100.0 * dice.share("offset", n as u64);
            let place = stop.moved(360.0 * dice.share("bearing", n as u64), away);
            Door { known: middle_of_cell(&place), place, errand: Some(n) }
        };
        near.iter().enumerate().map(door).collect()
    }

    fn route(&mut self, order: Vec<Door>, depot: Position, courier: usize) {
        let (mut here, mut clock_s, mut route) = (depot, 0, Vec::with_capacity(order.len()));
        for Door { place, errand, .. } in order {
            let drive_s = whole_steps(((here.distance_m(&place) / METRES_PER_S) as i64).min(DRIVE_MAX_S) + 20);
            clock_s += drive_s;
            if let Some(n) = errand {
                let planned = self.day_starts.plus_seconds(clock_s);
                let start = planned.plus_seconds(-WINDOW_BEFORE_S).rounded_down_to_minutes(15);
                let window = Window::new(start, start.plus_seconds(WINDOW_S)).expect("it ends after it starts");
                self.errands.push(Errand { n, place, courier, planned, window });
            }
            clock_s += if errand.is_some() { CAR_S } else { DOOR_S };
            route.push(Stop { place, drive_s, errand });
            here = place;
        }
        self.routes.push(route);
    }

    /// The same cars and no ways between them: every courier goes from car to car as fast as the services let. All windows
    /// are the first four hours'. What a delivery costs is measured so.
    pub fn rush(&mut self) {
        let window =
            Window::new(self.day_starts, self.day_starts.plus_seconds(WINDOW_S)).expect("it ends after it starts");
        for errand in &mut self.errands {
            errand.planned = self.day_starts;
            errand.window = window;
        }
        for route in &mut self.routes {
            route.retain(|stop| stop.errand.is_some());
            for stop in route {
                stop.drive_s = STEP_S;
            }
        }
    }
}

/// Seconds rounded up to whole steps, at least one.
#[must_use]
pub fn whole_steps(seconds: i64) -> i64 {
    (seconds + STEP_S - 1).div_euclid(STEP_S).max(1) * STEP_S
}

/// A stop before its route is planned.
#[derive(Debug, Clone, Copy)]
struct Door {
    /// Where the carrier believes it: an address, or the middle of a cell. A route that knew more would tell more.
    known: Position,
    place: Position,
    errand: Option<usize>,
}

fn middle_of_cell(place: &Position) -> Position {
    let (latitude, longitude) = Cell::of(place).centre();
    Position::new(latitude, longitude, 10.0).unwrap_or(*place)
}

/// The order in which the nearest unvisited stop comes next, as far as the carrier knows where they are.
fn nearest_first(mut left: Vec<Door>, from: Position) -> Vec<Door> {
    let (mut here, mut order) = (from, Vec::with_capacity(left.len()));
    while !left.is_empty() {
        let next = (0..left.len())
            .min_by(|a, b| here.distance_m(&left[*a].known).total_cmp(&here.distance_m(&left[*b].known)))
            .unwrap_or(0);
        let door = left.swap_remove(next);
        here = door.known;
        order.push(door);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(count: usize) -> (Vec<Position>, Position) {
        let depot = Position::new(30.4, -97.7, 10.0).unwrap();
        ((0..count).map(|i| depot.moved(i as f64 * 37.0, 500.0 + 40.0 * i as f64)).collect(), depot)
    }

    #[test]
    fn every_delivery_stands_once_on_a_route_away_from_its_stop_and_inside_its_window() {
        let (stops, depot) = stops(300);
        let city = City::plan(&stops, depot, 103, 7, 1, Timestamp::from_unix_seconds(1_795_446_000), &Homes::default());
        assert_eq!((city.errands.len(), city.routes.len()), (103, 7));
        let mut seen: Vec<usize> = city.routes.iter().flatten().filter_map(|s| s.errand).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..103).collect::<Vec<_>>());
        for errand in &city.errands {
            assert!(errand.window.contains(errand.planned));
            assert!(stops.iter().all(|s| s.distance_m(&errand.place) > 1.0), "a car stands on a stop of the file");
        }
        for route in &city.routes {
            assert!((100..=150).contains(&route.len()), "{}", route.len());
        }
    }

    #[test]
    fn in_a_rush_every_car_is_served_by_the_same_courier_without_ways_between() {
        let (stops, depot) = stops(300);
        let day = City::plan(&stops, depot, 60, 3, 1, Timestamp::from_unix_seconds(1_795_446_000), &Homes::default());
        let mut rush = day.clone();
        rush.rush();
        for (usual, hurried) in day.routes.iter().zip(&rush.routes) {
            let cars = |route: &[Stop]| route.iter().filter_map(|s| s.errand).collect::<Vec<_>>();
            assert_eq!(cars(usual), cars(hurried));
            assert!(hurried.iter().all(|s| s.errand.is_some() && s.drive_s == STEP_S));
        }
        assert!(rush.errands.iter().all(|e| e.window.contains(e.planned)));
    }

    #[test]
    fn homes_take_the_place_of_some_cars_and_leave_the_others_where_they_were() {
        let (stops, depot) = stops(300);
        let plan = |homes: &Homes| {
            City::plan(&stops, depot, 200, 10, 1, Timestamp::from_unix_seconds(1_795_446_000), homes).errands
        };
        let homes = Homes::spread(200, 0.05, 0.5);
        let (without, with) = (plan(&Homes::default()), plan(&homes));
        for (car, errand) in without.iter().zip(&with) {
            assert_eq!(car.courier, errand.courier);
            assert_eq!(car.place == errand.place, homes.of(errand.n).is_none(), "{}", errand.n);
        }
        let couriers: BTreeSet<_> = with.iter().filter(|e| homes.of(e.n).is_some()).map(|e| e.courier).collect();
        assert_eq!((homes.count(), couriers.len()), (10, 10), "every courier comes by there");
        let makers: BTreeSet<_> = (0..200).filter(|n| homes.of(*n).is_some()).map(|n| n % 4).collect();
        assert_eq!(makers.len(), 4, "no maker gives up more cars than the others");
    }

    #[test]
    fn a_building_has_no_more_doors_than_one_server_and_no_day_more_than_it_has_deliveries() {
        for (deliveries, share, count) in [
            (200, 0.0, 0),
            (200, 0.05, 10),
            (2_000, 0.05, 16),
            (16, 1.0, 16),
            (40, 1.0, 16),
            (3, 1.0, 3),
            (12, 0.05, 1),
        ] {
            let homes =
                |fronts| (0..deliveries).filter_map(|n| Homes::spread(deliveries, share, fronts).of(n)).collect();
            let (garages, fronts): (Vec<_>, Vec<_>) = (homes(0.0), homes(1.0));
            assert_eq!(garages, (0..count).map(Home::Garage).collect::<Vec<_>>(), "{deliveries} {share}");
            assert_eq!(fronts, (0..count).map(Home::Front).collect::<Vec<_>>(), "{deliveries} {share}");
        }
    }

    #[test]
    fn garages_and_front_doors_take_turns_each_in_a_row_of_its_own() {
        let kinds = |fronts| (0..4).filter_map(|n| Homes::spread(4, 1.0, fronts).of(n)).collect::<Vec<_>>();
        assert_eq!(kinds(0.5), [Home::Garage(0), Home::Front(0), Home::Garage(1), Home::Front(1)]);
        assert_eq!(kinds(0.25), [Home::Garage(0), Home::Garage(1), Home::Garage(2), Home::Front(0)]);
    }

    #[test]
    fn the_same_seed_plans_the_same_day() {
        let (stops, depot) = stops(200);
        let starts = Timestamp::EPOCH.plus_seconds(86_400);
        let plan = |seed| City::plan(&stops, depot, 20, 2, seed, starts, &Homes::default()).routes;
        assert_eq!(plan(3), plan(3));
        assert_ne!(plan(3), plan(4));
    }
}
