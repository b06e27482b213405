//! Signed commands as a car takes them: a key per car, an epoch, a counter per domain, a clock, and every check that makes a
//! command that was signed once run once at most. Pure: time and random bytes come in.
//!
//! Written from the protocol's description and from nothing of the product: an adapter and a simulator that share code could
//! agree on a mistake.

use std::collections::HashMap;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::{digest, hmac};
use parcelshelf_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::car::{Answer, No, Order};
use super::fault::Hears;

/// Commands that live longer than an hour are refused.
const LIVES_S_MAX: u32 = 3_600;
/// Longest message of a caller.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024;

const VEHICLE_SECURITY: u8 = 2;
const INFOTAINMENT: u8 = 3;

/// Faults of a message, by the protocol's numbers.
const UNKNOWN_KEY: u32 = 3;
const INVALID_SIGNATURE: u32 = 5;
const INVALID_COUNTER: u32 = 6;
const INVALID_DOMAIN: u32 = 8;
const INVALID_COMMAND: u32 = 9;
const DECODING: u32 = 10;
const INCORRECT_EPOCH: u32 = 15;
const EXPIRED: u32 = 17;
const LIVES_TOO_LONG: u32 = 20;
const REPEATED_COUNTER: u32 = 26;

// ---- protocol buffers, as far as needed ------------------------------------------------------------------------------

/// A field's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content<'a> {
    Number(u64),
    Four(u32),
    Bytes(&'a [u8]),
}
/// The fields in order; `None` for bytes that are no message.
fn fields(mut rest: &[u8]) -> Option<Vec<(u64, Content<'_>)>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = number(&mut rest)?;
        let content = match key & 7 {
            0 => Content::Number(number(&mut rest)?),
            2 => {
                let length = usize::try_from(number(&mut rest)?).ok()?;
                Content::Bytes(cut(&mut rest, length)?)
            }
            5 => Content::Four(u32::from_le_bytes(cut(&mut rest, 4)?.try_into().ok()?)),
            _ => return None,
        };
        found.push((key >> 3, content));
        if found.len() > 100 {
            return None;
        }
    }
    Some(found)
}
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = cut(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
fn cut<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}
/// The last field of this number, as the format has it.
fn field<'a>(fields: &[(u64, Content<'a>)], of: u64) -> Option<Content<'a>> {
    fields.iter().rev().find(|(number, _)| *number == of).map(|(_, content)| *content)
}
fn bytes_of<'a>(all: &[(u64, Content<'a>)], of: u64) -> Option<&'a [u8]> {
    if let Some(Content::Bytes(bytes)) = field(all, of) { Some(bytes) } else { None }
}
fn message_of<'a>(all: &[(u64, Content<'a>)], of: u64) -> Option<Vec<(u64, Content<'a>)>> {
    fields(bytes_of(all, of)?)
}
fn number_of(all: &[(u64, Content<'_>)], of: u64) -> Option<u32> {
    match field(all, of) {
        Some(Content::Number(n)) => u32::try_from(n).ok(),
        Some(Content::Four(n)) => Some(n),
        _ => None,
    }
}
fn put_number(into: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}
fn with_bytes(into: &mut Vec<u8>, of: u64, content: &[u8]) {
    put_number(into, of << 3 | 2);
    put_number(into, content.len() as u64);
    into.extend_from_slice(content);
}
fn with_number(into: &mut Vec<u8>, of: u64, value: u32) {
    put_number(into, of << 3);
    put_number(into, u64::from(value));
}

// ---- the car's side --------------------------------------------------------------------------------------------------

/// One car's side of the protocol.
pub struct Security {
    private: PrivateKey,
    public: Vec<u8>,
    epoch: [u8; 16],
    epoch_began: Timestamp,
    /// The last counter taken, by domain and by the caller's key.
    counters: HashMap<(u8, Vec<u8>), u32>,
}
impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Security")
    }
}

/// A command whose every check held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub order: Order,
    pub to: Reply,
}
/// What a reply must repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    domain: u8,
    address: Vec<u8>,
    uuid: Vec<u8>,
}
/// What a message came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// Not a message at all.
    Nonsense,
    /// The beginning of a session; the reply.
    Handshake(Vec<u8>),
    /// Refused with this fault; the reply.
    Refused(u32, Vec<u8>),
    Command(Heard),
}

fn keyed(key: &[u8], content: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), content).as_ref().to_vec()
}
/// Tag, length, value …, and the end of the list.
fn described(values: &[(u8, &[u8])], content: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for (tag, value) in values {
        all.push(*tag);
        all.push(value.len() as u8);
        all.extend_from_slice(value);
    }
    all.push(0xff);
    all.extend_from_slice(content);
    all
}

impl Security {
    /// A car's key out of the seed and its VIN, so that a run can be repeated. `None`: the numbers make no key (they always do).
    #[must_use]
    pub fn of(seed: u64, vin: &str, now: Timestamp) -> Option<Self> {
        let hashed = |what: &str| {
            let hash = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(vin).chain_update(what);
            let bytes: [u8; 32] = hash.finalize().into();
            bytes
        };
        let private = PrivateKey::from_private_key(&ECDH_P256, &hashed("key")).ok()?;
        let public = private.compute_public_key().ok()?.as_ref().to_vec();
        let mut epoch = [0; 16];
        epoch.copy_from_slice(&hashed("epoch")[..16]);
        Some(Self { private, public, epoch, epoch_began: now, counters: HashMap::new() })
    }
    /// The security computer starts again: another epoch, counters and clock from zero.
    pub fn restart(&mut self, now: Timestamp) {
        let hash = Sha256::digest(self.epoch);
        self.epoch.copy_from_slice(&hash[..16]);
        self.epoch_began = now;
        self.counters.clear();
    }

    fn shared(&self, caller: &[u8]) -> Option<Vec<u8>> {
        agree(&self.private, UnparsedPublicKey::new(&ECDH_P256, caller), (), |x| {
            Ok(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, x).as_ref()[..16].to_vec())
        })
        .ok()
    }
    fn clock_s(&self, now: Timestamp) -> u32 {
        u32::try_from(now.millis_since(self.epoch_began).max(0) / 1_000).unwrap_or(u32::MAX)
    }
    /// Fresh session info and its tag, into a reply.
    fn tell_session(&self, reply: &mut Vec<u8>, to: &Reply, caller: (&[u8], bool), vin: &str, now: Timestamp) {
        let (caller, known) = caller;
        let counter = self.counters.get(&(to.domain, caller.to_vec())).copied().unwrap_or(0);
        let mut info = Vec::new();
        if !known {
            // To a stranger the car says that much and no more: no key of its own, so nothing to tag it with.
            with_number(&mut info, 5, 1);
            with_bytes(reply, 15, &info);
            return;
        }
        with_number(&mut info, 1, counter);
        with_bytes(&mut info, 2, &self.public);
        with_bytes(&mut info, 3, &self.epoch);
        put_number(&mut info, 4 << 3 | 5);
        info.extend_from_slice(&self.clock_s(now).to_le_bytes());
        with_bytes(reply, 15, &info);
        let Some(shared) = self.shared(caller) else { return };
        let key = keyed(&shared, b"session info");
        let tag = keyed(&key, &described(&[(0, &[6]), (2, vin.as_bytes()), (6, &to.uuid)], &info));
        let (mut inner, mut signature) = (Vec::new(), Vec::new());
        with_bytes(&mut inner, 1, &tag);
        with_bytes(&mut signature, 6, &inner);
        with_bytes(reply, 13, &signature);
    }

    /// Takes a message. `enrolled`: the key that the owner let in, if any.
    pub fn take(&mut self, message: &[u8], vin: &str, enrolled: Option<&[u8]>, now: Timestamp) -> Came {
        let Some(all) = fields(message).filter(|_| message.len() <= MESSAGE_BYTES_MAX) else { return Came::Nonsense };
        let domain = message_of(&all, 6).and_then(|to| number_of(&to, 1)).and_then(|d| u8::try_from(d).ok());
        let Some(domain) = domain else { return Came::Nonsense };
        let address = message_of(&all, 7).and_then(|from| bytes_of(&from, 2).map(<[u8]>::to_vec)).unwrap_or_default();
        let uuid = bytes_of(&all, 51).unwrap_or_default().to_vec();
        let to = Reply { domain, address, uuid };
        if let Some(request) = message_of(&all, 14) {
            let Some(caller) = bytes_of(&request, 1) else { return Came::Nonsense };
            let mut reply = to.begun();
            self.tell_session(&mut reply, &to, (caller, enrolled == Some(caller)), vin, now);
            return Came::Handshake(reply);
        }
        match self.checked(&all, &to, vin, enrolled, now) {
            Ok(order) => Came::Command(Heard { order, to }),
            Err((fault, caller)) => {
                let mut reply = to.begun();
                let mut status = Vec::new();
                with_number(&mut status, 1, 2);
                with_number(&mut status, 2, fault);
                with_bytes(&mut reply, 12, &status);
                // These bring what the caller needs to sign anew.
                if matches!(fault, INVALID_SIGNATURE | INVALID_COUNTER | INCORRECT_EPOCH | EXPIRED) {
                    self.tell_session(&mut reply, &to, (&caller, true), vin, now);
                }
                Came::Refused(fault, reply)
            }
        }
    }
    /// Every check, in the order of the protocol. A counter is used up only by a command that passes them all.
    fn checked(
        &mut self,
        all: &[(u64, Content<'_>)],
        to: &Reply,
        vin: &str,
        enrolled: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<Order, (u32, Vec<u8>)> {
        if ![VEHICLE_SECURITY, INFOTAINMENT].contains(&to.domain) {
            return Err((INVALID_DOMAIN, Vec::new()));
        }
        let signature = message_of(all, 13).ok_or((DECODING, Vec::new()))?;
        let caller = message_of(&signature, 1).and_then(|identity| bytes_of(&identity, 1).map(<[u8]>::to_vec));
        let caller = caller.ok_or((UNKNOWN_KEY, Vec::new()))?;
        if enrolled != Some(caller.as_slice()) {
            return Err((UNKNOWN_KEY, caller));
        }
        // The cloud lets HMAC through and nothing else.
        let signed = message_of(&signature, 8).ok_or((DECODING, caller.clone()))?;
        let counter = number_of(&signed, 2).unwrap_or(0);
        let expires_at = number_of(&signed, 3).unwrap_or(0);
        if bytes_of(&signed, 1) != Some(&self.epoch[..]) {
            return Err((INCORRECT_EPOCH, caller));
        }
        let payload = bytes_of(all, 10).unwrap_or_default();
        let flags = number_of(all, 52).unwrap_or(0).to_be_bytes();
        let (expires_be, counter_be) = (expires_at.to_be_bytes(), counter.to_be_bytes());
        let domain = [to.domain];
        let mut values: Vec<(u8, &[u8])> =
            vec![(0, &[8]), (1, &domain), (2, vin.as_bytes()), (3, &self.epoch), (4, &expires_be), (5, &counter_be)];
        if flags != [0; 4] {
            values.push((7, &flags));
        }
        let shared = self.shared(&caller).ok_or((UNKNOWN_KEY, caller.clone()))?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &keyed(&shared, b"authenticated command"));
        let tag = bytes_of(&signed, 4).unwrap_or_default();
        if hmac::verify(&key, &described(&values, payload), tag).is_err() {
            return Err((INVALID_SIGNATURE, caller));
        }
        let clock = self.clock_s(now);
        if expires_at <= clock {
            return Err((EXPIRED, caller));
        }
        if expires_at - clock > LIVES_S_MAX {
            return Err((LIVES_TOO_LONG, caller));
        }
        let last = self.counters.entry((to.domain, caller.clone())).or_default();
        match counter.cmp(last) {
            std::cmp::Ordering::Equal => return Err((REPEATED_COUNTER, caller)),
            std::cmp::Ordering::Less => return Err((INVALID_COUNTER, caller)),
            std::cmp::Ordering::Greater => *last = counter,
        }
        ordered(to.domain, payload).ok_or((INVALID_COMMAND, caller))
    }
}

/// What a payload asks for.
fn ordered(domain: u8, payload: &[u8]) -> Option<Order> {
    let all = fields(payload)?;
    if domain == INFOTAINMENT {
        let action = message_of(&all, 2)?;
        return match action.first()?.0 {
            26 => Some(Order::Flash),
            27 => Some(Order::Honk),
            _ => None,
        };
    }
    if let Some(action) = number_of(&all, 2) {
        return match action {
            0 => Some(Order::Unlock),
            1 => Some(Order::Lock),
            _ => None,
        };
    }
    let closures = message_of(&all, 4)?;
    match (number_of(&closures, 5), number_of(&closures, 6)) {
        (Some(1), None) => Some(Order::RearTrunk),
        (None, Some(1)) => Some(Order::FrontTrunk),
        _ => None,
    }
}

impl Reply {
    /// The beginning of every reply to this request.
    fn begun(&self) -> Vec<u8> {
        let (mut to, mut from, mut reply) = (Vec::new(), Vec::new(), Vec::new());
        with_bytes(&mut to, 2, &self.address);
        with_number(&mut from, 1, u32::from(self.domain));
        with_bytes(&mut reply, 6, &to);
        with_bytes(&mut reply, 7, &from);
        // The small computer behind locks and lids leaves the request's name out.
        if self.domain != VEHICLE_SECURITY {
            with_bytes(&mut reply, 50, &self.uuid);
        }
        reply
    }
    /// The reply with the car's own answer.
    #[must_use]
    pub fn answered(&self, answer: Answer) -> Vec<u8> {
        match answer {
            Answer::Done => self.done(),
            Answer::Refused(No::ClosuresOpen) => self.nominal(2),
            Answer::Refused(No::NotInPark) => self.nominal(5),
            Answer::Refused(No::NotSupported) => self.nominal(9),
            Answer::Refused(No::DidNotLock) => self.nominal(4),
            Answer::Deaf | Answer::Impossible(_) => self.status(2, 2),
        }
    }
    /// The reply in the place of the true one.
    #[must_use]
    pub fn said(&self, hears: Hears, truth: Answer) -> Vec<u8> {
        match hears {
            Hears::Result(true) => self.done(),
            Hears::Result(false) => self.nominal(4),
            Hears::MessageFault(fault) => self.status(2, fault),
            Hears::Nominal(error) => self.nominal(error),
            Hears::Wait => self.status(1, 0),
            Hears::Odd => self.nominal(77),
            Hears::Stranger => Self { uuid: vec![9; 16], address: vec![9; 16], ..self.clone() }.answered(truth),
            _ => self.answered(truth),
        }
    }
    fn done(&self) -> Vec<u8> {
        let mut reply = self.begun();
        if self.domain == INFOTAINMENT {
            // A response whose status is OK; zero is not written.
            let mut response = Vec::new();
            with_bytes(&mut response, 1, &[]);
            with_bytes(&mut reply, 10, &response);
        }
        reply
    }
    fn nominal(&self, error: u32) -> Vec<u8> {
        let (mut inner, mut content, mut reply) = (Vec::new(), Vec::new(), self.begun());
        with_number(&mut inner, 1, if self.domain == INFOTAINMENT { 1 } else { error });
        with_bytes(&mut content, if self.domain == INFOTAINMENT { 1 } else { 46 }, &inner);
        with_bytes(&mut reply, 10, &content);
        reply
    }
    fn status(&self, operation: u32, fault: u32) -> Vec<u8> {
        let (mut status, mut reply) = (Vec::new(), self.begun());
        with_number(&mut status, 1, operation);
        with_number(&mut status, 2, fault);
        with_bytes(&mut reply, 12, &status);
        reply
    }
}

#[cfg(test)]
mod tests;
