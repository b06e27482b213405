//! A household's Home Assistant behind the access port: a car that one of its integrations knows, or a door's lock.
//!
//! What it is: the one place that knows this server's addresses, states and quirks. What it is not: it holds no policy and no
//! token, and repeats no command by itself. It asks for the configured entities one by one and never for all of them: the
//! states of cameras carry tokens. `docs/makers/home-assistant.md` says what the server promises and what a lock proof means.
//!
//! The three things to know: [`HomeAssistant`] (the adapter), [`HomeAssistantConfig`] (which server, and which entities are
//! one car or one door), and that a command is confirmed by the lock's own new state under the call's context id.
//!
//! ```no_run
//! use parcelshelf_access::Access as _;
//! use parcelshelf_access_homeassistant::{Door, HomeAssistant, HomeAssistantConfig, Things};
//! use parcelshelf_core::vehicle::Vin;
//!
//! # fn f(timer: std::sync::Arc<dyn parcelshelf_core::time::Timer>) -> Result<(), Box<dyn std::error::Error>> {
//! let door = Door { number: Vin::parse("0HALLWAY000000001")?, name: "Hallway".into(), lock: "lock.front_door".into() };
//! let config = HomeAssistantConfig {
//!     base: "https://home.example.org".into(),
//!     client_id: "https://wallet.example.org/".into(),
//!     redirect_uri: "https://wallet.example.org/oauth/callback".into(),
//!     things: Things::Doors(vec![door]),
//! };
//! let home = HomeAssistant::new(config, parcelshelf_exchange::Client::network(timer.clone())?, timer)?;
//! assert!(!home.facts().opening_is_a_window);
//! # Ok(()) }
//! ```

mod commands;
mod config;
mod prepared;
mod state;
mod tokens;
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

pub use config::{Car, ConfigError, Door, HomeAssistantConfig, Things};
pub use tokens::{ADMINISTRATOR, LINK_REFUSED};
pub use wire::{PERMISSION_REFUSED, TOKEN_REFUSED};

use commands::{Asked, did_not_happen};
use config::{Checked, Thing};
use state::State;
use wire::{Answer, COMMAND_DEADLINE, Content, Operation, READ_DEADLINE, Silence};

/// Short names in configuration and reports.
pub const CARS: &str = "homeassistant-car";
pub const DOORS: &str = "homeassistant-door";

/// No call takes longer: three readings before a command, and the command.
const CALL_DEADLINE: Duration = Duration::from_secs(90);
/// A command whose lock is still on its way is looked after so often.
const COMMAND_POLL: Duration = Duration::from_secs(2);

const FACTS_OF_A_DOOR: Facts = Facts {
    maker: DOORS,
    classes: &[AccessClass::Door],
    parked: Source::NotAvailable,
    in_use: Source::NotAvailable,
    nobody_inside: Source::NotAvailable,
    lid_state: Source::NotAvailable,
    lock_state: Source::Observed,
    position: Source::NotAvailable,
    position_accuracy_m: state::ACCURACY_M,
    can_wake: false,
    can_signal: false,
    // What is unlocked stays unlocked until it is locked.
    opening_is_a_window: false,
    unanswered_open_may_act_for: commands::UNANSWERED_MAY_ACT_FOR,
    poll_every: Some(COMMAND_POLL),
    default_window: Duration::from_secs(300),
    call_deadline: CALL_DEADLINE,
    // The server has no limits; it stands in somebody's home, and integrations ask clouds that have.
    reads_per_minute: 60,
    commands_per_minute: 6,
};
const FACTS_OF_A_CAR: Facts = Facts {
    maker: CARS,
    classes: &[AccessClass::TailgateWithCabin],
    lid_state: Source::Observed,
    position: Source::Observed,
    ..FACTS_OF_A_DOOR
};

/// The adapter. Cheap to share; holds no token of an owner.
pub struct HomeAssistant {
    checked: Checked,
    facts: Facts,
    client: Client,
    timer: Arc<dyn Timer>,
}
impl std::fmt::Debug for HomeAssistant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HomeAssistant").field("maker", &self.facts.maker).finish_non_exhaustive()
    }
}

impl HomeAssistant {
    /// # Errors
    /// [`ConfigError`] names what is wrong, never its value.
    pub fn new(config: HomeAssistantConfig, client: Client, timer: Arc<dyn Timer>) -> Result<Self, ConfigError> {
        let checked = Checked::new(config)?;
        let facts = match (checked.doors, checked.things.first().map(|t| t.class)) {
            (true, _) => FACTS_OF_A_DOOR,
            (false, Some(AccessClass::SeparateTrunk)) => {
                Facts { classes: &[AccessClass::SeparateTrunk], ..FACTS_OF_A_CAR }
            }
            (false, Some(AccessClass::Cabin)) => Facts { classes: &[AccessClass::Cabin], ..FACTS_OF_A_CAR },
            (false, _) => FACTS_OF_A_CAR,
        };
        Ok(Self { checked, facts, client, timer })
    }

    fn thing(&self, number: &Vin) -> Result<&Thing, AccessError> {
        self.checked.thing(number).ok_or(AccessError::NotSupported)
    }
    async fn get(&self, operation: Operation, token: &str, path: &str) -> Result<Bytes, AccessError> {
        let request = wire::request(&self.checked.url(path), Content::Nothing, Some(token));
        let request = request.ok_or(AccessError::OwnerActionNeeded(TOKEN_REFUSED))?;
        let answer = wire::call(&self.client, operation, request, READ_DEADLINE).await;
        wire::readable(answer.map_err(|_| AccessError::Unreachable)?)
    }
    async fn post(
        &self,
        operation: Operation,
        path: &str,
        content: Content,
        token: Option<&str>,
    ) -> Result<Answer, Silence> {
        let request = wire::request(&self.checked.url(path), content, token).ok_or(Silence::NeverSent)?;
        let deadline = if operation.0 == COMMAND.0 { COMMAND_DEADLINE } else { READ_DEADLINE };
        wire::call(&self.client, operation, request, deadline).await
    }
    /// One entity's state. The server answers before it has loaded everything: only when it runs is an entity that it does
    /// not know none.
    async fn state(&self, session: &Session, entity: &str) -> Result<State, AccessError> {
        let token = &session.access_token;
        match self.get(Operation("state"), token, &format!("/api/states/{entity}")).await {
            Ok(body) => State::parse(&body, entity).ok_or(AccessError::Malformed("state")),
            Err(AccessError::NotSupported) => {
                let config = self.get(Operation("config"), token, "/api/config").await?;
                Err(if state::is_running(&config) { AccessError::NotSupported } else { AccessError::Unreachable })
            }
            Err(other) => Err(other),
        }
    }

    /// Looks first, sends once. An entity that does not exist would be answered with success and an empty list.
    async fn command(&self, asked: Asked, session: &Session, thing: &Thing) -> Sent {
        let started = self.timer.uptime();
        let lock = match self.state(session, &thing.lock).await {
            Ok(lock) => lock,
            Err(e) => return not_begun(&e),
        };
        if let Some(refusal) = commands::forbids(lock.word()) {
            return did_not_happen(refusal, None);
        }
        // A bolt that comes out beside an open lid proves nothing. Not to know keeps nobody from locking.
        if let (Asked::Lock, Some(lid)) = (asked, &thing.lid)
            && let Ok(lid) = self.state(session, lid).await
            && matches!(lid.lid().value, LidState::Open | LidState::Ajar)
        {
            return did_not_happen(Refusal::NotClosed, None);
        }
        let body = format!(r#"{{"entity_id":"{}"}}"#, thing.lock);
        let sent_at = session.now.plus_millis(millis(self.timer.uptime().saturating_sub(started)));
        let came_back = self.post(COMMAND, asked.service(), Content::Json(body), Some(&session.access_token)).await;
        commands::sent(asked, &thing.lock, lock.word(), sent_at, came_back.as_ref().map_err(|silence| *silence))
    }

    async fn findings(&self, session: &Session, thing: &Thing) -> Result<VehicleFindings, AccessError> {
        let mut complete = true;
        for entity in [Some(&thing.lock), thing.lid.as_ref()].into_iter().flatten() {
            match self.state(session, entity).await {
                Ok(_) => {}
                Err(AccessError::NotSupported) => complete = false,
                Err(other) => return Err(other),
            }
        }
        let publishes_position = match &thing.tracker {
            Some(tracker) => match self.state(session, tracker).await {
                Ok(state) => state.place().is_ok(),
                Err(AccessError::NotSupported) => false,
                Err(other) => return Err(other),
            },
            None => false,
        };
        Ok(VehicleFindings {
            vin: thing.number.clone(),
            make: thing.make.clone(),
            model: thing.model.clone(),
            model_year: thing.model_year,
            colour: thing.colour.clone(),
            can_open: if complete { vec![thing.class] } else { Vec::new() },
            can_lock: complete,
            can_signal: false,
            missing_permissions: Vec::new(),
            obstacles: Vec::new(),
            publishes_position,
        })
    }

    /// Whether a token works, and whether its user is one that administers nothing.
    async fn admit(&self, access_token: &str) -> Result<(), AccessError> {
        self.get(Operation("hello"), access_token, "/api/").await?;
        // Only administrators may render a template; this one is a bare 1 and tells nobody anything.
        let template = Content::Json(r#"{"template":"1"}"#.to_owned());
        let answer = self.post(Operation("rights"), "/api/template", template, Some(access_token)).await;
        let answer = answer.map_err(|_| AccessError::Unreachable)?;
        match wire::readable(answer) {
            Ok(_) => Err(AccessError::OwnerActionNeeded(ADMINISTRATOR)),
            Err(AccessError::OwnerActionNeeded(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }
    async fn log_in(
        &self,
        form: Vec<(&'static str, String)>,
        before: Option<&str>,
        now: Timestamp,
    ) -> Result<Tokens, AccessError> {
        let answer = self.post(Operation("token"), "/auth/token", Content::Form(form), None).await;
        tokens::login(&answer.map_err(|_| AccessError::Unreachable)?, before, now)
    }
}

const COMMAND: Operation = Operation("command");

/// A command that was kept back because the look before it failed.
fn not_begun(error: &AccessError) -> Sent {
    match error {
        AccessError::OwnerActionNeeded(_) => did_not_happen(Refusal::OwnerActionNeeded, None),
        AccessError::RateLimited { retry_after } => did_not_happen(Refusal::RateLimited, *retry_after),
        AccessError::NotSupported => did_not_happen(Refusal::NotSupported, None),
        AccessError::Unreachable
        | AccessError::CarSilent
        | AccessError::Down { .. }
        | AccessError::Malformed(_)
        | AccessError::Credentials => did_not_happen(Refusal::MakerRefused, None),
    }
}
fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[async_trait::async_trait]
impl Access for HomeAssistant {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The server knows no PKCE; `pkce_verifier` is not used.
    fn authorize_url(&self, state: &str, _pkce_verifier: &str) -> String {
        tokens::authorize_url(&self.checked, state).into()
    }
    /// `code`: the login's code, or a long-lived token that the owner made. A user who administers the server is refused,
    /// and a login of theirs is given back at once.
    async fn exchange_code(&self, code: &str, _pkce_verifier: &str, now: Timestamp) -> Result<Tokens, AccessError> {
        if tokens::is_long_lived(code) {
            let tokens = tokens::long_lived(code, now)?;
            self.admit(&tokens.access_token).await?;
            return Ok(tokens);
        }
        let form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("client_id", self.checked.client_id.clone()),
        ];
        let tokens = self.log_in(form, None, now).await?;
        if let Err(refused) = self.admit(&tokens.access_token).await {
            // Best effort: what the owner sees is why it was refused.
            let _ = self.revoke(&tokens).await;
            return Err(refused);
        }
        Ok(tokens)
    }
    /// The refresh token stays the same. A long-lived token cannot be refreshed: it is looked at.
    async fn refresh(&self, tokens: &Tokens, now: Timestamp) -> Result<Tokens, AccessError> {
        if tokens::is_long_lived(&tokens.refresh_token) {
            self.get(Operation("hello"), &tokens.refresh_token, "/api/").await?;
            return tokens::long_lived(&tokens.refresh_token, now);
        }
        let form = vec![
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", tokens.refresh_token.clone()),
            ("client_id", self.checked.client_id.clone()),
        ];
        self.log_in(form, Some(&tokens.refresh_token), now).await
    }
    /// A login is given back; a long-lived token only its owner can delete.
    async fn revoke(&self, tokens: &Tokens) -> Result<bool, AccessError> {
        if tokens::is_long_lived(&tokens.refresh_token) {
            return Ok(false);
        }
        let form = Content::Form(vec![("token", tokens.refresh_token.clone())]);
        let answer = self.post(Operation("revoke"), "/auth/revoke", form, None).await;
        wire::readable(answer.map_err(|_| AccessError::Unreachable)?).map(|_| true)
    }

    async fn vehicles(&self, session: &Session) -> Result<Vec<VehicleFindings>, AccessError> {
        let all = async {
            let mut found = Vec::new();
            for thing in &self.checked.things {
                found.push(self.findings(session, thing).await?);
            }
            Ok(found)
        };
        within(&*self.timer, CALL_DEADLINE, all).await.unwrap_or(Err(AccessError::Unreachable))
    }
    async fn reachability(&self, session: &Session, vin: &Vin) -> Result<Reachability, AccessError> {
        Ok(self.state(session, &self.thing(vin)?.lock).await?.reachability())
    }
    async fn locate(&self, session: &Session, vin: &Vin) -> Result<Located, AccessError> {
        let tracker = self.thing(vin)?.tracker.as_ref().ok_or(AccessError::NotSupported)?;
        let (position, taken_at) = self.state(session, tracker).await?.place()?;
        Ok(Located {
            position,
            // The server's clock may run ahead of ours.
            taken_at: taken_at.map(|t| t.min(session.now)),
            last_parked_only: false,
            read_at: session.now,
        })
    }
    async fn closures(&self, session: &Session, vin: &Vin) -> Result<Closures, AccessError> {
        let thing = self.thing(vin)?;
        let central_lock = self.state(session, &thing.lock).await?.lock();
        let lid = match &thing.lid {
            Some(lid) => self.state(session, lid).await?.lid(),
            None => Reading { value: LidState::Unknown, changed_at: None },
        };
        Ok(Closures { central_lock, lid, doors: Vec::new(), read_at: session.now })
    }
    async fn wake(&self, _session: &Session, _vin: &Vin) -> Result<Outcome, AccessError> {
        Ok(Outcome::DidNotHappen(Refusal::NotSupported))
    }
    async fn signal(&self, _session: &Session, _vin: &Vin) -> Result<Outcome, AccessError> {
        Ok(Outcome::DidNotHappen(Refusal::NotSupported))
    }

    fn prepare(&self, command: Command, vin: &Vin, nonce: [u8; 16], now: Timestamp) -> Prepared {
        prepared::encode(self.facts.maker, command, vin, nonce, now)
    }
    async fn send(&self, session: &Session, prepared: &Prepared) -> Sent {
        let Some(wish) = prepared::decode(self.facts.maker, prepared) else {
            return did_not_happen(Refusal::NeverSent, None);
        };
        let Some(thing) = self.checked.thing(&wish.vin) else {
            return did_not_happen(Refusal::NotSupported, None);
        };
        match wish.command {
            Command::Open(class) if class == thing.class => self.command(Asked::Unlock, session, thing).await,
            Command::Lock => self.command(Asked::Lock, session, thing).await,
            Command::Open(_) => did_not_happen(Refusal::NotSupported, None),
        }
    }
    /// Looks at the lock once: its state still belongs to the command if it has the command's context id.
    async fn reconcile(
        &self,
        session: &Session,
        prepared: &Prepared,
        handle: Option<&[u8]>,
    ) -> Result<Reconciled, AccessError> {
        let wish = prepared::decode(self.facts.maker, prepared);
        let thing = wish.as_ref().and_then(|w| self.checked.thing(&w.vin));
        let (Some(wish), Some(thing), Some(handle)) = (wish, thing, handle) else { return Ok(Reconciled::AskTheCar) };
        let asked = if wish.command == Command::Lock { Asked::Lock } else { Asked::Unlock };
        let state = self.state(session, &thing.lock).await?;
        let told = commands::reconciled(asked, &state, wish.prepared_at, handle);
        Ok(told.map_or(Reconciled::AskTheCar, Reconciled::Outcome))
    }
}
