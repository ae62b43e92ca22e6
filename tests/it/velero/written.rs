//! A PostgreSQL, a MariaDB and a Redis that are written to while Velero backs them up: of what had been
//! acknowledged when a pre hook began nothing is missing after the restore, and their own checks pass, also
//! in the copy of a verification. By dump, by snapshot and by a copy of the files, and after each thing that
//! can go wrong in between.
//!
//! One round; with `QUIESCENT_STRESS` those of two claims go on for so long.
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quiescent::velero::log::Entry;
use serde_json::{Value, json};

use super::{cluster::Cluster, names, verified, was_injected_once};
use crate::{
    cluster::{
        Steps,
        server::{Engine, Server},
    },
    databases::writers::{Record, WRITERS, Writers},
};

mod claims;
mod faults;

pub fn every_acknowledged_write_comes_back(cluster: &Cluster, steps: &Steps) {
    by_dump(cluster, steps);
    by_snapshot(cluster, steps);
    by_files(cluster, steps);
    claims::several_are_one_moment_while_writes_are_held(cluster, steps);
}

fn by_dump(cluster: &Cluster, steps: &Steps) {
    let databases = some(cluster, "dumped", &Engine::ALL, |_| {
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
    let came = load.comes_back(cluster, "dumped-1", "dump");
    for (before, after) in &came {
        was_injected_once(before, after);
        assert_eq!(after["spec"]["initContainers"][0]["name"], "restore-wait");
    }
    steps.done("by dump: deleted and restored, every acknowledged write is there; no pod was injected twice");
}

fn by_snapshot(cluster: &Cluster, steps: &Steps) {
    let databases = some(cluster, "snapped", &Engine::ALL, |engine| {
        let name = engine.name();
        cluster.claim("snapped", name, "csi", "csi");
        json!({
            "metadata": {"labels": {"quiescent.dev/method": "snapshot"}},
            "spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]},
        })
    });
    let load = Load::on(databases);
    let backup = cluster.backup("snapped-1", "snapped");
    assert_eq!(backup["status"]["phase"], "Completed", "{backup:#}");
    assert_eq!(
        backup["status"]["csiVolumeSnapshotsCompleted"], 3,
        "{backup:#}"
    );
    for (before, after) in &load.comes_back(cluster, "snapped-1", "snapshot") {
        was_injected_once(before, after);
    }
    steps.done("by CSI snapshot: deleted and restored, every acknowledged write is there");
}

/// An init container puts the files in place, in a restored pod and in the copy of a verification.
fn by_files(cluster: &Cluster, steps: &Steps) {
    let engines = [Engine::MariaDb, Engine::PostgreSql];
    let databases = some(cluster, "physical", &engines, |_| {
        json!({
            "metadata": {"labels": {"quiescent.dev/method": "physical"}},
            "spec": {"volumes": [{"name": "data", "emptyDir": {}}]},
        })
    });
    let load = Load::on(databases);
    let backup = cluster.backup("physical-1", "physical");
    assert_eq!(backup["status"]["phase"], "Completed", "{backup:#}");
    dumps_alone_are_uploaded(cluster, "physical-1");
    for (before, after) in &load.comes_back(cluster, "physical-1", "physical") {
        was_injected_once(before, after);
        let [wait, init] = &after["spec"]["initContainers"].as_array().unwrap()[..] else {
            panic!("{after:#}")
        };
        assert_eq!(wait["name"], "restore-wait");
        assert!(
            init["name"]
                .as_str()
                .is_some_and(|it| it.starts_with("velero-restore-init-")),
            "{init:#}"
        );
        let server = &after["spec"]["containers"][0];
        assert_eq!(names(&init["volumeMounts"]), names(&server["volumeMounts"]));
    }
    steps.done("by a copy of the files: the init container of Velero, completed by the webhook, puts them in place; every acknowledged write is there");
}

fn dumps_alone_are_uploaded(cluster: &Cluster, backup: &str) {
    let mut volumes: Vec<Value> = (cluster.uploads(backup).iter())
        .map(|it| it["spec"]["volume"].clone())
        .collect();
    volumes.dedup();
    assert_eq!(volumes, [super::DUMP], "the data themselves are not copied");
}

/// One of each of these in a namespace; `more` is what their pods have beside the container.
fn some<'c>(
    cluster: &'c Cluster,
    namespace: &'static str,
    engines: &[Engine],
    more: impl Fn(Engine) -> Value,
) -> Vec<Server<'c>> {
    cluster.namespace_with_hooks(namespace);
    let made = |engine: &Engine| {
        let engine = *engine;
        let mut pod = more(engine);
        pod["spec"]["containers"] = json!([engine.container()]);
        let pod_name = engine.name();
        cluster.create(namespace, pod_name, pod);
        Server {
            node: &cluster.node,
            namespace,
            pod: pod_name,
            engine,
        }
    };
    let servers: Vec<Server<'c>> = engines.iter().map(made).collect();
    servers.iter().for_each(Server::is_ready);
    servers
}

/// Databases of one namespace that are written to.
struct Load<'c> {
    databases: Vec<(Server<'c>, Writers)>,
}

impl<'c> Load<'c> {
    fn on(databases: Vec<Server<'c>>) -> Self {
        databases.iter().for_each(Server::fill);
        let databases: Vec<_> = databases
            .into_iter()
            .map(|server| {
                let writers = server.writers();
                (server, writers)
            })
            .collect();
        let load = Self { databases };
        load.goes_on();
        load
    }

    /// Every writer of every database gets on.
    fn goes_on(&self) {
        for (_, writers) in &self.databases {
            writers.have_written(20);
        }
    }

    fn of(&self, engine: Engine) -> &Server<'c> {
        let mut all = self.databases.iter();
        &all.find(|(server, _)| server.engine == engine).unwrap().0
    }

    /// Verifies the backup, deletes the namespace and restores it: what had been acknowledged when the pre
    /// hooks of the `method` began must be there. Returns each pod before and after.
    fn comes_back(self, cluster: &Cluster, backup: &str, method: &str) -> Vec<(Value, Value)> {
        self.goes_on();
        let namespace = self.databases[0].0.namespace;
        let (code, results) = cluster.results(&format!("backup/{backup}"));
        assert_eq!(code, 0, "{results:#}");
        let mut due = Vec::new();
        for (server, writers) in &self.databases {
            let policy = server.engine.policy(method);
            for phase in ["pre", "post"] {
                let hook = hook_of(&results, server.pod, phase);
                assert_eq!(hook["results"][0]["policy"], *policy, "{results:#}");
                assert_eq!(hook["exit"], 0, "{results:#}");
            }
            let record = writers.record_at(began(cluster, backup, &policy));
            assert!(record.iter().all(|number| *number > 0), "{record:?}");
            due.push(record);
        }
        let mut servers = Vec::new();
        for (server, writers) in self.databases {
            writers.stop();
            servers.push((server.pod(), server));
        }
        let of_method = servers
            .iter()
            .map(|(_, server)| (server.pod, server.engine.policy(method)));
        verified::passes(cluster, backup, of_method);
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

/// A hook in the answer of `quiescent results`.
#[track_caller]
fn hook_of<'r>(results: &'r Value, pod: &str, phase: &str) -> &'r Value {
    let mut hooks = results["hooks"].as_array().unwrap().iter();
    let found = hooks.find(|it| it["pod"] == pod && it["phase"] == phase);
    found.unwrap_or_else(|| panic!("no {phase} hook of {pod}: {results:#}"))
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
    let line = line.unwrap_or_else(|| panic!("no pre hook of {policy} in {backup}"));
    let time = Entry::read(line).time().expect("a line has its time");
    let time = UNIX_EPOCH + Duration::from_secs(time.unsigned_abs());
    let ago = SystemTime::now().duration_since(time).unwrap();
    Instant::now().checked_sub(ago).unwrap()
}
