//! What is forgotten by itself: spent nonces that are stale anyway, linkings that nobody finished, deliveries past their
//! deadline, old journal entries.

use std::sync::Arc;
use std::time::Duration;

use parcelshelf_core::time::Timestamp;
use parcelshelf_protocol::nonce::FreshNonce;
use parcelshelf_store::{JOURNAL_FORGOTTEN_MAX, PAGE_ROWS_MAX};
use serde_json::json;
use tokio::sync::watch;

use crate::Keyholder;
use crate::db::{Change, Index, RowType, Stored};
use crate::failure::Failure;
use crate::rows::{CarRow, GuestRow, LegRow, LinkRow, NonceRow, OccupantRow, SharedRow};

const EVERY: Duration = Duration::from_secs(60);
/// Codes and names are kept for days: each look at them is a transaction in both files.
const CODES_EVERY_S: i64 = 3_600;
/// Rows removed in one transaction.
const AT_ONCE: usize = 200;
pub(crate) const EXPIRES: &str = "expires";

/// Under which key a spent nonce is found when it is stale.
pub(crate) fn nonce_index(nonce: &FreshNonce) -> Index {
    expires_at(nonce.expires_at.unix_millis())
}
/// Rows that end at a time.
pub(crate) fn expires_at(ms: i64) -> Index {
    Index::from([(EXPIRES.to_owned(), ms.unsigned_abs().to_be_bytes().to_vec())])
}

/// Runs until `stop`.
pub(crate) async fn sweep(k: Arc<Keyholder>, mut stop: watch::Receiver<bool>) {
    let (mut tidied, mut codes_due) = (false, Timestamp::EPOCH);
    loop {
        for done in [
            k.give_up_links().await,
            k.forget::<NonceRow>(|r| r.expires_ms).await,
            k.forget::<LinkRow>(LinkRow::over_ms).await,
            k.forget::<CarRow>(CarRow::over_ms).await,
            k.forget::<LegRow>(LegRow::over_ms).await,
            k.forget::<OccupantRow>(OccupantRow::over_ms).await,
            k.forget::<GuestRow>(GuestRow::over_ms).await,
            k.forget::<SharedRow>(SharedRow::over_ms).await,
            k.forget_rules().await,
            k.forget_recordings().await,
        ] {
            if let Err(failure) = done {
                tracing::warn!(error = %failure, "stale rows could not be removed now");
            }
        }
        if !tidied {
            match k.tidy().await {
                Ok(()) => tidied = true,
                Err(failure) => tracing::warn!(error = %failure, "what was erased is not tidied up yet"),
            }
        }
        if let Err(failure) = k.erase_overdue().await {
            tracing::warn!(error = %failure, "what is past its deadline could not be removed now");
        }
        if k.host.now() >= codes_due {
            match k.forget_codes().await {
                Ok(()) => codes_due = k.host.now().plus_seconds(CODES_EVERY_S),
                Err(failure) => tracing::warn!(error = %failure, "codes past their time could not be removed now"),
            }
        }
        k.weigh_all().await;
        tokio::select! {
            biased;
            () = k.host.sleep(EVERY) => {}
            stopped = async { stop.wait_for(|s| *s).await.is_ok() } => {
                tracing::debug!(stopped, "nothing more is swept");
                return;
            }
        }
    }
}

impl Keyholder {
    /// Journal entries, and names of what was erased so long ago that no backup can have it any more.
    async fn forget_codes(&self) -> Result<(), Failure> {
        let (now, r) = (self.host.now(), &self.config.retention);
        let ago = |days: u32| now.plus_seconds(-i64::from(days) * 86_400);
        // A busy hour writes more than goes at once.
        while self.db.engine().forget_journal(ago(r.journal_days)).await? >= u64::from(JOURNAL_FORGOTTEN_MAX) {}
        self.db.vault.keys().forget_destroyed(ago(r.backups_days)).await?;
        Ok(())
    }

    /// Removes rows of one kind that are over.
    async fn forget<T: RowType>(&self, expires_ms: fn(&T) -> i64) -> Result<(), Failure> {
        let now = self.host.now().unix_millis();
        loop {
            // In the order of their ends: the first ones are the oldest. Most times not even the very first is over.
            let oldest = self.db.first::<T>(EXPIRES, &[], 1).await?;
            if oldest.first().is_some_and(|r| expires_ms(&r.value) >= now) {
                return Ok(());
            }
            let first = self.db.first::<T>(EXPIRES, &[], PAGE_ROWS_MAX).await?;
            let over: Vec<Stored<T>> = first.into_iter().filter(|r| expires_ms(&r.value) < now).take(AT_ONCE).collect();
            if over.is_empty() {
                return Ok(());
            }
            let mut change = Change::new(&self.db, &self.host);
            change.journal(T::TABLE, b"", "forgotten", &json!({"rows": over.len()}));
            change.batch.deletes.extend(over.iter().map(Stored::check));
            match change.commit().await {
                Ok(_) | Err(Failure::Conflict) => {}
                Err(other) => return Err(other),
            }
        }
    }
}
