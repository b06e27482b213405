//! base64url with one spelling per value, and the hashes of this protocol.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Writes base64url without padding (RFC 4648 §5).
#[must_use]
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url in its only spelling: no padding, no white space, unused bits zero.
#[must_use]
pub fn from_b64(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: impl AsRef<[u8]>) -> Hash {
    Hash(Sha256::digest(bytes.as_ref()).into())
}

/// `H(domain, parts…)` = SHA-256(domain ‖ 0x00 ‖ parts…). The domain is ASCII and keeps hashes of one use apart from
/// those of every other.
#[must_use]
pub fn domain_hash(domain: &str, parts: &[&[u8]]) -> Hash {
    let mut h = Sha256::new();
    h.update(domain.as_bytes());
    h.update([0]);
    for part in parts {
        h.update(part);
    }
    Hash(h.finalize().into())
}

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident[$n:literal])+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $n]);
        impl $name {
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $n]) -> Self { Self(bytes) }
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $n] { &self.0 }
            /// Reads base64url in its only spelling; `None` for any other text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                if text.len() != usize::div_ceil($n * 4, 3) { return None; }
                from_b64(text)?.try_into().ok().map(Self)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&b64(self.0)) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}({self})", stringify!($name)) }
        }
        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] { &self.0 }
        }
    )+};
}

fixed! {
    /// A SHA-256 value, written as 43 characters of base64url.
    Hash[32]
    /// The name of a key: of one ES256 key (RFC 7638), or of a courier's device (one name over its two keys).
    Thumbprint[32]
    /// A `jti`: 128 random bits, 22 characters.
    TokenId[16]
}
impl TokenId {
    /// Draws a fresh one.
    #[must_use]
    pub fn random(entropy: &dyn parcelshelf_core::time::Entropy) -> Self {
        Self(parcelshelf_core::time::random(entropy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_has_one_spelling() {
        assert_eq!(from_b64("AQ"), Some(vec![1]));
        for wrong in ["AR", "AQ==", "AQ=", " AQ", "AQ\n", "A", "+/"] {
            assert_eq!(from_b64(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn domains_keep_hashes_apart() {
        assert_eq!(domain_hash("d", &[b"ab"]), domain_hash("d", &[b"a", b"b"]));
        assert_eq!(domain_hash("d", &[b"a"]), sha256(b"d\0a"));
        assert_ne!(domain_hash("d", &[b"a"]), domain_hash("da", &[b""]));
    }
}
