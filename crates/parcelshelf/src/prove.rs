//! `parcelshelf prove`: the public proof of one record of a bundle, from what its log serves to everybody, and with it the
//! fields that the owner chooses to show.

use std::fs;

use anyhow::{Context as _, anyhow, bail, ensure};
use parcelshelf_client::log::LogReader;
use parcelshelf_edge::Host;
use parcelshelf_exchange::Client;
use parcelshelf_log::note::LogVerifier;
use parcelshelf_log::record::{Opening, Record};
use parcelshelf_log::shown::ShownRecord;
use parcelshelf_log::tree::leaf_hash;
use parcelshelf_protocol::bundle::{self, BUNDLE_MAX, Bundle, RecordEvidence};

use crate::cli::Prove;

/// # Errors
/// When the bundle does not hold, the record or a field is not there, or the log does not show what it signed.
pub async fn run(args: &Prove) -> anyhow::Result<()> {
    let bundle = read(args)?;
    let Some(at) = args.record else {
        for (n, r) in bundle.records.iter().enumerate() {
            let names: Vec<&str> = r.openings.iter().map(|o| o.name.as_str()).collect();
            println!("{n:>3}  {:<20} {}", kind_of(r), names.join(","));
        }
        println!("Choose one with --record N, and what to show of it with --show NAME,…");
        return Ok(());
    };
    let evidence = bundle.records.get(at).with_context(|| format!("the bundle has no record {at}"))?;
    let record = Record::parse(&evidence.bytes).map_err(|_| anyhow!("record {at} is none"))?;
    let openings = chosen(evidence, &args.show)?;
    let log = LogVerifier::parse(&bundle.anchors.log).map_err(|_| anyhow!("the bundle's log key is none"))?;
    let url = args.url.as_deref().context("say with --url where the log is served")?;
    let client = Client::network(Host::system().clock)?;
    let reader = LogReader::new(&client, url, log);
    let proof = reader.prove(leaf_hash(&record.entry()), evidence.index).await?;
    let text = if openings.is_empty() { proof.text() } else { ShownRecord { record, openings, proof }.text() };
    match &args.out {
        Some(path) => fs::write(path, text).with_context(|| format!("failed to write {}", path.display())),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}

/// Nothing is proved of a file that does not hold itself.
fn read(args: &Prove) -> anyhow::Result<Bundle> {
    let about = fs::metadata(&args.file).with_context(|| format!("failed to read {}", args.file.display()))?;
    ensure!(about.len() <= BUNDLE_MAX as u64, "{} is larger than a bundle may be", args.file.display());
    let bytes = fs::read(&args.file)?;
    if let Err(refused) = bundle::verify(&bytes, None) {
        bail!("the bundle is refused: {}", refused.code());
    }
    Bundle::parse_canonical(&bytes).map_err(|r| anyhow!("the bundle is refused: {}", r.code()))
}

fn kind_of(r: &RecordEvidence) -> &str {
    r.openings.iter().find(|o| o.name == "kind").map_or("(of another delivery)", |o| o.value.as_str())
}

/// The openings named, in the record's order.
fn chosen(evidence: &RecordEvidence, names: &[String]) -> anyhow::Result<Vec<Opening>> {
    for name in names {
        ensure!(evidence.openings.iter().any(|o| o.name == *name), "the bundle does not show a field {name} of it");
    }
    Ok(evidence.openings.iter().filter(|o| names.contains(&o.name)).cloned().collect())
}
