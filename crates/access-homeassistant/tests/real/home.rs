//! One real server for all stories of this process; each has a car of its own in it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use serde_json::{Value, json};

/// Cars in that home: as many as there are stories, and some to spare.
const CARS: usize = 72;

pub struct Home {
    /// Its standard input ends with this process, and the server with that.
    _server: Mutex<Child>,
    pub base: String,
    /// The owner's, who administers: the hands of the stories.
    pub owner_token: String,
    /// A long-lived token of the user that is there for us.
    pub token: String,
    pub username: String,
    pub password: String,
    next: AtomicUsize,
}

/// The server; started by whoever asks first.
pub fn home() -> &'static Home {
    static HOME: OnceLock<Home> = OnceLock::new();
    HOME.get_or_init(Home::start)
}

/// Where the set-up put the server, in the same folder that the set-up used.
fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let below_target = || {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        target.join("home-assistant-venv")
    };
    let venv = std::env::var_os("PARCELSHELF_HOME_ASSISTANT").map_or_else(below_target, PathBuf::from);
    root.join(venv).join("bin/python")
}

impl Home {
    fn start() -> Self {
        let python = python();
        assert!(python.exists(), "{} is missing: run scripts/setup-home-assistant.sh", python.display());
        let mut server = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/home-assistant/serve.py"))
            .arg(CARS.to_string())
            .env_remove("PYTHONPATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the interpreter starts");
        let mut line = String::new();
        let output = server.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let told: Value = serde_json::from_str(&line).expect("the server is set up; else it said above why not");
        let text = |name: &str| told[name].as_str().expect(name).to_owned();
        Self {
            base: text("base"),
            owner_token: text("owner_token"),
            token: text("token"),
            username: text("username"),
            password: text("password"),
            next: AtomicUsize::new(0),
            _server: Mutex::new(server),
        }
    }
    /// A client of one story's own: kept connections end with the runtime that made them.
    pub fn http(&self) -> reqwest::Client {
        parcelshelf_exchange::bare(None).expect("a client")
    }
    /// The number of a car that no other story has.
    pub fn a_car(&self) -> usize {
        let n = self.next.fetch_add(1, Ordering::AcqRel);
        assert!(n < CARS, "there are more stories than cars: raise CARS");
        n
    }
    /// Calls a service as the owner.
    pub async fn service(&self, service: &str, data: Value) {
        let http = self.http();
        let url = format!("{}/api/services/{service}", self.base);
        let answer = http.post(url).bearer_auth(&self.owner_token).json(&data).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{service} {data}");
    }
    pub async fn switch(&self, helper: &str, on: bool) {
        let service = if on { "input_boolean/turn_on" } else { "input_boolean/turn_off" };
        self.service(service, json!({ "entity_id": format!("input_boolean.{helper}") })).await;
    }
    pub async fn state(&self, entity: &str) -> Value {
        let http = self.http();
        let url = format!("{}/api/states/{entity}", self.base);
        let answer = http.get(url).bearer_auth(&self.owner_token).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }
    pub async fn is_on(&self, helper: &str) -> bool {
        self.state(&format!("input_boolean.{helper}")).await["state"] == "on"
    }
    /// What a browser does on the server's login page: name and password, and back with a code.
    pub async fn sign_in(&self, client_id: &str, redirect_uri: &str, username: &str, password: &str) -> String {
        let http = self.http();
        let flow = json!({
            "client_id": client_id, "redirect_uri": redirect_uri, "handler": ["homeassistant", null]
        });
        let begun = http.post(format!("{}/auth/login_flow", self.base)).json(&flow).send().await.expect("an answer");
        let begun: Value = begun.json().await.expect("JSON");
        let person = json!({ "client_id": client_id, "username": username, "password": password });
        let url = format!("{}/auth/login_flow/{}", self.base, begun["flow_id"].as_str().expect("a flow"));
        let done: Value = http.post(url).json(&person).send().await.expect("an answer").json().await.expect("JSON");
        done["result"].as_str().expect("a code").to_owned()
    }
}
