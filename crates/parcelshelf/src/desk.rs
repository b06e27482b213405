//! The desk of the demo: what a person in three windows cannot do with a browser. It ships parcels, lends hands at simulated
//! cars, certifies phones as a depot does, loads the van, and plays the courier. The tests in real browsers use it, too.
//!
//! It listens on loopback, belongs to the demo and to no party, and does everything through the parties' own interfaces.

mod play;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use parcelshelf_client::depot::enrol_shown;
use parcelshelf_client::shipping::{Order, ParcelOrder};
use parcelshelf_core::id::{CourierId, DeliveryId};
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_edge::json::StrictJson;
use parcelshelf_protocol::encoding::b64;
use parcelshelf_protocol::enrol::{Enrolment, six_digits};
use parcelshelf_protocol::grant::Disclose;
use parcelshelf_protocol::keys::Keys;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::stage::Scene;

/// Lines of the play that are kept.
const LINES_MAX: usize = 200;

/// A parcel that was shipped here.
#[derive(Debug, Clone)]
struct Shipped {
    consent_url: String,
    labels: Vec<String>,
    parcels: Vec<String>,
}

/// A courier who was hired here.
#[derive(Debug, Clone)]
struct Hired {
    id: CourierId,
    name: String,
    code: String,
}

/// The desk and what lies on it.
#[derive(Debug)]
pub struct Desk {
    scene: Arc<Scene>,
    shipped: Mutex<BTreeMap<String, Shipped>>,
    couriers: Mutex<Vec<Hired>>,
    /// Staff by name, with the address that makes their passkey.
    invited: Mutex<Vec<(String, String)>>,
    lines: Mutex<Vec<String>>,
    played: tokio::sync::Mutex<Option<crate::people::Courier>>,
}

type D = State<Arc<Desk>>;
type Said = Result<Json<Value>, Failed>;

/// What went wrong, for whoever stands at the desk.
struct Failed(anyhow::Error);
impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::CONFLICT, Json(json!({ "error": format!("{:#}", self.0) }))).into_response()
    }
}
impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(e: E) -> Self {
        Self(e.into())
    }
}

/// Runs what people do: their waiting may not move between threads.
async fn aside<T: Send + 'static>(act: impl AsyncFnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    let here = tokio::runtime::Handle::current();
    Ok(tokio::task::spawn_blocking(move || here.block_on(act())).await?)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// After midnight UTC: four hours from here lie on one date from Honolulu to Tokyo, and a rule covers one delivery a date.
const LATER_WINDOW_START_S: i64 = 10 * 3_600;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ship {
    #[serde(default = "one")]
    parcels: u32,
    /// `put` or `take`.
    #[serde(default = "put")]
    direction: String,
    #[serde(default = "recipient")]
    recipient: String,
    #[serde(default = "address")]
    fallback_address: String,
    /// Of an earlier delivery, under which this one is announced.
    #[serde(default)]
    rule: Option<String>,
    /// Days until the window, which is then [`LATER_WINDOW_START_S`]; 0: it begins now.
    #[serde(default)]
    in_days: u8,
}
fn one() -> u32 {
    1
}
fn put() -> String {
    String::from("put")
}
fn recipient() -> String {
    String::from("Kim Larsen")
}
fn next_stop() -> String {
    String::from("next_stop")
}
fn address() -> String {
    String::from("12 Harbour Street")
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hand {
    maker: String,
    vin: String,
    action: Value,
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    maker: String,
    vin: String,
    fault: Value,
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scanned {
    /// What the QR on the courier's phone says.
    text: String,
    courier: String,
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Load {
    delivery: String,
    courier: String,
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    delivery: String,
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Allow {
    delivery: String,
    maker: String,
    vin: String,
    /// `next_stop` or `area`.
    #[serde(default = "next_stop")]
    disclose: String,
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    name: String,
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Staff {
    name: String,
    role: String,
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Doors {
    courier: String,
    stops: Value,
}

impl Desk {
    #[must_use]
    pub fn new(scene: Arc<Scene>) -> Arc<Self> {
        Arc::new(Self {
            scene,
            shipped: Mutex::default(),
            couriers: Mutex::default(),
            invited: Mutex::default(),
            lines: Mutex::default(),
            played: tokio::sync::Mutex::default(),
        })
    }

    /// Opens the desk on a free port of this machine; it stays until the process ends.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn open(self: &Arc<Self>) -> anyhow::Result<String> {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/", get(page))
            .route("/desk.js", get(script))
            .route("/state", get(state))
            .route("/parcels", post(ship))
            .route("/hands", post(hand))
            .route("/faults", post(fault))
            .route("/depot", post(certify_phone))
            .route("/load", post(load))
            .route("/leg", post(leg))
            .route("/reassign", post(reassign))
            .route("/route", post(doors))
            .route("/couriers", post(hire))
            .route("/staff", post(invite))
            .route("/play", post(play_courier))
            .route("/owner", post(play_owner))
            .with_state(Arc::clone(self));
        tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(format!("http://localhost:{}", address.port()))
    }

    /// What is written down for whoever reads along.
    fn tell(&self, line: impl Into<String>) {
        let mut lines = locked(&self.lines);
        lines.push(line.into());
        let much = lines.len().saturating_sub(LINES_MAX);
        lines.drain(..much);
    }

    /// Hires a courier for the app; the code is kept here, for this is a demo.
    ///
    /// # Errors
    /// When the carrier does not answer.
    pub async fn hire(&self, name: &str) -> anyhow::Result<Value> {
        let key = b64(self.scene.host.random::<16>());
        let (id, code) = self.scene.dispatch().hire(name, &key).await.context("to hire a courier")?;
        locked(&self.couriers).push(Hired { id, name: name.to_owned(), code: code.clone() });
        Ok(self.courier_json(&Hired { id, name: name.to_owned(), code }))
    }
    fn courier_json(&self, c: &Hired) -> Value {
        let link = format!("{}/#code={}", self.scene.layout.courier_origin, c.code);
        json!({"courier": c.id.to_string(), "name": c.name, "code": c.code, "link": link})
    }

    /// Invites somebody to the operations page.
    ///
    /// # Errors
    /// When the carrier does not answer.
    pub async fn invite(&self, name: &str, role: &str) -> anyhow::Result<Value> {
        let bearer = format!("Bearer {}", self.scene.layout.dispatch_key);
        let body = json!({"name": name, "role": role});
        let answer =
            self.scene.carrier_http().post("/v1/staff/invitations", &[("authorization", &bearer)], &body).await?;
        let url = answer["url"].as_str().context("an invitation without an address")?.to_owned();
        locked(&self.invited).push((name.to_owned(), url));
        Ok(answer)
    }

    fn shipped(&self, delivery: &str) -> anyhow::Result<Shipped> {
        locked(&self.shipped).get(delivery).cloned().context("that parcel was not shipped at this desk")
    }

    async fn cars(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for maker in ["volvo", "onstar"] {
            let Ok(sim) = self.scene.sim_of(maker) else { continue };
            let Ok(answer) = sim.get("/__sim/cars", &[]).await else { continue };
            for mut car in answer["cars"].as_array().cloned().unwrap_or_default() {
                car["maker"] = json!(maker);
                all.push(car);
            }
        }
        all
    }
}

async fn page() -> Html<&'static str> {
    Html(include_str!("desk/desk.html"))
}
async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript")], include_str!("desk/desk.js")).into_response()
}

async fn state(State(desk): D) -> Said {
    let l = &desk.scene.layout;
    let deliveries = desk.scene.deliveries().await?;
    let shipped = locked(&desk.shipped).clone();
    let deliveries: Vec<Value> = deliveries
        .into_iter()
        .filter_map(|mut d| {
            let known = shipped.get(d["delivery"].as_str()?)?;
            d["consent_url"] = json!(known.consent_url);
            d["labels"] = json!(known.labels);
            Some(d)
        })
        .collect();
    let cars = desk.cars().await;
    let couriers: Vec<Value> = locked(&desk.couriers).iter().map(|c| desk.courier_json(c)).collect();
    let staff: Vec<Value> = locked(&desk.invited).iter().map(|(name, url)| json!({"name": name, "url": url})).collect();
    Ok(Json(json!({
        "gateway": l.gateway_origin, "wallet": l.wallet_origin, "stop": l.stop_origin,
        "carrier": l.carrier_origin, "courier": l.courier_origin, "ops": l.ops_origin,
        "dispatch_key": l.dispatch_key, "merchant_key": l.merchant_key,
        "operator": serde_json::from_str::<Value>(&desk.scene.operator.to_jwk()).unwrap_or_default(),
        "sims": {
            "volvo": desk.scene.clouds.volvo,
            "onstar": desk.scene.clouds.onstar,
            "homeassistant-garage": desk.scene.clouds.home,
            "homeassistant-door": desk.scene.clouds.home,
        },
        "cars": cars, "deliveries": deliveries, "couriers": couriers, "staff": staff,
        "lines": *locked(&desk.lines),
    })))
}

async fn ship(State(desk): D, StrictJson { value, .. }: StrictJson<Ship>) -> Said {
    let scene = &desk.scene;
    let now = scene.host.now();
    let day_start = |at: Timestamp| at.unix_seconds() - at.unix_seconds().rem_euclid(86_400);
    let start = match value.in_days {
        0 => now.rounded_down_to_minutes(15),
        days => Timestamp::from_unix_seconds(day_start(now) + i64::from(days) * 86_400 + LATER_WINDOW_START_S),
    };
    let number = u32::from_be_bytes(scene.host.random::<4>()) % 90_000_000 + 10_000_000;
    let labels: Vec<String> = (0..value.parcels).map(|n| format!("FJB{}", number.wrapping_add(n))).collect();
    let parcel = |label: &String| ParcelOrder {
        label: label.clone(),
        size_mm: [300, 200, 100],
        weight_g: 1_200,
        value_minor: 4_900,
        currency: String::from("USD"),
        direction: value.direction.clone(),
    };
    let order = Order {
        merchant_id: String::from("fjord-books"),
        merchant_name: String::from("Fjord Books"),
        recipient: value.recipient.clone(),
        fallback_address: value.fallback_address.clone(),
        parcels: labels.iter().map(parcel).collect(),
        window: Window::new(start, start.plus_seconds(4 * 3_600))?,
        fallbacks: vec![String::from("address"), String::from("return")],
        rule: value.rule.clone(),
    };
    let ordered = scene.merchant().ship(&order, &b64(scene.host.random::<16>())).await.context("to ship")?;
    let delivery = ordered.delivery.to_string();
    let shipped =
        Shipped { consent_url: ordered.consent_url.clone(), labels: labels.clone(), parcels: ordered.parcels.clone() };
    locked(&desk.shipped).insert(delivery.clone(), shipped);
    Ok(Json(json!({
        "delivery": delivery, "consent_url": ordered.consent_url, "labels": labels, "parcels": ordered.parcels,
    })))
}

async fn hand(State(desk): D, StrictJson { value, .. }: StrictJson<Hand>) -> Said {
    let path = format!("/__sim/cars/{}/hand", value.vin);
    Ok(Json(desk.scene.sim_of(&value.maker)?.post(&path, &[], &value.action).await?))
}
async fn fault(State(desk): D, StrictJson { value, .. }: StrictJson<Fault>) -> Said {
    let path = format!("/__sim/cars/{}/faults", value.vin);
    Ok(Json(desk.scene.sim_of(&value.maker)?.post(&path, &[], &value.fault).await?))
}

/// The depot: reads what the phone shows, certifies the key, and says which courier uses it.
async fn certify_phone(State(desk): D, StrictJson { value, .. }: StrictJson<Scanned>) -> Said {
    let shown = Enrolment::parse(&value.text).context("the code is not a phone's")?;
    let scene = &desk.scene;
    let depot = &scene.depot;
    let aud = &depot.cert.claims().aud;
    let gateway = scene.gateway_http();
    let cert = enrol_shown(&gateway, &depot.key, depot.cert.jws(), aud, &shown, &scene.host).await?;
    let courier = CourierId::parse(&value.courier)?;
    scene.dispatch().assign_device(courier, shown.device(), &b64(scene.host.random::<16>())).await?;
    // What the phone shows, too, if nobody stands between.
    let keys = gateway.get("/v1/keys", &[]).await?;
    let digits = six_digits(shown.device(), &Keys::peek_log(keys["keys"].as_str().unwrap_or_default())?);
    Ok(Json(json!({"thumbprint": shown.device().to_string(), "device_cert": cert.jws(), "digits": digits})))
}

async fn load(State(desk): D, StrictJson { value, .. }: StrictJson<Load>) -> Said {
    let (delivery, courier) = (DeliveryId::parse(&value.delivery)?, CourierId::parse(&value.courier)?);
    let key = b64(desk.scene.host.random::<16>());
    Ok(Json(desk.scene.dispatch().load(delivery, courier, &key).await.context("to load")?))
}
/// The courier sets out: the address of the stop page.
async fn leg(State(desk): D, StrictJson { value, .. }: StrictJson<Load>) -> Said {
    let hired = locked(&desk.couriers).iter().find(|c| c.id.to_string() == value.courier).cloned();
    let hired = hired.context("that courier was not hired at this desk")?;
    let delivery = DeliveryId::parse(&value.delivery)?;
    let key = b64(desk.scene.host.random::<16>());
    let url = desk.scene.courier(&hired.code).start_leg(delivery, &key).await.context("to set out")?;
    Ok(Json(json!({"stop_url": url})))
}
/// Dispatch gives it to another courier, also when the first has set out.
async fn reassign(State(desk): D, StrictJson { value, .. }: StrictJson<Load>) -> Said {
    let bearer = format!("Bearer {}", desk.scene.layout.dispatch_key);
    let path = format!("/v1/ops/deliveries/{}/reassign", value.delivery);
    let body = json!({ "courier": value.courier });
    Ok(Json(desk.scene.carrier_http().post(&path, &[("authorization", &bearer)], &body).await?))
}
async fn doors(State(desk): D, StrictJson { value, .. }: StrictJson<Doors>) -> Said {
    let bearer = format!("Bearer {}", desk.scene.layout.dispatch_key);
    let path = format!("/v1/couriers/{}/route", value.courier);
    let body = json!({ "stops": value.stops });
    Ok(Json(desk.scene.carrier_http().post(&path, &[("authorization", &bearer)], &body).await?))
}
async fn hire(State(desk): D, StrictJson { value, .. }: StrictJson<Name>) -> Said {
    Ok(Json(desk.hire(&value.name).await?))
}
async fn invite(State(desk): D, StrictJson { value, .. }: StrictJson<Staff>) -> Said {
    Ok(Json(desk.invite(&value.name, &value.role).await?))
}
/// Begins, and tells how it goes in the lines of the state.
async fn play_courier(State(desk): D, StrictJson { value, .. }: StrictJson<One>) -> Said {
    let delivery = DeliveryId::parse(&value.delivery)?;
    let shipped = desk.shipped(&value.delivery)?;
    let playing = Arc::clone(&desk);
    tokio::spawn(aside(async move || {
        if let Err(error) = playing.play(delivery, &shipped).await {
            playing.tell(format!("It did not work: {error:#}"));
        }
    }));
    Ok(Json(json!({})))
}
/// An owner with this car allows a delivery: links the car, proves possession, signs.
async fn play_owner(State(desk): D, StrictJson { value, .. }: StrictJson<Allow>) -> Said {
    let shipped = desk.shipped(&value.delivery)?;
    let delivery = DeliveryId::parse(&value.delivery)?;
    let disclose = Disclose::parse(&value.disclose).context("a place is shown at next_stop or by area")?;
    aside(async move || desk.allow(delivery, &shipped, (&value.maker, &value.vin), disclose).await).await??;
    Ok(Json(json!({})))
}
