//! What an answer to a command means: done, did not happen, or unknown. Pure.
//!
//! This maker's own rule: 4xx and 503 did not happen; any other 5xx, an answer that cannot be read and a connection that broke
//! after sending may have. 200 with `result: false` is the car's own no, with free text.

use std::time::Duration;

use http::StatusCode;
use parcelshelf_access::Sent;
use parcelshelf_core::actuation::{Confirmation, Outcome, Refusal};
use parcelshelf_core::time::Timestamp;

use crate::json::Json;
use crate::wire::{Answer, Silence, retry_after};

/// A plain command carries no expiry. Implementers allow the car 10 s; a minute is assumed.
pub(crate) const UNANSWERED_MAY_ACT_FOR: Duration = Duration::from_secs(60);

/// What is asked of the car.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The rear trunk's button: opens a shut lid, and shuts an open one that has a motor.
    Trunk,
    Lock,
    /// Lights only.
    Flash,
}
impl Asked {
    pub const fn path(self) -> &'static str {
        match self {
            Self::Trunk => "actuate_trunk",
            Self::Lock => "door_lock",
            Self::Flash => "flash_lights",
        }
    }
    pub const fn body(self) -> &'static str {
        match self {
            Self::Trunk => r#"{"which_trunk":"rear"}"#,
            Self::Lock | Self::Flash => "{}",
        }
    }
}

/// What a plain answer, or an answer that came before the car was reached, means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Done,
    DidNotHappen(Refusal),
    Unknown,
    /// 200: the body decides.
    ReadTheBody,
    /// The car takes signed commands only. It did not happen.
    SignIt,
    /// The car does not speak the protocol of signed commands. It did not happen.
    SendItPlain,
    /// The account is another region's. It did not happen.
    AnotherRegion,
}

/// The rule for statuses, the same for plain and signed commands.
pub(crate) fn by_status(came_back: Result<&Answer, Silence>) -> Meaning {
    let answer = match came_back {
        Ok(answer) => answer,
        Err(Silence::NeverSent) => return Meaning::DidNotHappen(Refusal::MakerRefused),
        Err(Silence::Lost) => return Meaning::Unknown,
    };
    let refused = |refusal| Meaning::DidNotHappen(refusal);
    match answer.status.as_u16() {
        200 => Meaning::ReadTheBody,
        401 | 423 | 451 => refused(Refusal::OwnerActionNeeded),
        403 if says(answer, "command protocol") => Meaning::SignIt,
        403 if says(answer, "unsupported vehicle") => refused(Refusal::NotSupported),
        403 => refused(Refusal::OwnerActionNeeded),
        404 => refused(Refusal::NotSupported),
        // 503 has one meaning here: the car is not awake.
        408 | 503 => refused(Refusal::Asleep),
        421 => Meaning::AnotherRegion,
        422 => Meaning::SendItPlain,
        429 => refused(Refusal::RateLimited),
        400..=499 => refused(Refusal::MakerRefused),
        _ => Meaning::Unknown,
    }
}
/// The maker's words in a refusal. Free text: only what is known is looked for.
pub(crate) fn says(answer: &Answer, words: &str) -> bool {
    let json = answer.body.as_deref().and_then(Json::parse);
    let error = json.as_ref().and_then(|j| j.get("error")).and_then(Json::text);
    error.is_some_and(|text| text.len() <= 2_048 && text.to_ascii_lowercase().contains(words))
}

/// The body of a plain 200.
pub(crate) fn by_body(asked: Asked, body: Option<&[u8]>) -> Meaning {
    let json = body.and_then(Json::parse);
    let response = json.as_ref().and_then(|j| j.get("response"));
    match response.and_then(|r| r.get("result")) {
        Some(Json::Bool(true)) => Meaning::Done,
        Some(Json::Bool(false)) => {
            let reason = response.and_then(|r| r.get("reason")).and_then(Json::text).unwrap_or_default();
            let reason = reason.to_ascii_lowercase();
            let open = reason.len() <= 512 && reason.contains("open");
            Meaning::DidNotHappen(match asked {
                Asked::Lock if open => Refusal::NotClosed,
                _ => Refusal::CarFailed,
            })
        }
        _ => Meaning::Unknown,
    }
}

/// What `send` tells. `until`: an unknown command may act so long.
pub(crate) fn sent(meaning: Meaning, until: Timestamp, came_back: Result<&Answer, Silence>) -> Sent {
    let wait = came_back.ok().filter(|a| a.status != StatusCode::OK).and_then(retry_after);
    match meaning {
        Meaning::Done => Sent {
            outcome: Outcome::Done(Confirmation::Executed),
            may_act_until: None,
            ready_until: None,
            handle: None,
            retry_after: None,
        },
        Meaning::DidNotHappen(refusal) => did_not_happen(refusal, wait),
        Meaning::SignIt | Meaning::SendItPlain | Meaning::AnotherRegion => did_not_happen(Refusal::MakerRefused, wait),
        Meaning::Unknown | Meaning::ReadTheBody => Sent {
            outcome: Outcome::Unknown,
            may_act_until: Some(until),
            ready_until: None,
            handle: None,
            retry_after: wait,
        },
    }
}
pub(crate) const fn did_not_happen(refusal: Refusal, retry_after: Option<Duration>) -> Sent {
    Sent { outcome: Outcome::DidNotHappen(refusal), may_act_until: None, ready_until: None, handle: None, retry_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let (status, headers) = (StatusCode::from_u16(status).unwrap(), http::HeaderMap::new());
        Answer { status, headers, body: Some(body.to_owned().into()) }
    }
    fn told(asked: Asked, status: u16, body: &str) -> Meaning {
        let answer = answer(status, body);
        match by_status(Ok(&answer)) {
            Meaning::ReadTheBody => by_body(asked, answer.body.as_deref()),
            meaning => meaning,
        }
    }

    #[test]
    fn four_hundreds_and_503_did_not_happen_and_other_five_hundreds_may_have() {
        use Refusal::{Asleep, MakerRefused, NotSupported, OwnerActionNeeded, RateLimited};
        let no = Meaning::DidNotHappen;
        for (status, body, expected) in [
            (400, r#"{"error":"invalid_command"}"#, no(MakerRefused)),
            (401, "", no(OwnerActionNeeded)),
            (401, r#"{"error":"mobile_access_disabled"}"#, no(OwnerActionNeeded)),
            (402, "", no(MakerRefused)),
            (403, r#"{"error":"Unauthorized missing scopes"}"#, no(OwnerActionNeeded)),
            (403, r#"{"error":"unsupported vehicle"}"#, no(NotSupported)),
            (403, r#"{"error":"Tesla Vehicle Command Protocol required"}"#, Meaning::SignIt),
            (404, "", no(NotSupported)),
            (408, "", no(Asleep)),
            (412, "", no(MakerRefused)),
            (421, "", Meaning::AnotherRegion),
            (422, "", Meaning::SendItPlain),
            (423, "", no(OwnerActionNeeded)),
            (429, "", no(RateLimited)),
            (451, "", no(OwnerActionNeeded)),
            (499, "", no(MakerRefused)),
            (503, "", no(Asleep)),
            (500, "", Meaning::Unknown),
            (502, "", Meaning::Unknown),
            (504, "", Meaning::Unknown),
            (540, "", Meaning::Unknown),
            (302, "", Meaning::Unknown),
            (204, "", Meaning::Unknown),
        ] {
            assert_eq!(told(Asked::Trunk, status, body), expected, "{status} {body}");
        }
        assert_eq!(by_status(Err(Silence::NeverSent)), no(MakerRefused));
        assert_eq!(by_status(Err(Silence::Lost)), Meaning::Unknown);
    }

    #[test]
    fn a_cars_no_is_a_no_and_anything_else_that_is_not_a_plain_yes_is_unknown() {
        let body = |result: &str, reason: &str| format!(r#"{{"response":{{"result":{result},"reason":"{reason}"}}}}"#);
        for (asked, body, expected) in [
            (Asked::Trunk, body("true", ""), Meaning::Done),
            (Asked::Lock, body("false", "closures_open"), Meaning::DidNotHappen(Refusal::NotClosed)),
            (Asked::Lock, body("false", "did_not_lock"), Meaning::DidNotHappen(Refusal::CarFailed)),
            (Asked::Trunk, body("false", "closures_open"), Meaning::DidNotHappen(Refusal::CarFailed)),
            (Asked::Trunk, body("\"true\"", ""), Meaning::Unknown),
            (Asked::Trunk, body("\"queued\"", ""), Meaning::Unknown),
            (Asked::Trunk, body("1", ""), Meaning::Unknown),
            (Asked::Trunk, r#"{"response":{"result":true,"result":false}}"#.to_owned(), Meaning::Unknown),
            (Asked::Trunk, r#"{"response":null}"#.to_owned(), Meaning::Unknown),
            (Asked::Trunk, "{}".to_owned(), Meaning::Unknown),
            (Asked::Trunk, String::new(), Meaning::Unknown),
        ] {
            assert_eq!(told(asked, 200, &body), expected, "{body}");
        }
        assert_eq!(by_body(Asked::Trunk, None), Meaning::Unknown, "too long, or broken off");
    }
}
