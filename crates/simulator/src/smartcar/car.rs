//! One car as a thing in a street: doors, a tailgate, one lock for all of them, a hand, a key, sleep. Pure: (state, event,
//! now) → (state, answer, happenings).
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
    Tailgate,
}
impl Closure {
    pub const ALL: [Self; 6] = [
        Self::FrontLeftDoor,
        Self::FrontRightDoor,
        Self::RearLeftDoor,
        Self::RearRightDoor,
        Self::Hood,
        Self::Tailgate,
    ];
    /// Name on the control path and in the record.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::FrontLeftDoor => "front_left_door",
            Self::FrontRightDoor => "front_right_door",
            Self::RearLeftDoor => "rear_left_door",
            Self::RearRightDoor => "rear_right_door",
            Self::Hood => "hood",
            Self::Tailgate => "tailgate",
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

/// The bolts of the central lock.
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
    /// Locks again when unlocked and untouched for so long; `None`: never.
    pub relock_after_s: Option<u32>,
    /// Locks by itself as soon as the last door or lid is shut.
    pub relock_on_close: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Car {
    pub build: Build,
    pub lock: Stamped<Lock>,
    closures: [Stamped<Lid>; 6],
    pub trip: Trip,
    /// Where the last trip ended.
    parked: Place,
    pub parked_at: Timestamp,
    pub asleep: bool,
    pub online: bool,
    pub remote_access: bool,
    pub bolt: Bolt,
    /// The tailgate's latch does not catch: let down, the lid stays ajar.
    pub latch_broken: bool,
    relock_at: Option<Timestamp>,
}

/// What the cloud can ask of a car.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    Unlock,
    Lock,
}
impl Order {
    pub const ALL: [Self; 2] = [Self::Unlock, Self::Lock];
    /// Name on the control path and in the record.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unlock => "unlock",
            Self::Lock => "lock",
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
    /// From the cloud.
    Order(Order),
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
    /// The owner switches remote access off in the car.
    RemoteAccess {
        on: bool,
    },
    DriveAway,
    /// Ends a trip. A parked car is moved there as if by a trip that took no time.
    Park(Place),
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// The car said no to the cloud; why, by the name of an error of [`fault`](super::fault).
    Refused(&'static str),
    /// Physics said no to a hand.
    Impossible(&'static str),
}

/// Something that can be seen on the car; goes into the record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Happening {
    Lid { closure: Closure, value: Lid },
    Lock { value: Lock, by: By },
    TripStarted,
    TripEnded,
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
            lock: Stamped { value: Lock::Locked, changed_at: at },
            closures: [Stamped { value: Lid::Closed, changed_at: at }; 6],
            trip: Trip::Parked,
            parked: place,
            parked_at: at,
            asleep: false,
            online: true,
            remote_access: true,
            bolt: Bolt::Sound,
            latch_broken: false,
            relock_at: None,
        }
    }
    #[must_use]
    pub const fn closure(&self, closure: Closure) -> Stamped<Lid> {
        self.closures[closure as usize]
    }
    /// Doors, hood and tailgate are closed.
    #[must_use]
    pub fn shut(&self) -> bool {
        Closure::ALL.into_iter().all(|c| self.closure(c).value == Lid::Closed)
    }
    #[must_use]
    pub fn shut_and_locked(&self) -> bool {
        self.shut() && self.lock.value == Lock::Locked
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
            Event::LeaveAjar(closure) => self.let_down(closure, Lid::Ajar, now, &mut seen),
            Event::Close(closure) => {
                let latched = if closure == Closure::Tailgate && self.latch_broken { Lid::Ajar } else { Lid::Closed };
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
            if self.shut() {
                self.set_lock(Lock::Locked, By::Car, at, seen);
            }
        }
    }

    fn obey(&mut self, order: Order, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        if let Some(why) = self.deaf_because() {
            return Answer::Refused(why);
        }
        match order {
            Order::Unlock => self.unlock(By::Cloud, now, seen),
            Order::Lock => {
                if let Some(why) = self.open_because() {
                    return Answer::Refused(why);
                }
                if self.bolt == Bolt::Jammed && self.lock.value == Lock::Unlocked {
                    return Answer::Refused("unknown_issue");
                }
                self.set_lock(Lock::Locked, By::Cloud, now, seen);
            }
        }
        Answer::Done
    }
    /// Why the car does not hear the cloud; the first that holds.
    const fn deaf_because(&self) -> Option<&'static str> {
        if !self.online {
            Some("no_response")
        } else if !self.remote_access {
            Some("remote_access_disabled")
        } else if self.asleep {
            Some("asleep")
        } else if !matches!(self.trip, Trip::Parked) {
            Some("in_motion")
        } else {
            None
        }
    }
    fn open_because(&self) -> Option<&'static str> {
        let open = |c: Closure| self.closure(c).value != Lid::Closed;
        if open(Closure::Tailgate) {
            Some("trunk_open")
        } else if open(Closure::Hood) {
            Some("hood_open")
        } else if !self.shut() {
            Some("door_open")
        } else {
            None
        }
    }

    fn gives(&self, closure: Closure) -> Result<(), &'static str> {
        if self.trip != Trip::Parked {
            return Err("DRIVING");
        }
        if self.lock.value == Lock::Locked && self.closure(closure).value == Lid::Closed {
            Err("LOCKED")
        } else {
            Ok(())
        }
    }
    fn pull(&mut self, closure: Closure, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        if let Err(why) = self.gives(closure) {
            return Answer::Impossible(why);
        }
        self.asleep = false;
        self.relock_at = None;
        self.set_lid(closure, Lid::Open, now, seen);
        Answer::Done
    }
    fn let_down(&mut self, closure: Closure, value: Lid, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        if self.closure(closure).value == Lid::Closed && value == Lid::Ajar {
            return Answer::Impossible("CLOSED");
        }
        self.asleep = false;
        self.set_lid(closure, value, now, seen);
        if self.build.relock_on_close && self.shut() {
            self.set_lock(Lock::Locked, By::Car, now, seen);
        }
        Answer::Done
    }
    fn key(&mut self, value: Lock, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        self.asleep = false;
        match value {
            Lock::Unlocked => self.unlock(By::Key, now, seen),
            Lock::Locked if !self.shut() => return Answer::Impossible("DOOR_OPEN"),
            Lock::Locked => self.set_lock(Lock::Locked, By::Key, now, seen),
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
        self.set_lock(Lock::Locked, By::Car, now, seen);
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
            Event::RemoteAccess { on } => self.remote_access = on,
            _ => {}
        }
        Answer::Done
    }

    fn unlock(&mut self, by: By, now: Timestamp, seen: &mut Vec<Happening>) {
        self.set_lock(Lock::Unlocked, by, now, seen);
        if self.shut() {
            self.relock_at = self.build.relock_after_s.map(|s| now.plus_seconds(i64::from(s)));
        }
    }
    fn set_lock(&mut self, value: Lock, by: By, at: Timestamp, seen: &mut Vec<Happening>) {
        if value == Lock::Locked {
            self.relock_at = None;
            if self.bolt != Bolt::Sound {
                return;
            }
        }
        if self.lock.value != value {
            self.lock = Stamped { value, changed_at: at };
            seen.push(Happening::Lock { value, by });
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
    const UNLOCK: Event = Event::Order(Order::Unlock);
    const LOCK: Event = Event::Order(Order::Lock);
    const PULL: Event = Event::Open(Closure::Tailgate);
    const SHUT: Event = Event::Close(Closure::Tailgate);

    #[test]
    fn an_unlocked_car_opens_everywhere_and_only_by_a_hand() {
        let (car, answer) = after(car(Build::default()), &[(PULL, 0)]);
        assert_eq!(answer, Answer::Impossible("LOCKED"));
        let (car, _) = after(car, &[(UNLOCK, 1)]);
        assert!(car.shut() && car.lock.value == Lock::Unlocked);
        let (car, answer) = after(car, &[(PULL, 2), (Event::Open(Closure::FrontLeftDoor), 3)]);
        assert_eq!(answer, Answer::Done, "there is no command for the tailgate alone");
        assert_eq!(after(car.clone(), &[(LOCK, 4)]).1, Answer::Refused("trunk_open"));
        let (car, answer) = after(car, &[(SHUT, 5), (LOCK, 6)]);
        assert_eq!(answer, Answer::Refused("door_open"));
        let (car, answer) = after(car, &[(Event::Close(Closure::FrontLeftDoor), 7)]);
        assert!(answer == Answer::Done && car.shut() && !car.shut_and_locked(), "latched is not locked");
        assert!(after(car, &[(LOCK, 8)]).0.shut_and_locked());
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
        assert_eq!(car_ajar.closure(Closure::Tailgate).value, Lid::Ajar);
        for (bolt, answer) in [(Bolt::Jammed, Answer::Refused("unknown_issue")), (Bolt::JammedUnnoticed, Answer::Done)]
        {
            let (jammed, said) = after(car(Build::default()), &[(UNLOCK, 0), (Event::Bolt(bolt), 1), (LOCK, 2)]);
            assert_eq!(said, answer, "{bolt:?}");
            assert_eq!(jammed.lock.value, Lock::Unlocked, "{bolt:?}");
        }
    }

    #[test]
    fn a_car_that_does_not_listen_says_why_and_stays_shut() {
        for (event, why) in [
            (Event::Sleep, "asleep"),
            (Event::Network { online: false }, "no_response"),
            (Event::RemoteAccess { on: false }, "remote_access_disabled"),
            (Event::DriveAway, "in_motion"),
        ] {
            let (car, answer) = after(car(Build::default()), &[(event, 0), (UNLOCK, 100)]);
            assert_eq!(answer, Answer::Refused(why));
            assert!(car.shut_and_locked(), "{why}");
        }
    }

    #[test]
    fn a_driving_car_moves() {
        let (car, _) = after(car(Build::default()), &[(Event::DriveAway, 0)]);
        assert!((car.place(at(100)).latitude - 42.31).abs() < 1e-9);
        assert_eq!(after(car, &[(PULL, 101)]).1, Answer::Impossible("DRIVING"));
    }
}
