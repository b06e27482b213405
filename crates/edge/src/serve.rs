//! Serving a router over TCP or a Unix socket, and stopping without dropping what is under way.

use std::any::Any;
use std::future::{Future, IntoFuture as _};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use parcelshelf_core::time::within;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

use crate::Host;
use crate::problem::{self, Problem};

/// Requests under way when a stop is asked for have this long.
const DRAIN: Duration = Duration::from_secs(30);
/// Long polls wait 20 s, makers' calls 30 s; nothing takes longer.
const REQUEST_MAX: Duration = Duration::from_secs(45);

/// Where to listen.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// # Errors
    /// When the address is taken.
    pub async fn tcp(address: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((Self::Tcp(listener), bound))
    }
    /// A socket that only its owner can reach. A left-over of a killed process is replaced.
    ///
    /// # Errors
    /// When the path cannot be bound.
    pub fn unix(path: &Path) -> io::Result<Self> {
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(Self::Unix(listener))
    }
}

/// Adds what every service answers: health, readiness, metrics, problem pages, problems for unknown routes and wrong
/// methods, panics as problems, time limits, the server's time.
pub fn with_basics<S: Clone + Send + Sync + 'static>(router: Router<S>, host: &Host, openapi: String) -> Router<S> {
    let clock = host.clone();
    router
        .route("/healthz", get(async || "ok\n"))
        .route("/metrics", get(async || metrics_text()))
        .route("/openapi.json", get(async move || ([("content-type", "application/json")], openapi)))
        .route("/problems/{code}", get(problem::page))
        .fallback(async || Problem::new(404, "not_found", "there is no such route"))
        .method_not_allowed_fallback(async || Problem::new(405, "method_not_allowed", "this route has other methods"))
        .layer(axum::middleware::from_fn(finished))
        .layer(axum::middleware::from_fn(crate::logging::request))
        .layer(axum::middleware::from_fn_with_state(host.clone(), limited))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(axum::middleware::map_response(move |mut response: Response| {
            let now = clock.now().to_rfc3339();
            async move {
                if let Ok(value) = HeaderValue::from_str(&now) {
                    response.headers_mut().insert("server-time", value);
                }
                response.headers_mut().entry("cache-control").or_insert(HeaderValue::from_static("no-store"));
                response
            }
        }))
}

/// What has begun is finished, whoever still listens: a phone that loses the net after its request was committed must not
/// keep what follows the commit from happening.
async fn finished(request: Request, next: Next) -> Response {
    // Reading begins nothing.
    if request.method().is_safe() {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        // As if it had panicked here: the layers above make a problem of it.
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Problem::new(503, "stopping", "the service is stopping; ask again").into_response(),
        },
    }
}

/// Nothing is answered later than [`REQUEST_MAX`].
async fn limited(State(host): State<Host>, request: Request, next: Next) -> Response {
    let answered = within(&*host.clock, REQUEST_MAX, next.run(request)).await;
    answered.unwrap_or_else(|| StatusCode::GATEWAY_TIMEOUT.into_response())
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    metrics::counter!("panics_total").increment(1);
    Problem::new(500, "internal", "something broke on our side; it is recorded").into_response()
}

fn recorder() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        PrometheusBuilder::new()
            .install_recorder()
            .unwrap_or_else(|_| PrometheusBuilder::new().build_recorder().handle())
    })
}

/// Starts counting. Called once by each process.
pub fn start_metrics() {
    recorder();
}

fn metrics_text() -> String {
    recorder().render()
}

/// Serves until `stop` says true, then drains for at most 30 s.
///
/// # Errors
/// When accepting fails for good.
pub async fn serve(listener: Listener, router: Router, host: &Host, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    let mut drain = stop.clone();
    let stopped = async move {
        let _ = stop.wait_for(|s| *s).await;
    };
    let serving: std::pin::Pin<Box<dyn Future<Output = io::Result<()>> + Send>> = match listener {
        // Answers are small and awaited: nothing is gained by holding the last segment back.
        Listener::Tcp(l) => {
            let l = l.tap_io(|connection| {
                let _ = connection.set_nodelay(true);
            });
            Box::pin(axum::serve(l, router).with_graceful_shutdown(stopped).into_future())
        }
        Listener::Unix(l) => Box::pin(axum::serve(l, router).with_graceful_shutdown(stopped).into_future()),
    };
    tokio::select! {
        done = serving => done,
        () = async { let _ = drain.wait_for(|s| *s).await; host.sleep(DRAIN).await } => Ok(()),
    }
}

/// Becomes true on SIGTERM or Ctrl-C.
///
/// # Errors
/// When signals cannot be listened to.
pub fn stop_signal() -> io::Result<watch::Receiver<bool>> {
    let (tell, told) = watch::channel(false);
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
        let _ = tell.send(true);
    });
    Ok(told)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::body::Body;
    use tokio::sync::Notify;
    use tower::ServiceExt as _;

    use super::*;

    fn get_request(path: &str) -> Request {
        Request::builder().uri(path).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn a_request_that_has_begun_is_finished_though_nobody_listens_any_more() {
        let (go_on, done) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let (wait, mark) = (Arc::clone(&go_on), Arc::clone(&done));
        let handler = async move || {
            wait.notified().await;
            mark.store(true, Ordering::SeqCst);
        };
        let router: Router =
            with_basics(Router::new().route("/slow", axum::routing::post(handler)), &Host::system(), String::new());
        let asked = tokio::spawn(router.oneshot(Request::post("/slow").body(Body::empty()).unwrap()));
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        asked.abort();
        let _ = asked.await;
        go_on.notify_one();
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
        assert!(done.load(Ordering::SeqCst), "the handler was dropped with its listener");
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_and_nothing_more() {
        async fn broken() {
            panic!("a planted panic");
        }
        let router: Router = with_basics(Router::new().route("/broken", get(broken)), &Host::system(), String::new());
        let response = router.oneshot(get_request("/broken")).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
