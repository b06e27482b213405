//! Where the maker's cloud is and who we are there. Nothing here has a default: every value belongs to a contract.

use url::Url;

/// Addresses and names of one registered application. It has no secret: the maker's login runs public clients.
#[derive(Debug, Clone)]
pub struct OnstarConfig {
    /// Origin of the API, such as `https://na-mobile-api.gm.com`.
    pub api_base: String,
    /// The login up to and including the policy's name, such as `https://login.example.com/tenant/policy`; the paths
    /// `/oauth2/v2.0/authorize` and `/oauth2/v2.0/token` follow.
    pub login_base: String,
    pub client_id: String,
    /// Exactly as registered with the maker.
    pub redirect_uri: String,
    /// What the owner is asked for at login, separated by spaces; must have `openid` and `offline_access`.
    pub scope: String,
    /// What the API's token is asked for in the exchange, separated by spaces.
    pub exchange_scope: String,
    /// Value of the `appversion` header; the API serves known applications only.
    pub app_version: String,
    /// This installation's own UUID (RFC 9562), the same for ever.
    pub device_id: String,
}

/// Why a configuration is none. Names the member, never its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    #[error("{0} must begin with https://host, or http://host on the loopback interface, without query or fragment")]
    NotABase(&'static str),
    #[error("api_base must have no path")]
    ApiPath,
    #[error("redirect_uri is not a URL without fragment")]
    RedirectUri,
    #[error("{0} is empty or has characters that it cannot have")]
    Name(&'static str),
    #[error("scope must have openid and offline_access: without them there is no refresh token")]
    Scope,
}

/// The checked form that requests are made from.
pub(crate) struct Checked {
    pub api: Url,
    pub login: Url,
    pub config: OnstarConfig,
}

impl Checked {
    pub fn new(config: OnstarConfig) -> Result<Self, ConfigError> {
        let api = base("api_base", &config.api_base)?;
        if api.path() != "/" {
            return Err(ConfigError::ApiPath);
        }
        let login = base("login_base", &config.login_base)?;
        if Url::parse(&config.redirect_uri).ok().is_none_or(|u| u.fragment().is_some()) {
            return Err(ConfigError::RedirectUri);
        }
        for (name, value, spaces) in [
            ("client_id", &config.client_id, false),
            ("scope", &config.scope, true),
            ("exchange_scope", &config.exchange_scope, true),
            ("app_version", &config.app_version, false),
            ("device_id", &config.device_id, false),
        ] {
            let fits = |b: u8| b.is_ascii_graphic() || (spaces && b == b' ');
            if value.is_empty() || value.len() > 512 || !value.bytes().all(fits) {
                return Err(ConfigError::Name(name));
            }
        }
        if ["openid", "offline_access"].iter().any(|needed| !config.scope.split(' ').any(|s| s == *needed)) {
            return Err(ConfigError::Scope);
        }
        Ok(Self { api, login, config })
    }
    pub fn api_url(&self, path: &str) -> Url {
        let mut url = self.api.clone();
        url.set_path(path);
        url
    }
    pub fn login_url(&self, end: &str) -> Url {
        let mut url = self.login.clone();
        url.set_path(&format!("{}/oauth2/v2.0/{end}", self.login.path().trim_end_matches('/')));
        url
    }
}

/// A base address; plain HTTP only where nobody can listen on the way.
fn base(name: &'static str, text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).map_err(|_| ConfigError::NotABase(name))?;
    let bare = url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    let private = match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(url::Host::Domain(d))) => d == "localhost" || d.ends_with(".localhost"),
        ("http", Some(url::Host::Ipv4(ip))) => ip.is_loopback(),
        ("http", Some(url::Host::Ipv6(ip))) => ip.is_loopback(),
        _ => false,
    };
    if bare && anonymous && private { Ok(url) } else { Err(ConfigError::NotABase(name)) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn valid() -> OnstarConfig {
        OnstarConfig {
            api_base: "https://api.example.com".into(),
            login_base: "https://login.example.com/tenant/policy".into(),
            client_id: "11111111-2222-4333-8444-555555555555".into(),
            redirect_uri: "https://wallet.example.org/link/onstar".into(),
            scope: "openid profile offline_access".into(),
            exchange_scope: "onstar user".into(),
            app_version: "parcelshelf-1".into(),
            device_id: "66666666-7777-4888-8999-000000000000".into(),
        }
    }

    #[test]
    fn bases_are_https_or_loopback_and_the_apis_is_an_origin() {
        for (api, good) in [
            ("https://api.example.com", true),
            ("http://127.0.0.1:8481", true),
            ("http://sim.localhost:8481", true),
            ("http://[::1]:8481", true),
            ("http://api.example.com", false),
            ("https://api.example.com/v1", false),
            ("https://api.example.com?x=1", false),
            ("https://user:pass@api.example.com", false),
            ("api.example.com", false),
        ] {
            assert_eq!(Checked::new(OnstarConfig { api_base: api.into(), ..valid() }).is_ok(), good, "{api}");
        }
        let checked = Checked::new(OnstarConfig { login_base: "http://127.0.0.1:1/a/b/".into(), ..valid() }).unwrap();
        assert_eq!(checked.login_url("token").as_str(), "http://127.0.0.1:1/a/b/oauth2/v2.0/token");
    }

    #[test]
    fn names_fit_where_they_go_and_a_login_without_refresh_is_refused() {
        for bad in ["", "with space", "line\nbreak", "ümlaut"] {
            let config = OnstarConfig { client_id: bad.into(), ..valid() };
            assert_eq!(Checked::new(config).err(), Some(ConfigError::Name("client_id")), "{bad:?}");
        }
        let config = OnstarConfig { scope: "openid profile".into(), ..valid() };
        assert_eq!(Checked::new(config).err(), Some(ConfigError::Scope));
    }
}
