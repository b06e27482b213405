//! `parcelshelf witness`: the service, and its configuration with a fresh key.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use parcelshelf_edge::{Host, logging, serve};
use parcelshelf_keyholder::keys::{read_key, write_key};
use parcelshelf_log::cosign::WitnessSigner;
use parcelshelf_log::note::LogVerifier;
use parcelshelf_store::storage::Storage;
use parcelshelf_witness as witness;

use crate::cli::{Serve, Witness, WitnessCommand, WitnessInit};
use crate::services::{host, read, ready, steps};

/// # Errors
/// When the service cannot run, or the configuration not be written.
pub async fn run(args: &Witness) -> anyhow::Result<()> {
    match (&args.init, &args.serve) {
        (Some(WitnessCommand::Init(args)), _) => init(args, &Host::system()),
        (None, Some(args)) => service(args).await,
        (None, None) => bail!("say with -c which configuration to run, or write one with `witness init`"),
    }
}

async fn service(args: &Serve) -> anyhow::Result<()> {
    let config: witness::Config = read(&args.config)?;
    logging::init(&config.log_level);
    let shell = witness::Shell {
        host: host(args)?,
        seed: *read_key(&config.key).map_err(anyhow::Error::msg)?,
        storage: Storage::Disk,
        steps: steps(args),
    };
    let stop = serve::stop_signal()?;
    witness::run(config, shell, stop, |address, _| ready("witness", address)).await?;
    Ok(())
}

/// Writes `witness.toml` and its key, and prints what a keyholder's file needs.
///
/// # Errors
/// As [`write()`].
pub fn init(args: &WitnessInit, host: &Host) -> anyhow::Result<()> {
    let (file, signer) = write(args, host)?;
    println!("Written to {}. Start it with: parcelshelf witness -c {}", args.dir.display(), file.display());
    println!();
    println!("For keyholder.toml of each log that it cosigns:");
    println!();
    println!("[[keyholder.log.witnesses]]");
    println!("url = \"http://{}\"", args.listen);
    println!("key = \"{}\"", signer.verifier().line());
    Ok(())
}

/// Writes `witness.toml` and its key; returns where, and the key.
///
/// # Errors
/// When the folder is not empty, a log's key is none, or nothing can be written.
pub fn write(args: &WitnessInit, host: &Host) -> anyhow::Result<(PathBuf, WitnessSigner)> {
    if fs::read_dir(&args.dir).is_ok_and(|mut d| d.next().is_some()) {
        bail!("{} is not empty: init never overwrites keys", args.dir.display());
    }
    for log in &args.logs {
        LogVerifier::parse(log).with_context(|| format!("{log} is not a log's verifier key"))?;
    }
    fs::create_dir_all(&args.dir).with_context(|| format!("failed to create {}", args.dir.display()))?;
    let dir = args.dir.canonicalize()?;
    let key = dir.join("witness.key");
    write_key(&key, &*host.entropy).with_context(|| format!("failed to write {}", key.display()))?;
    let signer = WitnessSigner::from_seed(&args.name, &*read_key(&key).map_err(anyhow::Error::msg)?)
        .with_context(|| format!("{} cannot be a witness's name", args.name))?;
    let config = witness::Config {
        listen: args.listen,
        data_dir: dir.join("data"),
        key,
        name: args.name.clone(),
        logs: args.logs.clone(),
        log_level: String::from("info"),
    };
    let file = dir.join("witness.toml");
    let comment = "# Written by `parcelshelf witness init`. Every member is explained in docs/operations/README.md.\n";
    fs::write(&file, format!("{comment}{}", toml::to_string(&config)?))?;
    Ok((file, signer))
}
