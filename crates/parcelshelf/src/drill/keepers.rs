//! Attacks from inside the gateway: who has taken over the front, and who reads and writes the keyholder's store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, ensure};
use parcelshelf_client::authenticator::Authenticator;
use parcelshelf_client::courier::Device;
use parcelshelf_client::wallet::{Wallet, WalletSite};
use parcelshelf_client::{Failure, Http};
use parcelshelf_core::id::WalletId;
use parcelshelf_core::reason::Action;
use parcelshelf_core::time::Window;
use parcelshelf_exchange::Client;
use parcelshelf_protocol::encoding::{Thumbprint, b64};
use parcelshelf_protocol::request::Ticket;
use parcelshelf_protocol::statement::{self, Covered, Said, Statement};
use parcelshelf_simulator::canary::Needles;
use parcelshelf_store::sqlite::Options;
use parcelshelf_store::storage::Storage;
use parcelshelf_store::{Batch, Engine, Put, Version};
use serde_json::{Value, json};

use super::gain::Gain;
use super::needles;
use super::stop::{Visit, answered};
use super::world::{World, files};
use crate::people;

/// Cars that byte searches look for: each has dozens of spellings.
const SEARCHED_MAX: usize = 300;
/// Grants that are used and whose rows are put back, while their links live.
const USED_MAX: usize = 4;

/// What the keyholder says to a touch of a passkey that the wallet does not know.
const STRANGE: &[&str] = &["assertion_unknown_credential"];

/// The keyholder's socket in the hands of whoever has taken over the front: every header is theirs to set.
struct Front {
    http: Http,
    wallet_origin: String,
    keyholder: String,
    rp_id: String,
}

impl Front {
    fn taken_over(world: &World) -> anyhow::Result<Self> {
        let scene = world.scene();
        let socket = scene.layout.dir.join("keyholder/keyholder.sock");
        let client = Client::unix(&socket, Arc::clone(&scene.host.clock));
        let keys = world.day.keys();
        Ok(Self {
            http: Http::new("http://keyholder", &client),
            wallet_origin: scene.layout.wallet_origin.clone(),
            keyholder: keys.claims().iss.clone(),
            rp_id: keys.claims().rp_id.clone(),
        })
    }

    async fn ask(&self, wallet: Option<WalletId>, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.wallet_origin);
        let name = wallet.map(|w| w.to_string());
        let mut headers = vec![("parcelshelf-forwarded-url", url.as_str())];
        headers.extend(name.as_deref().map(|name| ("parcelshelf-wallet", name)));
        match body {
            Some(body) => self.http.post(path, &headers, body).await,
            None => self.http.get(path, &headers).await,
        }
    }

    /// A statement in the victim's name, confirmed by a passkey of the attacker's.
    async fn forge(
        &self,
        world: &World,
        wallet: WalletId,
        path: &str,
        said: Said,
    ) -> anyhow::Result<Result<Value, Failure>> {
        let passkey = Authenticator::create(&self.rp_id, &self.wallet_origin, &world.scene().host);
        let challenge = self.ask(None, "/v1/challenges", Some(&json!({}))).await?;
        let nonce = challenge["nonce"].as_str().context("no challenge")?.to_owned();
        let bytes = Statement { aud: self.keyholder.clone(), nonce, said }.to_bytes();
        let assertion = passkey.confirm(&statement::challenge(&bytes))?;
        let assertion: Value = serde_json::from_str(&assertion.to_json())?;
        let body = json!({"statement": b64(bytes), "assertion": assertion});
        Ok(self.ask(Some(wallet), path, Some(&body)).await)
    }
}

/// The front's files are read, and its place between the world and the keyholder is taken: any wallet can be named, any
/// request sent, but no passkey touched and nothing unsealed.
///
/// # Errors
/// When an honest step does not come about.
pub async fn gateway_front(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let cars: Vec<usize> = (0..world.day.cars.len().min(SEARCHED_MAX)).collect();
    let needles = Needles::new(&needles::of_cars(world, &cars));
    search(&mut gain, &needles, &world.prepared().join("gateway"), "the front's files")?;

    let count = world.share(50);
    let mine: Vec<usize> = world.take(count).await?;
    let before = world.all_seen(&mine);
    let front = Front::taken_over(world)?;
    let thief =
        Wallet::register(WalletSite::new(&front.wallet_origin, &world.scene().host)?, &world.scene().host).await?;
    let mut heard = String::new();
    for n in &mine {
        let (owner, delivery) = (world.owner(*n)?, world.delivery(*n)?);
        let (wallet, id) = (owner.wallet.id(), delivery.id);
        for path in [
            String::from("/v1/wallet/vehicles"),
            format!("/v1/wallet/deliveries/{id}/timeline"),
            format!("/v1/wallet/deliveries/{id}/bundle"),
        ] {
            let answer = answered(world, async || front.ask(Some(wallet), &path, None).await).await;
            heard.push_str(&answer.map_or_else(|f| f.to_string(), |a| a.to_string()));
        }
        let theirs = Authenticator::create(&front.rp_id, &front.wallet_origin, &world.scene().host);
        for (what, path, said) in [
            (
                "a passkey of the thief's for a wallet",
                "/v1/wallets",
                Said::Passkey { wallet, passkey: theirs.passkey() },
            ),
            ("a car linked in an owner's name", "/v1/links", Said::Link { wallet, maker: String::from("volvo") }),
            (
                "an owner's consent",
                "/v1/wallet/consents",
                Said::Consents {
                    wallet,
                    vehicle: owner.vehicle,
                    nobody_inside: true,
                    parked_inferred: true,
                    tailgate_with_cabin: true,
                    lid_and_lock_untold: true,
                },
            ),
        ] {
            gain.refused(what, STRANGE, &front.forge(world, wallet, path, said).await?);
        }
        answered(world, async || owner.wallet.block(id).await).await?;
        let lift = Said::Unblock { wallet, covered: Covered::Delivery(id) };
        gain.refused("a block lifted", STRANGE, &front.forge(world, wallet, "/v1/wallet/unblocks", lift).await?);

        // A grant for the owner's car, signed and confirmed by the thief, in the thief's name and in the owner's.
        let (ticket, window) = new_request(world, &thief, *n).await?;
        let access_point = thief.access_point(ticket.request.claims().iss).await?;
        let signed = thief.sign(&ticket, &owner.consent(window, access_point)?)?;
        gain.refused("a grant for another's car", &["vehicle_unknown"], &thief.hand_in(&signed).await);
        let as_owner = front.ask(Some(wallet), "/v1/grants", Some(signed.body())).await;
        gain.refused("a grant in the owner's name", STRANGE, &as_owner);
        let soon = Window::new(world.day.now(), world.day.now().plus_seconds(600))?;
        let rehearsal =
            thief.rehearse(&Device::create(&world.scene().host)?, &owner.consent(soon, access_point)?).await;
        gain.refused("a rehearsal at another's car", &["grant_wrong_access_point"], &rehearsal);
        for act in ["locate", "open"] {
            let path = format!("/v1/stops/{id}/{act}");
            let answer = front.ask(Some(wallet), &path, Some(&json!({"labels": [], "phone": ""}))).await;
            gain.refused("a stop without a proof", &["proof_missing"], &answer);
        }
    }
    let found = needles.search("what the keyholder answered", heard.as_bytes());
    gain.figure("owners", mine.len());
    gain.figure("bytes_heard", heard.len());
    gain.must(found.is_empty(), || format!("the front reads a place, VIN or plate: {:?}", found.first()));
    for (n, before) in before {
        let after = world.seen(n);
        gain.must(after.open_commands == before.open_commands, || format!("delivery {n} was opened"));
        gain.must(after.position_reads_at == before.position_reads_at, || format!("the car of {n} was looked for"));
    }
    Ok(gain)
}

/// A merchant ships once more to the owner of this car; whoever has the link reads the request.
pub(super) async fn new_request(world: &World, reader: &Wallet, n: usize) -> anyhow::Result<(Ticket, Window)> {
    let scene = world.scene();
    let order = people::order(scene.host.now(), &format!("DRL{:08}", 10_000_000 + n))?;
    let (merchant, key) = (scene.merchant(), format!("drill-{n}-{}", scene.host.now().unix_millis()));
    let ordered = answered(world, async || merchant.ship(&order, &key).await).await?;
    let ticket = reader.read_ticket(&ordered.consent_url, &scene.operator)?;
    let window = ticket.request.claims().window;
    Ok((ticket, window))
}

fn search(gain: &mut Gain, needles: &Needles, at: &Path, whose: &str) -> anyhow::Result<()> {
    let mut searched = 0;
    for file in files(at)? {
        let bytes = fs::read(&file)?;
        searched += bytes.len();
        for seen in needles.search(&file.display().to_string(), &bytes) {
            gain.win(format!("{} stands in {whose}", seen.needle));
        }
    }
    gain.figure("bytes_read", searched);
    gain.figure("needles", needles.names().len());
    Ok(())
}

/// The keyholder's store without its keys: read for what it must not tell, and written to, row by row, for what it must not
/// believe.
///
/// # Errors
/// When an honest step does not come about.
pub async fn keyholder_store(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let cars: Vec<usize> = (0..world.day.cars.len().min(SEARCHED_MAX)).collect();
    let needles = Needles::new(&needles::of_cars(world, &cars));
    search(&mut gain, &needles, &world.prepared().join("keyholder/data"), "the keyholder's store")?;

    let count = world.share(100).min(USED_MAX);
    let (used, asking) = of_couriers(world, count).await?;
    let victims = world.take(count).await?;
    let thiefs = world.take(1).await?[0];
    let mut visits = Vec::new();
    for n in &used {
        let mut visit = Visit::begin(world, *n).await?;
        visit.locate(world, &world.courier(*n)?.clone().device).await??;
        visits.push(visit);
    }
    let unspent = world.keep("keyholder-store-unspent").await?;
    for visit in &mut visits {
        let device = &world.courier(visit.n)?.clone().device;
        let attempt = visit.open(world, device).await??;
        visit.finish(world, device, attempt).await?;
    }
    let honest = world.all_seen(&used);

    let grants: Vec<Vec<u8>> =
        used.iter().map(|n| Ok(world.delivery(*n)?.id.as_bytes().to_vec())).collect::<anyhow::Result<_>>()?;
    let mut asked = Vec::new();
    for n in asking {
        asked.push(Visit::begin(world, n).await?);
    }
    let [bent, one, other] = asking.map(|n| world.courier(n).map(|courier| courier.device.thumbprint()));
    let writes = Written {
        grants,
        thief: world.owner(thiefs)?.wallet.id(),
        owners: owners_of(world, &victims)?,
        bent: bent?,
        swapped: [one?, other?],
    };
    let honestly = world.keep("keyholder-store-spent").await?;
    let mut written = BTreeMap::new();
    world
        .changed(async |parties| {
            let (now, then) = (parties.join("keyholder/data"), unspent.join("keyholder/data"));
            written = writes.carry_out(&now, &then).await?;
            Ok(())
        })
        .await?;
    gain.figure("rows_written", json!(written));

    // A grant that was used says that it was not; its courier, who has the link for an hour, comes back.
    for visit in &mut visits {
        let device = &world.courier(visit.n)?.clone().device;
        gain.refused("a used grant whose row was put back", &["store_altered"], &visit.open(world, device).await?);
        // What locks goes on.
        visit.lock(world, device).await?.context("a lock was refused")?;
    }
    world
        .changed(async |parties| {
            // The rows that were put back are taken away; those of wallets and devices stay, and the operator says that all is well.
            restore_grants(&parties.join("keyholder/data"), &honestly.join("keyholder/data"), &writes.grants).await
        })
        .await?;
    world.accepting_an_altered_store().await?;
    for visit in &mut asked {
        let device = &world.courier(visit.n)?.clone().device;
        let looked = visit.locate(world, device).await?;
        gain.refused("to look with a device whose row was written to", &["device_not_enrolled"], &looked);
    }
    // Wallets whose rows are the thief's: nothing of theirs can be signed for, though the operator believed the store.
    let thief = world.owner(thiefs)?;
    for n in &victims {
        let owner = world.owner(*n)?;
        let (ticket, window) = new_request(world, &thief.wallet, *n).await?;
        let point = thief.wallet.access_point(ticket.request.claims().iss).await?;
        let signed = thief.wallet.sign(&ticket, &owner.consent(window, point)?)?;
        let what = "a grant for the car of a wallet whose row was replaced";
        gain.refused(what, &["vehicle_unknown"], &thief.wallet.hand_in(&signed).await);
        let what = "what the wallet itself signs, until its row is back";
        gain.refused(what, &["wallet_unknown"], &owner.wallet.link("volvo").await);
    }
    world.back_to(&honestly).await?;
    for visit in &mut asked {
        let device = &world.courier(visit.n)?.clone().device;
        visit.locate(world, device).await?.context("the same device with its own row")?;
        let at = visit.beside(world)?;
        visit.act(world, device, Action::Describe, at, json!({})).await.context("the description")?;
    }
    for kept in [&unspent, &honestly] {
        world.drop_kept(kept)?;
    }
    world.day.sleep_s(600).await;
    for (n, before) in honest {
        let commands = world.seen(n).open_commands;
        gain.must(commands == before.open_commands, || format!("delivery {n} was opened again"));
    }
    gain.figure("deliveries", used.len() + victims.len());
    Ok(gain)
}

/// So many deliveries, and three others whose couriers have none of these and each but one.
async fn of_couriers(world: &mut World, count: usize) -> anyhow::Result<(Vec<usize>, [usize; 3])> {
    let mut used = world.take(count + 3).await?;
    let asking = used.split_off(count);
    let courier = |n: &usize| world.day.city.errands[*n].courier;
    let couriers: BTreeSet<usize> = asking.iter().map(courier).collect();
    let apart = couriers.len() == 3 && used.iter().all(|n| !couriers.contains(&courier(n)));
    ensure!(apart, "too few couriers have cars to go to now");
    Ok((used, asking.try_into().map_err(|_| anyhow!("three are three"))?))
}

fn owners_of(world: &World, of: &[usize]) -> anyhow::Result<Vec<WalletId>> {
    of.iter().map(|n| Ok(world.owner(*n)?.wallet.id())).collect()
}

/// What somebody writes into the keyholder's store.
struct Written {
    /// Grants whose earlier bytes are put back.
    grants: Vec<Vec<u8>>,
    /// A wallet whose row takes the place of others' rows.
    thief: WalletId,
    owners: Vec<WalletId>,
    /// A device in whose row a bit is changed.
    bent: Thumbprint,
    /// Two devices that get each other's rows.
    swapped: [Thumbprint; 2],
}

impl Written {
    /// How many rows of each kind were written.
    async fn carry_out(&self, data: &Path, earlier: &Path) -> anyhow::Result<BTreeMap<&'static str, usize>> {
        let (now, then) = (open_store(data)?, open_store(earlier)?);
        for id in &self.grants {
            let old = then.get("grant", id).await?.context("a grant without a row")?;
            overwrite(&*now, "grant", id, old.state).await?;
        }
        let stolen = now.get("wallet", self.thief.as_bytes()).await?.context("a wallet without a row")?.state;
        for owner in &self.owners {
            overwrite(&*now, "wallet", owner.as_bytes(), stolen.clone()).await?;
        }
        let mut bent = device(&*now, self.bent).await?;
        *bent.last_mut().context("an empty row")? ^= 1;
        overwrite(&*now, "device", self.bent.as_bytes(), bent).await?;
        let [one, other] = self.swapped;
        let (of_one, of_other) = (device(&*now, one).await?, device(&*now, other).await?);
        overwrite(&*now, "device", one.as_bytes(), of_other).await?;
        overwrite(&*now, "device", other.as_bytes(), of_one).await?;
        now.close().await;
        then.close().await;
        let (grants, owners) = (self.grants.len(), self.owners.len());
        Ok(BTreeMap::from([
            ("put back", grants),
            ("another's row", owners),
            ("a changed bit", 1),
            ("a device's row in another's place", 2),
        ]))
    }
}

fn open_store(data: &Path) -> anyhow::Result<Arc<dyn Engine>> {
    Ok(Storage::Disk.engine(data, "keyholder", Options::default())?)
}
async fn device(store: &dyn Engine, of: Thumbprint) -> anyhow::Result<Vec<u8>> {
    Ok(store.get("device", of.as_bytes()).await?.context("a device without a row")?.state)
}

/// Grants as they honestly are.
async fn restore_grants(data: &Path, honest: &Path, grants: &[Vec<u8>]) -> anyhow::Result<()> {
    let (now, then) = (open_store(data)?, open_store(honest)?);
    for id in grants {
        let row = then.get("grant", id).await?.context("a grant without a row")?;
        overwrite(&*now, "grant", id, row.state).await?;
    }
    now.close().await;
    then.close().await;
    Ok(())
}

fn put(table: &str, id: &[u8], expected: Version, state: Vec<u8>) -> Put {
    Put { table: table.to_owned(), id: id.to_vec(), expected, state, index: BTreeMap::new() }
}

async fn overwrite(store: &dyn Engine, table: &str, id: &[u8], state: Vec<u8>) -> anyhow::Result<()> {
    let expected = store.get(table, id).await?.map_or(Version::Absent, |row| row.expected());
    store.commit(Batch { puts: vec![put(table, id, expected, state)], ..Batch::default() }).await?;
    Ok(())
}
