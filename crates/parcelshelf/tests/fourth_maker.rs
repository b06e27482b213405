//! Deliveries into cars that are reached through an aggregator: "success" is *accepted*, freshness stands in a header, and
//! nothing but the car's own state shows that it locked. The whole story through real processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/case.rs"]
mod case;
#[path = "support/play.rs"]
mod play;

use std::path::Path;

use case::{case, seen};
use parcelshelf::people::{Courier, Hands, Owner};
use parcelshelf::stage::{Setting, Stage, Worlds};
use parcelshelf_core::actuation::LockProof;
use parcelshelf_core::area::Position;
use parcelshelf_simulator::{smartcar, volvo};
use serde_json::Value;

const MAKER: &str = "smartcar";
const LOGIN: &str = "alex@example.org";

fn place() -> Position {
    Position::new(57.708_87, 11.974_56, 10.0).unwrap()
}

/// A stage with one car behind the aggregator, its owner enrolled.
async fn begin(dir: &Path) -> (Stage, Owner, Courier) {
    let mut car = smartcar::CarFile::of(LOGIN);
    let vin = smartcar::vin_of(car.model_year, 200_001).unwrap().expose().to_owned();
    car.vin = Some(vin.clone());
    let fourth = smartcar::WorldFile { cars: vec![car], ..smartcar::WorldFile::default() };
    let worlds = Worlds { volvo: volvo::WorldFile::default(), onstar: None, tesla: None, smartcar: Some(fourth) };
    let stage = Stage::start_with(dir, &worlds, Setting::default()).await.unwrap();
    let hands = Hands::at(&stage.scene, MAKER, &vin).unwrap();
    let owner = Owner::enrol_at(&stage.scene, MAKER, LOGIN, hands, place(), "KLM 482").await.unwrap();
    let courier = Courier::hire(&stage.scene, "Sam Rivera", "hire-0001").await.unwrap();
    (stage, owner, courier)
}
async fn commands(stage: &Stage) -> Vec<String> {
    let record = stage.scene.sim_of(MAKER).unwrap().get("/__sim/record", &[]).await.unwrap();
    let commands = record["entries"].as_array().unwrap().iter().filter(|e| e["kind"] == "command");
    commands.filter_map(|e: &Value| e["command"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_parcel_is_delivered_and_the_lock_is_observed_though_nobody_said_more_than_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stage, owner, courier) = begin(dir.path()).await;
    assert_eq!(owner.class.code(), "tailgate_with_cabin", "there is no command for a trunk alone");
    let before = seen(&stage, &owner).await;
    let played = play::play(&stage.scene, &owner, &courier).await.unwrap();
    assert_eq!((played.end.as_str(), played.placed), ("delivered", true));
    let finding = case(&stage, &owner, before, played.granted.delivery).await;
    assert_eq!((finding.openings, &finding.violations[..]), (1, &[][..]));
    assert_eq!(finding.lock_proof, Some(LockProof::Observed));
    assert_eq!(commands(&stage).await, ["unlock", "lock"]);
    stage.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_lost_after_it_opened_opens_once_and_ends_locked() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stage, owner, courier) = begin(dir.path()).await;
    owner.hands.plan_fault("unlock", "no_response_acted").await.unwrap();
    let before = seen(&stage, &owner).await;
    let played = play::play_once_told(&stage.scene, &owner, &courier, &["open", "unknown"]).await.unwrap();
    assert!(played.placed, "an honest page says: look at the lid");
    let finding = case(&stage, &owner, before, played.granted.delivery).await;
    assert_eq!((finding.openings, &finding.violations[..]), (1, &[][..]));
    let seen = seen(&stage, &owner).await.since(before);
    assert!(seen.unlock_commands == 1 && seen.shut_and_locked, "{seen:?}");
    stage.stop().await.unwrap();
}

#[tokio::test]
async fn a_lock_that_was_accepted_and_did_not_move_is_sent_again_until_the_car_shows_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stage, owner, courier) = begin(dir.path()).await;
    owner.hands.plan_fault("lock", "success_not_acted").await.unwrap();
    let before = seen(&stage, &owner).await;
    let played = play::play(&stage.scene, &owner, &courier).await.unwrap();
    assert!(played.placed);
    let finding = case(&stage, &owner, before, played.granted.delivery).await;
    assert_eq!(finding.violations, &[] as &[&str], "locked by a second command, or a person was called");
    assert!(finding.lock_proof != Some(LockProof::Executed), "the word of an aggregator proves nothing");
    stage.stop().await.unwrap();
}

#[tokio::test]
async fn a_car_that_sleeps_is_sent_nothing_and_the_parcel_goes_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stage, owner, courier) = begin(dir.path()).await;
    owner.hands.plan_fault("unlock", "asleep").await.unwrap();
    let before = seen(&stage, &owner).await;
    let played = play::play(&stage.scene, &owner, &courier).await.unwrap();
    assert_eq!((played.placed, played.end.as_str()), (false, "fallback"));
    let finding = case(&stage, &owner, before, played.granted.delivery).await;
    assert_eq!((finding.openings, &finding.violations[..]), (0, &[][..]));
    assert!(seen(&stage, &owner).await.shut_and_locked);
    stage.stop().await.unwrap();
}

#[tokio::test]
async fn a_car_that_is_taken_back_is_disconnected_at_the_aggregator_and_that_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stage, owner, _courier) = begin(dir.path()).await;
    let permission = owner.wallet.unlink(owner.vehicle).await.unwrap();
    assert_eq!(permission, "verified", "given back, and the old tokens were tried");
    assert!(owner.wallet.vehicles().await.unwrap().is_empty());
    stage.stop().await.unwrap();
}
