//! The occupant's stop: whoever proves possession of a car sees that there are grants for it, and stops them all.
//!
//! The VIN comes sealed, becomes an HMAC at once and is kept nowhere. It finds nothing: for every VIN, known or not, a session
//! begins in the same way and asks for doors in the same way, and nothing is told before the doors of that very car moved as
//! asked. Makers are asked in the background, so that answers take equally long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use parcelshelf_core::id::{OccupantId, VehicleId, WalletId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use parcelshelf_edge::problem::Problem;
use parcelshelf_log::record::Kind;
use parcelshelf_opening::budget::DAY_MS;
use parcelshelf_opening::occupant::{self, Stop};
use parcelshelf_opening::possession::{self, Door, DoorChange, POSSESSION_WITHIN_MS, Prompt, Verdict};
use parcelshelf_protocol::content::Occupant;
use parcelshelf_protocol::encoding::{Thumbprint, b64, from_b64};
use parcelshelf_protocol::seal::{self, Context, Purpose};
use parcelshelf_store::Version;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::db::{COMMON_KEY, Change, Stored};
use crate::failure::{Failure, again, broken};
use crate::grants::carrier_of;
use crate::housekeeping::expires_at;
use crate::rows::{CarRow, CarStopPart, GrantRow, OccupantRow, RuleRow};
use crate::wallets::reported;

/// Sessions that one car may have in a day.
const PER_CAR_AND_DAY: usize = 20;
/// Cars whose sessions are counted.
const CARS_MAX: usize = 10_000;
/// Looks at the car in one session, and the pause between two.
const LOOKS_MAX: u32 = 120;
const LOOK_EVERY_MS: i64 = 2_000;
/// Grants that one answer lists.
const LISTED_MAX: usize = 50;

/// When sessions of each car began: for unknown cars, too.
#[derive(Debug, Default)]
pub(crate) struct Begun(Mutex<HashMap<[u8; 32], Vec<Timestamp>>>);
impl Begun {
    fn one_more(&self, car: [u8; 32], now: Timestamp) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: &Timestamp| now.millis_since(*at) < DAY_MS;
        if all.len() >= CARS_MAX {
            all.retain(|_, times| times.iter().any(recent));
        }
        // Whoever asks for thousands of cars must not keep the next one out: then counting begins anew.
        if all.len() >= CARS_MAX {
            all.clear();
        }
        let times = all.entry(car).or_default();
        times.retain(recent);
        let free = times.len() < PER_CAR_AND_DAY;
        if free {
            times.push(now);
        }
        free
    }
}

fn no_session() -> Problem {
    Problem::new(404, "occupant_unknown", "this session is over or never began").detail("begin again")
}

impl CarRow {
    /// The stop that stands.
    pub(crate) fn stopped(&self, now: Timestamp) -> Option<Stop> {
        let stop = Stop { since: Timestamp::from_unix_millis(self.stop.as_ref()?.since_ms) };
        stop.stands(now).then_some(stop)
    }
}

impl Keyholder {
    async fn occupant(&self, id: OccupantId) -> Result<Stored<OccupantRow>, Failure> {
        let row = self.db.get::<OccupantRow>(id.as_bytes()).await?;
        let now = self.host.now().unix_millis();
        Ok(row.filter(|r| now < r.value.expires_ms).ok_or_else(no_session)?)
    }

    /// Begins a session: which door to open and close first.
    pub(crate) async fn begin_occupant(&self, sealed: &str) -> Result<Value, Failure> {
        let bytes = from_b64(sealed).ok_or_else(|| Problem::new(400, "box_malformed", "the box is not base64url"))?;
        let context = Context { sender: "occupant", recipient: &self.config.aud, delivery: "", seq: 0 };
        let said = Occupant::parse(&seal::open(&self.keys.seal, Purpose::Occupant, &context, &bytes)?)?;
        let vin = Vin::parse(&said.vin).map_err(|_| Problem::new(422, "vin_malformed", "a VIN has 17 characters"))?;
        let car = self.db.vault.car_name(vin.expose());
        let now = self.host.now();
        if !self.begun.one_more(car, now) {
            return Err(Problem::new(429, "too_many_sessions", "begun too often today").retry_after(3_600).into());
        }
        let order = possession::order(&occupant::DOORS, occupant::PROMPTS, &self.host.random::<16>());
        let order = order.ok_or_else(|| broken("no order of doors was drawn"))?;
        let first = order.first().copied().ok_or_else(|| broken("an order of doors is empty"))?;
        let id = OccupantId::from_bytes(self.host.random());
        let row = OccupantRow {
            v: 1,
            car: b64(car),
            doors: order.iter().map(|d| d.code().to_owned()).collect(),
            prompts: vec![(first.code().to_owned(), now.unix_millis())],
            changes: Vec::new(),
            looks: 0,
            looked_ms: 0,
            begun_ms: now.unix_millis(),
            proved_ms: None,
            failed: None,
            expires_ms: now.unix_millis() + occupant::SESSION_MS,
        };
        let mut change = Change::new(&self.db, &self.host);
        change.put(id.as_bytes(), Version::Absent, &row, expires_at(row.expires_ms));
        change.journal("occupant", b"", "occupant_begun", &json!({}));
        change.commit().await?;
        let until = now.plus_millis(POSSESSION_WITHIN_MS);
        Ok(json!({
            "occupant": id.to_string(), "next": first.code(), "doors": occupant::PROMPTS, "until": until.to_rfc3339(),
        }))
    }

    /// How a session stands: from what was seen so far. The car is looked at afterwards.
    pub(crate) async fn check_occupant(self: &Arc<Self>, id: OccupantId) -> Result<Value, Failure> {
        let row = self.occupant(id).await?;
        if row.value.proved_ms.is_some() {
            return self.seen_by_occupant(&row.value).await;
        }
        let k = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(problem) = again!(k.look_for_occupant(id)) {
                tracing::debug!(code = problem.code(), "a car could not be looked at for an occupant");
            }
        });
        Ok(match row.value.failed {
            Some(why) => json!({"proved": false, "failed": why}),
            None => json!({"proved": false, "next": row.value.prompts.last().map(|(door, _)| door.clone())}),
        })
    }

    async fn look_for_occupant(&self, id: OccupantId) -> Result<(), Failure> {
        let mut row = self.occupant(id).await?;
        let r = &mut row.value;
        let now = self.host.now();
        let soon = now.unix_millis() - r.looked_ms < LOOK_EVERY_MS;
        if soon || r.looks >= LOOKS_MAX || r.proved_ms.is_some() || r.failed.is_some() {
            return Ok(());
        }
        (r.looks, r.looked_ms) = (r.looks + 1, now.unix_millis());
        for (door, at) in self.doors_of(&r.car).await? {
            let change = (door.code().to_owned(), at.unix_millis());
            if !r.changes.contains(&change) && r.changes.len() < 64 {
                r.changes.push(change);
            }
        }
        let at = |(door, ms): &(String, i64)| Some((Door::parse(door)?, Timestamp::from_unix_millis(*ms)));
        let prompts: Vec<Prompt> =
            r.prompts.iter().filter_map(at).map(|(door, prompted_at)| Prompt { door, prompted_at }).collect();
        let changes: Vec<DoorChange> =
            r.changes.iter().filter_map(at).map(|(door, changed_at)| DoorChange { door, changed_at }).collect();
        match possession::judge(&prompts, occupant::PROMPTS, &changes, now) {
            Verdict::Proved => r.proved_ms = Some(now.unix_millis()),
            Verdict::Failed(why) => r.failed = Some(why.code().to_owned()),
            Verdict::Waiting { fulfilled } => {
                if fulfilled == r.prompts.len()
                    && let Some(next) = r.doors.get(fulfilled).cloned()
                {
                    r.prompts.push((next, now.unix_millis()));
                }
            }
        }
        let mut change = Change::new(&self.db, &self.host);
        change.update(&row, expires_at(row.value.expires_ms));
        change.journal("occupant", b"", "occupant_looked", &json!({}));
        change.commit().await?;
        Ok(())
    }

    /// Doors that the car reports now, over the account of whichever wallet still reaches it.
    async fn doors_of(&self, car: &str) -> Result<Vec<(Door, Timestamp)>, Failure> {
        let name = from_b64(car).ok_or_else(|| broken("a car's name is none"))?;
        for link in self.car_named(&name).await?.value.links.iter().rev() {
            let (Ok(wallet), Ok(vehicle)) = (WalletId::parse(&link.wallet), VehicleId::parse(&link.vehicle)) else {
                continue;
            };
            let Ok(vehicle) = self.vehicle(wallet, vehicle).await else { continue };
            let Ok(reached) = self.reach(wallet, &vehicle).await else { continue };
            if let Ok(closures) = reached.line.closures(&reached.session).await {
                return Ok(reported(&closures));
            }
        }
        Ok(Vec::new())
    }

    // ---- what is seen, stopped and lifted --------------------------------------------------------------------------

    async fn proved_car(&self, row: &OccupantRow) -> Result<Stored<CarRow>, Failure> {
        row.proved_ms.ok_or_else(|| Problem::new(409, "possession_not_proved", "open the doors as asked first"))?;
        self.car_named(&from_b64(&row.car).ok_or_else(|| broken("a car's name is none"))?).await
    }

    /// Which grants and standing rules there are, of which carriers, for when. No wallet, no place.
    async fn seen_by_occupant(&self, row: &OccupantRow) -> Result<Value, Failure> {
        let car = self.proved_car(row).await?.value;
        let now = self.host.now();
        let (mut grants, mut rules) = (Vec::new(), Vec::new());
        for link in &car.links {
            let Ok(wallet) = WalletId::parse(&link.wallet) else { continue };
            if let Ok(vehicle) = VehicleId::parse(&link.vehicle) {
                for rule in self.rules_for(wallet, vehicle).await?.iter().take(LISTED_MAX - rules.len()) {
                    rules.push(self.rule_for_occupant(&rule.value).await?);
                }
            }
            for grant in self.grants_of(wallet).await? {
                let past = grant.value.use_state.exp_ms <= now.unix_millis();
                if past || grants.len() >= LISTED_MAX || !self.is_for(&grant, &link.vehicle).await {
                    continue;
                }
                grants.push(self.grant_for_occupant(&grant.value).await?);
            }
        }
        let stop = car.stopped(now);
        Ok(json!({
            "proved": true,
            "wallets": car.links.len(),
            "grants": grants,
            "rules": rules,
            "stopped_until": stop.map(|s| s.until().to_rfc3339()),
            "liftable_from": stop.map(|s| s.liftable_from().to_rfc3339()),
        }))
    }

    async fn is_for(&self, grant: &Stored<GrantRow>, vehicle: &str) -> bool {
        self.granted_vehicle(grant).await.is_ok_and(|v| b64(&v.id) == vehicle)
    }

    async fn grant_for_occupant(&self, grant: &GrantRow) -> Result<Value, Failure> {
        let at = |ms| Timestamp::from_unix_millis(ms).to_rfc3339();
        let carrier = match grant.papers.request {
            Some(_) => self.carrier_json(carrier_of(grant)?).await?["name"].clone(),
            None => Value::Null,
        };
        Ok(json!({"carrier": carrier, "from": at(grant.use_state.nbf_ms), "to": at(grant.use_state.exp_ms)}))
    }

    /// Nothing is open under it now, but may be on any of its days.
    async fn rule_for_occupant(&self, rule: &RuleRow) -> Result<Value, Failure> {
        let carrier = Thumbprint::parse(&rule.cnf).ok_or_else(|| broken("a carrier's thumbprint is none"))?;
        let until = Timestamp::from_unix_millis(rule.exp_ms).to_rfc3339();
        Ok(json!({"carrier": self.carrier_json(carrier).await?["name"].clone(), "until": until}))
    }

    /// Stops everything for this car. Commands that have not left do not leave.
    pub(crate) async fn stop_by_occupant(self: &Arc<Self>, id: OccupantId) -> Result<Value, Failure> {
        let row = self.occupant(id).await?.value;
        let entry = again!(self.keep_stop(&row, Some(self.host.now())))?;
        let car = self.proved_car(&row).await?.value;
        self.withdraw_at(&car).await?;
        let mut seen = self.seen_by_occupant(&row).await?;
        seen["entry"] = json!(entry);
        Ok(seen)
    }

    /// Lifts a stop that is old enough, by a proof that began after that.
    pub(crate) async fn lift_by_occupant(&self, id: OccupantId) -> Result<Value, Failure> {
        let row = self.occupant(id).await?.value;
        let entry = again!(self.keep_stop(&row, None))?;
        let mut seen = self.seen_by_occupant(&row).await?;
        seen["entry"] = json!(entry);
        Ok(seen)
    }

    async fn keep_stop(&self, row: &OccupantRow, since: Option<Timestamp>) -> Result<String, Failure> {
        let mut car = self.proved_car(row).await?;
        let now = self.host.now();
        if since.is_none() {
            let none = || Problem::new(409, "not_stopped", "nothing is stopped here");
            let stop = car.value.stopped(now).ok_or_else(none)?;
            if !stop.lifted_by(Timestamp::from_unix_millis(row.begun_ms)) {
                let early = Problem::new(409, "lift_too_soon", "a stop is lifted by a proof that begins later");
                return Err(early.with("liftable_from", json!(stop.liftable_from().to_rfc3339())).into());
            }
        }
        car.value.stop = since.map(|at| CarStopPart { since_ms: at.unix_millis() });
        let kind = if since.is_some() { Kind::OccupantStopped } else { Kind::OccupantLifted };
        let mut change = Change::new(&self.db, &self.host);
        // Whose car it is stands under the common key: no wallet reads it in its own records.
        let entry = change.note(kind, &[("car", row.car.clone())], COMMON_KEY).await?;
        change.update(&car, car.value.index());
        change.commit().await?;
        self.log.ring();
        Ok(b64(entry))
    }
}

/// Sessions end by time.
impl OccupantRow {
    pub(crate) const fn over_ms(&self) -> i64 {
        self.expires_ms
    }
}
