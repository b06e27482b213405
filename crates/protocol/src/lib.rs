//! What crosses a trust boundary: signed messages, sealed boxes, and the checks by which one party believes another.
//!
//! What it is: strict wire types with one code per refusal ([`Refused`]), made and verified as `docs/protocol/` lays
//! down. What it is not: it does no I/O, reads no clock, keeps no registry; keys, registry facts and the time come from
//! the caller, and what is left to judge after the signatures (conditions, uses, blocks) lives in
//! `parcelshelf-opening`.
//!
//! The three types to know: [`VerifiedGrant`](grant::VerifiedGrant) (what an owner confirmed),
//! [`VerifiedChain`](verify::VerifiedChain) (that grant, passed on to this device, for this request), and [`Refused`].
//! A type named *verified* can only be had from the function that verifies it.
//!
//! ```
//! use parcelshelf_core::time::{Entropy, Timestamp};
//! use parcelshelf_protocol::jws::{Sign as _, SigningKey};
//! use parcelshelf_protocol::seal::{self, Context, Purpose, SealKeyPair};
//!
//! struct Fixed; // a test's randomness; a service hands in the machine's
//! impl Entropy for Fixed {
//!     fn fill(&self, into: &mut [u8]) {
//!         into.fill(7);
//!     }
//! }
//!
//! let key = SigningKey::generate(&Fixed);
//! let signature = key.sign(b"hello").unwrap();
//! assert!(key.verifying_key().verifies(b"hello", &signature));
//!
//! let courier = SealKeyPair::from_seed(&[1; 32]).unwrap();
//! let context = Context { sender: "https://gateway.example", recipient: "device", delivery: "d", seq: 0 };
//! let sealed = seal::seal(&Fixed, courier.public(), Purpose::Place, &context, b"a place").unwrap();
//! assert_eq!(*seal::open(&courier, Purpose::Place, &context, &sealed).unwrap(), b"a place");
//! ```

pub mod accepted;
pub mod bundle;
pub mod call;
pub mod cert;
pub mod content;
pub mod delegation;
pub mod encoding;
pub mod enrol;
pub mod envelope;
pub mod grant;
pub mod invite;
mod json;
pub mod jws;
pub mod keys;
pub mod known;
pub mod label;
pub mod narrow;
pub mod nonce;
pub mod order;
pub mod owner_keys;
pub mod proof;
pub mod records;
mod refused;
pub mod request;
pub mod seal;
pub mod statement;
mod text;
mod verified;
pub mod verify;
pub mod webauthn;

pub use refused::{Fault, Kind, Refused};
