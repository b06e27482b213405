//! What a carrier decides.
//!
//! What it is: pure state machines and rules of the carrier's side: which parcels may go into a car ([`parcel`]), a
//! delivery with an outcome and a next step for every parcel ([`delivery`]), stops and the route of a courier
//! ([`route`]). What it is not: it does no I/O, reads no clock, signs nothing, and knows no place, no plate and nothing
//! of what a keyholder decides; it learns "accepted", "ready or not" and outcomes.
//!
//! The three types to know: [`Delivery`](delivery::Delivery) (state, event, now → state, effects),
//! [`Rules`](parcel::Rules) (what may go into a car), and [`NextStep`](delivery::NextStep) (what happens with a parcel
//! now; there is always an answer).
//!
//! ```
//! use parcelshelf_delivery::parcel::{Currency, Goods, Money, ParcelFacts, Rules, Violation, check};
//!
//! let usd = Currency::parse("USD").unwrap();
//! let rules = Rules::default();
//! let mut box_of_books = ParcelFacts {
//!     sides_mm: [400, 300, 200],
//!     weight_g: 4_000,
//!     value: Money { minor: 6_000, currency: usd },
//!     goods: Goods::default(),
//! };
//! assert_eq!(check(&box_of_books, &rules), Ok(()));
//! box_of_books.weight_g = 30_000;
//! assert_eq!(check(&box_of_books, &rules), Err(vec![Violation::TooHeavy]));
//! ```

pub mod delivery;
pub mod parcel;
pub mod route;
