//! A front door under the attacks that opened doors of the first in-home services: a camera that is frozen or shows a recording,
//! a bolt that is jammed, a lock, a network or the camera alone that is lost while the door stands open, a second entry that nobody
//! sees, and power that is cut in the middle of the recording.
//!
//! Each on a stage of its own, with real processes and the machine's clock: the figures are seconds as a courier and an owner
//! live them. What opened is counted by the door itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use parcelshelf_client::Failure;
use parcelshelf_client::recordings::Recording;
use parcelshelf_client::shipping::Ordered;
use parcelshelf_client::wallet::{Granted, Wallet, WalletSite};
use parcelshelf_core::actuation::LockProof;
use parcelshelf_core::id::AttemptId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_protocol::content::Picture;
use parcelshelf_simulator::canary::{Canary, Needles};
use serde_json::{Value, json};

use super::gain::Gain;
use crate::demo::home;
use crate::judge::{Seen, judge};
use crate::people::{AtStop, Courier, Owner, carrier_says, order, persist, until};
use crate::stage::{Scene, Stage};

/// The goal: from what went wrong to the alarm that the courier's page shows.
const GOAL_S: f64 = 10.0;
const LABEL: &str = "FJB90000000";
/// So many are on the disk when the power is cut.
const PICTURES_BEFORE_THE_CUT: u32 = 6;
/// One picture a second; the one that was being taken is lost, and this machine may be busy.
const MISSING_MAX_S: f64 = 3.0;
/// Between two pictures where nobody touches the camera: as long as it takes until a camera counts as lost.
const UNSEEN_MAX_MS: i64 = 4_000;

/// What is done to the door.
#[derive(Clone, Copy, PartialEq)]
enum Attack {
    FrozenCamera,
    LoopedStream,
    JammedBolt,
    LockOffline,
    WifiLoss,
    CameraLost,
    SecondEntry,
    PowerCut,
}
impl Attack {
    /// What the alarm may be called; none where there must be no alarm.
    const fn causes(self) -> &'static [&'static str] {
        match self {
            Self::FrozenCamera | Self::LoopedStream | Self::PowerCut => &[],
            Self::JammedBolt => &["lock_failed"],
            Self::LockOffline | Self::SecondEntry => &["lost_while_open"],
            // Whichever is missed first.
            Self::WifiLoss => &["camera_lost", "lost_while_open"],
            Self::CameraLost => &["camera_lost"],
        }
    }
}

/// # Errors
/// When the stage cannot be set, or a party does not answer.
pub async fn frozen_camera(dir: PathBuf) -> anyhow::Result<Gain> {
    staged(&dir, Attack::FrozenCamera).await
}
/// # Errors
/// As [`frozen_camera`].
pub async fn looped_stream(dir: PathBuf) -> anyhow::Result<Gain> {
    staged(&dir, Attack::LoopedStream).await
}
/// # Errors
/// As [`frozen_camera`].
pub async fn jammed_bolt(dir: PathBuf) -> anyhow::Result<Gain> {
    staged(&dir, Attack::JammedBolt).await
}
/// # Errors
/// As [`frozen_camera`].
pub async fn lock_offline_while_open(dir: PathBuf) -> anyhow::Result<Gain> {
    staged(&dir, Attack::LockOffline).await
}
/// # Errors
/// As [`frozen_camera`].
pub async fn wifi_loss(dir: PathBuf) -> anyhow::Result<Gain> {
    staged(&dir, Attack::WifiLoss).await
}
/// # Errors
/// As [`frozen_camera`].
pub async fn second_entry(dir: PathBuf) -> anyhow::Result<Gain> {
    staged(&dir, Attack::SecondEntry).await
}

/// # Errors
/// As [`frozen_camera`].
pub async fn camera_lost_while_open(dir: PathBuf) -> anyhow::Result<Gain> {
    staged(&dir, Attack::CameraLost).await
}
/// # Errors
/// As [`frozen_camera`].
pub async fn power_cut(dir: PathBuf) -> anyhow::Result<Gain> {
    staged(&dir, Attack::PowerCut).await
}

async fn staged(dir: &Path, attack: Attack) -> anyhow::Result<Gain> {
    let mut stage = home::stage(dir).await?;
    let scene = &*Arc::clone(&stage.scene);
    let owner = home::owner(scene).await?;
    let courier = Courier::hire(scene, "Sam Rivera", "drill-courier").await?;
    let mut gain = Gain::default();
    Play { scene, owner: &owner, courier: &courier }.run(attack, &mut stage, &mut gain).await?;
    stage.stop().await?;
    Ok(gain)
}

struct Play<'a> {
    scene: &'a Scene,
    owner: &'a Owner,
    courier: &'a Courier,
}

impl Play<'_> {
    async fn run(&self, attack: Attack, stage: &mut Stage, gain: &mut Gain) -> anyhow::Result<()> {
        let (scene, owner) = (self.scene, self.owner);
        let ordered = scene.merchant().ship(&order(scene.host.now(), LABEL)?, "drill-ship").await?;
        let granted = owner.allow(scene, &ordered).await?;
        let dispatch = scene.dispatch();
        carrier_says(&dispatch, ordered.delivery, &["accepted"]).await?;
        dispatch.load(ordered.delivery, self.courier.id, "drill-load").await?;
        let url = persist(&scene.host, "the leg", async || {
            self.courier.shipping.start_leg(ordered.delivery, "drill-leg").await
        })
        .await?;
        let at = AtStop::open(scene, self.courier, owner, &url, owner.place.moved(45.0, 15.0)).await?;
        self.courier.shipping.step(ordered.delivery, "arrived", "drill-arrived", &json!({})).await?;
        let before = self.door().await?;
        if matches!(attack, Attack::FrozenCamera | Attack::LoopedStream) {
            self.lied_to(attack, &at, &granted, before, gain).await?;
        }
        let asked = scene.host.now();
        let attempt = at.ask_to_open(&[at.scan(LABEL)?]).await?;
        gain.figure("asked_to_intended_s", self.since(asked));
        at.follow(attempt, |s| s["state"] == "ready").await?;
        let unlocked = scene.host.now();
        self.act("open_door").await?;
        at.follow(attempt, |s| s["state"] == "open").await?;
        match attack {
            Attack::FrozenCamera | Attack::LoopedStream => {}
            Attack::LockOffline | Attack::WifiLoss => self.lost(attack, &at, attempt, gain).await?,
            Attack::CameraLost => self.unseen(&at, attempt, gain).await?,
            Attack::PowerCut => self.in_the_dark(&granted, attempt, stage, gain).await?,
            Attack::JammedBolt => self.jammed(&at, attempt, gain).await?,
            Attack::SecondEntry => self.entered_again(&at, attempt, &granted, gain).await?,
        }
        self.told_to_the_owner(attack, &granted, gain).await?;
        self.act("shut_door").await?;
        at.shut(true, None).await?;
        let end = at.follow(attempt, |s| s["lock_proof"].is_string()).await?;
        gain.must(end["lock_proof"] == "observed", || format!("called locked by {}", end["lock_proof"]));
        self.recorded(attack, &granted, unlocked, gain).await?;
        self.done(&ordered).await?;
        self.judged(attack, &granted, before, gain).await
    }

    async fn act(&self, action: &str) -> anyhow::Result<()> {
        self.owner.hands.act(&json!({ "action": action })).await?;
        Ok(())
    }
    async fn door(&self) -> anyhow::Result<Seen> {
        Ok(Seen::of(&self.scene.seen_of(&self.owner.hands.vin).await?))
    }
    /// Seconds, to a tenth.
    fn since(&self, at: Timestamp) -> f64 {
        (self.scene.host.now().millis_since(at) as f64 / 100.0).round() / 10.0
    }

    /// The camera lies while a courier asks. Then it is mended, so that nothing else can have been the reason.
    async fn lied_to(
        &self,
        attack: Attack,
        at: &AtStop<'_>,
        granted: &Granted,
        before: Seen,
        gain: &mut Gain,
    ) -> anyhow::Result<()> {
        if attack == Attack::LoopedStream {
            // People at the light, as at any evening; that is what is shown over and over.
            for pause_ms in [1_200, 2_100, 900, 1_500, 2_400, 1_100] {
                self.act("switch_light").await?;
                self.scene.host.clock.sleep(std::time::Duration::from_millis(pause_ms)).await;
            }
        }
        self.act(if attack == Attack::FrozenCamera { "freeze_camera" } else { "loop_camera" }).await?;
        let asked = self.scene.host.now();
        let refused = self.tries(at).await?;
        gain.refused("a door before a camera that lies", &["conditions_not_met"], &refused);
        gain.figure("refused_after_s", self.since(asked));
        let seen = self.door().await?.since(before);
        gain.must(seen.unlock_commands == 0, || format!("{} commands to unlock", seen.unlock_commands));
        let told = self.owner.wallet.timeline(granted.delivery).await?;
        let refused = told["refused"].to_string();
        gain.must(refused.contains("camera_not_live"), || format!("the owner is not told why: {refused}"));
        self.act("mend_camera").await
    }
    async fn tries(&self, at: &AtStop<'_>) -> anyhow::Result<Result<AttemptId, Failure>> {
        Ok(at.page.ask_to_open(&self.courier.device, &at.stop, at.phone, &[at.scan(LABEL)?]).await)
    }

    /// It cannot be reached any more while the door stands open.
    async fn lost(&self, attack: Attack, at: &AtStop<'_>, attempt: AttemptId, gain: &mut Gain) -> anyhow::Result<()> {
        let (lose, regain) =
            if attack == Attack::WifiLoss { ("lose_network", "regain_network") } else { ("lose_lock", "regain_lock") };
        let began = self.scene.host.now();
        self.act(lose).await?;
        self.alarmed(at, attempt, attack.causes(), began, gain).await?;
        self.act(regain).await
    }
    /// The bolt does not come after the door was shut.
    async fn jammed(&self, at: &AtStop<'_>, attempt: AttemptId, gain: &mut Gain) -> anyhow::Result<()> {
        self.act("bend_bolt").await?;
        self.act("shut_door").await?;
        let began = self.scene.host.now();
        at.shut(false, None).await?;
        self.alarmed(at, attempt, Attack::JammedBolt.causes(), began, gain).await?;
        self.act("mend_bolt").await
    }
    /// The owner has seen that alarm, and believes that the door is at least shut. It is opened again.
    async fn entered_again(
        &self,
        at: &AtStop<'_>,
        attempt: AttemptId,
        granted: &Granted,
        gain: &mut Gain,
    ) -> anyhow::Result<()> {
        self.act("bend_bolt").await?;
        self.act("shut_door").await?;
        at.shut(false, None).await?;
        at.follow(attempt, |s| s["alarm"] == "lock_failed").await?;
        self.owner.wallet.acknowledge(granted.delivery).await?;
        let began = self.scene.host.now();
        self.act("open_door").await?;
        self.alarmed(at, attempt, Attack::SecondEntry.causes(), began, gain).await?;
        self.act("mend_bolt").await
    }
    /// The camera alone hangs while somebody is inside.
    async fn unseen(&self, at: &AtStop<'_>, attempt: AttemptId, gain: &mut Gain) -> anyhow::Result<()> {
        let began = self.scene.host.now();
        self.act("freeze_camera").await?;
        self.alarmed(at, attempt, Attack::CameraLost.causes(), began, gain).await?;
        self.act("mend_camera").await
    }
    /// Keyholder and front end without a word, as when somebody pulls the plug. What was seen is readable by the owner, up to the
    /// last second, and by nobody else.
    async fn in_the_dark(
        &self,
        granted: &Granted,
        attempt: AttemptId,
        stage: &mut Stage,
        gain: &mut Gain,
    ) -> anyhow::Result<()> {
        let (scene, wallet) = (self.scene, &self.owner.wallet);
        until(&scene.host, "some pictures", async || {
            let known = wallet.recordings(granted.delivery).await?;
            Ok(known.iter().any(|r| r.attempt == attempt && r.pictures >= PICTURES_BEFORE_THE_CUT).then_some(()))
        })
        .await?;
        stage.keyholder.kill().await?;
        let cut = scene.host.now();
        stage.gateway.kill().await?;
        // As they lie there, before anything could be mended.
        let files = files_below(&scene.layout.dir)?;
        stage.keyholder.restart(&[]).await?;
        stage.gateway.restart(&[]).await?;
        let recording = until(&scene.host, "the recording", async || {
            let known = wallet.recordings(granted.delivery).await.unwrap_or_default();
            Ok(known.into_iter().find(|r| r.attempt == attempt))
        })
        .await?;
        let pictures = wallet.pictures(granted, recording, 0).await?;
        let before: Vec<&Picture> = pictures.iter().filter(|p| p.at <= cut).collect();
        let newest = before.last().context("nothing was kept of before the cut")?;
        let missing_s = cut.millis_since(newest.at) as f64 / 1_000.0;
        gain.figure("pictures_before_the_cut", before.len() as u64);
        gain.figure("missing_before_the_cut_s", missing_s);
        gain.must(missing_s <= MISSING_MAX_S, || format!("the last {missing_s} s are missing"));
        gain.at_least(u64::from(PICTURES_BEFORE_THE_CUT), before.len() as u64, "pictures to look for");
        let needles = Needles::new(&before.iter().enumerate().filter_map(|(n, p)| canary_of(n, p)).collect::<Vec<_>>());
        let control = needles.search("control", &needles.control()).len();
        ensure!(control == needles.names().len() && control >= before.len(), "what is looked for could not be found");
        for (path, bytes) in &files {
            let found = needles.search(&path.display().to_string(), bytes);
            gain.must(found.is_empty(), || format!("pictures can be read: {found:?}"));
        }
        gain.figure("files_searched", files.len() as u64);
        self.for_nobody_else(granted, recording, gain).await
    }
    /// Another wallet of the same gateway, and this one in another's name.
    async fn for_nobody_else(&self, granted: &Granted, recording: Recording, gain: &mut Gain) -> anyhow::Result<()> {
        let site = WalletSite::new(&self.scene.layout.wallet_origin, &self.scene.host)?;
        let other = Wallet::register(site, &self.scene.host).await?;
        let asked = other.sealed_picture(granted.delivery, recording.attempt, 0).await;
        gain.refused("another wallet that asks for a picture", &["delivery_unknown"], &asked);
        let sealed = self.owner.wallet.sealed_picture(granted.delivery, recording.attempt, 0).await?;
        let opened = other.open_picture(granted, recording.attempt, 0, &sealed);
        gain.must(opened.is_err(), || String::from("another wallet opened a picture"));
        let moved = self.owner.wallet.open_picture(granted, recording.attempt, 1, &sealed);
        gain.must(moved.is_err(), || String::from("a picture was taken for the one after it"));
        Ok(())
    }
    /// Seen from before the bolt was drawn until after it was proved to be back, and no longer blind than the alarm told.
    async fn recorded(
        &self,
        attack: Attack,
        granted: &Granted,
        unlocked: Timestamp,
        gain: &mut Gain,
    ) -> anyhow::Result<()> {
        let recording = until(&self.scene.host, "the end of the recording", async || {
            let known = self.owner.wallet.recordings(granted.delivery).await?;
            Ok(known.into_iter().find(|r| !r.running))
        })
        .await?;
        let told = self.owner.wallet.timeline(granted.delivery).await?;
        let proved = told["entries"].as_array().into_iter().flatten().rfind(|entry| entry["kind"] == "locked");
        let proved = proved.and_then(|entry| Timestamp::parse_rfc3339(entry["at"].as_str()?).ok());
        let locked = proved.context("a lock without a record")?;
        // One more is asked for within a second of the proof, and is on the disk a moment later.
        let last = async || {
            let known = self.owner.wallet.recordings(granted.delivery).await?;
            let now = known.into_iter().find(|r| r.attempt == recording.attempt).unwrap_or(recording);
            let newest = self.owner.wallet.pictures(granted, now, now.pictures.saturating_sub(1)).await?;
            Ok(newest.last().is_some_and(|p| p.at >= locked).then_some(now))
        };
        let recording = until(&self.scene.host, "a picture of after the lock", last).await?;
        let pictures = self.owner.wallet.pictures(granted, recording, 0).await?;
        gain.figure("pictures", pictures.len() as u64);
        gain.must(pictures.first().is_some_and(|p| p.at < unlocked), || String::from("nothing of before it opened"));
        let longest = pictures.windows(2).map(|two| two[1].at.millis_since(two[0].at)).max().unwrap_or(0);
        gain.figure("longest_without_a_picture_s", longest as f64 / 1_000.0);
        let blind = matches!(attack, Attack::CameraLost | Attack::WifiLoss | Attack::PowerCut);
        gain.must(blind || longest <= UNSEEN_MAX_MS, || format!("nothing was seen for {longest} ms"));
        Ok(())
    }
    async fn alarmed(
        &self,
        at: &AtStop<'_>,
        attempt: AttemptId,
        causes: &[&str],
        began: Timestamp,
        gain: &mut Gain,
    ) -> anyhow::Result<()> {
        let seen = at.follow(attempt, |s| s["alarm"].is_string()).await?;
        let seconds = self.since(began);
        gain.figure("alarm_after_s", seconds);
        gain.must(seconds <= GOAL_S, || format!("the alarm came after {seconds} s"));
        let alarm = seen["alarm"].as_str().unwrap_or_default();
        gain.must(causes.contains(&alarm), || format!("the alarm is {alarm}"));
        gain.must(seen["released"] == json!(false), || String::from("the courier was let go"));
        gain.must(seen["lock_proof"].is_null(), || String::from("it was called locked"));
        Ok(())
    }
    async fn told_to_the_owner(&self, attack: Attack, granted: &Granted, gain: &mut Gain) -> anyhow::Result<()> {
        let causes = attack.causes();
        if causes.is_empty() {
            return Ok(());
        }
        let told = self.owner.wallet.delivery(granted.delivery).await?.to_string();
        gain.must(causes.iter().any(|cause| told.contains(cause)), || format!("the owner is not told {causes:?}"));
        Ok(())
    }

    async fn done(&self, ordered: &Ordered) -> anyhow::Result<()> {
        let parcel = ordered.parcels.first().context("a shipment without parcels")?;
        let step = format!("parcels/{parcel}/outcome");
        let shipping = &self.courier.shipping;
        shipping.step(ordered.delivery, &step, "drill-outcome", &json!({"outcome": "done"})).await?;
        shipping.step(ordered.delivery, "finish", "drill-finish", &json!({})).await?;
        Ok(())
    }
    /// What the door did, against what the case proves.
    async fn judged(&self, attack: Attack, granted: &Granted, before: Seen, gain: &mut Gain) -> anyhow::Result<()> {
        let locked = until(&self.scene.host, "the door's own record", async || {
            let seen: Value = self.owner.hands.look().await?;
            Ok((seen["bolted"] == json!(true) && seen["open"] == json!(false)).then_some(()))
        });
        locked.await?;
        let bundle = self.owner.bundle(granted.delivery).await?;
        let seen = self.door().await?.since(before);
        let finding = judge(seen, &bundle, &self.owner.anchors(self.scene));
        gain.must(finding.violations.is_empty(), || finding.violations.join(", "));
        gain.must(finding.lock_proof == Some(LockProof::Observed), || String::from("no proof that it is locked"));
        gain.must(seen.unlock_commands == 1, || format!("{} commands to unlock", seen.unlock_commands));
        let verdict = finding.verdict.as_ref();
        ensure!(verdict.is_some(), "a case that does not verify");
        let kinds = |kind: &str| verdict.map_or(0, |v| v.timeline.iter().filter(|m| m.event.kind() == kind).count());
        let alarms = kinds("alarm");
        gain.must((alarms > 0) != attack.causes().is_empty(), || format!("{alarms} alarms in the case"));
        gain.figure("alarms_in_the_case", alarms as u64);
        Ok(())
    }
}

/// Every file below a folder that is no socket.
fn files_below(dir: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("failed to read {}", dir.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else if entry.file_type()?.is_file() {
            files.push((entry.path(), fs::read(entry.path())?));
        }
    }
    Ok(files)
}
/// Some bytes that this picture has and no other.
fn canary_of(number: usize, picture: &Picture) -> Option<Canary> {
    let half = picture.bytes.len() / 2;
    let value = picture.bytes.get(half..half + 24)?.to_vec();
    Some(Canary::Bytes { what: format!("picture {number}"), value })
}
