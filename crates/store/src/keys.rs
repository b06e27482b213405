//! Data keys, in a file of their own that no backup and no history holds.
//!
//! Personal data in the other store is sealed under a data key per delivery or wallet; the keys lie here, wrapped by an
//! epoch key that is in neither. Destroying a key here erases what it sealed, in every copy of the other store. So this
//! file has no write-ahead log and no free pages with old content (`journal_mode=TRUNCATE`, `secure_delete`), and a key is
//! durable before the first row that uses it. Of a destroyed key its name stays for a while: whoever restores an old copy of
//! the other store is told by it what must go again, and nobody makes the key anew.
//!
//! One process has the file: who would wrap keys anew beside a running service would lose those that it makes meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parcelshelf_core::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use tokio::sync::oneshot;

use crate::sqlite::{create_private, engine};
use crate::{KEY_BYTES_MAX, StoreError};

/// Largest wrapped key, bytes.
pub const WRAPPED_BYTES_MAX: usize = 512;
/// Most names in one answer.
pub const NAMES_MAX: u32 = 500;

/// Says that a file is one of these ("PSK1"), and not the other store.
const APPLICATION_ID: i32 = 0x5053_4b31;
/// 2: every key says which epoch key wraps it, and destroyed ones leave their names.
const SCHEMA: i32 = 2;
/// A process that is just ending may hold the file for a moment.
const BUSY: Duration = Duration::from_secs(5);

/// A data key under the epoch key of a number.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrapped {
    pub epoch: u32,
    pub bytes: Vec<u8>,
}
impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrapped(epoch {})", self.epoch)
    }
}

/// A key's name and what is stored of it.
pub type Named = (Vec<u8>, Wrapped);

/// A store of wrapped data keys.
#[async_trait::async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// Stores a new key; durable when this returns. Returns whether it is new: an existing key is never replaced, and a
    /// destroyed one is never made again while its name is remembered.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be stored; then the key must not be used.
    async fn put_new(&self, id: &[u8], wrapped: &Wrapped) -> Result<bool, StoreError>;
    async fn get(&self, id: &[u8]) -> Result<Option<Wrapped>, StoreError>;
    /// Overwrites and removes a key, and remembers its name; durable when this returns. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`] when it may still be there.
    async fn destroy(&self, id: &[u8], at: Timestamp) -> Result<bool, StoreError>;
    /// Whether a key was destroyed, as far as that is remembered.
    ///
    /// # Errors
    /// Like every reading verb: [`StoreError`] when the file cannot be read.
    async fn is_destroyed(&self, id: &[u8]) -> Result<bool, StoreError>;
    /// Names of destroyed keys after `after` in the order of names, at most [`NAMES_MAX`].
    async fn destroyed(&self, after: &[u8]) -> Result<Vec<Vec<u8>>, StoreError>;
    /// Forgets the names of keys destroyed before `before`; returns how many. Older copies of the other store must be gone.
    async fn forget_destroyed(&self, before: Timestamp) -> Result<u64, StoreError>;
    /// How many keys there are.
    async fn count(&self) -> Result<u64, StoreError>;
    /// Keys after `after` that another epoch key than this one wraps, at most [`NAMES_MAX`].
    async fn not_of_epoch(&self, epoch: u32, after: &[u8]) -> Result<Vec<Named>, StoreError>;
    /// Puts these in place of what is stored under their names, all or none; names that are gone stay gone.
    async fn rewrap(&self, keys: Vec<Named>) -> Result<(), StoreError>;
}

/// Wrapped keys kept in memory besides: every open row asks for one, and the file's lock may be waiting for the disk.
const KEPT_MAX: usize = 8_192;

/// A key on its way into the file, and who waits for it.
struct Waiting {
    id: Vec<u8>,
    wrapped: Wrapped,
    answer: oneshot::Sender<Result<bool, StoreError>>,
}

/// Keys in a file.
pub struct KeyFile {
    file: Arc<Mutex<Connection>>,
    /// Whoever gets the file writes all of them in one transaction: a flush costs the same for one and for fifty.
    waiting: Arc<Mutex<Vec<Waiting>>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    keys: HashMap<Vec<u8>, Wrapped>,
    /// How often keys were destroyed or wrapped anew: what was read before is not kept after it.
    changed: u64,
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
    /// [`StoreError`] when it cannot be opened, another process has it, or it is another program's or another kind of store.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        create_private(path).map_err(|e| StoreError::Engine(Box::new(e)))?;
        let mut connection = Connection::open(path).map_err(engine)?;
        connection.busy_timeout(BUSY).map_err(engine)?;
        let wrong = |what| StoreError::Corrupt { table: String::from("(file)"), what };
        let application: i32 = connection.query_row("PRAGMA application_id", [], |r| r.get(0)).map_err(busy)?;
        let tables: i64 = connection.query_row("SELECT COUNT(*) FROM sqlite_master", [], |r| r.get(0)).map_err(busy)?;
        if application != APPLICATION_ID && (application != 0 || tables != 0) {
            return Err(wrong("the file is not a key store"));
        }
        connection
            .execute_batch(
                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=FULL;
                 PRAGMA secure_delete=ON;",
            )
            .map_err(busy)?;
        // Writes at every start, so that the file is ours from here on.
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive).map_err(busy)?;
        let schema: i32 = transaction.query_row("PRAGMA user_version", [], |r| r.get(0)).map_err(engine)?;
        if schema > SCHEMA {
            return Err(wrong("the file was written by a newer version"));
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(engine)?;
        transaction
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS keys (id BLOB PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID;",
            )
            .map_err(engine)?;
        if schema < SCHEMA {
            transaction
                .execute_batch(
                    "ALTER TABLE keys ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
                     CREATE TABLE destroyed (id BLOB PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID;",
                )
                .map_err(engine)?;
        }
        transaction.pragma_update(None, "user_version", SCHEMA).map_err(engine)?;
        transaction.commit().map_err(engine)?;
        Ok(Self { file: Arc::new(Mutex::new(connection)), waiting: Arc::default(), kept: Mutex::default() })
    }

    /// On another thread: writes here wait for the disk.
    async fn with<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || what(&mut connection.lock().unwrap_or_else(PoisonError::into_inner)))
            .await
            .map_err(|e| StoreError::Engine(Box::new(e)))?
            .map_err(engine)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn keep(&self, id: &[u8], wrapped: &Wrapped, changed_before: u64) {
        let mut kept = self.kept();
        if kept.changed != changed_before {
            return;
        }
        if kept.keys.len() >= KEPT_MAX {
            kept.keys.clear();
        }
        kept.keys.insert(id.to_vec(), wrapped.clone());
    }
}

/// Another process has the file: say so.
fn busy(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Engine("another process has this key store: stop the service first".into())
        }
        _ => engine(error),
    }
}

const fn bounded(id: &[u8], wrapped: &Wrapped) -> Result<(), StoreError> {
    if id.len() > KEY_BYTES_MAX || wrapped.bytes.len() > WRAPPED_BYTES_MAX {
        return Err(StoreError::Corrupt { table: String::new(), what: "a key or its name is too long" });
    }
    Ok(())
}

/// Everything that waits, in one transaction.
fn write_waiting(connection: &mut Connection, waiting: &Mutex<Vec<Waiting>>) {
    let group = std::mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner));
    if group.is_empty() {
        return;
    }
    let written = (|| -> rusqlite::Result<Vec<bool>> {
        let transaction = connection.transaction()?;
        let new = {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO keys (id, epoch, wrapped) SELECT ?1, ?2, ?3
                 WHERE NOT EXISTS (SELECT 1 FROM destroyed WHERE id = ?1) ON CONFLICT DO NOTHING",
            )?;
            group
                .iter()
                .map(|w| insert.execute(params![w.id, w.wrapped.epoch, w.wrapped.bytes]).map(|n| n == 1))
                .collect::<rusqlite::Result<Vec<_>>>()?
        };
        transaction.commit()?;
        Ok(new)
    })();
    match written {
        Ok(new) => group.into_iter().zip(new).for_each(|(w, new)| drop(w.answer.send(Ok(new)))),
        Err(error) => {
            let error = Arc::new(error);
            for w in group {
                let _ = w.answer.send(Err(StoreError::Engine(Box::new(Arc::clone(&error)))));
            }
        }
    }
}

fn named(row: &rusqlite::Row<'_>) -> rusqlite::Result<Named> {
    Ok((row.get(0)?, Wrapped { epoch: row.get(1)?, bytes: row.get(2)? }))
}

#[async_trait::async_trait]
impl KeyStore for KeyFile {
    async fn put_new(&self, id: &[u8], wrapped: &Wrapped) -> Result<bool, StoreError> {
        bounded(id, wrapped)?;
        let changed = self.kept().changed;
        let (answer, result) = oneshot::channel();
        let ours = Waiting { id: id.to_vec(), wrapped: wrapped.clone(), answer };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(ours);
        let waiting = Arc::clone(&self.waiting);
        self.with(move |c| {
            write_waiting(c, &waiting);
            Ok(())
        })
        .await?;
        let new = result.await.map_err(|_| StoreError::Closed)??;
        if new {
            self.keep(id, wrapped, changed);
        }
        Ok(new)
    }
    async fn get(&self, id: &[u8]) -> Result<Option<Wrapped>, StoreError> {
        let changed = {
            let kept = self.kept();
            if let Some(wrapped) = kept.keys.get(id) {
                return Ok(Some(wrapped.clone()));
            }
            kept.changed
        };
        let row = id.to_vec();
        let found = self
            .with(move |c| {
                c.prepare_cached("SELECT id, epoch, wrapped FROM keys WHERE id = ?1")?
                    .query_row(params![row], named)
                    .optional()
            })
            .await?;
        let found = found.map(|(_, wrapped)| wrapped);
        if let Some(wrapped) = &found {
            self.keep(id, wrapped, changed);
        }
        Ok(found)
    }
    async fn destroy(&self, id: &[u8], at: Timestamp) -> Result<bool, StoreError> {
        let row = id.to_vec();
        let gone = self
            .with(move |c| {
                let transaction = c.transaction()?;
                let gone = transaction.execute("DELETE FROM keys WHERE id = ?1", params![row])? == 1;
                transaction.execute(
                    "INSERT INTO destroyed (id, at_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    params![row, at.unix_millis()],
                )?;
                transaction.commit().map(|()| gone)
            })
            .await;
        let mut kept = self.kept();
        kept.changed += 1;
        kept.keys.remove(id);
        gone
    }
    async fn is_destroyed(&self, id: &[u8]) -> Result<bool, StoreError> {
        let row = id.to_vec();
        self.with(move |c| c.prepare_cached("SELECT 1 FROM destroyed WHERE id = ?1")?.exists(params![row])).await
    }
    async fn destroyed(&self, after: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let after = after.to_vec();
        self.with(move |c| {
            c.prepare_cached("SELECT id FROM destroyed WHERE id > ?1 ORDER BY id LIMIT ?2")?
                .query_map(params![after, NAMES_MAX], |r| r.get(0))?
                .collect()
        })
        .await
    }
    async fn forget_destroyed(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.with(move |c| {
            c.execute("DELETE FROM destroyed WHERE at_ms < ?1", params![before.unix_millis()]).map(|n| n as u64)
        })
        .await
    }
    async fn count(&self) -> Result<u64, StoreError> {
        self.with(|c| c.query_row("SELECT COUNT(*) FROM keys", [], |r| r.get(0))).await
    }
    async fn not_of_epoch(&self, epoch: u32, after: &[u8]) -> Result<Vec<Named>, StoreError> {
        let after = after.to_vec();
        self.with(move |c| {
            c.prepare_cached("SELECT id, epoch, wrapped FROM keys WHERE id > ?1 AND epoch <> ?2 ORDER BY id LIMIT ?3")?
                .query_map(params![after, epoch, NAMES_MAX], named)?
                .collect()
        })
        .await
    }
    async fn rewrap(&self, keys: Vec<Named>) -> Result<(), StoreError> {
        for (id, wrapped) in &keys {
            bounded(id, wrapped)?;
        }
        let done = self
            .with(move |c| {
                let transaction = c.transaction()?;
                {
                    let mut update =
                        transaction.prepare_cached("UPDATE keys SET epoch = ?2, wrapped = ?3 WHERE id = ?1")?;
                    for (id, wrapped) in &keys {
                        update.execute(params![id, wrapped.epoch, wrapped.bytes])?;
                    }
                }
                transaction.commit()
            })
            .await;
        let mut kept = self.kept();
        kept.changed += 1;
        kept.keys.clear();
        done
    }
}

/// Whether a file is a key store, by its first bytes alone: a running service has it, and shares it with nobody.
///
/// # Errors
/// When it cannot be read.
pub fn is_key_store(path: &Path) -> std::io::Result<bool> {
    use std::io::Read as _;
    // Of SQLite's header: its name, and at 68 the application's number.
    let mut header = [0; 72];
    match std::fs::File::open(path)?.read_exact(&mut header) {
        Ok(()) => Ok(header.starts_with(b"SQLite format 3\0") && header.ends_with(&APPLICATION_ID.to_be_bytes())),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

/// Keys in memory, for tests.
#[derive(Default)]
pub struct MemoryKeys(Mutex<Memory>);
#[derive(Default)]
struct Memory {
    keys: BTreeMap<Vec<u8>, Wrapped>,
    destroyed: BTreeMap<Vec<u8>, Timestamp>,
}
impl fmt::Debug for MemoryKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryKeys")
    }
}
impl MemoryKeys {
    fn all(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl KeyStore for MemoryKeys {
    async fn put_new(&self, id: &[u8], wrapped: &Wrapped) -> Result<bool, StoreError> {
        bounded(id, wrapped)?;
        let mut all = self.all();
        if all.keys.contains_key(id) || all.destroyed.contains_key(id) {
            return Ok(false);
        }
        all.keys.insert(id.to_vec(), wrapped.clone());
        Ok(true)
    }
    async fn get(&self, id: &[u8]) -> Result<Option<Wrapped>, StoreError> {
        Ok(self.all().keys.get(id).cloned())
    }
    async fn destroy(&self, id: &[u8], at: Timestamp) -> Result<bool, StoreError> {
        let mut all = self.all();
        all.destroyed.entry(id.to_vec()).or_insert(at);
        Ok(all.keys.remove(id).is_some())
    }
    async fn is_destroyed(&self, id: &[u8]) -> Result<bool, StoreError> {
        Ok(self.all().destroyed.contains_key(id))
    }
    async fn destroyed(&self, after: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let all = self.all();
        Ok(all.destroyed.keys().filter(|id| id.as_slice() > after).take(NAMES_MAX as usize).cloned().collect())
    }
    async fn forget_destroyed(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut all = self.all();
        let many = all.destroyed.len();
        all.destroyed.retain(|_, at| *at >= before);
        Ok((many - all.destroyed.len()) as u64)
    }
    async fn count(&self) -> Result<u64, StoreError> {
        Ok(self.all().keys.len() as u64)
    }
    async fn not_of_epoch(&self, epoch: u32, after: &[u8]) -> Result<Vec<Named>, StoreError> {
        let all = self.all();
        let others = all.keys.iter().filter(|(id, w)| id.as_slice() > after && w.epoch != epoch);
        Ok(others.take(NAMES_MAX as usize).map(|(id, w)| (id.clone(), w.clone())).collect())
    }
    async fn rewrap(&self, keys: Vec<Named>) -> Result<(), StoreError> {
        let mut all = self.all();
        for (id, wrapped) in keys {
            bounded(&id, &wrapped)?;
            if let Some(there) = all.keys.get_mut(&id) {
                *there = wrapped;
            }
        }
        Ok(())
    }
}
