use super::*;

const SENT: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const TIMES: Times = Times { sent: SENT, answered: SENT.plus_seconds(3) };

fn answer(status: u16, body: &str) -> Answer {
    let mut headers = http::HeaderMap::new();
    headers.insert("retry-after", http::HeaderValue::from_static("7"));
    Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Some(body.to_owned().into()) }
}
fn outcome(asked: Asked, status: u16, body: &str) -> Outcome {
    sent(asked, TIMES, Ok(answer(status, body))).outcome
}

#[test]
fn success_is_accepted_and_never_more() {
    for asked in [Asked::Unlock, Asked::Lock] {
        let taken =
            sent(asked, TIMES, Ok(answer(200, r#"{"status":"success","message":"Successfully sent request"}"#)));
        assert_eq!(taken.outcome, Outcome::Done(Confirmation::Accepted));
        assert_eq!(
            taken.may_act_until,
            Some(SENT.plus_seconds(330)),
            "the cloud may be at it as long as its clients wait"
        );
        assert_eq!(taken.handle.is_some(), asked == Asked::Lock, "a lock is looked at afterwards");
    }
    for odd in
        ["", "{}", "[]", r#"{"status":"pending"}"#, r#"{"status":true}"#, r#"{"status":"success","status":"error"}"#]
    {
        assert_eq!(outcome(Asked::Unlock, 200, odd), Outcome::Unknown, "{odd}");
    }
}

#[test]
fn what_was_not_sent_to_the_car_is_known_and_everything_else_may_have_been() {
    use Asked::{Lock, Unlock};
    let no = Outcome::DidNotHappen;
    for (asked, status, kind, code, expected) in [
        (Unlock, 401, "AUTHENTICATION", "", no(Refusal::OwnerActionNeeded)),
        (Unlock, 403, "PERMISSION", "", no(Refusal::OwnerActionNeeded)),
        (Unlock, 400, "VALIDATION", "PARAMETER", no(Refusal::MakerRefused)),
        (Unlock, 400, "CONNECTED_SERVICES_ACCOUNT", "SUBSCRIPTION", no(Refusal::OwnerActionNeeded)),
        (Unlock, 404, "RESOURCE_NOT_FOUND", "", no(Refusal::NotSupported)),
        (Unlock, 409, "VEHICLE_STATE", "ASLEEP", no(Refusal::Asleep)),
        (Unlock, 409, "VEHICLE_STATE", "IN_MOTION", Outcome::Unknown),
        (Unlock, 409, "VEHICLE_STATE", "REMOTE_ACCESS_DISABLED", Outcome::Unknown),
        (Lock, 409, "VEHICLE_STATE", "TRUNK_OPEN", no(Refusal::NotClosed)),
        (Unlock, 409, "VEHICLE_STATE", "TRUNK_OPEN", Outcome::Unknown),
        (Unlock, 409, "VEHICLE_STATE", "UNREACHABLE", Outcome::Unknown),
        (Unlock, 409, "SOMETHING", "ASLEEP", Outcome::Unknown),
        (Unlock, 429, "RATE_LIMIT", "VEHICLE", no(Refusal::RateLimited)),
        (Unlock, 430, "BILLING", "INVALID_PLAN", no(Refusal::MakerRefused)),
        (Unlock, 430, "BILLING", "VEHICLE_REQUEST_LIMIT", no(Refusal::RateLimited)),
        (Unlock, 501, "COMPATIBILITY", "VEHICLE_NOT_CAPABLE", no(Refusal::NotSupported)),
        (Unlock, 501, "SOMETHING", "", Outcome::Unknown),
        (Unlock, 500, "SERVER", "INTERNAL", Outcome::Unknown),
        (Unlock, 502, "UPSTREAM", "NO_RESPONSE", Outcome::Unknown),
        (Unlock, 504, "", "", Outcome::Unknown),
        (Unlock, 302, "", "", Outcome::Unknown),
    ] {
        let body = format!(r#"{{"type":"{kind}","code":"{code}"}}"#);
        assert_eq!(outcome(asked, status, &body), expected, "{asked:?} {status} {kind} {code}");
    }
    let full = sent(Unlock, TIMES, Ok(answer(429, "{}")));
    assert_eq!((full.retry_after, full.may_act_until), (Some(Duration::from_secs(7)), None));
}

#[test]
fn silence_is_unknown_for_as_long_as_the_cloud_may_be_at_it() {
    let lost = sent(Asked::Unlock, TIMES, Err(Silence::Lost));
    assert_eq!((lost.outcome, lost.may_act_until), (Outcome::Unknown, Some(SENT.plus_seconds(330))));
    let never = sent(Asked::Unlock, TIMES, Err(Silence::NeverSent));
    assert_eq!((never.outcome, never.may_act_until), (Outcome::DidNotHappen(Refusal::MakerRefused), None));
}

#[test]
fn a_lock_is_done_when_the_car_recorded_it_after_it_was_taken() {
    let handle = Handle(SENT);
    assert_eq!(Handle::parse(&handle.to_bytes()), Some(handle));
    assert_eq!(Handle::parse(b"short"), None);
    let seen = |locked: &str, s: i64| {
        let body = format!(r#"{{"isLocked":{locked},"doors":[],"storage":[]}}"#);
        let at = SENT.plus_seconds(s);
        crate::answers::closures(body.as_bytes(), Some(at), SENT.plus_seconds(s.max(0) + 1)).unwrap()
    };
    assert_eq!(reconciled(handle, &seen("true", 5)).outcome, Outcome::Done(Confirmation::Observed));
    for (locked, s, why) in [("true", -5, "recorded before"), ("false", 5, "unlocked"), ("null", 5, "not told")] {
        let asked_again = reconciled(handle, &seen(locked, s));
        assert_eq!((asked_again.outcome, asked_again.handle.is_some()), (Outcome::Unknown, true), "{why}");
    }
}
