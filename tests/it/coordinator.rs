//! `quiescent coordinator` as a container runs it: requests over its socket and over HTTP, killed and
//! started again, with a session that says what it does.

mod calling;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{memory, quiescent};

/// Says in a file what it does, and holds until its input ends.
const SESSION: &str = r#"
echo 'quiescent: taking the lock' >&2
echo held >"$1/lock"
echo 'quiescent result=ok policy=lock phase=pre lsn=7'
cat >/dev/null
rm "$1/lock"
echo 'quiescent result=ok policy=lock phase=post'
"#;

struct Coordinator {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Coordinator {
    fn with(session: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = serve(folder.path(), session, arguments);
        let this = Self { child, folder };
        this.answers();
        this
    }

    fn answers(&self) {
        eventually("the coordinator answers", || {
            self.ask(&["status"]).status.success()
        });
    }

    fn ask(&self, request: &[&str]) -> Output {
        let state = self.folder.path().join("state");
        let arguments = [&["coordinator"], request, &["--state"]].concat();
        quiescent(&arguments).arg(state).output().unwrap()
    }

    #[track_caller]
    fn ends(&self, request: &str, code: i32, words: &str) {
        let output = self.ask(&[request]);
        let said = [&*output.stdout, &output.stderr].map(String::from_utf8_lossy);
        let said = said.concat();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{words:?} is not in {said}");
    }

    fn state(&self) -> Value {
        serde_json::from_slice(&self.ask(&["status"]).stdout).unwrap()
    }

    fn is_held(&self) -> bool {
        self.folder.path().join("lock").exists()
    }

    /// As a container that is killed and started again.
    fn killed(&mut self, session: &str) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = serve(self.folder.path(), session, &[]);
        self.answers();
    }
}

fn serve(folder: &Path, session: &str, arguments: &[&str]) -> Child {
    let mut command = quiescent(&["coordinator", "serve", "--name", "lock", "--state"]);
    command.arg(folder.join("state")).args(arguments);
    command.args(["--", "/bin/sh", "-c", session, "session"]);
    command.arg(folder).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let began = Instant::now();
    while !check() {
        assert!(began.elapsed() < Duration::from_mins(2), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Its own memory, which no other process shares and the kernel cannot take back. What of the program's
/// file is in memory beside it depends on how the program was built, and goes where memory is short.
#[track_caller]
fn in_bounds(process: u32) {
    let bytes = memory(process, "RssAnon");
    assert!(bytes < 10 << 20, "{bytes} bytes");
}

#[test]
fn it_holds_from_start_to_stop_in_less_than_ten_mebibytes() {
    let coordinator = Coordinator::with(SESSION, &[]);
    coordinator.ends("stop", 5, "nothing is held");
    for _ in 0..2 {
        coordinator.ends("start", 0, "policy=lock phase=pre lsn=7");
        assert!(coordinator.is_held());
        assert_eq!(coordinator.state()["state"], "held");
        in_bounds(coordinator.child.id());
        coordinator.ends("stop", 0, "policy=lock phase=post held=");
        assert!(!coordinator.is_held());
        assert_eq!(coordinator.state()["state"], "idle");
    }
    in_bounds(coordinator.child.id());
}

#[test]
fn whoever_finds_a_hold_of_before_a_restart_is_told_that_it_has_gone() {
    let mut coordinator = Coordinator::with(SESSION, &[]);
    coordinator.ends("start", 0, "lsn=7");
    coordinator.killed(SESSION);
    eventually("the lock goes with its coordinator", || {
        !coordinator.is_held()
    });
    assert_eq!(coordinator.state()["why"], "restarted");
    coordinator.ends("stop", 5, "started again: this backup is not good");
    coordinator.ends("stop", 5, "phase=post code=5");
    coordinator.ends("start", 0, "lsn=7");
    coordinator.ends("stop", 0, "result=ok");
}

#[test]
fn a_session_that_ends_or_that_nobody_stops_is_lost() {
    let gone = "echo quiescent result=ok; exit 0";
    let coordinator = Coordinator::with(gone, &[]);
    coordinator.ends("start", 0, "result=ok");
    eventually("it ends", || coordinator.state()["state"] == "lost");
    coordinator.ends("stop", 5, "its session ended by itself");

    let coordinator = Coordinator::with(SESSION, &["--limit", "1s"]);
    coordinator.ends("start", 0, "result=ok");
    eventually("the limit ends it", || !coordinator.is_held());
    assert_eq!(coordinator.state()["why"], "limit");
    coordinator.ends("stop", 5, "its limit was over");
}

#[test]
fn a_start_ends_as_its_session_does_and_never_waits_for_ever() {
    let coordinator = Coordinator::with("echo 'quiescent result=failed code=2'; exit 2", &[]);
    coordinator.ends("start", 2, "result=failed");

    let coordinator = Coordinator::with("echo nothing; cat >/dev/null", &[]);
    let output = coordinator.ask(&["start", "--timeout", "1s"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    eventually("it is idle", || coordinator.state()["state"] == "idle");
}

#[test]
fn without_a_coordinator_nothing_starts_and_what_was_held_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    for (request, code) in [("start", 1), ("stop", 5)] {
        let mut command = quiescent(&["coordinator", request, "--state"]);
        let output = command.arg(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

#[test]
fn a_pod_that_ends_ends_its_session_first() {
    let mut coordinator = Coordinator::with(SESSION, &[]);
    coordinator.ends("start", 0, "result=ok");
    let process = coordinator.child.id().to_string();
    let done = Command::new("kill").args(["-TERM", &process]).status();
    assert!(done.unwrap().success());
    assert!(coordinator.child.wait().unwrap().success());
    assert!(!coordinator.is_held());
}

/// The status and the body of an answer.
fn http(port: u16, request: &str, token: &str) -> Option<(u16, Value)> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let head = format!(
        "{request} HTTP/1.1\r\nHost: pod\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    Some((status, serde_json::from_str(body).unwrap()))
}

#[test]
fn over_http_whoever_has_the_token_may_ask() {
    let secret = tempfile::tempdir().unwrap();
    let file = secret.path().join("token");
    fs::write(&file, "s3cret\n").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let address = format!("127.0.0.1:{port}");
    let arguments = ["--listen", &address, "--token-file", file.to_str().unwrap()];
    let coordinator = Coordinator::with(SESSION, &arguments);
    for wrong in ["", "s3cre", "s3cret2"] {
        assert_eq!(http(port, "POST /start", wrong).unwrap().0, 401);
    }
    assert!(!coordinator.is_held());
    let (status, reply) = http(port, "POST /start", "s3cret").unwrap();
    assert_eq!(
        (status, &reply["state"]["state"]),
        (200, &"held".into()),
        "{reply}"
    );
    assert!(coordinator.is_held());
    assert_eq!(
        http(port, "GET /status", "s3cret").unwrap().1["state"],
        "held"
    );
    assert_eq!(http(port, "POST /stop", "s3cret").unwrap().0, 200);
    assert_eq!(http(port, "POST /stop", "s3cret").unwrap().0, 410);

    let mut open = quiescent(&["coordinator", "serve", "--listen", "0.0.0.0:0", "--state"]);
    let output = open.arg(secret.path()).args(["--", "/bin/true"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--token-file"));
}

#[test]
fn it_runs_where_there_is_no_c_library_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut install = quiescent(&["coordinator", "install"]);
    assert!(install.arg(folder.path()).status().unwrap().success());
    let output = Command::new(folder.path().join("ld.so"))
        .arg("--library-path")
        .arg(folder.path())
        .arg(folder.path().join("quiescent"))
        .arg("version")
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.starts_with(b"quiescent "));
}
