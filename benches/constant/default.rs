//! What one writes first: a router, a handler that takes the body, a task for each connection.

use axum::{Router, body::Bytes, http::header, routing};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio_rustls::TlsAcceptor;

pub async fn serve(answer: Bytes) {
    let handler = async move |_: Bytes| ([(header::CONTENT_TYPE, "application/json")], answer);
    let service = TowerToHyperService::new(Router::new().route("/mutate", routing::post(handler)));
    let tls = TlsAcceptor::from(super::tls());
    let listener = super::listen().await;
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (tls, service) = (tls.clone(), service.clone());
        tokio::spawn(async move {
            if let Ok(stream) = tls.accept(stream).await {
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        });
    }
}
