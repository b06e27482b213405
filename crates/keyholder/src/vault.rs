//! What lies sealed at rest, and the proof that a row is ours.
//!
//! Personal data is sealed under a data key per wallet or per delivery ([`parcelshelf_vault`]); destroying one erases
//! everything under it. Every row carries an HMAC over table, id and content: a row that somebody else wrote does not exist.

use std::sync::Arc;

use aws_lc_rs::hmac;
use parcelshelf_core::time::{Entropy, Timestamp};
use parcelshelf_protocol::encoding::{b64, from_b64};
use parcelshelf_store::StoreError;
use parcelshelf_store::keys::KeyStore;
pub(crate) use parcelshelf_vault::Row;
use parcelshelf_vault::{Kms, VaultError};
use zeroize::Zeroizing;

/// The key of the proof that nobody else has written to the store.
pub(crate) fn whole_key(storage: &[u8; 32]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, storage);
    let mut derived = [0; 32];
    derived.copy_from_slice(hmac::sign(&key, b"psh-whole-v1").as_ref());
    derived
}

pub(crate) struct Vault {
    inner: parcelshelf_vault::Vault,
    mac: hmac::Key,
    vin: hmac::Key,
}

impl Vault {
    pub fn new(storage: &[u8; 32], kms: Arc<dyn Kms>, keys: Arc<dyn KeyStore>, entropy: Arc<dyn Entropy>) -> Self {
        let derive = |purpose: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, storage);
            Zeroizing::new(hmac::sign(&key, purpose).as_ref().to_vec())
        };
        Self {
            inner: parcelshelf_vault::Vault::new(kms, keys, entropy),
            mac: hmac::Key::new(hmac::HMAC_SHA256, &derive(b"psh-row-v1")),
            vin: hmac::Key::new(hmac::HMAC_SHA256, &derive(b"psh-vin-v1")),
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
    pub async fn seal(&self, owner: &str, about: &str, content: &[u8]) -> Result<String, VaultError> {
        Ok(b64(self.inner.seal(owner, about.as_bytes(), content).await?))
    }

    /// Opens; `None` when the key is gone (erased) or the text is not ours.
    pub async fn open(&self, owner: &str, about: &str, sealed: &str) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        match from_b64(sealed) {
            Some(sealed) => self.inner.open(owner, about.as_bytes(), &sealed).await,
            None => Ok(None),
        }
    }

    pub async fn seal_row(&self, owner: &str, table: &str, id: &[u8], content: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.inner.seal_row(owner, table, id, content).await
    }
    pub async fn open_row(&self, table: &str, id: &[u8], content: &[u8]) -> Result<Row, StoreError> {
        self.inner.open_row(table, id, content).await.map_err(|error| match error {
            VaultError::Store(error) => error,
            other => StoreError::Engine(Box::new(other)),
        })
    }

    /// Destroys the owner's key: everything under it is erased, in every copy.
    pub async fn erase(&self, owner: &str, at: Timestamp) -> Result<(), VaultError> {
        // The day is enough for deciding when the name may be forgotten.
        self.inner.destroy(owner, at.rounded_down_to_minutes(24 * 60)).await
    }
    pub async fn is_erased(&self, owner: &str) -> Result<bool, VaultError> {
        self.inner.is_erased(owner).await
    }
    /// The names of erased owners.
    pub fn keys(&self) -> &dyn KeyStore {
        self.inner.keys()
    }
}

fn mac_input(table: &str, id: &[u8], content: &[u8]) -> Vec<u8> {
    let id_len = u32::try_from(id.len()).unwrap_or(u32::MAX).to_be_bytes();
    [table.as_bytes(), &[0], &id_len, id, content].concat()
}

#[cfg(test)]
mod tests {
    use parcelshelf_edge::clock::SystemEntropy;
    use parcelshelf_store::keys::MemoryKeys;
    use parcelshelf_vault::Epochs;

    use super::*;

    #[test]
    fn a_row_of_another_table_or_id_or_content_is_not_ours() {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let kms = Arc::new(Epochs::derived(&[1; 32], Arc::clone(&entropy)));
        let v = Vault::new(&[1; 32], kms, Arc::new(MemoryKeys::default()), entropy);
        let mac = v.row_mac("grant", b"id", b"content");
        assert!(v.row_is_ours("grant", b"id", b"content", &mac));
        for (table, id, content) in
            [("wallet", &b"id"[..], &b"content"[..]), ("grant", b"i", b"dcontent"), ("grant", b"id", b"content2")]
        {
            assert!(!v.row_is_ours(table, id, content, &mac));
        }
    }
}
