//! The adapter against the simulated cloud, over real HTTP.

mod conformance;
mod details;
mod rig;
mod silence;
