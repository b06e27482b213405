//! The keyholder's own keys: one file each, 32 bytes of base64url, readable by this process only.

use std::fs;
use std::path::Path;

use parcelshelf_core::time::Entropy;
use parcelshelf_log::note::LogSigner;
use parcelshelf_protocol::encoding::{b64, from_b64};
use parcelshelf_protocol::jws::{LogSigningKey, SigningKey};
use parcelshelf_protocol::nonce::NonceKey;
use parcelshelf_protocol::seal::SealKeyPair;
use zeroize::Zeroizing;

/// File names below the key folder.
pub const FILES: [&str; 5] = ["message.key", "seal.key", "log.key", "storage.key", "nonce.key"];
/// The folder of epoch keys below the key folder: they wrap the data keys, and turn over with `keys rotate`.
pub const EPOCHS: &str = "epochs";

/// All keys in memory. None prints.
pub struct KeyRing {
    /// ES256: answers, envelopes.
    pub message: SigningKey,
    /// X-Wing: what wallets and phones seal.
    pub seal: SealKeyPair,
    /// Ed25519: checkpoints and the published keys.
    pub log: LogSigner,
    pub log_key: LogSigningKey,
    /// Derives the key of row MACs, of pseudonyms, and of what wrapped data keys before the first epoch.
    pub storage: Zeroizing<[u8; 32]>,
    pub nonce: NonceKey,
}
impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyRing(<redacted>)")
    }
}

impl KeyRing {
    /// Reads all files.
    ///
    /// # Errors
    /// A text that names the file and says what to do.
    pub fn load(dir: &Path, log_origin: &str) -> Result<Self, String> {
        let read = |name: &str| read_key(&dir.join(name));
        let refused = |name: &'static str| move |_| format!("{name} is not a usable key: make fresh ones with `init`");
        let log_seed = read("log.key")?;
        Ok(Self {
            message: SigningKey::from_scalar(&*read("message.key")?).map_err(|e| refused("message.key")(e.code()))?,
            seal: SealKeyPair::from_seed(&*read("seal.key")?).map_err(|e| refused("seal.key")(e.code()))?,
            log: LogSigner::from_seed(log_origin, &log_seed).map_err(|_| refused("log.key")(""))?,
            log_key: LogSigningKey::from_seed(&log_seed).map_err(|e| refused("log.key")(e.code()))?,
            storage: read("storage.key")?,
            nonce: NonceKey::from_bytes(*read("nonce.key")?),
        })
    }

    /// Writes fresh files, mode 0600. Existing ones are left alone.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn generate(dir: &Path, entropy: &dyn Entropy) -> std::io::Result<()> {
        fs::create_dir_all(dir)?;
        for name in FILES {
            write_key(&dir.join(name), entropy)?;
        }
        parcelshelf_vault::write_first(&dir.join(EPOCHS), entropy).map_err(std::io::Error::other)
    }
}

/// Writes 32 fresh bytes that are also a P-256 scalar.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn write_key(path: &Path, entropy: &dyn Entropy) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut scalar = Zeroizing::new(parcelshelf_core::time::random::<32>(entropy));
    while SigningKey::from_scalar(&scalar).is_err() {
        *scalar = parcelshelf_core::time::random(entropy);
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(b64(*scalar).as_bytes())?;
    file.sync_all()
}

/// Reads such a file.
///
/// # Errors
/// A text that names the file.
pub fn read_key(path: &Path) -> Result<Zeroizing<[u8; 32]>, String> {
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?);
    let bytes = from_b64(text.trim()).and_then(|b| b.try_into().ok());
    bytes.map(Zeroizing::new).ok_or_else(|| format!("{} does not hold 32 bytes of base64url", path.display()))
}
