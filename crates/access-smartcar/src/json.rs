//! Reading this maker's JSON: names in any case, members that appear twice taken as absent, nothing trusted.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A JSON value whose objects keep every member, also repeated ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Members or elements of one object or list that are kept; an answer with more is not this maker's.
const WIDTH_MAX: usize = 1_024;

impl Json {
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
    /// The member of this name, matched without regard to case. Absent if there is none, or more than one: two answers
    /// to one question are no answer.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        let mut matching = members.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        match (matching.next(), matching.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
    pub fn list(&self) -> Option<&[Self]> {
        if let Self::List(all) = self { Some(all) } else { None }
    }
    pub const fn truth(&self) -> Option<bool> {
        if let Self::Bool(b) = self { Some(*b) } else { None }
    }
    /// A number, or a text that spells one; finite.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(n) => Some(*n),
            Self::Text(text) if text.len() <= 32 => text.trim().parse().ok(),
            _ => None,
        }
        .filter(|n: &f64| n.is_finite())
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;
impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Json, E> {
        Ok(Json::Bool(v))
    }
    #[expect(clippy::cast_precision_loss, reason = "no number of this API needs more than 53 bits")]
    fn visit_i64<E>(self, v: i64) -> Result<Json, E> {
        Ok(Json::Number(v as f64))
    }
    #[expect(clippy::cast_precision_loss, reason = "no number of this API needs more than 53 bits")]
    fn visit_u64<E>(self, v: u64) -> Result<Json, E> {
        Ok(Json::Number(v as f64))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Json, E> {
        Ok(Json::Number(v))
    }
    fn visit_str<E>(self, v: &str) -> Result<Json, E> {
        Ok(Json::Text(v.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while all.len() < WIDTH_MAX {
            let Some(value) = seq.next_element()? else { return Ok(Json::List(all)) };
            all.push(value);
        }
        if seq.next_element::<IgnoredAny>()?.is_some() {
            return Err(serde::de::Error::custom("list too long"));
        }
        Ok(Json::List(all))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.len() == WIDTH_MAX {
                return Err(serde::de::Error::custom("object too wide"));
            }
            members.push((name, map.next_value()?));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_any_case_and_contradictions_are_no_answer() {
        let json = Json::parse(br#"{"TailGate":{"value":"OPEN"},"hood":1,"HOOD":2,"x":"1799","y":true}"#).unwrap();
        assert_eq!(json.get("tailgate").and_then(|t| t.get("VALUE")).and_then(Json::text), Some("OPEN"));
        assert_eq!(json.get("hood"), None);
        assert_eq!(json.get("x").and_then(Json::number), Some(1799.0));
        assert_eq!(json.get("y").and_then(Json::truth), Some(true));
        assert_eq!(json.get("absent"), None);
    }

    #[test]
    fn hostile_bodies_are_refused_without_a_panic() {
        let deep = "[".repeat(100_000);
        let wide = format!("[{}0]", "0,".repeat(2_000));
        for body in ["", "{", "nul", "{\"a\":1e999}", deep.as_str(), wide.as_str(), "{} {}", "\u{feff}{}"] {
            assert_eq!(Json::parse(body.as_bytes()), None, "{}", &body[..body.len().min(20)]);
        }
        assert_eq!(Json::parse(&[0xff, 0xfe, b'{', b'}']), None);
    }
}
