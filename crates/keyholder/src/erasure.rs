//! Forgetting: because the owner says so, or because a deadline has come; and what keeps it from happening.
//!
//! In this order: one transaction marks what is going to be erased and writes the record with its leaf; then the data key is
//! destroyed, durably, which is the erasure itself, here and in every backup; then the rows go, which is tidying up. Whatever
//! was cut off is finished at the next start, before anything is served; and what a restored backup has brought back of it, too,
//! for the key store remembers the names.

use std::sync::Arc;

use parcelshelf_core::id::{DeliveryId, WalletId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_log::record::Kind;
use parcelshelf_protocol::encoding::{Hash, Thumbprint, b64, from_b64, sha256};
use parcelshelf_protocol::seal::Purpose;
use parcelshelf_protocol::statement::{Covered, Said, ToErase, VerifiedStatement};
use parcelshelf_store::{Check, PAGE_ROWS_MAX, Version};
use serde_json::{Value, json};

use crate::Keyholder;
use crate::db::{COMMON_KEY, Change, Index, Stored, delivery_key, wallet_key};
use crate::failure::{Failure, again, broken};
use crate::grants::{grant_row_index, wallet_of};
use crate::guests::GRANTED;
use crate::housekeeping::EXPIRES;
use crate::rows::{AccountRow, AttemptRow, GrantRow, HoldPart, WalletRow};
use crate::wallets::wrong_statement;

/// Which rows are being erased; they carry it in the index of this name until they are gone.
pub(crate) const ERASING: &str = "erasing";
/// Of records that belong to a wallet and no delivery.
pub(crate) const OWNER: &str = "owner";
const DAY_MS: i64 = 86_400_000;
/// Deliveries erased by deadline in one sweep: a flush of the key store each.
const OVERDUE_AT_ONCE: u32 = 20;
/// Rows removed in one transaction.
const AT_ONCE: u32 = 100;

const OWNER_HOLDS: &str = "owner";
const ORDER: &str = "order";

/// Who wants what of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    OwnerKeeps,
    OwnerLifts,
    OrderKeeps,
    OrderLifts,
}

/// An order outranks the owner's own wish, and neither takes the other's away.
fn held_after(before: Option<&HoldPart>, wish: Wish, now_ms: i64) -> Option<HoldPart> {
    let new = |by: &str, owner_too| Some(HoldPart { since_ms: now_ms, by: by.to_owned(), owner_too });
    let by_order = before.filter(|hold| hold.by == ORDER);
    match (wish, by_order, before) {
        (Wish::OwnerKeeps | Wish::OwnerLifts, Some(order), _) => {
            Some(HoldPart { owner_too: wish == Wish::OwnerKeeps, ..order.clone() })
        }
        (Wish::OwnerKeeps, None, Some(own)) => Some(own.clone()),
        (Wish::OwnerKeeps, None, None) => new(OWNER_HOLDS, false),
        (Wish::OwnerLifts, None, _) => None,
        (Wish::OrderKeeps, Some(order), _) => Some(order.clone()),
        (Wish::OrderKeeps, None, own) => new(ORDER, own.is_some()),
        (Wish::OrderLifts, Some(order), _) if order.owner_too => new(OWNER_HOLDS, false),
        (Wish::OrderLifts, Some(_), _) => None,
        (Wish::OrderLifts, None, own) => own.cloned(),
    }
}

/// Who wanted it.
#[derive(Debug, Clone, Copy)]
enum By {
    /// The hash of the statement.
    Owner(Hash),
    Deadline,
}

fn held() -> Problem {
    Problem::new(409, "held", "a legal hold keeps this delivery").detail("the timeline says since when and by whom")
}
fn not_over() -> Problem {
    Problem::new(409, "not_over", "this delivery may still open something")
        .detail("block it, and wait until the car is locked; then erase it")
}

pub(crate) fn hold_told(row: &GrantRow) -> Value {
    row.hold
        .as_ref()
        .map_or(Value::Null, |h| json!({"since": Timestamp::from_unix_millis(h.since_ms).to_rfc3339(), "by": h.by}))
}

impl Keyholder {
    /// Erases what a passkey's statement says.
    pub(crate) async fn erase(self: &Arc<Self>, s: &VerifiedStatement) -> Result<Value, Failure> {
        let Said::Erase { wallet, erased } = s.said() else { return Err(wrong_statement().into()) };
        let by = By::Owner(sha256(s.bytes()));
        match erased {
            ToErase::Delivery(delivery) => {
                // Asked again after an answer that got lost.
                if self.db.vault.is_erased(&delivery_key(*delivery)).await? {
                    // What an earlier try may have left behind.
                    self.remove_of_delivery(delivery.as_bytes()).await?;
                } else {
                    self.erase_delivery(*wallet, *delivery, by).await?;
                }
                Ok(json!({"erased": "delivery", "deliveries": [delivery.to_string()]}))
            }
            ToErase::Wallet => self.erase_wallet(*wallet, by).await,
        }
    }

    async fn erase_delivery(&self, wallet: WalletId, delivery: DeliveryId, by: By) -> Result<(), Failure> {
        let grant = self.own_grant(wallet, delivery).await?;
        again!(self.mark_delivery(wallet, delivery, by))?;
        self.log.ring();
        self.say_goodbye(&grant, delivery)?;
        self.finish_delivery(delivery).await
    }

    /// Whoever was on the way to it, or would have been, hears that it is withdrawn. Of one that was over nobody hears more.
    fn say_goodbye(&self, grant: &Stored<GrantRow>, delivery: DeliveryId) -> Result<(), Failure> {
        let row = &grant.value;
        let used = self.grant_state(grant)?.uses().next().is_some();
        let was_over = used || self.host.now().unix_millis() >= row.use_state.exp_ms;
        if !was_over && row.papers.request.is_some() {
            let mut said = row.status.clone();
            said.say("ended", Some("withdrawn"));
            self.feeds.last_word(crate::grants::carrier_of(row)?, delivery, said);
        }
        Ok(())
    }

    /// Nothing can be opened with it any more, and nothing is or may be open.
    async fn is_over(&self, grant: &Stored<GrantRow>, delivery: DeliveryId) -> Result<(), Failure> {
        let state = self.grant_state(grant)?;
        let attempts = self.db.list::<AttemptRow>("delivery", delivery.as_bytes()).await?;
        let used_up = state.is_used_up(self.host.now()) || state.blocked_at().is_some();
        if used_up && attempts.iter().all(|a| a.value.state.ended) { Ok(()) } else { Err(not_over().into()) }
    }

    async fn mark_delivery(&self, wallet: WalletId, delivery: DeliveryId, by: By) -> Result<(), Failure> {
        let mut grant = self.own_grant(wallet, delivery).await?;
        if grant.value.hold.is_some() {
            return Err(held().into());
        }
        self.is_over(&grant, delivery).await?;
        let mut change = Change::new(&self.db, &self.host);
        let fields = fields("delivery", Some(delivery), by);
        change.note(Kind::Erased, &fields, &wallet_key(wallet)).await?;
        // With its version: whoever opens or unblocks in this very moment has to decide again.
        grant.value.erasing = true;
        change.update(&grant, grant_row_index(&grant.value)?);
        self.rule_forgets(&mut change, &grant.value, delivery).await?;
        change.journal("grant", &grant.id, "erasing", &json!({}));
        change.commit().await?;
        self.step("erasing");
        Ok(())
    }

    async fn finish_delivery(&self, delivery: DeliveryId) -> Result<(), Failure> {
        self.db.vault.erase(&delivery_key(delivery), self.host.now()).await?;
        self.step("key_destroyed");
        self.remove_of_delivery(delivery.as_bytes()).await
    }
    async fn remove_of_delivery(&self, id: &[u8]) -> Result<(), Failure> {
        // A prefix of theirs is the delivery's name.
        self.remove_rows("recorded", "delivery", b64(id).as_bytes()).await?;
        for (table, index) in
            [("record", "delivery"), ("attempt", "delivery"), ("guest", GRANTED), ("papers", ""), ("grant", "")]
        {
            self.remove_rows(table, index, id).await?;
        }
        Ok(())
    }

    async fn erase_wallet(self: &Arc<Self>, wallet: WalletId, by: By) -> Result<Value, Failure> {
        let grants = self.grants_of(wallet).await?;
        if grants.iter().any(|g| g.value.hold.is_some()) {
            return Err(held().into());
        }
        self.block(wallet, &Covered::All).await?;
        let name = wallet.to_string();
        if self.db.list::<AttemptRow>("live", &[1]).await?.iter().any(|a| a.value.wallet == name) {
            return Err(not_over().into());
        }
        let mut permissions = Vec::new();
        for vehicle in self.vehicles_of(wallet).await? {
            let id = vehicle.id.try_into().map(parcelshelf_core::id::VehicleId::from_bytes);
            let said = self.unlink(wallet, id.map_err(|_| broken("a car's id has not 16 bytes"))?, true).await?;
            permissions.push(said["permission"].clone());
        }
        // A linking that never came to a car has left an account.
        for account in self.db.list::<AccountRow>("", wallet.as_bytes()).await? {
            permissions.extend(self.give_up_account(wallet, &account.value.maker, true).await?.map(Value::from));
        }
        let mut deliveries = Vec::new();
        // Anew: something may have been granted before the block.
        for grant in self.grants_of(wallet).await? {
            let delivery = delivery_of(&grant.id)?;
            self.erase_delivery(wallet, delivery, by).await?;
            deliveries.push(delivery.to_string());
        }
        // The block has ended them, so that nothing new comes of them.
        self.erase_rules_of(wallet).await?;
        again!(self.mark_wallet(wallet, by))?;
        self.log.ring();
        self.finish_wallet(wallet).await?;
        Ok(json!({"erased": "wallet", "deliveries": deliveries, "permissions": permissions}))
    }

    async fn mark_wallet(&self, wallet: WalletId, by: By) -> Result<(), Failure> {
        let mut owner = self.wallet(wallet).await?;
        let mut change = Change::new(&self.db, &self.host);
        // Says nothing of who it was: nobody is left who could read it.
        change.note(Kind::Erased, &fields("wallet", None, by), COMMON_KEY).await?;
        owner.value.blocked_all = true;
        change.update(&owner, Index::from([(ERASING.to_owned(), vec![1])]));
        change.journal("wallet", &owner.id, "erasing", &json!({}));
        change.commit().await?;
        Ok(())
    }

    async fn finish_wallet(&self, wallet: WalletId) -> Result<(), Failure> {
        self.db.vault.erase(&wallet_key(wallet), self.host.now()).await?;
        self.remove_of_wallet(wallet.as_bytes()).await
    }
    async fn remove_of_wallet(&self, id: &[u8]) -> Result<(), Failure> {
        let owner = format!("wallet/{}", b64(id));
        for (table, index, prefix) in [
            ("record", OWNER, owner.as_bytes()),
            ("vehicle", "wallet", id),
            ("shared", "wallet", id),
            ("rule", "wallet", id),
            ("guest", "wallet", id),
            ("door_sign", "wallet", id),
            ("account", "", id),
            ("head", "", id),
            ("waking", "", id),
            ("wallet", "", id),
        ] {
            self.remove_rows(table, index, prefix).await?;
        }
        Ok(())
    }

    /// Removes rows whose key is gone, as they lie there.
    pub(crate) async fn remove_rows(&self, table: &'static str, index: &str, prefix: &[u8]) -> Result<(), Failure> {
        loop {
            let rows = self.db.raw(table, index, prefix, AT_ONCE).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let mut change = Change::new(&self.db, &self.host);
            change.batch.deletes.extend(rows.iter().map(|row| Check {
                table: table.to_owned(),
                id: row.id.clone(),
                version: Version::Is(row.version),
            }));
            // A kind for each table, so that a test can stop between any two.
            change.journal(table, prefix, &format!("erased_{table}"), &json!({"rows": rows.len()}));
            match change.commit().await {
                Ok(_) | Err(Failure::Conflict) => {}
                Err(other) => return Err(other),
            }
        }
    }

    /// Finishes what was cut off; before anything is served.
    pub(crate) async fn finish_erasing(&self) -> Result<(), Failure> {
        for grant in self.db.list::<GrantRow>(ERASING, &[1]).await? {
            self.finish_delivery(delivery_of(&grant.id)?).await?;
        }
        for owner in self.db.list::<WalletRow>(ERASING, &[1]).await? {
            let id = owner.id.try_into().map_err(|_| broken("a wallet's id has not 16 bytes"))?;
            self.finish_wallet(WalletId::from_bytes(id)).await?;
        }
        Ok(())
    }

    /// Removes what an old copy of the store has brought back of what was erased since.
    pub(crate) async fn tidy(&self) -> Result<(), Failure> {
        let mut after = Vec::new();
        loop {
            let names = self.db.vault.keys().destroyed(&after).await?;
            let Some(last) = names.last() else { return Ok(()) };
            after.clone_from(last);
            for name in &names {
                let parts = core::str::from_utf8(name).ok().and_then(|n| n.split_once('/'));
                match parts.map(|(kind, id)| (kind, from_b64(id))) {
                    Some(("delivery", Some(id))) => self.remove_of_delivery(&id).await?,
                    Some(("wallet", Some(id))) => self.remove_of_wallet(&id).await?,
                    Some(("rule", Some(id))) => self.remove_of_rule(&id).await?,
                    _ => {}
                }
            }
        }
    }

    /// Erases deliveries whose deadline has come.
    pub(crate) async fn erase_overdue(&self) -> Result<(), Failure> {
        let before = self.host.now().unix_millis() - i64::from(self.config.retention.deliveries_days) * DAY_MS;
        // Most times not even the very first is over.
        let oldest = self.db.first::<GrantRow>(EXPIRES, &[], 1).await?;
        if oldest.first().is_some_and(|grant| grant.value.use_state.exp_ms >= before) {
            return Ok(());
        }
        let (mut erased, mut not_over, mut failed) = (0, 0, 0);
        // All that may be overdue, in the order of their ends: some that cannot go yet do not keep the later ones.
        for grant in self.db.first::<GrantRow>(EXPIRES, &[], PAGE_ROWS_MAX).await? {
            if grant.value.use_state.exp_ms >= before || erased == OVERDUE_AT_ONCE {
                break;
            }
            match self.erase_in_time(&grant).await {
                Ok(()) => erased += 1,
                // An alarm that nobody has acknowledged keeps it: the next sweep looks again.
                Err(Failure::Problem(p)) if p.code() == "not_over" => not_over += 1,
                Err(failure) => {
                    failed += 1;
                    tracing::debug!(error = %failure, "an overdue delivery cannot be erased now");
                }
            }
        }
        if not_over + failed > 0 {
            tracing::warn!(erased, not_over, failed, "overdue deliveries stay: see to their alarms");
        }
        Ok(())
    }
    async fn erase_in_time(&self, grant: &Stored<GrantRow>) -> Result<(), Failure> {
        let (wallet, delivery) = (wallet_of(&grant.value)?, delivery_of(&grant.id)?);
        self.erase_delivery(wallet, delivery, By::Deadline).await.map(drop)
    }

    /// Whether a hold keeps it; nothing is left to hold of a delivery that is gone.
    pub(crate) async fn is_held(&self, delivery: DeliveryId) -> Result<bool, Failure> {
        let grant = self.db.get::<GrantRow>(delivery.as_bytes()).await?;
        Ok(grant.is_some_and(|grant| grant.value.hold.is_some()))
    }

    /// The owner's own hold: a session is enough to keep something.
    pub(crate) async fn hold(&self, wallet: WalletId, delivery: DeliveryId) -> Result<(), Failure> {
        let grant = self.own_grant(wallet, delivery).await?;
        self.set_hold(grant, Wish::OwnerKeeps, None).await
    }
    /// Its end is a passkey's word; a hold that people at the gateway ordered is not the owner's to lift.
    pub(crate) async fn lift_hold(&self, s: &VerifiedStatement) -> Result<(), Failure> {
        let Said::LiftHold { wallet, delivery } = s.said() else { return Err(wrong_statement().into()) };
        let grant = self.own_grant(*wallet, *delivery).await?;
        if grant.value.hold.as_ref().is_some_and(|hold| hold.by == ORDER) {
            return Err(Problem::new(409, "held_by_order", "people at the gateway have ordered this hold").into());
        }
        self.set_hold(grant, Wish::OwnerLifts, None).await
    }
    /// A legal hold by written order, with a record that the owner reads.
    pub(crate) async fn order_hold(
        &self,
        delivery: DeliveryId,
        carrier: Thumbprint,
        by: Thumbprint,
        on: bool,
    ) -> Result<(), Failure> {
        let grant = self.grant(delivery).await?;
        if grant.value.cnf != carrier.to_string() {
            return Err(crate::grants::no_grant().into());
        }
        self.set_hold(grant, if on { Wish::OrderKeeps } else { Wish::OrderLifts }, Some(by)).await
    }

    async fn set_hold(
        &self,
        mut grant: Stored<GrantRow>,
        wish: Wish,
        ordered: Option<Thumbprint>,
    ) -> Result<(), Failure> {
        if grant.value.erasing {
            return Err(crate::grants::no_grant().into());
        }
        let mut change = Change::new(&self.db, &self.host);
        let held = held_after(grant.value.hold.as_ref(), wish, change.now().unix_millis());
        if held == grant.value.hold {
            return Ok(());
        }
        if let Some(person) = ordered {
            let act = if wish == Wish::OrderKeeps { "hold" } else { "lift_hold" };
            let fields = [
                ("what", act.to_owned()),
                ("by", person.to_string()),
                ("delivery", delivery_of(&grant.id)?.to_string()),
            ];
            change.note(Kind::StaffAccess, &fields, &wallet_key(wallet_of(&grant.value)?)).await?;
        }
        let kind = if held.is_some() { "held" } else { "hold_lifted" };
        grant.value.hold = held;
        change.update(&grant, grant_row_index(&grant.value)?);
        change.journal("grant", &grant.id, kind, &json!({}));
        change.commit().await?;
        self.log.ring();
        Ok(())
    }

    /// What is kept of a wallet besides its deliveries, and which those are; sealed to the owner.
    pub(crate) async fn export_wallet(&self, wallet: WalletId) -> Result<Value, Failure> {
        let owner = self.wallet(wallet).await?;
        let grants = self.grants_of(wallet).await?;
        let passkeys: Vec<Value> = owner
            .value
            .passkeys
            .iter()
            .map(
                |p| json!({"credential_id": p.credential_id, "jwk": p.jwk, "statement": p.statement, "entry": p.entry}),
            )
            .collect();
        let r = &self.config.retention;
        let content = json!({
            "format": "psh-wallet-export-v1",
            "wallet": wallet.to_string(),
            "passkeys": passkeys,
            "blocked_carriers": owner.value.blocked_carriers,
            "blocked_couriers": owner.value.blocked_couriers,
            "blocked_all": owner.value.blocked_all,
            "paused_until": owner.value.paused_until_ms.map(|ms| Timestamp::from_unix_millis(ms).to_rfc3339()),
            "vehicles": self.vehicles_exported(wallet).await?,
            "rules": self.rules_told(wallet, usize::MAX).await?,
            "guests": self.guests_told(wallet, usize::MAX).await?,
            "door_signs": self.door_signs_told(wallet).await?,
            "records": self.records_told(OWNER, wallet_key(wallet).as_bytes()).await?,
            "deadlines": {"delivery_days_after_grant": r.deliveries_days, "journal_days": r.journal_days,
                          "backups_days": r.backups_days},
        });
        let about = wallet.to_string();
        let envelope = self.to_owner(&owner.value, wallet, Purpose::Account, &about, content.to_string().as_bytes())?;
        let deliveries: Vec<String> = grants.iter().map(|g| b64(&g.id)).collect();
        Ok(json!({"envelope": envelope, "deliveries": deliveries}))
    }

    async fn vehicles_exported(&self, wallet: WalletId) -> Result<Vec<Value>, Failure> {
        let (key, mut all) = (wallet_key(wallet), Vec::new());
        for stored in self.vehicles_of(wallet).await? {
            let (id, row) = (b64(&stored.id), &stored.value);
            let opened = async |about: &str, sealed: &str| -> Result<Value, Failure> {
                let content = self.db.vault.open(&key, about, sealed).await?;
                Ok(content.and_then(|c| serde_json::from_slice(&c).ok()).unwrap_or_default())
            };
            let description = match &row.description_sealed {
                Some(sealed) => opened(&format!("{id}/description"), sealed).await?,
                None => Value::Null,
            };
            all.push(json!({
                "vehicle": id,
                "maker": row.maker,
                "about": opened(&id, &row.about_sealed).await?,
                "description": description,
                "findings": row.findings,
                "consents": row.consents.as_ref().map(|c| &c.statement),
                "shared": self.shared_lines(&stored.id).await?,
                "possession_proved_ms": row.possession.as_ref().and_then(|p| p.proved_ms),
            }));
        }
        Ok(all)
    }

    /// Everything that is kept of one delivery, sealed to the owner.
    pub(crate) async fn export_delivery(&self, wallet: WalletId, delivery: DeliveryId) -> Result<String, Failure> {
        let grant = self.own_grant(wallet, delivery).await?;
        let owner = self.wallet(wallet).await?;
        let row = &grant.value;
        let content = json!({
            "format": "psh-delivery-export-v1",
            "delivery": delivery.to_string(),
            "request": row.papers.request,
            "grant": row.papers.grant,
            "assertion": row.papers.assertion,
            "accepted": row.papers.accepted,
            "delegations": row.papers.delegations.iter().map(|d| &d.jws).collect::<Vec<_>>(),
            "status": {"state": row.status.state, "reason": row.status.reason},
            "hold": hold_told(row),
            "records": self.records_told("delivery", delivery.as_bytes()).await?,
        });
        let about = delivery.to_string();
        self.to_owner(&owner.value, wallet, Purpose::Account, &about, content.to_string().as_bytes())
    }
}

fn delivery_of(id: &[u8]) -> Result<DeliveryId, Failure> {
    id.try_into().map(DeliveryId::from_bytes).map_err(|_| broken("a delivery's id has not 16 bytes"))
}

fn fields(scope: &str, delivery: Option<DeliveryId>, by: By) -> Vec<(&'static str, String)> {
    let mut fields = vec![("scope", scope.to_owned())];
    fields.extend(delivery.map(|d| ("delivery", d.to_string())));
    match by {
        By::Owner(statement) => fields.extend([("by", String::from("owner")), ("statement", statement.to_string())]),
        By::Deadline => fields.push(("by", String::from("deadline"))),
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_and_an_owner_each_hold_for_themselves() {
        let hold = |by: &str, owner_too| Some(HoldPart { since_ms: 1, by: by.to_owned(), owner_too });
        let (owner, order, both) = (hold(OWNER_HOLDS, false), hold(ORDER, false), hold(ORDER, true));
        for (before, wish, after) in [
            (&None, Wish::OwnerKeeps, &owner),
            (&None, Wish::OrderKeeps, &order),
            (&None, Wish::OwnerLifts, &None),
            (&None, Wish::OrderLifts, &None),
            (&owner, Wish::OwnerKeeps, &owner),
            (&owner, Wish::OwnerLifts, &None),
            (&owner, Wish::OrderKeeps, &both),
            (&owner, Wish::OrderLifts, &owner),
            (&order, Wish::OwnerKeeps, &both),
            (&order, Wish::OrderKeeps, &order),
            (&order, Wish::OrderLifts, &None),
            (&both, Wish::OwnerLifts, &order),
            (&both, Wish::OrderLifts, &owner),
        ] {
            let held = held_after(before.as_ref(), wish, 1);
            assert_eq!(&held, after, "{before:?} and {wish:?}");
        }
    }
}
