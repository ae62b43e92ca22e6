//! `quiescent render backup`, `schedule` and `restore`: Velero's own CustomResourceDefinitions take what is
//! printed, and a cluster tells the same of its pods as their manifests.
use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    ApiServer,
    kit::{self, eventually, kit, run},
};
use crate::support::{self, quiescent};

pub fn there_is_a_velero() -> bool {
    support::require(
        kit::built("cluster/velero/build", &[]),
        "Velero (tests/kit/cluster/velero/build makes it, once, in 4 minutes)",
    )
}

/// Has the API server know Velero's kinds.
pub fn install_kinds(api: &ApiServer) {
    let programs = run(&mut Command::new(kit("cluster/velero/build"))).expect("Velero is built");
    let velero = Path::new(programs.trim()).join("velero");
    let kinds =
        run(Command::new(velero).args(["install", "--crds-only", "--dry-run", "-o", "yaml"]));
    api.kubectl.apply("create -f -", &kinds.expect("its kinds"));
    let serves = || api.kubectl.attempt("get restores.velero.io -A", "").ok();
    let limit = Duration::from_secs(30);
    eventually("the API server knows Velero's kinds", limit, serves);
}

pub fn velero_takes_what_is_rendered(api: &ApiServer) {
    if !there_is_a_velero() {
        return;
    }
    api.namespace("velero", &json!({}));
    install_kinds(api);

    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/render");
    for (page, kind) in [
        ("backup", "backup"),
        ("schedule", "schedule"),
        ("restore", "restore"),
        ("unseen", "backup"),
    ] {
        let text = fs::read_to_string(pages.join(format!("{page}.yaml"))).unwrap();
        api.kubectl
            .apply("apply --validate=strict --warnings-as-errors -f -", &text);
        let name = if page == "unseen" {
            "quiescent"
        } else {
            "shop"
        };
        let stored = api
            .kubectl
            .json(&format!("get -n velero {kind}s.velero.io {name}"), "");
        let hooks = match kind {
            "schedule" => &stored["spec"]["template"]["hooks"],
            _ => &stored["spec"]["hooks"],
        };
        assert!(hooks["resources"][0]["name"].is_string(), "{stored:#}");
    }
    a_cluster_tells_the_same_as_its_manifests(api);
}

fn a_cluster_tells_the_same_as_its_manifests(api: &ApiServer) {
    let namespace = "looked-up";
    api.namespace(namespace, &json!({}));
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "books", "namespace": namespace, "labels": {"app": "books"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    let pod = |name: &str, labels: Value| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {
                "containers": [{
                    "name": "db", "image": "postgres:16",
                    "volumeMounts": [
                        {"name": "data", "mountPath": "/var/lib/postgresql/data"},
                        {"name": "quiescent-dump", "mountPath": "/quiescent/dump"},
                    ],
                }],
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": "books"}},
                    {"name": "quiescent-dump", "emptyDir": {}},
                ],
            },
        })
    };
    // Two of a StatefulSet, known by what they share.
    let numbered = |number: &str| {
        let own = format!("books-{number}");
        pod(
            &own,
            json!({"app": "books", "statefulset.kubernetes.io/pod-name": own}),
        )
    };
    let objects = json!({
        "apiVersion": "v1", "kind": "List",
        "items": [claim, numbered("0"), numbered("1")],
    });
    api.kubectl
        .apply("create --validate=false -f -", &objects.to_string());
    let render = |more: &[&str]| {
        let arguments = [
            "render",
            "backup",
            "--include-namespaces",
            namespace,
            "-o",
            "json",
        ];
        let Output {
            status,
            stdout,
            stderr,
        } = quiescent(&[&arguments, more].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&stderr).into_owned();
        assert!(status.success(), "{said}");
        serde_json::from_slice::<Value>(&stdout).unwrap()
    };
    let looked_up = render(&["--resolve", "--kubeconfig", &api.kubeconfig()]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("objects.json");
    fs::write(&file, objects.to_string()).unwrap();
    assert_eq!(looked_up, render(&["-f", file.to_str().unwrap()]));
    let sets = looked_up["items"][1]["spec"]["hooks"]["resources"]
        .as_array()
        .unwrap();
    assert_eq!(sets.len(), 1, "{sets:#?}");
    assert_eq!(
        sets[0]["labelSelector"],
        json!({"matchLabels": {"app": "books"}})
    );
    let volumes = looked_up["items"][0]["data"]["policy.yaml"]
        .as_str()
        .unwrap();
    assert!(
        volumes.contains("books") && volumes.contains("fs-backup"),
        "{volumes}"
    );
}
