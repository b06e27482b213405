//! What people order in writing: a stopped carrier goes on, a key is worth nothing any more. Nothing here locates or opens.

use parcelshelf_edge::problem::Problem;
use parcelshelf_log::record::Kind;
use parcelshelf_protocol::Refused;
use parcelshelf_protocol::cert::Subject;
use parcelshelf_protocol::encoding::{Thumbprint, b64};
use parcelshelf_protocol::jws::{Moment, VerifyingKey};
use parcelshelf_protocol::order::{Order, Ordered};
use parcelshelf_protocol::{Fault, Kind as Message};
use parcelshelf_store::{Check, Version};
use serde_json::{Value, json};

use crate::Keyholder;
use crate::carriers::not_admitted;
use crate::chain::Authority;
use crate::db::{COMMON_KEY, Change, Index, RowType as _};
use crate::failure::{Failure, broken};
use crate::rows::{CarrierRow, RevokedRow};

impl Keyholder {
    /// Keys of the people who may order, the operator first.
    fn people(&self) -> Result<Vec<VerifyingKey>, Failure> {
        let all = std::iter::once(&self.config.operator).chain(&self.config.people);
        all.map(|jwk| jwk.key().map_err(|_| broken("a person's key in the configuration is none"))).collect()
    }

    /// Does what an order says. The same one again changes nothing.
    pub(crate) async fn obey(&self, jws: &str) -> Result<(), Failure> {
        let people = self.people()?;
        let carrier = Order::peek_carrier(jws)?;
        let (_, root) = self.carrier(carrier, Moment::Any).await?;
        let keys: Vec<VerifyingKey> = people.iter().cloned().chain([root.claims().key.clone()]).collect();
        let order = Order::verify(jws, &keys, &self.config.aud, self.host.now())?;
        let by = order.claims().iss;
        match order.claims().ordered {
            Ordered::Release { stop } if people.iter().any(|k| k.thumb() == by) => {
                self.release(carrier, by, stop).await
            }
            // A carrier does not release itself.
            Ordered::Release { .. } => Err(Refused::Common(Message::Order, Fault::WrongIssuer).into()),
            Ordered::Revoke { key } => self.revoke(carrier, key, by).await,
            Ordered::Hold { delivery, on } if people.iter().any(|k| k.thumb() == by) => {
                self.order_hold(delivery, carrier, by, on).await
            }
            Ordered::Hold { .. } => Err(Refused::Common(Message::Order, Fault::WrongIssuer).into()),
        }
    }

    async fn revoke(&self, carrier: Thumbprint, key: Option<Thumbprint>, by: Thumbprint) -> Result<(), Failure> {
        let id = revoked_id(carrier, key);
        if self.db.get::<RevokedRow>(&id).await?.is_some() {
            return Ok(());
        }
        let mut change = Change::new(&self.db, &self.host);
        let mut fields = vec![("carrier", carrier.to_string()), ("by", by.to_string())];
        fields.extend(key.map(|k| ("key", k.to_string())));
        let kind = if key.is_some() { Kind::KeyRevoked } else { Kind::CarrierRemoved };
        // One leaf, however much hangs on it.
        let entry = change.note(kind, &fields, COMMON_KEY).await?;
        let row = RevokedRow { v: 1, at_ms: change.now().unix_millis(), by: by.to_string(), entry: b64(entry) };
        change.put(&id, Version::Absent, &row, Index::new());
        change.commit().await?;
        self.log.ring();
        tracing::warn!(%carrier, whole = key.is_none(), "a carrier's key was revoked");
        Ok(())
    }

    /// Refuses what hangs on a revoked key; answers what a transaction must find unchanged.
    pub(crate) async fn not_revoked(&self, authority: &Authority) -> Result<Vec<Check>, Failure> {
        let root = authority.root;
        let ids = [None, authority.delegation, authority.depot].map(|key| revoked_id(root, key));
        let mut checks = Vec::with_capacity(ids.len());
        for id in ids {
            if self.db.get::<RevokedRow>(&id).await?.is_some() {
                let refused = Problem::new(403, "key_revoked", "a key in this chain was revoked");
                return Err(refused.detail("nothing signed with it is accepted any more; locking is").into());
            }
            let check = Check { table: RevokedRow::TABLE.to_owned(), id, version: Version::Absent };
            if !checks.contains(&check) {
                checks.push(check);
            }
        }
        Ok(checks)
    }

    /// An admitted carrier as anybody may know it.
    pub(crate) async fn carrier_json(&self, carrier: Thumbprint) -> Result<Value, Failure> {
        let row = self.db.get::<CarrierRow>(carrier.as_bytes()).await?.ok_or_else(not_admitted)?;
        let cert = self.carrier_cert(&row.value.cert, Moment::Any)?;
        let Subject::Carrier { name, domain } = &cert.claims().subject else {
            return Err(Refused::CertWrongRole.into());
        };
        let removed = self.db.get::<RevokedRow>(&revoked_id(carrier, None)).await?;
        let brake = self.brake(carrier).await?.value;
        Ok(json!({
            "carrier": carrier.to_string(),
            "name": name,
            "domain": domain,
            "entry": row.value.entry,
            "removed": removed.map(|r| r.value.entry),
            "stopped": brake.stopped_ms.is_some().then_some(brake.entry),
            "released_by": brake.released_by.len(),
        }))
    }
}

fn revoked_id(carrier: Thumbprint, key: Option<Thumbprint>) -> Vec<u8> {
    [&carrier.as_bytes()[..], key.as_ref().map_or(&[][..], |k| &k.as_bytes()[..])].concat()
}
