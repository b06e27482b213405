//! Attacks with what a carrier has: its keys, its dispatch, its interface.

use anyhow::{Context as _, ensure};
use parcelshelf_client::courier::{Device, Stop};
use parcelshelf_client::depot::{CERTIFIED_DAYS, DELEGATION_DAYS, certify};
use parcelshelf_client::{Failure, Host, Http};
use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::area::{Area, Cell};
use parcelshelf_core::id::DelegationId;
use parcelshelf_core::reason::Purpose;
use parcelshelf_core::time::Window;
use parcelshelf_protocol::accepted::AcceptedClaims;
use parcelshelf_protocol::call::Call;
use parcelshelf_protocol::cert::{Cert, Role, Subject, VerifiedCert};
use parcelshelf_protocol::delegation::{Delegation, DelegationClaims};
use parcelshelf_protocol::encoding::{Hash, Thumbprint, TokenId, b64, from_b64};
use parcelshelf_protocol::grant::Disclose;
use parcelshelf_protocol::jws::{Moment, Sign as _, SigningKey};
use parcelshelf_protocol::label;
use parcelshelf_protocol::proof::HttpRequest;
use parcelshelf_simulator::canary::Needles;
use reqwest::Method;
use serde_json::{Value, json};

use super::gain::Gain;
use super::needles;
use super::stop::{Visit, answered};
use super::world::World;
use crate::init::signing_key;

/// What the gateway says to a phone that no depot has certified.
const NOT_SEEN: &[&str] = &["device_not_enrolled"];

/// The carrier's keys, as whoever has its machines has them. The root is kept offline and is not among them.
pub struct CloudKeys {
    pub root: Thumbprint,
    pub key: SigningKey,
    pub cert: VerifiedCert,
    aud: String,
    host: Host,
    http: Http,
}

impl CloudKeys {
    /// Taken from the carrier's folder.
    ///
    /// # Errors
    /// When they are not there.
    pub fn stolen(world: &World) -> anyhow::Result<Self> {
        let scene = world.scene();
        let dir = scene.layout.dir.join("carrier");
        let key = signing_key(&dir.join("delegation.key"))?;
        let jws = std::fs::read_to_string(dir.join("delegation.cert"))?;
        let root = Cert::peek_issuer(jws.trim())?;
        let aud = scene.layout.gateway_origin.clone();
        let root_key = signing_key(&scene.layout.dir.join("carrier-root/root.key"))?;
        let cert = Cert::verify(jws.trim(), root_key.verifying_key(), Role::Delegation, &aud, Moment::Any)?;
        Ok(Self { root, key, cert, aud, host: scene.host.clone(), http: scene.gateway_http() })
    }

    /// Another carrier's, which the operator has admitted.
    ///
    /// # Errors
    /// When it is not admitted.
    pub async fn second(world: &World) -> anyhow::Result<(Self, VerifiedCert)> {
        let scene = world.scene();
        let (aud, host) = (scene.layout.gateway_origin.clone(), scene.host.clone());
        let operator = signing_key(&scene.layout.dir.join("operator/operator.key"))?;
        let (root, key) = (SigningKey::generate(&*host.entropy), SigningKey::generate(&*host.entropy));
        let subject = Subject::Carrier { name: String::from("Second Parcels"), domain: String::from("second.example") };
        let carrier = certify(&operator, &aud, root.verifying_key(), subject, CERTIFIED_DAYS, &host)?;
        let cert = certify(&root, &aud, key.verifying_key(), Subject::Delegation, DELEGATION_DAYS, &host)?;
        let http = scene.gateway_http();
        answered(world, async || http.post("/v1/carriers", &[], &json!({"cert": carrier.jws()})).await).await?;
        Ok((Self { root: root.verifying_key().thumb(), key, cert, aud, host, http }, carrier))
    }
    #[must_use]
    pub fn aud(&self) -> &str {
        &self.aud
    }

    /// A call as the carrier's service makes it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let url = self.http.url(path);
        let bytes = body.map(Value::to_string).unwrap_or_default().into_bytes();
        let request = HttpRequest { method: method.as_str(), url: &url, body: &bytes };
        let jti = TokenId::from_bytes(self.host.random());
        let call = Call::sign(self.root, &self.aud, jti, &request, self.host.now(), &self.key)?;
        let bearer = format!("Bearer {call}");
        let headers = [("authorization", bearer.as_str()), ("parcelshelf-certificate", self.cert.jws())];
        self.http.send(method, path, &headers, body.map(|_| bytes)).await
    }

    /// A delegation as the carrier would sign it for this acceptance, to this device.
    #[must_use]
    pub fn delegation(&self, accepted: &AcceptedClaims, device: Thumbprint, put: Vec<Hash>) -> DelegationClaims {
        let now = self.host.now();
        let start =
            parcelshelf_core::time::Timestamp::from_unix_seconds(now.unix_seconds()).max(accepted.window.start());
        let end = start.plus_seconds(3_600).min(accepted.window.end());
        DelegationClaims {
            iss: self.root,
            aud: self.aud.clone(),
            jti: DelegationId::from_bytes(self.host.random()),
            iat: now,
            window: Window::new(start, end).unwrap_or(accepted.window),
            par: accepted.grant,
            delivery: accepted.delivery,
            cnf: device,
            purpose: accepted.purpose,
            opens: accepted.opens.clone(),
            uses: 1,
            area: accepted.area.clone(),
            disclose: accepted.disclose,
            put,
            take: Vec::new(),
        }
    }

    /// Hands one in, signed.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn hand_in(&self, claims: &DelegationClaims) -> Result<String, Failure> {
        let jws = Delegation::sign(claims, &self.key)?;
        self.hand_in_signed(&jws).await.map(|_| jws)
    }
    /// The same, signed already.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn hand_in_signed(&self, jws: &str) -> Result<Value, Failure> {
        let body = json!({"delegation": jws, "delegation_cert": self.cert.jws()});
        self.call(Method::POST, "/v1/delegations", Some(&body)).await
    }

    /// With a later end than our own software signs.
    fn signed_for_longer(&self, claims: &DelegationClaims, by_s: i64) -> anyhow::Result<String> {
        let jws = Delegation::sign(claims, &self.key)?;
        let (header, rest) = jws.split_once('.').context("not compact")?;
        let payload = rest.split('.').next().and_then(from_b64).context("not base64url")?;
        let (payload, end) = (String::from_utf8(payload)?, claims.window.end().unix_seconds());
        let longer = payload.replace(&format!("\"exp\":{end}"), &format!("\"exp\":{}", end + by_s));
        ensure!(longer != payload, "an end that is not told");
        let message = format!("{header}.{}", b64(longer));
        Ok(format!("{message}.{}", b64(self.key.sign(message.as_bytes())?)))
    }
}

/// What is asked of a delegation that says more than its grant, and with what it is refused.
type Widening = (&'static str, &'static str, fn(&mut DelegationClaims, &AcceptedClaims, &DelegationClaims));

const WIDENINGS: [Widening; 8] = [
    ("a window that ends after the grant's", "delegation_widens_window", |d, a, _| {
        let end = a.window.end();
        d.window = Window::new(end.plus_seconds(-60), end.plus_seconds(1_800)).unwrap_or(d.window);
    }),
    ("a window that began before the grant's", "delegation_widens_window", |d, a, _| {
        let start = a.window.start();
        d.window = Window::new(start.plus_seconds(-1_800), start.plus_seconds(1_200)).unwrap_or(d.window);
    }),
    ("another class", "delegation_widens_opens", |d, a, _| {
        let all = [AccessClass::Cabin, AccessClass::SeparateTrunk];
        d.opens.extend(all.into_iter().filter(|c| !a.opens.contains(c)).take(1));
    }),
    ("two uses", "delegation_widens_uses", |d, _, _| d.uses = 2),
    ("one cell more", "delegation_widens_area", |d, a, _| {
        let cells = a.area.cells();
        let beside = cells.iter().flat_map(|c| c.disk(2)).find(|c| !cells.contains(c));
        let mut all: Vec<Cell> = cells.iter().copied().chain(beside).collect();
        all.sort_unstable();
        d.area = Area::new(all).unwrap_or_else(|_| d.area.clone());
    }),
    ("all places of the area at once", "delegation_widens_disclose", |d, _, _| d.disclose = Disclose::Area),
    ("another purpose", "delegation_widens_purpose", |d, _, _| d.purpose = Purpose::Service),
    ("the grant of another delivery", "delegation_wrong_parent", |d, _, other| d.par = other.par),
];

/// The carrier signs more than the owner did. Everything is refused as a whole, nothing is clipped, and the honest
/// delegation is taken afterwards.
///
/// # Errors
/// When an honest step does not come about.
pub async fn widened(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let keys = CloudKeys::stolen(world)?;
    let count = world.share(40);
    let mine = world.take(count + 1).await?;
    let other = world.granted(mine[count])?;
    for n in &mine[..count] {
        let accepted = world.granted(*n)?.accepted;
        let device = world.courier(*n)?.device.thumbprint();
        let honest = keys.delegation(accepted.claims(), device, vec![label_of(world, *n)?]);
        let stranger = keys.delegation(other.accepted.claims(), device, Vec::new());
        for (what, code, widen) in WIDENINGS {
            let mut claims = honest.clone();
            widen(&mut claims, accepted.claims(), &stranger);
            ensure!(claims != honest, "{what} is what was signed");
            gain.refused(what, &[code], &answered(world, async || keys.hand_in(&claims).await).await);
        }
        let longer = keys.signed_for_longer(&honest, 2 * 3_600)?;
        let handed_in = answered(world, async || keys.hand_in_signed(&longer).await).await;
        gain.refused("a window of hours", &["delegation_wrong_lifetime"], &handed_in);
        let mut strange = honest.clone();
        strange.put = vec![label::hash(&[7; 16], "ZZZ99999999")?];
        let handed_in = answered(world, async || keys.hand_in(&strange).await).await;
        gain.refused("a parcel that was never announced", &["delegation_widens_labels"], &handed_in);
        answered(world, async || keys.hand_in(&honest).await).await.context("the honest delegation")?;
    }
    gain.figure("grants", count);
    gain.figure("widened_delegations", gain.tries());
    Ok(gain)
}

/// The salted hash of a delivery's label, which the carrier knows.
fn label_of(world: &World, n: usize) -> anyhow::Result<Hash> {
    Ok(label::hash(&salt_of(world, n)?, &world.delivery(n)?.label)?)
}

/// Whoever has the carrier's machines signs what the carrier could sign: delegations for a phone of their own, certificates
/// for it, questions about every delivery. What comes back is searched for places.
///
/// # Errors
/// When an honest step does not come about.
pub async fn carrier_keys(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let (keys, host) = (CloudKeys::stolen(world)?, world.scene().host.clone());
    let phone = Device::create(&host)?;
    let count = world.share(25);
    let mine = world.take(count).await?;
    let before = world.all_seen(&mine);

    // A phone of one's own: certified by the only key that was stolen, in the depot's place.
    let aud = &world.scene().layout.gateway_origin;
    let subject = Subject::Device { seal: phone.seal_key().clone() };
    let cert = certify(&keys.key, aud, phone.verifying_key(), subject, 365, &host)?;
    let as_depot = json!({"device_cert": cert.jws(), "depot_cert": keys.cert.jws(), "carrier": keys.root.to_string()});
    let gateway = world.scene().gateway_http();
    gain.refused(
        "a device certified by the delegation key",
        &["cert_wrong_role"],
        &gateway.post("/v1/devices", &[], &as_depot).await,
    );
    let depot = certify(&keys.key, aud, keys.key.verifying_key(), Subject::Depot, 30, &host)?;
    let as_root = json!({"device_cert": cert.jws(), "depot_cert": depot.jws(), "carrier": keys.root.to_string()});
    gain.refused(
        "a depot certified by the delegation key",
        &["cert_wrong_key"],
        &gateway.post("/v1/devices", &[], &as_root).await,
    );

    let (mut heard, mut taken) = (Vec::new(), 0);
    for n in &mine {
        let accepted = world.granted(*n)?.accepted;
        let to_thief = keys.delegation(accepted.claims(), phone.thumbprint(), vec![label_of(world, *n)?]);
        let handed_in = answered(world, async || keys.hand_in(&to_thief).await).await;
        gain.refused("a delegation to the thief's phone", NOT_SEEN, &handed_in);
        // Signed it is, whoever takes it.
        let stop = |last_link| anyhow::Ok(Stop { delivery: to_thief.delivery, last_link, salt: salt_of(world, *n)? });
        let mut visit = Visit::at(*n, world.page().await?, stop(Delegation::sign(&to_thief, &keys.key)?)?);
        gain.refused("to look with it", &["delegation_unknown"], &visit.locate(world, &phone).await?);
        gain.refused("to open with it", &["delegation_unknown"], &visit.open(world, &phone).await?);
        // One to the courier's own phone is taken: who has the carrier's keys signs what the carrier may.
        let courier = world.courier(*n)?.device.thumbprint();
        let claims = keys.delegation(accepted.claims(), courier, vec![label_of(world, *n)?]);
        let link = answered(world, async || keys.hand_in(&claims).await).await;
        let link = link.context("a delegation to the courier's phone")?;
        taken += 1;
        let mut visit = Visit::at(*n, world.page().await?, stop(link)?);
        let wrong = &["proof_wrong_device"];
        gain.refused(
            "to look with the courier's link and the thief's phone",
            wrong,
            &visit.locate(world, &phone).await?,
        );
        gain.refused("to open with the courier's link and the thief's phone", wrong, &visit.open(world, &phone).await?);
        for slot in ["evening_before", "start_of_window", "ten_minutes_before"] {
            let path = format!("/v1/deliveries/{}/readiness", claims.delivery);
            let answer =
                answered(world, async || keys.call(Method::POST, &path, Some(&json!({"slot": slot}))).await).await;
            heard.push(answer.map_or_else(|f| f.to_string(), |a| a.to_string()));
        }
        for path in ["accepted", "status"] {
            let path = format!("/v1/deliveries/{}/{path}", claims.delivery);
            let answer = answered(world, async || keys.call(Method::GET, &path, None).await).await;
            heard.push(answer.map_or_else(|f| f.to_string(), |a| a.to_string()));
        }
    }
    gain.figure("delegations_taken", taken);
    gain.at_least(mine.len() as u64, taken, "delegations that were taken");
    let needles = Needles::new(&needles::of_cars(world, &mine));
    let text = heard.join("\n");
    let found = needles.search("answers to the carrier", text.as_bytes());
    gain.figure("deliveries", mine.len());
    gain.figure("bytes_heard", text.len());
    gain.figure("needles", needles.names().len());
    gain.must(found.is_empty(), || format!("a place, VIN or plate reached the carrier: {:?}", found.first()));
    for (n, before) in before {
        gain.must(world.seen(n).open_commands == before.open_commands, || format!("delivery {n} was opened"));
    }
    Ok(gain)
}

/// The salt of a delivery's label hashes, from the carrier's request.
///
/// # Errors
/// When there is no such delivery.
pub fn salt_of(world: &World, n: usize) -> anyhow::Result<[u8; 16]> {
    let (owner, delivery) = (world.owner(n)?, world.delivery(n)?);
    Ok(owner.wallet.read_ticket(&delivery.consent_url, &world.scene().operator)?.request.claims().salt)
}

/// Somebody in dispatch, with a key of the carrier's interface and a phone of their own.
///
/// # Errors
/// When an honest step does not come about.
pub async fn insider(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let count = world.share(50);
    let mine = world.take(count).await?;
    let before = world.all_seen(&mine);
    let scene = world.scene().clone();
    let dispatch = scene.dispatch();
    let phone = Device::create(&scene.host)?;
    let (ghost, token) = answered(world, async || dispatch.hire("A. Ghost", "drill-insider-hire").await).await?;
    let assigned =
        answered(world, async || dispatch.assign_device(ghost, phone.thumbprint(), "drill-insider-device").await).await;
    gain.count("a phone that no depot has seen", if assigned.is_ok() { "assigned" } else { "refused" });
    let ghost_hand = scene.courier(&token);
    for n in &mine {
        let delivery = world.delivery(*n)?;
        let key = format!("drill-insider-{n}");
        // On the ghost's van it goes; that alone shows nothing and opens nothing.
        answered(world, async || dispatch.step(delivery.id, "unload", &key, &json!({})).await).await?;
        answered(world, async || dispatch.load(delivery.id, ghost, &format!("{key}-l")).await).await?;
        let leg = answered(world, async || ghost_hand.start_leg(delivery.id, &format!("{key}-g")).await).await;
        if let Ok(url) = &leg {
            let stop = Stop::parse(url)?;
            let mut visit = Visit::at(*n, world.page().await?, stop);
            gain.refused("to look with a phone that no depot has seen", NOT_SEEN, &visit.locate(world, &phone).await?);
            gain.refused("to open with a phone that no depot has seen", NOT_SEEN, &visit.open(world, &phone).await?);
        } else {
            gain.refused("a leg for a phone that no depot has seen", &["delegation_refused"], &leg);
        }
    }
    let everything = staff_sees(world, &mine).await?;
    let needles = Needles::new(&needles::of_cars(world, &mine));
    let found = needles.search("answers to dispatch", everything.as_bytes());
    gain.figure("deliveries", mine.len());
    gain.figure("bytes_heard", everything.len());
    gain.must(found.is_empty(), || format!("staff sees a place, VIN or plate: {:?}", found.first()));
    for (n, before) in before {
        gain.must(world.seen(n).open_commands == before.open_commands, || format!("delivery {n} was opened"));
    }
    Ok(gain)
}

/// Everything that dispatch can read of these deliveries.
async fn staff_sees(world: &World, mine: &[usize]) -> anyhow::Result<String> {
    let dispatch = world.scene().dispatch();
    let mut text = String::new();
    for n in mine {
        let id = world.delivery(*n)?.id;
        let seen = answered(world, async || dispatch.delivery(id).await).await?;
        let journal = answered(world, async || dispatch.journal(id).await).await?;
        text.push_str(&format!("{seen}\n{journal}\n"));
    }
    Ok(text)
}
