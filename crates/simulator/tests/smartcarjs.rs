//! The same vendor's other client package works against the same simulated cloud: other paths, with trailing slashes, and its
//! own reading of errors.
//!
//! It runs as a process of its own (`scripts/setup-smartcarjs.sh`); what it does is in `smartcarjs/driver.cjs`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use parcelshelf_simulator::smartcar::{CarFile, DEMO_OWNER, Running, WorldFile};
use serde_json::{Value, json};

/// Longest that the whole play may take; it takes about two seconds.
const PLAY_S_MAX: u64 = 60;

/// Where the set-up put the package, in the same target folder that the set-up used.
fn modules() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let modules = root.join(target).join("smartcarjs");
    modules.canonicalize().unwrap_or(modules)
}

/// Runs the driver against `cloud`: what it printed.
async fn play(cloud: &Running) -> Value {
    let modules = modules();
    assert!(
        modules.join("node_modules/smartcar").exists(),
        "the independent client is not installed ({} is missing): run scripts/setup.sh",
        modules.display()
    );
    let running = tokio::process::Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smartcarjs/driver.cjs"))
        .arg(modules)
        .args([&cloud.base(), DEMO_OWNER])
        .env_remove("NODE_OPTIONS")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(PLAY_S_MAX), running)
        .await
        .expect("the driver ends in time")
        .expect("the driver starts");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "the driver failed:\n{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("the driver prints JSON ({e}): {errors}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_client_lists_with_slashes_reads_unlocks_locks_and_lets_go() {
    let car = CarFile { latitude: 45.501_69, longitude: -73.567_26, ..CarFile::of(DEMO_OWNER) };
    let world = WorldFile { cars: vec![car, CarFile::of("somebody-else@example.org")], ..WorldFile::default() };
    let cloud = Running::start(world).await.expect("the cloud starts");
    let saw = play(&cloud).await;
    let car = &saw["car"];

    assert_eq!((&saw["rotated"], &saw["stale"][0]), (&json!(true), &json!(400)));
    assert_eq!((&saw["count"], &saw["vin"]), (&json!(1), &car["vin"]), "nobody else's car");
    assert_eq!((&saw["attributes"], &saw["capable"]), (&json!(["VOLVO", "XC40", 2022]), &json!([true, true])));
    let permissions = ["control_security", "read_location", "read_security", "read_vehicle_info", "read_vin"];
    assert_eq!(saw["permissions"], json!(permissions));
    assert_eq!(saw["location"], json!([45.501_69, -73.567_26, true]), "with an age");
    let storage = json!([{"type": "rear", "status": "CLOSED"}, {"type": "front", "status": "CLOSED"}]);
    assert_eq!(saw["before"], json!([true, storage]));

    assert_eq!((&saw["hand_before_unlock"], &saw["unlock"]), (&json!(409), &json!("success")));
    assert_eq!(saw["hand_after_unlock"], 200);
    assert_eq!(saw["lock_while_open"], json!([409, "VEHICLE_STATE", "TRUNK_OPEN", "RETRY_LATER"]));
    assert_eq!(
        (&saw["hand_closes"], &saw["lock"], &saw["hand_after_lock"], &saw["after"]),
        (&json!(200), &json!("success"), &json!(409), &json!(true))
    );

    // No response is no failure: the car had acted.
    assert_eq!(saw["silent"], json!([[502, "UPSTREAM", "NO_RESPONSE", "RETRY_LATER"], 200]));
    assert_eq!(saw["billing"], json!([430, "BILLING", "ACCOUNT_SUSPENDED", "CONTACT_SUPPORT"]));
    assert_eq!(saw["batch"], json!(["VOLVO", 45.501_69, true]));
    assert_eq!(saw["v3"], json!([true, 2022]));
    assert_eq!((&saw["disconnected"], &saw["after_the_end"][0]), (&json!("success"), &json!(401)));
    assert!(saw["slashes"].as_array().is_some_and(|all| !all.is_empty()), "it writes slashes at the end: {saw}");
    assert_eq!(car["shut_and_locked"], true);

    let summary: Value =
        reqwest::get(format!("{}/__sim/summary", cloud.base())).await.expect("summary").json().await.expect("JSON");
    let cars = summary["cars"].as_array().expect("cars");
    let tally = cars.iter().find(|t| t["vin"] == car["vin"]).expect("the car");
    assert_eq!(tally["commands"], json!({"lock": 4, "unlock": 2}));
    assert_eq!((&tally["tailgate_openings"], &tally["position_reads"]), (&json!(2), &json!(2)));
}
