//! One simulated cloud with one car, linked the way an owner links it.

use std::time::Duration;

use parcelshelf_access::conformance::{Fault, Hand, Rig};
use parcelshelf_access::{Access, Command, LidState, LockState, Session, Tokens};
use parcelshelf_access_smartcar::{ApiVersion, Mode, Smartcar, SmartcarConfig};
use parcelshelf_core::secret::Redacted;
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use parcelshelf_simulator::smartcar::{CarFile, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_OWNER, Running, WorldFile};
use serde_json::{Value, json};
use url::Url;

pub const REDIRECT: &str = "http://wallet.localhost/link/smartcar";
/// Not used by this vendor.
pub const VERIFIER: &str = "";

pub struct SmartcarRig {
    _cloud: Running,
    pub base: String,
    pub smartcar: Smartcar,
    pub tokens: Tokens,
    pub vin: Vin,
    /// The vendor's id of the car.
    pub id: String,
    pub hands: reqwest::Client,
}

pub fn config(base: &str) -> SmartcarConfig {
    SmartcarConfig {
        api_base: base.to_owned(),
        vehicle_base: base.to_owned(),
        auth_base: base.to_owned(),
        connect_base: base.to_owned(),
        client_id: DEMO_CLIENT_ID.to_owned(),
        client_secret: Redacted::new(DEMO_CLIENT_SECRET.to_owned()),
        redirect_uri: REDIRECT.to_owned(),
        country: "SE".to_owned(),
        mode: Mode::Test,
        api_version: ApiVersion::V2,
    }
}

/// The adapter with the machine's clock and network.
pub fn smartcar(config: SmartcarConfig) -> Smartcar {
    let timer = parcelshelf_edge::Host::system().clock;
    let client = parcelshelf_exchange::Client::network(timer.clone()).expect("a client");
    Smartcar::new(config, client, timer).expect("a good configuration")
}

impl SmartcarRig {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }
    /// The demo world with one thing different.
    pub async fn with(change: impl FnOnce(&mut CarFile)) -> Self {
        let mut world = WorldFile::demo();
        change(&mut world.cars[0]);
        let cloud = Running::start(world).await.expect("a simulated cloud");
        let base = cloud.base();
        let hands = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let cars = get(&hands, &format!("{base}/__sim/cars")).await;
        let vin = Vin::parse(cars["cars"][0]["vin"].as_str().expect("a VIN")).expect("a VIN");
        let id = cars["cars"][0]["id"].as_str().expect("an id").to_owned();
        let smartcar = smartcar(config(&base));
        let code = consent(&hands, &smartcar.authorize_url("state-1", VERIFIER), DEMO_OWNER).await;
        let now = clock(&hands, &base).await;
        let tokens = smartcar.exchange_code(&code, VERIFIER, now).await.expect("tokens");
        Self { _cloud: cloud, base, smartcar, tokens, vin, id, hands }
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
    pub async fn record(&self) -> Value {
        get(&self.hands, &format!("{}/__sim/record", self.base)).await
    }
    pub async fn hand_action(&self, action: Value) -> bool {
        self.post(&format!("/__sim/cars/{}/hand", self.vin.expose()), action).await.0 == 200
    }
    pub async fn plan_fault(&self, target: &str, fault: &str) {
        let path = format!("/__sim/cars/{}/faults", self.vin.expose());
        let (status, body) = self.post(&path, json!({"command": target, "fault": fault})).await;
        assert_eq!(status, 200, "{body}");
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
        Command::Open(_) => "unlock",
        Command::Lock => "lock",
    }
}

#[async_trait::async_trait]
impl Rig for SmartcarRig {
    fn access(&self) -> &dyn Access {
        &self.smartcar
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
            Hand::OpenLid => "open_tailgate",
            Hand::CloseLid => "close_tailgate",
            Hand::FallAsleep => "sleep",
            Hand::UnlockWithKey => "unlock_with_key",
            Hand::JamLock => "jam_lock",
        };
        self.hand_action(json!({ "action": action })).await
    }
    async fn really(&self) -> (LidState, LockState) {
        let car = get(&self.hands, &format!("{}/__sim/cars/{}", self.base, self.vin.expose())).await;
        let lid = match car["closures"]["tailgate"]["value"].as_str() {
            Some("OPEN") => LidState::Open,
            Some("AJAR") => LidState::Ajar,
            _ => LidState::Closed,
        };
        let locked = car["central_lock"]["value"] == "LOCKED";
        (lid, if locked { LockState::Locked } else { LockState::Unlocked })
    }
    async fn fault(&self, command: Command, fault: Fault) {
        let with = |name: &str, acted: bool| format!("{name}_{}", if acted { "acted" } else { "not_acted" });
        let name = match fault {
            Fault::Timeout { acted } => with("no_response", acted),
            Fault::CouldNot { acted } => with("known_issue", acted),
            Fault::ConnectionDrop { acted } => with("connection_drop", acted),
            Fault::ServerError { acted } => with("500", acted),
            Fault::Unavailable { acted } => with("503", acted),
            Fault::Garbage { acted } => with("garbage", acted),
            Fault::Quota => "rate_limit".to_owned(),
            Fault::CarErrorActed => "unknown_issue_acted".to_owned(),
            Fault::Unfinished => "odd".to_owned(),
        };
        self.plan_fault(target(command), &name).await;
    }
    async fn pass_time(&self, time: Duration) {
        let (status, _) = self.post("/__sim/clock/advance", json!({"seconds": time.as_secs() + 1})).await;
        assert_eq!(status, 200);
    }
    async fn withdraw_consent(&self) {
        let (_, body) = self.post(&format!("/__sim/owners/{DEMO_OWNER}/revoke"), json!({})).await;
        assert_eq!(body["revoked"], 1);
    }
    async fn car_without(&self, command: Command) -> Option<Vin> {
        let (status, car) = match command {
            Command::Open(_) => self.post("/__sim/cars", json!({"owner": DEMO_OWNER, "capable": false})).await,
            Command::Lock => return None,
        };
        assert_eq!(status, 201, "{car}");
        Vin::parse(car["vin"].as_str()?).ok()
    }
    fn unplugged(&self) -> Box<dyn Access> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        Box::new(smartcar(config(&format!("http://127.0.0.1:{port}"))))
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
            self.id.clone(),
            self.vin.expose().to_owned(),
            "57.708".to_owned(),
            "11.974".to_owned(),
        ]
    }
}
