//! A database in a pod, spoken to by the clients of this machine, and the writers of the proofs at it.
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};

use super::node::{Node, SOON};
use crate::{
    apiserver::kit::{eventually, run},
    databases::{
        mysql, postgresql, redis,
        writers::{Record, Session, Writers, session},
    },
};

/// Between two transactions of one writer: a load that leaves the machine to Velero.
const PACE: Duration = Duration::from_millis(25);

const PASSWORD: &str = "correct horse";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    PostgreSql,
    MariaDb,
    Redis,
}

impl Engine {
    pub const ALL: [Self; 3] = [Self::MariaDb, Self::PostgreSql, Self::Redis];

    pub const fn name(self) -> &'static str {
        match self {
            Self::PostgreSql => "postgresql",
            Self::MariaDb => "mariadb",
            Self::Redis => "redis",
        }
    }

    /// The policy of the library by which it is captured so.
    pub fn policy(self, method: &str) -> String {
        match (self, method) {
            (Self::PostgreSql, "physical") => "postgresql-basebackup".to_owned(),
            (Self::MariaDb, "physical") => "mariadb-backup".to_owned(),
            _ => format!("{}-{method}", self.name()),
        }
    }

    /// The container as its users write it, with its data on the volume `data`, and small caches.
    pub fn container(self) -> Value {
        let (image, path, port, arguments): (_, _, u16, &[&str]) = match self {
            Self::PostgreSql => (
                "postgres:15",
                "/var/lib/postgresql",
                5432,
                &[
                    "-c",
                    "shared_buffers=24MB",
                    "-c",
                    "checkpoint_timeout=30s",
                    "-c",
                    "max_wal_size=96MB",
                ],
            ),
            Self::MariaDb => (
                "mariadb:10.11",
                "/var/lib/mysql",
                3306,
                &["--innodb-buffer-pool-size=64M"],
            ),
            Self::Redis => ("redis:7", "/data", 6379, &["--appendonly", "yes"]),
        };
        json!({
            "name": self.name(), "image": format!("quiescent.test/{image}"), "args": arguments,
            "env": match self {
                Self::PostgreSql => json!([{"name": "POSTGRES_PASSWORD", "value": PASSWORD}]),
                Self::MariaDb => json!([{"name": "MARIADB_ROOT_PASSWORD", "value": PASSWORD}]),
                Self::Redis => json!([]),
            },
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
            "volumeMounts": [{"name": "data", "mountPath": path}],
        })
    }
}

/// A pod with a database.
pub struct Server<'c> {
    pub node: &'c Node,
    pub namespace: &'static str,
    pub pod: &'static str,
    pub engine: Engine,
}

impl Server<'_> {
    pub fn pod(&self) -> Value {
        let get = format!("get pod -n {} {}", self.namespace, self.pod);
        self.node.kubectl.json(&get, "")
    }

    pub fn is_ready(&self) {
        self.node.kubectl.run(&format!(
            "wait -n {} --for condition=Ready pod/{} --timeout 180s",
            self.namespace, self.pod
        ));
        self.lets_clients_in();
    }

    /// A server that recovers has its port open before.
    pub fn lets_clients_in(&self) {
        let question = match self.engine {
            Engine::Redis => "ping",
            Engine::PostgreSql | Engine::MariaDb => "select 1",
        };
        eventually("clients are let in", SOON, || {
            let answer = self.attempt(&[question]).ok()?;
            (answer == "1" || answer == "PONG").then_some(())
        });
    }

    /// A client that reads from a pipe.
    fn client(&self) -> Command {
        let pod = self.pod();
        let address = pod["status"]["podIP"]
            .as_str()
            .expect("the pod has an address");
        let (program, arguments, variable): (_, &[&str], _) = match self.engine {
            Engine::PostgreSql => (
                "psql",
                &["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres"],
                "PGPASSWORD",
            ),
            Engine::MariaDb => (
                "mariadb",
                &[
                    "--no-defaults",
                    "--user=root",
                    "--batch",
                    "--raw",
                    "--skip-column-names",
                    "--unbuffered",
                ],
                "MYSQL_PWD",
            ),
            Engine::Redis => ("redis-cli", &[], "QUIESCENT_UNUSED"),
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args(["-h", address])
            .env(variable, PASSWORD);
        command
    }

    pub fn attempt(&self, words: &[&str]) -> Result<String, String> {
        let mut client = self.client();
        match self.engine {
            Engine::PostgreSql => client.arg("-c"),
            Engine::MariaDb => client.arg("-e"),
            Engine::Redis => &mut client,
        };
        run(client.args(words)).map(|answer| answer.trim_end().to_owned())
    }

    /// What a statement, or the words of a command of Redis, is answered.
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> String {
        self.attempt(words)
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// A session whose input the caller has.
    pub fn session(&self) -> Command {
        self.client()
    }

    /// Makes what the writers write to, and a table that they leave alone.
    pub fn fill(&self) {
        match self.engine {
            Engine::PostgreSql => {
                self.ask(&[postgresql::proof::TABLES]);
                self.ask(&["create table aside (id int)"]);
            }
            Engine::MariaDb => {
                self.ask(&[mysql::proof::TABLES]);
                self.ask(&["create table shop.aside (id int primary key)"]);
            }
            Engine::Redis => {}
        }
    }

    pub fn writers(&self) -> Writers {
        Writers::start(|writer| {
            let transaction = match self.engine {
                Engine::PostgreSql => postgresql::proof::transaction,
                Engine::MariaDb => mysql::proof::transaction,
                Engine::Redis => redis::proof::transaction,
            };
            let mut write: Session = session(self.client(), writer, transaction);
            Box::new(move |number| {
                write(number);
                std::thread::sleep(PACE);
            })
        })
    }

    /// What is there of the writers' work, when all checks pass.
    ///
    /// # Errors
    /// What is wrong.
    pub fn record(&self) -> Result<Record, String> {
        match self.engine {
            Engine::PostgreSql => postgresql::proof::record(|statement| self.ask(&[statement])),
            Engine::MariaDb => mysql::proof::record(|statement| self.ask(&[statement])),
            Engine::Redis => redis::proof::record(|command| self.ask(command)),
        }
    }

    /// What there is in a server that may not come up, or be damaged.
    pub fn alone(&self) -> Result<Record, String> {
        let wait = format!(
            "wait -n {} --for condition=Ready pod/{} --timeout 20s",
            self.namespace, self.pod
        );
        let kubectl = &self.node.kubectl;
        if kubectl.attempt(&wait, "").is_err() {
            let log = format!("logs -n {} {} --tail 40", self.namespace, self.pod);
            let log = kubectl.attempt(&log, "").unwrap_or_else(|error| error);
            let why = log
                .lines()
                .find(|line| line.contains("PANIC") || line.contains("FATAL"));
            return Err(why.unwrap_or("it does not come up").to_owned());
        }
        let looked = || {
            self.lets_clients_in();
            self.record()
        };
        catch_unwind(AssertUnwindSafe(looked))
            .unwrap_or_else(|_| Err("it comes up, and fails when it is looked at".to_owned()))
    }
}

/// A database with its data on the claim `NAME-data`.
pub fn with_one_claim(name: &str, engine: Engine, labels: &Value) -> Value {
    json!({
        "metadata": {"labels": labels},
        "spec": {
            "containers": [engine.container()],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": format!("{name}-data")}}],
        },
    })
}

/// A MariaDB that a coordinator locks, with its data on the claim `NAME-data`, and the Secret with its
/// password: what stands in the pod itself is not copied to a coordinator.
pub fn locked(name: &str) -> [Value; 2] {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "stringData": {"root": PASSWORD},
    });
    let labels = json!({"quiescent.dev/method": "lock"});
    let mut pod = with_one_claim(name, Engine::MariaDb, &labels);
    pod["spec"]["containers"][0]["env"] = json!([{
        "name": "MARIADB_ROOT_PASSWORD",
        "valueFrom": {"secretKeyRef": {"name": name, "key": "root"}},
    }]);
    [pod, secret]
}

/// A PostgreSQL with its log on a claim of its own.
pub fn with_two_claims(name: &str, labels: &Value) -> Value {
    let mut container = Engine::PostgreSql.container();
    let claim = |volume: &str| json!({"name": volume, "persistentVolumeClaim": {"claimName": format!("{name}-{volume}")}});
    let list = |value: &mut Value, more: Value| value.as_array_mut().unwrap().push(more);
    list(
        &mut container["env"],
        json!({"name": "POSTGRES_INITDB_WALDIR", "value": "/pgwal/wal"}),
    );
    list(
        &mut container["volumeMounts"],
        json!({"name": "wal", "mountPath": "/pgwal"}),
    );
    json!({
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "volumes": [claim("data"), claim("wal")]},
    })
}

/// The same, to be frozen as docs/library/filesystem-freeze.md has it, for so long at most.
pub fn frozen(name: &str, limit: &str) -> Value {
    let labels =
        json!({"quiescent.dev/method": "snapshot", "quiescent.dev/filesystem-freeze": "enabled"});
    let mut pod = with_two_claims(name, &labels);
    pod["metadata"]["annotations"] = json!({
        "quiescent.dev/filesystem-freeze.paths": "/data /wal",
        "quiescent.dev/filesystem-freeze.limit": limit,
    });
    let thaw = "thaw() { for path in /data /wal; do fsfreeze --unfreeze $path; done 2>/dev/null; }
        thaw; trap 'thaw; exit' TERM; sleep infinity & wait $!";
    pod["spec"]["containers"].as_array_mut().unwrap().push(json!({
        "name": "quiescent-freeze", "image": "quiescent.test/postgres:15",
        "command": ["/bin/sh", "-c", thaw],
        "securityContext": {"runAsUser": 0, "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "wal", "mountPath": "/wal"}],
    }));
    pod
}
