//! JSON over HTTP: bounded, with the server's problem as the error.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parcelshelf_core::time::Timestamp;
use parcelshelf_protocol::Refused;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
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
    Problem { status: u16, code: String, detail: String },
    /// No answer. What was asked may or may not have happened.
    #[error("no answer: {0}")]
    NoAnswer(String),
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
    client: reqwest::Client,
}

impl Http {
    /// `base` is scheme and authority, such as `http://wallet.localhost:8470`.
    ///
    /// # Errors
    /// [`Failure::Unexpected`] when the machine's TLS set-up is broken.
    pub fn new(base: &str) -> Result<Self, Failure> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .no_proxy()
            .dns_resolver(Arc::new(Localhost))
            .build()
            .map_err(|_| Failure::Unexpected("the HTTP client cannot be set up"))?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client })
    }

    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
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
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().map_err(|_| Failure::Unexpected("a header has no such name"))?;
            all.insert(
                name,
                HeaderValue::from_str(value).map_err(|_| Failure::Unexpected("a header has no such value"))?,
            );
        }
        let mut request = self.client.request(method, self.url(path)).headers(all);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let mut answer = request.send().await.map_err(|e| Failure::NoAnswer(e.without_url().to_string()))?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| Failure::NoAnswer(e.without_url().to_string()))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Failure::Unexpected("an answer is too long"));
            }
            bytes.extend_from_slice(&chunk);
        }
        read(status, &bytes)
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
        let answer = self.client.get(self.url(path)).send().await;
        let answer = answer.map_err(|e| Failure::NoAnswer(e.without_url().to_string()))?;
        let time = answer.headers().get("server-time").and_then(|t| t.to_str().ok());
        time.and_then(|t| Timestamp::parse_rfc3339(t).ok()).ok_or(Failure::Unexpected("the answer tells no time"))
    }

    /// Follows redirects by hand like a browser without cookies, from `url` until a page is shown; returns its status.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn browse(&self, url: &str) -> Result<u16, Failure> {
        const HOPS_MAX: usize = 5;
        let mut next = url.to_owned();
        for _ in 0..HOPS_MAX {
            let answer =
                self.client.get(&next).send().await.map_err(|e| Failure::NoAnswer(e.without_url().to_string()))?;
            if !answer.status().is_redirection() {
                return Ok(answer.status().as_u16());
            }
            let to = answer.headers().get("location").and_then(|l| l.to_str().ok());
            let to = to.ok_or(Failure::Unexpected("a redirect leads nowhere"))?;
            let here = url::Url::parse(&next).map_err(|_| Failure::Unexpected("not a URL"))?;
            next = here.join(to).map_err(|_| Failure::Unexpected("not a URL"))?.into();
        }
        Err(Failure::Unexpected("too many redirects"))
    }
}

fn read(status: StatusCode, bytes: &[u8]) -> Result<Value, Failure> {
    let json: Option<Value> = if bytes.is_empty() { Some(Value::Null) } else { serde_json::from_slice(bytes).ok() };
    if status.is_success() {
        return json.ok_or(Failure::Unexpected("the answer is not JSON"));
    }
    let json = json.unwrap_or(Value::Null);
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    Err(Failure::Problem { status: status.as_u16(), code: text("code"), detail: text("detail") })
}

/// Names under `localhost` mean this machine (RFC 6761 §6.3); the system's resolver often knows only `localhost`.
#[derive(Debug)]
struct Localhost;

impl Resolve for Localhost {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            if host == "localhost" || host.ends_with(".localhost") {
                let here: Addrs = Box::new(std::iter::once(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)));
                return Ok(here);
            }
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

/// A text member of an answer.
pub(crate) fn text(answer: &Value, name: &str) -> Result<String, Failure> {
    answer[name].as_str().map(str::to_owned).ok_or(Failure::Unexpected("a text member is missing"))
}
