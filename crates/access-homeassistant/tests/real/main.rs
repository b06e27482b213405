//! The adapter against a real Home Assistant, which `scripts/setup-home-assistant.sh` installs: `make test-home-assistant`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod between;
mod conformance;
mod details;
mod front;
mod home;
mod rig;
