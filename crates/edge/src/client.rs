//! HTTP clients of the services: no redirects, no proxies, deadlines, bounded answers, names under `localhost`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A client for servers on the network.
///
/// # Errors
/// When TLS cannot be set up.
pub fn network(deadline: Duration) -> reqwest::Result<reqwest::Client> {
    base(deadline).dns_resolver(Arc::new(Localhost)).build()
}

/// A client whose every request goes to one Unix socket.
///
/// # Errors
/// When the client cannot be set up.
pub fn unix(socket: &Path, deadline: Duration) -> reqwest::Result<reqwest::Client> {
    base(deadline).unix_socket(socket.to_path_buf()).build()
}

fn base(deadline: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(deadline)
        .connect_timeout(Duration::from_secs(5))
}

/// Reads an answer of at most `max` bytes.
///
/// # Errors
/// `None` inside when it is longer.
pub async fn read_bounded(mut answer: reqwest::Response, max: usize) -> reqwest::Result<Option<Bytes>> {
    let mut all = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if all.len() + chunk.len() > max {
            return Ok(None);
        }
        all.extend_from_slice(&chunk);
    }
    Ok(Some(all.into()))
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
