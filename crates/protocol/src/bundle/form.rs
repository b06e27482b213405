//! The one encoding of a bundle. It is read by a reader that knows what must come next: whatever is not written exactly
//! so is refused at that byte.

use parcelshelf_log::record::Opening;

use super::{
    Anchors, BUNDLE_MAX, Bundle, CarrierEvidence, DeviceEvidence, MESSAGES_MAX, PasskeyEvidence, RECORDS_MAX,
    RecordEvidence,
};
use crate::encoding::{Hash, b64, from_b64};
use crate::json::quoted;
use crate::jws::VerifyingKey;
use crate::refused::{Fault, Kind, Refused};
use crate::webauthn::Assertion;

pub(super) fn encode(b: &Bundle) -> String {
    let a = &b.anchors;
    let mut w = Writer(String::with_capacity(64 * 1024));
    w.raw("{\"v\":1,\"anchors\":{\"aud\":").text(&a.aud);
    w.raw(",\"log\":").text(&a.log);
    w.raw(",\"operator\":").raw(&a.operator.to_jwk());
    w.raw(",\"rp_id\":").text(&a.rp_id);
    w.raw(",\"wallet_origin\":").text(&a.wallet_origin);
    w.raw("},\"keys\":").text(&b.keys);
    if let Some(c) = &b.carrier {
        w.raw(",\"carrier\":").text(&c.cert);
        w.raw(",\"delegation_cert\":").text(&c.delegation_cert);
        w.raw(",\"devices\":").list(&c.devices, |w, d| {
            w.raw("{\"depot\":").text(&d.depot_cert);
            w.raw(",\"device\":").text(&d.device_cert).raw("}");
        });
    }
    w.raw(",\"passkeys\":").list(&b.passkeys, |w, p| {
        w.raw("{\"statement\":").text(&b64(&p.statement));
        w.raw(",\"assertion\":").raw(&p.assertion.to_json()).raw("}");
    });
    if let Some(c) = &b.carrier {
        w.raw(",\"request\":").text(&c.request);
    }
    w.raw(",\"grant\":").text(&b.grant);
    w.raw(",\"assertion\":").raw(&b.assertion.to_json());
    w.raw(",\"accepted\":").text(&b.accepted);
    if let Some(c) = &b.carrier {
        w.raw(",\"delegations\":").list(&c.delegations, |w, d| {
            w.text(d);
        });
    }
    w.raw(",\"proofs\":").list(&b.proofs, |w, p| {
        w.text(p);
    });
    w.raw(",\"records\":").list(&b.records, Writer::record);
    w.raw(",\"checkpoint\":").text(&b.checkpoint).raw("}");
    w.0
}

struct Writer(String);
impl Writer {
    fn raw(&mut self, json: &str) -> &mut Self {
        self.0.push_str(json);
        self
    }
    fn text(&mut self, text: &str) -> &mut Self {
        self.raw(&quoted(text))
    }
    fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.raw("[");
        for (n, each) in items.iter().enumerate() {
            if n > 0 {
                self.raw(",");
            }
            item(self, each);
        }
        self.raw("]");
    }
    fn record(&mut self, r: &RecordEvidence) {
        self.raw("{\"bytes\":").text(&b64(&r.bytes));
        self.raw(",\"openings\":").list(&r.openings, |w, o| {
            w.raw("{\"name\":").text(&o.name);
            w.raw(",\"salt\":").text(&b64(o.salt));
            w.raw(",\"value\":").text(&o.value).raw("}");
        });
        self.raw(",\"index\":").raw(&r.index.to_string());
        self.raw(",\"inclusion\":").list(&r.inclusion, |w, h| {
            w.text(&b64(h));
        });
        self.raw("}");
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Bundle, Refused> {
    if bytes.len() > BUNDLE_MAX {
        return Err(Refused::of(Kind::Bundle, Fault::TooLong));
    }
    let text = core::str::from_utf8(bytes).map_err(|_| Refused::BundleNotCanonical)?;
    let mut r = Reader(text);
    let bundle = r.bundle().filter(|_| r.0.is_empty()).ok_or(Refused::BundleNotCanonical)?;
    // The reader takes nothing else than the writer writes; this says so once more.
    if encode(&bundle) == text { Ok(bundle) } else { Err(Refused::BundleNotCanonical) }
}

/// What is still to be read.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn expect(&mut self, literal: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(())
    }
    /// `,"name":` (without the comma after `{`).
    fn name(&mut self, name: &str) -> Option<()> {
        self.expect("\"")?;
        self.expect(name)?;
        self.expect("\":")
    }
    fn next(&mut self, name: &str) -> Option<()> {
        self.expect(",")?;
        self.name(name)
    }
    /// A text up to the next quotation mark. One that holds what would need an escape is written differently again, and
    /// so refused in the end.
    fn plain(&mut self) -> Option<&'a str> {
        self.expect("\"")?;
        let (text, rest) = self.0.split_once('"')?;
        self.0 = rest;
        Some(text)
    }
    fn owned(&mut self) -> Option<String> {
        self.plain().map(str::to_owned)
    }
    /// Any text, in the writer's spelling.
    fn text(&mut self) -> Option<String> {
        let mut escaped = false;
        let end = self.0.bytes().skip(1).position(|b| {
            let ends = b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            ends
        })? + 2;
        let (json, rest) = (self.0.get(..end)?, self.0.get(end..)?);
        let text: String = serde_json::from_str(json).ok()?;
        self.0 = rest;
        (quoted(&text) == json).then_some(text)
    }
    fn bytes(&mut self) -> Option<Vec<u8>> {
        from_b64(self.plain()?)
    }
    fn hash(&mut self) -> Option<Hash> {
        Hash::parse(self.plain()?)
    }
    /// A whole number without leading zeros, up to 2^53.
    fn number(&mut self) -> Option<u64> {
        let end = self.0.bytes().position(|b| !b.is_ascii_digit())?;
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        let n: u64 = digits.parse().ok()?;
        (n <= 1 << 53 && n.to_string() == digits).then_some(n)
    }
    fn list<T>(&mut self, max: usize, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.expect("[")?;
        let mut items = Vec::new();
        if self.expect("]").is_some() {
            return Some(items);
        }
        loop {
            if items.len() == max {
                return None;
            }
            items.push(item(self)?);
            if self.expect("]").is_some() {
                return Some(items);
            }
            self.expect(",")?;
        }
    }

    fn bundle(&mut self) -> Option<Bundle> {
        self.expect("{\"v\":1")?;
        self.next("anchors")?;
        let anchors = self.anchors()?;
        let keys = self.message("keys")?;
        // A carrier's members stand in three places: all of them, or none.
        let mut carrier = if self.0.starts_with(",\"carrier\":") { Some(self.carrier()?) } else { None };
        self.next("passkeys")?;
        let passkeys = self.list(MESSAGES_MAX, Self::passkey)?;
        if let Some(carrier) = &mut carrier {
            carrier.request = self.message("request")?;
        }
        let grant = self.message("grant")?;
        self.next("assertion")?;
        let assertion = self.assertion()?;
        let accepted = self.message("accepted")?;
        if let Some(carrier) = &mut carrier {
            self.next("delegations")?;
            carrier.delegations = self.list(MESSAGES_MAX, Self::owned)?;
        }
        self.next("proofs")?;
        let proofs = self.list(MESSAGES_MAX, Self::owned)?;
        self.next("records")?;
        let records = self.list(RECORDS_MAX, Self::record)?;
        self.next("checkpoint")?;
        let checkpoint = self.text()?;
        self.expect("}")?;
        Some(Bundle { anchors, keys, carrier, passkeys, grant, assertion, accepted, proofs, records, checkpoint })
    }
    fn message(&mut self, name: &str) -> Option<String> {
        self.next(name)?;
        self.owned()
    }
    /// Its first three members; the others follow further down.
    fn carrier(&mut self) -> Option<CarrierEvidence> {
        let (cert, delegation_cert) = (self.message("carrier")?, self.message("delegation_cert")?);
        self.next("devices")?;
        let devices = self.list(MESSAGES_MAX, Self::device)?;
        Some(CarrierEvidence { cert, delegation_cert, devices, request: String::new(), delegations: Vec::new() })
    }
    fn anchors(&mut self) -> Option<Anchors> {
        self.expect("{")?;
        self.name("aud")?;
        let aud = self.owned()?;
        self.next("log")?;
        let log = self.owned()?;
        self.next("operator")?;
        let end = self.0.find('}')? + 1;
        let (jwk, rest) = self.0.split_at(end);
        self.0 = rest;
        let operator = VerifyingKey::parse_jwk(jwk.as_bytes()).ok().filter(|k| k.to_jwk() == jwk)?;
        self.next("rp_id")?;
        let rp_id = self.owned()?;
        self.next("wallet_origin")?;
        let wallet_origin = self.owned()?;
        self.expect("}")?;
        Some(Anchors { aud, log, operator, rp_id, wallet_origin })
    }
    fn device(&mut self) -> Option<DeviceEvidence> {
        self.expect("{")?;
        self.name("depot")?;
        let depot_cert = self.owned()?;
        self.next("device")?;
        let device_cert = self.owned()?;
        self.expect("}")?;
        Some(DeviceEvidence { depot_cert, device_cert })
    }
    fn passkey(&mut self) -> Option<PasskeyEvidence> {
        self.expect("{")?;
        self.name("statement")?;
        let statement = self.bytes()?;
        self.next("assertion")?;
        let assertion = self.assertion()?;
        self.expect("}")?;
        Some(PasskeyEvidence { statement, assertion })
    }
    fn assertion(&mut self) -> Option<Assertion> {
        self.expect("{")?;
        self.name("credential_id")?;
        let credential_id = self.bytes()?;
        self.next("authenticator_data")?;
        let authenticator_data = self.bytes()?;
        self.next("client_data_json")?;
        let client_data_json = self.bytes()?;
        self.next("signature")?;
        let signature = self.bytes()?;
        self.expect("}")?;
        Assertion::new(credential_id, authenticator_data, client_data_json, signature).ok()
    }
    fn record(&mut self) -> Option<RecordEvidence> {
        self.expect("{")?;
        self.name("bytes")?;
        let bytes = self.bytes()?;
        self.next("openings")?;
        let openings = self.list(parcelshelf_log::record::FIELDS_MAX, Self::opening)?;
        self.next("index")?;
        let index = self.number()?;
        self.next("inclusion")?;
        let inclusion = self.list(parcelshelf_log::tree::PROOF_HASHES_MAX, Self::hash)?;
        self.expect("}")?;
        Some(RecordEvidence { bytes, openings, index, inclusion })
    }
    fn opening(&mut self) -> Option<Opening> {
        self.expect("{")?;
        self.name("name")?;
        let name = self.owned()?;
        self.next("salt")?;
        let salt = *self.hash()?.as_bytes();
        self.next("value")?;
        let value = self.text()?;
        self.expect("}")?;
        Some(Opening { name, salt, value })
    }
}
