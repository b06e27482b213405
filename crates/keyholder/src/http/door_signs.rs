//! Routes of codes at doors: owners put them up, whoever stands there asks.

use axum::Json;
use axum::http::StatusCode;
use parcelshelf_core::id::{InvitationId, VehicleId};
use parcelshelf_edge::json::{Nothing, StrictJson, StrictPath};
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::Hash;

use super::bodies::{Done, InvitedOut, Knocked, SignOut, SignWanted};
use super::{Answer, Session, State};
use crate::door_signs::{Knock, no_sign};
use crate::failure::again;

fn sign_of(text: &str) -> Answer<InvitationId> {
    InvitationId::parse(text).map_err(|_| no_sign())
}
fn wrong(what: &'static str) -> Problem {
    Problem::new(422, "body_wrong_member", what)
}

/// The code for the door of one house; the one that hangs there, if there is one. Its secret comes with the list of guests.
#[utoipa::path(post, path = "/v1/wallet/door-signs", request_body = SignWanted, security(("session" = [])),
    responses((status = 201, body = SignOut)))]
pub(super) async fn put_up(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictJson { value, .. }: StrictJson<SignWanted>,
) -> Answer<(StatusCode, Json<SignOut>)> {
    let vehicle = VehicleId::parse(&value.vehicle).map_err(|_| wrong("a vehicle is 22 characters of base64url"))?;
    let sign = again!(k.put_up(wallet, vehicle))?;
    Ok((StatusCode::CREATED, Json(SignOut { door_sign: sign.to_string() })))
}

/// Takes a code down. Who asks under it asks no more; what was signed stands until it is stopped.
#[utoipa::path(post, path = "/v1/wallet/door-signs/{door_sign}/take-down", params(("door_sign" = String, Path)),
    request_body = Nothing, security(("session" = [])), responses((status = 200, body = Done)))]
pub(super) async fn take_down(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(sign): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Done>> {
    let sign = sign_of(&sign)?;
    again!(k.take_down_sign(wallet, sign))?;
    Ok(Json(Done { done: true }))
}

/// Whoever stands at a door and has read its code asks to be let in: good for ten minutes. How it stands is asked under
/// `/v1/invitations/{knock}`; `invitation_unknown` there: the owner did not open, or it is over.
#[utoipa::path(post, path = "/v1/door-signs/{door_sign}/knocks", params(("door_sign" = String, Path)),
    request_body = Knocked, responses((status = 201, body = InvitedOut)))]
pub(super) async fn knock(
    axum::extract::State(k): State,
    StrictPath(sign): StrictPath<String>,
    StrictJson { value, .. }: StrictJson<Knocked>,
) -> Answer<(StatusCode, Json<InvitedOut>)> {
    let sign = sign_of(&sign)?;
    let knock = Knock {
        knock: InvitationId::parse(&value.knock).map_err(|_| wrong("a knock is 22 characters of base64url"))?,
        device: &value.device,
        tag: Hash::parse(&value.tag).ok_or_else(|| wrong("a tag is 43 characters of base64url"))?,
        sealed: &value.r#box,
    };
    let until = again!(k.knock(sign, &knock))?;
    Ok((StatusCode::CREATED, Json(InvitedOut { until: until.to_rfc3339() })))
}
