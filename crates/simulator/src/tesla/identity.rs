//! The identity provider behind the cloud: codes, rotating refresh tokens, scopes. Pure: time and random bytes come in.
//!
//! RFC 6749 (authorization code, refresh) with a client secret; RFC 7636 where the client brings a challenge. A code's first
//! letters name the region of the owner's account.

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parcelshelf_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

/// Seconds an authorization code can be exchanged.
pub const CODE_S: i64 = 300;
/// Seconds an access token lives (`expires_in` of the maker).
pub const ACCESS_S: i64 = 28_800;
/// Seconds an unused refresh token lives: about three months.
pub const REFRESH_S: i64 = 90 * 86_400;
/// Live codes and tokens of each kind; beyond, the dead ones are swept and then the request is refused.
const LIVE_MAX: usize = 50_000;

/// Every scope of the API's published list.
pub const SCOPES: [&str; 8] = [
    "openid",
    "offline_access",
    "user_data",
    "vehicle_device_data",
    "vehicle_location",
    "vehicle_cmds",
    "vehicle_charging_cmds",
    "energy_device_data",
];

pub type Scopes = BTreeSet<String>;

/// What the token endpoint answers on failure (RFC 6749 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub error: &'static str,
    pub description: &'static str,
}
const fn invalid_grant(description: &'static str) -> Refused {
    Refused { error: "invalid_grant", description }
}
const LOGIN_REQUIRED: Refused =
    Refused { error: "login_required", description: "The refresh token is expired or revoked." };

#[derive(Clone, Debug)]
struct Code {
    client_id: String,
    owner: String,
    redirect_uri: String,
    challenge: Option<String>,
    scopes: Scopes,
    reduced: bool,
    expires_at: Timestamp,
}

#[derive(Clone, Debug)]
struct Grant {
    client_id: String,
    owner: String,
    scopes: Scopes,
    reduced: bool,
}

#[derive(Clone, Debug)]
struct Issued {
    grant: u64,
    expires_at: Timestamp,
}

/// Who stands behind a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub client_id: String,
    pub owner: String,
    pub scopes: Scopes,
}

/// A pair of fresh tokens. Simulated, so printing them would harm nobody; they do not print all the same.
#[derive(Clone)]
pub struct Pair {
    pub access_token: String,
    pub refresh_token: String,
    /// The scopes, if the owner gave fewer than were asked for (RFC 6749 §5.1).
    pub scope: Option<String>,
}
impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pair(<redacted>)")
    }
}

#[derive(Debug, Default)]
pub struct Identity {
    codes: HashMap<String, Code>,
    grants: HashMap<u64, Grant>,
    access: HashMap<String, Issued>,
    refresh: HashMap<String, Issued>,
    next_grant: u64,
}

/// What an owner consented to, before a code is made for it.
#[derive(Clone, Debug)]
pub struct Consent {
    pub client_id: String,
    pub owner: String,
    pub redirect_uri: String,
    pub challenge: Option<String>,
    /// Of the account: `NA`, `EU`.
    pub region: String,
    pub scopes: Scopes,
    /// The owner gave fewer than were asked for.
    pub reduced: bool,
}

impl Identity {
    /// Every token that is known.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.access.keys().chain(self.refresh.keys()).map(String::as_str)
    }
    /// A code for this consent, or `None` if too many are live.
    pub fn consented(&mut self, consent: Consent, random: [u8; 32], now: Timestamp) -> Option<String> {
        self.codes.retain(|_, c| now < c.expires_at);
        if self.codes.len() >= LIVE_MAX {
            return None;
        }
        let Consent { client_id, owner, redirect_uri, challenge, region, scopes, reduced } = consent;
        let code = format!("{region}_{}", URL_SAFE_NO_PAD.encode(random));
        let expires_at = now.plus_seconds(CODE_S);
        self.codes
            .insert(code.clone(), Code { client_id, owner, redirect_uri, challenge, scopes, reduced, expires_at });
        Some(code)
    }

    /// # Errors
    /// `invalid_grant` for an unknown, used or expired code, another client or redirect address, or a verifier that does
    /// not hash to the challenge. The code is used up in any case.
    pub fn exchange(
        &mut self,
        client_id: &str,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
        random: [[u8; 32]; 2],
        now: Timestamp,
    ) -> Result<Pair, Refused> {
        let code = self.codes.remove(code).ok_or(invalid_grant("unknown or used code"))?;
        if code.expires_at <= now || code.client_id != client_id || code.redirect_uri != redirect_uri {
            return Err(invalid_grant("the code is expired or was made for another client or redirect_uri"));
        }
        let hashed = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        if code.challenge.is_some_and(|challenge| challenge != hashed) {
            return Err(invalid_grant("code_verifier does not match code_challenge"));
        }
        self.sweep(now)?;
        self.next_grant += 1;
        let grant = self.next_grant;
        self.grants.insert(
            grant,
            Grant { client_id: code.client_id, owner: code.owner, scopes: code.scopes, reduced: code.reduced },
        );
        self.issue(grant, random, now)
    }

    /// The old refresh token is dead at once, the old access token lives to its end.
    ///
    /// # Errors
    /// `login_required` for a refresh token that is unknown, was used, is too old, another client's, or whose grant was
    /// revoked.
    pub fn refresh(
        &mut self,
        client_id: &str,
        token: &str,
        random: [[u8; 32]; 2],
        now: Timestamp,
    ) -> Result<Pair, Refused> {
        let issued = self.refresh.get(token).cloned().ok_or(LOGIN_REQUIRED)?;
        let grant = self.grants.get(&issued.grant).ok_or(LOGIN_REQUIRED)?;
        if grant.client_id != client_id || issued.expires_at <= now {
            return Err(LOGIN_REQUIRED);
        }
        self.sweep(now)?;
        self.refresh.remove(token);
        self.issue(issued.grant, random, now)
    }

    /// Who stands behind an access token; `None` if it is unknown, expired or revoked.
    #[must_use]
    pub fn caller(&self, access_token: &str, now: Timestamp) -> Option<Caller> {
        let issued = self.access.get(access_token).filter(|t| now < t.expires_at)?;
        let grant = self.grants.get(&issued.grant)?;
        Some(Caller { client_id: grant.client_id.clone(), owner: grant.owner.clone(), scopes: grant.scopes.clone() })
    }

    /// The owner withdraws every consent. How many there were.
    pub fn revoke(&mut self, owner: &str) -> usize {
        let before = self.grants.len();
        self.grants.retain(|_, g| g.owner != owner);
        self.codes.retain(|_, c| c.owner != owner);
        before - self.grants.len()
    }

    fn issue(&mut self, grant: u64, random: [[u8; 32]; 2], now: Timestamp) -> Result<Pair, Refused> {
        let granted = self.grants.get(&grant).ok_or(LOGIN_REQUIRED)?;
        let scope = granted.reduced.then(|| granted.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
        let [access_token, refresh_token] = random.map(|r| URL_SAFE_NO_PAD.encode(r));
        self.access.insert(access_token.clone(), Issued { grant, expires_at: now.plus_seconds(ACCESS_S) });
        self.refresh.insert(refresh_token.clone(), Issued { grant, expires_at: now.plus_seconds(REFRESH_S) });
        Ok(Pair { access_token, refresh_token, scope })
    }
    fn sweep(&mut self, now: Timestamp) -> Result<(), Refused> {
        if self.access.len() < LIVE_MAX && self.refresh.len() < LIVE_MAX {
            return Ok(());
        }
        self.access.retain(|_, t| now < t.expires_at);
        self.refresh.retain(|_, t| now < t.expires_at && self.grants.contains_key(&t.grant));
        if self.access.len() < LIVE_MAX && self.refresh.len() < LIVE_MAX {
            Ok(())
        } else {
            Err(Refused { error: "temporarily_unavailable", description: "too many live tokens" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(n: u8) -> [[u8; 32]; 2] {
        [[n; 32], [n + 100; 32]]
    }
    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_795_446_000 + seconds)
    }
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    /// RFC 7636 appendix B.
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn consented(identity: &mut Identity) -> String {
        let consent = Consent {
            client_id: "c".into(),
            owner: "o".into(),
            redirect_uri: "r".into(),
            challenge: Some(CHALLENGE.into()),
            region: "EU".into(),
            scopes: ["openid".to_owned()].into(),
            reduced: false,
        };
        identity.consented(consent, [1; 32], at(0)).unwrap()
    }

    #[test]
    fn a_code_works_once_for_its_client_address_and_verifier() {
        for (client, redirect, verifier, seconds, works) in [
            ("c", "r", VERIFIER, 299, true),
            ("c", "r", VERIFIER, 300, false),
            ("d", "r", VERIFIER, 0, false),
            ("c", "s", VERIFIER, 0, false),
            ("c", "r", CHALLENGE, 0, false),
            ("c", "r", "", 0, false),
        ] {
            let mut identity = Identity::default();
            let code = consented(&mut identity);
            assert!(code.starts_with("EU_"), "a code tells the region of the account");
            let first = identity.exchange(client, &code, redirect, verifier, random(2), at(seconds));
            assert_eq!(first.is_ok(), works, "{client} {redirect} {verifier} {seconds}");
            assert!(identity.exchange("c", &code, "r", VERIFIER, random(3), at(0)).is_err(), "never twice");
        }
    }

    #[test]
    fn refreshing_kills_the_old_token_and_three_idle_months_kill_any() {
        let mut identity = Identity::default();
        let code = consented(&mut identity);
        let first = identity.exchange("c", &code, "r", VERIFIER, random(2), at(0)).unwrap();
        assert!(identity.refresh("d", &first.refresh_token, random(9), at(1)).is_err(), "another client's");
        let second = identity.refresh("c", &first.refresh_token, random(3), at(1)).unwrap();
        assert!(identity.refresh("c", &first.refresh_token, random(4), at(2)).is_err());
        assert!(identity.caller(&first.access_token, at(2)).is_some(), "access tokens live to their end");
        assert!(identity.caller(&second.access_token, at(1 + ACCESS_S)).is_none());
        assert!(identity.refresh("c", &second.refresh_token, random(5), at(1 + REFRESH_S)).is_err());
        assert!(identity.refresh("c", &second.refresh_token, random(5), at(REFRESH_S)).is_ok());
    }

    #[test]
    fn a_withdrawn_consent_ends_everything_at_once() {
        let mut identity = Identity::default();
        let code = consented(&mut identity);
        let pair = identity.exchange("c", &code, "r", VERIFIER, random(2), at(0)).unwrap();
        assert_eq!(identity.revoke("o"), 1);
        assert!(identity.caller(&pair.access_token, at(1)).is_none());
        assert!(identity.refresh("c", &pair.refresh_token, random(3), at(1)).is_err());
    }
}
