//! One request, one answer: bounded, never repeated, never logged with an address (this maker writes the VIN into it).

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use parcelshelf_exchange::{Client, secret_header};
use url::Url;

pub(crate) use parcelshelf_exchange::{Answer, Silence};

/// Implementers of this API wait half a minute for a command; the car answers inside the call.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// The largest answer, the details of a car, is about 2 KiB.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The name of an operation for spans: what was asked, never of which car.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation(pub &'static str);

/// Sends once and reads at most [`BODY_BYTES_MAX`].
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

/// A request of the API: both credentials, and a JSON content type on POST although the body is empty. `None` when a
/// credential has characters that no header can carry.
pub(crate) fn api_request(method: Method, url: &Url, access_token: &str, vcc_api_key: &str) -> Option<Request<Bytes>> {
    let mut request = Request::builder()
        .method(&method)
        .uri(url.as_str())
        .header(AUTHORIZATION, secret_header(&format!("Bearer {access_token}"))?)
        .header("vcc-api-key", secret_header(vcc_api_key)?);
    if method == Method::POST {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request.body(Bytes::new()).ok()
}
