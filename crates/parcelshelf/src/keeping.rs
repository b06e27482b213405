//! `parcelshelf backup`, `restore` and `keys rotate`: what keeps a service's data, and what makes it forget.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use parcelshelf_edge::Host;
use parcelshelf_gateway as gateway;
use parcelshelf_keyholder::keys::{EPOCHS, read_key};
use parcelshelf_store::backup;
use parcelshelf_store::keys::KeyStore as _;
use serde_json::json;

use crate::cli::{Backup, Keys, Restore};
use crate::services::{KeyholderFile, read};

/// Where one service keeps what.
struct Kept {
    name: &'static str,
    data_dir: PathBuf,
    epochs: PathBuf,
    /// What wrapped data keys before the first epoch.
    storage_key: PathBuf,
}
impl Kept {
    /// By the service's configuration file, whichever service it is.
    fn of(config: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(config).with_context(|| format!("failed to read {}", config.display()))?;
        let members: toml::Table = text.parse().with_context(|| format!("{} is not TOML", config.display()))?;
        if members.get("keyholder").is_some_and(toml::Value::is_table) {
            let c = read::<KeyholderFile>(config)?.keyholder;
            let (epochs, storage_key) = (c.key_dir.join(EPOCHS), c.key_dir.join("storage.key"));
            return Ok(Self { name: "keyholder", data_dir: c.data_dir, epochs, storage_key });
        }
        if members.contains_key("nonce_key") {
            let c = read::<gateway::Config>(config)?;
            return Ok(Self {
                name: "gateway",
                epochs: c.epochs_dir(),
                data_dir: c.data_dir,
                storage_key: c.nonce_key,
            });
        }
        if members.contains_key("storage_key") {
            let c = read::<parcelshelf_carrier::Config>(config)?;
            return Ok(Self {
                name: "carrier",
                epochs: c.epochs_dir(),
                data_dir: c.data_dir,
                storage_key: c.storage_key,
            });
        }
        bail!("{} is no configuration of a carrier, gateway or keyholder", config.display())
    }
    fn store(&self) -> PathBuf {
        self.data_dir.join(format!("{}.db", self.name))
    }
    fn key_store(&self) -> PathBuf {
        self.data_dir.join(format!("{}-keys.db", self.name))
    }
}

/// # Errors
/// When there is no store, or the copy could not be made.
pub fn back_up(args: &Backup) -> anyhow::Result<()> {
    let kept = Kept::of(&args.config)?;
    let copied = backup::backup(&kept.store(), &args.file)
        .with_context(|| format!("failed to back up {}", kept.store().display()))?;
    let said = json!({"backup": kept.name, "file": args.file, "bytes": copied.bytes, "rows": copied.rows});
    println!("{said}");
    Ok(())
}

/// # Errors
/// When there is a store already, the backup is not whole, or the key store is missing.
pub fn restore(args: &Restore) -> anyhow::Result<()> {
    let kept = Kept::of(&args.config)?;
    ensure!(
        kept.key_store().exists(),
        "{} is missing: without the data keys everything personal in this backup is erased",
        kept.key_store().display()
    );
    let copied = backup::restore(&args.file, &kept.store())
        .with_context(|| format!("failed to restore {}", args.file.display()))?;
    let said = json!({"restored": kept.name, "store": kept.store(), "bytes": copied.bytes, "rows": copied.rows});
    println!("{said}");
    if kept.name == "keyholder" {
        println!(
            "This keyholder has forgotten blocks and uses since the backup. With a witness, every grant signed before is void \
             once it starts; without one, it cannot know: have owners sign again. docs/operations says more."
        );
    }
    Ok(())
}

/// # Errors
/// When the service runs, or a key cannot be read or written.
pub async fn keys(args: &Keys) -> anyhow::Result<()> {
    let Keys::Rotate(args) = args;
    let kept = Kept::of(&args.config)?;
    ensure!(kept.key_store().exists(), "{} is missing: there is nothing to rotate", kept.key_store().display());
    let storage = read_key(&kept.storage_key).map_err(anyhow::Error::msg)?;
    let store = parcelshelf_store::keys::KeyFile::open(&kept.key_store())
        .with_context(|| format!("failed to open {}", kept.key_store().display()))?;
    let entropy = Arc::clone(&Host::system().entropy);
    let done = parcelshelf_vault::rotate(&kept.epochs, &storage, &store, entropy).await?;
    let said = json!({
        "rotated": kept.name, "epoch": done.epoch, "keys": store.count().await?, "rewrapped": done.rewrapped,
        "lost": done.lost, "epoch_keys_destroyed": done.destroyed,
    });
    println!("{said}");
    Ok(())
}
