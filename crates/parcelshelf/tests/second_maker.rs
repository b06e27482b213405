//! Deliveries into cars whose maker answers later and tells neither lid nor lock: the whole story through real processes,
//! with simulated time. One test, because whoever moves the clock watches every thread of this process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/play.rs"]
#[expect(dead_code, reason = "only the label is needed here")]
mod play;
#[path = "support/second.rs"]
mod second;

use std::time::Duration;

use parcelshelf::judge;
use parcelshelf::stage::{Setting, Stage};
use play::LABEL;
use second::Theatre;
use serde_json::{Value, json};

fn code(finding: &judge::Finding) -> Option<&'static str> {
    finding.lock_proof.map(|p| p.code())
}

async fn a_parcel_is_delivered_and_the_case_agrees_with_the_car(t: &Theatre) {
    let cars = t.owner.wallet.vehicles().await.unwrap();
    let words = cars[0]["facts"]["how_locking_is_proved"].as_str().unwrap();
    assert!(words.contains("the courier checks the handle"), "{words}");
    let a = t.arrive().await;
    let attempt = a.at.ask_to_open(&[a.at.scan(LABEL).unwrap()]).await.unwrap();
    a.at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    assert!(t.trunk("open_trunk").await && t.trunk("close_trunk").await);
    let end = t.close_and_check(&a, attempt).await;
    assert_eq!(end["lock_proof"], "executed");
    let finding = t.end(&a).await;
    assert_eq!((finding.violations.as_slice(), finding.openings, code(&finding)), (&[][..], 1, Some("executed")));
    assert_eq!(t.seen().open_commands - t.before.open_commands, 1);
}

async fn it_moved_though_the_maker_says_failed(t: &Theatre) {
    t.fault("unlockTrunk", "failure_acted");
    let a = t.arrive().await;
    let attempt = a.at.ask_to_open(&[a.at.scan(LABEL).unwrap()]).await.unwrap();
    a.at.follow(attempt, |s| s["state"] == "unknown" || s["state"] == "locking").await.unwrap();
    assert!(t.trunk("open_trunk").await, "it had moved before the maker said no");
    assert!(t.trunk("close_trunk").await);
    let end = t.close_and_check(&a, attempt).await;
    assert_eq!(end["lock_proof"], "executed");
    // The use is spent: nobody can say that nothing moved.
    let again = a.at.page.ask_to_open(&t.courier.device, &a.at.stop, a.at.phone, &[a.at.scan(LABEL).unwrap()]).await;
    assert_eq!(again.unwrap_err().code(), Some("grant_spent"));
    let finding = t.end(&a).await;
    let verdict = finding.verdict.as_ref().unwrap();
    assert_eq!((verdict.openings, verdict.unknown, finding.violations.len()), (0, 1, 0), "{:?}", finding.violations);
    assert!(t.seen().shut_and_locked);
}

async fn without_a_hand_at_the_handle_there_is_an_alarm(t: &Theatre) {
    let a = t.arrive().await;
    let attempt = a.at.ask_to_open(&[a.at.scan(LABEL).unwrap()]).await.unwrap();
    a.at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    assert!(t.trunk("open_trunk").await && t.trunk("close_trunk").await);
    let photo = t.photo(&a, attempt).await;
    a.at.shut(false, Some(photo)).await.unwrap();
    let alarmed = a.at.follow(attempt, |s| s["state"] == "alarm").await.unwrap();
    assert_eq!((&alarmed["alarm"], &alarmed["lock_proof"]), (&json!("lock_unproved"), &Value::Null));
    let finding = t.case(&a).await;
    assert_eq!((finding.violations.as_slice(), code(&finding)), (&[][..], None));
    // The courier comes back to the handle after all: proved, and nobody need look.
    assert!(!t.trunk("try_trunk").await);
    a.at.shut(true, Some(photo)).await.unwrap();
    let end = a.at.follow(attempt, |s| s["ended"] == json!(true)).await.unwrap();
    assert_eq!((&end["lock_proof"], &end["alarm"]), (&json!("executed"), &json!("lock_unproved")));
}

/// Killed as soon as the handle of the command is durable: the same command is asked after, none is sent.
async fn killed_while_it_asks_the_keyholder_goes_on(stage: &mut Stage, t: &Theatre) {
    let keyholder = &mut stage.keyholder;
    keyholder.kill().await.unwrap();
    keyholder.restart(&["--hold-at".to_owned(), "after:keep_open_handle".to_owned()]).await.unwrap();
    let a = t.arrive().await;
    let labels = [a.at.scan(LABEL).unwrap()];
    let killing = async {
        while !keyholder.has_said("\"held\"").unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        keyholder.kill().await.unwrap();
        keyholder.restart(&[]).await.unwrap();
    };
    let (attempt, ()) = tokio::join!(a.at.ask_to_open(&labels), killing);
    let attempt = attempt.unwrap();
    a.at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    assert!(t.trunk("open_trunk").await && t.trunk("close_trunk").await);
    let end = t.close_and_check(&a, attempt).await;
    assert_eq!(end["lock_proof"], "executed");
    let finding = t.end(&a).await;
    assert_eq!((finding.violations.as_slice(), finding.openings), (&[][..], 1));
    assert_eq!(t.seen().open_commands - t.before.open_commands, 1, "asked after, not sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_car_that_tells_nothing_goes_through_the_whole_story() {
    for story in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let (mut stage, theatre) = Theatre::begin(dir.path(), Setting::default()).await;
        match story {
            0 => a_parcel_is_delivered_and_the_case_agrees_with_the_car(&theatre).await,
            1 => it_moved_though_the_maker_says_failed(&theatre).await,
            2 => without_a_hand_at_the_handle_there_is_an_alarm(&theatre).await,
            _ => killed_while_it_asks_the_keyholder_goes_on(&mut stage, &theatre).await,
        }
        stage.stop().await.unwrap();
    }
}
