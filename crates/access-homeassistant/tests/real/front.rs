//! A front door at a real server: its camera is a real one of that server's, and sees a light in a hall.

use std::sync::Arc;
use std::time::Duration;

use parcelshelf_access::{Access as _, AccessError, Command, LidState, LockState, Reachability, Session};
use parcelshelf_access_homeassistant::{Door, HomeAssistant, Things, Watch};
use parcelshelf_core::actuation::{AccessClass, Confirmation, Outcome, Refusal};
use parcelshelf_core::time::Clock as _;
use parcelshelf_core::vehicle::Vin;

use crate::between::{Between, Machine};
use crate::home::home;
use crate::rig::{a_door, adapter};

fn session() -> Session {
    Session { access_token: home().token.clone(), now: Machine::new().now() }
}
/// The door of the hall, with this camera.
fn front(camera: &str) -> (HomeAssistant, Vin) {
    let watch =
        Watch { contact: "binary_sensor.hall_contact".into(), camera: camera.into(), light: "light.hall".into() };
    let door = Door { lock: "lock.hall".into(), watch: Some(watch), ..a_door(0, "x", 'X') };
    let number = door.number.clone();
    (adapter(&home().base, Things::Doors(vec![door]), Arc::new(Between::new())), number)
}
async fn bright(access: &HomeAssistant, number: &Vin) -> u16 {
    let still = access.still(&session(), number).await.expect("a picture");
    assert_eq!((still.width, still.height), (640, 480));
    still.brightness_permille
}
async fn lit(access: &HomeAssistant, number: &Vin, on: bool) -> u16 {
    access.light(&session(), number, on).await.expect("a light that does as it is told");
    tokio::time::sleep(Duration::from_millis(500)).await;
    bright(access, number).await
}

/// One story: there is one hall.
#[tokio::test]
async fn a_front_door_is_seen_by_its_sensor_and_by_a_camera_that_follows_its_light() {
    let (access, number) = front("camera.hall");
    for on in [false, true, true, false, true, false] {
        let seen = lit(&access, &number, on).await;
        assert!(seen.abs_diff(if on { 549 } else { 274 }) <= 4, "{on}: {seen}");
    }
    assert_eq!(access.reachability(&session(), &number).await, Ok(Reachability::Available));

    home().switch("hall_camera_is_frozen", true).await;
    for on in [true, false, true] {
        assert_eq!(lit(&access, &number, on).await.abs_diff(274) / 5, 0, "the server calls it idle all the same");
    }
    assert_eq!(access.reachability(&session(), &number).await, Ok(Reachability::Available));
    home().switch("hall_camera_is_frozen", false).await;

    let closures = async || {
        let seen = access.closures(&session(), &number).await.expect("a reading");
        (seen.lid.value, seen.central_lock.value)
    };
    let send = async |command| {
        let prepared = access.prepare(command, &number, *b"front-----------", session().now);
        access.send(&session(), &prepared).await.outcome
    };
    let observed = Outcome::Done(Confirmation::Observed);
    assert_eq!(closures().await, (LidState::Closed, LockState::Locked));
    assert_eq!(send(Command::Open(AccessClass::Door)).await, observed);
    home().switch("hall_ajar", true).await;
    assert_eq!(closures().await, (LidState::Open, LockState::Unlocked));
    assert_eq!(send(Command::Lock).await, Outcome::DidNotHappen(Refusal::NotClosed), "a bolt beside an open door");
    home().switch("hall_ajar", false).await;
    assert_eq!(send(Command::Lock).await, observed);

    home().switch("hall_reachable", false).await;
    assert_eq!(closures().await.0, LidState::Unknown);
    assert_eq!(access.reachability(&session(), &number).await, Ok(Reachability::NoConnection));
    assert_eq!(access.light(&session(), &number, true).await, Err(AccessError::CarSilent), "called with success");
    home().switch("hall_reachable", true).await;
    let found = access.vehicles(&session()).await.expect("findings");
    assert_eq!((found[0].can_open.clone(), found[0].publishes_position), (vec![AccessClass::Door], true));
}

#[tokio::test]
async fn what_a_camera_shows_that_is_no_picture_or_no_camera_is_none() {
    let (access, number) = front("camera.odd");
    assert_eq!(access.still(&session(), &number).await, Err(AccessError::Malformed("still")));
    let (access, number) = front("camera.nobody");
    assert_eq!(access.still(&session(), &number).await, Err(AccessError::NotSupported));
    assert_eq!(access.reachability(&session(), &number).await, Err(AccessError::NotSupported));
    let found = access.vehicles(&session()).await.expect("findings");
    assert!(found[0].can_open.is_empty() && !found[0].can_lock);
    // The server's own demonstration cameras, one with JPEG and one with PNG.
    for camera in ["camera.demo_camera", "camera.demo_camera_png"] {
        let (access, number) = front(camera);
        let still = access.still(&session(), &number).await.expect("a picture");
        assert!(still.width > 0 && (1..=999).contains(&still.brightness_permille), "{camera}: {still:?}");
        let taken = access.snapshot(&session(), &number).await.expect("a picture").0;
        assert!(taken.starts_with(&[0xff, 0xd8, 0xff]) || taken.starts_with(b"\x89PNG"), "{camera}");
    }
}
