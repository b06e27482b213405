//! JSON over HTTP: bounded, with the server's problem as the error.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use parcelshelf_core::time::Timestamp;
use parcelshelf_exchange::{Answer, Client, Silence};
use parcelshelf_protocol::Refused;
use serde_json::Value;

/// Long polls wait 20 s; nothing waits much longer.
const PATIENCE: Duration = Duration::from_secs(40);
/// Largest answer: a sealed bundle.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Why something did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The other side refused, with a stable code.
    #[error("{code} ({status}): {detail}")]
    Problem {
        status: u16,
        code: String,
        detail: String,
        /// Ask again after so many seconds, if the server says.
        retry_after_s: Option<u64>,
    },
    /// No answer. What was asked may or may not have happened.
    #[error("no answer: {0}")]
    NoAnswer(Silence),
    /// An answer that is not what the interface promises.
    #[error("unexpected answer: {0}")]
    Unexpected(&'static str),
    /// A signed answer that does not verify, or something that cannot be signed.
    #[error("not trusted: {0}")]
    NotTrusted(#[from] Refused),
}

impl Failure {
    /// The problem's code, if it is one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem { code, .. } => Some(code),
            _ => None,
        }
    }
    /// How long the server asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem { retry_after_s, .. } => retry_after_s.map(Duration::from_secs),
            _ => None,
        }
    }
    /// Whether asking the same again may help: nobody answered, or the server asked for patience.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Problem { status, .. } => matches!(*status, 429 | 502 | 503 | 504),
            _ => false,
        }
    }
}

/// One server.
#[derive(Clone, Debug)]
pub struct Http {
    base: String,
    client: Client,
}

impl Http {
    /// `base` is scheme and authority, such as `http://wallet.localhost:8470`.
    #[must_use]
    pub fn new(base: &str, client: &Client) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), client: client.clone() }
    }

    /// The same server over another network.
    #[must_use]
    pub fn over(&self, client: &Client) -> Self {
        Self { base: self.base.clone(), client: client.clone() }
    }

    /// Scheme and authority.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.base
    }
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn answer(&self, request: Request<Bytes>) -> Result<Answer, Failure> {
        self.client.send(request, PATIENCE, ANSWER_BYTES_MAX).await.map_err(Failure::NoAnswer)
    }

    /// Sends JSON bytes as they are and reads JSON.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Value, Failure> {
        self.exchange(method, path, headers, body).await.map(|(answer, _)| answer)
    }

    /// The same, with the next nonce, if the answer brings one.
    pub(crate) async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<(Value, Option<String>), Failure> {
        let mut request = Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            let name: HeaderName = name.parse().map_err(|_| Failure::Unexpected("a header has no such name"))?;
            let value = HeaderValue::from_str(value).map_err(|_| Failure::Unexpected("a header has no such value"))?;
            request = request.header(name, value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(body.unwrap_or_default().into()).map_err(|_| Failure::Unexpected("not a URL"))?;
        let answer = self.answer(request).await?;
        let nonce = answer.headers.get("dpop-nonce").and_then(|n| n.to_str().ok()).map(str::to_owned);
        let bytes = answer.body.ok_or(Failure::Unexpected("an answer is too long or broke off"))?;
        read(answer.status, &bytes).map(|said| (said, nonce))
    }

    /// # Errors
    /// [`Failure`].
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Value, Failure> {
        self.send(Method::GET, path, headers, None).await
    }

    /// # Errors
    /// [`Failure`].
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Value, Failure> {
        self.send(Method::POST, path, headers, Some(body.to_string().into_bytes())).await
    }

    /// What the server's clock says, from the header `server-time` of any answer.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn server_time(&self, path: &str) -> Result<Timestamp, Failure> {
        let answer = self.answer(get(&self.url(path))?).await?;
        let time = answer.headers.get("server-time").and_then(|t| t.to_str().ok());
        time.and_then(|t| Timestamp::parse_rfc3339(t).ok()).ok_or(Failure::Unexpected("the answer tells no time"))
    }

    /// Follows redirects by hand, from `url` until a page is shown; returns its status. As the browser in which a linking with
    /// this `state` began.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn browse(&self, url: &str) -> Result<u16, Failure> {
        let began = url::Url::parse(url).map_err(|_| Failure::Unexpected("not a URL"))?;
        let state = began.query_pairs().find(|(name, _)| name == "state").map(|(_, state)| state.into_owned());
        self.browse_with(url, state.map(|state| format!("__Host-psh-link={state}"))).await
    }
    /// As [`Http::browse`], as any other browser.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn browse_elsewhere(&self, url: &str) -> Result<u16, Failure> {
        self.browse_with(url, None).await
    }
    async fn browse_with(&self, url: &str, cookie: Option<String>) -> Result<u16, Failure> {
        const HOPS_MAX: usize = 5;
        let cookie = cookie.and_then(|c| HeaderValue::from_str(&c).ok());
        let mut next = url.to_owned();
        for _ in 0..HOPS_MAX {
            let mut request = get(&next)?;
            // A browser sends it to our host only; simulated makers do not read cookies.
            if let Some(cookie) = &cookie {
                request.headers_mut().insert(header::COOKIE, cookie.clone());
            }
            let answer = self.answer(request).await?;
            if !answer.status.is_redirection() {
                return Ok(answer.status.as_u16());
            }
            let to = answer.headers.get("location").and_then(|l| l.to_str().ok());
            let to = to.ok_or(Failure::Unexpected("a redirect leads nowhere"))?;
            let here = url::Url::parse(&next).map_err(|_| Failure::Unexpected("not a URL"))?;
            next = here.join(to).map_err(|_| Failure::Unexpected("not a URL"))?.into();
        }
        Err(Failure::Unexpected("too many redirects"))
    }
}

fn get(url: &str) -> Result<Request<Bytes>, Failure> {
    parcelshelf_exchange::get(url).map_err(|_| Failure::Unexpected("not a URL"))
}

fn read(status: StatusCode, bytes: &[u8]) -> Result<Value, Failure> {
    let json: Option<Value> = if bytes.is_empty() { Some(Value::Null) } else { serde_json::from_slice(bytes).ok() };
    if status.is_success() {
        return json.ok_or(Failure::Unexpected("the answer is not JSON"));
    }
    let json = json.unwrap_or(Value::Null);
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    let retry_after_s = json["retry_after_s"].as_u64();
    Err(Failure::Problem { status: status.as_u16(), code: text("code"), detail: text("detail"), retry_after_s })
}

/// A text member of an answer.
pub(crate) fn text(answer: &Value, name: &str) -> Result<String, Failure> {
    answer[name].as_str().map(str::to_owned).ok_or(Failure::Unexpected("a text member is missing"))
}
