//! What an answer to a command, or about one, means: done, did not happen, or unknown. Pure.
//!
//! The maker answers a command with a request URL at once; what became of it is asked there. Words are the maker's: `SUCCESS`
//! means that the car reported it done, `FAILURE` that the car said no, or that nobody heard of it again. Any other word (`IN_PROGRESS`, `ERROR`, one that
//! nobody has listed) decides nothing.

use std::time::Duration;

use http::StatusCode;
use parcelshelf_access::Sent;
use parcelshelf_core::actuation::{Confirmation, Outcome, Refusal};
use parcelshelf_core::time::Timestamp;
use url::Url;

use crate::json::Json;
use crate::wire::{Answer, Silence};

/// A command without a final word may still act so long after it was sent. Implementers stop asking after 90 s; a sleeping
/// car needs half a minute more.
pub(crate) const UNANSWERED_MAY_ACT_FOR: Duration = Duration::from_secs(120);
/// While the maker says that a command is under way, it may act at least so much longer.
const UNDER_WAY_S: i64 = 30;
/// Longer request URLs are not this maker's.
const HANDLE_BYTES_MAX: usize = 1_024;

/// What is asked of the car.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    UnlockTrunk,
    LockTrunk,
    /// Lights only.
    Flash,
}
impl Asked {
    pub const fn path(self) -> &'static str {
        match self {
            Self::UnlockTrunk => "unlockTrunk",
            Self::LockTrunk => "lockTrunk",
            Self::Flash => "alert",
        }
    }
    /// The body for an API. They differ for the alert only.
    pub fn body(self, api: Api) -> String {
        const LIGHTS: &str = r#"{"action":["Flash"],"delay":0,"duration":1,"override":["DoorOpen","IgnitionOn"]}"#;
        match (self, api) {
            (Self::UnlockTrunk, _) => r#"{"unlockTrunkRequest":{"delay":0}}"#.to_owned(),
            (Self::LockTrunk, _) => r#"{"lockTrunkRequest":{"delay":0}}"#.to_owned(),
            (Self::Flash, Api::V3) => LIGHTS.to_owned(),
            (Self::Flash, Api::V1) => format!("{{\"alertRequest\":{LIGHTS}}}"),
        }
    }
}

/// The two generations of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    V3,
    V1,
}

/// What `send` saw, from what came back over the wire. `sent_at`: when the command left.
pub(crate) fn sent(api: &Url, sent_at: Timestamp, came_back: Result<&Answer, Silence>) -> Sent {
    let until = may_act_until(sent_at);
    let answer = match came_back {
        Ok(answer) => answer,
        Err(Silence::NeverSent) => return did_not_happen(Refusal::MakerRefused, None),
        Err(Silence::Lost) => return unknown(until, None, None),
    };
    let wait = answer.retry_after();
    match answer.status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => match answer.body.as_deref().and_then(report) {
            Some(report) => concluded(&report, until, handle(api, report.url.as_deref())),
            None => unknown(until, None, None),
        },
        // The request was refused before anything was sent to the car.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => did_not_happen(Refusal::OwnerActionNeeded, wait),
        // No such command for this car, or a path that the maker has retired.
        StatusCode::NOT_FOUND | StatusCode::GONE => did_not_happen(Refusal::NotSupported, wait),
        StatusCode::TOO_MANY_REQUESTS => did_not_happen(Refusal::RateLimited, wait),
        StatusCode::BAD_REQUEST
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::NOT_ACCEPTABLE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE => did_not_happen(Refusal::MakerRefused, wait),
        // 5xx tells nothing about the car; nothing else is known of.
        _ => unknown(until, None, wait),
    }
}

/// What a request URL told later. `None`: nothing that could be understood.
pub(crate) fn reconciled(body: &[u8], prepared_at: Timestamp, now: Timestamp, url: &[u8]) -> Option<Sent> {
    let until = may_act_until(prepared_at).max(now.plus_seconds(UNDER_WAY_S));
    Some(concluded(&report(body)?, until, Some(url.to_vec())))
}

fn concluded(report: &Report, until: Timestamp, handle: Option<Vec<u8>>) -> Sent {
    match report.word {
        Word::Done => Sent {
            outcome: Outcome::Done(Confirmation::Executed),
            may_act_until: None,
            ready_until: None,
            handle,
            retry_after: None,
        },
        // Why, the maker says in codes that it publishes nowhere.
        Word::Failed => Sent { handle, ..did_not_happen(Refusal::CarFailed, None) },
        Word::Undecided => unknown(until, handle, None),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Done,
    Failed,
    Undecided,
}
#[derive(Debug)]
struct Report {
    word: Word,
    url: Option<String>,
}
/// Both shapes: members at the top (new), or under `commandResponse` (old).
fn report(body: &[u8]) -> Option<Report> {
    let json = Json::parse(body)?;
    let told = match json.get("commandResponse") {
        Some(inner) => inner,
        None => &json,
    };
    let word = match told.get("status").and_then(Json::text)?.to_ascii_lowercase().as_str() {
        "success" | "completed" | "complete" => Word::Done,
        "failure" | "failed" => Word::Failed,
        _ => Word::Undecided,
    };
    Some(Report { word, url: told.get("url").and_then(Json::text).map(str::to_owned) })
}

/// The request URL as bytes to keep, if it leads to the configured host and nowhere else.
pub(crate) fn handle(api: &Url, url: Option<&str>) -> Option<Vec<u8>> {
    let text = url.filter(|u| u.len() <= HANDLE_BYTES_MAX)?;
    own_url(api, text).map(|url| String::from(url).into_bytes())
}
/// The request URL in bytes that were kept.
pub(crate) fn kept_url(api: &Url, handle: &[u8]) -> Option<Url> {
    let text = std::str::from_utf8(handle).ok().filter(|t| t.len() <= HANDLE_BYTES_MAX)?;
    own_url(api, text)
}
fn own_url(api: &Url, text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let anonymous = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (url.origin() == api.origin() && anonymous).then_some(url)
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
