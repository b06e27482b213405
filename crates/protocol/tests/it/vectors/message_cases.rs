//! Messages outside the chain, each verified alone.

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::area::Position;
use parcelshelf_core::id::{DeliveryId, VehicleId, WalletId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_log::note::LogVerifier;
use parcelshelf_protocol::Refused;
use parcelshelf_protocol::accepted::{Accepted, AcceptedClaims};
use parcelshelf_protocol::call::Call;
use parcelshelf_protocol::cert::{Cert, Role};
use parcelshelf_protocol::content::Place;
use parcelshelf_protocol::encoding::{Thumbprint, TokenId, b64, from_b64};
use parcelshelf_protocol::envelope::Envelope;
use parcelshelf_protocol::jws::{LogSigningKey, Moment, Sign as _, SignLog as _, VerifyingKey};
use parcelshelf_protocol::keys::{Keys, KeysClaims};
use parcelshelf_protocol::proof::HttpRequest;
use parcelshelf_protocol::request::Ticket;
use parcelshelf_protocol::seal::{Context, Purpose, SealKeyPair};
use parcelshelf_protocol::statement::{self, Covered, Said, Statement, ToErase};
use parcelshelf_protocol::webauthn::{Assertion, Passkey, RelyingParty};
use serde_json::{Value, json};

use crate::support::{AUD, NOW, ORIGIN, Parts, RP_ID, Stream, TestKey, World, id, parts, published};

pub const ABOUT: &str = "Each case names the kind of message and everything that its check needs; `now_ms` is the moment, \
                         absent where windows do not matter. `expect` is the code, or ok.";

const CALL_URL: &str = "https://gateway.example/v1/delegations";

pub fn all() -> Vec<Value> {
    let mut cases = Vec::new();
    tickets(&mut cases);
    keys(&mut cases);
    accepted(&mut cases);
    calls(&mut cases);
    statements(&mut cases);
    envelopes(&mut cases);
    cases
}

fn push(cases: &mut Vec<Value>, kind: &str, name: &str, expect: &str, input: Value) {
    cases.push(json!({"kind": kind, "name": format!("{kind}_{name}"), "input": input, "expect": expect}));
}
/// Signs `jws` again after a change.
fn again(jws: &str, key: &TestKey, edit: fn(&mut Parts)) -> String {
    let mut p = parts(jws, key);
    edit(&mut p);
    p.signed()
}

fn tickets(cases: &mut Vec<Value>) {
    let w = World::new();
    let c = w.case();
    let request = w.signed_request();
    let input = |request: &str, now: i64| {
        let ticket = Ticket::join(request, &c.delegation_cert, &c.carrier_cert);
        json!({"ticket": ticket, "operator": c.operator, "aud": AUD, "now_ms": now})
    };
    let now = NOW.unix_millis();
    push(cases, "ticket", "good", "ok", input(&request, now));
    push(cases, "ticket", "answered_too_late", "request_expired", input(&request, now + 86_400_000));
    let two = json!({"ticket": format!("{request}~{}", c.delegation_cert), "operator": c.operator, "aud": AUD, "now_ms": now});
    push(cases, "ticket", "two_parts", "ticket_not_compact", two);
    let edits: [(&str, &str, fn(&mut Parts)); 9] = [
        ("other_keyholder", "request_wrong_audience", |p| p.set("aud", "\"https://other.example\"")),
        ("other_carrier", "request_wrong_issuer", |p| p.set("iss", &format!("\"{}\"", b64([1; 32])))),
        ("turned_name", "request_wrong_member", |p| p.swap("Bookshop", "\u{202e}pohskooB")),
        ("float_size", "request_not_an_integer", |p| p.swap("[400,", "[400.5,")),
        ("negative_weight", "request_wrong_member", |p| p.swap("\"weight_g\":2500", "\"weight_g\":-1")),
        ("two_sizes", "request_wrong_member", |p| p.swap("[400,300,200]", "[400,300]")),
        ("unknown_in_item", "request_unknown_member", |p| p.swap("\"weight_g\"", "\"x\":0,\"weight_g\"")),
        ("no_items", "request_wrong_member", |p| p.set("items", "[]")),
        ("signed_by_root", "request_bad_signature", |p| p.key = TestKey::new("carrier root")),
    ];
    for (name, expect, edit) in edits {
        push(cases, "ticket", name, expect, input(&again(&request, &w.delegation_key, edit), now));
    }
}

pub fn log_line() -> String {
    line_of(World::new().log.public_key())
}

fn line_of(key: [u8; 32]) -> String {
    LogVerifier::new("gateway.example/log", key).unwrap().line()
}

fn keys(cases: &mut Vec<Value>) {
    let w = World::new();
    let claims = KeysClaims {
        iss: AUD.into(),
        iat: NOW.plus_seconds(-60),
        exp: NOW.plus_seconds(86_400 * 100),
        message: w.message_key.verifying_key().clone(),
        seal: w.keyholder_seal.public().clone(),
        log: log_line(),
        rp_id: RP_ID.into(),
        wallet_origin: ORIGIN.into(),
    };
    let good = Keys::sign(&claims, &w.log).unwrap().jws().to_owned();
    let input = |jws: &str| json!({"jws": jws, "log": log_line(), "iss": AUD, "now_ms": NOW.unix_millis()});
    push(cases, "keys", "good", "ok", input(&good));
    let changed = |from: &str, to: &str| {
        let mut p = parts(&good, &w.message_key);
        p.swap(from, to);
        let signed = format!("{}.{}", b64(&p.header), b64(&p.payload));
        format!("{signed}.{}", b64(w.log.sign(signed.as_bytes()).unwrap()))
    };
    push(cases, "keys", "other_keyholder", "keys_wrong_issuer", input(&changed(AUD, "https://other.example")));
    push(cases, "keys", "old", "keys_expired", {
        let mut i = input(&good);
        i["now_ms"] = (NOW.unix_millis() + 86_400_000 * 101).into();
        i
    });
    push(cases, "keys", "other_log", "keys_bad_signature", {
        let mut i = input(&good);
        i["log"] = line_of(LogSigningKey::from_seed(&[7; 32]).unwrap().public_key()).into();
        i
    });
    push(cases, "keys", "es256", "keys_wrong_algorithm", {
        let mut p = parts(&good, &w.message_key);
        p.swap_header("EdDSA", "ES256");
        input(&p.signed())
    });
    push(cases, "keys", "tampered", "keys_bad_signature", {
        let mut p = parts(&good, &w.message_key);
        p.swap(RP_ID, "evil.example");
        let tail = good.rsplit('.').next().unwrap();
        input(&format!("{}.{}.{tail}", b64(&p.header), b64(&p.payload)))
    });
}

fn accepted(cases: &mut Vec<Value>) {
    let w = World::new();
    let chain = w.case().verify().unwrap();
    let delivery = chain.delivery().unwrap();
    let claims = AcceptedClaims::answer(chain.grant(), delivery, *chain.scope().window, vec![3; 32], NOW);
    let good = Accepted::sign(&claims, &w.message_key).unwrap().jws().to_owned();
    let input = |jws: &str| {
        json!({"jws": jws, "message_key": w.message_key.verifying_key().to_jwk(), "iss": AUD,
               "carrier": w.root.thumb().to_string(), "now_ms": NOW.unix_millis()})
    };
    push(cases, "accepted", "good", "ok", input(&good));
    let edits: [(&str, &str, fn(&mut Parts)); 6] = [
        ("other_carrier", "accepted_wrong_audience", |p| p.set("aud", &format!("\"{}\"", b64([1; 32])))),
        ("other_cnf", "accepted_wrong_subject", |p| p.set("cnf", &format!("{{\"jkt\":\"{}\"}}", b64([1; 32])))),
        ("other_keyholder", "accepted_wrong_issuer", |p| p.set("iss", "\"https://other.example\"")),
        ("by_front", "accepted_bad_signature", |p| p.key = TestKey::new("front")),
        ("twice", "accepted_wrong_member", |p| p.set("uses", "2")),
        ("over", "accepted_expired", |p| p.set("exp", &NOW.unix_seconds().to_string())),
    ];
    for (name, expect, edit) in edits {
        push(cases, "accepted", name, expect, input(&again(&good, &w.message_key, edit)));
    }
}

fn calls(cases: &mut Vec<Value>) {
    let w = World::new();
    let c = w.case();
    let request = HttpRequest { method: "POST", url: CALL_URL, body: b"{}" };
    let good =
        Call::sign(w.root.thumb(), AUD, TokenId::from_bytes(id("call")), &request, NOW, &w.delegation_key).unwrap();
    let input = |jws: &str, change: fn(&mut Value)| {
        let mut i = json!({"jws": jws, "delegation_cert": c.delegation_cert, "carrier_root": w.root.verifying_key().to_jwk(),
            "aud": AUD, "method": "POST", "url": CALL_URL, "body": b64("{}"), "now_ms": NOW.unix_millis()});
        change(&mut i);
        i
    };
    push(cases, "call", "good", "ok", input(&good, |_| {}));
    let changes: [(&str, &str, fn(&mut Value)); 5] = [
        ("61_seconds_old", "call_expired", |i| i["now_ms"] = (NOW.unix_millis() + 61_000).into()),
        ("from_the_future", "call_not_yet", |i| i["now_ms"] = (NOW.unix_millis() - 61_000).into()),
        ("other_method", "call_wrong_method", |i| i["method"] = "PUT".into()),
        ("other_url", "call_wrong_url", |i| i["url"] = "https://gateway.example/v1/grants".into()),
        ("other_body", "call_wrong_body", |i| i["body"] = b64("{ }").into()),
    ];
    for (name, expect, change) in changes {
        push(cases, "call", name, expect, input(&good, change));
    }
    let edits: [(&str, &str, fn(&mut Parts)); 3] = [
        ("two_minutes", "call_wrong_lifetime", |p| p.set("exp", &NOW.plus_seconds(120).unix_seconds().to_string())),
        ("other_keyholder", "call_wrong_audience", |p| p.set("aud", "\"https://other.example\"")),
        ("by_depot", "call_bad_signature", |p| p.key = TestKey::new("depot")),
    ];
    for (name, expect, edit) in edits {
        push(cases, "call", name, expect, input(&again(&good, &w.delegation_key, edit), |_| {}));
    }
}

fn statements(cases: &mut Vec<Value>) {
    let w = World::new();
    let wallet = WalletId::from_bytes(id("wallet"));
    let passkey = Passkey { credential_id: w.credential_id.clone(), key: w.passkey.verifying_key().clone() };
    let second = Passkey { credential_id: vec![2; 32], key: TestKey::new("second passkey").verifying_key().clone() };
    let said = [
        Said::Wallet { account_key: w.grant_seal.public().clone(), passkey: passkey.clone() },
        Said::Link { wallet, maker: "volvo".into() },
        Said::Consents {
            wallet,
            vehicle: VehicleId::from_bytes(id("vehicle")),
            nobody_inside: true,
            parked_inferred: true,
            tailgate_with_cabin: false,
            lid_and_lock_untold: false,
        },
        Said::Passkey { wallet, passkey: second },
        Said::ConfirmLink {
            wallet,
            vehicle: VehicleId::from_bytes([8; 16]),
            link: String::from("HpHiUjJq0O2hTnPz3v1x0w"),
        },
        Said::Unblock { wallet, covered: Covered::Delivery(DeliveryId::from_bytes([5; 16])) },
        Said::Erase { wallet, erased: ToErase::Delivery(DeliveryId::from_bytes([5; 16])) },
        Said::LiftHold { wallet, delivery: DeliveryId::from_bytes([5; 16]) },
        Said::LiftHalt { wallet, vehicle: VehicleId::from_bytes([8; 16]) },
        Said::Pause { wallet, until: Some(Timestamp::from_unix_seconds(1_793_000_000)) },
    ];
    let input = |bytes: &[u8], edit: &dyn Fn(&str, &mut Parts)| {
        let assertion = w.assertion(&statement::challenge(bytes), edit);
        json!({"statement": b64(bytes), "assertion": assertion.to_json(), "aud": AUD, "rp_id": RP_ID, "origins": [ORIGIN],
               "passkeys": [[b64(&passkey.credential_id), passkey.key.to_jwk()]]})
    };
    let bytes_of = |said: Said| Statement { aud: AUD.into(), nonce: "a-nonce".into(), said }.to_bytes();
    for said in said {
        let typ = said.typ();
        push(cases, "statement", typ, "ok", input(&bytes_of(said), &|_, _| {}));
    }
    // The other spellings of two of them.
    let everything = Said::Erase { wallet, erased: ToErase::Wallet };
    for (name, said) in [("erase_wallet", everything), ("pause_ends", Said::Pause { wallet, until: None })] {
        push(cases, "statement", name, "ok", input(&bytes_of(said), &|_, _| {}));
    }
    owner_only(cases, wallet, &|bytes| input(bytes, &|_, _| {}));
    let link = Statement { aud: AUD.into(), nonce: "n".into(), said: Said::Link { wallet, maker: "volvo".into() } };
    let text = String::from_utf8(link.to_bytes()).unwrap();
    for (name, expect, from, to) in [
        ("other_keyholder", "statement_wrong_audience", AUD, "https://other.example"),
        ("unknown_typ", "statement_wrong_type", "\"link\"", "\"sell\""),
        ("unknown_member", "statement_unknown_member", "{", "{\"x\":1,"),
        ("duplicate", "statement_duplicate_member", "{", "{\"maker\":\"volvo\","),
        ("no_wallet", "statement_missing_member", "wallet", "purse"),
        ("not_json", "statement_not_json", "{", ""),
    ] {
        push(cases, "statement", name, expect, input(text.replacen(from, to, 1).as_bytes(), &|_, _| {}));
    }
    let mut swapped = input(text.as_bytes(), &|_, _| {});
    swapped["statement"] = b64(text.replace("volvo", "other")).into();
    push(cases, "statement", "swapped", "assertion_wrong_challenge", swapped);
    let unverified = |what: &str, p: &mut Parts| {
        if what == "authenticator_data" {
            let mut data = from_b64(&p.payload).unwrap();
            data[32] ^= 4;
            p.payload = b64(data);
        }
    };
    let i = input(text.as_bytes(), &unverified);
    push(cases, "statement", "unverified_user", "assertion_no_user_verification", i);
}

/// What a session alone must not do: each says one thing about one thing, or nothing.
fn owner_only(cases: &mut Vec<Value>, wallet: WalletId, input: &dyn Fn(&[u8]) -> Value) {
    let delivery = DeliveryId::from_bytes([5; 16]);
    let erase = Said::Erase { wallet, erased: ToErase::Delivery(delivery) };
    let everything = Said::Erase { wallet, erased: ToErase::Wallet };
    let lift = Said::LiftHold { wallet, delivery };
    let pause = Said::Pause { wallet, until: Some(Timestamp::from_unix_seconds(1_793_000_000)) };
    let id = format!(",\"id\":\"{delivery}\"");
    let wrong = "statement_wrong_member";
    for (name, expect, said, from, to) in [
        ("erase_no_delivery", wrong, &erase, id.as_str(), ""),
        ("erase_wallet_and_delivery", wrong, &erase, "\"delivery\"", "\"wallet\""),
        ("erase_everybody", wrong, &everything, "\"scope\":\"wallet\"", "\"scope\":\"all\""),
        ("erase_no_scope", "statement_missing_member", &everything, ",\"scope\":\"wallet\"", ""),
        ("erase_half_an_id", wrong, &erase, id.as_str(), ",\"id\":\"BQUFBQUF\""),
        ("lift_hold_of_nothing", "statement_missing_member", &lift, "\"delivery\"", "\"of\""),
        ("lift_hold_with_scope", "statement_unknown_member", &lift, "{", "{\"scope\":\"delivery\","),
        ("pause_until_text", wrong, &pause, "1793000000", "\"1793000000\""),
        ("pause_until_part_of_a_second", "statement_not_an_integer", &pause, "1793000000", "1793000000.5"),
        ("pause_before_1970", wrong, &pause, "1793000000", "-1793000000"),
        ("pause_until_null", wrong, &pause, "1793000000", "null"),
        ("pause_of_a_delivery", "statement_unknown_member", &pause, "{", "{\"delivery\":\"BQUFBQUFBQUFBQUFBQUFBQ\","),
    ] {
        let bytes = Statement { aud: AUD.into(), nonce: "n".into(), said: said.clone() }.to_bytes();
        let text = String::from_utf8(bytes).unwrap();
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{name} changes something");
        push(cases, "statement", name, expect, input(changed.as_bytes()));
    }
}

fn envelopes(cases: &mut Vec<Value>) {
    let w = World::new();
    let device = parcelshelf_protocol::cert::device_thumbprint(w.courier.verifying_key(), w.courier_seal.public());
    let (device, delivery) = (device.to_string(), b64(id("delivery")));
    let context = Context { sender: AUD, recipient: &device, delivery: &delivery, seq: 1 };
    let to = w.courier_seal.public();
    let place = Place {
        position: Position::new(57.7089, 11.9746, 25.0).unwrap(),
        taken_at: None,
        read_at: NOW,
        colour: Some("red".into()),
        model: None,
        class: AccessClass::TailgateWithCabin,
        seal: w.grant_seal.public().clone(),
    };
    let content = place.to_bytes();
    assert!(Place::parse(&content).unwrap() == place);
    let entropy = Stream::new("envelope");
    let good = Envelope::seal(&entropy, to, Purpose::Place, &context, &content, NOW, &w.message_key).unwrap();
    let input = |jws: &str, change: fn(&mut Value)| {
        let mut i = json!({"jws": jws, "message_key": w.message_key.verifying_key().to_jwk(), "iss": AUD, "recipient": device,
            "delivery": delivery, "purpose": "place", "seed": b64(published("courier device seal")), "content": b64(&content)});
        change(&mut i);
        i
    };
    push(cases, "envelope", "good", "ok", input(&good, |_| {}));
    let changes: [(&str, &str, fn(&mut Value)); 5] = [
        ("other_recipient", "envelope_wrong_audience", |i| i["recipient"] = b64([1; 32]).into()),
        ("other_delivery", "envelope_wrong_subject", |i| i["delivery"] = b64([1; 16]).into()),
        ("other_purpose", "envelope_wrong_subject", |i| i["purpose"] = "phone".into()),
        ("other_key", "box_not_for_this", |i| i["seed"] = b64([1; 32]).into()),
        ("other_keyholder", "envelope_wrong_issuer", |i| i["iss"] = "https://other.example".into()),
    ];
    for (name, expect, change) in changes {
        push(cases, "envelope", name, expect, input(&good, change));
    }
    let edits: [(&str, &str, fn(&mut Parts)); 3] = [
        ("other_sequence", "box_not_for_this", |p| p.set("seq", "2")),
        ("by_front", "envelope_bad_signature", |p| p.key = TestKey::new("front")),
        ("short_box", "box_malformed", |p| p.set("box", "\"AQ\"")),
    ];
    for (name, expect, edit) in edits {
        push(cases, "envelope", name, expect, input(&again(&good, &w.message_key, edit), |_| {}));
    }
}

/// Runs one case through the public interface.
pub fn run(kind: &str, i: &Value) -> &'static str {
    let result = match kind {
        "ticket" => Ticket::verify(text(i, "ticket"), &key(i, "operator"), text(i, "aud"), moment(i)).map(|_| ()),
        "keys" => Keys::verify(text(i, "jws"), text(i, "log"), text(i, "iss"), moment(i)).map(|_| ()),
        "accepted" => {
            let carrier = Thumbprint::parse(text(i, "carrier")).unwrap();
            Accepted::verify(text(i, "jws"), &key(i, "message_key"), text(i, "iss"), carrier, moment(i)).map(|_| ())
        }
        "call" => call(i),
        "statement" => confirmed(i),
        "envelope" => envelope(i),
        other => panic!("no kind {other}"),
    };
    result.map_or_else(Refused::code, |()| "ok")
}
fn text<'v>(i: &'v Value, name: &str) -> &'v str {
    i[name].as_str().unwrap()
}
fn key(i: &Value, name: &str) -> VerifyingKey {
    VerifyingKey::parse_jwk(text(i, name).as_bytes()).unwrap()
}
fn moment(i: &Value) -> Moment {
    Moment::Posted(Timestamp::from_unix_millis(i["now_ms"].as_i64().unwrap()))
}
fn call(i: &Value) -> Result<(), Refused> {
    let cert = text(i, "delegation_cert");
    let cert = Cert::verify(cert, &key(i, "carrier_root"), Role::Delegation, text(i, "aud"), Moment::Any).unwrap();
    let body = from_b64(text(i, "body")).unwrap();
    let request = HttpRequest { method: text(i, "method"), url: text(i, "url"), body: &body };
    let now = Timestamp::from_unix_millis(i["now_ms"].as_i64().unwrap());
    Call::verify(text(i, "jws"), &cert, text(i, "aud"), &request, now).map(|_| ())
}
fn confirmed(i: &Value) -> Result<(), Refused> {
    let passkeys: Vec<Passkey> = i["passkeys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| Passkey {
            credential_id: from_b64(p[0].as_str().unwrap()).unwrap(),
            key: VerifyingKey::parse_jwk(p[1].as_str().unwrap().as_bytes()).unwrap(),
        })
        .collect();
    let origins = i["origins"].as_array().unwrap().iter().map(|o| o.as_str().unwrap().to_owned()).collect();
    let rp = RelyingParty { rp_id: text(i, "rp_id").into(), origins };
    let assertion = Assertion::parse(text(i, "assertion").as_bytes())?;
    let bytes = from_b64(text(i, "statement")).unwrap();
    let verified = Statement::verify(&bytes, &assertion, &passkeys, &rp, text(i, "aud"))?;
    assert_eq!(verified.statement().to_bytes(), bytes, "a statement is written as it was read");
    Ok(())
}
fn envelope(i: &Value) -> Result<(), Refused> {
    let verified = Envelope::verify(text(i, "jws"), &key(i, "message_key"), text(i, "iss"), text(i, "recipient"))?;
    let seed = from_b64(text(i, "seed")).unwrap().try_into().unwrap();
    let keys = SealKeyPair::from_seed(&seed).unwrap();
    let opened = verified.open(&keys, Purpose::parse(text(i, "purpose")).unwrap(), text(i, "delivery"))?;
    assert_eq!(b64(&*opened), text(i, "content"));
    Ok(())
}
