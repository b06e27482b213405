//! Tables of answers to a command: what each status means, for each command, and what is not believed.

use super::*;

const VIN: &str = "YV1TESTXC40100001";
const SENT: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);
const TIMES: Times = Times { sent: SENT, answered: Timestamp::from_unix_seconds(1_795_446_004) };
const ALL: [Asked; 3] = [Asked::Unlock, Asked::Lock, Asked::Flash];

fn answered(asked: Asked, status: u16, body: Option<&str>) -> Sent {
    let body = body.map(|b| b.to_owned().into());
    let answer = Answer { status: StatusCode::from_u16(status).unwrap(), headers: http::HeaderMap::new(), body };
    sent(asked, &Vin::parse(VIN).unwrap(), TIMES, Ok(answer))
}
fn told(asked: Asked, body: &str) -> Sent {
    answered(asked, 200, Some(body))
}
fn status(asked: Asked, word: &str) -> Sent {
    told(asked, &format!("{{\"data\":{{\"vin\":\"{VIN}\",\"invokeStatus\":\"{word}\",\"message\":\"\"}}}}"))
}
/// Nobody can say, for a minute from sending on.
fn nobody_can_say(sent: &Sent) -> bool {
    sent.outcome == Outcome::Unknown
        && sent.may_act_until == Some(SENT.plus_seconds(60))
        && (sent.ready_until, &sent.handle) == (None, &None)
}

#[test]
fn every_published_status_means_one_thing() {
    use Outcome::{DidNotHappen, Done, Unknown};
    let same = |outcome| [outcome; 3];
    for (word, outcomes) in [
        ("COMPLETED", [Done(Confirmation::Armed), Done(Confirmation::Executed), Done(Confirmation::Executed)]),
        ("DELIVERED", same(Done(Confirmation::Delivered))),
        ("REJECTED", same(DidNotHappen(Refusal::MakerRefused))),
        ("EXPIRED", same(DidNotHappen(Refusal::MakerRefused))),
        ("NOT_SUPPORTED", same(DidNotHappen(Refusal::NotSupported))),
        ("VEHICLE_IN_SLEEP", same(DidNotHappen(Refusal::Asleep))),
        ("CAR_IN_SLEEP_MODE", same(DidNotHappen(Refusal::Asleep))),
        ("NOT_ALLOWED_PRIVACY_ENABLED", same(DidNotHappen(Refusal::OwnerActionNeeded))),
        ("NOT_ALLOWED_WRONG_USAGE_MODE", same(DidNotHappen(Refusal::InUse))),
        ("UNABLE_TO_LOCK_DOOR_OPEN", [Unknown, DidNotHappen(Refusal::NotClosed), Unknown]),
        ("UNLOCK_TIME_FRAME_PASSED", [DidNotHappen(Refusal::WindowPassed), Unknown, Unknown]),
        ("WAITING", same(Unknown)),
        ("SENT", same(Unknown)),
        ("RUNNING", same(Unknown)),
        ("TIMEOUT", same(Unknown)),
        ("CAR_TIMEOUT", same(Unknown)),
        ("DELIVERY_TIMEOUT", same(Unknown)),
        ("CONNECTION_FAILURE", same(Unknown)),
        ("CAR_ERROR", same(Unknown)),
        ("INVOCATION_SPECIFIC_ERROR", same(Unknown)),
        ("UNKNOWN", same(Unknown)),
        // Not published.
        ("", same(Unknown)),
        ("DONE", same(Unknown)),
        ("COMPLETED ", same(Unknown)),
        ("NOT_COMPLETED", same(Unknown)),
        ("completed", [Done(Confirmation::Armed), Done(Confirmation::Executed), Done(Confirmation::Executed)]),
    ] {
        for (asked, expected) in ALL.into_iter().zip(outcomes) {
            let seen = status(asked, word);
            assert_eq!(seen.outcome, expected, "{word} to {asked:?}");
            match expected {
                Unknown => assert!(nobody_can_say(&seen), "{word} to {asked:?}"),
                DidNotHappen(_) => assert_eq!((seen.may_act_until, seen.ready_until), (None, None), "{word}"),
                Done(_) => assert_eq!(seen.ready_until.is_some(), asked == Asked::Unlock, "{word} to {asked:?}"),
            }
        }
    }
    // Taken by the car, not yet done.
    assert_eq!(status(Asked::Lock, "DELIVERED").may_act_until, Some(SENT.plus_seconds(60)));
    assert_eq!(status(Asked::Lock, "COMPLETED").may_act_until, None);
}

#[test]
fn an_http_status_says_whether_it_was_sent_to_the_car() {
    use Outcome::{DidNotHappen, Unknown};
    let completed = format!("{{\"data\":{{\"vin\":\"{VIN}\",\"invokeStatus\":\"COMPLETED\"}}}}");
    for (code, expected) in [
        (400, DidNotHappen(Refusal::MakerRefused)),
        (401, DidNotHappen(Refusal::OwnerActionNeeded)),
        (403, DidNotHappen(Refusal::OwnerActionNeeded)),
        (404, DidNotHappen(Refusal::NotSupported)),
        (405, DidNotHappen(Refusal::MakerRefused)),
        (406, DidNotHappen(Refusal::MakerRefused)),
        (415, DidNotHappen(Refusal::MakerRefused)),
        (429, DidNotHappen(Refusal::RateLimited)),
        (202, Unknown),
        (204, Unknown),
        (302, Unknown),
        (408, Unknown),
        (409, Unknown),
        (410, Unknown),
        (418, Unknown),
        (422, Unknown),
        (500, Unknown),
        (502, Unknown),
        (503, Unknown),
        (504, Unknown),
        (599, Unknown),
    ] {
        for asked in ALL {
            // What the body claims changes nothing.
            for body in [None, Some(""), Some(completed.as_str())] {
                let seen = answered(asked, code, body);
                assert_eq!(seen.outcome, expected, "{code} to {asked:?}");
                assert!(expected != Unknown || nobody_can_say(&seen), "{code} to {asked:?}");
            }
        }
    }
}

#[test]
fn silence_is_no_failure() {
    let vin = Vin::parse(VIN).unwrap();
    for asked in ALL {
        assert!(nobody_can_say(&sent(asked, &vin, TIMES, Err(Silence::Lost))));
        let never = sent(asked, &vin, TIMES, Err(Silence::NeverSent));
        assert_eq!(never, did_not_happen(Refusal::MakerRefused, None));
        assert!(nobody_can_say(&answered(asked, 200, None)), "the body broke off");
    }
}

#[test]
fn a_time_to_wait_is_handed_on() {
    let wait = Some(Duration::from_secs(30));
    for code in [429, 503] {
        let headers = [(http::header::RETRY_AFTER, http::HeaderValue::from_static("30"))].into_iter().collect();
        let answer = Answer { status: StatusCode::from_u16(code).unwrap(), headers, body: None };
        assert_eq!(sent(Asked::Unlock, &Vin::parse(VIN).unwrap(), TIMES, Ok(answer)).retry_after, wait, "{code}");
    }
}

#[test]
fn a_body_that_says_nothing_clear_is_unknown() {
    let deep = format!("{{\"data\":{}", "[".repeat(10_000));
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "{\"data\":{\"invokeStatus\":",
        "{\"data\":{}}",
        "{\"data\":[{\"invokeStatus\":\"COMPLETED\"}]}",
        "{\"invokeStatus\":\"COMPLETED\"}",
        "{\"data\":{\"invokeStatus\":true}}",
        "{\"data\":{\"invokeStatus\":null}}",
        "{\"data\":{\"invokeStatus\":[\"COMPLETED\"]}}",
        "{\"data\":{\"invokeStatus\":\"COMPLETED\",\"invokeStatus\":\"REJECTED\"}}",
        "{\"data\":{\"invokeStatus\":\"COMPLETED\",\"invokestatus\":\"COMPLETED\"}}",
        "{\"data\":{\"invokeStatus\":\"COMPLETED\"},\"data\":{\"invokeStatus\":\"REJECTED\"}}",
        "{\"data\":{\"invokeStatus\":\"REJECTED\"}} trailing",
        "{\"data\":{\"vin\":\"YV1TESTXC40100002\",\"invokeStatus\":\"COMPLETED\"}}",
        "{\"data\":{\"vin\":\"YV1TESTXC40100002\",\"invokeStatus\":\"REJECTED\"}}",
        "{\"data\":{\"vin\":null,\"invokeStatus\":\"REJECTED\"}}",
        "{\"data\":{\"vin\":\"\",\"invokeStatus\":\"REJECTED\"}}",
        "<html>COMPLETED</html>",
        deep.as_str(),
    ] {
        for asked in ALL {
            assert!(nobody_can_say(&told(asked, body)), "{}", &body[..body.len().min(60)]);
        }
    }
    let lower = format!("{{\"data\":{{\"vin\":\"{}\",\"invokeStatus\":\"REJECTED\"}}}}", VIN.to_lowercase());
    assert_eq!(told(Asked::Lock, &lower).outcome, Outcome::DidNotHappen(Refusal::MakerRefused), "the same car");
}

#[test]
fn the_end_of_the_window() {
    // Seconds after the answer; the answer came at 1,795,446,004.
    for (members, seconds) in [
        (r#""readyToUnlock":true,"readyToUnlockUntil":120"#, 120),
        (r#""readyToUnlock":true,"readyToUnlockUntil":"120""#, 120),
        (r#""readyToUnlock":true,"readyToUnlockUntil":0"#, 0),
        (r#""readyToUnlock":true,"readyToUnlockUntil":119.9"#, 119),
        (r#""readyToUnlock":true,"readyToUnlockUntil":1795446124000"#, 120),
        (r#""readyToUnlock":true,"readyToUnlockUntil":1795446124"#, 120),
        // Over already, or not believed to be so far off: a car is not left open for hours on one number.
        (r#""readyToUnlock":true,"readyToUnlockUntil":1795445000000"#, 0),
        (r#""readyToUnlock":true,"readyToUnlockUntil":86400"#, 3_600),
        (r#""readyToUnlock":true,"readyToUnlockUntil":1000000000"#, 3_600),
        (r#""readyToUnlock":true,"readyToUnlockUntil":1795999999000"#, 3_600),
        (r#""readyToUnlock":true,"readyToUnlockUntil":4e15"#, 3_600),
        // Not told, or nothing that is a number: the longest window that is known.
        (r#""readyToUnlock":true"#, 300),
        (r#""readyToUnlockUntil":120"#, 300),
        (r#""readyToUnlock":false,"readyToUnlockUntil":0"#, 300),
        (r#""readyToUnlock":"true","readyToUnlockUntil":120"#, 300),
        (r#""readyToUnlock":true,"readyToUnlockUntil":null"#, 300),
        (r#""readyToUnlock":true,"readyToUnlockUntil":-5"#, 300),
        (r#""readyToUnlock":true,"readyToUnlockUntil":4.1e15"#, 300),
        (r#""readyToUnlock":true,"readyToUnlockUntil":"NaN""#, 300),
        (r#""readyToUnlock":true,"readyToUnlockUntil":"inf""#, 300),
        (r#""readyToUnlock":true,"readyToUnlockUntil":120,"READYTOUNLOCKUNTIL":9000"#, 300),
    ] {
        let body = format!("{{\"data\":{{\"vin\":\"{VIN}\",\"invokeStatus\":\"COMPLETED\",{members}}}}}");
        let seen = told(Asked::Unlock, &body);
        assert_eq!(seen.ready_until.map(|t| t.millis_since(TIMES.answered)), Some(seconds * 1_000), "{members}");
        assert_eq!(told(Asked::Lock, &body).ready_until, None, "a lock has no window");
    }
}
