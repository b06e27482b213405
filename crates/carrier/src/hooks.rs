//! Tells merchants' systems that something became of a delivery, or that its owner should open the wallet: four words, no
//! content.
//!
//! What a merchant's endpoint gets names deliveries by their random ids and says one of [`Class`]; how it ended, and everything
//! else, the merchant asks with its key. Nothing is said of legs and arrivals: when somebody stood at a car is nothing for a shop.
//! All messages have one size, and leave at quarters of an hour, so that neither their bytes nor their moment tell more than they say.
//!
//! The outbox is a job per delivery, written with the change that it tells of. What changes twice in a quarter is told once. An
//! endpoint is a stranger: only HTTPS to the public internet, no redirects, a deadline, and of its answer the status alone.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, header};
use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_exchange::{Client, post, secret_header};
use parcelshelf_protocol::encoding::{b64, domain_hash};
use parcelshelf_store::Job;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;
use url::Url;

use crate::db::{Change, DELIVERIES, DeliveryRow, Failure, HOOK, HookPart, again};
use crate::jobs::{LOOK_EVERY, PAUSE_MIN, lease};
use crate::model::rounded_up;
use crate::{ApiKey, Broken, Carrier, Role, Shell, text};

/// Deliveries in one message.
const CHANGES_MAX: usize = 16;
/// Every message has so many bytes: what the longest needs, and some.
const BODY_BYTES: usize = 4_096;
/// Jobs taken at once: four messages of one merchant's, all within a lease.
const CLAIMED_MAX: u32 = 64;
/// An endpoint that takes longer has not answered.
const DEADLINE: Duration = Duration::from_secs(10);
/// Of an answer only the status counts.
const ANSWER_BYTES: usize = 1_024;
/// Tries: after 15 minutes, 30, 1 hour and so on up to a day; together nearly a week. Then the merchant has to ask.
const TRIES_MAX: u32 = 12;
const STEP_S: i64 = 900;
const DAY_S: i64 = 86_400;
/// An owner who has not answered is to be reminded the evening before: so long before the window begins.
const REMIND_BEFORE_S: i64 = 18 * 3_600;
/// Whoever has just ordered has the shop's own words before them.
pub(crate) const NOT_AT_ONCE_S: i64 = 3_600;
/// As Standard Webhooks says: 24 to 64 bytes.
const SECRET_BYTES: core::ops::RangeInclusive<usize> = 24..=64;
const SECRET_PREFIX: &str = "whsec_";
const URL_BYTES_MAX: usize = 512;

/// Where one merchant is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// The name of a merchant's key.
    pub merchant: String,
    pub url: String,
    /// A file with `whsec_` and the base64 of 24 to 64 random bytes, which the merchant has, too.
    pub secret: PathBuf,
    /// For trying out: an endpoint on this machine, and then on no other.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub local: bool,
}

/// What a merchant is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The owner has to answer, and has not: the shop knows how to reach them, the carrier does not.
    OpenWallet,
    /// The owner has allowed it.
    Accepted,
    /// Something does not go into the car.
    FallingBack,
    /// Every parcel has its outcome.
    Ended,
}
impl Class {
    pub const fn code(self) -> &'static str {
        match self {
            Self::OpenWallet => "open_wallet",
            Self::Accepted => "accepted",
            Self::FallingBack => "falling_back",
            Self::Ended => "ended",
        }
    }
    /// What is to be told of a delivery. That an answer is missing is a shop's business; that a car is not ready is not.
    fn of(row: &DeliveryRow) -> Option<Self> {
        match row.state.phase.as_str() {
            // Under a standing rule the owner is not asked, as long as it may hold.
            "requested" => row.announce.is_none().then_some(Self::OpenWallet),
            "accepted" | "loaded" | "leg" | "at_stop" => Some(Self::Accepted),
            "falling_back" => Some(Self::FallingBack),
            "ended" => Some(Self::Ended),
            _ => None,
        }
    }
    /// When it is told, of what is so since `now`: always a quarter of an hour.
    fn due(self, row: &DeliveryRow, now: Timestamp) -> Timestamp {
        let evening = Timestamp::from_unix_millis(row.state.start_ms).plus_seconds(-REMIND_BEFORE_S);
        rounded_up(if self == Self::OpenWallet { now.max(evening) } else { now })
    }
}

struct Endpoint {
    url: String,
    key: hmac::Key,
    client: Client,
}
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endpoint(<redacted>)")
    }
}

/// Every merchant's endpoint.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    endpoints: BTreeMap<String, Endpoint>,
    /// Which did not answer, and until when they are left alone: asking more often in the same quarter changes nothing.
    silent: Mutex<BTreeMap<String, Timestamp>>,
}

impl Hooks {
    pub fn open(config: &[WebhookConfig], keys: &[ApiKey], shell: &Shell) -> Result<Self, Broken> {
        let mut hooks = Self::default();
        for one in config {
            let wrong = |what: &str| Broken::Config(format!("webhook of {:?}: {what}", one.merchant));
            if !keys.iter().any(|k| k.role == Role::Merchant && k.name == one.merchant) {
                return Err(wrong("no merchant's key has this name"));
            }
            check_url(&one.url, one.local).map_err(wrong)?;
            let secret = secret(&text(&one.secret)?).ok_or_else(|| {
                wrong("the secret is not whsec_ and base64 of 24 to 64 bytes; make one with openssl rand -base64 32")
            })?;
            let timer = Arc::clone(&shell.host.clock);
            let client = if one.local { Client::network(timer) } else { Client::outward(timer) };
            let client = client.map_err(|e| Broken::Config(e.to_string()))?;
            let endpoint = Endpoint { url: one.url.clone(), key: hmac::Key::new(hmac::HMAC_SHA256, &secret), client };
            if hooks.endpoints.insert(one.merchant.clone(), endpoint).is_some() {
                return Err(wrong("it has two"));
            }
        }
        Ok(hooks)
    }
    /// Whether somebody is to be told of this merchant's deliveries.
    pub fn has(&self, merchant: &str) -> bool {
        self.endpoints.contains_key(merchant)
    }
    fn is_silent(&self, merchant: &str, now: Timestamp) -> bool {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.get(merchant).is_some_and(|until| now < *until)
    }
    fn note(&self, merchant: &str, answered: bool, now: Timestamp) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            silent.remove(merchant);
        } else {
            silent.insert(merchant.to_owned(), rounded_up(now.plus_millis(1)));
        }
    }
}

/// What can be seen of an address before anybody connects; where it leads is looked at with every connection.
fn check_url(text: &str, local: bool) -> Result<(), &'static str> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= URL_BYTES_MAX).ok_or("the address is none")?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("an address here has neither a user nor a fragment");
    }
    let host = url.host().ok_or("the address has no host")?;
    let here = match host {
        url::Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        url::Host::Ipv4(a) => a.is_loopback(),
        url::Host::Ipv6(a) => a.is_loopback(),
    };
    match (local, here, url.scheme()) {
        (true, true, "http" | "https") => Ok(()),
        (true, ..) => Err("local = true is for an endpoint on this machine"),
        (false, true, _) => Err("an endpoint on this machine needs local = true"),
        (false, false, "https") => match host {
            url::Host::Ipv4(a) if !parcelshelf_exchange::is_public(a.into()) => Err("the address is not public"),
            url::Host::Ipv6(a) if !parcelshelf_exchange::is_public(a.into()) => Err("the address is not public"),
            _ => Ok(()),
        },
        (false, false, _) => Err("the address has to begin with https:"),
    }
}

fn secret(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64_STANDARD.decode(text.strip_prefix(SECRET_PREFIX)?).ok()?;
    SECRET_BYTES.contains(&bytes.len()).then_some(bytes)
}

/// How long after so many tries in vain the next one comes.
fn back_off_s(tries: u32) -> i64 {
    (STEP_S << tries.saturating_sub(1).min(16)).min(DAY_S)
}

/// One delivery in a message.
#[derive(Debug, Clone)]
struct Told {
    delivery: DeliveryId,
    shipment: String,
    class: Class,
}
impl Told {
    /// The same for the same news: whoever gets it twice knows it again.
    fn id(&self) -> String {
        b64(&domain_hash("psh-webhook-change-v1", &[self.delivery.as_bytes(), self.class.code().as_bytes()]).as_bytes()
            [..16])
    }
}

/// A message as it leaves.
struct Message {
    id: String,
    body: String,
}

fn message(told: &[Told], quarter: Timestamp) -> Message {
    let ids: Vec<String> = told.iter().map(Told::id).collect();
    let parts: Vec<&[u8]> = ids.iter().map(String::as_bytes).collect();
    let changes: Vec<_> = told
        .iter()
        .zip(&ids)
        .map(|(t, id)| json!({"id": id, "delivery": t.delivery.to_string(), "shipment": t.shipment, "class": t.class.code()}))
        .collect();
    let body = |pad: &str| {
        json!({"type": "deliveries.changed", "timestamp": quarter.to_rfc3339(), "data": {"changes": changes, "pad": pad}})
            .to_string()
    };
    let missing = BODY_BYTES.saturating_sub(body("").len());
    Message {
        id: format!("msg_{}", b64(&domain_hash("psh-webhook-v1", &parts).as_bytes()[..16])),
        body: body(&"0".repeat(missing)),
    }
}

/// What became of a message to a merchant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tried {
    Arrived,
    InVain,
    /// The merchant's endpoint did not answer in this quarter of an hour, so that this one did not leave: it counts as no try.
    Not,
}

/// Standard Webhooks: HMAC-SHA256 over id, time and body.
fn signature(key: &hmac::Key, id: &str, seconds: i64, body: &str) -> String {
    let tag = hmac::sign(key, format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(tag.as_ref()))
}

/// Tells until `stop`.
pub(crate) async fn work(carrier: Arc<Carrier>, mut stop: watch::Receiver<bool>) {
    loop {
        let due = carrier.engine.next_due(HOOK).await.ok().flatten();
        let now = carrier.host.now();
        let jobs = match due.is_some_and(|at| at <= now) {
            true => carrier.engine.claim(HOOK, now, lease(now), CLAIMED_MAX).await.unwrap_or_default(),
            false => Vec::new(),
        };
        let claimed = !jobs.is_empty();
        carrier.tell_merchants(&jobs).await;
        let pause = match due {
            _ if claimed => Duration::ZERO,
            Some(at) => carrier.host.now().until(at).clamp(PAUSE_MIN, LOOK_EVERY),
            None => LOOK_EVERY,
        };
        tokio::select! {
            biased;
            () = carrier.bells.rung(HOOK) => {}
            () = carrier.host.sleep(pause) => {}
            stopped = async { stop.wait_for(|s| *s).await.is_ok() } => {
                tracing::debug!(stopped, "no more merchants are told");
                return;
            }
        }
    }
}

impl Carrier {
    /// What this merchant is to be told of it and was not.
    fn news(&self, row: &DeliveryRow) -> Option<Class> {
        let class = Class::of(row).filter(|_| self.hooks.has(&row.merchant) && !row.erasing)?;
        let told = row.hook.as_ref().and_then(|h| h.told.as_deref());
        (told != Some(class.code())).then_some(class)
    }

    /// Plans to tell, if somebody is to be told of this and was not.
    pub(crate) fn plan_to_tell(&self, change: &mut Change<'_>, id: &[u8], row: &DeliveryRow, now: Timestamp) {
        if let Some(class) = self.news(row) {
            change.job(HOOK, id, class.due(row, now));
        }
    }

    async fn tell_merchants(&self, jobs: &[Job]) {
        let mut by_merchant: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        for job in jobs {
            let Ok(id) = <[u8; 16]>::try_from(job.id.as_slice()).map(DeliveryId::from_bytes) else { continue };
            match again!(self.what_to_tell(id)) {
                Ok(Some((merchant, told))) => by_merchant.entry(merchant).or_default().push(told),
                Ok(None) => {}
                Err(problem) => tracing::warn!(code = problem.code(), "a merchant is told later"),
            }
        }
        let all = by_merchant.iter().map(|(merchant, told)| self.tell_merchant(merchant, told));
        futures_util::future::join_all(all).await;
    }

    /// What a job is about, or nothing any more: then the job is done.
    async fn what_to_tell(&self, id: DeliveryId) -> Result<Option<(String, Told)>, Failure> {
        let stored = match self.delivery(id).await {
            Err(Failure::Problem(p)) if p.code() == "delivery_unknown" => None,
            found => Some(found?),
        };
        let told = stored.as_ref().and_then(|s| {
            let row = &s.value;
            let told = Told { delivery: id, shipment: row.shipment.clone(), class: self.news(row)? };
            Some((row.merchant.clone(), told))
        });
        if told.is_none() {
            let mut change = Change::new(self);
            // With its version: what becomes of it at this moment has planned its own job.
            change.batch.checks.extend(stored.map(|s| s.check()));
            change.job_done(HOOK, id.as_bytes());
            change.commit().await?;
        }
        Ok(told)
    }

    async fn tell_merchant(&self, merchant: &str, told: &[Told]) {
        for some in told.chunks(CHANGES_MAX) {
            let tried = match self.hooks.is_silent(merchant, self.host.now()) {
                true => Tried::Not,
                false if self.sent(merchant, some).await => Tried::Arrived,
                false => Tried::InVain,
            };
            for one in some {
                if let Err(problem) = again!(self.note_told(one, tried)) {
                    tracing::warn!(
                        code = problem.code(),
                        "what a merchant was told could not be kept; it is told again"
                    );
                }
            }
        }
    }

    async fn sent(&self, merchant: &str, told: &[Told]) -> bool {
        let Some(endpoint) = self.hooks.endpoints.get(merchant) else { return false };
        let now = self.host.now();
        let Message { id, body } = message(told, self.kept_now());
        let signature = signature(&endpoint.key, &id, now.unix_seconds(), &body);
        let Ok(mut request) = post(&endpoint.url, "application/json", body) else { return false };
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static("parcelshelf"));
        let (id, signature) = (HeaderValue::from_str(&id).ok(), secret_header(&signature));
        let (Some(id), Some(signature)) = (id, signature) else { return false };
        headers.insert("webhook-id", id);
        headers.insert("webhook-timestamp", HeaderValue::from(now.unix_seconds()));
        headers.insert("webhook-signature", signature);
        let answer = endpoint.client.send(request, DEADLINE, ANSWER_BYTES).await;
        let arrived = answer.as_ref().is_ok_and(|a| a.status.is_success());
        if !arrived {
            // Neither the merchant's name nor its address: logs are read by others than the configuration.
            let status = answer.map_or(0, |a| a.status.as_u16());
            tracing::warn!(
                status,
                deliveries = told.len(),
                "a merchant's endpoint did not take a message; it is sent again"
            );
        }
        self.hooks.note(merchant, arrived, self.host.now());
        arrived
    }

    /// Keeps what was told, or plans the next try.
    async fn note_told(&self, told: &Told, tried: Tried) -> Result<(), Failure> {
        let mut stored = match self.delivery(told.delivery).await {
            // Erased meanwhile, with its job.
            Err(Failure::Problem(p)) if matches!(p.code(), "delivery_unknown" | "erased") => return Ok(()),
            found => found?,
        };
        let now = self.host.now();
        let tries = stored.value.hook.as_ref().map_or(0, |h| h.tries) + u32::from(tried != Tried::Not);
        let arrived = tried == Tried::Arrived;
        let gives_up = tried == Tried::InVain && tries >= TRIES_MAX;
        let mut change = Change::new(self);
        if arrived || gives_up {
            stored.value.hook = Some(HookPart { told: Some(told.class.code().to_owned()), tries: 0 });
            let kind = if arrived { "merchant_told" } else { "merchant_not_told" };
            change.journal(DELIVERIES, &stored.id, kind, &json!({"class": told.class.code()}));
            change.job_done(HOOK, &stored.id);
            // Something new has happened while this was on its way.
            self.plan_to_tell(&mut change, &stored.id, &stored.value, now);
        } else {
            let before = stored.value.hook.as_ref().and_then(|h| h.told.clone());
            stored.value.hook = Some(HookPart { told: before, tries });
            change.job(HOOK, &stored.id, rounded_up(now.plus_seconds(back_off_s(tries))));
        }
        change.delivery(&stored);
        change.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        // The example of its specification.
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
        let made = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_message_has_the_same_size_and_the_same_news_the_same_id() {
        let quarter = Timestamp::from_unix_seconds(1_795_446_000);
        let told = |n: u8, class| Told {
            delivery: DeliveryId::from_bytes([n; 16]),
            shipment: parcelshelf_core::id::ShipmentId::from_bytes([n; 16]).to_string(),
            class,
        };
        let most: Vec<Told> = (0..16).map(|n| told(n, Class::FallingBack)).collect();
        let (small, large) = (message(&[told(1, Class::Ended)], quarter), message(&most, quarter));
        assert_eq!((small.body.len(), large.body.len()), (BODY_BYTES, BODY_BYTES));
        assert_eq!(message(&most, quarter.plus_seconds(900)).id, large.id, "also when it is sent again");
        assert_ne!(message(&[told(1, Class::Accepted)], quarter).id, small.id);
        assert_ne!(message(&[told(2, Class::Ended)], quarter).id, small.id);
        // Nothing but these members.
        let read: serde_json::Value = serde_json::from_str(&small.body).unwrap();
        let names = |v: &serde_json::Value| {
            v.as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&read), ["data", "timestamp", "type"]);
        assert_eq!(names(&read["data"]), ["changes", "pad"]);
        assert_eq!(names(&read["data"]["changes"][0]), ["class", "delivery", "id", "shipment"]);
        assert_eq!(read["timestamp"], "2026-11-23T15:00:00.000Z");
    }

    #[test]
    fn addresses_of_strangers_are_public_and_https() {
        for (url, local, fits) in [
            ("https://shop.example/hooks?a=b", false, true),
            ("https://shop.example:8443/hooks", false, true),
            ("https://1.1.1.1/hooks", false, true),
            ("http://shop.example/hooks", false, false),
            ("ftp://shop.example/hooks", false, false),
            ("https://10.0.0.1/hooks", false, false),
            ("https://169.254.169.254/", false, false),
            ("https://0x7f.1/", false, false),
            ("https://[fd00::1]/", false, false),
            ("https://localhost/", false, false),
            ("https://hook.localhost/", false, false),
            ("https://user@shop.example/", false, false),
            ("https://shop.example/#part", false, false),
            ("shop.example", false, false),
            ("http://localhost:9/", true, true),
            ("http://127.0.0.1:9/", true, true),
            ("http://[::1]:9/", true, true),
            ("http://10.0.0.1:9/", true, false),
            ("https://shop.example/", true, false),
        ] {
            assert_eq!(check_url(url, local).is_ok(), fits, "{url}");
        }
        assert!(check_url(&format!("https://shop.example/{}", "a".repeat(URL_BYTES_MAX)), false).is_err());
        for wrong in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%%"] {
            assert!(secret(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn tries_become_rarer_and_end_within_a_week() {
        let waits: Vec<i64> = (1..TRIES_MAX).map(back_off_s).collect();
        assert_eq!(waits[..8], [900, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600, DAY_S]);
        assert!(waits.windows(2).all(|w| w[0] <= w[1]) && waits.iter().all(|w| w % STEP_S == 0));
        assert!(waits.iter().sum::<i64>() < 7 * DAY_S, "{waits:?}");
        assert_eq!(back_off_s(u32::MAX), DAY_S);
    }
}
