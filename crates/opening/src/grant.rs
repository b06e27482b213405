//! A grant and its use: reserved, then spent or returned; standing rules; block.
//!
//! ```text
//!             reserve                 spend (opened, or nobody can say)
//!   Free ───────────────▶ Reserved ───────────────────────────────────▶ Spent
//!     ▲                      │
//!     └──────────────────────┘ give back (definitely did not happen and can no longer run)
//! ```
//!
//! [`handle`] is the table; the methods of [`GrantState`] are its transitions by name. The shell runs them on the
//! locked row of the grant, in the transaction that also writes the attempt's intent and the leaf.

mod standing;

pub use standing::{
    ANNOUNCED_BEFORE_MS, ANNOUNCED_WINDOW_MIN_MS, Calendar, Covered, LocalDate, NotARule, NotCovered,
    STANDING_DAYS_MAX, StandingRule, WeeklyHours,
};

use std::collections::BTreeMap;

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::id::{AttemptId, GrantId};
use parcelshelf_core::time::{Timestamp, Window};

use crate::conditions::{OpenPermit, Presence};

/// A permit older than this does not reserve: the conditions were judged on facts of that moment. Ten seconds cover
/// the transaction's wait on a busy store; a parked car with a courier at it does not change faster.
pub const PERMIT_VALID_MS: i64 = 10_000;

/// Counts the owner's blocks. Compared, never computed with: another number means that something was blocked since.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BlockEpoch(u64);
impl BlockEpoch {
    #[must_use]
    pub const fn new(count: u64) -> Self {
        Self(count)
    }
    #[must_use]
    pub const fn count(self) -> u64 {
        self.0
    }
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What became of one use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Use {
    Reserved(AttemptId),
    Spent(AttemptId),
}
impl Use {
    #[must_use]
    pub const fn attempt(self) -> AttemptId {
        match self {
            Self::Reserved(a) | Self::Spent(a) => a,
        }
    }
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Reserved(_) => "reserved",
            Self::Spent(_) => "spent",
        }
    }
    /// The reverse of [`Use::code`].
    #[must_use]
    pub fn parse(code: &str, attempt: AttemptId) -> Option<Self> {
        match code {
            "reserved" => Some(Self::Reserved(attempt)),
            "spent" => Some(Self::Spent(attempt)),
            _ => None,
        }
    }
}

/// Which use of a grant: its only one, or that of one local date under a standing rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum UseSlot {
    Only,
    On(LocalDate),
}

/// How often a grant may be used.
#[derive(Clone, PartialEq, Debug)]
pub enum Allowance {
    Once,
    /// Once per local date on which the rule's hours allow it.
    Standing(StandingRule),
}

/// A grant as the keyholder keeps it.
#[derive(Clone, PartialEq, Debug)]
pub struct GrantState {
    id: GrantId,
    window: Window,
    allowance: Allowance,
    epoch: BlockEpoch,
    blocked_at: Option<Timestamp>,
    uses: BTreeMap<UseSlot, Use>,
}

/// The plain fields of a [`GrantState`], for a row type.
#[derive(Clone, PartialEq, Debug)]
pub struct GrantParts {
    pub id: GrantId,
    pub window: Window,
    pub allowance: Allowance,
    pub epoch: BlockEpoch,
    pub blocked_at: Option<Timestamp>,
    pub uses: Vec<(UseSlot, Use)>,
}

/// Parts that no grant can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImpossibleGrant {
    #[error("one use is listed twice")]
    UseTwice,
    #[error("a use does not fit the allowance")]
    UseOfAnotherKind,
    #[error("one attempt holds two uses")]
    AttemptTwice,
}

/// Proof that a chain was verified, its conditions held, and a use was reserved for this attempt: the right to send
/// one open command. Only [`GrantState::reserve`] (and a reopening inside a live attempt) makes one; it is consumed by
/// the attempt and cannot be copied or stored.
///
/// ```compile_fail,E0382
/// # use parcelshelf_opening::attempt::{Attempt, MakerRules};
/// # use parcelshelf_opening::grant::VerifiedChain;
/// # use parcelshelf_core::time::Timestamp;
/// fn two_attempts(chain: VerifiedChain, rules: MakerRules, now: Timestamp) {
///     let _ = Attempt::intend(chain, rules, now);
///     let _ = Attempt::intend(chain, rules, now);
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a reserved use belongs to an attempt"]
pub struct VerifiedChain {
    grant: GrantId,
    attempt: AttemptId,
    epoch: BlockEpoch,
    class: AccessClass,
    presence: Presence,
    at: Timestamp,
}
impl VerifiedChain {
    #[must_use]
    pub const fn grant(&self) -> GrantId {
        self.grant
    }
    #[must_use]
    pub const fn attempt(&self) -> AttemptId {
        self.attempt
    }
    #[must_use]
    pub const fn epoch(&self) -> BlockEpoch {
        self.epoch
    }
    #[must_use]
    pub const fn class(&self) -> AccessClass {
        self.class
    }
    #[must_use]
    pub const fn presence(&self) -> Presence {
        self.presence
    }
    /// When the use was reserved.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }
    /// For a reopening inside the attempt that already holds the use.
    pub(crate) fn for_reopening(
        permit: &OpenPermit,
        grant: GrantId,
        attempt: AttemptId,
        epoch: BlockEpoch,
        now: Timestamp,
    ) -> Result<Self, Refused> {
        if permit.grant() != grant {
            return Err(Refused::AnotherGrant);
        }
        fresh(permit, now)?;
        Ok(Self { grant, attempt, epoch, class: permit.class(), presence: permit.presence(), at: now })
    }
}

/// Why a transition was refused. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.code())]
pub enum Refused {
    /// The owner has blocked the grant, or something since the conditions were judged.
    Blocked,
    /// Outside the grant's window.
    OutsideWindow,
    /// Outside the hours of the standing rule.
    OutsideHours,
    /// The use is reserved for another attempt.
    InUse,
    /// The use is spent.
    Spent,
    /// This attempt holds no use here.
    NotReserved,
    /// The permit was made for another grant.
    AnotherGrant,
    /// The conditions were judged too long ago.
    StalePermit,
}
impl Refused {
    pub const ALL: [Self; 8] = [
        Self::Blocked,
        Self::OutsideWindow,
        Self::OutsideHours,
        Self::InUse,
        Self::Spent,
        Self::NotReserved,
        Self::AnotherGrant,
        Self::StalePermit,
    ];
    /// The stable word in records and problems.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::OutsideWindow => "outside_window",
            Self::OutsideHours => "outside_hours",
            Self::InUse => "in_use",
            Self::Spent => "spent",
            Self::NotReserved => "not_reserved",
            Self::AnotherGrant => "another_grant",
            Self::StalePermit => "stale_permit",
        }
    }
}

/// What happens to a grant.
#[derive(Debug)]
pub enum Event {
    /// An open was asked for and its conditions hold. `epoch` is the owner's block epoch read in this transaction.
    Reserve { permit: OpenPermit, attempt: AttemptId, epoch: BlockEpoch },
    /// It opened, or nobody can say that it did not.
    Spend { attempt: AttemptId },
    /// It definitely did not happen and can no longer run.
    GiveBack { attempt: AttemptId },
    /// The owner blocks the grant.
    Block,
    /// The owner lifts the block. Attempts refused meanwhile stay refused.
    Unblock,
}

/// What the shell must do after a transition, besides storing the state.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Begin the attempt with [`Attempt::intend`](crate::attempt::Attempt::intend), in the same transaction.
    Intend(VerifiedChain),
    /// A use is spent.
    UseSpent(AttemptId),
    /// A use can be reserved again.
    UseReturned(AttemptId),
    /// Tell this attempt that it is blocked ([`attempt::Event::Blocked`](crate::attempt::Event::Blocked)).
    BlockAttempt(AttemptId),
}

/// The table of a grant: state, event, now → state, effects. On an error nothing has changed.
///
/// # Errors
/// [`Refused`] for what the state does not allow.
pub fn handle(state: &GrantState, event: Event, now: Timestamp) -> Result<(GrantState, Vec<Effect>), Refused> {
    match event {
        Event::Reserve { permit, attempt, epoch } => {
            let (next, chain) = state.reserve(permit, attempt, now, epoch)?;
            Ok((next, vec![Effect::Intend(chain)]))
        }
        Event::Spend { attempt } => Ok((state.spend(attempt)?, vec![Effect::UseSpent(attempt)])),
        Event::GiveBack { attempt } => Ok((state.give_back(attempt)?, vec![Effect::UseReturned(attempt)])),
        Event::Block => {
            let next = state.block(now);
            let live = state.reserved().map(Effect::BlockAttempt).collect();
            Ok((next, live))
        }
        Event::Unblock => Ok((state.unblock(), vec![])),
    }
}

impl GrantState {
    /// A grant accepted now, with its use free. `epoch` is the owner's block epoch at acceptance.
    #[must_use]
    pub const fn accepted(id: GrantId, window: Window, allowance: Allowance, epoch: BlockEpoch) -> Self {
        Self { id, window, allowance, epoch, blocked_at: None, uses: BTreeMap::new() }
    }
    #[must_use]
    pub const fn id(&self) -> GrantId {
        self.id
    }
    #[must_use]
    pub const fn window(&self) -> Window {
        self.window
    }
    #[must_use]
    pub const fn allowance(&self) -> &Allowance {
        &self.allowance
    }
    /// The block epoch that counts for new reservations.
    #[must_use]
    pub const fn epoch(&self) -> BlockEpoch {
        self.epoch
    }
    #[must_use]
    pub const fn blocked_at(&self) -> Option<Timestamp> {
        self.blocked_at
    }
    /// Every use that is not free.
    pub fn uses(&self) -> impl Iterator<Item = (UseSlot, Use)> + '_ {
        self.uses.iter().map(|(slot, u)| (*slot, *u))
    }
    /// The use that would be reserved now, if any is allowed now.
    ///
    /// # Errors
    /// [`Refused::OutsideWindow`] or [`Refused::OutsideHours`].
    pub fn slot(&self, now: Timestamp) -> Result<UseSlot, Refused> {
        if !self.window.contains(now) {
            return Err(Refused::OutsideWindow);
        }
        match &self.allowance {
            Allowance::Once => Ok(UseSlot::Only),
            Allowance::Standing(rule) if rule.calendar().allows(now) => {
                Ok(UseSlot::On(rule.calendar().local_date(now)))
            }
            Allowance::Standing(_) => Err(Refused::OutsideHours),
        }
    }
    /// The use of `attempt`, if it holds one.
    #[must_use]
    pub fn use_of(&self, attempt: AttemptId) -> Option<Use> {
        self.uses.values().copied().find(|u| u.attempt() == attempt)
    }
    /// Attempts that hold a reserved use now.
    pub fn reserved(&self) -> impl Iterator<Item = AttemptId> + '_ {
        self.uses.values().filter_map(|u| match u {
            Use::Reserved(a) => Some(*a),
            Use::Spent(_) => None,
        })
    }

    /// Reserves the use of this moment for `attempt`. `epoch` is the owner's block epoch as read on the locked row, in
    /// this transaction.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn reserve(
        &self,
        permit: OpenPermit,
        attempt: AttemptId,
        now: Timestamp,
        epoch: BlockEpoch,
    ) -> Result<(Self, VerifiedChain), Refused> {
        if permit.grant() != self.id {
            return Err(Refused::AnotherGrant);
        }
        if self.blocked_at.is_some() || epoch != self.epoch {
            return Err(Refused::Blocked);
        }
        fresh(&permit, now)?;
        let slot = self.slot(now)?;
        match self.uses.get(&slot) {
            Some(Use::Spent(_)) => return Err(Refused::Spent),
            Some(Use::Reserved(_)) => return Err(Refused::InUse),
            None => {}
        }
        if self.use_of(attempt).is_some() {
            return Err(Refused::InUse);
        }
        let mut next = self.clone();
        next.uses.insert(slot, Use::Reserved(attempt));
        let (class, presence) = (permit.class(), permit.presence());
        Ok((next, VerifiedChain { grant: self.id, attempt, epoch, class, presence, at: now }))
    }

    /// The use was used, or nobody can say that it was not. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`Refused::NotReserved`] if this attempt holds no use here.
    pub fn spend(&self, attempt: AttemptId) -> Result<Self, Refused> {
        let slot = self.slot_of(attempt)?;
        let mut next = self.clone();
        next.uses.insert(slot, Use::Spent(attempt));
        Ok(next)
    }

    /// The use was definitely not used and can no longer be.
    ///
    /// # Errors
    /// [`Refused::NotReserved`] if this attempt holds no use, [`Refused::Spent`] if it is spent: that is never undone.
    pub fn give_back(&self, attempt: AttemptId) -> Result<Self, Refused> {
        let slot = self.slot_of(attempt)?;
        if matches!(self.uses.get(&slot), Some(Use::Spent(_))) {
            return Err(Refused::Spent);
        }
        let mut next = self.clone();
        next.uses.remove(&slot);
        Ok(next)
    }

    /// Blocks the grant and moves its epoch, so that an intent written before does not leave any more. Repeating it
    /// keeps the first time.
    #[must_use]
    pub fn block(&self, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.blocked_at = Some(self.blocked_at.unwrap_or(now));
        next.epoch = self.epoch.next();
        next
    }

    /// Lifts the block for what is asked from now on.
    #[must_use]
    pub fn unblock(&self) -> Self {
        let mut next = self.clone();
        next.blocked_at = None;
        next
    }

    /// The owner blocked everything: takes over the wallet's newer epoch without blocking this grant by itself.
    #[must_use]
    pub fn with_epoch(&self, epoch: BlockEpoch) -> Self {
        let mut next = self.clone();
        next.epoch = self.epoch.max(epoch);
        next
    }

    /// Whether no use can be reserved at any later time.
    #[must_use]
    pub fn is_used_up(&self, now: Timestamp) -> bool {
        now >= self.window.end()
            || (matches!(self.allowance, Allowance::Once)
                && matches!(self.uses.get(&UseSlot::Only), Some(Use::Spent(_))))
    }

    /// The plain fields, for a row type.
    #[must_use]
    pub fn into_parts(self) -> GrantParts {
        GrantParts {
            id: self.id,
            window: self.window,
            allowance: self.allowance,
            epoch: self.epoch,
            blocked_at: self.blocked_at,
            uses: self.uses.into_iter().collect(),
        }
    }

    /// From a row type.
    ///
    /// # Errors
    /// [`ImpossibleGrant`] for parts that no sequence of transitions makes.
    pub fn from_parts(parts: GrantParts) -> Result<Self, ImpossibleGrant> {
        let mut uses = BTreeMap::new();
        for (slot, u) in parts.uses {
            let fits = match &parts.allowance {
                Allowance::Once => slot == UseSlot::Only,
                Allowance::Standing(_) => matches!(slot, UseSlot::On(_)),
            };
            if !fits {
                return Err(ImpossibleGrant::UseOfAnotherKind);
            }
            if uses.values().any(|other: &Use| other.attempt() == u.attempt()) {
                return Err(ImpossibleGrant::AttemptTwice);
            }
            if uses.insert(slot, u).is_some() {
                return Err(ImpossibleGrant::UseTwice);
            }
        }
        let GrantParts { id, window, allowance, epoch, blocked_at, .. } = parts;
        Ok(Self { id, window, allowance, epoch, blocked_at, uses })
    }

    fn slot_of(&self, attempt: AttemptId) -> Result<UseSlot, Refused> {
        self.uses.iter().find(|(_, u)| u.attempt() == attempt).map(|(slot, _)| *slot).ok_or(Refused::NotReserved)
    }
}

fn fresh(permit: &OpenPermit, now: Timestamp) -> Result<(), Refused> {
    let age = now.millis_since(permit.at());
    if (0..=PERMIT_VALID_MS).contains(&age) { Ok(()) } else { Err(Refused::StalePermit) }
}
