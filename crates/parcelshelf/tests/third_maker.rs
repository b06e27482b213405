//! Deliveries into cars whose trunk has one button for both ways, plain and signed: the whole story through real processes.

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
use parcelshelf_simulator::{tesla, volvo};
use serde_json::{Value, json};

const MAKER: &str = "tesla";
const LOGIN: &str = "alex@example.org";

fn place() -> Position {
    Position::new(59.334_59, 18.063_24, 10.0).unwrap()
}

/// A stage with one car of this maker, its owner enrolled.
async fn begin(dir: &Path, change: impl FnOnce(&mut tesla::CarFile)) -> (Stage, Owner, Courier) {
    let mut car = tesla::CarFile::of(LOGIN);
    change(&mut car);
    let vin = tesla::vin_of(&car.model, car.model_year, 100_001).unwrap().expose().to_owned();
    car.vin = Some(vin.clone());
    let third = tesla::WorldFile { cars: vec![car], ..tesla::WorldFile::default() };
    let worlds =
        Worlds { volvo: volvo::WorldFile::default(), onstar: None, tesla: Some(third), smartcar: None, home: None };
    let stage = Stage::start_with(dir, &worlds, Setting::default()).await.unwrap();
    let hands = Hands::at(&stage.scene, MAKER, &vin).unwrap();
    let owner = Owner::enrol_at(&stage.scene, MAKER, LOGIN, hands, place(), "KLM 482").await.unwrap();
    let courier = Courier::hire(&stage.scene, "Sam Rivera", "hire-0001").await.unwrap();
    (stage, owner, courier)
}
/// How the commands arrived that opened or locked.
async fn styles(stage: &Stage) -> Vec<String> {
    let record = stage.scene.sim_of(MAKER).unwrap().get("/__sim/record", &[]).await.unwrap();
    let commands = record["entries"].as_array().unwrap().iter().filter(|e| e["kind"] == "command");
    commands.filter_map(|e: &Value| e["style"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_parcel_is_delivered_by_plain_and_by_signed_commands_and_the_lock_is_observed() {
    for (signed, model, style) in [(false, "3", "plain"), (true, "Y", "signed")] {
        let dir = tempfile::tempdir().unwrap();
        let (mut stage, owner, courier) =
            begin(dir.path(), |car| (car.signed, car.model) = (signed, model.into())).await;
        let before = seen(&stage, &owner).await;
        let played = play::play(&stage.scene, &owner, &courier).await.unwrap();
        assert_eq!((played.end.as_str(), played.placed), ("delivered", true), "{style}");
        let finding = case(&stage, &owner, before, played.granted.delivery).await;
        assert_eq!((finding.openings, &finding.violations[..]), (1, &[][..]), "{style}");
        assert_eq!(finding.lock_proof, Some(LockProof::Observed), "{style}");
        let styles = styles(&stage).await;
        assert!(styles.len() >= 2 && styles.iter().all(|s| s == style), "{styles:?}");
        stage.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_after_it_opened_opens_once_and_ends_locked() {
    for signed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (mut stage, owner, courier) = begin(dir.path(), |car| car.signed = signed).await;
        owner.hands.plan_fault("actuate_trunk", "connection_drop_acted").await.unwrap();
        let before = seen(&stage, &owner).await;
        // The courier waits until the page says that it is open, though it stands open before their eyes.
        let played = play::play_once_told(&stage.scene, &owner, &courier, &["open"]).await.unwrap();
        assert!(played.placed, "what was unknown was seen");
        let finding = case(&stage, &owner, before, played.granted.delivery).await;
        assert_eq!((finding.openings, &finding.violations[..]), (1, &[][..]));
        let seen = seen(&stage, &owner).await.since(before);
        assert!(seen.unlock_commands == 1 && seen.shut_and_locked, "a second command would have shut it");
        stage.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_sleeping_car_is_woken_once_when_the_courier_is_near() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stage, owner, courier) = begin(dir.path(), |car| (car.signed, car.wake_s) = (true, 1)).await;
    owner.hands.act(&json!({"action": "sleep"})).await.unwrap();
    let played = play::play(&stage.scene, &owner, &courier).await.unwrap();
    assert_eq!((played.end.as_str(), played.placed), ("delivered", true));
    let car = stage.scene.seen_of(&owner.hands.vin).await.unwrap();
    assert_eq!(car["wakes"], 1, "wakes are paid for");
    stage.stop().await.unwrap();
}

/// This maker tells no times of change: a lid that was opened and shut between two looks leaves no trace.
#[tokio::test]
async fn a_lid_that_was_opened_and_shut_between_two_looks_is_not_taken_for_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stage, owner, courier) = begin(dir.path(), |_| {}).await;
    owner.hands.plan_fault("actuate_trunk", "connection_drop_acted").await.unwrap();
    let before = seen(&stage, &owner).await;
    let played = play::play(&stage.scene, &owner, &courier).await.unwrap();
    assert_eq!(case(&stage, &owner, before, played.granted.delivery).await.violations, &[] as &[&str]);
    stage.stop().await.unwrap();
}
