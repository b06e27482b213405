//! May this car be enrolled? Every finding by its code, with what to do about it.
//!
//! The maker's own statement is cross-checked with the VIN (ISO 3779): the check digit where the law asks for it, the
//! manufacturer identifier against the make, the model-year code against the year. What is not known counts against
//! the car. No finding carries the VIN.

use parcelshelf_core::vehicle::{NotAVin, Vin};

use crate::makers_table::{FIRST_MODEL_YEAR, Make, ServiceArea, make_named, makes_of};

/// A model-year code repeats after this many years (ISO 3779; 49 CFR 565.15 table VII).
pub const MODEL_YEAR_CYCLE: u16 = 30;
/// The first year of the code's first cycle: `A` = 1980.
const FIRST_CYCLE_YEAR: u16 = 1980;
/// The thirty codes in order: letters without I, O, Q, U, Z, then 1 to 9.
const MODEL_YEAR_CODES: &[u8; 30] = b"ABCDEFGHJKLMNPRSTVWXY123456789";

/// What is known of a car that its owner wants to link.
#[derive(Clone, Copy, Debug)]
pub struct CarFacts<'a> {
    pub vin: &'a Vin,
    /// As the maker's cloud gives it, or as the adapter implies it.
    pub make: &'a str,
    /// As the maker's cloud gives it.
    pub model_year: Option<u16>,
    /// It can be opened in at least one class that grants know.
    pub can_open: bool,
    pub can_lock: bool,
    /// The maker says which permissions are missing: how many.
    pub missing_permissions: usize,
    /// Where the car is at home (ISO 3166-1 alpha-2), by the owner's word.
    pub country: Option<&'a str>,
    pub publishes_position: bool,
    /// The owner agreed to set a signed pin at parking where the maker gives no position.
    pub pin_instead_of_position: bool,
    /// The data plan is active.
    pub plan_active: Option<bool>,
}

/// Something that stands against a car, or should be known about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Finding {
    VinMalformed,
    CheckDigitWrong,
    /// No listed make uses this manufacturer identifier.
    MakeUnknown,
    /// The maker says another make than the identifier.
    MakeMismatch,
    ModelYearUnknown,
    /// The maker says another year than the VIN's code.
    ModelYearMismatch,
    TooOld,
    CannotOpen,
    CannotLock,
    PermissionMissing,
    PlanInactive,
    CountryUnknown,
    OutsideServiceArea,
    NoPosition,
    /// Not against it: the owner's pin stands in for the position.
    PinInstead,
    /// Not against it: outside North America the check digit is not mandatory, and this one does not hold.
    CheckDigitNotUsed,
}
impl Finding {
    pub const ALL: [Self; 16] = [
        Self::VinMalformed,
        Self::CheckDigitWrong,
        Self::MakeUnknown,
        Self::MakeMismatch,
        Self::ModelYearUnknown,
        Self::ModelYearMismatch,
        Self::TooOld,
        Self::CannotOpen,
        Self::CannotLock,
        Self::PermissionMissing,
        Self::PlanInactive,
        Self::CountryUnknown,
        Self::OutsideServiceArea,
        Self::NoPosition,
        Self::PinInstead,
        Self::CheckDigitNotUsed,
    ];
    /// The stable word.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::VinMalformed => "vin_malformed",
            Self::CheckDigitWrong => "check_digit_wrong",
            Self::MakeUnknown => "make_unknown",
            Self::MakeMismatch => "make_mismatch",
            Self::ModelYearUnknown => "model_year_unknown",
            Self::ModelYearMismatch => "model_year_mismatch",
            Self::TooOld => "too_old",
            Self::CannotOpen => "cannot_open",
            Self::CannotLock => "cannot_lock",
            Self::PermissionMissing => "permission_missing",
            Self::PlanInactive => "plan_inactive",
            Self::CountryUnknown => "country_unknown",
            Self::OutsideServiceArea => "outside_service_area",
            Self::NoPosition => "no_position",
            Self::PinInstead => "pin_instead",
            Self::CheckDigitNotUsed => "check_digit_not_used",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.code() == code)
    }
    /// Whether it keeps the car out.
    #[must_use]
    pub const fn refuses(self) -> bool {
        !matches!(self, Self::PinInstead | Self::CheckDigitNotUsed)
    }
    /// What to do, as a code that the wallet renders.
    #[must_use]
    pub const fn remedy(self) -> Remedy {
        match self {
            Self::VinMalformed | Self::CheckDigitWrong | Self::MakeMismatch | Self::ModelYearMismatch => {
                Remedy::CheckWithMaker
            }
            Self::MakeUnknown | Self::TooOld | Self::CannotLock | Self::OutsideServiceArea => Remedy::NotPossible,
            Self::ModelYearUnknown | Self::CannotOpen => Remedy::CheckWithMaker,
            Self::PermissionMissing => Remedy::LinkAgainWithAllPermissions,
            Self::PlanInactive => Remedy::ActivatePlan,
            Self::CountryUnknown => Remedy::SayCountry,
            Self::NoPosition => Remedy::SetPinAtParking,
            Self::PinInstead | Self::CheckDigitNotUsed => Remedy::Nothing,
        }
    }
}

/// What an owner can do about a finding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Remedy {
    Nothing,
    CheckWithMaker,
    LinkAgainWithAllPermissions,
    ActivatePlan,
    SayCountry,
    SetPinAtParking,
    NotPossible,
}
impl Remedy {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::CheckWithMaker => "check_with_maker",
            Self::LinkAgainWithAllPermissions => "link_again_with_all_permissions",
            Self::ActivatePlan => "activate_plan",
            Self::SayCountry => "say_country",
            Self::SetPinAtParking => "set_pin_at_parking",
            Self::NotPossible => "not_possible",
        }
    }
}

/// All findings of one car, in the order of their declaration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings(Vec<Finding>);
impl Findings {
    #[must_use]
    pub fn all(&self) -> &[Finding] {
        &self.0
    }
    /// Whether the car may be enrolled.
    #[must_use]
    pub fn eligible(&self) -> bool {
        !self.0.iter().any(|f| f.refuses())
    }
}

/// Reads the text of a VIN, with the finding of a text that is none.
///
/// # Errors
/// [`Finding::VinMalformed`].
pub fn read_vin(text: &str) -> Result<Vin, Finding> {
    Vin::parse(text).map_err(|_: NotAVin| Finding::VinMalformed)
}

/// Judges a car.
#[must_use]
pub fn judge(car: &CarFacts<'_>) -> Findings {
    let mut found = vin_findings(car.vin);
    found.extend(make_findings(car));
    found.extend(year_findings(car));
    let tests = [
        (!car.can_open, Finding::CannotOpen),
        (!car.can_lock, Finding::CannotLock),
        (car.missing_permissions > 0, Finding::PermissionMissing),
        (car.plan_active == Some(false), Finding::PlanInactive),
        (car.country.is_none(), Finding::CountryUnknown),
        (outside_service_area(car), Finding::OutsideServiceArea),
        (!car.publishes_position && !car.pin_instead_of_position, Finding::NoPosition),
        (!car.publishes_position && car.pin_instead_of_position, Finding::PinInstead),
    ];
    found.extend(tests.into_iter().filter(|(is_found, _)| *is_found).map(|(_, finding)| finding));
    found.sort_unstable();
    Findings(found)
}

/// Whether the region's law asks for a check digit: VINs of North America begin with 1 to 5 (49 CFR 565.15).
#[must_use]
pub fn check_digit_required(vin: &Vin) -> bool {
    matches!(vin.manufacturer_identifier().as_bytes().first(), Some(b'1'..=b'5'))
}

/// The model years that a VIN's code can mean, oldest first: one every thirty years, 1980 to 2069. Empty for `0`, `U`,
/// `Z`, which are no codes.
#[must_use]
pub fn model_years(code: char) -> Vec<u16> {
    let place = MODEL_YEAR_CODES.iter().position(|c| char::from(*c) == code);
    let offset = place.and_then(|p| u16::try_from(p).ok());
    offset.map_or_else(Vec::new, |o| (0..3).map(|cycle| FIRST_CYCLE_YEAR + o + cycle * MODEL_YEAR_CYCLE).collect())
}

fn vin_findings(vin: &Vin) -> Vec<Finding> {
    match (vin.check_digit_holds(), check_digit_required(vin)) {
        (true, _) => vec![],
        (false, true) => vec![Finding::CheckDigitWrong],
        (false, false) => vec![Finding::CheckDigitNotUsed],
    }
}

fn make_findings(car: &CarFacts<'_>) -> Vec<Finding> {
    let mut makes = makes_of(car.vin.manufacturer_identifier()).peekable();
    if makes.peek().is_none() {
        return vec![Finding::MakeUnknown];
    }
    let said = make_named(car.make);
    if makes.any(|m| Some(m) == said) { vec![] } else { vec![Finding::MakeMismatch] }
}

fn year_findings(car: &CarFacts<'_>) -> Vec<Finding> {
    let Some(year) = car.model_year else { return vec![Finding::ModelYearUnknown] };
    let mut found = vec![];
    // Outside North America the tenth character is a maker's custom, not law; a code that contradicts still counts,
    // one that is no code at all does not.
    let coded = model_years(car.vin.model_year_code());
    let contradicts = !coded.contains(&year) && (!coded.is_empty() || check_digit_required(car.vin));
    if contradicts {
        found.push(Finding::ModelYearMismatch);
    }
    if year < FIRST_MODEL_YEAR {
        found.push(Finding::TooOld);
    }
    found
}

fn outside_service_area(car: &CarFacts<'_>) -> bool {
    let area = make_named(car.make).map(|m: &Make| m.service_area).unwrap_or(ServiceArea::Everywhere);
    car.country.is_some_and(|c| !area.holds(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A VIN of this identifier and year code, with the check digit that the others ask for.
    fn vin(identifier: &str, year: char) -> Vin {
        let draft = |digit: char| Vin::parse(&format!("{identifier}ABCDE{digit}{year}A123456")).unwrap();
        draft(draft('0').check_digit())
    }
    fn wrong_digit(v: &Vin) -> Vin {
        let text: String = v.expose().to_owned();
        let other = if &text[8..9] == "1" { "2" } else { "1" };
        Vin::parse(&format!("{}{other}{}", &text[..8], &text[9..])).unwrap()
    }
    fn good(vin: &Vin) -> CarFacts<'_> {
        CarFacts {
            vin,
            make: "Volvo",
            model_year: Some(2024),
            can_open: true,
            can_lock: true,
            missing_permissions: 0,
            country: Some("SE"),
            publishes_position: true,
            pin_instead_of_position: false,
            plan_active: None,
        }
    }

    #[test]
    fn a_good_car_has_no_findings() {
        let v = vin("YV1", 'R');
        assert_eq!(judge(&good(&v)), Findings::default());
        assert!(judge(&good(&v)).eligible());
    }

    #[test]
    fn each_fault_has_its_finding() {
        let v = vin("YV1", 'R');
        let american = vin("1G1", 'R');
        let unlisted = vin("WVW", 'R');
        let car = good(&v);
        let table: Vec<(CarFacts<'_>, Finding)> = vec![
            (CarFacts { make: "Buick", country: Some("US"), ..car }, Finding::MakeMismatch),
            (CarFacts { make: "", ..car }, Finding::MakeMismatch),
            (CarFacts { model_year: None, ..car }, Finding::ModelYearUnknown),
            (CarFacts { model_year: Some(2023), ..car }, Finding::ModelYearMismatch),
            (CarFacts { model_year: Some(1994), ..car }, Finding::TooOld),
            (CarFacts { can_open: false, ..car }, Finding::CannotOpen),
            (CarFacts { can_lock: false, ..car }, Finding::CannotLock),
            (CarFacts { missing_permissions: 1, ..car }, Finding::PermissionMissing),
            (CarFacts { plan_active: Some(false), ..car }, Finding::PlanInactive),
            (CarFacts { country: None, ..car }, Finding::CountryUnknown),
            (CarFacts { country: Some("US"), ..car }, Finding::OutsideServiceArea),
            (CarFacts { publishes_position: false, ..car }, Finding::NoPosition),
            (CarFacts { vin: &unlisted, ..car }, Finding::MakeUnknown),
            (CarFacts { vin: &american, make: "CHEVROLET", country: Some("SE"), ..car }, Finding::OutsideServiceArea),
        ];
        for (car, finding) in table {
            let findings = judge(&car);
            assert_eq!(findings.all(), [finding], "{}", finding.code());
            assert!(!findings.eligible(), "{}", finding.code());
        }
    }

    #[test]
    fn the_check_digit_is_law_in_north_america_only() {
        let european = wrong_digit(&vin("YV1", 'R'));
        let american = wrong_digit(&vin("1G1", 'R'));
        let at_home = CarFacts { make: "chevrolet", country: Some("US"), ..good(&american) };
        assert_eq!(judge(&at_home).all(), [Finding::CheckDigitWrong]);
        assert_eq!(judge(&good(&european)).all(), [Finding::CheckDigitNotUsed]);
        assert!(judge(&good(&european)).eligible());
    }

    #[test]
    fn a_pin_stands_in_for_a_position_and_is_recorded_as_such() {
        let v = vin("YV1", 'R');
        let findings = judge(&CarFacts { publishes_position: false, pin_instead_of_position: true, ..good(&v) });
        assert_eq!(findings.all(), [Finding::PinInstead]);
        assert!(findings.eligible());
    }

    #[test]
    fn model_year_codes_repeat_every_thirty_years() {
        for (code, years) in [
            ('A', [1980, 2010, 2040]),
            ('F', [1985, 2015, 2045]),
            ('R', [1994, 2024, 2054]),
            ('Y', [2000, 2030, 2060]),
            ('1', [2001, 2031, 2061]),
            ('9', [2009, 2039, 2069]),
        ] {
            assert_eq!(model_years(code), years, "{code}");
        }
        for no_code in ['0', 'I', 'O', 'Q', 'U', 'Z', 'a'] {
            assert!(model_years(no_code).is_empty(), "{no_code}");
        }
    }

    #[test]
    fn findings_do_not_carry_the_vin() {
        let v = vin("WVW", 'R');
        let printed = format!("{:?} {:?}", judge(&good(&v)), good(&v));
        assert!(!printed.contains(v.expose()));
    }

    #[test]
    fn codes_are_read_back() {
        for finding in Finding::ALL {
            assert_eq!(Finding::parse(finding.code()), Some(finding));
        }
        assert_eq!(read_vin("nonsense"), Err(Finding::VinMalformed));
    }
}
