//! Every drill against a small world: no attack succeeds, and where the house is weakened one does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::{Command, Output};

use serde_json::Value;

fn drill(arguments: &[&str]) -> (Output, Value) {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_parcelshelf"))
        .args(["drill", "--report", report.to_str().unwrap(), "--deliveries", "320", "--couriers", "8"])
        .args(["--schedules", "200"])
        .args(arguments)
        .output()
        .unwrap();
    let report = std::fs::read(&report).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    (output, report)
}

#[test]
fn no_attack_gains_what_the_design_denies() {
    let (output, report) = drill(&["all", "--seed", "3"]);
    assert!(output.status.success(), "{}\n{report:#}", String::from_utf8_lossy(&output.stderr));
    let drills = report["drills"].as_array().unwrap();
    let listed = Command::new(env!("CARGO_BIN_EXE_parcelshelf")).args(["drill", "all", "--list"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(drills.len(), listed.lines().count());
    for entry in drills {
        assert_eq!(entry["attack_succeeded"], Value::Bool(false), "{entry}");
        assert!(!entry["figures"].as_object().unwrap().is_empty(), "{entry}");
    }
    let race = drills.iter().find(|entry| entry["name"] == "revoked-race").unwrap();
    assert_eq!(race["figures"]["in_memory"]["schedules"], 200, "{race}");
}

#[test]
fn a_keyholder_that_believes_whatever_its_store_says_is_found_out() {
    let (output, report) = drill(&["keyholder-store", "--gullible"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["drills"][0]["attack_succeeded"], Value::Bool(true), "{report}");
}

#[test]
fn what_is_no_drill_is_named() {
    let (output, _) = drill(&["stolen-cheese"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there are: all, stolen-carrier"));
}
