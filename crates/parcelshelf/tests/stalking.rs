//! What must not be possible with somebody else's car, played with real processes and a clock that jumps.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/links.rs"]
mod links;

use std::sync::Arc;
use std::time::Duration;

use links::{LABEL, LOGIN, Linked, MAKER, Theatre, code, place};
use parcelshelf::init::signing_key;
use parcelshelf::people::{AtStop, Courier, Owner};
use parcelshelf_client::courier::Device;
use parcelshelf_client::occupant::Occupant;
use parcelshelf_client::people;
use parcelshelf_client::wallet::{Checked, Wallet};
use parcelshelf_core::time::Timestamp;
use parcelshelf_protocol::encoding::sha256;
use parcelshelf_protocol::jws::{Sign as _, SigningKey};
use parcelshelf_protocol::order::Ordered;
use serde_json::{Value, json};

async fn later_links(wallet: &Wallet) -> Vec<Value> {
    wallet.vehicles().await.unwrap()[0]["later_links"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_second_wallet_waits_for_the_first_ones_word_or_72_hours_and_the_first_may_refuse_it_even_later() {
    let t = Theatre::begin().await;
    let owner = t.owner().await;
    assert_eq!(later_links(&owner.wallet).await, Vec::<Value>::new());
    t.wait(Duration::from_secs(60)).await;

    let second = t.link().await;
    // Whoever has the account but not the car sees nothing of it.
    let seen = second.wallet.vehicles().await.unwrap()[0].clone();
    assert_eq!((&seen["later_links"], &seen["usable"], &seen["possession"]), (&json!([]), &json!(null), &json!(false)));
    assert_eq!(code(t.rehearse(&second.wallet, second.vehicle, place()).await), "possession_not_proved");
    // Whoever has linked it before is told, with what to do.
    let told = later_links(&owner.wallet).await;
    assert_eq!((told.len(), &told[0]["state"]), (1, &json!("waiting")), "{told:?}");
    assert!(told[0]["text"].as_str().unwrap().contains("refuse it"));
    let name = told[0]["link"].as_str().unwrap().to_owned();
    assert_ne!(name, second.vehicle.to_string(), "another wallet's name for its car is its own");

    // With the car in hand it waits.
    let Checked::Waits { until } = t.prove(&second).await else { panic!("it does not wait") };
    assert!((71 * 3_600..=72 * 3_600).contains(&(until.millis_since(t.scene.host.now()) / 1_000)));
    assert_eq!(code(t.rehearse(&second.wallet, second.vehicle, place()).await), "link_not_confirmed");
    // Asking often does not help, nor does its own word, nor one about a wallet that came before.
    assert!(matches!(second.wallet.check_possession(second.vehicle).await.unwrap(), Checked::Waits { .. }));
    assert_eq!(code(second.wallet.confirm_link(second.vehicle, &name).await), "link_unknown");
    assert_eq!(later_links(&second.wallet).await, Vec::<Value>::new());

    owner.wallet.confirm_link(owner.vehicle, &name).await.unwrap();
    assert_eq!(second.wallet.check_possession(second.vehicle).await.unwrap(), Checked::Proved);
    t.rehearse(&second.wallet, second.vehicle, place()).await.unwrap();
    // And no longer, once the first one says so: neither anew nor for what is under way.
    let courier = Courier::hire(&t.scene, "Sam Rivera", "hire-0001").await.unwrap();
    let second = t.settled(second);
    let (delivery, url) = t.under_way(&second, &courier, 1).await;
    let at = t.at(&second, &courier, &url).await;
    at.locate().await.unwrap();
    owner.wallet.refuse_link(owner.vehicle, &name).await.unwrap();
    assert_eq!(code(at.page.locate(&courier.device, &at.stop, at.phone).await), "conditions_not_met");
    let label = at.scan(LABEL).unwrap();
    assert_eq!(code(at.page.ask_to_open(&courier.device, &at.stop, at.phone, &[label]).await), "conditions_not_met");
    assert_eq!(second.wallet.timeline(delivery).await.unwrap()["refused"][0]["code"], "link_not_confirmed");
    assert_eq!(code(t.rehearse(&second.wallet, second.vehicle, place()).await), "link_not_confirmed");
    assert_eq!(later_links(&owner.wallet).await[0]["state"], "refused");
    t.rehearse(&owner.wallet, owner.vehicle, place()).await.unwrap();

    // A third one of whom nobody says anything; who was refused is not heard about it.
    let third = t.link().await;
    assert_eq!(later_links(&second.wallet).await, Vec::<Value>::new());
    assert_eq!(later_links(&owner.wallet).await.len(), 2);
    let Checked::Waits { until } = t.prove(&third).await else { panic!("it does not wait") };
    t.leap(until.plus_seconds(-60)).await;
    assert_eq!(code(t.rehearse(&third.wallet, third.vehicle, place()).await), "link_not_confirmed");
    t.leap(until).await;
    t.rehearse(&third.wallet, third.vehicle, place()).await.unwrap();
    // 72 hours do not outlast a refusal.
    assert_eq!(code(t.rehearse(&second.wallet, second.vehicle, place()).await), "link_not_confirmed");
    let _ = (&t.stage, &t.conductor);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_car_is_found_for_two_deliveries_a_day_and_granted_in_three_areas_whoever_asks() {
    let t = Theatre::begin().await;
    let owner = t.owner().await;
    let courier = Courier::hire(&t.scene, "Sam Rivera", "hire-0001").await.unwrap();
    for n in 1..=3 {
        let (delivery, url) = t.under_way(&owner, &courier, n).await;
        let at = t.at(&owner, &courier, &url).await;
        let located = at.page.locate(&courier.device, &at.stop, at.phone).await;
        if n < 3 {
            located.unwrap();
            at.page.locate(&courier.device, &at.stop, at.phone).await.unwrap();
            continue;
        }
        let refused = located.unwrap_err();
        assert_eq!(refused.code(), Some("conditions_not_met"));
        assert!(!format!("{refused:?}").contains("too_many"), "why is the owner's: {refused:?}");
        let told = owner.wallet.timeline(delivery).await.unwrap()["refused"].clone();
        assert_eq!(told[0]["code"], "too_many_deliveries", "{told}");
        assert!(told[0]["text"].as_str().unwrap().contains("No third"));
    }
    // The deliveries' area and two more; a fourth would be a search.
    for (n, away) in [10_000.0, 20_000.0, 30_000.0].into_iter().enumerate() {
        let granted = t.rehearse(&owner.wallet, owner.vehicle, place().moved(90.0, away)).await;
        match n {
            0 | 1 => drop(granted.unwrap()),
            _ => assert_eq!(code(granted), "too_many_areas"),
        }
    }
    t.rehearse(&owner.wallet, owner.vehicle, place().moved(90.0, 10_000.0)).await.unwrap();
    // The next day everything is as new.
    t.leap(t.scene.host.now().plus_seconds(24 * 3_600)).await;
    let (_, url) = t.under_way(&owner, &courier, 4).await;
    t.at(&owner, &courier, &url).await.locate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_carrier_that_finds_cars_and_comes_to_none_is_stopped_until_two_people_release_it_but_it_still_locks() {
    let mut t = Theatre::with_cars(14).await;
    let owners = t.owners().await;
    let honest = Courier::hire(&t.scene, "Sam Rivera", "hire-0001").await.unwrap();
    let hostile = Courier::hire(&t.scene, "Nobody", "hire-0002").await.unwrap();
    let gateway = t.scene.gateway_http();
    let carrier = t.scene.depot.cert.claims().issuer;

    // Somebody works: their trunk stands open.
    let (_, url) = t.under_way(&owners[0], &honest, 0).await;
    let at = t.at(&owners[0], &honest, &url).await;
    at.locate().await.unwrap();
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    owners[0].hands.act(&json!({"action": "open_tailgate"})).await.unwrap();
    at.follow(attempt, |s| s["state"] == "open").await.unwrap();

    // Somebody collects places. With the twelfth the eleventh is let go of, and that is one too many.
    let mut found = 0;
    let mut before = None;
    for (n, owner) in (1..).zip(&owners[1..]) {
        let (delivery, url) = t.under_way(owner, &hostile, n).await;
        let here = t.at(owner, &hostile, &url).await;
        if let Err(refused) = here.page.locate(&hostile.device, &here.stop, here.phone).await {
            assert_eq!(refused.code(), Some("conditions_not_met"));
            let told = owner.wallet.timeline(delivery).await.unwrap()["refused"].clone();
            assert_eq!(told[0]["code"], "carrier_stopped", "{told}");
            break;
        }
        found += 1;
        if found == 6 {
            // What was counted so far is not forgotten by dying.
            t.restart_keyholder().await;
        }
        // A place that was let go of is worth nothing any more.
        if let Some((owner, url)) = before.replace((owner, url)) {
            let left = t.at(owner, &hostile, &url).await;
            let described = left.page.describe(&hostile.device, &left.stop, left.phone).await;
            assert_eq!(code(described), "conditions_not_met");
        }
    }
    assert_eq!(found, 12);

    // Death does not end it, nor does one person, nor the same one twice, nor the carrier itself.
    t.restart_keyholder().await;
    let scene = Arc::clone(&t.scene);
    let next = t.under_way(&owners[13], &honest, 14).await;
    let there = t.at(&owners[13], &honest, &next.1).await;
    let locate = async || there.page.locate(&honest.device, &there.stop, there.phone).await;
    assert_eq!(code(locate().await), "conditions_not_met");
    // What stands open is shut and locked all the same.
    owners[0].hands.act(&json!({"action": "close_tailgate"})).await.unwrap();
    at.page.lock(&honest.device, &at.stop, at.phone).await.unwrap();
    at.close(None).await.unwrap();
    let end = at.follow(attempt, |s| s["ended"] == json!(true)).await.unwrap();
    assert_eq!(end["lock_proof"], "observed");

    let stop = people::stop_of(&gateway, carrier).await.unwrap().unwrap();
    let aud = &scene.layout.gateway_origin;
    let key = |path: &str| signing_key(&scene.layout.dir.join(path)).unwrap();
    let release = async |key: &SigningKey, stop| {
        people::order(&gateway, aud, key, carrier, Ordered::Release { stop }, &scene.host).await
    };
    let (operator, second) = (key("operator/operator.key"), key("second-person/person.key"));
    assert_eq!(code(release(&key("carrier-root/root.key"), stop).await), "order_wrong_issuer");
    assert_eq!(code(release(&key("depot/depot.key"), stop).await), "order_wrong_issuer");
    assert_eq!(code(release(&second, sha256("another stop")).await), "stop_unknown");
    release(&operator, stop).await.unwrap();
    release(&operator, stop).await.unwrap();
    assert_eq!(code(locate().await), "conditions_not_met");
    release(&second, stop).await.unwrap();
    assert_eq!(people::stop_of(&gateway, carrier).await.unwrap(), None);
    locate().await.unwrap();
}

/// Opens doors as an occupant's session asks for them, until possession is proved.
async fn prove_as_occupant(t: &Theatre, occupant: &Occupant) -> Value {
    t.hands.act(&json!({"action": "unlock_with_key"})).await.unwrap();
    let mut door = occupant.first_door().to_owned();
    for _ in 0..6 {
        t.hands.open_and_shut(&door).await.unwrap();
        for _ in 0..20 {
            t.wait(Duration::from_secs(3)).await;
            let seen = occupant.check().await.unwrap();
            assert!(seen["failed"].is_null(), "{seen}");
            if seen["proved"] == json!(true) {
                t.hands.act(&json!({"action": "lock_with_key"})).await.unwrap();
                return seen;
            }
            if seen["next"] != door.as_str() {
                door = seen["next"].as_str().unwrap().to_owned();
                break;
            }
        }
    }
    panic!("possession was not proved")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whoever_sits_in_a_car_sees_that_there_are_grants_and_stops_them_and_to_others_the_car_does_not_answer() {
    let t = Theatre::begin().await;
    let owner = t.owner().await;
    let courier = Courier::hire(&t.scene, "Sam Rivera", "hire-0001").await.unwrap();
    let (delivery, url) = t.under_way(&owner, &courier, 1).await;
    let at = t.at(&owner, &courier, &url).await;
    at.locate().await.unwrap();
    let begin = async |vin: &str| {
        Occupant::begin(&t.scene.layout.gateway_origin, owner.wallet.pinned(), vin, &t.scene.host).await
    };

    // For a car that nobody linked everything looks the same, and nothing is told.
    let nowhere = begin("YV1XZK9V7R2999999").await.unwrap();
    for _ in 0..3 {
        let seen = nowhere.check().await.unwrap();
        assert_eq!((&seen["proved"], &seen["next"]), (&json!(false), &json!(nowhere.first_door())));
        t.wait(Duration::from_secs(3)).await;
    }
    assert_eq!(code(nowhere.stop().await), "possession_not_proved");
    assert_eq!(code(begin("not a car").await), "content_wrong_member");

    let occupant = begin(&t.hands.vin).await.unwrap();
    let seen = occupant.check().await.unwrap();
    assert_eq!(seen, json!({"proved": false, "next": occupant.first_door()}));
    assert_eq!(code(occupant.stop().await), "possession_not_proved");
    let seen = prove_as_occupant(&t, &occupant).await;
    assert_eq!(seen["grants"].as_array().unwrap().len(), 1, "{seen}");
    assert_eq!(seen["grants"][0]["carrier"], "Northwind Parcels");
    for hidden in [owner.wallet.id().to_string(), owner.vehicle.to_string(), delivery.to_string(), String::from("KLM")]
    {
        assert!(!seen.to_string().contains(&hidden), "{hidden} in {seen}");
    }
    assert!(seen["stopped_until"].is_null());
    assert_eq!(seen["rules"], json!([]));
    // What is allowed for the days to come is seen, too.
    t.allow_in_advance(&owner).await;
    let seen = occupant.check().await.unwrap();
    let life = t.scene.host.now().plus_seconds(29 * 86_400);
    assert_eq!(seen["rules"].as_array().unwrap().len(), 1, "{seen}");
    assert_eq!(seen["rules"][0]["carrier"], "Northwind Parcels");
    assert!(Timestamp::parse_rfc3339(seen["rules"][0]["until"].as_str().unwrap()).unwrap() > life);
    let (_, url) = t.under_way(&owner, &courier, 2).await;
    let unopened = t.at(&owner, &courier, &url).await;
    unopened.locate().await.unwrap();
    // A courier has just asked to open: the trunk waits for a hand when it is stopped, and is locked at once.
    at.locate().await.unwrap();
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    let stopped = occupant.stop().await.unwrap();
    let end = at.follow(attempt, |s| s["lock_proof"] == "observed").await.unwrap();
    assert!(end["alarm"].is_null(), "{end}");
    assert!(stopped["stopped_until"].is_string() && stopped["entry"].is_string(), "{stopped}");

    // The courier and the owner are told what they are told of a car that does not answer, and no more.
    let refused = at.page.locate(&courier.device, &at.stop, at.phone).await.unwrap_err();
    assert_eq!(refused.code(), Some("conditions_not_met"));
    let AtStop { page, stop, phone, .. } = &unopened;
    let label = unopened.scan(LABEL).unwrap();
    assert_eq!(code(page.ask_to_open(&courier.device, stop, *phone, &[label]).await), "conditions_not_met");
    assert_eq!(code(page.describe(&courier.device, stop, *phone).await), "conditions_not_met");
    let told = owner.wallet.timeline(delivery).await.unwrap();
    assert_eq!(told["refused"][0]["code"], "not_parked", "{told}");
    assert!(told["refused"][0]["text"].as_str().unwrap().contains("could not be reached"));
    let all = format!("{told} {:?}", owner.wallet.vehicles().await.unwrap());
    for word in ["occupant", "stopped", "frozen"] {
        assert!(!all.contains(word), "{word} in {all}");
    }
    // A grant is accepted as ever, and finds nothing.
    t.rehearse(&owner.wallet, owner.vehicle, place()).await.unwrap();

    // Whoever has the key for a minute does not undo it; after 72 hours a new proof does.
    assert_eq!(code(occupant.lift().await), "lift_too_soon");
    t.leap(t.scene.host.now().plus_seconds(73 * 3_600)).await;
    assert_eq!(code(occupant.lift().await), "occupant_unknown", "an old session is over");
    let (_, url) = t.under_way(&owner, &courier, 3).await;
    let later = t.at(&owner, &courier, &url).await;
    assert_eq!(code(later.page.locate(&courier.device, &later.stop, later.phone).await), "conditions_not_met");
    let again = begin(&t.hands.vin).await.unwrap();
    assert!(prove_as_occupant(&t, &again).await["liftable_from"].is_string());
    again.lift().await.unwrap();
    later.locate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_proof_of_possession_of_90_days_ago_finds_nothing_any_more_and_the_owner_hears_of_it_before() {
    let t = Theatre::begin().await;
    let Owner { wallet, vehicle, .. } = t.owner().await;
    let mut own = Linked { wallet, vehicle };
    let day = |n: i64| t.scene.host.now().plus_seconds(n * 86_400);
    let (soon, over) = (day(77), day(90));
    let told = async |own: &Linked| {
        let car = own.wallet.vehicles().await.unwrap()[0].clone();
        (car["possession"] == json!(true), car["possession_due"] == json!(true))
    };
    assert_eq!(told(&own).await, (true, false));

    t.leap(soon).await;
    own.wallet.log_in().await.unwrap();
    assert_eq!(told(&own).await, (true, true));
    // Asking after the old proof is no new one.
    assert_eq!(own.wallet.check_possession(own.vehicle).await.unwrap(), Checked::Proved);
    t.rehearse(&own.wallet, own.vehicle, place()).await.unwrap();

    t.leap(over).await;
    own.wallet.log_in().await.unwrap();
    assert_eq!(told(&own).await, (false, true));
    assert_eq!(code(t.rehearse(&own.wallet, own.vehicle, place()).await), "possession_too_old");
    // The maker's permission has ended meanwhile, too: linked again and proved again, it goes on.
    let url = own.wallet.link(MAKER).await.unwrap();
    assert_eq!(own.wallet.http().browse(&format!("{url}&login_hint={LOGIN}")).await.unwrap(), 200);
    assert_eq!(t.prove(&own).await, Checked::Proved);
    assert_eq!(told(&own).await, (true, false));
    t.rehearse(&own.wallet, own.vehicle, place()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_hangs_on_a_revoked_key_is_refused_at_once_but_an_open_trunk_is_still_locked() {
    let t = Theatre::with_cars(2).await;
    let owners = t.owners().await;
    let courier = Courier::hire(&t.scene, "Sam Rivera", "hire-0001").await.unwrap();
    let (gateway, scene) = (t.scene.gateway_http(), Arc::clone(&t.scene));
    let carrier = scene.depot.cert.claims().issuer;
    let known = people::look_at_carrier(&gateway, carrier).await.unwrap();
    assert_eq!((&known["name"], &known["removed"]), (&json!("Northwind Parcels"), &json!(null)));

    let (_, url) = t.under_way(&owners[0], &courier, 0).await;
    let at = t.at(&owners[0], &courier, &url).await;
    at.locate().await.unwrap();
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    owners[0].hands.act(&json!({"action": "open_tailgate"})).await.unwrap();
    at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    let (_, url) = t.under_way(&owners[1], &courier, 1).await;
    let other = t.at(&owners[1], &courier, &url).await;

    let key = |path: &str| signing_key(&scene.layout.dir.join(path)).unwrap();
    let revoke = async |by: &SigningKey, key| {
        let aud = &scene.layout.gateway_origin;
        people::order(&gateway, aud, by, carrier, Ordered::Revoke { key }, &scene.host).await
    };
    let depot = key("depot/depot.key");
    assert_eq!(code(revoke(&depot, None).await), "order_wrong_issuer", "a depot revokes nothing");
    let thumb = depot.verifying_key().thumb();
    revoke(&key("carrier-root/root.key"), Some(thumb)).await.unwrap();
    revoke(&key("operator/operator.key"), Some(thumb)).await.unwrap();

    assert_eq!(code(other.page.locate(&courier.device, &other.stop, other.phone).await), "key_revoked");
    let fresh = Device::create(&scene.host).unwrap();
    assert_eq!(code(scene.depot.enrol(&gateway, &fresh, &scene.host).await), "key_revoked");
    owners[0].hands.act(&json!({"action": "close_tailgate"})).await.unwrap();
    at.page.lock(&courier.device, &at.stop, at.phone).await.unwrap();
    at.close(None).await.unwrap();
    assert_eq!(at.follow(attempt, |s| s["ended"] == json!(true)).await.unwrap()["lock_proof"], "observed");

    // The whole carrier: not even its admission is taken again.
    revoke(&key("second-person/person.key"), None).await.unwrap();
    let refused = scene.admit_carrier().await.unwrap_err();
    assert!(format!("{refused:#}").contains("key_revoked"), "{refused:#}");
    assert!(people::look_at_carrier(&gateway, carrier).await.unwrap()["removed"].is_string());
}
