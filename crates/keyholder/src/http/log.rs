//! The log, as C2SP tlog-tiles serves one.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use parcelshelf_edge::json::StrictPath;
use parcelshelf_edge::problem::Problem;
use parcelshelf_log::tile::TileId;
use serde_json::Value;

use super::{Answer, State, problem};

/// The latest signed checkpoint; with witnesses, the latest that a quorum of them has cosigned.
#[utoipa::path(get, path = "/log/checkpoint", responses((status = 200, content_type = "text/plain", body = String)))]
pub(super) async fn checkpoint(axum::extract::State(k): State) -> Answer<Response> {
    let found = k.published().await.map_err(problem)?;
    let (text, _) = found.ok_or_else(|| Problem::new(404, "not_found", "the log has no checkpoint yet"))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// A tile of hashes, or a bundle of entries (`entries/…`).
#[utoipa::path(get, path = "/log/tile/{*path}", params(("path" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
pub(super) async fn tile(axum::extract::State(k): State, StrictPath(path): StrictPath<String>) -> Answer<Response> {
    let none = || Problem::new(404, "not_found", "there is no such tile");
    let id = TileId::parse(&format!("tile/{path}")).ok_or_else(none)?;
    let bytes = k.tile(id).await.map_err(problem)?.ok_or_else(none)?;
    let cache = if id.width == 256 { "public, max-age=31536000, immutable" } else { "no-store" };
    Ok(([(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, cache)], bytes).into_response())
}

/// What the front's page hosts show: for each the newest record `pages_served` with the openings of all its fields, and its
/// leaf's number.
#[utoipa::path(get, path = "/log/pages", responses((status = 200, body = Value)))]
pub(super) async fn pages(axum::extract::State(k): State) -> Answer<Json<Value>> {
    Ok(Json(k.shown_pages().await.map_err(problem)?))
}
