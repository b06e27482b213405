//! Each service is killed (SIGKILL) at every durable step of a delivery and around every command to the maker, before and
//! after, and started again; and every commit fails once, as on a full disk. The people keep trying, as people do. Whatever happens: never opened twice, nothing left open
//! without an alarm, nothing lost that was acknowledged, and the delivery ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "what was counted is printed")]

#[path = "support/play.rs"]
mod play;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use parcelshelf::judge::{Seen, judge};
use parcelshelf::people::{Courier, Owner, until};
use parcelshelf::stage::{Scene, Setting, Stage};
use parcelshelf_core::area::Position;
use parcelshelf_protocol::bundle::Anchors;
use parcelshelf_simulator::volvo::{CarFile, WorldFile};
use play::{Played, play};
use serde_json::Value;

const LOGIN: &str = "kim@example.org";
/// Stages at once: each is four processes that mostly wait.
const AT_ONCE: usize = 6;

fn place() -> Position {
    Position::new(57.725_374, 11.849_843, 10.0).unwrap()
}
fn world() -> WorldFile {
    let mut car = CarFile::of(LOGIN);
    (car.latitude, car.longitude) = (place().latitude_deg(), place().longitude_deg());
    // A car that never locks itself: what the keyholder forgets stays open, and is seen.
    car.relock_after_s = 0;
    WorldFile { cars: vec![car], ..WorldFile::demo() }
}

/// Everybody enrolled, nothing ordered yet.
struct Ready {
    stage: Stage,
    owner: Owner,
    courier: Courier,
}

async fn ready(dir: &Path, traced: bool) -> anyhow::Result<Ready> {
    let stage = Stage::start(dir, &world(), Setting { traced, ..Setting::default() }).await?;
    let cars = stage.scene.sim().get("/__sim/cars", &[]).await?;
    let vin = cars["cars"][0]["vin"].as_str().context("a VIN")?;
    let owner = Owner::enrol(&stage.scene, LOGIN, vin, place(), "KLM 482").await?;
    let courier = Courier::hire(&stage.scene, "Sam Rivera", "hire-0001").await?;
    Ok(Ready { stage, owner, courier })
}

/// What must hold afterwards, by the simulator's own record.
async fn check(scene: &Scene, owner: &Owner, played: &Played) -> anyhow::Result<()> {
    let seen = until(&scene.host, "a car that is shut and locked, or an alarm", async || {
        let car = scene.sim().get("/__sim/summary", &[]).await?;
        let seen = Seen::of(&car["cars"][0]);
        Ok(seen.shut_and_locked.then_some(seen))
    });
    let seen = match seen.await {
        Ok(seen) => seen,
        Err(left) => {
            let timeline = owner.wallet.timeline(played.granted.delivery).await?;
            let alarmed = timeline["entries"].to_string().contains("\"alarm\"");
            ensure!(alarmed, "left open without an alarm: {left}");
            Seen::of(&scene.seen_of(&owner.hands.vin).await?)
        }
    };
    // Possession opens doors, and may open the lid: hands did that with a key. Commands are the keyholder's alone.
    ensure!(seen.unlock_commands <= 1, "{} commands to open left for one delivery", seen.unlock_commands);
    ensure!(matches!(played.end.as_str(), "delivered" | "fallback"), "the delivery ended as {}", played.end);
    // The acceptance that the owner was given is the one that stands.
    if played.placed {
        let bundle =
            until(&scene.host, "the case bundle", async || match owner.wallet.bundle(played.granted.delivery).await {
                Ok(bytes) => Ok(Some(bytes)),
                Err(failure) if failure.code() == Some("bundle_not_ready") => Ok(None),
                Err(other) => Err(other),
            });
        let keys = owner.wallet.pinned().claims();
        let anchors = Anchors::published(keys, &scene.operator);
        let once = Seen { tailgate_openings: 1, ..seen };
        let finding = judge(once, &bundle.await?, &anchors);
        ensure!(finding.violations.is_empty(), "{:?}", finding.violations);
    }
    Ok(())
}

/// The steps of one undisturbed delivery, by service.
async fn steps() -> anyhow::Result<BTreeSet<(&'static str, String)>> {
    let dir = tempfile::tempdir()?;
    let Ready { mut stage, owner, courier } = ready(dir.path(), true).await?;
    let logs = ["keyholder", "gateway", "carrier"].map(|name| (name, dir.path().join(format!("log/{name}.log"))));
    let mut begins = Vec::new();
    for (_, log) in &logs {
        begins.push(std::fs::read_to_string(log)?.len());
    }
    let played = play(&stage.scene, &owner, &courier).await?;
    check(&stage.scene, &owner, &played).await?;
    ensure!(played.end == "delivered", "undisturbed, it ended as {}", played.end);
    let mut all = BTreeSet::new();
    for ((name, log), begin) in logs.iter().zip(begins) {
        let text = std::fs::read_to_string(log)?;
        for line in text[begin..].lines() {
            let step = serde_json::from_str::<Value>(line).ok().and_then(|l| l["step"].as_str().map(str::to_owned));
            all.extend(step.map(|step| (*name, step)));
        }
    }
    stage.stop().await?;
    Ok(all)
}

/// What happens at a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    /// SIGKILL, and a new process.
    Killed,
    /// The commit fails; the process goes on.
    Failed,
}

/// One delivery in which this happens to one service at one step: how it ended; nothing if the step was not reached.
async fn disturbed_at(service: &str, step: &str, manner: Manner) -> anyhow::Result<Option<String>> {
    let dir = tempfile::tempdir()?;
    let Ready { mut stage, owner, courier } = ready(dir.path(), false).await?;
    let scene = Arc::clone(&stage.scene);
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
    let playing = play(&scene, &owner, &courier);
    tokio::pin!(playing);
    let mut hit = false;
    let played = loop {
        tokio::select! {
            played = &mut playing => break played.with_context(|| tail(dir.path(), service))?,
            () = tokio::time::sleep(Duration::from_millis(15)), if !hit => {
                if victim.has_said(said)? {
                    hit = true;
                    if manner == Manner::Killed {
                        victim.kill().await?;
                        victim.restart(&[]).await?;
                    }
                }
            }
        }
    };
    check(&scene, &owner, &played).await.with_context(|| tail(dir.path(), service))?;
    let hit = hit || victim.has_said(said)?;
    Ok(hit.then_some(played.end))
}

fn tail(dir: &Path, service: &str) -> String {
    let text = std::fs::read_to_string(dir.join(format!("log/{service}.log"))).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    format!("the log of {service} ends:\n{}", lines[lines.len().saturating_sub(15)..].join("\n"))
}

/// Every point, one after another as far as the machine allows; what was hit, and what went wrong.
async fn sweep(points: &BTreeSet<(&'static str, String)>, manner: Manner) -> Vec<String> {
    let all = futures_util::stream::iter(points.clone()).map(async |(service, step)| {
        let outcome = disturbed_at(service, &step, manner).await;
        (service, step, outcome)
    });
    let mut all = std::pin::pin!(all.buffer_unordered(AT_ONCE));
    let (mut hit, mut wrong) = (Vec::new(), Vec::new());
    while let Some(done) = all.next().await {
        match done {
            (service, step, Ok(Some(end))) => hit.push(format!("{service} {step}: {end}")),
            (_, _, Ok(None)) => {}
            (service, step, Err(e)) => wrong.push(format!("{service} {step}: {e:#}")),
        }
    }
    hit.sort();
    println!("{manner:?}: {} steps enumerated, {} hit:\n{}", points.len(), hit.len(), hit.join("\n"));
    assert!(wrong.is_empty(), "{manner:?}: {} of {}:\n{}", wrong.len(), points.len(), wrong.join("\n\n"));
    hit
}

#[tokio::test]
async fn killed_or_failing_anywhere_it_never_opens_twice_and_leaves_nothing_open() {
    let points = steps().await.unwrap();
    let killed = sweep(&points, Manner::Killed).await;
    assert!(killed.len() >= 24, "only {} points were hit by a SIGKILL", killed.len());
    // What is not a commit cannot fail as one: it has no *after* of the same name, or belongs to a command.
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
    assert!(failed.len() >= 12, "only {} commits failed", failed.len());
}
