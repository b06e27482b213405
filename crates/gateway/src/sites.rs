//! Hosts: which site a request is for, and the pages that need no script.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Json};
use parcelshelf_edge::cookie::{self, set_for_return};
use parcelshelf_edge::json::{StrictJson, StrictQuery};
use parcelshelf_edge::pages::Pages;
use parcelshelf_edge::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use utoipa::ToSchema;

use crate::sessions::NewWallet as Confirmed;
use crate::{Config, Front, relay};

/// Which site a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// Carriers and depots.
    Gateway,
    Wallet,
    Stop,
}

/// The three origins, by the `Host` that names them.
#[derive(Debug, Clone)]
pub(crate) struct Sites([(Site, String, String); 3]);

impl Sites {
    /// # Errors
    /// A text that says which origin is none, or that two are one.
    pub fn new(config: &Config) -> Result<Self, String> {
        let one = |site, origin: &str, name: &str| {
            let url = Url::parse(origin).map_err(|e| format!("{name}: {e}"))?;
            let plain = url.origin().ascii_serialization();
            if plain != origin {
                return Err(format!("{name} must be an origin such as {plain}, and nothing behind it"));
            }
            let host = url.host_str().ok_or_else(|| format!("{name} has no host"))?;
            let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            Ok((site, authority, plain))
        };
        let all = [
            one(Site::Gateway, &config.origin, "origin")?,
            one(Site::Wallet, &config.wallet_origin, "wallet_origin")?,
            one(Site::Stop, &config.stop_origin, "stop_origin")?,
        ];
        let distinct = all[0].1 != all[1].1 && all[0].1 != all[2].1 && all[1].1 != all[2].1;
        if distinct { Ok(Self(all)) } else { Err(String::from("origin, wallet_origin and stop_origin must differ")) }
    }

    fn of(&self, host: &str) -> Option<(Site, &str)> {
        let found = self.0.iter().find(|(_, authority, _)| authority.eq_ignore_ascii_case(host));
        found.map(|(site, _, origin)| (*site, origin.as_str()))
    }
}

/// The address that the client used, as proofs and calls sign it.
#[derive(Debug, Clone)]
pub(crate) struct Public {
    pub site: Site,
    pub url: String,
}

impl Front {
    fn pages_of(&self, site: Site) -> Option<&Pages> {
        match site {
            Site::Gateway => None,
            Site::Wallet => self.wallet.as_deref(),
            Site::Stop => self.stop.as_deref(),
        }
    }
}

/// A request for another host is not for us; names of machines that only look after health need no host.
pub(crate) async fn check_host(State(front): State<Arc<Front>>, mut request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let path = request.uri().path();
    match front.sites.of(host) {
        Some((site, origin)) => {
            if let Some(file) = front.pages_of(site).and_then(|pages| pages.answer(&request)) {
                return file;
            }
            let tail = request.uri().path_and_query().map_or("/", |p| p.as_str());
            let public = Public { site, url: format!("{origin}{tail}") };
            request.extensions_mut().insert(public);
            next.run(request).await
        }
        None if matches!(path, "/healthz" | "/readyz" | "/metrics") => next.run(request).await,
        None => Problem::new(421, "wrong_host", "this gateway is not that host").into_response(),
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Callback {
    #[param(max_length = 2048)]
    code: Option<String>,
    #[param(max_length = 64)]
    state: Option<String>,
    /// What the maker says went wrong.
    error: Option<String>,
}

/// As the keyholder says it.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct LinkOut {
    link: String,
    /// Where the owner logs in at the maker.
    authorize_url: String,
}

/// In which browser a linking began. Not a secret: what counts is that no other site can put it there (`__Host-`).
const BEGAN: &str = "__Host-psh-link";
/// A linking is over after a quarter of an hour.
const BEGAN_S: i64 = 900;

/// Begins to link cars of a maker, in this browser.
#[utoipa::path(post, path = "/v1/links", request_body = Confirmed, responses((status = 201, body = LinkOut)))]
pub(crate) async fn begin_link(
    State(front): State<Arc<Front>>,
    Extension(public): Extension<Public>,
    StrictJson { bytes, .. }: StrictJson<Confirmed>,
) -> Result<Response, Problem> {
    if public.site != Site::Wallet {
        return Err(Problem::new(404, "not_found", "this route is the wallet's"));
    }
    let body = String::from_utf8(bytes.to_vec()).map_err(|_| Problem::new(400, "body_not_json", "not UTF-8"))?;
    let answer = relay::ask(&front, "/v1/links", body).await?;
    if answer.status != StatusCode::CREATED {
        return Ok(answer.into_response());
    }
    let odd = || Problem::unavailable("keyholder_unavailable", "the keyholder's answer cannot be read", 2);
    let out = serde_json::from_slice::<LinkOut>(&answer.body).ok().filter(|out| is_link(&out.link)).ok_or_else(odd)?;
    let cookie = set_for_return(BEGAN, &out.link, BEGAN_S);
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(out)).into_response())
}
fn is_link(state: &str) -> bool {
    state.len() == 22 && state.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Where a maker sends the owner's browser back to. Hands the code on; the page that is shown leads at once to the
/// wallet, which says how it went: `/linked`, or `/linked?failed=WHY`. Only the browser in which the linking began: else
/// somebody could send another person to the maker and have that person's car in a wallet of their own (RFC 9700, 4.7).
#[utoipa::path(get, path = "/oauth/callback", params(Callback),
    responses((status = 200, content_type = "text/html", body = String)))]
pub(crate) async fn callback(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    StrictQuery(query): StrictQuery<Callback>,
) -> Result<Response, Problem> {
    let failed = |status, why: &str| {
        Ok(page(status, "Not linked", &format!("{}/linked?failed={why}", front.config.wallet_origin)))
    };
    let (Some(code), Some(state)) = (query.code, query.state) else {
        let why = if query.error.is_some() { "maker_refused" } else { "address_damaged" };
        return failed(StatusCode::BAD_REQUEST, why);
    };
    if !is_link(&state) || code.len() > 2048 {
        return failed(StatusCode::BAD_REQUEST, "address_damaged");
    }
    if cookie::sent(&headers, BEGAN) != Some(state.as_str()) {
        return failed(StatusCode::FORBIDDEN, "another_browser");
    }
    let body = json!({ "code": code }).to_string();
    let answer = relay::ask(&front, &format!("/v1/links/{state}/code"), body).await?;
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if !answer.status.is_success() {
        return failed(StatusCode::CONFLICT, not_linked(said["code"].as_str().unwrap_or_default()));
    }
    let choose = if said["choose"] == json!(true) { format!("?choose={state}") } else { String::new() };
    Ok(page(StatusCode::OK, "Linked", &format!("{}/linked{choose}", front.config.wallet_origin)))
}

/// Why the keyholder refused, as the wallet says it in words.
fn not_linked(code: &str) -> &'static str {
    match code {
        "account_of_a_fleet" => "account_of_a_fleet",
        "another_account" => "another_account",
        "owner_action_needed" => "owner_action_needed",
        code if code.starts_with("maker_") => "maker_unavailable",
        _ => "login_over",
    }
}

/// `next` is an address of our own, without characters that mean anything in HTML.
fn page(status: StatusCode, title: &str, next: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"0;url={next}\">\
         <title>{title}</title><h1>{title}</h1><p><a href=\"{next}\">Back to your wallet</a></p></html>"
    );
    (status, Html(html)).into_response()
}

/// What this gateway is and where.
#[utoipa::path(get, path = "/.well-known/parcelshelf", responses((status = 200, body = Value)))]
pub(crate) async fn well_known(State(front): State<Arc<Front>>) -> Json<Value> {
    let c = &front.config;
    Json(json!({
        "versions": [1],
        "aud": c.aud,
        "gateway": c.origin,
        "wallet": c.wallet_origin,
        "stop": c.stop_origin,
        "rp_id": c.rp_id,
        "keys": format!("{}/v1/keys", c.origin),
        "log": format!("{}/log/checkpoint", c.origin),
        "openapi": format!("{}/openapi.json", c.origin),
    }))
}
