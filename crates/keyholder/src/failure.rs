//! Why a request fails inside: a problem for the caller, or a conflict to decide again.

use parcelshelf_access::AccessError;
use parcelshelf_edge::problem::Problem;
use parcelshelf_opening::hindrance::Hindrance;
use parcelshelf_protocol::Refused;
use parcelshelf_store::{CommitError, StoreError};

/// Most times a decision is made again after a conflict. Conflicts are between the few people around one car.
pub(crate) const TRIES: usize = 12;

#[derive(Debug)]
pub(crate) enum Failure {
    Problem(Problem),
    /// Somebody else was first: read and decide again.
    Conflict,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Problem(p) => f.write_str(p.code()),
            Self::Conflict => f.write_str("conflict"),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Problem(Problem::store(&error))
    }
}
impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(_) | CommitError::Replayed(_) => Self::Conflict,
            CommitError::Store(error) => error.into(),
            other @ CommitError::TooLarge(_) => Self::Problem(Problem::internal(&other)),
        }
    }
}
impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Problem(refusal(refused))
    }
}
impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        Self::Problem(match error {
            AccessError::OwnerActionNeeded(_) => {
                let needed = Hindrance::OwnerMustAct.code();
                Problem::new(409, needed, "the owner must act at the car's maker").because(needed)
            }
            AccessError::RateLimited { retry_after } => {
                let wait = retry_after.map_or(30, |d| d.as_secs().max(1));
                Problem::unavailable("maker_busy", "the maker's cloud asks for patience", wait)
            }
            AccessError::NotSupported => Problem::new(409, "not_supported", "this car does not offer that"),
            AccessError::Unreachable => {
                Problem::unavailable("maker_unreachable", "the maker's cloud did not answer", 5)
                    .detail("try again in 5 s")
                    .because(Hindrance::MakerDown.code())
            }
            AccessError::Down { retry_after } => {
                let wait = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
                Problem::unavailable("maker_down", "the maker's cloud is down", wait.max(1))
                    .detail(format!("try again in {} s, or choose the agreed fallback", wait.max(1)))
                    .because(Hindrance::MakerDown.code())
            }
            AccessError::CarSilent => {
                Problem::unavailable("car_unreachable", "the car cannot be reached from its maker's cloud", 10)
            }
            AccessError::Malformed(_) | AccessError::Credentials => {
                Problem::unavailable("maker_refused", "the maker's cloud cannot be used now", 30)
            }
        })
    }
}

/// A token or signature that does not hold. Malformed ones are 400, well-formed ones that prove nothing are 403.
pub(crate) fn refusal(refused: Refused) -> Problem {
    let code = refused.code();
    let malformed = ["_json", "_too_long", "_compact", "_base64url", "_member", "malformed", "_header", "_integer"];
    let status = if malformed.iter().any(|m| code.contains(m)) { 400 } else { 403 };
    Problem::new(status, code, "a signed message does not hold")
        .detail("the codes are listed in the protocol's documentation")
}

/// Decides again after conflicts.
macro_rules! again {
    ($attempt:expr) => {{
        let mut tries = 0;
        loop {
            match $attempt.await {
                Ok(done) => break Ok(done),
                Err($crate::failure::Failure::Problem(problem)) => break Err(problem),
                Err($crate::failure::Failure::Conflict) => {
                    tries += 1;
                    if tries >= $crate::failure::TRIES {
                        break Err(parcelshelf_edge::problem::Problem::unavailable("busy", "too many at once here", 1));
                    }
                }
            }
        }
    }};
}
pub(crate) use again;

/// Something that this code should never meet; the caller sees `internal`, the log sees what.
pub(crate) fn broken(what: &'static str) -> Failure {
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Broken(&'static str);
    Failure::Problem(Problem::internal(&Broken(what)))
}
