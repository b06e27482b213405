//! A software authenticator: what a phone's or security key's passkey answers to the wallet's page (WebAuthn Level 2).

use parcelshelf_protocol::Refused;
use parcelshelf_protocol::encoding::{Hash, b64};
use parcelshelf_protocol::jws::{Sign as _, SigningKey};
use parcelshelf_protocol::webauthn::{Assertion, Passkey, der_signature};
use sha2::{Digest as _, Sha256};

use crate::Host;

/// User present and user verified (WebAuthn §6.1).
const PRESENT_AND_VERIFIED: u8 = 0x01 | 0x04;

/// One passkey and the page that asks it.
#[derive(Debug)]
pub struct Authenticator {
    key: SigningKey,
    credential_id: Vec<u8>,
    rp_id: String,
    origin: String,
}

impl Authenticator {
    /// A fresh passkey for the wallet at `origin`, whose host is `rp_id`.
    #[must_use]
    pub fn create(rp_id: &str, origin: &str, host: &Host) -> Self {
        Self {
            key: SigningKey::generate(&*host.entropy),
            credential_id: host.random::<32>().to_vec(),
            rp_id: rp_id.to_owned(),
            origin: origin.to_owned(),
        }
    }

    /// What is registered of it.
    #[must_use]
    pub fn passkey(&self) -> Passkey {
        Passkey { credential_id: self.credential_id.clone(), key: self.key.verifying_key().clone() }
    }

    /// The owner touches the sensor: confirms `challenge` on the wallet's own page.
    ///
    /// # Errors
    /// [`Refused`] when the key cannot sign.
    pub fn confirm(&self, challenge: &Hash) -> Result<Assertion, Refused> {
        let client_data = format!(
            r#"{{"type":"webauthn.get","challenge":"{}","origin":"{}","crossOrigin":false}}"#,
            b64(challenge),
            self.origin
        );
        let mut data = Sha256::digest(self.rp_id.as_bytes()).to_vec();
        data.push(PRESENT_AND_VERIFIED);
        // Synced passkeys do not count.
        data.extend_from_slice(&0_u32.to_be_bytes());
        let mut signed = data.clone();
        signed.extend_from_slice(&Sha256::digest(client_data.as_bytes()));
        let signature = der_signature(&self.key.sign(&signed)?);
        Assertion::new(self.credential_id.clone(), data, client_data.into_bytes(), signature)
    }
}
