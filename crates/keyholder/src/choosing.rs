//! One car out of several: what an account at a maker holds besides is nobody's business. Until the owner has chosen, the cars
//! are in memory only, and nothing is kept of those that were not chosen.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use parcelshelf_access::{Session, VehicleFindings};
use parcelshelf_core::actuation::Place;
use parcelshelf_core::id::{LinkId, VehicleId, WalletId};
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::seal::Purpose;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::db::{Change, Stored};
use crate::failure::{Failure, again, broken};
use crate::housekeeping::expires_at;
use crate::linking::{LINK_MINUTES, account_id};
use crate::rows::{AccountRow, LinkRow};
use crate::wallets::findings_json;

/// Cars of one account. An account with more is a fleet's or a lessor's: whoever leases a car links it with an account of
/// their own.
const CARS_MAX: usize = 16;
/// Linkings looked at in one sweep.
const AT_ONCE: u32 = 64;
/// A choice that came at the last moment is through by then.
const CHOICE_IN_FLIGHT_MS: i64 = 60_000;
/// For so long giving a permission back is tried again.
const GIVE_UP_TRIES_MS: i64 = 3_600_000;
/// Linkings whose cars are remembered. Beyond, the maker is asked again.
const OFFERS_MAX: usize = 1_024;

/// Cars that owners choose from at this moment, and until when. A maker need not be asked three times for one choice, which
/// would use up an account's readings.
#[derive(Default)]
pub(crate) struct Offers(Mutex<HashMap<LinkId, (i64, Vec<VehicleFindings>)>>);
impl std::fmt::Debug for Offers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Offers(<redacted>)")
    }
}
impl Offers {
    fn all(&self) -> MutexGuard<'_, HashMap<LinkId, (i64, Vec<VehicleFindings>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn remember(&self, link: LinkId, until_ms: i64, now_ms: i64, cars: &[VehicleFindings]) {
        let mut all = self.all();
        all.retain(|_, (until, _)| *until > now_ms);
        if all.len() < OFFERS_MAX {
            all.insert(link, (until_ms, cars.to_vec()));
        }
    }
    fn of(&self, link: LinkId) -> Option<Vec<VehicleFindings>> {
        self.all().get(&link).map(|(_, cars)| cars.clone())
    }
    fn forget(&self, link: LinkId) {
        self.all().remove(&link);
    }
}

impl Keyholder {
    /// The only car of an account becomes the wallet's, and cars that it has already are looked at anew. Of all others the
    /// owner chooses first: true.
    pub(crate) async fn take_over_or_offer(
        &self,
        wallet: WalletId,
        maker: &str,
        link: LinkId,
        cars: &[VehicleFindings],
    ) -> Result<bool, Failure> {
        no_fleet(cars)?;
        let known = self.known_cars(wallet).await?;
        let only = cars.len() == 1;
        let taken = |car: &&VehicleFindings| only || known.iter().any(|(vin, _)| vin == car.vin.expose());
        let chosen: Vec<&VehicleFindings> = cars.iter().filter(taken).collect();
        let mut row = self.link(link).await?;
        let choosing = chosen.len() < cars.len();
        // With no car at all the permission is given back when the time is over.
        row.value.choosing = choosing || cars.is_empty();
        row.value.expires_ms = self.host.now().plus_seconds(LINK_MINUTES * 60).unix_millis();
        self.take_over(wallet, maker, &chosen, Some(&row)).await?;
        if choosing {
            self.offers.remember(link, row.value.expires_ms, self.host.now().unix_millis(), cars);
        }
        Ok(choosing)
    }

    async fn link(&self, link: LinkId) -> Result<Stored<LinkRow>, Failure> {
        Ok(self.db.get::<LinkRow>(link.as_bytes()).await?.ok_or_else(gone)?)
    }

    /// A linking of this wallet whose owner has to choose, and the account's cars as its maker tells them now.
    async fn offered(&self, wallet: WalletId, link: LinkId) -> Result<Offer, Failure> {
        let row = self.link(link).await?;
        let own = row.value.wallet == wallet.to_string() && row.value.choosing;
        if !own || self.host.now().unix_millis() > row.value.expires_ms {
            return Err(gone().into());
        }
        let maker = row.value.maker.clone();
        let mut cars = match self.offers.of(link) {
            Some(cars) => cars,
            None => {
                let session = self.session(wallet, &maker).await?;
                self.makers.vehicles(&maker, wallet, &session, &self.host).await?
            }
        };
        no_fleet(&cars)?;
        let known = self.known_cars(wallet).await?;
        cars.retain(|car| known.iter().all(|(vin, _)| vin != car.vin.expose()));
        Ok(Offer { row, maker, cars })
    }

    /// A name of one car in one linking, which means nothing elsewhere.
    fn pick(&self, link: LinkId, car: &VehicleFindings) -> String {
        self.db.vault.pseudonym("pick", &[&link.as_bytes()[..], car.vin.expose().as_bytes()].concat())
    }

    /// For the owner: which cars there are to choose from, what they are, and what stands against them.
    pub(crate) async fn cars_to_choose(&self, wallet: WalletId, link: LinkId) -> Result<String, Failure> {
        let owner = self.wallet(wallet).await?;
        let offer = self.offered(wallet, link).await?;
        let not_given = self.tokens_of(wallet, &offer.maker).await?.0.not_given;
        let kind = self.place_of(&offer.maker);
        let list: Vec<Value> = offer
            .cars
            .iter()
            .map(|car| {
                let found = self.found(&offer.maker, car, &not_given);
                let vin = car.vin.expose();
                json!({
                    "car": self.pick(link, car),
                    "kind": kind.code(),
                    "make": car.make,
                    "model": car.model,
                    "model_year": car.model_year,
                    "colour": car.colour,
                    // Two cars alike are told apart by what stands under the windscreen; a house's doors have names.
                    "vin_ends_in": vin.get(vin.len().saturating_sub(4)..).filter(|_| kind == Place::Car),
                    "eligible": found.eligible(),
                    "findings": findings_json(found.all().iter().copied()),
                })
            })
            .collect();
        let content = json!({ "cars": list }).to_string();
        self.to_owner(&owner.value, wallet, Purpose::Account, &wallet.to_string(), content.as_bytes())
    }

    /// Takes over what the owner chose. Whoever chooses once has chosen.
    pub(crate) async fn choose(&self, wallet: WalletId, link: LinkId, picks: &[String]) -> Result<(), Failure> {
        let offer = self.offered(wallet, link).await?;
        let mut chosen = Vec::new();
        for pick in picks {
            let car = offer.cars.iter().find(|car| self.pick(link, car) == *pick);
            chosen.push(car.ok_or_else(|| Problem::new(404, "car_unknown", "this linking offers no such car"))?);
        }
        chosen.sort_by_key(|car| car.vin.expose().to_owned());
        chosen.dedup_by_key(|car| car.vin.expose().to_owned());
        let mut row = offer.row;
        row.value.choosing = false;
        self.take_over(wallet, &offer.maker, &chosen, Some(&row)).await?;
        self.offers.forget(link);
        Ok(())
    }

    /// Asks the maker anew what stands against a car: its owner says that it is mended.
    pub(crate) async fn look_again(&self, wallet: WalletId, id: VehicleId) -> Result<(), Failure> {
        let stored = self.vehicle(wallet, id).await?;
        let about = self.about(&stored).await?.ok_or_else(|| broken("what was kept of a car cannot be read"))?;
        let maker = stored.value.maker.clone();
        let session: Session = self.session(wallet, &maker).await?;
        let cars = self.makers.vehicles(&maker, wallet, &session, &self.host).await?;
        let car = cars.iter().find(|car| car.vin.expose() == about.vin).ok_or_else(|| {
            Problem::new(409, "car_not_listed", "the maker does not list this car in your account any more")
                .detail("link the account that has it")
        })?;
        again!(self.take_over(wallet, &maker, &[car], None))?;
        again!(self.permission_found(wallet, &maker))?;
        Ok(())
    }

    async fn permission_found(&self, wallet: WalletId, maker: &str) -> Result<(), Failure> {
        let id = account_id(wallet, maker);
        let Some(mut account) = self.db.get::<AccountRow>(&id).await? else { return Ok(()) };
        if account.value.owner_must.take().is_none() {
            return Ok(());
        }
        let mut change = Change::new(&self.db, &self.host);
        change.update(&account, crate::db::Index::new());
        change.journal("account", &id, "permission_found", &json!({}));
        change.commit().await?;
        Ok(())
    }

    /// Linkings whose owner chose no car: with them our permission goes back, unless a car of that account is linked or
    /// another linking of it is under way.
    pub(crate) async fn give_up_links(&self) -> Result<(), Failure> {
        let over_ms = self.host.now().unix_millis() - CHOICE_IN_FLIGHT_MS;
        let first = self.db.first::<LinkRow>("expires", &[], AT_ONCE).await?;
        let over: Vec<_> = first.into_iter().filter(|l| l.value.expires_ms < over_ms && l.value.choosing).collect();
        if over.is_empty() {
            return Ok(());
        }
        let all = self.db.list::<LinkRow>("expires", &[]).await?;
        for link in over {
            let of = |other: &LinkRow| other.wallet == link.value.wallet && other.maker == link.value.maker;
            // The owner is at the maker again: its code may come now. It is looked at again in a minute.
            let begun = |other: &LinkRow| !other.done && other.expires_ms >= over_ms;
            if all.iter().any(|other| begun(&other.value) && of(&other.value)) {
                continue;
            }
            let alive = |other: &LinkRow| other.choosing && other.expires_ms >= over_ms;
            let another = all.iter().any(|other| alive(&other.value) && of(&other.value));
            // One that cannot be given up now does not hold up the others.
            if let Err(failure) = self.give_up_link(link, another).await {
                tracing::warn!(error = %failure, "a permission that nobody wanted could not be given back now");
            }
        }
        Ok(())
    }
    async fn give_up_link(&self, mut link: Stored<LinkRow>, another: bool) -> Result<(), Failure> {
        let wallet = WalletId::parse(&link.value.wallet).map_err(|_| broken("a wallet's id is none"))?;
        if !another {
            // With the last try our tokens go, or the account would outlive its linking.
            let last_from = link.value.expires_ms + GIVE_UP_TRIES_MS - 2 * CHOICE_IN_FLIGHT_MS;
            let at_last = self.host.now().unix_millis() > last_from;
            self.give_up_account(wallet, &link.value.maker, at_last).await?;
        }
        if let Ok(id) = link.id.as_slice().try_into() {
            self.offers.forget(LinkId::from_bytes(id));
        }
        link.value.choosing = false;
        let mut change = Change::new(&self.db, &self.host);
        change.update(&link, expires_at(link.value.expires_ms));
        change.journal("link", &link.id, "nothing_chosen", &json!({}));
        change.commit().await?;
        Ok(())
    }
}

impl LinkRow {
    /// When it is forgotten, whatever became of it: one whose permission is not given back yet is kept for some tries.
    pub(crate) const fn over_ms(&self) -> i64 {
        self.expires_ms + if self.choosing { GIVE_UP_TRIES_MS } else { 0 }
    }
}

fn no_fleet(cars: &[VehicleFindings]) -> Result<(), Problem> {
    if cars.len() <= CARS_MAX {
        return Ok(());
    }
    let fleet = Problem::new(409, "account_of_a_fleet", "this account has more cars than one person\u{2019}s");
    Err(fleet.detail("link with an account of your own, also if you lease the car"))
}

/// What a linking offers.
struct Offer {
    row: Stored<LinkRow>,
    maker: String,
    cars: Vec<VehicleFindings>,
}

fn gone() -> Problem {
    Problem::new(404, "link_unknown", "this linking is over or never began").detail("start it again")
}
