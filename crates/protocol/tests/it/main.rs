//! The protocol's tests in one program: stories, laws, vectors, and other people's implementations.

mod case;
mod chain;
mod laws;
mod others;
mod support;
mod vectors;
