//! The command that prices privacy on routes, on a made-up town.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use serde_json::Value;

/// Stops on a spiral around a depot; no real town.
fn town(stops: usize) -> String {
    let mut text = String::from("id,latitude,longitude\ndepot,10.0,20.0\n");
    for n in 0..stops {
        let (turn, out) = (n as f64 * 2.399_963, 0.08 * (n as f64 / stops as f64).sqrt());
        writeln!(text, "{n},{:.5},{:.5}", 10.0 + out * turn.sin(), 20.0 + out * turn.cos()).unwrap();
    }
    text
}

#[test]
fn a_plan_with_areas_is_priced_and_repeats_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (stops, report, page) = (dir.path().join("s.csv"), dir.path().join("r.json"), dir.path().join("p.html"));
    fs::write(&stops, town(260)).unwrap();
    let run = || {
        let done = Command::new(env!("CARGO_BIN_EXE_parcelshelf"))
            .args(["plan", "--routes", "1", "--seeds", "1", "--private-share", "10", "--stops"])
            .arg(&stops)
            .arg("--report")
            .arg(&report)
            .arg("--page")
            .arg(&page)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        fs::read_to_string(&report).unwrap()
    };
    let first = run();
    assert_eq!(first, run(), "the same seed gives the same figures");
    let json: Value = serde_json::from_str(&first).unwrap();
    let of = |name: &str| json["rows"].as_array().unwrap().iter().find(|r| r["disclose"] == name).unwrap().clone();
    assert!(of("area")["extra_percent"]["median"].as_f64().unwrap() < 15.0);
    assert_eq!(of("next_stop")["places_held_at_once"]["max"], 1.0);
    assert!(fs::read_to_string(&page).unwrap().contains("<svg"));
}

#[test]
fn too_few_stops_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let stops = dir.path().join("s.csv");
    fs::write(&stops, town(20)).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_parcelshelf")).args(["plan", "--stops"]).arg(&stops).output().unwrap();
    assert!(!done.status.success());
    assert!(String::from_utf8_lossy(&done.stderr).contains("--routes"));
}
