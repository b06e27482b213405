//! Which manufacturer identifiers (WMI, ISO 3780) belong to the makes that can be enrolled at the start.
//!
//! The one place outside adapters, simulators and configuration where makes are named: eligibility *is* configuration,
//! and it lies here as a table because a wrong entry lets in a car that nobody can open, and a test reads it. A make
//! that is not listed is not eligible until an adapter knows it.
//!
//! Sources: the identifiers that the makes registered with SAE for North America (49 CFR 565.12) and those of their
//! European and Asian plants. The first character is the region: 1 to 5 North America, L China, K Korea, S to Z Europe.

/// First model year that is eligible: from 2015 on all listed makes sold cars with a data link of their own as a rule.
pub const FIRST_MODEL_YEAR: u16 = 2015;

/// One make and its identifiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Make {
    /// As the owner reads it and as adapters report it, lower case.
    pub name: &'static str,
    /// Three characters each.
    pub identifiers: &'static [&'static str],
    /// Where the maker's cloud gives positions; see [`ServiceArea`].
    pub service_area: ServiceArea,
}

/// Where the maker's cloud serves cars.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ServiceArea {
    /// Europe, the Middle East, Africa: positions are published there only.
    Emea,
    /// USA, Canada, Mexico.
    NorthAmerica,
    Everywhere,
}
impl ServiceArea {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Emea => "emea",
            Self::NorthAmerica => "north_america",
            Self::Everywhere => "everywhere",
        }
    }
    /// Whether a country (ISO 3166-1 alpha-2, capital letters) lies in it.
    #[must_use]
    pub fn holds(self, country: &str) -> bool {
        let sane = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
        sane && match self {
            Self::Everywhere => true,
            Self::NorthAmerica => NORTH_AMERICA.contains(&country),
            Self::Emea => EMEA.contains(&country),
        }
    }
}

const NORTH_AMERICA: [&str; 3] = ["CA", "MX", "US"];
const EMEA: [&str; 48] = [
    "AD", "AE", "AT", "BA", "BE", "BG", "BH", "CH", "CY", "CZ", "DE", "DK", "EE", "EG", "ES", "FI", "FR", "GB", "GR",
    "HR", "HU", "IE", "IL", "IS", "IT", "JO", "KW", "LB", "LI", "LT", "LU", "LV", "MA", "MC", "MT", "NL", "NO", "OM",
    "PL", "PT", "QA", "RO", "RS", "SA", "SE", "SI", "SK", "ZA",
];

/// The table.
pub const MAKES: &[Make] = &[
    Make {
        name: "volvo",
        // Sweden and Belgium (cars, SUVs), South Carolina, China.
        identifiers: &["YV1", "YV4", "7JR", "7JD", "LYV", "LVY"],
        service_area: ServiceArea::Emea,
    },
    Make {
        name: "tesla",
        // USA (cars; since 2022 also cars; trucks), China, Germany, United Kingdom.
        identifiers: &["5YJ", "7SA", "7G2", "LRW", "XP7", "SFZ"],
        service_area: ServiceArea::Everywhere,
    },
    Make {
        name: "chevrolet",
        // USA, Canada, Mexico, Korea: cars, trucks, multipurpose.
        identifiers: &[
            "1G1", "1GC", "1GN", "1GB", "2G1", "2GN", "2GC", "3G1", "3GN", "3GC", "KL1", "KL7", "KL8", "KL4",
        ],
        service_area: ServiceArea::NorthAmerica,
    },
    Make {
        name: "buick",
        identifiers: &["1G4", "2G4", "3G4", "5GA", "LRB", "KL4", "W04"],
        service_area: ServiceArea::NorthAmerica,
    },
    Make {
        name: "gmc",
        identifiers: &["1GT", "1GK", "1GD", "2GK", "2GT", "3GK", "3GT"],
        service_area: ServiceArea::NorthAmerica,
    },
    Make {
        name: "cadillac",
        identifiers: &["1G6", "1GY", "2G6", "3GY", "LRE"],
        service_area: ServiceArea::NorthAmerica,
    },
];

/// Makes that use an identifier; several can share one, so that the maker's own word decides between them.
pub fn makes_of(identifier: &str) -> impl Iterator<Item = &'static Make> + '_ {
    MAKES.iter().filter(move |m| m.identifiers.contains(&identifier))
}

/// A make by its name, in any letter case.
#[must_use]
pub fn make_named(name: &str) -> Option<&'static Make> {
    MAKES.iter().find(|m| m.name.eq_ignore_ascii_case(name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_identifier_has_three_characters_of_a_vin_and_stands_once_in_its_make() {
        for make in MAKES {
            for (i, id) in make.identifiers.iter().enumerate() {
                let vin_like = |b: u8| b.is_ascii_digit() || (b.is_ascii_uppercase() && !b"IOQ".contains(&b));
                assert!(id.len() == 3 && id.bytes().all(vin_like), "{} {id}", make.name);
                assert!(!make.identifiers[..i].contains(id), "{} {id} twice", make.name);
            }
        }
    }

    #[test]
    fn identifiers_lead_to_their_makes() {
        for (id, names) in [
            ("YV1", &["volvo"][..]),
            ("YV4", &["volvo"]),
            ("7JR", &["volvo"]),
            ("LYV", &["volvo"]),
            ("5YJ", &["tesla"]),
            ("XP7", &["tesla"]),
            ("1G1", &["chevrolet"]),
            ("KL7", &["chevrolet"]),
            ("KL4", &["chevrolet", "buick"]),
            ("1GK", &["gmc"]),
            ("1GY", &["cadillac"]),
            ("WVW", &[]),
            ("yv1", &[]),
        ] {
            assert_eq!(makes_of(id).map(|m| m.name).collect::<Vec<_>>(), names, "{id}");
        }
    }

    #[test]
    fn a_service_area_knows_its_countries_and_nothing_else() {
        assert!(ServiceArea::Emea.holds("SE") && !ServiceArea::Emea.holds("US"));
        assert!(ServiceArea::NorthAmerica.holds("US") && !ServiceArea::NorthAmerica.holds("SE"));
        for odd in ["", "se", "SWE", "S€", "*"] {
            assert!(!ServiceArea::Everywhere.holds(odd), "{odd}");
        }
    }
}
