//! `parcelshelf audit`: goes through a log from outside and complains precisely.
//!
//! Every entry is fetched and hashed, every tile of hashes compared with what the entries make, the root with the signed
//! checkpoint, and the checkpoint with what was found the last time. Then [`pages`].

pub mod pages;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use indicatif::ProgressBar;
use parcelshelf_edge::Host;
use parcelshelf_exchange::{Client, get};
use parcelshelf_log::audit::{Complaint, Expected, Position, Walk};
use parcelshelf_log::cosign::{Cosigned, WitnessVerifier, cosigned};
use parcelshelf_log::note::{Checkpoint, LogVerifier, NOTE_BYTES_MAX, NotANote};
use parcelshelf_log::tile::TileId;
use parcelshelf_protocol::encoding::{b64, from_b64};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinHandle;

use self::pages::{Compared, OtherPages};
use crate::cli::Audit;

const DEADLINE: Duration = Duration::from_secs(20);
/// Requests under way at once.
const AT_ONCE: usize = 32;
/// A full bundle of entries.
const TILE_BYTES_MAX: usize = 256 * 34;
/// Largest file of what was found before: a few hashes.
const STATE_BYTES_MAX: u64 = 64 * 1024;

/// What was found, to go on from. Written whole or not at all.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateFile {
    v: u8,
    log: String,
    size: u64,
    /// Complete subtrees on the right edge, largest first.
    peaks: Vec<String>,
    /// Which leaf said last what each page host shows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pages: BTreeMap<String, u64>,
}

/// Why an audit did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Bad {
    #[error(transparent)]
    Complaint(#[from] Complaint),
    /// The log answers that it has no such tile, though its checkpoint covers it.
    #[error("{0} is withheld: the checkpoint covers it, and there is none")]
    Withheld(String),
    #[error("the checkpoint does not hold: {0}")]
    Checkpoint(#[from] NotANote),
    #[error("the checkpoint is cosigned by {found} of the witnesses named, not by {wanted}")]
    NotCosigned { found: usize, wanted: usize },
    #[error(transparent)]
    Pages(#[from] OtherPages),
    /// Nothing is known about the log: it could not be read, or was asked wrongly.
    #[error("{0:#}")]
    NotDone(anyhow::Error),
}

/// What an audit found.
#[derive(Debug, Clone)]
pub struct Audited {
    pub position: Position,
    /// Leaves that were new.
    pub new: u64,
    pub cosigned: Vec<Cosigned>,
    /// Files that browsers get; `None`: only the log was asked for.
    pub pages: Option<Compared>,
}

/// Exit status 0: all is well; 1: a complaint; 2: the audit could not be done.
pub async fn run(args: &Audit) -> ExitCode {
    let done = audit(args).await;
    let (code, report) = match &done {
        Ok(a) => (0, told(a)),
        Err(Bad::NotDone(e)) => (2, json!({"ok": null, "error": format!("{e:#}")})),
        Err(bad) => (1, json!({"ok": false, "complaint": bad.to_string()})),
    };
    if args.json {
        println!("{report}");
    } else {
        match &done {
            Ok(a) => {
                println!("holds: {} leaves, {} of them new", a.position.size(), a.new);
                if let Some(pages) = &a.pages {
                    println!("shows: {} files of wallet and stop page, as logged", pages.files);
                }
                for c in &a.cosigned {
                    println!("cosigned by {} at {} (Unix seconds)", c.witness, c.time);
                }
            }
            Err(Bad::NotDone(e)) => eprintln!("not audited: {e:#}"),
            Err(bad) => eprintln!("COMPLAINT: {bad}"),
        }
    }
    ExitCode::from(code)
}

fn told(a: &Audited) -> serde_json::Value {
    let cosigned: Vec<_> = a.cosigned.iter().map(|c| json!({"witness": c.witness, "time": c.time})).collect();
    let files = a.pages.as_ref().map(|p| p.files);
    let root = b64(a.position.root());
    json!({"ok": true, "size": a.position.size(), "new": a.new, "root": root, "cosigned": cosigned, "files": files})
}

async fn audit(args: &Audit) -> Result<Audited, Bad> {
    let before = args.state.as_deref().map(read_state).transpose().map_err(Bad::NotDone)?.flatten();
    let known = before.as_ref().map(|b| &b.log);
    let log = match (&args.key, known) {
        (Some(key), Some(known)) if key != known => {
            return Err(Bad::NotDone(anyhow!("the state file is of another log key than --key")));
        }
        (Some(key), _) | (None, Some(key)) => key,
        (None, None) => return Err(Bad::NotDone(anyhow!("say with --key whose log this must be"))),
    };
    let usage = |what: &str| Bad::NotDone(anyhow!("{what}"));
    let verifier = LogVerifier::parse(log).map_err(|_| usage("--key is not a log's verifier key"))?;
    let witnesses: Vec<WitnessVerifier> = args
        .witness
        .iter()
        .map(|w| WitnessVerifier::parse(w).map_err(|_| usage("--witness is not a witness's verifier key")))
        .collect::<Result<_, _>>()?;
    let from = before.as_ref().map(|b| b.position.clone()).unwrap_or_default();
    let client = Client::network(Host::system().clock).map_err(|e| Bad::NotDone(e.into()))?;
    let bar = if args.json { ProgressBar::hidden() } else { ProgressBar::new(0) };
    let audited = go(&client, &args.url, &verifier, &witnesses, args.quorum, &from, &bar).await;
    bar.finish_and_clear();
    let mut audited = audited?;
    let mut leaves = before.as_ref().map(|b| b.pages.clone()).unwrap_or_default();
    if !args.log_only {
        let quorum = args.quorum.unwrap_or_else(|| witnesses.len().min(1));
        let compared = pages::compare(&client, &args.url, &verifier, (&witnesses[..], quorum), &leaves).await?;
        leaves = compared.leaves.clone();
        audited.pages = Some(compared);
    }
    if let Some(path) = &args.state {
        write_state(path, log, &audited.position, leaves).map_err(Bad::NotDone)?;
    }
    Ok(audited)
}

/// Goes from `from` to the newest checkpoint.
///
/// # Errors
/// [`Bad`].
pub async fn go(
    client: &Client,
    url: &str,
    log: &LogVerifier,
    witnesses: &[WitnessVerifier],
    quorum: Option<usize>,
    from: &Position,
    bar: &ProgressBar,
) -> Result<Audited, Bad> {
    let served = Served { client: client.clone(), base: Arc::from(url.trim_end_matches('/')) };
    let note = served.fetch("checkpoint", NOTE_BYTES_MAX).await?;
    let note = std::str::from_utf8(&note).map_err(|_| Bad::Checkpoint(NotANote::Form))?;
    let checkpoint = Checkpoint::verify(note, log)?;
    let cosigned = cosigned(note, witnesses)?;
    let wanted = quorum.unwrap_or_else(|| witnesses.len().min(1));
    if cosigned.len() < wanted {
        return Err(Bad::NotCosigned { found: cosigned.len(), wanted });
    }
    let mut walk = Walk::new(from, checkpoint.size)?;
    let new = checkpoint.size - from.size();
    bar.set_length(new);
    let mut bundles = walk.bundles();
    let (mut entries, mut tiles) = (VecDeque::new(), VecDeque::new());
    loop {
        while entries.len() < AT_ONCE
            && let Some(id) = bundles.next()
        {
            entries.push_back((id, served.begin(id)));
        }
        let Some((id, bytes)) = entries.pop_front() else { break };
        walk.entries(id, &arrived(bytes).await?)?;
        tiles.extend(walk.tiles().into_iter().map(|(id, expected)| (expected, served.begin(id))));
        while tiles.len() > AT_ONCE {
            check_first(&mut tiles).await?;
        }
        bar.inc(u64::from(id.width));
    }
    while !tiles.is_empty() {
        check_first(&mut tiles).await?;
    }
    let position = walk.finish(&checkpoint.root, from)?;
    Ok(Audited { position, new, cosigned, pages: None })
}

type Fetch = JoinHandle<Result<Bytes, Bad>>;

async fn check_first(tiles: &mut VecDeque<(Expected, Fetch)>) -> Result<(), Bad> {
    if let Some((expected, bytes)) = tiles.pop_front() {
        expected.check(&arrived(bytes).await?)?;
    }
    Ok(())
}

async fn arrived(fetch: Fetch) -> Result<Bytes, Bad> {
    fetch.await.unwrap_or_else(|e| Err(Bad::NotDone(e.into())))
}

/// A log over HTTP.
#[derive(Clone)]
struct Served {
    client: Client,
    base: Arc<str>,
}
impl Served {
    fn begin(&self, id: TileId) -> Fetch {
        let served = self.clone();
        tokio::spawn(async move { served.fetch(&id.path(), TILE_BYTES_MAX).await })
    }
    async fn fetch(&self, path: &str, max: usize) -> Result<Bytes, Bad> {
        let url = format!("{}/{path}", self.base);
        let request = get(&url).map_err(|_| Bad::NotDone(anyhow!("{url} is not an address")))?;
        let sent = self.client.send(request, DEADLINE, max).await;
        let answer = sent.map_err(|silence| Bad::NotDone(anyhow!("{url}: {silence}")))?;
        match answer.status.as_u16() {
            200 => answer.body.ok_or_else(|| Bad::NotDone(anyhow!("{url}: longer than it can be, or broken off"))),
            404 if path != "checkpoint" => Err(Bad::Withheld(path.to_owned())),
            status => Err(Bad::NotDone(anyhow!("{url}: answered with {status}"))),
        }
    }
}

/// What the last audit left.
struct Before {
    log: String,
    position: Position,
    pages: BTreeMap<String, u64>,
}

fn read_state(path: &Path) -> anyhow::Result<Option<Before>> {
    let Ok(about) = fs::metadata(path) else { return Ok(None) };
    let wrong = || anyhow!("{} is not what an audit writes", path.display());
    if about.len() > STATE_BYTES_MAX {
        return Err(wrong());
    }
    let file: StateFile = serde_json::from_slice(&fs::read(path)?).map_err(|_| wrong())?;
    let hash = |text: &String| from_b64(text)?.try_into().ok();
    let peaks = file.peaks.iter().map(hash).collect::<Option<_>>().ok_or_else(wrong)?;
    let position = Position::from_parts(file.size, peaks).filter(|_| file.v == 1).ok_or_else(wrong)?;
    Ok(Some(Before { log: file.log, position, pages: file.pages }))
}

fn write_state(path: &Path, log: &str, at: &Position, pages: BTreeMap<String, u64>) -> anyhow::Result<()> {
    let peaks = at.peaks().iter().map(b64).collect();
    let text = serde_json::to_vec(&StateFile { v: 1, log: log.to_owned(), size: at.size(), peaks, pages })?;
    let beside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().with_context(|| format!("failed to write {}", path.display()))
}
