//! What the front forgets: sessions that are over, devices that were not seen for long, photos past their deadline unless a
//! hold keeps them, journal entries; and at once what an owner has erased at the keyholder.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use parcelshelf_core::id::{DeliveryId, WalletId};
use parcelshelf_edge::cookie;
use parcelshelf_edge::json::StrictJson;
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::from_b64;
use parcelshelf_protocol::statement::{Said, Statement, ToErase};
use parcelshelf_store::{Batch, Check, CommitError, JOURNAL_FORGOTTEN_MAX, ListQuery, Row};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::rows::{
    self, ACCOUNTS, CREDENTIALS, EXPIRES, PHOTOS, PUSHES, PhotoRow, PushRow, SEED_BOXES, SESSIONS, SINCE, SessionRow,
    WALLET, vault_problem,
};
use crate::sessions::{self, NewWallet as Confirmed};
use crate::sites::{Public, Site};
use crate::{Front, relay, store_problem};

const SWEEP_EVERY: Duration = Duration::from_secs(600);
const DAY_MS: i64 = 86_400_000;
/// Rows read and removed at once: a photo has half a megabyte.
const PAGE_ROWS: u32 = 16;

/// Deadlines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Sealed photos: long enough for a claim.
    pub photos_days: u32,
    /// Where a device is woken, after its wallet was last opened there.
    pub pushes_days: u32,
    /// Codes and random ids.
    pub journal_days: u32,
    /// No backup is kept for longer. So long the names of what was erased are remembered, to erase it again in a restored one.
    pub backups_days: u32,
}
impl Default for Retention {
    fn default() -> Self {
        Self { photos_days: 90, pushes_days: 180, journal_days: 400, backups_days: 400 }
    }
}

/// Removes what is over, until `stop`; first what an interruption or a restored copy has left of what was erased.
pub(crate) async fn forget(front: Arc<Front>, mut stop: watch::Receiver<bool>) {
    let mut tidied = false;
    loop {
        if !tidied {
            match front.tidy().await {
                Ok(()) => {
                    tracing::info!("what was erased is tidied up");
                    tidied = true;
                }
                Err(problem) => tracing::warn!(code = problem.code(), "what was erased is not tidied up yet"),
            }
        }
        if let Err(problem) = front.sweep().await {
            tracing::warn!(code = problem.code(), "what is over could not be removed now");
        }
        tokio::select! {
            biased;
            () = front.host.sleep(SWEEP_EVERY) => {}
            stopped = async { stop.wait_for(|s| *s).await.is_ok() } => {
                tracing::debug!(stopped, "nothing more is forgotten");
                return;
            }
        }
    }
}

impl Front {
    pub(crate) async fn page(&self, table: &str, index: &str, prefix: &[u8]) -> Result<Vec<Row>, Problem> {
        let (table, index) = (table.to_owned(), index.to_owned());
        let query = ListQuery { table, index, prefix: prefix.to_vec(), cursor: None, limit: PAGE_ROWS };
        Ok(self.engine.list(query).await.map_err(|e| Problem::store(&e))?.rows)
    }

    async fn remove(&self, table: &str, rows: &[Row]) -> Result<(), Problem> {
        let gone = |r: &Row| Check { table: table.to_owned(), id: r.id.clone(), version: r.expected() };
        let batch = Batch {
            at: Some(self.host.now()),
            deletes: rows.iter().map(gone).collect(),
            journal: vec![rows::entry(table, b"", "forgotten")],
            ..Batch::default()
        };
        match self.engine.commit(batch).await {
            Ok(_) | Err(CommitError::Conflict(_)) => Ok(()),
            Err(other) => Err(store_problem(other)),
        }
    }

    async fn remove_all(&self, table: &str, index: &str, prefix: &[u8]) -> Result<(), Problem> {
        loop {
            let rows = self.page(table, index, prefix).await?;
            if rows.is_empty() {
                return Ok(());
            }
            self.remove(table, &rows).await?;
        }
    }

    async fn remove_wallet(&self, id: &[u8]) -> Result<(), Problem> {
        for table in [SESSIONS, CREDENTIALS, ACCOUNTS, SEED_BOXES, PUSHES] {
            self.remove_all(table, WALLET, id).await?;
        }
        Ok(())
    }

    /// Destroys the key first: that is the erasure, in every copy. The rows are tidied up after it.
    async fn erase_delivery(&self, delivery: DeliveryId) -> Result<(), Problem> {
        let day = self.host.now().rounded_down_to_minutes(24 * 60);
        self.vault.destroy(&rows::delivery_owner(delivery), day).await.map_err(vault_problem)?;
        self.remove_all(PHOTOS, "", delivery.as_bytes()).await
    }
    async fn erase_wallet(&self, wallet: WalletId) -> Result<(), Problem> {
        let day = self.host.now().rounded_down_to_minutes(24 * 60);
        self.vault.destroy(&rows::wallet_owner(wallet), day).await.map_err(vault_problem)?;
        self.remove_wallet(wallet.as_bytes()).await
    }

    async fn tidy(&self) -> Result<(), Problem> {
        let mut after = Vec::new();
        loop {
            let names = self.vault.keys().destroyed(&after).await.map_err(|e| Problem::store(&e))?;
            let Some(last) = names.last() else { return Ok(()) };
            after.clone_from(last);
            for name in &names {
                let parts = core::str::from_utf8(name).ok().and_then(|n| n.split_once('/'));
                match parts.map(|(kind, id)| (kind, from_b64(id))) {
                    Some(("delivery", Some(id))) => self.remove_all(PHOTOS, "", &id).await?,
                    Some(("wallet", Some(id))) => self.remove_wallet(&id).await?,
                    _ => {}
                }
            }
        }
    }

    async fn sweep(&self) -> Result<(), Problem> {
        let (now, r) = (self.host.now(), &self.config.retention);
        let ago_ms = |days: u32| now.unix_millis() - i64::from(days) * DAY_MS;
        self.remove_older::<SessionRow>(SESSIONS, EXPIRES, |s| s.expires_ms, now.unix_millis()).await?;
        self.remove_older::<PushRow>(PUSHES, EXPIRES, |p| p.until_ms, now.unix_millis()).await?;
        let ago = |days: u32| parcelshelf_core::time::Timestamp::from_unix_millis(ago_ms(days));
        let store = |e| Problem::store(&e);
        while self.engine.forget_journal(ago(r.journal_days)).await.map_err(store)? >= u64::from(JOURNAL_FORGOTTEN_MAX)
        {
        }
        self.vault.keys().forget_destroyed(ago(r.backups_days)).await.map_err(store)?;
        // Last: it waits for the keyholder's word.
        self.forget_photos(ago_ms(r.photos_days)).await
    }

    /// Photos past their deadline go, except those of a delivery that a hold keeps. While the keyholder does not say they stay.
    async fn forget_photos(&self, before_ms: i64) -> Result<(), Problem> {
        let mut cursor = None;
        loop {
            let (table, index) = (PHOTOS.to_owned(), SINCE.to_owned());
            let query = ListQuery { table, index, prefix: Vec::new(), cursor, limit: PAGE_ROWS };
            let page = self.engine.list(query).await.map_err(|e| Problem::store(&e))?;
            let (mut over, mut done) = (Vec::new(), page.next.is_none());
            for row in page.rows {
                match self.opened::<PhotoRow>(PHOTOS, &row.id).await? {
                    Some(photo) if photo.day_ms >= before_ms => {
                        done = true;
                        break;
                    }
                    Some(_) if self.is_held(&row.id).await? => {}
                    None if !self.is_gone(&row).await? => {}
                    _ => over.push(row),
                }
            }
            if !over.is_empty() {
                self.remove(PHOTOS, &over).await?;
            }
            if done {
                return Ok(());
            }
            cursor = page.next;
        }
    }
    /// Whether a row that cannot be read was erased. A key that is merely not here is no erasure: whoever started with the wrong
    /// folder loses nothing by it.
    async fn is_gone(&self, row: &Row) -> Result<bool, Problem> {
        let Some(owner) = parcelshelf_vault::owner_of(&row.state) else { return Ok(false) };
        let gone = self.vault.is_erased(owner).await.map_err(vault_problem)?;
        if !gone {
            tracing::error!("a row's key is missing and was not destroyed: put the key store back");
        }
        Ok(gone)
    }
    /// `photo`: its row's id, which begins with its delivery's.
    async fn is_held(&self, photo: &[u8]) -> Result<bool, Problem> {
        let Some(delivery) = photo.first_chunk::<16>().map(|id| DeliveryId::from_bytes(*id)) else { return Ok(false) };
        let path = format!("/held/{delivery}");
        let url = format!("{}{path}", self.config.origin);
        let answer = relay::send(self, Method::GET, &path, HeaderMap::new(), &url, None, Bytes::new()).await?;
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match said["held"].as_bool().filter(|_| answer.status.is_success()) {
            Some(held) => Ok(held),
            None => Err(Problem::unavailable("keyholder_unavailable", "the keyholder does not say what is held", 2)),
        }
    }

    /// Removes rows from the oldest on whose time, as the row itself says, lies before.
    async fn remove_older<T: DeserializeOwned>(
        &self,
        table: &str,
        index: &str,
        time_ms: fn(&T) -> i64,
        before_ms: i64,
    ) -> Result<(), Problem> {
        loop {
            let mut over = Vec::new();
            for row in self.page(table, index, &[]).await? {
                match self.opened::<T>(table, &row.id).await? {
                    Some(r) if time_ms(&r) >= before_ms => break,
                    None if !self.is_gone(&row).await? => {}
                    _ => over.push(row),
                }
            }
            if over.is_empty() {
                return Ok(());
            }
            self.remove(table, &over).await?;
        }
    }
}

/// Erases a delivery, or the wallet with everything: the keyholder judges the passkey's statement and erases first; then goes
/// what lies here.
#[utoipa::path(post, path = "/v1/wallet/erasures", request_body = Confirmed, security(("session" = [])),
    responses((status = 200, body = Value)))]
pub(crate) async fn erase(
    State(front): State<Arc<Front>>,
    Extension(public): Extension<Public>,
    headers: HeaderMap,
    StrictJson { value, bytes }: StrictJson<Confirmed>,
) -> Result<Response, Problem> {
    if public.site != Site::Wallet {
        return Err(Problem::new(404, "not_found", "this route is the wallet's"));
    }
    let wallet = sessions::of(&front, &headers).await?;
    let wrong = || Problem::new(400, "statement_wrong_type", "this route takes a statement of type erase");
    let statement = from_b64(&value.statement).and_then(|s| Statement::parse(&s).ok()).ok_or_else(wrong)?;
    let Said::Erase { wallet: says, erased } = statement.said else { return Err(wrong()) };
    if says != wallet {
        return Err(Problem::new(403, "statement_wrong_wallet", "this statement is another wallet's"));
    }
    let body = String::from_utf8(bytes.to_vec()).map_err(|_| Problem::new(400, "body_not_json", "not UTF-8"))?;
    let answer = relay::ask(&front, "/v1/wallet/erasures", body).await?;
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    // Its keyholder has erased the wallet before, and the answer was lost on the way.
    let gone = answer.status == StatusCode::NOT_FOUND && said["code"] == "wallet_unknown";
    if answer.status != StatusCode::OK && !gone {
        return Ok(answer.into_response());
    }
    for delivery in said["deliveries"].as_array().into_iter().flatten() {
        if let Some(id) = delivery.as_str().and_then(|d| DeliveryId::parse(d).ok()) {
            front.erase_delivery(id).await?;
        }
    }
    if erased == ToErase::Wallet {
        front.erase_wallet(wallet).await?;
    }
    let mut response = if gone {
        Json(serde_json::json!({"erased": "wallet", "deliveries": []})).into_response()
    } else {
        answer.into_response()
    };
    if erased == ToErase::Wallet {
        // The session is gone; its page keeps no name of it either.
        response.headers_mut().append(header::SET_COOKIE, cookie::cleared(sessions::COOKIE));
    }
    Ok(response)
}
