//! The same way without a webhook: a Backup and a Restore that have the hooks, and pods as their author
//! wrote them.
use std::{process::Command, time::Duration};

use serde_json::{Value, json};

use super::{DUMP, Steps, cluster::Cluster, database::Database};
use crate::apiserver::kit::{eventually, run};

const NAMESPACE: &str = "untouched";

pub fn rows_come_back_though_no_pod_was_touched(cluster: &Cluster, steps: &Steps) {
    let database = Database {
        cluster,
        namespace: NAMESPACE,
    };
    // The webhook is asked for namespaces with its label alone.
    cluster
        .node
        .kubectl
        .run(&format!("create namespace {NAMESPACE}"));
    cluster
        .node
        .kubectl
        .apply(&format!("create -n {NAMESPACE} -f -"), STATEFUL_SET);
    cluster.node.kubectl.run(&format!(
        "rollout status -n {NAMESPACE} statefulset/pg --timeout 120s"
    ));
    let annotations = database.pod()["metadata"]["annotations"].clone();
    assert_eq!(annotations, Value::Null);
    database.fill();
    let rows = database.fingerprint();
    steps.done("a third PostgreSQL, in a namespace that wants no hooks in its pods");

    let render = |what: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quiescent"));
        command
            .arg("render")
            .args(what)
            .args([
                "--resolve",
                "--name",
                NAMESPACE,
                "--include-namespaces",
                NAMESPACE,
            ])
            .arg("--kubeconfig")
            .arg(&cluster.node.kubectl.kubeconfig);
        run(&mut command).expect("quiescent render")
    };
    let backup = render(&["backup"]);
    let restore = render(&["restore", "--from-backup", NAMESPACE]);
    let done = made(cluster, "backups", &backup);
    assert_eq!(done["status"]["phase"], "Completed", "{done:#}");
    assert_eq!(
        done["status"]["hookStatus"],
        json!({"hooksAttempted": 2}),
        "{done:#}"
    );
    let uploads = cluster.uploads(NAMESPACE);
    let volumes: Vec<&Value> = uploads.iter().map(|it| &it["spec"]["volume"]).collect();
    assert_eq!(volumes, [DUMP], "{uploads:#?}");
    steps.done(
        "Velero: Completed by the hooks of the Backup, the dump uploaded by its volume policy",
    );

    cluster
        .node
        .kubectl
        .run(&format!("delete namespace {NAMESPACE} --timeout 180s"));
    let done = made(cluster, "restores", &restore);
    assert_eq!(done["status"]["phase"], "Completed", "{done:#}");
    assert_eq!(database.fingerprint(), rows);
    let mut after = database.pod()["metadata"]["annotations"].clone();
    if let Some(after) = after.as_object_mut() {
        after.retain(|key, _| key.contains("hook.") || key.contains("quiescent.dev"));
        assert!(after.is_empty(), "{after:#?}");
    }
    steps.done("restored by the hooks of the Restore: every row is back, the pods have no annotation of ours");
}

/// Makes an object of Velero, and waits until it is through with it.
fn made(cluster: &Cluster, kind: &str, objects: &str) -> Value {
    cluster.node.kubectl.apply("create -f -", objects);
    let get = format!("get -n velero {kind}.velero.io {NAMESPACE}");
    let limit = Duration::from_mins(5);
    eventually("Velero has ended", limit, || {
        let object = cluster.node.kubectl.json(&get, "");
        let phase = object["status"]["phase"].as_str().unwrap_or_default();
        let ended = phase.starts_with("Completed")
            || phase.starts_with("PartiallyFailed")
            || phase.starts_with("Failed");
        ended.then_some(object)
    })
}

/// The data lie in the container itself: only the dump can bring them back.
const STATEFUL_SET: &str = r"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: pg}
spec:
  serviceName: pg
  selector: {matchLabels: {app: pg}}
  template:
    metadata: {labels: {app: pg}}
    spec:
      containers:
        - name: postgres
          image: quiescent.test/postgres:15
          env: [{name: POSTGRES_PASSWORD, value: correct horse}, {name: POSTGRES_DB, value: shop}]
          readinessProbe: {exec: {command: [pg_isready, -U, postgres, -d, shop]}, periodSeconds: 1}
          volumeMounts: [{name: quiescent-dump, mountPath: /quiescent/dump}]
      volumes: [{name: quiescent-dump, emptyDir: {sizeLimit: 1Gi}}]
";
