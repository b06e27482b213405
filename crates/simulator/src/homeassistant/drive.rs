//! A garage door with a drive, as a body: it warns, travels, yields to what is in its way, and breaks. Pure: time comes in.

use parcelshelf_core::time::Timestamp;

/// Where a door that meets something, or breaks, is when it does: percent open.
pub const MEETS_AT: u8 = 40;
const OPEN: u8 = 100;

/// What a drive is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    Still,
    /// Told to shut from afar: light and sound first (UL 325).
    Warning {
        until: Timestamp,
    },
    Opening {
        from: u8,
        since: Timestamp,
    },
    Closing {
        from: u8,
        since: Timestamp,
    },
}

/// One door. Positions are percent open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drive {
    pub position: u8,
    pub motion: Motion,
    /// From shut to open, milliseconds.
    pub travel_ms: u32,
    pub warning_ms: u32,
    /// A bicycle stands in the doorway.
    pub in_the_way: bool,
    /// The drive stops half way and stays there.
    pub broken: bool,
}

/// What happened to a door, with the time at which it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// From shut to not shut.
    Opened,
    Shut,
    /// It met something and came up again.
    Yielded,
    /// It stopped half way.
    Stalled,
    /// The drive began, ended or changed its direction.
    Moved,
}

impl Drive {
    #[must_use]
    pub const fn shut(travel_ms: u32, warning_ms: u32) -> Self {
        Self { position: 0, motion: Motion::Still, travel_ms, warning_ms, in_the_way: false, broken: false }
    }
    #[must_use]
    pub const fn is_shut(&self) -> bool {
        self.position == 0
    }
    /// Told to open, from afar. A door that is open stays so.
    pub fn open(&mut self, now: Timestamp) -> Vec<(Timestamp, Happening)> {
        match self.motion {
            Motion::Opening { .. } => vec![],
            _ if self.position == OPEN => {
                self.motion = Motion::Still;
                vec![]
            }
            _ => {
                let first = if self.position == 0 { Happening::Opened } else { Happening::Moved };
                // Off the ground in the same moment: nobody may call it shut.
                self.position = self.position.max(1);
                self.motion = Motion::Opening { from: self.position, since: now };
                vec![(now, first)]
            }
        }
    }
    /// Told to shut, from afar: after its warning.
    pub fn close(&mut self, now: Timestamp) -> Vec<(Timestamp, Happening)> {
        match self.motion {
            Motion::Closing { .. } | Motion::Warning { .. } => vec![],
            _ if self.position == 0 => vec![],
            _ if self.warning_ms > 0 => {
                self.motion = Motion::Warning { until: now.plus_millis(i64::from(self.warning_ms)) };
                vec![]
            }
            _ => {
                self.motion = Motion::Closing { from: self.position, since: now };
                vec![(now, Happening::Moved)]
            }
        }
    }
    /// The button on the wall: whoever stands there sees the door.
    pub fn press(&mut self, now: Timestamp) -> Vec<(Timestamp, Happening)> {
        match self.motion {
            Motion::Opening { .. } | Motion::Closing { .. } | Motion::Warning { .. } => {
                self.motion = Motion::Still;
                vec![(now, Happening::Moved)]
            }
            Motion::Still if self.position == 0 => self.open(now),
            Motion::Still => {
                self.motion = Motion::Closing { from: self.position, since: now };
                vec![(now, Happening::Moved)]
            }
        }
    }

    /// Lives up to `now`, one step after the other.
    pub fn live(&mut self, now: Timestamp) -> Vec<(Timestamp, Happening)> {
        let mut all = vec![];
        while let Some((at, happening)) = self.step(now) {
            all.push((at, happening));
        }
        all
    }
    /// The next thing that happens until `now`, and when.
    pub fn step(&mut self, now: Timestamp) -> Option<(Timestamp, Happening)> {
        match self.motion {
            Motion::Still => None,
            Motion::Warning { until } => (now >= until).then(|| {
                self.motion = Motion::Closing { from: self.position, since: until };
                (until, Happening::Moved)
            }),
            Motion::Opening { from, since } => {
                let at = since.plus_millis(self.takes_ms(from, OPEN));
                if now < at {
                    self.position = from.max(self.after(from, OPEN, since, now));
                    return None;
                }
                (self.position, self.motion) = (OPEN, Motion::Still);
                Some((at, Happening::Moved))
            }
            Motion::Closing { from, since } => self.step_down(from, since, now),
        }
    }
    fn step_down(&mut self, from: u8, since: Timestamp, now: Timestamp) -> Option<(Timestamp, Happening)> {
        let hindered = (self.in_the_way || self.broken) && from > MEETS_AT;
        let down_to = if hindered { MEETS_AT } else { 0 };
        let at = since.plus_millis(self.takes_ms(from, down_to));
        if now < at {
            self.position = self.after(from, down_to, since, now).clamp(down_to.max(1), from);
            return None;
        }
        self.position = down_to;
        if !hindered {
            self.motion = Motion::Still;
            return Some((at, Happening::Shut));
        }
        if self.broken {
            self.motion = Motion::Still;
            return Some((at, Happening::Stalled));
        }
        self.motion = Motion::Opening { from: MEETS_AT, since: at };
        Some((at, Happening::Yielded))
    }
    fn takes_ms(&self, from: u8, to: u8) -> i64 {
        i64::from(self.travel_ms) * i64::from(from.abs_diff(to)) / i64::from(OPEN)
    }
    fn after(&self, from: u8, to: u8, since: Timestamp, now: Timestamp) -> u8 {
        let share = now.millis_since(since).max(0) * i64::from(OPEN) / i64::from(self.travel_ms.max(1));
        let moved = u8::try_from(share.clamp(0, i64::from(OPEN))).unwrap_or(OPEN);
        if to > from { from.saturating_add(moved).min(to) } else { from.saturating_sub(moved).max(to) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000).plus_millis(ms)
    }
    fn open() -> Drive {
        let mut door = Drive::shut(10_000, 5_000);
        door.open(at(0));
        door.live(at(20_000));
        assert_eq!((door.position, door.motion), (100, Motion::Still));
        door
    }

    #[test]
    fn a_door_travels_up_and_after_its_warning_down() {
        let mut door = Drive::shut(10_000, 5_000);
        assert_eq!(door.open(at(0)), [(at(0), Happening::Opened)]);
        door.live(at(5_000));
        assert!((45..=55).contains(&door.position), "{}", door.position);
        let mut door = open();
        assert!(door.close(at(20_000)).is_empty(), "it warns first");
        assert!(door.live(at(24_999)).is_empty());
        assert_eq!(door.position, 100);
        let seen = door.live(at(40_000));
        assert_eq!(seen, [(at(25_000), Happening::Moved), (at(35_000), Happening::Shut)]);
        assert!(door.is_shut());
    }

    #[test]
    fn what_is_in_its_way_sends_it_up_again_and_a_break_stops_it_half_way() {
        let mut door = Drive { in_the_way: true, ..open() };
        door.close(at(20_000));
        let seen: Vec<_> = door.live(at(60_000)).into_iter().map(|(_, h)| h).collect();
        assert_eq!(seen, [Happening::Moved, Happening::Yielded, Happening::Moved]);
        assert_eq!(door.position, 100);

        let mut door = Drive { broken: true, ..open() };
        door.close(at(20_000));
        let seen = door.live(at(60_000));
        assert_eq!(seen.last(), Some(&(at(31_000), Happening::Stalled)));
        assert_eq!((door.position, door.motion), (MEETS_AT, Motion::Still));
        door.broken = false;
        door.close(at(60_000));
        door.live(at(80_000));
        assert!(door.is_shut(), "mended it goes on");
    }

    #[test]
    fn the_button_on_the_wall_opens_stops_and_shuts() {
        let mut door = Drive::shut(10_000, 5_000);
        assert_eq!(door.press(at(0)), [(at(0), Happening::Opened)]);
        door.live(at(3_000));
        door.press(at(3_000));
        assert_eq!(door.motion, Motion::Still);
        door.press(at(4_000));
        door.live(at(9_000));
        assert!(door.is_shut());
    }
}
