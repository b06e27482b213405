//! A world of published test keys, and one valid chain in it that a test changes in one place.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use p256::ecdsa::signature::Signer as _;
use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::area::{Area, Cell, Position};
use parcelshelf_core::id::{AccessPointId, DelegationId, DeliveryId, GrantId, VehicleId};
use parcelshelf_core::reason::{Action, Fallback, Purpose};
use parcelshelf_core::time::{Entropy, Timestamp, Window};
use parcelshelf_protocol::Refused;
use parcelshelf_protocol::cert::{Cert, CertClaims, Role, Subject, device_thumbprint};
use parcelshelf_protocol::content::Rule;
use parcelshelf_protocol::delegation::{Delegation, DelegationClaims};
use parcelshelf_protocol::encoding::{Hash, Thumbprint, TokenId, b64, domain_hash, from_b64, sha256};
use parcelshelf_protocol::grant::{self, Disclose, Grant, GrantClaims, Scoped, TextShown};
use parcelshelf_protocol::jws::{LogSigningKey, Moment, Sign, VerifyingKey};
use parcelshelf_protocol::label;
use parcelshelf_protocol::nonce::{self, Bound, NonceKey};
use parcelshelf_protocol::proof::{HttpRequest, Proof, ProofClaims};
use parcelshelf_protocol::request::{Direction, Item, Merchant, Request, RequestClaims};
use parcelshelf_protocol::seal::SealKeyPair;
use parcelshelf_protocol::verify::{CarrierFacts, ChainFacts, ChainInput, VerifiedChain, chain};
use parcelshelf_protocol::webauthn::{Assertion, Passkey, RelyingParty, der_signature};

pub const AUD: &str = "https://gateway.example";
pub const RP_ID: &str = "wallet.gateway.example";
pub const ORIGIN: &str = "https://wallet.gateway.example";
pub const STOP_URL: &str = "https://stop.gateway.example/v1/stops";
/// 2026-11-23T15:00:00Z.
pub const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_446_000);
pub const LABELS: [&str; 2] = ["JD-0002 1234 5678", "JD-0002 8765 4321"];

/// 32 bytes that anyone can compute again: SHA-256("parcelshelf test key: " ‖ name).
pub fn published(name: &str) -> [u8; 32] {
    *sha256(format!("parcelshelf test key: {name}")).as_bytes()
}
pub fn id(name: &str) -> [u8; 16] {
    published(name)[..16].try_into().unwrap()
}

/// A key whose signatures are the same every time (RFC 6979), from an implementation of its own.
#[derive(Clone)]
pub struct TestKey {
    key: p256::ecdsa::SigningKey,
    public: VerifyingKey,
}
impl TestKey {
    pub fn new(name: &str) -> Self {
        let key = p256::ecdsa::SigningKey::from_slice(&published(name)).unwrap();
        let public = VerifyingKey::from_point(key.verifying_key().to_sec1_point(false).as_bytes()).unwrap();
        Self { key, public }
    }
    pub fn thumb(&self) -> Thumbprint {
        self.public.thumb()
    }
}
impl Sign for TestKey {
    fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], Refused> {
        let signature: p256::ecdsa::Signature = self.key.sign(message);
        Ok(signature.to_bytes().into())
    }
}

/// Bytes that look random and are the same every time.
pub struct Stream(&'static str, AtomicU64);
impl Stream {
    pub const fn new(name: &'static str) -> Self {
        Self(name, AtomicU64::new(0))
    }
}
impl Entropy for Stream {
    fn fill(&self, into: &mut [u8]) {
        for chunk in into.chunks_mut(32) {
            let n = self.1.fetch_add(1, Ordering::Relaxed);
            chunk.copy_from_slice(&domain_hash(self.0, &[&n.to_be_bytes()]).as_bytes()[..chunk.len()]);
        }
    }
}

/// A message about to be signed: a test changes its texts, or who signs.
pub struct Parts {
    pub header: String,
    pub payload: String,
    pub key: TestKey,
}
impl Parts {
    /// Replaces text that must be there.
    pub fn swap(&mut self, from: &str, to: &str) {
        assert!(self.payload.contains(from), "{from} is not in {}", self.payload);
        self.payload = self.payload.replacen(from, to, 1);
    }
    pub fn swap_header(&mut self, from: &str, to: &str) {
        assert!(self.header.contains(from), "{from} is not in {}", self.header);
        self.header = self.header.replacen(from, to, 1);
    }
    /// Replaces the value of a member with other JSON.
    pub fn set(&mut self, name: &str, json: &str) {
        let value: serde_json::Value = serde_json::from_str(&self.payload).unwrap();
        let old = member_text(&self.payload, name).unwrap_or_else(|| panic!("no {name} in {value}"));
        self.swap(&old, &format!("\"{name}\":{json}"));
    }
    pub fn remove(&mut self, name: &str) {
        let old = member_text(&self.payload, name).unwrap();
        if self.payload.contains(&format!("{old},")) {
            self.swap(&format!("{old},"), "");
        } else {
            self.swap(&format!(",{old}"), "");
        }
    }
    pub fn add(&mut self, json: &str) {
        self.payload.insert_str(self.payload.len() - 1, &format!(",{json}"));
    }
    pub fn signed(&self) -> String {
        let signed = format!("{}.{}", b64(&self.header), b64(&self.payload));
        format!("{signed}.{}", b64(self.key.sign(signed.as_bytes()).unwrap()))
    }
}
/// `"name":value` as it stands at the top of compact JSON.
fn member_text(json: &str, name: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    let start = json.find(&format!("\"{name}\":"))?;
    let rest = &json[start..];
    let prefix = name.len() + 3;
    // The shortest stretch that parses to the member's value.
    (prefix + 1..=rest.len())
        .find(|end| {
            rest.is_char_boundary(*end)
                && serde_json::from_str::<serde_json::Value>(&rest[prefix..*end]).is_ok_and(|v| v == value[name])
                && rest[*end..].starts_with([',', '}'])
        })
        .map(|end| rest[..end].to_owned())
}

pub fn parts(jws: &str, key: &TestKey) -> Parts {
    let mut it = jws.split('.').map(|p| String::from_utf8(from_b64(p).unwrap_or_default()).unwrap_or_default());
    Parts { header: it.next().unwrap(), payload: it.next().unwrap(), key: key.clone() }
}

/// Everybody's keys, and claims that fit together.
pub struct World {
    pub operator: TestKey,
    pub root: TestKey,
    pub delegation_key: TestKey,
    pub depot: TestKey,
    pub courier: TestKey,
    pub courier_seal: SealKeyPair,
    pub passkey: TestKey,
    pub credential_id: Vec<u8>,
    pub grant_key: TestKey,
    pub grant_seal: SealKeyPair,
    pub message_key: TestKey,
    pub keyholder_seal: SealKeyPair,
    pub log: LogSigningKey,
    pub nonce_key: NonceKey,
    pub carrier_cert: CertClaims,
    pub delegation_cert: CertClaims,
    pub depot_cert: CertClaims,
    pub device_cert: CertClaims,
    pub request: RequestClaims,
    pub rule: Rule,
    pub grant: GrantClaims,
    pub delegation: Option<DelegationClaims>,
    pub action: Action,
    pub body: Vec<u8>,
}

pub fn seal_keys(name: &str) -> SealKeyPair {
    SealKeyPair::from_seed(&published(name)).unwrap()
}
pub fn window(from_minutes: i64, to_minutes: i64) -> Window {
    Window::new(NOW.plus_seconds(from_minutes * 60), NOW.plus_seconds(to_minutes * 60)).unwrap()
}
pub fn home() -> Cell {
    Cell::of(&Position::new(57.7089, 11.9746, 5.0).unwrap())
}
pub fn area(rings: u32) -> Area {
    let mut cells = home().disk(rings);
    cells.sort();
    Area::new(cells).unwrap()
}

impl World {
    pub fn new() -> Self {
        let key = TestKey::new;
        let (operator, root, delegation_key, depot) =
            (key("operator"), key("carrier root"), key("delegation"), key("depot"));
        let (courier, courier_seal) = (key("courier device"), seal_keys("courier device seal"));
        let grant_seal = seal_keys("grant seal");
        let cert = |issuer: &TestKey, name: &str, key: &TestKey, days: i64, subject| CertClaims {
            issuer: issuer.thumb(),
            aud: AUD.into(),
            jti: TokenId::from_bytes(id(name)),
            iat: NOW.plus_seconds(-86_400),
            window: window(-1_440, (days - 1) * 1_440),
            key: key.public.clone(),
            subject,
        };
        let salt = id("label salt");
        let item = |label: &str| Item {
            direction: Direction::Put,
            size_mm: [400, 300, 200],
            weight_g: 2_500,
            value_minor: 12_900,
            currency: "EUR".into(),
            label: label::hash(&salt, label).unwrap(),
        };
        let delivery = DeliveryId::from_bytes(id("delivery"));
        let rule = Rule { salt: id("rule salt"), vehicles: vec![VehicleId::from_bytes(id("vehicle"))] };
        let carrier = Subject::Carrier { name: "Example Parcels".into(), domain: "parcels.example".into() };
        Self {
            carrier_cert: cert(&operator, "carrier cert", &root, 1_830, carrier),
            delegation_cert: cert(&root, "delegation cert", &delegation_key, 30, Subject::Delegation),
            depot_cert: cert(&root, "depot cert", &depot, 400, Subject::Depot),
            device_cert: cert(
                &depot,
                "device cert",
                &courier,
                400,
                Subject::Device { seal: courier_seal.public().clone() },
            ),
            request: RequestClaims {
                iss: root.thumb(),
                aud: AUD.into(),
                jti: TokenId::from_bytes(id("request")),
                iat: NOW.plus_seconds(-7_200),
                exp: NOW.plus_seconds(86_400),
                delivery,
                carrier: "Example Parcels".into(),
                merchant: Merchant { id: "bookshop".into(), name: "Bookshop Ågren".into() },
                purpose: Purpose::Delivery,
                items: LABELS.iter().map(|l| item(l)).collect(),
                window: window(-60, 180),
                fallbacks: vec![Fallback::ParcelShop, Fallback::Return],
                initials: "A. L.".into(),
                order_digits: "4711".into(),
                salt,
            },
            grant: GrantClaims {
                aud: AUD.into(),
                jti: GrantId::from_bytes(id("grant")),
                iat: NOW.plus_seconds(-3_600),
                window: window(-60, 180),
                cnf: root.thumb(),
                request: Some(Hash::from_bytes([0; 32])),
                scoped: Scoped::Delivery(delivery),
                access_point: AccessPointId::from_bytes(id("access point")),
                purpose: Purpose::Delivery,
                opens: vec![AccessClass::TailgateWithCabin],
                area: area(1),
                disclose: Disclose::NextStop,
                seal: grant_seal.public().hash(),
                rule_commitment: rule.commitment(),
                text: TextShown { template: "delivery.1".into(), lang: "en".into() },
            },
            delegation: Some(DelegationClaims {
                iss: root.thumb(),
                aud: AUD.into(),
                jti: DelegationId::from_bytes(id("delegation")),
                iat: NOW.plus_seconds(-300),
                window: window(-5, 40),
                par: Hash::from_bytes([0; 32]),
                delivery,
                cnf: device_thumbprint(courier.verifying_key(), courier_seal.public()),
                purpose: Purpose::Delivery,
                opens: vec![AccessClass::TailgateWithCabin],
                uses: 1,
                area: area(1),
                disclose: Disclose::NextStop,
                put: LABELS.iter().map(|l| label::hash(&salt, l).unwrap()).collect(),
                take: vec![],
            }),
            action: Action::Open,
            body: br#"{"labels":[],"phone":""}"#.to_vec(),
            passkey: key("owner passkey"),
            credential_id: published("owner credential id").to_vec(),
            grant_key: key("grant"),
            message_key: key("keyholder message"),
            keyholder_seal: seal_keys("keyholder seal"),
            log: LogSigningKey::from_seed(&published("keyholder log")).unwrap(),
            nonce_key: NonceKey::from_bytes(published("keyholder nonce")),
            operator,
            root,
            delegation_key,
            depot,
            courier,
            courier_seal,
            grant_seal,
            rule,
        }
    }

    /// The owner tries it alone: links 0 and 2, by the owner's own device.
    pub fn rehearsal() -> Self {
        let mut w = Self::new();
        w.grant.purpose = Purpose::Rehearsal;
        w.grant.request = None;
        w.grant.window = window(-1, 14);
        w.grant.cnf = device_thumbprint(w.courier.verifying_key(), w.grant_seal.public());
        w.delegation = None;
        w
    }

    /// A guest with a device of their own: links 0 and 2.
    pub fn guest() -> Self {
        let mut w = Self::rehearsal();
        w.grant.purpose = Purpose::Guest;
        w.grant.window = window(-60, 120);
        w
    }

    pub fn signed_request(&self) -> String {
        Request::sign(&self.request, &self.delegation_key).unwrap().jws().to_owned()
    }
    pub fn cert(&self, name: &str) -> String {
        let (claims, key) = match name {
            "carrier_cert" => (&self.carrier_cert, &self.operator),
            "delegation_cert" => (&self.delegation_cert, &self.root),
            "depot_cert" => (&self.depot_cert, &self.root),
            _ => (&self.device_cert, &self.depot),
        };
        Cert::sign(claims, key).unwrap().jws().to_owned()
    }

    /// An assertion over `challenge`, after `edit` changed client data (`client_data`, the payload) and authenticator
    /// data (`authenticator_data`, the payload in base64url).
    pub fn assertion(&self, challenge: &Hash, edit: &dyn Fn(&str, &mut Parts)) -> Assertion {
        let mut client = Parts {
            header: String::new(),
            payload: format!(
                "{{\"type\":\"webauthn.get\",\"challenge\":\"{challenge}\",\"origin\":\"{ORIGIN}\",\"crossOrigin\":false}}"
            ),
            key: self.passkey.clone(),
        };
        edit("client_data", &mut client);
        let mut data = sha256(RP_ID).as_bytes().to_vec();
        data.extend_from_slice(&[0x1d, 0, 0, 0, 0]);
        let mut authenticator = Parts { header: String::new(), payload: b64(&data), key: client.key.clone() };
        edit("authenticator_data", &mut authenticator);
        let data = from_b64(&authenticator.payload).unwrap();
        let mut signed = data.clone();
        signed.extend_from_slice(sha256(&client.payload).as_bytes());
        let signature = der_signature(&authenticator.key.sign(&signed).unwrap());
        Assertion::new(self.credential_id.clone(), data, client.payload.into_bytes(), signature).unwrap()
    }

    pub fn case(&self) -> Case {
        self.case_with(&|_, _| {})
    }

    /// Signs the whole chain; `edit` may change each message before it is signed.
    pub fn case_with(&self, edit: &dyn Fn(&str, &mut Parts)) -> Case {
        let sign = |name: &str, jws: &str, key: &TestKey| {
            let mut p = parts(jws, key);
            edit(name, &mut p);
            p.signed()
        };
        let cert = |name: &str, key: &TestKey| sign(name, &self.cert(name), key);
        let request = sign("request", &self.signed_request(), &self.delegation_key);

        let mut g = self.grant.clone();
        g.request = g.request.map(|_| sha256(&request));
        let grant = sign("grant", Grant::sign(&g, &self.grant_key).unwrap().jws(), &self.grant_key);
        let assertion = self.assertion(&grant::challenge(&grant), edit);

        let delegation = self.delegation.as_ref().map(|d| {
            let d = DelegationClaims { par: sha256(&grant), ..d.clone() };
            sign("delegation", &Delegation::sign(&d, &self.delegation_key).unwrap(), &self.delegation_key)
        });

        let last = delegation.as_deref().unwrap_or(&grant);
        let device = self.delegation.as_ref().map_or(g.cnf, |d| d.cnf);
        let bound = Bound { device, ath: sha256(last), act: self.action };
        let nonce = nonce::issue(&self.nonce_key, &bound, NOW.plus_seconds(-5), &Stream::new("nonce"));
        let url = format!("{STOP_URL}/{}/{}", DeliveryId::from_bytes(id("delivery")), self.action.code());
        let http = HttpRequest { method: "POST", url: &url, body: &self.body };
        let jti = TokenId::from_bytes(id("proof"));
        let claims = ProofClaims::new(jti, &http, &nonce, last, self.action, NOW.plus_seconds(-9_999));
        let proof = sign("proof", &Proof::sign(&claims, &self.courier).unwrap(), &self.courier);

        Case {
            aud: AUD.into(),
            rp_id: RP_ID.into(),
            origins: vec![ORIGIN.into()],
            operator: self.operator.public.to_jwk(),
            access_point: self.grant.access_point.to_string(),
            passkeys: vec![(b64(&self.credential_id), self.passkey.public.to_jwk())],
            carrier_cert: cert("carrier_cert", &self.operator),
            delegation_cert: cert("delegation_cert", &self.root),
            depot_cert: cert("depot_cert", &self.root),
            device_cert: cert("device_cert", &self.depot),
            grant,
            assertion: assertion.to_json(),
            delegation,
            proof,
            action: self.action.code().into(),
            method: "POST".into(),
            url,
            body: b64(&self.body),
            now_ms: NOW.unix_millis(),
            any_time: false,
            nonce_key: b64(published("keyholder nonce")),
            used_nonces: vec![],
        }
    }
}

/// A chain and what the keyholder knows, all as text: what a vector holds.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Case {
    pub aud: String,
    pub rp_id: String,
    pub origins: Vec<String>,
    pub operator: String,
    pub access_point: String,
    pub passkeys: Vec<(String, String)>,
    pub carrier_cert: String,
    pub delegation_cert: String,
    pub depot_cert: String,
    pub device_cert: String,
    pub grant: String,
    pub assertion: String,
    pub delegation: Option<String>,
    pub proof: String,
    pub action: String,
    pub method: String,
    pub url: String,
    pub body: String,
    pub now_ms: i64,
    /// Windows and the nonce are not looked at: a lid must be locked.
    pub any_time: bool,
    pub nonce_key: String,
    pub used_nonces: Vec<String>,
}

impl Case {
    /// The whole order of checks through the public interface.
    pub fn verify(&self) -> Result<VerifiedChain, Refused> {
        let verified = self.with_facts(chain)?;
        if !self.any_time {
            let key = NonceKey::from_bytes(from_b64(&self.nonce_key).unwrap().try_into().unwrap());
            let mut used: BTreeSet<[u8; 16]> =
                self.used_nonces.iter().map(|n| from_b64(n).unwrap().try_into().unwrap()).collect();
            verified.fresh(&key, Timestamp::from_unix_millis(self.now_ms))?.spend(&mut used)?;
        }
        Ok(verified)
    }
    /// Hands on what the keyholder has when a proof comes in: its certificates are verified here, the links are not.
    pub fn with_facts<T>(
        &self,
        then: impl FnOnce(&ChainInput<'_>, &ChainFacts<'_>, Moment) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let now = Timestamp::from_unix_millis(self.now_ms);
        let moment = if self.any_time { Moment::Any } else { Moment::Used(now) };
        let operator = VerifyingKey::parse_jwk(self.operator.as_bytes())?;
        let cert = |jws: &str, issuer: &VerifyingKey, role| Cert::verify(jws, issuer, role, &self.aud, moment);
        let carrier = cert(&self.carrier_cert, &operator, Role::Carrier)?;
        let delegation = cert(&self.delegation_cert, &carrier.claims().key, Role::Delegation)?;
        let depot = cert(&self.depot_cert, &carrier.claims().key, Role::Depot)?;
        let device = cert(&self.device_cert, &depot.claims().key, Role::Device)?;

        let rp = RelyingParty { rp_id: self.rp_id.clone(), origins: self.origins.clone() };
        let passkeys: Vec<Passkey> = self
            .passkeys
            .iter()
            .map(|(credential, jwk)| Passkey {
                credential_id: from_b64(credential).unwrap(),
                key: VerifyingKey::parse_jwk(jwk.as_bytes()).unwrap(),
            })
            .collect();
        let facts = ChainFacts {
            aud: &self.aud,
            rp: &rp,
            access_point: AccessPointId::parse(&self.access_point).unwrap(),
            passkeys: &passkeys,
            carrier: Some(CarrierFacts { carrier: &carrier, delegation: &delegation, depot: &depot, device: &device }),
        };
        let body = from_b64(&self.body).unwrap();
        let input = ChainInput {
            grant: &self.grant,
            assertion: &Assertion::parse(self.assertion.as_bytes())?,
            delegation: self.delegation.as_deref(),
            proof: &self.proof,
            action: Action::parse(&self.action).unwrap(),
            request: HttpRequest { method: &self.method, url: &self.url, body: &body },
        };
        then(&input, &facts, moment)
    }
    /// `ok` or the code of the refusal.
    pub fn code(&self) -> &'static str {
        self.verify().map_or_else(Refused::code, |_| "ok")
    }
}

/// The same question to both libraries for signatures, which must give the same answer.
pub fn agreed<T: PartialEq + std::fmt::Debug>(ask: impl Fn() -> T) -> T {
    let first = ask();
    let second = parcelshelf_log::suite::with(&parcelshelf_second::PureRust, &ask);
    assert_eq!(first, second, "two libraries, two answers");
    first
}
