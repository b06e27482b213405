//! These doors in the hands of whoever stages a run. A house's door is its lid.

use serde_json::Value;

use super::Home;
use super::fault::{Fault, FaultFile};
use crate::garage::{Garage, Seen};

impl Garage for Home {
    fn maker(&self) -> &'static str {
        "homeassistant-garage"
    }
    fn hand(&self, number: &str, action: &Value) -> bool {
        let Some(action) = action["action"].as_str() else { return false };
        let now = self.now();
        self.world().door(number).is_some_and(|door| door.hand(action, now, &*self.entropy))
    }
    fn plan_faults(&self, number: &str, faults: &[Value]) -> Result<(), String> {
        let parsed = faults.iter().map(|fault| {
            let file: FaultFile = serde_json::from_value(fault.clone()).map_err(|e| e.to_string())?;
            Fault::try_from(&file).map_err(|e| e.to_string())
        });
        let parsed = parsed.collect::<Result<Vec<_>, String>>()?;
        let fit = self.world().door(number).ok_or("no such door")?.plan(parsed);
        fit.then_some(()).ok_or_else(|| String::from("a door has at most 64 faults"))
    }
    fn clear_faults(&self, number: &str) {
        if let Some(door) = self.world().door(number) {
            door.faults.clear();
        }
    }
    fn seen(&self, number: &str) -> Option<Seen> {
        let mut world = self.world();
        let door = world.door(number)?;
        let commands = |name: &str| door.tally.commands.get(name).copied().unwrap_or(0);
        Some(Seen {
            lid_openings: door.tally.openings,
            lid_opened_at: door.tally.opened_at.clone(),
            open_commands: commands("open_cover"),
            lock_commands: commands("close_cover"),
            commands: door.tally.commands.values().sum(),
            wakes: 0,
            position_reads_at: door.tally.house_told_at.clone(),
            // Shut, it is held shut by its drive.
            shut_and_locked: door.drive.is_shut(),
            held_ms: door.tally.held_ms,
        })
    }
    fn requests(&self) -> u64 {
        self.world().requests
    }
    fn tokens(&self) -> Vec<String> {
        self.world().logins.tokens().cloned().collect()
    }
    fn outage(&self, seconds: u32) {
        let until = self.now().plus_seconds(i64::from(seconds));
        self.world().away_until = until;
    }
}
