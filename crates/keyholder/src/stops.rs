//! What a courier's device asks for at the kerb. Nothing here locates or opens without a chain that held, and every
//! condition is judged on facts of this very request.

use std::sync::Arc;

use parcelshelf_core::actuation::Place as Kind;
use parcelshelf_core::area::Area;
use parcelshelf_core::id::{AttemptId, DeliveryId, GrantId};
use parcelshelf_core::reason::Action;
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_opening::attempt::{Attempt, By, CloseReport, Event as AttemptEvent};
use parcelshelf_opening::conditions::{self, Denial, DescribeFacts, Fact, LocateFacts};
use parcelshelf_opening::grant::Refused as GrantRefused;
use parcelshelf_opening::hindrance::Hindrance;
use parcelshelf_opening::liveness::Verdict;
use parcelshelf_opening::readiness::{self, Question, ReadinessFacts};
use parcelshelf_protocol::Refused;
use parcelshelf_protocol::content::{Phone, Picture, Place};
use parcelshelf_protocol::encoding::{Hash, Thumbprint, b64};
use parcelshelf_protocol::envelope::Envelope;
use parcelshelf_protocol::jws::Moment;
use parcelshelf_protocol::nonce::{self, Bound, FreshNonce};
use parcelshelf_protocol::records::{Event, Word};
use parcelshelf_protocol::seal::{Context, Purpose, SealPublicKey};
use parcelshelf_store::Version;
use serde_json::{Value, json};

mod camera;
mod judging;
mod opened;

use judging::class_of;

use crate::Keyholder;
use crate::attempts::{self, Begun, FreshProof, Ids, attempt_index, no_attempt};
use crate::car::{self, CarNow};
use crate::carriers::Caller;
use crate::chain::{Held, Shown, superseded};
use crate::convert;
use crate::db::{Change, Stored, delivery_key, wallet_key};
use crate::failure::{Failure, again, broken};
use crate::grants::{no_grant, wallet_of, window_of};
use crate::housekeeping;
use crate::linking::Reached;
use crate::rows::{AttemptRow, GrantRow, LocatedPart, NonceRow, VehicleRow};
use crate::sharing::Line;

/// Proofs recorded in one delivery: what a case can show, with room for a few retries in the rain.
const PROOFS_MAX: u8 = 14;

/// A denial as the stop page may know it; the owner's timeline has the condition.
pub(crate) fn denied(denial: Denial) -> Failure {
    let problem = Problem::new(409, "conditions_not_met", "this cannot be done now");
    let problem = problem.because(denial.code());
    Failure::Problem(if denial.helps_courier() {
        problem.with("condition", json!(denial.code())).detail("the condition can change; try again when it has")
    } else {
        problem.detail("it cannot be changed from here; choose the agreed fallback")
    })
}

/// Only a car is looked for.
pub(crate) fn houses_are_not_located() -> Failure {
    Problem::new(403, "houses_are_not_located", "a house is found by its address").into()
}

/// What the maker is asked for: every call is counted there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Needed {
    /// Where the car stands.
    Place,
    /// That, its locks and lids, and whether it can be reached.
    Everything,
}

/// Everything that the conditions of one request are judged on.
pub(crate) struct Facts {
    pub now: Timestamp,
    pub phone: Phone,
    pub car: CarNow,
    reached: Reached,
    pub vehicle: Stored<VehicleRow>,
    pub parking: Option<String>,
    /// What a house's camera proves; unknown until it was asked.
    pub camera: Verdict,
    /// The first picture of a recording.
    pub first: Option<Picture>,
}

impl Keyholder {
    /// A nonce for one action of one device under one link.
    pub(crate) fn nonce_for(&self, device: Thumbprint, ath: Hash, act: Action) -> String {
        nonce::issue(&self.keys.nonce, &Bound { device, ath, act }, self.host.now(), &*self.host.entropy)
    }

    pub(crate) fn fresh(&self, held: &Held) -> Result<FreshNonce, Failure> {
        Ok(held.chain.fresh(&self.keys.nonce, self.host.now())?)
    }

    /// Asks the maker, and for a place only while the grant is live: what is blocked or used up is refused before.
    pub(crate) async fn facts(&self, held: &Held, sealed_phone: &str, what: Needed) -> Result<Facts, Failure> {
        self.believes_its_store()?;
        let phone = self.phone(held, sealed_phone)?;
        let owner = self.wallet(wallet_of(&held.grant.value)?).await?;
        self.not_blocked(&owner.value, &held.grant.value, Some(held.chain.device()))?;
        if held.grant.value.proofs >= PROOFS_MAX {
            return Err(too_many_proofs().into());
        }
        self.carrier_weighed(held).await?;
        let vehicle = self.granted_vehicle(&held.grant).await?;
        let row = self.car_of(&vehicle).await?.value;
        self.car_stands(&vehicle, &row).map_err(denied)?;
        let mut reached = self.reach(wallet_of(&held.grant.value)?, &vehicle).await?;
        let car = match what {
            _ if row.stopped(self.host.now()).is_some() => Self::silent(&reached),
            Needed::Place => self.look_where(&reached).await?,
            Needed::Everything => self.look_awake(&mut reached).await?,
        };
        let parking = car.parking(self, held.delivery.as_bytes());
        let camera = Verdict::Unknown;
        Ok(Facts { now: self.host.now(), phone, car, reached, vehicle, parking, camera, first: None })
    }

    fn locate_facts<'a>(&self, held: &'a Held, row: &GrantRow, f: &Facts) -> Result<LocateFacts<'a>, Failure> {
        let scope = held.chain.scope();
        let grant_id = GrantId::parse(&row.use_state.grant_id).map_err(|_| broken("a grant's id is none"))?;
        let shown_before = f.parking.as_ref().is_some_and(|p| row.parkings.contains(p));
        let grant_window = window_of(row)?;
        Ok(LocateFacts {
            now: f.now,
            grant: grant_id,
            grant_window,
            delegation_window: *scope.window,
            blocked: row.use_state.blocked_ms.is_some(),
            area: scope.area,
            parked: f.car.parked(),
            car: f.car.located.as_ref().map(|l| l.position),
            inside_rule: Fact::Yes,
            phone: Some(f.phone.position),
            parkings_shown: u8::try_from(row.parkings.len()).unwrap_or(u8::MAX),
            parking_shown_before: shown_before,
        })
    }

    /// Discloses the place to the device: sealed, recorded before it leaves. Of a house it tells what was left open, if anything
    /// was, and no place.
    pub(crate) async fn locate(&self, delivery: DeliveryId, shown: &Shown, phone: &str) -> Result<Value, Failure> {
        let answer = self.locate_now(delivery, shown, phone).await;
        self.owner_told_why(delivery, answer).await
    }

    async fn locate_now(&self, delivery: DeliveryId, shown: &Shown, phone: &str) -> Result<Value, Failure> {
        let held = self.held(delivery, Action::Locate, shown, Moment::Used(self.host.now())).await?;
        let kind = self.kind_of(&held).await?;
        if kind == Kind::Home {
            return self.take_over_at_home(&held, phone).await;
        }
        if !conditions::may_locate(held.chain.scope().purpose, kind) {
            return Err(Problem::new(403, "guests_do_not_locate", "guests are not shown where the car is").into());
        }
        self.fresh(&held)?;
        if self.left_open(delivery).await?.is_some() {
            return self.recover(&held, phone).await;
        }
        let facts = self.or_kept_away(&held, self.facts(&held, phone, Needed::Everything).await)?;
        self.or_kept_away(&held, again!(self.keep_located(&held, &facts)))?;
        self.log.ring();
        self.tell_carrier(&held.grant.value, delivery);
        self.place_to_device(&held, facts)
    }

    /// Where the car stands, for the device that asked.
    pub(crate) fn place_to_device(&self, held: &Held, facts: Facts) -> Result<Value, Failure> {
        let located = facts.car.located.ok_or_else(|| broken("located without a place"))?;
        let place = Place {
            position: located.position,
            taken_at: located.taken_at,
            read_at: located.read_at,
            colour: facts.reached.about.colour.clone(),
            model: facts.reached.about.model.clone(),
            class: class_of(held, &facts.vehicle.value)?,
            seal: SealPublicKey::parse(&held.grant.value.papers.seal_key)
                .ok_or_else(|| broken("a sealing key is none"))?,
        };
        self.to_device(held, Purpose::Place, &place.to_bytes())
    }

    async fn keep_located(&self, held: &Held, f: &Facts) -> Result<(), Failure> {
        let mut grant = self.grant(held.delivery).await?;
        let owner = self.wallet(wallet_of(&grant.value)?).await?;
        self.still_may(&owner.value, &grant.value, held)?;
        let facts = self.locate_facts(held, &grant.value, f)?;
        let permit = conditions::locate(&facts, &car::consents(&f.vehicle.value, &f.car)).map_err(denied)?;
        let parking = f.parking.clone().ok_or_else(|| denied(Denial::CarPositionUnusable))?;
        if permit.counts() {
            grant.value.parkings.push(parking.clone());
        }
        let part =
            LocatedPart { device: held.chain.device().to_string(), link: held.chain.last_link().to_string(), parking };
        grant.value.located.retain(|l| l.device != part.device);
        grant.value.located.push(part);
        if matches!(grant.value.status.state.as_str(), "granted" | "delegated") {
            grant.value.status.say("located", None);
        }
        let mut change = Change::new(&self.db, &self.host);
        let mut car = self.car_of(&f.vehicle).await?;
        let before = car.value.clone();
        self.car_stands(&f.vehicle, &car.value).and_then(|()| self.car_answers(&car.value)).map_err(denied)?;
        self.car_located(&mut car.value, held.delivery, change.now()).map_err(denied)?;
        if permit.counts() {
            self.tell_others(&mut change, &car.value, &f.vehicle, Line::PlaceShown).await?;
        }
        change.update_from(&before, &car, car.value.index());
        change.batch.checks.extend(self.carrier_stands(held).await?);
        let legs = self.leg_locates(&mut change, held, &b64(&car.id)).await?;
        change.check(&owner);
        let event = Event::PlaceDisclosed { delivery: held.delivery, proof: held.chain.proof().hash() };
        self.record_proof(&mut change, &mut grant, held, event).await?;
        change.update(&grant, self.grant_index(&grant)?);
        change.commit().await?;
        self.legs_written(held, legs).await;
        Ok(())
    }

    /// Records an event that names the proof of this request.
    pub(crate) async fn record_proof(
        &self,
        change: &mut Change<'_>,
        grant: &mut Stored<GrantRow>,
        held: &Held,
        event: Event,
    ) -> Result<(), Failure> {
        if grant.value.proofs >= PROOFS_MAX {
            return Err(too_many_proofs().into());
        }
        grant.value.proofs += 1;
        let chain = self.chain_of(grant)?;
        change.record_of(event, chain, held.delivery, Some(held.chain.proof().jws())).await?;
        Ok(())
    }

    /// [`Self::not_blocked`], and the stop was not given to another courier while the maker was asked.
    pub(crate) fn still_may(
        &self,
        owner: &crate::rows::WalletRow,
        grant: &GrantRow,
        held: &Held,
    ) -> Result<(), Failure> {
        if !held.is_newest(grant) {
            return Err(superseded().into());
        }
        self.not_blocked(owner, grant, Some(held.chain.device()))
    }

    /// Neither is anything blocked that concerns this grant and device, nor does a pause run. Every transaction that reserves
    /// or discloses asks this of the rows that it checks, so that who stops and who opens cannot both win.
    pub(crate) fn not_blocked(
        &self,
        owner: &crate::rows::WalletRow,
        grant: &GrantRow,
        device: Option<Thumbprint>,
    ) -> Result<(), Failure> {
        // What is being erased is over, whatever else its row says.
        let blocked = grant.erasing
            || owner.blocked_all
            || owner.blocked_carriers.contains(&grant.cnf)
            || grant.use_state.blocked_ms.is_some()
            || device.is_some_and(|d| owner.blocked_couriers.contains(&d.to_string()))
            || owner.paused_until(self.host.now()).is_some();
        if blocked { Err(denied(Denial::Blocked)) } else { Ok(()) }
    }

    fn to_device(&self, held: &Held, purpose: Purpose, content: &[u8]) -> Result<Value, Failure> {
        let (recipient, about) = (held.chain.device().to_string(), held.delivery.to_string());
        let now = self.host.now();
        let seq = now.unix_millis().unsigned_abs();
        let context = Context { sender: &self.config.aud, recipient: &recipient, delivery: &about, seq };
        let key = &held.device_seal;
        let envelope = Envelope::seal(&*self.host.entropy, key, purpose, &context, content, now, &self.keys.message)?;
        Ok(json!({ "envelope": envelope }))
    }

    /// Plate and words by which the car is found, for a device near a car that it has located.
    pub(crate) async fn describe(&self, delivery: DeliveryId, shown: &Shown, phone: &str) -> Result<Value, Failure> {
        let answer = self.describe_now(delivery, shown, phone).await;
        self.owner_told_why(delivery, answer).await
    }

    async fn describe_now(&self, delivery: DeliveryId, shown: &Shown, phone: &str) -> Result<Value, Failure> {
        let held = self.held(delivery, Action::Describe, shown, Moment::Used(self.host.now())).await?;
        if self.kind_of(&held).await? == Kind::Home {
            return Err(houses_are_not_located());
        }
        self.fresh(&held)?;
        let facts = self.or_kept_away(&held, self.facts(&held, phone, Needed::Place).await)?;
        let wallet = wallet_of(&held.grant.value)?;
        let sealed = facts
            .vehicle
            .value
            .description_sealed
            .clone()
            .ok_or_else(|| Problem::new(409, "not_described", "the owner has not described this car"))?;
        let about = format!("{}/description", b64(&facts.vehicle.id));
        let content = self.db.vault.open(&wallet_key(wallet), &about, &sealed).await?;
        let content = content.ok_or_else(|| broken("a description cannot be read"))?;
        self.or_kept_away(&held, again!(self.keep_described(&held, &facts)))?;
        self.log.ring();
        self.to_device(&held, Purpose::Description, &content)
    }

    async fn keep_described(&self, held: &Held, f: &Facts) -> Result<(), Failure> {
        let mut grant = self.grant(held.delivery).await?;
        let owner = self.wallet(wallet_of(&grant.value)?).await?;
        self.still_may(&owner.value, &grant.value, held)?;
        let scope = held.chain.scope();
        conditions::describe(&DescribeFacts {
            now: f.now,
            grant_window: window_of(&grant.value)?,
            delegation_window: *scope.window,
            blocked: grant.value.use_state.blocked_ms.is_some(),
            located: located_by(&grant.value, held).is_some(),
            car: f.car.located.as_ref().map(|l| l.position),
            phone: Some(f.phone.position),
        })
        .map_err(denied)?;
        let mut change = Change::new(&self.db, &self.host);
        let car = self.car_of(&f.vehicle).await?;
        self.car_stands(&f.vehicle, &car.value).and_then(|()| self.car_answers(&car.value)).map_err(denied)?;
        change.check(&car);
        change.batch.checks.extend(self.carrier_stands(held).await?);
        let legs = self.leg_arrives(&mut change, held).await?;
        change.check(&owner);
        let event = Event::Described { delivery: held.delivery, proof: held.chain.proof().hash() };
        self.record_proof(&mut change, &mut grant, held, event).await?;
        change.update(&grant, self.grant_index(&grant)?);
        change.commit().await?;
        self.legs_written(held, legs).await;
        Ok(())
    }

    /// Lights, where the maker has them.
    pub(crate) async fn signal(&self, delivery: DeliveryId, shown: &Shown, phone: &str) -> Result<Value, Failure> {
        let answer = self.signal_now(delivery, shown, phone).await;
        self.owner_told_why(delivery, answer).await
    }

    async fn signal_now(&self, delivery: DeliveryId, shown: &Shown, phone: &str) -> Result<Value, Failure> {
        let held = self.held(delivery, Action::Signal, shown, Moment::Used(self.host.now())).await?;
        self.fresh(&held)?;
        let facts = self.facts(&held, phone, Needed::Everything).await?;
        if !facts.vehicle.value.can_signal || !facts.reached.line.facts().can_signal {
            return Err(Problem::new(409, "not_supported", "this car cannot show itself").into());
        }
        again!(self.keep_signalled(&held, &facts))?;
        self.log.ring();
        let outcome = facts.reached.line.signal(&facts.reached.session).await?;
        Ok(json!({"outcome": outcome_word(outcome)}))
    }

    async fn keep_signalled(&self, held: &Held, f: &Facts) -> Result<(), Failure> {
        let mut grant = self.grant(held.delivery).await?;
        let owner = self.wallet(wallet_of(&grant.value)?).await?;
        self.still_may(&owner.value, &grant.value, held)?;
        let facts = self.locate_facts(held, &grant.value, f)?;
        let _permit = conditions::locate(&facts, &car::consents(&f.vehicle.value, &f.car)).map_err(denied)?;
        if located_by(&grant.value, held).is_none() {
            return Err(denied(Denial::NotLocated));
        }
        self.leg_holds(held).await?;
        let mut change = Change::new(&self.db, &self.host);
        let car = self.car_of(&f.vehicle).await?;
        self.car_stands(&f.vehicle, &car.value).and_then(|()| self.car_answers(&car.value)).map_err(denied)?;
        change.check(&car);
        change.check(&owner);
        let event = Event::Signalled { delivery: held.delivery, proof: held.chain.proof().hash() };
        self.record_proof(&mut change, &mut grant, held, event).await?;
        change.update(&grant, self.grant_index(&grant)?);
        change.commit().await?;
        Ok(())
    }

    // ---- open ------------------------------------------------------------------------------------------------------

    /// Opens once. The same proof again gets the same attempt; another proof of the same device joins the attempt that
    /// lives, or opens it once more within three minutes of the close.
    pub(crate) async fn open(
        self: &Arc<Self>,
        delivery: DeliveryId,
        shown: &Shown,
        labels: &[Hash],
        phone: &str,
    ) -> Result<Value, Failure> {
        let held = self.held(delivery, Action::Open, shown, Moment::Used(self.host.now())).await?;
        let proof = held.chain.proof().hash();
        // The same bytes come again while the first are still at a car that sleeps. Who is second waits for the first: it would
        // read the car once more, and be refused for a nonce that was fresh when it was first shown.
        let turn = self.openings.of(proof.as_bytes());
        let _mine = turn.lock().await;
        if let Some(known) = self.by_proof(proof).await? {
            return Ok(self.opened(&held, &known));
        }
        match self.open_with(&held, shown, labels, phone).await {
            Ok(answer) => Ok(answer),
            // A store that failed may have kept it all the same.
            Err(failure) => match self.by_proof(proof).await? {
                Some(known) => Ok(self.opened(&held, &known)),
                None => self.owner_told_why(delivery, Err(failure)).await,
            },
        }
    }

    /// What refused a courier is written down for the owner, each reason once. The request fails with its own reason,
    /// whatever becomes of that.
    async fn owner_told_why<T>(&self, delivery: DeliveryId, answer: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(Failure::Problem(problem)) = &answer
            && let Some(cause) = problem.cause()
            && let Err(problem) = again!(self.keep_denied(delivery, cause))
        {
            tracing::warn!(code = problem.code(), "why something was refused could not be written down");
        }
        answer
    }

    pub(crate) async fn keep_denied(&self, delivery: DeliveryId, cause: &str) -> Result<(), Failure> {
        let mut grant = self.grant(delivery).await?;
        if grant.value.denied.iter().any(|(known, _)| known == cause) {
            return Ok(());
        }
        let mut change = Change::new(&self.db, &self.host);
        grant.value.denied.push((cause.to_owned(), change.now().unix_millis()));
        change.update(&grant, self.grant_index(&grant)?);
        change.journal("grant", &grant.id, "denied", &json!({}));
        change.commit().await?;
        Ok(())
    }

    async fn open_with(
        self: &Arc<Self>,
        held: &Held,
        shown: &Shown,
        labels: &[Hash],
        phone: &str,
    ) -> Result<Value, Failure> {
        let proof = FreshProof { jws: shown.proof.clone(), nonce: self.fresh(held)? };
        if let Some(delegation) = held.chain.delegation() {
            delegation.claims().check_scanned(labels)?;
        }
        let _mine = self.turn_at_front_door(held).await?;
        let living = self.living(held).await?;
        let mut facts = self.or_kept_away(held, self.facts(held, phone, Needed::Everything).await)?;
        // What is under way is joined, and asks for nothing more.
        if living.as_ref().is_none_or(|living| is_shut_again(&living.value)) {
            self.prove_camera(held, &mut facts, living.as_ref()).await?;
        }
        if let Some(living) = living {
            return self.open_again(held, &facts, &living, proof).await;
        }
        let begun = self.or_kept_away(held, again!(self.intend(held, &facts, &proof)))?;
        let answer = self.opened(held, &begun.row);
        self.log.ring();
        self.tell_carrier(&held.grant.value, held.delivery);
        attempts::begin(self, begun);
        self.step("before:answer_open");
        Ok(answer)
    }

    async fn by_proof(&self, proof: Hash) -> Result<Option<Stored<AttemptRow>>, Failure> {
        Ok(self.db.list::<AttemptRow>("proof", proof.as_bytes()).await?.pop())
    }

    /// The attempt that holds the grant's use, if it is this device's.
    async fn living(&self, held: &Held) -> Result<Option<Stored<AttemptRow>>, Failure> {
        // Read anew: whoever had their turn before has written here.
        let state = self.grant_state(&self.grant(held.delivery).await?)?;
        let Some((_, used)) = state.uses().next() else { return Ok(None) };
        let row = self.db.get::<AttemptRow>(used.attempt().as_bytes()).await?;
        let row = row.ok_or_else(|| broken("the attempt of a use is missing"))?;
        if row.value.device != held.chain.device().to_string() {
            return Err(Problem::new(409, "attempt_of_another", "another device has opened here").into());
        }
        Ok(Some(row))
    }

    /// Reserves the use, writes attempt, leaf and intent in one transaction. Nothing has left when this returns.
    async fn intend(self: &Arc<Self>, held: &Held, f: &Facts, proof: &FreshProof) -> Result<Begun, Failure> {
        let mut grant = self.grant(held.delivery).await?;
        let wallet = wallet_of(&grant.value)?;
        let owner = self.wallet(wallet).await?;
        self.still_may(&owner.value, &grant.value, held)?;
        if self.db.get::<NonceRow>(&proof.nonce.id).await?.is_some() {
            return Err(Refused::NonceReplayed.into());
        }
        let permit = self.judge_open(held, &grant.value, f)?;
        let state = self.grant_state(&grant)?;
        let class = permit.class();
        let attempt_id = AttemptId::from_bytes(self.host.random());
        let mut change = Change::new(&self.db, &self.host);
        let now = change.now();
        let mut car = self.car_of(&f.vehicle).await?;
        let before = car.value.clone();
        self.car_stands(&f.vehicle, &car.value).and_then(|()| self.car_answers(&car.value)).map_err(denied)?;
        if conditions::needs_locate(held.chain.scope().purpose, class.belongs_to()) {
            self.car_located(&mut car.value, held.delivery, now).map_err(denied)?;
        }
        change.update_from(&before, &car, car.value.index());
        self.tell_others(&mut change, &car.value, &f.vehicle, Line::Opening).await?;
        change.batch.checks.extend(self.carrier_stands(held).await?);
        let legs = self.leg_arrives(&mut change, held).await?;
        let (state, licence) = state.reserve(permit, attempt_id, now, state.epoch()).map_err(not_reserved)?;
        let epoch = state.epoch();
        let (attempt, effects) = Attempt::intend(licence, convert::rules(f.reached.line.facts()), now);

        let of = self.chain_of(&grant)?;
        let ids = Ids { attempt: attempt_id, delivery: held.delivery, wallet, access_point: of.access_point };
        let command = parcelshelf_access::Command::Open(class);
        let prepared = f.reached.line.prepare(command, self.host.random(), now);
        let recorder = match (&f.first, &held.recorded_to) {
            (Some(first), Some(to)) => Some(self.begin_recording(&mut change, ids, to.clone(), first)?),
            _ => None,
        };
        let row = AttemptRow {
            v: 1,
            delivery: held.delivery.to_string(),
            wallet: wallet.to_string(),
            access_point: of.access_point.to_string(),
            vehicle: b64(&f.vehicle.id),
            maker: f.vehicle.value.maker.clone(),
            device: held.chain.device().to_string(),
            class: class.code().to_owned(),
            proof: proof.hash().to_string(),
            begun_ms: now.unix_millis(),
            prepared_sealed: self.db.vault.seal(&delivery_key(held.delivery), "prepared", prepared.as_bytes()).await?,
            lock_prepared_sealed: None,
            handle_sealed: None,
            lock_handle_sealed: None,
            state: convert::attempt_part(attempt.parts()),
            decided: 0,
            locks: 0,
            seq: 1,
            ready_until_ms: None,
        };
        grant.value.use_state = convert::use_part(state);
        grant.value.attempts += 1;
        grant.value.status.say("opening", None);
        if matches!(f.camera, Verdict::Live { .. }) {
            change.journal("grant", &grant.id, "camera_proved", &json!({}));
        }
        let event =
            Event::OpenIntended { delivery: held.delivery, attempt: attempt_id, command: 1, proof: proof.hash() };
        self.record_proof(&mut change, &mut grant, held, event).await?;
        change.check(&owner);
        // Not one that its owner takes back in this moment.
        change.check(&f.vehicle);
        let nonce = NonceRow { v: 1, expires_ms: proof.nonce.expires_at.unix_millis() };
        change.put(&proof.nonce.id, Version::Absent, &nonce, housekeeping::nonce_index(&proof.nonce));
        change.put(attempt_id.as_bytes(), Version::Absent, &row, attempt_index(&ids, &row));
        change.update(&grant, self.grant_index(&grant)?);
        change.commit().await?;
        self.legs_written(held, legs).await;

        let row = Stored { value: row, id: attempt_id.as_bytes().to_vec(), version: Version::Is(1) };
        let line = f.reached.line.clone();
        Ok(Begun { attempt, effects, row, ids, line, prepared, epoch, recorder })
    }

    /// A second proof of the device that opened: once more, or nothing but a record.
    async fn open_again(
        self: &Arc<Self>,
        held: &Held,
        f: &Facts,
        living: &Stored<AttemptRow>,
        proof: FreshProof,
    ) -> Result<Value, Failure> {
        let id = AttemptId::parse(&b64(&living.id)).map_err(|_| broken("an attempt's id is none"))?;
        if self.db.get::<NonceRow>(&proof.nonce.id).await?.is_some() {
            return Err(Refused::NonceReplayed.into());
        }
        if is_shut_again(&living.value) {
            let grant = self.grant(held.delivery).await?;
            let owner = self.wallet(wallet_of(&grant.value)?).await?;
            self.still_may(&owner.value, &grant.value, held)?;
            let permit = self.judge_open(held, &grant.value, f)?;
            if attempts::again(self, id, permit, proof.clone(), f.first.clone()).await? {
                return Ok(self.opened_again(held, living));
            }
        }
        if living.value.state.ended && living.value.state.phase == "locked" {
            return Err(Problem::new(409, "grant_spent", "this delivery has been opened, and is locked again").into());
        }
        again!(self.keep_joined(held, id))?;
        self.log.ring();
        let now = self.db.get::<AttemptRow>(id.as_bytes()).await?.ok_or_else(no_attempt)?;
        Ok(self.opened(held, &now))
    }

    async fn keep_joined(&self, held: &Held, attempt: AttemptId) -> Result<(), Failure> {
        let mut grant = self.grant(held.delivery).await?;
        let mut change = Change::new(&self.db, &self.host);
        let event = Event::Joined { delivery: held.delivery, attempt, proof: held.chain.proof().hash() };
        self.record_proof(&mut change, &mut grant, held, event).await?;
        change.update(&grant, self.grant_index(&grant)?);
        change.commit().await?;
        Ok(())
    }

    // ---- close and lock --------------------------------------------------------------------------------------------

    /// The courier says: shut, handle checked. With `done` no reopening will be asked for.
    pub(crate) async fn close(
        self: &Arc<Self>,
        delivery: DeliveryId,
        shown: &Shown,
        report: CloseReport,
        done: bool,
        phone: &str,
    ) -> Result<Value, Failure> {
        let held = self.held(delivery, Action::Close, shown, Moment::Any).await?;
        self.fresh(&held)?;
        self.phone(&held, phone)?;
        let (id, row) = self.own_attempt(&held).await?;
        self.is_believed(&held, &row.value).await?;
        let mut said = vec![AttemptEvent::CloseReported(report)];
        if done {
            said.push(AttemptEvent::StopEnded);
        }
        attempts::tell_all(self, id, said).await?;
        self.attempt_json(id).await
    }

    /// Locks. Never refused to the device that opened, nor to the one that was sent after it, whatever the time and whatever
    /// was revoked since: a lock harms nobody.
    pub(crate) async fn lock(
        self: &Arc<Self>,
        delivery: DeliveryId,
        shown: &Shown,
        phone: &str,
    ) -> Result<Value, Failure> {
        let held = self.held(delivery, Action::Lock, shown, Moment::Any).await?;
        self.fresh(&held)?;
        self.phone(&held, phone)?;
        let (id, _) = self.own_attempt(&held).await?;
        attempts::tell(self, id, AttemptEvent::LockRequested(By::Courier)).await?;
        self.attempt_json(id).await
    }

    async fn own_attempt(&self, held: &Held) -> Result<(AttemptId, Stored<AttemptRow>), Failure> {
        let row = self.latest_attempt(held.delivery).await?;
        let device = held.chain.device().to_string();
        let own = row.filter(|r| r.value.device == device || held.takes_over(&r.value));
        let row = own.ok_or_else(|| Problem::new(409, "nothing_opened", "this device has opened nothing here"))?;
        Ok((AttemptId::parse(&b64(&row.id)).map_err(|_| broken("an attempt's id is none"))?, row))
    }

    /// "Lock now" of the owner.
    pub(crate) async fn lock_for_owner(
        self: &Arc<Self>,
        wallet: parcelshelf_core::id::WalletId,
        delivery: DeliveryId,
    ) -> Result<Value, Failure> {
        let id = self.attempt_of_owner(wallet, delivery).await?;
        attempts::tell(self, id, AttemptEvent::LockRequested(By::Owner)).await?;
        self.attempt_json(id).await
    }

    /// The owner has seen the alarm.
    pub(crate) async fn acknowledge(
        self: &Arc<Self>,
        wallet: parcelshelf_core::id::WalletId,
        delivery: DeliveryId,
    ) -> Result<Value, Failure> {
        let id = self.attempt_of_owner(wallet, delivery).await?;
        attempts::tell(self, id, AttemptEvent::Acknowledged { by: By::Owner }).await?;
        self.attempt_json(id).await
    }

    async fn attempt_of_owner(
        &self,
        wallet: parcelshelf_core::id::WalletId,
        delivery: DeliveryId,
    ) -> Result<AttemptId, Failure> {
        self.own_grant(wallet, delivery).await?;
        let row = self.latest_attempt(delivery).await?;
        let row = row.ok_or_else(|| Problem::new(409, "nothing_opened", "nothing was opened in this delivery"))?;
        AttemptId::parse(&b64(&row.id)).map_err(|_| broken("an attempt's id is none"))
    }

    // ---- readiness -------------------------------------------------------------------------------------------------

    /// The carrier's question whether the car is ready; one word, once per slot.
    pub(crate) async fn ready(
        self: &Arc<Self>,
        caller: &Caller,
        delivery: DeliveryId,
        question: Question,
    ) -> Result<&'static str, Failure> {
        let grant = self.grant(delivery).await?;
        if grant.value.cnf != caller.root.to_string() {
            return Err(no_grant().into());
        }
        if self.believes_its_store().is_err() {
            return Ok(readiness::Word::Later.code());
        }
        // The car's place may be asked for: as for locating itself.
        self.log_is_confirmed()?;
        let signed = parcelshelf_protocol::grant::Grant::verify(&grant.value.papers.grant)?;
        self.not_void(signed.claims().iat)?;
        let said = asked(&grant.value, question);
        match said {
            // A car that was woken for this question may be awake by now.
            Some(word) if question == Question::TenMinutesBefore && word == readiness::Word::Later => {}
            Some(word) => return Ok(word.code()),
            None => {}
        }
        // The maker is asked for what the question needs, and for a place only inside the window of a live grant.
        let state = self.grant_state(&grant)?;
        let now = self.host.now();
        let owner = self.wallet(wallet_of(&grant.value)?).await?;
        // A car that its owner has taken back will not be ready. Why is nobody's here.
        let vehicle = match self.granted_vehicle(&grant).await {
            Err(Failure::Problem(problem)) if problem.code() == "conditions_not_met" => {
                return Ok(readiness::Word::No.code());
            }
            found => found?,
        };
        let car = self.car_of(&vehicle).await?.value;
        let stands = self.car_stands(&vehicle, &car).is_ok();
        let stopped = self.carrier_is_stopped(caller.root).await?;
        let live =
            stands && !stopped && self.not_blocked(&owner.value, &grant.value, None).is_ok() && !state.is_used_up(now);
        let with_place = question != Question::EveningBefore && state.window().contains(now);
        let reached = match self.reach(wallet_of(&grant.value)?, &vehicle).await {
            Ok(reached) if live => Some(reached.asked_ahead()),
            Err(Failure::Conflict) => return Err(Failure::Conflict),
            Ok(_) | Err(Failure::Problem(_)) => None,
        };
        let known = match &reached {
            Some(reached) if self.car_answers(&car).is_err() => Some(Ok(Self::silent(reached))),
            Some(reached) => Some(self.look_for(question, reached, with_place).await),
            None => None,
        };
        // A cloud that does not answer has not taken a permission back.
        let silent = matches!(&known, Some(Err(Failure::Problem(problem))) if problem.status() == 503);
        let known = if silent { reached.as_ref().map(|r| Ok(Self::silent(r))) } else { known };
        let wakes = reached.as_ref().is_some_and(|r| r.line.facts().can_wake);
        let mut facts = self.readiness_facts(&grant, &signed.claims().area, live, known.as_ref(), wakes);
        facts.maker_answers = !silent;
        drop(known);
        let answer = readiness::judge(question, &facts);
        if said != Some(answer.word) {
            again!(self.keep_asked(delivery, question, &answer))?;
            self.log.ring();
            if answer.word == readiness::Word::No {
                self.waking.not_ready(delivery);
            }
        }
        if let (true, Some(reached)) = (answer.wake, reached) {
            self.wake(delivery, reached);
        }
        Ok(answer.word.code())
    }

    /// Wakes a car. Nobody waits for it: the question is asked again.
    fn wake(self: &Arc<Self>, delivery: DeliveryId, reached: Reached) {
        let k = Arc::clone(self);
        tokio::spawn(async move {
            match reached.line.wake(&reached.session).await {
                Ok(outcome) => tracing::info!(%delivery, outcome = outcome_word(outcome), "a sleeping car was woken"),
                Err(error) => tracing::warn!(%delivery, %error, "a sleeping car could not be woken"),
            }
            drop(k);
        });
    }

    fn readiness_facts(
        &self,
        grant: &Stored<GrantRow>,
        area: &Area,
        live: bool,
        known: Option<&Result<CarNow, Failure>>,
        wakes: bool,
    ) -> ReadinessFacts {
        use parcelshelf_access::Reachability as R;
        let car = known.and_then(|k| k.as_ref().ok());
        let in_area = car.and_then(|c| c.located.as_ref()).map(|l| area.contains(&l.position));
        let reach = car.map_or(R::Unknown, |c| c.reachability);
        let spoke = car.is_some_and(CarNow::place_is_fresh);
        ReadinessFacts {
            granted: live,
            permitted: Fact::observed(known.map(Result::is_ok)),
            maker_answers: true,
            reachable: Fact::observed(match reach {
                R::Available | R::Asleep | R::InUse => Some(true),
                R::NoConnection => Some(false),
                // Where the maker does not say, a car that has just said where it is speaks for itself.
                R::Busy | R::Unknown => spoke.then_some(true),
            }),
            in_area: Fact::observed(in_area),
            not_in_use: car.map_or(Fact::Unknown, CarNow::not_in_use),
            awake: Fact::observed(match reach {
                R::Available | R::InUse => Some(true),
                R::Asleep => Some(false),
                R::Unknown => spoke.then_some(true),
                _ => None,
            }),
            can_be_woken: wakes && grant.value.woken_ms.is_none(),
            waking: grant.value.woken_ms.is_some_and(|at| self.host.now().unix_millis() - at < readiness::WAKING_MS),
        }
    }

    async fn keep_asked(
        &self,
        delivery: DeliveryId,
        question: Question,
        answer: &readiness::Answer,
    ) -> Result<(), Failure> {
        let mut grant = self.grant(delivery).await?;
        let (slot, said) = (question.code(), answer.word.code());
        let causes: Vec<_> = answer.causes.iter().map(|c| c.code()).collect();
        grant.value.ready_asked.push(format!("{slot}:{said}:{}", causes.join(",")));
        let mut change = Change::new(&self.db, &self.host);
        if answer.wake {
            grant.value.woken_ms = Some(change.now().unix_millis());
        }
        let word = |text: &str| Word::new(text).ok_or_else(|| broken("a code is not a word"));
        let event = Event::ReadyAsked { delivery, slot: word(slot)?, answer: word(said)? };
        change.record_of(event, self.chain_of(&grant)?, delivery, None).await?;
        change.update(&grant, self.grant_index(&grant)?);
        change.commit().await?;
        Ok(())
    }
}

/// What was answered last to this question.
fn asked(grant: &GrantRow, question: Question) -> Option<readiness::Word> {
    let said = |a: &str| a.strip_prefix(question.code())?.strip_prefix(':')?.split(':').next().map(str::to_owned);
    readiness::Word::parse(&grant.ready_asked.iter().rev().find_map(|a| said(a))?)
}

/// For the owner: each question, what the carrier was told, and why, with what to do.
pub(crate) fn readiness_told(grant: &GrantRow) -> Vec<Value> {
    let told = grant.ready_asked.iter().filter_map(|asked| {
        let mut parts = asked.split(':');
        let (slot, answer, causes) = (parts.next()?, parts.next()?, parts.next().unwrap_or_default());
        let reasons = causes.split(',').filter_map(readiness::Cause::parse);
        let reasons: Vec<_> = reasons.map(|c| json!({"code": c.code(), "text": c.words()})).collect();
        Some(json!({"slot": slot, "answer": answer, "reasons": reasons}))
    });
    told.collect()
}

/// For the owner: what refused a courier, each once, with what to do.
pub(crate) fn denied_told(grant: &GrantRow) -> Vec<Value> {
    let told = grant.denied.iter().filter_map(|(cause, ms)| {
        let at = Timestamp::from_unix_millis(*ms);
        let words =
            Denial::parse(cause).map(Denial::words).or_else(|| Hindrance::parse(cause).map(Hindrance::words))?;
        Some(json!({"at": at.to_rfc3339(), "code": cause, "text": words}))
    });
    told.collect()
}

fn too_many_proofs() -> Problem {
    Problem::new(429, "too_many_proofs", "this stop has been asked for too often")
}

/// Shut after an opening, which may be repeated.
fn is_shut_again(attempt: &AttemptRow) -> bool {
    matches!(attempt.state.phase.as_str(), "locking" | "locked") && !attempt.state.ended
}

/// The parking that this device has located under this link.
fn located_by<'a>(grant: &'a GrantRow, held: &Held) -> Option<&'a str> {
    let (device, link) = (held.chain.device().to_string(), held.chain.last_link().to_string());
    grant.located.iter().find(|l| l.device == device && l.link == link).map(|l| l.parking.as_str())
}

fn not_reserved(refused: GrantRefused) -> Failure {
    match refused {
        GrantRefused::Blocked => denied(Denial::Blocked),
        GrantRefused::OutsideWindow | GrantRefused::OutsideHours => denied(Denial::OutsideWindow),
        GrantRefused::Spent => Problem::new(409, "grant_spent", "this delivery has been opened").into(),
        // Another request was faster: its attempt is found when this one is decided again.
        GrantRefused::InUse => Problem::new(409, "attempt_under_way", "an attempt is under way; ask for it").into(),
        GrantRefused::StalePermit => {
            Problem::unavailable("too_slow", "the car's state was read too long ago; ask again", 1).into()
        }
        GrantRefused::NotReserved | GrantRefused::AnotherGrant => broken("a grant refused what it must allow"),
    }
}

/// The word for the stop page: a car that waits for a hand is *ready*.
pub(crate) fn word(attempt: &Attempt) -> &'static str {
    stop_page_word(attempt.code())
}
fn stop_page_word(code: &str) -> &str {
    if code == "armed" { "ready" } else { code }
}

const fn outcome_word(outcome: parcelshelf_core::actuation::Outcome) -> &'static str {
    use parcelshelf_core::actuation::Outcome;
    match outcome {
        Outcome::Done(_) => "done",
        Outcome::DidNotHappen(_) => "did_not_happen",
        Outcome::Unknown => "unknown",
    }
}
