//! Where a service keeps its rows: files on a disk, or memory for a simulation that repeats itself exactly.

use std::path::Path;
use std::sync::Arc;

use crate::keys::{KeyFile, KeyStore, MemoryKeys};
use crate::memory::MemoryEngine;
use crate::sqlite::{Options, SqliteEngine};
use crate::unhurried::Unhurried;
use crate::{Engine, StoreError};

/// A choice of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// Embedded SQLite; what was answered is on the disk.
    #[default]
    Disk,
    /// Nothing outlives the process.
    Memory,
    /// The same, and others get their turns in between, in an order that this seed decides.
    Unhurried(u64),
}

impl Storage {
    /// The store in `dir/NAME.db`, made if need be.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be opened.
    pub fn engine(self, dir: &Path, name: &str, options: Options) -> Result<Arc<dyn Engine>, StoreError> {
        Ok(match self {
            Self::Disk => Arc::new(SqliteEngine::open(&made(dir)?.join(format!("{name}.db")), options)?),
            Self::Memory => Arc::new(MemoryEngine::default()),
            Self::Unhurried(seed) => Arc::new(Unhurried::new(seed)),
        })
    }
    /// The store of wrapped data keys in `dir/NAME-keys.db`, made if need be.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be opened.
    pub fn keys(self, dir: &Path, name: &str) -> Result<Arc<dyn KeyStore>, StoreError> {
        Ok(match self {
            Self::Disk => Arc::new(KeyFile::open(&made(dir)?.join(format!("{name}-keys.db")))?),
            Self::Memory | Self::Unhurried(_) => Arc::new(MemoryKeys::default()),
        })
    }
}

fn made(dir: &Path) -> Result<&Path, StoreError> {
    std::fs::create_dir_all(dir).map_err(|e| StoreError::Engine(Box::new(e)))?;
    Ok(dir)
}
