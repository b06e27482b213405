//! A witness: remembers the newest checkpoint of every log it knows, and cosigns what continues it (C2SP `tlog-witness`).
//!
//! What it is: two routes and one row per log. Whoever runs it should not be who runs a gateway: its word is that a log
//! has shown it one history, so that a keyholder cannot show another to somebody else, nor go back to a backup unseen.
//! What it is not: it reads no entry and knows no delivery, no person and no car.
//!
//! A checkpoint is on the disk before its cosignature leaves: after a crash at any point nothing older or other is cosigned.
//!
//! Three things to know: [`Config`], [`Shell`], [`run`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use parcelshelf_edge::Host;
use parcelshelf_edge::problem::Problem;
use parcelshelf_edge::serve::{self, Listener};
use parcelshelf_edge::steps::{self, Steps};
use parcelshelf_log::cosign::{WitnessSigner, own_note, with_line};
use parcelshelf_log::note::{Checkpoint, LogVerifier};
use parcelshelf_log::witness::{AddCheckpoint, NotCosigned, REQUEST_MAX, judge, origin_hash, origin_of};
use parcelshelf_store::sqlite::Options;
use parcelshelf_store::storage::Storage;
use parcelshelf_store::{Batch, CommitError, Engine, JournalWrite, Put, Version};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

const TABLE: &str = "checkpoint";
/// Most requests of one log that may be decided at once before the slower ones are sent away.
const TRIES: usize = 4;
/// Most logs of one witness.
const LOGS_MAX: usize = 10_000;

/// Parsed once at start.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    /// Store: `witness.db`.
    pub data_dir: PathBuf,
    /// 32 bytes of base64url, readable by this process only: the seed of the Ed25519 key.
    pub key: PathBuf,
    /// The witness's name in its verifier key, such as `witness.example`.
    pub name: String,
    /// Verifier keys of the logs it cosigns, `NAME+HASH+KEY`.
    pub logs: Vec<String>,
    #[serde(default = "info")]
    pub log_level: String,
}
fn info() -> String {
    String::from("info")
}

/// What the shell gives to a witness.
#[derive(Clone)]
pub struct Shell {
    pub host: Host,
    /// The key's seed.
    pub seed: [u8; 32],
    pub storage: Storage,
    pub steps: Steps,
}
impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shell")
    }
}

/// Why a witness could not run.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("configuration: {0}")]
    Config(String),
    #[error("the store")]
    Store(#[from] parcelshelf_store::StoreError),
    #[error("the listener")]
    Listener(#[from] std::io::Error),
}

struct Witness {
    host: Host,
    signer: WitnessSigner,
    logs: Vec<LogVerifier>,
    engine: Arc<dyn Engine>,
}

/// What lies in the store for a log; the id is the hash of its origin.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    v: u8,
    /// The newest checkpoint, signed by its log and by this witness.
    note: String,
}

/// Runs until `stop` says true. `ready` is called with the bound address and the witness's verifier key.
///
/// # Errors
/// [`Broken`].
pub async fn run(
    config: Config,
    shell: Shell,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(SocketAddr, &str),
) -> Result<(), Broken> {
    serve::start_metrics();
    let witness = Arc::new(open(&config, shell)?);
    let (listener, address) = Listener::tcp(config.listen).await?;
    ready(address, &witness.signer.verifier().line());
    serve::serve(listener, router(Arc::clone(&witness)), &witness.host, stop).await?;
    witness.engine.close().await;
    Ok(())
}

fn open(config: &Config, shell: Shell) -> Result<Witness, Broken> {
    let bad = |what: &str| Broken::Config(what.to_owned());
    if config.logs.len() > LOGS_MAX {
        return Err(bad("too many logs for one witness"));
    }
    let logs: Vec<LogVerifier> = config
        .logs
        .iter()
        .map(|l| LogVerifier::parse(l).map_err(|_| Broken::Config(format!("{l} is not a log's verifier key"))))
        .collect::<Result<_, _>>()?;
    let named = |l: &LogVerifier| logs.iter().filter(|o| o.name() == l.name()).count();
    if logs.iter().any(|l| named(l) != 1) {
        return Err(bad("one key per log: two of the logs have the same name"));
    }
    let signer = WitnessSigner::from_seed(&config.name, &shell.seed).map_err(|_| bad("name cannot be a key's"))?;
    let options = Options { on_step: steps::on_step(&shell.steps), ..Options::default() };
    let engine = shell.storage.engine(&config.data_dir, "witness", options)?;
    Ok(Witness { host: shell.host, signer, logs, engine })
}

fn router(witness: Arc<Witness>) -> Router {
    let router = Router::new().route("/add-checkpoint", post(add)).route("/{origin}/checkpoint", get(newest));
    serve::with_basics(router, &witness.host.clone(), String::from("{}")).with_state(witness)
}

async fn add(State(w): State<Arc<Witness>>, body: Body) -> Result<Response, Problem> {
    let too_large = |_| Problem::new(413, "body_too_large", "the body is too large or broke off");
    let bytes = axum::body::to_bytes(body, REQUEST_MAX).await.map_err(too_large)?;
    let request = AddCheckpoint::parse(&bytes)
        .ok_or_else(|| Problem::new(400, "checkpoint_form", "this is not old size, proof and checkpoint"))?;
    match w.add(&request).await? {
        Ok(line) => Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], line).into_response()),
        Err(refused) => Ok(refusal(refused)),
    }
}

fn refusal(refused: NotCosigned) -> Response {
    let code = match refused {
        NotCosigned::Conflict { newest } => {
            let size = [(header::CONTENT_TYPE, "text/x.tlog.size")];
            return (StatusCode::CONFLICT, size, format!("{newest}\n")).into_response();
        }
        NotCosigned::UnknownLog => "log_unknown",
        NotCosigned::NotSigned => "checkpoint_not_signed",
        NotCosigned::OldAboveNew => "checkpoint_rolled_back",
        NotCosigned::Inconsistent => "checkpoint_inconsistent",
    };
    Problem::new(refused.status(), code, refused.to_string()).into_response()
}

/// The newest cosigned checkpoint of the log whose origin hashes to this (hexadecimal SHA-256).
async fn newest(State(w): State<Arc<Witness>>, Path(origin): Path<String>) -> Result<Response, Problem> {
    let none = || Problem::new(404, "not_found", "no checkpoint of this log was cosigned here");
    let log = w.logs.iter().find(|l| origin_hash(l.name()) == origin).ok_or_else(none)?;
    let (row, _) = w.kept(log).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        // Wallets ask from pages of another host.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    Ok((headers, row.ok_or_else(none)?.note).into_response())
}

impl Witness {
    async fn kept(&self, log: &LogVerifier) -> Result<(Option<Row>, Version), Problem> {
        let found = self.engine.get(TABLE, origin_hash(log.name()).as_bytes()).await.map_err(|e| Problem::store(&e))?;
        let Some(row) = found else { return Ok((None, Version::Absent)) };
        let version = row.expected();
        // A row that cannot be read must not pass for a log that was never seen.
        let row: Row = serde_json::from_slice(&row.state).map_err(|e| Problem::internal(&e))?;
        Ok((Some(row), version))
    }

    /// Decides, keeps, and only then gives the cosignature away.
    async fn add(&self, request: &AddCheckpoint) -> Result<Result<String, NotCosigned>, Problem> {
        let Some(log) = self.logs.iter().find(|l| origin_of(&request.note) == Some(l.name())) else {
            return Ok(Err(NotCosigned::UnknownLog));
        };
        for _ in 0..TRIES {
            let (row, version) = self.kept(log).await?;
            let newest =
                row.map(|r| Checkpoint::verify(&r.note, log)).transpose().map_err(|e| Problem::internal(&e))?;
            let new = match judge(newest.as_ref(), request, log) {
                Ok(new) => new,
                Err(refused) => return Ok(Err(refused)),
            };
            let seconds = self.host.now().unix_millis().max(0).unsigned_abs() / 1_000;
            let line = self.signer.cosign(&new, seconds);
            let note = own_note(&request.note, log).and_then(|own| with_line(&own, &line));
            let row = Row { v: 1, note: note.map_err(|e| Problem::internal(&e))? };
            match self.keep(log, version, &row).await {
                Ok(()) => return Ok(Ok(line)),
                Err(CommitError::Conflict(_) | CommitError::Replayed(_)) => {}
                Err(CommitError::Store(e)) => return Err(Problem::store(&e)),
                Err(other @ CommitError::TooLarge(_)) => return Err(Problem::internal(&other)),
            }
        }
        Err(Problem::unavailable("busy", "too many at once here", 1))
    }

    async fn keep(&self, log: &LogVerifier, expected: Version, row: &Row) -> Result<(), CommitError> {
        let id = origin_hash(log.name()).into_bytes();
        let table = TABLE.to_owned();
        // A row of a number and a text is always JSON.
        let state = serde_json::to_vec(row).expect("plain data");
        let put = Put { table: table.clone(), id: id.clone(), expected, state, index: [].into() };
        let kept = JournalWrite { table, id, kind: String::from("checkpoint_kept"), event: b"{}".to_vec() };
        let batch = Batch { at: Some(self.host.now()), puts: vec![put], journal: vec![kept], ..Batch::default() };
        self.engine.commit(batch).await.map(drop)
    }
}
