//! What mutants of the code showed: bounds, spellings and paths that no story happened to touch.

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::area::Position;
use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::reason::Action;
use parcelshelf_protocol::Refused;
use parcelshelf_protocol::bundle::{BUNDLE_MAX, Bundle};
use parcelshelf_protocol::cert::{Cert, Role};
use parcelshelf_protocol::content::Place;
use parcelshelf_protocol::encoding::{Hash, b64, sha256};
use parcelshelf_protocol::grant::{Grant, Schedule, Scoped, Weekday};
use parcelshelf_protocol::jws::{
    JWS_MAX, LEEWAY_SECONDS, LogSigningKey, Moment, Sign as _, SignLog as _, SigningKey, VerifyingKey,
};
use parcelshelf_protocol::nonce::{self, Bound, NonceKey};
use parcelshelf_protocol::request::{Request, Ticket};
use parcelshelf_protocol::seal::{self, Context, Purpose as Sealed, SealKeyPair};
use parcelshelf_protocol::statement::{Covered, STATEMENT_MAX, Statement};
use parcelshelf_protocol::verify::{CarrierFacts, ChainFacts, chain};
use parcelshelf_protocol::webauthn::Assertion;

use crate::case::delivered;
use crate::support::{AUD, NOW, Parts, Stream, TestKey, World, parts, seal_keys, window};

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

#[test]
fn a_challenge_is_fresh_for_five_minutes_and_only_for_who_made_it() {
    let key = NonceKey::from_bytes([1; 32]);
    let challenge = nonce::issue_challenge(&key, NOW, &Stream::new("challenge"));
    let asked = |key: &NonceKey, ms: i64| {
        nonce::check_challenge(key, &challenge, NOW.plus_millis(ms)).map_or_else(Refused::code, |_| "ok")
    };
    for (ms, code) in [(-1, "nonce_expired"), (0, "ok"), (299_999, "ok"), (300_000, "nonce_expired")] {
        assert_eq!(asked(&key, ms), code, "{ms} ms");
    }
    assert_eq!(asked(&NonceKey::from_bytes([2; 32]), 0), "nonce_foreign");
    // It is no permission of a device's, and each is another.
    let device = World::new().grant.cnf;
    let bound = Bound { device, ath: sha256("link"), act: Action::Open };
    assert_eq!(nonce::check(&key, &challenge, &bound, NOW).unwrap_err().code(), "nonce_foreign");
    assert_ne!(nonce::issue_challenge(&key, NOW, &Stream::new("another")), challenge);
}

/// A window begins with its first second and ends before its last one; a clock may be a minute ahead of ours.
#[test]
fn a_window_holds_from_its_beginning_until_its_end() {
    let w = World::new();
    let mut claims = w.carrier_cert.clone();
    (claims.iat, claims.window) = (NOW, window(0, 10));
    let cert = Cert::sign(&claims, &w.operator).unwrap();
    let code = |moment| cert.check(moment).map_or_else(Refused::code, |()| "ok");
    let (early, end) = (NOW.plus_seconds(-LEEWAY_SECONDS), window(0, 10).end());
    for (now, used, posted) in [
        (early.plus_millis(-1), "cert_not_yet", "cert_not_yet"),
        (early, "cert_not_yet", "ok"),
        (NOW.plus_millis(-1), "cert_not_yet", "ok"),
        (NOW, "ok", "ok"),
        (end.plus_millis(-1), "ok", "ok"),
        (end, "cert_expired", "cert_expired"),
    ] {
        assert_eq!(
            (code(Moment::Used(now)), code(Moment::Posted(now)), code(Moment::Any)),
            (used, posted, "ok"),
            "{now}"
        );
    }
}

/// A message of the longest length is read, and refused for what it is; a longer one is not read at all.
#[test]
fn every_message_has_its_longest_length() {
    type Read = fn(&[u8]) -> &'static str;
    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }
    let kinds: [(&str, usize, Read); 6] = [
        ("ticket_too_long", Ticket::MAX, |b| Ticket::split(text(b)).map_or_else(Refused::code, |_| "ok")),
        ("statement_too_long", STATEMENT_MAX, |b| Statement::parse(b).map_or_else(Refused::code, |_| "ok")),
        ("cert_too_long", JWS_MAX, |b| Cert::peek_issuer(text(b)).map_or_else(Refused::code, |_| "ok")),
        ("grant_too_long", JWS_MAX, |b| Grant::verify(text(b)).map_or_else(Refused::code, |_| "ok")),
        ("assertion_too_long", 8_192, |b| Assertion::parse(b).map_or_else(Refused::code, |_| "ok")),
        ("bundle_too_long", BUNDLE_MAX, |b| Bundle::parse_canonical(b).map_or_else(Refused::code, |_| "ok")),
    ];
    for (code, most, read) in kinds {
        assert_ne!(read(&vec![b'a'; most]), code);
        for more in 1..3 {
            assert_eq!(read(&vec![b'a'; most + more]), code, "{more} more than {most}");
        }
    }
    let jwk = World::new().operator.verifying_key().to_jwk();
    for (length, good) in [(jwk.len(), true), (256, true), (257, false), (258, false)] {
        let padded = format!("{jwk}{}", " ".repeat(length - jwk.len()));
        assert_eq!(VerifyingKey::parse_jwk(padded.as_bytes()).is_ok(), good, "{length}");
    }
}

#[test]
fn a_box_says_its_version_and_holds_something() {
    let keys = seal_keys("courier device seal");
    let context = Context { sender: AUD, recipient: "r", delivery: "d", seq: 0 };
    let sealed = seal::seal(&Stream::new("box"), keys.public(), Sealed::Place, &context, b"here").unwrap();
    let code = |sealed: &[u8]| seal::open(&keys, Sealed::Place, &context, sealed).map_or_else(Refused::code, |_| "ok");
    assert_eq!(code(&sealed), "ok");
    let other = [&[sealed[0] + 1], &sealed[1..]].concat();
    // One byte less or more, nothing between key and tag, a unit too many.
    let (short, long) = (&sealed[..sealed.len() - 1], [&sealed[..], &[0]].concat());
    let (empty, two) = (&sealed[..1 + 1_120 + 16], [&sealed[..], &[0; 4_096]].concat());
    for malformed in [&other[..], short, &long, empty, &two, &sealed[..9], &[]] {
        assert_eq!(code(malformed), "box_malformed", "{} bytes", malformed.len());
    }
}

#[test]
fn what_an_owner_lets_open_again_is_named_in_one_way() {
    let name = World::new().grant.cnf;
    for covered in [
        Covered::Delivery(DeliveryId::from_bytes([5; 16])),
        Covered::Carrier(name),
        Covered::Courier(name),
        Covered::All,
    ] {
        assert_eq!(Covered::parse(covered.code(), covered.id().as_deref()), Some(covered));
        // With an id where none belongs, or without one where it does.
        let other = if covered.id().is_some() { None } else { Some("BQUFBQUFBQUFBQUFBQUFBQ") };
        assert_eq!(Covered::parse(covered.code(), other), None, "{covered:?}");
    }
    assert_eq!(Covered::parse("everybody", None), None);
}

#[test]
fn an_items_currency_has_three_capital_letters() {
    let w = World::new();
    for (text, good) in [("EUR", true), ("SEK", true), ("EU", false), ("EURO", false), ("eur", false), ("E1R", false)] {
        let ask = |name: &str, p: &mut Parts| {
            if name == "request" {
                p.swap("\"EUR\"", &format!("\"{text}\""))
            }
        };
        let signed = ask_request(&w, &ask);
        let cert = Cert::verify(&w.cert("delegation_cert"), w.root.verifying_key(), Role::Delegation, AUD, Moment::Any);
        let code = Request::verify(&signed, &cert.unwrap(), AUD, Moment::Any).map_or_else(Refused::code, |_| "ok");
        assert_eq!(code, if good { "ok" } else { "request_wrong_member" }, "{text}");
    }
}
fn ask_request(w: &World, edit: &dyn Fn(&str, &mut Parts)) -> String {
    let mut p = parts(&w.signed_request(), &w.delegation_key);
    edit("request", &mut p);
    p.signed()
}

/// A key in a message of an error or a panic is a key in somebody's log.
#[test]
fn keys_print_their_names_and_bundles_their_size() {
    let seed = [7; 32];
    let key = SigningKey::from_scalar(&seed).unwrap();
    let public = key.verifying_key();
    assert_eq!(format!("{key:?} {public:?}"), format!("SigningKey({0}) VerifyingKey({0})", public.thumb()));
    let log = LogSigningKey::from_seed(&seed).unwrap();
    assert_eq!(format!("{log:?}"), format!("LogSigningKey({})", b64(log.public_key())));
    assert_eq!(format!("{:?}", NonceKey::from_bytes(seed)), "NonceKey(<redacted>)");
    let seal = SealKeyPair::from_seed(&seed).unwrap();
    let name = seal.public().hash();
    assert_eq!(format!("{seal:?} {:?}", seal.public()), format!("SealKeyPair({name}) SealPublicKey({name})"));
    let bundle = delivered();
    assert_eq!(format!("{bundle:?}"), format!("Bundle({} records, <redacted>)", bundle.records.len()));
    assert_eq!(Refused::PathBroken.to_string(), Refused::PathBroken.code());
}

/// A language is a tag of letters, digits and hyphens; words about a car are short, plain and there.
#[test]
fn a_grants_language_and_the_words_about_a_car_have_a_form() {
    let w = World::new();
    let code = |lang: &str| {
        let ask = |name: &str, p: &mut Parts| {
            if name == "grant" {
                p.swap("\"lang\":\"en\"", &format!("\"lang\":\"{lang}\""))
            }
        };
        w.case_with(&ask).code()
    };
    let long = "a".repeat(36);
    for (lang, good) in [
        ("en", true),
        ("de-CH", true),
        ("zh-Hant-TW", true),
        ("", false),
        ("en_GB", false),
        ("en GB", false),
        (&long, false),
    ] {
        assert_eq!(code(lang), if good { "ok" } else { "grant_wrong_member" }, "{lang:?}");
    }
}

#[test]
fn a_cars_colour_is_a_short_plain_word_or_not_said() {
    let place = Place {
        position: Position::new(59.33, 18.07, 8.0).unwrap(),
        taken_at: None,
        read_at: NOW,
        colour: Some("blue".into()),
        model: None,
        class: AccessClass::SeparateTrunk,
        seal: seal_keys("photo").public().clone(),
    };
    let text = String::from_utf8(place.to_bytes()).unwrap();
    let (longest, long) = ("b".repeat(64), "b".repeat(65));
    for (colour, good) in
        [("blue", true), ("dark blue", true), (&longest, true), (&long, false), ("", false), ("\u{202e}eulb", false)]
    {
        let said = text.replacen("\"blue\"", &format!("\"{colour}\""), 1);
        assert_eq!(Place::parse(said.as_bytes()).is_ok(), good, "{colour:?}");
    }
}

/// What a courier scans is on the list of what goes in or of what comes out, and something was scanned.
#[test]
fn only_labels_of_the_list_are_scanned() {
    let w = World::new();
    let mut d = w.delegation.clone().unwrap();
    let [put, take, other] = [1, 2, 3].map(|n| Hash::from_bytes([n; 32]));
    (d.put, d.take) = (vec![put], vec![take]);
    for labels in [vec![put], vec![take], vec![put, take], vec![put, put]] {
        assert_eq!(d.check_scanned(&labels), Ok(()));
    }
    for labels in [vec![], vec![other], vec![put, other], vec![other, take]] {
        assert_eq!(d.check_scanned(&labels), Err(Refused::LabelNotListed));
    }
}
