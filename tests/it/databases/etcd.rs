//! etcd: a member for a test, and what its hooks must do.

mod check;
mod faults;
pub mod proof;
mod restore;
mod tls;

use std::process::Command;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    harness::{pod, possible},
    http::Http,
    installation::Installation,
    server::{Place, Server, output, place},
};

pub struct Etcd {
    server: Server,
    installation: Installation,
}

impl Etcd {
    /// Whether this machine has what the tests need.
    pub fn at_hand() -> bool {
        possible(&["etcd", "etcdctl"])
    }

    fn start() -> Self {
        Self::of(&Installation::own())
    }

    fn of(installation: &Installation) -> Self {
        Self::serve(installation, place(), &[]).unwrap()
    }

    /// Starts a member on the data directory in a place.
    fn serve(
        installation: &Installation,
        (folder, port): Place,
        arguments: &[&str],
    ) -> Result<Self, String> {
        let mut command = installation.unprivileged("etcd", folder.path());
        let peers = format!("http://127.0.0.1:{}", place().1);
        let clients = format!("http://127.0.0.1:{port}");
        command.arg("--data-dir").arg(folder.path().join("data"));
        for (flag, value) in [
            ("--listen-client-urls", clients.as_str()),
            ("--advertise-client-urls", &clients),
            ("--listen-peer-urls", &peers),
            ("--initial-advertise-peer-urls", &peers),
            ("--initial-cluster", &format!("default={peers}")),
            // Low, so that the log is cut and files come and go.
            ("--snapshot-count", "5000"),
        ] {
            command.args([flag, value]);
        }
        command.args(arguments);
        let ready = || {
            let health = Http::connect(port).and_then(|mut it| it.request("GET", "/health", ""));
            health.is_ok_and(|(_, health)| health.contains("true"))
        };
        Ok(Self {
            server: Server::try_start(command, (folder, port), "-TERM", ready)?,
            installation: installation.clone(),
        })
    }

    /// A pod beside this member, in an image with a shell, backed up by this method.
    fn pod(&self, method: &str, environment: &[(&str, &str)]) -> Value {
        pod_at(
            (self.server.folder.path(), self.server.port),
            method,
            environment,
        )
    }

    fn client(&self) -> Command {
        let mut command = self.installation.client("etcdctl");
        command.env("ETCDCTL_API", "3");
        command.env("ETCDCTL_ENDPOINTS", address(self.server.port));
        command
    }

    #[track_caller]
    fn ask(&self, arguments: &[&str]) -> String {
        output(self.client().args(arguments))
    }

    fn http(&self) -> Http {
        Http::connect(self.server.port).unwrap()
    }
}

fn address(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// A pod whose etcd has its files in a folder and listens on a port.
fn pod_at(
    (folder, port): (&std::path::Path, u16),
    method: &str,
    environment: &[(&str, &str)],
) -> Value {
    let clients = format!("http://0.0.0.0:{port}");
    let data = folder.join("data").display().to_string();
    let own = [
        ("ETCD_LISTEN_CLIENT_URLS", clients.as_str()),
        ("ETCD_DATA_DIR", &data),
    ];
    let mut pod = pod("bitnami/etcd:3.5.16", &[&own[..], environment].concat());
    pod["metadata"]["labels"]["quiescent.dev/method"] = method.into();
    pod
}

/// Sends a request to the gateway; its answer.
fn call(http: &mut Http, path: &str, body: &Value) -> Value {
    let (status, answer) = http.request("POST", path, &body.to_string()).unwrap();
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

fn encoded(text: impl AsRef<[u8]>) -> Value {
    BASE64_STANDARD.encode(text).into()
}

fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Value {
    json!({ "requestPut": { "key": encoded(key), "value": encoded(value) } })
}
