//! Epoch keys in files: one folder, `N.key` each, readable by the service only. The highest number is in force.
//!
//! Epoch 0 is no file: it is derived from the service's storage key, as the first version of this software did, and goes with
//! the first rotation.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parcelshelf_core::time::{Entropy, random};
use parcelshelf_store::keys::{KeyStore, Wrapped};
use zeroize::Zeroizing;

use crate::{Kms, KmsError, VaultError, aes, decrypt, encrypt};

/// Epoch keys in memory.
pub struct Epochs {
    keys: BTreeMap<u32, LessSafeKey>,
    current: u32,
    entropy: Arc<dyn Entropy>,
}
impl std::fmt::Debug for Epochs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Epochs(current {})", self.current)
    }
}

fn failed(path: &Path, what: impl std::fmt::Display) -> KmsError {
    KmsError(format!("{}: {what}", path.display()))
}

impl Epochs {
    /// Epoch 0 alone, for stores that live in memory.
    #[must_use]
    pub fn derived(storage: &[u8; 32], entropy: Arc<dyn Entropy>) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, storage);
        let mut derived = Zeroizing::new([0; 32]);
        derived.copy_from_slice(hmac::sign(&master, b"psh-wrap-v1").as_ref());
        Self { keys: BTreeMap::from([(0, aes(&derived))]), current: 0, entropy }
    }

    /// Reads the folder, which need not be there.
    ///
    /// # Errors
    /// [`KmsError`] names the file.
    pub fn open(dir: &Path, storage: &[u8; 32], entropy: Arc<dyn Entropy>) -> Result<Self, KmsError> {
        let mut all = Self::derived(storage, entropy);
        for (epoch, path) in files(dir)? {
            all.keys.insert(epoch, aes(&*read(&path)?));
            all.current = epoch;
        }
        Ok(all)
    }

    fn wrap_now(&self, owner: &str, key: &[u8; 32]) -> Result<Wrapped, KmsError> {
        let with = self.keys.get(&self.current).ok_or_else(|| KmsError(String::from("no epoch key is in force")))?;
        Ok(Wrapped { epoch: self.current, bytes: encrypt(with, random(&*self.entropy), owner.as_bytes(), key) })
    }
    fn unwrap_now(&self, owner: &str, wrapped: &Wrapped) -> Option<Zeroizing<[u8; 32]>> {
        let bytes = decrypt(self.keys.get(&wrapped.epoch)?, owner.as_bytes(), &wrapped.bytes)?;
        let mut key = Zeroizing::new([0; 32]);
        (bytes.len() == key.len()).then(|| key.copy_from_slice(&bytes))?;
        Some(key)
    }
}

#[async_trait::async_trait]
impl Kms for Epochs {
    fn current(&self) -> u32 {
        self.current
    }
    async fn wrap(&self, owner: &str, key: &[u8; 32]) -> Result<Wrapped, KmsError> {
        self.wrap_now(owner, key)
    }
    async fn unwrap(&self, owner: &str, wrapped: &Wrapped) -> Result<Option<Zeroizing<[u8; 32]>>, KmsError> {
        Ok(self.unwrap_now(owner, wrapped))
    }
}

/// Numbers and files of a folder, lowest first.
fn files(dir: &Path) -> Result<BTreeMap<u32, PathBuf>, KmsError> {
    let mut all = BTreeMap::new();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(all),
        Err(e) => return Err(failed(dir, e)),
    };
    for entry in entries {
        let path = entry.map_err(|e| failed(dir, e))?.path();
        let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".key"));
        match number.map(str::parse::<u32>) {
            Some(Ok(epoch)) if epoch > 0 => drop(all.insert(epoch, path)),
            _ => return Err(failed(&path, "only files named NUMBER.key belong here")),
        }
    }
    Ok(all)
}

fn read(path: &Path) -> Result<Zeroizing<[u8; 32]>, KmsError> {
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|e| failed(path, e))?);
    let bytes = URL_SAFE_NO_PAD.decode(text.trim()).ok().and_then(|b| b.try_into().ok()).map(Zeroizing::new);
    bytes.ok_or_else(|| failed(path, "does not hold 32 bytes of base64url"))
}

/// Writes a fresh key, durable with its name.
fn write(dir: &Path, epoch: u32, entropy: &dyn Entropy) -> Result<(), KmsError> {
    let path = dir.join(format!("{epoch}.key"));
    let fresh = Zeroizing::new(random::<32>(entropy));
    let written = (|| {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(Zeroizing::new(URL_SAFE_NO_PAD.encode(*fresh)).as_bytes())?;
        file.sync_all()?;
        fs::File::open(dir)?.sync_all()
    })();
    written.map_err(|e: std::io::Error| failed(&path, e))
}

/// The first epoch key of a fresh installation.
///
/// # Errors
/// [`KmsError`] when there is one already, or it cannot be written.
pub fn write_first(dir: &Path, entropy: &dyn Entropy) -> Result<(), KmsError> {
    if files(dir)?.is_empty() { write(dir, 1, entropy) } else { Err(failed(dir, "holds epoch keys already")) }
}

/// What a rotation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// The epoch that is in force now.
    pub epoch: u32,
    /// Data keys wrapped anew.
    pub rewrapped: u64,
    /// Data keys whose epoch key is gone: what they sealed cannot be read, and could not be before.
    pub lost: u64,
    /// Epoch keys destroyed.
    pub destroyed: u32,
}

/// Turns the epoch over: a new epoch key, every data key wrapped under it, every older epoch key destroyed. From then on an
/// older copy of the key store opens nothing. After a crash in between, the next rotation finishes.
///
/// The service must not run: the key store lets one process have it.
///
/// # Errors
/// [`VaultError`]; everything can still be opened then.
pub async fn rotate(
    dir: &Path,
    storage: &[u8; 32],
    keys: &dyn KeyStore,
    entropy: Arc<dyn Entropy>,
) -> Result<Rotated, VaultError> {
    let next = files(dir)?.keys().next_back().map_or(1, |last| last + 1);
    write(dir, next, &*entropy)?;
    let epochs = Epochs::open(dir, storage, entropy)?;
    let mut done = Rotated { epoch: next, rewrapped: 0, lost: 0, destroyed: 0 };
    let mut after = Vec::new();
    loop {
        let old = keys.not_of_epoch(next, &after).await?;
        let Some((last, _)) = old.last() else { break };
        after.clone_from(last);
        let mut anew = Vec::with_capacity(old.len());
        for (id, wrapped) in old {
            let owner = String::from_utf8_lossy(&id).into_owned();
            match epochs.unwrap_now(&owner, &wrapped) {
                Some(key) => anew.push((id, epochs.wrap_now(&owner, &key)?)),
                None => done.lost += 1,
            }
        }
        done.rewrapped += anew.len() as u64;
        keys.rewrap(anew).await?;
    }
    for (epoch, path) in files(dir)? {
        if epoch < next {
            destroy(&path)?;
            done.destroyed += 1;
        }
    }
    Ok(done)
}

/// Overwrites the bytes in place, then removes the name.
fn destroy(path: &Path) -> Result<(), KmsError> {
    let gone = (|| {
        let mut file = fs::OpenOptions::new().write(true).open(path)?;
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&vec![b'0'; length])?;
        file.sync_all()?;
        fs::remove_file(path)
    })();
    gone.map_err(|e: std::io::Error| failed(path, e))
}

#[cfg(test)]
mod tests {
    use parcelshelf_store::keys::KeyFile;

    use super::*;
    use crate::tests::Counter;
    use crate::{Row, Vault};

    fn vault(dir: &Path, keys: &Arc<KeyFile>, entropy: &Arc<dyn Entropy>) -> Vault {
        let epochs = Epochs::open(&dir.join("epochs"), &[7; 32], Arc::clone(entropy)).unwrap();
        Vault::new(Arc::new(epochs), Arc::<KeyFile>::clone(keys), Arc::clone(entropy))
    }

    /// What was kept stays readable, what was erased does not, and yesterday's copy of the key store opens nothing.
    #[tokio::test]
    async fn a_new_epoch_keeps_what_is_kept_and_makes_old_copies_of_the_key_store_worthless() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, path) = (folder.path(), folder.path().join("keys.db"));
        let entropy: Arc<dyn Entropy> = Arc::new(Counter::default());
        write_first(&dir.join("epochs"), &*entropy).unwrap();
        assert!(write_first(&dir.join("epochs"), &*entropy).is_err(), "keys are never replaced");
        let keys = Arc::new(KeyFile::open(&path).unwrap());
        let v = vault(dir, &keys, &entropy);
        let kept = v.seal_row("delivery/kept", "t", b"k", b"{}").await.unwrap();
        let gone = v.seal_row("delivery/gone", "t", b"g", b"{}").await.unwrap();
        drop((v, keys));

        std::fs::copy(&path, dir.join("stolen.db")).unwrap();
        let keys = Arc::new(KeyFile::open(&path).unwrap());
        vault(dir, &keys, &entropy)
            .destroy("delivery/gone", parcelshelf_core::time::Timestamp::from_unix_seconds(1))
            .await
            .unwrap();
        let stolen = Arc::new(KeyFile::open(&dir.join("stolen.db")).unwrap());
        let thief = vault(dir, &stolen, &entropy);
        assert!(
            matches!(thief.open_row("t", b"g", &gone).await.unwrap(), Row::Open(_)),
            "before the rotation it opens"
        );

        let rotated = rotate(&dir.join("epochs"), &[7; 32], &*keys, Arc::clone(&entropy)).await.unwrap();
        assert_eq!(rotated, Rotated { epoch: 2, rewrapped: 1, lost: 0, destroyed: 1 });
        let v = vault(dir, &keys, &entropy);
        assert!(matches!(v.open_row("t", b"k", &kept).await.unwrap(), Row::Open(_)));
        assert!(matches!(v.open_row("t", b"g", &gone).await.unwrap(), Row::Erased));
        let thief = vault(dir, &stolen, &entropy);
        for (id, row) in [(b"k", &kept), (b"g", &gone)] {
            assert!(matches!(thief.open_row("t", id, row).await.unwrap(), Row::Erased), "old copies open nothing");
        }
    }

    /// The first version of this software derived the one wrapping key; the first rotation leaves it behind.
    #[tokio::test]
    async fn keys_of_epoch_0_go_on_and_turn_over() {
        let folder = tempfile::tempdir().unwrap();
        let entropy: Arc<dyn Entropy> = Arc::new(Counter::default());
        let keys = Arc::new(KeyFile::open(&folder.path().join("keys.db")).unwrap());
        let row = vault(folder.path(), &keys, &entropy).seal_row("wallet/a", "t", b"a", b"{}").await.unwrap();
        assert_eq!(keys.get(b"wallet/a").await.unwrap().unwrap().epoch, 0);
        let epochs = folder.path().join("epochs");
        let rotated = rotate(&epochs, &[7; 32], &*keys, Arc::clone(&entropy)).await.unwrap();
        assert_eq!(rotated, Rotated { epoch: 1, rewrapped: 1, lost: 0, destroyed: 0 });
        let v = vault(folder.path(), &keys, &entropy);
        assert!(matches!(v.open_row("t", b"a", &row).await.unwrap(), Row::Open(_)));
        // A rotation that was cut off after its key was written is finished by the next one.
        write(&epochs, 2, &*entropy).unwrap();
        let rotated = rotate(&epochs, &[7; 32], &*keys, Arc::clone(&entropy)).await.unwrap();
        assert_eq!(rotated, Rotated { epoch: 3, rewrapped: 1, lost: 0, destroyed: 2 });
        std::fs::write(epochs.join("notes.txt"), "").unwrap();
        assert!(Epochs::open(&epochs, &[7; 32], entropy).is_err(), "what does not belong there is not passed over");
    }
}
