//! Web Push without content (RFC 8030): one empty message for everything, so that a push service and whoever reads its
//! traffic learn that a wallet has something to read, and nothing else. What it is the wallet asks for itself.
//!
//! The keyholder says which wallet is to be woken and when, and does not know where; this front knows where, and not why.
//! Who sends proves itself by a token of its own key (VAPID, RFC 8292). Endpoints come from browsers and are hostile input:
//! https, bounded, on hosts of the configuration only, never an address that is not public; nothing is followed, and of an
//! answer nothing but its status counts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use parcelshelf_core::id::WalletId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::Host;
use parcelshelf_edge::json::StrictJson;
use parcelshelf_edge::problem::Problem;
use parcelshelf_exchange::{Client, secret_header};
use parcelshelf_protocol::encoding::{b64, from_b64, sha256};
use parcelshelf_protocol::jws::{Sign as _, SigningKey};
use parcelshelf_store::{Batch, Check, CommitError, Row, Version};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use url::{Host as UrlHost, Url};
use utoipa::ToSchema;

use crate::rows::{self, PUSHES, PushRow, WALLET, wallet_owner};
use crate::sites::{Public, Site};
use crate::{Front, read_key, relay, sessions, store_problem};

/// Longest address of a push service that is taken.
const ENDPOINT_MAX: usize = 1_024;
/// Devices of one wallet; the oldest goes.
const DEVICES_MAX: usize = 8;
/// A token is for one push service, and good for half a day: less than the day that RFC 8292 allows.
const TOKEN_S: i64 = 12 * 3_600;
/// A phone that is off for longer has the list to read anyway. The keyholder counts on it.
const TTL_S: &str = "86400";
/// For all alike: an urgency of its own would say of an alarm that it is one.
const URGENCY: &str = "high";
/// A newer message takes the place of one that waits: they say the same.
const TOPIC: &str = "news";
const DEADLINE: Duration = Duration::from_secs(5);
/// Of an answer only the status counts.
const ANSWER_MAX: usize = 1_024;
/// How often a message is sent that a push service wants later; then the keyholder says when.
const ROUNDS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(3);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Nobody answers at the keyholder.
const BACK_OFF: Duration = Duration::from_secs(3);
/// Wallets that are woken at the same time.
const AT_ONCE: usize = 32;

/// Where messages may be sent, and who sends them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushConfig {
    /// Whom a push service may ask: `mailto:` or `https:` (RFC 8292, 2.1).
    pub contact: String,
    /// 32 bytes of base64url, the scalar of an ES256 key. Another key ends every subscription.
    pub key: PathBuf,
    /// Names of push services; one that begins with a dot takes every name below it.
    #[serde(default = "known_services")]
    pub hosts: Vec<String>,
    /// For trying out: plain http to this machine, and to no other.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub local: bool,
}
/// Those of the browsers that people use.
#[must_use]
pub fn known_services() -> Vec<String> {
    ["fcm.googleapis.com", "updates.push.services.mozilla.com", "web.push.apple.com", ".notify.windows.com"]
        .map(str::to_owned)
        .to_vec()
}
impl PushConfig {
    fn names(&self, host: &str) -> bool {
        self.hosts.iter().any(|h| h == host || (h.starts_with('.') && host.ends_with(h.as_str())))
    }
    /// An address of a push service, if it is one.
    fn endpoint(&self, text: &str) -> Option<Url> {
        let url = address(text)?;
        let Some(UrlHost::Domain(host)) = url.host() else { return None };
        let here = host == "localhost" || host.ends_with(".localhost");
        let way = if self.local { url.scheme() == "http" && here } else { url.scheme() == "https" && !here };
        let port = self.local || url.port().is_none();
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        (way && port && plain && self.names(host)).then_some(url)
    }
    fn check(&self) -> Result<(), String> {
        if !(self.contact.starts_with("mailto:") || self.contact.starts_with("https://")) {
            return Err(String::from("push: contact is a mailto: or an https: address"));
        }
        let is_name = |h: &String| {
            let name = h.strip_prefix('.').unwrap_or(h);
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
        };
        if self.hosts.is_empty() || !self.hosts.iter().all(is_name) {
            return Err(String::from("push: hosts are names of push services, in lower case"));
        }
        Ok(())
    }
}

/// Sends.
pub(crate) struct Pusher {
    config: PushConfig,
    key: SigningKey,
    /// The key's uncompressed point, as browsers want it.
    public: String,
    client: Client,
}
impl Pusher {
    /// # Errors
    /// A text that says what is wrong with the configuration.
    pub fn open(config: &PushConfig, host: &Host) -> Result<Self, String> {
        config.check()?;
        let clock = Arc::clone(&host.clock);
        let client = if config.local { Client::network(clock) } else { Client::outward(clock) };
        let client = client.map_err(|e| format!("push: {e}"))?;
        let none = || format!("push: {} holds no key", config.key.display());
        let key = SigningKey::from_scalar(&read_key(&config.key)?).map_err(|_| none())?;
        let jwk: Value = serde_json::from_str(&key.verifying_key().to_jwk()).map_err(|_| none())?;
        let part = |name: &str| jwk[name].as_str().and_then(from_b64).ok_or_else(none);
        let public = b64([&[4][..], &part("x")?, &part("y")?].concat());
        Ok(Self { config: config.clone(), key, public, client })
    }
    /// `vapid t=…, k=…` for one push service.
    fn authorization(&self, url: &Url, now: Timestamp) -> Option<String> {
        let header = b64(br#"{"typ":"JWT","alg":"ES256"}"#);
        let (aud, exp) = (url.origin().ascii_serialization(), now.plus_seconds(TOKEN_S).unix_seconds());
        let claims = b64(json!({"aud": aud, "exp": exp, "sub": self.config.contact}).to_string());
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(signed.as_bytes()).ok()?;
        Some(format!("vapid t={signed}.{}, k={}", b64(signature), self.public))
    }
    /// The one message that there is.
    fn message(&self, url: &Url, now: Timestamp) -> Option<Request<Bytes>> {
        Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .header(header::AUTHORIZATION, secret_header(&self.authorization(url, now)?)?)
            .header("ttl", TTL_S)
            .header("urgency", URGENCY)
            .header("topic", TOPIC)
            .header(header::CONTENT_LENGTH, "0")
            .body(Bytes::new())
            .ok()
    }
    async fn send(&self, endpoint: &str, now: Timestamp) -> Sent {
        // The list of hosts may be another one since.
        let Some(url) = self.config.endpoint(endpoint) else { return Sent::Gone };
        let Some(message) = self.message(&url, now) else { return Sent::Refused };
        match self.client.send(message, DEADLINE, ANSWER_MAX).await {
            Ok(answer) => match answer.status.as_u16() {
                200..=299 => Sent::Taken,
                404 | 410 => Sent::Gone,
                429 | 500..=599 => Sent::Later(answer.retry_after().unwrap_or(PAUSE).min(PAUSE_MAX)),
                status => {
                    tracing::warn!(status, "a push service refuses our messages");
                    Sent::Refused
                }
            },
            Err(_) => Sent::Later(PAUSE),
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Taken,
    /// There is no such subscription any more.
    Gone,
    Later(Duration),
    /// Asking again in the same minute changes nothing.
    Refused,
}

/// Where this device takes messages. Keys for contents are not asked for: there are none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subscription {
    #[schema(min_length = 1, max_length = 1024)]
    endpoint: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PushKey {
    /// For `applicationServerKey`, base64url; null where this gateway wakes nobody.
    key: Option<String>,
}

/// By which key this gateway proves itself to push services.
#[utoipa::path(get, path = "/v1/push", responses((status = 200, body = PushKey)))]
pub(crate) async fn key(State(front): State<Arc<Front>>) -> Json<PushKey> {
    Json(PushKey { key: front.pusher.as_ref().map(|p| p.public.clone()) })
}

async fn wallet_of(front: &Front, public: &Public, headers: &HeaderMap) -> Result<WalletId, Problem> {
    if public.site != Site::Wallet {
        return Err(Problem::new(404, "not_found", "this route is the wallet's"));
    }
    sessions::of(front, headers).await
}

/// Takes a device of this wallet: it gets an empty message when there is something to look at. Said again it stays for longer.
#[utoipa::path(post, path = "/v1/wallet/push", request_body = Subscription, security(("session" = [])),
    responses((status = 204)))]
pub(crate) async fn subscribe(
    State(front): State<Arc<Front>>,
    Extension(public): Extension<Public>,
    headers: HeaderMap,
    StrictJson { value, .. }: StrictJson<Subscription>,
) -> Result<StatusCode, Problem> {
    let wallet = wallet_of(&front, &public, &headers).await?;
    let off = || Problem::new(409, "push_not_offered", "this gateway sends no messages to devices");
    let pusher = front.pusher.as_ref().ok_or_else(off)?;
    let unknown = || {
        Problem::new(422, "push_service_unknown", "this gateway does not send to that push service")
            .detail("another browser may use another one; without messages everything else works")
    };
    let url = pusher.config.endpoint(&value.endpoint).ok_or_else(unknown)?;
    front.keep_device(wallet, url.as_str()).await?;
    front.say(wallet, "wants").await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets a device.
#[utoipa::path(post, path = "/v1/wallet/push/remove", request_body = Subscription, security(("session" = [])),
    responses((status = 204)))]
pub(crate) async fn unsubscribe(
    State(front): State<Arc<Front>>,
    Extension(public): Extension<Public>,
    headers: HeaderMap,
    StrictJson { value, .. }: StrictJson<Subscription>,
) -> Result<StatusCode, Problem> {
    let wallet = wallet_of(&front, &public, &headers).await?;
    // As it was kept: browsers and this front may write the same address differently. Also of a service that is sent to no more.
    let none = || Problem::new(422, "push_service_unknown", "this is no address of a push service");
    let kept = address(&value.endpoint).ok_or_else(none)?;
    front.forget_device(&device_id(wallet, kept.as_str())).await?;
    if front.page(PUSHES, WALLET, wallet.as_bytes()).await?.is_empty() {
        front.say(wallet, "wants_not").await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// What a browser names as its address, wherever it leads.
fn address(text: &str) -> Option<Url> {
    let plain = text.len() <= ENDPOINT_MAX && text.bytes().all(|b| b.is_ascii_graphic());
    Url::parse(text).ok().filter(|_| plain)
}

fn device_id(wallet: WalletId, endpoint: &str) -> Vec<u8> {
    [&wallet.as_bytes()[..], sha256(endpoint).as_bytes()].concat()
}

impl Front {
    async fn keep_device(&self, wallet: WalletId, endpoint: &str) -> Result<(), Problem> {
        let id = device_id(wallet, endpoint);
        let (mut others, mut before) = (Vec::new(), Version::Absent);
        for row in self.page(PUSHES, WALLET, wallet.as_bytes()).await? {
            if row.id == id {
                before = row.expected();
            } else {
                let until = self.opened::<PushRow>(PUSHES, &row.id).await?.map_or(0, |r| r.until_ms);
                others.push((until, row));
            }
        }
        others.sort_by_key(|(until, _)| *until);
        let too_many = (others.len() + 1).saturating_sub(DEVICES_MAX);
        let gone = |row: &Row| Check { table: PUSHES.to_owned(), id: row.id.clone(), version: row.expected() };
        let days = i64::from(self.config.retention.pushes_days);
        let until_ms = rows::day_of(self.host.now().plus_seconds(days * 86_400));
        let row = PushRow { v: 1, wallet: wallet.to_string(), endpoint: endpoint.to_owned(), until_ms };
        let index = rows::of_wallet_until(wallet, until_ms);
        let mut put = self.sealed(&wallet_owner(wallet), PUSHES, &id, &row, index).await?;
        put.expected = before;
        let batch = Batch {
            at: Some(self.host.now()),
            puts: vec![put],
            deletes: others.iter().take(too_many).map(|(_, row)| gone(row)).collect(),
            journal: vec![rows::entry(PUSHES, wallet.as_bytes(), "device_kept")],
            ..Batch::default()
        };
        self.commit(batch).await.map_err(store_problem)
    }
    async fn forget_device(&self, id: &[u8]) -> Result<(), Problem> {
        let Some(row) = self.engine.get(PUSHES, id).await.map_err(|e| Problem::store(&e))? else { return Ok(()) };
        let batch = Batch {
            at: Some(self.host.now()),
            deletes: vec![Check { table: PUSHES.to_owned(), id: id.to_vec(), version: row.expected() }],
            journal: vec![rows::entry(PUSHES, id.get(..16).unwrap_or_default(), "device_forgotten")],
            ..Batch::default()
        };
        match self.commit(batch).await {
            Ok(()) | Err(CommitError::Conflict(_)) => Ok(()),
            Err(other) => Err(store_problem(other)),
        }
    }

    /// Tells the keyholder of a wallet: that it wants to be woken, or how it went.
    async fn say(&self, wallet: WalletId, word: &str) -> Result<(), Problem> {
        let body = json!({"wallet": wallet.to_string(), "says": word}).to_string();
        let answer = relay::ask(self, "/waking", body).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(Problem::unavailable("keyholder_unavailable", "the keyholder does not take that now", 2))
    }

    async fn devices(&self, wallet: WalletId) -> Result<Vec<(Vec<u8>, String)>, Problem> {
        let (now_ms, mut found) = (self.host.now().unix_millis(), Vec::new());
        for row in self.page(PUSHES, WALLET, wallet.as_bytes()).await? {
            let device = self.opened::<PushRow>(PUSHES, &row.id).await?;
            found.extend(device.filter(|d| d.until_ms > now_ms).map(|d| (row.id, d.endpoint)));
        }
        Ok(found)
    }

    /// One message to every device of a wallet, and the word for the keyholder.
    async fn wake(&self, pusher: &Pusher, wallet: WalletId) -> Result<&'static str, Problem> {
        let mut left = self.devices(wallet).await?;
        let (mut taken, mut refused) = (false, false);
        for round in 1..=ROUNDS {
            let (mut again, mut pause) = (Vec::new(), Duration::ZERO);
            for (id, endpoint) in left {
                match pusher.send(&endpoint, self.host.now()).await {
                    Sent::Taken => taken = true,
                    Sent::Gone => self.forget_device(&id).await?,
                    Sent::Refused => refused = true,
                    Sent::Later(after) => {
                        pause = pause.max(after);
                        again.push((id, endpoint));
                    }
                }
            }
            left = again;
            if left.is_empty() || round == ROUNDS {
                break;
            }
            self.host.sleep(pause).await;
        }
        Ok(match (taken, refused || !left.is_empty()) {
            (true, _) => "woken",
            (false, true) => "later",
            (false, false) => "wants_not",
        })
    }
}

/// Asks the keyholder whom to wake and wakes them, until `stop`.
pub(crate) async fn watch(front: Arc<Front>, mut stop: watch::Receiver<bool>) {
    if front.pusher.is_none() {
        return;
    }
    let waking = async {
        let (places, mut running) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        loop {
            while running.try_join_next().is_some() {}
            let Some(wallets) = ask_whom(&front).await else {
                front.host.sleep(BACK_OFF).await;
                continue;
            };
            for wallet in wallets {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                let front = Arc::clone(&front);
                running.spawn(async move {
                    wake_one(&front, wallet).await;
                    drop(place);
                });
            }
        }
    };
    tokio::select! {
        biased;
        () = waking => {}
        stopped = async { stop.wait_for(|s| *s).await.is_ok() } => tracing::debug!(stopped, "nobody more is woken"),
    }
}

async fn wake_one(front: &Front, wallet: WalletId) {
    let Some(pusher) = &front.pusher else { return };
    let told = async {
        let word = front.wake(pusher, wallet).await?;
        front.say(wallet, word).await
    };
    // The keyholder offers it again.
    if let Err(problem) = told.await {
        tracing::warn!(code = problem.code(), "devices could not be woken");
    }
}

async fn ask_whom(front: &Front) -> Option<Vec<WalletId>> {
    let url = front.config.origin.clone();
    let answer = relay::send(front, Method::GET, "/waking", HeaderMap::new(), &url, None, Bytes::new()).await.ok()?;
    let said: Value = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status.is_success())?;
    Some(said["wallets"].as_array()?.iter().filter_map(|w| WalletId::parse(w.as_str()?).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(local: bool, hosts: &[&str]) -> PushConfig {
        PushConfig {
            contact: "mailto:ops@gateway.example".into(),
            key: PathBuf::new(),
            hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
            local,
        }
    }

    #[test]
    fn only_services_of_the_configuration_are_sent_to_and_nothing_private() {
        let c = PushConfig { hosts: known_services(), ..config(false, &[]) };
        assert_eq!(c.check(), Ok(()));
        for good in [
            "https://fcm.googleapis.com/fcm/send/abc:def",
            "https://web.push.apple.com/QGxk",
            "https://updates.push.services.mozilla.com/wpush/v2/gAAA",
            "https://wns2-par02p.notify.windows.com/w/?token=BQYA",
        ] {
            assert!(c.endpoint(good).is_some(), "{good}");
        }
        let long = format!("https://fcm.googleapis.com/{}", "x".repeat(ENDPOINT_MAX));
        for bad in [
            "",
            "fcm.googleapis.com/x",
            "http://fcm.googleapis.com/x",
            "https://fcm.googleapis.com:8443/x",
            "https://user@fcm.googleapis.com/x",
            "https://:word@fcm.googleapis.com/x",
            "https://fcm.googleapis.com/x#y",
            "https://fcm.googleapis.com.evil.example/x",
            "https://evil.example/fcm.googleapis.com",
            "https://evilweb.push.apple.com/x",
            "https://push.apple.com/x",
            "https://notify.windows.com/x",
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://2130706433/x",
            "https://localhost/x",
            "https://169.254.169.254/latest",
            "ftp://fcm.googleapis.com/x",
            "file:///etc/passwd",
            "https://fcm.googleapis.com/\0",
            long.as_str(),
        ] {
            assert!(c.endpoint(bad).is_none(), "{bad}");
        }
        let local = config(true, &["localhost"]);
        assert!(local.endpoint("http://localhost:4711/push/1").is_some());
        for bad in
            ["https://localhost/x", "http://127.0.0.1:4711/x", "http://fcm.googleapis.com/x", "http://a.localhost/"]
        {
            assert!(local.endpoint(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_configuration_that_sends_anywhere_is_none() {
        for hosts in [&[][..], &["."], &[""], &["*"], &["https://fcm.googleapis.com"], &["FCM.googleapis.com"]] {
            assert!(config(false, hosts).check().is_err(), "{hosts:?}");
        }
        let nobody = PushConfig { contact: "ops@gateway.example".into(), ..config(false, &["fcm.googleapis.com"]) };
        assert!(nobody.check().is_err());
    }
}
