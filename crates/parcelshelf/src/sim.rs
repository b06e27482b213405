//! Simulated clouds alone.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use parcelshelf_edge::{Host, serve};
use parcelshelf_simulator::{homeassistant, onstar, smartcar, tesla, volvo};
use tokio::net::TcpListener;

use crate::cli::{SimHome, SimOnstar, SimSmartcar, SimTesla, SimVolvo};

/// # Errors
/// When the world cannot be, or the address is taken.
pub async fn volvo(args: SimVolvo) -> anyhow::Result<()> {
    let world = match &args.world {
        None => volvo::WorldFile::demo(),
        Some(path) => volvo::WorldFile::parse(&bytes(path, volvo::WORLD_BYTES_MAX)?)?,
    };
    let listener = listen(args.listen, "Volvo's").await?;
    let host = Host::system();
    volvo::Cloud::run(listener, world, host.clock, host.entropy, stopped()?).await?;
    Ok(())
}

/// # Errors
/// When the world cannot be, or the address is taken.
pub async fn onstar(args: SimOnstar) -> anyhow::Result<()> {
    let world = match &args.world {
        None => onstar::WorldFile::demo(),
        Some(path) => onstar::WorldFile::parse(&bytes(path, onstar::WORLD_BYTES_MAX)?)?,
    };
    let listener = listen(args.listen, "OnStar's").await?;
    let host = Host::system();
    onstar::Cloud::run(listener, world, host.clock, host.entropy, stopped()?).await?;
    Ok(())
}

/// # Errors
/// When the world cannot be, or the address is taken.
pub async fn tesla(args: SimTesla) -> anyhow::Result<()> {
    let world = match &args.world {
        None => tesla::WorldFile::demo(),
        Some(path) => tesla::WorldFile::parse(&bytes(path, tesla::WORLD_BYTES_MAX)?)?,
    };
    let listener = listen(args.listen, "Tesla's").await?;
    let host = Host::system();
    tesla::Cloud::run(listener, world, host.clock, host.entropy, stopped()?).await?;
    Ok(())
}

/// # Errors
/// When the world cannot be, or the address is taken.
pub async fn smartcar(args: SimSmartcar) -> anyhow::Result<()> {
    let world = match &args.world {
        None => smartcar::WorldFile::demo(),
        Some(path) => smartcar::WorldFile::parse(&bytes(path, smartcar::WORLD_BYTES_MAX)?)?,
    };
    let listener = listen(args.listen, "Smartcar's").await?;
    let host = Host::system();
    smartcar::Cloud::run(listener, world, host.clock, host.entropy, stopped()?).await?;
    Ok(())
}

/// # Errors
/// When the world cannot be, or the address is taken.
pub async fn home(args: SimHome) -> anyhow::Result<()> {
    let world = match &args.world {
        None => homeassistant::WorldFile::demo(),
        Some(path) => homeassistant::WorldFile::parse(&bytes(path, homeassistant::WORLD_BYTES_MAX)?)?,
    };
    let listener = listen(args.listen, "A household's").await?;
    let host = Host::system();
    homeassistant::Home::run(listener, world, host.clock, host.entropy, stopped()?).await?;
    Ok(())
}

fn bytes(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let length = std::fs::metadata(path).with_context(|| format!("failed to read {}", path.display()))?.len();
    anyhow::ensure!(length <= most, "{} is larger than a world may be", path.display());
    std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
}
/// Listens, and says so.
async fn listen(address: SocketAddr, whose: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))?;
    let address = listener.local_addr()?;
    println!("{}", serde_json::json!({"ready": "sim", "address": format!("http://{address}")}));
    eprintln!("{whose} cloud, simulated: http://{address}/   control path: http://{address}/__sim/help");
    Ok(listener)
}
fn stopped() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut stop = serve::stop_signal()?;
    Ok(async move {
        let _ = stop.wait_for(|s| *s).await;
    })
}
