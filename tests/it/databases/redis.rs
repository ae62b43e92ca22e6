//! Redis and Valkey: a server for a test, and what its hooks must do.

mod check;
mod faults;
mod full;
mod members;
pub mod proof;
mod restore;
mod snapshot;

use std::{
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{
    harness::{Container, pod, possible},
    installation::Installation,
    server::{Place, Server, output, place},
};

/// The versions that are at hand beside this machine's own.
const VERSIONS: [&str; 4] = ["redis-6.0", "redis-8.0", "valkey-8.1", "valkey-9"];

pub struct Redis {
    server: Server,
    password: &'static str,
    installation: Installation,
}

impl Redis {
    /// Whether this machine has what the tests need.
    pub fn at_hand() -> bool {
        possible(&["redis-server", "redis-cli", "redis-check-rdb"])
    }

    /// A server with these settings; an empty password is none.
    fn start(password: &'static str, settings: &[&str]) -> Self {
        Self::of(&Installation::own(), password, settings)
    }

    /// As `start`, a server of an installation.
    fn of(installation: &Installation, password: &'static str, settings: &[&str]) -> Self {
        Self::serve(installation, place(), password, settings).unwrap()
    }

    /// A sentinel that watches nothing.
    fn start_as_sentinel() -> Self {
        let place = place();
        let configuration = place.0.path().join("sentinel.conf");
        std::fs::write(&configuration, "").unwrap();
        std::fs::set_permissions(&configuration, PermissionsExt::from_mode(0o666)).unwrap();
        let file = configuration.to_str().unwrap();
        Self::launch(&Installation::own(), place, "", &[file, "--sentinel"]).unwrap()
    }

    /// Starts a server of an installation on the files in a place.
    fn serve(
        installation: &Installation,
        (folder, port): Place,
        password: &'static str,
        settings: &[&str],
    ) -> Result<Self, String> {
        let home = folder.path().to_str().unwrap().to_owned();
        let mut all = vec!["--save", "", "--dir", &home];
        // Redis 6 has no such setting, and debugs without one.
        let version = output(
            installation
                .client(tool(installation, "server"))
                .arg("--version"),
        );
        if !version.contains(" v=6.") {
            all.extend(["--enable-debug-command", "local"]);
        }
        all.extend(settings);
        if !password.is_empty() {
            all.extend(["--requirepass", password]);
        }
        Self::launch(installation, (folder, port), password, &all)
    }

    fn launch(
        installation: &Installation,
        (folder, port): Place,
        password: &'static str,
        arguments: &[&str],
    ) -> Result<Self, String> {
        let mut command = installation.unprivileged(&tool(installation, "server"), folder.path());
        command
            .args(arguments)
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        Self::run(installation, (folder, port), password, command)
    }

    fn run(
        installation: &Installation,
        (folder, port): Place,
        password: &'static str,
        command: Command,
    ) -> Result<Self, String> {
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
        self.pod_for("dump", environment)
    }

    /// As `pod`, backed up by this method.
    fn pod_for(&self, method: &str, environment: &[(&str, &str)]) -> Value {
        let image = match kind(&self.installation) {
            "valkey" => "valkey/valkey:8.1",
            _ => "redis:7.0",
        };
        let mut pod = pod(image, environment);
        let port = format!("quiescent.dev/redis-{method}.port");
        pod["metadata"]["annotations"][port] = self.server.port.to_string().into();
        pod["metadata"]["labels"]["quiescent.dev/method"] = method.into();
        pod
    }

    /// A container of this server's image.
    fn container(&self) -> Container {
        self.installation.container()
    }

    fn session(&self) -> Command {
        session(&self.installation, self.server.port, self.password)
    }

    /// What the server answers; it must not be an error. Redis 6 has no -e, which would say so.
    #[track_caller]
    fn ask(&self, command: &[&str]) -> String {
        let answer = output(self.session().args(command));
        let error = [
            "ERR ",
            "NOPERM ",
            "NOAUTH ",
            "WRONGTYPE ",
            "MISCONF ",
            "READONLY ",
        ]
        .iter()
        .any(|error| answer.starts_with(error));
        assert!(!error, "{command:?}: {answer}");
        answer
    }

    /// One field of INFO.
    fn field(&self, name: &str) -> String {
        let info = self.ask(&["info", "all"]);
        let field = info
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        field.unwrap_or_default().trim_end().to_owned()
    }

    /// One setting.
    fn setting(&self, name: &str) -> String {
        let answer = self.ask(&["config", "get", name]);
        answer.split_once('\n').map_or("", |it| it.1).to_owned()
    }
}

/// Redis or Valkey.
fn kind(installation: &Installation) -> &'static str {
    let root = installation.root.as_ref();
    if root.is_some_and(|root| root.join("usr/bin/valkey-server").exists()) {
        "valkey"
    } else {
        "redis"
    }
}

fn tool(installation: &Installation, name: &str) -> String {
    format!("{}-{name}", kind(installation))
}

fn session(installation: &Installation, port: u16, password: &str) -> Command {
    let mut command = installation.client(tool(installation, "cli"));
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    if !password.is_empty() {
        command.env("REDISCLI_AUTH", password);
    }
    command
}
