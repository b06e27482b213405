//! What goes wrong with one delivery: decided by the seed, before the day begins. Pure.

use serde_json::{Value, json};

use parcelshelf_access_homeassistant::{DOORS, GARAGES};
use parcelshelf_access_onstar::MAKER as ONSTAR;
use parcelshelf_access_smartcar::MAKER as SMARTCAR;
use parcelshelf_access_tesla::MAKER as TESLA;

use super::dice::Dice;
use crate::cli::Faults;

/// What befalls the car before the courier comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarFate {
    Stays,
    /// Sleeps, until somebody touches it.
    Asleep,
    /// Is somewhere else inside the area.
    MovedNearby,
    /// Has left the area.
    Left,
    /// Is being driven when the courier comes.
    Driving,
}

/// The bolts when they should engage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoltFate {
    Sound,
    Jams,
    /// The car says that it has locked, and has not.
    JamsUnnoticed,
}

/// What befalls a garage's door, its server, or whoever is to shut it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoorFate {
    Sound,
    /// Something stands in the doorway before the courier comes.
    Blocked,
    /// Something gets into its way while it comes down.
    Obstructed,
    /// The drive stops half way down.
    HalfWay,
    /// The server loses the drive while the courier is inside, for a while.
    DriveOffline,
    /// Nobody answers in that house while the courier is inside, for a while.
    ServerAway,
    /// What the server says of it stands still from before the opening, for a while.
    FrozenShut,
    /// The same from before the word to shut it.
    FrozenOpen,
    /// The courier leaves and says nothing.
    Forgotten,
}

/// What befalls a front door. All of it passes, or is mended by somebody who comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrontFate {
    Sound,
    /// The camera shows its last picture for ever, from before the courier rings.
    CameraFrozen,
    /// It shows what it saw before over and over: somebody who was at the light.
    CameraLooped,
    /// It shows nothing.
    CameraBlind,
    /// It freezes while it is being proved live, or just after that.
    CameraFreezesLate,
    /// The server has lost the lock before the courier rings.
    LockAway,
    /// It loses the lock while the door stands open.
    LockLost,
    /// It loses the lock and all that sees the door, while it stands open.
    NetworkLost,
    /// Nobody answers in that house while the door stands open.
    ServerAway,
    /// The bolt is bent when it should engage.
    BoltBent,
    /// The courier leaves, the door stands open, and nobody says a word.
    Forgotten,
}

/// The label that the courier scans first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanFate {
    Right,
    /// Another parcel's, then the right one.
    WrongFirst,
    /// The parcel is not on the van.
    Missing,
}

/// What the owner does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerFate {
    Allows,
    /// Never answers the request.
    Silent,
    /// Blocks while the courier is on the way.
    Blocks,
}

/// One delivery's fate.
#[derive(Debug, Clone, PartialEq)]
pub struct Fate {
    pub owner: OwnerFate,
    pub car: CarFate,
    pub bolt: BoltFate,
    pub door: DoorFate,
    pub front: FrontFate,
    pub scan: ScanFate,
    /// The lid springs open again so many times before it stays shut.
    pub bounces: u8,
    /// Seconds by which the courier's phone is off.
    pub phone_off_s: i64,
    /// Of the phone's requests, how many get lost or doubled.
    pub phone: PhoneRates,
    /// What the maker's cloud does to this car's requests, as its control path takes it.
    pub cloud: Vec<Value>,
}

/// Shares of a phone's requests.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PhoneRates {
    /// There is no signal for a while: the request does not leave.
    pub not_sent: f64,
    /// The request arrives, its answer does not.
    pub answer_lost: f64,
    /// The request arrives twice.
    pub doubled: f64,
    /// The request is on its way for so long that others overtake it.
    pub delayed: f64,
}

impl Fate {
    #[must_use]
    pub fn draw(faults: Faults, dice: Dice, n: u64, maker: &str) -> Self {
        let fate = match faults {
            Faults::None => Self::good(),
            Faults::Ordinary => Self::ordinary(dice, n),
            Faults::Hostile => Self::hostile(dice, n),
        };
        if maker == GARAGES {
            return fate.at_a_garage(faults, dice, n);
        }
        if maker == DOORS {
            return fate.at_a_front_door(faults, dice, n);
        }
        let cloud = match (faults, maker) {
            (Faults::Ordinary, ONSTAR) => ordinary_second_cloud(dice, n),
            (Faults::Hostile, ONSTAR) => hostile_second_cloud(dice, n),
            (Faults::Ordinary, TESLA) => ordinary_third_cloud(dice, n),
            (Faults::Hostile, TESLA) => hostile_third_cloud(dice, n),
            (Faults::Ordinary, SMARTCAR) => ordinary_fourth_cloud(dice, n),
            (Faults::Hostile, SMARTCAR) => hostile_fourth_cloud(dice, n),
            _ => return fate,
        };
        Self { cloud, ..fate }
    }

    fn good() -> Self {
        Self {
            owner: OwnerFate::Allows,
            car: CarFate::Stays,
            bolt: BoltFate::Sound,
            door: DoorFate::Sound,
            front: FrontFate::Sound,
            scan: ScanFate::Right,
            bounces: 0,
            phone_off_s: 0,
            phone: PhoneRates::default(),
            cloud: Vec::new(),
        }
    }

    /// The same courier, phone and owner, at a house.
    fn at_a_house(self, cloud: Vec<Value>) -> Self {
        let of_good = Self::good();
        Self { car: of_good.car, bolt: of_good.bolt, bounces: of_good.bounces, cloud, ..self }
    }
    fn at_a_garage(self, faults: Faults, dice: Dice, n: u64) -> Self {
        let (doors, cloud) = match faults {
            Faults::None => (&[][..], Vec::new()),
            Faults::Ordinary => (&ORDINARY_DOORS[..], ordinary_house(dice, n)),
            Faults::Hostile => (&HOSTILE_DOORS[..], hostile_house(dice, n)),
        };
        Self { door: pick(dice, "door", n, doors, DoorFate::Sound), ..self.at_a_house(cloud) }
    }
    fn at_a_front_door(self, faults: Faults, dice: Dice, n: u64) -> Self {
        let (fronts, cloud) = match faults {
            Faults::None => (&[][..], Vec::new()),
            Faults::Ordinary => (&ORDINARY_FRONTS[..], ordinary_front(dice, n)),
            Faults::Hostile => (&HOSTILE_FRONTS[..], hostile_front(dice, n)),
        };
        Self { front: pick(dice, "door", n, fronts, FrontFate::Sound), ..self.at_a_house(cloud) }
    }

    /// Rates as owners and couriers report them.
    fn ordinary(dice: Dice, n: u64) -> Self {
        Self {
            owner: pick(dice, "owner", n, &[(0.01, OwnerFate::Silent), (0.005, OwnerFate::Blocks)], OwnerFate::Allows),
            car: pick(
                dice,
                "car",
                n,
                &[
                    (0.02, CarFate::Asleep),
                    (0.02, CarFate::MovedNearby),
                    (0.01, CarFate::Left),
                    (0.01, CarFate::Driving),
                ],
                CarFate::Stays,
            ),
            bolt: pick(dice, "bolt", n, &[(0.003, BoltFate::Jams)], BoltFate::Sound),
            door: DoorFate::Sound,
            front: FrontFate::Sound,
            scan: pick(dice, "scan", n, &[(0.015, ScanFate::WrongFirst), (0.003, ScanFate::Missing)], ScanFate::Right),
            bounces: u8::from(dice.hit("lid", n, 0.02)),
            phone_off_s: 0,
            phone: PhoneRates { not_sent: 0.02, answer_lost: 0.01, doubled: 0.0, delayed: 0.0 },
            cloud: vec![
                rate("unlock", "timeout_acted", 0.01),
                rate("unlock", "timeout_not_acted", 0.01),
                json!({"command": "unlock", "fault": "late", "rate": 0.005, "after_s": dice.between("late", n, 8, 50)}),
                json!({"command": "unlock", "fault": "slow", "rate": 0.03, "slow_s": dice.between("slow", n, 5, 20)}),
                rate("lock", "timeout_acted", 0.01),
                rate("lock", "timeout_not_acted", 0.01),
                rate("any", "429", 0.005),
                rate("doors", "503", 0.01),
                rate("location", "503", 0.005),
                json!({"command": "doors", "fault": "slow", "rate": 0.02, "slow_s": 6}),
            ],
        }
    }

    /// A world that is out for us: a fifth to two fifths of everything goes wrong.
    fn hostile(dice: Dice, n: u64) -> Self {
        let off = dice.between("phone clock", n, 0, 9);
        Self {
            owner: pick(dice, "owner", n, &[(0.02, OwnerFate::Silent), (0.03, OwnerFate::Blocks)], OwnerFate::Allows),
            car: pick(
                dice,
                "car",
                n,
                &[
                    (0.05, CarFate::Asleep),
                    (0.05, CarFate::MovedNearby),
                    (0.04, CarFate::Left),
                    (0.03, CarFate::Driving),
                ],
                CarFate::Stays,
            ),
            bolt: pick(dice, "bolt", n, &[(0.05, BoltFate::Jams), (0.02, BoltFate::JamsUnnoticed)], BoltFate::Sound),
            door: DoorFate::Sound,
            front: FrontFate::Sound,
            scan: pick(dice, "scan", n, &[(0.05, ScanFate::WrongFirst), (0.02, ScanFate::Missing)], ScanFate::Right),
            bounces: u8::try_from(dice.between("lid", n, 0, 9).saturating_sub(7)).unwrap_or(0),
            // One phone in ten is minutes off, and learns the server's time from its answers.
            phone_off_s: match off {
                0 => 240,
                1 => -240,
                _ => 0,
            },
            phone: PhoneRates { not_sent: 0.08, answer_lost: 0.08, doubled: 0.05, delayed: 0.04 },
            cloud: hostile_cloud(dice, n),
        }
    }
}

const ORDINARY_DOORS: [(f64, DoorFate); 6] = [
    (0.01, DoorFate::Blocked),
    (0.02, DoorFate::Obstructed),
    (0.003, DoorFate::HalfWay),
    (0.01, DoorFate::DriveOffline),
    (0.01, DoorFate::ServerAway),
    (0.01, DoorFate::Forgotten),
];
const HOSTILE_DOORS: [(f64, DoorFate); 8] = [
    (0.05, DoorFate::Blocked),
    (0.08, DoorFate::Obstructed),
    (0.06, DoorFate::HalfWay),
    (0.08, DoorFate::DriveOffline),
    (0.08, DoorFate::ServerAway),
    (0.08, DoorFate::FrozenShut),
    (0.08, DoorFate::FrozenOpen),
    (0.05, DoorFate::Forgotten),
];

const ORDINARY_FRONTS: [(f64, FrontFate); 8] = [
    (0.005, FrontFate::CameraFrozen),
    (0.01, FrontFate::CameraBlind),
    (0.01, FrontFate::LockAway),
    (0.01, FrontFate::LockLost),
    (0.01, FrontFate::NetworkLost),
    (0.01, FrontFate::ServerAway),
    (0.01, FrontFate::BoltBent),
    (0.01, FrontFate::Forgotten),
];
const HOSTILE_FRONTS: [(f64, FrontFate); 10] = [
    (0.08, FrontFate::CameraFrozen),
    (0.08, FrontFate::CameraLooped),
    (0.06, FrontFate::CameraBlind),
    (0.08, FrontFate::CameraFreezesLate),
    (0.06, FrontFate::LockAway),
    (0.06, FrontFate::LockLost),
    (0.06, FrontFate::NetworkLost),
    (0.05, FrontFate::ServerAway),
    (0.08, FrontFate::BoltBent),
    (0.05, FrontFate::Forgotten),
];

/// A home server: no quota and no cloud, and a line that is cut now and then.
fn ordinary_house(dice: Dice, n: u64) -> Vec<Value> {
    let (late, slow) = (dice.between("late", n, 5, 40), dice.between("slow", n, 5, 20));
    vec![
        rate("open_cover", "connection_drop_acted", 0.01),
        rate("open_cover", "connection_drop_not_acted", 0.01),
        json!({"command": "open_cover", "fault": "success_late", "rate": 0.005, "after_s": late}),
        json!({"command": "open_cover", "fault": "slow", "rate": 0.03, "slow_s": slow}),
        rate("close_cover", "connection_drop_acted", 0.01),
        rate("close_cover", "connection_drop_not_acted", 0.01),
        rate("cover", "503", 0.005),
        rate("obstruction", "503", 0.005),
        json!({"command": "cover", "fault": "slow", "rate": 0.02, "slow_s": 6}),
    ]
}

fn hostile_house(dice: Dice, n: u64) -> Vec<Value> {
    let mut all = hostile_commands(dice, n, ["open_cover", "close_cover"]);
    for reading in ["cover", "obstruction", "house"] {
        for (fault, share) in [("503", 0.08), ("connection_drop", 0.06), ("garbage", 0.04), ("429", 0.02)] {
            all.push(rate(reading, fault, share));
        }
        all.push(json!({"command": reading, "fault": "slow", "rate": 0.05, "slow_s": 9}));
    }
    all
}
fn hostile_commands(dice: Dice, n: u64, commands: [&str; 2]) -> Vec<Value> {
    let late = dice.between("late", n, 5, 55);
    let mut all = Vec::new();
    for command in commands {
        for (fault, share) in [
            ("connection_drop_acted", 0.07),
            ("connection_drop_not_acted", 0.05),
            ("504_acted", 0.04),
            ("500_acted", 0.03),
            ("503_not_acted", 0.03),
            // "Success", and nothing moves.
            ("success_not_acted", 0.05),
            ("garbage_acted", 0.03),
            ("429", 0.02),
        ] {
            all.push(rate(command, fault, share));
        }
        all.push(json!({"command": command, "fault": "success_late", "rate": 0.04, "after_s": late}));
        all.push(json!({"command": command, "fault": "slow", "rate": 0.05, "slow_s": dice.between("slow", n, 5, 55)}));
    }
    all
}
/// The same server with a lock, and a camera on the radio: a proof takes fourteen pictures, so that one in a hundred of them
/// lost is one proof in seven.
fn ordinary_front(dice: Dice, n: u64) -> Vec<Value> {
    let (late, slow) = (dice.between("late", n, 5, 40), dice.between("slow", n, 5, 20));
    vec![
        rate("unlock", "connection_drop_acted", 0.01),
        rate("unlock", "connection_drop_not_acted", 0.01),
        json!({"command": "unlock", "fault": "success_late", "rate": 0.005, "after_s": late}),
        json!({"command": "unlock", "fault": "slow", "rate": 0.03, "slow_s": slow}),
        rate("lock", "connection_drop_acted", 0.01),
        rate("lock", "connection_drop_not_acted", 0.01),
        rate("bolt", "503", 0.005),
        rate("contact", "503", 0.005),
        json!({"command": "bolt", "fault": "slow", "rate": 0.02, "slow_s": 6}),
        rate("still", "503", 0.001),
    ]
}

fn hostile_front(dice: Dice, n: u64) -> Vec<Value> {
    let mut all = hostile_commands(dice, n, ["unlock", "lock"]);
    // Everything is looked at before the proof and after it: more than a tenth lost, and hardly any door would ever open.
    for reading in ["bolt", "contact", "house"] {
        for (fault, share) in [("503", 0.03), ("connection_drop", 0.03), ("garbage", 0.02), ("429", 0.01)] {
            all.push(rate(reading, fault, share));
        }
        all.push(json!({"command": reading, "fault": "slow", "rate": 0.03, "slow_s": 6}));
    }
    for seen in ["still", "light"] {
        for (fault, share) in [("503", 0.003), ("connection_drop", 0.003), ("garbage", 0.002)] {
            all.push(rate(seen, fault, share));
        }
        all.push(json!({"command": seen, "fault": "slow", "rate": 0.005, "slow_s": 3}));
    }
    all
}

fn hostile_cloud(dice: Dice, n: u64) -> Vec<Value> {
    let late = dice.between("late", n, 5, 55);
    let mut all = Vec::new();
    for command in ["unlock", "lock"] {
        for (fault, share) in [
            ("timeout_acted", 0.06),
            ("timeout_not_acted", 0.05),
            ("connection_drop_acted", 0.05),
            ("connection_drop_not_acted", 0.04),
            ("500_acted", 0.03),
            ("503_not_acted", 0.03),
            // "Success", and nothing has moved.
            ("completed_not_acted", 0.04),
            ("garbage_acted", 0.03),
            ("car_error_acted", 0.02),
            ("429", 0.03),
        ] {
            all.push(rate(command, fault, share));
        }
        all.push(json!({"command": command, "fault": "late", "rate": 0.03, "after_s": late}));
        all.push(json!({"command": command, "fault": "slow", "rate": 0.05, "slow_s": dice.between("slow", n, 5, 28)}));
    }
    for reading in ["doors", "location", "command-accessibility"] {
        for (fault, share) in [("503", 0.08), ("connection_drop", 0.06), ("garbage", 0.04), ("429", 0.02)] {
            all.push(rate(reading, fault, share));
        }
        all.push(json!({"command": reading, "fault": "slow", "rate": 0.05, "slow_s": 12}));
    }
    all
}

/// A maker that answers later: what is asked there fails, too, and the last word may be wrong.
fn ordinary_second_cloud(dice: Dice, n: u64) -> Vec<Value> {
    vec![
        rate("unlockTrunk", "timeout_acted", 0.01),
        rate("unlockTrunk", "timeout_not_acted", 0.01),
        rate("unlockTrunk", "failure", 0.01),
        rate("unlockTrunk", "failure_acted", 0.003),
        json!({"command": "unlockTrunk", "fault": "late", "rate": 0.005, "after_s": dice.between("late", n, 8, 50)}),
        json!({"command": "unlockTrunk", "fault": "slow", "rate": 0.03, "slow_s": dice.between("slow", n, 5, 20)}),
        rate("lockTrunk", "timeout_acted", 0.01),
        rate("lockTrunk", "timeout_not_acted", 0.01),
        rate("lockTrunk", "failure", 0.01),
        rate("any", "429", 0.005),
        rate("poll", "503", 0.01),
        rate("position", "503", 0.005),
        rate("position", "stale", 0.005),
    ]
}

fn hostile_second_cloud(dice: Dice, n: u64) -> Vec<Value> {
    let late = dice.between("late", n, 5, 55);
    let mut all = Vec::new();
    for command in ["unlockTrunk", "lockTrunk"] {
        for (fault, share) in [
            ("timeout_acted", 0.04),
            ("timeout_not_acted", 0.03),
            ("connection_drop_acted", 0.03),
            ("connection_drop_not_acted", 0.03),
            ("500_acted", 0.03),
            ("503_not_acted", 0.02),
            // "Success", and nothing has moved; "failure", and it has.
            ("success_not_acted", 0.04),
            ("failure_acted", 0.04),
            ("failure", 0.03),
            ("error_acted", 0.02),
            ("in_progress_acted", 0.02),
            ("garbage_acted", 0.02),
            ("elsewhere", 0.01),
            ("429", 0.03),
        ] {
            all.push(rate(command, fault, share));
        }
        all.push(json!({"command": command, "fault": "late", "rate": 0.03, "after_s": late}));
        all.push(json!({"command": command, "fault": "slow", "rate": 0.05, "slow_s": dice.between("slow", n, 5, 28)}));
    }
    for reading in ["poll", "position"] {
        for (fault, share) in [("503", 0.08), ("connection_drop", 0.06), ("garbage", 0.04), ("429", 0.02)] {
            all.push(rate(reading, fault, share));
        }
        all.push(json!({"command": reading, "fault": "slow", "rate": 0.05, "slow_s": 12}));
    }
    all.push(rate("position", "stale", 0.04));
    all
}

/// A trunk with one button for both ways, and cars that sleep.
fn ordinary_third_cloud(dice: Dice, n: u64) -> Vec<Value> {
    let (late, slow) = (dice.between("late", n, 8, 50), dice.between("slow", n, 5, 20));
    vec![
        rate("actuate_trunk", "timeout_acted", 0.01),
        rate("actuate_trunk", "timeout_not_acted", 0.01),
        rate("actuate_trunk", "false", 0.01),
        json!({"command": "actuate_trunk", "fault": "late", "rate": 0.005, "after_s": late}),
        json!({"command": "actuate_trunk", "fault": "slow", "rate": 0.03, "slow_s": slow}),
        rate("door_lock", "timeout_acted", 0.01),
        rate("door_lock", "timeout_not_acted", 0.01),
        rate("any", "429", 0.005),
        rate("vehicle_data", "503", 0.01),
        rate("vehicle_data", "408", 0.005),
        rate("wake_up", "503", 0.02),
        rate("handshake", "503", 0.005),
    ]
}

fn hostile_third_cloud(dice: Dice, n: u64) -> Vec<Value> {
    let late = dice.between("late", n, 5, 55);
    let mut all = Vec::new();
    for command in ["actuate_trunk", "door_lock"] {
        for (fault, share) in [
            ("timeout_acted", 0.05),
            ("timeout_not_acted", 0.04),
            ("connection_drop_acted", 0.04),
            ("connection_drop_not_acted", 0.03),
            ("500_acted", 0.03),
            ("503_not_acted", 0.02),
            // "True", and nothing has moved; "false", and it has.
            ("true_not_acted", 0.04),
            ("false_acted", 0.03),
            ("odd_acted", 0.02),
            ("garbage_acted", 0.02),
            ("wait", 0.01),
            ("429", 0.03),
        ] {
            all.push(rate(command, fault, share));
        }
        all.push(json!({"command": command, "fault": "late", "rate": 0.03, "after_s": late}));
        all.push(json!({"command": command, "fault": "slow", "rate": 0.05, "slow_s": dice.between("slow", n, 5, 28)}));
    }
    for reading in ["vehicle_data", "vehicle", "wake_up", "handshake"] {
        for (fault, share) in [("503", 0.08), ("connection_drop", 0.06), ("garbage", 0.04), ("429", 0.02)] {
            all.push(rate(reading, fault, share));
        }
        all.push(json!({"command": reading, "fault": "slow", "rate": 0.05, "slow_s": 12}));
    }
    all
}

/// An aggregator: what it accepts, the maker's cloud behind it may still not do.
fn ordinary_fourth_cloud(dice: Dice, n: u64) -> Vec<Value> {
    let (late, slow) = (dice.between("late", n, 8, 50), dice.between("slow", n, 5, 20));
    vec![
        rate("unlock", "no_response_acted", 0.01),
        rate("unlock", "no_response", 0.01),
        rate("unlock", "unreachable", 0.01),
        json!({"command": "unlock", "fault": "success_late", "rate": 0.005, "after_s": late}),
        json!({"command": "unlock", "fault": "slow", "rate": 0.03, "slow_s": slow}),
        rate("lock", "no_response_acted", 0.01),
        rate("lock", "no_response", 0.01),
        rate("any", "rate_limit", 0.005),
        rate("security", "no_response", 0.01),
        rate("location", "no_response", 0.005),
        json!({"command": "security", "fault": "slow", "rate": 0.02, "slow_s": 6}),
    ]
}

fn hostile_fourth_cloud(dice: Dice, n: u64) -> Vec<Value> {
    let late = dice.between("late", n, 5, 55);
    let mut all = Vec::new();
    for command in ["unlock", "lock"] {
        for (fault, share) in [
            ("no_response_acted", 0.05),
            ("no_response", 0.04),
            ("connection_drop_acted", 0.04),
            ("connection_drop_not_acted", 0.03),
            ("internal_acted", 0.03),
            ("internal", 0.02),
            // Accepted, and nothing moves; refused, and it does.
            ("success_not_acted", 0.05),
            ("unreachable_acted", 0.03),
            ("unknown_issue_acted", 0.02),
            ("odd_acted", 0.02),
            ("garbage_acted", 0.02),
            ("rate_limit", 0.03),
        ] {
            all.push(rate(command, fault, share));
        }
        all.push(json!({"command": command, "fault": "success_late", "rate": 0.03, "after_s": late}));
        all.push(json!({"command": command, "fault": "slow", "rate": 0.05, "slow_s": dice.between("slow", n, 5, 28)}));
    }
    for reading in ["security", "location"] {
        for (fault, share) in
            [("no_response", 0.08), ("connection_drop", 0.06), ("garbage", 0.04), ("rate_limit", 0.02)]
        {
            all.push(rate(reading, fault, share));
        }
        all.push(json!({"command": reading, "fault": "slow", "rate": 0.05, "slow_s": 12}));
    }
    all
}

fn rate(command: &str, fault: &str, rate: f64) -> Value {
    json!({"command": command, "fault": fault, "rate": rate})
}

/// One of several that exclude each other.
fn pick<T: Copy>(dice: Dice, what: &str, n: u64, rates: &[(f64, T)], otherwise: T) -> T {
    let mut drawn = dice.share(what, n);
    for (rate, value) in rates {
        if drawn < *rate {
            return *value;
        }
        drawn -= rate;
    }
    otherwise
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_wrong_without_faults_and_rates_are_kept_with_them() {
        let dice = Dice::new(1);
        for maker in ["volvo", ONSTAR, TESLA, SMARTCAR] {
            let draw = |faults, n| Fate::draw(faults, dice, n, maker);
            assert_eq!(draw(Faults::None, 5), Fate::good());
            let asleep = (0..5_000).filter(|n| draw(Faults::Ordinary, *n).car == CarFate::Asleep).count();
            assert!((60..140).contains(&asleep), "{asleep}");
            assert_eq!(draw(Faults::Hostile, 9), draw(Faults::Hostile, 9));
        }
    }

    #[test]
    fn at_a_front_door_bolt_camera_and_network_have_a_fate_and_no_drive_does() {
        let draw = |faults, n| Fate::draw(faults, Dice::new(1), n, DOORS);
        assert_eq!(draw(Faults::None, 5), Fate::good());
        let all: Vec<_> = (0..5_000).map(|n| draw(Faults::Hostile, n)).collect();
        assert!(all.iter().all(|f| (f.car, f.bolt, f.door) == (CarFate::Stays, BoltFate::Sound, DoorFate::Sound)));
        for (rate, front) in HOSTILE_FRONTS {
            let share = all.iter().filter(|f| f.front == front).count() as f64 / 5_000.0;
            assert!((share - rate).abs() < 0.02, "{front:?}: {share}");
        }
        // Fourteen pictures, each with the light told and looked at: more than half of all proofs come to their end.
        for seen in ["still", "light"] {
            let of = all[0].cloud.iter().filter(|f| f["command"] == seen && f["fault"] != "slow");
            let lost: f64 = of.filter_map(|f| f["rate"].as_f64()).sum();
            assert!(lost > 0.0 && (1.0 - lost).powi(14 * 3) > 0.5, "{lost}");
        }
    }

    #[test]
    fn at_a_house_its_door_has_a_fate_and_no_car_does() {
        let draw = |faults, n| Fate::draw(faults, Dice::new(1), n, GARAGES);
        assert_eq!(draw(Faults::None, 5), Fate::good());
        let all: Vec<_> = (0..5_000).map(|n| draw(Faults::Hostile, n)).collect();
        assert!(all.iter().all(|f| (f.car, f.bolt, f.bounces) == (CarFate::Stays, BoltFate::Sound, 0)));
        for (rate, door) in HOSTILE_DOORS {
            let share = all.iter().filter(|f| f.door == door).count() as f64 / 5_000.0;
            assert!((share - rate).abs() < 0.02, "{door:?}: {share}");
        }
        let of_the_phone = |f: &Fate| (f.phone, f.phone_off_s, f.scan, f.owner);
        let car = Fate::draw(Faults::Hostile, Dice::new(1), 7, "volvo");
        assert_eq!(of_the_phone(&car), of_the_phone(&all[7]), "who comes and how is the same");
        assert_eq!(car.door, DoorFate::Sound);
    }

    #[test]
    fn a_fifth_to_two_fifths_of_commands_and_readings_go_wrong_in_a_hostile_world() {
        for (maker, commands) in [
            ("volvo", &["unlock", "lock", "doors", "location"][..]),
            (ONSTAR, &["unlockTrunk", "lockTrunk", "poll", "position"]),
            (TESLA, &["actuate_trunk", "door_lock", "vehicle_data", "handshake"]),
            (SMARTCAR, &["unlock", "lock", "security", "location"]),
            (GARAGES, &["open_cover", "close_cover", "cover", "obstruction"]),
            // Its looks are lost less often: see there.
            (DOORS, &["unlock", "lock"]),
        ] {
            let cloud = Fate::draw(Faults::Hostile, Dice::new(1), 0, maker).cloud;
            for command in commands {
                let rates = cloud.iter().filter(|f| f["command"] == *command).filter_map(|f| f["rate"].as_f64());
                let left = rates.fold(1.0, |left, rate| left * (1.0 - rate));
                assert!((0.2..0.45).contains(&(1.0 - left)), "{command}: {}", 1.0 - left);
            }
        }
    }
}
