//! How often one car may be found in a day, whoever asks: over all wallets and all carriers.
//!
//! A day here is the 24 hours before now, not a date: a car has no time zone, and nothing doubles at midnight.

use parcelshelf_core::time::Timestamp;

/// Deliveries of one car whose place is shown in a day.
pub const LOCATED_PER_DAY: usize = 2;
/// Areas that one car is granted in, in a day: each asks "is it here?".
pub const AREAS_PER_DAY: usize = 3;
/// What a day is, milliseconds.
pub const DAY_MS: i64 = 86_400_000;

/// Spends one of `most` for `what`. The same thing again within a day costs nothing and stays as old as it was. Answers what
/// is spent now; `None` when nothing is left, and then nothing has changed.
#[must_use]
pub fn spend<K: PartialEq + Clone>(
    spent: &[(K, Timestamp)],
    what: &K,
    most: usize,
    now: Timestamp,
) -> Option<Vec<(K, Timestamp)>> {
    // Times lie in the future only where a clock was set back; those count, too.
    let mut left: Vec<(K, Timestamp)> =
        spent.iter().filter(|(_, at)| now.millis_since(*at) < DAY_MS).cloned().collect();
    if left.iter().any(|(known, _)| known == what) {
        return Some(left);
    }
    if left.len() >= most {
        return None;
    }
    left.push((what.clone(), now));
    Some(left)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn two_deliveries_a_day_the_same_one_once_and_the_next_day_anew() {
        // Minute, delivery, allowed.
        let table = [
            (0, 'a', true),
            (1, 'a', true),
            (2, 'b', true),
            (3, 'c', false),
            (4, 'a', true),
            (5, 'b', true),
            (24 * 60 - 1, 'c', false),
            (24 * 60, 'c', true),
            (24 * 60 + 1, 'a', false),
            (24 * 60 + 2, 'a', true),
        ];
        let mut spent = Vec::new();
        for (minute, delivery, allowed) in table {
            let after = spend(&spent, &delivery, LOCATED_PER_DAY, T.plus_seconds(minute * 60));
            assert_eq!(after.is_some(), allowed, "minute {minute}, {delivery}");
            spent = after.unwrap_or(spent);
        }
    }

    proptest! {
        #[test]
        fn never_more_than_the_budget_in_any_24_hours(
            asked in prop::collection::vec((0u8..6, 0i64..20 * 3_600_000), 1..60),
            most in 1usize..4,
        ) {
            let (mut spent, mut allowed, mut now) = (Vec::new(), Vec::new(), T);
            for (what, pause) in asked {
                now = now.plus_millis(pause);
                if let Some(after) = spend(&spent, &what, most, now) {
                    prop_assert!(after.len() <= most);
                    let begun = after.iter().any(|(k, at)| *k == what && *at == now);
                    if begun {
                        allowed.push((what, now));
                    }
                    spent = after;
                }
            }
            for (_, begin) in &allowed {
                let within = allowed.iter().filter(|(_, at)| (0..DAY_MS).contains(&at.millis_since(*begin)));
                prop_assert!(within.count() <= most);
            }
        }
    }
}
