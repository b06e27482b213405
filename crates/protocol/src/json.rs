//! Strict JSON: what is refused here is refused everywhere.
//!
//! One object at the top, no member twice in one object at any depth, nested at most [`DEPTH_MAX`] levels, whole
//! numbers within ±2^53 (fractions only where a reader asks for them), UTF-8, nothing after the end. Readers take
//! members by name and then call [`Members::end`], which refuses what nobody asked for.

use core::cell::Cell;
use core::fmt;
use core::ops::RangeInclusive;

use parcelshelf_core::time::Timestamp;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::encoding::{Hash, from_b64};
use crate::refused::{Fault, Kind, Refused};

/// Deepest nesting of any message: a bundle needs five.
pub(crate) const DEPTH_MAX: usize = 8;
/// Most members of one object and most items of one list; the largest real ones are a bundle's records.
const MEMBERS_MAX: usize = 1024;
/// Integers that every JSON reader keeps exact (RFC 7493 §2.2).
const INTEGER_MAX: i64 = 1 << 53;
/// The last second of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// Reads one strict object.
pub(crate) fn parse(kind: Kind, bytes: &[u8]) -> Result<Members, Refused> {
    let fault = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { fault: &fault, depth: 0 }.deserialize(&mut reader).and_then(|v| reader.end().map(|()| v));
    match value {
        Ok(Value::Object(list)) => Ok(Members { kind, list }),
        Ok(_) => Err(Refused::of(kind, Fault::NotAnObject)),
        Err(_) => Err(Refused::of(kind, fault.get().unwrap_or(Fault::NotJson))),
    }
}

struct Strict<'a> {
    fault: &'a Cell<Option<Fault>>,
    depth: usize,
}
impl Strict<'_> {
    fn fail<E: de::Error>(&self, fault: Fault) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }
    fn deeper<E: de::Error>(&self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(self.fail(Fault::TooDeep));
        }
        Ok(Self { fault: self.fault, depth: self.depth + 1 })
    }
}
impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }
}
impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Value, E> {
        if v >= -INTEGER_MAX { Ok(Value::Int(v)) } else { Err(self.fail(Fault::NotAnInteger)) }
    }
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Value, E> {
        match i64::try_from(v) {
            Ok(v) if v <= INTEGER_MAX => Ok(Value::Int(v)),
            _ => Err(self.fail(Fault::NotAnInteger)),
        }
    }
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::Float(v))
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::Text(v.to_owned()))
    }
    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::Text(v))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            if list.len() == MEMBERS_MAX {
                return Err(self.fail(Fault::TooLong));
            }
            list.push(item);
        }
        Ok(Value::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut list: Vec<(String, Value)> = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            if list.iter().any(|(n, _)| *n == name) {
                return Err(self.fail(Fault::DuplicateMember));
            }
            if list.len() == MEMBERS_MAX {
                return Err(self.fail(Fault::TooLong));
            }
            let value = members.next_value_seed(self.deeper()?)?;
            list.push((name, value));
        }
        Ok(Value::Object(list))
    }
}

/// The members of one object that nobody has taken yet.
#[derive(Debug, Clone)]
pub(crate) struct Members {
    kind: Kind,
    list: Vec<(String, Value)>,
}

impl Members {
    pub(crate) const fn fault(&self, fault: Fault) -> Refused {
        Refused::of(self.kind, fault)
    }
    pub(crate) const fn wrong(&self) -> Refused {
        self.fault(Fault::WrongMember)
    }
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.list.iter().position(|(n, _)| n == name)?;
        Some(self.list.swap_remove(at).1)
    }
    fn need(&mut self, name: &str) -> Result<Value, Refused> {
        self.take(name).ok_or(self.fault(Fault::MissingMember))
    }
    pub(crate) fn has(&self, name: &str) -> bool {
        self.list.iter().any(|(n, _)| n == name)
    }
    /// Refuses what nobody asked for.
    pub(crate) fn end(self) -> Result<(), Refused> {
        self.check_end()
    }
    pub(crate) fn check_end(&self) -> Result<(), Refused> {
        if self.list.is_empty() { Ok(()) } else { Err(self.fault(Fault::UnknownMember)) }
    }

    /// Any text, control characters too, of so many bytes.
    pub(crate) fn raw_text(&mut self, name: &str, bytes: RangeInclusive<usize>) -> Result<String, Refused> {
        match self.need(name)? {
            Value::Text(t) if bytes.contains(&t.len()) => Ok(t),
            _ => Err(self.wrong()),
        }
    }
    /// A text that people may read: no control characters and none that turn the direction of writing.
    pub(crate) fn text(&mut self, name: &str, bytes: RangeInclusive<usize>) -> Result<String, Refused> {
        let t = self.raw_text(name, bytes)?;
        if is_plain(&t) { Ok(t) } else { Err(self.wrong()) }
    }
    /// A text that must be exactly this one.
    pub(crate) fn word(&mut self, name: &str, word: &str, otherwise: Refused) -> Result<(), Refused> {
        match self.need(name)? {
            Value::Text(t) if t == word => Ok(()),
            Value::Text(_) => Err(otherwise),
            _ => Err(self.wrong()),
        }
    }
    pub(crate) fn bool(&mut self, name: &str) -> Result<bool, Refused> {
        match self.need(name)? {
            Value::Bool(b) => Ok(b),
            _ => Err(self.wrong()),
        }
    }
    /// `true` or absent: one form for each meaning.
    pub(crate) fn opt_true(&mut self, name: &str) -> Result<bool, Refused> {
        if !self.has(name) {
            return Ok(false);
        }
        if self.bool(name)? { Ok(true) } else { Err(self.wrong()) }
    }
    pub(crate) fn int(&mut self, name: &str, range: RangeInclusive<i64>) -> Result<i64, Refused> {
        match self.need(name)? {
            Value::Int(n) if range.contains(&n) => Ok(n),
            Value::Float(_) => Err(self.fault(Fault::NotAnInteger)),
            _ => Err(self.wrong()),
        }
    }
    /// A number that may have a fraction; only positions inside sealed content have one.
    pub(crate) fn float(&mut self, name: &str) -> Result<f64, Refused> {
        match self.need(name)? {
            Value::Float(f) => Ok(f),
            // Exact: integers stay within ±2^53.
            Value::Int(n) => Ok(n as f64),
            _ => Err(self.wrong()),
        }
    }
    /// RFC 7519 `NumericDate`, whole seconds.
    pub(crate) fn seconds(&mut self, name: &str) -> Result<Timestamp, Refused> {
        self.int(name, 0..=SECONDS_MAX).map(Timestamp::from_unix_seconds)
    }
    /// A text that `read` understands (an identifier, a code, a hash).
    pub(crate) fn parsed<T>(&mut self, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, Refused> {
        match self.need(name)? {
            Value::Text(t) => read(&t).ok_or(self.wrong()),
            _ => Err(self.wrong()),
        }
    }
    pub(crate) fn opt_parsed<T>(&mut self, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Refused> {
        if self.has(name) { self.parsed(name, read).map(Some) } else { Ok(None) }
    }
    /// `null` or a text that `read` understands; the member itself is always there.
    pub(crate) fn nullable<T>(&mut self, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Refused> {
        match self.need(name)? {
            Value::Null => Ok(None),
            Value::Text(t) => read(&t).map(Some).ok_or(self.wrong()),
            _ => Err(self.wrong()),
        }
    }
    pub(crate) fn hash(&mut self, name: &str) -> Result<Hash, Refused> {
        self.parsed(name, Hash::parse)
    }
    pub(crate) fn bytes(&mut self, name: &str, len: RangeInclusive<usize>) -> Result<Vec<u8>, Refused> {
        self.parsed(name, |t| from_b64(t).filter(|b| len.contains(&b.len())))
    }
    pub(crate) fn bytes_of<const N: usize>(&mut self, name: &str) -> Result<[u8; N], Refused> {
        self.parsed(name, |t| from_b64(t)?.try_into().ok())
    }
    /// A list of texts that `read` understands.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        len: RangeInclusive<usize>,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Refused> {
        self.values(name, len)?
            .into_iter()
            .map(|v| match v {
                Value::Text(t) => read(&t).ok_or(self.wrong()),
                _ => Err(self.wrong()),
            })
            .collect()
    }
    pub(crate) fn values(&mut self, name: &str, len: RangeInclusive<usize>) -> Result<Vec<Value>, Refused> {
        match self.need(name)? {
            Value::List(items) if len.contains(&items.len()) => Ok(items),
            _ => Err(self.wrong()),
        }
    }
    pub(crate) fn object(&mut self, name: &str) -> Result<Self, Refused> {
        let value = self.need(name)?;
        self.as_object(value)
    }
    pub(crate) fn objects(&mut self, name: &str, len: RangeInclusive<usize>) -> Result<Vec<Self>, Refused> {
        self.values(name, len)?.into_iter().map(|v| self.as_object(v)).collect()
    }
    fn as_object(&self, value: Value) -> Result<Self, Refused> {
        match value {
            Value::Object(list) => Ok(Self { kind: self.kind, list }),
            _ => Err(self.fault(Fault::NotAnObject)),
        }
    }
}

/// No control characters, and no characters that turn the direction of writing: a merchant's name must not be able to
/// rewrite the sentence around it.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.chars().any(|c| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    })
}

/// Writes one object with its members in the order of the calls, no white space.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self(String::from("{"))
    }
    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&quoted(name));
        self.0.push(':');
    }
    /// A value that is JSON already.
    pub(crate) fn raw(mut self, name: &str, json: &str) -> Self {
        self.name(name);
        self.0.push_str(json);
        self
    }
    pub(crate) fn text(self, name: &str, value: impl fmt::Display) -> Self {
        self.raw(name, &quoted(&value.to_string()))
    }
    pub(crate) fn opt(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(v) => self.text(name, v),
            None => self,
        }
    }
    /// The value or `null`.
    pub(crate) fn nullable(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(v) => self.text(name, v),
            None => self.raw(name, "null"),
        }
    }
    pub(crate) fn int(self, name: &str, value: i64) -> Self {
        self.raw(name, &value.to_string())
    }
    pub(crate) fn bool(self, name: &str, value: bool) -> Self {
        self.raw(name, if value { "true" } else { "false" })
    }
    pub(crate) fn seconds(self, name: &str, value: Timestamp) -> Self {
        self.int(name, value.unix_seconds())
    }
    pub(crate) fn texts<T: fmt::Display>(self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        let list: Vec<String> = values.into_iter().map(|v| quoted(&v.to_string())).collect();
        self.raws(name, list)
    }
    pub(crate) fn raws(self, name: &str, values: impl IntoIterator<Item = String>) -> Self {
        let list: Vec<String> = values.into_iter().collect();
        self.raw(name, &format!("[{}]", list.join(",")))
    }
    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A JSON text with the escapes that serde_json writes: the shortest ones, `\u00xx` only for other control characters.
pub(crate) fn quoted(text: &str) -> String {
    // Writing a text into memory cannot fail.
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(bytes: &[u8]) -> &'static str {
        parse(Kind::Grant, bytes).map_or_else(Refused::code, |_| "ok")
    }

    #[test]
    fn what_is_not_strict_is_refused_at_every_depth() {
        for (json, expect) in [
            (&b"{}"[..], "ok"),
            (b" {\"a\":[{\"b\":-9007199254740992}]} ", "ok"),
            (b"", "grant_not_json"),
            (b"{", "grant_not_json"),
            (b"{}{}", "grant_not_json"),
            (b"{}\0", "grant_not_json"),
            (b"{\"a\":\"\xff\"}", "grant_not_json"),
            (b"{\"a\":\"\\ud800\"}", "grant_not_json"),
            (b"{\"a\":NaN}", "grant_not_json"),
            (b"{\"a\":01}", "grant_not_json"),
            (b"{\"a\":1,}", "grant_not_json"),
            (b"[]", "grant_not_an_object"),
            (b"\"a\"", "grant_not_an_object"),
            (b"null", "grant_not_an_object"),
            (b"{\"a\":1,\"a\":1}", "grant_duplicate_member"),
            (b"{\"a\":1,\"\\u0061\":2}", "grant_duplicate_member"),
            (b"{\"a\":[{\"b\":{\"c\":1,\"c\":1}}]}", "grant_duplicate_member"),
            (b"{\"a\":9007199254740993}", "grant_not_an_integer"),
            (b"{\"a\":-9007199254740993}", "grant_not_an_integer"),
            (b"{\"a\":[[[[[[[1]]]]]]]}", "ok"),
            (b"{\"a\":[[[[[[[[1]]]]]]]]}", "grant_too_deep"),
        ] {
            assert_eq!(code(json), expect, "{}", String::from_utf8_lossy(json));
        }
    }

    #[test]
    fn a_fraction_or_exponent_is_no_integer() {
        for json in ["{\"a\":1.0}", "{\"a\":1e0}", "{\"a\":1.5}", "{\"a\":-0.0}", "{\"a\":1e400}"] {
            let read = parse(Kind::Grant, json.as_bytes()).and_then(|mut m| m.int("a", 0..=9));
            let code = read.map_or_else(Refused::code, |_| "ok");
            assert!(code == "grant_not_an_integer" || code == "grant_not_json", "{json}: {code}");
        }
    }

    #[test]
    fn an_object_is_written_in_the_order_of_the_calls() {
        let json = Object::new().text("b", "\n\"—").int("a", -1).texts("c", ["x"]).raw("d", "null").end();
        assert_eq!(json, "{\"b\":\"\\n\\\"—\",\"a\":-1,\"c\":[\"x\"],\"d\":null}");
    }

    #[test]
    fn a_text_has_its_bytes_and_a_number_its_fraction_or_none() {
        let read = |json: &str| parse(Kind::Grant, json.as_bytes()).unwrap();
        for (text, good) in [("", false), ("ab", true), ("\u{e4}b", true), ("abcd", false), ("\u{e4}\u{e4}", false)] {
            let told = read(&format!("{{\"a\":\"{text}\"}}")).raw_text("a", 1..=3);
            assert_eq!(told.is_ok(), good, "{text:?}");
        }
        for (number, value) in [("-3", Some(-3.0)), ("2.5", Some(2.5)), ("\"3\"", None), ("null", None)] {
            assert_eq!(read(&format!("{{\"a\":{number}}}")).float("a").ok(), value, "{number}");
        }
    }
}
