//! A client package by strangers, written for the maker's real cloud, works against the simulated one: OAuth, readings, waking,
//! plain commands, and signed ones with its own cryptography.
//!
//! Our own adapter and our own simulator could agree on a mistake; this package has never seen either. It runs as a process
//! of its own in an interpreter of its own (`scripts/setup-tesla-fleet-api.sh`); what it does is in `tesla_fleet_api/driver.py`.
//! It needs Python 3.13: where the set-up found none, this test says so and is skipped.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use parcelshelf_simulator::tesla::{
    CarFile, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_COMMAND_KEY, DEMO_OWNER, Running, WorldFile,
};
use serde_json::{Value, json};

/// Longest that the whole play may take; it takes about seven seconds, three of them waiting for a car to wake.
const PLAY_S_MAX: u64 = 60;

/// What the set-up left, in the same target folder that it used.
fn set_up(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root.join(target).join("tesla-fleet-api-venv").join(name)
}
/// The interpreter; `None`: the set-up found no Python that could be one.
fn interpreter() -> Option<PathBuf> {
    let python = set_up("bin/python");
    if python.exists() {
        return Some(python);
    }
    match std::fs::read_to_string(set_up("skipped.txt")) {
        Ok(why) => {
            eprintln!("SKIPPED: {}", why.trim());
            None
        }
        Err(_) => {
            panic!("the independent client is not installed ({} is missing): run scripts/setup.sh", python.display())
        }
    }
}

/// Runs the driver against `cloud`; what it printed, or why it failed.
async fn play(python: &Path, cloud: &Running, secret: &str) -> Result<Value, String> {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tesla_fleet_api/driver.py");
    let folder = tempfile::tempdir().expect("a folder for its key");
    let key = folder.path().join("command.pem");
    std::fs::write(&key, DEMO_COMMAND_KEY).expect("the key is written");
    let running = tokio::process::Command::new(python)
        .arg("-I") // no settings, paths or packages of whoever runs this
        .arg(driver)
        .args([&cloud.base(), DEMO_OWNER, DEMO_CLIENT_ID, secret])
        .arg(&key)
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

/// Two cars at a place of their own, so that a place made up by anybody would be noticed.
async fn cloud() -> Running {
    let car = || CarFile { latitude: 52.520_01, longitude: 13.404_95, wake_s: 1, ..CarFile::of(DEMO_OWNER) };
    let cars = vec![car(), CarFile { signed: true, ..car() }];
    Running::start(WorldFile { cars, ..WorldFile::default() }).await.expect("the cloud starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_client_logs_in_opens_and_locks_with_plain_and_with_signed_commands() {
    let Some(python) = interpreter() else { return };
    let cloud = cloud().await;
    let saw = play(&python, &cloud, DEMO_CLIENT_SECRET).await.unwrap_or_else(|why| panic!("the driver failed:\n{why}"));

    // It logged in and found both cars, and which of them wants its commands signed.
    assert_eq!((&saw["state"], &saw["region"], &saw["listed"]), (&json!("state-1"), &json!("EU"), &json!(true)));
    assert_eq!((&saw["needs_signing"], &saw["paired"]), (&json!([false, true]), &json!(true)));

    // A sleeping car is told as such and woken; the place comes only when it is asked for, its time in seconds.
    assert_eq!((&saw["asleep"], &saw["woken"]), (&json!("VehicleOffline"), &json!("online")));
    assert_eq!(saw["place"], json!([52.520_01, 13.404_95]));
    assert_eq!((&saw["fix_in_seconds"], &saw["place_unasked"]), (&json!(true), &json!(false)));
    assert_eq!(saw["car_type"], "model3");

    // Both ways: a hand opens nothing, the button opens, an open car does not lock, the same button shuts, the lock locks.
    let mut expected = json!({
        "hand_before": 409, "open": true, "lid_after_open": "OPEN", "lock_while_open": false,
        "toggled": true, "lid_after_toggle": "CLOSED", "lock": true, "flash": true, "hand_after": 409,
    });
    assert_eq!(saw["plain"], expected);
    // The package makes of the signed refusal what it makes of it; a yes it is not.
    assert_ne!(saw["signed"]["lock_while_open"], json!(true));
    expected["lock_while_open"] = saw["signed"]["lock_while_open"].clone();
    assert_eq!(saw["signed"], expected);
    assert_eq!((&saw["plain_to_signed"], &saw["front"]), (&json!(403), &json!(true)));
    assert_eq!(saw["after_restart"], true, "it took the new epoch from the refusal and signed anew");

    // Tokens: the refreshed ones are others, and the old refresh token asks for the owner.
    assert_eq!((&saw["refreshed"], &saw["works_after_refresh"]), (&json!(true), &json!(2)));
    assert_eq!(saw["old_refresh_token"], "login_required");

    // The simulator's own record agrees: one opening of each trunk, one wake, nothing signed that should not have been.
    let summary: Value =
        reqwest::get(format!("{}/__sim/summary", cloud.base())).await.expect("summary").json().await.expect("JSON");
    for car in summary["cars"].as_array().expect("cars") {
        assert_eq!(car["trunk_openings"], 1);
    }
    let wakes: u64 = summary["cars"].as_array().expect("cars").iter().filter_map(|c| c["wakes"].as_u64()).sum();
    assert_eq!(wakes, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_wrong_secret_it_does_not_get_in() {
    let Some(python) = interpreter() else { return };
    let cloud = cloud().await;
    play(&python, &cloud, "not-the-secret").await.expect_err("the token endpoint refuses");
    let summary: Value =
        reqwest::get(format!("{}/__sim/summary", cloud.base())).await.expect("summary").json().await.expect("JSON");
    assert_eq!((&summary["requests"], &summary["token_requests"]), (&json!(0), &json!(1)));
}
