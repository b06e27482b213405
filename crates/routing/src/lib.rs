//! Routes of which some stops are known only by their area.
//!
//! What it is: the arithmetic of a courier's phone. It gets the carrier's order, puts it right as areas open
//! ([`improve`]), and a drive over a whole route says what that costs in metres and how many places a phone held at once
//! ([`drive()`]). What it is not: no solver that makes the carrier's plan, no map of streets, no clock. Pure.
//!
//! The three types to know: [`Place`] (a place that is known, or an area), [`Policy`] (when a place may be read) and
//! [`Driven`] (what a drive came to).

pub mod drive;
pub mod path;
pub mod place;
pub mod split;

pub use drive::{Driven, Policy, drive};
pub use path::improve;
pub use place::Place;
pub use split::split;
