//! A car itself, whoever linked it: one row under an HMAC of its VIN, so that what one wallet or carrier does with a car
//! counts for all, and no VIN lies in any index.
//!
//! Every transaction that shows or opens a car reads this row and writes or checks it.

use parcelshelf_core::area::Area;
use parcelshelf_core::id::{DeliveryId, VehicleId, WalletId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_log::record::Kind;
use parcelshelf_opening::budget::{self, AREAS_PER_DAY, DAY_MS, LOCATED_PER_DAY};
use parcelshelf_opening::conditions::Denial;
use parcelshelf_opening::links::{self, LINKS_MAX, Link, Said, Verdict};
use parcelshelf_opening::occupant::STOP_DAYS;
use parcelshelf_opening::possession::{Standing, standing};
use parcelshelf_protocol::encoding::{b64, from_b64};
use parcelshelf_protocol::statement::{Said as Stated, VerifiedStatement};
use parcelshelf_store::Version;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::db::{COMMON_KEY, Change, Index, Stored, wallet_key};
use crate::failure::{Failure, broken};
use crate::housekeeping::expires_at;
use crate::rows::{CarLinkPart, CarRow, VehicleRow};

impl VehicleRow {
    /// When its wallet last proved possession.
    pub(crate) fn proved_at(&self) -> Option<Timestamp> {
        self.possession.as_ref().and_then(|p| p.proved_ms).map(Timestamp::from_unix_millis)
    }
}

impl CarLinkPart {
    pub(crate) fn link(&self) -> Option<Link> {
        let vehicle = |text: &str| VehicleId::parse(text).ok();
        let said = match (&self.refused_by, self.confirmed) {
            (Some(by), _) => Said::Refused { by: vehicle(by)? },
            (None, true) => Said::Confirmed,
            (None, false) => Said::Nothing,
        };
        Some(Link {
            vehicle: vehicle(&self.vehicle)?,
            linked_at: Timestamp::from_unix_millis(self.linked_ms),
            proved_at: self.proved_ms.map(Timestamp::from_unix_millis),
            waits_until: self.waits_until_ms.map(Timestamp::from_unix_millis),
            said,
        })
    }
}

impl CarRow {
    const fn empty() -> Self {
        Self { v: 1, links: Vec::new(), located: Vec::new(), areas: Vec::new(), stop: None, halts: Vec::new() }
    }
    pub(crate) fn links(&self) -> Vec<Link> {
        self.links.iter().filter_map(CarLinkPart::link).collect()
    }
    fn link_of(&self, vehicle: &[u8]) -> Option<Link> {
        self.links.iter().find(|l| l.vehicle == b64(vehicle)).and_then(CarLinkPart::link)
    }
    fn part_of(&mut self, vehicle: &[u8]) -> Option<&mut CarLinkPart> {
        self.links.iter_mut().find(|l| l.vehicle == b64(vehicle))
    }
    /// When a row that no wallet links any more tells nothing any more: what was spent today stays spent today.
    pub(crate) fn over_ms(&self) -> i64 {
        let spent = self.located.iter().chain(&self.areas).map(|(_, at)| at + DAY_MS).max().unwrap_or(0);
        // A stop does not end because everybody has taken the car back.
        let stop = self.stop.as_ref().map_or(0, |s| s.since_ms + STOP_DAYS * 86_400_000);
        let halts = self.halt().puts().iter().map(|put| put.ends().unix_millis()).max().unwrap_or(0);
        spent.max(stop).max(halts)
    }
    /// Linked cars are not forgotten by time.
    pub(crate) fn index(&self) -> Index {
        if self.links.is_empty() { expires_at(self.over_ms()) } else { Index::new() }
    }
}

type Spent = Vec<(String, i64)>;

/// The budget of a day, over rows.
fn spend(spent: &Spent, what: &str, most: usize, now: Timestamp) -> Option<Spent> {
    let at: Vec<_> = spent.iter().map(|(what, ms)| (what.clone(), Timestamp::from_unix_millis(*ms))).collect();
    let left = budget::spend(&at, &what.to_owned(), most, now)?;
    Some(left.into_iter().map(|(what, at)| (what, at.unix_millis())).collect())
}

impl Keyholder {
    /// The row of a car by its name; an empty one if there is none.
    pub(crate) async fn car_named(&self, name: &[u8]) -> Result<Stored<CarRow>, Failure> {
        let row = self.db.get::<CarRow>(name).await?;
        Ok(row.unwrap_or_else(|| Stored { value: CarRow::empty(), id: name.to_vec(), version: Version::Absent }))
    }

    /// The row of the car that a wallet has linked.
    pub(crate) async fn car_of(&self, vehicle: &Stored<VehicleRow>) -> Result<Stored<CarRow>, Failure> {
        let name = match from_b64(&vehicle.value.car).filter(|name| !name.is_empty()) {
            Some(name) => name,
            // Linked by a version that kept no name.
            None => {
                let about =
                    self.about(vehicle).await?.ok_or_else(|| broken("what was kept of a car cannot be read"))?;
                self.db.vault.car_name(&about.vin).to_vec()
            }
        };
        self.car_named(&name).await
    }

    /// Whether a wallet may let this car be found and opened.
    pub(crate) fn car_stands(&self, vehicle: &Stored<VehicleRow>, car: &CarRow) -> Result<(), Denial> {
        let now = self.host.now();
        match standing(vehicle.value.proved_at(), now) {
            Standing::Never | Standing::TooOld => return Err(Denial::PossessionTooOld),
            Standing::Stands { .. } | Standing::Due { .. } => {}
        }
        match self.link_verdict(vehicle, car) {
            Verdict::Free => car.halted(now),
            Verdict::Waits { .. } | Verdict::Refused => Err(Denial::LinkNotConfirmed),
        }
    }

    pub(crate) fn link_verdict(&self, vehicle: &Stored<VehicleRow>, car: &CarRow) -> Verdict {
        // A link without its part was made before cars had rows of their own.
        let Some(link) = car.link_of(&vehicle.id) else { return Verdict::Free };
        links::judge(&link, &car.links(), self.host.now())
    }

    /// Adds a wallet to its car's row, in the transaction that links it. Who linked it before is told; a leaf says how many
    /// were, also none, so that linking looks alike in the log.
    pub(crate) async fn join_car(
        &self,
        change: &mut Change<'_>,
        wallet: WalletId,
        vehicle: &[u8],
        row: &VehicleRow,
    ) -> Result<(), Failure> {
        let name = from_b64(&row.car).ok_or_else(|| broken("a car's name is none"))?;
        let mut car = self.car_named(&name).await?;
        if car.value.part_of(vehicle).is_some() {
            return Ok(());
        }
        if car.value.links.len() >= LINKS_MAX {
            return Err(Problem::new(409, "car_linked_too_often", "this car cannot be linked once more").into());
        }
        let now = change.now();
        car.value.links.push(CarLinkPart {
            vehicle: b64(vehicle),
            wallet: wallet.to_string(),
            linked_ms: now.unix_millis(),
            proved_ms: row.possession.as_ref().and_then(|p| p.proved_ms),
            waits_until_ms: None,
            confirmed: false,
            refused_by: None,
        });
        self.begin_wait_of_link(&mut car.value, vehicle, now);
        let all = car.value.links();
        let told =
            car.value.link_of(vehicle).map_or(0, |l| all.iter().filter(|e| links::is_heard(e, &l, &all, now)).count());
        let fields = [("vehicle", b64(vehicle)), ("told", told.to_string())];
        change.note(Kind::LinkTold, &fields, COMMON_KEY).await?;
        change.update(&car, car.value.index());
        Ok(())
    }

    fn begin_wait_of_link(&self, car: &mut CarRow, vehicle: &[u8], now: Timestamp) {
        let Some(link) = car.link_of(vehicle) else { return };
        let all = car.links();
        let until = links::begin_wait(&link, &all, now, self.config.possession_wait_hours);
        if until.is_some() {
            self.ask_elders(car, &link, &all, now);
        }
        if let (Some(until), Some(part)) = (until, car.part_of(vehicle)) {
            part.waits_until_ms = Some(until.unix_millis());
        }
    }

    /// Whoever linked the car before and is heard is woken: somebody waits for their word.
    fn ask_elders(&self, car: &CarRow, link: &Link, all: &[Link], now: Timestamp) {
        for elder in all.iter().filter(|elder| links::is_heard(elder, link, all, now)) {
            let part = car.links.iter().find(|part| part.vehicle == elder.vehicle.to_string());
            if let Some(wallet) = part.and_then(|part| WalletId::parse(&part.wallet).ok()) {
                self.waking.asked(wallet);
            }
        }
    }

    /// Possession is proved: from here on this wallet is heard about later ones. Answers what the owner is told.
    pub(crate) async fn prove_to_car(
        &self,
        change: &mut Change<'_>,
        vehicle: &Stored<VehicleRow>,
    ) -> Result<Value, Failure> {
        let mut car = self.car_of(vehicle).await?;
        if let Some(part) = car.value.part_of(&vehicle.id) {
            part.proved_ms = Some(change.now().unix_millis());
        }
        self.begin_wait_of_link(&mut car.value, &vehicle.id, change.now());
        if let (Verdict::Free, Ok(id)) = (self.link_verdict(vehicle, &car.value), VehicleId::parse(&b64(&vehicle.id))) {
            car.value.halt_goes_on(id, change.now());
        }
        change.update(&car, car.value.index());
        Ok(self.proved_json(vehicle, &car.value))
    }

    /// What a wallet hears whose possession is proved. Only somebody who has opened the doors of this very car comes to
    /// see that its link waits; of whom nobody is told.
    pub(crate) fn proved_json(&self, vehicle: &Stored<VehicleRow>, car: &CarRow) -> Value {
        match self.link_verdict(vehicle, car) {
            Verdict::Free => json!({"proved": true}),
            Verdict::Waits { until } => json!({"proved": false, "wait_until": until.to_rfc3339()}),
            Verdict::Refused => json!({"proved": false, "failed": "link_not_confirmed"}),
        }
    }

    /// For the owner: how good the proof of possession is, and who linked the car later.
    pub(crate) async fn possession_told(&self, vehicle: &Stored<VehicleRow>, told: &mut Value) -> Result<(), Failure> {
        let stands = standing(vehicle.value.proved_at(), self.host.now());
        let (good, until, due) = match stands {
            Standing::Never => (false, None, false),
            Standing::Stands { until } => (true, Some(until), false),
            Standing::Due { until } => (true, Some(until), true),
            Standing::TooOld => (false, None, true),
        };
        told["possession"] = json!(good);
        told["possession_until"] = json!(until.map(Timestamp::to_rfc3339));
        told["possession_due"] = json!(due);
        let car = self.car_of(vehicle).await?.value;
        if good {
            told["usable"] = json!(self.link_verdict(vehicle, &car) == Verdict::Free);
        }
        self.sharing_told(vehicle, &car, told);
        told["later_links"] = json!(self.later_links(vehicle).await?);
        Ok(())
    }

    /// Refuses a car that somebody in it has stopped: to everybody else it looks like one that does not answer.
    pub(crate) fn car_answers(&self, car: &CarRow) -> Result<(), Denial> {
        match car.stopped(self.host.now()) {
            Some(_) => Err(Denial::NotParked),
            None => Ok(()),
        }
    }

    // ---- budgets ---------------------------------------------------------------------------------------------------

    /// The car's row with this delivery counted as located today.
    pub(crate) fn car_located(&self, car: &mut CarRow, delivery: DeliveryId, now: Timestamp) -> Result<(), Denial> {
        let spent = spend(&car.located, &delivery.to_string(), LOCATED_PER_DAY, now);
        car.located = spent.ok_or(Denial::TooManyDeliveries)?;
        Ok(())
    }

    /// The car's row with this area counted as granted today.
    pub(crate) async fn car_in_area(
        &self,
        vehicle: &Stored<VehicleRow>,
        area: &Area,
        now: Timestamp,
    ) -> Result<Stored<CarRow>, Failure> {
        let mut car = self.car_of(vehicle).await?;
        let cells: Vec<String> = area.to_strings();
        let name = self.db.vault.pseudonym("area", &[&car.id[..], cells.join(",").as_bytes()].concat());
        car.value.areas = spend(&car.value.areas, &name, AREAS_PER_DAY, now).ok_or_else(|| {
            Problem::new(409, "too_many_areas", "this car was granted in as many areas today as may be")
                .detail("use an area of an earlier grant, or wait until tomorrow")
        })?;
        Ok(car)
    }

    // ---- later wallets ---------------------------------------------------------------------------------------------

    fn link_name(&self, elder: &[u8], later: &str) -> String {
        self.db.vault.pseudonym("second_link", &[elder, later.as_bytes()].concat())
    }

    /// For an owner: wallets that linked this car later, by names that mean nothing elsewhere.
    pub(crate) async fn later_links(&self, vehicle: &Stored<VehicleRow>) -> Result<Vec<Value>, Failure> {
        let car = self.car_of(vehicle).await?.value;
        let (now, all) = (self.host.now(), car.links());
        let Some(own) = car.link_of(&vehicle.id) else { return Ok(Vec::new()) };
        let later = car.links.iter().filter_map(|part| {
            let link = part.link().filter(|l| links::is_heard(&own, l, &all, now))?;
            let (state, until) = match (links::judge(&link, &all, now), link.said) {
                (Verdict::Waits { until }, _) => ("waiting", Some(until)),
                (Verdict::Refused, _) => ("refused", None),
                (Verdict::Free, Said::Confirmed) => ("confirmed", None),
                (Verdict::Free, _) => ("waited", None),
            };
            Some(json!({
                "link": self.link_name(&vehicle.id, &part.vehicle),
                "linked_at": link.linked_at.to_rfc3339(),
                "state": state,
                "until": until.map(Timestamp::to_rfc3339),
                "text": "Somebody else has linked this car. If you know who, confirm it. If not, refuse it: then nothing \
                         of theirs can find or open the car. Look also at who may use your account at the car's maker.",
            }))
        });
        Ok(later.collect())
    }

    /// An earlier wallet's word on a later one. Refusing needs a session, confirming a passkey.
    pub(crate) async fn refuse_link(&self, wallet: WalletId, vehicle: VehicleId, link: &str) -> Result<(), Failure> {
        self.speak_of_link(wallet, vehicle, link, Some(b64(vehicle.as_bytes()))).await
    }
    pub(crate) async fn confirm_link(&self, s: &VerifiedStatement) -> Result<(), Failure> {
        let Stated::ConfirmLink { wallet, vehicle, link } = s.said() else {
            return Err(Problem::new(400, "statement_wrong_type", "this route takes another kind of statement").into());
        };
        self.speak_of_link(*wallet, *vehicle, link, None).await
    }

    async fn speak_of_link(
        &self,
        wallet: WalletId,
        vehicle: VehicleId,
        link: &str,
        refused_by: Option<String>,
    ) -> Result<(), Failure> {
        let own = self.vehicle(wallet, vehicle).await?;
        let mut car = self.car_of(&own).await?;
        let (now, all) = (self.host.now(), car.value.links());
        let elder = car.value.link_of(&own.id);
        let later = car.value.links.iter_mut().find(|part| {
            let heard = part.link().zip(elder).is_some_and(|(l, elder)| links::is_heard(&elder, &l, &all, now));
            heard && self.link_name(&own.id, &part.vehicle) == link
        });
        let unknown = || Problem::new(404, "link_unknown", "no such wallet has linked this car after yours");
        let part = later.ok_or_else(unknown)?;
        let stands = part.link().is_some_and(|l| links::judge(&l, &all, now) == Verdict::Refused);
        let by_another = part.refused_by.as_ref().is_some_and(|by| *by != vehicle.to_string());
        if refused_by.is_none() && stands && by_another {
            // Only whoever refused takes it back.
            return Err(Problem::new(409, "link_refused", "somebody else who has this car has refused it").into());
        }
        let kind = if refused_by.is_some() { Kind::LinkRefused } else { Kind::LinkConfirmed };
        part.confirmed = refused_by.is_none();
        part.refused_by = refused_by;
        let mut change = Change::new(&self.db, &self.host);
        let fields = [("vehicle", vehicle.to_string()), ("link", link.to_owned())];
        change.note(kind, &fields, &wallet_key(wallet)).await?;
        change.update(&car, car.value.index());
        change.commit().await?;
        self.log.ring();
        Ok(())
    }
}
