//! Putting an order right: 2-opt and Or-opt on an open path with fixed ends, bounded and repeatable.

use parcelshelf_core::area::Position;

use crate::place::Place;
use crate::split::Chance;

/// Most passes over all pairs of stops; a pass that finds nothing ends earlier.
const PASSES_MAX: usize = 40;
/// Longest piece that Or-opt moves, in stops.
const PIECE_MAX: usize = 3;
/// Most stops that are put right; a longer order is driven as it is. A matrix of distances of this size takes 8 MB.
pub const STOPS_MAX: usize = 1_000;
/// A gain below this many metres is noise.
const GAIN_MIN_M: f64 = 0.01;

/// The order, as indices into `stops`, that a phone at `here` with these remaining stops should drive on its way to
/// `end`. `stops` come in the order planned so far; the answer is a permutation of them and, by what is known, never
/// longer. Hidden stops are reckoned at the centre of their area. `kicks`: so many times a stretch of the order is
/// rearranged to look for a better one nearby (0: never).
#[must_use]
pub fn improve(here: &Position, stops: &[Place], end: &Position, kicks: usize) -> Vec<usize> {
    let n = stops.len();
    if !(2..=STOPS_MAX).contains(&n) {
        return (0..n).collect();
    }
    let places: Vec<Position> = [*here].into_iter().chain(stops.iter().map(Place::reckoned)).chain([*end]).collect();
    let ways = Ways::between(&places);
    let mut path: Vec<usize> = (0..n + 2).collect();
    ways.settle(&mut path);
    let mut best_m = ways.length_m(&path);
    let mut chance = Chance::new(n as u64);
    for _ in 0..kicks {
        let mut other = path.clone();
        kick(&mut other, &mut chance);
        ways.settle(&mut other);
        let length_m = ways.length_m(&other);
        if length_m < best_m - GAIN_MIN_M {
            (path, best_m) = (other, length_m);
        }
    }
    path[1..=n].iter().map(|i| i - 1).collect()
}

/// Metres from `here` over all stops, reckoned as in [`improve`], to `end`.
#[must_use]
pub fn length_m(here: &Position, stops: &[Position], end: &Position) -> f64 {
    let (mut sum_m, mut at) = (0.0, here);
    for stop in stops.iter().chain([end]) {
        sum_m += at.distance_m(stop);
        at = stop;
    }
    sum_m
}

/// Swaps two neighbouring stretches of up to 50 stops in all (a double bridge); the ends stay.
fn kick(path: &mut [usize], chance: &mut Chance) {
    let inner = path.len() - 2;
    let span = inner.min(50);
    if span < 2 {
        return;
    }
    let below = |chance: &mut Chance, n: usize| (chance.next() % n as u64) as usize;
    let from = 1 + below(chance, inner - span + 1);
    let (mut a, mut b, mut c) = (below(chance, span + 1), below(chance, span + 1), below(chance, span + 1));
    if a > b {
        (a, b) = (b, a);
    }
    if b > c {
        (b, c) = (c, b);
    }
    if a > b {
        (a, b) = (b, a);
    }
    path[from + a..from + c].rotate_left(b - a);
}

/// Distances between all pairs, metres.
struct Ways {
    m: Vec<f64>,
    n: usize,
}

impl Ways {
    fn between(places: &[Position]) -> Self {
        let n = places.len();
        let mut m = vec![0.0; n * n];
        for a in 0..n {
            for b in a + 1..n {
                let way_m = places[a].distance_m(&places[b]);
                (m[a * n + b], m[b * n + a]) = (way_m, way_m);
            }
        }
        Self { m, n }
    }
    fn m(&self, a: usize, b: usize) -> f64 {
        self.m[a * self.n + b]
    }
    fn length_m(&self, path: &[usize]) -> f64 {
        path.windows(2).map(|w| self.m(w[0], w[1])).sum()
    }
    /// Takes every gain until a pass finds none.
    fn settle(&self, path: &mut [usize]) {
        for _ in 0..PASSES_MAX {
            let turned = self.turn(path);
            let moved = self.relocate(path);
            if !turned && !moved {
                break;
            }
        }
    }
    /// 2-opt: turns a stretch around where that is shorter.
    fn turn(&self, path: &mut [usize]) -> bool {
        let mut found = false;
        for i in 1..path.len() - 2 {
            for j in i + 1..path.len() - 1 {
                let (before, first, last, after) = (path[i - 1], path[i], path[j], path[j + 1]);
                let gain_m = self.m(before, first) + self.m(last, after) - self.m(before, last) - self.m(first, after);
                if gain_m > GAIN_MIN_M {
                    path[i..=j].reverse();
                    found = true;
                }
            }
        }
        found
    }
    /// Or-opt: puts a piece of one to three stops elsewhere, either way round, where that is shorter.
    fn relocate(&self, path: &mut [usize]) -> bool {
        let mut found = false;
        for piece in 1..=PIECE_MAX {
            for i in 1..path.len().saturating_sub(piece) {
                found |= self.relocate_piece(path, i, piece);
            }
        }
        found
    }
    fn relocate_piece(&self, path: &mut [usize], i: usize, piece: usize) -> bool {
        let j = i + piece - 1;
        let (before, first, last, after) = (path[i - 1], path[i], path[j], path[j + 1]);
        let freed_m = self.m(before, first) + self.m(last, after) - self.m(before, after);
        if freed_m <= GAIN_MIN_M {
            return false;
        }
        let (mut best_m, mut best) = (GAIN_MIN_M, None);
        for k in 0..path.len() - 1 {
            // Between path[k] and path[k + 1], both outside the piece.
            if k + 1 >= i && k <= j {
                continue;
            }
            let (a, b) = (path[k], path[k + 1]);
            for around in [false, true] {
                let (head, tail) = if around { (last, first) } else { (first, last) };
                let gain_m = freed_m + self.m(a, b) - self.m(a, head) - self.m(tail, b);
                if gain_m > best_m {
                    (best_m, best) = (gain_m, Some((k, around)));
                }
            }
        }
        let Some((k, around)) = best else { return false };
        if around {
            path[i..=j].reverse();
        }
        if k < i {
            path[k + 1..=j].rotate_right(piece);
        } else {
            path[i..=k].rotate_left(piece);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parcelshelf_core::area::Cell;
    use proptest::prelude::*;

    fn places(count: usize, seed: u64) -> Vec<Position> {
        let depot = Position::new(30.4, -97.7, 10.0).unwrap();
        let mut chance = Chance::new(seed);
        (0..count).map(|_| depot.moved(chance.share() * 360.0, chance.share() * 12_000.0)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn an_order_stays_a_permutation_and_gets_no_longer(count in 2..60usize, seed: u64, kicks in 0..4usize, hidden: u64) {
            let all = places(count, seed);
            let (here, end) = (all[0], all[1]);
            let stops: Vec<Place> = all[2..]
                .iter()
                .enumerate()
                .map(|(i, p)| if hidden >> (i % 64) & 1 == 1 { Place::Hidden(Cell::of(p)) } else { Place::Known(*p) })
                .collect();
            let order = improve(&here, &stops, &end, kicks);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..stops.len()).collect::<Vec<_>>());
            let at = |order: &mut dyn Iterator<Item = usize>| order.map(|i| stops[i].reckoned()).collect::<Vec<_>>();
            let (before, after) = (at(&mut (0..stops.len())), at(&mut order.iter().copied()));
            prop_assert!(length_m(&here, &after, &end) <= length_m(&here, &before, &end) + 0.001);
            prop_assert_eq!(order, improve(&here, &stops, &end, kicks));
        }
    }

    /// The stop page has the same arithmetic in TypeScript; both are held to these orders.
    #[test]
    fn orders_are_those_of_the_vectors() {
        let file: serde_json::Value = serde_json::from_str(include_str!("../../../vectors/routing.json")).unwrap();
        let cases = file["cases"].as_array().unwrap();
        assert!(cases.len() >= 10);
        for case in cases {
            let at =
                |v: &serde_json::Value| Position::new(v[0].as_f64().unwrap(), v[1].as_f64().unwrap(), 10.0).unwrap();
            let stops: Vec<Place> = case["stops"].as_array().unwrap().iter().map(|s| Place::Known(at(s))).collect();
            let kicks = usize::try_from(case["kicks"].as_u64().unwrap()).unwrap();
            let order = improve(&at(&case["here"]), &stops, &at(&case["end"]), kicks);
            let expected: Vec<usize> = case["order"]
                .as_array()
                .unwrap()
                .iter()
                .map(|n| usize::try_from(n.as_u64().unwrap()).unwrap())
                .collect();
            assert_eq!(order, expected, "{}", case["name"]);
        }
    }

    #[test]
    fn stops_on_a_line_are_driven_along_it() {
        let depot = Position::new(30.4, -97.7, 10.0).unwrap();
        let at = |km: f64| Place::Known(depot.moved(90.0, km * 1_000.0));
        let stops = [at(3.0), at(1.0), at(4.0), at(2.0)];
        assert_eq!(improve(&depot, &stops, &depot.moved(90.0, 5_000.0), 0), [1, 3, 0, 2]);
    }
}
