//! Redis: a server for a test, and what its hooks must do.

mod faults;
mod load;
mod restore;

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{
    harness::{pod, possible},
    server::{Server, client, output, place, unprivileged},
};

struct Redis {
    server: Server,
    password: &'static str,
}

impl Redis {
    /// Whether this machine has what the tests need.
    fn at_hand() -> bool {
        possible(&["redis-server", "redis-cli", "redis-check-rdb"])
    }

    /// A server with these settings; an empty password is none.
    fn start(password: &'static str, settings: &[&str]) -> Self {
        let (folder, port) = place();
        let mut command = unprivileged("redis-server", folder.path());
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--enable-debug-command",
            "local",
            "--save",
            "",
        ]);
        command.arg("--dir").arg(folder.path()).args(settings);
        if !password.is_empty() {
            command.args(["--requirepass", password]);
        }
        let asked = || {
            let done = session(port, password)
                .arg("ping")
                .stderr(Stdio::null())
                .output();
            done.is_ok_and(|done| done.stdout == b"PONG\n")
        };
        Self {
            server: Server::start(command, (folder, port), "-TERM", asked),
            password,
        }
    }

    /// A pod beside this server. The official image has no variable for the port.
    fn pod(&self, environment: &[(&str, &str)]) -> Value {
        let mut pod = pod("redis:7.0", environment);
        let port = self.server.port.to_string();
        pod["metadata"]["annotations"]["quiescent.dev/redis-dump.port"] = port.into();
        pod
    }

    fn session(&self) -> Command {
        session(self.server.port, self.password)
    }

    #[track_caller]
    fn ask(&self, command: &[&str]) -> String {
        // With -e an error reply is a failure.
        output(self.session().arg("-e").args(command))
    }
}

fn session(port: u16, password: &str) -> Command {
    let mut command = client("redis-cli");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    if !password.is_empty() {
        command.env("REDISCLI_AUTH", password);
    }
    command
}
