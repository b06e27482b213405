//! The gateway's people: two of them look at a stopped carrier and let it go on. Without them a hostile day would be over by
//! noon, and nothing after it would be tried.

use std::sync::Arc;

use parcelshelf_client::people;
use parcelshelf_protocol::encoding::{Hash, Thumbprint};
use parcelshelf_protocol::order::Ordered;

use super::day::Day;
use crate::people::persist;
use crate::stage::Scene;

/// Somebody looks at the alarms this often, seconds.
const LOOK_EVERY_S: i64 = 60;
/// How long two people take to see that nobody follows cars, seconds.
const UNDERSTAND_S: i64 = 300;
/// Under this name the report counts stops.
pub const STOPPED: &str = "carrier stopped by the brake";

/// Looks at the carrier all day long.
pub async fn all_day(day: Arc<Day>) {
    let gateway = day.scene.gateway_http();
    let carrier = day.scene.depot.cert.claims().issuer;
    loop {
        day.sleep_s(LOOK_EVERY_S).await;
        // Who does not get an answer looks again in a minute.
        let Ok(Some(stop)) = people::stop_of(&gateway, carrier).await else { continue };
        day.book.odd(STOPPED);
        day.sleep_s(UNDERSTAND_S).await;
        if let Err(why) = release(&day.scene, carrier, stop).await {
            tracing::warn!(%why, "a stopped carrier could not be released");
        }
    }
}

/// Both people say that this very stop may end.
///
/// # Errors
/// When a key cannot be read, or the gateway refuses.
pub async fn release(scene: &Scene, carrier: Thumbprint, stop: Hash) -> anyhow::Result<()> {
    let gateway = scene.gateway_http();
    for key in scene.layout.people()? {
        let (aud, host) = (&scene.layout.gateway_origin, &scene.host);
        persist(host, "a release", async || {
            people::order(&gateway, aud, &key, carrier, Ordered::Release { stop }, host).await
        })
        .await?;
    }
    Ok(())
}
