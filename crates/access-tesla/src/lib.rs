//! Tesla's Fleet API and signed vehicle commands behind the access port.
//!
//! What it is: the one place that knows this maker's addresses, statuses, units and quirks. What it is not: it holds no policy
//! and no token, repeats no command by itself, and logs no address, for this maker writes the VIN into it. `docs/makers/tesla.md`
//! says what the maker promises, how to get access, what it costs, and what a lock proof means here.
//!
//! The three things to know: [`Tesla`] (the adapter), [`TeslaConfig`] (who we are there, and which hosts may be asked), and that
//! the trunk's button *toggles*: an opening reads the car first and sends nothing unless the lid is seen shut.
//!
//! ```no_run
//! use parcelshelf_access::Access as _;
//! use parcelshelf_access_tesla::{Region, Tesla, TeslaConfig};
//! use parcelshelf_core::secret::Redacted;
//!
//! # fn f(timer: std::sync::Arc<dyn parcelshelf_core::time::Timer>, entropy: std::sync::Arc<dyn parcelshelf_core::time::Entropy>)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let config = TeslaConfig {
//!     regions: vec![Region { name: "EU".into(), api_base: "https://fleet-api.prd.eu.vn.cloud.tesla.com".into() }],
//!     login_base: "https://auth.tesla.com".into(),
//!     token_base: "https://fleet-auth.prd.vn.cloud.tesla.com".into(),
//!     client_id: "from-the-registration".into(),
//!     client_secret: Redacted::new("secret".into()),
//!     redirect_uri: "https://wallet.example.org/oauth/callback".into(),
//!     command_key: None,
//! };
//! let tesla = Tesla::new(config, parcelshelf_exchange::Client::network(timer.clone())?, timer, entropy)?;
//! assert!(tesla.facts().can_wake);
//! # Ok(()) }
//! ```

mod answers;
mod cars;
mod commands;
mod config;
mod json;
mod models;
mod prepared;
mod regions;
mod signed;
mod tokens;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parcelshelf_access::{
    Access, AccessError, Closures, Command, Facts, LidState, Located, LockState, Prepared, Reachability, Reconciled,
    Sent, Session, Tokens, VehicleFindings,
};
use parcelshelf_core::actuation::{AccessClass, Confirmation, Outcome, Refusal, Source};
use parcelshelf_core::reason::Obstacle;
use parcelshelf_core::time::{Entropy, Timer, Timestamp, random, within};
use parcelshelf_core::vehicle::Vin;
use parcelshelf_exchange::Client;

pub use config::{ConfigError, Region, TeslaConfig};

use answers::{Data, VEHICLES_MAX};
use cars::{Car, Cars, Style};
use commands::{Asked, Meaning};
use config::Checked;
use prepared::{Signed, Wish};
use signed::{CommandKey, Domain, NoSession, Reply};
use wire::{Answer, COMMAND_DEADLINE, Content, Operation, READ_DEADLINE, Silence};

/// Short name in configuration and reports.
pub const MAKER: &str = "tesla";

/// What one command and one wake are billed at, millionths of a US dollar, as published: 1 USD for 1,000 commands, 1 USD for 50
/// wakes. Readings are billed too; their price is not published with these.
pub const COMMAND_MICRO_USD: u64 = 1_000;
pub const WAKE_MICRO_USD: u64 = 20_000;

/// An API call was answered 401: the access token has ended early, or the owner withdrew the consent. A refresh tells which.
pub const TOKEN_REFUSED: &str = "the access token was refused";
/// An API call was answered 403: a permission is missing, or the car is not this owner's any more.
pub const PERMISSION_REFUSED: &str = "a permission or the relation to the car is missing";
/// The owner switched remote access off in the car.
pub const REMOTE_ACCESS_OFF: &str = "remote access is switched off in the car";
/// The account or the car is locked, or its privacy setting forbids it.
pub const ACCOUNT_CLOSED: &str = "the account is locked, or its privacy setting forbids this";

/// No call takes longer: waiting for one's turn, a reading, and a command.
const CALL_DEADLINE: Duration = Duration::from_secs(60);
/// So long another command to the same car is waited for.
const TURN_DEADLINE: Duration = Duration::from_secs(15);
/// What is read before a command takes no longer; with the command itself that makes less than [`CALL_DEADLINE`].
const READY_DEADLINE: Duration = Duration::from_secs(20);
/// A car that was called is asked after so often, and so long.
const WAKE_POLL: Duration = Duration::from_secs(3);
const WAKE_WAIT: Duration = Duration::from_secs(30);
/// Within so many milliseconds a car is called once: wakes are scarce and paid for.
const WAKE_ONCE_MS: i64 = 120_000;
/// A lid that was seen shut longer ago may be open by now: milliseconds. Longer than one reading takes.
const SEEN_SHUT_MS_MAX: i64 = 20_000;
/// A session that could not be begun is tried again with a look at the car after so many milliseconds: a try is paid for.
const ASK_AGAIN_MS: i64 = 60_000;
/// Pages of the list of cars that are read.
const PAGES_MAX: u32 = 2;

/// Groups of a car's data: only what is needed is asked for, and the place only to locate.
const STATE: &str = "closures_state;vehicle_state;vehicle_config";
const USE: &str = "drive_state;vehicle_state";
const PLACE: &str = "location_data;drive_state";
const ALL: &str = "closures_state;vehicle_state;vehicle_config;location_data;drive_state";

static FACTS: Facts = Facts {
    maker: MAKER,
    classes: &[AccessClass::SeparateTrunk, AccessClass::TailgateWithCabin],
    parked: Source::Observed,
    in_use: Source::Observed,
    nobody_inside: Source::Inferred("the car sees no key or phone, is locked and every door is closed"),
    lid_state: Source::Observed,
    lock_state: Source::Observed,
    position: Source::Observed,
    position_accuracy_m: answers::ACCURACY_M,
    can_wake: true,
    can_signal: true,
    // The lid opens at once and stays open.
    opening_is_a_window: false,
    unanswered_open_may_act_for: commands::UNANSWERED_MAY_ACT_FOR,
    // The answer comes in the call; this maker keeps no record of commands.
    poll_every: None,
    default_window: Duration::from_secs(300),
    call_deadline: CALL_DEADLINE,
    // Usually quoted per car; the maker publishes that there are limits and answers 429.
    reads_per_minute: 60,
    commands_per_minute: 30,
};

/// The adapter. Cheap to share; holds credentials of the application, none of an owner.
pub struct Tesla {
    checked: Checked,
    client: Client,
    timer: Arc<dyn Timer>,
    entropy: Arc<dyn Entropy>,
    key: Option<CommandKey>,
    cars: Cars,
}
impl std::fmt::Debug for Tesla {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tesla").field("config", &self.checked.config).finish_non_exhaustive()
    }
}

/// Why a reading was not had.
#[derive(Debug)]
enum Unread {
    /// 408: the car sleeps or is out of reach.
    Asleep,
    Error(AccessError),
}
impl From<Unread> for AccessError {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Asleep => Self::CarSilent,
            Unread::Error(error) => error,
        }
    }
}
impl Unread {
    /// Why a command that needs this reading was not sent.
    fn refusal(&self) -> (Refusal, Option<Duration>) {
        match self {
            Self::Asleep => (Refusal::Asleep, None),
            Self::Error(AccessError::OwnerActionNeeded(_)) => (Refusal::OwnerActionNeeded, None),
            Self::Error(AccessError::RateLimited { retry_after }) => (Refusal::RateLimited, *retry_after),
            Self::Error(AccessError::NotSupported) => (Refusal::NotSupported, None),
            Self::Error(_) => (Refusal::MakerRefused, None),
        }
    }
}

/// What is to be sent.
enum Next {
    Plain,
    Signed(Signed),
    Refused(Refusal, Option<Duration>),
}

/// The time of a call: the session's, and what has passed since.
struct Moments<'a> {
    timer: &'a dyn Timer,
    began: Duration,
    session_now: Timestamp,
}
impl<'a> Moments<'a> {
    fn of(timer: &'a dyn Timer, session: &Session) -> Self {
        Self { timer, began: timer.uptime(), session_now: session.now }
    }
    fn now(&self) -> Timestamp {
        let passed = self.timer.uptime().saturating_sub(self.began).as_millis();
        self.session_now.plus_millis(i64::try_from(passed).unwrap_or(i64::MAX))
    }
}

impl Tesla {
    /// `entropy` names the requests that begin a session of signed commands.
    ///
    /// # Errors
    /// [`ConfigError`] names what is wrong, never its value.
    pub fn new(
        config: TeslaConfig,
        client: Client,
        timer: Arc<dyn Timer>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConfigError> {
        let checked = Checked::new(config)?;
        let pem = checked.config.command_key.as_ref();
        let key = pem.map(|pem| CommandKey::from_pem(pem.expose()).ok_or(ConfigError::CommandKey)).transpose()?;
        Ok(Self { checked, client, timer, entropy, key, cars: Cars::default() })
    }

    async fn ask(
        &self,
        operation: Operation,
        session: &Session,
        (region, rest): (usize, &str),
        content: Content,
        deadline: Duration,
    ) -> Result<Answer, Silence> {
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let mut url = self.checked.api_url(region, path);
        url.set_query(query);
        let request = wire::request(&url, content, &session.access_token).ok_or(Silence::NeverSent)?;
        wire::call(&self.client, operation, request, deadline).await
    }
    /// A reading in a region; if the maker names another one that we know, there. The region that answered comes along.
    async fn read_in(
        &self,
        operation: Operation,
        session: &Session,
        (region, rest): (usize, &str),
        content: Content,
    ) -> Result<(Bytes, usize), Unread> {
        let unreachable = |_| Unread::Error(AccessError::Unreachable);
        let answer = self.ask(operation, session, (region, rest), content.clone(), READ_DEADLINE).await;
        let mut answer = answer.map_err(unreachable)?;
        let mut answered = region;
        if answer.status.as_u16() == 421
            && let Some(told) = regions::named(&self.checked, answer.body.as_deref()).filter(|told| *told != region)
        {
            answered = told;
            answer = self.ask(operation, session, (told, rest), content, READ_DEADLINE).await.map_err(unreachable)?;
        }
        readable(answer).map(|body| (body, answered))
    }
    /// A reading of one car.
    async fn read(
        &self,
        operation: Operation,
        session: &Session,
        vin: &Vin,
        rest: &str,
        content: Content,
    ) -> Result<Bytes, Unread> {
        let car = self.cars.of(vin);
        let region = car.known().region.unwrap_or(0);
        let (body, answered) = self.read_in(operation, session, (region, rest), content).await?;
        car.known().region = Some(answered);
        Ok(body)
    }
    async fn data(&self, operation: Operation, session: &Session, vin: &Vin, groups: &str) -> Result<Data, Unread> {
        let groups: String = url::form_urlencoded::byte_serialize(groups.as_bytes()).collect();
        let rest = format!("/{}/vehicle_data?endpoints={groups}", vin.expose());
        let body = self.read(operation, session, vin, &rest, Content::Nothing).await?;
        Data::parse(&body, vin).map_err(|why| Unread::Error(AccessError::Malformed(why)))
    }
    async fn state_at_the_cloud(&self, session: &Session, vin: &Vin) -> Result<Reachability, AccessError> {
        let rest = format!("/{}", vin.expose());
        let body = self.read(Operation("vehicle"), session, vin, &rest, Content::Nothing).await?;
        answers::vehicle(&body, vin).map_err(AccessError::Malformed)
    }

    /// One command without a signature, and what it came to.
    async fn plain(&self, asked: Asked, session: &Session, vin: &Vin, car: &Car, moments: &Moments<'_>) -> Sent {
        let rest = format!("/{}/command/{}", vin.expose(), asked.path());
        let region = car.known().region.unwrap_or(0);
        let until = moments.now().plus_seconds(commands::UNANSWERED_MAY_ACT_FOR.as_secs().cast_signed());
        let content = Content::Json(asked.body().to_owned());
        let came_back = self.ask(Operation(asked.path()), session, (region, &rest), content, COMMAND_DEADLINE).await;
        let came_back = came_back.as_ref().map_err(|silence| *silence);
        let meaning = match commands::by_status(came_back) {
            Meaning::ReadTheBody => commands::by_body(asked, came_back.ok().and_then(|a| a.body.as_deref())),
            meaning => meaning,
        };
        self.learn(car, meaning, came_back);
        commands::sent(meaning, until, came_back)
    }
    /// Sends a signed message, exactly as it is, and what it came to.
    async fn signed(
        &self,
        asked: Asked,
        session: &Session,
        vin: &Vin,
        car: &Car,
        signed: &Signed,
        moments: &Moments<'_>,
    ) -> Sent {
        let until = signed::may_act_until(signed);
        let Some((key, uuid)) = self.key.as_ref().zip(signed::uuid_of(&signed.message)) else {
            return commands::did_not_happen(Refusal::NeverSent, None);
        };
        let came_back = self.message(Operation(asked.path()), session, vin, car, &signed.message).await;
        let came_back = came_back.as_ref().map_err(|silence| *silence);
        let meaning = match commands::by_status(came_back) {
            Meaning::ReadTheBody => {
                let bytes = signed::message_in(came_back.ok().and_then(|a| a.body.as_deref()));
                match bytes.as_deref().and_then(|bytes| Reply::to(&uuid, asked.domain(), bytes)) {
                    // 200 only says that the car answered.
                    Some(reply) => {
                        if let Ok(Some(fresh)) = reply.session(key, vin, &uuid, moments.now()) {
                            car.known().began(asked.domain(), fresh);
                        }
                        reply.meaning(asked)
                    }
                    None => Meaning::Unknown,
                }
            }
            meaning => meaning,
        };
        self.learn(car, meaning, came_back);
        commands::sent(meaning, until, came_back)
    }
    async fn message(
        &self,
        operation: Operation,
        session: &Session,
        vin: &Vin,
        car: &Car,
        message: &[u8],
    ) -> Result<Answer, Silence> {
        let rest = format!("/{}/signed_command", vin.expose());
        let region = car.known().region.unwrap_or(0);
        let content = Content::Json(signed::body(message));
        self.ask(operation, session, (region, &rest), content, COMMAND_DEADLINE).await
    }
    /// Learns how the car wants its commands, and begins a session if it wants them signed: so that the next command can be
    /// prepared. Failing costs nothing but that. Sends no command.
    async fn get_ready(&self, domain: Domain, session: &Session, vin: &Vin, car: &Car, moments: &Moments<'_>) {
        let style = car.known().style;
        if style.is_none() {
            car.known().asked_at = Some(moments.now());
            let content = Content::Json(serde_json::json!({ "vins": [vin.expose()] }).to_string());
            let told = self.read(Operation("fleet status"), session, vin, "/fleet_status", content).await;
            let told = told.ok().and_then(|body| answers::fleet_status(&body, vin).ok());
            if let Some(fleet) = told {
                let mut known = car.known();
                known.style = Some(if fleet.signed { Style::Signed } else { Style::Plain });
                known.key_unknown = fleet.signed && !fleet.key_paired;
            }
        }
        let Some(key) = &self.key else { return };
        let wanted = {
            let mut known = car.known();
            known.style == Some(Style::Signed) && known.session(domain).is_none()
        };
        if !wanted {
            return;
        }
        car.known().asked_at = Some(moments.now());
        let uuid = random(&*self.entropy);
        let message = signed::handshake(key, domain, &uuid);
        let answer = self.message(Operation("handshake"), session, vin, car, &message).await;
        let Ok(answer) = answer else { return };
        if answer.status != http::StatusCode::OK {
            return;
        }
        let Some(bytes) = signed::message_in(answer.body.as_deref()) else { return };
        let Some(reply) = Reply::to(&uuid, domain, &bytes) else { return };
        match reply.session(key, vin, &uuid, moments.now()) {
            Ok(Some(fresh)) => car.known().began(domain, fresh),
            Err(NoSession::KeyUnknown) => car.known().key_unknown = true,
            Ok(None) | Err(NoSession::NotBelieved) => {}
        }
    }
    /// Signs with the next counter, if the car wants that and a session has begun.
    fn sign(&self, asked: Asked, vin: &Vin, car: &Car, uuid: &[u8; 16], now: Timestamp) -> Option<Signed> {
        let key = self.key.as_ref()?;
        let mut known = car.known();
        if known.style != Some(Style::Signed) {
            return None;
        }
        let session = known.session(asked.domain()).as_mut()?;
        signed::sign(key, session, asked, vin, uuid, now)
    }
    /// Why nothing could be signed.
    fn unsigned(&self, car: &Car) -> Refusal {
        if self.key.is_none() {
            Refusal::NotSupported
        } else if car.known().key_unknown {
            Refusal::OwnerActionNeeded
        } else {
            Refusal::MakerRefused
        }
    }

    /// What a refusal tells for the next command. This one is not sent again.
    fn learn(&self, car: &Car, meaning: Meaning, came_back: Result<&Answer, Silence>) {
        let mut known = car.known();
        match meaning {
            Meaning::SignIt => known.style = Some(Style::Signed),
            Meaning::SendItPlain => known.style = Some(Style::Plain),
            Meaning::AnotherRegion => {
                let body = came_back.ok().and_then(|a| a.body.as_deref());
                known.region = regions::named(&self.checked, body).or(known.region);
            }
            _ => {}
        }
    }

    /// What an opening comes to: nothing is sent unless the car itself has just said that the lid is shut.
    async fn next_for_opening(&self, session: &Session, wish: &Wish, car: &Car, moments: &Moments<'_>) -> Next {
        let no = |refusal| Next::Refused(refusal, None);
        let state = match self.data(Operation("state before opening"), session, &wish.vin, STATE).await {
            Ok(state) => state,
            Err(unread) => {
                let (refusal, wait) = unread.refusal();
                return Next::Refused(refusal, wait);
            }
        };
        if state.can_actuate_trunks() == Some(false) {
            return no(Refusal::NotSupported);
        }
        let (now, seen) = (moments.now(), state.closures(moments.now()));
        let fresh = now.millis_since(seen.read_at) <= SEEN_SHUT_MS_MAX;
        // The button would shut an open lid on whatever lies there; one that was not seen just now may be open.
        match seen.lid.value {
            LidState::Closed if fresh && state.can_actuate_trunks() == Some(true) => {}
            LidState::Open | LidState::Ajar | LidState::Stuck => return no(Refusal::NotClosed),
            LidState::Closed | LidState::Unknown => return no(Refusal::MakerRefused),
        }
        if car.known().style.is_none() || (wish.signed.is_none() && self.key.is_some()) {
            self.get_ready(Domain::VehicleSecurity, session, &wish.vin, car, moments).await;
        }
        let style = car.known().style;
        match (&wish.signed, style) {
            // What expired on the way would be refused.
            (Some(signed), _) if moments.now() >= signed.expires_at => no(Refusal::NeverSent),
            (Some(signed), _) => Next::Signed(signed.clone()),
            // Nothing is signed here: the prepared bytes are all that may be sent.
            (None, Some(Style::Signed)) => no(self.unsigned(car)),
            (None, Some(Style::Plain) | None) => Next::Plain,
        }
    }
    /// Locking converges: it may be signed anew when the prepared bytes no longer serve.
    async fn next_for_locking(&self, session: &Session, wish: &Wish, car: &Car, moments: &Moments<'_>) -> Next {
        match &wish.signed {
            Some(signed) if moments.now() < signed.expires_at => Next::Signed(signed.clone()),
            _ => self.next_at_once(Asked::Lock, session, &wish.vin, car, &wish.nonce, moments).await,
        }
    }
    /// For what may be done twice without harm: signed here, if the car wants that.
    async fn next_at_once(
        &self,
        asked: Asked,
        session: &Session,
        vin: &Vin,
        car: &Car,
        uuid: &[u8; 16],
        moments: &Moments<'_>,
    ) -> Next {
        self.get_ready(asked.domain(), session, vin, car, moments).await;
        if car.known().style != Some(Style::Signed) {
            return Next::Plain;
        }
        match self.sign(asked, vin, car, uuid, moments.now()) {
            Some(signed) => Next::Signed(signed),
            None => Next::Refused(self.unsigned(car), None),
        }
    }
    /// One command, in its turn. What comes before it has a deadline of its own, in which no command is sent.
    async fn command(
        &self,
        asked: Asked,
        session: &Session,
        vin: &Vin,
        car: &Car,
        moments: &Moments<'_>,
        next: impl Future<Output = Next>,
    ) -> Sent {
        let refused = commands::did_not_happen(Refusal::MakerRefused, None);
        let Some(_turn) = within(&*self.timer, TURN_DEADLINE, car.turn.lock()).await else { return refused };
        match within(&*self.timer, READY_DEADLINE, next).await {
            None => refused,
            Some(Next::Refused(refusal, wait)) => commands::did_not_happen(refusal, wait),
            Some(Next::Plain) => self.plain(asked, session, vin, car, moments).await,
            Some(Next::Signed(signed)) => self.signed(asked, session, vin, car, &signed, moments).await,
        }
    }

    async fn findings(
        &self,
        session: &Session,
        listed: answers::Listed,
        fleet: Result<answers::Fleet, &'static str>,
    ) -> Result<VehicleFindings, AccessError> {
        let vin = listed.vin;
        let model = models::of(&vin);
        let signs = self.key.is_some();
        let mut lacks = Lacks::default();
        if !listed.holds {
            lacks.obstacles.push(Obstacle::NotTheHolder);
        }
        // One car that nothing is said of must not hide the others.
        let told = fleet.is_ok();
        let fleet = fleet.unwrap_or(answers::Fleet { signed: true, key_paired: false });
        if !told {
            lacks.words.push(String::from("fleet_status"));
        } else if fleet.signed && !fleet.key_paired {
            lacks.add("key_paired", Obstacle::KeyNotLetIn);
        }
        if fleet.signed && !signs {
            lacks.words.push(String::from("vehicle_command_protocol"));
        }
        let data = lacks.unless_refused(self.data(Operation("details"), session, &vin, ALL).await)?;
        let publishes_position = data.as_ref().is_some_and(|d| d.located(session.now).is_ok());
        if data.is_some() && !publishes_position {
            lacks.add("vehicle_location", Obstacle::PlaceNotGiven);
        }
        if data.as_ref().is_some_and(Data::valet_mode) {
            lacks.obstacles.push(Obstacle::ValetMode);
        }
        // An opening that cannot be watched or locked again is none.
        let watched = data
            .as_ref()
            .map(|d| d.closures(session.now))
            .is_some_and(|seen| seen.lid.value != LidState::Unknown && seen.central_lock.value != LockState::Unknown);
        let commands = !fleet.signed || (signs && fleet.key_paired);
        let button = data.as_ref().and_then(Data::can_actuate_trunks) == Some(true);
        let class = model.and_then(|m| m.class).filter(|_| commands && watched && button);
        Ok(VehicleFindings {
            make: String::from("Tesla"),
            model: model.map(|m| m.name.to_owned()),
            model_year: models::year_of(&vin),
            colour: data.as_ref().and_then(Data::colour),
            can_open: class.into_iter().collect(),
            can_lock: commands,
            can_signal: commands,
            missing_permissions: lacks.words,
            obstacles: lacks.obstacles,
            publishes_position,
            vin,
        })
    }
    /// VINs of the account, at most two pages, with the region that answered.
    async fn list(&self, session: &Session) -> Result<(Vec<answers::Listed>, usize), AccessError> {
        let (mut all, mut region) = (Vec::new(), 0);
        for page in 1..=PAGES_MAX {
            let rest = format!("?page={page}&per_page={VEHICLES_MAX}");
            let (body, answered) =
                self.read_in(Operation("vehicles"), session, (region, &rest), Content::Nothing).await?;
            region = answered;
            let (cars, more) = answers::vehicles(&body).map_err(AccessError::Malformed)?;
            all.extend(cars);
            if !more {
                break;
            }
        }
        Ok((all, region))
    }
}

/// What a car or its account lacks, in the maker's words and in ours.
#[derive(Default)]
struct Lacks {
    words: Vec<String>,
    obstacles: Vec<Obstacle>,
}
impl Lacks {
    fn add(&mut self, word: &str, obstacle: Obstacle) {
        self.words.push(word.to_owned());
        self.obstacles.push(obstacle);
    }
    /// What stands against one car is noted; anything else ends the search.
    fn unless_refused(&mut self, data: Result<Data, Unread>) -> Result<Option<Data>, AccessError> {
        match data {
            Ok(data) => return Ok(Some(data)),
            Err(Unread::Asleep) => self.add("vehicle is offline or asleep", Obstacle::CarAsleep),
            Err(Unread::Error(AccessError::OwnerActionNeeded(PERMISSION_REFUSED))) => {
                self.add("vehicle_device_data", Obstacle::StateNotGiven);
            }
            Err(Unread::Error(AccessError::OwnerActionNeeded(REMOTE_ACCESS_OFF))) => {
                self.add("mobile_access_disabled", Obstacle::RemoteAccessOff);
            }
            Err(Unread::Error(AccessError::OwnerActionNeeded(ACCOUNT_CLOSED))) => {
                self.add("account", Obstacle::AccountNeedsAttention);
            }
            Err(Unread::Error(AccessError::NotSupported)) => {}
            Err(unread) => return Err(unread.into()),
        }
        Ok(None)
    }
}

/// What the trunk's button opens on this car.
fn class_of(vin: &Vin) -> Option<AccessClass> {
    models::of(vin).and_then(|model| model.class)
}
/// Statuses of readings. Bodies of refusals say little, and only what is known is looked for.
fn readable(answer: Answer) -> Result<Bytes, Unread> {
    let owner = |why| Unread::Error(AccessError::OwnerActionNeeded(why));
    match answer.status.as_u16() {
        200 => answer.body.ok_or(Unread::Error(AccessError::Malformed("body"))),
        401 if commands::says(&answer, "mobile_access_disabled") => Err(owner(REMOTE_ACCESS_OFF)),
        401 => Err(owner(TOKEN_REFUSED)),
        // Our bill is not paid, or we are not registered in this region.
        402 | 412 => Err(Unread::Error(AccessError::Credentials)),
        403 => Err(owner(PERMISSION_REFUSED)),
        404 | 421 => Err(Unread::Error(AccessError::NotSupported)),
        408 => Err(Unread::Asleep),
        423 | 451 => Err(owner(ACCOUNT_CLOSED)),
        429 => Err(Unread::Error(AccessError::RateLimited { retry_after: wire::retry_after(&answer) })),
        500..=599 => Err(Unread::Error(AccessError::Unreachable)),
        _ => Err(Unread::Error(AccessError::Malformed("status"))),
    }
}

#[async_trait::async_trait]
impl Access for Tesla {
    fn facts(&self) -> &Facts {
        &FACTS
    }
    fn makes(&self) -> &'static [&'static str] {
        &["Tesla"]
    }

    fn authorize_url(&self, state: &str, pkce_verifier: &str) -> String {
        tokens::authorize_url(&self.checked, state, pkce_verifier).into()
    }
    async fn exchange_code(&self, code: &str, pkce_verifier: &str, now: Timestamp) -> Result<Tokens, AccessError> {
        let config = &self.checked.config;
        let region = tokens::region_of(&self.checked, code);
        let audience = self.checked.regions.get(region).map(|(_, base)| base.origin().ascii_serialization());
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &config.client_id),
            ("client_secret", config.client_secret.expose()),
            ("code", code),
            ("audience", audience.as_deref().unwrap_or_default()),
            ("redirect_uri", &config.redirect_uri),
            ("code_verifier", pkce_verifier),
        ];
        tokens::tokens(&self.token(&form).await?, None, now)
    }
    async fn refresh(&self, tokens: &Tokens, now: Timestamp) -> Result<Tokens, AccessError> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", self.checked.config.client_id.as_str()),
            ("refresh_token", tokens.refresh_token.as_str()),
        ];
        tokens::tokens(&self.token(&form).await?, Some(&tokens.refresh_token), now)
    }
    /// The maker publishes no revocation endpoint for third parties: the owner removes the application in the account pages, and
    /// its key in the car.
    async fn revoke(&self, _tokens: &Tokens) -> Result<bool, AccessError> {
        Ok(false)
    }

    async fn vehicles(&self, session: &Session) -> Result<Vec<VehicleFindings>, AccessError> {
        let all = async {
            let (cars, region) = self.list(session).await?;
            if cars.is_empty() {
                return Ok(Vec::new());
            }
            let named: Vec<&str> = cars.iter().map(|car| car.vin.expose()).collect();
            let content = Content::Json(serde_json::json!({ "vins": named }).to_string());
            let (status, region) =
                self.read_in(Operation("fleet status"), session, (region, "/fleet_status"), content).await?;
            let mut found = Vec::new();
            for car in cars {
                self.cars.of(&car.vin).known().region = Some(region);
                let fleet = answers::fleet_status(&status, &car.vin);
                found.push(self.findings(session, car, fleet).await?);
            }
            Ok(found)
        };
        within(&*self.timer, CALL_DEADLINE, all).await.unwrap_or(Err(AccessError::Unreachable))
    }
    /// The car itself is asked; only one that does not answer is looked up at the cloud.
    async fn reachability(&self, session: &Session, vin: &Vin) -> Result<Reachability, AccessError> {
        let moments = Moments::of(&*self.timer, session);
        match self.data(Operation("use"), session, vin, USE).await {
            Ok(data) => Ok(data.use_of_it(moments.now())),
            Err(Unread::Asleep) => Ok(match self.state_at_the_cloud(session, vin).await? {
                // The car has just said otherwise.
                Reachability::Available => Reachability::Unknown,
                told => told,
            }),
            Err(Unread::Error(error)) => Err(error),
        }
    }
    async fn locate(&self, session: &Session, vin: &Vin) -> Result<Located, AccessError> {
        let moments = Moments::of(&*self.timer, session);
        let data = self.data(Operation("place"), session, vin, PLACE).await?;
        data.located(moments.now()).map_err(AccessError::Malformed)
    }
    async fn closures(&self, session: &Session, vin: &Vin) -> Result<Closures, AccessError> {
        let moments = Moments::of(&*self.timer, session);
        let data = self.data(Operation("state"), session, vin, STATE).await?;
        let closures = data.closures(moments.now());
        // Whoever looks at the lid may be about to command: what that needs is made ready now. Not while a command is under way.
        let car = self.cars.of(vin);
        let lately = car.known().asked_at.is_some_and(|at| moments.now().millis_since(at) < ASK_AGAIN_MS);
        if !lately && let Ok(_turn) = car.turn.try_lock() {
            self.get_ready(Domain::VehicleSecurity, session, vin, &car, &moments).await;
        }
        Ok(closures)
    }
    /// Calls the car once and watches it wake. Within two minutes it is not called again, only watched.
    async fn wake(&self, session: &Session, vin: &Vin) -> Result<Outcome, AccessError> {
        let car = self.cars.of(vin);
        let called = {
            let mut known = car.known();
            let lately = known.called_at.is_some_and(|at| session.now.millis_since(at) < WAKE_ONCE_MS);
            if !lately {
                known.called_at = Some(session.now);
            }
            lately
        };
        if !called {
            let rest = format!("/{}/wake_up", vin.expose());
            match self.read(Operation("wake_up"), session, vin, &rest, Content::Json(String::from("{}"))).await {
                Ok(body) => {
                    if answers::vehicle(&body, vin) == Ok(Reachability::Available) {
                        return Ok(Outcome::Done(Confirmation::Executed));
                    }
                }
                Err(Unread::Asleep) => return Ok(Outcome::DidNotHappen(Refusal::Unreachable)),
                Err(Unread::Error(error)) => return Err(error),
            }
        }
        let watched = async {
            loop {
                self.timer.sleep(WAKE_POLL).await;
                if self.state_at_the_cloud(session, vin).await? == Reachability::Available {
                    return Ok(Outcome::Done(Confirmation::Observed));
                }
            }
        };
        within(&*self.timer, WAKE_WAIT, watched).await.unwrap_or(Ok(Outcome::Unknown))
    }
    async fn signal(&self, session: &Session, vin: &Vin) -> Result<Outcome, AccessError> {
        let car = self.cars.of(vin);
        let moments = Moments::of(&*self.timer, session);
        let uuid = random(&*self.entropy);
        let next = self.next_at_once(Asked::Flash, session, vin, &car, &uuid, &moments);
        Ok(self.command(Asked::Flash, session, vin, &car, &moments, next).await.outcome)
    }

    fn prepare(&self, command: Command, vin: &Vin, nonce: [u8; 16], now: Timestamp) -> Prepared {
        let asked = match command {
            Command::Open(class) if class_of(vin) == Some(class) => Some(Asked::Trunk),
            Command::Open(_) => None,
            Command::Lock => Some(Asked::Lock),
        };
        let car = self.cars.of(vin);
        let signed = asked.and_then(|asked| self.sign(asked, vin, &car, &nonce, now));
        prepared::encode(&Wish { command, vin: vin.clone(), nonce, prepared_at: now, signed })
    }
    async fn send(&self, session: &Session, prepared: &Prepared) -> Sent {
        let no = |refusal| commands::did_not_happen(refusal, None);
        let Some(wish) = prepared::decode(prepared) else { return no(Refusal::NeverSent) };
        if let Command::Open(class) = wish.command
            && class_of(&wish.vin) != Some(class)
        {
            // A wish for a trunk alone opens no hatch, and this maker opens no cabin for a parcel.
            return no(Refusal::NotSupported);
        }
        let car = self.cars.of(&wish.vin);
        let moments = Moments::of(&*self.timer, session);
        match wish.command {
            Command::Open(_) => {
                let next = self.next_for_opening(session, &wish, &car, &moments);
                self.command(Asked::Trunk, session, &wish.vin, &car, &moments, next).await
            }
            Command::Lock => {
                let next = self.next_for_locking(session, &wish, &car, &moments);
                self.command(Asked::Lock, session, &wish.vin, &car, &moments, next).await
            }
        }
    }
    /// This maker keeps no record of commands: only the car's own state tells.
    async fn reconcile(
        &self,
        _session: &Session,
        _prepared: &Prepared,
        _handle: Option<&[u8]>,
    ) -> Result<Reconciled, AccessError> {
        Ok(Reconciled::AskTheCar)
    }
}

impl Tesla {
    async fn token(&self, form: &[(&str, &str)]) -> Result<Answer, AccessError> {
        let mut url = self.checked.token.clone();
        url.set_path("/oauth2/v3/token");
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = parcelshelf_exchange::post(url.as_str(), "application/x-www-form-urlencoded", body);
        let request = request.map_err(|_| AccessError::Credentials)?;
        let answer = wire::call(&self.client, Operation("token"), request, READ_DEADLINE).await;
        answer.map_err(|_| AccessError::Unreachable)
    }
}
