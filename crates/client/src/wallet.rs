//! An owner's wallet: passkey, seed, and what can be asked of a gateway with them.

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::area::Area;
use parcelshelf_core::id::{AccessPointId, DeliveryId, GrantId, VehicleId, WalletId};
use parcelshelf_core::reason::Purpose;
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_protocol::accepted::{Accepted, VerifiedAccepted};
use parcelshelf_protocol::content::{Description, Rule};
use parcelshelf_protocol::encoding::{Thumbprint, b64, from_b64};
use parcelshelf_protocol::envelope::Envelope;
use parcelshelf_protocol::grant::{Disclose, Grant, GrantClaims, Scoped, TextShown};
use parcelshelf_protocol::jws::{Moment, SigningKey, VerifyingKey};
use parcelshelf_protocol::keys::{Keys, VerifiedKeys};
use parcelshelf_protocol::owner_keys;
use parcelshelf_protocol::request::Ticket;
use parcelshelf_protocol::seal::{self, Context, Purpose as Sealed, SealKeyPair, SealPublicKey};
use parcelshelf_protocol::statement::{self, Covered, Said, Statement, ToErase};
use parcelshelf_protocol::webauthn::{self, Assertion};
use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::courier::Device;
use crate::http::text;
use crate::{Failure, Host, Http};

/// The wallet's page at one gateway.
#[derive(Debug, Clone)]
pub struct WalletSite {
    http: Http,
    origin: String,
    rp_id: String,
    host: Host,
}

impl WalletSite {
    /// `origin` is where the wallet is served, such as `http://wallet.localhost:8470`.
    ///
    /// # Errors
    /// [`Failure::Unexpected`] when it is no origin.
    pub fn new(origin: &str, host: &Host) -> Result<Self, Failure> {
        let url = url::Url::parse(origin).map_err(|_| Failure::Unexpected("not an origin"))?;
        let rp_id = url.host_str().ok_or(Failure::Unexpected("not an origin"))?.to_owned();
        Ok(Self {
            http: Http::new(origin, &host.client),
            origin: url.origin().ascii_serialization(),
            rp_id,
            host: host.clone(),
        })
    }

    /// The keyholder's keys, as published; pinned by whoever sees them first.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn keys(&self) -> Result<VerifiedKeys, Failure> {
        let answer = self.http.get("/v1/keys", &[]).await?;
        let jws = text(&answer, "keys")?;
        let log = Keys::peek_log(&jws)?;
        let name = peek_issuer(&jws)?;
        Ok(Keys::verify(&jws, &log, &name, Moment::Used(self.host.now()))?)
    }

    async fn challenge(&self) -> Result<String, Failure> {
        text(&self.http.post("/v1/challenges", &[], &json!({})).await?, "nonce")
    }
}

/// The keyholder's name in keys that are seen for the first time.
pub(crate) fn peek_issuer(jws: &str) -> Result<String, Failure> {
    let payload = jws.split('.').nth(1).and_then(from_b64).ok_or(Failure::Unexpected("the keys are not signed"))?;
    let claims: Value = serde_json::from_slice(&payload).map_err(|_| Failure::Unexpected("the keys are not JSON"))?;
    text(&claims, "iss")
}

/// A registered wallet with one passkey and one device.
#[derive(Debug)]
pub struct Wallet {
    site: WalletSite,
    id: WalletId,
    session: String,
    passkey: Authenticator,
    seed: [u8; 32],
    account: SealKeyPair,
    pinned: VerifiedKeys,
}

/// What an owner decides when a carrier asks.
#[derive(Debug, Clone)]
pub struct Consent {
    /// In order of preference, at most three.
    pub vehicles: Vec<VehicleId>,
    pub access_point: AccessPointId,
    pub opens: Vec<AccessClass>,
    pub area: Area,
    pub window: Window,
    pub disclose: Disclose,
}

/// A grant that is signed and confirmed, not handed in yet.
#[derive(Debug, Clone)]
pub struct Signed {
    id: GrantId,
    delivery: DeliveryId,
    cnf: Thumbprint,
    jws: String,
    body: Value,
}

impl Signed {
    /// What is handed in: grant, assertion, request, the sealed rule.
    #[must_use]
    pub const fn body(&self) -> &Value {
        &self.body
    }
}

/// A signed and accepted grant.
#[derive(Debug, Clone)]
pub struct Granted {
    pub id: GrantId,
    pub delivery: DeliveryId,
    /// Link 0.
    pub jws: String,
    pub accepted: VerifiedAccepted,
}

/// How possession of a car is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Possession {
    /// Open and close this door now.
    Door(String),
    /// The car reports no doors: it is proved when nobody has objected until then.
    Wait { until: Timestamp },
}

/// Where a proof of possession stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    Proved,
    /// Open and close this door now.
    Door(String),
    /// Nothing more is to be done but to wait.
    Waits {
        until: Timestamp,
    },
    /// Why; begin anew, unless it is `link_not_confirmed`.
    Failed(String),
}

impl Wallet {
    /// Signs up: no name, no e-mail; a passkey and an account key.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn register(site: WalletSite, host: &Host) -> Result<Self, Failure> {
        let pinned = site.keys().await?;
        let passkey = Authenticator::create(&site.rp_id, &site.origin, host);
        let seed = host.random::<32>();
        let account = SealKeyPair::from_seed(&owner_keys::account_seed(&seed))?;
        let said = Said::Wallet { account_key: account.public().clone(), passkey: passkey.passkey() };
        let (statement, assertion) = state(&site, &pinned, &passkey, said).await?;
        let answer = site.http.post("/v1/wallets", &[], &confirmed(&statement, &assertion)).await?;
        let id = WalletId::parse(&text(&answer, "wallet")?).map_err(|_| Failure::Unexpected("not a wallet's id"))?;
        let session = format!("Bearer {}", text(&answer, "token")?);
        Ok(Self { site, id, session, passkey, seed, account, pinned })
    }

    /// Logs in anew with the passkey: a session that is not used ends.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn log_in(&mut self) -> Result<(), Failure> {
        let http = &self.site.http;
        let nonce = text(&http.post("/v1/sessions/challenges", &[], &json!({})).await?, "nonce")?;
        let assertion = self.passkey.confirm(&webauthn::session_challenge(self.keyholder(), &nonce))?;
        let body = json!({"nonce": nonce, "assertion": json_of(&assertion)?});
        let answer = http.post("/v1/sessions", &[], &body).await?;
        self.session = format!("Bearer {}", text(&answer, "token")?);
        Ok(())
    }

    #[must_use]
    pub const fn id(&self) -> WalletId {
        self.id
    }
    pub(crate) const fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
    /// The keyholder's keys as pinned at sign-up.
    #[must_use]
    pub const fn pinned(&self) -> &VerifiedKeys {
        &self.pinned
    }
    #[must_use]
    pub const fn http(&self) -> &Http {
        &self.site.http
    }
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.site.host
    }
    /// Header value that says who is logged in.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }
    pub(crate) fn message_key(&self) -> &VerifyingKey {
        &self.pinned.claims().message
    }
    pub(crate) fn keyholder(&self) -> &str {
        &self.pinned.claims().iss
    }

    /// A GET with the session.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.site.http.get(path, &[("authorization", &self.session)]).await
    }
    /// A POST with the session.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.site.http.post(path, &[("authorization", &self.session)], body).await
    }

    async fn say(&self, path: &str, said: Said) -> Result<Value, Failure> {
        let (statement, assertion) = state(&self.site, &self.pinned, &self.passkey, said).await?;
        self.post(path, &confirmed(&statement, &assertion)).await
    }

    /// Starts linking a car of `maker`: returns where the owner logs in at the maker.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn link(&self, maker: &str) -> Result<String, Failure> {
        let answer = self.say("/v1/links", Said::Link { wallet: self.id, maker: maker.to_owned() }).await?;
        text(&answer, "authorize_url")
    }

    /// As [`Wallet::link`], with the linking's id, by which the owner chooses when the account has several cars.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn begin_link(&self, maker: &str) -> Result<(String, String), Failure> {
        let answer = self.say("/v1/links", Said::Link { wallet: self.id, maker: maker.to_owned() }).await?;
        Ok((text(&answer, "link")?, text(&answer, "authorize_url")?))
    }

    /// The cars of a linked account from which the owner chooses.
    ///
    /// # Errors
    /// [`Failure`]; `link_unknown` when there is nothing to choose.
    pub async fn cars_to_choose(&self, link: &str) -> Result<Vec<Value>, Failure> {
        let answer = self.get(&format!("/v1/wallet/links/{link}/cars")).await?;
        let list = self.open(&answer, Sealed::Account, &self.id.to_string())?;
        list["cars"].as_array().cloned().ok_or(Failure::Unexpected("a list of cars is missing"))
    }

    /// Says which of them take part.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn choose(&self, link: &str, cars: &[&str]) -> Result<(), Failure> {
        self.post(&format!("/v1/wallet/links/{link}/choice"), &json!({ "cars": cars })).await.map(drop)
    }

    /// Says that what stood against a car is mended: its maker is asked anew.
    ///
    /// # Errors
    /// [`Failure`]; `owner_action_needed` while the account itself does not work.
    pub async fn look_again(&self, vehicle: VehicleId) -> Result<(), Failure> {
        self.post(&format!("/v1/wallet/vehicles/{vehicle}/look"), &json!({})).await.map(drop)
    }

    /// Opens an envelope for this wallet.
    pub(crate) fn open(&self, answer: &Value, purpose: Sealed, delivery: &str) -> Result<Value, Failure> {
        let jws = text(answer, "envelope")?;
        let recipient = self.id.to_string();
        let envelope = Envelope::verify(&jws, self.message_key(), self.keyholder(), &recipient)?;
        let bytes = envelope.open(&self.account, purpose, delivery)?;
        serde_json::from_slice(&bytes).map_err(|_| Failure::Unexpected("what was sealed is not JSON"))
    }

    /// The cars of this wallet, with what the gateway found out about them.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn vehicles(&self) -> Result<Vec<Value>, Failure> {
        let answer = self.get("/v1/wallet/vehicles").await?;
        let list = self.open(&answer, Sealed::Account, &self.id.to_string())?;
        list["vehicles"].as_array().cloned().ok_or(Failure::Unexpected("a list of vehicles is missing"))
    }

    /// Agrees to what the maker cannot tell.
    ///
    /// `lid_and_lock_untold`: the owner has read how locking is proved where the car does not tell.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn agree(&self, vehicle: VehicleId, lid_and_lock_untold: bool) -> Result<(), Failure> {
        let said = Said::Consents {
            wallet: self.id,
            vehicle,
            nobody_inside: true,
            parked_inferred: true,
            tailgate_with_cabin: true,
            lid_and_lock_untold,
        };
        self.say("/v1/wallet/consents", said).await.map(drop)
    }

    /// Says what a courier needs to recognise the car; sealed, so that the front cannot read it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn describe(&self, vehicle: VehicleId, description: &Description) -> Result<(), Failure> {
        let (sender, delivery) = (self.id.to_string(), vehicle.to_string());
        let context = Context { sender: &sender, recipient: self.keyholder(), delivery: &delivery, seq: 0 };
        let keyholder = &self.pinned.claims().seal;
        let sealed =
            seal::seal(&*self.host().entropy, keyholder, Sealed::Description, &context, &description.to_bytes())?;
        let path = format!("/v1/wallet/vehicles/{vehicle}/description");
        self.post(&path, &json!({"box": b64(sealed)})).await.map(drop)
    }

    /// Takes a car back: what became of our permission at its maker (`verified`, `not_verified`, `owner_must`,
    /// `still_used`).
    ///
    /// # Errors
    /// [`Failure`]; `car_may_be_open` while it is being opened or locked.
    pub async fn unlink(&self, vehicle: VehicleId) -> Result<String, Failure> {
        let answer = self.post(&format!("/v1/wallet/vehicles/{vehicle}/unlink"), &json!({})).await?;
        text(&answer["permission"], "code")
    }

    /// Begins to prove that the owner stands at the car: the door to open and close first, or how long to wait.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn begin_possession(&self, vehicle: VehicleId) -> Result<Possession, Failure> {
        let answer = self.post(&format!("/v1/wallet/vehicles/{vehicle}/possession"), &json!({})).await?;
        match answer["wait_until"].as_str() {
            None => text(&answer, "next").map(Possession::Door),
            Some(until) => {
                let until = Timestamp::parse_rfc3339(until).map_err(|_| Failure::Unexpected("a time that is none"))?;
                Ok(Possession::Wait { until })
            }
        }
    }
    /// Whether possession of a car without doors to prove it by is proved by now.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn has_waited(&self, vehicle: VehicleId) -> Result<bool, Failure> {
        let answer = self.post(&format!("/v1/wallet/vehicles/{vehicle}/possession/check"), &json!({})).await?;
        Ok(answer["proved"] == json!(true))
    }

    /// The door to open and close next, or nothing once possession is proved.
    ///
    /// # Errors
    /// [`Failure::Unexpected`] when the proof failed and must begin anew.
    pub async fn next_door(&self, vehicle: VehicleId) -> Result<Option<String>, Failure> {
        let answer = self.post(&format!("/v1/wallet/vehicles/{vehicle}/possession/check"), &json!({})).await?;
        if answer["proved"] == json!(true) {
            return Ok(None);
        }
        text(&answer, "next").map(Some).map_err(|_| Failure::Unexpected("the proof of possession failed"))
    }

    /// At a house's door: how many steps are done and what is asked for next, or nothing once possession is proved.
    ///
    /// # Errors
    /// [`Failure::Unexpected`] when the proof failed and must begin anew.
    pub async fn next_step(&self, vehicle: VehicleId) -> Result<Option<(u64, String)>, Failure> {
        let answer = self.post(&format!("/v1/wallet/vehicles/{vehicle}/possession/check"), &json!({})).await?;
        if answer["proved"] == json!(true) {
            return Ok(None);
        }
        let failed = || Failure::Unexpected("the proof of possession failed");
        let done = answer["done"].as_u64().ok_or_else(failed)?;
        Ok(Some((done, text(&answer, "next").map_err(|_| failed())?)))
    }

    /// Where a proof of possession stands.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn check_possession(&self, vehicle: VehicleId) -> Result<Checked, Failure> {
        let answer = self.post(&format!("/v1/wallet/vehicles/{vehicle}/possession/check"), &json!({})).await?;
        if answer["proved"] == json!(true) {
            return Ok(Checked::Proved);
        }
        if let Some(until) = answer["wait_until"].as_str() {
            let until = Timestamp::parse_rfc3339(until).map_err(|_| Failure::Unexpected("a time that is none"))?;
            return Ok(Checked::Waits { until });
        }
        match answer["failed"].as_str() {
            Some(why) => Ok(Checked::Failed(why.to_owned())),
            None => text(&answer, "next").map(Checked::Door),
        }
    }

    /// "I know who has linked this car after me." `link` as the list of cars calls it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn confirm_link(&self, vehicle: VehicleId, link: &str) -> Result<(), Failure> {
        let said = Said::ConfirmLink { wallet: self.id, vehicle, link: link.to_owned() };
        self.say("/v1/wallet/later-links", said).await.map(drop)
    }

    /// Refuses whoever has linked this car later.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn refuse_link(&self, vehicle: VehicleId, link: &str) -> Result<(), Failure> {
        let path = format!("/v1/wallet/vehicles/{vehicle}/later-links/refuse");
        self.post(&path, &json!({ "link": link })).await.map(drop)
    }

    /// Stops everything at this car or door, for all wallets that share it.
    ///
    /// # Errors
    /// [`Failure`]; `possession_not_proved` or `link_not_confirmed` for a wallet that may not use it.
    pub async fn halt(&self, vehicle: VehicleId) -> Result<Value, Failure> {
        self.post(&format!("/v1/wallet/vehicles/{vehicle}/halt"), &json!({})).await
    }

    /// Takes that back, or asks for the end of another wallet's stop: when everything will go on, if not now.
    ///
    /// # Errors
    /// [`Failure`]; `not_stopped`, `lift_asked_already`, `halt_kept`.
    pub async fn lift_halt(&self, vehicle: VehicleId) -> Result<Option<Timestamp>, Failure> {
        let answer = self.say("/v1/wallet/halt-lifts", Said::LiftHalt { wallet: self.id, vehicle }).await?;
        let Some(ends) = answer["ends"].as_str() else { return Ok(None) };
        Timestamp::parse_rfc3339(ends).map(Some).map_err(|_| Failure::Unexpected("a time that is none"))
    }

    /// What this wallet has stopped stays so, although another asks for its end.
    ///
    /// # Errors
    /// [`Failure`]; `lift_not_asked`, `not_stopped`.
    pub async fn keep_halted(&self, vehicle: VehicleId) -> Result<(), Failure> {
        self.post(&format!("/v1/wallet/vehicles/{vehicle}/halt/keep"), &json!({})).await.map(drop)
    }

    /// What happened at a car or door that several wallets share, newest first.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn shared(&self, vehicle: VehicleId) -> Result<Vec<Value>, Failure> {
        let answer = self.get(&format!("/v1/wallet/vehicles/{vehicle}/shared")).await?;
        let told = self.open(&answer, Sealed::Account, &vehicle.to_string())?;
        told["lines"].as_array().cloned().ok_or(Failure::Unexpected("a list of lines is missing"))
    }

    /// The whole cells around where a car stands now: an area to allow.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn area_around(&self, vehicle: VehicleId) -> Result<Area, Failure> {
        let answer = self.post(&format!("/v1/wallet/vehicles/{vehicle}/area"), &json!({})).await?;
        let told = self.open(&answer, Sealed::Account, &vehicle.to_string())?;
        let cells: Vec<String> =
            told["area"].as_array().into_iter().flatten().filter_map(|c| c.as_str().map(str::to_owned)).collect();
        Area::parse(&cells).map_err(|_| Failure::Unexpected("cells that are no area"))
    }

    /// The newest deliveries and what is blocked.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn deliveries(&self) -> Result<Value, Failure> {
        let answer = self.get("/v1/wallet/deliveries").await?;
        self.open(&answer, Sealed::Account, &self.id.to_string())
    }

    /// One delivery with the bytes that were asked for and signed.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn delivery(&self, delivery: DeliveryId) -> Result<Value, Failure> {
        let answer = self.get(&format!("/v1/wallet/deliveries/{delivery}")).await?;
        self.open(&answer, Sealed::Account, &delivery.to_string())
    }

    /// The pseudonym of this wallet's cars towards one carrier.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn access_point(&self, carrier: Thumbprint) -> Result<AccessPointId, Failure> {
        let answer = self.post("/v1/wallet/access-points", &json!({"carrier": carrier.to_string()})).await?;
        AccessPointId::parse(&text(&answer, "access_point")?).map_err(|_| Failure::Unexpected("not an access point"))
    }

    /// Reads the ticket in the fragment of a carrier's link, down from the operator's key.
    ///
    /// # Errors
    /// [`Failure::NotTrusted`] when any signature does not hold.
    pub fn read_ticket(&self, consent_url: &str, operator: &VerifyingKey) -> Result<Ticket, Failure> {
        let (_, fragment) = consent_url.split_once('#').ok_or(Failure::Unexpected("the link has no fragment"))?;
        Ok(Ticket::verify(fragment, operator, self.keyholder(), Moment::Used(self.host().now()))?)
    }

    /// Allows what a carrier asked for: signs a grant with a key made for it, confirms it with the passkey, and hands it to
    /// the keyholder.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn allow(&self, ticket: &Ticket, consent: &Consent) -> Result<Granted, Failure> {
        self.hand_in(&self.sign(ticket, consent)?).await
    }

    /// Signs and confirms a grant without handing it in: what is handed in again when no answer comes.
    ///
    /// # Errors
    /// [`Failure::NotTrusted`] when it cannot be signed.
    pub fn sign(&self, ticket: &Ticket, consent: &Consent) -> Result<Signed, Failure> {
        let request = ticket.request.claims();
        let delivery = request.delivery;
        let claims = self.claims(consent, request.iss, Some(ticket), delivery, request.purpose);
        let extra = json!({
            "request": ticket.request.jws(),
            "delegation_cert": ticket.delegation_cert.jws(),
            "carrier_cert": ticket.carrier_cert.jws(),
        });
        let seal_key = SealKeyPair::from_seed(&owner_keys::grant_seal_seed(&self.seed, claims.0.jti))?;
        self.confirmed_grant(claims, seal_key.public(), delivery, extra)
    }

    /// Allows the owner's own device to open once, as a rehearsal.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn rehearse(&self, device: &Device, consent: &Consent) -> Result<Granted, Failure> {
        let delivery = DeliveryId::from_bytes(self.host().random());
        let (mut claims, rule) = self.claims(consent, device.thumbprint(), None, delivery, Purpose::Rehearsal);
        // Here the device that opens is the owner's own, and what is sealed is sealed to it.
        claims.seal = device.seal_key().hash();
        let signed = self.confirmed_grant((claims, rule), device.seal_key(), delivery, json!({}))?;
        self.hand_in(&signed).await
    }

    pub(crate) fn claims(
        &self,
        consent: &Consent,
        cnf: Thumbprint,
        ticket: Option<&Ticket>,
        delivery: DeliveryId,
        purpose: Purpose,
    ) -> (GrantClaims, Rule) {
        let jti = GrantId::from_bytes(self.host().random());
        let rule = Rule { salt: self.host().random(), vehicles: consent.vehicles.clone() };
        // The derived seed is 32 bytes, which every X-Wing key takes.
        let seal = SealKeyPair::from_seed(&owner_keys::grant_seal_seed(&self.seed, jti));
        let claims = GrantClaims {
            aud: self.keyholder().to_owned(),
            jti,
            iat: self.host().now(),
            window: consent.window,
            cnf,
            request: ticket.map(|t| t.request.hash()),
            scoped: Scoped::Delivery(delivery),
            access_point: consent.access_point,
            purpose,
            opens: consent.opens.clone(),
            area: consent.area.clone(),
            disclose: consent.disclose,
            seal: seal.map_or_else(|_| parcelshelf_protocol::encoding::sha256([]), |pair| pair.public().hash()),
            rule_commitment: rule.commitment(),
            text: TextShown { template: String::from("delivery-1"), lang: String::from("en") },
        };
        (claims, rule)
    }

    fn confirmed_grant(
        &self,
        signing: (GrantClaims, Rule),
        seal_key: &SealPublicKey,
        delivery: DeliveryId,
        body: Value,
    ) -> Result<Signed, Failure> {
        self.confirmed_about(&delivery.to_string(), signing, seal_key, delivery, body)
    }
    /// `about`: what the sealed rule is bound to, the delivery or the standing rule.
    pub(crate) fn confirmed_about(
        &self,
        about: &str,
        (claims, rule): (GrantClaims, Rule),
        seal_key: &SealPublicKey,
        delivery: DeliveryId,
        mut body: Value,
    ) -> Result<Signed, Failure> {
        let key = SigningKey::generate(&*self.host().entropy);
        let grant = Grant::sign(&claims, &key)?;
        let assertion = self.passkey.confirm(&grant.challenge())?;
        let sender = self.id.to_string();
        let context = Context { sender: &sender, recipient: self.keyholder(), delivery: about, seq: 0 };
        let rule_box =
            seal::seal(&*self.host().entropy, &self.pinned.claims().seal, Sealed::Rule, &context, &rule.to_bytes())?;
        body["grant"] = json!(grant.jws());
        body["assertion"] = json_of(&assertion)?;
        body["seal_key"] = json!(seal_key.to_string());
        body["rule_box"] = json!(b64(rule_box));
        Ok(Signed { id: claims.jti, delivery, cnf: claims.cnf, jws: grant.jws().to_owned(), body })
    }

    /// Hands in a signed grant. The same one again gets the same answer.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn hand_in(&self, signed: &Signed) -> Result<Granted, Failure> {
        self.hand_in_at("/v1/grants", signed).await
    }
    pub(crate) async fn hand_in_at(&self, path: &str, signed: &Signed) -> Result<Granted, Failure> {
        let answer = self.post(path, &signed.body).await?;
        let jws = text(&answer, "accepted")?;
        let accepted = Accepted::verify(&jws, self.message_key(), self.keyholder(), signed.cnf, Moment::Any)?;
        Ok(Granted { id: signed.id, delivery: signed.delivery, jws: signed.jws.clone(), accepted })
    }

    /// Stops one delivery at once. `true`: no command is in flight any more.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn block(&self, delivery: DeliveryId) -> Result<bool, Failure> {
        let body = json!({"scope": "delivery", "id": delivery.to_string()});
        let answer = self.post("/v1/wallet/blocks", &body).await?;
        answer["settled"].as_bool().ok_or(Failure::Unexpected("whether it is settled is missing"))
    }

    /// Stops one courier at once, by the device; others may go on. `true`: no command is in flight any more.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn block_courier(&self, device: Thumbprint) -> Result<bool, Failure> {
        let body = json!({"scope": "courier", "id": device.to_string()});
        let answer = self.post("/v1/wallet/blocks", &body).await?;
        answer["settled"].as_bool().ok_or(Failure::Unexpected("whether it is settled is missing"))
    }

    /// Pauses everything until then, or ends an earlier pause: a passkey's word, for it ends by itself.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn pause(&self, until: Option<Timestamp>) -> Result<(), Failure> {
        self.say("/v1/wallet/pauses", Said::Pause { wallet: self.id, until }).await.map(drop)
    }

    /// Lifts the block of one delivery: a passkey's word.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn unblock(&self, delivery: DeliveryId) -> Result<(), Failure> {
        let covered = Covered::Delivery(delivery);
        self.say("/v1/wallet/unblocks", Said::Unblock { wallet: self.id, covered }).await.map(drop)
    }

    /// Lifts every block of this wallet: a passkey's word.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn unblock_all(&self) -> Result<(), Failure> {
        self.say("/v1/wallet/unblocks", Said::Unblock { wallet: self.id, covered: Covered::All }).await.map(drop)
    }

    /// Keeps a delivery from being erased, whatever its deadline says.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn hold(&self, delivery: DeliveryId) -> Result<(), Failure> {
        self.post(&format!("/v1/wallet/deliveries/{delivery}/hold"), &json!({})).await.map(drop)
    }

    /// Takes the owner's own hold off: a passkey's word.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn lift_hold(&self, delivery: DeliveryId) -> Result<(), Failure> {
        self.say("/v1/wallet/hold-lifts", Said::LiftHold { wallet: self.id, delivery }).await.map(drop)
    }

    /// Erases a delivery, or the wallet with everything, for good and in every backup: a passkey's word. Answers what the
    /// gateway says of it.
    ///
    /// # Errors
    /// [`Failure`]: `held`, `not_over`.
    pub async fn erase(&self, erased: ToErase) -> Result<Value, Failure> {
        self.say("/v1/wallet/erasures", Said::Erase { wallet: self.id, erased }).await
    }

    /// Everything that the gateway keeps of this wallet, as one document: `docs/retention.md` describes it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn export(&self) -> Result<Value, Failure> {
        let answer = self.get("/v1/wallet/export").await?;
        let wallet = self.open(&answer, Sealed::Account, &self.id.to_string())?;
        let mut deliveries = Vec::new();
        for id in answer["deliveries"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let part = self.get(&format!("/v1/wallet/deliveries/{id}/export")).await?;
            deliveries.push(self.open(&part, Sealed::Account, id)?);
        }
        Ok(json!({"format": "psh-export-v1", "wallet": wallet, "deliveries": deliveries}))
    }

    /// Says that the alarm of a delivery was seen and somebody has looked.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn acknowledge(&self, delivery: DeliveryId) -> Result<Value, Failure> {
        self.post(&format!("/v1/wallet/deliveries/{delivery}/acknowledge"), &json!({})).await
    }

    /// What happened, as the keyholder recorded it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn timeline(&self, delivery: DeliveryId) -> Result<Value, Failure> {
        let answer = self.get(&format!("/v1/wallet/deliveries/{delivery}/timeline")).await?;
        self.open(&answer, Sealed::Account, &delivery.to_string())
    }

    /// The case bundle, as bytes to keep. `bundle_not_ready` until a checkpoint covers its records.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn bundle(&self, delivery: DeliveryId) -> Result<Vec<u8>, Failure> {
        let answer = self.get(&format!("/v1/wallet/deliveries/{delivery}/bundle")).await?;
        let jws = text(&answer, "envelope")?;
        let recipient = self.id.to_string();
        let envelope = Envelope::verify(&jws, self.message_key(), self.keyholder(), &recipient)?;
        Ok(envelope.open(&self.account, Sealed::Bundle, &delivery.to_string())?.to_vec())
    }

    /// The key to which photos of one grant are sealed.
    ///
    /// # Errors
    /// [`Failure::NotTrusted`] when it cannot be derived.
    pub fn seal_key_of(&self, grant: GrantId) -> Result<SealPublicKey, Failure> {
        let pair = SealKeyPair::from_seed(&owner_keys::grant_seal_seed(&self.seed, grant))?;
        Ok(pair.public().clone())
    }

    /// The photos of a delivery that this device took, opened.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::NotTrusted`] when one was sealed by or to somebody else.
    pub async fn photos(&self, granted: &Granted, sender: &Device) -> Result<Vec<Vec<u8>>, Failure> {
        let path = format!("/v1/wallet/deliveries/{}/photos", granted.delivery);
        let named = self.get(&path).await?;
        let mut photos = Vec::new();
        for hash in named["photos"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let sealed = from_b64(&text(&self.get(&format!("{path}/{hash}")).await?, "photo")?);
            let sealed = sealed.ok_or(Failure::Unexpected("a photo that is not base64url"))?;
            photos.push(self.open_photo(granted, sender, &sealed)?);
        }
        Ok(photos)
    }

    /// Opens a courier's sealed photo: the key belongs to this grant and to nobody else. A guest's is sealed to the account key,
    /// for the grant names the guest's own.
    ///
    /// # Errors
    /// [`Failure::NotTrusted`] when it was sealed to another key.
    pub fn open_photo(&self, granted: &Granted, sender: &Device, sealed: &[u8]) -> Result<Vec<u8>, Failure> {
        let key = match Grant::verify(&granted.jws)?.claims().purpose {
            Purpose::Guest => SealKeyPair::from_seed(&owner_keys::account_seed(&self.seed))?,
            _ => SealKeyPair::from_seed(&owner_keys::grant_seal_seed(&self.seed, granted.id))?,
        };
        let (from, about) = (sender.thumbprint().to_string(), granted.delivery.to_string());
        let to = key.public().hash().to_string();
        let context = Context { sender: &from, recipient: &to, delivery: &about, seq: 0 };
        Ok(seal::open(&key, Sealed::Photo, &context, sealed)?.to_vec())
    }
}

async fn state(
    site: &WalletSite,
    pinned: &VerifiedKeys,
    passkey: &Authenticator,
    said: Said,
) -> Result<(Vec<u8>, Assertion), Failure> {
    let nonce = site.challenge().await?;
    let bytes = Statement { aud: pinned.claims().iss.clone(), nonce, said }.to_bytes();
    let assertion = passkey.confirm(&statement::challenge(&bytes))?;
    Ok((bytes, assertion))
}

fn confirmed(statement: &[u8], assertion: &Assertion) -> Value {
    json!({"statement": b64(statement), "assertion": json_of(assertion).unwrap_or_default()})
}

fn json_of(assertion: &Assertion) -> Result<Value, Failure> {
    serde_json::from_str(&assertion.to_json()).map_err(|_| Failure::Unexpected("an assertion is not JSON"))
}
