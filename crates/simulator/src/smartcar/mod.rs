//! Smartcar's cloud as a real HTTP server: consent, tokens, vehicle API v2.0, what is known of v3, and the cars behind it.
//!
//! What it is: shapes, permissions, freshness headers, token lifetimes and errors as published, close enough that client
//! packages written by strangers work against it; behind it cars that behave physically ([`car`]) and fail on demand
//! ([`fault`]). What it is not: nothing of the product knows it; what a run is judged by is its [`record`], not the product's
//! own counters.
//!
//! The three things to know: [`WorldFile`] (who and what exists), [`Cloud::run`](cloud::Cloud::run) or [`Running::start`](cloud::Running::start), and `GET /__sim/help`.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use parcelshelf_simulator::smartcar::{Running, WorldFile};
//! let cloud = Running::start(WorldFile::demo()).await.unwrap();
//! let help = reqwest::get(format!("{}/__sim/help", cloud.base())).await.unwrap().text().await.unwrap();
//! assert!(help.contains("open_tailgate"));
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
mod staged;
mod world;

use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use parcelshelf_core::time::Timestamp;

use crate::cloud;

pub use file::{
    BadWorld, CarFile, ClientFile, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_OWNER, FaultFile, Latency, Limits,
    OwnerFile, StorageTold, WORLD_BYTES_MAX, WorldFile, vin_of,
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
            .route("/oauth/authorize", get(oauth::authorize))
            .route("/oauth/token", post(oauth::token))
            .merge(control::routes())
            // Everything else is the vendor's API, unknown paths included: its errors are JSON too.
            .fallback(any(api::handle))
    }
}

async fn root(State(cloud): State<Cloud>) -> Response {
    Html(pages::root(&cloud.world(), &cloud.origin)).into_response()
}
