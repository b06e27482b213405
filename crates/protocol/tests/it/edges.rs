//! What mutants of the code showed: bounds, spellings and paths that no story happened to touch.

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::area::Position;
use parcelshelf_core::id::{DeliveryId, WalletId};
use parcelshelf_core::reason::{Action, Purpose};
use parcelshelf_core::time::Timestamp;
use parcelshelf_protocol::Refused;
use parcelshelf_protocol::bundle::{BUNDLE_MAX, Bundle};
use parcelshelf_protocol::cert::{Cert, Role};
use parcelshelf_protocol::content::{
    Description, ForGuest, GuestName, Occupant, Phone, PhotoKey, Picture, Place, Rule,
};
use parcelshelf_protocol::encoding::{Hash, b64, sha256};
use parcelshelf_protocol::grant::{Grant, GrantClaims, Schedule, Scoped, VerifiedGrant, Weekday};
use parcelshelf_protocol::invite::Invitation;
use parcelshelf_protocol::jws::{
    JWS_MAX, LEEWAY_SECONDS, LogSigningKey, Moment, Sign as _, SignLog as _, SigningKey, VerifyingKey,
};
use parcelshelf_protocol::nonce::{self, Bound, NonceKey};
use parcelshelf_protocol::request::{Direction, Request, RequestClaims, Ticket, VerifiedRequest};
use parcelshelf_protocol::seal::{self, Context, Purpose as Sealed, SealKeyPair};
use parcelshelf_protocol::statement::{self, Covered, STATEMENT_MAX, Said, Statement, ToErase};
use parcelshelf_protocol::verify::{CarrierFacts, ChainFacts, chain};
use parcelshelf_protocol::webauthn::{Assertion, Passkey, RelyingParty};

use crate::case::delivered;
use crate::support::{AUD, NOW, ORIGIN, Parts, RP_ID, Stream, TestKey, World, id, parts, seal_keys, window};

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
    assert_ne!(seal.public(), seal_keys("another").public());
    assert_eq!(format!("{:?}", Invitation::from_secret([7; 16])), "Invitation(<redacted>)");
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

#[test]
fn a_picture_has_a_time_one_of_two_beginnings_and_fits_a_box() {
    let picture = |at: i64, begins: &[u8], length: usize| {
        let mut bytes = [&at.to_be_bytes()[..], begins].concat();
        bytes.resize(8 + length, 7);
        Picture::parse(&bytes)
    };
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
    const JPEG: &[u8] = &[0xff, 0xd8, 0xff];
    let (last, most) = (Timestamp::MAX.unix_millis(), Picture::BYTES_MAX);
    for (at, begins, length) in [(0, JPEG, 3), (last, PNG, 8), (1, PNG, most)] {
        let read = picture(at, begins, length).unwrap();
        assert_eq!((read.at.unix_millis(), read.bytes.len()), (at, length));
    }
    for (at, begins, length) in [
        (-1, JPEG, 9),
        (last + 1, JPEG, 9),
        (1, JPEG, most + 1),
        (1, &JPEG[..2], 2),
        (1, &PNG[..7], 7),
        (1, b"GIF89a", 9),
        (1, b"", 0),
    ] {
        assert!(picture(at, begins, length).is_err(), "{at} {begins:?} {length}");
    }
    assert!(Picture::parse(&[0; 7]).is_err());
    let largest = Picture { at: NOW, bytes: [JPEG, &vec![0; most - 3]].concat() };
    assert_eq!(largest.to_bytes().len(), Sealed::Recording.content_max());
}

/// In one spelling, and read again as it was.
#[test]
fn what_is_sealed_is_read_as_it_was_written() {
    let position = Position::new(59.33, -18.0, 8.5).unwrap();
    let seal = seal_keys("photo").public().clone();
    fn again<T: PartialEq + std::fmt::Debug>(content: T, to: fn(&T) -> Vec<u8>, from: fn(&[u8]) -> Result<T, Refused>) {
        let bytes = to(&content);
        assert_eq!(from(&bytes).as_ref(), Ok(&content), "{}", String::from_utf8_lossy(&bytes));
        assert!(from(&bytes[1..]).is_err());
    }
    let place = Place {
        position,
        taken_at: Some(NOW),
        read_at: NOW,
        colour: None,
        model: Some("V60".into()),
        class: AccessClass::Cabin,
        seal: seal.clone(),
    };
    again(place, Place::to_bytes, Place::parse);
    again(PhotoKey { seal }, PhotoKey::to_bytes, PhotoKey::parse);
    again(Phone { position, nonce: "a-nonce".into() }, Phone::to_bytes, Phone::parse);
    let bytes = b"\xff\xd8\xff and what a camera sees".to_vec();
    again(Picture { at: NOW, bytes }, Picture::to_bytes, Picture::parse);
    again(Occupant { vin: "WBA00000000000000".into() }, Occupant::to_bytes, Occupant::parse);
    again(GuestName { name: "Åke".into() }, GuestName::to_bytes, GuestName::parse);
    again(ForGuest { grant: World::guest().case().grant }, ForGuest::to_bytes, ForGuest::parse);
    again(World::new().rule, Rule::to_bytes, Rule::parse);
    let described = Description {
        plate: "ABC 123".into(),
        colour: "blue".into(),
        model: "V60".into(),
        opens_how: "hand under the handle".into(),
        notes: String::new(),
        records_video: true,
    };
    again(described, Description::to_bytes, Description::parse);

    // Whole degrees are a position; words are none.
    let said = |lat: &str| format!("{{\"lat\":{lat},\"lng\":18,\"accuracy_m\":5,\"nonce\":\"n\"}}");
    assert_eq!(Phone::parse(said("59").as_bytes()).unwrap().position, Position::new(59.0, 18.0, 5.0).unwrap());
    assert!(Phone::parse(said("\"59\"").as_bytes()).is_err());

    // A rule is under a commitment: it has no other spelling, and no place.
    let rule = String::from_utf8(World::new().rule.to_bytes()).unwrap();
    for other in
        [rule.replacen(':', ": ", 1), rule.replacen("null", "\"boot\"", 1), rule.replacen(",\"place\":null", "", 1)]
    {
        assert_eq!(Rule::parse(other.as_bytes()).map_err(Refused::code), Err("content_wrong_member"), "{other}");
    }
}

/// What a grant's claims are refused with when they are signed.
fn granted(change: impl Fn(&mut GrantClaims)) -> &'static str {
    let w = World::new();
    let mut claims = w.grant.clone();
    change(&mut claims);
    Grant::sign(&claims, &w.grant_key).map_or_else(Refused::code, |_| "ok")
}
fn by_rule(merchants: &[&str], zone: &str) -> Scoped {
    let schedule = Schedule { zone: zone.into(), days: vec![Weekday::Monday], from_minute: 480, to_minute: 1_080 };
    Scoped::Standing { merchants: merchants.iter().map(|m| (*m).to_owned()).collect(), schedule }
}

/// A carrier's rule names merchants, a guest's names none, and a rehearsal has no rule.
#[test]
fn a_rule_is_for_merchants_or_for_a_guest() {
    for (purpose, merchants, good) in [
        (Purpose::Delivery, &["bookshop"][..], true),
        (Purpose::Delivery, &[], false),
        (Purpose::Guest, &[], true),
        (Purpose::Guest, &["bookshop"], false),
        (Purpose::Rehearsal, &[], false),
        (Purpose::Rehearsal, &["bookshop"], false),
    ] {
        let code = granted(|g| {
            (g.purpose, g.request, g.window) = (purpose, None, window(0, 10));
            g.scoped = by_rule(merchants, "Europe/Stockholm");
        });
        assert_eq!(code, if good { "ok" } else { "grant_wrong_member" }, "{purpose} for {merchants:?}");
    }
}

#[test]
fn a_zone_is_named_and_what_opens_is_named_once() {
    let long = "a".repeat(65);
    for (zone, good) in [
        ("Europe/Stockholm", true),
        ("America/Port-au-Prince", true),
        ("America/New_York", true),
        ("Etc/GMT+1", true),
        (&long[..64], true),
        (&long, false),
        ("", false),
        ("../zone", false),
        ("Europe/New York", false),
        ("Europe/Z\u{fc}rich", false),
    ] {
        let code = granted(|g| (g.request, g.scoped) = (None, by_rule(&["bookshop"], zone)));
        assert_eq!(code, if good { "ok" } else { "grant_wrong_member" }, "{zone:?}");
    }
    let (trunk, cabin) = (AccessClass::SeparateTrunk, AccessClass::Cabin);
    for (opens, good) in [(vec![trunk, cabin], true), (vec![cabin, trunk], false), (vec![cabin, cabin], false)] {
        let code = granted(|g| g.opens.clone_from(&opens));
        assert_eq!(code, if good { "ok" } else { "grant_wrong_member" }, "{opens:?}");
    }
}

/// Signed for one delivery, or in advance: what was asked for and no other purpose, inside the hours of both.
#[test]
fn a_grant_fits_what_was_asked_for() {
    type Fits = fn(&VerifiedGrant, &VerifiedRequest) -> Result<(), Refused>;
    let w = World::new();
    let confirmed = |g: &GrantClaims| {
        let signed = Grant::sign(g, &w.grant_key).unwrap();
        let passkey = Passkey { credential_id: w.credential_id.clone(), key: w.passkey.verifying_key().clone() };
        let rp = RelyingParty { rp_id: RP_ID.into(), origins: vec![ORIGIN.into()] };
        let assertion = w.assertion(&signed.challenge(), &|_, _| {});
        signed.confirm(&assertion, &[passkey], &rp, AUD, Moment::Any).unwrap()
    };
    let mut answer = w.grant.clone();
    answer.request = Some(Request::sign(&w.request, &w.delegation_key).unwrap().hash());
    let mut rule = w.grant.clone();
    (rule.request, rule.scoped) = (None, by_rule(&["bookshop"], "Europe/Stockholm"));
    let both: [(GrantClaims, Fits); 2] =
        [(answer, |grant, request| grant.check_answers(request)), (rule, |grant, request| grant.check_covers(request))];
    for (claims, fits) in both {
        let request = Request::sign(&w.request, &w.delegation_key).unwrap();
        let code = |change: fn(&mut GrantClaims)| {
            let mut claims = claims.clone();
            change(&mut claims);
            fits(&confirmed(&claims), &request).map_or_else(Refused::code, |()| "ok")
        };
        assert_eq!(code(|_| {}), "ok");
        assert_eq!(code(|g| g.purpose = Purpose::Pickup), "grant_widens_request");
        assert_eq!(code(|g| g.cnf = TestKey::new("another carrier").thumb()), "grant_wrong_carrier");
        // An answer must not be for longer than was asked, a rule not for less.
        let (longer, shorter) = (code(|g| g.window = window(-60, 181)), code(|g| g.window = window(-60, 179)));
        let wrong = if claims.request.is_some() { longer } else { shorter };
        assert_eq!((wrong, [longer, shorter].contains(&"ok")), ("grant_widens_request", true));
    }
}

/// One parcel comes and another goes; the order's last digits are digits.
#[test]
fn a_request_is_read_as_it_was_written() {
    let w = World::new();
    let signed = |change: &dyn Fn(&mut RequestClaims)| {
        let mut claims = w.request.clone();
        change(&mut claims);
        Request::sign(&claims, &w.delegation_key).map(|r| (r.claims().clone(), claims))
    };
    let (read, written) = signed(&|r| r.items[1].direction = Direction::Take).unwrap();
    assert_eq!(read, written);
    for (digits, good) in [
        ("4711", true),
        ("0", true),
        ("000123", true),
        ("", false),
        ("1234567", false),
        ("47a1", false),
        ("47 1", false),
    ] {
        let code = signed(&|r| r.order_digits = digits.into()).map_or_else(Refused::code, |_| "ok");
        assert_eq!(code, if good { "ok" } else { "request_wrong_member" }, "{digits:?}");
    }
}

#[test]
fn the_parts_of_a_context_have_at_most_256_letters() {
    let keys = seal_keys("courier device seal");
    let long = "a".repeat(257);
    for (part, code) in [("a", "ok"), (&long[..256], "ok"), (&long, "box_malformed"), ("\u{e4}", "box_malformed")] {
        let contexts = [(part, "r", "d"), ("s", part, "d"), ("s", "r", part)];
        for (sender, recipient, delivery) in contexts {
            let context = Context { sender, recipient, delivery, seq: 0 };
            let sealed = seal::seal(&Stream::new("box"), keys.public(), Sealed::Phone, &context, b"here");
            let opened = sealed.and_then(|sealed| seal::open(&keys, Sealed::Phone, &context, &sealed));
            assert_eq!(opened.map_or_else(Refused::code, |_| "ok"), code, "{part:?}");
        }
    }
}

/// Whoever says it is named in it, and says it now; a new wallet has no name yet.
#[test]
fn a_statement_holds_for_its_wallet_and_for_five_minutes() {
    let w = World::new();
    let key = NonceKey::from_bytes([1; 32]);
    let (wallet, delivery) = (WalletId::from_bytes(id("wallet")), DeliveryId::from_bytes(id("delivery")));
    let vehicle = w.rule.vehicles[0];
    let passkey = Passkey { credential_id: w.credential_id.clone(), key: w.passkey.verifying_key().clone() };
    let rp = RelyingParty { rp_id: RP_ID.into(), origins: vec![ORIGIN.into()] };
    let consents = |lid_and_lock_untold| Said::Consents {
        wallet,
        vehicle,
        nobody_inside: true,
        parked_inferred: false,
        tailgate_with_cabin: true,
        lid_and_lock_untold,
    };
    let (new, by_the_wallet) = (
        Said::Wallet { account_key: w.grant_seal.public().clone(), passkey: passkey.clone() },
        [
            Said::Link { wallet, maker: "volvo".into() },
            consents(true),
            consents(false),
            Said::Passkey { wallet, passkey: passkey.clone() },
            Said::ConfirmLink { wallet, vehicle, link: "link".into() },
            Said::Unblock { wallet, covered: Covered::All },
            Said::Erase { wallet, erased: ToErase::Wallet },
            Said::Erase { wallet, erased: ToErase::Delivery(delivery) },
            Said::LiftHold { wallet, delivery },
            Said::Pause { wallet, until: Some(NOW) },
            Said::Pause { wallet, until: None },
        ],
    );
    for (said, by) in [(new, None)].into_iter().chain(by_the_wallet.map(|said| (said, Some(wallet)))) {
        let nonce = nonce::issue_challenge(&key, NOW, &Stream::new("challenge"));
        let bytes = Statement { aud: AUD.into(), nonce, said: said.clone() }.to_bytes();
        let assertion = w.assertion(&statement::challenge(&bytes), &|_, _| {});
        assert_eq!(assertion.credential_id(), w.credential_id);
        let verified = Statement::verify(&bytes, &assertion, std::slice::from_ref(&passkey), &rp, AUD).unwrap();
        assert_eq!((verified.said(), verified.said().wallet(), verified.bytes()), (&said, by, &bytes[..]));
        assert_eq!(verified.confirmed_by(), &passkey);
        assert_eq!(verified.fresh(&key, NOW.plus_seconds(299)), Ok(()));
        let (late, elsewhere) = (NOW.plus_seconds(300), NonceKey::from_bytes([2; 32]));
        assert_eq!(verified.fresh(&key, late).map_err(Refused::code), Err("nonce_expired"));
        assert_eq!(verified.fresh(&elsewhere, NOW).map_err(Refused::code), Err("nonce_foreign"));
    }
    // A consent that is not given is not said.
    let given = String::from_utf8(Statement { aud: AUD.into(), nonce: "n".into(), said: consents(true) }.to_bytes());
    let not_given = given.unwrap().replacen("\"lid_and_lock_untold\":true", "\"lid_and_lock_untold\":false", 1);
    assert_eq!(Statement::parse(not_given.as_bytes()).map_err(Refused::code), Err("statement_wrong_member"));
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
