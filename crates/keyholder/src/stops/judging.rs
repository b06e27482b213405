//! Whether a request may open: each kind of thing is judged on what it can have.

use parcelshelf_core::actuation::{AccessClass, Place as Kind};
use parcelshelf_core::id::GrantId;
use parcelshelf_opening::conditions::{self, Denial, EntranceFacts, Fact, FrontFacts, OpenFacts, OpenPermit};

use super::{Facts, denied, located_by};
use crate::Keyholder;
use crate::chain::Held;
use crate::failure::{Failure, broken};
use crate::grants::window_of;
use crate::rows::{GrantRow, VehicleRow};
use crate::{car, convert};

impl Keyholder {
    /// What a grant opens a part of.
    pub(super) async fn kind_of(&self, held: &Held) -> Result<Kind, Failure> {
        let vehicle = self.granted_vehicle(&held.grant).await?;
        Ok(self.place_of(&vehicle.value.maker))
    }

    pub(super) fn judge_open(&self, held: &Held, grant: &GrantRow, f: &Facts) -> Result<OpenPermit, Failure> {
        match class_of(held, &f.vehicle.value)?.belongs_to() {
            Kind::Car => self.judge_open_car(held, grant, f),
            Kind::Home => self.judge_open_entrance(held, grant, f),
        }
    }

    /// Nothing is asked of a house that only a car can tell.
    fn judge_open_entrance(&self, held: &Held, grant: &GrantRow, f: &Facts) -> Result<OpenPermit, Failure> {
        let scope = held.chain.scope();
        let facts = EntranceFacts {
            now: f.now,
            grant: GrantId::parse(&grant.use_state.grant_id).map_err(|_| broken("a grant's id is none"))?,
            grant_window: window_of(grant)?,
            delegation_window: *scope.window,
            blocked: grant.use_state.blocked_ms.is_some(),
            area: scope.area,
            house: f.car.located.as_ref().map(|l| l.position),
            phone: Some(f.phone.position),
            reachable: f.car.reachable(),
            closed: f.car.closed(),
            class: class_of(held, &f.vehicle.value)?,
            granted: scope.opens,
            supported: &convert::classes(&f.vehicle.value.can_open),
            front: self.is_front_door(&f.vehicle.value.maker).then(|| FrontFacts {
                locked: Fact::observed(f.car.locked()),
                camera: f.camera,
                // Without a key nobody could look at it.
                recorded: Fact::observed(f.first.as_ref().and(held.recorded_to.as_ref()).map(|_| true)),
            }),
            attempts: grant.attempts,
        };
        conditions::open_entrance(&facts).map_err(denied)
    }

    fn judge_open_car(&self, held: &Held, grant: &GrantRow, f: &Facts) -> Result<OpenPermit, Failure> {
        let facts = OpenFacts {
            locate: self.locate_facts(held, grant, f)?,
            purpose: held.chain.scope().purpose,
            located: located_by(grant, held).is_some(),
            same_parking: if conditions::needs_locate(held.chain.scope().purpose, Kind::Car) {
                Fact::observed(located_by(grant, held).map(|at| f.parking.as_deref() == Some(at)))
            } else {
                Fact::Yes
            },
            closed: f.car.closed(),
            not_in_use: f.car.not_in_use(),
            nobody_inside: f.car.nobody_inside(),
            class: class_of(held, &f.vehicle.value)?,
            granted: held.chain.scope().opens,
            supported: &convert::classes(&f.vehicle.value.can_open),
            attempts: grant.attempts,
            owner_tap: false,
            plate_read: false,
        };
        conditions::open(&facts, &car::consents(&f.vehicle.value, &f.car)).map_err(denied)
    }
}

/// What is opened: the least that the grant names and the car can.
pub(super) fn class_of(held: &Held, vehicle: &VehicleRow) -> Result<AccessClass, Failure> {
    let can = convert::classes(&vehicle.can_open);
    let class = held.chain.scope().opens.iter().copied().filter(|c| can.contains(c)).min();
    class.ok_or_else(|| denied(Denial::ClassNotSupported))
}
