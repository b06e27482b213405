//! What is known of a car right now, as facts for the conditions. Positions live in this request's memory only.

use parcelshelf_access::{AccessError, Closures, Facts, LidState, Located, LockState, Reachability};
use parcelshelf_core::actuation::{Outcome, Source};
use parcelshelf_opening::attempt::{CarReading, Lid, Lock};
use parcelshelf_opening::conditions::{Consents, Fact};
use parcelshelf_opening::readiness::Question;

use crate::Keyholder;
use crate::failure::Failure;
use crate::linking::Reached;
use crate::rows::{ConsentsPart, VehicleRow};

/// Facts of one moment. Does not print: a position is inside.
pub(crate) struct CarNow {
    pub located: Option<Located>,
    pub closures: Option<Closures>,
    pub reachability: Reachability,
    sources: Sources,
}
impl std::fmt::Debug for CarNow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CarNow(<redacted>)")
    }
}

/// A position that the car gave this recently, milliseconds, was given by a car that answers; longer than any call takes.
const FRESH_MS: i64 = 90_000;

/// Whether the maker lets the car's own state be read, by which closing and locking are seen.
pub(crate) const fn tells_lid_and_lock(facts: &Facts) -> bool {
    !matches!((facts.lid_state, facts.lock_state), (Source::NotAvailable, _) | (_, Source::NotAvailable))
}

#[derive(Clone, Copy)]
struct Sources {
    parked: Source,
    in_use: Source,
    nobody_inside: Source,
    lid_and_lock_told: bool,
}
impl Sources {
    const fn of(facts: &Facts) -> Self {
        Self {
            parked: facts.parked,
            in_use: facts.in_use,
            nobody_inside: facts.nobody_inside,
            lid_and_lock_told: tells_lid_and_lock(facts),
        }
    }
}

/// What a car's silence means: unknown. What the owner must mend, a quota, and a cloud that does not answer stop the request
/// at once: nothing can be judged of a car then, and the same question may be asked again.
fn unless_fatal<T>(answer: Result<T, AccessError>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(AccessError::NotSupported | AccessError::CarSilent | AccessError::Malformed(_)) => Ok(None),
        Err(
            e @ (AccessError::OwnerActionNeeded(_)
            | AccessError::RateLimited { .. }
            | AccessError::Credentials
            | AccessError::Unreachable
            | AccessError::Down { .. }),
        ) => Err(e.into()),
    }
}

impl Keyholder {
    /// Asks the maker where the car stands, and nothing else.
    pub(crate) async fn look_where(&self, car: &Reached) -> Result<CarNow, Failure> {
        let located = car.line.locate(&car.session).await;
        self.heed(car, located.as_ref().err()).await;
        Ok(CarNow {
            reachability: Reachability::Unknown,
            closures: None,
            located: unless_fatal(located)?,
            sources: Sources::of(car.line.facts()),
        })
    }

    /// A permission that the maker no longer knows is not asked for again.
    async fn heed(&self, car: &Reached, refused: Option<&AccessError>) {
        if let Some(AccessError::OwnerActionNeeded(why)) = refused {
            self.permission_lost(car.wallet, car.line.facts().maker, why).await;
        }
    }

    /// Asks the maker for everything that is needed, at once. The place only where it is: `with_place`.
    pub(crate) async fn look(&self, car: &Reached, with_place: bool) -> Result<CarNow, Failure> {
        let place =
            async { if with_place { car.line.locate(&car.session).await } else { Err(AccessError::NotSupported) } };
        let (reach, closures, located) =
            tokio::join!(car.line.reachability(&car.session), car.line.closures(&car.session), place,);
        for refused in [reach.as_ref().err(), closures.as_ref().err(), located.as_ref().err()] {
            self.heed(car, refused).await;
        }
        Ok(CarNow {
            reachability: unless_fatal(reach)?.unwrap_or(Reachability::Unknown),
            closures: unless_fatal(closures)?,
            located: unless_fatal(located)?,
            sources: Sources::of(car.line.facts()),
        })
    }

    /// Asks the maker for what a question of readiness is judged on, and for nothing else: makers count, and some bill.
    pub(crate) async fn look_for(
        &self,
        question: Question,
        car: &Reached,
        with_place: bool,
    ) -> Result<CarNow, Failure> {
        match question {
            Question::EveningBefore => self.look_whether_reachable(car).await,
            Question::StartOfWindow if with_place => self.look_where(car).await,
            Question::StartOfWindow => Ok(Self::silent(car)),
            Question::TenMinutesBefore => self.look(car, with_place).await,
        }
    }

    /// Whether the car can be reached. Where the maker does not say, its lids are read: then at least the permission is tried.
    async fn look_whether_reachable(&self, car: &Reached) -> Result<CarNow, Failure> {
        let reach = car.line.reachability(&car.session).await;
        self.heed(car, reach.as_ref().err()).await;
        match unless_fatal(reach)? {
            Some(Reachability::Unknown) | None => self.look(car, false).await,
            Some(reachability) => Ok(CarNow { reachability, ..Self::silent(car) }),
        }
    }

    /// What is known of a car that does not answer.
    pub(crate) fn silent(car: &Reached) -> CarNow {
        CarNow {
            reachability: Reachability::Unknown,
            closures: None,
            located: None,
            sources: Sources::of(car.line.facts()),
        }
    }

    /// As [`Keyholder::look`], for a courier who is near: a car that sleeps is woken, where the maker lets that be done, and
    /// looked at again. Calls are scarce; the adapter makes one and no second soon after.
    pub(crate) async fn look_awake(&self, car: &mut Reached) -> Result<CarNow, Failure> {
        let seen = self.look(car, true).await?;
        if seen.reachability != Reachability::Asleep || !car.line.facts().can_wake {
            return Ok(seen);
        }
        match car.line.wake(&car.session).await {
            Ok(Outcome::Done(_)) => {
                car.session.now = self.host.now();
                self.look(car, true).await
            }
            // It sleeps on, and that is what the conditions are told.
            Ok(_) | Err(_) => Ok(seen),
        }
    }
}

impl CarNow {
    /// Everything shut: lid and all doors that the car reports. `None`: not known.
    pub fn all_closed(&self) -> Option<bool> {
        let closures = self.closures.as_ref()?;
        let states = std::iter::once(closures.lid.value).chain(closures.doors.iter().map(|(_, r)| r.value));
        let mut all = Some(true);
        for state in states {
            match state {
                LidState::Closed => {}
                LidState::Open | LidState::Ajar | LidState::Stuck => return Some(false),
                LidState::Unknown => all = None,
            }
        }
        all
    }
    pub fn locked(&self) -> Option<bool> {
        match self.closures.as_ref()?.central_lock.value {
            LockState::Locked => Some(true),
            LockState::Unlocked => Some(false),
            LockState::Unknown => None,
        }
    }
    const fn available(&self) -> Option<bool> {
        match self.reachability {
            Reachability::Available => Some(true),
            Reachability::InUse => Some(false),
            _ => None,
        }
    }
    /// Shut, locked and not in use: from that a standing car is concluded where a maker does not say it.
    fn at_rest(&self) -> Option<bool> {
        let told = [self.available(), self.locked(), self.all_closed()];
        if told.contains(&Some(false)) {
            return Some(false);
        }
        if told.contains(&None) { None } else { Some(true) }
    }
    fn by(source: Source, observed: Option<bool>, inferred: Option<bool>) -> Fact {
        match source {
            Source::Observed => Fact::observed(observed),
            Source::Inferred(_) => Fact::inferred(inferred),
            Source::NotAvailable => Fact::Unknown,
        }
    }
    /// The car itself has just said where it is. A last known place says nothing of now.
    pub fn place_is_fresh(&self) -> bool {
        let age_ms = |l: &Located| l.taken_at.map(|at| l.read_at.millis_since(at));
        let age_ms = self.located.as_ref().filter(|l| !l.last_parked_only).and_then(age_ms);
        age_ms.is_some_and(|ms| (0..=FRESH_MS).contains(&ms))
    }
    /// Where a maker says nothing at all of it, a fresh place stands in: inside the area, and for an opening where the
    /// courier's phone is and where the car was when it was located. It stands only with the owner's consent to it.
    fn by_place(&self, source: Source, otherwise: Fact) -> Fact {
        let stands_in = source == Source::NotAvailable && self.place_is_fresh();
        if stands_in { Fact::Inferred } else { otherwise }
    }
    pub fn parked(&self) -> Fact {
        let told = Self::by(self.sources.parked, self.available(), self.at_rest());
        self.by_place(self.sources.parked, told)
    }
    pub fn not_in_use(&self) -> Fact {
        let told = Self::by(self.sources.in_use, self.available(), self.at_rest());
        self.by_place(self.sources.in_use, told)
    }
    pub fn nobody_inside(&self) -> Fact {
        Self::by(self.sources.nobody_inside, None, self.at_rest())
    }
    /// Whether what opens answers. A door that sleeps, is busy or says nothing does not.
    pub fn reachable(&self) -> Fact {
        Fact::observed(match self.reachability {
            Reachability::Available => Some(true),
            Reachability::NoConnection | Reachability::Busy | Reachability::InUse | Reachability::Asleep => Some(false),
            Reachability::Unknown => None,
        })
    }
    pub fn closed(&self) -> Fact {
        Fact::observed(self.all_closed())
    }
    /// A name for this parking that says nothing of where it is: by the maker's time of parking, else by the place.
    pub fn parking(&self, keyholder: &Keyholder, delivery: &[u8]) -> Option<String> {
        let located = self.located.as_ref()?;
        let named = match located.taken_at {
            Some(at) if located.last_parked_only => at.unix_millis().to_be_bytes().to_vec(),
            // Steps of about 100 m: readings of one parking differ by less, mostly.
            _ => [located.position.latitude_deg(), located.position.longitude_deg()]
                .iter()
                .flat_map(|degrees| ((degrees * 1_000.0).round() as i64).to_be_bytes())
                .collect(),
        };
        Some(keyholder.db.vault.pseudonym("parking", &[delivery, &named].concat()))
    }
}

/// The owner's named consents. What the owner did not say is no.
/// A consent to "nobody can see the lid" does not cover a car that can and does not just now.
pub(crate) fn consents(row: &VehicleRow, car: &CarNow) -> Consents {
    let none = ConsentsPart {
        nobody_inside: false,
        parked_inferred: false,
        tailgate_with_cabin: false,
        lid_and_lock_untold: false,
        statement: String::new(),
        assertion: String::new(),
    };
    let c = row.consents.as_ref().unwrap_or(&none);
    Consents {
        parked_inferred: c.parked_inferred,
        // One sentence covers both at enrolment: "that my car stands unused is concluded from other facts".
        not_in_use_inferred: c.parked_inferred,
        nobody_inside: c.nobody_inside,
        closed: c.lid_and_lock_untold && !car.sources.lid_and_lock_told,
    }
}

/// A maker's closures as an attempt reads them.
pub(crate) fn reading(closures: &Closures) -> CarReading {
    let lid = match closures.lid.value {
        LidState::Open => Lid::Open,
        LidState::Ajar => Lid::Ajar,
        LidState::Stuck => Lid::Stuck,
        LidState::Closed => Lid::Closed,
        LidState::Unknown => Lid::Unknown,
    };
    let lock = match closures.central_lock.value {
        LockState::Locked => Lock::Locked,
        LockState::Unlocked => Lock::Unlocked,
        LockState::Unknown => Lock::Unknown,
    };
    let doors = &closures.doors;
    let doors_all_closed = if doors.iter().any(|(_, r)| r.value.is_open()) {
        Some(false)
    } else if doors.is_empty() || doors.iter().any(|(_, r)| r.value == LidState::Unknown) {
        None
    } else {
        Some(true)
    };
    CarReading {
        lock,
        lid,
        doors_all_closed,
        lid_changed_at: closures.lid.changed_at,
        lock_changed_at: closures.central_lock.changed_at,
        read_at: closures.read_at,
    }
}
