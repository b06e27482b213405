//! What is forgotten by itself: spent nonces that are stale anyway, and linkings that nobody finished.

use std::sync::Arc;
use std::time::Duration;

use parcelshelf_protocol::nonce::FreshNonce;
use parcelshelf_store::PAGE_ROWS_MAX;
use serde_json::json;
use tokio::sync::watch;

use crate::Keyholder;
use crate::db::{Change, Index, RowType, Stored};
use crate::failure::Failure;
use crate::rows::{CarRow, LegRow, LinkRow, NonceRow, OccupantRow};

const EVERY: Duration = Duration::from_secs(60);
/// Rows removed in one transaction.
const AT_ONCE: usize = 200;
const EXPIRES: &str = "expires";

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
    loop {
        for done in [
            k.give_up_links().await,
            k.forget::<NonceRow>(|r| r.expires_ms).await,
            k.forget::<LinkRow>(|r| r.expires_ms).await,
            k.forget::<CarRow>(CarRow::over_ms).await,
            k.forget::<LegRow>(LegRow::over_ms).await,
            k.forget::<OccupantRow>(OccupantRow::over_ms).await,
        ] {
            if let Err(failure) = done {
                tracing::warn!(error = %failure, "stale rows could not be removed now");
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
