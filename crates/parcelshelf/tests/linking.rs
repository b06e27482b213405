//! What is found when an owner links, in plain words; and the one car out of several.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use parcelshelf::simulate::conductor::Conductor;
use parcelshelf::simulate::garages::Garages;
use parcelshelf::stage::{Clockwork, Scene, Setting, Stage, Worlds};
use parcelshelf_client::Failure;
use parcelshelf_client::wallet::{Wallet, WalletSite};
use parcelshelf_core::id::VehicleId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::Host;
use parcelshelf_edge::clock::SystemEntropy;
use parcelshelf_protocol::statement::ToErase;
use parcelshelf_simulator::{onstar, smartcar, tesla, volvo};
use serde_json::Value;

/// Tuesday, 24 November 2026, 08:00 in Gothenburg.
const MORNING: Timestamp = Timestamp::from_unix_seconds(1_795_503_600);

async fn wallet(scene: &Scene) -> Wallet {
    let site = WalletSite::new(&scene.layout.wallet_origin, &scene.host).unwrap();
    Wallet::register(site, &scene.host).await.unwrap()
}
/// Logs in at the maker and is sent back: the linking, and what the owner's browser saw.
async fn log_in(wallet: &Wallet, maker: &str, login: &str) -> (String, u16) {
    let (link, url) = wallet.begin_link(maker).await.unwrap();
    (link, wallet.http().browse(&format!("{url}&login_hint={login}")).await.unwrap())
}
fn code<T: std::fmt::Debug>(refused: Result<T, Failure>) -> String {
    refused.unwrap_err().code().unwrap_or("no problem").to_owned()
}
/// What keeps a car out, by code.
fn refusing(car: &Value) -> Vec<&str> {
    let findings = car["findings"].as_array().unwrap().iter().filter(|f| f["refuses"] == true);
    findings.map(|f| f["code"].as_str().unwrap()).collect()
}

/// One row of the table: whose cloud, whose account, and what is found.
struct Case {
    maker: &'static str,
    login: &'static str,
    found: &'static [&'static str],
    what_to_do: &'static str,
}
const fn case(
    maker: &'static str,
    login: &'static str,
    found: &'static [&'static str],
    what_to_do: &'static str,
) -> Case {
    Case { maker, login, found, what_to_do }
}
const CASES: [Case; 16] = [
    case("volvo", "good@example.org", &[], ""),
    case("volvo", "control@example.org", &["control_not_given"], "link_again_with_all_permissions"),
    case("volvo", "read@example.org", &["state_not_given"], "link_again_with_all_permissions"),
    case("volvo", "place@example.org", &["place_not_given"], "link_again_with_all_permissions"),
    case("smartcar", "control@example.org", &["control_not_given"], "link_again_with_all_permissions"),
    case("smartcar", "read@example.org", &["state_not_given"], "link_again_with_all_permissions"),
    case("smartcar", "place@example.org", &["place_not_given"], "link_again_with_all_permissions"),
    case("smartcar", "old@example.org", &["too_old"], "not_possible"),
    case("tesla", "control@example.org", &["control_not_given"], "link_again_with_all_permissions"),
    case("tesla", "shared@example.org", &["not_the_holder"], "let_the_holder_link"),
    case("tesla", "valet@example.org", &["valet_mode"], "act_at_the_car"),
    case("tesla", "off@example.org", &["remote_access_off"], "act_at_the_car"),
    case("tesla", "asleep@example.org", &["car_asleep"], "act_at_the_car"),
    case("tesla", "key@example.org", &["key_not_let_in"], "act_at_the_car"),
    case("onstar", "shared@example.org", &["not_the_holder"], "let_the_holder_link"),
    case("onstar", "plan@example.org", &["plan_inactive"], "activate_plan"),
];

fn worlds() -> Worlds {
    let logins = |maker: &'static str| CASES.iter().filter(move |case| case.maker == maker).map(|case| case.login);
    let refused = |login: &str, control: &[&str], read: &[&str], place: &[&str]| -> Vec<String> {
        let scopes = match login {
            "control@example.org" => control,
            "read@example.org" => read,
            "place@example.org" => place,
            _ => &[],
        };
        scopes.iter().map(|s| (*s).to_owned()).collect()
    };
    let mut first = volvo::WorldFile::default();
    for login in logins("volvo") {
        let refused_scopes = refused(login, &["conve:unlock"], &["conve:lock_status"], &["location:read"]);
        first.owners.push(volvo::OwnerFile { login: login.into(), refused_scopes });
        first.cars.push(volvo::CarFile::of(login));
    }
    let mut second = onstar::WorldFile::default();
    for login in logins("onstar") {
        let mut car = onstar::CarFile::of(login);
        (car.shared, car.plan_ended) = (login.starts_with("shared"), login.starts_with("plan"));
        second.cars.push(car);
    }
    let mut third = tesla::WorldFile::default();
    for login in logins("tesla") {
        let refused_scopes = refused(login, &["vehicle_cmds"], &[], &[]);
        third.owners.push(tesla::OwnerFile { login: login.into(), refused_scopes, served_at: None });
        let mut car = tesla::CarFile::of(login);
        (car.shared, car.valet_mode) = (login.starts_with("shared"), login.starts_with("valet"));
        (car.remote_access_off, car.asleep) = (login.starts_with("off"), login.starts_with("asleep"));
        if login.starts_with("key") {
            (car.signed, car.key_paired) = (true, false);
        }
        third.cars.push(car);
    }
    let mut fourth = smartcar::WorldFile::default();
    for login in logins("smartcar") {
        let refused_scopes = refused(login, &["control_security"], &["read_security"], &["read_location"]);
        fourth.owners.push(smartcar::OwnerFile { login: login.into(), refused_scopes });
        let mut car = smartcar::CarFile::of(login);
        if login.starts_with("old") {
            car.model_year = 2012;
        }
        fourth.cars.push(car);
    }
    Worlds { volvo: first, onstar: Some(second), tesla: Some(third), smartcar: Some(fourth), home: None }
}

#[tokio::test]
async fn what_stands_against_a_car_is_said_in_plain_words_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let mut stage = Stage::start_with(dir.path(), &worlds(), Setting::default()).await.unwrap();
    for Case { maker, login, found, what_to_do } in &CASES {
        let wallet = wallet(&stage.scene).await;
        let (link, status) = log_in(&wallet, maker, login).await;
        assert_eq!(status, 200, "{maker} {login}: what is missing is said in the wallet, not by a refusal");
        let cars = wallet.vehicles().await.unwrap();
        let [car] = cars.as_slice() else { panic!("{maker} {login}: {cars:?}") };
        assert_eq!(refusing(car), *found, "{maker} {login}: {}", car["findings"]);
        assert_eq!(car["eligible"], found.is_empty(), "{maker} {login}");
        for finding in car["findings"].as_array().unwrap().iter().filter(|f| f["refuses"] == true) {
            assert_eq!(finding["what_to_do"], *what_to_do, "{maker} {login}");
            let words = finding["text"].as_str().unwrap();
            assert!(words.len() > 20 && words.ends_with('.') && !words.contains('_'), "{maker} {login}: {words}");
        }
        assert_eq!(code(wallet.cars_to_choose(&link).await), "link_unknown", "there was nothing to choose");
    }
    stage.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_mended_is_found_by_looking_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut stage = Stage::start_with(dir.path(), &worlds(), Setting::default()).await.unwrap();
    let scene = &stage.scene;
    let owner = wallet(scene).await;
    log_in(&owner, "tesla", "asleep@example.org").await;
    let car = owner.vehicles().await.unwrap().remove(0);
    let vehicle = VehicleId::parse(car["vehicle"].as_str().unwrap()).unwrap();
    owner.look_again(vehicle).await.unwrap();
    assert_eq!(refusing(&owner.vehicles().await.unwrap()[0]), ["car_asleep"], "it still sleeps");
    let sim = scene.sim_of("tesla").unwrap();
    let cars = sim.get("/__sim/cars", &[]).await.unwrap();
    let mine = cars["cars"].as_array().unwrap().iter().find(|c| c["owner"] == "asleep@example.org").unwrap();
    let path = format!("/__sim/cars/{}/hand", mine["vin"].as_str().unwrap());
    sim.post(&path, &[], &serde_json::json!({"action": "wake"})).await.unwrap();
    owner.look_again(vehicle).await.unwrap();
    let car = owner.vehicles().await.unwrap().remove(0);
    assert_eq!((refusing(&car).len(), &car["eligible"]), (0, &true.into()), "{}", car["findings"]);
    // It is this wallet's car, and nobody else's to look at.
    let stranger = wallet(scene).await;
    assert_eq!(code(stranger.look_again(vehicle).await), "vehicle_unknown");
    stage.stop().await.unwrap();
}

const SEVERAL: &str = "several@example.org";

#[tokio::test]
async fn of_several_cars_only_what_the_owner_chose_is_linked() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = volvo::WorldFile::default();
    for year in [2021, 2022, 2023] {
        let mut car = volvo::CarFile::of(SEVERAL);
        car.model_year = year;
        world.cars.push(car);
    }
    let worlds = Worlds { volvo: world, onstar: None, tesla: None, smartcar: None, home: None };
    let mut stage = Stage::start_with(dir.path(), &worlds, Setting::default()).await.unwrap();
    let owner = wallet(&stage.scene).await;
    let (link, status) = log_in(&owner, "volvo", SEVERAL).await;
    assert_eq!((status, owner.vehicles().await.unwrap().len()), (200, 0), "nothing is linked before it is chosen");

    let offered = owner.cars_to_choose(&link).await.unwrap();
    assert_eq!(offered.len(), 3);
    assert!(offered.iter().all(|c| c["eligible"] == true && c["vin_ends_in"].as_str().unwrap().len() == 4));
    let pick = |year: u16| offered.iter().find(|c| c["model_year"] == year).unwrap()["car"].as_str().unwrap();
    let stranger = wallet(&stage.scene).await;
    assert_eq!(code(stranger.cars_to_choose(&link).await), "link_unknown");
    assert_eq!(code(stranger.choose(&link, &[pick(2022)]).await), "link_unknown");
    assert_eq!(code(owner.choose(&link, &[]).await), "body_wrong_member");
    assert_eq!(code(owner.choose(&link, &["not-one-of-them"]).await), "car_unknown");
    assert_eq!(owner.vehicles().await.unwrap().len(), 0);

    owner.choose(&link, &[pick(2022), pick(2022)]).await.unwrap();
    let cars = owner.vehicles().await.unwrap();
    assert_eq!((cars.len(), &cars[0]["model_year"]), (1, &2022.into()));
    // Whoever has chosen has chosen.
    assert_eq!(code(owner.choose(&link, &[pick(2023)]).await), "link_unknown");

    // Of a car that was not chosen nothing is known: whoever links it later is nobody's second.
    let (again, _) = log_in(&stranger, "volvo", SEVERAL).await;
    let offered = stranger.cars_to_choose(&again).await.unwrap();
    let pick = |year: u16| offered.iter().find(|c| c["model_year"] == year).unwrap()["car"].as_str().unwrap();
    stranger.choose(&again, &[pick(2021)]).await.unwrap();
    assert_eq!(owner.vehicles().await.unwrap()[0]["later_links"], serde_json::json!([]));

    // Linking anew looks at what is linked, and takes nothing else without being told to.
    let (third, _) = log_in(&owner, "volvo", SEVERAL).await;
    assert_eq!(owner.vehicles().await.unwrap().len(), 1);
    let offered = owner.cars_to_choose(&third).await.unwrap();
    let mut years: Vec<u64> = offered.iter().map(|c| c["model_year"].as_u64().unwrap()).collect();
    years.sort_unstable();
    assert_eq!(years, [2021, 2023]);
    stage.stop().await.unwrap();
}

#[tokio::test]
async fn a_linking_ends_in_the_browser_and_the_account_in_which_it_began() {
    const MINE: &str = "mine@example.org";
    const THEIRS: &str = "theirs@example.org";
    let dir = tempfile::tempdir().unwrap();
    let cars = vec![volvo::CarFile::of(MINE), volvo::CarFile::of(THEIRS)];
    let world = volvo::WorldFile { cars, ..volvo::WorldFile::default() };
    let worlds = Worlds { volvo: world, onstar: None, tesla: None, smartcar: None, home: None };
    let mut stage = Stage::start_with(dir.path(), &worlds, Setting::default()).await.unwrap();

    // Somebody sends another person the address at the maker. That person logs in and says yes.
    let thief = wallet(&stage.scene).await;
    let (_, url) = thief.begin_link("volvo").await.unwrap();
    let victim = thief.http().browse_elsewhere(&format!("{url}&login_hint={THEIRS}")).await.unwrap();
    assert_eq!((victim, thief.vehicles().await.unwrap().len()), (403, 0), "the victim's car is in no other's wallet");

    // A second account at the same maker would leave the first one's car without a key that locks it.
    let owner = wallet(&stage.scene).await;
    assert_eq!(log_in(&owner, "volvo", MINE).await.1, 200);
    let id = owner.vehicles().await.unwrap()[0]["vehicle"].as_str().unwrap().to_owned();
    assert_eq!(log_in(&owner, "volvo", THEIRS).await.1, 409);
    let cars = owner.vehicles().await.unwrap();
    assert_eq!((cars.len(), cars[0]["vehicle"].as_str()), (1, Some(id.as_str())));
    owner.look_again(VehicleId::parse(&id).unwrap()).await.expect("our key to the first car still works");
    assert_eq!(log_in(&owner, "volvo", MINE).await.1, 200, "the same account again is welcome");
    stage.stop().await.unwrap();
}

/// With a clock that jumps: whoever never comes to a car leaves no permission of ours behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_account_whose_cars_nobody_chose_is_given_back_at_its_maker() {
    let dir = tempfile::tempdir().unwrap();
    let conductor = Arc::new(Conductor::start(dir.path(), MORNING, 250).unwrap());
    let hold = conductor.hold();
    let host = Host { clock: Arc::new(conductor.clock()), entropy: Arc::new(SystemEntropy) };
    // Each in an account of its own: what is given back ends a whole account's permission.
    let cars = [SEVERAL, SEVERAL, "two@example.org", "two@example.org"].map(smartcar::CarFile::of).to_vec();
    let world = smartcar::WorldFile { cars, ..smartcar::WorldFile::default() };
    let worlds =
        Worlds { volvo: volvo::WorldFile::default(), onstar: None, tesla: None, smartcar: Some(world), home: None };
    let (garages, clouds) = Garages::serve(worlds, &host).await.unwrap();
    let clockwork = Clockwork { host, conductor: Some(Arc::clone(&conductor)) };
    let mut stage = Stage::start_parties(dir.path(), clouds, Setting::default(), clockwork).await.unwrap();
    drop(hold);
    let owner = wallet(&stage.scene).await;
    let (link, _) = log_in(&owner, "smartcar", SEVERAL).await;
    assert_eq!(owner.cars_to_choose(&link).await.unwrap().len(), 2);
    // Every token that the maker has handed out is tried.
    let api = stage.scene.sim_of("smartcar").unwrap();
    let works = async || {
        let mut works = 0;
        for token in garages.of("smartcar").tokens() {
            let bearer = format!("Bearer {token}");
            works += usize::from(api.get("/v2.0/vehicles", &[("authorization", &bearer)]).await.is_ok());
        }
        works
    };
    assert_eq!(works().await, 1, "we hold a permission meanwhile");
    // Whoever goes before choosing takes the permission along.
    let gone = wallet(&stage.scene).await;
    log_in(&gone, "smartcar", "two@example.org").await;
    assert_eq!(works().await, 2);
    let erased = gone.erase(ToErase::Wallet).await.unwrap();
    assert_eq!((works().await, erased["permissions"].as_array().unwrap().len()), (1, 1));
    stage.scene.host.clock.sleep(Duration::from_secs(18 * 60)).await;
    assert_eq!(code(owner.cars_to_choose(&link).await), "link_unknown");
    assert_eq!(works().await, 0, "every permission was given back");
    stage.stop().await.unwrap();
}
