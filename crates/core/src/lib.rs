//! Values that every party of an in-car delivery speaks about.
//!
//! What it is: ids, time, areas, positions, vehicles, access classes, what a command did, and the reasons that
//! everyone understands. What it is not: it does no I/O, reads no clock, draws no random number, and **none of its
//! types can be serialised**: wire types live in `parcelshelf-protocol`, row types in the services.
//!
//! The three types to know: [`Area`](area::Area) (where a car may stand, as coarse cells), [`Position`](area::Position)
//! (where it does stand; does not print), and [`Outcome`](actuation::Outcome) (what a command did:
//! done, did not happen, or unknown).
//!
//! ```
//! use parcelshelf_core::time::{Timestamp, Window};
//! let start = Timestamp::from_unix_millis(1_800_000_000_000);
//! let window = Window::new(start, start.plus_seconds(7_200)).unwrap();
//! assert!(window.contains(start.plus_seconds(60)));
//! ```

pub mod actuation;
pub mod area;
pub mod id;
pub mod reason;
pub mod secret;
pub mod time;
pub mod vehicle;
