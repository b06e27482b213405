//! Who sees what when a log is changed, withheld, forked or restored: over real HTTP, with real processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/play.rs"]
mod play;
#[path = "support/served.rs"]
mod served;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use parcelshelf::people::{AtStop, Courier, Owner, carrier_says, order};
use parcelshelf::process::Service;
use parcelshelf::stage::{Setting, Stage};
use parcelshelf_client::Failure;
use parcelshelf_client::log::{LogReader, Trouble, Watch};
use parcelshelf_client::wallet::Granted;
use parcelshelf_core::area::Position;
use parcelshelf_keyholder::keys::read_key;
use parcelshelf_log::Hash;
use parcelshelf_log::cosign::WitnessVerifier;
use parcelshelf_log::note::{Checkpoint, LogSigner, LogVerifier};
use parcelshelf_log::tree::{Frontier, Subtrees, consistency_proof, leaf_hash};
use parcelshelf_log::witness::{AddCheckpoint, origin_hash};
use parcelshelf_protocol::bundle::Bundle;
use parcelshelf_protocol::content::Place;
use parcelshelf_simulator::volvo::{CarFile, WorldFile};

const ORIGIN: &str = "localhost/log";

/// A witness as a process of its own.
struct Witness {
    service: Service,
    base: String,
    file: PathBuf,
}
impl Witness {
    async fn start(dir: &Path, log: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (base, folder) = (format!("http://127.0.0.1:{port}"), dir.join("witness"));
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_parcelshelf"))
            .args(["witness", "init", folder.to_str().unwrap(), "--log", log, "--listen"])
            .arg(format!("127.0.0.1:{port}"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let lines = String::from_utf8(done.stdout).unwrap();
        let section = lines.split_once("[[keyholder.log.witnesses]]").unwrap().1;
        let file = dir.join("witness-for-keyholder.toml");
        fs::write(&file, format!("\n[[keyholder.log.witnesses]]{section}")).unwrap();
        let config = folder.join("witness.toml").to_string_lossy().into_owned();
        let arguments = vec!["witness".to_owned(), "-c".to_owned(), config];
        let service = Service::start("witness", arguments, &dir.join("witness.log")).await.unwrap();
        Self { service, base, file }
    }
    fn key(&self) -> WitnessVerifier {
        let text = fs::read_to_string(&self.file).unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix("key = ")).unwrap();
        WitnessVerifier::parse(line.trim_matches('"')).unwrap()
    }
    async fn asked(&self, request: &AddCheckpoint) -> Option<(u16, String)> {
        let http = parcelshelf_exchange::bare(None).unwrap();
        let sent = http.post(format!("{}/add-checkpoint", self.base)).body(request.text());
        let answer = sent.timeout(Duration::from_secs(3)).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }
    async fn newest(&self, log: &LogVerifier) -> Option<(String, Checkpoint)> {
        let http = parcelshelf_exchange::bare(None).unwrap();
        let answer = http.get(format!("{}/{}/checkpoint", self.base, origin_hash(log.name()))).send().await.ok()?;
        let note = answer.error_for_status().ok()?.text().await.ok()?;
        let checkpoint = Checkpoint::verify(&note, log).ok()?;
        self.key().cosigned_at(&note).ok()??;
        Some((note, checkpoint))
    }
}

#[derive(Default)]
struct Memory(BTreeMap<(u8, u64), Hash>);
impl Subtrees for Memory {
    fn subtree(&self, level: u8, index: u64) -> Option<Hash> {
        self.0.get(&(level, index)).copied()
    }
}
/// What a log of so many leaves asks, going on from `old`; logs with another `salt` differ from leaf 3 on.
fn asks(signer: &LogSigner, salt: u8, size: u64, old: u64) -> AddCheckpoint {
    let (mut tree, mut frontier) = (Memory::default(), Frontier::default());
    for n in 0..size {
        let salt = if n < 3 { 0 } else { salt };
        frontier.append(leaf_hash(&[salt, n as u8]), |l, i, h| assert!(tree.0.insert((l, i), h).is_none()));
    }
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root: frontier.root() };
    let proof = consistency_proof(&tree, old.min(size), size).unwrap();
    AddCheckpoint { old, proof, note: signer.sign(&checkpoint.text()) }
}
fn signer() -> LogSigner {
    LogSigner::from_seed(ORIGIN, &[9; 32]).unwrap()
}

#[tokio::test]
async fn the_witness_detects_a_fork_and_a_rollback_and_knows_no_strangers() {
    let dir = tempfile::tempdir().unwrap();
    let log = signer();
    let witness = Witness::start(dir.path(), &log.verifier().line()).await;
    let status = async |request: &AddCheckpoint| witness.asked(request).await.unwrap();
    assert!(witness.newest(log.verifier()).await.is_none(), "nothing was cosigned yet");
    assert_eq!(status(&asks(&log, 0, 8, 0)).await.0, 200);
    assert_eq!(status(&asks(&log, 0, 20, 3)).await, (409, String::from("8\n")));
    assert_eq!(status(&asks(&log, 0, 20, 8)).await.0, 200);
    assert_eq!(status(&asks(&log, 1, 20, 20)).await, (409, String::from("20\n")), "two histories of one size");
    assert_eq!(status(&asks(&log, 1, 30, 20)).await.0, 422, "a longer history that is another");
    assert_eq!(status(&asks(&log, 0, 8, 8)).await, (409, String::from("20\n")), "a restored backup");
    assert_eq!(status(&asks(&log, 0, 8, 20)).await.0, 400);
    let stranger = LogSigner::from_seed(ORIGIN, &[8; 32]).unwrap();
    assert_eq!(status(&asks(&stranger, 0, 30, 20)).await.0, 403, "another key under this name");
    let unknown = asks(&log, 0, 30, 20).note.replace(ORIGIN, "other.example/log");
    assert_eq!(status(&AddCheckpoint { old: 20, proof: vec![], note: unknown }).await.0, 404);
    let (note, newest) = witness.newest(log.verifier()).await.unwrap();
    assert_eq!(newest.size, 20, "what was refused changed nothing");
    assert_eq!(note.lines().filter(|l| l.starts_with('\u{2014}')).count(), 2, "the log's line and the witness's");
}

#[tokio::test]
async fn killed_between_keeping_and_answering_the_witness_still_cosigns_no_fork() {
    let dir = tempfile::tempdir().unwrap();
    let log = signer();
    let mut witness = Witness::start(dir.path(), &log.verifier().line()).await;
    assert_eq!(witness.asked(&asks(&log, 0, 8, 0)).await.unwrap().0, 200);
    witness.service.kill().await.unwrap();
    witness.service.restart(&["--hold-at".to_owned(), "after:checkpoint_kept".to_owned()]).await.unwrap();
    assert_eq!(witness.asked(&asks(&log, 0, 20, 8)).await, None, "it holds before it answers");
    witness.service.kill().await.unwrap();
    witness.service.restart(&[]).await.unwrap();
    assert_eq!(witness.asked(&asks(&log, 1, 20, 8)).await.unwrap(), (409, String::from("20\n")), "the other history");
    assert_eq!(witness.asked(&asks(&log, 1, 20, 20)).await.unwrap().0, 409);
    assert_eq!(witness.asked(&asks(&log, 0, 20, 20)).await.unwrap().0, 200, "the one that it kept");
}

fn place() -> Position {
    Position::new(57.725_374, 11.849_843, 10.0).unwrap()
}

/// A stage whose keyholder's log is watched.
struct House {
    stage: Stage,
    owner: Owner,
    courier: Courier,
    witness: Witness,
    log: LogVerifier,
    dir: tempfile::TempDir,
}

impl House {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut car = CarFile::of("kim@example.org");
        (car.latitude, car.longitude, car.relock_after_s) = (place().latitude_deg(), place().longitude_deg(), 0);
        let world = WorldFile { cars: vec![car], ..WorldFile::demo() };
        let mut stage = Stage::start(dir.path(), &world, Setting::default()).await.unwrap();
        let party = stage.scene.layout.dir.join("keyholder");
        let seed = read_key(&party.join("keys/log.key")).unwrap();
        let log = LogSigner::from_seed(ORIGIN, &seed).unwrap().verifier().clone();
        let witness = Witness::start(dir.path(), &log.line()).await;
        stage.keyholder.stop().await.unwrap();
        let mut file = fs::read_to_string(party.join("keyholder.toml")).unwrap();
        file.push_str(&fs::read_to_string(&witness.file).unwrap());
        fs::write(party.join("keyholder.toml"), file).unwrap();
        stage.keyholder.restart(&[]).await.unwrap();
        let cars = stage.scene.sim().get("/__sim/cars", &[]).await.unwrap();
        let vin = cars["cars"][0]["vin"].as_str().unwrap();
        let owner = Owner::enrol(&stage.scene, "kim@example.org", vin, place(), "KLM 482").await.unwrap();
        let courier = Courier::hire(&stage.scene, "Sam Rivera", "hire-0001").await.unwrap();
        Self { stage, owner, courier, witness, log, dir }
    }
    async fn under_way(&self, n: u8) -> (Granted, String) {
        let scene = &self.stage.scene;
        let ordered = scene
            .merchant()
            .ship(&order(scene.host.now(), &format!("FJB1234567{n}")).unwrap(), &format!("ship-000{n}"))
            .await
            .unwrap();
        let granted = self.owner.allow(scene, &ordered).await.unwrap();
        carrier_says(&scene.dispatch(), ordered.delivery, &["accepted"]).await.unwrap();
        scene.dispatch().load(ordered.delivery, self.courier.id, &format!("load-000{n}")).await.unwrap();
        let url = self.courier.shipping.start_leg(ordered.delivery, &format!("leg-0000{n}")).await.unwrap();
        (granted, url)
    }
    /// One question, not repeated.
    async fn locate(&self, url: &str) -> Result<Place, Failure> {
        let at = self.at(url).await;
        at.page.locate(&at.courier.device, &at.stop, at.phone).await
    }
    async fn at(&self, url: &str) -> AtStop<'_> {
        AtStop::open(&self.stage.scene, &self.courier, &self.owner, url, place().moved(45.0, 20.0)).await.unwrap()
    }
    /// What the gateway serves, once it has `size` leaves or more.
    async fn published(&self, size: u64) -> (String, Checkpoint) {
        let http = parcelshelf_exchange::bare(None).unwrap();
        let url = format!("{}/log/checkpoint", self.stage.scene.layout.gateway_origin);
        for _ in 0..100 {
            let answer = http.get(&url).send().await.unwrap();
            if answer.status() == 200 {
                let note = answer.text().await.unwrap();
                let checkpoint = Checkpoint::verify(&note, &self.log).unwrap();
                if checkpoint.size >= size {
                    return (note, checkpoint);
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no checkpoint of {size} leaves was published");
    }
    fn data(&self) -> PathBuf {
        self.stage.scene.layout.dir.join("keyholder/data")
    }
}

fn code<T: std::fmt::Debug>(refused: Result<T, Failure>) -> String {
    refused.unwrap_err().code().unwrap_or("no problem").to_owned()
}
/// Backs the keyholder's store up while it runs, or restores it.
fn keeping(what: &str, config: &Path, file: &Path) {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_parcelshelf"));
    let done = program.args([what, "-c"]).args([config, file]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn the_keyholder_learns_from_the_witness_that_its_store_is_an_old_backup() {
    let mut house = House::open().await;
    let (granted, url) = house.under_way(1).await;
    let (note, _) = house.published(4).await;
    assert!(house.witness.key().cosigned_at(&note).unwrap().is_some(), "what is published is cosigned");
    house.locate(&url).await.unwrap();

    // Everything in the backup is witnessed; what follows is what the backup has forgotten.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (backup, config) = (house.dir.path().join("backup"), house.data().with_file_name("keyholder.toml"));
    keeping("backup", &config, &backup);
    let (_, before) = house.published(4).await;
    house.owner.wallet.block(granted.delivery).await.unwrap();
    house.published(before.size + 1).await;
    house.stage.keyholder.stop().await.unwrap();
    fs::remove_file(house.data().join("keyholder.db")).unwrap();
    keeping("restore", &config, &backup);
    house.stage.keyholder.restart(&[]).await.unwrap();

    // The backup knows nothing of the block, and still nothing is shown.
    let mut heard = String::new();
    for _ in 0..50 {
        heard = code(house.locate(&url).await);
        if heard != "log_unconfirmed" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(heard, "log_rolled_back");
    let told = house.owner.wallet.timeline(granted.delivery).await.unwrap().to_string();
    assert!(told.contains("log_rolled_back"), "the owner reads why: {told}");

    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let (_, url) = house.under_way(2).await;
    house.locate(&url).await.unwrap();
}

#[tokio::test]
async fn with_the_witness_down_nothing_is_located_after_a_start_until_it_answers_and_no_lock_is_refused_for_it() {
    let mut house = House::open().await;
    let (_, url) = house.under_way(1).await;
    house.published(4).await;
    house.witness.service.kill().await.unwrap();
    // What was confirmed stays so: a witness that goes down stops nobody.
    house.locate(&url).await.unwrap();
    house.stage.keyholder.stop().await.unwrap();
    house.stage.keyholder.restart(&[]).await.unwrap();
    assert_eq!(code(house.locate(&url).await), "log_unconfirmed");
    let at = house.at(&url).await;
    let lock = at.page.lock(&at.courier.device, &at.stop, at.phone).await;
    drop(at);
    assert_ne!(code(lock), "log_unconfirmed", "there is no attempt, but nothing else");
    house.witness.service.restart(&[]).await.unwrap();
    for n in 0.. {
        if house.locate(&url).await.is_ok() {
            break;
        }
        assert!(n < 100, "the keyholder asks again in the background");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn network() -> parcelshelf_exchange::Client {
    parcelshelf_exchange::Client::network(parcelshelf_edge::Host::system().clock).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wallet_detects_a_fork_a_rollback_and_a_withheld_tile_by_what_the_witness_has_seen() {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(Mutex::new(served::Log::of(700)));
    let url = served::serve(Arc::clone(&log)).await;
    let key = log.lock().unwrap().signer.verifier().clone();
    let witness = Witness::start(dir.path(), &key.line()).await;
    let witnessed = async |old: u64, proof: Vec<Hash>| {
        let (signer, checkpoint) = {
            let log = log.lock().unwrap();
            (log.signer.sign(&log.checkpoint().text()), log.checkpoint())
        };
        let answer = witness.asked(&AddCheckpoint { old, proof, note: signer }).await.unwrap();
        assert_eq!(answer.0, 200, "{}", answer.1);
        checkpoint
    };
    let watch =
        |newest| Watch::new(LogReader::new(&network(), &url, key.clone()), witness.key(), &witness.base, newest);

    let first = witnessed(0, Vec::new()).await;
    let mut wallet = watch(None);
    assert_eq!(wallet.look().await.unwrap().size, 700);
    log.lock().unwrap().grow(66_000, 0);
    let (proof, second) = {
        let log = log.lock().unwrap();
        (consistency_proof(&parcelshelf_log::tile::FromTiles(&*log), 700, 66_000).unwrap(), log.checkpoint())
    };
    // Shown by the gateway before the witness has seen it: not refused, asked again.
    assert!(matches!(wallet.agrees(&second).await, Err(Trouble::WentBack { old: 66_000, new: 700 })));
    witnessed(700, proof).await;
    assert_eq!(wallet.look().await.unwrap().size, 66_000);
    wallet.agrees(&second).await.unwrap();
    wallet.agrees(&first).await.unwrap();

    // The gateway shows this wallet another history, signed by the same key, of the same size and of a smaller one.
    let mut forked = served::Log::of(600);
    forked.grow(900, 1);
    assert!(matches!(wallet.agrees(&forked.checkpoint()).await, Err(Trouble::Fork { old: 900, .. })));
    forked.grow(66_000, 1);
    assert!(matches!(wallet.agrees(&forked.checkpoint()).await, Err(Trouble::Fork { old: 66_000, new: 66_000 })));

    // A witness whose own store went back is found out by whoever remembers more.
    let remembered = Checkpoint { size: 70_000, ..second };
    assert!(matches!(watch(Some(remembered)).look().await, Err(Trouble::WentBack { old: 70_000, new: 66_000 })));

    // The tile that would prove it is withheld.
    log.lock().unwrap().tiles.remove(&(parcelshelf_log::tile::TileKind::Hashes { level: 0 }, 2));
    assert!(matches!(watch(Some(first)).look().await, Err(Trouble::Withheld(path)) if path == "tile/0/002"));
}

fn parcelshelf(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parcelshelf")).args(arguments).output().unwrap()
}
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_shows_one_field_of_one_record_to_somebody_who_knows_a_witness() {
    let house = House::open().await;
    let played = play::play(&house.stage.scene, &house.owner, &house.courier).await.unwrap();
    assert_eq!((played.placed, played.end.as_str()), (true, "delivered"));
    let delivery = played.granted.delivery;
    let mut bundle = None;
    for _ in 0..150 {
        bundle = house.owner.wallet.bundle(delivery).await.ok();
        if bundle.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let bundle = bundle.expect("a bundle");
    let at = |name: &str| house.dir.path().join(name).to_string_lossy().into_owned();
    fs::write(at("case.json"), &bundle).unwrap();
    let parsed = Bundle::parse_canonical(&bundle).unwrap();
    let url = format!("{}/log", house.stage.scene.layout.gateway_origin);

    // The owner's wallet sees with the witness's eyes that the bundle is of the one history.
    let shown = Checkpoint::verify(&parsed.checkpoint, &house.log).unwrap();
    house.published(shown.size).await;
    let reader = LogReader::new(&network(), &url, house.log.clone());
    let mut wallet = Watch::new(reader, house.witness.key(), &house.witness.base, None);
    wallet.look().await.unwrap();
    wallet.agrees(&shown).await.unwrap();

    let listed = parcelshelf(&["prove", &at("case.json")]);
    assert!(listed.status.success(), "{}", said(&listed));
    let line = said(&listed).lines().find(|l| l.contains(" locked ")).unwrap().to_owned();
    let record = line.split_whitespace().next().unwrap().to_owned();
    let prove = |more: &[&str], out: &str| {
        let fixed = ["prove", &at("case.json"), "--record", &record, "--url", &url, "--out", &at(out)];
        let done = parcelshelf(&[&fixed[..], more].concat());
        assert!(done.status.success(), "{}", said(&done));
        fs::read_to_string(at(out)).unwrap()
    };
    let proof = prove(&[], "leaf.tlog-proof");
    let field = prove(&["--show", "kind,at,lock_proof"], "shown.json");
    assert!(proof.starts_with("c2sp.org/tlog-proof@v1\n") && !proof.contains("lock"), "{proof}");
    assert!(field.contains("observed") && !field.contains(&delivery.to_string()), "{field}");

    let (log, witness) = (house.log.line(), house.witness.key().line());
    let known = ["--log-key", &log, "--witness", &witness, "--explain"];
    for file in ["leaf.tlog-proof", "shown.json"] {
        let good = parcelshelf(&[&["verify", &at(file)], &known[..]].concat());
        let text = said(&good);
        assert!(good.status.success() && text.contains("saw this tree"), "{file}: {text}");
        assert!(text.contains("aws-lc-rs, p256 and ed25519-dalek"), "{text}");
        assert_eq!(text.contains("lock_proof  observed"), file == "shown.json", "{text}");
        // Without the reader's own anchors there is nothing to believe.
        assert!(!parcelshelf(&["verify", &at(file)]).status.success());
        let stranger = parcelshelf_log::cosign::WitnessSigner::from_seed("somebody", &[1; 32]).unwrap();
        let other = parcelshelf(&["verify", &at(file), "--log-key", &log, "--witness", &stranger.verifier().line()]);
        assert!(!other.status.success() && said(&other).contains("0 of the known witnesses"), "{}", said(&other));
    }
    let changed = field.replace("observed", "attested");
    fs::write(at("changed.json"), changed).unwrap();
    assert!(!parcelshelf(&[&["verify", &at("changed.json")], &known[..]].concat()).status.success());
}
