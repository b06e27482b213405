//! The owner's view of a delivery: timeline, and the case bundle that proves it.

use parcelshelf_core::id::{DeliveryId, WalletId};
use parcelshelf_edge::problem::Problem;
use parcelshelf_log::record::{Opening, Record};
use parcelshelf_protocol::bundle::{
    Anchors, Bundle, CarrierEvidence, DeviceEvidence, PasskeyEvidence, RECORDS_MAX, RecordEvidence,
};
use parcelshelf_protocol::encoding::{Hash, Thumbprint, from_b64};
use parcelshelf_protocol::seal::Purpose;
use parcelshelf_protocol::webauthn::Assertion;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::db::{Stored, openings_of};
use crate::erasure::hold_told;
use crate::failure::{Failure, broken};
use crate::grants::carrier_of;
use crate::rows::{CarrierRow, DeviceRow, GrantRow, KeysRow, LeafRow, RecordRow, WalletRow};
use crate::stops::{denied_told, readiness_told};

/// A record with all its fields readable, and its leaf.
struct Told {
    record: Record,
    openings: Vec<Opening>,
    message: Option<String>,
    entry: Vec<u8>,
    of_this_case: bool,
}
impl Told {
    fn value(&self, name: &str) -> Option<&str> {
        self.openings.iter().find(|o| o.name == name).map(|o| o.value.as_str())
    }
}

fn not_ready(why: &'static str) -> Failure {
    Problem::new(404, "bundle_not_ready", why).retry_after(2).detail("ask again when the delivery is over").into()
}

impl Keyholder {
    async fn told(&self, stored: &Stored<RecordRow>, delivery: Option<DeliveryId>) -> Result<Told, Failure> {
        let row = &stored.value;
        let entry = parcelshelf_protocol::encoding::b64(&stored.id);
        let sealed = self.db.vault.open(&row.sealed_for, &entry, &row.openings_sealed).await?;
        let openings =
            sealed.and_then(|s| openings_of(&s)).ok_or_else(|| broken("a record's fields cannot be read"))?;
        let bytes = from_b64(&row.bytes).ok_or_else(|| broken("a record is not base64url"))?;
        let record = Record::parse(&bytes).map_err(|_| broken("a record is none"))?;
        let own = delivery.is_none_or(|d| row.sealed_for == crate::db::delivery_key(d));
        Ok(Told { record, openings, message: row.message.clone(), entry: stored.id.clone(), of_this_case: own })
    }

    async fn record_by_entry(&self, entry: &str) -> Result<Told, Failure> {
        let id = from_b64(entry).ok_or_else(|| broken("an entry is not base64url"))?;
        let stored = self.db.get::<RecordRow>(&id).await?.ok_or_else(|| broken("a record is missing"))?;
        self.told(&stored, None).await
    }

    /// The fields of records, readable.
    async fn fields_told(&self, index: &str, prefix: &[u8]) -> Result<Vec<serde_json::Map<String, Value>>, Failure> {
        let mut all = Vec::new();
        for stored in self.db.list::<RecordRow>(index, prefix).await? {
            let told = self.told(&stored, None).await?;
            all.push(told.openings.iter().map(|o| (o.name.clone(), json!(o.value))).collect());
        }
        Ok(all)
    }

    /// Records with their bytes and openings, as an export holds them.
    pub(crate) async fn records_told(&self, index: &str, prefix: &[u8]) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        for stored in self.db.list::<RecordRow>(index, prefix).await? {
            let told = self.told(&stored, None).await?;
            let openings: Vec<Value> = told
                .openings
                .iter()
                .map(|o| json!([o.name, parcelshelf_protocol::encoding::b64(o.salt), o.value]))
                .collect();
            all.push(json!({"bytes": stored.value.bytes, "openings": openings, "message": told.message}));
        }
        Ok(all)
    }

    /// What happened in a delivery, sealed to the owner.
    pub(crate) async fn timeline(&self, wallet: WalletId, delivery: DeliveryId) -> Result<String, Failure> {
        let grant = self.own_grant(wallet, delivery).await?;
        let owner = self.wallet(wallet).await?;
        let mut entries = Vec::new();
        for fields in self.fields_told("delivery", delivery.as_bytes()).await? {
            entries.push(Value::Object(fields));
        }
        let told = json!({
            "entries": entries,
            "readiness": readiness_told(&grant.value),
            "refused": denied_told(&grant.value),
            "hold": hold_told(&grant.value),
            "recordings": self.recordings_told(delivery).await?,
        });
        let content = told.to_string();
        self.to_owner(&owner.value, wallet, Purpose::Account, &delivery.to_string(), content.as_bytes())
    }

    /// The case bundle of a delivery, sealed to the owner.
    pub(crate) async fn bundle_envelope(&self, wallet: WalletId, delivery: DeliveryId) -> Result<String, Failure> {
        let grant = self.own_grant(wallet, delivery).await?;
        let owner = self.wallet(wallet).await?;
        let bytes = self.bundle(&grant, &owner.value, delivery).await?.encode();
        self.to_owner(&owner.value, wallet, Purpose::Bundle, &delivery.to_string(), &bytes)
    }

    async fn bundle(
        &self,
        grant: &Stored<GrantRow>,
        owner: &WalletRow,
        delivery: DeliveryId,
    ) -> Result<Bundle, Failure> {
        let row = &grant.value;
        let chain = self.chain_since_grant(grant, delivery).await?;
        let undecided = chain.iter().filter(|t| t.value("kind") == Some("open_intended") && t.of_this_case).count()
            != chain.iter().filter(|t| t.value("kind") == Some("outcome") && t.of_this_case).count();
        if undecided {
            return Err(not_ready("something may still open"));
        }
        let assertion = Assertion::parse(row.papers.assertion.as_bytes())?;
        let keys = self.keys_row(&row.papers.keys_entry).await?;
        let mut registry = vec![self.record_by_entry(&row.papers.keys_entry).await?];
        let carrier = match (&row.papers.request, &row.papers.delegation_cert) {
            (Some(request), Some(cert)) => Some(self.carrier_of_case(row, &chain, request, cert, &mut registry).await?),
            // A guest's or the owner's own device has acted.
            _ => None,
        };
        let (passkeys, passkey_records) = self.passkeys_of(owner, &assertion).await?;
        registry.extend(passkey_records);
        let (records, checkpoint) = self.evidence(&registry, &chain).await?;
        let mut proofs: Vec<String> = Vec::new();
        let with_proof = chain.iter().filter(|t| t.of_this_case && t.value("kind") != Some("delegation_accepted"));
        for message in with_proof.filter_map(|t| t.message.clone()) {
            if !proofs.contains(&message) {
                proofs.push(message);
            }
        }
        Ok(Bundle {
            anchors: self.anchors()?,
            keys: keys.jws,
            carrier,
            passkeys,
            grant: row.papers.grant.clone(),
            assertion,
            accepted: row.papers.accepted.clone(),
            proofs,
            records,
            checkpoint,
        })
    }

    /// What is the carrier's in a case; the records of its keys go to the others.
    async fn carrier_of_case(
        &self,
        row: &GrantRow,
        chain: &[Told],
        request: &str,
        delegation_cert: &str,
        registry: &mut Vec<Told>,
    ) -> Result<CarrierEvidence, Failure> {
        let carrier = self.db.get::<CarrierRow>(carrier_of(row)?.as_bytes()).await?;
        let carrier = carrier.ok_or_else(|| broken("a carrier is missing"))?.value;
        let (devices, device_records) = self.devices_of(row, chain).await?;
        registry.push(self.record_by_entry(&carrier.entry).await?);
        registry.extend(device_records);
        let delegated = chain.iter().filter(|t| t.of_this_case && t.value("kind") == Some("delegation_accepted"));
        Ok(CarrierEvidence {
            cert: carrier.cert,
            delegation_cert: delegation_cert.to_owned(),
            devices,
            request: request.to_owned(),
            delegations: delegated.filter_map(|t| t.message.clone()).collect(),
        })
    }

    fn anchors(&self) -> Result<Anchors, Failure> {
        Ok(Anchors {
            aud: self.config.aud.clone(),
            log: self.keys.log.verifier().line(),
            operator: self.config.operator.key().map_err(|_| broken("the operator's key is none"))?,
            rp_id: self.config.rp_id.clone(),
            wallet_origin: self.config.wallet_origin.clone(),
        })
    }

    async fn keys_row(&self, entry: &str) -> Result<KeysRow, Failure> {
        let id = from_b64(entry).ok_or_else(|| broken("an entry is not base64url"))?;
        Ok(self.db.get::<KeysRow>(&id).await?.ok_or_else(|| broken("published keys are missing"))?.value)
    }

    /// The access point's chain from the acceptance of this grant to the last record of this delivery.
    async fn chain_since_grant(&self, grant: &Stored<GrantRow>, delivery: DeliveryId) -> Result<Vec<Told>, Failure> {
        let of = self.chain_of(grant)?;
        let own = self.db.list::<RecordRow>("delivery", delivery.as_bytes()).await?;
        let seq_of = |told: &Told| told.value("chain_seq").and_then(|s| s.parse::<u64>().ok());
        let ends = match (own.first(), own.last()) {
            (Some(first), Some(last)) => {
                (seq_of(&self.told(first, Some(delivery)).await?), seq_of(&self.told(last, Some(delivery)).await?))
            }
            _ => (None, None),
        };
        let (Some(first), Some(last)) = ends else { return Err(broken("a delivery has no records")) };
        if last - first >= RECORDS_MAX as u64 {
            return Err(Problem::new(409, "bundle_too_large", "too much lies between first and last record").into());
        }
        let mut chain = Vec::new();
        for seq in first..=last {
            let found = self.db.list::<RecordRow>("chain", &of.place(seq)).await?.pop();
            let stored = found.ok_or_else(|| {
                Problem::new(409, "bundle_gap", "a record between was erased with its delivery")
                    .detail("deliveries that overlapped share a chain; export a bundle before you erase its neighbours")
            })?;
            chain.push(self.told(&stored, Some(delivery)).await?);
        }
        Ok(chain)
    }

    /// Certificates of every device that was delegated to, in the order of first delegation.
    async fn devices_of(&self, row: &GrantRow, chain: &[Told]) -> Result<(Vec<DeviceEvidence>, Vec<Told>), Failure> {
        let (mut evidence, mut records, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        let delegated = chain.iter().filter(|t| t.of_this_case && t.value("kind") == Some("delegation_accepted"));
        for device in delegated.filter_map(|t| t.value("device").map(str::to_owned)) {
            if seen.contains(&device) {
                continue;
            }
            let name = Thumbprint::parse(&device).ok_or_else(|| broken("a device's thumbprint is none"))?;
            seen.push(device);
            let known = self.db.get::<DeviceRow>(name.as_bytes()).await?;
            let known = known.ok_or_else(|| broken("a device is missing"))?.value;
            records.push(self.record_by_entry(&known.entry).await?);
            evidence.push(DeviceEvidence { depot_cert: known.depot_cert, device_cert: known.device_cert });
        }
        debug_assert!(seen.len() <= row.papers.delegations.len());
        Ok((evidence, records))
    }

    /// From the wallet's first passkey to the one that confirmed the grant.
    async fn passkeys_of(
        &self,
        owner: &WalletRow,
        assertion: &Assertion,
    ) -> Result<(Vec<PasskeyEvidence>, Vec<Told>), Failure> {
        let (mut evidence, mut records) = (Vec::new(), Vec::new());
        for part in &owner.passkeys {
            let statement = from_b64(&part.statement).ok_or_else(|| broken("a statement is not base64url"))?;
            evidence.push(PasskeyEvidence { statement, assertion: Assertion::parse(part.assertion.as_bytes())? });
            records.push(self.record_by_entry(&part.entry).await?);
            if from_b64(&part.credential_id).as_deref() == Some(assertion.credential_id()) {
                return Ok((evidence, records));
            }
        }
        Err(broken("the passkey of a grant is missing"))
    }

    /// Every record with its proof of inclusion in the latest checkpoint.
    async fn evidence(&self, registry: &[Told], chain: &[Told]) -> Result<(Vec<RecordEvidence>, String), Failure> {
        let (checkpoint, size) = self.checkpoint().await?.ok_or_else(|| not_ready("the log has no checkpoint yet"))?;
        let all: Vec<(&Told, bool)> =
            registry.iter().map(|t| (t, false)).chain(chain.iter().map(|t| (t, true))).collect();
        let mut indexes = Vec::with_capacity(all.len());
        for (told, _) in &all {
            let leaf = self.db.get::<LeafRow>(&told.entry).await?.map(|l| l.value.index).filter(|i| *i < size);
            indexes.push(leaf.ok_or_else(|| not_ready("the log's checkpoint does not cover all records yet"))?);
        }
        let paths = self.inclusion(&indexes, size).await?;
        let records = all
            .into_iter()
            .zip(indexes.iter().zip(paths))
            .map(|((told, chained), (index, path))| {
                let path = path.into_iter().map(Hash::from_bytes).collect();
                RecordEvidence::select(&told.record, &told.openings, told.of_this_case, chained, *index, path)
            })
            .collect();
        Ok((records, checkpoint))
    }
}
