//! A camera is proved live: a light in its view goes on and off in a pattern drawn just now, and its pictures must follow.
//!
//! It is done in the request that asks to open, before anything is written: what was read of the door before is read again
//! after it, so that the intent rests on what is so now. The courier waits some fifteen seconds. Only how bright each picture is
//! passes through here; nothing of it is kept. The one that follows is the recording's first: it is written with the intent.
//!
//! One request at a time: two would draw their patterns over each other. It goes on when nobody listens any more, as every
//! request that may write does, and a stop of the process waits for it: the light goes off in any case but a crash.

use std::time::Duration;

use parcelshelf_core::time::within;
use parcelshelf_edge::problem::Problem;
use parcelshelf_opening::conditions::Denial;
use parcelshelf_opening::liveness::{Challenge, Pattern, SETTLE_MS, Sample, Verdict, WITHIN_MS};
use parcelshelf_protocol::content::Picture;
use serde_json::json;
use tokio::sync::OwnedMutexGuard;

use super::{Facts, denied};
use crate::Keyholder;
use crate::chain::Held;
use crate::db::{Change, Stored};
use crate::failure::{Failure, again, broken};
use crate::grants::wallet_of;
use crate::linking::Reached;
use crate::recorded;
use crate::rows::AttemptRow;

/// As long as the light stays as it was told before its picture counts.
const SETTLE: Duration = Duration::from_millis(SETTLE_MS.unsigned_abs());
/// However slow light and camera are.
const WITHIN: Duration = Duration::from_millis(WITHIN_MS.unsigned_abs());
/// Whoever is second waits so long. With a proof of the camera after it the request still ends before its front gives up.
const TURN_WITHIN: Duration = Duration::from_secs(8);
/// Then they are told to ask again, which the page does by itself.
const AGAIN_S: u64 = 1;

fn busy() -> Problem {
    Problem::unavailable("door_busy", "somebody else asks this door to open; ask again", AGAIN_S)
}

impl Keyholder {
    /// Until the guard goes nobody else asks this front door to open. Who comes second sees what the first left: a door that is
    /// open asks for no camera. None where no camera is asked.
    pub(super) async fn turn_at_front_door(&self, held: &Held) -> Result<Option<OwnedMutexGuard<()>>, Failure> {
        let vehicle = match self.granted_vehicle(&held.grant).await {
            // Taken back by its owner: whoever asks for it next says so.
            Err(Failure::Problem(problem)) if problem.code() == "conditions_not_met" => return Ok(None),
            found => found?,
        };
        if !self.is_front_door(&vehicle.value.maker) {
            return Ok(None);
        }
        let door = self.car_of(&vehicle).await?.id;
        let turn = self.front_doors.of(&door).lock_owned();
        let mine = within(&*self.host.clock, TURN_WITHIN, turn).await;
        Ok(Some(mine.ok_or_else(busy)?))
    }

    /// A door that is about to be unlocked for somebody else still says that it is locked.
    async fn nobody_else_opens(&self, facts: &Facts, own: Option<&Stored<AttemptRow>>) -> Result<(), Failure> {
        let door = self.car_of(&facts.vehicle).await?.value;
        let living = self.db.list::<AttemptRow>("live", &[1]).await?;
        let opens = |a: &Stored<AttemptRow>| {
            let at_rest = matches!(a.value.state.phase.as_str(), "locked" | "did_not_happen");
            !at_rest && own.is_none_or(|own| own.id != a.id) && door.links.iter().any(|l| l.vehicle == a.value.vehicle)
        };
        if living.iter().any(opens) { Err(busy().into()) } else { Ok(()) }
    }

    /// Asks the camera where nothing but its word is missing, and then everything else anew.
    pub(super) async fn prove_camera(
        &self,
        held: &Held,
        facts: &mut Facts,
        own: Option<&Stored<AttemptRow>>,
    ) -> Result<(), Failure> {
        let untold = Denial::CameraUntold.code();
        let grant = self.grant(held.delivery).await?;
        match self.judge_open(held, &grant.value, facts) {
            Err(Failure::Problem(problem)) if problem.cause() == Some(untold) => {}
            // It needs no camera, or would not open whatever that shows.
            Ok(_) | Err(_) => return Ok(()),
        }
        self.nobody_else_opens(facts, own).await?;
        facts.camera = self.is_live(&mut facts.reached).await?;
        if !matches!(facts.camera, Verdict::Live { .. }) {
            // Nothing opens any more: nothing more is asked, and where the house stands is not read again.
            again!(self.keep_unproved(held))?;
            return Ok(());
        }
        self.or_kept_away(held, self.still_wanted(held, facts).await)?;
        facts.first = self.picture_now(&mut facts.reached).await;
        facts.reached.session.now = self.host.now();
        facts.car = self.look(&facts.reached, true).await?;
        facts.now = self.host.now();
        Ok(())
    }

    /// Somebody may have stopped it while the light went on and off. Then nothing of the house is read for it any more.
    async fn still_wanted(&self, held: &Held, facts: &Facts) -> Result<(), Failure> {
        let grant = self.grant(held.delivery).await?;
        let owner = self.wallet(wallet_of(&grant.value)?).await?;
        self.not_blocked(&owner.value, &grant.value, Some(held.chain.device()))?;
        let door = self.car_of(&facts.vehicle).await?.value;
        self.car_stands(&facts.vehicle, &door).map_err(denied)
    }

    /// One that can be kept.
    async fn picture_now(&self, door: &mut Reached) -> Option<Picture> {
        door.session.now = self.host.now();
        let taken = door.line.snapshot(&door.session).await.ok()?;
        recorded::kept(taken, door.session.now)
    }

    /// Counts as an attempt: nobody tries until a recording happens to fit, or makes a light flicker all day.
    async fn keep_unproved(&self, held: &Held) -> Result<(), Failure> {
        let mut grant = self.grant(held.delivery).await?;
        let mut change = Change::new(&self.db, &self.host);
        grant.value.attempts = grant.value.attempts.saturating_add(1);
        change.update(&grant, self.grant_index(&grant)?);
        change.journal("grant", &grant.id, "camera_not_proved", &json!({}));
        change.commit().await?;
        Ok(())
    }

    /// Plays one challenge to its end. Whatever does not answer ends it, and the light goes off in any case.
    async fn is_live(&self, door: &mut Reached) -> Result<Verdict, Failure> {
        let pattern = Pattern::draw(&self.host.random::<32>()).ok_or_else(|| broken("no pattern was drawn"))?;
        let mut challenge = Challenge::begin(pattern);
        let played = async {
            while let Some(on) = challenge.next() {
                challenge = challenge.saw(self.picture(door, on).await);
            }
            challenge.verdict()
        };
        let verdict = within(&*self.host.clock, WITHIN, played).await.unwrap_or(Verdict::Unknown);
        door.session.now = self.host.now();
        if door.line.light(&door.session, false).await.is_err() {
            tracing::warn!("a light that a camera was proved by stays as it is");
        }
        tracing::info!(live = matches!(verdict, Verdict::Live { .. }), "a camera was asked whether it is live");
        Ok(verdict)
    }

    /// The light as told, a moment for the camera, and one picture.
    async fn picture(&self, door: &mut Reached, on: bool) -> Option<Sample> {
        door.session.now = self.host.now();
        door.line.light(&door.session, on).await.ok()?;
        self.host.sleep(SETTLE).await;
        let at = self.host.now();
        let still = door.line.still(&door.session).await.ok()?;
        Some(Sample { brightness_permille: still.brightness_permille, at })
    }
}
