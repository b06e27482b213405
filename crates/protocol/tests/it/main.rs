//! The protocol's tests in one program: stories, laws, vectors, and other people's implementations.

#![allow(clippy::unwrap_used, reason = "tests; what fails here must stop the test")]
#![allow(clippy::type_complexity, reason = "tables of (name, expected code, change)")]

mod case;
mod chain;
mod corpora;
mod docs;
mod edges;
mod laws;
mod others;
mod records;
mod support;
mod vectors;
