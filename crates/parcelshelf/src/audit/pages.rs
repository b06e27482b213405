//! The other half of an audit: the files that a gateway shows to browsers, against what stands in its log of them.
//!
//! Every file is asked for as a browser asks, in every compressed form; so are the places inside the apps that show the
//! page itself. What cannot be seen from here: a host that shows something else to certain people only. They, or whoever
//! looks from where they are, find it with the same command.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::anyhow;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, header};
use parcelshelf_client::log::{LogReader, Trouble};
use parcelshelf_edge::pages::FILES_PATH;
use parcelshelf_exchange::{Client, get};
use parcelshelf_log::cosign::WitnessVerifier;
use parcelshelf_log::note::LogVerifier;
use parcelshelf_log::record::{Kind, Opening, Record};
use parcelshelf_log::shown::{SHOWN_BYTES_MAX, ShownRecord};
use parcelshelf_log::tree::leaf_hash;
use parcelshelf_protocol::encoding::{b64, from_b64, sha256};
use serde::Deserialize;
use serde_json::Value;

use super::Bad;

const DEADLINE: Duration = Duration::from_secs(20);
/// Requests under way at once.
const AT_ONCE: usize = 16;
/// Largest file of a page host.
const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest list of them.
const LIST_BYTES_MAX: usize = 1024 * 1024;
/// Every gateway has these hosts, and places inside them that show the page itself.
const SITES: [(&str, &[&str]); 2] =
    [("wallet", &["/", "/consent", "/deliveries"]), ("stop", &["/", "/s/AAAAAAAAAAAAAAAAAAAAAA", "/enrol"])];
/// What browsers say that they take, and what less able ones do.
const TAKES: [&str; 3] = ["identity", "gzip", "gzip, deflate, br, zstd"];
const PAGE: &str = "/index.html";

/// What is wrong with what a host shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtherPages {
    #[error("the log does not say what the {0} host shows, so that nobody can compare it")]
    Unsaid(&'static str),
    #[error("what is said of the {0} host does not stand in the log: {1}")]
    NotInLog(&'static str, String),
    #[error("of the {site} host leaf {new} is shown as the newest; leaf {old} was there before")]
    WentBack { site: &'static str, old: u64, new: u64 },
    #[error("{0} lists other files than the log says (leaf {1})")]
    OtherList(String, u64),
    #[error("{0} is not the file whose hash stands in the log (leaf {1})")]
    OtherFile(String, u64),
    #[error("{0} is a file that the log knows (leaf {1}), and there is none: {2}")]
    Missing(String, u64, u16),
    #[error("{0} lets its page do other things than the log says (leaf {1})")]
    OtherPolicy(String, u64),
}

/// What was compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    pub files: usize,
    /// The newest leaf of each host.
    pub leaves: BTreeMap<String, u64>,
}

/// What [`FILES_PATH`] says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    v: u8,
    files: BTreeMap<String, String>,
    br: BTreeMap<String, String>,
    gzip: BTreeMap<String, String>,
    /// Content-Security-Policy and Permissions-Policy.
    policy: [String; 2],
}

/// What the log says of one host.
struct Word {
    site: &'static str,
    origin: String,
    files: String,
    leaf: u64,
}

/// Compares everything. `before`: the newest leaves of the last time.
///
/// # Errors
/// [`Bad`].
pub async fn compare(
    client: &Client,
    url: &str,
    log: &LogVerifier,
    (witnesses, quorum): (&[WitnessVerifier], usize),
    before: &BTreeMap<String, u64>,
) -> Result<Compared, Bad> {
    let mut compared = Compared::default();
    let said = said(client, url).await?;
    for (site, places) in SITES {
        let word = word(client, url, log, (witnesses, quorum), &said, site).await?;
        if let Some(old) = before.get(site).copied().filter(|old| *old > word.leaf) {
            return Err(OtherPages::WentBack { site, old, new: word.leaf }.into());
        }
        compared.files += host(client, &word, places).await?;
        compared.leaves.insert(site.to_owned(), word.leaf);
    }
    Ok(compared)
}

/// The newest records, as the gateway shows them.
async fn said(client: &Client, url: &str) -> Result<Vec<Value>, Bad> {
    let url = format!("{}/pages", url.trim_end_matches('/'));
    let (status, _, body) = ask(client, &url, "*/*", "identity", 2 * SHOWN_BYTES_MAX).await?;
    match status {
        200 => {}
        404 => return Err(OtherPages::Unsaid(SITES[0].0).into()),
        other => return Err(Bad::NotDone(anyhow!("{url}: answered with {other}"))),
    }
    let said: Value = serde_json::from_slice(&body).map_err(|_| Bad::NotDone(anyhow!("{url}: not in its form")))?;
    said["pages"].as_array().cloned().ok_or_else(|| Bad::NotDone(anyhow!("{url}: not in its form")))
}

/// One host's record, proved.
async fn word(
    client: &Client,
    url: &str,
    log: &LogVerifier,
    (witnesses, quorum): (&[WitnessVerifier], usize),
    said: &[Value],
    site: &'static str,
) -> Result<Word, Bad> {
    let said = said.iter().find(|s| s["site"] == site).ok_or(OtherPages::Unsaid(site))?;
    let not_in_log = |why: &str| Bad::from(OtherPages::NotInLog(site, why.to_owned()));
    let Some(leaf) = said["index"].as_u64() else {
        return Err(Bad::NotDone(anyhow!("what the {site} host shows waits for its leaf; ask again in a moment")));
    };
    let record = said["record"].as_str().and_then(from_b64).and_then(|bytes| Record::parse(&bytes).ok());
    let record = record.ok_or_else(|| not_in_log("it is no record"))?;
    let opening = |o: &Value| {
        let salt = from_b64(o["salt"].as_str()?)?.try_into().ok()?;
        Some(Opening { name: o["name"].as_str()?.to_owned(), salt, value: o["value"].as_str()?.to_owned() })
    };
    let openings = said["openings"].as_array().into_iter().flatten().map(opening).collect::<Option<Vec<_>>>();
    let openings = openings.ok_or_else(|| not_in_log("its fields are none"))?;
    let reader = LogReader::new(client, url, log.clone());
    let trouble = |trouble| match trouble {
        Trouble::NoAnswer(..) | Trouble::Status(..) => Bad::NotDone(anyhow::Error::from(trouble)),
        trouble => not_in_log(&trouble.to_string()),
    };
    // A leaf is in the tree a moment before a checkpoint says so.
    let (_, newest) = reader.checkpoint().await.map_err(trouble)?;
    if leaf >= newest.size {
        return Err(Bad::NotDone(anyhow!(
            "what the {site} host shows waits for its checkpoint; ask again in a moment"
        )));
    }
    let proof = reader.prove(leaf_hash(&record.entry()), leaf).await.map_err(trouble)?;
    let shown = ShownRecord { record, openings, proof };
    shown.verify(log, witnesses, quorum).map_err(|e| not_in_log(&e.to_string()))?;
    let field = |name: &str| shown.openings.iter().find(|o| o.name == name).map(|o| o.value.clone());
    if field("kind").as_deref() != Some(Kind::PagesServed.code()) || field("site").as_deref() != Some(site) {
        return Err(not_in_log("it is a record of something else"));
    }
    match (field("origin"), field("files")) {
        (Some(origin), Some(files)) => Ok(Word { site, origin, files, leaf }),
        _ => Err(not_in_log("a field is not opened")),
    }
}

/// Every file of one host; how many there are.
async fn host(client: &Client, word: &Word, places: &[&str]) -> Result<usize, Bad> {
    let Word { site, origin, files, leaf } = word;
    let (status, _, bytes) = ask(client, &format!("{origin}{FILES_PATH}"), "*/*", "identity", LIST_BYTES_MAX).await?;
    if status != 200 || b64(sha256(&bytes).as_bytes()) != *files {
        return Err(OtherPages::OtherList(origin.clone(), *leaf).into());
    }
    // Its hash stands in the log: who wrote it was a release, and a list in another form is a release's mistake.
    let list: List = serde_json::from_slice(&bytes).map_err(|e| Bad::NotDone(anyhow!("the list of {site}: {e}")))?;
    if list.v != 1 {
        return Err(Bad::NotDone(anyhow!("the list of {site} has version {}; this program knows 1", list.v)));
    }
    let all = list.files.keys().map(|path| (path.clone(), path.clone(), "*/*"));
    let pages = places.iter().map(|place| ((*place).to_owned(), PAGE.to_owned(), "text/html"));
    let asked: Vec<_> = all.chain(pages).flat_map(|one| TAKES.map(|takes| (one.clone(), takes))).collect();
    let (list, origin) = (&list, origin.as_str());
    let mut answers = futures_util::stream::iter(asked)
        .map(|((path, file, accept), takes)| one(client, list, (origin, path, file), (accept, takes), *leaf))
        .buffer_unordered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        answer?;
    }
    Ok(list.files.len())
}

/// One file in one form, byte by byte, and what its page may do.
async fn one(
    client: &Client,
    list: &List,
    (origin, path, file): (&str, String, String),
    (accept, takes): (&str, &str),
    leaf: u64,
) -> Result<(), Bad> {
    let url = format!("{origin}{path}");
    let (status, headers, body) = ask(client, &url, accept, takes, FILE_BYTES_MAX).await?;
    if status != 200 {
        return Err(OtherPages::Missing(url, leaf, status).into());
    }
    let form = match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => &list.files,
        Some(b"br") => &list.br,
        Some(b"gzip") => &list.gzip,
        Some(_) => return Err(OtherPages::OtherFile(url, leaf).into()),
    };
    let hash: String = sha256(&body).as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    if form.get(&file) != Some(&hash) {
        return Err(OtherPages::OtherFile(url, leaf).into());
    }
    let said = |name: &str| headers.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    let [content, permissions] = &list.policy;
    if said("content-security-policy") != [content.as_bytes()] || said("permissions-policy") != [permissions.as_bytes()]
    {
        return Err(OtherPages::OtherPolicy(url, leaf).into());
    }
    Ok(())
}

/// As a browser asks.
async fn ask(
    client: &Client,
    url: &str,
    accept: &str,
    takes: &str,
    max: usize,
) -> Result<(u16, HeaderMap, Bytes), Bad> {
    let mut request = get(url).map_err(|_| Bad::NotDone(anyhow!("{url} is not an address")))?;
    for (name, value) in [(header::ACCEPT, accept), (header::ACCEPT_ENCODING, takes)] {
        request.headers_mut().insert(name, HeaderValue::from_str(value).map_err(|e| Bad::NotDone(e.into()))?);
    }
    request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static("Mozilla/5.0"));
    let sent = client.send(request, DEADLINE, max).await;
    let answer = sent.map_err(|silence| Bad::NotDone(anyhow!("{url}: {silence}")))?;
    let body = answer.body.ok_or_else(|| Bad::NotDone(anyhow!("{url}: longer than it can be, or broken off")))?;
    Ok((answer.status.as_u16(), answer.headers, body))
}
