//! What a run writes down as it goes: an entry for each delivery, times of each hop, and a trace.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use parcelshelf_client::Host;
use parcelshelf_client::wallet::Granted;
use parcelshelf_core::reason::Reason;
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::clock::Stopwatch;

/// What became of the stop, as the courier saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtCar {
    Placed,
    Not(Reason),
}

/// One delivery's page.
#[derive(Debug, Default, Clone)]
pub struct Page {
    pub granted: Option<Granted>,
    pub at_car: Option<AtCar>,
    /// How the carrier says that it ended, with the parcel's reason and way.
    pub end: Option<(String, Option<String>)>,
    /// When it ended at the car.
    pub left_at: Option<Timestamp>,
    pub alarms: u32,
    /// Places that reached the phone.
    pub places_shown: u32,
    /// The attempt's end was seen: locked and proved, or an alarm that the owner has acknowledged.
    pub attempt_over: bool,
    pub attempted: bool,
    /// The stop page said at some time that nobody knows whether it opened.
    pub saw_unknown: bool,
    /// How long the courier stood at the car.
    pub attended_ms: Option<i64>,
    /// What kept a front door shut while a courier asked, as its owner is told: each condition once.
    pub kept_shut_by: Vec<String>,
    pub(super) trace: Vec<(Timestamp, String)>,
}

/// Times of one hop.
#[derive(Debug, Default, Clone)]
pub struct Times {
    pub domain_ms: Vec<i64>,
    pub real_us: Vec<u64>,
}

#[derive(Debug, Default)]
struct Inside {
    pages: Vec<Page>,
    hops: BTreeMap<&'static str, Times>,
    odd: BTreeMap<String, u64>,
}

/// The book of a run.
#[derive(Debug)]
pub struct Book {
    inside: Mutex<Inside>,
    traced: bool,
}

impl Book {
    #[must_use]
    pub fn new(deliveries: usize, traced: bool) -> Self {
        let inside = Inside { pages: vec![Page::default(); deliveries], ..Inside::default() };
        Self { inside: Mutex::new(inside), traced }
    }
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Changes or reads a delivery's page.
    pub fn page<T>(&self, n: usize, work: impl FnOnce(&mut Page) -> T) -> Option<T> {
        self.inside().pages.get_mut(n).map(work)
    }
    /// A line of the trace.
    pub fn note(&self, n: usize, at: Timestamp, line: impl FnOnce() -> String) {
        if self.traced {
            let line = line();
            self.page(n, |page| page.trace.push((at, line)));
        }
    }
    /// A refusal or surprise, counted by its words.
    pub fn odd(&self, what: &str) {
        *self.inside().odd.entry(what.to_owned()).or_default() += 1;
    }
    /// Does something and writes down how long it took, in simulated and in real time.
    pub async fn timed<T>(&self, host: &Host, hop: &'static str, work: impl Future<Output = T>) -> T {
        let (began, watch) = (host.clock.uptime(), Stopwatch::start());
        let done = work.await;
        let domain_ms = i64::try_from((host.clock.uptime() - began).as_millis()).unwrap_or(i64::MAX);
        self.took(hop, domain_ms, Some(u64::try_from(watch.elapsed().as_micros()).unwrap_or(u64::MAX)));
        done
    }
    /// A time of a hop.
    pub fn took(&self, hop: &'static str, domain_ms: i64, real_us: Option<u64>) {
        let mut inside = self.inside();
        let times = inside.hops.entry(hop).or_default();
        times.domain_ms.push(domain_ms);
        times.real_us.extend(real_us);
    }

    /// What the owner signed for a delivery.
    #[must_use]
    pub fn granted(&self, n: usize) -> Option<Granted> {
        self.page(n, |page| page.granted.clone()).flatten()
    }
    #[must_use]
    pub fn pages(&self) -> Vec<Page> {
        self.inside().pages.clone()
    }
    #[must_use]
    pub fn hops(&self) -> BTreeMap<&'static str, Times> {
        self.inside().hops.clone()
    }
    #[must_use]
    pub fn oddities(&self) -> BTreeMap<String, u64> {
        self.inside().odd.clone()
    }
    /// The whole trace in the order of deliveries.
    #[must_use]
    pub fn trace(&self) -> String {
        let mut text = String::new();
        for (n, page) in self.inside().pages.iter().enumerate() {
            for (at, line) in &page.trace {
                text.push_str(&format!("{n:>6} {} {line}\n", at.to_rfc3339()));
            }
        }
        text
    }
}
