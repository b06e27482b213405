//! The adapter against the vendor's own stand-in for its cloud, which `scripts/setup.sh` installs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod between;
mod conformance;
mod details;
mod fake;
mod rig;
