//! Values that must not print.

use core::fmt;

/// Holds something that no log line, error text or panic message may show (a VIN, a plate, a token, a place).
/// `Debug` prints `<redacted>`; there is no `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(value)
    }
    /// The value, for the one place that needs it. Grep for this name to find every such place.
    #[must_use]
    pub const fn expose(&self) -> &T {
        &self.0
    }
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}
