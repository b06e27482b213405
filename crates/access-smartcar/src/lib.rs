//! Smartcar, an aggregator of many makers' clouds, behind the access port.
//!
//! What it is: the one place that knows this vendor's addresses, scopes, errors and quirks. What it is not: it holds no
//! policy and no token, repeats no command, and logs no address, for it names a car. `docs/makers/smartcar.md` says what the
//! vendor promises, how to get access, and what a lock proof means here.
//!
//! The three things to know: [`Smartcar`] (the adapter), [`SmartcarConfig`] (who we are there), and that `success` of a
//! command means *accepted*: only the car's own state, recorded afterwards, shows that it locked.
//!
//! ```no_run
//! use parcelshelf_access::Access as _;
//! use parcelshelf_access_smartcar::{ApiVersion, Mode, Smartcar, SmartcarConfig};
//! use parcelshelf_core::secret::Redacted;
//!
//! # fn f(timer: std::sync::Arc<dyn parcelshelf_core::time::Timer>) -> Result<(), Box<dyn std::error::Error>> {
//! let config = SmartcarConfig {
//!     api_base: "https://api.smartcar.com".into(),
//!     vehicle_base: "https://vehicle.api.smartcar.com".into(),
//!     auth_base: "https://auth.smartcar.com".into(),
//!     connect_base: "https://connect.smartcar.com".into(),
//!     client_id: "my-app".into(),
//!     client_secret: Redacted::new("secret".into()),
//!     redirect_uri: "https://wallet.example.org/link/smartcar".into(),
//!     country: "US".into(),
//!     mode: Mode::Live,
//!     api_version: ApiVersion::V2,
//! };
//! let smartcar = Smartcar::new(config, parcelshelf_exchange::Client::network(timer.clone())?, timer)?;
//! assert!(!smartcar.facts().opening_is_a_window);
//! # Ok(()) }
//! ```

mod answers;
mod commands;
mod config;
mod errors;
mod ids;
mod json;
mod prepared;
mod tokens;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use parcelshelf_access::{
    Access, AccessError, Closures, Command, Facts, Located, Prepared, Reachability, Reconciled, Sent, Session, Tokens,
    VehicleFindings,
};
use parcelshelf_core::actuation::{AccessClass, Outcome, Refusal, Source};
use parcelshelf_core::reason::Obstacle;
use parcelshelf_core::time::{Timer, Timestamp, within};
use parcelshelf_core::vehicle::Vin;
use parcelshelf_exchange::Client;
use url::Url;

pub use config::{ApiVersion, ConfigError, Mode, SmartcarConfig};
pub use errors::{ACCOUNT_REFUSED, PERMISSION_REFUSED, REMOTE_ACCESS_OFF, TOKEN_REFUSED};

use commands::{Asked, Handle, Times};
use config::{Checked, at};
use ids::{KnownCars, VehicleId};
use tokens::{CONTROL, SCOPES};
use wire::{Answer, By, COMMAND_DEADLINE, Operation, READ_DEADLINE};

/// Short name in configuration and reports.
pub const MAKER: &str = "smartcar";

/// No call takes longer: finding a car's id, and then one reading or one command.
const CALL_DEADLINE: Duration = Duration::from_secs(50);
/// After a lock was taken the car is looked at this often.
const LOCK_POLL: Duration = Duration::from_secs(4);

static FACTS: Facts = Facts {
    maker: MAKER,
    // There is no command for a trunk alone: everything is unlocked.
    classes: &[AccessClass::TailgateWithCabin],
    parked: Source::NotAvailable,
    in_use: Source::NotAvailable,
    nobody_inside: Source::NotAvailable,
    lid_state: Source::Observed,
    lock_state: Source::Observed,
    position: Source::Observed,
    position_accuracy_m: answers::POSITION_ACCURACY_M,
    can_wake: false,
    can_signal: false,
    // An unlocked car stays unlocked until it is locked, or locks itself.
    opening_is_a_window: false,
    unanswered_open_may_act_for: commands::UNANSWERED_MAY_ACT_FOR,
    poll_every: Some(LOCK_POLL),
    default_window: Duration::from_secs(120),
    call_deadline: CALL_DEADLINE,
    // Limits belong to the plan and are not published here; these are assumed.
    reads_per_minute: 60,
    commands_per_minute: 4,
};

/// The adapter. Cheap to share; holds credentials of the application, none of an owner.
pub struct Smartcar {
    checked: Checked,
    client: Client,
    timer: Arc<dyn Timer>,
    known: KnownCars,
    deadline: Duration,
}
impl std::fmt::Debug for Smartcar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smartcar").field("config", &self.checked.config).finish_non_exhaustive()
    }
}

impl Smartcar {
    /// # Errors
    /// [`ConfigError`] names what is wrong, never its value.
    pub fn new(config: SmartcarConfig, client: Client, timer: Arc<dyn Timer>) -> Result<Self, ConfigError> {
        let (checked, known) = (Checked::new(config)?, KnownCars::default());
        Ok(Self { checked, client, timer, known, deadline: COMMAND_DEADLINE })
    }
    /// Waits less for any one answer; a longer time changes nothing. What is given up on is unknown, not failed.
    #[must_use]
    pub fn waiting_at_most(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.min(COMMAND_DEADLINE);
        self
    }

    async fn get(&self, operation: Operation, by: By<'_>, url: &Url) -> Result<Answer, AccessError> {
        let request = wire::request(Method::GET, url, by, None);
        let request = request.ok_or(AccessError::OwnerActionNeeded(TOKEN_REFUSED))?;
        let answer = wire::call(&self.client, operation, request, self.deadline.min(READ_DEADLINE)).await;
        let answer = answer.map_err(|_| AccessError::Unreachable)?;
        errors::readable(&answer)?;
        Ok(answer)
    }
    async fn read(&self, operation: Operation, session: &Session, url: &Url) -> Result<Answer, AccessError> {
        self.get(operation, By::Owner(&session.access_token), url).await
    }

    async fn ids(&self, session: &Session) -> Result<Vec<VehicleId>, AccessError> {
        let url = at(&self.checked.api, "/v2.0/vehicles");
        let list = self.read(Operation("vehicles"), session, &url).await?;
        answers::vehicles(body(&list)).map_err(AccessError::Malformed)
    }
    async fn vin_of(&self, session: &Session, id: &VehicleId) -> Result<Vin, AccessError> {
        let told = self.read(Operation("vin"), session, &self.checked.v2(id.expose(), "vin")).await?;
        let vin = answers::vin(body(&told)).map_err(AccessError::Malformed)?;
        self.known.remember(&vin, id);
        Ok(vin)
    }
    /// The id of a car of this owner: remembered, or looked for among all of them.
    async fn id_of(&self, session: &Session, vin: &Vin) -> Result<VehicleId, AccessError> {
        if let Some(id) = self.known.id(vin) {
            return Ok(id);
        }
        let search = async {
            for id in self.ids(session).await? {
                if self.vin_of(session, &id).await? == *vin {
                    return Ok(id);
                }
            }
            Err(AccessError::OwnerActionNeeded(PERMISSION_REFUSED))
        };
        let in_time = self.deadline.min(READ_DEADLINE);
        within(&*self.timer, in_time, search).await.unwrap_or(Err(AccessError::Unreachable))
    }
    /// An id that is refused is forgotten: the car may have been connected anew.
    fn unless_refused<T>(&self, vin: &Vin, answer: Result<T, AccessError>) -> Result<T, AccessError> {
        if matches!(answer, Err(AccessError::OwnerActionNeeded(PERMISSION_REFUSED) | AccessError::NotSupported)) {
            self.known.forget(vin);
        }
        answer
    }
    async fn look(&self, session: &Session, vin: &Vin) -> Result<Closures, AccessError> {
        let started = self.timer.uptime();
        let id = self.id_of(session, vin).await?;
        let url = self.checked.v2(id.expose(), "security");
        let answer = self.unless_refused(vin, self.read(Operation("security"), session, &url).await)?;
        let now = session.now.plus_millis(self.millis_since(started));
        let recorded_at = answers::recorded_at(&answer.headers, now);
        answers::closures(body(&answer), recorded_at, now).map_err(AccessError::Malformed)
    }
    fn millis_since(&self, started: Duration) -> i64 {
        i64::try_from(self.timer.uptime().saturating_sub(started).as_millis()).unwrap_or(i64::MAX)
    }

    async fn command(&self, asked: Asked, session: &Session, vin: &Vin) -> Sent {
        let started = self.timer.uptime();
        let now = || session.now.plus_millis(self.millis_since(started));
        let id = match self.id_of(session, vin).await {
            Ok(id) => id,
            // Nothing has left.
            Err(AccessError::OwnerActionNeeded(_)) => {
                return commands::did_not_happen(Refusal::OwnerActionNeeded, None);
            }
            Err(AccessError::RateLimited { retry_after }) => {
                return commands::did_not_happen(Refusal::RateLimited, retry_after);
            }
            Err(_) => return commands::did_not_happen(Refusal::MakerRefused, None),
        };
        let url = self.checked.v2(id.expose(), "security");
        let by = By::Owner(&session.access_token);
        let Some(request) = wire::request(Method::POST, &url, by, Some(asked.body())) else {
            return commands::did_not_happen(Refusal::OwnerActionNeeded, None);
        };
        let sent_at = now();
        let came_back = wire::call(&self.client, Operation(asked.word()), request, self.deadline).await;
        if came_back.as_ref().is_ok_and(|a| [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&a.status)) {
            self.known.forget(vin);
        }
        commands::sent(asked, Times { sent: sent_at, answered: now() }, came_back)
    }

    async fn token(&self, form: &[(&str, &str)]) -> Result<Answer, AccessError> {
        let request = tokens::request(&self.checked, form).ok_or(AccessError::Credentials)?;
        let in_time = self.deadline.min(READ_DEADLINE);
        wire::call(&self.client, Operation("token"), request, in_time).await.map_err(|_| AccessError::Unreachable)
    }

    /// Whether the car has the commands, by the vendor's own table. What cannot be read is no.
    async fn capable(&self, vin: &Vin) -> Result<bool, AccessError> {
        let mut url = at(&self.checked.api, "/v2.0/compatibility");
        url.query_pairs_mut()
            .append_pair("vin", vin.expose())
            .append_pair("scope", CONTROL)
            .append_pair("country", &self.checked.config.country);
        match self.get(Operation("compatibility"), By::Application(self.checked.basic.expose()), &url).await {
            Ok(told) => Ok(answers::capable(body(&told), CONTROL)),
            Err(AccessError::NotSupported | AccessError::Malformed(_)) => Ok(false),
            // The owner's token was not asked for here: these are our own credentials.
            Err(AccessError::OwnerActionNeeded(_)) => Err(AccessError::Credentials),
            Err(other) => Err(other),
        }
    }

    async fn findings(&self, session: &Session, id: VehicleId) -> Result<VehicleFindings, AccessError> {
        let (checked, v3) = (&self.checked, self.checked.config.api_version == ApiVersion::V3);
        let vin = self.vin_of(session, &id).await?;
        let url = if v3 { checked.v3(id.expose(), "") } else { checked.v2(id.expose(), "") };
        let told = self.read(Operation("attributes"), session, &url).await?;
        let attributes = answers::attributes(body(&told), &id).map_err(AccessError::Malformed)?;
        let told = self.read(Operation("permissions"), session, &checked.v2(id.expose(), "permissions")).await?;
        let missing_permissions = answers::missing_permissions(body(&told), &SCOPES).map_err(AccessError::Malformed)?;
        let can_lock = !missing_permissions.iter().any(|p| p == CONTROL) && self.capable(&vin).await?;
        let mut obstacles: Vec<Obstacle> = missing_permissions.iter().filter_map(|p| tokens::obstacle(p)).collect();
        let security = self.read(Operation("security"), session, &checked.v2(id.expose(), "security")).await;
        let watched = unless_not_now(security, &mut obstacles)?.is_some_and(|answer| {
            answers::can_be_watched(body(&answer), answers::recorded_at(&answer.headers, session.now))
        });
        let place = unless_not_now(self.place(session, &id).await, &mut obstacles)?;
        Ok(VehicleFindings {
            vin,
            make: attributes.make,
            model: attributes.model,
            model_year: attributes.model_year,
            // Not among the attributes.
            colour: None,
            // An opening that cannot be watched is none.
            can_open: if can_lock && watched { FACTS.classes.to_vec() } else { Vec::new() },
            can_lock,
            can_signal: false,
            missing_permissions,
            obstacles,
            // A place whose age nobody tells is of no use.
            publishes_position: place.is_some_and(|p| p.taken_at.is_some()),
        })
    }

    async fn place(&self, session: &Session, id: &VehicleId) -> Result<Located, AccessError> {
        let told = match self.checked.config.api_version {
            ApiVersion::V2 => {
                let answer =
                    self.read(Operation("location"), session, &self.checked.v2(id.expose(), "location")).await?;
                answers::located(body(&answer), answers::recorded_at(&answer.headers, session.now), session.now)
            }
            ApiVersion::V3 => {
                let url = self.checked.v3(id.expose(), &format!("signals/{}", answers::POSITION_SIGNAL));
                answers::located_v3(body(&self.read(Operation("location"), session, &url).await?), session.now)
            }
        };
        told.map_err(AccessError::Malformed)
    }
}

/// The body of an answer that was found readable.
fn body(answer: &Answer) -> &[u8] {
    answer.body.as_deref().unwrap_or_default()
}
/// A car that lacks this, sleeps, or whose owner did not allow it, is found so; anything else ends the search.
fn unless_not_now<T>(answer: Result<T, AccessError>, obstacles: &mut Vec<Obstacle>) -> Result<Option<T>, AccessError> {
    let obstacle = match answer {
        Ok(value) => return Ok(Some(value)),
        // Which permission it was, the list of permissions says.
        Err(
            AccessError::NotSupported | AccessError::Malformed(_) | AccessError::OwnerActionNeeded(PERMISSION_REFUSED),
        ) => None,
        Err(AccessError::CarSilent) => Some(Obstacle::CarAsleep),
        Err(AccessError::OwnerActionNeeded(REMOTE_ACCESS_OFF)) => Some(Obstacle::RemoteAccessOff),
        Err(AccessError::OwnerActionNeeded(ACCOUNT_REFUSED)) => Some(Obstacle::AccountNeedsAttention),
        Err(other) => return Err(other),
    };
    obstacles.extend(obstacle.filter(|o| !obstacles.contains(o)));
    Ok(None)
}

#[async_trait::async_trait]
impl Access for Smartcar {
    fn facts(&self) -> &Facts {
        &FACTS
    }

    /// This vendor knows no PKCE: what binds the code to this linking is `state`, and our secret at the exchange.
    fn authorize_url(&self, state: &str, _pkce_verifier: &str) -> String {
        tokens::authorize_url(&self.checked, state).into()
    }
    async fn exchange_code(&self, code: &str, _pkce_verifier: &str, now: Timestamp) -> Result<Tokens, AccessError> {
        let form =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", &self.checked.config.redirect_uri)];
        tokens::tokens(&self.token(&form).await?, None, now)
    }
    async fn refresh(&self, tokens: &Tokens, now: Timestamp) -> Result<Tokens, AccessError> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token.as_str())];
        tokens::tokens(&self.token(&form).await?, Some(&tokens.refresh_token), now)
    }
    /// Disconnects every car of this grant from our application. Needs an access token that still lives.
    async fn revoke(&self, tokens: &Tokens) -> Result<bool, AccessError> {
        let session = Session { access_token: tokens.access_token.clone(), now: Timestamp::EPOCH };
        let all = async {
            for id in self.ids(&session).await? {
                let url = self.checked.v2(id.expose(), "application");
                let request = wire::request(Method::DELETE, &url, By::Owner(&session.access_token), None);
                let request = request.ok_or(AccessError::OwnerActionNeeded(TOKEN_REFUSED))?;
                let answer = wire::call(&self.client, Operation("disconnect"), request, READ_DEADLINE).await;
                errors::readable(&answer.map_err(|_| AccessError::Unreachable)?)?;
            }
            Ok(true)
        };
        within(&*self.timer, CALL_DEADLINE, all).await.unwrap_or(Err(AccessError::Unreachable))
    }

    async fn vehicles(&self, session: &Session) -> Result<Vec<VehicleFindings>, AccessError> {
        let all = async {
            let mut found = Vec::new();
            for id in self.ids(session).await? {
                found.push(self.findings(session, id).await?);
            }
            Ok(found)
        };
        within(&*self.timer, CALL_DEADLINE, all).await.unwrap_or(Err(AccessError::Unreachable))
    }
    /// This vendor does not say; a sleeping car refuses the command itself.
    async fn reachability(&self, _session: &Session, _vin: &Vin) -> Result<Reachability, AccessError> {
        Ok(Reachability::Unknown)
    }
    async fn locate(&self, session: &Session, vin: &Vin) -> Result<Located, AccessError> {
        let id = self.id_of(session, vin).await?;
        self.unless_refused(vin, self.place(session, &id).await)
    }
    async fn closures(&self, session: &Session, vin: &Vin) -> Result<Closures, AccessError> {
        self.look(session, vin).await
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
        match prepared::decode(prepared) {
            Some((Command::Open(AccessClass::TailgateWithCabin), vin)) => {
                self.command(Asked::Unlock, session, &vin).await
            }
            Some((Command::Lock, vin)) => self.command(Asked::Lock, session, &vin).await,
            // Nothing opens alone here: a trunk-only wish must not unlock a cabin.
            Some((Command::Open(_), _)) => commands::did_not_happen(Refusal::NotSupported, None),
            None => commands::did_not_happen(Refusal::NeverSent, None),
        }
    }
    /// A lock that was taken is looked for on the car itself. An opening, and what was never answered, only the car tells.
    async fn reconcile(
        &self,
        session: &Session,
        prepared: &Prepared,
        handle: Option<&[u8]>,
    ) -> Result<Reconciled, AccessError> {
        let (Some((Command::Lock, vin)), Some(handle)) = (prepared::decode(prepared), handle.and_then(Handle::parse))
        else {
            return Ok(Reconciled::AskTheCar);
        };
        let seen = self.look(session, &vin).await?;
        Ok(Reconciled::Outcome(commands::reconciled(handle, &seen)))
    }
}
