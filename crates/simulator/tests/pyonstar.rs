//! A client package by strangers, written for the maker's real cloud, works against the simulated one: through the old API,
//! with its own refresh and exchange of tokens.
//!
//! Our own adapter and our own simulator could agree on a mistake; this package has never seen either. It runs as a process
//! of its own in an interpreter of its own (`scripts/setup-pyonstar.sh`); what it does is in `pyonstar/driver.py`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use parcelshelf_simulator::onstar::{CarFile, ClientFile, DEMO_OWNER, Make, Running, WorldFile};
use serde_json::{Value, json};

/// Longest that the whole play may take; it takes about six seconds.
const PLAY_S_MAX: u64 = 60;

/// The application that the package takes itself for.
fn application() -> ClientFile {
    ClientFile {
        client_id: "3ff30506-d242-4bed-835b-422bf992622e".into(),
        redirect_uris: vec!["msauth.com.gm.myChevrolet://auth".into()],
    }
}

/// The interpreter that the set-up made, in the same target folder that the set-up used.
fn interpreter() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root.join(target).join("pyonstar-venv/bin/python")
}

/// Runs the driver against `cloud`; what it printed, or why it failed.
async fn play(cloud: &Running, owner: &str) -> Result<Value, String> {
    let python = interpreter();
    assert!(
        python.exists(),
        "the independent client is not installed ({} is missing): run scripts/setup.sh",
        python.display()
    );
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pyonstar/driver.py");
    let folder = tempfile::tempdir().expect("a folder for its tokens");
    let running = tokio::process::Command::new(python)
        .arg("-I") // no settings, paths or packages of whoever runs this
        .arg(driver)
        .args([&cloud.base(), owner])
        .arg(folder.path())
        .env("TZ", "UTC") // it reads the cloud's times as local ones
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(PLAY_S_MAX), running)
        .await
        .expect("the driver ends in time")
        .expect("the driver starts");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(errors);
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("the driver prints JSON ({e}): {errors}")))
}

/// One car at a place of its own, so that a place made up by anybody would be noticed.
fn world() -> WorldFile {
    let car = CarFile {
        make: Make::Buick,
        latitude: 45.501_69,
        longitude: -73.567_26,
        latency_ms: 150,
        ..CarFile::of(DEMO_OWNER)
    };
    WorldFile { clients: vec![application()], cars: vec![car], ..WorldFile::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_client_refreshes_exchanges_finds_the_car_opens_the_trunk_and_locks_it() {
    let cloud = Running::start(world()).await.expect("the cloud starts");
    let saw = play(&cloud, DEMO_OWNER).await.unwrap_or_else(|why| panic!("the driver failed:\n{why}"));
    let car = &saw["car"];

    // Its own refresh of the login's tokens, then its own exchange; what was refreshed is dead.
    assert_eq!((&saw["refreshed_and_rotated"], &saw["exchanged"]), (&json!(true), &json!(true)));
    assert_eq!(saw["old_refresh_token"], json!([400, "invalid_grant", true]));

    // The old list: numbers as texts, and the commands by their old names.
    assert_eq!(saw["vin"], car["vin"]);
    assert_eq!((&saw["size"], &saw["make"], &saw["year"]), (&json!("1"), &json!("Buick"), &json!("2022")));
    let commands = ["alert", "cancelAlert", "location", "lockDoor", "lockTrunk", "unlockDoor", "unlockTrunk"];
    assert_eq!(saw["available"], json!(commands));

    // The place is where the car stands, spelled as texts named lat and long.
    assert_eq!(saw["location"], json!({"lat": "45.50169", "long": "-73.56726"}));

    // Locked, a hand opens nothing; unlocked, a hand opens the trunk; open, it does not lock; shut, it does.
    assert_eq!(saw["hand_before_unlock"], 409);
    assert_eq!(saw["unlock"], json!({"status": "success", "type": "unlockTrunk"}));
    assert_eq!(saw["hand_after_unlock"], 200);
    assert_eq!(saw["lock_while_open"], "Command failed");
    assert_eq!(
        (&saw["hand_closes"], &saw["lock"], &saw["hand_after_lock"]),
        (&json!(200), &json!("success"), &json!(409))
    );
    assert_eq!((&saw["doors"], &saw["alert"]), (&json!(["success", "success"]), &json!("success")));
    assert_eq!(car["shut_and_locked"], true);
    assert!(saw["polled"].as_u64() >= Some(7), "every command is asked about");

    // The simulator's own record agrees: one opening, each command once.
    let summary: Value =
        reqwest::get(format!("{}/__sim/summary", cloud.base())).await.expect("summary").json().await.expect("JSON");
    let tally = &summary["cars"][0];
    assert_eq!((&tally["trunk_openings"], &tally["lid_openings"]), (&json!(1), &json!(1)));
    assert_eq!(
        tally["commands"],
        json!({"alert": 1, "location": 1, "lock": 1, "lockTrunk": 2, "unlock": 1, "unlockTrunk": 1})
    );
    assert_eq!(tally["position_reads"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_without_an_account_does_not_get_in() {
    let cloud = Running::start(world()).await.expect("the cloud starts");
    play(&cloud, "nobody@example.org").await.expect_err("the login does not end");
    let summary: Value =
        reqwest::get(format!("{}/__sim/summary", cloud.base())).await.expect("summary").json().await.expect("JSON");
    assert_eq!((&summary["requests"], &summary["token_requests"]), (&json!(0), &json!(0)));
}
