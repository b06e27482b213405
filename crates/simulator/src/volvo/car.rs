//! One car as a thing in a street: locks, lids, a hand, a key, sleep. Pure: (state, event, now) → (state, happenings).
//!
//! No HTTP, no maker's field names, no clock. What the cloud says of a car and what the car is can differ (that is what
//! [faults](super::fault) are for); this file is what the car *is*.

use parcelshelf_core::time::Timestamp;

/// Seconds after which an unlocked car that nobody touched locks itself again (owner's manuals: two minutes).
pub const RELOCK_S_DEFAULT: u32 = 120;
/// Seconds of the unlock window (the example in the maker's documentation).
pub const WINDOW_S_DEFAULT: u32 = 120;

/// Everything on a car that opens and shuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closure {
    FrontLeftDoor,
    FrontRightDoor,
    RearLeftDoor,
    RearRightDoor,
    Hood,
    Tailgate,
    TankLid,
    FrontLeftWindow,
    FrontRightWindow,
    RearLeftWindow,
    RearRightWindow,
    Sunroof,
}

impl Closure {
    pub const ALL: [Self; 12] = [
        Self::FrontLeftDoor,
        Self::FrontRightDoor,
        Self::RearLeftDoor,
        Self::RearRightDoor,
        Self::Hood,
        Self::Tailgate,
        Self::TankLid,
        Self::FrontLeftWindow,
        Self::FrontRightWindow,
        Self::RearLeftWindow,
        Self::RearRightWindow,
        Self::Sunroof,
    ];
    /// The closures of the maker's `doors` answer.
    pub const LIDS: [Self; 7] = [
        Self::FrontLeftDoor,
        Self::FrontRightDoor,
        Self::RearLeftDoor,
        Self::RearRightDoor,
        Self::Hood,
        Self::Tailgate,
        Self::TankLid,
    ];
    /// The closures of the maker's `windows` answer.
    pub const GLASS: [Self; 5] =
        [Self::FrontLeftWindow, Self::FrontRightWindow, Self::RearLeftWindow, Self::RearRightWindow, Self::Sunroof];
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
            Self::TankLid => "tank_lid",
            Self::FrontLeftWindow => "front_left_window",
            Self::FrontRightWindow => "front_right_window",
            Self::RearLeftWindow => "rear_left_window",
            Self::RearRightWindow => "rear_right_window",
            Self::Sunroof => "sunroof",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.code() == code)
    }
    /// Held shut by the central lock.
    const fn locked_centrally(self) -> bool {
        matches!(
            self,
            Self::FrontLeftDoor | Self::FrontRightDoor | Self::RearLeftDoor | Self::RearRightDoor | Self::Tailgate
        )
    }
    /// Keeps the central lock from engaging while it is not closed.
    const fn blocks_lock(self) -> bool {
        self.locked_centrally() || matches!(self, Self::Hood)
    }
    const fn is_glass(self) -> bool {
        matches!(
            self,
            Self::FrontLeftWindow
                | Self::FrontRightWindow
                | Self::RearLeftWindow
                | Self::RearRightWindow
                | Self::Sunroof
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lid {
    Open,
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

/// A value and when it last changed. Reading it, or setting it to what it already is, changes no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamped<T> {
    pub value: T,
    pub changed_at: Timestamp,
}

/// What the car does when the cloud says unlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnlockStyle {
    /// Nothing moves; for so many seconds a hand at a handle completes it.
    Window { seconds: u32 },
    /// The bolts are pulled at once.
    AtOnce,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    Awake,
    /// Saves power; hears no command until somebody touches it.
    Asleep,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parking {
    pub latitude: f64,
    pub longitude: f64,
    pub heading_deg: u16,
    /// When the trip ended.
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trip {
    Parked,
    Driving,
}

/// How this car is built. Does not change in the street.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    pub unlock: UnlockStyle,
    /// Locks again when unlocked and untouched for so long; `None`: never.
    pub relock_after_s: Option<u32>,
    /// Locks by itself as soon as the last door or lid is shut.
    pub relock_on_close: bool,
}
impl Default for Build {
    fn default() -> Self {
        Self {
            unlock: UnlockStyle::Window { seconds: WINDOW_S_DEFAULT },
            relock_after_s: Some(RELOCK_S_DEFAULT),
            relock_on_close: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Car {
    pub build: Build,
    pub lock: Stamped<Lock>,
    closures: [Stamped<Lid>; 12],
    pub trip: Trip,
    /// Written when a trip ends and at no other time.
    pub parked: Parking,
    pub power: Stamped<Power>,
    pub online: bool,
    pub updating: bool,
    pub privacy: bool,
    pub bolt: Bolt,
    /// A tailgate whose latch does not catch: shut, it stays ajar.
    pub latch_broken: bool,
    /// Until when a hand at a handle completes an unlock.
    pub ready_until: Option<Timestamp>,
    /// When the car locks by itself if nobody touches it.
    relock_at: Option<Timestamp>,
}

/// What the cloud can ask of a car.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    Unlock,
    Lock,
    LockReducedGuard,
    Honk,
    Flash,
    HonkFlash,
}
impl Order {
    pub const ALL: [Self; 6] =
        [Self::Unlock, Self::Lock, Self::LockReducedGuard, Self::Honk, Self::Flash, Self::HonkFlash];
    /// Last part of the maker's path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Unlock => "unlock",
            Self::Lock => "lock",
            Self::LockReducedGuard => "lock-reduced-guard",
            Self::Honk => "honk",
            Self::Flash => "flash",
            Self::HonkFlash => "honk-flash",
        }
    }
    /// Name in the maker's list of commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unlock => "UNLOCK",
            Self::Lock => "LOCK",
            Self::LockReducedGuard => "LOCK_REDUCED_GUARD",
            Self::Honk => "HONK",
            Self::Flash => "FLASH",
            Self::HonkFlash => "HONK_AND_FLASH",
        }
    }
    #[must_use]
    pub fn parse_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.path() == path)
    }
    #[must_use]
    pub fn parse_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.name() == name)
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
    Update {
        running: bool,
    },
    Privacy {
        on: bool,
    },
    DriveAway,
    /// Ends a trip. A parked car is moved there as if by a trip that took no time.
    Park {
        latitude: f64,
        longitude: f64,
        heading_deg: u16,
    },
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// Ready until then: a hand completes it.
    Ready {
        until: Timestamp,
    },
    /// The car said no to the cloud, in the maker's word.
    Refused(&'static str),
    /// Physics said no to a hand.
    Impossible(&'static str),
}

/// Something that can be seen on the car; goes into the record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Happening {
    Lid { closure: Closure, value: Lid },
    Lock { value: Lock, by: By },
    WindowArmed { until: Timestamp },
    WindowPassed,
    TripStarted,
    TripEnded,
    Signalled { horn: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A command from the cloud.
    Cloud,
    /// A hand at a handle within the window.
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
    /// Parked, locked, shut, awake, all since `parking.at`.
    #[must_use]
    pub fn parked(build: Build, parking: Parking) -> Self {
        let at = parking.at;
        Self {
            build,
            lock: Stamped { value: Lock::Locked, changed_at: at },
            closures: [Stamped { value: Lid::Closed, changed_at: at }; 12],
            trip: Trip::Parked,
            parked: parking,
            power: Stamped { value: Power::Awake, changed_at: at },
            online: true,
            updating: false,
            privacy: false,
            bolt: Bolt::Sound,
            latch_broken: false,
            ready_until: None,
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
        Closure::ALL.into_iter().filter(|c| c.blocks_lock()).all(|c| self.closure(c).value == Lid::Closed)
    }
    #[must_use]
    pub fn shut_and_locked(&self) -> bool {
        self.shut() && self.lock.value == Lock::Locked
    }

    /// The next state, what became of the event, and what could be seen. Time that passed before the event is lived
    /// through first, so a window that ran out is gone before a hand arrives.
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
            Event::Park { latitude, longitude, heading_deg } => {
                if self.trip == Trip::Driving {
                    seen.push(Happening::TripEnded);
                }
                self.trip = Trip::Parked;
                self.parked = Parking { latitude, longitude, heading_deg, at: now };
                Answer::Done
            }
            other => self.condition(other, now),
        };
        (self, answer, seen)
    }

    fn live_until(&mut self, now: Timestamp, seen: &mut Vec<Happening>) {
        if self.ready_until.is_some_and(|until| until <= now) {
            self.ready_until = None;
            seen.push(Happening::WindowPassed);
        }
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
        if let Some(word) = self.deaf_because() {
            return Answer::Refused(word);
        }
        match order {
            Order::Unlock => match self.build.unlock {
                UnlockStyle::Window { seconds } => {
                    let until = now.plus_seconds(i64::from(seconds));
                    self.ready_until = Some(until);
                    seen.push(Happening::WindowArmed { until });
                    Answer::Ready { until }
                }
                UnlockStyle::AtOnce => {
                    self.unlock(By::Cloud, now, seen);
                    Answer::Done
                }
            },
            Order::Lock | Order::LockReducedGuard if !self.shut() => Answer::Refused("UNABLE_TO_LOCK_DOOR_OPEN"),
            Order::Lock | Order::LockReducedGuard => match (self.bolt, self.lock.value) {
                (Bolt::Jammed, Lock::Unlocked) => Answer::Refused("CAR_ERROR"),
                _ => {
                    self.ready_until = None;
                    self.set_lock(Lock::Locked, By::Cloud, now, seen);
                    Answer::Done
                }
            },
            Order::Honk | Order::HonkFlash => self.signal(true, seen),
            Order::Flash => self.signal(false, seen),
        }
    }
    /// Why the car does not hear the cloud, in the maker's word; the first that holds.
    fn deaf_because(&self) -> Option<&'static str> {
        if !self.online {
            Some("CONNECTION_FAILURE")
        } else if self.power.value == Power::Asleep {
            Some("VEHICLE_IN_SLEEP")
        } else if self.privacy {
            Some("NOT_ALLOWED_PRIVACY_ENABLED")
        } else if self.trip == Trip::Driving {
            Some("NOT_ALLOWED_WRONG_USAGE_MODE")
        } else if self.updating {
            Some("REJECTED")
        } else {
            None
        }
    }
    fn signal(&mut self, horn: bool, seen: &mut Vec<Happening>) -> Answer {
        seen.push(Happening::Signalled { horn });
        Answer::Done
    }

    fn pull(&mut self, closure: Closure, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        if closure.is_glass() || closure == Closure::Hood {
            // Moved from inside: needs somebody who got in.
            if self.lock.value == Lock::Locked {
                return Answer::Impossible("LOCKED");
            }
        } else if closure.locked_centrally() && self.lock.value == Lock::Locked {
            if self.ready_until.is_none() {
                return Answer::Impossible("LOCKED");
            }
            self.ready_until = None;
            self.unlock(By::Hand, now, seen);
        }
        if self.trip == Trip::Driving && !closure.is_glass() {
            return Answer::Impossible("DRIVING");
        }
        self.wake(now);
        self.relock_at = None;
        self.set_lid(closure, Lid::Open, now, seen);
        Answer::Done
    }
    fn let_down(&mut self, closure: Closure, value: Lid, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        if self.closure(closure).value == Lid::Closed && value == Lid::Ajar {
            return Answer::Impossible("CLOSED");
        }
        self.wake(now);
        self.set_lid(closure, value, now, seen);
        if self.build.relock_on_close && self.shut() {
            self.set_lock(Lock::Locked, By::Car, now, seen);
        }
        Answer::Done
    }
    fn key(&mut self, value: Lock, now: Timestamp, seen: &mut Vec<Happening>) -> Answer {
        self.wake(now);
        self.ready_until = None;
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
        self.wake(now);
        self.ready_until = None;
        self.trip = Trip::Driving;
        seen.push(Happening::TripStarted);
        // Doors lock by themselves at walking pace.
        self.set_lock(Lock::Locked, By::Car, now, seen);
        Answer::Done
    }
    fn condition(&mut self, event: Event, now: Timestamp) -> Answer {
        match event {
            Event::Bolt(bolt) => self.bolt = bolt,
            Event::Latch { broken } => self.latch_broken = broken,
            Event::Sleep if self.trip == Trip::Driving => return Answer::Impossible("DRIVING"),
            Event::Sleep => self.power = Stamped { value: Power::Asleep, changed_at: now },
            Event::Wake => self.wake(now),
            Event::Network { online } => self.online = online,
            Event::Update { running } => self.updating = running,
            Event::Privacy { on } => self.privacy = on,
            _ => {}
        }
        Answer::Done
    }

    fn wake(&mut self, now: Timestamp) {
        if self.power.value == Power::Asleep {
            self.power = Stamped { value: Power::Awake, changed_at: now };
        }
    }
    fn unlock(&mut self, by: By, now: Timestamp, seen: &mut Vec<Happening>) {
        self.set_lock(Lock::Unlocked, by, now, seen);
        self.relock_at = match by {
            By::Hand => None,
            _ => self.build.relock_after_s.map(|s| now.plus_seconds(i64::from(s))),
        };
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
