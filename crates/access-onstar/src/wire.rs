//! Requests of this API, and one thin place through which they leave.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use parcelshelf_exchange::{Client, secret_header};
use url::Url;

pub(crate) use parcelshelf_exchange::{Answer, Silence};

/// One request's answer is waited for so long; commands are answered at once and asked about later.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(20);
/// The largest answer, the details of a car with its commands, is some 20 KiB.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The name of an operation for spans: what was asked, never of which car.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation(pub &'static str);

/// What a request carries.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Nothing,
    Json(String),
    /// The garage takes a bare GraphQL query.
    Text(String),
    Form(Vec<(&'static str, String)>),
}

/// A request with the headers of the app; `None` if the token fits into no header.
pub(crate) fn request(
    url: &Url,
    content: Content,
    access_token: Option<&str>,
    app_version: &str,
) -> Option<Request<Bytes>> {
    let (method, kind, body) = match content {
        Content::Nothing => (Method::GET, "application/json", String::new()),
        Content::Json(body) => (Method::POST, "application/json", body),
        Content::Text(body) => (Method::POST, "text/plain; charset=utf-8", body),
        Content::Form(pairs) => {
            let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            (Method::POST, "application/x-www-form-urlencoded", form)
        }
    };
    let mut request = Request::builder()
        .method(method)
        .uri(url.as_str())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, HeaderValue::from_static(kind))
        .header("locale", "en-US")
        .header("appversion", app_version);
    if let Some(token) = access_token {
        request = request.header(AUTHORIZATION, secret_header(&format!("Bearer {token}"))?);
    }
    request.body(Bytes::from(body)).ok()
}

/// Sends once. Never repeats, never logs an address: this maker writes the VIN into it.
pub(crate) async fn call(
    client: &Client,
    operation: Operation,
    request: Request<Bytes>,
    deadline: Duration,
) -> Result<Answer, Silence> {
    let outcome = client.send(request, deadline.min(REQUEST_DEADLINE), BODY_BYTES_MAX).await;
    match &outcome {
        Ok(answer) => tracing::debug!(operation = operation.0, status = answer.status.as_u16(), "maker answered"),
        Err(silence) => tracing::debug!(operation = operation.0, ?silence, "maker did not answer"),
    }
    outcome
}
