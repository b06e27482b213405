//! Standing rules: what an owner allows in advance.

use parcelshelf_core::id::GrantId;
use parcelshelf_core::time::Window;
use parcelshelf_protocol::grant::{Schedule, Scoped, TextShown};
use parcelshelf_protocol::owner_keys;
use parcelshelf_protocol::request::Ticket;
use parcelshelf_protocol::seal::{Purpose, SealKeyPair};
use serde_json::{Value, json};

use crate::Failure;
use crate::wallet::{Consent, Granted, Signed, Wallet};

/// Which deliveries, besides the one that is asked for.
#[derive(Debug, Clone)]
pub struct InAdvance {
    /// Ids of merchants.
    pub merchants: Vec<String>,
    pub schedule: Schedule,
    /// From when to when, at most 90 days.
    pub life: Window,
}

impl Wallet {
    /// Allows what a carrier asks for, and later deliveries like it: one signature, one touch.
    ///
    /// # Errors
    /// [`Failure`]; `rule_misses_delivery` when the rule's hours leave out what is asked for now.
    pub async fn allow_in_advance(
        &self,
        ticket: &Ticket,
        consent: &Consent,
        rule: &InAdvance,
    ) -> Result<Granted, Failure> {
        self.hand_in_rule(&self.sign_in_advance(ticket, consent, rule)?).await
    }

    /// Signs and confirms a rule without handing it in.
    ///
    /// # Errors
    /// [`Failure::NotTrusted`] when it cannot be signed.
    pub fn sign_in_advance(&self, ticket: &Ticket, consent: &Consent, rule: &InAdvance) -> Result<Signed, Failure> {
        let request = ticket.request.claims();
        let (mut claims, cars) = self.claims(consent, request.iss, None, request.delivery, request.purpose);
        let mut merchants = rule.merchants.clone();
        merchants.sort_unstable();
        claims.scoped = Scoped::Standing { merchants, schedule: rule.schedule.clone() };
        claims.window = rule.life;
        claims.text = TextShown { template: String::from("rule-1"), lang: String::from("en") };
        let extra = json!({
            "request": ticket.request.jws(),
            "delegation_cert": ticket.delegation_cert.jws(),
            "carrier_cert": ticket.carrier_cert.jws(),
        });
        let seal_key = SealKeyPair::from_seed(&owner_keys::grant_seal_seed(self.seed(), claims.jti))?;
        let about = claims.jti.to_string();
        self.confirmed_about(&about, (claims, cars), seal_key.public(), request.delivery, extra)
    }

    /// Hands in a signed rule. The same one again gets the same answer.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn hand_in_rule(&self, signed: &Signed) -> Result<Granted, Failure> {
        self.hand_in_at("/v1/rules", signed).await
    }

    /// The wallet's rules, each with its signed bytes and what came of it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn rules(&self) -> Result<Vec<Value>, Failure> {
        let answer = self.get("/v1/wallet/rules").await?;
        let told = self.open(&answer, Purpose::Account, &self.id().to_string())?;
        told["rules"].as_array().cloned().ok_or(Failure::Unexpected("no list of rules"))
    }

    /// Ends a rule for good, and stops what was announced under it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn end_rule(&self, rule: GrantId) -> Result<Value, Failure> {
        self.post(&format!("/v1/wallet/rules/{rule}/end"), &json!({})).await
    }
}
