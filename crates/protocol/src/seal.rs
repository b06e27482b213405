//! Sealing: HPKE base mode (RFC 9180) with X-Wing (0x647a), HKDF-SHA256 and AES-256-GCM, padded to fixed sizes.
//!
//! A box is `0x01 ‖ enc (1120 bytes) ‖ ciphertext`. `info` names version and purpose, `aad` binds sender, recipient,
//! delivery and sequence, so that a box cannot be moved to another place and still open. Base mode does not say who
//! sealed: where that matters, a box travels inside an [`Envelope`](crate::envelope::Envelope).

use core::fmt;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _};
use parcelshelf_core::time::Entropy;
use zeroize::Zeroizing;

use self::opening::Opener;
use crate::encoding::{Hash, b64, from_b64, sha256};
use crate::refused::Refused;

mod opening;

/// Bytes of an X-Wing public key: ML-KEM-768 ‖ X25519.
pub const PUBLIC_KEY_BYTES: usize = 1216;
const ENC_BYTES: usize = 1120;
const TAG_BYTES: usize = 16;
const VERSION: u8 = 1;
const LENGTH_BYTES: usize = 4;
const SMALL: usize = 4 * 1024;
const LARGE: usize = 64 * 1024;

type PublicKey = <XWing as Kem>::PublicKey;
type PrivateKey = <XWing as Kem>::PrivateKey;

/// What is sealed; part of `info`, and decides the size.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Purpose {
    /// Where a car stands, for one device at one stop. 4 KiB.
    Place,
    /// The owner's key for photos, for the device that opened what is not located. 4 KiB.
    PhotoKey,
    /// Where a phone is, for the keyholder. 4 KiB.
    Phone,
    /// Which cars and which finer place a grant is for, for the keyholder. 4 KiB.
    Rule,
    /// Plate, picture and words by which a car is found. 64 KiB.
    Description,
    /// Lists for the owner's own devices. 64 or 128 KiB.
    Account,
    /// A case bundle for its owner. 64 or 128 KiB.
    Bundle,
    /// A photo for the owner. Up to eight times 64 KiB.
    Photo,
    /// One picture of what happened behind a door, for its owner. 64 or 128 KiB.
    Recording,
    /// Which car somebody without account sits in, for the keyholder. 4 KiB.
    Occupant,
    /// How an owner calls a guest, for the keyholder. 4 KiB.
    GuestName,
    /// What an owner has signed for a guest's device, for that device. Up to five times 4 KiB.
    Invitation,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 12] = [
        Self::Place,
        Self::PhotoKey,
        Self::Phone,
        Self::Rule,
        Self::Description,
        Self::Account,
        Self::Bundle,
        Self::Photo,
        Self::Recording,
        Self::Occupant,
        Self::GuestName,
        Self::Invitation,
    ];
    /// The word on the wire.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::PhotoKey => "photo_key",
            Self::Phone => "phone",
            Self::Rule => "rule",
            Self::Description => "description",
            Self::Account => "account",
            Self::Bundle => "bundle",
            Self::Photo => "photo",
            Self::Recording => "recording",
            Self::Occupant => "occupant",
            Self::GuestName => "guest_name",
            Self::Invitation => "invitation",
        }
    }
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.code() == code)
    }
    /// Size of one unit of padding, and how many there may be.
    const fn sizes(self) -> (usize, usize) {
        match self {
            Self::Place | Self::PhotoKey | Self::Phone | Self::Rule | Self::Occupant | Self::GuestName => (SMALL, 1),
            // A grant has at most 16 KiB.
            Self::Invitation => (SMALL, 5),
            Self::Description => (LARGE, 1),
            Self::Account | Self::Bundle | Self::Recording => (LARGE, 2),
            Self::Photo => (LARGE, 8),
        }
    }
    /// Most bytes of content.
    #[must_use]
    pub const fn content_max(self) -> usize {
        let (unit, most) = self.sizes();
        unit * most - LENGTH_BYTES
    }
    /// Bytes of a box whose content has `len` bytes, if that much fits.
    #[must_use]
    pub const fn box_len(self, len: usize) -> Option<usize> {
        if len > self.content_max() {
            return None;
        }
        let (unit, _) = self.sizes();
        Some(1 + ENC_BYTES + (len + LENGTH_BYTES).div_ceil(unit) * unit + TAG_BYTES)
    }
    fn info(self) -> Vec<u8> {
        format!("psh-seal-v1/{}", self.code()).into_bytes()
    }
}

/// Whom a box is from and for. All parts are ASCII without control characters, so that the zero bytes between them
/// cannot be forged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context<'a> {
    /// Who seals: a wallet's or device's thumbprint, or the keyholder's `aud`.
    pub sender: &'a str,
    /// Who opens.
    pub recipient: &'a str,
    /// The delivery, or what stands in its place (a vehicle's id for a description).
    pub delivery: &'a str,
    /// Counts the boxes of one sender, recipient and delivery where there are several; else 0.
    pub seq: u64,
}
impl Context<'_> {
    fn aad(&self) -> Option<Vec<u8>> {
        let parts = [self.sender, self.recipient, self.delivery];
        if parts.iter().any(|p| p.len() > 256 || !p.bytes().all(|b| b.is_ascii_graphic())) {
            return None;
        }
        let mut aad = Vec::with_capacity(256);
        for part in parts {
            aad.extend_from_slice(part.as_bytes());
            aad.push(0);
        }
        aad.extend_from_slice(&self.seq.to_be_bytes());
        Some(aad)
    }
}

/// An X-Wing public key.
#[derive(Clone)]
pub struct SealPublicKey {
    key: PublicKey,
    hash: Hash,
}

impl SealPublicKey {
    /// # Errors
    /// [`Refused::SealKeyMalformed`] for another length, or numbers that no key has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() != PUBLIC_KEY_BYTES {
            return Err(Refused::SealKeyMalformed);
        }
        let key = PublicKey::from_bytes(bytes).map_err(|_| Refused::SealKeyMalformed)?;
        // What was read must be what is written again: a key has one spelling.
        if key.to_bytes().as_slice() != bytes {
            return Err(Refused::SealKeyMalformed);
        }
        Ok(Self { key, hash: sha256(bytes) })
    }
    /// Reads base64url.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != (PUBLIC_KEY_BYTES * 4).div_ceil(3) {
            return None;
        }
        Self::from_bytes(&from_b64(text)?).ok()
    }
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.key.to_bytes().to_vec()
    }
    /// SHA-256 of the bytes; the name of the key.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }
}
impl PartialEq for SealPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}
impl Eq for SealPublicKey {}
impl fmt::Display for SealPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&b64(self.key.to_bytes()))
    }
}
impl fmt::Debug for SealPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealPublicKey({})", self.hash)
    }
}

/// An X-Wing key pair. Does not print.
pub struct SealKeyPair {
    opener: Opener,
    public: SealPublicKey,
}

impl SealKeyPair {
    /// From the 32-byte seed of draft-connolly-cfrg-xwing-kem, which is the private key's own encoding.
    ///
    /// # Errors
    /// [`Refused::SealKeyMalformed`] if the library refuses the seed.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, Refused> {
        let secret = PrivateKey::from_bytes(seed).map_err(|_| Refused::SealKeyMalformed)?;
        let public = SealPublicKey::from_bytes(XWing::sk_to_pk(&secret).to_bytes().as_slice())?;
        Ok(Self { opener: Opener::from_seed(seed).map_err(|_| Refused::SealKeyMalformed)?, public })
    }
    #[must_use]
    pub const fn public(&self) -> &SealPublicKey {
        &self.public
    }
}
impl fmt::Debug for SealKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKeyPair({})", self.public.hash())
    }
}

/// Seals `content` for the holder of `to`.
///
/// # Errors
/// [`Refused::BoxTooLarge`] for more than [`Purpose::content_max`]; [`Refused::BoxMalformed`] for a context that is not ASCII.
pub fn seal(
    entropy: &dyn Entropy,
    to: &SealPublicKey,
    purpose: Purpose,
    context: &Context<'_>,
    content: &[u8],
) -> Result<Vec<u8>, Refused> {
    let len = purpose.box_len(content.len()).ok_or(Refused::BoxTooLarge)?;
    let aad = context.aad().ok_or(Refused::BoxMalformed)?;
    let mut padded = Zeroizing::new(vec![0; len - 1 - ENC_BYTES - TAG_BYTES]);
    let length = u32::try_from(content.len()).map_err(|_| Refused::BoxTooLarge)?;
    padded[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    padded[LENGTH_BYTES..LENGTH_BYTES + content.len()].copy_from_slice(content);
    let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, XWing>(
        &OpModeS::Base,
        &to.key,
        &purpose.info(),
        &padded,
        &aad,
        &mut Drawn(entropy),
    )
    .map_err(|_| Refused::BoxNotForThis)?;
    let mut out = Vec::with_capacity(len);
    out.push(VERSION);
    out.extend_from_slice(&enc.to_bytes());
    out.extend_from_slice(&ciphertext);
    Ok(out)
}

/// Opens a box. The caller names purpose and context; a box made for others does not open.
///
/// # Errors
/// [`Refused::BoxMalformed`], [`Refused::BoxNotForThis`], [`Refused::BoxWrongPadding`].
pub fn open(
    key: &SealKeyPair,
    purpose: Purpose,
    context: &Context<'_>,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let (unit, most) = purpose.sizes();
    let padded_len = sealed.len().checked_sub(1 + ENC_BYTES + TAG_BYTES).ok_or(Refused::BoxMalformed)?;
    if sealed[0] != VERSION || padded_len == 0 || padded_len % unit != 0 || padded_len / unit > most {
        return Err(Refused::BoxMalformed);
    }
    let aad = context.aad().ok_or(Refused::BoxMalformed)?;
    let (enc, ciphertext) = sealed[1..].split_first_chunk::<ENC_BYTES>().ok_or(Refused::BoxMalformed)?;
    let ciphertext = Zeroizing::new(ciphertext.to_vec());
    let opened = key.opener.open(enc, &purpose.info(), &aad, ciphertext);
    let mut padded = opened.map_err(|_| Refused::BoxNotForThis)?;
    let (length, rest) = padded.split_first_chunk::<LENGTH_BYTES>().ok_or(Refused::BoxWrongPadding)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Refused::BoxWrongPadding)?;
    // One content has one padded form: as few units as hold it, zeros after it.
    if length > rest.len() || purpose.box_len(length) != Some(sealed.len()) || rest[length..].iter().any(|b| *b != 0) {
        return Err(Refused::BoxWrongPadding);
    }
    padded.copy_within(LENGTH_BYTES..LENGTH_BYTES + length, 0);
    padded.truncate(length);
    Ok(padded)
}

/// The caller's randomness in the shape that the HPKE library asks for.
struct Drawn<'a>(&'a dyn Entropy);
impl hpke::rand_core::TryRng for Drawn<'_> {
    type Error = core::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_le_bytes(parcelshelf_core::time::random(self.0)))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_le_bytes(parcelshelf_core::time::random(self.0)))
    }
    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(into);
        Ok(())
    }
}
impl hpke::rand_core::TryCryptoRng for Drawn<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;
    impl Entropy for Sevens {
        fn fill(&self, into: &mut [u8]) {
            into.fill(7);
        }
    }

    /// Whoever seals could say the same in many ways, and hide in the difference what an owner never sees.
    #[test]
    fn a_content_has_one_padding() {
        let keys = SealKeyPair::from_seed(&[7; 32]).unwrap();
        let context = Context { sender: "s", recipient: "r", delivery: "d", seq: 0 };
        let opened = |units: usize, length: usize, last: u8| {
            let mut padded = vec![0; units * SMALL];
            padded[..LENGTH_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
            *padded.last_mut().unwrap() = last;
            let (info, aad) = (Purpose::Invitation.info(), context.aad().unwrap());
            let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, XWing>(
                &OpModeS::Base,
                &keys.public.key,
                &info,
                &padded,
                &aad,
                &mut Drawn(&Sevens),
            )
            .unwrap();
            let sealed = [&[VERSION][..], &enc.to_bytes(), &ciphertext].concat();
            open(&keys, Purpose::Invitation, &context, &sealed).map_or_else(Refused::code, |_| "ok")
        };
        let most = SMALL - LENGTH_BYTES;
        for (what, units, length, last, code) in [
            ("nothing", 1, 0, 0, "ok"),
            ("a full unit", 1, most, 1, "ok"),
            ("a byte more", 2, most + 1, 0, "ok"),
            ("a unit too many", 2, most, 0, "box_wrong_padding"),
            ("something behind the content", 1, most - 1, 1, "box_wrong_padding"),
            ("a byte that is not there", 1, most + 1, 0, "box_wrong_padding"),
            ("more than anything holds", 1, u32::MAX as usize, 0, "box_wrong_padding"),
        ] {
            assert_eq!(opened(units, length, last), code, "{what}");
        }
    }
}
