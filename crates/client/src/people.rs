//! People at a gateway or a carrier who order in writing: a stopped carrier goes on, a key is worth nothing any more.

use parcelshelf_protocol::encoding::{Hash, Thumbprint, TokenId};
use parcelshelf_protocol::jws::SigningKey;
use parcelshelf_protocol::order::{Order, Ordered};
use serde_json::{Value, json};

use crate::{Failure, Host, Http};

/// What the gateway at `gateway` says of an admitted carrier.
///
/// # Errors
/// [`Failure`].
pub async fn look_at_carrier(gateway: &Http, carrier: Thumbprint) -> Result<Value, Failure> {
    gateway.get(&format!("/v1/carriers/{carrier}"), &[]).await
}

/// The stop that a carrier is under, if it is stopped.
///
/// # Errors
/// [`Failure`].
pub async fn stop_of(gateway: &Http, carrier: Thumbprint) -> Result<Option<Hash>, Failure> {
    Ok(look_at_carrier(gateway, carrier).await?["stopped"].as_str().and_then(Hash::parse))
}

/// Signs an order and hands it in. `aud`: the keyholder's name.
///
/// # Errors
/// [`Failure`].
pub async fn order(
    gateway: &Http,
    aud: &str,
    key: &SigningKey,
    carrier: Thumbprint,
    ordered: Ordered,
    host: &Host,
) -> Result<(), Failure> {
    let jti = TokenId::from_bytes(host.random());
    let order = Order::sign(aud, jti, carrier, ordered, host.now(), key)?;
    gateway.post("/v1/orders", &[], &json!({ "order": order })).await.map(drop)
}
