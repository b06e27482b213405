//! What lies between the server and one of its doors: what goes wrong with requests about it, commands that are still on their
//! way, and for how long answers were held back.

use parcelshelf_core::time::Timestamp;

use super::fault::{self, Acts, Effect, FAULTS_PER_DOOR_MAX, Fault, Hears, Target};

/// Commands of one door that are still on their way to it.
const LATE_MAX: usize = 16;

#[derive(Debug, Default)]
pub struct Line {
    pub faults: Vec<Fault>,
    pub held_ms: u64,
    /// Requests about this door so far.
    pub asked: u64,
    /// Commands that the door hears later, and when.
    late: Vec<(Timestamp, Target)>,
}

impl Line {
    /// Things that will go wrong. False when they are too many.
    pub fn plan(&mut self, faults: Vec<Fault>) -> bool {
        let fit = self.faults.len() + faults.len() <= FAULTS_PER_DOOR_MAX;
        if fit {
            self.faults.extend(faults);
        }
        fit
    }
    /// A request about the door with this number. What goes wrong with it.
    pub fn strike(&mut self, asked: Target, seed: u64, number: &str) -> Option<Effect> {
        self.asked += 1;
        fault::strike(&mut self.faults, asked, seed, number, self.asked)
    }
    /// What the caller hears, and after how many milliseconds.
    pub fn holds_back(&mut self, strikes: Option<Effect>, usual_ms: u32, seed: u64, number: &str) -> (Hears, u64) {
        let drawn = crate::cloud::drawn(seed, number, "latency", self.asked);
        let mut held_ms = u64::from(usual_ms) / 2 + (drawn * f64::from(usual_ms)) as u64;
        let hears = strikes.map_or(Hears::Success, |effect| effect.hears);
        if let Hears::TruthAfterSeconds(seconds) = hears {
            held_ms += u64::from(seconds) * 1_000;
        }
        self.held_ms += held_ms;
        (hears, held_ms)
    }
    /// Whether the door hears of a command now. One that is late waits its turn.
    pub fn reaches(&mut self, strikes: Option<Effect>, service: Target, now: Timestamp) -> bool {
        match strikes.map_or(Acts::Now, |effect| effect.acts) {
            Acts::Now => return true,
            Acts::AfterSeconds(seconds) if self.late.len() < LATE_MAX => {
                self.late.push((now.plus_seconds(i64::from(seconds)), service));
            }
            Acts::AfterSeconds(_) | Acts::No => {}
        }
        false
    }
    /// The next late command that has arrived by now, and when it did.
    pub fn arrives(&mut self, now: Timestamp) -> Option<(Timestamp, Target)> {
        let due = (0..self.late.len()).filter(|n| self.late[*n].0 <= now).min_by_key(|n| self.late[*n].0)?;
        Some(self.late.remove(due))
    }
}
