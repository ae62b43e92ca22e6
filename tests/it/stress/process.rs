//! `quiescent serve` as a process of its own: started, asked on its admin port, signalled, ended.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::until;
use crate::support::{memory, quiescent};

/// Runs until it is dropped.
pub struct Process {
    child: Child,
    pub webhook: SocketAddr,
    pub admin: SocketAddr,
    log: Arc<Mutex<String>>,
}

/// An open connection to the admin port.
pub struct Admin(http1::SendRequest<Empty<Bytes>>);

impl Process {
    /// Starts it with `arguments` on ports of its own, and logs from warnings upwards.
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = serve(arguments);
        command.env("QUIESCENT_LOG_LEVEL", "warn");
        Self::spawn(command)
    }

    /// Starts what [`serve`] gives, changed at will.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = follow(child.stderr.take().unwrap());
        let Some((webhook, admin)) = addresses(child.stdout.take().unwrap()) else {
            let status = child.wait().unwrap();
            panic!("serve ended with {status}: {}", log.lock().unwrap());
        };
        Self {
            child,
            webhook,
            admin,
            log,
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until its log has these words, after so many bytes of it.
    pub async fn until_logged(&self, after: usize, words: &str) {
        until(format_args!("{words:?} in the log"), async || {
            self.log()[after..].contains(words).then_some(())
        })
        .await;
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        until("the end of the process", async || {
            self.child.try_wait().unwrap()
        })
        .await
    }

    pub async fn admin(&self) -> Admin {
        let stream = TcpStream::connect(self.admin).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Admin(sender)
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        self.admin().await.get(path).await
    }

    /// Whether the kubelet would call it ready.
    pub async fn is_ready(&self) -> bool {
        self.get("/readyz").await.0 == 200
    }

    pub async fn until_ready(&self) {
        until("readiness", async || self.is_ready().await.then_some(())).await;
    }

    pub async fn metric(&self, series: &str) -> u64 {
        self.admin().await.metric(series).await
    }

    /// Waits until `series` has reached `count`.
    pub async fn until_metric(&self, series: &str, count: u64) {
        until(format_args!("{series} {count}"), async || {
            (self.metric(series).await >= count).then_some(())
        })
        .await;
    }

    /// A line of `/proc/PID/status`, in bytes: `VmRSS` is in memory now (`RssAnon` without what is read from files), `VmHWM` was at most.
    pub fn memory(&self, line: &str) -> u64 {
        memory(self.pid(), line)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Admin {
    pub async fn get(&mut self, path: &str) -> (u16, String) {
        let request = Request::get(path).header(header::HOST, "localhost");
        let request = request.body(Empty::new()).unwrap();
        let response = self.0.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The value of a series, named with its labels and without our prefix.
    pub async fn metric(&mut self, series: &str) -> u64 {
        let (_, metrics) = self.get("/metrics").await;
        let name = format!("quiescent_{series} ");
        let found = metrics.lines().find_map(|line| line.strip_prefix(&*name));
        let value = found.unwrap_or_else(|| panic!("no {name} in {metrics}"));
        value.parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command line of `serve` on free ports, before the ones that are given.
pub fn serve(arguments: &[&str]) -> Command {
    let mut command = quiescent(&["serve", "--log", "json"]);
    command.args(arguments);
    for port in ["--listen", "--admin"] {
        if !arguments.contains(&port) {
            command.args([port, "127.0.0.1:0"]);
        }
    }
    command
}

/// What the banner says of the two listeners, when it comes to that.
fn addresses(stdout: ChildStdout) -> Option<(SocketAddr, SocketAddr)> {
    let mut webhook = None;
    for line in BufReader::new(stdout).lines() {
        let line = line.unwrap();
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("webhook"), Some(url)) => {
                let address = url
                    .strip_prefix("https://")
                    .unwrap()
                    .strip_suffix("/mutate");
                webhook = Some(address.unwrap().parse().unwrap());
            }
            (Some("admin"), Some(url)) => {
                let admin = url.strip_prefix("http://").unwrap().parse().unwrap();
                return Some((webhook?, admin));
            }
            _ => {}
        }
    }
    None
}

/// Reads the log as it comes, so that the process never waits for a reader.
fn follow(stderr: ChildStderr) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let written = Arc::clone(&log);
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut log = written.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
    log
}
