//! Requests of this server, and one thin place through which they leave.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use parcelshelf_access::AccessError;
use parcelshelf_exchange::{Client, secret_header};
use url::Url;

pub(crate) use parcelshelf_exchange::{Answer, Silence};

/// A reading is answered out of the server's memory.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(10);
/// A command's answer waits for the integration behind the lock.
pub(crate) const COMMAND_DEADLINE: Duration = Duration::from_secs(60);
/// The largest answer, the server's configuration with its list of components, is some 20 KiB.
pub(crate) const BODY_BYTES_MAX: usize = 256 * 1024;
/// A camera is asked for a new picture only then, and may be on the radio.
pub(crate) const STILL_DEADLINE: Duration = Duration::from_secs(5);

/// An API call was answered 401: the token has ended or was withdrawn. A refresh tells which.
pub const TOKEN_REFUSED: &str = "the access token was refused";
/// An API call was answered 403: the user may not, or somebody on the way does not let it through.
pub const PERMISSION_REFUSED: &str = "this user may not read the entity";

/// The name of an operation for spans: what was asked, never of which thing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation(pub &'static str);

/// What a request carries.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Nothing,
    Json(String),
    Form(Vec<(&'static str, String)>),
}

/// `None` if the token fits into no header.
pub(crate) fn request(url: &Url, content: Content, access_token: Option<&str>) -> Option<Request<Bytes>> {
    let (method, kind, body) = match content {
        Content::Nothing => (Method::GET, None, String::new()),
        Content::Json(body) => (Method::POST, Some("application/json"), body),
        Content::Form(pairs) => {
            let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            (Method::POST, Some("application/x-www-form-urlencoded"), form)
        }
    };
    let mut request = Request::builder().method(method).uri(url.as_str()).header(ACCEPT, "application/json");
    if let Some(kind) = kind {
        request = request.header(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if let Some(token) = access_token {
        request = request.header(AUTHORIZATION, secret_header(&format!("Bearer {token}"))?);
    }
    request.body(Bytes::from(body)).ok()
}

/// Sends once. Never repeats, and logs no address: an entity's name may be its owner's.
pub(crate) async fn call(
    client: &Client,
    operation: Operation,
    request: Request<Bytes>,
    deadline: Duration,
    bytes_max: usize,
) -> Result<Answer, Silence> {
    let outcome = client.send(request, deadline, bytes_max).await;
    match &outcome {
        Ok(answer) => tracing::debug!(operation = operation.0, status = answer.status.as_u16(), "maker answered"),
        Err(silence) => tracing::debug!(operation = operation.0, ?silence, "maker did not answer"),
    }
    outcome
}

/// The body of a reading's answer.
pub(crate) fn readable(answer: Answer) -> Result<Bytes, AccessError> {
    match answer.status {
        StatusCode::OK => answer.body.ok_or(AccessError::Malformed("body")),
        StatusCode::UNAUTHORIZED => Err(AccessError::OwnerActionNeeded(TOKEN_REFUSED)),
        StatusCode::FORBIDDEN => Err(AccessError::OwnerActionNeeded(PERMISSION_REFUSED)),
        StatusCode::NOT_FOUND => Err(AccessError::NotSupported),
        StatusCode::TOO_MANY_REQUESTS => Err(AccessError::RateLimited { retry_after: answer.retry_after() }),
        status if status.is_server_error() => Err(AccessError::Unreachable),
        _ => Err(AccessError::Malformed("status")),
    }
}
