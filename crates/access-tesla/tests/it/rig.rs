//! One simulated cloud with one car, linked the way an owner links it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parcelshelf_access::conformance::{Fault, Hand, Rig};
use parcelshelf_access::{Access, Command, LidState, LockState, Session, Tokens};
use parcelshelf_access_tesla::{Region, Tesla, TeslaConfig};
use parcelshelf_core::secret::Redacted;
use parcelshelf_core::time::{Clock, Sleep, Timer, Timestamp};
use parcelshelf_core::vehicle::Vin;
use parcelshelf_edge::Host;
use parcelshelf_simulator::tesla::{
    CarFile, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_COMMAND_KEY, DEMO_OWNER, Running, WorldFile,
};
use serde_json::{Value, json};
use url::Url;

pub const REDIRECT: &str = "http://wallet.localhost/oauth/callback";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub struct TeslaRig {
    _cloud: Running,
    pub base: String,
    pub tesla: Tesla,
    pub tokens: Tokens,
    pub vin: Vin,
    /// A car of the same owner whose trunk no button reaches.
    without: Vin,
    pub hands: reqwest::Client,
}

pub fn config(base: &str) -> TeslaConfig {
    TeslaConfig {
        regions: vec![Region { name: "EU".into(), api_base: base.to_owned() }],
        login_base: base.to_owned(),
        token_base: base.to_owned(),
        client_id: DEMO_CLIENT_ID.to_owned(),
        client_secret: Redacted::new(DEMO_CLIENT_SECRET.to_owned()),
        redirect_uri: REDIRECT.to_owned(),
        command_key: Some(Redacted::new(DEMO_COMMAND_KEY.to_owned())),
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
pub fn tesla(config: TeslaConfig, cloud: Option<(reqwest::Client, String)>) -> Tesla {
    let host = Host::system();
    let client = parcelshelf_exchange::Client::network(Arc::clone(&host.clock)).expect("a client");
    let timer = Arc::new(Hurried { inner: host.clock, ahead_s: Arc::default(), cloud });
    Tesla::new(config, client, timer, host.entropy).expect("a good configuration")
}
pub fn browser() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

impl TeslaRig {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }
    /// The demo world with something different, and a second car whose trunk no button reaches.
    pub async fn with(change: impl FnOnce(&mut CarFile)) -> Self {
        let mut world = WorldFile::demo();
        change(&mut world.cars[0]);
        world.cars.push(CarFile { can_actuate_trunks: false, ..CarFile::of(DEMO_OWNER) });
        let cloud = Running::start(world).await.expect("a simulated cloud");
        let base = cloud.base();
        let hands = browser();
        let cars = get(&hands, &format!("{base}/__sim/cars")).await;
        let vin = |n: usize| Vin::parse(cars["cars"][n]["vin"].as_str().expect("a VIN")).expect("a VIN");
        // Serial numbers count up; the check digit before them does not.
        let (one, other) = (vin(0), vin(1));
        let (vin, without) = if one.expose()[11..] < other.expose()[11..] { (one, other) } else { (other, one) };
        let tesla = tesla(config(&base), Some((hands.clone(), base.clone())));
        let code = consent(&hands, &tesla.authorize_url("state-1", VERIFIER), DEMO_OWNER).await;
        let now = clock(&hands, &base).await;
        let tokens = tesla.exchange_code(&code, VERIFIER, now).await.expect("tokens");
        let rig = Self { _cloud: cloud, base, tesla, tokens, vin, without, hands };
        // Nobody commands a car that was not looked at first.
        let _ = rig.tesla.closures(&rig.session().await, &rig.vin).await;
        rig
    }
    /// The owner consents once more.
    pub async fn linked_again(&self) -> Tokens {
        let code = consent(&self.hands, &self.tesla.authorize_url("state-1", VERIFIER), DEMO_OWNER).await;
        self.tesla.exchange_code(&code, VERIFIER, clock(&self.hands, &self.base).await).await.expect("tokens")
    }
    /// A car that takes signed commands only.
    pub async fn signed() -> Self {
        Self::with(|car| car.signed = true).await
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
    /// Names of the commands that arrived, in order.
    pub async fn commands(&self) -> Vec<String> {
        let record = self.record().await;
        let all = record["entries"].as_array().expect("entries").iter().filter(|e| e["kind"] == "command");
        all.map(|e| e["command"].as_str().expect("a name").to_owned()).collect()
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
pub async fn get(http: &reqwest::Client, url: &str) -> Value {
    let bytes = http.get(url).send().await.expect("an answer").bytes().await.expect("a body");
    serde_json::from_slice(&bytes).expect("JSON")
}
pub async fn clock(http: &reqwest::Client, base: &str) -> Timestamp {
    let clock = get(http, &format!("{base}/__sim/clock")).await;
    Timestamp::parse_rfc3339(clock["now"].as_str().expect("a time")).expect("a time")
}
const fn target(command: Command) -> &'static str {
    match command {
        Command::Open(_) => "actuate_trunk",
        Command::Lock => "door_lock",
    }
}

#[async_trait::async_trait]
impl Rig for TeslaRig {
    fn access(&self) -> &dyn Access {
        &self.tesla
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
        let locked = car["lock"]["value"] == "LOCKED" && lid == LidState::Closed;
        (lid, if locked { LockState::Locked } else { LockState::Unlocked })
    }
    async fn fault(&self, command: Command, fault: Fault) {
        let with = |name: &str, acted: bool| format!("{name}_{}", if acted { "acted" } else { "not_acted" });
        let name = match fault {
            Fault::Timeout { acted } => with("504", acted),
            // "Device answered unexpectedly".
            Fault::CouldNot { acted } => with("540", acted),
            Fault::ConnectionDrop { acted } => with("connection_drop", acted),
            Fault::ServerError { acted } => with("500", acted),
            // 503 has a meaning of its own here (asleep, nothing was done); this is what an overloaded front says.
            Fault::Unavailable { acted } => with("502", acted),
            Fault::Garbage { acted } => with("garbage", acted),
            Fault::Quota => "429".to_owned(),
            Fault::CarErrorActed => "540_acted".to_owned(),
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
        Box::new(tesla(config(&format!("http://127.0.0.1:{port}")), None))
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
            DEMO_CLIENT_SECRET.to_owned(),
            // A line of the command key.
            DEMO_COMMAND_KEY.lines().nth(1).expect("a line").to_owned(),
            self.vin.expose().to_owned(),
            "59.334".to_owned(),
            "18.063".to_owned(),
        ]
    }
}
