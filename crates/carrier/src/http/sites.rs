//! Hosts: the courier app's, staff's, and every other, which is the interface.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use parcelshelf_edge::pages::Pages;
use parcelshelf_protocol::webauthn::RelyingParty;
use url::Url;

use crate::{Carrier, PagesConfig, Shell};

/// Which host a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    Interface,
    Courier,
    Ops,
}

/// A host with pages.
#[derive(Debug, Clone)]
struct Shown {
    /// As `Host` names it.
    authority: String,
    origin: String,
    pages: Option<Arc<Pages>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Sites {
    courier: Option<Shown>,
    ops: Option<Shown>,
    /// Whose page may ask a passkey of staff.
    rp: Option<RelyingParty>,
}

fn shown(origin: &str, name: &str, pages: Option<&Arc<Pages>>) -> Result<(Shown, String), String> {
    let url = Url::parse(origin).map_err(|e| format!("{name}: {e}"))?;
    if url.origin().ascii_serialization() != origin {
        return Err(format!("{name} must be an origin such as https://{name}.example, and nothing behind it"));
    }
    let host = url.host_str().ok_or_else(|| format!("{name} has no host"))?.to_owned();
    let authority = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    Ok((Shown { authority, origin: origin.to_owned(), pages: pages.cloned() }, host))
}

impl Sites {
    /// # Errors
    /// A text that says which origin is none, or that two are one.
    pub fn new(config: Option<&PagesConfig>, shell: &Shell) -> Result<Self, String> {
        let Some(config) = config else { return Ok(Self { courier: None, ops: None, rp: None }) };
        let (courier, courier_host) = shown(&config.courier_origin, "courier_origin", shell.courier.as_ref())?;
        let (ops, ops_host) = shown(&config.ops_origin, "ops_origin", shell.ops.as_ref())?;
        if courier_host == ops_host {
            return Err(String::from("courier_origin and ops_origin must be two hosts"));
        }
        let rp = RelyingParty { rp_id: ops_host, origins: vec![ops.origin.clone()] };
        Ok(Self { courier: Some(courier), ops: Some(ops), rp: Some(rp) })
    }

    fn of(&self, host: &str) -> (Site, Option<&Shown>) {
        let is = |shown: &&Shown| shown.authority.eq_ignore_ascii_case(host);
        match (self.courier.as_ref().filter(is), self.ops.as_ref().filter(is)) {
            (Some(courier), _) => (Site::Courier, Some(courier)),
            (_, Some(ops)) => (Site::Ops, Some(ops)),
            _ => (Site::Interface, None),
        }
    }
    /// The origin of a host with pages.
    pub fn origin(&self, site: Site) -> Option<&str> {
        match site {
            Site::Interface => None,
            Site::Courier => self.courier.as_ref().map(|s| s.origin.as_str()),
            Site::Ops => self.ops.as_ref().map(|s| s.origin.as_str()),
        }
    }
    pub fn relying_party(&self) -> Option<&RelyingParty> {
        self.rp.as_ref()
    }
}

/// Shows pages, and says for the rest which host it came to.
pub(crate) async fn look_at_host(State(carrier): State<Arc<Carrier>>, mut request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let (site, shown) = carrier.sites.of(host);
    if let Some(file) = shown.and_then(|s| s.pages.as_deref()).and_then(|pages| pages.answer(&request)) {
        return file;
    }
    request.extensions_mut().insert(site);
    next.run(request).await
}
