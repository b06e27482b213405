//! A day as a page: outcomes, latencies, the map of areas. Never a car's place: areas are what carriers know, too.

use std::collections::{BTreeMap, BTreeSet};

use parcelshelf_core::area::Cell;

use super::report::{NAMES, Results, at_quantiles};
use crate::page::{Hours, Page};

/// The clocks of the town: Central Standard Time.
const UTC_OFFSET_MS: i64 = -6 * 3_600_000;
const HOUR_MS: i64 = 3_600_000;

/// The page of a day. `areas` are the cells that owners let carriers know, in any order.
#[must_use]
pub fn page(results: &Results, areas: &BTreeSet<Cell>) -> String {
    let mut page = Page::new("A simulated day");
    page.text(&format!(
        "{} deliveries into cars, garages and front doors, faults: {}, seed {}. Played in {:.0} s.",
        results.deliveries, results.faults, results.seed, results.wall_s
    ));
    let outcomes = results.outcomes();
    let mut rows = vec![
        vec![String::from("delivered"), outcomes.delivered.to_string()],
        vec![String::from("returned"), outcomes.returned.to_string()],
    ];
    rows.extend(outcomes.fallback.iter().map(|(reason, n)| vec![format!("fallback: {reason}"), n.to_string()]));
    page.table(&["outcome", "deliveries"], &rows);
    let violations = results.violations().to_json();
    let rows: Vec<Vec<String>> = violations
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, n)| vec![name.replace('_', " "), n.to_string()])
        .collect();
    page.table(&["violation", "deliveries"], &rows);
    let (kept_shut, _) = results.front_doors();
    if !kept_shut.is_empty() {
        let rows: Vec<Vec<String>> =
            kept_shut.iter().map(|(by, n)| vec![by.replace('_', " "), n.to_string()]).collect();
        page.table(&["front doors kept shut by", "deliveries"], &rows);
    }
    let rows: Vec<Vec<String>> = results
        .makers
        .iter()
        .map(|(maker, m)| {
            let per = |n: u64| m.per_delivery(n).to_string();
            let counts =
                [m.deliveries.to_string(), m.delivered.to_string(), per(m.requests), per(m.commands), per(m.wakes)];
            std::iter::once((*maker).to_owned()).chain(counts).collect()
        })
        .collect();
    page.table(&["maker", "deliveries", "delivered", "requests each", "commands each", "wakes each"], &rows);

    page.stacked_by_hour("When stops at cars ended, and how", &by_hour(results));
    for (hop, times) in &results.hops {
        let seconds: Vec<f64> = times.domain_ms.iter().map(|ms| *ms as f64 / 1_000.0).collect();
        page.histogram(&format!("{}, simulated", hop.replace('_', " ")), "s", &seconds);
        said(&mut page, "s", &seconds);
        let real: Vec<f64> = times.real_us.iter().map(|us| *us as f64 / 1_000.0).collect();
        if !real.is_empty() {
            page.histogram(&format!("{}, on this machine", hop.replace('_', " ")), "ms", &real);
            said(&mut page, "ms", &real);
        }
    }

    let per = |n: u64| n as f64 / results.deliveries.max(1) as f64;
    let mut cpu: Vec<(&str, f64)> = NAMES.into_iter().zip(results.costs.cpu_ms.map(per)).collect();
    cpu.push(("bare cryptography", results.floor.crypto_ms));
    cpu.push(("bare requests", results.floor.requests_ms));
    cpu.push(("bare commits", results.floor.commits_ms));
    page.bars("Processor time of a delivery", "ms", &cpu);
    let stored: Vec<(&str, f64)> = NAMES.into_iter().zip(results.costs.bytes.map(|b| per(b) / 1_000.0)).collect();
    page.bars("Stored for a delivery", "kB", &stored);

    let cells: Vec<(f64, f64, usize)> = areas.iter().map(|c| c.centre()).map(|(lat, lng)| (lat, lng, 0)).collect();
    page.map("Areas in which cars stood (middles of their cells; no car's place)", &cells, &[]);
    page.text(&format!("{} cells of areas that owners let the carrier know.", areas.len()));
    page.finish()
}

/// The figures of a histogram as text.
fn said(page: &mut Page, unit: &str, values: &[f64]) {
    let [p50, p95, p99] = at_quantiles(values.iter().copied());
    page.text(&format!("Half within {p50:.1} {unit}, 95 % within {p95:.1} {unit}, 99 % within {p99:.1} {unit}."));
}

fn by_hour(results: &Results) -> Vec<Hours> {
    let mut series: BTreeMap<String, [f64; 24]> = BTreeMap::new();
    for page in &results.pages {
        let (Some(left_at), Some((end, reason))) = (page.left_at, &page.end) else { continue };
        let name = match (end.as_str(), reason) {
            ("delivered" | "returned", _) | (_, None) => end.replace('_', " "),
            (_, Some(reason)) => format!("fallback: {reason}"),
        };
        let hour = (left_at.unix_millis() + UTC_OFFSET_MS).div_euclid(HOUR_MS).rem_euclid(24);
        if let Some(count) = series.entry(name).or_insert([0.0; 24]).get_mut(usize::try_from(hour).unwrap_or(0)) {
            *count += 1.0;
        }
    }
    series.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use parcelshelf_core::area::Position;
    use parcelshelf_core::time::Timestamp;
    use serde_json::Value;

    use super::*;
    use crate::simulate::book;
    use crate::simulate::floor::Floor;
    use crate::simulate::report::{Costs, OfMaker};

    fn results(ends: &[(&str, Option<&str>, i64)]) -> Results {
        let pages = ends.iter().map(|(end, reason, hour)| book::Page {
            end: Some(((*end).to_owned(), reason.map(str::to_owned))),
            left_at: Some(Timestamp::from_unix_millis(hour * HOUR_MS - UTC_OFFSET_MS)),
            ..book::Page::default()
        });
        let took = book::Times { domain_ms: vec![500, 750], real_us: vec![5_000] };
        Results {
            leaks: super::super::leaks::Leaks::default(),
            deliveries: ends.len(),
            makers: [("a-maker", OfMaker { deliveries: ends.len(), ..OfMaker::default() })].into(),
            pages: pages.collect(),
            findings: Vec::new(),
            hops: [("open_added", took)].into(),
            odd: BTreeMap::new(),
            costs: Costs::default(),
            cpu_by_thread_ms: BTreeMap::new(),
            counted: BTreeMap::new(),
            floor: Floor { crypto_ms: 2.0, requests_ms: 1.0, commits_ms: 1.0 },
            ticks: 0,
            kills: Value::Null,
            wall_s: 1.0,
            phases_s: Vec::new(),
            seed: 1,
            faults: "none",
        }
    }

    #[test]
    fn a_page_names_every_outcome_in_its_hour() {
        let day = results(&[("delivered", None, 9), ("delivered", None, 9), ("fallback", Some("no_signal"), 17)]);
        let series: BTreeMap<String, [f64; 24]> = by_hour(&day).into_iter().collect();
        assert_eq!((series["delivered"][9], series["fallback: no_signal"][17]), (2.0, 1.0));
        assert_eq!(series.values().flatten().sum::<f64>(), 3.0);
        let html = page(&day, &BTreeSet::new());
        for word in ["fallback: no_signal", "without end", "a-maker", "open added, on this machine", "95 % within"] {
            assert!(html.contains(word), "{word}");
        }
    }

    #[test]
    fn the_map_shows_cells_and_is_the_same_wherever_in_its_cell_a_car_stands() {
        let here = Position::new(30.271_23, -97.741_17, 5.0).unwrap();
        let there = here.moved(30.0, 3.0);
        assert_eq!(Cell::of(&here), Cell::of(&there));
        let drawn = |place: &Position| {
            page(&results(&[("delivered", None, 9)]), &Cell::of(place).disk(1).into_iter().collect())
        };
        assert_eq!(drawn(&here), drawn(&there));
        assert_eq!(drawn(&here).matches("<circle").count(), 7);
    }
}
