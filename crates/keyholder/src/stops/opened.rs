//! The answer to *open*: which attempt, and at a house's door the key that photos are sealed to: for a courier the grant's, for a
//! guest, whose grant names their own key, the wallet's.
//!
//! A courier at a car has the owner's key with the place. A house is not located: here the key comes to whoever has just
//! proved everything that opens the door, sealed to that device and signed by the keyholder. With the delegation's answer
//! it would pass through the carrier, which photos are none of the business of; the front, which passes this on, can
//! neither read nor exchange it.

use parcelshelf_core::actuation::{AccessClass, Place as Kind};
use parcelshelf_protocol::content::PhotoKey;
use parcelshelf_protocol::encoding::b64;
use parcelshelf_protocol::seal::Purpose;
use serde_json::{Value, json};

use super::stop_page_word;
use crate::Keyholder;
use crate::chain::Held;
use crate::db::Stored;
use crate::rows::AttemptRow;

impl Keyholder {
    /// With the number of the newest news: whoever follows the attempt begins there.
    pub(super) fn opened(&self, held: &Held, row: &Stored<AttemptRow>) -> Value {
        let state = stop_page_word(&row.value.state.phase);
        self.with_photo_key(held, row, json!({"attempt": b64(&row.id), "state": state, "seq": row.value.seq}))
    }
    /// The same for a second opening, of which nothing is known yet but that it is meant.
    pub(super) fn opened_again(&self, held: &Held, row: &Stored<AttemptRow>) -> Value {
        self.with_photo_key(held, row, json!({"attempt": b64(&row.id), "state": "intended"}))
    }

    fn with_photo_key(&self, held: &Held, row: &Stored<AttemptRow>, mut answer: Value) -> Value {
        let class = AccessClass::parse(&row.value.class);
        let at_home = class.is_some_and(|class| class.belongs_to() == Kind::Home);
        let Some(seal) = held.photos_to.clone().filter(|_| at_home) else { return answer };
        match self.to_device(held, Purpose::PhotoKey, &PhotoKey { seal }.to_bytes()) {
            Ok(sealed) => answer["envelope"] = sealed["envelope"].clone(),
            // The door is being opened: it goes on without photos, and is shut and proved like any other.
            Err(why) => tracing::error!(%why, "the owner's key for photos could not be sealed"),
        }
        answer
    }
}
