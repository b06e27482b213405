//! One attempt to open, from the intent to the lock proof.
//!
//! ```text
//! Intended ─▶ Sent ─┬▶ Armed ───┬▶ Open ─▶ Locking ─▶ Locked(proof) ─▶ end
//!                   ├▶ Unknown ─┤    ▲        │            │
//!                   │           │    └────────┘ lid open   └─▶ Intended (one reopening)
//!                   └▶ DidNotHappen ─▶ end
//! an alarm may be raised beside Unknown, Open, Locking and Locked(attested); it ends in a proof or with a person
//! ```
//!
//! Laws, kept by types and tested as properties:
//! * Each `SendOpen` consumes one [`VerifiedChain`], and only after `IntentDurable`.
//! * An unknown open is never retried. What is restored from a store has lost the right to open for good.
//! * Lock may be asked for in every state, also after the end, and is never refused.
//! * An attempt ends in a lock proof, in "did not happen", or in an alarm that a person has acknowledged.
//! * The use is spent if it opened or nobody can say; it is returned only if it did not happen and can no longer run.
//!
//! The shell's part: carry out each [`Effect`] in order; keep one timer and one pending read per attempt (a newer
//! `SetTimer` or `ReadCar` replaces the older); store [`Attempt::parts`] with the intent.

mod deadlines;
mod locking;
mod machine;
mod parts;
mod shutting;
mod words;

pub use parts::{
    AlarmState, Attempt, AttemptParts, CarReading, CloseReport, ImpossibleAttempt, Lid, Lock, LockProgress, MakerRules,
    Phase, UseFate,
};
pub use words::{AlarmCause, By, Effect, Event, Notice, RecordKind, ReopenRefused};

/// Open commands in one attempt: the opening, the reopening, and one more if the reopening did not happen.
pub const COMMANDS_MAX: u8 = 3;
/// A reopening is asked for at most this long after the close: the second parcel forgotten on the sack truck.
pub const REOPEN_WITHIN_MS: i64 = 180_000;
/// A command that the maker is still at, and answers for, is quietly waited for this long; then the courier is asked to
/// look at the lid. A sleeping car takes half a minute.
pub const UNDER_WAY_QUIET_MS: i64 = 45_000;
/// A maker that says "under way" for longer than this after sending is not believed to come to an end.
pub const UNDER_WAY_MAX_MS: i64 = 600_000;
/// A lid open for longer than this raises the alarm: loading takes seconds, three minutes are a problem.
pub const OPEN_TOO_LONG_MS: i64 = 180_000;
/// What a drive shuts is open for a courier's steps in and out; then it is shut, whoever has said so. Drives that are told from
/// afar sound a warning first and yield to what is in their way (UL 325, EN 13241).
pub const INSIDE_MS: i64 = 120_000;
/// So long after it was told a drive may still sound its warning. What stands open later does not move.
pub const SHUT_BEGINS_MS: i64 = 15_000;
/// So long after the close without a problem the courier may go on, proof or not; a failure recalls them.
pub const RELEASE_AFTER_MS: i64 = 20_000;
/// An intent that is not durable after this long is withdrawn; nothing has left.
pub const INTENT_PATIENCE_MS: i64 = 30_000;
/// An answer without an end of what may act still gets this long for the car's state to show; clouds lag.
pub const CONCLUDE_GRACE_MS: i64 = 60_000;
/// Reads while a courier waits for the car: every 2 s for the first 30 s, so that the screen is honest …
pub const READ_FAST_MS: i64 = 2_000;
/// … for this long, …
pub const READ_FAST_FOR_MS: i64 = 30_000;
/// … then, and while the courier's hands are busy, every 5 s: makers count reads per day as well as per minute.
pub const READ_MS: i64 = 5_000;
/// Reads beside an alarm: nobody watches a screen any more.
pub const READ_ALARM_MS: i64 = 15_000;
/// Reads of an attempt that has stayed open for half an hour and more.
pub const READ_SLOW_MS: i64 = 60_000;
/// A read without a result for this long is asked for again.
pub const READ_LOST_MS: i64 = 60_000;
/// Lock commands before the alarm. Makers allow 10 commands a minute; a lid ajar is seen on the second try.
pub const LOCK_TRIES: u8 = 5;
/// A door that its drive does not shut is told again after a minute so often, in some nine minutes; then somebody has been called for
/// long, and it is told at this pace. Each word is a record, and a case holds 128.
pub const DOOR_TRIES: u8 = 12;
pub const DOOR_PAUSE_MS: i64 = 300_000;
/// The alarm comes at the latest this long after the first lock command.
pub const LOCK_PATIENCE_MS: i64 = 120_000;
/// Pauses after each failed lock command; the last one repeats.
pub const LOCK_BACKOFF_MS: [i64; 5] = [2_000, 5_000, 15_000, 30_000, 60_000];
/// A lock that the maker called done is proved by that word only after the car's state could not be read for this
/// long since: a reading is the stronger proof.
pub const EXECUTED_AFTER_MS: i64 = 30_000;
/// A lock command without an answer for this long counts as unknown.
pub const LOCK_LOST_MS: i64 = 60_000;
/// A lock asked for again within this time joins the command that is under way.
pub const LOCK_JOIN_MS: i64 = 5_000;
/// After a person acknowledged the alarm of a car that may be open, it is watched (and locked) this long still.
pub const WATCH_ACKNOWLEDGED_MS: i64 = 1_800_000;
/// How much earlier than the intent a maker's time may lie and still count as newer: whole seconds and clocks differ.
/// Errs towards "it opened".
pub const CLOCK_SKEW_MS: i64 = 2_000;

/// What one step collects.
type Effects = Vec<Effect>;
