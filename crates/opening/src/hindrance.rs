//! What stood against a courier's wish before any condition could be judged. The owner reads it; a courier reads what helps.

/// Codes and words, as [`Denial`](crate::conditions::Denial) has them for conditions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Hindrance {
    /// The maker's cloud did not answer, or is known to be down.
    MakerDown,
    /// The maker asks the owner for something.
    OwnerMustAct,
    /// The owner has taken the car back.
    CarTakenBack,
}
impl Hindrance {
    pub const ALL: [Self; 3] = [Self::MakerDown, Self::OwnerMustAct, Self::CarTakenBack];
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MakerDown => "maker_down",
            Self::OwnerMustAct => "owner_action_needed",
            Self::CarTakenBack => "car_taken_back",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|h| h.code() == code)
    }
    /// For the owner, in plain words: what happened, and what to do.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::MakerDown => {
                "The cloud of the car's maker did not answer. The courier was told to try again, or went to the agreed \
                 fallback. You need not do anything."
            }
            Self::OwnerMustAct => {
                "The car's maker refused us: your consent, your plan, privacy or valet mode, or an account that needs you. \
                 We do not ask again. Look into the maker's app, then tap \u{201c}look again\u{201d} at the car, or link it anew."
            }
            Self::CarTakenBack => "You have taken this car back. Its deliveries go to their fallbacks.",
        }
    }
}
