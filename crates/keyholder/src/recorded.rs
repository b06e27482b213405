//! Pictures of what happens behind a front door, from before it is unlocked until after it is proved locked.
//!
//! The first one is written with the intent, each further one in a transaction of its own, sealed to the owner's key before it is
//! written: whoever cuts the power has all but the last second, and nobody but the owner opens any. A picture in the open lies in
//! the memory of one step and nowhere else.

use parcelshelf_access::Snapshot;
use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::id::{AttemptId, DeliveryId, WalletId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_opening::attempt::COMMANDS_MAX;
use parcelshelf_opening::recording::{PICTURES_MAX, Recording};
use parcelshelf_protocol::content::Picture;
use parcelshelf_protocol::encoding::{Hash, b64, sha256};
use parcelshelf_protocol::envelope::Envelope;
use parcelshelf_protocol::grant::Grant;
use parcelshelf_protocol::seal::{Context, Purpose, SealPublicKey};
use parcelshelf_store::Version;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::attempts::Ids;
use crate::chain::owners_key;
use crate::db::{Change, Index, RowType, Stored};
use crate::failure::{Failure, broken};
use crate::housekeeping::EXPIRES;
use crate::rows::{AttemptRow, RecordedRow};

const DAY_MS: i64 = 86_400_000;
/// Rows looked at in one step of the sweep: each has some 100 KiB.
const AT_ONCE: u32 = 32;

/// A recording under way, and whose it is.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub to: SealPublicKey,
    pub state: Recording<Hash>,
}

/// What a camera gave, if it is a picture that fits.
pub(crate) fn kept(taken: Snapshot, at: Timestamp) -> Option<Picture> {
    let Snapshot(bytes) = taken;
    let fits = Picture::begins(&bytes) && bytes.len() <= Picture::BYTES_MAX;
    if !fits {
        tracing::warn!(bytes = bytes.len(), "a camera's picture is none, or too large to be kept");
    }
    fits.then_some(Picture { at, bytes })
}
/// By which one picture is told from the next.
pub(crate) fn name_of(picture: &Picture) -> Hash {
    sha256(&picture.bytes)
}

fn id_of(attempt: AttemptId, number: u32) -> Vec<u8> {
    [&attempt.as_bytes()[..], &number.to_be_bytes()].concat()
}

impl RecordedRow {
    fn index(&self) -> Index {
        let of = [self.delivery.as_str(), "/", &self.attempt].concat().into_bytes();
        let expires = self.expires_ms.unsigned_abs().to_be_bytes().to_vec();
        Index::from([("delivery".to_owned(), of), (EXPIRES.to_owned(), expires)])
    }
}

impl Keyholder {
    /// The first picture, in the transaction of the intent.
    pub(crate) fn begin_recording(
        &self,
        change: &mut Change<'_>,
        ids: Ids,
        to: SealPublicKey,
        first: &Picture,
    ) -> Result<Recorder, Failure> {
        let now = change.now();
        self.put_picture(change, (ids, now), &to, 0, first)?;
        Ok(Recorder { to, state: Recording::begin(name_of(first), now) })
    }

    /// Under the attempt, and when that began: all of its pictures go on one day, so that none is left behind a gap.
    pub(crate) fn put_picture(
        &self,
        change: &mut Change<'_>,
        (ids, begun): (Ids, Timestamp),
        to: &SealPublicKey,
        number: u32,
        picture: &Picture,
    ) -> Result<(), Failure> {
        let (recipient, about) = (ids.wallet.to_string(), ids.attempt.to_string());
        let context =
            Context { sender: &self.config.aud, recipient: &recipient, delivery: &about, seq: u64::from(number) };
        let (entropy, key) = (&*self.host.entropy, &self.keys.message);
        let envelope = Envelope::seal(entropy, to, Purpose::Recording, &context, &picture.to_bytes(), picture.at, key)?;
        let until = begun.plus_seconds(i64::from(self.config.retention.recordings_days) * 86_400);
        let row = RecordedRow {
            v: 1,
            delivery: ids.delivery.to_string(),
            attempt: about,
            envelope,
            // It lies in an index, in the open: which day, and not when.
            expires_ms: (until.unix_millis() / DAY_MS + 1) * DAY_MS,
        };
        change.put(&id_of(ids.attempt, number), Version::Absent, &row, row.index());
        Ok(())
    }

    /// Of an attempt that a crash or a stop left behind.
    pub(crate) async fn resume_recording(&self, ids: Ids) -> Result<Recorder, Failure> {
        let (grant, owner) = (self.grant(ids.delivery).await?, self.wallet(ids.wallet).await?);
        let purpose = Grant::verify(&grant.value.papers.grant)?.claims().purpose;
        let to = owners_key(purpose, &grant.value, &owner.value);
        let to = to.ok_or_else(|| broken("a key for recordings cannot be read"))?;
        let kept = self.pictures_of(ids.attempt).await?;
        Ok(Recorder { to, state: Recording::resume(kept, self.host.now()) })
    }

    /// How many there are of an attempt. They are numbered without a gap, so that a dozen looks find the end.
    pub(crate) async fn pictures_of(&self, attempt: AttemptId) -> Result<u32, Failure> {
        // Each opening has its first one, whatever there is already.
        let (mut low, mut high) = (0, PICTURES_MAX + u32::from(COMMANDS_MAX));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.db.has::<RecordedRow>(&id_of(attempt, middle)).await? { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// For the owner: the recordings of a delivery.
    pub(crate) async fn recordings_told(&self, delivery: DeliveryId) -> Result<Vec<Value>, Failure> {
        let mut told = Vec::new();
        for attempt in self.db.list::<AttemptRow>("delivery", delivery.as_bytes()).await? {
            if !is_recorded(&attempt.value.class) {
                continue;
            }
            let id = AttemptId::parse(&b64(&attempt.id)).map_err(|_| broken("an attempt's id is none"))?;
            let pictures = self.pictures_of(id).await?;
            if pictures > 0 {
                let over = matches!(attempt.value.state.phase.as_str(), "locked" | "did_not_happen");
                told.push(json!({"attempt": id.to_string(), "pictures": pictures, "running": !over}));
            }
        }
        Ok(told)
    }

    /// One picture, as it was sealed.
    pub(crate) async fn recorded_picture(
        &self,
        wallet: WalletId,
        delivery: DeliveryId,
        attempt: AttemptId,
        number: u32,
    ) -> Result<String, Failure> {
        let none = || Problem::new(404, "picture_unknown", "there is no such picture");
        self.own_grant(wallet, delivery).await?;
        let row = self.db.get::<RecordedRow>(&id_of(attempt, number)).await?.ok_or_else(none)?;
        if row.value.delivery == delivery.to_string() { Ok(row.value.envelope) } else { Err(none().into()) }
    }

    /// Removes those past their time. What a hold keeps is looked at again tomorrow.
    pub(crate) async fn forget_recordings(&self) -> Result<(), Failure> {
        loop {
            let now_ms = self.host.now().unix_millis();
            let oldest = self.db.first::<RecordedRow>(EXPIRES, &[], 1).await?;
            if oldest.first().is_none_or(|row| row.value.expires_ms >= now_ms) {
                return Ok(());
            }
            let rows = self.db.first::<RecordedRow>(EXPIRES, &[], AT_ONCE).await?;
            let mut change = Change::new(&self.db, &self.host);
            let over: Vec<Stored<RecordedRow>> = rows.into_iter().filter(|row| row.value.expires_ms < now_ms).collect();
            change.journal(RecordedRow::TABLE, b"", "forgotten", &json!({"rows": over.len()}));
            for mut row in over {
                let delivery = DeliveryId::parse(&row.value.delivery).map_err(|_| broken("a delivery's id is none"))?;
                if self.is_held(delivery).await? {
                    row.value.expires_ms += DAY_MS;
                    change.update(&row, row.value.index());
                } else {
                    change.delete(&row);
                }
            }
            match change.commit().await {
                Ok(_) | Err(Failure::Conflict) => {}
                Err(other) => return Err(other),
            }
        }
    }
}

/// Whether an attempt at this class is recorded.
pub(crate) fn is_recorded(class: &str) -> bool {
    AccessClass::parse(class).is_some_and(AccessClass::is_front_door)
}

/// Sealed as a whole under the delivery's key: with it everything goes.
impl RecordedRow {
    pub(crate) fn of_delivery(&self, _: &[u8]) -> Option<String> {
        Some(format!("delivery/{}", self.delivery))
    }
}
