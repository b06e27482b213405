//! A client package written by strangers for the maker's cloud works against the simulated one: PyPI `volvocarsapi`, run as
//! a process of its own in an environment of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use parcelshelf_simulator::volvo::{Running, WorldFile};
use serde_json::{Value, json};

#[tokio::test]
async fn strangers_log_in_read_open_and_lock() {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("volvocarsapi/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/setup.sh first", python.display());
    let cloud = Running::start(WorldFile::demo()).await.unwrap();
    let cars: Value = reqwest::get(format!("{}/__sim/cars", cloud.base())).await.unwrap().json().await.unwrap();
    let vin = cars["cars"][0]["vin"].as_str().unwrap().to_owned();
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/volvocarsapi/driver.py");
    let (base, argument) = (cloud.base(), vin.clone());
    // A thread of its own: the simulator answers on this one's runtime.
    let run = move || std::process::Command::new(python).arg("-I").arg(driver).args([base, argument]).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the driver failed:\n{errors}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();

    assert_eq!(told["vehicles"], json!([vin]));
    assert_eq!(told["vehicles_again"], json!([vin]));
    assert!(told["commands"].as_array().unwrap().contains(&json!("UNLOCK")), "{told}");
    assert_eq!(told["accessibility"]["availabilityStatus"], "AVAILABLE");
    assert_eq!(told["doors_before"]["centralLock"], "LOCKED");
    assert_eq!(told["doors_before"]["tailgate"], "CLOSED");
    assert_eq!((told["latitude"].as_f64(), told["longitude"].as_f64()), place(&cars["cars"][0]));
    assert_eq!((told["unlock"].clone(), told["lock"].clone()), (json!("COMPLETED"), json!("COMPLETED")));
    assert_eq!((told["hand_opens"].clone(), told["hand_shuts"].clone()), (json!(200), json!(200)));
    assert_eq!(told["doors_open"]["tailgate"], "OPEN");
    assert_eq!(told["doors_after"]["tailgate"], "CLOSED");
    assert_eq!(told["doors_after"]["centralLock"], "LOCKED");
    assert_eq!(told["refreshed"], json!(true));
}

fn place(car: &Value) -> (Option<f64>, Option<f64>) {
    let find = |name: &str| car.pointer(&format!("/parked/{name}")).or(car.get(name)).and_then(Value::as_f64);
    (find("latitude"), find("longitude"))
}
