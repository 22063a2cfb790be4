//! Logs: a line for every request, with neither texts nor keys nor addresses.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::Response,
};
use tracing::level_filters::LevelFilter;

use super::{
    api::Api,
    service::{RequestInfo, Service},
};

/// Writes logs to standard error, as lines for people or as JSON.
pub(crate) fn start(level: LevelFilter, json: bool) {
    let logs = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    // A second subscriber in one process, which only a test could have, is no reason to fail.
    let _ = if json {
        tracing::subscriber::set_global_default(logs.json().flatten_event(true).finish())
    } else {
        tracing::subscriber::set_global_default(logs.finish())
    };
}

/// Logs and counts every request, those whose client has gone too.
pub(super) async fn observe(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    let mut observed = Observed {
        // Not the path itself, nor the query: they may hold anything.
        route: request.extensions().get::<MatchedPath>().cloned(),
        api: Api::of(request.uri().path()),
        method: request.method().clone(),
        started: Instant::now(),
        service,
        answered: false,
    };
    let response = next.run(request).await;
    let info = response.extensions().get::<RequestInfo>();
    observed.tell(Some(response.status()), info.map_or("", |info| &info.id));
    response
}

/// A request until it is answered; dropped before, its client has gone.
struct Observed {
    route: Option<MatchedPath>,
    api: Api,
    method: Method,
    started: Instant,
    service: Arc<Service>,
    answered: bool,
}

/// The status that is counted where the client has gone.
const CLIENT_GONE: u16 = 499;

impl Observed {
    fn tell(&mut self, status: Option<StatusCode>, request: &str) {
        self.answered = true;
        let took: Duration = self.started.elapsed();
        let route = self.route.as_ref().map_or("unknown", MatchedPath::as_str);
        let method = self.method.as_str();
        let milliseconds = took.as_secs_f64() * 1e3;
        let status = status.map_or(CLIENT_GONE, |status| status.as_u16());
        match status {
            CLIENT_GONE => tracing::info!(method, route, milliseconds, "client gone"),
            500.. => tracing::warn!(method, route, status, milliseconds, request, "request"),
            _ => tracing::info!(method, route, status, milliseconds, request, "request"),
        }
        self.service.metrics().request(self.api, status, took);
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if !self.answered {
            self.tell(None, "");
        }
    }
}
