//! A grant, a chain, a car's readings: what the stories and laws share.

use parcelshelf_core::actuation::{AccessClass, Shuts};
use parcelshelf_core::area::{Area, Cell, Position};
use parcelshelf_core::id::{AttemptId, GrantId};
use parcelshelf_core::reason::Purpose;
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_opening::attempt::{Attempt, CarReading, Effect, Lid, Lock, MakerRules};
use parcelshelf_opening::conditions::{self, Consents, Fact, LocateFacts, OpenFacts, OpenPermit};
use parcelshelf_opening::grant::{Allowance, BlockEpoch, GrantState, VerifiedChain};

pub const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
pub const GRANT: GrantId = GrantId::from_bytes([1; 16]);
pub const EPOCH: BlockEpoch = BlockEpoch::new(7);
pub const CLASS: AccessClass = AccessClass::TailgateWithCabin;

/// A maker whose unlock is a window that a hand at the tailgate completes, with every state readable.
pub const WINDOW_MAKER: MakerRules = MakerRules {
    unanswered_may_act_for_ms: 60_000,
    default_window_ms: 300_000,
    opening_is_a_window: true,
    lid_state_observed: true,
    lock_state_observed: true,
    shuts: Shuts::ByHand,
    at_home: false,
};
/// A maker that pops the trunk.
pub const POP_MAKER: MakerRules = MakerRules { opening_is_a_window: false, default_window_ms: 0, ..WINDOW_MAKER };
/// A garage door with a drive.
pub const DRIVE_MAKER: MakerRules = MakerRules { shuts: Shuts::ByCommand, at_home: true, ..POP_MAKER };
/// A front door: its bolt is drawn for a while, and a hand opens and shuts it.
pub const FRONT_MAKER: MakerRules = MakerRules { at_home: true, default_window_ms: 60_000, ..WINDOW_MAKER };
/// A maker that tells nothing about lid and lock.
pub const BLIND_MAKER: MakerRules = MakerRules { lid_state_observed: false, lock_state_observed: false, ..POP_MAKER };

pub fn at(s: i64) -> Timestamp {
    NOON.plus_seconds(s)
}
pub fn attempt_id(n: u8) -> AttemptId {
    AttemptId::from_bytes([n; 16])
}
pub fn day() -> Window {
    Window::new(NOON, NOON.plus_seconds(14_400)).unwrap()
}
pub fn grant() -> GrantState {
    GrantState::accepted(GRANT, day(), Allowance::Once, EPOCH)
}
pub fn car() -> Position {
    Position::new(57.725, 11.85, 25.0).unwrap()
}
pub fn area() -> Area {
    Area::new(vec![Cell::of(&car())]).unwrap()
}

/// Facts under which everything may be opened.
pub fn good_facts(area: &Area, now: Timestamp) -> OpenFacts<'_> {
    OpenFacts {
        locate: LocateFacts {
            now,
            grant: GRANT,
            grant_window: Window::new(now.plus_seconds(-60), now.plus_seconds(3_600)).unwrap(),
            delegation_window: Window::new(now.plus_seconds(-60), now.plus_seconds(3_000)).unwrap(),
            blocked: false,
            area,
            parked: Fact::Inferred,
            car: Some(car()),
            inside_rule: Fact::Yes,
            phone: Some(car().moved(90.0, 40.0)),
            parkings_shown: 1,
            parking_shown_before: true,
        },
        purpose: Purpose::Delivery,
        located: true,
        same_parking: Fact::Yes,
        closed: Fact::Yes,
        not_in_use: Fact::Inferred,
        nobody_inside: Fact::Unknown,
        class: CLASS,
        granted: &[CLASS],
        supported: &[CLASS],
        attempts: 0,
        owner_tap: false,
        plate_read: false,
    }
}
pub const CONSENTS: Consents =
    Consents { parked_inferred: true, not_in_use_inferred: true, nobody_inside: true, closed: false };

pub fn permit(now: Timestamp) -> OpenPermit {
    conditions::open(&good_facts(&area(), now), &CONSENTS).unwrap()
}
pub fn chain(now: Timestamp) -> VerifiedChain {
    grant().reserve(permit(now), attempt_id(1), now, EPOCH).unwrap().1
}
pub fn intended(rules: MakerRules) -> Attempt {
    Attempt::intend(chain(NOON), rules, NOON).0
}

pub fn reading(lid: Lid, lid_s: i64, lock: Lock, lock_s: i64, read_s: i64) -> CarReading {
    CarReading {
        lock,
        lid,
        doors_all_closed: Some(true),
        lid_changed_at: Some(at(lid_s)),
        lock_changed_at: Some(at(lock_s)),
        read_at: at(read_s),
    }
}
/// As it stood for an hour before.
pub fn untouched(read_s: i64) -> CarReading {
    reading(Lid::Closed, -3_600, Lock::Locked, -3_600, read_s)
}

pub fn sends_open(effects: &[Effect]) -> bool {
    effects.iter().any(|e| matches!(e, Effect::SendOpen { .. }))
}
pub fn sends_lock(effects: &[Effect]) -> bool {
    effects.contains(&Effect::SendLock)
}
