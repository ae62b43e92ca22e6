//! MariaDB: a server for a test, and what its hooks must do.

mod faults;
mod load;
mod restore;

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{
    harness::{pod, possible},
    server::{Server, client, output, place, unprivileged},
};

struct MariaDb {
    server: Server,
    password: &'static str,
}

impl MariaDb {
    /// Whether this machine has what the tests need.
    fn at_hand() -> bool {
        possible(&["mariadbd", "mariadb-install-db", "mariadb", "mariadb-dump"])
    }

    /// A server whose root has this password, initialised as the official image does it.
    fn start(password: &'static str) -> Self {
        let (folder, port) = place();
        let home = folder.path().to_owned();
        let data = format!("--datadir={}", home.join("data").display());
        output(unprivileged("mariadb-install-db", &home).args([
            "--no-defaults",
            &data,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]));
        let mut command = unprivileged("mariadbd", &home);
        command.args([
            "--no-defaults",
            &data,
            "--bind-address=127.0.0.1",
            "--innodb-buffer-pool-size=64M",
        ]);
        command.args([
            "--innodb-log-file-size=48M",
            "--innodb-flush-log-at-trx-commit=0",
        ]);
        command.arg(format!("--port={port}"));
        command.arg(format!("--socket={}", home.join("socket").display()));
        command.arg(format!("--pid-file={}", home.join("pid").display()));
        let asked = || {
            let statement = format!("set password for root@localhost = password('{password}')");
            let done = root(port, "")
                .args(["-e", &statement])
                .stderr(Stdio::null())
                .status();
            done.is_ok_and(|status| status.success())
        };
        Self {
            server: Server::start(command, (folder, port), "-KILL", asked),
            password,
        }
    }

    /// A pod beside this server.
    fn pod(&self, password: &str) -> Value {
        let port = self.server.port.to_string();
        pod(
            "mariadb:10.11",
            &[
                ("MYSQL_TCP_PORT", &port),
                ("MARIADB_ROOT_PASSWORD", password),
            ],
        )
    }

    /// A session of root.
    fn session(&self) -> Command {
        root(self.server.port, self.password)
    }

    #[track_caller]
    fn sql(&self, statement: &str) -> String {
        output(self.session().args(["-e", statement]))
    }

    /// Everything that users made, as text that two equal servers have in common.
    fn everything(&self) -> String {
        let schemas = self.sql(
            "select group_concat(schema_name order by schema_name separator '\\n') from information_schema.schemata
             where schema_name not in ('mysql', 'sys', 'information_schema', 'performance_schema')",
        );
        if schemas == "NULL" {
            return String::new();
        }
        let mut dump = client("mariadb-dump");
        connection(&mut dump, self.server.port, self.password);
        dump.args([
            "--skip-dump-date",
            "--routines",
            "--triggers",
            "--hex-blob",
            "--databases",
        ]);
        output(dump.args(schemas.lines()))
    }
}

fn root(port: u16, password: &str) -> Command {
    let mut command = client("mariadb");
    connection(&mut command, port, password);
    command.args(["--batch", "--raw", "--skip-column-names", "--unbuffered"]);
    command
}

fn connection(command: &mut Command, port: u16, password: &str) {
    command.args([
        "--no-defaults",
        "--user=root",
        "--protocol=tcp",
        "--host=127.0.0.1",
    ]);
    command
        .arg(format!("--port={port}"))
        .arg("--default-character-set=utf8mb4");
    command.env("MYSQL_PWD", password);
}
