//! A courier at a car, with every request kept as it was sent.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use parcelshelf_client::Failure;
use parcelshelf_client::courier::{CloseSaid, Device, Prepared, Stop, StopPage};
use parcelshelf_core::area::Position;
use parcelshelf_core::id::AttemptId;
use parcelshelf_core::reason::Action;
use parcelshelf_protocol::label;
use serde_json::{Value, json};

use super::world::World;

/// Nobody answers, or a car is looked for: asked again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// So often. The prepared world has parked cars and healthy clouds for drills.
const TRIES: u32 = 30;

/// One courier's visit.
#[derive(Debug)]
pub struct Visit {
    pub n: usize,
    pub page: StopPage,
    pub stop: Stop,
    /// Everything that the phone sent, in order.
    pub sent: Vec<(Action, Prepared)>,
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
        Ok(Self { n, page: world.page().await?, stop: world.set_out(n).await?, sent: Vec::new() })
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
        let (mut placed, mut told) = (false, false);
        for _ in 0..4 * TRIES {
            let seen = answered(world, async || self.page.attempt(attempt, 0).await).await?;
            if seen["ended"] == json!(true) {
                ensure!(placed, "the attempt ended before the lid was open: {}", seen["state"]);
                return Ok(());
            }
            if !placed && matches!(seen["state"].as_str(), Some("ready" | "open")) {
                placed = world.day.hand(self.n, &json!({"action": "open_tailgate"})).await;
                if placed {
                    world.day.hand(self.n, &json!({"action": "close_tailgate"})).await;
                }
            }
            let handle = seen["check_handle"] == json!(true);
            if placed && (!told || handle) {
                let said = CloseSaid { handle_checked: true, photo: None, done: true };
                let body = json!({"handle_checked": said.handle_checked, "photo": null, "done": said.done});
                self.act(world, device, Action::Close, at, body).await.context("to say that it is shut")?;
                told = true;
            }
            world.scene().host.clock.sleep(AGAIN).await;
        }
        bail!("the attempt did not end")
    }
}
