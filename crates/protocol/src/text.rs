//! Texts with a form of their own.

use crate::json::Members;
use crate::refused::Refused;

/// A keyholder's name: printable ASCII, 1 to 200 characters, such as `https://gateway.example`.
pub(crate) fn audience(m: &mut Members, name: &str) -> Result<String, Refused> {
    token(m, name, 200)
}
/// Printable ASCII without spaces.
pub(crate) fn token(m: &mut Members, name: &str, max: usize) -> Result<String, Refused> {
    m.parsed(name, |t| is_token(t, max).then(|| t.to_owned()))
}
pub(crate) fn is_token(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && text.bytes().all(|b| b.is_ascii_graphic())
}
/// A DNS name in lower case (A-labels).
pub(crate) fn domain(m: &mut Members, name: &str) -> Result<String, Refused> {
    m.parsed(name, |t| {
        let label = |l: &str| {
            (1..=63).contains(&l.len())
                && l.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        (t.len() <= 253 && t.split('.').all(label)).then(|| t.to_owned())
    })
}
/// A word of lower-case letters, digits, `_`, `-` and `.`: a template's name, a time zone's parts apart.
pub(crate) fn is_word(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'))
}
/// The part of a URL that a signature covers: everything before `?` and `#` (RFC 9449 §4.2).
#[must_use]
pub fn htu(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}
