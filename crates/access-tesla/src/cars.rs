//! What is remembered of each car while the process runs: its region, how it wants its commands, whose turn it is. In memory:
//! losing it costs a few readings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;

use crate::signed::{Domain, Session};

/// Cars remembered; when full, all that nobody is busy with are forgotten.
const CARS_MAX: usize = 10_000;

/// How a car wants its commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Signed,
}

#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Index of the region in the configuration.
    pub region: Option<usize>,
    pub style: Option<Style>,
    /// When it was last called to wake.
    pub called_at: Option<Timestamp>,
    /// When it was last asked how it wants its commands, or to begin a session: an answer that does not come is not asked for with
    /// every look.
    pub asked_at: Option<Timestamp>,
    /// The car said that it does not know our key.
    pub key_unknown: bool,
    vehicle_security: Option<Session>,
    infotainment: Option<Session>,
}
impl Known {
    pub const fn session(&mut self, domain: Domain) -> &mut Option<Session> {
        match domain {
            Domain::VehicleSecurity => &mut self.vehicle_security,
            Domain::Infotainment => &mut self.infotainment,
        }
    }
    /// Fresh session info is taken unless it contradicts what is known.
    pub fn began(&mut self, domain: Domain, session: Session) {
        let slot = self.session(domain);
        if let Ok(session) = session.after(slot.as_ref()) {
            *slot = Some(session);
            self.key_unknown = false;
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Car {
    /// One command at a time: the trunk's button toggles, and signed commands must arrive in the order of their counters.
    pub turn: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
}
impl Car {
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Cars(Mutex<HashMap<Vin, Arc<Car>>>);
impl Cars {
    pub fn of(&self, vin: &Vin) -> Arc<Car> {
        let mut cars = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(car) = cars.get(vin) {
            return Arc::clone(car);
        }
        if cars.len() >= CARS_MAX {
            // Who is busy with one holds it, and its turn must stay one.
            cars.retain(|_, car| Arc::strong_count(car) > 1);
        }
        let car = Arc::<Car>::default();
        cars.insert(vin.clone(), Arc::clone(&car));
        car
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_car_is_one_and_a_busy_one_is_not_forgotten() {
        let cars = Cars::default();
        let vin = |n: usize| Vin::parse(&format!("5YJ3E1EA0PF{n:06}")).unwrap();
        let busy = cars.of(&vin(0));
        assert!(Arc::ptr_eq(&busy, &cars.of(&vin(0))));
        for n in 1..=CARS_MAX {
            cars.of(&vin(n));
        }
        assert!(cars.0.lock().unwrap().len() <= CARS_MAX, "bounded");
        assert!(Arc::ptr_eq(&busy, &cars.of(&vin(0))), "its turn stays one");
    }
}
