//! Bad input at every endpoint, enumerated from the OpenAPI documents: always a 4xx problem with a stable code, never a
//! 500, never a panic, and not one byte of any store is different afterwards.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "what was counted is printed")]

#[path = "support/mutations.rs"]
mod mutations;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mutations::{Operation, field_count, mutations, operations};
use parcelshelf::people::{Courier, Owner, order};
use parcelshelf::stage::{Setting, Stage};
use parcelshelf_core::area::Position;
use parcelshelf_simulator::volvo::WorldFile;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Ways in which each field must be tried at least.
const PER_FIELD_MIN: usize = 12;

fn documents() -> BTreeMap<&'static str, Value> {
    parcelshelf::openapi::documents()
        .unwrap()
        .into_iter()
        .map(|(name, text)| (name, serde_json::from_str(&text).unwrap()))
        .collect()
}

#[test]
fn the_committed_documents_are_what_the_code_serves() {
    for (name, text) in parcelshelf::openapi::documents().unwrap() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../openapi/{name}.json"));
        let committed = std::fs::read_to_string(&path).unwrap();
        assert!(committed == text + "\n", "openapi/{name}.json is stale: run `make openapi`");
    }
}

/// One service as the test asks it.
struct Target<'a> {
    name: &'a str,
    client: Client,
    base: String,
    /// Where routes with sessions live.
    session_base: String,
    headers: Vec<(&'static str, String)>,
    session: Option<String>,
    /// What stands for a path's parameters.
    ids: BTreeMap<&'static str, String>,
}

impl Target<'_> {
    fn needs_session(&self, document: &Value, o: &Operation) -> bool {
        let security = &document["paths"][&o.path][o.method.to_lowercase()]["security"];
        security.as_array().into_iter().flatten().any(|s| s.get("session").is_some())
    }

    fn url(&self, document: &Value, o: &Operation, ids: &BTreeMap<&'static str, String>) -> String {
        let mut path = o.path.clone();
        for (name, value) in ids {
            path = path.replace(&format!("{{{name}}}"), value).replace(&format!("{{*{name}}}"), value);
        }
        let base = if self.needs_session(document, o) { &self.session_base } else { &self.base };
        format!("{base}{path}")
    }

    async fn send(
        &self,
        document: &Value,
        o: &Operation,
        url: &str,
        content_type: Option<&str>,
        body: Vec<u8>,
        key: usize,
    ) -> Option<(u16, String, Vec<u8>)> {
        let security = &document["paths"][&o.path][o.method.to_lowercase()]["security"];
        let named = |what: &str| security.as_array().into_iter().flatten().any(|s| s.get(what).is_some());
        let mut request = self.client.request(o.method.parse::<Method>().unwrap(), url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request = request.header("idempotency-key", format!("mutation-{key:08}"));
        if named("session")
            && let Some(session) = &self.session
        {
            request = request.header("authorization", session);
        } else if named("dpop") {
            request = request.header("authorization", "DPoP a.b.c").header("dpop", "a.b.c");
        } else if named("call") {
            request = request.header("authorization", "Bearer a.b.c").header("parcelshelf-certificate", "a.b.c");
        }
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let large = body.len() > 1 << 20;
        let request = request.body(body);
        // A connection on which an earlier body was refused unread is closed by the server: then once more on a fresh one.
        let once_more = request.try_clone().unwrap();
        let sent = match request.send().await {
            Ok(answer) => Ok(answer),
            Err(_) if !large => once_more.send().await,
            Err(e) => Err(e),
        };
        match sent {
            Ok(answer) => {
                let kind = answer.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
                let (status, kind) = (answer.status().as_u16(), kind.to_owned());
                Some((status, kind, answer.bytes().await.unwrap_or_default().to_vec()))
            }
            // A server may hang up on a body that is far too large; it must still be there afterwards.
            Err(_) if large => None,
            Err(e) => panic!("{} {} {url}: no answer: {e}", self.name, o.method),
        }
    }

    /// A problem with a stable code, or what is wrong with the answer.
    fn refused(answer: &(u16, String, Vec<u8>)) -> Result<String, String> {
        let (status, kind, body) = answer;
        let text = String::from_utf8_lossy(body).into_owned();
        if !(400..500).contains(status) {
            return Err(format!("status {status}: {text:.300}"));
        }
        if kind != "application/problem+json" {
            return Err(format!("{status} is {kind}, not a problem: {text:.300}"));
        }
        let problem: Value = serde_json::from_str(&text).map_err(|e| format!("the problem is not JSON: {e}"))?;
        let code = problem["code"].as_str().unwrap_or_default();
        let stable =
            !code.is_empty() && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if stable && problem["status"] == json!(status) {
            Ok(code.to_owned())
        } else {
            Err(format!("no stable code: {text}"))
        }
    }

    async fn attack(&self, document: &Value) -> (usize, usize, BTreeMap<String, usize>, Vec<String>) {
        let (mut tried, mut endpoints, mut codes, mut wrong) = (0, 0, BTreeMap::new(), Vec::new());
        for o in operations(document) {
            endpoints += 1;
            let mut note = |what: &str, answer: &(u16, String, Vec<u8>)| match Self::refused(answer) {
                Ok(code) => *codes.entry(code).or_default() += 1,
                Err(why) => wrong.push(format!("{} {} {} ({what}): {why}", self.name, o.method, o.path)),
            };
            if let Some(schema) = &o.body {
                let all = mutations(schema);
                let fields = field_count(schema);
                assert!(all.len() >= PER_FIELD_MIN * fields, "{}: {} for {fields} fields", o.path, all.len());
                let url = self.url(document, &o, &self.ids);
                for m in all {
                    tried += 1;
                    if let Some(answer) = self.send(document, &o, &url, m.content_type, m.body, tried).await {
                        note(&m.name, &answer);
                    }
                }
            }
            // Identifiers that are none, in every place of the path.
            for (name, _) in self.ids.iter().filter(|(n, _)| o.path.contains(&format!("{{{n}}}"))) {
                for bad in ["x", "%00", "..%2f..%2fetc", "%F0%9F%9A%97", &"A".repeat(3_000), "AAAAAAAAAAAAAAAAAAAAAB"] {
                    tried += 1;
                    let mut ids = self.ids.clone();
                    ids.insert(*name, bad.to_owned());
                    let url = self.url(document, &o, &ids);
                    let body = if o.body.is_some() { b"{}".to_vec() } else { Vec::new() };
                    let kind = o.body.is_some().then_some("application/json");
                    if let Some(answer) = self.send(document, &o, &url, kind, body, tried).await {
                        note(&format!("{name}={bad:.20}"), &answer);
                    }
                }
            }
            let parameters = &document["paths"][&o.path][o.method.to_lowercase()]["parameters"];
            let queried = parameters.as_array().into_iter().flatten().any(|p| p["in"] == "query");
            if o.method == "GET" && queried && o.path != "/oauth/callback" {
                for bad in
                    ["?after=-1", "?after=x", "?wait=99999999999999999999", "?surprise=1", "?limit=x", "?cursor=%00"]
                {
                    tried += 1;
                    let url = self.url(document, &o, &self.ids) + bad;
                    if let Some(answer) = self.send(document, &o, &url, None, Vec::new(), tried).await {
                        note(bad, &answer);
                    }
                }
            }
        }
        (tried, endpoints, codes, wrong)
    }
}

/// Every byte of the stores, but for the shared-memory index, which readers touch.
fn stores(parties: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for party in ["carrier", "gateway", "keyholder"] {
        for entry in std::fs::read_dir(parties.join(party).join("data")).unwrap() {
            let path = entry.unwrap().path();
            if !path.to_string_lossy().ends_with("-shm") {
                all.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    assert!(all.len() >= 3, "the stores were not found");
    all
}

/// Waits until nothing is written any more: checkpoints and jobs of what was prepared.
async fn settled(parties: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut before = stores(parties);
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let now = stores(parties);
        if now == before {
            return now;
        }
        before = now;
    }
    panic!("the stores never come to rest");
}

#[tokio::test]
async fn nothing_bad_gets_in_and_nothing_is_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut stage = Stage::start(dir.path(), &WorldFile::demo(), Setting::default()).await.unwrap();
    let scene = &stage.scene;
    let place = Position::new(57.708_87, 11.974_56, 10.0).unwrap();
    let cars = scene.sim().get("/__sim/cars", &[]).await.unwrap();
    let vin = cars["cars"][0]["vin"].as_str().unwrap();
    let owner = Owner::enrol(scene, "alex@example.org", vin, place, "KLM 482").await.unwrap();
    let courier = Courier::hire(scene, "Sam Rivera", "hire-0001").await.unwrap();
    // A delivery that exists and is over, so that identifiers lead somewhere.
    let dispatch = scene.dispatch();
    let order = order(scene.host.now(), "FJB12345678").unwrap();
    let ordered = scene.merchant().ship(&order, "ship-0001").await.unwrap();
    owner.allow(scene, &ordered).await.unwrap();
    parcelshelf::people::carrier_says(&dispatch, ordered.delivery, &["accepted"]).await.unwrap();
    let cancelled = json!({"reason": "carrier_late"});
    dispatch.step(ordered.delivery, "cancel", "cancel-01", &cancelled).await.unwrap();
    let parcel = ordered.parcels[0].clone();
    dispatch.step(ordered.delivery, "fallback-done", "fallback1", &json!({"parcel": parcel})).await.unwrap();

    let parties = scene.layout.dir.clone();
    let before = settled(&parties).await;
    let ids = BTreeMap::from([
        ("delivery", ordered.delivery.to_string()),
        ("vehicle", owner.vehicle.to_string()),
        ("attempt", "AAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        ("state", "AAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        ("link", "AAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        ("hash", "A".repeat(43)),
        ("courier", courier.id.to_string()),
        ("shipment", "AAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        ("parcel", parcel),
        ("path", "0/000".to_owned()),
    ]);
    let network = || parcelshelf_exchange::bare(None).unwrap();
    let socket = parties.join("keyholder/keyholder.sock");
    let l = &scene.layout;
    let targets = [
        Target {
            name: "gateway",
            client: network(),
            base: l.gateway_origin.clone(),
            session_base: l.wallet_origin.clone(),
            headers: Vec::new(),
            session: Some(owner.wallet.session().to_owned()),
            ids: ids.clone(),
        },
        Target {
            name: "keyholder",
            client: parcelshelf_exchange::bare(Some(&socket)).unwrap(),
            base: "http://keyholder".to_owned(),
            session_base: "http://keyholder".to_owned(),
            headers: vec![
                ("parcelshelf-wallet", owner.wallet.id().to_string()),
                ("parcelshelf-forwarded-url", format!("{}/v1/x", l.gateway_origin)),
            ],
            session: None,
            ids: ids.clone(),
        },
        Target {
            name: "carrier",
            client: network(),
            base: l.carrier_origin.clone(),
            session_base: l.carrier_origin.clone(),
            headers: vec![("authorization", format!("Bearer {}", l.dispatch_key))],
            session: None,
            ids,
        },
    ];
    let documents = documents();
    let (mut wrong, mut tried, mut endpoints) = (Vec::new(), 0, 0);
    for target in &targets {
        let (n, e, codes, bad) = target.attack(&documents[target.name]).await;
        println!("{}: {n} bad requests at {e} endpoints, refused with {} codes: {codes:?}", target.name, codes.len());
        tried += n;
        endpoints += e;
        wrong.extend(bad);
    }
    // Shipments are the merchant's: the same again with that key.
    let merchant =
        Target { headers: vec![("authorization", format!("Bearer {}", l.merchant_key))], ..same(&targets[2]) };
    let (n, _, _, bad) = merchant.attack(&documents["carrier"]).await;
    tried += n;
    wrong.extend(bad);
    println!("{tried} bad requests at {endpoints} endpoints");
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    assert!(tried > 2_000, "the documents were not enumerated");

    let after = settled(&parties).await;
    for (path, bytes) in &before {
        assert!(after.get(path) == Some(bytes), "{} has changed", path.display());
    }
    for name in ["carrier", "gateway", "keyholder"] {
        let log = std::fs::read_to_string(dir.path().join(format!("log/{name}.log"))).unwrap();
        assert!(!log.contains("panicked"), "{name} panicked");
    }
    stage.stop().await.unwrap();
}

/// The same target, to be asked with other headers.
fn same<'a>(t: &Target<'a>) -> Target<'a> {
    Target {
        name: t.name,
        client: t.client.clone(),
        base: t.base.clone(),
        session_base: t.session_base.clone(),
        headers: Vec::new(),
        session: t.session.clone(),
        ids: t.ids.clone(),
    }
}
