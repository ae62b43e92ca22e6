//! A running server and clients that trust it.
use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    body::{Body, Bytes},
    http::{Request, StatusCode, header},
};
use futures::channel::mpsc;
use http_body_util::BodyExt as _;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{net::TcpStream, task::JoinHandle, time};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    certs::{self, Certificate, CertificateMetrics, Served},
    server::{
        Bound, Ending, JSON, Limits, PATH, Readiness, Reply, Reviewer, ServerError, ServerMetrics,
        Service,
    },
    shutdown::{self, Trigger},
    telemetry::metrics::Metrics,
};

pub(super) struct Running {
    pub(super) webhook: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) shutdown: Trigger,
    pub(super) ended: JoinHandle<Result<Ending, ServerError>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) trust: Arc<RootCertStore>,
}

/// Gives back what it was given.
pub(super) fn echo(body: &[u8]) -> Reply {
    Reply {
        status: StatusCode::OK,
        content_type: JSON,
        body: Bytes::copy_from_slice(body),
    }
}

pub(super) async fn start(reviewer: impl Reviewer) -> Running {
    start_with(reviewer, Limits::default(), Duration::ZERO).await
}

/// Starts a server on so many threads.
pub(super) async fn start_on(threads: NonZeroUsize, reviewer: impl Reviewer) -> Running {
    let (served, metrics) = self_made();
    let (limits, drain) = (Limits::default(), Duration::ZERO);
    run(reviewer, threads, limits, drain, served, metrics).await
}

pub(super) async fn start_with(
    reviewer: impl Reviewer,
    limits: Limits,
    drain: Duration,
) -> Running {
    let (served, metrics) = self_made();
    serve(reviewer, limits, drain, served, metrics).await
}

fn self_made() -> (Arc<Served>, Metrics) {
    let mut metrics = Metrics::new("it");
    let counted = CertificateMetrics::register(metrics.registry());
    let certificate = certs::self_made(&[], SystemTime::now()).unwrap();
    (Served::new(certificate, counted), metrics)
}

/// Starts a server whose certificate is `served`'s.
pub(super) async fn serve(
    reviewer: impl Reviewer,
    limits: Limits,
    drain: Duration,
    served: Arc<Served>,
    metrics: Metrics,
) -> Running {
    run(reviewer, NonZeroUsize::MIN, limits, drain, served, metrics).await
}

async fn run(
    reviewer: impl Reviewer,
    threads: NonZeroUsize,
    limits: Limits,
    drain: Duration,
    served: Arc<Served>,
    mut metrics: Metrics,
) -> Running {
    let trust = trusting(&served.current());
    let server_metrics = ServerMetrics::register(metrics.registry());
    let metrics = Arc::new(metrics);

    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let bound = Bound::bind(any, any).await.unwrap();
    let (webhook, admin) = (bound.webhook_address(), bound.admin_address());
    let service = Service {
        reviewers: vec![(PATH, Arc::new(reviewer))],
        tls: certs::server_config(served, None).unwrap(),
        threads,
        limits,
        drain,
        metrics: Arc::clone(&metrics),
        server_metrics,
        readiness: Readiness::default(),
        routes: Vec::new(),
    };
    let (trigger, shutdown) = shutdown::channel();
    Running {
        webhook,
        admin,
        shutdown: trigger,
        ended: tokio::spawn(bound.run(service, shutdown)),
        metrics,
        trust,
    }
}

pub(super) fn trusting(certificate: &Certificate) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(certificate.ca_pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    Arc::new(roots)
}

impl Running {
    pub(super) async fn tls(&self, alpn: &str) -> std::io::Result<TlsStream<TcpStream>> {
        handshake(self.webhook, &self.trust, alpn).await
    }

    pub(super) async fn http1(&self) -> http1::SendRequest<Body> {
        speak_http1(self.tls("http/1.1").await.unwrap()).await
    }

    pub(super) async fn http2(&self) -> http2::SendRequest<Body> {
        let io = TokioIo::new(self.tls("h2").await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Waits until the metrics have this line.
    pub(super) async fn until(&self, line: &str) {
        let line = format!("{line}\n");
        let seen = async {
            while !self.metrics.encode().unwrap().contains(&line) {
                tokio::task::yield_now().await;
            }
        };
        let waited = time::timeout(Duration::from_secs(20), seen).await;
        assert!(
            waited.is_ok(),
            "no {line} in {}",
            self.metrics.encode().unwrap()
        );
    }

    pub(super) async fn until_counted(&self, class: &str, reason: &str, count: u64) {
        let labels = format!("class=\"{class}\",reason=\"{reason}\"");
        self.until(&format!("it_webhook_requests_total{{{labels}}} {count}"))
            .await;
    }
}

pub(super) async fn handshake(
    address: SocketAddr,
    trust: &Arc<RootCertStore>,
    alpn: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(Arc::clone(trust))
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

pub(super) async fn speak_http1(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
) -> http1::SendRequest<Body> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// A review as the API server sends it.
pub(super) fn review(body: impl Into<Body>) -> Request<Body> {
    review_at(PATH, body)
}

pub(super) fn review_at(uri: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(uri)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, JSON)
        .body(body.into())
        .unwrap()
}

/// A body that is sent piece by piece, and its end.
pub(super) fn slow_body() -> (mpsc::UnboundedSender<Result<Bytes, std::io::Error>>, Body) {
    let (sender, receiver) = mpsc::unbounded();
    (sender, Body::from_stream(receiver))
}

pub(super) async fn text(response: axum::http::Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}
