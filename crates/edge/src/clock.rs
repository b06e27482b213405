//! The machine's clock and randomness: the only place that reads either.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parcelshelf_core::time::{Clock, Entropy, Sleep, Timer, Timestamp};

/// The machine's clock, as domain time.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Stopwatch,
}
impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Stopwatch::start() }
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the shell's clock that everything else takes as an argument"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::from_unix_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Timer for SystemClock {
    fn sleep(&self, span: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(span))
    }
    fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// When the operating system has no randomness: nothing that follows could be trusted.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the shell's randomness that everything else takes as an argument"
    )]
    fn fill(&self, into: &mut [u8]) {
        getrandom::fill(into).expect("the operating system gives random bytes");
    }
}

/// Real elapsed time, for measuring and pacing. Another type than domain time on purpose.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "this is the shell's stopwatch")]
    #[must_use]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
