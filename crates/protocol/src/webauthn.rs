//! A passkey's assertion (W3C Web Authentication Level 3, §7.2), as far as this protocol needs it: whether the owner,
//! verified by the authenticator on the wallet's own page, confirmed exactly these bytes.

use serde::{Deserialize, Serialize};

use crate::encoding::{Hash, b64, from_b64, sha256};
use crate::json::{self, Members, Object, Value};
use crate::jws::VerifyingKey;
use crate::refused::{Fault, Kind, Refused};

/// Longest credential id (WebAuthn §5.8.3 allows 1,023).
pub const CREDENTIAL_ID_MAX: usize = 1023;
const AUTHENTICATOR_DATA_MIN: usize = 37;
const AUTHENTICATOR_DATA_MAX: usize = 1024;
const CLIENT_DATA_MAX: usize = 2048;
const SIGNATURE_MAX: usize = 72;
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const ATTESTED_CREDENTIAL: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

/// What an authenticator answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Assertion {
    credential_id: Vec<u8>,
    authenticator_data: Vec<u8>,
    client_data_json: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    credential_id: String,
    authenticator_data: String,
    client_data_json: String,
    signature: String,
}
impl From<Assertion> for Wire {
    fn from(a: Assertion) -> Self {
        Self {
            credential_id: b64(a.credential_id),
            authenticator_data: b64(a.authenticator_data),
            client_data_json: b64(a.client_data_json),
            signature: b64(a.signature),
        }
    }
}
impl TryFrom<Wire> for Assertion {
    type Error = Refused;
    fn try_from(w: Wire) -> Result<Self, Refused> {
        let read = |t: &str| from_b64(t).ok_or(no(Fault::WrongMember));
        Self::new(
            read(&w.credential_id)?,
            read(&w.authenticator_data)?,
            read(&w.client_data_json)?,
            read(&w.signature)?,
        )
    }
}

const fn no(fault: Fault) -> Refused {
    Refused::of(Kind::Assertion, fault)
}

impl Assertion {
    /// Takes the four parts of an `AuthenticatorAssertionResponse`; the signature is DER as authenticators make it.
    ///
    /// # Errors
    /// `assertion_wrong_member` when a part is empty or too long.
    pub fn new(
        credential_id: Vec<u8>,
        authenticator_data: Vec<u8>,
        client_data_json: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<Self, Refused> {
        let fits = (1..=CREDENTIAL_ID_MAX).contains(&credential_id.len())
            && (AUTHENTICATOR_DATA_MIN..=AUTHENTICATOR_DATA_MAX).contains(&authenticator_data.len())
            && (1..=CLIENT_DATA_MAX).contains(&client_data_json.len())
            && (8..=SIGNATURE_MAX).contains(&signature.len());
        if fits {
            Ok(Self { credential_id, authenticator_data, client_data_json, signature })
        } else {
            Err(no(Fault::WrongMember))
        }
    }
    /// Reads the JSON object that carries an assertion.
    ///
    /// # Errors
    /// `assertion_…` codes.
    pub fn parse(json: &[u8]) -> Result<Self, Refused> {
        if json.len() > 8 * 1024 {
            return Err(no(Fault::TooLong));
        }
        Self::from_members(json::parse(Kind::Assertion, json)?)
    }
    pub(crate) fn from_members(mut m: Members) -> Result<Self, Refused> {
        let a = Self {
            credential_id: m.bytes("credential_id", 1..=CREDENTIAL_ID_MAX)?,
            authenticator_data: m.bytes("authenticator_data", AUTHENTICATOR_DATA_MIN..=AUTHENTICATOR_DATA_MAX)?,
            client_data_json: m.bytes("client_data_json", 1..=CLIENT_DATA_MAX)?,
            signature: m.bytes("signature", 8..=SIGNATURE_MAX)?,
        };
        m.end()?;
        Ok(a)
    }
    /// The JSON object in its one spelling.
    #[must_use]
    pub fn to_json(&self) -> String {
        Object::new()
            .text("credential_id", b64(&self.credential_id))
            .text("authenticator_data", b64(&self.authenticator_data))
            .text("client_data_json", b64(&self.client_data_json))
            .text("signature", b64(&self.signature))
            .end()
    }
    #[must_use]
    pub fn credential_id(&self) -> &[u8] {
        &self.credential_id
    }
}

/// A registered passkey. ES256 only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    pub credential_id: Vec<u8>,
    pub key: VerifyingKey,
}

/// Whose page may ask a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    /// Exactly the wallet's host.
    pub rp_id: String,
    /// The wallet's origins, such as `https://wallet.example`.
    pub origins: Vec<String>,
}

/// What a passkey confirms to log in at a gateway's front: `H("psh-session-v1", aud ‖ 0 ‖ nonce)`. It gives a session and
/// nothing else: what opens is signed by itself.
#[must_use]
pub fn session_challenge(aud: &str, nonce: &str) -> Hash {
    crate::encoding::domain_hash("psh-session-v1", &[aud.as_bytes(), &[0], nonce.as_bytes()])
}

/// Checks that one of `passkeys` confirmed `challenge` on the wallet's own page, with user verification.
/// Returns the passkey that did.
///
/// # Errors
/// `assertion_…` codes, in the order: credential, client data (form, ceremony, challenge, origin, framing),
/// authenticator data (relying party, presence, verification, form), signature.
pub fn verify<'p>(
    assertion: &Assertion,
    challenge: &Hash,
    passkeys: &'p [Passkey],
    rp: &RelyingParty,
) -> Result<&'p Passkey, Refused> {
    let passkey = passkeys
        .iter()
        .find(|p| p.credential_id == assertion.credential_id)
        .ok_or(Refused::AssertionUnknownCredential)?;
    check_client_data(&assertion.client_data_json, challenge, rp)?;
    check_authenticator_data(&assertion.authenticator_data, rp)?;
    let signature = fixed_signature(&assertion.signature).ok_or(no(Fault::BadSignature))?;
    let mut signed = assertion.authenticator_data.clone();
    signed.extend_from_slice(sha256(&assertion.client_data_json).as_bytes());
    if passkey.key.verifies(&signed, &signature) { Ok(passkey) } else { Err(no(Fault::BadSignature)) }
}

/// Members beyond the known ones are allowed: browsers are told to add some (WebAuthn §5.8.1). `topOrigin` is not: it
/// appears only when the page was framed.
fn check_client_data(json: &[u8], challenge: &Hash, rp: &RelyingParty) -> Result<(), Refused> {
    let mut m = json::parse(Kind::Assertion, json)?;
    m.word("type", "webauthn.get", Refused::AssertionWrongCeremony)?;
    m.word("challenge", &challenge.to_string(), Refused::AssertionWrongChallenge)?;
    let origin = m.raw_text("origin", 1..=CLIENT_DATA_MAX)?;
    if !rp.origins.contains(&origin) {
        return Err(Refused::AssertionWrongOrigin);
    }
    match m.take("crossOrigin") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => return Err(Refused::AssertionCrossOrigin),
        Some(_) => return Err(m.wrong()),
    }
    if m.has("topOrigin") { Err(Refused::AssertionCrossOrigin) } else { Ok(()) }
}

/// `rpIdHash (32) ‖ flags (1) ‖ signCount (4) ‖ extensions`. The counter is not compared: passkeys that are copied
/// between devices keep it at zero.
fn check_authenticator_data(data: &[u8], rp: &RelyingParty) -> Result<(), Refused> {
    if data[..32] != *sha256(&rp.rp_id).as_bytes() {
        return Err(Refused::AssertionWrongRelyingParty);
    }
    let flags = data[32];
    if flags & USER_PRESENT == 0 {
        return Err(Refused::AssertionNoUserPresence);
    }
    if flags & USER_VERIFIED == 0 {
        return Err(Refused::AssertionNoUserVerification);
    }
    let extended = data.len() > AUTHENTICATOR_DATA_MIN;
    if flags & ATTESTED_CREDENTIAL != 0 || extended != (flags & EXTENSIONS != 0) {
        return Err(no(Fault::WrongMember));
    }
    Ok(())
}

/// ECDSA-Sig-Value in DER (RFC 3279 §2.2.3) as r ‖ s; `None` for any but the shortest encoding.
fn fixed_signature(der: &[u8]) -> Option<[u8; 64]> {
    let [0x30, len, body @ ..] = der else { return None };
    if usize::from(*len) != body.len() {
        return None;
    }
    let (r, rest) = integer(body)?;
    let (s, rest) = integer(rest)?;
    if !rest.is_empty() {
        return None;
    }
    let mut out = [0; 64];
    out[..32].copy_from_slice(&r);
    out[32..].copy_from_slice(&s);
    Some(out)
}
/// One positive INTEGER of at most 32 bytes, and what follows it.
fn integer(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [0x02, len, rest @ ..] = der else { return None };
    let (value, rest) = rest.split_at_checked(usize::from(*len))?;
    let digits = match value {
        [0, next, ..] if next & 0x80 != 0 => &value[1..],
        [0, ..] | [] => return None,
        [first, ..] if first & 0x80 != 0 => return None,
        _ => value,
    };
    let mut out = [0; 32];
    out.get_mut(32_usize.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    Some((out, rest))
}

/// Writes r ‖ s as DER, for software authenticators.
#[must_use]
pub fn der_signature(fixed: &[u8; 64]) -> Vec<u8> {
    let mut body = Vec::with_capacity(72);
    for half in [&fixed[..32], &fixed[32..]] {
        let start = half.iter().position(|b| *b != 0).unwrap_or(31);
        let digits = &half[start..];
        let sign = usize::from(digits[0] & 0x80 != 0);
        // At most 33.
        body.extend_from_slice(&[0x02, (digits.len() + sign) as u8]);
        body.extend_from_slice(&[0][..sign]);
        body.extend_from_slice(digits);
    }
    // At most 70.
    let mut out = vec![0x30, body.len() as u8];
    out.extend_from_slice(&body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number of these last bytes.
    fn half(bytes: &[u8]) -> [u8; 32] {
        let mut half = [0; 32];
        half[32 - bytes.len()..].copy_from_slice(bytes);
        half
    }

    #[test]
    fn a_signature_has_one_encoding_and_that_is_the_shortest() {
        let numbers: [&[u8]; 6] = [&[1], &[0x7f], &[0x80], &[1, 0], &[0x80; 32], &[0x7f; 32]];
        for r in numbers {
            for s in numbers {
                let fixed: [u8; 64] = [half(r), half(s)].concat().try_into().unwrap();
                let der = der_signature(&fixed);
                assert_eq!(fixed_signature(&der), Some(fixed));
                // A byte more, or one that says so.
                assert_eq!(fixed_signature(&[&der[..], &[0]].concat()), None);
                assert_eq!(fixed_signature(&[&[0x30, der[1] + 1], &der[2..], &[0]].concat()), None);
                assert_eq!(fixed_signature(&der[..der.len() - 1]), None);
            }
        }
    }

    #[test]
    fn an_integer_is_positive_and_has_no_zero_too_many() {
        for (der, number) in [
            (&[2, 1, 0x7f][..], Some(half(&[0x7f]))),
            (&[2, 2, 0, 0x80], Some(half(&[0x80]))),
            (&[2, 2, 1, 0], Some(half(&[1, 0]))),
            (&[2, 2, 0, 0x7f], None),
            (&[2, 3, 0, 0, 0x80], None),
            (&[2, 1, 0x80], None),
            (&[2, 1, 0xff], None),
            (&[2, 1, 0], None),
            (&[2, 0], None),
            (&[2, 2, 1], None),
            (&[3, 1, 1], None),
            (&[], None),
        ] {
            assert_eq!(integer(der).map(|(n, _)| n), number, "{der:?}");
        }
        let long = [&[2, 33, 0x01][..], &[0; 32]].concat();
        assert_eq!(integer(&long), None, "33 bytes are none of P-256");
        assert_eq!(integer(&[2, 1, 7, 2, 1, 8]).map(|(_, rest)| rest), Some(&[2, 1, 8][..]));
    }

    /// A passkey that says something more says also that it does, and the other way round.
    #[test]
    fn extensions_are_there_exactly_when_they_are_announced() {
        let rp = RelyingParty { rp_id: String::from("wallet.example"), origins: vec![] };
        for (flags, more, good) in [
            (0x05, 0, true),
            (0x05 | EXTENSIONS, 1, true),
            (0x05, 1, false),
            (0x05 | EXTENSIONS, 0, false),
            (0x05 | ATTESTED_CREDENTIAL, 0, false),
        ] {
            let data = [&sha256(&rp.rp_id).as_bytes()[..], &[flags, 0, 0, 0, 0], &vec![0; more]].concat();
            assert_eq!(check_authenticator_data(&data, &rp).is_ok(), good, "{flags:#x} and {more}");
        }
    }
}
