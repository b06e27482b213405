//! The courier, played: the same client software that the tests use, with pauses that a person can follow.

use std::time::Duration;

use anyhow::{Context as _, bail};
use parcelshelf_client::courier::{CloseSaid, Stop, StopPage};
use parcelshelf_client::shipping::Ordered;
use parcelshelf_client::wallet::WalletSite;
use parcelshelf_core::area::Position;
use parcelshelf_core::id::DeliveryId;
use parcelshelf_protocol::encoding::b64;
use parcelshelf_protocol::grant::Disclose;
use serde_json::{Value, json};

use super::{Desk, Shipped};
use crate::people::{AtStop, Courier, Hands, Owner, carrier_says, persist};

/// Between two steps, so that the owner sees each in the wallet.
const STEP: Duration = Duration::from_secs(3);
/// A car is this near to the place that was disclosed.
const CAR_WITHIN_M: f64 = 30.0;

impl Desk {
    /// Plays one delivery from the van to the next stop.
    pub(super) async fn play(&self, delivery: DeliveryId, shipped: &Shipped) -> anyhow::Result<()> {
        // One courier, one pair of hands.
        let mut played = self.played.lock().await;
        let scene = &self.scene;
        let key = || b64(scene.host.random::<16>());
        if played.is_none() {
            *played = Some(Courier::hire(scene, "Sam Rivera (played)", &key()).await?);
        }
        let courier = played.as_ref().context("nobody was hired")?;
        let state = scene.dispatch().delivery(delivery).await?;
        match state["state"].as_str() {
            Some("requested") => bail!("the owner has not allowed it yet: open its link in the wallet first"),
            Some("accepted") => {}
            other => bail!("it is {} already", other.unwrap_or("gone")),
        }
        scene.dispatch().load(delivery, courier.id, &key()).await.context("to load")?;
        let url = persist(&scene.host, "the leg", async || courier.shipping.start_leg(delivery, &key()).await).await?;
        self.tell("Sam sets out for this stop.");
        let middle = self.middle_of_area(courier, delivery).await?;
        let pinned = WalletSite::new(&scene.layout.wallet_origin, &scene.host)?.keys().await?;
        let page = StopPage::open(&scene.layout.stop_origin, &pinned, &scene.host).await?;
        let mut at = AtStop { page, stop: Stop::parse(&url)?, courier, phone: middle };
        self.pause().await;
        let place = at.locate().await?.position;
        self.tell("Sam's phone gets the place, sealed to it. The owner is told at this moment, and can stop it.");
        self.pause().await;
        at.phone = place.moved(45.0, 25.0);
        at.describe().await?;
        self.tell("Sam is near, and reads plate and colour.");
        courier.shipping.step(delivery, "arrived", &key(), &json!({})).await?;
        self.pause().await;
        let hands = self.hands_at(&place).await?;
        self.at_the_car(&at, &hands, shipped).await?;
        for parcel in &shipped.parcels {
            let outcome = json!({"outcome": "done"});
            courier.shipping.step(delivery, &format!("parcels/{parcel}/outcome"), &key(), &outcome).await?;
        }
        courier.shipping.step(delivery, "finish", &key(), &json!({})).await?;
        self.tell("Done. Sam goes on; the keys for this stop are gone.");
        Ok(())
    }

    /// An owner, played: signs up, links this car, proves possession, and allows.
    pub(super) async fn allow(
        &self,
        delivery: DeliveryId,
        shipped: &Shipped,
        (maker, vin): (&str, &str),
        disclose: Disclose,
    ) -> anyhow::Result<()> {
        let cars = self.cars().await;
        let car = cars.iter().find(|c| c["vin"] == vin).context("there is no such car")?;
        let login = car["owner"].as_str().context("a car without an owner")?;
        let place = place_of(car).context("a car without a place")?;
        let hands = Hands::at(&self.scene, maker, vin)?;
        let owner = Owner::enrol_at(&self.scene, maker, login, hands, place, "DEM 042").await?;
        let ordered = Ordered { delivery, consent_url: shipped.consent_url.clone(), parcels: shipped.parcels.clone() };
        owner.allow_shown(&self.scene, &ordered, disclose).await?;
        carrier_says(&self.scene.dispatch(), delivery, &["accepted"]).await.map(drop)
    }

    async fn at_the_car(&self, at: &AtStop<'_>, hands: &Hands, shipped: &Shipped) -> anyhow::Result<()> {
        let labels = shipped.labels.iter().map(|l| at.scan(l)).collect::<anyhow::Result<Vec<_>>>()?;
        self.tell("Sam scans the label and asks to open.");
        let attempt = at.ask_to_open(&labels).await?;
        let seen =
            at.follow(attempt, |s| s["state"] == "ready" || s["state"] == "open" || s["ended"] == json!(true)).await?;
        if seen["ended"] == json!(true) {
            bail!("it does not open: {}", seen["reason"].as_str().unwrap_or("no reason given"));
        }
        // Silent cars open for whoever pulls; others want a hand at the lid as well.
        hands.act(&json!({"action": "open_tailgate"})).await?;
        at.follow(attempt, |s| s["state"] == "open").await?;
        self.tell("The lid is open; the parcel goes in.");
        self.pause().await;
        hands.act(&json!({"action": "close_tailgate"})).await?;
        let said = |handle_checked| CloseSaid { handle_checked, photo: None, done: true };
        let over = |s: &Value| s["ended"] == json!(true) || s["state"] == "alarm" || s["state"] == "locked";
        at.shut(true, None).await?;
        let seen = at.follow(attempt, |s| over(s) || s["check_handle"] == json!(true)).await?;
        if seen["check_handle"] == json!(true) {
            at.page.shut(&at.courier.device, &at.stop, at.phone, said(true)).await?;
        }
        let end = at.follow(attempt, over).await?;
        self.tell(format!("Closed and locked: {}.", end["lock_proof"].as_str().unwrap_or("not proved")));
        Ok(())
    }

    async fn pause(&self) {
        self.scene.host.clock.sleep(STEP).await;
    }

    /// Where the courier goes before knowing more.
    async fn middle_of_area(&self, courier: &Courier, delivery: DeliveryId) -> anyhow::Result<Position> {
        let route = courier.shipping.route().await?;
        let stops = route["stops"].as_array().cloned().unwrap_or_default();
        let stop = stops.iter().find(|s| s["car"]["delivery"] == delivery.to_string());
        let area = &stop.context("the delivery is not on the route")?["car"]["area"];
        let degrees = |member: &str| area[member].as_f64().context("an area without a middle");
        Ok(Position::new(degrees("latitude")?, degrees("longitude")?, 20.0)?)
    }

    /// Hands at the simulated car that stands there.
    async fn hands_at(&self, place: &Position) -> anyhow::Result<Hands> {
        for car in self.cars().await {
            let near = place_of(&car).is_some_and(|p| p.distance_m(place) < CAR_WITHIN_M);
            if let (true, Some(maker), Some(vin)) = (near, car["maker"].as_str(), car["vin"].as_str()) {
                return Hands::at(&self.scene, maker, vin);
            }
        }
        bail!("no simulated car stands there")
    }
}

/// Where a simulated car really stands; each maker's simulator has a word of its own for it.
fn place_of(car: &Value) -> Option<Position> {
    let degrees = |member: &str| car["parked"][member].as_f64().or_else(|| car["place"][member].as_f64());
    Position::new(degrees("latitude")?, degrees("longitude")?, 5.0).ok()
}
