//! The admin listener alone, for a process that answers no reviews.
use std::{net::SocketAddr, sync::Arc};

use tokio::sync::watch;

use super::{
    Limits, Readiness, ServerError, admin, bind, connection::Connections, listener::Listener,
    metrics::ConnectionMetrics, threads::Threads, transport::Transport,
};
use crate::{shutdown::Shutdown, telemetry::metrics::Metrics};

/// A socket that is bound but not yet served, so that a taken port fails the start.
#[derive(Debug)]
pub struct Admin(Listener);

impl Admin {
    /// The port may be 0.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServerError> {
        bind("admin", address).await.map(Self)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Answers for as long as it is polled; `/readyz` says 503 from the first signal on.
    pub async fn run(self, metrics: Arc<Metrics>, readiness: Readiness, shutdown: Shutdown) {
        let (_never, stop) = watch::channel(false);
        let questions = Connections {
            transport: Transport::Plain,
            site: admin::router(metrics, readiness, Vec::new(), shutdown.clone()),
            limits: Limits::default(),
            leaving: shutdown,
            stop,
        };
        let uncounted = ConnectionMetrics::default();
        self.0
            .serve(questions, Threads::of_caller(), uncounted)
            .await;
    }
}
