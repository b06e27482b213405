use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const SHUT: &str = r#"{"isLocked":true,
    "doors":[{"type":"frontLeft","status":"CLOSED"},{"type":"frontRight","status":"CLOSED"},
             {"type":"backLeft","status":"CLOSED"},{"type":"backRight","status":"CLOSED"}],
    "storage":[{"type":"rear","status":"CLOSED"}]}"#;

fn headers(told: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in told {
        headers.append("sc-data-age", http::HeaderValue::from_str(value).unwrap());
    }
    headers
}
fn at(s: i64) -> Option<Timestamp> {
    Some(NOW.plus_seconds(s))
}

#[test]
fn how_old_a_state_is_stands_in_a_header_and_nowhere_else() {
    let told = NOW.plus_seconds(-30).to_rfc3339();
    assert_eq!(recorded_at(&headers(&[&told]), NOW), at(-30));
    let ahead = NOW.plus_seconds(20).to_rfc3339();
    assert_eq!(recorded_at(&headers(&[&ahead]), NOW), Some(NOW), "clocks differ a little");
    let far_ahead = NOW.plus_seconds(61).to_rfc3339();
    for odd in [&[][..], &[told.as_str(), told.as_str()], &["30"], &[""], &[far_ahead.as_str()]] {
        assert_eq!(recorded_at(&headers(odd), NOW), None, "{odd:?}");
    }
}

#[test]
fn a_state_without_a_time_or_an_old_one_tells_nothing() {
    let fresh = closures(SHUT.as_bytes(), at(-90), NOW).unwrap();
    assert_eq!((fresh.central_lock.value, fresh.lid.value), (LockState::Locked, LidState::Closed));
    assert!(fresh.doors.len() == 4 && fresh.doors.iter().all(|(_, d)| d.value == LidState::Closed));
    assert_eq!(fresh.read_at, NOW.plus_seconds(-90), "read when the car recorded it");
    for old in [at(-91), None] {
        let told = closures(SHUT.as_bytes(), old, NOW).unwrap();
        assert_eq!((told.central_lock.value, told.lid.value), (LockState::Unknown, LidState::Unknown), "{old:?}");
        assert!(told.doors.iter().all(|(_, d)| d.value == LidState::Unknown));
    }
}

#[test]
fn a_lid_that_is_not_told_or_told_twice_is_unknown_and_such_a_car_is_not_linked() {
    assert!(can_be_watched(SHUT.as_bytes(), at(-86_400)));
    for (from, to) in [
        (r#"{"type":"rear","status":"CLOSED"}"#, ""),
        (r#""CLOSED"}]}"#, r#""UNKNOWN"}]}"#),
        (
            r#"{"type":"rear","status":"CLOSED"}"#,
            r#"{"type":"rear","status":"CLOSED"},{"type":"REAR","status":"OPEN"}"#,
        ),
        (r#"{"type":"backRight","status":"CLOSED"}"#, ""),
        (r#""isLocked":true"#, r#""isLocked":"true""#),
    ] {
        let body = SHUT.replacen(from, to, 1).replace(",]", "]").replace(",\n             ]", "]");
        assert_ne!(body, SHUT);
        assert!(!can_be_watched(body.as_bytes(), at(0)), "{body}");
        if let Ok(told) = closures(body.as_bytes(), at(0), NOW) {
            let shut = told.lid.value == LidState::Closed
                && told.central_lock.value == LockState::Locked
                && told.doors.iter().all(|(_, d)| d.value == LidState::Closed);
            assert!(!shut, "{body}");
        }
    }
    assert!(!can_be_watched(SHUT.as_bytes(), None));
    assert!(closures(b"[]", at(0), NOW).is_err());
}

#[test]
fn the_place_is_latitude_and_longitude_by_name() {
    let told = located(br#"{"latitude":57.7,"longitude":11.9}"#, at(-600), NOW).unwrap();
    assert_eq!((told.position.latitude_deg(), told.position.longitude_deg()), (57.7, 11.9));
    assert_eq!((told.taken_at, told.last_parked_only), (at(-600), false), "whatever the maker has kept");
    for odd in [
        r#"{"latitude":0,"longitude":0}"#,
        r#"{"latitude":91,"longitude":0}"#,
        r#"{"latitude":"57.7","longitude":11.9}"#,
        "{}",
    ] {
        assert!(located(odd.as_bytes(), None, NOW).is_err(), "{odd}");
    }
}

#[test]
fn the_next_generation_names_its_signal_and_says_how_it_went() {
    let signal = |code: &str, status: &str| {
        format!(
            r#"{{"data":{{"attributes":{{"code":"{code}","status":{{"value":"{status}"}},
                "body":{{"latitude":57.7,"longitude":11.9}}}},"meta":{{"oemUpdatedAt":{}}}}}}}"#,
            NOW.plus_seconds(-5).unix_millis()
        )
    };
    let told = located_v3(signal(POSITION_SIGNAL, "SUCCESS").as_bytes(), NOW).unwrap();
    assert_eq!(told.taken_at, at(-5));
    assert!(located_v3(signal(POSITION_SIGNAL, "ERROR").as_bytes(), NOW).is_err());
    assert!(located_v3(signal("odometer", "SUCCESS").as_bytes(), NOW).is_err());
}

#[test]
fn an_account_is_a_persons_and_its_cars_are_all_told() {
    let id = "36ab27d0-fd9d-4455-823a-ce30af709ffc";
    let list = |ids: &[&str], count: usize| {
        let ids: Vec<_> = ids.iter().map(|i| format!("\"{i}\"")).collect();
        format!(r#"{{"vehicles":[{}],"paging":{{"count":{count},"offset":0}}}}"#, ids.join(","))
    };
    assert_eq!(vehicles(list(&[id], 1).as_bytes()).unwrap().len(), 1);
    assert!(vehicles(list(&[id], 2).as_bytes()).is_err(), "more on another page");
    assert!(vehicles(list(&[id; 17], 17).as_bytes()).is_err(), "a fleet");
    assert!(vehicles(list(&["../../me"], 1).as_bytes()).is_err());
}

#[test]
fn permissions_and_capabilities_are_what_the_lists_name() {
    let given = br#"{"permissions":["read_vin","read_security"]}"#;
    assert_eq!(missing_permissions(given, &["read_vin", "control_security"]).unwrap(), ["control_security"]);
    assert!(missing_permissions(b"{}", &["read_vin"]).is_err());
    let can = |list: &str| capable(format!(r#"{{"capabilities":[{list}]}}"#).as_bytes(), "control_security");
    assert!(can(r#"{"permission":"control_security","endpoint":"/security","capable":true}"#));
    assert!(!can(r#"{"permission":"control_security","capable":false}"#));
    assert!(!can(
        r#"{"permission":"control_security","capable":true},{"permission":"control_security","capable":false}"#
    ));
    assert!(!can("") && !capable(b"x", "control_security"));
}
