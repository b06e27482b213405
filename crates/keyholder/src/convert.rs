//! Between rows and domain types. A row that says something impossible is `None`: it is passed over like a foreign one.

use parcelshelf_core::actuation::{AccessClass, Refusal};
use parcelshelf_core::id::{AttemptId, GrantId};
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_opening::attempt::{
    AlarmCause, AlarmState, AttemptParts, CloseReport, LockProgress, MakerRules, Phase, UseFate,
};
use parcelshelf_opening::grant::{Allowance, BlockEpoch, GrantParts, GrantState, Use, UseSlot};

use crate::rows::{AlarmPart, AttemptPart, LockPart, UsePart};

fn ms(t: Timestamp) -> i64 {
    t.unix_millis()
}
fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_millis(ms)
}

pub(crate) fn use_part(state: GrantState) -> UsePart {
    let p = state.into_parts();
    UsePart {
        grant_id: p.id.to_string(),
        nbf_ms: ms(p.window.start()),
        exp_ms: ms(p.window.end()),
        epoch: p.epoch.count(),
        blocked_ms: p.blocked_at.map(ms),
        uses: p.uses.into_iter().map(|(_, u)| (u.code().to_owned(), u.attempt().to_string())).collect(),
    }
}

pub(crate) fn grant_state(p: &UsePart) -> Option<GrantState> {
    let uses = p
        .uses
        .iter()
        .map(|(code, attempt)| Some((UseSlot::Only, Use::parse(code, AttemptId::parse(attempt).ok()?)?)))
        .collect::<Option<Vec<_>>>()?;
    GrantState::from_parts(GrantParts {
        id: GrantId::parse(&p.grant_id).ok()?,
        window: Window::new(at(p.nbf_ms), at(p.exp_ms)).ok()?,
        allowance: Allowance::Once,
        epoch: BlockEpoch::new(p.epoch),
        blocked_at: p.blocked_ms.map(at),
        uses,
    })
    .ok()
}

pub(crate) fn attempt_part(p: &AttemptParts) -> AttemptPart {
    AttemptPart {
        grant_id: p.grant.to_string(),
        epoch: p.epoch.count(),
        phase: p.phase.code().to_owned(),
        phase_until_ms: p.phase.until().map(ms),
        phase_detail: p.phase.detail().map(str::to_owned),
        commands: p.commands,
        reopened: p.reopened,
        intent_ms: ms(p.intent_at),
        sent_ms: p.sent_at.map(ms),
        claimed: p.claimed.map(|r| r.code().to_owned()),
        opened_ms: p.opened_at.map(ms),
        last_opening_ms: p.last_opening.map(ms),
        closed_ms: p.closed_at.map(ms),
        close_report: p.close_report.map(|r| (r.handle_checked, r.photo)),
        usage: p.usage.code().to_owned(),
        released: p.released,
        recalled: p.recalled,
        recovered: p.recovered,
        blocked: p.blocked,
        stop_ended: p.stop_ended,
        lock: LockPart {
            tries: p.lock.tries,
            first_ms: p.lock.first_at.map(ms),
            in_flight_ms: p.lock.in_flight_since.map(ms),
            last_sent_ms: p.lock.last_sent_at.map(ms),
            done_ms: p.lock.done_at.map(ms),
            next_ms: p.lock.next_at.map(ms),
            seen_unlocked: p.lock.seen_unlocked,
        },
        alarm: p.alarm.map(|a| AlarmPart {
            cause: a.cause.code().to_owned(),
            raised_ms: ms(a.raised_at),
            acknowledged_ms: a.acknowledged_at.map(ms),
        }),
        ended: p.ended,
    }
}

pub(crate) fn attempt_parts(id: AttemptId, p: &AttemptPart) -> Option<AttemptParts> {
    let claimed = match &p.claimed {
        Some(code) => Some(Refusal::parse(code)?),
        None => None,
    };
    let alarm = match &p.alarm {
        Some(a) => Some(AlarmState {
            cause: AlarmCause::parse(&a.cause)?,
            raised_at: at(a.raised_ms),
            acknowledged_at: a.acknowledged_ms.map(at),
        }),
        None => None,
    };
    Some(AttemptParts {
        id,
        grant: GrantId::parse(&p.grant_id).ok()?,
        epoch: BlockEpoch::new(p.epoch),
        phase: Phase::parse(&p.phase, p.phase_until_ms.map(at), p.phase_detail.as_deref())?,
        commands: p.commands,
        reopened: p.reopened,
        intent_at: at(p.intent_ms),
        sent_at: p.sent_ms.map(at),
        claimed,
        opened_at: p.opened_ms.map(at),
        last_opening: p.last_opening_ms.map(at),
        closed_at: p.closed_ms.map(at),
        close_report: p.close_report.map(|(handle_checked, photo)| CloseReport { handle_checked, photo }),
        usage: UseFate::parse(&p.usage)?,
        released: p.released,
        recalled: p.recalled,
        recovered: p.recovered,
        blocked: p.blocked,
        stop_ended: p.stop_ended,
        lock: LockProgress {
            tries: p.lock.tries,
            first_at: p.lock.first_ms.map(at),
            in_flight_since: p.lock.in_flight_ms.map(at),
            last_sent_at: p.lock.last_sent_ms.map(at),
            done_at: p.lock.done_ms.map(at),
            next_at: p.lock.next_ms.map(at),
            seen_unlocked: p.lock.seen_unlocked,
        },
        alarm,
        // What was pending in memory is not stored: the driver asks anew.
        read_due: None,
        timer: None,
        ended: p.ended,
    })
}

/// A maker's facts as the attempt's rules.
pub(crate) fn rules(facts: &parcelshelf_access::Facts) -> MakerRules {
    use parcelshelf_core::actuation::{Place, Shuts, Source};
    let millis = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    MakerRules {
        unanswered_may_act_for_ms: millis(facts.unanswered_open_may_act_for),
        default_window_ms: millis(facts.default_window),
        opening_is_a_window: facts.opening_is_a_window,
        lid_state_observed: facts.lid_state == Source::Observed,
        lock_state_observed: facts.lock_state == Source::Observed,
        // One adapter opens things of one kind.
        shuts: facts.classes.first().map_or(Shuts::ByHand, |class| class.shuts()),
        at_home: facts.classes.first().is_some_and(|class| class.belongs_to() == Place::Home),
    }
}

pub(crate) fn classes(codes: &[String]) -> Vec<AccessClass> {
    codes.iter().filter_map(|c| AccessClass::parse(c)).collect()
}
