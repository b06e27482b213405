//! The chain: grant, delegation, proof, checked in one fixed order that fails closed.
//!
//! 1. sizes and strict parsing of all links;
//! 2. link 0 by its header key, then its audience, time and the passkey's assertion;
//! 3. the certificate path, link 1 by its key, parent and narrowing;
//! 4. the device's certificate;
//! 5. the proof by that device, for this token, request and action.
//!
//! Then the caller looks for a proof seen before ([`VerifiedChain::proof`]), asks for freshness
//! ([`VerifiedChain::fresh`]), and judges conditions.

use parcelshelf_core::id::{AccessPointId, DeliveryId};
use parcelshelf_core::reason::Action;
use parcelshelf_core::time::Timestamp;

use crate::cert::{Role, Subject, VerifiedCert};
use crate::delegation::{self, VerifiedDelegation};
use crate::encoding::{Hash, Thumbprint};
use crate::grant::{self, VerifiedGrant};
use crate::jws::Moment;
use crate::narrow::Scope;
use crate::nonce::{FreshNonce, NonceKey};
use crate::proof::{self, ExpectedDevice, HttpRequest, VerifiedProof};
use crate::refused::Refused;
use crate::webauthn::{Assertion, Passkey, RelyingParty};

/// What came in, and what was stored with the grant.
#[derive(Clone, Copy, Debug)]
pub struct ChainInput<'a> {
    /// Link 0 as stored.
    pub grant: &'a str,
    /// The assertion as stored.
    pub assertion: &'a Assertion,
    /// Link 1; absent where the owner's own device acts.
    pub delegation: Option<&'a str>,
    /// Link 2.
    pub proof: &'a str,
    pub action: Action,
    pub request: HttpRequest<'a>,
}

/// What the keyholder's registries say. Each certificate was verified when its row was read.
#[derive(Clone, Copy, Debug)]
pub struct ChainFacts<'a> {
    /// The keyholder's own name.
    pub aud: &'a str,
    pub rp: &'a RelyingParty,
    /// The access point that is going to be used, and the passkeys registered for it.
    pub access_point: AccessPointId,
    pub passkeys: &'a [Passkey],
    /// Present exactly when there is a delegation.
    pub carrier: Option<CarrierFacts<'a>>,
}

/// The certificate paths of a carrier's delegation key and of a courier's device.
#[derive(Clone, Copy, Debug)]
pub struct CarrierFacts<'a> {
    pub carrier: &'a VerifiedCert,
    pub delegation: &'a VerifiedCert,
    pub depot: &'a VerifiedCert,
    pub device: &'a VerifiedCert,
}

/// A chain that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedChain {
    grant: VerifiedGrant,
    delegation: Option<VerifiedDelegation>,
    proof: VerifiedProof,
    device: Thumbprint,
}
impl VerifiedChain {
    #[must_use]
    pub const fn grant(&self) -> &VerifiedGrant {
        &self.grant
    }
    #[must_use]
    pub const fn delegation(&self) -> Option<&VerifiedDelegation> {
        self.delegation.as_ref()
    }
    #[must_use]
    pub const fn proof(&self) -> &VerifiedProof {
        &self.proof
    }
    /// The device that signed the proof.
    #[must_use]
    pub const fn device(&self) -> Thumbprint {
        self.device
    }
    #[must_use]
    pub const fn action(&self) -> Action {
        self.proof.claims().act
    }
    /// The delivery: the delegation's, or the grant's own.
    #[must_use]
    pub fn delivery(&self) -> Option<DeliveryId> {
        self.delegation.as_ref().map(|d| d.claims().delivery).or_else(|| self.grant.claims().delivery())
    }
    /// What is permitted: the narrowest link's scope.
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        self.delegation.as_ref().map_or_else(|| self.grant.claims().scope(), |d| d.claims().scope())
    }
    /// SHA-256 of the last link, which nonces are bound to.
    #[must_use]
    pub fn last_link(&self) -> Hash {
        self.delegation.as_ref().map_or(self.grant.hash(), VerifiedDelegation::hash)
    }
    /// Asks whether the proof's nonce is fresh.
    ///
    /// # Errors
    /// `nonce_…` codes.
    pub fn fresh(&self, key: &NonceKey, now: Timestamp) -> Result<FreshNonce, Refused> {
        self.proof.fresh(key, self.device, now)
    }
}

/// Verifies a chain in the fixed order.
///
/// `moment` is [`Moment::Used`] for everything but locking, which is never refused for time: [`Moment::Any`].
///
/// # Errors
/// The code of the first check that fails.
pub fn chain(input: &ChainInput<'_>, facts: &ChainFacts<'_>, moment: Moment) -> Result<VerifiedChain, Refused> {
    let link0 = grant::Parsed::parse(input.grant)?;
    let link1 = input.delegation.map(delegation::Parsed::parse).transpose()?;
    let link2 = proof::Parsed::parse(input.proof)?;

    let grant = link0.verify()?.confirm(input.assertion, facts.passkeys, facts.rp, facts.aud, moment)?;
    if grant.claims().access_point != facts.access_point {
        return Err(Refused::GrantWrongAccessPoint);
    }
    let (delegation, device) = match (link1, &facts.carrier) {
        (Some(link1), Some(carrier)) => {
            carrier.check_delegation_path(moment)?;
            let delegation = link1.verify(carrier.delegation, &grant, moment)?;
            let device = carrier.check_device_path(delegation.claims().cnf, moment)?;
            (Some(delegation), device)
        }
        (None, _) if grant.claims().is_delegated() => return Err(Refused::DelegationNeeded),
        // A device of the owner's or a guest's: its sealing key is the one that the grant names.
        (None, _) => (None, ExpectedDevice { cnf: grant.claims().cnf, seal: grant.claims().seal }),
        (Some(_), None) => return Err(Refused::PathBroken),
    };
    let last = delegation.as_ref().map_or(grant.hash(), VerifiedDelegation::hash);
    let proof = link2.verify(&device, &last, input.action, Some(&input.request))?;
    Ok(VerifiedChain { grant, delegation, proof, device: device.cnf })
}

impl CarrierFacts<'_> {
    fn check_delegation_path(&self, moment: Moment) -> Result<(), Refused> {
        for (cert, role) in [(self.carrier, Role::Carrier), (self.delegation, Role::Delegation)] {
            if cert.claims().role() != role {
                return Err(Refused::CertWrongRole);
            }
            cert.check(moment)?;
        }
        self.delegation.check_issued_by(self.carrier)
    }
    fn check_device_path(&self, cnf: Thumbprint, moment: Moment) -> Result<ExpectedDevice, Refused> {
        let Subject::Device { seal } = &self.device.claims().subject else { return Err(Refused::CertWrongRole) };
        if self.depot.claims().role() != Role::Depot {
            return Err(Refused::CertWrongRole);
        }
        self.depot.check(moment)?;
        self.device.check(moment)?;
        self.depot.check_issued_by(self.carrier)?;
        self.device.check_issued_by(self.depot)?;
        if self.device.claims().sub() != cnf {
            return Err(Refused::ProofWrongDevice);
        }
        Ok(ExpectedDevice { cnf, seal: seal.hash() })
    }
}
