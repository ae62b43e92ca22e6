//! InfluxDB: a server for a test, and what its hooks must do.

mod faults;
mod proof;
mod restore;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

use serde_json::{Value, json};

use super::{
    harness::{pod, possible},
    server::{Place, Server, client, output, place, unprivileged},
};

pub struct Influx {
    server: Server,
    /// Where backups go by.
    rpc: u16,
    password: &'static str,
}

const ADMIN: &str = "admin";

impl Influx {
    /// Whether this machine has what the tests need.
    pub fn at_hand() -> bool {
        possible(&["influxd", "influx"])
    }

    /// A server with one administrator; without a password it asks nobody who they are.
    fn start(password: &'static str) -> Self {
        let influx = Self::open(place(), password).unwrap();
        if !password.is_empty() {
            influx.ask(&format!(
                "create user {ADMIN} with password '{password}' with all privileges"
            ));
        }
        influx
    }

    /// Starts a server on the files in a place.
    fn open((folder, port): Place, password: &'static str) -> Result<Self, String> {
        let (_, rpc) = place();
        let settings = format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n\
             [meta]\ndir = \"{0}/meta\"\n\
             [data]\ndir = \"{0}/data\"\nwal-dir = \"{0}/wal\"\ncache-snapshot-memory-size = \"64k\"\n\
             [http]\nbind-address = \"127.0.0.1:{port}\"\nauth-enabled = {1}\nlog-enabled = false\n",
            folder.path().display(),
            !password.is_empty(),
        );
        let file = folder.path().join("influxdb.conf");
        fs::write(&file, settings).unwrap();
        let mut command = unprivileged("influxd", folder.path());
        command.arg("-config").arg(file);
        let pinged = || {
            let mut connection = TcpStream::connect(("127.0.0.1", port)).ok();
            connection
                .as_mut()
                .is_some_and(|it| exchange(it, "GET /ping", "").starts_with("HTTP/1.1 204"))
        };
        Ok(Self {
            server: Server::try_start(command, (folder, port), "-TERM", pinged)?,
            rpc,
            password,
        })
    }

    /// A pod beside this server.
    fn pod(&self) -> Value {
        let credentials = [
            ("INFLUXDB_ADMIN_USER", ADMIN),
            ("INFLUXDB_ADMIN_PASSWORD", self.password),
        ];
        self.pod_with(if self.password.is_empty() {
            &[]
        } else {
            &credentials
        })
    }

    fn pod_with(&self, environment: &[(&str, &str)]) -> Value {
        let mut pod = pod("influxdb:1.8-alpine", environment);
        pod["metadata"]["annotations"] = json!({
            "quiescent.dev/influxdb-dump.host": format!("127.0.0.1:{}", self.rpc),
            "quiescent.dev/influxdb-dump.port": self.server.port.to_string(),
        });
        pod
    }

    fn client(&self) -> Command {
        let mut command = client("influx");
        command
            .args(["-host", "127.0.0.1", "-port", &self.server.port.to_string()])
            .args(["-format", "csv"]);
        if !self.password.is_empty() {
            command.envs([
                ("INFLUX_USERNAME", ADMIN),
                ("INFLUX_PASSWORD", self.password),
            ]);
        }
        command
    }

    #[track_caller]
    fn ask(&self, question: &str) -> String {
        output(self.client().args(["-execute", question]))
    }

    #[track_caller]
    fn ask_in(&self, database: &str, question: &str) -> String {
        output(
            self.client()
                .args(["-database", database, "-execute", question]),
        )
    }

    /// Writes lines of the line protocol, and returns once the server has acknowledged them.
    #[track_caller]
    fn write(&self, database: &str, lines: &str) {
        let mut connection = TcpStream::connect(("127.0.0.1", self.server.port)).unwrap();
        write(&mut connection, database, self.password, lines);
    }
}

#[track_caller]
fn write(connection: &mut TcpStream, database: &str, password: &str, lines: &str) {
    let target = format!("POST /write?db={database}&u={ADMIN}&p={password}");
    let answer = exchange(connection, &target, lines);
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

/// One request over a connection that stays; its answer has no body.
fn exchange(connection: &mut TcpStream, target: &str, body: &str) -> String {
    let request = format!(
        "{target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut piece = [0; 512];
        let length = connection.read(&mut piece).unwrap();
        if length == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..length]);
    }
    String::from_utf8(answer).unwrap()
}
