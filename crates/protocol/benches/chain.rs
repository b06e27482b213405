//! What believing a chain, a case bundle and a sealed box costs, each beside its floor in the same run.
//!
//! The floor is the cryptography that nobody can leave out, called directly in the library: as many ECDSA (and Ed25519)
//! verifications as the message has signatures, or one bare HPKE seal or open of the padded content. What is above it is
//! our own parsing, hashing and comparing. `cargo bench -p parcelshelf-protocol --bench chain`.

#[expect(dead_code, clippy::unwrap_used, reason = "the tests' case, of which the bench takes one story")]
#[path = "../tests/it/case.rs"]
mod case;
#[expect(dead_code, clippy::unwrap_used, reason = "the tests' published keys, of which the bench takes some")]
#[path = "../tests/it/support.rs"]
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, UnparsedPublicKey};
use criterion::Criterion;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use parcelshelf_core::area::Position;
use parcelshelf_core::time::Entropy as _;
use parcelshelf_protocol::bundle;
use parcelshelf_protocol::content::Place;
use parcelshelf_protocol::jws::{LogSigningKey, Sign as _, SignLog as _, SigningKey};
use parcelshelf_protocol::seal::{self, Context, Purpose, SealKeyPair};
use support::{NOW, Stream, World, published};

/// Signatures that a whole chain has: four certificates, grant, assertion, delegation, proof.
const CHAIN_SIGNATURES: usize = 8;
/// Those that are checked at each use, when the certificates' rows were verified before.
const LINK_SIGNATURES: usize = 4;
/// Of the bundle: carrier, delegation key, acceptance, depot, device, passkey, request, grant, its assertion, delegation,
/// and two proofs; then keys and checkpoint by the log key.
const BUNDLE_ECDSA: usize = 12;
const BUNDLE_ED25519: usize = 2;
/// About the size of the characters that a link's signature covers.
const MESSAGE_BYTES: usize = 1_000;

/// Runs one measurement through criterion and gives back an iteration's time in the fastest sample: whatever else runs on
/// the machine only adds to the others.
#[expect(clippy::disallowed_methods, reason = "a bench reads the machine's clock")]
fn measure<T>(c: &mut Criterion, name: &str, mut work: impl FnMut() -> T) -> Duration {
    let mut samples: Vec<Duration> = Vec::new();
    c.bench_function(name, |b| {
        b.iter_custom(|iterations| {
            let start = Instant::now();
            for _ in 0..iterations {
                black_box(work());
            }
            let took = start.elapsed();
            samples.push(took / u32::try_from(iterations).unwrap_or(u32::MAX));
            took
        });
    });
    samples.into_iter().min().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "the ratios are what the bench is for")]
fn compare(what: &str, ours: Duration, floor: Duration) {
    if floor.is_zero() {
        return; // filtered out on the command line
    }
    let ratio = ours.as_secs_f64() / floor.as_secs_f64();
    println!("ratio  {what:<34} {ours:>10.2?} / floor {floor:>10.2?} = {ratio:.2}");
}

/// Bare verifications in the library that the crate uses.
struct Bare {
    message: Vec<u8>,
    ecdsa: (ParsedPublicKey, [u8; 64]),
    ed25519: (UnparsedPublicKey<[u8; 32]>, [u8; 64]),
}
impl Bare {
    fn new() -> Self {
        let message = vec![b'm'; MESSAGE_BYTES];
        let key = SigningKey::from_scalar(&published("bench")).expect("a scalar");
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.verifying_key().point()).expect("a point");
        let log = LogSigningKey::from_seed(&published("bench log")).expect("a seed");
        let signatures = (key.sign(&message).expect("signed"), log.sign(&message).expect("signed"));
        Self {
            ecdsa: (parsed, signatures.0),
            ed25519: (UnparsedPublicKey::new(&ED25519, log.public_key()), signatures.1),
            message,
        }
    }
    fn verify(&self, ecdsa: usize, ed25519: usize) {
        for _ in 0..ecdsa {
            self.ecdsa.0.verify_sig(black_box(&self.message), &self.ecdsa.1).expect("good");
        }
        for _ in 0..ed25519 {
            self.ed25519.0.verify(black_box(&self.message), &self.ed25519.1).expect("good");
        }
    }
}

fn chains(c: &mut Criterion) {
    let bare = Bare::new();
    let case = World::new().case();

    let floor = measure(c, "floor: 8 ECDSA verifications", || bare.verify(CHAIN_SIGNATURES, 0));
    let ours = measure(c, "chain with its certificates", || case.verify().expect("a good chain"));
    compare("chain with its certificates", ours, floor);

    let floor = measure(c, "floor: 4 ECDSA verifications", || bare.verify(LINK_SIGNATURES, 0));
    let ours = case.with_facts(|input, facts, moment| {
        let verify = || parcelshelf_protocol::verify::chain(input, facts, moment).expect("a good chain");
        Ok(measure(c, "chain, certificates known", verify))
    });
    let ours = ours.expect("good certificates");
    compare("chain, certificates known", ours, floor);

    let bytes = case::delivered().encode();
    let floor = measure(c, "floor: 12 ECDSA, 2 Ed25519", || bare.verify(BUNDLE_ECDSA, BUNDLE_ED25519));
    let ours = measure(c, "case bundle", || bundle::verify(&bytes, None).expect("a good bundle"));
    compare("case bundle", ours, floor);
}

/// Bare HPKE over the same padded bytes.
struct BareSeal {
    private: <XWing as Kem>::PrivateKey,
    public: <XWing as Kem>::PublicKey,
    padded: Vec<u8>,
}
const INFO: &[u8] = b"psh-seal-v1/place";

/// The library asks for a generator; ours hands out the same bytes as the crate's own.
struct Drawn(Stream);
impl hpke::rand_core::TryRng for Drawn {
    type Error = core::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_le_bytes(parcelshelf_core::time::random(&self.0)))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_le_bytes(parcelshelf_core::time::random(&self.0)))
    }
    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(into);
        Ok(())
    }
}
impl hpke::rand_core::TryCryptoRng for Drawn {}

impl BareSeal {
    fn new() -> Self {
        let private = <XWing as Kem>::PrivateKey::from_bytes(&published("courier device seal")).expect("a seed");
        Self { public: XWing::sk_to_pk(&private), private, padded: vec![7; 4 * 1024] }
    }
    fn seal(&self, random: &mut Drawn) -> (Vec<u8>, Vec<u8>) {
        let (enc, sealed) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, XWing>(
            &OpModeS::Base,
            &self.public,
            INFO,
            &self.padded,
            b"aad",
            random,
        )
        .expect("sealed");
        (enc.to_bytes().to_vec(), sealed)
    }
    fn open(&self, enc: &[u8], sealed: &[u8]) -> Vec<u8> {
        let enc = <XWing as Kem>::EncappedKey::from_bytes(enc).expect("an encapsulated key");
        hpke::single_shot_open::<AesGcm256, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.private,
            &enc,
            INFO,
            sealed,
            b"aad",
        )
        .expect("opened")
    }
}

fn sealing(c: &mut Criterion) {
    let bare = BareSeal::new();
    let keys = SealKeyPair::from_seed(&published("courier device seal")).expect("a seed");
    let context = Context { sender: support::AUD, recipient: "device", delivery: "delivery", seq: 0 };
    let place = Place {
        position: Position::new(57.7089, 11.9746, 5.0).expect("a position"),
        taken_at: Some(NOW),
        read_at: NOW,
        colour: Some("white".into()),
        model: Some("XC40".into()),
        class: parcelshelf_core::actuation::AccessClass::TailgateWithCabin,
        seal: keys.public().clone(),
    };
    let (mut drawn, stream) = (Drawn(Stream::new("bench")), Stream::new("bench"));

    let floor = measure(c, "floor: HPKE seal of 4 KiB", || bare.seal(&mut drawn));
    let ours = measure(c, "seal a place", || {
        seal::seal(&stream, keys.public(), Purpose::Place, &context, &place.to_bytes()).expect("sealed")
    });
    compare("seal a place", ours, floor);

    let (enc, sealed) = bare.seal(&mut drawn);
    let floor = measure(c, "floor: HPKE open of 4 KiB", || bare.open(&enc, &sealed));
    let sealed = seal::seal(&stream, keys.public(), Purpose::Place, &context, &place.to_bytes()).expect("sealed");
    let ours = measure(c, "open a place", || {
        let content = seal::open(&keys, Purpose::Place, &context, &sealed).expect("opened");
        Place::parse(&content).expect("a place")
    });
    compare("open a place", ours, floor);
}

fn main() {
    let mut c = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    chains(&mut c);
    sealing(&mut c);
    c.final_summary();
}
