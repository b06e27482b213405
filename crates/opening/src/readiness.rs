//! "Ready?" asked three times; the carrier gets one word, the owner the reasons.

use crate::conditions::Fact;

/// A car that was woken is given this long to wake up: milliseconds. Makers name half a minute to a minute.
pub const WAKING_MS: i64 = 90_000;

/// Which of the three questions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Question {
    /// Evening before: reachable and permitted.
    EveningBefore,
    /// Start of the window: in the area.
    StartOfWindow,
    /// Ten minutes before: both, and awake.
    TenMinutesBefore,
}
impl Question {
    pub const ALL: [Self; 3] = [Self::EveningBefore, Self::StartOfWindow, Self::TenMinutesBefore];
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::EveningBefore => "evening_before",
            Self::StartOfWindow => "start_of_window",
            Self::TenMinutesBefore => "ten_minutes_before",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|q| q.code() == code)
    }
}

/// What is known when a question is asked. What the question does not need is not asked of the maker: leave it
/// [`Fact::Unknown`].
#[derive(Clone, Copy, Debug)]
pub struct ReadinessFacts {
    /// The grant is live: not blocked, paused, used up or past.
    pub granted: bool,
    /// The maker's permissions and the plan are in order.
    pub permitted: Fact,
    /// The maker's cloud answered, or was not asked.
    pub maker_answers: bool,
    /// The car can be reached from the maker's cloud, asleep or not.
    pub reachable: Fact,
    pub in_area: Fact,
    pub not_in_use: Fact,
    pub awake: Fact,
    /// The maker has a wake call, and it has not been used for this delivery.
    pub can_be_woken: bool,
    /// It was used less than [`WAKING_MS`] ago.
    pub waking: bool,
}

/// The carrier's word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Word {
    Yes,
    No,
    /// Ask again at the next slot.
    Later,
}
impl Word {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Later => "later",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        [Self::Yes, Self::No, Self::Later].into_iter().find(|w| w.code() == code)
    }
}

/// For the owner: why, so that something can be done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// Blocked, paused, used up or past.
    NotGranted,
    /// Permission or plan at the maker is missing.
    NotPermitted,
    /// The maker's cloud itself did not answer.
    MakerDown,
    NotReachable,
    NotInArea,
    InUse,
    Asleep,
}
impl Cause {
    pub const ALL: [Self; 7] = [
        Self::NotGranted,
        Self::NotPermitted,
        Self::MakerDown,
        Self::NotReachable,
        Self::NotInArea,
        Self::InUse,
        Self::Asleep,
    ];
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.code() == code)
    }
    /// For the owner, in plain words: what was found, and what to do.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotGranted => {
                "The delivery is stopped, paused or over. Nothing will open. Allow it again if you want it."
            }
            Self::NotPermitted => {
                "The car's maker does not let us ask or open. Look into the maker's app: consent, plan, privacy or valet \
                 mode. Then link the car again."
            }
            Self::MakerDown => {
                "The cloud of the car's maker did not answer when we asked. It is asked again. You need not do anything."
            }
            Self::NotReachable => {
                "The car's maker cannot reach the car: a garage, no signal, or a low battery. Park where there is signal."
            }
            Self::NotInArea => "The car is not in the area that you allowed. Park there before the window begins.",
            Self::InUse => "The car is being driven or used. Nothing opens while it is.",
            Self::Asleep => "The car sleeps and did not wake up. Unlock and lock it once with your key or app.",
        }
    }
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotGranted => "not_granted",
            Self::NotPermitted => "not_permitted",
            Self::MakerDown => "maker_down",
            Self::NotReachable => "not_reachable",
            Self::NotInArea => "not_in_area",
            Self::InUse => "in_use",
            Self::Asleep => "asleep",
        }
    }
}

/// The answer to one question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// All that the carrier gets.
    pub word: Word,
    /// For the owner only.
    pub causes: Vec<Cause>,
    /// Wake the car, once.
    pub wake: bool,
}

/// Judges readiness. What cannot change by itself (grant, permission) is *no*; what can change until the courier comes
/// is *later*, except ten minutes before, when it is *no*. Unknown counts as no, but can still be answered later.
#[must_use]
pub fn judge(question: Question, f: &ReadinessFacts) -> Answer {
    let holds = |fact: Fact| matches!(fact, Fact::Yes | Fact::Inferred);
    let asks_place = question != Question::EveningBefore;
    let asks_awake = question == Question::TenMinutesBefore;
    let asks_reach = question != Question::StartOfWindow;
    let mut lasting = vec![];
    let mut passing = vec![];
    if !f.granted {
        lasting.push(Cause::NotGranted);
    }
    if f.permitted != Fact::Yes && (asks_reach || f.permitted == Fact::No) {
        lasting.push(Cause::NotPermitted);
    }
    if !f.maker_answers {
        // Nothing else can be said of the car: what follows from the silence is no cause of its own.
        passing.push(Cause::MakerDown);
        return Answer {
            word: word(asks_awake, &lasting, &passing, false),
            causes: [lasting, passing].concat(),
            wake: false,
        };
    }
    if asks_reach && !holds(f.reachable) {
        passing.push(Cause::NotReachable);
    }
    if asks_place && !holds(f.in_area) {
        passing.push(Cause::NotInArea);
    }
    if asks_awake && f.not_in_use == Fact::No {
        passing.push(Cause::InUse);
    }
    let sleeps = asks_awake && !holds(f.awake);
    if sleeps {
        passing.push(Cause::Asleep);
    }
    // Some makers tell no place of a car that sleeps: what is not known for that reason may be in order.
    let by_sleep = |c: &Cause| *c == Cause::Asleep || *c == Cause::NotInArea && f.in_area == Fact::Unknown;
    let only_asleep = sleeps && lasting.is_empty() && passing.iter().all(by_sleep);
    let wake = only_asleep && f.can_be_woken && f.awake == Fact::No;
    let word = word(asks_awake, &lasting, &passing, wake || only_asleep && f.waking);
    Answer { word, causes: [lasting, passing].concat(), wake }
}
/// What cannot change by itself is no; what can is later, except ten minutes before.
fn word(last_question: bool, lasting: &[Cause], passing: &[Cause], wakes_up: bool) -> Word {
    match (lasting.is_empty(), passing.is_empty()) {
        (true, true) => Word::Yes,
        (true, false) if !last_question || wakes_up => Word::Later,
        _ => Word::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: ReadinessFacts = ReadinessFacts {
        granted: true,
        permitted: Fact::Yes,
        maker_answers: true,
        reachable: Fact::Yes,
        in_area: Fact::Yes,
        not_in_use: Fact::Inferred,
        awake: Fact::Yes,
        can_be_woken: false,
        waking: false,
    };

    #[test]
    fn each_question_asks_for_its_own_facts() {
        use {Cause as C, Question as Q, Word as W};
        let far = ReadinessFacts { in_area: Fact::No, ..READY };
        let unreachable = ReadinessFacts { reachable: Fact::Unknown, ..READY };
        let asleep = ReadinessFacts { awake: Fact::No, ..READY };
        let driving = ReadinessFacts { not_in_use: Fact::No, ..READY };
        let revoked = ReadinessFacts { permitted: Fact::No, ..READY };
        let blocked = ReadinessFacts { granted: false, ..READY };
        for (question, facts, word, causes) in [
            (Q::EveningBefore, READY, W::Yes, vec![]),
            (Q::EveningBefore, far, W::Yes, vec![]),
            (Q::EveningBefore, asleep, W::Yes, vec![]),
            (Q::EveningBefore, unreachable, W::Later, vec![C::NotReachable]),
            (Q::EveningBefore, revoked, W::No, vec![C::NotPermitted]),
            (Q::EveningBefore, blocked, W::No, vec![C::NotGranted]),
            (Q::StartOfWindow, READY, W::Yes, vec![]),
            (Q::StartOfWindow, far, W::Later, vec![C::NotInArea]),
            (Q::StartOfWindow, unreachable, W::Yes, vec![]),
            (Q::StartOfWindow, revoked, W::No, vec![C::NotPermitted]),
            (Q::TenMinutesBefore, READY, W::Yes, vec![]),
            (Q::TenMinutesBefore, far, W::No, vec![C::NotInArea]),
            (Q::TenMinutesBefore, unreachable, W::No, vec![C::NotReachable]),
            (Q::TenMinutesBefore, asleep, W::No, vec![C::Asleep]),
            (Q::TenMinutesBefore, driving, W::No, vec![C::InUse]),
            (Q::TenMinutesBefore, blocked, W::No, vec![C::NotGranted]),
        ] {
            let answer = judge(question, &facts);
            assert_eq!((answer.word, answer.causes, answer.wake), (word, causes, false), "{question:?} {facts:?}");
        }
    }

    #[test]
    fn a_cloud_that_does_not_answer_is_the_only_cause_and_no_lasting_one() {
        let unknown = Fact::Unknown;
        let silent = ReadinessFacts {
            maker_answers: false,
            reachable: unknown,
            in_area: unknown,
            not_in_use: unknown,
            awake: unknown,
            ..READY
        };
        for (question, word) in [
            (Question::EveningBefore, Word::Later),
            (Question::StartOfWindow, Word::Later),
            (Question::TenMinutesBefore, Word::No),
        ] {
            let answer = judge(question, &silent);
            assert_eq!(
                (answer.word, answer.causes, answer.wake),
                (word, vec![Cause::MakerDown], false),
                "{question:?}"
            );
            let blocked = ReadinessFacts { granted: false, ..silent };
            let answer = judge(question, &blocked);
            assert_eq!((answer.word, answer.causes), (Word::No, vec![Cause::NotGranted, Cause::MakerDown]));
        }
    }

    #[test]
    fn a_sleeping_car_is_woken_once_and_only_if_nothing_else_is_wrong() {
        let asleep = ReadinessFacts { awake: Fact::No, can_be_woken: true, ..READY };
        let answer = judge(Question::TenMinutesBefore, &asleep);
        assert_eq!((answer.word, answer.wake), (Word::Later, true));
        assert!(!judge(Question::EveningBefore, &asleep).wake);
        let far_too = ReadinessFacts { in_area: Fact::No, ..asleep };
        let answer = judge(Question::TenMinutesBefore, &far_too);
        assert_eq!((answer.word, answer.wake), (Word::No, false));
        let waking = ReadinessFacts { can_be_woken: false, waking: true, ..asleep };
        let answer = judge(Question::TenMinutesBefore, &waking);
        assert_eq!((answer.word, answer.wake), (Word::Later, false), "it is given its time");
        let nowhere = ReadinessFacts { in_area: Fact::Unknown, ..asleep };
        assert!(judge(Question::TenMinutesBefore, &nowhere).wake, "some tell no place while they sleep");
        let silent = ReadinessFacts { awake: Fact::Unknown, ..asleep };
        assert!(!judge(Question::TenMinutesBefore, &silent).wake, "nobody said that it sleeps");
        let woken = ReadinessFacts { can_be_woken: false, ..asleep };
        assert_eq!(judge(Question::TenMinutesBefore, &woken).word, Word::No);
    }
}
