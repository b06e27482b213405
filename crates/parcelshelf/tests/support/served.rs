//! A log in memory, served over HTTP, that can be made to lie.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use parcelshelf_log::Hash;
use parcelshelf_log::note::{Checkpoint, LogSigner};
use parcelshelf_log::sequencer::plan;
use parcelshelf_log::tile::{TileId, TileKind};
use parcelshelf_log::tree::Frontier;

pub const ORIGIN: &str = "gateway.example/log";

pub struct Log {
    pub signer: LogSigner,
    pub tiles: BTreeMap<(TileKind, u64), Vec<u8>>,
    frontier: Frontier,
    /// Signature lines of others.
    pub lines: String,
}
impl Log {
    pub fn of(size: u64) -> Self {
        let signer = LogSigner::from_seed(ORIGIN, &[9; 32]).expect("a name");
        let mut log = Self { signer, tiles: BTreeMap::new(), frontier: Frontier::default(), lines: String::new() };
        log.grow(size, 0);
        log
    }
    /// Up to `size` leaves; another `salt` makes other ones.
    pub fn grow(&mut self, size: u64, salt: u8) {
        while self.frontier.size() < size {
            let from = self.frontier.size();
            let entry =
                |n: u64| -> Hash { parcelshelf_log::tree::leaf_hash(&[&[salt][..], &n.to_be_bytes()].concat()) };
            let more: Vec<Hash> = (from..size.min(from + 1024)).map(entry).collect();
            let planned = plan(&self.frontier, &more, |kind, number| self.tiles.get(&(kind, number)).cloned());
            self.frontier = planned.frontier;
            self.tiles.extend(planned.tiles.into_iter().map(|(id, bytes)| ((id.kind, id.number), bytes)));
        }
    }
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: ORIGIN.to_owned(), size: self.frontier.size(), root: self.frontier.root() }
    }
    fn answer(&self, path: &str) -> Option<Vec<u8>> {
        if path == "checkpoint" {
            return Some((self.signer.sign(&self.checkpoint().text()) + &self.lines).into_bytes());
        }
        let id = TileId::parse(path)?;
        let each = if id.kind == TileKind::Entries { 34 } else { 32 };
        let bytes = self.tiles.get(&(id.kind, id.number))?;
        Some(bytes.get(..bytes.len().min(usize::from(id.width) * each))?.to_vec())
    }
}

impl parcelshelf_log::tile::Tiles for Log {
    fn hashes(&self, level: u8, number: u64) -> Option<&[u8]> {
        self.tiles.get(&(TileKind::Hashes { level }, number)).map(Vec::as_slice)
    }
}

/// Serves it and says where.
pub async fn serve(log: Arc<Mutex<Log>>) -> String {
    async fn tile(State(log): State<Arc<Mutex<Log>>>, uri: Uri) -> Response {
        let found = log.lock().expect("nobody panicked").answer(uri.path().trim_start_matches("/log/"));
        found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().fallback(tile).with_state(log);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/log")
}
