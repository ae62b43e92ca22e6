//! The same way without a webhook: a Backup and a Restore that have the hooks, and pods as their author
//! wrote them.
use std::{process::Command, time::Duration};

use serde_json::{Value, json};

use super::{DUMP, Steps, cluster::Cluster, database::Database, names};
use crate::apiserver::kit::{eventually, run};

const NAMESPACE: &str = "untouched";

const PHYSICAL: &str = "untouched-files";

pub fn rows_come_back_though_no_pod_was_touched(cluster: &Cluster, steps: &Steps) {
    let databases = [(NAMESPACE, DUMPED), (PHYSICAL, COPIED)].map(|(namespace, stateful_set)| {
        // The webhook is asked for namespaces with its label alone.
        let kubectl = &cluster.node.kubectl;
        kubectl.run(&format!("create namespace {namespace}"));
        kubectl.apply(&format!("create -n {namespace} -f -"), stateful_set);
        Database { cluster, namespace }
    });
    let rows = databases.each_ref().map(|database| {
        cluster.node.kubectl.run(&format!(
            "rollout status -n {} statefulset/pg --timeout 120s",
            database.namespace
        ));
        let annotations = database.pod()["metadata"]["annotations"].clone();
        assert_eq!(annotations, Value::Null);
        database.fill();
        database.fingerprint()
    });
    steps.done("two more PostgreSQL, in namespaces that want no hooks in their pods");

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
                &format!("{NAMESPACE},{PHYSICAL}"),
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
        json!({"hooksAttempted": 4}),
        "{done:#}"
    );
    let uploads = cluster.uploads(NAMESPACE);
    let volumes: Vec<&Value> = uploads.iter().map(|it| &it["spec"]["volume"]).collect();
    assert_eq!(volumes, [DUMP, DUMP], "{uploads:#?}");
    steps.done(
        "Velero: Completed by the hooks of the Backup, the dumps uploaded by its volume policy",
    );

    let namespaces = format!("{NAMESPACE} {PHYSICAL}");
    cluster
        .node
        .kubectl
        .run(&format!("delete namespace {namespaces} --timeout 180s"));
    let done = made(cluster, "restores", &restore);
    assert_eq!(done["status"]["phase"], "Completed", "{done:#}");
    for (database, rows) in databases.iter().zip(rows) {
        cluster.node.kubectl.run(&format!(
            "wait -n {} --for condition=Ready pod/pg-0 --timeout 180s",
            database.namespace
        ));
        assert_eq!(database.fingerprint(), rows);
        let mut after = database.pod()["metadata"]["annotations"].clone();
        if let Some(after) = after.as_object_mut() {
            after.retain(|key, _| key.contains("hook.") || key.contains("quiescent.dev"));
            assert!(after.is_empty(), "{after:#?}");
        }
    }
    let [_, physical] = &databases;
    let init = names(&physical.pod()["spec"]["initContainers"]);
    assert_eq!(init, ["quiescent-untouched", "restore-wait"]);
    steps.done("restored by the hooks of the Restore, one after the start and one before it: every row is back, the pods have no annotation of ours");
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
const DUMPED: &str = r"
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

/// The claim's data are left out of the backup: only the init container can bring them back.
const COPIED: &str = r"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: pg}
spec:
  serviceName: pg
  selector: {matchLabels: {app: pg}}
  template:
    metadata: {labels: {app: pg, quiescent.dev/method: physical}}
    spec:
      containers:
        - name: postgres
          image: quiescent.test/postgres:15
          env: [{name: POSTGRES_PASSWORD, value: correct horse}, {name: POSTGRES_DB, value: shop}]
          readinessProbe: {exec: {command: [pg_isready, -U, postgres, -d, shop]}, periodSeconds: 1}
          volumeMounts:
            - {name: data, mountPath: /var/lib/postgresql}
            - {name: quiescent-dump, mountPath: /quiescent/dump}
      volumes: [{name: quiescent-dump, emptyDir: {sizeLimit: 1Gi}}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {storageClassName: csi, accessModes: [ReadWriteOnce], resources: {requests: {storage: 512Mi}}}
";
