//! Which wallets are woken, and when. Who wakes them, and where, is the front's business: it is told a wallet's id and
//! nothing of why.
//!
//! What an owner may want to act on in this minute wakes at once: a place that was just shown, and whatever may be open.
//! Everything else waits for the quarter of an hour, and leaves with what came meanwhile as one. Whoever was woken and has
//! not looked since is not woken again for the same class. Only wallets that want it have a row, and it says no more than
//! classes and quarters.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parcelshelf_core::id::{DeliveryId, WalletId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_store::Version;
use serde_json::json;
use tokio::sync::{Notify, watch};

use crate::Keyholder;
use crate::bells::WAIT_MAX;
use crate::db::{Change, Index, Stored};
use crate::failure::{Failure, again, broken};
use crate::rows::{AttemptRow, GrantRow, StatusPart, WakingRow};

/// As long as a push service keeps what it could not hand over: who has not looked by then is woken by the next event again.
const TOLD_MS: i64 = 86_400_000;
const QUARTER_MINUTES: i64 = 15;
const QUARTER_MS: i64 = QUARTER_MINUTES * 60_000;
/// Quarters of an hour in which a push service may be silent: a day.
const TRIES_MAX: u8 = 96;
/// Wallets offered at once.
const OFFERED_MAX: u32 = 64;
/// A front that has said nothing of a wallet by then has died meanwhile: the wallet is offered again.
const LEASE_S: i64 = 180;
/// A store that fails is tried again after this long.
const PAUSE: Duration = Duration::from_secs(1);
/// Deliveries whose last word is remembered, so that it is heard once. All are forgotten together: then one more is woken for.
const SAID_MAX: usize = 10_000;
/// Rung when a wallet may be due.
const BELL: [u8; 16] = *b"wallets to wake\0";
const DUE: &str = "due";

/// Why a wallet is woken. Never leaves the keyholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Somebody has linked the same car; this owner is asked about it.
    Asked,
    /// Somebody who shares the car has stopped everything, or asks for the end of that.
    Shared,
    /// A delivery under a standing rule.
    Announced,
    /// The car is not ready.
    NotReady,
    /// Somebody stands at a door and asks to be let in.
    AtDoor,
    /// A courier sees where the car stands: it can be stopped now.
    Shown,
    /// Something is open, or may be.
    Alarm,
    Stopped,
    /// What became of it.
    Done,
}
impl Class {
    const fn code(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Shared => "shared",
            Self::Announced => "announced",
            Self::NotReady => "not_ready",
            Self::AtDoor => "at_door",
            Self::Shown => "shown",
            Self::Alarm => "alarm",
            Self::Stopped => "stopped",
            Self::Done => "done",
        }
    }
    /// What cannot wait for the quarter: the owner may want to act in this very minute.
    const fn at_once(self) -> bool {
        matches!(self, Self::AtDoor | Self::Shared | Self::Shown | Self::Alarm)
    }
    /// Each time is somebody else, who is gone in ten minutes.
    const fn every_time(self) -> bool {
        matches!(self, Self::AtDoor)
    }
    /// What a delivery's state is to its owner. Nothing: the owner did it, or it is said by what follows.
    fn of(status: &StatusPart, announced: bool) -> Option<Self> {
        match (status.state.as_str(), status.reason.as_deref()) {
            ("granted", _) if announced => Some(Self::Announced),
            ("located", _) => Some(Self::Shown),
            ("alarm" | "recalled", _) | ("opening", Some(_)) => Some(Self::Alarm),
            ("blocked", _) => Some(Self::Stopped),
            ("refused" | "ended", _) => Some(Self::Done),
            _ => None,
        }
    }
    /// No time that is kept says more than a quarter.
    const fn due_ms(self, now: Timestamp) -> i64 {
        let from = if self.at_once() { now } else { now.plus_millis(QUARTER_MS - 1) };
        from.rounded_down_to_minutes(QUARTER_MINUTES).unix_millis()
    }
}

impl WakingRow {
    const fn new() -> Self {
        Self { v: 1, due: Vec::new(), told: Vec::new(), tries: 0 }
    }
    /// Something has happened. True: the row is another one.
    fn heard(&mut self, class: Class, now: Timestamp) -> bool {
        let told = |(code, at): &(String, i64)| code == class.code() && now.unix_millis() - at < TOLD_MS;
        if !class.every_time() && self.told.iter().any(told) || self.due.iter().any(|(code, _)| code == class.code()) {
            return false;
        }
        self.due.push((class.code().to_owned(), class.due_ms(now)));
        true
    }
    fn due_ms(&self) -> Option<i64> {
        self.due.iter().map(|(_, at)| *at).min()
    }
    fn codes(&self) -> Vec<String> {
        self.due.iter().map(|(code, _)| code.clone()).collect()
    }
    /// A device was woken while it waited for these: one push for all of them, also for what was not due yet.
    fn woken(&mut self, offered: &[String], now: Timestamp) {
        let at = now.rounded_down_to_minutes(QUARTER_MINUTES).unix_millis();
        let all = std::mem::take(&mut self.due).into_iter();
        let (told, left): (Vec<_>, Vec<_>) = all.partition(|(code, _)| offered.contains(code));
        self.due = left;
        self.told.retain(|(code, _)| !told.iter().any(|(again, _)| again == code));
        self.told.extend(told.into_iter().map(|(code, _)| (code, at)));
        self.tries = 0;
    }
    /// No push service took it: once more at the next quarter, but not for ever.
    fn later(&mut self, now: Timestamp) {
        self.tries += 1;
        if self.tries >= TRIES_MAX {
            (self.due, self.tries) = (Vec::new(), 0);
        }
        let next = now.plus_millis(QUARTER_MS).rounded_down_to_minutes(QUARTER_MINUTES).unix_millis();
        for (_, at) in &mut self.due {
            *at = next.max(*at);
        }
    }
    /// A device of the wallet has read how things stand. True: the row is another one.
    fn looked(&mut self) -> bool {
        let news = !self.due.is_empty() || !self.told.is_empty();
        (self.due, self.told, self.tries) = (Vec::new(), Vec::new(), 0);
        news
    }
    fn index(&self) -> Index {
        let key = |ms: i64| (DUE.to_owned(), ms.unsigned_abs().to_be_bytes().to_vec());
        self.due_ms().map(key).into_iter().collect()
    }
}

#[derive(Debug, Default)]
struct Heard {
    /// With a class where the delivery's state does not say it.
    deliveries: BTreeSet<(DeliveryId, Option<Class>)>,
    wallets: BTreeSet<(WalletId, Class)>,
}

/// What was heard and is not written yet, and what the front is busy with.
#[derive(Default)]
pub(crate) struct Waking {
    heard: Mutex<Heard>,
    rung: Notify,
    /// Which change of a delivery was heard last.
    said: Mutex<HashMap<DeliveryId, u64>>,
    /// Until when the front has a wallet, and for which classes.
    offered: Mutex<HashMap<WalletId, (Timestamp, Vec<String>)>>,
}
impl std::fmt::Debug for Waking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waking")
    }
}
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waking {
    /// A delivery has changed, durably.
    pub fn changed(&self, delivery: DeliveryId) {
        locked(&self.heard).deliveries.insert((delivery, None));
        self.rung.notify_one();
    }
    /// Its car was found not to be ready.
    pub fn not_ready(&self, delivery: DeliveryId) {
        locked(&self.heard).deliveries.insert((delivery, Some(Class::NotReady)));
        self.rung.notify_one();
    }
    /// Somebody asks at this wallet's door.
    pub fn at_door(&self, wallet: WalletId) {
        locked(&self.heard).wallets.insert((wallet, Class::AtDoor));
        self.rung.notify_one();
    }
    /// Somebody has linked this wallet's car, and waits for its word.
    pub fn asked(&self, wallet: WalletId) {
        locked(&self.heard).wallets.insert((wallet, Class::Asked));
        self.rung.notify_one();
    }
    /// Somebody who shares a car with this wallet has stopped everything there, or wants it to go on.
    pub fn shared(&self, wallet: WalletId) {
        locked(&self.heard).wallets.insert((wallet, Class::Shared));
        self.rung.notify_one();
    }
    fn take(&self) -> Heard {
        std::mem::take(&mut *locked(&self.heard))
    }
    fn put_back(&self, heard: Heard) {
        let mut all = locked(&self.heard);
        all.deliveries.extend(heard.deliveries);
        all.wallets.extend(heard.wallets);
        drop(all);
        self.rung.notify_one();
    }
    /// Whether this change was not written down before: a place is shown again and again, and is news once.
    fn is_news(&self, delivery: DeliveryId, seq: u64) -> bool {
        locked(&self.said).get(&delivery).is_none_or(|before| *before < seq)
    }
    fn was_noted(&self, delivery: DeliveryId, seq: u64) {
        let mut said = locked(&self.said);
        if said.len() >= SAID_MAX {
            said.clear();
        }
        said.insert(delivery, seq);
    }
}

/// Writes down for whom there is something, until `stop`. What a crash took from memory is looked for where it matters: at
/// whatever may still be open.
pub(crate) async fn note(k: Arc<Keyholder>, mut stop: watch::Receiver<bool>) {
    if let Err(failure) = k.hear_alarms().await {
        tracing::warn!(error = %failure, "owners of what may be open could not be looked for");
    }
    loop {
        tokio::select! {
            biased;
            stopped = async { stop.wait_for(|s| *s).await.is_ok() } => {
                if let Err(failure) = k.note_heard(&mut k.waking.take()).await {
                    tracing::warn!(error = %failure, "who is to be woken could not be written down any more");
                }
                tracing::debug!(stopped, "nobody more is woken");
                return;
            }
            () = k.waking.rung.notified() => {}
        }
        let mut heard = k.waking.take();
        if let Err(failure) = k.note_heard(&mut heard).await {
            tracing::warn!(error = %failure, "who is to be woken could not be written down and is tried again");
            k.host.sleep(PAUSE).await;
            k.waking.put_back(heard);
        }
    }
}

/// What the front says of a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// One of its devices wants to be woken.
    Wants,
    /// None does any more.
    WantsNot,
    /// A push service has taken it.
    Woken,
    /// None has.
    Later,
}

impl Keyholder {
    async fn hear_alarms(&self) -> Result<(), Failure> {
        for attempt in self.db.list::<AttemptRow>("live", &[1]).await? {
            let alarm = attempt.value.state.alarm.as_ref().is_some_and(|a| a.acknowledged_ms.is_none());
            if let (true, Ok(delivery)) = (alarm, DeliveryId::parse(&attempt.value.delivery)) {
                self.waking.changed(delivery);
            }
        }
        Ok(())
    }

    /// What is written down is taken out: what remains after a failure is tried again.
    async fn note_heard(&self, heard: &mut Heard) -> Result<(), Failure> {
        while let Some((wallet, class)) = heard.wallets.first().copied() {
            again!(self.note_wallet(wallet, class))?;
            heard.wallets.pop_first();
        }
        while let Some((delivery, class)) = heard.deliveries.first().copied() {
            self.note_delivery(delivery, class).await?;
            heard.deliveries.pop_first();
        }
        Ok(())
    }

    async fn note_delivery(&self, delivery: DeliveryId, class: Option<Class>) -> Result<(), Failure> {
        let Some(grant) = self.db.get::<GrantRow>(delivery.as_bytes()).await? else { return Ok(()) };
        let status = &grant.value.status;
        let Some(said) = class.or_else(|| Class::of(status, grant.value.rule.is_some())) else { return Ok(()) };
        let Ok(wallet) = crate::grants::wallet_of(&grant.value) else { return Ok(()) };
        if self.db.get::<WakingRow>(wallet.as_bytes()).await?.is_none() {
            return Ok(());
        }
        if class.is_none() && !self.waking.is_news(delivery, status.seq) {
            return Ok(());
        }
        again!(self.note_wallet(wallet, said))?;
        if class.is_none() {
            self.waking.was_noted(delivery, status.seq);
        }
        Ok(())
    }

    async fn note_wallet(&self, wallet: WalletId, class: Class) -> Result<(), Failure> {
        let Some(mut row) = self.db.get::<WakingRow>(wallet.as_bytes()).await? else { return Ok(()) };
        if row.value.heard(class, self.host.now()) {
            self.keep_waking(&row).await?;
            self.bells.ring(&BELL);
        }
        Ok(())
    }

    /// Without a line in the journal, which stays for a year: nobody needs to know then who was woken when.
    async fn keep_waking(&self, row: &Stored<WakingRow>) -> Result<(), Failure> {
        let mut change = Change::new(&self.db, &self.host);
        change.update(row, row.value.index());
        change.commit().await?;
        Ok(())
    }

    /// A device of the wallet reads how things stand: it needs no waking, and what comes after this is new.
    pub(crate) async fn looked(&self, wallet: WalletId) {
        let cleared = async {
            let Some(mut row) = self.db.get::<WakingRow>(wallet.as_bytes()).await? else { return Ok(()) };
            locked(&self.waking.offered).remove(&wallet);
            if row.value.looked() { self.keep_waking(&row).await } else { Ok(()) }
        };
        // Reading goes on: at worst a phone is woken once too often.
        if let Err(failure) = cleared.await {
            tracing::debug!(error = %failure, "that a wallet was looked at could not be written down");
        }
    }

    /// Which wallets the front shall wake now; waits for some. Each is offered once, until the front says how it went.
    pub(crate) async fn to_wake(&self) -> Result<Vec<WalletId>, Failure> {
        let mut vigil = self.bells.vigil(&BELL, WAIT_MAX, &*self.host.clock);
        loop {
            let rung = vigil.listen();
            let found = self.due_now().await?;
            // A quarter that begins meanwhile is found by the next question.
            if !found.is_empty() || !vigil.rest(rung).await {
                return Ok(found);
            }
        }
    }

    async fn due_now(&self) -> Result<Vec<WalletId>, Failure> {
        let now = self.host.now();
        locked(&self.waking.offered).retain(|_, (until, _)| *until > now);
        let mut found = Vec::new();
        for row in self.db.first::<WakingRow>(DUE, &[], OFFERED_MAX).await? {
            let due = row.value.due_ms().is_some_and(|at| at <= now.unix_millis());
            let id: Result<[u8; 16], _> = row.id.try_into();
            let wallet = WalletId::from_bytes(id.map_err(|_| broken("a wallet's id has not 16 bytes"))?);
            let mut offered = locked(&self.waking.offered);
            if due && !offered.contains_key(&wallet) {
                offered.insert(wallet, (now.plus_seconds(LEASE_S), row.value.codes()));
                found.push(wallet);
            }
        }
        Ok(found)
    }

    /// The front says something of a wallet.
    pub(crate) async fn said_of(&self, wallet: WalletId, word: Word) -> Result<(), Failure> {
        match word {
            Word::Wants => Ok(again!(self.want(wallet))?),
            Word::WantsNot => Ok(again!(self.want_not(wallet))?),
            Word::Woken | Word::Later => {
                // Whoever has looked meanwhile was told.
                let offered = locked(&self.waking.offered).get(&wallet).cloned();
                let Some((_, codes)) = offered else { return Ok(()) };
                again!(self.done_with(wallet, word, &codes))?;
                // Not before it is written down: else it would be offered once more in between.
                locked(&self.waking.offered).remove(&wallet);
                self.bells.ring(&BELL);
                Ok(())
            }
        }
    }

    async fn want(&self, wallet: WalletId) -> Result<(), Failure> {
        // An erased one gets no row.
        self.wallet(wallet).await?;
        if self.db.get::<WakingRow>(wallet.as_bytes()).await?.is_some() {
            return Ok(());
        }
        let mut change = Change::new(&self.db, &self.host);
        change.put(wallet.as_bytes(), Version::Absent, &WakingRow::new(), Index::new());
        change.journal("waking", wallet.as_bytes(), "wants_waking", &json!({}));
        change.commit().await?;
        Ok(())
    }
    async fn want_not(&self, wallet: WalletId) -> Result<(), Failure> {
        locked(&self.waking.offered).remove(&wallet);
        let Some(row) = self.db.get::<WakingRow>(wallet.as_bytes()).await? else { return Ok(()) };
        let mut change = Change::new(&self.db, &self.host);
        change.delete(&row);
        change.journal("waking", wallet.as_bytes(), "wants_no_waking", &json!({}));
        change.commit().await?;
        Ok(())
    }
    async fn done_with(&self, wallet: WalletId, word: Word, offered: &[String]) -> Result<(), Failure> {
        let Some(mut row) = self.db.get::<WakingRow>(wallet.as_bytes()).await? else { return Ok(()) };
        let now = self.host.now();
        if word == Word::Woken {
            row.value.woken(offered, now)
        } else {
            row.value.later(now)
        }
        self.keep_waking(&row).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five minutes past a quarter.
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_525_200 + 300);
    const QUARTER: i64 = 1_795_525_200_000;

    fn status(state: &str, reason: Option<&str>) -> StatusPart {
        StatusPart { seq: 2, state: state.to_owned(), reason: reason.map(str::to_owned) }
    }

    #[test]
    fn what_a_state_is_to_an_owner() {
        for (state, reason, announced, class) in [
            ("granted", None, false, None),
            ("granted", None, true, Some(Class::Announced)),
            ("delegated", None, true, None),
            ("located", None, false, Some(Class::Shown)),
            ("opening", None, false, None),
            ("opening", Some("unknown_outcome"), false, Some(Class::Alarm)),
            ("opened", None, false, None),
            ("closed", None, false, None),
            ("released", None, false, None),
            ("alarm", Some("left_open"), false, Some(Class::Alarm)),
            ("recalled", None, false, Some(Class::Alarm)),
            ("refused", Some("asleep"), false, Some(Class::Done)),
            ("ended", None, false, Some(Class::Done)),
            ("blocked", Some("blocked_by_owner"), false, Some(Class::Stopped)),
        ] {
            assert_eq!(Class::of(&status(state, reason), announced), class, "{state} {reason:?}");
        }
    }

    #[test]
    fn only_what_can_be_acted_on_now_does_not_wait_and_no_time_says_more_than_a_quarter() {
        for class in [Class::Asked, Class::Announced, Class::NotReady, Class::Stopped, Class::Done] {
            assert_eq!(class.due_ms(NOW), QUARTER + QUARTER_MS, "{class:?}");
        }
        for class in [Class::Shared, Class::Shown, Class::Alarm] {
            assert_eq!(class.due_ms(NOW), QUARTER, "{class:?}");
        }
        let sharp = Timestamp::from_unix_millis(QUARTER);
        assert_eq!(Class::Done.due_ms(sharp), QUARTER, "a quarter waits for no other");
    }

    #[test]
    fn one_push_for_several_and_none_for_what_was_told_and_not_looked_at() {
        let mut row = WakingRow::new();
        assert!(row.heard(Class::Done, NOW));
        assert!(!row.heard(Class::Done, NOW), "it waits already");
        assert_eq!(row.due_ms(), Some(QUARTER + QUARTER_MS));
        assert!(row.heard(Class::Alarm, NOW));
        assert_eq!(row.due_ms(), Some(QUARTER), "an alarm does not wait for the rest");
        let offered = row.codes();
        // Something else comes while the front is at it: it was not told.
        assert!(row.heard(Class::Shown, NOW));
        row.woken(&offered, NOW);
        assert_eq!(row.codes(), ["shown"]);
        assert_eq!(row.told, [("done".to_owned(), QUARTER), ("alarm".to_owned(), QUARTER)]);
        // A front that says it twice takes nothing back.
        row.woken(&offered, NOW);
        assert!(!row.heard(Class::Alarm, NOW) && !row.heard(Class::Done, NOW));
        // Who looks is up to date, and what comes then is new.
        assert!(row.looked() && !row.looked());
        assert_eq!((row.due_ms(), row.index()), (None, Index::new()));
        assert!(row.heard(Class::Alarm, NOW));
    }

    #[test]
    fn what_a_push_service_has_dropped_by_now_was_not_told() {
        let mut row = WakingRow::new();
        row.heard(Class::Alarm, NOW);
        row.woken(&row.codes(), NOW);
        assert!(!row.heard(Class::Alarm, Timestamp::from_unix_millis(QUARTER + TOLD_MS - 1)));
        assert!(row.heard(Class::Alarm, Timestamp::from_unix_millis(QUARTER + TOLD_MS)));
    }

    #[test]
    fn a_silent_push_service_is_asked_at_quarters_for_a_day() {
        let (mut row, mut now, mut tries) = (WakingRow::new(), NOW, 0);
        row.heard(Class::Alarm, now);
        while let Some(due) = row.due_ms() {
            assert!(due % QUARTER_MS == 0 && (tries == 0 || due > now.unix_millis() - QUARTER_MS));
            now = Timestamp::from_unix_millis(due.max(now.unix_millis()));
            row.later(now);
            tries += 1;
        }
        assert_eq!(tries, i32::from(TRIES_MAX));
    }

    #[test]
    fn a_place_that_is_shown_again_is_no_news() {
        let (waking, delivery) = (Waking::default(), DeliveryId::from_bytes([7; 16]));
        // Until it is written down it is.
        assert!(waking.is_news(delivery, 3) && waking.is_news(delivery, 3));
        waking.was_noted(delivery, 3);
        assert!(!waking.is_news(delivery, 3) && waking.is_news(delivery, 4));
    }
}
