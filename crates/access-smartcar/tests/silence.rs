//! What logs say, at their most talkative.
//!
//! In a process of its own: `tracing` remembers for good that nobody listens at a place in the code if a thread without a
//! subscriber comes by there first, as the other stories do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "the other stories need more of it")]
#[path = "it/rig.rs"]
mod rig;

use std::io::Write;
use std::sync::{Arc, Mutex};

use parcelshelf_access::conformance::{self, Rig as _};

use rig::SmartcarRig;

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);
impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_log_line_of_any_layer_tells_car_place_or_token() {
    let page = Page::default();
    let writer = page.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time() // its seconds could read like a place
        .finish();
    // The cloud lives on another thread: what it may log is its own business, this is about the adapter's process.
    let elsewhere = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let rig = elsewhere.block_on(async { tokio::spawn(SmartcarRig::new()).await.unwrap() });
    let here = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tracing::subscriber::with_default(subscriber, || {
        here.block_on(async {
            conformance::a_parcel_is_delivered(&rig).await;
            conformance::the_place_is_told_with_its_accuracy(&rig).await;
            conformance::a_refresh_kills_the_old_token(&rig).await;
        });
    });
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("maker answered"), "the search needs something to search in");
    for secret in rig.secrets() {
        // The rig's own hands use the control path, whose addresses hold the VIN; they log no address either.
        assert!(!text.contains(&secret), "a log line tells {} characters of a secret", secret.len());
    }
    elsewhere.shutdown_background();
}
