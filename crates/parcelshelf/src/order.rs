//! `parcelshelf order`: a person signs, the gateway obeys. Nothing that is ordered locates or opens.

use anyhow::Context as _;
use parcelshelf_client::{Http, people};
use parcelshelf_core::id::DeliveryId;
use parcelshelf_edge::Host;
use parcelshelf_protocol::encoding::Thumbprint;
use parcelshelf_protocol::order::Ordered;

use crate::cli::{Order, OrderBy};
use crate::init::{client_host, signing_key};

fn thumb(text: &str) -> anyhow::Result<Thumbprint> {
    Thumbprint::parse(text).with_context(|| format!("{text} is no thumbprint: 43 characters of base64url"))
}

/// # Errors
/// When the key cannot be read, or the gateway refuses.
pub async fn run(args: &Order) -> anyhow::Result<()> {
    let host = client_host(&Host::system())?;
    let (by, ordered) = match args {
        Order::Release(by) => (by, None),
        Order::Revoke { by, revoked } => {
            (by, Some(Ordered::Revoke { key: revoked.as_deref().map(thumb).transpose()? }))
        }
        Order::Hold { by, delivery, lift } => {
            let delivery = DeliveryId::parse(delivery).with_context(|| format!("{delivery} is no delivery's id"))?;
            (by, Some(Ordered::Hold { delivery, on: !lift }))
        }
    };
    let OrderBy { key, gateway, aud, carrier } = by;
    let http = Http::new(gateway, &host.client);
    let carrier = thumb(carrier)?;
    let ordered = match ordered {
        Some(ordered) => ordered,
        None => {
            let stop = people::stop_of(&http, carrier).await?;
            Ordered::Release { stop: stop.context("this carrier is not stopped")? }
        }
    };
    let aud = aud.as_deref().unwrap_or(gateway);
    people::order(&http, aud, &signing_key(key)?, carrier, ordered, &host).await?;
    let now = people::look_at_carrier(&http, carrier).await?;
    println!("{now:#}");
    Ok(())
}
