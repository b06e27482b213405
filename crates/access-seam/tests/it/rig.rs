//! One door at the vendor's own stand-in for its cloud.
//!
//! It turns every lock at once and calls every attempt a success; what else a cloud can do is played through its own test
//! interface, or on the way to it. Two stories of the suite cannot be played, and `details` tells what is so instead: a lock
//! does not sleep (it is online or not), and a key stays the same for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parcelshelf_access::conformance::{Fault, Hand, Rig};
use parcelshelf_access::{Access, Command, LidState, LockState, Session, Tokens};
use parcelshelf_access_seam::{Door, Seam, SeamConfig};
use parcelshelf_core::time::Clock as _;
use parcelshelf_core::vehicle::Vin;
use parcelshelf_exchange::Client;

use crate::between::{Between, LOCK_DOOR, Machine, Trouble, UNLOCK_DOOR};
use crate::fake::{Fake, KEY, LOCK};

pub struct SeamRig {
    pub fake: Fake,
    pub way: Arc<Between>,
    pub adapter: Seam,
    pub tokens: Tokens,
    door_open: AtomicBool,
}

pub fn number() -> Vin {
    Vin::parse("0HALLWAY000000001").unwrap()
}
/// A door whose lock was taken off the wall.
pub fn removed() -> Vin {
    Vin::parse("0CELLAR0000000001").unwrap()
}
pub fn adapter(base: &str, way: Arc<Between>) -> Seam {
    let config = SeamConfig {
        api_base: base.to_owned(),
        console_url: "https://console.example.com/".to_owned(),
        doors: vec![
            Door { number: number(), name: "Hallway".into(), device_id: LOCK.into() },
            Door { number: removed(), name: "Cellar".into(), device_id: "removed_device".into() },
        ],
    };
    let timer = Arc::new(Machine::new());
    Seam::new(config, Client::over(way, timer.clone()), timer).expect("a good configuration")
}

impl SeamRig {
    pub async fn new() -> Self {
        let fake = Fake::start().await;
        let way = Arc::new(Between::new(Some(fake.hands.clone())));
        let adapter = adapter(&fake.hands.base, Arc::clone(&way));
        let tokens = adapter.exchange_code(KEY, "", Machine::new().now()).await.expect("a key");
        way.seen.lock().unwrap().clear();
        Self { fake, way, adapter, tokens, door_open: AtomicBool::new(false) }
    }
    pub fn on_the_way(&self, command: Command, trouble: Trouble, acted: bool) {
        let path = if command == Command::Lock { LOCK_DOOR } else { UNLOCK_DOOR };
        *self.way.next.lock().unwrap() = Some((path, trouble, acted));
    }
}

#[async_trait::async_trait]
impl Rig for SeamRig {
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
        number()
    }
    async fn hand(&self, hand: Hand) -> bool {
        match hand {
            Hand::OpenLid if self.fake.hands.is_locked().await => return false,
            Hand::OpenLid => self.door_open.store(true, Ordering::Release),
            Hand::CloseLid => self.door_open.store(false, Ordering::Release),
            Hand::UnlockWithKey => self.fake.hands.put("locked", false).await,
            Hand::JamLock => self.way.jammed.store(true, Ordering::Release),
            Hand::FallAsleep => return false,
        }
        true
    }
    async fn really(&self) -> (LidState, LockState) {
        let lid = if self.door_open.load(Ordering::Acquire) { LidState::Open } else { LidState::Closed };
        (lid, if self.fake.hands.is_locked().await { LockState::Locked } else { LockState::Unlocked })
    }
    async fn fault(&self, command: Command, fault: Fault) {
        let (trouble, acted) = match fault {
            Fault::Timeout { acted } => (Trouble::Attempt("pending"), acted),
            Fault::CouldNot { acted } => (Trouble::Attempt("error"), acted),
            Fault::ConnectionDrop { acted } => (Trouble::Drop, acted),
            Fault::ServerError { acted } => (Trouble::Status(500), acted),
            Fault::Unavailable { acted } => (Trouble::Status(503), acted),
            Fault::Garbage { acted } => (Trouble::Page, acted),
            Fault::Quota => (Trouble::Status(429), false),
            Fault::CarErrorActed => (Trouble::Attempt("error"), true),
            Fault::Unfinished => (Trouble::Attempt("pending"), true),
        };
        self.on_the_way(command, trouble, acted);
    }
    async fn pass_time(&self, _time: Duration) {
        // Real time passes by itself, and this server keeps no quotas or windows.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    async fn withdraw_consent(&self) {
        self.fake.hands.delete_key().await;
    }
    async fn car_without(&self, _command: Command) -> Option<Vin> {
        Some(removed())
    }
    fn unplugged(&self) -> Box<dyn Access> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        Box::new(adapter(&format!("http://127.0.0.1:{port}"), Arc::new(Between::new(None))))
    }
    async fn commands_arrived(&self) -> u64 {
        self.way.commands()
    }
    async fn requests_arrived(&self) -> u64 {
        self.way.requests()
    }
    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned(), number().expose().to_owned(), LOCK.to_owned()]
    }
}
