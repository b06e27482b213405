//! Reasons that everyone understands, for what could not be done at a stop, and the fallbacks agreed before.

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word on the wire, in reports and in the log.
            #[must_use]
            pub const fn code(self) -> &'static str { match self { $(Self::$variant => $code),+ } }
            #[must_use]
            pub fn parse(code: &str) -> Option<Self> { Self::ALL.iter().copied().find(|c| c.code() == code) }
        }
        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result { f.write_str(self.code()) }
        }
    };
}

codes! {
    /// Why a parcel did not go into the car.
    Reason {
        NotInArea = "not_in_area", CarLeft = "car_left", InUse = "in_use", Asleep = "asleep", NotReachable = "not_reachable",
        NoPublicAccess = "no_public_access", BlockedByWall = "blocked_by_wall", DoesNotFit = "does_not_fit",
        PersonOrAnimalInside = "person_or_animal_inside", Unsafe = "unsafe", BlockedByOwner = "blocked_by_owner",
        AlarmSounded = "alarm_sounded", WrongParcel = "wrong_parcel", MissingParcel = "missing_parcel",
        CarrierLate = "carrier_late", NoSignal = "no_signal", DidNotOpen = "did_not_open",
        /// The command may have worked and nobody could say; the parcel stays with the courier.
        UnknownOutcome = "unknown_outcome",
        NotConfirmed = "not_confirmed", ParcelRule = "parcel_rule",
    }
}

codes! {
    /// What stands against a car at its maker, as far as makers say it. Each has something that its owner can do.
    Obstacle {
        /// The owner has not given the permission to lock and unlock.
        ControlNotGiven = "control_not_given",
        /// The owner has not given the permission to read locks and lids.
        StateNotGiven = "state_not_given",
        /// The owner has not given the permission to read where the car is.
        PlaceNotGiven = "place_not_given",
        /// The account may use the car, and somebody else's account holds it.
        NotTheHolder = "not_the_holder",
        /// The plan at the maker has ended or was never begun.
        PlanInactive = "plan_inactive",
        /// The account at the maker needs its owner: a password, a consent, a payment.
        AccountNeedsAttention = "account_needs_attention",
        /// Remote access is switched off in the car, or its privacy mode is on.
        RemoteAccessOff = "remote_access_off",
        ValetMode = "valet_mode",
        /// The car slept and could not be asked.
        CarAsleep = "car_asleep",
        /// The car takes commands under a key that its owner lets in, and ours is not in.
        KeyNotLetIn = "key_not_let_in",
    }
}

codes! {
    /// Where a parcel goes instead, agreed before and possible on this route.
    Fallback { Address = "address", ParcelShop = "parcel_shop", NextWindow = "next_window", Return = "return" }
}

codes! {
    /// What a grant is for.
    Purpose { Delivery = "delivery", Pickup = "pickup", Service = "service", Guest = "guest", Rehearsal = "rehearsal" }
}

codes! {
    /// What a courier's device may ask of the keyholder under a delegation.
    Action { Locate = "locate", Describe = "describe", Open = "open", Signal = "signal", Lock = "lock", Close = "close" }
}
