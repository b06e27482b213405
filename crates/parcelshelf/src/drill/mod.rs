//! Attacks on a running system, one by one: exit status 1 if any gains what the design denies.
//!
//! One world is prepared for all of them ([`world`]): a city in the middle of its day. Each drill is an attacker with a name
//! and with what that attacker has; it is judged by what it holds afterwards and by the cars' own records, never by what
//! the services say of themselves. Those that need a house and the machine's clock have stages of their own, a few at a time:
//! they mostly wait.

mod app;
mod carriers;
mod couriers;
mod depot;
mod forged;
mod front;
mod front_door;
mod gain;
mod garage;
mod guests;
mod history;
mod inference;
mod keepers;
mod loot;
mod needles;
mod pooled;
mod schedules;
mod sharers;
mod stop;
mod strangers;
mod tracker;
mod watcher;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use anyhow::{Context as _, bail, ensure};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use parcelshelf_client::people;
use parcelshelf_edge::clock::Stopwatch;
use serde_json::{Value, json};
use tokio::task::LocalSet;

use self::gain::Gain;
use self::stop::answered;
use self::world::{Size, World};
use crate::cli;
use crate::simulate::operators;
use crate::simulate::run::Folder;
use crate::stops::Stops;

type Drilled<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Gain>> + 'a>>;
type InWorld = for<'a> fn(&'a mut World) -> Drilled<'a>;

/// Where an attack takes place.
#[derive(Clone, Copy)]
enum Attack {
    /// In the prepared world, one after another.
    InWorld(InWorld),
    /// On a stage of its own in this folder.
    Alone(fn(PathBuf) -> Drilled<'static>),
}

/// One drill.
struct Drill {
    name: &'static str,
    /// Who attacks, with what, for what.
    about: &'static str,
    attack: Attack,
}

macro_rules! drills {
    (@attack in_world $attack:path) => { Attack::InWorld(|world| Box::pin($attack(world))) };
    (@attack alone $attack:path) => { Attack::Alone(|dir| Box::pin($attack(dir))) };
    ($($name:literal $how:ident $attack:path: $about:literal;)+) => {
        const DRILLS: &[Drill] = &[$(Drill {
            name: $name,
            about: $about,
            attack: drills!(@attack $how $attack),
        }),+];
    };
}

drills! {
    "stolen-carrier" in_world inference::stolen_carrier:
        "everything that the carrier stores, with its keys, used to guess where cars stand";
    "watching-carrier" in_world inference::watching_carrier:
        "a carrier that records where its vans stop: how near it comes (not denied by the design, but said)";
    "carrier-keys" in_world carriers::carrier_keys:
        "the carrier's cloud keys: delegations and certificates for the thief's phone";
    "widened" in_world carriers::widened:
        "a carrier that signs more than the owner did";
    "insider" in_world carriers::insider:
        "somebody in dispatch with a phone of their own";
    "gateway-front" in_world keepers::gateway_front:
        "the front's files and its place before the keyholder";
    "gateway-pages" in_world front::gateway_pages:
        "files of wallet and stop page replaced on a running gateway, and owners who confirm what they are shown";
    "keyholder-store" in_world keepers::keyholder_store:
        "the keyholder's store without its keys, read and written";
    "hostile-courier-app" in_world app::hostile_courier_app:
        "the carrier's web files replaced, for a place, a key or an opening";
    "replay" in_world couriers::replay:
        "every request that phones sent, sent again: at once, elsewhere, later, to restored stores";
    "malicious-courier" in_world couriers::malicious_courier:
        "a real courier who wants a second opening, another car, one after a block or from afar";
    "identifiers-only" in_world strangers::identifiers_only:
        "somebody who knows VIN, plate, log-in and name";
    "revoked-race" in_world strangers::revoked_race:
        "an opening against the owner's block, at every distance in time";
    "withheld-record" in_world history::withheld_record:
        "records held back from an auditor, and left out of cases";
    "rewritten-log" in_world history::rewritten_log:
        "the log written anew by whoever has its key, before auditor, witness and wallet";
    "restored-backup" in_world history::restored_backup:
        "last night's backup, which has forgotten today's blocks";
    "rolled-back-keyholder" in_world history::rolled_back_keyholder:
        "the keyholder's whole store turned back to before an opening";
    "tracker" in_world tracker::tracker:
        "a second wallet for somebody's car, a carrier that nobody admitted, a guest";
    "two-carriers" in_world pooled::two_carriers:
        "two carriers who pool every byte to find out which of their customers are one";
    "stuck-garage" alone garage::stuck_garage:
        "a garage that does not shut, and one that falls silent while it is open: unnoticed? (seconds to the alarm)";
    "frozen-camera" alone front_door::frozen_camera:
        "a front door's camera that shows its last picture for ever: does the door open? (seconds to the refusal)";
    "looped-stream" alone front_door::looped_stream:
        "a front door's camera that shows a recording of people at the light, over and over: does the door open?";
    "jammed-bolt" alone front_door::jammed_bolt:
        "a bolt that does not come: unnoticed? (seconds to the alarm)";
    "lock-offline-while-open" alone front_door::lock_offline_while_open:
        "a lock that cannot be reached while the door stands open: unnoticed? (seconds to the alarm)";
    "wifi-loss" alone front_door::wifi_loss:
        "lock, sensor, light and camera lost while the door stands open: unnoticed? (seconds to the alarm)";
    "camera-lost-while-open" alone front_door::camera_lost_while_open:
        "the camera alone, stopped while somebody is inside: unnoticed? (seconds to the alarm)";
    "power-cut" alone front_door::power_cut:
        "the gateway's power, cut in the middle of a recording: what is lost, and who can read the rest?";
    "second-entry" alone front_door::second_entry:
        "a courier who comes in again by a door that did not lock: unnoticed?";
    "guest-passes-on" alone guests::guest_passes_on:
        "a guest who passes link and grant on, and comes again";
    "co-owner-undo" alone sharers::co_owner_undo:
        "somebody who shares a garage, and wants open what the other one has stopped, also with a session of theirs";
    "enrolment-credential" in_world depot::enrolment_credential:
        "the depot's key and the carrier's: how many places until the brake (not denied by the design, but bounded)";
}

/// Stages of their own that stand at once: four services each, which mostly wait.
const STAGES_AT_ONCE: usize = 3;
/// How often a drill is begun whose honest steps were refused because the carrier was stopped.
const BEGUN_MAX: usize = 3;

/// # Errors
/// When a drill cannot be run, or an attack succeeds.
pub async fn run(args: cli::Drill) -> anyhow::Result<()> {
    if args.list {
        for drill in DRILLS {
            println!("{:<22} {}", drill.name, drill.about);
        }
        return Ok(());
    }
    LocalSet::new().run_until(run_here(args)).await
}

async fn run_here(args: cli::Drill) -> anyhow::Result<()> {
    let chosen: Vec<&Drill> = DRILLS.iter().filter(|d| args.name == "all" || d.name == args.name).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = DRILLS.iter().map(|d| d.name).collect();
        bail!("there is no drill {}; there are: all, {}", args.name, names.join(", "));
    }
    let folder = Folder::make(args.out.as_deref(), "drill")?;
    let stops = match &args.stops {
        Some(path) => path.clone(),
        None => invented(folder.path(), args.seed)?,
    };
    let size = Size {
        stops,
        deliveries: args.deliveries,
        couriers: args.couriers,
        seed: args.seed,
        schedules: args.schedules,
        gullible: args.gullible,
    };
    ensure!(
        size.deliveries.div_ceil(size.couriers.max(1)) <= 150,
        "a courier serves at most 150 stops; name more couriers"
    );
    let watch = Stopwatch::start();
    println!("{:<22} {:<10} {:>7}  what it was", "drill", "attack", "seconds");
    let alone = chosen.iter().filter_map(|drill| match drill.attack {
        Attack::Alone(attack) => Some(on_a_stage(folder.path().join("drills").join(drill.name), drill, attack)),
        Attack::InWorld(_) => None,
    });
    let mut entries: Vec<Value> = stream::iter(alone).buffered(STAGES_AT_ONCE).try_collect().await?;
    let inside: Vec<(&Drill, InWorld)> = chosen
        .iter()
        .filter_map(|drill| if let Attack::InWorld(attack) = drill.attack { Some((*drill, attack)) } else { None })
        .collect();
    let mut world_told = Value::Null;
    if !inside.is_empty() {
        let watch = Stopwatch::start();
        eprintln!("preparing a world of {} deliveries and {} couriers", size.deliveries, size.couriers);
        let mut world = World::prepare(folder.path(), &size).await.context("while the world was prepared")?;
        world_told = json!({"deliveries": size.deliveries, "couriers": size.couriers, "seed": size.seed,
            "stages": stages(&world), "prepared_s": watch.elapsed().as_secs_f64()});
        for (drill, attack) in inside {
            entries.push(one(&mut world, drill, attack).await?);
        }
    }
    let won: Vec<&Value> = entries.iter().filter(|e| e["attack_succeeded"] == json!(true)).collect();
    let report = json!({
        "drills": entries,
        "world": world_told,
        "wall_s": watch.elapsed().as_secs_f64(),
    });
    if let Some(path) = &args.report {
        fs::write(path, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    println!("{} drills, {} succeeded, {:.0} s", entries.len(), won.len(), watch.elapsed().as_secs_f64());
    for entry in &won {
        println!("{}: {}", entry["name"], entry["won"]);
    }
    ensure!(won.is_empty(), "an attack gains what the design denies");
    Ok(())
}

async fn on_a_stage(dir: PathBuf, drill: &Drill, attack: fn(PathBuf) -> Drilled<'static>) -> anyhow::Result<Value> {
    let watch = Stopwatch::start();
    fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
    let gain = attack(dir).await.and_then(Gain::tried_all);
    Ok(told(drill, &gain.with_context(|| format!("while {} was drilled", drill.name))?, &watch))
}

async fn one(world: &mut World, drill: &Drill, attack: InWorld) -> anyhow::Result<Value> {
    let watch = Stopwatch::start();
    let mut stops = u32::from(release_the_carrier(world).await?);
    let mut drilled = attack(world).await.and_then(Gain::tried_all);
    // Legs that others began end while this drill runs, and with them the carrier may be stopped, as it should be. What was
    // counted once is not counted again, so that whoever begins anew gets further.
    for _ in 1..BEGUN_MAX {
        if drilled.is_ok() || !release_the_carrier(world).await? {
            break;
        }
        stops += 1;
        drilled = attack(world).await.and_then(Gain::tried_all);
    }
    let gain =
        drilled.with_context(|| format!("while {} was drilled; the carrier was stopped {stops} times", drill.name))?;
    let mut entry = told(drill, &gain, &watch);
    entry["carrier_was_stopped"] = json!(stops);
    Ok(entry)
}

fn told(drill: &Drill, gain: &Gain, watch: &Stopwatch) -> Value {
    let mut entry = gain.to_json(drill.name);
    let seconds = watch.elapsed().as_secs_f64();
    entry["seconds"] = json!((seconds * 10.0).round() / 10.0);
    let word = if entry["attack_succeeded"] == json!(true) { "SUCCEEDED" } else { "failed" };
    println!("{:<22} {word:<10} {seconds:>7.1}  {}", drill.name, drill.about);
    entry
}

/// What was drilled before may have stopped the carrier, as it should: the gateway's two people let it go on, so that each
/// drill attacks one that works. Whether it was stopped.
async fn release_the_carrier(world: &World) -> anyhow::Result<bool> {
    let scene = world.scene();
    let carrier = scene.depot.cert.claims().issuer;
    let Some(stop) = answered(world, async || people::stop_of(&scene.gateway_http(), carrier).await).await? else {
        return Ok(false);
    };
    operators::release(scene, carrier, stop).await?;
    Ok(true)
}

/// In which stages the world's deliveries were when the couriers' phones went dark.
fn stages(world: &World) -> Value {
    let (mut served, mut granted, mut asked) = (0, 0, 0);
    for page in world.day.book.pages() {
        match (page.at_car, page.granted) {
            (Some(_), _) => served += 1,
            (None, Some(_)) => granted += 1,
            (None, None) => asked += 1,
        }
    }
    json!({"served_or_in_fallback": served, "granted_and_loaded": granted, "never_answered": asked})
}

/// Stops of an invented city: some thousand doors around a depot.
fn invented(dir: &Path, seed: u64) -> anyhow::Result<PathBuf> {
    let path = dir.join("stops.csv");
    let stops = Stops::invented(seed);
    let mut text = String::from("id,latitude,longitude\n");
    if let Some(depot) = stops.depot {
        text.push_str(&format!("depot,{:.6},{:.6}\n", depot.latitude_deg(), depot.longitude_deg()));
    }
    for (n, stop) in stops.stops.iter().enumerate() {
        text.push_str(&format!("{n},{:.6},{:.6}\n", stop.latitude_deg(), stop.longitude_deg()));
    }
    fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}
