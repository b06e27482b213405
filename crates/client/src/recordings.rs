//! What a camera saw behind a front door, opened by the owner's own key.

use parcelshelf_core::id::{AttemptId, DeliveryId};
use parcelshelf_core::reason::Purpose;
use parcelshelf_protocol::content::Picture;
use parcelshelf_protocol::envelope::Envelope;
use parcelshelf_protocol::grant::Grant;
use parcelshelf_protocol::owner_keys;
use parcelshelf_protocol::seal::{Purpose as Sealed, SealKeyPair};

use crate::Failure;
use crate::http::text;
use crate::wallet::{Granted, Wallet};

/// A recording, as the timeline names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recording {
    pub attempt: AttemptId,
    /// So many there are now, numbered from 0.
    pub pictures: u32,
    /// More may come.
    pub running: bool,
}

impl Wallet {
    /// The recordings of a delivery.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn recordings(&self, delivery: DeliveryId) -> Result<Vec<Recording>, Failure> {
        let told = self.timeline(delivery).await?;
        let odd = || Failure::Unexpected("a recording that is none");
        let one = |r: &serde_json::Value| {
            let attempt = r["attempt"].as_str().and_then(|a| AttemptId::parse(a).ok());
            let pictures = r["pictures"].as_u64().and_then(|n| u32::try_from(n).ok());
            let running = r["running"].as_bool();
            Some(Recording { attempt: attempt?, pictures: pictures?, running: running? })
        };
        told["recordings"].as_array().into_iter().flatten().map(|r| one(r).ok_or_else(odd)).collect()
    }

    /// The pictures of a recording from one number on, each with the moment at which it was asked for.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::NotTrusted`] when one was not sealed by the keyholder, or is another's or elsewhere in the row.
    pub async fn pictures(&self, granted: &Granted, recording: Recording, from: u32) -> Result<Vec<Picture>, Failure> {
        let mut pictures = Vec::new();
        for number in from..recording.pictures {
            let sealed = self.sealed_picture(granted.delivery, recording.attempt, number).await?;
            pictures.push(self.open_picture(granted, recording.attempt, number, &sealed)?);
        }
        Ok(pictures)
    }

    /// One of them as it is kept.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn sealed_picture(
        &self,
        delivery: DeliveryId,
        attempt: AttemptId,
        number: u32,
    ) -> Result<String, Failure> {
        let path = format!("/v1/wallet/deliveries/{delivery}/recordings/{attempt}/{number}");
        text(&self.get(&path).await?, "envelope")
    }

    /// Opens a picture: a grant's key is its own; where that names somebody else's device it is the account's.
    ///
    /// # Errors
    /// As for [`Wallet::pictures`].
    pub fn open_picture(
        &self,
        granted: &Granted,
        attempt: AttemptId,
        number: u32,
        sealed: &str,
    ) -> Result<Picture, Failure> {
        let recipient = self.id().to_string();
        let envelope = Envelope::verify(sealed, self.message_key(), self.keyholder(), &recipient)?;
        if envelope.claims().seq != u64::from(number) {
            return Err(Failure::Unexpected("a picture of another place in the row"));
        }
        let seed = match Grant::verify(&granted.jws)?.claims().purpose {
            Purpose::Guest | Purpose::Rehearsal => owner_keys::account_seed(self.seed()),
            _ => owner_keys::grant_seal_seed(self.seed(), granted.id),
        };
        let bytes = envelope.open(&SealKeyPair::from_seed(&seed)?, Sealed::Recording, &attempt.to_string())?;
        Ok(Picture::parse(&bytes)?)
    }
}
