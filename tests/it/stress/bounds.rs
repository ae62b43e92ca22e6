//! What the process takes of reviews at most, and that whoever takes it all harms nobody for long.

use futures::future::join_all;
use hyper::{StatusCode, body::Bytes};
use tokio::io::AsyncWriteExt as _;

use super::{
    caller::{Caller, Lost, Why, trusting_that_of},
    process::Process,
    raw::{first_line, head, open},
    reviews::{patch, review},
    until,
};

const BUSY: &str = "webhook_requests_total{class=\"5xx\",reason=\"busy\"}";
const NO_ROOM: &str = "webhook_requests_total{class=\"5xx\",reason=\"no_room\"}";

/// A review of exactly so many bytes.
fn sized(uid: &str, size: usize) -> Bytes {
    let rest = review(uid, 0).len();
    let body = review(uid, size - rest);
    assert_eq!(body.len(), size);
    body
}

/// A request that does not say how long its body is.
fn chunked(body: &[u8]) -> Vec<u8> {
    let head = head("/mutate", 0).replace("content-length: 0", "transfer-encoding: chunked");
    let size = format!("{:x}\r\n", body.len());
    [head.as_bytes(), size.as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
}

#[tokio::test]
async fn a_review_of_eight_mebibytes_is_answered_and_one_byte_more_is_not() {
    let process = Process::start(&[]);
    let tls = trusting_that_of(&process).await;
    let mut caller = Caller::new(&tls);
    for round in 0..3 {
        let uid = format!("largest-{round}");
        let answer = caller
            .send(process.webhook, sized(&uid, 8 << 20))
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        assert!(!patch(&uid, &answer.body).is_empty());
        let answer = caller
            .send(process.webhook, sized("larger", (8 << 20) + 1))
            .await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(answer.kept, "the connection is as good as before");
    }
    let accepted = process.metric("webhook_connections_accepted_total").await;
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn more_than_128_reviews_at_once_are_sent_away_and_never_queued() {
    let process = Process::start(&[]);
    let tls = trusting_that_of(&process).await;
    let body = review("slow", 1_000);
    let mut slow = join_all((0..128).map(|_| open(process.webhook, &tls))).await;
    for stream in &mut slow {
        stream
            .write_all(head("/mutate", body.len()).as_bytes())
            .await
            .unwrap();
        stream.flush().await.unwrap();
    }
    process.until_metric("webhook_reviews_in_flight", 128).await;

    let mut caller = Caller::new(&tls);
    for _ in 0..20 {
        let answer = caller
            .send(process.webhook, review("one more", 1_000))
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.retry_after && answer.kept);
    }
    assert_eq!(process.metric(BUSY).await, 20);

    for stream in &mut slow {
        stream.write_all(&body).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(first_line(stream).await, "HTTP/1.1 200 OK");
    }
    let answer = caller
        .send(process.webhook, review("one more", 1_000))
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn large_bodies_share_a_room_and_small_ones_need_none() {
    let process = Process::start(&["--body-memory", "16Mi"]);
    let tls = trusting_that_of(&process).await;
    let mut slow = join_all((0..2).map(|_| open(process.webhook, &tls))).await;
    let all_but_one_byte = vec![b' '; (8 << 20) - 1];
    for stream in &mut slow {
        let head = head("/mutate", 8 << 20);
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&all_but_one_byte).await.unwrap();
        stream.flush().await.unwrap();
    }

    let mut caller = Caller::new(&tls);
    let large = review("large", 100_000);
    let answer = until("the room to be taken", async || {
        let answer = caller.send(process.webhook, large.clone()).await.unwrap();
        (answer.status != StatusCode::OK).then_some(answer)
    })
    .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.retry_after && answer.kept, "{:?}", answer.body);
    assert_eq!(process.metric(NO_ROOM).await, 1);
    let answer = caller.send(process.webhook, review("small", 10_000)).await;
    assert_eq!(answer.unwrap().status, StatusCode::OK);

    // A body that does not say how long it is takes what it needs as it comes.
    let mut unannounced = open(process.webhook, &tls).await;
    unannounced.write_all(&chunked(&large)).await.unwrap();
    unannounced.flush().await.unwrap();
    let answer = first_line(&mut unannounced).await;
    assert_eq!(answer, "HTTP/1.1 503 Service Unavailable");

    drop(slow);
    until("the room that comes back", async || {
        let answer = caller.send(process.webhook, large.clone()).await.unwrap();
        (answer.status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_only_announced_takes_nothing_of_the_room() {
    let process = Process::start(&["--body-memory", "8Mi"]);
    let tls = trusting_that_of(&process).await;
    let mut silent = join_all((0..4).map(|_| open(process.webhook, &tls))).await;
    for stream in &mut silent {
        let head = head("/mutate", 8 << 20);
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    }
    process.until_metric("webhook_reviews_in_flight", 4).await;
    let answer = Caller::new(&tls)
        .send(process.webhook, review("large", 1_000_000))
        .await;
    assert_eq!(answer.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_does_not_say_how_long_it_is_may_fill_the_room() {
    let process = Process::start(&["--body-memory", "8Mi"]);
    let tls = trusting_that_of(&process).await;
    let mut stream = open(process.webhook, &tls).await;
    for size in [7 << 20, 8 << 20] {
        let body = chunked(&sized("unannounced", size));
        stream.write_all(&body).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(first_line(&mut stream).await, "HTTP/1.1 200 OK");
        stream = open(process.webhook, &tls).await;
    }
}

/// More than a pod has: whoever cannot be taken is sent away before all of the body is in memory.
#[tokio::test]
async fn many_of_the_largest_reviews_at_once_fit_a_small_pod() {
    let process = Process::start(&[]);
    let tls = trusting_that_of(&process).await;
    let largest = sized("largest", 8 << 20);
    let sending = (0..48).map(|_| {
        let mut caller = Caller::new(&tls);
        let (address, largest) = (process.webhook, largest.clone());
        async move {
            caller
                .send(address, largest)
                .await
                .map(|answer| answer.status)
        }
    });
    let statuses = join_all(sending).await;
    let count = |wanted| {
        statuses
            .iter()
            .flatten()
            .filter(|it| **it == wanted)
            .count()
    };
    // Those that found room; a slow machine takes longer for them than a review may.
    let fine = count(StatusCode::OK);
    let late = count(StatusCode::GATEWAY_TIMEOUT);
    // Whoever still sends a second after being sent away finds the connection closed.
    let sent_away = |it: &Result<StatusCode, Lost>| match it {
        Ok(status) => *status == StatusCode::SERVICE_UNAVAILABLE,
        Err(lost) => matches!(lost.why, Why::Broken(_)),
    };
    let sent_away = statuses.iter().filter(|it| sent_away(it)).count();
    assert_eq!(fine + late + sent_away, statuses.len());
    assert!(fine + late >= 4, "{fine} were answered, {late} too late");
    let peak = process.memory("VmHWM");
    eprintln!(
        "largest reviews: {fine} answered, {sent_away} sent away, {} KiB at most",
        peak >> 10
    );
    assert!(peak <= 128 << 20, "{peak} bytes");
}
