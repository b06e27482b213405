//! Standing rules: an owner signs in advance, a carrier announces, and nothing opens that was not signed for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/play.rs"]
#[expect(dead_code, reason = "only the label is needed here")]
mod play;
#[path = "support/second.rs"]
mod second;

use parcelshelf::people::{AtStop, carrier_says, order, persist, until};
use parcelshelf::stage::Setting;
use parcelshelf_client::rules::InAdvance;
use parcelshelf_client::shipping::{Order, Ordered};
use parcelshelf_client::wallet::Granted;
use parcelshelf_core::id::{DeliveryId, GrantId};
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_protocol::grant::{Schedule, Weekday};
use parcelshelf_protocol::statement::ToErase;
use second::{AtCar, Theatre};
use serde_json::{Value, json};

const ZONE: &str = "America/Detroit";
const WEEKDAYS: [Weekday; 5] =
    [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];
const DAY_S: i64 = 86_400;
fn parcel(n: u32) -> String {
    format!("FJB0000{n:04}")
}

/// Parcels of Fjord Books, on weekdays between 08:00 and 21:00 in Detroit, for thirty days.
fn weekdays(from: Timestamp) -> InAdvance {
    let schedule = Schedule { zone: ZONE.into(), days: WEEKDAYS.to_vec(), from_minute: 480, to_minute: 1_260 };
    let life = Window::new(from, from.plus_seconds(30 * DAY_S)).unwrap();
    InAdvance { merchants: vec!["fjord-books".into()], schedule, life }
}

/// The hours that are left of a window.
fn left_of(told: &Value) -> (Timestamp, Timestamp) {
    let at = |name: &str| Timestamp::parse_rfc3339(told[name].as_str().unwrap()).unwrap();
    (at("from"), at("until"))
}

impl Theatre {
    async fn ship(&self, order: &Order, n: u32) -> Ordered {
        self.scene.merchant().ship(order, &format!("ship-{n:04}")).await.unwrap()
    }
    fn wanted(&self, n: u32, in_seconds: i64) -> Order {
        let mut wanted = order(self.scene.host.now(), &parcel(n)).unwrap();
        wanted.window =
            Window::new(wanted.window.start().plus_seconds(in_seconds), wanted.window.end().plus_seconds(in_seconds))
                .unwrap();
        wanted
    }
    /// The owner answers a first request with a rule; the carrier learns by what name to announce under it.
    async fn allow_weekdays(&self) -> (Granted, Ordered, String) {
        let wanted = self.wanted(1, 0);
        let ordered = self.ship(&wanted, 1).await;
        let ticket = self.owner.wallet.read_ticket(&ordered.consent_url, &self.scene.operator).unwrap();
        let asked = ticket.request.claims();
        let access_point = self.owner.wallet.access_point(asked.iss).await.unwrap();
        let consent = self.owner.consent(asked.window, access_point).unwrap();
        let signed = self.owner.wallet.sign_in_advance(&ticket, &consent, &weekdays(asked.window.start())).unwrap();
        let granted = self.owner.wallet.hand_in_rule(&signed).await.unwrap();
        // The same bytes get the same answer.
        let again = self.owner.wallet.hand_in_rule(&signed).await.unwrap();
        assert_eq!(again.accepted.jws(), granted.accepted.jws());
        let seen = carrier_says(&self.scene.dispatch(), ordered.delivery, &["accepted"]).await.unwrap();
        let rule = seen["rule"].as_str().unwrap().to_owned();
        assert_eq!(rule, granted.accepted.claims().grant.to_string());
        (granted, ordered, rule)
    }
    async fn listed(&self, delivery: DeliveryId) -> Option<Value> {
        let list = self.owner.wallet.deliveries().await.unwrap();
        let all = list["deliveries"].as_array().unwrap();
        all.iter().find(|d| d["delivery"] == json!(delivery.to_string())).cloned()
    }
    /// Whether the carrier has to ask the owner after all.
    async fn is_asked(&self, delivery: DeliveryId) -> bool {
        let dispatch = self.scene.dispatch();
        let kinds = until(&self.scene.host, "the carrier's announcement", async || {
            let journal = dispatch.journal(delivery).await?;
            let kinds: Vec<String> = journal["entries"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|e| e["kind"].as_str().map(str::to_owned))
                .collect();
            let said = kinds.iter().any(|k| k == "not_announced" || k == "accepted");
            Ok(said.then_some(kinds))
        });
        kinds.await.unwrap().iter().any(|k| k == "not_announced")
    }
    async fn sleep_until(&self, at: Timestamp) {
        let host = &self.scene.host;
        host.clock.sleep(host.now().until(at)).await;
    }
    async fn rule(&self) -> Value {
        self.owner.wallet.rules().await.unwrap().first().cloned().unwrap()
    }

    /// On the way, located, at the car.
    async fn arrive_for(&self, granted: Granted, delivery: Ordered, label: &str) -> AtCar<'_> {
        let (scene, id) = (&self.scene, delivery.delivery);
        let leg = format!("leg-{label}");
        let url = persist(&scene.host, "the leg", async || self.courier.shipping.start_leg(id, &leg).await);
        let phone = self.owner.place.moved(45.0, 20.0);
        let at = AtStop::open(scene, &self.courier, &self.owner, &url.await.unwrap(), phone).await.unwrap();
        at.locate().await.unwrap();
        at.describe().await.unwrap();
        self.courier.shipping.step(id, "arrived", &format!("arrived-{label}"), &json!({})).await.unwrap();
        AtCar { at, granted, delivery }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_signed_in_advance_opens_on_its_day_in_its_hours_once_and_the_case_names_the_rule() {
    let dir = tempfile::tempdir().unwrap();
    let (_stage, t) = Theatre::begin(dir.path(), Setting::default()).await;
    let (first, _, rule) = t.allow_weekdays().await;
    let eight = Timestamp::parse_rfc3339("2026-11-25T13:00:00Z").unwrap();

    // Today's date is taken by the delivery that the rule was made with: the owner is asked as always.
    let mut today = t.wanted(2, 5 * 3_600);
    today.rule = Some(rule.clone());
    let today = t.ship(&today, 2).await;
    assert!(t.is_asked(today.delivery).await);
    assert!(!today.consent_url.is_empty() && t.listed(today.delivery).await.is_none());

    // Tomorrow's is announced, and what is left of its window begins with the rule's hours.
    let mut tomorrow = t.wanted(3, DAY_S - 3_600);
    tomorrow.rule = Some(rule.clone());
    let end = tomorrow.window.end();
    let tomorrow = t.ship(&tomorrow, 3).await;
    assert!(!t.is_asked(tomorrow.delivery).await);
    carrier_says(&t.scene.dispatch(), tomorrow.delivery, &["accepted"]).await.unwrap();
    let told = t.listed(tomorrow.delivery).await.unwrap();
    assert_eq!(left_of(&told), (eight, end));
    assert_eq!(told["rule"], json!(first.id.to_string()));
    let days = t.rule().await["days"].clone();
    assert_eq!(days[1], json!({"date": "2026-11-25", "delivery": tomorrow.delivery.to_string()}));

    // Before its hours no courier is let go, in them one is, and opens once.
    t.scene.dispatch().load(tomorrow.delivery, t.courier.id, "load-early").await.unwrap();
    let early = t.courier.shipping.start_leg(tomorrow.delivery, "leg-early").await.unwrap_err();
    assert_eq!(early.code(), Some("leg_window"));
    t.sleep_until(eight.plus_seconds(300)).await;
    let before = t.seen();
    let granted =
        Granted { id: first.id, delivery: tomorrow.delivery, jws: first.jws.clone(), accepted: first.accepted.clone() };
    let a = t.arrive_for(granted, tomorrow, "FJB00000003").await;
    let attempt = a.at.ask_to_open(&[a.at.scan(&parcel(3)).unwrap()]).await.unwrap();
    a.at.follow(attempt, |s| s["state"] == "open").await.unwrap();
    assert!(t.trunk("open_trunk").await && t.trunk("close_trunk").await);
    t.close_and_check(&a, attempt).await;
    let finding = t.end(&a).await;
    assert!(finding.violations.is_empty(), "{:?}", finding.violations);
    let verdict = finding.verdict.unwrap();
    assert_eq!((verdict.window.start(), verdict.window.end()), (eight, end));
    assert_eq!(verdict.standing.unwrap().merchants, ["fjord-books"]);
    assert_eq!(t.seen().lid_openings - before.lid_openings, 1);

    // The program that anybody has says the same, and names the rule.
    let file = dir.path().join("case.json");
    std::fs::write(&file, t.owner.wallet.bundle(a.granted.delivery).await.unwrap()).unwrap();
    let mut verify = std::process::Command::new(env!("CARGO_BIN_EXE_parcelshelf"));
    let said = verify.args(["verify", "--explain"]).arg(&file).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("rule        mon tue wed thu fri, 08:00 to 21:00 (America/Detroit)"), "{said}");
    assert!(said.contains("opened      once"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_rule_covers_what_it_says_and_its_end_stops_what_was_announced() {
    let dir = tempfile::tempdir().unwrap();
    let (_stage, t) = Theatre::begin(dir.path(), Setting::default()).await;
    let (first, _, rule) = t.allow_weekdays().await;
    let dispatch = t.scene.dispatch();

    // Another merchant; a night; a Saturday; a rule that is none: asked, each, and nobody hears why.
    let mut others = t.wanted(2, DAY_S);
    others.merchant_id = "other-shop".into();
    let saturday = t.wanted(4, 4 * DAY_S);
    let night = t.wanted(3, DAY_S + 13 * 3_600);
    for (n, mut wanted) in [(2, others), (3, night), (4, saturday)] {
        wanted.rule = Some(rule.clone());
        let ordered = t.ship(&wanted, n).await;
        assert!(t.is_asked(ordered.delivery).await, "{n}");
    }
    let mut unknown = t.wanted(5, DAY_S);
    unknown.rule = Some(parcelshelf_protocol::encoding::sha256("no rule").to_string());
    let ordered = t.ship(&unknown, 5).await;
    assert!(t.is_asked(ordered.delivery).await);

    // Two for the days to come. The owner stops one of them, which its carrier hears, and takes that back with the passkey.
    let mut announced = Vec::new();
    for (n, days) in [(6, 1), (7, 2)] {
        let mut wanted = t.wanted(n, days * DAY_S);
        wanted.rule = Some(rule.clone());
        let ordered = t.ship(&wanted, n).await;
        carrier_says(&dispatch, ordered.delivery, &["accepted"]).await.unwrap();
        announced.push(ordered.delivery);
    }
    assert!(t.owner.wallet.block(announced[0]).await.unwrap());
    carrier_says(&dispatch, announced[0], &["falling_back"]).await.unwrap();
    // Erased, nothing is left of it but that its date is taken.
    let taken = t.rule().await["days"][1].clone();
    assert_eq!(taken["delivery"], json!(announced[0].to_string()));
    t.owner.wallet.erase(ToErase::Delivery(announced[0])).await.unwrap();
    let left = t.rule().await;
    assert_eq!(left["days"][1], json!({"date": taken["date"], "delivery": null}));
    assert_eq!(left["merchant"], "Fjord Books");
    let mut same_day = t.wanted(9, DAY_S);
    same_day.rule = Some(rule.clone());
    let same_day = t.ship(&same_day, 9).await;
    assert!(t.is_asked(same_day.delivery).await);

    // The rule ends: so does what was announced, the first delivery too, and nothing brings it back.
    let ended = t.owner.wallet.end_rule(first.id).await.unwrap();
    assert_eq!(ended["settled"], json!(true));
    carrier_says(&dispatch, announced[1], &["falling_back"]).await.unwrap();
    let by = t.rule().await["ended"]["by"].clone();
    assert_eq!(by, json!("owner"));
    t.owner.wallet.unblock(announced[1]).await.unwrap();
    assert_eq!(t.listed(announced[1]).await.unwrap()["blocked"], json!(true));
    let mut late = t.wanted(8, 3 * DAY_S - 3_600);
    late.rule = Some(rule.clone());
    let late = t.ship(&late, 8).await;
    assert!(t.is_asked(late.delivery).await);
    assert_eq!(t.owner.wallet.end_rule(GrantId::from_bytes([9; 16])).await.unwrap_err().code(), Some("rule_unknown"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_leaves_is_heard_by_the_carrier_also_by_one_that_did_not_listen() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stage, t) = Theatre::begin(dir.path(), Setting::default()).await;
    let (_, first, rule) = t.allow_weekdays().await;
    let mut wanted = t.wanted(2, DAY_S);
    wanted.rule = Some(rule);
    let second = t.ship(&wanted, 2).await;
    let dispatch = t.scene.dispatch();
    for ordered in [&first, &second] {
        carrier_says(&dispatch, ordered.delivery, &["accepted"]).await.unwrap();
    }
    dispatch.load(first.delivery, t.courier.id, "load-0001").await.unwrap();

    // A carrier that is down while its owner stops something hears of it when it is up again.
    stage.carrier.kill().await.unwrap();
    t.owner.wallet.block(first.delivery).await.unwrap();
    stage.carrier.restart(&[]).await.unwrap();
    carrier_says(&dispatch, first.delivery, &["falling_back"]).await.unwrap();

    // The wallet goes with everything; the other delivery goes the other way that was agreed.
    t.owner.wallet.erase(ToErase::Wallet).await.unwrap();
    carrier_says(&dispatch, second.delivery, &["falling_back"]).await.unwrap();
    let withdrawn = json!({"state": "ended", "reason": "withdrawn"});
    until(&t.scene.host, "the last word", async || {
        let seen = dispatch.delivery(second.delivery).await?;
        Ok::<_, parcelshelf_client::Failure>((seen["access"] == withdrawn).then_some(()))
    })
    .await
    .unwrap();
    assert!(t.owner.wallet.rules().await.is_err(), "nothing is kept of it");
}
