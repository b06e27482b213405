//! What lies between the adapter and the server: mostly nothing; at times trouble.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use parcelshelf_core::time::{Clock, Sleep, Timer, Timestamp};
use parcelshelf_exchange::{Answer, Silence, Way};
use serde_json::{Value, json};

use crate::fake::Hands;

/// The machine's clock.
pub struct Machine(tokio::time::Instant);
impl Machine {
    pub fn new() -> Self {
        Self(tokio::time::Instant::now())
    }
}
impl Clock for Machine {
    #[expect(clippy::disallowed_methods, reason = "a test against a server that has a clock of its own")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        Timestamp::from_unix_millis(i64::try_from(since.as_millis()).expect("not so late"))
    }
}
impl Timer for Machine {
    fn sleep(&self, span: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(span))
    }
    fn uptime(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What happens to the next command.
#[derive(Debug, Clone, Copy)]
pub enum Trouble {
    Drop,
    Status(u16),
    /// A page instead of an answer.
    Page,
    /// The cloud makes an attempt, and it ends so: `error`, or `pending` for ever.
    Attempt(&'static str),
}

/// Real sockets, with a count, and with trouble when a story asks for it. The vendor's server turns every lock at once:
/// that one did not is played by turning it back before the answer arrives.
pub struct Between {
    net: reqwest::Client,
    hands: Option<Hands>,
    /// Method and path of every request, in order.
    pub seen: Mutex<Vec<String>>,
    /// Strikes the next command to this path; whether the lock turns all the same.
    pub next: Mutex<Option<(&'static str, Trouble, bool)>>,
    /// The bolt engages no more, and the lock notices.
    pub jammed: AtomicBool,
}
impl Between {
    pub fn new(hands: Option<Hands>) -> Self {
        let net = parcelshelf_exchange::bare(None).expect("a client");
        Self { net, hands, seen: Mutex::default(), next: Mutex::default(), jammed: AtomicBool::new(false) }
    }
    pub fn requests(&self) -> u64 {
        self.seen.lock().unwrap().len() as u64
    }
    pub fn commands(&self) -> u64 {
        self.seen.lock().unwrap().iter().filter(|s| s.starts_with("POST ")).count() as u64
    }
    fn trouble(&self, path: &str) -> Option<(Trouble, bool)> {
        if path == LOCK_DOOR && self.jammed.load(Ordering::Acquire) {
            return Some((Trouble::Attempt("error"), false));
        }
        let mut next = self.next.lock().unwrap();
        let (struck, trouble, acted) = (*next)?;
        if path == struck {
            *next = None;
            return Some((trouble, acted));
        }
        None
    }
    async fn through(&self, request: Request<Bytes>, max_bytes: usize) -> Result<Answer, Silence> {
        let request = reqwest::Request::try_from(request).map_err(|_| Silence::NeverSent)?;
        let response = self.net.execute(request).await;
        let response = response.map_err(|e| if e.is_connect() { Silence::NeverSent } else { Silence::Lost })?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(|_| Silence::Lost)?;
        Ok(Answer { status, headers, body: (body.len() <= max_bytes).then_some(body) })
    }
    async fn attempt(
        &self,
        request: Request<Bytes>,
        max_bytes: usize,
        end: &str,
        acted: bool,
    ) -> Result<Answer, Silence> {
        let hands = self.hands.as_ref().expect("hands");
        let was_locked = hands.is_locked().await;
        let answer = self.through(request, max_bytes).await?;
        let told: Value = serde_json::from_slice(answer.body.as_deref().expect("a body")).expect("JSON");
        let id = told["action_attempt"]["action_attempt_id"].as_str().expect("an id").to_owned();
        if !acted {
            hands.put("locked", was_locked).await;
        }
        let error = json!({"type": "failed_to_reach_device", "message": "x"});
        let what = if end == "error" { json!({"status": end, "error": error}) } else { json!({ "status": end }) };
        hands.conclude(&id, what).await;
        Ok(answer)
    }
}
pub const UNLOCK_DOOR: &str = "/locks/unlock_door";
pub const LOCK_DOOR: &str = "/locks/lock_door";

#[async_trait::async_trait]
impl Way for Between {
    async fn carry(&self, request: Request<Bytes>, max_bytes: usize) -> Result<Answer, Silence> {
        let path = request.uri().path().to_owned();
        self.seen.lock().unwrap().push(format!("{} {path}", request.method()));
        let Some((trouble, acted)) = self.trouble(&path) else { return self.through(request, max_bytes).await };
        if let Trouble::Attempt(end) = trouble {
            return self.attempt(request, max_bytes, end, acted).await;
        }
        if acted {
            assert_eq!(self.through(request, max_bytes).await?.status, 200, "the command itself went well");
        }
        let page = |status: u16| Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::from_iter([(header::RETRY_AFTER, "7".parse().expect("a value"))]),
            body: Some(Bytes::from_static(b"<html>trouble</html>")),
        };
        match trouble {
            Trouble::Drop | Trouble::Attempt(_) => Err(Silence::Lost),
            Trouble::Status(status) => Ok(page(status)),
            Trouble::Page => Ok(page(200)),
        }
    }
}
