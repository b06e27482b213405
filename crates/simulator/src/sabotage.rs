//! Tampering from outside: a proxy between a keyholder and the simulated maker's cloud, or a household's server.
//!
//! It tells the keyholder what it wants to hear while something else happens to the car or the door. Whoever judges a run by the
//! services' own words is fooled; whoever reads the simulator's record of lids and locks is not. Nothing in the product
//! has a switch for this.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parcelshelf_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Bodies of this cloud are a few kilobytes.
const BODY_BYTES_MAX: usize = 256 * 1024;
const FORWARD_PATIENCE: Duration = Duration::from_secs(40);

/// What the proxy does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// Locks never reach the car; the keyholder is told that they were done and that the car is locked. A door is never told
    /// to shut, and called shut.
    SwallowLocks,
    /// Every unlock reaches the car twice, and every word to open the door.
    RepeatUnlocks,
    /// No picture ever comes from a camera: each is painted as the light in its view would make it.
    PaintPictures,
}

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct Proxy {
    serving: JoinHandle<()>,
    address: SocketAddr,
}

impl Proxy {
    /// Listens on a free port of the loopback interface and forwards to `target`, such as `http://127.0.0.1:8480`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(target: String, tampering: Tampering) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(FORWARD_PATIENCE)
            .build()
            .map_err(std::io::Error::other)?;
        let (swallowed, lit, newest) = (Mutex::default(), Mutex::default(), Mutex::new(Timestamp::EPOCH));
        let man = Arc::new(Man { target, tampering, http, swallowed, lit, painted: AtomicU32::new(0), newest });
        let router = Router::new().fallback(forward).with_state(man);
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { serving, address })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The man in the middle.
#[derive(Debug)]
struct Man {
    target: String,
    tampering: Tampering,
    http: reqwest::Client,
    /// Cars and doors, as paths name them, that were never locked and are called so.
    swallowed: Mutex<BTreeSet<String>>,
    /// Lights that were told to go on, by the name that they share with their cameras.
    lit: Mutex<BTreeSet<String>>,
    /// Pictures painted so far.
    painted: AtomicU32,
    /// The newest change that a house has told of any of its doors: a lie about a bolt must be younger than the last opening.
    newest: Mutex<Timestamp>,
}

async fn forward(State(man): State<Arc<Man>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let is_command = |name: &str| parts.method == Method::POST && path.trim_end_matches('/').ends_with(name);
    if man.tampering == Tampering::SwallowLocks && is_command("/commands/lock") {
        let vin = path.split('/').rev().nth(2).unwrap_or_default();
        held(&man.swallowed).insert(vin.to_owned());
        return said(&json!({"data": {"vin": vin, "invokeStatus": "COMPLETED", "message": ""}}));
    }
    let entity = || -> Option<String> {
        let asked: Value = serde_json::from_slice(&body).ok()?;
        asked["entity_id"].as_str().map(str::to_owned)
    };
    let shuts = ["/services/cover/close_cover", "/services/lock/lock"].into_iter().any(is_command);
    if man.tampering == Tampering::SwallowLocks && shuts {
        held(&man.swallowed).extend(entity());
        return said(&json!([]));
    }
    if man.tampering == Tampering::PaintPictures {
        for (switch, on) in [("/services/light/turn_on", true), ("/services/light/turn_off", false)] {
            if let Some(light) = entity().filter(|_| is_command(switch)) {
                man.switched(&light, on);
            }
        }
        let camera = path.strip_prefix("/api/camera_proxy/").and_then(|asked| asked.split('?').next());
        if let Some(camera) = camera {
            return man.painted(camera);
        }
    }
    let opens = ["/commands/unlock", "/services/cover/open_cover", "/services/lock/unlock"].into_iter().any(is_command);
    if man.tampering == Tampering::RepeatUnlocks && opens {
        let _ = man.pass(&parts.method, &path, &parts.headers, body.clone()).await;
    }
    match man.pass(&parts.method, &path, &parts.headers, body).await {
        Ok((status, headers, answer)) => man.answer(&path, status, headers, answer),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

fn said(body: &Value) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn held(names: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Man {
    fn switched(&self, light: &str, on: bool) {
        let name = light.trim_start_matches("light.").to_owned();
        if on {
            held(&self.lit).insert(name);
        } else {
            held(&self.lit).remove(&name);
        }
    }
    /// A picture that nobody took.
    fn painted(&self, camera: &str) -> Response {
        let lit = held(&self.lit).contains(camera.trim_start_matches("camera."));
        let nth = self.painted.fetch_add(1, Ordering::Relaxed);
        let png = crate::homeassistant::front::painted(lit, nth).unwrap_or_default();
        (StatusCode::OK, [(header::CONTENT_TYPE, "image/png")], png).into_response()
    }
    async fn pass(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes), reqwest::Error> {
        let mut headers = headers.clone();
        headers.remove(header::HOST);
        headers.remove(header::CONTENT_LENGTH);
        let answer = self
            .http
            .request(method.clone(), format!("{}{path}", self.target))
            .headers(headers)
            .body(body)
            .send()
            .await?;
        Ok((answer.status(), answer.headers().clone(), answer.bytes().await?))
    }

    /// The newest change that was told so far, this answer's included.
    fn newest_of(&self, body: &[u8]) -> Timestamp {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(told) = serde_json::from_slice::<Value>(body) {
            let times = ["last_changed", "last_updated"].iter().filter_map(|name| told[*name].as_str());
            *newest = times.filter_map(|t| Timestamp::parse_rfc3339(t).ok()).max().unwrap_or(*newest).max(*newest);
        }
        *newest
    }

    /// Passes an answer on; after a swallowed lock, doors are said to be locked since now, and a house's door to be shut.
    fn answer(&self, path: &str, status: StatusCode, mut headers: HeaderMap, body: Bytes) -> Response {
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::TRANSFER_ENCODING);
        let mut body = body;
        let path = path.trim_end_matches('/');
        let about_it = path.split('/').any(|part| held(&self.swallowed).contains(part));
        let newest = self.newest_of(&body);
        if about_it && let Ok(mut told) = serde_json::from_slice::<Value>(&body) {
            if path.ends_with("/doors") {
                call_locked(&mut told);
            } else if told["state"].is_string() {
                call_shut(&mut told, path.contains("/lock."), newest);
            }
            body = Bytes::from(told.to_string());
        }
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// A lie that looks fresh: locked, a millisecond after the newest that is told of any closure.
fn call_locked(doors: &mut Value) {
    let all = doors["data"].as_object().into_iter().flat_map(|d| d.values());
    let newest = after(all.filter_map(|v| v["timestamp"].as_str()));
    if let Some(lock) = doors.pointer_mut("/data/centralLock") {
        *lock = json!({"value": "LOCKED", "timestamp": newest});
    }
}
/// The same of a house's door: its drive, or its bolt.
fn call_shut(told: &mut Value, bolt: bool, newest: Timestamp) {
    let since = newest.plus_millis(1).to_rfc3339();
    told["state"] = json!(if bolt { "locked" } else { "closed" });
    if !bolt {
        told["attributes"]["current_position"] = json!(0);
    }
    told["last_changed"] = json!(since);
}
/// A millisecond after the newest of these times.
fn after<'a>(times: impl Iterator<Item = &'a str>) -> String {
    let newest = times.filter_map(|t| Timestamp::parse_rfc3339(t).ok()).max().unwrap_or(Timestamp::EPOCH);
    newest.plus_millis(1).to_rfc3339()
}
