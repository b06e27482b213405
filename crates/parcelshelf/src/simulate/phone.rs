//! A courier's phone: its network loses, doubles and delays, and its clock may be off. Decided by the seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use parcelshelf_core::time::{Clock, Sleep, Timer, Timestamp};
use parcelshelf_exchange::{Answer, Client, Silence, Way};

use super::dice::Dice;
use super::fate::PhoneRates;

/// No request waits longer in the net than this; longer, and a phone gives up by itself.
const NET_PATIENCE: Duration = Duration::from_secs(45);

/// The way of one phone's requests.
pub struct Net {
    inner: Client,
    timer: Arc<dyn Timer>,
    dice: Dice,
    rates: PhoneRates,
    about: String,
    sent: AtomicU64,
}

impl Net {
    /// A phone's client. `about` names phone and stop, for the draws.
    #[must_use]
    pub fn client(inner: Client, timer: Arc<dyn Timer>, dice: Dice, rates: PhoneRates, about: String) -> Client {
        if rates == PhoneRates::default() {
            return inner;
        }
        let net = Self { inner, timer: Arc::clone(&timer), dice, rates, about, sent: AtomicU64::new(0) };
        Client::over(Arc::new(net), timer)
    }
}

#[async_trait::async_trait]
impl Way for Net {
    async fn carry(&self, request: Request<Bytes>, max_bytes: usize) -> Result<Answer, Silence> {
        let n = self.sent.fetch_add(1, Ordering::Relaxed);
        let pause = |what: &str, from, to| {
            Duration::from_secs(self.dice.between(&format!("{what} {}", self.about), n, from, to))
        };
        let mut drawn = self.dice.share(&self.about, n);
        let mut strikes = |rate: f64| {
            let strikes = drawn < rate;
            drawn -= rate;
            strikes
        };
        if strikes(self.rates.not_sent) {
            self.timer.sleep(pause("no signal", 2, 12)).await;
            return Err(Silence::NeverSent);
        }
        if strikes(self.rates.answer_lost) {
            let _ = self.inner.send(request, NET_PATIENCE, max_bytes).await;
            self.timer.sleep(pause("lost", 1, 4)).await;
            return Err(Silence::Lost);
        }
        if strikes(self.rates.doubled) {
            let first = self.inner.send(request.clone(), NET_PATIENCE, max_bytes).await;
            let second = self.inner.send(request, NET_PATIENCE, max_bytes).await;
            return second.or(first);
        }
        if strikes(self.rates.delayed) {
            self.timer.sleep(pause("delayed", 1, 8)).await;
        }
        self.inner.send(request, NET_PATIENCE, max_bytes).await
    }
}

/// A clock that is off by whole seconds.
pub struct Off {
    pub inner: Arc<dyn Timer>,
    pub by_s: i64,
}
impl Clock for Off {
    fn now(&self) -> Timestamp {
        self.inner.now().plus_seconds(self.by_s)
    }
}
impl Timer for Off {
    fn sleep(&self, span: Duration) -> Sleep {
        self.inner.sleep(span)
    }
    fn uptime(&self) -> Duration {
        self.inner.uptime()
    }
}
