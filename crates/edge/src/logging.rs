//! Logs: JSON lines without personal data. Routes appear as templates, never with their parameters.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::clock::Stopwatch;

/// Crates of others: their logs may hold what they carry, so they are capped here and not in configuration.
const FOREIGN_MAX: LevelFilter = LevelFilter::WARN;

/// Starts logging to standard error. `level` is for our own crates: `error`, `warn`, `info`, `debug`, `trace`.
pub fn init(level: &str) {
    let own: LevelFilter = level.parse().unwrap_or(LevelFilter::INFO);
    let filter = Targets::new().with_default(FOREIGN_MAX.min(own)).with_target("parcelshelf", own);
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

/// Logs each request by its template, method, status and duration.
pub async fn request(request: Request, next: Next) -> Response {
    let template = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let watch = Stopwatch::start();
    let response = next.run(request).await;
    let (status, ms) = (response.status().as_u16(), watch.elapsed_ms());
    metrics::counter!("http_requests_total", "route" => template.clone(), "status" => status.to_string()).increment(1);
    tracing::info!(route = template, %method, status, ms, "request");
    response
}
