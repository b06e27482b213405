//! A household's own gateway, in one step: front and keyholder beside a Home Assistant, and no carrier.
//!
//! The first start writes keys and configurations, every start runs both. They stay two processes: what faces the internet
//! opens nothing.

use std::fs;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, bail, ensure};
use parcelshelf_core::vehicle::Vin;
use parcelshelf_edge::Host;
use parcelshelf_keyholder::keys::write_key;
use serde_json::json;
use tokio::process::{Child, Command};

use crate::cli::Household;
use crate::init::{GatewayAt, signing_key, write_config};
use crate::services::{HomeAssistantFile, HomeEntranceFile, KeyholderFile, say};

const KEYHOLDER: &str = "keyholder/keyholder.toml";
const FRONT: &str = "gateway/gateway.toml";

/// # Errors
/// When what is needed for the first start is missing, something cannot be written, or one of the two ends by itself.
pub async fn run(args: Household) -> anyhow::Result<()> {
    let host = Host::system();
    if !args.dir.join(KEYHOLDER).exists() {
        set_up(&args, &host)?;
    } else if args.home_assistant.is_some() || !args.garages.is_empty() || !args.gates.is_empty() {
        bail!("{} is set up already: change {KEYHOLDER} there, and start without these options", args.dir.display());
    }
    if args.set_up_only {
        return Ok(());
    }
    let mut keyholder = child("keyholder", &args.dir.join(KEYHOLDER))?;
    let mut front = child("gateway", &args.dir.join(FRONT))?;
    say(&json!({"ready": "household", "folder": args.dir}));
    let mut stop = parcelshelf_edge::serve::stop_signal()?;
    let ended = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => None,
        status = keyholder.wait() => Some(("keyholder", status)),
        status = front.wait() => Some(("gateway", status)),
    };
    // Nobody asks any more, and what is open is still shut: the keyholder has its minutes for that.
    terminated(&mut front).await?;
    terminated(&mut keyholder).await?;
    match ended {
        None => Ok(()),
        Some((name, status)) => bail!("{name} has ended by itself ({}); its last lines say why", status?),
    }
}

/// Writes keys and configurations; nothing that is there is overwritten.
fn set_up(args: &Household, host: &Host) -> anyhow::Result<()> {
    let Some(base) = &args.home_assistant else {
        bail!("the first start needs --home-assistant URL and at least one --garage or --gate; see --help");
    };
    let entrances = args.garages.len() + args.gates.len();
    ensure!(entrances > 0, "name at least one --garage or --gate: the entity that opens and shuts it");
    if fs::read_dir(&args.dir).is_ok_and(|mut dir| dir.next().is_some()) {
        bail!("{} is not empty: keys are never overwritten", args.dir.display());
    }
    let all = |these: &[String], name: &str| -> anyhow::Result<Vec<HomeEntranceFile>> {
        these.iter().enumerate().map(|(n, said)| entrance(said, &nth(name, n), host)).collect()
    };
    let at = GatewayAt { dir: &args.dir, host: &args.host, port: args.port };
    let home = HomeAssistantFile {
        base: base.trim_end_matches('/').to_owned(),
        client_id: format!("{}/", at.origin("wallet")),
        redirect_uri: at.oauth_callback(),
        cars: Vec::new(),
        garages: all(&args.garages, "Garage")?,
        gates: all(&args.gates, "Gate")?,
        doors: Vec::new(),
    };
    // What cannot be used is said before anything is written.
    home.accesses(host, &parcelshelf_exchange::Client::network(host.clock.clone())?).context("[homeassistant]")?;
    fs::create_dir_all(args.dir.join("operator"))
        .with_context(|| format!("failed to create {}", args.dir.display()))?;
    let dir = args.dir.canonicalize()?;
    let at = GatewayAt { dir: &dir, ..at };
    at.write_keys(host)?;
    let operator = dir.join("operator/operator.key");
    write_key(&operator, &*host.entropy).with_context(|| format!("failed to write {}", operator.display()))?;
    let keyholder = KeyholderFile {
        keyholder: at.keyholder(&signing_key(&operator)?),
        volvo: None,
        onstar: None,
        tesla: None,
        smartcar: None,
        homeassistant: Some(home),
    };
    write_config(&dir.join(FRONT), "household", &at.front())?;
    write_config(&dir.join(KEYHOLDER), "household", &keyholder)?;
    println!(
        "Written to {}. Keep operator/ somewhere else: it admits carriers, of which there are none.",
        dir.display()
    );
    println!("  wallet     {}", at.origin("wallet"));
    println!("  at a door  {}", at.origin("stop"));
    println!("  behind a TLS terminator, which passes Host on unchanged to {}", at.front().listen);
    println!();
    println!("Next: make a user at {base} that does not administer, open the wallet, and link the {}.", what(args));
    Ok(())
}

fn what(args: &Household) -> &'static str {
    if args.garages.is_empty() { "gate" } else { "garage" }
}
fn nth(name: &str, n: usize) -> String {
    if n == 0 { name.to_owned() } else { format!("{name} {}", n + 1) }
}

/// `ENTITY` or `ENTITY,SENSOR`.
fn entrance(said: &str, name: &str, host: &Host) -> anyhow::Result<HomeEntranceFile> {
    let (cover, obstruction) = said.split_once(',').map_or((said, None), |(cover, sensor)| (cover, Some(sensor)));
    ensure!(cover.starts_with("cover."), "`{cover}` is no cover: name it as your server does, such as cover.garage");
    ensure!(
        obstruction.is_none_or(|sensor| sensor.starts_with("binary_sensor.")),
        "what stands behind the comma is the sensor in the doorway, such as binary_sensor.garage_obstruction"
    );
    // It says nothing about the house, and no other house has it.
    let number = format!("0{}", host.random::<8>().iter().map(|b| format!("{b:02X}")).collect::<String>());
    Vin::parse(&number).context("a number of an entrance")?;
    Ok(HomeEntranceFile {
        number,
        name: name.to_owned(),
        cover: cover.to_owned(),
        obstruction: obstruction.map(str::to_owned),
    })
}

fn child(role: &'static str, config: &Path) -> anyhow::Result<Child> {
    let program = crate::process::program_beside(std::env::current_exe().context("failed to find this program")?);
    let mut command = Command::new(program);
    command.arg(role).arg("-c").arg(config).stdin(Stdio::null()).kill_on_drop(true);
    command.spawn().with_context(|| format!("failed to start the {role}"))
}

/// SIGTERM, and as long as it takes: whoever waits for less kills this process.
async fn terminated(child: &mut Child) -> anyhow::Result<Option<ExitStatus>> {
    let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?)) else {
        return Ok(None);
    };
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    Ok(Some(child.wait().await.context("failed to wait for a child")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entrance_is_named_as_the_server_does_and_by_a_number_that_says_nothing() {
        let host = Host::system();
        let said = entrance("cover.garage,binary_sensor.beam", "Garage", &host).unwrap();
        assert_eq!((said.cover.as_str(), said.obstruction.as_deref()), ("cover.garage", Some("binary_sensor.beam")));
        assert_eq!(said.number.len(), 17);
        assert_ne!(said.number, entrance("cover.garage", "Garage", &host).unwrap().number);
        for wrong in ["", "garage", "lock.front", "cover.garage,cover.other"] {
            assert!(entrance(wrong, "Garage", &host).is_err(), "{wrong}");
        }
    }
}
