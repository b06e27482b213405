//! Carriers, their devices, and calls that they sign.

use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::call::Call;
use parcelshelf_protocol::cert::{Cert, Role, VerifiedCert};
use parcelshelf_protocol::encoding::{Thumbprint, b64, sha256};
use parcelshelf_protocol::jws::{Moment, VerifyingKey};
use parcelshelf_protocol::proof::HttpRequest;
use parcelshelf_protocol::records::Event;
use parcelshelf_store::Version;

use crate::Keyholder;
use crate::chain::Authority;
use crate::db::{COMMON_KEY, Change, Index};
use crate::failure::{Failure, broken};
use crate::rows::{CarrierRow, DeviceRow};

/// The headers in which a carrier proves that a call is its own.
#[derive(Debug, Clone)]
pub(crate) struct CallHeaders {
    pub call: String,
    pub cert: String,
}

/// A carrier that signed this very request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub root: Thumbprint,
    pub delegation_cert: VerifiedCert,
}

pub(crate) fn not_admitted() -> Problem {
    Problem::new(403, "carrier_not_admitted", "the operator of this gateway has not admitted this carrier")
}

impl Keyholder {
    fn operator(&self) -> Result<VerifyingKey, Failure> {
        self.config.operator.key().map_err(|_| broken("the operator's key in the configuration is none"))
    }

    /// Admits a carrier whose certificate the operator signed: the certificate proves itself, whoever brings it.
    pub(crate) async fn admit(&self, cert: &str) -> Result<VerifiedCert, Failure> {
        let now = self.host.now();
        let verified = Cert::verify(cert, &self.operator()?, Role::Carrier, &self.config.aud, Moment::Posted(now))?;
        let root = verified.claims().sub();
        self.not_revoked(&Authority { root, delegation: None, depot: None }).await?;
        let known = self.db.get::<CarrierRow>(root.as_bytes()).await?;
        if let Some(known) = &known {
            if known.value.cert == cert {
                return Ok(verified);
            }
            // One that an earlier operator's key signed proves nothing any more.
            let before = self.carrier_cert(&known.value.cert, Moment::Any).ok();
            if before.is_some_and(|before| before.claims().iat > verified.claims().iat) {
                return Err(Problem::new(409, "carrier_cert_older", "a newer certificate is known").into());
            }
        }
        let mut change = Change::new(&self.db, &self.host);
        let event = Event::CarrierAdmitted { carrier: root, cert: sha256(cert) };
        let entry = change.record(event, COMMON_KEY).await?;
        let row = CarrierRow { v: 1, cert: cert.to_owned(), entry: b64(entry) };
        change.put(root.as_bytes(), known.map_or(Version::Absent, |k| k.version), &row, Index::new());
        match change.commit().await {
            // Somebody brought the same certificate at the same time.
            Ok(_) | Err(Failure::Conflict) => {}
            Err(other) => return Err(other),
        }
        self.log.ring();
        Ok(verified)
    }

    pub(crate) fn carrier_cert(&self, jws: &str, moment: Moment) -> Result<VerifiedCert, Failure> {
        Ok(Cert::verify(jws, &self.operator()?, Role::Carrier, &self.config.aud, moment)?)
    }

    /// The row of an admitted carrier, with its certificate verified again.
    pub(crate) async fn carrier(
        &self,
        root: Thumbprint,
        moment: Moment,
    ) -> Result<(CarrierRow, VerifiedCert), Failure> {
        let row = self.db.get::<CarrierRow>(root.as_bytes()).await?.ok_or_else(not_admitted)?;
        let cert = self.carrier_cert(&row.value.cert, moment)?;
        Ok((row.value, cert))
    }

    /// Enrols a courier's device that a certified depot vouches for.
    pub(crate) async fn enrol(&self, device: &str, depot: &str, carrier: Thumbprint) -> Result<Thumbprint, Failure> {
        let moment = Moment::Posted(self.host.now());
        let aud = &self.config.aud;
        let (_, root) = self.carrier(carrier, moment).await?;
        let depot_cert = Cert::verify(depot, &root.claims().key, Role::Depot, aud, moment)?;
        let device_cert = Cert::verify(device, &depot_cert.claims().key, Role::Device, aud, moment)?;
        let name = device_cert.claims().sub();
        let depot_key = Some(depot_cert.claims().key.thumb());
        self.not_revoked(&Authority { root: carrier, delegation: None, depot: depot_key }).await?;
        let known = self.db.get::<DeviceRow>(name.as_bytes()).await?;
        if let Some(known) = &known {
            if known.value.carrier != carrier.to_string() {
                return Err(
                    Problem::new(409, "device_of_another", "this device is enrolled with another carrier").into()
                );
            }
            if known.value.device_cert == device && known.value.depot_cert == depot {
                return Ok(name);
            }
        }
        let mut change = Change::new(&self.db, &self.host);
        let event = Event::DeviceEnrolled { device: name, cert: sha256(device), depot_cert: sha256(depot) };
        let entry = change.record(event, COMMON_KEY).await?;
        let row = DeviceRow {
            v: 1,
            carrier: carrier.to_string(),
            depot_cert: depot.to_owned(),
            device_cert: device.to_owned(),
            entry: b64(entry),
        };
        change.put(name.as_bytes(), known.map_or(Version::Absent, |k| k.version), &row, Index::new());
        match change.commit().await {
            Ok(_) | Err(Failure::Conflict) => {}
            Err(other) => return Err(other),
        }
        self.log.ring();
        Ok(name)
    }

    /// Certificates of a device, verified down from its carrier's root.
    pub(crate) async fn device_certs(
        &self,
        device: Thumbprint,
        root: &VerifiedCert,
    ) -> Result<(VerifiedCert, VerifiedCert, DeviceRow), Failure> {
        let none = || Problem::new(403, "device_not_enrolled", "this device is not enrolled at this gateway");
        let row = self.db.get::<DeviceRow>(device.as_bytes()).await?.ok_or_else(none)?.value;
        let aud = &self.config.aud;
        let depot = Cert::verify(&row.depot_cert, &root.claims().key, Role::Depot, aud, Moment::Any)?;
        let device = Cert::verify(&row.device_cert, &depot.claims().key, Role::Device, aud, Moment::Any)?;
        Ok((depot, device, row))
    }

    /// Who made this call.
    pub(crate) async fn caller(&self, headers: &CallHeaders, request: &HttpRequest<'_>) -> Result<Caller, Failure> {
        let now = self.host.now();
        let root = Cert::peek_issuer(&headers.cert)?;
        let (_, carrier) = self.carrier(root, Moment::Used(now)).await?;
        let cert = self.delegation_cert(&headers.cert, &carrier, Moment::Used(now))?;
        let delegation = Some(cert.claims().key.thumb());
        self.not_revoked(&Authority { root, delegation, depot: None }).await?;
        Call::verify(&headers.call, &cert, &self.config.aud, request, now)?;
        Ok(Caller { root, delegation_cert: cert })
    }

    pub(crate) fn delegation_cert(
        &self,
        jws: &str,
        carrier: &VerifiedCert,
        moment: Moment,
    ) -> Result<VerifiedCert, Failure> {
        Ok(Cert::verify(jws, &carrier.claims().key, Role::Delegation, &self.config.aud, moment)?)
    }
}
