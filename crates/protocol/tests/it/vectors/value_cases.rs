//! The test keys, and values that are computed from them.

use parcelshelf_core::id::{GrantId, InvitationId, VehicleId};
use parcelshelf_core::reason::Action;
use parcelshelf_core::time::Timestamp;
use parcelshelf_protocol::cert::device_thumbprint;
use parcelshelf_protocol::content::{PhotoKey, Rule};
use parcelshelf_protocol::encoding::{Hash, Thumbprint, b64, from_b64};
use parcelshelf_protocol::enrol::{Enrolment, six_digits};
use parcelshelf_protocol::grant;
use parcelshelf_protocol::invite::{DoorSign, Invitation};
use parcelshelf_protocol::jws::{LogSigningKey, Sign as _, SignLog as _, SigningKey, VerifyingKey};
use parcelshelf_protocol::label;
use parcelshelf_protocol::nonce::{self, Bound, NonceKey};
use parcelshelf_protocol::owner_keys;
use parcelshelf_protocol::seal::{self, Context, Purpose, SealKeyPair};
use parcelshelf_protocol::statement;
use serde_json::{Value, json};

use super::message_cases::log_line;
use crate::support::{LABELS, NOW, Stream, World, id, published, seal_keys};

const SIGNING: [&str; 9] = [
    "operator",
    "carrier root",
    "delegation",
    "depot",
    "courier device",
    "owner passkey",
    "grant",
    "keyholder message",
    "second passkey",
];
const SEALING: [&str; 3] = ["courier device seal", "grant seal", "keyholder seal"];

pub fn all() -> Value {
    json!({
        "about": "Keys that everybody knows: for tests only. A scalar or seed is SHA-256(\"parcelshelf test key: \" || name). \
                  Binary values are base64url.",
        "signing_keys": SIGNING.map(|name| {
            let key = SigningKey::from_scalar(&published(name)).unwrap();
            json!({"name": name, "scalar": b64(published(name)), "jwk": key.verifying_key().to_jwk(),
                   "thumbprint": key.verifying_key().thumb().to_string()})
        }),
        "sealing_keys": SEALING.map(|name| {
            let key = seal_keys(name);
            json!({"name": name, "seed": b64(published(name)), "public": key.public().to_string(), "hash": key.public().hash().to_string()})
        }),
        "log_key": {"seed": b64(published("keyholder log")), "public": b64(World::new().log.public_key()), "line": log_line()},
        "device_thumbprints": [device()],
        "enrolments": [enrolment()],
        "invitations": [invitation()],
        "door_signs": [door_sign()],
        "labels": labels(),
        "nonces": nonces(),
        "challenges": challenges(),
        "rules": [rule()],
        "owner_keys": owner(),
        "boxes": boxes(),
    })
}

/// What a phone shows at the depot, and the digits that both screens show.
fn enrolment() -> Value {
    let w = World::new();
    let shown = Enrolment { key: w.courier.verifying_key().clone(), seal: w.courier_seal.public().clone() };
    let log = crate::case::anchors(&w).log;
    let digits = six_digits(shown.device(), &log);
    json!({"signing": "courier device", "sealing": "courier device seal", "text": shown.to_text(), "log": log, "digits": digits})
}
/// What a guest's page and the owner's wallet make of an invitation's secret.
fn invitation() -> Value {
    let w = World::new();
    let made = Invitation::from_secret(id("invitation"));
    let device = device_thumbprint(w.courier.verifying_key(), w.courier_seal.public());
    let log = crate::case::anchors(&w).log;
    let digits = made.digits(device, &log);
    json!({"secret": made.to_text(), "id": made.id().to_string(), "device": device.to_string(), "log": log,
           "tag": made.tag(device).to_string(), "digits": digits})
}
/// What the page of somebody at a door makes of its code's secret.
fn door_sign() -> Value {
    let w = World::new();
    let sign = DoorSign::from_secret(id("door sign"));
    let device = device_thumbprint(w.courier.verifying_key(), w.courier_seal.public());
    let knock = InvitationId::from_bytes(id("knock"));
    json!({"secret": sign.to_text(), "id": sign.id().to_string(), "device": device.to_string(), "knock": knock.to_string(),
           "tag": sign.tag(device, knock).to_string()})
}
fn device() -> Value {
    let (w, name) = (World::new(), "courier device");
    let thumb = device_thumbprint(w.courier.verifying_key(), w.courier_seal.public());
    json!({"signing": name, "sealing": "courier device seal", "thumbprint": thumb.to_string()})
}

fn labels() -> Vec<Value> {
    let salt = id("label salt");
    let good = [LABELS[0], LABELS[1], "jd-0002 1234 5678", "1Z999AA10123456784"].map(|l| {
        json!({"salt": b64(salt), "label": l, "normalised": label::normalise(l).unwrap(), "hash": label::hash(&salt, l).unwrap().to_string()})
    });
    let bad = ["", "A-1", "äöüßé"].map(|l| json!({"salt": b64(salt), "label": l, "refused": "label_wrong_length"}));
    good.into_iter().chain(bad).collect()
}

fn nonces() -> Vec<Value> {
    let key = NonceKey::from_bytes(published("keyholder nonce"));
    let bound = Bound {
        device: Thumbprint::from_bytes(published("a device")),
        ath: Hash::from_bytes(published("a link")),
        act: Action::Open,
    };
    let made = nonce::issue(&key, &bound, NOW, &Stream::new("value nonce"));
    let input = json!({"key": b64(published("keyholder nonce")), "device": bound.device.to_string(), "ath": bound.ath.to_string(), "act": "open"});
    let case = |nonce: &str, after_ms: i64, expect: &str| {
        let mut v = input.clone();
        v["nonce"] = nonce.into();
        v["now_ms"] = (NOW.unix_millis() + after_ms).into();
        v["expect"] = expect.into();
        v
    };
    let mut other = case(&made, 0, "nonce_foreign");
    other["act"] = "lock".into();
    vec![
        case(&made, 0, "ok"),
        case(&made, 19_999, "ok"),
        case(&made, 20_000, "nonce_expired"),
        case(&made, -1, "nonce_expired"),
        case(&made[..53], 0, "nonce_malformed"),
        case(&format!("{}=", &made[..53]), 0, "nonce_malformed"),
        other,
    ]
}

fn challenges() -> Value {
    let w = World::new();
    let grant = w.case().grant;
    json!({
        "grant": {"jws": grant, "challenge": grant::challenge(&grant).to_string()},
        "statement": {"bytes": b64("{}"), "challenge": statement::challenge(b"{}").to_string()},
    })
}

fn rule() -> Value {
    let rule = World::new().rule;
    json!({"bytes": String::from_utf8(rule.to_bytes()).unwrap(), "commitment": rule.commitment().to_string()})
}

fn owner() -> Value {
    let seed = published("wallet seed");
    let jti = GrantId::from_bytes(id("grant"));
    json!({"seed": b64(seed), "jti": jti.to_string(), "grant_seal_seed": b64(*owner_keys::grant_seal_seed(&seed, jti)),
           "account_seed": b64(*owner_keys::account_seed(&seed))})
}

/// Boxes sealed with known randomness (64 bytes: ML-KEM's 32, then X25519's 32), so that a sealer can be checked too.
fn boxes() -> Vec<Value> {
    let keys = seal_keys("courier device seal");
    let delivery = b64(id("delivery"));
    let context = Context { sender: "https://gateway.example", recipient: "a-device", delivery: &delivery, seq: 7 };
    let content = b"{\"hello\":\"world\"}";
    let sealed = seal::seal(&Stream::new("box"), keys.public(), Purpose::Place, &context, content).unwrap();
    let mut randomness = [0; 64];
    parcelshelf_core::time::Entropy::fill(&Stream::new("box"), &mut randomness);
    let case = |name: &str, sealed: &[u8], expect: &str| {
        json!({"name": name, "seed": b64(published("courier device seal")), "purpose": "place", "sender": context.sender,
            "recipient": context.recipient, "delivery": delivery, "seq": 7, "box": b64(sealed), "expect": expect})
    };
    let mut good = case("good", &sealed, "ok");
    good["content"] = b64(content).into();
    good["randomness"] = b64(randomness).into();
    let flipped = |at: usize| {
        let mut b = sealed.clone();
        b[at] ^= 1;
        b
    };
    let with = |name: &str, member: &str, value: Value| {
        let mut v = case(name, &sealed, "box_not_for_this");
        v[member] = value;
        v
    };
    vec![
        good,
        photo_key(&keys, &context),
        case("version 0", &flipped(0), "box_malformed"),
        case("one byte short", &sealed[..sealed.len() - 1], "box_malformed"),
        case("enc changed", &flipped(5), "box_not_for_this"),
        case("X25519 share changed", &flipped(1_120), "box_not_for_this"),
        case("ciphertext changed", &flipped(2_000), "box_not_for_this"),
        case("tag changed", &flipped(sealed.len() - 1), "box_not_for_this"),
        with("another purpose", "purpose", "phone".into()),
        with("another sender", "sender", "https://other.example".into()),
        with("another recipient", "recipient", "b-device".into()),
        with("another delivery", "delivery", b64([1; 16]).into()),
        with("another sequence", "seq", 8.into()),
        with("another key", "seed", b64(published("grant seal")).into()),
        case("content moved between sizes", &unevenly_padded(&keys, &context), "box_wrong_padding"),
    ]
}

/// What a device gets that has opened a house's door: the owner's key for photos.
fn photo_key(device: &SealKeyPair, context: &Context<'_>) -> Value {
    let content = PhotoKey { seal: seal_keys("grant seal").public().clone() }.to_bytes();
    let sealed = seal::seal(&Stream::new("photo key"), device.public(), Purpose::PhotoKey, context, &content).unwrap();
    let mut randomness = [0; 64];
    parcelshelf_core::time::Entropy::fill(&Stream::new("photo key"), &mut randomness);
    json!({"name": "photo key", "seed": b64(published("courier device seal")), "purpose": "photo_key",
        "sender": context.sender, "recipient": context.recipient, "delivery": context.delivery, "seq": context.seq,
        "box": b64(sealed), "content": b64(content), "randomness": b64(randomness), "expect": "ok"})
}

/// A box whose length prefix claims more than there is.
fn unevenly_padded(keys: &SealKeyPair, context: &Context<'_>) -> Vec<u8> {
    use hpke::Serializable as _;
    use hpke::{Deserializable as _, Kem};
    type X = hpke::kem::XWing;
    struct Drawn(Stream);
    impl hpke::rand_core::TryRng for Drawn {
        type Error = std::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(0)
        }
        fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Self::Error> {
            parcelshelf_core::time::Entropy::fill(&self.0, into);
            Ok(())
        }
    }
    impl hpke::rand_core::TryCryptoRng for Drawn {}
    let to = <X as Kem>::PublicKey::from_bytes(&keys.public().to_bytes()).unwrap();
    let mut padded = vec![0; 4_096];
    padded[..4].copy_from_slice(&4_093_u32.to_be_bytes());
    let mut aad = format!("{}\0{}\0{}\0", context.sender, context.recipient, context.delivery).into_bytes();
    aad.extend_from_slice(&context.seq.to_be_bytes());
    let (enc, ct) = hpke::single_shot_seal_with_rng::<hpke::aead::AesGcm256, hpke::kdf::HkdfSha256, X>(
        &hpke::OpModeS::Base,
        &to,
        b"psh-seal-v1/place",
        &padded,
        &aad,
        &mut Drawn(Stream::new("uneven")),
    )
    .unwrap();
    [&[1][..], &enc.to_bytes(), &ct].concat()
}

/// Computes everything again from what the file says.
pub fn check(file: &Value) {
    let list = |name: &str| file[name].as_array().unwrap().clone();
    let text = |v: &Value, name: &str| v[name].as_str().unwrap().to_owned();
    let bytes32 = |v: &Value, name: &str| -> [u8; 32] { from_b64(&text(v, name)).unwrap().try_into().unwrap() };
    for k in list("signing_keys") {
        let key = SigningKey::from_scalar(&bytes32(&k, "scalar")).unwrap();
        let read = VerifyingKey::parse_jwk(text(&k, "jwk").as_bytes()).unwrap();
        assert_eq!(key.verifying_key(), &read);
        assert_eq!(read.thumb().to_string(), text(&k, "thumbprint"));
        assert!(read.verifies(b"x", &key.sign(b"x").unwrap()));
    }
    for k in list("sealing_keys") {
        assert_eq!(SealKeyPair::from_seed(&bytes32(&k, "seed")).unwrap().public().to_string(), text(&k, "public"));
    }
    assert_eq!(
        b64(LogSigningKey::from_seed(&bytes32(&file["log_key"], "seed")).unwrap().public_key()),
        text(&file["log_key"], "public")
    );
    for e in list("enrolments") {
        let shown = Enrolment::parse(&text(&e, "text")).unwrap();
        assert_eq!(shown.to_text(), text(&e, "text"));
        assert_eq!(six_digits(shown.device(), &text(&e, "log")), text(&e, "digits"));
        let damaged =
            ["psh-enrol-2", "psh-enrol-1~", "psh-enrol-1~AA~AA", &(text(&e, "text") + "~x")].map(str::to_owned);
        assert!(damaged.iter().all(|text| Enrolment::parse(text).is_err()));
    }
    for l in list("labels") {
        let salt = from_b64(&text(&l, "salt")).unwrap().try_into().unwrap();
        match label::hash(&salt, &text(&l, "label")) {
            Ok(hash) => assert_eq!(hash.to_string(), text(&l, "hash")),
            Err(refused) => assert_eq!(refused.code(), text(&l, "refused")),
        }
    }
    for n in list("nonces") {
        let bound = Bound {
            device: Thumbprint::parse(&text(&n, "device")).unwrap(),
            ath: Hash::parse(&text(&n, "ath")).unwrap(),
            act: Action::parse(&text(&n, "act")).unwrap(),
        };
        let now = Timestamp::from_unix_millis(n["now_ms"].as_i64().unwrap());
        let got = nonce::check(&NonceKey::from_bytes(bytes32(&n, "key")), &text(&n, "nonce"), &bound, now);
        assert_eq!(got.map_or_else(|r| r.code(), |_| "ok"), text(&n, "expect"));
    }
    for b in list("boxes") {
        let keys = SealKeyPair::from_seed(&bytes32(&b, "seed")).unwrap();
        let (sender, recipient, delivery) = (text(&b, "sender"), text(&b, "recipient"), text(&b, "delivery"));
        let context =
            Context { sender: &sender, recipient: &recipient, delivery: &delivery, seq: b["seq"].as_u64().unwrap() };
        let purpose = Purpose::parse(&text(&b, "purpose")).unwrap();
        match seal::open(&keys, purpose, &context, &from_b64(&text(&b, "box")).unwrap()) {
            Ok(content) => assert_eq!(b64(&*content), text(&b, "content"), "{b}"),
            Err(refused) => assert_eq!(refused.code(), text(&b, "expect"), "{}", b["name"]),
        }
    }
    let rule = Rule::parse(text(&list("rules")[0], "bytes").as_bytes()).unwrap();
    assert_eq!(rule.vehicles, [VehicleId::from_bytes(id("vehicle"))]);
    assert_eq!(rule.commitment().to_string(), text(&list("rules")[0], "commitment"));
}
