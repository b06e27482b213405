//! The way to every maker's cloud. Nothing of the keyholder speaks with an adapter about a car but through a [`Line`],
//! which asks the maker's gate first: a cloud that is down, or a budget that is used up, is not asked again and again by
//! everybody, and what one maker does to us stays with that maker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parcelshelf_access::{
    Access, AccessError, AtDoor, Closures, Command, Facts, Located, Prepared, Reachability, Reconciled, Sent, Session,
    Snapshot, Still, VehicleFindings,
};
use parcelshelf_core::actuation::{Outcome, Refusal};
use parcelshelf_core::id::WalletId;
use parcelshelf_core::time::{Timestamp, within};
use parcelshelf_core::vehicle::Vin;
use parcelshelf_edge::Host;
use parcelshelf_opening::gate::{Call, Gate, Heard, Held, Key, Limits, NotNow, Pass, Urgency};
use parcelshelf_protocol::encoding::sha256;

use crate::vault::Vault;

/// Who stands at a car whose maker met us with silence a moment ago waits this long for a reading, and no longer.
const BRIEFLY: Duration = Duration::from_secs(5);

/// One maker: its adapter, and the gate before it.
pub(crate) struct Maker {
    access: Arc<dyn Access>,
    gate: Mutex<Gate>,
}
impl std::fmt::Debug for Maker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Maker({})", self.access.facts().maker)
    }
}

impl Maker {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All makers of this keyholder.
#[derive(Debug)]
pub(crate) struct Makers(Vec<Arc<Maker>>);

impl Makers {
    pub fn new(accesses: Vec<Arc<dyn Access>>) -> Self {
        let maker = |access: Arc<dyn Access>| {
            let facts = access.facts();
            let limits =
                Limits { reads_per_minute: facts.reads_per_minute, commands_per_minute: facts.commands_per_minute };
            Arc::new(Maker { gate: Mutex::new(Gate::new(limits)), access })
        };
        Self(accesses.into_iter().map(maker).collect())
    }

    /// The adapter itself: for accounts and tokens, which open nothing and have limits of their own.
    pub fn access(&self, maker: &str) -> Option<&Arc<dyn Access>> {
        self.maker(maker).map(|m| &m.access)
    }
    /// Every maker's adapter, for what it says of itself.
    pub fn told(&self) -> impl Iterator<Item = &dyn Access> {
        self.0.iter().map(|m| &*m.access)
    }
    fn maker(&self, name: &str) -> Option<&Arc<Maker>> {
        self.0.iter().find(|m| m.access.facts().maker == name)
    }

    /// Each maker by name, and whether its cloud is taken for down. Says nothing of any car.
    pub fn health(&self) -> Vec<(&str, bool)> {
        self.0.iter().map(|m| (m.access.facts().maker, m.gate().is_down())).collect()
    }

    /// The line to one car of one wallet's account.
    pub fn line(&self, maker: &str, wallet: WalletId, vin: &Vin, vault: &Vault, host: &Host) -> Option<Line> {
        let maker = Arc::clone(self.maker(maker)?);
        let car = key(&[vault.pseudonym("gate", vin.expose().as_bytes()).as_bytes()]);
        let account = key(&[wallet.as_bytes(), maker.access.facts().maker.as_bytes()]);
        Some(Line { maker, host: host.clone(), account, car, vin: vin.clone(), urgency: Urgency::Courier })
    }

    /// The cars of an account.
    pub async fn vehicles(
        &self,
        maker: &str,
        wallet: WalletId,
        session: &Session,
        host: &Host,
    ) -> Result<Vec<VehicleFindings>, AccessError> {
        let maker = self.maker(maker).ok_or(AccessError::NotSupported)?;
        let account = key(&[wallet.as_bytes(), maker.access.facts().maker.as_bytes()]);
        let under_way = UnderWay::begin(maker, host, account, account, Call::Read, Urgency::Ahead).map_err(held)?;
        under_way.ends_as(maker.access.vehicles(session).await)
    }
}

fn key(parts: &[&[u8]]) -> Key {
    let hash = sha256(parts.concat());
    let mut key = Key::default();
    key.copy_from_slice(&hash.as_bytes()[..16]);
    key
}

/// What a held back reading looks like to who asked.
fn held(not_now: NotNow) -> AccessError {
    match not_now.why {
        Held::MakerDown => AccessError::Down { retry_after: retry_after(not_now) },
        Held::Budget | Held::TooMany => AccessError::RateLimited { retry_after: Some(retry_after(not_now)) },
    }
}
fn retry_after(not_now: NotNow) -> Duration {
    Duration::from_millis(not_now.retry_after_ms.unsigned_abs())
}
/// A held back command has not been sent, and is not sent later.
const fn never_sent(not_now: NotNow) -> Refusal {
    match not_now.why {
        Held::MakerDown => Refusal::MakerRefused,
        Held::Budget | Held::TooMany => Refusal::RateLimited,
    }
}

/// A call that was let through. Dropped without a result, because nobody waits any more, it tells nothing.
struct UnderWay {
    maker: Arc<Maker>,
    host: Host,
    pass: Option<Pass>,
}
impl UnderWay {
    fn begin(
        maker: &Arc<Maker>,
        host: &Host,
        account: Key,
        car: Key,
        call: Call,
        urgency: Urgency,
    ) -> Result<Self, NotNow> {
        let asked = maker.gate().ask(account, car, call, urgency, host.now());
        let name = maker.access.facts().maker;
        match asked {
            Ok(pass) => {
                metrics::counter!("maker_calls_total", "maker" => name, "call" => call.code()).increment(1);
                Ok(Self { maker: Arc::clone(maker), host: host.clone(), pass: Some(pass) })
            }
            Err(not_now) => {
                let why = not_now.why.code();
                metrics::counter!("maker_calls_held_total", "maker" => name, "call" => call.code(), "why" => why)
                    .increment(1);
                Err(not_now)
            }
        }
    }
    fn end(&mut self, heard: Heard) {
        let Some(pass) = self.pass.take() else { return };
        let mut gate = self.maker.gate();
        let was_down = gate.is_down();
        gate.heard(pass, heard, self.host.now());
        let is_down = gate.is_down();
        drop(gate);
        if was_down != is_down {
            let name = self.maker.access.facts().maker;
            metrics::gauge!("maker_down", "maker" => name).set(if is_down { 1.0 } else { 0.0 });
            if is_down {
                tracing::warn!(
                    maker = name,
                    "the maker's cloud is down: only locks and looks at open cars still go there"
                );
            } else {
                tracing::info!(maker = name, "the maker's cloud answers again");
            }
        }
    }
    fn ends_as<T>(mut self, result: Result<T, AccessError>) -> Result<T, AccessError> {
        self.end(match &result {
            Err(AccessError::RateLimited { retry_after }) => Heard::ComeLater(retry_after.map(millis)),
            Err(AccessError::Unreachable | AccessError::Malformed(_)) => Heard::Silence,
            Ok(_)
            | Err(
                AccessError::OwnerActionNeeded(_)
                | AccessError::NotSupported
                | AccessError::Credentials
                | AccessError::CarSilent,
            ) => Heard::Answer,
            Err(AccessError::Down { .. }) => Heard::Nothing,
        });
        result
    }
    fn ends_with(mut self, sent: Sent) -> Sent {
        self.end(match sent.outcome {
            Outcome::DidNotHappen(Refusal::RateLimited) => Heard::ComeLater(sent.retry_after.map(millis)),
            Outcome::Done(_) | Outcome::DidNotHappen(_) => Heard::Answer,
            // A car that does not answer and a cloud that does not are not told apart here.
            Outcome::Unknown => Heard::Nothing,
        });
        sent
    }
}
impl Drop for UnderWay {
    fn drop(&mut self) {
        self.end(Heard::Nothing);
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// One car of one account, as it can be asked and commanded. Does not print.
#[derive(Clone)]
pub(crate) struct Line {
    maker: Arc<Maker>,
    host: Host,
    account: Key,
    car: Key,
    vin: Vin,
    urgency: Urgency,
}
impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Line(<redacted>)")
    }
}

impl Line {
    /// The same car, asked for another reason.
    #[must_use]
    pub fn with(&self, urgency: Urgency) -> Self {
        Self { urgency, ..self.clone() }
    }
    pub fn facts(&self) -> &Facts {
        self.maker.access.facts()
    }
    fn begin(&self, call: Call) -> Result<UnderWay, NotNow> {
        UnderWay::begin(&self.maker, &self.host, self.account, self.car, call, self.urgency)
    }

    /// One reading. Where the last one met silence, whoever stands at the car waits for a moment only; the reading goes on
    /// without them, and how it ends is heard.
    async fn read<T, F>(&self, ask: impl FnOnce(Arc<dyn Access>, Vin) -> F) -> Result<T, AccessError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AccessError>> + Send + 'static,
    {
        let under_way = self.begin(Call::Read).map_err(held)?;
        let brief = under_way.pass.as_ref().is_some_and(Pass::is_brief);
        let asked = ask(Arc::clone(&self.maker.access), self.vin.clone());
        let heard = async move { under_way.ends_as(asked.await) };
        if !brief {
            return heard.await;
        }
        let going_on = tokio::spawn(heard);
        match within(&*self.host.clock, BRIEFLY, going_on).await {
            Some(Ok(answer)) => answer,
            Some(Err(_)) | None => Err(AccessError::Down { retry_after: BRIEFLY * 2 }),
        }
    }

    pub async fn reachability(&self, session: &Session) -> Result<Reachability, AccessError> {
        let session = session.clone();
        self.read(|access, vin| async move { access.reachability(&session, &vin).await }).await
    }
    pub async fn locate(&self, session: &Session) -> Result<Located, AccessError> {
        let session = session.clone();
        self.read(|access, vin| async move { access.locate(&session, &vin).await }).await
    }
    pub async fn closures(&self, session: &Session) -> Result<Closures, AccessError> {
        let session = session.clone();
        self.read(|access, vin| async move { access.closures(&session, &vin).await }).await
    }
    /// What hands have done at a house's door.
    pub async fn at_door(&self, session: &Session) -> Result<AtDoor, AccessError> {
        let session = session.clone();
        self.read(|access, vin| async move { access.at_door(&session, &vin).await }).await
    }
    /// How bright the camera is that sees a house's door.
    pub async fn still(&self, session: &Session) -> Result<Still, AccessError> {
        let session = session.clone();
        self.read(|access, vin| async move { access.still(&session, &vin).await }).await
    }
    /// A picture of it, to be sealed.
    pub async fn snapshot(&self, session: &Session) -> Result<Snapshot, AccessError> {
        let session = session.clone();
        self.read(|access, vin| async move { access.snapshot(&session, &vin).await }).await
    }
    /// The light in that camera's view.
    pub async fn light(&self, session: &Session, on: bool) -> Result<(), AccessError> {
        let under_way = self.begin(Call::Signal).map_err(held)?;
        under_way.ends_as(self.maker.access.light(session, &self.vin, on).await)
    }
    /// Lights.
    pub async fn signal(&self, session: &Session) -> Result<Outcome, AccessError> {
        match self.begin(Call::Signal) {
            Ok(under_way) => under_way.ends_as(self.maker.access.signal(session, &self.vin).await),
            Err(not_now) => Ok(Outcome::DidNotHappen(never_sent(not_now))),
        }
    }
    /// Wakes the car, where the maker can.
    pub async fn wake(&self, session: &Session) -> Result<Outcome, AccessError> {
        match self.begin(Call::Wake) {
            Ok(under_way) => under_way.ends_as(self.maker.access.wake(session, &self.vin).await),
            Err(not_now) => Ok(Outcome::DidNotHappen(never_sent(not_now))),
        }
    }

    /// The bytes of a command. Sends nothing.
    pub fn prepare(&self, command: Command, nonce: [u8; 16], now: Timestamp) -> Prepared {
        self.maker.access.prepare(command, &self.vin, nonce, now)
    }
    /// Sends exactly these bytes of an opening, or nothing.
    pub async fn send_open(&self, session: &Session, prepared: &Prepared) -> Sent {
        match self.begin(Call::Open) {
            Ok(under_way) => under_way.ends_with(self.maker.access.send(session, prepared).await),
            Err(not_now) => Sent {
                outcome: Outcome::DidNotHappen(never_sent(not_now)),
                may_act_until: None,
                ready_until: None,
                handle: None,
                retry_after: Some(retry_after(not_now)),
            },
        }
    }
    /// Sends exactly these bytes of a lock. Never held back.
    pub async fn send_lock(&self, session: &Session, prepared: &Prepared) -> Sent {
        let under_way = self.begin(Call::Lock).ok();
        let sent = self.maker.access.send(session, prepared).await;
        match under_way {
            Some(under_way) => under_way.ends_with(sent),
            None => sent,
        }
    }
    /// Asks what became of a command; something may be open meanwhile.
    pub async fn reconcile(
        &self,
        session: &Session,
        prepared: &Prepared,
        handle: Option<&[u8]>,
    ) -> Result<Reconciled, AccessError> {
        let line = self.with(Urgency::Safety);
        let under_way = line.begin(Call::Read).map_err(held)?;
        under_way.ends_as(self.maker.access.reconcile(session, prepared, handle).await)
    }
}
