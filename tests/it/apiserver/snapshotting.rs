//! `quiescent render job` and `cronjob`: the API server takes them as they are, their account may do what
//! `quiescent snapshot` does, and nothing beside it.
use std::{
    collections::BTreeSet,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    ApiServer,
    kit::{self, eventually, kit, run},
    there_is_an_api_server,
};
use crate::support::{self, quiescent};

const NAMESPACE: &str = "quiescent";
const NAME: &str = "quiescent-snapshot-pg";
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_rendered_job_has_the_rights_that_it_uses_and_no_other() {
    let kinds = kit::built("cluster/csi/build", &[]);
    let what =
        "the kinds of CSI snapshots (tests/kit/cluster/csi/build makes them, once, in 2 minutes)";
    if !there_is_an_api_server() || !support::require(kinds, what) {
        return;
    }
    let api = ApiServer::start(&[]);
    let programs = run(&mut Command::new(kit("cluster/csi/build"))).expect("the kinds");
    let kinds = Path::new(programs.trim()).join("crds.yaml");
    api.kubectl.run(&format!("create -f {}", kinds.display()));
    api.namespace(
        NAMESPACE,
        &json!({"pod-security.kubernetes.io/warn": "restricted"}),
    );
    eventually("the API server knows snapshots", LIMIT, || {
        api.kubectl.attempt("get volumesnapshots -A", "").ok()
    });
    a_database(&api, NAMESPACE);

    let job = rendered(&["job", "pod/pg-0", "--name=once", "--group=never"]);
    taken_as_it_is(&api, &job);
    let cron_job = rendered(&[
        "cronjob",
        "statefulset/pg",
        "--schedule=@daily",
        "--keep=1",
        "--group=never",
    ]);
    taken_as_it_is(&api, &cron_job);
    // The pod of a Job is warned of where it is not restricted.
    api.kubectl.run(&format!(
        "create job -n {NAMESPACE} now --from=cronjob/{NAME} --warnings-as-errors"
    ));

    let snapshot = every_right_is_used(&api);
    it_may_do_nothing_else(&api);
    a_claim_comes_of(&api, &snapshot);
}

fn rendered(arguments: &[&str]) -> String {
    let render = ["render", "--color=never"];
    let output = quiescent(&[&render, arguments, &["-n", NAMESPACE]].concat())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn taken_as_it_is(api: &ApiServer, objects: &str) {
    api.kubectl
        .apply("apply --validate=strict --warnings-as-errors -f -", objects);
}

/// A pod that runs as far as the API server knows, with a claim on a volume of a driver.
pub fn a_database(api: &ApiServer, namespace: &str) {
    let labels = json!({"app": "pg"});
    let claim = json!({"persistentVolumeClaim": {"claimName": "data-pg-0"}, "name": "data"});
    let container = json!({
        "name": "postgres", "image": "postgres:17",
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
    });
    let size = json!({"storage": "1Gi"});
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass",
            "metadata": {"name": "csi"}, "driver": "csi.example.com", "deletionPolicy": "Delete",
        },
        {
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv-1"},
            "spec": {
                "capacity": size, "accessModes": ["ReadWriteOnce"],
                "csi": {"driver": "csi.example.com", "volumeHandle": "1"},
            },
        },
        {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data-pg-0", "namespace": namespace},
            "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": size}, "volumeName": "pv-1",
            },
        },
        // Left by a run whose end nobody saw.
        {
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "quiescent-data-pg-0", "namespace": namespace},
            "spec": {
                "holderIdentity": "gone", "leaseDurationSeconds": 1,
                "acquireTime": "2026-01-31T02:00:00.000000Z", "renewTime": "2026-01-31T02:00:00.000000Z",
            },
        },
        {
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "pg", "namespace": namespace},
            "spec": {
                "serviceName": "pg", "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "postgres", "image": "postgres:17"}]},
                },
            },
        },
        {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "pg-0", "namespace": namespace, "labels": labels,
                "annotations": {
                    "pre.hook.backup.velero.io/command": "[\"/bin/true\"]",
                    "post.hook.backup.velero.io/command": "[\"/bin/true\"]",
                },
            },
            "spec": {"nodeName": "nowhere", "containers": [container], "volumes": [claim]},
        },
    ]});
    api.kubectl.apply("create -f -", &objects.to_string());
    status(api, namespace, "pod pg-0", &json!({"phase": "Running"}));
}

/// Plays whoever writes the status of an object.
pub fn status(api: &ApiServer, namespace: &str, object: &str, status: &Value) {
    let patch = json!({"status": status});
    api.kubectl.apply(
        &format!("patch -n {namespace} {object} --subresource=status --type=merge --patch-file=/dev/stdin"),
        &patch.to_string(),
    );
}

/// The program as the Job of the CronJob starts it, with the rights of its account.
fn snapshot(api: &ApiServer, more: &[&str]) -> Child {
    let cron_job = api
        .kubectl
        .json(&format!("get cronjob -n {NAMESPACE} {NAME}"), "");
    let container = &cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0];
    let args = container["args"].as_array().unwrap();
    let flag = |arg: &str| arg.split('=').next().map(str::to_owned);
    let another = |arg: &&str| more.iter().all(|it| flag(it) != flag(arg));
    let args = args.iter().filter_map(Value::as_str);
    let args: Vec<&str> = args.filter(another).collect();
    quiescent(&[&args, more].concat())
        .args(["-o", "json", "-n", NAMESPACE, "--kubeconfig"])
        .arg(api.kubeconfig_of(NAMESPACE, NAME))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn ended(child: Child, code: i32, verdict: &str) {
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let said: Value = serde_json::from_slice(&stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&stderr)));
    assert_eq!(
        (status.code(), &said["verdict"]),
        (Some(code), &verdict.into()),
        "{said:#}"
    );
}

/// Returns the name of a snapshot that was taken without hooks.
fn every_right_is_used(api: &ApiServer) -> String {
    // No kubelet runs the hook: nothing is taken.
    ended(snapshot(api, &[]), 2, "undone");
    // No driver cuts anything: what was made is deleted.
    ended(
        snapshot(api, &["--without-hooks", "--cut-timeout=1s"]),
        2,
        "undone",
    );
    let child = snapshot(api, &["--without-hooks"]);
    let name = eventually("there is a snapshot", LIMIT, || {
        let get = format!("get volumesnapshots -n {NAMESPACE}");
        let all = api.kubectl.json(&get, "");
        all["items"][0]["metadata"]["name"]
            .as_str()
            .map(str::to_owned)
    });
    cut(api, &name);
    ended(child, 0, "crash_consistent");

    let role = format!("role -n {NAMESPACE} {NAME}");
    let allowed = api.allowed_by(&[&role, &format!("clusterrole {NAME}.{NAMESPACE}")]);
    let mut asked = api.asked_by(NAME);
    // An exec over a websocket is a get; API servers from 1.35 on ask for create beside it.
    asked.insert(("pods/exec".to_owned(), "create".to_owned()));
    // What it deletes may be in groups: where it may not see them, it goes on.
    asked.remove(&("volumegroupsnapshots".to_owned(), "list".to_owned()));
    // So it does where it may not see the backups of Velero.
    asked.remove(&("backups".to_owned(), "list".to_owned()));
    // It asks what time it is, which everybody may.
    asked.retain(|(resource, _)| !resource.is_empty());
    assert_eq!(asked, allowed);
    name
}

/// Plays the driver.
fn cut(api: &ApiServer, snapshot: &str) {
    let content = json!({
        "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotContent",
        "metadata": {"name": "content-1"},
        "spec": {
            "driver": "csi.example.com", "deletionPolicy": "Retain",
            "source": {"volumeHandle": "1"},
            "volumeSnapshotRef": {"name": snapshot, "namespace": NAMESPACE},
        },
    });
    api.kubectl.apply("create -f -", &content.to_string());
    let of_content = json!({"readyToUse": true, "creationTime": 1});
    status(
        api,
        NAMESPACE,
        "volumesnapshotcontent content-1",
        &of_content,
    );
    let of_snapshot = json!({
        "boundVolumeSnapshotContentName": "content-1", "readyToUse": true, "restoreSize": "1Gi",
        "creationTime": "2026-01-31T02:00:00Z",
    });
    status(
        api,
        NAMESPACE,
        &format!("volumesnapshot {snapshot}"),
        &of_snapshot,
    );
}

/// Of the class of the driver, since the original names none.
fn a_claim_comes_of(api: &ApiServer, snapshot: &str) {
    let restore = |more: &[&str]| {
        quiescent(&[
            "snapshot", "restore", "-n", NAMESPACE, "-o", "json", snapshot,
        ])
        .args(["--kubeconfig", &api.kubeconfig()])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
    };
    let refused = |more: &[&str], told: &str| {
        let Output { status, stderr, .. } = restore(more).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(said.contains(told), "{said}");
    };
    let restored = |child: Child, code: i32| -> Value {
        let Output { status, stdout, .. } = child.wait_with_output().unwrap();
        let said: Value = serde_json::from_slice(&stdout).unwrap();
        assert_eq!(status.code(), Some(code), "{said:#}");
        said
    };
    refused(&[], "there is no StorageClass of csi.example.com");
    refused(&["--size=1Mi"], "needs 1Gi, and 1Mi is less");
    for (name, mode) in [("now", "Immediate"), ("later", "WaitForFirstConsumer")] {
        let class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
            "provisioner": "csi.example.com", "volumeBindingMode": mode,
        });
        api.kubectl.apply("create -f -", &class.to_string());
    }
    refused(&[], "name one with --storage-class: later, now");

    let waiting = restored(restore(&["--storage-class=later", "--to=waits"]), 0);
    assert_eq!(waiting["claims"][0]["waitsForFirstConsumer"], true);
    let late = restored(
        restore(&["--storage-class=now", "--to=late", "--timeout=1s"]),
        1,
    );
    assert_eq!(late["claims"][0]["boundSeconds"], Value::Null);
    let bound = restore(&["--storage-class=now"]);
    let name = format!("{snapshot}-restored");
    let claim = eventually("there is a claim", LIMIT, || {
        let get = format!("get pvc -n {NAMESPACE} {name} -o json");
        let claim = api.kubectl.attempt(&get, "").ok()?;
        serde_json::from_str::<Value>(&claim).ok()
    });
    assert_eq!(claim["spec"]["dataSource"]["name"], snapshot);
    status(
        api,
        NAMESPACE,
        &format!("pvc {name}"),
        &json!({"phase": "Bound"}),
    );
    let bound = restored(bound, 0);
    assert!(bound["claims"][0]["boundSeconds"].is_number(), "{bound:#}");
    let warned = bound["notes"][0].as_str().unwrap();
    assert!(warned.contains("as after a power cut"), "{warned}");
    refused(&["--storage-class=now"], "name another with --to");

    api.kubectl.run(&format!(
        "annotate volumesnapshot -n {NAMESPACE} {snapshot} --overwrite quiescent.dev/reason=held"
    ));
    refused(&[], "is not consistent: held; --unusable-too");
}

/// What the API server says that it may do, without what every account may.
fn it_may_do_nothing_else(api: &ApiServer) {
    let may = |account: &str, namespace: &str| -> BTreeSet<String> {
        let list = api.kubectl.run(&format!(
            "auth can-i --list --no-headers -n {namespace} --as system:serviceaccount:{NAMESPACE}:{account}"
        ));
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        list.lines().map(words).collect()
    };
    let beyond = |account: &str, namespace: &str| -> Vec<String> {
        let everybody = may("default", namespace);
        let mine = may(account, namespace);
        mine.difference(&everybody).cloned().collect()
    };
    let wide = [
        "persistentvolumes [] [] [get]",
        "volumesnapshotclasses.snapshot.storage.k8s.io [] [] [list]",
        "volumesnapshotcontents.snapshot.storage.k8s.io [] [] [get]",
    ];
    let snapshots =
        "volumesnapshots.snapshot.storage.k8s.io [] [] [create delete list patch watch]";
    let hooks = "snapshothooks.quiescent.dev [] [] [list]";
    let leases = "leases.coordination.k8s.io [] [] [create delete get update]";
    let own = [
        leases,
        "namespaces [] [quiescent] [get]",
        "persistentvolumeclaims [] [] [get]",
        wide[0],
        "pods [] [] [list]",
        "pods/exec [] [] [create get]",
        hooks,
        "statefulsets.apps [] [pg] [get]",
        wide[1],
        wide[2],
        snapshots,
    ];
    assert_eq!(beyond(NAME, NAMESPACE), own);
    assert_eq!(beyond(NAME, "default"), wide);
    let of_one_pod = [
        leases,
        "namespaces [] [quiescent] [get]",
        "persistentvolumeclaims [] [] [get]",
        wide[0],
        "pods [] [] [list]",
        "pods/exec [] [pg-0] [create get]",
        hooks,
        wide[1],
        wide[2],
        snapshots,
    ];
    assert_eq!(beyond("once", NAMESPACE), of_one_pod);
}
