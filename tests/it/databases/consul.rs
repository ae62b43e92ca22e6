//! Consul: a server for a test, and what its hooks must do.

mod faults;
mod proof;

use std::io;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    harness::{pod, possible},
    http::Http,
    installation::Installation,
    server::{Place, Server, place},
};

const TOKEN: &str = "11111111-1111-1111-1111-111111111111";

pub struct Consul {
    server: Server,
    token: &'static str,
}

impl Consul {
    /// The packages, where this machine has what the tests need.
    pub fn at_hand() -> Option<Installation> {
        if !possible(&[]) {
            return None;
        }
        Installation::named("consul-1.8")
    }

    /// A server that lets everybody do everything.
    fn of(installation: &Installation) -> Self {
        let arguments = ["-server", "-bootstrap-expect=1"];
        Self::serve(installation, place(), "", &arguments)
    }

    /// A server that asks for the token.
    fn with_token(installation: &Installation) -> Self {
        let acl = format!(
            "acl = {{enabled = true, default_policy = \"deny\", tokens = {{master = \"{TOKEN}\"}}}}"
        );
        let arguments = ["-server", "-bootstrap-expect=1", "-hcl", &acl];
        Self::serve(installation, place(), TOKEN, &arguments)
    }

    /// An agent that is no server.
    fn client_of(&self, installation: &Installation) -> Self {
        let server = format!("-retry-join=127.0.0.1:{}", self.server.port);
        Self::serve(installation, place(), "", &[&server])
    }

    fn serve(
        installation: &Installation,
        (folder, port): Place,
        token: &'static str,
        arguments: &[&str],
    ) -> Self {
        let mut command = installation.unprivileged("consul", folder.path());
        command.args(["agent", "-bind=127.0.0.1", "-client=127.0.0.1", "-data-dir"]);
        command.arg(folder.path().join("data"));
        command.args(["-dns-port=-1", "-grpc-port=-1", "-serf-wan-port=-1"]);
        for (flag, port) in [
            ("http", port),
            ("serf-lan", place().1),
            ("server", place().1),
        ] {
            command.arg(format!("-{flag}-port={port}"));
        }
        command.args(arguments);
        let path = if arguments.contains(&"-server") {
            "/v1/kv/x?consistent"
        } else {
            "/v1/agent/self"
        };
        let ready = || {
            let asked = connect(port, token).and_then(|mut it| it.request("GET", path, ""));
            asked.is_ok_and(|(status, _)| matches!(status, 200 | 404))
        };
        Self {
            server: Server::start(command, (folder, port), "-KILL", ready),
            token,
        }
    }

    fn pod(&self, environment: &[(&str, &str)]) -> Value {
        let address = format!("127.0.0.1:{}", self.server.port);
        let own = [("CONSUL_HTTP_ADDR", address.as_str())];
        pod("hashicorp/consul:1.20", &[&own[..], environment].concat())
    }

    fn http(&self) -> Http {
        connect(self.server.port, self.token).unwrap()
    }

    fn value(&self, key: &str) -> String {
        let path = format!("/v1/kv/{key}?raw");
        self.http().request("GET", &path, "").unwrap().1
    }
}

fn connect(port: u16, token: &str) -> io::Result<Http> {
    Ok(Http::connect(port)?.with_header("X-Consul-Token", token))
}

/// Sets keys in one transaction.
fn set(http: &mut Http, keys: &[(&str, &str)]) {
    let all: Vec<Value> = keys
        .iter()
        .map(|(key, value)| {
            let value = BASE64_STANDARD.encode(value);
            json!({ "KV": { "Verb": "set", "Key": key, "Value": value } })
        })
        .collect();
    let (status, answer) = http
        .request("PUT", "/v1/txn", &Value::from(all).to_string())
        .unwrap();
    assert_eq!(status, 200, "{answer}");
}
