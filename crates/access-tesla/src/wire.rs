//! Requests of this API, and one thin place through which they leave: bounded, never repeated, never logged with an address,
//! for this maker writes the VIN into it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use parcelshelf_exchange::{Client, secret_header};
use url::Url;

pub(crate) use parcelshelf_exchange::{Answer, Silence};

/// A reading's answer is waited for so long.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(15);
/// A command's answer: implementers allow the car 10 s.
pub(crate) const COMMAND_DEADLINE: Duration = Duration::from_secs(20);
/// All data of a car is some 10 KiB; only parts of it are asked for.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The name of an operation for spans: what was asked, never of which car.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation(pub &'static str);

/// What a request carries.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Nothing,
    Json(String),
}

/// A request of the API; `None` if the token fits into no header.
pub(crate) fn request(url: &Url, content: Content, access_token: &str) -> Option<Request<Bytes>> {
    let (method, body) = match content {
        Content::Nothing => (Method::GET, String::new()),
        Content::Json(body) => (Method::POST, body),
    };
    let mut request = Request::builder()
        .method(&method)
        .uri(url.as_str())
        .header(ACCEPT, "application/json")
        .header(AUTHORIZATION, secret_header(&format!("Bearer {access_token}"))?);
    if method == Method::POST {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request.body(Bytes::from(body)).ok()
}

/// Sends once.
pub(crate) async fn call(
    client: &Client,
    operation: Operation,
    request: Request<Bytes>,
    deadline: Duration,
) -> Result<Answer, Silence> {
    let outcome = client.send(request, deadline, BODY_BYTES_MAX).await;
    match &outcome {
        Ok(answer) => tracing::debug!(operation = operation.0, status = answer.status.as_u16(), "maker answered"),
        Err(silence) => tracing::debug!(operation = operation.0, ?silence, "maker did not answer"),
    }
    outcome
}

/// How long to wait, by `Retry-After`, or by this maker's own header. Whole seconds, at most an hour.
pub(crate) fn retry_after(answer: &Answer) -> Option<Duration> {
    const MAX: Duration = Duration::from_secs(3_600);
    answer.retry_after().or_else(|| {
        let seconds: u64 = answer.headers.get("ratelimit-reset")?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(MAX))
    })
}
