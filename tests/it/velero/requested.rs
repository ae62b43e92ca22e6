//! The controller takes snapshots that objects ask for, with the rights of deploy/ and no more, and is
//! killed in the middle of them: the pre hook has run once, the post hook has run, nothing is held, and
//! each object comes to its end.
//!
//! Once at each step; `QUIESCENT_STRESS=10m` goes on for so long, also at any time.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Steps, cluster::Cluster};
use crate::{
    apiserver::kit::{Process, eventually},
    cluster::{node::SOON, part::Part},
    stress,
};

const NAMESPACE: &str = "asked";

/// Where the hooks of `holder` note what they do.
const PRE: &str = "echo pre >>/tmp/pre; sleep 3; touch /tmp/held";
const POST: &str = "sleep 3; rm -f /tmp/held; echo post >>/tmp/post";

/// A class whose snapshots can be restored some seconds after they are cut.
const SLOW: &str = "csi-slow";

/// The phases in which something is under way, and what comes of one whose controller dies in it.
const STEPS: [(&str, &str); 4] = [
    ("Quiescing", "undone"),
    ("Cutting", "undone"),
    ("Resuming", "consistent"),
    ("Verifying", "consistent"),
];

/// When a controller is killed.
enum At {
    Step(&'static str),
    /// So long after the request.
    Time(Duration),
}

pub fn a_snapshot_comes_to_its_end_whoever_dies(cluster: &Cluster, steps: &Steps) {
    let stage = Stage::new(cluster);
    let controller = stage.controller();
    stage.ask(
        "pg",
        &json!({"target": {"pod": "pg"}, "snapshotClassName": "csi", "keep": 1}),
    );
    let taken = stage.ended("pg");
    let status = &taken["status"];
    assert_eq!(status["verdict"], "consistent", "{taken:#}");
    assert_eq!(condition(&taken, "Ready"), "True");
    assert_eq!(condition(&taken, "Consistent"), "True");
    let name = status["snapshots"][0]["name"].as_str().unwrap();
    let snapshot = stage.get(&format!("volumesnapshot {name}"));
    assert_eq!(
        snapshot["metadata"]["labels"]["quiescent.dev/consistent"],
        "true"
    );
    assert!(status["heldMilliseconds"].is_u64(), "{taken:#}");
    steps.done("a ConsistentSnapshot of a PostgreSQL: consistent, by the controller with the rights of deploy/");

    stage.hooks_of_a_claim_win();
    steps.done("a SnapshotHook of a claim runs in place of the pod's own hooks, and two of them are refused");

    let gone = stage.ask("gone", &json!({"target": {"pod": "nobody"}}));
    let refused = stage.ended(&gone);
    assert_eq!(refused["status"]["phase"], "Failed", "{refused:#}");
    assert_eq!(refused["status"]["verdict"], "refused", "{refused:#}");

    stage.ask(
        "undone",
        &json!({"target": {"pod": "holder"}, "snapshotClassName": "csi"}),
    );
    stage.comes_to("undone", "Quiescing");
    let kubectl = &cluster.node.kubectl;
    kubectl.run("delete -n asked consistentsnapshot undone --timeout 60s");
    stage.is_let_go_of("undone", None);
    steps.done("one that is deleted in the middle is undone before it is gone");

    drop(controller);
    for (step, verdict) in STEPS {
        let found = stage.killed(&format!("in-{}", step.to_lowercase()), &At::Step(step));
        assert_eq!(found["verdict"], verdict, "killed at {step}: {found:#}");
        steps.done(&format!(
            "the controller killed at {step}: {verdict}, pre ran once, post ran, nothing is held"
        ));
    }
    if let Some(span) = stress::span() {
        stage.killed_again_and_again(span, steps);
    }
    kubectl.run(&format!("delete namespace {NAMESPACE} --timeout 120s"));
}

struct Stage<'c> {
    cluster: &'c Cluster,
    /// The way to the cluster as the account of the controller.
    kubeconfig: PathBuf,
}

impl<'c> Stage<'c> {
    fn new(cluster: &'c Cluster) -> Self {
        let kubectl = &cluster.node.kubectl;
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        for file in [
            "base/crds.yaml",
            "base/rbac.yaml",
            "components/snapshots/crds.yaml",
            "components/snapshots/rbac.yaml",
        ] {
            kubectl.run(&format!("apply -f {}", deploy.join(file).display()));
        }
        for kind in ["consistentsnapshots", "snapshothooks"] {
            kubectl.run(&format!(
                "wait --for condition=Established crd/{kind}.quiescent.dev --timeout 60s"
            ));
        }
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "quiescent-controller", "namespace": "quiescent"},
        });
        kubectl.apply("apply -f -", &lease.to_string());
        let mut config = kubectl.json("config view --raw", "");
        config["users"][0]["user"]["as"] =
            "system:serviceaccount:quiescent:quiescent-controller".into();
        let kubeconfig = kubectl.kubeconfig.with_extension("controller");
        fs::write(&kubeconfig, config.to_string()).unwrap();

        let class = json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass",
            "metadata": {"name": SLOW}, "driver": "csi.quiescent.test",
            "deletionPolicy": "Delete", "parameters": {"upload": "5s"},
        });
        kubectl.apply("create -f -", &class.to_string());
        cluster.namespace_with_hooks(NAMESPACE);
        let command = |script: &str| json!(["/bin/sh", "-c", script]).to_string();
        let image = "quiescent.test/postgres:15";
        for (name, labels, annotations, container) in [
            (
                "pg",
                json!({"quiescent.dev/method": "snapshot"}),
                json!({}),
                json!({
                    "name": "postgres", "image": image,
                    "env": [{"name": "POSTGRES_PASSWORD", "value": "secret"}],
                    "readinessProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1},
                    "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql"}],
                }),
            ),
            (
                "holder",
                json!({"quiescent.dev/inject": "disabled"}),
                json!({
                    "pre.hook.backup.velero.io/command": command(PRE),
                    "post.hook.backup.velero.io/command": command(POST),
                }),
                json!({
                    "name": "main", "image": image, "command": ["sleep", "infinity"],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }),
            ),
        ] {
            cluster.claim(NAMESPACE, name, "csi", "csi");
            let pod = json!({
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {
                    "containers": [container],
                    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}],
                },
            });
            cluster.create(NAMESPACE, name, pod);
        }
        kubectl.run("wait -n asked --for condition=Ready pod/pg pod/holder --timeout 180s");
        Self {
            cluster,
            kubeconfig,
        }
    }

    fn controller(&self) -> Process {
        let (controller, _) = Process::start(
            "controller",
            [
                "--admin=127.0.0.1:0",
                "--snapshots",
                "--lease-namespace=quiescent",
                "--lease-duration=6s",
                "--repair=off",
                "--kubeconfig",
                &self.kubeconfig.display().to_string(),
            ],
        );
        controller
    }

    fn get(&self, what: &str) -> Value {
        let kubectl = &self.cluster.node.kubectl;
        kubectl.json(&format!("get -n {NAMESPACE} {what}"), "")
    }

    fn create(&self, kind: &str, name: &str, spec: &Value) {
        let object = json!({
            "apiVersion": "quiescent.dev/v1", "kind": kind,
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec,
        });
        let kubectl = &self.cluster.node.kubectl;
        kubectl.apply("create -f -", &object.to_string());
    }

    /// Of `holder`, once nothing is noted any more.
    fn ask(&self, name: &str, spec: &Value) -> String {
        self.shell("rm -f /tmp/pre /tmp/post /tmp/held");
        self.create("ConsistentSnapshot", name, spec);
        name.to_owned()
    }

    fn shell(&self, script: &str) -> String {
        let kubectl = &self.cluster.node.kubectl;
        let said = kubectl.exec(NAMESPACE, "holder", "main", &["sh", "-c", script]);
        said.expect("the pod runs")
    }

    fn comes_to(&self, name: &str, phase: &str) {
        eventually(&format!("{name} is {phase}"), SOON, || {
            let found = self.get(&format!("consistentsnapshot {name}"));
            (found["status"]["phase"] == phase).then_some(())
        });
    }

    fn ended(&self, name: &str) -> Value {
        eventually(&format!("{name} has ended"), SOON, || {
            let found = self.get(&format!("consistentsnapshot {name}"));
            let finalizers = found["metadata"]["finalizers"].as_array();
            let is_free = finalizers.is_none_or(Vec::is_empty);
            (found["status"]["completionTime"].is_string() && is_free).then_some(found)
        })
    }

    /// What must be true at the end of one of `holder`.
    fn is_let_go_of(&self, name: &str, status: Option<&Value>) {
        let noted =
            self.shell("cat /tmp/pre /tmp/post 2>/dev/null; test ! -e /tmp/held || echo held");
        let count = |word: &str| noted.lines().filter(|it| *it == word).count();
        assert_eq!(count("held"), 0, "{name}: {noted} {status:?}");
        assert!(count("pre") <= 1, "{name}: {noted} {status:?}");
        assert!(count("post") >= count("pre"), "{name}: {noted} {status:?}");
        let Some(status) = status else { return };
        assert!(status["state"].is_null(), "{status:#}");
        let set = status["set"].as_str().unwrap_or_default();
        let list = self.get(&format!("volumesnapshots -l quiescent.dev/snapshot={set}"));
        let good = (list["items"].as_array().unwrap().iter())
            .filter(|it| it["metadata"]["labels"]["quiescent.dev/consistent"] == "true")
            .count();
        let mut kept = list["items"].as_array().unwrap().iter();
        if status["verdict"] == "undone" {
            let goes = kept.all(|it| it["metadata"]["deletionTimestamp"].is_string());
            assert!(goes, "{status:#} {list:#}");
        }
        let expected = usize::from(status["verdict"] == "consistent");
        assert_eq!(good, expected, "{status:#} {list:#}");
        if status["verdict"] == "consistent" {
            assert_eq!(count("pre"), 1, "{name}: {noted}");
        }
    }

    /// Kills the controller in the middle, starts another one, and returns the status that it comes to.
    fn killed(&self, name: &str, at: &At) -> Value {
        let driver = Part::of(&self.cluster.node, "node/driver");
        let mut first = self.controller();
        first.logged(&["leading"]);
        let still = matches!(at, At::Step("Cutting")).then(|| driver.stands_still());
        let spec = json!({"target": {"claim": "holder"}, "snapshotClassName": SLOW});
        self.ask(name, &spec);
        match at {
            At::Step(step) => self.comes_to(name, step),
            // Whenever it is: the fault is the time.
            At::Time(time) => thread::sleep(*time),
        }
        first.kill();
        drop(still);
        let second = self.controller();
        let found = self.ended(name);
        drop(second);
        self.is_let_go_of(name, Some(&found["status"]));
        found["status"].clone()
    }

    fn killed_again_and_again(&self, span: Duration, steps: &Steps) {
        let until = Instant::now() + span;
        let mut verdicts = BTreeMap::new();
        let mut number = 0;
        while Instant::now() < until {
            number += 1;
            let time = Duration::from_millis(number * 397 % 12_000);
            let all = STEPS.map(|(step, _)| At::Step(step));
            for (at, what) in all.into_iter().chain([At::Time(time)]).enumerate() {
                let found = self.killed(&format!("killed-{number}-{at}"), &what);
                let verdict = found["verdict"].as_str().unwrap().to_owned();
                assert!(["consistent", "undone"].contains(&&*verdict), "{found:#}");
                *verdicts.entry(verdict).or_insert(0) += 1;
            }
        }
        steps.done(&format!(
            "killed at each step and at any time, {number} times each: {verdicts:?}, nothing is held"
        ));
    }

    fn hooks_of_a_claim_win(&self) {
        let hook = |script: &str| json!({"exec": {"command": ["/bin/sh", "-c", script]}});
        let spec = json!({
            "targetPVC": "holder", "container": "main",
            "preHook": hook("echo own >>/tmp/pre"), "postHook": hook("echo own >>/tmp/post"),
        });
        self.create("SnapshotHook", "mine", &spec);
        self.ask(
            "own",
            &json!({"target": {"claim": "holder"}, "snapshotClassName": "csi"}),
        );
        let taken = self.ended("own");
        assert_eq!(taken["status"]["verdict"], "consistent", "{taken:#}");
        assert_eq!(self.shell("cat /tmp/pre /tmp/post").trim(), "own\nown");
        let name = taken["status"]["snapshots"][0]["name"].as_str().unwrap();
        let snapshot = self.get(&format!("volumesnapshot {name}"));
        let policy = &snapshot["metadata"]["annotations"]["quiescent.dev/policy"];
        assert_eq!(policy, "snapshothook/mine");

        self.create("SnapshotHook", "another", &spec);
        self.ask(
            "both",
            &json!({"target": {"claim": "holder"}, "snapshotClassName": "csi"}),
        );
        let refused = self.ended("both");
        let why = refused["status"]["message"].as_str().unwrap();
        assert!(
            why.contains("another (of holder), mine (of holder)"),
            "{why}"
        );
        let kubectl = &self.cluster.node.kubectl;
        kubectl.run("delete -n asked snapshothook mine another");
    }
}

fn condition(object: &Value, kind: &str) -> String {
    let conditions = object["status"]["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|it| it["type"] == kind).unwrap();
    found["status"].as_str().unwrap().to_owned()
}
