//! A clock that a test can put forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parcelshelf_core::time::{Clock, Sleep, Timer, Timestamp};

/// A clock that can be put forward, so that a window of minutes passes within a test.
#[derive(Clone)]
pub struct AdjustableClock {
    inner: Arc<dyn Timer>,
    ahead_ms: Arc<AtomicI64>,
}
impl std::fmt::Debug for AdjustableClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdjustableClock").field("ahead_ms", &self.ahead_ms()).finish_non_exhaustive()
    }
}
impl AdjustableClock {
    #[must_use]
    pub fn new(inner: Arc<dyn Timer>) -> Self {
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
impl Timer for AdjustableClock {
    /// Putting the clock forward ends no wait: a test that waits for an answer does so in real time.
    fn sleep(&self, span: Duration) -> Sleep {
        self.inner.sleep(span)
    }
    fn uptime(&self) -> Duration {
        self.inner.uptime()
    }
}
