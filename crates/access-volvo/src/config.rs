//! Where the maker's cloud is and who we are there.

use std::fmt;

use parcelshelf_core::secret::Redacted;
use url::Url;

/// Addresses and credentials of one registered application. Secrets do not print.
#[derive(Clone)]
pub struct VolvoConfig {
    /// Origin of the API, such as `https://api.volvocars.com`.
    pub api_base: String,
    /// Origin of the identity service, such as `https://volvoid.eu.volvocars.com`.
    pub identity_base: String,
    pub client_id: String,
    pub client_secret: Redacted<String>,
    /// The application's key; goes with every API request beside the owner's token.
    pub vcc_api_key: Redacted<String>,
    /// Exactly as registered with the maker.
    pub redirect_uri: String,
}
impl fmt::Debug for VolvoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VolvoConfig")
            .field("api_base", &self.api_base)
            .field("identity_base", &self.identity_base)
            .field("client_id", &self.client_id)
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
    }
}

/// Why a configuration is none. Names the member, never its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    #[error("{0} must be an origin: https://host, or http://host on the loopback interface, and nothing behind it")]
    NotAnOrigin(&'static str),
    #[error("redirect_uri is not a URL without fragment")]
    RedirectUri,
    #[error("{0} is empty or has characters that no header can carry")]
    Credential(&'static str),
}

/// The checked form that requests are made from.
pub(crate) struct Checked {
    pub api: Url,
    pub identity: Url,
    pub config: VolvoConfig,
}

impl Checked {
    pub fn new(config: VolvoConfig) -> Result<Self, ConfigError> {
        let api = origin("api_base", &config.api_base)?;
        let identity = origin("identity_base", &config.identity_base)?;
        if Url::parse(&config.redirect_uri).ok().is_none_or(|u| u.fragment().is_some()) {
            return Err(ConfigError::RedirectUri);
        }
        for (name, value) in [
            ("client_id", &config.client_id),
            ("client_secret", config.client_secret.expose()),
            ("vcc_api_key", config.vcc_api_key.expose()),
        ] {
            if value.is_empty() || value.len() > 512 || value.bytes().any(|b| !b.is_ascii_graphic()) {
                return Err(ConfigError::Credential(name));
            }
        }
        // RFC 7617: the id ends at the first colon.
        if config.client_id.contains(':') {
            return Err(ConfigError::Credential("client_id"));
        }
        Ok(Self { api, identity, config })
    }
}

/// An origin; plain HTTP only where nobody can listen on the way.
fn origin(name: &'static str, text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).map_err(|_| ConfigError::NotAnOrigin(name))?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    let private = match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(url::Host::Domain(d))) => d == "localhost" || d.ends_with(".localhost"),
        ("http", Some(url::Host::Ipv4(ip))) => ip.is_loopback(),
        ("http", Some(url::Host::Ipv6(ip))) => ip.is_loopback(),
        _ => false,
    };
    if bare && anonymous && private { Ok(url) } else { Err(ConfigError::NotAnOrigin(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> VolvoConfig {
        VolvoConfig {
            api_base: "https://api.volvocars.com".into(),
            identity_base: "https://volvoid.eu.volvocars.com".into(),
            client_id: "app".into(),
            client_secret: Redacted::new("s3cret-canary".into()),
            vcc_api_key: Redacted::new("key-canary".into()),
            redirect_uri: "https://wallet.example.org/link/volvo".into(),
        }
    }

    #[test]
    fn origins_are_https_or_loopback_and_bare() {
        for (base, good) in [
            ("https://api.volvocars.com", true),
            ("https://api.volvocars.com/", true),
            ("http://127.0.0.1:8480", true),
            ("http://sim.localhost:8480", true),
            ("http://[::1]:8480", true),
            ("http://api.volvocars.com", false),
            ("https://api.volvocars.com/v2", false),
            ("https://api.volvocars.com?x=1", false),
            ("https://user:pass@api.volvocars.com", false),
            ("ftp://127.0.0.1", false),
            ("api.volvocars.com", false),
        ] {
            let config = VolvoConfig { api_base: base.into(), ..valid() };
            assert_eq!(Checked::new(config).is_ok(), good, "{base}");
        }
    }

    #[test]
    fn credentials_fit_a_header_and_never_print() {
        for bad in ["", "with space", "line\nbreak", "ümlaut"] {
            let config = VolvoConfig { vcc_api_key: Redacted::new(bad.into()), ..valid() };
            assert_eq!(Checked::new(config).err(), Some(ConfigError::Credential("vcc_api_key")), "{bad:?}");
        }
        let shown = format!("{:?}", valid());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
