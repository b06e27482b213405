//! Door locks that a Seam workspace knows, behind the access port.
//!
//! What it is: the one place that knows this cloud's addresses, words and quirks. What it is not: it holds no policy and no
//! key, repeats no command by itself, and never waits inside a call for a lock to turn. `docs/makers/seam.md` says
//! what the cloud promises and what a lock proof means here.
//!
//! The three things to know: [`Seam`] (the adapter), [`SeamConfig`] (which devices are which doors), and that a command makes
//! an *action attempt*: [`send`](Access::send) gives `Unknown` with its id, [`reconcile`](Access::reconcile) asks.
//!
//! ```no_run
//! use parcelshelf_access::Access as _;
//! use parcelshelf_access_seam::{Door, Seam, SeamConfig};
//! use parcelshelf_core::vehicle::Vin;
//!
//! # fn f(timer: std::sync::Arc<dyn parcelshelf_core::time::Timer>) -> Result<(), Box<dyn std::error::Error>> {
//! let door = Door {
//!     number: Vin::parse("0HALLWAY000000001")?,
//!     name: "Hallway".into(),
//!     device_id: "0b5a1a3e-6f1f-4a44-9c3f-000000000001".into(),
//! };
//! let config = SeamConfig {
//!     api_base: "https://connect.example.com".into(),
//!     console_url: "https://console.example.com".into(),
//!     doors: vec![door],
//! };
//! let seam = Seam::new(config, parcelshelf_exchange::Client::network(timer.clone())?, timer)?;
//! assert!(!seam.facts().opening_is_a_window);
//! # Ok(()) }
//! ```

mod answers;
mod config;
mod prepared;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parcelshelf_access::{
    Access, AccessError, Closures, Command, Facts, LidState, Located, Prepared, Reachability, Reading, Reconciled,
    Sent, Session, Tokens, VehicleFindings,
};
use parcelshelf_core::actuation::{AccessClass, Outcome, Refusal, Source};
use parcelshelf_core::time::{Timer, Timestamp, within};
use parcelshelf_core::vehicle::Vin;
use parcelshelf_exchange::Client;

pub use config::{ConfigError, Door, SeamConfig};

use answers::{Asked, Device, did_not_happen};
use config::Checked;
use wire::Operation;

/// Short name in configuration and reports.
pub const MAKER: &str = "seam";

/// The API key was refused: it was deleted, or was never one.
pub const KEY_REFUSED: &str = "the workspace's key was refused";
/// Other credentials of this cloud begin alike; only a workspace's API key opens doors here.
pub const NOT_A_KEY: &str = "an API key of the workspace is needed";

/// No call takes longer: all doors of a workspace are read one after another within it.
const CALL_DEADLINE: Duration = Duration::from_secs(60);
/// An attempt is asked after so often.
const ATTEMPT_POLL: Duration = Duration::from_secs(2);
/// A key has no end; it is looked at again after that.
const KEY_LOOKED_AT_S: i64 = 86_400;
const KEY_BYTES_MAX: usize = 256;

static FACTS: Facts = Facts {
    maker: MAKER,
    classes: &[AccessClass::Door],
    parked: Source::NotAvailable,
    in_use: Source::NotAvailable,
    nobody_inside: Source::NotAvailable,
    lid_state: Source::NotAvailable,
    lock_state: Source::Observed,
    position: Source::NotAvailable,
    // Never used: there is no position.
    position_accuracy_m: 50.0,
    can_wake: false,
    can_signal: false,
    // What is unlocked stays unlocked until it is locked, or until the lock's own timer locks it.
    opening_is_a_window: false,
    unanswered_open_may_act_for: answers::UNANSWERED_MAY_ACT_FOR,
    poll_every: Some(ATTEMPT_POLL),
    default_window: Duration::from_secs(300),
    call_deadline: CALL_DEADLINE,
    reads_per_minute: 60,
    // As published, per device, for unlocking and for locking each.
    commands_per_minute: 15,
};

/// The adapter. Cheap to share; holds no key.
pub struct Seam {
    checked: Checked,
    client: Client,
    timer: Arc<dyn Timer>,
}
impl std::fmt::Debug for Seam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seam")
    }
}

impl Seam {
    /// # Errors
    /// [`ConfigError`] names what is wrong, never its value.
    pub fn new(config: SeamConfig, client: Client, timer: Arc<dyn Timer>) -> Result<Self, ConfigError> {
        Ok(Self { checked: Checked::new(config)?, client, timer })
    }

    fn door(&self, number: &Vin) -> Result<&Door, AccessError> {
        self.checked.door(number).ok_or(AccessError::NotSupported)
    }
    async fn read(
        &self,
        operation: Operation,
        key: &str,
        path: &str,
        parameter: Option<(&str, &str)>,
    ) -> Result<Bytes, AccessError> {
        let request = wire::request(&self.checked.url(path, parameter), None, key);
        let request = request.ok_or(AccessError::OwnerActionNeeded(KEY_REFUSED))?;
        let answer = wire::call(&self.client, operation, request).await;
        answers::readable(answer.map_err(|_| AccessError::Unreachable)?)
    }
    async fn device(&self, session: &Session, door: &Door) -> Result<Device, AccessError> {
        let parameter = Some(("device_id", door.device_id.as_str()));
        let body = self.read(Operation("lock"), &session.access_token, "/locks/get", parameter).await?;
        Device::parse(&body, &door.device_id).ok_or(AccessError::Malformed("lock"))
    }
    async fn command(&self, asked: Asked, session: &Session, door: &Door) -> Sent {
        let body = format!(r#"{{"device_id":"{}"}}"#, door.device_id);
        let Some(request) = wire::request(&self.checked.url(asked.path(), None), Some(body), &session.access_token)
        else {
            return did_not_happen(Refusal::OwnerActionNeeded, None);
        };
        let came_back = wire::call(&self.client, Operation("command"), request).await;
        answers::sent(asked, session.now, came_back.as_ref().map_err(|silence| *silence))
    }
    async fn findings(&self, session: &Session, door: &Door) -> Result<VehicleFindings, AccessError> {
        let device = match self.device(session, door).await {
            Ok(device) => Some(device),
            Err(AccessError::NotSupported) => None,
            Err(other) => return Err(other),
        };
        let can_open = device.as_ref().is_some_and(Device::can_open);
        Ok(VehicleFindings {
            vin: door.number.clone(),
            make: door.name.clone(),
            model: None,
            model_year: None,
            colour: None,
            can_open: if can_open { FACTS.classes.to_vec() } else { Vec::new() },
            can_lock: device.as_ref().is_some_and(Device::can_lock),
            can_signal: false,
            missing_permissions: device.as_ref().map(Device::against).unwrap_or_default(),
            obstacles: Vec::new(),
            publishes_position: false,
        })
    }
    /// Whether a key works, as the port's tokens: it has no end and cannot be refreshed, so it is looked at.
    async fn looked_at(&self, key: &str, now: Timestamp) -> Result<Tokens, AccessError> {
        if !is_key(key) {
            return Err(AccessError::OwnerActionNeeded(NOT_A_KEY));
        }
        self.read(Operation("workspace"), key, "/workspaces/get", None).await?;
        Ok(Tokens {
            access_token: key.to_owned(),
            refresh_token: key.to_owned(),
            access_expires_at: now.plus_seconds(KEY_LOOKED_AT_S),
            refresh_expires_at: None,
            not_given: Vec::new(),
        })
    }
}

/// An API key, and none of the cloud's other credentials: publishable keys, client sessions, personal tokens.
fn is_key(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let other = ["seam_pk", "seam_cst", "seam_at"].iter().any(|prefix| text.starts_with(prefix));
    text.starts_with("seam_") && !other && text.len() <= KEY_BYTES_MAX && text.bytes().all(fits)
}

#[async_trait::async_trait]
impl Access for Seam {
    fn facts(&self) -> &Facts {
        &FACTS
    }

    /// The page where the owner makes a key. No code comes back from there: the key itself is the code.
    fn authorize_url(&self, _state: &str, _pkce_verifier: &str) -> String {
        self.checked.console.clone().into()
    }
    /// `code`: an API key of the owner's own workspace.
    async fn exchange_code(&self, code: &str, _pkce_verifier: &str, now: Timestamp) -> Result<Tokens, AccessError> {
        self.looked_at(code, now).await
    }
    async fn refresh(&self, tokens: &Tokens, now: Timestamp) -> Result<Tokens, AccessError> {
        self.looked_at(&tokens.refresh_token, now).await
    }
    /// Only the owner can delete a key.
    async fn revoke(&self, _tokens: &Tokens) -> Result<bool, AccessError> {
        Ok(false)
    }

    async fn vehicles(&self, session: &Session) -> Result<Vec<VehicleFindings>, AccessError> {
        let all = async {
            let mut found = Vec::new();
            for door in &self.checked.doors {
                found.push(self.findings(session, door).await?);
            }
            Ok(found)
        };
        within(&*self.timer, CALL_DEADLINE, all).await.unwrap_or(Err(AccessError::Unreachable))
    }
    async fn reachability(&self, session: &Session, vin: &Vin) -> Result<Reachability, AccessError> {
        Ok(self.device(session, self.door(vin)?).await?.reachability())
    }
    /// A door has no place here: the cloud does not know it.
    async fn locate(&self, _session: &Session, _vin: &Vin) -> Result<Located, AccessError> {
        Err(AccessError::NotSupported)
    }
    async fn closures(&self, session: &Session, vin: &Vin) -> Result<Closures, AccessError> {
        Ok(Closures {
            central_lock: self.device(session, self.door(vin)?).await?.lock(),
            lid: Reading { value: LidState::Unknown, changed_at: None },
            doors: Vec::new(),
            read_at: session.now,
        })
    }
    async fn wake(&self, _session: &Session, _vin: &Vin) -> Result<Outcome, AccessError> {
        Ok(Outcome::DidNotHappen(Refusal::NotSupported))
    }
    async fn signal(&self, _session: &Session, _vin: &Vin) -> Result<Outcome, AccessError> {
        Ok(Outcome::DidNotHappen(Refusal::NotSupported))
    }

    fn prepare(&self, command: Command, vin: &Vin, nonce: [u8; 16], now: Timestamp) -> Prepared {
        prepared::encode(command, vin, nonce, now)
    }
    async fn send(&self, session: &Session, prepared: &Prepared) -> Sent {
        let Some(wish) = prepared::decode(prepared) else {
            return did_not_happen(Refusal::NeverSent, None);
        };
        let Some(door) = self.checked.door(&wish.vin) else {
            return did_not_happen(Refusal::NotSupported, None);
        };
        match wish.command {
            Command::Open(AccessClass::Door) => self.command(Asked::Unlock, session, door).await,
            Command::Lock => self.command(Asked::Lock, session, door).await,
            Command::Open(_) => did_not_happen(Refusal::NotSupported, None),
        }
    }
    /// Asks after the attempt once.
    async fn reconcile(
        &self,
        session: &Session,
        prepared: &Prepared,
        handle: Option<&[u8]>,
    ) -> Result<Reconciled, AccessError> {
        let (Some(wish), Some(handle)) = (prepared::decode(prepared), handle) else { return Ok(Reconciled::AskTheCar) };
        let Some(id) = answers::kept_id(handle) else { return Ok(Reconciled::AskTheCar) };
        let asked = if wish.command == Command::Lock { Asked::Lock } else { Asked::Unlock };
        let parameter = Some(("action_attempt_id", id));
        let body = match self.read(Operation("attempt"), &session.access_token, "/action_attempts/get", parameter).await
        {
            Ok(body) => body,
            // The cloud has forgotten it.
            Err(AccessError::NotSupported) => return Ok(Reconciled::AskTheCar),
            Err(other) => return Err(other),
        };
        let sent = answers::reconciled(asked, &body, wish.prepared_at, handle);
        sent.map(Reconciled::Outcome).ok_or(AccessError::Malformed("attempt"))
    }
}
