//! What is particular about this server, shown at the simulated one: where the two differ, the real one's tests say.

use std::time::Duration;

use parcelshelf_access::conformance::Rig as _;
use parcelshelf_access::{Access as _, AccessError, Command, LidState, LockState, Reachability};
use parcelshelf_access_homeassistant::ADMINISTRATOR;
use parcelshelf_core::actuation::{AccessClass, Confirmation, Outcome, Refusal};

use crate::rig::GarageRig;

const OPEN: Command = Command::Open(AccessClass::Garage);

#[tokio::test]
async fn a_door_that_warns_first_changes_nothing_at_once_and_is_watched() {
    let rig = GarageRig::with(3_000, 5_000).await;
    rig.opened().await;
    let sent = rig.command(Command::Lock).await;
    assert_eq!((sent.outcome, sent.handle), (Outcome::Unknown, None), "an empty list is no proof");
    assert_eq!(rig.lid().await, (LidState::Open, LockState::Unlocked), "it warns");
    rig.pass_time(Duration::from_secs(6)).await;
    assert_eq!(rig.lid().await, (LidState::Ajar, LockState::Unlocked), "on its way");
    let again = rig.command(Command::Lock).await;
    assert_eq!(again.outcome, Outcome::Unknown);
    assert_eq!(rig.commands_arrived().await, 1, "and is not told again");
    rig.pass_time(Duration::from_secs(3)).await;
    assert_eq!(rig.lid().await, (LidState::Closed, LockState::Locked));
}

#[tokio::test]
async fn something_in_its_way_a_drive_that_breaks_and_a_lost_line_are_told_apart() {
    let rig = GarageRig::with(3_000, 0).await;
    rig.opened().await;
    rig.hand_action("break_drive").await;
    rig.command(Command::Lock).await;
    rig.pass_time(Duration::from_secs(9)).await;
    assert_eq!(rig.lid().await, (LidState::Stuck, LockState::Unlocked), "half way, and still");
    rig.hand_action("mend_drive").await;

    rig.hand_action("block_doorway").await;
    assert_eq!(rig.lid().await.0, LidState::Stuck);
    assert_eq!(rig.command(Command::Lock).await.outcome, Outcome::DidNotHappen(Refusal::NotClosed));
    rig.hand_action("clear_doorway").await;
    assert!(matches!(rig.command(Command::Lock).await.outcome, Outcome::Unknown | Outcome::Done(_)));
    rig.pass_time(Duration::from_secs(9)).await;
    assert_eq!(rig.lid().await.0, LidState::Closed);

    rig.hand_action("lose_network").await;
    assert_eq!(rig.lid().await, (LidState::Unknown, LockState::Unknown));
    let session = rig.session().await;
    assert_eq!(rig.adapter.reachability(&session, &rig.vin()).await, Ok(Reachability::NoConnection));
    assert_eq!(rig.command(OPEN).await.outcome, Outcome::DidNotHappen(Refusal::Unreachable));
}

#[tokio::test]
async fn a_hand_is_told_from_a_command_while_the_server_remembers_and_at_the_doorway_always() {
    let rig = GarageRig::with(3_000, 0).await;
    rig.opened().await;
    let seen = rig.at_door().await;
    assert_eq!((seen.leaf.value, seen.leaf.by_hand, seen.in_the_way.value), (LidState::Open, true, Some(false)));
    rig.command(Command::Lock).await;
    let seen = rig.at_door().await;
    assert_eq!((seen.leaf.value, seen.leaf.by_hand), (LidState::Ajar, false), "on its way, as it was told");
    rig.pass_time(Duration::from_secs(4)).await;
    let seen = rig.at_door().await;
    assert_eq!((seen.leaf.value, seen.leaf.by_hand), (LidState::Closed, false));
    let before = seen.in_the_way.changed_at;
    rig.hand_action("block_doorway").await;
    let seen = rig.at_door().await;
    assert_eq!((seen.leaf.value, seen.in_the_way.value, seen.in_the_way.by_hand), (LidState::Closed, Some(true), true));
    assert!(seen.in_the_way.changed_at > before);

    // The trap: a door that warns for longer than the server remembers moves as if nobody had told it.
    let slow = GarageRig::with(3_000, 9_000).await;
    slow.opened().await;
    slow.command(Command::Lock).await;
    slow.pass_time(Duration::from_secs(30)).await;
    let seen = slow.at_door().await;
    assert_eq!(
        (seen.leaf.value, seen.leaf.by_hand),
        (LidState::Closed, true),
        "which is why the doorway is asked, too"
    );
}

#[tokio::test]
async fn a_house_that_is_away_answers_nothing() {
    let rig = GarageRig::with(3_000, 0).await;
    rig.post("/__sim/outage", "{\"seconds\":60}").await;
    let session = rig.session().await;
    assert_eq!(rig.adapter.closures(&session, &rig.vin()).await.err(), Some(AccessError::Unreachable));
    rig.pass_time(Duration::from_secs(61)).await;
    assert_eq!(rig.lid().await.0, LidState::Closed);
}

#[tokio::test]
async fn an_administrator_is_not_linked_here_either() {
    let rig = GarageRig::with(3_000, 0).await;
    let code = rig.code_of("owner").await;
    let refused = rig.adapter.exchange_code(&code, "", rig.session().await.now).await.err();
    assert_eq!(refused, Some(AccessError::OwnerActionNeeded(ADMINISTRATOR)));
}

#[tokio::test]
async fn a_quick_door_is_seen_open_under_the_calls_own_context() {
    let rig = GarageRig::with(1, 0).await;
    rig.command(OPEN).await;
    rig.pass_time(Duration::from_secs(1)).await;
    assert_eq!(rig.command(Command::Lock).await.outcome, Outcome::Unknown, "closing is not closed");
    rig.pass_time(Duration::from_secs(1)).await;
    assert_eq!(rig.command(Command::Lock).await.outcome, Outcome::Done(Confirmation::Accepted), "it was so before");
}
