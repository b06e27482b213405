//! Grants and delegations as the keyholder accepts them, and what a carrier may know of them.

use std::sync::Arc;
use std::time::Duration;

use parcelshelf_core::actuation::{AccessClass, Place};
use parcelshelf_core::id::{AccessPointId, DeliveryId, GrantId, VehicleId, WalletId};
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_edge::problem::Problem;
use parcelshelf_opening::conditions::Denial;
use parcelshelf_opening::grant::{Allowance, BlockEpoch, GrantState};
use parcelshelf_protocol::accepted::{Accepted, AcceptedClaims};
use parcelshelf_protocol::content::Rule;
use parcelshelf_protocol::delegation::Delegation;
use parcelshelf_protocol::encoding::{Thumbprint, b64, from_b64, sha256};
use parcelshelf_protocol::grant::{Disclose, Grant, VerifiedGrant};
use parcelshelf_protocol::jws::Moment;
use parcelshelf_protocol::narrow;
use parcelshelf_protocol::records::Event;
use parcelshelf_protocol::request::{Request, VerifiedRequest};
use parcelshelf_protocol::seal::{self, Context, Purpose, SealPublicKey};
use parcelshelf_protocol::webauthn::Assertion;
use parcelshelf_store::Version;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::carriers::Caller;
use crate::chain::Authority;
use crate::convert;
use crate::db::{ChainOf, Change, Index, Stored, delivery_key};
use crate::erasure::ERASING;
use crate::failure::{Failure, broken};
use crate::feeds::Position;
use crate::guests::Signed;
use crate::housekeeping::expires_at;
use crate::rows::{DelegationPart, GrantRow, LegRow, PapersRow, StatusPart, VehicleRow};
use crate::sharing::Line;
use crate::wallets::wallet_index;

/// Delegations of one delivery: the first courier, and a few reassignments.
const DELEGATIONS_MAX: usize = 8;

/// A grant as an owner hands it in.
#[derive(Debug)]
pub(crate) struct Handed<'a> {
    pub request: Option<&'a str>,
    pub carrier_cert: Option<&'a str>,
    pub delegation_cert: Option<&'a str>,
    pub grant: &'a str,
    pub assertion: &'a Assertion,
    pub seal_key: &'a str,
    pub rule_box: &'a str,
}

/// A grant for one delivery that is about to be accepted.
#[derive(Debug)]
pub(crate) struct Granting<'a> {
    pub wallet: WalletId,
    pub delivery: DeliveryId,
    pub grant: &'a VerifiedGrant,
    pub assertion: &'a Assertion,
    pub window: Window,
    pub request: Option<String>,
    pub delegation_cert: Option<String>,
    pub seal_key: &'a SealPublicKey,
    pub rule: &'a Rule,
    /// The standing rule that it comes of.
    pub under: Option<GrantId>,
}

pub(crate) fn no_grant() -> Problem {
    Problem::new(404, "delivery_unknown", "there is no grant for this delivery")
}

impl StatusPart {
    /// Says something new.
    pub(crate) fn say(&mut self, state: &str, reason: Option<&str>) {
        if self.state != state || self.reason.as_deref() != reason {
            *self = Self { seq: self.seq + 1, state: state.to_owned(), reason: reason.map(str::to_owned) };
        }
    }
}

impl Keyholder {
    pub(crate) async fn grant(&self, delivery: DeliveryId) -> Result<Stored<GrantRow>, Failure> {
        Ok(self.db.get::<GrantRow>(delivery.as_bytes()).await?.ok_or_else(no_grant)?)
    }
    pub(crate) async fn own_grant(&self, wallet: WalletId, delivery: DeliveryId) -> Result<Stored<GrantRow>, Failure> {
        let grant = self.grant(delivery).await?;
        if grant.value.wallet == wallet.to_string() { Ok(grant) } else { Err(no_grant().into()) }
    }
    pub(crate) fn grant_state(&self, grant: &Stored<GrantRow>) -> Result<GrantState, Failure> {
        convert::grant_state(&grant.value.use_state).ok_or_else(|| broken("the state of a grant is impossible"))
    }
    pub(crate) fn grant_index(&self, grant: &Stored<GrantRow>) -> Result<Index, Failure> {
        grant_row_index(&grant.value)
    }
    pub(crate) fn chain_of(&self, grant: &Stored<GrantRow>) -> Result<ChainOf, Failure> {
        let access_point =
            AccessPointId::parse(&grant.value.access_point).map_err(|_| broken("an access point is none"))?;
        Ok(ChainOf { wallet: wallet_of(&grant.value)?, access_point })
    }

    /// Verifies what was stored as grant once more: rows prove themselves.
    pub(crate) async fn verified_grant(&self, row: &GrantRow, moment: Moment) -> Result<VerifiedGrant, Failure> {
        let owner = self.wallet(wallet_of(row)?).await?;
        let assertion = Assertion::parse(row.papers.assertion.as_bytes())?;
        let keys = owner.value.keys();
        Ok(Grant::verify(&row.papers.grant)?.confirm(&assertion, &keys, &self.rp, &self.config.aud, moment)?)
    }

    /// Accepts a grant with its leaf; the answer is what the carrier relies on. Handing in the same one again gets the
    /// same answer.
    pub(crate) async fn accept(&self, wallet: WalletId, handed: &Handed<'_>) -> Result<String, Failure> {
        self.believes_its_store()?;
        let signed = Grant::verify(handed.grant)?;
        let delivery = signed.claims().delivery().ok_or_else(|| {
            Problem::new(400, "grant_is_a_rule", "this route takes grants for one delivery")
                .detail("hand a standing rule in where rules are")
        })?;
        if let Some(known) = self.db.get::<GrantRow>(delivery.as_bytes()).await? {
            let papers = &known.value.papers;
            let same = papers.grant == handed.grant && known.value.wallet == wallet.to_string();
            return if same { Ok(papers.accepted.clone()) } else { Err(granted_already().into()) };
        }
        self.not_void(signed.claims().iat)?;
        let now = self.host.now();
        let owner = self.wallet(wallet).await?;
        let grant =
            signed.confirm(handed.assertion, &owner.value.keys(), &self.rp, &self.config.aud, Moment::Posted(now))?;
        let claims = grant.claims().clone();
        if claims.access_point != self.access_point(wallet, claims.cnf)? {
            return Err(parcelshelf_protocol::Refused::GrantWrongAccessPoint.into());
        }
        if !self.owner_lets(&owner.value, &claims.cnf.to_string(), claims.window) {
            return Err(Problem::new(409, "blocked", "the owner has blocked this").detail("unblock it first").into());
        }
        let guest = self.paired(wallet, &claims).await?;
        let seal_key = crate::rules::seal_key(&grant, handed.seal_key)?;
        let rule = self.rule_of(wallet, &delivery.to_string(), &grant, handed.rule_box)?;
        let vehicle = self.usable_vehicle(wallet, &rule, &claims.opens).await?;
        let car = self.car_in_area(&vehicle, &claims.area, now).await?;
        let (request, delegation_cert) = self.answered_request(&grant, handed).await?;

        let mut change = Change::new(&self.db, &self.host);
        let granting = Granting {
            wallet,
            delivery,
            grant: &grant,
            assertion: handed.assertion,
            window: claims.window,
            request,
            delegation_cert,
            seal_key: &seal_key,
            rule: &rule,
            under: None,
        };
        let row = self.write_grant(&mut change, granting).await?;
        let line = Line::allowed(claims.purpose, claims.window.end());
        self.tell_others(&mut change, &car.value, &vehicle, line).await?;
        if let Some(guest) = guest {
            self.guest_gets(&mut change, guest, &Signed::Visit(delivery))?;
        }
        change.check(&owner);
        change.check(&vehicle);
        change.update(&car, car.value.index());
        change.commit().await?;
        self.log.ring();
        self.tell_carrier(&row, delivery);
        Ok(row.papers.accepted.clone())
    }

    /// Everything that an accepted grant for one delivery is in the store, with its leaf.
    pub(crate) async fn write_grant(&self, change: &mut Change<'_>, g: Granting<'_>) -> Result<GrantRow, Failure> {
        let (claims, delivery) = (g.grant.claims(), g.delivery);
        let event = Event::GrantAccepted {
            grant: g.grant.hash(),
            assertion: sha256(g.assertion.to_json()),
            delivery,
            access_point: claims.access_point,
        };
        let of = ChainOf { wallet: g.wallet, access_point: claims.access_point };
        let entry = change.record_of(event, of, delivery, None).await?;
        let answer = AcceptedClaims::answer(g.grant, delivery, g.window, entry.to_vec(), change.now());
        let accepted = Accepted::sign(&answer, &self.keys.message)?;
        let state = GrantState::accepted(claims.jti, g.window, Allowance::Once, BlockEpoch::default());
        let papers = PapersRow {
            v: 1,
            grant: g.grant.jws().to_owned(),
            assertion: g.assertion.to_json(),
            request: g.request,
            delegation_cert: g.delegation_cert,
            accepted: accepted.jws().to_owned(),
            keys_entry: self.published_keys().await?.entry,
            seal_key: g.seal_key.to_string(),
            rule_sealed: self.db.vault.seal(&delivery_key(delivery), "rule", &g.rule.to_bytes()).await?,
            delegations: Vec::new(),
        };
        change.put(delivery.as_bytes(), Version::Absent, &papers, Index::new());
        let row = GrantRow {
            v: 2,
            wallet: g.wallet.to_string(),
            cnf: claims.cnf.to_string(),
            access_point: claims.access_point.to_string(),
            use_state: convert::use_part(state),
            parkings: Vec::new(),
            located: Vec::new(),
            attempts: 0,
            proofs: 0,
            ready_asked: Vec::new(),
            woken_ms: None,
            status: StatusPart { seq: 1, state: String::from("granted"), reason: None },
            denied: Vec::new(),
            hold: None,
            erasing: false,
            passed_on: 0,
            rule: g.under.map(|rule| rule.to_string()),
            papers: Arc::new(papers),
        };
        change.put(delivery.as_bytes(), Version::Absent, &row, grant_row_index(&row)?);
        Ok(row)
    }

    /// What is signed for, opened and held against its commitment. `about`: the delivery, or the standing rule itself.
    pub(crate) fn rule_of(
        &self,
        wallet: WalletId,
        about: &str,
        grant: &VerifiedGrant,
        sealed: &str,
    ) -> Result<Rule, Failure> {
        let bytes = from_b64(sealed).ok_or_else(|| Problem::new(400, "box_malformed", "the box is not base64url"))?;
        let sender = wallet.to_string();
        let context = Context { sender: &sender, recipient: &self.config.aud, delivery: about, seq: 0 };
        let rule = Rule::parse(&seal::open(&self.keys.seal, Purpose::Rule, &context, &bytes)?)?;
        grant.check_rule(&rule)?;
        Ok(rule)
    }

    /// The car of a rule, if it can be granted: eligible, possession proved, consented.
    pub(crate) async fn usable_vehicle(
        &self,
        wallet: WalletId,
        rule: &Rule,
        opens: &[AccessClass],
    ) -> Result<Stored<VehicleRow>, Failure> {
        let [vehicle] = rule.vehicles.as_slice() else {
            return Err(Problem::new(409, "one_car_only", "this gateway takes one car per grant").into());
        };
        let row = self.vehicle(wallet, *vehicle).await?;
        let no = |code: &'static str, title: &'static str| Err(Failure::from(Problem::new(409, code, title)));
        if row.value.unlinking {
            return no("car_unlinked", "the owner has taken this car back");
        }
        if !row.value.eligible {
            return no("vehicle_not_eligible", "this car cannot take part; its findings say why");
        }
        match self.car_stands(&row, &self.car_of(&row).await?.value) {
            Ok(()) => {}
            Err(Denial::LinkNotConfirmed) => {
                return no("link_not_confirmed", "this car's link waits for a word or for its time");
            }
            Err(Denial::Halted) => return no("halted", "somebody who shares it has stopped everything there"),
            Err(_) if row.value.proved_at().is_some() => {
                return no("possession_too_old", "prove again that you stand at this car");
            }
            Err(_) => return no("possession_not_proved", "prove first that you stand at this car"),
        }
        if !opens.iter().all(|c| row.value.can_open.iter().any(|can| can == c.code())) {
            return no("class_not_supported", "this car does not open that way");
        }
        // A house's door tells all that is asked of it: there is nothing to agree to.
        if self.place_of(&row.value.maker) == Place::Home {
            return Ok(row);
        }
        let Some(consents) = &row.value.consents else {
            return no("consents_missing", "say first that you agree to what the maker cannot tell");
        };
        let tells = self.access(&row.value.maker).is_some_and(|a| crate::car::tells_lid_and_lock(a.facts()));
        if !tells && !consents.lid_and_lock_untold {
            return no(
                "consents_missing",
                "this car tells neither lid nor lock: say first that you agree to a courier's look",
            );
        }
        if opens.contains(&AccessClass::TailgateWithCabin) && !consents.tailgate_with_cabin {
            return no("consents_missing", "this tailgate gives access to the cabin: say first that you agree");
        }
        Ok(row)
    }

    /// The request that a grant answers, verified down from the operator's key. None for the owner's own device.
    async fn answered_request(
        &self,
        grant: &VerifiedGrant,
        handed: &Handed<'_>,
    ) -> Result<(Option<String>, Option<String>), Failure> {
        if !grant.claims().is_delegated() {
            return Ok((None, None));
        }
        let missing = || Problem::new(400, "request_missing", "a carrier's grant comes with request and certificates");
        let verified = self.asked(handed).await?.ok_or_else(missing)?;
        grant.check_answers(&verified)?;
        Ok((handed.request.map(str::to_owned), handed.delegation_cert.map(str::to_owned)))
    }

    /// The carrier's request that came with a grant, verified down from the operator's key; none if a part is missing.
    pub(crate) async fn asked(&self, handed: &Handed<'_>) -> Result<Option<VerifiedRequest>, Failure> {
        let (Some(request), Some(carrier), Some(delegation)) =
            (handed.request, handed.carrier_cert, handed.delegation_cert)
        else {
            return Ok(None);
        };
        let moment = Moment::Posted(self.host.now());
        let carrier = self.admit(carrier).await?;
        let cert = self.delegation_cert(delegation, &carrier, moment)?;
        let (root, key) = (carrier.claims().sub(), Some(cert.claims().key.thumb()));
        self.not_revoked(&Authority { root, delegation: key, depot: None }).await?;
        Ok(Some(Request::verify(request, &cert, &self.config.aud, moment)?))
    }

    /// Whether and how a delivery was granted, for the carrier it was granted to; and whether under a standing rule.
    pub(crate) async fn accepted(
        &self,
        caller: &Caller,
        delivery: DeliveryId,
    ) -> Result<Option<(String, bool)>, Failure> {
        let row = self.db.get::<GrantRow>(delivery.as_bytes()).await?;
        let own = row.filter(|r| r.value.cnf == caller.root.to_string());
        Ok(own.map(|r| (r.value.papers.accepted.clone(), r.value.rule.is_some())))
    }

    /// What a carrier may know of a delivery.
    pub(crate) async fn status(&self, caller: &Caller, delivery: DeliveryId) -> Result<StatusPart, Failure> {
        let row = self.grant(delivery).await?.value;
        if row.cnf == caller.root.to_string() { Ok(row.status) } else { Err(no_grant().into()) }
    }

    /// What has changed for a carrier after this position, each delivery with how it stands now; waits for it.
    pub(crate) async fn changes(&self, caller: &Caller, after: &str, wait: Duration) -> Result<Value, Failure> {
        let from = match after {
            "" => None,
            text => Some(Position::parse(text).ok_or_else(|| {
                Problem::new(400, "position_unknown", "this is no position of a list of changes")
                    .detail("begin without one; the answer then says to ask for each open delivery")
            })?),
        };
        let news = self.feeds.news(caller.root, from, wait, &*self.host.clock).await;
        let mut changes = Vec::with_capacity(news.changed.len());
        for delivery in news.changed {
            // Before the row, which may still lie there while it is erased.
            if let Some(last) = self.feeds.last_word_of(caller.root, delivery) {
                changes.push(json!({
                    "delivery": delivery.to_string(), "accepted": null, "standing": false,
                    "seq": last.seq, "state": last.state, "reason": last.reason,
                }));
                continue;
            }
            let Some(row) = self.db.get::<GrantRow>(delivery.as_bytes()).await? else { continue };
            let status = row.value.status;
            let accepted = (status.state == "granted").then(|| row.value.papers.accepted.clone());
            changes.push(json!({
                "delivery": delivery.to_string(), "accepted": accepted, "standing": row.value.rule.is_some(),
                "seq": status.seq, "state": status.state, "reason": status.reason,
            }));
        }
        Ok(json!({"next": news.next.to_string(), "resync": news.resync, "changes": changes}))
    }

    /// A grant's status has changed, durably. Rehearsals concern no carrier.
    pub(crate) fn tell_carrier(&self, grant: &GrantRow, delivery: DeliveryId) {
        self.waking.changed(delivery);
        if grant.papers.delegation_cert.is_some()
            && let Some(carrier) = Thumbprint::parse(&grant.cnf)
        {
            self.feeds.changed(carrier, delivery);
        }
    }

    /// Accepts link 1: by this carrier, under this grant, for an enrolled device. A later one supersedes an earlier one.
    pub(crate) async fn delegate(&self, caller: &Caller, jws: &str) -> Result<(), Failure> {
        self.believes_its_store()?;
        let claims = Delegation::peek(jws)?;
        let delivery = claims.delivery;
        let mut row = self.grant(delivery).await?;
        if row.value.cnf != caller.root.to_string() {
            return Err(no_grant().into());
        }
        let now = self.host.now();
        let grant = self.verified_grant(&row.value, Moment::Posted(now)).await?;
        self.not_void(grant.claims().iat)?;
        let verified = Delegation::verify(jws, &caller.delegation_cert, &grant, Moment::Posted(now))?;
        // Under a standing rule this is less than what was signed: the one window that was announced.
        narrow::check(&Accepted::peek(&row.value.papers.accepted)?.scope(), &verified.claims().scope())?;
        if row.value.papers.delegations.iter().any(|d| d.jws == jws) {
            return Ok(());
        }
        // The key that signs may be replaced between request and delegation; what a case shows is one path.
        if row.value.papers.delegation_cert.as_deref() != Some(caller.delegation_cert.jws()) {
            return Err(
                Problem::new(409, "delegation_key_replaced", "delegate with the key that signed the request").into()
            );
        }
        let request = row.value.papers.request.as_deref().ok_or_else(|| broken("a delegated grant has no request"))?;
        let request = Request::verify(request, &caller.delegation_cert, &self.config.aud, Moment::Any)?;
        verified.claims().check_announced(request.claims())?;
        let (_, root) = self.carrier(caller.root, Moment::Used(now)).await?;
        let (depot, device, _) = self.device_certs(verified.claims().cnf, &root).await?;
        device.check(Moment::Used(now))?;
        let depot = Some(depot.claims().key.thumb());
        self.not_revoked(&Authority { root: caller.root, delegation: None, depot }).await?;
        if row.value.papers.delegations.len() >= DELEGATIONS_MAX {
            return Err(Problem::new(409, "too_many_delegations", "this delivery was passed on too often").into());
        }
        if row.value.use_state.blocked_ms.is_some() {
            return Err(Problem::new(409, "blocked", "the owner has blocked this delivery").into());
        }
        let owner = self.wallet(wallet_of(&row.value)?).await?;
        if owner.value.blocked_couriers.contains(&verified.claims().cnf.to_string()) {
            return Err(Problem::new(409, "courier_blocked", "the owner has blocked this courier: send another").into());
        }
        let mut change = Change::new(&self.db, &self.host);
        let event = Event::DelegationAccepted {
            delegation: verified.hash(),
            cert: sha256(caller.delegation_cert.jws()),
            delivery,
            device: verified.claims().cnf,
        };
        change.record_of(event, self.chain_of(&row)?, delivery, Some(jws)).await?;
        let leg = LegRow {
            v: 1,
            carrier: caller.root.to_string(),
            device: verified.claims().cnf.to_string(),
            delegated_ms: change.now().unix_millis(),
            ends_ms: verified.claims().window.end().unix_millis(),
            car: String::new(),
            located_ms: None,
            arrived: false,
            let_go_ms: None,
            by_area: grant.claims().disclose == Disclose::Area,
        };
        let before = row.value.papers.delegations.last().map(|d| sha256(&d.jws));
        let legs = self.leg_begins(&mut change, verified.hash(), leg, before).await?;
        // With the grant's own row, always: who read either of them before has to decide again.
        let mut papers = self.db.get::<PapersRow>(&row.id).await?.ok_or_else(no_grant)?;
        papers.value.delegations.push(DelegationPart {
            jws: jws.to_owned(),
            cert: caller.delegation_cert.jws().to_owned(),
            device: verified.claims().cnf.to_string(),
        });
        change.update(&papers, Index::new());
        row.value.passed_on = papers.value.delegations.len();
        row.value.papers = Arc::new(papers.value);
        if row.value.status.state == "granted" {
            row.value.status.say("delegated", None);
        }
        let index = self.grant_index(&row)?;
        change.update(&row, index);
        change.commit().await?;
        self.legs.note(caller.root, legs);
        self.log.ring();
        self.tell_carrier(&row.value, delivery);
        Ok(())
    }

    /// The car that a grant is for, as it is now.
    pub(crate) async fn granted_vehicle(&self, row: &Stored<GrantRow>) -> Result<Stored<VehicleRow>, Failure> {
        let delivery = DeliveryId::parse(&b64(&row.id)).map_err(|_| broken("a delivery's id is none"))?;
        let erased = || broken("the rule of a grant cannot be read");
        let bytes = self.db.vault.open(&delivery_key(delivery), "rule", &row.value.papers.rule_sealed).await?;
        let rule = Rule::parse(&bytes.ok_or_else(erased)?)?;
        let vehicle: VehicleId = *rule.vehicles.first().ok_or_else(erased)?;
        self.vehicle(wallet_of(&row.value)?, vehicle).await.map_err(|failure| match failure {
            // Its owner has taken it back since. Why is nobody's here.
            Failure::Problem(problem) if problem.code() == "vehicle_unknown" => {
                let refused = Problem::new(409, "conditions_not_met", "this cannot be done now");
                refused.detail("it cannot be changed from here; choose the agreed fallback").into()
            }
            other => other,
        })
    }
}

pub(crate) fn wallet_of(row: &GrantRow) -> Result<WalletId, Failure> {
    WalletId::parse(&row.wallet).map_err(|_| broken("a wallet's id is none"))
}
/// When a delivery may be: what was signed for, or what an announcement came to.
pub(crate) fn window_of(row: &GrantRow) -> Result<Window, Failure> {
    let at = Timestamp::from_unix_millis;
    Window::new(at(row.use_state.nbf_ms), at(row.use_state.exp_ms)).map_err(|_| broken("a grant's window is none"))
}
pub(crate) fn carrier_of(row: &GrantRow) -> Result<Thumbprint, Failure> {
    Thumbprint::parse(&row.cnf).ok_or_else(|| broken("a carrier's thumbprint is none"))
}

/// By its wallet; by its end, unless a hold stops the deadline; and while it is being erased.
pub(crate) fn grant_row_index(row: &GrantRow) -> Result<Index, Failure> {
    let mut index = wallet_index(wallet_of(row)?);
    if row.hold.is_none() {
        index.extend(expires_at(row.use_state.exp_ms));
    }
    if row.erasing {
        index.insert(ERASING.to_owned(), vec![1]);
    }
    Ok(index)
}

pub(crate) fn granted_already() -> Problem {
    Problem::new(409, "granted_already", "another grant for this delivery was accepted")
}
