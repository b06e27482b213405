//! The binary's parts: one subcommand per role, and the stage on which the demo and the tests play.
//!
//! What it is: wiring. It is the only place that knows all parties, because it starts them; the parties themselves share
//! nothing but the protocol. What it is not: no rule of the domain lives here.
//!
//! The three types to know: [`Stage`](stage::Stage) (all parties running), [`Owner`](people::Owner) and
//! [`Courier`](people::Courier) (people who play on it).

#![allow(clippy::print_stdout, reason = "a program of the command line speaks to people")]

pub mod audit;
pub mod cli;
pub mod demo;
pub mod desk;
pub mod doctor;
pub mod drill;
pub mod enrol;
pub mod household;
pub mod init;
pub mod judge;
pub mod keeping;
pub mod openapi;
pub mod order;
pub mod page;
pub mod people;
pub mod plan;
pub mod process;
pub mod prove;
pub mod services;
pub mod sim;
pub mod simulate;
pub mod stage;
pub mod stops;
pub mod verify;
pub mod witness;
