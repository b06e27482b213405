//! Time as the domain counts it: milliseconds since 1970-01-01T00:00:00Z, and windows of it.
//!
//! Nothing here reads a clock. The shell's clock implements [`Clock`] and [`Timer`]; real elapsed time (for measuring) is another
//! type on purpose and lives where it is used.

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;

/// A moment in domain time, whole milliseconds since the Unix epoch, between the years 1970 and 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const MAX_MILLIS: i64 = 253_402_300_799_999;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The last millisecond of the year 9999.
    pub const MAX: Self = Self(MAX_MILLIS);

    /// Clamps to the supported years instead of failing: a clock outside them is caught by `doctor`.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(if millis < 0 {
            0
        } else if millis > MAX_MILLIS {
            MAX_MILLIS
        } else {
            millis
        })
    }
    /// From whole seconds, the unit of RFC 7519's `NumericDate`.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self::from_unix_millis(seconds.saturating_mul(1000))
    }
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0
    }
    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0 / 1000
    }
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self::from_unix_millis(self.0.saturating_add(millis))
    }
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_millis(seconds.saturating_mul(1000))
    }
    /// Milliseconds from `earlier` to `self`; negative if `self` is earlier.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
    /// Time until `later`; zero if that is past.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }
    /// RFC 3339 in UTC with milliseconds, such as `2026-11-20T15:00:00.000Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => format!("{t:.3}"),
            Err(_) => String::from("9999-12-31T23:59:59.999Z"),
        }
    }
    /// Reads RFC 3339 with any offset; digits finer than milliseconds are dropped.
    ///
    /// # Errors
    /// [`NotATime`] for any other text, and outside 1970 to 9999.
    pub fn parse_rfc3339(text: &str) -> Result<Self, NotATime> {
        let t: jiff::Timestamp = text.parse().map_err(|_| NotATime)?;
        let millis = t.as_millisecond();
        if (0..=MAX_MILLIS).contains(&millis) { Ok(Self(millis)) } else { Err(NotATime) }
    }
    /// Rounds down to a multiple of `minutes` (used for times that a carrier keeps).
    #[must_use]
    pub const fn rounded_down_to_minutes(self, minutes: i64) -> Self {
        let step = minutes * 60_000;
        Self(self.0 - self.0 % step)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

/// A text that is not RFC 3339, or a time outside 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time: RFC 3339 is expected, such as 2026-11-20T15:00:00Z")]
pub struct NotATime;

/// A half-open span of time: `start` inside, `end` outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Window {
    start: Timestamp,
    end: Timestamp,
}

/// A window whose end is not after its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a window ends after it starts")]
pub struct EmptyWindow;

impl Window {
    /// # Errors
    /// [`EmptyWindow`] unless `start < end`.
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self, EmptyWindow> {
        if start < end { Ok(Self { start, end }) } else { Err(EmptyWindow) }
    }
    #[must_use]
    pub const fn start(&self) -> Timestamp {
        self.start
    }
    #[must_use]
    pub const fn end(&self) -> Timestamp {
        self.end
    }
    #[must_use]
    pub fn contains(&self, t: Timestamp) -> bool {
        self.start <= t && t < self.end
    }
    /// Whether every moment of `inner` is also in `self`.
    #[must_use]
    pub fn encloses(&self, inner: &Self) -> bool {
        self.start <= inner.start && inner.end <= self.end
    }
    #[must_use]
    pub const fn millis(&self) -> i64 {
        self.end.millis_since(self.start)
    }
}

/// Where domain time comes from. Implemented by the shell (the machine's clock) and by tests; a pure function takes a
/// [`Timestamp`] instead.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;
}

/// A wait that has begun.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A clock that one can wait by. Every wait and every deadline of ours goes through one, so that a whole day can be
/// simulated without any timeout shrinking.
pub trait Timer: Clock {
    /// Ends when `span` has passed in domain time.
    fn sleep(&self, span: Duration) -> Sleep;
    /// Since some fixed moment of this process. Never goes back, whatever happens to the machine's date.
    fn uptime(&self) -> Duration;
}

/// The result of `work`, or `None` when it is not there after `span`; what it was doing is then dropped.
pub async fn within<T>(timer: &dyn Timer, span: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut end = timer.sleep(span);
    let mut work = pin!(work);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => end.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// Where random bytes come from. Implemented by the shell and by tests; pure functions take the bytes.
pub trait Entropy: Send + Sync + 'static {
    fn fill(&self, into: &mut [u8]);
}

/// `N` random bytes from `entropy`.
#[must_use]
pub fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_both_ways() {
        let t = Timestamp::from_unix_millis(1_795_446_000_123);
        assert_eq!(Timestamp::parse_rfc3339(&t.to_rfc3339()), Ok(t));
        assert_eq!(
            Timestamp::parse_rfc3339("2026-11-20T16:00:00+01:00").map(Timestamp::to_rfc3339).as_deref(),
            Ok("2026-11-20T15:00:00.000Z")
        );
        assert!(Timestamp::parse_rfc3339("yesterday").is_err());
    }

    #[test]
    fn a_window_excludes_its_end() {
        let s = Timestamp::from_unix_seconds(100);
        let w = Window::new(s, s.plus_seconds(1)).unwrap();
        assert!(w.contains(s) && !w.contains(s.plus_seconds(1)));
        assert!(Window::new(s, s).is_err());
    }
}
