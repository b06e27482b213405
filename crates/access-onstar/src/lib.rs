//! OnStar's cloud (Chevrolet, Buick, GMC, Cadillac) behind the access port.
//!
//! What it is: the one place that knows this maker's addresses, queries, statuses and quirks. What it is not: it holds no
//! policy and no token, repeats no command by itself, and logs no address, for this maker writes the VIN into it. The README
//! beside it says what the maker promises, how to get access, and what a lock proof means here.
//!
//! The three things to know: [`Onstar`] (the adapter), [`OnstarConfig`] (who we are there, without any default), and that a
//! command's answer comes later: [`send`](Access::send) gives `Unknown` with a handle, [`reconcile`](Access::reconcile) asks.
//!
//! ```no_run
//! use parcelshelf_access::Access as _;
//! use parcelshelf_access_onstar::{Onstar, OnstarConfig};
//!
//! # fn f(timer: std::sync::Arc<dyn parcelshelf_core::time::Timer>) -> Result<(), Box<dyn std::error::Error>> {
//! let config = OnstarConfig {
//!     api_base: "https://api.example.com".into(),
//!     login_base: "https://login.example.com/tenant/policy".into(),
//!     client_id: "from-the-contract".into(),
//!     redirect_uri: "https://wallet.example.org/link/onstar".into(),
//!     scope: "openid offline_access".into(),
//!     exchange_scope: "onstar user".into(),
//!     app_version: "parcelshelf-1".into(),
//!     device_id: "66666666-7777-4888-8999-000000000000".into(),
//! };
//! let onstar = Onstar::new(config, parcelshelf_exchange::Client::network(timer.clone())?, timer)?;
//! assert!(!onstar.facts().opening_is_a_window);
//! # Ok(()) }
//! ```

mod commands;
mod config;
mod garage;
mod json;
mod older;
mod position;
mod prepared;
mod tokens;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use parcelshelf_access::{
    Access, AccessError, Closures, Command, Facts, LidState, Located, LockState, Prepared, Reachability, Reading,
    Reconciled, Sent, Session, Tokens, VehicleFindings,
};
use parcelshelf_core::actuation::{AccessClass, Confirmation, Outcome, Refusal, Source};
use parcelshelf_core::reason::Obstacle;
use parcelshelf_core::time::{Timer, Timestamp, within};
use parcelshelf_core::vehicle::Vin;
use parcelshelf_exchange::Client;
use url::Url;

pub use config::{ConfigError, OnstarConfig};

use commands::{Api, Asked};
use config::Checked;
use older::OlderCars;
use position::Twin;
use tokens::{Login, NOT_EXCHANGED};
use wire::{Answer, Content, Operation, REQUEST_DEADLINE, Silence};

/// Short name in configuration and reports.
pub const MAKER: &str = "onstar";

/// An API call was answered 401, or the token is none: it has ended early, or the owner withdrew the consent. A refresh
/// tells which.
pub const TOKEN_REFUSED: &str = "the access token was refused";
/// An API call was answered 403, or the token does not name the car: a permission is missing, or the car is not this
/// owner's any more.
pub const PERMISSION_REFUSED: &str = "a permission or the relation to the car is missing";
/// The login gave a token that names no cars at all.
pub const NO_VEHICLES: &str = "the maker names no cars for this login; sign in again";

/// No call takes longer: a fresh position, or a command refused by the new API and sent through the old one.
const CALL_DEADLINE: Duration = Duration::from_secs(60);
/// A command is asked after so often: half of the readings that one owner may be asked for in a minute.
const COMMAND_POLL: Duration = Duration::from_secs(4);
/// A fresh position is asked after so often.
const POSITION_POLL: Duration = Duration::from_secs(3);
/// No more asking after that; the last request has its own deadline and fits into [`CALL_DEADLINE`].
const POSITION_WAIT: Duration = Duration::from_secs(36);

static FACTS: Facts = Facts {
    maker: MAKER,
    classes: &[AccessClass::SeparateTrunk],
    parked: Source::NotAvailable,
    in_use: Source::NotAvailable,
    nobody_inside: Source::NotAvailable,
    lid_state: Source::NotAvailable,
    lock_state: Source::NotAvailable,
    position: Source::Observed,
    position_accuracy_m: position::ACCURACY_M,
    can_wake: false,
    can_signal: true,
    // An unlocked trunk stays unlocked until it is locked.
    opening_is_a_window: false,
    unanswered_open_may_act_for: commands::UNANSWERED_MAY_ACT_FOR,
    poll_every: Some(COMMAND_POLL),
    default_window: Duration::from_secs(300),
    call_deadline: CALL_DEADLINE,
    // The maker publishes no limits. Its own app asks about a command every six seconds and sends a few per minute.
    reads_per_minute: 30,
    commands_per_minute: 4,
};

/// The adapter. Cheap to share; holds no token of an owner.
pub struct Onstar {
    checked: Checked,
    client: Client,
    timer: Arc<dyn Timer>,
    older: OlderCars,
}
impl std::fmt::Debug for Onstar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onstar").field("config", &self.checked.config).finish_non_exhaustive()
    }
}

/// A reading's answer, once the status is sorted out.
type Body = Bytes;

impl Onstar {
    /// # Errors
    /// [`ConfigError`] names what is wrong, never its value.
    pub fn new(config: OnstarConfig, client: Client, timer: Arc<dyn Timer>) -> Result<Self, ConfigError> {
        Ok(Self { checked: Checked::new(config)?, client, timer, older: OlderCars::default() })
    }

    fn request(&self, url: &Url, content: Content, token: Option<&str>) -> Option<Request<Bytes>> {
        wire::request(url, content, token, &self.checked.config.app_version)
    }
    async fn read(
        &self,
        operation: Operation,
        session: &Session,
        url: &Url,
        content: Content,
    ) -> Result<Body, AccessError> {
        if session.access_token == NOT_EXCHANGED {
            return Err(AccessError::Unreachable);
        }
        let request = self.request(url, content, Some(&session.access_token));
        let request = request.ok_or(AccessError::OwnerActionNeeded(TOKEN_REFUSED))?;
        let answer = wire::call(&self.client, operation, request, REQUEST_DEADLINE).await;
        readable(answer.map_err(|_| AccessError::Unreachable)?)
    }
    async fn form(
        &self,
        operation: Operation,
        url: &Url,
        form: Vec<(&'static str, String)>,
    ) -> Result<Answer, Silence> {
        let request = self.request(url, Content::Form(form), None).ok_or(Silence::NeverSent)?;
        wire::call(&self.client, operation, request, REQUEST_DEADLINE).await
    }

    async fn log_in(&self, mut form: Vec<(&'static str, String)>, before: Option<&str>) -> Result<Login, AccessError> {
        form.push(("client_id", self.checked.config.client_id.clone()));
        let answer = self.form(Operation("token"), &self.checked.login_url("token"), form).await;
        tokens::login(&answer.map_err(|_| AccessError::Unreachable)?, before)
    }
    async fn exchange(&self, login: Login, now: Timestamp) -> Result<Tokens, AccessError> {
        let form = tokens::exchange_form(&self.checked, &login);
        let url = self.checked.api_url("/sec/authz/v3/oauth/token");
        let answer = self.form(Operation("exchange"), &url, form).await.map_err(|_| AccessError::Unreachable)?;
        tokens::exchanged(&answer, login, now)
    }

    /// One command. The old API gets it only if the new one definitely refused this very command with 400, or has for this
    /// car before.
    async fn command(&self, asked: Asked, session: &Session, vin: &Vin) -> Sent {
        if session.access_token == NOT_EXCHANGED {
            return commands::did_not_happen(Refusal::MakerRefused, None);
        }
        if named(session, vin).is_err() {
            return commands::did_not_happen(Refusal::OwnerActionNeeded, None);
        }
        let started = self.timer.uptime();
        let now = || session.now.plus_millis(millis(self.timer.uptime().saturating_sub(started)));
        if !self.older.has(vin) {
            let sent_at = now();
            let came_back = self.post(asked, Api::V3, session, vin).await;
            let refused = came_back.as_ref().is_ok_and(|answer| answer.status == StatusCode::BAD_REQUEST);
            if !refused {
                return commands::sent(&self.checked.api, sent_at, came_back.as_ref().map_err(|silence| *silence));
            }
        }
        let sent_at = now();
        let came_back = self.post(asked, Api::V1, session, vin).await;
        if came_back.as_ref().is_ok_and(|answer| answer.status.is_success()) {
            self.older.remember(vin);
        }
        commands::sent(&self.checked.api, sent_at, came_back.as_ref().map_err(|silence| *silence))
    }
    async fn post(&self, asked: Asked, api: Api, session: &Session, vin: &Vin) -> Result<Answer, Silence> {
        let (vin, command) = (vin.expose(), asked.path());
        let url = self.checked.api_url(&match api {
            Api::V3 => format!("/veh/cmd/v3/{command}/{vin}"),
            Api::V1 => format!("/api/v1/account/vehicles/{vin}/commands/{command}"),
        });
        let request = self.request(&url, Content::Json(asked.body(api)), Some(&session.access_token));
        wire::call(&self.client, Operation(command), request.ok_or(Silence::NeverSent)?, REQUEST_DEADLINE).await
    }

    async fn twin(&self, session: &Session, vin: &Vin, fresh: bool) -> Result<Twin, AccessError> {
        let mut url = self.checked.api_url(&format!("/veh/datadelivery/digitaltwin/v1/vehicles/{}", vin.expose()));
        url.set_query(Some(if fresh { "sms=true&region=na" } else { "sms=false&region=na" }));
        let body = self.read(Operation("position"), session, &url, Content::Nothing).await?;
        position::read(&body).ok_or(AccessError::Malformed("position"))
    }

    async fn findings(&self, session: &Session, vin: Vin) -> Result<VehicleFindings, AccessError> {
        let garage = self.checked.api_url("/mbff/garage/v1");
        let query = Content::Text(garage::details_query(&vin));
        let body = self.read(Operation("details"), session, &garage, query).await?;
        let details = garage::details(&body, &vin).map_err(AccessError::Malformed)?;
        let (mut missing_permissions, mut obstacles) = (details.missing, details.obstacles);
        let publishes_position = match self.twin(session, &vin, false).await {
            Ok(twin) => twin.position.is_some(),
            Err(AccessError::OwnerActionNeeded(PERMISSION_REFUSED)) => {
                missing_permissions.push("location".to_owned());
                obstacles.push(Obstacle::PlaceNotGiven);
                false
            }
            Err(AccessError::NotSupported | AccessError::Malformed(_)) => false,
            Err(other) => return Err(other),
        };
        // An opening that cannot be locked again is none.
        let open = details.unlock_trunk && details.lock_trunk;
        Ok(VehicleFindings {
            vin,
            make: details.make,
            model: details.model,
            model_year: details.model_year,
            colour: details.colour,
            can_open: if open { FACTS.classes.to_vec() } else { Vec::new() },
            can_lock: details.lock_trunk,
            can_signal: details.alert,
            missing_permissions,
            obstacles,
            publishes_position,
        })
    }
}

/// Whether the token names this car.
fn named(session: &Session, vin: &Vin) -> Result<(), AccessError> {
    if session.access_token == NOT_EXCHANGED {
        return Err(AccessError::Unreachable);
    }
    match tokens::vehicles_named(&session.access_token) {
        None => Err(AccessError::OwnerActionNeeded(TOKEN_REFUSED)),
        Some(named) if named.contains(vin) => Ok(()),
        Some(_) => Err(AccessError::OwnerActionNeeded(PERMISSION_REFUSED)),
    }
}
/// Bodies of refusals are empty: only the status speaks.
fn readable(answer: Answer) -> Result<Body, AccessError> {
    match answer.status {
        StatusCode::OK => answer.body.ok_or(AccessError::Malformed("body")),
        StatusCode::UNAUTHORIZED => Err(AccessError::OwnerActionNeeded(TOKEN_REFUSED)),
        StatusCode::FORBIDDEN => Err(AccessError::OwnerActionNeeded(PERMISSION_REFUSED)),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(AccessError::NotSupported),
        StatusCode::TOO_MANY_REQUESTS => Err(AccessError::RateLimited { retry_after: answer.retry_after() }),
        status if status.is_server_error() => Err(AccessError::Unreachable),
        _ => Err(AccessError::Malformed("status")),
    }
}
fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[async_trait::async_trait]
impl Access for Onstar {
    fn facts(&self) -> &Facts {
        &FACTS
    }

    fn authorize_url(&self, state: &str, pkce_verifier: &str) -> String {
        tokens::authorize_url(&self.checked, state, pkce_verifier).into()
    }
    async fn exchange_code(&self, code: &str, pkce_verifier: &str, now: Timestamp) -> Result<Tokens, AccessError> {
        let form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", self.checked.config.redirect_uri.clone()),
            ("code_verifier", pkce_verifier.to_owned()),
        ];
        let tokens = self.exchange(self.log_in(form, None).await?, now).await?;
        match tokens::vehicles_named(&tokens.access_token) {
            Some(named) if !named.is_empty() => Ok(tokens),
            _ => Err(AccessError::OwnerActionNeeded(NO_VEHICLES)),
        }
    }
    /// The login's refresh token is dead as soon as it is used. Where the exchange after it fails, the new one comes back
    /// all the same, with an access token that has ended: nothing is lost, and the next refresh goes on.
    async fn refresh(&self, tokens: &Tokens, now: Timestamp) -> Result<Tokens, AccessError> {
        let form = vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", tokens.refresh_token.clone())];
        let login = self.log_in(form, Some(&tokens.refresh_token)).await?;
        Ok(self.exchange(login.clone(), now).await.unwrap_or_else(|_| tokens::not_exchanged(login, now)))
    }
    /// No revocation endpoint is known of: the owner withdraws the consent in the maker's own account pages.
    async fn revoke(&self, _tokens: &Tokens) -> Result<bool, AccessError> {
        Ok(false)
    }

    async fn vehicles(&self, session: &Session) -> Result<Vec<VehicleFindings>, AccessError> {
        let all = async {
            let garage = self.checked.api_url("/mbff/garage/v1");
            let query = Content::Text(garage::LIST_QUERY.to_owned());
            let list = self.read(Operation("vehicles"), session, &garage, query).await?;
            let mut found = Vec::new();
            for vin in garage::vehicles(&list).map_err(AccessError::Malformed)? {
                if named(session, &vin).is_ok() {
                    found.push(self.findings(session, vin).await?);
                }
            }
            Ok(found)
        };
        within(&*self.timer, CALL_DEADLINE, all).await.unwrap_or(Err(AccessError::Unreachable))
    }
    /// This maker does not say; a command wakes a sleeping car.
    async fn reachability(&self, _session: &Session, _vin: &Vin) -> Result<Reachability, AccessError> {
        Ok(Reachability::Unknown)
    }
    /// Asks the car for a fresh position and waits for it. Where none comes in time, the last one is told without a time.
    async fn locate(&self, session: &Session, vin: &Vin) -> Result<Located, AccessError> {
        named(session, vin)?;
        let started = self.timer.uptime();
        let elapsed = || self.timer.uptime().saturating_sub(started);
        let mut twin = self.twin(session, vin, true).await?;
        let waited = twin.pending;
        while twin.pending && elapsed() + POSITION_POLL < POSITION_WAIT {
            self.timer.sleep(POSITION_POLL).await;
            twin = self.twin(session, vin, false).await?;
        }
        Ok(Located {
            position: twin.position.ok_or(AccessError::Malformed("position"))?,
            // It came while we waited, so it is not older than our question; the maker gives no time of its own.
            taken_at: (waited && !twin.pending).then_some(session.now),
            last_parked_only: false,
            read_at: session.now.plus_millis(millis(elapsed())),
        })
    }
    /// No lid, door or lock can be read at this maker: everything is unknown, and nothing is asked.
    async fn closures(&self, session: &Session, _vin: &Vin) -> Result<Closures, AccessError> {
        Ok(Closures {
            central_lock: Reading { value: LockState::Unknown, changed_at: None },
            lid: Reading { value: LidState::Unknown, changed_at: None },
            doors: Vec::new(),
            read_at: session.now,
        })
    }
    async fn wake(&self, _session: &Session, _vin: &Vin) -> Result<Outcome, AccessError> {
        Ok(Outcome::DidNotHappen(Refusal::NotSupported))
    }
    /// Nobody waits for the lights: that the cloud took the command is enough.
    async fn signal(&self, session: &Session, vin: &Vin) -> Result<Outcome, AccessError> {
        let sent = self.command(Asked::Flash, session, vin).await;
        Ok(match sent.outcome {
            Outcome::Unknown if sent.handle.is_some() => Outcome::Done(Confirmation::Accepted),
            outcome => outcome,
        })
    }

    fn prepare(&self, command: Command, vin: &Vin, nonce: [u8; 16], now: Timestamp) -> Prepared {
        prepared::encode(command, vin, nonce, now)
    }
    async fn send(&self, session: &Session, prepared: &Prepared) -> Sent {
        let Some(wish) = prepared::decode(prepared) else {
            return commands::did_not_happen(Refusal::NeverSent, None);
        };
        match wish.command {
            Command::Open(AccessClass::SeparateTrunk) => self.command(Asked::UnlockTrunk, session, &wish.vin).await,
            Command::Lock => self.command(Asked::LockTrunk, session, &wish.vin).await,
            Command::Open(_) => commands::did_not_happen(Refusal::NotSupported, None),
        }
    }
    /// Asks the request URL once. Without one only the courier at the car can tell.
    async fn reconcile(
        &self,
        session: &Session,
        prepared: &Prepared,
        handle: Option<&[u8]>,
    ) -> Result<Reconciled, AccessError> {
        let wish = prepared::decode(prepared);
        let url = handle.and_then(|bytes| commands::kept_url(&self.checked.api, bytes));
        let (Some(wish), Some(url), Some(handle)) = (wish, url, handle) else { return Ok(Reconciled::AskTheCar) };
        let body = match self.read(Operation("request"), session, &url, Content::Nothing).await {
            Ok(body) => body,
            // The maker has forgotten it.
            Err(AccessError::NotSupported) => return Ok(Reconciled::AskTheCar),
            Err(other) => return Err(other),
        };
        let sent = commands::reconciled(&body, wish.prepared_at, session.now, handle);
        sent.map(Reconciled::Outcome).ok_or(AccessError::Malformed("request"))
    }
}
