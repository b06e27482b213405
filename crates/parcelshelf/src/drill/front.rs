//! Files of the front's page hosts replaced on a running gateway: what the audit finds, and when; what owners confirm
//! meanwhile.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use parcelshelf_client::Failure;
use parcelshelf_edge::Host;
use parcelshelf_edge::clock::Stopwatch;
use parcelshelf_edge::pages::FILES_PATH;
use parcelshelf_exchange::Client;
use parcelshelf_log::note::LogSigner;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::gain::Gain;
use super::keepers::new_request;
use super::watcher::log_signer;
use super::world::World;
use crate::audit::Bad;
use crate::audit::pages::{Compared, compare};

/// Largest body that passes: photos and bundles are smaller.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);
/// A look that takes longer finds nothing in time.
const FOUND_MAX: Duration = Duration::from_secs(60);
/// Owners who open their wallet meanwhile, at most.
const OWNERS_MAX: usize = 24;
/// What the thief adds to a script.
const HOSTILE: &str =
    "\n;fetch('/v1/wallet/deliveries').then((r) => r.text()).then((t) => navigator.sendBeacon('/x', t));\n";

/// What is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replaced {
    Nothing,
    /// A script of the wallet, for everybody.
    Script,
    /// Only its compressed forms: whoever looks with simple tools sees the true file.
    Compressed,
    /// The page itself, and only inside the app: at the address that an owner's link names.
    Place,
    /// The list of files says what is shown.
    List,
    /// No file, but what the page may do: scripts from elsewhere.
    Policy,
    /// A script of the stop page.
    StopScript,
    /// A file is gone, and with it what it did for safety.
    Gone,
}
impl Replaced {
    const ALL: [Self; 7] =
        [Self::Script, Self::Compressed, Self::Place, Self::List, Self::Policy, Self::StopScript, Self::Gone];
    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Script => "a script of the wallet",
            Self::Compressed => "its compressed forms only",
            Self::Place => "the page inside the wallet only",
            Self::List => "a script, and the list of files with it",
            Self::Policy => "what the page may do",
            Self::StopScript => "a script of the stop page",
            Self::Gone => "a file that is gone",
        }
    }
}

/// Whoever has taken over the front's machine, between browsers and what was the front.
#[derive(Debug)]
struct Thief {
    http: reqwest::Client,
    target: String,
    wallet: String,
    stop: String,
    /// A script of each.
    scripts: [String; 2],
    doing: Mutex<Replaced>,
}

impl Thief {
    fn does(&self, what: Replaced) {
        *self.doing.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    async fn pass(&self, request: Request) -> Option<(StatusCode, HeaderMap, Bytes)> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, BODY_BYTES_MAX).await.ok()?;
        let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
        let mut headers = parts.headers;
        headers.remove(header::CONTENT_LENGTH);
        let sent = self.http.request(parts.method, format!("{}{path}", self.target)).headers(headers).body(body);
        let answer = sent.timeout(PATIENCE).send().await.ok()?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
            headers.remove(name);
        }
        Some((status, headers, answer.bytes().await.ok()?))
    }

    fn changes(&self, host: &str, path: &str, (status, headers, body): &mut (StatusCode, HeaderMap, Bytes)) {
        let doing = *self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        let is = |origin: &str| origin.split("//").nth(1) == Some(host);
        let (at_wallet, at_stop) = (is(&self.wallet), is(&self.stop));
        let script = at_wallet && path == self.scripts[0];
        let compressed = headers.contains_key(header::CONTENT_ENCODING);
        let hostile = |body: &mut Bytes| *body = [&body[..], HOSTILE.as_bytes()].concat().into();
        match doing {
            Replaced::Script if script => plain(headers, body, hostile),
            Replaced::List if script => plain(headers, body, hostile),
            Replaced::Compressed if script && compressed => hostile(body),
            Replaced::Place if at_wallet && path == "/consent" => plain(headers, body, hostile),
            Replaced::List if at_wallet && path == FILES_PATH => *body = relisted(body, &self.scripts[0]),
            Replaced::Policy if at_wallet => {
                headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("script-src *"));
            }
            Replaced::StopScript if at_stop && path == self.scripts[1] => plain(headers, body, hostile),
            Replaced::Gone if script => (*status, *body) = (StatusCode::NOT_FOUND, Bytes::new()),
            _ => {}
        }
    }
}

/// What is replaced comes in its plain form.
fn plain(headers: &mut HeaderMap, body: &mut Bytes, change: impl FnOnce(&mut Bytes)) {
    headers.remove(header::CONTENT_ENCODING);
    change(body);
}

/// The list with another hash for one file.
fn relisted(body: &Bytes, script: &str) -> Bytes {
    let mut list: Value = serde_json::from_slice(body).unwrap_or_default();
    list["files"][script] = json!("0".repeat(64));
    list.to_string().into()
}

async fn between(State(thief): State<Arc<Thief>>, request: Request) -> Response {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default().to_owned();
    let path = request.uri().path().to_owned();
    let Some(mut answer) = thief.pass(request).await else { return StatusCode::BAD_GATEWAY.into_response() };
    thief.changes(&host, &path, &mut answer);
    let (status, mut headers, body) = answer;
    // When the front is back nobody has a connection left that leads here.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let mut response = Response::new(Body::from(body));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    response
}

/// The front has moved to another port; at its own the thief answers.
struct Taken {
    thief: Arc<Thief>,
    serving: JoinHandle<()>,
    own: SocketAddr,
    moved: SocketAddr,
}

impl Taken {
    async fn over(world: &World) -> anyhow::Result<Self> {
        let layout = &world.scene().layout;
        let port = layout.gateway_origin.rsplit(':').next().and_then(|p| p.parse().ok()).context("no port")?;
        let own = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let moved = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).context("no port on loopback")?;
        world.show_pages(true);
        world.changed(async |parties| listen_at(parties, own, moved)).await?;
        let listener = tokio::net::TcpListener::bind(own).await.context("the front's port is not free")?;
        let (http, target) = (parcelshelf_exchange::bare(None)?, format!("http://{moved}"));
        let scripts =
            [script(&http, &target, &layout.wallet_origin).await?, script(&http, &target, &layout.stop_origin).await?];
        let thief = Arc::new(Thief {
            http,
            target,
            wallet: layout.wallet_origin.clone(),
            stop: layout.stop_origin.clone(),
            scripts,
            doing: Mutex::new(Replaced::Nothing),
        });
        let router = Router::new().fallback(between).with_state(Arc::clone(&thief));
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { thief, serving, own, moved })
    }

    async fn give_back(self, world: &World) -> anyhow::Result<()> {
        let Self { serving, own, moved, .. } = self;
        serving.abort();
        let _ = serving.await;
        world.show_pages(false);
        world.changed(async |parties| listen_at(parties, moved, own)).await
    }
}

fn listen_at(parties: &Path, from: SocketAddr, to: SocketAddr) -> anyhow::Result<()> {
    let path = parties.join("gateway/gateway.toml");
    let file = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let (old, new) = (format!("listen = \"{from}\""), format!("listen = \"{to}\""));
    ensure!(file.contains(&old), "{} does not say {old}", path.display());
    fs::write(&path, file.replace(&old, &new)).with_context(|| format!("failed to write {}", path.display()))
}

/// Some script of a host, as its list of files names it.
async fn script(http: &reqwest::Client, target: &str, origin: &str) -> anyhow::Result<String> {
    let host = origin.split("//").nth(1).context("not an origin")?;
    let list = http.get(format!("{target}{FILES_PATH}")).header(header::HOST, host).send().await?;
    let list: Value = serde_json::from_slice(&list.error_for_status()?.bytes().await?)?;
    let files = list["files"].as_object().context("a host without files")?;
    // One that comes compressed, too.
    let found = files.keys().find(|path| path.ends_with(".js") && list["br"][path.as_str()].is_string());
    found.cloned().context("a host without scripts")
}

/// Somebody outside who looks again and again.
struct Auditor {
    client: Client,
    url: String,
    signer: LogSigner,
}
impl Auditor {
    async fn looks(&self, before: &Compared) -> Result<Compared, Bad> {
        compare(&self.client, &self.url, self.signer.verifier(), (&[][..], 0), &before.leaves).await
    }
}

/// The files that the wallet and the stop page consist of are replaced while the gateway runs, in every way that a thief of
/// the front's machine has. An auditor looks; owners who open their wallet meanwhile are led to confirm what they did not mean.
///
/// # Errors
/// When an honest step does not come about.
pub async fn gateway_pages(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let count = world.share(50).clamp(2, OWNERS_MAX);
    let mine = world.take(count).await?;
    let before = world.all_seen(&mine);
    let taken = Taken::over(world).await?;
    let played = play(world, &taken.thief, &mine, &mut gain).await;
    taken.give_back(world).await?;
    played?;
    for (n, before) in before {
        gain.must(world.seen(n).open_commands == before.open_commands, || format!("delivery {n} was opened"));
    }
    Ok(gain)
}

async fn play(world: &World, thief: &Thief, mine: &[usize], gain: &mut Gain) -> anyhow::Result<()> {
    let auditor = Auditor {
        client: Client::network(Host::system().clock)?,
        url: format!("{}/log", world.scene().layout.gateway_origin),
        signer: log_signer(world)?,
    };
    // The leaf of what is shown has its checkpoint a second or two after the start.
    world.wait_outside(Duration::from_secs(3)).await;
    let honest = auditor.looks(&Compared::default()).await.context("the true files are not taken for such")?;
    gain.figure("files", honest.files);
    let mut seconds = Vec::new();
    for what in Replaced::ALL {
        thief.does(what);
        let watch = Stopwatch::start();
        let found = AtomicBool::new(false);
        let look = async {
            let looked = auditor.looks(&honest).await;
            found.store(true, Ordering::Release);
            (looked, watch.elapsed())
        };
        let confirm = async {
            let mut confirmed = 0_u64;
            if what == Replaced::Script {
                for n in mine {
                    if found.load(Ordering::Acquire) {
                        break;
                    }
                    confirmed += u64::from(tricked(world, *n).await?);
                }
            }
            anyhow::Ok(confirmed)
        };
        let ((looked, took), confirmed) = tokio::join!(look, confirm);
        let complaint = match looked {
            Err(Bad::Pages(complaint)) => complaint,
            Err(other) => return Err(anyhow::Error::from(other).context(what.name())),
            Ok(_) => {
                gain.win(format!("{} was replaced, and the audit holds", what.name()));
                continue;
            }
        };
        gain.count(what.name(), named(&complaint));
        gain.must(took <= FOUND_MAX, || format!("{}: found after {} s", what.name(), took.as_secs()));
        seconds.push(took.as_secs_f64());
        if what == Replaced::Script {
            gain.figure("confirmed_meanwhile", confirmed?);
        }
    }
    thief.does(Replaced::Nothing);
    auditor.looks(&honest).await.context("the true files are not taken for such any more")?;
    // A page can ask for a touch; without one nothing is confirmed.
    for n in mine {
        world.day.sleep_s(5).await;
        let (owner, reader) = (world.owner(*n)?, world.owner(mine[0])?);
        let mut bodies = Vec::new();
        for _ in 0..2 {
            let (ticket, window) = new_request(world, &reader.wallet, *n).await?;
            let point = owner.wallet.access_point(ticket.request.claims().iss).await?;
            bodies.push(owner.wallet.sign(&ticket, &owner.consent(window, point)?)?.body().clone());
        }
        let mut unsigned = bodies[0].clone();
        unsigned["assertion"]["signature"] = bodies[1]["assertion"]["signature"].clone();
        gain.refused(
            "a grant that nobody touched for",
            &["assertion_bad_signature"],
            &hand_in(world, *n, &unsigned).await,
        );
        bodies[0]["assertion"] = bodies[1]["assertion"].clone();
        gain.refused(
            "a grant with another's touch",
            &["assertion_wrong_challenge"],
            &hand_in(world, *n, &bodies[0]).await,
        );
    }
    seconds.sort_by(f64::total_cmp);
    let longest = seconds.last().copied().unwrap_or_default();
    gain.figure("ways_to_replace", seconds.len());
    gain.figure("seconds_until_found", (longest * 100.0).round() / 100.0);
    Ok(())
}

/// The hostile page shows one thing and has another confirmed: with the owner's touch, and so with the keyholder's word.
async fn tricked(world: &World, n: usize) -> anyhow::Result<bool> {
    let owner = world.owner(n)?;
    let (ticket, window) = new_request(world, &owner.wallet, n).await?;
    let point = owner.wallet.access_point(ticket.request.claims().iss).await?;
    let signed = owner.wallet.sign(&ticket, &owner.consent(window, point)?)?;
    Ok(owner.wallet.hand_in(&signed).await.is_ok())
}

async fn hand_in(world: &World, n: usize, body: &Value) -> Result<Value, Failure> {
    let owner = world.owner(n).map_err(|_| Failure::Unexpected("no such owner"))?;
    let scene = world.scene();
    let http = parcelshelf_client::Http::new(&scene.layout.wallet_origin, &scene.host.client);
    http.post("/v1/grants", &[("authorization", owner.wallet.session())], body).await
}

fn named(complaint: &crate::audit::pages::OtherPages) -> &'static str {
    use crate::audit::pages::OtherPages as O;
    match complaint {
        O::Unsaid(_) => "unsaid",
        O::NotInLog(..) => "not_in_log",
        O::WentBack { .. } => "went_back",
        O::OtherList(..) => "other_list",
        O::OtherFile(..) => "other_file",
        O::Missing(..) => "missing",
        O::OtherPolicy(..) => "other_policy",
    }
}
