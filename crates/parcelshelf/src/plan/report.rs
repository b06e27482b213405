//! What the drives came to: a table, JSON, a page.

use parcelshelf_routing::Policy;
use serde_json::{Value, json};

use super::measure::{GENERATIONS, Measured};
use crate::page::Page;
use crate::simulate::report::at_quantiles;

/// Drives with the same share and policy.
struct Group<'a> {
    share_percent: f64,
    policy: Policy,
    drives: Vec<&'a Measured>,
}

/// How a policy is spelled.
#[must_use]
pub const fn name(policy: Policy) -> &'static str {
    match policy {
        Policy::PlanOnly => "plan_only",
        Policy::NextStop => "next_stop",
        Policy::Area => "area",
    }
}

impl Group<'_> {
    /// Median, least and most.
    fn spread(&self, value: impl Fn(&Measured) -> f64) -> [f64; 3] {
        let values: Vec<f64> = self.drives.iter().map(|m| value(m)).collect();
        let [median, _, _] = at_quantiles(values.iter().copied());
        let least = values.iter().copied().reduce(f64::min).unwrap_or(0.0);
        let most = values.iter().copied().reduce(f64::max).unwrap_or(0.0);
        [median, least, most]
    }
    fn extra(&self) -> [f64; 3] {
        self.spread(Measured::extra_percent)
    }
    fn held(&self) -> [f64; 3] {
        self.spread(|m| m.driven.held_max as f64)
    }
    fn replans(&self) -> [f64; 3] {
        self.spread(|m| m.driven.replans as f64)
    }
    fn cells(&self) -> Vec<String> {
        let ([extra, least, most], [held, _, held_most]) = (self.extra(), self.held());
        let [replans, _, _] = self.replans();
        vec![
            format!("{} %", self.share_percent),
            name(self.policy).to_owned(),
            format!("{extra:+.1} %"),
            format!("{least:+.1} … {most:+.1} %"),
            format!("{held:.0} (at most {held_most:.0})"),
            format!("{replans:.0}"),
        ]
    }
}

const HEADERS: [&str; 6] = ["private", "disclose", "extra km", "range", "places held at once", "re-plans"];

fn groups(all: &[Measured]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for m in all {
        match groups.iter_mut().find(|g| g.policy == m.policy && g.share_percent.total_cmp(&m.share_percent).is_eq()) {
            Some(group) => group.drives.push(m),
            None => groups.push(Group { share_percent: m.share_percent, policy: m.policy, drives: vec![m] }),
        }
    }
    groups
}

/// Lines for a person.
#[must_use]
pub fn table(all: &[Measured]) -> String {
    let line = |c: &[String]| format!("{:>8}  {:<10}{:>10}  {:>20}  {:>20}  {:>9}", c[0], c[1], c[2], c[3], c[4], c[5]);
    let headers = HEADERS.map(str::to_owned);
    let mut lines = vec![line(&headers)];
    lines.extend(groups(all).iter().map(|g| line(&g.cells())));
    lines.join("\n")
}

fn round2(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
fn spread_json(values: [f64; 3]) -> Value {
    let [median, least, most] = values.map(round2);
    json!({"median": median, "min": least, "max": most})
}

/// For machines. No place is in it.
#[must_use]
pub fn to_json(all: &[Measured]) -> Value {
    let rows: Vec<Value> = groups(all)
        .iter()
        .map(|g| {
            json!({
                "private_percent": g.share_percent,
                "disclose": name(g.policy),
                "drives": g.drives.len(),
                "extra_percent": spread_json(g.extra()),
                "places_held_at_once": spread_json(g.held()),
                "replans": spread_json(g.replans()),
            })
        })
        .collect();
    let drives: Vec<Value> = all
        .iter()
        .map(|m| {
            json!({
                "seed": m.seed, "route": m.route, "stops": m.stops, "private": m.private,
                "private_percent": m.share_percent, "disclose": name(m.policy),
                "exact_km": round2(m.exact_m / 1_000.0), "driven_km": round2(m.driven.metres / 1_000.0),
                "extra_percent": round2(m.extra_percent()), "places_held_at_once": m.driven.held_max,
                "replans": m.driven.replans,
            })
        })
        .collect();
    json!({"solver": "vrp-core", "generations": GENERATIONS, "rows": rows, "drives": drives})
}

/// A page with the same figures.
#[must_use]
pub fn page(all: &[Measured]) -> String {
    let groups = groups(all);
    let rows: Vec<Vec<String>> = groups.iter().map(Group::cells).collect();
    let bars: Vec<(String, f64)> = groups
        .iter()
        .map(|g| (format!("{} % private, {}", g.share_percent, name(g.policy)), g.extra()[0].max(0.0)))
        .collect();
    let mut page = Page::new("The price of privacy on routes");
    page.text("Extra kilometres against the same solver with exact places; medians over routes and seeds.");
    page.table(&HEADERS, &rows);
    page.bars("Extra kilometres, median", "%", &bars);
    for policy in [Policy::Area, Policy::NextStop] {
        let held: Vec<f64> = all.iter().filter(|m| m.policy == policy).map(|m| m.driven.held_max as f64).collect();
        if !held.is_empty() {
            page.histogram(&format!("Places on a phone at once, {}", name(policy)), "places", &held);
        }
    }
    page.finish()
}
