//! Simulated clouds alone.

use anyhow::Context as _;
use parcelshelf_edge::{Host, serve};
use parcelshelf_simulator::volvo::{self, WORLD_BYTES_MAX, WorldFile};
use tokio::net::TcpListener;

use crate::cli::SimVolvo;

/// # Errors
/// When the world cannot be, or the address is taken.
pub async fn volvo(args: SimVolvo) -> anyhow::Result<()> {
    let world = match &args.world {
        None => WorldFile::demo(),
        Some(path) => {
            let length = std::fs::metadata(path).with_context(|| format!("failed to read {}", path.display()))?.len();
            anyhow::ensure!(length <= WORLD_BYTES_MAX, "{} is larger than a world may be", path.display());
            WorldFile::parse(&std::fs::read(path)?)?
        }
    };
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("failed to listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    println!("{}", serde_json::json!({"ready": "sim", "address": format!("http://{address}")}));
    eprintln!("Volvo's cloud, simulated: http://{address}/   control path: http://{address}/__sim/help");
    let mut stop = serve::stop_signal()?;
    let until = async move {
        let _ = stop.wait_for(|s| *s).await;
    };
    let host = Host::system();
    volvo::serve(listener, world, host.clock, host.entropy, until).await?;
    Ok(())
}
