//! A PostgreSQL, a MariaDB and a Redis that are written to while Velero backs them up: of what had been
//! acknowledged when a pre hook began nothing is missing after the restore, and their own checks pass, also
//! in the copy of a verification. By dump, by snapshot and by a copy of the files, and after each thing that
//! can go wrong in between.
//!
//! One round; with `QUIESCENT_STRESS` those of two claims go on for so long.
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quiescent::velero::log::Entry;
use serde_json::{Value, json};

use super::{cluster::Cluster, hook_of, names, verified, was_injected_once};
use crate::{
    cluster::{
        Steps,
        server::{Engine, Server},
    },
    databases::writers::{Record, WRITERS, Writers},
};

mod claims;
mod faults;

const ALL: [(&str, Engine); 3] = [
    ("mariadb", Engine::MariaDb),
    ("postgresql", Engine::PostgreSql),
    ("redis", Engine::Redis),
];

/// Those whose files can be copied while they run.
const FILES: [(&str, Engine); 2] = [
    ("mariadb-files", Engine::MariaDb),
    ("postgresql-files", Engine::PostgreSql),
];

pub fn every_acknowledged_write_comes_back(cluster: &Cluster, steps: &Steps) {
    by_dump(cluster, steps);
    by_copy(cluster, steps);
    claims::several_are_one_moment_while_writes_are_held(cluster, steps);
}

fn by_dump(cluster: &Cluster, steps: &Steps) {
    cluster.namespace_with_hooks("dumped");
    let databases = made(cluster, "dumped", "dump", &ALL, |_| {
        json!({
            "metadata": {"annotations": {"quiescent.dev/postgresql-dump.lockWait": "2s"}},
            "spec": {"volumes": [{"name": "data", "emptyDir": {}}]},
        })
    });
    let load = Load::on(databases);
    steps.done("a PostgreSQL, a MariaDB and a Redis, four writers at each");
    faults::a_hook_that_fails_and_one_that_is_late(cluster, &load, steps);
    faults::no_node_agent(cluster, &load, steps);
    faults::velero_is_killed(cluster, &load, steps);

    let backup = cluster.backup("dumped-1", "dumped");
    assert_eq!(backup["status"]["phase"], "Completed", "{backup:#}");
    dumps_alone_are_uploaded(cluster, "dumped-1");
    let came = load.comes_back(cluster, "dumped-1");
    for (before, after) in &came {
        was_injected_once(before, after);
        assert_eq!(after["spec"]["initContainers"][0]["name"], "restore-wait");
    }
    steps.done("by dump: verified, deleted and restored, every acknowledged write is there; no pod was injected twice");
}

/// By snapshot, and by a copy of the files that an init container puts in place, in a restored pod and in
/// the copy of a verification.
fn by_copy(cluster: &Cluster, steps: &Steps) {
    cluster.namespace_with_hooks("copied");
    let mut databases = made(cluster, "copied", "snapshot", &ALL, |name| {
        cluster.claim("copied", name, "csi", "csi");
        json!({
            "metadata": {"labels": {"quiescent.dev/method": "snapshot"}},
            "spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]},
        })
    });
    databases.extend(made(cluster, "copied", "physical", &FILES, |_| {
        json!({
            "metadata": {"labels": {"quiescent.dev/method": "physical"}},
            "spec": {"volumes": [{"name": "data", "emptyDir": {}}]},
        })
    }));
    let load = Load::on(databases);
    let backup = cluster.backup("copied-1", "copied");
    assert_eq!(backup["status"]["phase"], "Completed", "{backup:#}");
    assert_eq!(
        backup["status"]["csiVolumeSnapshotsCompleted"], 3,
        "{backup:#}"
    );
    dumps_alone_are_uploaded(cluster, "copied-1");
    for (before, after) in &load.comes_back(cluster, "copied-1") {
        was_injected_once(before, after);
        if FILES
            .iter()
            .any(|(pod, _)| after["metadata"]["name"] == *pod)
        {
            puts_files_in_place(after);
        }
    }
    steps.done("by CSI snapshot, and by a copy of the files that an init container puts in place: verified, deleted and restored, every acknowledged write is there");
}

/// Velero's init container, completed by the webhook.
#[track_caller]
fn puts_files_in_place(pod: &Value) {
    let [wait, init] = &pod["spec"]["initContainers"].as_array().unwrap()[..] else {
        panic!("{pod:#}")
    };
    assert_eq!(wait["name"], "restore-wait");
    let name = init["name"].as_str().unwrap();
    assert!(name.starts_with("velero-restore-init-"), "{init:#}");
    let server = &pod["spec"]["containers"][0];
    assert_eq!(names(&init["volumeMounts"]), names(&server["volumeMounts"]));
}

fn dumps_alone_are_uploaded(cluster: &Cluster, backup: &str) {
    let mut volumes: Vec<Value> = (cluster.uploads(backup).iter())
        .map(|it| it["spec"]["volume"].clone())
        .collect();
    volumes.dedup();
    assert_eq!(volumes, [super::DUMP], "the data themselves are not copied");
}

/// Pods with these databases in a namespace, and the policies by which they are captured; `more` is what a
/// pod has beside the container.
fn made<'c>(
    cluster: &'c Cluster,
    namespace: &'static str,
    method: &str,
    pods: &[(&'static str, Engine)],
    more: impl Fn(&str) -> Value,
) -> Vec<(Server<'c>, String)> {
    let create = |(name, engine): &(&'static str, Engine)| {
        let mut pod = more(name);
        pod["spec"]["containers"] = json!([engine.container()]);
        cluster.create(namespace, name, pod);
        let server = Server {
            node: &cluster.node,
            namespace,
            pod: name,
            engine: *engine,
        };
        (server, engine.policy(method))
    };
    pods.iter().map(create).collect()
}

/// Databases of one namespace that are written to.
struct Load<'c> {
    databases: Vec<Database<'c>>,
}

struct Database<'c> {
    server: Server<'c>,
    policy: String,
    writers: Writers,
}

impl<'c> Load<'c> {
    fn on(databases: Vec<(Server<'c>, String)>) -> Self {
        for (server, _) in &databases {
            server.is_ready();
            server.fill();
        }
        let databases = databases.into_iter().map(|(server, policy)| Database {
            writers: server.writers(),
            server,
            policy,
        });
        let load = Self {
            databases: databases.collect(),
        };
        load.goes_on();
        load
    }

    /// Every writer of every database gets on.
    fn goes_on(&self) {
        for database in &self.databases {
            database.writers.have_written(20);
        }
    }

    fn of(&self, engine: Engine) -> &Server<'c> {
        let mut servers = self.databases.iter().map(|it| &it.server);
        servers.find(|server| server.engine == engine).unwrap()
    }

    /// Verifies the backup, deletes the namespace and restores it: what had been acknowledged when the pre
    /// hooks began must be there. Returns each pod before and after.
    fn comes_back(self, cluster: &Cluster, backup: &str) -> Vec<(Value, Value)> {
        self.goes_on();
        let namespace = self.databases[0].server.namespace;
        let (code, results) = cluster.results(&format!("backup/{backup}"));
        assert_eq!(code, 0, "{results:#}");
        let mut due = Vec::new();
        for Database {
            server,
            policy,
            writers,
        } in &self.databases
        {
            for phase in ["pre", "post"] {
                let hook = hook_of(&results, server.pod, phase);
                assert_eq!(hook["results"][0]["policy"], **policy, "{results:#}");
                assert_eq!(hook["exit"], 0, "{results:#}");
            }
            let record = writers.record_at(began(cluster, backup, policy));
            assert!(record.iter().all(|number| *number > 0), "{record:?}");
            due.push(record);
        }
        let all = self.databases.iter();
        let policies = all.map(|it| (it.server.pod, it.policy.clone()));
        verified::passes(cluster, backup, policies);
        let mut servers = Vec::new();
        for database in self.databases {
            database.writers.stop();
            servers.push((database.server.pod(), database.server));
        }
        cluster
            .node
            .kubectl
            .run(&format!("delete namespace {namespace} --timeout 180s"));
        let restore = cluster.restore(backup);
        assert_eq!(restore["status"]["phase"], "Completed", "{restore:#}");
        let pairs = servers.into_iter().zip(due);
        pairs
            .map(|((before, server), due)| {
                server.is_ready();
                let written = server
                    .record()
                    .unwrap_or_else(|why| panic!("{}: {why}", server.pod));
                assert_eq!(
                    missing(due, written),
                    0,
                    "{}: {due:?} {written:?}",
                    server.pod
                );
                (before, server.pod())
            })
            .collect()
    }
}

fn missing(due: Record, written: Record) -> u64 {
    let each = (0..WRITERS).map(|writer| due[writer].saturating_sub(written[writer]));
    each.sum()
}

/// A moment that is not after the pre hook of a policy began: Velero's log has whole seconds.
fn began(cluster: &Cluster, backup: &str, policy: &str) -> Instant {
    let log = cluster.log();
    let line = log.lines().find(|line| {
        line.contains("running exec hook")
            && line.contains("hookPhase=pre")
            && line.contains(&format!("backup=velero/{backup} "))
            && line.contains(&format!("/quiescent/{policy}/pre.sh"))
    });
    let line = line.unwrap_or_else(|| {
        std::fs::write("/tmp/t4/velero.log", &log).unwrap();
        panic!("no pre hook of {policy} in {backup}")
    });
    let time = Entry::read(line).time().expect("a line has its time");
    let time = UNIX_EPOCH + Duration::from_secs(time.unsigned_abs());
    let ago = SystemTime::now().duration_since(time).unwrap();
    Instant::now().checked_sub(ago).unwrap()
}
