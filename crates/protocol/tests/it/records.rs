//! What records say to a person, and records that cannot be believed.

use parcelshelf_core::actuation::{AccessClass, LockProof, Refusal};
use parcelshelf_core::id::{AccessPointId, AttemptId, DeliveryId};
use parcelshelf_core::reason::Action;
use parcelshelf_protocol::bundle::{Bundle, Verdict, verify};
use parcelshelf_protocol::encoding::{Hash, Thumbprint, sha256};
use parcelshelf_protocol::records::{CommandOutcome, Event, Word};

use crate::case::{Recorder, Told, code, delivered, opened_once, told};
use crate::support::{TestKey, World};

fn somebody() -> Thumbprint {
    Thumbprint::from_bytes([9; 32])
}
fn word(text: &str) -> Word {
    Word::new(text).unwrap()
}

/// Everything that can happen, and a record of another delivery in between.
fn eventful() -> Bundle {
    told(|r, proof| {
        let (delivery, attempt) = (r.delivery, Recorder::attempt());
        r.chained(Event::ReadyAsked { delivery, slot: word("ten_minutes"), answer: word("later") });
        r.chained(Event::Blocked { scope: word("carrier") });
        r.chained(Event::Unblocked { scope: word("carrier") });
        let theirs = DeliveryId::from_bytes([3; 16]);
        r.add(Event::PlaceDisclosed { delivery: theirs, proof: sha256("another") }, false);
        r.intend(attempt, 1, proof);
        r.outcome(attempt, 1, CommandOutcome::DidNotHappen(Refusal::WindowPassed));
        r.intend(attempt, 2, proof);
        r.outcome(attempt, 2, CommandOutcome::Unknown);
        r.intend(attempt, 3, proof);
        r.chained(Event::Joined { delivery, attempt, proof });
        r.outcome(attempt, 3, CommandOutcome::Opened);
        r.chained(Event::LockIntended { delivery, attempt, command: 1 });
        r.chained(Event::Alarm { delivery, attempt, reason: word("lock_not_seen") });
        r.locked(LockProof::Attested);
        r.chained(Event::AlarmAcknowledged { delivery, attempt });
        r.chained(Event::StaffAccess { what: word("case") });
    })
}

/// From what was recorded first, without the times.
fn story(verdict: &Verdict) -> Vec<String> {
    let lines = verdict.explain();
    let first = lines.iter().position(|l| l.ends_with("the owner's permission was accepted")).unwrap();
    lines[first..].iter().map(|l| l.split_once("Z  ").map_or(l.as_str(), |(_, said)| said).to_owned()).collect()
}

#[test]
fn an_eventful_case_is_told_line_by_line() {
    let mut verdict = verify(&eventful().encode(), None).unwrap();
    assert_eq!((verdict.by.carrier(), verdict.by.merchant()), (Some("Example Parcels"), Some("Bookshop Ågren")));
    let device = World::new().delegation.unwrap().cnf;
    let passed_on = format!("the carrier passed it on to the device {device}");
    let in_a_car = [
        "the owner's permission was accepted",
        &passed_on,
        "the place was shown to the courier",
        "the carrier asked whether the car is ready (ten_minutes): later",
        "the owner blocked: carrier",
        "the owner unblocked: carrier",
        "command 1 to open was about to leave",
        "command 1: did not happen (window_passed)",
        "command 2 to open was about to leave",
        "command 2: nobody can say",
        "command 3 to open was about to leave",
        "asked for once more; no new command",
        "command 3: it was open",
        "command 1 to lock was about to leave",
        "alarm: lock_not_seen",
        "locked again (attested)",
        "the owner saw the alarm",
        "staff looked: case",
        "",
        "opened      once",
        "uncertain   once: it may have opened",
        "locked      attested",
        "withheld    once of other deliveries in between",
        "Nothing is said about what came after the last record.",
    ];
    assert_eq!(story(&verdict), in_a_car);

    // A house is shut; of what is both it is said as of a car.
    verdict.classes.push(AccessClass::Gate);
    assert_eq!(story(&verdict), in_a_car);
    verdict.classes = vec![AccessClass::Door, AccessClass::Gate];
    let at_a_house = in_a_car.map(|line| match line {
        "the carrier asked whether the car is ready (ten_minutes): later" => {
            "the carrier asked whether the door is ready (ten_minutes): later"
        }
        "command 1 to lock was about to leave" => "command 1 to shut was about to leave",
        "locked again (attested)" => "shut again (attested)",
        "locked      attested" => "shut        attested",
        same => same,
    });
    assert_eq!(story(&verdict), at_a_house);
}

/// The description is shown, and the car asked to show itself, on a proof for just that.
#[test]
fn whoever_looks_has_asked_to_look() {
    type Looked = fn(DeliveryId, Hash) -> Event;
    let looks: [(Action, Looked, &str); 2] = [
        (
            Action::Describe,
            |delivery, proof| Event::Described { delivery, proof },
            "plate and description were shown to the courier",
        ),
        (Action::Signal, |delivery, proof| Event::Signalled { delivery, proof }, "the car was asked to show itself"),
    ];
    for (action, looked, said) in looks {
        let (w, told) = (World::new(), Told::new(&World::new(), World::new(), None));
        let mut asking = World::new();
        asking.action = action;
        let on = |proof: String| {
            let mut r = told.recorder(&w);
            r.chained(looked(r.delivery, sha256(&proof)));
            let mut bundle = told.bundle(&w, &r);
            bundle.proofs = vec![told.located.proof.clone(), proof];
            bundle
        };
        let good = on(asking.case().proof);
        assert_eq!(code(&good), "ok", "{said}");
        assert!(story(&verify(&good.encode(), None).unwrap()).contains(&said.to_owned()));
        assert_eq!(code(&on(told.opened.proof.clone())), "proof_wrong_action", "{said}");
    }
}

/// The same messages, and a keyholder that has recorded something else of them.
#[test]
fn a_record_that_names_somebody_else_proves_nothing() {
    let lies: [(&str, &str, fn(&mut Event)); 7] = [
        ("nothing else", "ok", |_| {}),
        ("another carrier", "bundle_record_mismatch", |e| {
            if let Event::CarrierAdmitted { carrier, .. } = e {
                *carrier = somebody();
            }
        }),
        ("another device at the depot", "bundle_record_mismatch", |e| {
            if let Event::DeviceEnrolled { device, .. } = e {
                *device = somebody();
            }
        }),
        ("another passkey", "bundle_record_mismatch", |e| {
            if let Event::PasskeyAdded { key, .. } = e {
                *key = somebody();
            }
        }),
        ("another car", "bundle_record_mismatch", |e| {
            if let Event::GrantAccepted { access_point, .. } = e {
                *access_point = AccessPointId::from_bytes([9; 16]);
            }
        }),
        ("another delivery", "bundle_record_mismatch", |e| {
            if let Event::GrantAccepted { delivery, .. } = e {
                *delivery = DeliveryId::from_bytes([9; 16]);
            }
        }),
        ("another device of the delegation", "bundle_record_mismatch", |e| {
            if let Event::DelegationAccepted { device, .. } = e {
                *device = somebody();
            }
        }),
    ];
    let (w, told) = (World::new(), Told::new(&World::new(), World::new(), None));
    for (what, expected, lie) in lies {
        let mut r = told.recorded(&w, lie);
        opened_once(&mut r, told.proof());
        assert_eq!(code(&told.bundle(&w, &r)), expected, "{what}");
    }
    // Of the owner's permission: signed, or confirmed, is something else.
    let mut confirmed = delivered();
    confirmed.assertion = confirmed.passkeys[0].assertion.clone();
    let mut signed = delivered();
    signed.grant.clone_from(&signed.accepted);
    for bundle in [confirmed, signed] {
        assert_eq!(code(&bundle), "bundle_record_mismatch");
    }
}

/// Whoever starts a wallet confirms that himself. It must not make his passkey one of the owner's.
#[test]
fn a_wallet_is_begun_once() {
    let mut first = World::new();
    first.passkey = TestKey::new("first passkey");
    first.credential_id = b"the first".to_vec();
    let (w, mut told) = (World::new(), Told::new(&World::new(), World::new(), Some(&first)));
    told.passkeys[1] = Told::new(&w, World::new(), None).passkeys.remove(0);
    let mut r = told.recorder(&w);
    opened_once(&mut r, told.proof());
    assert_eq!(code(&told.bundle(&w, &r)), "statement_wrong_type");
}

/// Accepted, and nothing came of it: a bundle that does not tell of the carrier has nobody to let in.
#[test]
fn what_a_carrier_was_granted_is_no_case_of_a_device() {
    let mut bundle = told(|_, _| {});
    bundle.carrier = None;
    bundle.proofs.clear();
    // Of carrier and device, of delegation and place.
    bundle.records.drain(1..3);
    bundle.records.truncate(3);
    assert_eq!(code(&bundle), "delegation_needed");
}

#[test]
fn the_wallet_of_a_bundle_is_the_one_that_the_keyholder_published() {
    let changes: [fn(&mut Bundle); 2] =
        [|b| b.anchors.rp_id = "wallet.example".into(), |b| b.anchors.wallet_origin.push('x')];
    for (n, change) in changes.into_iter().enumerate() {
        let mut bundle = delivered();
        change(&mut bundle);
        assert_eq!(code(&bundle), "bundle_wrong_anchor", "{n}");
    }
}

/// What is said of a lock, an alarm or a second asking is said of an attempt that was made; keys and permission stand before it.
#[test]
fn records_come_in_an_order_that_makes_sense() {
    type Recorded = fn(DeliveryId, AttemptId, Hash) -> Event;
    let of_an_attempt: [Recorded; 4] = [
        |delivery, attempt, _| Event::LockIntended { delivery, attempt, command: 1 },
        |delivery, attempt, _| Event::Alarm { delivery, attempt, reason: word("lock_not_seen") },
        |delivery, attempt, _| Event::AlarmAcknowledged { delivery, attempt },
        |delivery, attempt, proof| Event::Joined { delivery, attempt, proof },
    ];
    let elsewhere: [Recorded; 5] = [
        |_, _, keys| Event::KeyAdded { keys },
        |_, _, cert| Event::CarrierAdmitted { carrier: World::new().root.thumb(), cert },
        |_, _, cert| Event::DeviceEnrolled { device: World::new().root.thumb(), cert, depot_cert: cert },
        |_, _, h| Event::PasskeyAdded { key: World::new().passkey.thumb(), statement: h, assertion: h },
        |delivery, _, h| Event::GrantAccepted {
            grant: h,
            assertion: h,
            delivery,
            access_point: World::new().grant.access_point,
        },
    ];
    let opened_and = |event: Recorded, attempt| {
        told(|r, proof| {
            opened_once(r, proof);
            r.chained(event(r.delivery, attempt, proof));
        })
    };
    for event in of_an_attempt {
        let (good, bad) = (opened_and(event, Recorder::attempt()), opened_and(event, AttemptId::from_bytes([9; 16])));
        assert_eq!((code(&good), code(&bad)), ("ok", "bundle_contradiction"));
    }
    for event in elsewhere {
        assert_eq!(code(&opened_and(event, Recorder::attempt())), "bundle_contradiction");
    }
}

/// Any text between its quotation marks, numbers up to those that every reader of JSON keeps exact.
#[test]
fn a_bundle_is_read_as_it_was_written() {
    for text in ["", "\"", "\\", "a \"b\" \\ c\\\\\" d", "\\\"", "\n\u{1}å", "\\\\"] {
        let mut bundle = delivered();
        bundle.checkpoint = text.into();
        assert_eq!(Bundle::parse_canonical(&bundle.encode()).unwrap(), bundle, "{text:?}");
    }
    for (index, good) in [(0, true), (1 << 53, true), ((1 << 53) + 1, false), (u64::MAX, false)] {
        let mut bundle = delivered();
        bundle.records[0].index = index;
        assert_eq!(Bundle::parse_canonical(&bundle.encode()).is_ok(), good, "{index}");
    }
}
