//! A front door: a bolt, a sensor at its leaf, a light in the hall, and a camera that sees this light and nothing else of use.
//!
//! The camera behaves as one does: it is some hundred milliseconds behind, it adapts to the light within seconds, and no two of
//! its pictures are the same. What can be done to it from outside: it shows its last picture for ever, as under a flood of
//! de-authentications, it shows a clip of what it saw before over and over, or it shows nothing.

use parcelshelf_core::time::{Entropy, Timestamp};
use parcelshelf_core::vehicle::Vin;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
}
const fn behind() -> u32 {
    300
}
impl FrontFile {
    /// The one of a household that has one.
    #[must_use]
    pub fn demo() -> Self {
        Self::of("0HALLWAY000000001", "hall")
    }
    #[must_use]
    pub fn of(number: &str, entity: &str) -> Self {
        Self { number: number.to_owned(), entity: entity.to_owned(), behind_ms: behind() }
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
    lamp: Vec<(Timestamp, bool)>,
    shows: Shows,
    pub unlockings: u64,
    pub unlock_commands: u64,
    pub lock_commands: u64,
    pub stills: u64,
    written: [Written; 4],
}

/// Its entities, in the order in which they are written.
const KINDS: [&str; 4] = ["lock", "binary_sensor", "camera", "light"];

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
            lamp: Vec::new(),
            shows: Shows::Now,
            unlockings: 0,
            unlock_commands: 0,
            lock_commands: 0,
            stills: 0,
            written,
        }
    }
    /// Which of its entities this is.
    fn kind(&self, entity: &str) -> Option<usize> {
        let (domain, name) = entity.split_once('.')?;
        let own = if domain == "binary_sensor" { name.strip_suffix("_contact")? } else { name };
        KINDS.iter().position(|kind| *kind == domain).filter(|_| own == self.file.entity)
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
    /// A service is called. The states that it changed; `None` if this is none of its entities, or no such service.
    pub fn call(&mut self, service: &str, entity: &str, now: Timestamp, entropy: &dyn Entropy) -> Option<Vec<Value>> {
        let kind = self.kind(entity)?;
        match (KINDS[kind], service) {
            ("lock", "lock") => self.lock_commands += 1,
            ("lock", "unlock") => self.unlock_commands += 1,
            ("light", "turn_on" | "turn_off") => {}
            _ => return None,
        }
        let before = self.written[kind].word;
        // The server passes no command on to what it cannot reach.
        if before != "unavailable" {
            match service {
                "lock" if self.bent => self.jammed = true,
                "lock" => (self.bolted, self.jammed) = (true, false),
                "unlock" => {
                    self.unlockings += u64::from(self.bolted);
                    (self.bolted, self.jammed) = (false, false);
                }
                _ => self.switch(service == "turn_on", now),
            }
        }
        self.write(now, entropy);
        let changed = self.written[kind].word != before;
        Some(if changed { self.state(entity).into_iter().collect() } else { Vec::new() })
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
            "open_door" => self.ajar |= !self.bolted,
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
        self.write(now, entropy);
        true
    }

    // ---- the camera --------------------------------------------------------------------------------------------------

    /// A PNG, as the server passes it on. `None`: the camera gives nothing.
    pub fn picture(&mut self, entity: &str, now: Timestamp) -> Option<Option<Vec<u8>>> {
        self.kind(entity).filter(|kind| KINDS[*kind] == "camera")?;
        self.stills += 1;
        let behind = |at: Timestamp| at.plus_millis(-i64::from(self.file.behind_ms));
        let at = match self.shows {
            _ if !self.online => return Some(None),
            Shows::Nothing => return Some(None),
            Shows::Now => behind(now),
            Shows::Frozen(since) => behind(since),
            Shows::Looped(since) => behind(since.plus_millis(now.millis_since(since) % CLIP_MS - CLIP_MS)),
        };
        Some(drawn(self.brightness(at), at))
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
            "shut_and_locked": self.bolted && !self.jammed && !self.ajar,
        })
    }
}
