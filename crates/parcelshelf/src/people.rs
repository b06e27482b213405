//! People on the stage: owners with real passkeys and cars with doors, couriers with real devices and hands.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use parcelshelf_access_homeassistant::{DOORS, GARAGES};
use parcelshelf_client::courier::{CloseSaid, Device, Stop, StopPage};
use parcelshelf_client::shipping::{Order, Ordered, ParcelOrder, Shipping};
use parcelshelf_client::wallet::{Consent, Granted, Possession, Wallet, WalletSite};
use parcelshelf_client::{Failure, Host, Http};
use parcelshelf_core::actuation::{AccessClass, Place};
use parcelshelf_core::area::{Area, Cell, Position};
use parcelshelf_core::id::{AttemptId, CourierId, DeliveryId, VehicleId};
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_protocol::bundle::Anchors;
use parcelshelf_protocol::content::{Description, Place as CarPlace};
use parcelshelf_protocol::encoding::Hash;
use parcelshelf_protocol::grant::Disclose;
use parcelshelf_protocol::label;
use parcelshelf_protocol::seal::SealPublicKey;
use parcelshelf_simulator::garage::Garage;
use serde_json::{Value, json};

use crate::stage::Scene;

/// Something that needs a moment is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// Up and down twice, and at most three touches between.
const STEPS_MAX: usize = 10;
/// Nothing on the stage takes longer.
const PATIENCE_LOOKS: u32 = 400;

/// Looks until there is something to see.
///
/// # Errors
/// When it does not come, or looking fails for good.
pub async fn until<T>(
    host: &Host,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> anyhow::Result<T> {
    for _ in 0..PATIENCE_LOOKS {
        match look().await {
            Ok(Some(seen)) => return Ok(seen),
            Ok(None) => {}
            Err(failure) if failure.is_passing() => {}
            Err(other) => return Err(other).with_context(|| format!("while waiting for {what}")),
        }
        host.clock.sleep(LOOK_EVERY).await;
    }
    bail!("{what} did not come")
}

/// Does something again while nobody answers or the server asks for patience.
///
/// # Errors
/// When it is refused, or nobody ever answers.
pub async fn persist<T>(
    host: &Host,
    what: &str,
    mut act: impl AsyncFnMut() -> Result<T, Failure>,
) -> anyhow::Result<T> {
    until(host, what, async || act().await.map(Some)).await
}

/// Hands at one simulated car, over the control path or inside the simulating process.
#[derive(Clone)]
pub struct Hands {
    sim: Result<Http, Arc<dyn Garage>>,
    pub vin: String,
}
impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hands({})", self.vin)
    }
}

impl Hands {
    #[must_use]
    pub fn new(scene: &Scene, vin: &str) -> Self {
        Self { sim: Ok(scene.sim()), vin: vin.to_owned() }
    }
    /// Hands at a car of this maker.
    ///
    /// # Errors
    /// When that maker does not take part.
    pub fn at(scene: &Scene, maker: &str, vin: &str) -> anyhow::Result<Self> {
        Ok(Self { sim: Ok(scene.sim_of(maker)?), vin: vin.to_owned() })
    }
    /// Hands inside the simulating process.
    #[must_use]
    pub fn near(garage: Arc<dyn Garage>, vin: &str) -> Self {
        Self { sim: Err(garage), vin: vin.to_owned() }
    }
    /// # Errors
    /// When the car does not let it.
    pub async fn act(&self, action: &Value) -> Result<Value, Failure> {
        match &self.sim {
            Ok(sim) => sim.post(&format!("/__sim/cars/{}/hand", self.vin), &[], action).await,
            Err(garage) if garage.hand(&self.vin, action) => Ok(Value::Null),
            Err(_) => Err(Failure::Unexpected("the car does not let it")),
        }
    }
    fn over_http(&self) -> Result<&Http, Failure> {
        self.sim.as_ref().map_err(|_| Failure::Unexpected("these hands have no control path"))
    }
    /// # Errors
    /// When the simulator does not answer.
    pub async fn look(&self) -> Result<Value, Failure> {
        self.over_http()?.get(&format!("/__sim/cars/{}", self.vin), &[]).await
    }
    /// Something goes wrong with the car's cloud at the next command of this kind.
    ///
    /// # Errors
    /// When the simulator does not take it.
    pub async fn plan_fault(&self, command: &str, fault: &str) -> Result<(), Failure> {
        let body = json!({"command": command, "fault": fault});
        self.over_http()?.post(&format!("/__sim/cars/{}/faults", self.vin), &[], &body).await.map(drop)
    }
    /// Does at a house's door what the possession proof asks for.
    ///
    /// # Errors
    /// When the door does not let it.
    pub async fn step_at_door(&self, step: &str) -> Result<(), Failure> {
        let actions: &[&str] = if step == "touch" { &["block_doorway", "clear_doorway"] } else { &["press_button"] };
        for action in actions {
            self.act(&json!({ "action": action })).await?;
        }
        Ok(())
    }
    /// Opens and shuts a door as the possession proof names it.
    ///
    /// # Errors
    /// When the car does not let it.
    pub async fn open_and_shut(&self, door: &str) -> Result<(), Failure> {
        let (open, shut) = match door {
            "lid" => (json!({"action": "open_tailgate"}), json!({"action": "close_tailgate"})),
            door => (json!({"action": "open_door", "door": door}), json!({"action": "close_door", "door": door})),
        };
        self.act(&open).await?;
        self.act(&shut).await.map(drop)
    }
}

/// An owner with a wallet and one car.
#[derive(Debug)]
pub struct Owner {
    pub wallet: Wallet,
    pub vehicle: VehicleId,
    pub hands: Hands,
    pub place: Position,
    pub plate: String,
    pub class: AccessClass,
}

impl Owner {
    /// Signs up, links the car, agrees to what the maker cannot tell, describes it, and proves possession at its doors.
    ///
    /// # Errors
    /// When any step is refused.
    pub async fn enrol(scene: &Scene, login: &str, vin: &str, place: Position, plate: &str) -> anyhow::Result<Self> {
        Self::enrol_at(scene, "volvo", login, Hands::new(scene, vin), place, plate).await
    }

    /// As [`Owner::enrol`], with a car of this maker.
    ///
    /// # Errors
    /// When any step is refused.
    pub async fn enrol_at(
        scene: &Scene,
        maker: &str,
        login: &str,
        hands: Hands,
        place: Position,
        plate: &str,
    ) -> anyhow::Result<Self> {
        let site = WalletSite::new(&scene.layout.wallet_origin, &scene.host)?;
        let wallet = Wallet::register(site, &scene.host).await.context("to sign up")?;
        let url = wallet.link(maker).await.context("to begin linking")?;
        let status =
            wallet.http().browse(&format!("{url}&login_hint={login}")).await.context("to log in at the maker")?;
        ensure!(status == 200, "the linking page answered {status}");
        let vehicles = wallet.vehicles().await?;
        let car = vehicles.first().context("no car was linked")?;
        ensure!(car["eligible"] == json!(true), "the car is not eligible: {}", car["findings"]);
        let vehicle = car["vehicle"].as_str().and_then(|v| VehicleId::parse(v).ok()).context("a car without an id")?;
        let class = car["class"].as_str().and_then(AccessClass::parse).context("a car that opens in no known way")?;
        // What the owner reads before agreeing; a lid that nobody can see is one thing more to agree to.
        let untold = car["facts"]["lock_proof"] == json!("executed");
        wallet.agree(vehicle, untold).await.context("to agree")?;
        let description = Description {
            plate: plate.to_owned(),
            colour: String::from("Silver Dawn"),
            model: String::from("XC40"),
            opens_how: String::from("hand under the tailgate's handle"),
            notes: String::new(),
            records_video: false,
        };
        wallet.describe(vehicle, &description).await.context("to describe the car")?;
        let owner = Self { wallet, vehicle, hands, place, plate: plate.to_owned(), class };
        owner.prove_possession().await.context("to prove possession")?;
        Ok(owner)
    }

    /// Signs up and links the garage of a household's server, as the person whom that server knows by `login`. Nothing is asked
    /// of it that only a car has.
    ///
    /// # Errors
    /// When any step is refused.
    pub async fn enrol_garage(scene: &Scene, login: &str, hands: Hands, place: Position) -> anyhow::Result<Self> {
        Self::enrol_garage_of(scene, login, hands, place, None).await
    }

    /// As [`Owner::enrol_garage`]; of a row of garages at one server the owner chooses the own one by its name.
    ///
    /// # Errors
    /// When any step is refused.
    pub async fn enrol_garage_of(
        scene: &Scene,
        login: &str,
        hands: Hands,
        place: Position,
        name: Option<&str>,
    ) -> anyhow::Result<Self> {
        Self::enrol_at_home(scene, AccessClass::Garage, login, hands, place, name).await
    }

    /// Signs up, logs in at the household's server, and links its front door; of several the one of this name.
    ///
    /// # Errors
    /// When any step is refused.
    pub async fn enrol_front_door(
        scene: &Scene,
        login: &str,
        hands: Hands,
        place: Position,
        name: Option<&str>,
    ) -> anyhow::Result<Self> {
        Self::enrol_at_home(scene, AccessClass::Door, login, hands, place, name).await
    }

    async fn enrol_at_home(
        scene: &Scene,
        class: AccessClass,
        login: &str,
        hands: Hands,
        place: Position,
        name: Option<&str>,
    ) -> anyhow::Result<Self> {
        let maker = if class == AccessClass::Door { DOORS } else { GARAGES };
        let site = WalletSite::new(&scene.layout.wallet_origin, &scene.host)?;
        let wallet = Wallet::register(site, &scene.host).await.context("to sign up")?;
        let (link, url) = wallet.begin_link(maker).await.context("to begin linking")?;
        let status =
            wallet.http().browse(&format!("{url}&login_hint={login}")).await.context("to log in at the home server")?;
        ensure!(status == 200, "the linking page answered {status}");
        if let (Some(name), true) = (name, wallet.vehicles().await?.is_empty()) {
            let offered = wallet.cars_to_choose(&link).await.context("to see the doors")?;
            let own = offered.iter().find(|door| door["make"] == name).and_then(|door| door["car"].as_str());
            wallet.choose(&link, &[own.context("no door of that name")?]).await.context("to choose the door")?;
        }
        let linked = wallet.vehicles().await?;
        let door = linked.first().context("no door was linked")?;
        ensure!(door["eligible"] == json!(true), "the door is not eligible: {}", door["findings"]);
        let vehicle = door["vehicle"].as_str().and_then(|v| VehicleId::parse(v).ok());
        let vehicle = vehicle.context("a door without an id")?;
        ensure!(door["class"] == json!(class.code()), "it is no {}: {}", class.code(), door["class"]);
        let owner = Self { wallet, vehicle, hands, place, plate: String::new(), class };
        owner.prove_possession().await.context("to prove possession")?;
        Ok(owner)
    }

    async fn prove_possession(&self) -> anyhow::Result<()> {
        let mut door = match self.wallet.begin_possession(self.vehicle).await? {
            Possession::Door(step) if self.class.belongs_to() == Place::Home => return self.prove_at_door(step).await,
            Possession::Door(door) => door,
            Possession::Wait { until: end } => {
                let host = self.wallet.host();
                host.clock.sleep(host.now().until(end)).await;
                return until(host, "the end of the wait", async || {
                    Ok(self.wallet.has_waited(self.vehicle).await?.then_some(()))
                })
                .await;
            }
        };
        self.hands.act(&json!({"action": "unlock_with_key"})).await?;
        // Each door is opened once it was asked for: the answer to one look is the next door.
        for _ in 0..6 {
            self.hands.open_and_shut(&door).await?;
            let asked = door.clone();
            let next = until(self.wallet.host(), "the next door", async || {
                let next = self.wallet.next_door(self.vehicle).await?;
                Ok(if next.as_ref() == Some(&asked) { None } else { Some(next) })
            });
            match next.await? {
                Some(next) => door = next,
                None => {
                    self.hands.act(&json!({"action": "lock_with_key"})).await?;
                    return Ok(());
                }
            }
        }
        bail!("possession was not proved")
    }

    /// A house's door: by the button on the wall, and a hand in its light barrier.
    async fn prove_at_door(&self, first: String) -> anyhow::Result<()> {
        let mut asked = (0, first);
        for _ in 0..STEPS_MAX {
            self.hands.step_at_door(&asked.1).await?;
            let next = until(self.wallet.host(), "the next step", async || {
                let next = self.wallet.next_step(self.vehicle).await?;
                Ok((next.as_ref() != Some(&asked)).then_some(next))
            });
            match next.await? {
                Some(next) => asked = next,
                None => return Ok(()),
            }
        }
        bail!("possession was not proved")
    }

    /// What this owner's wallet knows of whose word counts, to verify a case bundle by.
    #[must_use]
    pub fn anchors(&self, scene: &Scene) -> Anchors {
        Anchors::published(self.wallet.pinned().claims(), &scene.operator)
    }

    /// The case bundle of a delivery, once it is whole.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn bundle(&self, delivery: DeliveryId) -> anyhow::Result<Vec<u8>> {
        until(self.wallet.host(), "the case bundle", async || match self.wallet.bundle(delivery).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(failure) if failure.code() == Some("bundle_not_ready") => Ok(None),
            Err(other) => Err(other),
        })
        .await
    }

    /// Whole cells around the car: what the owner lets a carrier know.
    ///
    /// # Errors
    /// When the cells are no area.
    pub fn area(&self) -> anyhow::Result<Area> {
        let mut cells = Cell::of(&self.place).disk(1);
        cells.sort_unstable();
        Area::new(cells).context("cells that are no area")
    }

    /// What the owner decides: this car, this window, this area.
    ///
    /// # Errors
    /// When the window is none.
    pub fn consent(
        &self,
        window: Window,
        access_point: parcelshelf_core::id::AccessPointId,
    ) -> anyhow::Result<Consent> {
        Ok(Consent {
            vehicles: vec![self.vehicle],
            access_point,
            opens: vec![self.class],
            area: self.area()?,
            window,
            disclose: Disclose::NextStop,
        })
    }

    /// Reads the carrier's request and allows it.
    ///
    /// # Errors
    /// When the request does not hold, or the keyholder refuses the grant.
    pub async fn allow(&self, scene: &Scene, ordered: &Ordered) -> anyhow::Result<Granted> {
        self.allow_shown(scene, ordered, Disclose::NextStop).await
    }

    /// As [`Owner::allow`]; `disclose` says when the courier is shown the place.
    ///
    /// # Errors
    /// When the request does not hold, or the keyholder refuses the grant.
    pub async fn allow_shown(&self, scene: &Scene, ordered: &Ordered, disclose: Disclose) -> anyhow::Result<Granted> {
        let ticket = self.wallet.read_ticket(&ordered.consent_url, &scene.operator)?;
        let asked = ticket.request.claims();
        let access_point =
            persist(&scene.host, "an access point", async || self.wallet.access_point(asked.iss).await).await?;
        let consent = Consent { disclose, ..self.consent(asked.window, access_point)? };
        let signed = self.wallet.sign(&ticket, &consent)?;
        persist(&scene.host, "the acceptance", async || self.wallet.hand_in(&signed).await).await
    }
}

/// A courier with an enrolled device.
#[derive(Debug)]
pub struct Courier {
    pub id: CourierId,
    pub device: Device,
    pub shipping: Shipping,
}

impl Courier {
    /// Hired by dispatch, device certified by the depot.
    ///
    /// # Errors
    /// When any step is refused.
    pub async fn hire(scene: &Scene, name: &str, key: &str) -> anyhow::Result<Self> {
        let dispatch = scene.dispatch();
        let (id, token) = dispatch.hire(name, &format!("{key}-hire")).await.context("to hire a courier")?;
        let device = Device::create(&scene.host)?;
        scene.depot.enrol(&scene.gateway_http(), &device, &scene.host).await.context("to enrol a device")?;
        dispatch.assign_device(id, device.thumbprint(), &format!("{key}-device")).await?;
        Ok(Self { id, device, shipping: scene.courier(&token) })
    }
}

/// An order for one parcel, in a window that begins now.
///
/// # Errors
/// When the window is none.
pub fn order(now: Timestamp, label: &str) -> anyhow::Result<Order> {
    let start = now.rounded_down_to_minutes(15);
    Ok(Order {
        merchant_id: String::from("fjord-books"),
        merchant_name: String::from("Fjord Books"),
        recipient: String::from("Kim Larsen"),
        fallback_address: String::from("12 Harbour Street"),
        parcels: vec![ParcelOrder {
            label: label.to_owned(),
            size_mm: [300, 200, 100],
            weight_g: 1_200,
            value_minor: 4_900,
            currency: String::from("USD"),
            direction: String::from("put"),
        }],
        window: Window::new(start, start.plus_seconds(4 * 3_600))?,
        fallbacks: vec![String::from("address"), String::from("return")],
        rule: None,
    })
}

/// A courier at a stop, with the page open.
#[derive(Debug)]
pub struct AtStop<'a> {
    pub page: StopPage,
    pub stop: Stop,
    pub courier: &'a Courier,
    /// Where the phone is.
    pub phone: Position,
}

impl<'a> AtStop<'a> {
    /// Opens the stop page whose address the carrier gave.
    ///
    /// # Errors
    /// When the page does not hold.
    pub async fn open(
        scene: &Scene,
        courier: &'a Courier,
        owner: &Owner,
        stop_url: &str,
        phone: Position,
    ) -> anyhow::Result<Self> {
        let stop = Stop::parse(stop_url)?;
        let page = persist(&scene.host, "the stop page", async || {
            let (origin, pinned) = (&scene.layout.stop_origin, owner.wallet.pinned());
            StopPage::open_for(origin, pinned, &scene.host, &courier.device, &stop).await
        });
        Ok(Self { page: page.await?, stop, courier, phone })
    }

    /// Where the car stands.
    ///
    /// # Errors
    /// When a condition does not hold.
    pub async fn locate(&self) -> anyhow::Result<CarPlace> {
        persist(self.page.host(), "the place", async || {
            self.page.locate(&self.courier.device, &self.stop, self.phone).await
        })
        .await
    }
    /// Plate and words.
    ///
    /// # Errors
    /// When a condition does not hold.
    pub async fn describe(&self) -> anyhow::Result<Description> {
        persist(self.page.host(), "the description", async || {
            self.page.describe(&self.courier.device, &self.stop, self.phone).await
        })
        .await
    }
    /// The salted hash of a scanned label.
    ///
    /// # Errors
    /// When it is no label.
    pub fn scan(&self, text: &str) -> anyhow::Result<Hash> {
        Ok(label::hash(&self.stop.salt, text)?)
    }

    /// Asks to open. When no answer comes the same bytes are sent again: they can open nothing twice. When they have grown
    /// stale meanwhile, a new proof joins what lives.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn ask_to_open(&self, labels: &[Hash]) -> anyhow::Result<AttemptId> {
        self.ask_to_open_with_key(labels).await.map(|(attempt, _)| attempt)
    }

    /// The same, with the owner's key for photos where the answer brings it: at a house.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn ask_to_open_with_key(&self, labels: &[Hash]) -> anyhow::Result<(AttemptId, Option<SealPublicKey>)> {
        let labels: Vec<String> = labels.iter().map(Hash::to_string).collect();
        let act = parcelshelf_core::reason::Action::Open;
        for _ in 0..8 {
            let prepared = persist(self.page.host(), "a nonce", async || {
                let body = json!({ "labels": labels });
                self.page.prepare(&self.courier.device, &self.stop, act, self.phone, body).await
            });
            let prepared = prepared.await?;
            for _ in 0..40 {
                match self.page.send(&prepared).await {
                    Ok(answer) => {
                        let key = self.page.photo_key(&self.courier.device, &self.stop, &answer)?;
                        return Ok((StopPage::attempt_of(&answer)?, key));
                    }
                    Err(failure) if failure.is_passing() => self.page.host().clock.sleep(LOOK_EVERY).await,
                    Err(failure) if failure.code().is_some_and(|c| c.starts_with("nonce_")) => break,
                    Err(other) => return Err(other.into()),
                }
            }
        }
        bail!("nobody answered")
    }

    /// Follows an attempt until `enough` says so.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn follow(&self, attempt: AttemptId, enough: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let mut after = 0;
        until(self.page.host(), "news of the attempt", async || {
            let seen = self.page.attempt(attempt, after).await?;
            after = seen["seq"].as_u64().unwrap_or(after);
            Ok(enough(&seen).then_some(seen))
        })
        .await
    }

    /// Leaves a photo of the closed lid, sealed to the owner's key for this grant.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn photograph(&self, attempt: AttemptId, to: &SealPublicKey, photo: &[u8]) -> anyhow::Result<Hash> {
        let device = &self.courier.device;
        let left = persist(self.page.host(), "a photo", async || {
            self.page.leave_photo(device, &self.stop, attempt, to, photo).await
        });
        Ok(left.await?.0)
    }

    /// Says that the lid is shut, and whether the handle held. Where the page asks for the handle after the lock, it is
    /// said once more.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn shut(&self, handle_checked: bool, photo: Option<Hash>) -> anyhow::Result<Value> {
        let device = &self.courier.device;
        persist(self.page.host(), "the close", async || {
            self.page.shut(device, &self.stop, self.phone, CloseSaid { handle_checked, photo, done: true }).await
        })
        .await
    }

    /// Says that the lid is shut and the handle held.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn close(&self, photo: Option<Hash>) -> anyhow::Result<Value> {
        let device = &self.courier.device;
        persist(self.page.host(), "the close", async || {
            self.page.close(device, &self.stop, self.phone, photo, true).await
        })
        .await
    }
}

/// Waits until the carrier says that a delivery is in one of these states.
///
/// # Errors
/// When it does not come.
pub async fn carrier_says(at: &Shipping, delivery: DeliveryId, states: &[&str]) -> anyhow::Result<Value> {
    until(at.host(), &format!("the state {}", states.join(" or ")), async || {
        let seen = at.delivery(delivery).await?;
        let state = seen["state"].as_str().unwrap_or_default();
        Ok(states.contains(&state).then_some(seen))
    })
    .await
}
