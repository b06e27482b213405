//! Routes of wallets.

use axum::Json;
use axum::http::StatusCode;
use parcelshelf_core::id::{AttemptId, DeliveryId, LinkId, VehicleId};
use parcelshelf_edge::json::{Nothing, StrictJson, StrictPath};
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::{Thumbprint, from_b64};
use parcelshelf_protocol::nonce;
use parcelshelf_protocol::statement::{Covered, Said, VerifiedStatement};
use serde_json::Value;

use super::bodies::{
    AcceptedOut, AccessPointOut, Choice, Code, Confirmed, Done, EnvelopeOut, ForCarrier, HandedGrant, KeysOut,
    LaterLink, LinkOut, Linked, MakersOut, NonceOut, ScopeWord, Sealed, WalletOut, What,
};
use super::{Answer, Session, State, problem};
use crate::Keyholder;
use crate::failure::{Failure, again};
use crate::grants::Handed;

pub(super) fn delivery_of(text: &str) -> Answer<DeliveryId> {
    DeliveryId::parse(text).map_err(|_| Problem::new(404, "delivery_unknown", "there is no such delivery"))
}
fn vehicle_of(text: &str) -> Answer<VehicleId> {
    VehicleId::parse(text).map_err(|_| Problem::new(404, "vehicle_unknown", "this wallet has no such car"))
}
fn link_of(text: &str) -> Answer<LinkId> {
    LinkId::parse(text).map_err(|_| Problem::new(404, "link_unknown", "this linking is over or never began"))
}
pub(super) fn thumb_of(text: &str) -> Answer<Thumbprint> {
    Thumbprint::parse(text)
        .ok_or_else(|| Problem::new(422, "body_wrong_member", "a thumbprint is 43 characters of base64url"))
}

async fn stated(k: &Keyholder, body: &Confirmed) -> Result<VerifiedStatement, Failure> {
    let bytes = from_b64(&body.statement)
        .ok_or_else(|| Problem::new(400, "statement_not_base64url", "the statement is not base64url"))?;
    k.stated(&bytes, &body.assertion).await
}

/// The keyholder's keys, signed by its log key.
#[utoipa::path(get, path = "/v1/keys", responses((status = 200, body = KeysOut)))]
pub(super) async fn keys(axum::extract::State(k): State) -> Answer<Json<KeysOut>> {
    Ok(Json(KeysOut { keys: k.published_keys().await.map_err(problem)?.jws }))
}

/// A challenge for a statement, good for five minutes.
#[utoipa::path(post, path = "/v1/challenges", request_body = Nothing, responses((status = 200, body = NonceOut)))]
pub(super) async fn challenge(axum::extract::State(k): State, _: StrictJson<Nothing>) -> Answer<Json<NonceOut>> {
    Ok(Json(NonceOut { nonce: nonce::issue_challenge(&k.keys.nonce, k.host.now(), &*k.host.entropy) }))
}

/// A new wallet: its statement carries the first passkey, which confirms it.
#[utoipa::path(post, path = "/v1/wallets", request_body = Confirmed, responses((status = 201, body = WalletOut)))]
pub(super) async fn create_wallet(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<Confirmed>,
) -> Answer<(StatusCode, Json<WalletOut>)> {
    let statement = stated(&k, &value).await.map_err(problem)?;
    let wallet = k.create_wallet(&statement, &value.assertion).await.map_err(problem)?;
    Ok((StatusCode::CREATED, Json(WalletOut { wallet: wallet.to_string() })))
}

/// Makers whose cars can be linked here, and the operator's key, by which a wallet checks who asks.
#[utoipa::path(get, path = "/v1/makers", responses((status = 200, body = MakersOut)))]
pub(super) async fn makers(axum::extract::State(k): State) -> Answer<Json<MakersOut>> {
    Ok(Json(k.makers_told().map_err(problem)?))
}

/// Begins to link cars of a maker.
#[utoipa::path(post, path = "/v1/links", request_body = Confirmed, responses((status = 201, body = LinkOut)))]
pub(super) async fn begin_link(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<Confirmed>,
) -> Answer<(StatusCode, Json<LinkOut>)> {
    let statement = stated(&k, &value).await.map_err(problem)?;
    let Said::Link { wallet, maker } = statement.said() else {
        return Err(Problem::new(400, "statement_wrong_type", "this route takes a statement of type link"));
    };
    let (link, authorize_url) = k.begin_link(*wallet, maker).await.map_err(problem)?;
    Ok((StatusCode::CREATED, Json(LinkOut { link: link.to_string(), authorize_url })))
}

/// The code with which the maker sent the owner's browser back.
#[utoipa::path(post, path = "/v1/links/{state}/code", params(("state" = String, Path)), request_body = Code,
    responses((status = 200, body = Linked)))]
pub(super) async fn finish_link(
    axum::extract::State(k): State,
    StrictPath(state): StrictPath<String>,
    StrictJson { value, .. }: StrictJson<Code>,
) -> Answer<Json<Linked>> {
    let link = link_of(&state)?;
    if value.code.is_empty() || value.code.len() > 2048 || !value.code.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Problem::new(422, "body_wrong_member", "a code has 1 to 2048 visible characters"));
    }
    let choose = k.finish_link(link, &value.code).await.map_err(problem)?;
    Ok(Json(Linked { done: true, choose }))
}

/// Cars of a linked account from which the owner chooses, sealed to the account key. Nothing is kept of them.
#[utoipa::path(get, path = "/v1/wallet/links/{link}/cars", params(("link" = String, Path)), security(("session" = [])),
    responses((status = 200, body = EnvelopeOut)))]
pub(super) async fn cars_to_choose(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(link): StrictPath<String>,
) -> Answer<Json<EnvelopeOut>> {
    Ok(Json(EnvelopeOut { envelope: k.cars_to_choose(wallet, link_of(&link)?).await.map_err(problem)? }))
}

/// Which of them take part.
#[utoipa::path(post, path = "/v1/wallet/links/{link}/choice", params(("link" = String, Path)), request_body = Choice,
    security(("session" = [])), responses((status = 200, body = Done)))]
pub(super) async fn choose(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(link): StrictPath<String>,
    StrictJson { value, .. }: StrictJson<Choice>,
) -> Answer<Json<Done>> {
    let link = link_of(&link)?;
    if !(1..=16).contains(&value.cars.len()) || value.cars.iter().any(|car| car.len() > 64) {
        return Err(Problem::new(422, "body_wrong_member", "choose 1 to 16 cars"));
    }
    again!(k.choose(wallet, link, &value.cars))?;
    Ok(Json(Done { done: true }))
}

/// Asks the maker anew what stands against a car.
#[utoipa::path(post, path = "/v1/wallet/vehicles/{vehicle}/look", params(("vehicle" = String, Path)),
    request_body = Nothing, security(("session" = [])), responses((status = 200, body = Done)))]
pub(super) async fn look_again(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(vehicle): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Done>> {
    k.look_again(wallet, vehicle_of(&vehicle)?).await.map_err(problem)?;
    Ok(Json(Done { done: true }))
}

/// The wallet's cars, sealed to its account key.
#[utoipa::path(get, path = "/v1/wallet/vehicles", security(("session" = [])), responses((status = 200, body = EnvelopeOut)))]
pub(super) async fn vehicles(axum::extract::State(k): State, Session(wallet): Session) -> Answer<Json<EnvelopeOut>> {
    Ok(Json(EnvelopeOut { envelope: k.vehicles_envelope(wallet).await.map_err(problem)? }))
}

/// What the owner agrees to where a maker cannot tell.
#[utoipa::path(post, path = "/v1/wallet/consents", request_body = Confirmed, responses((status = 200, body = Done)))]
pub(super) async fn consent(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<Confirmed>,
) -> Answer<Json<Done>> {
    let statement = stated(&k, &value).await.map_err(problem)?;
    again!(k.consent(&statement, &value.assertion))?;
    Ok(Json(Done { done: true }))
}

/// Plate and words by which a courier finds the car, sealed to the keyholder.
#[utoipa::path(post, path = "/v1/wallet/vehicles/{vehicle}/description", params(("vehicle" = String, Path)),
    request_body = Sealed, security(("session" = [])), responses((status = 200, body = Done)))]
pub(super) async fn describe(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(vehicle): StrictPath<String>,
    StrictJson { value, .. }: StrictJson<Sealed>,
) -> Answer<Json<Done>> {
    let vehicle = vehicle_of(&vehicle)?;
    again!(k.describe_vehicle(wallet, vehicle, &value.r#box))?;
    Ok(Json(Done { done: true }))
}

/// Forgets the car. With the last car of an account our permission at the maker is given back, and tried.
#[utoipa::path(post, path = "/v1/wallet/vehicles/{vehicle}/unlink", params(("vehicle" = String, Path)),
    request_body = Nothing, security(("session" = [])), responses((status = 200, body = Value)))]
pub(super) async fn unlink(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(vehicle): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Value>> {
    Ok(Json(k.unlink(wallet, vehicle_of(&vehicle)?, false).await.map_err(problem)?))
}

/// Begins a proof that the owner stands at the car.
#[utoipa::path(post, path = "/v1/wallet/vehicles/{vehicle}/possession", params(("vehicle" = String, Path)),
    request_body = Nothing, security(("session" = [])), responses((status = 200, body = Value)))]
pub(super) async fn begin_possession(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(vehicle): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Value>> {
    let vehicle = vehicle_of(&vehicle)?;
    Ok(Json(again!(k.begin_possession(wallet, vehicle))?))
}

/// Looks at the car's doors: which is next, or that possession is proved.
#[utoipa::path(post, path = "/v1/wallet/vehicles/{vehicle}/possession/check", params(("vehicle" = String, Path)),
    request_body = Nothing, security(("session" = [])), responses((status = 200, body = Value)))]
pub(super) async fn check_possession(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(vehicle): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Value>> {
    let vehicle = vehicle_of(&vehicle)?;
    Ok(Json(again!(k.check_possession(wallet, vehicle))?))
}

/// "I know who has linked this car after me": then it need not wait.
#[utoipa::path(post, path = "/v1/wallet/later-links", request_body = Confirmed, responses((status = 200, body = Done)))]
pub(super) async fn confirm_link(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<Confirmed>,
) -> Answer<Json<Done>> {
    let statement = stated(&k, &value).await.map_err(problem)?;
    again!(k.confirm_link(&statement))?;
    Ok(Json(Done { done: true }))
}

/// Refuses a wallet that has linked this car later: nothing of it finds or opens the car.
#[utoipa::path(post, path = "/v1/wallet/vehicles/{vehicle}/later-links/refuse", params(("vehicle" = String, Path)),
    request_body = LaterLink, security(("session" = [])), responses((status = 200, body = Done)))]
pub(super) async fn refuse_link(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(vehicle): StrictPath<String>,
    StrictJson { value, .. }: StrictJson<LaterLink>,
) -> Answer<Json<Done>> {
    let vehicle = vehicle_of(&vehicle)?;
    again!(k.refuse_link(wallet, vehicle, &value.link))?;
    Ok(Json(Done { done: true }))
}

/// Stops everything at this car or door, for all wallets that share it. Nothing opens from here on.
#[utoipa::path(post, path = "/v1/wallet/vehicles/{vehicle}/halt", params(("vehicle" = String, Path)),
    request_body = Nothing, security(("session" = [])), responses((status = 200, body = Value)))]
pub(super) async fn halt(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(vehicle): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Value>> {
    Ok(Json(k.halt(wallet, vehicle_of(&vehicle)?).await.map_err(problem)?))
}

/// Takes back what this wallet has stopped, and asks for the end of what others have: all are told, and it comes after 72 hours
/// in which whoever stopped says nothing.
#[utoipa::path(post, path = "/v1/wallet/halt-lifts", request_body = Confirmed, responses((status = 200, body = Value)))]
pub(super) async fn lift_halt(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<Confirmed>,
) -> Answer<Json<Value>> {
    let statement = stated(&k, &value).await.map_err(problem)?;
    Ok(Json(k.lift_halt(&statement).await.map_err(problem)?))
}

/// What this wallet has stopped stays so, although somebody asks for its end.
#[utoipa::path(post, path = "/v1/wallet/vehicles/{vehicle}/halt/keep", params(("vehicle" = String, Path)),
    request_body = Nothing, security(("session" = [])), responses((status = 200, body = Done)))]
pub(super) async fn keep_halted(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(vehicle): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Done>> {
    k.keep_halted(wallet, vehicle_of(&vehicle)?).await.map_err(problem)?;
    Ok(Json(Done { done: true }))
}

/// What happened at a car or door that several wallets share, sealed to this one's account key.
#[utoipa::path(get, path = "/v1/wallet/vehicles/{vehicle}/shared", params(("vehicle" = String, Path)),
    security(("session" = [])), responses((status = 200, body = EnvelopeOut)))]
pub(super) async fn shared(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(vehicle): StrictPath<String>,
) -> Answer<Json<EnvelopeOut>> {
    Ok(Json(EnvelopeOut { envelope: k.shared_envelope(wallet, vehicle_of(&vehicle)?).await.map_err(problem)? }))
}

/// The whole cells around where the car stands now, sealed to the wallet's account key: an area to allow.
#[utoipa::path(post, path = "/v1/wallet/vehicles/{vehicle}/area", params(("vehicle" = String, Path)),
    request_body = Nothing, security(("session" = [])), responses((status = 200, body = EnvelopeOut)))]
pub(super) async fn area(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(vehicle): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<EnvelopeOut>> {
    let vehicle = vehicle_of(&vehicle)?;
    Ok(Json(EnvelopeOut { envelope: again!(k.area_envelope(wallet, vehicle))? }))
}

/// The pseudonym of this wallet's cars towards one carrier.
#[utoipa::path(post, path = "/v1/wallet/access-points", request_body = ForCarrier, security(("session" = [])),
    responses((status = 200, body = AccessPointOut)))]
pub(super) async fn access_point(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictJson { value, .. }: StrictJson<ForCarrier>,
) -> Answer<Json<AccessPointOut>> {
    let carrier = thumb_of(&value.carrier)?;
    let access_point = k.access_point(wallet, carrier).map_err(problem)?.to_string();
    Ok(Json(AccessPointOut { access_point }))
}

/// Hands in a grant; the same one again gets the same answer.
#[utoipa::path(post, path = "/v1/grants", request_body = HandedGrant, security(("session" = [])),
    responses((status = 201, body = AcceptedOut)))]
pub(super) async fn grant(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictJson { value, .. }: StrictJson<HandedGrant>,
) -> Answer<(StatusCode, Json<AcceptedOut>)> {
    let accepted = again!(k.accept(wallet, &handed(&value)))?;
    Ok((StatusCode::CREATED, Json(AcceptedOut { accepted: Some(accepted), standing: false })))
}
pub(super) fn handed(value: &HandedGrant) -> Handed<'_> {
    Handed {
        request: value.request.as_deref(),
        carrier_cert: value.carrier_cert.as_deref(),
        delegation_cert: value.delegation_cert.as_deref(),
        grant: &value.grant,
        assertion: &value.assertion,
        seal_key: &value.seal_key,
        rule_box: &value.rule_box,
    }
}

fn scope_of(what: &What) -> Answer<Covered> {
    let code = match what.scope {
        ScopeWord::Delivery => "delivery",
        ScopeWord::Carrier => "carrier",
        ScopeWord::Courier => "courier",
        ScopeWord::All => "all",
    };
    Covered::parse(code, what.id.as_deref())
        .ok_or_else(|| Problem::new(422, "body_wrong_member", "the id does not fit the scope"))
}

/// Stops at once: nothing opens from here on.
#[utoipa::path(post, path = "/v1/wallet/blocks", request_body = What, security(("session" = [])),
    responses((status = 200, body = Value)))]
pub(super) async fn block(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictJson { value, .. }: StrictJson<What>,
) -> Answer<Json<Value>> {
    Ok(Json(k.block(wallet, &scope_of(&value)?).await.map_err(problem)?))
}

/// Lifts a block for what is asked from now on.
#[utoipa::path(post, path = "/v1/wallet/unblocks", request_body = Confirmed, responses((status = 200, body = Done)))]
pub(super) async fn unblock(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<Confirmed>,
) -> Answer<Json<Done>> {
    let statement = stated(&k, &value).await.map_err(problem)?;
    k.unblock(&statement).await.map_err(problem)?;
    Ok(Json(Done { done: true }))
}

/// Pauses everything until a time that the passkey has confirmed, or ends an earlier pause.
#[utoipa::path(post, path = "/v1/wallet/pauses", request_body = Confirmed, responses((status = 200, body = Value)))]
pub(super) async fn pause(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<Confirmed>,
) -> Answer<Json<Value>> {
    let statement = stated(&k, &value).await.map_err(problem)?;
    Ok(Json(k.pause(&statement).await.map_err(problem)?))
}

/// The newest deliveries of the wallet and what is blocked, sealed to its account key.
#[utoipa::path(get, path = "/v1/wallet/deliveries", security(("session" = [])),
    responses((status = 200, body = EnvelopeOut)))]
pub(super) async fn deliveries(axum::extract::State(k): State, Session(wallet): Session) -> Answer<Json<EnvelopeOut>> {
    k.looked(wallet).await;
    Ok(Json(EnvelopeOut { envelope: k.deliveries_envelope(wallet).await.map_err(problem)? }))
}

/// One delivery with the very bytes that were asked for and signed, sealed to the account key.
#[utoipa::path(get, path = "/v1/wallet/deliveries/{delivery}", params(("delivery" = String, Path)),
    security(("session" = [])), responses((status = 200, body = EnvelopeOut)))]
pub(super) async fn delivery(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(delivery): StrictPath<String>,
) -> Answer<Json<EnvelopeOut>> {
    k.looked(wallet).await;
    let envelope = k.delivery_envelope(wallet, delivery_of(&delivery)?).await.map_err(problem)?;
    Ok(Json(EnvelopeOut { envelope }))
}

/// What happened, sealed to the owner.
#[utoipa::path(get, path = "/v1/wallet/deliveries/{delivery}/timeline", params(("delivery" = String, Path)),
    security(("session" = [])), responses((status = 200, body = EnvelopeOut)))]
pub(super) async fn timeline(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(delivery): StrictPath<String>,
) -> Answer<Json<EnvelopeOut>> {
    k.looked(wallet).await;
    let envelope = k.timeline(wallet, delivery_of(&delivery)?).await.map_err(problem)?;
    Ok(Json(EnvelopeOut { envelope }))
}

/// The case bundle, sealed to the owner; `bundle_not_ready` until a checkpoint covers its records.
#[utoipa::path(get, path = "/v1/wallet/deliveries/{delivery}/bundle", params(("delivery" = String, Path)),
    security(("session" = [])), responses((status = 200, body = EnvelopeOut)))]
pub(super) async fn bundle(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(delivery): StrictPath<String>,
) -> Answer<Json<EnvelopeOut>> {
    let envelope = k.bundle_envelope(wallet, delivery_of(&delivery)?).await.map_err(problem)?;
    Ok(Json(EnvelopeOut { envelope }))
}

/// One picture of a recording, sealed to the owner. How many there are of which attempt stands in the timeline; they are numbered
/// from 0.
#[utoipa::path(get, path = "/v1/wallet/deliveries/{delivery}/recordings/{attempt}/{number}",
    params(("delivery" = String, Path), ("attempt" = String, Path), ("number" = u32, Path)),
    security(("session" = [])), responses((status = 200, body = EnvelopeOut)))]
pub(super) async fn picture(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath((delivery, attempt, number)): StrictPath<(String, String, u32)>,
) -> Answer<Json<EnvelopeOut>> {
    let attempt = AttemptId::parse(&attempt).map_err(|_| crate::attempts::no_attempt())?;
    let envelope = k.recorded_picture(wallet, delivery_of(&delivery)?, attempt, number).await.map_err(problem)?;
    Ok(Json(EnvelopeOut { envelope }))
}

/// Locks now.
#[utoipa::path(post, path = "/v1/wallet/deliveries/{delivery}/lock", params(("delivery" = String, Path)),
    request_body = Nothing, security(("session" = [])), responses((status = 202, body = Value)))]
pub(super) async fn lock(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(delivery): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<(StatusCode, Json<Value>)> {
    let seen = k.lock_for_owner(wallet, delivery_of(&delivery)?).await.map_err(problem)?;
    Ok((StatusCode::ACCEPTED, Json(seen)))
}

/// The owner has seen the alarm.
#[utoipa::path(post, path = "/v1/wallet/deliveries/{delivery}/acknowledge", params(("delivery" = String, Path)),
    request_body = Nothing, security(("session" = [])), responses((status = 200, body = Value)))]
pub(super) async fn acknowledge(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(delivery): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Value>> {
    Ok(Json(k.acknowledge(wallet, delivery_of(&delivery)?).await.map_err(problem)?))
}

/// Keeps a delivery from being erased, whatever its deadline says.
#[utoipa::path(post, path = "/v1/wallet/deliveries/{delivery}/hold", params(("delivery" = String, Path)),
    request_body = Nothing, security(("session" = [])), responses((status = 200, body = Done)))]
pub(super) async fn hold(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(delivery): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer<Json<Done>> {
    let delivery = delivery_of(&delivery)?;
    again!(k.hold(wallet, delivery))?;
    Ok(Json(Done { done: true }))
}

/// Takes the owner's own hold off.
#[utoipa::path(post, path = "/v1/wallet/hold-lifts", request_body = Confirmed, responses((status = 200, body = Done)))]
pub(super) async fn lift_hold(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<Confirmed>,
) -> Answer<Json<Done>> {
    let statement = stated(&k, &value).await.map_err(problem)?;
    again!(k.lift_hold(&statement))?;
    Ok(Json(Done { done: true }))
}

/// Erases a delivery, or the wallet with everything: for good, and in every backup.
#[utoipa::path(post, path = "/v1/wallet/erasures", request_body = Confirmed, responses((status = 200, body = Value)))]
pub(super) async fn erase(
    axum::extract::State(k): State,
    StrictJson { value, .. }: StrictJson<Confirmed>,
) -> Answer<Json<Value>> {
    let statement = stated(&k, &value).await.map_err(problem)?;
    Ok(Json(k.erase(&statement).await.map_err(problem)?))
}

/// What is kept of the wallet, sealed to the owner, and the ids of its deliveries, which are exported one by one.
#[utoipa::path(get, path = "/v1/wallet/export", security(("session" = [])), responses((status = 200, body = Value)))]
pub(super) async fn export_wallet(axum::extract::State(k): State, Session(wallet): Session) -> Answer<Json<Value>> {
    Ok(Json(k.export_wallet(wallet).await.map_err(problem)?))
}

/// Everything that is kept of one delivery, sealed to the owner.
#[utoipa::path(get, path = "/v1/wallet/deliveries/{delivery}/export", params(("delivery" = String, Path)),
    security(("session" = [])), responses((status = 200, body = EnvelopeOut)))]
pub(super) async fn export_delivery(
    axum::extract::State(k): State,
    Session(wallet): Session,
    StrictPath(delivery): StrictPath<String>,
) -> Answer<Json<EnvelopeOut>> {
    let envelope = k.export_delivery(wallet, delivery_of(&delivery)?).await.map_err(problem)?;
    Ok(Json(EnvelopeOut { envelope }))
}
