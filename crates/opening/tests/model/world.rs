//! One state of everything: what the keyholder has on its disk and in memory, what is on the wires, the car, the owner.
//!
//! Time goes in steps of one minute, so that every order of what happens within a minute is tried.

use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_opening::attempt::{AttemptParts, CarReading, Lid, Lock};
use parcelshelf_opening::grant::{Allowance, BlockEpoch, GrantParts, GrantState, Use, UseSlot};

use crate::support::{EPOCH, GRANT, NOON};

/// A step of the model's clock. The maker of the model may act exactly this long after a command left.
pub const MINUTE_MS: i64 = 60_000;
/// Two couriers' devices, each with one proof: at most two attempts.
pub const DEVICES: usize = 2;
/// The grant may be used so many minutes; the clock goes on a while after it.
pub const WINDOW_MINUTES: u8 = 2;

/// Minutes since the story began.
pub fn at(minute: u8) -> Timestamp {
    NOON.plus_millis(i64::from(minute) * MINUTE_MS)
}

/// The row of the owner's grant.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct GrantRow {
    pub epoch: u64,
    pub blocked_at: Option<Timestamp>,
    pub used: Option<Use>,
}
impl GrantRow {
    pub fn accepted() -> Self {
        Self { epoch: EPOCH.count(), blocked_at: None, used: None }
    }
    pub fn window() -> Window {
        Window::new(NOON, at(WINDOW_MINUTES)).unwrap()
    }
    /// The real machine, out of the row.
    pub fn state(&self) -> GrantState {
        GrantState::from_parts(GrantParts {
            id: GRANT,
            window: Self::window(),
            allowance: Allowance::Once,
            epoch: BlockEpoch::new(self.epoch),
            blocked_at: self.blocked_at,
            uses: self.used.map(|u| (UseSlot::Only, u)).into_iter().collect(),
        })
        .unwrap()
    }
    pub fn of(state: GrantState) -> Self {
        let parts = state.into_parts();
        Self {
            epoch: parts.epoch.count(),
            blocked_at: parts.blocked_at,
            used: parts.uses.first().map(|(_, used)| *used),
        }
    }
}

/// Who asks: a courier's device with its one proof, or a carrier that has no grant of this owner.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Asker {
    Device(usize),
    Forger,
}

/// Conditions judged, nothing reserved yet.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Judged {
    pub asker: Asker,
    pub minute: u8,
    /// The grant as it was read while judging.
    pub seen: GrantRow,
}

/// The right to send: it cannot be stored, so the model makes it again from how it came to be.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Licence {
    pub minute: u8,
    pub epoch: u64,
    /// What the attempt was told since, in minutes.
    pub told: Vec<(Told, u8)>,
}

/// What the keyholder forgets in a crash.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Memory {
    pub judged: Option<Judged>,
    pub licences: [Option<Licence>; DEVICES],
    /// Durable, to be sent next.
    pub open_leaves: [bool; DEVICES],
    pub lock_leaves: [bool; DEVICES],
}

/// An open command that has left the keyholder.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Flight {
    pub attempt: usize,
    pub left: u8,
    pub fate: Fate,
    pub answered: bool,
}
impl Flight {
    pub fn may_act(&self, minute: u8) -> bool {
        self.fate == Fate::Pending && minute == self.left
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fate {
    /// May act until a minute after it left.
    Pending,
    Acted,
    /// The maker said, truly, that it never will.
    Refused,
}

/// The car as it is, whatever anybody believes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Car {
    pub lid_open: bool,
    pub locked: bool,
    pub lid_changed: Timestamp,
    pub lock_changed: Timestamp,
    pub openings: u8,
}
impl Car {
    pub fn parked() -> Self {
        let before = NOON.plus_seconds(-3_600);
        Self { lid_open: false, locked: true, lid_changed: before, lock_changed: before, openings: 0 }
    }
    pub fn pop(&mut self, minute: u8) {
        (self.lid_open, self.locked) = (true, false);
        (self.lid_changed, self.lock_changed) = (at(minute), at(minute));
        self.openings += 1;
    }
    pub fn reading(&self, minute: u8) -> CarReading {
        CarReading {
            lock: if self.locked { Lock::Locked } else { Lock::Unlocked },
            lid: if self.lid_open { Lid::Open } else { Lid::Closed },
            doors_all_closed: Some(true),
            lid_changed_at: Some(self.lid_changed),
            lock_changed_at: Some(self.lock_changed),
            read_at: at(minute),
        }
    }
}

/// How far the owner's block has come.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Block {
    NotAsked,
    /// On the disk; these attempts are still to be told.
    Durable(Vec<usize>),
    /// The owner was answered: settled (`None`), or a command may still act until then.
    Acknowledged {
        until: Option<Timestamp>,
    },
}

/// What an attempt is told, in a form that can be kept and told again.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Told {
    Blocked,
    Timer,
    Recovered,
    OwnerLocks,
    Acknowledged,
    Answered(Answer),
    LockAnswered { done: bool, lid_in_the_way: bool },
    Read(CarReading),
}

/// The maker's words on an open command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    Executed,
    /// It will never act: true.
    Never,
    /// It did not, but may until a minute after it left.
    NotYet {
        left: u8,
    },
    /// No answer came.
    Lost {
        left: u8,
    },
    /// The keyholder's own word: nothing has left.
    NeverSent,
}

/// What no party sees: laws broken on the way.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Broken {
    pub opened_without_grant: bool,
    pub left_without_leaf: bool,
    pub left_after_block: bool,
    pub opened_after_promise: bool,
    pub lock_refused: bool,
    pub returned_while_it_may_act: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub minute: u8,
    pub asked: [bool; DEVICES],
    // The keyholder's disk.
    pub grant: GrantRow,
    pub rows: Vec<AttemptParts>,
    pub nonces: [bool; DEVICES],
    /// By attempt: its intent has a leaf.
    pub leaves: [bool; DEVICES],
    /// The keyholder's memory; `None` after a crash.
    pub memory: Option<Memory>,
    pub crashes: u8,
    pub flights: Vec<Flight>,
    pub answers_lost: u8,
    pub car: Car,
    pub block: Block,
    pub owner_locked: bool,
    /// By attempt: the owner's grant was live when its intent was written. The truth, not what the keyholder read.
    pub intended_under_grant: [bool; DEVICES],
    pub broken: Broken,
}
impl World {
    pub fn first() -> Self {
        Self {
            minute: 0,
            asked: [false; DEVICES],
            grant: GrantRow::accepted(),
            rows: Vec::new(),
            nonces: [false; DEVICES],
            leaves: [false; DEVICES],
            memory: Some(Memory::default()),
            crashes: 0,
            flights: Vec::new(),
            answers_lost: 0,
            car: Car::parked(),
            block: Block::NotAsked,
            owner_locked: false,
            intended_under_grant: [false; DEVICES],
            broken: Broken::default(),
        }
    }
    pub fn now(&self) -> Timestamp {
        at(self.minute)
    }
}
