//! What each kind of request is answered with, and that it costs only itself.
use std::{
    num::NonZeroUsize,
    thread,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    http::{Method, StatusCode, header},
};
use http_body_util::BodyExt as _;

use super::kit::{echo, review, review_at, slow_body, start, start_on, start_with, text};
use crate::server::{Limits, PATH, Reply};

#[tokio::test]
async fn a_review_is_answered_over_both_protocols() {
    let server = start(echo).await;
    let mut http1 = server.http1().await;
    for body in ["{}", "", "[1]"] {
        let response = http1.send_request(review(body)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(text(response).await, body);
    }
    let mut http2 = server.http2().await;
    let response = http2.send_request(review("{}")).await.unwrap();
    assert_eq!(text(response).await, "{}");
    server.until_counted("2xx", "answered", 4).await;
    server
        .until("it_webhook_review_duration_seconds_count 4")
        .await;
    server.until("it_webhook_reviews_in_flight 0").await;
}

#[tokio::test]
async fn reviews_have_threads_of_their_own() {
    let threads = NonZeroUsize::new(2).unwrap();
    let server = start_on(threads, |_: &[u8]| {
        echo(thread::current().name().unwrap_or_default().as_bytes())
    })
    .await;
    // A connection stays where it is, and the next one is the other thread's.
    for expected in ["reviews-0", "reviews-1", "reviews-0"] {
        let mut client = server.http1().await;
        for _ in 0..2 {
            let response = client.send_request(review("{}")).await.unwrap();
            assert_eq!(text(response).await, expected);
        }
    }
}

#[tokio::test]
async fn the_reviewers_own_failures_are_passed_on_and_told_apart() {
    let server = start(|body: &[u8]| Reply {
        status: if body.is_empty() {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        },
        ..echo(b"because")
    })
    .await;
    let mut client = server.http1().await;
    let response = client.send_request(review("")).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(text(response).await, "because");
    let response = client.send_request(review("x")).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    server.until_counted("4xx", "rejected", 1).await;
    server.until_counted("5xx", "failed", 1).await;
}

#[tokio::test]
async fn a_panic_costs_only_its_own_review() {
    let server = start(|body: &[u8]| {
        assert_ne!(body, b"boom", "a bug");
        echo(body)
    })
    .await;
    let mut http1 = server.http1().await;
    let mut http2 = server.http2().await;
    let response = http1.send_request(review("boom")).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        text(response).await,
        "the review failed because of a bug, see the log\n"
    );
    let response = http2.send_request(review("boom")).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);

    let response = http1.send_request(review("fine")).await.unwrap();
    assert_eq!(text(response).await, "fine");
    let response = http2.send_request(review("fine")).await.unwrap();
    assert_eq!(text(response).await, "fine");
    server.until_counted("5xx", "panic", 2).await;
    server.until("it_webhook_reviews_in_flight 0").await;
}

#[tokio::test]
async fn the_largest_body_is_taken_and_one_byte_more_is_not() {
    let server = start(|body: &[u8]| echo(body.len().to_string().as_bytes())).await;
    let mut client = server.http1().await;
    let largest = vec![b' '; 8 << 20];
    let response = client.send_request(review(largest.clone())).await.unwrap();
    assert_eq!(text(response).await, "8388608");

    let mut larger = largest;
    larger.push(b' ');
    let response = client.send_request(review(larger.clone())).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(text(response).await, "the body is too large for a review\n");

    // Without an announced length, and over the connection that the refusal left whole.
    let pieces = [Ok::<_, std::io::Error>(Bytes::from(larger))];
    let pieces = Body::from_stream(futures::stream::iter(pieces));
    let response = client.send_request(review(pieces)).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let response = client.send_request(review("{}")).await.unwrap();
    assert_eq!(text(response).await, "2");
    server.until_counted("4xx", "body_too_large", 2).await;
}

#[tokio::test]
async fn who_asks_before_sending_too_much_is_told_before() {
    let server = start(echo).await;
    let mut client = server.http1().await;
    let (_sender, body) = slow_body();
    let mut request = review(body);
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_LENGTH, "8388609".parse().unwrap());
    headers.insert(header::EXPECT, "100-continue".parse().unwrap());
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn only_json_is_a_review() {
    let server = start(echo).await;
    let mut client = server.http1().await;
    let cases = [
        (Some("application/json"), true),
        (Some("Application/JSON; charset=utf-8"), true),
        (Some("text/json"), false),
        (Some("application/json5"), false),
        (Some(""), false),
        (None, false),
    ];
    for (content_type, taken) in cases {
        let mut request = review("{}");
        request.headers_mut().remove(header::CONTENT_TYPE);
        if let Some(value) = content_type {
            let value = value.parse().unwrap();
            request.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        let response = client.send_request(request).await.unwrap();
        let status = if taken {
            StatusCode::OK
        } else {
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        };
        assert_eq!(response.status(), status, "{content_type:?}");
        text(response).await;
    }
    server.until_counted("4xx", "content_type", 4).await;
}

#[tokio::test]
async fn other_paths_and_methods_say_what_to_do() {
    let server = start(echo).await;
    let mut client = server.http1().await;
    let response = client.send_request(review_at("/", "{}")).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(text(response).await.contains(PATH));

    let mut request = review("");
    *request.method_mut() = Method::GET;
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[header::ALLOW], "POST");
    text(response).await;
    server.until_counted("4xx", "path", 1).await;
    server.until_counted("4xx", "method", 1).await;
}

#[tokio::test]
async fn beyond_the_limit_callers_are_sent_away_at_once() {
    let limits = Limits {
        reviews: 1,
        ..Limits::default()
    };
    let server = start_with(echo, limits, Duration::ZERO).await;
    let mut first = server.http1().await;
    let (sender, body) = slow_body();
    let answer = tokio::spawn(first.send_request(review(body)));
    server.until("it_webhook_reviews_in_flight 1").await;

    let mut second = server.http1().await;
    for _ in 0..2 {
        let response = second.send_request(review("{}")).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert_eq!(
            text(response).await,
            "too many reviews at once, try again\n"
        );
    }

    sender.unbounded_send(Ok("done".into())).unwrap();
    drop(sender);
    let response = answer.await.unwrap().unwrap();
    assert_eq!(text(response).await, "done");
    let response = second.send_request(review("{}")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    server.until_counted("5xx", "busy", 2).await;
}

#[tokio::test]
async fn a_body_that_does_not_end_is_given_up_in_the_callers_time() {
    let server = start(echo).await;
    let mut client = server.http1().await;
    let (sender, body) = slow_body();
    sender.unbounded_send(Ok("{".into())).unwrap();
    let request = review_at("/mutate?timeout=50ms", body);
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    server.until_counted("5xx", "deadline", 1).await;
    server.until("it_webhook_reviews_in_flight 0").await;
}

#[tokio::test]
async fn our_own_deadline_holds_when_the_caller_names_none() {
    let limits = Limits {
        deadline: Duration::from_millis(20),
        ..Limits::default()
    };
    let server = start_with(echo, limits, Duration::ZERO).await;
    let (_sender, body) = slow_body();
    let response = server.http1().await.send_request(review(body)).await;
    assert_eq!(response.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_not_given() {
    let server = start(|body: &[u8]| {
        let end = Instant::now() + Duration::from_millis(20);
        while Instant::now() < end {
            thread::yield_now();
        }
        echo(body)
    })
    .await;
    let mut client = server.http1().await;
    let late = review_at("/mutate?timeout=10ms", "{}");
    let response = client.send_request(late).await.unwrap();
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    text(response).await;
    let response = client.send_request(review("{}")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_counted_and_forgotten() {
    let server = start(echo).await;
    let mut http2 = server.http2().await;
    let (sender, body) = slow_body();
    sender.unbounded_send(Ok("{".into())).unwrap();
    let answer = http2.send_request(review(body));
    sender
        .unbounded_send(Err(std::io::Error::other("gone")))
        .unwrap();
    drop(sender);
    // The stream is reset, so nobody is there to hear the answer.
    assert!(answer.await.is_err());
    server.until("it_webhook_reviews_in_flight 0").await;

    let response = http2.send_request(review("{}")).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "{}");
}
