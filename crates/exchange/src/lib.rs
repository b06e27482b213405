//! One HTTP request, one bounded answer.
//!
//! What it is: how everything of ours calls a server: no redirects, no repeats, no proxies, a deadline in domain time, a
//! bound on the answer, names under `localhost`, and no address in any log or error, for some makers write a VIN into it.
//! What it is not: it knows no JSON, no problem, no maker.
//!
//! The three types to know: [`Client`], [`Answer`], [`Silence`] (why there is none). A [`Way`] is how bytes travel: the
//! network, a Unix socket, or straight into a router of the same process in a simulation.
//!
//! ```no_run
//! # async fn ask(timer: std::sync::Arc<dyn parcelshelf_core::time::Timer>) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use parcelshelf_exchange::{Client, get};
//! let client = Client::network(timer)?;
//! let answer = client.send(get("http://localhost:8470/healthz")?, Duration::from_secs(5), 1_024).await;
//! println!("{}", answer.map(|a| a.status.as_u16()).unwrap_or(0));
//! # Ok(()) }
//! ```

mod abroad;
mod network;
mod socket;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use parcelshelf_core::time::{Timer, within};

pub use abroad::is_public;
pub use network::{BadSetUp, bare};

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// `None`: the body broke off or was longer than allowed.
    pub body: Option<Bytes>,
}

impl Answer {
    /// `Retry-After` in whole seconds, at most an hour; a date would need a clock that agrees with the server's.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        const MAX: Duration = Duration::from_secs(3_600);
        let seconds: u64 = self.headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(MAX))
    }
}

/// Why nothing came back that could be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// No connection was made: the request cannot have arrived.
    #[error("nobody listens there")]
    NeverSent,
    /// The request may have arrived.
    #[error("no answer came")]
    Lost,
}

/// How one request's bytes travel. Never repeats, never follows, never logs an address.
#[async_trait::async_trait]
pub trait Way: Send + Sync + 'static {
    /// Sends once and reads at most `max_bytes` of a body.
    async fn carry(&self, request: Request<Bytes>, max_bytes: usize) -> Result<Answer, Silence>;
}

/// Calls servers. Cheap to clone; keeps connections.
#[derive(Clone)]
pub struct Client {
    way: Arc<dyn Way>,
    timer: Arc<dyn Timer>,
}
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// For servers on the network.
    ///
    /// # Errors
    /// [`BadSetUp`] when TLS cannot be set up.
    pub fn network(timer: Arc<dyn Timer>) -> Result<Self, BadSetUp> {
        Ok(Self { way: Arc::new(network::Net::new()?), timer })
    }
    /// For addresses that a stranger has named: HTTPS to the public internet, and nothing inside one's own network.
    ///
    /// # Errors
    /// [`BadSetUp`] when TLS cannot be set up.
    pub fn outward(timer: Arc<dyn Timer>) -> Result<Self, BadSetUp> {
        Ok(Self { way: Arc::new(network::Outward::new()?), timer })
    }
    /// Every request goes to one Unix socket, whatever host its address names.
    #[must_use]
    pub fn unix(socket: &Path, timer: Arc<dyn Timer>) -> Self {
        Self { way: Arc::new(socket::Socket::new(socket)), timer }
    }
    /// Over a way of one's own.
    #[must_use]
    pub fn over(way: Arc<dyn Way>, timer: Arc<dyn Timer>) -> Self {
        Self { way, timer }
    }

    /// Sends once and waits at most `deadline` for the whole answer, of which at most `max_bytes` are kept.
    ///
    /// # Errors
    /// [`Silence`].
    pub async fn send(&self, request: Request<Bytes>, deadline: Duration, max_bytes: usize) -> Result<Answer, Silence> {
        within(&*self.timer, deadline, self.way.carry(request, max_bytes)).await.unwrap_or(Err(Silence::Lost))
    }
}

/// A request without a body.
///
/// # Errors
/// When `url` is no absolute address.
pub fn get(url: &str) -> Result<Request<Bytes>, http::Error> {
    Request::builder().method(Method::GET).uri(url).body(Bytes::new())
}

/// A request with a body of this type.
///
/// # Errors
/// When `url` is no absolute address.
pub fn post(url: &str, content_type: &'static str, body: impl Into<Bytes>) -> Result<Request<Bytes>, http::Error> {
    Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type))
        .body(body.into())
}

/// A header value that no layer below prints; `None` if it has characters that no header can carry.
#[must_use]
pub fn secret_header(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}
