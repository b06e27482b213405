//! Who may ask: authorization codes, rotating refresh tokens, and the exchange into the API's own tokens. Pure: time and
//! random bytes come in.
//!
//! RFC 6749 with PKCE (RFC 7636, S256 only) and no client secret, as an Azure AD B2C tenant runs it for an app; then RFC
//! 8693, which turns the login's access token into one for the API. Both kinds are JWTs that look signed and are not.

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parcelshelf_core::time::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Seconds an authorization code can be exchanged.
pub const CODE_S: i64 = 300;
/// Seconds an access token of the login lives.
pub const LOGIN_S: i64 = 3_600;
/// Seconds an access token of the API lives (`expires_in` of the maker).
pub const API_S: i64 = 1_800;
/// Seconds a refresh token lives; clients take older ones for dead.
pub const REFRESH_S: i64 = 60 * 86_400;
/// Live codes and tokens of each kind; beyond, the dead ones are swept and then the request is refused.
const LIVE_MAX: usize = 50_000;

/// What the login's token endpoint answers on failure (RFC 6749 §5.2), with the tenant's own number in the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub error: &'static str,
    pub description: &'static str,
}
const EXPIRED: Refused = Refused {
    error: "invalid_grant",
    description: "AADB2C90080: The provided grant has expired. Please re-authenticate.",
};
const BUSY: Refused = Refused { error: "temporarily_unavailable", description: "too many live tokens" };

/// What an owner consented to.
#[derive(Clone, Debug)]
pub struct Consent {
    pub client_id: String,
    pub owner: String,
    pub redirect_uri: String,
    pub challenge: String,
}

#[derive(Clone, Debug)]
struct Grant {
    client_id: String,
    owner: String,
}
#[derive(Clone, Debug)]
struct Issued {
    grant: u64,
    expires_at: Timestamp,
}
#[derive(Clone, Debug)]
struct ApiToken {
    issued: Issued,
    vins: BTreeSet<String>,
}

/// Who stands behind a request, and which cars the token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub owner: String,
    pub vins: BTreeSet<String>,
}

/// Fresh tokens of the login. Simulated, so printing them would harm nobody; they do not print all the same.
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
    codes: HashMap<String, (Consent, Timestamp)>,
    grants: HashMap<u64, Grant>,
    login: HashMap<String, Issued>,
    refresh: HashMap<String, Issued>,
    api: HashMap<String, ApiToken>,
    next_grant: u64,
}

impl Identity {
    /// Every token that is known.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.login.keys().chain(self.refresh.keys()).chain(self.api.keys()).map(String::as_str)
    }
    /// A code for this consent, or `None` if too many are live.
    pub fn consented(&mut self, consent: Consent, random: [u8; 32], now: Timestamp) -> Option<String> {
        self.codes.retain(|_, (_, expires_at)| now < *expires_at);
        if self.codes.len() >= LIVE_MAX {
            return None;
        }
        let code = URL_SAFE_NO_PAD.encode(random);
        self.codes.insert(code.clone(), (consent, now.plus_seconds(CODE_S)));
        Some(code)
    }

    /// # Errors
    /// `invalid_grant` for an unknown, used or expired code, another client or redirect address, or a verifier that does
    /// not hash to the challenge. The code is used up in any case.
    pub fn exchange_code(
        &mut self,
        client_id: &str,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
        random: [[u8; 32]; 2],
        now: Timestamp,
    ) -> Result<Pair, Refused> {
        let (consent, expires_at) = self.codes.remove(code).ok_or(EXPIRED)?;
        let ours = consent.client_id == client_id && consent.redirect_uri == redirect_uri;
        if expires_at <= now || !ours || URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) != consent.challenge {
            return Err(EXPIRED);
        }
        self.sweep(now)?;
        self.next_grant += 1;
        self.grants.insert(self.next_grant, Grant { client_id: consent.client_id, owner: consent.owner });
        self.issue(self.next_grant, random, now)
    }

    /// The old refresh token is dead at once, access tokens live to their end.
    ///
    /// # Errors
    /// `invalid_grant` for a refresh token that is unknown, was used, is too old, another client's, or withdrawn.
    pub fn refresh(
        &mut self,
        client_id: &str,
        token: &str,
        random: [[u8; 32]; 2],
        now: Timestamp,
    ) -> Result<Pair, Refused> {
        let issued = self.refresh.get(token).cloned().ok_or(EXPIRED)?;
        let grant = self.grants.get(&issued.grant).ok_or(EXPIRED)?;
        if grant.client_id != client_id || issued.expires_at <= now {
            return Err(EXPIRED);
        }
        self.sweep(now)?;
        self.refresh.remove(token);
        self.issue(issued.grant, random, now)
    }

    /// Whose login this access token proves; `None` if it is unknown, expired or withdrawn.
    #[must_use]
    pub fn logged_in(&self, login_token: &str, now: Timestamp) -> Option<&str> {
        let issued = self.login.get(login_token).filter(|t| now < t.expires_at)?;
        self.grants.get(&issued.grant).map(|g| g.owner.as_str())
    }
    /// A token for the API, for the owner of a live login token. `vins`: the cars it names; `None`: it names no list.
    pub fn exchange_token(
        &mut self,
        login_token: &str,
        vins: Option<BTreeSet<String>>,
        random: [u8; 32],
        now: Timestamp,
    ) -> Option<String> {
        self.sweep(now).ok()?;
        let issued = self.login.get(login_token).filter(|t| now < t.expires_at)?;
        let owner = self.grants.get(&issued.grant)?.owner.clone();
        let mut claims = json!({"uid": owner, "iat": now.unix_seconds(), "exp": now.unix_seconds() + API_S});
        if let Some(vins) = &vins {
            claims["vehs"] = vins.iter().map(|vin| json!({"vin": vin, "per": "owner"})).collect();
        }
        let token = jwt(&claims, random);
        let issued = Issued { grant: issued.grant, expires_at: now.plus_seconds(API_S) };
        self.api.insert(token.clone(), ApiToken { issued, vins: vins.unwrap_or_default() });
        Some(token)
    }
    /// Who stands behind a token of the API; `None` if it is unknown, expired or withdrawn.
    #[must_use]
    pub fn caller(&self, token: &str, now: Timestamp) -> Option<Caller> {
        let token = self.api.get(token).filter(|t| now < t.issued.expires_at)?;
        let grant = self.grants.get(&token.issued.grant)?;
        Some(Caller { owner: grant.owner.clone(), vins: token.vins.clone() })
    }

    /// The owner withdraws every consent. How many there were.
    pub fn revoke(&mut self, owner: &str) -> usize {
        let before = self.grants.len();
        self.grants.retain(|_, g| g.owner != owner);
        self.codes.retain(|_, (c, _)| c.owner != owner);
        before - self.grants.len()
    }

    fn issue(&mut self, grant: u64, random: [[u8; 32]; 2], now: Timestamp) -> Result<Pair, Refused> {
        let granted = self.grants.get(&grant).ok_or(EXPIRED)?;
        let [access, refresh] = random;
        let claims = json!({
            "name": granted.owner,
            "email": granted.owner,
            "aud": granted.client_id,
            "iat": now.unix_seconds(),
            "exp": now.unix_seconds() + LOGIN_S,
        });
        let pair = Pair { access_token: jwt(&claims, access), refresh_token: URL_SAFE_NO_PAD.encode(refresh) };
        self.login.insert(pair.access_token.clone(), Issued { grant, expires_at: now.plus_seconds(LOGIN_S) });
        self.refresh.insert(pair.refresh_token.clone(), Issued { grant, expires_at: now.plus_seconds(REFRESH_S) });
        Ok(pair)
    }
    fn sweep(&mut self, now: Timestamp) -> Result<(), Refused> {
        let full = |s: &Self| [s.login.len(), s.refresh.len(), s.api.len()].into_iter().any(|n| n >= LIVE_MAX);
        if full(self) {
            self.login.retain(|_, t| now < t.expires_at);
            self.refresh.retain(|_, t| now < t.expires_at && self.grants.contains_key(&t.grant));
            self.api.retain(|_, t| now < t.issued.expires_at);
        }
        if full(self) { Err(BUSY) } else { Ok(()) }
    }
}

/// A JWT (RFC 7519) whose third part is random bytes: well formed, and no signature of anybody.
fn jwt(claims: &Value, random: [u8; 32]) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let head = json!({"typ": "JWT", "alg": "RS256", "kid": "simulated"});
    format!("{}.{}.{}", part(&head), part(claims), URL_SAFE_NO_PAD.encode(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_795_446_000 + seconds)
    }
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    /// RFC 7636 appendix B.
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn logged_in(identity: &mut Identity) -> Pair {
        let consent = Consent {
            client_id: "c".into(),
            owner: "o@example.org".into(),
            redirect_uri: "r".into(),
            challenge: CHALLENGE.into(),
        };
        let code = identity.consented(consent, [1; 32], at(0)).unwrap();
        identity.exchange_code("c", &code, "r", VERIFIER, [[2; 32], [3; 32]], at(0)).unwrap()
    }

    #[test]
    fn refreshing_kills_the_old_token() {
        let mut identity = Identity::default();
        let first = logged_in(&mut identity);
        let second = identity.refresh("c", &first.refresh_token, [[4; 32], [5; 32]], at(1)).unwrap();
        assert_eq!(identity.refresh("c", &first.refresh_token, [[6; 32], [7; 32]], at(2)).err(), Some(EXPIRED));
        assert_eq!(identity.refresh("d", &second.refresh_token, [[6; 32], [7; 32]], at(2)).err(), Some(EXPIRED));
        let late = identity.refresh("c", &second.refresh_token, [[6; 32], [7; 32]], at(1 + REFRESH_S));
        assert_eq!(late.err(), Some(EXPIRED));
    }

    #[test]
    fn the_api_takes_its_own_tokens_only_and_they_name_cars() {
        let mut identity = Identity::default();
        let pair = logged_in(&mut identity);
        assert_eq!(identity.caller(&pair.access_token, at(1)), None);
        let vins = BTreeSet::from(["V".to_owned()]);
        let token = identity.exchange_token(&pair.access_token, Some(vins.clone()), [9; 32], at(1)).unwrap();
        assert_eq!(identity.caller(&token, at(2)), Some(Caller { owner: "o@example.org".into(), vins }));
        assert_eq!(identity.caller(&token, at(1 + API_S)), None);
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!((&claims["uid"], &claims["vehs"][0]["vin"]), (&json!("o@example.org"), &json!("V")));
        assert_eq!(identity.exchange_token(&pair.refresh_token, None, [9; 32], at(1)), None);
    }

    #[test]
    fn a_withdrawn_consent_ends_everything_at_once() {
        let mut identity = Identity::default();
        let pair = logged_in(&mut identity);
        let token = identity.exchange_token(&pair.access_token, None, [9; 32], at(1)).unwrap();
        assert_eq!(identity.revoke("o@example.org"), 1);
        assert_eq!(identity.caller(&token, at(2)), None);
        assert!(identity.exchange_token(&pair.access_token, None, [9; 32], at(2)).is_none());
        assert!(identity.refresh("c", &pair.refresh_token, [[4; 32], [5; 32]], at(2)).is_err());
    }
}
