//! Requests of this API, and one thin place through which they leave.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use parcelshelf_exchange::{Client, secret_header};
use url::Url;

pub(crate) use parcelshelf_exchange::{Answer, Silence};

/// Commands are answered at once with an attempt that is asked about later.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(15);
/// A device is some 2 KiB.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The name of an operation for spans: what was asked, never of which door.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation(pub &'static str);

/// A reading, or a command with a body of JSON. `None` if the key fits into no header.
pub(crate) fn request(url: &Url, body: Option<String>, key: &str) -> Option<Request<Bytes>> {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::builder()
        .method(method)
        .uri(url.as_str())
        .header(ACCEPT, "application/json")
        .header(AUTHORIZATION, secret_header(&format!("Bearer {key}"))?);
    if body.is_some() {
        request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    request.body(Bytes::from(body.unwrap_or_default())).ok()
}

/// Sends once. Never repeats, and logs no address: the device's id stands in it.
pub(crate) async fn call(client: &Client, operation: Operation, request: Request<Bytes>) -> Result<Answer, Silence> {
    let outcome = client.send(request, REQUEST_DEADLINE, BODY_BYTES_MAX).await;
    match &outcome {
        Ok(answer) => tracing::debug!(operation = operation.0, status = answer.status.as_u16(), "maker answered"),
        Err(silence) => tracing::debug!(operation = operation.0, ?silence, "maker did not answer"),
    }
    outcome
}
