//! Standing rules: what an owner has signed for in advance, and the deliveries that come of it.
//!
//! A rule opens nothing by itself. A carrier announces each delivery with a request of its own; what the rule covers of it
//! becomes a grant for that one delivery, with its record, its window and its one use, which the owner sees and can stop like
//! any other. From there on nothing knows the difference, except that the signed link 0 is the rule.

use std::sync::Arc;

use parcelshelf_core::id::{DeliveryId, GrantId, VehicleId, WalletId};
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_edge::problem::Problem;
use parcelshelf_log::record::Kind;
use parcelshelf_opening::grant::{ANNOUNCED_BEFORE_MS, Covered, LocalDate, NotARule, StandingRule, WeeklyHours};
use parcelshelf_protocol::content::Rule;
use parcelshelf_protocol::encoding::{Hash, b64, sha256};
use parcelshelf_protocol::grant::{Grant, GrantClaims, Schedule, Scoped, VerifiedGrant};
use parcelshelf_protocol::jws::Moment;
use parcelshelf_protocol::request::{Request, VerifiedRequest};
use parcelshelf_protocol::seal::{Purpose, SealPublicKey};
use parcelshelf_protocol::statement::Covered as Scope;
use parcelshelf_protocol::webauthn::Assertion;
use parcelshelf_store::Version;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::carriers::Caller;
use crate::db::{Change, Index, Stored, rule_key, wallet_key};
use crate::failure::{Failure, again, broken};
use crate::grants::{Granting, Handed, granted_already};
use crate::guests::GRANTED;
use crate::housekeeping::expires_at;
use crate::rows::{GrantRow, RuleRow, WalletRow};
use crate::sharing::Line;
use crate::wallets::wallet_index;

/// Rules of one wallet that are in force: what a person can still keep in mind.
const RULES_MAX: usize = 16;
/// Rules in one list, the ended ones of the last weeks included: they fit one sealed box.
const LISTED_MAX: usize = 24;
/// The newest dates of one rule in that list: all of a quarter's would not fit beside the other rules.
const DAYS_TOLD_MAX: usize = 14;
/// By which a carrier names a rule.
pub(crate) const HASH: &str = "hash";

/// Why a rule ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndedBy {
    Owner,
    Block,
    Unlink,
}
impl EndedBy {
    const fn code(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Block => "block",
            Self::Unlink => "unlink",
        }
    }
}

/// Whatever the reason is, it is between the owner and the keyholder.
fn not_covered() -> Failure {
    Problem::new(409, "rule_does_not_cover", "the owner has not allowed this in advance")
        .detail("ask the owner with the link, or take the agreed fallback")
        .into()
}
pub(crate) fn no_rule() -> Problem {
    Problem::new(404, "rule_unknown", "this wallet has no such rule")
}
pub(crate) fn not_a_rule(why: NotARule) -> Problem {
    Problem::new(422, "rule_not_possible", "this cannot be a standing rule").detail(why.to_string())
}

/// The machine of a signed rule.
fn standing(claims: &GrantClaims) -> Result<StandingRule, Failure> {
    let Scoped::Standing { merchants, schedule } = &claims.scoped else {
        return Err(Problem::new(400, "grant_is_no_rule", "this route takes standing rules").into());
    };
    StandingRule::new(merchants.clone(), hours_of(schedule), &schedule.zone, claims.window)
        .map_err(|e| not_a_rule(e).into())
}
pub(crate) fn hours_of(schedule: &Schedule) -> Vec<WeeklyHours> {
    let (from_minute, to_minute) = (schedule.from_minute, schedule.to_minute);
    schedule.days.iter().map(|day| WeeklyHours { weekday: day.iso(), from_minute, to_minute }).collect()
}

/// By what a delivery or a visit is accepted that was not signed for alone.
pub(crate) struct Under<'a> {
    pub rule: Stored<RuleRow>,
    pub owner: &'a Stored<WalletRow>,
    /// The rule as it was signed.
    pub grant: &'a VerifiedGrant,
    pub content: &'a Rule,
    /// A carrier's request, and the certificate of the key that signed it; none for a guest.
    pub asked: Option<(&'a VerifiedRequest, &'a str)>,
}

impl RuleRow {
    pub(crate) fn index(&self) -> Result<Index, Failure> {
        let mut index = wallet_index(self.wallet()?);
        index.extend(expires_at(self.exp_ms));
        index.insert(HASH.to_owned(), sha256(&self.grant).as_bytes().to_vec());
        Ok(index)
    }
    pub(crate) fn wallet(&self) -> Result<WalletId, Failure> {
        WalletId::parse(&self.wallet).map_err(|_| broken("a wallet's id is none"))
    }
    pub(crate) fn taken(&self) -> Vec<LocalDate> {
        self.days.iter().filter_map(|(date, _)| LocalDate::parse(date)).collect()
    }
    /// A guest's weekly hours: no merchant sends anything under it.
    pub(crate) const fn is_a_guests(&self) -> bool {
        self.merchant.is_empty()
    }
    pub(crate) fn in_force(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now.unix_millis() < self.exp_ms
    }
}

fn id_of(row: &Stored<RuleRow>) -> Result<GrantId, Failure> {
    GrantId::parse(&b64(&row.id)).map_err(|_| broken("a rule's id is none"))
}

impl Keyholder {
    async fn own_rule(&self, wallet: WalletId, id: GrantId) -> Result<Stored<RuleRow>, Failure> {
        let rule = self.db.get::<RuleRow>(id.as_bytes()).await?.ok_or_else(no_rule)?;
        if rule.value.wallet == wallet.to_string() { Ok(rule) } else { Err(no_rule().into()) }
    }
    pub(crate) async fn rules_of(&self, wallet: WalletId) -> Result<Vec<Stored<RuleRow>>, Failure> {
        Ok(self.db.list::<RuleRow>("wallet", wallet.as_bytes()).await?)
    }
    /// What a rule's commitment covers, for as long as its key lives.
    pub(crate) async fn rule_content(&self, rule: &Stored<RuleRow>) -> Result<Rule, Failure> {
        let bytes = self.db.vault.open(&rule_key(id_of(rule)?), "rule", &rule.value.rule_sealed).await?;
        Ok(Rule::parse(&bytes.ok_or_else(|| broken("a rule cannot be read"))?)?)
    }

    // ---- made ------------------------------------------------------------------------------------------------------

    /// Accepts a rule together with the delivery that it was made for. Handing in the same one again gets the same answer.
    pub(crate) async fn accept_rule(&self, wallet: WalletId, handed: &Handed<'_>) -> Result<Value, Failure> {
        self.believes_its_store()?;
        let signed = Grant::verify(handed.grant)?;
        if signed.claims().purpose == parcelshelf_core::reason::Purpose::Guest {
            return self.accept_guests_rule(wallet, handed, signed).await;
        }
        let id = signed.claims().jti;
        if let Some(known) = self.db.get::<RuleRow>(id.as_bytes()).await? {
            let same = known.value.grant == handed.grant && known.value.wallet == wallet.to_string();
            let first = known.value.days.first().and_then(|(_, d)| DeliveryId::parse(d).ok());
            return match (same, first) {
                (true, Some(first)) => {
                    let accepted = self.own_grant(wallet, first).await?.value.papers.accepted.clone();
                    Ok(json!({"accepted": accepted, "rule": id.to_string()}))
                }
                _ => Err(granted_already().into()),
            };
        }
        self.not_void(signed.claims().iat)?;
        let now = self.host.now();
        let owner = self.wallet(wallet).await?;
        let moment = Moment::Posted(now);
        let grant = signed.confirm(handed.assertion, &owner.value.keys(), &self.rp, &self.config.aud, moment)?;
        let claims = grant.claims();
        let machine = standing(claims)?;
        if !claims.is_delegated() {
            return Err(Problem::new(422, "rule_not_possible", "a standing rule is for a carrier's deliveries").into());
        }
        if claims.access_point != self.access_point(wallet, claims.cnf)? {
            return Err(parcelshelf_protocol::Refused::GrantWrongAccessPoint.into());
        }
        let missing = || Problem::new(400, "request_missing", "a rule comes with the request that it answers");
        let request = self.asked(handed).await?.ok_or_else(missing)?;
        grant.check_covers(&request)?;
        // The owner has just read of this one: no time for a no is needed.
        let covered =
            machine.covers(&request.claims().merchant.id, request.claims().window, now, &[]).map_err(|why| {
                Problem::new(422, "rule_misses_delivery", "the rule does not cover the delivery that it is made with")
                    .detail(why.to_string())
            })?;
        if !self.owner_lets(&owner.value, &claims.cnf.to_string(), covered.window) {
            return Err(Problem::new(409, "blocked", "the owner has blocked this").detail("unblock it first").into());
        }
        self.room_for_a_rule(wallet).await?;
        let rule = self.rule_of(wallet, &id.to_string(), &grant, handed.rule_box)?;
        // Before anything of it is sealed: a key that is made for what is refused is nobody's.
        let vehicle = self.usable_vehicle(wallet, &rule, &claims.opens).await?;
        let merchant = request.claims().merchant.name.clone();
        let row = self.rule_row(wallet, handed, &grant, &rule, merchant).await?;
        let stored = Stored { value: row, id: id.as_bytes().to_vec(), version: Version::Absent };
        let mut change = Change::new(&self.db, &self.host);
        let fields = [("rule", id.to_string()), ("grant", grant.hash().to_string())];
        change.note(Kind::RuleAccepted, &fields, &wallet_key(wallet)).await?;
        let car = self.car_of(&vehicle).await?.value;
        self.tell_others(&mut change, &car, &vehicle, Line::RuleMade { until: claims.window.end() }).await?;
        let asked = Some((&request, handed.delegation_cert.unwrap_or_default()));
        let under = Under { rule: stored, owner: &owner, grant: &grant, content: &rule, asked };
        let accepted = self.grant_under(change, under, request.claims().delivery, covered).await?;
        Ok(json!({"accepted": accepted, "rule": id.to_string()}))
    }

    pub(crate) async fn room_for_a_rule(&self, wallet: WalletId) -> Result<(), Failure> {
        let now = self.host.now();
        if self.rules_of(wallet).await?.iter().filter(|r| r.value.in_force(now)).count() < RULES_MAX {
            return Ok(());
        }
        let full = Problem::new(409, "too_many_rules", "this wallet has as many rules as may be");
        Err(full.detail("end one that you do not need").into())
    }
    /// A new rule, under which nothing has come yet.
    pub(crate) async fn rule_row(
        &self,
        wallet: WalletId,
        handed: &Handed<'_>,
        grant: &VerifiedGrant,
        rule: &Rule,
        merchant: String,
    ) -> Result<RuleRow, Failure> {
        let claims = grant.claims();
        let seal_key = seal_key(grant, handed.seal_key)?;
        Ok(RuleRow {
            v: 1,
            wallet: wallet.to_string(),
            cnf: claims.cnf.to_string(),
            exp_ms: claims.window.end().unix_millis(),
            grant: handed.grant.to_owned(),
            assertion: handed.assertion.to_json(),
            seal_key: seal_key.to_string(),
            rule_sealed: self.db.vault.seal(&rule_key(claims.jti), "rule", &rule.to_bytes()).await?,
            merchant,
            days: Vec::new(),
            ended: None,
        })
    }

    /// Whether neither a block nor a pause stands against a window.
    pub(crate) fn owner_lets(&self, owner: &WalletRow, carrier: &str, window: Window) -> bool {
        let paused = owner.paused_until(self.host.now()).is_some_and(|until| window.end() <= until);
        !paused && !owner.blocked_all && !owner.blocked_carriers.iter().any(|c| c == carrier)
    }

    /// One delivery under a rule, in the transaction that takes its date: of two announcements one is first.
    pub(crate) async fn grant_under(
        &self,
        mut change: Change<'_>,
        under: Under<'_>,
        delivery: DeliveryId,
        covered: Covered,
    ) -> Result<String, Failure> {
        let Under { mut rule, owner, grant, content, asked } = under;
        let claims = grant.claims();
        if self.db.get::<GrantRow>(delivery.as_bytes()).await?.is_some() {
            return Err(granted_already().into());
        }
        let wallet = rule.value.wallet()?;
        let vehicle = self.usable_vehicle(wallet, content, &claims.opens).await?;
        let car = self.car_in_area(&vehicle, &claims.area, change.now()).await?;
        let assertion = Assertion::parse(rule.value.assertion.as_bytes())?;
        let key = seal_key(grant, &rule.value.seal_key)?;
        let granting = Granting {
            wallet,
            delivery,
            grant,
            assertion: &assertion,
            window: covered.window,
            request: asked.map(|(request, _)| request.jws().to_owned()),
            delegation_cert: asked.map(|(_, cert)| cert.to_owned()),
            seal_key: &key,
            rule: content,
            under: Some(claims.jti),
        };
        let row = self.write_grant(&mut change, granting).await?;
        let line = Line::allowed(claims.purpose, covered.window.end());
        self.tell_others(&mut change, &car.value, &vehicle, line).await?;
        rule.value.days.push((covered.date.to_string(), delivery.to_string()));
        change.update(&rule, rule.value.index()?);
        change.check(owner);
        change.check(&vehicle);
        change.update(&car, car.value.index());
        change.journal("rule", &rule.id, "announced", &json!({}));
        change.commit().await?;
        self.log.ring();
        self.tell_carrier(&row, delivery);
        Ok(row.papers.accepted.clone())
    }

    // ---- used ------------------------------------------------------------------------------------------------------

    /// A carrier announces a delivery under a rule. The same request again gets the same answer.
    pub(crate) async fn announce(&self, caller: &Caller, jws: &str, rule: Hash) -> Result<String, Failure> {
        self.believes_its_store()?;
        let now = self.host.now();
        let request = Request::verify(jws, &caller.delegation_cert, &self.config.aud, Moment::Posted(now))?;
        if let Some(known) = self.db.get::<GrantRow>(request.claims().delivery.as_bytes()).await? {
            let same = known.value.cnf == caller.root.to_string() && known.value.papers.request.as_deref() == Some(jws);
            return if same { Ok(known.value.papers.accepted.clone()) } else { Err(granted_already().into()) };
        }
        let found = self.db.list::<RuleRow>(HASH, rule.as_bytes()).await?.pop();
        let own = found.filter(|r| r.value.cnf == caller.root.to_string() && r.value.in_force(now));
        let stored = own.ok_or_else(not_covered)?;
        self.announced(caller, stored, &request).await.map_err(|failure| match failure {
            // Of the owner and the car nothing is said, nor of how much is allowed.
            Failure::Problem(p) if p.code() != "granted_already" && (400..500).contains(&p.status()) => not_covered(),
            other => other,
        })
    }

    async fn announced(
        &self,
        caller: &Caller,
        stored: Stored<RuleRow>,
        request: &VerifiedRequest,
    ) -> Result<String, Failure> {
        let now = self.host.now();
        let (owner, grant) = self.rule_signed(&stored, now).await?;
        grant.check_covers(request)?;
        let asked = request.claims();
        let earliest = now.plus_millis(ANNOUNCED_BEFORE_MS);
        let covered = standing(grant.claims())?
            .covers(&asked.merchant.id, asked.window, earliest, &stored.value.taken())
            .map_err(|_| not_covered())?;
        if !self.owner_lets(&owner.value, &stored.value.cnf, covered.window) {
            return Err(not_covered());
        }
        let content = self.rule_content(&stored).await?;
        let change = Change::new(&self.db, &self.host);
        let asked_by = Some((request, caller.delegation_cert.jws()));
        let under = Under { rule: stored, owner: &owner, grant: &grant, content: &content, asked: asked_by };
        self.grant_under(change, under, asked.delivery, covered).await
    }

    /// The rule as its owner signed it, verified once more.
    pub(crate) async fn rule_signed(
        &self,
        rule: &Stored<RuleRow>,
        now: Timestamp,
    ) -> Result<(Stored<WalletRow>, VerifiedGrant), Failure> {
        let owner = self.wallet(rule.value.wallet()?).await?;
        let assertion = Assertion::parse(rule.value.assertion.as_bytes())?;
        let (keys, aud) = (owner.value.keys(), &self.config.aud);
        let grant = Grant::verify(&rule.value.grant)?.confirm(&assertion, &keys, &self.rp, aud, Moment::Posted(now))?;
        self.not_void(grant.claims().iat)?;
        Ok((owner, grant))
    }

    // ---- ended -----------------------------------------------------------------------------------------------------

    /// Ends a rule, and stops what was announced under it and has not been opened. Needs no passkey: it stops.
    pub(crate) async fn end_rule(self: &Arc<Self>, wallet: WalletId, id: GrantId) -> Result<Value, Failure> {
        again!(self.mark_ended(wallet, id, EndedBy::Owner))?;
        self.log.ring();
        let (name, now) = (id.to_string(), self.host.now());
        let (mut stopped, mut settled) = (Vec::new(), true);
        for grant in self.grants_of(wallet).await? {
            let idle = grant.value.use_state.blocked_ms.is_some() || self.grant_state(&grant)?.is_used_up(now);
            if grant.value.rule.as_ref() != Some(&name) || idle {
                continue;
            }
            let delivery = DeliveryId::parse(&b64(&grant.id)).map_err(|_| broken("a delivery's id is none"))?;
            let said = self.block(wallet, &Scope::Delivery(delivery)).await?;
            settled &= said["settled"] == json!(true);
            stopped.push(delivery.to_string());
        }
        Ok(json!({"ended": true, "stopped": stopped, "settled": settled}))
    }

    /// Ends those of a wallet's rules that something stronger has stopped.
    pub(crate) async fn end_rules(
        &self,
        wallet: WalletId,
        by: EndedBy,
        ends: impl Fn(&RuleRow) -> bool,
    ) -> Result<(), Failure> {
        for rule in self.rules_of(wallet).await? {
            if rule.value.ended.is_none() && ends(&rule.value) {
                again!(self.mark_ended(wallet, id_of(&rule)?, by))?;
            }
        }
        Ok(())
    }
    /// A car is taken back: so are the rules for it.
    pub(crate) async fn end_rules_for(&self, wallet: WalletId, vehicle: VehicleId) -> Result<(), Failure> {
        for rule in self.rules_for(wallet, vehicle).await? {
            again!(self.mark_ended(wallet, id_of(&rule)?, EndedBy::Unlink))?;
        }
        Ok(())
    }
    /// A wallet's rules for one car that are not ended.
    pub(crate) async fn rules_for(
        &self,
        wallet: WalletId,
        vehicle: VehicleId,
    ) -> Result<Vec<Stored<RuleRow>>, Failure> {
        let now = self.host.now();
        let mut its = Vec::new();
        for rule in self.rules_of(wallet).await? {
            if rule.value.in_force(now) && self.rule_content(&rule).await?.vehicles.contains(&vehicle) {
                its.push(rule);
            }
        }
        Ok(its)
    }

    async fn mark_ended(&self, wallet: WalletId, id: GrantId, by: EndedBy) -> Result<(), Failure> {
        let mut rule = self.own_rule(wallet, id).await?;
        if rule.value.ended.is_some() {
            return Ok(());
        }
        let mut change = Change::new(&self.db, &self.host);
        rule.value.ended = Some((change.now().unix_millis(), by.code().to_owned()));
        let fields = [("rule", id.to_string()), ("by", by.code().to_owned())];
        change.note(Kind::RuleEnded, &fields, &wallet_key(wallet)).await?;
        change.update(&rule, rule.value.index()?);
        change.commit().await?;
        Ok(())
    }

    /// The rule that a delivery came of, if it came of one that is still kept.
    async fn rule_behind(&self, grant: &GrantRow) -> Result<Option<Stored<RuleRow>>, Failure> {
        let Some(name) = &grant.rule else { return Ok(None) };
        let id = GrantId::parse(name).map_err(|_| broken("a rule's id is none"))?;
        Ok(self.db.get::<RuleRow>(id.as_bytes()).await?)
    }
    /// Whether the rule that a delivery came of stands, or it came of none: what has ended before its time brings nothing
    /// back. The transaction must find the rule as it was read.
    pub(crate) async fn rule_stands(&self, change: &mut Change<'_>, grant: &GrantRow) -> Result<bool, Failure> {
        if grant.rule.is_none() {
            return Ok(true);
        }
        let Some(rule) = self.rule_behind(grant).await? else { return Ok(false) };
        change.check(&rule);
        Ok(rule.value.ended.is_none())
    }
    /// A delivery is erased: its date stays taken, its name goes.
    pub(crate) async fn rule_forgets(
        &self,
        change: &mut Change<'_>,
        grant: &GrantRow,
        delivery: DeliveryId,
    ) -> Result<(), Failure> {
        let Some(mut rule) = self.rule_behind(grant).await? else { return Ok(()) };
        let name = delivery.to_string();
        for (_, of) in rule.value.days.iter_mut().filter(|(_, of)| *of == name) {
            of.clear();
        }
        change.update(&rule, rule.value.index()?);
        Ok(())
    }

    /// Destroys the keys of rules that are over: what was signed for stays with the deliveries that came of it.
    pub(crate) async fn forget_rules(&self) -> Result<(), Failure> {
        let now = self.host.now().unix_millis();
        for rule in self.db.first::<RuleRow>("expires", &[], 20).await? {
            if rule.value.exp_ms >= now {
                break;
            }
            self.erase_rule(id_of(&rule)?).await?;
        }
        Ok(())
    }
    pub(crate) async fn erase_rule(&self, id: GrantId) -> Result<(), Failure> {
        self.db.vault.erase(&rule_key(id), self.host.now()).await?;
        self.remove_of_rule(id.as_bytes()).await
    }
    pub(crate) async fn remove_of_rule(&self, id: &[u8]) -> Result<(), Failure> {
        self.remove_rows("guest", GRANTED, id).await?;
        self.remove_rows("rule", "", id).await
    }
    pub(crate) async fn erase_rules_of(&self, wallet: WalletId) -> Result<(), Failure> {
        for rule in self.rules_of(wallet).await? {
            self.erase_rule(id_of(&rule)?).await?;
        }
        Ok(())
    }

    // ---- shown -----------------------------------------------------------------------------------------------------

    /// The wallet's rules with the very bytes that were signed, sealed to its devices.
    pub(crate) async fn rules_envelope(&self, wallet: WalletId) -> Result<String, Failure> {
        let owner = self.wallet(wallet).await?;
        let content = json!({"rules": self.rules_told(wallet, LISTED_MAX).await?}).to_string();
        self.to_owner(&owner.value, wallet, Purpose::Account, &wallet.to_string(), content.as_bytes())
    }

    pub(crate) async fn rules_told(&self, wallet: WalletId, most: usize) -> Result<Vec<Value>, Failure> {
        let mut all = self.rules_of(wallet).await?;
        // Those in force first, then the newest.
        all.sort_by_key(|r| (r.value.ended.is_some(), std::cmp::Reverse(r.value.exp_ms)));
        let mut told = Vec::new();
        for rule in all.iter().take(most) {
            let vehicles = self.rule_content(rule).await?.vehicles;
            let at = |ms: i64| Timestamp::from_unix_millis(ms).to_rfc3339();
            let row = &rule.value;
            told.push(json!({
                "rule": b64(&rule.id),
                "grant": row.grant,
                // A guest's rule has neither: it is listed with the guests.
                "carrier": Some(&row.cnf).filter(|_| !row.is_a_guests()),
                "merchant": Some(&row.merchant).filter(|_| !row.is_a_guests()),
                "vehicles": vehicles.iter().map(VehicleId::to_string).collect::<Vec<_>>(),
                "days": row.days.iter().rev().take(DAYS_TOLD_MAX).rev().map(day_told).collect::<Vec<_>>(),
                "ended": row.ended.as_ref().map(|(ms, by)| json!({"at": at(*ms), "by": by})),
            }));
        }
        Ok(told)
    }
}

/// A date that is taken; of an erased delivery nothing else is left.
fn day_told((date, delivery): &(String, String)) -> Value {
    json!({"date": date, "delivery": Some(delivery).filter(|d| !d.is_empty())})
}

pub(crate) fn seal_key(grant: &VerifiedGrant, text: &str) -> Result<SealPublicKey, Failure> {
    let key =
        SealPublicKey::parse(text).ok_or_else(|| Problem::new(400, "seal_key_malformed", "the sealing key is none"))?;
    grant.check_seal_key(&key)?;
    Ok(key)
}
