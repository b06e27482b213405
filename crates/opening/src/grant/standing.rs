//! Standing rules: weekly hours in a named zone, at most 90 days, one use per local date; for named merchants, or for one guest.

use jiff::ToSpan as _;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{Disambiguation, TimeZone};
use parcelshelf_core::time::{Timestamp, Window};

/// A standing rule lives at most this many days: an owner who never looks again must not stay open for ever.
pub const STANDING_DAYS_MAX: i64 = 90;
/// Merchants in one rule, as a signed grant can name them.
pub const MERCHANTS_MAX: usize = 32;
/// Longest name of a merchant, bytes.
pub const MERCHANT_BYTES_MAX: usize = 128;
/// Spans of weekly hours: two a day are plenty.
pub const HOURS_MAX: usize = 14;
/// An announcement comes at least this long before a courier may: the owner has time to say no.
pub const ANNOUNCED_BEFORE_MS: i64 = 3_600_000;
/// Longest visit, for a day with an hour more on which all hours are allowed: an acceptance holds for a day.
const VISIT_MAX_MS: i64 = 86_400_000;
/// What is left of a window must be worth setting out for.
pub const ANNOUNCED_WINDOW_MIN_MS: i64 = 15 * 60_000;

/// A date on the calendar of the rule's zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LocalDate {
    year: i16,
    month: i8,
    day: i8,
}
impl LocalDate {
    /// Reads `YYYY-MM-DD`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let date: jiff::civil::Date = if plain { text.parse().ok()? } else { return None };
        Some(Self::from(date))
    }
    fn from(date: Date) -> Self {
        Self { year: date.year(), month: date.month(), day: date.day() }
    }
}
impl core::fmt::Display for LocalDate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Hours of one day of the week, local time, start inside and end outside.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WeeklyHours {
    /// 1 = Monday to 7 = Sunday (ISO 8601).
    pub weekday: u8,
    /// Minute of the day, 0 to 1439.
    pub from_minute: u16,
    /// Minute of the day, 1 to 1440, after `from_minute`.
    pub to_minute: u16,
}

/// Why a rule is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotARule {
    #[error("a standing rule names 1 to {MERCHANTS_MAX} merchants, each once, 1 to {MERCHANT_BYTES_MAX} bytes")]
    Merchants,
    #[error("weekly hours are 1 to {HOURS_MAX} spans that end after they start, on weekdays 1 to 7")]
    Hours,
    #[error("the zone is not an IANA time zone")]
    Zone,
    #[error("a standing rule lives at most {STANDING_DAYS_MAX} days")]
    TooLong,
}

/// Why a rule does not cover what a carrier announces, or a guest who comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCovered {
    #[error("the merchant is not named in the rule")]
    Merchant,
    #[error("the rule's hours leave no window that is long enough and far enough ahead")]
    Hours,
    #[error("this date has been taken already")]
    DateTaken,
}

/// What an announcement or a visit comes to: one window on one local date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    pub date: LocalDate,
    pub window: Window,
}

/// The weekly hours of a rule and its life: what counts for whoever it lets in.
#[derive(Clone, Debug)]
pub struct Calendar {
    hours: Vec<WeeklyHours>,
    zone_name: String,
    zone: TimeZone,
    life: Window,
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        (&self.hours, &self.zone_name, self.life) == (&other.hours, &other.zone_name, other.life)
    }
}

/// "Named merchants may deliver to my car within these weekly hours", at most 90 days, once per local date.
#[derive(Clone, PartialEq, Debug)]
pub struct StandingRule {
    merchants: Vec<String>,
    calendar: Calendar,
}

impl StandingRule {
    /// # Errors
    /// [`NotARule`] for a rule outside the bounds.
    pub fn new(merchants: Vec<String>, hours: Vec<WeeklyHours>, zone: &str, window: Window) -> Result<Self, NotARule> {
        let distinct = merchants.iter().enumerate().all(|(i, m)| !merchants[..i].contains(m));
        let sized = merchants.iter().all(|m| (1..=MERCHANT_BYTES_MAX).contains(&m.len()));
        if !(1..=MERCHANTS_MAX).contains(&merchants.len()) || !distinct || !sized {
            return Err(NotARule::Merchants);
        }
        Ok(Self { merchants, calendar: Calendar::new(hours, zone, window)? })
    }
    /// When it counts.
    #[must_use]
    pub const fn calendar(&self) -> &Calendar {
        &self.calendar
    }
    #[must_use]
    pub const fn window(&self) -> Window {
        self.calendar.life
    }
    /// Whether a merchant is named, letter for letter.
    #[must_use]
    pub fn names(&self, merchant: &str) -> bool {
        self.merchants.iter().any(|m| m == merchant)
    }
    /// The first window that the rule's hours leave of what was asked for, on a date that no other delivery has taken.
    /// `earliest`: nothing begins before.
    ///
    /// # Errors
    /// [`NotCovered`]. Whatever is not certainly inside is outside.
    pub fn covers(
        &self,
        merchant: &str,
        asked: Window,
        earliest: Timestamp,
        taken: &[LocalDate],
    ) -> Result<Covered, NotCovered> {
        if !self.names(merchant) {
            return Err(NotCovered::Merchant);
        }
        self.calendar.first_left(asked, earliest, taken)
    }
}

impl Calendar {
    /// # Errors
    /// [`NotARule`] for hours outside the bounds, a zone that is none, a life that is too long.
    pub fn new(hours: Vec<WeeklyHours>, zone: &str, life: Window) -> Result<Self, NotARule> {
        let sane =
            |h: &WeeklyHours| (1..=7).contains(&h.weekday) && h.from_minute < h.to_minute && h.to_minute <= 24 * 60;
        if !(1..=HOURS_MAX).contains(&hours.len()) || !hours.iter().all(sane) {
            return Err(NotARule::Hours);
        }
        if life.millis() > STANDING_DAYS_MAX * 86_400_000 {
            return Err(NotARule::TooLong);
        }
        // A fixed offset or "local" is no place's law of time; IANA names have a letter first and no sign of ours.
        let iana = zone.len() <= 64 && zone.starts_with(|c: char| c.is_ascii_uppercase());
        let zone_found = if iana { TimeZone::get(zone).ok() } else { None };
        let zone_found = zone_found.filter(|z| z.iana_name() == Some(zone)).ok_or(NotARule::Zone)?;
        Ok(Self { hours, zone_name: zone.to_owned(), zone: zone_found, life })
    }
    /// The date on the calendar of the rule's zone; consumption is counted by it.
    #[must_use]
    pub fn local_date(&self, now: Timestamp) -> LocalDate {
        LocalDate::from(self.local(now).date())
    }
    /// Whether `now` lies in the rule's life and weekly hours. On the day the clocks go forward the skipped minutes
    /// do not exist; on the day they go back a repeated minute counts both times, for the clock on the wall shows it.
    #[must_use]
    pub fn allows(&self, now: Timestamp) -> bool {
        if !self.life.contains(now) {
            return false;
        }
        let local = self.local(now);
        let (weekday, minute) = (iso_weekday(local.weekday()), minute_of_day(local.time()));
        self.hours.iter().any(|h| h.weekday == weekday && (h.from_minute..h.to_minute).contains(&minute))
    }
    /// Whoever comes now: today's span around this moment, at most a day of it, on a date that is not taken.
    ///
    /// # Errors
    /// [`NotCovered`]. Whatever is not certainly inside is outside.
    pub fn visit(&self, now: Timestamp, taken: &[LocalDate]) -> Result<Covered, NotCovered> {
        let day = self.local(now).date();
        let date = LocalDate::from(day);
        let around = self.spans(day).find_map(|span| {
            let start = span.start().max(self.life.start());
            let end = span.end().min(self.life.end()).min(start.plus_millis(VISIT_MAX_MS));
            Window::new(start, end).ok().filter(|window| window.contains(now))
        });
        let window = around.ok_or(NotCovered::Hours)?;
        if taken.contains(&date) { Err(NotCovered::DateTaken) } else { Ok(Covered { date, window }) }
    }
    fn first_left(&self, asked: Window, earliest: Timestamp, taken: &[LocalDate]) -> Result<Covered, NotCovered> {
        let (mut day, last) = (self.local(asked.start()).date(), self.local(asked.end()).date());
        let mut refused = NotCovered::Hours;
        while day <= last {
            let date = LocalDate::from(day);
            let left = self.spans(day).find_map(|span| self.left_of(span, asked, earliest));
            match left {
                Some(_) if taken.contains(&date) => refused = NotCovered::DateTaken,
                Some(window) => return Ok(Covered { date, window }),
                None => {}
            }
            let Ok(next) = day.checked_add(1.day()) else { break };
            day = next;
        }
        Err(refused)
    }
    /// Whether every moment of a window is allowed, on one date: what a case is checked against.
    #[must_use]
    pub fn covers_whole(&self, window: Window) -> bool {
        let whole = |span: Window| span.encloses(&window);
        self.life.encloses(&window) && self.spans(self.local(window.start()).date()).any(whole)
    }
    /// The spans of one date. Where the clocks change a minute may not exist or come twice: the later one begins a span and
    /// the earlier one ends it, so that nothing is in it that the wall clock does not show inside the hours.
    fn spans(&self, day: Date) -> impl Iterator<Item = Window> + '_ {
        let at = move |minute: u16, which: Disambiguation| {
            let midnight = day.to_datetime(Time::midnight());
            let wall = midnight.checked_add(i64::from(minute).minutes()).ok()?;
            let zoned = self.zone.clone().into_ambiguous_zoned(wall).disambiguate(which).ok()?;
            Some(Timestamp::from_unix_millis(zoned.timestamp().as_millisecond()))
        };
        let of_day = self.hours.iter().filter(move |h| h.weekday == iso_weekday(day.weekday()));
        of_day.filter_map(move |h| {
            let start = at(h.from_minute, Disambiguation::Later)?;
            Window::new(start, at(h.to_minute, Disambiguation::Earlier)?).ok()
        })
    }
    fn left_of(&self, span: Window, asked: Window, earliest: Timestamp) -> Option<Window> {
        let start = span.start().max(asked.start()).max(self.life.start()).max(earliest);
        let end = span.end().min(asked.end()).min(self.life.end());
        // Seconds are the unit of tokens, and inside is inside.
        let up = Timestamp::from_unix_seconds(start.plus_millis(999).unix_seconds());
        let window = Window::new(up, Timestamp::from_unix_seconds(end.unix_seconds())).ok()?;
        (window.millis() >= ANNOUNCED_WINDOW_MIN_MS).then_some(window)
    }
    fn local(&self, now: Timestamp) -> jiff::civil::DateTime {
        // A `Timestamp` lies between 1970 and 9999, inside jiff's range; an offset may push its last day beyond.
        let at = jiff::Timestamp::from_millisecond(now.unix_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        self.zone.to_datetime(at)
    }
}

fn iso_weekday(day: Weekday) -> u8 {
    // Monday-one offsets are 1 to 7 by their definition.
    u8::try_from(day.to_monday_one_offset()).unwrap_or(0)
}

fn minute_of_day(time: Time) -> u16 {
    // Hours and minutes are never negative.
    u16::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute())).unwrap_or(0)
}
