//! A keyholder's configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use parcelshelf_opening::possession::WAIT_HOURS;
use parcelshelf_protocol::jws::VerifyingKey;
use serde::{Deserialize, Serialize};

/// Parsed once at start; nothing deeper reads files or the environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This keyholder's name in every token: an origin such as `https://gateway.example`.
    pub aud: String,
    /// The Unix socket that the front speaks to.
    pub socket: PathBuf,
    /// Stores: `keyholder.db`, and `keyholder-keys.db`, which no backup may hold.
    pub data_dir: PathBuf,
    /// Key files, readable by this process only.
    pub key_dir: PathBuf,
    /// The wallet's host: the relying party of every passkey.
    pub rp_id: String,
    /// The wallet's origin.
    pub wallet_origin: String,
    /// The stop page's origin. Without it nothing is logged of what that host shows, and an audit complains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_origin: Option<String>,
    /// The log's name, such as `gateway.example/log`.
    pub log_origin: String,
    /// The operator's public key, which admits carriers.
    pub operator: Jwk,
    /// Public keys of more people who release a stopped carrier and revoke keys; the operator's own counts as one. Two
    /// different people release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Jwk>,
    /// ISO 3166-1 alpha-2 of the country whose cars are linked here; decides whether a maker serves it.
    pub country: String,
    /// The same for one maker's cars, by the maker's short name, where it is another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub country_of: BTreeMap<String, String>,
    /// How long an owner waits whose car reports no doors to prove possession by. Shorter than the default only where no
    /// car is real.
    #[serde(default = "wait")]
    pub possession_wait_hours: u32,
    /// Who cosigns the log's checkpoints.
    #[serde(default, skip_serializing_if = "LogConfig::is_empty")]
    pub log: LogConfig,
    /// How long what is kept. docs/retention.md explains every class.
    #[serde(default)]
    pub retention: Retention,
    #[serde(default = "info")]
    pub log_level: String,
}

/// Deadlines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// A delivery with its records, after the end of its grant: long enough for a dispute about a parcel or a scratch.
    pub deliveries_days: u32,
    /// Pictures of what happened behind a front door, after the opening that they are of.
    pub recordings_days: u32,
    /// Codes and random ids.
    pub journal_days: u32,
    /// No backup is kept for longer. So long the names of what was erased are remembered, to erase it again in a restored one.
    pub backups_days: u32,
}
impl Default for Retention {
    fn default() -> Self {
        Self { deliveries_days: 365, recordings_days: 90, journal_days: 400, backups_days: 400 }
    }
}

/// Witnesses of the log. Without any, nobody notices a restored backup or a second history.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    #[serde(default)]
    pub witnesses: Vec<WitnessConfig>,
    /// How many of them must have cosigned before a checkpoint counts as published, and must have answered before
    /// anything is located or opened after a start.
    #[serde(default = "one")]
    pub quorum: u8,
    /// Grows the log at a constant rate. For gateways of fewer than a thousand wallets: the growth of a small log would be a
    /// diary of its owners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<PaddingConfig>,
}
impl Default for LogConfig {
    fn default() -> Self {
        Self { witnesses: Vec::new(), quorum: one(), padding: None }
    }
}
impl LogConfig {
    fn is_empty(&self) -> bool {
        self.witnesses.is_empty() && self.padding.is_none()
    }
}
/// So many leaves in every so many seconds, whatever happens: what is missing is made up, what is too much waits.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaddingConfig {
    /// 1 to 3,600.
    pub every_s: u32,
    /// 1 to 200. A delivery makes about fifteen; a bundle is ready once its last is in.
    pub leaves: u32,
}
impl PaddingConfig {
    /// What a new gateway starts with: 5,760 leaves a day, some 200 MB a year.
    pub const SMALL: Self = Self { every_s: 60, leaves: 4 };

    /// # Errors
    /// A text that says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        if (1..=3_600).contains(&self.every_s) && (1..=200).contains(&self.leaves) {
            Ok(())
        } else {
            Err(String::from("log.padding: 1 to 200 leaves every 1 to 3600 seconds"))
        }
    }
}
const fn one() -> u8 {
    1
}

/// One witness, as `parcelshelf witness init` prints it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Its address, to which `/add-checkpoint` is added.
    pub url: String,
    /// Its verifier key, `NAME+HASH+KEY`.
    pub key: String,
}

const fn wait() -> u32 {
    WAIT_HOURS
}
fn info() -> String {
    String::from("info")
}

/// A public key as a JSON Web Key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwk {
    pub crv: String,
    pub kty: String,
    pub x: String,
    pub y: String,
}

impl Jwk {
    /// The key itself.
    ///
    /// # Errors
    /// A text that says what is wrong.
    pub fn key(&self) -> Result<VerifyingKey, String> {
        let json = serde_json::to_vec(self).map_err(|e| e.to_string())?;
        VerifyingKey::parse_jwk(&json).map_err(|e| e.code().to_owned())
    }
    /// From a key.
    ///
    /// # Panics
    /// Never: a key writes the four members that this type has.
    #[must_use]
    pub fn of(key: &VerifyingKey) -> Self {
        serde_json::from_str(&key.to_jwk()).expect("a P-256 key has crv, kty, x and y")
    }
}
