//! The chain of a request at the kerb: verified over the bytes received, with what the registries say.

use parcelshelf_core::id::{AccessPointId, DeliveryId};
use parcelshelf_core::reason::{Action, Purpose as For};
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::cert::VerifiedCert;
use parcelshelf_protocol::content::Phone;
use parcelshelf_protocol::encoding::{Thumbprint, from_b64, sha256};
use parcelshelf_protocol::jws::Moment;
use parcelshelf_protocol::proof::HttpRequest;
use parcelshelf_protocol::seal::{self, Context, Purpose, SealPublicKey};
use parcelshelf_protocol::verify::{self, CarrierFacts, ChainFacts, ChainInput, VerifiedChain};
use parcelshelf_protocol::webauthn::Assertion;

use crate::Keyholder;
use crate::db::Stored;
use crate::failure::{Failure, broken};
use crate::grants::{carrier_of, wallet_of};
use crate::rows::{GrantRow, WalletRow};

/// What a stop page sends with every request.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// The last link, from `Authorization: DPoP`.
    pub link: String,
    /// The proof, from `DPoP`.
    pub proof: String,
    pub url: String,
    pub body: Vec<u8>,
}

/// By whose keys a carrier's chain holds, for what was revoked.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    pub root: Thumbprint,
    pub delegation: Option<Thumbprint>,
    pub depot: Option<Thumbprint>,
}

/// A chain that holds, and the rows it was checked with.
#[derive(Debug)]
pub(crate) struct Held {
    pub chain: VerifiedChain,
    pub delivery: DeliveryId,
    pub grant: Stored<GrantRow>,
    /// Seals to the device that asks.
    pub device_seal: SealPublicKey,
    /// None for the owner's own device.
    pub authority: Option<Authority>,
    /// What this device photographs at a house is sealed to it. None for the owner's own, who has the key that it is made from.
    pub photos_to: Option<SealPublicKey>,
    /// To what a recording is sealed.
    pub recorded_to: Option<SealPublicKey>,
}

impl Held {
    /// Whether no later link was accepted since.
    pub(crate) fn is_newest(&self, grant: &GrantRow) -> bool {
        grant.papers.delegations.last().is_none_or(|d| sha256(&d.jws) == self.chain.last_link())
    }
}
pub(crate) fn superseded() -> Problem {
    Problem::new(403, "delegation_superseded", "this stop was given to another courier")
}

struct Path {
    carrier: VerifiedCert,
    delegation: VerifiedCert,
    depot: VerifiedCert,
    device: VerifiedCert,
}

impl Keyholder {
    /// Verifies the whole chain. `moment` is `Used(now)` for everything but locking and closing, which no time forbids.
    pub(crate) async fn held(
        &self,
        delivery: DeliveryId,
        act: Action,
        shown: &Shown,
        moment: Moment,
    ) -> Result<Held, Failure> {
        let grant = self.grant(delivery).await?;
        let (row, papers) = (&grant.value, &grant.value.papers);
        // Locking and closing wait for nobody.
        let waits = !matches!(moment, Moment::Any);
        if waits {
            self.log_is_confirmed()?;
        }
        let owner = self.wallet(wallet_of(row)?).await?;
        let assertion = Assertion::parse(papers.assertion.as_bytes())?;
        let passkeys = owner.value.keys();
        let (delegation, path) = if papers.request.is_some() {
            let at = papers.delegations.iter().position(|d| d.jws == shown.link);
            let at = at.ok_or_else(|| Problem::new(403, "delegation_unknown", "this delegation was never accepted"))?;
            // After a reassignment the first courier can still shut and lock, nothing else.
            let older = at + 1 < papers.delegations.len();
            if older && !matches!(act, Action::Lock | Action::Close) {
                return Err(superseded().into());
            }
            (Some(shown.link.as_str()), Some(self.path(row, at).await?))
        } else if papers.grant == shown.link {
            (None, None)
        } else {
            return Err(Problem::new(403, "delegation_unknown", "this is not the grant of this delivery").into());
        };
        let input = ChainInput {
            grant: &papers.grant,
            assertion: &assertion,
            delegation,
            proof: &shown.proof,
            action: act,
            request: HttpRequest { method: "POST", url: &shown.url, body: &shown.body },
        };
        let facts = ChainFacts {
            aud: &self.config.aud,
            rp: &self.rp,
            access_point: AccessPointId::parse(&row.access_point).map_err(|_| broken("an access point is none"))?,
            passkeys: &passkeys,
            carrier: path.as_ref().map(|p| CarrierFacts {
                carrier: &p.carrier,
                delegation: &p.delegation,
                depot: &p.depot,
                device: &p.device,
            }),
        };
        let chain = verify::chain(&input, &facts, moment)?;
        if waits {
            self.not_void(chain.grant().claims().iat)?;
        }
        // A guest's rule names no visit: there it is the row that was made under this very rule.
        let under = row.rule.as_deref() == Some(chain.grant().claims().jti.to_string().as_str());
        if chain.delivery() != Some(delivery) && !(chain.delivery().is_none() && under) {
            return Err(parcelshelf_protocol::Refused::DelegationWrongDelivery.into());
        }
        let device_seal = match &path {
            Some(p) => match &p.device.claims().subject {
                parcelshelf_protocol::cert::Subject::Device { seal } => seal.clone(),
                _ => return Err(parcelshelf_protocol::Refused::CertWrongRole.into()),
            },
            None => SealPublicKey::parse(&papers.seal_key).ok_or_else(|| broken("a sealing key is none"))?,
        };
        let purpose = chain.grant().claims().purpose;
        let recorded_to = owners_key(purpose, row, &owner.value);
        let photos_to = recorded_to.clone().filter(|_| purpose != For::Rehearsal);
        let authority = path.as_ref().map(|p| Authority {
            root: p.carrier.claims().key.thumb(),
            delegation: Some(p.delegation.claims().key.thumb()),
            depot: Some(p.depot.claims().key.thumb()),
        });
        // Who has opened something may always shut and lock it.
        if let (Some(authority), false) = (&authority, matches!(act, Action::Lock | Action::Close)) {
            self.not_revoked(authority).await?;
        }
        Ok(Held { chain, delivery, grant, device_seal, authority, photos_to, recorded_to })
    }

    async fn path(&self, row: &GrantRow, at: usize) -> Result<Path, Failure> {
        let part = row.papers.delegations.get(at).ok_or_else(|| broken("a delegation vanished"))?;
        let device = Thumbprint::parse(&part.device).ok_or_else(|| broken("a device's thumbprint is none"))?;
        let (_, carrier) = self.carrier(carrier_of(row)?, Moment::Any).await?;
        let delegation = self.delegation_cert(&part.cert, &carrier, Moment::Any)?;
        let (depot, device, _) = self.device_certs(device, &carrier).await?;
        Ok(Path { carrier, delegation, depot, device })
    }

    /// The phone's position, sealed with the nonce of this very proof, so that it cannot be another's or an older one.
    pub(crate) fn phone(&self, held: &Held, sealed: &str) -> Result<Phone, Failure> {
        let bytes = from_b64(sealed).ok_or_else(|| Problem::new(400, "box_malformed", "the box is not base64url"))?;
        let (sender, about) = (held.chain.device().to_string(), held.delivery.to_string());
        let context = Context { sender: &sender, recipient: &self.config.aud, delivery: &about, seq: 0 };
        let phone = Phone::parse(&seal::open(&self.keys.seal, Purpose::Phone, &context, &bytes)?)?;
        if phone.nonce != held.chain.proof().claims().nonce {
            return Err(Problem::new(403, "phone_wrong_nonce", "the position belongs to another request").into());
        }
        Ok(phone)
    }
}

/// To what the pictures of a delivery are sealed, so that its owner opens them and nobody else. The grant's own key; a guest's
/// names the guest's, and a rehearsal's the device that plays the courier: there it is the wallet's.
pub(crate) fn owners_key(purpose: For, grant: &GrantRow, owner: &WalletRow) -> Option<SealPublicKey> {
    SealPublicKey::parse(match purpose {
        For::Guest | For::Rehearsal => &owner.account_key,
        _ => &grant.papers.seal_key,
    })
}
