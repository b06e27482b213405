//! An attack with what a depot has: the key that enrols devices.

use anyhow::{Context as _, ensure};
use parcelshelf_client::courier::{Device, Stop};
use parcelshelf_client::people;
use parcelshelf_protocol::encoding::{Hash, Thumbprint, b64, sha256};
use parcelshelf_protocol::label;

use super::carriers::{CloudKeys, salt_of};
use super::gain::Gain;
use super::stop::{Visit, answered};
use super::world::World;
use crate::simulate::operators;

/// Places that may be seen by one device before the carrier is stopped: eleven that it let go of, and the one it holds.
const PLACES_MAX: u64 = 12;
/// So long nobody sets out.
const QUIET_S: i64 = 3_700;
/// Deliveries that are looked for, so that the brake is certain to be reached.
const WANTED: usize = 16;

/// Somebody has the depot's key and the carrier's: they enrol a phone of their own, send it to every delivery, and look where
/// each car stands. The design does not deny them places at all; it says how many, until two people release the brake.
///
/// # Errors
/// When an honest step does not come about.
pub async fn enrolment_credential(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    // The brake compares with the legs of an hour: those of the drills before would hide a few.
    world.day.sleep_s(QUIET_S).await;
    let mine = world.take(WANTED).await?;
    let before = world.all_seen(&mine);
    let (keys, scene) = (CloudKeys::stolen(world)?, world.scene().clone());
    let gateway = scene.gateway_http();
    let phone = Device::create(&scene.host)?;
    answered(world, async || scene.depot.enrol(&gateway, &phone, &scene.host).await).await.context("the enrolment")?;
    let (mut places, mut stopped) = (0_u64, 0_u64);
    for n in &mine {
        let accepted = world.granted(*n)?.accepted;
        let salt = salt_of(world, *n)?;
        let label = label::hash(&salt, &world.delivery(*n)?.label)?;
        let claims = keys.delegation(accepted.claims(), phone.thumbprint(), vec![label]);
        let handed_in = answered(world, async || keys.hand_in(&claims).await).await;
        gain.count("a delegation to the thief's phone", if handed_in.is_ok() { "taken" } else { "refused" });
        let last_link = handed_in.unwrap_or_else(|_| b64(sha256("none").as_bytes()));
        let stop = Stop { delivery: accepted.claims().delivery, last_link, salt };
        let mut visit = Visit::at(*n, world.page().await?, stop);
        match visit.locate(world, &phone).await? {
            Ok(_) => {
                places += 1;
                gain.must(stopped == 0, || format!("delivery {n}: a place after the carrier was stopped"));
            }
            refused => {
                stopped += 1;
                gain.refused("to look with the thief's phone, after the brake", &["conditions_not_met"], &refused);
            }
        }
    }
    let carrier = scene.depot.cert.claims().issuer;
    let stop = answered(world, async || people::stop_of(&gateway, carrier).await).await?;
    gain.must(stop.is_some(), || format!("{places} places were looked at and the carrier is not stopped"));
    gain.must(places <= PLACES_MAX, || format!("{places} places were obtained before the brake"));
    gain.figure("deliveries", mine.len());
    gain.figure("places_obtained_before_the_brake", places);
    gain.figure("refused_afterwards", stopped);
    for (n, before) in before {
        gain.must(world.seen(n).open_commands == before.open_commands, || format!("delivery {n} was opened"));
    }
    if let Some(stop) = stop {
        release(world, carrier, stop).await?;
    }
    Ok(gain)
}

/// Two people look, and let the carrier go on: other drills come after.
async fn release(world: &World, carrier: Thumbprint, stop: Hash) -> anyhow::Result<()> {
    operators::release(world.scene(), carrier, stop).await?;
    let gateway = world.scene().gateway_http();
    ensure!(answered(world, async || people::stop_of(&gateway, carrier).await).await?.is_none(), "still stopped");
    Ok(())
}
