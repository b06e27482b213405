//! Where the maker's cloud is and who we are there. Nothing here has a default: every value belongs to a registration.

use std::fmt;

use parcelshelf_core::secret::Redacted;
use url::Url;

/// Most regions that one configuration may name.
const REGIONS_MAX: usize = 8;

/// One region of the maker's cloud. An account belongs to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// The letters that a code of this region begins with: `NA`, `EU`, `CN`.
    pub name: String,
    /// Origin of its API, such as `https://fleet-api.prd.eu.vn.cloud.tesla.com`.
    pub api_base: String,
}

/// Addresses and credentials of one registered application. Secrets do not print.
#[derive(Clone)]
pub struct TeslaConfig {
    /// The regions that may be asked at all, 1 to 8; the first one is asked first. Whatever address an answer names, no request
    /// goes to another host.
    pub regions: Vec<Region>,
    /// Origin of the login, such as `https://auth.tesla.com`; `/oauth2/v3/authorize` follows.
    pub login_base: String,
    /// Origin of the token endpoint, such as `https://fleet-auth.prd.vn.cloud.tesla.com`; `/oauth2/v3/token` follows.
    pub token_base: String,
    pub client_id: String,
    pub client_secret: Redacted<String>,
    /// Exactly as registered with the maker.
    pub redirect_uri: String,
    /// The application's P-256 private key that owners enrol in their cars, as PEM (SEC 1 or PKCS #8). Without one, only cars
    /// that take plain commands open.
    pub command_key: Option<Redacted<String>>,
}
impl fmt::Debug for TeslaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TeslaConfig")
            .field("regions", &self.regions)
            .field("login_base", &self.login_base)
            .field("token_base", &self.token_base)
            .field("client_id", &self.client_id)
            .field("redirect_uri", &self.redirect_uri)
            .field("signs", &self.command_key.is_some())
            .finish_non_exhaustive()
    }
}

/// Why a configuration is none. Names the member, never its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    #[error("{0} must be an origin: https://host, or http://host on the loopback interface, and nothing behind it")]
    NotAnOrigin(&'static str),
    #[error("regions has 1 to 8 entries, each with a name of its own of capital letters")]
    Regions,
    #[error("redirect_uri is not a URL without fragment")]
    RedirectUri,
    #[error("{0} is empty or has characters that it cannot have")]
    Credential(&'static str),
    #[error("command_key is not a P-256 private key in PEM (SEC 1 or PKCS #8)")]
    CommandKey,
}

/// The checked form that requests are made from.
pub(crate) struct Checked {
    /// Name and origin of each region, in the order of the configuration.
    pub regions: Vec<(String, Url)>,
    pub login: Url,
    pub token: Url,
    pub config: TeslaConfig,
}

impl Checked {
    pub fn new(config: TeslaConfig) -> Result<Self, ConfigError> {
        let named = |n: &str| (1..=8).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_uppercase());
        let mut regions: Vec<(String, Url)> = Vec::new();
        for region in &config.regions {
            if !named(&region.name) || regions.iter().any(|(name, _)| *name == region.name) {
                return Err(ConfigError::Regions);
            }
            regions.push((region.name.clone(), origin("regions.api_base", &region.api_base)?));
        }
        if regions.is_empty() || regions.len() > REGIONS_MAX {
            return Err(ConfigError::Regions);
        }
        let login = origin("login_base", &config.login_base)?;
        let token = origin("token_base", &config.token_base)?;
        if Url::parse(&config.redirect_uri).ok().is_none_or(|u| u.fragment().is_some()) {
            return Err(ConfigError::RedirectUri);
        }
        for (name, value) in [("client_id", &config.client_id), ("client_secret", config.client_secret.expose())] {
            if value.is_empty() || value.len() > 512 || value.bytes().any(|b| !b.is_ascii_graphic()) {
                return Err(ConfigError::Credential(name));
            }
        }
        Ok(Self { regions, login, token, config })
    }
    /// `/api/1/vehicles…` of a region.
    pub fn api_url(&self, region: usize, rest: &str) -> Url {
        let mut url = self.regions.get(region).map_or_else(|| self.regions[0].1.clone(), |(_, base)| base.clone());
        url.set_path(&format!("/api/1/vehicles{rest}"));
        url
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
pub(crate) mod tests {
    use super::*;

    pub(crate) fn valid() -> TeslaConfig {
        let region = |name: &str, api_base: &str| Region { name: name.into(), api_base: api_base.into() };
        TeslaConfig {
            regions: vec![
                region("EU", "https://fleet-api.eu.example.com"),
                region("NA", "https://fleet-api.na.example.com"),
            ],
            login_base: "https://auth.example.com".into(),
            token_base: "https://fleet-auth.example.com".into(),
            client_id: "app".into(),
            client_secret: Redacted::new("s3cret-canary".into()),
            redirect_uri: "https://wallet.example.org/oauth/callback".into(),
            command_key: None,
        }
    }

    #[test]
    fn origins_are_https_or_loopback_and_bare() {
        for (base, good) in [
            ("https://fleet-api.prd.eu.vn.cloud.tesla.com", true),
            ("http://127.0.0.1:8482", true),
            ("http://sim.localhost:8482", true),
            ("http://fleet-api.example.com", false),
            ("https://fleet-api.example.com/api", false),
            ("https://user:pass@fleet-api.example.com", false),
            ("fleet-api.example.com", false),
        ] {
            let config = TeslaConfig { regions: vec![Region { name: "EU".into(), api_base: base.into() }], ..valid() };
            assert_eq!(Checked::new(config).is_ok(), good, "{base}");
            assert_eq!(Checked::new(TeslaConfig { token_base: base.into(), ..valid() }).is_ok(), good, "{base}");
        }
    }

    #[test]
    fn regions_have_names_of_their_own_and_are_few() {
        let region = |name: &str| Region { name: name.into(), api_base: "https://a.example.com".into() };
        for (regions, good) in [
            (vec![], false),
            (vec![region("EU")], true),
            (vec![region("EU"), region("EU")], false),
            (vec![region("eu")], false),
            (vec![region("")], false),
        ] {
            assert_eq!(Checked::new(TeslaConfig { regions, ..valid() }).is_ok(), good);
        }
    }

    #[test]
    fn secrets_never_print() {
        let key = Some(Redacted::new("key-canary".into()));
        let shown = format!("{:?}", TeslaConfig { command_key: key, ..valid() });
        assert!(!shown.contains("canary") && shown.contains("signs: true"), "{shown}");
    }
}
