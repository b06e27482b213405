//! A car that was opened and is not known to be locked, when the phone that opened it cannot see to it any more: the courier who
//! was sent after it, or the same one with a page loaded anew, finds it again, shuts it and locks it. The same at a house, which
//! nobody has to be led to. Nothing opens here.

use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_opening::conditions::{self, Denial, RecoverFacts};
use parcelshelf_protocol::encoding::b64;
use parcelshelf_protocol::records::Event;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::chain::Held;
use crate::db::{Change, Stored};
use crate::failure::{Failure, again};
use crate::grants::{wallet_of, window_of};
use crate::rows::AttemptRow;
use crate::stops::{Facts, Needed, denied, houses_are_not_located};

impl AttemptRow {
    /// Somebody may have to shut or lock it: a command has left, and no lock is proved.
    fn may_be_open(&self) -> bool {
        let state = &self.state;
        let proved = state.phase == "locked" && state.phase_detail.as_deref() != Some("attested");
        !state.ended && !proved && !matches!(state.phase.as_str(), "intended" | "did_not_happen")
    }
}

impl Held {
    /// Whether this device was sent after the one whose attempt this is, which is not over.
    pub(crate) fn takes_over(&self, attempt: &AttemptRow) -> bool {
        let device = self.chain.device().to_string();
        let newest = self.grant.value.papers.delegations.last();
        !attempt.state.ended && newest.is_some_and(|d| d.device == device)
    }
}

impl Keyholder {
    /// The attempt of this delivery whose car may be open.
    pub(crate) async fn left_open(&self, delivery: DeliveryId) -> Result<Option<Stored<AttemptRow>>, Failure> {
        Ok(self.latest_attempt(delivery).await?.filter(|row| row.value.may_be_open()))
    }

    /// *Recovery locate*. The answer names the attempt, which tells how it stands and is shut and locked by this device.
    pub(crate) async fn recover(&self, held: &Held, phone: &str) -> Result<Value, Failure> {
        let facts = self.or_kept_away(held, self.facts(held, phone, Needed::Place).await)?;
        let attempt = self.or_kept_away(held, again!(self.keep_recovered(held, &facts)))?;
        self.log.ring();
        let mut answer = self.place_to_device(held, facts)?;
        answer["attempt"] = json!(b64(&attempt));
        Ok(answer)
    }

    /// At a house the courier has the address, and sees the door. What is missing is the attempt's name: how it stands, and what
    /// the door says on its way. No place leaves, and nobody in that house is asked: its server may be what is away.
    pub(crate) async fn take_over_at_home(&self, held: &Held, phone: &str) -> Result<Value, Failure> {
        self.fresh(held)?;
        self.phone(held, phone)?;
        let open = self.left_open(held.delivery).await?.ok_or_else(houses_are_not_located)?;
        let owner = self.wallet(wallet_of(&held.grant.value)?).await?;
        self.still_may(&owner.value, &held.grant.value, held)?;
        self.carrier_stands(held).await?;
        Ok(json!({ "attempt": b64(&open.id) }))
    }

    /// A look at a place like any other: judged, counted and written before it leaves. It is no step towards an opening: the device
    /// is not written down as one that has located, so that neither plate nor lid follow.
    async fn keep_recovered(&self, held: &Held, f: &Facts) -> Result<Vec<u8>, Failure> {
        let mut grant = self.grant(held.delivery).await?;
        let owner = self.wallet(wallet_of(&grant.value)?).await?;
        self.still_may(&owner.value, &grant.value, held)?;
        // Anew: while the maker was asked it may have been proved locked, and then nobody is led there any more.
        let shut = || Problem::new(409, "nothing_opened", "nothing is open here any more");
        let open = self.left_open(held.delivery).await?.ok_or_else(shut)?;
        let scope = held.chain.scope();
        let grant_window = window_of(&grant.value)?;
        conditions::recover(&RecoverFacts {
            now: f.now,
            grant_window,
            delegation_window: *scope.window,
            blocked: grant.value.use_state.blocked_ms.is_some(),
            opened_at: Timestamp::from_unix_millis(open.value.begun_ms),
            area: scope.area,
            car: f.car.located.as_ref().map(|l| l.position),
            parking_shown_before: f.parking.as_ref().is_some_and(|p| grant.value.parkings.contains(p)),
            phone: Some(f.phone.position),
        })
        .map_err(denied)?;
        let mut change = Change::new(&self.db, &self.host);
        let car = self.car_of(&f.vehicle).await?;
        self.car_stands(&f.vehicle, &car.value).and_then(|()| self.car_answers(&car.value)).map_err(denied)?;
        change.check(&car);
        change.check(&open);
        change.batch.checks.extend(self.carrier_stands(held).await?);
        change.check(&owner);
        let event = Event::PlaceDisclosed { delivery: held.delivery, proof: held.chain.proof().hash() };
        self.record_proof(&mut change, &mut grant, held, event).await?;
        change.update(&grant, self.grant_index(&grant)?);
        change.commit().await?;
        Ok(open.id)
    }

    /// Whether the word of a device that did not open counts for what another has opened: only while its keys stand and the
    /// owner has not blocked its courier. Whoever opened something may always say that it is shut.
    pub(crate) async fn is_believed(&self, held: &Held, attempt: &AttemptRow) -> Result<(), Failure> {
        if attempt.device == held.chain.device().to_string() {
            return Ok(());
        }
        if let Some(authority) = &held.authority {
            self.not_revoked(authority).await?;
        }
        let owner = self.wallet(wallet_of(&held.grant.value)?).await?;
        let courier = held.chain.device().to_string();
        if owner.value.blocked_couriers.contains(&courier) { Err(denied(Denial::Blocked)) } else { Ok(()) }
    }
}
