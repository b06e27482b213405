//! Routes of standing rules: owners make and end them, carriers announce deliveries under them.

use axum::Json;
use axum::http::{Method, StatusCode};
use parcelshelf_core::id::GrantId;
use parcelshelf_edge::json::{Nothing, StrictJson, StrictPath};
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::Hash;
use serde_json::Value;

use super::bodies::{AcceptedOut, Announcement, EnvelopeOut, HandedGrant, RuleOut};
use super::carriers::{Signed, caller};
use super::owners::handed;
use super::{Answer, PublicUrl, Session, State, problem};
use crate::failure::again;

/// Hands in a standing rule together with the request that it answers; the same one again gets the same answer.
#[utoipa::path(post, path = "/v1/rules", request_body = HandedGrant, security(("session" = [])),
    responses((status = 201, body = RuleOut)))]
pub(super) async fn make_rule(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictJson { value, .. }: StrictJson<HandedGrant>,
) -> Answer<(StatusCode, Json<Value>)> {
    Ok((StatusCode::CREATED, Json(again!(k.accept_rule(wallet, &handed(&value)))?)))
}

/// The wallet's rules, each with the signed bytes and what came of it, sealed to its account key.
#[utoipa::path(get, path = "/v1/wallet/rules", security(("session" = [])), responses((status = 200, body = EnvelopeOut)))]
pub(super) async fn rules(axum::extract::State(k): State, Session(wallet): Session) -> Answer<Json<EnvelopeOut>> {
    Ok(Json(EnvelopeOut { envelope: k.rules_envelope(wallet).await.map_err(problem)? }))
}

/// Ends a rule at once and for good, and stops what was announced under it and has not been opened.
#[utoipa::path(post, path = "/v1/wallet/rules/{rule}/end", params(("rule" = String, Path)), request_body = Nothing,
    security(("session" = [])), responses((status = 200, body = Value)))]
pub(super) async fn end_rule(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(rule): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Value>> {
    let unknown = |_| Problem::new(404, "rule_unknown", "this wallet has no such rule");
    let rule = GrantId::parse(&rule).map_err(unknown)?;
    Ok(Json(k.end_rule(wallet, rule).await.map_err(problem)?))
}

/// Announces a delivery under a standing rule, at least an hour before. The acceptance says what is left of the window. The
/// same request again gets the same answer; `rule_does_not_cover` gives no reason.
#[utoipa::path(post, path = "/v1/announcements", request_body = Announcement, security(("call" = [])),
    responses((status = 201, body = AcceptedOut)))]
pub(super) async fn announce(
    axum::extract::State(k): State,
    signed: Signed,
    url: PublicUrl,
    StrictJson { value, bytes }: StrictJson<Announcement>,
) -> Answer<(StatusCode, Json<AcceptedOut>)> {
    let caller = caller(&k, &signed, &Method::POST, &url, &bytes).await?;
    let rule = Hash::parse(&value.rule)
        .ok_or_else(|| Problem::new(422, "body_wrong_member", "a rule's hash is 43 characters of base64url"))?;
    let accepted = again!(k.announce(&caller, &value.request, rule))?;
    Ok((StatusCode::CREATED, Json(AcceptedOut { accepted: Some(accepted), standing: true })))
}
