//! Personal data at rest: AES-256-GCM under a key per delivery or courier, derived from the storage key (HMAC-SHA256).

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use parcelshelf_core::time::{Entropy, random};
use parcelshelf_protocol::encoding::{b64, from_b64};
use zeroize::Zeroizing;

pub(crate) struct Vault {
    master: hmac::Key,
    entropy: Arc<dyn Entropy>,
}

impl Vault {
    pub fn new(storage: &[u8; 32], entropy: Arc<dyn Entropy>) -> Self {
        Self { master: hmac::Key::new(hmac::HMAC_SHA256, storage), entropy }
    }
    fn key(&self, owner: &[u8]) -> LessSafeKey {
        let derived = hmac::sign(&self.master, &[b"psh-carrier-v1\0", owner].concat());
        // HMAC-SHA256 gives the 32 bytes that AES-256 takes.
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, derived.as_ref()).expect("32 bytes are an AES-256 key"))
    }
    pub fn seal(&self, owner: &[u8], content: &[u8]) -> String {
        let nonce = random::<NONCE_LEN>(&*self.entropy);
        let mut sealed = content.to_vec();
        let tag = self
            .key(owner)
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .expect("contents are bounded far below what AES-GCM takes");
        b64([&nonce[..], &sealed, tag.as_ref()].concat())
    }
    pub fn open(&self, owner: &[u8], sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = from_b64(sealed)?;
        let (nonce, rest) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut content = Zeroizing::new(rest.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key(owner).open_in_place(nonce, Aad::empty(), &mut content).ok()?.len();
        content.truncate(length);
        Some(content)
    }
}
