//! A household's Home Assistant behind the access port: a car that one of its integrations knows, a door's lock, or a garage
//! door or gate with a drive.
//!
//! What it is: the one place that knows this server's addresses, states and quirks. What it is not: it holds no policy and no
//! token, and repeats no command by itself. It asks for the configured entities one by one and never for all of them: the
//! states of cameras carry tokens. `docs/makers/home-assistant.md` says what the server promises and what a lock proof means.
//!
//! The three things to know: [`HomeAssistant`] (the adapter), [`HomeAssistantConfig`] (which server, and which entities are
//! one car, door or entrance), and that a command is confirmed by the lock's or cover's own new state under the call's context id.
//!
//! ```no_run
//! use parcelshelf_access::Access as _;
//! use parcelshelf_access_homeassistant::{Door, HomeAssistant, HomeAssistantConfig, Things};
//! use parcelshelf_core::vehicle::Vin;
//!
//! # fn f(timer: std::sync::Arc<dyn parcelshelf_core::time::Timer>) -> Result<(), Box<dyn std::error::Error>> {
//! let door = Door { number: Vin::parse("0HALLWAY000000001")?, name: "Hallway".into(), lock: "lock.front_door".into(), watch: None };
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
mod picture;
mod prepared;
mod state;
mod tokens;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parcelshelf_access::{
    Access, AccessError, AtDoor, Closures, Command, Facts, LidState, Located, Prepared, Reachability, Reading,
    Reconciled, Sent, Session, Snapshot, Still, Tokens, VehicleFindings,
};
use parcelshelf_core::actuation::{AccessClass, Outcome, Refusal, Source};
use parcelshelf_core::time::{Timer, Timestamp, within};
use parcelshelf_core::vehicle::Vin;
use parcelshelf_exchange::Client;

pub use config::{Car, ConfigError, Door, Entrance, HomeAssistantConfig, Things, Watch};
pub use tokens::{ADMINISTRATOR, LINK_REFUSED};
pub use wire::{PERMISSION_REFUSED, TOKEN_REFUSED};

use commands::{Asked, did_not_happen};
use config::{Checked, Parts, Thing};
use state::{InTheWay, State};
use wire::{Answer, BODY_BYTES_MAX, COMMAND_DEADLINE, Content, Operation, READ_DEADLINE, STILL_DEADLINE, Silence};

/// Short names in configuration and reports.
pub const CARS: &str = "homeassistant-car";
pub const DOORS: &str = "homeassistant-door";
pub const GARAGES: &str = "homeassistant-garage";
pub const GATES: &str = "homeassistant-gate";

/// The zone that this server has for the house it stands in.
const HOUSE: &str = "zone.home";

/// No call takes longer: three readings before a command, and the command.
const CALL_DEADLINE: Duration = Duration::from_secs(90);
/// The server makes a picture smaller that is larger, where it can; the shape stays.
const SNAPSHOT_SIZE: &str = "width=640&height=360";
/// A command whose lock is still on its way is looked after so often.
const COMMAND_POLL: Duration = Duration::from_secs(2);
/// A light is looked at so often and with this pause until it is as it was told; then it is not.
const LIGHT_LOOKS: u8 = 6;
const LIGHT_POLL: Duration = Duration::from_millis(250);

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
/// A door with a sensor at its leaf, in a house whose place the server knows.
const FACTS_OF_A_WATCHED_DOOR: Facts = Facts {
    // Unlocked, it waits for a hand; it is locked again if none comes.
    opening_is_a_window: true,
    default_window: Duration::from_secs(60),
    lid_state: Source::Observed,
    position: Source::Observed,
    // A server in the house: no cloud counts. A camera that is proved live is asked a dozen times,
    // and each second as long as the door may be open.
    reads_per_minute: 240,
    commands_per_minute: 60,
    ..FACTS_OF_A_DOOR
};
const FACTS_OF_A_CAR: Facts = Facts {
    maker: CARS,
    classes: &[AccessClass::TailgateWithCabin],
    lid_state: Source::Observed,
    position: Source::Observed,
    ..FACTS_OF_A_DOOR
};
/// A door with a drive tells by one word whether it is shut and held shut. Where the house stands the server knows.
const FACTS_OF_A_GARAGE: Facts = Facts {
    maker: GARAGES,
    classes: &[AccessClass::Garage],
    lid_state: Source::Observed,
    position: Source::Observed,
    // A server in the house, and a drive on its wire: no cloud counts. Of a door that is open, reading is never too much.
    reads_per_minute: 120,
    commands_per_minute: 20,
    ..FACTS_OF_A_DOOR
};
const FACTS_OF_A_GATE: Facts = Facts { maker: GATES, classes: &[AccessClass::Gate], ..FACTS_OF_A_GARAGE };

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
        let facts = match checked.things.first().map(|t| t.class) {
            Some(AccessClass::Door) if checked.things.iter().all(|t| t.watch().is_some()) => FACTS_OF_A_WATCHED_DOOR,
            Some(AccessClass::Door) => FACTS_OF_A_DOOR,
            Some(AccessClass::Garage) => FACTS_OF_A_GARAGE,
            Some(AccessClass::Gate) => FACTS_OF_A_GATE,
            Some(AccessClass::SeparateTrunk) => Facts { classes: &[AccessClass::SeparateTrunk], ..FACTS_OF_A_CAR },
            Some(AccessClass::Cabin) => Facts { classes: &[AccessClass::Cabin], ..FACTS_OF_A_CAR },
            Some(AccessClass::TailgateWithCabin) | None => FACTS_OF_A_CAR,
        };
        Ok(Self { checked, facts, client, timer })
    }

    fn thing(&self, number: &Vin) -> Result<&Thing, AccessError> {
        self.checked.thing(number).ok_or(AccessError::NotSupported)
    }
    async fn get(&self, operation: Operation, token: &str, path: &str) -> Result<Bytes, AccessError> {
        let request = wire::request(&self.checked.url(path), Content::Nothing, Some(token));
        let request = request.ok_or(AccessError::OwnerActionNeeded(TOKEN_REFUSED))?;
        let answer = wire::call(&self.client, operation, request, READ_DEADLINE, BODY_BYTES_MAX).await;
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
        wire::call(&self.client, operation, request, deadline, BODY_BYTES_MAX).await
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

    /// The server asks the camera of a door for a new picture.
    async fn camera(
        &self,
        operation: Operation,
        session: &Session,
        vin: &Vin,
        query: Option<&str>,
    ) -> Result<Bytes, AccessError> {
        let watch = self.thing(vin)?.watch().ok_or(AccessError::NotSupported)?;
        let mut url = self.checked.url(&format!("/api/camera_proxy/{}", watch.camera));
        url.set_query(query);
        let request = wire::request(&url, Content::Nothing, Some(&session.access_token));
        let mut request = request.ok_or(AccessError::OwnerActionNeeded(TOKEN_REFUSED))?;
        request.headers_mut().insert(http::header::ACCEPT, http::HeaderValue::from_static("image/jpeg, image/png"));
        let answer = wire::call(&self.client, operation, request, STILL_DEADLINE, picture::BYTES_MAX).await;
        let answer = answer.map_err(|_| AccessError::Unreachable)?;
        // 503 is a camera that is off, and 500 one that gave nothing: it says nothing of the server.
        if answer.status.is_server_error() {
            return Err(AccessError::CarSilent);
        }
        wire::readable(answer)
    }

    /// Looks first, sends once. An entity that does not exist would be answered with success and an empty list.
    async fn command(&self, asked: Asked, session: &Session, thing: &Thing) -> Sent {
        let started = self.timer.uptime();
        let moved = thing.moved();
        let before = match self.state(session, moved).await {
            Ok(state) => state,
            Err(e) => return not_begun(&e),
        };
        if let Some(refusal) = commands::forbids(asked, &before) {
            return did_not_happen(refusal, None);
        }
        if let Some(under_way) = commands::under_way(asked, &before, session.now) {
            return under_way;
        }
        if self.is_hindered(asked, session, thing).await {
            return did_not_happen(Refusal::NotClosed, None);
        }
        let body = format!(r#"{{"entity_id":"{moved}"}}"#);
        let sent_at = session.now.plus_millis(millis(self.timer.uptime().saturating_sub(started)));
        let came_back = self.post(COMMAND, asked.service(), Content::Json(body), Some(&session.access_token)).await;
        commands::sent(asked, moved, asked.is_so(&before), sent_at, came_back.as_ref().map_err(|silence| *silence))
    }
    /// A bolt that comes out beside an open lid proves nothing, and a door is not driven down on what a sensor sees in its way.
    /// Not to know keeps nobody from locking.
    async fn is_hindered(&self, asked: Asked, session: &Session, thing: &Thing) -> bool {
        match (asked, &thing.parts) {
            (Asked::Lock, Parts::Car { lid, .. }) => {
                self.state(session, lid).await.is_ok_and(|lid| lid.lid().value.is_open())
            }
            (Asked::Lock, Parts::Door { watch: Some(watch), .. }) => {
                self.state(session, &watch.contact).await.is_ok_and(|leaf| leaf.contact().value.is_open())
            }
            (Asked::Lower, Parts::Leaf { obstruction: Some(sensor), .. }) => {
                self.state(session, sensor).await.is_ok_and(|s| s.in_the_way() == InTheWay::Something)
            }
            _ => false,
        }
    }
    /// What the sensor in the doorway says; without one, nothing is in the way.
    async fn in_the_way(&self, session: &Session, sensor: Option<&String>) -> Result<InTheWay, AccessError> {
        match sensor {
            Some(sensor) => Ok(self.state(session, sensor).await?.in_the_way()),
            None => Ok(InTheWay::Nothing),
        }
    }

    /// Sensor, camera and light answer. What they say is another question.
    async fn sees(&self, session: &Session, watch: &Watch) -> Result<bool, AccessError> {
        let contact = self.state(session, &watch.contact).await?.contact();
        let camera = self.state(session, &watch.camera).await?.shows();
        let light = self.state(session, &watch.light).await?.light();
        Ok(contact.value != LidState::Unknown && camera && light.is_some())
    }

    async fn findings(&self, session: &Session, thing: &Thing) -> Result<VehicleFindings, AccessError> {
        let (complete, publishes_position) = match &thing.parts {
            Parts::Car { lock, lid, tracker } => {
                let complete = self.are_there(session, &[lock, lid]).await?;
                let told = self.if_there(session, tracker).await?;
                (complete, told.is_some_and(|state| state.place().is_ok()))
            }
            Parts::Door { lock, watch: None } => (self.are_there(session, &[lock]).await?, false),
            Parts::Door { lock, watch: Some(Watch { contact, camera, light }) } => {
                let complete = self.are_there(session, &[lock, contact, camera, light]).await?;
                let house = self.if_there(session, HOUSE).await?;
                (complete, house.is_some_and(|zone| zone.house().is_ok()))
            }
            Parts::Leaf { cover, obstruction } => {
                let cover = self.if_there(session, cover).await?;
                // This server's word for the class is ours.
                let mut complete = cover.is_some_and(|cover| cover.is_drive(thing.class.code()));
                if let Some(sensor) = obstruction {
                    complete &= self.if_there(session, sensor).await?.is_some();
                }
                let house = self.if_there(session, HOUSE).await?;
                (complete, house.is_some_and(|zone| zone.house().is_ok()))
            }
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
    async fn are_there(&self, session: &Session, entities: &[&String]) -> Result<bool, AccessError> {
        for entity in entities {
            if self.if_there(session, entity).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
    /// An entity's state, or that there is no such entity.
    async fn if_there(&self, session: &Session, entity: &str) -> Result<Option<State>, AccessError> {
        match self.state(session, entity).await {
            Ok(state) => Ok(Some(state)),
            Err(AccessError::NotSupported) => Ok(None),
            Err(other) => Err(other),
        }
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
/// What a command asks of this thing; `None` for a class that it does not open.
fn asked(command: Command, thing: &Thing) -> Option<Asked> {
    match (command, &thing.parts) {
        (Command::Open(class), _) if class != thing.class => None,
        (Command::Open(_), Parts::Car { .. } | Parts::Door { .. }) => Some(Asked::Unlock),
        (Command::Lock, Parts::Car { .. } | Parts::Door { .. }) => Some(Asked::Lock),
        (Command::Open(_), Parts::Leaf { .. }) => Some(Asked::Raise),
        (Command::Lock, Parts::Leaf { .. }) => Some(Asked::Lower),
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
    fn makes(&self) -> &'static [&'static str] {
        &["Home Assistant"]
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
        let thing = self.thing(vin)?;
        let moved = self.state(session, thing.moved()).await?;
        if let Some(watch) = thing.watch() {
            let told = moved.reachability();
            let sees = told != Reachability::Available || self.sees(session, watch).await?;
            return Ok(if sees { told } else { Reachability::NoConnection });
        }
        let Parts::Leaf { obstruction, .. } = &thing.parts else { return Ok(moved.reachability()) };
        let told = moved.reachability_of_leaf();
        // A doorway that cannot be seen into is not opened: nobody would know whether it can be shut.
        match self.in_the_way(session, obstruction.as_ref()).await? {
            InTheWay::Untold if told == Reachability::Available => Ok(Reachability::NoConnection),
            InTheWay::Something if told == Reachability::Available => Ok(Reachability::Busy),
            _ => Ok(told),
        }
    }
    async fn locate(&self, session: &Session, vin: &Vin) -> Result<Located, AccessError> {
        let (position, taken_at) = match &self.thing(vin)?.parts {
            Parts::Car { tracker, .. } => self.state(session, tracker).await?.place()?,
            // A house stays where it is: how old its zone is says nothing.
            Parts::Leaf { .. } | Parts::Door { watch: Some(_), .. } => {
                (self.state(session, HOUSE).await?.house()?, None)
            }
            Parts::Door { watch: None, .. } => return Err(AccessError::NotSupported),
        };
        Ok(Located {
            position,
            // The server's clock may run ahead of ours.
            taken_at: taken_at.map(|t| t.min(session.now)),
            last_parked_only: false,
            read_at: session.now,
        })
    }
    async fn closures(&self, session: &Session, vin: &Vin) -> Result<Closures, AccessError> {
        let (lid, central_lock) = match &self.thing(vin)?.parts {
            Parts::Car { lock, lid, .. } => {
                let lock = self.state(session, lock).await?.lock();
                (self.state(session, lid).await?.lid(), lock)
            }
            Parts::Door { lock, watch } => {
                let lock = self.state(session, lock).await?.lock();
                let leaf = match watch {
                    Some(watch) => self.state(session, &watch.contact).await?.contact(),
                    None => Reading { value: LidState::Unknown, changed_at: None },
                };
                (leaf, lock)
            }
            Parts::Leaf { cover, obstruction } => {
                let way = self.in_the_way(session, obstruction.as_ref()).await?;
                self.state(session, cover).await?.entrance(way, session.now)
            }
        };
        Ok(Closures { central_lock, lid, doors: Vec::new(), read_at: session.now })
    }
    /// A door alone tells too little: where no sensor watches the doorway this is not supported.
    async fn at_door(&self, session: &Session, vin: &Vin) -> Result<AtDoor, AccessError> {
        let Parts::Leaf { cover, obstruction: Some(sensor) } = &self.thing(vin)?.parts else {
            return Err(AccessError::NotSupported);
        };
        let (leaf, sensor) = (self.state(session, cover).await?, self.state(session, sensor).await?);
        let in_the_way = match sensor.in_the_way() {
            InTheWay::Nothing => Some(false),
            InTheWay::Something => Some(true),
            InTheWay::Untold => None,
        };
        let (lid, _) = leaf.entrance(InTheWay::Nothing, session.now);
        Ok(AtDoor { leaf: leaf.touched(lid.value), in_the_way: sensor.touched(in_the_way) })
    }
    /// What it shows is looked at for how bright it is, and dropped.
    async fn still(&self, session: &Session, vin: &Vin) -> Result<Still, AccessError> {
        let bytes = self.camera(Operation("still"), session, vin, None).await?;
        picture::still(&bytes).ok_or(AccessError::Malformed("still"))
    }
    async fn snapshot(&self, session: &Session, vin: &Vin) -> Result<Snapshot, AccessError> {
        Ok(Snapshot(self.camera(Operation("snapshot"), session, vin, Some(SNAPSHOT_SIZE)).await?.to_vec()))
    }
    async fn light(&self, session: &Session, vin: &Vin, on: bool) -> Result<(), AccessError> {
        let light = &self.thing(vin)?.watch().ok_or(AccessError::NotSupported)?.light;
        let service = if on { "/api/services/light/turn_on" } else { "/api/services/light/turn_off" };
        let body = Content::Json(format!(r#"{{"entity_id":"{light}"}}"#));
        let answer = self.post(Operation("light"), service, body, Some(&session.access_token)).await;
        let answer = answer.map_err(|_| AccessError::Unreachable)?;
        // Whatever the server says of the call, the light's own state decides.
        if !answer.status.is_server_error() {
            wire::readable(answer)?;
        }
        for look in 0..LIGHT_LOOKS {
            if look > 0 {
                self.timer.sleep(LIGHT_POLL).await;
            }
            if self.state(session, light).await?.light() == Some(on) {
                return Ok(());
            }
        }
        Err(AccessError::CarSilent)
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
        match asked(wish.command, thing) {
            Some(asked) => self.command(asked, session, thing).await,
            None => did_not_happen(Refusal::NotSupported, None),
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
        let Some(asked) = asked(wish.command, thing) else { return Ok(Reconciled::AskTheCar) };
        let state = self.state(session, thing.moved()).await?;
        let told = commands::reconciled(asked, &state, wish.prepared_at, handle);
        Ok(told.map_or(Reconciled::AskTheCar, Reconciled::Outcome))
    }
}
