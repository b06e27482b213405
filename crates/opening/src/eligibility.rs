//! May this car, or this door of a house, be enrolled? Every finding by its code, with what to do about it.
//!
//! The maker's own statement is cross-checked with the VIN (ISO 3779): the check digit where the law asks for it, the
//! manufacturer identifier against the make, the model-year code against the year. What is not known counts against
//! the car. No finding carries the VIN.

use parcelshelf_core::reason::Obstacle;
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
    /// What the maker says against it, where it has a name.
    pub obstacles: &'a [Obstacle],
    /// Where the car is at home (ISO 3166-1 alpha-2), by the owner's word.
    pub country: Option<&'a str>,
    pub publishes_position: bool,
    /// The owner agreed to set a signed pin at parking where the maker gives no position.
    pub pin_instead_of_position: bool,
}

/// What is known of a garage door or gate that its owner wants to link. It has no make, year or number of its own.
#[derive(Clone, Copy, Debug)]
pub struct EntranceFacts<'a> {
    /// It opens and shuts by command, and tells how it stands.
    pub driven: bool,
    pub missing_permissions: usize,
    pub obstacles: &'a [Obstacle],
    pub house_known: bool,
    /// Of a front door, which somebody goes in by; a drive's door has none.
    pub front: Option<FrontFacts>,
}
/// What is known of a front door that its owner wants to link.
#[derive(Clone, Copy, Debug)]
pub struct FrontFacts {
    /// A sensor at its leaf, a camera, and a light that this camera sees.
    pub watched: bool,
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
    /// What the maker says against it.
    Obstacle(Obstacle),
    CountryUnknown,
    OutsideServiceArea,
    NoPosition,
    /// Not against it: the owner's pin stands in for the position.
    PinInstead,
    /// Not against it: outside North America the check digit is not mandatory, and this one does not hold.
    CheckDigitNotUsed,
    /// A door of a house that nothing opens and shuts by command, or whose drive does not tell how it stands.
    NotDriven,
    /// Where the house stands is not known, so that nobody can be held against it.
    HouseUnknown,
    /// A front door without sensor, camera and light.
    NotWatched,
}
impl Finding {
    const PLAIN: [Self; 18] = [
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
        Self::CountryUnknown,
        Self::OutsideServiceArea,
        Self::NoPosition,
        Self::PinInstead,
        Self::CheckDigitNotUsed,
        Self::NotDriven,
        Self::HouseUnknown,
        Self::NotWatched,
    ];
    /// Every finding there is.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PLAIN.into_iter().chain(Obstacle::ALL.iter().copied().map(Self::Obstacle))
    }
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
            Self::Obstacle(obstacle) => obstacle.code(),
            Self::CountryUnknown => "country_unknown",
            Self::OutsideServiceArea => "outside_service_area",
            Self::NoPosition => "no_position",
            Self::PinInstead => "pin_instead",
            Self::CheckDigitNotUsed => "check_digit_not_used",
            Self::NotDriven => "not_driven",
            Self::HouseUnknown => "house_unknown",
            Self::NotWatched => "not_watched",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::all().find(|f| f.code() == code)
    }
    /// For the owner, in plain words: what was found, and what to do.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::VinMalformed | Self::CheckDigitWrong => {
                "The car's identification number is not a valid one. Ask the maker what it has on file."
            }
            Self::MakeUnknown => "Cars of this make cannot take part yet.",
            Self::MakeMismatch | Self::ModelYearMismatch => {
                "What the maker says of the car does not fit its identification number. Ask the maker what it has on file."
            }
            Self::ModelYearUnknown => "The maker does not say which model year the car is. Ask the maker.",
            Self::TooOld => "The car is too old to take part: 2015 is the first model year.",
            Self::CannotOpen => {
                "Nothing of this car can be opened and watched from afar. Ask the maker whether your plan has it."
            }
            Self::CannotLock => "The car cannot be locked from afar. So it is never opened from afar.",
            Self::PermissionMissing => {
                "The maker says that something we need was not allowed. Link again and allow everything that is asked for."
            }
            Self::Obstacle(obstacle) => words_of(obstacle),
            Self::CountryUnknown => "We do not know in which country the car is at home. Say so.",
            Self::OutsideServiceArea => "The maker does not offer this where the car is at home.",
            Self::NoPosition => {
                "The maker does not tell us where the car stands. A pin at parking would have to stand in."
            }
            Self::PinInstead => "Your own pin at parking stands in for a position of the maker.",
            Self::CheckDigitNotUsed => "The car's identification number has no check digit. Nothing to do.",
            Self::NotDriven => {
                "Your home server has no garage door or gate there that it opens and shuts and whose state it reads. Set it \
                 up there, then look again."
            }
            Self::HouseUnknown => "Your home server does not say where your house stands. Tell it, then look again.",
            Self::NotWatched => {
                "A front door needs a lock that tells its state, a sensor at the door, a camera inside, and a light that this \
                 camera sees. Set them up at your home server, then look again."
            }
        }
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
            Self::Obstacle(obstacle) => match obstacle {
                Obstacle::ControlNotGiven | Obstacle::StateNotGiven | Obstacle::PlaceNotGiven => {
                    Remedy::LinkAgainWithAllPermissions
                }
                Obstacle::NotTheHolder => Remedy::LetTheHolderLink,
                Obstacle::PlanInactive => Remedy::ActivatePlan,
                Obstacle::AccountNeedsAttention => Remedy::CheckWithMaker,
                Obstacle::RemoteAccessOff | Obstacle::ValetMode | Obstacle::CarAsleep | Obstacle::KeyNotLetIn => {
                    Remedy::ActAtTheCar
                }
            },
            Self::CountryUnknown => Remedy::SayCountry,
            Self::NoPosition => Remedy::SetPinAtParking,
            Self::NotDriven | Self::HouseUnknown | Self::NotWatched => Remedy::SetUpAtHome,
            Self::PinInstead | Self::CheckDigitNotUsed => Remedy::Nothing,
        }
    }
    /// An obstacle has the reason already: what follows from it is not said as well.
    const fn follows_from(self, obstacle: Obstacle) -> bool {
        match obstacle {
            // It could not be asked, or not for this.
            Obstacle::StateNotGiven
            | Obstacle::AccountNeedsAttention
            | Obstacle::RemoteAccessOff
            | Obstacle::CarAsleep
            | Obstacle::PlanInactive => matches!(self, Self::CannotOpen | Self::CannotLock | Self::NoPosition),
            Obstacle::ControlNotGiven | Obstacle::KeyNotLetIn => matches!(self, Self::CannotOpen | Self::CannotLock),
            Obstacle::PlaceNotGiven => matches!(self, Self::NoPosition),
            Obstacle::NotTheHolder | Obstacle::ValetMode => false,
        }
    }
}
const fn words_of(obstacle: Obstacle) -> &'static str {
    match obstacle {
        Obstacle::ControlNotGiven => {
            "You have not allowed us to lock and unlock the car. Link again and allow it: nothing opens without your signature \
             for that one delivery."
        }
        Obstacle::StateNotGiven => {
            "You have not allowed us to see whether the car is locked and shut. Without that we would not know whether it \
             was left open, so we do not open it. Link again and allow it."
        }
        Obstacle::PlaceNotGiven => {
            "You have not allowed us to ask where the car stands. A courier could not find it. Link again and allow it: the \
             place is shown to one courier, for one stop."
        }
        Obstacle::NotTheHolder => {
            "Your account at the maker may use this car, but another account holds it. Whoever holds it can link it. That \
             you lease the car is no matter if its account is yours."
        }
        Obstacle::PlanInactive => "Your plan at the maker is not active. Activate it there, then look again.",
        Obstacle::AccountNeedsAttention => {
            "Your account at the maker needs you: a password, a payment, a consent. Look there, then look again."
        }
        Obstacle::RemoteAccessOff => {
            "Remote access is switched off in the car, or its privacy mode is on. Switch it on in the car, then look again."
        }
        Obstacle::ValetMode => "The car is in valet mode. Nothing opens while it is. End it, then look again.",
        Obstacle::CarAsleep => {
            "The car slept and could not be asked. Unlock and lock it once with your key or app, then look again."
        }
        Obstacle::KeyNotLetIn => {
            "The car takes commands only from keys that you have let in, and ours is not in. Add it with the maker's app, \
             then look again."
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
    /// Switch something on in the car, wake it, or let a key in; then look again.
    ActAtTheCar,
    LetTheHolderLink,
    SayCountry,
    SetPinAtParking,
    /// In the server of the household.
    SetUpAtHome,
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
            Self::ActAtTheCar => "act_at_the_car",
            Self::LetTheHolderLink => "let_the_holder_link",
            Self::SayCountry => "say_country",
            Self::SetPinAtParking => "set_pin_at_parking",
            Self::SetUpAtHome => "set_up_at_home",
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
        // Where it has a name, the name says more.
        (car.missing_permissions > 0 && car.obstacles.is_empty(), Finding::PermissionMissing),
        (car.country.is_none(), Finding::CountryUnknown),
        (outside_service_area(car), Finding::OutsideServiceArea),
        (!car.publishes_position && !car.pin_instead_of_position, Finding::NoPosition),
        (!car.publishes_position && car.pin_instead_of_position, Finding::PinInstead),
    ];
    found.extend(tests.into_iter().filter(|(is_found, _)| *is_found).map(|(_, finding)| finding));
    found.retain(|finding| !car.obstacles.iter().any(|obstacle| finding.follows_from(*obstacle)));
    found.extend(car.obstacles.iter().copied().map(Finding::Obstacle));
    found.sort_unstable();
    found.dedup();
    Findings(found)
}

/// Judges a door of a house.
#[must_use]
pub fn judge_entrance(entrance: &EntranceFacts<'_>) -> Findings {
    let front = entrance.front;
    let tests = [
        (front.is_some_and(|f| !f.watched), Finding::NotWatched),
        (front.is_none() && !entrance.driven, Finding::NotDriven),
        (entrance.missing_permissions > 0 && entrance.obstacles.is_empty(), Finding::PermissionMissing),
        (!entrance.house_known, Finding::HouseUnknown),
    ];
    let found = tests.into_iter().filter(|(is_found, _)| *is_found).map(|(_, finding)| finding);
    let mut found: Vec<_> = found.chain(entrance.obstacles.iter().copied().map(Finding::Obstacle)).collect();
    found.sort_unstable();
    found.dedup();
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
            obstacles: &[],
            country: Some("SE"),
            publishes_position: true,
            pin_instead_of_position: false,
        }
    }

    #[test]
    fn a_good_car_has_no_findings() {
        let v = vin("YV1", 'R');
        assert_eq!(judge(&good(&v)), Findings::default());
        assert!(judge(&good(&v)).eligible());
    }

    #[test]
    fn of_a_houses_door_nothing_is_asked_that_only_a_car_has() {
        let good =
            EntranceFacts { driven: true, missing_permissions: 0, obstacles: &[], house_known: true, front: None };
        assert_eq!(judge_entrance(&good), Findings::default());
        for (entrance, finding) in [
            (EntranceFacts { driven: false, ..good }, Finding::NotDriven),
            (EntranceFacts { missing_permissions: 1, ..good }, Finding::PermissionMissing),
            (EntranceFacts { house_known: false, ..good }, Finding::HouseUnknown),
        ] {
            let found = judge_entrance(&entrance);
            assert_eq!((found.all(), found.eligible()), (&[finding][..], false));
        }
    }

    #[test]
    fn a_front_door_is_not_eligible_unless_it_is_watched() {
        let judged = |front| {
            let facts = EntranceFacts {
                driven: false,
                missing_permissions: 0,
                obstacles: &[],
                house_known: true,
                front: Some(front),
            };
            let found = judge_entrance(&facts);
            (found.all().to_vec(), found.eligible())
        };
        assert_eq!(judged(FrontFacts { watched: true }), (vec![], true));
        assert_eq!(judged(FrontFacts { watched: false }), (vec![Finding::NotWatched], false));
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
            (CarFacts { obstacles: &[Obstacle::PlanInactive], ..car }, Finding::Obstacle(Obstacle::PlanInactive)),
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
    fn an_obstacle_says_why_and_what_follows_from_it_is_not_said_again() {
        use Obstacle as O;
        let v = vin("YV1", 'R');
        let dumb = CarFacts {
            can_open: false,
            can_lock: false,
            publishes_position: false,
            missing_permissions: 2,
            ..good(&v)
        };
        let told = |obstacles: &[Obstacle], car: &CarFacts<'_>| {
            judge(&CarFacts { obstacles, ..*car }).all().iter().map(|f| f.code()).collect::<Vec<_>>()
        };
        for (obstacles, expected) in [
            // Control without reading: what cannot be watched is not opened, and the owner reads why.
            (vec![O::StateNotGiven], vec!["state_not_given"]),
            (vec![O::ControlNotGiven], vec!["control_not_given", "no_position"]),
            (vec![O::ControlNotGiven, O::PlaceNotGiven], vec!["control_not_given", "place_not_given"]),
            (vec![O::PlaceNotGiven], vec!["cannot_open", "cannot_lock", "place_not_given"]),
            (vec![O::RemoteAccessOff], vec!["remote_access_off"]),
            (vec![O::CarAsleep, O::CarAsleep], vec!["car_asleep"]),
            (vec![O::AccountNeedsAttention], vec!["account_needs_attention"]),
            (vec![O::KeyNotLetIn], vec!["key_not_let_in", "no_position"]),
            (vec![], vec!["cannot_open", "cannot_lock", "permission_missing", "no_position"]),
        ] {
            assert_eq!(told(&obstacles, &dumb), expected, "{obstacles:?}");
        }
        for obstacle in Obstacle::ALL {
            let findings = judge(&CarFacts { obstacles: &[*obstacle], ..good(&v) });
            assert!(!findings.eligible(), "a car that could do everything else: {obstacle}");
            assert_eq!(findings.all(), [Finding::Obstacle(*obstacle)]);
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
    fn the_first_eligible_year_is_eligible() {
        let v = vin("YV1", 'F');
        assert_eq!(judge(&CarFacts { model_year: Some(FIRST_MODEL_YEAR), ..good(&v) }), Findings::default());
    }

    #[test]
    fn findings_do_not_carry_the_vin() {
        let v = vin("WVW", 'R');
        let printed = format!("{:?} {:?}", judge(&good(&v)), good(&v));
        assert!(!printed.contains(v.expose()));
    }

    #[test]
    fn codes_are_read_back() {
        let mut codes = std::collections::BTreeSet::new();
        for finding in Finding::all() {
            assert_eq!(Finding::parse(finding.code()), Some(finding));
            assert!(codes.insert(finding.code()), "{} twice", finding.code());
            assert!(finding.words().ends_with('.'), "{}", finding.code());
        }
        assert_eq!(read_vin("nonsense"), Err(Finding::VinMalformed));
    }
}
