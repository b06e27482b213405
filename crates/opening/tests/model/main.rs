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
use story::{EXAMPLES, LAWS, Story};

#[test]
fn the_laws_hold_in_every_order_of_events() {
    let started = std::time::Instant::now();
    let checker = Story::with(Sabotage::Nothing).checker().threads(2).spawn_bfs().join();
    eprintln!(
        "{} states ({} unique), {} steps deep, {:?}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        started.elapsed()
    );
    for law in LAWS {
        if let Some(story) = checker.discovery(law) {
            panic!("broken: {law}\n{:#?}\n{:#?}", story.clone().into_actions(), story.last_state());
        }
    }
    for example in EXAMPLES {
        assert!(checker.discovery(example).is_some(), "never seen: {example}");
    }
}

/// The shortest story in which a sabotaged keyholder breaks the law, and none in which an honest one does.
fn found_out(sabotage: Sabotage, law: &'static str) {
    let wanted = HasDiscoveries::AnyOf([law].into());
    let checker = Story::with(sabotage).checker().threads(2).finish_when(wanted).spawn_bfs().join();
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
