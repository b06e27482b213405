//! What must not be found: a car's VIN, plate, place and log-in at its maker.

use parcelshelf_simulator::canary::Canary;

use super::world::World;
use crate::simulate::owner::plate;
use crate::simulate::run;

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

/// What a carrier has and must have: labels of these cars' parcels, its couriers' names.
#[must_use]
pub fn of_a_carrier(world: &World, of: &[usize]) -> Vec<Canary> {
    let labels = of.iter().filter_map(|n| Some((format!("label {n}"), world.day.delivery(*n)?.label.clone())));
    let couriers = (0..world.couriers.len()).map(|k| (format!("courier {k}"), run::courier_name(k)));
    labels.chain(couriers).map(|(what, value)| Canary::Text { what, value }).collect()
}

/// What a needle is of, without its spelling.
#[must_use]
pub fn whose(needle: &str) -> String {
    needle.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
