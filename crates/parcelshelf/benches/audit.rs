//! How long an audit over HTTP takes: 1,000,000 leaves from nothing, then 10,000 more.
//!
//! The log is served by the same process, so that its work counts too. `cargo bench -p parcelshelf --bench audit`.

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
    println!("audit of {LEAVES} leaves from nothing: {:.2?}", start.elapsed());
    log.lock().expect("nobody panicked").grow(LEAVES + MORE, 0);
    let start = Instant::now();
    let more = go(&client, &url, &key, &[], None, &whole.position, &bar).await.expect("it holds");
    println!("audit of {} more: {:.2?}", more.new, start.elapsed());
}
