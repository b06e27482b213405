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
        planned(self, number, faults)
    }
    fn clear_faults(&self, number: &str) {
        cleared(self, number);
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
            position_reads_at: door.tally.house_told_at.clone(),
            // Shut, it is held shut by its drive.
            shut_and_locked: door.drive.is_shut(),
            held_ms: door.line.held_ms,
            ..Seen::default()
        })
    }
    /// What is about no door, such as logins, is counted here.
    fn requests(&self) -> u64 {
        let world = self.world();
        world.requests.saturating_sub(world.fronts.iter().map(|front| front.line.asked).sum())
    }
    fn tokens(&self) -> Vec<String> {
        self.world().logins.tokens().cloned().collect()
    }
    fn outage(&self, seconds: u32) {
        let until = self.now().plus_seconds(i64::from(seconds));
        self.world().away_until = until;
    }
}

/// The front doors of such a server. What is counted of them is theirs alone; what befalls the server befalls both.
#[derive(Clone, Debug)]
pub struct Fronts(pub Home);

impl Garage for Fronts {
    fn maker(&self) -> &'static str {
        "homeassistant-door"
    }
    /// A door that is pulled at gives only where its bolt lets it.
    fn hand(&self, number: &str, action: &Value) -> bool {
        let Some(action) = action["action"].as_str() else { return false };
        let now = self.0.now();
        let mut world = self.0.world();
        let Some(front) = world.front(number) else { return false };
        front.hand(action, now, &*self.0.entropy) && (action != "open_door" || front.is_open())
    }
    fn plan_faults(&self, number: &str, faults: &[Value]) -> Result<(), String> {
        planned(&self.0, number, faults)
    }
    fn clear_faults(&self, number: &str) {
        cleared(&self.0, number);
    }
    fn seen(&self, number: &str) -> Option<Seen> {
        let mut world = self.0.world();
        let front = world.front(number)?;
        Some(Seen {
            lid_openings: front.openings,
            lid_opened_at: front.opened_at.clone(),
            open_commands: front.unlock_commands,
            lock_commands: front.lock_commands,
            commands: front.unlock_commands + front.lock_commands,
            position_reads_at: front.house_told_at.clone(),
            shut_and_locked: front.is_shut_and_locked(),
            held_ms: front.line.held_ms,
            unseen_unlocks: front.unseen_unlocks,
            failed_since_seen: front.failed_since_seen,
            ..Seen::default()
        })
    }
    fn requests(&self) -> u64 {
        self.0.world().fronts.iter().map(|front| front.line.asked).sum()
    }
    fn tokens(&self) -> Vec<String> {
        self.0.tokens()
    }
    fn outage(&self, seconds: u32) {
        self.0.outage(seconds);
    }
}

fn planned(home: &Home, number: &str, faults: &[Value]) -> Result<(), String> {
    let parsed = faults.iter().map(|fault| {
        let file: FaultFile = serde_json::from_value(fault.clone()).map_err(|e| e.to_string())?;
        Fault::try_from(&file).map_err(|e| e.to_string())
    });
    let parsed = parsed.collect::<Result<Vec<_>, String>>()?;
    let fit = home.world().line(number).ok_or("no such door")?.plan(parsed);
    fit.then_some(()).ok_or_else(|| String::from("a door has at most 64 faults"))
}
fn cleared(home: &Home, number: &str) {
    if let Some(line) = home.world().line(number) {
        line.faults.clear();
    }
}
