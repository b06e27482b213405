//! What wallets, couriers, depots and integrators do, in Rust.
//!
//! What it is: the other side of every interface, with real keys: it signs grants and proofs, opens envelopes, checks
//! answers. The simulator and the tests play people with it; an integrator may use it as it is. What it is not: no
//! service depends on it, and it shares no code with them but `protocol`.
//!
//! The three types to know: [`Wallet`](wallet::Wallet) (an owner's devices), [`Device`](courier::Device) (a courier's
//! phone on the stop page), [`Shipping`](shipping::Shipping) (merchant, dispatch and courier at the carrier).
//!
//! ```no_run
//! # async fn demo(host: parcelshelf_client::Host) -> Result<(), parcelshelf_client::Failure> {
//! use parcelshelf_client::wallet::{Wallet, WalletSite};
//! let site = WalletSite::new("http://wallet.localhost:8470", &host)?;
//! let wallet = Wallet::register(site, &host).await?;
//! println!("{} cars", wallet.vehicles().await?.len());
//! # Ok(()) }
//! ```

pub mod authenticator;
pub mod courier;
pub mod depot;
pub mod guest;
mod http;
pub mod log;
pub mod occupant;
pub mod people;
pub mod photo;
pub mod recordings;
pub mod rules;
pub mod shipping;
pub mod wallet;

use std::sync::Arc;

use parcelshelf_core::time::{Entropy, Timer, Timestamp};
use parcelshelf_exchange::Client;

pub use http::{Failure, Http};

/// Clock, randomness and network of whoever uses this crate.
#[derive(Clone)]
pub struct Host {
    pub clock: Arc<dyn Timer>,
    pub entropy: Arc<dyn Entropy>,
    pub client: Client,
}
impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host")
    }
}
impl Host {
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
    /// `N` random bytes.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        parcelshelf_core::time::random(&*self.entropy)
    }
}
