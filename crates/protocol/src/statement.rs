//! What an owner confirms with a passkey besides grants: exact bytes of strict JSON, and an assertion whose challenge
//! is `H("psh-statement-v1", bytes)`.

use parcelshelf_core::id::{DeliveryId, VehicleId, WalletId};
use parcelshelf_core::time::Timestamp;

use crate::encoding::{Hash, Thumbprint, b64, domain_hash};
use crate::json::{self, Members, Object};
use crate::jws::VerifyingKey;
use crate::nonce::{self, NonceKey};
use crate::refused::{Fault, Kind, Refused};
use crate::seal::SealPublicKey;
use crate::text::{audience, is_token, is_word, token};
use crate::webauthn::{self, Assertion, CREDENTIAL_ID_MAX, Passkey, RelyingParty};

/// Most bytes of a statement.
pub const STATEMENT_MAX: usize = 4 * 1024;

/// What a block or its end covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covered {
    Delivery(DeliveryId),
    /// Everything of a carrier, by its root's thumbprint.
    Carrier(Thumbprint),
    /// One courier, by the thumbprint of the device; others of the same carrier may go on.
    Courier(Thumbprint),
    All,
}
impl Covered {
    /// `delivery`, `carrier`, `courier` or `all`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Delivery(_) => "delivery",
            Self::Carrier(_) => "carrier",
            Self::Courier(_) => "courier",
            Self::All => "all",
        }
    }
    /// The id beside the code; none for `all`.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        match self {
            Self::Delivery(id) => Some(id.to_string()),
            Self::Carrier(name) | Self::Courier(name) => Some(name.to_string()),
            Self::All => None,
        }
    }
    /// From [`Covered::code`] and [`Covered::id`]; `None` for a combination that does not exist.
    #[must_use]
    pub fn parse(code: &str, id: Option<&str>) -> Option<Self> {
        match (code, id) {
            ("delivery", Some(id)) => DeliveryId::parse(id).ok().map(Self::Delivery),
            ("carrier", Some(id)) => Thumbprint::parse(id).map(Self::Carrier),
            ("courier", Some(id)) => Thumbprint::parse(id).map(Self::Courier),
            ("all", None) => Some(Self::All),
            _ => None,
        }
    }
}

/// What is stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A new wallet: its account sealing key and its first passkey, which confirms itself.
    Wallet { account_key: SealPublicKey, passkey: Passkey },
    /// Link a car of this maker.
    Link { wallet: WalletId, maker: String },
    /// What the owner agrees to where a maker cannot tell.
    Consents {
        wallet: WalletId,
        vehicle: VehicleId,
        nobody_inside: bool,
        parked_inferred: bool,
        tailgate_with_cabin: bool,
        /// "Whether lid and lock are shut the car does not tell: the courier looks before opening, and after locking
        /// checks the handle and photographs the closed lid." Said only where it is so.
        lid_and_lock_untold: bool,
    },
    /// One more passkey for a wallet, confirmed by one it has.
    Passkey { wallet: WalletId, passkey: Passkey },
    /// "I know who has linked this car after me." `link` is what the keyholder calls it towards this wallet.
    ConfirmLink { wallet: WalletId, vehicle: VehicleId, link: String },
    /// Lift a block. Blocking needs a session only; who has no more than that must not undo it.
    Unblock { wallet: WalletId, covered: Covered },
    /// Erase for good. What is gone proves nothing any more, so a session is not enough.
    Erase { wallet: WalletId, erased: ToErase },
    /// Take off the hold that the owner has put on a delivery: its deadline runs again.
    LiftHold { wallet: WalletId, delivery: DeliveryId },
    /// Everything at this car or door may go on: takes back this wallet's own stop for all who share it, and asks for the end of
    /// others'. Stopping needs a session only.
    LiftHalt { wallet: WalletId, vehicle: VehicleId },
    /// Nothing opens before `until`, and from then on again what was allowed; without it an earlier pause ends now. A block
    /// never ends by itself; this does, because its end was confirmed with its beginning.
    Pause { wallet: WalletId, until: Option<Timestamp> },
}

/// What is to be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToErase {
    Delivery(DeliveryId),
    /// The wallet with its cars and all deliveries.
    Wallet,
}
impl ToErase {
    /// `delivery` or `wallet`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Delivery(_) => "delivery",
            Self::Wallet => "wallet",
        }
    }
    fn id(&self) -> Option<String> {
        match self {
            Self::Delivery(id) => Some(id.to_string()),
            Self::Wallet => None,
        }
    }
    fn parse(code: &str, id: Option<&str>) -> Option<Self> {
        match (code, id) {
            ("delivery", Some(id)) => DeliveryId::parse(id).ok().map(Self::Delivery),
            ("wallet", None) => Some(Self::Wallet),
            _ => None,
        }
    }
}
impl Said {
    /// The `typ` member.
    #[must_use]
    pub const fn typ(&self) -> &'static str {
        match self {
            Self::Wallet { .. } => "wallet",
            Self::Link { .. } => "link",
            Self::Consents { .. } => "consents",
            Self::Passkey { .. } => "passkey",
            Self::ConfirmLink { .. } => "confirm_link",
            Self::Unblock { .. } => "unblock",
            Self::Erase { .. } => "erase",
            Self::LiftHold { .. } => "lift_hold",
            Self::LiftHalt { .. } => "lift_halt",
            Self::Pause { .. } => "pause",
        }
    }
    /// The wallet that says it; none for a new one.
    #[must_use]
    pub const fn wallet(&self) -> Option<WalletId> {
        match self {
            Self::Wallet { .. } => None,
            Self::Link { wallet, .. }
            | Self::Consents { wallet, .. }
            | Self::Passkey { wallet, .. }
            | Self::ConfirmLink { wallet, .. }
            | Self::Unblock { wallet, .. }
            | Self::Erase { wallet, .. }
            | Self::LiftHold { wallet, .. }
            | Self::LiftHalt { wallet, .. }
            | Self::Pause { wallet, .. } => Some(*wallet),
        }
    }
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub aud: String,
    /// The keyholder's challenge ([`nonce::issue_challenge`]).
    pub nonce: String,
    pub said: Said,
}

/// A statement that a passkey confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedStatement {
    bytes: Vec<u8>,
    statement: Statement,
    confirmed_by: Passkey,
}
impl VerifiedStatement {
    /// The very bytes that were confirmed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }
    #[must_use]
    pub const fn said(&self) -> &Said {
        &self.statement.said
    }
    #[must_use]
    pub const fn confirmed_by(&self) -> &Passkey {
        &self.confirmed_by
    }
    /// Checks the challenge inside.
    ///
    /// # Errors
    /// `nonce_…` codes.
    pub fn fresh(&self, key: &NonceKey, now: Timestamp) -> Result<(), Refused> {
        nonce::check_challenge(key, &self.statement.nonce, now).map(|_| ())
    }
}

/// What the assertion must carry as challenge.
#[must_use]
pub fn challenge(bytes: &[u8]) -> Hash {
    domain_hash("psh-statement-v1", &[bytes])
}

impl Statement {
    /// The bytes to confirm.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let o = Object::new().text("typ", self.said.typ()).text("aud", &self.aud).text("nonce", &self.nonce);
        match &self.said {
            Said::Wallet { account_key, passkey } => passkey_to(o.text("account_key", account_key), passkey),
            Said::Link { wallet, maker } => o.text("wallet", wallet).text("maker", maker),
            Said::Consents {
                wallet,
                vehicle,
                nobody_inside,
                parked_inferred,
                tailgate_with_cabin,
                lid_and_lock_untold,
            } => {
                let told = o
                    .text("wallet", wallet)
                    .text("vehicle", vehicle)
                    .bool("nobody_inside", *nobody_inside)
                    .bool("parked_inferred", *parked_inferred)
                    .bool("tailgate_with_cabin", *tailgate_with_cabin);
                if *lid_and_lock_untold { told.bool("lid_and_lock_untold", true) } else { told }
            }
            Said::Passkey { wallet, passkey } => passkey_to(o.text("wallet", wallet), passkey),
            Said::ConfirmLink { wallet, vehicle, link } => {
                o.text("wallet", wallet).text("vehicle", vehicle).text("link", link)
            }
            Said::Unblock { wallet, covered } => {
                o.text("wallet", wallet).text("scope", covered.code()).opt("id", covered.id())
            }
            Said::Erase { wallet, erased } => {
                o.text("wallet", wallet).text("scope", erased.code()).opt("id", erased.id())
            }
            Said::LiftHold { wallet, delivery } => o.text("wallet", wallet).text("delivery", delivery),
            Said::LiftHalt { wallet, vehicle } => o.text("wallet", wallet).text("vehicle", vehicle),
            Said::Pause { wallet, until } => {
                let told = o.text("wallet", wallet);
                if let Some(until) = until { told.seconds("until", *until) } else { told }
            }
        }
        .end()
        .into_bytes()
    }
    /// Reads a statement without checking who confirmed it.
    ///
    /// # Errors
    /// `statement_…` codes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > STATEMENT_MAX {
            return Err(Refused::of(Kind::Statement, Fault::TooLong));
        }
        let mut m = json::parse(Kind::Statement, bytes)?;
        let typ = m.raw_text("typ", 1..=32)?;
        let aud = audience(&mut m, "aud")?;
        let nonce = token(&mut m, "nonce", 128)?;
        let said = match typ.as_str() {
            "wallet" => Said::Wallet {
                account_key: m.parsed("account_key", SealPublicKey::parse)?,
                passkey: passkey_from(&mut m)?,
            },
            "link" => Said::Link {
                wallet: wallet(&mut m)?,
                maker: m.parsed("maker", |t| is_word(t, 32).then(|| t.to_owned()))?,
            },
            "consents" => Said::Consents {
                wallet: wallet(&mut m)?,
                vehicle: m.parsed("vehicle", |t| VehicleId::parse(t).ok())?,
                nobody_inside: m.bool("nobody_inside")?,
                parked_inferred: m.bool("parked_inferred")?,
                tailgate_with_cabin: m.bool("tailgate_with_cabin")?,
                lid_and_lock_untold: m.opt_true("lid_and_lock_untold")?,
            },
            "passkey" => Said::Passkey { wallet: wallet(&mut m)?, passkey: passkey_from(&mut m)? },
            "confirm_link" => Said::ConfirmLink {
                wallet: wallet(&mut m)?,
                vehicle: m.parsed("vehicle", |t| VehicleId::parse(t).ok())?,
                link: m.parsed("link", |t| is_token(t, 64).then(|| t.to_owned()))?,
            },
            "erase" => {
                let wallet = wallet(&mut m)?;
                let scope = m.parsed("scope", |t| is_word(t, 16).then(|| t.to_owned()))?;
                let id = m.opt_parsed("id", |t| is_token(t, 64).then(|| t.to_owned()))?;
                Said::Erase { wallet, erased: ToErase::parse(&scope, id.as_deref()).ok_or_else(|| m.wrong())? }
            }
            "lift_hold" => Said::LiftHold {
                wallet: wallet(&mut m)?,
                delivery: m.parsed("delivery", |t| DeliveryId::parse(t).ok())?,
            },
            "lift_halt" => {
                Said::LiftHalt { wallet: wallet(&mut m)?, vehicle: m.parsed("vehicle", |t| VehicleId::parse(t).ok())? }
            }
            "pause" => Said::Pause {
                wallet: wallet(&mut m)?,
                until: if m.has("until") { Some(m.seconds("until")?) } else { None },
            },
            "unblock" => {
                let wallet = wallet(&mut m)?;
                let scope = m.parsed("scope", |t| is_word(t, 16).then(|| t.to_owned()))?;
                let id = m.opt_parsed("id", |t| is_token(t, 64).then(|| t.to_owned()))?;
                Said::Unblock { wallet, covered: Covered::parse(&scope, id.as_deref()).ok_or_else(|| m.wrong())? }
            }
            _ => return Err(m.fault(Fault::WrongType)),
        };
        m.end()?;
        Ok(Self { aud, nonce, said })
    }
    /// Checks who confirmed a statement: for a new wallet the passkey inside it, else one of `passkeys`, which the
    /// caller has read for the wallet that [`Said::wallet`] names. Freshness is [`VerifiedStatement::fresh`].
    ///
    /// # Errors
    /// `statement_…` and `assertion_…` codes.
    pub fn verify(
        bytes: &[u8],
        assertion: &Assertion,
        passkeys: &[Passkey],
        rp: &RelyingParty,
        aud: &str,
    ) -> Result<VerifiedStatement, Refused> {
        let statement = Self::parse(bytes)?;
        if statement.aud != aud {
            return Err(Refused::of(Kind::Statement, Fault::WrongAudience));
        }
        let own = match &statement.said {
            Said::Wallet { passkey, .. } => core::slice::from_ref(passkey),
            _ => passkeys,
        };
        let confirmed_by = webauthn::verify(assertion, &challenge(bytes), own, rp)?.clone();
        Ok(VerifiedStatement { bytes: bytes.to_vec(), statement, confirmed_by })
    }
}

fn passkey_to(o: Object, passkey: &Passkey) -> Object {
    o.text("credential_id", b64(&passkey.credential_id)).raw("jwk", &passkey.key.to_jwk())
}
fn passkey_from(m: &mut Members) -> Result<Passkey, Refused> {
    Ok(Passkey {
        credential_id: m.bytes("credential_id", 1..=CREDENTIAL_ID_MAX)?,
        key: VerifyingKey::from_members(m.object("jwk")?)?,
    })
}
fn wallet(m: &mut Members) -> Result<WalletId, Refused> {
    m.parsed("wallet", |t| WalletId::parse(t).ok())
}
