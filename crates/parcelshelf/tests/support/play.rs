//! One delivery by people who keep trying.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use parcelshelf::people::{AtStop, Courier, Owner, carrier_says, order, persist};
use parcelshelf::stage::Scene;
use parcelshelf_client::Failure;
use parcelshelf_client::wallet::Granted;
use serde_json::{Value, json};

pub const LABEL: &str = "FJB12345678";
/// How long a courier tries a handle that does not give.
const PATIENCE_AT_THE_CAR: u32 = 60;

/// What was acknowledged to somebody, and how it ended.
pub struct Played {
    pub granted: Granted,
    /// The carrier's last word.
    pub end: String,
    pub placed: bool,
}

/// One delivery by people who keep trying: the same request again when nobody answered.
pub async fn play(scene: &Scene, owner: &Owner, courier: &Courier) -> anyhow::Result<Played> {
    play_once_told(scene, owner, courier, &["ready", "open", "unknown"]).await
}

/// As [`play`], with a courier who touches the lid only once the stop page says one of these.
pub async fn play_once_told(scene: &Scene, owner: &Owner, courier: &Courier, told: &[&str]) -> anyhow::Result<Played> {
    let order = order(scene.host.now(), LABEL)?;
    let (merchant, dispatch) = (scene.merchant(), scene.dispatch());
    let ordered = persist(&scene.host, "the shipment", async || merchant.ship(&order, "ship-0001").await).await?;
    let granted = owner.allow(scene, &ordered).await?;
    let id = ordered.delivery;
    carrier_says(&dispatch, id, &["accepted"]).await?;
    persist(&scene.host, "the load", async || dispatch.load(id, courier.id, "load-0001").await).await?;
    let url = persist(&scene.host, "the leg", async || courier.shipping.start_leg(id, "leg-00001").await).await?;
    let at = AtStop::open(scene, courier, owner, &url, owner.place.moved(45.0, 20.0)).await?;
    at.locate().await?;
    at.describe().await?;
    let step = async |name: &str, key: &str, body: Value| {
        persist(&scene.host, name, async || courier.shipping.step(id, name, key, &body).await).await
    };
    step("arrived", "arrived-1", json!({})).await?;
    let attempt = at.ask_to_open(&[at.scan(LABEL)?]).await?;
    let placed = put_in(owner, &at, attempt, told).await?;
    if placed {
        let to = owner.wallet.seal_key_of(granted.id)?;
        let photo = at.photograph(attempt, &to, &parcelshelf_client::photo::specimen()).await?;
        at.close(Some(photo)).await?;
        at.follow(attempt, |s| s["ended"] == json!(true) || s["state"] == "alarm").await?;
        let path = format!("/v1/wallet/deliveries/{id}/photos/{photo}");
        persist(&scene.host, "the photo that was acknowledged", async || owner.wallet.get(&path).await).await?;
        let path = format!("/v1/wallet/deliveries/{id}/photos");
        let list = persist(&scene.host, "the list of photos", async || owner.wallet.get(&path).await).await?;
        ensure!(list["photos"] == json!([photo.to_string()]), "the list names what can be fetched: {list}");
    }
    let parcel = ordered.parcels.first().context("a parcel")?;
    let outcome =
        if placed { json!({"outcome": "done"}) } else { json!({"outcome": "not_done", "reason": "did_not_open"}) };
    step(&format!("parcels/{parcel}/outcome"), "outcome-1", outcome).await?;
    step("finish", "finish-01", json!({})).await?;
    if !placed {
        step("fallback-done", "fallback1", json!({ "parcel": parcel })).await?;
    }
    let end = carrier_says(&dispatch, id, &["ended"]).await?;
    let journal = persist(&scene.host, "the journal", async || dispatch.journal(id).await).await?;
    let kinds: Vec<&str> =
        journal["entries"].as_array().into_iter().flatten().filter_map(|e| e["kind"].as_str()).collect();
    // Every answer that somebody got stands in the journal, once.
    for acknowledged in ["requested", "accepted", "loaded", "leg_started", "arrived"] {
        let times = kinds.iter().filter(|k| **k == acknowledged).count();
        ensure!(times == 1, "{acknowledged} stands {times} times in the journal: {kinds:?}");
    }
    Ok(Played { granted, end: end["end"].as_str().unwrap_or_default().to_owned(), placed })
}

/// Pulls the handle while there is hope; true if the parcel is in and the lid shut.
async fn put_in(
    owner: &Owner,
    at: &AtStop<'_>,
    attempt: parcelshelf_core::id::AttemptId,
    told: &[&str],
) -> anyhow::Result<bool> {
    for _ in 0..PATIENCE_AT_THE_CAR {
        let seen = match at.page.attempt(attempt, 0).await {
            Ok(seen) => seen,
            Err(failure) if failure.is_passing() => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(other) => return Err(other.into()),
        };
        let state = seen["state"].as_str().unwrap_or_default();
        if matches!(state, "locking" | "locked" | "did_not_happen" | "alarm") {
            return Ok(false);
        }
        if told.contains(&state) {
            match owner.hands.act(&json!({"action": "open_tailgate"})).await {
                Ok(_) => {
                    owner.hands.act(&json!({"action": "close_tailgate"})).await?;
                    return Ok(true);
                }
                // Locked: it does not give.
                Err(Failure::Problem { status: 409, .. }) => {}
                Err(other) => return Err(other.into()),
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}
