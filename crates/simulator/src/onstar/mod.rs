//! OnStar's cloud (Chevrolet, Buick, GMC, Cadillac) as a real HTTP server: the customers' login, the exchange of tokens,
//! the garage, commands of two generations with request URLs, positions on demand, and the cars behind it.
//!
//! What it is: the shapes that independent clients of the real cloud know, close enough that they work against it; behind it
//! cars that behave physically ([`car`]) and fail on demand ([`fault`]). What it is not: a description by the maker, who
//! publishes none; nothing of the product knows it; what a run is judged by is its [`record`], not the product's counters.
//!
//! The three things to know: [`WorldFile`] (who and what exists), [`Cloud::run`](cloud::Cloud::run) or [`Running::start`](cloud::Running::start), and `GET /__sim/help`.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use parcelshelf_simulator::onstar::{Running, WorldFile};
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
mod garage;
mod identity;
mod login;
mod pages;
pub mod record;
mod staged;
mod world;

use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get};
use parcelshelf_core::time::Timestamp;

use crate::cloud;

pub use file::{
    BadWorld, CarFile, ClientFile, DEMO_CLIENT_ID, DEMO_OWNER, FaultFile, Latency, Limits, Make, OwnerFile,
    WORLD_BYTES_MAX, WorldFile, vin_of,
};
pub use login::{EXCHANGE_PATH, LOGIN_PATH};

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
            .merge(control::routes())
            // Everything else is the maker's: the login's paths come in any letter case, unknown ones are empty errors.
            .fallback(any(api::handle))
    }
}

async fn root(State(cloud): State<Cloud>) -> Response {
    Html(pages::root(&cloud.world(), &cloud.origin)).into_response()
}
