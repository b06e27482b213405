//! What a delivery's operations cost bare, on this machine and in this run: the signatures and boxes, as many requests answered,
//! as many batches kept. No service that does these things as often can cost less.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use futures_util::future::try_join_all;
use parcelshelf_core::time::{Entropy, Timestamp};
use parcelshelf_edge::clock::Stopwatch;
use parcelshelf_protocol::jws::{Sign as _, SigningKey};
use parcelshelf_protocol::seal::{self, Context, Purpose, SealKeyPair};
use parcelshelf_store::sqlite::{Options, SqliteEngine};
use parcelshelf_store::{Append, Batch, Engine as _, JournalWrite, Put, Version};

use super::cost::{Counted, cpu_ms, cpu_ms_by_thread};

/// Processor milliseconds of one delivery.
#[derive(Debug, Clone, Copy, Default)]
pub struct Floor {
    pub crypto_ms: f64,
    /// To answer as many requests with as many bytes, nothing looked at. What a service asks others itself is not in it.
    pub requests_ms: f64,
    /// To keep as many batches durably.
    pub commits_ms: f64,
}
impl Floor {
    #[must_use]
    pub fn all_ms(&self) -> f64 {
        self.crypto_ms + self.requests_ms + self.commits_ms
    }
}

/// Measures it for what the services have counted of themselves over so many deliveries.
///
/// # Errors
/// When something bare does not work.
pub async fn measure<'a>(
    entropy: &dyn Entropy,
    dir: &Path,
    counted: impl Iterator<Item = &'a Counted>,
    deliveries: usize,
) -> anyhow::Result<Floor> {
    let (requests, commits) =
        counted.fold((0, 0), |(r, c), one| (r + one.requests.values().sum::<u64>(), c + one.commits));
    let each = |n: u64| n as f64 / deliveries.max(1) as f64;
    Ok(Floor {
        crypto_ms: crypto(entropy)?.as_secs_f64() * 1_000.0,
        requests_ms: each(requests) * request_ms().await?,
        commits_ms: each(commits) * commit_ms(dir).await?,
    })
}

/// At a time, as a service that is busy has them.
const AT_ONCE: u64 = 16;
/// Enough that ten milliseconds, the operating system's step, are little of it.
const REQUESTS: u64 = 4_000;
const COMMITS: u64 = 2_000;
/// Of a request with a proof, and of its answer.
const BODY_BYTES: usize = 1_500;
const THREAD: &str = "floor";

/// What it costs to answer one request that is not looked at: the thread that answers does nothing else.
async fn request_ms() -> anyhow::Result<f64> {
    let (told, addr) = tokio::sync::oneshot::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let answering = std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || -> anyhow::Result<u64> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
            let _ = told.send(listener.local_addr()?);
            let app = Router::new().route("/", post(async |asked: Bytes| asked));
            axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) }).await?;
            anyhow::Ok(())
        })?;
        Ok(cpu_ms_by_thread(std::process::id()).get(THREAD).copied().unwrap_or(0))
    })?;
    let url = format!("http://{}/", addr.await?);
    {
        let client = reqwest::Client::new();
        let ask = async || {
            for _ in 0..REQUESTS / AT_ONCE {
                client.post(&url).body(vec![b'x'; BODY_BYTES]).send().await?.bytes().await?;
            }
            anyhow::Ok(())
        };
        try_join_all((0..AT_ONCE).map(|_| ask())).await?;
    }
    drop(stop);
    let spent = tokio::task::spawn_blocking(move || answering.join()).await?;
    let spent = spent.map_err(|_| anyhow::anyhow!("what answers bare requests has died"))??;
    Ok(spent as f64 / REQUESTS as f64)
}

/// What it costs to keep one row of a usual size with its journal and leaf, as durable as the services do.
async fn commit_ms(dir: &Path) -> anyhow::Result<f64> {
    let path = dir.join("floor.db");
    let engine = Arc::new(SqliteEngine::open(&path, Options::default()).context("a bare store")?);
    let before = cpu_ms(std::process::id());
    let keep = async |writer: u64| {
        for number in 0..COMMITS / AT_ONCE {
            engine.commit(usual(writer * COMMITS + number)).await?;
        }
        anyhow::Ok(())
    };
    try_join_all((0..AT_ONCE).map(keep)).await?;
    Ok(cpu_ms(std::process::id()).saturating_sub(before) as f64 / COMMITS as f64)
}

fn usual(number: u64) -> Batch {
    let id = number.to_be_bytes().to_vec();
    let table = || String::from("delivery");
    Batch {
        at: Some(Timestamp::EPOCH),
        puts: vec![Put {
            table: table(),
            id: id.clone(),
            expected: Version::Absent,
            state: vec![1; 2_000],
            index: [(String::from("by_state"), vec![2; 8])].into(),
        }],
        journal: vec![JournalWrite { table: table(), id, kind: String::from("changed"), event: vec![3; 200] }],
        appends: vec![Append { stream: String::from("log"), bytes: vec![4; 50] }],
        ..Batch::default()
    }
}

/// How often one delivery needs each of the bare operations, in the three services together.
///
/// Signatures made: acceptance, delegation, and one for each call of the carrier and each sealed answer. Checked: links,
/// assertions, certificates, calls and proofs. Sealed and opened: place, description, rule, the phone's position.
const SIGNED: u32 = 12;
const CHECKED: u32 = 30;
const SEALED: u32 = 3;
const OPENED: u32 = 4;

/// ES256 and X-Wing and nothing around them.
fn crypto(entropy: &dyn Entropy) -> anyhow::Result<Duration> {
    const ROUNDS: u32 = 40;
    let key = SigningKey::generate(entropy);
    let pair = SealKeyPair::from_seed(&parcelshelf_core::time::random(entropy))?;
    let context = Context { sender: "a", recipient: "b", delivery: "c", seq: 1 };
    let message = [7_u8; 300];
    let per_round = |watch: Stopwatch| watch.elapsed() / ROUNDS;
    let watch = Stopwatch::start();
    let mut signature = key.sign(&message)?;
    for _ in 1..ROUNDS {
        signature = key.sign(&message)?;
    }
    let signing = per_round(watch);
    let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.verifying_key().point())?;
    let watch = Stopwatch::start();
    for _ in 0..ROUNDS {
        public.verify_sig(&message, &signature)?;
    }
    let checking = per_round(watch);
    let watch = Stopwatch::start();
    let mut sealed = Vec::new();
    for _ in 0..ROUNDS {
        sealed = seal::seal(entropy, pair.public(), Purpose::Place, &context, &message)?;
    }
    let sealing = per_round(watch);
    let watch = Stopwatch::start();
    for _ in 0..ROUNDS {
        seal::open(&pair, Purpose::Place, &context, &sealed)?;
    }
    let opening = per_round(watch);
    Ok(signing * SIGNED + checking * CHECKED + sealing * SEALED + opening * OPENED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn bare_work_costs_something_and_grows_with_what_was_counted() {
        let dir = tempfile::tempdir().unwrap();
        let counted = |requests, commits| Counted {
            requests: [(String::from("/v1/keys"), requests)].into(),
            commits,
            ..Counted::default()
        };
        let floor =
            measure(&parcelshelf_edge::clock::SystemEntropy, dir.path(), [counted(40, 0)].iter(), 1).await.unwrap();
        assert!(floor.crypto_ms > 0.0 && floor.requests_ms > 0.0);
        assert!(floor.commits_ms.abs() < 1e-9, "none were counted: {floor:?}");
        assert!((floor.all_ms() - floor.crypto_ms - floor.requests_ms).abs() < 1e-9, "{floor:?}");
    }
}
