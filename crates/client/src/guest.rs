//! A guest: the link that the owner shows or sends, or the code at a door; a device of their own, and what was signed for it.

use http::Method;
use parcelshelf_core::id::{DeliveryId, GrantId, InvitationId, VehicleId};
use parcelshelf_core::reason::{Action, Purpose};
use parcelshelf_core::time::Window;
use parcelshelf_protocol::content::{ForGuest, GuestName};
use parcelshelf_protocol::encoding::{Hash, TokenId, b64};
use parcelshelf_protocol::enrol::Enrolment;
use parcelshelf_protocol::envelope::Envelope;
use parcelshelf_protocol::grant::{Grant, GrantClaims, Schedule, Scoped, TextShown};
use parcelshelf_protocol::invite::{DoorSign, Invitation};
use parcelshelf_protocol::jws::Moment;
use parcelshelf_protocol::keys::{Keys, VerifiedKeys};
use parcelshelf_protocol::proof::{HttpRequest, Proof, ProofClaims};
use parcelshelf_protocol::seal::{self, Context, Purpose as Sealed};
use serde_json::{Value, json};

use crate::courier::{Device, Stop, StopPage};
use crate::http::text;
use crate::wallet::{Consent, Granted, Wallet, peek_issuer};
use crate::{Failure, Host, Http};

/// What stands before the secret in a guest's link.
pub const PATH: &str = "/g#";

/// What stands before the secret in the code at a door.
pub const DOOR_PATH: &str = "/w#";

/// The address that the owner shows as a QR code or sends: nobody but its reader gets what stands behind the `#`.
#[must_use]
pub fn link_of(stop_origin: &str, invitation: &Invitation) -> String {
    format!("{stop_origin}{PATH}{}", invitation.to_text())
}

/// The address that hangs at a door as a QR code.
#[must_use]
pub fn door_link_of(stop_origin: &str, sign: &DoorSign) -> String {
    format!("{stop_origin}{DOOR_PATH}{}", sign.to_text())
}

/// A guest's phone on the guest page, or on the page that a door's code opens.
#[derive(Debug)]
pub struct Guest {
    pub device: Device,
    pinned: VerifiedKeys,
    /// Under which the owner and this device meet.
    about: InvitationId,
    digits: String,
    http: Http,
    host: Host,
}

/// What an owner has signed for this device.
#[derive(Debug, Clone)]
pub struct LetIn {
    pub claims: GrantClaims,
    /// Link 0.
    pub link: String,
}

impl Guest {
    /// Opens the link, makes the device's keys, and answers with them. The keyholder's keys are believed as they are seen here
    /// for the first time: the six digits cover them.
    ///
    /// # Errors
    /// [`Failure`]; `invitation_answered` when another device was first.
    pub async fn answer(link: &str, host: &Host) -> Result<Self, Failure> {
        let wrong = || Failure::Unexpected("not the link of an invitation");
        let (origin, secret) = link.split_once(PATH).ok_or_else(wrong)?;
        let invitation = Invitation::parse(secret).ok_or_else(wrong)?;
        let mut guest = Self::with_keys(origin, invitation.id(), host).await?;
        let shown = guest.enrolment();
        guest.digits = invitation.digits(shown.device(), &guest.pinned.claims().log);
        let body = json!({"device": shown.to_text(), "tag": invitation.tag(shown.device()).to_string()});
        let path = format!("/v1/invitations/{}/answer", guest.about);
        guest.http.post(&path, &[], &body).await?;
        Ok(guest)
    }

    /// Reads the code at a door, makes the device's keys, and asks to be let in. `who`: whom the owner is to read of, 1 to 64 bytes.
    ///
    /// # Errors
    /// [`Failure`]; `door_sign_unknown`, `too_many_knocks`.
    pub async fn knock(link: &str, who: &str, host: &Host) -> Result<Self, Failure> {
        let wrong = || Failure::Unexpected("not the code of a door");
        let (origin, secret) = link.split_once(DOOR_PATH).ok_or_else(wrong)?;
        let sign = DoorSign::parse(secret).ok_or_else(wrong)?;
        let guest = Self::with_keys(origin, InvitationId::from_bytes(host.random()), host).await?;
        let (shown, keys) = (guest.enrolment(), guest.pinned.claims());
        let (sender, about) = (shown.device().to_string(), guest.about.to_string());
        let context = Context { sender: &sender, recipient: &keys.iss, delivery: &about, seq: 0 };
        let content = GuestName { name: who.to_owned() }.to_bytes();
        let sealed = seal::seal(&*host.entropy, &keys.seal, Sealed::GuestName, &context, &content)?;
        let tag = sign.tag(shown.device(), guest.about).to_string();
        let body = json!({"knock": about, "device": shown.to_text(), "tag": tag, "box": b64(sealed)});
        guest.http.post(&format!("/v1/door-signs/{}/knocks", sign.id()), &[], &body).await?;
        Ok(guest)
    }

    async fn with_keys(origin: &str, about: InvitationId, host: &Host) -> Result<Self, Failure> {
        let http = Http::new(origin, &host.client);
        let jws = text(&http.get("/v1/keys", &[]).await?, "keys")?;
        let (log, name) = (Keys::peek_log(&jws)?, peek_issuer(&jws)?);
        let pinned = Keys::verify(&jws, &log, &name, Moment::Used(host.now()))?;
        let device = Device::create(host)?;
        Ok(Self { device, pinned, about, digits: String::new(), http, host: host.clone() })
    }
    fn enrolment(&self) -> Enrolment {
        Enrolment { key: self.device.verifying_key().clone(), seal: self.device.seal_key().clone() }
    }

    /// What the guest reads out to the owner. Empty at a door, where the owner looks who stands there.
    #[must_use]
    pub fn digits(&self) -> String {
        self.digits.clone()
    }
    /// The keyholder's keys as they were first seen.
    #[must_use]
    pub const fn pinned(&self) -> &VerifiedKeys {
        &self.pinned
    }

    /// What was signed for this device, once it is.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Unexpected`] when it was signed for another device.
    pub async fn let_in(&self) -> Result<Option<LetIn>, Failure> {
        let about = self.about.to_string();
        let answer = self.http.get(&format!("/v1/invitations/{about}"), &[]).await?;
        if answer["state"] != json!("ready") {
            return Ok(None);
        }
        let (keys, recipient) = (self.pinned.claims(), self.device.thumbprint().to_string());
        let envelope = Envelope::verify(&text(&answer, "envelope")?, &keys.message, &keys.iss, &recipient)?;
        let told = ForGuest::parse(&envelope.open(self.device.seal_pair(), Sealed::Invitation, &about)?)?;
        let claims = Grant::verify(&told.grant)?.claims().clone();
        if claims.cnf != self.device.thumbprint() {
            return Err(Failure::Unexpected("this was signed for another device"));
        }
        Ok(Some(LetIn { claims, link: told.grant }))
    }

    /// The page on which this device opens.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn page(&self) -> Result<StopPage, Failure> {
        StopPage::open(self.http.origin(), &self.pinned, &self.host).await
    }

    /// Today's visit under weekly hours.
    ///
    /// # Errors
    /// [`Failure`]; `visit_not_now`.
    pub async fn come(&self, let_in: &LetIn) -> Result<(Stop, Value), Failure> {
        // The nonce is bound to the link; the path of its route names what is visited, which has no name yet.
        let asks = Stop {
            delivery: DeliveryId::from_bytes(*let_in.claims.jti.as_bytes()),
            last_link: let_in.link.clone(),
            salt: [0; 16],
        };
        let nonce = self.page().await?.nonce(&self.device, &asks, Action::Open).await?;
        let (path, body) = ("/v1/visits", b"{}".to_vec());
        let url = self.http.url(path);
        let request = HttpRequest { method: "POST", url: &url, body: &body };
        let jti = TokenId::from_bytes(self.host.random());
        let claims = ProofClaims::new(jti, &request, &nonce, &let_in.link, Action::Open, self.host.now());
        let proof = Proof::sign(&claims, self.device.signing_key())?;
        let link = format!("DPoP {}", let_in.link);
        let headers = [("authorization", link.as_str()), ("dpop", proof.as_str())];
        let answer = self.http.send(Method::POST, path, &headers, Some(body)).await?;
        let wrong = |_| Failure::Unexpected("not a visit");
        let delivery = DeliveryId::parse(&text(&answer, "delivery")?).map_err(wrong)?;
        Ok((Stop { delivery, ..asks }, answer))
    }
}

impl LetIn {
    /// Where the device opens by a grant for one visit.
    ///
    /// # Errors
    /// [`Failure::Unexpected`] for weekly hours: there each visit has a name of its own, see [`Guest::come`].
    pub fn stop(&self) -> Result<Stop, Failure> {
        let delivery = self.claims.delivery().ok_or(Failure::Unexpected("weekly hours are no visit"))?;
        Ok(Stop { delivery, last_link: self.link.clone(), salt: [0; 16] })
    }
}

/// Somebody who stands at a door and asks.
#[derive(Debug, Clone)]
pub struct AtDoor {
    pub knock: InvitationId,
    /// What they say of themselves; nobody has checked it.
    pub who: String,
    pub vehicle: VehicleId,
    /// The device that would open.
    pub shown: Enrolment,
}

impl Wallet {
    /// Puts a code up at the door of a house: what hangs there already, if something does.
    ///
    /// # Errors
    /// [`Failure`]; `guests_at_houses_only`.
    pub async fn put_up_door_sign(&self, vehicle: VehicleId) -> Result<DoorSign, Failure> {
        let made = self.post("/v1/wallet/door-signs", &json!({"vehicle": vehicle.to_string()})).await?;
        let found =
            self.door_signs().await?.into_iter().find(|(sign, _)| json!(sign.id().to_string()) == made["door_sign"]);
        found.map(|(sign, _)| sign).ok_or(Failure::Unexpected("a code that is not in the list"))
    }
    /// Takes a code down. Who asks under it asks no more.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn take_down_door_sign(&self, sign: &DoorSign) -> Result<(), Failure> {
        self.post(&format!("/v1/wallet/door-signs/{}/take-down", sign.id()), &json!({})).await.map(drop)
    }
    async fn door_signs(&self) -> Result<Vec<(DoorSign, VehicleId)>, Failure> {
        let told = self.guests_told().await?;
        let all = told["door_signs"].as_array().ok_or(Failure::Unexpected("no list of door signs"))?;
        let read = |one: &Value| {
            let sign = DoorSign::parse(one["secret"].as_str()?)?;
            Some((sign, VehicleId::parse(one["vehicle"].as_str()?).ok()?))
        };
        all.iter().map(|one| read(one).ok_or(Failure::Unexpected("not a door sign"))).collect()
    }
    /// Who asks at this wallet's doors now. Whoever has not read the code that hangs there is not among them.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn at_the_door(&self) -> Result<Vec<AtDoor>, Failure> {
        let signs = self.door_signs().await?;
        let read = |one: &Value| {
            let (sign, vehicle) = signs.iter().find(|(sign, _)| one["door_sign"] == json!(sign.id().to_string()))?;
            let knock = InvitationId::parse(one["invitation"].as_str()?).ok()?;
            let shown = Enrolment::parse(one["answer"]["device"].as_str()?).ok()?;
            let tag = Hash::parse(one["answer"]["tag"].as_str()?)?;
            let who = one["name"].as_str()?.to_owned();
            (tag == sign.tag(shown.device(), knock)).then_some(AtDoor { knock, who, vehicle: *vehicle, shown })
        };
        Ok(self.guests().await?.iter().filter_map(read).collect())
    }
    /// Does not open to somebody at a door.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn turn_away(&self, knock: InvitationId) -> Result<(), Failure> {
        self.post(&format!("/v1/wallet/invitations/{knock}/withdraw"), &json!({})).await.map(drop)
    }

    /// Invites somebody: the secret for their link. `name` is for the owner's own list, 1 to 64 bytes.
    ///
    /// # Errors
    /// [`Failure`]; `too_many_invitations`.
    pub async fn invite(&self, name: &str) -> Result<Invitation, Failure> {
        let invitation = Invitation::from_secret(self.host().random());
        let (sender, about) = (self.id().to_string(), invitation.id().to_string());
        let keys = self.pinned().claims();
        let context = Context { sender: &sender, recipient: &keys.iss, delivery: &about, seq: 0 };
        let content = GuestName { name: name.to_owned() }.to_bytes();
        let sealed = seal::seal(&*self.host().entropy, &keys.seal, Sealed::GuestName, &context, &content)?;
        self.post("/v1/wallet/invitations", &json!({"invitation": about, "box": b64(sealed)})).await?;
        Ok(invitation)
    }

    /// Who is invited, and for whom something is signed.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn guests(&self) -> Result<Vec<Value>, Failure> {
        let told = self.guests_told().await?;
        told["guests"].as_array().cloned().ok_or(Failure::Unexpected("no list of guests"))
    }
    async fn guests_told(&self) -> Result<Value, Failure> {
        let answer = self.get("/v1/wallet/invitations").await?;
        self.open(&answer, Sealed::Account, &self.id().to_string())
    }

    /// Takes back an invitation for which nothing is signed yet.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn withdraw(&self, invitation: &Invitation) -> Result<(), Failure> {
        let path = format!("/v1/wallet/invitations/{}/withdraw", invitation.id());
        self.post(&path, &json!({})).await.map(drop)
    }

    /// The device that has answered an invitation, if one has.
    ///
    /// # Errors
    /// [`Failure::Unexpected`] when whoever answered did not have the secret, or when the digits are not those that the guest's
    /// page shows: then it is somebody else's device.
    pub async fn paired(&self, invitation: &Invitation, digits: &str) -> Result<Option<Enrolment>, Failure> {
        let id = invitation.id().to_string();
        let guests = self.guests().await?;
        let Some(answer) = guests.iter().find(|g| g["invitation"] == json!(id)).map(|g| &g["answer"]) else {
            return Err(Failure::Unexpected("this wallet has no such invitation"));
        };
        if answer.is_null() {
            return Ok(None);
        }
        let shown = Enrolment::parse(&text(answer, "device")?)?;
        let device = shown.device();
        if Hash::parse(&text(answer, "tag")?) != Some(invitation.tag(device)) {
            return Err(Failure::Unexpected("somebody answered who did not have the link"));
        }
        if digits != invitation.digits(device, &self.pinned().claims().log) {
            return Err(Failure::Unexpected("these are not the digits of the device that answered"));
        }
        Ok(Some(shown))
    }

    /// Lets a guest's device in once, in the window of the consent.
    ///
    /// # Errors
    /// [`Failure`]; `guest_not_paired`, `guests_at_houses_only`.
    pub async fn let_in(&self, guest: &Enrolment, consent: &Consent) -> Result<Granted, Failure> {
        let delivery = DeliveryId::from_bytes(self.host().random());
        let (mut claims, rule) = self.claims(consent, guest.device(), None, delivery, Purpose::Guest);
        claims.seal = guest.seal.hash();
        claims.text = TextShown { template: String::from("guest-1"), lang: String::from("en") };
        let signed = self.confirmed_about(&delivery.to_string(), (claims, rule), &guest.seal, delivery, json!({}))?;
        self.hand_in(&signed).await
    }

    /// Lets a guest's device in by weekly hours, once per date, for at most 90 days.
    ///
    /// # Errors
    /// [`Failure`]; `guest_not_paired`, `guests_at_houses_only`.
    pub async fn let_in_weekly(
        &self,
        guest: &Enrolment,
        consent: &Consent,
        schedule: &Schedule,
        life: Window,
    ) -> Result<GrantId, Failure> {
        let unused = DeliveryId::from_bytes(self.host().random());
        let (mut claims, rule) = self.claims(consent, guest.device(), None, unused, Purpose::Guest);
        claims.seal = guest.seal.hash();
        claims.scoped = Scoped::Standing { merchants: Vec::new(), schedule: schedule.clone() };
        claims.window = life;
        claims.text = TextShown { template: String::from("guest-rule-1"), lang: String::from("en") };
        let about = claims.jti.to_string();
        let signed = self.confirmed_about(&about, (claims, rule), &guest.seal, unused, json!({}))?;
        let answer = self.post("/v1/rules", signed.body()).await?;
        GrantId::parse(&text(&answer, "rule")?).map_err(|_| Failure::Unexpected("not a rule"))
    }
}
