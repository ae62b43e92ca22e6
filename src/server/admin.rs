//! Plain HTTP for the operator and the kubelet: alive, ready, metrics, and what the caller adds.
use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, Response, StatusCode},
    routing,
};
use hyper::body::Incoming;
use tower::ServiceExt as _;

use super::{
    connection::Site,
    reply::{Reply, TEXT},
};
use crate::{
    shutdown::Shutdown,
    telemetry::metrics::{self, Metrics},
};

/// Something more to read on the admin port.
pub struct Route {
    pub path: &'static str,
    pub content_type: &'static str,
    pub body: Box<dyn Fn() -> Vec<u8> + Send + Sync>,
}

/// Who must be ready before we are.
#[derive(Default)]
pub struct Readiness {
    parts: Vec<Part>,
}

struct Part {
    name: &'static str,
    ready: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Readiness {
    /// Waits for one part more, whose `name` stands in the answer until it is `ready`.
    #[must_use]
    pub fn with(
        mut self,
        name: &'static str,
        ready: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let ready = Box::new(ready);
        self.parts.push(Part { name, ready });
        self
    }

    fn missing(&self) -> Vec<&'static str> {
        let missing = self.parts.iter().filter(|part| !(part.ready)());
        missing.map(|part| part.name).collect()
    }
}

pub(super) fn router(
    metrics: Arc<Metrics>,
    readiness: Readiness,
    extra: Vec<Route>,
    shutdown: Shutdown,
) -> Router {
    let readiness = Arc::new(readiness);
    let mut paths = vec!["/livez", "/readyz", "/metrics"];
    let mut router = Router::new()
        .route(
            "/livez",
            routing::get(async || text(StatusCode::OK, "alive\n")),
        )
        .route(
            "/readyz",
            routing::get(async move || ready(&readiness, &shutdown)),
        )
        .route("/metrics", routing::get(async move || scrape(&metrics)));
    for Route {
        path,
        content_type,
        body,
    } in extra
    {
        paths.push(path);
        let body = Arc::from(body);
        router = router.route(path, routing::get(async move || page(content_type, &body)));
    }
    let index = format!("there is nothing at this path; try {}\n", paths.join(" "));
    router.fallback(async move || text(StatusCode::NOT_FOUND, index))
}

impl Site for Router {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let Ok(response) = self.clone().oneshot(request.map(Body::new)).await;
        response
    }
}

fn ready(readiness: &Readiness, shutdown: &Shutdown) -> Reply {
    if shutdown.is_draining() {
        return text(
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: shutting down\n",
        );
    }
    let missing = readiness.missing();
    if missing.is_empty() {
        return text(StatusCode::OK, "ready\n");
    }
    let sentence = format!("not ready: {}\n", missing.join(", "));
    text(StatusCode::SERVICE_UNAVAILABLE, sentence)
}

fn scrape(metrics: &Metrics) -> Reply {
    match metrics.encode() {
        Ok(body) => Reply {
            status: StatusCode::OK,
            content_type: metrics::CONTENT_TYPE,
            body: body.into(),
        },
        Err(_) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics cannot be written as text\n",
        ),
    }
}

fn page(content_type: &'static str, body: &Arc<dyn Fn() -> Vec<u8> + Send + Sync>) -> Reply {
    Reply {
        status: StatusCode::OK,
        content_type,
        body: body().into(),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    Reply {
        status,
        content_type: TEXT,
        body: body.into(),
    }
}

#[cfg(test)]
mod tests;
