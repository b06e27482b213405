//! What an answer to a command means: taken, did not happen, or unknown. Pure.
//!
//! `success` says that the maker's cloud took the command, and nothing of the car: it is [`Confirmation::Accepted`] and never
//! more. That a lock has engaged is told by the car's own state alone ([`reconciled`]).

use std::time::Duration;

use http::StatusCode;
use parcelshelf_access::{Closures, LockState, Sent};
use parcelshelf_core::actuation::{Confirmation, Outcome, Refusal};
use parcelshelf_core::time::Timestamp;

use crate::errors::{BILLING, told};
use crate::json::Json;
use crate::wire::{Answer, Silence};

/// The cloud itself may be at a command for 310 s, as long as the vendor's own clients wait, and the car then takes a moment.
/// Nothing is sent to the car after that.
pub(crate) const UNANSWERED_MAY_ACT_FOR: Duration = Duration::from_secs(330);

/// What is asked of the car. There is no command for a trunk alone and none for lights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Unlock,
    Lock,
}
impl Asked {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unlock => "unlock",
            Self::Lock => "lock",
        }
    }
    pub const fn body(self) -> &'static str {
        match self {
            Self::Unlock => r#"{"action":"UNLOCK"}"#,
            Self::Lock => r#"{"action":"LOCK"}"#,
        }
    }
}

/// When a command left and when its answer was there, by the keyholder's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub sent: Timestamp,
    pub answered: Timestamp,
}

/// What `send` saw, from what came back over the wire.
pub(crate) fn sent(asked: Asked, times: Times, came_back: Result<Answer, Silence>) -> Sent {
    let until = may_act_until(times.sent);
    let answer = match came_back {
        Ok(answer) => answer,
        Err(Silence::NeverSent) => return did_not_happen(Refusal::MakerRefused, None),
        Err(Silence::Lost) => return unknown(until, None, None),
    };
    let wait = answer.retry_after();
    match answer.status {
        StatusCode::OK if accepted(&answer) => Sent {
            outcome: Outcome::Done(Confirmation::Accepted),
            may_act_until: Some(until),
            ready_until: None,
            // An unlocked car is seen by whoever stands there; a locked one must be read.
            handle: (asked == Asked::Lock).then(|| Handle(times.answered).to_bytes()),
            retry_after: None,
        },
        StatusCode::OK => unknown(until, None, None),
        status => match refusal(asked, status, &answer) {
            Some(refusal) => did_not_happen(refusal, wait),
            None => unknown(until, None, wait),
        },
    }
}

fn accepted(answer: &Answer) -> bool {
    let json = answer.body.as_deref().and_then(Json::parse);
    let status = json.as_ref().and_then(|j| j.get("status")).and_then(Json::text);
    status.is_some_and(|word| word.eq_ignore_ascii_case("success"))
}

/// Why it definitely did not happen; `None`: it may have. Of the errors that could come from behind the vendor only those
/// count whose type and code say that nothing was sent.
fn refusal(asked: Asked, status: StatusCode, answer: &Answer) -> Option<Refusal> {
    let told = told(answer);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Refusal::OwnerActionNeeded),
        StatusCode::BAD_REQUEST if told.kind == "CONNECTED_SERVICES_ACCOUNT" => Some(Refusal::OwnerActionNeeded),
        StatusCode::BAD_REQUEST
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::NOT_ACCEPTABLE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE => Some(Refusal::MakerRefused),
        StatusCode::NOT_FOUND => Some(Refusal::NotSupported),
        StatusCode::NOT_IMPLEMENTED if told.kind == "COMPATIBILITY" => Some(Refusal::NotSupported),
        StatusCode::TOO_MANY_REQUESTS => Some(Refusal::RateLimited),
        StatusCode::CONFLICT if told.kind == "VEHICLE_STATE" => by_state(asked, &told.code),
        status if status.as_u16() == BILLING && told.code == "VEHICLE_REQUEST_LIMIT" => Some(Refusal::RateLimited),
        status if status.as_u16() == BILLING => Some(Refusal::MakerRefused),
        // 500 and 502 (UPSTREAM, among them NO_RESPONSE) tell nothing about the car; nothing else is published.
        _ => None,
    }
}

/// The car's state stood against it. To spare its battery nothing is sent to a sleeping car. Only codes that the vendor
/// documents count as *not sent*; any other, UNREACHABLE and IN_MOTION among them, may come after the command had left. That a
/// lock met an open lid is believed by its name: a lock is repeated anyway.
fn by_state(asked: Asked, code: &str) -> Option<Refusal> {
    match (code, asked) {
        ("ASLEEP", _) => Some(Refusal::Asleep),
        ("DOOR_OPEN" | "TRUNK_OPEN" | "HOOD_OPEN", Asked::Lock) => Some(Refusal::NotClosed),
        ("CHARGING_IN_PROGRESS" | "CHARGING_PLUG_CONNECTED" | "CHARGING_PLUG_NOT_CONNECTED", _) => {
            Some(Refusal::MakerRefused)
        }
        _ => None,
    }
}

/// What is kept of a lock that was taken: since when the car may show it. Eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handle(pub Timestamp);
impl Handle {
    pub fn to_bytes(self) -> Vec<u8> {
        self.0.unix_millis().to_be_bytes().to_vec()
    }
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self(Timestamp::from_unix_millis(i64::from_be_bytes(bytes.try_into().ok()?))))
    }
}

/// What the car's state says of a lock: done when the car recorded *locked* after the lock was taken, else still unknown.
pub(crate) fn reconciled(handle: Handle, seen: &Closures) -> Sent {
    if seen.central_lock.value == LockState::Locked && seen.read_at > handle.0 {
        return Sent {
            outcome: Outcome::Done(Confirmation::Observed),
            may_act_until: None,
            ready_until: None,
            handle: None,
            retry_after: None,
        };
    }
    unknown(may_act_until(handle.0), Some(handle.to_bytes()), None)
}

const fn may_act_until(sent_at: Timestamp) -> Timestamp {
    sent_at.plus_seconds(UNANSWERED_MAY_ACT_FOR.as_secs().cast_signed())
}
pub(crate) const fn did_not_happen(refusal: Refusal, retry_after: Option<Duration>) -> Sent {
    Sent { outcome: Outcome::DidNotHappen(refusal), may_act_until: None, ready_until: None, handle: None, retry_after }
}
const fn unknown(until: Timestamp, handle: Option<Vec<u8>>, retry_after: Option<Duration>) -> Sent {
    Sent { outcome: Outcome::Unknown, may_act_until: Some(until), ready_until: None, handle, retry_after }
}

#[cfg(test)]
mod tests;
