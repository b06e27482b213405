//! What logs say, at their most talkative.
//!
//! In a process of its own: `tracing` remembers for good that nobody listens at a place in the code if a thread without a
//! subscriber comes by there first, as the other stories do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "the other stories need more of it")]
#[path = "it/between.rs"]
mod between;
#[allow(dead_code, reason = "the other stories need more of it")]
#[path = "it/fake.rs"]
mod fake;
#[allow(dead_code, reason = "the other stories need more of it")]
#[path = "it/rig.rs"]
mod rig;

use std::io::Write;
use std::sync::{Arc, Mutex};

use parcelshelf_access::conformance::{self, Rig as _};

use rig::SeamRig;

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
fn no_log_line_of_any_layer_tells_key_lock_or_door() {
    let page = Page::default();
    let writer = page.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time() // its seconds could read like a place
        .finish();
    let here = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listening = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
    let rig = here.block_on(async {
        let rig = SeamRig::new().await;
        conformance::a_parcel_is_delivered(&rig).await;
        conformance::a_car_without_the_command_is_found_out(&rig).await;
        rig
    });
    drop(listening);
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("maker answered"), "the search needs something to search in");
    for secret in rig.secrets() {
        assert!(!text.contains(&secret), "a log line tells {} characters of a secret", secret.len());
    }
}
