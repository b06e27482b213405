//! The keyholder of the model: the real machines, with the shell's transactions as single steps.
//!
//! A step changes the disk once, as one transaction does; between two steps the keyholder may crash. Each sabotage
//! takes one rule away.

use parcelshelf_core::actuation::{Confirmation, Outcome, Refusal};
use parcelshelf_core::id::GrantId;
use parcelshelf_core::time::Timestamp;
use parcelshelf_opening::attempt::{Attempt, By, Effect, Event, MakerRules, Phase, UseFate};
use parcelshelf_opening::conditions::{self, LocateFacts, OpenFacts, OpenPermit};
use parcelshelf_opening::grant::BlockEpoch;

use crate::support::{CONSENTS, GRANT, POP_MAKER, area, attempt_id, good_facts};
use crate::world::{Answer, Asker, Block, GrantRow, Judged, Licence, MINUTE_MS, Memory, Told, World, at};

/// What is wrong with the model's keyholder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sabotage {
    Nothing,
    LeafAfterCommand,
    BlockNotReadAgain,
    UseNotReserved,
    BlindRetry,
}

pub const RULES: MakerRules = MakerRules { unanswered_may_act_for_ms: MINUTE_MS, ..POP_MAKER };

/// Judges the conditions with the grant as it reads now. Nothing is reserved.
pub fn judge(w: &mut World, asker: Asker) -> Option<()> {
    if let Asker::Device(d) = asker
        && w.nonces[d]
    {
        return None;
    }
    let (minute, seen) = (w.minute, w.grant.clone());
    let _permitted = permit(asker, &seen, minute)?;
    let memory = w.memory.as_mut()?;
    memory.judged = Some(Judged { asker, minute, seen });
    Some(())
}

fn permit(asker: Asker, seen: &GrantRow, minute: u8) -> Option<OpenPermit> {
    // A forger may well have a grant: of somebody else, for another car.
    let grant = if asker == Asker::Forger { GrantId::from_bytes([9; 16]) } else { GRANT };
    let area = area();
    let good = good_facts(&area, at(minute));
    let window = GrantRow::window();
    let locate = LocateFacts {
        grant,
        grant_window: window,
        delegation_window: window,
        blocked: seen.blocked_at.is_some(),
        ..good.locate
    };
    conditions::open(&OpenFacts { locate, ..good }, &CONSENTS).ok()
}

/// The one transaction: block, window and use are read, the use is reserved, intent, leaf and nonce are written.
pub fn intend(w: &mut World, sabotage: Sabotage) -> Option<()> {
    let Judged { asker, minute, seen } = w.memory.as_mut()?.judged.take()?;
    // A refusal changes nothing on the disk.
    let _refused = reserve(w, asker, minute, &seen, sabotage);
    Some(())
}

fn reserve(w: &mut World, asker: Asker, judged: u8, seen: &GrantRow, sabotage: Sabotage) -> Option<()> {
    if let Asker::Device(d) = asker
        && w.nonces[d]
    {
        return None;
    }
    let row = if sabotage == Sabotage::BlockNotReadAgain { seen } else { &w.grant };
    let i = w.rows.len();
    let state = row.state();
    let epoch = state.epoch();
    let permit = permit(asker, seen, judged)?;
    let (next, chain) = state.reserve(permit, attempt_id(u8::try_from(i).ok()? + 1), w.now(), epoch).ok()?;
    let (attempt, _) = Attempt::intend(chain, RULES, w.now());
    w.rows.push(attempt.parts().clone());
    if sabotage != Sabotage::UseNotReserved {
        w.grant.used = GrantRow::of(next).used;
    }
    w.leaves[i] = sabotage != Sabotage::LeafAfterCommand;
    if let Asker::Device(d) = asker {
        w.nonces[d] = true;
    }
    w.intended_under_grant[i] =
        matches!(asker, Asker::Device(_)) && w.grant.blocked_at.is_none() && GrantRow::window().contains(w.now());
    let licence = Licence { minute: w.minute, epoch: epoch.count(), told: Vec::new() };
    w.memory.as_mut()?.licences[i] = Some(licence);
    Some(())
}

/// The attempt as the keyholder's task holds it: with its right to send if it still has one.
fn attempt(w: &World, i: usize) -> Attempt {
    let licence = w.memory.as_ref().and_then(|m| m.licences[i].as_ref());
    let Some(licence) = licence else {
        return Attempt::from_parts(w.rows[i].clone(), RULES).unwrap();
    };
    let fresh = GrantRow { epoch: licence.epoch, ..GrantRow::accepted() };
    let permit = permit(Asker::Device(0), &fresh, licence.minute).unwrap();
    let epoch = BlockEpoch::new(licence.epoch);
    let chain = fresh.state().reserve(permit, w.rows[i].id, at(licence.minute), epoch).unwrap().1;
    let begun = Attempt::intend(chain, RULES, at(licence.minute)).0;
    licence.told.iter().fold(begun, |a, (told, minute)| a.handle(event(told), at(*minute)).0)
}

/// The first step of the attempt's task: the command is marked as sent, unless the block epoch, read once more in
/// this very transaction, has moved.
pub fn start(w: &mut World, i: usize, sabotage: Sabotage) -> Option<()> {
    let licence = w.memory.as_ref()?.licences[i].clone()?;
    let epoch = BlockEpoch::new(licence.epoch);
    let (mut next, mut effects) = attempt(w, i).handle(Event::IntentDurable { epoch }, w.now());
    let leaves = effects.iter().any(|e| matches!(e, Effect::SendOpen { .. }));
    let same = w.grant.epoch == next.parts().epoch.count() && w.grant.blocked_at.is_none();
    if leaves && !same && sabotage != Sabotage::BlockNotReadAgain {
        effects.retain(|e| !matches!(e, Effect::SendOpen { .. }));
        let (after, more) = next.handle(event(&Told::Answered(Answer::NeverSent)), w.now());
        next = after;
        effects.extend(more);
    }
    w.memory.as_mut()?.licences[i] = None;
    commit(w, i, &next, &effects);
    Some(())
}

/// Tells an attempt something and commits what follows, in one step.
pub fn tell(w: &mut World, i: usize, told: &Told) -> Vec<Effect> {
    let (next, effects) = attempt(w, i).handle(event(told), w.now());
    let minute = w.minute;
    if let Some(memory) = w.memory.as_mut()
        && let Some(licence) = memory.licences[i].as_mut()
    {
        if next.phase() == Phase::Intended && !next.parts().recovered {
            licence.told.push((told.clone(), minute));
        } else {
            memory.licences[i] = None;
        }
    }
    commit(w, i, &next, &effects);
    effects
}

fn commit(w: &mut World, i: usize, next: &Attempt, effects: &[Effect]) {
    let mut grant = w.grant.state();
    let id = next.id();
    for effect in effects {
        match effect {
            Effect::SpendUse => grant = grant.spend(id).unwrap_or(grant),
            Effect::ReturnUse => grant = grant.give_back(id).unwrap_or(grant),
            Effect::SendOpen { .. } => w.memory.as_mut().into_iter().for_each(|m| m.open_leaves[i] = true),
            Effect::SendLock => w.memory.as_mut().into_iter().for_each(|m| m.lock_leaves[i] = true),
            _ => {}
        }
    }
    w.grant = GrantRow::of(grant);
    w.rows[i] = next.parts().clone();
    let may_act = w.flights.iter().any(|f| f.attempt == i && f.may_act(w.minute))
        || w.memory.as_ref().is_some_and(|m| m.open_leaves[i]);
    w.broken.returned_while_it_may_act |= w.rows[i].usage == UseFate::Returned && may_act;
}

fn event(told: &Told) -> Event {
    match told {
        Told::Blocked => Event::Blocked,
        Told::Timer => Event::Timer,
        Told::Recovered => Event::Recovered,
        Told::OwnerLocks => Event::LockRequested(By::Owner),
        Told::Acknowledged => Event::Acknowledged { by: By::Operator },
        Told::Read(reading) => Event::CarRead(*reading),
        Told::LockAnswered { done: true, .. } => Event::LockAnswered { outcome: Outcome::Done(Confirmation::Executed) },
        Told::LockAnswered { lid_in_the_way: true, .. } => {
            Event::LockAnswered { outcome: Outcome::DidNotHappen(Refusal::NotClosed) }
        }
        Told::LockAnswered { .. } => Event::LockAnswered { outcome: Outcome::Unknown },
        Told::Answered(answer) => answered(*answer),
    }
}

fn answered(answer: Answer) -> Event {
    let end = |left: u8| Some(at(left).plus_millis(MINUTE_MS));
    let (outcome, may_act_until): (Outcome, Option<Timestamp>) = match answer {
        Answer::Executed => (Outcome::Done(Confirmation::Executed), None),
        Answer::Never => (Outcome::DidNotHappen(Refusal::Unreachable), None),
        Answer::NotYet { left } => (Outcome::DidNotHappen(Refusal::Asleep), end(left)),
        Answer::Lost { left } => (Outcome::Unknown, end(left)),
        Answer::NeverSent => (Outcome::DidNotHappen(Refusal::NeverSent), None),
    };
    Event::CommandAnswered { outcome, may_act_until, ready_until: None }
}

/// The block's own transaction; the attempts that hold a use are told next.
pub fn block(w: &mut World) {
    let state = w.grant.state();
    let holding: Vec<_> = state.reserved().collect();
    let holding = (0..w.rows.len()).filter(|i| holding.contains(&w.rows[*i].id)).collect();
    w.grant = GrantRow::of(state.block(w.now()));
    w.block = Block::Durable(holding);
}

/// Tells them and answers the owner.
pub fn acknowledge_block(w: &mut World) {
    let Block::Durable(holding) = w.block.clone() else { return };
    for i in &holding {
        tell(w, *i, &Told::Blocked);
    }
    let until = holding.iter().filter_map(|i| attempt(w, *i).may_act_until()).max();
    w.block = Block::Acknowledged { until };
}

/// After a crash: every attempt that is not over is taken over from its row. It never opens again.
pub fn restart(w: &mut World, sabotage: Sabotage) {
    w.memory = Some(Memory::default());
    for i in 0..w.rows.len() {
        if w.rows[i].ended {
            continue;
        }
        let again = sabotage == Sabotage::BlindRetry && matches!(w.rows[i].phase, Phase::Intended | Phase::Sent);
        tell(w, i, &Told::Recovered);
        if let Some(memory) = w.memory.as_mut().filter(|_| again) {
            memory.open_leaves[i] = true;
        }
    }
}
