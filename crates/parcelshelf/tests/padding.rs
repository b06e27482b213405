//! A small gateway's log grows at a constant rate, whatever its owners do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "what was counted is printed")]

#[path = "support/play.rs"]
mod play;

use std::fs;
use std::time::Duration;

use parcelshelf::people::{Courier, Owner};
use parcelshelf::stage::{Setting, Stage};
use parcelshelf_core::area::Position;
use parcelshelf_simulator::volvo::{CarFile, WorldFile};

const LEAVES: u64 = 4;

/// Size in the newest checkpoint; `None` before the first.
async fn size(http: &reqwest::Client, url: &str) -> Option<u64> {
    let note = http.get(url).send().await.ok()?.error_for_status().ok()?.text().await.ok()?;
    note.lines().nth(1)?.parse().ok()
}

/// Sizes as somebody sees them who asks all the time, each once.
async fn watched(http: &reqwest::Client, url: &str, stop: &std::sync::atomic::AtomicBool) -> Vec<u64> {
    let mut seen = Vec::new();
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        if let Some(size) = size(http, url).await
            && seen.last() != Some(&size)
        {
            seen.push(size);
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn from_outside_a_day_with_a_delivery_looks_like_a_day_without() {
    let dir = tempfile::tempdir().unwrap();
    let place = Position::new(57.725_374, 11.849_843, 10.0).unwrap();
    let mut car = CarFile::of("kim@example.org");
    (car.latitude, car.longitude, car.relock_after_s) = (place.latitude_deg(), place.longitude_deg(), 0);
    let world = WorldFile { cars: vec![car], ..WorldFile::demo() };
    let mut stage = Stage::start(dir.path(), &world, Setting::default()).await.unwrap();
    stage.keyholder.stop().await.unwrap();
    let file = stage.scene.layout.dir.join("keyholder/keyholder.toml");
    let padding = format!("\n[keyholder.log.padding]\nevery_s = 1\nleaves = {LEAVES}\n");
    fs::write(&file, fs::read_to_string(&file).unwrap() + &padding).unwrap();
    stage.keyholder.restart(&[]).await.unwrap();
    let url = format!("{}/log/checkpoint", stage.scene.layout.gateway_origin);
    let http = parcelshelf_exchange::bare(None).unwrap();
    // What was signed before the padding is as it is.
    let before = size(&http, &url).await.unwrap_or(0);

    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let watching = tokio::spawn({
        let (http, url, stop) = (http.clone(), url.clone(), std::sync::Arc::clone(&stop));
        async move { watched(&http, &url, &stop).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    let quiet_until = size(&http, &url).await.unwrap();
    let cars = stage.scene.sim().get("/__sim/cars", &[]).await.unwrap();
    let vin = cars["cars"][0]["vin"].as_str().unwrap();
    let owner = Owner::enrol(&stage.scene, "kim@example.org", vin, place, "KLM 482").await.unwrap();
    let courier = Courier::hire(&stage.scene, "Sam Rivera", "hire-0001").await.unwrap();
    let played = play::play(&stage.scene, &owner, &courier).await.unwrap();
    assert_eq!((played.placed, played.end.as_str()), (true, "delivered"));
    // Its leaves are in, though nobody can tell which they are.
    let mut bundle = None;
    for _ in 0..300 {
        bundle = owner.wallet.bundle(played.granted.delivery).await.ok();
        if bundle.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let bundle = bundle.expect("the bundle gets ready");
    assert!(parcelshelf_protocol::bundle::verify(&bundle, None).is_ok());
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let sizes = watching.await.unwrap();
    println!("sizes seen: {sizes:?}, busy from {quiet_until} on");
    let first = sizes.iter().position(|s| *s > before).unwrap();
    let steps: Vec<u64> = sizes[first..].windows(2).map(|w| w[1] - w[0]).collect();
    assert!(steps.len() >= 6, "{steps:?}");
    // A reader who comes late sees two steps as one, but never a step of another size.
    assert!(steps.iter().all(|s| *s > 0 && s % LEAVES == 0), "{steps:?}");
    let ordinary = steps.iter().filter(|s| **s == LEAVES).count();
    assert!(ordinary * 10 >= steps.len() * 7, "one step a second: {steps:?}");
}

#[test]
fn a_new_gateway_of_a_public_name_starts_with_padding_and_a_local_one_without() {
    let dir = tempfile::tempdir().unwrap();
    for (host, padded) in [("gateway.example", true), ("localhost", false)] {
        let at = dir.path().join(host);
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_parcelshelf"))
            .args(["init", at.to_str().unwrap(), "--host", host])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let file = fs::read_to_string(at.join("keyholder/keyholder.toml")).unwrap();
        assert_eq!(file.contains("[keyholder.log.padding]"), padded, "{file}");
    }
}
