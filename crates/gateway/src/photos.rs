//! A shelf for sealed photos: the front sees their size and when they came, nothing else.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use parcelshelf_core::id::{AttemptId, DeliveryId};
use parcelshelf_edge::json::{StrictJson, StrictPath};
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::{Hash, b64, from_b64, sha256};
use parcelshelf_store::{Batch, CommitError, ListQuery, Row};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rows::{self, PHOTOS, PhotoRow, delivery_owner};
use crate::{Front, relay, sessions, store_problem};

/// A box of at most eight times 64 KiB.
const SEALED_MAX: usize = 8 * 64 * 1024 + 2048;
const BODY_MAX: usize = 760 * 1024;
/// Photos of one delivery.
const PER_DELIVERY: u32 = 8;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Photo {
    #[schema(min_length = 22, max_length = 22)]
    attempt: String,
    /// base64url of the box, sealed to the owner's key for this grant.
    #[schema(min_length = 1, max_length = 701782)]
    photo: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Kept {
    /// SHA-256 of the box.
    hash: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PhotosOut {
    /// SHA-256 of each box.
    photos: Vec<String>,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PhotoOut {
    photo: String,
}

/// A row's id is the delivery's, then the hash.
const DELIVERY_BYTES: usize = 16;
fn delivery_of(text: &str) -> Result<DeliveryId, Problem> {
    DeliveryId::parse(text).map_err(|_| Problem::new(404, "delivery_unknown", "there is no such delivery"))
}
fn id_of(delivery: DeliveryId, hash: Hash) -> Vec<u8> {
    [&delivery.as_bytes()[..], hash.as_bytes()].concat()
}

/// Leaves a sealed photo. The same one again changes nothing.
#[utoipa::path(post, path = "/v1/stops/{delivery}/photos", params(("delivery" = String, Path)), request_body = Photo,
    responses((status = 201, body = Kept)))]
pub(crate) async fn leave(
    State(front): State<Arc<Front>>,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, .. }: StrictJson<Photo, BODY_MAX>,
) -> Result<(StatusCode, Json<Kept>), Problem> {
    let delivery = delivery_of(&delivery)?;
    let wrong = |what: &'static str| Problem::new(422, "body_wrong_member", what);
    let attempt = AttemptId::parse(&value.attempt).map_err(|_| wrong("an attempt has 22 characters"))?;
    let sealed = from_b64(&value.photo).filter(|s| (1..=SEALED_MAX).contains(&s.len()));
    let sealed = sealed.ok_or_else(|| wrong("the photo is not base64url, or too large"))?;
    // Only whoever took part knows an attempt that exists.
    let path = format!("/v1/attempts/{attempt}");
    let url = format!("{}{path}", front.config.stop_origin);
    let known = relay::send(&front, Method::GET, &path, HeaderMap::new(), &url, None, Bytes::new()).await?;
    let said: serde_json::Value = serde_json::from_slice(&known.body).unwrap_or_default();
    // An attempt at another door is no reason to keep something here.
    if !known.status.is_success() || said["delivery"] != delivery.to_string() {
        return Err(Problem::new(404, "attempt_unknown", "there is no such attempt"));
    }
    let there = of_delivery(&front, delivery).await?;
    let hash = sha256(&sealed);
    let id = id_of(delivery, hash);
    let out = Json(Kept { hash: hash.to_string() });
    if there.iter().any(|row| row.id == id) {
        return Ok((StatusCode::CREATED, out));
    }
    if there.len() >= PER_DELIVERY as usize {
        return Err(Problem::new(409, "too_many_photos", "this delivery has enough photos"));
    }
    let row = PhotoRow { v: 1, photo: b64(sealed), day_ms: rows::day_of(front.host.now()) };
    let index = rows::kept_since(row.day_ms);
    let put = front.sealed(&delivery_owner(delivery), PHOTOS, &id, &row, index).await?;
    let kept = rows::entry(PHOTOS, &id, "photo_kept");
    let batch = Batch { at: Some(front.host.now()), puts: vec![put], journal: vec![kept], ..Batch::default() };
    match front.commit(batch).await {
        Ok(()) | Err(CommitError::Conflict(_)) => Ok((StatusCode::CREATED, out)),
        Err(other) => Err(store_problem(other)),
    }
}

/// Which sealed photos there are of a delivery.
#[utoipa::path(get, path = "/v1/wallet/deliveries/{delivery}/photos", params(("delivery" = String, Path)),
    security(("session" = [])), responses((status = 200, body = PhotosOut)))]
pub(crate) async fn list(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    StrictPath(delivery): StrictPath<String>,
) -> Result<Json<PhotosOut>, Problem> {
    sessions::of(&front, &headers).await?;
    let rows = of_delivery(&front, delivery_of(&delivery)?).await?;
    // The hash of what was sealed is the end of a row's id: whoever asks for another's delivery gets nothing that opens.
    let photos = rows.iter().filter_map(|row| row.id.get(DELIVERY_BYTES..)).map(b64).collect();
    Ok(Json(PhotosOut { photos }))
}

async fn of_delivery(front: &Front, delivery: DeliveryId) -> Result<Vec<Row>, Problem> {
    let query = ListQuery {
        table: PHOTOS.to_owned(),
        index: String::new(),
        prefix: delivery.as_bytes().to_vec(),
        cursor: None,
        limit: PER_DELIVERY + 1,
    };
    Ok(front.engine.list(query).await.map_err(|e| Problem::store(&e))?.rows)
}

/// A sealed photo, for the owner's devices.
#[utoipa::path(get, path = "/v1/wallet/deliveries/{delivery}/photos/{hash}",
    params(("delivery" = String, Path), ("hash" = String, Path)), security(("session" = [])),
    responses((status = 200, body = PhotoOut)))]
pub(crate) async fn fetch(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    StrictPath((delivery, hash)): StrictPath<(String, String)>,
) -> Result<Json<PhotoOut>, Problem> {
    sessions::of(&front, &headers).await?;
    let none = || Problem::new(404, "photo_unknown", "there is no such photo");
    let hash = Hash::parse(&hash).ok_or_else(none)?;
    let row: PhotoRow = front.opened(PHOTOS, &id_of(delivery_of(&delivery)?, hash)).await?.ok_or_else(none)?;
    Ok(Json(PhotoOut { photo: row.photo }))
}
