//! What a wallet on a device that was not there can read again, and that nobody else reads it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use parcelshelf::people::{Courier, Owner, carrier_says, order};
use parcelshelf::stage::{Setting, Stage};
use parcelshelf_client::wallet::{Wallet, WalletSite};
use parcelshelf_core::area::Position;
use parcelshelf_simulator::volvo::{CarFile, WorldFile};
use serde_json::json;

fn place() -> Position {
    Position::new(57.725_374, 11.849_843, 10.0).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_reads_its_deliveries_its_area_and_its_seed_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut car = CarFile::of("kim@example.org");
    (car.latitude, car.longitude) = (place().latitude_deg(), place().longitude_deg());
    let world = WorldFile { cars: vec![car], ..WorldFile::demo() };
    let mut stage = Stage::start(dir.path(), &world, Setting::default()).await.unwrap();
    let scene = &stage.scene;
    let cars = scene.sim().get("/__sim/cars", &[]).await.unwrap();
    let vin = cars["cars"][0]["vin"].as_str().unwrap();
    let owner = Owner::enrol(scene, "kim@example.org", vin, place(), "KLM 482").await.unwrap();
    let site = WalletSite::new(&scene.layout.wallet_origin, &scene.host).unwrap();
    let stranger = Wallet::register(site, &scene.host).await.unwrap();

    // Who can be linked, and by which key requests are checked.
    let makers = owner.wallet.http().get("/v1/makers", &[]).await.unwrap();
    let all = makers["makers"].as_array().unwrap();
    let volvo = json!({"maker": "volvo", "makes": ["Volvo"], "kind": "car", "opens": ["tailgate_with_cabin"]});
    assert!(all.contains(&volvo), "{makers}");
    let operator: serde_json::Value = serde_json::from_str(&scene.operator.to_jwk()).unwrap();
    assert_eq!(makers["operator"], operator);

    // The cells around the car, and around nobody else's.
    let around = owner.wallet.area_around(owner.vehicle).await.unwrap();
    assert_eq!(around, owner.area().unwrap());
    let no = stranger.area_around(owner.vehicle).await.unwrap_err();
    assert_eq!(no.code(), Some("vehicle_unknown"));

    let courier = Courier::hire(scene, "Sam Rivera", "hire-0001").await.unwrap();
    let asked = order(scene.host.now(), "FJB70000001").unwrap();
    let ordered = scene.merchant().ship(&asked, "ship-0001").await.unwrap();
    assert_eq!(owner.wallet.deliveries().await.unwrap()["deliveries"], json!([]));
    let granted = owner.allow(scene, &ordered).await.unwrap();
    let dispatch = scene.dispatch();
    carrier_says(&dispatch, ordered.delivery, &["accepted"]).await.unwrap();
    dispatch.load(ordered.delivery, courier.id, "load-0001").await.unwrap();
    courier.shipping.start_leg(ordered.delivery, "leg-00001").await.unwrap();

    let list = owner.wallet.deliveries().await.unwrap();
    let one = &list["deliveries"][0];
    assert_eq!((&one["delivery"], &one["state"]), (&json!(ordered.delivery.to_string()), &json!("delegated")));
    assert_eq!((&one["merchant"], &one["items"], &one["attempt"]), (&json!("Fjord Books"), &json!(1), &json!(null)));
    let detail = owner.wallet.delivery(ordered.delivery).await.unwrap();
    assert_eq!(detail["grant"], json!(granted.jws), "the very bytes that were signed");
    assert_eq!(detail["vehicles"], json!([owner.vehicle.to_string()]));
    assert_eq!(stranger.deliveries().await.unwrap()["deliveries"], json!([]));
    assert_eq!(stranger.delivery(ordered.delivery).await.unwrap_err().code(), Some("delivery_unknown"));

    owner.wallet.block(ordered.delivery).await.unwrap();
    assert_eq!(owner.wallet.deliveries().await.unwrap()["deliveries"][0]["blocked"], json!(true));

    // The wrapped seed: the newest counts, and each wallet has its own.
    for boxed in ["AAAA", "BBBB"] {
        owner.wallet.post("/v1/wallet/seed-box", &json!({"box": boxed})).await.unwrap();
    }
    assert_eq!(owner.wallet.get("/v1/wallet/seed-box").await.unwrap(), json!({"box": "BBBB"}));
    assert_eq!(stranger.get("/v1/wallet/seed-box").await.unwrap_err().code(), Some("seed_box_unknown"));
    let bad = owner.wallet.post("/v1/wallet/seed-box", &json!({"box": "no base64url!"})).await.unwrap_err();
    assert_eq!(bad.code(), Some("body_wrong_member"));
    stage.stop().await.unwrap();
}
