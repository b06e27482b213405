//! A small gateway's log grows at a constant rate, whatever its owners do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "what was counted is printed")]

#[path = "support/play.rs"]
mod play;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parcelshelf::people::{Courier, Owner, until};
use parcelshelf::stage::{Setting, Stage};
use parcelshelf_core::area::Position;
use parcelshelf_edge::clock::Stopwatch;
use parcelshelf_simulator::volvo::{CarFile, WorldFile};

const LEAVES: u64 = 4;

/// Size in the newest checkpoint; `None` before the first.
async fn size(http: &reqwest::Client, url: &str) -> Option<u64> {
    let note = http.get(url).send().await.ok()?.error_for_status().ok()?.text().await.ok()?;
    note.lines().nth(1)?.parse().ok()
}

/// Sizes as somebody sees them who asks all the time, each once.
async fn watched(http: &reqwest::Client, url: &str, stop: &AtomicBool) -> Vec<u64> {
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if let Some(size) = size(http, url).await
            && seen.last() != Some(&size)
        {
            seen.push(size);
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    seen
}

/// The first size from `wanted` on, however long it takes.
async fn grown_to(http: &reqwest::Client, url: &str, wanted: u64) -> u64 {
    loop {
        match size(http, url).await {
            Some(size) if size >= wanted => return size,
            _ => tokio::time::sleep(Duration::from_millis(60)).await,
        }
    }
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
    let started = Stopwatch::start();
    stage.keyholder.restart(&[]).await.unwrap();
    let url = format!("{}/log/checkpoint", stage.scene.layout.gateway_origin);
    let http = parcelshelf_exchange::bare(None).unwrap();
    // What was signed before the padding is as it is.
    let before = size(&http, &url).await.unwrap_or(0);

    let stop = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn({
        let (http, url, stop) = (http.clone(), url.clone(), Arc::clone(&stop));
        async move { watched(&http, &url, &stop).await }
    });
    // Quiet, until it has grown by itself.
    let quiet = grown_to(&http, &url, before + 4 * LEAVES).await;
    let cars = stage.scene.sim().get("/__sim/cars", &[]).await.unwrap();
    let vin = cars["cars"][0]["vin"].as_str().unwrap();
    let owner = Owner::enrol(&stage.scene, "kim@example.org", vin, place, "KLM 482").await.unwrap();
    let courier = Courier::hire(&stage.scene, "Sam Rivera", "hire-0001").await.unwrap();
    let played = play::play(&stage.scene, &owner, &courier).await.unwrap();
    assert_eq!((played.placed, played.end.as_str()), (true, "delivered"));
    // Its leaves are in, though nobody can tell which they are.
    let bundle = until(&stage.scene.host, "the case bundle", async || {
        match owner.wallet.bundle(played.granted.delivery).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(failure) if failure.code() == Some("bundle_not_ready") => Ok(None),
            Err(other) => Err(other),
        }
    });
    assert!(parcelshelf_protocol::bundle::verify(&bundle.await.unwrap(), None).is_ok());
    // Quiet once more.
    let busy = size(&http, &url).await.unwrap();
    let end = grown_to(&http, &url, busy + 2 * LEAVES).await;
    let elapsed = started.elapsed();
    stop.store(true, Ordering::Relaxed);
    let sizes = watching.await.unwrap();
    println!("sizes seen: {sizes:?}; quiet until {quiet}, {end} after {elapsed:?}");
    let first = sizes.iter().position(|s| *s > before).unwrap();
    let steps: Vec<u64> = sizes[first..].windows(2).map(|w| w[1] - w[0]).collect();
    // A reader who comes late sees two steps as one, but never a step of another size.
    assert!(steps.len() >= 3 && steps.iter().all(|s| *s > 0 && s % LEAVES == 0), "{steps:?}");
    // By the clock and no faster, however much there was to write. That it is not slower is the beat's own test: how soon this
    // machine lets a process run is no law.
    let grown = sizes.last().unwrap() - sizes[first];
    assert!(grown <= LEAVES * (elapsed.as_secs() + 1), "{grown} leaves in {elapsed:?}: {sizes:?}");
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
