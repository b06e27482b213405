//! Deliveries into cars that are reached through an aggregator: "success" is *accepted*, freshness stands in a header, and
//! nothing but the car's own state shows that it locked. The whole story through real processes, with simulated time: a
//! command may act for as long as the aggregator's cloud may be at it, five minutes and a half. One test, because whoever moves
//! the clock watches every thread of this process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/play.rs"]
#[expect(dead_code, reason = "only the label is needed here")]
mod play;
#[path = "support/second.rs"]
mod second;

use parcelshelf::judge;
use parcelshelf::stage::{Setting, Worlds};
use parcelshelf_core::area::Position;
use parcelshelf_core::time::Timestamp;
use parcelshelf_simulator::{smartcar, volvo};
use play::LABEL;
use second::{AtCar, Cast, Theatre};
use serde_json::{Value, json};

fn cast() -> Cast {
    let (login, place) = ("alex@example.org", Position::new(57.708_87, 11.974_56, 10.0).unwrap());
    let mut car = smartcar::CarFile::of(login);
    (car.latitude, car.longitude) = (place.latitude_deg(), place.longitude_deg());
    let vin = smartcar::vin_of(car.model_year, 200_001).unwrap().expose().to_owned();
    car.vin = Some(vin.clone());
    let fourth = smartcar::WorldFile { cars: vec![car], ..smartcar::WorldFile::default() };
    let worlds =
        Worlds { volvo: volvo::WorldFile::default(), onstar: None, tesla: None, smartcar: Some(fourth), home: None };
    // Tuesday, 24 November 2026, 08:00 in Gothenburg.
    Cast { maker: "smartcar", login, place, morning: Timestamp::from_unix_seconds(1_795_503_600), vin, worlds }
}

fn code(finding: &judge::Finding) -> Option<&'static str> {
    finding.lock_proof.map(|p| p.code())
}

/// From the wish to open until nothing more will be done.
async fn open_and_close(t: &Theatre, a: &AtCar<'_>, told: &[&str]) -> Value {
    let attempt = a.at.ask_to_open(&[a.at.scan(LABEL).unwrap()]).await.unwrap();
    a.at.follow(attempt, |s| told.iter().any(|state| s["state"] == *state)).await.unwrap();
    assert!(t.trunk("open_tailgate").await && t.trunk("close_tailgate").await);
    let photo = t.photo(a, attempt).await;
    a.at.shut(true, Some(photo)).await.unwrap();
    let mut end = Value::Null;
    // Longer than one follower waits.
    for _ in 0..6 {
        if let Ok(seen) = a.at.follow(attempt, |s| s["ended"] == json!(true) || s["state"] == "alarm").await {
            end = seen;
            break;
        }
    }
    end
}

async fn a_parcel_is_delivered_and_the_lock_is_observed_though_nobody_said_more_than_accepted(t: &Theatre) {
    assert_eq!(t.owner.class.code(), "tailgate_with_cabin", "there is no command for a trunk alone");
    let a = t.arrive().await;
    let end = open_and_close(t, &a, &["open", "ready", "unknown"]).await;
    assert_eq!((&end["lock_proof"], &end["alarm"]), (&json!("observed"), &Value::Null));
    let finding = t.end(&a).await;
    assert_eq!((finding.violations.as_slice(), finding.openings, code(&finding)), (&[][..], 1, Some("observed")));
    assert_eq!(t.seen().open_commands - t.before.open_commands, 1);
}

async fn an_answer_that_is_lost_after_it_opened_opens_once_and_ends_locked(t: &Theatre) {
    t.fault("unlock", "no_response_acted");
    let a = t.arrive().await;
    let end = open_and_close(t, &a, &["open", "unknown"]).await;
    assert_eq!(end["lock_proof"], "observed", "{end}");
    let finding = t.end(&a).await;
    assert_eq!((finding.violations.as_slice(), finding.openings), (&[][..], 1));
    let seen = t.seen();
    assert!(seen.open_commands - t.before.open_commands == 1 && seen.shut_and_locked, "{seen:?}");
}

async fn a_lock_that_was_accepted_and_did_not_move_is_no_proof(t: &Theatre) {
    t.fault("lock", "success_not_acted");
    let a = t.arrive().await;
    open_and_close(t, &a, &["open", "ready", "unknown"]).await;
    let finding = t.end(&a).await;
    assert_eq!(finding.violations, &[] as &[&str], "locked by another command, or a person was called");
    assert_ne!(code(&finding), Some("executed"), "the word of an aggregator proves nothing");
}

async fn a_car_that_sleeps_is_sent_nothing(t: &Theatre) {
    t.fault("unlock", "asleep");
    let a = t.arrive().await;
    let attempt = a.at.ask_to_open(&[a.at.scan(LABEL).unwrap()]).await.unwrap();
    let refused = a.at.follow(attempt, |s| s["state"] == "did_not_happen").await.unwrap();
    assert_eq!(refused["reason"], "asleep");
    assert!(!t.trunk("open_tailgate").await, "it was not sent");
    assert!(t.seen().shut_and_locked);
}

async fn a_car_that_is_taken_back_is_disconnected_at_the_aggregator_and_that_is_seen(t: &Theatre) {
    let permission = t.owner.wallet.unlink(t.owner.vehicle).await.unwrap();
    assert_eq!(permission, "verified", "given back, and the old tokens were tried");
    assert!(t.owner.wallet.vehicles().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_car_behind_an_aggregator_goes_through_the_whole_story() {
    for story in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let (mut stage, t) = Theatre::begin_with(dir.path(), Setting::default(), cast()).await;
        match story {
            0 => a_parcel_is_delivered_and_the_lock_is_observed_though_nobody_said_more_than_accepted(&t).await,
            1 => an_answer_that_is_lost_after_it_opened_opens_once_and_ends_locked(&t).await,
            2 => a_lock_that_was_accepted_and_did_not_move_is_no_proof(&t).await,
            3 => a_car_that_sleeps_is_sent_nothing(&t).await,
            _ => a_car_that_is_taken_back_is_disconnected_at_the_aggregator_and_that_is_seen(&t).await,
        }
        stage.stop().await.unwrap();
    }
}
