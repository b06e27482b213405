//! One simulated household with one garage or front door, linked the way an owner links it.

use std::time::Duration;

use parcelshelf_access::conformance::{Fault, Hand, Rig};
use parcelshelf_access::{Access, AtDoor, Command, LidState, LockState, Sent, Session, Tokens};
use parcelshelf_access_homeassistant::{Door, Entrance, HomeAssistant, HomeAssistantConfig, Things, Watch};
use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use parcelshelf_simulator::homeassistant::{DoorFile, FrontFile, Running, WorldFile};
use serde_json::Value;
use url::Url;

const CLIENT_ID: &str = "http://wallet.localhost/";
const REDIRECT: &str = "http://wallet.localhost/oauth/callback";

pub struct GarageRig {
    _home: Running,
    base: String,
    pub adapter: HomeAssistant,
    tokens: Tokens,
    vin: Vin,
    hands: reqwest::Client,
}

fn garages() -> Things {
    let garage = |number: &str, name: &str| Entrance {
        number: Vin::parse(number).unwrap(),
        name: "Garage".into(),
        class: AccessClass::Garage,
        cover: format!("cover.{name}"),
        obstruction: Some(format!("binary_sensor.{name}_obstruction")),
    };
    Things::Entrances(vec![garage("0GARAGE0000000001", "garage"), garage("0GARAGE0000000002", "removed")])
}
pub fn front(number: &str, name: &str) -> Door {
    Door {
        number: Vin::parse(number).unwrap(),
        name: "Front door".into(),
        lock: format!("lock.{name}"),
        watch: Some(Watch {
            contact: format!("binary_sensor.{name}_contact"),
            camera: format!("camera.{name}"),
            light: format!("light.{name}"),
        }),
    }
}
fn adapter(base: &str, things: Things) -> HomeAssistant {
    let config = HomeAssistantConfig {
        base: base.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        redirect_uri: REDIRECT.to_owned(),
        things,
    };
    let timer = parcelshelf_edge::Host::system().clock;
    let client = parcelshelf_exchange::Client::network(timer.clone()).expect("a client");
    HomeAssistant::new(config, client, timer).expect("a good configuration")
}
const fn service(command: Command) -> &'static str {
    match command {
        Command::Open(_) => "open_cover",
        Command::Lock => "close_cover",
    }
}

impl GarageRig {
    /// A door that is quick enough for the suite, which waits for answers and not for doors.
    pub async fn new() -> Self {
        Self::with(1, 0).await
    }
    pub async fn with(travel_ms: u32, warning_ms: u32) -> Self {
        let mut world = WorldFile::demo();
        world.doors = vec![DoorFile { travel_ms, warning_ms, ..DoorFile::of("0GARAGE0000000001", "garage") }];
        Self::of(world, garages(), "0GARAGE0000000001").await
    }
    /// A front door, and one that somebody has removed from the server.
    pub async fn front() -> Self {
        let world = WorldFile { fronts: vec![FrontFile::of("0HALLWAY000000001", "hall")], ..WorldFile::demo() };
        let doors = vec![front("0HALLWAY000000001", "hall"), front("0HALLWAY000000002", "removed")];
        Self::of(world, Things::Doors(doors), "0HALLWAY000000001").await
    }
    async fn of(world: WorldFile, things: Things, number: &str) -> Self {
        let home = Running::start(world).await.expect("a simulated server");
        let base = home.base();
        let hands = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let vin = Vin::parse(number).unwrap();
        let none = Tokens {
            access_token: String::new(),
            refresh_token: String::new(),
            access_expires_at: Timestamp::EPOCH,
            refresh_expires_at: None,
            not_given: Vec::new(),
        };
        let mut rig = Self { adapter: adapter(&base, things), _home: home, base, tokens: none, vin, hands };
        let code = rig.code_of("keyholder").await;
        rig.tokens = rig.adapter.exchange_code(&code, "", rig.now().await).await.expect("tokens");
        rig
    }
    /// What a browser does: opens the address, is sent back with a code.
    pub async fn code_of(&self, login: &str) -> String {
        let mut address = Url::parse(&self.adapter.authorize_url("state-1", "")).expect("an address");
        address.query_pairs_mut().append_pair("login_hint", login);
        let response = self.hands.get(address).send().await.expect("an answer");
        let back = response.headers().get("location").expect("a redirect").to_str().expect("text");
        let back = Url::parse(back).expect("an address");
        assert!(back.as_str().starts_with(REDIRECT), "{back}");
        back.query_pairs().find(|(n, _)| n == "code").map(|(_, v)| v.into_owned()).expect("a code")
    }
    async fn get(&self, path: &str) -> Value {
        let answer = self.hands.get(format!("{}{path}", self.base)).send().await.expect("an answer");
        serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
    }
    pub async fn post(&self, path: &str, body: &str) {
        let request = self.hands.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        let answer = request.body(body.to_owned()).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path} {body}");
    }
    async fn now(&self) -> Timestamp {
        let told = self.get("/__sim/clock").await;
        Timestamp::parse_rfc3339(told["now"].as_str().expect("a time")).expect("a time")
    }
    pub async fn hand_action(&self, action: &str) {
        let path = format!("/__sim/cars/{}/hand", self.vin.expose());
        self.post(&path, &format!(r#"{{"action":"{action}"}}"#)).await;
    }
    async fn door(&self) -> Value {
        self.get(&format!("/__sim/cars/{}", self.vin.expose())).await
    }
    async fn position(&self) -> u64 {
        self.door().await["position"].as_u64().expect("a number")
    }
    /// All the way up.
    pub async fn opened(&self) {
        self.hand_action("press_button").await;
        self.pass_time(Duration::from_secs(30)).await;
        assert_eq!(self.position().await, 100);
    }
    pub async fn command(&self, command: Command) -> Sent {
        let session = self.session().await;
        let prepared = self.adapter.prepare(command, &self.vin, *b"details---------", session.now);
        self.adapter.send(&session, &prepared).await
    }
    pub async fn at_door(&self) -> AtDoor {
        self.adapter.at_door(&self.session().await, &self.vin).await.expect("a reading")
    }
    pub async fn lid(&self) -> (LidState, LockState) {
        let seen = self.adapter.closures(&self.session().await, &self.vin).await.expect("a reading");
        (seen.lid.value, seen.central_lock.value)
    }
}

#[async_trait::async_trait]
impl Rig for GarageRig {
    fn access(&self) -> &dyn Access {
        &self.adapter
    }
    async fn session(&self) -> Session {
        Session { access_token: self.tokens.access_token.clone(), now: self.now().await }
    }
    fn tokens(&self) -> Tokens {
        self.tokens.clone()
    }
    fn vin(&self) -> Vin {
        self.vin.clone()
    }
    async fn hand(&self, hand: Hand) -> bool {
        // What the drive was told before is done with.
        self.pass_time(Duration::from_secs(1)).await;
        match hand {
            // Nobody lifts a door against its drive; the button on the wall stands for a key.
            Hand::OpenLid => return self.position().await > 0,
            Hand::CloseLid if self.position().await > 0 => self.hand_action("press_button").await,
            Hand::UnlockWithKey if self.position().await == 0 => self.hand_action("press_button").await,
            Hand::CloseLid | Hand::UnlockWithKey => {}
            Hand::JamLock => self.hand_action("break_drive").await,
            Hand::FallAsleep => return false,
        }
        self.pass_time(Duration::from_secs(1)).await;
        true
    }
    async fn really(&self) -> (LidState, LockState) {
        let open = self.position().await > 0;
        if open { (LidState::Open, LockState::Unlocked) } else { (LidState::Closed, LockState::Locked) }
    }
    async fn fault(&self, command: Command, fault: Fault) {
        let word = |what: &str, acted: bool| format!("{what}_{}", if acted { "acted" } else { "not_acted" });
        let fault = match fault {
            Fault::Timeout { acted } => word("504", acted),
            Fault::CouldNot { acted } => word("400", acted),
            Fault::ConnectionDrop { acted } => word("connection_drop", acted),
            Fault::ServerError { acted } => word("500", acted),
            Fault::Unavailable { acted } => word("503", acted),
            Fault::Garbage { acted } => word("garbage", acted),
            Fault::Quota => word("429", false),
            Fault::CarErrorActed => word("500", true),
            Fault::Unfinished => word("599", true),
        };
        let path = format!("/__sim/cars/{}/faults", self.vin.expose());
        self.post(&path, &format!(r#"{{"command":"{}","fault":"{fault}"}}"#, service(command))).await;
    }
    async fn pass_time(&self, time: Duration) {
        let seconds = time.as_secs().max(1);
        self.post("/__sim/clock/advance", &format!(r#"{{"seconds":{seconds}}}"#)).await;
    }
    async fn withdraw_consent(&self) {
        self.post("/__sim/people/keyholder/revoke", "{}").await;
    }
    async fn car_without(&self, _command: Command) -> Option<Vin> {
        Some(Vin::parse("0GARAGE0000000002").unwrap())
    }
    fn unplugged(&self) -> Box<dyn Access> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        Box::new(adapter(&format!("http://127.0.0.1:{port}"), garages()))
    }
    async fn commands_arrived(&self) -> u64 {
        let summary = self.get("/__sim/summary").await;
        let commands = &summary["cars"][0]["commands"];
        ["open_cover", "close_cover"].iter().map(|name| commands[name].as_u64().unwrap_or(0)).sum()
    }
    async fn requests_arrived(&self) -> u64 {
        self.get("/__sim/summary").await["requests"].as_u64().expect("a number")
    }
    fn secrets(&self) -> Vec<String> {
        vec![
            self.tokens.access_token.clone(),
            self.tokens.refresh_token.clone(),
            self.vin.expose().to_owned(),
            "57.725".to_owned(),
            "11.849".to_owned(),
        ]
    }
}
