//! HTTP calls before and after, to a real server, with each client that an image may have.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use super::{asking, containers, inject, possible, with_tools};
use crate::databases::harness::{Container, Phase, Pod, eventually};

const POLICY: &str = "http-call";
const SECRET: &str = r#"Bearer s3"c\r'et"#;

/// What came in: method and path, the header Authorization, the body.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    what: String,
    authorization: Option<String>,
    body: String,
}

/// A server that answers with the status that stands in the path, and to `/never` not at all.
struct Site {
    address: String,
    calls: Arc<Mutex<Vec<Call>>>,
    /// Command lines of this machine in which the secret stood while it was called.
    told: Arc<Mutex<Vec<String>>>,
}

impl Site {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let site = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            calls: Arc::default(),
            told: Arc::default(),
        };
        let (calls, told) = (Arc::clone(&site.calls), Arc::clone(&site.told));
        thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(call) = read(&stream) else { continue };
                told.lock().unwrap().extend(command_lines_with("s3\"c"));
                let path = call.what.split_once(" /").unwrap().1.to_owned();
                calls.lock().unwrap().push(call);
                if path == "never" {
                    kept.push(stream);
                    continue;
                }
                let body = "all is quiet\n";
                // A client may have hung up.
                let _ = write!(
                    stream,
                    "HTTP/1.1 {path} Word\r\nLocation: /200\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        site
    }

    fn calls(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|call| call.what.clone()).collect()
    }

    /// A pod that calls paths of this site before and after.
    fn pod(&self, before: &str, after: &str, parameters: &[(&str, &str)]) -> Pod {
        let urls = [before, after].map(|path| match path {
            "" => String::new(),
            path => format!("{}/{path}", self.address),
        });
        let urls = [("url", &*urls[0]), ("afterUrl", &*urls[1])];
        let parameters = [&urls[..], parameters].concat();
        let environment = [("BACKUP_HEADER", &*format!("Authorization: {SECRET}"))];
        inject(&asking(POLICY, &parameters, &environment))
    }
}

fn read(stream: &TcpStream) -> Option<Call> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    let mut head = Vec::new();
    while reader.read_line(&mut line).ok()? > 2 {
        head.push(line.trim_end().to_owned());
        line.clear();
    }
    let header = |name: &str| {
        let mut lines = head.iter().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    };
    let length = header("Content-Length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Call {
        what: head.first()?.rsplit_once(" HTTP")?.0.to_owned(),
        authorization: header("Authorization"),
        body: String::from_utf8(body).unwrap(),
    })
}

/// Hooks of other tests show theirs in their environment, which is not looked at.
fn command_lines_with(secret: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().map(Result::unwrap);
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        // The machine's own way into the container, before there is one.
        .filter(|line| line.contains(secret) && !line.contains("BACKUP_HEADER="))
        .collect()
}

#[test]
fn every_client_calls_before_and_after_and_keeps_the_secret() {
    if !possible(&["curl", "python3", "wget"]) {
        return;
    }
    for client in ["curl", "python3", "wget"] {
        let (container, _tools) = with_tools(&["wget"], &[client]);
        let site = Site::start();
        let data = r#"{"backup": "it's \"on\""}"#;
        let parameters = [
            ("headerEnv", "BACKUP_HEADER"),
            ("method", "PUT"),
            ("data", data),
            ("body", "is quiet"),
            ("afterMethod", "DELETE"),
            ("afterStatus", "200 204"),
        ];
        let pod = site.pod("201", "200", &parameters);
        let called = pod.run(Phase::Pre, &container);
        called.is_ok();
        assert!(
            called.said.contains(&format!("status=201 client={client}")),
            "{called:?}"
        );
        pod.run(Phase::Post, &container).is_ok();

        let calls = site.calls.lock().unwrap().clone();
        let call = |what: &str, body: &str| Call {
            what: what.to_owned(),
            authorization: Some(SECRET.to_owned()),
            body: body.to_owned(),
        };
        assert_eq!(calls, [call("PUT /201", data), call("DELETE /200", "")]);
        assert_eq!(*site.told.lock().unwrap(), [""; 0], "{client}");
        let left = fs::read_dir(pod.folder("quiescent-state").join(POLICY)).unwrap();
        assert_eq!(left.count(), 0, "{client} leaves nothing behind");
    }
}

#[test]
fn busybox_calls_too_and_says_what_it_cannot() {
    if !possible(&["busybox"]) {
        return;
    }
    let (container, _tools) = with_tools(&[], &[]);
    let site = Site::start();
    let pod = site.pod("200", "204", &[]);
    pod.run(Phase::Pre, &container).is_ok();
    pod.run(Phase::Post, &container).is_ok();
    assert_eq!(site.calls(), ["POST /200", "POST /204"]);

    for parameters in [("headerEnv", "BACKUP_HEADER"), ("method", "PUT")] {
        let pod = site.pod("200", "200", &[parameters]);
        pod.run(Phase::Pre, &container)
            .failed(2, &["busybox's wget", "curl, python3 or GNU wget"]);
    }
    let (none, _tools) = with_tools(&["wget"], &[]);
    pod.run(Phase::Pre, &none)
        .failed(2, &["no client for HTTP", "curl, python3, wget"]);
}

#[test]
fn a_wrong_answer_fails_and_the_second_call_undoes_the_first() {
    if !possible(&["curl", "python3", "wget"]) {
        return;
    }
    for client in ["curl", "python3", "wget"] {
        let (container, _tools) = with_tools(&["wget"], &[client]);
        let site = Site::start();
        for (path, parameters, words) in [
            ("503", &[][..], "status 503, not 2xx"),
            ("302", &[], "status 302"),
            ("200", &[("body", "all is loud")], "has no \"all is loud\""),
            ("201", &[("status", "200 202")], "status 201, not 200 202"),
        ] {
            let pod = site.pod(path, "204", parameters);
            pod.run(Phase::Pre, &container).failed(1, &[words]);
            let called = site.calls().split_off(site.calls().len() - 2);
            assert_eq!(called, [&format!("POST /{path}"), "POST /204"]);
        }
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up_in_time() {
    if !possible(&["curl", "python3", "wget"]) {
        return;
    }
    for client in ["curl", "python3", "wget", "busybox"] {
        let (container, _tools) = match client {
            "busybox" => with_tools(&[], &[]),
            client => with_tools(&["wget"], &[client]),
        };
        let site = Site::start();
        let pod = site.pod("never", "", &[("wait", "1s")]);
        pod.run(Phase::Pre, &container)
            .failed(4, &["no answer within 1 s", "parameter wait"]);
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", nobody.local_addr().unwrap());
        drop(nobody);
        let pod = inject(&asking(POLICY, &[("url", &url)], &[]));
        pod.run(Phase::Pre, &container)
            .failed(1, &[&url, "gives no answer"]);
    }
}

#[test]
fn without_a_post_hook_the_second_call_is_made_after_the_limit() {
    if !possible(&["curl"]) {
        return;
    }
    for container in containers() {
        let site = Site::start();
        let pod = site.pod("200", "204", &[("limit", "2s")]);
        pod.run(Phase::Pre, &container).is_ok();
        eventually("it is called", || {
            site.calls().last().is_some_and(|call| call == "POST /204")
        });
        pod.run(Phase::Post, &container)
            .failed(5, &["limit of 2 s", "not good"]);
        assert_eq!(site.calls(), ["POST /200", "POST /204"]);
    }
}

#[test]
fn a_hook_that_is_killed_while_it_waits_for_the_answer_is_undone() {
    if !possible(&["curl"]) {
        return;
    }
    let site = Site::start();
    let pod = site.pod("never", "204", &[("wait", "1m")]);
    let hook = pod.start(Phase::Pre, &Container::default());
    eventually("it calls", || !site.calls().is_empty());
    pod.run(Phase::Pre, &Container::default())
        .failed(3, &["another run"]);
    hook.kill_alone();
    eventually("the second call is made", || site.calls().len() == 2);
    pod.run(Phase::Post, &Container::default())
        .failed(5, &["killed", "not good"]);
}

#[test]
fn post_without_pre_and_pre_twice() {
    if !possible(&["curl"]) {
        return;
    }
    let site = Site::start();
    let pod = site.pod("200", "204", &[]);
    pod.run(Phase::Post, &Container::default())
        .failed(5, &["nothing is held"]);
    assert_eq!(site.calls(), [""; 0]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();
    // The second ends what the first began.
    assert_eq!(
        site.calls(),
        ["POST /200", "POST /204", "POST /200", "POST /204"]
    );
}

#[test]
fn what_cannot_work_is_said_before_anything_is_called() {
    if !possible(&[]) {
        return;
    }
    for (parameters, words) in [
        (&[][..], &["parameter url is empty"][..]),
        (&[("url", "shop/quiet")], &["no URL", "http://"]),
        (
            &[("url", "http://me:secret@shop/quiet")],
            &["Velero logs it", "headerEnv"],
        ),
        (
            &[("url", "http://127.0.0.1:1"), ("headerEnv", "NOT_THERE")],
            &["NOT_THERE is empty"],
        ),
        (
            &[("url", "http://127.0.0.1:1"), ("caFile", "/nope.pem")],
            &["/nope.pem", "caFile"],
        ),
    ] {
        let pod = inject(&asking(POLICY, parameters, &[]));
        pod.run(Phase::Pre, &Container::default()).failed(2, words);
    }
}
