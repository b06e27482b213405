//! A courier at a car, with every request kept as it was sent.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use parcelshelf_client::courier::{Device, Prepared, Stop, StopPage};
use parcelshelf_client::{Failure, photo};
use parcelshelf_core::area::Position;
use parcelshelf_core::id::AttemptId;
use parcelshelf_core::reason::Action;
use parcelshelf_protocol::encoding::Hash;
use parcelshelf_protocol::label;
use reqwest::Method;
use serde_json::{Value, json};

use super::world::World;

/// Nobody answers, or a car is looked for: asked again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// So often. The prepared world has parked cars and healthy clouds for drills.
const TRIES: u32 = 30;
/// A courier who has put the parcel in shuts the lid after so many looks, whatever the page says: less than the three minutes
/// after which an open lid raises the alarm.
const OPEN_LOOKS: u32 = 12;
/// A sealed photo of a lid as phones make them smaller for the net.
const PHOTO_BYTES: usize = 24 * 1024;

/// One courier's visit.
#[derive(Debug)]
pub struct Visit {
    pub n: usize,
    pub page: StopPage,
    pub stop: Stop,
    /// Everything that the phone sent, in order.
    pub sent: Vec<(Action, Prepared)>,
    /// Somebody on the way sends everything once more as soon as it is answered.
    overheard: Option<Vec<Echo>>,
}

/// A request that was sent twice, at once.
#[derive(Debug)]
pub struct Echo {
    pub action: Action,
    pub first: Value,
    pub again: Result<Value, Failure>,
}

/// The same bytes as they were overheard, to any address.
///
/// # Errors
/// [`Failure`].
pub async fn send_again(page: &StopPage, prepared: &Prepared, path: &str) -> Result<Value, Failure> {
    let (link, proof, body) = prepared.parts();
    let headers = [("authorization", link), ("dpop", proof)];
    page.http().send(Method::POST, path, &headers, Some(body.to_vec())).await
}

/// The answer once there is one.
///
/// # Errors
/// [`Failure`] as it came.
pub async fn answered<T>(world: &World, mut ask: impl AsyncFnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    for _ in 0..TRIES {
        match ask().await {
            Err(failure) if failure.is_passing() => world.scene().host.clock.sleep(AGAIN).await,
            answer => return answer,
        }
    }
    ask().await
}

impl Visit {
    /// The courier sets out for a stop and opens the page.
    ///
    /// # Errors
    /// When anybody refuses it.
    pub async fn begin(world: &World, n: usize) -> anyhow::Result<Self> {
        Ok(Self::at(n, world.page().await?, world.set_out(n).await?))
    }
    /// Somebody has an address of a stop from elsewhere.
    #[must_use]
    pub const fn at(n: usize, page: StopPage, stop: Stop) -> Self {
        Self { n, page, stop, sent: Vec::new(), overheard: None }
    }
    /// From now on everything is overheard, and sent once more as soon as it is answered.
    #[must_use]
    pub fn overheard(self) -> Self {
        Self { overheard: Some(Vec::new()), ..self }
    }
    /// What was overheard since the last time.
    pub fn echoes(&mut self) -> Vec<Echo> {
        self.overheard.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Where the car really is: the cars of the kept deliveries have not moved.
    ///
    /// # Errors
    /// When there is none.
    pub fn place(&self, world: &World) -> anyhow::Result<Position> {
        Ok(world.delivery(self.n)?.place)
    }
    /// Where the courier stands.
    ///
    /// # Errors
    /// When there is no car.
    pub fn beside(&self, world: &World) -> anyhow::Result<Position> {
        Ok(self.place(world)?.moved(90.0, 20.0))
    }

    /// One action with a fresh nonce, kept, sent until it is answered.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn act(
        &mut self,
        world: &World,
        device: &Device,
        action: Action,
        at: Position,
        body: Value,
    ) -> Result<Value, Failure> {
        let (page, stop) = (&self.page, &self.stop);
        let mut kept = None;
        let answer = answered(world, async || {
            let prepared = page.prepare(device, stop, action, at, body.clone()).await?;
            kept = Some(prepared.clone());
            page.send(&prepared).await
        })
        .await;
        if let (Some(echoes), Some(prepared), Ok(first)) = (&mut self.overheard, &kept, &answer) {
            let again = send_again(&self.page, prepared, prepared.path()).await;
            echoes.push(Echo { action, first: first.clone(), again });
        }
        self.sent.extend(kept.map(|prepared| (action, prepared)));
        answer
    }

    /// Hashes of the labels that this delivery's parcels bear.
    ///
    /// # Errors
    /// When there is no delivery.
    pub fn labels(&self, world: &World) -> anyhow::Result<Value> {
        let hash = label::hash(&self.stop.salt, &world.delivery(self.n)?.label)?;
        Ok(json!({"labels": [hash.to_string()]}))
    }

    /// Looks where the car stands.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn locate(&mut self, world: &World, device: &Device) -> anyhow::Result<Result<Value, Failure>> {
        let at = self.beside(world)?;
        Ok(self.act(world, device, Action::Locate, at, json!({})).await)
    }
    /// Asks to open.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open(&mut self, world: &World, device: &Device) -> anyhow::Result<Result<AttemptId, Failure>> {
        let (at, labels) = (self.beside(world)?, self.labels(world)?);
        let answer = self.act(world, device, Action::Open, at, labels).await;
        Ok(answer.and_then(|answer| StopPage::attempt_of(&answer)))
    }

    /// Asks for a lock.
    ///
    /// # Errors
    /// When there is no car; inside, [`Failure`].
    pub async fn lock(&mut self, world: &World, device: &Device) -> anyhow::Result<Result<Value, Failure>> {
        let at = self.beside(world)?;
        Ok(self.act(world, device, Action::Lock, at, json!({})).await)
    }

    /// The parcel goes in, the lid is shut, and the page is watched until the car is proved locked.
    ///
    /// # Errors
    /// When it does not come to that.
    pub async fn finish(&mut self, world: &World, device: &Device, attempt: AttemptId) -> anyhow::Result<()> {
        let at = self.beside(world)?;
        let (mut lid, mut photo) = (Lid::Untouched, None);
        for _ in 0..4 * TRIES {
            let seen = answered(world, async || self.page.attempt(attempt, 0).await).await?;
            if seen["ended"] == json!(true) {
                ensure!(lid == Lid::Shut, "the attempt ended before the lid was open: {}", seen["state"]);
                return Ok(());
            }
            lid = self.hand_at(world, lid, &seen).await;
            if lid == Lid::Shut && photo.is_none() {
                let picture = self.photograph(world, device, attempt).await?;
                self.says_shut(world, device, at, false, picture).await?;
                photo = Some(picture);
            } else if let (Some(picture), true) = (photo, seen["check_handle"] == json!(true)) {
                // The car tells nothing itself: a hand at the handle does, after the lock.
                let gives = world.day.hand(self.n, &json!({"action": "try_trunk"})).await;
                self.says_shut(world, device, at, !gives, picture).await?;
            }
            world.scene().host.clock.sleep(AGAIN).await;
        }
        bail!("the attempt did not end")
    }

    /// What the hand does after this look at the page. Where nobody knows whether it is unlocked, pulling tells. It is let
    /// down at a later look, if possible once the page calls it open: makers that tell no times never show a lid that
    /// was open between two reads.
    async fn hand_at(&self, world: &World, lid: Lid, seen: &Value) -> Lid {
        let (hand, state) = (async |action| world.day.hand(self.n, &json!({"action": action})).await, &seen["state"]);
        match lid {
            Lid::Untouched if matches!(state.as_str(), Some("ready" | "open" | "unknown")) => {
                if hand("open_tailgate").await { Lid::Open { looks: 0 } } else { Lid::Untouched }
            }
            Lid::Open { looks } if state == "open" || looks == OPEN_LOOKS => {
                if hand("close_tailgate").await {
                    Lid::Shut
                } else {
                    lid
                }
            }
            Lid::Open { looks } => Lid::Open { looks: looks + 1 },
            Lid::Untouched | Lid::Shut => lid,
        }
    }

    /// A photo of the shut lid, left for the owner as the stop page leaves it.
    async fn photograph(&self, world: &World, device: &Device, attempt: AttemptId) -> anyhow::Result<Hash> {
        let delivery = world.delivery(self.n)?;
        let owner = delivery.photo_key.as_ref().context("an owner without a key for photos")?;
        let picture = photo::specimen_of(PHOTO_BYTES);
        let left =
            answered(world, async || self.page.leave_photo(device, &self.stop, attempt, owner, &picture).await).await;
        Ok(left.context("the photo")?.0)
    }

    async fn says_shut(
        &mut self,
        world: &World,
        device: &Device,
        at: Position,
        handle_checked: bool,
        photo: Hash,
    ) -> anyhow::Result<()> {
        let body = json!({"handle_checked": handle_checked, "photo": photo.to_string(), "done": true});
        self.act(world, device, Action::Close, at, body).await.context("to say that it is shut")?;
        Ok(())
    }
}

/// The lid in the courier's hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lid {
    Untouched,
    /// The page was looked at so often since without calling it open.
    Open {
        looks: u32,
    },
    Shut,
}
