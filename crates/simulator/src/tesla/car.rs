//! One car as a thing in a street: one lock, six lids, a trunk button that toggles, a key, sleep. Pure: (state, event, now) →
//! (state, happenings).
//!
//! No HTTP, no maker's field names, no clock. What the cloud says of a car and what the car is can differ (that is what
//! [faults](super::fault) are for); this file is what the car *is*.

use parcelshelf_core::time::Timestamp;

/// Everything on a car that opens and shuts. Front and rear are as in the maker's answer: driver's and passenger's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closure {
    FrontLeftDoor,
    FrontRightDoor,
    RearLeftDoor,
    RearRightDoor,
    Hood,
    Trunk,
}
impl Closure {
    pub const ALL: [Self; 6] =
        [Self::FrontLeftDoor, Self::FrontRightDoor, Self::RearLeftDoor, Self::RearRightDoor, Self::Hood, Self::Trunk];
    /// Name on the control path and in the record.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::FrontLeftDoor => "front_left_door",
            Self::FrontRightDoor => "front_right_door",
            Self::RearLeftDoor => "rear_left_door",
            Self::RearRightDoor => "rear_right_door",
            Self::Hood => "hood",
            Self::Trunk => "trunk",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.code() == code)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lid {
    Open,
    /// Down, but the latch did not catch. The maker's answer calls it open.
    Ajar,
    Closed,
}
impl Lid {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Ajar => "AJAR",
            Self::Closed => "CLOSED",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    Locked,
    Unlocked,
}
impl Lock {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Locked => "LOCKED",
            Self::Unlocked => "UNLOCKED",
        }
    }
}

/// A value and when it last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamped<T> {
    pub value: T,
    pub changed_at: Timestamp,
}

/// The bolts of the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bolt {
    Sound,
    /// Does not engage; the car notices and says so.
    Jammed,
    /// Does not engage; the car does not notice and reports success.
    JammedUnnoticed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parking {
    pub latitude: f64,
    pub longitude: f64,
    pub heading_deg: u16,
    /// When the trip ended.
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    Parked,
    Driving,
}

/// How this car is built. Does not change in the street.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// The trunk has a motor: the button opens a shut lid and shuts an open one. Without it the button only unlatches.
    pub powered_lid: bool,
    /// Can the button reach the trunk at all.
    pub can_actuate_trunks: bool,
    /// Seconds from a call to wake to being awake.
    pub wake_s: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Car {
    pub build: Build,
    pub lock: Stamped<Lock>,
    closures: [Stamped<Lid>; 6],
    pub trip: Trip,
    pub parked: Parking,
    pub asleep: bool,
    /// Called, and awake from then on.
    waking_until: Option<Timestamp>,
    pub online: bool,
    /// Somebody with a key or phone stands beside it or sits inside.
    pub user_present: bool,
    pub bolt: Bolt,
    /// A trunk whose latch does not catch: shut, it stays ajar.
    pub latch_broken: bool,
}

/// What the cloud can ask of a car.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    Lock,
    Unlock,
    /// The trunk's button.
    RearTrunk,
    FrontTrunk,
    Flash,
    Honk,
}
impl Order {
    pub const ALL: [Self; 6] = [Self::Lock, Self::Unlock, Self::RearTrunk, Self::FrontTrunk, Self::Flash, Self::Honk];
    /// Name on the control path and in the record.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Lock => "door_lock",
            Self::Unlock => "door_unlock",
            Self::RearTrunk => "actuate_trunk",
            Self::FrontTrunk => "actuate_front_trunk",
            Self::Flash => "flash_lights",
            Self::Honk => "honk_horn",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.code() == code)
    }
}

/// What can befall a car.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// Time passes, nothing else.
    Tick,
    /// From the cloud; never reaches a car that is asleep or offline.
    Order(Order),
    /// From the cloud: wakes it after a while.
    CallToWake,
    /// A hand pulls a handle from outside, without a key.
    Open(Closure),
    /// A hand lets it down without the latch catching.
    LeaveAjar(Closure),
    Close(Closure),
    /// The owner's own key.
    UnlockWithKey,
    LockWithKey,
    Bolt(Bolt),
    Latch {
        broken: bool,
    },
    Sleep,
    Wake,
    Network {
        online: bool,
    },
    Present(bool),
    DriveAway,
    /// Ends a trip. A parked car is moved there as if by a trip that took no time.
    Park {
        latitude: f64,
        longitude: f64,
        heading_deg: u16,
    },
}

/// Why a car said no to the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    ClosuresOpen,
    NotInPark,
    /// The bolts did not engage, and the car noticed.
    DidNotLock,
    NotSupported,
}
impl No {
    /// The free text of a plain answer.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ClosuresOpen => "closures_open",
            Self::NotInPark => "not_in_park",
            Self::DidNotLock => "did_not_lock",
            Self::NotSupported => "not_supported",
        }
    }
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    Refused(No),
    /// Asleep or away: it never heard of it.
    Deaf,
    /// Physics said no to a hand.
    Impossible(&'static str),
}

/// Something that can be seen on the car; goes into the record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Happening {
    Lid { closure: Closure, value: Lid, by: By },
    Lock { value: Lock, by: By },
    Woke,
    TripStarted,
    TripEnded,
    Signalled { horn: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A command from the cloud.
    Cloud,
    Hand,
    Key,
    /// The car itself.
    Car,
}
impl By {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Hand => "hand",
            Self::Key => "key",
            Self::Car => "car",
        }
    }
}

impl Car {
    /// Parked, locked, shut, awake, all since `parked.at`.
    #[must_use]
    pub const fn parked(build: Build, parked: Parking) -> Self {
        let at = parked.at;
        Self {
            build,
            lock: Stamped { value: Lock::Locked, changed_at: at },
            closures: [Stamped { value: Lid::Closed, changed_at: at }; 6],
            trip: Trip::Parked,
            parked,
            asleep: false,
            waking_until: None,
            online: true,
            user_present: false,
            bolt: Bolt::Sound,
            latch_broken: false,
        }
    }
    #[must_use]
    pub const fn closure(&self, closure: Closure) -> Stamped<Lid> {
        self.closures[closure as usize]
    }
    #[must_use]
    pub fn shut(&self) -> bool {
        Closure::ALL.into_iter().all(|c| self.closure(c).value == Lid::Closed)
    }
    #[must_use]
    pub fn shut_and_locked(&self) -> bool {
        self.shut() && self.lock.value == Lock::Locked
    }
    /// In the maker's words.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        if !self.online {
            "offline"
        } else if self.asleep {
            "asleep"
        } else {
            "online"
        }
    }
    #[must_use]
    pub const fn hears(&self) -> bool {
        self.online && !self.asleep
    }

    /// The next state, what became of the event, and what could be seen. Time that passed before the event is lived
    /// through first.
    #[must_use]
    pub fn step(mut self, event: Event, now: Timestamp) -> (Self, Answer, Vec<Happening>) {
        let mut seen = Vec::new();
        if self.waking_until.is_some_and(|at| at <= now) {
            self.wake(&mut seen);
        }
        let answer = match event {
            Event::Order(_) if !self.hears() => Answer::Deaf,
            Event::Order(order) => self.obey(order, now, &mut seen),
            Event::Open(closure) => self.pull(closure, now, &mut seen),
            Event::LeaveAjar(closure) => self.let_down(closure, Lid::Ajar, now, &mut seen),
            Event::Close(closure) => {
                let latched = if closure == Closure::Trunk && self.latch_broken { Lid::Ajar } else { Lid::Closed };
                self.let_down(closure, latched, now, &mut seen)
            }
            Event::UnlockWithKey => {
                self.wake(&mut seen);
                self.set_lock(Lock::Unlocked, By::Key, now, &mut seen);
                Answer::Done
            }
            Event::LockWithKey if !self.shut() => Answer::Impossible("DOOR_OPEN"),
            Event::LockWithKey => {
                self.wake(&mut seen);
                self.set_lock(Lock::Locked, By::Key, now, &mut seen);
                Answer::Done
            }
            Event::DriveAway if !self.shut() => Answer::Impossible("DOOR_OPEN"),
            Event::DriveAway => {
                self.wake(&mut seen);
                (self.trip, self.user_present) = (Trip::Driving, true);
                seen.push(Happening::TripStarted);
                // Doors lock by themselves at walking pace.
                self.set_lock(Lock::Locked, By::Car, now, &mut seen);
                Answer::Done
            }
            Event::Park { latitude, longitude, heading_deg } => {
                if self.trip == Trip::Driving {
                    seen.push(Happening::TripEnded);
                }
                (self.trip, self.user_present) = (Trip::Parked, false);
                self.parked = Parking { latitude, longitude, heading_deg, at: now };
                Answer::Done
            }
            other => self.condition(other, now, &mut seen),
        };
        (self, answer, seen)
    }

    fn wake(&mut self, seen: &mut Vec<Happening>) {
        self.waking_until = None;
        if self.asleep {
            self.asleep = false;
            seen.push(Happening::Woke);
        }
    }
    fn obey(&mut self, order: Order, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        if self.trip == Trip::Driving && !matches!(order, Order::Lock | Order::Honk | Order::Flash) {
            return Answer::Refused(No::NotInPark);
        }
        match order {
            Order::Lock if !self.shut() => return Answer::Refused(No::ClosuresOpen),
            Order::Lock if self.bolt == Bolt::Jammed && self.lock.value == Lock::Unlocked => {
                return Answer::Refused(No::DidNotLock);
            }
            Order::Lock => self.set_lock(Lock::Locked, By::Cloud, now, seen),
            Order::Unlock => self.set_lock(Lock::Unlocked, By::Cloud, now, seen),
            Order::RearTrunk | Order::FrontTrunk if !self.build.can_actuate_trunks => {
                return Answer::Refused(No::NotSupported);
            }
            Order::RearTrunk => self.button(Closure::Trunk, self.build.powered_lid, now, seen),
            Order::FrontTrunk => self.button(Closure::Hood, false, now, seen),
            Order::Flash => seen.push(Happening::Signalled { horn: false }),
            Order::Honk => seen.push(Happening::Signalled { horn: true }),
        }
        Answer::Done
    }
    /// One button for both ways: what a shut lid opens with, an open one shuts with, if there is a motor.
    fn button(&mut self, closure: Closure, powered: bool, now: Timestamp, seen: &mut Vec<Happening>) {
        match self.closure(closure).value {
            Lid::Closed => self.set_lid(closure, Lid::Open, By::Cloud, now, seen),
            Lid::Open | Lid::Ajar if powered => {
                let latched = if self.latch_broken { Lid::Ajar } else { Lid::Closed };
                self.set_lid(closure, latched, By::Cloud, now, seen);
            }
            Lid::Open | Lid::Ajar => {}
        }
    }
    fn pull(&mut self, closure: Closure, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        if self.trip == Trip::Driving {
            return Answer::Impossible("DRIVING");
        }
        if self.lock.value == Lock::Locked && self.closure(closure).value == Lid::Closed {
            return Answer::Impossible("LOCKED");
        }
        self.wake(seen);
        self.set_lid(closure, Lid::Open, By::Hand, now, seen);
        Answer::Done
    }
    fn let_down(&mut self, closure: Closure, value: Lid, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        if self.closure(closure).value == Lid::Closed && value == Lid::Ajar {
            return Answer::Impossible("CLOSED");
        }
        self.wake(seen);
        self.set_lid(closure, value, By::Hand, now, seen);
        Answer::Done
    }
    fn condition(&mut self, event: Event, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        match event {
            Event::Bolt(bolt) => self.bolt = bolt,
            Event::Latch { broken } => self.latch_broken = broken,
            Event::Sleep if self.trip == Trip::Driving => return Answer::Impossible("DRIVING"),
            Event::Sleep => self.asleep = true,
            Event::Wake => self.wake(seen),
            Event::CallToWake if !self.online => return Answer::Deaf,
            Event::CallToWake if self.asleep => {
                let due = now.plus_seconds(i64::from(self.build.wake_s));
                self.waking_until = Some(self.waking_until.unwrap_or(due));
            }
            Event::Network { online } => self.online = online,
            Event::Present(present) => self.user_present = present,
            _ => {}
        }
        Answer::Done
    }
    fn set_lock(&mut self, value: Lock, by: By, at: Timestamp, seen: &mut Vec<Happening>) {
        if value == Lock::Locked && self.bolt != Bolt::Sound {
            return;
        }
        if self.lock.value != value {
            self.lock = Stamped { value, changed_at: at };
            seen.push(Happening::Lock { value, by });
        }
    }
    fn set_lid(&mut self, closure: Closure, value: Lid, by: By, now: Timestamp, seen: &mut Vec<Happening>) {
        let lid = &mut self.closures[closure as usize];
        if lid.value != value {
            *lid = Stamped { value, changed_at: now };
            seen.push(Happening::Lid { closure, value, by });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_795_446_000 + seconds)
    }
    const BUILD: Build = Build { powered_lid: true, can_actuate_trunks: true, wake_s: 20 };
    fn car(build: Build) -> Car {
        Car::parked(build, Parking { latitude: 59.3, longitude: 18.0, heading_deg: 0, at: at(-60) })
    }
    fn after(mut car: Car, events: &[(Event, i64)]) -> (Car, Answer) {
        let mut answer = Answer::Done;
        for (event, seconds) in events {
            (car, answer, _) = car.step(*event, at(*seconds));
        }
        (car, answer)
    }
    const BUTTON: Event = Event::Order(Order::RearTrunk);
    const LOCK: Event = Event::Order(Order::Lock);

    #[test]
    fn the_button_opens_what_is_shut_and_shuts_what_is_open_if_there_is_a_motor() {
        let (once, _) = after(car(BUILD), &[(BUTTON, 0)]);
        assert_eq!((once.closure(Closure::Trunk).value, once.lock.value), (Lid::Open, Lock::Locked));
        assert!(after(once, &[(BUTTON, 1)]).0.shut_and_locked(), "a second command shuts it on the parcel");
        let spring = car(Build { powered_lid: false, ..BUILD });
        let (twice, _) = after(spring, &[(BUTTON, 0), (BUTTON, 1)]);
        assert_eq!(twice.closure(Closure::Trunk).value, Lid::Open);
    }

    #[test]
    fn an_open_car_refuses_to_lock_and_a_locked_one_gives_to_no_hand() {
        let (open, answer) = after(car(BUILD), &[(BUTTON, 0), (LOCK, 1)]);
        assert_eq!(answer, Answer::Refused(No::ClosuresOpen));
        let (shut, _) = after(open, &[(Event::Close(Closure::Trunk), 2), (LOCK, 3)]);
        assert!(shut.shut_and_locked());
        assert_eq!(after(shut, &[(Event::Open(Closure::Trunk), 4)]).1, Answer::Impossible("LOCKED"));
        let jammed = [(Event::UnlockWithKey, 0), (Event::Bolt(Bolt::Jammed), 1), (LOCK, 2)];
        assert_eq!(after(car(BUILD), &jammed).1, Answer::Refused(No::DidNotLock));
    }

    #[test]
    fn a_sleeping_car_hears_nothing_until_its_time_to_wake_has_passed() {
        let (asleep, answer) = after(car(BUILD), &[(Event::Sleep, 0), (BUTTON, 1)]);
        assert_eq!((answer, asleep.shut()), (Answer::Deaf, true));
        let (called, _) = after(asleep, &[(Event::CallToWake, 2), (Event::CallToWake, 12), (Event::Tick, 21)]);
        assert!(called.asleep, "a second call does not make it slower or faster");
        assert!(!after(called, &[(Event::Tick, 22)]).0.asleep);
        let away = [(Event::Network { online: false }, 0), (Event::CallToWake, 1), (BUTTON, 2)];
        assert_eq!(after(car(BUILD), &away).1, Answer::Deaf);
    }

    #[test]
    fn a_driving_car_opens_nothing() {
        let (driving, answer) = after(car(BUILD), &[(Event::DriveAway, 0), (BUTTON, 1)]);
        assert_eq!((answer, driving.user_present), (Answer::Refused(No::NotInPark), true));
    }
}
