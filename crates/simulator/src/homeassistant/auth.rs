//! The server's own login: an authorization code without PKCE, a refresh token that stays the same, access tokens of half an
//! hour. Clients are known by their address, without registration.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use parcelshelf_core::time::{Timestamp, random};
use serde_json::json;
use url::Url;

use super::Home;

/// Seconds a code can be exchanged.
const CODE_S: i64 = 600;
pub const ACCESS_S: i64 = 1_800;
const LIVE_MAX: usize = 10_000;

/// Who may log in, and what they have been given.
#[derive(Debug, Default)]
pub struct Logins {
    /// Login, and whether it administers.
    people: HashMap<String, bool>,
    /// Code: client, login, end.
    codes: HashMap<String, (String, String, Timestamp)>,
    /// Refresh token: client and login.
    refresh: HashMap<String, (String, String)>,
    /// Access token: refresh token and end.
    access: HashMap<String, (String, Timestamp)>,
}
/// Who stands behind a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub login: String,
    pub admin: bool,
}

impl Logins {
    pub fn of(people: HashMap<String, bool>) -> Self {
        Self { people, ..Self::default() }
    }
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.people.keys().cloned().collect();
        names.sort_unstable();
        names
    }
    /// Every token that works.
    pub fn tokens(&self) -> impl Iterator<Item = &String> {
        self.refresh.keys().chain(self.access.keys())
    }
    pub fn knows(&self, login: &str) -> bool {
        self.people.contains_key(login)
    }
    fn consented(&mut self, client: &str, login: &str, code: &str, now: Timestamp) -> bool {
        self.codes.retain(|_, (_, _, end)| now < *end);
        if self.codes.len() >= LIVE_MAX {
            return false;
        }
        let entry = (client.to_owned(), login.to_owned(), now.plus_seconds(CODE_S));
        self.codes.insert(code.to_owned(), entry);
        true
    }
    fn exchange(&mut self, client: &str, code: &str, refresh: String, now: Timestamp) -> Option<String> {
        let (of, login, end) = self.codes.remove(code)?;
        if of != client || now >= end || self.refresh.len() >= LIVE_MAX {
            return None;
        }
        self.refresh.insert(refresh.clone(), (of, login));
        Some(refresh)
    }
    fn access(&mut self, client: &str, refresh: &str, token: &str, now: Timestamp) -> bool {
        self.access.retain(|_, (_, end)| now < *end);
        let own = self.refresh.get(refresh).is_some_and(|(of, _)| of == client);
        if own {
            self.access.insert(token.to_owned(), (refresh.to_owned(), now.plus_seconds(ACCESS_S)));
        }
        own
    }
    pub fn revoke(&mut self, refresh: &str) {
        self.refresh.remove(refresh);
        self.access.retain(|_, (of, _)| of != refresh);
    }
    /// Every login of a person ends.
    pub fn withdraw(&mut self, login: &str) -> usize {
        let ended: Vec<_> = self.refresh.iter().filter(|(_, (_, l))| l == login).map(|(r, _)| r.clone()).collect();
        for refresh in &ended {
            self.revoke(refresh);
        }
        ended.len()
    }
    pub fn caller(&self, headers: &HeaderMap, now: Timestamp) -> Option<Caller> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (refresh, end) = self.access.get(value.strip_prefix("Bearer ")?)?;
        let (_, login) = self.refresh.get(refresh)?;
        let admin = self.people.get(login).copied().unwrap_or(false);
        (now < *end).then(|| Caller { login: login.clone(), admin })
    }
}

fn parameters(bytes: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(bytes).into_owned().collect()
}
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// `GET /auth/authorize`: the real server shows a page that logs in by websocket and returns with a code. Here `login_hint`
/// names who logs in; without one, a form asks.
pub async fn authorize(State(home): State<Home>, RawQuery(query): RawQuery) -> Response {
    let asked = parameters(query.unwrap_or_default().as_bytes());
    let get = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    let refuse = |why: &str| (StatusCode::BAD_REQUEST, why.to_owned()).into_response();
    let (Ok(client), Ok(mut back)) = (Url::parse(get("client_id")), Url::parse(get("redirect_uri"))) else {
        return refuse("Invalid client id or redirect uri");
    };
    if client.host() != back.host() || client.port() != back.port() || get("response_type") != "code" {
        return refuse("Invalid redirect uri");
    }
    let now = home.now();
    let mut world = home.world();
    if !world.logins.knows(get("login_hint")) {
        return Html(form(&asked, &world.logins.names())).into_response();
    }
    let code = hex(&random::<16>(&*home.entropy));
    if !world.logins.consented(get("client_id"), get("login_hint"), &code, now) {
        return refuse("too many logins");
    }
    back.query_pairs_mut().append_pair("code", &code).append_pair("state", get("state"));
    (StatusCode::FOUND, [(header::LOCATION, String::from(back))]).into_response()
}
fn form(asked: &HashMap<String, String>, names: &[String]) -> String {
    let escaped = |t: &str| t.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let hidden: String = asked
        .iter()
        .filter(|(name, _)| *name != "login_hint")
        .map(|(n, v)| format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escaped(n), escaped(v)))
        .collect();
    let people: String = names.iter().map(|n| format!("<option>{}</option>", escaped(n))).collect();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><link rel=\"icon\" href=\"data:,\"><title>Simulated home server</title><h1>Log in</h1>\
         <form method=\"get\" action=\"/auth/authorize\">{hidden}<label>Who <select name=\"login_hint\">{people}</select></label>\
         <button>Log in</button></form></html>"
    )
}

/// `POST /auth/token`, form-encoded.
pub async fn token(State(home): State<Home>, body: Bytes) -> Response {
    let asked = parameters(&body);
    let get = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    let now = home.now();
    let mut world = home.world();
    let client = get("client_id");
    if Url::parse(client).is_err() {
        return refused("invalid_request", Some("Invalid client id"));
    }
    let token = format!("e30.{}.{}", hex(&random::<24>(&*home.entropy)), hex(&random::<16>(&*home.entropy)));
    let answer = |refresh: Option<&str>| {
        let mut body = json!({
            "access_token": token, "token_type": "Bearer", "expires_in": ACCESS_S, "ha_auth_provider": "homeassistant",
        });
        if let Some(refresh) = refresh {
            body["refresh_token"] = json!(refresh);
        }
        axum::Json(body).into_response()
    };
    match get("grant_type") {
        "authorization_code" => {
            let fresh = hex(&random::<64>(&*home.entropy));
            match world.logins.exchange(client, get("code"), fresh, now) {
                Some(refresh) if world.logins.access(client, &refresh, &token, now) => answer(Some(&refresh)),
                _ => refused("invalid_request", Some("Invalid code")),
            }
        }
        "refresh_token" if world.logins.access(client, get("refresh_token"), &token, now) => answer(None),
        "refresh_token" => refused("invalid_grant", None),
        _ => refused("unsupported_grant_type", None),
    }
}
fn refused(error: &str, description: Option<&str>) -> Response {
    let mut body = json!({ "error": error });
    if let Some(description) = description {
        body["error_description"] = json!(description);
    }
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}

/// `POST /auth/revoke`: 200 whatever the token was.
pub async fn revoke(State(home): State<Home>, body: Bytes) -> Response {
    if let Some(token) = parameters(&body).get("token") {
        home.world().logins.revoke(token);
    }
    StatusCode::OK.into_response()
}
