//! What can be opened, what a command did, and how a lock was proved.

/// What a grant may open, from least to most access that it gives along with the parcel's place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AccessClass {
    /// A trunk that opens alone and is closed off from the cabin.
    SeparateTrunk,
    /// A tailgate whose opening gives access to the cabin, or that only opens together with the doors.
    TailgateWithCabin,
    Cabin,
    Door,
    Garage,
    Gate,
}
impl AccessClass {
    pub const ALL: [Self; 6] =
        [Self::SeparateTrunk, Self::TailgateWithCabin, Self::Cabin, Self::Door, Self::Garage, Self::Gate];
    /// The word on the wire and in the log.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::SeparateTrunk => "trunk",
            Self::TailgateWithCabin => "tailgate_with_cabin",
            Self::Cabin => "cabin",
            Self::Door => "door",
            Self::Garage => "garage",
            Self::Gate => "gate",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.code() == code)
    }
    /// What stands there: a car that somebody drives and parks, or a house.
    #[must_use]
    pub const fn belongs_to(self) -> Place {
        match self {
            Self::SeparateTrunk | Self::TailgateWithCabin | Self::Cabin => Place::Car,
            Self::Door | Self::Garage | Self::Gate => Place::Home,
        }
    }
    /// Who shuts what was opened.
    #[must_use]
    pub const fn shuts(self) -> Shuts {
        match self {
            Self::SeparateTrunk | Self::TailgateWithCabin | Self::Cabin | Self::Door => Shuts::ByHand,
            Self::Garage | Self::Gate => Shuts::ByCommand,
        }
    }
    /// Somebody goes in by it, and a hand shuts it: its camera is proved, and what happens behind it recorded.
    #[must_use]
    pub const fn is_front_door(self) -> bool {
        matches!((self.belongs_to(), self.shuts()), (Place::Home, Shuts::ByHand))
    }
}

/// What a class opens a part of. What is asked of a car (parked, unused, nobody inside, where it stands today) is not asked of
/// a house.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    Car,
    Home,
}
impl Place {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Car => "car",
            Self::Home => "home",
        }
    }
}

/// Who shuts what was opened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shuts {
    /// A hand; a command only locks, and an open lid refuses it.
    ByHand,
    /// A drive: the command to lock is the command to shut, and what is shut is locked by its drive.
    ByCommand,
}

/// How strongly a maker's cloud confirmed that something was done, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Confirmation {
    /// The maker's cloud took the command.
    Accepted,
    /// The car took the command.
    Delivered,
    /// The car is ready: a hand at the lid completes the opening within a time window.
    Armed,
    /// The maker says that the car did it.
    Executed,
    /// The state of the car shows it.
    Observed,
}

/// What became of a command. Unknown is a result of its own: it is never reported as failure and never retried blindly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    Done(Confirmation),
    /// It did not happen and cannot happen any more.
    DidNotHappen(Refusal),
    /// It may have happened, or may still happen.
    Unknown,
}

/// Why a command definitely did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// The car is asleep or saves power.
    Asleep,
    /// The car cannot be reached from the maker's cloud.
    Unreachable,
    /// Someone uses the car.
    InUse,
    /// A door or lid is open: a lock does not engage, and a button that toggles would shut the lid instead of opening it.
    NotClosed,
    /// Nobody pulled the handle in time.
    WindowPassed,
    /// This car or contract does not support the command.
    NotSupported,
    /// The owner's permission at the maker is gone, or privacy mode is on: the owner must act.
    OwnerActionNeeded,
    /// The maker's quota is used up; nothing was sent to the car.
    RateLimited,
    /// The maker's cloud refused or failed before sending.
    MakerRefused,
    /// The maker says that the command reached the car and failed there. Only a car whose lid can be seen confirms it.
    CarFailed,
    /// Nothing was ever sent (a crash or a block came first).
    NeverSent,
}
impl Refusal {
    pub const ALL: [Self; 11] = [
        Self::Asleep,
        Self::Unreachable,
        Self::InUse,
        Self::NotClosed,
        Self::WindowPassed,
        Self::NotSupported,
        Self::OwnerActionNeeded,
        Self::RateLimited,
        Self::MakerRefused,
        Self::CarFailed,
        Self::NeverSent,
    ];
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Unreachable => "unreachable",
            Self::InUse => "in_use",
            Self::NotClosed => "not_closed",
            Self::WindowPassed => "window_passed",
            Self::NotSupported => "not_supported",
            Self::OwnerActionNeeded => "owner_action_needed",
            Self::RateLimited => "rate_limited",
            Self::MakerRefused => "maker_refused",
            Self::CarFailed => "car_failed",
            Self::NeverSent => "never_sent",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.code() == code)
    }
}

/// How it is known that what was opened is locked again, strongest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LockProof {
    /// The car's own state, newer than the last opening.
    Observed,
    /// The maker says the lock was done; with the courier's handle check and photo of the closed lid.
    Executed,
    /// The courier's word only. Ends in an alarm.
    Attested,
}
impl LockProof {
    pub const ALL: [Self; 3] = [Self::Observed, Self::Executed, Self::Attested];
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Executed => "executed",
            Self::Attested => "attested",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.code() == code)
    }
}

/// How a maker's cloud can know a fact about a car. What it cannot tell is not invented.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    Observed,
    /// Concluded from other facts, named in words for the owner.
    Inferred(&'static str),
    NotAvailable,
}
