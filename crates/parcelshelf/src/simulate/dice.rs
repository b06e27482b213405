//! Chance that repeats itself: every draw is a hash of the seed and of what it is about.

use parcelshelf_protocol::encoding::sha256;

/// Draws for one run.
#[derive(Debug, Clone, Copy)]
pub struct Dice {
    seed: u64,
}

impl Dice {
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }
    /// A whole number that depends on these three things only.
    #[must_use]
    pub fn number(self, what: &str, n: u64) -> u64 {
        let hash = sha256(format!("{} {what} {n}", self.seed));
        hash.as_bytes().iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }
    /// A share of 1, such as 0.25.
    #[must_use]
    pub fn share(self, what: &str, n: u64) -> f64 {
        // 53 bits fit a double exactly.
        (self.number(what, n) >> 11) as f64 / (1_u64 << 53) as f64
    }
    /// True for this share of all `n`.
    #[must_use]
    pub fn hit(self, what: &str, n: u64, rate: f64) -> bool {
        self.share(what, n) < rate
    }
    /// Between `from` and `to`, both included.
    #[must_use]
    pub fn between(self, what: &str, n: u64, from: u64, to: u64) -> u64 {
        from + self.number(what, n) % (to.saturating_sub(from) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_themselves_and_keep_their_rate() {
        let (dice, other) = (Dice::new(7), Dice::new(8));
        assert_eq!(dice.number("car", 3), Dice::new(7).number("car", 3));
        assert_ne!(dice.number("car", 3), other.number("car", 3));
        let hits = (0..4_000).filter(|n| dice.hit("asleep", *n, 0.25)).count();
        assert!((900..1_100).contains(&hits), "{hits}");
        assert!((0..500).all(|n| (5..=9).contains(&dice.between("drive", n, 5, 9))));
    }
}
