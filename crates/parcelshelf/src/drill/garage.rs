//! A garage that does not come to: something in its way, a drive that stops half way, a drive or a server that falls silent
//! while the door is open. Nobody attacks; what is denied is that it goes unnoticed.
//!
//! On a stage of its own, with real processes and the machine's clock: the figures are seconds as a courier and an owner live
//! them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use futures_util::future::join_all;
use parcelshelf_access_homeassistant::GARAGES;
use parcelshelf_client::wallet::Granted;
use parcelshelf_core::actuation::LockProof;
use parcelshelf_core::area::Position;
use parcelshelf_core::time::Timestamp;
use serde_json::{Value, json};

use super::gain::Gain;
use crate::demo::garage::{LOGIN, house, household};
use crate::judge::{Seen, judge};
use crate::people::{AtStop, Courier, Hands, Owner, carrier_says, order, persist, until};
use crate::stage::{Scene, Setting, Stage, Worlds};

/// The goal: from what went wrong to the alarm that the courier's page shows.
const GOAL_S: f64 = 10.0;
/// So long the server is away.
const AWAY_S: u32 = 12;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq)]
enum Mishap {
    /// Something gets into its way while it comes down.
    Obstruction,
    /// The drive stops half way down.
    HalfWay,
    /// The server loses the drive while the door is open.
    DriveOffline,
    /// Nobody answers in that house while the door is open.
    ServerAway,
}
impl Mishap {
    const ALL: [Self; 4] = [Self::Obstruction, Self::HalfWay, Self::DriveOffline, Self::ServerAway];
    const fn name(self) -> &'static str {
        match self {
            Self::Obstruction => "obstruction",
            Self::HalfWay => "stops_half_way",
            Self::DriveOffline => "drive_offline",
            Self::ServerAway => "server_away",
        }
    }
    /// On its way down; else while the courier is inside.
    const fn comes_late(self) -> bool {
        matches!(self, Self::Obstruction | Self::HalfWay)
    }
    const fn cause(self) -> &'static str {
        if self.comes_late() { "does_not_shut" } else { "lost_while_open" }
    }
    async fn begins(self, scene: &Scene, hands: &Hands) -> anyhow::Result<()> {
        let action = match self {
            Self::Obstruction => "block_doorway",
            Self::HalfWay => "break_drive",
            Self::DriveOffline => "lose_network",
            Self::ServerAway => {
                let sim = scene.sim_of(GARAGES)?;
                sim.post("/__sim/outage", &[], &json!({ "seconds": AWAY_S })).await?;
                return Ok(());
            }
        };
        hands.act(&json!({ "action": action })).await?;
        Ok(())
    }
    async fn ends(self, hands: &Hands) -> anyhow::Result<()> {
        let action = match self {
            Self::Obstruction => "clear_doorway",
            Self::HalfWay => "mend_drive",
            Self::DriveOffline => "regain_network",
            // By itself.
            Self::ServerAway => return Ok(()),
        };
        hands.act(&json!({ "action": action })).await?;
        Ok(())
    }
}

/// # Errors
/// When the stage cannot be set, or a party does not answer.
pub async fn stuck_garage(dir: PathBuf) -> anyhow::Result<Gain> {
    drilled(&dir).await
}

async fn drilled(dir: &Path) -> anyhow::Result<Gain> {
    // One after another, for each takes ports that are free; then all at once, for most of it is waiting.
    let mut scenes = Vec::new();
    for mishap in Mishap::ALL {
        scenes.push(Set::up(&dir.join(mishap.name()), mishap).await?);
    }
    let mut gain = Gain::default();
    for played in join_all(scenes.iter().map(Set::play)).await {
        gain.add(played?);
    }
    for set in &mut scenes {
        set.stage.stop().await?;
    }
    Ok(gain)
}

/// A house of its own for each mishap.
struct Set {
    stage: Stage,
    number: String,
    place: Position,
    mishap: Mishap,
}
impl Set {
    async fn up(dir: &Path, mishap: Mishap) -> anyhow::Result<Self> {
        let home = household();
        let place = house(&home)?;
        let number = home.doors.first().map(|d| d.number.clone()).context("a household without a garage")?;
        let stage = Stage::start_with(dir, &Worlds::of_house(home), Setting::default()).await?;
        Ok(Self { stage, number, place, mishap })
    }
    async fn play(&self) -> anyhow::Result<Gain> {
        let (scene, mishap) = (&self.stage.scene, self.mishap);
        let hands = Hands::at(scene, GARAGES, &self.number)?;
        let owner = &Owner::enrol_garage(scene, LOGIN, hands, self.place).await?;
        let courier = &Courier::hire(scene, "Sam Rivera", "drill-courier").await?;
        let mut gain = Gain::default();
        let play = Play { scene, owner, courier, place: self.place, mishap };
        play.run(&mut gain).await.with_context(|| format!("while {} was played", mishap.name()))?;
        Ok(gain)
    }
}

struct Play<'a> {
    scene: &'a Scene,
    owner: &'a Owner,
    courier: &'a Courier,
    place: Position,
    mishap: Mishap,
}

impl Play<'_> {
    fn key(&self, step: &str) -> String {
        format!("drill-{}-{step}", self.mishap.name())
    }

    async fn run(&self, gain: &mut Gain) -> anyhow::Result<()> {
        let (scene, owner, mishap) = (self.scene, self.owner, self.mishap);
        let label = format!("FJB8000000{}", mishap as u8);
        let ordered = scene.merchant().ship(&order(scene.host.now(), &label)?, &self.key("ship")).await?;
        let granted = owner.allow(scene, &ordered).await?;
        let dispatch = scene.dispatch();
        carrier_says(&dispatch, ordered.delivery, &["accepted"]).await?;
        dispatch.load(ordered.delivery, self.courier.id, &self.key("load")).await?;
        let url = persist(&scene.host, "the leg", async || {
            self.courier.shipping.start_leg(ordered.delivery, &self.key("leg")).await
        })
        .await?;
        let at = AtStop::open(scene, self.courier, owner, &url, self.place.moved(45.0, 15.0)).await?;
        self.courier.shipping.step(ordered.delivery, "arrived", &self.key("arrived"), &json!({})).await?;
        let before = Seen::of(&scene.seen_of(&owner.hands.vin).await?);
        let attempt = at.ask_to_open(&[at.scan(&label)?]).await?;
        at.follow(attempt, |s| s["state"] == "open").await?;
        self.stands_open().await?;

        let began = self.goes_wrong(&at).await?;
        let alarmed = at.follow(attempt, |s| s["alarm"].is_string()).await?;
        let seconds = scene.host.now().millis_since(began) as f64 / 1_000.0;
        gain.figure(&format!("{}_alarm_after_s", mishap.name()), (seconds * 10.0).round() / 10.0);
        gain.must(seconds <= GOAL_S, || format!("{}: the alarm came after {seconds:.1} s", mishap.name()));
        gain.must(alarmed["alarm"] == mishap.cause(), || format!("{}: {}", mishap.name(), alarmed["alarm"]));
        gain.must(alarmed["released"] == json!(false), || format!("{}: the courier was let go", mishap.name()));
        gain.must(alarmed["lock_proof"].is_null(), || format!("{}: called locked", mishap.name()));
        self.told_to_the_owner(&granted, gain).await?;

        mishap.ends(&owner.hands).await?;
        if !mishap.comes_late() {
            at.shut(false, None).await?;
        }
        let end = at.follow(attempt, |s| s["lock_proof"].is_string()).await?;
        gain.must(end["lock_proof"] == "observed", || format!("{}: {}", mishap.name(), end["lock_proof"]));
        let parcel = ordered.parcels.first().context("a shipment without parcels")?;
        let step = format!("parcels/{parcel}/outcome");
        self.courier.shipping.step(ordered.delivery, &step, &self.key("outcome"), &json!({"outcome": "done"})).await?;
        self.courier.shipping.step(ordered.delivery, "finish", &self.key("finish"), &json!({})).await?;
        self.judged(&granted, before, gain).await
    }

    /// It has gone all the way up.
    async fn stands_open(&self) -> anyhow::Result<()> {
        self.door("open", |d| d["position"] == json!(100)).await.map(drop)
    }
    async fn door(&self, what: &str, enough: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        until(&self.scene.host, what, async || {
            let seen = self.owner.hands.look().await?;
            Ok(enough(&seen).then_some(seen))
        })
        .await
    }

    /// Since when it is wrong, by the door's own record where it has one.
    async fn goes_wrong(&self, at: &AtStop<'_>) -> anyhow::Result<Timestamp> {
        if self.mishap.comes_late() {
            at.shut(false, None).await?;
            self.door("the door on its way down", |d| d["state"] == "closing").await?;
        }
        let now = self.scene.host.now();
        self.mishap.begins(self.scene, &self.owner.hands).await?;
        if self.mishap != Mishap::HalfWay {
            return Ok(now);
        }
        until(&self.scene.host, "the door to stop", async || {
            let told = self.scene.sim_of(GARAGES).map_err(|_| parcelshelf_client::Failure::Unexpected("no home"))?;
            let summary = told.get("/__sim/summary", &[]).await?;
            let at = summary["cars"][0]["last_hindered_at"].as_str().and_then(|t| Timestamp::parse_rfc3339(t).ok());
            Ok(at.filter(|t| *t >= now))
        })
        .await
    }

    /// The owner's own list says that something is wrong.
    async fn told_to_the_owner(&self, granted: &Granted, gain: &mut Gain) -> anyhow::Result<()> {
        let told = self.owner.wallet.delivery(granted.delivery).await?;
        let alarm = told.to_string().contains(self.mishap.cause());
        gain.must(alarm, || format!("{}: the owner is not told", self.mishap.name()));
        Ok(())
    }

    /// What the door did, against what the case proves.
    async fn judged(&self, granted: &Granted, before: Seen, gain: &mut Gain) -> anyhow::Result<()> {
        let bundle = self.owner.bundle(granted.delivery).await?;
        let seen = Seen::of(&self.scene.seen_of(&self.owner.hands.vin).await?).since(before);
        let finding = judge(seen, &bundle, &self.owner.anchors(self.scene));
        let name = self.mishap.name();
        gain.must(finding.violations.is_empty(), || format!("{name}: {}", finding.violations.join(", ")));
        gain.must(finding.openings == 1, || format!("{name}: opened {} times", finding.openings));
        gain.must(finding.lock_proof == Some(LockProof::Observed), || format!("{name}: no proof"));
        let verdict = finding.verdict.as_ref();
        let alarms = verdict.map_or(0, |v| v.timeline.iter().filter(|m| m.event.kind() == "alarm").count());
        ensure!(verdict.is_some(), "a case that does not verify");
        gain.must(alarms > 0, || format!("{name}: the case does not show the alarm"));
        gain.count("played", name);
        Ok(())
    }
}
