//! A garage without a carrier: a guest who was invited, and whoever stands at the door and reads its code.

use std::path::Path;

use anyhow::Context as _;
use parcelshelf_access_homeassistant::GARAGES;
use parcelshelf_client::guest::{Guest, door_link_of, link_of};
use parcelshelf_client::photo::specimen;
use parcelshelf_client::wallet::{Consent, Granted};
use parcelshelf_core::area::Position;
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_protocol::enrol::Enrolment;
use serde_json::{Value, json};

use super::{Case, tell};
use crate::judge::Seen;
use crate::people::{Owner, until};
use crate::stage::Scene;

const HOUR_S: i64 = 3_600;
/// Long enough to open, carry it in and shut.
const AT_DOOR_S: i64 = 900;

const GUESTS: [(&str, &str); 5] = [
    ("guest", "that this door opens for this phone, once; nothing that opens it for another"),
    ("front", "that sealed bytes passed, how many and when; neither the link's secret nor the guest's name"),
    ("keyholder", "how the owner calls the guest, sealed at rest; that this grant was used"),
    ("home server", "what it knows anyway: its own door was opened and shut"),
    ("log readers", "hashes, and their order"),
];
const WHOEVER: [(&str, &str); 5] = [
    ("courier", "that the door opened once; the code opens nothing by itself"),
    ("front", "that sealed bytes passed, how many and when; neither the code nor who asked"),
    ("keyholder", "what the courier said of themselves, sealed at rest; that this grant was used"),
    ("home server", "what it knows anyway: its own door was opened and shut"),
    ("log readers", "hashes, and their order"),
];

/// A household's door and whoever comes to it.
pub(super) struct Door<'a> {
    pub stage: &'a Scene,
    pub place: Position,
    pub dir: &'a Path,
}

impl Door<'_> {
    pub async fn lets_a_guest_in(&self, owner: &Owner) -> anyhow::Result<Value> {
        let (stage, wallet) = (self.stage, &owner.wallet);
        let invitation = wallet.invite("Anna").await?;
        tell("owner      invites Anna: a link whose secret no server sees, good for one phone and a day");
        let guest = Guest::answer(&link_of(&stage.layout.stop_origin, &invitation), &stage.host).await?;
        let digits = guest.digits();
        tell(&format!("guest      opens it; the phone makes its keys, and shows six digits to read out: {digits}"));
        let shown = wallet.paired(&invitation, &digits).await?.context("nobody has answered")?;
        let granted = wallet.let_in(&shown, &self.consent(owner, &shown, HOUR_S).await?).await?;
        tell("owner      types them, and allows with a passkey: this phone, this door, this hour, once");
        let before = Seen::of(&stage.seen_of(&owner.hands.vin).await?);
        self.comes(&guest, false).await?;
        self.case(&GUESTS).judged(owner, &granted, &guest.device, before, "visited").await
    }

    pub async fn opens_to_whoever_asks(&self, owner: &Owner) -> anyhow::Result<Value> {
        let (stage, wallet) = (self.stage, &owner.wallet);
        let sign = wallet.put_up_door_sign(owner.vehicle).await?;
        tell("owner      prints a code and hangs it at the garage: it opens nothing by itself");
        let link = door_link_of(&stage.layout.stop_origin, &sign);
        let courier = Guest::knock(&link, "Robin, Postal Service", &stage.host).await?;
        tell(
            "courier    of any company scans it, says who they are, and asks; no app, no account, no carrier takes part",
        );
        let asks = wallet.at_the_door().await?.pop().context("nobody is at the door")?;
        tell(&format!(
            "owner      is woken, reads «{}», which nobody has checked, and looks who stands there",
            asks.who
        ));
        let granted: Granted = wallet.let_in(&asks.shown, &self.consent(owner, &asks.shown, AT_DOOR_S).await?).await?;
        tell("           allows with a passkey: this phone, this door, these fifteen minutes, once");
        let before = Seen::of(&stage.seen_of(&owner.hands.vin).await?);
        self.comes(&courier, true).await?;
        self.case(&WHOEVER).judged(owner, &granted, &courier.device, before, "delivered").await
    }

    fn case(&self, learned: &'static [(&'static str, &'static str)]) -> Case<'_> {
        Case { stage: self.stage, dir: self.dir, maker: GARAGES, sabotage: None, learned }
    }
    async fn consent(&self, owner: &Owner, shown: &Enrolment, seconds: i64) -> anyhow::Result<Consent> {
        let start = Timestamp::from_unix_seconds(self.stage.host.now().unix_seconds());
        let window = Window::new(start, start.plus_seconds(seconds))?;
        owner.consent(window, owner.wallet.access_point(shown.device()).await?)
    }

    /// Opens, goes in and out, and waits until it is seen shut.
    async fn comes(&self, who: &Guest, with_parcel: bool) -> anyhow::Result<()> {
        let (stop, page) = (who.let_in().await?.context("nothing was signed")?.stop()?, who.page().await?);
        let (attempt, key) = page.ask_to_open_with_key(&who.device, &stop, self.place, &[]).await?;
        let reaches = async |state: &str| {
            until(&self.stage.host, state, async || {
                let seen = page.attempt(attempt, 0).await?;
                Ok((seen["state"] == json!(state)).then_some(seen))
            })
            .await
        };
        reaches("open").await?;
        tell("garage     goes up: its own state says so, under the very call that the keyholder made");
        let mut photo = None;
        if with_parcel {
            let key = key.context("an opening without the owner's key for photos")?;
            photo = Some(page.leave_photo(&who.device, &stop, attempt, &key, &specimen()).await?.0);
            tell("courier    puts the parcel inside and takes a photo, sealed to the owner");
        }
        page.close(&who.device, &stop, self.place, photo, true).await?;
        let end = reaches("locked").await?;
        let proof = end["lock_proof"].as_str().unwrap_or("not proved");
        tell(&format!("keyholder  has it driven shut and watches it on its way; shut is proved: {proof}"));
        Ok(())
    }
}
