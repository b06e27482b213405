//! Requests of this API, and one thin place through which they leave.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use parcelshelf_exchange::{Client, secret_header};
use url::Url;

pub(crate) use parcelshelf_exchange::{Answer, Silence};

/// A reading is waited for so long.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(20);
/// A command is waited for so long. The cloud itself may take 310 s: what is given up on is unknown, and nobody waits at a
/// car for it.
pub(crate) const COMMAND_DEADLINE: Duration = Duration::from_secs(30);
/// The largest answer that is asked for, all signals of a car, is some 60 KiB.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The name of an operation for spans: what was asked, never of which car.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation(pub &'static str);

/// By what a request is allowed.
#[derive(Clone, Copy)]
pub(crate) enum By<'a> {
    /// The owner's access token.
    Owner(&'a str),
    /// The application's own credentials, as a Basic header has them.
    Application(&'a str),
}

/// `None` if a credential fits into no header.
pub(crate) fn request(method: Method, url: &Url, by: By<'_>, json: Option<&'static str>) -> Option<Request<Bytes>> {
    let credential = match by {
        By::Owner(token) => format!("Bearer {token}"),
        By::Application(basic) => format!("Basic {basic}"),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(url.as_str())
        .header(AUTHORIZATION, secret_header(&credential)?)
        .header("sc-unit-system", "metric");
    if json.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request.body(json.map(|j| Bytes::from_static(j.as_bytes())).unwrap_or_default()).ok()
}

/// Sends once. Never repeats, never logs an address: it holds the id of a car, or its VIN.
pub(crate) async fn call(
    client: &Client,
    operation: Operation,
    mut request: Request<Bytes>,
    deadline: Duration,
) -> Result<Answer, Silence> {
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let outcome = client.send(request, deadline, BODY_BYTES_MAX).await;
    match &outcome {
        Ok(answer) => tracing::debug!(operation = operation.0, status = answer.status.as_u16(), "maker answered"),
        Err(silence) => tracing::debug!(operation = operation.0, ?silence, "maker did not answer"),
    }
    outcome
}
