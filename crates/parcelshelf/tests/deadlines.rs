//! Deadlines of the keyholder and of the front, in simulated time: of no days, they come with the end of a grant and with the
//! day of a photo. Nobody asks for anything here but for a hold. The carrier's are in `forget.rs`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/play.rs"]
#[expect(dead_code, reason = "only the label is needed here")]
mod play;
#[path = "support/second.rs"]
mod second;

use std::fs;
use std::path::Path;
use std::time::Duration;

use parcelshelf::people::{carrier_says, order};
use parcelshelf::stage::Setting;
use parcelshelf_client::Failure;
use parcelshelf_core::id::DeliveryId;
use play::LABEL;
use second::Theatre;
use serde_json::{Value, json};

/// Windows are four hours long.
const AFTER_THE_WINDOW: Duration = Duration::from_secs(4 * 3_600 + 1_800);
/// Rows are looked at each minute at the keyholder and every ten at the front: whoever waits looks this often, for hours.
const LOOK_EVERY: Duration = Duration::from_secs(300);
const LOOKS: usize = 48;

fn of_no_days(config: &Path, member: &str, default: u32) {
    let text = fs::read_to_string(config).unwrap();
    let line = format!("{member} = {default}");
    assert!(text.contains(&line), "the default is written for whoever wants another");
    fs::write(config, text.replace(&line, &format!("{member} = 0"))).unwrap();
}

async fn is_gone(t: &Theatre, delivery: DeliveryId) -> bool {
    match t.owner.wallet.timeline(delivery).await {
        Err(failure) if failure.code() == Some("delivery_unknown") => true,
        Err(failure) if failure.is_passing() => false,
        other => other.map(|_| false).unwrap(),
    }
}

async fn comes(t: &Theatre, what: &str, mut look: impl AsyncFnMut() -> bool) {
    for _ in 0..LOOKS {
        if look().await {
            return;
        }
        t.scene.host.clock.sleep(LOOK_EVERY).await;
    }
    panic!("{what} did not come");
}

fn code(refused: &Result<Value, Failure>) -> Option<&str> {
    refused.as_ref().err().and_then(Failure::code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn deadlines_of_keyholder_and_front_erase_by_themselves_and_a_hold_stops_them() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stage, t) = Theatre::begin(dir.path(), Setting::default()).await;
    let parties = t.scene.layout.dir.clone();

    // A delivery with everything: records, an attempt, a photo.
    let a = t.arrive().await;
    let attempt = a.at.ask_to_open(&[a.at.scan(LABEL).unwrap()]).await.unwrap();
    a.at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    assert!(t.trunk("open_trunk").await && t.trunk("close_trunk").await);
    t.close_and_check(&a, attempt).await;
    t.end(&a).await;
    let delivered = a.delivery.delivery;
    let photos = format!("/v1/wallet/deliveries/{delivered}/photos");
    let wallet = &t.owner.wallet;
    let left = async || wallet.get(&photos).await.map_or(usize::MAX, |p| p["photos"].as_array().unwrap().len());
    assert_eq!(left().await, 1);
    // Somebody wants to keep it. Of another one nothing came, and nobody does.
    wallet.hold(delivered).await.unwrap();
    let (merchant, dispatch) = (t.scene.merchant(), t.scene.dispatch());
    let wanted = order(t.scene.host.now(), "FJB00000002").unwrap();
    let ordered = merchant.ship(&wanted, "ship-0002").await.unwrap();
    t.owner.allow(&t.scene, &ordered).await.unwrap();
    let unused = ordered.delivery;
    carrier_says(&dispatch, unused, &["accepted"]).await.unwrap();

    // With the deadlines that are there nothing goes.
    t.scene.host.clock.sleep(AFTER_THE_WINDOW).await;
    assert!(!is_gone(&t, delivered).await && !is_gone(&t, unused).await);

    // Then come others.
    stage.keyholder.kill().await.unwrap();
    stage.gateway.kill().await.unwrap();
    of_no_days(&parties.join("keyholder/keyholder.toml"), "deliveries_days", 365);
    of_no_days(&parties.join("gateway/gateway.toml"), "photos_days", 90);
    stage.keyholder.restart(&[]).await.unwrap();
    stage.gateway.restart(&[]).await.unwrap();
    comes(&t, "the keyholder's deadline", async || is_gone(&t, unused).await).await;
    // What went stands in the owner's records, by whom.
    let records = wallet.export().await.unwrap()["wallet"]["records"].to_string();
    assert!(records.contains(&unused.to_string()) && records.contains("deadline"), "{records}");
    let asked = wallet.erase(parcelshelf_protocol::statement::ToErase::Delivery(unused)).await;
    assert!(asked.is_ok(), "whoever asks for it afterwards hears that it is done: {:?}", code(&asked));

    // Hours and many looks later what is held is still there, with its photo.
    t.scene.host.clock.sleep(AFTER_THE_WINDOW).await;
    let timeline = wallet.timeline(delivered).await.unwrap();
    assert_eq!(timeline["hold"]["by"], "owner", "a hold stops the deadline: {timeline}");
    assert_eq!(left().await, 1, "the front keeps what the keyholder says is held");
    // Without the hold both go.
    wallet.lift_hold(delivered).await.unwrap();
    comes(&t, "the deadline of what was held", async || is_gone(&t, delivered).await).await;
    comes(&t, "the front's deadline", async || left().await == 0).await;
    // The carrier has deadlines of its own.
    assert_eq!(dispatch.delivery(delivered).await.unwrap()["state"], json!("ended"));
    stage.stop().await.unwrap();
}
