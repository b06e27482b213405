//! Tesla's cloud as a real HTTP server: OAuth, the Fleet API of one region, plain and signed commands, and the cars behind it.
//!
//! What it is: shapes, errors, quotas and the signed-command protocol as published, close enough that a client package written
//! by strangers works against it; behind it cars that behave physically ([`car`]), check every signature, counter, epoch and
//! expiry, and fail on demand ([`fault`]). What it is not: nothing of the product knows it; what a run is judged by is its
//! [`record`], not the product's own counters.
//!
//! The three things to know: [`WorldFile`] (who and what exists), [`Cloud::run`](cloud::Cloud::run) or [`Running::start`](cloud::Running::start), and `GET /__sim/help`.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use parcelshelf_simulator::tesla::{Running, WorldFile};
//! let cloud = Running::start(WorldFile::demo()).await.unwrap();
//! let help = reqwest::get(format!("{}/__sim/help", cloud.base())).await.unwrap().text().await.unwrap();
//! assert!(help.contains("open_trunk"));
//! # });
//! ```

mod api;
pub mod car;
mod control;
pub mod fault;
mod file;
mod identity;
mod oauth;
mod pages;
pub mod record;
pub mod signed;
mod staged;
mod world;

use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use parcelshelf_core::time::Timestamp;

use crate::cloud;

pub use file::{
    BadWorld, CarFile, ClientFile, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_COMMAND_KEY, DEMO_OWNER, FaultFile,
    Latency, Limits, OwnerFile, WORLD_BYTES_MAX, WorldFile, vin_of,
};

pub type Cloud = cloud::Cloud<world::World>;
pub type Running = cloud::Running<world::World>;

impl cloud::World for world::World {
    type File = WorldFile;
    type Bad = BadWorld;

    fn made(file: WorldFile, now: Timestamp) -> Result<Self, BadWorld> {
        Self::build(file, now)
    }
    fn routes() -> Router<Cloud> {
        Router::new()
            .route("/", get(root))
            .route("/oauth2/v3/authorize", get(oauth::authorize))
            .route("/oauth2/v3/token", post(oauth::token))
            .merge(control::routes())
            // Everything else is the maker's API, unknown paths included: its errors are JSON too.
            .fallback(any(api::handle))
    }
}

async fn root(State(cloud): State<Cloud>) -> Response {
    Html(pages::root(&cloud.world(), &cloud.origin)).into_response()
}
