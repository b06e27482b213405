//! A client package by strangers, written for the maker's real cloud, works against the simulated one.
//!
//! Our own adapter and our own simulator could agree on a mistake; this package has never seen either. It runs as a process
//! of its own in an interpreter of its own (`scripts/setup-volvocarsapi.sh`); what it does is in `volvocarsapi/driver.py`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use parcelshelf_simulator::volvo::{
    CarFile, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_OWNER, DEMO_VCC_API_KEY, Running, WorldFile,
};
use serde_json::{Value, json};

/// Longest that the whole play may take; it takes about two seconds.
const PLAY_S_MAX: u64 = 60;

/// The interpreter that the set-up made, in the same target folder that the set-up used.
fn interpreter() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root.join(target).join("volvocarsapi-venv/bin/python")
}

/// Runs the driver against `cloud`; what it printed, or why it failed.
async fn play(cloud: &Running, secret: &str) -> Result<Value, String> {
    let python = interpreter();
    assert!(
        python.exists(),
        "the independent client is not installed ({} is missing): run scripts/setup.sh",
        python.display()
    );
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/volvocarsapi/driver.py");
    let running = tokio::process::Command::new(python)
        .arg("-I") // no settings, paths or packages of whoever runs this
        .arg(driver)
        .args([&cloud.base(), DEMO_OWNER, DEMO_CLIENT_ID, secret, DEMO_VCC_API_KEY])
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
    let car = CarFile { latitude: 59.329_32, longitude: 18.068_58, model: "XC60".into(), ..CarFile::of(DEMO_OWNER) };
    WorldFile { cars: vec![car], ..WorldFile::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_client_logs_in_finds_the_car_opens_it_and_locks_it() {
    let cloud = Running::start(world()).await.expect("the cloud starts");
    let saw = play(&cloud, DEMO_CLIENT_SECRET).await.unwrap_or_else(|why| panic!("the driver failed:\n{why}"));

    // It logged in, found the one car and read what kind it is and what it can do.
    let car = &saw["car"];
    assert_eq!(saw["vins"], json!([car["vin"]]));
    assert_eq!(
        saw["details"],
        json!({"model": "XC60", "model_year": 2022, "colour": "Crystal White Pearl", "combustion": true})
    );
    let commands = json!(["FLASH", "HONK", "HONK_AND_FLASH", "LOCK", "LOCK_REDUCED_GUARD", "UNLOCK"]);
    assert_eq!(saw["commands"], commands);
    assert_eq!((&saw["accessible"], &saw["accessible_has_time"]), (&json!("AVAILABLE"), &json!(true)));
    assert_eq!(saw["windows"], json!(["CLOSED"]));

    // The place is where the car was parked: longitude first, and the time it stopped there.
    assert_eq!(saw["location_type"], "Feature");
    assert_eq!(saw["location"], json!([18.068_58, 59.329_32, 0.0]));
    assert_eq!(
        [&saw["location"][1], &saw["location"][0]],
        [&car["parked"]["latitude"], &car["parked"]["longitude"]],
        "what the cloud tells is where the car is"
    );
    assert!(saw["location_since"].as_str().is_some_and(|t| t.ends_with("+00:00")));

    // Locked, a hand opens nothing; unlocked, a hand opens the tailgate, and the cloud tells so.
    assert_eq!(saw["doors_at_first"]["tailgate"], "CLOSED");
    assert_eq!(saw["doors_at_first"]["centralLock"], "LOCKED");
    assert_eq!(saw["hand_before_unlock"], 409);
    assert_eq!(saw["unlock"], json!({"word": "COMPLETED", "ready": true, "ready_until": 120}));
    assert_eq!(saw["hand_after_unlock"], 200);
    assert_eq!(saw["tailgate_after_unlock"], "OPEN");

    // An open car does not lock; a shut one does, in the cloud's words and in truth.
    assert_eq!(saw["lock_while_open"], "UNABLE_TO_LOCK_DOOR_OPEN");
    assert_eq!(saw["hand_closes"], 200);
    assert_eq!(saw["lock"], "COMPLETED");
    assert_eq!(saw["doors_at_last"]["centralLock"], "LOCKED");
    assert_eq!(saw["hand_after_lock"], 409);
    assert_eq!(car["shut_and_locked"], true);

    // Tokens: the refreshed ones are others, the old refresh token is dead, and a wrong key opens nothing.
    assert_eq!(saw["expires_in"], 1_799);
    for fact in ["access_token_changed", "refresh_token_changed", "works_after_refresh"] {
        assert_eq!(saw[fact], true, "{fact}");
    }
    assert_eq!(saw["old_refresh_token"], "refused");
    assert_eq!(saw["wrong_key"], "UNAUTHORIZED missing or invalid vcc-api-key");

    // The simulator's own record agrees: one opening, and three commands by this client.
    let summary: Value =
        reqwest::get(format!("{}/__sim/summary", cloud.base())).await.expect("summary").json().await.expect("JSON");
    let tally = &summary["cars"][0];
    assert_eq!((&tally["tailgate_openings"], &tally["position_reads"]), (&json!(1), &json!(1)));
    assert_eq!(tally["commands"], json!({"unlock": 1, "lock": 2}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_wrong_secret_it_does_not_get_in() {
    let cloud = Running::start(world()).await.expect("the cloud starts");
    let why = play(&cloud, "not-the-secret").await.expect_err("the token endpoint refuses");
    assert!(why.contains("VolvoAuthException"), "{why}");
    let summary: Value =
        reqwest::get(format!("{}/__sim/summary", cloud.base())).await.expect("summary").json().await.expect("JSON");
    assert_eq!((&summary["requests"], &summary["token_requests"]), (&json!(0), &json!(1)));
}
