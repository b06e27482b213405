//! The chain, told as stories: one valid chain, and what happens when one thing is different.

use crate::support::{AUD, Case, NOW, TestKey, World, area, id, window};
use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::id::{AccessPointId, DeliveryId};
use parcelshelf_core::reason::{Action, Purpose};
use parcelshelf_protocol::cert::{Cert, Role};
use parcelshelf_protocol::encoding::{b64, from_b64};
use parcelshelf_protocol::grant::Grant;
use parcelshelf_protocol::grant::{Disclose, Schedule, Scoped, Weekday};
use parcelshelf_protocol::jws::Moment;
use parcelshelf_protocol::nonce::NonceKey;
use parcelshelf_protocol::request::Ticket;

#[test]
fn a_courier_with_the_right_phone_is_let_in() {
    let chain = World::new().case().verify().unwrap();
    assert_eq!(chain.delivery(), Some(DeliveryId::from_bytes(id("delivery"))));
    assert_eq!(chain.action(), Action::Open);
    assert_eq!(chain.scope().opens, [AccessClass::TailgateWithCabin]);
    assert_eq!(chain.last_link(), chain.delegation().unwrap().hash());
}

#[test]
fn an_owner_rehearses_without_a_carrier() {
    let chain = World::rehearsal().case().verify().unwrap();
    assert!(chain.delegation().is_none());
    assert_eq!(chain.device(), chain.grant().claims().cnf);
}

#[test]
fn a_rehearsal_is_signed_by_the_device_that_the_owner_named() {
    let mut w = World::rehearsal();
    w.courier = TestKey::new("somebody else's phone");
    assert_eq!(w.case().code(), "proof_wrong_device");
}

#[test]
fn a_delegation_cannot_hang_on_a_rehearsal() {
    let mut w = World::rehearsal();
    let mut d = World::new().delegation.unwrap();
    d.purpose = Purpose::Rehearsal;
    w.delegation = Some(d);
    assert_eq!(w.case().code(), "delegation_not_allowed");
}

#[test]
fn a_grant_for_a_carrier_is_no_use_without_a_delegation() {
    let mut case = World::new().case();
    case.delegation = None;
    assert_eq!(case.code(), "delegation_needed");
}

#[test]
fn a_standing_rule_covers_a_delivery_that_it_does_not_name() {
    let mut w = World::new();
    w.grant.request = None;
    w.grant.window = window(-1_440, 80 * 1_440);
    let schedule =
        Schedule { zone: "Europe/Stockholm".into(), days: vec![Weekday::Monday], from_minute: 480, to_minute: 1_080 };
    w.grant.scoped = Scoped::Standing { merchants: vec!["bookshop".into()], schedule };
    assert_eq!(w.case().code(), "ok");
}

#[test]
fn locking_is_not_refused_for_time() {
    let mut w = World::new();
    w.action = Action::Lock;
    let mut case = w.case();
    case.now_ms += 86_400_000;
    case.any_time = true;
    assert_eq!(case.code(), "ok");
}

#[test]
fn each_field_that_a_delegation_widens_has_its_code() {
    let widened: [(&str, fn(&mut World)); 6] = [
        ("delegation_widens_purpose", |w| d(w).purpose = Purpose::Pickup),
        ("delegation_widens_opens", |w| d(w).opens.push(AccessClass::Cabin)),
        ("delegation_widens_uses", |w| d(w).uses = 2),
        ("delegation_widens_area", |w| d(w).area = area(2)),
        ("delegation_widens_disclose", |w| d(w).disclose = Disclose::Area),
        ("delegation_widens_window", |w| {
            w.grant.window = window(-60, 20);
        }),
    ];
    for (code, change) in widened {
        let mut w = World::new();
        change(&mut w);
        assert_eq!(w.case().code(), code);
    }
}
fn d(w: &mut World) -> &mut parcelshelf_protocol::delegation::DelegationClaims {
    w.delegation.as_mut().unwrap()
}

#[test]
fn a_delegation_may_be_narrower() {
    let mut w = World::new();
    w.grant.opens = vec![AccessClass::SeparateTrunk, AccessClass::TailgateWithCabin];
    w.grant.disclose = Disclose::Area;
    d(&mut w).area = area(0);
    d(&mut w).uses = 0;
    assert_eq!(w.case().code(), "ok");
}

#[test]
fn a_stolen_proof_is_no_use_elsewhere() {
    let good = World::new().case();
    for (code, change) in [
        ("proof_wrong_url", |c: &mut Case| c.url.push('x')),
        ("proof_wrong_method", |c| c.method = "GET".into()),
        ("proof_wrong_action", |c| c.action = "locate".into()),
        ("proof_wrong_body", |c| c.body = b64("{}")),
        ("nonce_expired", |c| c.now_ms += 15_000),
        ("nonce_foreign", |c| c.nonce_key = b64([9; 32])),
    ] as [(&str, fn(&mut Case)); 6]
    {
        let mut case = good.clone();
        change(&mut case);
        assert_eq!(case.code(), code);
    }
    let mut query = good.clone();
    query.url.push_str("?ignored#too");
    assert_eq!(query.code(), "ok", "query and fragment are not covered (RFC 9449)");
}

#[test]
fn a_nonce_is_spent_once() {
    let mut case = World::new().case();
    let nonce = case.verify().unwrap().fresh(&key(&case.nonce_key), NOW).unwrap();
    assert_eq!(case.code(), "ok", "looking does not spend");
    case.used_nonces.push(b64(nonce.id));
    assert_eq!(case.code(), "nonce_replayed");
}
fn key(text: &str) -> NonceKey {
    NonceKey::from_bytes(from_b64(text).unwrap().try_into().unwrap())
}

#[test]
fn another_access_point_has_other_passkeys() {
    let mut case = World::new().case();
    case.access_point = AccessPointId::from_bytes([1; 16]).to_string();
    assert_eq!(case.code(), "grant_wrong_access_point");
    let mut case = World::new().case();
    case.passkeys.clear();
    assert_eq!(case.code(), "assertion_unknown_credential");
}

#[test]
fn a_second_carrier_cannot_use_what_was_granted_to_the_first() {
    let mut w = World::new();
    let other = TestKey::new("another carrier root");
    w.carrier_cert.key = parcelshelf_protocol::jws::Sign::verifying_key(&other).clone();
    for c in [&mut w.delegation_cert, &mut w.depot_cert] {
        c.issuer = other.thumb();
    }
    w.root = other.clone();
    d(&mut w).iss = other.thumb();
    w.request.iss = other.thumb();
    assert_eq!(w.case().code(), "grant_wrong_carrier");
}

#[test]
fn a_phone_enrolled_at_another_carriers_depot_is_refused() {
    let mut w = World::new();
    let other = TestKey::new("another depot");
    w.device_cert.issuer = other.thumb();
    w.depot = other;
    // The depot's own certificate still names the first depot's key.
    assert_eq!(w.case().code(), "cert_wrong_key");
}

#[test]
fn any_flipped_byte_of_any_link_is_refused() {
    let good = World::new().case();
    let flip = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        String::from_utf8(bytes).ok()
    };
    let fields: [(&str, fn(&mut Case) -> &mut String); 5] = [
        ("grant", |c| &mut c.grant),
        ("assertion", |c| &mut c.assertion),
        ("delegation", |c| c.delegation.as_mut().unwrap()),
        ("proof", |c| &mut c.proof),
        ("device_cert", |c| &mut c.device_cert),
    ];
    for (name, field) in fields {
        let len = field(&mut good.clone()).len();
        for at in (0..len).step_by(7) {
            let mut case = good.clone();
            let Some(changed) = flip(field(&mut case), at) else { continue };
            *field(&mut case) = changed;
            assert_ne!(case.code(), "ok", "{name}, byte {at}");
        }
    }
}

#[test]
fn an_owner_confirms_what_was_asked() {
    let w = World::new();
    let request_jws = w.signed_request();
    let case = w.case();
    let ticket = Ticket::join(&request_jws, &case.delegation_cert, &case.carrier_cert);
    let operator = parcelshelf_protocol::jws::Sign::verifying_key(&w.operator);
    let ticket = Ticket::verify(&ticket, operator, AUD, Moment::Posted(NOW)).unwrap();
    let chain = case.verify().unwrap();
    assert_eq!(chain.grant().check_answers(&ticket.request), Ok(()));
    assert_eq!(chain.grant().check_rule(&w.rule), Ok(()));
    assert_eq!(chain.grant().check_seal_key(w.grant_seal.public()), Ok(()));

    let mut other = World::new();
    other.request.order_digits = "4712".into();
    let swapped = parcelshelf_protocol::request::Request::sign(&other.request, &w.delegation_key).unwrap();
    assert_eq!(chain.grant().check_answers(&swapped).unwrap_err().code(), "grant_wrong_request");
    other.rule.salt = [0; 16];
    assert_eq!(chain.grant().check_rule(&other.rule).unwrap_err().code(), "grant_wrong_rule");
    assert_eq!(chain.grant().check_seal_key(w.courier_seal.public()).unwrap_err().code(), "grant_wrong_seal_key");
}

#[test]
fn certificates_live_as_long_as_their_role_allows() {
    for (name, days) in [("carrier_cert", 1_830), ("delegation_cert", 30), ("depot_cert", 400), ("device_cert", 400)] {
        let w = World::new();
        let exp = |extra: i64| NOW.plus_seconds((days - 1) * 86_400 + extra).unix_seconds().to_string();
        let lengthened = w.case_with(&|what, p| {
            if what == name {
                p.set("exp", &exp(1));
            }
        });
        assert_eq!(lengthened.code(), "cert_wrong_lifetime", "{name}");
    }
    let role = Cert::verify(
        &World::new().cert("depot_cert"),
        parcelshelf_protocol::jws::Sign::verifying_key(&World::new().root),
        Role::Delegation,
        AUD,
        Moment::Any,
    );
    assert_eq!(role.unwrap_err().code(), "cert_wrong_role");
}

#[test]
fn a_verified_grant_cannot_be_had_without_an_assertion() {
    // The signed form has no claim to authority: only `confirm` makes a `VerifiedGrant`.
    let w = World::new();
    let case = w.case();
    let signed = Grant::verify(&case.grant).unwrap();
    assert_eq!(signed.claims().aud, AUD);
    let other = w.assertion(&parcelshelf_protocol::encoding::sha256("another grant"), &|_, _| {});
    let rp = parcelshelf_protocol::webauthn::RelyingParty { rp_id: case.rp_id.clone(), origins: case.origins.clone() };
    let passkeys = [parcelshelf_protocol::webauthn::Passkey {
        credential_id: w.credential_id.clone(),
        key: parcelshelf_protocol::jws::Sign::verifying_key(&w.passkey).clone(),
    }];
    let refused = signed.confirm(&other, &passkeys, &rp, AUD, Moment::Used(NOW)).unwrap_err();
    assert_eq!(refused.code(), "assertion_wrong_challenge");
}

#[test]
fn a_delegation_names_only_labels_that_were_announced_in_their_direction() {
    let mut w = World::new();
    let (request, announced) = (w.request.clone(), d(&mut w).clone());
    assert_eq!(announced.check_announced(&request), Ok(()));
    let mut other = announced.clone();
    other.put.push(parcelshelf_protocol::encoding::sha256("a parcel of another address"));
    let mut turned = announced;
    turned.take = std::mem::take(&mut turned.put);
    for claims in [other, turned] {
        assert_eq!(claims.check_announced(&request).unwrap_err().code(), "delegation_widens_labels");
    }
}
