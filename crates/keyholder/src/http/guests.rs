//! Routes of guests: owners invite, guests' devices answer, and come when they were let in by the week.

use axum::Json;
use axum::http::StatusCode;
use parcelshelf_core::id::InvitationId;
use parcelshelf_edge::json::{Nothing, StrictJson, StrictPath};
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::Hash;
use serde_json::Value;

use super::bodies::{Answered, Done, EnvelopeOut, InvitationOut, Invited, InvitedOut};
use super::stops::Dpop;
use super::{Answer, PublicUrl, Session, State, problem};
use crate::failure::again;

fn invitation_of(text: &str) -> Answer<InvitationId> {
    InvitationId::parse(text).map_err(|_| Problem::new(404, "invitation_unknown", "there is no such invitation"))
}

/// Invites somebody: their device may answer for a day, once. `invitation` is made from the secret that only they get.
#[utoipa::path(post, path = "/v1/wallet/invitations", request_body = Invited, security(("session" = [])),
    responses((status = 201, body = InvitedOut)))]
pub(super) async fn invite(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictJson { value, .. }: StrictJson<Invited>,
) -> Answer<(StatusCode, Json<InvitedOut>)> {
    let wrong = |_| Problem::new(422, "body_wrong_member", "an invitation is 22 characters of base64url");
    let invitation = InvitationId::parse(&value.invitation).map_err(wrong)?;
    let until = again!(k.invite(wallet, invitation, &value.r#box))?;
    Ok((StatusCode::CREATED, Json(InvitedOut { until: until.to_rfc3339() })))
}

/// The wallet's guests, sealed to its account key: who is invited, which device has answered, what was signed for whom.
#[utoipa::path(get, path = "/v1/wallet/invitations", security(("session" = [])),
    responses((status = 200, body = EnvelopeOut)))]
pub(super) async fn guests(axum::extract::State(k): State, Session(wallet): Session) -> Answer<Json<EnvelopeOut>> {
    Ok(Json(EnvelopeOut { envelope: k.guests_envelope(wallet).await.map_err(problem)? }))
}

/// Takes an invitation back for which nothing was signed yet.
#[utoipa::path(post, path = "/v1/wallet/invitations/{invitation}/withdraw", params(("invitation" = String, Path)),
    request_body = Nothing, security(("session" = [])), responses((status = 200, body = Done)))]
pub(super) async fn withdraw(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(invitation): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Done>> {
    let invitation = invitation_of(&invitation)?;
    again!(k.take_back(wallet, invitation))?;
    Ok(Json(Done { done: true }))
}

/// A guest's device says its keys. The first one counts; the same one again changes nothing.
#[utoipa::path(post, path = "/v1/invitations/{invitation}/answer", params(("invitation" = String, Path)),
    request_body = Answered, responses((status = 200, body = Done)))]
pub(super) async fn answer(
    axum::extract::State(k): State,
    StrictPath(invitation): StrictPath<String>,
    StrictJson { value, .. }: StrictJson<Answered>,
) -> Answer<Json<Done>> {
    let invitation = invitation_of(&invitation)?;
    let tag = Hash::parse(&value.tag)
        .ok_or_else(|| Problem::new(422, "body_wrong_member", "a tag is 43 characters of base64url"))?;
    again!(k.answer_invitation(invitation, &value.device, tag))?;
    Ok(Json(Done { done: true }))
}

/// How an invitation stands, and once something was signed for the device that answered, that, sealed to it.
#[utoipa::path(get, path = "/v1/invitations/{invitation}", params(("invitation" = String, Path)),
    responses((status = 200, body = InvitationOut)))]
pub(super) async fn invitation(
    axum::extract::State(k): State,
    StrictPath(invitation): StrictPath<String>,
) -> Answer<Json<Value>> {
    Ok(Json(k.invitation(invitation_of(&invitation)?).await.map_err(problem)?))
}

/// A guest with weekly hours comes: today's visit, which opens once. The proof is for the action *open*. Who comes again on the
/// same date gets the same visit; `visit_not_now` gives no reason.
#[utoipa::path(post, path = "/v1/visits", request_body = Nothing, security(("dpop" = [])),
    responses((status = 201, body = Value)))]
pub(super) async fn visit(
    axum::extract::State(k): State,
    dpop: Dpop,
    url: PublicUrl,
    StrictJson { bytes, .. }: StrictJson<Nothing>,
) -> Answer<(StatusCode, Json<Value>)> {
    let shown = dpop.shown(url, &bytes);
    Ok((StatusCode::CREATED, Json(again!(k.visit(&shown))?)))
}
