//! A witness of the drilled keyholder's log, as a process of its own.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use parcelshelf_edge::Host;
use parcelshelf_keyholder::keys::read_key;
use parcelshelf_log::cosign::WitnessVerifier;
use parcelshelf_log::note::{Checkpoint, LogSigner};
use parcelshelf_log::witness::{AddCheckpoint, origin_hash};

use super::world::World;
use crate::cli::WitnessInit;
use crate::process::Service;
use crate::witness::write;

/// So long it may take until what a keyholder has signed is cosigned and published.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The keyholder's log key, as whoever runs the keyholder has it.
///
/// # Errors
/// When it is not there.
pub fn log_signer(world: &World) -> anyhow::Result<LogSigner> {
    let dir = &world.scene().layout.dir;
    let seed = read_key(&dir.join("keyholder/keys/log.key")).map_err(anyhow::Error::msg)?;
    let keys = world.day.keys();
    let line = &keys.claims().log;
    let name = line.split('+').next().context("a log without a name")?;
    let signer = LogSigner::from_seed(name, &seed)?;
    ensure!(signer.verifier().line() == *line, "this is not the key of the log that is published");
    Ok(signer)
}

/// A witness that knows one log.
#[derive(Debug)]
pub struct Watcher {
    service: Service,
    pub base: String,
    pub key: WitnessVerifier,
    origin: String,
    http: reqwest::Client,
}

impl Watcher {
    /// # Errors
    /// When it does not start.
    pub async fn start(dir: &Path, signer: &LogSigner) -> anyhow::Result<Self> {
        let listen = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).context("no port on loopback")?;
        let args = WitnessInit {
            dir: dir.join("witness"),
            logs: vec![signer.verifier().line()],
            listen,
            name: String::from("witness.example"),
        };
        let (file, witness) = write(&args, &Host::system())?;
        let (key, config) = (witness.verifier().clone(), file.to_string_lossy().into_owned());
        let arguments = vec![String::from("witness"), String::from("-c"), config];
        let service = Service::start("witness", arguments, &dir.join("witness.log")).await?;
        let origin = signer.verifier().name().to_owned();
        Ok(Self { service, base: format!("http://{listen}"), key, origin, http: parcelshelf_exchange::bare(None)? })
    }

    /// Its answer to a checkpoint: 200 means cosigned.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn asked(&self, request: &AddCheckpoint) -> anyhow::Result<u16> {
        let sent = self.http.post(format!("{}/add-checkpoint", self.base)).body(request.text());
        Ok(sent.timeout(Duration::from_secs(5)).send().await?.status().as_u16())
    }

    /// The newest checkpoint that it has cosigned.
    ///
    /// # Errors
    /// When there is none, or none that holds.
    pub async fn newest(&self, signer: &LogSigner) -> anyhow::Result<Checkpoint> {
        let url = format!("{}/{}/checkpoint", self.base, origin_hash(&self.origin));
        let note = self.http.get(url).send().await?.error_for_status()?.text().await?;
        ensure!(self.key.cosigned_at(&note)?.is_some(), "the witness hands out what it has not cosigned");
        Ok(Checkpoint::verify(&note, signer.verifier())?)
    }

    /// The keyholder is told of it, as by `parcelshelf witness init`.
    ///
    /// # Errors
    /// When the services do not start again.
    pub async fn attach(&self, world: &World) -> anyhow::Result<()> {
        let section =
            format!("\n[[keyholder.log.witnesses]]\nurl = \"{}\"\nkey = \"{}\"\n", self.base, self.key.line());
        world.changed(async |parties| edit(parties, |file| file + &section)).await
    }
    /// The keyholder goes on without it.
    ///
    /// # Errors
    /// When the services do not start again.
    pub async fn detach(mut self, world: &World) -> anyhow::Result<()> {
        let without = |file: String| file.split("\n[[keyholder.log.witnesses]]").next().unwrap_or_default().to_owned();
        world.changed(async |parties| edit(parties, without)).await?;
        self.service.kill().await
    }

    /// Waits, in real time, until it has cosigned a tree of more than `size` leaves.
    ///
    /// # Errors
    /// When that does not come.
    pub async fn beyond(&self, world: &World, size: u64, signer: &LogSigner) -> anyhow::Result<u64> {
        let tries = PATIENCE.as_millis() / LOOK_EVERY.as_millis();
        for _ in 0..tries {
            if let Ok(newest) = self.newest(signer).await
                && newest.size > size
            {
                return Ok(newest.size);
            }
            world.wait_outside(LOOK_EVERY).await;
        }
        anyhow::bail!("the witness has seen no tree of more than {size} leaves")
    }
}

fn edit(parties: &Path, change: impl FnOnce(String) -> String) -> anyhow::Result<()> {
    let path = parties.join("keyholder/keyholder.toml");
    let file = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    fs::write(&path, change(file)).with_context(|| format!("failed to write {}", path.display()))
}
