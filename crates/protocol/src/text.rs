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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::refused::Kind;

    fn is_domain(text: &str) -> bool {
        let m = json::parse(Kind::Cert, format!("{{\"domain\":\"{text}\"}}").as_bytes());
        domain(&mut m.unwrap(), "domain").is_ok()
    }

    #[test]
    fn texts_have_their_letters_and_their_lengths() {
        for (text, token, word, name) in [
            ("a", true, true, true),
            ("abcde", true, true, true),
            ("abcdef", false, false, true),
            ("", false, false, false),
            ("a.b-9", true, true, true),
            ("a_b", true, true, false),
            ("A", true, false, false),
            ("a/+~", true, false, false),
            ("a b", false, false, false),
            ("\u{e4}", false, false, false),
            (".a", true, true, false),
            ("a..b", true, true, false),
            ("-a.b", true, true, false),
            ("a.b-", true, true, false),
            ("a.", true, true, false),
        ] {
            assert_eq!((is_token(text, 5), is_word(text, 5), is_domain(text)), (token, word, name), "{text}");
        }
        assert!(!is_token("a\n", 5) && !is_token("a\u{7f}", 5));
    }

    #[test]
    fn a_domain_has_labels_of_63_and_253_in_all() {
        let label = "a".repeat(63);
        assert!(is_domain(&label) && !is_domain(&format!("{label}a")));
        let long = [label.as_str(); 4].join(".");
        assert!(is_domain(&long[..253]) && !is_domain(&long[..254]));
    }

    #[test]
    fn a_signature_covers_an_address_before_question_and_fragment() {
        for (url, covered) in [
            ("https://a.example/b", "https://a.example/b"),
            ("https://a.example/b?c=d", "https://a.example/b"),
            ("https://a.example/b#c", "https://a.example/b"),
            ("https://a.example/b#c?d", "https://a.example/b"),
            ("", ""),
        ] {
            assert_eq!(htu(url), covered);
        }
    }
}
