//! Leaving: nobody who sent a review goes without an answer.
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use tokio::{net::TcpStream, sync::Barrier};

use super::kit::{Running, echo, review, slow_body, speak_http1, start, start_with, text};
use crate::server::{Ending, Limits};

/// Connections that are kept and used without a pause, as an API server's under load.
const CLIENTS: usize = 12;

/// Reviews on each connection before the server is told to leave.
const BEFORE: usize = 20;

async fn ready(server: &Running) -> (StatusCode, String) {
    let stream = TcpStream::connect(server.admin).await.unwrap();
    let mut client = speak_http1(stream).await;
    let request = Request::get("/readyz").header(header::HOST, "localhost");
    let request = request.body(Body::empty()).unwrap();
    let response = client.send_request(request).await.unwrap();
    (response.status(), text(response).await)
}

async fn until_closed(server: &Running) {
    while TcpStream::connect(server.webhook).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

/// Sends reviews until no connection is to be had; every one sent on an open connection must be
/// answered. Connects anew whenever it is asked to leave.
async fn keep_sending(server: &Running, begun: &Barrier, answered: &AtomicUsize) {
    let mut sent = 0;
    loop {
        let stream = match server.tls("http/1.1").await {
            Ok(stream) => stream,
            // Anything else would be a connection that was taken and dropped.
            Err(end) => return assert_eq!(end.kind(), io::ErrorKind::ConnectionRefused, "{end}"),
        };
        let mut client = speak_http1(stream).await;
        loop {
            let response = client.send_request(review("{}")).await;
            let response = response.unwrap_or_else(|e| panic!("review {sent} is lost: {e}"));
            assert_eq!(response.status(), StatusCode::OK);
            let leave = response.headers().contains_key(header::CONNECTION);
            assert_eq!(text(response).await, "{}");
            answered.fetch_add(1, Ordering::Relaxed);
            sent += 1;
            if sent == BEFORE {
                begun.wait().await;
            }
            if leave {
                break;
            }
            client.ready().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_review_is_lost_on_kept_and_on_new_connections() {
    let drain = Duration::from_millis(200);
    let server = Arc::new(start_with(echo, Limits::default(), drain).await);
    let begun = Arc::new(Barrier::new(CLIENTS + 1));
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (server, begun) = (Arc::clone(&server), Arc::clone(&begun));
            let answered = Arc::clone(&answered);
            tokio::spawn(async move { keep_sending(&server, &begun, &answered).await })
        })
        .collect();
    begun.wait().await;
    assert_eq!(ready(&server).await.0, StatusCode::OK);
    server.shutdown.drain();
    let (status, why) = ready(&server).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(why, "not ready: shutting down\n");

    for client in clients {
        client.await.unwrap();
    }
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered > CLIENTS * BEFORE, "{answered} answers");
    let server = Arc::into_inner(server).unwrap();
    server
        .until_counted("2xx", "answered", answered as u64)
        .await;
    assert_eq!(server.ended.await.unwrap().unwrap(), Ending::Drained);
}

#[tokio::test]
async fn a_review_under_way_over_http2_is_answered() {
    let server = start(echo).await;
    let mut client = server.http2().await;
    let (sender, body) = slow_body();
    let answer = client.send_request(review(body));
    server.until("it_webhook_reviews_in_flight 1").await;
    server.shutdown.drain();
    until_closed(&server).await;
    sender.unbounded_send(Ok("{}".into())).unwrap();
    drop(sender);
    assert_eq!(text(answer.await.unwrap()).await, "{}");
    assert_eq!(server.ended.await.unwrap().unwrap(), Ending::Drained);
}

#[tokio::test]
async fn a_connection_of_the_last_moment_gets_its_one_answer() {
    let server = start(echo).await;
    let mut client = server.http1().await;
    server.shutdown.drain();
    until_closed(&server).await;
    let response = client.send_request(review("{}")).await.unwrap();
    assert_eq!(response.headers()[header::CONNECTION], "close");
    assert_eq!(text(response).await, "{}");
    assert_eq!(server.ended.await.unwrap().unwrap(), Ending::Drained);
}

#[tokio::test]
async fn who_never_finishes_does_not_hold_up_the_end() {
    let limits = Limits {
        farewell: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = start_with(echo, limits, Duration::ZERO).await;
    let mut client = server.http1().await;
    let (_sender, body) = slow_body();
    let answer = tokio::spawn(client.send_request(review(body)));
    server.until("it_webhook_reviews_in_flight 1").await;
    server.shutdown.drain();
    assert_eq!(server.ended.await.unwrap().unwrap(), Ending::Drained);
    assert!(answer.await.unwrap().is_err());
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let server = start_with(echo, Limits::default(), Duration::from_hours(1)).await;
    let mut client = server.http1().await;
    let (_sender, body) = slow_body();
    let _answer = tokio::spawn(client.send_request(review(body)));
    server.until("it_webhook_reviews_in_flight 1").await;
    server.shutdown.drain();
    server.shutdown.abort();
    assert_eq!(server.ended.await.unwrap().unwrap(), Ending::Aborted);
}
