//! Routes of stop pages.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use parcelshelf_core::id::AttemptId;
use parcelshelf_core::reason::Action;
use parcelshelf_edge::json::{StrictJson, StrictPath, StrictQuery};
use parcelshelf_edge::problem::Problem;
use parcelshelf_opening::attempt::CloseReport;
use parcelshelf_protocol::encoding::Hash;
use serde_json::Value;

use super::bodies::{ActWord, Closed, EnvelopeOut, ForNonce, NonceOut, PlaceOut, ToOpen, Wait, WithPhone, fits};
use super::owners::{delivery_of, thumb_of};
use super::{Answer, PublicUrl, State, header, problem};
use crate::attempts::no_attempt;
use crate::chain::Shown;

/// The last link and the proof, as RFC 9449 carries them.
pub(super) struct Dpop {
    link: String,
    proof: String,
}
impl<S: Send + Sync> FromRequestParts<S> for Dpop {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let link = header(parts, "authorization").and_then(|a| a.strip_prefix("DPoP ")).filter(|l| fits(l));
        let proof = header(parts, "dpop").filter(|p| fits(p));
        match (link, proof) {
            (Some(link), Some(proof)) => Ok(Self { link: link.to_owned(), proof: proof.to_owned() }),
            _ => Err(Problem::new(401, "proof_missing", "a device proves every request")
                .detail("send Authorization: DPoP <last link> and DPoP: <proof>")),
        }
    }
}
impl Dpop {
    pub(super) fn shown(self, url: PublicUrl, body: &[u8]) -> Shown {
        Shown { link: self.link, proof: self.proof, url: url.0, body: body.to_vec() }
    }
}

/// A nonce for one action, good for twenty seconds.
///
/// It need not be asked for: a request with the header `parcelshelf-next: ACT.DEVICE.ATH` has the next nonce in `dpop-nonce` of
/// its answer, whatever that is.
#[utoipa::path(post, path = "/v1/stops/{delivery}/nonces", params(("delivery" = String, Path)), request_body = ForNonce,
    responses((status = 200, body = NonceOut)))]
pub(super) async fn nonce(
    axum::extract::State(k): State,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, .. }: StrictJson<ForNonce>,
) -> Answer<Json<NonceOut>> {
    delivery_of(&delivery)?;
    let act = match value.act {
        ActWord::Locate => Action::Locate,
        ActWord::Describe => Action::Describe,
        ActWord::Open => Action::Open,
        ActWord::Signal => Action::Signal,
        ActWord::Lock => Action::Lock,
        ActWord::Close => Action::Close,
    };
    let device = thumb_of(&value.device)?;
    let ath = Hash::parse(&value.ath)
        .ok_or_else(|| Problem::new(422, "body_wrong_member", "ath is 43 characters of base64url"))?;
    Ok(Json(NonceOut { nonce: k.nonce_for(device, ath, act) }))
}

/// Where the car stands, sealed to the device that asks.
///
/// While something that was opened here is not known to be locked, for half an hour, the newest courier finds it again, to shut
/// and lock it. At a house that is all that is told, for as long as the attempt lasts, and without a place; else it is refused.
#[utoipa::path(post, path = "/v1/stops/{delivery}/locate", params(("delivery" = String, Path)), request_body = WithPhone,
    security(("dpop" = [])), responses((status = 200, body = PlaceOut)))]
pub(super) async fn locate(
    axum::extract::State(k): State,
    dpop: Dpop,
    url: PublicUrl,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, bytes }: StrictJson<WithPhone>,
) -> Answer<Json<Value>> {
    let shown = dpop.shown(url, &bytes);
    Ok(Json(k.locate(delivery_of(&delivery)?, &shown, &value.phone).await.map_err(problem)?))
}

/// Plate and words by which the car is found, sealed to the device that asks.
#[utoipa::path(post, path = "/v1/stops/{delivery}/describe", params(("delivery" = String, Path)),
    request_body = WithPhone, security(("dpop" = [])), responses((status = 200, body = EnvelopeOut)))]
pub(super) async fn describe(
    axum::extract::State(k): State,
    dpop: Dpop,
    url: PublicUrl,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, bytes }: StrictJson<WithPhone>,
) -> Answer<Json<Value>> {
    let shown = dpop.shown(url, &bytes);
    Ok(Json(k.describe(delivery_of(&delivery)?, &shown, &value.phone).await.map_err(problem)?))
}

/// Opens; the answer names the attempt, which tells what becomes of it. At a house `envelope` brings the owner's key for photos.
#[utoipa::path(post, path = "/v1/stops/{delivery}/open", params(("delivery" = String, Path)), request_body = ToOpen,
    security(("dpop" = [])), responses((status = 202, body = Value)))]
pub(super) async fn open(
    axum::extract::State(k): State,
    dpop: Dpop,
    url: PublicUrl,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, bytes }: StrictJson<ToOpen>,
) -> Answer<(StatusCode, Json<Value>)> {
    let wrong = || Problem::new(422, "body_wrong_member", "labels are at most 16 hashes of 43 characters");
    if value.labels.len() > 16 {
        return Err(wrong());
    }
    let labels = value.labels.iter().map(|l| Hash::parse(l).ok_or_else(wrong)).collect::<Answer<Vec<Hash>>>()?;
    let shown = dpop.shown(url, &bytes);
    let answer = k.open(delivery_of(&delivery)?, &shown, &labels, &value.phone).await.map_err(problem)?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// Lights, where the maker has them.
#[utoipa::path(post, path = "/v1/stops/{delivery}/signal", params(("delivery" = String, Path)), request_body = WithPhone,
    security(("dpop" = [])), responses((status = 200, body = Value)))]
pub(super) async fn signal(
    axum::extract::State(k): State,
    dpop: Dpop,
    url: PublicUrl,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, bytes }: StrictJson<WithPhone>,
) -> Answer<Json<Value>> {
    let shown = dpop.shown(url, &bytes);
    Ok(Json(k.signal(delivery_of(&delivery)?, &shown, &value.phone).await.map_err(problem)?))
}

/// Locks. Never refused to a device that opened here, nor to the one that was sent after it, whatever the time.
#[utoipa::path(post, path = "/v1/stops/{delivery}/lock", params(("delivery" = String, Path)), request_body = WithPhone,
    security(("dpop" = [])), responses((status = 202, body = Value)))]
pub(super) async fn lock(
    axum::extract::State(k): State,
    dpop: Dpop,
    url: PublicUrl,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, bytes }: StrictJson<WithPhone>,
) -> Answer<(StatusCode, Json<Value>)> {
    let shown = dpop.shown(url, &bytes);
    let answer = k.lock(delivery_of(&delivery)?, &shown, &value.phone).await.map_err(problem)?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// The courier says: shut.
#[utoipa::path(post, path = "/v1/stops/{delivery}/close", params(("delivery" = String, Path)), request_body = Closed,
    security(("dpop" = [])), responses((status = 202, body = Value)))]
pub(super) async fn close(
    axum::extract::State(k): State,
    dpop: Dpop,
    url: PublicUrl,
    StrictPath(delivery): StrictPath<String>,
    StrictJson { value, bytes }: StrictJson<Closed>,
) -> Answer<(StatusCode, Json<Value>)> {
    if value.photo.as_deref().is_some_and(|p| Hash::parse(p).is_none()) {
        return Err(Problem::new(422, "body_wrong_member", "a photo is named by 43 characters of base64url"));
    }
    let report = CloseReport { handle_checked: value.handle_checked, photo: value.photo.is_some() };
    let shown = dpop.shown(url, &bytes);
    let delivery = delivery_of(&delivery)?;
    let answer = k.close(delivery, &shown, report, value.done, &value.phone).await.map_err(problem)?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// How an attempt stands; waits for news.
#[utoipa::path(get, path = "/v1/attempts/{attempt}", params(("attempt" = String, Path), Wait),
    responses((status = 200, body = Value)))]
pub(super) async fn attempt(
    axum::extract::State(k): State,
    StrictPath(attempt): StrictPath<String>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Answer<Json<Value>> {
    let attempt = AttemptId::parse(&attempt).map_err(|_| no_attempt())?;
    Ok(Json(k.wait_attempt(attempt, wait.after, wait.duration()).await.map_err(problem)?))
}
