//! A whole day over real HTTP.

pub mod book;
pub mod city;
pub mod conductor;
pub mod cost;
pub mod courier;
pub mod day;
pub mod dice;
pub mod fate;
pub mod floor;
pub mod garages;
pub mod inside;
pub mod kills;
mod leaks;
pub mod operators;
pub mod owner;
pub mod phone;
pub mod plots;
pub mod quiet;
pub mod report;
pub(crate) mod run;
pub mod verdict;

pub use run::run;
