//! The HTTP shell that the services share.
//!
//! What it is: problem details with stable codes, strict JSON bodies, the machine's clock and randomness, serving and
//! draining, logs without personal data, answers to repeated requests, files of pages and sessions of browsers. What it is not: it knows no word of the domain;
//! domain crates must not depend on it.
//!
//! The three types to know: [`Problem`](problem::Problem), [`StrictJson`](json::StrictJson), [`Host`].
//!
//! ```
//! use parcelshelf_edge::problem::Problem;
//! let problem = Problem::new(409, "wrong_state", "this does not fit the delivery's state");
//! assert_eq!(problem.code(), "wrong_state");
//! ```

pub mod clock;
pub mod cookie;
pub mod driven;
pub mod idempotency;
pub mod json;
pub mod logging;
pub mod pages;
pub mod problem;
pub mod serve;
pub mod steps;

use std::sync::Arc;
use std::time::Duration;

use parcelshelf_core::time::{Entropy, Timer, Timestamp};

/// Clock and randomness of a process.
#[derive(Clone)]
pub struct Host {
    pub clock: Arc<dyn Timer>,
    pub entropy: Arc<dyn Entropy>,
}
impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host")
    }
}
impl Host {
    /// This machine's.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(clock::SystemClock::default()), entropy: Arc::new(clock::SystemEntropy) }
    }
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
    /// `N` random bytes.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        parcelshelf_core::time::random(&*self.entropy)
    }
    /// Waits until `at` in domain time.
    pub async fn sleep_until(&self, at: Timestamp) {
        self.sleep(self.now().until(at)).await;
    }
    /// Waits for `span` of domain time.
    pub async fn sleep(&self, span: Duration) {
        self.clock.sleep(span).await;
    }
    /// Real or simulated, since some fixed moment of this process; whole milliseconds.
    #[must_use]
    pub fn uptime_ms(&self) -> u64 {
        u64::try_from(self.clock.uptime().as_millis()).unwrap_or(u64::MAX)
    }
}
