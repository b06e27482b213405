//! A depot: certifies couriers' devices face to face, and operators and carriers certify keys.

use parcelshelf_core::time::Window;
use parcelshelf_protocol::cert::{Cert, CertClaims, Subject, VerifiedCert};
use parcelshelf_protocol::encoding::TokenId;
use parcelshelf_protocol::jws::{Sign as _, SigningKey, VerifyingKey};
use serde_json::json;

use crate::courier::Device;
use crate::{Failure, Host, Http};

/// Delegation keys live at most this long.
pub const DELEGATION_DAYS: i64 = 30;
/// Carriers, depots and devices are certified for this long.
pub const CERTIFIED_DAYS: i64 = 365;

/// Signs a certificate that is good from now on.
///
/// # Errors
/// [`Failure::NotTrusted`] when the key cannot sign.
pub fn certify(
    issuer: &SigningKey,
    aud: &str,
    key: &VerifyingKey,
    subject: Subject,
    days: i64,
    host: &Host,
) -> Result<VerifiedCert, Failure> {
    let now = host.now();
    let window = Window::new(now, now.plus_seconds(days * 86_400)).map_err(|_| Failure::Unexpected("no days"))?;
    let claims = CertClaims {
        issuer: issuer.verifying_key().thumb(),
        aud: aud.to_owned(),
        jti: TokenId::from_bytes(host.random()),
        iat: now,
        window,
        key: key.clone(),
        subject,
    };
    Ok(Cert::sign(&claims, issuer)?)
}

/// A depot's key with its certificate by the carrier root.
#[derive(Debug)]
pub struct Depot {
    pub key: SigningKey,
    pub cert: VerifiedCert,
}

impl Depot {
    /// The courier shows the device's keys; the depot certifies them and tells the gateway.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn enrol(&self, gateway: &Http, device: &Device, host: &Host) -> Result<VerifiedCert, Failure> {
        let subject = Subject::Device { seal: device.seal_key().clone() };
        let aud = self.cert.claims().aud.clone();
        let cert = certify(&self.key, &aud, device.verifying_key(), subject, CERTIFIED_DAYS, host)?;
        let body = json!({
            "device_cert": cert.jws(),
            "depot_cert": self.cert.jws(),
            "carrier": self.cert.claims().issuer.to_string(),
        });
        gateway.post("/v1/devices", &[], &body).await?;
        Ok(cert)
    }
}
