//! The simulated makers' clouds inside this process.

use std::sync::Arc;

use parcelshelf_access_onstar::MAKER as ONSTAR;
use parcelshelf_edge::Host;
use parcelshelf_simulator::garage::Garage;
use parcelshelf_simulator::{onstar, volvo};
use tokio::net::TcpListener;

use crate::stage::{Clouds, Worlds};

/// Both makers' cars.
#[derive(Debug, Clone)]
pub struct Garages {
    pub volvo: volvo::Cloud,
    /// The second maker's, if its cars take part.
    pub onstar: Option<onstar::Cloud>,
}

impl Garages {
    /// Clouds that will answer at `clouds`.
    ///
    /// # Errors
    /// When a world cannot be.
    pub fn new(worlds: Worlds, host: &Host, clouds: &Clouds) -> anyhow::Result<Self> {
        let (clock, entropy) = (|| Arc::clone(&host.clock), || Arc::clone(&host.entropy));
        let volvo = volvo::Cloud::new(worlds.volvo, clock(), entropy(), &clouds.volvo)?;
        let onstar = match (worlds.onstar, &clouds.onstar) {
            (Some(world), Some(origin)) => Some(onstar::Cloud::new(world, clock(), entropy(), origin)?),
            _ => None,
        };
        Ok(Self { volvo, onstar })
    }

    /// Clouds that answer on sockets of their own until this process ends, and where.
    ///
    /// # Errors
    /// When a world cannot be, or no port is free.
    pub async fn serve(worlds: Worlds, host: &Host) -> anyhow::Result<(Self, Clouds)> {
        let bind = async || TcpListener::bind("127.0.0.1:0").await;
        let (first, second) = (bind().await?, bind().await?);
        let base = |listener: &TcpListener| Ok::<_, std::io::Error>(format!("http://{}", listener.local_addr()?));
        let second = worlds.onstar.is_some().then_some(second);
        let clouds = Clouds { volvo: base(&first)?, onstar: second.as_ref().map(base).transpose()?, tesla: None };
        let garages = Self::new(worlds, host, &clouds)?;
        let volvo = garages.volvo.clone();
        tokio::spawn(async move { ended(volvo.serve(first, std::future::pending()).await) });
        if let (Some(onstar), Some(listener)) = (garages.onstar.clone(), second) {
            tokio::spawn(async move { ended(onstar.serve(listener, std::future::pending()).await) });
        }
        Ok((garages, clouds))
    }

    /// One maker's cars.
    #[must_use]
    pub fn of(&self, maker: &str) -> Arc<dyn Garage> {
        match &self.onstar {
            Some(onstar) if maker == ONSTAR => Arc::new(onstar.clone()),
            _ => Arc::new(self.volvo.clone()),
        }
    }
    /// For so many seconds no maker's cloud answers anybody.
    pub fn outage(&self, seconds: u32) {
        self.volvo.outage(seconds);
        if let Some(onstar) = &self.onstar {
            onstar.outage(seconds);
        }
    }
}

fn ended(served: std::io::Result<()>) {
    if let Err(error) = served {
        tracing::error!(%error, "a simulated cloud has ended");
    }
}
