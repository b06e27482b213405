//! Calls to the gateway: signed for this very request, for sixty seconds, by the delegation key.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_delivery::readiness::Slot;
use parcelshelf_exchange::Answer;
use parcelshelf_protocol::accepted::{Accepted, VerifiedAccepted};
use parcelshelf_protocol::call::Call;
use parcelshelf_protocol::encoding::TokenId;
use parcelshelf_protocol::jws::Moment;
use parcelshelf_protocol::keys::{Keys, VerifiedKeys};
use parcelshelf_protocol::proof::HttpRequest;
use parcelshelf_store::Version;
use serde_json::{Value, json};

use crate::Carrier;
use crate::db::{Change, Failure, Index, KeysRow};

/// Long polls wait 25 s.
pub(crate) const DEADLINE: Duration = Duration::from_secs(35);
const ANSWER_MAX: usize = 1 << 20;
const KEYS: &str = "keys";

/// The keyholder's keys, once they were verified: they stand until they end.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys(Mutex<Option<VerifiedKeys>>);
impl KnownKeys {
    fn at(&self, now: Timestamp) -> Option<VerifiedKeys> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|keys| (keys.claims().iat..keys.claims().exp).contains(&now)).cloned()
    }
    fn keep(&self, keys: &VerifiedKeys) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys.clone());
    }
}

/// Why the gateway did not do it.
#[derive(Debug)]
pub(crate) enum NotDone {
    /// Nobody answered, or it asks for patience: again later, in the same bytes.
    Later,
    /// It refused, with a code.
    Refused(String),
}

impl Carrier {
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, NotDone> {
        let url = format!("{}{path}", self.config.gateway);
        let bytes = body.map(Value::to_string).unwrap_or_default().into_bytes();
        let request = HttpRequest { method: method.as_str(), url: &url, body: &bytes };
        let (now, papers) = (self.host.now(), &self.papers);
        let jti = TokenId::from_bytes(self.host.random());
        let call = Call::sign(papers.root, &self.config.aud, jti, &request, now, &papers.delegation_key)
            .map_err(|r| NotDone::Refused(r.code().to_owned()))?;
        let mut sent = Request::builder()
            .method(method)
            .uri(&url)
            .header("authorization", format!("Bearer {call}"))
            .header("parcelshelf-certificate", &papers.delegation_cert);
        if body.is_some() {
            sent = sent.header("content-type", "application/json");
        }
        let Answer { status, body, .. } = self.ask_gateway(sent.body(bytes.into())).await.ok_or(NotDone::Later)?;
        let bytes = body.ok_or(NotDone::Later)?;
        let json: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(json);
        }
        if status.is_server_error() || status.as_u16() == 429 {
            return Err(NotDone::Later);
        }
        let code = json["code"].as_str().unwrap_or("refused");
        // Our own signature or clock is in trouble, not the delivery: nothing is given up for that.
        if status.as_u16() == 401 || code.starts_with("call_") || code.starts_with("cert_") {
            tracing::error!(code, "the gateway does not take our signature; look at clock and certificates");
            return Err(NotDone::Later);
        }
        Err(NotDone::Refused(code.to_owned()))
    }

    /// One question; `None` when there is no answer.
    async fn ask_gateway(&self, request: Result<Request<Bytes>, http::Error>) -> Option<Answer> {
        let sent = self.gateway.send(request.ok()?, DEADLINE, ANSWER_MAX).await;
        sent.inspect_err(|silence| tracing::warn!(%silence, "the gateway does not answer")).ok()
    }

    /// The acceptance of a delivery's grant, verified, if there is one yet; and whether it is of a standing rule.
    pub(crate) async fn ask_accepted(&self, delivery: DeliveryId) -> Result<Option<(VerifiedAccepted, bool)>, NotDone> {
        let answer = self.call(Method::GET, &format!("/v1/deliveries/{delivery}/accepted"), None).await?;
        match answer["accepted"].as_str() {
            Some(jws) => Ok(Some((self.verified(delivery, jws).await?, answer["standing"] == Value::Bool(true)))),
            None => Ok(None),
        }
    }

    /// Announces a delivery under a standing rule. The same request again gets the same answer.
    pub(crate) async fn announce(
        &self,
        delivery: DeliveryId,
        request: &str,
        rule: &str,
    ) -> Result<VerifiedAccepted, NotDone> {
        let body = json!({"request": request, "rule": rule});
        let answer = self.call(Method::POST, "/v1/announcements", Some(&body)).await?;
        self.verified(delivery, answer["accepted"].as_str().ok_or(NotDone::Later)?).await
    }

    /// The keyholder's word that this delivery is granted.
    pub(crate) async fn verified(&self, delivery: DeliveryId, jws: &str) -> Result<VerifiedAccepted, NotDone> {
        let keys = self.keyholder_keys().await.map_err(|_| NotDone::Later)?;
        let wrong = |code: &'static str| NotDone::Refused(code.to_owned());
        let root = self.papers.root;
        let accepted = Accepted::verify(jws, &keys.claims().message, &self.config.aud, root, Moment::Any)
            .map_err(|r| wrong(r.code()))?;
        if accepted.claims().delivery == delivery { Ok(accepted) } else { Err(wrong("accepted_wrong_delivery")) }
    }

    /// What the gateway says of a delivery.
    pub(crate) async fn ask_status(&self, delivery: DeliveryId) -> Result<Value, NotDone> {
        self.call(Method::GET, &format!("/v1/deliveries/{delivery}/status"), None).await
    }

    /// Whether the car is ready: `yes`, `no` or `later`.
    pub(crate) async fn ask_ready(&self, delivery: DeliveryId, slot: Slot) -> Result<String, NotDone> {
        let body = json!({"slot": slot.code()});
        let answer = self.call(Method::POST, &format!("/v1/deliveries/{delivery}/readiness"), Some(&body)).await?;
        match answer["answer"].as_str() {
            Some(word @ ("yes" | "no" | "later")) => Ok(word.to_owned()),
            _ => Err(NotDone::Later),
        }
    }

    /// How the makers' clouds are, if the gateway says.
    pub(crate) async fn ask_makers(&self) -> Option<Value> {
        self.call(Method::GET, "/v1/makers/health", None).await.ok()
    }

    /// Which of our deliveries have changed after this position; waits as long as the gateway lets us.
    pub(crate) async fn ask_changes(&self, after: &str) -> Result<Value, NotDone> {
        self.call(Method::GET, &format!("/v1/changes?after={after}&wait=25"), None).await
    }

    /// Hands in a delegation. The same bytes again change nothing there.
    pub(crate) async fn post_delegation(&self, jws: &str) -> Result<(), NotDone> {
        let body = json!({"delegation": jws, "delegation_cert": self.papers.delegation_cert});
        self.call(Method::POST, "/v1/delegations", Some(&body)).await.map(drop)
    }

    /// The keyholder's published keys: the log key is pinned when it is first seen, the others must be signed by it.
    async fn keyholder_keys(&self) -> Result<VerifiedKeys, Failure> {
        let now = self.host.now();
        if let Some(keys) = self.keyholder.at(now) {
            return Ok(keys);
        }
        let keys = self.verified_keys(now).await?;
        self.keyholder.keep(&keys);
        Ok(keys)
    }

    async fn verified_keys(&self, now: Timestamp) -> Result<VerifiedKeys, Failure> {
        let stored = self.row::<KeysRow>(KEYS, b"keyholder").await?;
        if let Some(row) = &stored
            && let Ok(keys) = Keys::verify(&row.value.jws, &row.value.log, &self.config.aud, Moment::Used(now))
        {
            return Ok(keys);
        }
        let unavailable =
            || parcelshelf_edge::problem::Problem::unavailable("gateway_unavailable", "the gateway does not answer", 5);
        let url = format!("{}/v1/keys", self.config.gateway);
        let answer = self.ask_gateway(parcelshelf_exchange::get(&url)).await.ok_or_else(unavailable)?;
        let bytes = answer.body.ok_or_else(unavailable)?;
        let json: Value = serde_json::from_slice(&bytes).map_err(|_| unavailable())?;
        let jws = json["keys"].as_str().ok_or_else(unavailable)?;
        let log = match &stored {
            Some(row) => row.value.log.clone(),
            None => Keys::peek_log(jws).map_err(|_| unavailable())?,
        };
        let keys = Keys::verify(jws, &log, &self.config.aud, Moment::Used(now)).map_err(|r| {
            tracing::error!(code = r.code(), "the keyholder's published keys do not hold");
            unavailable()
        })?;
        let mut change = Change::new(self);
        let version = stored.map_or(Version::Absent, |s| s.version);
        change.put(KEYS, b"keyholder", version, &KeysRow { v: 1, jws: jws.to_owned(), log }, Index::new());
        change.journal(KEYS, b"keyholder", "keys_pinned", &json!({}));
        match change.commit().await {
            Ok(()) | Err(Failure::Conflict) => Ok(keys),
            Err(other) => Err(other),
        }
    }

    /// Whether the store answers.
    pub(crate) async fn is_ready(&self) -> bool {
        self.engine.next_due(crate::db::ACCEPT).await.is_ok()
    }
}
