//! Many stops into routes of a day's length.

use std::f64::consts::TAU;

use parcelshelf_core::area::Position;

/// Fewest stops of a route.
pub const STOPS_MIN: usize = 100;
/// Most stops of a route.
pub const STOPS_MAX: usize = 150;

/// Makes up to `routes` routes of 100 to 150 stops, as indices into `stops`, each stop on one route at most. Every route
/// is the stops nearest to an anchor; the anchors are spread by angle around the depot. The same input gives the same
/// routes. There are fewer routes when the stops do not suffice, and none with fewer than 100 stops.
#[must_use]
pub fn split(stops: &[Position], depot: &Position, routes: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut free: Vec<usize> = (0..stops.len()).collect();
    let angle = |i: usize| {
        let (north, east) = offset(&stops[i], depot);
        north.atan2(east)
    };
    free.sort_by(|a, b| angle(*a).total_cmp(&angle(*b)).then(a.cmp(b)));
    let mut chance = Chance::new(seed);
    let turn = chance.share() * TAU;
    let mut all = Vec::new();
    for n in 0..routes {
        if free.len() < STOPS_MIN {
            break;
        }
        let sector = TAU / routes as f64;
        let wanted_angle = (turn + sector * (n as f64 + chance.share())) % TAU - TAU / 2.0;
        // The first free stop at or after that angle, counter-clockwise.
        let at = free.partition_point(|i| angle(*i) < wanted_angle) % free.len();
        let anchor = stops[free[at]];
        let wanted = STOPS_MIN + (chance.next() % (STOPS_MAX - STOPS_MIN + 1) as u64) as usize;
        let mut near = free.clone();
        near.sort_by(|a, b| anchor.distance_m(&stops[*a]).total_cmp(&anchor.distance_m(&stops[*b])).then(a.cmp(b)));
        near.truncate(wanted);
        near.sort_unstable();
        free.retain(|i| near.binary_search(i).is_err());
        all.push(near);
    }
    all
}

/// Degrees north and east of the depot, east shortened as meridians converge.
fn offset(place: &Position, depot: &Position) -> (f64, f64) {
    let east = (place.longitude_deg() - depot.longitude_deg()) * depot.latitude_deg().to_radians().cos();
    (place.latitude_deg() - depot.latitude_deg(), east)
}

/// Repeatable draws (splitmix64); good for spreading things, not for secrets.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// From 0, below 1.
    pub fn share(&mut self) -> f64 {
        // 53 bits fit a double exactly.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn routes_are_disjoint_of_the_right_length_and_repeat_themselves(count in 0..700usize, routes in 0..8usize, seed: u64) {
            let depot = Position::new(30.4, -97.7, 10.0).unwrap();
            let mut chance = Chance::new(seed);
            let stops: Vec<Position> =
                (0..count).map(|_| depot.moved(chance.share() * 360.0, chance.share() * 20_000.0)).collect();
            let split = split(&stops, &depot, routes, seed);
            prop_assert_eq!(&split, &super::split(&stops, &depot, routes, seed));
            prop_assert!(split.len() <= routes);
            prop_assert!(split.iter().all(|r| (STOPS_MIN..=STOPS_MAX).contains(&r.len())));
            let mut all: Vec<usize> = split.concat();
            let sum = all.len();
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len(), sum);
            prop_assert!(all.iter().all(|i| *i < count));
        }
    }
}
