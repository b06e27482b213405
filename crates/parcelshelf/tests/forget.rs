//! Forgetting, against backups: a delivery is played, everything is backed up at night while it runs, then the carrier and the
//! owner erase. In the morning the backups come back, and whoever has every key there still is reads nothing in them of what was
//! erased. The same search with the same keys, done before the erasure, finds everything.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "what was searched is printed")]

#[path = "support/play.rs"]
mod play;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use parcelshelf::init::signing_key;
use parcelshelf::people::{Courier, Owner, order, until};
use parcelshelf::stage::{Setting, Stage};
use parcelshelf_client::{Failure, people};
use parcelshelf_core::area::Position;
use parcelshelf_edge::Host;
use parcelshelf_keyholder::keys::read_key;
use parcelshelf_protocol::encoding::{b64, from_b64};
use parcelshelf_protocol::jws::VerifyingKey;
use parcelshelf_protocol::order::Ordered;
use parcelshelf_protocol::statement::ToErase;
use parcelshelf_simulator::canary::{Canary, Needles};
use parcelshelf_simulator::volvo::{CarFile, WorldFile};
use parcelshelf_store::sqlite::Options;
use parcelshelf_store::storage::Storage;
use parcelshelf_store::{ListQuery, PAGE_ROWS_MAX, backup};
use parcelshelf_vault::{Epochs, Row, Vault, owner_of};
use play::{LABEL, play};
use serde_json::{Value, json};

const LOGIN: &str = "kim@example.org";
const PLATE: &str = "XKZ 48Q";
const PARTIES: [&str; 3] = ["carrier", "gateway", "keyholder"];

fn program(arguments: &[&str], files: &[&Path]) -> Output {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_parcelshelf"));
    program.args(arguments).args(files).output().unwrap()
}
fn done(arguments: &[&str], files: &[&Path]) {
    let output = program(arguments, files);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Everything of one party that a thief could have.
struct Loot {
    party: &'static str,
    store: PathBuf,
    keys: PathBuf,
    epochs: PathBuf,
    storage_key: PathBuf,
}

impl Loot {
    /// The keys as they lie there, with this copy of the store.
    fn of(parties: &Path, party: &'static str, store: &Path, scratch: &Path) -> Self {
        let home = parties.join(party);
        let (epochs, storage_key) = match party {
            "keyholder" => (home.join("keys/epochs"), home.join("keys/storage.key")),
            "gateway" => (home.join("epochs"), home.join("nonce.key")),
            _ => (home.join("epochs"), home.join("storage.key")),
        };
        fs::create_dir_all(scratch).unwrap();
        let loot = Self {
            party,
            store: scratch.join(format!("{party}.db")),
            keys: scratch.join(format!("{party}-keys.db")),
            epochs: scratch.join(format!("{party}-epochs")),
            storage_key,
        };
        fs::copy(store, &loot.store).unwrap();
        fs::copy(home.join(format!("data/{party}-keys.db")), &loot.keys).unwrap();
        fs::create_dir_all(&loot.epochs).unwrap();
        for entry in fs::read_dir(epochs).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, loot.epochs.join(path.file_name().unwrap())).unwrap();
        }
        loot
    }

    fn tables(&self) -> Vec<&'static str> {
        match self.party {
            "carrier" => parcelshelf_carrier::tables().into_iter().map(|(t, _)| t).collect(),
            "gateway" => parcelshelf_gateway::tables().into_iter().map(|(t, _)| t).collect(),
            _ => parcelshelf_keyholder::tables().into_iter().map(|(t, ..)| t).collect(),
        }
    }

    /// Every byte of the file, and everything that can be read in it with the keys that there are.
    async fn readable(&self) -> (Vec<u8>, usize) {
        let mut all = fs::read(&self.store).unwrap();
        let entropy = Arc::clone(&Host::system().entropy);
        let storage = read_key(&self.storage_key).unwrap();
        let epochs = Epochs::open(&self.epochs, &storage, Arc::clone(&entropy)).unwrap();
        let dir = self.store.parent().unwrap();
        let vault = Vault::new(Arc::new(epochs), Storage::Disk.keys(dir, self.party).unwrap(), entropy);
        let store = Storage::Disk.engine(dir, self.party, Options::default()).unwrap();
        let mut opened = 0;
        for table in self.tables() {
            let mut cursor = None;
            loop {
                let (table, index) = (table.to_owned(), String::new());
                let query = ListQuery { table: table.clone(), index, prefix: vec![], cursor, limit: PAGE_ROWS_MAX };
                let page = store.list(query).await.unwrap();
                for row in page.rows {
                    // The keyholder's rows begin with their MAC.
                    let state = if self.party == "keyholder" { &row.state[32..] } else { &row.state[..] };
                    let Row::Open(content) = vault.open_row(&table, &row.id, state).await.unwrap() else { continue };
                    opened += 1;
                    all.extend_from_slice(&content);
                    let json: Value = serde_json::from_slice(&content).unwrap();
                    if self.party == "carrier" {
                        assert_rounded(&table, &json);
                    }
                    let owner = owner_of(state).map(str::to_owned);
                    all.extend(inside(&vault, owner.as_deref(), &row.id, &json).await);
                }
                match page.next {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
        }
        for (principal, key) in [("merchant/first merchant", "ship-0001"), ("dispatch/dispatch", "load-0001")] {
            let Some(answer) = store.replay(principal, key).await.unwrap() else { continue };
            let name = [principal.as_bytes(), b"\0", key.as_bytes()].concat();
            if let Row::Open(body) = vault.open_row("answer", &name, &answer.body).await.unwrap() {
                opened += 1;
                all.extend_from_slice(&body);
            }
        }
        let mut after = 0;
        loop {
            let entries = store.journal_all(after, PAGE_ROWS_MAX).await.unwrap();
            let Some(last) = entries.last() else { break };
            after = last.seq;
            entries.iter().for_each(|e| all.extend_from_slice(&e.event));
        }
        store.close().await;
        (all, opened)
    }
}

/// A carrier keeps times in steps of a quarter of an hour; a job that waits for the end of a leg comes a millisecond after.
fn is_rounded(ms: i64) -> bool {
    matches!(ms % (15 * 60_000), 0 | 1)
}
fn assert_rounded(name: &str, json: &Value) {
    match json {
        Value::Number(ms) if name.ends_with("_ms") => assert!(ms.as_i64().is_some_and(is_rounded), "{name}: {ms}"),
        Value::Object(members) => members.iter().for_each(|(name, value)| assert_rounded(name, value)),
        Value::Array(all) => all.iter().for_each(|value| assert_rounded(name, value)),
        _ => {}
    }
}

/// What fields that are sealed a second time hold.
async fn inside(vault: &Vault, owner: Option<&str>, id: &[u8], row: &Value) -> Vec<u8> {
    let mut all = Vec::new();
    let (Some(owner), Some(members)) = (owner, row.as_object()) else { return all };
    let name = b64(id);
    let purposes =
        [name.clone(), format!("{name}/description"), "rule".into(), "prepared".into(), "lock".into(), "handle".into()];
    for (_, value) in members.iter().filter(|(member, _)| member.ends_with("_sealed")) {
        let Some(sealed) = value.as_str().and_then(from_b64) else { continue };
        for purpose in &purposes {
            if let Some(content) = vault.open(owner, purpose.as_bytes(), &sealed).await.unwrap() {
                all.extend_from_slice(&content);
            }
        }
    }
    all
}

fn needles(vin: &str, place: Position) -> Needles {
    let text = |what: &str, value: &str| Canary::Text { what: what.into(), value: value.into() };
    Needles::new(&[
        text("recipient", "Kim Larsen"),
        text("address", "12 Harbour Street"),
        text("label", LABEL),
        text("merchant", "Fjord Books"),
        text("courier", "Sam Rivera"),
        text("VIN", vin),
        text("plate", PLATE),
        Canary::Place { what: "car".into(), latitude: place.latitude_deg(), longitude: place.longitude_deg() },
    ])
}

async fn backed_up(parties: &Path, night: &Path) {
    fs::create_dir_all(night).unwrap();
    for party in PARTIES {
        let config = parties.join(format!("{party}/{party}.toml"));
        let file = night.join(format!("{party}.backup"));
        let out = tokio::task::spawn_blocking(move || program(&["backup", "-c"], &[&config, &file])).await.unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
}

/// What is found in last night's backups with the keys that there are now, by party.
async fn found(parties: &Path, night: &Path, scratch: &Path, needles: &Needles) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for party in PARTIES {
        let loot = Loot::of(parties, party, &night.join(format!("{party}.backup")), scratch);
        let (bytes, opened) = loot.readable().await;
        println!("{party}: {} bytes, {opened} rows and answers opened", bytes.len());
        all.extend(needles.search(party, &bytes).into_iter().map(|s| (party.to_owned(), s.needle)));
    }
    all
}
fn has(found: &[(String, String)], party: &str, what: &str) -> bool {
    found.iter().any(|(p, needle)| p == party && needle.starts_with(what))
}
fn code<T: std::fmt::Debug>(refused: Result<T, Failure>) -> String {
    refused.unwrap_err().code().unwrap_or("no problem").to_owned()
}

#[tokio::test]
async fn what_was_erased_is_readable_in_no_backup() {
    let dir = tempfile::tempdir().unwrap();
    let place = Position::new(57.725_374_8, 11.849_843_6, 10.0).unwrap();
    let mut car = CarFile::of(LOGIN);
    (car.latitude, car.longitude) = (place.latitude_deg(), place.longitude_deg());
    let world = WorldFile { cars: vec![car], ..WorldFile::demo() };
    let mut stage = Stage::start(dir.path(), &world, Setting::default()).await.unwrap();
    let scene = Arc::clone(&stage.scene);
    let parties = scene.layout.dir.clone();
    let cars = scene.sim().get("/__sim/cars", &[]).await.unwrap();
    let vin = cars["cars"][0]["vin"].as_str().unwrap().to_owned();
    let owner = Owner::enrol(&scene, LOGIN, &vin, place, PLATE).await.unwrap();
    let courier = Courier::hire(&scene, "Sam Rivera", "hire-0001").await.unwrap();
    let played = play(&scene, &owner, &courier).await.unwrap();
    assert!(played.placed && played.end == "delivered");
    let delivery = played.granted.delivery;
    let needles = needles(&vin, place);

    // Night: everybody is backed up while they run. With all keys the backups tell everything; a place they never hold.
    let night = dir.path().join("night");
    backed_up(&parties, &night).await;
    let before = found(&parties, &night, &dir.path().join("thief at night"), &needles).await;
    for (party, what) in [
        ("carrier", "recipient"),
        ("carrier", "address"),
        ("carrier", "label"),
        ("carrier", "merchant"),
        ("carrier", "courier"),
        ("keyholder", "VIN"),
        ("keyholder", "plate"),
        ("keyholder", "merchant"),
    ] {
        assert!(has(&before, party, what), "the control does not find the {what} at the {party}: {before:?}");
    }
    assert!(!before.iter().any(|(_, needle)| needle.starts_with("car:") || needle.starts_with("car ")), "{before:?}");
    let sealed: Vec<_> =
        PARTIES.iter().flat_map(|p| needles.search(p, &fs::read(night.join(format!("{p}.backup"))).unwrap())).collect();
    assert!(sealed.is_empty(), "without keys the backups tell nothing: {sealed:?}");
    let times = backup::times(&night.join("carrier.backup")).unwrap();
    assert!(times.len() > 10 && times.iter().any(|(column, _)| column == "jobs.run_at_ms"));
    assert!(times.iter().all(|(_, ms)| is_rounded(*ms)), "{times:?}");
    let refused = program(&["restore", "-c"], &[&parties.join("carrier/carrier.toml"), &night.join("carrier.backup")]);
    assert!(!refused.status.success(), "a store is never overwritten");
    let refused = program(&["keys", "rotate", "-c"], &[&parties.join("carrier/carrier.toml")]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("stop the service first"), "{refused:?}");

    // The person whom it is about gets everything, then it goes. A hold keeps it.
    let dispatch = scene.dispatch();
    let exported = dispatch.export(delivery).await.unwrap();
    assert_eq!(exported["kept"]["personal"]["recipient"], "Kim Larsen");
    assert!(exported["kept"]["accepted"].is_string() && exported["journal"].to_string().contains("ready_"));
    // A merchant is told whom it sent a parcel to, and nothing of areas, ways and cars.
    let exported = scene.merchant().export(delivery).await.unwrap();
    assert_eq!(exported["kept"]["personal"]["recipient"], "Kim Larsen");
    for carriers_own in ["accepted", "leg", "ready", "salt", "access", "hold"] {
        assert!(exported["kept"].get(carriers_own).is_none(), "{carriers_own} is not a merchant's: {exported}");
    }
    assert_eq!(exported["journal"], json!([]), "a merchant has never seen the journal");
    for carriers_own in ["delegation", "courier", "until_ms", "access_start_ms"] {
        assert!(
            exported["kept"]["state"].get(carriers_own).is_none(),
            "{carriers_own} is not a merchant's: {exported}"
        );
    }
    dispatch.step(delivery, "hold", "hold-0001", &json!({"held": true})).await.unwrap();
    assert_eq!(code(dispatch.step(delivery, "erase", "erase-001", &json!({})).await), "held");
    assert_eq!(dispatch.delivery(delivery).await.unwrap()["held"], true, "whoever sees it sees the hold");
    dispatch.step(delivery, "hold", "hold-0002", &json!({"held": false})).await.unwrap();
    for again in ["erase-002", "erase-003"] {
        dispatch.step(delivery, "erase", again, &json!({})).await.unwrap();
    }
    assert_eq!(code(dispatch.delivery(delivery).await), "delivery_unknown");
    dispatch.erase_courier(courier.id, "erase-004").await.unwrap();

    let wallet = &owner.wallet;
    let archive = wallet.export().await.unwrap();
    assert_eq!(archive["deliveries"][0]["delivery"], delivery.to_string());
    assert!(archive["deliveries"][0]["records"].as_array().unwrap().len() >= 8);
    assert_eq!(archive["wallet"]["vehicles"][0]["about"]["vin"], vin);
    assert!(archive.to_string().contains(PLATE), "the owner's own words about the car");
    wallet.hold(delivery).await.unwrap();
    assert!(wallet.timeline(delivery).await.unwrap()["hold"]["by"] == "owner");
    assert_eq!(code(wallet.erase(ToErase::Delivery(delivery)).await), "held");
    wallet.lift_hold(delivery).await.unwrap();
    // A hold that somebody at the gateway ordered: the owner sees it, and cannot lift it.
    let person = signing_key(&parties.join("operator/operator.key")).unwrap();
    let root = VerifyingKey::parse_jwk(&fs::read(parties.join("carrier/root.jwk")).unwrap()).unwrap().thumb();
    let ordered = async |on| {
        let (http, aud) = (scene.gateway_http(), scene.layout.gateway_origin.clone());
        people::order(&http, &aud, &person, root, Ordered::Hold { delivery, on }, &scene.host).await.unwrap();
    };
    ordered(true).await;
    assert!(wallet.timeline(delivery).await.unwrap()["hold"]["by"] == "order");
    assert_eq!(code(wallet.lift_hold(delivery).await), "held_by_order");
    assert_eq!(code(wallet.erase(ToErase::Delivery(delivery)).await), "held");
    ordered(false).await;
    for _ in 0..2 {
        let said = wallet.erase(ToErase::Delivery(delivery)).await.unwrap();
        assert_eq!(said["deliveries"][0], delivery.to_string());
    }
    assert_eq!(code(wallet.timeline(delivery).await), "delivery_unknown");
    let records = wallet.export().await.unwrap()["wallet"]["records"].to_string();
    assert!(records.contains("erased") && records.contains(&delivery.to_string()), "the owner has its record");
    let said = wallet.erase(ToErase::Wallet).await.unwrap();
    assert_eq!(said["erased"], "wallet");
    assert_eq!(code(wallet.vehicles().await), "session_missing", "the front has forgotten the wallet, too");

    // The log is as valid as before, for whoever starts from nothing.
    let log = format!("{}/log", scene.layout.gateway_origin);
    let key = archive_log_key(&parties);
    until(&scene.host, "a log that holds", async || {
        let audited = program(&["audit", &log, "--key", &key, "--json"], &[]);
        Ok(audited.status.success().then_some(()))
    })
    .await
    .unwrap();

    // Morning: with every key that there still is, last night's backups tell nothing of it.
    let after = found(&parties, &night, &dir.path().join("thief in the morning"), &needles).await;
    assert!(after.is_empty(), "{after:?}");
    stage.stop().await.unwrap();
    for party in PARTIES {
        let bytes = fs::read(parties.join(format!("{party}/data/{party}.db"))).unwrap();
        assert!(needles.search(party, &bytes).is_empty());
    }

    // Whoever has stolen the key store at night, too, needs an epoch key that is gone.
    for party in PARTIES {
        done(&["keys", "rotate", "-c"], &[&parties.join(format!("{party}/{party}.toml"))]);
        let at_night = dir.path().join("thief at night").join(format!("{party}-keys.db"));
        let mut loot = Loot::of(&parties, party, &night.join(format!("{party}.backup")), &dir.path().join("both keys"));
        fs::copy(&at_night, &loot.keys).unwrap();
        loot.store = dir.path().join("both keys").join(format!("{party}.db"));
        let (bytes, opened) = loot.readable().await;
        let sealed = needles.search(party, &bytes);
        assert!(sealed.is_empty(), "{party}, {opened} opened: {sealed:?}");
    }

    // The backups are restored, and the services run with them. What was erased stays so, and its rows go.
    for party in PARTIES {
        let data = parties.join(format!("{party}/data"));
        fs::rename(data.join(format!("{party}.db")), dir.path().join(format!("{party} of yesterday"))).unwrap();
        for log in ["-wal", "-shm"] {
            let _ = fs::remove_file(data.join(format!("{party}.db{log}")));
        }
        done(
            &["restore", "-c"],
            &[&parties.join(format!("{party}/{party}.toml")), &night.join(format!("{party}.backup"))],
        );
    }
    stage.keyholder.restart(&[]).await.unwrap();
    stage.gateway.restart(&[]).await.unwrap();
    stage.carrier.restart(&[]).await.unwrap();
    assert_eq!(code(dispatch.delivery(delivery).await), "delivery_unknown");
    assert_eq!(code(wallet.vehicles().await), "session_missing");
    // The keyholder tidies up before it serves; these two do it beside serving, and say when it is done.
    for service in [&stage.carrier, &stage.gateway] {
        until(&scene.host, "what was erased is tidied up", async || {
            Ok(service.has_said("what was erased is tidied up").unwrap().then_some(()))
        })
        .await
        .unwrap();
    }
    stage.stop().await.unwrap();
    for (party, table) in [
        ("carrier", "delivery"),
        ("carrier", "courier"),
        ("keyholder", "grant"),
        ("keyholder", "papers"),
        ("keyholder", "wallet"),
    ] {
        let store = Storage::Disk.engine(&parties.join(format!("{party}/data")), party, Options::default()).unwrap();
        let query = ListQuery { table: table.into(), index: "".into(), prefix: vec![], cursor: None, limit: 10 };
        let left = store.list(query).await.unwrap().rows.len();
        assert_eq!(left, 0, "{left} rows of {table} came back at the {party} and stayed");
        store.close().await;
    }
}

fn archive_log_key(parties: &Path) -> String {
    let seed = read_key(&parties.join("keyholder/keys/log.key")).unwrap();
    parcelshelf_log::note::LogSigner::from_seed("localhost/log", &seed).unwrap().verifier().line()
}

/// A deadline of no days comes with the end of the delivery. Nobody asks for anything here but for a hold.
#[tokio::test]
async fn a_deadline_erases_by_itself_and_a_hold_stops_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut stage = Stage::start(dir.path(), &WorldFile::demo(), Setting::default()).await.unwrap();
    let scene = Arc::clone(&stage.scene);
    let config = scene.layout.dir.join("carrier/carrier.toml");
    stage.carrier.stop().await.unwrap();
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("deliveries_days = 90"), "the default is written for whoever wants another");
    fs::write(&config, text.replace("deliveries_days = 90", "deliveries_days = 0")).unwrap();
    stage.carrier.restart(&[]).await.unwrap();

    let (merchant, dispatch) = (scene.merchant(), scene.dispatch());
    let mut deliveries = Vec::new();
    for n in 1..=2 {
        let order = order(scene.host.now(), &format!("{LABEL}{n}")).unwrap();
        let shipped = merchant.ship(&order, &format!("ship-000{n}")).await.unwrap();
        let id = shipped.delivery;
        if n == 2 {
            dispatch.step(id, "hold", "hold-0001", &json!({"held": true})).await.unwrap();
        }
        dispatch.step(id, "cancel", &format!("cancel-0{n}"), &json!({"reason": "did_not_open"})).await.unwrap();
        let parcel = json!({"parcel": shipped.parcels[0]});
        dispatch.step(id, "fallback-done", &format!("fallback{n}"), &parcel).await.unwrap();
        deliveries.push(id);
    }
    let gone = async |id| {
        until(&scene.host, "the deadline", async || match dispatch.delivery(id).await {
            Err(failure) if failure.code() == Some("delivery_unknown") => Ok(Some(())),
            other => other.map(|_| None),
        })
        .await
        .unwrap();
    };
    gone(deliveries[0]).await;
    assert_eq!(dispatch.delivery(deliveries[1]).await.unwrap()["held"], true, "a hold stops the deadline");
    let again = merchant.ship(&order(scene.host.now(), LABEL).unwrap(), "ship-0001").await;
    assert_eq!(code(again), "erased", "the answer that was kept for a repeated request went with it");
    dispatch.step(deliveries[1], "hold", "hold-0002", &json!({"held": false})).await.unwrap();
    gone(deliveries[1]).await;
    stage.stop().await.unwrap();
}
