//! Forgetting that is cut off: each service is killed (SIGKILL) at every durable step of an erasure, before and after. With the
//! keys and files as they lie there then, either every row of what was to be erased can be read, or none; and in the end
//! there is no row any more, whether or not anybody asks again. And a hold against an erasure, at the same moment: whoever
//! was told that something is kept finds it kept.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use parcelshelf::people::{Owner, carrier_says, order, persist};
use parcelshelf::process::Service;
use parcelshelf::stage::{Scene, Setting, Stage};
use parcelshelf_client::Failure;
use parcelshelf_client::shipping::Ordered;
use parcelshelf_client::wallet::{Wallet, WalletSite};
use parcelshelf_core::area::Position;
use parcelshelf_core::id::DeliveryId;
use parcelshelf_edge::Host;
use parcelshelf_keyholder::keys::read_key;
use parcelshelf_protocol::statement::ToErase;
use parcelshelf_simulator::volvo::{CarFile, WorldFile};
use parcelshelf_store::sqlite::Options;
use parcelshelf_store::storage::Storage;
use parcelshelf_store::{ListQuery, PAGE_ROWS_MAX};
use parcelshelf_vault::{Epochs, Row, Vault, owner_of};
use serde_json::{Value, json};

const LOGIN: &str = "kim@example.org";
/// More than there are durable steps in a wallet's erasure.
const WALLETS_MAX: usize = 48;
fn login(n: usize) -> String {
    format!("w{n}@example.org")
}
const AGAIN: Duration = Duration::from_millis(100);
const TRIES: usize = 300;

/// What is erased, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// A delivery, by its owner.
    Delivery,
    /// A wallet with everything, a linked car among it.
    Wallet,
    /// A delivery's shipment, by the carrier's dispatch.
    Shipment,
}
impl What {
    const ALL: [Self; 3] = [Self::Delivery, Self::Wallet, Self::Shipment];
    /// Whose rows there are.
    const fn parties(self) -> &'static [&'static str] {
        match self {
            Self::Delivery => &["keyholder"],
            Self::Wallet => &["keyholder", "gateway"],
            Self::Shipment => &["carrier"],
        }
    }
}

/// One thing that will be erased.
struct Kept {
    what: What,
    /// As data keys name it.
    name: String,
    delivery: Option<DeliveryId>,
    wallet: Option<Wallet>,
}

struct Play {
    stage: Stage,
    scene: Arc<Scene>,
    owner: Owner,
    count: usize,
    wallets: usize,
}

impl Play {
    async fn begin(dir: &Path) -> anyhow::Result<Self> {
        let place = Position::new(57.725_374, 11.849_843, 10.0)?;
        // The owner's, and one for each wallet that comes and goes.
        let logins = (0..WALLETS_MAX).map(login).chain([String::from(LOGIN)]);
        let mut cars: Vec<CarFile> = logins.map(|login| CarFile::of(&login)).collect();
        for car in &mut cars {
            (car.latitude, car.longitude) = (place.latitude_deg(), place.longitude_deg());
        }
        let world = WorldFile { cars, ..WorldFile::demo() };
        let stage = Stage::start(dir, &world, Setting { traced: true, ..Setting::default() }).await?;
        let scene = Arc::clone(&stage.scene);
        let cars = scene.sim().get("/__sim/cars", &[]).await?;
        let cars = cars["cars"].as_array().context("cars")?;
        let own = cars.iter().find(|car| car["owner"] == LOGIN).context("the owner's car")?;
        let vin = own["vin"].as_str().context("a VIN")?;
        let owner = Owner::enrol(&scene, LOGIN, vin, place, "KLM 482").await?;
        Ok(Self { stage, scene, owner, count: 0, wallets: 0 })
    }
    fn service(&mut self, party: &str) -> &mut Service {
        match party {
            "keyholder" => &mut self.stage.keyholder,
            "gateway" => &mut self.stage.gateway,
            _ => &mut self.stage.carrier,
        }
    }

    /// A delivery that was allowed.
    async fn allowed(&mut self) -> anyhow::Result<Ordered> {
        self.count += 1;
        let (n, scene) = (self.count, Arc::clone(&self.scene));
        let (merchant, dispatch) = (scene.merchant(), scene.dispatch());
        let wanted = order(scene.host.now(), &format!("FJB{:08}", 20_000_000 + n))?;
        let key = format!("ship-{n:06}");
        let ordered = persist(&scene.host, "the shipment", async || merchant.ship(&wanted, &key).await).await?;
        self.owner.allow(&scene, &ordered).await?;
        carrier_says(&dispatch, ordered.delivery, &["accepted"]).await?;
        Ok(ordered)
    }

    /// A delivery that was allowed, went to its fallback, and can open nothing any more.
    async fn delivery(&mut self) -> anyhow::Result<DeliveryId> {
        let ordered = self.allowed().await?;
        let (n, scene, id) = (self.count, Arc::clone(&self.scene), ordered.delivery);
        let dispatch = scene.dispatch();
        let step = async |name: &str, body: Value| {
            let key = format!("{name}-{n:06}");
            persist(&scene.host, name, async || dispatch.step(id, name, &key, &body).await).await
        };
        step("cancel", json!({"reason": "not_confirmed"})).await?;
        let seen = carrier_says(&dispatch, id, &["falling_back", "ended"]).await?;
        if seen["state"] == "falling_back" {
            step("fallback-done", json!({"parcel": ordered.parcels.first().context("a parcel")?})).await?;
        }
        carrier_says(&dispatch, id, &["ended"]).await?;
        persist(&scene.host, "the block", async || self.owner.wallet.block(id).await).await?;
        Ok(id)
    }

    async fn prepare(&mut self, what: What) -> anyhow::Result<Kept> {
        if what == What::Wallet {
            let scene = Arc::clone(&self.scene);
            let wallet = persist(&scene.host, "a wallet", async || {
                Wallet::register(WalletSite::new(&scene.layout.wallet_origin, &scene.host)?, &scene.host).await
            });
            let wallet = wallet.await?;
            // With a car: rows of its own, and a permission at the maker that has to end.
            let url = persist(&scene.host, "the link", async || wallet.link("volvo").await).await?;
            let status = wallet.http().browse(&format!("{url}&login_hint={}", login(self.wallets))).await?;
            self.wallets += 1;
            ensure!(status == 200, "the linking page answered {status}");
            let cars = persist(&scene.host, "the cars", async || wallet.vehicles().await).await?;
            ensure!(cars.len() == 1, "{} cars are linked", cars.len());
            return Ok(Kept { what, name: format!("wallet/{}", wallet.id()), delivery: None, wallet: Some(wallet) });
        }
        let id = self.delivery().await?;
        Ok(Kept { what, name: format!("delivery/{id}"), delivery: Some(id), wallet: None })
    }
}

/// Asks until it is gone. A client whose answer was lost asks again and hears that there is nothing.
async fn erased(scene: &Scene, owner: &Owner, kept: &Kept, key: &str) -> anyhow::Result<()> {
    for n in 0..TRIES {
        let asked = match (kept.what, kept.delivery, &kept.wallet) {
            (What::Delivery, Some(id), _) => owner.wallet.erase(ToErase::Delivery(id)).await,
            (_, Some(id), _) => scene.dispatch().step(id, "erase", &format!("{key}-{n:04}"), &json!({})).await,
            (_, _, Some(wallet)) => wallet.erase(ToErase::Wallet).await,
            _ => bail!("nothing to erase"),
        };
        match asked {
            Ok(_) => return Ok(()),
            Err(f) if f.is_passing() => tokio::time::sleep(AGAIN).await,
            Err(f) if is_gone(&f) => return Ok(()),
            Err(f) => return Err(f).context("while erasing"),
        }
    }
    bail!("nobody erases {}", kept.name)
}
fn is_gone(failure: &Failure) -> bool {
    matches!(failure.code(), Some("delivery_unknown" | "wallet_unknown" | "session_missing" | "erased"))
}

/// Whether it is still there, as whoever owns it sees it.
async fn is_there(scene: &Scene, owner: &Owner, kept: &Kept) -> anyhow::Result<bool> {
    for _ in 0..TRIES {
        let seen = match (kept.what, kept.delivery, &kept.wallet) {
            (What::Delivery, Some(id), _) => owner.wallet.timeline(id).await,
            (_, Some(id), _) => scene.dispatch().delivery(id).await,
            (_, _, Some(wallet)) => wallet.get("/v1/wallet/vehicles").await,
            _ => bail!("nothing to look at"),
        };
        match seen {
            Ok(_) => return Ok(true),
            // The front still knows its log-in: a client asks again.
            Err(f) if f.code() == Some("wallet_unknown") => return Ok(true),
            Err(f) if is_gone(&f) => return Ok(false),
            Err(f) if f.is_passing() => tokio::time::sleep(AGAIN).await,
            Err(f) => return Err(f).context("while looking"),
        }
    }
    bail!("nobody answers about {}", kept.name)
}

/// Rows of one owner in the files as they lie there, and how many of them can be read with the keys as they lie there.
async fn rows_of(parties: &Path, party: &'static str, names: &[&str]) -> anyhow::Result<(usize, usize)> {
    let scratch = tempfile::tempdir()?;
    let (home, dir) = (parties.join(party), scratch.path());
    for entry in fs::read_dir(home.join("data"))? {
        let path = entry?.path();
        if path.is_file() {
            fs::copy(&path, dir.join(path.file_name().context("a name")?))?;
        }
    }
    let (epochs, storage) = match party {
        "keyholder" => (home.join("keys/epochs"), home.join("keys/storage.key")),
        "gateway" => (home.join("epochs"), home.join("nonce.key")),
        _ => (home.join("epochs"), home.join("storage.key")),
    };
    let tables: Vec<&str> = match party {
        "keyholder" => parcelshelf_keyholder::tables().into_iter().map(|(t, ..)| t).collect(),
        "gateway" => parcelshelf_gateway::tables().into_iter().map(|(t, _)| t).collect(),
        _ => parcelshelf_carrier::tables().into_iter().map(|(t, _)| t).collect(),
    };
    let entropy = Arc::clone(&Host::system().entropy);
    let storage = read_key(&storage).map_err(anyhow::Error::msg)?;
    let epochs = Epochs::open(&epochs, &storage, Arc::clone(&entropy))?;
    let vault = Vault::new(Arc::new(epochs), Storage::Disk.keys(dir, party)?, entropy);
    let store = Storage::Disk.engine(dir, party, Options::default())?;
    let (mut all, mut readable) = (0, 0);
    for table in tables {
        let mut cursor = None;
        loop {
            let (table, index) = (table.to_owned(), String::new());
            let query = ListQuery { table: table.clone(), index, prefix: vec![], cursor, limit: PAGE_ROWS_MAX };
            let page = store.list(query).await?;
            for row in page.rows {
                // The keyholder's rows begin with their MAC.
                let state = if party == "keyholder" { row.state.get(32..).unwrap_or_default() } else { &row.state[..] };
                if owner_of(state).is_none_or(|owner| !names.contains(&owner)) {
                    continue;
                }
                all += 1;
                readable += usize::from(matches!(vault.open_row(&table, &row.id, state).await?, Row::Open(_)));
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    store.close().await;
    Ok((all, readable))
}

/// The durable steps of one undisturbed erasure, by service.
async fn steps(play: &mut Play, what: What) -> anyhow::Result<BTreeSet<(&'static str, String)>> {
    let kept = play.prepare(what).await?;
    let parties = play.scene.layout.dir.clone();
    for party in what.parties() {
        play.service(party).kill().await?;
        let (all, readable) = rows_of(&parties, party, &[&kept.name]).await?;
        ensure!(all > 0 && readable == all, "{what:?}: {readable} of {all} rows can be read before anything happens");
        play.service(party).restart(&[]).await?;
    }
    let logs: Vec<_> = what.parties().iter().map(|p| (*p, play.service(p).log_path().to_owned())).collect();
    let begins: Vec<usize> =
        logs.iter().map(|(_, l)| Ok(fs::read_to_string(l)?.len())).collect::<anyhow::Result<_>>()?;
    erased(&play.scene, &play.owner, &kept, "undisturbed").await?;
    let mut all = BTreeSet::new();
    for ((party, log), begin) in logs.iter().zip(begins) {
        for line in fs::read_to_string(log)?[begin..].lines() {
            let step = serde_json::from_str::<Value>(line).ok().and_then(|l| l["step"].as_str().map(str::to_owned));
            // The log goes on by itself; what it does to records is played where deliveries are.
            all.extend(
                step.filter(|s| !s.contains("log_integrated") && !s.contains("checkpoint")).map(|s| (*party, s)),
            );
        }
    }
    Ok(all)
}

/// How a kill found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Untouched,
    Unreadable,
    /// The step was not reached.
    Nothing,
}

async fn killed_at(play: &mut Play, what: What, party: &'static str, step: &str) -> anyhow::Result<(Kept, Found)> {
    let kept = play.prepare(what).await?;
    let (parties, scene) = (play.scene.layout.dir.clone(), Arc::clone(&play.scene));
    play.service(party).kill().await?;
    play.service(party).restart(&[String::from("--hold-at"), step.to_owned()]).await?;
    let key = format!("erase-{}", step.replace(':', "-"));
    let mut found = Found::Nothing;
    {
        let Play { stage, owner, .. } = &mut *play;
        let asking = erased(&scene, owner, &kept, &key);
        tokio::pin!(asking);
        let victim = match party {
            "keyholder" => &mut stage.keyholder,
            "gateway" => &mut stage.gateway,
            _ => &mut stage.carrier,
        };
        loop {
            tokio::select! {
                done = &mut asking => {
                    done?;
                    break;
                }
                () = tokio::time::sleep(Duration::from_millis(10)) => {
                    if victim.has_said("\"held\"")? {
                        victim.kill().await?;
                        let (all, readable) = rows_of(&parties, party, &[&kept.name]).await?;
                        ensure!(
                            readable == 0 || readable == all,
                            "{what:?}, {party} {step}: {readable} of {all} rows can be read"
                        );
                        found = if readable > 0 { Found::Untouched } else { Found::Unreadable };
                        victim.restart(&[]).await?;
                        break;
                    }
                }
            }
        }
    }
    // Nobody asks again, unless it is still there for them to see.
    if is_there(&scene, &play.owner, &kept).await? {
        erased(&scene, &play.owner, &kept, &format!("{key}-again")).await?;
    }
    Ok((kept, found))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_is_cut_off_leaves_all_or_nothing_and_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let mut play = Play::begin(dir.path()).await.unwrap();
    let (mut hit, mut untouched, mut all) = (0, 0, Vec::new());
    for what in What::ALL {
        let points = steps(&mut play, what).await.unwrap();
        assert!(points.len() >= 4, "{what:?}: {points:?}");
        for (party, step) in points {
            let (kept, found) = killed_at(&mut play, what, party, &step).await.unwrap();
            println!("{what:?}: {party} {step}: {found:?}");
            hit += usize::from(found != Found::Nothing);
            untouched += usize::from(found == Found::Untouched);
            all.push(kept);
        }
    }
    assert!(
        hit >= 26 && untouched >= 3 && untouched < hit,
        "{hit} kills, {untouched} of them before anything happened"
    );
    // Every row of every one of them is gone.
    let names: Vec<&str> = all.iter().map(|kept| kept.name.as_str()).collect();
    let parties = play.scene.layout.dir.clone();
    for what in What::ALL {
        for party in what.parties() {
            play.service(party).kill().await.unwrap();
            let of: Vec<&str> = all.iter().filter(|k| k.what == what).map(|k| k.name.as_str()).collect();
            assert_eq!(rows_of(&parties, party, &of).await.unwrap().0, 0, "{party}: rows of what was erased");
            play.service(party).restart(&[]).await.unwrap();
        }
    }
    assert!(names.len() >= hit);
    play.stage.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_was_acknowledged_is_kept_whatever_is_erased_at_that_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut play = Play::begin(dir.path()).await.unwrap();
    let mut deliveries = Vec::new();
    for _ in 0..12 {
        deliveries.push(play.delivery().await.unwrap());
    }
    let (scene, wallet) = (Arc::clone(&play.scene), &play.owner.wallet);
    let dispatch = scene.dispatch();
    let code = |r: &Result<Value, Failure>| r.as_ref().err().and_then(|f| f.code().map(str::to_owned));
    let (mut held, mut gone) = (0, 0);
    for (n, id) in deliveries.into_iter().enumerate() {
        // Now one is a little earlier, now the other.
        let wait =
            async |own: bool| tokio::time::sleep(Duration::from_micros(if own { 400 * n as u64 } else { 2_000 })).await;
        let (hold, erase) = tokio::join!(
            async {
                wait(true).await;
                dispatch.step(id, "hold", &format!("hold-{n:05}"), &json!({"held": true})).await
            },
            async {
                wait(false).await;
                dispatch.step(id, "erase", &format!("erase-{n:05}"), &json!({})).await
            }
        );
        let there = dispatch.delivery(id).await.is_ok();
        match (&hold, &erase) {
            (Ok(_), Err(_)) => {
                assert!(there && code(&erase).as_deref() == Some("held"), "{hold:?} {erase:?}");
                held += 1;
            }
            (Err(_), Ok(_)) => {
                assert!(!there, "{hold:?} {erase:?}");
                gone += 1;
            }
            both => panic!("delivery {n}: {both:?}, and there is {there}"),
        }
        // The same at the keyholder.
        let (hold, erase) = tokio::join!(
            async {
                wait(true).await;
                wallet.hold(id).await
            },
            async {
                wait(false).await;
                wallet.erase(ToErase::Delivery(id)).await
            }
        );
        let there = wallet.timeline(id).await.is_ok();
        assert_eq!((hold.is_ok(), erase.is_ok()), (there, !there), "{n}: {hold:?} {erase:?}");
    }
    println!("{held} held, {gone} erased");
    play.stage.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_courier_who_is_erased_while_a_van_is_loaded_has_the_parcel_or_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut play = Play::begin(dir.path()).await.unwrap();
    let scene = Arc::clone(&play.scene);
    let dispatch = scene.dispatch();
    let code = |r: &Result<Value, Failure>| r.as_ref().err().and_then(|f| f.code().map(str::to_owned));
    let (mut carry, mut gone) = (0, 0);
    for n in 0..10_u64 {
        let id = play.allowed().await.unwrap().delivery;
        let (courier, _) = dispatch.hire("Robin Berg", &format!("hire-{n:05}")).await.unwrap();
        // Now one is a little earlier, now the other.
        let (load, erase) = tokio::join!(
            async {
                tokio::time::sleep(Duration::from_micros(400 * n)).await;
                dispatch.load(id, courier, &format!("load-{n:05}")).await
            },
            async {
                tokio::time::sleep(Duration::from_millis(2)).await;
                dispatch.erase_courier(courier, &format!("leave-{n:05}")).await
            }
        );
        let seen = dispatch.delivery(id).await.unwrap();
        match (&load, &erase) {
            (Ok(_), Err(_)) => {
                assert_eq!((code(&erase).as_deref(), &seen["state"]), (Some("courier_carries"), &json!("loaded")));
                carry += 1;
            }
            (Err(_), Ok(_)) => {
                assert!(
                    matches!(code(&load).as_deref(), Some("courier_unknown" | "courier_leaves" | "erased")),
                    "{load:?}"
                );
                assert_eq!(seen["state"], "accepted");
                gone += 1;
            }
            both => panic!("courier {n}: {both:?}, {seen}"),
        }
    }
    println!("{carry} stayed with their parcel, {gone} were erased");
    play.stage.stop().await.unwrap();
}
