//! The running attempts: one task each, which alone owns the attempt and turns its effects into commits, commands, reads.
//!
//! The order is always the same: the machine decides, everything it decided becomes durable in one transaction, only then
//! something leaves. A command to open leaves only after the transaction in which the attempt became *sent* has found the
//! grant unblocked. What comes back from the store after a crash has lost the right to open and is locked and proved.

mod filming;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parcelshelf_access::{Command, Prepared, Sent};
use parcelshelf_core::actuation::{Confirmation, Outcome, Refusal, Source};
use parcelshelf_core::id::{AccessPointId, AttemptId, DeliveryId, VehicleId, WalletId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use parcelshelf_edge::Host;
use parcelshelf_edge::problem::Problem;
use parcelshelf_opening::attempt::{Attempt, Effect, Event, Notice, Phase, RecordKind, UNDER_WAY_MAX_MS};
use parcelshelf_opening::conditions::OpenPermit;
use parcelshelf_opening::gate::Urgency;
use parcelshelf_opening::grant::BlockEpoch;
use parcelshelf_protocol::content::Picture;
use parcelshelf_protocol::encoding::{Hash, b64, from_b64, sha256};
use parcelshelf_protocol::nonce::FreshNonce;
use parcelshelf_protocol::records::{CommandOutcome, Event as Recorded, Word};
use parcelshelf_store::Version;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::Keyholder;
use crate::asking::{Asked, Which, ask, nothing_more};
use crate::db::{ChainOf, Change, Index, Stored, delivery_key};
use crate::failure::{Failure, broken};
use crate::makers::Line;
use crate::recorded::{self, Recorder};
use crate::rows::{AttemptPart, AttemptRow, CarRow, GrantRow, NonceRow};
use crate::{car, convert, housekeeping};

/// A stop waits at most this long for open trunks; then the next start takes them over.
const DRAIN: Duration = Duration::from_secs(240);
/// A store that fails is tried again after this long: nothing may be forgotten.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// What an attempt answers when it is told something.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    /// An open command may still act until then.
    pub may_act_until: Option<Timestamp>,
}

/// A proof to open, checked and fresh.
#[derive(Debug, Clone)]
pub(crate) struct FreshProof {
    pub jws: String,
    pub nonce: FreshNonce,
}
impl FreshProof {
    pub fn hash(&self) -> Hash {
        sha256(&self.jws)
    }
}

enum Message {
    /// One step, durable together. Nothing is answered of an attempt that was erased meanwhile.
    Events(Vec<Event>, oneshot::Sender<Option<Told>>),
    /// The maker's answer to a command, or to asking after it. The number is the command's: what comes of an older one
    /// says nothing of the newest.
    Answered(Which, u32, Sent),
    /// A read is done; the event says how.
    Read(Event),
    /// The camera was asked then, and gave this.
    Pictured(Timestamp, Option<Picture>),
    /// The same device asks once more, with the first picture of it where it is recorded. Answers whether a new command is
    /// intended.
    Again(OpenPermit, FreshProof, Option<Picture>, oneshot::Sender<bool>),
}

struct Live {
    inbox: mpsc::UnboundedSender<Message>,
    /// Something is or may be open.
    busy: Arc<AtomicBool>,
}

/// The running attempts.
#[derive(Default)]
pub(crate) struct Attempts(Mutex<HashMap<AttemptId, Live>>);
impl std::fmt::Debug for Attempts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attempts")
    }
}
impl Attempts {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<AttemptId, Live>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn busy(&self) -> bool {
        self.map().values().any(|l| l.busy.load(Ordering::Acquire))
    }
    /// Waits until nothing is open any more, at most four minutes.
    pub async fn drain(&self, host: &Host) {
        let end = host.sleep(DRAIN);
        tokio::pin!(end);
        while self.busy() {
            tokio::select! {
                biased;
                () = host.sleep(Duration::from_millis(100)) => {}
                () = &mut end => {
                    tracing::warn!("stopped while something may be open; the next start watches it on");
                    return;
                }
            }
        }
    }
}

/// Tells an attempt something and waits until what follows is durable.
pub(crate) async fn tell(k: &Arc<Keyholder>, id: AttemptId, event: Event) -> Result<Told, Failure> {
    tell_all(k, id, vec![event]).await
}

/// As [`tell`], of several things that were said at once.
pub(crate) async fn tell_all(k: &Arc<Keyholder>, id: AttemptId, events: Vec<Event>) -> Result<Told, Failure> {
    let (reply, told) = oneshot::channel();
    deliver(k, id, Message::Events(events, reply)).await?;
    let told = told.await.map_err(|_| broken("an attempt's task ended while it was told something"))?;
    Ok(told.ok_or_else(no_attempt)?)
}

/// Asks whether the same device may open once more, with conditions judged anew; false: it joins, nothing is sent.
pub(crate) async fn again(
    k: &Arc<Keyholder>,
    id: AttemptId,
    permit: OpenPermit,
    proof: FreshProof,
    first: Option<Picture>,
) -> Result<bool, Failure> {
    let (reply, told) = oneshot::channel();
    deliver(k, id, Message::Again(permit, proof, first, reply)).await?;
    told.await.map_err(|_| broken("an attempt's task ended while it was asked"))
}

async fn deliver(k: &Arc<Keyholder>, id: AttemptId, message: Message) -> Result<(), Failure> {
    let message = {
        let live = k.attempts.map();
        match live.get(&id) {
            Some(running) => match running.inbox.send(message) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::SendError(back)) => back,
            },
            None => message,
        }
    };
    // It is over, or this process never knew it: back from the store, without the right to open.
    let row = k.db.get::<AttemptRow>(id.as_bytes()).await?.ok_or_else(no_attempt)?;
    let driver = Driver::from_row(k, row).await?;
    // One that is not over was passed over at the start of this process: it is taken over now.
    let first = if driver.attempt().ended() { None } else { Some(Event::Recovered) };
    driver.start(first, Some(message));
    Ok(())
}

pub(crate) fn no_attempt() -> Problem {
    Problem::new(404, "attempt_unknown", "there is no such attempt")
}

/// Takes over every attempt that a crash or a stop left behind. One that cannot be read must not keep the others from
/// being locked: it is an alarm of the operator's.
pub(crate) async fn recover_all(k: &Arc<Keyholder>) -> Result<(), Failure> {
    for row in k.db.list::<AttemptRow>("live", &[1]).await? {
        let name = b64(&row.id);
        match Driver::from_row(k, row).await {
            Ok(driver) => driver.start(Some(Event::Recovered), None),
            Err(failure) => {
                tracing::error!(attempt = name, error = %failure, "alarm: an attempt cannot be taken over; look at the car");
            }
        }
    }
    Ok(())
}

/// Starts the task of an attempt whose intent has just become durable.
pub(crate) fn begin(k: &Arc<Keyholder>, begun: Begun) {
    let Begun { attempt, effects, row, ids, line, prepared, epoch, recorder } = begun;
    let mut driver = Driver::new(k, attempt, row, ids, line, Some(prepared));
    driver.recorder = recorder;
    driver.take_timers(&effects);
    driver.start(Some(Event::IntentDurable { epoch }), None);
}

/// An attempt just intended, with what its task needs.
pub(crate) struct Begun {
    pub attempt: Attempt,
    pub effects: Vec<Effect>,
    pub row: Stored<AttemptRow>,
    pub ids: Ids,
    pub line: Line,
    pub prepared: Prepared,
    /// As read once more after the commit.
    pub epoch: BlockEpoch,
    /// Of what is recorded: its first picture lies beside the intent.
    pub recorder: Option<Recorder>,
}

/// Whose attempt it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    pub attempt: AttemptId,
    pub delivery: DeliveryId,
    pub wallet: WalletId,
    pub access_point: AccessPointId,
}

struct Driver {
    k: Arc<Keyholder>,
    attempt: Option<Attempt>,
    row: Stored<AttemptRow>,
    ids: Ids,
    line: Line,
    prepared: Option<Prepared>,
    inbox: mpsc::UnboundedReceiver<Message>,
    own: mpsc::UnboundedSender<Message>,
    busy: Arc<AtomicBool>,
    timer: Option<Timestamp>,
    read: Option<Timestamp>,
    /// Commands and reads whose answers are awaited.
    awaited: u32,
    reading: bool,
    /// The proof that the next intent names.
    proof: Option<FreshProof>,
    recorder: Option<Recorder>,
    /// When the camera is asked next.
    picture: Option<Timestamp>,
    picturing: bool,
    /// Since when nothing is or may be open; the recording ends with a picture of after that.
    idle_since: Option<Timestamp>,
    /// The first picture of the next intent.
    first: Option<Picture>,
    open: Asked,
    lock: Asked,
    /// A handle is in the row that is not on the disk yet.
    handle_is_new: bool,
    /// The page asks for a hand at the handle, as it was told last.
    wants_hand: bool,
    /// Its delivery was erased: nothing of it is kept, and nothing is done any more.
    erased: bool,
}

impl Driver {
    fn new(
        k: &Arc<Keyholder>,
        attempt: Attempt,
        row: Stored<AttemptRow>,
        ids: Ids,
        line: Line,
        prepared: Option<Prepared>,
    ) -> Self {
        let (own, inbox) = mpsc::unbounded_channel();
        Self {
            k: Arc::clone(k),
            wants_hand: attempt.wants_handle_check(),
            attempt: Some(attempt),
            row,
            ids,
            // Something is or may be open as long as this lives.
            line: line.with(Urgency::Safety),
            prepared,
            inbox,
            own,
            busy: Arc::new(AtomicBool::new(true)),
            timer: None,
            read: None,
            awaited: 0,
            reading: false,
            proof: None,
            recorder: None,
            picture: None,
            picturing: false,
            idle_since: None,
            first: None,
            open: Asked::default(),
            lock: Asked::default(),
            handle_is_new: false,
            erased: false,
        }
    }

    async fn from_row(k: &Arc<Keyholder>, row: Stored<AttemptRow>) -> Result<Self, Failure> {
        let odd = |_| broken("an id in an attempt's row is none");
        let r = &row.value;
        let ids = Ids {
            attempt: AttemptId::parse(&b64(&row.id)).map_err(odd)?,
            delivery: DeliveryId::parse(&r.delivery).map_err(odd)?,
            wallet: WalletId::parse(&r.wallet).map_err(odd)?,
            access_point: AccessPointId::parse(&r.access_point).map_err(odd)?,
        };
        let vehicle = VehicleId::parse(&r.vehicle).map_err(odd)?;
        let about = k.about(&k.vehicle(ids.wallet, vehicle).await?).await?;
        let vin =
            about.and_then(|a| Vin::parse(&a.vin).ok()).ok_or_else(|| broken("an attempt's car cannot be read"))?;
        let line = k.line(&r.maker, ids.wallet, &vin)?;
        let parts = convert::attempt_parts(ids.attempt, &r.state);
        let attempt = parts
            .and_then(|p| Attempt::from_parts(p, convert::rules(line.facts())).ok())
            .ok_or_else(|| broken("an attempt's row is impossible"))?;
        let sealed = k.db.vault.open(&delivery_key(ids.delivery), "prepared", &r.prepared_sealed).await?;
        let prepared = sealed.map(|bytes| Prepared::from_bytes(bytes.to_vec()));
        let recorded = recorded::is_recorded(&row.value.class);
        let mut driver = Self::new(k, attempt, row, ids, line, prepared);
        if recorded {
            match k.resume_recording(ids).await {
                Ok(recorder) => driver.recorder = Some(recorder),
                // It is locked and proved all the same; whoever would look on hears that nobody does.
                Err(failure) => tracing::error!(error = %failure, "a recording does not go on"),
            }
            // Nobody has looked meanwhile.
            driver.picture = (!driver.attempt().ended()).then(|| k.host.now());
        }
        Ok(driver)
    }

    fn start(self, first: Option<Event>, message: Option<Message>) {
        let live = Live { inbox: self.own.clone(), busy: Arc::clone(&self.busy) };
        {
            let mut map = self.k.attempts.map();
            // Two may have found it gone at the same time: the first one's task gets the message.
            if let Some(running) = map.get(&self.ids.attempt)
                && !running.inbox.is_closed()
            {
                if let Some(message) = message {
                    let _ = running.inbox.send(message);
                }
                return;
            }
            map.insert(self.ids.attempt, live);
        }
        if let Some(message) = message {
            let _ = self.own.send(message);
        }
        tokio::spawn(self.run(first));
    }

    async fn run(mut self, first: Option<Event>) {
        if let Some(first) = first {
            let recovered = matches!(first, Event::Recovered);
            self.step(first).await;
            if recovered {
                self.ask_after_a_crash();
            }
        }
        while !self.is_over() {
            let (timer, read) = (self.timer, self.read.filter(|_| !self.reading));
            let picture = self.picture.filter(|_| !self.picturing);
            let (open, lock) = (self.open.at, self.lock.at);
            let host = self.k.host.clone();
            tokio::select! {
                biased;
                message = self.inbox.recv() => match message {
                    Some(message) => self.take(message).await,
                    None => return,
                },
                () = host.sleep_until(timer.unwrap_or(Timestamp::EPOCH)), if timer.is_some() => {
                    self.timer = None;
                    self.step(Event::Timer).await;
                }
                () = host.sleep_until(read.unwrap_or(Timestamp::EPOCH)), if read.is_some() => {
                    self.read = None;
                    self.read_car();
                }
                () = host.sleep_until(picture.unwrap_or(Timestamp::EPOCH)), if picture.is_some() => {
                    self.picture = None;
                    self.take_picture().await;
                }
                () = host.sleep_until(open.unwrap_or(Timestamp::EPOCH)), if open.is_some() => {
                    self.open.at = None;
                    self.ask(Which::Open);
                }
                () = host.sleep_until(lock.unwrap_or(Timestamp::EPOCH)), if lock.is_some() => {
                    self.lock.at = None;
                    self.ask(Which::Lock);
                }
            }
        }
    }

    /// Ended, nothing awaited, nobody waiting: leaves the map in the same moment, so that no message is lost.
    fn is_over(&mut self) -> bool {
        if !self.erased && (!self.attempt().ended() || self.awaited > 0 || self.picture.is_some()) {
            return false;
        }
        let mut map = self.k.attempts.map();
        if !self.erased && !self.inbox.is_empty() {
            return false;
        }
        map.remove(&self.ids.attempt);
        self.inbox.close();
        true
    }

    fn attempt(&self) -> &Attempt {
        // Taken only inside `step`, which puts the next one back before it returns.
        self.attempt.as_ref().expect("an attempt is in its driver")
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Events(events, reply) => {
                self.step_through(events).await;
                let told = Told { may_act_until: self.attempt().may_act_until() };
                let _ = reply.send((!self.erased).then_some(told));
            }
            Message::Answered(which, number, sent) => {
                self.awaited -= 1;
                if number == self.asked(which).number {
                    self.answered(which, sent).await;
                }
            }
            Message::Read(event) => {
                self.awaited -= 1;
                self.reading = false;
                self.step(event).await;
            }
            Message::Pictured(asked, picture) => {
                self.awaited -= 1;
                self.picturing = false;
                self.pictured(asked, picture).await;
            }
            Message::Again(permit, proof, first, reply) => {
                let answer = self.open_again(permit, proof, first).await;
                let _ = reply.send(answer);
            }
        }
    }

    const fn asked(&mut self, which: Which) -> &mut Asked {
        match which {
            Which::Open => &mut self.open,
            Which::Lock => &mut self.lock,
        }
    }

    /// What the maker said to a command. Without a last word but with a handle the handle becomes durable, and only then
    /// it is waited and asked again; no command is ever sent once more.
    async fn answered(&mut self, which: Which, sent: Sent) {
        let last_word =
            !matches!(sent.outcome, Outcome::Unknown | Outcome::Done(Confirmation::Accepted | Confirmation::Delivered));
        if let (false, Some(handle)) = (last_word, &sent.handle) {
            let asks = self.ask_later(which, sent.retry_after);
            let under_way = Event::CommandUnderWay { may_act_until: sent.may_act_until };
            let under_way = (asks && which == Which::Open).then_some(under_way);
            if self.keep_handle(which, handle, under_way).await && asks {
                return;
            }
            self.asked(which).at = None;
        }
        let Sent { outcome, may_act_until, ready_until, .. } = sent;
        if (which, outcome) == (Which::Open, Outcome::DidNotHappen(Refusal::OwnerActionNeeded)) {
            self.k.car_refused(self.ids.wallet, &self.row.value.vehicle).await;
        }
        if which == Which::Open {
            self.row.value.ready_until_ms = ready_until.map(Timestamp::unix_millis);
            self.step(Event::CommandAnswered { outcome, may_act_until, ready_until }).await;
        } else {
            self.step(Event::LockAnswered { outcome }).await;
        }
    }

    /// Stores the handle of a command together with what it tells. False when it cannot be stored: then nobody waits for it.
    async fn keep_handle(&mut self, which: Which, handle: &[u8], told: Option<Event>) -> bool {
        // Another question to the same address: what was stored before serves.
        if self.row_handle(which).is_some() {
            self.step_through(told).await;
            return true;
        }
        let name = which.handle_name();
        let Ok(sealed) = self.k.db.vault.seal(&delivery_key(self.ids.delivery), name, handle).await else {
            return false;
        };
        *self.row_handle(which) = Some(sealed);
        self.handle_is_new = true;
        self.step_through(told).await;
        self.k.step(which.kept());
        true
    }
    const fn row_handle(&mut self, which: Which) -> &mut Option<String> {
        match which {
            Which::Open => &mut self.row.value.handle_sealed,
            Which::Lock => &mut self.row.value.lock_handle_sealed,
        }
    }

    /// Asks again at the maker's pace, but not for ever. False: there is nothing more to ask.
    fn ask_later(&mut self, which: Which, retry_after: Option<Duration>) -> bool {
        let Some(pace) = self.line.facts().poll_every else { return false };
        let now = self.k.host.now();
        let wait = retry_after.map_or(pace, |t| t.max(pace));
        let at = now.plus_millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        let until = *self.asked(which).until.get_or_insert(now.plus_millis(UNDER_WAY_MAX_MS));
        if at > until {
            return false;
        }
        self.asked(which).at = Some(at);
        true
    }

    /// A new command: what is known of the one before says nothing of it.
    fn forget(&mut self, which: Which) -> u32 {
        let asked = self.asked(which);
        *asked = Asked { number: asked.number + 1, at: None, until: None };
        asked.number
    }

    async fn step(&mut self, event: Event) {
        self.step_through([event]).await;
    }

    async fn step_through(&mut self, events: impl IntoIterator<Item = Event>) {
        let now = self.k.host.now();
        let Some(mut attempt) = self.attempt.take() else { return };
        let mut effects = Vec::new();
        for event in events {
            let (next, more) = attempt.handle(event, now);
            attempt = next;
            effects.extend(more);
        }
        self.attempt = Some(attempt);
        self.make_durable(&mut effects).await;
        self.carry_out(&effects);
    }

    /// One reopening: with its own proof, its own prepared bytes, its own intent.
    async fn open_again(&mut self, permit: OpenPermit, proof: FreshProof, first: Option<Picture>) -> bool {
        let now = self.k.host.now();
        // What is recorded is so from before each opening.
        if self.attempt().may_reopen(now).is_err() || (self.recorder.is_some() && first.is_none()) {
            return false;
        }
        let Ok(grant) = self.k.grant(self.ids.delivery).await else { return false };
        let epoch = BlockEpoch::new(grant.value.use_state.epoch);
        let prepared = self.line.prepare(Command::Open(permit.class()), self.k.host.random(), now);
        let sealed = self.k.db.vault.seal(&delivery_key(self.ids.delivery), "prepared", prepared.as_bytes()).await;
        let Ok(sealed) = sealed else { return false };
        let before = self.attempt().parts().commands;
        self.row.value.prepared_sealed = sealed;
        self.row.value.handle_sealed = None;
        self.prepared = Some(prepared);
        let shown = first.as_ref().map(recorded::name_of);
        (self.proof, self.first) = (Some(proof), first);
        self.step(Event::ReopenRequested { permit, epoch }).await;
        (self.proof, self.first) = (None, None);
        if self.attempt().parts().commands == before {
            return false;
        }
        if let (Some(recorder), Some(shown)) = (self.recorder.as_mut(), shown) {
            recorder.state = recorder.state.again(shown, now);
        }
        self.step(Event::IntentDurable { epoch }).await;
        true
    }

    // ---- durable -------------------------------------------------------------------------------------------------

    /// Commits what was decided; does not return before it is on the disk. A block that came in between takes the right
    /// to send away, and an erasure takes everything: an attempt goes only after its end, with its delivery's key.
    async fn make_durable(&mut self, effects: &mut Vec<Effect>) {
        loop {
            match self.commit(effects).await {
                Ok(()) => return,
                Err(Failure::Conflict) => {}
                Err(Failure::Problem(_)) if self.was_erased().await => {
                    tracing::info!(attempt = %self.ids.attempt, "an attempt was erased; what is said of it now is dropped");
                    effects.clear();
                    self.erased = true;
                    return;
                }
                Err(Failure::Problem(problem)) => {
                    tracing::error!(code = problem.code(), "an attempt could not be stored and is tried again");
                    self.k.host.sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    /// Known from the key store only: a row that cannot be read now is no erasure.
    async fn was_erased(&self) -> bool {
        self.k.db.vault.is_erased(&delivery_key(self.ids.delivery)).await.unwrap_or(false)
    }

    async fn commit(&mut self, effects: &mut Vec<Effect>) -> Result<(), Failure> {
        let mut grant = self.k.grant(self.ids.delivery).await?;
        let said_before = grant.value.status.seq;
        let car = self.last_look(effects).await?;
        let stopped = car.as_ref().is_some_and(|car| car.value.stands_still(self.k.host.now()));
        self.withdraw_if_blocked(&grant, stopped, effects);
        let parts = self.attempt().parts();
        let state = convert::attempt_part(parts);
        let says_something = effects.iter().any(|e| !matches!(e, Effect::ReadCar { .. } | Effect::SetTimer { .. }));
        if state == self.row.value.state && !says_something && !self.handle_is_new {
            return Ok(());
        }
        if self.is_a_locks_word_alone(&state, effects) {
            return Ok(());
        }
        let k = Arc::clone(&self.k);
        let mut change = Change::new(&k.db, &k.host);
        if let Some(car) = &car {
            change.check(car);
        }
        let mut row = self.row.clone();
        // Whoever follows it is answered when there is something to see.
        let wants_hand = self.attempt().wants_handle_check();
        row.value.seq += u64::from(row.value.state.shown() != state.shown() || wants_hand != self.wants_hand);
        row.value.state = state;
        self.record(&mut change, &mut row.value, effects).await?;
        if effects.contains(&Effect::SendLock) {
            let bytes = self.line.prepare(Command::Lock, k.host.random(), change.now());
            let sealed = k.db.vault.seal(&delivery_key(self.ids.delivery), "lock", bytes.as_bytes()).await?;
            row.value.lock_prepared_sealed = Some(sealed);
            row.value.lock_handle_sealed = None;
        }
        if self.note_in_grant(&mut grant, effects)? || effects.iter().any(|e| matches!(e, Effect::SendOpen { .. })) {
            let index = k.grant_index(&grant)?;
            change.update(&grant, index);
        } else {
            change.check(&grant);
        }
        let kind = format!("attempt_{}", self.attempt().phase().code());
        change.journal("attempt", self.ids.attempt.as_bytes(), &kind, &json!({"seq": row.value.seq}));
        change.update(&row, attempt_index(&self.ids, &row.value));
        change.commit().await?;
        if grant.value.status.seq != said_before {
            k.tell_carrier(&grant.value, self.ids.delivery);
        }
        if let Version::Is(version) = row.version {
            row.version = Version::Is(version + 1);
        }
        self.row = row;
        (self.handle_is_new, self.wants_hand) = (false, wants_hand);
        Ok(())
    }

    /// A maker's word on a lock that can be seen proves nothing: it is written with the reading that follows at once, or with the
    /// next try. Lost in a crash it is not missed, for locking may be repeated.
    fn is_a_locks_word_alone(&self, state: &AttemptPart, effects: &[Effect]) -> bool {
        let word = |e: &Effect| matches!(e, Effect::Record(RecordKind::LockAnswered(_)));
        let quiet = |e: &Effect| word(e) || matches!(e, Effect::ReadCar { .. } | Effect::SetTimer { .. });
        self.line.facts().lock_state == Source::Observed
            && effects.iter().any(word)
            && effects.iter().all(quiet)
            && !self.handle_is_new
            && !state.ended
            && self.row.value.state.shown() == state.shown()
    }

    /// The row of the car itself, if a command to open it is about to leave.
    async fn last_look(&self, effects: &[Effect]) -> Result<Option<Stored<CarRow>>, Failure> {
        if !effects.iter().any(|e| matches!(e, Effect::SendOpen { .. })) {
            return Ok(None);
        }
        let vehicle = VehicleId::parse(&self.row.value.vehicle).map_err(|_| broken("an attempt's car is none"))?;
        let vehicle = self.k.vehicle(self.ids.wallet, vehicle).await?;
        Ok(Some(self.k.car_of(&vehicle).await?))
    }

    /// The last look before a command leaves: under another block epoch it does not, nor to a car that somebody has stopped.
    fn withdraw_if_blocked(&mut self, grant: &Stored<GrantRow>, stopped: bool, effects: &mut Vec<Effect>) {
        let leaves = effects.iter().any(|e| matches!(e, Effect::SendOpen { .. }));
        let same = grant.value.use_state.epoch == self.attempt().parts().epoch.count();
        if !leaves || (same && grant.value.use_state.blocked_ms.is_none() && !stopped) {
            return;
        }
        effects.retain(|e| !matches!(e, Effect::SendOpen { .. }));
        let Some(attempt) = self.attempt.take() else { return };
        let never = Outcome::DidNotHappen(Refusal::NeverSent);
        let event = Event::CommandAnswered { outcome: never, may_act_until: None, ready_until: None };
        let (attempt, more) = attempt.handle(event, self.k.host.now());
        self.attempt = Some(attempt);
        effects.extend(more);
    }

    async fn record(&self, change: &mut Change<'_>, row: &mut AttemptRow, effects: &[Effect]) -> Result<(), Failure> {
        let (delivery, attempt) = (self.ids.delivery, self.ids.attempt);
        let of = ChainOf { wallet: self.ids.wallet, access_point: self.ids.access_point };
        let command = self.attempt().parts().commands;
        let phase = self.attempt().phase();
        let told = |kind: fn(&RecordKind) -> bool| effects.iter().any(|e| matches!(e, Effect::Record(k) if kind(k)));
        let decided_here = told(|k| matches!(k, RecordKind::Opened | RecordKind::OpenDidNotHappen(_)));
        let outcome =
            |outcome: CommandOutcome| Recorded::Outcome { delivery, attempt, command: u32::from(command), outcome };
        // Taken as opened: nobody can say, so that the use is spent and the car is locked.
        if row.decided < command && !decided_here && matches!(phase, Phase::Locking | Phase::Locked(_)) {
            row.decided = command;
            change.record_of(outcome(CommandOutcome::Unknown), of, delivery, None).await?;
        }
        for effect in effects {
            let Effect::Record(kind) = effect else { continue };
            let event = match *kind {
                RecordKind::OpenIntended(n) => {
                    let proof = self.proof.as_ref().ok_or_else(|| broken("an intent without a proof"))?;
                    change.put(
                        &proof.nonce.id,
                        Version::Absent,
                        &NonceRow { v: 1, expires_ms: proof.nonce.expires_at.unix_millis() },
                        housekeeping::nonce_index(&proof.nonce),
                    );
                    if let (Some(recorder), Some(first)) = (&self.recorder, &self.first) {
                        let number = recorder.state.pictures();
                        self.k.put_picture(change, self.of_recording(), &recorder.to, number, first)?;
                    }
                    // By these bytes the opening is found again when its answer was lost: also the second one.
                    row.proof = proof.hash().to_string();
                    let event =
                        Recorded::OpenIntended { delivery, attempt, command: u32::from(n), proof: proof.hash() };
                    change.record_of(event, of, delivery, Some(&proof.jws)).await?;
                    continue;
                }
                RecordKind::Opened if row.decided < command => {
                    row.decided = command;
                    outcome(CommandOutcome::Opened)
                }
                RecordKind::OpenDidNotHappen(refusal) if row.decided < command => {
                    row.decided = command;
                    outcome(CommandOutcome::DidNotHappen(refusal))
                }
                RecordKind::LockSent(_) => {
                    row.locks += 1;
                    Recorded::LockIntended { delivery, attempt, command: row.locks }
                }
                RecordKind::Locked(lock_proof) => Recorded::Locked { delivery, attempt, lock_proof },
                RecordKind::AlarmRaised(cause) => {
                    let reason = Word::new(cause.code()).ok_or_else(|| broken("a cause is not a word"))?;
                    Recorded::Alarm { delivery, attempt, reason }
                }
                RecordKind::AlarmAcknowledged(_) => Recorded::AlarmAcknowledged { delivery, attempt },
                // Kept in the attempt's journal only: no case needs them.
                RecordKind::Opened
                | RecordKind::OpenDidNotHappen(_)
                | RecordKind::Armed
                | RecordKind::OpenUnknown
                | RecordKind::Closed
                | RecordKind::LockAnswered(_)
                | RecordKind::Blocked
                | RecordKind::Recovered => continue,
            };
            change.record_of(event, of, delivery, None).await?;
        }
        Ok(())
    }

    /// What the grant's row says of it: its use, and what the carrier may know. True if it changed.
    fn note_in_grant(&self, grant: &mut Stored<GrantRow>, effects: &[Effect]) -> Result<bool, Failure> {
        let before = grant.value.clone();
        let id = self.ids.attempt;
        let mut state = self.k.grant_state(grant)?;
        let status = &mut grant.value.status;
        for effect in effects {
            match *effect {
                Effect::SpendUse => state = state.spend(id).unwrap_or(state),
                Effect::ReturnUse => state = state.give_back(id).unwrap_or(state),
                Effect::Notify(Notice::Opened) => status.say("opened", None),
                Effect::Notify(Notice::Closed) => status.say("closed", None),
                Effect::Notify(Notice::WillNotOpen(refusal)) => status.say("refused", Some(reason(refusal))),
                Effect::Notify(Notice::LookAtTheLid) => status.say("opening", Some("unknown_outcome")),
                Effect::Release => status.say("released", None),
                Effect::Raise(cause) => status.say("alarm", Some(cause.code())),
                Effect::Recall => status.say("recalled", None),
                Effect::Finish if !matches!(self.attempt().phase(), Phase::DidNotHappen(_)) => {
                    status.say("ended", None)
                }
                _ => {}
            }
        }
        grant.value.use_state = convert::use_part(state);
        Ok(grant.value != before)
    }

    // ---- after it is durable ---------------------------------------------------------------------------------------

    fn carry_out(&mut self, effects: &[Effect]) {
        self.take_timers(effects);
        for effect in effects {
            match *effect {
                Effect::SendOpen { .. } => self.send_open(),
                Effect::SendLock => self.send_lock(),
                Effect::Raise(cause) => {
                    tracing::warn!(cause = cause.code(), attempt = %self.ids.attempt, "alarm: a person must look");
                }
                _ => {}
            }
        }
        let attempt = self.attempt();
        let busy = !attempt.ended() && !matches!(attempt.phase(), Phase::Locked(_) | Phase::DidNotHappen(_));
        self.busy.store(busy, Ordering::Release);
        self.record_while(busy);
        self.k.bells.ring(self.ids.attempt.as_bytes());
        self.k.log.ring();
    }

    fn take_timers(&mut self, effects: &[Effect]) {
        for effect in effects {
            match *effect {
                Effect::SetTimer { at } => self.timer = Some(at),
                Effect::ReadCar { at } => self.read = Some(at),
                Effect::Finish => (self.timer, self.read) = (None, None),
                _ => {}
            }
        }
    }

    fn send_open(&mut self) {
        self.awaited += 1;
        // What the maker still has to say of an older lock is of the time before this opening.
        self.forget(Which::Lock);
        let number = self.forget(Which::Open);
        let (k, line, own, wallet) = (Arc::clone(&self.k), self.line.clone(), self.own.clone(), self.ids.wallet);
        let prepared = self.prepared.clone();
        tokio::spawn(async move {
            k.step("before:send_open");
            let sent = match (prepared, k.session(wallet, line.facts().maker).await) {
                (Some(prepared), Ok(session)) => line.send_open(&session, &prepared).await,
                // Nothing has left.
                (_, _) => nothing_more(Outcome::DidNotHappen(Refusal::NeverSent)),
            };
            k.step("after:send_open");
            let _ = own.send(Message::Answered(Which::Open, number, sent));
        });
    }

    fn send_lock(&mut self) {
        self.awaited += 1;
        let number = self.forget(Which::Lock);
        let (k, line, own, ids) = (Arc::clone(&self.k), self.line.clone(), self.own.clone(), self.ids);
        let sealed = self.row.value.lock_prepared_sealed.clone().unwrap_or_default();
        tokio::spawn(async move {
            k.step("before:send_lock");
            let prepared = k.db.vault.open(&delivery_key(ids.delivery), "lock", &sealed).await.ok().flatten();
            let sent = match (prepared, k.session(ids.wallet, line.facts().maker).await) {
                (Some(bytes), Ok(session)) => line.send_lock(&session, &Prepared::from_bytes(bytes.to_vec())).await,
                (_, _) => nothing_more(Outcome::DidNotHappen(Refusal::NeverSent)),
            };
            k.step("after:send_lock");
            let _ = own.send(Message::Answered(Which::Lock, number, sent));
        });
    }

    fn read_car(&mut self) {
        self.awaited += 1;
        self.reading = true;
        let (k, line, own, wallet) = (Arc::clone(&self.k), self.line.clone(), self.own.clone(), self.ids.wallet);
        tokio::spawn(async move {
            let read = async {
                let session = k.session(wallet, line.facts().maker).await.ok()?;
                line.closures(&session).await.ok()
            };
            let event = read.await.map_or(Event::CarUnreadable, |c| Event::CarRead(car::reading(&c)));
            let _ = own.send(Message::Read(event));
        });
    }

    /// After a crash: asks a maker that keeps records of commands what became of this one. A lock needs no question: it is
    /// sent again, which harms nobody.
    fn ask_after_a_crash(&mut self) {
        if matches!(self.attempt().phase(), Phase::Unknown { .. } | Phase::Sent) {
            self.ask(Which::Open);
        }
    }

    /// Asks the maker once what became of a command. Sends nothing to the car.
    fn ask(&mut self, which: Which) {
        let waited_for = match which {
            Which::Open => matches!(self.attempt().phase(), Phase::Unknown { .. } | Phase::Sent),
            Which::Lock => self.attempt().phase() == Phase::Locking && self.attempt().parts().lock.done_at.is_none(),
        };
        let row = &self.row.value;
        let (prepared, handle) = match which {
            Which::Open => (Some(row.prepared_sealed.clone()), row.handle_sealed.clone()),
            Which::Lock => (row.lock_prepared_sealed.clone(), row.lock_handle_sealed.clone()),
        };
        let (true, Some(prepared)) = (waited_for, prepared) else { return };
        self.awaited += 1;
        let number = self.asked(which).number;
        let (k, line, own, ids) = (Arc::clone(&self.k), self.line.clone(), self.own.clone(), self.ids);
        tokio::spawn(async move {
            k.step(which.before_ask());
            let asked = ask(&k, &line, &ids, which, &prepared, handle.as_deref()).await;
            let _ = own.send(Message::Answered(which, number, asked));
        });
    }
}

/// Why nothing opened, in the words that carriers know.
const fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Asleep => "asleep",
        Refusal::Unreachable => "not_reachable",
        Refusal::InUse => "in_use",
        _ => "did_not_open",
    }
}

/// Under which keys an attempt is found.
pub(crate) fn attempt_index(ids: &Ids, row: &AttemptRow) -> Index {
    let begun = row.begun_ms.unsigned_abs().to_be_bytes();
    let mut index = Index::from([
        ("delivery".to_owned(), [&ids.delivery.as_bytes()[..], &begun].concat()),
        ("proof".to_owned(), from_b64(&row.proof).unwrap_or_default()),
    ]);
    if !row.state.ended {
        index.insert("live".to_owned(), vec![1]);
    }
    index
}
