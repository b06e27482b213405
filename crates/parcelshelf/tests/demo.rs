//! The demo as a user runs it, and the same with somebody tampering.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::path::Path;
use std::process::{Command, Output};

use parcelshelf::judge::{Seen, judge};
use parcelshelf_protocol::bundle::Bundle;
use serde_json::Value;

fn parcelshelf(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parcelshelf")).args(arguments).output().unwrap()
}

/// Runs the demo in a folder of its own; returns what it printed and its report.
fn demo(dir: &Path, more: &[&str]) -> (Output, Value) {
    let (out, report) = (dir.join("out"), dir.join("demo.json"));
    let fixed = ["demo", "--once", "--out", out.to_str().unwrap(), "--report", report.to_str().unwrap()];
    let output = parcelshelf(&[&fixed[..], more].concat());
    let report = std::fs::read(&report).ok().and_then(|r| serde_json::from_slice(&r).ok()).unwrap_or_default();
    (output, report)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_parcel_goes_into_a_garage_that_is_opened_once_and_seen_shut() {
    let dir = tempfile::tempdir().unwrap();
    let (output, report) = demo(dir.path(), &["--garage"]);
    assert!(output.status.success(), "{}", said(&output));
    let [d] = report["deliveries"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((d["outcome"].as_str(), d["openings"].as_u64()), (Some("delivered"), Some(1)), "{d}");
    assert_eq!(
        (d["maker"].as_str(), d["lock_proof"].as_str()),
        (Some("homeassistant-garage"), Some("observed")),
        "{d}"
    );
    assert_eq!(d["violations"].as_array().map(Vec::len), Some(0), "{d}");
    assert_eq!(d["photos"], 1, "the owner reads the courier's photo: {d}");
    let verified = parcelshelf(&["verify", "--explain", d["bundle"].as_str().unwrap()]);
    assert!(verified.status.success(), "{}", said(&verified));
    let text = said(&verified);
    assert!(text.contains("opened      once"), "{text}");
    for never in ["the place was shown", "car", "lid", "plate"] {
        assert!(!said(&output).contains(&format!(" {never} ")), "a garage has no {never}: {}", said(&output));
    }
    // Half a house's words would be worse than none: nothing that only a car has is in the case.
    assert!(!text.contains("the place was shown to the courier"), "{text}");
}

#[test]
fn a_parcel_goes_behind_a_front_door_whose_camera_is_live_and_none_while_it_is_frozen() {
    let dir = tempfile::tempdir().unwrap();
    let (output, report) = demo(dir.path(), &["--home"]);
    assert!(output.status.success(), "{}", said(&output));
    let [d] = report["deliveries"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((d["outcome"].as_str(), d["openings"].as_u64()), (Some("delivered"), Some(1)), "{d}");
    assert_eq!((d["maker"].as_str(), d["lock_proof"].as_str()), (Some("homeassistant-door"), Some("observed")), "{d}");
    assert_eq!(d["violations"].as_array().map(Vec::len), Some(0), "{d}");
    assert_eq!(d["photos"], 1, "the owner reads the courier's photo: {d}");
    let told = said(&output);
    let at = |words: &str| told.find(words).unwrap_or_else(|| panic!("not told: {words}\n{told}"));
    // First refused, and the owner knows why; then proved live, and only then opened.
    let order = [
        "no command to unlock has left",
        "reads why:",
        "follow the light: live",
        "opens the door by hand",
        "proved by bolt and sensor",
    ];
    assert!(order.map(at).is_sorted(), "{told}");
    for never in ["the place was shown", "car", "lid", "plate"] {
        assert!(!told.contains(&format!(" {never} ")), "a front door has no {never}: {told}");
    }
    let verified = parcelshelf(&["verify", "--explain", d["bundle"].as_str().unwrap()]);
    assert!(verified.status.success(), "{}", said(&verified));
    let text = said(&verified);
    assert!(text.contains("opened      once") && !text.contains("the place was shown to the courier"), "{text}");
}

#[test]
fn a_guest_and_whoever_stands_at_the_door_are_let_in_once_with_no_carrier() {
    for (flag, outcome, photos) in [("--guest", "visited", 0), ("--walk-up", "delivered", 1)] {
        let dir = tempfile::tempdir().unwrap();
        let (output, report) = demo(dir.path(), &[flag]);
        assert!(output.status.success(), "{flag}: {}", said(&output));
        let [d] = report["deliveries"].as_array().unwrap().as_slice() else { panic!("{report}") };
        assert_eq!((d["outcome"].as_str(), d["openings"].as_u64()), (Some(outcome), Some(1)), "{d}");
        assert_eq!((d["lock_proof"].as_str(), &d["photos"]), (Some("observed"), &photos.into()), "{d}");
        assert_eq!(d["violations"].as_array().map(Vec::len), Some(0), "{d}");
        let verified = parcelshelf(&["verify", "--explain", d["bundle"].as_str().unwrap()]);
        assert!(verified.status.success(), "{}", said(&verified));
        let text = said(&verified);
        assert!(text.contains("opened      once") && text.contains("permitted   guest"), "{text}");
        assert!(text.contains("carrier     none took part"), "{text}");
    }
}

#[test]
fn three_deliveries_at_real_stops_are_delivered_opened_once_and_seen_locked() {
    let dir = tempfile::tempdir().unwrap();
    let stops = dir.path().join("stops.csv");
    std::fs::write(
        &stops,
        "id,latitude,longitude\ndepot,30.44524,-97.70942\n1,30.37458,-97.92094\n2,30.29651,-97.73842\n3,30.21503,-97.80001\n",
    )
    .unwrap();
    let (output, report) = demo(dir.path(), &["--stops", stops.to_str().unwrap(), "--deliveries", "3"]);
    assert!(output.status.success(), "{}", said(&output));
    let deliveries = report["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 3);
    for d in deliveries {
        assert_eq!((d["outcome"].as_str(), d["openings"].as_u64()), (Some("delivered"), Some(1)), "{d}");
        assert_eq!((d["maker"].as_str(), d["lock_proof"].as_str()), (Some("volvo"), Some("observed")), "{d}");
        assert_eq!(d["photos"], 1, "{d}");
        let verified = parcelshelf(&["verify", "--explain", d["bundle"].as_str().unwrap()]);
        assert!(verified.status.success(), "{}", said(&verified));
        let text = said(&verified);
        for anchor in ["keyholder ", "log ", "operator ", "wallet "] {
            assert!(text.contains(anchor), "the anchor {anchor} is not printed:\n{text}");
        }
        assert!(text.contains("opened      once"), "{text}");
    }
    // Without its last record a bundle still holds, and does not say any more that it is locked: the judge asks for it.
    let bundle = std::fs::read(deliveries[0]["bundle"].as_str().unwrap()).unwrap();
    let mut shorter = Bundle::parse_canonical(&bundle).unwrap();
    shorter.records.pop();
    let seen = Seen { tailgate_openings: 1, unlock_commands: 1, shut_and_locked: true };
    let anchors = shorter.anchors.clone();
    assert!(judge(seen, &bundle, &anchors).violations.is_empty());
    assert_eq!(judge(seen, &shorter.encode(), &anchors).violations, ["no_lock_proof"]);
    // One bundle of a real run, one byte changed at each of many places: refused.
    for at in (0..bundle.len()).step_by(bundle.len() / 97) {
        let mut changed = bundle.clone();
        changed[at] ^= 1;
        assert!(parcelshelf_protocol::bundle::verify(&changed, None).is_err(), "byte {at}");
    }
}

#[test]
fn a_car_that_tells_nothing_is_rehearsed_delivered_to_and_proved_locked_by_word_and_hand() {
    let dir = tempfile::tempdir().unwrap();
    let (output, report) = demo(dir.path(), &["--maker", "onstar"]);
    assert!(output.status.success(), "{}", said(&output));
    let d = &report["deliveries"][0];
    assert_eq!((d["outcome"].as_str(), d["openings"].as_u64()), (Some("delivered"), Some(1)), "{d}");
    assert_eq!((d["maker"].as_str(), d["lock_proof"].as_str()), (Some("onstar"), Some("executed")), "{d}");
    let verified = parcelshelf(&["verify", "--explain", d["bundle"].as_str().unwrap()]);
    assert!(verified.status.success(), "{}", said(&verified));
}

#[test]
fn a_lock_that_never_reaches_the_car_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (output, report) = demo(dir.path(), &["--sabotage", "relock-off"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let violations = report["deliveries"][0]["violations"].to_string();
    assert!(violations.contains("left_open_without_alarm") && violations.contains("lock_proof_untrue"), "{violations}");
}

#[test]
fn a_second_command_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (output, report) = demo(dir.path(), &["--sabotage", "second-command"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let violations = report["deliveries"][0]["violations"].to_string();
    assert!(violations.contains("command_without_record"), "{violations}");
}

#[test]
fn a_record_that_is_left_out_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (output, report) = demo(dir.path(), &["--sabotage", "leaf-left-out"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let violations = report["deliveries"][0]["violations"].to_string();
    assert!(violations.contains("bundle_chain_broken"), "{violations}");
}

#[test]
fn what_init_writes_satisfies_doctor_and_what_is_broken_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let parties = dir.path().join("parties");
    let at = parties.to_str().unwrap();
    assert!(parcelshelf(&["init", at]).status.success());
    let good = parcelshelf(&["doctor", at]);
    assert!(good.status.success(), "{}", said(&good));
    let again = parcelshelf(&["init", at]);
    assert!(!again.status.success() && said(&again).contains("not empty"), "keys are never overwritten");

    let gateway = parties.join("gateway/gateway.toml");
    let text = std::fs::read_to_string(&gateway).unwrap();
    std::fs::write(&gateway, text.replace("http://stop.localhost", "http://wallet.localhost")).unwrap();
    let bad = parcelshelf(&["doctor", at]);
    assert!(!bad.status.success() && said(&bad).contains("three different hosts"), "{}", said(&bad));
}

#[test]
fn a_household_sets_up_a_gateway_of_its_own_in_one_step_and_runs_it_without_a_carrier() {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpStream;

    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let at = home.to_str().unwrap();
    let port = parcelshelf::stage::free_ports().unwrap().to_string();
    let none = parcelshelf(&["household", at]);
    assert!(!none.status.success() && said(&none).contains("--home-assistant"), "{}", said(&none));
    let lan = ["--home-assistant", "http://192.168.0.7:8123", "--garage", "cover.garage"];
    let plain = parcelshelf(&[&["household", at], &lan[..]].concat());
    assert!(!plain.status.success() && said(&plain).contains("[homeassistant]"), "plain HTTP: {}", said(&plain));
    let wished = ["--home-assistant", "http://127.0.0.1:9", "--garage", "cover.garage,binary_sensor.beam"];
    assert!(!home.exists(), "nothing is half set up");
    let set_up = parcelshelf(&[&["household", at, "--port", &port, "--set-up-only"], &wished[..]].concat());
    assert!(set_up.status.success() && said(&set_up).contains("wallet.localhost"), "{}", said(&set_up));
    let doctor = parcelshelf(&["doctor", at]);
    assert!(doctor.status.success(), "{}", said(&doctor));
    assert!(!home.join("carrier").exists(), "no carrier takes part");
    let again = parcelshelf(&[&["household", at], &wished[..]].concat());
    assert!(!again.status.success() && said(&again).contains("set up already"), "{}", said(&again));

    let mut both = Command::new(env!("CARGO_BIN_EXE_parcelshelf"))
        .args(["household", at])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(both.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut waited = ["\"ready\":\"keyholder\"", "\"ready\":\"gateway\""].to_vec();
    while !waited.is_empty() {
        let line = lines.next().expect("both say that they are ready");
        waited.retain(|word| !line.contains(word));
    }
    let mut asked = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let request = format!("GET /readyz HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    asked.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    asked.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let pid = rustix::process::Pid::from_raw(i32::try_from(both.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(both.wait().unwrap().success(), "asked to stop, both stop");
}

#[test]
fn doctor_says_what_is_wrong_with_keys_of_data_and_what_to_do() {
    use std::fs::{Permissions, create_dir, metadata, read, remove_file, rename, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let parties = dir.path().join("parties");
    let at = parties.to_str().unwrap();
    assert!(parcelshelf(&["init", at]).status.success());
    let wrong = |what: &str, words: &[&str]| {
        let bad = parcelshelf(&["doctor", at]);
        let told = said(&bad);
        assert!(!bad.status.success() && words.iter().all(|w| told.contains(w)), "{what}: {told}");
    };
    let fine = |what: &str| {
        let good = parcelshelf(&["doctor", at]);
        assert!(good.status.success(), "{what}: {}", said(&good));
    };
    for (party, epochs) in
        [("keyholder", "keyholder/keys/epochs"), ("gateway", "gateway/epochs"), ("carrier", "carrier/epochs")]
    {
        let (epochs, aside) = (parties.join(epochs), dir.path().join("aside"));
        rename(&epochs, &aside).unwrap();
        wrong("no folder", &[party, "epoch keys' folder", "is missing", "Put it back"]);
        create_dir(&epochs).unwrap();
        wrong("an empty folder", &[party, "is empty"]);
        std::fs::remove_dir(&epochs).unwrap();
        rename(&aside, &epochs).unwrap();
        let first = epochs.join("1.key");
        let key = read(&first).unwrap();
        write(&first, "no key").unwrap();
        wrong("a key that is none", &[party, "1.key", "32 bytes", "Put the right file back"]);
        write(&first, key).unwrap();
        write(epochs.join("notes.txt"), "").unwrap();
        wrong("a stranger's file", &[party, "notes.txt", "move away"]);
        remove_file(epochs.join("notes.txt")).unwrap();
        for (path, mode, word) in [(&epochs, 0o777, "chmod 700"), (&first, 0o644, "chmod 600")] {
            let before = metadata(path).unwrap().permissions();
            set_permissions(path, Permissions::from_mode(mode)).unwrap();
            wrong("open to others", &[party, word]);
            set_permissions(path, before).unwrap();
        }
        fine("all is back");
        // A store whose keys are gone.
        let data = parties.join(party).join("data");
        std::fs::create_dir_all(&data).unwrap();
        let (store, keys) = (data.join(format!("{party}.db")), data.join(format!("{party}-keys.db")));
        write(&store, "").unwrap();
        wrong("no data keys", &[party, "keys.db is missing", "Do not start the service"]);
        write(&keys, "something else entirely, and long enough to be looked at as far as its seventy-second byte")
            .unwrap();
        wrong("another file", &[party, "is no key store"]);
        remove_file(&keys).unwrap();
        drop(parcelshelf_store::keys::KeyFile::open(&keys).unwrap());
        fine("a key store");
        set_permissions(&keys, Permissions::from_mode(0o640)).unwrap();
        wrong("data keys open to others", &[party, "chmod 600"]);
        remove_file(&keys).unwrap();
        remove_file(&store).unwrap();
        fine("as it was");
    }
}
