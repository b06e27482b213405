//! A front door: a bolt, a sensor at its leaf, a light in the hall, and a camera that sees this light and nothing else of use.
//!
//! The camera behaves as one does: it is some hundred milliseconds behind, it adapts to the light within seconds, and no two of
//! its pictures are the same. What can be done to it from outside: it shows its last picture for ever, as under a flood of
//! de-authentications, it shows a clip of what it saw before over and over, or it shows nothing.
//!
//! The door keeps a record of its own of whether anybody can have seen through this camera who then told it to unlock
//! ([`Front::unseen_unlocks`]): by what the camera gave, and by nobody's word.

use parcelshelf_core::time::{Entropy, Timestamp};
use parcelshelf_core::vehicle::Vin;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fault::{Effect, Target};
use super::line::Line;
use super::world::context;

/// Pixels of a picture.
const WIDTH: u32 = 64;
const HEIGHT: u32 = 48;
/// Mean brightness of the hall without and by the light, of 1000.
const DARK_PERMILLE: f64 = 280.0;
const GLOW_PERMILLE: f64 = 260.0;
/// The camera makes up for so much of a change in the end, and for two thirds of that within this time.
const ADAPTS: f64 = 0.3;
const ADAPTS_WITHIN_MS: f64 = 6_000.0;
/// The clip that is shown over and over, milliseconds.
const CLIP_MS: i64 = 20_000;
/// Changes of the light that the camera remembers: more than in any clip.
const MEMORY_MAX: usize = 256;
const TIMES_MAX: usize = 256;
/// Pictures that follow each other within this are one look through the camera.
const ONE_LOOK_MS: i64 = 6_000;
/// So long after its last picture a look may stand behind a command. A proof holds for 10 s, what is permitted on it for 10 s
/// more, and a login that is renewed and a last look at the lock take at most 10 s each.
const LOOK_HOLDS_MS: i64 = 40_000;

/// One front door: `lock.<entity>`, and `binary_sensor.<entity>_contact`, `camera.<entity>`, `light.<entity>`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FrontFile {
    /// By which the control path and whoever configures a keyholder know it; the server itself does not.
    pub number: String,
    pub entity: String,
    /// How far the camera is behind, milliseconds.
    #[serde(default = "behind")]
    pub behind_ms: u32,
    /// Whose looks at where the house stands are written down with this door, where each door is another person's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}
const fn behind() -> u32 {
    300
}
impl FrontFile {
    /// The one of a household that has one.
    #[must_use]
    pub fn demo() -> Self {
        Self::in_row(0)
    }
    /// One of several in a building, by its place from 0. The first is that of a household that has one.
    #[must_use]
    pub fn in_row(n: usize) -> Self {
        let entity = if n == 0 { String::from("hall") } else { format!("hall_{}", n + 1) };
        Self::of(&format!("0HALLWAY{:09}", n + 1), &entity)
    }
    #[must_use]
    pub fn of(number: &str, entity: &str) -> Self {
        Self { number: number.to_owned(), entity: entity.to_owned(), behind_ms: behind(), person: None }
    }
    pub(super) fn is_good(&self) -> bool {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        Vin::parse(&self.number).is_ok()
            && (1..=100).contains(&self.entity.len())
            && self.entity.bytes().all(plain)
            && self.behind_ms <= 60_000
    }
}

/// What the camera shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    Now,
    /// What it saw in this moment.
    Frozen(Timestamp),
    /// What it saw up to this moment, over and over.
    Looped(Timestamp),
    Nothing,
}

/// Pictures that somebody has asked for, one after another.
#[derive(Clone, Copy, Debug)]
struct Look {
    began: Timestamp,
    last: Timestamp,
    /// At least one of them arrived and showed what was there.
    showed: bool,
}

/// One entity's word, and when and under which context it was written.
#[derive(Clone, Debug)]
struct Written {
    word: &'static str,
    changed: Timestamp,
    context: String,
}

#[derive(Debug)]
pub struct Front {
    pub file: FrontFile,
    bolted: bool,
    bent: bool,
    jammed: bool,
    ajar: bool,
    /// The lock, and sensor, camera and light, can be reached from the server.
    lock_online: bool,
    online: bool,
    /// Since when the lock is lost, to the server or with the whole network.
    lock_lost_at: Option<Timestamp>,
    lamp: Vec<(Timestamp, bool)>,
    shows: Shows,
    look: Option<Look>,
    pub line: Line,
    pub unlockings: u64,
    pub unlock_commands: u64,
    pub lock_commands: u64,
    pub stills: u64,
    /// How often its leaf went from shut to open, and when, the first 256 times.
    pub openings: u64,
    pub opened_at: Vec<Timestamp>,
    pub house_told_at: Vec<Timestamp>,
    /// Commands to unlock behind which nobody can have seen what is there: nobody had just looked through the camera, or it
    /// gave nothing true in that whole look, or the lock was lost since before it.
    pub unseen_unlocks: u64,
    /// Commands to unlock, and late unlockings, while camera, network or lock failed, which had not failed when somebody looked.
    pub failed_since_seen: u64,
    written: [Written; 4],
}

/// Its entities, in the order in which they are written.
const KINDS: [&str; 4] = ["lock", "binary_sensor", "camera", "light"];
const LOCK: usize = 0;
const LIGHT: usize = 3;

impl Front {
    pub fn shut(file: FrontFile, now: Timestamp) -> Self {
        let nobody = || String::from("00000000000000000000000000");
        let written = ["locked", "off", "idle", "off"].map(|word| Written { word, changed: now, context: nobody() });
        Self {
            file,
            bolted: true,
            bent: false,
            jammed: false,
            ajar: false,
            lock_online: true,
            online: true,
            lock_lost_at: None,
            lamp: Vec::new(),
            shows: Shows::Now,
            look: None,
            line: Line::default(),
            unlockings: 0,
            unlock_commands: 0,
            lock_commands: 0,
            stills: 0,
            openings: 0,
            opened_at: Vec::new(),
            house_told_at: Vec::new(),
            unseen_unlocks: 0,
            failed_since_seen: 0,
            written,
        }
    }
    /// Lives up to `now`: commands that are late reach it when they do.
    pub fn live(&mut self, now: Timestamp, entropy: &dyn Entropy) {
        while let Some((at, service)) = self.line.arrives(now) {
            let unlocks = service == Target::Unlock && self.bolted;
            self.failed_since_seen += u64::from(unlocks && self.fails());
            self.hears_of(service, at, entropy);
        }
    }
    /// Which of its entities this is.
    fn kind(&self, entity: &str) -> Option<usize> {
        let (domain, name) = entity.split_once('.')?;
        let own = if domain == "binary_sensor" { name.strip_suffix("_contact")? } else { name };
        KINDS.iter().position(|kind| *kind == domain).filter(|_| own == self.file.entity)
    }
    pub fn has(&self, entity: &str) -> bool {
        self.kind(entity).is_some()
    }
    /// What a look at this entity is about.
    pub fn looked_at(&self, entity: &str) -> Option<Target> {
        Some([Target::Bolt, Target::Contact, Target::Still, Target::Light][self.kind(entity)?])
    }
    pub const fn is_open(&self) -> bool {
        self.ajar
    }
    pub const fn is_shut_and_locked(&self) -> bool {
        self.bolted && !self.jammed && !self.ajar
    }
    fn is_lit(&self) -> bool {
        self.lamp.last().is_some_and(|(_, on)| *on)
    }
    fn words(&self) -> [&'static str; 4] {
        let of = |online: bool, word| if online { word } else { "unavailable" };
        let bolt = match (self.jammed, self.bolted) {
            (true, _) => "jammed",
            (false, true) => "locked",
            (false, false) => "unlocked",
        };
        [
            of(self.lock_online && self.online, bolt),
            of(self.online, if self.ajar { "on" } else { "off" }),
            of(self.online && self.shows != Shows::Nothing, "idle"),
            of(self.online, if self.is_lit() { "on" } else { "off" }),
        ]
    }
    fn write(&mut self, now: Timestamp, entropy: &dyn Entropy) {
        let (context, words) = (context(entropy), self.words());
        for (written, word) in self.written.iter_mut().zip(words) {
            if written.word != word {
                *written = Written { word, changed: now, context: context.clone() };
            }
        }
    }

    pub fn state(&self, entity: &str) -> Option<Value> {
        let Written { word, changed, context } = &self.written[self.kind(entity)?];
        let at = changed.to_rfc3339();
        Some(json!({
            "entity_id": entity, "state": word, "attributes": {"friendly_name": self.file.entity},
            "last_changed": at, "last_reported": at, "last_updated": at,
            "context": {"id": context, "parent_id": null, "user_id": null},
        }))
    }
    /// A service of its lock or its light is called. The states that this changes in this moment.
    pub fn call(
        &mut self,
        service: Target,
        strikes: Option<Effect>,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Vec<Value> {
        match service {
            Target::Lock => self.lock_commands += 1,
            Target::Unlock => self.told_to_unlock(now),
            _ => {}
        }
        let kind = if service.is_of_light() { LIGHT } else { LOCK };
        let before = self.written[kind].word;
        if self.line.reaches(strikes, service, now) {
            self.hears_of(service, now, entropy);
        }
        let changed = self.written[kind].word != before;
        if changed {
            self.state(&format!("{}.{}", KINDS[kind], self.file.entity)).into_iter().collect()
        } else {
            Vec::new()
        }
    }
    /// The server passes no command on to what it cannot reach.
    fn hears_of(&mut self, service: Target, now: Timestamp, entropy: &dyn Entropy) {
        let kind = if service.is_of_light() { LIGHT } else { LOCK };
        if self.written[kind].word != "unavailable" {
            match service {
                Target::Lock if self.bent => self.jammed = true,
                Target::Lock => (self.bolted, self.jammed) = (true, false),
                Target::Unlock => {
                    self.unlockings += u64::from(self.bolted);
                    (self.bolted, self.jammed) = (false, false);
                }
                _ => self.switch(service == Target::LightOn, now),
            }
        }
        self.write(now, entropy);
    }
    fn switch(&mut self, on: bool, now: Timestamp) {
        if self.is_lit() != on {
            self.lamp.push((now, on));
            if self.lamp.len() > MEMORY_MAX {
                self.lamp.remove(0);
            }
        }
    }
    /// A hand at the door itself, or somebody who means harm.
    pub fn hand(&mut self, action: &str, now: Timestamp, entropy: &dyn Entropy) -> bool {
        match action {
            // Nobody pulls a door open against its bolt.
            "open_door" if self.bolted || self.ajar => {}
            "open_door" => {
                self.ajar = true;
                self.openings += 1;
                if self.opened_at.len() < TIMES_MAX {
                    self.opened_at.push(now);
                }
            }
            "shut_door" => self.ajar = false,
            "turn_key" => (self.bolted, self.jammed) = (!self.bolted, false),
            "bend_bolt" => self.bent = true,
            "mend_bolt" => self.bent = false,
            "lose_lock" => self.lock_online = false,
            "regain_lock" => self.lock_online = true,
            "lose_network" => self.online = false,
            "regain_network" => self.online = true,
            "freeze_camera" => self.shows = Shows::Frozen(now),
            "loop_camera" => self.shows = Shows::Looped(now),
            "blind_camera" => self.shows = Shows::Nothing,
            "mend_camera" => self.shows = Shows::Now,
            "switch_light" => self.switch(!self.is_lit(), now),
            _ => return false,
        }
        let lost = !(self.lock_online && self.online);
        self.lock_lost_at = lost.then(|| self.lock_lost_at.unwrap_or(now));
        self.write(now, entropy);
        true
    }

    // ---- the camera --------------------------------------------------------------------------------------------------

    /// A PNG, as the server passes it on, if it `arrives`. `None`: the camera gives nothing.
    pub fn picture(&mut self, now: Timestamp, arrives: bool) -> Option<Vec<u8>> {
        self.stills += 1;
        let before = self.look.filter(|look| now.millis_since(look.last) <= ONE_LOOK_MS);
        let (began, showed) = before.map_or((now, false), |look| (look.began, look.showed));
        self.look = Some(Look { began, last: now, showed: showed || (arrives && self.sees()) });
        let behind = |at: Timestamp| at.plus_millis(-i64::from(self.file.behind_ms));
        let at = match self.shows {
            _ if !self.online => return None,
            Shows::Nothing => return None,
            Shows::Now => behind(now),
            Shows::Frozen(since) => behind(since),
            Shows::Looped(since) => behind(since.plus_millis(now.millis_since(since) % CLIP_MS - CLIP_MS)),
        };
        drawn(self.brightness(at), at)
    }
    fn sees(&self) -> bool {
        self.online && self.shows == Shows::Now
    }
    fn fails(&self) -> bool {
        !self.sees() || self.lock_lost_at.is_some()
    }
    /// For the record: what whoever tells it to unlock can have seen before.
    fn told_to_unlock(&mut self, now: Timestamp) {
        self.unlock_commands += 1;
        let seen = self.look.is_some_and(|look| {
            let had_its_lock = self.lock_lost_at.is_none_or(|lost| lost > look.began);
            look.showed && had_its_lock && now.millis_since(look.last) <= LOOK_HOLDS_MS
        });
        self.unseen_unlocks += u64::from(!seen);
        self.failed_since_seen += u64::from(seen && self.fails());
    }
    /// Of 1000, as the camera has adapted by then.
    fn brightness(&self, at: Timestamp) -> f64 {
        let lit = |until: Timestamp| self.lamp.iter().rev().find(|(t, _)| *t <= until);
        let level = |on: bool| DARK_PERMILLE + if on { GLOW_PERMILLE } else { 0.0 };
        let (since, on) = lit(at).copied().unwrap_or((Timestamp::EPOCH, false));
        let (there, before) = (level(on), level(!on));
        let adapted = 1.0 - (-(at.millis_since(since) as f64) / ADAPTS_WITHIN_MS).exp();
        there - (there - before) * ADAPTS * adapted
    }
}

/// A hall of this brightness, darker to one side, with the noise of that moment. `None` never happens: memory takes it.
fn drawn(permille: f64, at: Timestamp) -> Option<Vec<u8>> {
    let mut noise = at.unix_millis().unsigned_abs() | 1;
    let mut pixels = Vec::with_capacity((WIDTH * HEIGHT) as usize);
    for _ in 0..HEIGHT {
        for x in 0..WIDTH {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let grain = f64::from((noise >> 59) as u8) - 15.5;
            let slope = (f64::from(x) / f64::from(WIDTH) - 0.5) * 40.0;
            pixels.push((permille * 0.255 + slope + grain).clamp(0.0, 255.0) as u8);
        }
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&pixels).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}

/// What a hall with and without its light would look like, from nobody's camera; each time with another noise, as a painter must
/// who is not to be taken for a camera that hangs.
pub(crate) fn painted(lit: bool, nth: u32) -> Option<Vec<u8>> {
    let noise = Timestamp::from_unix_millis(2 * i64::from(nth));
    drawn(DARK_PERMILLE + if lit { GLOW_PERMILLE } else { 0.0 }, noise)
}

impl Front {
    /// For the control path.
    pub fn to_json(&self) -> Value {
        let [lock, contact, camera, light] = self.words();
        json!({
            "number": self.file.number, "lock": lock, "contact": contact, "camera": camera, "light": light,
            "bolted": self.bolted, "open": self.ajar,
        })
    }
    /// What the door itself recorded.
    pub fn record(&self) -> Value {
        json!({
            "vin": self.file.number, "door_openings": self.unlockings,
            "commands": {"unlock": self.unlock_commands, "lock": self.lock_commands}, "stills": self.stills,
            "position_reads": self.house_told_at.len(),
            "unlocks": {"unseen": self.unseen_unlocks, "failed_since_seen": self.failed_since_seen},
            "shut_and_locked": self.is_shut_and_locked(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::homeassistant::fault::{Acts, Hears};

    const T: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    /// A proof: so many pictures, one in so many milliseconds. Then it is unlocked.
    const PICTURES: i64 = 14;
    const PACE_MS: i64 = 1_500;
    const UNLOCKED_MS: i64 = 22_000;

    #[derive(Debug)]
    struct Zeros;
    impl Entropy for Zeros {
        fn fill(&self, into: &mut [u8]) {
            into.fill(0);
        }
    }

    /// Plays a proof and an unlock `after_ms` with hands at the door on the way; what the record says of it.
    fn played(hands: &[(i64, &str)], pictures: i64, arrive: bool, after_ms: i64) -> (u64, u64) {
        let mut front = Front::shut(FrontFile::demo(), T);
        for ms in 0..=after_ms {
            let now = T.plus_millis(ms);
            for (_, hand) in hands.iter().filter(|(at, _)| *at == ms) {
                assert!(front.hand(hand, now, &Zeros), "{hand}");
            }
            if ms % PACE_MS == 0 && ms / PACE_MS < pictures {
                front.picture(now, arrive);
            }
        }
        front.call(Target::Unlock, None, T.plus_millis(after_ms), &Zeros);
        (front.unseen_unlocks, front.failed_since_seen)
    }

    #[test]
    fn whoever_has_looked_through_a_camera_that_shows_what_is_there_has_seen_it() {
        assert_eq!(played(&[], PICTURES, true, UNLOCKED_MS), (0, 0));
        let mended = [(0, "freeze_camera"), (3_000, "mend_camera")];
        assert_eq!(played(&mended, PICTURES, true, UNLOCKED_MS), (0, 0));
    }

    #[test]
    fn what_lied_was_silent_or_lost_since_before_the_look_is_unseen() {
        for harm in ["freeze_camera", "loop_camera", "blind_camera", "lose_network", "lose_lock"] {
            assert_eq!(played(&[(0, harm)], PICTURES, true, UNLOCKED_MS), (1, 0), "{harm}");
        }
        assert_eq!(played(&[], 0, true, UNLOCKED_MS), (1, 0), "nobody looked");
        assert_eq!(played(&[], PICTURES, false, UNLOCKED_MS), (1, 0), "no picture arrived");
        assert_eq!(played(&[], PICTURES, true, 60_000), (1, 0), "a look of a minute ago");
    }

    #[test]
    fn what_fails_while_somebody_looks_or_after_is_another_figure() {
        for harm in ["freeze_camera", "loop_camera", "blind_camera", "lose_network", "lose_lock"] {
            assert_eq!(played(&[(9_000, harm)], PICTURES, true, UNLOCKED_MS), (0, 1), "{harm}");
            assert_eq!(played(&[(21_000, harm)], PICTURES, true, UNLOCKED_MS), (0, 1), "{harm}");
        }
        let mut front = Front::shut(FrontFile::demo(), T);
        front.picture(T, true);
        let late = Effect { acts: Acts::AfterSeconds(50), hears: Hears::Success };
        assert!(front.call(Target::Unlock, Some(late), T, &Zeros).is_empty());
        front.hand("blind_camera", T.plus_seconds(20), &Zeros);
        front.live(T.plus_seconds(49), &Zeros);
        assert_eq!((front.unlockings, front.failed_since_seen), (0, 0));
        front.live(T.plus_seconds(50), &Zeros);
        assert_eq!((front.unlockings, front.unseen_unlocks, front.failed_since_seen), (1, 0, 1), "the bolt went late");
    }

    #[test]
    fn a_door_opens_by_hand_where_its_bolt_lets_it_and_each_opening_is_counted_once() {
        let mut front = Front::shut(FrontFile::demo(), T);
        front.hand("open_door", T, &Zeros);
        assert!(!front.is_open() && front.is_shut_and_locked());
        front.call(Target::Unlock, None, T, &Zeros);
        for _ in 0..2 {
            front.hand("open_door", T.plus_seconds(1), &Zeros);
        }
        assert!(front.is_open() && !front.is_shut_and_locked());
        assert_eq!((front.openings, front.opened_at.as_slice()), (1, &[T.plus_seconds(1)][..]));
    }
}
