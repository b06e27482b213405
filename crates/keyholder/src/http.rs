//! The keyholder's interface, spoken over its Unix socket by the front alone.
//!
//! The front adds two headers and strips them from clients: `parcelshelf-wallet` (who is logged in, for routes that need
//! a session) and `parcelshelf-forwarded-url` (the address the client used, which proofs and calls sign).

pub(crate) mod bodies;
mod carriers;
mod door_signs;
mod guests;
mod log;
mod occupants;
mod owners;
mod rules;
mod stops;
mod waking;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::Response;
use parcelshelf_core::id::WalletId;
use parcelshelf_core::reason::Action;
use parcelshelf_edge::problem::Problem;
use parcelshelf_edge::serve::with_basics;
use parcelshelf_protocol::encoding::{Hash, Thumbprint};
use parcelshelf_protocol::nonce::Bound;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Keyholder;
use crate::failure::Failure;

type State = axum::extract::State<Arc<Keyholder>>;
type Answer<T> = Result<T, Problem>;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Parcelshelf keyholder", description = "What wallets, stop pages and carriers ask of the last hop."),
    components(schemas(parcelshelf_edge::problem::ProblemSchema))
)]
struct Doc;

fn routes() -> OpenApiRouter<Arc<Keyholder>> {
    OpenApiRouter::with_openapi(Doc::openapi())
        .routes(routes!(owners::keys))
        .routes(routes!(owners::challenge))
        .routes(routes!(owners::create_wallet))
        .routes(routes!(owners::makers))
        .routes(routes!(owners::begin_link))
        .routes(routes!(owners::finish_link))
        .routes(routes!(owners::cars_to_choose))
        .routes(routes!(owners::choose))
        .routes(routes!(owners::look_again))
        .routes(routes!(owners::vehicles))
        .routes(routes!(owners::consent))
        .routes(routes!(owners::describe))
        .routes(routes!(owners::unlink))
        .routes(routes!(owners::begin_possession))
        .routes(routes!(owners::check_possession))
        .routes(routes!(owners::confirm_link))
        .routes(routes!(owners::refuse_link))
        .routes(routes!(owners::halt))
        .routes(routes!(owners::keep_halted))
        .routes(routes!(owners::lift_halt))
        .routes(routes!(owners::shared))
        .routes(routes!(owners::area))
        .routes(routes!(owners::access_point))
        .routes(routes!(owners::grant))
        .routes(routes!(rules::make_rule))
        .routes(routes!(rules::rules))
        .routes(routes!(rules::end_rule))
        .routes(routes!(rules::announce))
        .routes(routes!(guests::invite, guests::guests))
        .routes(routes!(guests::withdraw))
        .routes(routes!(guests::answer))
        .routes(routes!(guests::invitation))
        .routes(routes!(guests::visit))
        .routes(routes!(door_signs::put_up))
        .routes(routes!(door_signs::take_down))
        .routes(routes!(door_signs::knock))
        .routes(routes!(owners::block))
        .routes(routes!(owners::unblock))
        .routes(routes!(owners::pause))
        .routes(routes!(owners::deliveries))
        .routes(routes!(owners::delivery))
        .routes(routes!(owners::timeline))
        .routes(routes!(owners::bundle))
        .routes(routes!(owners::picture))
        .routes(routes!(owners::lock))
        .routes(routes!(owners::acknowledge))
        .routes(routes!(owners::hold))
        .routes(routes!(owners::lift_hold))
        .routes(routes!(owners::erase))
        .routes(routes!(owners::export_wallet))
        .routes(routes!(owners::export_delivery))
        .routes(routes!(carriers::admit))
        .routes(routes!(carriers::carrier))
        .routes(routes!(carriers::health))
        .routes(routes!(carriers::order))
        .routes(routes!(carriers::enrol))
        .routes(routes!(carriers::changes))
        .routes(routes!(carriers::accepted))
        .routes(routes!(carriers::delegate))
        .routes(routes!(carriers::status))
        .routes(routes!(carriers::ready))
        .routes(routes!(stops::nonce))
        .routes(routes!(stops::locate))
        .routes(routes!(stops::describe))
        .routes(routes!(stops::open))
        .routes(routes!(stops::signal))
        .routes(routes!(stops::lock))
        .routes(routes!(stops::close))
        .routes(routes!(stops::attempt))
        .routes(routes!(occupants::begin))
        .routes(routes!(occupants::check))
        .routes(routes!(occupants::stop))
        .routes(routes!(occupants::lift))
        .routes(routes!(log::checkpoint))
        .routes(routes!(log::tile))
        .routes(routes!(log::pages))
}

/// The interface as a document.
#[must_use]
pub fn openapi() -> OpenApi {
    routes().split_for_parts().1
}

pub(crate) fn router(keyholder: Arc<Keyholder>) -> Router {
    let (router, document) = routes().split_for_parts();
    let host = keyholder.host.clone();
    let text = document.to_json().unwrap_or_default();
    let router = router
        .route("/readyz", axum::routing::get(ready))
        .route("/held/{delivery}", axum::routing::get(held))
        .route("/waking", axum::routing::get(waking::to_wake).post(waking::said_of));
    let router = router.layer(middleware::from_fn_with_state(Arc::clone(&keyholder), with_next_nonce));
    with_basics(router, &host, text).with_state(keyholder)
}

/// For which proof a client wants its next nonce: `ACT.DEVICE.ATH`, as [`stops::nonce`] is asked.
const NEXT: HeaderName = HeaderName::from_static("parcelshelf-next");
/// The next nonce (RFC 9449, 8.2).
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Any answer brings the next nonce, made when it leaves, for whoever says what it will be for: a question less at every
/// step of a stop. A wish that cannot be read brings none; nobody is refused a lock because of it.
async fn with_next_nonce(axum::extract::State(k): State, request: Request, next: Next) -> Response {
    let wish = request.headers().get(NEXT).and_then(|w| w.to_str().ok()).and_then(wished);
    let mut response = next.run(request).await;
    if let Some(Bound { device, ath, act }) = wish
        && let Ok(nonce) = HeaderValue::from_str(&k.nonce_for(device, ath, act))
    {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    response
}
fn wished(text: &str) -> Option<Bound> {
    let mut parts = text.splitn(3, '.');
    let (act, device, ath) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Bound { device: Thumbprint::parse(device)?, ath: Hash::parse(ath)?, act: Action::parse(act)? })
}

/// Ready when the store answers.
async fn ready(axum::extract::State(k): State) -> Answer<&'static str> {
    k.published_keys().await.map_err(problem)?;
    Ok("ready\n")
}

/// For the front, which forgets photos by a deadline of its own; not in the document, so that nobody is let through to it.
async fn held(
    axum::extract::State(k): State,
    axum::extract::Path(delivery): axum::extract::Path<String>,
) -> Answer<axum::Json<serde_json::Value>> {
    let delivery = parcelshelf_core::id::DeliveryId::parse(&delivery);
    let delivery = delivery.map_err(|_| Problem::new(404, "delivery_unknown", "there is no such delivery"))?;
    Ok(axum::Json(serde_json::json!({"held": k.is_held(delivery).await.map_err(problem)?})))
}

/// Conflicts that reach here were between two requests of the same person: trying again is right.
fn problem(failure: Failure) -> Problem {
    match failure {
        Failure::Problem(problem) => problem,
        Failure::Conflict => Problem::unavailable("busy", "too many at once here", 1),
    }
}

/// Who is logged in, as the front says.
struct Session(WalletId);
impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let wallet = header(parts, "parcelshelf-wallet").and_then(|w| WalletId::parse(w).ok());
        wallet.map(Self).ok_or_else(|| Problem::new(401, "session_missing", "log in first"))
    }
}

/// The address that the client used.
struct PublicUrl(String);
impl<S: Send + Sync> FromRequestParts<S> for PublicUrl {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let url = header(parts, "parcelshelf-forwarded-url").filter(|u| u.len() <= 512);
        url.map(|u| Self(u.to_owned()))
            .ok_or_else(|| Problem::new(400, "forwarded_url_missing", "only the front may speak to this socket"))
    }
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_for_a_nonce_has_one_form() {
        let (device, ath) = (Thumbprint::from_bytes([1; 32]), Hash::from_bytes([2; 32]));
        let good = format!("open.{device}.{ath}");
        assert_eq!(wished(&good), Some(Bound { device, ath, act: Action::Open }));
        let bad = ["", "open", &good[1..]].map(str::to_owned).into_iter();
        for bad in bad.chain([format!("{good}."), format!("{good}.open"), good.replace('.', " ")]) {
            assert_eq!(wished(&bad), None, "{bad}");
        }
    }
}
