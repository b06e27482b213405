//! The report of a day: JSON for machines, a table for people.

use std::collections::BTreeMap;

use parcelshelf_core::actuation::{LockProof, Place};
use serde_json::{Value, json};

use super::book::{Page, Times};
use super::cost::Counted;
use super::floor::Floor;
use super::leaks::Leaks;
use super::operators::STOPPED;
use super::verdict::{Finding, Settled, Violations};

/// Processor time and bytes of the three services, in the order of [`NAMES`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Costs {
    pub cpu_ms: [u64; 3],
    pub bytes: [u64; 3],
}
/// The services that cost something.
pub const NAMES: [&str; 3] = ["carrier", "gateway", "keyholder"];

impl Costs {
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        let less = |a: [u64; 3], b: [u64; 3]| std::array::from_fn(|i| a[i].saturating_sub(b[i]));
        Self { cpu_ms: less(self.cpu_ms, before.cpu_ms), bytes: less(self.bytes, before.bytes) }
    }
}

/// Everything that a day gave.
#[derive(Debug)]
pub struct Results {
    pub deliveries: usize,
    pub makers: BTreeMap<&'static str, OfMaker>,
    pub pages: Vec<Page>,
    pub findings: Vec<Finding>,
    /// What stands in logs and must not.
    pub leaks: Leaks,
    pub hops: BTreeMap<&'static str, Times>,
    pub odd: BTreeMap<String, u64>,
    pub costs: Costs,
    pub cpu_by_thread_ms: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// What the services counted of themselves.
    pub counted: BTreeMap<&'static str, Counted>,
    pub floor: Floor,
    pub ticks: u64,
    pub kills: Value,
    pub wall_s: f64,
    pub phases_s: Vec<(&'static str, f64)>,
    pub seed: u64,
    pub faults: &'static str,
}

/// What one maker's cars or a building's doors saw, by the record of its simulated cloud.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OfMaker {
    /// A house's doors, not cars.
    pub home: bool,
    pub deliveries: usize,
    pub delivered: usize,
    /// All requests of the day, answered or not.
    pub requests: u64,
    pub commands: u64,
    pub wakes: u64,
    pub position_reads: u64,
    /// What its maker bills for a command and for a wake, millionths of a US dollar; `None`: nothing by the call.
    pub prices_micro_usd: Option<(u64, u64)>,
    /// How long couriers stood at each car or door.
    pub attended_ms: Vec<i64>,
}
impl OfMaker {
    /// Of so many for one delivery.
    #[must_use]
    pub fn per_delivery(&self, n: u64) -> f64 {
        round2(n as f64 / self.deliveries.max(1) as f64)
    }
    /// All requests that neither commanded nor woke.
    #[must_use]
    pub const fn reads(&self) -> u64 {
        self.requests.saturating_sub(self.commands).saturating_sub(self.wakes)
    }
    /// What the maker bills for one delivery's commands and wakes, US dollars.
    #[must_use]
    pub fn billed_usd(&self) -> Option<f64> {
        let (command, wake) = self.prices_micro_usd?;
        let micro = self.commands * command + self.wakes * wake;
        Some((micro as f64 / self.deliveries.max(1) as f64 / 100.0).round() / 10_000.0)
    }
    fn to_json(&self) -> Value {
        let [p50, p90] = at_shares(self.attended_ms.iter().map(|ms| *ms as f64 / 1_000.0), [0.5, 0.9]).map(round2);
        json!({
            "kind": if self.home { Place::Home.code() } else { Place::Car.code() },
            "deliveries": self.deliveries,
            "delivered": self.delivered,
            "per_delivery": {
                "commands": self.per_delivery(self.commands),
                "wakes": self.per_delivery(self.wakes),
                "reads": self.per_delivery(self.reads()),
                "position_reads": self.per_delivery(self.position_reads),
                "billed_usd": self.billed_usd(),
            },
            "attended_s": {"p50": p50, "p90": p90},
        })
    }
}

/// Deliveries whose opening was unknown for a while, or stayed so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnknownOutcomes {
    /// It turned out, or the lock was proved whatever had happened.
    pub resolved: u32,
    /// A person was called.
    pub alarmed: u32,
    pub neither: u32,
}
impl UnknownOutcomes {
    fn to_json(self) -> Value {
        let all = self.resolved + self.alarmed + self.neither;
        json!({"all": all, "resolved": self.resolved, "alarmed": self.alarmed, "neither": self.neither})
    }
}

/// How the deliveries ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub delivered: usize,
    pub fallback: BTreeMap<String, usize>,
    pub returned: usize,
    pub without_end: usize,
}

impl Results {
    #[must_use]
    pub fn outcomes(&self) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for page in &self.pages {
            match &page.end {
                Some((end, _)) if end == "delivered" => outcomes.delivered += 1,
                Some((end, _)) if end == "returned" => outcomes.returned += 1,
                Some((end, reason)) if end == "fallback" || end == "partly_delivered" => {
                    let reason = reason.clone().unwrap_or_else(|| String::from("unnamed"));
                    *outcomes.fallback.entry(reason).or_default() += 1;
                }
                _ => outcomes.without_end += 1,
            }
        }
        outcomes
    }
    #[must_use]
    pub fn violations(&self) -> Violations {
        let mut sum = Violations::default();
        for finding in &self.findings {
            sum.add(finding.violations);
        }
        sum
    }
    fn lock_proofs(&self) -> BTreeMap<&'static str, usize> {
        let mut proofs = BTreeMap::new();
        for finding in &self.findings {
            *proofs.entry(finding.lock_proof.map_or("none", LockProof::code)).or_default() += 1;
        }
        proofs
    }
    /// Openings of which somebody could not say whether they happened, and what became of that.
    #[must_use]
    pub fn unknown_outcomes(&self) -> UnknownOutcomes {
        let mut all = UnknownOutcomes::default();
        for settled in self.findings.iter().filter_map(|f| f.unknown) {
            match settled {
                Settled::Resolved => all.resolved += 1,
                Settled::Alarmed => all.alarmed += 1,
                Settled::Neither => all.neither += 1,
            }
        }
        all
    }
    /// What kept front doors shut while a courier asked, as their owners are told, in deliveries; and how many were told to unlock
    /// while something failed that had not failed when their camera was asked.
    #[must_use]
    pub fn front_doors(&self) -> (BTreeMap<&str, usize>, usize) {
        let mut kept_shut = BTreeMap::new();
        for condition in self.pages.iter().flat_map(|page| &page.kept_shut_by) {
            *kept_shut.entry(condition.as_str()).or_default() += 1;
        }
        (kept_shut, self.findings.iter().filter(|f| f.failed_since_seen).count())
    }
    fn refused_bundles(&self) -> BTreeMap<&'static str, usize> {
        let mut codes = BTreeMap::new();
        for code in self.findings.iter().filter_map(|f| f.refused) {
            *codes.entry(code).or_default() += 1;
        }
        codes
    }

    #[must_use]
    pub fn to_json(&self) -> Value {
        let outcomes = self.outcomes();
        let (kept_shut, failed_since_seen) = self.front_doors();
        let per = |n: u64| n as f64 / self.deliveries.max(1) as f64;
        let by_service = |values: [u64; 3], unit: fn(f64) -> f64| -> Value {
            NAMES.iter().zip(values).map(|(name, v)| ((*name).to_owned(), json!(unit(per(v))))).collect()
        };
        let (mut domain, mut real) = (serde_json::Map::new(), serde_json::Map::new());
        for (hop, times) in &self.hops {
            domain.insert((*hop).to_owned(), quantiles(times.domain_ms.iter().map(|ms| *ms as f64)));
            if !times.real_us.is_empty() {
                real.insert((*hop).to_owned(), quantiles(times.real_us.iter().map(|us| *us as f64 / 1_000.0)));
            }
        }
        json!({
            "deliveries": self.deliveries,
            "outcomes": {
                "delivered": outcomes.delivered, "fallback": outcomes.fallback, "returned": outcomes.returned,
            },
            "violations": self.violations().to_json(),
            "makers": self.makers.iter().map(|(name, m)| (*name, m.to_json())).collect::<BTreeMap<_, _>>(),
            "cpu_ms_per_delivery": by_service(self.costs.cpu_ms, round2),
            "cpu_ms_per_delivery_by_thread": self.cpu_by_thread_ms.iter().map(|(name, threads)| {
                let threads: BTreeMap<&String, f64> = threads.iter().map(|(t, ms)| (t, round2(per(*ms)))).collect();
                (*name, threads)
            }).collect::<BTreeMap<_, _>>(),
            "counted_per_delivery": self.counted.iter().map(|(name, c)| (*name, json!({
                "requests": round2(per(c.requests.values().sum())),
                "by_route": c.requests.iter().map(|(r, n)| (r, round2(per(*n)))).collect::<BTreeMap<_, _>>(),
                "commits": round2(per(c.commits)),
                "state_bytes": per(c.state_bytes).round(),
            }))).collect::<BTreeMap<_, _>>(),
            "crypto_floor_ms": round2(self.floor.crypto_ms),
            "floor_ms": {
                "crypto": round2(self.floor.crypto_ms), "requests": round2(self.floor.requests_ms),
                "commits": round2(self.floor.commits_ms), "all": round2(self.floor.all_ms()),
            },
            "bytes_per_delivery": by_service(self.costs.bytes, f64::round),
            "latency_ms": domain,
            "latency_real_ms": real,
            "attended_s": self.attended_s(),
            "lock_proofs": self.lock_proofs(),
            "unknown_outcomes": self.unknown_outcomes().to_json(),
            "front_doors": {"kept_shut": kept_shut, "failed_since_seen": failed_since_seen},
            "alarms": self.findings.iter().filter(|f| f.alarmed).count(),
            "bundles_refused": self.refused_bundles(),
            "logs": {
                "searched_bytes": self.leaks.searched_bytes, "needles": self.leaks.needles, "found": self.leaks.found,
            },
            "carrier_stopped": self.carrier_stopped(),
            "refusals": self.odd,
            "kills": self.kills,
            "clock_moves": self.ticks,
            "phases_s": self.phases_s.iter().map(|(name, s)| ((*name).to_owned(), json!(round2(*s)))).collect::<serde_json::Map<_, _>>(),
            "wall_s": round2(self.wall_s),
            "faults": self.faults,
            "seed": self.seed,
        })
    }

    fn carrier_stopped(&self) -> u64 {
        self.odd.get(STOPPED).copied().unwrap_or(0)
    }

    /// Seconds that a courier stood at a car, from arriving to driving on.
    fn attended_s(&self) -> Value {
        let attended = self.hops.get("attended").map_or(&[][..], |times| &times.domain_ms);
        let [p50, p90] = at_shares(attended.iter().map(|ms| *ms as f64 / 1_000.0), [0.5, 0.9]).map(round2);
        json!({"p50": p50, "p90": p90})
    }

    /// Lines for a person.
    #[must_use]
    pub fn table(&self) -> String {
        let (o, v) = (self.outcomes(), self.violations());
        let percent = |n: usize| 100.0 * n as f64 / self.deliveries.max(1) as f64;
        let mut lines = vec![
            format!("{:<26}{:>8}  {:>5.1} %", "delivered", o.delivered, percent(o.delivered)),
            format!("{:<26}{:>8}  {:>5.1} %", "returned", o.returned, percent(o.returned)),
        ];
        for (reason, count) in &o.fallback {
            lines.push(format!("{:<26}{count:>8}  {:>5.1} %", format!("fallback: {reason}"), percent(*count)));
        }
        lines.push(String::new());
        for (name, count) in [
            ("opened without chain", v.opened_without_chain),
            ("located without chain", v.located_without_chain),
            ("second opening", v.second_opening),
            ("unlocked unseen", v.unlocked_unseen),
            ("left open without alarm", v.left_open_without_alarm),
            ("unknown and left so", v.unknown_left),
            ("without end", v.without_end),
        ] {
            lines.push(format!("{name:<26}{count:>8}  {}", if count == 0 { "" } else { "<- violation" }));
        }
        lines.push(String::new());
        if self.carrier_stopped() > 0 {
            lines.push(format!("{:<26}{:>8}  released by two people each time", STOPPED, self.carrier_stopped()));
        }
        let unknown = self.unknown_outcomes();
        lines.push(format!(
            "{:<26}{:>8}  resolved {}, alarmed {}, neither {}",
            "unknown outcomes",
            unknown.resolved + unknown.alarmed + unknown.neither,
            unknown.resolved,
            unknown.alarmed,
            unknown.neither
        ));
        let (kept_shut, failed_since_seen) = self.front_doors();
        for (condition, count) in kept_shut {
            lines.push(format!("{:<26}{count:>8}", format!("kept shut: {condition}")));
        }
        if failed_since_seen > 0 {
            lines.push(format!("{:<26}{failed_since_seen:>8}  unlocked as it failed", "camera or lock"));
        }
        for (maker, m) in &self.makers {
            let billed = m.billed_usd().map_or_else(String::new, |usd| format!(", {usd:.4} USD"));
            lines.push(format!(
                "{maker:<26}{:>8}  of {} delivered; for each {:.1} commands, {:.2} wakes, {:.1} readings{billed}",
                m.delivered,
                m.deliveries,
                m.per_delivery(m.commands),
                m.per_delivery(m.wakes),
                m.per_delivery(m.reads())
            ));
        }
        lines.push(String::new());
        let cpu = self.costs.cpu_ms.map(|ms| ms as f64 / self.deliveries.max(1) as f64);
        lines.push(format!(
            "{:<26}{:>8.2}  (carrier {:.2}, gateway {:.2}, keyholder {:.2})",
            "CPU ms per delivery",
            cpu.iter().sum::<f64>(),
            cpu[0],
            cpu[1],
            cpu[2]
        ));
        lines.push(format!(
            "{:<26}{:>8.2}  (cryptography {:.2}, answering as many requests {:.2}, keeping as many batches {:.2})",
            "  the same, bare",
            self.floor.all_ms(),
            self.floor.crypto_ms,
            self.floor.requests_ms,
            self.floor.commits_ms
        ));
        for (hop, times) in &self.hops {
            let [p50, p95, p99] = at_quantiles(times.domain_ms.iter().map(|ms| *ms as f64));
            let [r50, r95, _] = at_quantiles(times.real_us.iter().map(|us| *us as f64 / 1_000.0));
            lines.push(format!(
                "{hop:<26}{:>8.1} s p50 {:>6.1} p95 {:>6.1} p99 simulated   {r50:>7.1} ms p50 {r95:>7.1} p95 real",
                p50 / 1_000.0,
                p95 / 1_000.0,
                p99 / 1_000.0
            ));
        }
        lines.join("\n")
    }
}

fn round2(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Values at these shares of all; zeros of nothing.
fn at_shares<const N: usize>(values: impl Iterator<Item = f64>, shares: [f64; N]) -> [f64; N] {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    shares.map(|q| {
        let index = ((all.len() as f64 * q).ceil() as usize).clamp(1, all.len().max(1)) - 1;
        all.get(index).copied().unwrap_or(0.0)
    })
}
/// Values at 50, 95 and 99 %; zeros of nothing.
#[must_use]
pub fn at_quantiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    at_shares(values, [0.5, 0.95, 0.99])
}
fn quantiles(values: impl Iterator<Item = f64>) -> Value {
    let all: Vec<f64> = values.collect();
    let [p50, p95, p99] = at_quantiles(all.iter().copied()).map(round2);
    json!({"n": all.len(), "p50": p50, "p95": p95, "p99": p99})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_maker_bills_is_counted_by_commands_and_wakes() {
        let metered = OfMaker {
            deliveries: 4,
            requests: 60,
            commands: 10,
            wakes: 2,
            prices_micro_usd: Some((1_000, 20_000)),
            ..OfMaker::default()
        };
        assert_eq!((metered.billed_usd(), metered.reads()), (Some(0.0125), 48));
        assert_eq!(OfMaker { prices_micro_usd: None, ..metered }.billed_usd(), None);
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        assert_eq!(at_quantiles((1..=100).map(f64::from)), [50.0, 95.0, 99.0]);
        assert_eq!(at_quantiles([7.0].into_iter()), [7.0, 7.0, 7.0]);
        assert_eq!(at_quantiles(std::iter::empty()), [0.0, 0.0, 0.0]);
    }
}
