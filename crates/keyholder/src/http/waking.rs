//! What the front asks and says of wallets that are to be woken; not in the document, so that nobody is let through to it.

use axum::Json;
use axum::http::StatusCode;
use parcelshelf_core::id::WalletId;
use parcelshelf_edge::json::StrictJson;
use parcelshelf_edge::problem::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, State, problem};
use crate::waking::Word;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saying {
    wallet: String,
    says: Word,
}

/// Waits for some.
pub(super) async fn to_wake(axum::extract::State(k): State) -> Answer<Json<Value>> {
    let wallets = k.to_wake().await.map_err(problem)?;
    Ok(Json(json!({"wallets": wallets.iter().map(WalletId::to_string).collect::<Vec<_>>()})))
}

pub(super) async fn said_of(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<Saying>,
) -> Answer<StatusCode> {
    let unknown = |_| Problem::new(404, "wallet_unknown", "there is no such wallet");
    let wallet = WalletId::parse(&value.wallet).map_err(unknown)?;
    k.said_of(wallet, value.says).await.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}
