//! Connections in numbers, slow ones, and ones that the system refuses: everybody else is served.

use std::{process::Command, sync::Arc, time::Instant};

use futures::future::join_all;
use http_body_util::BodyExt as _;
use hyper::{StatusCode, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time,
};

use super::{
    PATIENCE,
    caller::{self, Caller, trusting_that_of},
    process::{Process, serve},
    raw::{first_line, head, hello, open},
    reviews::{patch, review},
    until,
};

/// Slow in all three places at once, and in numbers; everybody else is served meanwhile.
#[tokio::test]
async fn slow_senders_are_given_up_and_hold_up_nobody() {
    const EACH: usize = 40;
    let process = Process::start(&[]);
    let tls = trusting_that_of(&process).await;
    let mut hellos = Vec::new();
    let hello = hello(&tls);
    for number in 0..EACH {
        let mut stream = TcpStream::connect(process.webhook).await.unwrap();
        // A part of the first message, or all of it and nothing more.
        let sent = if number % 2 == 0 { 6 } else { hello.len() };
        stream.write_all(&hello[..sent]).await.unwrap();
        hellos.push(stream);
    }
    let mut heads = join_all((0..EACH).map(|_| open(process.webhook, &tls))).await;
    for stream in &mut heads {
        stream
            .write_all(b"POST /mutate HTTP/1.1\r\nhost: loc")
            .await
            .unwrap();
        stream.flush().await.unwrap();
    }
    let mut bodies = join_all((0..EACH).map(|_| open(process.webhook, &tls))).await;
    for stream in &mut bodies {
        stream
            .write_all(head("/mutate?timeout=10s", 100).as_bytes())
            .await
            .unwrap();
        stream.write_all(b"{").await.unwrap();
        stream.flush().await.unwrap();
    }
    process
        .until_metric("webhook_reviews_in_flight", EACH as u64)
        .await;

    let mut caller = Caller::new(&tls);
    for round in 0..50 {
        if round % 10 == 0 {
            caller.leave();
        }
        let answer = caller
            .send(process.webhook, review("in time", 1_000))
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::OK);
    }
    for stream in &mut bodies {
        assert_eq!(first_line(stream).await, "HTTP/1.1 504 Gateway Timeout");
    }
    for stream in &mut hellos {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    let timed_out = "webhook_tls_handshake_failures_total{reason=\"timed_out\"}";
    process.until_metric(timed_out, EACH as u64).await;
    assert_eq!(process.metric("webhook_reviews_in_flight").await, 0);
    // A head may come for as long as a connection may be idle; the rest of it is still taken.
    for stream in &mut heads {
        let body = review("slow", 10);
        let rest = head("/mutate", body.len());
        let (_, rest) = rest.split_once("loc").unwrap();
        stream.write_all(rest.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(first_line(stream).await, "HTTP/1.1 200 OK");
    }
}

/// A process that may have so many files open, whatever the limit of this one is.
fn with_files(limit: u32) -> Process {
    let served = serve(&[]);
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--nofile={limit}"))
        .arg(served.get_program())
        .args(served.get_args());
    Process::spawn(command)
}

/// With 64 files for everything else. All connections are open in this process too, beside those of
/// other tests, and 1024 files are all that many systems allow.
#[tokio::test]
async fn a_connection_above_the_limit_waits_for_its_turn_and_probes_do_not() {
    const MOST: u32 = 192;
    let process = with_files(64 + MOST);
    let tls = trusting_that_of(&process).await;
    let mut all = Vec::new();
    while all.len() < MOST as usize {
        let some = (0..64).map(|_| open(process.webhook, &tls));
        all.extend(join_all(some).await);
    }
    let open = "webhook_connections_open";
    process.until_metric(open, u64::from(MOST)).await;
    let address = process.webhook;
    let waiting = tokio::spawn(async move {
        let mut caller = Caller::new(&tls);
        caller
            .send(address, review("last", 10))
            .await
            .unwrap()
            .status
    });
    assert!(process.is_ready().await);
    let accepted = process.metric("webhook_connections_accepted_total").await;
    assert_eq!(accepted, u64::from(MOST));
    assert!(!waiting.is_finished());
    all.pop();
    assert_eq!(waiting.await.unwrap(), StatusCode::OK);
}

#[tokio::test]
async fn with_few_file_descriptors_some_are_left_for_probes() {
    let process = with_files(128);
    process
        .until_logged(0, "because of the limit of open files")
        .await;
    let tls = trusting_that_of(&process).await;
    let mut all = Vec::new();
    for _ in 0..100 {
        all.push(TcpStream::connect(process.webhook).await.unwrap());
    }
    process.until_metric("webhook_connections_open", 64).await;
    assert!(process.is_ready().await);
    assert_eq!(process.metric("webhook_accept_failures_total").await, 0);
    drop(all);
    let answer = Caller::new(&tls)
        .send(process.webhook, review("then", 10))
        .await;
    assert_eq!(answer.unwrap().status, StatusCode::OK);
}

/// Sets how many files the process may have open.
fn limit_files(process: &Process, soft: u64) {
    let pid = process.pid().to_string();
    let limit = format!("--nofile={soft}:");
    let set = Command::new("prlimit")
        .args(["--pid", &pid, &limit])
        .status();
    assert!(set.unwrap().success());
}

#[tokio::test]
async fn without_file_descriptors_it_waits_and_comes_back_by_itself() {
    let process = Process::start(&[]);
    let tls = trusting_that_of(&process).await;
    // Open before, since the admin port needs descriptors too.
    let mut admin = process.admin().await;
    let mut kept = Caller::new(&tls);
    let answer = kept
        .send(process.webhook, review("before", 10))
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::OK);

    limit_files(&process, 8);
    let address = process.webhook;
    let mut caller = Caller::new(&tls);
    let waiting = tokio::spawn(async move { caller.send(address, review("waits", 10)).await });
    process
        .until_logged(0, "no connection can be accepted")
        .await;

    let failures = "webhook_accept_failures_total";
    let (before, since) = (admin.metric(failures).await, Instant::now());
    until("more failures", async || {
        (admin.metric(failures).await >= before + 10).then_some(())
    })
    .await;
    let failed = admin.metric(failures).await - before;
    // Both listeners may try 20 times a second, and a slow machine makes it fewer.
    let at_most = since.elapsed().as_millis() / 50 * 2 + 4;
    assert!(
        u128::from(failed) <= at_most,
        "{failed} failures, not {at_most}"
    );
    let answer = kept
        .send(process.webhook, review("kept", 10))
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::OK, "open connections go on");
    assert!(!waiting.is_finished());
    // One line, not one for each failure.
    assert_eq!(
        process
            .log()
            .matches("no connection can be accepted")
            .count(),
        1
    );

    limit_files(&process, 1024);
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert!(process.is_ready().await);
}

#[tokio::test]
async fn one_http2_connection_carries_as_many_reviews_as_may_be_under_way() {
    let process = Process::start(&[]);
    let tls = trusting_that_of(&process).await;
    let mut tls = ClientConfig::clone(&tls);
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let stream = open(process.webhook, &Arc::new(tls)).await;
    let opened = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = opened.unwrap();
    let connection = tokio::spawn(connection);
    let answers = (0..500).map(|number| {
        let mut sender = sender.clone();
        async move {
            let uid = number.to_string();
            let mut request = caller::review("/mutate", review(&uid, 20_000));
            *request.uri_mut() = "https://localhost/mutate".parse().unwrap();
            sender.ready().await.unwrap();
            let response = sender.send_request(request).await.unwrap();
            let status = response.status();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            if status == StatusCode::OK {
                assert!(!patch(&uid, &body).is_empty());
            }
            status
        }
    });
    let statuses = time::timeout(PATIENCE, join_all(answers)).await.unwrap();
    let count = |wanted| statuses.iter().filter(|it| **it == wanted).count();
    let (fine, busy) = (
        count(StatusCode::OK),
        count(StatusCode::SERVICE_UNAVAILABLE),
    );
    assert_eq!(fine + busy, 500);
    assert!(fine >= 128, "{fine} of 500 were answered");

    // The farewell of HTTP/2: the connection ends, and the process with it.
    process.signal("TERM");
    drop(sender);
    connection.await.unwrap().unwrap();
}
