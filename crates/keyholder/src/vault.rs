//! What lies sealed at rest, and the proof that a row is ours.
//!
//! Personal data is sealed with AES-256-GCM under a data key per wallet or per delivery. Data keys are rows of the key
//! store, wrapped by the storage key; destroying one erases everything under it. Every row carries an HMAC over table, id
//! and content: a row that somebody else wrote does not exist.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use parcelshelf_core::time::{Entropy, random};
use parcelshelf_protocol::encoding::{b64, from_b64};
use parcelshelf_store::StoreError;
use parcelshelf_store::keys::KeyStore;
use zeroize::Zeroizing;

/// Data keys kept in memory; above, all are read again.
const CACHED_MAX: usize = 10_000;

/// The key of the proof that nobody else has written to the store.
pub(crate) fn whole_key(storage: &[u8; 32]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, storage);
    let mut derived = [0; 32];
    derived.copy_from_slice(hmac::sign(&key, b"psh-whole-v1").as_ref());
    derived
}

pub(crate) struct Vault {
    wrapping: LessSafeKey,
    mac: hmac::Key,
    vin: hmac::Key,
    keys: Arc<dyn KeyStore>,
    entropy: Arc<dyn Entropy>,
    cache: Mutex<HashMap<String, Arc<LessSafeKey>>>,
}

impl Vault {
    pub fn new(storage: &[u8; 32], keys: Arc<dyn KeyStore>, entropy: Arc<dyn Entropy>) -> Self {
        let derive = |purpose: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, storage);
            Zeroizing::new(hmac::sign(&key, purpose).as_ref().to_vec())
        };
        Self {
            wrapping: aes(&derive(b"psh-wrap-v1")),
            mac: hmac::Key::new(hmac::HMAC_SHA256, &derive(b"psh-row-v1")),
            vin: hmac::Key::new(hmac::HMAC_SHA256, &derive(b"psh-vin-v1")),
            keys,
            entropy,
            cache: Mutex::default(),
        }
    }

    pub fn row_mac(&self, table: &str, id: &[u8], content: &[u8]) -> Vec<u8> {
        hmac::sign(&self.mac, &mac_input(table, id, content)).as_ref().to_vec()
    }
    pub fn row_is_ours(&self, table: &str, id: &[u8], content: &[u8], mac: &[u8]) -> bool {
        hmac::verify(&self.mac, &mac_input(table, id, content), mac).is_ok()
    }
    /// A name for something that must not be stored itself, such as a parking.
    pub fn pseudonym(&self, purpose: &str, value: &[u8]) -> String {
        b64(&hmac::sign(&self.mac, &mac_input(purpose, b"pseudonym", value)).as_ref()[..16])
    }

    /// The name of a car, whoever linked it. Nobody without our key can tell which VIN it stands for.
    pub fn car_name(&self, vin: &str) -> [u8; 32] {
        hmac::sign(&self.vin, vin.as_bytes()).as_ref().try_into().unwrap_or_default()
    }

    /// Seals under the data key of `owner`, making it first if need be: it is durable before this returns.
    pub async fn seal(&self, owner: &str, about: &str, content: &[u8]) -> Result<String, StoreError> {
        let key = match self.key(owner).await? {
            Some(key) => key,
            None => self.make_key(owner).await?,
        };
        Ok(b64(self.encrypt(&key, about, content)))
    }

    /// Opens; `None` when the key is gone (erased) or the text is not ours.
    pub async fn open(&self, owner: &str, about: &str, sealed: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some(key) = self.key(owner).await? else { return Ok(None) };
        Ok(from_b64(sealed).and_then(|s| decrypt(&key, about, &s)))
    }

    async fn key(&self, owner: &str) -> Result<Option<Arc<LessSafeKey>>, StoreError> {
        if let Some(key) = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(owner) {
            return Ok(Some(Arc::clone(key)));
        }
        let Some(wrapped) = self.keys.get(owner.as_bytes()).await? else { return Ok(None) };
        let Some(bytes) = decrypt(&self.wrapping, owner, &wrapped) else { return Ok(None) };
        Ok(Some(self.remember(owner, &bytes)))
    }

    async fn make_key(&self, owner: &str) -> Result<Arc<LessSafeKey>, StoreError> {
        let fresh = Zeroizing::new(random::<32>(&*self.entropy));
        let wrapped = self.encrypt(&self.wrapping, owner, &*fresh);
        if self.keys.put_new(owner.as_bytes(), &wrapped).await? {
            return Ok(self.remember(owner, &*fresh));
        }
        // Another request was faster: use its key.
        self.key(owner).await?.ok_or(StoreError::Closed)
    }

    fn remember(&self, owner: &str, bytes: &[u8]) -> Arc<LessSafeKey> {
        let key = Arc::new(aes(bytes));
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED_MAX {
            cache.clear();
        }
        cache.insert(owner.to_owned(), Arc::clone(&key));
        key
    }

    fn encrypt(&self, key: &LessSafeKey, about: &str, content: &[u8]) -> Vec<u8> {
        let nonce = random::<NONCE_LEN>(&*self.entropy);
        let mut sealed = content.to_vec();
        // Encryption fails only for contents of more than 2^36 bytes.
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(about.as_bytes()), &mut sealed)
            .expect("rows are bounded far below what AES-GCM takes");
        [&nonce[..], &sealed, tag.as_ref()].concat()
    }
}

fn aes(bytes: &[u8]) -> LessSafeKey {
    // Keys here are HMAC-SHA256 outputs or 32 random bytes.
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes are an AES-256 key"))
}

fn decrypt(key: &LessSafeKey, about: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut bytes = Zeroizing::new(rest.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = key.open_in_place(nonce, Aad::from(about.as_bytes()), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

fn mac_input(table: &str, id: &[u8], content: &[u8]) -> Vec<u8> {
    let id_len = u32::try_from(id.len()).unwrap_or(u32::MAX).to_be_bytes();
    [table.as_bytes(), &[0], &id_len, id, content].concat()
}

#[cfg(test)]
mod tests {
    use parcelshelf_edge::clock::SystemEntropy;
    use parcelshelf_store::keys::MemoryKeys;

    use super::*;

    fn vault(keys: &Arc<MemoryKeys>, storage: u8) -> Vault {
        let keys: Arc<dyn KeyStore> = Arc::<MemoryKeys>::clone(keys);
        Vault::new(&[storage; 32], keys, Arc::new(SystemEntropy))
    }

    #[tokio::test]
    async fn what_is_sealed_opens_for_its_owner_and_purpose_only() {
        let keys = Arc::new(MemoryKeys::default());
        let v = vault(&keys, 1);
        let sealed = v.seal("wallet/a", "car", b"a VIN").await.unwrap();
        v.seal("wallet/b", "car", b"another").await.unwrap();
        assert_eq!(v.open("wallet/a", "car", &sealed).await.unwrap().unwrap().as_slice(), b"a VIN");
        assert!(v.open("wallet/b", "car", &sealed).await.unwrap().is_none());
        assert!(v.open("wallet/a", "token", &sealed).await.unwrap().is_none());
        assert!(v.open("wallet/nobody", "car", &sealed).await.unwrap().is_none());
        for at in 0..sealed.len() {
            let mut other = sealed.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            if other != sealed {
                assert!(v.open("wallet/a", "car", &other).await.unwrap().is_none(), "character {at}");
            }
        }
        // The same keys without the storage key are nothing.
        assert!(vault(&keys, 2).open("wallet/a", "car", &sealed).await.is_ok_and(|o| o.is_none()));
    }

    #[test]
    fn a_row_of_another_table_or_id_or_content_is_not_ours() {
        let v = vault(&Arc::new(MemoryKeys::default()), 1);
        let mac = v.row_mac("grant", b"id", b"content");
        assert!(v.row_is_ours("grant", b"id", b"content", &mac));
        for (table, id, content) in
            [("wallet", &b"id"[..], &b"content"[..]), ("grant", b"i", b"dcontent"), ("grant", b"id", b"content2")]
        {
            assert!(!v.row_is_ours(table, id, content, &mac));
        }
    }
}
