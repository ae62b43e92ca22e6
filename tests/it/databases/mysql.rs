//! MySQL and MariaDB: a server of either for a test, and what their hooks must do.

mod accounts;
mod check;
mod faults;
mod physical;
pub mod proof;
mod restore;
mod roles;
mod snapshot;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use serde_json::Value;

use super::{
    capture::copy_all,
    harness::{self, Container, NOBODY, Pod, eventually, in_namespace, is_root, possible},
    installation::Installation,
    server::{Place, Server, output, place},
};

/// A server of one of them whose root has a password.
pub struct MySql {
    server: Server,
    installation: Installation,
    password: &'static str,
}

/// What servers run with, whose tests do not care for more.
const SETTINGS: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--innodb-buffer-pool-size=64M",
    // Small, so that a row that fits does not in a dump.
    "--max-allowed-packet=4M",
];

/// The servers of this name, if they and what hooks need are here. `mariadb` is this machine's own.
pub fn at_hand(name: &str) -> Option<Installation> {
    if name == "mariadb" {
        let tools = ["mariadbd", "mariadb-install-db", "mariadb-dump", "busybox"];
        return possible(&tools).then(Installation::own);
    }
    possible(&["busybox"]).then(|| Installation::named(name))?
}

impl MySql {
    /// A fresh server, initialised as the official image does it.
    fn start(installation: &Installation, password: &'static str, settings: &[&str]) -> Self {
        let place = place();
        let data = place.0.path().join("data");
        copy_all(&initialised(installation), &data);
        // Two servers with one name do not replicate; each makes up its own.
        let _ = fs::remove_file(data.join("auto.cnf"));
        Self::serve(installation, place, password, settings).unwrap()
    }

    /// Starts a server on the data directory in a place, and gives its root the password.
    fn serve(
        installation: &Installation,
        place: Place,
        password: &'static str,
        settings: &[&str],
    ) -> Result<Self, String> {
        let port = place.1;
        let home = place.0.path().to_owned();
        let mut command = program(installation, &home);
        command.args(SETTINGS).args(settings);
        command.arg(format!("--port={port}"));
        command.arg(format!("--socket={}", home.join("socket").display()));
        command.arg(format!("--pid-file={}", home.join("pid").display()));
        command.arg(if is_mariadb(installation) {
            "--innodb-log-file-size=48M"
        } else {
            "--innodb-redo-log-capacity=48M"
        });
        let ready = || {
            let statement = format!("alter user root@localhost identified by '{password}'");
            ["", password].iter().any(|password| {
                let done = connection(installation, client(installation), port, password)
                    .args(["-e", &statement])
                    .stderr(Stdio::null())
                    .status();
                done.is_ok_and(|status| status.success())
            })
        };
        let server = Server::try_start(command, place, "-KILL", ready)?;
        Ok(Self {
            server,
            installation: installation.clone(),
            password,
        })
    }

    /// A pod beside this server, whose variables say this password.
    fn pod(&self, password: &str) -> Value {
        let port = self.server.port.to_string();
        let data = self.home().join("data");
        let (image, variable) = if is_mariadb(&self.installation) {
            ("mariadb:11", "MARIADB_ROOT_PASSWORD")
        } else {
            ("mysql:8.4", "MYSQL_ROOT_PASSWORD")
        };
        harness::pod(
            image,
            &[
                ("MYSQL_TCP_PORT", &port),
                (variable, password),
                ("QUIESCENT_DATA_DIRECTORY", data.to_str().unwrap()),
            ],
        )
    }

    /// The same with a label for the method, gone through the program.
    fn pod_by(&self, method: &str) -> Pod {
        let mut pod = self.pod(self.password);
        pod["metadata"]["labels"]["quiescent.dev/method"] = method.into();
        let pod = Pod::inject(&pod, &[]);
        self.mount(&pod);
        pod
    }

    /// Lets the server see the pod's dump volume where the container sees it.
    fn mount(&self, pod: &Pod) {
        let seen = self.home().join("quiescent/dump");
        let _ = fs::remove_file(&seen);
        symlink(pod.volume(), seen).unwrap();
    }

    fn container(&self) -> Container {
        self.installation.container()
    }

    fn home(&self) -> &Path {
        self.server.folder.path()
    }

    /// A client of root.
    fn client(&self, program: &str) -> Command {
        connection(&self.installation, program, self.server.port, self.password)
    }

    /// A session of root.
    fn session(&self) -> Command {
        let mut command = self.client(client(&self.installation));
        command.args(["--batch", "--raw", "--skip-column-names", "--unbuffered"]);
        command
    }

    #[track_caller]
    fn sql(&self, statement: &str) -> String {
        output(self.session().args(["-e", statement]))
    }

    /// Runs a file of statements.
    #[track_caller]
    fn load(&self, statements: &str) {
        let mut client = self.session().stdin(Stdio::piped()).spawn().unwrap();
        client
            .stdin
            .take()
            .unwrap()
            .write_all(statements.as_bytes())
            .unwrap();
        assert!(client.wait().unwrap().success());
    }

    /// Everything that users made, and the accounts, as text that two equal servers have in common.
    fn everything(&self) -> String {
        let schemas = self.sql(
            "select schema_name from information_schema.schemata
             where schema_name not in ('mysql', 'sys', 'information_schema', 'performance_schema')
             order by schema_name",
        );
        let mut text = self.accounts();
        if schemas.is_empty() {
            return text;
        }
        let mut dump = self.client(if is_mariadb(&self.installation) {
            "mariadb-dump"
        } else {
            "mysqldump"
        });
        dump.args(["--skip-comments", "--routines", "--triggers", "--events"]);
        dump.args(["--hex-blob", "--no-tablespaces", "--max-allowed-packet=64M"]);
        if !is_mariadb(&self.installation) {
            dump.arg("--set-gtid-purged=OFF");
        }
        text += &output(dump.arg("--databases").args(schemas.lines()));
        text
    }

    /// What makes the accounts that users made, roles too.
    fn accounts(&self) -> String {
        let names = self.sql(
            "select concat(quote(user), '@', quote(host)) from mysql.user
             where user not in ('root', 'healthcheck', 'mariadb.sys') and user not like 'mysql.%' order by 1",
        );
        let mut text = String::new();
        for name in names.lines() {
            let is_role = is_mariadb(&self.installation) && name.ends_with("@''");
            let name = if is_role {
                &name[..name.len() - 3]
            } else {
                name
            };
            text += &self.sql(&format!("show grants for {name}"));
            if !is_role {
                let hex = if is_mariadb(&self.installation) {
                    ""
                } else {
                    "set print_identified_with_as_hex = on;"
                };
                text += &self.sql(&format!("{hex} show create user {name}"));
            }
            text.push('\n');
        }
        text
    }

    /// A session that has a table of its own until it is dropped.
    fn lock(&self, table: &str) -> Locked {
        let mut session = self
            .session()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let request = format!("lock tables {table} write;\n");
        session
            .stdin
            .as_mut()
            .unwrap()
            .write_all(request.as_bytes())
            .unwrap();
        eventually("the table is locked", || {
            !self.sql("show open tables where in_use > 0").is_empty()
        });
        Locked(session)
    }
}

/// A table that nobody else can read.
struct Locked(Child);

impl Drop for Locked {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn is_mariadb(installation: &Installation) -> bool {
    installation.root().join("usr/sbin/mariadbd").exists()
}

fn client(installation: &Installation) -> &'static str {
    if is_mariadb(installation) {
        "mariadb"
    } else {
        "mysql"
    }
}

fn connection(installation: &Installation, program: &str, port: u16, password: &str) -> Command {
    let mut command = installation.client(program);
    command.args(["--no-defaults", "--user=root", "--protocol=tcp"]);
    command.args(["--host=127.0.0.1", "--default-character-set=utf8mb4"]);
    command
        .arg(format!("--port={port}"))
        .env("MYSQL_PWD", password);
    command
}

/// The server's program on the data directory in a folder. It sees a pod's volumes, as a server in a
/// container does.
fn program(installation: &Installation, home: &Path) -> Command {
    let root = home.join("root");
    let volumes = home.join("quiescent");
    for folder in [&root, &volumes] {
        fs::create_dir_all(folder).unwrap();
    }
    let ids = if is_root() {
        format!("{NOBODY}:{NOBODY}")
    } else {
        "own".into()
    };
    let mut command = in_namespace();
    command.args(["sh", "-c", include_str!("enter.sh"), "enter.sh"]);
    command.arg(root).arg("/bin/sh").args([&ids, "rw", "0"]);
    command.arg(volumes).arg("/quiescent").arg("--");
    // A MariaDB that starts removes the temporary tables of every other in the same folder.
    command.args(["/usr/bin/env", "-i"]);
    command.arg(format!("PATH={}", installation.path()));
    command.arg(format!("TMPDIR={}", home.display()));
    command.args(of_server(installation, &home.join("data")));
    command
}

/// The server and where its parts are.
fn of_server(installation: &Installation, data: &Path) -> Vec<String> {
    let root = installation.root();
    let at = |option: &str, path: PathBuf| format!("--{option}={}", path.display());
    let mut words = vec!["--no-defaults".to_owned(), at("datadir", data.to_owned())];
    if is_mariadb(installation) {
        words.insert(0, "mariadbd".into());
        words.push(at("lc-messages-dir", root.join("usr/share/mysql")));
        words.push(at("plugin-dir", root.join("usr/lib/mysql/plugin")));
        return words;
    }
    let messages =
        ["mysql", "mysql-8.0", "mysql-8.4"].map(|name| root.join("usr/share").join(name));
    let messages = messages
        .into_iter()
        .find(|folder| folder.join("english").exists());
    words.insert(0, "mysqld".into());
    words.push(at("basedir", root.join("usr")));
    words.push(at("plugin-dir", root.join("usr/lib/mysql/plugin")));
    words.extend(messages.map(|folder| at("lc-messages-dir", folder)));
    words.extend(["--mysqlx=OFF".into(), "--secure-file-priv=".into()]);
    words
}

/// A data directory with nothing in it, made once.
fn initialised(installation: &Installation) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock();
    let name = installation
        .root()
        .file_name()
        .map_or("mariadb".into(), std::borrow::ToOwned::to_owned);
    let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if template.exists() {
        return template;
    }
    let (folder, _) = place();
    let data = folder.path().join("data");
    if is_mariadb(installation) {
        let mut command = installation.unprivileged("mariadb-install-db", folder.path());
        command.args([
            "--no-defaults",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ]);
        command.arg(format!("--datadir={}", data.display()));
        command.arg(format!(
            "--basedir={}",
            installation.root().join("usr").display()
        ));
        output(&mut command);
    } else {
        let words = of_server(installation, &data);
        let mut command = installation.unprivileged(&words[0], folder.path());
        command.args(&words[1..]).arg("--initialize-insecure");
        output(command.arg("--innodb-redo-log-capacity=48M"));
    }
    // Another process may be at it too.
    let made = template.with_extension(std::process::id().to_string());
    output(Command::new("cp").arg("-a").arg(&data).arg(&made));
    let _ = fs::rename(&made, &template);
    template
}
