//! The byte-exact relay to the keyholder's socket.
//!
//! Form is checked before a byte goes on: size, type, one strict JSON object. What the bytes mean is the keyholder's to
//! judge, over exactly these bytes. The two headers that the keyholder believes are set here and never taken from outside.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, on};
use parcelshelf_core::id::WalletId;
use parcelshelf_edge::json;
use parcelshelf_edge::problem::Problem;
use utoipa::openapi::PathItem;

use crate::sites::{Public, Site};
use crate::{Front, KEYHOLDER_DEADLINE, sessions};

/// Largest body that is relayed.
pub(crate) const BODY_MAX: usize = 256 * 1024;
/// Longest address: what proofs and calls can sign.
const URL_MAX: usize = 512;
/// Largest answer: a sealed bundle, encoded twice.
const ANSWER_MAX: usize = 1 << 20;
const WALLET: HeaderName = HeaderName::from_static("parcelshelf-wallet");
const PUBLIC_URL: HeaderName = HeaderName::from_static("parcelshelf-forwarded-url");
/// What goes on from the client, besides the body.
const PASSED: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("dpop"),
    HeaderName::from_static("parcelshelf-certificate"),
    NEXT,
];
/// For which proof a client wants its next nonce.
const NEXT: HeaderName = HeaderName::from_static("parcelshelf-next");
/// The next nonce.
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// What comes back.
const RETURNED: [HeaderName; 4] = [header::CONTENT_TYPE, header::CACHE_CONTROL, header::RETRY_AFTER, DPOP_NONCE];

/// The relay for one path of the keyholder's document.
pub(crate) fn route(item: &PathItem) -> MethodRouter<Arc<Front>> {
    use axum::routing::MethodFilter;
    let needs_session = |operation: &utoipa::openapi::path::Operation| {
        let named = operation.security.iter().flatten();
        named.filter_map(|s| serde_json::to_value(s).ok()).any(|s| s.get("session").is_some())
    };
    let all = [(&item.get, MethodFilter::GET), (&item.post, MethodFilter::POST), (&item.delete, MethodFilter::DELETE)];
    let mut router = MethodRouter::new();
    for (operation, filter) in all {
        let Some(operation) = operation else { continue };
        router = if needs_session(operation) {
            router.merge(on(filter, with_session))
        } else {
            router.merge(on(filter, without_session))
        };
    }
    router
}

async fn with_session(
    State(front): State<Arc<Front>>,
    Extension(public): Extension<Public>,
    request: Request,
) -> Result<Response, Problem> {
    // Sessions exist on the wallet's host alone: a page of another host cannot use one.
    if public.site != Site::Wallet {
        return Err(Problem::new(404, "not_found", "this route is the wallet's"));
    }
    let wallet = sessions::of(&front, request.headers()).await?;
    pass_on(&front, &public, Some(wallet), request).await
}

async fn without_session(
    State(front): State<Arc<Front>>,
    Extension(public): Extension<Public>,
    request: Request,
) -> Result<Response, Problem> {
    pass_on(&front, &public, None, request).await
}

async fn pass_on(
    front: &Front,
    public: &Public,
    wallet: Option<WalletId>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    if public.url.len() > URL_MAX {
        return Err(Problem::new(414, "url_too_long", "no address here is that long"));
    }
    let bytes = if parts.method == Method::GET { Bytes::new() } else { strict(&parts.headers, body).await? };
    let tail = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let mut passed = HeaderMap::new();
    for name in PASSED {
        if let Some(value) = parts.headers.get(&name) {
            passed.insert(name, value.clone());
        }
    }
    // A session token is for the front alone.
    if wallet.is_some() {
        passed.remove(header::AUTHORIZATION);
    }
    let answer = send(front, parts.method, tail, passed, &public.url, wallet, bytes).await?;
    Ok(answer.into_response())
}

/// A body of bounded size that is one strict JSON object, as it came.
async fn strict(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(415, "body_wrong_type", "the body must be application/json"));
    }
    let too_large = |_| Problem::new(413, "body_too_large", "the body is too large or broke off");
    let bytes = axum::body::to_bytes(body, BODY_MAX).await.map_err(too_large)?;
    json::check(&bytes)?;
    Ok(bytes)
}

/// The wish for a nonce alone, for a question of the front's own on a client's behalf.
pub(crate) fn next_wanted(from: &HeaderMap) -> HeaderMap {
    from.get(NEXT).map(|wish| (NEXT, wish.clone())).into_iter().collect()
}
/// The nonce alone, for an answer of the front's own.
pub(crate) fn next_nonce(from: &HeaderMap) -> HeaderMap {
    from.get(DPOP_NONCE).map(|nonce| (DPOP_NONCE, nonce.clone())).into_iter().collect()
}

/// What the keyholder answered.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}
impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, self.headers, self.body).into_response()
    }
}

/// A request of the front's own, or one that it has read.
pub(crate) async fn ask(front: &Front, path: &str, body: String) -> Result<Answer, Problem> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    let url = format!("{}{path}", front.config.wallet_origin);
    send(front, Method::POST, path, headers, &url, None, body.into()).await
}

pub(crate) async fn send(
    front: &Front,
    method: Method,
    tail: &str,
    mut headers: HeaderMap,
    public_url: &str,
    wallet: Option<WalletId>,
    body: Bytes,
) -> Result<Answer, Problem> {
    let bad = |_| Problem::new(400, "url_not_usable", "the address has characters that no header can carry");
    headers.insert(PUBLIC_URL, public_url.parse().map_err(bad)?);
    if let Some(wallet) = wallet {
        headers.insert(WALLET, wallet.to_string().parse().map_err(bad)?);
    }
    let unavailable = || Problem::unavailable("keyholder_unavailable", "the keyholder does not answer now", 2);
    let mut request = axum::http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = format!("http://keyholder{tail}")
        .parse()
        .map_err(|_| Problem::new(400, "url_not_usable", "the address has characters that no request can carry"))?;
    *request.headers_mut() = headers;
    let answer = front.keyholder.send(request, KEYHOLDER_DEADLINE, ANSWER_MAX).await.map_err(|silence| {
        tracing::warn!(%silence, "the keyholder does not answer");
        unavailable()
    })?;
    let mut back = HeaderMap::new();
    for name in RETURNED {
        if let Some(value) = answer.headers.get(&name) {
            back.insert(name, value.clone());
        }
    }
    let body = answer.body.ok_or_else(unavailable)?;
    Ok(Answer { status: answer.status, headers: back, body })
}

/// Ready when the keyholder is.
pub(crate) async fn ready(State(front): State<Arc<Front>>) -> Result<&'static str, Problem> {
    let url = front.config.origin.clone();
    let answer = send(&front, Method::GET, "/readyz", HeaderMap::new(), &url, None, Bytes::new()).await?;
    if answer.status.is_success() {
        Ok("ready\n")
    } else {
        Err(Problem::unavailable("keyholder_unavailable", "the keyholder is not ready", 2))
    }
}
