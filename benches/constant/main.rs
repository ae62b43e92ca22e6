//! Servers that give every review the same answer: what there is to reach on this stack.
//!
//! `constant KIND ANSWER` says where it listens and serves the bytes of the file `ANSWER`.
//!
//! - `best`: hyper and rustls as `quiescent serve` uses them, on one thread, and nothing else: no
//!   path, no limit, no deadline, no metric.
//! - `ours`: the server of `quiescent serve` with a reviewer that does not look.
//! - `default`: what axum's examples make: a router on tokio's default runtime.
#![expect(
    clippy::unwrap_used,
    reason = "nobody serves with this; a measurement that fails says so by panicking"
)]

mod best;
mod default;
mod ours;

use std::{env, fs, sync::Arc, time::SystemTime};

use axum::body::Bytes;
use quiescent::{
    certs::{self, CertificateMetrics, Served},
    telemetry::metrics::Metrics,
};
use rustls::ServerConfig;
use tokio::net::TcpListener;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [kind, path] = arguments.as_slice() else {
        panic!("constant best|ours|default ANSWER");
    };
    certs::install_default_provider();
    let answer = Bytes::from(fs::read(path).unwrap());
    let runtime = match kind.as_str() {
        "default" => tokio::runtime::Runtime::new(),
        _ => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build(),
    }
    .unwrap();
    runtime.block_on(async {
        match kind.as_str() {
            "best" => best::serve(answer).await,
            "ours" => ours::serve(answer).await,
            "default" => default::serve(answer).await,
            _ => panic!("there is no {kind:?}"),
        }
    });
}

async fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("webhook https://{}/mutate", listener.local_addr().unwrap());
    listener
}

fn tls() -> Arc<ServerConfig> {
    let unseen = CertificateMetrics::register(Metrics::new("constant").registry());
    let certificate = certs::self_made(&[], SystemTime::now()).unwrap();
    certs::server_config(Served::new(certificate, unseen), None).unwrap()
}
