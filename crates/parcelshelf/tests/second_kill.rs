//! The same as `kill.rs` with a car whose maker answers later and tells neither lid nor lock: each service is killed at
//! every step of a delivery, and every commit fails once. Time is simulated, so that one is played after the other: whoever
//! moves the clock watches every thread of this process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "what was counted is printed")]

#[path = "support/play.rs"]
#[expect(dead_code, reason = "only the label is needed here")]
mod play;
#[path = "support/second.rs"]
#[expect(dead_code, reason = "these people keep trying, and have steps of their own")]
mod second;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use parcelshelf::judge::{self, judge};
use parcelshelf::people::{AtStop, carrier_says, order, persist};
use parcelshelf::stage::{Setting, Stage};
use parcelshelf_client::wallet::Granted;
use parcelshelf_core::id::AttemptId;
use parcelshelf_core::reason::Reason;
use parcelshelf_protocol::bundle::Anchors;
use play::LABEL;
use second::Theatre;
use serde_json::{Value, json};

/// A courier looks at the page this often, and so many times at most: five minutes.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 300;

struct Played {
    granted: Granted,
    end: String,
    placed: bool,
}

/// One delivery by people who keep trying.
async fn deliver(t: &Theatre) -> anyhow::Result<Played> {
    let (scene, courier) = (&t.scene, &t.courier);
    let (merchant, dispatch) = (scene.merchant(), scene.dispatch());
    let wanted = order(scene.host.now(), LABEL)?;
    let ordered = persist(&scene.host, "the shipment", async || merchant.ship(&wanted, "ship-0001").await).await?;
    let granted = t.owner.allow(scene, &ordered).await?;
    let id = ordered.delivery;
    carrier_says(&dispatch, id, &["accepted"]).await?;
    persist(&scene.host, "the load", async || dispatch.load(id, courier.id, "load-0001").await).await?;
    let url = persist(&scene.host, "the leg", async || courier.shipping.start_leg(id, "leg-00001").await).await?;
    let at = AtStop::open(scene, courier, &t.owner, &url, t.owner.place.moved(45.0, 20.0)).await?;
    at.locate().await?;
    at.describe().await?;
    let step = async |name: &str, key: &str, body: Value| {
        persist(&scene.host, name, async || courier.shipping.step(id, name, key, &body).await).await
    };
    step("arrived", "arrived-1", json!({})).await?;
    let attempt = at.ask_to_open(&[at.scan(LABEL)?]).await?;
    let placed = put_in(t, &at, attempt).await?;
    shut_and_check(t, &at, attempt, &granted).await?;
    let parcel = ordered.parcels.first().context("a parcel")?;
    let not_done = json!({"outcome": "not_done", "reason": Reason::DidNotOpen.code()});
    let outcome = if placed { json!({"outcome": "done"}) } else { not_done };
    step(&format!("parcels/{parcel}/outcome"), "outcome-1", outcome).await?;
    step("finish", "finish-01", json!({})).await?;
    if !placed {
        step("fallback-done", "fallback1", json!({ "parcel": parcel })).await?;
    }
    let end = carrier_says(&dispatch, id, &["ended"]).await?;
    Ok(Played { granted, end: end["end"].as_str().unwrap_or_default().to_owned(), placed })
}

/// Pulls the handle while there is hope; true if the parcel is in and the lid shut.
async fn put_in(t: &Theatre, at: &AtStop<'_>, attempt: AttemptId) -> anyhow::Result<bool> {
    for _ in 0..LOOKS {
        let seen = persist(at.page.host(), "news", async || at.page.attempt(attempt, 0).await).await?;
        let state = seen["state"].as_str().unwrap_or_default();
        // The page that does not know asks for a look at the lid.
        if matches!(state, "ready" | "open" | "unknown" | "alarm") && t.trunk("open_trunk").await {
            ensure!(t.trunk("close_trunk").await, "a lid that opens shuts");
            return Ok(true);
        }
        if matches!(state, "locked" | "did_not_happen") || seen["ended"] == json!(true) {
            return Ok(false);
        }
        t.scene.host.clock.sleep(LOOK).await;
    }
    Ok(false)
}

/// A photo of the shut lid, and a hand at the handle when the page asks for it.
async fn shut_and_check(t: &Theatre, at: &AtStop<'_>, attempt: AttemptId, granted: &Granted) -> anyhow::Result<()> {
    let to = t.owner.wallet.seal_key_of(granted.id)?;
    let mut photo = None;
    for _ in 0..LOOKS {
        let seen = persist(at.page.host(), "news", async || at.page.attempt(attempt, 0).await).await?;
        if seen["ended"] == json!(true) || seen["state"] == "did_not_happen" {
            return Ok(());
        }
        match photo {
            None => {
                photo = Some(at.photograph(attempt, &to, &parcelshelf_client::photo::specimen()).await?);
                at.shut(false, photo).await?;
            }
            Some(_) if seen["check_handle"] == json!(true) => {
                let holds = !t.trunk("try_trunk").await;
                at.shut(holds, photo).await?;
            }
            Some(_) => {}
        }
        t.scene.host.clock.sleep(LOOK).await;
    }
    Ok(())
}

/// What must hold afterwards, by the car's own record.
async fn check(t: &Theatre, played: &Played) -> anyhow::Result<()> {
    let seen = t.seen();
    let commands = seen.open_commands - t.before.open_commands;
    ensure!(commands <= 1, "{commands} commands to open left for one delivery");
    ensure!(matches!(played.end.as_str(), "delivered" | "fallback"), "the delivery ended as {}", played.end);
    if !seen.shut_and_locked {
        let timeline = t.owner.wallet.timeline(played.granted.delivery).await?;
        ensure!(timeline["entries"].to_string().contains("\"alarm\""), "left open without an alarm");
    }
    if !played.placed {
        return Ok(());
    }
    // Checkpoints come in real time, in which nothing of the simulation moves.
    let mut bundle = None;
    for _ in 0..40 {
        match t.owner.wallet.bundle(played.granted.delivery).await {
            Ok(bytes) => {
                bundle = Some(bytes);
                break;
            }
            Err(failure) if failure.code() == Some("bundle_not_ready") || failure.is_passing() => {}
            Err(other) => return Err(other.into()),
        }
        let hold = t.conductor.hold();
        tokio::time::sleep(Duration::from_millis(150)).await;
        drop(hold);
    }
    let keys = t.owner.wallet.pinned().claims();
    let anchors = Anchors::published(keys, &t.scene.operator);
    let seen = judge::Seen {
        tailgate_openings: seen.lid_openings - t.before.lid_openings,
        unlock_commands: commands,
        shut_and_locked: seen.shut_and_locked,
    };
    let finding = judge(seen, &bundle.context("no case bundle")?, &anchors);
    ensure!(finding.violations.is_empty(), "{:?}", finding.violations);
    Ok(())
}

/// The steps of one undisturbed delivery, by service.
async fn steps() -> anyhow::Result<BTreeSet<(&'static str, String)>> {
    let dir = tempfile::tempdir()?;
    let (mut stage, theatre) = Theatre::begin(dir.path(), Setting { traced: true, ..Setting::default() }).await;
    let logs = ["keyholder", "gateway", "carrier"].map(|name| (name, dir.path().join(format!("log/{name}.log"))));
    let mut begins = Vec::new();
    for (_, log) in &logs {
        begins.push(std::fs::read_to_string(log)?.len());
    }
    let played = deliver(&theatre).await?;
    check(&theatre, &played).await?;
    ensure!(played.end == "delivered", "undisturbed, it ended as {}", played.end);
    let mut all = BTreeSet::new();
    for ((name, log), begin) in logs.iter().zip(begins) {
        for line in std::fs::read_to_string(log)?[begin..].lines() {
            let step = serde_json::from_str::<Value>(line).ok().and_then(|l| l["step"].as_str().map(str::to_owned));
            all.extend(step.map(|step| (*name, step)));
        }
    }
    stage.stop().await?;
    Ok(all)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    Killed,
    Failed,
}

/// How it ended; nothing if the step was not reached.
async fn disturbed_at(service: &str, step: &str, manner: Manner) -> anyhow::Result<Option<String>> {
    let dir = tempfile::tempdir()?;
    let (mut stage, theatre) = Theatre::begin(dir.path(), Setting::default()).await;
    let outcome = disturb(&mut stage, &theatre, service, step, manner).await;
    let outcome = outcome.with_context(|| tail(dir.path(), service));
    drop(stage);
    outcome
}

async fn disturb(
    stage: &mut Stage,
    theatre: &Theatre,
    service: &str,
    step: &str,
    manner: Manner,
) -> anyhow::Result<Option<String>> {
    let conductor = Arc::clone(&theatre.conductor);
    let victim = match service {
        "keyholder" => &mut stage.keyholder,
        "gateway" => &mut stage.gateway,
        _ => &mut stage.carrier,
    };
    victim.kill().await?;
    let (option, said) = match manner {
        Manner::Killed => ("--hold-at", "\"held\""),
        Manner::Failed => ("--fail-at", "\"failed\""),
    };
    victim.restart(&[option.to_owned(), step.to_owned()]).await?;
    let playing = deliver(theatre);
    tokio::pin!(playing);
    let mut hit = false;
    let played = loop {
        tokio::select! {
            played = &mut playing => break played?,
            // Held, the process does not sleep: time stands still until it is killed.
            () = tokio::time::sleep(Duration::from_millis(10)), if !hit => {
                if victim.has_said(said)? {
                    hit = true;
                    if manner == Manner::Killed {
                        let hold = conductor.hold();
                        victim.kill().await?;
                        victim.restart(&[]).await?;
                        drop(hold);
                    }
                }
            }
        }
    };
    check(theatre, &played).await?;
    let hit = hit || victim.has_said(said)?;
    Ok(hit.then_some(played.end))
}

fn tail(dir: &Path, service: &str) -> String {
    let text = std::fs::read_to_string(dir.join(format!("log/{service}.log"))).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    format!("the log of {service} ends:\n{}", lines[lines.len().saturating_sub(15)..].join("\n"))
}

async fn sweep(points: &BTreeSet<(&'static str, String)>, manner: Manner) -> usize {
    let (mut hit, mut wrong) = (Vec::new(), Vec::new());
    for (service, step) in points {
        match disturbed_at(service, step, manner).await {
            Ok(Some(end)) => hit.push(format!("{service} {step}: {end}")),
            Ok(None) => {}
            Err(e) => wrong.push(format!("{service} {step}: {e:#}")),
        }
    }
    println!("{manner:?}: {} steps enumerated, {} hit:\n{}", points.len(), hit.len(), hit.join("\n"));
    assert!(wrong.is_empty(), "{manner:?}: {} of {}:\n{}", wrong.len(), points.len(), wrong.join("\n\n"));
    hit.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn where_the_maker_answers_later_it_never_opens_twice_and_leaves_nothing_open() {
    let points = steps().await.unwrap();
    let killed = sweep(&points, Manner::Killed).await;
    assert!(killed >= 24, "only {killed} points were hit by a SIGKILL");
    let commits: BTreeSet<_> = points
        .iter()
        .filter(|(service, step)| {
            let after = step.strip_prefix("before:").map(|kind| format!("after:{kind}"));
            after.is_some_and(|after| points.contains(&(*service, after)))
                && !["before:send_open", "before:send_lock"].contains(&step.as_str())
        })
        .cloned()
        .collect();
    let failed = sweep(&commits, Manner::Failed).await;
    assert!(failed >= 12, "only {failed} commits failed");
}
