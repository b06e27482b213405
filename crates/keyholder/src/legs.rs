//! Legs of couriers, and the brake of a carrier whose couriers find cars and come to none.
//!
//! A leg is one accepted delegation. Its row is written in the transactions that delegate, locate and arrive; what an hour of
//! a carrier looked like is counted in memory from the same rows, which are read again at the start. That a carrier is
//! stopped is a row of its own, which every transaction that locates or opens checks. That somebody was kept away from a car
//! is in memory only: after a start it counts against the carrier, which is the careful side.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use parcelshelf_core::time::Timestamp;
use parcelshelf_log::record::Kind;
use parcelshelf_opening::brake::{self, Brake, Count, Effect, Event, HOUR_MS, Leg};
use parcelshelf_opening::conditions::Denial;
use parcelshelf_protocol::encoding::{Hash, Thumbprint, b64};
use parcelshelf_store::{Check, Version};

use crate::Keyholder;
use crate::chain::Held;
use crate::db::{COMMON_KEY, Change, Index, Stored};
use crate::failure::{Failure, again, broken};
use crate::housekeeping::expires_at;
use crate::rows::{BrakeRow, LegRow};
use crate::stops::denied;

const HOLDER: &str = "holder";
/// Problems of a maker's cloud, or of a car that it cannot reach: nobody's fault who stands there.
const MAKERS_SILENCE: [&str; 5] = ["maker_busy", "maker_unreachable", "maker_down", "maker_refused", "car_unreachable"];

impl LegRow {
    fn leg(&self) -> Leg {
        let at = Timestamp::from_unix_millis;
        Leg {
            delegated_at: at(self.delegated_ms),
            ends_at: at(self.ends_ms),
            located_at: self.located_ms.map(at),
            arrived: self.arrived,
            kept_away: false,
            let_go_at: self.let_go_ms.map(at),
            by_area: self.by_area,
        }
    }
    /// When it tells nothing any more.
    pub(crate) const fn over_ms(&self) -> i64 {
        self.ends_ms + 2 * HOUR_MS
    }
    fn index(&self) -> Index {
        let mut index = expires_at(self.over_ms());
        if self.located_ms.is_some()
            && self.let_go_ms.is_none()
            && let Some(device) = Thumbprint::parse(&self.device)
        {
            index.insert(HOLDER.to_owned(), device.as_bytes().to_vec());
        }
        index
    }
}

/// Legs that a transaction has written, for the count.
pub(crate) type Written = Vec<(Vec<u8>, Leg)>;

/// The last hours' legs of each carrier.
#[derive(Default)]
pub(crate) struct Legs(Mutex<HashMap<Thumbprint, HashMap<Vec<u8>, Leg>>>);
impl Legs {
    fn all(&self) -> MutexGuard<'_, HashMap<Thumbprint, HashMap<Vec<u8>, Leg>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// What has become durable.
    pub fn note(&self, carrier: Thumbprint, written: Written) {
        let mut all = self.all();
        let legs = all.entry(carrier).or_default();
        for (link, mut leg) in written {
            leg.kept_away |= legs.get(&link).is_some_and(|before| before.kept_away);
            legs.insert(link, leg);
        }
    }
    fn kept_away(&self, carrier: Thumbprint, link: &[u8]) {
        if let Some(leg) = self.all().get_mut(&carrier).and_then(|legs| legs.get_mut(link)) {
            // Before it is located, nothing keeps anybody from anywhere.
            leg.kept_away |= leg.located_at.is_some();
        }
    }
    fn count(&self, carrier: Thumbprint, since: Timestamp, now: Timestamp) -> Count {
        let mut all = self.all();
        let Some(legs) = all.get_mut(&carrier) else { return Count::default() };
        legs.retain(|_, leg| !leg.is_past(now));
        Count::of(legs.values(), since, now)
    }
    fn carriers(&self) -> Vec<Thumbprint> {
        self.all().keys().copied().collect()
    }
}

impl BrakeRow {
    fn brake(&self) -> Brake<String> {
        let at = Timestamp::from_unix_millis;
        match self.stopped_ms {
            None => Brake::Free { since: at(self.since_ms) },
            Some(ms) => Brake::Stopped {
                at: at(ms),
                count: Count { of: self.of, away: self.away },
                released_by: self.released_by.clone(),
            },
        }
    }
    fn of(brake: Brake<String>, entry: String) -> Self {
        match brake {
            Brake::Free { since } => Self {
                v: 1,
                since_ms: since.unix_millis(),
                stopped_ms: None,
                of: 0,
                away: 0,
                released_by: Vec::new(),
                entry,
            },
            Brake::Stopped { at, count, released_by } => Self {
                v: 1,
                since_ms: at.unix_millis(),
                stopped_ms: Some(at.unix_millis()),
                of: count.of,
                away: count.away,
                released_by,
                entry,
            },
        }
    }
}

impl Keyholder {
    pub(crate) async fn brake(&self, carrier: Thumbprint) -> Result<Stored<BrakeRow>, Failure> {
        let row = self.db.get::<BrakeRow>(carrier.as_bytes()).await?;
        let free = || BrakeRow::of(Brake::Free { since: Timestamp::EPOCH }, String::new());
        Ok(row.unwrap_or_else(|| Stored { value: free(), id: carrier.as_bytes().to_vec(), version: Version::Absent }))
    }

    /// Reads the last hours' legs: what a crash made forget is known again before anything is located.
    pub(crate) async fn recount(&self) -> Result<(), Failure> {
        for row in self.db.list::<LegRow>("expires", &[]).await? {
            if let Some(carrier) = Thumbprint::parse(&row.value.carrier) {
                self.legs.note(carrier, vec![(row.id, row.value.leg())]);
            }
        }
        self.weigh_all().await;
        Ok(())
    }

    /// Legs end by time, too, with nobody asking.
    pub(crate) async fn weigh_all(&self) {
        for carrier in self.legs.carriers() {
            self.weigh_soon(carrier).await;
        }
    }
    async fn weigh_soon(&self, carrier: Thumbprint) {
        if let Err(problem) = again!(self.weigh(carrier)) {
            tracing::error!(code = problem.code(), "a carrier's hour could not be weighed; it is tried again");
        }
    }

    /// Stops a carrier whose hour says so.
    async fn weigh(&self, carrier: Thumbprint) -> Result<(), Failure> {
        let mut row = self.brake(carrier).await?;
        let now = self.host.now();
        let count = self.legs.count(carrier, Timestamp::from_unix_millis(row.value.since_ms), now);
        let (next, effect) = row.value.brake().handle(Event::Counted(count), now);
        if effect != Effect::Stop {
            return Ok(());
        }
        let mut change = Change::new(&self.db, &self.host);
        let fields = [("carrier", carrier.to_string()), ("away", count.away.to_string()), ("of", count.of.to_string())];
        let entry = change.note(Kind::CarrierStopped, &fields, COMMON_KEY).await?;
        row.value = BrakeRow::of(next, b64(entry));
        change.update(&row, Index::new());
        change.commit().await?;
        self.log.ring();
        let Count { of, away } = count;
        tracing::error!(%carrier, away, of, stop = row.value.entry,
            "alarm: a carrier is stopped; its couriers find cars and come to none");
        Ok(())
    }

    /// One person's word that a stop may end.
    pub(crate) async fn release(&self, carrier: Thumbprint, by: Thumbprint, stop: Hash) -> Result<(), Failure> {
        let mut row = self.brake(carrier).await?;
        let unknown = || parcelshelf_edge::problem::Problem::new(409, "stop_unknown", "this carrier is not so stopped");
        let stopped_ms = row.value.stopped_ms.filter(|_| row.value.entry == stop.to_string()).ok_or_else(unknown)?;
        let event = Event::Release { by: by.to_string(), stopped_at: Timestamp::from_unix_millis(stopped_ms) };
        let mut change = Change::new(&self.db, &self.host);
        let (next, effect) = row.value.brake().handle(event, change.now());
        let entry = row.value.entry.clone();
        let kind = match effect {
            Effect::ReleasedByOne => Kind::CarrierReleaseSaid,
            Effect::Free => Kind::CarrierReleased,
            // The same person again.
            Effect::Nothing | Effect::Stop => return Ok(()),
        };
        let fields = [("carrier", carrier.to_string()), ("stop", entry.clone()), ("by", by.to_string())];
        change.note(kind, &fields, COMMON_KEY).await?;
        row.value = BrakeRow::of(next, entry);
        change.update(&row, Index::new());
        change.commit().await?;
        self.log.ring();
        tracing::warn!(%carrier, released = effect == Effect::Free, "a person released a stopped carrier");
        Ok(())
    }

    /// That the carrier of a chain is not stopped and no key in it is revoked: what the transaction must find unchanged.
    pub(crate) async fn carrier_stands(&self, held: &Held) -> Result<Vec<Check>, Failure> {
        let Some(authority) = &held.authority else { return Ok(Vec::new()) };
        let brake = self.brake(authority.root).await?;
        if !brake.value.brake().is_free() {
            return Err(denied(Denial::CarrierStopped));
        }
        let mut checks = self.not_revoked(authority).await?;
        checks.push(brake.check());
        Ok(checks)
    }
    /// The same, after the hour up to now was weighed.
    pub(crate) async fn carrier_weighed(&self, held: &Held) -> Result<(), Failure> {
        if let Some(authority) = &held.authority {
            self.weigh_soon(authority.root).await;
        }
        self.carrier_stands(held).await.map(drop)
    }
    pub(crate) async fn carrier_is_stopped(&self, carrier: Thumbprint) -> Result<bool, Failure> {
        Ok(!self.brake(carrier).await?.value.brake().is_free())
    }

    // ---- legs ------------------------------------------------------------------------------------------------------

    /// A delegation is accepted; the one before it, if any, is over.
    pub(crate) async fn leg_begins(
        &self,
        change: &mut Change<'_>,
        link: Hash,
        leg: LegRow,
        before: Option<Hash>,
    ) -> Result<Written, Failure> {
        let mut written = vec![(link.as_bytes().to_vec(), leg.leg())];
        change.put(link.as_bytes(), Version::Absent, &leg, leg.index());
        if let Some(before) = before
            && let Some(mut row) = self.db.get::<LegRow>(before.as_bytes()).await?
            && row.value.leg().ended_at(change.now()).is_none()
        {
            row.value.let_go_ms = Some(change.now().unix_millis());
            change.update(&row, row.value.index());
            written.push((row.id, row.value.leg()));
        }
        Ok(written)
    }

    async fn leg_of(&self, held: &Held) -> Result<Option<Stored<LegRow>>, Failure> {
        Ok(self.db.get::<LegRow>(held.chain.last_link().as_bytes()).await?)
    }

    /// The device of this leg finds its car, and lets go of what it held before.
    pub(crate) async fn leg_locates(
        &self,
        change: &mut Change<'_>,
        held: &Held,
        car: &str,
    ) -> Result<Written, Failure> {
        let Some(mut own) = self.leg_of(held).await? else { return Ok(Vec::new()) };
        let now = change.now();
        let device = Thumbprint::parse(&own.value.device).ok_or_else(|| broken("a device's thumbprint is none"))?;
        let rows = self.db.list::<LegRow>(HOLDER, device.as_bytes()).await?;
        // Two deliveries into one car are one place.
        let others: Vec<_> = rows.into_iter().filter(|r| r.id != own.id && r.value.car != car).collect();
        let holding: Vec<(usize, Leg)> =
            others.iter().map(|r| r.value.leg()).enumerate().filter(|(_, leg)| leg.holds(now)).collect();
        let mut written = Written::new();
        for n in brake::lets_go(&holding, own.value.by_area) {
            let Some(mut row) = others.get(n).cloned() else { continue };
            row.value.let_go_ms = Some(now.unix_millis());
            change.update(&row, row.value.index());
            written.push((row.id, row.value.leg()));
        }
        own.value.located_ms = own.value.located_ms.or(Some(now.unix_millis()));
        own.value.let_go_ms = None;
        car.clone_into(&mut own.value.car);
        change.update(&own, own.value.index());
        written.push((own.id, own.value.leg()));
        Ok(written)
    }

    /// The device of this leg is at its car, whose place it must still hold.
    pub(crate) async fn leg_arrives(&self, change: &mut Change<'_>, held: &Held) -> Result<Written, Failure> {
        let Some(mut own) = self.leg_of(held).await? else { return Ok(Vec::new()) };
        self.holds(&own.value)?;
        own.value.arrived = true;
        change.update(&own, own.value.index());
        Ok(vec![(own.id, own.value.leg())])
    }

    /// Refuses a device that has let go of the place.
    pub(crate) async fn leg_holds(&self, held: &Held) -> Result<(), Failure> {
        match self.leg_of(held).await? {
            Some(own) => self.holds(&own.value),
            None => Ok(()),
        }
    }
    fn holds(&self, leg: &LegRow) -> Result<(), Failure> {
        let given_away = leg.located_ms.is_some() && leg.let_go_ms.is_some();
        if given_away { Err(denied(Denial::NotLocated)) } else { Ok(()) }
    }

    /// Notes whether a request failed because something else than the courier keeps them from the car.
    pub(crate) fn or_kept_away<T, E: Into<Failure>>(&self, held: &Held, done: Result<T, E>) -> Result<T, Failure> {
        let done = done.map_err(Into::into);
        if let (Err(Failure::Problem(problem)), Some(authority)) = (&done, &held.authority) {
            let by_makers = MAKERS_SILENCE.contains(&problem.code());
            let denial = problem.cause().and_then(Denial::parse);
            if by_makers || denial.is_some_and(Denial::keeps_away) {
                self.legs.kept_away(authority.root, held.chain.last_link().as_bytes());
            }
        }
        done
    }

    /// What a transaction wrote of legs is durable.
    pub(crate) async fn legs_written(&self, held: &Held, written: Written) {
        if let Some(authority) = &held.authority {
            self.legs.note(authority.root, written);
            self.weigh_soon(authority.root).await;
        }
    }
}
