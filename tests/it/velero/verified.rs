//! `quiescent verify` with no more rights than deploy/components/verify gives: a good backup passes, one
//! whose dump is damaged does not, and nothing is left of either.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::{Steps, cluster::Cluster, database::Database, found};
use crate::apiserver::kit::eventually;

const ANNOTATION: &str = "verify.quiescent.dev";

/// `shop/pg-0` is there, and `shop-1` is a good backup of it.
pub fn a_backup_is_restored_beside_the_original_and_judged(cluster: &Cluster, steps: &Steps) {
    let kubectl = &cluster.node.kubectl;
    let rights = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/components/verify/rbac.yaml");
    kubectl.run(&format!("apply -f {}", rights.display()));
    let verifier = Verifier(restricted(cluster));
    let shop = Database {
        cluster,
        namespace: "shop",
    };
    let rows = shop.fingerprint();
    let before = kubectl.everything();
    left_by_one_that_was_killed(cluster);

    let (code, found) = verifier.json(&["shop-1"]);
    assert_eq!(
        (code, &found["verdict"]),
        (0, &"passed".into()),
        "{found:#}"
    );
    let [pod] = &found["pods"].as_array().unwrap()[..] else {
        panic!("{found:#}")
    };
    let check = &pod["checks"][0]["results"][0];
    assert_eq!(check["policy"], "postgresql-dump", "{found:#}");
    assert_eq!(check["values"]["recorded"], 4, "{found:#}");
    assert_eq!(check["values"]["amcheck"], "yes", "{found:#}");
    assert_eq!(
        found["notes"][0].as_str().map(|it| it.contains("killed")),
        Some(true),
        "{found:#}"
    );
    let said = verdict(cluster, "shop-1");
    assert_eq!(said["verdict"], "passed", "{said:#}");
    assert_eq!(
        said["restore-seconds"].as_str(),
        Some(&*found["restoreSeconds"].to_string()),
        "{said:#}"
    );
    assert_eq!(shop.fingerprint(), rows, "the original is what it was");
    cluster.node.nothing_is_left(&before);
    steps.done(&format!(
        "quiescent verify: passed in {} s, and nothing is left of it",
        found["restoreSeconds"]
    ));

    kubectl.run("create service nodeport -n shop pg --tcp 5432");
    damage(&shop);
    let backup = cluster.backup("shop-damaged", "shop");
    assert_eq!(backup["status"]["phase"], "Completed", "{backup:#}");
    let before = kubectl.everything();
    let (code, found) = verifier.json(&["shop-damaged", "--keep"]);
    assert_eq!(
        (code, &found["verdict"]),
        (1, &"failed".into()),
        "{found:#}"
    );
    let reason = found["reason"].as_str().unwrap();
    assert!(reason.contains("restore hook of shop/pg-0"), "{found:#}");
    assert!(reason.contains("not what was written"), "{found:#}");
    assert_eq!(verdict(cluster, "shop-damaged")["reason"], reason);
    closed_to_all_others(cluster, found["kept"][0].as_str().unwrap());
    kubectl.run("delete namespace -l quiescent.dev/verification --timeout 180s");
    cluster.node.nothing_is_left(&before);
    steps.done(
        "a backup with a damaged dump fails; its copy reaches nobody, and has no hooks of a backup",
    );
    kubectl.run(&format!("delete -f {}", rights.display()));
}

/// Every pod of a backup comes back beside the original, and the check of its policy likes it.
pub fn passes<'p>(
    cluster: &Cluster,
    backup: &str,
    pods: impl IntoIterator<Item = (&'p str, String)>,
) {
    let before = cluster.node.kubectl.everything();
    let verifier = Verifier(cluster.node.kubectl.kubeconfig.clone());
    let (code, found) = verifier.json(&[backup]);
    assert_eq!(
        (code, &found["verdict"]),
        (0, &"passed".into()),
        "{found:#}"
    );
    let copies = found["pods"].as_array().unwrap();
    for (name, policy) in pods {
        let copy = copies.iter().find(|it| it["pod"] == name);
        let check = &copy.unwrap_or_else(|| panic!("{found:#}"))["checks"][0]["results"][0];
        assert_eq!(check["policy"], policy, "{found:#}");
        assert_eq!(check["result"], "ok", "{found:#}");
    }
    cluster.node.nothing_is_left(&before);
}

/// The last of all: Velero goes on with a Restore that was deleted, and the next one may have to wait.
pub fn one_that_is_stopped_takes_everything_away(cluster: &Cluster, steps: &Steps) {
    let before = cluster.node.kubectl.everything();
    let verifier = Verifier(cluster.node.kubectl.kubeconfig.clone());
    let stopped = verifier.start(&["shop-1"]);
    eventually("there is a copy", Duration::from_mins(1), || {
        (!copies(cluster).is_empty()).then_some(())
    });
    let told = Command::new("kill")
        .args(["-s", "INT", &stopped.id().to_string()])
        .status();
    assert!(told.unwrap().success());
    let Output { status, stdout, .. } = stopped.wait_with_output().unwrap();
    let found: Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(status.code(), Some(2), "{found:#}");
    assert_eq!(found["verdict"], "incomplete", "{found:#}");
    assert_eq!(verdict(cluster, "shop-1")["verdict"], "incomplete");
    cluster.node.nothing_is_left(&before);
    steps.done("stopped in the middle, it takes everything away");
}

/// Of what is kept: the labels, the network, the Service without a port on the node, the pod's hooks.
fn closed_to_all_others(cluster: &Cluster, namespace: &str) {
    let kubectl = &cluster.node.kubectl;
    let labels = &kubectl.json(&format!("get namespace {namespace}"), "")["metadata"]["labels"];
    assert_eq!(labels["velero.io/exclude-from-backup"], "true");
    assert_eq!(labels["quiescent.dev/inject"], "disabled");
    let policy = kubectl.json(
        &format!("get networkpolicy -n {namespace} quiescent-verify"),
        "",
    );
    assert_eq!(
        policy["spec"]["policyTypes"],
        json!(["Ingress", "Egress"]),
        "{policy:#}"
    );
    let service = kubectl.json(&format!("get service -n {namespace} pg"), "");
    assert_eq!(service["spec"]["type"], "ClusterIP", "{service:#}");
    assert_eq!(service["spec"]["clusterIP"], "None", "{service:#}");
    assert_eq!(service["spec"]["ports"], Value::Null, "{service:#}");
    let pod = kubectl.json(&format!("get pod -n {namespace} pg-0"), "");
    let annotations = pod["metadata"]["annotations"].as_object().unwrap();
    let hooks = |prefix: &str| annotations.keys().any(|key| key.starts_with(prefix));
    assert!(
        !hooks("pre.hook.backup") && !hooks("post.hook.backup"),
        "{pod:#}"
    );
    assert!(hooks("post.hook.restore"), "{pod:#}");
    let owners = kubectl.json(&format!("get statefulset -n {namespace}"), "");
    assert_eq!(owners["items"], json!([]));
}

/// A namespace as a verification leaves it that is ended at once.
fn left_by_one_that_was_killed(cluster: &Cluster) {
    let left = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {
            "name": "shop-verify-gone", "labels": {"quiescent.dev/verification": "gone"},
            "annotations": {"quiescent.dev/verification-until": "2026-01-01T00:00:00Z"},
        },
    });
    cluster.node.kubectl.apply("apply -f -", &left.to_string());
}

/// From here on the dump in the volume is not what the hook wrote, and no hook writes another.
fn damage(database: &Database<'_>) {
    database.shell(
        "for dump in /quiescent/dump/postgresql-dump/current/*.dump; do printf damaged | dd of=\"$dump\" bs=1 seek=200 conv=notrunc 2>/dev/null; done",
    );
    let nothing = r#"["/bin/true"]"#;
    let patch = json!({"metadata": {"annotations": {
        "pre.hook.backup.velero.io/command": nothing,
        "post.hook.backup.velero.io/command": nothing,
    }}});
    let kubectl = &database.cluster.node.kubectl;
    kubectl.apply(
        "patch pod -n shop pg-0 --patch-file /dev/stdin",
        &patch.to_string(),
    );
}

fn copies(cluster: &Cluster) -> Vec<Value> {
    let get = "get namespace -l quiescent.dev/verification";
    let all = cluster.node.kubectl.json(get, "");
    all["items"].as_array().cloned().unwrap_or_default()
}

/// What stands on a Backup.
fn verdict(cluster: &Cluster, backup: &str) -> Value {
    let get = format!("get -n velero backups.velero.io {backup}");
    let backup = cluster.node.kubectl.json(&get, "");
    let annotations = backup["metadata"]["annotations"].as_object().unwrap();
    let ours = annotations.iter().filter_map(|(key, value)| {
        let (domain, name) = key.split_once('/')?;
        (domain == ANNOTATION).then(|| (name.to_owned(), value.clone()))
    });
    Value::Object(ours.collect())
}

/// The way to the cluster as the account of deploy/components/verify.
fn restricted(cluster: &Cluster) -> PathBuf {
    let mut config = cluster.node.kubectl.json("config view --raw", "");
    config["users"][0]["user"]["as"] = "system:serviceaccount:quiescent:quiescent-verify".into();
    let path = cluster.node.kubectl.kubeconfig.with_extension("verify");
    fs::write(&path, config.to_string()).unwrap();
    path
}

/// The program, with the way to the cluster that it takes.
struct Verifier(PathBuf);

impl Verifier {
    fn start(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_quiescent"))
            .args(["verify", "--timeout", "5m", "-o", "json", "--kubeconfig"])
            .arg(&self.0)
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
}
