//! One request, one answer: bounded, never repeated, never logged with an address (this maker writes the VIN into it).

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use url::Url;

/// Implementers of this API wait half a minute for a command; the car answers inside the call.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// The largest answer, the details of a car, is about 2 KiB.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// A `Retry-After` beyond an hour is taken as an hour.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What came back.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// `None`: the body broke off or was too long.
    pub body: Option<Vec<u8>>,
}

/// Nothing that could be understood came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// No connection was made: the request cannot have arrived.
    NeverSent,
    /// The request may have arrived.
    Lost,
}

/// The client that [`Volvo`](crate::Volvo) is meant to be given: follows no redirect, repeats nothing, and gives up after
/// half a minute.
///
/// # Errors
/// When the TLS library cannot be set up.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(10))
        .timeout(CALL_DEADLINE)
        .no_proxy()
        .build()
}

/// The name of an operation for spans: what was asked, never of which car.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation(pub &'static str);

/// Sends once and reads at most [`BODY_BYTES_MAX`].
pub(crate) async fn call(
    operation: Operation,
    expected: &Url,
    request: RequestBuilder,
    deadline: Duration,
) -> Result<Answer, Silence> {
    let outcome = send(expected, request.header(ACCEPT, "application/json").timeout(deadline)).await;
    match &outcome {
        Ok(answer) => tracing::debug!(operation = operation.0, status = answer.status.as_u16(), "maker answered"),
        Err(silence) => tracing::debug!(operation = operation.0, ?silence, "maker did not answer"),
    }
    outcome
}

async fn send(expected: &Url, request: RequestBuilder) -> Result<Answer, Silence> {
    let mut response = request
        .send()
        .await
        .map_err(|e| if e.is_connect() || e.is_builder() { Silence::NeverSent } else { Silence::Lost })?;
    // A client that follows redirects was handed in: whoever answered is not who was asked.
    if response.url() != expected {
        return Err(Silence::Lost);
    }
    let status = response.status();
    let retry_after = retry_after(response.headers());
    Ok(Answer { status, retry_after, body: body(&mut response).await })
}

async fn body(response: &mut Response) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return None;
        }
        bytes.extend_from_slice(&chunk);
    }
    Some(bytes)
}

/// Whole seconds only; a date would need a clock that agrees with the maker's.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// A request of the API: both credentials, and a JSON content type on POST although the body is empty.
pub(crate) fn api_request(
    http: &reqwest::Client,
    method: Method,
    url: &Url,
    access_token: &str,
    vcc_api_key: &str,
) -> RequestBuilder {
    let request = http
        .request(method.clone(), url.clone())
        .bearer_auth(access_token)
        .header("vcc-api-key", sensitive(vcc_api_key));
    if method == Method::POST { request.header(CONTENT_TYPE, "application/json").body("") } else { request }
}
/// Marked, so that no layer below prints it. The configuration was checked to fit a header.
fn sensitive(value: &str) -> reqwest::header::HeaderValue {
    let mut value =
        reqwest::header::HeaderValue::from_str(value).unwrap_or_else(|_| reqwest::header::HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}
