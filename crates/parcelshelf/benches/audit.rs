//! How long an audit over HTTP takes: 1,000,000 leaves from nothing, then 10,000 more.
//!
//! The log is served by the same process, so that its work counts too; what is compared are the goals, which are written down
//! beside the figures. `cargo bench -p parcelshelf --bench audit`.

#[path = "../tests/support/served.rs"]
mod served;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use indicatif::ProgressBar;
use parcelshelf::audit::go;
use parcelshelf_edge::Host;
use parcelshelf_exchange::Client;
use parcelshelf_log::audit::Position;
use served::{Log, serve};

const LEAVES: u64 = 1_000_000;
const MORE: u64 = 10_000;
/// Seconds.
const GOALS: [f64; 2] = [10.0, 0.5];

#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench reads the machine's clock and says so")]
#[tokio::main]
async fn main() {
    let log = Arc::new(Mutex::new(Log::of(LEAVES)));
    let url = serve(Arc::clone(&log)).await;
    let client = Client::network(Host::system().clock).expect("a client");
    let key = log.lock().expect("nobody panicked").signer.verifier().clone();
    let bar = ProgressBar::hidden();
    let start = Instant::now();
    let whole = go(&client, &url, &key, &[], None, &Position::default(), &bar).await.expect("it holds");
    let first = start.elapsed().as_secs_f64();
    log.lock().expect("nobody panicked").grow(LEAVES + MORE, 0);
    let start = Instant::now();
    let more = go(&client, &url, &key, &[], None, &whole.position, &bar).await.expect("it holds");
    let second = start.elapsed().as_secs_f64();
    assert_eq!((whole.new, more.new, more.position.size()), (LEAVES, MORE, LEAVES + MORE), "every leaf was looked at");
    let said = |took: f64, goal: f64| if took <= goal { "met" } else { "NOT met" };
    println!(
        "audit of {LEAVES} leaves from nothing, over HTTP: {first:.2} s, goal {} s: {}",
        GOALS[0],
        said(first, GOALS[0])
    );
    println!("audit of {MORE} more: {second:.3} s, goal {} s: {}", GOALS[1], said(second, GOALS[1]));
}
