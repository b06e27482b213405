//! A host's pages: files with their headers, a policy that lets in nothing from elsewhere, compressed forms, hashes.
//!
//! Everything is read and hashed once, at start. What the hashes are good for: `/.well-known/parcelshelf-files.json` names
//! them, compressed forms too, so that somebody outside can compare what a browser gets with what a release says. The hash
//! of that list itself stands in the gateway's log.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use sha2::{Digest as _, Sha256};

/// Where the hashes are.
pub const FILES_PATH: &str = "/.well-known/parcelshelf-files.json";
/// What belongs to the interface is never answered with a page.
const NO_PAGES: [&str; 6] = ["/v1/", "/log/", "/oauth/", "/assets/", "/.well-known/", "/problems/"];
/// Names in `/assets/` carry a hash of what is in them.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

/// One file, as it was built.
#[derive(Debug, Clone)]
pub struct File {
    /// Where it is served.
    pub path: String,
    pub body: Bytes,
    pub brotli: Option<Bytes>,
    pub gzip: Option<Bytes>,
}

/// What the pages of a host may ask of a browser beyond showing themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights {
    pub camera: bool,
    /// Where the phone is.
    pub place: bool,
    /// Which way it points and moves.
    pub motion: bool,
    pub passkeys: bool,
    /// Compile WebAssembly.
    pub wasm: bool,
}

impl Rights {
    fn content_policy(self) -> String {
        let script = if self.wasm { "'self' 'wasm-unsafe-eval'" } else { "'self'" };
        format!(
            "default-src 'none'; script-src {script}; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
             worker-src 'self'; media-src 'self' blob:; manifest-src 'self'; font-src 'self'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
             trusted-types svelte-trusted-html default"
        )
    }
    fn permissions(self) -> String {
        let own = |may: bool| if may { "(self)" } else { "()" };
        let all = [
            ("accelerometer", self.motion),
            ("camera", self.camera),
            ("display-capture", false),
            ("geolocation", self.place),
            ("gyroscope", self.motion),
            ("hid", false),
            ("magnetometer", self.motion),
            ("microphone", false),
            ("midi", false),
            ("payment", false),
            ("publickey-credentials-create", self.passkeys),
            ("publickey-credentials-get", self.passkeys),
            ("serial", false),
            ("usb", false),
        ];
        all.map(|(name, may)| format!("{name}={}", own(may))).join(", ")
    }
    fn headers(self) -> HeaderMap {
        // Both texts are made of constants in ASCII.
        let value = |text: &str| HeaderValue::from_str(text).expect("policies are ASCII");
        HeaderMap::from_iter([
            (header::CONTENT_SECURITY_POLICY, value(&self.content_policy())),
            (HeaderName::from_static("permissions-policy"), value(&self.permissions())),
            (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
            (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ])
    }
}

#[derive(Debug)]
struct Served {
    /// Plain, brotli, gzip: each with its own tag.
    forms: Vec<(Option<&'static str>, Bytes, HeaderValue)>,
    content_type: HeaderValue,
    for_ever: bool,
}

/// What one host shows.
#[derive(Debug)]
pub struct Pages {
    files: BTreeMap<String, Served>,
    headers: HeaderMap,
    list: Bytes,
    hash: [u8; 32],
}

impl Pages {
    #[must_use]
    pub fn new(files: impl IntoIterator<Item = File>, rights: Rights) -> Arc<Self> {
        let (mut plain, mut brotli, mut gzip) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut served = BTreeMap::new();
        for file in files {
            let (hash, path) = (hex(&Sha256::digest(&file.body)), file.path.clone());
            for (form, hashes) in [(&file.brotli, &mut brotli), (&file.gzip, &mut gzip)] {
                hashes.extend(form.as_ref().map(|bytes| (path.clone(), hex(&Sha256::digest(bytes)))));
            }
            served.insert(path.clone(), Served::of(file, &hash[..32]));
            plain.insert(path, hash);
        }
        // What the pages may do is as much of them as what is in them.
        let policy = [rights.content_policy(), rights.permissions()];
        let list =
            serde_json::json!({ "v": 1, "files": plain, "br": brotli, "gzip": gzip, "policy": policy }).to_string();
        let hash = Sha256::digest(list.as_bytes()).into();
        Arc::new(Self { files: served, headers: rights.headers(), list: list.into(), hash })
    }

    /// SHA-256 of what stands at [`FILES_PATH`].
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The answer, if it is a page's file that is asked for, or a place inside an app that a person wants to see.
    #[must_use]
    pub fn answer<B>(&self, request: &Request<B>) -> Option<Response> {
        let path = request.uri().path();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let whole = *request.method() == Method::GET;
        if path == FILES_PATH {
            return Some(self.told(whole));
        }
        let file = self.files.get(if path == "/" { "/index.html" } else { path });
        let file = file.or_else(|| self.files.get("/index.html").filter(|_| is_place(path, request.headers())))?;
        Some(self.shown(file, request.headers(), whole))
    }

    fn told(&self, whole: bool) -> Response {
        let mut response = Response::new(if whole { Body::from(self.list.clone()) } else { Body::empty() });
        *response.headers_mut() = self.headers.clone();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().insert(header::CONTENT_LENGTH, self.list.len().into());
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(ASK_AGAIN));
        response
    }

    fn shown(&self, file: &Served, asked: &HeaderMap, whole: bool) -> Response {
        let (encoding, body, tag) = file.form(asked);
        let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
        let known = known.flat_map(|v| v.split(',')).any(|v| v.trim().trim_start_matches("W/") == tag);
        let mut response = Response::new(if whole && !known { Body::from(body.clone()) } else { Body::empty() });
        let headers = response.headers_mut();
        *headers = self.headers.clone();
        headers.insert(header::ETAG, tag.clone());
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        let kept = if file.for_ever { FOR_EVER } else { ASK_AGAIN };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(header::CONTENT_TYPE, file.content_type.clone());
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    }
}

impl Served {
    fn of(file: File, hash: &str) -> Self {
        let tag = |end: &str| HeaderValue::from_str(&format!("\"{hash}{end}\"")).expect("hexadecimal digits are ASCII");
        let mut forms = vec![(None, file.body, tag(""))];
        forms.extend(file.brotli.map(|b| (Some("br"), b, tag("-br"))));
        forms.extend(file.gzip.map(|b| (Some("gzip"), b, tag("-gz"))));
        Self {
            forms,
            content_type: HeaderValue::from_static(content_type(&file.path)),
            for_ever: file.path.starts_with("/assets/"),
        }
    }
    /// The smallest form that the browser takes.
    fn form(&self, asked: &HeaderMap) -> &(Option<&'static str>, Bytes, HeaderValue) {
        let accepted = asked.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let takes = |encoding: &str| {
            accepted.split(',').any(|part| {
                let (name, weight) = part.split_once(';').unwrap_or((part, ""));
                let none = weight.split_once("q=").and_then(|(_, q)| q.trim().parse::<f32>().ok()) == Some(0.0);
                name.trim().eq_ignore_ascii_case(encoding) && !none
            })
        };
        let usable = self.forms.iter().filter(|(encoding, ..)| encoding.is_none_or(takes));
        usable.min_by_key(|(_, body, _)| body.len()).unwrap_or(&self.forms[0])
    }
}

/// Answers that are no page: nothing of them is framed, sniffed, run or sent on as a referrer.
#[must_use]
pub fn hardened(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Somebody goes to an address inside the app, and it is not a file that is missing.
fn is_place(path: &str, headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let health = matches!(path, "/healthz" | "/readyz" | "/metrics");
    accepts.contains("text/html") && !last.contains('.') && !health && !NO_PAGES.iter().any(|p| path.starts_with(p))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "geojson" => "application/geo+json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Arc<Pages> {
        let file = |path: &str, body: &'static str, brotli: Option<&'static str>| File {
            path: path.to_owned(),
            body: Bytes::from_static(body.as_bytes()),
            brotli: brotli.map(|b| Bytes::from_static(b.as_bytes())),
            gzip: None,
        };
        let all = [file("/index.html", "<!doctype html>", None), file("/assets/a-1.js", "let x = 1;", Some("br"))];
        Pages::new(all, Rights { camera: true, ..Rights::default() })
    }
    fn ask(path: &str, headers: &[(HeaderName, &str)]) -> Option<Response> {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        pages().answer(&request.body(()).unwrap())
    }
    fn of(response: &Response, name: HeaderName) -> &str {
        response.headers().get(name).map_or("", |v| v.to_str().unwrap())
    }

    #[test]
    fn only_people_who_go_somewhere_get_the_page_instead_of_nothing() {
        let person = [(header::ACCEPT, "text/html,application/xhtml+xml")];
        for path in ["/", "/consent", "/deliveries/abc", "/index.html"] {
            assert_eq!(of(&ask(path, &person).unwrap(), header::CONTENT_TYPE), "text/html; charset=utf-8", "{path}");
        }
        for path in ["/v1/keys", "/assets/gone-2.js", "/favicon.ico", "/log/checkpoint", "/oauth/callback", "/readyz"] {
            assert!(ask(path, &person).is_none(), "{path}");
        }
        assert!(
            ask("/consent", &[(header::ACCEPT, "application/json")]).is_none(),
            "a program is told that there is nothing"
        );
        let post = Request::post("/consent").header(header::ACCEPT, "text/html").body(()).unwrap();
        assert!(pages().answer(&post).is_none());
    }

    #[test]
    fn what_has_a_hash_in_its_name_is_kept_and_the_rest_is_asked_for_again() {
        let asset = ask("/assets/a-1.js", &[]).unwrap();
        assert_eq!(of(&asset, header::CACHE_CONTROL), "public, max-age=31536000, immutable");
        assert_eq!(of(&ask("/", &[]).unwrap(), header::CACHE_CONTROL), "no-cache");
        let tag = of(&asset, header::ETAG).to_owned();
        let again = ask("/assets/a-1.js", &[(header::IF_NONE_MATCH, &tag)]).unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let other = ask("/assets/a-1.js", &[(header::IF_NONE_MATCH, "\"other\"")]).unwrap();
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn a_compressed_form_is_for_those_who_take_it_and_has_a_tag_of_its_own() {
        let plain = ask("/assets/a-1.js", &[(header::ACCEPT_ENCODING, "gzip, br;q=0")]).unwrap();
        let small = ask("/assets/a-1.js", &[(header::ACCEPT_ENCODING, "gzip, deflate, br")]).unwrap();
        assert_eq!((of(&plain, header::CONTENT_ENCODING), of(&small, header::CONTENT_ENCODING)), ("", "br"));
        assert_eq!((of(&plain, header::CONTENT_LENGTH), of(&small, header::CONTENT_LENGTH)), ("10", "2"));
        assert_ne!(of(&plain, header::ETAG), of(&small, header::ETAG));
    }

    #[test]
    fn a_page_may_do_what_its_host_was_given_and_nothing_more() {
        let page = ask("/", &[]).unwrap();
        let policy = of(&page, header::CONTENT_SECURITY_POLICY);
        for part in ["default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"] {
            assert!(policy.contains(part), "{part}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        let rights = of(&page, HeaderName::from_static("permissions-policy"));
        assert!(rights.contains("camera=(self)") && rights.contains("geolocation=()"), "{rights}");
    }

    #[test]
    fn to_know_the_place_is_not_to_know_which_way_it_points() {
        let rights = Rights { place: true, ..Rights::default() }.permissions();
        assert!(rights.contains("geolocation=(self)") && rights.contains("gyroscope=()"), "{rights}");
    }

    #[test]
    fn the_hashes_are_those_of_the_files() {
        let list = pages();
        let told: serde_json::Value = serde_json::from_slice(&list.list).unwrap();
        assert_eq!(told["files"]["/assets/a-1.js"], hex(&Sha256::digest(b"let x = 1;")));
        assert_eq!(told["br"]["/assets/a-1.js"], hex(&Sha256::digest(b"br")));
        assert_eq!(told["gzip"], serde_json::json!({}));
        assert!(told["policy"][0].as_str().unwrap().contains("default-src 'none'"));
        assert_eq!(hex(list.hash()), hex(&Sha256::digest(&list.list)));
    }
}
