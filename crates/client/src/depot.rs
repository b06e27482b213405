//! A depot: certifies couriers' devices face to face, and operators and carriers certify keys.

use parcelshelf_core::time::Window;
use parcelshelf_protocol::cert::{Cert, CertClaims, Subject, VerifiedCert};
use parcelshelf_protocol::encoding::TokenId;
use parcelshelf_protocol::enrol::Enrolment;
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
        let shown = Enrolment { key: device.verifying_key().clone(), seal: device.seal_key().clone() };
        enrol_shown(gateway, &self.key, self.cert.jws(), &self.cert.claims().aud, &shown, host).await
    }
}

/// Certifies keys that a phone's screen shows, with a depot's key and its certificate by the carrier's root, and tells the
/// gateway, which checks the whole path.
///
/// # Errors
/// [`Failure`].
pub async fn enrol_shown(
    gateway: &Http,
    depot: &SigningKey,
    depot_cert: &str,
    aud: &str,
    shown: &Enrolment,
    host: &Host,
) -> Result<VerifiedCert, Failure> {
    let subject = Subject::Device { seal: shown.seal.clone() };
    let cert = certify(depot, aud, &shown.key, subject, CERTIFIED_DAYS, host)?;
    let body = json!({
        "device_cert": cert.jws(),
        "depot_cert": depot_cert,
        "carrier": Cert::peek_issuer(depot_cert)?.to_string(),
    });
    gateway.post("/v1/devices", &[], &body).await?;
    Ok(cert)
}
