//! Pages over real HTTP: each host shows its own app and nothing of another's, sessions of browsers count for their own page
//! alone, and what staff may do hangs on their role. What a person sees is tested in real browsers (`web/test/e2e`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use parcelshelf::stage::{Setting, Stage};
use parcelshelf_simulator::volvo::WorldFile;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

/// A browser at one origin, as far as headers go.
struct Browser {
    client: Client,
    origin: String,
    cookie: Option<String>,
}

impl Browser {
    fn at(origin: &str) -> Self {
        Self { client: Client::new(), origin: origin.to_owned(), cookie: None }
    }
    /// The machine's resolver knows no `*.localhost`.
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let authority = self.origin.trim_start_matches("http://");
        let port = authority.rsplit(':').next().unwrap();
        let request = self.client.request(method, format!("http://127.0.0.1:{port}{path}")).header("host", authority);
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }
    async fn page(&self, path: &str) -> Response {
        self.request(Method::GET, path).header("accept", "text/html").send().await.unwrap()
    }
    /// As the page's own script asks.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let request = self.request(method, path).header("parcelshelf-session", "cookie").header("origin", &self.origin);
        let request = request.header("idempotency-key", "one-key-for-it");
        match body {
            Some(body) => request.json(&body),
            None => request,
        }
        .send()
        .await
        .unwrap()
    }
    async fn logs_in(&mut self, path: &str, body: Value) {
        let answer = self.ask(Method::POST, path, Some(body)).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let set = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(set.starts_with("__Host-psh=") && set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
        self.cookie = Some(set.split(';').next().unwrap().to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_shows_its_own_app_and_a_session_counts_for_its_own_page() {
    let dir = tempfile::tempdir().unwrap();
    let mut stage = Stage::start(dir.path(), &WorldFile::demo(), Setting::default()).await.unwrap();
    let l = stage.scene.layout.clone();

    let mut lists = Vec::new();
    for (origin, camera) in
        [(&l.wallet_origin, false), (&l.stop_origin, true), (&l.courier_origin, false), (&l.ops_origin, false)]
    {
        let browser = Browser::at(origin);
        let page = browser.page("/somewhere/inside").await;
        assert_eq!(page.status(), StatusCode::OK, "{origin}");
        let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(header("permissions-policy").contains("camera=(self)"), camera, "{origin}");
        assert_eq!(header("cache-control"), "no-cache");
        assert_eq!(browser.page("/assets/gone.js").await.status(), StatusCode::NOT_FOUND);
        assert_eq!(browser.page("/v1/nothing").await.status(), StatusCode::NOT_FOUND);
        let list = browser.page("/.well-known/parcelshelf-files.json").await;
        let list: Value = serde_json::from_str(&list.text().await.unwrap()).unwrap();
        assert!(list["files"]["/index.html"].is_string(), "{origin}");
        lists.push(list["files"].as_object().unwrap().keys().cloned().collect::<Vec<_>>());
    }
    // What only one app has, only its host has.
    for (n, origin) in [(0, &l.courier_origin), (1, &l.ops_origin)] {
        let foreign = lists[n].iter().filter(|p| p.starts_with("/assets/") && !lists[n + 2].contains(p));
        for path in foreign {
            assert_eq!(Browser::at(origin).page(path).await.status(), StatusCode::NOT_FOUND, "{origin} has {path}");
        }
    }
    // The carrier's interface shows no pages.
    assert_eq!(Browser::at(&l.carrier_origin).page("/").await.status(), StatusCode::NOT_FOUND);

    let (_, code) = stage.scene.dispatch().hire("Robin Berg", "hire-robin-1").await.unwrap();
    let mut robin = Browser::at(&l.courier_origin);
    robin.logs_in("/v1/courier/sessions", json!({ "code": code })).await;
    let route = robin.ask(Method::GET, "/v1/courier/route", None).await;
    let route: Value = serde_json::from_str(&route.text().await.unwrap()).unwrap();
    assert_eq!(route["name"], "Robin Berg");
    let refused = [
        ("a link of another site", robin.request(Method::GET, "/v1/courier/route")),
        (
            "another site's script",
            robin
                .request(Method::GET, "/v1/courier/route")
                .header("parcelshelf-session", "cookie")
                .header("origin", &l.ops_origin),
        ),
        (
            "a neighbour's script",
            robin
                .request(Method::GET, "/v1/courier/route")
                .header("parcelshelf-session", "cookie")
                .header("sec-fetch-site", "same-site"),
        ),
    ];
    for (who, request) in refused {
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{who}");
    }
    // The same cookie is nobody at the other host, and couriers are no staff.
    let elsewhere = Browser { client: Client::new(), origin: l.ops_origin.clone(), cookie: robin.cookie.clone() };
    assert_eq!(elsewhere.ask(Method::GET, "/v1/ops/board", None).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(robin.ask(Method::GET, "/v1/ops/board", None).await.status(), StatusCode::FORBIDDEN);
    let shift = json!({"on": true});
    assert_eq!(robin.ask(Method::POST, "/v1/courier/shift", Some(shift)).await.status(), StatusCode::OK);

    // A program gets no cookie, and only the page's own request does.
    let plain =
        robin.request(Method::POST, "/v1/courier/sessions").json(&json!({ "code": code })).send().await.unwrap();
    assert_eq!(plain.status(), StatusCode::FORBIDDEN);
    assert_eq!(robin.ask(Method::DELETE, "/v1/session", None).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(robin.ask(Method::GET, "/v1/courier/route", None).await.status(), StatusCode::UNAUTHORIZED);
    stage.stop().await.unwrap();
}

/// The audit as a process: exit status and what it says.
async fn audited(stage: &Stage, more: &[&str]) -> (i32, Value) {
    let l = &stage.scene.layout;
    let seed = parcelshelf_keyholder::keys::read_key(&l.dir.join("keyholder/keys/log.key")).unwrap();
    let key = parcelshelf_log::note::LogSigner::from_seed("localhost/log", &seed).unwrap().verifier().line();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_parcelshelf"));
    command.args(["audit", &format!("{}/log", l.gateway_origin), "--json", "--key", &key]).args(more);
    let done = command.output().await.unwrap();
    (done.status.code().unwrap(), serde_json::from_slice(&done.stdout).unwrap())
}
/// Checkpoints come a second or two after what they cover.
async fn audited_at_last(stage: &Stage, more: &[&str]) -> (i32, Value) {
    for _ in 0..60 {
        let (code, report) = audited(stage, more).await;
        if code != 2 {
            return (code, report);
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    panic!("nothing can be audited: {:?}", audited(stage, more).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_hosts_show_is_what_the_log_says_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut stage = Stage::start(dir.path(), &WorldFile::demo(), Setting::default()).await.unwrap();
    let l = stage.scene.layout.clone();
    let state = dir.path().join("state").to_string_lossy().into_owned();
    let (code, report) = audited_at_last(&stage, &["--state", &state]).await;
    assert!(code == 0 && report["files"].as_u64().unwrap() > 6, "{report}");
    let said = Browser::at(&l.gateway_origin).page("/log/pages").await.text().await.unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["pages"][0]["site"], "wallet");
    let values: Vec<&str> =
        said["pages"][1]["openings"].as_array().unwrap().iter().map(|o| o["value"].as_str().unwrap()).collect();
    assert!(values.contains(&"pages_served") && values.contains(&l.stop_origin.as_str()), "{values:?}");

    // The keyholder says the same once, however often it starts.
    let leaves =
        |said: &Value| said["pages"].as_array().unwrap().iter().map(|p| p["index"].clone()).collect::<Vec<_>>();
    let before = leaves(&said);
    stage.keyholder.stop().await.unwrap();
    stage.keyholder.restart(&[]).await.unwrap();
    assert_eq!(audited_at_last(&stage, &["--state", &state]).await.0, 0);
    let again = Browser::at(&l.gateway_origin).page("/log/pages").await.text().await.unwrap();
    assert_eq!(leaves(&serde_json::from_str(&again).unwrap()), before);

    // It says that another host shows the stop page: what that one shows is something else.
    let config = l.dir.join("keyholder/keyholder.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let (own, other) =
        (format!("stop_origin = \"{}\"", l.stop_origin), format!("stop_origin = \"{}\"", l.courier_origin));
    assert!(text.contains(&own), "init says where the stop page is");
    let restarted = async |stage: &mut Stage, text: &str| {
        stage.keyholder.stop().await.unwrap();
        std::fs::write(&config, text).unwrap();
        stage.keyholder.restart(&[]).await.unwrap();
    };
    restarted(&mut stage, &text.replace(&own, &other)).await;
    let (code, report) = audited_at_last(&stage, &["--state", &state]).await;
    let complaint = report["complaint"].as_str().unwrap_or_default();
    assert!(code == 1 && complaint.contains(&l.courier_origin) && complaint.contains("other files"), "{report}");
    // The log by itself is as good as ever.
    assert_eq!(audited(&stage, &["--log-only"]).await.0, 0);

    // Put right, all holds again.
    restarted(&mut stage, &text).await;
    assert_eq!(audited_at_last(&stage, &["--state", &state]).await.0, 0, "the newest word counts");
    stage.stop().await.unwrap();
}

/// `stop_origin` may be left out: then the log says nothing of that host, and whoever audits is told so instead of believing it.
#[tokio::test(flavor = "multi_thread")]
async fn a_keyholder_that_does_not_know_the_stop_page_is_complained_of() {
    let dir = tempfile::tempdir().unwrap();
    let mut stage = Stage::start(dir.path(), &WorldFile::demo(), Setting::default()).await.unwrap();
    let l = stage.scene.layout.clone();
    let config = l.dir.join("keyholder/keyholder.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let line = format!("stop_origin = \"{}\"\n", l.stop_origin);
    assert!(text.contains(&line), "init says where the stop page is");
    // From its first start on: what was said once stands.
    stage.keyholder.stop().await.unwrap();
    std::fs::remove_dir_all(l.dir.join("keyholder/data")).unwrap();
    std::fs::write(&config, text.replace(&line, "")).unwrap();
    stage.keyholder.restart(&[]).await.unwrap();

    let (code, report) = audited_at_last(&stage, &[]).await;
    let complaint = report["complaint"].as_str().unwrap_or_default();
    assert!(code == 1 && complaint.contains("stop"), "{report}");
    assert_eq!(audited(&stage, &["--log-only"]).await.0, 0, "the log by itself holds");
    let said = Browser::at(&l.gateway_origin).page("/log/pages").await.text().await.unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    let sites: Vec<&str> = said["pages"].as_array().unwrap().iter().map(|p| p["site"].as_str().unwrap()).collect();
    assert_eq!(sites, ["wallet"]);

    // Told at last, it says the rest.
    stage.keyholder.stop().await.unwrap();
    std::fs::write(&config, &text).unwrap();
    stage.keyholder.restart(&[]).await.unwrap();
    let (code, report) = audited_at_last(&stage, &[]).await;
    assert_eq!(code, 0, "{report}");
    stage.stop().await.unwrap();
}
