//! What the front keeps: accounts, sessions, devices to wake, sealed photos. Every row is sealed once more for its wallet or delivery, so that an
//! erasure reaches backups of the front, too. A passkey's name is kept as its hash.

use std::collections::BTreeMap;

use parcelshelf_core::id::{DeliveryId, WalletId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::sha256;
use parcelshelf_store::{JournalWrite, Put, Version};
use parcelshelf_vault::{Row, VaultError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Front;

pub(crate) const ACCOUNTS: &str = "account";
pub(crate) const SESSIONS: &str = "session";
pub(crate) const CREDENTIALS: &str = "credential";
pub(crate) const PHOTOS: &str = "photo";
pub(crate) const SEED_BOXES: &str = "seed_box";
pub(crate) const PUSHES: &str = "push";
/// Index of rows by their wallet.
pub(crate) const WALLET: &str = "wallet";
/// Index of sessions and of devices to wake by their end.
pub(crate) const EXPIRES: &str = "expires";
/// Index of photos by their day.
pub(crate) const SINCE: &str = "since";

macro_rules! rows {
    ($($(#[$doc:meta])+ $name:ident in $table:literal { $($field:ident: $ty:ty),+ $(,)? })+) => {$(
        $(#[$doc])+
        #[derive(Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name { pub v: u8, $(pub $field: $ty),+ }
    )+
    /// Every table with its fields: what docs/retention.md must explain.
    pub(crate) const TABLES: &[(&str, &[&str])] = &[$(($table, &[$(stringify!($field)),+])),+];};
}

rows! {
    /// A wallet's passkey for logging in.
    AccountRow in "account" { wallet: String, credential_id: String, jwk: String }
    /// The same, found by the hash of the passkey's id.
    CredentialRow in "credential" { wallet: String, credential_id: String, jwk: String }
    /// The id is the hash of the token: whoever reads the store cannot log in.
    SessionRow in "session" { wallet: String, expires_ms: i64 }
    /// The wallet's seed, wrapped by its passkey's secret; the id is the wallet's.
    SeedBoxRow in "seed_box" { wrapped: String }
    /// Where a push service takes messages for a device of this wallet; the id is the wallet's and a hash of the address.
    PushRow in "push" { wallet: String, endpoint: String, until_ms: i64 }
    /// A photo, sealed to the owner's key of this grant; the id is the delivery's and the hash of the box.
    PhotoRow in "photo" { photo: String, day_ms: i64 }
}

type Index = BTreeMap<String, Vec<u8>>;

pub(crate) fn wallet_owner(wallet: WalletId) -> String {
    format!("wallet/{wallet}")
}
pub(crate) fn delivery_owner(delivery: DeliveryId) -> String {
    format!("delivery/{delivery}")
}
/// How a passkey is found again.
pub(crate) fn credential_name(credential_id: &[u8]) -> Vec<u8> {
    sha256([b"psh-credential-v1\0", credential_id].concat()).as_bytes().to_vec()
}

pub(crate) fn of_wallet(wallet: WalletId) -> Index {
    Index::from([(WALLET.to_owned(), wallet.as_bytes().to_vec())])
}
pub(crate) fn of_wallet_until(wallet: WalletId, expires_ms: i64) -> Index {
    let mut index = of_wallet(wallet);
    index.insert(EXPIRES.to_owned(), expires_ms.unsigned_abs().to_be_bytes().to_vec());
    index
}
/// The day is enough for a deadline of many.
pub(crate) fn day_of(now: Timestamp) -> i64 {
    now.rounded_down_to_minutes(24 * 60).unix_millis()
}
pub(crate) fn kept_since(day_ms: i64) -> Index {
    Index::from([(SINCE.to_owned(), day_ms.unsigned_abs().to_be_bytes().to_vec())])
}

/// A journal entry: ids and codes only.
pub(crate) fn entry(table: &str, id: &[u8], kind: &str) -> JournalWrite {
    JournalWrite { table: table.to_owned(), id: id.to_vec(), kind: kind.to_owned(), event: b"{}".to_vec() }
}

pub(crate) fn vault_problem(error: VaultError) -> Problem {
    match error {
        VaultError::Erased => Problem::new(410, "erased", "this was erased").detail("nothing more is kept of it"),
        VaultError::Store(error) => Problem::store(&error),
        other @ VaultError::Kms(_) => Problem::internal(&other),
    }
}

impl Front {
    /// A new row, sealed for its owner.
    pub(crate) async fn sealed(
        &self,
        owner: &str,
        table: &str,
        id: &[u8],
        row: &impl Serialize,
        index: Index,
    ) -> Result<Put, Problem> {
        // Rows are texts and numbers, which JSON can write.
        let content = serde_json::to_vec(row).expect("rows are plain data");
        let state = self.vault.seal_row(owner, table, id, &content).await.map_err(vault_problem)?;
        Ok(Put { table: table.to_owned(), id: id.to_vec(), expected: Version::Absent, state, index })
    }

    /// A row, if there is one that was not erased.
    pub(crate) async fn opened<T: DeserializeOwned>(&self, table: &str, id: &[u8]) -> Result<Option<T>, Problem> {
        let Some(row) = self.engine.get(table, id).await.map_err(|e| Problem::store(&e))? else { return Ok(None) };
        match self.vault.open_row(table, id, &row.state).await.map_err(vault_problem)? {
            Row::Open(content) => serde_json::from_slice(&content).map(Some).map_err(|e| Problem::internal(&e)),
            Row::Erased => Ok(None),
            Row::Broken => Err(Problem::unavailable("store_unavailable", "a row cannot be read", 60)),
        }
    }
}
