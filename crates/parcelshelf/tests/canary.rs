//! Canaries: the car's VIN, its plate, where it stands, where the courier stands, and the maker's tokens are planted, a
//! delivery is played, and every byte that the carrier and the front stored, logged at the most talkative level, or had on
//! their sockets is searched for them in every spelling.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "what was searched is printed")]

#[path = "support/play.rs"]
mod play;

use std::path::{Path, PathBuf};

use parcelshelf::people::{AtStop, Courier, Hands, Owner, carrier_says, order, until};
use parcelshelf::stage::{Setting, Stage, Worlds, stored_by_carrier_and_front};
use parcelshelf_access_homeassistant::GARAGES;
use parcelshelf_client::photo::{check, specimen};
use parcelshelf_core::area::Position;
use parcelshelf_simulator::canary::{Canary, Needles};
use parcelshelf_simulator::homeassistant::{DoorFile, WorldFile as Household};
use parcelshelf_simulator::volvo::{CarFile, WorldFile};
use play::play;
use serde_json::json;

const LOGIN: &str = "kim@example.org";
const PLATE: &str = "XKZ 48Q";

fn files(at: &Path, into: &mut Vec<PathBuf>) {
    if at.is_dir() {
        for entry in std::fs::read_dir(at).unwrap() {
            files(&entry.unwrap().path(), into);
        }
    } else {
        into.push(at.to_owned());
    }
}

/// Every value of a member in recorded JSON.
fn values_of(member: &str, recorded: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(recorded).into_owned();
    let mark = format!("\"{member}\":\"");
    text.split(&mark).skip(1).filter_map(|rest| rest.split('"').next().map(str::to_owned)).collect()
}

#[tokio::test]
async fn carrier_and_front_never_hold_vin_plate_place_or_token() {
    let dir = tempfile::tempdir().unwrap();
    let place = Position::new(57.725_374_8, 11.849_843_6, 10.0).unwrap();
    let mut car = CarFile::of(LOGIN);
    (car.latitude, car.longitude) = (place.latitude_deg(), place.longitude_deg());
    let world = WorldFile { cars: vec![car], ..WorldFile::demo() };
    let setting = Setting { tapped: true, log_level: Some("trace"), ..Setting::default() };
    let mut stage = Stage::start(dir.path(), &world, setting).await.unwrap();
    let scene = std::sync::Arc::clone(&stage.scene);
    let cars = scene.sim().get("/__sim/cars", &[]).await.unwrap();
    let vin = cars["cars"][0]["vin"].as_str().unwrap().to_owned();
    let owner = Owner::enrol(&scene, LOGIN, &vin, place, PLATE).await.unwrap();
    let courier = Courier::hire(&scene, "Sam Rivera", "hire-0001").await.unwrap();
    let played = play(&scene, &owner, &courier).await.unwrap();
    assert!(played.placed && played.end == "delivered");
    owner.wallet.timeline(played.granted.delivery).await.unwrap();
    until(&scene.host, "the case bundle", async || match owner.wallet.bundle(played.granted.delivery).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(failure) if failure.code() == Some("bundle_not_ready") => Ok(None),
        Err(other) => Err(other),
    })
    .await
    .unwrap();
    stage.stop().await.unwrap();

    let recorded = stage.recorded();
    let (_, maker) = recorded.last().unwrap();
    let tokens: Vec<String> =
        ["access_token", "refresh_token"].iter().flat_map(|member| values_of(member, maker)).collect();
    assert!(tokens.len() >= 2 && tokens.iter().all(|t| t.len() > 20), "the maker's tokens were not recorded");
    let phone = place.moved(45.0, 20.0);
    let mut canaries = vec![
        Canary::Text { what: "VIN".into(), value: vin },
        Canary::Text { what: "plate".into(), value: PLATE.into() },
        Canary::Place { what: "car".into(), latitude: place.latitude_deg(), longitude: place.longitude_deg() },
        Canary::Place { what: "phone".into(), latitude: phone.latitude_deg(), longitude: phone.longitude_deg() },
    ];
    canaries.extend(tokens.into_iter().map(|value| Canary::Text { what: "token".into(), value }));
    let needles = Needles::new(&canaries);
    // The search finds: every needle in the control file, and the planted values where they belong.
    assert_eq!(needles.search("control", &needles.control()).len(), needles.names().len());
    let there = needles.search("maker", maker);
    for what in ["VIN", "car", "token"] {
        assert!(there.iter().any(|s| s.needle.starts_with(what)), "{what} is not on the maker's socket");
    }

    let mut haystacks: Vec<(String, Vec<u8>)> = Vec::new();
    for top in stored_by_carrier_and_front(&scene.layout) {
        let mut found = Vec::new();
        files(&top, &mut found);
        assert!(!found.is_empty(), "{} is missing", top.display());
        haystacks.extend(found.into_iter().map(|f| (f.display().to_string(), std::fs::read(f).unwrap())));
    }
    let taps = recorded.iter().filter(|(name, _)| *name != "socket to the maker");
    haystacks.extend(taps.map(|(name, bytes)| ((*name).to_owned(), bytes.clone())));
    let mut sightings = Vec::new();
    let mut searched = 0;
    for (name, bytes) in &haystacks {
        searched += bytes.len();
        sightings.extend(needles.search(name, bytes));
    }
    println!("{searched} bytes in {} haystacks searched for {} needles", haystacks.len(), needles.names().len());
    for socket in ["socket into the carrier", "socket into the front", "socket from the front to the keyholder"] {
        let (_, bytes) = haystacks.iter().find(|(name, _)| name == socket).unwrap();
        assert!(bytes.len() > 10_000, "{socket}: nothing was recorded");
    }
    assert!(sightings.is_empty(), "{sightings:#?}");
}

/// What the picture shows, as far as a search can tell.
const SHOWN: &str = "A BOX BEHIND THE BICYCLES";

/// A picture with words in it that can be searched for.
fn picture() -> Vec<u8> {
    let mut photo = specimen();
    let at = photo.len() - 2;
    photo.splice(at..at, SHOWN.bytes());
    check(&photo).unwrap();
    photo
}

#[tokio::test]
async fn a_photo_at_a_house_is_read_by_its_owner_and_the_carrier_holds_neither_key_nor_picture() {
    let dir = tempfile::tempdir().unwrap();
    let mut home = Household::demo();
    home.doors = vec![DoorFile { travel_ms: 1_000, warning_ms: 0, ..home.doors.remove(0) }];
    let (place, number) = (Position::new(home.latitude, home.longitude, 10.0).unwrap(), home.doors[0].number.clone());
    let setting = Setting { tapped: true, log_level: Some("trace"), ..Setting::default() };
    let mut stage = Stage::start_with(dir.path(), &Worlds::of_house(home), setting).await.unwrap();
    let scene = std::sync::Arc::clone(&stage.scene);
    let hands = Hands::at(&scene, GARAGES, &number).unwrap();
    let owner = Owner::enrol_garage(&scene, "keyholder", hands, place).await.unwrap();
    let courier = Courier::hire(&scene, "Sam Rivera", "hire-0001").await.unwrap();
    let label = "FJB70000000";
    let ordered = scene.merchant().ship(&order(scene.host.now(), label).unwrap(), "ship-0001").await.unwrap();
    let granted = owner.allow(&scene, &ordered).await.unwrap();
    let dispatch = scene.dispatch();
    carrier_says(&dispatch, ordered.delivery, &["accepted"]).await.unwrap();
    dispatch.load(ordered.delivery, courier.id, "load-0001").await.unwrap();
    let url = courier.shipping.start_leg(ordered.delivery, "leg-00001").await.unwrap();
    let at = AtStop::open(&scene, &courier, &owner, &url, place.moved(45.0, 15.0)).await.unwrap();
    courier.shipping.step(ordered.delivery, "arrived", "arrived-01", &json!({})).await.unwrap();
    let (attempt, key) = at.ask_to_open_with_key(&[at.scan(label).unwrap()]).await.unwrap();
    let key = key.expect("the key comes with the opening");
    assert_eq!(key.hash(), owner.wallet.seal_key_of(granted.id).unwrap().hash(), "and is this grant's");
    at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    let photo = at.photograph(attempt, &key, &picture()).await.unwrap();
    at.shut(false, Some(photo)).await.unwrap();
    at.follow(attempt, |s| s["lock_proof"] == "observed").await.unwrap();
    let parcel = ordered.parcels.first().unwrap();
    let done = json!({"outcome": "done"});
    courier.shipping.step(ordered.delivery, &format!("parcels/{parcel}/outcome"), "outcome-01", &done).await.unwrap();
    courier.shipping.step(ordered.delivery, "finish", "finish-001", &json!({})).await.unwrap();
    carrier_says(&dispatch, ordered.delivery, &["ended"]).await.unwrap();
    assert_eq!(owner.wallet.photos(&granted, &courier.device).await.unwrap(), [picture()]);
    stage.stop().await.unwrap();

    let text = |what: &str, value: &str| Canary::Text { what: what.to_owned(), value: value.to_owned() };
    // No other key begins like it.
    let needles = Needles::new(&[text("key", &key.to_string()[..200]), text("picture", SHOWN)]);
    assert_eq!(needles.search("control", &needles.control()).len(), needles.names().len());
    let recorded = stage.recorded();
    let of = |socket: &str| recorded.iter().find(|(name, _)| *name == socket).map(|(_, bytes)| bytes.clone()).unwrap();
    // The wallet hands the key in with its grant: the search finds it where it belongs.
    let front = of("socket into the front");
    assert!(
        needles.search("front", &front).iter().any(|s| s.needle.starts_with("key")),
        "the grant's key was not seen"
    );
    let mut haystacks = vec![("socket into the carrier".to_owned(), of("socket into the carrier"))];
    for top in stored_by_carrier_and_front(&scene.layout).iter().filter(|p| p.to_string_lossy().contains("carrier")) {
        let mut found = Vec::new();
        files(top, &mut found);
        assert!(!found.is_empty(), "{} is missing", top.display());
        haystacks.extend(found.into_iter().map(|f| (f.display().to_string(), std::fs::read(f).unwrap())));
    }
    assert!(haystacks.iter().all(|(name, bytes)| !name.starts_with("socket") || bytes.len() > 10_000));
    let sightings: Vec<_> = haystacks.iter().flat_map(|(name, bytes)| needles.search(name, bytes)).collect();
    assert!(sightings.is_empty(), "{sightings:#?}");
    // Nor has the front read the picture that it keeps.
    let seen: Vec<_> =
        needles.search("front", &front).into_iter().filter(|s| s.needle.starts_with("picture")).collect();
    assert!(seen.is_empty(), "{seen:#?}");
}
