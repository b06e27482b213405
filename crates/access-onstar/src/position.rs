//! The digital twin's position. Pure.

use parcelshelf_core::area::Position;

use crate::json::Json;

/// Metres to assume for a position; the maker gives none.
pub(crate) const ACCURACY_M: f64 = 30.0;

/// A position and whether the cloud still waits for a fresh one.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Twin {
    pub pending: bool,
    pub position: Option<Position>,
}

/// `None` for an answer that is none.
pub(crate) fn read(body: &[u8]) -> Option<Twin> {
    let json = Json::parse(body)?;
    let data = json.get("telemetry")?.get("data")?;
    let pending = data.get("session").and_then(|s| s.get("updatePending")).and_then(Json::text);
    let number = |name: &str| data.get("position").and_then(|p| p.get(name)).and_then(Json::number);
    let position = match (number("lat"), number("lng")) {
        // 0° N 0° E is open sea: some clouds write it when they know nothing.
        (Some(lat), Some(lng)) if lat != 0.0 || lng != 0.0 => Position::new(lat, lng, ACCURACY_M).ok(),
        _ => None,
    };
    // Without a word about it, nothing was finished.
    Some(Twin { pending: pending.is_none_or(|p| p.eq_ignore_ascii_case("PENDING")), position })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(session: &str, position: &str) -> Option<(bool, Option<(f64, f64)>)> {
        let body = format!(r#"{{"telemetry":{{"data":{{"session":{session},"position":{position}}}}}}}"#);
        let twin = read(body.as_bytes())?;
        Some((twin.pending, twin.position.map(|p| (p.latitude_deg(), p.longitude_deg()))))
    }

    #[test]
    fn numbers_may_be_texts_and_words_come_in_any_case() {
        let here = Some((42.3, -83.0));
        for (session, position, expected) in [
            (r#"{"updatePending":"PENDING"}"#, r#"{"lat":42.3,"lng":-83.0}"#, (true, here)),
            (r#"{"updatePending":"pending"}"#, r#"{"lat":42.3,"lng":-83.0}"#, (true, here)),
            (r#"{"updatePending":"NONE"}"#, r#"{"lat":"42.3","lng":"-83.0"}"#, (false, here)),
            (r#"{"updatePending":"COMPLETE"}"#, r#"{"LAT":42.3,"Lng":-83}"#, (false, here)),
            ("{}", r#"{"lat":42.3,"lng":-83.0}"#, (true, here)),
            (r#"{"updatePending":"NONE"}"#, r#"{"lat":0,"lng":0}"#, (false, None)),
            (r#"{"updatePending":"NONE"}"#, r#"{"lat":91,"lng":0}"#, (false, None)),
            (r#"{"updatePending":"NONE"}"#, r#"{"lat":42.3}"#, (false, None)),
            (r#"{"updatePending":"NONE"}"#, "null", (false, None)),
            (r#"{"updatePending":"NONE"}"#, r#"{"lat":1,"lat":2,"lng":3}"#, (false, None)),
        ] {
            assert_eq!(told(session, position), Some(expected), "{session} {position}");
        }
        for body in ["", "{}", "null", "{\"telemetry\":[]}", "{\"telemetry\":{\"data\":{}},\"telemetry\":1}"] {
            assert!(read(body.as_bytes()).is_none(), "{body}");
        }
    }
}
