//! A delivery: one or several parcels, one recipient's car, one window.
//!
//! ```text
//! Requested ─▶ Accepted ─▶ Announced ─▶ Ready | NotReady ─▶ OnVan ─▶ LegStarted ─▶ AtStop ─▶ Ended
//!     │            │            │              │               │          │           │        ▲
//!     └────────────┴────────────┴──────────────┴───────────────┴──────────┴───────────┴▶ FallingBack
//! ```
//!
//! Laws, tested as properties:
//! * Every parcel has a [`NextStep`] at every moment; a delivery ends when every parcel is done, fallen back or returned.
//! * Nothing is put into or taken out of a car without an accepted grant and a delegation of a leg.
//! * An ended delivery accepts nothing but repeats, which change nothing.
//!
//! Pick-ups, returns and services run on the same machine; a parcel's [`Direction`] says which way it goes.

mod machine;
mod parts;
mod words;

pub use parts::{
    Acceptance, Delivery, DeliveryParts, Direction, Ending, ImpossibleDelivery, NextStep, NotADelivery, Parcel,
    ParcelPhase, Phase, Readiness,
};
pub use words::{Effect, Event, MerchantNotice, RecipientNotice, Refused};

/// A leg's delegation is valid at most this long, minutes: one stop, not a tour.
pub const LEG_MINUTES_MAX: i64 = 60;
/// Under a standing rule the announcement comes at least this long before, minutes: time to see it and stop it.
pub const ANNOUNCED_BEFORE_MINUTES: i64 = 60;
/// A consent that comes after the fallback was planned is taken only with this much of the window left, minutes: a van
/// that has left cannot turn back for less.
pub const LATE_CONSENT_MINUTES: i64 = 60;
/// Parcels in one delivery: what a courier carries and a trunk holds.
pub const PARCELS_MAX: usize = 20;
