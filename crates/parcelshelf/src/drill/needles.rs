//! What must not be found: a car's VIN, plate, place and log-in at its maker.

use parcelshelf_simulator::canary::Canary;

use super::world::World;
use crate::simulate::owner::plate;

/// The canaries of some deliveries' cars.
#[must_use]
pub fn of_cars(world: &World, of: &[usize]) -> Vec<Canary> {
    let mut all = Vec::new();
    for n in of {
        let (Some(car), Some(errand)) = (world.day.cars.get(*n), world.day.city.errands.get(*n)) else { continue };
        let text = |what: &str, value: &str| Canary::Text { what: format!("{what} {n}"), value: value.to_owned() };
        all.extend([text("VIN", &car.vin), text("plate", &plate(*n)), text("login", &car.login)]);
        let (latitude, longitude) = (errand.place.latitude_deg(), errand.place.longitude_deg());
        all.push(Canary::Place { what: format!("place {n}"), latitude, longitude });
    }
    all
}
