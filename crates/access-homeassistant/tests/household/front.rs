//! A front door with a bolt, a sensor, a light, and a camera that sees it: as it should be, and as it is attacked.

use std::time::Duration;

use parcelshelf_access::conformance::Rig as _;
use parcelshelf_access::{Access as _, AccessError, Command, LidState, LockState, Reachability};
use parcelshelf_core::actuation::{AccessClass, Confirmation, Outcome, Refusal, Source};

use crate::rig::GarageRig;

const OPEN: Command = Command::Open(AccessClass::Door);
/// The simulated camera adapts to the light by less than this within seconds, and its pictures are noisy by less.
const SAME_PERMILLE: i32 = 90;

impl GarageRig {
    /// The light goes this way, the camera gets its second, and shows so much of 1000.
    async fn lit(&self, on: bool) -> i32 {
        self.adapter.light(&self.session().await, &self.vin(), on).await.expect("a light that does as it is told");
        self.pass_time(Duration::from_secs(1)).await;
        self.bright().await.expect("a picture")
    }
    async fn bright(&self) -> Result<i32, AccessError> {
        let still = self.adapter.still(&self.session().await, &self.vin()).await?;
        assert_eq!((still.width, still.height), (64, 48));
        Ok(i32::from(still.brightness_permille))
    }
    async fn reach(&self) -> Reachability {
        self.adapter.reachability(&self.session().await, &self.vin()).await.expect("an answer")
    }
}

#[tokio::test]
async fn a_camera_that_is_live_shows_the_light_at_once_and_not_before() {
    let rig = GarageRig::front().await;
    let facts = rig.adapter.facts();
    assert_eq!((facts.lid_state, facts.position), (Source::Observed, Source::Observed));
    let dark = rig.lit(false).await;
    for _ in 0..3 {
        assert!(rig.lit(true).await - dark > 100, "it sees the light");
        assert!((rig.lit(false).await - dark).abs() < SAME_PERMILLE, "and that it is gone");
    }
}

#[tokio::test]
async fn a_frozen_camera_and_a_looped_clip_do_not_see_the_light_although_the_server_calls_them_well() {
    let rig = GarageRig::front().await;
    // Somebody comes home, and the attacker records it.
    rig.lit(false).await;
    rig.pass_time(Duration::from_secs(8)).await;
    let (lit, dark) = (rig.lit(true).await, rig.lit(false).await);
    rig.hand_action("freeze_camera").await;
    for on in [true, false, true] {
        assert_eq!(rig.lit(on).await, rig.bright().await.unwrap(), "the same picture for ever");
        assert!((rig.bright().await.unwrap() - dark).abs() < SAME_PERMILLE);
    }
    rig.hand_action("mend_camera").await;
    rig.lit(false).await;
    rig.pass_time(Duration::from_secs(30)).await;
    let dark = rig.bright().await.unwrap();
    rig.lit(true).await;
    rig.lit(false).await;
    rig.hand_action("loop_camera").await;
    assert_eq!(rig.reach().await, Reachability::Available, "nothing tells");
    let mut shown = Vec::new();
    for _ in 0..22 {
        rig.pass_time(Duration::from_secs(1)).await;
        shown.push(rig.bright().await.unwrap());
    }
    assert!(shown.iter().any(|b| b - dark > 100), "it moves, with nobody at the light: {shown:?} {dark} {lit}");
    assert!(shown.windows(2).any(|w| w[0] != w[1]));
}

#[tokio::test]
async fn whatever_is_away_keeps_the_door_from_being_called_reachable() {
    let rig = GarageRig::front().await;
    assert_eq!(rig.reach().await, Reachability::Available);
    for (lost, found) in
        [("lose_lock", "regain_lock"), ("blind_camera", "mend_camera"), ("lose_network", "regain_network")]
    {
        rig.hand_action(lost).await;
        assert_eq!(rig.reach().await, Reachability::NoConnection, "{lost}");
        rig.hand_action(found).await;
        assert_eq!(rig.reach().await, Reachability::Available, "{found}");
    }
    rig.hand_action("blind_camera").await;
    assert_eq!(rig.bright().await, Err(AccessError::CarSilent), "which says nothing of the server");
    rig.hand_action("lose_network").await;
    let light = rig.adapter.light(&rig.session().await, &rig.vin(), true).await;
    assert_eq!(light, Err(AccessError::CarSilent), "called with success, and dark");
    assert_eq!(rig.lid().await, (LidState::Unknown, LockState::Unknown));
}

#[tokio::test]
async fn a_door_is_unlocked_shut_and_locked_and_a_bolt_beside_an_open_door_or_a_bent_one_is_no_lock() {
    let rig = GarageRig::front().await;
    assert_eq!(rig.lid().await, (LidState::Closed, LockState::Locked));
    assert_eq!(rig.command(OPEN).await.outcome, Outcome::Done(Confirmation::Observed));
    rig.hand_action("open_door").await;
    assert_eq!(rig.lid().await, (LidState::Open, LockState::Unlocked));
    assert_eq!(rig.command(Command::Lock).await.outcome, Outcome::DidNotHappen(Refusal::NotClosed));
    rig.hand_action("shut_door").await;
    rig.hand_action("bend_bolt").await;
    assert_eq!(
        rig.command(Command::Lock).await.outcome,
        Outcome::DidNotHappen(Refusal::CarFailed),
        "a success, jammed"
    );
    assert_eq!(rig.lid().await, (LidState::Closed, LockState::Unknown));
    rig.hand_action("mend_bolt").await;
    rig.hand_action("turn_key").await;
    rig.command(Command::Lock).await;
    assert_eq!(rig.lid().await, (LidState::Closed, LockState::Locked));
    rig.hand_action("lose_lock").await;
    assert_eq!(rig.command(OPEN).await.outcome, Outcome::DidNotHappen(Refusal::Unreachable));
}

#[tokio::test]
async fn a_snapshot_is_the_cameras_picture_and_another_each_time_until_the_camera_hangs() {
    let rig = GarageRig::front().await;
    let taken = async || rig.adapter.snapshot(&rig.session().await, &rig.vin()).await;
    let mut before = taken().await.unwrap();
    assert!(before.0.starts_with(b"\x89PNG"));
    assert!(format!("{before:?}").len() < 40, "it does not print");
    for _ in 0..3 {
        rig.pass_time(Duration::from_secs(1)).await;
        let now = taken().await.unwrap();
        assert!(now != before);
        before = now;
    }
    rig.hand_action("freeze_camera").await;
    before = taken().await.unwrap();
    rig.pass_time(Duration::from_secs(1)).await;
    assert!(taken().await.unwrap() == before);
    rig.hand_action("blind_camera").await;
    assert_eq!(taken().await, Err(AccessError::CarSilent));
}

#[tokio::test]
async fn a_house_says_of_each_door_what_it_has_and_of_a_garage_that_nothing_sees_it() {
    let rig = GarageRig::front().await;
    let found = rig.adapter.vehicles(&rig.session().await).await.unwrap();
    let told: Vec<_> = found.iter().map(|f| (f.can_open.clone(), f.can_lock, f.publishes_position)).collect();
    assert_eq!(told, [(vec![AccessClass::Door], true, true), (vec![], false, true)]);

    let garage = GarageRig::new().await;
    let session = garage.session().await;
    assert_eq!(garage.adapter.still(&session, &garage.vin()).await, Err(AccessError::NotSupported));
    assert_eq!(garage.adapter.snapshot(&session, &garage.vin()).await, Err(AccessError::NotSupported));
    assert_eq!(garage.adapter.light(&session, &garage.vin(), true).await, Err(AccessError::NotSupported));
}
