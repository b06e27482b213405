//! Sessions of browsers: a cookie that no script reads, and that counts only for a page of the very same origin.
//!
//! A page asks for it with a header of its own ([`ASKED`]), which no form and no link of another site can send; browsers
//! ask first before a foreign script may, and nothing here says yes. Programs send a bearer token and never meet this.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// `parcelshelf-session: cookie`: the page wants, or uses, a session in a cookie.
pub const ASKED: HeaderName = HeaderName::from_static("parcelshelf-session");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Longest token.
const TOKEN_MAX: usize = 128;

/// Whether a page of `origin` asks for its session to be a cookie.
#[must_use]
pub fn asked(headers: &HeaderMap, origin: &str) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|v| v.to_str().unwrap_or("unreadable"));
    text(&ASKED) == Some("cookie")
        && text(&header::ORIGIN).is_none_or(|o| o == origin)
        && text(&FETCH_SITE).is_none_or(|site| site == "same-origin")
}

/// The token in the cookie `name`, if a page of `origin` sent it.
#[must_use]
pub fn token<'h>(headers: &'h HeaderMap, name: &str, origin: &str) -> Option<&'h str> {
    if asked(headers, origin) { sent(headers, name) } else { None }
}

/// What stands in the cookie `name`, also when the browser was led here from elsewhere.
#[must_use]
pub fn sent<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
    let mut named = all.filter_map(|pair| pair.trim().split_once('=')).filter(|(n, _)| *n == name).map(|(_, v)| v);
    let token = named.next()?;
    // Two of a name are one too many: somebody planted one.
    (named.next().is_none() && token.len() <= TOKEN_MAX).then_some(token)
}

/// `Set-Cookie` for a token; `name` begins with `__Host-`, so that no other host can set or see it.
#[must_use]
pub fn set(name: &str, token: &str, seconds: i64) -> HeaderValue {
    let text = format!("{name}={token}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}");
    // Names are constants and tokens base64url.
    HeaderValue::from_str(&text).expect("tokens are ASCII")
}
/// `Set-Cookie` for what has to come back when another site leads the browser here (RFC 6265bis, *Lax*). Nothing is done by it
/// alone.
#[must_use]
pub fn set_for_return(name: &str, value: &str, seconds: i64) -> HeaderValue {
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    // Names are constants and values base64url.
    HeaderValue::from_str(&text).expect("values are ASCII")
}
/// `Set-Cookie` that takes it away.
#[must_use]
pub fn cleared(name: &str) -> HeaderValue {
    set(name, "", 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://wallet.example";

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_str(v).unwrap())).collect()
    }

    #[test]
    fn a_cookie_counts_for_its_own_page_alone() {
        let own = [("parcelshelf-session", "cookie"), ("cookie", "a=b; __Host-psh=token"), ("origin", ORIGIN)];
        assert_eq!(token(&headers(&own), "__Host-psh", ORIGIN), Some("token"));
        let changed = |name: &'static str, value: &'static str| {
            let mut all = own.to_vec();
            all.retain(|(n, _)| *n != name);
            all.push((name, value));
            token(&headers(&all), "__Host-psh", ORIGIN).map(str::to_owned)
        };
        assert_eq!(changed("origin", "https://stop.example"), None, "another site's page");
        assert_eq!(changed("origin", "null"), None, "a sandboxed page");
        assert_eq!(changed("sec-fetch-site", "same-site"), None, "a neighbour's page");
        assert_eq!(changed("parcelshelf-session", "bearer"), None);
        assert_eq!(changed("cookie", "__Host-psh=one; __Host-psh=two"), None, "a planted one");
        assert_eq!(token(&headers(&own[1..]), "__Host-psh", ORIGIN), None, "a link or a form sends no header");
    }

    #[test]
    fn no_script_and_no_other_host_meets_it() {
        let (led, planted) = ([("cookie", "__Host-link=a; x=y")], [("cookie", "__Host-link=a; __Host-link=b")]);
        assert_eq!(sent(&headers(&led), "__Host-link"), Some("a"));
        assert_eq!(sent(&headers(&planted), "__Host-link"), None);
        assert!(set_for_return("__Host-link", "a", 60).to_str().unwrap().contains("SameSite=Lax"));
        let text = set("__Host-psh", "token", 60);
        for part in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
            assert!(text.to_str().unwrap().contains(part), "{part}");
        }
    }
}
