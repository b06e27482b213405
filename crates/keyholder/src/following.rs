//! Attempts as stop pages see them: how they stand, and news of them.

use std::time::Duration;

use parcelshelf_core::id::{AttemptId, DeliveryId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_opening::attempt::{Attempt, Phase};
use parcelshelf_protocol::encoding::Thumbprint;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::attempts::no_attempt;
use crate::convert;
use crate::failure::{Failure, broken};
use crate::grants::wallet_of;
use crate::rows::AttemptRow;
use crate::stops::word;

impl Keyholder {
    /// How an attempt stands, once it is newer than `after`.
    pub(crate) async fn wait_attempt(&self, id: AttemptId, after: u64, wait: Duration) -> Result<Value, Failure> {
        let mut vigil = self.bells.vigil(id.as_bytes(), wait, &*self.host.clock);
        loop {
            let rung = vigil.listen();
            let seen = self.attempt_json(id).await?;
            if seen["seq"].as_u64().is_some_and(|seq| seq > after) || !vigil.rest(rung).await {
                return Ok(seen);
            }
        }
    }

    pub(crate) async fn attempt_json(&self, id: AttemptId) -> Result<Value, Failure> {
        let row = self.db.get::<AttemptRow>(id.as_bytes()).await?.ok_or_else(no_attempt)?.value;
        let access = self.access(&row.maker).ok_or_else(|| broken("an attempt's maker is not configured"))?;
        let parts = convert::attempt_parts(id, &row.state);
        let attempt = parts
            .and_then(|p| Attempt::from_parts(p, convert::rules(access.facts())).ok())
            .ok_or_else(|| broken("an attempt's row is impossible"))?;
        let at = |t: Option<Timestamp>| t.map(Timestamp::to_rfc3339);
        let ready_until = match attempt.phase() {
            Phase::Armed { until } => Some(until),
            _ => None,
        };
        Ok(json!({
            "attempt": id.to_string(),
            "delivery": row.delivery,
            "seq": row.seq,
            "state": word(&attempt),
            "reason": attempt.phase().detail().filter(|_| matches!(attempt.phase(), Phase::DidNotHappen(_))),
            "ready_until": at(ready_until),
            "may_act_until": at(attempt.may_act_until()),
            "released": attempt.parts().released && !attempt.parts().recalled,
            "recalled": attempt.parts().recalled,
            "alarm": attempt.alarm().filter(|a| a.acknowledged_at.is_none()).map(|a| a.cause.code()),
            "lock_proof": attempt.lock_proof().map(|p| p.code()),
            "check_handle": attempt.wants_handle_check(),
            "may_reopen": attempt.may_reopen(self.host.now()).is_ok() && self.is_allowed_still(&row).await.unwrap_or(false),
            "ended": attempt.ended(),
        }))
    }

    /// Whether nothing that its owner has stopped since keeps an attempt's device from opening once more.
    async fn is_allowed_still(&self, row: &AttemptRow) -> Result<bool, Failure> {
        let delivery = DeliveryId::parse(&row.delivery).map_err(|_| broken("a delivery's id is none"))?;
        let grant = self.grant(delivery).await?.value;
        let owner = self.wallet(wallet_of(&grant)?).await?;
        Ok(self.not_blocked(&owner.value, &grant, Thumbprint::parse(&row.device)).is_ok())
    }
}
