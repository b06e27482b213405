//! A whole case, recorded and exported, and what happens when anything in it is different.

use parcelshelf_core::actuation::LockProof;
use parcelshelf_core::id::{AttemptId, WalletId};
use parcelshelf_core::reason::Action;
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_log::note::{Checkpoint, LogSigner};
use parcelshelf_log::record::{Built, ChainHead};
use parcelshelf_log::tree;
use parcelshelf_protocol::accepted::{Accepted, AcceptedClaims};
use parcelshelf_protocol::bundle::{
    Anchors, Bundle, CarrierEvidence, DeviceEvidence, PasskeyEvidence, RecordEvidence, verify,
};
use parcelshelf_protocol::cert::device_thumbprint;
use parcelshelf_protocol::encoding::{Hash, Thumbprint, sha256};
use parcelshelf_protocol::grant::{Schedule, Scoped, Weekday};
use parcelshelf_protocol::jws::{Sign as _, SignLog as _};
use parcelshelf_protocol::keys::{Keys, KeysClaims};
use parcelshelf_protocol::records::{CommandOutcome, Entry, Event};
use parcelshelf_protocol::statement::{self, Said, Statement};
use parcelshelf_protocol::webauthn::{Assertion, Passkey};

use crate::support::{AUD, Case, NOW, ORIGIN, RP_ID, World, agreed, id, published};

pub const LOG: &str = "gateway.example/log";

/// A keyholder's log of one delivery, as it grows.
pub struct Recorder {
    entries: Vec<(Built, bool)>,
    head: ChainHead,
    pub delivery: parcelshelf_core::id::DeliveryId,
    now: Timestamp,
    /// What a keyholder that does not tell the truth makes of an event.
    lie: fn(&mut Event),
}
impl Recorder {
    fn new(lie: fn(&mut Event)) -> Self {
        let delivery = parcelshelf_core::id::DeliveryId::from_bytes(id("delivery"));
        Self { entries: Vec::new(), head: ChainHead::default(), delivery, now: NOW.plus_seconds(-1_800), lie }
    }
    fn seed(&self) -> [u8; 32] {
        published(&format!("record {}", self.entries.len()))
    }
    fn key(&mut self, mut event: Event) {
        (self.lie)(&mut event);
        let built = Entry { at: self.now, event }.build(self.seed(), None).unwrap();
        self.entries.push((built, true));
    }
    pub fn chained(&mut self, event: Event) -> Hash {
        self.add(event, true)
    }
    pub fn add(&mut self, mut event: Event, of_this_case: bool) -> Hash {
        (self.lie)(&mut event);
        let built = Entry { at: self.now, event }.build(self.seed(), Some(&self.head)).unwrap();
        self.head = self.head.after(&built.record);
        let entry = Hash::from_bytes(built.record.entry());
        self.entries.push((built, of_this_case));
        entry
    }
    fn at(&mut self, now: Timestamp) -> &mut Self {
        self.now = now;
        self
    }
    pub fn attempt() -> AttemptId {
        AttemptId::from_bytes(id("attempt"))
    }
    pub fn intend(&mut self, attempt: AttemptId, command: u32, proof: Hash) {
        self.chained(Event::OpenIntended { delivery: self.delivery, attempt, command, proof });
    }
    pub fn outcome(&mut self, attempt: AttemptId, command: u32, outcome: CommandOutcome) {
        self.chained(Event::Outcome { delivery: self.delivery, attempt, command, outcome });
    }
    pub fn locked(&mut self, lock_proof: LockProof) {
        self.chained(Event::Locked { delivery: self.delivery, attempt: Self::attempt(), lock_proof });
    }

    /// Everything in a tree between other records, with a signed checkpoint. The registry's records count to the number
    /// of `keys`.
    fn evidence(&self, keys: usize) -> (Vec<RecordEvidence>, String) {
        let mut leaves = vec![tree::leaf_hash(b"before")];
        let mut index = Vec::new();
        for (built, _) in &self.entries {
            index.push(leaves.len());
            leaves.push(tree::leaf_hash(&built.record.entry()));
            leaves.push(tree::leaf_hash(b"another wallet's"));
        }
        let evidence = self.entries.iter().zip(&index).enumerate().map(|(n, ((built, mine), at))| {
            let inclusion = path(&leaves, *at).into_iter().map(Hash::from_bytes).collect();
            RecordEvidence::select(&built.record, &built.openings, *mine, n >= keys, *at as u64, inclusion)
        });
        let checkpoint = Checkpoint { origin: LOG.into(), size: leaves.len() as u64, root: tree::root(&leaves) };
        let signer = LogSigner::from_seed(LOG, &published("keyholder log")).unwrap();
        (evidence.collect(), signer.sign(&checkpoint.text()))
    }
}
/// RFC 6962 §2.1.1, straight from its text.
fn path(leaves: &[[u8; 32]], at: usize) -> Vec<[u8; 32]> {
    if leaves.len() == 1 {
        return vec![];
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (mut inner, other) = if at < k {
        (path(&leaves[..k], at), tree::root(&leaves[k..]))
    } else {
        (path(&leaves[k..], at - k), tree::root(&leaves[..k]))
    };
    inner.push(other);
    inner
}

/// What goes into a bundle besides its records.
pub struct Told {
    pub located: Case,
    pub opened: Case,
    keys: String,
    pub passkeys: Vec<(Thumbprint, PasskeyEvidence)>,
    request: String,
    assertion: Assertion,
}

impl Told {
    /// `looking`: the same world, before the courier is at the car. `first`: a world whose passkey the owner had before.
    pub fn new(w: &World, mut looking: World, first: Option<&World>) -> Self {
        looking.action = Action::Locate;
        let passkey =
            |w: &World| Passkey { credential_id: w.credential_id.clone(), key: w.passkey.verifying_key().clone() };
        let by = first.unwrap_or(w);
        let begun = Said::Wallet { account_key: w.grant_seal.public().clone(), passkey: passkey(by) };
        let wallet = WalletId::from_bytes(id("wallet"));
        let added = first.map(|_| (w.passkey.thumb(), Said::Passkey { wallet, passkey: passkey(w) }));
        let confirmed = |(key, said)| {
            let statement = Statement { aud: AUD.into(), nonce: "challenge".into(), said }.to_bytes();
            let assertion = by.assertion(&statement::challenge(&statement), &|_, _| {});
            (key, PasskeyEvidence { statement, assertion })
        };
        let opened = w.case();
        Self {
            located: looking.case(),
            assertion: Assertion::parse(opened.assertion.as_bytes()).unwrap(),
            opened,
            keys: Keys::sign(&keys_claims(w), &w.log).unwrap().jws().to_owned(),
            passkeys: [(by.passkey.thumb(), begun)].into_iter().chain(added).map(confirmed).collect(),
            request: w.signed_request(),
        }
    }
    /// How many records tell of keys: the keyholder's, the carrier's and the device's if one took part, the passkeys'.
    fn keys(&self) -> usize {
        1 + if self.opened.delegation.is_some() { 2 } else { 0 } + self.passkeys.len()
    }
    pub fn recorder(&self, w: &World) -> Recorder {
        self.recorded(w, |_| {})
    }
    /// The same, with what the keyholder makes of each event.
    pub fn recorded(&self, w: &World, lie: fn(&mut Event)) -> Recorder {
        let mut r = Recorder::new(lie);
        let delivery = r.delivery;
        let device = device_thumbprint(w.courier.verifying_key(), w.courier_seal.public());
        r.key(Event::KeyAdded { keys: sha256(&self.keys) });
        if self.opened.delegation.is_some() {
            r.key(Event::CarrierAdmitted { carrier: w.root.thumb(), cert: sha256(&self.opened.carrier_cert) });
            let (cert, depot_cert) = (sha256(&self.opened.device_cert), sha256(&self.opened.depot_cert));
            r.key(Event::DeviceEnrolled { device, cert, depot_cert });
        }
        for (key, p) in &self.passkeys {
            let (statement, assertion) = (sha256(&p.statement), sha256(p.assertion.to_json()));
            r.key(Event::PasskeyAdded { key: *key, statement, assertion });
        }
        r.chained(Event::GrantAccepted {
            grant: sha256(&self.opened.grant),
            assertion: sha256(self.assertion.to_json()),
            delivery,
            access_point: w.grant.access_point,
        });
        if let Some(delegation) = &self.opened.delegation {
            r.at(NOW.plus_seconds(-200)).chained(Event::DelegationAccepted {
                delegation: sha256(delegation),
                cert: sha256(&self.opened.delegation_cert),
                delivery,
                device,
            });
            let proof = sha256(&self.located.proof);
            r.at(NOW.plus_seconds(-100)).chained(Event::PlaceDisclosed { delivery, proof });
        }
        r.at(NOW);
        r
    }
    pub fn proof(&self) -> Hash {
        sha256(&self.opened.proof)
    }
    pub fn bundle(&self, w: &World, r: &Recorder) -> Bundle {
        let (records, checkpoint) = r.evidence(self.keys());
        let chain = self.opened.verify().unwrap();
        // Under a rule: what was announced.
        let window = chain.grant().claims().delivery().map_or(w.request.window, |_| chain.grant().claims().window);
        let claims = AcceptedClaims::answer(
            chain.grant(),
            r.delivery,
            window,
            r.entries[self.keys()].0.record.entry().to_vec(),
            NOW.plus_seconds(-1_800),
        );
        let c = &self.opened;
        Bundle {
            anchors: anchors(w),
            keys: self.keys.clone(),
            carrier: c.delegation.clone().map(|delegation| CarrierEvidence {
                cert: c.carrier_cert.clone(),
                delegation_cert: c.delegation_cert.clone(),
                devices: vec![DeviceEvidence { depot_cert: c.depot_cert.clone(), device_cert: c.device_cert.clone() }],
                request: self.request.clone(),
                delegations: vec![delegation],
            }),
            passkeys: self.passkeys.iter().map(|(_, p)| p.clone()).collect(),
            grant: c.grant.clone(),
            assertion: self.assertion.clone(),
            accepted: Accepted::sign(&claims, &w.message_key).unwrap().jws().to_owned(),
            proofs: c.delegation.iter().map(|_| self.located.proof.clone()).chain([c.proof.clone()]).collect(),
            records,
            checkpoint,
        }
    }
}

fn keys_claims(w: &World) -> KeysClaims {
    KeysClaims {
        iss: AUD.into(),
        iat: NOW.plus_seconds(-86_400),
        exp: NOW.plus_seconds(86_400 * 100),
        message: w.message_key.verifying_key().clone(),
        seal: w.keyholder_seal.public().clone(),
        log: anchors(w).log,
        rp_id: RP_ID.into(),
        wallet_origin: ORIGIN.into(),
    }
}
pub fn anchors(w: &World) -> Anchors {
    Anchors {
        aud: AUD.into(),
        log: parcelshelf_log::note::LogVerifier::new(LOG, w.log.public_key()).unwrap().line(),
        operator: w.operator.verifying_key().clone(),
        rp_id: RP_ID.into(),
        wallet_origin: ORIGIN.into(),
    }
}

/// A delivery that went well: opened once, locked, seen to be locked.
pub fn delivered() -> Bundle {
    told(|r, proof| {
        r.intend(Recorder::attempt(), 1, proof);
        r.outcome(Recorder::attempt(), 1, CommandOutcome::Opened);
        r.chained(Event::LockIntended { delivery: r.delivery, attempt: Recorder::attempt(), command: 1 });
        r.locked(LockProof::Observed);
    })
}
pub fn told(story: impl Fn(&mut Recorder, Hash)) -> Bundle {
    told_in(World::new, story)
}
/// A world in which the owner has signed in advance, for this merchant.
fn ruled(merchant: &str) -> World {
    let mut w = World::new();
    w.grant.request = None;
    w.grant.window = Window::new(NOW.plus_seconds(-86_400), NOW.plus_seconds(80 * 86_400)).unwrap();
    w.grant.scoped = Scoped::Standing {
        merchants: vec![merchant.into()],
        schedule: Schedule {
            zone: "Europe/Stockholm".into(),
            days: Weekday::ALL.to_vec(),
            from_minute: 0,
            to_minute: 1_440,
        },
    };
    w
}
/// Announced under a standing rule, opened once, locked.
pub fn announced(world: impl Fn() -> World) -> Bundle {
    told_in(world, |r, proof| {
        r.intend(Recorder::attempt(), 1, proof);
        r.outcome(Recorder::attempt(), 1, CommandOutcome::Opened);
        r.locked(LockProof::Observed);
    })
}
/// Good and bad cases under a rule.
pub fn announced_cases() -> Vec<BadBundle> {
    // The courier's delegation reaches beyond what was announced, though not beyond what was signed.
    let beyond = || {
        let mut w = ruled("bookshop");
        w.request.window = Window::new(w.request.window.start(), NOW.plus_seconds(60)).unwrap();
        w
    };
    let mut later = announced(|| ruled("bookshop"));
    let mut p = crate::support::parts(&later.accepted, &World::new().message_key);
    p.set("exp", &(World::new().request.window.end().unix_seconds() + 1).to_string());
    later.accepted = p.signed();
    vec![
        ("announced under a standing rule", "ok", announced(|| ruled("bookshop"))),
        (
            "announced for a merchant that the rule does not name",
            "grant_wrong_request",
            announced(|| ruled("shoeshop")),
        ),
        ("delegated for longer than was announced", "delegation_widens_window", announced(beyond)),
        ("accepted for longer than was announced", "grant_widens_request", later),
    ]
}

#[test]
fn a_delivery_under_a_standing_rule_names_the_rule_and_stays_inside_what_was_announced() {
    for (what, expect, bundle) in announced_cases() {
        assert_eq!(code(&bundle), expect, "{what}");
    }
    let verdict = verify(&announced(|| ruled("bookshop")).encode(), None).unwrap();
    assert_eq!(verdict.window, World::new().request.window);
    assert_eq!(verdict.standing.as_ref().unwrap().merchants, ["bookshop"]);
    let text = verdict.explain().join("\n");
    assert!(text.contains("mon tue wed thu fri sat sun, 00:00 to 24:00 (Europe/Stockholm)"), "{text}");
    assert_eq!(verify(&delivered().encode(), None).unwrap().standing, None);
}

/// A guest's own device under the owner's grant: links 0 and 2.
fn visited() -> Bundle {
    told_in(World::guest, opened_once)
}
pub fn opened_once(r: &mut Recorder, proof: Hash) {
    r.intend(Recorder::attempt(), 1, proof);
    r.outcome(Recorder::attempt(), 1, CommandOutcome::Opened);
    r.locked(LockProof::Observed);
}
/// Good and bad cases in which no carrier took part.
pub fn visited_cases() -> Vec<BadBundle> {
    let beside = |other: &Bundle| {
        let mut b = visited();
        b.carrier.clone_from(&other.carrier);
        b
    };
    let mut alone = delivered();
    alone.carrier = None;
    let mut later = visited();
    let mut p = crate::support::parts(&later.accepted, &World::new().message_key);
    p.set("exp", &(World::guest().grant.window.end().unix_seconds() + 1).to_string());
    later.accepted = p.signed();
    let mut others = visited();
    let mut p = crate::support::parts(&others.accepted, &World::new().message_key);
    let somebody = TestKeyOf::somebody().thumb();
    p.set("aud", &format!("\"{somebody}\""));
    p.set("cnf", &format!("{{\"jkt\":\"{somebody}\"}}"));
    others.accepted = p.signed();
    let another = || {
        let mut w = World::guest();
        w.courier = TestKeyOf::somebody();
        w
    };
    vec![
        ("a guest opened", "ok", visited()),
        ("the owner rehearsed", "ok", told_in(World::rehearsal, opened_once)),
        ("a carrier beside a guest", "bundle_record_missing", beside(&delivered())),
        ("a delivery without its carrier", "bundle_chain_broken", alone),
        ("a guest accepted for longer than was signed", "delegation_widens_window", later),
        ("a guest's grant accepted for another device", "accepted_wrong_audience", others),
        ("opened by a device that the owner did not name", "proof_wrong_device", passed_on(another)),
        (
            "a guest opened after the grant's window",
            "grant_expired",
            told_in(World::guest, |r, p| {
                r.at(World::guest().grant.window.end()).intend(Recorder::attempt(), 1, p);
                r.outcome(Recorder::attempt(), 1, CommandOutcome::Opened);
            }),
        ),
    ]
}
/// The case of a guest whose grant another device has used, if a keyholder had let it.
fn passed_on(theirs: impl Fn() -> World) -> Bundle {
    let (w, told) = (World::guest(), Told::new(&World::guest(), World::guest(), None));
    let proof = theirs().case().proof;
    let mut r = told.recorder(&w);
    opened_once(&mut r, sha256(&proof));
    let mut bundle = told.bundle(&w, &r);
    bundle.proofs = vec![proof];
    bundle
}

#[test]
fn a_guests_case_names_the_device_and_no_carrier() {
    for (what, expect, bundle) in visited_cases() {
        assert_eq!(code(&bundle), expect, "{what}");
        assert_eq!(Bundle::parse_canonical(&bundle.encode()).unwrap(), bundle, "{what}");
    }
    let verdict = verify(&visited().encode(), Some(&anchors(&World::guest()))).unwrap();
    assert_eq!((verdict.openings, verdict.lock_proof), (1, Some(LockProof::Observed)));
    assert_eq!(verdict.by, parcelshelf_protocol::bundle::By::Device(World::guest().grant.cnf));
    assert_eq!((verdict.by.carrier(), verdict.by.merchant()), (None, None));
    let text = verdict.explain().join("\n");
    assert!(text.contains("carrier     none took part") && text.contains("permitted   guest"), "{text}");
}

fn told_in(world: impl Fn() -> World, story: impl Fn(&mut Recorder, Hash)) -> Bundle {
    told_with(None, world, story)
}
fn told_with(first: Option<&World>, world: impl Fn() -> World, story: impl Fn(&mut Recorder, Hash)) -> Bundle {
    let w = world();
    let told = Told::new(&w, world(), first);
    let mut r = told.recorder(&w);
    story(&mut r, told.proof());
    told.bundle(&w, &r)
}
pub fn code(bundle: &Bundle) -> &'static str {
    let bytes = bundle.encode();
    agreed(|| verify(&bytes, None)).map_or_else(|r| r.code(), |_| "ok")
}

#[test]
fn a_delivery_that_went_well_is_told_as_it_was() {
    let bundle = delivered();
    let bytes = bundle.encode();
    assert_eq!(Bundle::parse_canonical(&bytes).unwrap(), bundle);
    let verdict = verify(&bytes, Some(&anchors(&World::new()))).unwrap();
    assert_eq!((verdict.openings, verdict.unknown, verdict.lock_proof), (1, 0, Some(LockProof::Observed)));
    assert_eq!(verdict.by.carrier(), Some("Example Parcels"));
    assert_eq!(verdict.timeline.len(), 7);
    let text = verdict.explain().join("\n");
    for expected in ["keyholder   https://gateway.example", "opened      once", "locked      observed"] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(!text.contains("uncertain") && !text.contains("withheld"), "{text}");
}

/// Confirmed with a second passkey, which the first has added. One that nobody has added confirms nothing.
#[test]
fn a_second_passkey_is_one_that_the_first_has_added() {
    let mut first = World::new();
    first.passkey = crate::support::TestKey::new("first passkey");
    first.credential_id = b"the first".to_vec();
    let mut good = told_with(Some(&first), World::new, |_, _| {});
    good.proofs.truncate(1); // of the place: nothing was opened
    assert_eq!(code(&good), "ok");
    assert!(verify(&good.encode(), None).unwrap().explain().join("\n").contains("it was never opened"));
    // Without the first, with the record that told of it or without.
    let mut alone = good.clone();
    alone.passkeys.remove(0);
    assert_eq!(code(&alone), "bundle_chain_broken");
    alone.records.remove(3);
    assert_eq!(code(&alone), "assertion_unknown_credential");
    // The first is not added by the second.
    let mut around = good;
    around.passkeys.swap(0, 1);
    around.records.swap(3, 4);
    assert_eq!(code(&around), "assertion_unknown_credential");
}

fn of_carrier(bundle: &mut Bundle, change: impl Fn(&mut CarrierEvidence)) {
    change(bundle.carrier.as_mut().unwrap());
}
/// Each part of what a record names, by itself.
#[test]
fn a_record_names_both_halves_of_what_it_tells_of() {
    type Change = fn(&mut Bundle);
    let changes: [(&str, Change); 6] = [
        ("bundle_record_mismatch", |b| of_carrier(b, |c| c.devices[0].depot_cert.clone_from(&c.cert))),
        ("bundle_record_mismatch", |b| of_carrier(b, |c| c.devices[0].device_cert.clone_from(&c.cert))),
        ("bundle_record_mismatch", |b| b.passkeys[0].statement.push(b' ')),
        ("bundle_record_mismatch", |b| b.passkeys[0].assertion = b.assertion.clone()),
        // The place in the chain: one of its two fields is not there.
        ("bundle_chain_broken", |b| {
            let at = b.records[8].openings.len() - 2;
            drop(b.records[8].openings.remove(at));
        }),
        ("bundle_chain_broken", |b| b.records[8].index = b.records[7].index),
    ];
    for (n, (expected, change)) in changes.into_iter().enumerate() {
        let mut bundle = delivered();
        change(&mut bundle);
        assert_eq!(code(&bundle), expected, "change {n}");
    }
    // What was accepted: of this grant and for this delivery.
    let other = Hash::from_bytes([1; 32]).to_string();
    for (member, value) in [("grant", other.as_str()), ("delivery", "AwMDAwMDAwMDAwMDAwMDAw")] {
        let mut bundle = delivered();
        let mut p = crate::support::parts(&bundle.accepted, &World::new().message_key);
        p.set(member, &format!("\"{value}\""));
        bundle.accepted = p.signed();
        assert_eq!(code(&bundle), "accepted_wrong_subject", "{member}");
    }
}

#[test]
fn a_reader_who_knows_other_anchors_refuses() {
    let bytes = delivered().encode();
    let mut other = anchors(&World::new());
    other.operator = World::new().depot.verifying_key().clone();
    assert_eq!(verify(&bytes, Some(&other)).unwrap_err().code(), "bundle_wrong_anchor");
}

#[test]
fn stories_with_other_ends() {
    let attempt = Recorder::attempt();
    let refusal = parcelshelf_core::actuation::Refusal::WindowPassed;
    let unused = CommandOutcome::DidNotHappen(refusal);

    // Nobody pulled in time; a second command opened.
    let twice = told(|r, proof| {
        r.intend(attempt, 1, proof);
        r.outcome(attempt, 1, unused);
        r.intend(attempt, 2, proof);
        r.outcome(attempt, 2, CommandOutcome::Opened);
        r.locked(LockProof::Executed);
    });
    let verdict = verify(&twice.encode(), None).unwrap();
    assert_eq!((verdict.openings, verdict.lock_proof), (1, Some(LockProof::Executed)));

    // Nobody knows.
    let unknown = told(|r, proof| {
        r.intend(attempt, 1, proof);
        r.outcome(attempt, 1, CommandOutcome::Unknown);
    });
    let verdict = verify(&unknown.encode(), None).unwrap();
    assert_eq!((verdict.openings, verdict.unknown, verdict.lock_proof), (0, 1, None));
    let text = verdict.explain().join("\n");
    assert!(text.contains("uncertain   once: it may have opened") && text.contains("locked      not shown"), "{text}");

    // It opened again after it was locked, and no lock follows.
    let reopened = told(|r, proof| {
        r.intend(attempt, 1, proof);
        r.outcome(attempt, 1, CommandOutcome::Opened);
        r.locked(LockProof::Observed);
        r.intend(attempt, 2, proof);
        r.outcome(attempt, 2, CommandOutcome::Opened);
    });
    let verdict = verify(&reopened.encode(), None).unwrap();
    assert_eq!((verdict.openings, verdict.lock_proof), (2, None));

    // A record of another delivery at the same access point stands in between and is not shown.
    let crowded = told(|r, proof| {
        r.intend(attempt, 1, proof);
        let delivery = parcelshelf_core::id::DeliveryId::from_bytes([3; 16]);
        r.add(Event::PlaceDisclosed { delivery, proof: sha256("another") }, false);
        r.outcome(attempt, 1, CommandOutcome::Opened);
        r.locked(LockProof::Observed);
    });
    assert_eq!(verify(&crowded.encode(), None).unwrap().withheld, 1);
    for (what, expect, story) in bad_stories() {
        assert_eq!(code(&story), expect, "{what}");
    }
}

/// A case, what is wrong with it, and the code that refuses it.
pub type BadBundle = (&'static str, &'static str, Bundle);

/// Cases whose records make no sense.
pub fn bad_stories() -> Vec<BadBundle> {
    let attempt = Recorder::attempt();
    let other = AttemptId::from_bytes([9; 16]);
    let refusal = parcelshelf_core::actuation::Refusal::WindowPassed;
    let unused = CommandOutcome::DidNotHappen(refusal);
    vec![
        ("a command without an outcome", "bundle_contradiction", told(|r, p| r.intend(attempt, 1, p))),
        (
            "an outcome without a command",
            "bundle_contradiction",
            told(|r, p| {
                r.intend(attempt, 1, p);
                r.outcome(attempt, 2, CommandOutcome::Opened);
            }),
        ),
        (
            "two outcomes",
            "bundle_contradiction",
            told(|r, p| {
                r.intend(attempt, 1, p);
                r.outcome(attempt, 1, unused);
                r.outcome(attempt, 1, CommandOutcome::Opened);
            }),
        ),
        (
            "two attempts opened",
            "bundle_too_many_uses",
            told(|r, p| {
                r.intend(attempt, 1, p);
                r.outcome(attempt, 1, CommandOutcome::Opened);
                r.intend(other, 1, p);
                r.outcome(other, 1, CommandOutcome::Unknown);
            }),
        ),
        (
            "opened after the delegation's window",
            "delegation_expired",
            told(|r, p| {
                r.at(NOW.plus_seconds(41 * 60)).intend(attempt, 1, p);
                r.outcome(attempt, 1, CommandOutcome::Opened);
            }),
        ),
        (
            "opened for another delivery",
            "bundle_record_mismatch",
            told(|r, p| {
                r.intend(attempt, 1, p);
                let delivery = parcelshelf_core::id::DeliveryId::from_bytes([3; 16]);
                r.chained(Event::Outcome { delivery, attempt, command: 1, outcome: CommandOutcome::Opened });
            }),
        ),
        (
            "a place shown on a proof for opening",
            "proof_wrong_action",
            told(|r, p| {
                r.chained(Event::PlaceDisclosed { delivery: r.delivery, proof: p });
            }),
        ),
    ]
}

/// What is changed, the code that it is refused with, and the change.
type Changed = (&'static str, &'static str, Box<dyn Fn(&mut Bundle)>);

#[test]
fn nothing_can_be_left_out_or_put_in_its_place() {
    for (what, expect, bundle) in changed() {
        assert_eq!(code(&bundle), expect, "{what}");
    }
}

/// A good case of which something was left out or replaced.
pub fn changed() -> Vec<BadBundle> {
    let good = delivered();
    let other = World::new();
    let changed: Vec<Changed> = vec![
        ("a record of the chain", "bundle_chain_broken", Box::new(|b| drop(b.records.remove(8)))),
        ("a record of a key", "bundle_record_missing", Box::new(|b| drop(b.records.remove(1)))),
        ("the last proof", "bundle_record_mismatch", Box::new(|b| drop(b.proofs.pop()))),
        ("one more proof", "bundle_unreferenced", Box::new(|b| b.proofs.push(b.proofs[0].clone()))),
        ("proofs in another order", "bundle_record_mismatch", Box::new(|b| b.proofs.swap(0, 1))),
        ("one more device", "bundle_record_missing", Box::new(|b| carriers(b).devices.extend_from_within(..1))),
        ("another index", "bundle_not_included", Box::new(|b| b.records[0].index += 1)),
        ("a shorter path", "bundle_not_included", Box::new(|b| b.records[0].inclusion.truncate(1))),
        ("an opening less", "bundle_record_missing", Box::new(|b| drop(b.records[0].openings.pop()))),
        (
            "a record not shown",
            "bundle_contradiction",
            Box::new(|b| b.records[8].openings = b.records[8].openings.split_off(6)),
        ),
        ("another checkpoint", "bundle_wrong_checkpoint", Box::new(|b| b.checkpoint.push('x'))),
        (
            "an acceptance by somebody else",
            "accepted_wrong_key",
            Box::new(|b| {
                let mut p = crate::support::parts(&b.accepted, &TestKeyOf::somebody());
                let kid = World::new().message_key.thumb().to_string();
                p.swap_header(&kid, &p.key.thumb().to_string());
                b.accepted = p.signed();
            }),
        ),
        (
            "an acceptance of another leaf",
            "bundle_record_mismatch",
            Box::new(move |b| {
                let mut p = crate::support::parts(&b.accepted, &other.message_key);
                p.set("leaf", &format!("\"{}\"", Hash::from_bytes([1; 32])));
                b.accepted = p.signed();
            }),
        ),
    ];
    let make = |(what, expect, change): Changed| {
        let mut bundle = good.clone();
        change(&mut bundle);
        (what, expect, bundle)
    };
    changed.into_iter().map(make).collect()
}
fn carriers(b: &mut Bundle) -> &mut CarrierEvidence {
    b.carrier.as_mut().unwrap()
}
struct TestKeyOf;
impl TestKeyOf {
    fn somebody() -> crate::support::TestKey {
        crate::support::TestKey::new("somebody")
    }
}

#[test]
fn a_bundle_is_written_in_one_way() {
    let bytes = delivered().encode();
    let text = String::from_utf8(bytes).unwrap();
    for (what, other) in [
        ("white space", text.replacen(',', ", ", 1)),
        ("a line feed at the end", text.clone() + "\n"),
        ("another version", text.replacen("\"v\":1", "\"v\":2", 1)),
        ("a member more", text.replacen("{\"v\":1", "{\"v\":1,\"x\":1", 1)),
        ("an escape that is not needed", text.replacen("gateway.example", "gatewa\\u0079.example", 1)),
        ("an escape in a text that is shown", text.replacen("key_added", "key\\u005fadded", 1)),
        ("a leading zero", text.replacen("\"index\":1,", "\"index\":01,", 1)),
    ] {
        assert_ne!(other, text, "{what}");
        assert_eq!(verify(other.as_bytes(), None).unwrap_err().code(), "bundle_not_canonical", "{what}");
    }
    assert_eq!(verify(&vec![b' '; 200_000], None).unwrap_err().code(), "bundle_too_long");
}

/// Every byte, all eight bits, half of them by both libraries, which give the same code. Spread over the machine's cores, for there are
/// a third of a million of them.
#[test]
fn after_any_change_of_any_bit_it_is_refused() {
    let bytes = delivered().encode();
    assert!(agreed(|| verify(&bytes, None)).is_ok());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let (tried, twice) = std::thread::scope(|scope| {
        let part = |start: usize| {
            let mut bytes = bytes.clone();
            scope.spawn(move || {
                let (mut tried, mut twice) = (0, 0);
                for at in (start..bytes.len()).step_by(threads) {
                    for bit in 0..8 {
                        bytes[at] ^= 1 << bit;
                        // Every other one by both: what does not hold for one library is asked of the second.
                        let both = (at + bit) % 2 == 0;
                        let told = if both { agreed(|| verify(&bytes, None)) } else { verify(&bytes, None) };
                        assert!(told.is_err(), "byte {at}, bit {bit}");
                        bytes[at] ^= 1 << bit;
                        tried += 1;
                        twice += usize::from(both);
                    }
                }
                (tried, twice)
            })
        };
        let running: Vec<_> = (0..threads).map(part).collect();
        running.into_iter().map(|t| t.join().unwrap()).fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    });
    assert_eq!(tried, bytes.len() * 8);
    println!("{tried} changes of {} bytes refused, {twice} of them by both libraries alike", bytes.len());
}
