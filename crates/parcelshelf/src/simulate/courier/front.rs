//! The same courier before a front door: the camera is proved live while they stand there, then a hand opens the door and shuts
//! it. What befalls it meanwhile passes by itself after a while.

use std::time::Duration;

use parcelshelf_client::courier::{CloseSaid, Stop, StopPage};
use parcelshelf_core::area::Position;
use parcelshelf_core::id::AttemptId;
use parcelshelf_core::reason::Reason;
use serde_json::json;

use super::AtStop;
use crate::simulate::book::AtCar;
use crate::simulate::fate::FrontFate;

/// Somebody comes home before a recording is shown: pauses between their hands at the light, milliseconds.
const AT_THE_LIGHT_MS: [u64; 6] = [1_250, 2_000, 1_000, 1_500, 2_500, 1_000];
/// A camera that freezes late does so within this of the wish to open: while it is proved live, or soon after.
const FREEZES_AFTER_S: [u64; 2] = [5, 25];

impl AtStop<'_> {
    /// What befalls the door before the courier rings.
    pub(super) async fn befalls_the_front(&self) {
        match self.day.fate(self.n).front {
            FrontFate::CameraFrozen => self.for_a_while("freeze_camera", "mend_camera").await,
            FrontFate::CameraLooped => {
                for pause_ms in AT_THE_LIGHT_MS {
                    self.day.hand(self.n, &json!({"action": "switch_light"})).await;
                    self.host.clock.sleep(Duration::from_millis(pause_ms)).await;
                }
                self.for_a_while("loop_camera", "mend_camera").await;
            }
            FrontFate::CameraBlind => self.for_a_while("blind_camera", "mend_camera").await,
            FrontFate::CameraFreezesLate => {
                let seconds = self.drawn_s("freezes late", FREEZES_AFTER_S[0], FREEZES_AFTER_S[1]);
                self.after_s_for_a_while(seconds, "freeze_camera", "mend_camera");
            }
            FrontFate::LockAway => self.for_a_while("lose_lock", "regain_lock").await,
            _ => {}
        }
    }

    /// Opens it by hand once it is unlocked, goes in and out, and shuts it.
    pub(super) async fn at_the_front(
        &self,
        page: &StopPage,
        stop: &Stop,
        phone: Position,
        attempt: AttemptId,
        (asked, held_before): (Duration, u64),
    ) -> AtCar {
        let (day, n) = (self.day, self.n);
        let words = ["ready", "open", "did_not_happen", "unknown", "locking", "locked", "withdrawn"];
        let Some(state) = self.decided(page, attempt, &words).await else { return AtCar::Not(Reason::NoSignal) };
        if state == "ready" || state == "open" {
            self.took("open_total_front", "open_added_front", asked, held_before).await;
        }
        if !self.front_opens(page, attempt).await {
            let unknown = state == "unknown";
            return AtCar::Not(if unknown { Reason::UnknownOutcome } else { Reason::DidNotOpen });
        }
        day.note(n, || String::from("the door is open"));
        self.befalls_behind_the_front().await;
        self.sleep_s(self.drawn_s("put", 15, 30)).await;
        if day.fate(n).front == FrontFate::Forgotten {
            return AtCar::Placed;
        }
        if day.fate(n).front == FrontFate::BoltBent {
            self.for_a_while("bend_bolt", "mend_bolt").await;
        }
        day.hand(n, &json!({"action": "shut_door"})).await;
        let photo = self.photograph(page, stop, attempt).await;
        self.close(page, stop, phone, CloseSaid { handle_checked: false, photo, done: true }).await;
        self.sees_it_shut(page, stop, phone, attempt).await;
        AtCar::Placed
    }

    /// Pulls at it for a while: it may be unlocked a moment after the page last spoke.
    async fn front_opens(&self, page: &StopPage, attempt: AttemptId) -> bool {
        let pulls = async || self.day.hand(self.n, &json!({"action": "open_door"})).await;
        self.gives_way(page, attempt, pulls).await
    }

    async fn befalls_behind_the_front(&self) {
        match self.day.fate(self.n).front {
            FrontFate::LockLost => self.for_a_while("lose_lock", "regain_lock").await,
            FrontFate::NetworkLost => self.for_a_while("lose_network", "regain_network").await,
            FrontFate::ServerAway => self.server_is_away(),
            _ => {}
        }
    }
}
