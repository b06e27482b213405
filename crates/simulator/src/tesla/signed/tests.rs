//! What a car lets in: messages built here by hand, each with one thing wrong.

use super::*;

const VIN: &str = "5YJ3E1EA7KF000316";
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_795_446_000 + seconds)
}
fn car() -> Security {
    Security::of(1, VIN, at(-100)).unwrap()
}

/// A caller with a key of its own, who signs whatever it is told.
struct Caller {
    private: PrivateKey,
    public: Vec<u8>,
}
/// One message; every part can be bent.
#[derive(Clone)]
struct Draft {
    vin: &'static str,
    domain: u8,
    epoch: [u8; 16],
    counter: u32,
    expires_at: u32,
    payload: Vec<u8>,
}
const TRUNK: [u8; 4] = [0x22, 0x02, 0x28, 0x01];

impl Caller {
    fn new(scalar: u8) -> Self {
        let private = PrivateKey::from_private_key(&ECDH_P256, &[scalar; 32]).unwrap();
        let public = private.compute_public_key().unwrap().as_ref().to_vec();
        Self { private, public }
    }
    fn draft(&self, car: &Security) -> Draft {
        Draft {
            vin: VIN,
            domain: VEHICLE_SECURITY,
            epoch: car.epoch,
            counter: 1,
            expires_at: 110,
            payload: TRUNK.to_vec(),
        }
    }
    fn sign(&self, draft: &Draft, car: &Security) -> Vec<u8> {
        let shared = agree(&self.private, UnparsedPublicKey::new(&ECDH_P256, &car.public), (), |x| {
            Ok(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, x).as_ref()[..16].to_vec())
        })
        .unwrap();
        let (expires, counter) = (draft.expires_at.to_be_bytes(), draft.counter.to_be_bytes());
        let domain = [draft.domain];
        let values: [(u8, &[u8]); 6] =
            [(0, &[8]), (1, &domain), (2, draft.vin.as_bytes()), (3, &draft.epoch), (4, &expires), (5, &counter)];
        let tag = keyed(&keyed(&shared, b"authenticated command"), &described(&values, &draft.payload));
        let mut signed = Vec::new();
        with_bytes(&mut signed, 1, &draft.epoch);
        with_number(&mut signed, 2, draft.counter);
        put_number(&mut signed, 3 << 3 | 5);
        signed.extend_from_slice(&draft.expires_at.to_le_bytes());
        with_bytes(&mut signed, 4, &tag);
        let (mut identity, mut signature, mut to, mut from, mut all) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        with_bytes(&mut identity, 1, &self.public);
        with_bytes(&mut signature, 1, &identity);
        with_bytes(&mut signature, 8, &signed);
        with_number(&mut to, 1, u32::from(draft.domain));
        with_bytes(&mut from, 2, &[7; 16]);
        with_bytes(&mut all, 6, &to);
        with_bytes(&mut all, 7, &from);
        with_bytes(&mut all, 10, &draft.payload);
        with_bytes(&mut all, 13, &signature);
        with_bytes(&mut all, 51, &[5; 16]);
        all
    }
}
fn fault(came: &Came) -> u32 {
    match came {
        Came::Refused(fault, _) => *fault,
        Came::Command(_) => 0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_that_was_signed_once_runs_once() {
    let (mut car, caller) = (car(), Caller::new(3));
    let message = caller.sign(&caller.draft(&car), &car);
    let first = car.take(&message, VIN, Some(&caller.public), at(0));
    assert!(matches!(&first, Came::Command(heard) if heard.order == Order::RearTrunk), "{first:?}");
    assert_eq!(fault(&car.take(&message, VIN, Some(&caller.public), at(1))), REPEATED_COUNTER);
    let later = Draft { counter: 5, ..caller.draft(&car) };
    assert_eq!(fault(&car.take(&caller.sign(&later, &car), VIN, Some(&caller.public), at(1))), 0, "gaps are no matter");
    let earlier = Draft { counter: 4, ..later };
    assert_eq!(fault(&car.take(&caller.sign(&earlier, &car), VIN, Some(&caller.public), at(1))), INVALID_COUNTER);
}

#[test]
fn one_thing_wrong_is_enough_and_uses_up_nothing() {
    let (mut car, caller, stranger) = (car(), Caller::new(3), Caller::new(4));
    let good = caller.draft(&car);
    for (draft, expected) in [
        (Draft { epoch: [0; 16], ..good.clone() }, INCORRECT_EPOCH),
        (Draft { vin: "5YJ3E1EA7KF000317", ..good.clone() }, INVALID_SIGNATURE),
        (Draft { expires_at: 100, ..good.clone() }, EXPIRED),
        (Draft { expires_at: 100_000, ..good.clone() }, LIVES_TOO_LONG),
        (Draft { domain: 4, ..good.clone() }, INVALID_DOMAIN),
    ] {
        let message = caller.sign(&draft, &car);
        assert_eq!(fault(&car.take(&message, VIN, Some(&caller.public), at(0))), expected);
    }
    let mut bent = caller.sign(&good, &car);
    let trunk = bent.windows(4).position(|w| w == TRUNK).unwrap();
    bent[trunk + 3] = 4;
    assert_eq!(fault(&car.take(&bent, VIN, Some(&caller.public), at(0))), INVALID_SIGNATURE);
    let theirs = stranger.sign(&good, &car);
    assert_eq!(fault(&car.take(&theirs, VIN, Some(&caller.public), at(0))), UNKNOWN_KEY);
    assert_eq!(fault(&car.take(&caller.sign(&good, &car), VIN, None, at(0))), UNKNOWN_KEY, "nobody was let in");
    assert_eq!(
        fault(&car.take(&caller.sign(&good, &car), VIN, Some(&caller.public), at(0))),
        0,
        "the counter was free"
    );
    for nonsense in [&b"\xff"[..], b"", b"{}"] {
        assert_eq!(car.take(nonsense, VIN, Some(&caller.public), at(0)), Came::Nonsense);
    }
}

#[test]
fn a_restart_makes_old_commands_worthless() {
    let (mut car, caller) = (car(), Caller::new(3));
    let message = caller.sign(&caller.draft(&car), &car);
    car.restart(at(0));
    assert_eq!(fault(&car.take(&message, VIN, Some(&caller.public), at(0))), INCORRECT_EPOCH);
}
