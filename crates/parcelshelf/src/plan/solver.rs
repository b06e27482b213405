//! The carrier's plan of one route, by a solver that others maintain (decision 0014).

use std::sync::Arc;

use anyhow::{anyhow, ensure};
use parcelshelf_core::area::Position;
use vrp_core::prelude::{
    DefaultRandom, Environment, GenericError, GoalContextBuilder, InsertionContext, MinimizeUnassignedBuilder, Problem,
    ProblemBuilder, Random, SimpleTransportCost, SingleBuilder, SolutionState, Solver, TransportFeatureBuilder,
    VehicleBuilder, VehicleDetailBuilder,
};
use vrp_core::rosomaxa::prelude::TelemetryMode;
use vrp_core::rosomaxa::utils::Parallelism;
use vrp_core::solver::search::{
    AdjustedStringRemoval, NeighbourRemoval, RandomJobRemoval, Recreate, RecreateWithBlinks, RecreateWithCheapest,
    RecreateWithFarthest, RecreateWithPerturbation, RecreateWithSkipBest, RemovalLimits, Ruin, RuinAndRecreate,
    WeightedRecreate, WeightedRuin,
};
use vrp_core::solver::{
    GreedyPopulation, ProblemConfigBuilder, RecreateInitialOperator, RefinementContext, TargetHeuristicGroup,
    TargetSearchOperator, create_scalar_operator_probability, get_static_heuristic_from_heuristic_group,
};

/// Draws that one seed skips at most, so that seeds differ.
const SKIPPED_MAX: u64 = 1_000;
/// How many changes of the best order are tried in one generation. The solver would take the number of processors.
const TRIED_AT_ONCE: usize = 2;
/// How many first orders are made.
const FIRST_ORDERS: usize = 4;
/// The share of the budget that first orders may take.
const FIRST_SHARE: f64 = 0.05;

/// The order in which one van should serve `stops` from the depot and back: a permutation of their indices. The budget is
/// counted in generations, not seconds, on one thread with one stream of chance: the same input gives the same order, on a
/// slow machine with many processors as on a fast one with few.
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
    let random: Arc<dyn Random> = Arc::new(DefaultRandom::new_repeatable());
    for _ in 0..seed % SKIPPED_MAX {
        let _ = random.is_head_not_tails();
    }
    let quiet = Arc::new(|_: &str| ());
    let environment = Arc::new(Environment::new(random.clone(), None, alone, quiet, false));
    let always = create_scalar_operator_probability(1.0, random.clone());
    let group: TargetHeuristicGroup = vec![(search(&problem, &random), always)];
    let heuristic = get_static_heuristic_from_heuristic_group(problem.clone(), environment.clone(), group);
    let best_only = Box::new(GreedyPopulation::new(problem.goal.clone(), TRIED_AT_ONCE, None));
    let context = RefinementContext::new(problem.clone(), best_only, TelemetryMode::None, environment);
    let first = Box::new(RecreateInitialOperator::new(Arc::new(InOrder(RecreateWithCheapest::new(random)))));
    let config = ProblemConfigBuilder::default()
        .with_heuristic(Box::new(heuristic))
        .with_context(context)
        .with_initial(FIRST_ORDERS, FIRST_SHARE, vec![(first, 1)])
        .with_max_generations(Some(generations))
        .build()?;
    let solution = Solver::new(problem, config).solve()?;
    Ok(solution.get_locations().flatten().filter(|i| *i > 0).map(|i| i - 1).collect())
}

/// What is tried: some stops are taken out and put back. Those ways of the solver that walk through sets of jobs are left
/// out, because a set is ordered by addresses in memory, which differ from run to run.
fn search(problem: &Problem, random: &Arc<dyn Random>) -> TargetSearchOperator {
    let limits = RemovalLimits::new(problem);
    let ruin = WeightedRuin::new(vec![
        (vec![(forgetful(AdjustedStringRemoval::new_with_defaults(limits.clone())), 1.0)], 100),
        (vec![(forgetful(NeighbourRemoval::new(limits.clone())), 1.0)], 20),
        (vec![(forgetful(RandomJobRemoval::new(limits)), 1.0)], 5),
    ]);
    let recreates: Vec<(Arc<dyn Recreate>, usize)> = vec![
        (Arc::new(RecreateWithSkipBest::new(1, 2, random.clone())), 50),
        (Arc::new(RecreateWithCheapest::new(random.clone())), 40),
        (Arc::new(RecreateWithPerturbation::new_with_defaults(random.clone())), 10),
        (Arc::new(RecreateWithBlinks::new_with_defaults(random.clone())), 10),
        (Arc::new(RecreateWithFarthest::new(random.clone())), 2),
    ];
    Arc::new(RuinAndRecreate::new(Arc::new(ruin), Arc::new(WeightedRecreate::new(recreates))))
}

/// A first order that takes the stops in their own order. A new plan holds them in a set.
struct InOrder<R>(R);

impl<R: Recreate> Recreate for InOrder<R> {
    fn run(&self, refinement: &RefinementContext, mut solution: InsertionContext) -> InsertionContext {
        let all = solution.problem.jobs.all().to_vec();
        solution.solution.unassigned.clear();
        solution.solution.required = all;
        self.0.run(refinement, solution)
    }
}

/// A ruin that begins with an empty list of stops not to touch again. A full list drops one of its stops by lot, out of a
/// set, which no seed repeats.
struct Forgetful<R>(R);

fn forgetful(ruin: impl Ruin + 'static) -> Arc<dyn Ruin> {
    Arc::new(Forgetful(ruin))
}

impl<R: Ruin> Ruin for Forgetful<R> {
    fn run(&self, refinement: &RefinementContext, mut solution: InsertionContext) -> InsertionContext {
        // What else stands here is worked out anew when the stops are put back.
        solution.solution.state = SolutionState::default();
        self.0.run(refinement, solution)
    }
}
