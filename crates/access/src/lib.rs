//! The port to anything that opens.
//!
//! What it is: the words in which the keyholder speaks with a maker's cloud, and the conformance suite that every
//! adapter passes. What it is not: it holds no policy (what may be opened, when, what follows: `parcelshelf-opening`),
//! no HTTP and no maker's name.
//!
//! The three types to know: [`Access`] (the port), [`Facts`] (what this maker can tell, as data), [`Prepared`] (the
//! opaque bytes of a command, stored with the intent before anything is sent).
//!
//! Commands go in three steps because makers differ in how a lost answer can be looked up later: `prepare` makes bytes
//! without sending, `send` sends exactly these bytes, `reconcile` asks what became of them.

use std::time::Duration;

use parcelshelf_core::actuation::{AccessClass, Outcome, Source};
use parcelshelf_core::area::Position;
use parcelshelf_core::reason::Obstacle;
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;

#[cfg(feature = "conformance")]
pub mod conformance;

/// One maker's cloud. Every method has a deadline of its own; none waits longer than [`Facts::call_deadline`].
#[async_trait::async_trait]
pub trait Access: Send + Sync + 'static {
    /// What this maker can tell and do, as data. Never changes while the process runs.
    fn facts(&self) -> &Facts;
    /// The makes whose owners have an account there, as the owner reads them.
    fn makes(&self) -> &'static [&'static str] {
        &[]
    }

    /// Starts linking: where the owner's browser goes. `state` and `pkce_verifier` are the caller's random secrets
    /// (RFC 7636: 43 characters of base64url each).
    fn authorize_url(&self, state: &str, pkce_verifier: &str) -> String;
    /// Exchanges the code for tokens.
    async fn exchange_code(&self, code: &str, pkce_verifier: &str, now: Timestamp) -> Result<Tokens, AccessError>;
    /// Exchanges the refresh token. The old one is dead from then on: the caller stores the result before it uses it.
    async fn refresh(&self, tokens: &Tokens, now: Timestamp) -> Result<Tokens, AccessError>;
    /// Revokes the grant at the maker, where the maker can. `Ok(false)`: this maker has no such call.
    async fn revoke(&self, tokens: &Tokens) -> Result<bool, AccessError>;

    /// Cars of the account, or doors of the house, with what the maker says of them.
    async fn vehicles(&self, session: &Session) -> Result<Vec<VehicleFindings>, AccessError>;
    async fn reachability(&self, session: &Session, vin: &Vin) -> Result<Reachability, AccessError>;
    async fn locate(&self, session: &Session, vin: &Vin) -> Result<Located, AccessError>;
    async fn closures(&self, session: &Session, vin: &Vin) -> Result<Closures, AccessError>;
    /// What hands have done at a house's door. [`AccessError::NotSupported`] where nothing tells a hand from a command.
    async fn at_door(&self, _session: &Session, _vin: &Vin) -> Result<AtDoor, AccessError> {
        Err(AccessError::NotSupported)
    }
    /// How bright the camera is that sees a house's door. [`AccessError::NotSupported`] where none is named,
    /// [`AccessError::CarSilent`] where it shows nothing.
    async fn still(&self, _session: &Session, _vin: &Vin) -> Result<Still, AccessError> {
        Err(AccessError::NotSupported)
    }
    /// One picture of that camera as it gives it, about as large as a telephone shows it. For whoever seals it at once.
    async fn snapshot(&self, _session: &Session, _vin: &Vin) -> Result<Snapshot, AccessError> {
        Err(AccessError::NotSupported)
    }
    /// Switches the light in that camera's view: it opens nothing, and may be repeated. Answers when the light itself says
    /// that it is so; [`AccessError::CarSilent`] if it does not.
    async fn light(&self, _session: &Session, _vin: &Vin, _on: bool) -> Result<(), AccessError> {
        Err(AccessError::NotSupported)
    }
    /// Wakes a sleeping car. [`Outcome::DidNotHappen`] with `NotSupported` where there is no such call.
    async fn wake(&self, session: &Session, vin: &Vin) -> Result<Outcome, AccessError>;
    /// Lights only: at night no horn. [`Outcome::DidNotHappen`] with `NotSupported` where there is no such call.
    async fn signal(&self, session: &Session, vin: &Vin) -> Result<Outcome, AccessError>;

    /// Makes the bytes of a command. Sends nothing. `nonce` is random, for makers that want one.
    fn prepare(&self, command: Command, vin: &Vin, nonce: [u8; 16], now: Timestamp) -> Prepared;
    /// Sends exactly these bytes, once. Never repeats by itself, whatever the answer. A failure is an outcome too.
    async fn send(&self, session: &Session, prepared: &Prepared) -> Sent;
    /// Asks what became of bytes that may have been sent. Sends no command. Where the maker keeps no handle, answers
    /// [`Reconciled::AskTheCar`]: read [`Access::closures`] and conclude.
    async fn reconcile(
        &self,
        session: &Session,
        prepared: &Prepared,
        handle: Option<&[u8]>,
    ) -> Result<Reconciled, AccessError>;
}

/// What can be commanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    Open(AccessClass),
    /// Locks; what is moved by a drive ([`AccessClass::shuts`]) is shut by it.
    Lock,
}

/// The opaque bytes of one command. They hold a VIN: sealed at rest, never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Prepared(Vec<u8>);
impl Prepared {
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prepared(<{} bytes>)", self.0.len())
    }
}

/// What `send` saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub outcome: Outcome,
    /// Latest moment at which this command may still act, by the maker's rules; `None`: it cannot act any more, or has.
    pub may_act_until: Option<Timestamp>,
    /// Open only, where a hand at the lid completes it: until when.
    pub ready_until: Option<Timestamp>,
    /// What `reconcile` needs later (a request URL, an attempt id). Stored before anybody waits.
    pub handle: Option<Vec<u8>>,
    /// Do not ask again before then (`Retry-After`).
    pub retry_after: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconciled {
    Outcome(Sent),
    /// This maker keeps no record of commands: only the car's own state tells.
    AskTheCar,
}

/// Everything a lid, door and lock tells, each with the time the maker gives for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closures {
    pub central_lock: Reading<LockState>,
    /// The closure that a grant of this maker's class opens: trunk lid or tailgate.
    pub lid: Reading<LidState>,
    /// Doors and hood, named in the maker's order; `name` is ours: `front_left`, `front_right`, `rear_left`, `rear_right`, `hood`.
    pub doors: Vec<(&'static str, Reading<LidState>)>,
    /// As of when this is so, by our clock: when the answer was made, or, where the maker says that it passes on a state
    /// which the car recorded earlier, that moment. Never later than the answer.
    pub read_at: Timestamp,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading<T> {
    pub value: T,
    /** The maker's time of the last change, if it gives one. */
    pub changed_at: Option<Timestamp>,
}
/// A door with a drive and the light barrier in its doorway, each with who changed it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtDoor {
    /// Of the leaf alone: what is in its way does not make it stuck.
    pub leaf: Touched<LidState>,
    /// Whether something is in the doorway; `None`: untold.
    pub in_the_way: Touched<Option<bool>>,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched<T> {
    pub value: T,
    pub changed_at: Option<Timestamp>,
    /// No user and no other event stands behind the last change. What nobody tells counts as a command. A device that reports
    /// late may be moved by a command and look as if by hand; what no command can move cannot.
    pub by_hand: bool,
}
/// A camera's picture, as bytes that nobody has looked at. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot(pub Vec<u8>);
impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot(<{} bytes>)", self.0.len())
    }
}
/// All that is told of a picture that is looked at for its light alone; that one does not leave its adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Still {
    /// Mean over the whole picture: 0 is black, 1000 white.
    pub brightness_permille: u16,
    /// Pixels.
    pub width: u32,
    pub height: u32,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    Locked,
    Unlocked,
    Unknown,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LidState {
    Open,
    /// Not shut, or on its way.
    Ajar,
    /// Moved by a drive, and hindered: it stands still half way, or something is in its way.
    Stuck,
    Closed,
    Unknown,
}
impl LidState {
    /// Seen not to be shut.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Ajar | Self::Stuck)
    }
}

/// Where the car stands, as the maker tells.
#[derive(Clone, Copy, PartialEq)]
pub struct Located {
    pub position: Position,
    /// When the position was taken; `None` if the maker does not say.
    pub taken_at: Option<Timestamp>,
    /// The position is written when a trip ends, so that its age says nothing about staleness.
    pub last_parked_only: bool,
    pub read_at: Timestamp,
}
impl std::fmt::Debug for Located {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Located(<redacted>)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reachability {
    Available,
    Asleep,
    NoConnection,
    InUse,
    /// An update runs, or the maker gives another reason.
    Busy,
    Unknown,
}

/// What the maker says of one car.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VehicleFindings {
    pub vin: Vin,
    pub make: String,
    pub model: Option<String>,
    pub model_year: Option<u16>,
    pub colour: Option<String>,
    /// Commands this car has now.
    pub can_open: Vec<AccessClass>,
    pub can_lock: bool,
    pub can_signal: bool,
    /// Permissions that the owner did not give or the contract lacks, in the maker's words.
    pub missing_permissions: Vec<String>,
    /// What of that, and of all else that the maker says against the car, has a name that every maker shares.
    pub obstacles: Vec<Obstacle>,
    pub publishes_position: bool,
}

/// OAuth tokens of one owner at one maker. They do not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: String,
    pub access_expires_at: Timestamp,
    /// The refresh token dies then if it is not used.
    pub refresh_expires_at: Option<Timestamp>,
    /// What the owner left out of what was asked for, where the token answer says so (RFC 6749, 5.1).
    pub not_given: Vec<Obstacle>,
}
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(<redacted>)")
    }
}

/// A fresh access token for one call. The keyholder refreshes and stores before it makes one.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    pub access_token: String,
    /** Now, by the keyholder's clock. */
    pub now: Timestamp,
}
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(<redacted>)")
    }
}

/// Why a reading could not be had. Never carries a VIN, a place or a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The owner must consent again or switch something on; stop asking.
    #[error("the owner's consent at the maker is missing: {0}")]
    OwnerActionNeeded(&'static str),
    #[error("the maker's quota is used up")]
    RateLimited { retry_after: Option<Duration> },
    #[error("the maker does not offer this for this car")]
    NotSupported,
    #[error("the maker's cloud did not answer")]
    Unreachable,
    /// The cloud answered, and what is behind it did not: a car that sleeps or is out of reach, or a maker behind an
    /// aggregator. It says nothing of the cloud.
    #[error("the car cannot be reached from the maker's cloud")]
    CarSilent,
    /// The cloud is known to be down and was not asked. Said by whoever holds calls back, never by an adapter.
    #[error("the maker's cloud is down")]
    Down { retry_after: Duration },
    #[error("the maker's answer could not be understood: {0}")]
    Malformed(&'static str),
    /// Our own configuration is wrong (client id, application key).
    #[error("the maker refused our credentials")]
    Credentials,
}

/// What a maker can tell and do, as data; rendered for the owner and used by the conditions.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Short name in configuration and reports.
    pub maker: &'static str,
    pub classes: &'static [AccessClass],
    pub parked: Source,
    pub in_use: Source,
    pub nobody_inside: Source,
    pub lid_state: Source,
    pub lock_state: Source,
    pub position: Source,
    /// Accuracy to assume where the maker gives none, metres.
    pub position_accuracy_m: f64,
    pub can_wake: bool,
    pub can_signal: bool,
    /// A hand at the lid completes the opening within a window.
    pub opening_is_a_window: bool,
    /// An unanswered open may still act this long after sending.
    pub unanswered_open_may_act_for: Duration,
    /// A command's result comes later, and is asked for this often with the handle that [`Access::send`] gave; `None`:
    /// the answer of `send` is the last word, and only the car's state tells more.
    pub poll_every: Option<Duration>,
    /// The window of an open whose answer gives no end.
    pub default_window: Duration,
    pub call_deadline: Duration,
    /// Reads and commands per minute and owner, as published.
    pub reads_per_minute: u32,
    pub commands_per_minute: u32,
}
