//! The identity provider behind the cloud: codes, rotating refresh tokens, scopes. Pure: time and random bytes come in.
//!
//! RFC 6749 (authorization code, refresh; no PKCE), with the lifetimes that the vendor's clients know.

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parcelshelf_core::time::Timestamp;

/// Seconds an authorization code can be exchanged.
pub const CODE_S: i64 = 60;
/// Seconds an access token lives.
pub const ACCESS_S: i64 = 7_200;
/// Seconds an unused refresh token lives: sixty days.
pub const REFRESH_S: i64 = 60 * 86_400;
/// Live codes and tokens of each kind; beyond, the dead ones are swept and then the request is refused.
const LIVE_MAX: usize = 50_000;

/// The permissions that the simulated endpoints ask for.
pub const SCOPES: [&str; 5] = ["read_vehicle_info", "read_vin", "read_location", "read_security", "control_security"];

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

#[derive(Clone, Debug)]
struct Code {
    client_id: String,
    owner: String,
    redirect_uri: String,
    scopes: Scopes,
    expires_at: Timestamp,
}

#[derive(Clone, Debug)]
struct Grant {
    client_id: String,
    owner: String,
    scopes: Scopes,
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
    pub scopes: Scopes,
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
        let code = URL_SAFE_NO_PAD.encode(random);
        let Consent { client_id, owner, redirect_uri, scopes } = consent;
        let expires_at = now.plus_seconds(CODE_S);
        self.codes.insert(code.clone(), Code { client_id, owner, redirect_uri, scopes, expires_at });
        Some(code)
    }

    /// # Errors
    /// `invalid_grant` for an unknown, used or expired code, another client or redirect address. The code is used up in any
    /// case.
    pub fn exchange(
        &mut self,
        client_id: &str,
        code: &str,
        redirect_uri: &str,
        random: [[u8; 32]; 2],
        now: Timestamp,
    ) -> Result<Pair, Refused> {
        let code = self.codes.remove(code).ok_or(invalid_grant("unknown or used code"))?;
        if code.expires_at <= now || code.client_id != client_id || code.redirect_uri != redirect_uri {
            return Err(invalid_grant("the code is expired or was made for another client or redirect_uri"));
        }
        self.sweep(now)?;
        self.next_grant += 1;
        let grant = self.next_grant;
        self.grants.insert(grant, Grant { client_id: code.client_id, owner: code.owner, scopes: code.scopes });
        self.issue(grant, random, now)
    }

    /// The old refresh token is dead at once, the old access token lives to its end.
    ///
    /// # Errors
    /// `invalid_grant` for a refresh token that is unknown, was used, is older than sixty days, another client's, or whose
    /// grant was revoked.
    pub fn refresh(
        &mut self,
        client_id: &str,
        token: &str,
        random: [[u8; 32]; 2],
        now: Timestamp,
    ) -> Result<Pair, Refused> {
        let issued = self.refresh.get(token).cloned().ok_or(invalid_grant("unknown or used refresh token"))?;
        let grant = self.grants.get(&issued.grant).ok_or(invalid_grant("the consent was withdrawn"))?;
        if grant.client_id != client_id {
            return Err(invalid_grant("the refresh token belongs to another client"));
        }
        if issued.expires_at <= now {
            return Err(invalid_grant("the refresh token has expired"));
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
        if !self.grants.contains_key(&grant) {
            return Err(invalid_grant("the consent was withdrawn"));
        }
        let [access_token, refresh_token] = random.map(|r| URL_SAFE_NO_PAD.encode(r));
        self.access.insert(access_token.clone(), Issued { grant, expires_at: now.plus_seconds(ACCESS_S) });
        self.refresh.insert(refresh_token.clone(), Issued { grant, expires_at: now.plus_seconds(REFRESH_S) });
        Ok(Pair { access_token, refresh_token })
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

    fn consented(identity: &mut Identity) -> String {
        let scopes = ["read_vin".to_owned()].into();
        let consent = Consent { client_id: "c".into(), owner: "o".into(), redirect_uri: "r".into(), scopes };
        identity.consented(consent, [1; 32], at(0)).unwrap()
    }

    #[test]
    fn a_code_works_once_for_its_client_and_address() {
        for (client, redirect, seconds, works) in
            [("c", "r", 59, true), ("c", "r", 60, false), ("d", "r", 0, false), ("c", "s", 0, false)]
        {
            let mut identity = Identity::default();
            let code = consented(&mut identity);
            let first = identity.exchange(client, &code, redirect, random(2), at(seconds));
            assert_eq!(first.is_ok(), works, "{client} {redirect} {seconds}");
            assert!(identity.exchange("c", &code, "r", random(3), at(0)).is_err(), "never twice");
        }
    }

    #[test]
    fn refreshing_kills_the_old_token_and_sixty_idle_days_kill_any() {
        let mut identity = Identity::default();
        let code = consented(&mut identity);
        let first = identity.exchange("c", &code, "r", random(2), at(0)).unwrap();
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
        let pair = identity.exchange("c", &code, "r", random(2), at(0)).unwrap();
        assert_eq!(identity.revoke("o"), 1);
        assert!(identity.caller(&pair.access_token, at(1)).is_none());
        assert!(identity.refresh("c", &pair.refresh_token, random(3), at(1)).is_err());
    }
}
