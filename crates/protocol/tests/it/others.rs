//! Other people's implementations agree: an independent JOSE library, a second implementation of P-256, a software
//! authenticator, and the published test vector of X-Wing.

mod authenticator;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem, OpModeR, single_shot_open};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::pkcs8::EncodePrivateKey as _;
use parcelshelf_protocol::encoding::{b64, sha256};
use parcelshelf_protocol::grant::Grant;
use parcelshelf_protocol::jws::{Sign as _, SigningKey, VerifyingKey};
use parcelshelf_protocol::seal::{self, Context, Purpose, SealKeyPair};
use parcelshelf_protocol::webauthn;
use serde_json::Value;

use crate::support::{Stream, TestKey, World, parts, published};

/// Bytes of an X-Wing ciphertext, and of its first half.
const ENC_BYTES: usize = 1120;
const ML_KEM_BYTES: usize = 1088;

fn decoding_key(key: &VerifyingKey) -> DecodingKey {
    DecodingKey::from_ec_components(&b64(&key.point()[1..33]), &b64(&key.point()[33..])).unwrap()
}
fn anything() -> Validation {
    let mut v = Validation::new(Algorithm::ES256);
    v.required_spec_claims.clear();
    v.validate_exp = false;
    v.validate_aud = false;
    v
}

#[test]
fn another_jose_library_reads_what_we_sign() {
    let w = World::new();
    let case = w.case();
    let messages = [
        (case.grant, &w.grant_key, "psh-grant+jwt"),
        (case.delegation.unwrap(), &w.delegation_key, "psh-delegation+jwt"),
        (case.proof, &w.courier, "dpop+jwt"),
        (case.carrier_cert, &w.operator, "psh-cert+jwt"),
        (case.device_cert, &w.depot, "psh-cert+jwt"),
        (w.signed_request(), &w.delegation_key, "psh-request+jwt"),
    ];
    for (jws, key, typ) in messages {
        let read = jsonwebtoken::decode::<Value>(&jws, &decoding_key(key.verifying_key()), &anything()).unwrap();
        assert_eq!(read.header.typ.as_deref(), Some(typ));
        match (&read.header.kid, &read.header.jwk) {
            (Some(kid), None) => assert_eq!(*kid, key.thumb().to_string()),
            (None, Some(jwk)) => {
                assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap(), key.thumb().to_string());
            }
            other => panic!("{typ}: {other:?}"),
        }
        let wrong = TestKey::new("somebody");
        assert!(jsonwebtoken::decode::<Value>(&jws, &decoding_key(wrong.verifying_key()), &anything()).is_err());
    }
}

#[test]
fn we_read_what_another_jose_library_signs() {
    let w = World::new();
    let ours = w.case().grant;
    let p = parts(&ours, &w.grant_key);
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some("psh-grant+jwt".into());
    header.jwk = serde_json::from_str(&w.grant_key.verifying_key().to_jwk()).unwrap();
    let secret = p256::SecretKey::from_slice(&published("grant")).unwrap().to_pkcs8_der().unwrap();
    let claims: Value = serde_json::from_str(&p.payload).unwrap();
    let theirs = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ec_der(secret.as_bytes())).unwrap();
    assert_ne!(theirs, ours);
    let read = Grant::verify(&theirs).unwrap();
    assert_eq!(read.claims(), Grant::verify(&ours).unwrap().claims());

    let from_pkcs8 = SigningKey::from_pkcs8(secret.as_bytes()).unwrap();
    assert_eq!(from_pkcs8.verifying_key(), w.grant_key.verifying_key());
}

#[test]
fn two_implementations_of_p256_agree() {
    for n in 0..16 {
        let name = format!("pair {n}");
        let ours = SigningKey::from_scalar(&published(&name)).unwrap();
        let theirs = p256::ecdsa::SigningKey::from_slice(&published(&name)).unwrap();
        assert_eq!(ours.verifying_key().point()[..], *theirs.verifying_key().to_sec1_point(false).as_bytes());
        let message = name.as_bytes();
        let by_us = p256::ecdsa::Signature::from_slice(&ours.sign(message).unwrap()).unwrap();
        assert!(theirs.verifying_key().verify(message, &by_us).is_ok());
        let by_them: p256::ecdsa::Signature = theirs.sign(message);
        assert!(ours.verifying_key().verifies(message, &by_them.to_bytes().into()));
        assert!(!ours.verifying_key().verifies(b"else", &by_them.to_bytes().into()));
        // DER as they write it is DER as we write it.
        assert_eq!(webauthn::der_signature(&by_them.to_bytes().into()), by_them.to_der().as_bytes());
    }
}

#[test]
fn scalars_out_of_range_are_no_keys() {
    assert!(SigningKey::from_scalar(&[0; 32]).is_err());
    assert!(SigningKey::from_scalar(&[0xff; 32]).is_err());
    assert!(SigningKey::from_pkcs8(&[0x30, 0]).is_err());
}

/// draft-connolly-cfrg-xwing-kem, appendix C, first vector: seed, and SHA-256 of the public key printed there.
#[test]
fn xwing_keys_are_those_of_the_published_vector() {
    let seed = from_hex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26");
    let pair = SealKeyPair::from_seed(&seed.try_into().unwrap()).unwrap();
    let public = pair.public().to_bytes();
    assert_eq!(public[..16], from_hex("e2236b35a8c24b39b10aa1323a96a919")[..]);
    assert_eq!(hex(sha256(&public).as_bytes()), "2e816deebcd76c5c80d0cd2d174478871658e8e2ff42bc9d4a6e486372e856bb");
}

/// We open with primitives of our own choice what the HPKE library seals: it must agree on every box, good or bad.
#[test]
fn another_hpke_opens_what_we_open_and_refuses_what_we_refuse() {
    let theirs = |seed: &[u8; 32], context: &Context<'_>, sealed: &[u8]| {
        let key = <XWing as Kem>::PrivateKey::from_bytes(seed).unwrap();
        let enc = <XWing as Kem>::EncappedKey::from_bytes(&sealed[1..=ENC_BYTES]).unwrap();
        let aad = format!("{}\0{}\0{}\0", context.sender, context.recipient, context.delivery);
        let aad = [aad.as_bytes(), &context.seq.to_be_bytes()].concat();
        single_shot_open::<AesGcm256, HkdfSha256, XWing>(
            &OpModeR::Base,
            &key,
            &enc,
            b"psh-seal-v1/place",
            &sealed[1 + ENC_BYTES..],
            &aad,
        )
        .ok()
    };
    for n in 0..12_u64 {
        let seed = published(&format!("seal {n}"));
        let pair = SealKeyPair::from_seed(&seed).unwrap();
        let context = Context { sender: "sender", recipient: "recipient", delivery: "delivery", seq: n };
        let content = vec![0xa5; 300 * usize::try_from(n).unwrap()];
        let sealed = seal::seal(&Stream::new("others"), pair.public(), Purpose::Place, &context, &content).unwrap();
        let padded = theirs(&seed, &context, &sealed).unwrap();
        assert_eq!(padded[4..4 + content.len()], content);
        assert_eq!(*seal::open(&pair, Purpose::Place, &context, &sealed).unwrap(), content);
        // In the ML-KEM half, in the X25519 half, in the content, in the tag.
        for at in [1, ML_KEM_BYTES / 2, ML_KEM_BYTES, 1 + ML_KEM_BYTES, 1 + ENC_BYTES, sealed.len() - 1] {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert_eq!(theirs(&seed, &context, &bent), None);
            assert!(seal::open(&pair, Purpose::Place, &context, &bent).is_err(), "byte {at}");
        }
        let other = Context { seq: n + 1, ..context };
        assert_eq!(theirs(&seed, &other, &sealed), None);
        assert!(seal::open(&pair, Purpose::Place, &other, &sealed).is_err());
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
