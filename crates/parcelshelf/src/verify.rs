//! A case bundle, a shown record or a public proof, checked offline, by two libraries for signatures that must agree.

use anyhow::{Context as _, bail, ensure};
use parcelshelf_log::cosign::WitnessVerifier;
use parcelshelf_log::note::LogVerifier;
use parcelshelf_log::proof::{PublicProof, Shown};
use parcelshelf_log::shown::{SHOWN_BYTES_MAX, ShownRecord};
use parcelshelf_log::suite::{self, AwsLc, Suite as _};
use parcelshelf_protocol::bundle::{self, BUNDLE_MAX, By, Verdict};
use parcelshelf_protocol::encoding::b64;
use parcelshelf_second::PureRust;
use serde_json::{Value, json};

use crate::cli::Verify;
use crate::judge;

/// # Errors
/// When the file is none of the three, or anything in it does not hold: the code of the first check that fails.
pub fn run(args: &Verify) -> anyhow::Result<()> {
    let length =
        std::fs::metadata(&args.file).with_context(|| format!("failed to read {}", args.file.display()))?.len();
    if length > BUNDLE_MAX.max(SHOWN_BYTES_MAX) as u64 {
        bail!("{} is larger than a bundle may be", args.file.display());
    }
    let bytes = std::fs::read(&args.file)?;
    if bytes.starts_with(b"c2sp.org/tlog-proof@v1\n") {
        let proof = PublicProof::parse(&bytes).map_err(|e| anyhow::anyhow!("refused: {e}"))?;
        return tell_shown(args, &twice(|| proof_of(args, |log, w, q| Ok(proof.verify(log, w, q)?)))?, None);
    }
    if bytes.starts_with(b"{\"v\":1,\"record\":") {
        let record = ShownRecord::parse(&bytes).map_err(|e| anyhow::anyhow!("refused: {e}"))?;
        let shown = twice(|| proof_of(args, |log, w, q| record.verify(log, w, q)))?;
        return tell_shown(args, &shown, Some(&record));
    }
    ensure!(args.witness.is_empty() && args.quorum.is_none(), "a bundle carries no cosignatures; make a proof of it");
    let verdict = match twice(|| Ok::<_, String>(bundle::verify(&bytes, None)))? {
        Ok(verdict) => verdict,
        Err(refused) => bail!("refused: {}", refused.code()),
    };
    if let Some(known) = &args.log_key
        && *known != verdict.anchors.log
    {
        bail!("refused: the bundle rests on another log key than the one you know");
    }
    if !judge::in_hours(&verdict) {
        bail!("refused: the delivery lies outside the hours of the rule that its owner signed");
    }
    tell_case(args, &verdict);
    Ok(())
}

/// The answer of the first library, if the second gives the same.
fn twice<T: PartialEq, E: PartialEq + std::fmt::Display>(ask: impl Fn() -> Result<T, E>) -> anyhow::Result<T> {
    let (first, second) = (ask(), suite::with(&PureRust, &ask));
    if first != second {
        bail!(
            "{} and {} do not agree on this file: one of them is wrong, and until you know which it proves nothing",
            AwsLc.name(),
            PureRust.name()
        );
    }
    first.map_err(|e| anyhow::anyhow!("refused: {e}"))
}

/// Log and witnesses are the reader's own: a proof names none that could be believed.
fn proof_of(
    args: &Verify,
    verify: impl Fn(&LogVerifier, &[WitnessVerifier], usize) -> Result<Shown, parcelshelf_log::shown::NotShown>,
) -> Result<Shown, String> {
    let key = args.log_key.as_deref().ok_or("say with --log-key whose log this must be")?;
    let log = LogVerifier::parse(key).map_err(|_| "--log-key is not a log's verifier key")?;
    let witness = |w: &String| WitnessVerifier::parse(w).map_err(|_| "--witness is not a witness's verifier key");
    let witnesses: Vec<WitnessVerifier> = args.witness.iter().map(witness).collect::<Result<_, _>>()?;
    let quorum = args.quorum.unwrap_or_else(|| witnesses.len().min(1));
    verify(&log, &witnesses, quorum).map_err(|e| e.to_string())
}

fn checked_by() -> String {
    format!("checked     every signature twice: {}, {}", AwsLc.name(), PureRust.name())
}

fn tell_case(args: &Verify, verdict: &Verdict) {
    if args.json {
        println!("{}", verdict_json(verdict));
    } else if args.explain {
        for line in verdict.explain() {
            println!("{line}");
        }
        println!("{}", checked_by());
    } else {
        println!(
            "holds: {} openings, lock proof {}",
            verdict.openings,
            verdict.lock_proof.map_or("none", |p| p.code())
        );
    }
}

fn tell_shown(args: &Verify, shown: &Shown, record: Option<&ShownRecord>) -> anyhow::Result<()> {
    if args.json {
        println!("{}", shown_json(shown, record));
        return Ok(());
    }
    if !args.explain {
        println!("holds: leaf {} of {} in {}", shown.index, shown.checkpoint.size, shown.checkpoint.origin);
        return Ok(());
    }
    println!("log         {} ({} entries at the checkpoint)", shown.checkpoint.origin, shown.checkpoint.size);
    for c in &shown.cosigned {
        println!("witness     {} saw this tree at {} (Unix seconds)", c.witness, c.time);
    }
    if shown.cosigned.is_empty() {
        println!("witness     none that you named: the log alone says that this is its tree");
    }
    println!("These are anchors: you named them, and the file proves what follows if you know them to be right.");
    println!();
    println!("leaf        {} at {}", b64(shown.leaf), shown.index);
    for opening in record.iter().flat_map(|r| &r.openings) {
        println!("{:<11} {}", opening.name, opening.value);
    }
    if let Some(record) = record {
        println!("not shown   {} fields", record.record.names().len() - record.openings.len());
    }
    println!("{}", checked_by());
    Ok(())
}

fn shown_json(shown: &Shown, record: Option<&ShownRecord>) -> Value {
    let cosigned: Vec<Value> = shown.cosigned.iter().map(|c| json!({"witness": c.witness, "time": c.time})).collect();
    let fields = record.map(|r| r.openings.iter().map(|o| json!({"name": o.name, "value": o.value})).collect());
    json!({
        "leaf": b64(shown.leaf),
        "index": shown.index,
        "log": shown.checkpoint.origin,
        "log_size": shown.checkpoint.size,
        "cosigned": cosigned,
        "fields": fields.unwrap_or(Value::Null),
    })
}

/// The verdict for programs.
#[must_use]
pub fn verdict_json(v: &Verdict) -> Value {
    json!({
        "delivery": v.delivery.to_string(),
        "carrier": v.by.carrier(),
        "merchant": v.by.merchant(),
        "device": match &v.by {
            By::Device(device) => Some(device.to_string()),
            By::Carrier { .. } => None,
        },
        "purpose": v.purpose.code(),
        "rule": v.standing.as_ref().map(|s| json!({
            "merchants": s.merchants,
            "zone": s.schedule.zone,
            "days": s.schedule.days.iter().map(|d| d.code()).collect::<Vec<_>>(),
            "from_minute": s.schedule.from_minute,
            "to_minute": s.schedule.to_minute,
            "until": s.life.end().to_rfc3339(),
        })),
        "openings": v.openings,
        "unknown": v.unknown,
        "lock_proof": v.lock_proof.map(|p| p.code()),
        "log_size": v.log_size,
        "checked_by": [AwsLc.name(), PureRust.name()],
        "anchors": {
            "aud": v.anchors.aud,
            "log": v.anchors.log,
            "operator": v.anchors.operator.thumb().to_string(),
            "rp_id": v.anchors.rp_id,
            "wallet_origin": v.anchors.wallet_origin,
        },
        "timeline": v.timeline.iter().map(|m| json!({"at": m.at.to_rfc3339(), "kind": m.event.kind()})).collect::<Vec<_>>(),
    })
}
