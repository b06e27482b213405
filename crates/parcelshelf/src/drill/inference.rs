//! What can be inferred about where cars stand: with everything that the carrier stores, and with what a carrier would see
//! that watches its own vans. Always beside the attacker who has the areas alone, for those were signed away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::ensure;
use parcelshelf_core::area::{Cell, Position};
use parcelshelf_protocol::accepted::Accepted;
use parcelshelf_simulator::canary::Needles;
use serde_json::{Value, json};

use super::gain::Gain;
use super::loot::Loot;
use super::needles;
use super::world::{World, copy, files};
use crate::simulate::dice::Dice;

/// Metres of one degree of latitude.
const DEGREE_M: f64 = 111_320.0;
/// A feature is a way to a neighbour on the route, in kilometres, no longer than this.
const NEAR_KM: f64 = 6.0;
/// How strongly the fit is held back from believing chance.
const RIDGE: f64 = 10.0;
/// How often the test half is drawn anew for the interval.
const RESAMPLED: u64 = 1_000;
/// Cars that byte searches look for: each has dozens of spellings.
const SEARCHED_MAX: usize = 300;
/// A van finds a place to stop within this of the car.
const VAN_STOPS_WITHIN_M: f64 = 60.0;

/// One delivery as the carrier's stores show it, joined with the truth that the attacker learns from or is judged by.
struct Known {
    /// The middle of the area.
    middle: Position,
    truth: Position,
    /// What lies in one area is not independent.
    group: String,
    /// What the area alone tells comes first: [`OF_THE_AREA`] of them.
    features: Vec<f64>,
}
/// A constant, and where in the city the area lies.
const OF_THE_AREA: usize = 3;

/// North and east of `from`, kilometres.
fn offset_km(from: &Position, to: &Position) -> (f64, f64) {
    let north = (to.latitude_deg() - from.latitude_deg()) * DEGREE_M / 1_000.0;
    let shrink = from.latitude_deg().to_radians().cos();
    (north, (to.longitude_deg() - from.longitude_deg()) * DEGREE_M * shrink / 1_000.0)
}

/// The middle of an area's cells.
fn middle(cells: &[Cell]) -> Option<Position> {
    let count = cells.len() as f64;
    let sum = cells.iter().map(|c| c.centre()).fold((0.0, 0.0), |s, c| (s.0 + c.0, s.1 + c.1));
    Position::new(sum.0 / count, sum.1 / count, 10.0).ok()
}

/// Everything that the carrier has stored is copied by a thief who also has its keys; the thief knows where half of the cars
/// stood, learns from them, and guesses the others. The measure is the same guess from the area alone.
///
/// # Errors
/// When the stores cannot be read.
pub async fn stolen_carrier(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let loot = world.folder("stolen-carrier")?;
    copy(&world.prepared().join("carrier"), &loot)?;

    let stolen = Loot::open(&loot).await?;
    search(world, &mut gain, &loot, &stolen)?;

    let known = from_rows(world, &stolen)?;
    ensure!(known.len() >= 40, "too few deliveries were accepted to infer anything");
    let (learnt, judged): (Vec<_>, Vec<_>) =
        known.iter().enumerate().partition(|(n, _)| world.dice.hit("learnt", *n as u64, 0.5));
    let learnt: Vec<&Known> = learnt.into_iter().map(|(_, k)| k).collect();
    let judged: Vec<&Known> = judged.into_iter().map(|(_, k)| k).collect();
    // Both learn from the same cars: one from the areas, one from everything.
    let error = |size| {
        let fit = Fit::learn(&learnt, size);
        judged.iter().map(|k| k.truth.distance_m(&fit.guess(k))).collect::<Vec<f64>>()
    };
    let (prior, thief) = (error(OF_THE_AREA), error(usize::MAX));
    let (low, mean, high) = gained(world.dice, &judged, &prior, &thief);
    gain.figure("deliveries_learnt_from", learnt.len());
    gain.figure("deliveries_guessed", judged.len());
    gain.figure("median_error_m_area_alone", rounded(median(&prior)));
    gain.figure("median_error_m_with_everything", rounded(median(&thief)));
    gain.figure("mean_gain_m", json!({"mean": rounded(mean), "low_95": rounded(low), "high_95": rounded(high)}));
    gain.must(low <= 0.0, || {
        format!("the stores tell more than the areas: {mean:.0} m nearer ({low:.0} to {high:.0})")
    });
    Ok(gain)
}

fn rounded(m: f64) -> Value {
    json!((m * 10.0).round() / 10.0)
}
fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Mean of what the thief is nearer by than the area alone, with the interval that holds it 95 times out of 100. Areas
/// are drawn, not deliveries.
fn gained(dice: Dice, judged: &[&Known], prior: &[f64], thief: &[f64]) -> (f64, f64, f64) {
    let mut by_group: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (k, (p, t)) in judged.iter().zip(prior.iter().zip(thief)) {
        by_group.entry(&k.group).or_default().push(p - t);
    }
    let groups: Vec<Vec<f64>> = by_group.into_values().collect();
    let mean = |of: &[&Vec<f64>]| {
        let count: usize = of.iter().map(|r| r.len()).sum();
        of.iter().flat_map(|r| r.iter()).sum::<f64>() / count.max(1) as f64
    };
    let last = groups.len() as u64 - 1;
    let mut means: Vec<f64> = (0..RESAMPLED)
        .map(|round| {
            let drawn: Vec<&Vec<f64>> = (0..groups.len() as u64)
                .map(|i| &groups[dice.between("group", round << 20 | i, 0, last) as usize])
                .collect();
            mean(&drawn)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((means.len() - 1) as f64 * share) as usize];
    (at(0.025), mean(&groups.iter().collect::<Vec<_>>()), at(0.975))
}

/// The stolen bytes as they lie, and every row as its keys open it, are searched for cars. The labels of the same cars'
/// parcels, which the carrier has, and its couriers' names are there to be found: in the rows, and only in them.
fn search(world: &World, gain: &mut Gain, loot: &Path, stolen: &Loot) -> anyhow::Result<()> {
    let cars: Vec<usize> = (0..world.day.cars.len().min(SEARCHED_MAX)).collect();
    let needles = Needles::new(&needles::of_cars(world, &cars));
    let there = Needles::new(&needles::of_a_carrier(world, &cars));
    let mut searched = 0_usize;
    for file in files(loot)? {
        let bytes = fs::read(&file)?;
        searched += bytes.len();
        for seen in needles.search(&file.display().to_string(), &bytes) {
            gain.win(format!("{} stands in the carrier's files", seen.needle));
        }
        let plain = there.search(&file.display().to_string(), &bytes);
        gain.must(plain.is_empty(), || format!("{} lies unsealed in the carrier's files", plain[0].needle));
    }
    let (found, opened) = stolen.search(&needles);
    for needle in found {
        gain.win(format!("{needle} stands in the carrier's rows"));
    }
    let control: BTreeSet<String> = stolen.search(&there).0.iter().map(|name| needles::whose(name)).collect();
    let all: BTreeSet<String> = there.names().iter().map(|name| needles::whose(name)).collect();
    let missed = all.difference(&control).next();
    ensure!(missed.is_none(), "the search does not find what the carrier has: {missed:?}");
    gain.figure("bytes_stolen", searched);
    gain.figure("rows_opened", json!(stolen.counts()));
    gain.figure("bytes_opened", opened);
    gain.figure("needles", needles.names().len());
    gain.figure("found_as_they_are_there", all.len());
    Ok(())
}

/// Rows and journal as the thief reads them.
fn from_rows(world: &World, stolen: &Loot) -> anyhow::Result<Vec<Known>> {
    let mut rows = BTreeMap::new();
    for (id, content) in stolen.rows.get("delivery").into_iter().flatten() {
        rows.insert(id.clone(), serde_json::from_slice::<Value>(content)?);
    }
    // The order in which couriers set out, to the row; the times are rounded, the order is not.
    let mut order = BTreeMap::new();
    for e in stolen.journal.iter().filter(|e| e.kind == "leg_started") {
        order.entry(e.id.clone()).or_insert((e.seq, e.at));
    }
    joined(world, &rows, &order)
}

/// Place in the order of legs, delivery, middle of its area, when.
type OnRoute = (u64, Vec<u8>, Position, i64);
type Order = BTreeMap<Vec<u8>, (u64, parcelshelf_core::time::Timestamp)>;

fn mean_of(places: &[Position]) -> Option<Position> {
    let count = places.len() as f64;
    let sum = places.iter().fold((0.0, 0.0), |s, p| (s.0 + p.latitude_deg(), s.1 + p.longitude_deg()));
    Position::new(sum.0 / count, sum.1 / count, 10.0).ok()
}

/// What each row tells, with the neighbours on the same courier's route.
fn joined(world: &World, rows: &BTreeMap<Vec<u8>, Value>, order: &Order) -> anyhow::Result<Vec<Known>> {
    let mut truths = BTreeMap::new();
    for n in 0..world.day.cars.len() {
        if let (Some(delivery), Some(errand)) = (world.day.delivery(n), world.day.city.errands.get(n)) {
            truths.insert(delivery.id.as_bytes().to_vec(), errand.place);
        }
    }
    let mut routes: BTreeMap<String, Vec<OnRoute>> = BTreeMap::new();
    for (id, row) in rows {
        let Some((seq, at)) = order.get(id) else { continue };
        let Some(accepted) = row["accepted"].as_str().and_then(|jws| Accepted::peek(jws).ok()) else { continue };
        let courier = row["state"]["courier"].as_str().map_or_else(|| courier_of(row), str::to_owned);
        let Some(middle) = middle(accepted.area.cells()) else { continue };
        routes.entry(courier).or_default().push((*seq, id.clone(), middle, at.unix_seconds()));
    }
    let mut known = Vec::new();
    let all = routes.values().flatten().map(|stop| stop.2).collect::<Vec<_>>();
    let Some(city) = mean_of(&all) else { return Ok(Vec::new()) };
    for mut route in routes.into_values() {
        route.sort_by_key(|stop| stop.0);
        for (i, (_, id, here, at)) in route.iter().enumerate() {
            let Some(truth) = truths.get(id) else { continue };
            let (north, east) = offset_km(&city, here);
            let mut features = vec![1.0, north, east];
            for neighbour in [i.checked_sub(1).and_then(|j| route.get(j)), route.get(i + 1)] {
                let (north, east) = neighbour.map_or((0.0, 0.0), |n| offset_km(here, &n.2));
                let far = north.hypot(east).max(1e-9);
                let scale = far.min(NEAR_KM) / far;
                let gap = neighbour.map_or(0.0, |n| ((n.3 - at).abs() as f64 / 900.0).min(4.0));
                features.extend([
                    north * scale,
                    east * scale,
                    north / far,
                    east / far,
                    gap * north / far,
                    gap * east / far,
                ]);
            }
            known.push(Known {
                middle: *here,
                truth: *truth,
                group: format!("{:.4} {:.4}", here.latitude_deg(), here.longitude_deg()),
                features,
            });
        }
    }
    Ok(known)
}

/// A delivery that has ended names its courier in its delegation alone.
fn courier_of(row: &Value) -> String {
    row["leg"]["jws"].as_str().and_then(|jws| jws.split('.').nth(1)).map_or_else(
        || String::from("nobody"),
        |payload| {
            let claims = parcelshelf_protocol::encoding::from_b64(payload).unwrap_or_default();
            serde_json::from_slice::<Value>(&claims).map(|c| c["cnf"].to_string()).unwrap_or_default()
        },
    )
}

/// Least squares, held back: how far north and east of the middle a car stands, from what the carrier knows of its route.
struct Fit {
    north: Vec<f64>,
    east: Vec<f64>,
}
impl Fit {
    /// From the first so many features.
    fn learn(from: &[&Known], size: usize) -> Self {
        let size = from.first().map_or(0, |k| k.features.len().min(size));
        let mut normal = vec![vec![0.0; size]; size];
        let (mut north, mut east) = (vec![0.0; size], vec![0.0; size]);
        for k in from {
            let (n, e) = offset_km(&k.middle, &k.truth);
            let used = k.features.iter().take(size);
            for (i, (row, x)) in normal.iter_mut().zip(used.clone()).enumerate() {
                for (cell, y) in row.iter_mut().zip(used.clone()) {
                    *cell += x * y;
                }
                north[i] += x * n;
                east[i] += x * e;
            }
        }
        for (i, row) in normal.iter_mut().enumerate() {
            row[i] += RIDGE;
        }
        Self { north: solve(normal.clone(), north), east: solve(normal, east) }
    }
    fn guess(&self, k: &Known) -> Position {
        let dot = |w: &[f64]| w.iter().zip(&k.features).map(|(a, b)| a * b).sum::<f64>();
        let (north, east) = (dot(&self.north), dot(&self.east));
        k.middle.moved(east.atan2(north).to_degrees().rem_euclid(360.0), north.hypot(east) * 1_000.0)
    }
}

/// Solves a system with a positive diagonal by elimination with pivots.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let size = b.len();
    for column in 0..size {
        let pivot = (column..size).max_by(|x, y| a[*x][column].abs().total_cmp(&a[*y][column].abs())).unwrap_or(column);
        a.swap(column, pivot);
        b.swap(column, pivot);
        for row in column + 1..size {
            let factor = a[row][column] / a[column][column];
            let above = a[column].clone();
            for (cell, over) in a[row].iter_mut().zip(above).skip(column) {
                *cell -= factor * over;
            }
            b[row] -= factor * b[column];
        }
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|k| a[row][k] * b[k]).sum();
        b[row] = (b[row] - known) / a[row][row];
    }
    b
}

/// A carrier that records where its vans stop, to the metre. The design does not hide that from it; this says how near it
/// comes.
///
/// # Errors
/// Never; it has the form of the other drills.
pub async fn watching_carrier(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let (mut watched, mut alone) = (Vec::new(), Vec::new());
    for (n, page) in world.day.book.pages().iter().enumerate() {
        let (Some(_), Some(errand)) = (page.at_car, world.day.city.errands.get(n)) else { continue };
        let away = VAN_STOPS_WITHIN_M * world.dice.share("van stops", n as u64).sqrt();
        let van = errand.place.moved(360.0 * world.dice.share("van side", n as u64), away);
        watched.push(van.distance_m(&errand.place));
        alone.extend(middle(&[Cell::of(&errand.place)]).map(|m| m.distance_m(&errand.place)));
    }
    gain.figure("stops_watched", watched.len());
    gain.figure("median_error_m_watching_vans", rounded(median(&watched)));
    gain.figure("median_error_m_area_alone", rounded(median(&alone)));
    Ok(gain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world_of(leak: f64) -> Vec<Known> {
        let dice = Dice::new(3);
        let middle = Position::new(30.3, -97.7, 10.0).unwrap();
        (0..600_u64)
            .map(|n| {
                let feature = dice.share("feature", n) - 0.5;
                let noise = 1_000.0 * (dice.share("noise", n) - 0.5);
                let truth = middle.moved(0.0, (1_000.0 * leak * feature + noise).max(0.0));
                Known { middle, truth, group: format!("{}", n / 20), features: vec![1.0, feature] }
            })
            .collect()
    }

    fn interval(known: &[Known]) -> (f64, f64, f64) {
        let (learnt, judged) = known.split_at(300);
        let learnt: Vec<&Known> = learnt.iter().collect();
        let (fit, base) = (Fit::learn(&learnt, 2), Fit::learn(&learnt, 1));
        let judged: Vec<&Known> = judged.iter().collect();
        let prior: Vec<f64> = judged.iter().map(|k| k.truth.distance_m(&base.guess(k))).collect();
        let thief: Vec<f64> = judged.iter().map(|k| k.truth.distance_m(&fit.guess(k))).collect();
        gained(Dice::new(1), &judged, &prior, &thief)
    }

    #[test]
    fn the_thief_finds_what_is_there_to_find_and_nothing_else() {
        assert!(interval(&world_of(3.0)).0 > 0.0, "a leak is not found");
        assert!(interval(&world_of(0.0)).0 <= 0.0, "chance is taken for a leak");
    }

    #[test]
    fn elimination_solves_what_can_be_solved() {
        let solved = solve(vec![vec![0.0, 2.0], vec![3.0, 1.0]], vec![4.0, 5.0]);
        assert!((solved[0] - 1.0).abs() < 1e-9 && (solved[1] - 2.0).abs() < 1e-9, "{solved:?}");
    }
}
