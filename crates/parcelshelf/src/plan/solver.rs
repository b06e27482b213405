//! The carrier's plan of one route, by a solver that others maintain (decision 0014).

use std::sync::Arc;

use anyhow::{anyhow, ensure};
use parcelshelf_core::area::Position;
use vrp_core::prelude::{
    DefaultRandom, Environment, GenericError, GoalContextBuilder, MinimizeUnassignedBuilder, ProblemBuilder,
    SimpleTransportCost, SingleBuilder, Solver, TransportFeatureBuilder, VehicleBuilder, VehicleDetailBuilder,
    VrpConfigBuilder,
};
use vrp_core::rosomaxa::prelude::TelemetryMode;
use vrp_core::rosomaxa::utils::Parallelism;
use vrp_core::solver::get_static_heuristic;

/// Draws that one seed skips at most, so that seeds differ.
const SKIPPED_MAX: u64 = 1_000;

/// The order in which one van should serve `stops` from the depot and back: a permutation of their indices. The budget is
/// counted in generations, not seconds, on one thread with one stream of chance: a slow machine plans as well as a fast one.
/// Two runs may still differ a little, by the solver's own bookkeeping.
///
/// # Errors
/// When the solver refuses or leaves a stop out.
pub fn order(stops: &[Position], depot: &Position, generations: usize, seed: u64) -> anyhow::Result<Vec<usize>> {
    let alone = Parallelism::new(1, 1);
    let order = alone
        .thread_pool_execute(0, || solve(stops, depot, generations, seed, alone.clone()))
        .map_err(|e| anyhow!("the solver found no route: {e}"))?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    ensure!(sorted.iter().copied().eq(0..stops.len()), "the solver left stops out");
    Ok(order)
}

fn solve(
    stops: &[Position],
    depot: &Position,
    generations: usize,
    seed: u64,
    alone: Parallelism,
) -> Result<Vec<usize>, GenericError> {
    let places: Vec<&Position> = [depot].into_iter().chain(stops).collect();
    let ways_m: Vec<f64> = places.iter().flat_map(|a| places.iter().map(|b| a.distance_m(b))).collect();
    let transport = Arc::new(SimpleTransportCost::new(ways_m.clone(), ways_m)?);
    let every_stop = MinimizeUnassignedBuilder::new("every-stop").build()?;
    let short = TransportFeatureBuilder::new("short")
        .set_transport_cost(transport.clone())
        .set_time_constrained(false)
        .build_minimize_distance()?;
    let goal = GoalContextBuilder::with_features(&[every_stop, short])?.build()?;
    let jobs = (1..places.len())
        .map(|i| SingleBuilder::default().id(&i.to_string()).location(i)?.build_as_job())
        .collect::<Result<Vec<_>, _>>()?;
    let there_and_back = VehicleDetailBuilder::default().set_start_location(0).set_end_location(0).build()?;
    let van = VehicleBuilder::default().id("van").add_detail(there_and_back).build()?;
    let problem = Arc::new(
        ProblemBuilder::default()
            .add_jobs(jobs.into_iter())
            .add_vehicle(van)
            .with_goal(goal)
            .with_transport_cost(transport)
            .with_logger(Arc::new(|_: &str| ()))
            .build()?,
    );
    let random = Arc::new(DefaultRandom::new_repeatable());
    for _ in 0..seed % SKIPPED_MAX {
        let _ = vrp_core::prelude::Random::is_head_not_tails(random.as_ref());
    }
    let environment = Arc::new(Environment::new(random, None, alone, Arc::new(|_: &str| ()), false));
    // The solver's own choice of heuristics measures seconds, which would make runs differ.
    let heuristic = get_static_heuristic(problem.clone(), environment.clone());
    let config = VrpConfigBuilder::new(problem.clone())
        .set_environment(environment)
        .set_heuristic(Box::new(heuristic))
        .set_telemetry_mode(TelemetryMode::None)
        .prebuild()?
        .with_max_generations(Some(generations))
        .build()?;
    let solution = Solver::new(problem, config).solve()?;
    Ok(solution.get_locations().flatten().filter(|i| *i > 0).map(|i| i - 1).collect())
}
