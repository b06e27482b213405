//! SIGKILL in the middle of a day: services die without a word and are started again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::cost;
use super::day::Day;
use super::dice::Dice;
use crate::stage::Stage;

/// After the gateway's answer the command is on its way to the maker for at least this long.
const ON_ITS_WAY: Duration = Duration::from_millis(600);

/// Which services die, and when.
#[derive(Debug)]
pub struct Kills {
    /// `None`: nobody can be killed inside one process.
    stage: Option<Arc<Mutex<Stage>>>,
    /// Deliveries at whose opening the keyholder dies between intent and result.
    openings: BTreeSet<usize>,
    /// Others, at any moment of the day.
    anywhere: u32,
    dice: Dice,
    counted: [AtomicU32; 4],
    /// Processor time of processes that were killed, milliseconds.
    spent_ms: [AtomicU64; 3],
}

const NAMES: [&str; 3] = ["carrier", "gateway", "keyholder"];

impl Kills {
    /// `each` kills of every service; of the keyholder's three quarters between intent and result.
    #[must_use]
    pub fn plan(stage: Option<Arc<Mutex<Stage>>>, each: u32, deliveries: usize, dice: Dice) -> Self {
        let wanted = (each as usize * 3).div_ceil(4);
        let mut openings = BTreeSet::new();
        // Some of those drawn never come to open; more are drawn than are wanted, and the count ends it.
        for n in 0..(wanted as u64 * 2) {
            openings.insert(dice.between("kill at", n, 0, (deliveries as u64).saturating_sub(1)) as usize);
        }
        if each == 0 {
            openings.clear();
        }
        Self { stage, openings, anywhere: each, dice, counted: Default::default(), spent_ms: Default::default() }
    }

    async fn kill(&self, which: usize) {
        let Some(stage) = &self.stage else { return };
        let mut stage = stage.lock().await;
        let stage = &mut *stage;
        let service = match which {
            0 => &mut stage.carrier,
            1 => &mut stage.gateway,
            _ => &mut stage.keyholder,
        };
        self.spent_ms[which].fetch_add(service.pid().map_or(0, cost::cpu_ms), Ordering::Relaxed);
        let done = async {
            service.kill().await?;
            service.restart(&[]).await
        };
        match done.await {
            Ok(()) => drop(self.counted[which].fetch_add(1, Ordering::Relaxed)),
            Err(error) => tracing::error!(%error, "a killed service does not come back"),
        }
    }

    /// Kills the keyholder while the command to open is on its way, if this delivery is one of those.
    pub async fn between(&self, day: &Day, n: usize) {
        let wanted = (self.anywhere * 3).div_ceil(4);
        if !self.openings.contains(&n) || self.counted[3].load(Ordering::Relaxed) >= wanted {
            return;
        }
        let commands = || day.car(n).map_or(0, |c| day.seen(c).open_commands);
        day.scene.host.clock.sleep(ON_ITS_WAY).await;
        let arrived = commands();
        self.kill(2).await;
        // Counted only if the command had arrived at the maker, whose answer takes seconds: intent durable, no result.
        if arrived > 0 {
            self.counted[3].fetch_add(1, Ordering::Relaxed);
            day.note(n, || String::from("the keyholder is killed between intent and result"));
        }
    }

    /// Kills at moments spread over the day.
    pub async fn all_day(&self, day: &Day, day_s: u64) {
        let mut moments: Vec<(u64, usize)> = Vec::new();
        for (which, name) in NAMES.into_iter().enumerate() {
            let count = if which == 2 { self.anywhere - (self.anywhere * 3).div_ceil(4) } else { self.anywhere };
            for n in 0..count {
                moments.push((self.dice.between(name, u64::from(n), 60, day_s), which));
            }
        }
        moments.sort_unstable();
        for (at_s, which) in moments {
            day.sleep_until(day.city.day_starts.plus_seconds(i64::try_from(at_s).unwrap_or(0))).await;
            self.kill(which).await;
        }
    }

    /// Processor time of the killed, in the order carrier, gateway, keyholder.
    #[must_use]
    pub fn spent_ms(&self) -> [u64; 3] {
        std::array::from_fn(|i| self.spent_ms[i].load(Ordering::Relaxed))
    }

    /// How many of each were killed, and how many keyholders between intent and result.
    #[must_use]
    pub fn counted(&self) -> Value {
        let n = |i: usize| self.counted[i].load(Ordering::Relaxed);
        json!({"carrier": n(0), "gateway": n(1), "keyholder": n(2), "keyholder_between_intent_and_result": n(3)})
    }
}
