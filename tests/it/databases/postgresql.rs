//! PostgreSQL: a server for a test, and what its hooks must do.

mod deliveries;
mod faults;
mod interrupted;
mod load;
mod parameters;
mod restore;
mod roles;
mod secrets;
mod snapshot;

use std::{fs, process::Command};

use serde_json::Value;

use super::{
    harness::{pod, possible},
    server::{Server, client, output, place, unprivileged},
};

struct Postgres(Server);

impl Postgres {
    /// Whether this machine has what the tests need.
    fn at_hand() -> bool {
        possible(&["postgres", "psql", "pg_dump", "busybox"])
    }

    /// A server that lets everybody in who comes from this machine, like the official image.
    fn start() -> Self {
        Self::start_with("trust", "unused")
    }

    /// A server that asks for the password.
    fn start_with_password(password: &str) -> Self {
        Self::start_with("scram-sha-256", password)
    }

    fn start_with(authentication: &str, password: &str) -> Self {
        let (folder, port) = place();
        let home = folder.path().to_owned();
        let password_file = home.join("password");
        fs::write(&password_file, password).unwrap();
        output(
            unprivileged("initdb", &home)
                .args([
                    "--username=postgres",
                    "--encoding=UTF8",
                    "--no-locale",
                    "--no-sync",
                ])
                .arg(format!("--auth={authentication}"))
                .arg(format!("--pwfile={}", password_file.display()))
                .arg(format!("--pgdata={}", home.join("data").display())),
        );
        Self::serve((folder, port))
    }

    /// Starts a server on the data directory in a place.
    fn serve((folder, port): (tempfile::TempDir, u16)) -> Self {
        let home = folder.path().to_owned();
        let mut command = unprivileged("postgres", &home);
        command
            .arg("-D")
            .arg(home.join("data"))
            .args(["-p", &port.to_string()]);
        // Small, so that the load makes it write and recycle.
        for setting in [
            "fsync=off",
            "shared_buffers=24MB",
            "max_wal_size=96MB",
            "listen_addresses=127.0.0.1",
        ] {
            command.args(["-c", setting]);
        }
        command
            .arg("-c")
            .arg(format!("unix_socket_directories={}", home.display()));
        let port_number = port.to_string();
        let ready = || {
            let asked = client("pg_isready")
                .args(["-q", "-h", "127.0.0.1", "-p", &port_number])
                .status();
            asked.is_ok_and(|status| status.success())
        };
        Self(Server::start(command, (folder, port), "-QUIT", ready))
    }

    /// A pod beside this server.
    fn pod(&self, environment: &[(&str, &str)]) -> Value {
        let port = self.0.port.to_string();
        pod(
            "postgres:15",
            &[&[("PGPORT", port.as_str())], environment].concat(),
        )
    }

    /// A client of this server, as its superuser.
    fn client(&self, program: &str, database: &str) -> Command {
        let mut command = client(program);
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.0.port.to_string());
        command
            .env("PGUSER", "postgres")
            .env("PGDATABASE", database);
        command
    }

    #[track_caller]
    fn sql(&self, database: &str, statement: &str) -> String {
        output(self.client("psql", database).args([
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
        ]))
    }

    /// As `sql`, on a server that asks for the password.
    fn sql_with(&self, password: &str, statement: &str) {
        output(
            self.client("psql", "postgres")
                .env("PGPASSWORD", password)
                .args(["-XAtqc", statement]),
        );
    }

    /// Everything there is, as text that two equal servers have in common.
    fn everything(&self) -> String {
        let dump = output(
            self.client("pg_dumpall", "postgres")
                .arg("--no-role-passwords"),
        );
        let differs =
            |line: &&str| line.starts_with("\\restrict") || line.starts_with("\\unrestrict");
        dump.lines()
            .filter(|line| !differs(line))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// A session that holds a table until it is dropped, so that a dump stops there.
    fn lock(&self, database: &str, table: &str) -> Locked {
        let mut session = self.client("psql", database);
        session.args(["-XAtq", "-v", "ON_ERROR_STOP=1"]);
        Locked::by(session, table)
    }
}

/// A table that nobody else can read.
struct Locked {
    session: std::process::Child,
}

impl Locked {
    fn by(mut session: Command, table: &str) -> Self {
        use std::{
            io::{BufRead, BufReader, Write},
            process::Stdio,
        };
        let mut session = session
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let request = format!("begin; lock table {table}; select 'locked';\n");
        session
            .stdin
            .as_mut()
            .unwrap()
            .write_all(request.as_bytes())
            .unwrap();
        let mut answer = String::new();
        BufReader::new(session.stdout.as_mut().unwrap())
            .read_line(&mut answer)
            .unwrap();
        assert_eq!(answer.trim(), "locked");
        Self { session }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // End of input ends psql, and its transaction.
        drop(self.session.stdin.take());
        let _ = self.session.wait();
    }
}
