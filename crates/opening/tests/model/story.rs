//! Who may do what next, and the laws.

use parcelshelf_core::actuation::{LockProof, Refusal};
use parcelshelf_opening::attempt::{Effect, Phase, UseFate};
use stateright::{Model, Property};

use crate::keyholder::{self, Sabotage};
use crate::world::{Answer, Asker, Block, DEVICES, Fate, Flight, Told, World, at};

/// How far is looked: crashes, minutes after the grant's window, answers that get lost.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    pub sabotage: Sabotage,
    /// Devices that ask.
    pub couriers: usize,
    pub owner_blocks: bool,
    pub owner_locks: bool,
    pub crashes: u8,
    pub minutes: u8,
    pub answers_lost: u8,
}
impl Story {
    /// One courier, nothing goes wrong; the tests add what does.
    pub const QUIET: Self = Self {
        sabotage: Sabotage::Nothing,
        couriers: 1,
        owner_blocks: false,
        owner_locks: false,
        crashes: 0,
        minutes: 0,
        answers_lost: 0,
    };
}

/// One step of somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A courier's device makes its one proof. Whether, when and how often it arrives is the front's.
    CourierAsks(usize),
    /// The front hands a request over: late, out of order, again; or one that a malicious carrier made up.
    FrontDelivers(Asker),
    Intends,
    Starts(usize),
    OpenLeaves(usize),
    /// Only a sabotaged keyholder does this so late.
    WritesLeaf(usize),
    CloudActs(usize),
    CloudAnswers(usize),
    CloudRefusesForGood(usize),
    CloudSaysNotYet(usize),
    AnswerIsLost(usize),
    CourierShutsTheLid,
    LockLeaves(usize),
    LockAnswerIsLost(usize),
    CarIsRead(usize),
    TimerRings(usize),
    OwnerLocks(usize),
    OwnerBlocks,
    BlockIsAnswered,
    OperatorAcknowledges(usize),
    Crashes,
    Restarts,
    MinutePasses,
}

impl Model for Story {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::first()]
    }

    fn actions(&self, w: &World, steps: &mut Vec<Step>) {
        people(self, w, steps);
        cloud(self, w, steps);
        if w.memory.is_some() {
            keyholder_steps(self, w, steps);
        } else {
            steps.push(Step::Restarts);
        }
        if w.memory.is_some() && w.crashes < self.crashes {
            steps.push(Step::Crashes);
        }
        let leaving = w.memory.as_ref().is_some_and(|m| m.open_leaves.contains(&true));
        if w.minute < self.minutes && !leaving {
            steps.push(Step::MinutePasses);
        }
    }

    fn next_state(&self, w: &World, step: Step) -> Option<World> {
        let mut next = w.clone();
        take(self, &mut next, step)?;
        (next != *w).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_GRANT, |_, w: &World| !w.broken.opened_without_grant),
            Property::always(ONCE, |_, w: &World| w.car.openings <= 1),
            Property::always(LEAF_FIRST, |_, w: &World| !w.broken.left_without_leaf),
            Property::always(BLOCK, |_, w: &World| !w.broken.left_after_block),
            Property::always(PROMISE, |_, w: &World| !w.broken.opened_after_promise),
            Property::always(LOCK, |_, w: &World| !w.broken.lock_refused),
            Property::always(NOT_RETURNED, |_, w: &World| !w.broken.returned_while_it_may_act),
            Property::sometimes(DELIVERED, |_, w: &World| {
                w.car.openings == 1 && w.rows.iter().any(|r| r.phase == Phase::Locked(LockProof::Observed))
            }),
            Property::sometimes(PREVENTED, |_, w: &World| {
                let never = |r: &_| matches!(r, Phase::DidNotHappen(Refusal::NeverSent));
                w.block == Block::Acknowledged { until: None }
                    && w.flights.is_empty()
                    && w.rows.iter().any(|r| never(&r.phase))
            }),
            Property::sometimes(UNKNOWN, |_, w: &World| {
                let taken_as_opened = |r: &&_| {
                    let r: &parcelshelf_opening::attempt::AttemptParts = r;
                    r.usage == UseFate::Spent && r.opened_at.is_none()
                };
                w.car.openings == 0 && w.rows.iter().any(|r| taken_as_opened(&r))
            }),
        ]
    }
}

pub const NO_GRANT: &str = "no opening at the car without a live grant of its owner";
pub const ONCE: &str = "at most one opening per use";
pub const LEAF_FIRST: &str = "a leaf before any command";
pub const BLOCK: &str = "no opening command leaves after a block acknowledged as settled";
pub const PROMISE: &str = "nothing acts after the end that an acknowledged block named";
pub const LOCK: &str = "a lock is never refused";
pub const NOT_RETURNED: &str = "a use is not returned while its command may act";
pub const DELIVERED: &str = "a delivery succeeds";
pub const PREVENTED: &str = "a block prevents an opening";
pub const UNKNOWN: &str = "an outcome stays unknown and counts as opened";
/// Every law that must hold in every state.
pub const LAWS: [&str; 7] = [NO_GRANT, ONCE, LEAF_FIRST, BLOCK, PROMISE, LOCK, NOT_RETURNED];

fn people(story: &Story, w: &World, steps: &mut Vec<Step>) {
    steps.extend((0..story.couriers).filter(|d| !w.asked[*d]).map(Step::CourierAsks));
    if w.car.lid_open {
        steps.push(Step::CourierShutsTheLid);
    }
}

fn cloud(story: &Story, w: &World, steps: &mut Vec<Step>) {
    for (n, flight) in w.flights.iter().enumerate() {
        if flight.may_act(w.minute) {
            steps.push(Step::CloudActs(n));
        }
        if flight.answered || w.memory.is_none() {
            continue;
        }
        match flight.fate {
            Fate::Acted => steps.push(Step::CloudAnswers(n)),
            Fate::Pending => steps.extend([Step::CloudRefusesForGood(n), Step::CloudSaysNotYet(n)]),
            Fate::Refused => {}
        }
        if w.answers_lost < story.answers_lost {
            steps.push(Step::AnswerIsLost(n));
        }
    }
}

fn keyholder_steps(story: &Story, w: &World, steps: &mut Vec<Step>) {
    let Some(memory) = &w.memory else { return };
    if memory.judged.is_some() {
        steps.push(Step::Intends);
    } else {
        steps.push(Step::FrontDelivers(Asker::Forger));
        steps.extend((0..DEVICES).filter(|d| w.asked[*d]).map(|d| Step::FrontDelivers(Asker::Device(d))));
    }
    match w.block {
        Block::NotAsked if story.owner_blocks => steps.push(Step::OwnerBlocks),
        Block::Durable(_) => steps.push(Step::BlockIsAnswered),
        Block::NotAsked | Block::Acknowledged { .. } => {}
    }
    for (i, row) in w.rows.iter().enumerate() {
        if memory.licences[i].is_some() {
            steps.push(Step::Starts(i));
        }
        if memory.open_leaves[i] {
            steps.push(Step::OpenLeaves(i));
        }
        if memory.lock_leaves[i] {
            steps.push(Step::LockLeaves(i));
            if w.answers_lost < story.answers_lost {
                steps.push(Step::LockAnswerIsLost(i));
            }
        }
        if !w.leaves[i] && w.flights.iter().any(|f| f.attempt == i) {
            steps.push(Step::WritesLeaf(i));
        }
        if !row.ended && row.read_due.is_some() {
            steps.push(Step::CarIsRead(i));
        }
        if !row.ended && row.timer.is_some_and(|t| t <= w.now()) {
            steps.push(Step::TimerRings(i));
        }
        if story.owner_locks && !w.owner_locked {
            steps.push(Step::OwnerLocks(i));
        }
        if row.alarm.is_some_and(|a| a.acknowledged_at.is_none()) {
            steps.push(Step::OperatorAcknowledges(i));
        }
    }
}

fn take(story: &Story, w: &mut World, step: Step) -> Option<()> {
    match step {
        Step::CourierAsks(d) => w.asked[d] = true,
        Step::FrontDelivers(asker) => keyholder::judge(w, asker)?,
        Step::Intends => keyholder::intend(w, story.sabotage)?,
        Step::Starts(i) => keyholder::start(w, i, story.sabotage)?,
        Step::OpenLeaves(i) => open_leaves(w, i)?,
        Step::WritesLeaf(i) => w.leaves[i] = true,
        Step::CloudActs(n) => cloud_acts(w, n),
        Step::CloudAnswers(n) => answer(w, n, Answer::Executed),
        Step::CloudRefusesForGood(n) => {
            w.flights[n].fate = Fate::Refused;
            answer(w, n, Answer::Never);
        }
        Step::CloudSaysNotYet(n) => answer(w, n, Answer::NotYet { left: w.flights[n].left }),
        Step::AnswerIsLost(n) => {
            w.answers_lost += 1;
            answer(w, n, Answer::Lost { left: w.flights[n].left });
        }
        Step::CourierShutsTheLid => (w.car.lid_open, w.car.lid_changed) = (false, at(w.minute)),
        Step::LockLeaves(i) => lock_leaves(w, i, false)?,
        Step::LockAnswerIsLost(i) => {
            w.answers_lost += 1;
            lock_leaves(w, i, true)?;
        }
        Step::CarIsRead(i) => told(w, i, &Told::Read(w.car.reading(w.minute))),
        Step::TimerRings(i) => told(w, i, &Told::Timer),
        Step::OwnerLocks(i) => owner_locks(w, i),
        Step::OwnerBlocks => keyholder::block(w),
        Step::BlockIsAnswered => keyholder::acknowledge_block(w),
        Step::OperatorAcknowledges(i) => told(w, i, &Told::Acknowledged),
        Step::Crashes => {
            w.crashes += 1;
            w.memory = None;
            // The owner got no answer and asks again.
            if matches!(w.block, Block::Durable(_)) {
                w.block = Block::NotAsked;
            }
        }
        Step::Restarts => keyholder::restart(w, story.sabotage),
        Step::MinutePasses => w.minute += 1,
    }
    Some(())
}

fn told(w: &mut World, i: usize, what: &Told) {
    keyholder::tell(w, i, what);
}

fn open_leaves(w: &mut World, i: usize) -> Option<()> {
    w.memory.as_mut()?.open_leaves[i] = false;
    w.broken.left_without_leaf |= !w.leaves[i];
    w.broken.left_after_block |= w.block == Block::Acknowledged { until: None };
    w.flights.push(Flight { attempt: i, left: w.minute, fate: Fate::Pending, answered: false });
    Some(())
}

fn cloud_acts(w: &mut World, n: usize) {
    w.flights[n].fate = Fate::Acted;
    w.car.pop(w.minute);
    w.broken.opened_without_grant |= !w.intended_under_grant[w.flights[n].attempt];
    if let Block::Acknowledged { until } = w.block {
        w.broken.opened_after_promise |= until.is_none_or(|until| w.now() >= until);
    }
}

fn answer(w: &mut World, n: usize, answer: Answer) {
    w.flights[n].answered = true;
    told(w, w.flights[n].attempt, &Told::Answered(answer));
}

/// A bolt does not engage while the lid is in its way.
fn lock_leaves(w: &mut World, i: usize, answer_lost: bool) -> Option<()> {
    w.memory.as_mut()?.lock_leaves[i] = false;
    let lid_in_the_way = w.car.lid_open;
    if !lid_in_the_way && !w.car.locked {
        (w.car.locked, w.car.lock_changed) = (true, at(w.minute));
    }
    let done = !lid_in_the_way && !answer_lost;
    told(w, i, &Told::LockAnswered { done, lid_in_the_way: lid_in_the_way && !answer_lost });
    Some(())
}

/// Sent, or joined to one that is under way.
fn owner_locks(w: &mut World, i: usize) {
    w.owner_locked = true;
    let under_way = w.rows[i].lock.in_flight_since.is_some();
    let effects = keyholder::tell(w, i, &Told::OwnerLocks);
    w.broken.lock_refused |= !under_way && !effects.contains(&Effect::SendLock);
}
