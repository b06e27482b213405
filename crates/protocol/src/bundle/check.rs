//! Offline verification: form, then what records say of messages, then the log, then signatures, then sense.

use std::collections::BTreeMap;

use parcelshelf_core::id::{AttemptId, DeliveryId};
use parcelshelf_core::reason::Action;
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_log::note::{Checkpoint, LogVerifier};
use parcelshelf_log::record::{ChainHead, Record};
use parcelshelf_log::tree;

use super::verdict::{By, Moment as Seen, Standing};
use super::{Anchors, Bundle, CarrierEvidence, RecordEvidence, Verdict};
use crate::accepted::{Accepted, VerifiedAccepted};
use crate::cert::{Cert, Role, Subject, VerifiedCert};
use crate::delegation::{Delegation, VerifiedDelegation};
use crate::encoding::{Hash, Thumbprint, sha256};
use crate::grant::{Grant, GrantClaims, Scoped, VerifiedGrant};
use crate::jws::Moment;
use crate::keys::Keys;
use crate::narrow;
use crate::proof::{self, ExpectedDevice};
use crate::records::{CommandOutcome, Entry, Event};
use crate::refused::{Fault, Kind, Refused};
use crate::request::{Request, VerifiedRequest};
use crate::statement::{Said, Statement};
use crate::webauthn::{Passkey, RelyingParty};

/// Verifies a bundle offline. `expected`: the anchors the reader knows; without them the verdict names what it rests on.
///
/// # Errors
/// The code of the first check that fails; the order is that of `docs/protocol/bundle.md`.
pub fn verify(bytes: &[u8], expected: Option<&Anchors>) -> Result<Verdict, Refused> {
    let bundle = Bundle::parse_canonical(bytes)?;
    if expected.is_some_and(|e| *e != bundle.anchors) {
        return Err(Refused::BundleWrongAnchor);
    }
    let told = Told::read(&bundle)?;
    told.check_names(&bundle)?;
    let log_size = check_log(&bundle)?;
    let proven = Proven::check(&bundle, &told)?;
    proven.verdict(bundle.anchors.clone(), &told, log_size)
}

/// What the records say.
struct Told {
    /// One per key the case rests on.
    registry: Vec<Entry>,
    /// The chain, with `None` for records of other deliveries.
    chain: Vec<Option<Entry>>,
}

impl Told {
    /// Reads the shown fields. The registry part is as long as the bundle has keys to account for.
    fn read(b: &Bundle) -> Result<Self, Refused> {
        let (registry, chain) = b.records.split_at_checked(keys_of(b)).ok_or(Refused::BundleRecordMissing)?;
        let registry = registry.iter().map(|r| entry(&shown(r))).collect::<Result<_, _>>()?;
        let chain = chain.iter().map(chained).collect::<Result<_, _>>()?;
        Ok(Self { registry, chain })
    }
    fn events(&self) -> impl Iterator<Item = &Entry> {
        self.chain.iter().flatten()
    }

    /// Every message is named by its record, every record names a message of the bundle.
    fn check_names(&self, b: &Bundle) -> Result<(), Refused> {
        let mismatch = |holds: bool| if holds { Ok(()) } else { Err(Refused::BundleRecordMismatch) };
        let mut registry = self.registry.iter().map(|e| &e.event);
        let missing = Refused::BundleRecordMissing;
        let Some(Event::KeyAdded { keys }) = registry.next() else { return Err(missing) };
        mismatch(*keys == sha256(&b.keys))?;
        if let Some(c) = &b.carrier {
            let Some(Event::CarrierAdmitted { cert, .. }) = registry.next() else { return Err(missing) };
            mismatch(*cert == sha256(&c.cert))?;
            for d in &c.devices {
                let Some(Event::DeviceEnrolled { cert, depot_cert, .. }) = registry.next() else { return Err(missing) };
                mismatch(*cert == sha256(&d.device_cert) && *depot_cert == sha256(&d.depot_cert))?;
            }
        }
        for p in &b.passkeys {
            let Some(Event::PasskeyAdded { statement, assertion, .. }) = registry.next() else { return Err(missing) };
            mismatch(*statement == sha256(&p.statement) && *assertion == sha256(p.assertion.to_json()))?;
        }
        let Some(Some(Entry { event: Event::GrantAccepted { grant, assertion, .. }, .. })) = self.chain.first() else {
            return Err(missing);
        };
        mismatch(*grant == sha256(&b.grant) && *assertion == sha256(b.assertion.to_json()))?;
        let cert_hash = b.carrier.as_ref().map(|c| sha256(&c.delegation_cert));
        let delegations: Vec<Hash> = self
            .events()
            .filter_map(|e| match &e.event {
                Event::DelegationAccepted { delegation, cert, .. } => Some((*delegation, *cert)),
                _ => None,
            })
            .map(
                |(delegation, cert)| {
                    if Some(cert) == cert_hash { Ok(delegation) } else { Err(Refused::BundleRecordMismatch) }
                },
            )
            .collect::<Result<_, _>>()?;
        check_same(&delegations, b.carrier.as_ref().map_or(&[][..], |c| &c.delegations))?;
        let mut proofs: Vec<Hash> = Vec::new();
        for proof in self.events().filter_map(|e| named_proof(&e.event)) {
            if !proofs.contains(&proof.0) {
                proofs.push(proof.0);
            }
        }
        check_same(&proofs, &b.proofs)
    }
}

/// The records name exactly these messages, in this order.
fn check_same(named: &[Hash], messages: &[String]) -> Result<(), Refused> {
    if messages.len() > named.len() {
        return Err(Refused::BundleUnreferenced);
    }
    let same = named.len() == messages.len() && named.iter().zip(messages).all(|(n, m)| *n == sha256(m));
    if same { Ok(()) } else { Err(Refused::BundleRecordMismatch) }
}

/// The proof that an event names, and the action it must be for.
const fn named_proof(event: &Event) -> Option<(Hash, Action)> {
    Some(match event {
        Event::PlaceDisclosed { proof, .. } => (*proof, Action::Locate),
        Event::Described { proof, .. } => (*proof, Action::Describe),
        Event::Signalled { proof, .. } => (*proof, Action::Signal),
        Event::OpenIntended { proof, .. } | Event::Joined { proof, .. } => (*proof, Action::Open),
        _ => return None,
    })
}

/// How many records tell of keys: the keyholder's, the carrier's and its devices' if one took part, the passkeys'.
fn keys_of(b: &Bundle) -> usize {
    1 + b.carrier.as_ref().map_or(0, |c| 1 + c.devices.len()) + b.passkeys.len()
}
fn shown(r: &RecordEvidence) -> Vec<(&str, &str)> {
    r.openings.iter().map(|o| (o.name.as_str(), o.value.as_str())).collect()
}
fn entry(fields: &[(&str, &str)]) -> Result<Entry, Refused> {
    Entry::read(fields).map_err(|_| Refused::BundleRecordMissing)
}
/// An entry of the chain shows its place in the chain last; one that shows nothing else belongs to another delivery.
fn chained(r: &RecordEvidence) -> Result<Option<Entry>, Refused> {
    let fields = shown(r);
    let at = fields.len().checked_sub(2).ok_or(Refused::BundleChainBroken)?;
    let (own, place) = fields.split_at(at);
    if place[0].0 != "chain_seq" || place[1].0 != "chain_prev" {
        return Err(Refused::BundleChainBroken);
    }
    if own.is_empty() { Ok(None) } else { entry(own).map(Some) }
}

/// Openings fit, the chain has no gap, everything is in the tree under the log's checkpoint. Returns the log's size.
fn check_log(b: &Bundle) -> Result<u64, Refused> {
    let mut leaves = Vec::with_capacity(b.records.len());
    let mut head: Option<ChainHead> = None;
    let chain_start = keys_of(b);
    for (n, r) in b.records.iter().enumerate() {
        let record = Record::parse(&r.bytes).map_err(|_| Refused::BundleWrongOpening)?;
        if r.openings.iter().any(|o| record.check(o).is_err()) {
            return Err(Refused::BundleWrongOpening);
        }
        if n >= chain_start {
            let here = place(r)?;
            let follows = head.is_none_or(|h| h == here) && (n == chain_start || r.index > b.records[n - 1].index);
            if !follows {
                return Err(Refused::BundleChainBroken);
            }
            head = Some(here.after(&record));
        }
        leaves.push(tree::leaf_hash(&record.entry()));
    }
    let log = LogVerifier::parse(&b.anchors.log).map_err(|_| Refused::BundleWrongAnchor)?;
    let checkpoint = Checkpoint::verify_alone(&b.checkpoint, &log).map_err(|_| Refused::BundleWrongCheckpoint)?;
    for (r, leaf) in b.records.iter().zip(&leaves) {
        let path: Vec<[u8; 32]> = r.inclusion.iter().map(|h| *h.as_bytes()).collect();
        if !tree::verify_inclusion(leaf, r.index, checkpoint.size, &path, &checkpoint.root) {
            return Err(Refused::BundleNotIncluded);
        }
    }
    Ok(checkpoint.size)
}
/// `chain_seq` and `chain_prev` as the record shows them, last.
fn place(r: &RecordEvidence) -> Result<ChainHead, Refused> {
    let [.., seq, prev] = r.openings.as_slice() else { return Err(Refused::BundleChainBroken) };
    let number = seq.value.parse::<u64>().ok().filter(|n| n.to_string() == seq.value);
    match (number, Hash::parse(&prev.value)) {
        (Some(seq), Some(hash)) => Ok(ChainHead { seq, hash: *hash.as_bytes() }),
        _ => Err(Refused::BundleChainBroken),
    }
}

/// Messages whose signatures hold.
struct Proven {
    grant: VerifiedGrant,
    /// What the keyholder let be done: under a standing rule less than what was signed.
    accepted: VerifiedAccepted,
    /// None where the device that the grant names acted itself.
    carrier: Option<ProvenCarrier>,
}
struct ProvenCarrier {
    cert: VerifiedCert,
    request: VerifiedRequest,
    devices: Vec<VerifiedCert>,
    delegations: Vec<VerifiedDelegation>,
}

/// By what a device may act: a delegation, or the grant itself.
struct Link {
    hash: Hash,
    device: Thumbprint,
    kind: Kind,
    iat: Timestamp,
    window: Window,
}

impl Proven {
    fn check(b: &Bundle, told: &Told) -> Result<Self, Refused> {
        let a = &b.anchors;
        let accepted_at = told.chain.first().and_then(Option::as_ref).map_or(Timestamp::EPOCH, |e| e.at);
        let posted = Moment::Posted(accepted_at);
        let keys = Keys::verify(&b.keys, &a.log, &a.aud, posted)?;
        let k = keys.claims();
        if k.rp_id != a.rp_id || k.wallet_origin != a.wallet_origin {
            return Err(Refused::BundleWrongAnchor);
        }
        let certs = b.carrier.as_ref().map(|c| check_certs(c, a, posted)).transpose()?;
        let whose = match &certs {
            Some((carrier, _)) => carrier.claims().key.thumb(),
            // That it is the grant's is checked when there is a grant.
            None => Accepted::peek(&b.accepted)?.aud,
        };
        let accepted = Accepted::verify(&b.accepted, &k.message, &a.aud, whose, Moment::Any)?;
        let devices = match (&b.carrier, &certs) {
            (Some(c), Some((carrier, _))) => check_devices(c, a, carrier, accepted_at)?,
            _ => Vec::new(),
        };
        let passkeys = check_passkeys(b)?;

        let request = match (&b.carrier, &certs) {
            (Some(c), Some((_, delegation))) => Some(Request::verify(&c.request, delegation, &a.aud, posted)?),
            _ => None,
        };
        let confirmed_by = passkeys.last().map(core::slice::from_ref).unwrap_or_default();
        let grant = Grant::verify(&b.grant)?.confirm(&b.assertion, confirmed_by, &relying_party(a), &a.aud, posted)?;
        let own = grant.claims().delivery();
        match &request {
            Some(request) if own.is_some() => grant.check_answers(request)?,
            Some(request) => grant.check_covers(request)?,
            None if grant.claims().is_delegated() => return Err(Refused::DelegationNeeded),
            None if grant.claims().cnf != whose => return Err(Refused::of(Kind::Accepted, Fault::WrongAudience)),
            None => {}
        }
        let delivery = request.as_ref().map(|r| r.claims().delivery).or(own);
        let same = delivery.is_none_or(|d| d == accepted.claims().delivery);
        if accepted.claims().grant != grant.hash() || !same {
            return Err(Refused::of(Kind::Accepted, Fault::WrongSubject));
        }
        narrow::check(&grant.claims().scope(), &accepted.claims().scope())?;
        check_leaf(b, &accepted.claims().leaf)?;
        let within = request.as_ref().is_none_or(|r| r.claims().window.encloses(&accepted.claims().window));
        if own.is_none() && !within {
            return Err(Refused::GrantWidensRequest);
        }
        let mut proven = Self { grant, accepted, carrier: None };
        if let (Some(c), Some((cert, delegation_cert)), Some(request)) = (&b.carrier, certs, request) {
            let delegations = proven.check_delegations(c, &delegation_cert, &request, &devices)?;
            proven.carrier = Some(ProvenCarrier { cert, request, devices, delegations });
        }
        proven.check_registry(told, &passkeys)?;
        proven.check_proofs(b, told)?;
        Ok(proven)
    }

    fn delivery(&self) -> DeliveryId {
        self.accepted.claims().delivery
    }
    fn delegations(&self) -> &[VerifiedDelegation] {
        self.carrier.as_ref().map_or(&[], |c| &c.delegations)
    }

    /// Every delegation holds under the grant, and every device was delegated to.
    fn check_delegations(
        &self,
        c: &CarrierEvidence,
        cert: &VerifiedCert,
        request: &VerifiedRequest,
        devices: &[VerifiedCert],
    ) -> Result<Vec<VerifiedDelegation>, Refused> {
        let mut delegations = Vec::with_capacity(c.delegations.len());
        for jws in &c.delegations {
            // Times are judged where a proof was used.
            let delegation = Delegation::verify(jws, cert, &self.grant, Moment::Any)?;
            if delegation.claims().delivery != request.claims().delivery {
                return Err(Refused::DelegationWrongDelivery);
            }
            narrow::check(&self.accepted.claims().scope(), &delegation.claims().scope())?;
            delegation.claims().check_announced(request.claims())?;
            delegations.push(delegation);
        }
        let delegated = |d: &VerifiedCert| delegations.iter().any(|x| x.claims().cnf == d.claims().sub());
        if devices.iter().all(delegated) { Ok(delegations) } else { Err(Refused::BundleUnreferenced) }
    }

    /// The records of keys name the very keys that the messages use; all records of the case name its delivery.
    fn check_registry(&self, told: &Told, passkeys: &[Passkey]) -> Result<(), Refused> {
        let carrier = self.carrier.as_ref();
        let mut devices = carrier.iter().flat_map(|c| &c.devices).map(|d| d.claims().sub());
        let mut passkeys = passkeys.iter().map(|p| p.key.thumb());
        let claims = self.grant.claims();
        let delivery = self.delivery();
        let registry = told.registry.iter().map(|e| match &e.event {
            Event::CarrierAdmitted { carrier: named, .. } => carrier.is_some_and(|c| *named == c.cert.claims().sub()),
            Event::DeviceEnrolled { device, .. } => Some(*device) == devices.next(),
            Event::PasskeyAdded { key, .. } => Some(*key) == passkeys.next(),
            _ => true,
        });
        let chain = told.events().map(|e| match &e.event {
            Event::GrantAccepted { access_point, delivery: d, .. } => {
                *access_point == claims.access_point && *d == delivery
            }
            other => other.delivery().is_none_or(|d| d == delivery),
        });
        let device_of = |hash: Hash| self.delegations().iter().find(|d| d.hash() == hash).map(|d| d.claims().cnf);
        let delegated = told.events().map(|e| match &e.event {
            Event::DelegationAccepted { delegation, device, .. } => device_of(*delegation) == Some(*device),
            _ => true,
        });
        if registry.chain(chain).chain(delegated).all(|holds| holds) {
            Ok(())
        } else {
            Err(Refused::BundleRecordMismatch)
        }
    }

    /// Each record that names a proof: the proof is by the device of a delegation that was accepted before, or by the device
    /// that the grant names, for that action; to open, inside the windows.
    fn check_proofs(&self, b: &Bundle, told: &Told) -> Result<(), Refused> {
        let by_hash: BTreeMap<Hash, &str> = b.proofs.iter().map(|p| (sha256(p), p.as_str())).collect();
        let mut links: Vec<Link> = if self.carrier.is_none() { vec![self.own_link()] } else { Vec::new() };
        for e in told.events() {
            if let Event::DelegationAccepted { delegation, .. } = &e.event {
                let link = self.link_of(*delegation)?;
                Moment::Posted(e.at).check(link.kind, link.iat, &link.window)?;
                links.push(link);
            }
            let Some((hash, action)) = named_proof(&e.event) else { continue };
            let jws = by_hash.get(&hash).ok_or(Refused::BundleRecordMismatch)?;
            let parsed = proof::Parsed::parse(jws)?;
            let link = links.iter().find(|l| l.hash == parsed.last_link()).ok_or(Refused::ProofWrongToken)?;
            parsed.verify(&self.expected(link.device)?, &link.hash, action, None)?;
            if matches!(e.event, Event::OpenIntended { .. }) {
                Moment::Used(e.at).check(Kind::Grant, self.grant.claims().iat, &self.grant.claims().window)?;
                Moment::Used(e.at).check(link.kind, link.iat, &link.window)?;
            }
        }
        Ok(())
    }
    /// The device that the grant names acts by the grant, for as long as was accepted.
    fn own_link(&self) -> Link {
        let c = self.grant.claims();
        Link {
            hash: self.grant.hash(),
            device: c.cnf,
            kind: Kind::Grant,
            iat: c.iat,
            window: self.accepted.claims().window,
        }
    }
    fn expected(&self, device: Thumbprint) -> Result<ExpectedDevice, Refused> {
        match &self.carrier {
            Some(carrier) => expected(&carrier.devices, device),
            None => Ok(ExpectedDevice { cnf: device, seal: self.grant.claims().seal }),
        }
    }
    fn link_of(&self, delegation: Hash) -> Result<Link, Refused> {
        let carrier = self.carrier.as_ref().ok_or(Refused::BundleRecordMismatch)?;
        let found = carrier.delegations.iter().find(|d| d.hash() == delegation);
        let found = found.ok_or(Refused::BundleRecordMismatch)?;
        Ok(Link {
            hash: delegation,
            device: found.claims().cnf,
            kind: Kind::Delegation,
            iat: found.claims().iat,
            window: found.claims().window,
        })
    }

    fn verdict(&self, anchors: Anchors, told: &Told, log_size: u64) -> Result<Verdict, Refused> {
        let run = Run::of(told)?;
        let claims: &GrantClaims = self.grant.claims();
        let by = match &self.carrier {
            Some(c) => match &c.cert.claims().subject {
                Subject::Carrier { name, .. } => {
                    By::Carrier { name: name.clone(), merchant: c.request.claims().merchant.name.clone() }
                }
                _ => return Err(Refused::CertWrongRole),
            },
            None => By::Device(claims.cnf),
        };
        Ok(Verdict {
            anchors,
            delivery: self.delivery(),
            by,
            purpose: claims.purpose,
            classes: claims.opens.clone(),
            window: self.accepted.claims().window,
            standing: match &claims.scoped {
                Scoped::Delivery(_) => None,
                Scoped::Standing { merchants, schedule } => {
                    Some(Standing { merchants: merchants.clone(), schedule: schedule.clone(), life: claims.window })
                }
            },
            openings: run.openings,
            unknown: run.unknown,
            lock_proof: run.lock_proof,
            timeline: told.events().map(|e| Seen { at: e.at, event: e.event.clone() }).collect(),
            withheld: u32::try_from(told.chain.iter().filter(|e| e.is_none()).count()).unwrap_or(u32::MAX),
            log_size,
        })
    }
}

fn relying_party(a: &Anchors) -> RelyingParty {
    RelyingParty { rp_id: a.rp_id.clone(), origins: vec![a.wallet_origin.clone()] }
}
fn expected(devices: &[VerifiedCert], cnf: Thumbprint) -> Result<ExpectedDevice, Refused> {
    let cert = devices.iter().find(|d| d.claims().sub() == cnf).ok_or(Refused::ProofWrongDevice)?;
    let Subject::Device { seal } = &cert.claims().subject else { return Err(Refused::CertWrongRole) };
    Ok(ExpectedDevice { cnf, seal: seal.hash() })
}
/// The acceptance names the log's entry of the accepted grant.
fn check_leaf(b: &Bundle, leaf: &[u8]) -> Result<(), Refused> {
    let accepted = b.records.get(keys_of(b)).ok_or(Refused::BundleRecordMissing)?;
    let record = Record::parse(&accepted.bytes).map_err(|_| Refused::BundleWrongOpening)?;
    if record.entry() == *leaf { Ok(()) } else { Err(Refused::BundleRecordMismatch) }
}
/// Of the carrier, by the operator; of its delegation key, by the carrier.
fn check_certs(c: &CarrierEvidence, a: &Anchors, posted: Moment) -> Result<(VerifiedCert, VerifiedCert), Refused> {
    let carrier = Cert::verify(&c.cert, &a.operator, Role::Carrier, &a.aud, posted)?;
    let delegation = Cert::verify(&c.delegation_cert, &carrier.claims().key, Role::Delegation, &a.aud, posted)?;
    Ok((carrier, delegation))
}
fn check_devices(
    c: &CarrierEvidence,
    a: &Anchors,
    carrier: &VerifiedCert,
    at: Timestamp,
) -> Result<Vec<VerifiedCert>, Refused> {
    let aud = &a.aud;
    c.devices
        .iter()
        .map(|d| {
            let depot = Cert::verify(&d.depot_cert, &carrier.claims().key, Role::Depot, aud, Moment::Posted(at))?;
            // A device may have been enrolled after the grant was accepted.
            Cert::verify(&d.device_cert, &depot.claims().key, Role::Device, aud, Moment::Any)
        })
        .collect()
}
/// The first passkey confirms itself, each other is confirmed by one before it.
fn check_passkeys(b: &Bundle) -> Result<Vec<Passkey>, Refused> {
    let rp = relying_party(&b.anchors);
    let mut known: Vec<Passkey> = Vec::new();
    for p in &b.passkeys {
        let verified = Statement::verify(&p.statement, &p.assertion, &known, &rp, &b.anchors.aud)?;
        let passkey = match verified.said() {
            Said::Wallet { passkey, .. } if known.is_empty() => passkey,
            Said::Passkey { passkey, .. } => passkey,
            _ => return Err(Refused::of(Kind::Statement, Fault::WrongType)),
        };
        known.push(passkey.clone());
    }
    Ok(known)
}

/// What happened, command by command.
#[derive(Default)]
struct Run {
    intended: Vec<(AttemptId, u32)>,
    decided: Vec<(AttemptId, u32)>,
    spent: Vec<AttemptId>,
    openings: u32,
    unknown: u32,
    lock_proof: Option<parcelshelf_core::actuation::LockProof>,
}

impl Run {
    fn of(told: &Told) -> Result<Self, Refused> {
        let mut run = Self::default();
        // The first record is the acceptance of the grant; there is one only.
        for e in told.events().skip(1) {
            run.step(&e.event).ok_or(Refused::BundleContradiction)?;
        }
        if run.decided.len() != run.intended.len() {
            return Err(Refused::BundleContradiction);
        }
        // A grant is for one use: one attempt, however many commands it took.
        if run.spent.len() > 1 { Err(Refused::BundleTooManyUses) } else { Ok(run) }
    }
    fn step(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::OpenIntended { attempt, command, .. } => {
                let before = self.intended.iter().filter(|(a, _)| a == attempt).count();
                (u32::try_from(before).ok()? + 1 == *command).then_some(())?;
                self.intended.push((*attempt, *command));
                self.lock_proof = None;
            }
            Event::Outcome { attempt, command, outcome, .. } => {
                let this = (*attempt, *command);
                (self.intended.contains(&this) && !self.decided.contains(&this)).then_some(())?;
                self.decided.push(this);
                match outcome {
                    CommandOutcome::Opened => self.openings += 1,
                    CommandOutcome::Unknown => self.unknown += 1,
                    CommandOutcome::DidNotHappen(_) => return Some(()),
                }
                if !self.spent.contains(attempt) {
                    self.spent.push(*attempt);
                }
            }
            Event::Locked { attempt, lock_proof, .. } => {
                self.intended.iter().any(|(a, _)| a == attempt).then_some(())?;
                self.lock_proof = Some(*lock_proof);
            }
            Event::LockIntended { attempt, .. }
            | Event::Alarm { attempt, .. }
            | Event::AlarmAcknowledged { attempt, .. }
            | Event::Joined { attempt, .. } => {
                self.intended.iter().any(|(a, _)| a == attempt).then_some(())?;
            }
            // Records of keys stand before the chain, and a grant is accepted once.
            Event::GrantAccepted { .. }
            | Event::KeyAdded { .. }
            | Event::CarrierAdmitted { .. }
            | Event::DeviceEnrolled { .. }
            | Event::PasskeyAdded { .. } => return None,
            _ => {}
        }
        Some(())
    }
}
