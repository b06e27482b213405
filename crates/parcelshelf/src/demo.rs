//! The demo: every party as a process of its own, a delivery hop by hop as a story, with what each party learned.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use parcelshelf_client::courier::{CloseSaid, Device};
use parcelshelf_client::photo::specimen;
use parcelshelf_client::wallet::Granted;
use parcelshelf_core::area::Position;
use parcelshelf_core::time::Window;
use parcelshelf_protocol::bundle::Bundle;
use parcelshelf_simulator::homeassistant::{self, FrontFile};
use parcelshelf_simulator::onstar;
use parcelshelf_simulator::sabotage::Tampering;
use parcelshelf_simulator::volvo::{CarFile, WorldFile};
use serde_json::{Value, json};

use crate::cli::{Demo, Maker, Sabotage};
use crate::desk::Desk;
use crate::judge::{Seen, judge};
use crate::people::{AtStop, Courier, Hands, Owner, carrier_says, order, persist, until};
use crate::stage::{Scene, Setting, Stage, Worlds};
use crate::stops::Stops;

pub mod garage;
mod guests;
pub mod home;

/// Cars of each maker that a person can link in the wallet.
const CARS_TO_LINK: u32 = 3;
/// Every car of the demo has a plate of its own.
const PLATES: [&str; 4] = ["KLM 482", "DRX 913", "PTZ 205", "WHB 661"];

/// # Errors
/// When a delivery does not end as it should, or the judge finds a violation.
pub async fn run(args: Demo) -> anyhow::Result<()> {
    let dir = match &args.out {
        Some(dir) => dir.clone(),
        None => std::env::temp_dir().join(format!("parcelshelf-demo-{}", std::process::id())),
    };
    if fs::read_dir(&dir).is_ok_and(|mut d| d.next().is_some()) {
        bail!("{} is not empty; choose another folder with --out", dir.display());
    }
    fs::create_dir_all(dir.join("bundles"))?;
    if let Some(cars) = args.stage {
        return stage_alone(&dir, cars).await;
    }
    if args.home {
        return home::run(&args, &dir).await;
    }
    if args.garage || args.guest || args.walk_up {
        return garage::run(&args, &dir).await;
    }
    let places = places(args.stops.as_deref(), args.deliveries)?;
    let mut worlds = worlds(args.maker, &places);
    if !args.once {
        add_cars_to_link(&mut worlds, CARS_TO_LINK);
    }
    let tampering = match args.sabotage {
        Some(Sabotage::RelockOff) => Some(Tampering::SwallowLocks),
        Some(Sabotage::SecondCommand) => Some(Tampering::RepeatUnlocks),
        Some(Sabotage::LeafLeftOut) | None => None,
        Some(Sabotage::SilentCouriers | Sabotage::PaintedPictures) => bail!("this sabotage is for a simulated day"),
    };
    tell("Starting carrier, gateway, keyholder and a simulated car maker's cloud, each a process of its own …");
    let mut stage = Stage::start_with(&dir, &worlds, Setting { tampering, ..Setting::default() }).await?;
    let mut report = Vec::new();
    for (n, place) in places.iter().enumerate() {
        tell(&format!("\n── Delivery {} of {} ──", n + 1, places.len()));
        let play =
            Play { stage: &stage.scene, n, place: *place, dir: &dir, sabotage: args.sabotage, maker: args.maker };
        let entry = play.delivery().await.with_context(|| format!("delivery {} stopped", n + 1))?;
        report.push(entry);
    }
    end(&args, &dir, &mut stage, report).await
}

/// Writes the report, says how it went, and stays up unless told not to.
async fn end(args: &Demo, dir: &Path, stage: &mut Stage, report: Vec<Value>) -> anyhow::Result<()> {
    let violations: usize = report.iter().map(|r| r["violations"].as_array().map_or(0, Vec::len)).sum();
    let delivered = report.iter().filter(|r| r["outcome"] == "delivered" || r["outcome"] == "visited").count();
    let all = report.len();
    if let Some(path) = &args.report {
        fs::write(path, serde_json::to_string_pretty(&json!({ "deliveries": report }))? + "\n")
            .with_context(|| format!("failed to write {}", path.display()))?;
        tell(&format!("\nReport: {}", path.display()));
    }
    let done = if args.guest { "visited" } else { "delivered" };
    tell(&format!("\n{delivered} of {all} {done}, {violations} violations. Everything is in {}.", dir.display()));
    if violations > 0 || delivered < all {
        stage.stop().await?;
        bail!("the judge is not satisfied; the report names each violation");
    }
    if !args.once {
        stay_up(&stage.scene).await?;
    }
    stage.stop().await
}

/// Everybody, a desk, and nothing played: for people who test with browsers.
async fn stage_alone(dir: &Path, cars: u32) -> anyhow::Result<()> {
    let mut worlds = worlds(Maker::Volvo, &[]);
    add_cars_to_link(&mut worlds, cars);
    worlds.home = Some(homeassistant::WorldFile { fronts: vec![FrontFile::demo()], ..garage::to_link() });
    let setting = Setting { front_doors: 1, ..Setting::default() };
    let mut stage = Stage::start_with(dir, &worlds, setting).await?;
    let desk = Desk::new(Arc::clone(&stage.scene));
    let address = desk.open().await?;
    crate::services::say(&json!({ "ready": "stage", "desk": address }));
    let mut stop = parcelshelf_edge::serve::stop_signal()?;
    let _ = stop.wait_for(|s| *s).await;
    stage.stop().await
}

/// Cars that nobody has linked yet, of both makers, where the bundled streets are.
fn add_cars_to_link(worlds: &mut Worlds, cars: u32) {
    // In the streets that the demo's map knows; no two at one place, for hands find a car by where it stands.
    let at = |n: u32, side: f64| {
        let (row, column, between) = (f64::from(n % 8), f64::from(n / 8 % 6), f64::from(n / 48 % 2));
        (60.1662 + 0.0014 * row + 0.0007 * between + side, 24.9400 + 0.0020 * column)
    };
    let onstar = worlds.onstar.get_or_insert_default();
    for n in 0..cars {
        let mut car = CarFile::of(&format!("volvo-{}@example.org", n + 1));
        (car.latitude, car.longitude) = at(n, 0.0);
        worlds.volvo.cars.push(car);
        let mut car = onstar::CarFile::of(&format!("chevrolet-{}@example.org", n + 1));
        (car.latitude, car.longitude) = at(n, 0.0003);
        onstar.cars.push(car);
    }
}

async fn stay_up(stage: &Arc<Scene>) -> anyhow::Result<()> {
    let l = &stage.layout;
    let desk = Desk::new(Arc::clone(stage));
    let address = desk.open().await?;
    let courier = desk.hire("Robin Berg").await?;
    let lead = desk.invite("Alex Moreno", "lead").await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    tell("\nEverything stays up. Three windows, and a desk for what a browser cannot do:");
    tell(&format!("  desk        {address}   sends parcels, lends hands at cars, plays the courier for you"));
    tell(&format!("  owner       {}", l.wallet_origin));
    tell(&format!("  courier     {}", text(&courier["link"])));
    tell(&format!("  operations  {}", text(&lead["url"])));
    tell("  (the last two are log-ins; the operations link makes a passkey, once)");
    tell("\nOr from a terminal:");
    tell(&format!("  curl {}/.well-known/parcelshelf", l.gateway_origin));
    tell(&format!("  curl {}/log/checkpoint", l.gateway_origin));
    tell(&format!("  curl -H 'Authorization: Bearer {}' {}/v1/deliveries", l.dispatch_key, l.carrier_origin));
    tell(&format!("  curl {}/__sim/help", stage.clouds.volvo));
    tell("Ctrl-C ends it.");
    let mut stop = parcelshelf_edge::serve::stop_signal()?;
    let _ = stop.wait_for(|s| *s).await;
    Ok(())
}

/// What each party has learned of a parcel in a car, and what it has not.
const LEARNED: [(&str, &str); 7] = [
    ("merchant", "that it was delivered"),
    (
        "carrier",
        "name and fallback address, the parcel, an area; times rounded to 15 minutes. No car, no plate, no place",
    ),
    ("courier", "the place and the plate, on one device, for this stop; wiped with it"),
    ("front", "that sealed bytes passed, how many and when"),
    ("keyholder", "the place, in one request's memory; that this grant was used"),
    ("car maker", "what it knows anyway: its customer's car was unlocked and locked"),
    ("log readers", "hashes, and their order"),
];

fn tell(line: &str) {
    println!("{line}");
}
fn login(n: usize) -> String {
    format!("owner-{}@example.org", n + 1)
}

fn worlds(maker: Maker, places: &[Position]) -> Worlds {
    let at = |place: &Position| (place.latitude_deg(), place.longitude_deg());
    let (mut volvo, mut onstar) = (WorldFile { cars: Vec::new(), ..WorldFile::demo() }, onstar::WorldFile::default());
    for (n, place) in places.iter().enumerate() {
        if maker.is_silent() {
            let mut car = onstar::CarFile::of(&login(n));
            (car.latitude, car.longitude) = at(place);
            onstar.cars.push(car);
        } else {
            let mut car = CarFile::of(&login(n));
            (car.latitude, car.longitude) = at(place);
            volvo.cars.push(car);
        }
    }
    Worlds { volvo, onstar: maker.is_silent().then_some(onstar), tesla: None, smartcar: None, home: None }
}

/// Stops of a file, or a car park in Gothenburg for each car.
fn places(file: Option<&Path>, count: u32) -> anyhow::Result<Vec<Position>> {
    let count = count as usize;
    let Some(file) = file else {
        let home = Position::new(57.725_374, 11.849_843, 10.0)?;
        return Ok((0..count).map(|n| home.moved(90.0, 60.0 * n as f64)).collect());
    };
    let all = Stops::read(file)?.stops;
    ensure!(all.len() >= count, "{} has {} stops, {count} are needed", file.display(), all.len());
    Ok(all.into_iter().take(count).collect())
}

struct Play<'a> {
    stage: &'a Scene,
    n: usize,
    place: Position,
    dir: &'a Path,
    sabotage: Option<Sabotage>,
    maker: Maker,
}

/// Words and hands for one maker's cars.
impl Maker {
    const fn name(self) -> &'static str {
        match self {
            Self::Volvo => "volvo",
            Self::Onstar => "onstar",
        }
    }
    const fn car(self) -> &'static str {
        match self {
            Self::Volvo => "Volvo",
            Self::Onstar => "Chevrolet",
        }
    }
    /// The car tells neither lid nor lock.
    const fn is_silent(self) -> bool {
        matches!(self, Self::Onstar)
    }
}

impl Play<'_> {
    async fn delivery(&self) -> anyhow::Result<Value> {
        let stage = self.stage;
        let owner = self.enrol().await?;
        self.rehearse(&owner).await?;

        let now = stage.host.now();
        let label = format!("FJB{:08}", 70_000_000 + self.n);
        let order = order(now, &label)?;
        let merchant = stage.merchant();
        let ordered = merchant.ship(&order, &self.key("ship")).await.context("to ship")?;
        tell("merchant   posts one parcel; the carrier checks its rules and signs a request to the owner");
        let granted = owner.allow(stage, &ordered).await?;
        tell("owner      reads the request, and allows it with a passkey: this car, this window, this area, once");
        let dispatch = stage.dispatch();
        carrier_says(&dispatch, ordered.delivery, &["accepted"]).await?;
        tell(
            "carrier    learns: allowed, in an area of about five square kilometres per cell. Not which car, not where",
        );

        let courier = Courier::hire(stage, "Sam Rivera", &self.key("courier")).await?;
        dispatch.load(ordered.delivery, courier.id, &self.key("load")).await?;
        let url = persist(&stage.host, "the leg", async || {
            courier.shipping.start_leg(ordered.delivery, &self.key("leg")).await
        })
        .await?;
        tell("courier    sets out; the carrier passes the permission on to this one device, for this one hour");
        let phone = self.place.moved(45.0, 25.0);
        let at = AtStop::open(stage, &courier, &owner, &url, phone).await?;
        let place = at.locate().await?;
        tell(&format!(
            "courier    learns where: {:.0} m away, sealed to this device; gateway and carrier saw ciphertext",
            place.position.distance_m(&phone)
        ));
        let description = at.describe().await?;
        tell(&format!("courier    reads plate and colour near the car: {} {}", description.colour, description.plate));
        courier.shipping.step(ordered.delivery, "arrived", &self.key("arrived"), &json!({})).await?;

        let before = Seen::of(&stage.seen_of(&owner.hands.vin).await?);
        let attempt = at.ask_to_open(&[at.scan(&label)?]).await?;
        let ready = at.follow(attempt, |s| s["state"] == "ready" || s["state"] == "open").await?;
        let state = ready["state"].as_str().unwrap_or("?");
        if self.maker.is_silent() {
            tell(&format!("maker      is asked after the command until it says that it is done ({state})"));
        } else {
            tell(&format!("car        is ready ({state}): a hand at the tailgate completes it"));
        }
        owner.hands.act(&json!({"action": "open_tailgate"})).await?;
        at.follow(attempt, |s| s["state"] == "open").await?;
        owner.hands.act(&json!({"action": "close_tailgate"})).await?;
        let photo = self.photo(&owner, &granted, &at, attempt).await?;
        if self.maker.is_silent() {
            tell("courier    opens the trunk, puts the parcel in, shuts it, takes a photo");
            at.shut(false, Some(photo)).await?;
            at.follow(attempt, |s| s["check_handle"] == json!(true)).await?;
            tell("maker      says that it has locked; the page asks the courier to pull the handle: it holds");
            at.shut(true, Some(photo)).await?;
        } else {
            tell("courier    opens the tailgate, puts the parcel in, shuts it, checks the handle, takes a photo");
            at.close(Some(photo)).await?;
        }
        let over = |s: &Value| s["ended"] == json!(true) || s["state"] == "alarm" || s["state"] == "locked";
        let end = at.follow(attempt, over).await?;
        tell(&format!("keyholder  locks and proves it: {}", end["lock_proof"].as_str().unwrap_or("not proved")));
        let parcel = ordered.parcels.first().context("a shipment without parcels")?;
        let outcome = json!({"outcome": "done"});
        courier
            .shipping
            .step(ordered.delivery, &format!("parcels/{parcel}/outcome"), &self.key("outcome"), &outcome)
            .await?;
        courier.shipping.step(ordered.delivery, "finish", &self.key("finish"), &json!({})).await?;
        let done = carrier_says(&dispatch, ordered.delivery, &["ended", "falling_back"]).await?;
        let case = Case { stage, dir: self.dir, maker: self.maker.name(), sabotage: self.sabotage, learned: &LEARNED };
        case.judged(&owner, &granted, &courier.device, before, outcome_of(&done)).await
    }

    fn key(&self, step: &str) -> String {
        format!("demo-{}-{step}", self.n)
    }

    async fn enrol(&self) -> anyhow::Result<Owner> {
        let cars = self.stage.sim_of(self.maker.name())?.get("/__sim/cars", &[]).await?;
        let car = cars["cars"].as_array().and_then(|all| all.iter().find(|c| c["owner"] == json!(login(self.n))));
        let vin = car.and_then(|c| c["vin"].as_str()).context("a car without a VIN")?;
        let plate = PLATES[self.n % PLATES.len()];
        let hands = Hands::at(self.stage, self.maker.name(), vin)?;
        let owner = Owner::enrol_at(self.stage, self.maker.name(), &login(self.n), hands, self.place, plate).await?;
        let car = self.maker.car();
        tell(&format!(
            "owner      signs up with a passkey and no name, links a {car}, agrees to what its maker cannot tell,"
        ));
        if self.maker.is_silent() {
            tell(
                "           first of all that the car tells neither lid nor lock; it reports no doors to prove possession",
            );
            tell("           by, so that 72 hours are waited for (here: none)");
        } else {
            tell("           and proves by three doors in a drawn order to stand at it (hands simulated)");
        }
        Ok(owner)
    }

    /// The owner opens the own car once, so that the first stranger's try is not the first try.
    async fn rehearse(&self, owner: &Owner) -> anyhow::Result<()> {
        use parcelshelf_client::courier::Stop;
        let stage = self.stage;
        let device = Device::create(&stage.host)?;
        let now = stage.host.now();
        let start = parcelshelf_core::time::Timestamp::from_unix_seconds(now.unix_seconds());
        let window = Window::new(start, start.plus_seconds(600))?;
        let access_point = owner.wallet.access_point(device.thumbprint()).await?;
        let granted = owner.wallet.rehearse(&device, &owner.consent(window, access_point)?).await?;
        let stop = Stop { delivery: granted.delivery, last_link: granted.jws.clone(), salt: [0; 16] };
        let page =
            parcelshelf_client::courier::StopPage::open(&stage.layout.stop_origin, owner.wallet.pinned(), &stage.host);
        let page = page.await?;
        let attempt = page.ask_to_open(&device, &stop, self.place, &[]).await.context("to rehearse")?;
        let mut after = 0;
        let mut follow = async |member: &str, value: Value| {
            until(&stage.host, &format!("{member} {value} in the rehearsal"), async || {
                let seen = page.attempt(attempt, after).await?;
                let there = seen[member] == value;
                // What is asked for next may be there already.
                after = if there { 0 } else { seen["seq"].as_u64().unwrap_or(after) };
                Ok(there.then_some(()))
            })
            .await
        };
        follow("state", json!(if self.maker.is_silent() { "open" } else { "ready" })).await?;
        owner.hands.act(&json!({"action": "open_tailgate"})).await?;
        follow("state", json!("open")).await?;
        owner.hands.act(&json!({"action": "close_tailgate"})).await?;
        if self.maker.is_silent() {
            let to = owner.wallet.seal_key_of(granted.id)?;
            let (photo, _) = page.leave_photo(&device, &stop, attempt, &to, &specimen()).await?;
            let said = |handle_checked| CloseSaid { handle_checked, photo: Some(photo), done: true };
            page.shut(&device, &stop, self.place, said(false)).await?;
            follow("check_handle", json!(true)).await?;
            page.shut(&device, &stop, self.place, said(true)).await?;
        } else {
            page.close(&device, &stop, self.place, None, true).await?;
        }
        follow("state", json!("locked")).await?;
        tell("owner      rehearses: the own phone opens the own car once, and it locks again");
        Ok(())
    }

    async fn photo(
        &self,
        owner: &Owner,
        granted: &Granted,
        at: &AtStop<'_>,
        attempt: parcelshelf_core::id::AttemptId,
    ) -> anyhow::Result<parcelshelf_protocol::encoding::Hash> {
        let to = owner.wallet.seal_key_of(granted.id)?;
        at.photograph(attempt, &to, &specimen()).await
    }
}

/// One delivery that is over, and what each party has learned by now.
struct Case<'a> {
    stage: &'a Scene,
    dir: &'a Path,
    maker: &'static str,
    sabotage: Option<Sabotage>,
    learned: &'static [(&'static str, &'static str)],
}

impl Case<'_> {
    async fn judged(
        &self,
        owner: &Owner,
        granted: &Granted,
        device: &Device,
        before: Seen,
        outcome: &str,
    ) -> anyhow::Result<Value> {
        let mut bytes = owner.bundle(granted.delivery).await?;
        if self.sabotage == Some(Sabotage::LeafLeftOut) {
            let mut bundle = Bundle::parse_canonical(&bytes)?;
            ensure!(bundle.records.len() > 2, "a bundle without records");
            bundle.records.remove(bundle.records.len() - 2);
            bytes = bundle.encode();
        }
        let path: PathBuf = self.dir.join(format!("bundles/{}.json", granted.delivery));
        fs::write(&path, &bytes)?;
        let seen = Seen::of(&self.stage.seen_of(&owner.hands.vin).await?).since(before);
        let finding = judge(seen, &bytes, &owner.anchors(self.stage));
        tell(&format!(
            "owner      exports the case; verified offline, and compared with what the maker's side recorded itself: {}",
            if finding.violations.is_empty() { String::from("they agree") } else { finding.violations.join(", ") }
        ));
        let photos = owner.wallet.photos(granted, device).await.context("to open the photos")?;
        ensure!(photos.iter().all(|photo| *photo == specimen()), "a photo that is not the one that was taken");
        if !photos.is_empty() {
            tell(&format!("           opens {} of the courier, which nobody else can", photos_in_words(photos.len())));
        }
        tell("           what each party has learned:");
        for (who, what) in self.learned {
            tell(&format!("             {who:12} {what}"));
        }
        Ok(json!({
            "maker": self.maker,
            "outcome": outcome,
            "openings": finding.openings,
            "lock_proof": finding.lock_proof.map(|p| p.code()),
            "bundle": path.to_string_lossy(),
            "photos": photos.len(),
            "delivery": granted.delivery.to_string(),
            "violations": finding.violations,
        }))
    }
}

/// How the carrier says that it ended.
fn outcome_of(done: &Value) -> &str {
    done["end"].as_str().or(done["state"].as_str()).unwrap_or("unknown")
}

fn photos_in_words(count: usize) -> String {
    if count == 1 { String::from("the photo") } else { format!("{count} photos") }
}
