//! Web Push: an empty message, the same for everything, proved by VAPID, to hosts of the configuration only. Played with
//! simulated time against a push service of its own that checks every token.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/play.rs"]
#[expect(dead_code, reason = "only the label is needed here")]
mod play;
#[path = "support/pushes.rs"]
mod pushes;
#[path = "support/second.rs"]
#[allow(dead_code, reason = "one story of many")]
mod second;

use std::fs;
use std::time::Duration;

use parcelshelf::people::{carrier_says, order, persist};
use parcelshelf::stage::{Setting, Stage};
use parcelshelf_core::id::DeliveryId;
use parcelshelf_protocol::statement::ToErase;
use play::LABEL;
use pushes::{Answers, PushService, Taken};
use second::Theatre;
use serde_json::json;

const QUARTER_S: i64 = 900;

/// Gives the front a push service on this machine.
async fn offer_pushes(stage: &mut Stage, t: &Theatre) {
    let home = t.scene.layout.dir.join("gateway");
    let config = home.join("gateway.toml");
    let before = fs::read_to_string(&config).unwrap();
    let push = format!(
        "\n[push]\ncontact = \"mailto:ops@gateway.example\"\nkey = \"{}\"\nhosts = [\"localhost\"]\nlocal = true\n",
        home.join("push.key").display()
    );
    stage.gateway.stop().await.unwrap();
    fs::write(&config, format!("{before}{push}")).unwrap();
    stage.gateway.restart(&[]).await.unwrap();
}

struct Phone<'a> {
    t: &'a Theatre,
    service: &'a PushService,
    key: String,
}
impl Phone<'_> {
    async fn subscribe(&self, name: &str) {
        let body = json!({"endpoint": self.service.subscribe(name, &self.key)});
        let said = persist(&self.t.scene.host, "a subscription", async || {
            self.t.owner.wallet.post("/v1/wallet/push", &body).await
        });
        said.await.unwrap();
    }
    async fn waits(&self, what: &str, seen: impl Fn() -> bool) {
        for _ in 0..600 {
            if seen() {
                return;
            }
            self.t.scene.host.clock.sleep(Duration::from_secs(5)).await;
        }
        panic!("{what} did not come: {:?}, refused: {:?}", self.service.taken(), self.service.refused());
    }
    async fn taken(&self, n: usize) -> Taken {
        self.waits("a message", || self.service.taken().len() >= n).await;
        self.service.taken()[n - 1].clone()
    }
    /// Nothing comes within two quarters of an hour.
    async fn stays_silent(&self, why: &str) {
        let (asked, taken) = (self.service.asked(), self.service.taken().len());
        for _ in 0..40 {
            self.t.scene.host.clock.sleep(Duration::from_secs(50)).await;
        }
        let now = self.service.taken();
        assert_eq!((self.service.asked(), now.len()), (asked, taken), "{why}: {now:?}");
    }
    async fn looks(&self) {
        persist(&self.t.scene.host, "a look", async || self.t.owner.wallet.deliveries().await).await.unwrap();
    }
}

/// Allowed and nothing more: what the owner can stop and let go on again.
async fn another(t: &Theatre) -> DeliveryId {
    let host = &t.scene.host;
    let wanted = order(host.now(), "FJB20000002").unwrap();
    let ordered = persist(host, "the shipment", async || t.scene.merchant().ship(&wanted, "ship-0002").await);
    let ordered = ordered.await.unwrap();
    t.owner.allow(&t.scene, &ordered).await.unwrap();
    carrier_says(&t.scene.dispatch(), ordered.delivery, &["accepted"]).await.unwrap();
    ordered.delivery
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_is_woken_and_nobody_learns_why() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stage, t) = Theatre::begin(dir.path(), Setting::default()).await;
    let (host, wallet) = (&t.scene.host, &t.owner.wallet);
    let service = PushService::start().await;
    let key = async || {
        persist(host, "a key", async || wallet.http().get("/v1/push", &[]).await).await.unwrap()["key"].clone()
    };

    // Where no push service is configured there is none, and none is made up.
    assert!(key().await.is_null());
    let endpoint = service.subscribe("phone", "");
    let refused = wallet.post("/v1/wallet/push", &json!({ "endpoint": endpoint })).await.unwrap_err();
    assert_eq!(refused.code(), Some("push_not_offered"));
    offer_pushes(&mut stage, &t).await;
    let phone = Phone { t: &t, service: &service, key: key().await.as_str().unwrap().to_owned() };

    for bad in ["https://localhost/x", "http://127.0.0.1:1/x", "http://evil.example/x", "file:///etc/passwd", ""] {
        let refused = wallet.post("/v1/wallet/push", &json!({"endpoint": bad})).await.unwrap_err();
        assert_eq!(refused.code(), Some("push_service_unknown"), "{bad}");
    }
    let body = json!({ "endpoint": endpoint });
    let nobody = wallet.http().post("/v1/wallet/push", &[], &body).await.unwrap_err();
    assert_eq!(nobody.code(), Some("session_missing"));
    let elsewhere = t.scene.gateway_http().post("/v1/wallet/push", &[], &body).await.unwrap_err();
    assert_eq!(elsewhere.code(), Some("not_found"), "sessions are the wallet's host's");
    phone.subscribe("phone").await;

    // A courier sees where the car stands: at once, for it can be stopped now.
    let a = t.arrive().await;
    phone.taken(1).await;
    let attempt = a.at.ask_to_open(&[a.at.scan(LABEL).unwrap()]).await.unwrap();
    a.at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    assert!(t.trunk("open_trunk").await && t.trunk("close_trunk").await);
    t.close_and_check(&a, attempt).await;
    t.end(&a).await;
    // What became of it can wait.
    let done = phone.taken(2).await;
    assert!(done.at_s % QUARTER_S < 60, "left {} s after a quarter", done.at_s % QUARTER_S);

    // Whoever was told and has not looked is not told again; whoever has looked is.
    let id = another(&t).await;
    wallet.block(id).await.unwrap();
    phone.taken(3).await;
    wallet.unblock(id).await.unwrap();
    wallet.block(id).await.unwrap();
    phone.stays_silent("told twice without a look in between").await;
    wallet.unblock(id).await.unwrap();
    phone.looks().await;

    // A service that wants patience gets it; one that sends us on is not followed.
    service.answer(Answers::Busy);
    wallet.block(id).await.unwrap();
    phone.taken(4).await;
    wallet.unblock(id).await.unwrap();
    phone.looks().await;
    service.answer(Answers::Elsewhere);
    let asked = service.asked();
    wallet.block(id).await.unwrap();
    phone.waits("a question", || service.asked() > asked).await;
    service.answer(Answers::Takes);
    assert_eq!((service.sent_elsewhere(), service.taken().len()), (0, 4));
    let again = phone.taken(5).await;
    assert!(again.at_s % QUARTER_S < 60, "what was not taken waits for a quarter");

    // A front that dies meanwhile changes nothing.
    wallet.unblock(id).await.unwrap();
    phone.looks().await;
    stage.gateway.kill().await.unwrap();
    stage.keyholder.stop().await.unwrap();
    stage.keyholder.restart(&[]).await.unwrap();
    stage.gateway.restart(&[]).await.unwrap();
    persist(host, "a block", async || wallet.block(id).await).await.unwrap();
    phone.taken(6).await;

    // Whom the service does not know any more is forgotten.
    wallet.unblock(id).await.unwrap();
    phone.looks().await;
    service.answer(Answers::Gone);
    let asked = service.asked();
    wallet.block(id).await.unwrap();
    phone.waits("a last question", || service.asked() > asked).await;
    service.answer(Answers::Takes);
    wallet.unblock(id).await.unwrap();
    phone.looks().await;
    wallet.block(id).await.unwrap();
    phone.stays_silent("a device that is gone was asked again").await;

    // Who takes it back is left alone.
    phone.subscribe("tablet-one").await;
    let tablet = json!({"endpoint": service.subscribe("tablet-one", &phone.key)});
    wallet.post("/v1/wallet/push/remove", &tablet).await.unwrap();
    wallet.unblock(id).await.unwrap();
    phone.looks().await;
    wallet.block(id).await.unwrap();
    phone.stays_silent("a device that was taken back was woken").await;

    // And with the wallet everything goes: it was to be woken at the next quarter.
    phone.subscribe("tablet-two").await;
    wallet.unblock(id).await.unwrap();
    phone.looks().await;
    wallet.block(id).await.unwrap();
    let mut forgets = wallet.erase(ToErase::Wallet).await;
    for _ in 0..60 {
        if forgets.is_ok() {
            break;
        }
        host.clock.sleep(Duration::from_secs(60)).await;
        forgets = wallet.erase(ToErase::Wallet).await;
    }
    forgets.unwrap();
    let before = service.taken().len();
    phone.stays_silent("an erased wallet was woken").await;
    assert!(before <= 7, "{:?}", service.taken());

    // All alike, empty, and proved; nobody but the front knows where, and its file does not say it.
    let class = ("86400".to_owned(), "high".to_owned(), "news".to_owned());
    for one in service.taken() {
        assert_eq!((one.bytes, &one.class), (0, &class), "{one:?}");
        assert!(["phone", "tablet-two"].contains(&one.to.as_str()), "{one:?}");
    }
    assert_eq!(service.refused(), Vec::<&str>::new());
    stage.stop().await.unwrap();
    for file in ["gateway/data/gateway.db", "keyholder/data/keyholder.db"] {
        let bytes = fs::read(t.scene.layout.dir.join(file)).unwrap();
        for name in ["push/phone", "tablet-one", "tablet-two"] {
            assert!(!bytes.windows(name.len()).any(|w| w == name.as_bytes()), "{name} lies readable in {file}");
        }
    }
    for log in ["log/gateway.log", "log/keyholder.log"] {
        let text = fs::read_to_string(dir.path().join(log)).unwrap();
        assert!(!text.contains("push/phone") && !text.contains("vapid"), "{log}");
    }
}

/// A configuration that sends anywhere does not start.
#[tokio::test(flavor = "multi_thread")]
async fn a_front_that_would_send_anywhere_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let init = std::process::Command::new(env!("CARGO_BIN_EXE_parcelshelf"))
        .args(["init", dir.path().join("parties").to_str().unwrap()])
        .output()
        .unwrap();
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    let home = dir.path().join("parties/gateway");
    let config = home.join("gateway.toml");
    let before = fs::read_to_string(&config).unwrap();
    let key = home.join("push.key").display().to_string();
    for (contact, key, hosts, complaint) in [
        ("mailto:a@b.example", key.as_str(), "[]", "hosts are names"),
        ("mailto:a@b.example", key.as_str(), "[\".\"]", "hosts are names"),
        ("mailto:a@b.example", key.as_str(), "[\"https://push.example\"]", "hosts are names"),
        ("a@b.example", key.as_str(), "[\"push.example\"]", "contact is a mailto"),
        ("mailto:a@b.example", "/nowhere/push.key", "[\"push.example\"]", "/nowhere/push.key"),
    ] {
        let push = format!("\n[push]\ncontact = \"{contact}\"\nkey = \"{key}\"\nhosts = {hosts}\n");
        fs::write(&config, format!("{before}{push}")).unwrap();
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_parcelshelf"))
            .args(["gateway", "-c", config.to_str().unwrap()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned() + &String::from_utf8_lossy(&run.stdout);
        assert!(!run.status.success() && said.contains(complaint), "{hosts}: {said}");
    }
}
