//! The adapter against the simulated cloud, over real HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod conformance;
mod details;
mod hostile;
mod rig;
