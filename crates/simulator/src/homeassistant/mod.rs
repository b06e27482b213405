//! A household's Home Assistant as a real HTTP server, as far as its garage doors, gates and front doors go: login, states,
//! services, stills of cameras, and the doors behind it.
//!
//! What it is: the paths, words and traps of the real one (a wrong entity is 200 and an empty list, `unavailable` swallows
//! commands, changes of a call carry its context id for five seconds only, a wrong token is 401 in plain text), and doors with
//! a drive that warns, travels, yields and breaks ([`drive`]), and front doors with a bolt, a sensor, a light and a camera that
//! sees it ([`front`]). What it is not: nothing of the product knows it, and it holds no automations; what a run is judged by is
//! its record of the doors.
//!
//! The three things to know: [`WorldFile`] (which doors, which people), [`Home::run`](cloud::Cloud::run), and `GET /__sim/help`.

mod api;
mod auth;
mod control;
pub mod drive;
mod fault;
pub mod front;
mod line;
mod staged;
mod world;

use axum::Router;
use axum::routing::{get, post};
use parcelshelf_core::time::{Entropy, Timestamp};

use crate::cloud;

pub use front::FrontFile;
pub use staged::Fronts;
pub use world::{BadWorld, DoorFile, Latency, PersonFile, WORLD_BYTES_MAX, WorldFile};

/// A simulated server of a household.
pub type Home = cloud::Cloud<world::World>;
pub type Running = cloud::Running<world::World>;

impl cloud::World for world::World {
    type File = WorldFile;
    type Bad = BadWorld;

    fn made(file: WorldFile, now: Timestamp) -> Result<Self, BadWorld> {
        Self::build(file, now)
    }
    fn routes() -> Router<Home> {
        Router::new()
            .route("/auth/authorize", get(auth::authorize))
            .route("/auth/token", post(auth::token))
            .route("/auth/revoke", post(auth::revoke))
            .route("/api/", get(api::hello))
            .route("/api/config", get(api::config))
            .route("/api/template", post(api::template))
            .route("/api/states/{entity}", get(api::state))
            .route("/api/camera_proxy/{entity}", get(api::still))
            .route("/api/services/{domain}/{service}", post(api::service))
            .merge(control::routes())
    }
    fn passed(&mut self, now: Timestamp, entropy: &dyn Entropy) {
        self.live(now, entropy);
    }
}
