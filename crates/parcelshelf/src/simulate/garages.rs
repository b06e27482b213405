//! The simulated makers' clouds inside this process, and the home server of one building with its garages and front doors.

use std::sync::Arc;

use parcelshelf_access_homeassistant::{DOORS, GARAGES};
use parcelshelf_access_onstar::MAKER as ONSTAR;
use parcelshelf_access_smartcar::MAKER as SMARTCAR;
use parcelshelf_access_tesla::MAKER as TESLA;
use parcelshelf_edge::Host;
use parcelshelf_simulator::garage::Garage;
use parcelshelf_simulator::{homeassistant, onstar, smartcar, tesla, volvo};
use tokio::net::TcpListener;

use crate::stage::{Clouds, Worlds};

/// All makers' cars; of the first maker there is always a cloud.
#[derive(Debug, Clone)]
pub struct Garages {
    pub volvo: volvo::Cloud,
    pub onstar: Option<onstar::Cloud>,
    pub tesla: Option<tesla::Cloud>,
    pub smartcar: Option<smartcar::Cloud>,
    pub home: Option<homeassistant::Home>,
    /// Garages at that server.
    pub doors: usize,
    /// Front doors at that server.
    pub fronts: usize,
}

macro_rules! built {
    ($module:ident, $worlds:ident, $clouds:ident, $host:ident) => {
        match ($worlds.$module, &$clouds.$module) {
            (Some(world), Some(origin)) => {
                let (clock, entropy) = (Arc::clone(&$host.clock), Arc::clone(&$host.entropy));
                Some($module::Cloud::new(world, clock, entropy, origin)?)
            }
            _ => None,
        }
    };
}
macro_rules! served {
    ($cloud:expr, $bound:expr) => {
        if let (Some(cloud), Some((listener, _))) = ($cloud.clone(), $bound) {
            tokio::spawn(async move { ended(cloud.serve(listener, std::future::pending()).await) });
        }
    };
}

impl Garages {
    /// Clouds that will answer at `clouds`.
    ///
    /// # Errors
    /// When a world cannot be.
    pub fn new(worlds: Worlds, host: &Host, clouds: &Clouds) -> anyhow::Result<Self> {
        let (clock, entropy) = (Arc::clone(&host.clock), Arc::clone(&host.entropy));
        Ok(Self {
            volvo: volvo::Cloud::new(worlds.volvo, clock, entropy, &clouds.volvo)?,
            onstar: built!(onstar, worlds, clouds, host),
            tesla: built!(tesla, worlds, clouds, host),
            smartcar: built!(smartcar, worlds, clouds, host),
            doors: worlds.home.as_ref().map_or(0, |world| world.doors.len()),
            fronts: worlds.home.as_ref().map_or(0, |world| world.fronts.len()),
            home: match (worlds.home, &clouds.home) {
                (Some(world), Some(origin)) => {
                    let (clock, entropy) = (Arc::clone(&host.clock), Arc::clone(&host.entropy));
                    Some(homeassistant::Home::new(world, clock, entropy, origin)?)
                }
                _ => None,
            },
        })
    }

    /// Clouds that answer on sockets of their own until this process ends, and where.
    ///
    /// # Errors
    /// When a world cannot be, or no port is free.
    pub async fn serve(worlds: Worlds, host: &Host) -> anyhow::Result<(Self, Clouds)> {
        let first = bound(true).await?;
        let second = bound(worlds.onstar.is_some()).await?;
        let third = bound(worlds.tesla.is_some()).await?;
        let fourth = bound(worlds.smartcar.is_some()).await?;
        let house = bound(worlds.home.is_some()).await?;
        let base = |bound: &Bound| bound.as_ref().map(|(_, base)| base.clone());
        let clouds = Clouds {
            volvo: base(&first).unwrap_or_default(),
            onstar: base(&second),
            tesla: base(&third),
            smartcar: base(&fourth),
            home: base(&house),
        };
        let garages = Self::new(worlds, host, &clouds)?;
        served!(Some(&garages.volvo).cloned(), first);
        served!(garages.onstar, second);
        served!(garages.tesla, third);
        served!(garages.smartcar, fourth);
        served!(garages.home, house);
        Ok((garages, clouds))
    }

    /// One maker's cars, or the building's garages or front doors.
    #[must_use]
    pub fn of(&self, maker: &str) -> Arc<dyn Garage> {
        match (maker, &self.onstar, &self.tesla, &self.smartcar, &self.home) {
            (ONSTAR, Some(cloud), ..) => Arc::new(cloud.clone()),
            (TESLA, _, Some(cloud), ..) => Arc::new(cloud.clone()),
            (SMARTCAR, _, _, Some(cloud), _) => Arc::new(cloud.clone()),
            (GARAGES, .., Some(home)) => Arc::new(home.clone()),
            (DOORS, .., Some(home)) => Arc::new(homeassistant::Fronts(home.clone())),
            _ => Arc::new(self.volvo.clone()),
        }
    }
    /// For so many seconds no maker's cloud answers anybody, nor does the home server.
    pub fn outage(&self, seconds: u32) {
        for maker in ["", ONSTAR, TESLA, SMARTCAR, GARAGES] {
            self.of(maker).outage(seconds);
        }
    }
}

/// A free socket of this machine and its address, if its cloud takes part.
type Bound = Option<(TcpListener, String)>;
async fn bound(takes_part: bool) -> std::io::Result<Bound> {
    if !takes_part {
        return Ok(None);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    Ok(Some((listener, base)))
}

fn ended(served: std::io::Result<()>) {
    if let Err(error) = served {
        tracing::error!(%error, "a simulated cloud has ended");
    }
}
