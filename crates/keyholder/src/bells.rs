//! Who waits for news of a row: long polls, woken when the row has changed.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parcelshelf_core::time::{Sleep, Timer};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Longest wait of a poll.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(25);

#[derive(Debug, Default)]
pub(crate) struct Bells(Mutex<HashMap<[u8; 16], Arc<Notify>>>);

impl Bells {
    fn of(&self, id: &[u8; 16]) -> Arc<Notify> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(*id).or_default())
    }
    /// Wakes everybody who waits for this row.
    pub fn ring(&self, id: &[u8; 16]) {
        if let Some(bell) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id) {
            bell.notify_waiters();
        }
    }
    /// Begins to wait for news of a row, at most for `wait`.
    pub fn vigil(&self, id: &[u8; 16], wait: Duration, timer: &dyn Timer) -> Vigil<'_> {
        Vigil { bells: self, id: *id, end: timer.sleep(wait.min(WAIT_MAX)) }
    }
}

/// One wait for news: listen, look, rest, and look again.
pub(crate) struct Vigil<'a> {
    bells: &'a Bells,
    id: [u8; 16],
    end: Sleep,
}
impl Drop for Vigil<'_> {
    /// Nobody else waits: the entry goes, so that asking for what does not exist fills no memory.
    fn drop(&mut self) {
        let mut all = self.bells.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&self.id).is_some_and(|bell| Arc::strong_count(bell) == 1) {
            all.remove(&self.id);
        }
    }
}
impl Vigil<'_> {
    /// Registers before looking, so that no ring is missed in between.
    pub fn listen(&self) -> Pin<Box<OwnedNotified>> {
        let mut rung = Box::pin(self.bells.of(&self.id).notified_owned());
        rung.as_mut().enable();
        rung
    }
    /// True when there may be news, false when the time is up.
    pub async fn rest(&mut self, rung: Pin<Box<OwnedNotified>>) -> bool {
        tokio::select! {
            biased;
            () = rung => true,
            () = &mut self.end => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use parcelshelf_edge::Host;

    use super::*;

    #[tokio::test]
    async fn who_listens_is_woken_and_who_has_gone_leaves_nothing_behind() {
        let (bells, id) = (Bells::default(), [7; 16]);
        let mut vigil = bells.vigil(&id, Duration::from_secs(20), &*Host::system().clock);
        let rung = vigil.listen();
        // Rung between listening and resting: not missed.
        bells.ring(&id);
        assert!(vigil.rest(rung).await);
        let rung = vigil.listen();
        drop((rung, vigil));
        assert!(bells.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_wait_ends_by_itself() {
        let bells = Bells::default();
        let mut vigil = bells.vigil(&[1; 16], Duration::from_millis(1), &*Host::system().clock);
        let rung = vigil.listen();
        assert!(!vigil.rest(rung).await);
    }
}
