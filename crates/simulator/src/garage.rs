//! One maker's simulated cars as whoever stages a run handles them: hands, faults, and what the cars themselves recorded.

use parcelshelf_core::time::Timestamp;
use serde_json::Value;

/// What a car's own record says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// How often the lid for parcels went from shut to open, and when, the first 256 times.
    pub lid_openings: u64,
    pub lid_opened_at: Vec<Timestamp>,
    /// Commands to open or unlock that arrived at the cloud.
    pub open_commands: u64,
    pub lock_commands: u64,
    /// Commands of any kind, wakes left out.
    pub commands: u64,
    pub wakes: u64,
    /// When a place left the cloud, the first 256 times.
    pub position_reads_at: Vec<Timestamp>,
    pub shut_and_locked: bool,
    /// Simulated milliseconds for which answers about this car were held back.
    pub held_ms: u64,
    /// Commands to unlock behind which nobody can have seen through the camera what is there. Of front doors only.
    pub unseen_unlocks: u64,
    /// Such as came while camera, network or lock failed, which had not failed when somebody looked.
    pub failed_since_seen: u64,
}

/// One maker's cars.
pub trait Garage: Send + Sync + 'static {
    /// The maker's short name.
    fn maker(&self) -> &'static str;
    /// A hand, a key, sleep, a trip: as the control path takes it. False when the car does not let it.
    fn hand(&self, vin: &str, action: &Value) -> bool;
    /// Things that will go wrong with the cloud's answers about one car.
    ///
    /// # Errors
    /// Which one is not known, or that there is no such car.
    fn plan_faults(&self, vin: &str, faults: &[Value]) -> Result<(), String>;
    /// Nothing goes wrong with this car any more.
    fn clear_faults(&self, vin: &str);
    /// What the car recorded; `None`: there is no such car.
    fn seen(&self, vin: &str) -> Option<Seen>;
    /// Requests that arrived at this maker's interfaces so far, whatever was answered; what its owners bill by.
    fn requests(&self) -> u64;
    /// Tokens that the cloud has handed out and knows, for searches in what must not hold them.
    fn tokens(&self) -> Vec<String>;
    /// For so many seconds the whole cloud answers nobody.
    fn outage(&self, seconds: u32);
    /// For so many seconds every request to this maker's cloud is taken and not answered, which is worse. False: this one
    /// cannot be made to.
    fn hang(&self, seconds: u32) -> bool {
        let _ = seconds;
        false
    }
}
