//! What the VIN tells: the maker names neither model nor year. Pure.

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::vehicle::Vin;

/// A model by the fourth character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Model {
    pub name: &'static str,
    /// What the rear trunk's button opens, if the trunk can be used for parcels at all.
    pub class: Option<AccessClass>,
}

/// The model, `None` for a letter that this maker has not used.
pub(crate) fn of(vin: &Vin) -> Option<Model> {
    use AccessClass::{SeparateTrunk, TailgateWithCabin};
    let (name, class) = match vin.expose().as_bytes().get(3)? {
        // A lid of its own behind the rear seats.
        b'3' => ("Model 3", Some(SeparateTrunk)),
        // A hatch: who opens it can reach over the rear seats.
        b'S' => ("Model S", Some(TailgateWithCabin)),
        b'X' => ("Model X", Some(TailgateWithCabin)),
        b'Y' => ("Model Y", Some(TailgateWithCabin)),
        // The bed has a cover of its own, which this button does not move.
        b'C' => ("Cybertruck", None),
        b'R' => ("Roadster", None),
        b'T' => ("Semi", None),
        _ => return None,
    };
    Some(Model { name, class })
}

/// Model year by the tenth character (49 CFR 565.15), for cars of this maker: 2008 to 2037.
pub(crate) fn year_of(vin: &Vin) -> Option<u16> {
    const FROM_2010: &str = "ABCDEFGHJKLMNPRSTVWXY1234567";
    let code = vin.model_year_code();
    match code {
        '8' => Some(2008),
        '9' => Some(2009),
        code => FROM_2010.find(code).and_then(|n| u16::try_from(n).ok()).map(|n| 2010 + n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vin_tells_model_and_year_and_only_a_lid_of_its_own_is_a_separate_trunk() {
        for (vin, name, class, year) in [
            ("5YJ3E1EA7KF000316", "Model 3", Some(AccessClass::SeparateTrunk), 2019),
            ("5YJSA1E26MF000001", "Model S", Some(AccessClass::TailgateWithCabin), 2021),
            ("XP7YGCEK1PB000001", "Model Y", Some(AccessClass::TailgateWithCabin), 2023),
            ("7SAXCAE52NF000001", "Model X", Some(AccessClass::TailgateWithCabin), 2022),
            ("7G2CEHED1RA000001", "Cybertruck", None, 2024),
        ] {
            let vin = Vin::parse(vin).unwrap();
            assert_eq!(of(&vin), Some(Model { name, class }));
            assert_eq!(year_of(&vin), Some(year), "{name}");
        }
        let other = Vin::parse("1G1FZ6S00L4000001").unwrap();
        assert_eq!(of(&other), None);
    }
}
