//! The vendor's server, one for each story: it starts in a second or two and forgets everything with its process.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

/// What the vendor's seed gives.
pub const KEY: &str = "seam_apikey1_token";
pub const LOCK: &str = "august_device_1";

pub struct Fake {
    _process: Child,
    pub port: u16,
    pub hands: Hands,
}
/// What happens to locks, keys and attempts behind the API.
#[derive(Clone)]
pub struct Hands {
    pub base: String,
    http: reqwest::Client,
    line: Arc<Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>>,
}

/// Where the set-up put the server, in the same target folder that the set-up used.
fn modules() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let modules = root.join(target).join("fake-seam");
    modules.canonicalize().unwrap_or(modules)
}

impl Fake {
    pub async fn start() -> Self {
        let modules = modules();
        let there = modules.join("node_modules/@seamapi/fake-seam-connect/package.json").exists();
        assert!(there, "the vendor's server is not installed ({} is missing): run scripts/setup.sh", modules.display());
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let mut process = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-seam/serve.mjs"))
            .arg(modules)
            .arg(port.to_string())
            .env_remove("NODE_OPTIONS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let input = process.stdin.take().expect("its input");
        let output = BufReader::new(process.stdout.take().expect("its output")).lines();
        let hands = Hands {
            base: format!("http://127.0.0.1:{port}"),
            http: parcelshelf_exchange::bare(None).expect("a client"),
            line: Arc::new(Mutex::new((input, output))),
        };
        hands.hear("listens").await;
        Self { _process: process, port, hands }
    }
}
impl Hands {
    /// Waits for a line with this member; other lines are the server's own talk.
    async fn hear(&self, member: &str) {
        let mut line = self.line.lock().await;
        while let Some(text) = line.1.next_line().await.expect("text") {
            if serde_json::from_str::<Value>(&text).is_ok_and(|told| told.get(member).is_some()) {
                return;
            }
        }
        panic!("the vendor's server has ended");
    }
    async fn deed(&self, told: Value) {
        let text = format!("{told}\n");
        self.line.lock().await.0.write_all(text.as_bytes()).await.expect("the server listens");
        self.hear("done").await;
    }
    /// What stands in the lock's properties from now on.
    pub async fn put(&self, property: &str, value: bool) {
        self.deed(json!({"deed": "put", "device_id": LOCK, "property": property, "value": value})).await;
    }
    pub async fn delete_key(&self) {
        self.deed(json!({"deed": "delete_key", "token": KEY})).await;
    }
    pub async fn forget_attempts(&self) {
        self.deed(json!({"deed": "forget_attempts"})).await;
    }
    pub async fn database(&self) -> Value {
        let answer = self.http.get(format!("{}/_fake/database", self.base)).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }
    pub async fn is_locked(&self) -> bool {
        let all = self.database().await;
        let lock =
            all["devices"].as_array().expect("devices").iter().find(|d| d["device_id"] == LOCK).expect("the lock");
        lock["properties"]["locked"] == json!(true)
    }
    /// What becomes of an attempt, through the vendor's own test interface.
    pub async fn conclude(&self, attempt: &str, what: Value) {
        let mut body = what;
        body["action_attempt_id"] = json!(attempt);
        let request = self.http.post(format!("{}/_fake/update_action_attempt", self.base)).json(&body);
        assert_eq!(request.send().await.expect("an answer").status(), 200);
    }
}
