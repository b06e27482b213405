//! Cars that several wallets link, with real processes and a clock that jumps.

use std::sync::Arc;
use std::time::Duration;

use parcelshelf::people::{AtStop, Courier, Hands, Owner, carrier_says, order, persist};
use parcelshelf::simulate::conductor::Conductor;
use parcelshelf::simulate::garages::Garages;
use parcelshelf::stage::{Clockwork, Scene, Setting, Stage, Worlds};
use parcelshelf_client::Failure;
use parcelshelf_client::courier::Device;
use parcelshelf_client::rules::InAdvance;
use parcelshelf_client::wallet::{Checked, Possession, Wallet, WalletSite};
use parcelshelf_core::area::Position;
use parcelshelf_core::id::{DeliveryId, VehicleId};
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_edge::Host;
use parcelshelf_edge::clock::SystemEntropy;
use parcelshelf_protocol::grant::{Schedule, Weekday};
use parcelshelf_simulator::volvo;
use serde_json::json;

pub const MAKER: &str = "volvo";
pub const LOGIN: &str = "kim@example.org";
pub const LABEL: &str = "FJB70000001";
/// Tuesday, 24 November 2026, 08:00 in Gothenburg.
pub const MORNING: Timestamp = Timestamp::from_unix_seconds(1_795_503_600);

pub fn place() -> Position {
    Position::new(57.725_374, 11.849_843, 10.0).unwrap()
}
pub fn login(n: usize) -> String {
    if n == 0 { LOGIN.to_owned() } else { format!("owner{n}@example.org") }
}
pub fn code<T: std::fmt::Debug>(refused: Result<T, Failure>) -> String {
    refused.unwrap_err().code().unwrap_or("no problem").to_owned()
}

pub struct Theatre {
    pub stage: Stage,
    pub scene: Arc<Scene>,
    pub hands: Hands,
    pub garages: Garages,
    pub vins: Vec<String>,
    pub conductor: Arc<Conductor>,
    _dir: tempfile::TempDir,
}

/// Somebody with a wallet of their own who knows the account at the maker.
pub struct Linked {
    pub wallet: Wallet,
    pub vehicle: VehicleId,
}

impl Theatre {
    pub async fn begin() -> Self {
        Self::with_cars(1).await
    }

    /// Cars of as many owners, the first one Kim's.
    pub async fn with_cars(many: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let conductor = Arc::new(Conductor::start(dir.path(), MORNING, 250).unwrap());
        let hold = conductor.hold();
        let host = Host { clock: Arc::new(conductor.clock()), entropy: Arc::new(SystemEntropy) };
        let car = |n: usize| {
            let mut car = volvo::CarFile::of(&login(n));
            (car.latitude, car.longitude, car.relock_after_s) = (place().latitude_deg(), place().longitude_deg(), 0);
            car
        };
        let world = volvo::WorldFile { cars: (0..many).map(car).collect(), ..volvo::WorldFile::demo() };
        let (garages, clouds) =
            Garages::serve(Worlds { volvo: world, onstar: None, tesla: None, smartcar: None, home: None }, &host)
                .await
                .unwrap();
        let clockwork = Clockwork { host, conductor: Some(Arc::clone(&conductor)) };
        let setting = Setting { waits: true, ..Setting::default() };
        let stage = Stage::start_parties(dir.path(), clouds, setting, clockwork).await.unwrap();
        drop(hold);
        let scene = Arc::clone(&stage.scene);
        let cars = scene.sim().get("/__sim/cars", &[]).await.unwrap();
        let cars = cars["cars"].as_array().unwrap();
        let of = |n: usize| cars.iter().find(|c| c["owner"] == login(n)).unwrap()["vin"].as_str().unwrap();
        let vins: Vec<String> = (0..many).map(|n| of(n).to_owned()).collect();
        let hands = Hands::near(garages.of(MAKER), &vins[0]);
        Self { stage, scene, hands, garages, vins, conductor, _dir: dir }
    }

    pub async fn owner(&self) -> Owner {
        Owner::enrol_at(&self.scene, MAKER, LOGIN, self.hands.clone(), place(), "KLM 482").await.unwrap()
    }

    pub async fn owners(&self) -> Vec<Owner> {
        let mut all = Vec::new();
        for (n, vin) in self.vins.iter().enumerate() {
            let hands = Hands::near(self.garages.of(MAKER), vin);
            all.push(Owner::enrol_at(&self.scene, MAKER, &login(n), hands, place(), "KLM 482").await.unwrap());
        }
        all
    }

    /// Links the car with the same account at the maker, and says what every owner says.
    pub async fn link(&self) -> Linked {
        let site = WalletSite::new(&self.scene.layout.wallet_origin, &self.scene.host).unwrap();
        let wallet = Wallet::register(site, &self.scene.host).await.unwrap();
        let url = wallet.link(MAKER).await.unwrap();
        assert_eq!(wallet.http().browse(&format!("{url}&login_hint={LOGIN}")).await.unwrap(), 200);
        let cars = wallet.vehicles().await.unwrap();
        let vehicle = VehicleId::parse(cars[0]["vehicle"].as_str().unwrap()).unwrap();
        wallet.agree(vehicle, false).await.unwrap();
        Linked { wallet, vehicle }
    }

    /// A rule for every day of the next month.
    pub async fn allow_in_advance(&self, owner: &Owner) {
        let wanted = order(self.scene.host.now(), "FJB70000009").unwrap();
        let ordered = self.scene.merchant().ship(&wanted, "ship-in-advance").await.unwrap();
        let ticket = owner.wallet.read_ticket(&ordered.consent_url, &self.scene.operator).unwrap();
        let asked = ticket.request.claims();
        let access_point = owner.wallet.access_point(asked.iss).await.unwrap();
        let consent = owner.consent(asked.window, access_point).unwrap();
        let zone = String::from("Europe/Stockholm");
        let schedule = Schedule { zone, days: Weekday::ALL.to_vec(), from_minute: 0, to_minute: 1_439 };
        let start = asked.window.start();
        let life = Window::new(start, start.plus_seconds(30 * 86_400)).unwrap();
        let rule = InAdvance { merchants: vec![asked.merchant.id.clone()], schedule, life };
        let signed = owner.wallet.sign_in_advance(&ticket, &consent, &rule).unwrap();
        owner.wallet.hand_in_rule(&signed).await.unwrap();
    }

    /// An owner with the car that was linked.
    pub fn settled(&self, linked: Linked) -> Owner {
        let Linked { wallet, vehicle } = linked;
        let class = parcelshelf_core::actuation::AccessClass::TailgateWithCabin;
        Owner { wallet, vehicle, hands: self.hands.clone(), place: place(), plate: String::from("KLM 482"), class }
    }

    /// Opens doors as prompted, until there is nothing more to open.
    pub async fn prove(&self, linked: &Linked) -> Checked {
        self.prove_for(&linked.wallet, linked.vehicle).await
    }
    pub async fn prove_for(&self, wallet: &Wallet, vehicle: VehicleId) -> Checked {
        let Possession::Door(mut door) = wallet.begin_possession(vehicle).await.unwrap() else {
            panic!("this car has doors")
        };
        self.hands.act(&json!({"action": "unlock_with_key"})).await.unwrap();
        loop {
            self.hands.open_and_shut(&door).await.unwrap();
            let asked = door.clone();
            loop {
                self.wait(Duration::from_secs(1)).await;
                match wallet.check_possession(vehicle).await.unwrap() {
                    Checked::Door(same) if same == asked => {}
                    Checked::Door(next) => {
                        door = next;
                        break;
                    }
                    done => {
                        self.hands.act(&json!({"action": "lock_with_key"})).await.unwrap();
                        return done;
                    }
                }
            }
        }
    }

    pub async fn restart_keyholder(&mut self) {
        self.restart_keyholder_with(&[]).await;
    }
    /// With options for tests.
    pub async fn restart_keyholder_with(&mut self, options: &[&str]) {
        let hold = self.conductor.hold();
        self.stage.keyholder.kill().await.unwrap();
        self.stage.keyholder.restart(&options.iter().map(|&o| o.to_owned()).collect::<Vec<_>>()).await.unwrap();
        drop(hold);
    }

    /// Until then nobody does anything.
    pub async fn leap(&self, moment: Timestamp) {
        self.conductor.leap_to(moment);
        self.wait(Duration::from_secs(1)).await;
    }
    pub async fn wait(&self, span: Duration) {
        self.scene.host.clock.sleep(span).await;
    }

    /// A grant to the owner's own device: the shortest way to whether a car can be granted at all.
    pub async fn rehearse(&self, wallet: &Wallet, vehicle: VehicleId, at: Position) -> Result<DeliveryId, Failure> {
        let device = Device::create(&self.scene.host).unwrap();
        let access_point = wallet.access_point(device.thumbprint()).await?;
        let now = self.scene.host.now();
        let consent = parcelshelf_client::wallet::Consent {
            vehicles: vec![vehicle],
            access_point,
            opens: vec![parcelshelf_core::actuation::AccessClass::TailgateWithCabin],
            area: parcelshelf_core::area::Area::new(vec![parcelshelf_core::area::Cell::of(&at)]).unwrap(),
            window: Window::new(now, now.plus_seconds(600)).unwrap(),
            disclose: parcelshelf_protocol::grant::Disclose::NextStop,
        };
        Ok(wallet.rehearse(&device, &consent).await?.delivery)
    }

    /// Ordered, allowed and under way: the delivery and the stop's address.
    pub async fn under_way(&self, owner: &Owner, courier: &Courier, n: u32) -> (DeliveryId, String) {
        let scene = &self.scene;
        let order = order(scene.host.now(), LABEL).unwrap();
        let ordered = scene.merchant().ship(&order, &format!("ship-{n:04}")).await.unwrap();
        owner.allow(scene, &ordered).await.unwrap();
        let (dispatch, id) = (scene.dispatch(), ordered.delivery);
        carrier_says(&dispatch, id, &["accepted"]).await.unwrap();
        dispatch.load(id, courier.id, &format!("load-{n:04}")).await.unwrap();
        let leg = format!("leg-{n:05}");
        let url = persist(&scene.host, "the leg", async || courier.shipping.start_leg(id, &leg).await);
        (id, url.await.unwrap())
    }
    pub async fn at<'a>(&self, owner: &Owner, courier: &'a Courier, url: &str) -> AtStop<'a> {
        AtStop::open(&self.scene, courier, owner, url, place().moved(45.0, 20.0)).await.unwrap()
    }
}
