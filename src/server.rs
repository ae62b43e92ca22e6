//! The two listeners of the process, reviews over TLS and plain HTTP for its operator, from binding
//! to the last answer. Knows bytes in and bytes out; what a review says is its [`Reviewer`]'s.
mod admin;
mod body;
mod connection;
mod deadline;
mod failure;
mod handshake;
mod listener;
mod metrics;
mod operator;
mod reply;
mod room;
mod threads;
mod transport;
mod webhook;

use std::{io, net::SocketAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time,
};

pub use self::{
    admin::{Readiness, Route},
    metrics::ServerMetrics,
    operator::Admin,
    reply::{JSON, Reply, Reviewer, TEXT},
};
use self::{
    connection::Connections, listener::Listener, metrics::ConnectionMetrics, threads::Threads,
    transport::Transport, webhook::Webhook,
};
use crate::{shutdown::Shutdown, telemetry::metrics::Metrics};

/// Where the reviews of pods that may be changed are answered.
pub const PATH: &str = "/mutate";

/// Who answers reviews, by the path that they are sent to.
pub type Reviewers = Vec<(&'static str, Arc<dyn Reviewer>)>;

/// What the server gives each caller at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one body: object and oldObject of a request of 3 MiB, with room.
    pub body: usize,
    /// Bytes of all bodies above 64 KiB at once, taken as they arrive; beyond, callers are sent away.
    /// At least one body's.
    pub bodies: usize,
    /// Reviews at once, from the head of the request to its answer; beyond, callers are sent away.
    pub reviews: usize,
    /// For one review, if the caller does not ask for less.
    pub deadline: Duration,
    /// Connections at once, for each listener; beyond, they wait to be accepted.
    pub connections: u32,
    /// For a TLS handshake.
    pub handshake: Duration,
    /// For the head of a request and between two requests. Go keeps idle connections for 90 s and
    /// loses the POST that meets a closing one, so this must be well above.
    pub idle: Duration,
    /// For what is still open after the listener has closed.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 8 << 20,
            bodies: 32 << 20,
            reviews: 128,
            deadline: Duration::from_secs(10),
            connections: 1024,
            handshake: Duration::from_secs(10),
            idle: Duration::from_mins(3),
            farewell: Duration::from_secs(10),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(
        "the {listener} listener cannot use {address}: {because}; is it running already, or is the port another's?"
    )]
    Bind {
        listener: &'static str,
        address: SocketAddr,
        because: io::Error,
    },
    #[error("the threads for reviews cannot be started: {0}")]
    Threads(io::Error),
    #[error("the {0} listener ended by itself")]
    Ended(&'static str),
    #[error("a listener panicked, which is a bug: {0}")]
    Panicked(JoinError),
}

/// How serving came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everybody was answered, or had the time to be.
    Drained,
    /// A second signal came.
    Aborted,
}

/// Both sockets, bound but not yet served, so that a taken port fails the start.
#[derive(Debug)]
pub struct Bound {
    webhook: Listener,
    admin: Listener,
}

/// What is served on them.
pub struct Service {
    pub reviewers: Reviewers,
    pub tls: Arc<ServerConfig>,
    /// Reviews are answered on so many threads, and on no other.
    pub threads: NonZeroUsize,
    pub limits: Limits,
    /// How long to go on accepting after the first signal while callers are sent elsewhere.
    pub drain: Duration,
    pub metrics: Arc<Metrics>,
    pub server_metrics: ServerMetrics,
    pub readiness: Readiness,
    /// Of the admin listener, beside its own.
    pub routes: Vec<Route>,
}

impl Bound {
    /// Binds both; a port may be 0.
    pub async fn bind(webhook: SocketAddr, admin: SocketAddr) -> Result<Self, ServerError> {
        Ok(Self {
            webhook: bind("webhook", webhook).await?,
            admin: bind("admin", admin).await?,
        })
    }

    /// Where reviews are really answered.
    pub fn webhook_address(&self) -> SocketAddr {
        self.webhook.address()
    }

    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Serves until `shutdown`, then takes leave without losing a review.
    ///
    /// The order: `/readyz` turns 503 and every answer says `Connection: close`, for the drain
    /// time, while new connections are still accepted, because callers learn late that we go; then
    /// the webhook's listener closes and what is open ends; the admin listener goes last.
    pub async fn run(self, service: Service, shutdown: Shutdown) -> Result<Ending, ServerError> {
        let Self { webhook, admin } = self;
        let Service {
            reviewers,
            tls,
            threads,
            limits,
            drain,
            metrics,
            server_metrics,
            readiness,
            routes,
        } = service;

        let (stop_webhook, webhook_stop) = watch::channel(false);
        let (stop_admin, admin_stop) = watch::channel(false);
        let threads = Threads::start(threads).map_err(ServerError::Threads)?;
        let counted = server_metrics.connections.clone();
        let reviews = Connections {
            transport: Transport::tls(tls, &server_metrics),
            site: Webhook::new(reviewers, limits, server_metrics),
            limits,
            leaving: shutdown.clone(),
            stop: webhook_stop,
        };
        let questions = Connections {
            transport: Transport::Plain,
            site: admin::router(metrics, readiness, routes, shutdown.clone()),
            limits,
            leaving: shutdown.clone(),
            stop: admin_stop,
        };

        // Dropped with this future, and the listeners with it.
        let mut listeners = JoinSet::new();
        listeners.spawn(async move {
            webhook.serve(reviews, threads, counted).await;
            "webhook"
        });
        listeners.spawn(async move {
            let uncounted = ConnectionMetrics::default();
            admin
                .serve(questions, Threads::of_caller(), uncounted)
                .await;
            "admin"
        });

        tokio::select! {
            () = shutdown.draining() => {}
            ended = listeners.join_next() => return Err(unasked(ended)),
        }
        tracing::info!(drain = ?drain, "draining: callers are asked to leave");
        tokio::select! {
            () = time::sleep(drain) => {}
            () = shutdown.aborted() => return Ok(Ending::Aborted),
            ended = listeners.join_next() => return Err(unasked(ended)),
        }
        for stop in [stop_webhook, stop_admin] {
            // A listener that is gone already needs no telling.
            let _ = stop.send(true);
            tokio::select! {
                _ = listeners.join_next() => {}
                () = shutdown.aborted() => return Ok(Ending::Aborted),
            }
        }
        tracing::info!("stopped");
        Ok(Ending::Drained)
    }
}

async fn bind(listener: &'static str, address: SocketAddr) -> Result<Listener, ServerError> {
    Listener::bind(address)
        .await
        .map_err(|because| ServerError::Bind {
            listener,
            address,
            because,
        })
}

/// A listener that ended before it was told to.
fn unasked(ended: Option<Result<&'static str, JoinError>>) -> ServerError {
    match ended {
        Some(Ok(listener)) => ServerError::Ended(listener),
        Some(Err(panic)) => ServerError::Panicked(panic),
        None => ServerError::Ended("last"),
    }
}

#[cfg(test)]
mod tests;
