//! What the cloud's answers mean: a device's state, and what became of an action attempt. Pure. Unknown counts as no.

use std::time::Duration;

use http::StatusCode;
use parcelshelf_access::{AccessError, LockState, Reachability, Reading, Sent};
use parcelshelf_core::actuation::{Confirmation, Outcome, Refusal};
use parcelshelf_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::config::is_id;
use crate::wire::{Answer, Silence};

/// A command without a final word may still act so long. The cloud's own clients stop waiting after seconds, and bridges
/// and batteries answer later than that.
pub(crate) const UNANSWERED_MAY_ACT_FOR: Duration = Duration::from_secs(120);
/// A key that the cloud does not know it may take for a person's token, and then asks which workspace is meant.
const NOT_A_WORKSPACES: &str = "missing_workspace_id";
/// Words about a device that are kept.
const WORDS_MAX: usize = 16;
const WORD_BYTES_MAX: usize = 100;

/// What is asked of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Unlock,
    Lock,
}
impl Asked {
    pub const fn path(self) -> &'static str {
        match self {
            Self::Unlock => "/locks/unlock_door",
            Self::Lock => "/locks/lock_door",
        }
    }
    const fn action_type(self) -> &'static str {
        match self {
            Self::Unlock => "UNLOCK_DOOR",
            Self::Lock => "LOCK_DOOR",
        }
    }
}

/// Members that are not used here are ignored; one that stands there twice, or is of another type, makes the whole
/// unreadable.
#[derive(Deserialize)]
struct OfLock {
    ok: bool,
    lock: Device,
}
#[derive(Deserialize)]
pub(crate) struct Device {
    device_id: String,
    #[serde(default)]
    is_managed: Value,
    #[serde(default)]
    can_remotely_unlock: Value,
    #[serde(default)]
    can_remotely_lock: Value,
    properties: Properties,
    #[serde(default)]
    errors: Vec<Value>,
}
#[derive(Deserialize)]
struct Properties {
    #[serde(default)]
    online: Value,
    #[serde(default)]
    locked: Value,
}

impl Device {
    /// The lock with this id; `None` for anything else.
    pub fn parse(body: &[u8], device_id: &str) -> Option<Self> {
        let told: OfLock = serde_json::from_slice(body).ok()?;
        (told.ok && told.lock.device_id == device_id).then_some(told.lock)
    }
    /// It opens and locks from afar, both by a clear word: an opening that cannot be locked again is none.
    pub fn can_open(&self) -> bool {
        self.can_remotely_unlock == true && self.can_lock()
    }
    pub fn can_lock(&self) -> bool {
        self.can_remotely_lock == true && self.is_managed == true
    }
    /// The cloud gives no time for it, and remembers the last word of a device that is offline.
    pub fn lock(&self) -> Reading<LockState> {
        let value = match (&self.properties.online, &self.properties.locked) {
            (Value::Bool(true), Value::Bool(true)) => LockState::Locked,
            (Value::Bool(true), Value::Bool(false)) => LockState::Unlocked,
            _ => LockState::Unknown,
        };
        Reading { value, changed_at: None }
    }
    pub fn reachability(&self) -> Reachability {
        match self.properties.online {
            Value::Bool(true) => Reachability::Available,
            Value::Bool(false) => Reachability::NoConnection,
            _ => Reachability::Unknown,
        }
    }
    /// What the cloud says against the device, in its words.
    pub fn against(&self) -> Vec<String> {
        let word = |error: &Value| {
            let text = error.get("error_code").or_else(|| error.get("type")).and_then(Value::as_str).unwrap_or("error");
            let fit = text.len() <= WORD_BYTES_MAX && !text.chars().any(char::is_control);
            if fit { text.to_owned() } else { "error".to_owned() }
        };
        self.errors.iter().take(WORDS_MAX).map(word).collect()
    }
}

#[derive(Deserialize)]
struct OfAttempt {
    ok: bool,
    action_attempt: Attempt,
}
#[derive(Deserialize)]
struct Attempt {
    action_attempt_id: String,
    action_type: String,
    status: String,
    #[serde(default)]
    result: Value,
}
fn attempt(body: &[u8], asked: Asked) -> Option<Attempt> {
    let told: OfAttempt = serde_json::from_slice(body).ok()?;
    let attempt = told.action_attempt;
    (told.ok && is_id(&attempt.action_attempt_id) && attempt.action_type == asked.action_type()).then_some(attempt)
}

/// The type in the cloud's own error envelope.
pub(crate) fn problem(body: Option<&[u8]>) -> Option<String> {
    #[derive(Deserialize)]
    struct Envelope {
        ok: bool,
        error: Problem,
    }
    #[derive(Deserialize)]
    struct Problem {
        #[serde(rename = "type")]
        kind: String,
    }
    let told: Envelope = serde_json::from_slice(body?).ok()?;
    (!told.ok).then_some(told.error.kind)
}

/// What `send` saw. `sent_at`: when the command left.
pub(crate) fn sent(asked: Asked, sent_at: Timestamp, came_back: Result<&Answer, Silence>) -> Sent {
    let until = may_act_until(sent_at);
    let answer = match came_back {
        Ok(answer) => answer,
        Err(Silence::NeverSent) => return did_not_happen(Refusal::MakerRefused, None),
        Err(Silence::Lost) => return unknown(until, None, None),
    };
    let (body, wait) = (answer.body.as_deref(), answer.retry_after());
    match answer.status {
        StatusCode::OK => match body.and_then(|b| attempt(b, asked)) {
            Some(attempt) => concluded(&attempt, until),
            None => unknown(until, None, None),
        },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => did_not_happen(Refusal::OwnerActionNeeded, wait),
        StatusCode::TOO_MANY_REQUESTS => did_not_happen(Refusal::RateLimited, wait),
        // The cloud's own word that no attempt was made; a page of somebody on the way is none.
        status if status.is_client_error() => match problem(body).as_deref() {
            Some("device_not_found") => did_not_happen(Refusal::NotSupported, wait),
            Some(NOT_A_WORKSPACES) => did_not_happen(Refusal::OwnerActionNeeded, wait),
            Some(_) => did_not_happen(Refusal::MakerRefused, wait),
            None => unknown(until, None, wait),
        },
        _ => unknown(until, None, wait),
    }
}

/// What the attempt says later. `None`: nothing that could be understood, or of another attempt.
pub(crate) fn reconciled(asked: Asked, body: &[u8], prepared_at: Timestamp, handle: &[u8]) -> Option<Sent> {
    let attempt = attempt(body, asked).filter(|a| a.action_attempt_id.as_bytes() == handle)?;
    Some(concluded(&attempt, may_act_until(prepared_at)))
}
/// The attempt's id in bytes that were kept.
pub(crate) fn kept_id(handle: &[u8]) -> Option<&str> {
    std::str::from_utf8(handle).ok().filter(|id| is_id(id))
}

fn concluded(attempt: &Attempt, until: Timestamp) -> Sent {
    let confirmed = attempt.result.get("was_confirmed_by_device").is_some_and(|c| *c == true);
    match attempt.status.as_str() {
        "success" if confirmed => done(Confirmation::Executed),
        // The lock did not say so itself. There is nothing more to ask by.
        "success" => done(Confirmation::Accepted),
        // A lock that did not answer in time may have turned all the same.
        "error" => unknown(until, None, None),
        // Pending, or a word that nobody has listed.
        _ => unknown(until, Some(attempt.action_attempt_id.clone().into_bytes()), None),
    }
}

/// The body of a reading's answer.
pub(crate) fn readable(answer: Answer) -> Result<bytes::Bytes, AccessError> {
    match answer.status {
        StatusCode::OK => answer.body.ok_or(AccessError::Malformed("body")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(AccessError::OwnerActionNeeded(crate::KEY_REFUSED)),
        StatusCode::BAD_REQUEST if problem(answer.body.as_deref()).as_deref() == Some(NOT_A_WORKSPACES) => {
            Err(AccessError::OwnerActionNeeded(crate::KEY_REFUSED))
        }
        StatusCode::NOT_FOUND if problem(answer.body.as_deref()).is_some() => Err(AccessError::NotSupported),
        StatusCode::TOO_MANY_REQUESTS => Err(AccessError::RateLimited { retry_after: answer.retry_after() }),
        status if status.is_server_error() => Err(AccessError::Unreachable),
        _ => Err(AccessError::Malformed("status")),
    }
}

const fn may_act_until(sent_at: Timestamp) -> Timestamp {
    sent_at.plus_seconds(UNANSWERED_MAY_ACT_FOR.as_secs().cast_signed())
}
const fn done(confirmation: Confirmation) -> Sent {
    Sent {
        outcome: Outcome::Done(confirmation),
        may_act_until: None,
        ready_until: None,
        handle: None,
        retry_after: None,
    }
}
pub(crate) const fn did_not_happen(refusal: Refusal, retry_after: Option<Duration>) -> Sent {
    Sent { outcome: Outcome::DidNotHappen(refusal), may_act_until: None, ready_until: None, handle: None, retry_after }
}
const fn unknown(until: Timestamp, handle: Option<Vec<u8>>, retry_after: Option<Duration>) -> Sent {
    Sent { outcome: Outcome::Unknown, may_act_until: Some(until), ready_until: None, handle, retry_after }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);

    fn answered(status: u16, body: &str) -> Sent {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, headers: HeaderMap::new(), body: Some(body.to_owned().into()) };
        sent(Asked::Unlock, NOW, Ok(&answer))
    }
    fn told(status: &str, result: &str) -> String {
        format!(
            r#"{{"action_attempt":{{"action_attempt_id":"a1","action_type":"UNLOCK_DOOR","status":"{status}","result":{result},"error":null}},"ok":true}}"#
        )
    }
    fn unknown_with(handle: Option<&[u8]>) -> Sent {
        unknown(NOW.plus_seconds(120), handle.map(<[u8]>::to_vec), None)
    }

    #[test]
    fn only_the_locks_own_word_counts_as_executed() {
        let executed = done(Confirmation::Executed);
        assert_eq!(answered(200, &told("success", r#"{"was_confirmed_by_device":true}"#)), executed);
        for result in
            ["null", "{}", "7", r#"{"was_confirmed_by_device":false}"#, r#"{"was_confirmed_by_device":"true"}"#]
        {
            assert_eq!(answered(200, &told("success", result)), done(Confirmation::Accepted), "{result}");
        }
    }

    #[test]
    fn a_pending_attempt_is_unknown_with_its_id_and_a_failed_one_without() {
        assert_eq!(answered(200, &told("pending", "null")), unknown_with(Some(b"a1")));
        assert_eq!(answered(200, &told("paused", "null")), unknown_with(Some(b"a1")), "a word that nobody has listed");
        assert_eq!(answered(200, &told("error", "null")), unknown_with(None));
    }

    #[test]
    fn what_is_not_this_commands_attempt_decides_nothing() {
        for body in [
            "",
            "{}",
            "<html>",
            &told("success", "{}").replace("UNLOCK_DOOR", "LOCK_DOOR"),
            &told("success", "{}").replace("\"ok\":true", "\"ok\":false"),
            &told("success", "{}").replace("a1", "a 1"),
            &told("success", "{}").replace("\"status\"", "\"status\":\"error\",\"status\""),
        ] {
            assert_eq!(answered(200, body), unknown_with(None), "{body}");
        }
        let id = |handle: &[u8]| reconciled(Asked::Unlock, told("success", "{}").as_bytes(), NOW, handle);
        assert!(id(b"a1").is_some() && id(b"a2").is_none());
        assert!(kept_id(b"a1").is_some() && kept_id(b"a/../1").is_none() && kept_id(b"\xff").is_none());
    }

    #[test]
    fn a_refusal_is_one_only_in_the_clouds_own_words() {
        let refusal = |kind: &str| format!(r#"{{"error":{{"type":"{kind}","message":"x"}},"ok":false}}"#);
        let no = |r: Refusal| did_not_happen(r, None);
        assert_eq!(answered(404, &refusal("device_not_found")), no(Refusal::NotSupported));
        assert_eq!(answered(400, &refusal("invalid_input")), no(Refusal::MakerRefused));
        assert_eq!(answered(401, &refusal("unauthorized")), no(Refusal::OwnerActionNeeded));
        assert_eq!(answered(400, &refusal("missing_workspace_id")), no(Refusal::OwnerActionNeeded));
        assert_eq!(answered(429, ""), no(Refusal::RateLimited));
        for status in [201, 302, 404, 408, 409, 500, 502, 503, 504] {
            assert_eq!(answered(status, "<html>"), unknown_with(None), "{status}");
        }
    }

    #[test]
    fn an_offline_locks_last_word_is_no_word() {
        let device = |online: &str, locked: &str| {
            let body = format!(
                r#"{{"ok":true,"lock":{{"device_id":"d1","is_managed":true,"can_remotely_unlock":true,"can_remotely_lock":true,
                "properties":{{"online":{online},"locked":{locked}}},"errors":[]}}}}"#
            );
            Device::parse(body.as_bytes(), "d1").unwrap()
        };
        assert_eq!(device("true", "true").lock().value, LockState::Locked);
        assert_eq!(device("true", "false").lock().value, LockState::Unlocked);
        for (online, locked) in
            [("false", "true"), ("null", "true"), ("true", "null"), ("true", "\"true\""), ("1", "1")]
        {
            assert_eq!(device(online, locked).lock().value, LockState::Unknown, "{online} {locked}");
        }
        assert_eq!(device("false", "true").reachability(), Reachability::NoConnection);
        assert_eq!(device("null", "true").reachability(), Reachability::Unknown);
    }

    #[test]
    fn what_cannot_be_locked_from_afar_is_not_opened() {
        let device = |unlock: &str, lock: &str, managed: &str| {
            let body = format!(
                r#"{{"ok":true,"lock":{{"device_id":"d1","is_managed":{managed},"can_remotely_unlock":{unlock},
                "can_remotely_lock":{lock},"properties":{{}},"errors":[{{"error_code":"account_disconnected"}},7]}}}}"#
            );
            Device::parse(body.as_bytes(), "d1").unwrap()
        };
        assert!(device("true", "true", "true").can_open());
        for (unlock, lock, managed) in
            [("true", "false", "true"), ("false", "true", "true"), ("true", "true", "false"), ("null", "1", "true")]
        {
            assert!(!device(unlock, lock, managed).can_open(), "{unlock} {lock} {managed}");
        }
        assert_eq!(device("true", "true", "true").against(), ["account_disconnected", "error"]);
        assert!(Device::parse(b"{\"ok\":true,\"lock\":{\"device_id\":\"d2\",\"properties\":{}}}", "d1").is_none());
        assert!(Device::parse("[".repeat(100_000).as_bytes(), "d1").is_none());
    }
}
