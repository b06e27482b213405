//! Why something was refused: one stable code per check.

use core::fmt;

/// What was being read when a check failed; the first half of a code such as `grant_expired`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// A key's certificate, `psh-cert+jwt`.
    Cert,
    /// The keyholder's published keys, `psh-keys+jwt`.
    Keys,
    /// What a carrier asks for, `psh-request+jwt`.
    Request,
    /// Request and certificates joined, as the wallet gets them in a link.
    Ticket,
    /// Link 0, `psh-grant+jwt`.
    Grant,
    /// A passkey's assertion.
    Assertion,
    /// The keyholder's answer to a grant, `psh-accepted+jwt`.
    Accepted,
    /// Link 1, `psh-delegation+jwt`.
    Delegation,
    /// Link 2, `dpop+jwt`.
    Proof,
    /// A carrier's call, `psh-call+jwt`.
    Call,
    /// What people order in writing, `psh-order+jwt`.
    Order,
    /// What an owner confirms besides grants.
    Statement,
    /// A signed envelope around a sealed box, `psh-sealed+jwt`.
    Envelope,
    /// What was inside a sealed box.
    Content,
    /// A case bundle.
    Bundle,
}

/// What was wrong with it; the second half of a code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fault {
    /// More bytes than this kind may have.
    TooLong,
    /// Not three parts with a dot between.
    NotCompact,
    /// Padding, another alphabet, stray bits, or nothing.
    NotBase64Url,
    /// Not UTF-8, not JSON, or something after it.
    NotJson,
    /// Another kind of value at the top, or where an object is expected.
    NotAnObject,
    /// A member stands twice in one object, at any depth.
    DuplicateMember,
    /// A member that this kind does not have.
    UnknownMember,
    /// A member that this kind must have is absent.
    MissingMember,
    /// A member of the wrong type, outside its range, or not in its one spelling.
    WrongMember,
    /// A number with a fraction or an exponent, or beyond ±2^53.
    NotAnInteger,
    /// Nested deeper than eight levels.
    TooDeep,
    /// `crit` or another header member that this kind does not have.
    UnknownHeader,
    /// `alg` is not the key's algorithm.
    WrongAlgorithm,
    /// `typ` is not this kind's.
    WrongType,
    /// The key named in the header is not the one expected, or is no P-256 key.
    WrongKey,
    /// The signature does not verify.
    BadSignature,
    /// Made for another keyholder or recipient.
    WrongAudience,
    /// Made by somebody else.
    WrongIssuer,
    /// About somebody or something else.
    WrongSubject,
    /// Not valid yet.
    NotYet,
    /// Not valid any more.
    Expired,
    /// Valid for longer than this kind may be, or its end is not after its start.
    WrongLifetime,
}

impl Kind {
    /// All kinds, in the order of the code table.
    pub const ALL: [Self; 15] = [
        Self::Cert,
        Self::Keys,
        Self::Request,
        Self::Ticket,
        Self::Grant,
        Self::Assertion,
        Self::Accepted,
        Self::Delegation,
        Self::Proof,
        Self::Call,
        Self::Order,
        Self::Statement,
        Self::Envelope,
        Self::Content,
        Self::Bundle,
    ];
}

macro_rules! faults {
    ($($fault:ident = $suffix:literal),+ $(,)?) => {
        impl Fault {
            /// All faults, in the order of the code table.
            pub const ALL: &'static [Self] = &[$(Self::$fault),+];
        }
        macro_rules! with_prefix {
            ($prefix:literal, $of:expr) => { match $of { $(Fault::$fault => concat!($prefix, "_", $suffix)),+ } };
        }
    };
}
faults! {
    TooLong = "too_long", NotCompact = "not_compact", NotBase64Url = "not_base64url", NotJson = "not_json",
    NotAnObject = "not_an_object", DuplicateMember = "duplicate_member", UnknownMember = "unknown_member",
    MissingMember = "missing_member", WrongMember = "wrong_member", NotAnInteger = "not_an_integer", TooDeep = "too_deep",
    UnknownHeader = "unknown_header", WrongAlgorithm = "wrong_algorithm", WrongType = "wrong_type", WrongKey = "wrong_key",
    BadSignature = "bad_signature", WrongAudience = "wrong_audience", WrongIssuer = "wrong_issuer",
    WrongSubject = "wrong_subject", NotYet = "not_yet", Expired = "expired", WrongLifetime = "wrong_lifetime",
}

const fn common(kind: Kind, fault: Fault) -> &'static str {
    match kind {
        Kind::Cert => with_prefix!("cert", fault),
        Kind::Keys => with_prefix!("keys", fault),
        Kind::Request => with_prefix!("request", fault),
        Kind::Ticket => with_prefix!("ticket", fault),
        Kind::Grant => with_prefix!("grant", fault),
        Kind::Assertion => with_prefix!("assertion", fault),
        Kind::Accepted => with_prefix!("accepted", fault),
        Kind::Delegation => with_prefix!("delegation", fault),
        Kind::Proof => with_prefix!("proof", fault),
        Kind::Call => with_prefix!("call", fault),
        Kind::Order => with_prefix!("order", fault),
        Kind::Statement => with_prefix!("statement", fault),
        Kind::Envelope => with_prefix!("envelope", fault),
        Kind::Content => with_prefix!("content", fault),
        Kind::Bundle => with_prefix!("bundle", fault),
    }
}

macro_rules! refused {
    ($($(#[$doc:meta])+ $variant:ident = $code:literal),+ $(,)?) => {
        /// Why something was refused. Carries no part of what was refused, so that it can be logged and answered.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Refused {
            /// A check that several kinds of message share.
            Common(Kind, Fault),
            $($(#[$doc])+ $variant),+
        }
        impl Refused {
            /// Every refusal that is not [`Refused::Common`].
            pub const OWN: &'static [Self] = &[$(Self::$variant),+];
            /// The stable code of this check, such as `grant_expired`. Published in `docs/protocol/chain.md`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    Self::Common(kind, fault) => common(kind, fault),
                    $(Self::$variant => $code),+
                }
            }
        }
    };
}
refused! {
    /// The key that should sign could not.
    SigningFailed = "signing_failed",
    /// A certificate is for another use than the one it is shown for.
    CertWrongRole = "cert_wrong_role",
    /// The request that a grant answers is not the one shown.
    GrantWrongRequest = "grant_wrong_request",
    /// A grant names another access point than the one it is used for.
    GrantWrongAccessPoint = "grant_wrong_access_point",
    /// A grant is confirmed to another carrier than the one that uses it.
    GrantWrongCarrier = "grant_wrong_carrier",
    /// What is disclosed as rule does not match the commitment inside the grant.
    GrantWrongRule = "grant_wrong_rule",
    /// The wallet's sealing key is not the one named in the grant.
    GrantWrongSealKey = "grant_wrong_seal_key",
    /// A grant's scope asks for more than the request it answers.
    GrantWidensRequest = "grant_widens_request",
    /// No passkey of this access point has this credential id.
    AssertionUnknownCredential = "assertion_unknown_credential",
    /// `clientDataJSON.type` is not `webauthn.get`.
    AssertionWrongCeremony = "assertion_wrong_ceremony",
    /// The challenge is not the hash of what was to be confirmed.
    AssertionWrongChallenge = "assertion_wrong_challenge",
    /// The page that asked is not the wallet.
    AssertionWrongOrigin = "assertion_wrong_origin",
    /// The page was framed by another.
    AssertionCrossOrigin = "assertion_cross_origin",
    /// The relying party is not the wallet's host.
    AssertionWrongRelyingParty = "assertion_wrong_relying_party",
    /// Nobody touched the authenticator.
    AssertionNoUserPresence = "assertion_no_user_presence",
    /// The authenticator did not verify who touched it.
    AssertionNoUserVerification = "assertion_no_user_verification",
    /// A delegation hangs on another grant.
    DelegationWrongParent = "delegation_wrong_parent",
    /// A delegation is for another delivery than the grant.
    DelegationWrongDelivery = "delegation_wrong_delivery",
    /// A delegation changes the purpose.
    DelegationWidensPurpose = "delegation_widens_purpose",
    /// A delegation opens more.
    DelegationWidensOpens = "delegation_widens_opens",
    /// A delegation opens more often.
    DelegationWidensUses = "delegation_widens_uses",
    /// A delegation names cells outside the grant's area.
    DelegationWidensArea = "delegation_widens_area",
    /// A delegation discloses the place earlier.
    DelegationWidensDisclose = "delegation_widens_disclose",
    /// A delegation's window is not inside the grant's.
    DelegationWidensWindow = "delegation_widens_window",
    /// A delegation names a label that the request did not announce for this direction.
    DelegationWidensLabels = "delegation_widens_labels",
    /// This purpose has no delegation: the owner's own device signs the proof.
    DelegationNotAllowed = "delegation_not_allowed",
    /// This purpose needs a delegation.
    DelegationNeeded = "delegation_needed",
    /// A certificate of the path was signed by another key than the one above it.
    PathBroken = "path_broken",
    /// A proof by a device that the last link does not name.
    ProofWrongDevice = "proof_wrong_device",
    /// A proof for another delegation or grant.
    ProofWrongToken = "proof_wrong_token",
    /// A proof for another HTTP method.
    ProofWrongMethod = "proof_wrong_method",
    /// A proof for another URL.
    ProofWrongUrl = "proof_wrong_url",
    /// A proof for another action.
    ProofWrongAction = "proof_wrong_action",
    /// A proof for another body.
    ProofWrongBody = "proof_wrong_body",
    /// A call for another HTTP method.
    CallWrongMethod = "call_wrong_method",
    /// A call for another URL.
    CallWrongUrl = "call_wrong_url",
    /// A call for another body.
    CallWrongBody = "call_wrong_body",
    /// Not a nonce in its one spelling.
    NonceMalformed = "nonce_malformed",
    /// This keyholder did not make it, or made it for another device, token or action.
    NonceForeign = "nonce_foreign",
    /// Its time is over.
    NonceExpired = "nonce_expired",
    /// It was used before.
    NonceReplayed = "nonce_replayed",
    /// A label has fewer than 4 or more than 48 letters and digits.
    LabelWrongLength = "label_wrong_length",
    /// Not a label that this delegation lists.
    LabelNotListed = "label_not_listed",
    /// A sealed box of another version, or of a length that no padded content has.
    BoxMalformed = "box_malformed",
    /// Sealed to another key, for another purpose or relation, or changed since.
    BoxNotForThis = "box_not_for_this",
    /// The padding inside a box is not zero, or the length before it is wrong.
    BoxWrongPadding = "box_wrong_padding",
    /// More content than the sizes of this purpose hold.
    BoxTooLarge = "box_too_large",
    /// Not an X-Wing public key.
    SealKeyMalformed = "seal_key_malformed",
    /// A bundle written in another than its one way.
    BundleNotCanonical = "bundle_not_canonical",
    /// Its anchors are not the expected ones, or not those of the keyholder's published keys.
    BundleWrongAnchor = "bundle_wrong_anchor",
    /// A record is missing, out of place, or of an unexpected kind.
    BundleRecordMissing = "bundle_record_missing",
    /// A record names another message, key, delivery or device than the bundle holds.
    BundleRecordMismatch = "bundle_record_mismatch",
    /// A message in the bundle is named by no record.
    BundleUnreferenced = "bundle_unreferenced",
    /// The bytes of a record are no record, or an opening does not fit.
    BundleWrongOpening = "bundle_wrong_opening",
    /// A record of the access point's chain is left out or out of order.
    BundleChainBroken = "bundle_chain_broken",
    /// The checkpoint is not the log's.
    BundleWrongCheckpoint = "bundle_wrong_checkpoint",
    /// A record is not in the tree under the checkpoint.
    BundleNotIncluded = "bundle_not_included",
    /// A command without an outcome, an outcome without a command, or records that contradict each other.
    BundleContradiction = "bundle_contradiction",
    /// More attempts spent the grant than it allows.
    BundleTooManyUses = "bundle_too_many_uses",
    /// A public key of P-256 in another form, or a point off the curve.
    KeyMalformed = "key_malformed",
}

impl Refused {
    pub(crate) const fn of(kind: Kind, fault: Fault) -> Self {
        Self::Common(kind, fault)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl core::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_snake_case_and_belongs_to_one_check() {
        let all: Vec<&str> = Kind::ALL
            .into_iter()
            .flat_map(|k| Fault::ALL.iter().map(move |f| Refused::of(k, *f).code()))
            .chain(Refused::OWN.iter().map(|r| r.code()))
            .collect();
        let set: BTreeSet<_> = all.iter().collect();
        assert_eq!(set.len(), all.len(), "two checks share a code");
        assert!(all.iter().all(|c| c.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))));
    }
}
