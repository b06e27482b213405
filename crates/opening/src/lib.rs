//! What a keyholder decides.
//!
//! What it is: pure state machines and judgements. A grant and its one use ([`grant`]), the conditions under which a
//! place may be shown or something opened ([`conditions`]), one attempt to open from the intent to the lock proof
//! ([`attempt`]), eligibility of a car ([`eligibility`]), possession ([`possession`]) and readiness ([`readiness`]).
//! What it is not: it does no I/O, reads no clock, verifies no signature (that is `parcelshelf-protocol`) and knows no
//! maker's interface (that is `parcelshelf-access` and its adapters). It says what to do, as data; the shell does it.
//!
//! The three types to know: [`GrantState`](grant::GrantState) (what may still be used),
//! [`OpenPermit`](conditions::OpenPermit) (all conditions held just now; nothing else can reserve a use), and
//! [`Attempt`](attempt::Attempt) (turns events into effects, and alone can say "send the open command").
//!
//! The way to the one dangerous effect is closed by types: [`conditions::open`] makes an `OpenPermit`, only
//! [`GrantState::reserve`](grant::GrantState::reserve) turns it into a [`VerifiedChain`](grant::VerifiedChain), only
//! [`Attempt::intend`](attempt::Attempt::intend) takes that, and what comes back from a store has lost it for good.

pub mod attempt;
pub mod conditions;
pub mod eligibility;
pub mod grant;
pub mod makers_table;
pub mod possession;
pub mod readiness;
