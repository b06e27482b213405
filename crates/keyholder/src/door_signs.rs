//! A code at the door: whoever stands there asks, and the owner lets them in once, with no carrier in between.
//!
//! The keyholder draws the code's secret and shows it to the wallet alone, sealed; the owner prints it. Whoever reads it asks under
//! a name of their page's own choosing, with a tag that only a reader of the code can make. From there on it is a guest's
//! row like any other: the owner signs for this device or does not, and ten minutes later nobody asks any more.

use std::collections::BTreeSet;

use parcelshelf_core::actuation::Place;
use parcelshelf_core::id::{InvitationId, VehicleId, WalletId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::content::GuestName;
use parcelshelf_protocol::encoding::{Hash, b64, from_b64};
use parcelshelf_protocol::enrol::Enrolment;
use parcelshelf_protocol::invite::DoorSign;
use parcelshelf_protocol::seal::{self, Context, Purpose as Sealed};
use parcelshelf_store::Version;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::db::{Change, Stored};
use crate::failure::{Failure, broken};
use crate::rows::{DoorSignRow, GuestRow};
use crate::wallets::wallet_index;

/// As long as somebody stands before a door.
const KNOCK_MS: i64 = 600_000;
/// Who stand at one door at once.
const KNOCKS_MAX: usize = 4;
/// Those of an hour; more are a nuisance.
const KNOCKS_HOUR_MAX: usize = 12;
const HOUR_MS: i64 = 3_600_000;
const QUARTER_MINUTES: i64 = 15;

/// One answer for a code that was taken down, that never was, and that somebody has not read.
pub(crate) fn no_sign() -> Problem {
    Problem::new(404, "door_sign_unknown", "there is no such code at a door")
}

impl DoorSignRow {
    fn wallet(&self) -> Result<WalletId, Failure> {
        WalletId::parse(&self.wallet).map_err(|_| broken("a wallet's id is none"))
    }
    fn sign(&self) -> Result<DoorSign, Failure> {
        DoorSign::parse(&self.secret).ok_or_else(|| broken("a door sign's secret cannot be read"))
    }
    /// False: as many have asked in this hour as may. No time that is kept says more than a quarter.
    fn asked(&mut self, now: Timestamp) -> bool {
        self.asked_ms.retain(|at| now.unix_millis() - at < HOUR_MS);
        let room = self.asked_ms.len() < KNOCKS_HOUR_MAX;
        if room {
            self.asked_ms.push(now.rounded_down_to_minutes(QUARTER_MINUTES).unix_millis());
        }
        room
    }
}

/// Somebody at a door.
pub(crate) struct Knock<'a> {
    pub knock: InvitationId,
    pub device: &'a str,
    pub tag: Hash,
    /// Who it is, sealed.
    pub sealed: &'a str,
}

impl Keyholder {
    /// The code for one house's door; the one that hangs there already, if there is one.
    pub(crate) async fn put_up(&self, wallet: WalletId, id: VehicleId) -> Result<InvitationId, Failure> {
        let (owner, vehicle) = (self.wallet(wallet).await?, self.vehicle(wallet, id).await?);
        if self.place_of(&vehicle.value.maker) != Place::Home {
            return Err(Problem::new(409, "guests_at_houses_only", "guests are let into houses, not into cars").into());
        }
        if vehicle.value.unlinking {
            return Err(Problem::new(409, "car_unlinked", "the owner has taken this door back").into());
        }
        let name = b64(&vehicle.id);
        if let Some(known) = self.door_signs_of(wallet).await?.iter().find(|sign| sign.value.vehicle == name) {
            return Ok(known.value.sign()?.id());
        }
        let sign = DoorSign::from_secret(self.host.random());
        let row = DoorSignRow {
            v: 1,
            wallet: wallet.to_string(),
            vehicle: name,
            secret: sign.to_text(),
            asked_ms: Vec::new(),
        };
        let mut change = Change::new(&self.db, &self.host);
        change.check(&owner);
        change.check(&vehicle);
        change.put(sign.id().as_bytes(), Version::Absent, &row, wallet_index(wallet));
        change.journal("door_sign", sign.id().as_bytes(), "put_up", &json!({}));
        change.commit().await?;
        Ok(sign.id())
    }

    pub(crate) async fn door_signs_of(&self, wallet: WalletId) -> Result<Vec<Stored<DoorSignRow>>, Failure> {
        Ok(self.db.list::<DoorSignRow>("wallet", wallet.as_bytes()).await?)
    }
    /// With their secrets, for the owner's own devices.
    pub(crate) async fn door_signs_told(&self, wallet: WalletId) -> Result<Vec<Value>, Failure> {
        let told = |sign: &Stored<DoorSignRow>| json!({"door_sign": b64(&sign.id), "vehicle": sign.value.vehicle, "secret": sign.value.secret});
        Ok(self.door_signs_of(wallet).await?.iter().map(told).collect())
    }

    /// Houses at whose door somebody asks now.
    pub(crate) async fn at_door(&self, wallet: WalletId) -> Result<BTreeSet<String>, Failure> {
        let now = self.host.now();
        let asked: BTreeSet<String> = {
            let guests = self.guests_of(wallet).await?;
            guests.into_iter().filter(|guest| guest.value.waits(now)).filter_map(|guest| guest.value.sign).collect()
        };
        if asked.is_empty() {
            return Ok(asked);
        }
        let signs = self.door_signs_of(wallet).await?.into_iter();
        Ok(signs.filter(|sign| asked.contains(&b64(&sign.id))).map(|sign| sign.value.vehicle).collect())
    }

    /// A code that nobody gets in by any more, and whoever asks under it.
    pub(crate) async fn take_down_sign(&self, wallet: WalletId, id: InvitationId) -> Result<(), Failure> {
        let row = self.db.get::<DoorSignRow>(id.as_bytes()).await?;
        let own = row.filter(|row| row.value.wallet == wallet.to_string()).ok_or_else(no_sign)?;
        let mut change = Change::new(&self.db, &self.host);
        self.take_down(&mut change, &own).await?;
        change.commit().await?;
        Ok(())
    }
    pub(crate) async fn take_down(&self, change: &mut Change<'_>, sign: &Stored<DoorSignRow>) -> Result<(), Failure> {
        let (name, now) = (b64(&sign.id), self.host.now());
        for guest in self.guests_of(sign.value.wallet()?).await? {
            if guest.value.sign.as_deref() == Some(name.as_str()) && guest.value.waits(now) {
                change.delete(&guest);
            }
        }
        change.delete(sign);
        change.journal("door_sign", &sign.id, "taken_down", &json!({}));
        Ok(())
    }

    /// Somebody who has read the code asks to be let in. The same knock again changes nothing.
    pub(crate) async fn knock(&self, id: InvitationId, knock: &Knock<'_>) -> Result<Timestamp, Failure> {
        let mut sign = self.db.get::<DoorSignRow>(id.as_bytes()).await?.ok_or_else(no_sign)?;
        let shown = Enrolment::parse(knock.device)?;
        if sign.value.sign()?.tag(shown.device(), knock.knock) != knock.tag {
            return Err(no_sign().into());
        }
        let bytes =
            from_b64(knock.sealed).ok_or_else(|| Problem::new(400, "box_malformed", "the box is not base64url"))?;
        let (sender, about) = (shown.device().to_string(), knock.knock.to_string());
        let context = Context { sender: &sender, recipient: &self.config.aud, delivery: &about, seq: 0 };
        let name = GuestName::parse(&seal::open(&self.keys.seal, Sealed::GuestName, &context, &bytes)?)?.name;
        let (now, wallet, under) = (self.host.now(), sign.value.wallet()?, b64(&sign.id));
        let answer = Some((shown.to_text(), knock.tag.to_string()));
        if let Some(known) = self.db.get::<GuestRow>(knock.knock.as_bytes()).await? {
            let known = known.value;
            let same = known.sign.as_ref() == Some(&under) && known.answer == answer && known.name == name;
            return if same { Ok(Timestamp::from_unix_millis(known.until_ms)) } else { Err(no_sign().into()) };
        }
        let waits = |guest: &Stored<GuestRow>| guest.value.sign.as_ref() == Some(&under) && guest.value.waits(now);
        let at_once = self.guests_of(wallet).await?.iter().filter(|guest| waits(guest)).count();
        if at_once >= KNOCKS_MAX || !sign.value.asked(now) {
            return Err(Problem::unavailable("too_many_knocks", "too many ask at this door now", 600).into());
        }
        let owner = self.wallet(wallet).await?;
        let until = now.plus_millis(KNOCK_MS);
        let row = GuestRow {
            v: 1,
            wallet: sign.value.wallet.clone(),
            name,
            until_ms: until.unix_millis(),
            answer,
            granted: None,
            sign: Some(under),
        };
        let mut change = Change::new(&self.db, &self.host);
        change.check(&owner);
        // Whoever asks at the same moment changes this row, too: the bounds hold.
        change.update(&sign, wallet_index(wallet));
        change.put(knock.knock.as_bytes(), Version::Absent, &row, row.index()?);
        change.journal("guest", knock.knock.as_bytes(), "knocked", &json!({}));
        change.commit().await?;
        self.waking.at_door(wallet);
        Ok(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dozen_ask_in_an_hour_and_only_quarters_are_kept() {
        let mut row = DoorSignRow {
            v: 1,
            wallet: String::new(),
            vehicle: String::new(),
            secret: String::new(),
            asked_ms: Vec::new(),
        };
        let noon = Timestamp::from_unix_seconds(1_800_000_000);
        for minute in 0..12 {
            assert!(row.asked(noon.plus_seconds(60 * minute)), "{minute}");
        }
        assert!(!row.asked(noon.plus_seconds(900)));
        assert!(row.asked_ms.iter().all(|at| at % 900_000 == 0), "{:?}", row.asked_ms);
        assert!(row.asked(noon.plus_seconds(4_500)), "an hour later");
        assert!(row.asked_ms.len() <= 12);
    }
}
