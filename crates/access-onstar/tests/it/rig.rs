//! One simulated cloud with one car, linked the way an owner links it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parcelshelf_access::conformance::{Fault, Hand, Rig};
use parcelshelf_access::{Access, Command, LidState, LockState, Session, Tokens};
use parcelshelf_access_onstar::{Onstar, OnstarConfig};
use parcelshelf_core::time::{Clock, Sleep, Timer, Timestamp};
use parcelshelf_core::vehicle::Vin;
use parcelshelf_edge::Host;
use parcelshelf_simulator::onstar::{CarFile, DEMO_CLIENT_ID, DEMO_OWNER, LOGIN_PATH, Running, WorldFile};
use serde_json::{Value, json};
use url::Url;

pub const REDIRECT: &str = "http://wallet.localhost/link/onstar";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub struct OnstarRig {
    _cloud: Running,
    pub base: String,
    pub onstar: Onstar,
    pub tokens: Tokens,
    pub vin: Vin,
    /// A car of the same owner that opens nothing.
    without: Vin,
    pub hands: reqwest::Client,
}

pub fn config(base: &str) -> OnstarConfig {
    OnstarConfig {
        api_base: base.to_owned(),
        login_base: format!("{base}{LOGIN_PATH}"),
        client_id: DEMO_CLIENT_ID.to_owned(),
        redirect_uri: REDIRECT.to_owned(),
        scope: "openid profile offline_access".to_owned(),
        exchange_scope: "onstar gmoc user_trailer user msso priv".to_owned(),
        app_version: "parcelshelf-1".to_owned(),
        device_id: "66666666-7777-4888-8999-000000000000".to_owned(),
    }
}

/// Short waits pass at once, here and at the cloud; long ones are deadlines and stay what they are.
struct Hurried {
    inner: Arc<dyn Timer>,
    ahead_s: Arc<AtomicU64>,
    cloud: Option<(reqwest::Client, String)>,
}
const SHORT: Duration = Duration::from_secs(5);
impl Clock for Hurried {
    fn now(&self) -> Timestamp {
        self.inner.now()
    }
}
impl Timer for Hurried {
    fn sleep(&self, span: Duration) -> Sleep {
        if span > SHORT {
            return self.inner.sleep(span);
        }
        let (ahead_s, cloud, seconds) = (Arc::clone(&self.ahead_s), self.cloud.clone(), span.as_secs());
        Box::pin(async move {
            if let Some((http, base)) = cloud {
                advance(&http, &base, seconds).await;
            }
            ahead_s.fetch_add(seconds, Ordering::AcqRel);
        })
    }
    fn uptime(&self) -> Duration {
        self.inner.uptime() + Duration::from_secs(self.ahead_s.load(Ordering::Acquire))
    }
}
async fn advance(http: &reqwest::Client, base: &str, seconds: u64) {
    let body = json!({ "seconds": seconds }).to_string();
    let url = format!("{base}/__sim/clock/advance");
    let answer = http.post(url).header("content-type", "application/json").body(body).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

/// The adapter with the machine's network; its short waits put the cloud's clock forward, if there is one.
pub fn onstar(base: &str, cloud: Option<reqwest::Client>) -> Onstar {
    let inner = Host::system().clock;
    let client = parcelshelf_exchange::Client::network(Arc::clone(&inner)).expect("a client");
    let cloud = cloud.map(|http| (http, base.to_owned()));
    let timer = Arc::new(Hurried { inner, ahead_s: Arc::default(), cloud });
    Onstar::new(config(base), client, timer).expect("a good configuration")
}
pub fn browser() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

impl OnstarRig {
    pub async fn new() -> Self {
        // A command is answered later, but not much later.
        Self::with(|car| car.latency_ms = 0).await
    }
    /// The demo world with something different, and a second car that opens nothing.
    pub async fn with(change: impl FnOnce(&mut CarFile)) -> Self {
        let mut world = WorldFile::demo();
        change(&mut world.cars[0]);
        world.cars.push(CarFile { commands: vec!["lockTrunk".into()], ..CarFile::of(DEMO_OWNER) });
        let cloud = Running::start(world).await.expect("a simulated cloud");
        let base = cloud.base();
        let hands = browser();
        let cars = get(&hands, &format!("{base}/__sim/cars")).await;
        let vin = |n: usize| Vin::parse(cars["cars"][n]["vin"].as_str().expect("a VIN")).expect("a VIN");
        // Serial numbers count up; the check digit before them does not.
        let (one, other) = (vin(0), vin(1));
        let (vin, without) = if one.expose()[11..] < other.expose()[11..] { (one, other) } else { (other, one) };
        let onstar = onstar(&base, Some(hands.clone()));
        let code = consent(&hands, &onstar.authorize_url("state-1", VERIFIER), DEMO_OWNER).await;
        let now = clock(&hands, &base).await;
        let tokens = onstar.exchange_code(&code, VERIFIER, now).await.expect("tokens");
        Self { _cloud: cloud, base, onstar, tokens, vin, without, hands }
    }
    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let response = self
            .hands
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .expect("the control path answers");
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON"))
    }
    pub async fn hand_action(&self, action: Value) -> bool {
        let (status, body) = self.post(&format!("/__sim/cars/{}/hand", self.vin.expose()), action).await;
        assert!(status == 200 || status == 409, "{status} {body}");
        status == 200
    }
    pub async fn plan_fault(&self, command: &str, fault: &str) {
        let path = format!("/__sim/cars/{}/faults", self.vin.expose());
        let (status, body) = self.post(&path, json!({"command": command, "fault": fault})).await;
        assert_eq!(status, 200, "{body}");
    }
    pub async fn record(&self) -> Value {
        get(&self.hands, &format!("{}/__sim/record", self.base)).await
    }
    pub async fn car(&self) -> Value {
        get(&self.hands, &format!("{}/__sim/cars/{}", self.base, self.vin.expose())).await
    }
}

/// What the owner's browser does: opens the address, is sent back with a code. The code.
pub async fn consent(browser: &reqwest::Client, address: &str, owner: &str) -> String {
    let mut address = Url::parse(address).expect("an address");
    address.query_pairs_mut().append_pair("login_hint", owner);
    let response = browser.get(address).send().await.expect("an answer");
    let back = response.headers().get("location").expect("a redirect").to_str().expect("text");
    assert!(back.starts_with(REDIRECT), "{back}");
    let back = Url::parse(back).expect("an address");
    let find = |name: &str| back.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
    assert_eq!(find("state").as_deref(), Some("state-1"));
    find("code").expect("a code")
}
async fn get(http: &reqwest::Client, url: &str) -> Value {
    let bytes = http.get(url).send().await.expect("an answer").bytes().await.expect("a body");
    serde_json::from_slice(&bytes).expect("JSON")
}
async fn clock(http: &reqwest::Client, base: &str) -> Timestamp {
    let clock = get(http, &format!("{base}/__sim/clock")).await;
    Timestamp::parse_rfc3339(clock["now"].as_str().expect("a time")).expect("a time")
}
const fn target(command: Command) -> &'static str {
    match command {
        Command::Open(_) => "unlockTrunk",
        Command::Lock => "lockTrunk",
    }
}

#[async_trait::async_trait]
impl Rig for OnstarRig {
    fn access(&self) -> &dyn Access {
        &self.onstar
    }
    async fn session(&self) -> Session {
        Session { access_token: self.tokens.access_token.clone(), now: clock(&self.hands, &self.base).await }
    }
    fn tokens(&self) -> Tokens {
        self.tokens.clone()
    }
    fn vin(&self) -> Vin {
        self.vin.clone()
    }
    async fn hand(&self, hand: Hand) -> bool {
        let action = match hand {
            Hand::OpenLid => "open_trunk",
            Hand::CloseLid => "close_trunk",
            Hand::FallAsleep => "sleep",
            Hand::UnlockWithKey => "unlock_with_key",
            Hand::JamLock => "jam_lock",
        };
        self.hand_action(json!({ "action": action })).await
    }
    async fn really(&self) -> (LidState, LockState) {
        let car = self.car().await;
        let lid = match car["closures"]["trunk"]["value"].as_str() {
            Some("OPEN") => LidState::Open,
            Some("AJAR") => LidState::Ajar,
            _ => LidState::Closed,
        };
        let locked = car["trunk_lock"]["value"] == "LOCKED";
        (lid, if locked { LockState::Locked } else { LockState::Unlocked })
    }
    async fn fault(&self, command: Command, fault: Fault) {
        let with = |name: &str, acted: bool| format!("{name}_{}", if acted { "acted" } else { "not_acted" });
        let name = match fault {
            Fault::Timeout { acted } => with("timeout", acted),
            // The request URL says ERROR in the end.
            Fault::CouldNot { acted } => with("error", acted),
            Fault::ConnectionDrop { acted } => with("connection_drop", acted),
            Fault::ServerError { acted } => with("500", acted),
            Fault::Unavailable { acted } => with("503", acted),
            Fault::Garbage { acted } => with("garbage", acted),
            Fault::Quota => "429".to_owned(),
            Fault::CarErrorActed => "error_acted".to_owned(),
            Fault::Unfinished => "odd".to_owned(),
        };
        self.plan_fault(target(command), &name).await;
    }
    async fn pass_time(&self, time: Duration) {
        advance(&self.hands, &self.base, time.as_secs() + 1).await;
    }
    async fn withdraw_consent(&self) {
        let (_, body) = self.post(&format!("/__sim/owners/{DEMO_OWNER}/revoke"), json!({})).await;
        assert_eq!(body["revoked"], 1);
    }
    async fn car_without(&self, command: Command) -> Option<Vin> {
        matches!(command, Command::Open(_)).then(|| self.without.clone())
    }
    fn unplugged(&self) -> Box<dyn Access> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        Box::new(onstar(&format!("http://127.0.0.1:{port}"), None))
    }
    async fn commands_arrived(&self) -> u64 {
        self.record().await["commands"].as_u64().expect("a number")
    }
    async fn requests_arrived(&self) -> u64 {
        let record = self.record().await;
        record["requests"].as_u64().expect("a number") + record["token_requests"].as_u64().expect("a number")
    }
    fn secrets(&self) -> Vec<String> {
        vec![
            self.tokens.access_token.clone(),
            self.tokens.refresh_token.clone(),
            self.vin.expose().to_owned(),
            "42.329".to_owned(),
            "83.039".to_owned(),
        ]
    }
}
