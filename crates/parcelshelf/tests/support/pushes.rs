//! A push service on loopback: takes messages as RFC 8030 says, from whoever proves the key that a browser subscribed with.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, post};
use parcelshelf_protocol::encoding::from_b64;
use parcelshelf_protocol::jws::VerifyingKey;
use serde_json::Value;

/// What the service does with the next messages of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    Takes,
    /// The subscription is over.
    Gone,
    /// It wants patience, once.
    Busy,
    /// Somebody else may know more.
    Elsewhere,
}

/// A message that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub to: String,
    /// TTL, urgency, topic.
    pub class: (String, String, String),
    pub bytes: usize,
    /// By the sender's clock.
    pub at_s: i64,
}

#[derive(Debug)]
struct Desk {
    origin: String,
    key: Mutex<Option<String>>,
    answers: Mutex<Answers>,
    taken: Mutex<Vec<Taken>>,
    refused: Mutex<Vec<&'static str>>,
    asked: Mutex<usize>,
    /// What came to where it has sent somebody.
    elsewhere: Mutex<usize>,
}

/// How long a token of this gateway is good, seconds.
const TOKEN_S: i64 = 12 * 3_600;

/// The service, listening.
#[derive(Debug, Clone)]
pub struct PushService(Arc<Desk>);

impl PushService {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let desk = Arc::new(Desk {
            origin,
            key: Mutex::default(),
            answers: Mutex::new(Answers::Takes),
            taken: Mutex::default(),
            refused: Mutex::default(),
            asked: Mutex::default(),
            elsewhere: Mutex::default(),
        });
        let router = Router::new()
            .route("/push/{name}", post(message))
            .route("/elsewhere", any(elsewhere))
            .with_state(Arc::clone(&desk));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self(desk)
    }
    /// A browser subscribes with the application server's key: its endpoint.
    pub fn subscribe(&self, name: &str, key: &str) -> String {
        *self.0.key.lock().unwrap() = Some(key.to_owned());
        format!("{}/push/{name}", self.0.origin)
    }
    pub fn answer(&self, answers: Answers) {
        *self.0.answers.lock().unwrap() = answers;
    }
    pub fn taken(&self) -> Vec<Taken> {
        self.0.taken.lock().unwrap().clone()
    }
    pub fn refused(&self) -> Vec<&'static str> {
        self.0.refused.lock().unwrap().clone()
    }
    pub fn asked(&self) -> usize {
        *self.0.asked.lock().unwrap()
    }
    pub fn sent_elsewhere(&self) -> usize {
        *self.0.elsewhere.lock().unwrap()
    }
}

/// RFC 8292: the token is by the key that subscribed, for this service, and says who may be asked. When it ends.
fn vapid(desk: &Desk, headers: &HeaderMap) -> Result<i64, &'static str> {
    let header = headers.get("authorization").and_then(|h| h.to_str().ok()).ok_or("no authorization")?;
    let parts = header.strip_prefix("vapid ").ok_or("not vapid")?;
    let part =
        |name: &str| parts.split(", ").find_map(|p| p.strip_prefix(name)?.strip_prefix('=')).ok_or("a part is missing");
    let (token, k) = (part("t")?, part("k")?);
    if desk.key.lock().unwrap().as_deref() != Some(k) {
        return Err("another key than the one that subscribed");
    }
    let point = from_b64(k).ok_or("the key is not base64url")?;
    let key = VerifyingKey::from_point(&point).map_err(|_| "the key is none")?;
    let (signed, signature) = token.rsplit_once('.').ok_or("not compact")?;
    let signature: [u8; 64] = from_b64(signature).and_then(|s| s.try_into().ok()).ok_or("not a signature")?;
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err("the signature does not hold");
    }
    let (head, claims) = signed.split_once('.').ok_or("not compact")?;
    let json = |text: &str| from_b64(text).and_then(|b| serde_json::from_slice::<Value>(&b).ok()).ok_or("not JSON");
    let (head, claims) = (json(head)?, json(claims)?);
    if head != serde_json::json!({"typ": "JWT", "alg": "ES256"}) {
        return Err("another header");
    }
    if claims["aud"] != desk.origin.as_str() {
        return Err("for another service");
    }
    let contact = claims["sub"].as_str().is_some_and(|s| s.starts_with("mailto:") || s.starts_with("https:"));
    if claims.as_object().is_none_or(|c| c.len() != 3) || !contact {
        return Err("no contact, or more than that");
    }
    claims["exp"].as_i64().ok_or("no end")
}

async fn elsewhere(State(desk): State<Arc<Desk>>) -> StatusCode {
    *desk.elsewhere.lock().unwrap() += 1;
    StatusCode::CREATED
}

async fn message(State(desk): State<Arc<Desk>>, Path(name): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    *desk.asked.lock().unwrap() += 1;
    let ends = match vapid(&desk, &headers) {
        Ok(ends) => ends,
        Err(why) => {
            desk.refused.lock().unwrap().push(why);
            return StatusCode::FORBIDDEN.into_response();
        }
    };
    let mut answers = desk.answers.lock().unwrap();
    match *answers {
        Answers::Gone => return StatusCode::GONE.into_response(),
        Answers::Elsewhere => {
            return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response();
        }
        Answers::Busy => {
            *answers = Answers::Takes;
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        Answers::Takes => {}
    }
    let header = |n: &str| headers.get(n).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let class = (header("ttl"), header("urgency"), header("topic"));
    let taken = Taken { to: name, class, bytes: body.len(), at_s: ends - TOKEN_S };
    desk.taken.lock().unwrap().push(taken);
    StatusCode::CREATED.into_response()
}
