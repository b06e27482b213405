//! Laws that hold for all values.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::area::Area;
use parcelshelf_core::reason::Purpose;
use parcelshelf_core::time::{Entropy, Window};
use parcelshelf_protocol::accepted::Accepted;
use parcelshelf_protocol::cert::{Cert, Role};
use parcelshelf_protocol::content::{Description, ForGuest, GuestName, Phone, PhotoKey, Picture, Place, Rule};
use parcelshelf_protocol::delegation::Delegation;
use parcelshelf_protocol::encoding::{Hash, Thumbprint, b64, domain_hash, sha256};
use parcelshelf_protocol::envelope::Envelope;
use parcelshelf_protocol::grant::{Disclose, Grant};
use parcelshelf_protocol::jws::{Moment, Sign as _};
use parcelshelf_protocol::keys::Keys;
use parcelshelf_protocol::narrow::{Scope, check};
use parcelshelf_protocol::nonce::{self, NonceKey};
use parcelshelf_protocol::proof::{ExpectedDevice, HttpRequest, Proof};
use parcelshelf_protocol::request::Ticket;
use parcelshelf_protocol::seal::{self, Context, Purpose as Sealed};
use parcelshelf_protocol::statement::Statement;
use parcelshelf_protocol::webauthn::Assertion;
use proptest::prelude::*;

use crate::support::{AUD, NOW, TestKey, World, area, parts, seal_keys, window};

/// A scope that owns its parts.
#[derive(Debug, Clone)]
struct Owned {
    purpose: Purpose,
    opens: Vec<AccessClass>,
    uses: u32,
    area: Area,
    disclose: Disclose,
    window: Window,
}
impl Owned {
    fn scope(&self) -> Scope<'_> {
        let Self { purpose, opens, uses, area, disclose, window } = self;
        Scope { purpose: *purpose, opens, uses: *uses, area, disclose: *disclose, window }
    }
}

/// Few values per field, so that scopes are often comparable.
fn scopes() -> impl Strategy<Value = Owned> {
    let cells = area(1).cells().to_vec();
    let some = |n: usize| proptest::collection::btree_set(0..n, 1..=n);
    (
        prop_oneof![3 => Just(Purpose::Delivery), 1 => Just(Purpose::Pickup)],
        some(3),
        0..3_u32,
        some(3),
        any::<bool>(),
        (0..4_i64, 1..4_i64),
    )
        .prop_map(move |(purpose, opens, uses, at, early, (from, len))| Owned {
            purpose,
            opens: opens.iter().map(|i| AccessClass::ALL[*i]).collect(),
            uses,
            area: Area::new(at.iter().map(|i| cells[*i]).collect()).unwrap(),
            disclose: if early { Disclose::Area } else { Disclose::NextStop },
            window: window(from, from + len),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn narrowing_is_reflexive(a in scopes()) {
        prop_assert_eq!(check(&a.scope(), &a.scope()), Ok(()));
    }

    #[test]
    fn narrowing_is_transitive(a in scopes(), b in scopes(), c in scopes()) {
        if check(&a.scope(), &b.scope()).is_ok() && check(&b.scope(), &c.scope()).is_ok() {
            prop_assert_eq!(check(&a.scope(), &c.scope()), Ok(()));
        }
    }

    /// Two scopes that narrow each other permit the same.
    #[test]
    fn narrowing_is_antisymmetric(a in scopes(), b in scopes()) {
        if check(&a.scope(), &b.scope()).is_ok() && check(&b.scope(), &a.scope()).is_ok() {
            prop_assert_eq!(a.scope(), b.scope());
        }
    }

    /// Each field by itself: what is refused is exactly what permits more, judged here in other words.
    #[test]
    fn narrowing_permits_exactly_what_is_not_more(outer in scopes(), inner in scopes()) {
        let set = |v: &[AccessClass]| v.iter().copied().collect::<BTreeSet<_>>();
        let minutes = |w: &Window| (w.start().unix_seconds() / 60..w.end().unix_seconds() / 60).collect::<BTreeSet<_>>();
        let not_more = inner.purpose == outer.purpose
            && set(&inner.opens).is_subset(&set(&outer.opens))
            && inner.uses <= outer.uses
            && inner.area.cells().iter().all(|c| outer.area.cells().contains(c))
            && !(inner.disclose == Disclose::Area && outer.disclose == Disclose::NextStop)
            && minutes(&inner.window).is_subset(&minutes(&outer.window));
        prop_assert_eq!(check(&outer.scope(), &inner.scope()).is_ok(), not_more);
    }

    #[test]
    fn widening_one_field_is_refused_with_that_fields_code(a in scopes(), field in 0..6_usize) {
        let mut wider = a.clone();
        let code = match field {
            0 => { wider.purpose = Purpose::Guest; "delegation_widens_purpose" }
            1 => { wider.opens.push(AccessClass::Gate); "delegation_widens_opens" }
            2 => { wider.uses += 1; "delegation_widens_uses" }
            3 => { wider.area = area(2); "delegation_widens_area" }
            4 => {
                let mut narrow = a.clone();
                narrow.disclose = Disclose::NextStop;
                wider.disclose = Disclose::Area;
                prop_assert_eq!(check(&narrow.scope(), &wider.scope()).unwrap_err().code(), "delegation_widens_disclose");
                return Ok(());
            }
            _ => {
                wider.window = Window::new(a.window.start(), a.window.end().plus_millis(1)).unwrap();
                "delegation_widens_window"
            }
        };
        prop_assert_eq!(check(&a.scope(), &wider.scope()).unwrap_err().code(), code);
    }
}

/// Text that is often almost a message.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let json = prop_oneof![
        Just(String::from("{}")),
        Just(String::from("{\"alg\":\"ES256\",\"typ\":\"psh-grant+jwt\",\"jwk\":{}}")),
        Just(String::from("{\"typ\":\"wallet\",\"aud\":\"a\"}")),
        "\\{\"[a-z]{1,8}\":(null|true|-?[0-9]{1,20}|[0-9]e[0-9]|\"[ -~]{0,9}\"|\\[\\]|\\{\\})\\}",
        (1..300_usize).prop_map(|n| "[".repeat(n)),
        (1..300_usize).prop_map(|n| "{\"a\":".repeat(n)),
    ];
    let part = prop_oneof![json.prop_map(b64), proptest::collection::vec(any::<u8>(), 0..80).prop_map(b64), ".{0,20}"];
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..400),
        proptest::collection::vec(part, 0..5).prop_map(|p| p.join(".").into_bytes()),
        ".{0,60}".prop_map(String::into_bytes),
    ]
}

/// Hands the same bytes to every reader.
fn read_everywhere(bytes: &[u8]) {
    static OPERATOR: LazyLock<TestKey> = LazyLock::new(|| TestKey::new("operator"));
    let text = String::from_utf8_lossy(bytes);
    let key = OPERATOR.verifying_key();
    let zero = Hash::from_bytes([0; 32]);
    let request = HttpRequest { method: "POST", url: "u", body: b"" };
    let refused = [
        Grant::verify(&text).is_err(),
        Delegation::peek(&text).is_err(),
        Cert::verify(&text, key, Role::Carrier, AUD, Moment::Any).is_err(),
        Keys::verify(&text, "line", AUD, Moment::Any).is_err(),
        Keys::peek_log(&text).is_err(),
        Ticket::verify(&text, key, AUD, Moment::Any).is_err(),
        Accepted::verify(&text, key, AUD, key.thumb(), Moment::Any).is_err(),
        Envelope::verify(&text, key, AUD, "r").is_err(),
        Statement::parse(bytes).is_err(),
        Assertion::parse(bytes).is_err(),
        Place::parse(bytes).is_err(),
        PhotoKey::parse(bytes).is_err(),
        Picture::parse(bytes).is_err(),
        GuestName::parse(bytes).is_err(),
        ForGuest::parse(bytes).is_err(),
        Phone::parse(bytes).is_err(),
        Rule::parse(bytes).is_err(),
        Description::parse(bytes).is_err(),
        parcelshelf_protocol::jws::VerifyingKey::parse_jwk(bytes).is_err(),
        nonce::check_challenge(&NonceKey::from_bytes([0; 32]), &text, NOW).is_err(),
        Proof::verify(
            &text,
            &ExpectedDevice { cnf: Thumbprint::from_bytes([0; 32]), seal: zero },
            &zero,
            parcelshelf_core::reason::Action::Open,
            &request,
        )
        .is_err(),
    ];
    assert!(refused.iter().all(|r| *r), "something was accepted: {text:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_reader_panics_or_accepts_noise(bytes in hostile()) {
        read_everywhere(&bytes);
    }

    /// A valid message with some bytes of its payload replaced, signed again: whatever it says, it is read or refused.
    #[test]
    fn signed_noise_is_refused_or_read(at in any::<proptest::sample::Index>(), with in "[ -~]{0,3}", cut in 0..4_usize) {
        static GRANT: LazyLock<(String, TestKey)> = LazyLock::new(|| (World::new().case().grant, TestKey::new("grant")));
        let (grant, key) = &*GRANT;
        let mut p = parts(grant, key);
        let start = at.index(p.payload.len());
        let end = (start + cut).min(p.payload.len());
        p.payload.replace_range(start..end, &with);
        if let Ok(signed) = Grant::verify(&p.signed()) {
            // Then it says what it says: written again it is read the same.
            let again = Grant::sign(signed.claims(), key).unwrap();
            prop_assert_eq!(again.claims(), signed.claims());
        }
    }
}

fn bytes_from(seed: [u8; 32]) -> impl Entropy {
    struct From([u8; 32], std::sync::atomic::AtomicU64);
    impl Entropy for From {
        fn fill(&self, into: &mut [u8]) {
            for chunk in into.chunks_mut(32) {
                let n = self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let block = domain_hash("test", &[&self.0, &n.to_be_bytes()]);
                chunk.copy_from_slice(&block.as_bytes()[..chunk.len()]);
            }
        }
    }
    From(seed, std::sync::atomic::AtomicU64::new(0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_is_opened_and_tells_no_length(
        content in proptest::collection::vec(any::<u8>(), 0..=4_092),
        seed in any::<[u8; 32]>(),
        which in 0..3_usize,
    ) {
        let purpose = [Sealed::Place, Sealed::Phone, Sealed::Rule][which];
        let keys = seal_keys("courier device seal");
        let context = Context { sender: AUD, recipient: "r", delivery: "d", seq: 3 };
        let sealed = seal::seal(&bytes_from(seed), keys.public(), purpose, &context, &content).unwrap();
        prop_assert_eq!(sealed.len(), 1 + 1_120 + 4_096 + 16);
        prop_assert_eq!(&*seal::open(&keys, purpose, &context, &sealed).unwrap(), &content);
    }

    #[test]
    fn a_box_with_any_bit_flipped_does_not_open(at in 0..1 + 1_120 + 4_096 + 16_usize, bit in 0..8_u8) {
        let keys = seal_keys("courier device seal");
        let context = Context { sender: AUD, recipient: "r", delivery: "d", seq: 3 };
        let mut sealed =
            seal::seal(&bytes_from([1; 32]), keys.public(), Sealed::Place, &context, b"here").unwrap();
        sealed[at] ^= 1 << bit;
        prop_assert!(seal::open(&keys, Sealed::Place, &context, &sealed).is_err());
    }
}

#[test]
fn sizes_grow_in_steps_and_end() {
    let keys = seal_keys("courier device seal");
    let context = Context { sender: AUD, recipient: "r", delivery: "d", seq: 0 };
    for purpose in Sealed::ALL {
        let most = purpose.content_max();
        let sealed = seal::seal(&bytes_from([2; 32]), keys.public(), purpose, &context, &vec![7; most]).unwrap();
        assert_eq!(seal::open(&keys, purpose, &context, &sealed).unwrap().len(), most);
        let more = seal::seal(&bytes_from([2; 32]), keys.public(), purpose, &context, &vec![7; most + 1]);
        assert_eq!(more.unwrap_err().code(), "box_too_large", "{}", purpose.code());
    }
    assert_eq!(Sealed::Account.box_len(65_532), Some(1 + 1_120 + 65_536 + 16));
    assert_eq!(Sealed::Account.box_len(65_533), Some(1 + 1_120 + 131_072 + 16));
}

#[test]
fn parts_of_a_context_cannot_be_shifted_into_each_other() {
    let keys = seal_keys("courier device seal");
    let context = Context { sender: "ab", recipient: "c", delivery: "d", seq: 0 };
    let sealed = seal::seal(&bytes_from([3; 32]), keys.public(), Sealed::Phone, &context, b"x").unwrap();
    let shifted = Context { sender: "a", recipient: "bc", ..context };
    assert_eq!(seal::open(&keys, Sealed::Phone, &shifted, &sealed).unwrap_err().code(), "box_not_for_this");
    let with_zero = Context { sender: "a\0b", ..context };
    assert!(seal::seal(&bytes_from([3; 32]), keys.public(), Sealed::Phone, &with_zero, b"x").is_err());
    assert_eq!(sha256("").to_string().len(), 43);
}
