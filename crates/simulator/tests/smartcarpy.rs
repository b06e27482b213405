//! A client package by others, written for the vendor's real cloud, works against the simulated one: consent, tokens, readings
//! with their age, commands, errors, a batch, and what is known of the next generation.
//!
//! Our own adapter and our own simulator could agree on a mistake; this package has never seen either. It runs as a process
//! of its own in an interpreter of its own (`scripts/setup-smartcar.sh`); what it does is in `smartcarpy/driver.py`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use parcelshelf_simulator::smartcar::{CarFile, DEMO_OWNER, Running, WorldFile};
use serde_json::{Value, json};

/// Longest that the whole play may take; it takes about two seconds.
const PLAY_S_MAX: u64 = 60;

/// The interpreter that the set-up made, in the same target folder that the set-up used.
fn interpreter() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root.join(target).join("smartcarpy-venv/bin/python")
}

/// Runs the driver against `cloud`; what it printed, or why it failed.
async fn play(cloud: &Running, owner: &str) -> Result<Value, String> {
    let python = interpreter();
    assert!(
        python.exists(),
        "the independent client is not installed ({} is missing): run scripts/setup.sh",
        python.display()
    );
    let running = tokio::process::Command::new(python)
        .arg("-I") // no settings, paths or packages of whoever runs this
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smartcarpy/driver.py"))
        .args([&cloud.base(), owner])
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
        make: "KIA".into(),
        model: "EV6".into(),
        latitude: 45.501_69,
        longitude: -73.567_26,
        ..CarFile::of(DEMO_OWNER)
    };
    WorldFile { cars: vec![car], ..WorldFile::default() }
}
async fn summary(cloud: &Running) -> Value {
    reqwest::get(format!("{}/__sim/summary", cloud.base())).await.expect("summary").json().await.expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_client_is_allowed_in_reads_the_car_unlocks_and_locks_it_and_lets_go() {
    let cloud = Running::start(world()).await.expect("the cloud starts");
    let saw = play(&cloud, DEMO_OWNER).await.unwrap_or_else(|why| panic!("the driver failed:\n{why}"));
    let car = &saw["car"];

    // Its own exchange and refresh; what was refreshed is dead.
    assert_eq!((&saw["rotated"], &saw["stale_refresh"]), (&json!(true), &json!([400, "invalid_grant"])));
    assert_eq!((&saw["count"], &saw["user"], &saw["vin"]), (&json!(1), &json!(36), &car["vin"]));
    assert_eq!((&saw["attributes"], &saw["capable"]), (&json!(["KIA", "EV6", 2022]), &json!([true, true])));
    let permissions = ["control_security", "read_location", "read_security", "read_vehicle_info", "read_vin"];
    assert_eq!(saw["permissions"], json!(permissions));
    assert_eq!((&saw["location"], &saw["location_has_an_age"]), (&json!([45.501_69, -73.567_26]), &json!(true)));

    // Locked, a hand opens nothing; unlocked, a hand opens the tailgate; open, it does not lock; shut, it does.
    assert_eq!((&saw["before"], &saw["hand_before_unlock"]), (&json!([true, ["CLOSED", "CLOSED"]]), &json!(409)));
    assert_eq!(saw["unlock"], json!(["success", "Successfully sent request to vehicle"]));
    assert_eq!((&saw["hand_after_unlock"], &saw["while_open"]), (&json!(200), &json!([false, ["OPEN", "CLOSED"]])));
    assert_eq!(saw["lock_while_open"], json!([409, "VEHICLE_STATE", "TRUNK_OPEN", null]));
    assert_eq!(
        (&saw["hand_closes"], &saw["lock"], &saw["hand_after_lock"]),
        (&json!(200), &json!("success"), &json!(409))
    );
    assert_eq!(saw["after"], json!([true, ["CLOSED", "CLOSED", "CLOSED", "CLOSED"]]));
    assert_eq!(saw["only_taken"], json!(["success", 409]), "success says that the command was taken, and no more");

    // Its own reading of every family of errors.
    assert_eq!(saw["no_response"], json!([502, "UPSTREAM", "NO_RESPONSE", null]));
    assert_eq!(saw["rate_limit"], json!([429, "RATE_LIMIT", "VEHICLE", "30"]));
    assert_eq!(saw["billing"], json!([430, "BILLING", "VEHICLE_REQUEST_LIMIT", null]));
    assert_eq!(saw["down"], json!([503, "SERVER", null, null]));
    assert_eq!(saw["asleep"], json!([409, "VEHICLE_STATE", "ASLEEP", null]));

    assert_eq!(saw["batch"], json!([car["vin"], true, [404, "RESOURCE_NOT_FOUND"]]));
    assert_eq!((&saw["v3"], &saw["signal"]), (&json!([true, "KIA"]), &json!([45.501_69, true])));
    assert_eq!(saw["signals"], json!(["closure-islocked", "location-preciselocation"]));
    assert_eq!(saw["disconnected"], json!(["success", [401, "AUTHENTICATION"]]));
    assert_eq!(car["shut_and_locked"], true);

    // The simulator's own record agrees: one opening, each command once.
    let tally = &summary(&cloud).await["cars"][0];
    assert_eq!((&tally["tailgate_openings"], &tally["lid_openings"]), (&json!(1), &json!(1)));
    assert_eq!(tally["commands"], json!({"lock": 4, "unlock": 4}));
    // By itself, in the list of signals, and as a signal of its own.
    assert_eq!(tally["position_reads"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_without_an_account_does_not_get_in() {
    let cloud = Running::start(world()).await.expect("the cloud starts");
    play(&cloud, "nobody@example.org").await.expect_err("the consent does not end");
    let summary = summary(&cloud).await;
    assert_eq!((&summary["requests"], &summary["token_requests"]), (&json!(0), &json!(0)));
}
