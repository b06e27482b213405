//! Stories, tables and laws of the keyholder's machines.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests themselves")]

mod attempt_edges;
mod attempt_laws;
mod attempt_story;
mod conditions;
mod drive_story;
mod front_story;
mod gate;
mod grant;
mod halt;
mod support;
mod words;
