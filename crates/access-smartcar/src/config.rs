//! Where the aggregator's cloud is and who we are there.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parcelshelf_core::secret::Redacted;
use url::Url;

/// Which cars an owner can connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Real cars.
    #[default]
    Live,
    /// The vendor's invented accounts.
    Test,
    /// The vendor's cars that drive by themselves.
    Simulated,
}
impl Mode {
    pub const ALL: [Self; 3] = [Self::Live, Self::Test, Self::Simulated];
    /// The vendor's word.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
            Self::Simulated => "simulated",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.code() == code)
    }
}

/// Which generation of the API tells make, model and place. Locks, lids, permissions and commands go through v2.0 in both:
/// their paths in v3 are not published in a form that independent clients use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApiVersion {
    #[default]
    V2,
    V3,
}
impl ApiVersion {
    /// As in configuration.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::V2 => "2.0",
            Self::V3 => "3",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        [Self::V2, Self::V3].into_iter().find(|v| v.code() == code)
    }
}

/// Addresses and credentials of one registered application. Secrets do not print.
#[derive(Clone)]
pub struct SmartcarConfig {
    /// Origin of the API v2.0, such as `https://api.smartcar.com`.
    pub api_base: String,
    /// Origin of the API v3, such as `https://vehicle.api.smartcar.com`.
    pub vehicle_base: String,
    /// Origin of the token endpoint, such as `https://auth.smartcar.com`.
    pub auth_base: String,
    /// Origin of the consent pages, such as `https://connect.smartcar.com`.
    pub connect_base: String,
    pub client_id: String,
    pub client_secret: Redacted<String>,
    /// Exactly as registered with the vendor.
    pub redirect_uri: String,
    /// Where the cars are sold (ISO 3166-1 alpha-2, capital letters): what a car can do differs by country.
    pub country: String,
    pub mode: Mode,
    pub api_version: ApiVersion,
}
impl fmt::Debug for SmartcarConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmartcarConfig")
            .field("api_base", &self.api_base)
            .field("vehicle_base", &self.vehicle_base)
            .field("auth_base", &self.auth_base)
            .field("connect_base", &self.connect_base)
            .field("client_id", &self.client_id)
            .field("redirect_uri", &self.redirect_uri)
            .field("country", &self.country)
            .field("mode", &self.mode)
            .field("api_version", &self.api_version)
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
    #[error("country must be two capital letters (ISO 3166-1 alpha-2)")]
    Country,
}

/// The checked form that requests are made from.
pub(crate) struct Checked {
    pub api: Url,
    pub vehicle: Url,
    pub auth: Url,
    pub connect: Url,
    /// Id and secret as a Basic header has them (RFC 7617).
    pub basic: Redacted<String>,
    pub config: SmartcarConfig,
}

impl Checked {
    pub fn new(config: SmartcarConfig) -> Result<Self, ConfigError> {
        let api = origin("api_base", &config.api_base)?;
        let vehicle = origin("vehicle_base", &config.vehicle_base)?;
        let auth = origin("auth_base", &config.auth_base)?;
        let connect = origin("connect_base", &config.connect_base)?;
        if Url::parse(&config.redirect_uri).ok().is_none_or(|u| u.fragment().is_some()) {
            return Err(ConfigError::RedirectUri);
        }
        let secret = config.client_secret.expose();
        for (name, value) in [("client_id", &config.client_id), ("client_secret", secret)] {
            if value.is_empty() || value.len() > 512 || value.bytes().any(|b| !b.is_ascii_graphic()) {
                return Err(ConfigError::Credential(name));
            }
        }
        // RFC 7617: the id ends at the first colon.
        if config.client_id.contains(':') {
            return Err(ConfigError::Credential("client_id"));
        }
        if config.country.len() != 2 || !config.country.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(ConfigError::Country);
        }
        let basic = Redacted::new(STANDARD.encode(format!("{}:{secret}", config.client_id)));
        Ok(Self { api, vehicle, auth, connect, basic, config })
    }
    /// `/v2.0/vehicles/{id}/{rest}`.
    pub fn v2(&self, id: &str, rest: &str) -> Url {
        at(
            &self.api,
            &if rest.is_empty() { format!("/v2.0/vehicles/{id}") } else { format!("/v2.0/vehicles/{id}/{rest}") },
        )
    }
    /// `/v3/vehicles/{id}/{rest}`.
    pub fn v3(&self, id: &str, rest: &str) -> Url {
        at(
            &self.vehicle,
            &if rest.is_empty() { format!("/v3/vehicles/{id}") } else { format!("/v3/vehicles/{id}/{rest}") },
        )
    }
}

/// This path at an origin.
pub(crate) fn at(origin: &Url, path: &str) -> Url {
    let mut url = origin.clone();
    url.set_path(path);
    url
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

    pub(crate) fn valid() -> SmartcarConfig {
        SmartcarConfig {
            api_base: "https://api.example.com".into(),
            vehicle_base: "https://vehicle.example.com".into(),
            auth_base: "https://auth.example.com".into(),
            connect_base: "https://connect.example.com".into(),
            client_id: "app".into(),
            client_secret: Redacted::new("s3cret-canary".into()),
            redirect_uri: "https://wallet.example.org/link".into(),
            country: "US".into(),
            mode: Mode::Live,
            api_version: ApiVersion::V2,
        }
    }

    #[test]
    fn origins_are_https_or_loopback_and_bare() {
        for (base, good) in [
            ("https://api.example.com", true),
            ("http://127.0.0.1:8482", true),
            ("http://sim.localhost:8482", true),
            ("http://[::1]:8482", true),
            ("http://api.example.com", false),
            ("https://api.example.com/v2.0", false),
            ("https://api.example.com?x=1", false),
            ("https://user:pass@api.example.com", false),
            ("api.example.com", false),
        ] {
            for part in 0..4 {
                let mut config = valid();
                let bases =
                    [&mut config.api_base, &mut config.vehicle_base, &mut config.auth_base, &mut config.connect_base];
                bases.into_iter().nth(part).unwrap().replace_range(.., base);
                assert_eq!(Checked::new(config).is_ok(), good, "{base} {part}");
            }
        }
    }

    #[test]
    fn credentials_fit_a_header_and_never_print() {
        for bad in ["", "with space", "line\nbreak", "ümlaut"] {
            let config = SmartcarConfig { client_secret: Redacted::new(bad.into()), ..valid() };
            assert_eq!(Checked::new(config).err(), Some(ConfigError::Credential("client_secret")), "{bad:?}");
        }
        let config = SmartcarConfig { client_id: "a:b".into(), ..valid() };
        assert_eq!(Checked::new(config).err(), Some(ConfigError::Credential("client_id")));
        for bad in ["", "us", "USA", "U1"] {
            let config = SmartcarConfig { country: bad.into(), ..valid() };
            assert_eq!(Checked::new(config).err(), Some(ConfigError::Country), "{bad:?}");
        }
        let shown = format!("{:?}", valid());
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn words_of_the_configuration_come_back() {
        assert_eq!(Mode::ALL.map(|m| Mode::parse(m.code())), Mode::ALL.map(Some));
        assert_eq!((ApiVersion::parse("2.0"), ApiVersion::parse("3")), (Some(ApiVersion::V2), Some(ApiVersion::V3)));
        assert_eq!((Mode::parse("Live"), ApiVersion::parse("2")), (None, None));
    }
}
