//! Tables of answers about cars: good ones, silent ones, hostile ones.

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_795_446_000_500);
const TEXT: &str = "5YJ3E1EA7KF000316";
fn vin() -> Vin {
    Vin::parse(TEXT).unwrap()
}
fn data(groups: &str) -> Data {
    Data::parse(format!(r#"{{"response":{{"vin":"{TEXT}",{groups}}}}}"#).as_bytes(), &vin()).unwrap()
}
fn lids(state: &str) -> (LidState, LockState) {
    let seen = data(&format!(r#""vehicle_state":{{{state}}}"#)).closures(NOW);
    (seen.lid.value, seen.central_lock.value)
}
const FRESH: &str = r#""timestamp":1795446000000"#;

#[test]
fn zero_is_shut_any_other_whole_number_is_open_and_the_rest_is_unknown() {
    use LidState::{Closed, Open, Unknown};
    for (rt, expected) in [
        ("0", Closed),
        ("1", Open),
        ("16", Open),
        ("0.5", Unknown),
        ("-1", Unknown),
        ("true", Unknown),
        ("null", Unknown),
        ("\"open\"", Unknown),
        ("{}", Unknown),
    ] {
        assert_eq!(lids(&format!(r#""rt":{rt},"locked":true,{FRESH}"#)).0, expected, "{rt}");
    }
    assert_eq!(lids(&format!(r#""rt":0,"rt":0,{FRESH}"#)), (Unknown, LockState::Unknown), "two answers are none");
}

#[test]
fn an_open_trunk_is_held_by_no_lock() {
    use LockState::{Locked, Unknown, Unlocked};
    for (state, expected) in [
        (r#""rt":0,"locked":true"#, Locked),
        (r#""rt":16,"locked":true"#, Unlocked),
        (r#""rt":0,"locked":false"#, Unlocked),
        (r#""rt":0,"locked":1"#, Unknown),
        (r#""rt":0"#, Unknown),
    ] {
        assert_eq!(lids(&format!("{state},{FRESH}")).1, expected, "{state}");
    }
}

#[test]
fn an_old_sample_tells_nothing_and_a_sample_is_as_old_as_the_car_says() {
    let unknown = (LidState::Unknown, LockState::Unknown);
    for stamp in [
        "",
        r#","timestamp":1795445900000"#, // a hundred seconds old
        r#","timestamp":1795446100000"#, // from the future
        r#","timestamp":1795446000"#,    // seconds are no milliseconds
        r#","timestamp":null"#,
    ] {
        assert_eq!(lids(&format!(r#""rt":0,"locked":true{stamp}"#)), unknown, "{stamp}");
    }
    let before = data(r#""vehicle_state":{"rt":0,"locked":true,"timestamp":1795445970000}"#).closures(NOW);
    assert_eq!(before.read_at, Timestamp::from_unix_millis(1_795_445_970_000));
    assert_eq!(before.lid.value, LidState::Closed);
    let ahead = data(r#""vehicle_state":{"rt":0,"locked":true,"timestamp":1795446002000}"#).closures(NOW);
    assert_eq!(ahead.read_at, NOW, "never later than our own clock");
}

#[test]
fn doors_are_told_by_the_drivers_side() {
    let state = format!(r#""vehicle_state":{{"df":16,"pf":0,"dr":0,"pr":16,"ft":0,"rt":0,"locked":false,{FRESH}}}"#);
    let open = |config: &str| -> Vec<&'static str> {
        let seen = data(&format!("{state}{config}")).closures(NOW);
        seen.doors.iter().filter(|(_, d)| d.value == LidState::Open).map(|(name, _)| *name).collect()
    };
    assert_eq!(open(""), ["front_left", "rear_right"]);
    assert_eq!(open(r#","vehicle_config":{"rhd":true}"#), ["front_right", "rear_left"]);
}

#[test]
fn a_fix_is_told_in_seconds() {
    let place = |members: &str| data(&format!(r#""drive_state":{{{members}}}"#)).located(NOW);
    let good = place(r#""latitude":59.3,"longitude":18.0,"gps_as_of":1795445990,"timestamp":1795446000000"#).unwrap();
    assert_eq!(good.taken_at, Some(Timestamp::from_unix_seconds(1_795_445_990)));
    assert!((good.position.latitude_deg() - 59.3).abs() < 1e-9 && (good.position.longitude_deg() - 18.0).abs() < 1e-9);
    assert!(!good.last_parked_only && good.read_at == NOW);
    for fix in [r#","gps_as_of":1795445990000"#, r#","gps_as_of":1795447000"#, r#","gps_as_of":null"#, ""] {
        assert_eq!(place(&format!(r#""latitude":59.3,"longitude":18.0{fix}"#)).unwrap().taken_at, None, "{fix}");
    }
    let ahead = place(r#""latitude":59.3,"longitude":18.0,"gps_as_of":1795446001"#).unwrap();
    assert_eq!(ahead.taken_at, Some(NOW), "a second ahead of our clock is now");
    for none in [
        r#""latitude":59.3"#,
        r#""latitude":0,"longitude":0"#,
        r#""latitude":91,"longitude":0"#,
        r#""latitude":null,"longitude":null"#,
        r#""latitude":59.3,"latitude":59.4,"longitude":18"#,
    ] {
        assert!(place(none).is_err(), "{none}");
    }
}

#[test]
fn in_use_is_a_gear_or_somebody_there_and_silence_is_not_parked() {
    let told = |gear: &str, present: &str| {
        let groups = format!(r#""drive_state":{{{gear}{FRESH}}},"vehicle_state":{{{present}{FRESH}}}"#);
        data(&groups).use_of_it(NOW)
    };
    let (nobody, somebody) = (r#""is_user_present":false,"#, r#""is_user_present":true,"#);
    for (gear, present, expected) in [
        (r#""shift_state":null,"#, nobody, Reachability::Available),
        (r#""shift_state":"P","#, nobody, Reachability::Available),
        (r#""shift_state":"D","#, nobody, Reachability::InUse),
        (r#""shift_state":"R","#, "", Reachability::InUse),
        (r#""shift_state":null,"#, somebody, Reachability::InUse),
        ("", nobody, Reachability::Unknown),
        (r#""shift_state":"?","#, nobody, Reachability::Unknown),
        (r#""shift_state":null,"#, "", Reachability::Unknown),
    ] {
        assert_eq!(told(gear, present), expected, "{gear} {present}");
    }
    let garage = data(r#""in_service":true,"drive_state":{"shift_state":null}"#);
    assert_eq!(garage.use_of_it(NOW), Reachability::Busy);
    let stale = r#""drive_state":{"shift_state":null,"timestamp":1},"vehicle_state":{"is_user_present":false}"#;
    assert_eq!(data(stale).use_of_it(NOW), Reachability::Unknown);
}

#[test]
fn a_car_must_be_known_to_need_no_signature_and_paired_by_name() {
    let of = |body: &str| fleet_status(body.as_bytes(), &vin());
    let body = |paired: &str, unpaired: &str, required: &str| {
        format!(
            r#"{{"response":{{"key_paired_vins":[{paired}],"unpaired_vins":[{unpaired}],"vehicle_info":{{"{TEXT}":{{"vehicle_command_protocol_required":{required}}}}}}}}}"#
        )
    };
    let quoted = format!("\"{TEXT}\"");
    assert_eq!(of(&body(&quoted, "", "true")), Ok(Fleet { signed: true, key_paired: true }));
    assert_eq!(of(&body("", &quoted, "false")), Ok(Fleet { signed: false, key_paired: false }));
    assert_eq!(of(&body(&quoted, &quoted, "true")), Ok(Fleet { signed: true, key_paired: false }));
    assert_eq!(of(&body("", "", "true")), Ok(Fleet { signed: true, key_paired: false }));
    assert!(of(&body(&quoted, "", "null")).is_err());
    assert!(of(&body(&quoted, "", "true").replace(TEXT, "5YJ3E1EA7KF000317")).is_err());
}

#[test]
fn nothing_is_read_out_of_nothing() {
    for body in [
        "",
        "null",
        "{}",
        "<html>",
        r#"{"response":null}"#,
        r#"{"response":{}}"#,
        r#"{"response":[{"vin":"SHORT"}]}"#,
        r#"{"response":{"vin":"5YJ3E1EA7KF000317","state":"online"}}"#,
        r#"{"response":{"vin":"5YJ3E1EA7KF000316","vin":"5YJ3E1EA7KF000316"}}"#,
        r#"{"response":{"vin":"5YJ3E1EA7KF000316"},"response":{}}"#,
    ] {
        assert!(vehicles(body.as_bytes()).is_err(), "{body}");
        assert!(vehicle(body.as_bytes(), &vin()).is_err(), "{body}");
        assert!(Data::parse(body.as_bytes(), &vin()).is_err(), "{body}");
        assert!(fleet_status(body.as_bytes(), &vin()).is_err(), "{body}");
    }
    let many = format!(r#"{{"response":[{}]}}"#, vec![format!(r#"{{"vin":"{TEXT}"}}"#); 65].join(","));
    assert!(vehicles(many.as_bytes()).is_err());
    for (access, holds) in [
        (r#","access_type":"OWNER""#, true),
        (r#","access_type":"DRIVER""#, false),
        ("", false),
        (r#","access_type":"OWNER","access_type":"DRIVER""#, false),
    ] {
        let one = format!(r#"{{"response":[{{"vin":"{TEXT}"{access}}}],"pagination":{{"next":2}}}}"#);
        assert_eq!(vehicles(one.as_bytes()), Ok((vec![Listed { vin: vin(), holds }], true)), "{access}");
    }
    let state = |text: &str| vehicle(format!(r#"{{"response":{{"vin":"{TEXT}",{text}}}}}"#).as_bytes(), &vin());
    assert_eq!(state(r#""state":"asleep""#), Ok(Reachability::Asleep));
    assert_eq!(state(r#""state":"offline""#), Ok(Reachability::NoConnection));
    assert_eq!(state(r#""state":"online","in_service":true"#), Ok(Reachability::Busy));
    assert_eq!(state(r#""state":"dreaming""#), Ok(Reachability::Unknown));
}
