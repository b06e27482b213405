//! What has changed for each carrier, in order: one long poll instead of one for every delivery.
//!
//! Held in memory only. A position is worth nothing after a restart, and says so: the carrier then asks for each open
//! delivery once. Deliveries are named, not events: one that changed three times since the last look is listed once, with
//! how it stands now.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::time::Timer;
use parcelshelf_protocol::encoding::Thumbprint;
use tokio::sync::Notify;

use crate::bells::WAIT_MAX;
use crate::rows::StatusPart;

/// Deliveries remembered per carrier. Whoever comes later than that asks for each.
const KEPT_MAX: usize = 50_000;
/// Deliveries in one answer.
pub(crate) const PAGE_MAX: usize = 200;
/// Changes come in bunches; a moment's rest lets one answer take them together. A carrier's screens do not need them
/// sooner, and whatever protects somebody happens here, not there.
const GATHER: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Feed {
    last: u64,
    /// Positions up to this one are forgotten.
    forgotten: u64,
    order: BTreeMap<u64, DeliveryId>,
    at: HashMap<DeliveryId, u64>,
    /// What there is left to say of deliveries whose rows are gone.
    last_words: HashMap<DeliveryId, StatusPart>,
    bell: Arc<Notify>,
}

/// The feeds of all carriers.
pub(crate) struct Feeds {
    /// Which run of this process: positions of another mean nothing here.
    run: [u8; 8],
    feeds: Mutex<HashMap<Thumbprint, Feed>>,
}
impl std::fmt::Debug for Feeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Feeds")
    }
}

/// Where a carrier has read to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    run: [u8; 8],
    n: u64,
}
impl Position {
    /// `RUN-N`, hexadecimal and decimal.
    pub fn parse(text: &str) -> Option<Self> {
        let (run, n) = text.split_once('-')?;
        let bytes = u64::from_str_radix(run, 16).ok().filter(|_| run.len() == 16)?;
        Some(Self { run: bytes.to_be_bytes(), n: n.parse().ok()? })
    }
}
impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}-{}", u64::from_be_bytes(self.run), self.n)
    }
}

/// What is new.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub next: Position,
    /// The position was of another run or is forgotten: ask for each open delivery.
    pub resync: bool,
    pub changed: Vec<DeliveryId>,
}

impl Feeds {
    pub fn new(run: [u8; 8]) -> Self {
        Self { run, feeds: Mutex::default() }
    }
    fn feeds(&self) -> MutexGuard<'_, HashMap<Thumbprint, Feed>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A delivery of this carrier has changed, durably.
    pub fn changed(&self, carrier: Thumbprint, delivery: DeliveryId) {
        let mut feeds = self.feeds();
        let feed = feeds.entry(carrier).or_default();
        feed.last += 1;
        if let Some(before) = feed.at.insert(delivery, feed.last) {
            feed.order.remove(&before);
        }
        feed.order.insert(feed.last, delivery);
        while feed.order.len() > KEPT_MAX
            && let Some((oldest, gone)) = feed.order.pop_first()
        {
            feed.at.remove(&gone);
            feed.last_words.remove(&gone);
            feed.forgotten = oldest;
        }
        feed.bell.notify_waiters();
    }

    /// A delivery of this carrier is being erased before it was over: what the carrier hears when nothing of it is left.
    pub fn last_word(&self, carrier: Thumbprint, delivery: DeliveryId, said: StatusPart) {
        self.feeds().entry(carrier).or_default().last_words.insert(delivery, said);
        self.changed(carrier, delivery);
    }
    pub fn last_word_of(&self, carrier: Thumbprint, delivery: DeliveryId) -> Option<StatusPart> {
        self.feeds().get(&carrier)?.last_words.get(&delivery).cloned()
    }

    /// What has changed after `from`; waits for it.
    pub async fn news(&self, carrier: Thumbprint, from: Option<Position>, wait: Duration, timer: &dyn Timer) -> News {
        let mut end = timer.sleep(wait.min(WAIT_MAX));
        loop {
            let (news, bell) = self.look(carrier, from);
            let mut rung = Box::pin(bell.notified_owned());
            rung.as_mut().enable();
            if news.resync || !news.changed.is_empty() {
                return news;
            }
            // Between the look and here something may have come.
            let (again, _) = self.look(carrier, from);
            if !again.changed.is_empty() {
                return again;
            }
            tokio::select! {
                biased;
                () = rung => timer.sleep(GATHER).await,
                () = &mut end => return news,
            }
        }
    }

    fn look(&self, carrier: Thumbprint, from: Option<Position>) -> (News, Arc<Notify>) {
        let mut feeds = self.feeds();
        let feed = feeds.entry(carrier).or_default();
        let at = |n: u64| Position { run: self.run, n };
        let bell = Arc::clone(&feed.bell);
        let known = from.filter(|p| p.run == self.run && p.n >= feed.forgotten && p.n <= feed.last);
        let Some(from) = known else {
            return (News { next: at(feed.last), resync: true, changed: Vec::new() }, bell);
        };
        let page: Vec<(u64, DeliveryId)> =
            feed.order.range(from.n + 1..).take(PAGE_MAX).map(|(n, delivery)| (*n, *delivery)).collect();
        let next = page.last().map_or(from.n, |(n, _)| *n);
        let changed = page.into_iter().map(|(_, delivery)| delivery).collect();
        (News { next: at(next), resync: false, changed }, bell)
    }
}

#[cfg(test)]
mod tests {
    use parcelshelf_edge::Host;

    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn carrier(n: u8) -> Thumbprint {
        Thumbprint::from_bytes([n; 32])
    }
    fn delivery(n: u8) -> DeliveryId {
        DeliveryId::from_bytes([n; 16])
    }
    async fn news(feeds: &Feeds, from: Option<Position>) -> News {
        feeds.news(carrier(1), from, NOW, &*Host::system().clock).await
    }

    #[tokio::test]
    async fn a_carrier_hears_of_its_own_changes_once_and_in_order() {
        let feeds = Feeds::new([1; 8]);
        let start = news(&feeds, None).await;
        assert!(start.resync, "who comes without a position asks for each");
        feeds.changed(carrier(1), delivery(1));
        feeds.changed(carrier(2), delivery(9));
        feeds.changed(carrier(1), delivery(2));
        feeds.changed(carrier(1), delivery(1));
        let first = news(&feeds, Some(start.next)).await;
        assert_eq!((first.resync, &first.changed), (false, &vec![delivery(2), delivery(1)]));
        let second = news(&feeds, Some(first.next)).await;
        assert_eq!((second.next, second.changed), (first.next, vec![]));
    }

    #[tokio::test]
    async fn the_last_word_of_a_delivery_is_its_own_carriers_and_changes_it() {
        let feeds = Feeds::new([1; 8]);
        let start = news(&feeds, None).await;
        let said = StatusPart { seq: 3, state: "ended".into(), reason: Some("withdrawn".into()) };
        feeds.last_word(carrier(1), delivery(1), said.clone());
        assert_eq!(news(&feeds, Some(start.next)).await.changed, [delivery(1)]);
        assert_eq!(feeds.last_word_of(carrier(1), delivery(1)), Some(said));
        assert_eq!(feeds.last_word_of(carrier(2), delivery(1)), None);
        assert_eq!(feeds.last_word_of(carrier(1), delivery(2)), None);
    }

    #[tokio::test]
    async fn a_position_of_another_run_is_worth_nothing() {
        let (before, after) = (Feeds::new([1; 8]), Feeds::new([2; 8]));
        before.changed(carrier(1), delivery(1));
        let position = news(&before, None).await.next;
        assert!(news(&after, Some(position)).await.resync);
        assert_eq!(Position::parse(&position.to_string()), Some(position));
        for bad in ["", "1-1", "0101010101010101", "0101010101010101-x", "zz01010101010101-1"] {
            assert_eq!(Position::parse(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_a_change() {
        let feeds = Arc::new(Feeds::new([1; 8]));
        let start = news(&feeds, None).await.next;
        let waiting = {
            let feeds = Arc::clone(&feeds);
            tokio::spawn(async move {
                feeds.news(carrier(1), Some(start), Duration::from_secs(20), &*Host::system().clock).await
            })
        };
        tokio::task::yield_now().await;
        feeds.changed(carrier(1), delivery(3));
        assert_eq!(waiting.await.unwrap().changed, [delivery(3)]);
    }
}
