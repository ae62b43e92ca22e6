//! The hooks of the policy of docs/http-hooks.md with a coordinator, run as Velero runs them in its container:
//! with the variables that Kubernetes makes of Secrets, against an application that really listens.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Output, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use quiescent::policy::{call::variable, file::SecretKeyRef};
use serde_json::{Value, json};

use super::{eventually, in_bounds};
use crate::{
    calls::with_coordinator,
    support::{certificates, quiescent},
};

const TOKEN: &str = "s3cr3t-t0ken";
const PRE: &str = "pre.hook.backup.velero.io";
const POST: &str = "post.hook.backup.velero.io";

/// What the application was asked, in order: method, path and what authorized it.
type Asked = Arc<(Mutex<Vec<String>>, Condvar)>;

/// An application that answers what it is told to.
struct Application {
    port: u16,
    asked: Asked,
}

/// A status, and a body.
type Answer = (u16, String);

impl Application {
    /// Answers the path and the token of a request; it may look at all that was asked so far.
    fn start(answer: impl Fn(&str, &str, &Asked) -> Answer + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Asked::default();
        let known = Arc::clone(&asked);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (answer, asked) = (answer.clone(), Arc::clone(&known));
                thread::spawn(move || attend(socket.unwrap(), &answer, &asked));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.0.lock().unwrap().clone()
    }
}

fn attend(mut socket: TcpStream, answer: &dyn Fn(&str, &str, &Asked) -> Answer, asked: &Asked) {
    let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut token = String::new();
    for line in lines.map_while(Result::ok).take_while(|it| !it.is_empty()) {
        if let Some(value) = line.strip_prefix("authorization: ") {
            value.clone_into(&mut token);
        }
    }
    let (all, news) = &**asked;
    all.lock().unwrap().push(format!("{method} {path} {token}"));
    news.notify_all();
    let (status, body) = answer(path, &token, asked);
    let length = body.len();
    // Whoever gave up has closed the connection.
    let _ = write!(
        socket,
        "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
}

fn obliging(path: &str, _: &str, _: &Asked) -> Answer {
    let paused = path == "/admin/pause";
    (200, json!({"state": {"paused": paused}}).to_string())
}

/// The pod that the webhook makes where the application listens.
fn pod(port: u16, change: impl Fn(String) -> String) -> Value {
    let policy = with_coordinator().replace("port: 8080", &format!("port: {port}"));
    let policy = change(policy.replace("delay: 2s", "delay: 10ms"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("orders")).unwrap();
    std::fs::write(folder.path().join("orders/policy.yaml"), policy).unwrap();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "orders-0"},
        "spec": {"containers": [{"name": "orders", "image": "example.com/orders:1"}]},
    });
    std::fs::write(folder.path().join("pod.json"), pod.to_string()).unwrap();
    let mut inject = quiescent(&["inject", "pod.json", "--policies", "orders"]);
    let output = inject.current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A command of the coordinator's container, with the variables that the Secret gives it.
fn command(pod: &Value, argv: &[String], secret: Option<&str>) -> Command {
    let at = argv.iter().position(|it| it == "coordinator").unwrap();
    let arguments: Vec<&str> = argv[at..].iter().map(String::as_str).collect();
    let mut command = quiescent(&arguments);
    command.env_clear();
    for variable in pod["spec"]["containers"][1]["env"].as_array().unwrap() {
        let of = &variable["valueFrom"]["secretKeyRef"];
        assert_eq!(
            (&of["name"], &of["key"]),
            (&json!("orders-admin"), &json!("token"))
        );
        if let Some(secret) = secret {
            command.env(variable["name"].as_str().unwrap(), secret);
        }
    }
    command
}

fn argv(pod: &Value, phase: &str) -> Vec<String> {
    let annotations = &pod["metadata"]["annotations"];
    assert_eq!(
        annotations[format!("{phase}/container")],
        "quiescent-coordinator"
    );
    let command = annotations[format!("{phase}/command")].as_str().unwrap();
    assert!(!command.contains(TOKEN), "{command}");
    serde_json::from_str(command).unwrap()
}

/// Runs a hook, which must end so and say this; nothing that it says is secret.
#[track_caller]
fn ends(pod: &Value, phase: &str, secret: Option<&str>, code: i32, words: &[&str]) {
    let output = command(pod, &argv(pod, phase), secret).output().unwrap();
    says(&output, code, words);
}

#[track_caller]
fn says(output: &Output, code: i32, words: &[&str]) {
    let said = [&*output.stdout, &output.stderr].map(String::from_utf8_lossy);
    let said = said.concat();
    assert_eq!(output.status.code(), Some(code), "{said}");
    for words in words {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert!(!said.contains(TOKEN), "{said}");
}

#[test]
fn pre_and_post_call_with_the_token_of_the_secret() {
    let orders = Application::start(obliging);
    let pod = pod(orders.port, |policy| policy);
    // A file that a Secret is made of ends with a line.
    let secret = format!("{TOKEN}\n");
    ends(
        &pod,
        PRE,
        Some(&secret),
        0,
        &["quiescent result=ok policy=orders phase=pre seconds="],
    );
    ends(
        &pod,
        POST,
        Some(&secret),
        0,
        &["quiescent result=ok policy=orders phase=post seconds="],
    );
    let asked = ["POST /admin/pause", "POST /admin/resume"];
    assert_eq!(
        orders.asked(),
        asked.map(|it| format!("{it} Bearer {TOKEN}"))
    );
}

#[test]
fn a_call_that_is_answered_otherwise_is_undone() {
    let refuses = |path: &str, token: &str, _: &Asked| match path {
        "/admin/pause" => (403, format!("{token}\nis no token of mine")),
        _ => (200, String::new()),
    };
    let orders = Application::start(refuses);
    let why = [
        "quiescent: orders pre was answered: Bearer *** is no token of mine",
        "/admin/pause: status 403, expected 2xx; post was called to undo it",
        "quiescent result=failed policy=orders phase=pre code=1",
    ];
    ends(
        &pod(orders.port, |policy| policy),
        PRE,
        Some(TOKEN),
        1,
        &why,
    );
    assert_eq!(orders.asked().len(), 2, "{:?}", orders.asked());

    let not_paused =
        |_: &str, _: &str, _: &Asked| (200, r#"{"state": {"paused": false}}"#.to_owned());
    let orders = Application::start(not_paused);
    let why = ["status 200, and /state/paused is not true; post was called"];
    ends(
        &pod(orders.port, |policy| policy),
        PRE,
        Some(TOKEN),
        1,
        &why,
    );
}

#[test]
fn post_is_called_until_it_is_heard() {
    let busy = |_: &str, _: &str, asked: &Asked| {
        let often = asked.0.lock().unwrap().len();
        (if often < 3 { 503 } else { 200 }, String::new())
    };
    let orders = Application::start(busy);
    ends(
        &pod(orders.port, |policy| policy),
        POST,
        Some(TOKEN),
        0,
        &["result=ok"],
    );
    assert_eq!(orders.asked().len(), 3);
}

/// It paused after all: what was undone before that is undone once more.
#[test]
fn a_call_that_is_answered_too_late_is_undone_after_the_answer() {
    let late = |path: &str, _: &str, asked: &Asked| {
        if path == "/admin/pause" {
            let (all, news) = &**asked;
            let resumed =
                |all: &mut Vec<String>| !all.iter().any(|it| it.contains("/admin/resume"));
            drop(news.wait_while(all.lock().unwrap(), resumed));
        }
        (200, String::new())
    };
    let orders = Application::start(late);
    let pod = pod(orders.port, |policy| {
        policy.replace("timeout: 30s", "timeout: 2s")
    });
    let why = [
        "/admin/pause: no answer within 1 s; post was called to undo it",
        "code=4",
    ];
    ends(&pod, PRE, Some(TOKEN), 4, &why);
    let asked = orders.asked();
    let paths = asked.iter().map(|it| it.split(' ').nth(1).unwrap());
    assert_eq!(
        paths.collect::<Vec<_>>(),
        ["/admin/pause", "/admin/resume", "/admin/resume"]
    );
}

#[test]
fn where_nobody_listens_or_the_secret_is_missing_nothing_is_called() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let nobody = pod(port, |policy| policy);
    let way = format!("no connection to port {port} of the pod");
    ends(
        &nobody,
        PRE,
        Some(TOKEN),
        1,
        &[&way, "; and it could not be undone: POST"],
    );
    ends(&nobody, POST, Some(TOKEN), 1, &[&way, "phase=post code=1"]);

    let orders = Application::start(obliging);
    let why = "the key \"token\" of the Secret \"orders-admin\" was not there when this container was started";
    ends(&pod(orders.port, |policy| policy), PRE, None, 1, &[why]);
    assert_eq!(orders.asked(), [""; 0]);
}

/// An address is called over TLS, by the authority that the Secret names.
#[test]
fn an_address_is_trusted_by_the_authority_in_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let mut server = Command::new("openssl")
        .args([
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-www",
            "-cert",
            "tls.crt",
            "-key",
            "tls.key",
        ])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let listens = lines.by_ref().find_map(|line| {
        let line = line.unwrap();
        line.strip_prefix("ACCEPT 127.0.0.1:")?.parse::<u16>().ok()
    });
    let port = listens.unwrap();
    thread::spawn(move || lines.for_each(drop));

    let argv = argv(&pod(port, |policy| policy), POST);
    let mut calls: Value = serde_json::from_str(argv.last().unwrap()).unwrap();
    let call = &mut calls["post"];
    call["method"] = "GET".into();
    call["target"] =
        json!({"Url": {"https": true, "host": "localhost", "port": port, "path": "/"}});
    call["headers"] = json!([]);
    call["retry"] = Value::Null;
    let ca = SecretKeyRef {
        name: "ca".to_owned(),
        key: "ca.crt".to_owned(),
    };
    call["ca"] = json!(ca);
    let variable = variable(&ca);
    let with = |authority: &str| {
        let mut command = quiescent(&["coordinator", "call", &calls.to_string()]);
        command
            .env_clear()
            .env(&variable, authority)
            .output()
            .unwrap()
    };
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    says(
        &with(&read("ca.crt")),
        0,
        &["result=ok policy=coordinator phase=post"],
    );
    let other = tempfile::tempdir().unwrap();
    certificates(other.path());
    let other = std::fs::read_to_string(other.path().join("ca.crt")).unwrap();
    says(&with(&other), 1, &["no TLS with localhost"]);
    server.kill().unwrap();
    server.wait().unwrap();
}

/// Its container has nothing to do but to be there: it holds nothing, and listens nowhere.
#[test]
fn the_container_waits_for_its_end_in_less_than_ten_mebibytes() {
    let pod = pod(8080, |policy| policy);
    let argv = pod["spec"]["containers"][1]["command"].as_array().unwrap();
    let argv: Vec<String> = argv
        .iter()
        .map(|it| it.as_str().unwrap().to_owned())
        .collect();
    let mut child = command(&pod, &argv, Some(TOKEN)).spawn().unwrap();
    let process = child.id();
    let listens_to_signals = || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let caught = status
            .lines()
            .find_map(|it| it.strip_prefix("SigCgt:"))
            .unwrap();
        // SIGTERM is 15.
        u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << 14) != 0
    };
    eventually("it waits", listens_to_signals);
    in_bounds(process);
    let done = Command::new("kill")
        .args(["-TERM", &process.to_string()])
        .status();
    assert!(done.unwrap().success());
    assert!(child.wait().unwrap().success());
}
