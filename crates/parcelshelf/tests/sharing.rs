//! Several wallets at one car, played with real processes and a clock that jumps: any of them stops everything for all, and
//! none undoes another's stop in silence.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/links.rs"]
#[allow(dead_code, reason = "one story of many")]
mod links;

use std::time::Duration;

use links::{LABEL, LOGIN, MAKER, Theatre, code, place};
use parcelshelf::people::{Courier, Owner};
use parcelshelf_client::wallet::{Checked, Wallet};
use parcelshelf_core::id::VehicleId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_protocol::statement::ToErase;
use serde_json::{Value, json};

const HOUR: i64 = 3_600;

impl Theatre {
    /// A second wallet of the same car, which the first one has confirmed.
    async fn partner(&self, owner: &Owner) -> Owner {
        self.wait(Duration::from_secs(60)).await;
        let linked = self.link().await;
        assert!(matches!(self.prove(&linked).await, Checked::Waits { .. }));
        let listed = owner.wallet.vehicles().await.unwrap()[0]["later_links"][0].clone();
        owner.wallet.confirm_link(owner.vehicle, listed["link"].as_str().unwrap()).await.unwrap();
        assert_eq!(linked.wallet.check_possession(linked.vehicle).await.unwrap(), Checked::Proved);
        self.settled(linked)
    }
    /// After months: logs in here and at the maker, and proves possession anew.
    async fn comes_back(&self, owner: &mut Owner) {
        owner.wallet.log_in().await.unwrap();
        let url = owner.wallet.link(MAKER).await.unwrap();
        assert_eq!(owner.wallet.http().browse(&format!("{url}&login_hint={LOGIN}")).await.unwrap(), 200);
        assert_eq!(self.prove_for(&owner.wallet, owner.vehicle).await, Checked::Proved);
    }
    fn now(&self) -> Timestamp {
        self.scene.host.now()
    }
}

async fn told(wallet: &Wallet) -> Value {
    wallet.vehicles().await.unwrap()[0]["halts"].clone()
}
/// What was said of stops, and whether by this wallet; newest first.
async fn lines(wallet: &Wallet, vehicle: VehicleId) -> Vec<(String, bool)> {
    let said = |what: &str| ["stopped", "lifted", "lift_asked", "kept"].contains(&what);
    let all = wallet.shared(vehicle).await.unwrap().into_iter();
    let all = all.map(|l| (l["what"].as_str().unwrap().to_owned(), l["mine"] == json!(true)));
    all.filter(|(what, _)| said(what)).collect()
}
fn line(what: &str, mine: bool) -> (String, bool) {
    (what.to_owned(), mine)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn any_of_two_who_share_a_car_stops_everything_and_only_they_lift_it() {
    let t = Theatre::begin().await;
    let kim = t.owner().await;
    let alex = t.partner(&kim).await;
    let courier = Courier::hire(&t.scene, "Sam Rivera", "hire-0001").await.unwrap();
    for wallet in [&kim.wallet, &alex.wallet] {
        let seen = wallet.vehicles().await.unwrap()[0].clone();
        assert_eq!((&seen["shared"], &seen["halts"]), (&json!(true), &json!([])));
    }
    // Whoever has the log-in at the maker and not the car stops nothing, asks for nothing, and sees nothing.
    let stranger = t.link().await;
    assert_eq!(code(stranger.wallet.halt(stranger.vehicle).await), "possession_not_proved");

    // Kim's courier has found the car, and stands before it.
    let (delivery, url) = t.under_way(&kim, &courier, 1).await;
    let at = t.at(&kim, &courier, &url).await;
    at.locate().await.unwrap();
    let stopped = alex.wallet.halt(alex.vehicle).await.unwrap();
    assert_eq!(stopped["settled"], json!(true));
    assert_eq!(code(at.page.locate(&courier.device, &at.stop, at.phone).await), "conditions_not_met");
    let label = at.scan(LABEL).unwrap();
    assert_eq!(code(at.page.ask_to_open(&courier.device, &at.stop, at.phone, &[label]).await), "conditions_not_met");
    assert_eq!(code(at.page.describe(&courier.device, &at.stop, at.phone).await), "conditions_not_met");
    assert_eq!(kim.wallet.timeline(delivery).await.unwrap()["refused"][0]["code"], "halted");
    for owner in [&kim, &alex] {
        assert_eq!(code(t.rehearse(&owner.wallet, owner.vehicle, place()).await), "halted");
        assert_eq!(code(owner.wallet.area_around(owner.vehicle).await), "halted");
    }
    // Both are told; of the other that there is one.
    let (theirs, own) = (told(&kim.wallet).await, told(&alex.wallet).await);
    assert_eq!((&theirs[0]["mine"], &theirs[0]["state"]), (&json!(false), &json!("stands")));
    assert_eq!(own[0]["mine"], json!(true));
    assert_eq!(lines(&kim.wallet, kim.vehicle).await, [line("stopped", false)]);
    assert_eq!(lines(&alex.wallet, alex.vehicle).await, [line("stopped", true)]);
    assert_eq!((told(&stranger.wallet).await, lines(&stranger.wallet, stranger.vehicle).await), (json!([]), vec![]));
    assert_eq!(code(stranger.wallet.lift_halt(stranger.vehicle).await), "possession_not_proved");
    // Said twice it is said once.
    alex.wallet.halt(alex.vehicle).await.unwrap();
    assert_eq!(lines(&kim.wallet, kim.vehicle).await.len(), 1);

    // Kim can only ask. Nothing else of Kim's wallet undoes it, nor does a session of Alex's.
    assert_eq!(code(kim.wallet.keep_halted(kim.vehicle).await), "not_stopped");
    kim.wallet.unblock(delivery).await.unwrap();
    t.wait(Duration::from_secs(60)).await;
    let ends = kim.wallet.lift_halt(kim.vehicle).await.unwrap().unwrap();
    let wait = ends.millis_since(t.now()) / 1_000;
    assert!((71 * HOUR..=72 * HOUR).contains(&wait), "{wait}");
    assert_eq!(code(kim.wallet.lift_halt(kim.vehicle).await), "lift_asked_already");
    assert_eq!(lines(&alex.wallet, alex.vehicle).await[0], line("lift_asked", false));
    assert_eq!(told(&alex.wallet).await[0]["state"], "asked");
    assert_eq!(code(alex.wallet.unlink(alex.vehicle).await), "halted_by_you");
    let link = kim.wallet.vehicles().await.unwrap()[0]["later_links"].as_array().unwrap().clone();
    for later in &link {
        kim.wallet.refuse_link(kim.vehicle, later["link"].as_str().unwrap()).await.unwrap();
    }
    assert_eq!(code(t.rehearse(&kim.wallet, kim.vehicle, place()).await), "halted", "a refused link's stop stands");
    // Alex's word keeps it, although Kim has refused the link meanwhile.
    t.wait(Duration::from_secs(60)).await;
    alex.wallet.keep_halted(alex.vehicle).await.unwrap();
    t.leap(ends.plus_seconds(HOUR)).await;
    assert_eq!(code(kim.wallet.lift_halt(kim.vehicle).await), "halt_kept");
    assert_eq!(code(t.rehearse(&kim.wallet, kim.vehicle, place()).await), "halted");
    // Whoever stopped takes it back, also without a usable link.
    assert_eq!(alex.wallet.lift_halt(alex.vehicle).await.unwrap(), None);
    t.rehearse(&kim.wallet, kim.vehicle, place()).await.unwrap();
    let said = ["lifted", "kept", "lift_asked", "stopped"];
    assert_eq!(lines(&kim.wallet, kim.vehicle).await, said.map(|what| line(what, what == "lift_asked")));
    assert_eq!(code(alex.wallet.halt(alex.vehicle).await), "link_not_confirmed");
}

/// The commit after which the command to open would leave fails once, as on a full disk, and is decided again a little later. In
/// between time stands still, and the other one stops everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_co_owner_stops_between_the_intent_and_its_command_is_not_opened() {
    let mut t = Theatre::begin().await;
    let kim = t.owner().await;
    let alex = t.partner(&kim).await;
    let courier = Courier::hire(&t.scene, "Sam Rivera", "hire-0001").await.unwrap();
    let (_, url) = t.under_way(&kim, &courier, 1).await;
    t.restart_keyholder_with(&["--fail-at", "before:attempt_sent"]).await;
    let at = t.at(&kim, &courier, &url).await;
    at.locate().await.unwrap();
    t.wait(Duration::from_secs(60)).await;
    let label = at.scan(LABEL).unwrap();
    let commands = || t.garages.of(MAKER).seen(&t.vins[0]).unwrap().open_commands;
    let before = commands();

    let hold = t.conductor.hold();
    let attempt = at.page.ask_to_open(&courier.device, &at.stop, at.phone, &[label]).await.unwrap();
    while !t.stage.keyholder.has_said("\"failed\"").unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let goes_on = async {
        // The stop is durable: the other wallet reads it.
        while told(&kim.wallet).await == json!([]) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(hold);
    };
    let (stopped, ()) = tokio::join!(alex.wallet.halt(alex.vehicle), goes_on);
    assert_eq!(stopped.unwrap()["settled"], json!(true), "no command may act any more");
    let end = at.follow(attempt, |s| s["ended"] == json!(true)).await.unwrap();
    assert_eq!(end["state"], "did_not_happen", "{end}");
    assert_eq!(commands(), before);

    // Nothing else was in the way.
    assert_eq!(alex.wallet.lift_halt(alex.vehicle).await.unwrap(), None);
    t.wait(Duration::from_secs(60)).await;
    let attempt = at.ask_to_open(&[label]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    assert_eq!(commands(), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn without_a_word_of_whoever_stopped_it_goes_on_72_hours_after_all_were_told() {
    let mut t = Theatre::begin().await;
    let mut kim = t.owner().await;
    let mut alex = t.partner(&kim).await;
    alex.wallet.halt(alex.vehicle).await.unwrap();
    let ends = kim.wallet.lift_halt(kim.vehicle).await.unwrap().unwrap();
    t.leap(ends.plus_seconds(-60)).await;
    t.restart_keyholder().await;
    assert_eq!(code(t.rehearse(&kim.wallet, kim.vehicle, place()).await), "halted");
    t.leap(ends).await;
    t.rehearse(&kim.wallet, kim.vehicle, place()).await.unwrap();
    assert_eq!(told(&kim.wallet).await, json!([]));

    // A stop ends with the possession of whoever put it, and lasts as long as that is proved anew.
    alex.wallet.halt(alex.vehicle).await.unwrap();
    let day = 24 * HOUR;
    t.leap(t.now().plus_seconds(80 * day)).await;
    t.comes_back(&mut kim).await;
    t.comes_back(&mut alex).await;
    t.leap(t.now().plus_seconds(80 * day)).await;
    t.comes_back(&mut kim).await;
    assert_eq!(code(t.rehearse(&kim.wallet, kim.vehicle, place()).await), "halted");
    t.leap(t.now().plus_seconds(11 * day)).await;
    t.rehearse(&kim.wallet, kim.vehicle, place()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_sees_that_something_was_allowed_shown_and_opened_and_nothing_of_what_or_where() {
    let t = Theatre::begin().await;
    let kim = t.owner().await;
    let alex = t.partner(&kim).await;
    let stranger = t.link().await;
    let courier = Courier::hire(&t.scene, "Sam Rivera", "hire-0001").await.unwrap();
    let (delivery, url) = t.under_way(&kim, &courier, 1).await;
    let at = t.at(&kim, &courier, &url).await;
    at.locate().await.unwrap();
    // The same place for the same courier is nothing new.
    at.locate().await.unwrap();
    let attempt = at.ask_to_open(&[at.scan(LABEL).unwrap()]).await.unwrap();
    at.follow(attempt, |s| s["state"] == "ready").await.unwrap();
    t.hands.act(&json!({"action": "open_tailgate"})).await.unwrap();
    at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    t.hands.act(&json!({"action": "close_tailgate"})).await.unwrap();
    at.close(None).await.unwrap();
    at.follow(attempt, |s| s["ended"] == json!(true)).await.unwrap();

    let told = alex.wallet.shared(alex.vehicle).await.unwrap();
    let mut what: Vec<&str> = told.iter().map(|line| line["what"].as_str().unwrap()).collect();
    what.sort_unstable();
    assert_eq!(what, ["allowed", "opening", "place_shown"]);
    for line in &told {
        let members: Vec<&String> = line.as_object().unwrap().keys().collect();
        assert_eq!(members, ["what", "mine", "at", "ends"], "{line}");
        let at = Timestamp::parse_rfc3339(line["at"].as_str().unwrap()).unwrap();
        assert_eq!((at.unix_seconds() % 900, &line["mine"]), (0, &json!(false)), "{line}");
    }
    // Kim has a timeline of it; whoever has only the log-in sees nothing.
    assert_eq!(kim.wallet.shared(kim.vehicle).await.unwrap(), Vec::<Value>::new());
    assert_eq!(stranger.wallet.shared(stranger.vehicle).await.unwrap(), Vec::<Value>::new());
    assert_eq!(code(alex.wallet.timeline(delivery).await), "delivery_unknown");
    assert_eq!(code(alex.wallet.shared(kim.vehicle).await), "vehicle_unknown");
    // What Kim erases is gone from Kim's wallet. That it was, Alex still knows.
    kim.wallet.erase(ToErase::Delivery(delivery)).await.unwrap();
    assert_eq!(alex.wallet.shared(alex.vehicle).await.unwrap().len(), 3);
    // A rehearsal and what is allowed in advance, too.
    t.rehearse(&alex.wallet, alex.vehicle, place()).await.unwrap();
    t.allow_in_advance(&alex).await;
    let told = kim.wallet.shared(kim.vehicle).await.unwrap();
    let mut what: Vec<&str> = told.iter().map(|line| line["what"].as_str().unwrap()).collect();
    what.sort_unstable();
    assert_eq!(what, ["allowed", "allowed_rehearsal", "rule_made"]);
}
