//! What the server counts: requests, connections, handshakes.
use std::sync::atomic::AtomicI64;

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{failure::Failure, reply::Outcome};
use crate::telemetry::metrics::Counters;

/// From a review that matches nothing to one that the caller has nearly given up on, in seconds.
const DURATIONS: [f64; 13] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
];

#[derive(Clone, Debug)]
pub struct ServerMetrics {
    pub(super) requests: Counters<Outcome>,
    pub(super) in_flight: Level,
    pub(super) duration: Histogram,
    pub(super) handshakes: Counters<Failure>,
    pub(super) connections: ConnectionMetrics,
}

/// Of one listener. The default is counted and not shown.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionMetrics {
    pub(super) open: Level,
    pub(super) accepted: Counter,
    pub(super) accept_failures: Counter,
}

impl ServerMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let requests = Counters::register(
            registry,
            "webhook_requests",
            "Requests to the webhook, by class of status and by reason",
        );
        let in_flight = Level::default();
        registry.register(
            "webhook_reviews_in_flight",
            "Reviews between their first byte and their answer",
            in_flight.0.clone(),
        );
        let duration = Histogram::new(DURATIONS);
        registry.register(
            "webhook_review_duration_seconds",
            "From the head of the request to the answer, reading the body included",
            duration.clone(),
        );
        let handshakes = Counters::register(
            registry,
            "webhook_tls_handshake_failures",
            "TLS handshakes that came to nothing, by reason",
        );
        Self {
            requests,
            in_flight,
            duration,
            handshakes,
            connections: ConnectionMetrics::register(registry),
        }
    }
}

impl ConnectionMetrics {
    fn register(registry: &mut Registry) -> Self {
        let Self {
            open,
            accepted,
            accept_failures,
        } = Self::default();
        registry.register(
            "webhook_connections_open",
            "Connections to the webhook that are open",
            open.0.clone(),
        );
        registry.register(
            "webhook_connections_accepted",
            "Connections to the webhook since the start",
            accepted.clone(),
        );
        registry.register(
            "webhook_accept_failures",
            "Connections that the system could not give us, for want of file descriptors for example",
            accept_failures.clone(),
        );
        Self {
            open,
            accepted,
            accept_failures,
        }
    }
}

/// How many are inside now.
#[derive(Clone, Debug, Default)]
pub(super) struct Level(Gauge<i64, AtomicI64>);

/// One that is inside until it is dropped, however it comes to its end.
pub(super) struct Inside(Gauge<i64, AtomicI64>);

impl Level {
    pub(super) fn enter(&self) -> Inside {
        self.0.inc();
        Inside(self.0.clone())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.dec();
    }
}
