//! A case bundle, checked offline.

use anyhow::{Context as _, bail};
use parcelshelf_protocol::bundle::{self, BUNDLE_MAX, Verdict};
use serde_json::{Value, json};

use crate::cli::Verify;

/// # Errors
/// When the file is no bundle, or anything in it does not hold: the code of the first check that fails.
pub fn run(args: &Verify) -> anyhow::Result<()> {
    let length =
        std::fs::metadata(&args.file).with_context(|| format!("failed to read {}", args.file.display()))?.len();
    if length > BUNDLE_MAX as u64 {
        bail!("{} is larger than a bundle may be", args.file.display());
    }
    let bytes = std::fs::read(&args.file)?;
    let verdict = match bundle::verify(&bytes, None) {
        Ok(verdict) => verdict,
        Err(refused) => bail!("refused: {}", refused.code()),
    };
    if let Some(known) = &args.log_key
        && *known != verdict.anchors.log
    {
        bail!("refused: the bundle rests on another log key than the one you know");
    }
    if args.json {
        println!("{}", verdict_json(&verdict));
    } else if args.explain {
        for line in verdict.explain() {
            println!("{line}");
        }
    } else {
        println!(
            "holds: {} openings, lock proof {}",
            verdict.openings,
            verdict.lock_proof.map_or("none", |p| p.code())
        );
    }
    Ok(())
}

/// The verdict for programs.
#[must_use]
pub fn verdict_json(v: &Verdict) -> Value {
    json!({
        "delivery": v.delivery.to_string(),
        "carrier": v.carrier,
        "merchant": v.merchant,
        "purpose": v.purpose.code(),
        "openings": v.openings,
        "unknown": v.unknown,
        "lock_proof": v.lock_proof.map(|p| p.code()),
        "log_size": v.log_size,
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
