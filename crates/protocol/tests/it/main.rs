//! The protocol's tests in one program: stories, laws, vectors, and other people's implementations.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod case;
mod chain;
mod laws;
mod others;
mod support;
mod vectors;
