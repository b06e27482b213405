//! The same courier before a house: no place is asked for. A garage's door goes up, and down again on the word that everybody is
//! out; what a hand opens and shuts is in [`super::front`].

use std::sync::Arc;
use std::time::Duration;

use parcelshelf_access_homeassistant::GARAGES;
use parcelshelf_client::courier::{CloseSaid, Stop, StopPage};
use parcelshelf_core::area::Position;
use parcelshelf_core::id::AttemptId;
use parcelshelf_core::reason::Reason;
use serde_json::{Value, json};

use super::{AtStop, PATIENCE, Stuck};
use crate::simulate::book::AtCar;
use crate::simulate::fate::{DoorFate, ScanFate};
use crate::simulate::owner;

/// From the van to the door.
const PHONE_OFF_M: f64 = 15.0;
/// Some couriers ask for the place although they have the address, as at every other stop.
const ASKS_FOR_THE_PLACE: f64 = 0.25;
/// Whoever stands before a door that does not move looks again after this, so often.
const LOOK_AGAIN_S: i64 = 10;
const LOOKS: u32 = 8;
/// How long a server stays away, a drive unreachable, a state as it was: seconds.
const FOR_A_WHILE_S: [u64; 2] = [15, 170];
/// Half of those who see something in the doorway carry it away.
const CARRIES_IT_AWAY: f64 = 0.5;

impl AtStop<'_> {
    /// From arriving to driving on.
    pub(super) async fn serve_the_house(&self, page: &StopPage, stop: &Stop) -> Result<AtCar, Stuck> {
        let (day, n) = (self.day, self.n);
        let phone = self.delivery.place.moved(45.0, PHONE_OFF_M);
        if day.dice.hit("asks for the place", n as u64, ASKS_FOR_THE_PLACE) {
            self.asks_for_the_place(page, stop, phone).await;
        }
        self.arrives().await;
        if day.fate(n).scan == ScanFate::Missing {
            return Ok(AtCar::Not(Reason::MissingParcel));
        }
        if day.fate(n).door == DoorFate::FrozenShut {
            self.freezes().await;
        }
        self.befalls_the_front().await;
        let Some((attempt, asked)) = self.open(page, stop, phone).await? else {
            return Ok(AtCar::Not(Reason::DidNotOpen));
        };
        day.book.page(n, |p| p.attempted = true);
        let done = if day.is_front_door(n) {
            self.at_the_front(page, stop, phone, attempt, asked).await
        } else {
            self.at_the_door(page, stop, phone, attempt, asked).await
        };
        owner::care_afterwards(day, n, page.clone(), attempt);
        Ok(done)
    }

    /// A place that is shown all the same is counted: the judge knows that none may be.
    async fn asks_for_the_place(&self, page: &StopPage, stop: &Stop, phone: Position) {
        match page.locate(&self.courier.device, stop, phone).await {
            Ok(_) => drop(self.day.book.page(self.n, |p| p.places_shown += 1)),
            Err(failure) => self.day.book.odd(&format!("place of a house: {}", failure.code().unwrap_or("no answer"))),
        }
    }

    /// Goes in when the door is open, whatever the page says, and out again.
    async fn at_the_door(
        &self,
        page: &StopPage,
        stop: &Stop,
        phone: Position,
        attempt: AttemptId,
        (asked, held_before): (Duration, u64),
    ) -> AtCar {
        let (day, n) = (self.day, self.n);
        let words = ["open", "did_not_happen", "unknown", "locking", "locked", "withdrawn"];
        let Some(state) = self.decided(page, attempt, &words).await else { return AtCar::Not(Reason::NoSignal) };
        if state == "open" {
            self.took("open_total_home", "open_added_home", asked, held_before).await;
        }
        if !self.door_opens(page, attempt).await {
            let unknown = state == "unknown";
            return AtCar::Not(if unknown { Reason::UnknownOutcome } else { Reason::DidNotOpen });
        }
        day.note(n, || String::from("the door is open"));
        self.befalls_inside().await;
        self.sleep_s(self.drawn_s("put", 15, 30)).await;
        if day.fate(n).door == DoorFate::Forgotten {
            return AtCar::Placed;
        }
        if day.fate(n).door == DoorFate::FrozenOpen {
            self.freezes().await;
        }
        let photo = self.photograph(page, stop, attempt).await;
        self.close(page, stop, phone, CloseSaid { handle_checked: false, photo, done: true }).await;
        self.befalls_on_the_way_down().await;
        self.sees_it_shut(page, stop, phone, attempt).await;
        AtCar::Placed
    }

    /// How the attempt stands once it is decided: one of these words, or any when it has ended. `None`: no news for too long.
    pub(super) async fn decided(&self, page: &StopPage, attempt: AttemptId, words: &[&str]) -> Option<String> {
        let decided = |s: &Value| words.contains(&s["state"].as_str().unwrap_or_default()) || s["ended"] == json!(true);
        let seen = self.follow(page, attempt, decided).await?;
        self.day.note(self.n, || format!("the page says {}", seen["state"]));
        Some(seen["state"].as_str().unwrap_or_default().to_owned())
    }
    /// How long it took to open, in all and without what the house took of it.
    pub(super) async fn took(&self, total: &'static str, added: &'static str, asked: Duration, held_before: u64) {
        let total_ms = i64::try_from((self.host.clock.uptime() - asked).as_millis()).unwrap_or(0);
        let home_ms = i64::try_from(self.day.held_ms(self.n).await.saturating_sub(held_before)).unwrap_or(0);
        self.day.book.took(total, total_ms, None);
        self.day.book.took(added, (total_ms - home_ms).max(0), None);
    }

    /// Stands before it for a while: it may go up a moment after the page last spoke.
    async fn door_opens(&self, page: &StopPage, attempt: AttemptId) -> bool {
        self.gives_way(page, attempt, async || self.day.stands_open(self.n)).await
    }
    /// Tries for a while whether there is a way in, and once more when the attempt has ended.
    pub(super) async fn gives_way(&self, page: &StopPage, attempt: AttemptId, tries: impl AsyncFn() -> bool) -> bool {
        for _ in 0..LOOKS {
            if tries().await {
                return true;
            }
            let seen = self.patiently("attempt", PATIENCE, async || page.attempt(attempt, 0).await).await;
            if seen.is_ok_and(|s| s["ended"] == json!(true)) {
                return tries().await;
            }
            self.sleep_s(LOOK_AGAIN_S).await;
        }
        false
    }

    /// Until the page lets the courier go, or an alarm is others' to care for. Something in the doorway is carried away by
    /// some; and whoever sees it standing open when they are let go says so once more.
    pub(super) async fn sees_it_shut(&self, page: &StopPage, stop: &Stop, phone: Position, attempt: AttemptId) {
        self.wait_for_release(page, attempt).await;
        let n = self.n as u64;
        let in_the_way = self.day.fate(self.n).door == DoorFate::Obstructed;
        if in_the_way && self.day.dice.hit("carries it away", n, CARRIES_IT_AWAY) {
            self.day.hand(self.n, &json!({"action": "clear_doorway"})).await;
            let _ = self.follow(page, attempt, |s| !s["lock_proof"].is_null() || s["ended"] == json!(true)).await;
        }
        if self.day.stands_open(self.n) {
            self.day.note(self.n, || String::from("sees it standing open"));
            let told = self.patiently("lock", PATIENCE, async || page.lock(&self.courier.device, stop, phone).await);
            let _ = told.await;
        }
    }

    async fn befalls_inside(&self) {
        match self.day.fate(self.n).door {
            DoorFate::DriveOffline => self.for_a_while("lose_network", "regain_network").await,
            DoorFate::ServerAway => self.server_is_away(),
            _ => {}
        }
    }
    pub(super) fn server_is_away(&self) {
        let seconds = u32::try_from(self.while_s()).unwrap_or(0);
        self.day.garages.of(GARAGES).outage(seconds);
        self.day.note(self.n, || format!("the server is away for {seconds} s"));
    }
    async fn befalls_on_the_way_down(&self) {
        match self.day.fate(self.n).door {
            DoorFate::Obstructed => drop(self.day.hand(self.n, &json!({"action": "block_doorway"})).await),
            DoorFate::HalfWay => drop(self.day.hand(self.n, &json!({"action": "break_drive"})).await),
            _ => {}
        }
    }
    async fn freezes(&self) {
        self.for_a_while("freeze_state", "thaw_state").await;
    }
    pub(super) async fn for_a_while(&self, begins: &'static str, ends: &'static str) {
        self.day.hand(self.n, &json!({"action": begins})).await;
        let (day, n, seconds) = (Arc::clone(self.day), self.n, self.while_s());
        tokio::task::spawn_local(async move {
            day.sleep_s(i64::try_from(seconds).unwrap_or(0)).await;
            day.hand(n, &json!({"action": ends})).await;
        });
    }
    /// The same, not at once.
    pub(super) fn after_s_for_a_while(&self, after_s: i64, begins: &'static str, ends: &'static str) {
        let (day, n, seconds) = (Arc::clone(self.day), self.n, self.while_s());
        tokio::task::spawn_local(async move {
            day.sleep_s(after_s).await;
            day.hand(n, &json!({"action": begins})).await;
            day.sleep_s(i64::try_from(seconds).unwrap_or(0)).await;
            day.hand(n, &json!({"action": ends})).await;
        });
    }
    fn while_s(&self) -> u64 {
        self.day.dice.between("for a while", self.n as u64, FOR_A_WHILE_S[0], FOR_A_WHILE_S[1])
    }
}
