//! A courier's phone on the stop page: two keys, proofs over the keyholder's nonces, and the place of one stop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use parcelshelf_core::area::Position;
use parcelshelf_core::id::{AttemptId, DeliveryId, GrantId};
use parcelshelf_core::reason::Action;
use parcelshelf_protocol::Refused;
use parcelshelf_protocol::cert::device_thumbprint;
use parcelshelf_protocol::content::{Description, Phone, PhotoKey, Place};
use parcelshelf_protocol::encoding::{Hash, Thumbprint, TokenId, b64, sha256};
use parcelshelf_protocol::envelope::Envelope;
use parcelshelf_protocol::jws::{Moment, Sign as _, SigningKey, VerifyingKey};
use parcelshelf_protocol::keys::{Keys, VerifiedKeys};
use parcelshelf_protocol::proof::{HttpRequest, Proof, ProofClaims};
use parcelshelf_protocol::seal::{self, Context, Purpose as Sealed, SealKeyPair, SealPublicKey};
use serde_json::{Value, json};

use crate::http::text;
use crate::{Failure, Host, Http, photo};

/// A device's two keys, with one name over both.
pub struct Device {
    key: SigningKey,
    seal: SealKeyPair,
    thumbprint: Thumbprint,
}
impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({})", self.thumbprint)
    }
}

impl Device {
    /// Fresh keys.
    ///
    /// # Errors
    /// [`Refused`] when the sealing key cannot be made.
    pub fn create(host: &Host) -> Result<Self, Refused> {
        let key = SigningKey::generate(&*host.entropy);
        let seal = SealKeyPair::from_seed(&host.random())?;
        let thumbprint = device_thumbprint(key.verifying_key(), seal.public());
        Ok(Self { key, seal, thumbprint })
    }
    #[must_use]
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }
    #[must_use]
    pub const fn seal_key(&self) -> &SealPublicKey {
        self.seal.public()
    }
    pub(crate) const fn signing_key(&self) -> &SigningKey {
        &self.key
    }
    pub(crate) const fn seal_pair(&self) -> &SealKeyPair {
        &self.seal
    }
    /// The signing key as a JSON Web Key.
    #[must_use]
    pub fn jwk(&self) -> Value {
        serde_json::from_str(&self.key.verifying_key().to_jwk()).unwrap_or_default()
    }
}

/// The header that says for which proof the answer is to bring the next nonce.
const NEXT: &str = "parcelshelf-next";
/// A nonce that came with an answer is used while it is younger than this: far less than the twenty seconds that it lives.
const KEPT_MAX: Duration = Duration::from_secs(8);

/// A nonce that came with an answer.
#[derive(Debug)]
struct KeptNonce {
    wish: String,
    nonce: String,
    came: Duration,
}

/// For which proof a nonce is wanted.
fn wish(act: Action, device: &Device, stop: &Stop) -> String {
    format!("{}.{}.{}", act.code(), device.thumbprint(), sha256(&stop.last_link))
}
/// What a courier does next, mostly. Whoever does something else asks for a nonce.
const fn after(act: Action) -> Action {
    match act {
        Action::Locate => Action::Describe,
        Action::Describe | Action::Signal => Action::Open,
        Action::Open | Action::Close => Action::Close,
        Action::Lock => Action::Lock,
    }
}

/// The stop page of one gateway on one device.
#[derive(Debug, Clone)]
pub struct StopPage {
    http: Http,
    host: Host,
    pinned: VerifiedKeys,
    kept: Arc<Mutex<Option<KeptNonce>>>,
}

/// One stop: the delivery, and the last link (link 1, or the owner's own link 0 in a rehearsal).
#[derive(Debug, Clone)]
pub struct Stop {
    pub delivery: DeliveryId,
    pub last_link: String,
    /// Salt of the label hashes.
    pub salt: [u8; 16],
}

impl Stop {
    /// Reads `https://stop.…/s/<delivery>#<link1>~<salt>~…`.
    ///
    /// # Errors
    /// [`Failure::Unexpected`] when it is not such an address.
    pub fn parse(stop_url: &str) -> Result<Self, Failure> {
        let wrong = Failure::Unexpected("not the address of a stop");
        let Some((page, fragment)) = stop_url.split_once('#') else { return Err(wrong) };
        let delivery = page.rsplit('/').next().and_then(|d| DeliveryId::parse(d).ok());
        let mut parts = fragment.split('~');
        let (link, salt) = (parts.next(), parts.next().and_then(parcelshelf_protocol::encoding::from_b64));
        match (delivery, link, salt.and_then(|s| s.try_into().ok())) {
            (Some(delivery), Some(link), Some(salt)) => Ok(Self { delivery, last_link: link.to_owned(), salt }),
            _ => Err(wrong),
        }
    }
}

/// A courier's word on the close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseSaid {
    /// The courier pulled the handle and it held. Where the car does not tell that it is locked this counts only after
    /// the page has asked for it (`check_handle`).
    pub handle_checked: bool,
    pub photo: Option<Hash>,
    /// Nothing will be opened here again.
    pub done: bool,
}

impl StopPage {
    /// Opens the stop page at `origin`, pinning the keyholder's keys.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open(origin: &str, pinned: &VerifiedKeys, host: &Host) -> Result<Self, Failure> {
        Self::opened(origin, pinned, host, None).await
    }

    /// The same, where device and stop are known: the answer brings the first nonce.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open_for(
        origin: &str,
        pinned: &VerifiedKeys,
        host: &Host,
        device: &Device,
        stop: &Stop,
    ) -> Result<Self, Failure> {
        Self::opened(origin, pinned, host, Some(wish(Action::Locate, device, stop))).await
    }

    async fn opened(origin: &str, pinned: &VerifiedKeys, host: &Host, next: Option<String>) -> Result<Self, Failure> {
        let http = Http::new(origin, &host.client);
        let headers: Vec<(&str, &str)> = next.iter().map(|next| (NEXT, next.as_str())).collect();
        let (answer, nonce) = http.exchange(Method::GET, "/v1/keys", &headers, None).await?;
        let claims = pinned.claims();
        let pinned = Keys::verify(&text(&answer, "keys")?, &claims.log, &claims.iss, Moment::Used(host.now()))?;
        let page = Self { http, host: host.clone(), pinned, kept: Arc::default() };
        page.keep(next.as_deref().unwrap_or_default(), nonce);
        Ok(page)
    }

    fn kept(&self) -> MutexGuard<'_, Option<KeptNonce>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn keep(&self, wish: &str, nonce: Option<String>) {
        let came = self.host.clock.uptime();
        *self.kept() = nonce.map(|nonce| KeptNonce { wish: wish.to_owned(), nonce, came });
    }
    /// The nonce that the last answer brought, if it is for this and young. Nobody gets it twice.
    fn take(&self, wish: &str) -> Option<String> {
        let kept = self.kept().take()?;
        let young = self.host.clock.uptime().saturating_sub(kept.came) < KEPT_MAX;
        (young && kept.wish == wish).then_some(kept.nonce)
    }

    #[must_use]
    pub const fn http(&self) -> &Http {
        &self.http
    }
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// A nonce for one action.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn nonce(&self, device: &Device, stop: &Stop, act: Action) -> Result<String, Failure> {
        let body = json!({
            "device": device.thumbprint().to_string(),
            "act": act.code(),
            "ath": sha256(&stop.last_link).to_string(),
        });
        text(&self.http.post(&format!("/v1/stops/{}/nonces", stop.delivery), &[], &body).await?, "nonce")
    }

    /// The phone's position with the nonce, sealed to the keyholder: nobody on the way can read or replay it.
    fn phone(&self, device: &Device, stop: &Stop, position: Position, nonce: &str) -> Result<String, Failure> {
        let (sender, about) = (device.thumbprint().to_string(), stop.delivery.to_string());
        let keys = self.pinned.claims();
        let context = Context { sender: &sender, recipient: &keys.iss, delivery: &about, seq: 0 };
        let phone = Phone { position, nonce: nonce.to_owned() };
        Ok(b64(seal::seal(&*self.host.entropy, &keys.seal, Sealed::Phone, &context, &phone.to_bytes())?))
    }

    /// Makes the request for one action, ready to be sent, and sent again if no answer comes.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn prepare(
        &self,
        device: &Device,
        stop: &Stop,
        act: Action,
        position: Position,
        mut body: Value,
    ) -> Result<Prepared, Failure> {
        let kept = self.take(&wish(act, device, stop));
        let was_kept = kept.is_some();
        let nonce = match kept {
            Some(nonce) => nonce,
            None => self.nonce(device, stop, act).await?,
        };
        body["phone"] = json!(self.phone(device, stop, position, &nonce)?);
        let body = body.to_string().into_bytes();
        let path = format!("/v1/stops/{}/{}", stop.delivery, act.code());
        let url = self.http.url(&path);
        let request = HttpRequest { method: "POST", url: &url, body: &body };
        let jti = TokenId::from_bytes(self.host.random());
        let claims = ProofClaims::new(jti, &request, &nonce, &stop.last_link, act, self.host.now());
        let proof = Proof::sign(&claims, &device.key)?;
        let next = wish(after(act), device, stop);
        Ok(Prepared { path, link: format!("DPoP {}", stop.last_link), proof, body, next, was_kept })
    }

    /// Sends what was prepared. Sending it again is safe: the keyholder answers a proof that it has seen with the same
    /// attempt and opens nothing twice.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn send(&self, prepared: &Prepared) -> Result<Value, Failure> {
        let headers = [
            ("authorization", prepared.link.as_str()),
            ("dpop", prepared.proof.as_str()),
            (NEXT, prepared.next.as_str()),
        ];
        let sent = self.http.exchange(Method::POST, &prepared.path, &headers, Some(prepared.body.clone())).await;
        let (answer, nonce) = sent?;
        self.keep(&prepared.next, nonce);
        Ok(answer)
    }

    async fn act(
        &self,
        device: &Device,
        stop: &Stop,
        act: Action,
        at: Position,
        body: Value,
    ) -> Result<Value, Failure> {
        let prepared = self.prepare(device, stop, act, at, body.clone()).await?;
        match self.send(&prepared).await {
            // It had been kept for too long after all: one that is asked for now.
            Err(failure) if prepared.was_kept && failure.code().is_some_and(|code| code.starts_with("nonce_")) => {
                let prepared = self.prepare(device, stop, act, at, body).await?;
                self.send(&prepared).await
            }
            answer => answer,
        }
    }

    fn unseal(&self, device: &Device, stop: &Stop, purpose: Sealed, answer: &Value) -> Result<Vec<u8>, Failure> {
        let keys = self.pinned.claims();
        let recipient = device.thumbprint().to_string();
        let envelope = Envelope::verify(&text(answer, "envelope")?, &keys.message, &keys.iss, &recipient)?;
        Ok(envelope.open(&device.seal, purpose, &stop.delivery.to_string())?.to_vec())
    }

    /// Where the car stands: readable on this device only.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn locate(&self, device: &Device, stop: &Stop, at: Position) -> Result<Place, Failure> {
        self.find(device, stop, at).await.map(|(place, _)| place)
    }

    /// The same, with the attempt that another device has left open there, for this one to shut and lock.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn find(
        &self,
        device: &Device,
        stop: &Stop,
        at: Position,
    ) -> Result<(Place, Option<AttemptId>), Failure> {
        let answer = self.act(device, stop, Action::Locate, at, json!({})).await?;
        let left_open = if answer["attempt"].is_null() { None } else { Some(Self::attempt_of(&answer)?) };
        Ok((Place::parse(&self.unseal(device, stop, Sealed::Place, &answer)?)?, left_open))
    }

    /// At a house: the attempt that another device has left open there, for this one to have it shut. No place comes with it.
    ///
    /// # Errors
    /// [`Failure`]; `houses_are_not_located` while nothing is left open.
    pub async fn left_open(&self, device: &Device, stop: &Stop, at: Position) -> Result<AttemptId, Failure> {
        let answer = self.act(device, stop, Action::Locate, at, json!({})).await?;
        match answer["envelope"].is_null() {
            true => Self::attempt_of(&answer),
            false => Err(Failure::Unexpected("a house was located")),
        }
    }

    /// Plate and words by which the car is found, when near.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn describe(&self, device: &Device, stop: &Stop, at: Position) -> Result<Description, Failure> {
        let answer = self.act(device, stop, Action::Describe, at, json!({})).await?;
        Ok(Description::parse(&self.unseal(device, stop, Sealed::Description, &answer)?)?)
    }

    /// Asks for the trunk to be opened, naming the labels that were scanned.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn ask_to_open(
        &self,
        device: &Device,
        stop: &Stop,
        at: Position,
        labels: &[Hash],
    ) -> Result<AttemptId, Failure> {
        self.ask_to_open_with_key(device, stop, at, labels).await.map(|(attempt, _)| attempt)
    }

    /// The same, with the owner's key for photos where the answer brings it: at a house.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn ask_to_open_with_key(
        &self,
        device: &Device,
        stop: &Stop,
        at: Position,
        labels: &[Hash],
    ) -> Result<(AttemptId, Option<SealPublicKey>), Failure> {
        let labels: Vec<String> = labels.iter().map(Hash::to_string).collect();
        let answer = self.act(device, stop, Action::Open, at, json!({"labels": labels})).await?;
        Ok((Self::attempt_of(&answer)?, self.photo_key(device, stop, &answer)?))
    }

    /// The attempt that an answer to *open* names.
    ///
    /// # Errors
    /// [`Failure::Unexpected`] when it names none.
    pub fn attempt_of(answer: &Value) -> Result<AttemptId, Failure> {
        AttemptId::parse(&text(answer, "attempt")?).map_err(|_| Failure::Unexpected("not an attempt"))
    }

    /// The owner's key for photos, where the answer to *open* brings it: with a car it comes with the place.
    ///
    /// # Errors
    /// [`Failure`] when what it brings is not the keyholder's, or not for this device.
    pub fn photo_key(&self, device: &Device, stop: &Stop, answer: &Value) -> Result<Option<SealPublicKey>, Failure> {
        if answer["envelope"].is_null() {
            return Ok(None);
        }
        Ok(Some(PhotoKey::parse(&self.unseal(device, stop, Sealed::PhotoKey, answer)?)?.seal))
    }

    /// How an attempt stands; waits for news after number `after`.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn attempt(&self, attempt: AttemptId, after: u64) -> Result<Value, Failure> {
        self.http.get(&format!("/v1/attempts/{attempt}?after={after}&wait=20"), &[]).await
    }

    /// Says that the lid is shut and the handle was checked. `done`: nothing will be opened here again.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn close(
        &self,
        device: &Device,
        stop: &Stop,
        at: Position,
        photo: Option<Hash>,
        done: bool,
    ) -> Result<Value, Failure> {
        self.shut(device, stop, at, CloseSaid { handle_checked: true, photo, done }).await
    }

    /// Says what the courier has seen and felt of the shut lid.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn shut(&self, device: &Device, stop: &Stop, at: Position, said: CloseSaid) -> Result<Value, Failure> {
        let photo = said.photo.map(|h| h.to_string());
        let body = json!({"handle_checked": said.handle_checked, "photo": photo, "done": said.done});
        self.act(device, stop, Action::Close, at, body).await
    }

    /// Asks for a lock. Never refused to a device that ever opened here.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn lock(&self, device: &Device, stop: &Stop, at: Position) -> Result<Value, Failure> {
        self.act(device, stop, Action::Lock, at, json!({})).await
    }

    /// Seals a photo to the owner's key for this grant and leaves it at the front, which cannot read it. The photo has to be
    /// bare ([`photo::check`]); the box is padded to a multiple of 64 KiB.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn leave_photo(
        &self,
        device: &Device,
        stop: &Stop,
        attempt: AttemptId,
        owner: &SealPublicKey,
        picture: &[u8],
    ) -> Result<(Hash, Vec<u8>), Failure> {
        photo::check(picture).map_err(|_| Failure::Unexpected("a photo that is more than a bare picture"))?;
        let (sender, about, to) =
            (device.thumbprint().to_string(), stop.delivery.to_string(), owner.hash().to_string());
        let context = Context { sender: &sender, recipient: &to, delivery: &about, seq: 0 };
        let sealed = seal::seal(&*self.host.entropy, owner, Sealed::Photo, &context, picture)?;
        let body = json!({"attempt": attempt.to_string(), "photo": b64(&sealed)});
        let (path, next) = (format!("/v1/stops/{}/photos", stop.delivery), wish(Action::Close, device, stop));
        let body = body.to_string().into_bytes();
        let (_, nonce) = self.http.exchange(Method::POST, &path, &[(NEXT, next.as_str())], Some(body)).await?;
        self.keep(&next, nonce);
        Ok((sha256(&sealed), sealed))
    }
}

/// A signed request that may be sent more than once.
#[derive(Clone)]
pub struct Prepared {
    path: String,
    link: String,
    proof: String,
    body: Vec<u8>,
    /// For what the answer is to bring the next nonce.
    next: String,
    /// Its nonce came with an answer and was not asked for.
    was_kept: bool,
}
impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prepared({})", self.path)
    }
}
impl Prepared {
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
    /// The headers and body, for tests that change them.
    #[must_use]
    pub fn parts(&self) -> (&str, &str, &[u8]) {
        (&self.link, &self.proof, &self.body)
    }
}

/// A grant's id inside a rehearsal, so that the owner's device can act with link 0.
#[must_use]
pub const fn rehearsal_stop(delivery: DeliveryId, link0: String, _grant: GrantId) -> Stop {
    Stop { delivery, last_link: link0, salt: [0; 16] }
}
