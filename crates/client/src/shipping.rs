//! The carrier's interface: merchants post shipments, dispatch loads vans, couriers start legs and say outcomes.

use http::Method;
use parcelshelf_core::id::{CourierId, DeliveryId};
use parcelshelf_core::time::Window;
use parcelshelf_protocol::encoding::Thumbprint;
use serde_json::{Value, json};

use crate::http::text;
use crate::{Failure, Host, Http};

/// One principal at a carrier.
#[derive(Debug, Clone)]
pub struct Shipping {
    http: Http,
    host: Host,
    bearer: String,
}

/// A parcel as a merchant describes it.
#[derive(Debug, Clone)]
pub struct ParcelOrder {
    pub label: String,
    pub size_mm: [u32; 3],
    pub weight_g: u32,
    pub value_minor: u64,
    pub currency: String,
    /// `put` or `take`.
    pub direction: String,
}

/// A shipment as a merchant orders it.
#[derive(Debug, Clone)]
pub struct Order {
    pub merchant_id: String,
    pub merchant_name: String,
    pub recipient: String,
    pub fallback_address: String,
    pub parcels: Vec<ParcelOrder>,
    pub window: Window,
    pub fallbacks: Vec<String>,
    /// Of an earlier delivery to the same person, under which this one is announced.
    pub rule: Option<String>,
}

/// What the carrier answered.
#[derive(Debug, Clone)]
pub struct Ordered {
    pub delivery: DeliveryId,
    /// Where the owner consents; the fragment holds the signed request.
    pub consent_url: String,
    pub parcels: Vec<String>,
}

impl Shipping {
    /// `key` is a merchant's, dispatch's or a courier's key of the carrier at `base`.
    #[must_use]
    pub fn new(base: &str, key: &str, host: &Host) -> Self {
        Self { http: Http::new(base, &host.client), host: host.clone(), bearer: format!("Bearer {key}") }
    }

    /// The same principal over another network and clock: a phone's.
    #[must_use]
    pub fn over(&self, host: &Host) -> Self {
        Self { http: self.http.over(&host.client), host: host.clone(), bearer: self.bearer.clone() }
    }
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    async fn call(&self, path: &str, key: &str, body: &Value) -> Result<Value, Failure> {
        let headers = [("authorization", self.bearer.as_str()), ("idempotency-key", key)];
        self.http.send(Method::POST, path, &headers, Some(body.to_string().into_bytes())).await
    }

    /// Posts a shipment. Safe to repeat with the same `key`.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn ship(&self, order: &Order, key: &str) -> Result<Ordered, Failure> {
        let parcels: Vec<Value> = order
            .parcels
            .iter()
            .map(|p| {
                json!({
                    "label": p.label, "size_mm": p.size_mm, "weight_g": p.weight_g, "value_minor": p.value_minor,
                    "currency": p.currency, "flags": [], "direction": p.direction,
                })
            })
            .collect();
        let mut body = json!({
            "merchant": {"id": order.merchant_id, "name": order.merchant_name},
            "recipient": {"name": order.recipient, "fallback_address": order.fallback_address},
            "parcels": parcels,
            "window": {"start": order.window.start().to_rfc3339(), "end": order.window.end().to_rfc3339()},
            "fallbacks": order.fallbacks,
        });
        if let Some(rule) = &order.rule {
            body["rule"] = json!(rule);
        }
        let answer = self.call("/v1/shipments", key, &body).await?;
        let delivery =
            DeliveryId::parse(&text(&answer, "delivery")?).map_err(|_| Failure::Unexpected("no delivery"))?;
        let parcels = answer["parcels"].as_array().into_iter().flatten();
        Ok(Ordered {
            delivery,
            consent_url: text(&answer, "consent_url")?,
            parcels: parcels.filter_map(|p| p["parcel"].as_str()).map(str::to_owned).collect(),
        })
    }

    /// One delivery as the carrier sees it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn delivery(&self, delivery: DeliveryId) -> Result<Value, Failure> {
        self.http.get(&format!("/v1/deliveries/{delivery}"), &[("authorization", &self.bearer)]).await
    }

    /// What happened to a delivery, as the carrier keeps it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn journal(&self, delivery: DeliveryId) -> Result<Value, Failure> {
        self.http.get(&format!("/v1/deliveries/{delivery}/journal"), &[("authorization", &self.bearer)]).await
    }

    /// Everything that the carrier keeps of a delivery, for the person whom it is about.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn export(&self, delivery: DeliveryId) -> Result<Value, Failure> {
        self.http.get(&format!("/v1/deliveries/{delivery}/export"), &[("authorization", &self.bearer)]).await
    }

    /// Erases a courier who has left.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn erase_courier(&self, courier: CourierId, key: &str) -> Result<Value, Failure> {
        self.call(&format!("/v1/couriers/{courier}/erase"), key, &json!({})).await
    }

    /// Hires a courier; the token is shown once.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn hire(&self, name: &str, key: &str) -> Result<(CourierId, String), Failure> {
        let answer = self.call("/v1/couriers", key, &json!({"name": name})).await?;
        let id = CourierId::parse(&text(&answer, "courier")?).map_err(|_| Failure::Unexpected("no courier"))?;
        Ok((id, text(&answer, "token")?))
    }

    /// Says which device a courier uses.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn assign_device(&self, courier: CourierId, device: Thumbprint, key: &str) -> Result<(), Failure> {
        let body = json!({"device": device.to_string()});
        self.call(&format!("/v1/couriers/{courier}/device"), key, &body).await.map(drop)
    }

    /// Puts a delivery on a courier's van.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn load(&self, delivery: DeliveryId, courier: CourierId, key: &str) -> Result<Value, Failure> {
        self.call(&format!("/v1/deliveries/{delivery}/load"), key, &json!({"courier": courier.to_string()})).await
    }

    /// The courier sets out for this stop; returns the stop page's address.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn start_leg(&self, delivery: DeliveryId, key: &str) -> Result<String, Failure> {
        text(&self.call(&format!("/v1/deliveries/{delivery}/leg"), key, &json!({})).await?, "stop_url")
    }

    /// A courier's own route.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn route(&self) -> Result<Value, Failure> {
        self.http.get("/v1/courier/route", &[("authorization", &self.bearer)]).await
    }

    /// Any other step of a delivery: `arrived`, `finish`, `cancel`, `parcels/<id>/outcome`, `fallback-done`.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn step(&self, delivery: DeliveryId, step: &str, key: &str, body: &Value) -> Result<Value, Failure> {
        self.call(&format!("/v1/deliveries/{delivery}/{step}"), key, body).await
    }
}
