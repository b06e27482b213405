//! Whoever wants to follow a car: a second wallet for it, a carrier that nobody admitted, a guest.

use anyhow::{Context as _, ensure};
use parcelshelf_client::courier::Device;
use parcelshelf_client::depot::certify;
use parcelshelf_client::wallet::{Checked, Possession, Wallet, WalletSite};
use parcelshelf_core::id::VehicleId;
use parcelshelf_core::time::Window;
use parcelshelf_protocol::cert::Subject;
use parcelshelf_protocol::jws::{Sign as _, SigningKey};
use parcelshelf_simulator::canary::Needles;
use serde_json::json;

use super::gain::Gain;
use super::keepers::new_request;
use super::needles;
use super::stop::{Visit, answered};
use super::world::World;

/// A partner who knows the log-in at the maker but does not sit in the car, a carrier of their own invention, and a guest link
/// to somebody else's car. None finds it, and the owner hears of the second wallet.
///
/// # Errors
/// When an honest step does not come about.
pub async fn tracker(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let count = world.share(50);
    let mine = world.take(count).await?;
    let before = world.all_seen(&mine);
    let mut heard = String::new();
    let mut told = 0;
    for n in &mine {
        second_wallet(world, &mut gain, *n, &mut heard, &mut told).await?;
        fake_carrier(world, &mut gain).await?;
        guest(world, &mut gain, *n).await?;
    }
    let needles = Needles::new(&needles::of_cars(world, &mine));
    let found: Vec<_> = needles
        .search("what the tracker heard", heard.as_bytes())
        .into_iter()
        .filter(|s| !s.needle.starts_with("VIN"))
        .collect();
    gain.must(found.is_empty(), || format!("the tracker learned: {:?}", found.first()));
    for (n, before) in before {
        let after = world.seen(n);
        gain.must(after.open_commands == before.open_commands, || format!("car {n} was opened"));
    }
    gain.figure("cars", mine.len());
    gain.figure("owners_who_are_told", told);
    gain.figure("bytes_heard", heard.len());
    gain.must(told == mine.len(), || format!("{told} of {} owners hear of the second wallet", mine.len()));
    Ok(gain)
}

async fn second_wallet(
    world: &World,
    gain: &mut Gain,
    n: usize,
    heard: &mut String,
    told: &mut usize,
) -> anyhow::Result<()> {
    let (scene, car) = (world.scene(), world.day.cars.get(n).context("no such car")?);
    let site = WalletSite::new(&scene.layout.wallet_origin, &scene.host)?;
    let theirs = Wallet::register(site, &scene.host).await.context("the tracker's wallet")?;
    let url = answered(world, async || theirs.link(car.maker).await).await.context("the tracker's link")?;
    let status = theirs.http().browse(&format!("{url}&login_hint={}", car.login)).await.context("the maker's page")?;
    ensure!(status == 200, "the linking page answered {status}");
    let cars = answered(world, async || theirs.vehicles().await).await?;
    heard.push_str(&json!(cars).to_string());
    let Some(vehicle) = cars.first().and_then(|c| VehicleId::parse(c["vehicle"].as_str()?).ok()) else {
        gain.count("to link a car that somebody has", "not_linked");
        return Ok(());
    };
    gain.count("to link a car that somebody has", "linked_and_told");
    let owner = world.owner(n)?;
    let listed = answered(world, async || owner.wallet.vehicles().await).await?;
    *told += usize::from(listed.iter().any(|c| c["later_links"].as_array().is_some_and(|l| !l.is_empty())));

    let asked = answered(world, async || theirs.begin_possession(vehicle).await).await;
    if let Ok(Possession::Door(_)) = asked {
        // Nobody of the tracker's sits in the car: no door moves.
        let proved = answered(world, async || theirs.check_possession(vehicle).await).await;
        gain.must(!matches!(proved, Ok(Checked::Proved)), || format!("car {n}: possession was proved from afar"));
    }
    let (ticket, window) = new_request(world, &theirs, n).await?;
    let point = theirs.access_point(ticket.request.claims().iss).await?;
    let mut consent = owner.consent(window, point)?;
    consent.vehicles = vec![vehicle];
    let signed = theirs.sign(&ticket, &consent)?;
    let handed_in = answered(world, async || theirs.hand_in(&signed).await).await;
    gain.refused("a grant by the second wallet", &["possession_not_proved"], &handed_in);
    let device = Device::create(&scene.host)?;
    // From now on: the world's windows may have begun long ago.
    let now = scene.host.now();
    consent.window = Window::new(now, now.plus_seconds(600))?;
    let rehearsed = answered(world, async || theirs.rehearse(&device, &consent).await).await;
    gain.refused("a rehearsal by the second wallet", &["grant_wrong_access_point"], &rehearsed);
    let delivery = world.delivery(n)?.id;
    // Nobody's delivery is unblocked by a wallet that it is not of: what counts is what the owner's block still does.
    let mut visit = Visit::begin(world, n).await?;
    answered(world, async || owner.wallet.block(delivery).await).await?;
    let lifted = answered(world, async || theirs.unblock(delivery).await).await;
    gain.count("to lift the owner's block", if lifted.is_ok() { "answered" } else { "refused" });
    let looked = visit.locate(world, &world.courier(n)?.device).await?;
    gain.refused("to look after a stranger lifted the owner's block", &["conditions_not_met"], &looked);
    let read = answered(world, async || theirs.timeline(delivery).await).await;
    gain.refused("to read the owner's timeline", &["delivery_unknown"], &read);
    Ok(())
}

/// A carrier that nobody admitted, or that admitted itself.
async fn fake_carrier(world: &World, gain: &mut Gain) -> anyhow::Result<()> {
    let (scene, gateway) = (world.scene(), world.scene().gateway_http());
    let root = SigningKey::generate(&*scene.host.entropy);
    let aud = &scene.layout.gateway_origin;
    let subject =
        Subject::Carrier { name: String::from("Trustworthy Parcels"), domain: String::from("parcels.example") };
    let cert = certify(&root, aud, root.verifying_key(), subject, 365, &scene.host)?;
    let admitted = gateway.post("/v1/carriers", &[], &json!({"cert": cert.jws()})).await;
    gain.refused("a carrier that admits itself", &["cert_wrong_key"], &admitted);
    let device = Device::create(&scene.host)?;
    let depot = certify(&root, aud, root.verifying_key(), Subject::Depot, 300, &scene.host)?;
    let seal = Subject::Device { seal: device.seal_key().clone() };
    let of_device = certify(&root, aud, device.verifying_key(), seal, 300, &scene.host)?;
    let carrier = root.verifying_key().thumb().to_string();
    let body = json!({"device_cert": of_device.jws(), "depot_cert": depot.jws(), "carrier": carrier});
    let enrolled = gateway.post("/v1/devices", &[], &body).await;
    gain.refused("a device of a carrier that nobody admitted", &["carrier_not_admitted"], &enrolled);
    Ok(())
}

/// A wallet without the car gives itself a guest's grant for it, by the id that its owner's wallet has.
async fn guest(world: &World, gain: &mut Gain, n: usize) -> anyhow::Result<()> {
    let scene = world.scene();
    let site = WalletSite::new(&scene.layout.wallet_origin, &scene.host)?;
    let stranger = Wallet::register(site, &scene.host).await.context("a stranger's wallet")?;
    let owner = world.owner(n)?;
    let device = Device::create(&scene.host)?;
    let now = scene.host.now();
    let window = Window::new(now, now.plus_seconds(600))?;
    let carrier = scene.depot.cert.claims().issuer;
    let theirs = stranger.access_point(carrier).await;
    let owners = owner.wallet.access_point(carrier).await?;
    for point in theirs.into_iter().chain([owners]) {
        let consent = owner.consent(window, point)?;
        let answer = answered(world, async || stranger.rehearse(&device, &consent).await).await;
        gain.refused("a guest's grant for another's car", &["grant_wrong_access_point"], &answer);
    }
    Ok(())
}
