//! Which region an account belongs to, out of a refusal's text. Pure.

use url::Url;

use crate::config::Checked;
use crate::json::Json;

/// Longer refusals are not read.
const TEXT_BYTES_MAX: usize = 2_048;

/// The configured region that the text of a 421 names. `None` for any other host, however it is spelled: no token goes to an
/// address that only an answer knows.
pub(crate) fn named(checked: &Checked, body: Option<&[u8]>) -> Option<usize> {
    let json = body.and_then(Json::parse)?;
    let text = json.get("error").and_then(Json::text).filter(|t| t.len() <= TEXT_BYTES_MAX)?;
    let at = text.find("http://").into_iter().chain(text.find("https://")).min()?;
    let rest = &text[at..];
    let end = rest.find(|c: char| c.is_whitespace() || ",;\"'<>)".contains(c)).unwrap_or(rest.len());
    let url = Url::parse(rest[..end].trim_end_matches('.')).ok()?;
    let anonymous = url.username().is_empty() && url.password().is_none();
    let known = checked.regions.iter().position(|(_, base)| base.origin() == url.origin());
    known.filter(|_| anonymous)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::valid;

    #[test]
    fn only_a_configured_region_is_heard() {
        let checked = Checked::new(valid()).unwrap();
        for (text, expected) in [
            ("user out of region, use base URL: https://fleet-api.na.example.com, see https://x.example.com", Some(1)),
            ("use base URL: https://fleet-api.eu.example.com/.", Some(0)),
            ("use base URL: https://fleet-api.na.example.com:444", None),
            ("use base URL: http://fleet-api.na.example.com", None),
            ("use base URL: https://fleet-api.na.example.com.evil.example", None),
            ("use base URL: https://evil.example/fleet-api.na.example.com", None),
            ("use base URL: https://fleet-api.na.example.com@evil.example", None),
            ("use base URL: https://u:p@fleet-api.na.example.com", None),
            ("user out of region", None),
            ("https://", None),
        ] {
            let body = serde_json::json!({ "error": text }).to_string();
            assert_eq!(named(&checked, Some(body.as_bytes())), expected, "{text}");
        }
        assert_eq!(named(&checked, None), None);
        let long = format!(r#"{{"error":"{} https://fleet-api.na.example.com"}}"#, "x".repeat(3_000));
        assert_eq!(named(&checked, Some(long.as_bytes())), None);
    }
}
