//! The carrier's interface: merchants post, dispatch loads, couriers go.

mod auth;
pub(crate) mod bodies;
mod courier;
mod ops;
mod routes;
pub(crate) mod sites;
mod staff;

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use parcelshelf_edge::pages::hardened;
use parcelshelf_edge::problem::Problem;
use parcelshelf_edge::serve::with_basics;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Carrier;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Parcelshelf carrier",
        description = "Shipments, couriers, legs and outcomes. Every POST takes an Idempotency-Key: repeat a request with \
                       the same key when no answer came, and it will not happen twice."
    ),
    modifiers(&Security),
    components(schemas(parcelshelf_edge::problem::ProblemSchema))
)]
struct Doc;

struct Security;
impl utoipa::Modify for Security {
    fn modify(&self, document: &mut OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let about = "a merchant's or dispatch's key of the configuration, or a courier's code. Pages of the courier's and \
                     operations' hosts send a session's cookie instead, with parcelshelf-session: cookie";
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build();
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("key", SecurityScheme::Http(bearer));
    }
}

fn all() -> OpenApiRouter<Arc<Carrier>> {
    OpenApiRouter::with_openapi(Doc::openapi())
        .routes(routes!(routes::ship))
        .routes(routes!(routes::shipment))
        .routes(routes!(routes::deliveries))
        .routes(routes!(routes::delivery))
        .routes(routes!(routes::journal))
        .routes(routes!(routes::hire))
        .routes(routes!(routes::assign_device))
        .routes(routes!(routes::load))
        .routes(routes!(routes::unload))
        .routes(routes!(routes::leg))
        .routes(routes!(routes::arrived))
        .routes(routes!(routes::outcome))
        .routes(routes!(routes::finish))
        .routes(routes!(routes::cancel))
        .routes(routes!(routes::fallback_done))
        .routes(routes!(routes::well_known))
        .routes(routes!(courier::begin))
        .routes(routes!(courier::end))
        .routes(routes!(courier::shift))
        .routes(routes!(courier::route))
        .routes(routes!(courier::plan))
        .routes(routes!(courier::door))
        .routes(routes!(courier::new_code))
        .routes(routes!(staff::invite))
        .routes(routes!(staff::challenge))
        .routes(routes!(staff::register))
        .routes(routes!(staff::begin))
        .routes(routes!(staff::me))
        .routes(routes!(staff::list))
        .routes(routes!(staff::remove))
        .routes(routes!(ops::board))
        .routes(routes!(ops::acknowledge))
        .routes(routes!(ops::reassign))
        .routes(routes!(ops::recipient))
        .routes(routes!(ops::looks))
        .routes(routes!(ops::hold))
}

/// The interface as a document.
#[must_use]
pub fn openapi() -> OpenApi {
    all().split_for_parts().1
}

pub(crate) fn router(carrier: Arc<Carrier>) -> Router {
    let (router, document) = all().split_for_parts();
    let host = carrier.host.clone();
    let router = router.route("/readyz", axum::routing::get(ready));
    let sites = Arc::clone(&carrier);
    with_basics(router, &host, document.to_json().unwrap_or_default())
        .with_state(carrier)
        .layer(axum::middleware::map_response(async |response: Response| hardened(response)))
        .layer(axum::middleware::from_fn_with_state(sites, sites::look_at_host))
}

async fn ready(axum::extract::State(c): axum::extract::State<Arc<Carrier>>) -> Result<&'static str, Problem> {
    if c.is_ready().await {
        Ok("ready\n")
    } else {
        Err(Problem::unavailable("not_ready", "the store does not answer", 2))
    }
}
