//! Routes planned with areas: extra kilometres against exact places, and how many places a phone held at once.

pub mod measure;
pub mod report;
pub mod solver;

use std::fs;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, anyhow, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use parcelshelf_routing::split::STOPS_MIN;
use parcelshelf_routing::{Policy, split};
use serde_json::Value;

use self::measure::{Measured, Route, measure};
use crate::cli::{Disclose, Plan};
use crate::stops::Stops;

/// # Errors
/// When the file is not one of stops, holds too few, or the solver finds no plan.
pub fn run(args: &Plan) -> anyhow::Result<()> {
    let file = Stops::read(&args.stops)?;
    let routes = routes(&file, args.routes, args.seeds)?;
    let shares = if args.private_share.is_empty() { &[1.0, 10.0, 100.0][..] } else { &args.private_share };
    let policies: &[Policy] = match args.disclose {
        Disclose::Area => &[Policy::PlanOnly, Policy::Area],
        Disclose::NextStop => &[Policy::PlanOnly, Policy::NextStop],
        Disclose::Both => &[Policy::PlanOnly, Policy::NextStop, Policy::Area],
    };
    let bar = bar(routes.len() * (shares.len() + 1));
    let mut all = drives(&routes, args.routes, shares, policies, &bar)?;
    bar.finish_and_clear();
    let place = |m: &Measured| policies.iter().position(|p| *p == m.policy);
    all.sort_by(|a, b| {
        a.share_percent
            .total_cmp(&b.share_percent)
            .then(place(a).cmp(&place(b)))
            .then((a.seed, a.route).cmp(&(b.seed, b.route)))
    });
    println!("{}", report::table(&all));
    if let Some(path) = &args.report {
        write(path, &(serde_json::to_string_pretty::<Value>(&report::to_json(&all))? + "\n"))?;
    }
    if let Some(path) = &args.page {
        write(path, &report::page(&all))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

/// The routes of every seed, seed by seed.
fn routes(file: &Stops, count: usize, seeds: u64) -> anyhow::Result<Vec<Route>> {
    let depot = file.depot_or_first().context("there are no stops")?;
    let mut all = Vec::new();
    for seed in 1..=seeds {
        let parts = split(&file.stops, &depot, count, seed);
        ensure!(
            parts.len() == count,
            "{} stops make {} routes of at least {STOPS_MIN} stops; ask for fewer with --routes",
            file.stops.len(),
            parts.len()
        );
        all.extend(parts.into_iter().map(|part| Route {
            seed,
            depot,
            stops: part.into_iter().map(|i| file.stops[i]).collect(),
        }));
    }
    Ok(all)
}

/// All routes, as many at once as there are processors.
fn drives(
    routes: &[Route],
    per_seed: usize,
    shares: &[f64],
    policies: &[Policy],
    bar: &ProgressBar,
) -> anyhow::Result<Vec<Measured>> {
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> anyhow::Result<()> {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(route) = routes.get(n) else { return Ok(()) };
            let measured = measure(route, n % per_seed.max(1), shares, policies, &|| bar.inc(1))?;
            all.lock().map_err(|_| anyhow!("another route failed"))?.extend(measured);
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from).min(routes.len());
    thread::scope(|scope| {
        let started: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        started.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a route failed"))?)
    })?;
    all.into_inner().map_err(|_| anyhow!("a route failed"))
}

fn bar(length: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length as u64).with_message("routes are planned");
    if let Ok(style) = ProgressStyle::with_template("{msg:<22} {wide_bar} {pos}/{len} {elapsed} eta {eta}") {
        bar.set_style(style);
    }
    bar
}
