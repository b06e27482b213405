//! Attacks on the past: a log that is rewritten, records that are held back, stores that are older than they say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use indicatif::ProgressBar;
use parcelshelf_client::Failure;
use parcelshelf_client::log::{LogReader, Watch};
use parcelshelf_client::wallet::Wallet;
use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::reason::Action;
use parcelshelf_edge::Host;
use parcelshelf_edge::clock::Stopwatch;
use parcelshelf_exchange::{Client, get};
use parcelshelf_log::Hash;
use parcelshelf_log::audit::{Position, Walk};
use parcelshelf_log::note::LogSigner;
use parcelshelf_log::tile::unbundled;
use parcelshelf_log::witness::AddCheckpoint;
use parcelshelf_protocol::bundle::{self, Bundle};

use super::forged::{Forged, Place};
use super::gain::Gain;
use super::stop::{Visit, answered, send_again};
use super::watcher::{Watcher, log_signer};
use super::world::World;
use crate::audit::{Bad, go};
use crate::people::persist;
use crate::simulate::run::MAKERS;

const DEADLINE: Duration = Duration::from_secs(20);
/// Places in the log at which it is rewritten.
const PLACES: u64 = 12;
/// Bundles of entries that are withheld, one after another, at most.
const WITHHELD_MAX: usize = 6;
/// Cases whose records are left out, at most.
const CASES_MAX: usize = 40;
/// A large store is compared with its witness's memory within this.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);
/// A nonce is good for so long.
const NONCE_LIVES_MS: i64 = 20_000;
/// What a store says that is older than its witness remembers.
const ROLLED_BACK: &[&str] = &["log_rolled_back"];

/// Everything that the log serves, entry by entry, and how far it was audited.
struct Log {
    entries: Vec<Hash>,
    position: Position,
    url: String,
    signer: LogSigner,
    client: Client,
}

impl Log {
    async fn read(world: &World) -> anyhow::Result<Self> {
        let client = Client::network(Host::system().clock)?;
        let url = format!("{}/log", world.scene().layout.gateway_origin);
        let signer = log_signer(world)?;
        // What was signed last covers all that waits; a moment later nothing grows any more.
        world.wait_outside(Duration::from_secs(2)).await;
        let bar = ProgressBar::hidden();
        let audited = go(&client, &url, signer.verifier(), &[], None, &Position::default(), &bar).await?;
        let mut entries = Vec::new();
        for id in Walk::new(&Position::default(), audited.position.size())?.bundles() {
            let answer = client.send(get(&format!("{url}/{}", id.path()))?, DEADLINE, 256 * 34).await;
            let bytes = answer.map_err(|s| anyhow::anyhow!("no answer: {s}"))?.body.context("too long")?;
            entries.extend(unbundled(&bytes).context("a bundle that is none")?);
        }
        ensure!(entries.len() as u64 == audited.position.size(), "the log has another length than it says");
        Ok(Self { entries, position: audited.position, url, signer, client })
    }
    async fn audited(&self, url: &str) -> Result<u64, Bad> {
        let bar = ProgressBar::hidden();
        go(&self.client, url, self.signer.verifier(), &[], None, &self.position, &bar).await.map(|a| a.new)
    }
}

/// A way to rewrite: entries that are not the true ones.
fn rewritten(entries: &[Hash], at: usize) -> Vec<(&'static str, Vec<Hash>)> {
    let invented = |n: u8| parcelshelf_log::tree::leaf_hash(&[n]);
    let (mut changed, mut removed, mut renumbered) = (entries.to_vec(), entries.to_vec(), entries.to_vec());
    changed[at][0] ^= 1;
    // As long as before, so that its length gives nothing away.
    removed.remove(at);
    removed.push(invented(1));
    renumbered.swap(at, at + 1);
    let forked = entries[..at].iter().copied().chain((0..60).map(invented)).collect();
    let mut longer: Vec<Hash> = changed.clone();
    longer.extend((0..9).map(invented));
    vec![
        ("a record changed", changed),
        ("a record removed", removed),
        ("two records renumbered", renumbered),
        ("the log cut short", entries[..at].to_vec()),
        ("another history from a record on", forked),
        ("a record changed, and the log grown", longer),
    ]
}

/// Whoever runs the keyholder rewrites its log and signs it anew with the true key. Three parties look: an auditor who was
/// there before, the witness, a wallet that asks the witness.
///
/// # Errors
/// When an honest step does not come about.
pub async fn rewritten_log(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let log = Log::read(world).await?;
    let size = log.entries.len();
    ensure!(size > 16, "a log of {size} leaves cannot be rewritten in many ways");
    let witness = Watcher::start(&world.folder("rewritten-log")?, &log.signer).await?;
    let honest = Forged::of(&log.entries, &log.signer);
    let seen = AddCheckpoint { old: 0, proof: Vec::new(), note: honest.note().to_owned() };
    ensure!(witness.asked(&seen).await? == 200, "the witness does not cosign the true log");
    let (place, forged_url) = Place::open().await?;
    let reader = |url: &str| LogReader::new(&log.client, url, log.signer.verifier().clone());
    let mut wallet = Watch::new(reader(&log.url), witness.key.clone(), &witness.base, None);
    wallet.look().await?;
    ensure!(wallet.agrees(&honest.checkpoint(&log.signer)).await.is_ok(), "the wallet does not accept the true log");

    let (mut tried, mut complaints) = (0_u64, 0_u64);
    for n in 0..PLACES {
        let at = 1 + usize::try_from(world.dice.between("rewritten", n, 0, size as u64 - 4))?;
        for (what, entries) in rewritten(&log.entries, at) {
            let forged = Forged::of(&entries, &log.signer);
            let checkpoint = forged.checkpoint(&log.signer);
            tried += 1;
            for old in [size as u64, checkpoint.size.min(size as u64), 0] {
                let proof = forged.proof_from(old);
                let asked = AddCheckpoint { old, proof, note: forged.note().to_owned() };
                let answer = witness.asked(&asked).await?;
                gain.must(answer != 200, || format!("the witness cosigned: {what} at {at}"));
                gain.count(what, &format!("witness_{answer}"));
            }
            place.serve(forged);
            let audited = log.audited(&forged_url).await;
            complaints += u64::from(matches!(&audited, Err(bad) if !matches!(bad, Bad::NotDone(_))));
            gain.must(audited.is_err(), || format!("the auditor accepted: {what} at {at}"));
            // The gateway serves this wallet its forgery, tiles and all; the tree is still the witness's.
            let remembered = wallet.newest().cloned();
            let misled = Watch::new(reader(&forged_url), witness.key.clone(), &witness.base, remembered);
            gain.must(misled.agrees(&checkpoint).await.is_err(), || format!("the wallet accepted: {what} at {at}"));
        }
    }
    gain.must(complaints == tried, || format!("{tried} rewritten logs, {complaints} complaints of the auditor"));
    gain.figure("leaves", size);
    gain.figure("rewritten_logs", tried);
    gain.figure("complaints_of_the_auditor", complaints);
    Ok(gain)
}

/// Records are held back: from an auditor, and from whoever reads a case. What a case no longer shows it must no longer
/// prove, and the car's own record must contradict it.
///
/// # Errors
/// When an honest step does not come about.
pub async fn withheld_record(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let log = Log::read(world).await?;
    let (place, url) = Place::open().await?;
    let bundles = log.entries.len().div_ceil(256);
    for number in (0..bundles).step_by(bundles.div_ceil(WITHHELD_MAX)) {
        place.serve(Forged::of(&log.entries, &log.signer).without(number as u64));
        let bar = ProgressBar::hidden();
        let looked = go(&log.client, &url, log.signer.verifier(), &[], None, &Position::default(), &bar).await;
        gain.must(matches!(looked, Err(Bad::Withheld(_))), || format!("entries {number} were not missed"));
    }
    let (mut cases, mut middle, mut tails, mut silent) = (0_usize, 0_u64, 0_u64, 0_u64);
    for (n, page) in world.day.book.pages().iter().enumerate() {
        let opened = world.seen(n).lid_openings > 0 && page.attempt_over;
        let (Some(owner), Some(delivery), true) = (world.day.owner(n), world.day.delivery(n), opened) else { continue };
        if cases == CASES_MAX {
            break;
        }
        let whole = exported(world, &owner.wallet, delivery.id).await?;
        let verdict = bundle::verify(&whole, None).map_err(|r| anyhow::anyhow!("a true case: {}", r.code()))?;
        if verdict.openings == 0 {
            continue; // opened with a key, before or after
        }
        cases += 1;
        let good = Bundle::parse_canonical(&whole).map_err(|r| anyhow::anyhow!("a true case: {}", r.code()))?;
        for at in 0..good.records.len() - 1 {
            let mut less = good.clone();
            less.records.remove(at);
            middle += 1;
            gain.must(bundle::verify(&less.encode(), None).is_err(), || {
                format!("delivery {n}: record {at} is not missed")
            });
        }
        let mut less = good.clone();
        while less.records.pop().is_some() {
            tails += 1;
            let Ok(shorter) = bundle::verify(&less.encode(), None) else { continue };
            silent += 1;
            // What is left is true as far as it goes: it claims no lock that it does not show, and where it hides the opening
            // the car itself tells more openings than the case.
            let hides = shorter.openings < verdict.openings;
            let claims = shorter.lock_proof.is_some() && !shows_the_lock(&shorter);
            gain.must(!claims, || format!("delivery {n}: a case without its end proves a lock"));
            gain.must(!hides || world.seen(n).lid_openings > u64::from(shorter.openings), || {
                format!("delivery {n}: an opening is hidden and nothing contradicts")
            });
        }
    }
    gain.must(cases > 0, || String::from("nothing was looked at"));
    gain.figure("entry_bundles_withheld", bundles.min(WITHHELD_MAX));
    gain.figure("cases", cases);
    gain.figure("records_left_out", middle);
    gain.figure("ends_cut_off", tails);
    gain.figure("ends_that_a_case_alone_does_not_miss", silent);
    Ok(gain)
}

fn shows_the_lock(verdict: &bundle::Verdict) -> bool {
    verdict.timeline.iter().any(|m| m.event.kind() == "locked")
}

async fn exported(world: &World, wallet: &Wallet, delivery: DeliveryId) -> anyhow::Result<Vec<u8>> {
    persist(&world.scene().host, "the case bundle", async || match wallet.bundle(delivery).await {
        Err(Failure::Problem { code, .. }) if code == "bundle_not_ready" => {
            Err(Failure::Problem { status: 503, code, detail: String::new(), retry_after_s: None })
        }
        done => done,
    })
    .await
}

/// A keyholder with a witness, and what its store was before something happened that somebody would like to undo.
struct Backup {
    watcher: Watcher,
    signer: LogSigner,
    kept: PathBuf,
    size: u64,
}

impl Backup {
    async fn make(world: &World, name: &str) -> anyhow::Result<Self> {
        let signer = log_signer(world)?;
        let watcher = Watcher::start(&world.folder(name)?, &signer).await?;
        watcher.attach(world).await?;
        Ok(Self { watcher, signer, kept: PathBuf::new(), size: 0 })
    }
    /// Last night's copy.
    async fn keep(&mut self, world: &World, name: &str) -> anyhow::Result<()> {
        // Everything in the copy is witnessed: what the witness does not know cannot be missed. A new witness hears of the log
        // with its next leaf.
        self.watcher.beyond(world, 0, &self.signer).await?;
        world.wait_outside(Duration::from_secs(3)).await;
        self.size = self.watcher.newest(&self.signer).await?.size;
        if self.kept.exists() {
            world.drop_kept(&self.kept)?;
        }
        self.kept = world.keep(name).await?;
        Ok(())
    }
    /// What happened since is in the log, and the witness has seen it. Then the copy takes the store's place.
    async fn restore(&self, world: &World, name: &str) -> anyhow::Result<PathBuf> {
        self.watcher.beyond(world, self.size, &self.signer).await?;
        let now = world.keep(name).await?;
        world.back_to(&self.kept).await?;
        Ok(now)
    }
    async fn end(self, world: &World, now: &Path) -> anyhow::Result<()> {
        world.back_to(now).await?;
        for kept in [now, &self.kept] {
            world.drop_kept(kept)?;
        }
        self.watcher.detach(world).await
    }
}

/// Until the keyholder has heard from its witness it refuses for that reason, in real time.
async fn settled<T>(world: &World, mut ask: impl AsyncFnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let watch = Stopwatch::start();
    loop {
        match ask().await {
            Err(failure) if failure.code() == Some("log_unconfirmed") && watch.elapsed() < SETTLED_WITHIN => {
                world.wait_outside(Duration::from_millis(200)).await;
            }
            answer => return answer,
        }
    }
}

/// What a courier asks of a keyholder whose past is shorter than its witness's: nothing of it is answered, and for that reason.
async fn refused_all(world: &World, gain: &mut Gain, visit: &Visit, what: &'static str) -> anyhow::Result<()> {
    let device = &world.courier(visit.n)?.device;
    let at = visit.beside(world)?;
    let looked = settled(world, async || visit.page.locate(device, &visit.stop, at).await).await;
    gain.refused(what, ROLLED_BACK, &looked);
    let labels = visit.labels(world)?;
    let opened = settled(world, async || {
        let prepared = visit.page.prepare(device, &visit.stop, Action::Open, at, labels.clone()).await?;
        visit.page.send(&prepared).await
    })
    .await;
    gain.refused(what, ROLLED_BACK, &opened);
    Ok(())
}

/// The operator, in good faith, restores last night's backup: blocks of today are forgotten. The witness is not.
///
/// # Errors
/// When an honest step does not come about.
pub async fn restored_backup(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let mine = world.take(2).await?;
    let before = world.all_seen(&mine);
    let mut backup = Backup::make(world, "restored-backup").await?;
    let mut visits = Vec::new();
    for n in &mine {
        let mut visit = Visit::begin(world, *n).await?;
        visit.locate(world, &world.courier(*n)?.device).await??;
        visits.push(visit);
    }
    backup.keep(world, "restored-backup-kept").await?;
    let (owner, id) = (world.owner(mine[0])?, world.delivery(mine[0])?.id);
    answered(world, async || owner.wallet.block(id).await).await?;
    let now = backup.restore(world, "restored-backup-now").await?;
    refused_all(world, &mut gain, &visits[0], "what was blocked since the backup").await?;
    refused_all(world, &mut gain, &visits[1], "what was granted before the backup").await?;
    backup.end(world, &now).await?;
    for (n, before) in before {
        let commands = world.seen(n).open_commands;
        gain.must(commands == before.open_commands, || format!("delivery {n} was opened from a restored backup"));
    }
    gain.figure("deliveries", mine.len());
    Ok(gain)
}

/// Whoever runs the keyholder turns its whole store back to where a used grant was unspent, MAC, sum and all, so that a
/// courier may open a second time.
///
/// # Errors
/// When an honest step does not come about.
pub async fn rolled_back_keyholder(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let mut backup = Backup::make(world, "rolled-back-keyholder").await?;
    // One car of each maker, and one that is being opened when the store is turned back.
    let mut visits = Vec::new();
    for n in world.take(MAKERS.len() + 1).await? {
        let mut visit = Visit::begin(world, n).await?;
        visit.locate(world, &world.courier(n)?.device).await??;
        visits.push(visit);
    }
    backup.keep(world, "rolled-back-unspent").await?;
    let mut under_way = visits.pop().context("nobody is left")?;
    for visit in &mut visits {
        let courier = Arc::clone(world.courier(visit.n)?);
        let attempt = visit.open(world, &courier.device).await??;
        let finished = visit.finish(world, &courier.device, attempt).await;
        finished.with_context(|| format!("the honest opening of a {}", world.maker(visit.n)))?;
    }
    let mine: Vec<usize> = visits.iter().map(|v| v.n).collect();
    let honest = world.all_seen(&mine);
    let before = world.seen(under_way.n).open_commands;
    let now = overheard_then(world, &mut gain, &backup, &mut under_way).await?;
    for visit in &visits {
        refused_all(world, &mut gain, visit, "a used grant in a store from before its use").await?;
    }
    backup.end(world, &now).await?;
    world.day.sleep_s(600).await;
    for (n, honest) in honest {
        let commands = world.seen(n).open_commands;
        gain.must(commands == honest.open_commands, || format!("the car of {n} was opened a second time"));
    }
    let commands = world.seen(under_way.n).open_commands - before;
    gain.must(commands <= 1, || format!("{commands} commands to open for one use"));
    let makers: BTreeSet<&str> = mine.iter().map(|n| world.maker(*n)).collect();
    ensure!(makers.len() == MAKERS.len(), "cars of {makers:?} only");
    gain.figure("used_grants", visits.len());
    gain.figure("makers", makers.len());
    Ok(gain)
}

/// The courier's request to open is overheard, the store turned back at once, and the same bytes sent to it while their nonce
/// is young: the older store has never seen it, and the grant is unspent there. Returns what was stored until then.
async fn overheard_then(world: &World, gain: &mut Gain, backup: &Backup, visit: &mut Visit) -> anyhow::Result<PathBuf> {
    let courier = Arc::clone(world.courier(visit.n)?);
    let asked = world.day.now();
    visit.open(world, &courier.device).await??;
    let (_, prepared) = visit.sent.last().context("nothing was sent")?;
    // Restarts take a while; the nonces of this world are no older afterwards.
    let turned = async {
        let now = backup.restore(world, "rolled-back-now").await?;
        let again = settled(world, async || send_again(&visit.page, prepared, prepared.path()).await).await;
        anyhow::Ok((now, again))
    };
    let (now, again) = world.outside(turned).await?;
    ensure!(world.day.now().millis_since(asked) < NONCE_LIVES_MS, "the nonce grew old meanwhile");
    gain.refused("an opening's very bytes, still young, in a store from before", ROLLED_BACK, &again);
    Ok(now)
}
