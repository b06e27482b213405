//! The keyholder's machines in every order of messages, crashes, blocks and late commands, up to a bound.
//!
//! The laws hold in every state that can be reached; and a keyholder that breaks one rule is found out, with the story
//! of how. `docs/verification.md` says what is modelled and what is not.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests themselves")]

mod keyholder;
mod story;
#[path = "../machines/support.rs"]
#[expect(dead_code, reason = "shared with the stories, which use all of it")]
mod support;
mod world;

use stateright::{Checker, HasDiscoveries, Model};

use keyholder::Sabotage;
use story::{LAWS, Story};

/// Every state of the story, with every law; and what the story must show to prove anything.
fn holds(name: &str, story: Story, shown: &[&'static str]) {
    let checker = story.checker().threads(2).spawn_dfs().join();
    eprintln!(
        "{name}: {} states, {} of them different, up to {} steps",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    assert!(checker.is_done(), "not every state was seen");
    for law in LAWS {
        if let Some(story) = checker.discovery(law) {
            panic!("broken: {law}\n{:#?}\n{:#?}", story.clone().into_actions(), story.last_state());
        }
    }
    for example in shown {
        assert!(checker.discovery(example).is_some(), "never seen: {example}");
    }
}

#[test]
fn one_courier_a_crash_and_an_owner_who_blocks() {
    let story = Story { minutes: 2, crashes: 1, owner_blocks: true, ..Story::QUIET };
    holds("one courier, a crash, a block", story, &[story::DELIVERED, story::PREVENTED]);
}

#[test]
fn two_couriers_a_crash_and_an_answer_that_is_lost() {
    let story = Story { minutes: 2, couriers: 2, crashes: 1, answers_lost: 1, ..Story::QUIET };
    holds("two couriers, a crash, a lost answer", story, &[story::DELIVERED, story::UNKNOWN]);
}

#[test]
fn everybody_at_once_within_a_minute() {
    let all = Story { couriers: 2, crashes: 1, owner_blocks: true, owner_locks: true, answers_lost: 1, ..Story::QUIET };
    holds("everybody at once", all, &[story::PREVENTED]);
}

/// The shortest story in which a sabotaged keyholder breaks the law, and none in which an honest one does.
fn found_out(sabotage: Sabotage, law: &'static str) {
    let wanted = HasDiscoveries::AnyOf([law].into());
    let checker =
        Story { sabotage, couriers: 2, owner_blocks: true, crashes: 1, minutes: 1, answers_lost: 1, ..Story::QUIET }
            .checker()
            .threads(2)
            .finish_when(wanted)
            .spawn_bfs()
            .join();
    let story = checker.discovery(law);
    eprintln!("{sabotage:?}: {} unique states", checker.unique_state_count());
    let story = story.unwrap_or_else(|| panic!("{sabotage:?} keeps the law: {law}")).into_actions();
    eprintln!("{story:?}");
}

#[test]
fn a_leaf_written_after_the_command_is_found_out() {
    found_out(Sabotage::LeafAfterCommand, story::LEAF_FIRST);
}

#[test]
fn a_block_that_is_not_read_again_is_found_out() {
    found_out(Sabotage::BlockNotReadAgain, story::BLOCK);
    found_out(Sabotage::BlockNotReadAgain, story::NO_GRANT);
}

#[test]
fn a_use_that_is_not_reserved_is_found_out() {
    found_out(Sabotage::UseNotReserved, story::ONCE);
}

#[test]
fn a_blind_retry_after_a_crash_is_found_out() {
    found_out(Sabotage::BlindRetry, story::ONCE);
}
