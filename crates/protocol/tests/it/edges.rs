//! What mutants of the code showed: bounds, spellings and paths that no story happened to touch.

use parcelshelf_protocol::Refused;
use parcelshelf_protocol::cert::{Cert, Role};
use parcelshelf_protocol::grant::{Schedule, Scoped, Weekday};
use parcelshelf_protocol::jws::{LogSigningKey, Moment, Sign as _, SignLog as _, SigningKey};
use parcelshelf_protocol::nonce::NonceKey;
use parcelshelf_protocol::seal::SealKeyPair;
use parcelshelf_protocol::verify::{CarrierFacts, ChainFacts, chain};

use crate::case::delivered;
use crate::support::{AUD, TestKey, World, window};

/// Each certificate holds by itself; beside one of another carrier it is a path of nobody.
#[test]
fn certificates_of_two_carriers_make_no_path() {
    let ours = World::new();
    let mut theirs = World::new();
    (theirs.root, theirs.depot) = (TestKey::new("another root"), TestKey::new("another depot"));
    theirs.carrier_cert.key = theirs.root.verifying_key().clone();
    theirs.delegation_cert.issuer = theirs.root.thumb();
    theirs.depot_cert.issuer = theirs.root.thumb();
    theirs.depot_cert.key = theirs.depot.verifying_key().clone();
    theirs.device_cert.issuer = theirs.depot.thumb();
    let cert = |name: &str, issuer: &TestKey, role| {
        Cert::verify(&theirs.cert(name), issuer.verifying_key(), role, AUD, Moment::Any).unwrap()
    };
    let carrier = cert("carrier_cert", &theirs.operator, Role::Carrier);
    let delegation = cert("delegation_cert", &theirs.root, Role::Delegation);
    let depot = cert("depot_cert", &theirs.root, Role::Depot);
    let device = cert("device_cert", &theirs.depot, Role::Device);
    let codes = ours.case().with_facts(|input, facts, moment| {
        let own = facts.carrier.unwrap();
        // Only the path tells the second from the first: its certificate is of the same role, and in time.
        let mixed = [
            own,
            CarrierFacts { carrier: &carrier, ..own },
            CarrierFacts { delegation: &delegation, ..own },
            CarrierFacts { depot: &depot, ..own },
            CarrierFacts { device: &device, ..own },
        ];
        let asked = |carrier| chain(input, &ChainFacts { carrier: Some(carrier), ..*facts }, moment);
        Ok(mixed.map(|carrier| asked(carrier).map_or_else(Refused::code, |_| "ok")))
    });
    assert_eq!(codes, Ok(["ok", "path_broken", "path_broken", "path_broken", "path_broken"]));
}

/// `HH:MM` within a day, the later after the earlier; merchants and days in order, each once.
#[test]
fn a_rules_hours_have_one_spelling() {
    let mut w = World::new();
    w.grant.request = None;
    w.grant.window = window(-1_440, 80 * 1_440);
    let days = vec![Weekday::Monday, Weekday::Tuesday];
    let schedule = Schedule { zone: "Europe/Stockholm".into(), days, from_minute: 480, to_minute: 1_080 };
    w.grant.scoped = Scoped::Standing { merchants: vec!["bookshop".into(), "shoeshop".into()], schedule };
    let code = |from: &str, to: &str| {
        w.case_with(&|name, p| {
            if name == "grant" {
                p.swap(from, to)
            }
        })
        .code()
    };
    for (from, to, good) in [
        ("08:00", "18:00", true),
        ("00:00", "24:00", true),
        ("00:01", "10:59", true),
        ("23:59", "24:00", true),
        ("07:05", "07:06", true),
        ("08:00", "08:00", false),
        ("08:01", "08:00", false),
        ("08:60", "18:00", false),
        ("08:00", "24:01", false),
        ("08:00", "25:00", false),
        ("8:00", "18:00", false),
        ("008:00", "18:00", false),
        ("+8:00", "18:00", false),
        ("08:0a", "18:00", false),
        ("0800", "18:00", false),
    ] {
        let written = format!("\"from\":\"{from}\",\"to\":\"{to}\"");
        let expected = if good { "ok" } else { "grant_wrong_member" };
        assert_eq!(code("\"from\":\"08:00\",\"to\":\"18:00\"", &written), expected, "{from} to {to}");
    }
    for (from, to) in [
        ("\"mon\",\"tue\"", "\"tue\",\"mon\""),
        ("\"mon\",\"tue\"", "\"mon\",\"mon\""),
        ("\"bookshop\",\"shoeshop\"", "\"shoeshop\",\"bookshop\""),
        ("\"bookshop\",\"shoeshop\"", "\"bookshop\",\"bookshop\""),
    ] {
        assert_eq!(code(from, to), "grant_wrong_member", "{to}");
    }
    assert_eq!(Weekday::ALL.map(Weekday::iso), [1, 2, 3, 4, 5, 6, 7]);
}

/// A key in a message of an error or a panic is a key in somebody's log.
#[test]
fn keys_print_their_names_and_bundles_their_size() {
    let seed = [7; 32];
    let key = SigningKey::from_scalar(&seed).unwrap();
    let public = key.verifying_key();
    assert_eq!(format!("{key:?} {public:?}"), format!("SigningKey({0}) VerifyingKey({0})", public.thumb()));
    let log = LogSigningKey::from_seed(&seed).unwrap();
    assert_eq!(format!("{log:?}"), format!("LogSigningKey({})", parcelshelf_protocol::encoding::b64(log.public_key())));
    assert_eq!(format!("{:?}", NonceKey::from_bytes(seed)), "NonceKey(<redacted>)");
    let seal = SealKeyPair::from_seed(&seed).unwrap();
    let name = seal.public().hash();
    assert_eq!(format!("{seal:?} {:?}", seal.public()), format!("SealKeyPair({name}) SealPublicKey({name})"));
    let bundle = delivered();
    assert_eq!(format!("{bundle:?}"), format!("Bundle({} records, <redacted>)", bundle.records.len()));
    assert_eq!(Refused::PathBroken.to_string(), Refused::PathBroken.code());
}
