//! Owners on a simulated day: they enrol, allow, block, and go to their car when its alarm sounds.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use parcelshelf_client::courier::StopPage;
use parcelshelf_core::id::AttemptId;
use serde_json::json;

use super::city::Home;
use super::day::{Day, Delivery};
use super::fate::{CarFate, DoorFate, OwnerFate};
use crate::init::{front_door_name, garage_name};
use crate::people::{self, Hands, Owner, persist};

/// A car that was driven away stands again after this.
const TRIP_S: i64 = 900;
/// An owner whose phone rang is at the car after this.
const TO_THE_CAR_S: [u64; 2] = [180, 900];
/// An attempt that has not ended after this many hours of watching never will.
const WATCHED_S: u64 = 2 * 3_600;
/// An attempt that went well is over so long after the courier has left: until then it could have been opened again.
const USUALLY_OVER_S: i64 = 190;
/// A door that is moving is stopped by the button first, and may have been on its way up.
const PRESSES: u32 = 4;
/// By then a door that was told to move has come to its end.
const TRAVEL_S: i64 = 20;
/// Between two looks.
const AGAIN: Duration = Duration::from_secs(30);

/// The plate of a car.
#[must_use]
pub fn plate(n: usize) -> String {
    format!("TX{n:05}")
}

/// Signs up with a car, before the day.
///
/// # Errors
/// When any step is refused.
pub async fn enrol(day: Arc<Day>, n: usize) -> anyhow::Result<()> {
    let errand = day.city.errands.get(n).context("no such delivery")?;
    let car = day.car(n).context("no such car")?;
    let (scene, plate) = (&day.scene, plate(n));
    let hands = Hands::near(day.garages.of(car.maker), &car.vin);
    let owner = match car.home {
        Some(Home::Garage(k)) => {
            Owner::enrol_garage_of(scene, &car.login, hands, errand.place, Some(&garage_name(k))).await
        }
        Some(Home::Front(k)) => {
            Owner::enrol_front_door(scene, &car.login, hands, errand.place, Some(&front_door_name(k))).await
        }
        None => Owner::enrol_at(scene, car.maker, &car.login, hands, errand.place, &plate).await,
    };
    day.put_owner(n, Arc::new(owner.with_context(|| format!("owner {n}"))?));
    Ok(())
}

/// A merchant ships and the owner answers.
///
/// # Errors
/// When any step is refused.
pub async fn order(day: Arc<Day>, n: usize) -> anyhow::Result<()> {
    let (errand, owner) = (day.city.errands.get(n).context("no such delivery")?, day.owner(n).context("no owner")?);
    let scene = &day.scene;
    let label = format!("FJB{:08}", 10_000_000 + n);
    let mut order = people::order(scene.host.now(), &label)?;
    order.window = errand.window;
    order.fallbacks = ["address", "parcel_shop", "return"].map(String::from).into();
    let merchant = scene.merchant();
    let ordered =
        persist(&scene.host, "to ship", async || merchant.ship(&order, &format!("sim-{n}-ship")).await).await?;
    let mut delivery = Delivery {
        id: ordered.delivery,
        parcel: ordered.parcels.first().cloned().context("a shipment without parcels")?,
        label,
        consent_url: ordered.consent_url.clone(),
        place: errand.place,
        photo_key: None,
    };
    if day.fate(n).owner != OwnerFate::Silent {
        let granted = owner.allow(scene, &ordered).await?;
        // At a house the courier has it with the opening, and not before.
        delivery.photo_key = if day.is_home(n) { None } else { Some(owner.wallet.seal_key_of(granted.id)?) };
        day.book.page(n, |p| p.granted = Some(granted));
    }
    day.put_delivery(n, delivery);
    Ok(())
}

/// What befalls the car or the doorway shortly before the courier sets out.
pub async fn fate_strikes(day: &Arc<Day>, n: usize) {
    door_strikes(day, n).await;
    let Some(errand) = day.city.errands.get(n) else { return };
    let park = |bearing: f64, away_m: f64| {
        let there = errand.place.moved(bearing, away_m);
        json!({"action": "park", "latitude": there.latitude_deg(), "longitude": there.longitude_deg()})
    };
    match day.fate(n).car {
        CarFate::Stays => return,
        CarFate::Asleep => drop(day.hand(n, &json!({"action": "sleep"})).await),
        CarFate::MovedNearby => {
            day.hand(n, &json!({"action": "drive_away"})).await;
            day.hand(n, &park(120.0, 250.0)).await;
        }
        CarFate::Left => {
            day.hand(n, &json!({"action": "drive_away"})).await;
            day.hand(n, &park(200.0, 25_000.0)).await;
        }
        CarFate::Driving => {
            day.hand(n, &json!({"action": "drive_away"})).await;
            let (day, park) = (Arc::clone(day), park(60.0, 400.0));
            tokio::task::spawn_local(async move {
                day.sleep_s(TRIP_S).await;
                day.hand(n, &park).await;
            });
        }
    }
    day.note(n, || format!("the car: {:?}", day.fate(n).car));
}

/// Something stands in the doorway before the courier comes, for a while.
async fn door_strikes(day: &Arc<Day>, n: usize) {
    if day.fate(n).door != DoorFate::Blocked {
        return;
    }
    day.hand(n, &json!({"action": "block_doorway"})).await;
    let day = Arc::clone(day);
    tokio::task::spawn_local(async move {
        day.sleep_s(TRIP_S).await;
        day.hand(n, &json!({"action": "clear_doorway"})).await;
    });
}

/// Some owners stop the delivery while the courier is on the way.
pub async fn blocks_on_the_way(day: &Arc<Day>, n: usize) {
    if day.fate(n).owner != OwnerFate::Blocks {
        return;
    }
    let (Some(owner), Some(delivery)) = (day.owner(n), day.delivery(n)) else { return };
    let (day, id) = (Arc::clone(day), delivery.id);
    tokio::task::spawn_local(async move {
        day.sleep_s(i64::try_from(day.dice.between("block", n as u64, 0, 180)).unwrap_or(0)).await;
        let blocked = persist(&day.scene.host, "the block", async || owner.wallet.block(id).await).await;
        day.note(n, || format!("the owner blocks: {blocked:?}"));
    });
}

/// What kept the door shut while a courier asked, as the owner is told.
///
/// # Errors
/// When the wallet is not answered.
pub async fn told_why(day: &Arc<Day>, n: usize) -> anyhow::Result<Vec<String>> {
    let (Some(owner), Some(granted)) = (day.owner(n), day.book.granted(n)) else { return Ok(Vec::new()) };
    let host = &day.scene.host;
    let told = persist(host, "the timeline", async || owner.wallet.timeline(granted.delivery).await).await?;
    let all = told["refused"].as_array().into_iter().flatten().filter_map(|why| why["code"].as_str());
    Ok(all.map(str::to_owned).collect())
}

/// Follows an attempt after the courier has gone. When the alarm sounds the owner goes there, does with the key what the
/// cloud could not, and says so.
pub fn care_afterwards(day: &Arc<Day>, n: usize, page: StopPage, attempt: AttemptId) {
    day.later();
    let day = Arc::clone(day);
    tokio::task::spawn_local(async move {
        care(&day, n, &page, attempt).await;
        day.done_later();
    });
}

async fn care(day: &Arc<Day>, n: usize, page: &StopPage, attempt: AttemptId) {
    let host = &day.scene.host;
    let (began, mut mended) = (host.clock.uptime(), 0);
    day.sleep_s(USUALLY_OVER_S).await;
    while host.clock.uptime() - began < Duration::from_secs(WATCHED_S) {
        // What happens meanwhile rings at the owner's; nobody stands there with an open page.
        let Ok(seen) = page.attempt(attempt, 0).await else {
            host.clock.sleep(AGAIN).await;
            continue;
        };
        // An alarm that a proof has followed needs nobody any more.
        if seen["ended"] == json!(true) {
            day.book.page(n, |p| p.attempt_over = true);
            day.note(n, || format!("the attempt has ended: {} {}", seen["state"], seen["lock_proof"]));
            return;
        }
        if seen["alarm"].is_string() {
            day.book.page(n, |p| p.alarms += 1);
            day.note(n, || format!("the alarm sounds: {}", seen["alarm"]));
            mend(day, n, mended).await;
            mended += 1;
        } else {
            host.clock.sleep(AGAIN).await;
        }
    }
    day.note(n, || String::from("nobody watches any longer"));
}

/// The owner clears the doorway, mends what is broken, and presses the button on the wall until the door is shut. It is
/// pressed only at a door that is seen open: it would open a shut one.
async fn shut_by_hand(day: &Arc<Day>, n: usize) {
    for action in ["clear_doorway", "mend_drive", "regain_network", "thaw_state"] {
        day.hand(n, &json!({"action": action})).await;
    }
    for _ in 0..PRESSES {
        if !day.stands_open(n) {
            return;
        }
        day.hand(n, &json!({"action": "press_button"})).await;
        day.sleep_s(TRAVEL_S).await;
    }
}

/// The owner mends what is broken at a front door, pulls it shut, and turns the key where the bolt has not come by itself.
async fn locked_by_hand(day: &Arc<Day>, n: usize) {
    for action in ["mend_bolt", "regain_lock", "regain_network", "mend_camera", "shut_door"] {
        day.hand(n, &json!({"action": action})).await;
    }
    if day.stands_open(n) {
        day.hand(n, &json!({"action": "turn_key"})).await;
    }
}

async fn mend(day: &Arc<Day>, n: usize, before: u32) {
    let way = day.dice.between("to the car", (n as u64) << 4 | u64::from(before), TO_THE_CAR_S[0], TO_THE_CAR_S[1]);
    day.sleep_s(i64::try_from(way).unwrap_or(0)).await;
    if day.is_front_door(n) {
        locked_by_hand(day, n).await;
    } else if day.is_home(n) {
        shut_by_hand(day, n).await;
    } else {
        for action in ["free_lock", "close_tailgate", "lock_with_key"] {
            day.hand(n, &json!({"action": action})).await;
        }
    }
    let (Some(owner), Some(delivery)) = (day.owner(n), day.delivery(n)) else { return };
    let host = &day.scene.host;
    let told = persist(host, "the acknowledgement", async || owner.wallet.acknowledge(delivery.id).await).await;
    day.note(n, || format!("the owner locks with the key and says so: {:?}", told.map(drop)));
}
