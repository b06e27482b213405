//! Where the simulator touches the machine: real time and real randomness. Everything else takes them as arguments.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parcelshelf_core::time::{Clock, Entropy, Timestamp};

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineClock;
impl Clock for MachineClock {
    #[expect(clippy::disallowed_methods, reason = "the simulator's shell: real time comes in here and nowhere else")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The machine's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineEntropy;
impl Entropy for MachineEntropy {
    #[expect(clippy::disallowed_methods, reason = "the simulator's shell: randomness comes in here and nowhere else")]
    fn fill(&self, into: &mut [u8]) {
        // Without randomness every token would be the same and none could be trusted: stop instead.
        #[expect(clippy::expect_used, reason = "no operating system that runs this lacks randomness")]
        getrandom::fill(into).expect("the machine gives random bytes");
    }
}

/// A clock that can be put forward, so that a window of minutes passes within a test.
#[derive(Clone)]
pub struct AdjustableClock {
    inner: Arc<dyn Clock>,
    ahead_ms: Arc<AtomicI64>,
}
impl std::fmt::Debug for AdjustableClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdjustableClock").field("ahead_ms", &self.ahead_ms()).finish_non_exhaustive()
    }
}
impl AdjustableClock {
    #[must_use]
    pub fn new(inner: Arc<dyn Clock>) -> Self {
        Self { inner, ahead_ms: Arc::new(AtomicI64::new(0)) }
    }
    /// Puts the clock forward; it never goes back.
    pub fn advance_seconds(&self, seconds: u32) {
        self.ahead_ms.fetch_add(i64::from(seconds) * 1_000, Ordering::AcqRel);
    }
    /// Milliseconds by which it is ahead of the clock it stands on.
    #[must_use]
    pub fn ahead_ms(&self) -> i64 {
        self.ahead_ms.load(Ordering::Acquire)
    }
}
impl Clock for AdjustableClock {
    fn now(&self) -> Timestamp {
        self.inner.now().plus_millis(self.ahead_ms())
    }
}
