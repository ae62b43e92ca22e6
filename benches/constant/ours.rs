//! The server of `quiescent serve`, with its limits and its metrics, and without an engine.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use axum::{body::Bytes, http::StatusCode};
use quiescent::{
    server::{Bound, JSON, Limits, PATH, Readiness, Reply, ServerMetrics, Service},
    shutdown,
    telemetry::metrics::Metrics,
};

pub async fn serve(answer: Bytes) {
    let any = "127.0.0.1:0".parse().unwrap();
    let bound = Bound::bind(any, any).await.unwrap();
    println!("webhook https://{}{PATH}", bound.webhook_address());
    let mut metrics = Metrics::new("constant");
    let service = Service {
        server_metrics: ServerMetrics::register(metrics.registry()),
        reviewers: vec![(
            PATH,
            Arc::new(move |_: &[u8]| Reply {
                status: StatusCode::OK,
                content_type: JSON,
                body: answer.clone(),
            }),
        )],
        tls: super::tls(),
        threads: NonZeroUsize::MIN,
        limits: Limits::default(),
        drain: Duration::ZERO,
        metrics: Arc::new(metrics),
        readiness: Readiness::default(),
        routes: Vec::new(),
    };
    let (_never, shutdown) = shutdown::channel();
    bound.run(service, shutdown).await.unwrap();
}
