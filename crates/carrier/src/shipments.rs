//! Shipments: parcel rules, the request to the owner, and the link that carries it.

use parcelshelf_core::id::{DeliveryId, ParcelId, ShipmentId};
use parcelshelf_core::reason::{Fallback, Purpose};
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_delivery::delivery::{Delivery, Direction};
use parcelshelf_delivery::parcel::{self, Money, ParcelFacts, Rules, Trait};
use parcelshelf_edge::idempotency::Key;
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::{Hash, TokenId, b64};
use parcelshelf_protocol::label;
use parcelshelf_protocol::request::{Direction as ItemDirection, Item, Merchant, Request, RequestClaims, Ticket};
use parcelshelf_store::Version;
use serde_json::{Value, json};

use crate::Carrier;
use crate::db::{
    ACCEPT, AccessPart, Change, DELIVERIES, DeliveryRow, ERASE, Failure, Personal, WINDOW, delivery_index,
};
use crate::hooks::NOT_AT_ONCE_S;
use crate::http::bodies::{NewParcel, NewShipment};
use crate::jobs::ASK_ACCEPTED_S;
use crate::model::{DeliveryPart, ParcelPart};

/// A request can be answered for this long, and never after its window.
const REQUEST_DAYS: i64 = 14;

struct Planned {
    id: ParcelId,
    direction: Direction,
    item: Item,
}

impl Carrier {
    /// Takes a shipment: checks every parcel, signs the request, and answers with the link for the owner.
    pub(crate) async fn ship(&self, merchant: &str, order: &NewShipment, key: &Key) -> Result<Value, Failure> {
        let now = self.host.now();
        let window = window_of(order)?;
        let fallbacks = fallbacks_of(order)?;
        if order.rule.as_ref().is_some_and(|rule| Hash::parse(rule).is_none()) {
            let wrong = Problem::new(422, "body_wrong_member", "a rule is 43 characters of base64url");
            return Err(wrong.into());
        }
        let (shipment, delivery) =
            (ShipmentId::from_bytes(self.host.random()), DeliveryId::from_bytes(self.host.random()));
        let salt = self.host.random::<16>();
        let planned = order.parcels.iter().map(|p| self.plan(p, &salt)).collect::<Result<Vec<_>, Problem>>()?;
        let parcels = planned.iter().map(|p| (p.id, p.direction)).collect();
        let machine = Delivery::request(delivery, window, parcels, fallbacks.clone(), now).map_err(|e| {
            Problem::new(422, "shipment_not_possible", "this cannot be a delivery").detail(e.to_string())
        })?;
        let claims = self.request_claims(order, delivery, &planned, window, &fallbacks, salt, now)?;
        let request = Request::sign(&claims, &self.papers.delegation_key)
            .map_err(|r| Problem::new(422, r.code(), "the owner could not be asked with these words"))?;

        let mut state = DeliveryPart {
            phase: String::new(),
            start_ms: window.start().unix_millis(),
            end_ms: window.end().unix_millis(),
            access_start_ms: None,
            access_end_ms: None,
            courier: None,
            delegation: None,
            until_ms: None,
            end: None,
            fallbacks: fallbacks.iter().map(|f| f.code().to_owned()).collect(),
            parcels: planned.iter().map(ParcelPart::of).collect(),
        };
        state.update(machine);
        let personal = Personal {
            recipient: order.recipient.name.clone(),
            fallback_address: order.recipient.fallback_address.clone(),
            labels: order.parcels.iter().map(|p| p.label.clone()).collect(),
        };
        let row = DeliveryRow {
            v: 2,
            shipment: shipment.to_string(),
            merchant: merchant.to_owned(),
            state,
            personal,
            request: request.jws().to_owned(),
            salt: b64(salt),
            accepted: None,
            leg: None,
            access: AccessPart::default(),
            ready: None,
            hold: None,
            erasing: false,
            carried_by: None,
            announce: order.rule.clone(),
            standing: false,
            hook: None,
        };
        let answer = json!({
            "shipment": shipment.to_string(),
            "delivery": delivery.to_string(),
            "state": row.state.phase,
            "consent_url": self.consent_url(&row),
            "parcels": planned.iter().zip(&order.parcels).map(|(p, o)| json!({
                "parcel": p.id.to_string(), "label_tail": tail(&o.label),
            })).collect::<Vec<_>>(),
        });
        let mut change = Change::new(self);
        change.put(DELIVERIES, delivery.as_bytes(), Version::Absent, &row, delivery_index(&row));
        change.journal(DELIVERIES, delivery.as_bytes(), "requested", &json!({}));
        // The feed brings the answer; this asks once more in case it does not. What the owner may have allowed in advance is
        // announced now.
        let wait = if row.announce.is_some() { 0 } else { ASK_ACCEPTED_S };
        change.job(ACCEPT, delivery.as_bytes(), self.kept_now().plus_seconds(wait));
        change.job(WINDOW, delivery.as_bytes(), window.end());
        // Whatever becomes of it, nobody keeps it for ever.
        change.job(ERASE, delivery.as_bytes(), self.config.retention.unfinished(window.end()));
        self.plan_to_tell(&mut change, delivery.as_bytes(), &row, now.plus_seconds(NOT_AT_ONCE_S));
        change.answer(Some(key), (DELIVERIES, delivery.as_bytes()), 201, &answer);
        change.commit().await?;
        Ok(answer)
    }

    fn plan(&self, p: &NewParcel, salt: &[u8; 16]) -> Result<Planned, Problem> {
        let wrong = |what: &'static str| Problem::new(422, "body_wrong_member", what);
        let currency: [u8; 3] =
            p.currency.as_bytes().try_into().map_err(|_| wrong("a currency has three upper-case letters"))?;
        let traits = p.flags.iter().map(|f| Trait::parse(f)).collect::<Option<Vec<_>>>();
        let facts = ParcelFacts {
            size_mm: p.size_mm,
            weight_g: p.weight_g,
            value: Money { minor: p.value_minor, currency },
            traits: traits.ok_or_else(|| wrong("a flag is unknown"))?,
            bears_minutes_in_car: p.bears_minutes_in_car,
        };
        if let Err(violations) = parcel::check(&facts, &Rules::default()) {
            let codes: Vec<&str> = violations.iter().map(|v| v.code()).collect();
            return Err(Problem::new(422, "parcel_rule", "a parcel may not go into a car")
                .with("violations", json!(codes))
                .detail("offer another way of delivery for it"));
        }
        let label = label::hash(salt, &p.label).map_err(|_| wrong("a label has 4 to 48 letters and digits"))?;
        let direction = Direction::parse(&p.direction).ok_or_else(|| wrong("a direction is put or take"))?;
        let item = Item {
            direction: match direction {
                Direction::Put => ItemDirection::Put,
                Direction::Take => ItemDirection::Take,
            },
            size_mm: p.size_mm,
            weight_g: p.weight_g,
            value_minor: p.value_minor,
            currency: p.currency.clone(),
            label,
        };
        Ok(Planned { id: ParcelId::from_bytes(self.host.random()), direction, item })
    }

    #[expect(clippy::too_many_arguments, reason = "everything a request says, once")]
    fn request_claims(
        &self,
        order: &NewShipment,
        delivery: DeliveryId,
        planned: &[Planned],
        window: Window,
        fallbacks: &[Fallback],
        salt: [u8; 16],
        now: Timestamp,
    ) -> Result<RequestClaims, Problem> {
        let takes_only = planned.iter().all(|p| p.direction == Direction::Take);
        // Seconds are the unit of tokens: a window is asked for in whole ones.
        let whole = |t: Timestamp| Timestamp::from_unix_seconds(t.unix_seconds());
        let window = Window::new(whole(window.start()), whole(window.end()))
            .map_err(|_| Problem::new(422, "body_wrong_member", "the window is empty"))?;
        let number = u32::from_be_bytes(self.host.random::<4>()) % 10_000;
        Ok(RequestClaims {
            iss: self.papers.root,
            aud: self.config.aud.clone(),
            jti: TokenId::from_bytes(self.host.random()),
            iat: now,
            exp: now.plus_seconds(REQUEST_DAYS * 86_400).min(window.end()),
            delivery,
            carrier: self.config.name.clone(),
            merchant: Merchant { id: order.merchant.id.clone(), name: order.merchant.name.clone() },
            purpose: if takes_only { Purpose::Pickup } else { Purpose::Delivery },
            items: planned.iter().map(|p| p.item.clone()).collect(),
            window,
            fallbacks: fallbacks.to_vec(),
            initials: initials(&order.recipient.name),
            order_digits: format!("{number:04}"),
            salt,
        })
    }

    pub(crate) fn consent_url(&self, row: &DeliveryRow) -> String {
        let ticket = Ticket::join(&row.request, &self.papers.delegation_cert, &self.papers.carrier_cert);
        format!("{}/consent#{ticket}", self.config.wallet_origin)
    }
}

impl ParcelPart {
    fn of(p: &Planned) -> Self {
        Self {
            parcel: p.id.to_string(),
            direction: p.direction.code().to_owned(),
            state: String::from("planned"),
            reason: None,
            fallback: None,
            label: p.item.label.to_string(),
            size_mm: p.item.size_mm,
        }
    }
}

/// The last four characters of a label: enough to tell two parcels apart on a van.
pub(crate) fn tail(label: &str) -> String {
    let kept: Vec<char> = label.chars().filter(char::is_ascii_alphanumeric).collect();
    kept[kept.len().saturating_sub(4)..].iter().collect()
}

fn initials(name: &str) -> String {
    let letters: String = name.split_whitespace().filter_map(|w| w.chars().next()).take(2).collect();
    if letters.is_empty() || letters.len() > 8 { String::from("-") } else { letters.to_uppercase() }
}

fn window_of(order: &NewShipment) -> Result<Window, Problem> {
    let wrong = || {
        Problem::new(422, "body_wrong_member", "the window is not two times of RFC 3339, the second after the first")
    };
    let time = |text: &str| Timestamp::parse_rfc3339(text).map_err(|_| wrong());
    Window::new(time(&order.window.start)?, time(&order.window.end)?).map_err(|_| wrong())
}

fn fallbacks_of(order: &NewShipment) -> Result<Vec<Fallback>, Problem> {
    let all = order.fallbacks.iter().map(|f| Fallback::parse(f)).collect::<Option<Vec<_>>>();
    all.ok_or_else(|| {
        Problem::new(422, "body_wrong_member", "a fallback is address, parcel_shop, next_window or return")
    })
}
