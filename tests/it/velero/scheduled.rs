//! `quiescent render cronjob` and `quiescent snapshot restore`: Jobs take snapshots and keep the newest, a claim
//! comes of one, a copy of the pod starts on it and is judged, and nothing is left of that.
use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::{Steps, cluster::Cluster, found};
use crate::{apiserver::kit::eventually, support::quiescent};

const NAMESPACE: &str = "scheduled";
/// The one whose snapshots are of one moment.
const CLASS: &str = "--snapshot-class=csi";
const ACCOUNT: &str = "restores";

pub fn a_cron_job_keeps_the_newest_and_each_can_be_restored(cluster: &Cluster, steps: &Steps) {
    let stage = Stage::new(cluster);
    steps.done("a PostgreSQL on a claim with snapshots, and no hook");
    let snapshots = stage.two_are_kept();
    steps.done("a rendered CronJob: three Jobs took a consistent snapshot, two of them are kept");
    let [_, newest] = &snapshots;

    stage.a_claim_comes_of(newest);
    steps.done("quiescent snapshot restore: a claim is made and bound");

    let before = stage.cluster.node.kubectl.everything();
    let rows = stage.sql("select count(*), sum(id) from orders");
    let seconds = stage.passes(&[newest]);
    // The set is restored through the same handle: the first time has left it where it was.
    let set = stage.label(newest, "quiescent.dev/snapshot");
    stage.passes(&["--set", &set]);
    stage.cluster.node.nothing_is_left(&before);
    steps.done(&format!(
        "quiescent snapshot restore --verify: passed in {seconds} s, and nothing is left of it"
    ));

    stage.damage();
    let taken = stage.taken_without_hooks();
    let damaged = taken["snapshots"][0]["name"].as_str().unwrap();
    let before = stage.cluster.node.kubectl.everything();
    let (code, found) = stage.json(&[damaged, "--verify"]);
    assert_eq!(
        (code, &found["verdict"]),
        (1, &"failed".into()),
        "{found:#}"
    );
    let reason = found["reason"].as_str().unwrap();
    assert!(
        reason.contains("the check of postgresql-snapshot"),
        "{found:#}"
    );
    stage.cluster.node.nothing_is_left(&before);
    steps.done("a snapshot of damaged files fails, and nothing is left of that");

    stage.stopped_in_the_middle(newest);
    stage.cluster.node.nothing_is_left(&before);
    steps.done("stopped in the middle, it takes everything away");

    let kubectl = &stage.cluster.node.kubectl;
    kubectl.run(&format!(
        "label volumesnapshot -n {NAMESPACE} {newest} --overwrite quiescent.dev/consistent=false"
    ));
    let refused = stage.start(&[newest]).wait_with_output();
    let refused = refused.unwrap();
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{why}");
    assert!(why.contains("--unusable-too"), "{why}");
    assert_eq!(stage.sql("select 1"), "1", "{rows}: the original goes on");
    kubectl.run(&format!(
        "delete clusterrole,clusterrolebinding {ACCOUNT} quiescent-snapshot-pg.{NAMESPACE}"
    ));
    kubectl.run(&format!("delete namespace {NAMESPACE} --timeout 180s"));
}

struct Stage<'c> {
    cluster: &'c Cluster,
    /// The way to the cluster with the rights that docs/snapshot.md lists.
    kubeconfig: PathBuf,
}

impl<'c> Stage<'c> {
    fn new(cluster: &'c Cluster) -> Self {
        let kubectl = &cluster.node.kubectl;
        cluster.node.namespace(NAMESPACE, "");
        kubectl.apply("apply -f -", &objects().to_string());
        kubectl.run(&format!(
            "rollout status -n {NAMESPACE} statefulset/pg --timeout 120s"
        ));
        let stage = Self {
            cluster,
            kubeconfig: restricted(cluster),
        };
        stage.sql("create table orders as select id, md5(id::text) item from generate_series(1, 50000) id");
        stage
    }

    fn sql(&self, sql: &str) -> String {
        let psql = [
            "psql",
            "-w",
            "-U",
            "postgres",
            "-qAt",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
        ];
        let kubectl = &self.cluster.node.kubectl;
        let said = kubectl.exec(NAMESPACE, "pg-0", "postgres", &psql);
        said.unwrap_or_else(|error| panic!("{sql}: {error}"))
            .trim()
            .to_owned()
    }

    fn start(&self, arguments: &[&str]) -> Child {
        quiescent(&["snapshot", "restore"])
            .args(["-n", NAMESPACE, "-o", "json", "--kubeconfig"])
            .arg(&self.kubeconfig)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The exit code, and what was found out.
    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        found(self.start(arguments))
    }

    /// The names of those that are kept, the oldest first.
    fn two_are_kept(&self) -> [String; 2] {
        let kubectl = &self.cluster.node.kubectl;
        let render = ["render", "cronjob", "-n", NAMESPACE, "statefulset/pg"];
        let rendered = quiescent(&render)
            .args(["--schedule", "0 2 * * *", "--keep", "2", CLASS])
            .output()
            .unwrap();
        let rendered = String::from_utf8(rendered.stdout).unwrap();
        kubectl.apply("apply -f -", &rendered);
        for job in ["one", "two", "three"] {
            kubectl.run(&format!(
                "create job -n {NAMESPACE} {job} --from=cronjob/quiescent-snapshot-pg"
            ));
            eventually("the Job is over", Duration::from_mins(2), || {
                let status = &kubectl.json(&format!("get job -n {NAMESPACE} {job}"), "")["status"];
                let is_over = |key: &str| status[key].is_number();
                (is_over("succeeded") || is_over("failed")).then_some(())
            });
            let said = kubectl.run(&format!("logs -n {NAMESPACE} job/{job}"));
            assert!(said.contains("verdict  consistent"), "{said}");
        }
        let get = format!(
            "get volumesnapshots -n {NAMESPACE} -l quiescent.dev/consistent=true --sort-by=.metadata.creationTimestamp"
        );
        let all = kubectl.json(&get, "");
        let names = all["items"].as_array().unwrap().iter();
        let names: Vec<String> = names
            .map(|it| it["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        names.try_into().expect("two are kept")
    }

    fn label(&self, snapshot: &str, key: &str) -> String {
        let get = format!("get volumesnapshot -n {NAMESPACE} {snapshot}");
        let found = self.cluster.node.kubectl.json(&get, "");
        found["metadata"]["labels"][key]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn a_claim_comes_of(&self, snapshot: &str) {
        let (code, made) = self.json(&[snapshot]);
        let claim = &made["claims"][0];
        let name = format!("{snapshot}-restored");
        assert_eq!(
            (code, &claim["name"]),
            (0, &name.as_str().into()),
            "{made:#}"
        );
        assert!(claim["boundSeconds"].is_number(), "{made:#}");
        assert_eq!(
            (&claim["class"], &claim["size"]),
            (&"csi".into(), &"512Mi".into())
        );
        let again = self.start(&[snapshot]).wait_with_output();
        let why = String::from_utf8_lossy(&again.unwrap().stderr).into_owned();
        assert!(why.contains("name another with --to"), "{why}");
        let kubectl = &self.cluster.node.kubectl;
        kubectl.run(&format!("delete pvc -n {NAMESPACE} {name}"));
        eventually("its volume is gone", Duration::from_mins(1), || {
            let volumes = kubectl.json("get persistentvolumes", "");
            (!volumes.to_string().contains(&name)).then_some(())
        });
    }

    /// So many seconds it took.
    fn passes(&self, of: &[&str]) -> u64 {
        let (code, found) = self.json(&[of, &["--verify"]].concat());
        assert_eq!(
            (code, &found["verdict"]),
            (0, &"passed".into()),
            "{found:#}"
        );
        let check = &found["pods"][0]["checks"][0];
        assert_eq!(check["policy"], "postgresql-snapshot", "{found:#}");
        assert_eq!(check["results"][0]["values"]["tables"], 1, "{found:#}");
        assert_eq!(check["results"][0]["values"]["amcheck"], "yes", "{found:#}");
        found["restoreSeconds"].as_u64().unwrap()
    }

    /// What lies in the middle of the table is no page any more, on the disk and in the snapshot.
    fn damage(&self) {
        self.sql("checkpoint");
        let file = self.sql(
            "select current_setting('data_directory') || '/' || pg_relation_filepath('orders')",
        );
        let script =
            format!("head -c 8192 /dev/urandom | dd of={file} bs=8192 seek=5 conv=notrunc; sync");
        let kubectl = &self.cluster.node.kubectl;
        kubectl
            .exec(NAMESPACE, "pg-0", "postgres", &["sh", "-c", &script])
            .expect("a page is overwritten");
    }

    /// By an administrator.
    fn taken_without_hooks(&self) -> Value {
        let taken = quiescent(&["snapshot", "-n", NAMESPACE, "pod/pg-0", "-o", "json"])
            .args(["--without-hooks", CLASS, "--kubeconfig"])
            .arg(&self.cluster.node.kubectl.kubeconfig)
            .output()
            .unwrap();
        let said: Value = serde_json::from_slice(&taken.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&taken.stderr)));
        assert_eq!(said["verdict"], "crash_consistent", "{said:#}");
        said
    }

    fn stopped_in_the_middle(&self, snapshot: &str) {
        let child = self.start(&[snapshot, "--verify"]);
        eventually("there is a copy", Duration::from_mins(1), || {
            let get = "get pods -A -l quiescent.dev/verification";
            let all = self.cluster.node.kubectl.json(get, "");
            (!all["items"].as_array()?.is_empty()).then_some(())
        });
        let told = Command::new("kill")
            .args(["-s", "INT", &child.id().to_string()])
            .status();
        assert!(told.unwrap().success());
        let Output { status, stdout, .. } = child.wait_with_output().unwrap();
        let found: Value = serde_json::from_slice(&stdout).unwrap();
        assert_eq!(
            (status.code(), &found["verdict"]),
            (Some(2), &"incomplete".into()),
            "{found:#}"
        );
    }
}

fn objects() -> Value {
    let labels = json!({"app": "pg", "app.kubernetes.io/managed-by": "hands"});
    let probe = json!({"exec": {"command": ["pg_isready", "--quiet"]}, "periodSeconds": 1});
    let mut container = json!({
        "name": "postgres", "image": "quiescent.test/postgres:15",
        "env": [{
            "name": "POSTGRES_PASSWORD",
            "valueFrom": {"secretKeyRef": {"name": "pg", "key": "password"}},
        }],
        "envFrom": [{"configMapRef": {"name": "pg", "optional": true}}],
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql"}],
    });
    for key in ["readinessProbe", "livenessProbe", "startupProbe"] {
        container[key] = probe.clone();
    }
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "v1", "kind": "Secret", "stringData": {"password": "correct horse"},
            "metadata": {"name": "pg", "namespace": NAMESPACE},
        },
        {
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "pg", "namespace": NAMESPACE},
        },
        {
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "pg", "namespace": NAMESPACE},
            "spec": {
                "serviceName": "pg", "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"serviceAccountName": "pg", "containers": [container]},
                },
                "volumeClaimTemplates": [{
                    "metadata": {"name": "data"},
                    "spec": {
                        "storageClassName": "csi", "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "512Mi"}},
                    },
                }],
            },
        },
    ]})
}

/// The way to the cluster for an account that may do no more than restoring and verifying take.
fn restricted(cluster: &Cluster) -> PathBuf {
    let kubectl = &cluster.node.kubectl;
    let snapshots = "snapshot.storage.k8s.io";
    let rules = json!([
        rule("", &["namespaces"], &["create", "delete", "get", "list"]),
        rule("", &["pods"], &["create", "get", "list"]),
        rule("", &["pods/exec"], &["create", "get"]),
        rule("", &["persistentvolumeclaims"], &["create", "get"]),
        rule("", &["configmaps", "secrets"], &["create", "get"]),
        rule("", &["serviceaccounts", "services"], &["create"]),
        rule("networking.k8s.io", &["networkpolicies"], &["create"]),
        rule("storage.k8s.io", &["storageclasses"], &["list"]),
        rule(snapshots, &["volumesnapshots"], &["create", "get", "list"]),
        rule(
            snapshots,
            &["volumesnapshotcontents"],
            &["create", "delete", "get", "list"]
        ),
    ]);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": ACCOUNT}, "rules": rules,
    });
    kubectl.apply("apply -f -", &role.to_string());
    kubectl.run(&format!("create serviceaccount -n {NAMESPACE} {ACCOUNT}"));
    kubectl.run(&format!(
        "create clusterrolebinding {ACCOUNT} --clusterrole {ACCOUNT} --serviceaccount {NAMESPACE}:{ACCOUNT}"
    ));
    let mut config = kubectl.json("config view --raw", "");
    config["users"][0]["user"]["as"] =
        format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}").into();
    let path = kubectl.kubeconfig.with_extension("scheduled");
    fs::write(&path, config.to_string()).unwrap();
    path
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}
