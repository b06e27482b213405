//! Strict JSON bodies: right type, bounded, UTF-8, no duplicate members, nothing after the end.
//!
//! Unknown members are refused by the target types (`deny_unknown_fields`), everything else here.

use std::collections::HashSet;
use std::fmt;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{header, request::Parts};
use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::problem::Problem;

/// Largest body where a route says nothing else.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting.
pub const DEPTH_MAX: usize = 16;

/// A body that was read strictly, with its exact bytes: signatures and hashes are over these.
#[derive(Debug, Clone)]
pub struct StrictJson<T, const MAX: usize = BODY_BYTES_MAX> {
    pub value: T,
    pub bytes: Bytes,
}

impl<S: Send + Sync, T: DeserializeOwned, const MAX: usize> FromRequest<S> for StrictJson<T, MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let content_type =
            request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(415, "body_wrong_type", "the body must be application/json"));
        }
        let bytes = axum::body::to_bytes(request.into_body(), MAX)
            .await
            .map_err(|_| Problem::new(413, "body_too_large", "the body is too large or broke off"))?;
        let value = parse(&bytes)?;
        Ok(Self { value, bytes })
    }
}

/// Reads strict JSON.
///
/// # Errors
/// `body_not_json`, `body_duplicate_member`, `body_too_deep`, `body_wrong_member`.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    check(bytes)?;
    serde_json::from_slice(bytes).map_err(|e| {
        // The text names members and types of our interface and the place, never a value... except for wrong variants,
        // which repeat the client's own word to the client.
        Problem::new(422, "body_wrong_member", "a member of the body is missing, unknown or wrong")
            .detail(e.to_string())
    })
}

/// Checks form alone: one JSON object, no duplicate member, not too deep. For bytes that are passed on as they are.
///
/// # Errors
/// `body_not_json`, `body_duplicate_member`, `body_too_deep`.
pub fn check(bytes: &[u8]) -> Result<(), Problem> {
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Problem::new(400, "body_not_json", "the body must be one JSON object"));
    }
    serde_json::from_slice::<Scan>(bytes).map(|_| ()).map_err(|e| scan_problem(&e))
}

fn scan_problem(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    if text.starts_with(DUPLICATE) {
        Problem::new(400, "body_duplicate_member", "a member of the body appears twice")
    } else if text.starts_with(DEEP) {
        Problem::new(400, "body_too_deep", "the body is nested too deeply")
    } else {
        Problem::new(400, "body_not_json", "the body is not JSON").detail(text)
    }
}

const DUPLICATE: &str = "a duplicate member";
const DEEP: &str = "nested too deeply";

/// Walks over a value and keeps nothing.
struct Scan;
/// The same, knowing how deep it is.
struct ScanAt(usize);

impl<'de> Deserialize<'de> for Scan {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        de::DeserializeSeed::deserialize(ScanAt(0), d)
    }
}

impl<'de> de::DeserializeSeed<'de> for ScanAt {
    type Value = Scan;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Scan, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ScanAt {
    type Value = Scan;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Scan, E> {
        Ok(Scan)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Scan, E> {
        Ok(Scan)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Scan, E> {
        Ok(Scan)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Scan, E> {
        Ok(Scan)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Scan, E> {
        Ok(Scan)
    }
    fn visit_str<E>(self, _: &str) -> Result<Scan, E> {
        Ok(Scan)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scan, A::Error> {
        let depth = deeper(self.0)?;
        while seq.next_element_seed(ScanAt(depth))?.is_some() {}
        Ok(Scan)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scan, A::Error> {
        let depth = deeper(self.0)?;
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name) {
                return Err(de::Error::custom(DUPLICATE));
            }
            map.next_value_seed(ScanAt(depth))?;
        }
        Ok(Scan)
    }
}

fn deeper<E: de::Error>(depth: usize) -> Result<usize, E> {
    if depth >= DEPTH_MAX { Err(E::custom(DEEP)) } else { Ok(depth + 1) }
}

/// An empty JSON object, for requests that need no members.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Query parameters; a problem instead of a plain text when they do not fit.
#[derive(Debug, Clone)]
pub struct StrictQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for StrictQuery<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|q| Self(q.0))
            .map_err(|_| Problem::new(400, "query_wrong", "a query parameter is unknown or wrong"))
    }
}

/// Path parameters; what does not parse does not exist.
#[derive(Debug, Clone)]
pub struct StrictPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for StrictPath<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|p| Self(p.0))
            .map_err(|_| Problem::new(404, "not_found", "there is no such thing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only whether it parses matters")]
        name: String,
    }

    #[test]
    fn what_is_refused_and_how() {
        let deep = format!("{{\"name\":{}1{}}}", "[".repeat(64), "]".repeat(64));
        for (body, expected) in [
            (&b"{\"name\":\"x\"}"[..], None),
            (b"", Some("body_not_json")),
            (b"[]", Some("body_not_json")),
            (b"{\"name\":\"x\"} {}", Some("body_not_json")),
            (b"{\"name\":\"x\"", Some("body_not_json")),
            (b"{\"name\":\"\xff\"}", Some("body_not_json")),
            (b"{\"name\":\"x\",\"name\":\"x\"}", Some("body_duplicate_member")),
            (b"{\"name\":{\"a\":1,\"a\":1}}", Some("body_duplicate_member")),
            (deep.as_bytes(), Some("body_too_deep")),
            (b"{\"name\":1}", Some("body_wrong_member")),
            (b"{\"name\":null}", Some("body_wrong_member")),
            (b"{}", Some("body_wrong_member")),
            (b"{\"name\":\"x\",\"more\":1}", Some("body_wrong_member")),
        ] {
            let got = parse::<Body>(body).err();
            assert_eq!(got.as_ref().map(Problem::code), expected, "{}", String::from_utf8_lossy(body));
        }
    }
}
