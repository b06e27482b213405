//! What people at a gateway or a carrier order in writing: a stop ends, a key is worth nothing any more, a delivery is not
//! erased. No order locates or opens anything.

use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::time::Timestamp;

use crate::encoding::{Hash, Thumbprint, TokenId};
use crate::json::Object;
use crate::jws::{self, JWS_MAX, Moment, Naming, Sign, Unverified, VerifyingKey};
use crate::refused::{Fault, Kind, Refused};
use crate::text::audience;
use crate::verified::verified;

/// `typ` in the header.
pub const TYP: &str = "psh-order+jwt";
/// Longest life, seconds.
pub const MAX_SECONDS: i64 = 3_600;

/// What is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordered {
    /// This very stop of the carrier may end: the entry of its record. Two people are needed.
    Release { stop: Hash },
    /// Nothing that hangs on this key is accepted any more: a delegation key or a depot's; without one, the carrier's root.
    Revoke { key: Option<Thumbprint> },
    /// A legal hold on one delivery of the carrier, or its end. Its owner sees it.
    Hold { delivery: DeliveryId, on: bool },
}

/// The claims of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderClaims {
    /// Thumbprint of the key that signs: a person's, or for a revocation also the carrier's root.
    pub iss: Thumbprint,
    pub aud: String,
    pub jti: TokenId,
    pub iat: Timestamp,
    pub exp: Timestamp,
    /// Thumbprint of the carrier's root that it is about.
    pub carrier: Thumbprint,
    pub ordered: Ordered,
}

verified! {
    /// An order that one of the keys asked for has signed.
    VerifiedOrder(OrderClaims),
}

/// Orders, made and checked.
#[derive(Debug)]
pub enum Order {}
impl Order {
    /// Signs an order, good for an hour.
    ///
    /// # Errors
    /// [`Refused::SigningFailed`].
    pub fn sign(
        aud: &str,
        jti: TokenId,
        carrier: Thumbprint,
        ordered: Ordered,
        now: Timestamp,
        key: &dyn Sign,
    ) -> Result<String, Refused> {
        let o = Object::new()
            .text("iss", key.verifying_key().thumb())
            .text("aud", aud)
            .text("jti", jti)
            .seconds("iat", now)
            .seconds("exp", now.plus_seconds(MAX_SECONDS))
            .text("carrier", carrier);
        let o = match ordered {
            Ordered::Release { stop } => o.text("act", "release").text("stop", stop),
            Ordered::Revoke { key } => o.text("act", "revoke").opt("key", key.map(|k| k.to_string())),
            Ordered::Hold { delivery, on } => {
                o.text("act", if on { "hold" } else { "lift_hold" }).text("delivery", delivery)
            }
        };
        jws::sign(TYP, Naming::Kid, &o.end(), key)
    }

    /// Checks an order by one of these keys.
    ///
    /// # Errors
    /// `order_…` codes, in the order: form, issuer, signature, audience, time.
    pub fn verify(jws: &str, keys: &[VerifyingKey], aud: &str, now: Timestamp) -> Result<VerifiedOrder, Refused> {
        let (u, claims) = parse(jws)?;
        let key = keys.iter().find(|k| k.thumb() == claims.iss);
        u.verify(key.ok_or(Refused::of(Kind::Order, Fault::WrongIssuer))?)?;
        if claims.aud != aud {
            return Err(Refused::of(Kind::Order, Fault::WrongAudience));
        }
        let life = parcelshelf_core::time::Window::new(claims.iat, claims.exp);
        let life = life.map_err(|_| Refused::of(Kind::Order, Fault::WrongLifetime))?;
        Moment::Posted(now).check(Kind::Order, claims.iat, &life)?;
        Ok(VerifiedOrder::new(jws, claims))
    }

    /// Which carrier it is about, unverified: for finding its root.
    ///
    /// # Errors
    /// `order_…` codes of form and bounds.
    pub fn peek_carrier(jws: &str) -> Result<Thumbprint, Refused> {
        parse(jws).map(|(_, claims)| claims.carrier)
    }
}

fn parse(jws: &str) -> Result<(Unverified<'_>, OrderClaims), Refused> {
    let mut u = Unverified::parse(Kind::Order, TYP, Naming::Kid, jws, JWS_MAX)?;
    let m = &mut u.claims;
    let iss = m.parsed("iss", Thumbprint::parse)?;
    let aud = audience(m, "aud")?;
    let jti = m.parsed("jti", TokenId::parse)?;
    let life = jws::lifetime(m, MAX_SECONDS)?;
    let carrier = m.parsed("carrier", Thumbprint::parse)?;
    let act = m.parsed("act", |t| ["release", "revoke", "hold", "lift_hold"].into_iter().find(|act| *act == t))?;
    let ordered = match act {
        "release" => Ordered::Release { stop: m.hash("stop")? },
        "revoke" => Ordered::Revoke { key: m.opt_parsed("key", Thumbprint::parse)? },
        act => Ordered::Hold { delivery: m.parsed("delivery", |t| DeliveryId::parse(t).ok())?, on: act == "hold" },
    };
    let claims = OrderClaims { iss, aud, jti, iat: life.start(), exp: life.end(), carrier, ordered };
    u.end()?;
    Ok((u, claims))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::sha256;
    use crate::jws::SigningKey;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const AUD: &str = "https://gateway.example";

    fn key(n: u8) -> SigningKey {
        SigningKey::from_scalar(&[n; 32]).unwrap()
    }
    fn signed(ordered: Ordered) -> String {
        let carrier = key(9).verifying_key().thumb();
        Order::sign(AUD, TokenId::from_bytes([7; 16]), carrier, ordered, NOW, &key(1)).unwrap()
    }

    #[test]
    fn an_order_says_what_was_signed_by_a_person_who_may() {
        let people = [key(1).verifying_key().clone(), key(2).verifying_key().clone()];
        for ordered in [
            Ordered::Release { stop: sha256("stop") },
            Ordered::Revoke { key: Some(key(3).verifying_key().thumb()) },
            Ordered::Revoke { key: None },
            Ordered::Hold { delivery: DeliveryId::from_bytes([4; 16]), on: true },
            Ordered::Hold { delivery: DeliveryId::from_bytes([4; 16]), on: false },
        ] {
            let jws = signed(ordered);
            let order = Order::verify(&jws, &people, AUD, NOW.plus_seconds(3_599)).unwrap();
            assert_eq!(order.claims().ordered, ordered);
            assert_eq!(Order::peek_carrier(&jws).unwrap(), key(9).verifying_key().thumb());
            let code = |keys: &[VerifyingKey], aud: &str, now| Order::verify(&jws, keys, aud, now).unwrap_err().code();
            assert_eq!(code(&people[1..], AUD, NOW), "order_wrong_issuer");
            assert_eq!(code(&people, "https://other.example", NOW), "order_wrong_audience");
            assert_eq!(code(&people, AUD, NOW.plus_seconds(3_600)), "order_expired");
        }
    }

    #[test]
    fn an_order_that_says_two_things_is_none() {
        let carrier = key(9).verifying_key().thumb();
        let both = Object::new()
            .text("iss", key(1).verifying_key().thumb())
            .text("aud", AUD)
            .text("jti", TokenId::from_bytes([7; 16]))
            .seconds("iat", NOW)
            .seconds("exp", NOW.plus_seconds(60))
            .text("carrier", carrier)
            .text("act", "release")
            .text("stop", sha256("stop"))
            .text("key", carrier)
            .end();
        let jws = jws::sign(TYP, Naming::Kid, &both, &key(1)).unwrap();
        let refused = Order::verify(&jws, &[key(1).verifying_key().clone()], AUD, NOW).unwrap_err();
        assert_eq!(refused.code(), "order_unknown_member");
    }
}
