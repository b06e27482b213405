//! A log that somebody rewrites who has the log's own key: served like the true one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use parcelshelf_log::Hash;
use parcelshelf_log::note::{Checkpoint, LogSigner};
use parcelshelf_log::sequencer::{STEP_ENTRIES_MAX, plan};
use parcelshelf_log::tile::{FromTiles, TileId, TileKind, Tiles, bundled};
use parcelshelf_log::tree::{Frontier, consistency_proof};

/// Entries with the tiles that they make.
#[derive(Debug, Default)]
pub struct Forged {
    tiles: BTreeMap<(TileKind, u64), Vec<u8>>,
    frontier: Frontier,
    /// The bundle of entries that is answered with 404.
    withheld: Option<u64>,
    note: String,
}

impl Tiles for Forged {
    fn hashes(&self, level: u8, number: u64) -> Option<&[u8]> {
        self.tiles.get(&(TileKind::Hashes { level }, number)).map(Vec::as_slice)
    }
}

impl Forged {
    /// A log of these entries, signed as the true one.
    #[must_use]
    pub fn of(entries: &[Hash], signer: &LogSigner) -> Self {
        let mut log = Self::default();
        for step in entries.chunks(STEP_ENTRIES_MAX) {
            let planned = plan(&log.frontier, step, |kind, number| log.tiles.get(&(kind, number)).cloned());
            log.frontier = planned.frontier;
            log.tiles.extend(planned.tiles.into_iter().map(|(id, bytes)| ((id.kind, id.number), bytes)));
        }
        log.note = signer.sign(&log.checkpoint(signer).text());
        log
    }
    /// The same, but for one bundle of entries.
    #[must_use]
    pub fn without(mut self, bundle: u64) -> Self {
        self.withheld = Some(bundle);
        self
    }
    #[must_use]
    pub fn checkpoint(&self, signer: &LogSigner) -> Checkpoint {
        let origin = signer.verifier().name().to_owned();
        Checkpoint { origin, size: self.frontier.size(), root: self.frontier.root() }
    }
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }
    /// The best proof that this log can give that it goes on from a tree of `old` leaves.
    #[must_use]
    pub fn proof_from(&self, old: u64) -> Vec<Hash> {
        consistency_proof(&FromTiles(self), old, self.frontier.size()).unwrap_or_default()
    }
    fn answer(&self, path: &str) -> Option<Vec<u8>> {
        if path == "checkpoint" {
            return Some(self.note.clone().into_bytes());
        }
        let id = TileId::parse(path)?;
        if id.kind == TileKind::Entries && self.withheld == Some(id.number) {
            return None;
        }
        let each = if id.kind == TileKind::Entries { bundled(&[0; 32]).len() } else { 32 };
        let bytes = self.tiles.get(&(id.kind, id.number))?;
        Some(bytes.get(..bytes.len().min(usize::from(id.width) * each))?.to_vec())
    }
}

/// One address at which one log after another is served.
#[derive(Clone)]
pub struct Place(Arc<Mutex<Forged>>);
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}
impl Place {
    /// Serves on loopback and says where.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn open() -> anyhow::Result<(Self, String)> {
        async fn tile(State(place): State<Place>, uri: Uri) -> Response {
            let found = {
                let log = place.0.lock().unwrap_or_else(PoisonError::into_inner);
                log.answer(uri.path().trim_start_matches("/log/"))
            };
            found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
        }
        let place = Self(Arc::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("no port on loopback")?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(tile).with_state(place.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok((place, format!("http://{address}/log")))
    }
    pub fn serve(&self, log: Forged) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = log;
    }
}
