//! The webhook as a caller meets it, good input and bad, over its real socket.

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{quiescent, require};

/// A running webhook.
struct Webhook {
    child: Child,
    url: String,
    admin: String,
}

impl Webhook {
    fn start(arguments: &[&str]) -> Self {
        Self::logging(arguments, "error", Stdio::null())
    }

    /// One that logs from this level on.
    fn logging(arguments: &[&str], level: &str, log: Stdio) -> Self {
        let mut all = vec![
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--drain",
            "100ms",
        ];
        all.extend(arguments);
        let mut child = quiescent(&all)
            .env("QUIESCENT_LOG_LEVEL", level)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut found = [None, None];
        for line in lines {
            let line = line.unwrap();
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("webhook"), Some(url)) => found[0] = Some(url.to_owned()),
                (Some("admin"), Some(url)) => found[1] = Some(url.to_owned()),
                _ => {}
            }
            if found.iter().all(Option::is_some) {
                break;
            }
        }
        let [url, admin] = found.map(Option::unwrap);
        Self { child, url, admin }
    }

    /// Sends a body, and gives the status and the text of the answer.
    fn post(&self, body: &[u8]) -> (u16, String) {
        let arguments = [
            "-sk",
            "-H",
            "content-type: application/json",
            "--data-binary",
            "@-",
            "-w",
            "\n%{http_code}",
            &self.url,
        ];
        let mut curl = Command::new("curl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // A server that refuses a large body need not read all of it.
        let _ = curl.stdin.take().unwrap().write_all(body);
        let output = String::from_utf8(curl.wait_with_output().unwrap().stdout).unwrap();
        let (text, status) = output.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), text.to_owned())
    }

    fn get(&self, path: &str) -> String {
        let url = format!("{}{path}", self.admin);
        let output = Command::new("curl").args(["-s", &url]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn curl() -> bool {
    let there = Command::new("curl").arg("--version").output().is_ok();
    require(there, "the command curl")
}

/// What takes nothing any more, and somebody who could read it and does not.
fn full() -> (Stdio, UnixStream) {
    let (mut writer, reader) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    let full = loop {
        if let Err(error) = writer.write_all(&[b'\n'; 1024]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    writer.set_nonblocking(false).unwrap();
    (OwnedFd::from(writer).into(), reader)
}

#[test]
fn a_log_that_nobody_reads_holds_no_review_up() {
    if !curl() {
        return;
    }
    let (log, _reader) = full();
    let webhook = Webhook::logging(&[], "debug", log);
    let sample = webhook.get("/sample");
    for _ in 0..3 {
        let (status, text) = webhook.post(sample.as_bytes());
        assert_eq!(status, 200, "{text}");
    }
    let metrics = webhook.get("/metrics");
    assert!(
        metrics.contains("quiescent_log_lines_lost_total 0\n"),
        "{metrics}"
    );
}

#[test]
fn the_line_that_serve_prints_shows_a_patch() {
    if !curl() {
        return;
    }
    let webhook = Webhook::start(&[]);
    let (status, answer) = webhook.post(webhook.get("/sample").as_bytes());
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        answer["response"]["auditAnnotations"]["outcome"],
        "injected"
    );
    let metrics = webhook.get("/metrics");
    let policies = format!(
        "quiescent_policies {}\n",
        quiescent::library::defaults().len()
    );
    assert!(metrics.contains(&policies), "{metrics}");
    // A dry run leaves no trace in what is counted about pods.
    assert!(
        metrics.contains("quiescent_reviews_total{outcome=\"injected\"} 0\n"),
        "{metrics}"
    );
}

#[test]
fn bad_bodies_get_a_sentence_and_harm_nobody() {
    if !curl() {
        return;
    }
    let webhook = Webhook::start(&[]);
    let sample = webhook.get("/sample");
    let mut other: Value = serde_json::from_str(&sample).unwrap();
    other["request"]["kind"] = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
    let huge = [b"{\"a\":\"".to_vec(), vec![b'x'; 10 << 20], b"\"}".to_vec()].concat();
    let deep = "[".repeat(100_000);
    let trailing = format!("{sample} x");
    let cases: [(&[u8], u16, &str); 8] = [
        (b"no json", 400, "AdmissionReview"),
        (b"\xff\xfe\x00", 400, "UTF-8"),
        (b"{}", 400, "admission.k8s.io/v1"),
        (
            br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}"#,
            400,
            "no request",
        ),
        (&other.to_string().into_bytes(), 400, "Deployment"),
        (trailing.as_bytes(), 400, "no JSON"),
        (deep.as_bytes(), 400, "AdmissionReview"),
        (&huge, 413, "too large"),
    ];
    for (body, status, words) in cases {
        let (got, text) = webhook.post(body);
        assert_eq!(got, status, "{text}");
        assert!(text.contains(words), "{text:?} does not speak of {words:?}");
    }
    let (status, _) = webhook.post(sample.as_bytes());
    assert_eq!(status, 200, "and the next review is answered");
    let metrics = webhook.get("/metrics");
    assert!(
        metrics.contains("quiescent_reviews_refused_total{reason=\"not_utf8\"} 1\n"),
        "{metrics}"
    );
}

#[test]
fn who_was_recognised_is_told_at_debug_alone() {
    if !curl() {
        return;
    }
    for (level, told) in [("debug", true), ("info", false)] {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let file = std::fs::File::create(&log).unwrap();
        let webhook = Webhook::logging(&["--log", "json"], level, file.into());
        let mut review: Value = serde_json::from_str(&webhook.get("/sample")).unwrap();
        review["request"]["dryRun"] = false.into();
        review["request"]["object"]["metadata"]["labels"] = json!({"cnpg.io/cluster": "pg"});
        let (_, answer) = webhook.post(review.to_string().as_bytes());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(
            answer["response"]["auditAnnotations"]["reason"],
            "recognised"
        );
        assert_eq!(answer["response"]["warnings"], Value::Null);
        let metrics = webhook.get("/metrics");
        assert!(metrics.contains("{reason=\"recognised\"} 1\n"), "{metrics}");
        drop(webhook);
        let log = std::fs::read_to_string(log).unwrap();
        assert_eq!(log.contains("CloudNativePG"), told, "{log}");
    }
}

#[test]
fn a_certificate_that_does_not_fit_is_named_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let start = || {
        let run = quiescent(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--cert-dir",
            path,
        ])
        .output()
        .unwrap();
        assert_eq!(run.status.code(), Some(2));
        String::from_utf8(run.stderr).unwrap()
    };
    assert!(start().contains("tls.crt"), "{}", start());
    std::fs::write(dir.path().join("tls.crt"), "nothing").unwrap();
    std::fs::write(dir.path().join("tls.key"), "nothing").unwrap();
    assert!(start().contains("tls.crt"), "{}", start());
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = quiescent(&["serve", "--listen", &address, "--admin", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(2));
    let told = String::from_utf8(run.stderr).unwrap();
    assert!(told.contains(&address), "{told}");
}
