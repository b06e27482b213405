//! The cryptography of signed commands: one static P-256 key of the application, one of each car, a shared key between them,
//! and HMAC tags over what is commanded and until when. Pure.
//!
//! aws-lc-rs does all of it: its ECDH takes a static private key, which is what this protocol has on both sides. SHA-1 stands
//! where the protocol has it, to derive a key from a shared secret, and nowhere else.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;

use super::proto::{Message, NotAMessage};

/// An uncompressed point.
pub(crate) const POINT_BYTES: usize = 65;
/// Longer key files are none.
const PEM_BYTES_MAX: usize = 8 * 1024;
/// A signed command is refused by the car so many seconds after it was signed: a reading before it and the car's own ten
/// seconds fit in.
pub(crate) const EXPIRES_S: u32 = 30;

/// The application's key. Does not print.
pub(crate) struct CommandKey {
    private: PrivateKey,
    public: [u8; POINT_BYTES],
}
impl std::fmt::Debug for CommandKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CommandKey(<redacted>)")
    }
}
impl CommandKey {
    /// From PEM: SEC 1 (`EC PRIVATE KEY`) or PKCS #8 (`PRIVATE KEY`). `None` for anything else.
    pub fn from_pem(text: &str) -> Option<Self> {
        if text.len() > PEM_BYTES_MAX {
            return None;
        }
        let (_, after) = text.split_once("PRIVATE KEY-----")?;
        let (body, _) = after.split_once("-----END")?;
        let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let der = STANDARD.decode(body).ok()?;
        Self::of(PrivateKey::from_private_key_der(&ECDH_P256, &der).ok()?)
    }
    #[cfg(test)]
    pub fn from_scalar(scalar: &[u8; 32]) -> Option<Self> {
        Self::of(PrivateKey::from_private_key(&ECDH_P256, scalar).ok()?)
    }
    fn of(private: PrivateKey) -> Option<Self> {
        let public = private.compute_public_key().ok()?;
        let public = public.as_ref().try_into().ok()?;
        Some(Self { private, public })
    }
    pub const fn public(&self) -> &[u8; POINT_BYTES] {
        &self.public
    }
    /// The keys shared with a car. `None` if its point is none.
    fn shared_with(&self, car: &[u8]) -> Option<Keys> {
        if car.len() != POINT_BYTES || car[0] != 4 {
            return None;
        }
        let derived = agree(&self.private, UnparsedPublicKey::new(&ECDH_P256, car), (), |x| {
            let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, x);
            let shared = hmac::Key::new(hmac::HMAC_SHA256, &hash.as_ref()[..16]);
            let derive = |label: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&shared, label).as_ref());
            Ok(Keys { info: derive(b"session info"), command: derive(b"authenticated command") })
        });
        derived.ok()
    }
}

/// Two keys of one pair of application and car.
#[derive(Clone)]
struct Keys {
    info: hmac::Key,
    command: hmac::Key,
}

/// Domains of a car.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Domain {
    /// Locks and lids.
    VehicleSecurity,
    /// Lights and horn.
    Infotainment,
}
impl Domain {
    pub const fn number(self) -> u8 {
        match self {
            Self::VehicleSecurity => 2,
            Self::Infotainment => 3,
        }
    }
}

/// Tag, length, value: what a tag of the protocol is calculated over, before the content.
#[derive(Default)]
struct Metadata(Vec<u8>);
impl Metadata {
    fn with(mut self, tag: u8, value: &[u8]) -> Self {
        self.0.push(tag);
        // Every value here is a number, a VIN, an epoch or a UUID: at most 32 bytes, as its reader has checked.
        self.0.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
        self.0.extend_from_slice(value);
        self
    }
    fn ended(mut self, content: &[u8]) -> Vec<u8> {
        self.0.push(0xff);
        self.0.extend_from_slice(content);
        self.0
    }
}

/// Why session info was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSession {
    /// The car does not know our key: the owner has not enrolled it, or has removed it.
    KeyUnknown,
    /// Not what a car says, or not by the car that holds the key, or older than what is known.
    NotBelieved,
}
impl From<NotAMessage> for NoSession {
    fn from(_: NotAMessage) -> Self {
        Self::NotBelieved
    }
}

/// What is needed to sign for one domain of one car. Does not print.
#[derive(Clone)]
pub(crate) struct Session {
    keys: Keys,
    epoch: [u8; 16],
    counter: u32,
    /// The car's clock, whole seconds since its epoch began, at that moment of ours.
    clock_s: u32,
    at: Timestamp,
}
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(<redacted>)")
    }
}

/// A counter, an end and a tag: what goes beside a command.
pub(crate) struct Tagged {
    pub epoch: [u8; 16],
    pub counter: u32,
    /// By the car's clock.
    pub expires_at_s: u32,
    pub tag: Vec<u8>,
}

impl Session {
    /// Session info as the car gave it in answer to the request `uuid`, if its tag holds. `now`: when it arrived, so that the
    /// car's clock is never taken to be ahead of what it is.
    pub fn opened(
        key: &CommandKey,
        vin: &Vin,
        uuid: &[u8; 16],
        info: &[u8],
        tag: &[u8],
        now: Timestamp,
    ) -> Result<Self, NoSession> {
        let message = Message::parse(info)?;
        match message.number(5)? {
            0 => {}
            1 => return Err(NoSession::KeyUnknown),
            _ => return Err(NoSession::NotBelieved),
        }
        let car = message.bytes(2)?.ok_or(NoSession::NotBelieved)?;
        let keys = key.shared_with(car).ok_or(NoSession::NotBelieved)?;
        let told = Metadata::default().with(0, &[6]).with(2, vin.expose().as_bytes()).with(6, uuid).ended(info);
        hmac::verify(&keys.info, &told, tag).map_err(|_| NoSession::NotBelieved)?;
        let epoch = message.bytes(3)?.and_then(|e| e.try_into().ok()).ok_or(NoSession::NotBelieved)?;
        Ok(Self { keys, epoch, counter: message.number(1)?, clock_s: message.fixed32(4)?, at: now })
    }
    /// This, or what was known before: within an epoch no clock runs backwards and no counter is used twice.
    pub fn after(self, before: Option<&Self>) -> Result<Self, NoSession> {
        match before.filter(|b| b.epoch == self.epoch) {
            Some(before) if self.clock_s < before.clock_s => Err(NoSession::NotBelieved),
            Some(before) => Ok(Self { counter: self.counter.max(before.counter), ..self }),
            None => Ok(self),
        }
    }
    /// Uses up one counter. `None`: there is none left, or the car's clock would overflow.
    pub fn tag(&mut self, domain: Domain, vin: &Vin, payload: &[u8], now: Timestamp) -> Option<Tagged> {
        let counter = self.counter.checked_add(1)?;
        let passed_s = u32::try_from(now.millis_since(self.at).max(0) / 1_000).ok()?;
        let expires_at_s = self.clock_s.checked_add(passed_s)?.checked_add(EXPIRES_S)?;
        self.counter = counter;
        let told = Metadata::default()
            .with(0, &[8])
            .with(1, &[domain.number()])
            .with(2, vin.expose().as_bytes())
            .with(3, &self.epoch)
            .with(4, &expires_at_s.to_be_bytes())
            .with(5, &counter.to_be_bytes())
            .ended(payload);
        let tag = hmac::sign(&self.keys.command, &told).as_ref().to_vec();
        Some(Tagged { epoch: self.epoch, counter, expires_at_s, tag })
    }
}

#[cfg(test)]
mod tests {
    use super::super::proto::Writer;
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }
    /// The protocol's published vector. The scalar is public knowledge.
    const SCALAR: &str = "2538cdc29a97c19c1e99a637d6cf4f8c970c118b56ede1e6323e6d162c4b30db";
    const INFO: &str = "0806124104c7a1f47138486aa4729971494878d33b1a24e39571f748a6e16c5955b3d877d3a6aaa0e955166474af5d32c410f439a2234137ad1bb085fd4e8813c958f11d971a104c463f9cc0d3d26906e982ed224adde6255a0a0000";
    const TAG: &str = "996c1fe38331be138f8039c194b14db2198846ed7d8251e6749284d7b32ea002";
    const UUID: &str = "1588d5a30eabc6f8fc9a951b11f6fd11";
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);

    fn key() -> CommandKey {
        CommandKey::from_scalar(&bytes(SCALAR).try_into().unwrap()).unwrap()
    }
    fn vin() -> Vin {
        Vin::parse("5YJ30123456789ABC").unwrap()
    }
    fn opened(info: &str, tag: &str, uuid: &str, vin: &Vin) -> Result<Session, NoSession> {
        Session::opened(&key(), vin, &bytes(uuid).try_into().unwrap(), &bytes(info), &bytes(tag), NOW)
    }

    #[test]
    fn the_published_vector_holds_and_nothing_near_it() {
        let session = opened(INFO, TAG, UUID, &vin()).unwrap();
        assert_eq!((session.counter, session.clock_s), (6, 0x0a5a), "as the vector says");
        assert_eq!(session.epoch.to_vec(), bytes("4c463f9cc0d3d26906e982ed224adde6"));
        let other = Vin::parse("5YJ30123456789ABD").unwrap();
        for refused in [
            opened(INFO, &TAG.replacen("99", "98", 1), UUID, &vin()),
            opened(INFO, "", UUID, &vin()),
            opened(INFO, TAG, &UUID.replacen("15", "16", 1), &vin()),
            opened(INFO, TAG, UUID, &other),
            opened(&INFO.replacen("0806", "0807", 1), TAG, UUID, &vin()),
            opened(&INFO[..INFO.len() - 2], TAG, UUID, &vin()),
            opened("", TAG, UUID, &vin()),
        ] {
            assert_eq!(refused.err(), Some(NoSession::NotBelieved));
        }
        let unpaired = Writer::default().number(5, 1).done();
        let refused = Session::opened(&key(), &vin(), &[0; 16], &unpaired, &[], NOW);
        assert_eq!(refused.err(), Some(NoSession::KeyUnknown));
    }

    #[test]
    fn a_point_that_is_none_opens_nothing() {
        for point in [&[][..], &[4; 64], &[4; 65], &[2; 33], &[0; 65]] {
            assert!(key().shared_with(point).is_none(), "{} bytes", point.len());
        }
    }

    #[test]
    fn counters_only_rise_and_an_older_clock_is_not_believed() {
        let mut session = opened(INFO, TAG, UUID, &vin()).unwrap();
        let first = session.tag(Domain::VehicleSecurity, &vin(), b"x", NOW).unwrap();
        let second = session.tag(Domain::VehicleSecurity, &vin(), b"x", NOW.plus_seconds(7)).unwrap();
        assert_eq!((first.counter, second.counter), (7, 8));
        assert_eq!(second.expires_at_s, 0x0a5a + 7 + EXPIRES_S);
        assert_ne!(first.tag, second.tag);
        // The same session info again: the counter stays where it is.
        let again = opened(INFO, TAG, UUID, &vin()).unwrap().after(Some(&session)).unwrap();
        assert_eq!(again.counter, 8);
        let older = Session { clock_s: 1, ..again.clone() };
        assert_eq!(older.clone().after(Some(&session)).err(), Some(NoSession::NotBelieved));
        let another_epoch = Session { epoch: [9; 16], counter: 0, ..older };
        assert_eq!(another_epoch.after(Some(&session)).unwrap().counter, 0, "a new epoch starts anew");
        let mut used_up = Session { counter: u32::MAX, ..again };
        assert!(used_up.tag(Domain::VehicleSecurity, &vin(), b"x", NOW).is_none());
    }

    #[test]
    fn a_key_is_read_from_both_kinds_of_pem_and_from_nothing_else() {
        // The published scalar in both forms.
        let sec1 = "-----BEGIN EC PRIVATE KEY-----\n\
            MHcCAQEEICU4zcKal8GcHpmmN9bPT4yXDBGLVu3h5jI+bRYsSzDboAoGCCqGSM49\n\
            AwEHoUQDQgAEsra8aMLaBmXOZWgVWUmWxiOU7di+qQX+eBp1T+aoRacUMwkC8iXp\n\
            Jp1GbgWzSZgf2p2FzCPG+0RKpztikQXcbg==\n-----END EC PRIVATE KEY-----\n";
        let pkcs8 = "-----BEGIN PRIVATE KEY-----\n\
            MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJTjNwpqXwZwemaY3\n\
            1s9PjJcMEYtW7eHmMj5tFixLMNuhRANCAASytrxowtoGZc5laBVZSZbGI5Tt2L6p\n\
            Bf54GnVP5qhFpxQzCQLyJekmnUZuBbNJmB/anYXMI8b7REqnO2KRBdxu\n-----END PRIVATE KEY-----\n";
        for pem in [sec1, pkcs8] {
            assert_eq!(CommandKey::from_pem(pem).map(|k| *k.public()), Some(*key().public()));
        }
        for text in ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", &"x".repeat(10_000)] {
            assert!(CommandKey::from_pem(text).is_none());
        }
        assert!(!format!("{:?}", key()).contains("97"), "a key does not print");
    }
}
