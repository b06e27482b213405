//! Bodies as they come in, with their bounds. What does not parse is refused before anything is looked up.

use parcelshelf_protocol::webauthn::Assertion;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Longest signed message in a body, characters.
const JWS: usize = 16 * 1024;

/// A statement and the passkey's assertion over it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmed {
    /// base64url of the statement's exact bytes.
    #[schema(min_length = 1, max_length = 5464)]
    pub statement: String,
    #[schema(value_type = AssertionSchema)]
    pub assertion: Assertion,
}

/// An `AuthenticatorAssertionResponse`, each part base64url.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Assertion)]
pub(crate) struct AssertionSchema {
    #[schema(min_length = 2, max_length = 1364)]
    pub credential_id: String,
    #[schema(min_length = 50, max_length = 1366)]
    pub authenticator_data: String,
    #[schema(min_length = 2, max_length = 2732)]
    pub client_data_json: String,
    #[schema(min_length = 11, max_length = 107)]
    pub signature: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Code {
    /// As the maker's redirect carries it.
    #[schema(min_length = 1, max_length = 2048)]
    pub code: String,
}

/// Something sealed to the keyholder.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sealed {
    /// base64url of the box.
    #[schema(min_length = 1, max_length = 92000)]
    pub r#box: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForCarrier {
    /// Thumbprint of the carrier's root, or of the owner's own device for a rehearsal.
    #[schema(min_length = 43, max_length = 43)]
    pub carrier: String,
}

/// Which cars of an account take part.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    /// As the list of cars to choose from calls them.
    #[schema(min_items = 1, max_items = 16)]
    pub cars: Vec<String>,
}

/// A wallet that linked the same car later.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LaterLink {
    /// As the list of cars calls it.
    #[schema(min_length = 22, max_length = 22)]
    pub link: String,
}

/// Link 0 with everything it rests on. `request` and the certificates are absent for the owner's own device.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandedGrant {
    #[schema(max_length = 16384)]
    pub request: Option<String>,
    #[schema(max_length = 16384)]
    pub carrier_cert: Option<String>,
    #[schema(max_length = 16384)]
    pub delegation_cert: Option<String>,
    #[schema(min_length = 1, max_length = 16384)]
    pub grant: String,
    #[schema(value_type = AssertionSchema)]
    pub assertion: Assertion,
    /// The wallet's X-Wing key for this grant.
    #[schema(min_length = 1622, max_length = 1622)]
    pub seal_key: String,
    #[schema(min_length = 1, max_length = 8192)]
    pub rule_box: String,
}

/// What to stop.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct What {
    pub scope: ScopeWord,
    /// A delivery's id, or the thumbprint of a carrier or of a courier's device; absent for `all`.
    #[schema(min_length = 22, max_length = 43)]
    pub id: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScopeWord {
    Delivery,
    Carrier,
    Courier,
    All,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CarrierCert {
    #[schema(min_length = 1, max_length = 16384)]
    pub cert: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderIn {
    /// `psh-order+jwt`.
    #[schema(min_length = 1, max_length = 16384)]
    pub order: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDevice {
    #[schema(min_length = 1, max_length = 16384)]
    pub device_cert: String,
    #[schema(min_length = 1, max_length = 16384)]
    pub depot_cert: String,
    #[schema(min_length = 43, max_length = 43)]
    pub carrier: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDelegation {
    #[schema(min_length = 1, max_length = 16384)]
    pub delegation: String,
    /// The certificate of the key that signed it; the same as in the header.
    #[schema(min_length = 1, max_length = 16384)]
    pub delegation_cert: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slot {
    pub slot: SlotWord,
}
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SlotWord {
    EveningBefore,
    StartOfWindow,
    TenMinutesBefore,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForNonce {
    #[schema(min_length = 43, max_length = 43)]
    pub device: String,
    pub act: ActWord,
    /// SHA-256 of the last link.
    #[schema(min_length = 43, max_length = 43)]
    pub ath: String,
}
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActWord {
    Locate,
    Describe,
    Open,
    Signal,
    Lock,
    Close,
}

/// The phone's position, sealed with the proof's nonce.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WithPhone {
    #[schema(min_length = 1, max_length = 8192)]
    pub phone: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToOpen {
    /// Salted hashes of the labels that were scanned.
    #[schema(max_items = 16)]
    pub labels: Vec<String>,
    #[schema(min_length = 1, max_length = 8192)]
    pub phone: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Closed {
    /// The courier pulled the handle and it held.
    pub handle_checked: bool,
    /// SHA-256 of the sealed photo of the closed lid.
    #[schema(min_length = 43, max_length = 43)]
    pub photo: Option<String>,
    /// Nothing will be opened here again: no reopening is waited for.
    pub done: bool,
    #[schema(min_length = 1, max_length = 8192)]
    pub phone: String,
}

/// How long to wait for news, and what is known already.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wait {
    /// Number of the last news seen.
    #[serde(default)]
    #[param(maximum = 9007199254740992u64)]
    pub after: u64,
    /// Seconds, at most 25.
    #[serde(default)]
    #[param(maximum = 25)]
    pub wait: u64,
}
impl Wait {
    pub(crate) const fn duration(&self) -> std::time::Duration {
        std::time::Duration::from_secs(if self.wait > 25 { 25 } else { self.wait })
    }
}

/// Where a carrier has read to.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangesAfter {
    /// `next` of the last answer.
    #[serde(default)]
    #[param(max_length = 40)]
    pub after: String,
    /// Seconds, at most 25.
    #[serde(default)]
    #[param(maximum = 25)]
    pub wait: u64,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangesOut {
    /// Ask after this next.
    pub next: String,
    /// The position was not known: ask for each open delivery once.
    pub resync: bool,
    pub changes: Vec<ChangeOut>,
}
/// One delivery as it stands now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeOut {
    pub delivery: String,
    /// `psh-accepted+jwt`, while nothing has followed the owner's answer.
    pub accepted: Option<String>,
    /// It comes of a standing rule.
    pub standing: bool,
    pub seq: u64,
    /// As in the delivery's own status.
    pub state: String,
    pub reason: Option<String>,
}

/// Every signed message in a body, before anything else is done with it.
pub(crate) const fn fits(jws: &str) -> bool {
    jws.len() <= JWS
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeysOut {
    /// `psh-keys+jwt`.
    pub keys: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NonceOut {
    pub nonce: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WalletOut {
    pub wallet: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkOut {
    pub link: String,
    pub authorize_url: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MakerOut {
    /// What a statement to link calls it.
    pub maker: &'static str,
    /// As owners know it.
    pub makes: Vec<&'static str>,
    /// `car` or `home`: whether it serves cars or a house's doors.
    pub kind: &'static str,
    /// Classes of access that it opens.
    pub opens: Vec<&'static str>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MakersOut {
    pub makers: Vec<MakerOut>,
    /// The public key, a JWK, that admits carriers.
    pub operator: Value,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EnvelopeOut {
    /// `psh-sealed+jwt`.
    pub envelope: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlaceOut {
    /// `psh-sealed+jwt`. Of a house there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envelope: Option<String>,
    /// Only where something was opened here before and is not known to be locked: the attempt, to be shut and locked by this device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccessPointOut {
    pub access_point: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AcceptedOut {
    /// `psh-accepted+jwt`; null while nothing is accepted.
    pub accepted: Option<String>,
    /// Under a standing rule: later deliveries can be announced with the hash of the grant that the acceptance names.
    pub standing: bool,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleOut {
    /// The rule's name, for its owner.
    pub rule: String,
    /// `psh-accepted+jwt` of the delivery that it was made with; null for a guest's.
    pub accepted: Option<String>,
}
/// Somebody whom an owner invites.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invited {
    /// A hash of the invitation's secret.
    #[schema(min_length = 22, max_length = 22)]
    pub invitation: String,
    /// How the owner calls them, sealed to the keyholder.
    #[schema(min_length = 1, max_length = 8192)]
    pub r#box: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitedOut {
    /// Nobody answers it after that.
    pub until: String,
}
/// A guest's device.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answered {
    /// Both public keys, `psh-enrol-1~…~…`.
    #[schema(min_length = 1, max_length = 2048)]
    pub device: String,
    /// Says that whoever made these keys had the invitation's secret.
    #[schema(min_length = 43, max_length = 43)]
    pub tag: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitationOut {
    /// `waiting`, `answered` or `ready`.
    pub state: String,
    /// `psh-sealed+jwt` for the device that answered, once something was signed for it.
    pub envelope: Option<String>,
}
/// A code for a door.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignWanted {
    /// Of a house: a garage, a gate.
    #[schema(min_length = 22, max_length = 22)]
    pub vehicle: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignOut {
    /// A hash of its secret, which comes with the list, sealed.
    pub door_sign: String,
}
/// Somebody who stands at a door and has read its code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Knocked {
    /// Drawn by the page. Under this name it asks how it stands, as for an invitation.
    #[schema(min_length = 22, max_length = 22)]
    pub knock: String,
    /// Both public keys of the page, `psh-enrol-1~…~…`.
    #[schema(min_length = 1, max_length = 2048)]
    pub device: String,
    /// Says that whoever asks has the code's secret.
    #[schema(min_length = 43, max_length = 43)]
    pub tag: String,
    /// Who it is and what they bring, sealed to the keyholder by the device.
    #[schema(min_length = 1, max_length = 8192)]
    pub r#box: String,
}
/// A delivery under a standing rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Announcement {
    /// `psh-request+jwt`.
    #[schema(min_length = 1, max_length = 16384)]
    pub request: String,
    /// The hash of the rule, as an acceptance under it names its grant.
    #[schema(min_length = 43, max_length = 43)]
    pub rule: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceOut {
    pub device: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthOut {
    pub makers: Vec<MakerHealth>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MakerHealth {
    pub maker: String,
    /// Its cloud is taken for down: nothing but locks and looks at open cars is asked of it.
    pub down: bool,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CarrierOut {
    pub carrier: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusOut {
    pub seq: u64,
    /// `granted`, `delegated`, `located`, `opening`, `opened`, `closed`, `released`, `recalled`, `alarm`, `refused`, `blocked`, `ended`.
    pub state: String,
    pub reason: Option<String>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadyOut {
    /// `yes`, `no` or `later`.
    pub answer: &'static str,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    pub done: bool,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Linked {
    pub done: bool,
    /// The account has cars of which the owner chooses which take part.
    pub choose: bool,
}
