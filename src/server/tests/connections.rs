//! Connections that come with something else than a proper handshake, or too many at once.
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::http::{StatusCode, header};
use rustls::RootCertStore;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::kit::{
    Running, echo, handshake, review, serve, speak_http1, start, start_with, text, trusting,
};
use crate::{
    certs::{
        CertificateMetrics, Directory, Follower, Poll, Served,
        fixture::{self, Volume},
    },
    server::{Bound, Limits},
    telemetry::metrics::Metrics,
};

impl Running {
    async fn until_failed(&self, reason: &str) {
        self.until(&format!(
            "it_webhook_tls_handshake_failures_total{{reason=\"{reason}\"}} 1"
        ))
        .await;
    }
}

#[tokio::test]
async fn plain_http_on_the_tls_port_gets_a_sentence() {
    let server = start(echo).await;
    let stream = TcpStream::connect(server.webhook).await.unwrap();
    let mut client = speak_http1(stream).await;
    let response = client.send_request(review("{}")).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(response.headers()[header::CONNECTION], "close");
    assert!(text(response).await.contains("https://"));
    server.until_failed("plain_http").await;
}

#[tokio::test]
async fn what_is_no_tls_is_cut_off() {
    let server = start(echo).await;
    let mut stream = TcpStream::connect(server.webhook).await.unwrap();
    stream.write_all(b"\0hello").await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    server.until_failed("not_tls").await;
}

#[tokio::test]
async fn a_probe_that_only_connects_is_no_more_than_counted() {
    let server = start(echo).await;
    drop(TcpStream::connect(server.webhook).await.unwrap());
    server.until_failed("disconnected").await;
}

#[tokio::test]
async fn a_caller_that_does_not_trust_us_is_told_apart() {
    let server = start(echo).await;
    let nobody = Arc::new(RootCertStore::empty());
    assert!(handshake(server.webhook, &nobody, "h2").await.is_err());
    server.until_failed("certificate_refused").await;
}

#[tokio::test]
async fn a_caller_without_a_common_protocol_is_told_apart() {
    let server = start(echo).await;
    assert!(server.tls("spdy/1").await.is_err());
    server.until_failed("incompatible").await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let limits = Limits {
        handshake: Duration::from_millis(20),
        ..Limits::default()
    };
    let server = start_with(echo, limits, Duration::ZERO).await;
    let mut stream = TcpStream::connect(server.webhook).await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    server.until_failed("timed_out").await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    let limits = Limits {
        idle: Duration::from_millis(20),
        ..Limits::default()
    };
    let server = start_with(echo, limits, Duration::ZERO).await;
    let mut stream = server.tls("http/1.1").await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    server.until("it_webhook_connections_open 0").await;
}

#[tokio::test]
async fn beyond_the_limit_connections_wait_for_their_turn() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let server = start_with(echo, limits, Duration::ZERO).await;
    let first = server.http1().await;
    let second = server.http1();
    tokio::pin!(second);
    assert!(futures::poll!(&mut second).is_pending());
    server
        .until("it_webhook_connections_accepted_total 1")
        .await;

    drop(first);
    let response = second.await.send_request(review("{}")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    server
        .until("it_webhook_connections_accepted_total 2")
        .await;
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_only() {
    let mut volume = Volume::of(&fixture::fresh());
    let directory = Directory::new(volume.path());
    let files = directory.files().unwrap();
    let mut metrics = Metrics::new("it");
    let counted = CertificateMetrics::register(metrics.registry());
    let certificate = files.certificate(SystemTime::now()).unwrap();
    let served = Served::new(certificate, counted);
    let mut follower = Follower::new(directory, files, Arc::clone(&served), Duration::ZERO);
    let handle = Arc::clone(&served);
    let running = serve(echo, Limits::default(), Duration::ZERO, handle, metrics).await;
    let mut open = running.http1().await;

    volume.swap(&fixture::fresh());
    assert!(matches!(follower.poll(SystemTime::now()), Poll::Swapped));
    assert!(
        running.tls("h2").await.is_err(),
        "the old one is still served"
    );
    let trust = trusting(&served.current());
    handshake(running.webhook, &trust, "h2").await.unwrap();
    let response = open.send_request(review("{}")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let error = Bound::bind(any, address).await.unwrap_err().to_string();
    let start = format!("the admin listener cannot use {address}: ");
    assert!(error.starts_with(&start), "{error}");
}
