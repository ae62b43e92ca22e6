//! PostgreSQL: a server for a test, and what its hooks must do.

mod awkward;
mod basebackup;
mod check;
mod deliveries;
mod faults;
mod first_process;
mod parameters;
mod privileges;
pub mod proof;
mod restore;
mod roles;
mod secrets;
mod snapshot;

use std::{fs, process::Command};

use serde_json::Value;

use super::{
    harness::{pod, possible},
    installation::Installation,
    server::{Place, Server, output, place},
};

pub struct Postgres(Server, Installation);

impl Postgres {
    /// Whether this machine has what the tests need.
    pub fn at_hand() -> bool {
        possible(&["postgres", "psql", "pg_dump", "busybox"])
    }

    /// Runs a test on an installation, this machine's own if no name is given.
    fn on(name: &str, test: impl Fn(&Installation)) {
        if !Self::at_hand() {
            return;
        }
        let installation = if name.is_empty() {
            Some(Installation::own())
        } else {
            Installation::named(name)
        };
        if let Some(installation) = installation {
            test(&installation);
        }
    }

    /// A server that lets everybody in who comes from this machine, like the official image.
    fn start() -> Self {
        Self::of(&Installation::own())
    }

    /// As `start`, of one version.
    fn of(installation: &Installation) -> Self {
        Self::initialised(installation, "trust", "unused", &[])
    }

    /// A server that asks for the password.
    fn start_with_password(password: &str) -> Self {
        Self::initialised(&Installation::own(), "scram-sha-256", password, &[])
    }

    /// A server whose data directory was made with these arguments besides.
    fn initialised(
        installation: &Installation,
        authentication: &str,
        password: &str,
        arguments: &[&str],
    ) -> Self {
        let place = Self::initialise(installation, authentication, password, arguments);
        Self::serve(installation, place).unwrap()
    }

    /// Makes a data directory.
    fn initialise(
        installation: &Installation,
        authentication: &str,
        password: &str,
        arguments: &[&str],
    ) -> Place {
        let (folder, port) = place();
        let home = folder.path().to_owned();
        let password_file = home.join("password");
        fs::write(&password_file, password).unwrap();
        output(
            installation
                .unprivileged("initdb", &home)
                .args([
                    "--username=postgres",
                    "--encoding=UTF8",
                    "--no-locale",
                    "--no-sync",
                ])
                .arg(format!("--auth={authentication}"))
                .arg(format!("--pwfile={}", password_file.display()))
                .arg(format!("--pgdata={}", home.join("data").display()))
                .args(arguments),
        );
        (folder, port)
    }

    /// Starts a server on the data directory in a place.
    fn serve(installation: &Installation, place: Place) -> Result<Self, String> {
        // In a new container the process that this file names is not there.
        let _ = fs::remove_file(place.0.path().join("data/postmaster.pid"));
        let command = Self::command(installation, &place);
        Self::run(installation, command, place)
    }

    /// The command that starts a server on the data directory in a place.
    fn command(installation: &Installation, (folder, port): &Place) -> Command {
        let home = folder.path();
        let mut command = installation.unprivileged("postgres", home);
        command
            .arg("-D")
            .arg(home.join("data"))
            .args(["-p", &port.to_string()]);
        // Small, so that the load makes it write and recycle.
        for setting in [
            "fsync=off",
            "shared_buffers=24MB",
            "checkpoint_timeout=30s",
            "max_wal_size=96MB",
            "listen_addresses=127.0.0.1",
        ] {
            command.args(["-c", setting]);
        }
        command
            .arg("-c")
            .arg(format!("unix_socket_directories={}", home.display()));
        command
    }

    /// Starts a server by a command.
    fn run(installation: &Installation, command: Command, place: Place) -> Result<Self, String> {
        let port = place.1.to_string();
        let ready = || {
            let asked = installation
                .client("pg_isready")
                .args(["-q", "-h", "127.0.0.1", "-p", &port])
                .status();
            asked.is_ok_and(|status| status.success())
        };
        let server = Server::try_start(command, place, "-QUIT", ready)?;
        Ok(Self(server, installation.clone()))
    }

    /// A second server that follows this one.
    fn standby(&self) -> Self {
        let (folder, port) = place();
        let mut copy = self.1.unprivileged("pg_basebackup", folder.path());
        copy.args(["-h", "127.0.0.1", "-p", &self.0.port.to_string()])
            .args(["-U", "postgres", "--write-recovery-conf"])
            .args(["--checkpoint=fast", "--no-sync", "-D"])
            .arg(folder.path().join("data"));
        output(&mut copy);
        Self::serve(&self.1, (folder, port)).unwrap()
    }

    /// A pod beside this server.
    fn pod(&self, environment: &[(&str, &str)]) -> Value {
        let port = self.0.port.to_string();
        pod(
            "postgres:15",
            &[&[("PGPORT", port.as_str())], environment].concat(),
        )
    }

    /// As `pod`, labelled for a method.
    fn pod_for(&self, method: &str, environment: &[(&str, &str)]) -> Value {
        let mut pod = self.pod(environment);
        pod["metadata"]["labels"]["quiescent.dev/method"] = method.into();
        pod
    }

    /// A client of this server, as its superuser.
    fn client(&self, program: &str, database: &str) -> Command {
        let mut command = self.1.client(program);
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

/// Makes a function that takes an installation a test on every version.
macro_rules! on_every_version {
    ($test:ident) => {
        mod $test {
            use crate::databases::postgresql::Postgres;

            #[test]
            fn postgresql_13() {
                Postgres::on("postgresql-13", super::$test);
            }

            #[test]
            fn postgresql_14() {
                Postgres::on("postgresql-14", super::$test);
            }

            #[test]
            fn postgresql_15() {
                Postgres::on("", super::$test);
            }

            #[test]
            fn postgresql_16() {
                Postgres::on("postgresql-16", super::$test);
            }

            #[test]
            fn postgresql_17() {
                Postgres::on("postgresql-17", super::$test);
            }

            #[test]
            fn postgresql_18() {
                Postgres::on("postgresql-18", super::$test);
            }
        }
    };
}
use on_every_version;

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
