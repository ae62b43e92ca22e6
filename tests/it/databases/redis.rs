//! Redis: a server for a test, and what its hooks must do.

mod faults;
mod proof;
mod restore;

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{
    harness::{pod, possible},
    installation::Installation,
    server::{Place, Server, output, place},
};

struct Redis {
    server: Server,
    password: &'static str,
    installation: Installation,
}

impl Redis {
    /// Whether this machine has what the tests need.
    fn at_hand() -> bool {
        possible(&["redis-server", "redis-cli", "redis-check-rdb"])
    }

    /// A server with these settings; an empty password is none.
    fn start(password: &'static str, settings: &[&str]) -> Self {
        Self::serve(&Installation::own(), place(), password, settings).unwrap()
    }

    /// Starts a server of an installation on the files in a place.
    fn serve(
        installation: &Installation,
        (folder, port): Place,
        password: &'static str,
        settings: &[&str],
    ) -> Result<Self, String> {
        let mut command = installation.unprivileged("redis-server", folder.path());
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--enable-debug-command", "local", "--save", ""]);
        command.arg("--dir").arg(folder.path()).args(settings);
        if !password.is_empty() {
            command.args(["--requirepass", password]);
        }
        let asked = || {
            let done = session(installation, port, password)
                .arg("ping")
                .stderr(Stdio::null())
                .output();
            done.is_ok_and(|done| done.stdout == b"PONG\n")
        };
        Ok(Self {
            server: Server::try_start(command, (folder, port), "-TERM", asked)?,
            password,
            installation: installation.clone(),
        })
    }

    /// A pod beside this server. The official image has no variable for the port.
    fn pod(&self, environment: &[(&str, &str)]) -> Value {
        let mut pod = pod("redis:7.0", environment);
        let port = self.server.port.to_string();
        pod["metadata"]["annotations"]["quiescent.dev/redis-dump.port"] = port.into();
        pod
    }

    fn session(&self) -> Command {
        session(&self.installation, self.server.port, self.password)
    }

    #[track_caller]
    fn ask(&self, command: &[&str]) -> String {
        // With -e an error reply is a failure.
        output(self.session().arg("-e").args(command))
    }
}

fn session(installation: &Installation, port: u16, password: &str) -> Command {
    let mut command = installation.client("redis-cli");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    if !password.is_empty() {
        command.env("REDISCLI_AUTH", password);
    }
    command
}
