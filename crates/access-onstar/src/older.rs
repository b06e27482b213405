//! Which cars take commands through the old API only. In memory: losing it costs one refused request per car.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use parcelshelf_core::vehicle::Vin;

/// Cars remembered; when full, all are forgotten.
const CARS_MAX: usize = 10_000;

#[derive(Default)]
pub(crate) struct OlderCars(Mutex<HashSet<Vin>>);
impl OlderCars {
    pub fn has(&self, vin: &Vin) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(vin)
    }
    pub fn remember(&self, vin: &Vin) {
        let mut cars = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cars.len() >= CARS_MAX {
            cars.clear();
        }
        cars.insert(vin.clone());
    }
}
