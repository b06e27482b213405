//! Another client package by other strangers works against the same simulated cloud: the new garage and commands, the digital
//! twin, and the fallback to the old API.
//!
//! It runs as a process of its own (`scripts/setup-onstarjs2.sh`); what it does is in `onstarjs2/driver.cjs`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use parcelshelf_core::vehicle::Vin;
use parcelshelf_simulator::onstar::{CarFile, ClientFile, DEMO_OWNER, Limits, Make, Running, WorldFile};
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

/// Where the set-up put the package, in the same target folder that the set-up used.
fn modules() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let modules = root.join(target).join("onstarjs2");
    modules.canonicalize().unwrap_or(modules)
}

/// Runs the driver against `cloud`: what it printed.
async fn play(cloud: &Running) -> Value {
    let modules = modules();
    assert!(
        modules.join("node_modules/onstarjs2").exists(),
        "the independent client is not installed ({} is missing): run scripts/setup.sh",
        modules.display()
    );
    let folder = tempfile::tempdir().expect("a folder for its tokens");
    let running = tokio::process::Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onstarjs2/driver.cjs"))
        .arg(modules)
        .args([&cloud.base(), DEMO_OWNER])
        .arg(folder.path())
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
async fn a_strangers_client_lists_locates_opens_locks_and_falls_back() {
    let eligible = ["unlockTrunk", "lockTrunk", "unlock", "lock", "alert", "cancelAlert"];
    let car = CarFile {
        make: Make::Cadillac,
        latitude: 45.501_69,
        longitude: -73.567_26,
        latency_ms: 150,
        fix_ms: 250,
        ..CarFile::of(DEMO_OWNER)
    };
    let limited = CarFile { commands: vec!["lock".into()], ..CarFile::of("somebody-else@example.org") };
    let limits = Limits { commands_per_minute: 60, ..Limits::default() };
    let world = WorldFile { clients: vec![application()], cars: vec![car, limited], limits, ..WorldFile::default() };
    let cloud = Running::start(world).await.expect("the cloud starts");
    let saw = play(&cloud).await;
    let car = &saw["car"];

    // The garage: one car, a real VIN, the year as a text there and as a number here.
    let listed = &saw["garage"][0];
    assert_eq!((saw["garage"].as_array().map(Vec::len), &listed["vin"]), (Some(1), &car["vin"]));
    assert!(Vin::parse(listed["vin"].as_str().expect("a VIN")).is_ok_and(|v| v.check_digit_holds()));
    assert_eq!((&listed["make"], &listed["year"]), (&json!("Cadillac"), &json!("2022")));
    assert_eq!((&saw["details_year"], &saw["health"]), (&json!(2022), &json!("NO_ACTION_REQUIRED")));
    assert_eq!((&saw["eligible"], &saw["not_eligible"]), (&json!(eligible), &json!([])));
    assert_eq!(saw["exchanged"], 1, "its own exchange of the login's token");

    // A fresh position was asked for, waited for, and is where the car stands.
    assert_eq!((&saw["pending"], &saw["position"]), (&json!("NONE"), &json!([45.501_69, -73.567_26])));

    assert_eq!((&saw["hand_before_unlock"], &saw["unlock"]), (&json!(409), &json!("success")));
    assert_eq!((&saw["hand_after_unlock"], &saw["lock_while_open"]), (&json!(200), &json!("Command Failure")));
    assert_eq!(
        (&saw["hand_closes"], &saw["lock"], &saw["hand_after_lock"]),
        (&json!(200), &json!("success"), &json!(409))
    );
    assert_eq!(saw["others"], json!(["success", "success", "success", "success", "success"]));

    // Refusals have empty bodies: only the status speaks. A POST is not repeated after 429.
    assert_eq!(saw["refused"], "Request Failed with status 403 - Forbidden");
    assert_eq!(saw["too_many"], "Request Failed with status 429 - Too Many Requests");

    // 400 of the new API: the same command again through the old one, and the next one there at once.
    assert_eq!((&saw["fallen_back"], &saw["locked_again"]), (&json!("success"), &json!("success")));
    assert_eq!(
        saw["posts_of_the_fallback"],
        json!([
            "POST /veh/cmd/v3/unlockTrunk/VIN",
            "POST /api/v1/account/vehicles/VIN/commands/unlockTrunk",
            "POST /api/v1/account/vehicles/VIN/commands/lockTrunk"
        ])
    );
    assert_eq!(car["shut_and_locked"], true);

    // The simulator's record holds every command, also the two that meant one.
    let summary: Value =
        reqwest::get(format!("{}/__sim/summary", cloud.base())).await.expect("summary").json().await.expect("JSON");
    let cars = summary["cars"].as_array().expect("cars");
    let tally = cars.iter().find(|t| t["vin"] == car["vin"]).expect("the car");
    assert_eq!(
        tally["commands"],
        json!({"alert": 2, "cancelAlert": 1, "lock": 1, "lockTrunk": 3, "unlock": 1, "unlockTrunk": 5})
    );
    assert_eq!(tally["trunk_openings"], 1);
}
