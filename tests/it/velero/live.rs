//! `quiescent test` on live pods, with no more rights than deploy/live-test.yaml gives: whatever a hook
//! does, nothing of it stays behind.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::{Steps, cluster::Cluster, found};
use crate::{apiserver::kit::eventually, support::quiescent};

/// What pre makes and post takes away.
const LOCK: &str = "/tmp/lock";

/// A pod, what its hooks do, and how long Velero would wait for pre.
const PODS: [(&str, &str, &str, &str); 4] = [
    ("locks", "touch /tmp/lock", "rm /tmp/lock", "1m"),
    (
        "fails",
        "touch /tmp/lock; echo no way >&2; exit 3",
        "rm /tmp/lock",
        "1m",
    ),
    // Beyond its timeout it goes on, and takes the lock when post has run already.
    (
        "hangs",
        "touch /tmp/began; sleep 4; touch /tmp/lock",
        "rm -f /tmp/lock",
        "2s",
    ),
    ("stuck", "touch /tmp/lock; sleep 600", "rm /tmp/lock", "2s"),
];

/// `shop/pg-0` is there, with the hooks of a policy.
pub fn hooks_are_tried_and_undone(cluster: &Cluster, steps: &Steps) {
    let kubectl = &cluster.node.kubectl;
    let rights = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/live-test.yaml");
    kubectl.run(&format!("apply -f {}", rights.display()));
    let items: Vec<Value> = PODS.map(pod).into();
    kubectl.apply(
        "apply -f -",
        &json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string(),
    );
    kubectl.run("wait -n shop --for condition=Ready pod -l of=live --timeout 120s");
    let tester = Tester {
        cluster,
        kubeconfig: restricted(cluster),
    };

    let (code, dump) = tester.json(&["pod/pg-0"]);
    let [pre, post] = &dump["hooks"].as_array().unwrap()[..] else {
        panic!("{dump:#}")
    };
    assert_eq!((code, &dump["verdict"]), (0, &"works".into()), "{dump:#}");
    assert_eq!(pre["results"][0]["policy"], "postgresql-dump", "{pre:#}");
    assert!(pre["results"][0]["values"]["bytes"].as_u64() > Some(1000));
    assert_eq!((&pre["exit"], &post["exit"]), (&0.into(), &0.into()));
    steps.done("quiescent test: the hooks of a policy work on pg-0");

    for (name, code, verdict, exit) in [
        ("locks", 0, "works", json!(0)),
        ("fails", 1, "fails", json!(3)),
        ("hangs", 1, "fails", Value::Null),
    ] {
        let (ended, found) = tester.json(&[name, "--hold", "100ms"]);
        assert_eq!(
            (ended, &found["verdict"]),
            (code, &verdict.into()),
            "{found:#}"
        );
        assert_eq!(found["hooks"][0]["exit"], exit, "{found:#}");
        assert!(!tester.is_locked(name), "{found:#}");
    }
    let (ended, stuck) = tester.json(&["stuck"]);
    assert_eq!(
        (ended, &stuck["verdict"]),
        (1, &"not_undone".into()),
        "{stuck:#}"
    );
    assert_eq!(stuck["preStillRuns"], true, "{stuck:#}");
    assert!(!tester.is_locked("stuck"), "{stuck:#}");
    steps.done("hooks that lock, fail, hang and never end leave no lock behind");

    for signal in ["INT", "TERM"] {
        let child = tester.start(&["locks", "--hold", "10m"]);
        eventually("pre has run", Duration::from_mins(1), || {
            tester.is_locked("locks").then_some(())
        });
        let told = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status();
        assert!(told.unwrap().success());
        let Output { status, stdout, .. } = child.wait_with_output().unwrap();
        let found: Value = serde_json::from_slice(&stdout).unwrap();
        assert_eq!(status.code(), Some(2), "{found:#}");
        assert_eq!(found["pods"][0]["verdict"], "stopped", "{found:#}");
        assert!(!tester.is_locked("locks"), "{found:#}");
    }
    steps.done("stopped in the middle by SIGINT and SIGTERM, post has run");

    tester.velero_backs_up_what_works();
    steps.done("quiescent test --backup: Velero backs up one pod whose hooks work, and none whose hooks do not");

    tester.a_job_of_the_cron_job_tells_by_its_end();
    steps.done(
        "the CronJob of deploy/live-test.yaml: a Job of it works, and fails by a hook that fails",
    );

    let absent = tester.start(&["nobody"]).wait_with_output().unwrap();
    assert_eq!(absent.status.code(), Some(2));
    let why = String::from_utf8_lossy(&absent.stderr).into_owned();
    assert!(why.contains("there is no pod shop/nobody"), "{why}");
    kubectl.run("delete -n shop pod -l of=live --wait=false");
    kubectl.run(&format!("delete -f {}", rights.display()));
}

fn pod((name, pre, post, timeout): (&str, &str, &str, &str)) -> Value {
    let command = |script: &str| json!(["/bin/sh", "-c", script]).to_string();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop",
            "labels": {"of": "live", "quiescent.dev/inject": "disabled"},
            "annotations": {
                "pre.hook.backup.velero.io/command": command(pre),
                "pre.hook.backup.velero.io/timeout": timeout,
                "pre.hook.backup.velero.io/on-error": "Fail",
                "post.hook.backup.velero.io/command": command(post),
            },
        },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": "quiescent.test/postgres:15", "command": ["sleep", "infinity"]}],
        },
    })
}

/// The way to the cluster as the account of deploy/live-test.yaml.
fn restricted(cluster: &Cluster) -> PathBuf {
    let mut config = cluster.node.kubectl.json("config view --raw", "");
    config["users"][0]["user"]["as"] = "system:serviceaccount:shop:quiescent-test".into();
    let path = cluster.node.kubectl.kubeconfig.with_extension("live-test");
    fs::write(&path, config.to_string()).unwrap();
    path
}

struct Tester<'c> {
    cluster: &'c Cluster,
    kubeconfig: PathBuf,
}

impl Tester<'_> {
    fn start(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_quiescent"))
            .args(["test", "-n", "shop", "-o", "json", "--kubeconfig"])
            .arg(&self.kubeconfig)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The exit code, and what was found out about the one pod.
    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let (code, found) = found(self.start(arguments));
        (code, found["pods"][0].clone())
    }

    fn velero_backs_up_what_works(&self) {
        let kubeconfig = &self.cluster.node.kubectl.kubeconfig;
        let ask = |pod: &str| {
            let output = quiescent(&["test", "-n", "shop", pod, "--backup", "-o", "json"])
                .arg("--kubeconfig")
                .arg(kubeconfig)
                .output()
                .unwrap();
            let found: Value = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
            (output.status.code().unwrap(), found)
        };
        let (code, found) = ask("pod/pg-0");
        let backup = &found["backup"];
        assert_eq!(
            (code, &backup["phase"]),
            (0, &"Completed".into()),
            "{found:#}"
        );
        let hooks = backup["hooks"].as_array().unwrap();
        let hooks: Vec<_> = hooks.iter().map(|it| (&it["pod"], &it["exit"])).collect();
        let well = (&"pg-0".into(), &0.into());
        assert_eq!(hooks, [well, well], "{found:#}");
        assert_eq!(backup["volumes"][0]["way"], "file_copy", "{found:#}");

        let (code, found) = ask("pod/fails");
        assert_eq!((code, &found["backup"]), (1, &Value::Null), "{found:#}");
        assert!(!self.is_locked("fails"));
    }

    fn a_job_of_the_cron_job_tells_by_its_end(&self) {
        let kubectl = &self.cluster.node.kubectl;
        let ended = |name: &str, condition: &str| {
            kubectl.run(&format!(
                "create job -n shop {name} --from=cronjob/quiescent-test"
            ));
            kubectl.run(&format!(
                "wait -n shop --for condition={condition} job/{name} --timeout 180s"
            ));
            kubectl.run(&format!("logs -n shop job/{name}"))
        };
        kubectl.run("label pod -n shop pg-0 tried=yes");
        kubectl.run("label pod -n shop fails tried=no");
        let tries = |labels: &str| {
            let args = json!(["test", format!("--selector={labels}"), "--all"]);
            let patch = json!([{
                "op": "replace",
                "path": "/spec/jobTemplate/spec/template/spec/containers/0/args",
                "value": args,
            }]);
            kubectl.run(&format!(
                "patch -n shop cronjob quiescent-test --type json -p {patch}"
            ));
        };
        tries("tried=yes");
        let said = ended("works", "Complete");
        assert!(said.contains("the hook works"), "{said}");
        tries("tried");
        let said = ended("fails", "Failed");
        assert!(said.contains("the hook fails"), "{said}");
        kubectl.run("delete job -n shop works fails");
    }

    fn is_locked(&self, pod: &str) -> bool {
        let script = format!("test ! -e {LOCK} || echo locked");
        let said = self
            .cluster
            .node
            .kubectl
            .exec("shop", pod, "main", &["sh", "-c", &script]);
        said.expect("the pod runs").contains("locked")
    }
}
