//! What goes wrong while databases are written to and backed up: no write waits for good, nothing that is
//! half a dump is taken for one, and `quiescent results` says what has happened.
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Stdio},
};

use serde_json::Value;

use super::{Load, hook_of};
use crate::{
    apiserver::kit::eventually,
    cluster::{
        Steps,
        node::{Node, SOON},
        server::{Engine, Server},
    },
    velero::cluster::Cluster,
};

/// PostgreSQL's hook gives up waiting for a table, MariaDB's is given up by Velero, Redis' works.
pub fn a_hook_that_fails_and_one_that_is_late(cluster: &Cluster, load: &Load, steps: &Steps) {
    let (postgresql, mariadb) = (load.of(Engine::PostgreSql), load.of(Engine::MariaDb));
    let held = (Held::aside(postgresql), Held::aside(mariadb));
    annotate(mariadb, "3s");
    let backup = cluster.backup("faults-1", "dumped");
    load.goes_on();
    assert_eq!(backup["status"]["phase"], "PartiallyFailed", "{backup:#}");

    let (code, results) = cluster.results("backup/faults-1");
    assert_eq!(code, 1, "{results:#}");
    let failed = hook_of(&results, postgresql.pod, "pre");
    assert_eq!(failed["exit"], 1, "{results:#}");
    let said = failed["stderr"].as_str().unwrap();
    assert!(said.contains("postgresql-dump pre failed"), "{said}");
    let late = hook_of(&results, mariadb.pod, "pre");
    assert_eq!(late["error"], "timed out after 3s", "{results:#}");
    assert_eq!(hook_of(&results, "redis", "post")["exit"], 0, "{results:#}");
    let pods: Vec<Value> = (cluster.uploads("faults-1").iter())
        .map(|it| it["spec"]["pod"]["name"].clone())
        .collect();
    assert_eq!(pods, ["redis"]);
    steps.done("a pre hook that fails and one that is late: results names both, their volumes are not uploaded, the third's is");

    drop(held);
    no_hook_is_left(mariadb);
    not_locked(load);
    annotate(mariadb, "10m");
    steps.done("what was late has ended by itself, and nothing is locked");
}

pub fn no_node_agent(cluster: &Cluster, load: &Load, steps: &Steps) {
    let kubectl = &cluster.node.kubectl;
    let nowhere = |value: &str| {
        let patch = format!(
            r#"{{"spec":{{"template":{{"spec":{{"nodeSelector":{{"quiescent.test/never":{value}}}}}}}}}}}"#
        );
        let words = [
            "patch",
            "daemonset",
            "-n",
            "velero",
            "node-agent",
            "-p",
            &patch,
        ];
        kubectl.attempt_args(words, "").unwrap();
    };
    nowhere("\"yes\"");
    eventually("the node agent is gone", SOON, || {
        let pods = kubectl.run("get pods -n velero -l name=node-agent -o name");
        pods.is_empty().then_some(())
    });
    let backup = cluster.backup("faults-2", "dumped");
    load.goes_on();
    assert_eq!(backup["status"]["phase"], "PartiallyFailed", "{backup:#}");
    let (code, results) = cluster.results("backup/faults-2");
    assert_eq!(code, 1, "{results:#}");
    for engine in Engine::ALL {
        for phase in ["pre", "post"] {
            let hook = hook_of(&results, load.of(engine).pod, phase);
            assert_eq!(hook["exit"], 0, "{results:#}");
        }
    }
    let note = results["notes"][0].as_str().unwrap_or_default();
    assert!(note.starts_with("no hook failed"), "{results:#}");
    let uploaded = cluster.uploads("faults-2");
    let whole = |it: &&Value| it["status"]["phase"] == "Completed";
    assert_eq!(uploaded.iter().filter(whole).count(), 0, "{uploaded:#?}");
    not_locked(load);
    nowhere("null");
    kubectl.run("rollout status -n velero daemonset/node-agent --timeout 120s");
    steps.done("no node agent: every hook ran and was followed by its post hook, nothing uploaded, nothing locked");
}

/// In the middle of MariaDB's pre hook, which waits for a table.
pub fn velero_is_killed(cluster: &Cluster, load: &Load, steps: &Steps) {
    let mariadb = load.of(Engine::MariaDb);
    // The hook waits for as long as Velero is away.
    let held = Held::aside(mariadb);
    cluster.velero("backup create faults-3 --include-namespaces dumped");
    eventually("the dump waits for the table", SOON, || {
        waits_for_a_table(mariadb).then_some(())
    });
    kill_velero(cluster);
    load.goes_on();
    let phase = eventually("Velero is back and gives the backup up", SOON, || {
        let backup = cluster
            .node
            .kubectl
            .json("get -n velero backups.velero.io faults-3", "");
        let phase = backup["status"]["phase"].as_str()?.to_owned();
        (phase != "InProgress").then_some(phase)
    });
    assert_eq!(phase, "Failed");
    load.goes_on();
    drop(held);
    no_hook_is_left(mariadb);
    not_locked(load);
    steps.done("Velero killed in the middle of a pre hook: the backup is Failed, nothing is locked, the hook has ended");
}

/// SIGKILL; the kubelet starts its container anew.
pub fn kill_velero(cluster: &Cluster) {
    let kubectl = &cluster.node.kubectl;
    let pod = kubectl.json("get pods -n velero -l deploy=velero", "")["items"][0].clone();
    let restarts = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].as_u64();
    // Its plugins are processes of the same program.
    Node::kill(&pod, "/velero\0server");
    let name = pod["metadata"]["name"].as_str().unwrap();
    eventually("Velero is started anew", SOON, || {
        let now = kubectl.json(&format!("get pod -n velero {name}"), "");
        let ready = now["status"]["containerStatuses"][0]["ready"] == true;
        (ready && restarts(&now) > restarts(&pod)).then_some(())
    });
}

/// How long Velero waits for the pre hook of a pod that is there already.
fn annotate(server: &Server, timeout: &str) {
    server.node.kubectl.run(&format!(
        "annotate pod -n {} {} --overwrite pre.hook.backup.velero.io/timeout={timeout}",
        server.namespace, server.pod
    ));
}

fn waits_for_a_table(mariadb: &Server) -> bool {
    let waiting =
        "select count(*) from information_schema.processlist where state like '%metadata lock%'";
    mariadb.ask(&[waiting]) != "0"
}

/// Waits until nothing of a hook runs in a pod any more.
fn no_hook_is_left(server: &Server) {
    let look = "for it in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$it; echo; done 2>/dev/null | grep -c '^/bin/sh /quiescent/' || :";
    eventually("the hook has ended", SOON, || {
        let kubectl = &server.node.kubectl;
        let container = server.engine.name();
        let found = kubectl.exec(server.namespace, server.pod, container, &["sh", "-c", look]);
        (found.ok()?.trim() == "0").then_some(())
    });
}

/// Writers get on, and a table can be changed, which waits for every other lock.
fn not_locked(load: &Load) {
    load.of(Engine::PostgreSql).ask(&[
        "alter table aside add column if not exists note text; alter table aside drop column note",
    ]);
    load.of(Engine::MariaDb).ask(&[
        "alter table shop.aside add column note text; alter table shop.aside drop column note",
    ]);
    load.goes_on();
}

/// The table that writers leave alone, in the hands of one session until this is dropped.
struct Held {
    session: Child,
    input: Option<ChildStdin>,
}

impl Held {
    fn aside(server: &Server) -> Self {
        let statements = match server.engine {
            Engine::PostgreSql => "begin; lock table aside; select 'held';\n",
            _ => "lock tables shop.aside write; select 'held';\n",
        };
        let mut session = server
            .session()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = session.stdin.take().unwrap();
        input.write_all(statements.as_bytes()).unwrap();
        let mut answer = String::new();
        let output = session.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), "held");
        Self {
            session,
            input: Some(input),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.session.wait();
    }
}
