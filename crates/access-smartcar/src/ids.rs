//! Which car of this API is which VIN: everything here goes by an id of the vendor's. In memory; losing it costs a few
//! readings.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use parcelshelf_core::vehicle::Vin;

/// Cars remembered; when full, all are forgotten.
const CARS_MAX: usize = 10_000;
const ID_BYTES_MAX: usize = 64;

/// A vehicle id that can stand in a path. It names a car: it does not print.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct VehicleId(String);
impl VehicleId {
    /// Letters, digits and hyphens only: nothing that could lead to another path.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (!text.is_empty() && text.len() <= ID_BYTES_MAX && text.bytes().all(fits)).then(|| Self(text.to_owned()))
    }
    pub fn expose(&self) -> &str {
        &self.0
    }
}
impl std::fmt::Debug for VehicleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VehicleId(<redacted>)")
    }
}

#[derive(Default)]
pub(crate) struct KnownCars(Mutex<HashMap<Vin, VehicleId>>);
impl KnownCars {
    pub fn id(&self, vin: &Vin) -> Option<VehicleId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(vin).cloned()
    }
    pub fn remember(&self, vin: &Vin, id: &VehicleId) {
        let mut cars = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cars.len() >= CARS_MAX {
            cars.clear();
        }
        cars.insert(vin.clone(), id.clone());
    }
    /// The id was refused: the car may have been connected anew, or belong to somebody else.
    pub fn forget(&self, vin: &Vin) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(vin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_nowhere_else_and_does_not_print() {
        assert!(VehicleId::parse("36ab27d0-fd9d-4455-823a-ce30af709ffc").is_some());
        for bad in ["", "..", "a/b", "a?b", "a%2e", "a b", "ü", &"x".repeat(65)] {
            assert_eq!(VehicleId::parse(bad), None, "{bad}");
        }
        assert_eq!(format!("{:?}", VehicleId::parse("abc")), "Some(VehicleId(<redacted>))");
    }

    #[test]
    fn what_is_remembered_can_be_forgotten() {
        let (cars, vin) = (KnownCars::default(), Vin::parse("YV1XZ16B0N2100001").unwrap());
        let id = VehicleId::parse("a").unwrap();
        cars.remember(&vin, &id);
        assert_eq!(cars.id(&vin), Some(id));
        cars.forget(&vin);
        assert_eq!(cars.id(&vin), None);
    }
}
