//! What an attempt remembers, in plain fields that a row type can hold.

use parcelshelf_core::actuation::{LockProof, Refusal, Shuts};
use parcelshelf_core::id::{AttemptId, GrantId};
use parcelshelf_core::time::Timestamp;

use super::{AlarmCause, COMMANDS_MAX};
use crate::grant::{BlockEpoch, VerifiedChain};

/// How a maker's commands and states behave, as configuration; no maker is named here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MakerRules {
    /// An unanswered open may still act so long after sending, milliseconds.
    pub unanswered_may_act_for_ms: i64,
    /// The window of an open whose answer gives no end, milliseconds.
    pub default_window_ms: i64,
    /// A hand at the lid completes the opening within a window: "done" means "armed".
    pub opening_is_a_window: bool,
    /// The lid's state can be read.
    pub lid_state_observed: bool,
    /// The lock's state can be read.
    pub lock_state_observed: bool,
    /// Who shuts what was opened.
    pub shuts: Shuts,
    /// It is a door of a house: whoever stands before it waits until it is seen shut and locked, and what cannot be seen while
    /// it may be open is an alarm at once.
    pub at_home: bool,
}

/// The lock's state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Lock {
    Locked,
    Unlocked,
    Unknown,
}
/// The lid's state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Lid {
    Open,
    /// Not shut, or on its way.
    Ajar,
    /// Hindered on its way.
    Stuck,
    Closed,
    Unknown,
}

/// One reading of the car.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CarReading {
    pub lock: Lock,
    pub lid: Lid,
    /// `None`: the maker does not tell, or not of all of them.
    pub doors_all_closed: Option<bool>,
    /// The maker's times of the last change.
    pub lid_changed_at: Option<Timestamp>,
    pub lock_changed_at: Option<Timestamp>,
    /// When the answer was made, by our clock.
    pub read_at: Timestamp,
}
impl CarReading {
    /// Lid or a door seen open.
    #[must_use]
    pub const fn lid_open(&self) -> bool {
        matches!(self.lid, Lid::Open | Lid::Ajar | Lid::Stuck)
    }
    /// Lid closed, and no door seen open.
    #[must_use]
    pub fn all_closed(&self) -> bool {
        self.lid == Lid::Closed && self.doors_all_closed != Some(false)
    }
}

/// The courier's word on the close.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CloseReport {
    /// The courier pulled the handle and it held.
    pub handle_checked: bool,
    /// A photo of the closed lid exists.
    pub photo: bool,
}

/// Where an attempt is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Written; nothing has left.
    Intended,
    /// The command is on its way.
    Sent,
    /// A hand at the lid completes the opening until then.
    Armed {
        until: Timestamp,
    },
    /// Nobody can say yet; may act until then.
    Unknown {
        until: Timestamp,
    },
    /// Seen open.
    Open,
    /// Closed (or to be taken as closed), to be locked and proved.
    Locking,
    Locked(LockProof),
    /// Definitely did not open and can no longer.
    DidNotHappen(Refusal),
}
impl Phase {
    /// The stable word; times, refusal and proof have fields of their own.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Sent => "sent",
            Self::Armed { .. } => "armed",
            Self::Unknown { .. } => "unknown",
            Self::Open => "open",
            Self::Locking => "locking",
            Self::Locked(_) => "locked",
            Self::DidNotHappen(_) => "did_not_happen",
        }
    }
    /// Until when the open command may still act.
    #[must_use]
    pub const fn until(self) -> Option<Timestamp> {
        match self {
            Self::Armed { until } | Self::Unknown { until } => Some(until),
            _ => None,
        }
    }
    /// The code of refusal or proof, if the phase has one.
    #[must_use]
    pub const fn detail(self) -> Option<&'static str> {
        match self {
            Self::Locked(proof) => Some(proof.code()),
            Self::DidNotHappen(refusal) => Some(refusal.code()),
            _ => None,
        }
    }
    /// From [`Phase::code`], [`Phase::until`] and [`Phase::detail`]. `None` for a combination that does not exist.
    #[must_use]
    pub fn parse(code: &str, until: Option<Timestamp>, detail: Option<&str>) -> Option<Self> {
        Some(match (code, until, detail) {
            ("intended", None, None) => Self::Intended,
            ("sent", None, None) => Self::Sent,
            ("armed", Some(until), None) => Self::Armed { until },
            ("unknown", Some(until), None) => Self::Unknown { until },
            ("open", None, None) => Self::Open,
            ("locking", None, None) => Self::Locking,
            ("locked", None, Some(proof)) => Self::Locked(LockProof::parse(proof)?),
            ("did_not_happen", None, Some(refusal)) => Self::DidNotHappen(Refusal::parse(refusal)?),
            _ => return None,
        })
    }
}

/// What this attempt has decided about the use it holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UseFate {
    Held,
    Spent,
    Returned,
}
impl UseFate {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Spent => "spent",
            Self::Returned => "returned",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        [Self::Held, Self::Spent, Self::Returned].into_iter().find(|c| c.code() == code)
    }
}

/// How the locking goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct LockProgress {
    /// Commands since the last close.
    pub tries: u8,
    pub first_at: Option<Timestamp>,
    /// The command that has no answer yet.
    pub in_flight_since: Option<Timestamp>,
    pub last_sent_at: Option<Timestamp>,
    /// The maker said "done" then.
    pub done_at: Option<Timestamp>,
    /// The next command is due then.
    pub next_at: Option<Timestamp>,
    /// The last reading since the close said "not locked".
    pub seen_unlocked: bool,
}

/// An alarm and its acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AlarmState {
    pub cause: AlarmCause,
    pub raised_at: Timestamp,
    pub acknowledged_at: Option<Timestamp>,
}

/// The plain fields of an [`Attempt`], for a row type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AttemptParts {
    pub id: AttemptId,
    pub grant: GrantId,
    /// The block epoch under which the last intent was written.
    pub epoch: BlockEpoch,
    pub phase: Phase,
    /// Open commands intended so far, the present one included.
    pub commands: u8,
    /// The one reopening has been used (or nobody can say).
    pub reopened: bool,
    /// When the last open command was intended.
    pub intent_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    /// What the maker claimed when it said that a command did not happen.
    pub claimed: Option<Refusal>,
    /// When it was first seen open, by our clock, since the last intent.
    pub opened_at: Option<Timestamp>,
    /// The last opening, by the maker's times if it gives them: a lock must be newer.
    pub last_opening: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub close_report: Option<CloseReport>,
    pub usage: UseFate,
    pub released: bool,
    pub recalled: bool,
    pub recovered: bool,
    pub blocked: bool,
    pub stop_ended: bool,
    pub lock: LockProgress,
    pub alarm: Option<AlarmState>,
    /// The read that was asked for is due then.
    pub read_due: Option<Timestamp>,
    /// The timer that was asked for.
    pub timer: Option<Timestamp>,
    pub ended: bool,
}

/// Parts that no attempt can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImpossibleAttempt {
    #[error("an attempt has one to {COMMANDS_MAX} commands")]
    Commands,
    #[error("the use of an attempt that opened cannot have been returned")]
    ReturnedAfterOpening,
    #[error("an attempt that ended has a lock proof, did not happen, or has an acknowledged alarm")]
    EndedWithoutEnd,
}

/// One attempt to open. See the module's text.
#[derive(Debug)]
pub struct Attempt {
    pub(super) p: AttemptParts,
    pub(super) rules: MakerRules,
    /// The right to send one open command. Never stored: what comes back from a store has none.
    pub(super) licence: Option<VerifiedChain>,
}

impl Attempt {
    pub(super) const fn begin(chain: VerifiedChain, rules: MakerRules, now: Timestamp) -> Self {
        let p = AttemptParts {
            id: chain.attempt(),
            grant: chain.grant(),
            epoch: chain.epoch(),
            phase: Phase::Intended,
            commands: 1,
            reopened: false,
            intent_at: now,
            sent_at: None,
            claimed: None,
            opened_at: None,
            last_opening: None,
            closed_at: None,
            close_report: None,
            usage: UseFate::Held,
            released: false,
            recalled: false,
            recovered: false,
            blocked: false,
            stop_ended: false,
            lock: LockProgress {
                tries: 0,
                first_at: None,
                in_flight_since: None,
                last_sent_at: None,
                done_at: None,
                next_at: None,
                seen_unlocked: false,
            },
            alarm: None,
            read_due: None,
            timer: None,
            ended: false,
        };
        Self { p, rules, licence: Some(chain) }
    }
    /// The plain fields.
    #[must_use]
    pub const fn parts(&self) -> &AttemptParts {
        &self.p
    }
    /// The plain fields, for a row type.
    #[must_use]
    pub fn into_parts(self) -> AttemptParts {
        self.p
    }
    /// From a row type. The result **has no right to open**, whatever it held when it was stored; after a crash give
    /// it [`Event::Recovered`](super::Event::Recovered) first.
    ///
    /// # Errors
    /// [`ImpossibleAttempt`] for parts that no sequence of events makes.
    pub fn from_parts(parts: AttemptParts, rules: MakerRules) -> Result<Self, ImpossibleAttempt> {
        if !(1..=COMMANDS_MAX).contains(&parts.commands) {
            return Err(ImpossibleAttempt::Commands);
        }
        let opened = matches!(parts.phase, Phase::Open | Phase::Locking | Phase::Locked(_));
        if opened && parts.usage == UseFate::Returned {
            return Err(ImpossibleAttempt::ReturnedAfterOpening);
        }
        let acknowledged = parts.alarm.is_some_and(|a| a.acknowledged_at.is_some());
        let done = matches!(parts.phase, Phase::Locked(LockProof::Observed | LockProof::Executed));
        if parts.ended && !(done || acknowledged || matches!(parts.phase, Phase::DidNotHappen(_))) {
            return Err(ImpossibleAttempt::EndedWithoutEnd);
        }
        Ok(Self { p: parts, rules, licence: None })
    }
    #[must_use]
    pub const fn id(&self) -> AttemptId {
        self.p.id
    }
    #[must_use]
    pub const fn grant(&self) -> GrantId {
        self.p.grant
    }
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.p.phase
    }
    #[must_use]
    pub const fn usage(&self) -> UseFate {
        self.p.usage
    }
    #[must_use]
    pub const fn alarm(&self) -> Option<&AlarmState> {
        self.p.alarm.as_ref()
    }
    /// Over: nothing more will be done by itself. A lock can still be asked for.
    #[must_use]
    pub const fn ended(&self) -> bool {
        self.p.ended
    }
    /// The strength of the lock proof, once there is one.
    #[must_use]
    pub const fn lock_proof(&self) -> Option<LockProof> {
        match self.p.phase {
            Phase::Locked(proof) => Some(proof),
            _ => None,
        }
    }
    /// The word for screens and API: `alarm` and `acknowledged` stand before the phase, a proof before both.
    #[must_use]
    pub fn code(&self) -> &'static str {
        let proved = matches!(self.p.phase, Phase::Locked(LockProof::Observed | LockProof::Executed));
        match self.p.alarm {
            Some(a) if !proved && a.acknowledged_at.is_none() => "alarm",
            Some(_) if !proved && self.p.ended => "acknowledged",
            _ => self.p.phase.code(),
        }
    }
    /// While an open command is under way or may still act: until when at the latest. `None`: settled.
    #[must_use]
    pub fn may_act_until(&self) -> Option<Timestamp> {
        match self.p.phase {
            Phase::Sent => Some(self.unanswered_until(self.p.sent_at.unwrap_or(self.p.intent_at))),
            phase => phase.until(),
        }
    }
    /// An unanswered open sent at `sent_at` may act until then: the command's own time and, where a hand completes it,
    /// the window after that.
    pub(super) const fn unanswered_until(&self, sent_at: Timestamp) -> Timestamp {
        let window = if self.rules.opening_is_a_window { self.rules.default_window_ms } else { 0 };
        sent_at.plus_millis(self.rules.unanswered_may_act_for_ms + window)
    }
}
