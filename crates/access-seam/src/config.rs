//! Where the cloud is, and which of its devices are our doors. Nothing here has a default.

use std::collections::HashSet;

use parcelshelf_core::vehicle::Vin;
use url::Url;

/// One owner has no more.
const DOORS_MAX: usize = 16;
const ID_BYTES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 100;

/// One workspace and its doors.
#[derive(Debug, Clone)]
pub struct SeamConfig {
    /// Origin of the API, such as `https://connect.getseam.com`; `http` on the loopback interface only.
    pub api_base: String,
    /// Where the owner makes an API key: linking sends the browser there. The cloud has no login that gives one back.
    pub console_url: String,
    pub doors: Vec<Door>,
}

/// One door with one lock.
#[derive(Debug, Clone)]
pub struct Door {
    /// Seventeen characters like a VIN, of the operator's choice, that begin with `0`: no car's number does (ISO 3780 gives
    /// that region to nobody). Decision 18 says why a door has one.
    pub number: Vin,
    pub name: String,
    /// The cloud's id of the lock.
    pub device_id: String,
}

/// Why a configuration is none. Names the member, never its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    #[error(
        "api_base must be an origin: https://host, or http://host on the loopback interface, and nothing behind it"
    )]
    NotAnOrigin,
    #[error("console_url must be an https address, or http on the loopback interface")]
    Console,
    #[error("there must be between 1 and 16 doors")]
    HowMany,
    #[error("a door's number always begins with 0")]
    Number,
    #[error("two doors have the same number or device")]
    Twice,
    #[error("{0} is empty, too long or has characters that it cannot have")]
    Text(&'static str),
}

/// The checked form that requests are made from.
#[derive(Debug)]
pub(crate) struct Checked {
    pub api: Url,
    pub console: Url,
    pub doors: Vec<Door>,
}

impl Checked {
    pub fn new(config: SeamConfig) -> Result<Self, ConfigError> {
        let bare = |u: &Url| u.path() == "/" && u.query().is_none() && u.fragment().is_none();
        let api = safe(&config.api_base).filter(bare).ok_or(ConfigError::NotAnOrigin)?;
        let console = safe(&config.console_url).ok_or(ConfigError::Console)?;
        if config.doors.is_empty() || config.doors.len() > DOORS_MAX {
            return Err(ConfigError::HowMany);
        }
        for door in &config.doors {
            if !door.number.expose().starts_with('0') {
                return Err(ConfigError::Number);
            }
            if door.name.trim().is_empty()
                || door.name.len() > TEXT_BYTES_MAX
                || door.name.chars().any(char::is_control)
            {
                return Err(ConfigError::Text("name"));
            }
            if !is_id(&door.device_id) {
                return Err(ConfigError::Text("device_id"));
            }
        }
        let numbers: HashSet<_> = config.doors.iter().map(|d| &d.number).collect();
        let devices: HashSet<_> = config.doors.iter().map(|d| &d.device_id).collect();
        if numbers.len() != config.doors.len() || devices.len() != config.doors.len() {
            return Err(ConfigError::Twice);
        }
        Ok(Self { api, console, doors: config.doors })
    }
    pub fn door(&self, number: &Vin) -> Option<&Door> {
        self.doors.iter().find(|d| d.number == *number)
    }
    /// An address with at most one parameter.
    pub fn url(&self, path: &str, parameter: Option<(&str, &str)>) -> Url {
        let mut url = self.api.clone();
        url.set_path(path);
        if let Some((name, value)) = parameter {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }
}

/// An id of this cloud: a UUID, or a word of the vendor's own stand-in.
pub(crate) fn is_id(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !text.is_empty() && text.len() <= ID_BYTES_MAX && text.bytes().all(fits)
}
/// An address; plain HTTP only where nobody can listen on the way.
fn safe(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let anonymous = url.username().is_empty() && url.password().is_none();
    let private = match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(url::Host::Domain(d))) => d == "localhost" || d.ends_with(".localhost"),
        ("http", Some(url::Host::Ipv4(ip))) => ip.is_loopback(),
        ("http", Some(url::Host::Ipv6(ip))) => ip.is_loopback(),
        _ => false,
    };
    (anonymous && private).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Door {
        let number = Vin::parse("0HALLWAY000000001").unwrap();
        Door { number, name: "Hallway".into(), device_id: "0b5a1a3e-6f1f-4a44-9c3f-000000000001".into() }
    }
    fn refused(change: impl FnOnce(&mut SeamConfig)) -> Option<ConfigError> {
        let mut config = SeamConfig {
            api_base: "https://connect.example.com".into(),
            console_url: "https://console.example.com/keys".into(),
            doors: vec![door()],
        };
        change(&mut config);
        Checked::new(config).err()
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        assert_eq!(refused(|_| {}), None);
        for base in ["http://connect.example.com", "https://connect.example.com/v1", "https://u:p@x.example", "x"] {
            assert_eq!(refused(|c| c.api_base = base.into()), Some(ConfigError::NotAnOrigin), "{base}");
        }
        assert_eq!(refused(|c| c.console_url = "ftp://x".into()), Some(ConfigError::Console));
        assert_eq!(refused(|c| c.doors.clear()), Some(ConfigError::HowMany));
        assert_eq!(refused(|c| c.doors.push(door())), Some(ConfigError::Twice));
        let car = Vin::parse("1M8GDM9AXKP042788").unwrap();
        assert_eq!(refused(|c| c.doors[0].number = car), Some(ConfigError::Number), "a door is no car");
        for id in ["", "a b", "a/b", "a&b=c", "ä", &"a".repeat(65)] {
            assert_eq!(refused(|c| c.doors[0].device_id = id.into()), Some(ConfigError::Text("device_id")), "{id}");
        }
    }
}
