//! What privacy costs on one route: the same solver with the same budget, once with exact places, once with areas.

use parcelshelf_core::area::{Cell, Position};
use parcelshelf_routing::path::length_m;
use parcelshelf_routing::{Driven, Place, Policy, drive, improve};

use super::solver;
use crate::simulate::dice::Dice;

/// The budget of a plan, in the solver's generations.
pub const GENERATIONS: usize = 3_000;
/// How often a stretch of a finished plan is rearranged before it leaves, exact or not.
const POLISH: usize = 500;
/// How often a phone rearranges a stretch when it plans again.
pub const KICKS: usize = 10;

/// One route of one seed.
#[derive(Debug, Clone)]
pub struct Route {
    pub seed: u64,
    pub stops: Vec<Position>,
    pub depot: Position,
}

/// One drive of a route.
#[derive(Debug, Clone)]
pub struct Measured {
    pub seed: u64,
    /// Which of the seed's routes.
    pub route: usize,
    pub stops: usize,
    pub private: usize,
    /// Asked-for share of private stops, percent.
    pub share_percent: f64,
    pub policy: Policy,
    /// Metres with exact places known beforehand.
    pub exact_m: f64,
    pub driven: Driven,
}

impl Measured {
    /// Extra way against exact places, percent.
    #[must_use]
    pub fn extra_percent(&self) -> f64 {
        if self.exact_m > 0.0 { 100.0 * (self.driven.metres / self.exact_m - 1.0) } else { 0.0 }
    }
}

/// Drives a route with every share and policy. `done` is called after each plan.
///
/// # Errors
/// When the solver finds no plan.
pub fn measure(
    route: &Route,
    number: usize,
    shares_percent: &[f64],
    policies: &[Policy],
    done: &dyn Fn(),
) -> anyhow::Result<Vec<Measured>> {
    let (stops, depot) = (&route.stops, &route.depot);
    let exact: Vec<Position> = planned(stops, depot, route.seed)?.into_iter().map(|i| stops[i]).collect();
    let exact_m = length_m(depot, &exact, depot);
    done();
    let mut all = Vec::new();
    for share_percent in shares_percent {
        let private = private(stops.len(), *share_percent, route.seed, number);
        let seen: Vec<Place> = (0..stops.len())
            .map(|i| if private[i] { Place::Hidden(Cell::of(&stops[i])) } else { Place::Known(stops[i]) })
            .collect();
        let reckoned: Vec<Position> = seen.iter().map(Place::reckoned).collect();
        let order = planned(&reckoned, depot, route.seed)?;
        let plan: Vec<Place> = order.iter().map(|i| seen[*i]).collect();
        for policy in policies {
            let driven = drive(&plan, depot, *policy, KICKS, &mut |i| stops[order[i]]);
            all.push(Measured {
                seed: route.seed,
                route: number,
                stops: stops.len(),
                private: private.iter().filter(|p| **p).count(),
                share_percent: *share_percent,
                policy: *policy,
                exact_m,
                driven,
            });
        }
        done();
    }
    Ok(all)
}

/// The plan of a carrier: the solver's order, put right as a phone would. The same for exact places and for areas.
fn planned(stops: &[Position], depot: &Position, seed: u64) -> anyhow::Result<Vec<usize>> {
    let order = solver::order(stops, depot, GENERATIONS, seed)?;
    let places: Vec<Place> = order.iter().map(|i| Place::Known(stops[*i])).collect();
    Ok(improve(depot, &places, depot, POLISH).into_iter().map(|i| order[i]).collect())
}

/// Which stops are private: this share of them, rounded up, by lot.
fn private(count: usize, share_percent: f64, seed: u64, route: usize) -> Vec<bool> {
    let wanted = ((count as f64 * share_percent / 100.0).ceil() as usize).min(count);
    let dice = Dice::new(seed);
    let mut lots: Vec<usize> = (0..count).collect();
    lots.sort_by_key(|i| (dice.number("private", (route * 1_000 + i) as u64), *i));
    let mut private = vec![false; count];
    for i in &lots[..wanted] {
        private[*i] = true;
    }
    private
}
