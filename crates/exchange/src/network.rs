//! Real sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::abroad::{Abroad, is_public, literal};
use crate::{Answer, Silence, Way};

/// A connection that is not made by then is none. Real time: it is about a real socket.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The machine's TLS library cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up")]
pub struct BadSetUp(#[source] reqwest::Error);

/// The client below, bare: for tools and tests that send what this crate's own form does not allow. It has no deadline.
///
/// # Errors
/// [`BadSetUp`] when TLS cannot be set up.
pub fn bare(socket: Option<&Path>) -> Result<reqwest::Client, BadSetUp> {
    let built = match socket {
        Some(path) => base().unix_socket(path.to_path_buf()).build(),
        None => base().dns_resolver(Arc::new(Localhost)).build(),
    };
    built.map_err(BadSetUp)
}
fn base() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_MAX)
        .no_proxy()
}

pub(crate) struct Net(reqwest::Client);

impl Net {
    pub fn new() -> Result<Self, BadSetUp> {
        bare(None).map(Self)
    }
}

/// Only HTTPS, only to the public internet.
pub(crate) struct Outward(Net);

impl Outward {
    pub fn new() -> Result<Self, BadSetUp> {
        let client = base().https_only(true).dns_resolver(Arc::new(Abroad)).build();
        client.map(Net).map(Self).map_err(BadSetUp)
    }
}

#[async_trait::async_trait]
impl Way for Outward {
    async fn carry(&self, request: Request<Bytes>, max_bytes: usize) -> Result<Answer, Silence> {
        // An address is not looked up, and comes in more spellings than this form shows: the parser of URLs knows them all.
        let url = reqwest::Url::parse(&request.uri().to_string()).map_err(|_| Silence::NeverSent)?;
        let near = url.host_str().and_then(literal).is_some_and(|address| !is_public(address));
        if near || url.scheme() != "https" {
            return Err(Silence::NeverSent);
        }
        self.0.carry(request, max_bytes).await
    }
}

#[async_trait::async_trait]
impl Way for Net {
    async fn carry(&self, request: Request<Bytes>, max_bytes: usize) -> Result<Answer, Silence> {
        let request = reqwest::Request::try_from(request).map_err(|_| Silence::NeverSent)?;
        let sent = self.0.execute(request).await;
        let response =
            sent.map_err(|e| if e.is_connect() || e.is_builder() { Silence::NeverSent } else { Silence::Lost })?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: bounded(response, max_bytes).await })
    }
}

async fn bounded(mut response: reqwest::Response, max_bytes: usize) -> Option<Bytes> {
    let mut all = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if all.len() + chunk.len() > max_bytes {
            return None;
        }
        all.extend_from_slice(&chunk);
    }
    Some(all.into())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody does listen; nobody is asked.
    #[tokio::test]
    async fn outward_asks_nobody_nearby() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let outward = Outward::new().unwrap();
        for url in [
            format!("https://127.0.0.1:{port}/"),
            format!("https://127.1:{port}/"),
            format!("https://2130706433:{port}/"),
            format!("https://0x7f000001:{port}/"),
            format!("https://[::1]:{port}/"),
            format!("https://[::ffff:127.0.0.1]:{port}/"),
            format!("https://localhost:{port}/"),
            format!("https://hook.localhost:{port}/"),
            format!("http://127.0.0.1:{port}/"),
            String::from("https://169.254.169.254/latest/meta-data"),
        ] {
            let sent = outward.carry(crate::post(&url, "text/plain", "x").unwrap(), 10).await;
            assert_eq!(sent.map(|a| a.status).unwrap_err(), Silence::NeverSent, "{url}");
        }
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody was asked");
    }
}
