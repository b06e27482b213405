//! Volvo's Connected Vehicle API v2 and Location API v1 behind the access port.
//!
//! What it is: the one place that knows this maker's addresses, scopes, statuses and quirks. What it is not: it holds no
//! policy and no state, keeps no token, repeats nothing, and logs no address, for this maker writes the VIN into it.
//! The README beside it says what the maker promises and how to get access.
//!
//! The three things to know: [`Volvo`] (the adapter), [`VolvoConfig`] (who we are there), [`MAKER`] (its name in
//! configuration and reports).
//!
//! ```
//! use parcelshelf_access::Access as _;
//! use parcelshelf_access_volvo::{Volvo, VolvoConfig};
//! use parcelshelf_core::secret::Redacted;
//!
//! let config = VolvoConfig {
//!     api_base: "https://api.volvocars.com".into(),
//!     identity_base: "https://volvoid.eu.volvocars.com".into(),
//!     client_id: "my-app".into(),
//!     client_secret: Redacted::new("secret".into()),
//!     vcc_api_key: Redacted::new("key".into()),
//!     redirect_uri: "https://wallet.example.org/link/volvo".into(),
//! };
//! let host = parcelshelf_edge::Host::system();
//! let client = parcelshelf_exchange::Client::network(host.clock.clone()).unwrap();
//! let volvo = Volvo::new(config, client, host.clock).unwrap();
//! assert!(volvo.facts().opening_is_a_window);
//! ```

mod answers;
mod commands;
mod config;
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
use parcelshelf_core::time::{Timer, Timestamp, within};
use parcelshelf_core::vehicle::Vin;
use parcelshelf_exchange::Client;
use url::Url;

pub use config::{ConfigError, VolvoConfig};

use commands::{Asked, Times};
use config::Checked;
use wire::{Answer, CALL_DEADLINE, Operation};

/// Short name in configuration and reports.
pub const MAKER: &str = "volvo";

/// An API call was answered 401: the access token has ended early, or the owner withdrew the consent. A refresh tells
/// which.
pub const TOKEN_REFUSED: &str = "the access token was refused";
/// An API call was answered 403: a permission is missing, or the car is not this owner's any more.
pub const PERMISSION_REFUSED: &str = "a permission or the relation to the car is missing";

static FACTS: Facts = Facts {
    maker: MAKER,
    classes: &[AccessClass::TailgateWithCabin],
    parked: Source::Inferred("reachable, locked and every door closed"),
    in_use: Source::Inferred("reachable, locked and every door closed"),
    nobody_inside: Source::NotAvailable,
    lid_state: Source::Observed,
    lock_state: Source::Observed,
    position: Source::Observed,
    position_accuracy_m: answers::POSITION_ACCURACY_M,
    can_wake: false,
    can_signal: true,
    opening_is_a_window: true,
    unanswered_open_may_act_for: commands::UNANSWERED_MAY_ACT_FOR,
    // This maker keeps no record of commands.
    poll_every: None,
    default_window: commands::DEFAULT_WINDOW,
    call_deadline: CALL_DEADLINE,
    reads_per_minute: 100,
    commands_per_minute: 10,
};

/// The adapter. Cheap to share; holds credentials of the application, none of an owner.
pub struct Volvo {
    checked: Checked,
    client: Client,
    timer: Arc<dyn Timer>,
    deadline: Duration,
}
impl std::fmt::Debug for Volvo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Volvo").field("config", &self.checked.config).finish_non_exhaustive()
    }
}

/// A reading's answer, once the status is sorted out.
type Body = Vec<u8>;

impl Volvo {
    /// # Errors
    /// [`ConfigError`] names what is wrong, never its value.
    pub fn new(config: VolvoConfig, client: Client, timer: Arc<dyn Timer>) -> Result<Self, ConfigError> {
        Ok(Self { checked: Checked::new(config)?, client, timer, deadline: CALL_DEADLINE })
    }
    /// Waits less than the half minute that a command may take; a longer time changes nothing. What is given up on is
    /// unknown, not failed.
    #[must_use]
    pub fn waiting_at_most(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.min(CALL_DEADLINE);
        self
    }

    /// `…/connected-vehicle/v2/vehicles[/vin[/rest]]`.
    fn vehicle_url(&self, vin: Option<&Vin>, rest: &str) -> Url {
        let mut url = self.checked.api.clone();
        url.set_path(&match vin {
            None => "/connected-vehicle/v2/vehicles".to_owned(),
            Some(vin) if rest.is_empty() => format!("/connected-vehicle/v2/vehicles/{}", vin.expose()),
            Some(vin) => format!("/connected-vehicle/v2/vehicles/{}/{rest}", vin.expose()),
        });
        url
    }
    fn location_url(&self, vin: &Vin) -> Url {
        let mut url = self.checked.api.clone();
        url.set_path(&format!("/location/v1/vehicles/{}/location", vin.expose()));
        url
    }

    async fn read(&self, operation: Operation, session: &Session, url: &Url) -> Result<Body, AccessError> {
        let key = self.checked.config.vcc_api_key.expose();
        let request = wire::api_request(Method::GET, url, &session.access_token, key);
        let request = request.ok_or(AccessError::OwnerActionNeeded(TOKEN_REFUSED))?;
        let answer = wire::call(&self.client, operation, request, self.deadline).await;
        let answer = answer.map_err(|_| AccessError::Unreachable)?;
        readable(answer)
    }

    async fn command(&self, asked: Asked, session: &Session, vin: &Vin) -> Sent {
        let url = self.vehicle_url(Some(vin), &format!("commands/{}", asked.path()));
        let key = self.checked.config.vcc_api_key.expose();
        let Some(request) = wire::api_request(Method::POST, &url, &session.access_token, key) else {
            return commands::did_not_happen(Refusal::OwnerActionNeeded, None);
        };
        let started = self.timer.uptime();
        let came_back = wire::call(&self.client, Operation(asked.path()), request, self.deadline).await;
        // The window is counted from the answer, which may come half a minute after the question.
        let took = i64::try_from((self.timer.uptime() - started).as_millis()).unwrap_or(0);
        let times = Times { sent: session.now, answered: session.now.plus_millis(took) };
        commands::sent(asked, vin, times, came_back)
    }

    async fn token(&self, form: &[(&str, &str)]) -> Result<Answer, AccessError> {
        let mut url = self.checked.identity.clone();
        url.set_path("/as/token.oauth2");
        let config = &self.checked.config;
        let request = tokens::request(&url, &config.client_id, config.client_secret.expose(), form);
        let request = request.ok_or(AccessError::Credentials)?;
        wire::call(&self.client, Operation("token"), request, self.deadline).await.map_err(|_| AccessError::Unreachable)
    }

    async fn findings(&self, session: &Session, vin: Vin) -> Result<VehicleFindings, AccessError> {
        let mut missing = Missing::default();
        let of = |rest| self.vehicle_url(Some(&vin), rest);
        let details = self.read(Operation("details"), session, &of("")).await;
        let details = missing.unless_refused("conve:vehicle_relation", details)?;
        let commands = self.read(Operation("commands"), session, &of("commands")).await;
        let commands = missing.unless_refused("conve:commands", commands)?;
        let reachable = self.read(Operation("command-accessibility"), session, &of("command-accessibility")).await;
        missing.unless_refused("conve:command_accessibility", reachable)?;
        let doors = self.read(Operation("doors"), session, &of("doors")).await;
        let doors = missing.unless_refused("conve:doors_status conve:lock_status", doors)?;
        let location = self.read(Operation("location"), session, &self.location_url(&vin)).await;
        let location = missing.unless_refused("location:read", location)?;

        let details = details.map(|b| answers::details(&b, &vin)).transpose().map_err(AccessError::Malformed)?;
        let details = details.unwrap_or_default();
        let abilities = commands.map(|b| answers::abilities(&b)).transpose().map_err(AccessError::Malformed)?;
        let abilities = abilities.unwrap_or_default();
        // An opening that cannot be watched is none.
        let watched = doors.is_some_and(|b| answers::closures(&b, session.now).is_ok());
        let open = abilities.unlock && watched;
        Ok(VehicleFindings {
            vin,
            make: "Volvo".to_owned(),
            model: details.model,
            model_year: details.model_year,
            colour: details.colour,
            can_open: if open { FACTS.classes.to_vec() } else { Vec::new() },
            can_lock: abilities.lock,
            can_signal: abilities.flash,
            obstacles: tokens::obstacles(missing.0.iter().map(String::as_str)),
            missing_permissions: missing.0,
            publishes_position: location.is_some_and(|b| answers::located(&b, session.now).is_ok()),
        })
    }
}

/// Permissions that turned out to be missing, in the maker's words.
#[derive(Default)]
struct Missing(Vec<String>);
impl Missing {
    /// A refusal is noted and a car without this resource is no error; anything else ends the search.
    fn unless_refused(&mut self, scopes: &str, answer: Result<Body, AccessError>) -> Result<Option<Body>, AccessError> {
        match answer {
            Ok(body) => Ok(Some(body)),
            Err(AccessError::OwnerActionNeeded(PERMISSION_REFUSED)) => {
                self.0.extend(scopes.split(' ').map(str::to_owned));
                Ok(None)
            }
            Err(AccessError::NotSupported) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

fn readable(answer: Answer) -> Result<Body, AccessError> {
    match answer.status {
        StatusCode::OK => answer.body.map(Vec::from).ok_or(AccessError::Malformed("body")),
        StatusCode::UNAUTHORIZED => Err(AccessError::OwnerActionNeeded(TOKEN_REFUSED)),
        StatusCode::FORBIDDEN => Err(AccessError::OwnerActionNeeded(PERMISSION_REFUSED)),
        StatusCode::NOT_FOUND => Err(AccessError::NotSupported),
        StatusCode::TOO_MANY_REQUESTS => Err(AccessError::RateLimited { retry_after: answer.retry_after() }),
        status if status.is_server_error() => Err(AccessError::Unreachable),
        _ => Err(AccessError::Malformed("status")),
    }
}

#[async_trait::async_trait]
impl Access for Volvo {
    fn facts(&self) -> &Facts {
        &FACTS
    }

    fn authorize_url(&self, state: &str, pkce_verifier: &str) -> String {
        tokens::authorize_url(&self.checked, state, pkce_verifier).into()
    }
    async fn exchange_code(&self, code: &str, pkce_verifier: &str, now: Timestamp) -> Result<Tokens, AccessError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.checked.config.redirect_uri),
            ("code_verifier", pkce_verifier),
        ];
        tokens::tokens(&self.token(&form).await?, None, now)
    }
    async fn refresh(&self, tokens: &Tokens, now: Timestamp) -> Result<Tokens, AccessError> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token.as_str())];
        tokens::tokens(&self.token(&form).await?, Some(&tokens.refresh_token), now)
    }
    /// This maker publishes no revocation endpoint: the owner withdraws the consent in the maker's own account pages.
    async fn revoke(&self, _tokens: &Tokens) -> Result<bool, AccessError> {
        Ok(false)
    }

    async fn vehicles(&self, session: &Session) -> Result<Vec<VehicleFindings>, AccessError> {
        let all = async {
            let list = self.read(Operation("vehicles"), session, &self.vehicle_url(None, "")).await?;
            let mut found = Vec::new();
            for vin in answers::vehicles(&list).map_err(AccessError::Malformed)? {
                found.push(self.findings(session, vin).await?);
            }
            Ok(found)
        };
        within(&*self.timer, self.deadline, all).await.unwrap_or(Err(AccessError::Unreachable))
    }
    async fn reachability(&self, session: &Session, vin: &Vin) -> Result<Reachability, AccessError> {
        let url = self.vehicle_url(Some(vin), "command-accessibility");
        let body = self.read(Operation("command-accessibility"), session, &url).await?;
        answers::reachability(&body).map_err(AccessError::Malformed)
    }
    async fn locate(&self, session: &Session, vin: &Vin) -> Result<Located, AccessError> {
        let body = self.read(Operation("location"), session, &self.location_url(vin)).await?;
        answers::located(&body, session.now).map_err(AccessError::Malformed)
    }
    async fn closures(&self, session: &Session, vin: &Vin) -> Result<Closures, AccessError> {
        let body = self.read(Operation("doors"), session, &self.vehicle_url(Some(vin), "doors")).await?;
        answers::closures(&body, session.now).map_err(AccessError::Malformed)
    }
    async fn wake(&self, _session: &Session, _vin: &Vin) -> Result<Outcome, AccessError> {
        Ok(Outcome::DidNotHappen(Refusal::NotSupported))
    }
    async fn signal(&self, session: &Session, vin: &Vin) -> Result<Outcome, AccessError> {
        Ok(self.command(Asked::Flash, session, vin).await.outcome)
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
            // This maker opens nothing alone: a trunk-only wish must not unlock a cabin.
            Some((Command::Open(_), _)) => commands::did_not_happen(Refusal::NotSupported, None),
            None => commands::did_not_happen(Refusal::NeverSent, None),
        }
    }
    /// Commands of this API leave no handle: only the car's doors tell.
    async fn reconcile(
        &self,
        _session: &Session,
        _prepared: &Prepared,
        _handle: Option<&[u8]>,
    ) -> Result<Reconciled, AccessError> {
        Ok(Reconciled::AskTheCar)
    }
}
