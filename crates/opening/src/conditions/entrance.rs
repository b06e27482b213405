//! Under which conditions a garage door, a gate or a front door is opened.
//!
//! Of a front door more is asked, for somebody goes in and a hand shuts it: its bolt tells that it is locked, its camera is proved
//! to show what is there now, and the first picture of the recording is in hand, to be written with the intent.
//!
//! Nothing is asked of it that only a car can tell: it is not parked, used or located. The carrier knows the address, so that no
//! place is disclosed; where the house stands is read for one request, to hold the courier's phone against it.

use parcelshelf_core::actuation::{AccessClass, Shuts};
use parcelshelf_core::area::{Area, Position};
use parcelshelf_core::id::GrantId;
use parcelshelf_core::time::{Timestamp, Window};

use crate::liveness::Verdict;

use super::{ATTEMPTS_MAX, Denial, Fact, OPEN_ACCURACY_CAP_M, OPEN_DISTANCE_M, OpenPermit, Presence, live, usable};

/// Facts for opening an entrance of a house.
#[derive(Clone, Debug)]
pub struct EntranceFacts<'a> {
    pub now: Timestamp,
    /// `jti` of link 0, whose chain the caller has verified over the bytes received.
    pub grant: GrantId,
    pub grant_window: Window,
    /// Link 1's; for guests and rehearsals, which have no link 1, the grant's own.
    pub delegation_window: Window,
    pub blocked: bool,
    pub area: &'a Area,
    /// Where the house stands, as what moves the door tells it.
    pub house: Option<Position>,
    /// The phone's position from the proof of this request.
    pub phone: Option<Position>,
    /// The drive answers, and so does what watches the doorway, which is free.
    pub reachable: Fact,
    pub closed: Fact,
    pub class: AccessClass,
    pub granted: &'a [AccessClass],
    pub supported: &'a [AccessClass],
    /// What is asked of a door that a hand shuts; a drive's has none.
    pub front: Option<FrontFacts>,
    /// Attempts of this delivery so far, this one not counted.
    pub attempts: u8,
}

/// Facts of a front door.
#[derive(Clone, Copy, Debug)]
pub struct FrontFacts {
    /// Its bolt says so itself.
    pub locked: Fact,
    /// Of its camera; [`Verdict::Unknown`] as long as it was not asked.
    pub camera: Verdict,
    /// The recording's first picture was taken after the camera was proved, and can be kept.
    pub recorded: Fact,
}
impl FrontFacts {
    /// The camera comes last: it is asked, with a light that goes on and off, only when everything else is as it must be.
    fn judge(&self, now: Timestamp) -> Result<(), Denial> {
        if self.locked != Fact::Yes {
            return Err(Denial::NotLocked);
        }
        match self.camera {
            Verdict::Live { until } if now <= until => {}
            Verdict::Live { .. } | Verdict::Unknown => return Err(Denial::CameraUntold),
            Verdict::NotLive(_) => return Err(Denial::CameraNotLive),
        }
        if self.recorded == Fact::Yes { Ok(()) } else { Err(Denial::NotRecorded) }
    }
}

/// Judges *open* at a house. **Unknown counts as no**, and no consent stands in.
///
/// # Errors
/// The first [`Denial`] in the order of the text.
pub fn open_entrance(f: &EntranceFacts<'_>) -> Result<OpenPermit, Denial> {
    live(f.blocked, &f.grant_window, &f.delegation_window, f.now)?;
    let house = usable(f.house).ok_or(Denial::HousePlaceUnusable)?;
    if !f.area.contains(&house) {
        return Err(Denial::HouseNotInArea);
    }
    let phone = usable(f.phone).ok_or(Denial::PhonePositionUnusable)?;
    let capped = house.accuracy_m().min(OPEN_ACCURACY_CAP_M) + phone.accuracy_m().min(OPEN_ACCURACY_CAP_M);
    if house.distance_m(&phone) > OPEN_DISTANCE_M + capped {
        return Err(Denial::PhoneFarFromHouse);
    }
    if f.reachable != Fact::Yes {
        return Err(Denial::NotReachable);
    }
    if f.closed != Fact::Yes {
        return Err(Denial::NotClosed);
    }
    if !f.granted.contains(&f.class) {
        return Err(Denial::ClassNotGranted);
    }
    if !f.supported.contains(&f.class) {
        return Err(Denial::ClassNotSupported);
    }
    if f.attempts >= ATTEMPTS_MAX {
        return Err(Denial::TooManyAttempts);
    }
    match (f.class.shuts(), &f.front) {
        (Shuts::ByCommand, _) => {}
        (Shuts::ByHand, Some(front)) => front.judge(f.now)?,
        // Nobody knows how it is shut.
        (Shuts::ByHand, None) => return Err(Denial::ClassNotSupported),
    }
    Ok(OpenPermit { grant: f.grant, at: f.now, class: f.class, presence: Presence::Near })
}

#[cfg(test)]
mod tests {
    use parcelshelf_core::area::Cell;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn house() -> Position {
        Position::new(59.33, 18.06, 50.0).unwrap()
    }
    fn good(area: &Area) -> EntranceFacts<'_> {
        let window = Window::new(NOW.plus_seconds(-60), NOW.plus_seconds(600)).unwrap();
        EntranceFacts {
            now: NOW,
            grant: GrantId::from_bytes([1; 16]),
            grant_window: window,
            delegation_window: window,
            blocked: false,
            area,
            house: Some(house()),
            phone: Some(house().moved(90.0, 100.0)),
            reachable: Fact::Yes,
            closed: Fact::Yes,
            class: AccessClass::Garage,
            granted: &[AccessClass::Garage],
            supported: &[AccessClass::Garage],
            front: None,
            attempts: 0,
        }
    }
    const LIVE: Verdict = Verdict::Live { until: NOW };
    fn front(area: &Area, front: FrontFacts) -> EntranceFacts<'_> {
        const DOOR: &[AccessClass] = &[AccessClass::Door];
        EntranceFacts { class: AccessClass::Door, granted: DOOR, supported: DOOR, front: Some(front), ..good(area) }
    }

    #[test]
    fn a_front_door_needs_its_bolt_a_camera_that_is_live_now_and_a_recording_that_has_begun() {
        let area = Area::new(vec![Cell::of(&house())]).unwrap();
        let ready = FrontFacts { locked: Fact::Yes, camera: LIVE, recorded: Fact::Yes };
        let judged = |facts: FrontFacts| open_entrance(&front(&area, facts)).map(|permit| permit.class());
        assert_eq!(judged(ready), Ok(AccessClass::Door));
        use crate::liveness::Lie;
        let past = Verdict::Live { until: NOW.plus_millis(-1) };
        for (facts, denial) in [
            (FrontFacts { locked: Fact::No, ..ready }, Denial::NotLocked),
            (FrontFacts { locked: Fact::Unknown, ..ready }, Denial::NotLocked),
            (FrontFacts { recorded: Fact::Unknown, ..ready }, Denial::NotRecorded),
            (FrontFacts { recorded: Fact::No, ..ready }, Denial::NotRecorded),
            (FrontFacts { recorded: Fact::Inferred, ..ready }, Denial::NotRecorded),
            (FrontFacts { camera: Verdict::Unknown, ..ready }, Denial::CameraUntold),
            (FrontFacts { camera: past, ..ready }, Denial::CameraUntold),
            (FrontFacts { camera: Verdict::NotLive(Lie::NothingMoves), ..ready }, Denial::CameraNotLive),
            (FrontFacts { camera: Verdict::NotLive(Lie::Disagrees), ..ready }, Denial::CameraNotLive),
        ] {
            assert_eq!(judged(facts), Err(denial), "{facts:?}");
        }
        // The light is left alone unless everything else is as it must be.
        let dark = FrontFacts { camera: Verdict::Unknown, recorded: Fact::Unknown, ..ready };
        assert_eq!(judged(dark), Err(Denial::CameraUntold), "the camera is asked before anything is recorded");
        let open = EntranceFacts { closed: Fact::No, ..front(&area, dark) };
        assert_eq!(open_entrance(&open), Err(Denial::NotClosed));
        let often = EntranceFacts { attempts: ATTEMPTS_MAX, ..front(&area, dark) };
        assert_eq!(open_entrance(&often), Err(Denial::TooManyAttempts));
    }

    #[test]
    fn every_condition_of_a_house_is_asked_and_unknown_counts_as_no() {
        let area = Area::new(vec![Cell::of(&house())]).unwrap();
        let permit = open_entrance(&good(&area)).unwrap();
        assert_eq!((permit.class(), permit.presence()), (AccessClass::Garage, Presence::Near));
        let elsewhere = Area::new(vec![Cell::of(&house().moved(0.0, 20_000.0))]).unwrap();
        const EVERY: [AccessClass; 6] = AccessClass::ALL;
        let vague = Position::new(59.33, 18.06, 5_000.0).unwrap();
        let past = Window::new(NOW.plus_seconds(-600), NOW.plus_seconds(-60)).unwrap();
        let g = || good(&area);
        let table = [
            (EntranceFacts { blocked: true, ..g() }, Denial::Blocked),
            (EntranceFacts { grant_window: past, ..g() }, Denial::OutsideWindow),
            (EntranceFacts { delegation_window: past, ..g() }, Denial::OutsideWindow),
            (EntranceFacts { house: None, ..g() }, Denial::HousePlaceUnusable),
            (EntranceFacts { house: Some(vague), ..g() }, Denial::HousePlaceUnusable),
            (EntranceFacts { area: &elsewhere, ..g() }, Denial::HouseNotInArea),
            (EntranceFacts { phone: None, ..g() }, Denial::PhonePositionUnusable),
            (EntranceFacts { phone: Some(house().moved(90.0, 400.0)), ..g() }, Denial::PhoneFarFromHouse),
            (EntranceFacts { reachable: Fact::Unknown, ..g() }, Denial::NotReachable),
            (EntranceFacts { reachable: Fact::No, ..g() }, Denial::NotReachable),
            (EntranceFacts { reachable: Fact::Inferred, ..g() }, Denial::NotReachable),
            (EntranceFacts { closed: Fact::Unknown, ..g() }, Denial::NotClosed),
            (EntranceFacts { closed: Fact::No, ..g() }, Denial::NotClosed),
            (EntranceFacts { granted: &[AccessClass::Gate], ..g() }, Denial::ClassNotGranted),
            (EntranceFacts { supported: &[], ..g() }, Denial::ClassNotSupported),
            (
                EntranceFacts { class: AccessClass::Door, granted: &EVERY, supported: &EVERY, ..g() },
                Denial::ClassNotSupported,
            ),
            (EntranceFacts { attempts: ATTEMPTS_MAX, ..g() }, Denial::TooManyAttempts),
        ];
        for (facts, denial) in table {
            assert_eq!(open_entrance(&facts), Err(denial), "{facts:?}");
        }
    }
}
