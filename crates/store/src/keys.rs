//! Data keys, in a file of their own that no backup and no history holds.
//!
//! Personal data in the other store is sealed under a data key per delivery or wallet; the keys lie here, wrapped by an
//! epoch key that is in neither. Destroying a key here erases what it sealed, in every copy of the other store. So this
//! file has no write-ahead log and no free pages with old content (`journal_mode=TRUNCATE`, `secure_delete`), and a key is
//! durable before the first row that uses it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::sqlite::{create_private, engine};
use crate::{KEY_BYTES_MAX, StoreError};

/// Largest wrapped key, bytes.
pub const WRAPPED_BYTES_MAX: usize = 512;

/// Says that a file is one of these ("PSK1"), and not the other store.
const APPLICATION_ID: i32 = 0x5053_4b31;

/// A store of wrapped data keys.
#[async_trait::async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// Stores a new key; durable when this returns. Returns whether it is new: an existing key is never replaced.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored; then the key must not be used.
    async fn put_new(&self, id: &[u8], wrapped: &[u8]) -> Result<bool, StoreError>;
    async fn get(&self, id: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Overwrites and removes a key; durable when this returns. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`] when it may still be there.
    async fn destroy(&self, id: &[u8]) -> Result<bool, StoreError>;
    /// How many keys there are.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    async fn count(&self) -> Result<u64, StoreError>;
}

/// Wrapped keys kept in memory besides: every open row asks for one, and the file's lock may be waiting for the disk.
const KEPT_MAX: usize = 8_192;

/// Keys in a file.
pub struct KeyFile {
    file: Arc<Mutex<Connection>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    keys: HashMap<Vec<u8>, Vec<u8>>,
    /// How many keys were destroyed: what was read before one went is not kept after it.
    destroyed: u64,
}
impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFile")
    }
}

impl KeyFile {
    /// Opens or creates the file at `path`, readable by its owner only.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be opened, or is another program's or another kind of store.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        create_private(path).map_err(|e| StoreError::Engine(Box::new(e)))?;
        let connection = Connection::open(path).map_err(engine)?;
        let application: i32 = connection.query_row("PRAGMA application_id", [], |r| r.get(0)).map_err(engine)?;
        let tables: i64 =
            connection.query_row("SELECT COUNT(*) FROM sqlite_master", [], |r| r.get(0)).map_err(engine)?;
        if application != APPLICATION_ID && (application != 0 || tables != 0) {
            return Err(StoreError::Corrupt { table: String::from("(file)"), what: "the file is not a key store" });
        }
        connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(engine)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;
                 CREATE TABLE IF NOT EXISTS keys (id BLOB PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID;",
            )
            .map_err(engine)?;
        Ok(Self { file: Arc::new(Mutex::new(connection)), kept: Mutex::default() })
    }

    /// On another thread: writes here wait for the disk.
    async fn with<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || what(&connection.lock().unwrap_or_else(PoisonError::into_inner)))
            .await
            .map_err(|e| StoreError::Engine(Box::new(e)))?
            .map_err(engine)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn keep(&self, id: &[u8], wrapped: &[u8], destroyed_before: u64) {
        let mut kept = self.kept();
        if kept.destroyed != destroyed_before {
            return;
        }
        if kept.keys.len() >= KEPT_MAX {
            kept.keys.clear();
        }
        kept.keys.insert(id.to_vec(), wrapped.to_vec());
    }
}

const fn bounded(id: &[u8], wrapped: &[u8]) -> Result<(), StoreError> {
    if id.len() > KEY_BYTES_MAX || wrapped.len() > WRAPPED_BYTES_MAX {
        return Err(StoreError::Corrupt { table: String::new(), what: "a key or its name is too long" });
    }
    Ok(())
}

#[async_trait::async_trait]
impl KeyStore for KeyFile {
    async fn put_new(&self, id: &[u8], wrapped: &[u8]) -> Result<bool, StoreError> {
        bounded(id, wrapped)?;
        let (row, stored, destroyed) = (id.to_vec(), wrapped.to_vec(), self.kept().destroyed);
        let new = self.with(move |c| {
            c.prepare_cached("INSERT INTO keys (id, wrapped) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute(params![row, stored])
                .map(|n| n == 1)
        });
        let new = new.await?;
        if new {
            self.keep(id, wrapped, destroyed);
        }
        Ok(new)
    }
    async fn get(&self, id: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let destroyed = {
            let kept = self.kept();
            if let Some(wrapped) = kept.keys.get(id) {
                return Ok(Some(wrapped.clone()));
            }
            kept.destroyed
        };
        let row = id.to_vec();
        let found: Option<Vec<u8>> = self
            .with(move |c| {
                c.prepare_cached("SELECT wrapped FROM keys WHERE id = ?1")?
                    .query_row(params![row], |r| r.get(0))
                    .optional()
            })
            .await?;
        if let Some(wrapped) = &found {
            self.keep(id, wrapped, destroyed);
        }
        Ok(found)
    }
    async fn destroy(&self, id: &[u8]) -> Result<bool, StoreError> {
        let row = id.to_vec();
        let gone = self
            .with(move |c| c.prepare_cached("DELETE FROM keys WHERE id = ?1")?.execute(params![row]).map(|n| n == 1))
            .await;
        let mut kept = self.kept();
        kept.destroyed += 1;
        kept.keys.remove(id);
        gone
    }
    async fn count(&self) -> Result<u64, StoreError> {
        self.with(|c| c.query_row("SELECT COUNT(*) FROM keys", [], |r| r.get(0))).await
    }
}

/// Keys in memory, for tests.
#[derive(Default)]
pub struct MemoryKeys(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);
impl fmt::Debug for MemoryKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryKeys")
    }
}

#[async_trait::async_trait]
impl KeyStore for MemoryKeys {
    async fn put_new(&self, id: &[u8], wrapped: &[u8]) -> Result<bool, StoreError> {
        bounded(id, wrapped)?;
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.contains_key(id) {
            return Ok(false);
        }
        keys.insert(id.to_vec(), wrapped.to_vec());
        Ok(true)
    }
    async fn get(&self, id: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned())
    }
    async fn destroy(&self, id: &[u8]) -> Result<bool, StoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id).is_some())
    }
    async fn count(&self) -> Result<u64, StoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }
}
