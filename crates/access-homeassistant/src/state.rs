//! What an entity's state says. Pure: bytes in, the port's words out. Unknown counts as no.

use parcelshelf_access::{AccessError, LidState, LockState, Reachability, Reading, Touched};
use parcelshelf_core::area::Position;
use parcelshelf_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// Metres to assume where a tracker gives no accuracy.
pub(crate) const ACCURACY_M: f64 = 50.0;

/// Bits of a cover's `supported_features`.
const OPENS: u64 = 1;
const CLOSES: u64 = 2;
/// A door that tells how far it is, and has told nothing new for so long, stands still.
const STILL_MS: i64 = 3_000;

/// One state object as the server writes it. Members that are not used here are ignored; one that stands there twice, or is
/// of another type, makes the whole unreadable.
#[derive(Deserialize)]
pub(crate) struct State {
    entity_id: String,
    state: String,
    #[serde(default)]
    attributes: Attributes,
    last_changed: String,
    last_updated: String,
    /// Newer versions say when a state was written again unchanged.
    #[serde(default)]
    last_reported: Option<String>,
    context: Context,
}
#[derive(Deserialize, Default)]
struct Attributes {
    #[serde(default)]
    assumed_state: Value,
    #[serde(default)]
    latitude: Value,
    #[serde(default)]
    longitude: Value,
    #[serde(default)]
    gps_accuracy: Value,
    #[serde(default)]
    source_type: Value,
    #[serde(default)]
    device_class: Value,
    #[serde(default)]
    supported_features: Value,
    #[serde(default)]
    current_position: Value,
}
#[derive(Deserialize)]
struct Context {
    id: String,
    /// Who called a service, and which other event led to this one: null where a device moved by itself.
    #[serde(default = "untold")]
    user_id: Value,
    #[serde(default = "untold")]
    parent_id: Value,
}
/// Not null: what nobody tells is no hand.
fn untold() -> Value {
    Value::Bool(true)
}

/// The word of a lock's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Locked,
    Unlocked,
    Locking,
    Unlocking,
    Jammed,
    /// The device is offline.
    Unavailable,
    /// `unknown`, or a word that nobody has listed.
    Other,
}

/// The word of a cover's state, where the cover is a door with a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaf {
    Closed,
    /// Not shut: the server calls a door that stands half way open as well.
    Open,
    Opening,
    Closing,
    /// `unavailable`, `unknown`, or a word that nobody has listed.
    Other,
}

/// What a sensor in the doorway says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InTheWay {
    Nothing,
    Something,
    /// It does not tell, which counts as something before an opening.
    Untold,
}

impl State {
    /// The state of this entity; `None` for anything else.
    pub fn parse(body: &[u8], entity: &str) -> Option<Self> {
        serde_json::from_slice::<Self>(body).ok().filter(|s| s.entity_id == entity)
    }
    /// A list of states, such as a command's answer.
    pub fn list(body: &[u8]) -> Option<Vec<Self>> {
        serde_json::from_slice(body).ok()
    }
    pub fn is_of(&self, entity: &str) -> bool {
        self.entity_id == entity
    }
    /// Which call made the state what it is.
    pub fn context(&self) -> &str {
        &self.context.id
    }
    /// Neither a user nor another event stands behind the last change.
    pub fn is_by_hand(&self) -> bool {
        self.context.user_id.is_null() && self.context.parent_id.is_null() && !self.is_assumed()
    }
    /// With who changed it last.
    pub fn touched<T>(&self, value: T) -> Touched<T> {
        Touched { value, changed_at: self.changed_at(), by_hand: self.is_by_hand() }
    }
    pub fn word(&self) -> Word {
        match self.state.as_str() {
            "locked" => Word::Locked,
            // `open`: the latch is pulled as well.
            "unlocked" | "open" => Word::Unlocked,
            "locking" => Word::Locking,
            "unlocking" | "opening" => Word::Unlocking,
            "jammed" => Word::Jammed,
            "unavailable" => Word::Unavailable,
            _ => Word::Other,
        }
    }
    /// The integration does not read the device: it repeats what it was last told. Anything but a clear no counts as yes.
    pub fn is_assumed(&self) -> bool {
        !matches!(self.attributes.assumed_state, Value::Null | Value::Bool(false))
    }

    pub fn lock(&self) -> Reading<LockState> {
        let value = match self.word() {
            _ if self.is_assumed() => LockState::Unknown,
            Word::Locked => LockState::Locked,
            // On its way to locked it is not locked yet; on its way to unlocked it is no longer relied upon.
            Word::Unlocked | Word::Unlocking | Word::Locking => LockState::Unlocked,
            // A bolt that stuck on its way may stand anywhere.
            Word::Jammed | Word::Unavailable | Word::Other => LockState::Unknown,
        };
        Reading { value, changed_at: self.changed_at() }
    }
    /// A cover's state as a lid's.
    pub fn lid(&self) -> Reading<LidState> {
        let value = match self.state.as_str() {
            _ if self.is_assumed() => LidState::Unknown,
            "open" => LidState::Open,
            "opening" | "closing" => LidState::Ajar,
            "closed" => LidState::Closed,
            _ => LidState::Unknown,
        };
        Reading { value, changed_at: self.changed_at() }
    }
    pub fn reachability(&self) -> Reachability {
        match self.word() {
            Word::Unavailable => Reachability::NoConnection,
            Word::Other => Reachability::Unknown,
            _ => Reachability::Available,
        }
    }
    /// The same of a door with a drive.
    pub fn reachability_of_leaf(&self) -> Reachability {
        match self.leaf() {
            _ if self.is_unavailable() => Reachability::NoConnection,
            Leaf::Other => Reachability::Unknown,
            _ => Reachability::Available,
        }
    }
    pub fn is_unavailable(&self) -> bool {
        self.state == "unavailable"
    }

    // ---- doors that are watched -------------------------------------------------------------------------------------

    /// What a sensor at a door's leaf says: `on` is open, for this server.
    pub fn contact(&self) -> Reading<LidState> {
        let value = match self.state.as_str() {
            _ if self.is_assumed() => LidState::Unknown,
            "on" => LidState::Open,
            "off" => LidState::Closed,
            _ => LidState::Unknown,
        };
        Reading { value, changed_at: self.changed_at() }
    }
    /// A camera that is there. Some are `idle` and others `streaming` or `recording` while they show the same.
    pub fn shows(&self) -> bool {
        matches!(self.state.as_str(), "idle" | "streaming" | "recording")
    }
    /// Whether a light is on; `None` where nobody knows, or the integration only repeats what it was told.
    pub fn light(&self) -> Option<bool> {
        match self.state.as_str() {
            _ if self.is_assumed() => None,
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        }
    }

    // ---- doors with a drive ----------------------------------------------------------------------------------------

    pub fn leaf(&self) -> Leaf {
        match self.state.as_str() {
            "closed" => Leaf::Closed,
            "open" => Leaf::Open,
            "opening" => Leaf::Opening,
            "closing" => Leaf::Closing,
            _ => Leaf::Other,
        }
    }
    /// Whether this is a cover of that device class which opens and closes by command, and reads its door.
    pub fn is_drive(&self, device_class: &str) -> bool {
        let features = self.attributes.supported_features.as_u64().unwrap_or(0);
        self.attributes.device_class.as_str() == Some(device_class)
            && features & (OPENS | CLOSES) == OPENS | CLOSES
            && !self.is_assumed()
    }
    /// A door with a drive as lid and lock: shut, it is held shut by its drive. `now` is ours.
    pub fn entrance(&self, in_the_way: InTheWay, now: Timestamp) -> (Reading<LidState>, Reading<LockState>) {
        let (lid, lock) = match self.leaf() {
            _ if self.is_assumed() => (LidState::Unknown, LockState::Unknown),
            // What is shut has nothing in its way.
            Leaf::Closed => (LidState::Closed, LockState::Locked),
            Leaf::Other => (LidState::Unknown, LockState::Unknown),
            Leaf::Open | Leaf::Opening | Leaf::Closing if in_the_way == InTheWay::Something => {
                (LidState::Stuck, LockState::Unlocked)
            }
            Leaf::Open if self.stands_half_way(now) => (LidState::Stuck, LockState::Unlocked),
            Leaf::Open if self.is_half_way() => (LidState::Ajar, LockState::Unlocked),
            Leaf::Open => (LidState::Open, LockState::Unlocked),
            Leaf::Opening | Leaf::Closing => (LidState::Ajar, LockState::Unlocked),
        };
        let changed_at = self.changed_at();
        (Reading { value: lid, changed_at }, Reading { value: lock, changed_at })
    }
    /// Between shut and open, by a drive that tells how far.
    fn is_half_way(&self) -> bool {
        self.attributes.current_position.as_f64().is_some_and(|p| p > 0.0 && p < 100.0)
    }
    /// Not called moving, and nothing of it has changed for a while: some integrations tell a move by its positions only.
    fn stands_half_way(&self, now: Timestamp) -> bool {
        let since = Timestamp::parse_rfc3339(&self.last_updated).ok();
        self.is_half_way() && since.is_none_or(|t| now.millis_since(t) >= STILL_MS)
    }
    /// What a sensor in the doorway says: `on` is a problem, for this server.
    pub fn in_the_way(&self) -> InTheWay {
        match self.state.as_str() {
            "off" => InTheWay::Nothing,
            "on" => InTheWay::Something,
            _ => InTheWay::Untold,
        }
    }
    /// Where the house stands that this server is in, by the server's own zone for it.
    pub fn house(&self) -> Result<Position, AccessError> {
        let number = |value: &Value| value.as_f64().filter(|n| n.is_finite());
        let (Some(latitude), Some(longitude)) = (number(&self.attributes.latitude), number(&self.attributes.longitude))
        else {
            return Err(AccessError::NotSupported);
        };
        // A server that was never told where it stands says 0° N 0° E.
        let position =
            (latitude != 0.0 || longitude != 0.0).then(|| Position::new(latitude, longitude, ACCURACY_M).ok());
        position.flatten().ok_or(AccessError::Malformed("position"))
    }
    /// Where a tracker says that its car is, and since when it says so.
    pub fn place(&self) -> Result<(Position, Option<Timestamp>), AccessError> {
        if matches!(self.state.as_str(), "unavailable" | "unknown") {
            return Err(AccessError::CarSilent);
        }
        let number = |value: &Value| value.as_f64().filter(|n| n.is_finite());
        let (Some(latitude), Some(longitude)) = (number(&self.attributes.latitude), number(&self.attributes.longitude))
        else {
            return Err(AccessError::NotSupported);
        };
        // A place that was concluded from a network is the network's.
        if self.attributes.source_type.as_str() != Some("gps") {
            return Err(AccessError::NotSupported);
        }
        let accuracy = number(&self.attributes.gps_accuracy).filter(|m| *m > 0.0).unwrap_or(ACCURACY_M);
        // 0° N 0° E is open sea: some integrations write it when they know nothing.
        let position = (latitude != 0.0 || longitude != 0.0).then(|| Position::new(latitude, longitude, accuracy).ok());
        let position = position.flatten().ok_or(AccessError::Malformed("position"))?;
        let taken_at = self.last_reported.as_deref().unwrap_or(&self.last_updated);
        Ok((position, Timestamp::parse_rfc3339(taken_at).ok()))
    }
    fn changed_at(&self) -> Option<Timestamp> {
        Timestamp::parse_rfc3339(&self.last_changed).ok()
    }
}

/// Whether the server has loaded everything: it answers before it has.
pub(crate) fn is_running(config: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Config {
        state: String,
    }
    serde_json::from_slice::<Config>(config).is_ok_and(|c| c.state == "RUNNING")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(state: &str, attributes: &str) -> Vec<u8> {
        format!(
            r#"{{"entity_id":"lock.car","state":"{state}","attributes":{attributes},"last_changed":"2026-11-22T22:23:12.582976+01:00",
            "last_updated":"2026-11-22T22:24:00+00:00","context":{{"id":"01","parent_id":null,"user_id":null}}}}"#
        )
        .into_bytes()
    }
    fn state(state: &str, attributes: &str) -> State {
        State::parse(&body(state, attributes), "lock.car").unwrap()
    }

    #[test]
    fn a_hand_leaves_no_user_and_no_other_event_and_what_is_not_told_is_no_hand() {
        let of = |context: &str| {
            let text = String::from_utf8(body("open", "{}")).unwrap();
            let told = text.replace(r#"{"id":"01","parent_id":null,"user_id":null}"#, context);
            State::parse(told.as_bytes(), "lock.car").unwrap().touched(()).by_hand
        };
        for (context, by_hand) in [
            (r#"{"id":"01","parent_id":null,"user_id":null}"#, true),
            (r#"{"id":"01","parent_id":null,"user_id":"5f0c"}"#, false),
            (r#"{"id":"01","parent_id":"00","user_id":null}"#, false),
            (r#"{"id":"01","user_id":null}"#, false),
            (r#"{"id":"01","parent_id":null}"#, false),
            (r#"{"id":"01"}"#, false),
        ] {
            assert_eq!(of(context), by_hand, "{context}");
        }
        assert!(!state("open", r#"{"assumed_state":true}"#).is_by_hand(), "it repeats what it was told");
    }

    #[test]
    fn only_a_clear_word_is_locked_or_closed() {
        use LockState::{Locked, Unknown, Unlocked};
        for (word, lock) in [
            ("locked", Locked),
            ("unlocked", Unlocked),
            ("open", Unlocked),
            ("locking", Unlocked),
            ("unlocking", Unlocked),
            ("opening", Unlocked),
            ("jammed", Unknown),
            ("unavailable", Unknown),
            ("unknown", Unknown),
            ("LOCKED", Unknown),
            ("", Unknown),
        ] {
            assert_eq!(state(word, "{}").lock().value, lock, "{word:?}");
            assert_eq!(state(word, r#"{"assumed_state":true}"#).lock().value, Unknown, "{word:?}: only assumed");
        }
        for (word, lid) in [
            ("closed", LidState::Closed),
            ("open", LidState::Open),
            ("opening", LidState::Ajar),
            ("closing", LidState::Ajar),
            ("unavailable", LidState::Unknown),
            ("on", LidState::Unknown),
        ] {
            assert_eq!(state(word, "{}").lid().value, lid, "{word:?}");
            assert_eq!(state(word, r#"{"assumed_state":"yes"}"#).lid().value, LidState::Unknown, "{word:?}");
        }
    }

    #[test]
    fn a_door_with_a_drive_is_locked_when_it_is_shut_and_unknown_counts_as_no() {
        use InTheWay::{Nothing, Something, Untold};
        use LidState::{Ajar, Closed, Open, Stuck};
        let at = Timestamp::parse_rfc3339("2026-11-22T22:24:10Z").unwrap();
        let seen = |word: &str, attributes: &str, way| {
            let (lid, lock) = state(word, attributes).entrance(way, at);
            (lid.value, lock.value)
        };
        let half = r#"{"current_position":40}"#;
        let no = (LidState::Unknown, LockState::Unknown);
        for (word, attributes, way, expected) in [
            ("closed", "{}", Nothing, (Closed, LockState::Locked)),
            ("closed", "{}", Untold, (Closed, LockState::Locked)),
            ("open", "{}", Nothing, (Open, LockState::Unlocked)),
            ("open", r#"{"current_position":100}"#, Nothing, (Open, LockState::Unlocked)),
            ("open", half, Nothing, (Stuck, LockState::Unlocked)),
            ("closing", half, Nothing, (Ajar, LockState::Unlocked)),
            ("opening", "{}", Untold, (Ajar, LockState::Unlocked)),
            ("closing", "{}", Something, (Stuck, LockState::Unlocked)),
            ("open", "{}", Something, (Stuck, LockState::Unlocked)),
            ("unavailable", "{}", Nothing, no),
            ("unknown", "{}", Nothing, no),
            ("locked", "{}", Nothing, no),
            ("Closed", "{}", Nothing, no),
            ("closed", r#"{"assumed_state":true}"#, Nothing, no),
        ] {
            assert_eq!(seen(word, attributes, way), expected, "{word} {attributes} {way:?}");
        }
        let moving = Timestamp::parse_rfc3339("2026-11-22T22:24:02Z").unwrap();
        assert_eq!(state("open", half).entrance(Nothing, moving).0.value, Ajar, "it told something new just now");
        for (word, way) in [("on", Something), ("off", Nothing), ("unavailable", Untold), ("unknown", Untold)] {
            assert_eq!(state(word, "{}").in_the_way(), way, "{word}");
        }
    }

    #[test]
    fn a_sensor_a_camera_and_a_light_that_say_nothing_clear_are_unknown() {
        let told = |word: &str| {
            let state = state(word, "{}");
            (state.contact().value, state.shows(), state.light())
        };
        use LidState::{Closed, Open, Unknown};
        for (word, expected) in [
            ("on", (Open, false, Some(true))),
            ("off", (Closed, false, Some(false))),
            ("idle", (Unknown, true, None)),
            ("streaming", (Unknown, true, None)),
            ("recording", (Unknown, true, None)),
            ("unavailable", (Unknown, false, None)),
            ("unknown", (Unknown, false, None)),
            ("", (Unknown, false, None)),
            ("ON", (Unknown, false, None)),
        ] {
            assert_eq!(told(word), expected, "{word}");
        }
        let assumed = state("off", r#"{"assumed_state":true}"#);
        assert_eq!((assumed.contact().value, assumed.light()), (Unknown, None), "it repeats what it was told");
    }

    #[test]
    fn only_a_cover_of_its_class_that_opens_and_closes_is_a_drive() {
        let good = r#"{"device_class":"garage","supported_features":11}"#;
        assert!(state("closed", good).is_drive("garage"));
        assert!(!state("closed", good).is_drive("gate"));
        for odd in [
            "{}",
            r#"{"device_class":"shutter","supported_features":11}"#,
            r#"{"device_class":"garage","supported_features":9}"#,
            r#"{"device_class":"garage","supported_features":"3"}"#,
            r#"{"device_class":"garage"}"#,
            r#"{"device_class":"garage","supported_features":3,"assumed_state":true}"#,
        ] {
            assert!(!state("closed", odd).is_drive("garage"), "{odd}");
        }
    }

    #[test]
    fn a_house_stands_where_its_server_says_so() {
        let told = |attributes: &str| state("0", attributes).house().map(|p| (p.latitude_deg(), p.accuracy_m()));
        assert_eq!(told(r#"{"latitude":59.33,"longitude":18.06,"radius":100}"#), Ok((59.33, ACCURACY_M)));
        assert_eq!(told("{}"), Err(AccessError::NotSupported));
        assert_eq!(told(r#"{"latitude":0,"longitude":0}"#), Err(AccessError::Malformed("position")));
        assert_eq!(told(r#"{"latitude":91,"longitude":1}"#), Err(AccessError::Malformed("position")));
    }

    #[test]
    fn times_have_microseconds_and_an_offset() {
        let changed = state("locked", "{}").lock().changed_at.unwrap();
        assert_eq!(changed.to_rfc3339(), "2026-11-22T21:23:12.582Z");
    }

    #[test]
    fn a_place_needs_coordinates_of_a_satellite_receiver() {
        let told =
            |attributes: &str| state("home", attributes).place().map(|(p, t)| (p.latitude_deg(), p.accuracy_m(), t));
        let at = Timestamp::parse_rfc3339("2026-11-22T22:24:00Z").ok();
        let good = r#"{"latitude":59.33,"longitude":18.06,"gps_accuracy":12,"source_type":"gps"}"#;
        assert_eq!(told(good), Ok((59.33, 12.0, at)));
        assert_eq!(told(&good.replace("12", "0")), Ok((59.33, ACCURACY_M, at)), "0 m is no accuracy");
        assert_eq!(told(&good.replace("gps\"}", "router\"}")), Err(AccessError::NotSupported));
        assert_eq!(told("{}"), Err(AccessError::NotSupported));
        assert_eq!(told(&good.replace("59.33", "\"59.33\"")), Err(AccessError::NotSupported));
        assert_eq!(told(&good.replace("59.33", "91")), Err(AccessError::Malformed("position")));
        assert_eq!(told(&good.replace("59.33", "0").replace("18.06", "0")), Err(AccessError::Malformed("position")));
        assert_eq!(state("unavailable", good).place().err(), Some(AccessError::CarSilent));
    }

    #[test]
    fn what_is_not_this_entitys_state_is_none() {
        assert!(State::parse(&body("locked", "{}"), "lock.other").is_none());
        let twice = String::from_utf8(body("locked", "{}"))
            .unwrap()
            .replace("{\"entity_id\"", "{\"state\":\"x\",\"entity_id\"");
        let deep = "[".repeat(100_000);
        for hostile in
            ["", "null", "[]", "{}", "<html>", twice.as_str(), deep.as_str(), r#"{"entity_id":"lock.car","state":7}"#]
        {
            assert!(State::parse(hostile.as_bytes(), "lock.car").is_none(), "{}", &hostile[..hostile.len().min(20)]);
        }
        assert!(State::list(b"{}").is_none() && State::list(deep.as_bytes()).is_none());
        assert!(!is_running(b"{}") && !is_running(br#"{"state":"STARTING"}"#) && is_running(br#"{"state":"RUNNING"}"#));
    }
}
