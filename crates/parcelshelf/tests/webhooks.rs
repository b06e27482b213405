//! What a merchant's system is told by itself: four words at quarters of an hour, signed, of one size, and sent again until it
//! is taken. Played with simulated time against an endpoint that moves, fails and then listens.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/play.rs"]
#[expect(dead_code, reason = "only the label is needed here")]
mod play;
#[path = "support/second.rs"]
#[allow(dead_code, reason = "one story of many")]
mod second;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use parcelshelf::people::{carrier_says, order, persist};
use parcelshelf::stage::Setting;
use parcelshelf_core::id::DeliveryId;
use parcelshelf_protocol::encoding::{b64, from_b64};
use play::LABEL;
use second::Theatre;
use serde_json::{Value, json};

const SECRET: [u8; 32] = [7; 32];
const QUARTER_S: i64 = 900;

/// One request as it arrived.
#[derive(Debug, Clone)]
struct Got {
    id: String,
    seconds: i64,
    signature: String,
    body: String,
    taken: bool,
}
impl Got {
    fn changes(&self) -> Vec<(String, String)> {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        let changes = body["data"]["changes"].as_array().unwrap();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        changes.iter().map(|c| (text(&c["delivery"]), text(&c["class"]))).collect()
    }
}

#[derive(Default)]
struct Shop {
    got: Mutex<Vec<Got>>,
    elsewhere: Mutex<u32>,
}
impl Shop {
    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
    /// What was taken of a delivery, in order.
    fn classes(&self, delivery: DeliveryId) -> Vec<String> {
        let of = delivery.to_string();
        let taken = self.got().into_iter().filter(|g| g.taken);
        taken.flat_map(|g| g.changes()).filter(|(d, _)| *d == of).map(|(_, class)| class).collect()
    }
}

/// First it has moved, then it is broken, then it listens.
async fn hook(State(shop): State<Arc<Shop>>, headers: HeaderMap, body: String) -> Response {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let mut got = shop.got.lock().unwrap();
    let n = got.len();
    got.push(Got {
        id: text("webhook-id"),
        seconds: text("webhook-timestamp").parse().unwrap(),
        signature: text("webhook-signature"),
        body,
        taken: n >= 2,
    });
    match n {
        0 => (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]).into_response(),
        1 => (StatusCode::INTERNAL_SERVER_ERROR, "a".repeat(100_000)).into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}
async fn elsewhere(State(shop): State<Arc<Shop>>) -> StatusCode {
    *shop.elsewhere.lock().unwrap() += 1;
    StatusCode::NO_CONTENT
}

async fn open_shop() -> (Arc<Shop>, String) {
    let shop = Arc::new(Shop::default());
    let router =
        Router::new().route("/hook", any(hook)).route("/elsewhere", any(elsewhere)).with_state(Arc::clone(&shop));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (shop, url)
}

/// Standard Webhooks, checked as a receiver does.
fn check_signature(got: &Got) {
    let sent = got.signature.strip_prefix("v1,").unwrap().trim_end_matches('=').replace('+', "-").replace('/', "_");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
    let signed = format!("{}.{}.{}", got.id, got.seconds, got.body);
    hmac::verify(&key, signed.as_bytes(), &from_b64(&sent).unwrap()).unwrap();
    assert!(hmac::verify(&key, format!("{signed} ").as_bytes(), &from_b64(&sent).unwrap()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_is_told_in_four_words_at_quarters_of_an_hour() {
    let dir = tempfile::tempdir().unwrap();
    let (shop, url) = open_shop().await;
    let (mut stage, t) = Theatre::begin(dir.path(), Setting::default()).await;
    let home = t.scene.layout.dir.join("carrier");
    // The secret in the form of Standard Webhooks: base64 with padding.
    let padded = b64(SECRET).replace('-', "+").replace('_', "/") + "=";
    fs::write(home.join("hook.secret"), format!("whsec_{padded}\n")).unwrap();
    let config = home.join("carrier.toml");
    let before = fs::read_to_string(&config).unwrap();
    let hook = format!(
        "\n[[webhooks]]\nmerchant = \"first merchant\"\nurl = \"{url}\"\nsecret = \"{}\"\nlocal = true\n",
        home.join("hook.secret").display()
    );
    stage.carrier.stop().await.unwrap();
    fs::write(&config, format!("{before}{hook}")).unwrap();
    stage.carrier.restart(&[]).await.unwrap();
    let (host, dispatch) = (&t.scene.host, t.scene.dispatch());
    let told = async |delivery: DeliveryId, class: &str| {
        // Two tries in vain are followed by a quarter of an hour and by two of them.
        for _ in 0..600 {
            if shop.classes(delivery).iter().any(|c| c == class) {
                return;
            }
            host.clock.sleep(Duration::from_secs(20)).await;
        }
        panic!("{class} was not told: {:?}", shop.got());
    };

    // A parcel that gets into the car.
    let a = t.arrive().await;
    let attempt = a.at.ask_to_open(&[a.at.scan(LABEL).unwrap()]).await.unwrap();
    a.at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    assert!(t.trunk("open_trunk").await && t.trunk("close_trunk").await);
    t.close_and_check(&a, attempt).await;
    t.end(&a).await;
    told(a.delivery.delivery, "ended").await;

    // One that does not; and the carrier dies before it has told.
    let wanted = order(host.now(), "FJB20000002").unwrap();
    let second = persist(host, "the shipment", async || t.scene.merchant().ship(&wanted, "ship-0002").await);
    let second = second.await.unwrap();
    let id = second.delivery;
    t.owner.allow(&t.scene, &second).await.unwrap();
    carrier_says(&dispatch, id, &["accepted"]).await.unwrap();
    assert!(shop.classes(id).is_empty(), "told at once, to the second");
    told(id, "accepted").await;
    dispatch.step(id, "cancel", "cancel-02", &json!({"reason": "not_confirmed"})).await.unwrap();
    stage.carrier.kill().await.unwrap();
    stage.carrier.restart(&[]).await.unwrap();
    told(id, "falling_back").await;
    let parcel = json!({"parcel": second.parcels[0]});
    persist(host, "the fallback", async || dispatch.step(id, "fallback-done", "fallback2", &parcel).await)
        .await
        .unwrap();
    told(id, "ended").await;
    assert_eq!(shop.classes(id), ["accepted", "falling_back", "ended"], "in order, each once");

    // One whose owner does not answer: the shop can remind them, and is asked to once.
    let wanted = order(host.now(), "FJB20000003").unwrap();
    let shipped = host.now();
    let third = persist(host, "the shipment", async || t.scene.merchant().ship(&wanted, "ship-0003").await);
    let third = third.await.unwrap();
    let id = third.delivery;
    told(id, "open_wallet").await;
    assert!(shipped.until(host.now()) >= Duration::from_secs(3_600), "whoever has just ordered was reminded at once");
    host.clock.sleep(Duration::from_secs(2 * 900)).await;
    t.owner.allow(&t.scene, &third).await.unwrap();
    told(id, "accepted").await;
    assert_eq!(shop.classes(id), ["open_wallet", "accepted"], "in order, each once");

    let got = shop.got();
    assert!(got.len() >= 8, "{got:?}");
    assert_eq!(got[0].id, got[1].id, "the same message is sent again");
    assert_eq!(got[1].id, got[2].id);
    assert_eq!(*shop.elsewhere.lock().unwrap(), 0, "an endpoint sends us nowhere");
    let mut sizes = BTreeMap::new();
    for one in &got {
        check_signature(one);
        *sizes.entry(one.body.len()).or_insert(0) += 1;
        assert!(one.seconds % QUARTER_S < 60, "left {} s after a quarter", one.seconds % QUARTER_S);
        let at = serde_json::from_str::<Value>(&one.body).unwrap()["timestamp"].as_str().unwrap().to_owned();
        assert!(["00:00.000Z", "15:00.000Z", "30:00.000Z", "45:00.000Z"].iter().any(|q| at.ends_with(q)), "{at}");
        for never in ["Kim", "Harbour", "FJB", "Fjord", "Sam", "leg", "arriv", "at_stop", "reason", "latitude"] {
            assert!(!one.body.contains(never), "{never} in {}", one.body);
        }
    }
    assert_eq!(sizes.len(), 1, "messages tell by their size: {sizes:?}");
    stage.stop().await.unwrap();
}

/// A configuration that would reach into the carrier's own network does not start.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_inside_the_carriers_network_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let init = std::process::Command::new(env!("CARGO_BIN_EXE_parcelshelf"))
        .args(["init", dir.path().join("parties").to_str().unwrap()])
        .output()
        .unwrap();
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    let home = dir.path().join("parties/carrier");
    fs::write(home.join("hook.secret"), format!("whsec_{}", "A".repeat(44))).unwrap();
    let config = home.join("carrier.toml");
    let before = fs::read_to_string(&config).unwrap();
    for (merchant, url, complaint) in [
        ("first merchant", "https://10.0.0.7/hook", "not public"),
        ("first merchant", "https://169.254.169.254/latest", "not public"),
        ("first merchant", "http://shop.example/hook", "https"),
        ("first merchant", "https://localhost/hook", "local = true"),
        ("nobody", "https://shop.example/hook", "no merchant's key"),
    ] {
        let hook = format!(
            "\n[[webhooks]]\nmerchant = \"{merchant}\"\nurl = \"{url}\"\nsecret = \"{}\"\n",
            home.join("hook.secret").display()
        );
        fs::write(&config, format!("{before}{hook}")).unwrap();
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_parcelshelf"))
            .args(["carrier", "-c", config.to_str().unwrap()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned() + &String::from_utf8_lossy(&run.stdout);
        assert!(!run.status.success() && said.contains(complaint), "{url}: {said}");
    }
}
