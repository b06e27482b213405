//! Identifiers: 128 random bits each, written as 22 characters of base64url (RFC 4648 §5, no padding).
//!
//! Every relation has its own id; no id of one relation can be computed from that of another. Bytes come from the
//! caller: nothing here draws randomness.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// A text that is not 22 characters of base64url encoding exactly 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: 22 characters of base64url are expected")]
pub struct NotAnId;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Takes 16 bytes that the caller drew at random.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self { Self(bytes) }
            /// The 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] { &self.0 }
            /// Reads 22 characters of base64url.
            ///
            /// # Errors
            /// [`NotAnId`] for any other text, also for a second spelling of the same bytes.
            pub fn parse(text: &str) -> Result<Self, NotAnId> {
                if text.len() != 22 { return Err(NotAnId); }
                let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAnId)?;
                bytes.try_into().map(Self).map_err(|_| NotAnId)
            }
        }
        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
            }
        }
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
        impl core::str::FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> { Self::parse(text) }
        }
    )+};
}

id! {
    /// A shipment as the carrier knows it; never leaves the carrier.
    ShipmentId,
    /// One delivery in the relation of one carrier and one owner; unguessable, shared by carrier, wallet and gateway.
    DeliveryId,
    /// One parcel inside a delivery.
    ParcelId,
    /// A courier as the carrier knows him or her; never leaves the carrier.
    CourierId,
    /// A stop of a courier's route at the carrier.
    StopId,
    /// The `jti` of a grant (link 0).
    GrantId,
    /// The `jti` of a delegation (link 1).
    DelegationId,
    /// A pseudonym of what opens, made for one wallet and one carrier.
    AccessPointId,
    /// A car or lock that a wallet has linked; known to wallet and keyholder only.
    VehicleId,
    /// A wallet at a gateway.
    WalletId,
    /// One attempt to open, with all its commands.
    AttemptId,
    /// One linking in progress (OAuth `state`).
    LinkId,
    /// Somebody in a car, without account, for half an hour.
    OccupantId,
    /// An owner's invitation to a guest: a hash of its secret, under which both sides meet.
    InvitationId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = DeliveryId::from_bytes([7; 16]);
        assert_eq!(DeliveryId::parse(&id.to_string()), Ok(id));
        for wrong in
            ["", "BwcHBwcHBwcHBwcHBwcHB", "BwcHBwcHBwcHBwcHBwcHBx", "BwcHBwcHBwcHBwcHBwcHB==", "BwcHBwcHBwcHBwcHBwcH+w"]
        {
            assert_eq!(DeliveryId::parse(wrong), Err(NotAnId), "{wrong}");
        }
    }
}
