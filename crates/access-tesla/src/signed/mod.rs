//! Signed commands: the messages, and what the car's replies mean. Pure.
//!
//! A message is signed once, by [`prepare`](parcelshelf_access::Access::prepare); the same bytes can run at most once, because the
//! car takes each counter once and nothing after the end that is signed with it. Signing anew could run twice, so nothing here
//! does that to an opening.

mod proto;
mod session;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parcelshelf_core::actuation::Refusal;
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use sha2::{Digest as _, Sha256};

use crate::commands::{Asked, Meaning};
use crate::json::Json;
use crate::prepared::Signed;
use proto::{Message, NotAMessage, Writer};

pub(crate) use session::{CommandKey, Domain, NoSession, Session};

/// Our clock and the car's may part by so much within a session: seconds that an unknown command is given more.
const CLOCK_ERROR_S: i64 = 5;

/// An expired command never runs; one that is unknown may run until then.
pub(crate) const fn may_act_until(signed: &Signed) -> Timestamp {
    signed.expires_at.plus_seconds(CLOCK_ERROR_S)
}

impl Asked {
    pub const fn domain(self) -> Domain {
        match self {
            Self::Trunk | Self::Lock => Domain::VehicleSecurity,
            Self::Flash => Domain::Infotainment,
        }
    }
    fn payload(self) -> Vec<u8> {
        // RKEAction LOCK; ClosureMoveRequest rearTrunk MOVE, the same toggle as the plain command; flash lights.
        match self {
            Self::Lock => Writer::default().number(2, 1),
            Self::Trunk => Writer::default().message(4, Writer::default().number(5, 1)),
            Self::Flash => Writer::default().message(2, Writer::default().message(26, Writer::default())),
        }
        .done()
    }
}

/// Where replies go: sixteen bytes that are no name of anybody.
fn routing_address(uuid: &[u8; 16]) -> [u8; 16] {
    let mut address = [0; 16];
    let hash = Sha256::new().chain_update(b"routing address").chain_update(uuid).finalize();
    address.copy_from_slice(&hash[..16]);
    address
}
fn addressed(domain: Domain, uuid: &[u8; 16]) -> Writer {
    Writer::default()
        .message(6, Writer::default().number(1, u32::from(domain.number())))
        .message(7, Writer::default().bytes(2, &routing_address(uuid)))
}

/// Asks a car to begin a session.
pub(crate) fn handshake(key: &CommandKey, domain: Domain, uuid: &[u8; 16]) -> Vec<u8> {
    addressed(domain, uuid).message(14, Writer::default().bytes(1, key.public())).bytes(51, uuid).done()
}

/// A command, signed with the session's next counter. `uuid` names the request.
pub(crate) fn sign(
    key: &CommandKey,
    session: &mut Session,
    asked: Asked,
    vin: &Vin,
    uuid: &[u8; 16],
    now: Timestamp,
) -> Option<Signed> {
    let payload = asked.payload();
    let tagged = session.tag(asked.domain(), vin, &payload, now)?;
    let signature = Writer::default().message(1, Writer::default().bytes(1, key.public())).message(
        8,
        Writer::default()
            .bytes(1, &tagged.epoch)
            .number(2, tagged.counter)
            .fixed32(3, tagged.expires_at_s)
            .bytes(4, &tagged.tag),
    );
    let message = addressed(asked.domain(), uuid).bytes(10, &payload).message(13, signature).bytes(51, uuid).done();
    Some(Signed { message, expires_at: now.plus_seconds(i64::from(session::EXPIRES_S)) })
}
/// The request that bytes to be sent name themselves by.
pub(crate) fn uuid_of(message: &[u8]) -> Option<[u8; 16]> {
    Message::parse(message).ok()?.bytes(51).ok()??.try_into().ok()
}

/// The body of a request.
pub(crate) fn body(message: &[u8]) -> String {
    serde_json::json!({ "routable_message": STANDARD.encode(message) }).to_string()
}
/// The message in an answer's body.
pub(crate) fn message_in(body: Option<&[u8]>) -> Option<Vec<u8>> {
    let json = Json::parse(body?)?;
    let text = json.get("response").and_then(Json::text)?;
    if text.len() > proto::MESSAGE_BYTES_MAX * 2 {
        return None;
    }
    STANDARD.decode(text).ok()
}

/// A reply as far as it concerns us.
pub(crate) struct Reply<'a> {
    message: Message<'a>,
}
impl<'a> Reply<'a> {
    /// `None` if it is no message, comes from another domain, or does not say that it answers this request: by its name, by the
    /// address that only this request gave, or by both. Nothing at all is no answer, although an empty content means success.
    pub fn to(uuid: &[u8; 16], domain: Domain, bytes: &'a [u8]) -> Option<Self> {
        let message = Message::parse(bytes).ok()?;
        if message.message(7).ok()??.number(1).ok()? != u32::from(domain.number()) {
            return None;
        }
        let address = match message.message(6).ok()? {
            Some(to) => to.bytes(2).ok()?,
            None => None,
        };
        let own = routing_address(uuid);
        let told = [(message.bytes(50).ok()?, uuid), (address, &own)];
        let ours = |(told, own): &(Option<&[u8]>, &[u8; 16])| told.filter(|t| !t.is_empty()).map(|t| t == *own);
        let mut said = told.iter().filter_map(ours).peekable();
        (said.peek().is_some() && said.all(|same| same)).then_some(Self { message })
    }
    /// Fresh session info, if the reply has any.
    pub fn session(
        &self,
        key: &CommandKey,
        vin: &Vin,
        uuid: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<Session>, NoSession> {
        let Some(info) = self.message.bytes(15)? else { return Ok(None) };
        let signature = self.message.message(13)?;
        let tag = signature.map(|s| s.message(6)).transpose()?.flatten().map(|t| t.bytes(1)).transpose()?.flatten();
        Session::opened(key, vin, uuid, info, tag.unwrap_or_default(), now).map(Some)
    }
    /// What became of the command.
    pub fn meaning(&self, asked: Asked) -> Meaning {
        self.read(asked).unwrap_or(Meaning::Unknown)
    }
    fn read(&self, asked: Asked) -> Result<Meaning, NotAMessage> {
        if let Some(status) = self.message.message(12)? {
            let (operation, fault) = (status.number(1)?, status.number(2)?);
            if fault != 0 {
                return Ok(by_fault(fault));
            }
            if operation != 0 {
                // 1: the car is still at it. 2: an error that has no name.
                return Ok(Meaning::Unknown);
            }
        }
        // An encrypted answer was not asked for.
        if self.message.message(13)?.is_some_and(|s| s.has(9) || s.has(5)) {
            return Ok(Meaning::Unknown);
        }
        let payload = self.message.bytes(10)?.unwrap_or_default();
        // Session info and no word on the command: it was not heard as one.
        if payload.is_empty() && self.message.has(15) {
            return Ok(Meaning::Unknown);
        }
        match asked.domain() {
            Domain::VehicleSecurity => by_vehicle_security(asked, &Message::parse(payload)?),
            Domain::Infotainment => by_infotainment(&Message::parse(payload)?),
        }
    }
}

/// Faults of the message itself.
const fn by_fault(fault: u32) -> Meaning {
    match fault {
        // Unknown or inactive key, too few privileges, remote access switched off (also for services): the owner's to mend.
        3 | 4 | 7 | 21 | 22 => Meaning::DidNotHappen(Refusal::OwnerActionNeeded),
        // Busy; not for this domain, no such command, not decoded, wrong personalisation, bad parameter, wrong epoch, expired,
        // unhashable, lives too long, too large, needs account credentials or an encrypted answer, or a hand at the car: refused before
        // anything was done.
        1 | 5 | 8 | 10 | 12 | 13 | 15 | 17 | 19 | 20 | 23 | 24 | 27 | 28 | 29 => {
            Meaning::DidNotHappen(Refusal::MakerRefused)
        }
        9 => Meaning::DidNotHappen(Refusal::NotSupported),
        // 6 and 26, a counter that was used: by these very bytes, if the cloud delivered them twice. Then the first delivery ran, and
        // this is the answer to the second. Timeout, internal error and any other word decide nothing.
        _ => Meaning::Unknown,
    }
}

fn by_vehicle_security(asked: Asked, payload: &Message<'_>) -> Result<Meaning, NotAMessage> {
    if payload.is_empty() {
        return Ok(Meaning::Done);
    }
    if let Some(error) = payload.message(46)? {
        let no = |refusal| Ok(Meaning::DidNotHappen(refusal));
        return match (error.number(1)?, asked) {
            (2, _) => no(Refusal::NotClosed),
            // It is locked already.
            (3, Asked::Lock) => Ok(Meaning::Done),
            (4, _) => no(Refusal::CarFailed),
            (5, _) => no(Refusal::InUse),
            (6 | 8, _) => no(Refusal::OwnerActionNeeded),
            (7 | 9, _) => no(Refusal::NotSupported),
            _ => Ok(Meaning::Unknown),
        };
    }
    match payload.message(4)? {
        // Operation status OK.
        Some(status) if status.number(1)? == 0 && !status.has(2) => Ok(Meaning::Done),
        _ => Ok(Meaning::Unknown),
    }
}
fn by_infotainment(payload: &Message<'_>) -> Result<Meaning, NotAMessage> {
    match payload.message(1)? {
        None if payload.is_empty() => Ok(Meaning::Done),
        Some(status) => Ok(match status.number(1)? {
            0 => Meaning::Done,
            1 => Meaning::DidNotHappen(Refusal::CarFailed),
            _ => Meaning::Unknown,
        }),
        None => Ok(Meaning::Unknown),
    }
}

#[cfg(test)]
mod tests;
