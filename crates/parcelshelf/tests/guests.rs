//! Guests at a garage: invited, paired by six digits, let in once or by weekly hours, or at the door by its code; and everybody
//! who is not let in.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use parcelshelf::demo::garage::{LOGIN, house, to_link};
use parcelshelf::judge::{Seen, judge};
use parcelshelf::people::{Hands, Owner, until};
use parcelshelf::stage::{Setting, Stage, Worlds};
use parcelshelf_access_homeassistant::GARAGES;
use parcelshelf_client::Failure;
use parcelshelf_client::courier::{Device, Stop, StopPage};
use parcelshelf_client::guest::{AtDoor, Guest, LetIn, door_link_of, link_of};
use parcelshelf_client::photo::specimen;
use parcelshelf_client::wallet::Consent;
use parcelshelf_core::actuation::{AccessClass, LockProof};
use parcelshelf_core::area::Position;
use parcelshelf_core::id::{AttemptId, DeliveryId, GrantId, InvitationId};
use parcelshelf_core::reason::{Action, Purpose};
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_protocol::bundle::By;
use parcelshelf_protocol::enrol::Enrolment;
use parcelshelf_protocol::grant::{Schedule, Weekday};
use parcelshelf_protocol::invite::{DoorSign, Invitation};
use parcelshelf_protocol::statement::ToErase;
use serde_json::{Value, json};

/// A household with a garage, and an owner who has proved to stand at it.
struct House {
    stage: Stage,
    owner: Owner,
    place: Position,
    _dir: tempfile::TempDir,
}

/// How long a guest may come.
fn soon(now: Timestamp) -> Window {
    let start = Timestamp::from_unix_seconds(now.unix_seconds());
    Window::new(start, start.plus_seconds(3_600)).unwrap()
}
fn code<T: std::fmt::Debug>(refused: Result<T, Failure>) -> String {
    refused.unwrap_err().code().unwrap_or("no problem").to_owned()
}

impl House {
    async fn build() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = to_link();
        let place = house(&home).unwrap();
        let number = home.doors.first().unwrap().number.clone();
        let stage = Stage::start_with(dir.path(), &Worlds::of_house(home), Setting::default()).await.unwrap();
        let hands = Hands::at(&stage.scene, GARAGES, &number).unwrap();
        let owner = Owner::enrol_garage(&stage.scene, LOGIN, hands, place).await.unwrap();
        Self { stage, owner, place, _dir: dir }
    }
    fn now(&self) -> Timestamp {
        self.stage.scene.host.now()
    }
    /// The owner invites, and shows or sends the link.
    async fn invite(&self, name: &str) -> (Invitation, String) {
        let invitation = self.owner.wallet.invite(name).await.unwrap();
        let link = link_of(&self.stage.scene.layout.stop_origin, &invitation);
        (invitation, link)
    }
    /// Somebody opens a link on a phone of theirs.
    async fn opens_link(&self, link: &str) -> Result<Guest, Failure> {
        Guest::answer(link, &self.stage.scene.host).await
    }
    /// Invited, answered, and the six digits typed.
    async fn paired(&self, name: &str) -> (Guest, Enrolment) {
        let (invitation, link) = self.invite(name).await;
        let guest = self.opens_link(&link).await.unwrap();
        let shown = self.owner.wallet.paired(&invitation, &guest.digits()).await.unwrap().unwrap();
        assert_eq!(shown.device(), guest.device.thumbprint());
        (guest, shown)
    }
    async fn consent(&self, guest: &Enrolment, window: Window) -> Consent {
        let access_point = self.owner.wallet.access_point(guest.device()).await.unwrap();
        self.owner.consent(window, access_point).unwrap()
    }
    /// Let in once, for an hour from now.
    async fn let_in(&self, name: &str) -> (Guest, LetIn) {
        let (guest, shown) = self.paired(name).await;
        let consent = self.consent(&shown, soon(self.now())).await;
        self.owner.wallet.let_in(&shown, &consent).await.unwrap();
        let let_in = guest.let_in().await.unwrap().unwrap();
        (guest, let_in)
    }
    async fn seen(&self) -> Seen {
        Seen::of(&self.stage.scene.seen_of(&self.owner.hands.vin).await.unwrap())
    }
    async fn follow(&self, page: &StopPage, attempt: AttemptId, state: &str) -> Value {
        let mut after = 0;
        until(&self.stage.scene.host, state, async || {
            let seen = page.attempt(attempt, after).await?;
            after = seen["seq"].as_u64().unwrap_or(after);
            Ok((seen["state"] == state).then_some(seen))
        })
        .await
        .unwrap()
    }
    /// Opens, goes in and out, says so, and waits until it is proved shut.
    async fn comes_and_goes(&self, guest: &Guest, stop: &Stop) -> AttemptId {
        let page = guest.page().await.unwrap();
        let attempt = page.ask_to_open(&guest.device, stop, self.place, &[]).await.unwrap();
        self.follow(&page, attempt, "open").await;
        page.close(&guest.device, stop, self.place, None, true).await.unwrap();
        until(&self.stage.scene.host, "the end", async || {
            let seen = page.attempt(attempt, 0).await?;
            Ok((seen["state"] == "locked" && seen["ended"] == json!(true)).then_some(()))
        })
        .await
        .unwrap();
        attempt
    }
    async fn refused_to_open(&self, guest: &Guest, stop: &Stop) -> String {
        let page = guest.page().await.unwrap();
        code(page.ask_to_open(&guest.device, stop, self.place, &[]).await)
    }
    /// The bundle says what the door itself recorded.
    async fn judged(&self, delivery: DeliveryId, before: Seen, guest: &Guest) {
        let bundle = self.owner.bundle(delivery).await.unwrap();
        let since = self.seen().await.since(before);
        let finding = judge(since, &bundle, &self.owner.anchors(&self.stage.scene));
        assert!(finding.violations.is_empty(), "{:?}", finding.violations);
        let verdict = finding.verdict.unwrap();
        assert_eq!((verdict.openings, verdict.lock_proof), (1, Some(LockProof::Observed)));
        assert_eq!(verdict.purpose, Purpose::Guest);
        assert_eq!(verdict.by, By::Device(guest.device.thumbprint()));
    }
    async fn delivery(&self, delivery: DeliveryId) -> Value {
        let told = self.owner.wallet.deliveries().await.unwrap();
        let all = told["deliveries"].as_array().unwrap();
        all.iter().find(|d| d["delivery"] == json!(delivery.to_string())).cloned().unwrap_or(Value::Null)
    }
}

impl House {
    /// The owner prints a code and hangs it at the garage.
    async fn hang_up(&self) -> (DoorSign, String) {
        let sign = self.owner.wallet.put_up_door_sign(self.owner.vehicle).await.unwrap();
        let link = door_link_of(&self.stage.scene.layout.stop_origin, &sign);
        (sign, link)
    }
    /// Somebody at the door reads the code and asks.
    async fn knocks(&self, link: &str, who: &str) -> Result<Guest, Failure> {
        Guest::knock(link, who, &self.stage.scene.host).await
    }
    async fn at_the_door(&self) -> Vec<AtDoor> {
        self.owner.wallet.at_the_door().await.unwrap()
    }
    /// The owner opens to one of them.
    async fn opens_to(&self, asks: &AtDoor) -> DeliveryId {
        let consent = self.consent(&asks.shown, soon(self.now())).await;
        self.owner.wallet.let_in(&asks.shown, &consent).await.unwrap().delivery
    }
}

#[tokio::test]
async fn whoever_stands_at_the_door_asks_and_is_let_in_once_and_the_owner_has_the_photo() {
    let mut h = House::build().await;
    let (sign, link) = h.hang_up().await;
    assert_eq!(h.hang_up().await.0, sign, "one door has one code");
    let before = h.seen().await;
    let courier = h.knocks(&link, "DHL, Robin").await.unwrap();
    assert!(courier.let_in().await.unwrap().is_none(), "nobody has opened yet");

    let [asks] = <[AtDoor; 1]>::try_from(h.at_the_door().await).unwrap();
    assert_eq!((asks.who.as_str(), asks.vehicle), ("DHL, Robin", h.owner.vehicle));
    assert_eq!(asks.shown.device(), courier.device.thumbprint());
    let consent = h.consent(&asks.shown, soon(h.now())).await;
    let granted = h.owner.wallet.let_in(&asks.shown, &consent).await.unwrap();
    assert!(h.at_the_door().await.is_empty(), "whoever was let in asks no more");

    let stop = courier.let_in().await.unwrap().unwrap().stop().unwrap();
    let page = courier.page().await.unwrap();
    let (attempt, key) = page.ask_to_open_with_key(&courier.device, &stop, h.place, &[]).await.unwrap();
    h.follow(&page, attempt, "open").await;
    let (photo, _) = page.leave_photo(&courier.device, &stop, attempt, &key.unwrap(), &specimen()).await.unwrap();
    page.close(&courier.device, &stop, h.place, Some(photo), true).await.unwrap();
    h.follow(&page, attempt, "locked").await;

    h.judged(granted.delivery, before, &courier).await;
    assert_eq!(h.delivery(granted.delivery).await["guest"], "DHL, Robin");
    assert_eq!(h.owner.wallet.photos(&granted, &courier.device).await.unwrap(), [specimen()]);
    // Once: whoever comes tomorrow asks again, also with the same phone.
    assert_eq!(h.refused_to_open(&courier, &stop).await, "grant_spent");
    h.stage.stop().await.unwrap();
}

#[tokio::test]
async fn the_code_at_a_door_opens_nothing_by_itself() {
    let mut h = House::build().await;
    let (wallet, host) = (&h.owner.wallet, &h.stage.scene.host);
    let (sign, link) = h.hang_up().await;

    // Who knows under which name servers keep the code, and not the code: a front.
    let made_up = DoorSign::from_secret([7; 16]);
    let device = Device::create(host).unwrap();
    let keys = Enrolment { key: device.verifying_key().clone(), seal: device.seal_key().clone() };
    let knock = InvitationId::from_bytes(host.random());
    let path = format!("/v1/door-signs/{}/knocks", sign.id());
    let body = json!({"knock": knock.to_string(), "device": keys.to_text(), "box": "AAAA",
        "tag": made_up.tag(keys.device(), knock).to_string()});
    assert_eq!(code(wallet.http().post(&path, &[], &body).await), "door_sign_unknown");
    let guessed = door_link_of(&h.stage.scene.layout.stop_origin, &made_up);
    assert_eq!(code(h.knocks(&guessed, "DHL").await), "door_sign_unknown");
    assert!(h.at_the_door().await.is_empty());

    // Who asks is not let in by asking; whoever is turned away learns nothing more.
    let asks = h.knocks(&link, "Somebody").await.unwrap();
    let [seen] = <[AtDoor; 1]>::try_from(h.at_the_door().await).unwrap();
    wallet.turn_away(seen.knock).await.unwrap();
    assert_eq!(code(asks.let_in().await), "invitation_unknown");
    let consent = h.consent(&seen.shown, soon(h.now())).await;
    assert_eq!(code(wallet.let_in(&seen.shown, &consent).await), "guest_not_paired", "asked for too late");

    // What the owner has signed for one phone opens for no other that stands beside it.
    let (first, second) = (h.knocks(&link, "DHL").await.unwrap(), h.knocks(&link, "DHL").await.unwrap());
    let both = h.at_the_door().await;
    let chosen = both.iter().find(|asks| asks.shown.device() == first.device.thumbprint()).unwrap();
    h.opens_to(chosen).await;
    assert!(second.let_in().await.unwrap().is_none());
    let stop = first.let_in().await.unwrap().unwrap().stop().unwrap();
    assert_eq!(h.refused_to_open(&second, &stop).await, "proof_wrong_device");

    // A crowd is a nuisance, and no more. Nobody is kept from being invited by it.
    for n in 0..4 {
        assert_eq!(h.knocks(&link, &format!("child {n}")).await.is_err(), n == 3, "one waits already");
    }
    assert_eq!(code(h.knocks(&link, "child").await), "too_many_knocks");
    h.invite("Anna").await;

    // Taken down: who asked asks no more, and the printed code is paper.
    wallet.take_down_door_sign(&sign).await.unwrap();
    assert_eq!(code(second.let_in().await), "invitation_unknown");
    assert_eq!(code(h.knocks(&link, "DHL").await), "door_sign_unknown");
    assert_eq!(code(wallet.take_down_door_sign(&sign).await), "door_sign_unknown");
    assert_ne!(h.hang_up().await.0, sign);
    assert_eq!(h.seen().await.unlock_commands, 0);
    // With the wallet the code goes.
    let (_, link) = h.hang_up().await;
    h.owner.wallet.erase(ToErase::Wallet).await.unwrap();
    assert_eq!(code(h.knocks(&link, "DHL").await), "door_sign_unknown");
    h.stage.stop().await.unwrap();
}

#[tokio::test]
async fn a_guest_is_invited_opens_once_and_the_owner_sees_and_proves_it() {
    let mut h = House::build().await;
    let before = h.seen().await;
    let (guest, let_in) = h.let_in("Anna").await;
    assert_eq!(let_in.claims.purpose, Purpose::Guest);
    let stop = let_in.stop().unwrap();

    // The owner knows whom this is for before anything opens.
    let told = h.delivery(stop.delivery).await;
    assert_eq!((&told["guest"], &told["purpose"], &told["kind"]), (&json!("Anna"), &json!("guest"), &json!("home")));
    assert!(told["attempt"].is_null() && told["merchant"].is_null(), "{told}");

    h.comes_and_goes(&guest, &stop).await;
    let told = h.delivery(stop.delivery).await;
    assert_eq!(told["attempt"]["lock_proof"], "observed", "{told}");
    let timeline = h.owner.wallet.timeline(stop.delivery).await.unwrap().to_string();
    for kind in ["grant_accepted", "open_intended", "outcome", "locked"] {
        assert_eq!(timeline.matches(&format!("\"kind\":\"{kind}\"")).count(), 1, "{kind} in {timeline}");
    }
    h.judged(stop.delivery, before, &guest).await;

    // Once is once. Shutting is never refused, not even now.
    assert_eq!(h.refused_to_open(&guest, &stop).await, "grant_spent");
    guest.page().await.unwrap().lock(&guest.device, &stop, h.place).await.unwrap();
    assert_eq!(h.seen().await.since(before).tailgate_openings, 1);

    // What is erased takes the guest's name along.
    let exported = h.owner.wallet.export().await.unwrap();
    assert!(exported["wallet"]["guests"].to_string().contains("Anna"), "{exported}");
    h.owner.wallet.erase(ToErase::Delivery(stop.delivery)).await.unwrap();
    assert_eq!(h.owner.wallet.guests().await.unwrap(), Vec::<Value>::new());
    assert_eq!(code(guest.let_in().await), "invitation_unknown");
    h.stage.stop().await.unwrap();
}

#[tokio::test]
async fn whoever_has_the_link_is_not_yet_a_guest() {
    let mut h = House::build().await;
    let wallet = &h.owner.wallet;
    let (invitation, link) = h.invite("Anna").await;
    assert_eq!(wallet.paired(&invitation, "000000").await.unwrap(), None, "nobody has answered");
    // Somebody else opens the link first. Anna's page says that it is taken, so that she reads out no digits.
    let thief = h.opens_link(&link).await.unwrap();
    assert_eq!(code(h.opens_link(&link).await), "invitation_answered");
    let others = if thief.digits() == "123456" { "654321" } else { "123456" };
    assert!(matches!(wallet.paired(&invitation, others).await, Err(Failure::Unexpected(_))));
    assert!(thief.let_in().await.unwrap().is_none(), "nothing was signed");

    // A front that answers for the guest, with keys of its own, has no secret to tag them with.
    let (second, _) = h.invite("Ben").await;
    let device = Device::create(&h.stage.scene.host).unwrap();
    let keys = Enrolment { key: device.verifying_key().clone(), seal: device.seal_key().clone() };
    let tag = Invitation::from_secret([7; 16]).tag(keys.device());
    let body = json!({"device": keys.to_text(), "tag": tag.to_string()});
    wallet.http().post(&format!("/v1/invitations/{}/answer", second.id()), &[], &body).await.unwrap();
    let digits = second.digits(keys.device(), &wallet.pinned().claims().log);
    let why = wallet.paired(&second, &digits).await.unwrap_err().to_string();
    assert!(why.contains("did not have the link"), "{why}");

    // Nothing is signed for a device that has answered nothing, nor for a car, nor twice.
    let stranger = Device::create(&h.stage.scene.host).unwrap();
    let unpaired = Enrolment { key: stranger.verifying_key().clone(), seal: stranger.seal_key().clone() };
    let consent = h.consent(&unpaired, soon(h.now())).await;
    assert_eq!(code(wallet.let_in(&unpaired, &consent).await), "guest_not_paired");
    let (_, shown) = h.paired("Cem").await;
    let consent = h.consent(&shown, soon(h.now())).await;
    let of_a_car = Consent { opens: vec![AccessClass::SeparateTrunk], ..consent.clone() };
    assert_eq!(code(wallet.let_in(&shown, &of_a_car).await), "guests_at_houses_only");
    wallet.let_in(&shown, &consent).await.unwrap();
    assert_eq!(code(wallet.let_in(&shown, &consent).await), "guest_not_paired");

    // What was taken back is over, on both sides; what was signed for is stopped instead.
    wallet.withdraw(&invitation).await.unwrap();
    assert_eq!(code(thief.let_in().await), "invitation_unknown");
    assert_eq!(code(wallet.withdraw(&invitation).await), "invitation_unknown");
    for n in 0..8 {
        let invited = wallet.invite(&format!("guest {n}")).await;
        assert_eq!(invited.is_err(), n == 7, "one waits already");
    }
    assert_eq!(h.seen().await.unlock_commands, 0);
    h.stage.stop().await.unwrap();
}

#[tokio::test]
async fn a_guests_grant_opens_for_nobody_else_and_never_tells_where() {
    let mut h = House::build().await;
    let (guest, let_in) = h.let_in("Anna").await;
    let stop = let_in.stop().unwrap();
    let page = guest.page().await.unwrap();

    // Passed on: all that Anna has but her device's key.
    let friend = Device::create(&h.stage.scene.host).unwrap();
    assert_eq!(code(page.ask_to_open(&friend, &stop, h.place, &[]).await), "proof_wrong_device");
    // Another paired guest has a grant of their own, and not this one.
    let (other, _) = h.let_in("Ben").await;
    assert_eq!(code(page.ask_to_open(&other.device, &stop, h.place, &[]).await), "proof_wrong_device");
    // Nobody is told where anything stands, and from afar nothing opens.
    assert_eq!(code(page.locate(&guest.device, &stop, h.place).await), "houses_are_not_located");
    assert_eq!(code(page.describe(&guest.device, &stop, h.place).await), "houses_are_not_located");
    let signal = page.prepare(&guest.device, &stop, Action::Signal, h.place, json!({})).await.unwrap();
    assert_eq!(code(page.send(&signal).await), "not_supported");
    let far = h.place.moved(0.0, 400.0);
    assert_eq!(code(page.ask_to_open(&guest.device, &stop, far, &[]).await), "conditions_not_met");

    // Not before its time.
    let (late, shown) = h.paired("Cem").await;
    let start = Timestamp::from_unix_seconds(h.now().unix_seconds()).plus_seconds(3_600);
    let later = h.consent(&shown, Window::new(start, start.plus_seconds(3_600)).unwrap()).await;
    h.owner.wallet.let_in(&shown, &later).await.unwrap();
    let tomorrow = late.let_in().await.unwrap().unwrap().stop().unwrap();
    assert_eq!(h.refused_to_open(&late, &tomorrow).await, "grant_not_yet");

    // Stopped is stopped, by visit or by device.
    assert!(h.owner.wallet.block(stop.delivery).await.unwrap());
    assert_eq!(h.refused_to_open(&guest, &stop).await, "conditions_not_met");
    let (third, let_in) = h.let_in("Dora").await;
    assert!(h.owner.wallet.block_courier(third.device.thumbprint()).await.unwrap());
    assert_eq!(h.refused_to_open(&third, &let_in.stop().unwrap()).await, "conditions_not_met");
    assert_eq!(h.seen().await.unlock_commands, 0);
    h.stage.stop().await.unwrap();
}

#[tokio::test]
async fn a_guest_with_weekly_hours_comes_once_a_day_until_the_owner_ends_it() {
    let mut h = House::build().await;
    let before = h.seen().await;
    let (guest, shown) = h.paired("Cleaner").await;
    let (start, every_day) = (Timestamp::from_unix_seconds(h.now().unix_seconds()), Weekday::ALL.to_vec());
    let life = Window::new(start, start.plus_seconds(30 * 86_400)).unwrap();
    let schedule = Schedule { zone: "Etc/UTC".into(), days: every_day, from_minute: 0, to_minute: 1_440 };
    let consent = h.consent(&shown, life).await;
    let rule: GrantId = h.owner.wallet.let_in_weekly(&shown, &consent, &schedule, life).await.unwrap();
    let let_in = guest.let_in().await.unwrap().unwrap();
    assert!(let_in.stop().is_err(), "weekly hours are no visit");

    let (stop, visit) = guest.come(&let_in).await.unwrap();
    let told = h.delivery(stop.delivery).await;
    assert_eq!((&told["guest"], &told["rule"]), (&json!("Cleaner"), &json!(rule.to_string())), "{told}");
    let (again, same) = guest.come(&let_in).await.unwrap();
    assert_eq!((again.delivery, &same), (stop.delivery, &visit), "one visit a day");
    // Only that device comes, also with the whole link.
    let friend = Device::create(&h.stage.scene.host).unwrap();
    let page = guest.page().await.unwrap();
    assert_eq!(code(page.ask_to_open(&friend, &stop, h.place, &[]).await), "proof_wrong_device");

    h.comes_and_goes(&guest, &stop).await;
    h.judged(stop.delivery, before, &guest).await;
    // The second time on the same date there is nothing left.
    let (again, _) = guest.come(&let_in).await.unwrap();
    assert_eq!(again.delivery, stop.delivery);
    assert_eq!(h.refused_to_open(&guest, &again).await, "grant_spent");

    // Another guest, whose hours are over for today or not yet there.
    let (early, shown) = h.paired("Gardener").await;
    let minute = u16::try_from(h.now().unix_seconds().rem_euclid(86_400) / 60).unwrap();
    let elsewhen = if minute < 720 { (1_380, 1_440) } else { (0, 60) };
    let hours = Schedule { from_minute: elsewhen.0, to_minute: elsewhen.1, ..schedule.clone() };
    let consent = h.consent(&shown, life).await;
    h.owner.wallet.let_in_weekly(&shown, &consent, &hours, life).await.unwrap();
    let theirs = early.let_in().await.unwrap().unwrap();
    assert_eq!(code(early.come(&theirs).await), "visit_not_now");

    // Ended: nobody comes under it any more.
    let (third, shown) = h.paired("Neighbour").await;
    let consent = h.consent(&shown, life).await;
    let rule = h.owner.wallet.let_in_weekly(&shown, &consent, &schedule, life).await.unwrap();
    let theirs = third.let_in().await.unwrap().unwrap();
    let (stop, _) = third.come(&theirs).await.unwrap();
    let ended = h.owner.wallet.end_rule(rule).await.unwrap();
    assert_eq!(ended["stopped"], json!([stop.delivery.to_string()]), "{ended}");
    assert_eq!(h.refused_to_open(&third, &stop).await, "conditions_not_met");
    let (fourth, shown) = h.paired("Aunt").await;
    let consent = h.consent(&shown, life).await;
    let rule = h.owner.wallet.let_in_weekly(&shown, &consent, &schedule, life).await.unwrap();
    let theirs = fourth.let_in().await.unwrap().unwrap();
    h.owner.wallet.end_rule(rule).await.unwrap();
    assert_eq!(code(fourth.come(&theirs).await), "visit_not_now");
    assert_eq!(h.seen().await.since(before).unlock_commands, 1);

    // With the wallet its guests are gone.
    h.owner.wallet.erase(ToErase::Wallet).await.unwrap();
    assert_eq!(code(third.let_in().await), "invitation_unknown");
    h.stage.stop().await.unwrap();
}
