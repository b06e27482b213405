//! An invitation: how a guest's device and the owner who invites find each other.
//!
//! A secret goes to the guest behind the `#` of a link, as a QR code on the owner's screen or in a message. No server sees it;
//! servers see its hash, under which both meet. Whoever has that alone can neither put keys of their own in the guest's place
//! (the [tag](Invitation::tag)) nor know the six digits. Whoever has the link can answer first: then the digits that the guest
//! reads out are none, or others.
//!
//! A [door sign](DoorSign) turns this around: its code hangs at a door and stays, and whoever stands there asks to be let in.

use core::fmt;

use parcelshelf_core::id::InvitationId;

use crate::encoding::{Hash, Thumbprint, b64, domain_hash, from_b64, sha256};

/// The secret of one invitation.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation([u8; 16]);
impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invitation(<redacted>)")
    }
}

impl Invitation {
    /// From 128 random bits.
    #[must_use]
    pub const fn from_secret(secret: [u8; 16]) -> Self {
        Self(secret)
    }
    /// Reads what stands behind the `#`: 22 characters of base64url.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 22 {
            return None;
        }
        from_b64(text)?.try_into().ok().map(Self)
    }
    /// The reverse of [`Invitation::parse`].
    #[must_use]
    pub fn to_text(&self) -> String {
        b64(self.0)
    }
    /// Under which both sides meet: the first 16 bytes of `H("psh-invite-id-v1", secret)`.
    #[must_use]
    pub fn id(&self) -> InvitationId {
        let hash = domain_hash("psh-invite-id-v1", &[&self.0]);
        let mut id = [0; 16];
        id.copy_from_slice(&hash.as_bytes()[..16]);
        InvitationId::from_bytes(id)
    }
    /// Says that whoever answers with this device had the secret: `H("psh-invite-tag-v1", secret ‖ device)`.
    #[must_use]
    pub fn tag(&self, device: Thumbprint) -> Hash {
        domain_hash("psh-invite-tag-v1", &[&self.0, device.as_bytes()])
    }
    /// Six digits that the guest reads out and the owner types: the first four bytes of
    /// `H("psh-invite-digits-v1", secret ‖ device ‖ SHA-256(log line))`, big-endian, modulo 1,000,000. `log` is the verifier
    /// line of the keyholder's log, so that both speak of one keyholder.
    #[must_use]
    pub fn digits(&self, device: Thumbprint, log: &str) -> String {
        let hash = domain_hash("psh-invite-digits-v1", &[&self.0, device.as_bytes(), sha256(log).as_bytes()]);
        let [a, b, c, d, ..] = *hash.as_bytes();
        format!("{:06}", u32::from_be_bytes([a, b, c, d]) % 1_000_000)
    }
}

/// The secret of a code that hangs at a door. Whoever was once there may know it: it says where somebody asks, not who.
#[derive(Clone, PartialEq, Eq)]
pub struct DoorSign([u8; 16]);
impl fmt::Debug for DoorSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DoorSign(<redacted>)")
    }
}

impl DoorSign {
    /// From 128 random bits.
    #[must_use]
    pub const fn from_secret(secret: [u8; 16]) -> Self {
        Self(secret)
    }
    /// Reads what stands behind the `#`: 22 characters of base64url.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Invitation::parse(text).map(|same| Self(same.0))
    }
    /// The reverse of [`DoorSign::parse`].
    #[must_use]
    pub fn to_text(&self) -> String {
        b64(self.0)
    }
    /// Under which servers know it: the first 16 bytes of `H("psh-door-sign-v1", secret)`.
    #[must_use]
    pub fn id(&self) -> InvitationId {
        let hash = domain_hash("psh-door-sign-v1", &[&self.0]);
        let mut id = [0; 16];
        id.copy_from_slice(&hash.as_bytes()[..16]);
        InvitationId::from_bytes(id)
    }
    /// Says that whoever asks under this name with this device has read the code: `H("psh-knock-v1", secret ‖ device ‖ knock)`.
    /// The name is in it, so that nobody on the way asks once more with what was said before.
    #[must_use]
    pub fn tag(&self, device: Thumbprint, knock: InvitationId) -> Hash {
        domain_hash("psh-knock-v1", &[&self.0, device.as_bytes(), knock.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_server_sees_tells_the_secret_or_the_digits() {
        let (one, other) = (Invitation::from_secret([1; 16]), Invitation::from_secret([2; 16]));
        assert_eq!(Invitation::parse(&one.to_text()), Some(one.clone()));
        for wrong in ["", "AQEBAQEBAQEBAQEBAQEBAR", "AQEBAQEBAQEBAQEBAQEBAQ=="] {
            assert_eq!(Invitation::parse(wrong), None, "{wrong}");
        }
        let (device, theirs) = (Thumbprint::from_bytes([3; 32]), Thumbprint::from_bytes([4; 32]));
        assert_ne!(one.id(), other.id());
        assert_ne!(one.id().as_bytes(), &one.0);
        assert_ne!(one.tag(device), one.tag(theirs));
        assert_ne!(one.tag(device), other.tag(device));
        let digits = one.digits(device, "log");
        assert!(digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit()), "{digits}");
        for else_said in [one.digits(theirs, "log"), other.digits(device, "log"), one.digits(device, "other log")] {
            assert_ne!(digits, else_said);
        }
        assert!(!format!("{one:?}").contains(&one.to_text()));
    }

    #[test]
    fn what_was_said_at_one_door_is_worth_nothing_at_another_nor_a_second_time() {
        let (one, other) = (DoorSign::from_secret([1; 16]), DoorSign::from_secret([2; 16]));
        assert_eq!(DoorSign::parse(&one.to_text()), Some(one.clone()));
        assert_eq!(DoorSign::parse("AQEBAQEBAQEBAQEBAQEBAQ=="), None);
        assert_ne!(one.id(), other.id());
        assert_ne!(one.id(), Invitation::from_secret([1; 16]).id(), "a sign is no invitation");
        let (device, theirs) = (Thumbprint::from_bytes([3; 32]), Thumbprint::from_bytes([4; 32]));
        let (knock, later) = (InvitationId::from_bytes([5; 16]), InvitationId::from_bytes([6; 16]));
        let said = one.tag(device, knock);
        for else_said in [one.tag(theirs, knock), one.tag(device, later), other.tag(device, knock)] {
            assert_ne!(said, else_said);
        }
        assert!(!format!("{one:?}").contains(&one.to_text()));
    }
}
