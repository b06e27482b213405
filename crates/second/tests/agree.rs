//! Two libraries, the same questions: over a hundred thousand changed keys, messages and signatures, and the values at
//! which implementations are known to differ.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use ed25519_dalek::Signer as _;
use parcelshelf_log::suite::{AwsLc, Suite as _};
use parcelshelf_second::PureRust;

/// Order of P-256's group, big-endian (FIPS 186-5 / SP 800-186 §3.2.1.3).
const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
/// The field's prime.
const P: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
/// Order of Ed25519's subgroup, little-endian (RFC 8032 §5.1).
const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn hex<const B: usize>(text: &str) -> [u8; B] {
    let digit = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(digit)
}

/// Numbers without rhyme that are the same in every run (xorshift64*).
struct Dice(u64);
impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }
}

#[derive(Default, Debug)]
struct Tally {
    asked: usize,
    held: usize,
}

fn es256(tally: &mut Tally, point: &[u8; 65], message: &[u8], signature: &[u8; 64]) -> bool {
    let (ours, second) =
        (AwsLc.es256_holds(point, message, signature), PureRust.es256_holds(point, message, signature));
    assert_eq!(ours, second, "ES256: key {point:02x?}, message {message:02x?}, signature {signature:02x?}");
    tally.asked += 1;
    tally.held += usize::from(ours);
    ours
}
fn ed25519(tally: &mut Tally, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let ours = AwsLc.ed25519_holds(key, message, signature);
    assert_eq!(
        ours,
        PureRust.ed25519_holds(key, message, signature),
        "Ed25519: key {key:02x?}, message {message:02x?}, signature {signature:02x?}"
    );
    tally.asked += 1;
    tally.held += usize::from(ours);
    ours
}

struct P256(p256::ecdsa::SigningKey);
impl P256 {
    fn new(dice: &mut Dice) -> Self {
        let scalar: [u8; 32] = std::array::from_fn(|_| u8::try_from(dice.below(256)).unwrap());
        Self(p256::ecdsa::SigningKey::from_slice(&scalar).unwrap())
    }
    fn point(&self) -> [u8; 65] {
        self.0.verifying_key().to_sec1_point(false).as_bytes().try_into().unwrap()
    }
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature: p256::ecdsa::Signature = self.0.sign(message);
        signature.to_bytes().as_slice().try_into().unwrap()
    }
}

/// The other value of s that holds: n − s.
fn other_s(signature: &[u8; 64]) -> [u8; 64] {
    let n: [u8; 32] = hex(N);
    let (mut out, mut borrow) = (*signature, 0_i32);
    for at in (0..32).rev() {
        let digit = i32::from(n[at]) - i32::from(signature[32 + at]) - borrow;
        borrow = i32::from(digit < 0);
        out[32 + at] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    out
}

#[test]
fn both_agree_on_changed_keys_messages_and_signatures_of_es256() {
    let (mut dice, mut tally) = (Dice(0x5eed), Tally::default());
    for _ in 0..50 {
        let key = P256::new(&mut dice);
        let length = 1 + dice.below(300);
        let message: Vec<u8> = (0..length).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
        let (point, signature) = (key.point(), key.sign(&message));
        assert!(es256(&mut tally, &point, &message, &signature));
        assert!(es256(&mut tally, &point, &message, &other_s(&signature)));
        for _ in 0..600 {
            let (mut point, mut message, mut signature) = (point, message.clone(), signature);
            for _ in 0..=dice.below(3) {
                let bit = 1 << dice.below(8);
                match dice.below(3) {
                    0 => signature[dice.below(64)] ^= bit,
                    1 => point[dice.below(65)] ^= bit,
                    _ => {
                        let at = dice.below(message.len());
                        message[at] ^= bit;
                    }
                }
            }
            es256(&mut tally, &point, &message, &signature);
            assert_eq!(AwsLc.is_p256_point(&point), PureRust.is_p256_point(&point), "{point:02x?}");
        }
    }
    println!("ES256: {tally:?}");
    assert!(tally.asked >= 30_000 && tally.held >= 100);
}

#[test]
fn both_agree_at_the_edges_of_es256() {
    let (mut dice, mut tally) = (Dice(7), Tally::default());
    let key = P256::new(&mut dice);
    let (point, good) = (key.point(), key.sign(b"message"));
    let mut edges: Vec<[u8; 32]> = vec![[0; 32], [0xff; 32], hex(N), hex(P)];
    for around in [N, P] {
        for step in [1_u8, 2] {
            let (mut less, mut more): ([u8; 32], [u8; 32]) = (hex(around), hex(around));
            less[31] -= step;
            more[31] = more[31].wrapping_add(step);
            edges.extend([less, more]);
        }
    }
    edges.push(std::array::from_fn(|at| u8::from(at == 31)));
    edges.push(good[..32].try_into().unwrap());
    edges.push(good[32..].try_into().unwrap());
    edges.push(other_s(&good)[32..].try_into().unwrap());
    for r in &edges {
        for s in &edges {
            let signature: [u8; 64] = [&r[..], s].concat().try_into().unwrap();
            es256(&mut tally, &point, b"message", &signature);
        }
    }
    // Points: coordinates at the edges, the sign of y, compressed and hybrid forms in the place of the uncompressed one.
    for x in &edges {
        for y in &edges {
            let point: [u8; 65] = [&[4], &x[..], y].concat().try_into().unwrap();
            assert_eq!(AwsLc.is_p256_point(&point), PureRust.is_p256_point(&point), "{point:02x?}");
            es256(&mut tally, &point, b"message", &good);
        }
    }
    for form in 0..=255 {
        let mut point = point;
        point[0] = form;
        // AWS-LC by itself reads the hybrid forms, too: found by the test above.
        assert_eq!(form == 4, AwsLc.is_p256_point(&point), "form {form}");
        assert_eq!(form == 4, PureRust.is_p256_point(&point), "form {form}");
        assert_eq!(form == 4, es256(&mut tally, &point, b"message", &good), "form {form}");
    }
    println!("edges of ES256: {tally:?}");
    assert!(tally.held >= 2);
}

#[test]
fn both_agree_on_changed_keys_messages_and_signatures_of_ed25519() {
    let (mut dice, mut tally) = (Dice(0xed), Tally::default());
    for _ in 0..100 {
        let seed: [u8; 32] = std::array::from_fn(|_| u8::try_from(dice.below(256)).unwrap());
        let pair = ed25519_dalek::SigningKey::from_bytes(&seed);
        let length = 1 + dice.below(300);
        let message: Vec<u8> = (0..length).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
        let (key, signature) = (pair.verifying_key().to_bytes(), pair.sign(&message).to_bytes());
        assert!(ed25519(&mut tally, &key, &message, &signature));
        for _ in 0..700 {
            let (mut key, mut message, mut signature) = (key, message.clone(), signature);
            for _ in 0..=dice.below(3) {
                let bit = 1 << dice.below(8);
                match dice.below(3) {
                    0 => signature[dice.below(64)] ^= bit,
                    1 => key[dice.below(32)] ^= bit,
                    _ => {
                        let at = dice.below(message.len());
                        message[at] ^= bit;
                    }
                }
            }
            ed25519(&mut tally, &key, &message, &signature);
        }
    }
    println!("Ed25519: {tally:?}");
    assert!(tally.asked >= 70_000 && tally.held >= 100);
}

/// s + L holds in the equation but is refused; points of small order sign everything in some implementations; y above the
/// prime is a second spelling of a point.
#[test]
fn both_agree_at_the_edges_of_ed25519() {
    let mut tally = Tally::default();
    let pair = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let (key, good) = (pair.verifying_key().to_bytes(), pair.sign(b"message").to_bytes());
    let l: [u8; 32] = hex(L);
    let (mut grown, mut carry) = (good, 0_u16);
    for at in 0..32 {
        let digit = u16::from(good[32 + at]) + u16::from(l[at]) + carry;
        grown[32 + at] = u8::try_from(digit & 0xff).unwrap();
        carry = digit >> 8;
    }
    assert!(!ed25519(&mut tally, &key, b"message", &grown), "s above the group's order");
    // The eight points of small order, and the second spellings of those whose y has one: RFC 8032 §5.1.3 refuses them, and
    // ed25519-dalek by itself does not, which this test found.
    let small = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ];
    let again = [
        "0100000000000000000000000000000000000000000000000000000000000080",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ];
    for r in small.iter().chain(&again) {
        for a in small.iter().chain(&again) {
            for message in 0..16_u8 {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&hex::<32>(r));
                ed25519(&mut tally, &hex(a), &[message], &signature);
            }
        }
    }
    println!("edges of Ed25519: {tally:?}");
}
