//! What an answer to a command means: done, did not happen, or unknown. Pure.

use std::time::Duration;

use http::StatusCode;
use parcelshelf_access::Sent;
use parcelshelf_core::actuation::{Confirmation, Outcome, Refusal};
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;

use crate::json::Json;
use crate::wire::{Answer, Silence};

/// An unanswered command may still act so long after it was sent.
pub(crate) const UNANSWERED_MAY_ACT_FOR: Duration = Duration::from_secs(60);
/// The unlock window of an answer that gives no end.
pub(crate) const DEFAULT_WINDOW: Duration = Duration::from_secs(300);
/// The end of a window further away than this is not believed.
const WINDOW_S_MAX: i64 = 3_600;

/// What was asked of the car.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Unlock,
    Lock,
    Flash,
}
impl Asked {
    pub const fn path(self) -> &'static str {
        match self {
            Self::Unlock => "unlock",
            Self::Lock => "lock",
            Self::Flash => "flash",
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
pub(crate) fn sent(asked: Asked, vin: &Vin, times: Times, came_back: Result<Answer, Silence>) -> Sent {
    let answer = match came_back {
        Ok(answer) => answer,
        Err(Silence::NeverSent) => return did_not_happen(Refusal::MakerRefused, None),
        Err(Silence::Lost) => return unknown(times, None),
    };
    let wait = answer.retry_after();
    match answer.status {
        StatusCode::OK => match answer.body.as_deref() {
            Some(body) => invoked(asked, vin, times, body),
            None => unknown(times, None),
        },
        // The request was refused before anything was sent to the car.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => did_not_happen(Refusal::OwnerActionNeeded, wait),
        StatusCode::NOT_FOUND => did_not_happen(Refusal::NotSupported, wait),
        StatusCode::TOO_MANY_REQUESTS => did_not_happen(Refusal::RateLimited, wait),
        StatusCode::BAD_REQUEST
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::NOT_ACCEPTABLE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE => did_not_happen(Refusal::MakerRefused, wait),
        // 409 and 422 are "could not be carried out", said of commands that were carried out, too; 5xx tells nothing
        // about the car; nothing else is published.
        _ => unknown(times, wait),
    }
}

/// The published statuses. An unlisted one is unknown.
fn invoked(asked: Asked, vin: &Vin, times: Times, body: &[u8]) -> Sent {
    let json = Json::parse(body);
    let data = json.as_ref().and_then(|j| j.get("data"));
    let another_car = data
        .and_then(|d| d.get("vin"))
        .is_some_and(|v| !v.text().unwrap_or_default().eq_ignore_ascii_case(vin.expose()));
    let status = data.and_then(|d| d.get("invokeStatus")).and_then(Json::text).map(str::to_ascii_uppercase);
    let (Some(data), Some(status), false) = (data, status, another_car) else { return unknown(times, None) };
    match (status.as_str(), asked) {
        // The car took the order; for an unlock that means that a hand may now complete it.
        ("COMPLETED" | "SUCCESS", Asked::Unlock) => {
            done(Confirmation::Armed, None, Some(window_end(data, times.answered)))
        }
        ("COMPLETED" | "SUCCESS", _) => done(Confirmation::Executed, None, None),
        ("DELIVERED", _) => {
            let ready = (asked == Asked::Unlock).then(|| window_end(data, times.answered));
            done(Confirmation::Delivered, Some(may_act_until(times)), ready)
        }
        ("REJECTED" | "EXPIRED", _) => did_not_happen(Refusal::MakerRefused, None),
        ("NOT_SUPPORTED", _) => did_not_happen(Refusal::NotSupported, None),
        ("VEHICLE_IN_SLEEP" | "CAR_IN_SLEEP_MODE", _) => did_not_happen(Refusal::Asleep, None),
        ("NOT_ALLOWED_PRIVACY_ENABLED", _) => did_not_happen(Refusal::OwnerActionNeeded, None),
        ("NOT_ALLOWED_WRONG_USAGE_MODE", _) => did_not_happen(Refusal::InUse, None),
        ("UNABLE_TO_LOCK_DOOR_OPEN", Asked::Lock) => did_not_happen(Refusal::NotClosed, None),
        ("UNLOCK_TIME_FRAME_PASSED", Asked::Unlock) => did_not_happen(Refusal::WindowPassed, None),
        // WAITING, SENT, RUNNING: not finished. TIMEOUT, CAR_TIMEOUT, DELIVERY_TIMEOUT, CONNECTION_FAILURE, UNKNOWN: may
        // have happened. CAR_ERROR, INVOCATION_SPECIFIC_ERROR: failed, as the car believes; its doors know better.
        _ => unknown(times, None),
    }
}

/// `readyToUnlockUntil`: seconds that are left, or a moment. A number above 10^9 cannot be seconds that are left.
#[expect(clippy::cast_possible_truncation, reason = "checked to be within 0 to 4·10^15 just before")]
fn window_end(data: &Json, answered: Timestamp) -> Timestamp {
    let by_default = answered.plus_seconds(DEFAULT_WINDOW.as_secs() as i64);
    let Some(told) = data.get("readyToUnlockUntil").and_then(Json::number) else { return by_default };
    if data.get("readyToUnlock").and_then(Json::truth) != Some(true) || !(0.0..=4e15).contains(&told) {
        // Not ready and yet completed: the car may have pulled its bolts at once.
        return by_default;
    }
    let latest = answered.plus_seconds(WINDOW_S_MAX);
    let end = match told {
        seconds if seconds <= 1e9 => answered.plus_seconds((seconds as i64).min(WINDOW_S_MAX)),
        millis if millis > 1e11 => Timestamp::from_unix_millis(millis as i64),
        epoch_seconds => Timestamp::from_unix_seconds(epoch_seconds as i64),
    };
    end.clamp(answered, latest)
}

fn may_act_until(times: Times) -> Timestamp {
    times.sent.plus_millis(UNANSWERED_MAY_ACT_FOR.as_millis() as i64)
}
const fn done(confirmation: Confirmation, may_act_until: Option<Timestamp>, ready_until: Option<Timestamp>) -> Sent {
    Sent { outcome: Outcome::Done(confirmation), may_act_until, ready_until, handle: None, retry_after: None }
}
pub(crate) const fn did_not_happen(refusal: Refusal, retry_after: Option<Duration>) -> Sent {
    Sent { outcome: Outcome::DidNotHappen(refusal), may_act_until: None, ready_until: None, handle: None, retry_after }
}
fn unknown(times: Times, retry_after: Option<Duration>) -> Sent {
    Sent {
        outcome: Outcome::Unknown,
        may_act_until: Some(may_act_until(times)),
        ready_until: None,
        handle: None,
        retry_after,
    }
}

#[cfg(test)]
mod tests;
