//! Chains, good and bad: each differs from the valid one in one thing.

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::reason::{Action, Purpose};
use parcelshelf_protocol::encoding::{b64, from_b64};
use parcelshelf_protocol::grant::{Disclose, Schedule, Scoped, Weekday};
use parcelshelf_protocol::jws::Sign as _;

use crate::support::{Case, NOW, ORIGIN, Parts, TestKey, World, area, id, published, window};

pub struct Named {
    pub name: &'static str,
    pub about: &'static str,
    pub expect: &'static str,
    pub case: Case,
}

#[derive(Default)]
struct List(Vec<Named>);
impl List {
    fn push(&mut self, name: &'static str, about: &'static str, expect: &'static str, case: Case) {
        self.0.push(Named { name, about, expect, case });
    }
    /// The parties say something else.
    fn world(&mut self, name: &'static str, expect: &'static str, about: &'static str, change: fn(&mut World)) {
        let mut w = World::new();
        change(&mut w);
        self.push(name, about, expect, w.case());
    }
    /// One message is changed before it is signed.
    fn signed(
        &mut self,
        what: &str,
        name: &'static str,
        expect: &'static str,
        about: &'static str,
        edit: fn(&mut Parts),
    ) {
        let case = World::new().case_with(&|message, parts| {
            if message == what {
                edit(parts);
            }
        });
        self.push(name, about, expect, case);
    }
    /// Something is changed after all is signed, or the keyholder knows something else.
    fn after(&mut self, name: &'static str, expect: &'static str, about: &'static str, change: fn(&mut Case)) {
        let mut case = World::new().case();
        change(&mut case);
        self.push(name, about, expect, case);
    }
}

pub fn all() -> Vec<Named> {
    let mut list = List::default();
    good(&mut list);
    grant_form(&mut list);
    grant_sense(&mut list);
    assertion(&mut list);
    delegation(&mut list);
    certificates(&mut list);
    proof(&mut list);
    list.0
}

fn delegation_of(w: &mut World) -> &mut parcelshelf_protocol::delegation::DelegationClaims {
    w.delegation.as_mut().unwrap()
}
/// Replaces one part of a compact message.
fn with_part(jws: &str, at: usize, part: &str) -> String {
    let mut parts: Vec<&str> = jws.split('.').collect();
    parts[at] = part;
    parts.join(".")
}

fn good(l: &mut List) {
    l.world("delivery", "ok", "a courier opens for a delivery", |_| {});
    l.push("rehearsal", "the owner's own device, links 0 and 2", "ok", World::rehearsal().case());
    l.world("narrower", "ok", "less area, fewer classes, no use", |w| {
        w.grant.opens = vec![AccessClass::SeparateTrunk, AccessClass::TailgateWithCabin];
        delegation_of(w).area = area(0);
        delegation_of(w).uses = 0;
    });
    l.world("standing_rule", "ok", "a rule for weekly hours, a delivery that it does not name", |w| {
        w.grant.request = None;
        w.grant.window = window(-1_440, 80 * 1_440);
        w.grant.scoped = Scoped::Standing {
            merchants: vec!["bookshop".into()],
            schedule: Schedule {
                zone: "Europe/Stockholm".into(),
                days: vec![Weekday::Monday, Weekday::Friday],
                from_minute: 480,
                to_minute: 1_440,
            },
        };
    });
    l.signed(
        "grant",
        "white_space",
        "ok",
        "white space between members: the bytes received are what is verified",
        |p| {
            p.payload = p.payload.replace(",\"", " ,\n\"");
        },
    );
    l.signed("client_data", "client_data_more_members", "ok", "browsers may add members to client data", |p| {
        p.add("\"other_keys_can_be_added_here\":\"do not compare clientDataJSON against a template\"");
    });
    l.after("high_s", "ok", "the other value of s is as good: phones and passkeys make both", |c| {
        let mut signature = from_b64(c.proof.rsplit('.').next().unwrap()).unwrap();
        let s = negated(&signature[32..]);
        signature[32..].copy_from_slice(&s);
        c.proof = with_part(&c.proof, 2, &b64(signature));
    });
    let mut w = World::new();
    w.action = Action::Lock;
    let mut late = w.case();
    late.now_ms += 86_400_000;
    late.any_time = true;
    l.push("lock_next_day", "locking is never refused for time", "ok", late);
}

/// `n - s` for the order n of P-256.
fn negated(s: &[u8]) -> Vec<u8> {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut out = vec![0; 32];
    let mut borrow = 0;
    for i in (0..32).rev() {
        let d = i32::from(N[i]) - i32::from(s[i]) - borrow;
        borrow = i32::from(d < 0);
        out[i] = (d & 0xff) as u8;
    }
    out
}

fn grant_form(l: &mut List) {
    l.signed("grant", "grant_over_length", "grant_too_long", "more than 16 KiB, all of it white space", |p| {
        p.payload.insert_str(1, &" ".repeat(13_000));
    });
    l.after("grant_two_parts", "grant_not_compact", "two parts", |c| {
        c.grant = c.grant.split_once('.').unwrap().1.replacen('.', "", 1);
    });
    l.after("grant_four_parts", "grant_not_compact", "four parts", |c| c.grant.push_str(".AA"));
    l.after("grant_padding", "grant_not_base64url", "padding characters", |c| c.grant.push('='));
    l.after("grant_stray_bits", "grant_not_base64url", "a second spelling of the same bytes", |c| {
        let last = c.grant.pop().unwrap();
        c.grant.push(char::from(last as u8 + 1));
    });
    l.after("grant_other_alphabet", "grant_not_base64url", "+ instead of -", |c| c.grant.replace_range(5..6, "+"));
    l.signed("grant", "grant_not_json", "grant_not_json", "a comma too many", |p| p.swap("{", "{,"));
    l.signed("grant", "grant_two_values", "grant_not_json", "something after the object", |p| p.payload.push_str("{}"));
    l.signed("grant", "grant_array", "grant_not_an_object", "an array at the top", |p| {
        p.payload = format!("[{}]", p.payload);
    });
    l.signed("grant", "grant_array_for_object", "grant_not_an_object", "an array where an object is expected", |p| {
        let thumb = TestKey::new("carrier root").thumb();
        p.set("cnf", &format!("[\"{thumb}\"]"));
    });
    l.signed("grant", "grant_duplicate", "grant_duplicate_member", "a member twice, both times the same", |p| {
        p.add("\"uses\":1");
    });
    l.signed(
        "grant",
        "grant_duplicate_escaped",
        "grant_duplicate_member",
        "the second time spelled with an escape",
        |p| {
            p.add("\"\\u0075ses\":9");
        },
    );
    l.signed("grant", "grant_duplicate_deep", "grant_duplicate_member", "a member twice inside cnf", |p| {
        p.swap("{\"jkt\":", "{\"jkt\":\"\",\"jkt\":");
    });
    l.signed("grant", "grant_duplicate_header", "grant_duplicate_member", "alg twice in the header", |p| {
        p.swap_header("{", "{\"alg\":\"none\",");
    });
    l.signed("grant", "grant_unknown", "grant_unknown_member", "a member that a grant does not have", |p| {
        p.add("\"note\":\"\"");
    });
    l.signed("grant", "grant_unknown_deep", "grant_unknown_member", "a member that cnf does not have", |p| {
        p.swap("{\"jkt\":", "{\"kid\":\"\",\"jkt\":");
    });
    l.signed("grant", "grant_missing", "grant_missing_member", "no area", |p| p.remove("area"));
    l.signed("grant", "grant_float", "grant_not_an_integer", "a fraction for an integer", |p| p.set("uses", "1.0"));
    l.signed("grant", "grant_exponent", "grant_not_an_integer", "an exponent", |p| p.set("uses", "1e0"));
    l.signed("grant", "grant_huge_number", "grant_not_an_integer", "beyond 2^53", |p| {
        p.set("exp", "9007199254740993");
    });
    l.signed("grant", "grant_text_for_number", "grant_wrong_member", "a text where a number is expected", |p| {
        p.set("uses", "\"1\"");
    });
    l.signed("grant", "grant_null", "grant_wrong_member", "null where a text is expected", |p| {
        p.set("purpose", "null")
    });
    l.signed("grant", "grant_deep", "grant_too_deep", "nine levels", |p| p.add("\"x\":[[[[[[[[0]]]]]]]]"));
    l.signed("grant", "grant_alg_none", "grant_wrong_algorithm", "alg none", |p| p.swap_header("ES256", "none"));
    l.after("grant_alg_none_unsigned", "grant_wrong_algorithm", "alg none and no signature", |c| {
        let header = String::from_utf8(from_b64(c.grant.split('.').next().unwrap()).unwrap()).unwrap();
        c.grant = with_part(&c.grant, 0, &b64(header.replace("ES256", "none")));
        c.grant = with_part(&c.grant, 2, "");
    });
    l.signed("grant", "grant_alg_hs256", "grant_wrong_algorithm", "a secret-key algorithm", |p| {
        p.swap_header("ES256", "HS256");
    });
    l.signed("grant", "grant_alg_eddsa", "grant_wrong_algorithm", "another key's algorithm", |p| {
        p.swap_header("ES256", "EdDSA");
    });
    l.signed("grant", "grant_wrong_typ", "grant_wrong_type", "another kind of message", |p| {
        p.swap_header("psh-grant+jwt", "psh-request+jwt");
    });
    l.signed("grant", "grant_no_typ", "grant_missing_member", "no typ", |p| {
        p.swap_header("\"typ\":\"psh-grant+jwt\",", "");
    });
    l.signed("grant", "grant_crit", "grant_unknown_header", "a critical header", |p| {
        p.swap_header("{", "{\"crit\":[\"exp\"],");
    });
    l.signed("grant", "grant_kid_and_jwk", "grant_unknown_header", "kid beside jwk", |p| {
        p.swap_header("{", "{\"kid\":\"x\",");
    });
    l.signed("grant", "grant_key_off_curve", "grant_wrong_key", "a point that is not on the curve", |p| {
        let y = b64(&p.key.verifying_key().point()[33..]);
        p.swap_header(&y, &b64([1; 32]));
    });
    l.signed("grant", "grant_key_with_secret", "grant_unknown_member", "a private key in the header", |p| {
        p.swap_header("\"kty\"", "\"d\":\"AA\",\"kty\"");
    });
    l.signed("grant", "grant_signed_by_other", "grant_bad_signature", "signed by another key than the header's", |p| {
        p.key = TestKey::new("somebody");
    });
    l.after("grant_signature_der", "grant_bad_signature", "a DER signature, 70 bytes", |c| {
        c.grant = with_part(&c.grant, 2, &b64([0x30; 70]));
    });
    l.after("grant_signature_zero", "grant_bad_signature", "r and s zero", |c| {
        c.grant = with_part(&c.grant, 2, &b64([0; 64]));
    });
    l.after("grant_payload_tampered", "grant_bad_signature", "another window, the old signature", |c| {
        let payload = String::from_utf8(from_b64(c.grant.split('.').nth(1).unwrap()).unwrap()).unwrap();
        let exp = NOW.plus_seconds(180 * 60).unix_seconds();
        let later = payload.replace(&exp.to_string(), &(exp + 60).to_string());
        assert_ne!(later, payload);
        c.grant = with_part(&c.grant, 1, &b64(later));
    });
}

fn grant_sense(l: &mut List) {
    l.signed("grant", "grant_other_issuer", "grant_wrong_issuer", "iss is not the header key's thumbprint", |p| {
        let other = TestKey::new("somebody").thumb();
        p.set("iss", &format!("\"{other}\""));
    });
    l.world("grant_other_keyholder", "grant_wrong_audience", "made for another keyholder", |w| {
        w.grant.aud = "https://other.example".into();
    });
    l.world("grant_tomorrow", "grant_not_yet", "its window begins in an hour", |w| w.grant.window = window(60, 120));
    l.world("grant_from_the_future", "grant_not_yet", "made two minutes from now", |w| {
        w.grant.iat = NOW.plus_seconds(120);
    });
    l.world("grant_over", "grant_expired", "its window ended a second ago", |w| {
        w.grant.window = parcelshelf_core::time::Window::new(NOW.plus_seconds(-60), NOW.plus_seconds(-1)).unwrap();
    });
    l.world("grant_ends_now", "grant_expired", "the end of a window is outside it", |w| {
        w.grant.window = window(-60, 0);
    });
    l.signed("grant", "grant_too_long_lived", "grant_wrong_lifetime", "more than 24 hours for one delivery", |p| {
        p.set("exp", &NOW.plus_seconds(90_000).unix_seconds().to_string());
    });
    l.signed("grant", "grant_backwards", "grant_wrong_lifetime", "exp before nbf", |p| p.set("exp", "1"));
    l.signed("grant", "grant_uses_twice", "grant_wrong_member", "two uses", |p| p.set("uses", "2"));
    l.signed("grant", "grant_empty_area", "grant_wrong_member", "no cell", |p| p.set("area", "[]"));
    l.signed("grant", "grant_fine_area", "grant_wrong_member", "a cell of resolution 9, which would be a place", |p| {
        p.set("area", "[\"891f24ad47bffff\"]");
    });
    l.signed("grant", "grant_unsorted_opens", "grant_wrong_member", "classes out of order", |p| {
        p.set("opens", "[\"cabin\",\"trunk\"]");
    });
    l.signed("grant", "grant_unknown_class", "grant_wrong_member", "a class that does not exist", |p| {
        p.set("opens", "[\"hood\"]");
    });
    l.signed("grant", "grant_without_request", "grant_wrong_member", "a delivery without its request", |p| {
        p.remove("request");
    });
    l.signed(
        "grant",
        "grant_delivery_and_rule",
        "grant_unknown_member",
        "one delivery and a standing rule at once",
        |p| {
            p.add("\"merchants\":[\"bookshop\"]");
        },
    );
    l.after("grant_other_access_point", "grant_wrong_access_point", "used for another access point", |c| {
        c.access_point = b64(id("another access point"));
    });
    l.world("grant_other_carrier", "grant_wrong_carrier", "given to another carrier", |w| {
        w.grant.cnf = TestKey::new("another carrier root").thumb();
    });
}

fn assertion(l: &mut List) {
    l.after("assertion_other_credential", "assertion_unknown_credential", "no passkey of this access point", |c| {
        c.passkeys[0].0 = b64(published("another credential id"));
    });
    l.after("assertion_other_key", "assertion_bad_signature", "the registered key is another", |c| {
        c.passkeys[0].1 = TestKey::new("somebody").verifying_key().to_jwk();
    });
    l.signed("client_data", "assertion_signed_by_other", "assertion_bad_signature", "another authenticator", |p| {
        p.key = TestKey::new("somebody");
    });
    l.signed("client_data", "assertion_registration", "assertion_wrong_ceremony", "made while registering", |p| {
        p.swap("webauthn.get", "webauthn.create");
    });
    l.signed("client_data", "assertion_other_challenge", "assertion_wrong_challenge", "confirms something else", |p| {
        p.set("challenge", &format!("\"{}\"", b64([0; 32])));
    });
    l.signed(
        "client_data",
        "assertion_other_origin",
        "assertion_wrong_origin",
        "a page that looks like the wallet",
        |p| {
            p.swap(ORIGIN, "https://wallet.gateway.example.evil.example");
        },
    );
    l.signed("client_data", "assertion_plain_http", "assertion_wrong_origin", "the wallet's host without TLS", |p| {
        p.swap("https://", "http://");
    });
    l.signed("client_data", "assertion_framed", "assertion_cross_origin", "asked from inside a frame", |p| {
        p.swap("\"crossOrigin\":false", "\"crossOrigin\":true");
    });
    l.signed("client_data", "assertion_top_origin", "assertion_cross_origin", "a page above the wallet", |p| {
        p.add("\"topOrigin\":\"https://evil.example\"");
    });
    l.signed("client_data", "assertion_duplicate", "assertion_duplicate_member", "two origins", |p| {
        p.add(&format!("\"origin\":\"{ORIGIN}\""));
    });
    l.signed("authenticator_data", "assertion_other_rp", "assertion_wrong_relying_party", "another RP ID", |p| {
        p.payload = flip(&p.payload, 0, 1);
    });
    l.signed("authenticator_data", "assertion_untouched", "assertion_no_user_presence", "UP not set", |p| {
        p.payload = flip(&p.payload, 32, 1);
    });
    l.signed("authenticator_data", "assertion_unverified", "assertion_no_user_verification", "UV not set", |p| {
        p.payload = flip(&p.payload, 32, 4);
    });
    l.signed("authenticator_data", "assertion_with_key", "assertion_wrong_member", "AT set in an assertion", |p| {
        p.payload = flip(&p.payload, 32, 0x40);
    });
    l.after("assertion_raw_signature", "assertion_bad_signature", "r and s instead of DER", |c| {
        let mut a: serde_json::Value = serde_json::from_str(&c.assertion).unwrap();
        a["signature"] = b64([7; 64]).into();
        c.assertion = a.to_string();
    });
    l.after("assertion_unknown_member", "assertion_unknown_member", "a member that an assertion does not have", |c| {
        c.assertion = c.assertion.replacen('{', "{\"user_handle\":\"AA\",", 1);
    });
    l.after("assertion_of_other_grant", "assertion_wrong_challenge", "the assertion belongs to another grant", |c| {
        let mut w = World::new();
        w.grant.text.lang = "sv".into();
        c.assertion = w.case().assertion;
    });
}
fn flip(b64_text: &str, at: usize, bits: u8) -> String {
    let mut bytes = from_b64(b64_text).unwrap();
    bytes[at] ^= bits;
    b64(bytes)
}

fn delegation(l: &mut List) {
    l.world("widens_purpose", "delegation_widens_purpose", "a pick-up instead of a delivery", |w| {
        delegation_of(w).purpose = Purpose::Pickup;
    });
    l.world("widens_opens", "delegation_widens_opens", "the cabin too", |w| {
        delegation_of(w).opens.push(AccessClass::Cabin);
    });
    l.world("widens_uses", "delegation_widens_uses", "twice", |w| delegation_of(w).uses = 2);
    l.world("widens_area", "delegation_widens_area", "cells around the granted ones", |w| {
        delegation_of(w).area = area(2);
    });
    l.world("widens_disclose", "delegation_widens_disclose", "the place on entering the area", |w| {
        delegation_of(w).disclose = Disclose::Area;
    });
    l.world("widens_window_end", "delegation_widens_window", "ends after the grant", |w| {
        w.grant.window = window(-60, 30);
    });
    l.world("widens_window_start", "delegation_widens_window", "begins before the grant", |w| {
        w.grant.window = window(-4, 180);
    });
    l.world("delegation_other_delivery", "delegation_wrong_delivery", "for another delivery", |w| {
        delegation_of(w).delivery = DeliveryId::from_bytes(id("another delivery"));
    });
    l.signed("delegation", "delegation_other_parent", "delegation_wrong_parent", "hangs on another grant", |p| {
        p.set("par", &format!("\"{}\"", b64([1; 32])));
    });
    l.after("delegation_missing", "delegation_needed", "no link 1", |c| c.delegation = None);
    l.world("delegation_other_keyholder", "delegation_wrong_audience", "for another keyholder", |w| {
        delegation_of(w).aud = "https://other.example".into();
    });
    l.world("delegation_not_yet", "delegation_not_yet", "its window begins in five minutes", |w| {
        delegation_of(w).window = window(5, 40);
    });
    l.world("delegation_over", "delegation_expired", "its window is over", |w| {
        delegation_of(w).window = window(-30, -1);
    });
    l.signed("delegation", "delegation_too_long_lived", "delegation_wrong_lifetime", "61 minutes", |p| {
        p.set("exp", &NOW.plus_seconds(56 * 60).unix_seconds().to_string());
    });
    l.signed("delegation", "delegation_by_root", "delegation_wrong_key", "signed by the root, kid and all", |p| {
        p.key = TestKey::new("carrier root");
        let (from, to) = (TestKey::new("delegation").thumb().to_string(), p.key.thumb().to_string());
        p.swap_header(&from, &to);
    });
    l.signed("delegation", "delegation_swapped_key", "delegation_bad_signature", "another key, the right kid", |p| {
        p.key = TestKey::new("depot");
    });
    l.signed("delegation", "delegation_other_issuer", "delegation_wrong_issuer", "iss is another carrier", |p| {
        let other = TestKey::new("another carrier root").thumb();
        p.set("iss", &format!("\"{other}\""));
    });
    l.signed("delegation", "delegation_no_labels", "delegation_wrong_member", "nothing to put or take", |p| {
        p.set("put", "[]");
    });
    l.signed("delegation", "delegation_with_jwk", "delegation_missing_member", "brings its own key", |p| {
        let jwk = p.key.verifying_key().to_jwk();
        p.header = format!("{{\"alg\":\"ES256\",\"typ\":\"psh-delegation+jwt\",\"jwk\":{jwk}}}");
    });
    l.signed("delegation", "delegation_as_proof", "delegation_wrong_type", "another kind of message", |p| {
        p.swap_header("psh-delegation+jwt", "dpop+jwt");
    });
    l.signed("delegation", "delegation_unknown", "delegation_unknown_member", "an unknown member", |p| {
        p.add("\"inherit\":true");
    });
}

fn certificates(l: &mut List) {
    l.after("other_operator", "cert_wrong_key", "the keyholder trusts another operator", |c| {
        c.operator = TestKey::new("another operator").verifying_key().to_jwk();
    });
    l.after("swapped_certificates", "cert_wrong_role", "depot's certificate for the delegation key's", |c| {
        c.delegation_cert = c.depot_cert.clone();
    });
    l.world("delegation_key_expired", "cert_expired", "the delegation key's certificate is over", |w| {
        w.delegation_cert.window = window(-10_000, -1);
    });
    l.world("device_not_yet", "cert_not_yet", "the device is enrolled from tomorrow", |w| {
        w.device_cert.window = window(1_440, 10_000);
    });
    l.world("certificate_other_keyholder", "cert_wrong_audience", "a device enrolled at another keyholder", |w| {
        w.device_cert.aud = "https://other.example".into();
    });
    l.signed("device_cert", "device_other_seal_key", "cert_wrong_subject", "sub is not over this sealing key", |p| {
        let other = crate::support::seal_keys("another device").public().to_string();
        p.set("seal", &format!("\"{other}\""));
    });
    l.signed("device_cert", "device_cert_tampered", "cert_bad_signature", "signed by nobody known", |p| {
        p.key = TestKey::new("somebody");
    });
    l.signed("carrier_cert", "carrier_with_seal", "cert_unknown_member", "a member of another role", |p| {
        p.add("\"seal\":\"\"");
    });
    l.signed("delegation_cert", "delegation_key_31_days", "cert_wrong_lifetime", "31 days", |p| {
        p.set("exp", &NOW.plus_seconds(30 * 86_400).unix_seconds().to_string());
    });
    l.world("other_phone", "proof_wrong_device", "delegated to another phone than the enrolled one", |w| {
        delegation_of(w).cnf = parcelshelf_protocol::encoding::Thumbprint::from_bytes([5; 32]);
    });
}

fn proof(l: &mut List) {
    l.signed("proof", "proof_by_other_device", "proof_wrong_device", "another phone, its own key", |p| {
        let (old, new) = (p.key.verifying_key().to_jwk(), TestKey::new("somebody"));
        p.swap_header(&old, &new.verifying_key().to_jwk());
        p.key = new;
    });
    l.signed(
        "proof",
        "proof_swapped_key",
        "proof_bad_signature",
        "another phone, the courier's key in the header",
        |p| {
            p.key = TestKey::new("somebody");
        },
    );
    l.signed("proof", "proof_of_other_delegation", "proof_wrong_token", "for another delegation", |p| {
        p.set("ath", &format!("\"{}\"", b64([1; 32])));
    });
    l.after("proof_other_method", "proof_wrong_method", "sent as PUT", |c| c.method = "PUT".into());
    l.after("proof_other_url", "proof_wrong_url", "sent to another stop", |c| c.url.push_str("/x"));
    l.after("proof_other_host", "proof_wrong_url", "sent to another host", |c| {
        c.url = c.url.replace("stop.gateway", "stop.other");
    });
    l.after("proof_other_body", "proof_wrong_body", "another body", |c| c.body = b64("{}"));
    l.after("proof_other_action", "proof_wrong_action", "a proof for open used to locate", |c| {
        c.action = "locate".into()
    });
    l.signed("proof", "proof_unknown_action", "proof_wrong_member", "an action that does not exist", |p| {
        p.set("act", "\"start_engine\"");
    });
    l.signed("proof", "proof_duplicate", "proof_duplicate_member", "two nonces", |p| p.add("\"nonce\":\"x\""));
    l.signed("proof", "proof_without_nonce", "proof_missing_member", "no nonce", |p| p.remove("nonce"));
    l.signed("proof", "proof_jwt", "proof_wrong_type", "typ JWT", |p| p.swap_header("dpop+jwt", "JWT"));
    l.signed("proof", "nonce_short", "nonce_malformed", "not 54 characters", |p| p.set("nonce", "\"abc\""));
    l.signed("proof", "nonce_invented", "nonce_foreign", "a nonce that the keyholder did not make", |p| {
        p.set("nonce", &format!("\"{}\"", b64([1; 40])));
    });
    l.after("nonce_of_other_keyholder", "nonce_foreign", "another keyholder's secret", |c| c.nonce_key = b64([9; 32]));
    l.after("nonce_20_seconds_old", "nonce_expired", "20 seconds after it was made", |c| c.now_ms += 15_000);
    l.after("nonce_from_the_future", "nonce_expired", "the keyholder's clock went back", |c| c.now_ms -= 6_000);
    l.after("nonce_replayed", "nonce_replayed", "spent before", |c| {
        let proof: serde_json::Value =
            serde_json::from_slice(&from_b64(c.proof.split('.').nth(1).unwrap()).unwrap()).unwrap();
        let nonce = from_b64(proof["nonce"].as_str().unwrap()).unwrap();
        c.used_nonces.push(b64(&nonce[8..24]));
    });
    let mut locate = World::new();
    locate.action = Action::Locate;
    let stolen = locate.case();
    let nonce_of = |jws: &str| {
        let v: serde_json::Value = serde_json::from_slice(&from_b64(jws.split('.').nth(1).unwrap()).unwrap()).unwrap();
        v["nonce"].to_string()
    };
    let nonce = nonce_of(&stolen.proof);
    let case = World::new().case_with(&|what, p| {
        if what == "proof" {
            p.set("nonce", &nonce);
        }
    });
    l.push("nonce_for_locate", "a nonce given for locating", "nonce_foreign", case);
    l.push("rehearsal_by_other", "another device than the owner's", "proof_wrong_device", {
        let mut w = World::rehearsal();
        w.courier = TestKey::new("somebody");
        w.case()
    });
    l.push("rehearsal_20_minutes", "a rehearsal of 20 minutes", "grant_wrong_lifetime", {
        World::rehearsal().case_with(&|what, p| {
            if what == "grant" {
                p.set("exp", &NOW.plus_seconds(19 * 60).unix_seconds().to_string());
            }
        })
    });
}
