//! Bodies as they come in, with their bounds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewShipment {
    pub merchant: MerchantIn,
    pub recipient: Recipient,
    #[schema(min_items = 1, max_items = 8)]
    pub parcels: Vec<NewParcel>,
    pub window: WindowIn,
    /// `address`, `parcel_shop`, `next_window`, `return`; best first, each once.
    #[schema(min_items = 1, max_items = 4)]
    pub fallbacks: Vec<String>,
    /// The `rule` of an earlier delivery to the same person: this one is announced under it. If it is not covered, the link
    /// asks as always.
    #[schema(min_length = 43, max_length = 43)]
    pub rule: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MerchantIn {
    /// Printable ASCII.
    #[schema(min_length = 1, max_length = 64)]
    pub id: String,
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipient {
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    #[schema(min_length = 1, max_length = 500)]
    pub fallback_address: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewParcel {
    /// As printed; 4 to 48 letters and digits count.
    #[schema(min_length = 4, max_length = 256)]
    pub label: String,
    /// Length, width, height in millimetres.
    #[schema(min_items = 3, max_items = 3)]
    pub size_mm: [u32; 3],
    #[schema(minimum = 1, maximum = 1000000)]
    pub weight_g: u32,
    /// In the currency's smallest unit.
    #[schema(minimum = 0, maximum = 1099511627776u64)]
    pub value_minor: u64,
    /// ISO 4217.
    #[schema(min_length = 3, max_length = 3)]
    pub currency: String,
    /// `signature`, `age_check`, `cash_on_delivery`, `customs`, `live_goods`, `aerosol`, `loose_lithium_cells`, `medicine`.
    #[serde(default)]
    #[schema(max_items = 8)]
    pub flags: Vec<String>,
    /// `put` into the car, or `take` out of it.
    #[schema(min_length = 3, max_length = 4)]
    pub direction: String,
    /// How long the goods bear a hot or cold car.
    #[serde(default)]
    pub bears_minutes_in_car: Option<u32>,
}

/// RFC 3339; two or four hours.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowIn {
    #[schema(min_length = 20, max_length = 40)]
    pub start: String,
    #[schema(min_length = 20, max_length = 40)]
    pub end: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCourier {
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
}
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceIn {
    /// Thumbprint.
    #[schema(min_length = 43, max_length = 43)]
    pub device: String,
}
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CourierIn {
    #[schema(min_length = 22, max_length = 22)]
    pub courier: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutcomeWord {
    Done,
    NotDone,
}
/// What became of a parcel. `reason` belongs to `not_done`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutcomeIn {
    pub outcome: OutcomeWord,
    #[serde(default)]
    #[schema(max_length = 64)]
    pub reason: Option<String>,
    #[serde(default)]
    #[schema(max_length = 64)]
    pub fallback: Option<String>,
}
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParcelIn {
    #[schema(min_length = 22, max_length = 22)]
    pub parcel: String,
}
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelIn {
    /// A reason code; `blocked_by_owner` and `not_confirmed` are the usual ones.
    #[schema(min_length = 1, max_length = 64)]
    pub reason: String,
}

/// A page of deliveries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listing {
    /// `requested`, `accepted`, `loaded`, `leg`, `at_stop`, `falling_back`, `ended`.
    #[serde(default)]
    pub state: Option<String>,
    #[serde(default)]
    #[param(max_length = 400)]
    pub cursor: Option<String>,
    #[serde(default)]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CourierOut {
    pub courier: String,
    /// Shown once; a repeated request shows none.
    pub token: Option<String>,
    /// The courier app's address that logs in with it, where there is an app.
    pub url: Option<String>,
}

/// A delivery, as much of it as whoever asks may see.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliverySeen {
    pub delivery: String,
    pub shipment: String,
    /// `requested`, `accepted`, `loaded`, `leg`, `at_stop`, `falling_back`, `ended`.
    pub state: String,
    /// `delivered`, `partly_delivered`, `fallback`, `returned`.
    pub end: Option<String>,
    pub window: WindowOut,
    pub courier: Option<String>,
    pub parcels: Vec<ParcelSeen>,
    /// What the gateway said last.
    pub access: AccessSeen,
    /// Whether the car is ready, as it was said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadySeen>,
    /// The link for the owner, until there is an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<RecipientSeen>,
    /// The owner has also allowed later ones in advance: name this when you ship to the same person again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Somebody has ordered that nothing of it is erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShipmentSeen {
    pub shipment: String,
    pub deliveries: Vec<DeliverySeen>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveriesSeen {
    pub deliveries: Vec<DeliverySeen>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JournalOut {
    pub entries: Vec<EntryOut>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryOut {
    pub seq: u64,
    pub kind: String,
    pub at: String,
    /// Codes and ids.
    pub event: serde_json::Value,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WindowOut {
    pub start: String,
    pub end: String,
}
impl WindowOut {
    pub fn of(start_ms: i64, end_ms: i64) -> Self {
        let time = |ms: i64| parcelshelf_core::time::Timestamp::from_unix_millis(ms).to_rfc3339();
        Self { start: time(start_ms), end: time(end_ms) }
    }
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ParcelSeen {
    pub parcel: String,
    pub direction: String,
    /// `planned`, `placed`, `taken`, `falling_back`, `fell_back`.
    pub state: String,
    pub reason: Option<String>,
    pub fallback: Option<String>,
    pub size_mm: [u32; 3],
    /// The last characters of its label.
    pub tail: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccessSeen {
    pub state: String,
    pub reason: Option<String>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadySeen {
    pub slot: String,
    /// `yes`, `no` or `later`; why not, only the owner hears.
    pub answer: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecipientSeen {
    pub name: String,
    pub fallback_address: String,
}

/// An `AuthenticatorAssertionResponse`, each part base64url.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssertionParts {
    #[schema(min_length = 2, max_length = 1364)]
    credential_id: String,
    #[schema(min_length = 50, max_length = 1366)]
    authenticator_data: String,
    #[schema(min_length = 2, max_length = 2732)]
    client_data_json: String,
    #[schema(min_length = 11, max_length = 107)]
    signature: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LegOut {
    pub stop_url: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LegalHoldIn {
    pub held: bool,
}
