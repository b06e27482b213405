//! Tables of bodies: as the maker publishes them, as clouds have been seen to bend them, and hostile ones.

use super::*;

const READ_AT: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);
const VIN: &str = "YV1TESTXC40100001";

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}
fn vin() -> Vin {
    Vin::parse(VIN).unwrap()
}

/// Bodies in which no reader may find what it looks for.
const NOTHING: [&str; 16] = [
    "",
    "null",
    "[]",
    "true",
    "\"data\"",
    "{}",
    "{\"data\":null}",
    "{\"data\":7}",
    "{\"data\":\"x\"}",
    "{\"error\":{\"message\":\"NOT_FOUND\",\"description\":\"no\"}}",
    "{\"data\":{\"data\":{}}",
    "{\"data\":{}} {\"data\":{}}",
    "<html>Gateway Time-out</html>",
    "{\"data\":{\"value\":1e999}}",
    "{\"data\":{\"a\":\"\\ud800\"}}",
    "{\"data\":[],\"data\":[]}",
];

#[test]
fn nothing_is_read_out_of_nothing() {
    let mut long = String::from("{\"data\":");
    long.push_str(&"[".repeat(10_000));
    for body in NOTHING.into_iter().chain([long.as_str()]) {
        let bytes = body.as_bytes();
        let shown = &body[..body.len().min(40)];
        assert_eq!(closures(bytes, READ_AT), Err("doors"), "{shown}");
        assert!(located(bytes, READ_AT).is_err(), "{shown}");
        assert_eq!(reachability(bytes), Err("command-accessibility"), "{shown}");
        assert!(vehicles(bytes).is_err(), "{shown}");
        assert!(abilities(bytes).is_err(), "{shown}");
        assert_eq!(details(bytes, &vin()).unwrap_or_default(), Details::default(), "{shown}");
    }
}

#[test]
fn bytes_that_are_no_text_are_no_answer() {
    for bytes in
        [&[0xff, 0xfe, 0x00][..], b"{\"data\":{\"tailgate\":{\"value\":\"CLO\xffSED\"}}}", b"\x00", b"\xef\xbb\xbf{}"]
    {
        assert_eq!(closures(bytes, READ_AT), Err("doors"));
        assert!(vehicles(bytes).is_err());
    }
}

// Doors

const DOORS_BODY: &str = r#"{"data":{
    "centralLock":{"value":"LOCKED","timestamp":"2026-11-23T14:52:44.000Z"},
    "frontLeftDoor":{"value":"CLOSED","timestamp":"2026-11-23T14:52:44.000Z"},
    "frontRightDoor":{"value":"CLOSED","timestamp":"2026-11-23T14:52:44.000Z"},
    "rearLeftDoor":{"value":"CLOSED","timestamp":"2026-11-23T14:52:44.000Z"},
    "rearRightDoor":{"value":"AJAR","timestamp":"2026-11-23T14:52:45.000Z"},
    "hood":{"value":"CLOSED","timestamp":"2026-11-23T14:52:44.000Z"},
    "tailgate":{"value":"OPEN","timestamp":"2026-11-23T14:53:01.500Z"},
    "tankLid":{"value":"CLOSED","timestamp":"2026-11-23T14:52:44.000Z"}}}"#;

#[test]
fn doors_as_published() {
    let seen = closures(DOORS_BODY.as_bytes(), READ_AT).unwrap();
    assert_eq!(seen.central_lock.value, LockState::Locked);
    assert_eq!(seen.central_lock.changed_at, Some(at("2026-11-23T14:52:44Z")));
    assert_eq!(seen.lid, Reading { value: LidState::Open, changed_at: Some(at("2026-11-23T14:53:01.5Z")) });
    let doors: Vec<(&str, LidState)> = seen.doors.iter().map(|(name, lid)| (*name, lid.value)).collect();
    let (shut, ajar) = (LidState::Closed, LidState::Ajar);
    let expected =
        [("front_left", shut), ("front_right", shut), ("rear_left", shut), ("rear_right", ajar), ("hood", shut)];
    assert_eq!(doors, expected);
    assert_eq!(seen.read_at, READ_AT);
}

#[test]
fn a_word_that_is_not_listed_is_unknown_never_shut() {
    let one = |field: &str| {
        let body = format!("{{\"data\":{{\"tailgate\":{field},\"centralLock\":{field}}}}}");
        let seen = closures(body.as_bytes(), READ_AT).unwrap();
        (seen.lid.value, seen.central_lock.value)
    };
    let unknown = (LidState::Unknown, LockState::Unknown);
    for field in [
        "null",
        "{}",
        "[]",
        "\"CLOSED\"",
        "{\"value\":null}",
        "{\"value\":true}",
        "{\"value\":0}",
        "{\"value\":\"\"}",
        "{\"value\":\" CLOSED\"}",
        "{\"value\":\"CLOSED \"}",
        "{\"value\":\"UNSPECIFIED\"}",
        "{\"value\":\"NOT_CLOSED\"}",
        "{\"value\":\"UN LOCKED\"}",
        "{\"value\":[\"LOCKED\"]}",
        "{\"value\":\"CLOSED\",\"value\":\"CLOSED\"}",
        "{\"value\":\"LOCKED\",\"VALUE\":\"UNLOCKED\"}",
    ] {
        assert_eq!(one(field), unknown, "{field}");
    }
    assert_eq!(one("{\"value\":\"closed\"}").0, LidState::Closed, "another case of the same word");
    assert_eq!(one("{\"Value\":\"Locked\"}").1, LockState::Locked);
    assert_eq!(one("{\"value\":\"UNLOCKED\"}").1, LockState::Unlocked);
}

#[test]
fn a_lid_told_twice_or_not_at_all_is_unknown() {
    let twice = DOORS_BODY.replace("\"tankLid\"", "\"tailGate\"");
    assert_eq!(closures(twice.as_bytes(), READ_AT).unwrap().lid.value, LidState::Unknown);
    let seen = closures(b"{\"data\":{}}", READ_AT).unwrap();
    assert_eq!(seen.lid, Reading { value: LidState::Unknown, changed_at: None });
    assert!(seen.doors.len() == 5 && seen.doors.iter().all(|(_, lid)| lid.value == LidState::Unknown));
}

#[test]
fn times_that_cannot_be_read_are_none_and_the_value_stays() {
    for (timestamp, read) in [
        ("\"2026-11-23T14:52:44Z\"", true),
        ("\"2026-11-23T14:52:44.123456Z\"", true),
        ("\"2026-11-23T15:52:44+01:00\"", true),
        ("\"\"", false),
        ("\"yesterday\"", false),
        ("\"2026-11-23\"", false),
        ("\"2026-13-40T99:99:99Z\"", false),
        ("\"1969-12-31T23:59:59Z\"", false),
        ("1795446000", false),
        ("null", false),
        ("{\"value\":\"2026-11-23T14:52:44Z\"}", false),
    ] {
        let body = format!("{{\"data\":{{\"tailgate\":{{\"value\":\"CLOSED\",\"timestamp\":{timestamp}}}}}}}");
        let lid = closures(body.as_bytes(), READ_AT).unwrap().lid;
        assert_eq!((lid.value, lid.changed_at.is_some()), (LidState::Closed, read), "{timestamp}");
    }
    let offset = b"{\"data\":{\"tailgate\":{\"value\":\"OPEN\",\"timestamp\":\"2026-11-23T15:52:44+01:00\"}}}";
    assert_eq!(closures(offset, READ_AT).unwrap().lid.changed_at, Some(at("2026-11-23T14:52:44Z")));
}

// Place

fn place(coordinates: &str) -> Result<(f64, f64), Unreadable> {
    let body = format!("{{\"data\":{{\"geometry\":{{\"coordinates\":{coordinates}}}}}}}");
    located(body.as_bytes(), READ_AT).map(|l| (l.position.latitude_deg(), l.position.longitude_deg()))
}

#[test]
fn a_place_as_published() {
    let body = r#"{"data":{"type":"Feature",
        "properties":{"timestamp":"2026-11-23T12:33:18.000Z","heading":"90"},
        "geometry":{"type":"Point","coordinates":[11.849,57.725,0]}}}"#;
    let seen = located(body.as_bytes(), READ_AT).unwrap();
    assert_eq!((seen.position.latitude_deg(), seen.position.longitude_deg()), (57.725, 11.849));
    assert_eq!(seen.position.accuracy_m(), POSITION_ACCURACY_M);
    assert_eq!((seen.taken_at, seen.read_at), (Some(at("2026-11-23T12:33:18Z")), READ_AT));
    assert!(seen.last_parked_only);
}

#[test]
fn a_place_is_two_numbers_in_range_or_none() {
    assert_eq!(place("[11.849,57.725]"), Ok((57.725, 11.849)), "no altitude");
    assert_eq!(place("[-97.74,30.27,149.5,1]"), Ok((30.27, -97.74)), "more than three");
    assert_eq!(place("[0,57]"), Ok((57.0, 0.0)), "on the prime meridian");
    assert_eq!(place("[-78,0]"), Ok((0.0, -78.0)), "on the equator");
    assert_eq!(place("[180,-90]"), Ok((-90.0, 180.0)));
    for wrong in [
        "[]",
        "[11.849]",
        "null",
        "{}",
        "\"11.849,57.725\"",
        "[\"11.849\",\"57.725\"]",
        "[null,57.725]",
        "[11.849,null]",
        "[[11.849,57.725]]",
        "[11.849,90.0001]",
        "[180.0001,57.725]",
        "[-180.0001,57.725]",
        "[11.849,-91]",
        "[57725,11849]",
        "[0,0]",
        "[0.0,-0.0,12]",
        "[1e999,57.725]",
        "[NaN,57.725]",
    ] {
        assert_eq!(place(wrong), Err("location"), "{wrong}");
    }
}

#[test]
fn a_place_without_a_time_has_none() {
    for properties in ["{}", "null", "{\"timestamp\":\"\"}", "{\"timestamp\":\"soon\"}", "[]"] {
        let body =
            format!("{{\"data\":{{\"properties\":{properties},\"geometry\":{{\"coordinates\":[11.849,57.725]}}}}}}");
        assert_eq!(located(body.as_bytes(), READ_AT).unwrap().taken_at, None, "{properties}");
    }
}

// Reachability

#[test]
fn reachable_is_only_what_says_so() {
    use Reachability::{Asleep, Available, Busy, InUse, NoConnection, Unknown};
    for (status, expected) in [
        (r#"{"value":"AVAILABLE","timestamp":"2026-11-23T12:33:18Z"}"#, Available),
        (r#"{"value":"available"}"#, Available),
        (r#"{"value":"AVAILABLE","unavailableReason":"CAR_IN_USE"}"#, Available),
        (r#"{"value":"UNAVAILABLE","unavailableReason":"NO_INTERNET"}"#, NoConnection),
        (r#"{"value":"UNAVAILABLE","unavailableReason":"POWER_SAVING_MODE"}"#, Asleep),
        (r#"{"value":"UNAVAILABLE","unavailableReason":"CAR_IN_USE"}"#, InUse),
        (r#"{"value":"UNAVAILABLE","unavailableReason":"OTA_INSTALLATION_IN_PROGRESS"}"#, Busy),
        (r#"{"value":"UNAVAILABLE","unavailableReason":"STOLEN_VEHICLE_TRACKING_IN_PROGRESS"}"#, Busy),
        (r#"{"value":"UNAVAILABLE","unavailableReason":"SERVICE_MODE_ACTIVE"}"#, Busy),
        (r#"{"value":"UNAVAILABLE","unavailableReason":"UNSPECIFIED"}"#, Busy),
        (r#"{"value":"UNAVAILABLE","unavailableReason":7}"#, Busy),
        (r#"{"value":"UNAVAILABLE"}"#, Busy),
        (r#"{"value":"UNSPECIFIED"}"#, Unknown),
        (r#"{"value":"NOT_AVAILABLE"}"#, Unknown),
        (r#"{"value":true}"#, Unknown),
        (r#"{"value":"AVAILABLE","Value":"UNAVAILABLE"}"#, Unknown),
        ("{}", Unknown),
        ("\"AVAILABLE\"", Unknown),
    ] {
        let body = format!("{{\"data\":{{\"availabilityStatus\":{status}}}}}");
        assert_eq!(reachability(body.as_bytes()), Ok(expected), "{status}");
    }
    assert!(reachability(br#"{"data":{"status":{"value":"AVAILABLE"}}}"#).is_err());
}

// Cars

fn list(vins: &[&str]) -> Result<Vec<Vin>, Unreadable> {
    let cars: Vec<String> = vins.iter().map(|v| format!("{{\"vin\":\"{v}\"}}")).collect();
    vehicles(format!("{{\"data\":[{}]}}", cars.join(",")).as_bytes())
}

#[test]
fn cars_of_an_account() {
    assert_eq!(list(&[]), Ok(vec![]));
    assert_eq!(list(&[VIN]), Ok(vec![vin()]));
    assert_eq!(list(&[VIN; VEHICLES_MAX]).map(|all| all.len()), Ok(VEHICLES_MAX));
    assert!(list(&[VIN; VEHICLES_MAX + 1]).is_err(), "a fleet");
    // One that cannot be read is not left out silently.
    for wrong in
        ["", "YV1TESTXC4010000", "YV1TESTXC40100001X", "YV1TESTXC4010000O", "../../../commands", "YV1TESTXC4010000\\n"]
    {
        assert!(list(&[VIN, wrong]).is_err(), "{wrong:?}");
    }
    for body in [
        "{\"data\":[{}]}",
        "{\"data\":[null]}",
        "{\"data\":[\"YV1TESTXC40100001\"]}",
        "{\"data\":{\"vin\":\"YV1TESTXC40100001\"}}",
    ] {
        assert!(vehicles(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn details_of_a_car() {
    let body = format!(
        r#"{{"data":{{"vin":"{VIN}","modelYear":2022,"gearbox":"AUTOMATIC","fuelType":"PETROL","externalColour":"Crystal White Pearl",
        "images":{{"exteriorImageUrl":"https://images.invalid/a.png"}},"batteryCapacityKWH":null,
        "descriptions":{{"model":"XC40","upholstery":"CHARCOAL","steering":"LEFT"}}}}}}"#
    );
    let told = details(body.as_bytes(), &vin()).unwrap();
    let expected =
        Details { model: Some("XC40".into()), model_year: Some(2022), colour: Some("Crystal White Pearl".into()) };
    assert_eq!(told, expected);
    assert_eq!(details(body.to_lowercase().as_bytes(), &vin()).unwrap().model_year, Some(2022), "names in any case");
    let other = body.replace("YV1TESTXC40100001", "YV1TESTXC40100002");
    assert_eq!(details(other.as_bytes(), &vin()), Err("details: another car's"));
}

#[test]
fn details_that_are_not_fit_to_be_shown_are_absent() {
    let model = |text: &str| {
        let body = format!("{{\"data\":{{\"descriptions\":{{\"model\":{text}}}}}}}");
        details(body.as_bytes(), &vin()).unwrap().model
    };
    assert_eq!(model("\"  V60 \"").as_deref(), Some("V60"));
    assert_eq!(model(&format!("\"{}\"", "x".repeat(TEXT_MAX))).map(|m| m.len()), Some(TEXT_MAX));
    for wrong in ["\"\"", "\"   \"", "null", "7", "{}", "\"a\\nb\"", "\"a\\u0000b\"", "\"\\u001b[2J\""] {
        assert_eq!(model(wrong), None, "{wrong}");
    }
    assert_eq!(model(&format!("\"{}\"", "x".repeat(TEXT_MAX + 1))), None);

    let year =
        |text: &str| details(format!("{{\"data\":{{\"modelYear\":{text}}}}}").as_bytes(), &vin()).unwrap().model_year;
    for (told, read) in [
        ("1980", Some(1980)),
        ("2100", Some(2100)),
        ("\"2022\"", Some(2022)),
        ("2022.0", Some(2022)),
        ("1979", None),
        ("2101", None),
        ("2022.5", None),
        ("-2022", None),
        ("67558", None),
        ("\"two thousand\"", None),
        ("\"NaN\"", None),
        ("\"inf\"", None),
        ("null", None),
    ] {
        assert_eq!(year(told), read, "{told}");
    }
}

#[test]
fn abilities_are_what_the_list_names() {
    let told = |list: &str| abilities(format!("{{\"data\":{list}}}").as_bytes()).unwrap();
    let published = r#"[{"command":"LOCK","href":"/v2/vehicles/V/commands/lock"},{"command":"UNLOCK","href":"x"},
        {"command":"HONK","href":"x"},{"command":"FLASH","href":"x"}]"#;
    assert_eq!(told(published), Abilities { unlock: true, lock: true, flash: true });
    assert_eq!(told("[{\"command\":\"unlock\"}]"), Abilities { unlock: true, ..Abilities::default() });
    let nearly = r#"[{"command":"LOCK_REDUCED_GUARD"},{"command":"HONK_AND_FLASH"},{"command":"UN LOCK"},{"command":7},null,"LOCK",{}]"#;
    assert_eq!(told(nearly), Abilities::default());
    assert_eq!(told("[]"), Abilities::default());
}
