//! The least that a server of this stack can do.

use std::time::Duration;

use axum::{
    body::Bytes,
    http::{HeaderValue, Request, Response, header},
};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{io::BufReader, net::TcpStream};
use tokio_rustls::TlsAcceptor;

pub async fn serve(answer: Bytes) {
    let tls = TlsAcceptor::from(super::tls());
    let listener = super::listen().await;
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(connection(tls.clone(), stream, answer.clone()));
    }
}

async fn connection(tls: TlsAcceptor, stream: TcpStream, answer: Bytes) {
    stream.set_nodelay(true).unwrap();
    let stream = BufReader::with_capacity(32 << 10, stream);
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let service = service_fn(async |request: Request<Incoming>| {
        // As whole as whoever reads a review needs it.
        let body = request.collect().await?.to_bytes();
        drop(body);
        let mut response = Response::new(Full::new(answer.clone()));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        Ok::<_, hyper::Error>(response)
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_mins(3))
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
