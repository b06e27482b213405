//! The adapter against the simulated household: the same suite as against a real server, and the simulator's own promises.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod conformance;
mod details;
mod front;
mod rig;
