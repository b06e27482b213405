//! These cars in the hands of whoever stages a run.

use serde_json::Value;

use super::Cloud;
use super::car::Answer;
use super::control::Hand;
use super::fault::FAULTS_PER_CAR_MAX;
use super::file::{FaultFile, parse_fault};
use crate::garage::{Garage, Seen};

impl Garage for Cloud {
    fn maker(&self) -> &'static str {
        "smartcar"
    }
    fn hand(&self, vin: &str, action: &Value) -> bool {
        let Some(event) = serde_json::from_value::<Hand>(action.clone()).ok().and_then(|hand| hand.event()) else {
            return false;
        };
        let now = self.now();
        matches!(self.world().befall(vin, event, now), Some(Answer::Done))
    }
    fn plan_faults(&self, vin: &str, faults: &[Value]) -> Result<(), String> {
        let parsed = faults.iter().map(|fault| {
            let file: FaultFile = serde_json::from_value(fault.clone()).map_err(|e| e.to_string())?;
            parse_fault(&file).map_err(|e| e.to_string())
        });
        let parsed = parsed.collect::<Result<Vec<_>, String>>()?;
        let mut world = self.world();
        let planned = world.faults_of(vin).ok_or("no such car")?;
        if planned.len() + parsed.len() > FAULTS_PER_CAR_MAX {
            return Err(format!("a car has at most {FAULTS_PER_CAR_MAX} faults"));
        }
        planned.extend(parsed);
        Ok(())
    }
    fn clear_faults(&self, vin: &str) {
        if let Some(planned) = self.world().faults_of(vin) {
            planned.clear();
        }
    }
    fn seen(&self, vin: &str) -> Option<Seen> {
        let now = self.now();
        let mut world = self.world();
        world.live(vin, now);
        let tally = world.record.tally(vin);
        let entry = world.car(vin)?;
        let commands = |name: &str| tally.commands.get(name).copied().unwrap_or(0);
        Some(Seen {
            lid_openings: tally.tailgate_openings,
            lid_opened_at: tally.tailgate_opened_at.clone(),
            open_commands: commands("unlock"),
            lock_commands: commands("lock"),
            commands: tally.commands.values().sum(),
            wakes: 0,
            position_reads_at: tally.position_reads_at.clone(),
            shut_and_locked: entry.car.shut_and_locked(),
            held_ms: entry.held_ms,
            ..Seen::default()
        })
    }
    fn requests(&self) -> u64 {
        self.world().record.requests
    }
    fn tokens(&self) -> Vec<String> {
        self.world().identity.tokens().map(str::to_owned).collect()
    }
    fn outage(&self, seconds: u32) {
        let until = self.now().plus_seconds(i64::from(seconds));
        self.world().down_until = until;
    }
}
