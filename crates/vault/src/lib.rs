//! What lies sealed at rest, and how it is forgotten.
//!
//! What it is: personal data is sealed with AES-256-GCM under a *data key* of its owner (a delivery, a wallet, a courier).
//! Data keys are rows of the key store, a file that no backup holds, wrapped by an *epoch key*, which lies in neither. Whoever
//! destroys an owner's data key has erased everything under it, in every copy of the data; whoever turns the epoch over has
//! made every old copy of the key store worthless. What it is not: it knows no table and decides nothing about deadlines.
//!
//! The three types to know: [`Vault`], [`Kms`] (the port behind which epoch keys lie), [`Epochs`] (epoch keys in files).

mod epochs;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use parcelshelf_core::time::{Entropy, Timestamp, random};
use parcelshelf_store::StoreError;
use parcelshelf_store::keys::{KeyStore, Wrapped};
use zeroize::Zeroizing;

pub use epochs::{Epochs, Rotated, rotate, write_first};

/// Data keys kept in memory; above, all are read again.
const CACHED_MAX: usize = 10_000;
/// Longest name of an owner, bytes.
pub const OWNER_BYTES_MAX: usize = 128;
/// What a sealed row begins with. Rows that are not sealed are JSON and begin with `{`.
const SEALED: u8 = 1;

/// Where epoch keys are: they wrap data keys and never come out. A service of the machine's maker or a token can stand here.
#[async_trait::async_trait]
pub trait Kms: Send + Sync + 'static {
    /// The epoch that new keys are wrapped under.
    fn current(&self) -> u32;
    /// Wraps a data key of `owner` under the current epoch key.
    ///
    /// # Errors
    /// [`KmsError`].
    async fn wrap(&self, owner: &str, key: &[u8; 32]) -> Result<Wrapped, KmsError>;
    /// Unwraps a data key. `None` when its epoch key is gone, or it is not what was wrapped for this owner.
    ///
    /// # Errors
    /// [`KmsError`].
    async fn unwrap(&self, owner: &str, wrapped: &Wrapped) -> Result<Option<Zeroizing<[u8; 32]>>, KmsError>;
}

/// The holder of the epoch keys did not do it.
#[derive(Debug, thiserror::Error)]
#[error("epoch keys: {0}")]
pub struct KmsError(pub String);

/// Why something was not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The owner's key was destroyed: nothing more is kept of it.
    #[error("this was erased")]
    Erased,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Kms(#[from] KmsError),
}

/// What a stored row turned out to be.
#[derive(Debug)]
pub enum Row {
    /// Its content.
    Open(Zeroizing<Vec<u8>>),
    /// Its owner's key is gone: the row is bytes without meaning.
    Erased,
    /// Not what was sealed under this table and id.
    Broken,
}

/// Seals and opens under data keys.
pub struct Vault {
    kms: Arc<dyn Kms>,
    keys: Arc<dyn KeyStore>,
    entropy: Arc<dyn Entropy>,
    cache: Mutex<Cache>,
}
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

#[derive(Default)]
struct Cache {
    keys: HashMap<String, Arc<LessSafeKey>>,
    /// How many were destroyed: what was read before one went is not kept after it.
    destroyed: u64,
}

impl Vault {
    #[must_use]
    pub fn new(kms: Arc<dyn Kms>, keys: Arc<dyn KeyStore>, entropy: Arc<dyn Entropy>) -> Self {
        Self { kms, keys, entropy, cache: Mutex::default() }
    }

    /// The store of wrapped keys.
    #[must_use]
    pub fn keys(&self) -> &dyn KeyStore {
        &*self.keys
    }

    /// Seals under the data key of `owner`, making it first if need be: it is durable before this returns.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn seal(&self, owner: &str, about: &[u8], content: &[u8]) -> Result<Vec<u8>, VaultError> {
        let key = match self.key(owner).await? {
            Some(key) => key,
            None => self.make_key(owner).await?,
        };
        Ok(encrypt(&key, random(&*self.entropy), about, content))
    }

    /// Opens; `None` when the key is gone (erased) or the bytes are not ours.
    ///
    /// # Errors
    /// [`VaultError`]: it cannot be known now.
    pub async fn open(
        &self,
        owner: &str,
        about: &[u8],
        sealed: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        Ok(self.key(owner).await?.and_then(|key| decrypt(&key, about, sealed)))
    }

    /// A whole row, sealed for its owner, whose name it carries.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn seal_row(&self, owner: &str, table: &str, id: &[u8], content: &[u8]) -> Result<Vec<u8>, VaultError> {
        debug_assert!(owner.len() <= OWNER_BYTES_MAX, "owners have short names");
        let sealed = self.seal(owner, &about_row(table, id), content).await?;
        let length = u8::try_from(owner.len()).unwrap_or(u8::MAX);
        Ok([&[SEALED, length], owner.as_bytes(), &sealed].concat())
    }

    /// Reads a row that [`Vault::seal_row`] wrote, or one that is not sealed.
    ///
    /// # Errors
    /// [`VaultError`]: it cannot be known now.
    pub async fn open_row(&self, table: &str, id: &[u8], state: &[u8]) -> Result<Row, VaultError> {
        if state.first() == Some(&b'{') {
            return Ok(Row::Open(Zeroizing::new(state.to_vec())));
        }
        let Some((owner, sealed)) = parts(state) else { return Ok(Row::Broken) };
        let Some(key) = self.key(owner).await? else { return Ok(Row::Erased) };
        Ok(decrypt(&key, &about_row(table, id), sealed).map_or(Row::Broken, Row::Open))
    }

    /// Erases: destroys the owner's key, durably. What it sealed can never be opened again, and the owner gets no new key.
    ///
    /// # Errors
    /// [`VaultError`] when the key may still be there.
    pub async fn destroy(&self, owner: &str, at: Timestamp) -> Result<(), VaultError> {
        let done = self.keys.destroy(owner.as_bytes(), at).await;
        let mut cache = self.cache();
        cache.destroyed += 1;
        cache.keys.remove(owner);
        drop(cache);
        done?;
        Ok(())
    }

    /// Whether the owner's key was destroyed, as far as the key store remembers.
    ///
    /// # Errors
    /// [`VaultError`]: it cannot be known now.
    pub async fn is_erased(&self, owner: &str) -> Result<bool, VaultError> {
        Ok(self.keys.is_destroyed(owner.as_bytes()).await?)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn key(&self, owner: &str) -> Result<Option<Arc<LessSafeKey>>, VaultError> {
        let destroyed = {
            let cache = self.cache();
            if let Some(key) = cache.keys.get(owner) {
                return Ok(Some(Arc::clone(key)));
            }
            cache.destroyed
        };
        let Some(wrapped) = self.keys.get(owner.as_bytes()).await? else { return Ok(None) };
        // Epochs go from the oldest on. One that is newer than ours was not destroyed: its folder is another one.
        if wrapped.epoch > self.kms.current() {
            let missing = format!("epoch key {} is not here: put the folder of epoch keys back", wrapped.epoch);
            return Err(KmsError(missing).into());
        }
        let Some(bytes) = self.kms.unwrap(owner, &wrapped).await? else { return Ok(None) };
        Ok(Some(self.remember(owner, &bytes, destroyed)))
    }

    async fn make_key(&self, owner: &str) -> Result<Arc<LessSafeKey>, VaultError> {
        let destroyed = self.cache().destroyed;
        let fresh = Zeroizing::new(random::<32>(&*self.entropy));
        let wrapped = self.kms.wrap(owner, &fresh).await?;
        if self.keys.put_new(owner.as_bytes(), &wrapped).await? {
            return Ok(self.remember(owner, &fresh, destroyed));
        }
        // Another request was faster: use its key. Or there must not be one.
        self.key(owner).await?.ok_or(VaultError::Erased)
    }

    fn remember(&self, owner: &str, bytes: &[u8; 32], destroyed_before: u64) -> Arc<LessSafeKey> {
        let key = Arc::new(aes(bytes));
        let mut cache = self.cache();
        if cache.destroyed == destroyed_before {
            if cache.keys.len() >= CACHED_MAX {
                cache.keys.clear();
            }
            cache.keys.insert(owner.to_owned(), Arc::clone(&key));
        }
        drop(cache);
        key
    }
}

/// Whose a stored row is; `None` for one that is not sealed.
#[must_use]
pub fn owner_of(state: &[u8]) -> Option<&str> {
    parts(state).map(|(owner, _)| owner)
}

fn parts(state: &[u8]) -> Option<(&str, &[u8])> {
    let (&[kind, length], rest) = state.split_first_chunk::<2>()?;
    let (owner, sealed) = rest.split_at_checked(usize::from(length))?;
    (kind == SEALED).then_some(())?;
    Some((core::str::from_utf8(owner).ok()?, sealed))
}

fn about_row(table: &str, id: &[u8]) -> Vec<u8> {
    [b"psh-sealed-row-v1\0", table.as_bytes(), b"\0", id].concat()
}

fn aes(bytes: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes are an AES-256 key"))
}

fn encrypt(key: &LessSafeKey, nonce: [u8; NONCE_LEN], about: &[u8], content: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(NONCE_LEN + content.len() + 16);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(content);
    let body = &mut sealed[NONCE_LEN..];
    // Encryption fails only for contents of more than 2^36 bytes.
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(about), body)
        .expect("rows are bounded far below what AES-GCM takes");
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

fn decrypt(key: &LessSafeKey, about: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut bytes = Zeroizing::new(rest.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = key.open_in_place(nonce, Aad::from(about), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use parcelshelf_store::keys::MemoryKeys;

    use super::*;

    /// Never the same twice, which is all that nonces need.
    #[derive(Debug, Default)]
    pub(crate) struct Counter(AtomicU64);
    impl Entropy for Counter {
        fn fill(&self, bytes: &mut [u8]) {
            for chunk in bytes.chunks_mut(8) {
                let next = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
                chunk.copy_from_slice(&next[..chunk.len()]);
            }
        }
    }

    fn vault(keys: &Arc<MemoryKeys>, storage: u8) -> Vault {
        let entropy: Arc<dyn Entropy> = Arc::new(Counter(AtomicU64::new(u64::from(storage) << 32)));
        let keys: Arc<dyn KeyStore> = Arc::<MemoryKeys>::clone(keys);
        Vault::new(Arc::new(Epochs::derived(&[storage; 32], Arc::clone(&entropy))), keys, entropy)
    }
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[tokio::test]
    async fn what_is_sealed_opens_for_its_owner_and_purpose_only() {
        let keys = Arc::new(MemoryKeys::default());
        let v = vault(&keys, 1);
        let sealed = v.seal("wallet/a", b"car", b"a VIN").await.unwrap();
        v.seal("wallet/b", b"car", b"another").await.unwrap();
        assert_eq!(v.open("wallet/a", b"car", &sealed).await.unwrap().unwrap().as_slice(), b"a VIN");
        assert!(v.open("wallet/b", b"car", &sealed).await.unwrap().is_none());
        assert!(v.open("wallet/a", b"token", &sealed).await.unwrap().is_none());
        assert!(v.open("wallet/nobody", b"car", &sealed).await.unwrap().is_none());
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert!(v.open("wallet/a", b"car", &other).await.unwrap().is_none(), "byte {at}");
        }
        // A key of an epoch that has not been here yet was not destroyed: the folder is another one.
        let elsewhere = Arc::new(MemoryKeys::default());
        let mut wrapped = keys.get(b"wallet/a").await.unwrap().unwrap();
        wrapped.epoch += 1;
        assert!(elsewhere.put_new(b"wallet/a", &wrapped).await.unwrap());
        assert!(matches!(vault(&elsewhere, 1).open("wallet/a", b"car", &sealed).await, Err(VaultError::Kms(_))));
        // The same keys without the epoch key are nothing.
        assert!(vault(&keys, 2).open("wallet/a", b"car", &sealed).await.is_ok_and(|o| o.is_none()));
    }

    #[tokio::test]
    async fn a_row_names_its_owner_and_nothing_else() {
        let v = vault(&Arc::new(MemoryKeys::default()), 1);
        let row = v.seal_row("wallet/a", "vehicle", b"id", b"{\"vin\":\"needle\"}").await.unwrap();
        assert_eq!(owner_of(&row), Some("wallet/a"));
        assert!(!row.windows(6).any(|w| w == b"needle"));
        let open = async |table: &str, id: &[u8], row: &[u8]| v.open_row(table, id, row).await.unwrap();
        assert!(matches!(open("vehicle", b"id", &row).await, Row::Open(c) if c.as_slice() == b"{\"vin\":\"needle\"}"));
        assert!(matches!(open("vehicle", b"other", &row).await, Row::Broken), "a row stays where it is");
        assert!(matches!(open("account", b"id", &row).await, Row::Broken));
        assert!(matches!(open("nonce", b"id", b"{\"v\":1}").await, Row::Open(_)), "not every row is sealed");
        assert_eq!(owner_of(b"{\"v\":1}"), None);
        for cut in 0..row.len() {
            assert!(!matches!(open("vehicle", b"id", &row[..cut]).await, Row::Open(_)), "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn an_owner_whose_key_was_destroyed_is_erased_and_stays_so() {
        let keys = Arc::new(MemoryKeys::default());
        let v = vault(&keys, 1);
        let row = v.seal_row("delivery/a", "grant", b"a", b"{}").await.unwrap();
        let others = v.seal_row("delivery/b", "grant", b"b", b"{}").await.unwrap();
        assert!(!v.is_erased("delivery/a").await.unwrap());
        v.destroy("delivery/a", NOW).await.unwrap();
        assert!(v.is_erased("delivery/a").await.unwrap());
        assert!(matches!(v.open_row("grant", b"a", &row).await.unwrap(), Row::Erased));
        assert!(matches!(v.seal("delivery/a", b"", b"more").await, Err(VaultError::Erased)), "nothing new is kept");
        assert!(matches!(v.open_row("grant", b"b", &others).await.unwrap(), Row::Open(_)));
        // Also for whoever comes with the same files later.
        let later = vault(&keys, 1);
        assert!(matches!(later.open_row("grant", b"a", &row).await.unwrap(), Row::Erased));
        assert!(matches!(later.open_row("grant", b"b", &others).await.unwrap(), Row::Open(_)));
    }
}
