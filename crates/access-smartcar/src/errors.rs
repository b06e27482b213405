//! The vendor's errors: what a status, a type and a code mean for a reading. Pure. What they mean for a command is in
//! [`commands`](crate::commands).

use http::StatusCode;
use parcelshelf_access::AccessError;

use crate::json::Json;
use crate::wire::Answer;

/// The access token has ended early, or the owner withdrew the consent. A refresh tells which.
pub const TOKEN_REFUSED: &str = "the access token was refused";
/// A permission is missing, or the car is not this owner's any more.
pub const PERMISSION_REFUSED: &str = "a permission or the relation to the car is missing";
/// The owner's account with the maker of the car needs attention: a subscription, a password, a key.
pub const ACCOUNT_REFUSED: &str = "the owner's account with the car's maker needs attention";
/// The car refuses remote access until its owner allows it.
pub const REMOTE_ACCESS_OFF: &str = "remote access is switched off in the car";

/// Billing has a status of its own, which no registry knows.
pub(crate) const BILLING: u16 = 430;

/// Type and code of an error, in capital letters. A member that is missing or appears twice is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub kind: String,
    pub code: String,
}
pub(crate) fn told(answer: &Answer) -> Told {
    let json = answer.body.as_deref().and_then(Json::parse);
    let word = |name| json.as_ref().and_then(|j| j.get(name)).and_then(Json::text).map(str::to_ascii_uppercase);
    Told { kind: word("type").unwrap_or_default(), code: word("code").unwrap_or_default() }
}

/// The body of a reading, once the status is sorted out.
pub(crate) fn readable(answer: &Answer) -> Result<&[u8], AccessError> {
    if answer.status == StatusCode::OK {
        return answer.body.as_deref().ok_or(AccessError::Malformed("body"));
    }
    let told = told(answer);
    Err(match answer.status {
        StatusCode::UNAUTHORIZED => AccessError::OwnerActionNeeded(TOKEN_REFUSED),
        StatusCode::FORBIDDEN => AccessError::OwnerActionNeeded(PERMISSION_REFUSED),
        StatusCode::BAD_REQUEST if told.kind == "CONNECTED_SERVICES_ACCOUNT" => {
            AccessError::OwnerActionNeeded(ACCOUNT_REFUSED)
        }
        StatusCode::NOT_FOUND | StatusCode::NOT_IMPLEMENTED => AccessError::NotSupported,
        StatusCode::CONFLICT if told.code == "REMOTE_ACCESS_DISABLED" => {
            AccessError::OwnerActionNeeded(REMOTE_ACCESS_OFF)
        }
        // Asleep, under way, out of reach: not now.
        StatusCode::CONFLICT if told.kind == "VEHICLE_STATE" => AccessError::CarSilent,
        StatusCode::TOO_MANY_REQUESTS => AccessError::RateLimited { retry_after: answer.retry_after() },
        // The plan's requests for this car are used up; when there are new ones, the vendor does not say.
        status if status.as_u16() == BILLING && told.code == "VEHICLE_REQUEST_LIMIT" => {
            AccessError::RateLimited { retry_after: None }
        }
        // The plan itself: whoever runs this must act, no owner can.
        status if status.as_u16() == BILLING => AccessError::Credentials,
        // One of many makers' clouds behind this one is in trouble: the cars of the others answer.
        StatusCode::BAD_GATEWAY if told.kind == "UPSTREAM" => AccessError::CarSilent,
        status if status.is_server_error() => AccessError::Unreachable,
        _ => AccessError::Malformed("status"),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let mut headers = http::HeaderMap::new();
        headers.insert("retry-after", http::HeaderValue::from_static("9"));
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Some(body.to_owned().into()) }
    }

    #[test]
    fn every_error_tells_who_must_act() {
        use AccessError::{
            CarSilent, Credentials, Malformed, NotSupported, OwnerActionNeeded, RateLimited, Unreachable,
        };
        for (status, kind, code, expected) in [
            (401, "AUTHENTICATION", "", OwnerActionNeeded(TOKEN_REFUSED)),
            (403, "PERMISSION", "", OwnerActionNeeded(PERMISSION_REFUSED)),
            (400, "VALIDATION", "PARAMETER", Malformed("status")),
            (400, "CONNECTED_SERVICES_ACCOUNT", "SUBSCRIPTION", OwnerActionNeeded(ACCOUNT_REFUSED)),
            (400, "CONNECTED_SERVICES_ACCOUNT", "VIRTUAL_KEY_REQUIRED", OwnerActionNeeded(ACCOUNT_REFUSED)),
            (404, "RESOURCE_NOT_FOUND", "PATH", NotSupported),
            (409, "VEHICLE_STATE", "ASLEEP", CarSilent),
            (409, "VEHICLE_STATE", "REMOTE_ACCESS_DISABLED", OwnerActionNeeded(REMOTE_ACCESS_OFF)),
            (409, "SOMETHING", "ELSE", Malformed("status")),
            (430, "BILLING", "INVALID_PLAN", Credentials),
            (430, "BILLING", "ACCOUNT_SUSPENDED", Credentials),
            (430, "BILLING", "VEHICLE_REQUEST_LIMIT", RateLimited { retry_after: None }),
            (429, "RATE_LIMIT", "VEHICLE", RateLimited { retry_after: Some(Duration::from_secs(9)) }),
            (501, "COMPATIBILITY", "VEHICLE_NOT_CAPABLE", NotSupported),
            (500, "SERVER", "INTERNAL", Unreachable),
            (502, "UPSTREAM", "NO_RESPONSE", CarSilent),
            (502, "", "", Unreachable),
            (418, "", "", Malformed("status")),
            (302, "", "", Malformed("status")),
        ] {
            let body = format!(r#"{{"type":"{kind}","code":"{code}","statusCode":{status}}}"#);
            assert_eq!(readable(&answer(status, &body)), Err(expected), "{status} {kind} {code}");
        }
        assert_eq!(readable(&answer(200, "{}")), Ok(&b"{}"[..]));
        let broken = Answer { body: None, ..answer(200, "") };
        assert_eq!(readable(&broken), Err(Malformed("body")));
    }

    #[test]
    fn hostile_errors_say_nothing() {
        for body in ["", "<html>", "[]", r#"{"type":7,"code":null}"#, r#"{"type":"A","type":"B"}"#] {
            assert_eq!(told(&answer(409, body)), Told::default(), "{body}");
        }
    }
}
