//! Random histories: the embedded engine answers as the plain maps of the memory engine do, and whatever is refused
//! changes nothing in either.

use std::cell::Cell;
use std::time::Duration;

use parcelshelf_core::time::Timestamp;
use parcelshelf_store::memory::MemoryEngine;
use parcelshelf_store::sqlite::{Options, SqliteEngine};
use parcelshelf_store::whole::Whole;
use parcelshelf_store::{
    AnswerWrite, Append, Batch, Check, CommitError, Committed, Conflict, Engine, JobWrite, JournalWrite, Put,
    StoredAnswer, Version,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::observe::{KEYS, PRINCIPALS, QUEUES, STREAMS, TABLES, observe};

/// A row, and whether the batch expects the version that the row has before the batch.
#[derive(Debug, Clone)]
struct Target {
    table: &'static str,
    id: u8,
    expect: Expect,
}

#[derive(Debug, Clone, Copy)]
enum Expect {
    /// What is there.
    Right,
    Exactly(Version),
}

#[derive(Debug, Clone)]
struct Plan {
    at: Option<i64>,
    checks: Vec<Target>,
    puts: Vec<(Target, Vec<u8>, Option<u8>)>,
    deletes: Vec<Target>,
    journal: Vec<(&'static str, u8)>,
    appends: Vec<(&'static str, Vec<u8>)>,
    jobs: Vec<(&'static str, u8, i64)>,
    jobs_done: Vec<(&'static str, u8)>,
    answer: Option<(&'static str, &'static str, i64)>,
}

#[derive(Debug, Clone)]
enum Op {
    Commit(Box<Plan>),
    Claim { queue: &'static str, now: i64, lease: u64, limit: u32 },
    Forget { before: i64 },
}

fn target() -> impl Strategy<Value = Target> {
    let exactly = prop_oneof![Just(Version::Absent), (0..4_u64).prop_map(Version::Is)];
    let expect = prop_oneof![6 => Just(Expect::Right), 1 => exactly.prop_map(Expect::Exactly)];
    (select(&TABLES[..]), 0..6_u8, expect).prop_map(|(table, id, expect)| Target { table, id, expect })
}

fn plan() -> impl Strategy<Value = Plan> {
    let bytes = || vec(any::<u8>(), 0..4);
    let writes = (
        vec(target(), 0..2),
        vec((target(), bytes(), proptest::option::of(0..3_u8)), 0..3),
        vec(target(), 0..2),
        vec((select(&TABLES[..]), 0..6_u8), 0..3),
    );
    let effects = (
        vec((select(&STREAMS[..]), bytes()), 0..3),
        vec((select(&QUEUES[..]), 0..4_u8, 0..100_i64), 0..3),
        vec((select(&QUEUES[..]), 0..4_u8), 0..2),
        proptest::option::weighted(0.4, (select(&PRINCIPALS[..]), select(&KEYS[..]), 0..100_i64)),
    );
    (proptest::option::of(0..100_i64), writes, effects).prop_map(
        |(at, (checks, puts, deletes, journal), (appends, jobs, jobs_done, answer))| Plan {
            at,
            checks,
            puts,
            deletes,
            journal,
            appends,
            jobs,
            jobs_done,
            answer,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => plan().prop_map(|plan| Op::Commit(Box::new(plan))),
        3 => (select(&QUEUES[..]), 0..150_i64, 0..60_u64, 0..4_u32)
            .prop_map(|(queue, now, lease, limit)| Op::Claim { queue, now, lease, limit }),
        1 => (0..100_i64).prop_map(|before| Op::Forget { before }),
    ]
}

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis)
}

async fn resolve(model: &MemoryEngine, target: &Target) -> Check {
    let version = match target.expect {
        Expect::Exactly(version) => version,
        Expect::Right => {
            let row = model.get(target.table, &[target.id]).await.expect("reads");
            row.map_or(Version::Absent, |row| row.expected())
        }
    };
    Check { table: target.table.to_owned(), id: vec![target.id], version }
}

async fn batch(model: &MemoryEngine, plan: &Plan) -> Batch {
    let mut batch = Batch { at: plan.at.map(ms), ..Batch::default() };
    for check in &plan.checks {
        batch.checks.push(resolve(model, check).await);
    }
    for (target, state, key) in &plan.puts {
        let Check { table, id, version } = resolve(model, target).await;
        let mut index: std::collections::BTreeMap<_, _> = [(String::from("by_state"), state.clone())].into();
        if let Some(key) = key {
            index.insert(String::from("by_day"), vec![*key]);
        }
        batch.puts.push(Put { table, id, expected: version, state: state.clone(), index });
    }
    for delete in &plan.deletes {
        batch.deletes.push(resolve(model, delete).await);
    }
    batch.journal.extend(plan.journal.iter().map(|(table, id)| JournalWrite {
        table: (*table).to_owned(),
        id: vec![*id],
        kind: String::from("kind"),
        event: vec![*id, 1],
    }));
    batch.appends.extend(
        plan.appends.iter().map(|(stream, bytes)| Append { stream: (*stream).to_owned(), bytes: bytes.clone() }),
    );
    batch.jobs.extend(plan.jobs.iter().map(|(queue, id, at)| JobWrite {
        queue: (*queue).to_owned(),
        id: vec![*id],
        run_at: ms(*at),
        payload: vec![*id],
    }));
    batch.jobs_done.extend(plan.jobs_done.iter().map(|(queue, id)| ((*queue).to_owned(), vec![*id])));
    batch.answer = plan.answer.map(|(principal, key, at)| AnswerWrite {
        principal: principal.to_owned(),
        key: key.to_owned(),
        answer: StoredAnswer { request_hash: [1; 32], status: 200, body: vec![2], at: ms(at) },
    });
    batch
}

/// A result that can be compared.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Committed(Committed),
    Conflict(Conflict),
    Replayed(StoredAnswer),
}

fn told(result: Result<Committed, CommitError>) -> Told {
    match result {
        Ok(committed) => Told::Committed(committed),
        Err(CommitError::Conflict(conflict)) => Told::Conflict(conflict),
        Err(CommitError::Replayed(answer)) => Told::Replayed(answer),
        Err(other) => panic!("small batches are neither too large nor hard to store: {other}"),
    }
}

/// How often each thing happened, so that a test of nothing does not pass.
#[derive(Default)]
struct Count {
    committed: Cell<u32>,
    conflicts: Cell<u32>,
    replays: Cell<u32>,
    claimed: Cell<usize>,
    forgotten: Cell<u64>,
}

fn agree<T: PartialEq + std::fmt::Debug>(what: &str, model: &T, engine: &T) -> Result<(), TestCaseError> {
    prop_assert!(model == engine, "{what}: the model says {model:?}, the engine {engine:?}");
    Ok(())
}

async fn history(ops: Vec<Op>, count: &Count) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let whole = Whole { key: [7; 32], binding_bytes: 3, accept: false };
    let options = Options { whole: Some(whole), ..Options::default() };
    let engine = SqliteEngine::open(&path, options.clone()).expect("opens");
    let model = MemoryEngine::default();
    let mut before = observe(&model).await;
    for op in ops {
        match &op {
            Op::Commit(plan) => {
                let batch = batch(&model, plan).await;
                let expected = told(model.commit(batch.clone()).await);
                agree("commit", &expected, &told(engine.commit(batch).await))?;
                let counted = match expected {
                    Told::Committed(_) => &count.committed,
                    Told::Conflict(_) => &count.conflicts,
                    Told::Replayed(_) => &count.replays,
                };
                counted.set(counted.get() + 1);
                if !matches!(expected, Told::Committed(_)) {
                    for refused in [observe(&model).await, observe(&engine).await] {
                        prop_assert_eq!(before.difference(&refused), None, "a refused batch left something");
                    }
                }
            }
            Op::Claim { queue, now, lease, limit } => {
                let lease = Duration::from_millis(*lease);
                let expected = model.claim(queue, ms(*now), lease, *limit).await.expect("claims");
                let claimed = engine.claim(queue, ms(*now), lease, *limit).await.expect("claims");
                agree("claim", &expected, &claimed)?;
                count.claimed.set(count.claimed.get() + claimed.len());
            }
            Op::Forget { before } => {
                let expected = model.forget_answers(ms(*before)).await.expect("forgets");
                agree("forget", &expected, &engine.forget_answers(ms(*before)).await.expect("forgets"))?;
                count.forgotten.set(count.forgotten.get() + expected);
            }
        }
        before = observe(&model).await;
        prop_assert_eq!(before.difference(&observe(&engine).await), None, "after {:?}", op);
    }
    engine.close().await;
    let engine = SqliteEngine::open(&path, options).expect("opens again");
    prop_assert!(!engine.is_altered(), "its own history is taken for somebody else's");
    prop_assert_eq!(before.difference(&observe(&engine).await), None, "after closing and opening");
    engine.close().await;
    Ok(())
}

#[test]
fn both_engines_tell_the_same_history() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let count = Count::default();
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    let told = runner.run(&vec(op(), 1..40), |ops| runtime.block_on(history(ops, &count)));
    if let Err(error) = told {
        panic!("{error}");
    }
    let Count { committed, conflicts, replays, claimed, forgotten } = count;
    println!(
        "{} committed, {} conflicts, {} replays, {} claimed, {} forgotten",
        committed.get(),
        conflicts.get(),
        replays.get(),
        claimed.get(),
        forgotten.get()
    );
    assert!(committed.get() > 50 && conflicts.get() > 20, "histories must be of both kinds");
    assert!(replays.get() > 0 && claimed.get() > 0 && forgotten.get() > 0, "every verb must have had work");
}
