//! The scripts of `tests/kit`, kubectl, and a `quiescent serve`: what the tests on real parts share.
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support;

/// A file of `tests/kit`.
pub fn kit(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/kit")
        .join(path)
}

/// Whether a build script of the kit has nothing left to do. In CI it may do it.
pub fn built(script: &str, programs: &[&str]) -> bool {
    let mut command = Command::new(kit("built"));
    if std::env::var_os("CI").is_some() {
        command = Command::new(kit(script));
    } else {
        command.arg(kit(script));
    }
    command
        .args(programs)
        .output()
        .is_ok_and(|run| run.status.success())
}

/// What a command printed, or what it complained about.
pub fn run(command: &mut Command) -> Result<String, String> {
    run_with_input(command, "")
}

pub fn run_with_input(command: &mut Command, input: &str) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("failed to run {}: {error}", command.get_program().display())
        });
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_owned();
    let writer = thread::spawn(move || {
        // A program that has seen enough may close its end.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("a child can be waited for");
    writer.join().expect("the writer does not panic");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(stdout)
    } else {
        Err(stderr + &stdout)
    }
}

/// Asks again and again until there is an answer: for caches and watches, which have no other way
/// to say that they have caught up.
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Status and text of a page by plain HTTP.
pub fn page(host: &str, path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(host).ok()?;
    // HTTP/1.0 has no chunks: what follows the empty line is the body.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?;
    Some((status.to_owned(), body.to_owned()))
}

pub struct Kubectl {
    pub program: PathBuf,
    pub kubeconfig: PathBuf,
}

impl Kubectl {
    pub fn new(kubeconfig: PathBuf) -> Self {
        let directory =
            run(Command::new(kit("envtest/build")).arg("kubectl")).expect("kubectl is built");
        Self {
            program: Path::new(directory.trim()).join("kubectl"),
            kubeconfig,
        }
    }

    /// `arguments` are separated by spaces; the input is what `-f -` reads.
    pub fn attempt(&self, arguments: &str, input: &str) -> Result<String, String> {
        self.attempt_args(arguments.split_whitespace(), input)
    }

    pub fn attempt_args<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: &str,
    ) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments);
        run_with_input(&mut command, input)
    }

    #[track_caller]
    pub fn run(&self, arguments: &str) -> String {
        self.apply(arguments, "")
    }

    #[track_caller]
    pub fn apply(&self, arguments: &str, input: &str) -> String {
        match self.attempt(arguments, input) {
            Ok(output) => output,
            Err(error) => panic!("kubectl {arguments}: {error}"),
        }
    }

    #[track_caller]
    pub fn json(&self, arguments: &str, input: &str) -> Value {
        let output = self.apply(&format!("{arguments} -o json"), input);
        serde_json::from_str(&output)
            .unwrap_or_else(|error| panic!("kubectl {arguments}: {error}: {output}"))
    }

    /// The name of every object of every kind.
    pub fn everything(&self) -> BTreeSet<String> {
        let kinds = self.run("api-resources --verbs=list,create -o name");
        let kinds: Vec<&str> = kinds
            .split_whitespace()
            .filter(|kind| !kind.starts_with("events"))
            .collect();
        let columns = "-o custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name --no-headers";
        let all = self.run(&format!("get {} -A {columns}", kinds.join(",")));
        all.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// What a command in a container printed.
    pub fn exec<A: AsRef<OsStr>>(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        argv: &[A],
    ) -> Result<String, String> {
        let kubectl = ["exec", "-n", namespace, pod, "-c", container, "--"].map(OsStr::new);
        self.attempt_args(
            kubectl.into_iter().chain(argv.iter().map(AsRef::as_ref)),
            "",
        )
    }
}

/// `quiescent serve` as a process of its own, ready, until it is dropped or killed.
pub struct Webhook {
    process: Process,
    /// Where the webhook answers, as it says itself.
    pub url: String,
}

impl Webhook {
    pub fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let (process, banner) = Process::start("serve", arguments);
        let url = banner.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("webhook")).then(|| words.next().map(str::to_owned))?
        });
        process.ready();
        Self {
            process,
            url: url.expect("serve says where it answers"),
        }
    }

    /// The certificate that an API server has to trust.
    pub fn ca(&self) -> String {
        self.admin("/ca.pem").expect("/ca.pem")
    }
}

impl Deref for Webhook {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Webhook {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// A command of the program that goes on until it is told to stop, dropped or killed.
pub struct Process {
    child: Child,
    command: &'static str,
    admin: String,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// The process, and what it said until it named its admin port.
    pub fn start<A: AsRef<OsStr>>(
        command: &'static str,
        arguments: impl IntoIterator<Item = A>,
    ) -> (Self, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_quiescent"))
            .arg(command)
            .args(arguments)
            // So that pods that get nothing have a line too.
            .env("QUIESCENT_LOG_LEVEL", "info,quiescent=debug")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("quiescent starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("stderr is piped");
        thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let mut log = log.lock().expect("nobody panics with the log");
                    log.push_str(&line);
                    log.push('\n');
                }
            }
        });

        let mut banner = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let (mut admin, mut printed) = (None, String::new());
        while admin.is_none() {
            let Some(Ok(line)) = banner.next() else {
                let _ = child.wait();
                let log = log.lock().expect("nobody panics with the log");
                panic!("quiescent {command} ended before it listened:\n{printed}{log}");
            };
            let mut words = line.split_whitespace();
            if words.next() == Some("admin") {
                admin = words.next().map(str::to_owned);
            }
            printed.push_str(&line);
            printed.push('\n');
        }
        // The rest of the banner must go somewhere, or its writer would wait for a reader.
        thread::spawn(move || banner.for_each(drop));
        let process = Self {
            child,
            command,
            admin: admin.expect("the loop ends with it"),
            log,
        };
        (process, printed)
    }

    pub fn ready(&self) {
        eventually("quiescent is ready", Duration::from_secs(30), || {
            self.admin("/readyz")
        });
    }

    pub fn admin_port(&self) -> u16 {
        let (_, port) = self
            .admin
            .trim_end_matches('/')
            .rsplit_once(':')
            .expect("a port");
        port.parse().expect("a port")
    }

    /// What a page of the admin port says, if it says 200.
    pub fn admin(&self, path: &str) -> Option<String> {
        let (status, body) = self.answer(path)?;
        (status == "200").then_some(body)
    }

    /// Status and text of a page of the admin port.
    pub fn answer(&self, path: &str) -> Option<(String, String)> {
        let host = self.admin.strip_prefix("http://")?.trim_end_matches('/');
        page(host, path)
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("nobody panics with the log").clone()
    }

    /// Waits for a line of the log that has all of `words`.
    #[track_caller]
    pub fn logged(&self, words: &[&str]) -> String {
        let what = format!("a line of the log with {words:?}");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let log = self.log();
            if let Some(line) = log
                .lines()
                .find(|line| words.iter().all(|word| line.contains(word)))
            {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "not found: {what} in\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal, as `kill` names it.
    pub fn signal(&self, name: &str) {
        let told = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(told.is_ok_and(|status| status.success()), "kill -s {name}");
    }

    /// A line of `/proc/PID/status`, in bytes.
    pub fn memory(&self, line: &str) -> u64 {
        support::memory(self.child.id(), line)
    }

    /// Whether it ended well, when it has ended.
    pub fn ended(&mut self) -> bool {
        self.child.wait().is_ok_and(|status| status.success())
    }

    /// SIGKILL: no draining, no goodbye.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let end = &lines[lines.len().saturating_sub(40)..];
            println!(
                "the end of the log of quiescent {} at {}:\n{}",
                self.command,
                self.admin,
                end.join("\n")
            );
        }
    }
}
