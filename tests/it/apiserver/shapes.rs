//! Pods of many shapes through one webhook with the library's policies.
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    ApiServer,
    kit::{Webhook, eventually},
    manifests, pod_named,
    stored::{annotation, as_written, essence, has_all_hooks, has_hooks},
};

/// Where no webhook is called: what is stored here is what the author wrote.
const PLAIN: &str = "plain";

pub fn databases_get_hooks(api: &ApiServer, library: &Webhook) {
    api.namespace(PLAIN, &json!({}));
    api.namespace("hooked", &json!({}));
    api.register(library, "hooked", "Fail");
    for (name, manifest) in manifests("hooked") {
        println!("       {name}");
        let plain = api
            .dry_run(PLAIN, &manifest)
            .expect("the manifest is valid");
        let stored = api.create("hooked", &manifest);
        has_all_hooks(&stored, "postgres");
        assert_eq!(essence(&stored), essence(&plain), "{name}");
    }
}

pub fn others_stay_as_they_are(api: &ApiServer, library: &Webhook) {
    api.namespace("untouched", &json!({}));
    api.register(library, "untouched", "Fail");
    for (name, manifest) in manifests("untouched") {
        println!("       {name}");
        let plain = api
            .dry_run(PLAIN, &manifest)
            .expect("the manifest is valid");
        let stored = api.create("untouched", &manifest);
        assert!(!has_hooks(&stored), "{stored:#}");
        assert_eq!(as_written(&stored), as_written(&plain), "{name}");
        let reason = manifest
            .lines()
            .find_map(|line| line.strip_prefix("# reason: "));
        library.logged(&["untouched", &name, reason.expect("the manifest says why")]);
    }

    // Whoever creates a pod that a policy nearly matched is told so.
    let (_, twice) = manifests("untouched")
        .into_iter()
        .find(|(name, _)| name == "same-image-twice")
        .expect("its manifest");
    let warned = api
        .kubectl
        .attempt(
            "create --dry-run=server --warnings-as-errors -n untouched -f -",
            &twice.replace("name: same", "name: the-same"),
        )
        .expect_err("a warning");
    assert!(warned.contains("postgresql-dump not applied"), "{warned}");
}

/// The pod that comes out must be one that the namespace takes: Pod Security is asked after webhooks.
pub fn a_restricted_pod_stays_one(api: &ApiServer, library: &Webhook) {
    api.namespace("restricted", &json!({}));
    api.register(library, "restricted", "Fail");
    api.kubectl
        .run("label namespace restricted pod-security.kubernetes.io/enforce=restricted");
    let mut pod: Value = serde_json::from_str(&pod_named("pg")).expect("JSON");
    eventually("the label counts", Duration::from_secs(30), || {
        let refused = api.dry_run("restricted", &pod.to_string()).err()?;
        refused.contains("violates PodSecurity").then_some(())
    });
    pod["spec"]["securityContext"] = json!({
        "runAsNonRoot": true, "runAsUser": 999, "seccompProfile": {"type": "RuntimeDefault"},
    });
    pod["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    has_all_hooks(&api.create("restricted", &pod.to_string()), "postgres");
}

pub fn an_authors_hooks_are_kept(api: &ApiServer, library: &Webhook) {
    api.namespace("authors", &json!({}));
    api.register(library, "authors", "Fail");
    let mut pod: Value = serde_json::from_str(&pod_named("own-hooks")).expect("JSON");
    pod["metadata"]["annotations"] = json!({
        "pre.hook.backup.velero.io/command": r#"["/bin/sh","-c","psql -c checkpoint"]"#,
        "pre.hook.backup.velero.io/timeout": "90s",
        "post.hook.backup.velero.io/command": "/bin/true",
    });
    let plain = api
        .dry_run(PLAIN, &pod.to_string())
        .expect("the pod is valid");
    let stored = api.create("authors", &pod.to_string());
    // Not a part of ours is mixed in: a container or an on-error of ours would change what his do.
    assert_eq!(as_written(&stored), as_written(&plain));
    library.logged(&["authors", "own-hooks", "authors_hooks"]);
}

pub fn backup_volumes_are_merged(api: &ApiServer, library: &Webhook) {
    api.namespace("merged", &json!({}));
    api.register(library, "merged", "Fail");
    let mut pod: Value = serde_json::from_str(&pod_named("merged")).expect("JSON");
    pod["metadata"]["annotations"] = json!({"backup.velero.io/backup-volumes": "config,other"});
    let stored = api.create("merged", &pod.to_string());
    has_all_hooks(&stored, "postgres");
    assert_eq!(
        annotation(&stored, "backup.velero.io/backup-volumes"),
        Some("config,other,quiescent-dump")
    );
}

pub fn a_restored_pod_is_unchanged(api: &ApiServer, library: &Webhook) {
    api.namespace("before", &json!({}));
    api.namespace("restored", &json!({}));
    api.register(library, "before", "Fail");
    api.register(library, "restored", "Fail");
    let mut pod = api.create("before", &pod_named("pg-0"));
    has_all_hooks(&pod, "postgres");

    // As Velero does it: no status, no identity, and its own init container in front. It keeps the
    // service account's mounts, but not the volume's name.
    pod.as_object_mut().expect("an object").remove("status");
    for key in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
    ] {
        pod["metadata"]
            .as_object_mut()
            .expect("an object")
            .remove(key);
    }
    pod["metadata"]["namespace"] = "restored".into();
    pod["metadata"]["labels"] =
        json!({"velero.io/backup-name": "nightly", "velero.io/restore-name": "nightly-1"});
    pod["spec"]["initContainers"] = json!([{
        "name": "restore-wait", "image": "velero/velero:v1.18.3", "command": ["/velero-restore-helper"],
        "volumeMounts": [{"name": "quiescent-dump", "mountPath": "/restores/quiescent-dump"}],
    }]);
    let plain = {
        let mut pod = pod.clone();
        pod["metadata"]["namespace"] = PLAIN.into();
        api.dry_run(PLAIN, &pod.to_string())
            .expect("the pod is valid")
    };
    let stored = api.create("restored", &pod.to_string());
    has_all_hooks(&stored, "postgres");
    assert_eq!(stored["spec"]["initContainers"][0]["name"], "restore-wait");
    assert_eq!(as_written(&stored), as_written(&plain));
}

pub fn a_dry_run_stores_nothing(api: &ApiServer, library: &Webhook) {
    api.namespace("dry", &json!({}));
    api.register(library, "dry", "Fail");
    let shown = api.dry_run("dry", &pod_named("pg")).expect("a dry run");
    has_all_hooks(&shown, "postgres");
    let refused = api
        .kubectl
        .attempt("get pod -n dry pg", "")
        .expect_err("nothing is stored");
    assert!(refused.contains("NotFound"), "{refused}");
}

pub fn templates_stay_as_they_are(api: &ApiServer, library: &Webhook) {
    api.namespace("templates", &json!({}));
    api.register(library, "templates", "Fail");
    for kind in ["Deployment", "StatefulSet"] {
        let template = json!({
            "metadata": {"labels": {"app": "pg"}},
            "spec": {"containers": [{"name": "postgres", "image": "postgres:16"}]},
        });
        let mut owner = json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "pg"},
            "spec": {"selector": {"matchLabels": {"app": "pg"}}, "template": template},
        });
        if kind == "StatefulSet" {
            owner["spec"]["serviceName"] = "pg".into();
        }
        let stored = api
            .kubectl
            .json("create -n templates -f -", &owner.to_string());
        let plain = api
            .dry_run(PLAIN, &owner.to_string())
            .expect("the owner is valid");
        assert_eq!(stored["spec"], plain["spec"], "{kind}");

        // No controller runs here, so its pod is made as the controller would.
        let mut pod = template.clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["generateName"] = "pg-".into();
        pod["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "apps/v1", "kind": kind, "name": "pg", "controller": true,
            "uid": stored["metadata"]["uid"],
        }]);
        has_all_hooks(&api.create("templates", &pod.to_string()), "postgres");
    }
}
