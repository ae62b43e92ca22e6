//! NATS JetStream: a server for a test, and what its hooks must do.

mod faults;
mod proof;
mod wire;

use std::net::TcpStream;

use serde_json::{Value, json};

use super::{
    harness::{pod, possible},
    installation::Installation,
    server::{Place, Server, place},
};

pub struct Nats {
    server: Server,
    /// Where it says how it is.
    monitoring: u16,
    installation: Installation,
}

impl Nats {
    /// Whether this machine has what the tests need.
    pub fn at_hand() -> bool {
        possible(&["nats-server"])
    }

    fn start(installation: &Installation) -> Self {
        Self::serve(installation, place(), true).unwrap()
    }

    /// Starts a server on the files in a place.
    fn serve(
        installation: &Installation,
        (folder, port): Place,
        jetstream: bool,
    ) -> Result<Self, String> {
        let (_, monitoring) = place();
        let mut command = installation.unprivileged("nats-server", folder.path());
        command
            .args(["-a", "127.0.0.1", "-p", &port.to_string()])
            .args(["-m", &monitoring.to_string()]);
        if jetstream {
            command
                .arg("-js")
                .arg("-sd")
                .arg(folder.path().join("store"));
        }
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        Ok(Self {
            server: Server::try_start(command, (folder, port), "-KILL", listens)?,
            monitoring,
            installation: installation.clone(),
        })
    }

    /// A pod beside this server.
    fn pod(&self) -> Value {
        let mut pod = pod("nats:2.10.24-alpine", &[]);
        pod["metadata"]["annotations"] =
            json!({ "quiescent.dev/nats-copy.port": self.monitoring.to_string() });
        pod
    }

    fn client(&self) -> wire::Client {
        wire::Client::connect(self.server.port)
    }
}
