//! One car, one door, or one garage in a real server, linked the way an owner links it.
//!
//! What a real server cannot be told to do is played on the way to it ([`Between`]), as a proxy before such a server would.
//! Two stories of the suite cannot be played at all, and `details` tells what is so instead: a server that knows no sleep
//! (a car that sleeps is `unavailable`), and a refresh token that stays the same for ever.

use std::sync::Arc;
use std::time::Duration;

use parcelshelf_access::conformance::{Fault, Hand, Rig};
use parcelshelf_access::{Access, Command, LidState, LockState, Session, Tokens};
use parcelshelf_access_homeassistant::{Car, Door, Entrance, HomeAssistant, HomeAssistantConfig, Things};
use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::time::Clock as _;
use parcelshelf_core::vehicle::Vin;
use parcelshelf_exchange::Client;
use serde_json::json;

use crate::between::{Between, Machine, Trouble};
use crate::home::{Home, home};

pub const CLIENT_ID: &str = "http://wallet.localhost/";
pub const REDIRECT: &str = "http://wallet.localhost/oauth/callback";

pub struct HomeRig {
    pub home: &'static Home,
    pub way: Arc<Between>,
    pub adapter: HomeAssistant,
    pub tokens: Tokens,
    pub vin: Vin,
    without: Vin,
    /// `car_7`: how its helpers are called.
    pub car: String,
    things: Things,
}

pub fn a_car(n: usize, name: &str, kind: char) -> Car {
    Car {
        vin: Vin::parse(&format!("1M8GDM9A{kind}KP{n:06}")).unwrap(),
        make: "Example".into(),
        model: None,
        model_year: Some(2022),
        colour: None,
        class: AccessClass::TailgateWithCabin,
        lock: format!("lock.{name}"),
        lid: format!("cover.{name}_tailgate"),
        tracker: format!("device_tracker.{name}"),
    }
}
pub fn a_door(n: usize, name: &str, kind: char) -> Door {
    let number = Vin::parse(&format!("0HALLWAY{kind}00{n:06}")).unwrap();
    Door { number, name: "Hallway".into(), lock: format!("lock.{name}"), watch: None }
}
pub fn a_garage(n: usize, name: &str, kind: char) -> Entrance {
    Entrance {
        number: Vin::parse(&format!("0GARAGE{kind}00{n:07}")).unwrap(),
        name: "Garage".into(),
        class: AccessClass::Garage,
        cover: format!("cover.{name}_garage"),
        obstruction: Some(format!("binary_sensor.{name}_obstruction")),
    }
}
pub fn adapter(base: &str, things: Things, way: Arc<Between>) -> HomeAssistant {
    let config = HomeAssistantConfig {
        base: base.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        redirect_uri: REDIRECT.to_owned(),
        things,
    };
    let timer = Arc::new(Machine::new());
    HomeAssistant::new(config, Client::over(way, timer.clone()), timer).expect("a good configuration")
}

impl HomeRig {
    /// A car, and a second one whose lock somebody has removed from the server.
    pub async fn car() -> Self {
        let n = home().a_car();
        let name = format!("car_{n}");
        home()
            .service("device_tracker/see", json!({"dev_id": name, "gps": [59.334_59, 18.063_24], "gps_accuracy": 12}))
            .await;
        let things = Things::Cars(vec![a_car(n, &name, 'X'), a_car(n, &format!("removed_{n}"), '5')]);
        Self::of(n, things).await
    }
    /// The same bolt as a house door's.
    pub async fn door() -> Self {
        let n = home().a_car();
        let name = format!("car_{n}");
        Self::of(n, Things::Doors(vec![a_door(n, &name, 'X'), a_door(n, &format!("removed_{n}"), '5')])).await
    }
    /// A door with a drive.
    pub async fn garage() -> Self {
        let n = home().a_car();
        let name = format!("car_{n}");
        let both = vec![a_garage(n, &name, 'X'), a_garage(n, &format!("removed_{n}"), '5')];
        Self::of(n, Things::Entrances(both)).await
    }
    async fn of(n: usize, things: Things) -> Self {
        let home = home();
        let way = Arc::new(Between::new());
        let adapter = adapter(&home.base, things.clone(), Arc::clone(&way));
        let (vin, without) = match &things {
            Things::Cars(all) => (all[0].vin.clone(), all[1].vin.clone()),
            Things::Doors(all) => (all[0].number.clone(), all[1].number.clone()),
            Things::Entrances(all) => (all[0].number.clone(), all[1].number.clone()),
        };
        let address = adapter.authorize_url("state-1", "");
        assert!(address.starts_with(&format!("{}/auth/authorize?", home.base)) && address.contains("state=state-1"));
        let code = home.sign_in(CLIENT_ID, REDIRECT, &home.username, &home.password).await;
        let tokens = adapter.exchange_code(&code, "", Machine::new().now()).await.expect("tokens");
        let rig = Self { home, way, adapter, tokens, vin, without, car: format!("car_{n}"), things };
        rig.way.seen.lock().unwrap().clear();
        rig
    }
    pub async fn switch(&self, helper: &str, on: bool) {
        self.home.switch(&format!("{}_{helper}", self.car), on).await;
    }
    async fn is(&self, helper: &str) -> bool {
        self.home.is_on(&format!("{}_{helper}", self.car)).await
    }
    pub async fn plan(&self, fault: &str) {
        let data = json!({"entity_id": format!("input_select.{}_fault", self.car), "option": fault});
        self.home.service("input_select/select_option", data).await;
    }
    fn has_a_drive(&self) -> bool {
        matches!(self.things, Things::Entrances(_))
    }
    /// How far the garage door is open, percent.
    pub async fn leaf(&self) -> f64 {
        let state = self.home.state(&format!("input_number.{}_leaf", self.car)).await;
        state["state"].as_str().and_then(|s| s.parse().ok()).expect("a number")
    }
    pub async fn move_leaf(&self, percent: u8) {
        let data = json!({"entity_id": format!("input_number.{}_leaf", self.car), "value": percent});
        self.home.service("input_number/set_value", data).await;
    }
    fn on_the_way(&self, command: Command, trouble: Trouble, acted: bool) {
        let service = match (self.has_a_drive(), command == Command::Lock) {
            (true, true) => "cover/close_cover",
            (true, false) => "cover/open_cover",
            (false, true) => "lock/lock",
            (false, false) => "lock/unlock",
        };
        *self.way.next.lock().unwrap() = Some((service, trouble, acted));
    }
}

#[async_trait::async_trait]
impl Rig for HomeRig {
    fn access(&self) -> &dyn Access {
        &self.adapter
    }
    async fn session(&self) -> Session {
        Session { access_token: self.tokens.access_token.clone(), now: Machine::new().now() }
    }
    fn tokens(&self) -> Tokens {
        self.tokens.clone()
    }
    fn vin(&self) -> Vin {
        self.vin.clone()
    }
    async fn hand(&self, hand: Hand) -> bool {
        match hand {
            // Nobody lifts a door against its drive; the button on the wall stands for a key.
            Hand::OpenLid if self.has_a_drive() => return self.leaf().await > 0.0,
            Hand::CloseLid if self.has_a_drive() => self.move_leaf(0).await,
            Hand::UnlockWithKey if self.has_a_drive() => self.move_leaf(100).await,
            Hand::JamLock if self.has_a_drive() => self.switch("drive_is_weak", true).await,
            Hand::OpenLid if self.is("bolted").await => return false,
            Hand::OpenLid => self.switch("lid_open", true).await,
            Hand::CloseLid => self.switch("lid_open", false).await,
            Hand::UnlockWithKey => self.switch("bolted", false).await,
            Hand::JamLock => self.switch("bolt_is_bent", true).await,
            Hand::FallAsleep => return false,
        }
        true
    }
    async fn really(&self) -> (LidState, LockState) {
        if self.has_a_drive() {
            let open = self.leaf().await > 0.0;
            return if open { (LidState::Open, LockState::Unlocked) } else { (LidState::Closed, LockState::Locked) };
        }
        let lid = if self.is("lid_open").await { LidState::Open } else { LidState::Closed };
        (lid, if self.is("bolted").await { LockState::Locked } else { LockState::Unlocked })
    }
    async fn fault(&self, command: Command, fault: Fault) {
        // What an integration does wrong is over with the next plan.
        self.plan("none").await;
        match fault {
            Fault::Timeout { acted } => self.on_the_way(command, Trouble::Status(504), acted),
            Fault::ConnectionDrop { acted } => self.on_the_way(command, Trouble::Drop, acted),
            Fault::Unavailable { acted } => self.on_the_way(command, Trouble::Status(503), acted),
            Fault::Garbage { acted } => self.on_the_way(command, Trouble::Page, acted),
            Fault::Quota => self.on_the_way(command, Trouble::Status(429), false),
            // The server itself: what stands behind the lock fails, after the bolt or before it.
            Fault::ServerError { acted: true } | Fault::CarErrorActed => self.plan("error_acted").await,
            Fault::ServerError { acted: false } => self.plan("error_not_acted").await,
            Fault::CouldNot { acted: true } => self.plan("refused_acted").await,
            Fault::CouldNot { acted: false } => self.plan("refused_not_acted").await,
            Fault::Unfinished => self.plan("unfinished").await,
        }
    }
    async fn pass_time(&self, _time: Duration) {
        // Real time passes by itself, and nothing here keeps quotas or windows.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    async fn withdraw_consent(&self) {
        let url = format!("{}/auth/revoke", self.home.base);
        let form = format!("token={}", self.tokens.refresh_token);
        let request = self.home.http().post(url).header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(request.body(form).send().await.expect("an answer").status(), 200);
    }
    async fn car_without(&self, _command: Command) -> Option<Vin> {
        Some(self.without.clone())
    }
    fn unplugged(&self) -> Box<dyn Access> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let base = format!("http://127.0.0.1:{port}");
        Box::new(adapter(&base, self.things.clone(), Arc::new(Between::new())))
    }
    async fn commands_arrived(&self) -> u64 {
        self.way.commands()
    }
    async fn requests_arrived(&self) -> u64 {
        self.way.requests()
    }
    fn secrets(&self) -> Vec<String> {
        vec![
            self.tokens.access_token.clone(),
            self.tokens.refresh_token.clone(),
            self.vin.expose().to_owned(),
            "59.334".to_owned(),
            "18.063".to_owned(),
        ]
    }
}
