//! Everything at one car or door is stopped, by somebody who shares it, for all who do.
//!
//! Whoever stops takes that back alone. Anybody else who shares the thing can only *ask* for its end: that is announced to all,
//! and comes true when [`LIFT_HOURS`] have passed without a word of whoever stopped. Their word keeps it. So nobody who is
//! stopped undoes it in silence, and nobody who has left keeps a car stopped for ever: a stop stands as long as whoever put
//! it is known to have the thing.
//!
//! ```text
//!            stop                     ask (another)                 keep
//! (none) ──────────▶ stands ─────────────────────────▶ asked ─────────────────▶ kept
//!    ▲                 │  lift                  lift    │  │  72 hours            │  lift
//!    └─────────────────┴────────────────────────────────┴──┴──────────────────────┘   and each ends with its possession
//! ```

use parcelshelf_core::id::VehicleId;
use parcelshelf_core::time::Timestamp;

/// So long after it was asked for a stop ends, if whoever put it says nothing, hours.
pub const LIFT_HOURS: i64 = 72;
/// Stops of one thing that are kept: one for each link that may be, and as many of links that are gone.
pub const PUTS_MAX: usize = 2 * crate::links::LINKS_MAX;

/// What was said about one stop by others and by whoever put it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Wish {
    /// Nobody has asked for its end.
    Nothing,
    /// Somebody has, and all were told.
    Asked { at: Timestamp },
    /// Somebody has, and whoever put it wants it to stay: from here on they alone end it.
    Kept,
}

/// A stop by one who shares the thing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Put {
    /// The link of whoever put it.
    pub by: VehicleId,
    pub since: Timestamp,
    /// As long as its wallet is known to have the thing.
    pub until: Timestamp,
    pub wish: Wish,
}
impl Put {
    /// When it ends by itself, if nobody says anything more.
    #[must_use]
    pub fn ends(&self) -> Timestamp {
        match self.wish {
            Wish::Asked { at } => self.until.min(at.plus_seconds(LIFT_HOURS * 3_600)),
            Wish::Nothing | Wish::Kept => self.until,
        }
    }
    #[must_use]
    pub fn stands(&self, now: Timestamp) -> bool {
        now < self.ends()
    }
}

/// What somebody says. Who it is, and that they may say it, the caller has checked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// Stop everything. `until`: how long it is known that they have the thing. Said again it keeps what stands.
    Stop { until: Timestamp },
    /// It may go on: ends their own stop and, if they may say that, asks for the end of all others.
    Lift { asks: bool },
    /// Their own stop stays, whatever others ask for.
    Keep,
    /// They have proved possession anew, and their stop stands for longer.
    Proved { until: Timestamp },
}

/// What has come of it, and is told to all who share the thing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Told {
    Stopped,
    /// Whoever had stopped has taken that back.
    Lifted,
    /// The end of somebody else's stop was asked for; it comes then, if they say nothing.
    LiftAsked {
        ends: Timestamp,
    },
    Kept,
}

/// Why something cannot be said.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Refused {
    #[error("nothing is stopped here")]
    NotStopped,
    #[error("somebody else has stopped it and keeps it so")]
    KeptByAnother,
    #[error("its end was asked for already")]
    AskedAlready { ends: Timestamp },
    #[error("nobody has asked for its end")]
    NotAsked,
    #[error("stopped by too many")]
    TooMany,
}

/// All stops of one thing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Halt {
    puts: Vec<Put>,
}

impl Halt {
    /// From rows.
    #[must_use]
    pub const fn from_puts(puts: Vec<Put>) -> Self {
        Self { puts }
    }
    #[must_use]
    pub fn puts(&self) -> &[Put] {
        &self.puts
    }
    /// Those that stand.
    pub fn standing(&self, now: Timestamp) -> impl Iterator<Item = &Put> {
        self.puts.iter().filter(move |put| put.stands(now))
    }
    /// Whether nothing may be shown or opened.
    #[must_use]
    pub fn stands(&self, now: Timestamp) -> bool {
        self.standing(now).next().is_some()
    }
    /// The stop that stands of this link.
    #[must_use]
    pub fn of(&self, by: VehicleId, now: Timestamp) -> Option<&Put> {
        self.standing(now).find(|put| put.by == by)
    }

    /// What becomes of it, and what everybody is told.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn handle(mut self, by: VehicleId, event: Event, now: Timestamp) -> Result<(Self, Vec<Told>), Refused> {
        self.puts.retain(|put| put.stands(now));
        let full = self.puts.len() >= PUTS_MAX;
        let own = self.puts.iter_mut().find(|put| put.by == by);
        let told = match (event, own) {
            (Event::Stop { until }, Some(own)) => {
                own.until = own.until.max(until);
                // Whoever says "stop" to "may it go on?" has answered.
                if matches!(own.wish, Wish::Asked { .. }) {
                    own.wish = Wish::Kept;
                    vec![Told::Kept]
                } else {
                    Vec::new()
                }
            }
            (Event::Stop { .. }, None) if full => return Err(Refused::TooMany),
            (Event::Stop { until }, None) => {
                self.puts.push(Put { by, since: now, until, wish: Wish::Nothing });
                vec![Told::Stopped]
            }
            (Event::Lift { asks }, _) => return self.lift(by, asks, now),
            (Event::Keep, Some(own)) => match own.wish {
                Wish::Nothing => return Err(Refused::NotAsked),
                Wish::Kept => Vec::new(),
                Wish::Asked { .. } => {
                    own.wish = Wish::Kept;
                    vec![Told::Kept]
                }
            },
            (Event::Keep, None) => return Err(Refused::NotStopped),
            (Event::Proved { until }, own) => {
                if let Some(own) = own {
                    own.until = own.until.max(until);
                }
                Vec::new()
            }
        };
        Ok((self, told))
    }

    fn lift(mut self, by: VehicleId, asks: bool, now: Timestamp) -> Result<(Self, Vec<Told>), Refused> {
        if self.puts.is_empty() {
            return Err(Refused::NotStopped);
        }
        let before = self.puts.len();
        self.puts.retain(|put| put.by != by);
        let mut told = Vec::new();
        if self.puts.len() < before {
            told.push(Told::Lifted);
        }
        let unasked = self.puts.iter_mut().filter(|put| asks && put.wish == Wish::Nothing);
        let ends = unasked.fold(None, |last: Option<Timestamp>, put| {
            put.wish = Wish::Asked { at: now };
            Some(last.map_or(put.ends(), |last| last.max(put.ends())))
        });
        told.extend(ends.map(|ends| Told::LiftAsked { ends }));
        if !told.is_empty() {
            return Ok((self, told));
        }
        // Nothing has come of it: every stop that is left was asked about before.
        match self.puts.iter().filter(|put| put.wish != Wish::Kept).map(Put::ends).max() {
            Some(ends) => Err(Refused::AskedAlready { ends }),
            None => Err(Refused::KeptByAnother),
        }
    }
}
