//! One car as a thing in a street: a trunk that opens alone, doors, locks, a hand, a key, sleep. Pure: (state, event, now)
//! → (state, answer, happenings).
//!
//! No HTTP, no maker's field names, no clock. What the cloud says of a car and what the car is can differ (that is what
//! [faults](super::fault) are for); this file is what the car *is*.

use parcelshelf_core::time::Timestamp;

/// Everything on a car that opens and shuts.
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
    /// Down, but the latch did not catch.
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

/// The two locks of a car: the doors', and the trunk's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Doors,
    Trunk,
}
impl Which {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Doors => "doors",
            Self::Trunk => "trunk",
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

/// A value and when it last changed. Setting it to what it already is changes no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamped<T> {
    pub value: T,
    pub changed_at: Timestamp,
}

/// The bolt of the trunk's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bolt {
    Sound,
    /// Does not engage; the car notices and says so.
    Jammed,
    /// Does not engage; the car does not notice and reports success.
    JammedUnnoticed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trip {
    Parked,
    Driving { since: Timestamp },
}

/// Degrees, WGS 84.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub latitude: f64,
    pub longitude: f64,
}

/// How this car is built. Does not change in the street.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Build {
    /// The trunk locks again when unlocked and untouched for so long; `None`: never.
    pub relock_after_s: Option<u32>,
    /// The trunk locks by itself as soon as its lid is latched.
    pub relock_on_close: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Car {
    pub build: Build,
    pub doors: Stamped<Lock>,
    pub trunk: Stamped<Lock>,
    closures: [Stamped<Lid>; 6],
    pub trip: Trip,
    /// Where the last trip ended.
    parked: Place,
    pub parked_at: Timestamp,
    pub asleep: bool,
    pub online: bool,
    pub bolt: Bolt,
    /// The trunk's latch does not catch: let down, the lid stays ajar.
    pub latch_broken: bool,
    relock_at: Option<Timestamp>,
}

/// What the cloud can ask of a car.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    UnlockTrunk,
    LockTrunk,
    Unlock,
    Lock,
    Alert { horn: bool },
    CancelAlert,
}

/// What can befall a car.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// Time passes, nothing else.
    Tick,
    /// From the cloud. Wakes the car.
    Order(Order),
    /// A hand pulls a handle from outside, without a key.
    Open(Closure),
    /// A hand feels whether it gives, and lets go of it again.
    Try(Closure),
    /// A hand lets it down without the latch catching.
    LeaveAjar(Closure),
    Close(Closure),
    /// The owner's own key: doors and trunk.
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
    DriveAway,
    /// Ends a trip. A parked car is moved there as if by a trip that took no time.
    Park(Place),
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// The car said no to the cloud; why, in words of this simulator.
    Refused(&'static str),
    /// Physics said no to a hand.
    Impossible(&'static str),
}

/// Something that can be seen on the car; goes into the record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Happening {
    Lid { closure: Closure, value: Lid },
    Lock { which: Which, value: Lock, by: By },
    TripStarted,
    TripEnded,
    Signalled { horn: bool },
    SignalEnded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A command from the cloud.
    Cloud,
    Key,
    /// The car itself.
    Car,
}
impl By {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Key => "key",
            Self::Car => "car",
        }
    }
}

impl Car {
    /// Parked, locked, shut, awake, all since `at`.
    #[must_use]
    pub const fn parked(build: Build, place: Place, at: Timestamp) -> Self {
        Self {
            build,
            doors: Stamped { value: Lock::Locked, changed_at: at },
            trunk: Stamped { value: Lock::Locked, changed_at: at },
            closures: [Stamped { value: Lid::Closed, changed_at: at }; 6],
            trip: Trip::Parked,
            parked: place,
            parked_at: at,
            asleep: false,
            online: true,
            bolt: Bolt::Sound,
            latch_broken: false,
            relock_at: None,
        }
    }
    #[must_use]
    pub const fn closure(&self, closure: Closure) -> Stamped<Lid> {
        self.closures[closure as usize]
    }
    /// Doors, hood and trunk are closed.
    #[must_use]
    pub fn shut(&self) -> bool {
        Closure::ALL.into_iter().all(|c| self.closure(c).value == Lid::Closed)
    }
    #[must_use]
    pub fn shut_and_locked(&self) -> bool {
        self.shut() && self.doors.value == Lock::Locked && self.trunk.value == Lock::Locked
    }
    /// Where it is: parked, or about 11 m further north for each second of driving.
    #[must_use]
    pub fn place(&self, now: Timestamp) -> Place {
        match self.trip {
            Trip::Parked => self.parked,
            Trip::Driving { since } => {
                // Doubles hold every second of an hour exactly.
                let seconds = (now.millis_since(since) / 1_000).clamp(0, 3_600) as f64;
                Place { latitude: (self.parked.latitude + seconds * 1e-4).min(89.9), ..self.parked }
            }
        }
    }

    /// The next state, what became of the event, and what could be seen. Time that passed before the event is lived
    /// through first.
    #[must_use]
    pub fn step(mut self, event: Event, now: Timestamp) -> (Self, Answer, Vec<Happening>) {
        let mut seen = Vec::new();
        self.live_until(now, &mut seen);
        let answer = match event {
            Event::Tick => Answer::Done,
            Event::Order(order) => self.obey(order, now, &mut seen),
            Event::Open(closure) => self.pull(closure, now, &mut seen),
            Event::Try(closure) => self.gives(closure).map_or_else(Answer::Impossible, |()| Answer::Done),
            Event::LeaveAjar(closure) => self.let_down(closure, Lid::Ajar, now, &mut seen),
            Event::Close(closure) => {
                let latched = if closure == Closure::Trunk && self.latch_broken { Lid::Ajar } else { Lid::Closed };
                self.let_down(closure, latched, now, &mut seen)
            }
            Event::UnlockWithKey => self.key(Lock::Unlocked, now, &mut seen),
            Event::LockWithKey => self.key(Lock::Locked, now, &mut seen),
            Event::DriveAway => self.drive_away(now, &mut seen),
            Event::Park(place) => {
                if self.trip != Trip::Parked {
                    seen.push(Happening::TripEnded);
                }
                self.trip = Trip::Parked;
                self.parked = place;
                self.parked_at = now;
                Answer::Done
            }
            other => self.condition(other),
        };
        (self, answer, seen)
    }

    fn live_until(&mut self, now: Timestamp, seen: &mut Vec<Happening>) {
        if let Some(at) = self.relock_at
            && at <= now
        {
            self.relock_at = None;
            if self.closure(Closure::Trunk).value == Lid::Closed {
                self.set_lock(Which::Trunk, Lock::Locked, By::Car, at, seen);
            }
        }
    }

    fn obey(&mut self, order: Order, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        if !self.online {
            return Answer::Refused("vehicle not reachable");
        }
        self.asleep = false;
        if self.trip != Trip::Parked {
            return Answer::Refused("vehicle not parked");
        }
        match order {
            Order::UnlockTrunk => self.unlock_trunk(By::Cloud, now, seen),
            Order::Unlock => {
                self.set_lock(Which::Doors, Lock::Unlocked, By::Cloud, now, seen);
                self.unlock_trunk(By::Cloud, now, seen);
            }
            Order::LockTrunk if self.closure(Closure::Trunk).value != Lid::Closed => {
                return Answer::Refused("trunk open");
            }
            Order::Lock if !self.shut() => return Answer::Refused("door open"),
            Order::LockTrunk | Order::Lock => {
                if order == Order::Lock {
                    self.set_lock(Which::Doors, Lock::Locked, By::Cloud, now, seen);
                }
                if self.bolt == Bolt::Jammed && self.trunk.value == Lock::Unlocked {
                    return Answer::Refused("trunk did not lock");
                }
                self.set_lock(Which::Trunk, Lock::Locked, By::Cloud, now, seen);
            }
            Order::Alert { horn } => seen.push(Happening::Signalled { horn }),
            Order::CancelAlert => seen.push(Happening::SignalEnded),
        }
        Answer::Done
    }

    fn gives(&self, closure: Closure) -> Result<(), &'static str> {
        if self.trip != Trip::Parked {
            return Err("DRIVING");
        }
        let lock = if closure == Closure::Trunk { self.trunk.value } else { self.doors.value };
        if lock == Lock::Locked && self.closure(closure).value == Lid::Closed { Err("LOCKED") } else { Ok(()) }
    }
    fn pull(&mut self, closure: Closure, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        if let Err(why) = self.gives(closure) {
            return Answer::Impossible(why);
        }
        self.asleep = false;
        if closure == Closure::Trunk {
            self.relock_at = None;
        }
        self.set_lid(closure, Lid::Open, now, seen);
        Answer::Done
    }
    fn let_down(&mut self, closure: Closure, value: Lid, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        if self.closure(closure).value == Lid::Closed && value == Lid::Ajar {
            return Answer::Impossible("CLOSED");
        }
        self.asleep = false;
        self.set_lid(closure, value, now, seen);
        if closure == Closure::Trunk && value == Lid::Closed && self.build.relock_on_close {
            self.set_lock(Which::Trunk, Lock::Locked, By::Car, now, seen);
        }
        Answer::Done
    }
    fn key(&mut self, value: Lock, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        self.asleep = false;
        match value {
            Lock::Unlocked => {
                self.set_lock(Which::Doors, Lock::Unlocked, By::Key, now, seen);
                self.unlock_trunk(By::Key, now, seen);
            }
            Lock::Locked if !self.shut() => return Answer::Impossible("DOOR_OPEN"),
            Lock::Locked => self.lock_all(By::Key, now, seen),
        }
        Answer::Done
    }
    fn drive_away(&mut self, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        if !self.shut() {
            return Answer::Impossible("DOOR_OPEN");
        }
        self.asleep = false;
        self.trip = Trip::Driving { since: now };
        seen.push(Happening::TripStarted);
        // Doors lock by themselves at walking pace.
        self.lock_all(By::Car, now, seen);
        Answer::Done
    }
    const fn condition(&mut self, event: Event) -> Answer {
        match event {
            Event::Bolt(bolt) => self.bolt = bolt,
            Event::Latch { broken } => self.latch_broken = broken,
            Event::Sleep if !matches!(self.trip, Trip::Parked) => return Answer::Impossible("DRIVING"),
            Event::Sleep => self.asleep = true,
            Event::Wake => self.asleep = false,
            Event::Network { online } => self.online = online,
            _ => {}
        }
        Answer::Done
    }

    fn unlock_trunk(&mut self, by: By, now: Timestamp, seen: &mut Vec<Happening>) {
        self.set_lock(Which::Trunk, Lock::Unlocked, by, now, seen);
        if self.closure(Closure::Trunk).value == Lid::Closed {
            self.relock_at = self.build.relock_after_s.map(|s| now.plus_seconds(i64::from(s)));
        }
    }
    fn lock_all(&mut self, by: By, now: Timestamp, seen: &mut Vec<Happening>) {
        self.set_lock(Which::Doors, Lock::Locked, by, now, seen);
        self.set_lock(Which::Trunk, Lock::Locked, by, now, seen);
    }
    fn set_lock(&mut self, which: Which, value: Lock, by: By, at: Timestamp, seen: &mut Vec<Happening>) {
        if which == Which::Trunk && value == Lock::Locked {
            self.relock_at = None;
            if self.bolt != Bolt::Sound {
                return;
            }
        }
        let lock = match which {
            Which::Doors => &mut self.doors,
            Which::Trunk => &mut self.trunk,
        };
        if lock.value != value {
            *lock = Stamped { value, changed_at: at };
            seen.push(Happening::Lock { which, value, by });
        }
    }
    fn set_lid(&mut self, closure: Closure, value: Lid, now: Timestamp, seen: &mut Vec<Happening>) {
        let lid = &mut self.closures[closure as usize];
        if lid.value != value {
            *lid = Stamped { value, changed_at: now };
            seen.push(Happening::Lid { closure, value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_795_446_000 + seconds)
    }
    fn car(build: Build) -> Car {
        Car::parked(build, Place { latitude: 42.3, longitude: -83.0 }, at(-60))
    }
    fn after(mut car: Car, events: &[(Event, i64)]) -> (Car, Answer) {
        let mut answer = Answer::Done;
        for (event, seconds) in events {
            (car, answer, _) = car.step(*event, at(*seconds));
        }
        (car, answer)
    }
    const UNLOCK: Event = Event::Order(Order::UnlockTrunk);
    const LOCK: Event = Event::Order(Order::LockTrunk);
    const PULL: Event = Event::Open(Closure::Trunk);
    const SHUT: Event = Event::Close(Closure::Trunk);

    #[test]
    fn the_trunk_opens_alone_and_only_by_a_hand() {
        let (car, answer) = after(car(Build::default()), &[(PULL, 0)]);
        assert_eq!(answer, Answer::Impossible("LOCKED"));
        let (car, _) = after(car, &[(UNLOCK, 1)]);
        assert!(car.shut() && car.doors.value == Lock::Locked && car.trunk.value == Lock::Unlocked);
        let (car, answer) = after(car, &[(PULL, 2), (Event::Open(Closure::FrontLeftDoor), 3)]);
        assert_eq!(answer, Answer::Impossible("LOCKED"), "the doors stay locked");
        assert_eq!(car.closure(Closure::Trunk).value, Lid::Open);
        let (car, answer) = after(car, &[(LOCK, 4)]);
        assert_eq!(answer, Answer::Refused("trunk open"));
        let (car, answer) = after(car, &[(SHUT, 5)]);
        assert!(answer == Answer::Done && car.shut() && !car.shut_and_locked(), "latched is not locked");
        let (car, _) = after(car, &[(LOCK, 6)]);
        assert!(car.shut_and_locked());
    }

    #[test]
    fn some_cars_lock_themselves() {
        let timed = Build { relock_after_s: Some(60), ..Build::default() };
        assert!(after(car(timed), &[(UNLOCK, 0), (Event::Tick, 60)]).0.shut_and_locked());
        assert!(!after(car(timed), &[(UNLOCK, 0), (PULL, 1), (SHUT, 2), (Event::Tick, 600)]).0.shut_and_locked());
        let latching = Build { relock_on_close: true, ..Build::default() };
        assert!(after(car(latching), &[(UNLOCK, 0), (PULL, 1), (SHUT, 2)]).0.shut_and_locked());
        assert!(!after(car(Build::default()), &[(UNLOCK, 0), (Event::Tick, 9_999)]).0.shut_and_locked());
    }

    #[test]
    fn broken_parts_show() {
        let broken = [(Event::Latch { broken: true }, 0), (UNLOCK, 1), (PULL, 2), (SHUT, 3)];
        let (car_ajar, _) = after(car(Build::default()), &broken);
        assert_eq!(car_ajar.closure(Closure::Trunk).value, Lid::Ajar);
        for (bolt, answer) in
            [(Bolt::Jammed, Answer::Refused("trunk did not lock")), (Bolt::JammedUnnoticed, Answer::Done)]
        {
            let (jammed, said) = after(car(Build::default()), &[(UNLOCK, 0), (Event::Bolt(bolt), 1), (LOCK, 2)]);
            assert_eq!(said, answer, "{bolt:?}");
            assert_eq!(jammed.trunk.value, Lock::Unlocked, "{bolt:?}");
        }
    }

    #[test]
    fn a_driving_car_moves_refuses_and_stays_shut() {
        let (car, answer) = after(car(Build::default()), &[(Event::DriveAway, 0), (UNLOCK, 100)]);
        assert_eq!(answer, Answer::Refused("vehicle not parked"));
        assert!((car.place(at(100)).latitude - 42.31).abs() < 1e-9);
        assert_eq!(after(car, &[(PULL, 101)]).1, Answer::Impossible("DRIVING"));
    }
}
