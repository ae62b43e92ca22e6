//! The whole way once: a real cluster, a real Velero, a PostgreSQL that nobody has annotated. It is
//! backed up, deleted and restored, and its rows are back. Then one whose hook has to fail.
//!
//! The last part of what happens on the cluster of `cluster.rs`.
use std::{
    process::{Child, Output},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    apiserver::kit::{Process, Webhook, eventually},
    cluster::{Steps, node::Node},
};

mod called;
mod cluster;
mod coordinated;
mod database;
mod live;
mod rendered;
mod requested;
mod rescue;
mod scheduled;
mod verified;
mod written;

use cluster::Cluster;
use database::Database;

const DUMP: &str = "quiescent-dump";

pub fn backs_up_and_restores_a_database_that_nobody_annotated(node: Node, steps: &Steps) {
    let cluster = Cluster::of(node);
    steps.done("Velero with its node agent and an S3 server, and storage with snapshots");
    let webhook = cluster.install_quiescent();
    steps.done("quiescent serves behind a Service, with the entries of deploy/ and a certificate of certs/make");

    rows_come_back(&cluster, &webhook, steps);
    live::hooks_are_tried_and_undone(&cluster, steps);
    requested::a_snapshot_comes_to_its_end_whoever_dies(&cluster, steps);
    coordinated::files_are_copied_while_it_holds(&cluster, steps);
    called::hooks_call_a_pod(&cluster, steps);
    a_failing_hook_is_not_a_backup(&cluster, steps);
    results_say_what_became_of_each_hook(&cluster, steps);
    rescue::a_dump_is_had_without_us(&cluster, steps);
    the_controller_measures_each_hook(&cluster, steps);
    verified::a_backup_is_restored_beside_the_original_and_judged(&cluster, steps);
    rendered::rows_come_back_though_no_pod_was_touched(&cluster, steps);
    written::every_acknowledged_write_comes_back(&cluster, steps);
    scheduled::a_cron_job_keeps_the_newest_and_each_can_be_restored(&cluster, steps);
    verified::one_that_is_stopped_takes_everything_away(&cluster, steps);
}

fn rows_come_back(cluster: &Cluster, webhook: &Webhook, steps: &Steps) {
    let database = Database {
        cluster,
        namespace: "shop",
    };
    let before = database.start();
    steps.done("PostgreSQL is ready, its StatefulSet has no annotation, its pod has hooks");

    database.fill();
    let rows = database.fingerprint();
    steps.done("51000 rows in two databases");

    let backup = cluster.backup("shop-1", "shop");
    assert_eq!(backup["status"]["phase"], "Completed", "{backup:#}");
    assert_eq!(
        backup["status"]["hookStatus"]["hooksAttempted"], 2,
        "{backup:#}"
    );
    assert_eq!(
        backup["status"]["hookStatus"]["hooksFailed"]
            .as_u64()
            .unwrap_or(0),
        0,
        "{backup:#}"
    );
    let uploads = cluster.uploads("shop-1");
    assert_eq!(uploads.len(), 1, "{uploads:#?}");
    assert_eq!(uploads[0]["spec"]["volume"], DUMP);
    assert_eq!(uploads[0]["status"]["phase"], "Completed");
    let size = uploads[0]["status"]["progress"]["totalBytes"]
        .as_u64()
        .unwrap_or(0);
    assert!(size > 1000, "an upload of {size} bytes is no dump");
    steps.done(&format!(
        "Velero: Completed, 2 hooks, 0 failed, {DUMP} uploaded ({size} bytes) and nothing else"
    ));

    database.sql("shop", "insert into orders values (0, 'after the backup');");
    cluster
        .node
        .kubectl
        .run("delete namespace shop --timeout 180s");
    steps.done("the namespace is deleted");

    let restore = cluster.restore("shop-1");
    assert_eq!(restore["status"]["phase"], "Completed", "{restore:#}");
    let log = cluster.log();
    let hook = log.lines().find(|line| {
        line.contains("running exec hook")
            && line.contains("hookPhase=post")
            && line.contains("restore=shop-1")
    });
    // Not from the status of the restore: its hookStatus may be empty although the hook ran.
    assert!(
        hook.is_some_and(|line| line.contains("/quiescent/postgresql-dump/")),
        "{hook:?}"
    );
    assert_eq!(database.fingerprint(), rows);
    steps.done("restored: the restore hook ran, and every row is back");

    let after = database.pod();
    was_injected_once(&before, &after);
    assert_eq!(after["spec"]["initContainers"][0]["name"], "restore-wait");
    let reviews = webhook
        .log()
        .lines()
        .filter(|line| line.contains("pg-0"))
        .count();
    assert!(
        reviews >= 2,
        "the restored pod has passed the webhook too:\n{}",
        webhook.log()
    );
    steps.done("the restored pod was not injected a second time");
}

fn a_failing_hook_is_not_a_backup(cluster: &Cluster, steps: &Steps) {
    let database = Database {
        cluster,
        namespace: "broken",
    };
    database.start();
    database.sql("shop", "create table orders as select 1 as id;");
    // From here on the password in the container's environment is wrong, and nobody is trusted.
    database.sql("postgres", "alter role postgres password 'another';");
    database.trust(false);
    let refused = database
        .attempt("shop", "select 1")
        .expect_err("a password is needed now");
    assert!(refused.contains("password"), "{refused}");
    steps.done("a second PostgreSQL takes its password no longer");

    let backup = cluster.backup("broken-1", "broken");
    assert_eq!(backup["status"]["phase"], "PartiallyFailed", "{backup:#}");
    assert_eq!(
        backup["status"]["hookStatus"]["hooksFailed"], 1,
        "{backup:#}"
    );
    let uploads = cluster.uploads("broken-1");
    assert!(uploads.is_empty(), "{uploads:#?}");
    // Of the hook that was cut short nothing is left, and the restore hook takes nothing for a dump.
    assert_eq!(database.shell("find /quiescent/dump -type f"), "");
    database.trust(true);
    let restore =
        database.pod()["metadata"]["annotations"]["post.hook.restore.velero.io/command"].clone();
    let argv: Vec<String> =
        serde_json::from_str(restore.as_str().expect("a restore hook")).expect("an array");
    let answer = cluster
        .node
        .kubectl
        .exec("broken", "pg-0", "postgres", &argv)
        .expect("no dump is no failure");
    assert!(answer.contains("reason=no-dump"), "{answer}");
    steps.done("Velero: PartiallyFailed, nothing uploaded, no dump that looks finished");
}

fn results_say_what_became_of_each_hook(cluster: &Cluster, steps: &Steps) {
    let hooks = |found: &Value| -> Vec<(String, String, Value)> {
        let all = found["hooks"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        all.map(|it| (text(&it["pod"]), text(&it["phase"]), it["exit"].clone()))
            .collect()
    };
    let run = |phase: &str, exit: u8| ("pg-0".to_owned(), phase.to_owned(), exit.into());

    let (code, worked) = cluster.results("backup/shop-1");
    assert_eq!(code, 0, "{worked:#}");
    assert_eq!(hooks(&worked), [run("pre", 0), run("post", 0)]);
    assert_eq!(
        worked["hooks"][0]["results"][0]["policy"],
        "postgresql-dump"
    );
    let volume = &worked["volumes"][0];
    assert_eq!(
        (&volume["name"], &volume["way"], &volume["pod"]),
        (&DUMP.into(), &"file_copy".into(), &"pg-0".into()),
        "{worked:#}"
    );
    assert!(volume["bytes"].as_u64() > Some(1000), "{volume:#}");

    let (code, failed) = cluster.results("backup/broken-1");
    assert_eq!(code, 1, "{failed:#}");
    let [(pod, phase, exit)] = &hooks(&failed)[..] else {
        panic!("{failed:#}")
    };
    assert_eq!((&**pod, &**phase), ("pg-0", "pre"));
    assert!(exit.as_u64() > Some(0), "{failed:#}");
    assert_eq!(failed["neverRan"][0]["pod"], "pg-0", "{failed:#}");
    let said = failed["hooks"][0]["stderr"].as_str().unwrap();
    assert!(said.contains("password"), "{failed:#}");

    let (code, restored) = cluster.results("restore/shop-1");
    assert_eq!(code, 0, "{restored:#}");
    assert_eq!(hooks(&restored), [run("post", 0)]);
    let volume = &restored["volumes"][0];
    assert_eq!(
        (&volume["name"], &volume["way"], &volume["phase"]),
        (&DUMP.into(), &"file_copy".into(), &"Completed".into()),
        "{restored:#}"
    );
    steps.done("quiescent results: the hooks and the volume of a backup and of a restore, a hook that failed");
}

fn the_controller_measures_each_hook(cluster: &Cluster, steps: &Steps) {
    let kubectl = &cluster.node.kubectl;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "quiescent-controller", "namespace": "quiescent"},
    });
    kubectl.apply("apply -f -", &lease.to_string());
    let (controller, _) = Process::start(
        "controller",
        [
            "--admin=127.0.0.1:0",
            "--watch-backups",
            "--lease-namespace=quiescent",
            "--repair=off",
            "--kubeconfig",
            &kubectl.kubeconfig.display().to_string(),
        ],
    );
    let measured = |head: &str| {
        let metrics = controller.admin("/metrics").unwrap_or_default();
        let line = metrics.lines().find_map(|line| line.strip_prefix(head));
        line.and_then(|value| value.trim().parse::<i64>().ok())
    };
    let limit = Duration::from_mins(2);
    let eventually_measured = |head: &str| eventually(head, limit, || measured(head));
    let group = |namespace: &str, phase: &str| {
        format!(r#"{{namespace="{namespace}",policy="postgresql-dump",phase="{phase}"}}"#)
    };
    for (namespace, phase, failed) in [
        ("broken", "pre", 1),
        ("shop", "pre", 0),
        ("shop", "post", 0),
        ("shop", "restore", 0),
    ] {
        let group = group(namespace, phase);
        let found = eventually_measured(&format!("quiescent_hooks_failed{group}"));
        assert_eq!(found, failed, "{group}");
        let seconds = measured(&format!("quiescent_hook_duration_seconds{group}"));
        assert!(
            seconds.is_some_and(|it| (0..120).contains(&it)),
            "{group} {seconds:?}"
        );
    }
    let dump = |namespace: &str| {
        let dump = "quiescent_last_good_dump_timestamp_seconds";
        eventually_measured(&format!(r#"{dump}{{namespace="{namespace}",pod="pg-0"}}"#))
    };
    assert_eq!(dump("broken"), 0);
    // That of the newest backup: quiescent test --backup made one too.
    let backups = kubectl.json("get -n velero backups.velero.io", "");
    let time = |backup: &Value, key: &str| -> i64 {
        let text = backup["status"][key].as_str().unwrap();
        text.parse::<Timestamp>().unwrap().as_second()
    };
    let of_shop = backups["items"].as_array().unwrap().iter();
    let newest = of_shop
        .filter(|it| it["spec"]["includedNamespaces"][0] == "shop")
        .max_by_key(|it| time(it, "startTimestamp"))
        .unwrap();
    let taken = time(newest, "startTimestamp")..=time(newest, "completionTimestamp");
    assert!(taken.contains(&dump("shop")), "{} {taken:?}", dump("shop"));
    assert_eq!(
        measured(r#"quiescent_posts_missing{namespace="broken"}"#),
        Some(1)
    );
    eventually("the Backup is told", limit, || {
        let events = kubectl.run("get events -n velero");
        events.contains("PostMissing").then_some(())
    });
    steps.done(
        "quiescent controller: the time of each hook, the one that failed, and the last good dump",
    );
}

/// A pod before its backup, and the one that was restored.
fn was_injected_once(before: &Value, after: &Value) {
    assert_eq!(annotations_of_hooks(after), annotations_of_hooks(before));
    assert_eq!(
        names(&after["spec"]["volumes"]),
        names(&before["spec"]["volumes"])
    );
    let mounts = |pod: &Value| -> Vec<_> {
        let containers = pod["spec"]["containers"].as_array().unwrap().iter();
        containers.map(|it| names(&it["volumeMounts"])).collect()
    };
    assert_eq!(mounts(after), mounts(before));
}

fn annotations_of_hooks(pod: &Value) -> Value {
    let mut annotations = pod["metadata"]["annotations"].clone();
    if let Some(annotations) = annotations.as_object_mut() {
        annotations
            .retain(|key, _| key.contains(".velero.io/") || key.starts_with("quiescent.dev/"));
    }
    annotations
}

/// In order and with those that are there twice; the service account's has a random name.
fn names(list: &Value) -> Vec<String> {
    let mut names: Vec<_> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item["name"].as_str())
        .filter(|name| !name.starts_with("kube-api-access-"))
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

/// The exit code of a command, and what it found out.
fn found(command: Child) -> (i32, Value) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.wait_with_output().unwrap();
    let found: Value = serde_json::from_slice(&stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&stderr)));
    (status.code().unwrap(), found)
}

/// A hook in the answer of `quiescent results`.
#[track_caller]
fn hook_of<'r>(results: &'r Value, pod: &str, phase: &str) -> &'r Value {
    let mut hooks = results["hooks"].as_array().unwrap().iter();
    let found = hooks.find(|it| it["pod"] == pod && it["phase"] == phase);
    found.unwrap_or_else(|| panic!("no {phase} hook of {pod}: {results:#}"))
}
