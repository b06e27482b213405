//! What an attempt is told and what it says: events, effects, causes, notices.

use parcelshelf_core::actuation::{LockProof, Outcome, Refusal};
use parcelshelf_core::time::Timestamp;

use super::{CarReading, CloseReport};
use crate::conditions::OpenPermit;
use crate::grant::BlockEpoch;

/// Who asks for a lock or acknowledges an alarm.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum By {
    Courier,
    Owner,
    /// The keyholder itself.
    Keyholder,
    /// A person on duty.
    Operator,
}
impl By {
    pub const ALL: [Self; 4] = [Self::Courier, Self::Owner, Self::Keyholder, Self::Operator];
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Courier => "courier",
            Self::Owner => "owner",
            Self::Keyholder => "keyholder",
            Self::Operator => "operator",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.code() == code)
    }
}

/// What happens to an attempt.
#[derive(Debug)]
pub enum Event {
    /// The transaction with intent, reserved use and leaf is durable. `epoch` is the block epoch read once more, just
    /// before the command would leave.
    IntentDurable { epoch: BlockEpoch },
    /// The command has left.
    CommandSent { at: Timestamp },
    /// What the maker said to the open command, or what `reconcile` found. `may_act_until`: until when it may still
    /// act (`None`: not any more). `ready_until`: until when a hand at the lid completes it.
    CommandAnswered { outcome: Outcome, may_act_until: Option<Timestamp>, ready_until: Option<Timestamp> },
    /// The maker takes its time with the open command: its handle is kept and asked after. Until when it may still act.
    CommandUnderWay { may_act_until: Option<Timestamp> },
    /// The car's state was read.
    CarRead(CarReading),
    /// The car's state could not be read.
    CarUnreadable,
    /// The camera behind a front door shows nothing new any more.
    CameraLost,
    /// The courier says: closed.
    CloseReported(CloseReport),
    /// What the maker said to the lock command.
    LockAnswered { outcome: Outcome },
    /// Somebody asks for a lock. Never refused.
    LockRequested(By),
    /// The same courier asks to open once more, with conditions judged anew. `epoch` as read in this transaction.
    ReopenRequested { permit: OpenPermit, epoch: BlockEpoch },
    /// The courier has ended the stop: no reopening will be asked for.
    StopEnded,
    /// The time of the last `SetTimer` has come.
    Timer,
    /// The owner blocked. No open command leaves from now on.
    Blocked,
    /// Restored after a crash. Never opens again.
    Recovered,
    /// A person has taken note of the alarm.
    Acknowledged { by: By },
}

/// What the shell must do, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Send the prepared open command, once. `command` counts from 1.
    SendOpen { command: u8 },
    /// Prepare and send a lock command.
    SendLock,
    /// Read the car's state at this time; replaces a pending read.
    ReadCar { at: Timestamp },
    /// Give [`Event::Timer`] at this time; replaces the pending timer.
    SetTimer { at: Timestamp },
    /// The use is spent.
    SpendUse,
    /// The use can be reserved again.
    ReturnUse,
    /// Record with a leaf.
    Record(RecordKind),
    /// A person must look.
    Raise(AlarmCause),
    /// Tell owner and courier.
    Notify(Notice),
    /// The courier may go on to the next stop.
    Release,
    /// The courier must come back (recovery locate).
    Recall,
    /// A reopening was refused; nothing has changed.
    RefuseReopen(ReopenRefused),
    /// The attempt is over: remove its recovery row. Lock stays possible.
    Finish,
}

/// What is recorded of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RecordKind {
    /// Written in the transaction of the intent, before anything leaves. The command counts from 1.
    OpenIntended(u8),
    Armed,
    Opened,
    OpenUnknown,
    OpenDidNotHappen(Refusal),
    Closed,
    LockSent(By),
    LockAnswered(Outcome),
    Locked(LockProof),
    AlarmRaised(AlarmCause),
    AlarmAcknowledged(By),
    Blocked,
    Recovered,
}
impl RecordKind {
    /// The stable word in the log; details (a refusal, a proof, a cause) have codes of their own.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::OpenIntended(_) => "open_intended",
            Self::Armed => "open_armed",
            Self::Opened => "opened",
            Self::OpenUnknown => "open_unknown",
            Self::OpenDidNotHappen(_) => "open_did_not_happen",
            Self::Closed => "closed",
            Self::LockSent(_) => "lock_sent",
            Self::LockAnswered(_) => "lock_answered",
            Self::Locked(_) => "locked",
            Self::AlarmRaised(_) => "alarm_raised",
            Self::AlarmAcknowledged(_) => "alarm_acknowledged",
            Self::Blocked => "blocked",
            Self::Recovered => "recovered",
        }
    }
    /// The code of the detail, if the kind has one.
    #[must_use]
    pub const fn detail(self) -> Option<&'static str> {
        match self {
            Self::OpenDidNotHappen(refusal) => Some(refusal.code()),
            Self::LockSent(by) | Self::AlarmAcknowledged(by) => Some(by.code()),
            Self::LockAnswered(outcome) => Some(outcome_code(outcome)),
            Self::Locked(proof) => Some(proof.code()),
            Self::AlarmRaised(cause) => Some(cause.code()),
            Self::OpenIntended(_)
            | Self::Armed
            | Self::Opened
            | Self::OpenUnknown
            | Self::Closed
            | Self::Blocked
            | Self::Recovered => None,
        }
    }
}

const fn outcome_code(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done(_) => "done",
        Outcome::DidNotHappen(refusal) => refusal.code(),
        Outcome::Unknown => "unknown",
    }
}

/// Why a person must look.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AlarmCause {
    /// The lid has been open for three minutes.
    OpenTooLong,
    /// The lock commands failed, or the car's state says that it is not locked.
    LockFailed,
    /// The lock cannot be proved: the car cannot be read and the maker did not say "done".
    LockUnproved,
    /// Only the courier says that it is locked.
    AttestedOnly,
    /// Locked and released, then seen open again.
    OpenedAgain,
    /// Its drive was told to shut it, and it stands open: something is in its way, it came up again, or it stopped half way.
    DoesNotShut,
    /// It was open when it was last seen, and nobody can say how it is now.
    LostWhileOpen,
    /// Its camera shows nothing new, and the door is not proved locked: nobody sees what happens behind it.
    CameraLost,
}
impl AlarmCause {
    pub const ALL: [Self; 8] = [
        Self::OpenTooLong,
        Self::LockFailed,
        Self::LockUnproved,
        Self::AttestedOnly,
        Self::OpenedAgain,
        Self::DoesNotShut,
        Self::LostWhileOpen,
        Self::CameraLost,
    ];
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::OpenTooLong => "open_too_long",
            Self::LockFailed => "lock_failed",
            Self::LockUnproved => "lock_unproved",
            Self::AttestedOnly => "attested_only",
            Self::OpenedAgain => "opened_again",
            Self::DoesNotShut => "does_not_shut",
            Self::LostWhileOpen => "lost_while_open",
            Self::CameraLost => "camera_lost",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.code() == code)
    }
}

/// What owner and courier are told; who is told what is the shell's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// Pull the handle until then.
    Ready {
        until: Timestamp,
    },
    /// Nobody can say: look at the lid.
    LookAtTheLid,
    Opened,
    /// It did not open and will not.
    WillNotOpen(Refusal),
    /// The maker said "did not happen", but it may until then.
    MayStillOpen {
        until: Timestamp,
    },
    Closed,
    /// Closed according to the courier, still open according to the car.
    StillOpen,
    Locked(LockProof),
    /// The cause of the alarm is gone: the lock is proved.
    AllClear,
    Blocked {
        may_act_until: Option<Timestamp>,
    },
}
impl Notice {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::LookAtTheLid => "look_at_the_lid",
            Self::Opened => "opened",
            Self::WillNotOpen(_) => "will_not_open",
            Self::MayStillOpen { .. } => "may_still_open",
            Self::Closed => "closed",
            Self::StillOpen => "still_open",
            Self::Locked(_) => "locked",
            Self::AllClear => "all_clear",
            Self::Blocked { .. } => "blocked",
        }
    }
}

/// Why a reopening was refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReopenRefused {
    /// Not closed, or nothing was opened: join the attempt instead.
    NotClosed,
    /// More than three minutes after the close.
    TooLate,
    /// One reopening, three commands.
    UsedUp,
    /// After a crash nothing opens again.
    Recovered,
    Blocked,
    /// An open whose outcome nobody knows is never retried.
    Unknown,
    /// A person must look first.
    Alarm,
    /// The permit is stale or for another grant.
    Permit,
    /// The attempt is over.
    Ended,
}
impl ReopenRefused {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotClosed => "not_closed",
            Self::TooLate => "too_late",
            Self::UsedUp => "used_up",
            Self::Recovered => "recovered",
            Self::Blocked => "blocked",
            Self::Unknown => "unknown_outcome",
            Self::Alarm => "alarm",
            Self::Permit => "permit",
            Self::Ended => "ended",
        }
    }
}
