//! Vehicles: the VIN (ISO 3779, ISO 3780), make and model year. Judgements on them live in `parcelshelf-opening`.

use core::fmt;

/// A vehicle identification number: 17 of `0-9 A-Z` without `I O Q`. Does not print.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Vin([u8; 17]);

/// Why a text is no VIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAVin {
    #[error("a VIN has 17 characters")]
    Length,
    #[error("a VIN has digits and the letters A to Z without I, O and Q")]
    Character,
}

impl Vin {
    /// Reads 17 characters; lower-case letters are taken as upper-case. The check digit is judged apart
    /// ([`Vin::check_digit_holds`]), for it is mandatory in North America only.
    ///
    /// # Errors
    /// [`NotAVin`] for another length or character.
    pub fn parse(text: &str) -> Result<Self, NotAVin> {
        let bytes: [u8; 17] = text.as_bytes().try_into().map_err(|_| NotAVin::Length)?;
        let bytes = bytes.map(|b| b.to_ascii_uppercase());
        if bytes.iter().all(|b| transliterated(*b).is_some()) { Ok(Self(bytes)) } else { Err(NotAVin::Character) }
    }
    /// The 17 characters, for the adapter that asks its maker. Grep for this name to find every such place.
    #[must_use]
    pub fn expose(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
    /// World manufacturer identifier, characters 1 to 3 (ISO 3780).
    #[must_use]
    pub fn manufacturer_identifier(&self) -> &str {
        &self.expose()[..3]
    }
    /// Model-year code, character 10.
    #[must_use]
    pub const fn model_year_code(&self) -> char {
        self.0[9] as char
    }
    /// Whether character 9 is the check digit of the others (ISO 3779 annex; 49 CFR 565.15).
    #[must_use]
    pub fn check_digit_holds(&self) -> bool {
        self.check_digit() == self.0[8] as char
    }
    /// The check digit that the other sixteen characters ask for: `0` to `9` or `X`.
    #[must_use]
    pub fn check_digit(&self) -> char {
        const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
        let sum: u32 = self.0.iter().zip(WEIGHTS).map(|(b, w)| transliterated(*b).unwrap_or(0) * w).sum();
        match sum % 11 {
            10 => 'X',
            n => char::from(b'0' + n as u8),
        }
    }
}

const fn transliterated(b: u8) -> Option<u32> {
    Some(match b {
        b'0'..=b'9' => (b - b'0') as u32,
        b'A'..=b'H' => (b - b'A') as u32 + 1,
        b'J'..=b'N' => (b - b'J') as u32 + 1,
        b'P' => 7,
        b'R' => 9,
        b'S'..=b'Z' => (b - b'S') as u32 + 2,
        _ => return None,
    })
}

impl fmt::Debug for Vin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vin(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_of_published_examples() {
        // 49 CFR 565 and ISO 3779 commentary examples.
        for (vin, holds) in [
            ("1M8GDM9AXKP042788", true),
            ("11111111111111111", true),
            ("5GZCZ43D13S812715", true),
            ("SGZCZ43D13S812715", false),
        ] {
            assert_eq!(Vin::parse(vin).unwrap().check_digit_holds(), holds, "{vin}");
        }
    }

    #[test]
    fn letters_that_look_like_digits_are_refused() {
        assert_eq!(Vin::parse("1M8GDM9AXKPO42788"), Err(NotAVin::Character));
        assert_eq!(Vin::parse("1M8GDM9AXKP04278"), Err(NotAVin::Length));
    }
}
