//! Under which conditions a place may be shown, a car described, something opened.
//!
//! Pure functions over facts that the shell gathered just now. One [`Denial`] per condition, in one fixed order.
//! **Unknown counts as no**, unless a consent that the owner gave by name stands in ([`Consents`]).

mod entrance;

pub use entrance::{EntranceFacts, FrontFacts, open_entrance};

use parcelshelf_core::actuation::{AccessClass, Place};
use parcelshelf_core::area::{Area, Position};
use parcelshelf_core::id::GrantId;
use parcelshelf_core::reason::Purpose;
use parcelshelf_core::time::{Timestamp, Window};

/// *Locate*: the phone is inside the area or at most this far from it, metres.
pub const LOCATE_MARGIN_M: f64 = 1_000.0;
/// *Open*: the phone is at most this far from the car, plus both accuracies, metres: the maker's seconds overlap with
/// the courier's walk.
pub const OPEN_DISTANCE_M: f64 = 75.0;
/// *Open*: no accuracy counts for more than this, metres; a vague position must not widen the circle.
pub const OPEN_ACCURACY_CAP_M: f64 = 50.0;
/// *Describe*: the phone is at most this far from the car, plus both accuracies, metres.
pub const DESCRIBE_DISTANCE_M: f64 = 300.0;
/// *Describe* and the usable car position: no accuracy counts for more than this, metres. A position vaguer than an
/// area's margin places nobody.
pub const USABLE_ACCURACY_M: f64 = 1_000.0;
/// *Recovery locate*: so long after an opening its car may be found again, milliseconds.
pub const RECOVER_WITHIN_MS: i64 = 30 * 60_000;
/// Attempts in one delivery: enough for a sleepy car, too few for trying handles.
pub const ATTEMPTS_MAX: u8 = 5;
/// Parkings shown in one delivery: the car may move once or twice; more would be following it.
pub const LOCATED_PARKINGS_MAX: u8 = 3;

/// What is known of a yes-or-no fact.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fact {
    /// Observed, and true.
    Yes,
    /// Observed or inferred, and false. No consent overrides it.
    No,
    /// Concluded to be true from other facts; stands only with the owner's consent to that conclusion.
    Inferred,
    /// Not available.
    Unknown,
}
impl Fact {
    /// From a maker's answer that is observed where it exists.
    #[must_use]
    pub const fn observed(value: Option<bool>) -> Self {
        match value {
            Some(true) => Self::Yes,
            Some(false) => Self::No,
            None => Self::Unknown,
        }
    }
    /// From a conclusion that can be drawn or not.
    #[must_use]
    pub const fn inferred(value: Option<bool>) -> Self {
        match value {
            Some(true) => Self::Inferred,
            Some(false) => Self::No,
            None => Self::Unknown,
        }
    }
}

/// What the owner consented to by name at enrolment, for what this car's maker cannot tell.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Consents {
    /// "That my car is parked is concluded from other facts."
    pub parked_inferred: bool,
    /// "That nobody uses my car is concluded from other facts."
    pub not_in_use_inferred: bool,
    /// "Whether somebody is inside cannot be told; the courier looks before opening."
    pub nobody_inside: bool,
    /// "Whether everything is closed cannot be told; the courier looks before opening."
    pub closed: bool,
}

/// Which condition did not hold. Inside the keyholder's record; outward see [`Denial::helps_courier`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[error("condition not met: {}", self.code())]
pub enum Denial {
    /// The owner has blocked it.
    Blocked,
    /// Outside the grant's or the delegation's window.
    OutsideWindow,
    /// Not known to be parked.
    NotParked,
    /// No position of the car, or one too vague to use.
    CarPositionUnusable,
    /// The car is not inside the area.
    CarNotInArea,
    /// The car is not inside the owner's finer place rule, or that cannot be told.
    CarNotInRule,
    /// No position of the phone, or one too vague to use.
    PhonePositionUnusable,
    /// The phone is too far from the area.
    PhoneFarFromArea,
    /// The phone is too far from the car.
    PhoneFarFromCar,
    /// The delivery has shown as many parkings as it may.
    TooManyParkings,
    /// This device has not located this car under this delegation.
    NotLocated,
    /// The car has moved since this device located it.
    CarMoved,
    /// Not known to be closed.
    NotClosed,
    /// Not known to be unused.
    InUse,
    /// Somebody may be inside.
    MaybeOccupied,
    /// The grant does not allow this class.
    ClassNotGranted,
    /// The car cannot open this class.
    ClassNotSupported,
    /// The delivery has used up its attempts.
    TooManyAttempts,
    /// The owner's proof of possession is too old.
    PossessionTooOld,
    /// Another wallet had linked this car before; its word or the wait is missing.
    LinkNotConfirmed,
    /// Somebody who shares the car or the door has stopped everything there.
    Halted,
    /// As many deliveries have located this car in a day as may.
    TooManyDeliveries,
    /// Nothing is located or opened for this carrier until people say so.
    CarrierStopped,
    /// A door with a drive does not answer, or something is in its way.
    NotReachable,
    /// Where the house stands is not known well enough.
    HousePlaceUnusable,
    /// The house is not inside the area of the grant.
    HouseNotInArea,
    /// The phone is too far from the house.
    PhoneFarFromHouse,
    /// A front door's bolt does not say that it is locked.
    NotLocked,
    /// No picture of what is behind a front door could be taken, or kept.
    NotRecorded,
    /// The camera or its light did not answer, or not in time.
    CameraUntold,
    /// The camera does not show what is there now.
    CameraNotLive,
}
impl Denial {
    pub const ALL: [Self; 31] = [
        Self::Blocked,
        Self::OutsideWindow,
        Self::NotParked,
        Self::CarPositionUnusable,
        Self::CarNotInArea,
        Self::CarNotInRule,
        Self::PhonePositionUnusable,
        Self::PhoneFarFromArea,
        Self::PhoneFarFromCar,
        Self::TooManyParkings,
        Self::NotLocated,
        Self::CarMoved,
        Self::NotClosed,
        Self::InUse,
        Self::MaybeOccupied,
        Self::ClassNotGranted,
        Self::ClassNotSupported,
        Self::TooManyAttempts,
        Self::PossessionTooOld,
        Self::LinkNotConfirmed,
        Self::Halted,
        Self::TooManyDeliveries,
        Self::CarrierStopped,
        Self::NotReachable,
        Self::HousePlaceUnusable,
        Self::HouseNotInArea,
        Self::PhoneFarFromHouse,
        Self::NotLocked,
        Self::NotRecorded,
        Self::CameraUntold,
        Self::CameraNotLive,
    ];
    /// The stable word in records and problems.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::OutsideWindow => "outside_window",
            Self::NotParked => "not_parked",
            Self::CarPositionUnusable => "car_position_unusable",
            Self::CarNotInArea => "car_not_in_area",
            Self::CarNotInRule => "car_not_in_rule",
            Self::PhonePositionUnusable => "phone_position_unusable",
            Self::PhoneFarFromArea => "phone_far_from_area",
            Self::PhoneFarFromCar => "phone_far_from_car",
            Self::TooManyParkings => "too_many_parkings",
            Self::NotLocated => "not_located",
            Self::CarMoved => "car_moved",
            Self::NotClosed => "not_closed",
            Self::InUse => "in_use",
            Self::MaybeOccupied => "maybe_occupied",
            Self::ClassNotGranted => "class_not_granted",
            Self::ClassNotSupported => "class_not_supported",
            Self::TooManyAttempts => "too_many_attempts",
            Self::PossessionTooOld => "possession_too_old",
            Self::LinkNotConfirmed => "link_not_confirmed",
            Self::Halted => "halted",
            Self::TooManyDeliveries => "too_many_deliveries",
            Self::CarrierStopped => "carrier_stopped",
            Self::NotReachable => "not_reachable",
            Self::HousePlaceUnusable => "house_place_unusable",
            Self::HouseNotInArea => "house_not_in_area",
            Self::PhoneFarFromHouse => "phone_far_from_house",
            Self::NotLocked => "not_locked",
            Self::NotRecorded => "not_recorded",
            Self::CameraUntold => "camera_untold",
            Self::CameraNotLive => "camera_not_live",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.code() == code)
    }
    /// For the owner, in plain words: what stood against it, and what to do.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Blocked => "You have stopped this. Allow it again if you want it.",
            Self::OutsideWindow => "The courier came outside the time that you allowed.",
            Self::NotParked => "It was not certain that the car is parked, or the car could not be reached.",
            Self::CarPositionUnusable => "The car told no position, or one too vague. Park where there is signal.",
            Self::CarNotInArea => "The car was not in the area that you allowed. Park there.",
            Self::CarNotInRule => "The car was not at the place that you allowed. Park there.",
            Self::PhonePositionUnusable => "The courier's phone did not know well enough where it is.",
            Self::PhoneFarFromArea => "The courier was too far away from the area.",
            Self::PhoneFarFromCar => "The courier was too far away from the car.",
            Self::TooManyParkings => "The car has moved too often for one delivery.",
            Self::NotLocated => "The courier had not found the car before.",
            Self::CarMoved => "The car has moved since the courier found it.",
            Self::NotClosed => "A door or lid was open. Close it.",
            Self::InUse => "The car was being used. Nothing opens while it is.",
            Self::MaybeOccupied => "Somebody may have been inside. Nothing opens then.",
            Self::ClassNotGranted => "You have not allowed to open it this way.",
            Self::ClassNotSupported => "The car does not open this way.",
            Self::TooManyAttempts => "It was tried too often in one delivery.",
            Self::PossessionTooOld => "It is 90 days since you proved that you stand at this car. Prove it again.",
            Self::LinkNotConfirmed => "The link to this car waits for a word or for its time.",
            Self::Halted => "Somebody who shares it has stopped everything there. Its page says what you can do.",
            Self::CarrierStopped => {
                "This carrier asked for too many places without coming there. It is stopped until people have looked."
            }
            Self::NotReachable => "The door did not answer, or something was in its way. Look at it and at its server.",
            Self::HousePlaceUnusable => "Your server does not say where your house stands. Tell it.",
            Self::HouseNotInArea => "Your house is not in the area that you allowed. Choose the area around it.",
            Self::PhoneFarFromHouse => "The courier was too far away from the house.",
            Self::NotLocked => "The door's lock did not say that it is locked. Look at it.",
            Self::NotRecorded => {
                "No picture of the camera could be kept, and the door does not open without. A picture is a JPEG or a PNG of at \
                 most 128 KiB: look at the camera, and at how large its pictures are."
            }
            Self::CameraUntold => {
                "The camera, or the light that it is proved by, did not answer in time. Look at both, and at your network."
            }
            Self::CameraNotLive => {
                "The camera did not show what is there now: its picture did not follow the light. It may be frozen, or somebody \
                 shows it a recording. Look at it."
            }
            Self::TooManyDeliveries => {
                "The car has been located for two deliveries within a day. No third one finds it."
            }
        }
    }
    /// Whether the courier's stop page may be told this condition, because the courier can do something about it. All
    /// others are told to the owner only; the carrier sees `conditions_not_met` for every one.
    #[must_use]
    pub const fn helps_courier(self) -> bool {
        matches!(
            self,
            Self::OutsideWindow
                | Self::PhonePositionUnusable
                | Self::PhoneFarFromArea
                | Self::PhoneFarFromCar
                | Self::PhoneFarFromHouse
                | Self::NotLocated
                | Self::NotClosed
        )
    }
    /// Whether this keeps a courier who has found the car away from it, through no doing of theirs: the owner's, the car's or
    /// ours. Then coming to no car says nothing against their carrier ([`crate::brake`]).
    #[must_use]
    pub const fn keeps_away(self) -> bool {
        match self {
            Self::Blocked
            | Self::NotParked
            | Self::CarPositionUnusable
            | Self::CarNotInArea
            | Self::CarNotInRule
            | Self::TooManyParkings
            | Self::CarMoved
            | Self::NotClosed
            | Self::InUse
            | Self::MaybeOccupied
            | Self::PossessionTooOld
            | Self::LinkNotConfirmed
            | Self::Halted
            | Self::CarrierStopped
            | Self::NotReachable
            | Self::HousePlaceUnusable
            | Self::HouseNotInArea
            | Self::NotLocked
            | Self::NotRecorded
            | Self::CameraUntold
            | Self::CameraNotLive => true,
            Self::OutsideWindow
            | Self::PhonePositionUnusable
            | Self::PhoneFarFromArea
            | Self::PhoneFarFromCar
            | Self::PhoneFarFromHouse
            | Self::NotLocated
            | Self::ClassNotGranted
            | Self::ClassNotSupported
            | Self::TooManyAttempts
            | Self::TooManyDeliveries => false,
        }
    }
}

/// Facts for *locate*.
#[derive(Clone, Debug)]
pub struct LocateFacts<'a> {
    pub now: Timestamp,
    /// `jti` of link 0, whose chain the caller has verified over the bytes received.
    pub grant: GrantId,
    pub grant_window: Window,
    /// Link 1's; for guests and rehearsals, which have no link 1, the grant's own.
    pub delegation_window: Window,
    pub blocked: bool,
    pub area: &'a Area,
    pub parked: Fact,
    /// `None`: the maker gives none. Its accuracy is the maker's, or the maker's assumed one.
    pub car: Option<Position>,
    /// The owner's finer place rule; [`Fact::Yes`] if there is none.
    pub inside_rule: Fact,
    /// The phone's position from the proof of this request.
    pub phone: Option<Position>,
    /// Parkings that this delivery has shown so far.
    pub parkings_shown: u8,
    /// This delivery has shown this very parking before: not counted again.
    pub parking_shown_before: bool,
}

/// Facts for *open*: those of *locate*, and more.
#[derive(Clone, Debug)]
pub struct OpenFacts<'a> {
    pub locate: LocateFacts<'a>,
    pub purpose: Purpose,
    /// This device has located this car under this delegation.
    pub located: bool,
    /// Still the parking that was located. [`Fact::Yes`] where nothing was located because the purpose needs it not.
    pub same_parking: Fact,
    pub closed: Fact,
    pub not_in_use: Fact,
    pub nobody_inside: Fact,
    pub class: AccessClass,
    pub granted: &'a [AccessClass],
    pub supported: &'a [AccessClass],
    /// Attempts of this delivery so far, this one not counted.
    pub attempts: u8,
    /// The owner tapped "yes, this is my courier" for this very request.
    pub owner_tap: bool,
    /// The courier's device read the plate and it is the right one.
    pub plate_read: bool,
}

/// Facts for *describe* (plate and picture).
#[derive(Clone, Copy, Debug)]
pub struct DescribeFacts {
    pub now: Timestamp,
    pub grant_window: Window,
    pub delegation_window: Window,
    pub blocked: bool,
    pub located: bool,
    pub car: Option<Position>,
    pub phone: Option<Position>,
}

/// Facts for *recovery locate*: a car that was opened here and is not known to be locked, for whoever has to shut it.
#[derive(Clone, Copy, Debug)]
pub struct RecoverFacts<'a> {
    pub now: Timestamp,
    pub grant_window: Window,
    pub delegation_window: Window,
    pub blocked: bool,
    /// When the opening was intended.
    pub opened_at: Timestamp,
    pub area: &'a Area,
    pub car: Option<Position>,
    /// This delivery has shown this very parking before it was opened.
    pub parking_shown_before: bool,
    pub phone: Option<Position>,
}

/// By what the courier was known to stand at the car. Weaker ones are marked in the record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Presence {
    /// The phone's position.
    Near,
    /// Beyond the cap of accuracies: the plate was read on the device.
    PlateRead,
    /// Beyond the cap of accuracies: the owner said so.
    OwnerTap,
}
impl Presence {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::PlateRead => "plate_read",
            Self::OwnerTap => "owner_tap",
        }
    }
}

/// All conditions of *locate* held at one moment. Only [`locate`] makes one.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct LocatePermit {
    grant: GrantId,
    counts: bool,
}
impl LocatePermit {
    #[must_use]
    pub const fn grant(&self) -> GrantId {
        self.grant
    }
    /// Whether this parking is a new one, to be counted.
    #[must_use]
    pub const fn counts(&self) -> bool {
        self.counts
    }
}

/// All conditions of *open* held at one moment. Only [`open`] makes one, and it serves once: it cannot be copied.
///
/// ```compile_fail,E0599
/// # use parcelshelf_opening::conditions::OpenPermit;
/// fn twice(permit: OpenPermit) -> (OpenPermit, OpenPermit) {
///     (permit.clone(), permit)
/// }
/// ```
/// ```compile_fail,E0451
/// # use parcelshelf_opening::conditions::{OpenPermit, Presence};
/// # use parcelshelf_core::{actuation::AccessClass, id::GrantId, time::Timestamp};
/// let forged = OpenPermit {
///     grant: GrantId::from_bytes([0; 16]),
///     at: Timestamp::EPOCH,
///     class: AccessClass::SeparateTrunk,
///     presence: Presence::Near,
/// };
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct OpenPermit {
    grant: GrantId,
    at: Timestamp,
    class: AccessClass,
    presence: Presence,
}
impl OpenPermit {
    #[must_use]
    pub const fn grant(&self) -> GrantId {
        self.grant
    }
    /// When the conditions were judged.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }
    #[must_use]
    pub const fn class(&self) -> AccessClass {
        self.class
    }
    #[must_use]
    pub const fn presence(&self) -> Presence {
        self.presence
    }
}

/// Judges *locate*.
///
/// # Errors
/// The first [`Denial`] in the order of its declaration.
pub fn locate(f: &LocateFacts<'_>, consents: &Consents) -> Result<LocatePermit, Denial> {
    place(f, consents)?;
    if !f.parking_shown_before && f.parkings_shown >= LOCATED_PARKINGS_MAX {
        return Err(Denial::TooManyParkings);
    }
    Ok(LocatePermit { grant: f.grant, counts: !f.parking_shown_before })
}

/// Judges *open*.
///
/// # Errors
/// The first [`Denial`] in the order of the text in `protocol.md`, "Conditions".
pub fn open(f: &OpenFacts<'_>, consents: &Consents) -> Result<OpenPermit, Denial> {
    place(&f.locate, consents)?;
    if needs_locate(f.purpose, Place::Car) {
        if !f.located {
            return Err(Denial::NotLocated);
        }
        if f.same_parking != Fact::Yes {
            return Err(Denial::CarMoved);
        }
    }
    let presence = presence(f)?;
    stands(f.closed, false, consents.closed).or(Err(Denial::NotClosed))?;
    stands(f.not_in_use, consents.not_in_use_inferred, false).or(Err(Denial::InUse))?;
    stands(f.nobody_inside, consents.nobody_inside, consents.nobody_inside).or(Err(Denial::MaybeOccupied))?;
    if !f.granted.contains(&f.class) {
        return Err(Denial::ClassNotGranted);
    }
    if !f.supported.contains(&f.class) {
        return Err(Denial::ClassNotSupported);
    }
    if f.attempts >= ATTEMPTS_MAX {
        return Err(Denial::TooManyAttempts);
    }
    Ok(OpenPermit { grant: f.locate.grant, at: f.locate.now, class: f.class, presence })
}

/// Judges *describe*.
///
/// # Errors
/// The first [`Denial`] that applies.
pub fn describe(f: &DescribeFacts) -> Result<(), Denial> {
    live(f.blocked, &f.grant_window, &f.delegation_window, f.now)?;
    if !f.located {
        return Err(Denial::NotLocated);
    }
    let car = usable(f.car).ok_or(Denial::CarPositionUnusable)?;
    let phone = usable(f.phone).ok_or(Denial::PhonePositionUnusable)?;
    let reach = DESCRIBE_DISTANCE_M + car.accuracy_m() + phone.accuracy_m();
    if car.distance_m(&phone) <= reach { Ok(()) } else { Err(Denial::PhoneFarFromCar) }
}

/// Judges *recovery locate*. An open car is neither parked nor unused by what its maker tells; what counts is that it stands where
/// it was opened. One that has moved is somebody's who drives it, and nobody is led there.
///
/// # Errors
/// The first [`Denial`] that applies.
pub fn recover(f: &RecoverFacts<'_>) -> Result<(), Denial> {
    live(f.blocked, &f.grant_window, &f.delegation_window, f.now)?;
    if f.now.millis_since(f.opened_at) > RECOVER_WITHIN_MS {
        return Err(Denial::OutsideWindow);
    }
    usable(f.car).ok_or(Denial::CarPositionUnusable)?;
    if !f.parking_shown_before {
        return Err(Denial::CarMoved);
    }
    let phone = usable(f.phone).ok_or(Denial::PhonePositionUnusable)?;
    if f.area.within(&phone, LOCATE_MARGIN_M) { Ok(()) } else { Err(Denial::PhoneFarFromArea) }
}

/// Whether a purpose needs an earlier *locate* by the same device. Guests never locate a car; the rehearsing owner
/// knows where it stands; a house is found by its address.
#[must_use]
pub const fn needs_locate(purpose: Purpose, at: Place) -> bool {
    matches!(at, Place::Car) && matches!(purpose, Purpose::Delivery | Purpose::Pickup | Purpose::Service)
}

/// Whether anybody is shown where the car stands for this purpose. Guests are told by whom they visit, or not at all; a house
/// is never shown: who delivers there has its address.
#[must_use]
pub const fn may_locate(purpose: Purpose, at: Place) -> bool {
    matches!(at, Place::Car) && !matches!(purpose, Purpose::Guest)
}

/// What *locate* and *open* share.
fn place(f: &LocateFacts<'_>, consents: &Consents) -> Result<(), Denial> {
    live(f.blocked, &f.grant_window, &f.delegation_window, f.now)?;
    stands(f.parked, consents.parked_inferred, false).or(Err(Denial::NotParked))?;
    let car = usable(f.car).ok_or(Denial::CarPositionUnusable)?;
    if !f.area.contains(&car) {
        return Err(Denial::CarNotInArea);
    }
    if f.inside_rule != Fact::Yes {
        return Err(Denial::CarNotInRule);
    }
    let phone = usable(f.phone).ok_or(Denial::PhonePositionUnusable)?;
    if f.area.within(&phone, LOCATE_MARGIN_M) { Ok(()) } else { Err(Denial::PhoneFarFromArea) }
}

fn live(blocked: bool, grant: &Window, delegation: &Window, now: Timestamp) -> Result<(), Denial> {
    if blocked {
        return Err(Denial::Blocked);
    }
    if grant.contains(now) && delegation.contains(now) { Ok(()) } else { Err(Denial::OutsideWindow) }
}

fn presence(f: &OpenFacts<'_>) -> Result<Presence, Denial> {
    let car = usable(f.locate.car).ok_or(Denial::CarPositionUnusable)?;
    let phone = usable(f.locate.phone).ok_or(Denial::PhonePositionUnusable)?;
    let capped = car.accuracy_m().min(OPEN_ACCURACY_CAP_M) + phone.accuracy_m().min(OPEN_ACCURACY_CAP_M);
    let distance = car.distance_m(&phone);
    if distance <= OPEN_DISTANCE_M + capped {
        return Ok(Presence::Near);
    }
    // Only vagueness is excused by a tap or a plate, not distance: the phone must still be able to be at the car.
    let could_be_there = distance <= OPEN_DISTANCE_M + car.accuracy_m() + phone.accuracy_m();
    match (could_be_there, f.plate_read, f.owner_tap) {
        (true, true, _) => Ok(Presence::PlateRead),
        (true, false, true) => Ok(Presence::OwnerTap),
        _ => Err(Denial::PhoneFarFromCar),
    }
}

fn usable(position: Option<Position>) -> Option<Position> {
    position.filter(|p| p.accuracy_m() <= USABLE_ACCURACY_M)
}

/// A fact stands if observed, or inferred or unknown where the owner's named consent covers just that.
const fn stands(fact: Fact, inferred_consented: bool, unknown_consented: bool) -> Result<(), ()> {
    match fact {
        Fact::Yes => Ok(()),
        Fact::Inferred if inferred_consented => Ok(()),
        Fact::Unknown if unknown_consented => Ok(()),
        _ => Err(()),
    }
}
