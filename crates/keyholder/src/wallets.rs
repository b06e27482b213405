//! What an owner does: sign up, link, agree, describe, prove possession, look, stop.

use std::sync::Arc;

use parcelshelf_access::{Closures, LidState};
use parcelshelf_core::actuation::{Place, Shuts};
use parcelshelf_core::id::{AccessPointId, AttemptId, DeliveryId, VehicleId, WalletId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_log::record::Kind;
use parcelshelf_opening::attempt::Event as AttemptEvent;
use parcelshelf_opening::eligibility::Finding;
use parcelshelf_opening::grant::Use;
use parcelshelf_opening::hindrance::Hindrance;
use parcelshelf_opening::possession::{self, Door, DoorChange, Prompt, Verdict};
use parcelshelf_protocol::content::Description;
use parcelshelf_protocol::encoding::{Thumbprint, b64, from_b64, sha256};
use parcelshelf_protocol::envelope::Envelope;
use parcelshelf_protocol::jws::VerifyingKey;
use parcelshelf_protocol::records::{Event, Word};
use parcelshelf_protocol::seal::{self, Context, Purpose, SealPublicKey};
use parcelshelf_protocol::statement::{Covered as Scope, Said, Statement, VerifiedStatement};
use parcelshelf_protocol::webauthn::{Assertion, Passkey};
use parcelshelf_store::Version;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::attempts::{self, Told};
use crate::car;
use crate::db::{Change, Index, Stored, wallet_key};
use crate::failure::{Failure, again, broken};
use crate::rows::{AttemptRow, ConsentsPart, GrantRow, PasskeyPart, PossessionPart, VehicleRow, WalletRow};
use crate::rules::EndedBy;

/// Doors asked for in one proof of possession.
const PROMPTS: usize = 3;
/// As long as a standing rule at most: whoever pauses for longer unlinks.
const PAUSE_MAX_SECONDS: i64 = 90 * 86_400;

pub(crate) fn no_wallet() -> Problem {
    Problem::new(404, "wallet_unknown", "there is no such wallet")
}

impl WalletRow {
    /// The passkeys with which this wallet confirms.
    pub(crate) fn keys(&self) -> Vec<Passkey> {
        let key = |p: &PasskeyPart| {
            Some(Passkey {
                credential_id: from_b64(&p.credential_id)?,
                key: VerifyingKey::parse_jwk(p.jwk.as_bytes()).ok()?,
            })
        };
        self.passkeys.iter().filter_map(key).collect()
    }
    /// Until when nothing opens, if a pause runs.
    pub(crate) fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.paused_until_ms.map(Timestamp::from_unix_millis).filter(|until| now < *until)
    }
}

impl Keyholder {
    pub(crate) async fn wallet(&self, id: WalletId) -> Result<Stored<WalletRow>, Failure> {
        Ok(self.db.get::<WalletRow>(id.as_bytes()).await?.ok_or_else(no_wallet)?)
    }

    /// Checks a statement with the passkeys of the wallet that says it.
    pub(crate) async fn stated(&self, bytes: &[u8], assertion: &Assertion) -> Result<VerifiedStatement, Failure> {
        self.believes_its_store()?;
        let said = Statement::parse(bytes)?.said;
        let passkeys = match said.wallet() {
            Some(wallet) => self.wallet(wallet).await?.value.keys(),
            None => Vec::new(),
        };
        let statement = Statement::verify(bytes, assertion, &passkeys, &self.rp, &self.config.aud)?;
        statement.fresh(&self.keys.nonce, self.host.now())?;
        Ok(statement)
    }

    /// A new wallet. Its id is derived from what was confirmed, so that a repeated request makes no second one.
    pub(crate) async fn create_wallet(
        &self,
        s: &VerifiedStatement,
        assertion: &Assertion,
    ) -> Result<WalletId, Failure> {
        let Said::Wallet { account_key, passkey } = s.said() else { return Err(wrong_statement().into()) };
        let name = self.db.vault.pseudonym("wallet", s.bytes());
        let id = WalletId::parse(&name).map_err(|_| broken("a pseudonym is not an id"))?;
        if self.db.get::<WalletRow>(id.as_bytes()).await?.is_some() {
            return Ok(id);
        }
        let mut change = Change::new(&self.db, &self.host);
        let key = wallet_key(id);
        change.note(Kind::WalletCreated, &[("wallet", id.to_string())], &key).await?;
        let event = Event::PasskeyAdded {
            key: passkey.key.thumb(),
            statement: sha256(s.bytes()),
            assertion: sha256(assertion.to_json()),
        };
        let entry = change.record(event, &key).await?;
        let part = PasskeyPart {
            credential_id: b64(&passkey.credential_id),
            jwk: passkey.key.to_jwk(),
            statement: b64(s.bytes()),
            assertion: assertion.to_json(),
            entry: b64(entry),
        };
        let row = WalletRow {
            v: 1,
            account_key: account_key.to_string(),
            passkeys: vec![part],
            blocked_carriers: Vec::new(),
            blocked_couriers: Vec::new(),
            blocked_all: false,
            paused_until_ms: None,
        };
        change.put(id.as_bytes(), Version::Absent, &row, Index::new());
        match change.commit().await {
            Ok(_) | Err(Failure::Conflict) => {}
            Err(other) => return Err(other),
        }
        self.log.ring();
        Ok(id)
    }

    pub(crate) async fn consent(&self, s: &VerifiedStatement, assertion: &Assertion) -> Result<(), Failure> {
        let Said::Consents {
            wallet,
            vehicle,
            nobody_inside,
            parked_inferred,
            tailgate_with_cabin,
            lid_and_lock_untold,
        } = *s.said()
        else {
            return Err(wrong_statement().into());
        };
        let mut row = self.vehicle(wallet, vehicle).await?;
        row.value.consents = Some(ConsentsPart {
            nobody_inside,
            parked_inferred,
            tailgate_with_cabin,
            lid_and_lock_untold,
            statement: b64(s.bytes()),
            assertion: assertion.to_json(),
        });
        let mut change = Change::new(&self.db, &self.host);
        let fields = [("vehicle", vehicle.to_string()), ("statement", sha256(s.bytes()).to_string())];
        change.note(Kind::Consented, &fields, &wallet_key(wallet)).await?;
        change.update(&row, wallet_index(wallet));
        change.commit().await?;
        self.log.ring();
        Ok(())
    }

    /// Takes a description that was sealed to this keyholder, and keeps it sealed.
    pub(crate) async fn describe_vehicle(&self, wallet: WalletId, id: VehicleId, sealed: &str) -> Result<(), Failure> {
        let mut row = self.vehicle(wallet, id).await?;
        let bytes = from_b64(sealed).ok_or_else(|| Problem::new(400, "box_malformed", "the box is not base64url"))?;
        let (sender, about) = (wallet.to_string(), id.to_string());
        let context = Context { sender: &sender, recipient: &self.config.aud, delivery: &about, seq: 0 };
        let content = seal::open(&self.keys.seal, Purpose::Description, &context, &bytes)?;
        Description::parse(&content)?;
        row.value.description_sealed =
            Some(self.db.vault.seal(&wallet_key(wallet), &format!("{about}/description"), &content).await?);
        let mut change = Change::new(&self.db, &self.host);
        change.update(&row, wallet_index(wallet));
        change.journal("vehicle", id.as_bytes(), "described", &json!({}));
        change.commit().await?;
        Ok(())
    }

    /// The owner's cars, sealed to the owner's own devices.
    pub(crate) async fn vehicles_envelope(&self, wallet: WalletId) -> Result<String, Failure> {
        let owner = self.wallet(wallet).await?;
        let mut list = Vec::new();
        for stored in self.vehicles_of(wallet).await? {
            let Some(about) = self.about(&stored).await? else { continue };
            let mut car = vehicle_json(&stored, &about, self.access(&stored.value.maker).map(|a| a.facts()));
            let must = stored.value.owner_must || self.owner_must_act(wallet, &stored.value.maker).await?;
            car["kind"] = json!(self.place_of(&stored.value.maker).code());
            car["owner_must_act"] = json!(must);
            car["owner_must_act_text"] = json!(must.then(|| Hindrance::OwnerMustAct.words()));
            self.possession_told(&stored, &mut car).await?;
            list.push(car);
        }
        let content = json!({ "vehicles": list }).to_string();
        self.to_owner(&owner.value, wallet, Purpose::Account, &wallet.to_string(), content.as_bytes())
    }

    /// Seals something to a wallet's account key.
    pub(crate) fn to_owner(
        &self,
        owner: &WalletRow,
        wallet: WalletId,
        purpose: Purpose,
        about: &str,
        content: &[u8],
    ) -> Result<String, Failure> {
        let key = SealPublicKey::parse(&owner.account_key).ok_or_else(|| broken("an account key cannot be read"))?;
        let (recipient, now) = (wallet.to_string(), self.host.now());
        let seq = now.unix_millis().unsigned_abs();
        let context = Context { sender: &self.config.aud, recipient: &recipient, delivery: about, seq };
        Ok(Envelope::seal(&*self.host.entropy, &key, purpose, &context, content, now, &self.keys.message)?)
    }

    /// The pseudonym of a wallet's cars towards one carrier: always the same for both, unrelated for any other.
    pub(crate) fn access_point(&self, wallet: WalletId, carrier: Thumbprint) -> Result<AccessPointId, Failure> {
        let name = [&wallet.as_bytes()[..], carrier.as_bytes()].concat();
        AccessPointId::parse(&self.db.vault.pseudonym("access_point", &name))
            .map_err(|_| broken("a pseudonym is not an id"))
    }

    /// Begins a proof of possession: which door to open and close first, and until when all must be done.
    pub(crate) async fn begin_possession(&self, wallet: WalletId, id: VehicleId) -> Result<Value, Failure> {
        let mut row = self.vehicle(wallet, id).await?;
        let car = self.reach(wallet, &row).await?;
        if self.place_of(&row.value.maker) == Place::Home {
            return self.begin_at_door(wallet, row, &car).await;
        }
        let closures = car.line.closures(&car.session).await?;
        let reported: Vec<Door> = reported(&closures).into_iter().map(|(door, _)| door).collect();
        let now = self.host.now();
        let Some(order) = possession::order(&reported, PROMPTS, &self.host.random::<16>()) else {
            return self.begin_wait(wallet, row, now).await;
        };
        let first = order.first().copied().ok_or_else(|| broken("an order of doors is empty"))?;
        row.value.possession = Some(PossessionPart {
            doors: order.iter().map(|d| d.code().to_owned()).collect(),
            prompts: vec![(first.code().to_owned(), now.unix_millis())],
            changes: Vec::new(),
            waits_until_ms: None,
            // What was proved stays proved until it is proved anew or fails for good.
            proved_ms: row.value.possession.as_ref().and_then(|p| p.proved_ms),
        });
        let mut change = Change::new(&self.db, &self.host);
        change.update(&row, wallet_index(wallet));
        change.journal("vehicle", id.as_bytes(), "possession_begun", &json!({}));
        change.commit().await?;
        let until = now.plus_millis(possession::POSSESSION_WITHIN_MS);
        Ok(json!({"next": first.code(), "doors": PROMPTS, "until": until.to_rfc3339()}))
    }

    /// A car that reports no doors: possession is proved by a wait, during which whoever has the car can object.
    pub(crate) async fn begin_wait(
        &self,
        wallet: WalletId,
        mut row: Stored<VehicleRow>,
        now: Timestamp,
    ) -> Result<Value, Failure> {
        let earlier = row.value.possession.take();
        let begun = earlier.as_ref().and_then(|p| p.waits_until_ms).map(Timestamp::from_unix_millis);
        let until = possession::wait_until(begun, now, self.config.possession_wait_hours);
        row.value.possession = Some(PossessionPart {
            doors: Vec::new(),
            prompts: Vec::new(),
            changes: Vec::new(),
            waits_until_ms: Some(until.unix_millis()),
            proved_ms: earlier.and_then(|p| p.proved_ms),
        });
        let mut change = Change::new(&self.db, &self.host);
        change.update(&row, wallet_index(wallet));
        change.journal("vehicle", &row.id, "possession_waits", &json!({"until": until.to_rfc3339()}));
        change.commit().await?;
        Ok(json!({"next": null, "wait_until": until.to_rfc3339()}))
    }

    async fn check_wait(
        &self,
        wallet: WalletId,
        id: VehicleId,
        mut row: Stored<VehicleRow>,
        until: Timestamp,
    ) -> Result<Value, Failure> {
        let now = self.host.now();
        if possession::judge_wait(until, now) != Verdict::Proved {
            return Ok(json!({"proved": false, "wait_until": until.to_rfc3339()}));
        }
        if let Some(p) = row.value.possession.as_mut() {
            (p.proved_ms, p.waits_until_ms) = (Some(now.unix_millis()), None);
        }
        let mut change = Change::new(&self.db, &self.host);
        let answer = self.prove_to_car(&mut change, &row).await?;
        let fields = [("vehicle", id.to_string())];
        change.note(Kind::PossessionProved, &fields, &wallet_key(wallet)).await?;
        change.update(&row, wallet_index(wallet));
        change.commit().await?;
        self.log.ring();
        Ok(answer)
    }

    /// Looks at the car: which door is next, or that possession is proved.
    pub(crate) async fn check_possession(&self, wallet: WalletId, id: VehicleId) -> Result<Value, Failure> {
        let mut row = self.vehicle(wallet, id).await?;
        let not_begun = || Problem::new(409, "possession_not_begun", "no proof of possession is under way");
        let mut p = row.value.possession.clone().ok_or_else(not_begun)?;
        if let Some(until) = p.waits_until_ms.map(Timestamp::from_unix_millis) {
            return self.check_wait(wallet, id, row, until).await;
        }
        // What was proved is not proved anew by asking again: a newer proof begins with new prompts.
        if p.doors.is_empty() {
            p.proved_ms.ok_or_else(not_begun)?;
            return Ok(self.proved_json(&row, &self.car_of(&row).await?.value));
        }
        let car = self.reach(wallet, &row).await?;
        if self.place_of(&row.value.maker) == Place::Home {
            return self.check_at_door(wallet, row, p, &car).await;
        }
        let closures = car.line.closures(&car.session).await?;
        for (door, changed_at) in reported(&closures) {
            let change = (door.code().to_owned(), changed_at.unix_millis());
            if !p.changes.contains(&change) && p.changes.len() < 64 {
                p.changes.push(change);
            }
        }
        let now = self.host.now();
        let at = |ms: &i64| Timestamp::from_unix_millis(*ms);
        let prompts: Vec<Prompt> = p
            .prompts
            .iter()
            .filter_map(|(d, ms)| Some(Prompt { door: Door::parse(d)?, prompted_at: at(ms) }))
            .collect();
        let changes: Vec<DoorChange> = p
            .changes
            .iter()
            .filter_map(|(d, ms)| Some(DoorChange { door: Door::parse(d)?, changed_at: at(ms) }))
            .collect();
        let verdict = possession::judge(&prompts, PROMPTS, &changes, now);
        let mut change = Change::new(&self.db, &self.host);
        let answer = match verdict {
            Verdict::Proved => {
                p = PossessionPart {
                    doors: Vec::new(),
                    prompts: Vec::new(),
                    changes: Vec::new(),
                    waits_until_ms: None,
                    proved_ms: Some(now.unix_millis()),
                };
                change.note(Kind::PossessionProved, &[("vehicle", id.to_string())], &wallet_key(wallet)).await?;
                self.prove_to_car(&mut change, &row).await?
            }
            Verdict::Waiting { fulfilled } => {
                if fulfilled == p.prompts.len()
                    && let Some(next) = p.doors.get(fulfilled)
                {
                    p.prompts.push((next.clone(), now.unix_millis()));
                }
                json!({"proved": false, "done": fulfilled, "next": p.prompts.last().map(|(door, _)| door.clone())})
            }
            Verdict::Failed(why) => json!({"proved": false, "failed": why.code()}),
        };
        row.value.possession = Some(p);
        change.update(&row, wallet_index(wallet));
        change.journal("vehicle", id.as_bytes(), "possession_looked_at", &json!({"verdict": verdict.code()}));
        change.commit().await?;
        self.log.ring();
        Ok(answer)
    }

    /// Stops one delivery, one courier, everything of a carrier, or everything. Nothing opens from here on; `settled` says whether
    /// a command may still act that had left before.
    pub(crate) async fn block(self: &Arc<Self>, wallet: WalletId, scope: &Scope) -> Result<Value, Failure> {
        if let Scope::Delivery(delivery) = scope {
            let grant = self.own_grant(wallet, *delivery).await?;
            drop(grant);
        } else {
            if let Scope::Courier(device) = scope {
                self.has_met(wallet, *device).await?;
            }
            again!(self.block_wallet(wallet, scope))?;
        }
        if let Scope::Courier(device) = scope {
            let until = self.interrupt(wallet, Some(*device)).await?;
            return Ok(stopped(until));
        }
        let mut until: Option<Timestamp> = None;
        for grant in self.grants_of(wallet).await? {
            let Ok(delivery) = DeliveryId::parse(&b64(&grant.id)) else { continue };
            let covered = match scope {
                Scope::Delivery(d) => *d == delivery,
                Scope::Carrier(c) => grant.value.cnf == c.to_string(),
                Scope::Courier(_) => false,
                Scope::All => true,
            };
            if !covered || self.host.now().unix_millis() > grant.value.use_state.exp_ms + 3_600_000 {
                continue;
            }
            let reserved = again!(self.block_grant(wallet, delivery, scope))?;
            self.tell_carrier(&grant.value, delivery);
            until = until.max(self.withdraw(reserved).await?);
        }
        // Last: nothing comes of a rule since the wallet's own block, and what runs is not kept waiting for it.
        match scope {
            Scope::Carrier(c) => self.end_rules(wallet, EndedBy::Block, |r| r.cnf == c.to_string()).await?,
            Scope::All => self.end_rules(wallet, EndedBy::Block, |_| true).await?,
            Scope::Delivery(_) | Scope::Courier(_) => {}
        }
        self.log.ring();
        Ok(stopped(until))
    }

    /// Takes the right to open from attempts. Until when a command may still act that had left before.
    async fn withdraw(self: &Arc<Self>, reserved: Vec<AttemptId>) -> Result<Option<Timestamp>, Failure> {
        let mut until = None;
        for attempt in reserved {
            let Told { may_act_until } = attempts::tell(self, attempt, AttemptEvent::Blocked).await?;
            until = until.max(may_act_until);
        }
        Ok(until)
    }

    /// Only a courier who was sent to this wallet, or a guest of it, can be blocked: the row does not grow by invented names.
    async fn has_met(&self, wallet: WalletId, device: Thumbprint) -> Result<(), Failure> {
        let name = device.to_string();
        let met = self.grants_of(wallet).await?.iter().any(|g| {
            let (row, papers) = (&g.value, &g.value.papers);
            papers.delegations.iter().any(|d| d.device == name) || (papers.request.is_none() && row.cnf == name)
        });
        let met = met || self.rules_of(wallet).await?.iter().any(|r| r.value.is_a_guests() && r.value.cnf == name);
        if met { Ok(()) } else { Err(Problem::new(404, "courier_unknown", "no such courier was sent to you").into()) }
    }

    /// Stops what runs, of one device or of all, without blocking what was granted: a use that did not happen is free again.
    async fn interrupt(
        self: &Arc<Self>,
        wallet: WalletId,
        device: Option<Thumbprint>,
    ) -> Result<Option<Timestamp>, Failure> {
        let mut until = None;
        for grant in self.grants_of(wallet).await? {
            let Ok(delivery) = DeliveryId::parse(&b64(&grant.id)) else { continue };
            let running = again!(self.interrupt_grant(wallet, delivery, device))?;
            until = until.max(self.withdraw(running).await?);
        }
        self.log.ring();
        Ok(until)
    }

    /// A newer epoch, and no block: commands of the older one do not leave any more.
    async fn interrupt_grant(
        &self,
        wallet: WalletId,
        delivery: DeliveryId,
        device: Option<Thumbprint>,
    ) -> Result<Vec<AttemptId>, Failure> {
        let mut grant = self.own_grant(wallet, delivery).await?;
        let state = self.grant_state(&grant)?;
        let mut running = Vec::new();
        // Whatever lives: a use that is spent may be opened once more within minutes.
        for (_, used) in state.uses() {
            let (Use::Reserved(id) | Use::Spent(id)) = used;
            let row = self.db.get::<AttemptRow>(id.as_bytes()).await?;
            let own = |r: &AttemptRow| !r.state.ended && device.is_none_or(|d| r.device == d.to_string());
            if row.is_some_and(|r| own(&r.value)) {
                running.push(id);
            }
        }
        if running.is_empty() {
            return Ok(running);
        }
        let mut change = Change::new(&self.db, &self.host);
        let blocked = state.blocked_at().is_some();
        let newer = state.block(change.now());
        grant.value.use_state = crate::convert::use_part(if blocked { newer } else { newer.unblock() });
        change.update(&grant, self.grant_index(&grant)?);
        change.commit().await?;
        Ok(running)
    }

    /// Nothing opens before a time that the passkey has confirmed, and what is under way is stopped. Without a time an
    /// earlier pause ends. A block stays what it is.
    pub(crate) async fn pause(self: &Arc<Self>, s: &VerifiedStatement) -> Result<Value, Failure> {
        let Said::Pause { wallet, until: end } = s.said() else { return Err(wrong_statement().into()) };
        let now = self.host.now();
        if end.is_some_and(|e| e <= now || e > now.plus_seconds(PAUSE_MAX_SECONDS)) {
            return Err(Problem::new(422, "pause_wrong_end", "a pause ends in the future, within 90 days").into());
        }
        again!(self.pause_wallet(*wallet, *end))?;
        let until = if end.is_some() { self.interrupt(*wallet, None).await? } else { None };
        self.log.ring();
        Ok(json!({
            "paused_until": end.map(Timestamp::to_rfc3339),
            "settled": until.is_none(),
            "may_act_until": until.map(Timestamp::to_rfc3339),
        }))
    }

    async fn pause_wallet(&self, wallet: WalletId, end: Option<Timestamp>) -> Result<(), Failure> {
        let mut owner = self.wallet(wallet).await?;
        owner.value.paused_until_ms = end.map(Timestamp::unix_millis);
        let mut change = Change::new(&self.db, &self.host);
        let mut fields = vec![("scope", String::from("pause"))];
        fields.extend(end.map(|e| ("until", e.to_rfc3339())));
        let kind = if end.is_some() { Kind::Blocked } else { Kind::Unblocked };
        change.note(kind, &fields, &wallet_key(wallet)).await?;
        change.update(&owner, Index::new());
        change.commit().await?;
        Ok(())
    }

    async fn block_wallet(&self, wallet: WalletId, scope: &Scope) -> Result<(), Failure> {
        let mut owner = self.wallet(wallet).await?;
        match scope {
            Scope::Carrier(c) if !owner.value.blocked_carriers.contains(&c.to_string()) => {
                owner.value.blocked_carriers.push(c.to_string());
            }
            Scope::Courier(d) if !owner.value.blocked_couriers.contains(&d.to_string()) => {
                owner.value.blocked_couriers.push(d.to_string());
            }
            Scope::All => owner.value.blocked_all = true,
            _ => {}
        }
        let mut change = Change::new(&self.db, &self.host);
        change.note(Kind::Blocked, &[("scope", scope.code().to_owned())], &wallet_key(wallet)).await?;
        change.update(&owner, Index::new());
        change.commit().await?;
        Ok(())
    }

    async fn block_grant(
        &self,
        wallet: WalletId,
        delivery: DeliveryId,
        scope: &Scope,
    ) -> Result<Vec<AttemptId>, Failure> {
        let mut grant = self.own_grant(wallet, delivery).await?;
        let state = self.grant_state(&grant)?;
        let mut change = Change::new(&self.db, &self.host);
        let reserved: Vec<_> = state.reserved().collect();
        let scope = Word::new(scope.code()).ok_or_else(|| broken("a scope is not a word"))?;
        change.record_of(Event::Blocked { scope }, self.chain_of(&grant)?, delivery, None).await?;
        grant.value.use_state = crate::convert::use_part(state.block(change.now()));
        grant.value.status.say("blocked", Some("blocked_by_owner"));
        change.update(&grant, self.grant_index(&grant)?);
        change.commit().await?;
        Ok(reserved)
    }

    /// Lifts a block for what is asked from now on: only a passkey can, whoever holds a session.
    pub(crate) async fn unblock(&self, s: &VerifiedStatement) -> Result<(), Failure> {
        let Said::Unblock { wallet, covered: scope } = s.said() else { return Err(wrong_statement().into()) };
        let wallet = *wallet;
        if !matches!(scope, Scope::Delivery(_)) {
            again!(self.unblock_wallet(wallet, scope))?;
        }
        for grant in self.grants_of(wallet).await? {
            let Ok(delivery) = DeliveryId::parse(&b64(&grant.id)) else { continue };
            let covered = match scope {
                Scope::Delivery(d) => *d == delivery,
                Scope::Carrier(c) => grant.value.cnf == c.to_string(),
                Scope::Courier(_) => false,
                Scope::All => true,
            };
            // Nothing brings a delivery back whose car was taken back.
            let stopped = grant.value.use_state.blocked_ms.is_some() && !grant.value.erasing;
            if covered
                && stopped
                && self.granted_vehicle(&grant).await.is_ok()
                && again!(self.unblock_grant(wallet, delivery, scope))?
            {
                self.tell_carrier(&grant.value, delivery);
            }
        }
        self.log.ring();
        Ok(())
    }

    async fn unblock_wallet(&self, wallet: WalletId, scope: &Scope) -> Result<(), Failure> {
        let mut owner = self.wallet(wallet).await?;
        match scope {
            Scope::Carrier(c) => owner.value.blocked_carriers.retain(|b| *b != c.to_string()),
            Scope::Courier(d) => owner.value.blocked_couriers.retain(|b| *b != d.to_string()),
            _ => owner.value.blocked_all = false,
        }
        let mut change = Change::new(&self.db, &self.host);
        change.note(Kind::Unblocked, &[("scope", scope.code().to_owned())], &wallet_key(wallet)).await?;
        change.update(&owner, Index::new());
        change.commit().await?;
        Ok(())
    }

    /// Whether it can be used again: not if it came of a rule that has ended.
    async fn unblock_grant(&self, wallet: WalletId, delivery: DeliveryId, scope: &Scope) -> Result<bool, Failure> {
        let mut grant = self.own_grant(wallet, delivery).await?;
        if grant.value.erasing {
            return Err(crate::grants::no_grant().into());
        }
        let state = self.grant_state(&grant)?.unblock();
        let mut change = Change::new(&self.db, &self.host);
        if !self.rule_stands(&mut change, &grant.value).await? {
            return Ok(false);
        }
        let scope = Word::new(scope.code()).ok_or_else(|| broken("a scope is not a word"))?;
        change.record_of(Event::Unblocked { scope }, self.chain_of(&grant)?, delivery, None).await?;
        grant.value.use_state = crate::convert::use_part(state);
        grant.value.status.say("granted", None);
        change.update(&grant, self.grant_index(&grant)?);
        change.commit().await?;
        Ok(true)
    }

    pub(crate) async fn grants_of(&self, wallet: WalletId) -> Result<Vec<Stored<GrantRow>>, Failure> {
        Ok(self.db.list::<GrantRow>("wallet", wallet.as_bytes()).await?)
    }

    /// The latest attempt of a delivery.
    pub(crate) async fn latest_attempt(&self, delivery: DeliveryId) -> Result<Option<Stored<AttemptRow>>, Failure> {
        Ok(self.db.list::<AttemptRow>("delivery", delivery.as_bytes()).await?.pop())
    }
}

/// What a stop answers: whether a command may still act that had left before, and until when.
fn stopped(until: Option<Timestamp>) -> Value {
    json!({"blocked": true, "settled": until.is_none(), "may_act_until": until.map(Timestamp::to_rfc3339)})
}

pub(crate) fn wallet_index(wallet: WalletId) -> Index {
    [("wallet".to_owned(), wallet.as_bytes().to_vec())].into()
}

pub(crate) fn wrong_statement() -> Problem {
    Problem::new(400, "statement_wrong_type", "this route takes another kind of statement")
}

/// Doors that the car reports with the time of their last change.
pub(crate) fn reported(closures: &Closures) -> Vec<(Door, Timestamp)> {
    let doors = closures.doors.iter().filter_map(|(name, reading)| Some((Door::parse(name)?, reading)));
    let lid = std::iter::once((Door::Lid, &closures.lid));
    doors
        .chain(lid)
        .filter(|(_, r)| r.value != LidState::Unknown)
        .filter_map(|(door, r)| Some((door, r.changed_at?)))
        .collect()
}

/// For the owner before agreeing, in plain words.
fn how_locking_is_proved(facts: &parcelshelf_access::Facts) -> &'static str {
    let driven = facts.classes.first().is_some_and(|class| class.shuts() == Shuts::ByCommand);
    if driven {
        "the door is driven shut, and tells that it is"
    } else if car::tells_lid_and_lock(facts) {
        "the car tells that it is shut and locked"
    } else {
        "the car does not tell; the courier checks the handle and photographs the closed lid"
    }
}

/// For the owner: what stands against a car or should be known of it, in plain words, and what to do.
pub(crate) fn findings_json(found: impl Iterator<Item = Finding>) -> Vec<Value> {
    let told = |f: Finding| json!({"code": f.code(), "refuses": f.refuses(), "what_to_do": f.remedy().code(), "text": f.words()});
    found.map(told).collect()
}

fn vehicle_json(
    stored: &Stored<VehicleRow>,
    about: &crate::linking::About,
    facts: Option<&parcelshelf_access::Facts>,
) -> Value {
    use parcelshelf_core::actuation::Source;
    let source = |s: Source| match s {
        Source::Observed => "observed",
        Source::Inferred(_) => "inferred",
        Source::NotAvailable => "not_available",
    };
    let r = &stored.value;
    let findings = findings_json(r.findings.iter().filter_map(|code| Finding::parse(code)));
    json!({
        "vehicle": b64(&stored.id),
        "maker": r.maker,
        "make": about.make,
        "model": about.model,
        "model_year": about.model_year,
        "colour": about.colour,
        "findings": findings,
        "eligible": r.eligible,
        "consents": r.consents.as_ref().map(|c| json!({
            "nobody_inside": c.nobody_inside,
            "parked_inferred": c.parked_inferred,
            "tailgate_with_cabin": c.tailgate_with_cabin,
            "lid_and_lock_untold": c.lid_and_lock_untold,
        })),
        "described": r.description_sealed.is_some(),
        "opens": r.can_open,
        "class": r.can_open.first(),
        "facts": facts.map(|f| json!({
            "parked": source(f.parked),
            "in_use": source(f.in_use),
            "nobody_inside": source(f.nobody_inside),
            "lid_state": source(f.lid_state),
            "lock_state": source(f.lock_state),
            "position": source(f.position),
            "opening_is_a_window": f.opening_is_a_window,
            "lock_proof": if car::tells_lid_and_lock(f) { "observed" } else { "executed" },
            "how_locking_is_proved": how_locking_is_proved(f),
        })),
    })
}
