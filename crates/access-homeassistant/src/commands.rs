//! What an answer to a command, or a look after it, means: done, did not happen, or unknown. Pure.
//!
//! The server answers with the states that the call changed, all under the call's own context id. Only the lock's last word
//! among them decides; a door with a drive has said its last word when it is where it was sent. A status that is no success decides nothing: the server also gives 400 and 500 when an automation
//! behind the lock fails after it has turned the bolt.

use std::time::Duration;

use http::StatusCode;
use parcelshelf_access::Sent;
use parcelshelf_core::actuation::{Confirmation, Outcome, Refusal};
use parcelshelf_core::time::Timestamp;

use crate::state::{Leaf, State, Word};
use crate::wire::{Answer, Silence};

/// A command without a final word may still act so long: the server goes on with it though nobody listens, and integrations
/// give their own clouds a minute or two.
pub(crate) const UNANSWERED_MAY_ACT_FOR: Duration = Duration::from_secs(120);
/// The server's context ids have 26 or 32 characters.
const CONTEXT_BYTES_MAX: usize = 64;

/// What is asked of a lock, or of a door's drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Unlock,
    Lock,
    Raise,
    Lower,
}
/// What a state says of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Done,
    Failed,
    /// It is on its way, or nobody can say.
    NotYet,
}
impl Asked {
    pub const fn service(self) -> &'static str {
        match self {
            Self::Unlock => "/api/services/lock/unlock",
            Self::Lock => "/api/services/lock/lock",
            Self::Raise => "/api/services/cover/open_cover",
            Self::Lower => "/api/services/cover/close_cover",
        }
    }
    fn told(self, state: &State) -> Told {
        let done = match self {
            Self::Unlock => state.word() == Word::Unlocked,
            Self::Lock => state.word() == Word::Locked,
            // Half way is open as well: a parcel may fit through, and nobody may call it shut.
            Self::Raise => state.leaf() == Leaf::Open,
            Self::Lower => state.leaf() == Leaf::Closed,
        };
        match (done, self, state.word()) {
            (true, ..) => Told::Done,
            (false, Self::Unlock | Self::Lock, Word::Jammed) => Told::Failed,
            _ => Told::NotYet,
        }
    }
    /// It is so already.
    pub fn is_so(self, state: &State) -> bool {
        self.told(state) == Told::Done
    }
}

/// What the lock or the door said before a command, if that forbids it.
pub(crate) fn forbids(asked: Asked, state: &State) -> Option<Refusal> {
    match asked {
        // The server itself passes no command on to such a device, and says nothing of it.
        _ if state.is_unavailable() => Some(Refusal::Unreachable),
        // Many drives know one button: pressed at a door that is not shut it might shut or stop it.
        Asked::Raise if state.leaf() != Leaf::Closed => Some(Refusal::NotClosed),
        _ => None,
    }
}

/// A drive that is at it is not told again: many know one button, and a second press stops them. What it did is the door's to
/// say.
pub(crate) fn under_way(asked: Asked, state: &State, now: Timestamp) -> Option<Sent> {
    let at_it = asked == Asked::Lower && state.leaf() == Leaf::Closing;
    at_it.then(|| unknown(may_act_until(now), None, None))
}

/// What `send` saw. `moved`: the lock's or cover's id; `was_so`: it was so just before; `sent_at`: when the command left.
pub(crate) fn sent(
    asked: Asked,
    moved: &str,
    was_so: bool,
    sent_at: Timestamp,
    came_back: Result<&Answer, Silence>,
) -> Sent {
    let until = may_act_until(sent_at);
    let answer = match came_back {
        Ok(answer) => answer,
        Err(Silence::NeverSent) => return did_not_happen(Refusal::MakerRefused, None),
        Err(Silence::Lost) => return unknown(until, None, None),
    };
    let wait = answer.retry_after();
    match answer.status {
        StatusCode::OK => {}
        // The server has no quota: somebody on the way has, and let nothing through.
        StatusCode::TOO_MANY_REQUESTS => return did_not_happen(Refusal::RateLimited, wait),
        _ => return unknown(until, None, wait),
    }
    let Some(states) = answer.body.as_deref().and_then(State::list) else { return unknown(until, None, None) };
    let Some(context) = one_context(&states) else {
        // Nothing changed. Where the lock was already so, the server took the command and that is all; else the device's
        // own report is still to come.
        let already = states.is_empty() && was_so;
        return if already { done(Confirmation::Accepted, None) } else { unknown(until, None, None) };
    };
    match states.iter().rev().find(|s| s.is_of(moved)) {
        Some(state) => concluded(asked, state, until, context),
        None => unknown(until, Some(context.as_bytes().to_vec()), None),
    }
}

/// What the lock's state says later about the command with this context. `None`: it says nothing of it, for something
/// else has changed it since, or has never changed.
pub(crate) fn reconciled(asked: Asked, state: &State, prepared_at: Timestamp, handle: &[u8]) -> Option<Sent> {
    let context = std::str::from_utf8(handle).ok().filter(|c| fits(c))?;
    (state.context() == context).then(|| concluded(asked, state, may_act_until(prepared_at), context))
}

fn concluded(asked: Asked, state: &State, until: Timestamp, context: &str) -> Sent {
    let handle = Some(context.as_bytes().to_vec());
    match asked.told(state) {
        // The integration only repeats what it was told, and would again: there is nothing more to ask by.
        Told::Done if state.is_assumed() => done(Confirmation::Accepted, None),
        Told::Done => done(Confirmation::Observed, handle),
        Told::Failed => Sent { handle, ..did_not_happen(Refusal::CarFailed, None) },
        Told::NotYet => unknown(until, handle, None),
    }
}

/// The context that all of them share. The server promises one; two are no answer.
fn one_context(states: &[State]) -> Option<&str> {
    let first = states.first()?.context();
    (fits(first) && states.iter().all(|s| s.context() == first)).then_some(first)
}
fn fits(context: &str) -> bool {
    !context.is_empty() && context.len() <= CONTEXT_BYTES_MAX && context.bytes().all(|b| b.is_ascii_alphanumeric())
}

const fn may_act_until(sent_at: Timestamp) -> Timestamp {
    sent_at.plus_seconds(UNANSWERED_MAY_ACT_FOR.as_secs().cast_signed())
}
const fn done(confirmation: Confirmation, handle: Option<Vec<u8>>) -> Sent {
    Sent { outcome: Outcome::Done(confirmation), may_act_until: None, ready_until: None, handle, retry_after: None }
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
    const LOCK: &str = "lock.car";

    fn one(entity: &str, state: &str, context: &str) -> String {
        format!(
            r#"{{"entity_id":"{entity}","state":"{state}","attributes":{{}},"last_changed":"2026-11-22T22:23:12.582976+00:00",
            "last_updated":"2026-11-22T22:24:00+00:00","context":{{"id":"{context}","parent_id":null,"user_id":null}}}}"#
        )
    }
    fn answer_to(asked: Asked, moved: &str, status: u16, body: &str, was_so: bool) -> Sent {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, headers: HeaderMap::new(), body: Some(body.to_owned().into()) };
        sent(asked, moved, was_so, NOW, Ok(&answer))
    }
    fn answered(status: u16, body: &str, before: Word) -> Sent {
        answer_to(Asked::Lock, LOCK, status, body, before == Word::Locked)
    }
    fn outcome(states: &[String]) -> Outcome {
        answered(200, &format!("[{}]", states.join(",")), Word::Unlocked).outcome
    }

    #[test]
    fn the_locks_last_word_under_the_calls_own_context_decides() {
        let observed = Outcome::Done(Confirmation::Observed);
        assert_eq!(outcome(&[one(LOCK, "locking", "01A"), one(LOCK, "locked", "01A")]), observed);
        assert_eq!(outcome(&[one(LOCK, "locked", "01A"), one("light.hall", "off", "01A")]), observed);
        assert_eq!(outcome(&[one(LOCK, "locking", "01A")]), Outcome::Unknown);
        assert_eq!(outcome(&[one(LOCK, "locked", "01A"), one(LOCK, "unlocked", "01A")]), Outcome::Unknown);
        assert_eq!(outcome(&[one(LOCK, "jammed", "01A")]), Outcome::DidNotHappen(Refusal::CarFailed));
        for word in ["unavailable", "unknown", "half", ""] {
            assert_eq!(outcome(&[one(LOCK, word, "01A")]), Outcome::Unknown, "{word}");
        }
    }

    #[test]
    fn another_locks_word_or_another_calls_decides_nothing() {
        assert_eq!(outcome(&[one("lock.other", "locked", "01A")]), Outcome::Unknown);
        assert_eq!(outcome(&[one("light.hall", "on", "01B"), one(LOCK, "locked", "01A")]), Outcome::Unknown);
        assert_eq!(outcome(&[one(LOCK, "locked", "")]), Outcome::Unknown);
        assert_eq!(outcome(&[one(LOCK, "locked", &"A".repeat(65))]), Outcome::Unknown);
    }

    #[test]
    fn an_empty_list_is_never_a_proof() {
        assert_eq!(answered(200, "[]", Word::Unlocked).outcome, Outcome::Unknown);
        assert_eq!(answered(200, "[]", Word::Other).outcome, Outcome::Unknown);
        assert_eq!(
            answered(200, "[]", Word::Locked).outcome,
            Outcome::Done(Confirmation::Accepted),
            "it was so before"
        );
    }

    #[test]
    fn what_is_only_assumed_is_only_accepted() {
        let assumed = one(LOCK, "locked", "01A").replace("\"attributes\":{}", r#""attributes":{"assumed_state":true}"#);
        assert_eq!(outcome(&[assumed]), Outcome::Done(Confirmation::Accepted));
    }

    #[test]
    fn no_status_but_success_and_a_full_quota_decides_anything() {
        for status in [201, 204, 301, 400, 401, 403, 404, 405, 409, 422, 500, 502, 503, 504] {
            let sent = answered(status, "", Word::Unlocked);
            assert_eq!((sent.outcome, sent.may_act_until), (Outcome::Unknown, Some(NOW.plus_seconds(120))), "{status}");
        }
        assert_eq!(answered(429, "", Word::Unlocked).outcome, Outcome::DidNotHappen(Refusal::RateLimited));
        for body in ["", "{}", "null", "<html>", "[7]", "[{}]"] {
            assert_eq!(answered(200, body, Word::Unlocked).outcome, Outcome::Unknown, "{body}");
        }
        let lost = sent(Asked::Lock, LOCK, false, NOW, Err(Silence::Lost));
        assert_eq!(lost.outcome, Outcome::Unknown);
        let never = sent(Asked::Lock, LOCK, false, NOW, Err(Silence::NeverSent));
        assert_eq!((never.outcome, never.may_act_until), (Outcome::DidNotHappen(Refusal::MakerRefused), None));
    }

    #[test]
    fn a_door_has_said_its_last_word_where_it_was_sent() {
        const DOOR: &str = "cover.garage";
        let observed = Outcome::Done(Confirmation::Observed);
        let table = [
            (Asked::Lower, &["closing", "closed"][..], observed),
            (Asked::Lower, &["closed"], observed),
            (Asked::Lower, &["closing"], Outcome::Unknown),
            // Come up again, or not gone down yet: only looking at it tells.
            (Asked::Lower, &["closing", "open"], Outcome::Unknown),
            (Asked::Lower, &["unavailable"], Outcome::Unknown),
            (Asked::Raise, &["opening"], Outcome::Unknown),
            (Asked::Raise, &["opening", "open"], observed),
            (Asked::Raise, &["closed"], Outcome::Unknown),
        ];
        for (asked, words, expected) in table {
            let states: Vec<_> = words.iter().map(|word| one(DOOR, word, "01A")).collect();
            let sent = answer_to(asked, DOOR, 200, &format!("[{}]", states.join(",")), false);
            assert_eq!(sent.outcome, expected, "{asked:?} {words:?}");
            assert_eq!(sent.handle.as_deref(), Some(&b"01A"[..]), "{asked:?} {words:?}");
        }
        let other = format!("[{}]", one("cover.other", "closed", "01A"));
        assert_eq!(answer_to(Asked::Lower, DOOR, 200, &other, false).outcome, Outcome::Unknown);
        let accepted = Outcome::Done(Confirmation::Accepted);
        assert_eq!(answer_to(Asked::Lower, DOOR, 200, "[]", true).outcome, accepted);
        assert_eq!(answer_to(Asked::Lower, DOOR, 200, "[]", false).outcome, Outcome::Unknown);
    }

    #[test]
    fn a_drive_is_told_to_open_only_what_is_shut_and_to_shut_whatever_it_says() {
        let before = |word: &str| State::parse(one("cover.garage", word, "01A").as_bytes(), "cover.garage").unwrap();
        assert_eq!(forbids(Asked::Raise, &before("closed")), None);
        for word in ["open", "opening", "closing", "unknown", "odd"] {
            assert_eq!(forbids(Asked::Raise, &before(word)), Some(Refusal::NotClosed), "{word}");
            assert_eq!(forbids(Asked::Lower, &before(word)), None, "{word}");
        }
        let told = |asked, word| under_way(asked, &before(word), NOW).map(|sent| sent.outcome);
        assert_eq!(told(Asked::Lower, "closing"), Some(Outcome::Unknown), "it is at it");
        for (asked, word) in [(Asked::Lower, "open"), (Asked::Lower, "opening"), (Asked::Lock, "closing")] {
            assert_eq!(told(asked, word), None, "{word}");
        }
        for asked in [Asked::Raise, Asked::Lower, Asked::Lock, Asked::Unlock] {
            assert_eq!(forbids(asked, &before("unavailable")), Some(Refusal::Unreachable));
        }
    }

    #[test]
    fn a_later_look_counts_only_under_the_same_context() {
        let look = |state: &str, context: &str, handle: &[u8]| {
            let state = State::parse(one(LOCK, state, context).as_bytes(), LOCK).unwrap();
            reconciled(Asked::Lock, &state, NOW, handle).map(|s| s.outcome)
        };
        assert_eq!(look("locked", "01A", b"01A"), Some(Outcome::Done(Confirmation::Observed)));
        assert_eq!(look("locking", "01A", b"01A"), Some(Outcome::Unknown));
        assert_eq!(look("jammed", "01A", b"01A"), Some(Outcome::DidNotHappen(Refusal::CarFailed)));
        assert_eq!(look("locked", "01B", b"01A"), None);
        for bytes in [&b""[..], b"\xff", b"01 A", &[b'A'; 65]] {
            assert_eq!(look("locked", "01A", bytes), None);
        }
    }
}
