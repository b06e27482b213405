//! Salted hashes of parcel labels: the stop page can tell that a scanned label is right without the keyholder or the
//! log learning any label.

use crate::encoding::{Hash, domain_hash};
use crate::refused::Refused;

/// Fewest and most letters and digits of a label.
pub const LENGTH: core::ops::RangeInclusive<usize> = 4..=48;

/// A label reduced to its upper-case letters and digits, so that a scanner, a typist and a printer agree.
///
/// # Errors
/// [`Refused::LabelWrongLength`] unless 4 to 48 of `A-Z0-9` remain.
pub fn normalise(label: &str) -> Result<String, Refused> {
    if label.len() > 256 {
        return Err(Refused::LabelWrongLength);
    }
    let kept: String = label.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    if LENGTH.contains(&kept.len()) { Ok(kept) } else { Err(Refused::LabelWrongLength) }
}

/// `H("psh-label-v1", salt ‖ normalised label)`.
///
/// # Errors
/// [`Refused::LabelWrongLength`] as for [`normalise`].
pub fn hash(salt: &[u8; 16], label: &str) -> Result<Hash, Refused> {
    Ok(domain_hash("psh-label-v1", &[salt, normalise(label)?.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_label_however_it_was_read() {
        let salt = [3; 16];
        let typed = hash(&salt, " 1z-999 aa1 01 2345\u{a0}6784 ").unwrap();
        assert_eq!(typed, hash(&salt, "1Z999AA10123456784").unwrap());
        assert_ne!(typed, hash(&[4; 16], "1Z999AA10123456784").unwrap());
        for wrong in ["", "1Z9", "äöüß", &"7".repeat(49), &"-".repeat(300)] {
            assert_eq!(hash(&salt, wrong), Err(Refused::LabelWrongLength), "{wrong}");
        }
    }

    #[test]
    fn what_a_scanner_reads_has_at_most_256_letters() {
        for (spaces, good) in [(0, true), (252, true), (253, false), (254, false)] {
            assert_eq!(normalise(&format!("1Z99{}", " ".repeat(spaces))).is_ok(), good, "{spaces}");
        }
    }
}
