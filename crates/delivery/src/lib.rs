//! What a carrier decides.
//!
//! What it is: the rules for parcels that go into cars ([`parcel`]), and the state machine of one delivery with several
//! parcels, pick-ups and all fallbacks ([`delivery`]); when it is asked whether a car is ready ([`readiness`]). What it is
//! not: it does no I/O, reads no clock, and knows nothing that opens. The carrier relies on the keyholder's word for access; here is only what it does with it.
//!
//! The three types to know: [`Delivery`](delivery::Delivery) (the state), [`Event`](delivery::Event) (what happened) and
//! [`Effect`](delivery::Effect) (what the shell must do).
//!
//! ```
//! use parcelshelf_core::{id::{DeliveryId, ParcelId}, reason::Fallback, time::{Timestamp, Window}};
//! use parcelshelf_delivery::delivery::{Delivery, Direction, Event};
//!
//! let noon = Timestamp::from_unix_seconds(1_800_000_000);
//! let window = Window::new(noon, noon.plus_seconds(4 * 3600)).unwrap();
//! let parcel = (ParcelId::from_bytes([1; 16]), Direction::Put);
//! let delivery = Delivery::request(DeliveryId::from_bytes([0; 16]), window, vec![parcel], vec![Fallback::Address], noon).unwrap();
//! let (delivery, effects) = delivery.handle(Event::Accepted { window }, noon).unwrap();
//! assert_eq!(delivery.phase().code(), "accepted");
//! assert!(!effects.is_empty());
//! ```

pub mod delivery;
pub mod parcel;
pub mod readiness;
