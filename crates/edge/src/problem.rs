//! Problem details (RFC 9457) with a stable `code`, whose `type` opens a page.

use std::borrow::Cow;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

/// An error as a client sees it. Internal causes are logged, never shown.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    title: Cow<'static, str>,
    retry_after_s: Option<u64>,
    more: Map<String, Value>,
    cause: Option<&'static str>,
}

/// The members of a problem, for the OpenAPI documents.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemSchema {
    /// Relative address of a page about this code.
    #[schema(example = "/problems/body_not_json")]
    pub r#type: String,
    pub title: String,
    pub status: u16,
    /// Stable; branch on this.
    pub code: String,
    /// What to do.
    pub detail: Option<String>,
    /// Ask again after this many seconds.
    pub retry_after_s: Option<u64>,
}

impl Problem {
    /// `status` is 400 to 599; anything else becomes 500.
    #[must_use]
    pub fn new(status: u16, code: impl Into<Cow<'static, str>>, title: impl Into<Cow<'static, str>>) -> Self {
        let status = StatusCode::from_u16(status).ok().filter(|s| s.is_client_error() || s.is_server_error());
        Self {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: code.into(),
            title: title.into(),
            retry_after_s: None,
            more: Map::new(),
            cause: None,
        }
    }
    /// Something broke on our side. `cause` goes to the log.
    #[must_use]
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = %Chain(cause), "internal error");
        Self::new(500, "internal", "something broke on our side; it is recorded")
    }
    /// The store failed: nothing was changed, and the same bytes may be sent again. `cause` goes to the log.
    #[must_use]
    pub fn store(cause: &parcelshelf_store::StoreError) -> Self {
        tracing::error!(error = %Chain(cause), "the store failed");
        Self::unavailable("store_unavailable", "this could not be stored or read now", 2)
            .detail("nothing of it was kept; send the same again")
    }
    #[must_use]
    pub fn unavailable(code: &'static str, title: &'static str, retry_after_s: u64) -> Self {
        Self::new(503, code, title).retry_after(retry_after_s)
    }
    /// Says what to do.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        self.with("detail", Value::String(detail.into()))
    }
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
    /// What the service itself knows of the reason: never sent.
    #[must_use]
    pub const fn because(mut self, cause: &'static str) -> Self {
        self.cause = Some(cause);
        self
    }
    #[must_use]
    pub const fn cause(&self) -> Option<&'static str> {
        self.cause
    }
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status.as_u16()
    }
    fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("type".into(), Value::String(format!("/problems/{}", self.code)));
        body.insert("title".into(), Value::String(self.title.to_string()));
        body.insert("status".into(), self.status.as_u16().into());
        body.insert("code".into(), Value::String(self.code.to_string()));
        if let Some(seconds) = self.retry_after_s {
            body.insert("retry_after_s".into(), seconds.into());
        }
        body.extend(self.more.clone());
        Value::Object(body)
    }
}

/// An error with its sources, in one line.
struct Chain<'a>(&'a dyn std::error::Error);
impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(source) = next {
            write!(f, ": {source}")?;
            next = source.source();
        }
        Ok(())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The page behind a problem's `type`.
pub async fn page(Path(code): Path<String>) -> Response {
    let known = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !known {
        return Problem::new(404, "not_found", "there is no such page").into_response();
    }
    let words = code.replace('_', " ");
    let text = format!(
        "<!doctype html><html lang=\"en\"><title>{words}</title><h1>{words}</h1><p>The code <code>{code}</code> is \
         stable: programs may branch on it. What to do stands in the answer's <code>detail</code>; the checks of tokens \
         and their codes are listed in the protocol's documentation.</p></html>"
    );
    Html(text).into_response()
}
