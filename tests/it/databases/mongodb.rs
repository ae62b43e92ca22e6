//! MongoDB: a server for a test, and what its hooks must do.

mod faults;
mod members;
pub mod proof;
mod restore;

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use serde_json::Value;

use super::{
    harness::{NOBODY, eventually, is_root, pod, possible},
    installation::Installation,
    server::{Place, Server, output, place},
};

pub struct Mongo {
    server: Server,
    installation: Installation,
    /// Where the server asks for a password, that of its root.
    password: Option<&'static str>,
}

impl Mongo {
    /// The packages, where this machine has what the tests need.
    pub fn at_hand() -> Option<Installation> {
        if !possible(&[]) {
            return None;
        }
        Installation::named("mongodb-3.6")
    }

    /// Starts a server with these arguments on the files in a place.
    fn serve(
        installation: &Installation,
        program: &str,
        (folder, port): Place,
        arguments: &[&str],
    ) -> Result<Self, String> {
        let mut command = installation.unprivileged(program, folder.path());
        command.args(["--bind_ip", "127.0.0.1", "--port", &port.to_string()]);
        command.args(arguments);
        if program == "mongod" {
            command.arg("--dbpath").arg(folder.path());
            // Small, so that the load makes it write.
            command.args(["--wiredTigerCacheSizeGB", "0.3", "--syncdelay", "5"]);
        }
        let ready = || {
            let asked = client(installation, port)
                .args(["--eval", "quit(db.runCommand({ping: 1}).ok ? 0 : 1)"])
                .output();
            asked.is_ok_and(|done| done.status.success())
        };
        Ok(Self {
            server: Server::try_start(command, (folder, port), "-TERM", ready)?,
            installation: installation.clone(),
            password: None,
        })
    }

    /// A server that belongs to nothing.
    fn alone(installation: &Installation, arguments: &[&str]) -> Self {
        Self::serve(installation, "mongod", place(), arguments).unwrap()
    }

    /// The primary of a replica set of one.
    fn of(installation: &Installation) -> Self {
        let server = Self::alone(installation, &["--replSet", "rs"]);
        server.initiate("rs", &[&server]);
        server
    }

    /// The same, where nobody gets in without a password.
    fn with_password(installation: &Installation, password: &'static str) -> Self {
        let place = place();
        let key = place.0.path().join("key");
        fs::write(&key, "0123456789").unwrap();
        fs::set_permissions(&key, PermissionsExt::from_mode(0o400)).unwrap();
        if is_root() {
            std::os::unix::fs::chown(&key, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let arguments = ["--replSet", "rs", "--keyFile", key.to_str().unwrap()];
        let mut server = Self::serve(installation, "mongod", place, &arguments).unwrap();
        server.initiate("rs", &[&server]);
        let password_ = serde_json::to_string(password).unwrap();
        server.ask(&format!(
            "db.getSiblingDB('admin').createUser({{user: 'root', pwd: {password_}, roles: ['root']}})"
        ));
        server.password = Some(password);
        server
    }

    fn initiate(&self, set: &str, members: &[&Self]) {
        let members: Vec<String> = members
            .iter()
            .enumerate()
            .map(|(id, member)| {
                let only = if id == 0 { "" } else { ", priority: 0" };
                format!("{{_id: {id}, host: '{}'{only}}}", member.host())
            })
            .collect();
        self.ask(&format!(
            "if (!rs.initiate({{_id: '{set}', members: [{}]}}).ok) quit(1)",
            members.join(", ")
        ));
        eventually("the set has a primary", || {
            self.ask("print(db.isMaster().ismaster)") == "true"
        });
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.server.port)
    }

    /// A pod beside this server, backed up by this method.
    fn pod(&self, method: &str, environment: &[(&str, &str)]) -> Value {
        let port = self.server.port.to_string();
        let own = [("MONGODB_PORT_NUMBER", port.as_str())];
        let mut pod = pod("bitnami/mongodb:7.0", &[&own[..], environment].concat());
        pod["metadata"]["labels"]["quiescent.dev/method"] = method.into();
        pod
    }

    /// A session that has logged in where it must.
    fn client(&self) -> Command {
        let mut command = client(&self.installation, self.server.port);
        if let Some(password) = self.password {
            command.args(["--authenticationDatabase", "admin"]);
            command.args(["-u", "root", "-p", password]);
        }
        command
    }

    /// What a line of JavaScript prints.
    #[track_caller]
    fn ask(&self, line: &str) -> String {
        output(self.client().args(["--eval", line]))
    }
}

fn client(installation: &Installation, port: u16) -> Command {
    let mut command = installation.client("mongo");
    command.args(["--quiet", "--norc", "--host", "127.0.0.1"]);
    command.args(["--port", &port.to_string()]);
    command
}
