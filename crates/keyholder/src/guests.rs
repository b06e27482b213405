//! Guests: whom an owner lets into a house with no carrier in between.
//!
//! An invitation is a row under the hash of a secret that no server sees. The guest's device answers there, once; the owner's
//! wallet holds its answer against the secret and against six digits that the guest reads out, and signs a grant that names this
//! device. From there on it is a grant like any other: conditions, intent, leaf, alarm and bundle do not know the difference.

use parcelshelf_core::actuation::{AccessClass, Place};
use parcelshelf_core::id::{AccessPointId, DeliveryId, GrantId, InvitationId, WalletId};
use parcelshelf_core::reason::{Action, Purpose};
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_log::record::Kind;
use parcelshelf_opening::grant::Calendar;
use parcelshelf_protocol::content::{ForGuest, GuestName};
use parcelshelf_protocol::encoding::{Hash, Thumbprint, b64, from_b64, sha256};
use parcelshelf_protocol::enrol::Enrolment;
use parcelshelf_protocol::grant::{GrantClaims, Scoped, SignedGrant};
use parcelshelf_protocol::jws::Moment;
use parcelshelf_protocol::proof::HttpRequest;
use parcelshelf_protocol::seal::{self, Context, Purpose as Sealed};
use parcelshelf_protocol::verify::{self, ChainFacts, ChainInput};
use parcelshelf_protocol::webauthn::Assertion;
use parcelshelf_store::Version;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::chain::Shown;
use crate::db::{Change, Index, Stored, delivery_key, rule_key, wallet_key};
use crate::failure::{Failure, broken};
use crate::grants::{Handed, granted_already, window_of};
use crate::housekeeping::expires_at;
use crate::rows::{GrantRow, GuestRow, RuleRow};
use crate::rules::{HASH, Under, hours_of, no_rule, not_a_rule};
use crate::sharing::Line;
use crate::wallets::wallet_index;

/// So long an invitation is answered and signed for: a day, for a message that is read in the evening.
const INVITED_MS: i64 = 86_400_000;
/// Invitations of one wallet that wait for somebody.
const INVITED_MAX: usize = 8;
/// Guests in one list: they fit one sealed box with the keys of those who wait.
const LISTED_MAX: usize = 48;
/// By the device that answered.
const DEVICE: &str = "device";
/// By what was signed for it: a delivery or a rule.
pub(crate) const GRANTED: &str = "granted";

pub(crate) fn no_invitation() -> Problem {
    Problem::new(404, "invitation_unknown", "there is no such invitation, or it is over")
}
/// One answer, whatever the reason is: it is between the owner and the keyholder.
fn not_now() -> Failure {
    Problem::new(409, "visit_not_now", "the owner has not allowed this now")
        .detail("what you were invited for says on which days and when")
        .into()
}

impl GuestRow {
    /// Until something is signed for them they are the wallet's, and then part of that.
    pub(crate) fn of_whom(&self, _: &[u8]) -> Option<String> {
        Some(self.granted.clone().unwrap_or_else(|| format!("wallet/{}", self.wallet)))
    }
    pub(crate) const fn over_ms(&self) -> i64 {
        self.until_ms
    }
    fn wallet(&self) -> Result<WalletId, Failure> {
        WalletId::parse(&self.wallet).map_err(|_| broken("a wallet's id is none"))
    }
    pub(crate) fn waits(&self, now: Timestamp) -> bool {
        self.granted.is_none() && now.unix_millis() < self.until_ms
    }
    fn enrolment(&self) -> Result<Option<Enrolment>, Failure> {
        let parsed = self.answer.as_ref().map(|(device, _)| Enrolment::parse(device)).transpose();
        parsed.map_err(|_| broken("a guest's keys cannot be read"))
    }
    /// The id of the delivery or rule that was signed for them.
    fn granted_id(&self) -> Option<Vec<u8>> {
        self.granted.as_ref().and_then(|name| name.split_once('/')).and_then(|(_, id)| from_b64(id))
    }
    pub(crate) fn index(&self) -> Result<Index, Failure> {
        let mut index = wallet_index(self.wallet()?);
        match self.granted_id() {
            Some(id) => {
                index.insert(GRANTED.to_owned(), id);
            }
            None => index.extend(expires_at(self.until_ms)),
        }
        if let Some(shown) = self.enrolment()? {
            index.insert(DEVICE.to_owned(), shown.device().as_bytes().to_vec());
        }
        Ok(index)
    }
}

/// What was signed for a guest, under which a row is kept.
pub(crate) enum Signed {
    Visit(DeliveryId),
    Rule(GrantId),
}
impl Signed {
    fn key(&self) -> String {
        match self {
            Self::Visit(delivery) => delivery_key(*delivery),
            Self::Rule(rule) => rule_key(*rule),
        }
    }
}

/// When a guest's rule lets them in.
fn calendar(claims: &GrantClaims) -> Result<Calendar, Failure> {
    let Scoped::Standing { schedule, .. } = &claims.scoped else { return Err(no_rule().into()) };
    Calendar::new(hours_of(schedule), &schedule.zone, claims.window).map_err(|why| not_a_rule(why).into())
}

impl Keyholder {
    // ---- invited ---------------------------------------------------------------------------------------------------

    /// Somebody is invited. The same invitation again changes nothing.
    pub(crate) async fn invite(
        &self,
        wallet: WalletId,
        invitation: InvitationId,
        sealed: &str,
    ) -> Result<Timestamp, Failure> {
        let bytes = from_b64(sealed).ok_or_else(|| Problem::new(400, "box_malformed", "the box is not base64url"))?;
        let (sender, about) = (wallet.to_string(), invitation.to_string());
        let context = Context { sender: &sender, recipient: &self.config.aud, delivery: &about, seq: 0 };
        let name = GuestName::parse(&seal::open(&self.keys.seal, Sealed::GuestName, &context, &bytes)?)?.name;
        let now = self.host.now();
        if let Some(known) = self.db.get::<GuestRow>(invitation.as_bytes()).await? {
            let same = known.value.wallet == sender && known.value.name == name;
            return if same {
                Ok(Timestamp::from_unix_millis(known.value.until_ms))
            } else {
                Err(no_invitation().into())
            };
        }
        // Not for a wallet that is being erased in this moment.
        let owner = self.wallet(wallet).await?;
        let waiting =
            self.guests_of(wallet).await?.iter().filter(|g| g.value.sign.is_none() && g.value.waits(now)).count();
        if waiting >= INVITED_MAX {
            return Err(Problem::new(409, "too_many_invitations", "as many invitations wait as may")
                .detail("withdraw one that nobody will answer")
                .into());
        }
        let until = now.plus_millis(INVITED_MS);
        let row = GuestRow {
            v: 1,
            wallet: sender,
            name,
            until_ms: until.unix_millis(),
            answer: None,
            granted: None,
            sign: None,
        };
        let mut change = Change::new(&self.db, &self.host);
        change.check(&owner);
        change.put(invitation.as_bytes(), Version::Absent, &row, row.index()?);
        change.journal("guest", invitation.as_bytes(), "invited", &json!({}));
        change.commit().await?;
        Ok(until)
    }

    async fn guest(&self, invitation: InvitationId) -> Result<Stored<GuestRow>, Failure> {
        let row = self.db.get::<GuestRow>(invitation.as_bytes()).await?.ok_or_else(no_invitation)?;
        let over = row.value.granted.is_none() && !row.value.waits(self.host.now());
        if over { Err(no_invitation().into()) } else { Ok(row) }
    }
    pub(crate) async fn guests_of(&self, wallet: WalletId) -> Result<Vec<Stored<GuestRow>>, Failure> {
        Ok(self.db.list::<GuestRow>("wallet", wallet.as_bytes()).await?)
    }

    /// The guest's device says its keys, once: who comes second finds it taken. Only the owner can tell whether it is the guest's.
    pub(crate) async fn answer_invitation(
        &self,
        invitation: InvitationId,
        device: &str,
        tag: Hash,
    ) -> Result<(), Failure> {
        let shown = Enrolment::parse(device)?;
        let mut guest = self.guest(invitation).await?;
        let answer = (shown.to_text(), tag.to_string());
        match &guest.value.answer {
            Some(known) if *known == answer => return Ok(()),
            Some(_) => {
                return Err(Problem::new(409, "invitation_answered", "another device has answered this invitation")
                    .detail("ask whoever invited you for a new one")
                    .into());
            }
            None => {}
        }
        guest.value.answer = Some(answer);
        let mut change = Change::new(&self.db, &self.host);
        change.update(&guest, guest.value.index()?);
        change.journal("guest", &guest.id, "answered", &json!({}));
        change.commit().await?;
        Ok(())
    }

    /// What the guest's device waits for: what was signed for it, sealed to it.
    pub(crate) async fn invitation(&self, invitation: InvitationId) -> Result<Value, Failure> {
        let guest = self.guest(invitation).await?;
        let Some(shown) = guest.value.enrolment()? else { return Ok(json!({"state": "waiting", "envelope": null})) };
        let Some(grant) = self.signed_for(&guest.value).await? else {
            return Ok(json!({"state": "answered", "envelope": null}));
        };
        let (recipient, about, now) = (shown.device().to_string(), invitation.to_string(), self.host.now());
        let seq = now.unix_millis().unsigned_abs();
        let context = Context { sender: &self.config.aud, recipient: &recipient, delivery: &about, seq };
        let envelope = parcelshelf_protocol::envelope::Envelope::seal(
            &*self.host.entropy,
            &shown.seal,
            Sealed::Invitation,
            &context,
            &ForGuest { grant }.to_bytes(),
            now,
            &self.keys.message,
        )?;
        Ok(json!({"state": "ready", "envelope": envelope}))
    }
    /// Link 0.
    async fn signed_for(&self, guest: &GuestRow) -> Result<Option<String>, Failure> {
        let Some(id) = guest.granted_id() else { return Ok(None) };
        if let Some(rule) = self.db.get::<RuleRow>(&id).await? {
            return Ok(Some(rule.value.grant));
        }
        Ok(self.db.get::<GrantRow>(&id).await?.map(|grant| grant.value.papers.grant.clone()))
    }

    /// Takes back an invitation for which nothing is signed yet.
    pub(crate) async fn take_back(&self, wallet: WalletId, invitation: InvitationId) -> Result<(), Failure> {
        let guest = self.guest(invitation).await?;
        if guest.value.wallet != wallet.to_string() {
            return Err(no_invitation().into());
        }
        if guest.value.granted.is_some() {
            return Err(Problem::new(409, "invitation_signed", "something was signed for this guest")
                .detail("stop that instead")
                .into());
        }
        let mut change = Change::new(&self.db, &self.host);
        change.delete(&guest);
        change.journal("guest", &guest.id, "withdrawn", &json!({}));
        change.commit().await?;
        Ok(())
    }

    // ---- signed for ------------------------------------------------------------------------------------------------

    /// The guest whose device a grant names: one who has answered an invitation of this wallet, and for whom nothing is signed
    /// yet. None for other purposes.
    pub(crate) async fn paired(
        &self,
        wallet: WalletId,
        claims: &GrantClaims,
    ) -> Result<Option<Stored<GuestRow>>, Failure> {
        if claims.purpose != Purpose::Guest {
            return Ok(None);
        }
        // Whether a car may be opened here is an answer to where it stands, and guests locate no car.
        if !claims.opens.iter().copied().map(AccessClass::belongs_to).all(|place| place == Place::Home) {
            return Err(Problem::new(409, "guests_at_houses_only", "guests are let into houses, not into cars").into());
        }
        let (name, now) = (wallet.to_string(), self.host.now());
        let answered = self.db.list::<GuestRow>(DEVICE, claims.cnf.as_bytes()).await?;
        let found = answered.into_iter().find(|guest| guest.value.wallet == name && guest.value.waits(now));
        let missing = || {
            Problem::new(409, "guest_not_paired", "no guest with this device has answered an invitation")
                .detail("invite them, and compare the six digits")
        };
        Ok(Some(found.ok_or_else(missing)?))
    }
    /// In the transaction that accepts what was signed.
    pub(crate) fn guest_gets(
        &self,
        change: &mut Change<'_>,
        mut guest: Stored<GuestRow>,
        signed: &Signed,
    ) -> Result<(), Failure> {
        guest.value.granted = Some(signed.key());
        change.update(&guest, guest.value.index()?);
        Ok(())
    }

    /// Accepts weekly hours for a guest. Handing in the same again gets the same answer.
    pub(crate) async fn accept_guests_rule(
        &self,
        wallet: WalletId,
        handed: &Handed<'_>,
        signed: SignedGrant,
    ) -> Result<Value, Failure> {
        let id = signed.claims().jti;
        let answer = json!({"accepted": null, "rule": id.to_string()});
        if let Some(known) = self.db.get::<RuleRow>(id.as_bytes()).await? {
            let same = known.value.grant == handed.grant && known.value.wallet == wallet.to_string();
            return if same { Ok(answer) } else { Err(granted_already().into()) };
        }
        self.not_void(signed.claims().iat)?;
        let now = self.host.now();
        let owner = self.wallet(wallet).await?;
        let moment = Moment::Posted(now);
        let grant = signed.confirm(handed.assertion, &owner.value.keys(), &self.rp, &self.config.aud, moment)?;
        let claims = grant.claims();
        calendar(claims)?;
        if claims.access_point != self.access_point(wallet, claims.cnf)? {
            return Err(parcelshelf_protocol::Refused::GrantWrongAccessPoint.into());
        }
        let guest = self.paired(wallet, claims).await?.ok_or_else(no_invitation)?;
        if !self.owner_lets(&owner.value, &claims.cnf.to_string(), claims.window) {
            return Err(Problem::new(409, "blocked", "the owner has blocked this").detail("unblock it first").into());
        }
        self.room_for_a_rule(wallet).await?;
        let rule = self.rule_of(wallet, &id.to_string(), &grant, handed.rule_box)?;
        let vehicle = self.usable_vehicle(wallet, &rule, &claims.opens).await?;
        let row = self.rule_row(wallet, handed, &grant, &rule, String::new()).await?;
        let mut change = Change::new(&self.db, &self.host);
        let fields = [("rule", id.to_string()), ("grant", grant.hash().to_string())];
        change.note(Kind::RuleAccepted, &fields, &wallet_key(wallet)).await?;
        let car = self.car_of(&vehicle).await?;
        self.tell_others(&mut change, &car.value, &vehicle, Line::RuleMade { until: claims.window.end() }).await?;
        change.check(&car);
        change.put(id.as_bytes(), Version::Absent, &row, row.index()?);
        self.guest_gets(&mut change, guest, &Signed::Rule(id))?;
        change.check(&owner);
        change.check(&vehicle);
        change.commit().await?;
        self.log.ring();
        Ok(answer)
    }

    // ---- comes -----------------------------------------------------------------------------------------------------

    /// A guest with weekly hours comes: today's visit, a grant for it with its record and its one use. Who comes again on the
    /// same date gets the same visit.
    pub(crate) async fn visit(&self, shown: &Shown) -> Result<Value, Failure> {
        self.believes_its_store()?;
        self.log_is_confirmed()?;
        let now = self.host.now();
        let found = self.db.list::<RuleRow>(HASH, sha256(&shown.link).as_bytes()).await?.pop();
        let rule = found.filter(|rule| rule.value.grant == shown.link).ok_or_else(no_rule)?;
        let (owner, grant) = self.rule_signed(&rule, now).await?;
        let wallet = rule.value.wallet()?;
        self.shown_by_guest(&rule.value, wallet, &owner.value.keys(), shown)?;

        let claims = grant.claims();
        let today = calendar(claims)?.local_date(now);
        if let Some((_, known)) = rule.value.days.iter().find(|(date, _)| *date == today.to_string()) {
            let delivery = DeliveryId::parse(known).map_err(|_| not_now())?;
            return visit_told(&self.grant(delivery).await?, delivery);
        }
        let covered = calendar(claims)?.visit(now, &rule.value.taken()).map_err(|_| not_now())?;
        let device = claims.cnf.to_string();
        let stopped = !rule.value.in_force(now)
            || owner.value.blocked_couriers.contains(&device)
            || !self.owner_lets(&owner.value, &device, covered.window)
            || owner.value.paused_until(now).is_some();
        if stopped {
            return Err(not_now());
        }
        let content = self.rule_content(&rule).await?;
        let delivery = DeliveryId::from_bytes(self.host.random());
        let under = Under { rule, owner: &owner, grant: &grant, content: &content, asked: None };
        let granted = self.grant_under(Change::new(&self.db, &self.host), under, delivery, covered).await;
        granted.map_err(|failure| match failure {
            // Of the owner and the door nothing is said.
            Failure::Problem(p) if (400..500).contains(&p.status()) => not_now(),
            other => other,
        })?;
        visit_told(&self.grant(delivery).await?, delivery)
    }

    /// That the device which the rule names asks, now.
    fn shown_by_guest(
        &self,
        rule: &RuleRow,
        wallet: WalletId,
        passkeys: &[parcelshelf_protocol::webauthn::Passkey],
        shown: &Shown,
    ) -> Result<(), Failure> {
        let assertion = Assertion::parse(rule.assertion.as_bytes())?;
        let device = Thumbprint::parse(&rule.cnf).ok_or_else(|| broken("a device's thumbprint is none"))?;
        let access_point: AccessPointId = self.access_point(wallet, device)?;
        let input = ChainInput {
            grant: &rule.grant,
            assertion: &assertion,
            delegation: None,
            proof: &shown.proof,
            action: Action::Open,
            request: HttpRequest { method: "POST", url: &shown.url, body: &shown.body },
        };
        let facts = ChainFacts { aud: &self.config.aud, rp: &self.rp, access_point, passkeys, carrier: None };
        let chain = verify::chain(&input, &facts, Moment::Used(self.host.now()))?;
        chain.fresh(&self.keys.nonce, self.host.now())?;
        Ok(())
    }

    // ---- shown -----------------------------------------------------------------------------------------------------

    /// The wallet's guests, sealed to its devices: those who are invited, and those for whom something is signed.
    pub(crate) async fn guests_envelope(&self, wallet: WalletId) -> Result<String, Failure> {
        let owner = self.wallet(wallet).await?;
        let (guests, signs) = (self.guests_told(wallet, LISTED_MAX).await?, self.door_signs_told(wallet).await?);
        let content = json!({"guests": guests, "door_signs": signs}).to_string();
        self.to_owner(&owner.value, wallet, Sealed::Account, &wallet.to_string(), content.as_bytes())
    }
    pub(crate) async fn guests_told(&self, wallet: WalletId, most: usize) -> Result<Vec<Value>, Failure> {
        let now = self.host.now();
        let mut all = self.guests_of(wallet).await?;
        all.retain(|guest| guest.value.granted.is_some() || guest.value.waits(now));
        // Those who wait first, then the newest.
        all.sort_by_key(|g| (g.value.granted.is_some(), std::cmp::Reverse(g.value.until_ms)));
        let told = all.iter().take(most).map(|guest| {
            let row = &guest.value;
            // The keys are for a wallet that has still to compare them.
            let answer = row.answer.as_ref().filter(|_| row.granted.is_none());
            let granted = row.granted.as_ref().and_then(|name| name.split_once('/'));
            json!({
                "invitation": b64(&guest.id),
                "name": row.name,
                "until": Timestamp::from_unix_millis(row.until_ms).to_rfc3339(),
                "answer": answer.map(|(device, tag)| json!({"device": device, "tag": tag})),
                "granted": granted.map(|(kind, id)| json!({ kind: id })),
                "door_sign": row.sign,
            })
        });
        Ok(told.collect())
    }
    /// How the owner calls the guest whom a delivery or a visit lets in.
    pub(crate) async fn guest_name(&self, delivery: DeliveryId, grant: &GrantRow) -> Result<Option<String>, Failure> {
        let rule = grant.rule.as_ref().and_then(|rule| from_b64(rule));
        let id = rule.unwrap_or_else(|| delivery.as_bytes().to_vec());
        let found = self.db.list::<GuestRow>(GRANTED, &id).await?.pop();
        Ok(found.filter(|guest| guest.value.wallet == grant.wallet).map(|guest| guest.value.name))
    }
}

fn visit_told(grant: &Stored<GrantRow>, delivery: DeliveryId) -> Result<Value, Failure> {
    let window = window_of(&grant.value)?;
    Ok(json!({
        "delivery": delivery.to_string(),
        "accepted": grant.value.papers.accepted,
        "from": window.start().to_rfc3339(),
        "until": window.end().to_rfc3339(),
    }))
}
