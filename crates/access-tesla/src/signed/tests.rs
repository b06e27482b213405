//! Messages as they go out, and tables of replies.

use super::*;
use parcelshelf_core::actuation::Refusal;

const UUID: [u8; 16] = [7; 16];
const NO: fn(Refusal) -> Meaning = Meaning::DidNotHappen;

fn from(domain: Domain) -> Writer {
    Writer::default().message(7, Writer::default().number(1, u32::from(domain.number())))
}
fn to_us() -> Writer {
    Writer::default().message(6, Writer::default().bytes(2, &routing_address(&UUID))).bytes(50, &UUID)
}
fn meaning(asked: Asked, reply: Writer) -> Option<Meaning> {
    let bytes = [from(asked.domain()).done(), reply.done()].concat();
    Reply::to(&UUID, asked.domain(), &bytes).map(|reply| reply.meaning(asked))
}
fn content(asked: Asked, payload: Writer) -> Meaning {
    meaning(asked, to_us().bytes(10, &payload.done())).unwrap()
}

#[test]
fn what_is_asked_is_what_the_published_messages_say() {
    assert_eq!(Asked::Lock.payload(), [0x10, 0x01]);
    assert_eq!(Asked::Trunk.payload(), [0x22, 0x02, 0x28, 0x01], "rear trunk, MOVE");
    assert_eq!(Asked::Flash.payload(), [0x12, 0x03, 0xd2, 0x01, 0x00]);
}

#[test]
fn only_a_reply_to_this_request_is_one() {
    let done = Some(Meaning::Done);
    assert_eq!(meaning(Asked::Lock, to_us()), done, "no content is success");
    assert_eq!(meaning(Asked::Lock, Writer::default().bytes(50, &UUID)), done);
    let stranger = Writer::default().message(6, Writer::default().bytes(2, &[9; 16]));
    for reply in [
        Writer::default(),
        Writer::default().bytes(50, b""),
        Writer::default().bytes(50, &[8; 16]),
        stranger.clone(),
        stranger.bytes(50, &UUID),
        Writer::default().bytes(50, &UUID).bytes(50, &UUID),
        Writer::default().number(50, 7),
    ] {
        assert_eq!(meaning(Asked::Lock, reply.clone()), None, "{reply:?}");
    }
    for bytes in
        [&b"\xff\xff"[..], b"{}", &to_us().done(), &[from(Domain::Infotainment).done(), to_us().done()].concat()]
    {
        assert!(Reply::to(&UUID, Domain::VehicleSecurity, bytes).is_none(), "another domain's, or nobody's");
    }
}

#[test]
fn faults_are_a_no_only_where_nothing_can_have_moved() {
    let fault = |n| meaning(Asked::Trunk, to_us().message(12, Writer::default().number(1, 2).number(2, n))).unwrap();
    for owner in [3, 4, 7, 21] {
        assert_eq!(fault(owner), NO(Refusal::OwnerActionNeeded), "{owner}");
    }
    for refused in [1, 5, 15, 17, 20] {
        assert_eq!(fault(refused), NO(Refusal::MakerRefused), "{refused}");
    }
    // Timeout, internal, a counter that was used (perhaps by these very bytes), and what nobody has listed.
    for unknown in [2, 6, 11, 26, 99] {
        assert_eq!(fault(unknown), Meaning::Unknown, "{unknown}");
    }
    for operation in [1, 2, 9] {
        let status = to_us().message(12, Writer::default().number(1, operation));
        assert_eq!(meaning(Asked::Trunk, status), Some(Meaning::Unknown), "wait, and errors without a name");
    }
}

#[test]
fn the_cars_own_errors_are_read_and_strange_content_is_unknown() {
    let error = |asked, n| content(asked, Writer::default().message(46, Writer::default().number(1, n)));
    assert_eq!(error(Asked::Lock, 2), NO(Refusal::NotClosed));
    assert_eq!(error(Asked::Lock, 3), Meaning::Done, "it is locked already");
    assert_eq!(error(Asked::Trunk, 3), Meaning::Unknown);
    assert_eq!(error(Asked::Trunk, 5), NO(Refusal::InUse));
    assert_eq!(error(Asked::Trunk, 6), NO(Refusal::OwnerActionNeeded));
    assert_eq!(error(Asked::Trunk, 1), Meaning::Unknown);
    assert_eq!(error(Asked::Trunk, 77), Meaning::Unknown);
    let status = |n| content(Asked::Trunk, Writer::default().message(4, Writer::default().number(1, n)));
    assert_eq!((status(0), status(1), status(2)), (Meaning::Done, Meaning::Unknown, Meaning::Unknown));
    assert_eq!(content(Asked::Trunk, Writer::default().message(1, Writer::default())), Meaning::Unknown);
    assert_eq!(meaning(Asked::Trunk, to_us().bytes(10, b"\xff")), Some(Meaning::Unknown));
    let encrypted = to_us().message(13, Writer::default().message(9, Writer::default()));
    assert_eq!(meaning(Asked::Trunk, encrypted), Some(Meaning::Unknown), "nobody asked for that");
    let info_only = to_us().bytes(15, b"");
    assert_eq!(meaning(Asked::Trunk, info_only), Some(Meaning::Unknown), "it was not heard as a command");
    let flash = |n| content(Asked::Flash, Writer::default().message(1, Writer::default().number(1, n)));
    assert_eq!((flash(0), flash(1), flash(2)), (Meaning::Done, NO(Refusal::CarFailed), Meaning::Unknown));
}

#[test]
fn bodies_that_hold_no_message_give_none() {
    for body in ["", "{}", r#"{"response":null}"#, r#"{"response":"!"}"#, r#"{"response":"AA==","response":"AA=="}"#] {
        assert_eq!(message_in(Some(body.as_bytes())), None, "{body}");
    }
    let long = format!(r#"{{"response":"{}"}}"#, "A".repeat(40_000));
    assert_eq!(message_in(Some(long.as_bytes())), None);
    assert_eq!(message_in(None), None);
    assert_eq!(message_in(Some(br#"{"response":"AQI="}"#)), Some(vec![1, 2]));
}

#[test]
fn any_bytes_are_read_or_refused_and_a_bent_refusal_is_never_a_yes() {
    let key = CommandKey::from_scalar(&[3; 32]).unwrap();
    let vin = Vin::parse("5YJ3E1EA7KF000316").unwrap();
    let now = Timestamp::from_unix_seconds(1_795_446_000);
    let good = to_us().message(12, Writer::default().number(1, 2).number(2, 15)).bytes(15, &[8, 6, 18, 65]);
    let good = [from(Domain::VehicleSecurity).done(), good.done()].concat();
    let mut read = 0;
    for round in 0_u32..20_000 {
        let noise = Sha256::digest(round.to_be_bytes());
        // Noise alone, and a refusal with one byte bent, now and then cut short.
        let mut bent = good.clone();
        bent[usize::from(noise[0]) % good.len()] ^= noise[1];
        bent.truncate(good.len() - usize::from(noise[2] == 0));
        for bytes in [&noise[..usize::from(noise[3]) % 33], &bent] {
            let _ = uuid_of(bytes);
            assert!(Session::opened(&key, &vin, &UUID, bytes, &noise, now).is_err(), "no session without its tag");
            let Some(reply) = Reply::to(&UUID, Domain::VehicleSecurity, bytes) else { continue };
            read += 1;
            assert!(!matches!(reply.session(&key, &vin, &UUID, now), Ok(Some(_))));
            for asked in [Asked::Trunk, Asked::Lock] {
                assert_ne!(reply.meaning(asked), Meaning::Done, "no single byte makes a refusal a yes: {bytes:?}");
            }
        }
    }
    assert!(read > 1_000, "some of it must get past the door");
}
