//! What a wallet shows that no statement asks for: which makers there are, its deliveries, the area around a car.

use parcelshelf_core::actuation::Place;
use parcelshelf_core::area::{Area, Cell};
use parcelshelf_core::id::{AttemptId, DeliveryId, VehicleId, WalletId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_log::record::Kind;
use parcelshelf_opening::conditions::Denial;
use parcelshelf_protocol::accepted::Accepted;
use parcelshelf_protocol::encoding::{b64, from_b64};
use parcelshelf_protocol::grant::{Grant, GrantClaims};
use parcelshelf_protocol::seal::Purpose;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::db::{Change, Stored, wallet_key};
use crate::failure::{Failure, broken};
use crate::grants::window_of;
use crate::http::bodies::{MakerOut, MakersOut};
use crate::rows::GrantRow;

/// Deliveries in one list: they fit one sealed box.
const LISTED_MAX: usize = 100;
/// Cells around a car's own: about 35 square kilometres together, so that the area says nothing about the street.
const AREA_RINGS: u32 = 1;

impl Keyholder {
    /// Whose cars can be linked here, and the key that admits carriers: by it a wallet checks a request.
    pub(crate) fn makers_told(&self) -> Result<MakersOut, Failure> {
        let operator =
            self.config.operator.key().map_err(|_| broken("the operator's key in the configuration is none"))?;
        let operator = serde_json::from_str(&operator.to_jwk()).map_err(|_| broken("a key's JSON cannot be read"))?;
        let told = self.makers.told().map(|access| MakerOut {
            maker: access.facts().maker,
            makes: access.makes().to_vec(),
            kind: self.place_of(access.facts().maker).code(),
            opens: access.facts().classes.iter().map(|class| class.code()).collect(),
        });
        Ok(MakersOut { makers: told.collect(), operator })
    }

    /// The newest deliveries of a wallet and what is blocked, sealed to its devices.
    pub(crate) async fn deliveries_envelope(&self, wallet: WalletId) -> Result<String, Failure> {
        let owner = self.wallet(wallet).await?;
        let mut all = Vec::new();
        for grant in self.grants_of(wallet).await? {
            let signed = Grant::verify(&grant.value.papers.grant)?;
            all.push((allowed_at(&grant.value, signed.claims())?, signed.claims().clone(), grant));
        }
        all.sort_by_key(|(at, _, _)| std::cmp::Reverse(at.unix_millis()));
        let more = all.len() > LISTED_MAX;
        let mut deliveries = Vec::new();
        for (_, claims, grant) in all.into_iter().take(LISTED_MAX) {
            deliveries.push(self.delivery_told(&claims, &grant).await?);
        }
        let content = json!({
            "deliveries": deliveries,
            "more": more,
            "blocked_all": owner.value.blocked_all,
            "blocked_carriers": owner.value.blocked_carriers,
            "blocked_couriers": owner.value.blocked_couriers,
            "paused_until": owner.value.paused_until(self.host.now()).map(Timestamp::to_rfc3339),
            "at_door": self.at_door(wallet).await?,
        });
        self.to_owner(&owner.value, wallet, Purpose::Account, &wallet.to_string(), content.to_string().as_bytes())
    }

    async fn delivery_told(&self, claims: &GrantClaims, grant: &Stored<GrantRow>) -> Result<Value, Failure> {
        let row = &grant.value;
        let delivery = DeliveryId::parse(&b64(&grant.id)).map_err(|_| broken("a delivery's id is none"))?;
        let request = row.papers.request.as_deref().map(payload_of).unwrap_or_default();
        let window = window_of(row)?;
        Ok(json!({
            "delivery": delivery.to_string(),
            "purpose": claims.purpose.code(),
            // What the list speaks of: a grant opens parts of one kind.
            "kind": claims.opens.first().map_or(Place::Car, |class| class.belongs_to()).code(),
            "from": window.start().to_rfc3339(),
            "until": window.end().to_rfc3339(),
            "granted_at": allowed_at(row, claims)?.to_rfc3339(),
            "rule": row.rule,
            "carrier": row.cnf,
            "merchant": request["merchant"]["name"],
            "guest": match claims.purpose {
                parcelshelf_core::reason::Purpose::Guest => self.guest_name(delivery, row).await?,
                _ => None,
            },
            "items": request["items"].as_array().map_or(0, Vec::len),
            "state": row.status.state,
            "reason": row.status.reason,
            "blocked": row.use_state.blocked_ms.is_some(),
            "attempt": self.attempt_told(delivery).await?,
        }))
    }

    async fn attempt_told(&self, delivery: DeliveryId) -> Result<Value, Failure> {
        let Some(row) = self.latest_attempt(delivery).await? else { return Ok(Value::Null) };
        let id = AttemptId::parse(&b64(&row.id)).map_err(|_| broken("an attempt's id is none"))?;
        self.attempt_json(id).await
    }

    /// One delivery with the very bytes that were signed, for a device that was not there.
    pub(crate) async fn delivery_envelope(&self, wallet: WalletId, delivery: DeliveryId) -> Result<String, Failure> {
        let owner = self.wallet(wallet).await?;
        let grant = self.own_grant(wallet, delivery).await?;
        let claims = Grant::verify(&grant.value.papers.grant)?.claims().clone();
        let mut told = self.delivery_told(&claims, &grant).await?;
        let row = &grant.value;
        told["grant"] = json!(row.papers.grant);
        told["request"] = json!(row.papers.request);
        told["accepted"] = json!(row.papers.accepted);
        told["vehicles"] = json!(self.vehicles_granted(delivery, row).await?);
        self.to_owner(&owner.value, wallet, Purpose::Account, &delivery.to_string(), told.to_string().as_bytes())
    }

    async fn vehicles_granted(&self, delivery: DeliveryId, row: &GrantRow) -> Result<Vec<String>, Failure> {
        let key = crate::db::delivery_key(delivery);
        let Some(sealed) = self.db.vault.open(&key, "rule", &row.papers.rule_sealed).await? else {
            return Ok(Vec::new());
        };
        let rule = parcelshelf_protocol::content::Rule::parse(&sealed)?;
        Ok(rule.vehicles.iter().map(VehicleId::to_string).collect())
    }

    /// The whole cells around where a car stands now, sealed to its owner, so that an owner need not know what a cell is.
    /// The place itself stays in this request; a leaf says that somebody looked.
    pub(crate) async fn area_envelope(&self, wallet: WalletId, id: VehicleId) -> Result<String, Failure> {
        let owner = self.wallet(wallet).await?;
        let vehicle = self.vehicle(wallet, id).await?;
        let car = self.car_of(&vehicle).await?.value;
        // Who has not proved to stand at the car learns nothing of it, nor does anybody while somebody in it has stopped it.
        self.car_stands(&vehicle, &car).map_err(|why| match why {
            Denial::Halted => Problem::new(409, "halted", "somebody who shares it has stopped everything there"),
            _ => Problem::new(409, "possession_not_proved", "prove first that you stand at this car"),
        })?;
        let silent =
            || Problem::new(409, "car_not_found", "the car does not say where it stands").detail("try again later");
        self.car_answers(&car).map_err(|_| silent())?;
        let mut change = Change::new(&self.db, &self.host);
        change.note(Kind::AreaShown, &[("vehicle", id.to_string())], &wallet_key(wallet)).await?;
        change.commit().await?;
        self.log.ring();
        let seen = self.look_where(&self.reach(wallet, &vehicle).await?).await?;
        let position = seen.located.map(|l| l.position).ok_or_else(silent)?;
        let mut cells = Cell::of(&position).disk(AREA_RINGS);
        cells.sort_unstable();
        let area = Area::new(cells).map_err(|_| broken("cells around a place are no area"))?;
        let content = json!({"area": area.to_strings()}).to_string();
        self.to_owner(&owner.value, wallet, Purpose::Account, &id.to_string(), content.as_bytes())
    }
}

/// When it was allowed: by the owner's signature, or under a standing rule when it was announced.
fn allowed_at(row: &GrantRow, claims: &GrantClaims) -> Result<Timestamp, Failure> {
    match row.rule {
        Some(_) => Ok(Accepted::peek(&row.papers.accepted)?.iat),
        None => Ok(claims.iat),
    }
}

/// The claims of a stored request, which was verified when it came.
pub(crate) fn payload_of(jws: &str) -> Value {
    let payload = jws.split('.').nth(1).and_then(from_b64);
    payload.and_then(|p| serde_json::from_slice(&p).ok()).unwrap_or_default()
}
