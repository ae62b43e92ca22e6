//! What is checked on a pod as the API server has stored it: that it has all that the policy adds,
//! and that without the additions it is the pod that would be there without the webhook.
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

const SCRIPTS: &str = "quiescent-postgresql-dump";
const DUMP: &str = "quiescent-dump";

/// Every annotation that `postgresql-dump` writes, but for `backup-volumes`, which others write too.
const ANNOTATIONS: [&str; 16] = [
    "pre.hook.backup.velero.io/command",
    "pre.hook.backup.velero.io/container",
    "pre.hook.backup.velero.io/on-error",
    "pre.hook.backup.velero.io/timeout",
    "post.hook.backup.velero.io/command",
    "post.hook.backup.velero.io/container",
    "post.hook.backup.velero.io/on-error",
    "post.hook.backup.velero.io/timeout",
    "post.hook.restore.velero.io/command",
    "post.hook.restore.velero.io/container",
    "post.hook.restore.velero.io/on-error",
    "post.hook.restore.velero.io/exec-timeout",
    "post.hook.restore.velero.io/wait-timeout",
    "post.hook.restore.velero.io/wait-for-ready",
    "quiescent.dev/policies",
    "quiescent.dev/hooks",
];
const BACKUP_VOLUMES: &str = "backup.velero.io/backup-volumes";

pub fn annotation<'p>(pod: &'p Value, key: &str) -> Option<&'p str> {
    pod["metadata"]["annotations"][key].as_str()
}

pub fn has_hooks(pod: &Value) -> bool {
    annotation(pod, "pre.hook.backup.velero.io/command").is_some()
}

/// The pod has the hooks of `postgresql-dump` in `container`, whole and once.
#[track_caller]
pub fn has_all_hooks(pod: &Value, container: &str) {
    for key in ANNOTATIONS {
        assert!(annotation(pod, key).is_some(), "{key} is missing: {pod:#}");
    }
    for phase in ["pre.hook.backup", "post.hook.backup", "post.hook.restore"] {
        assert_eq!(
            annotation(pod, &format!("{phase}.velero.io/container")),
            Some(container)
        );
        let command = annotation(pod, &format!("{phase}.velero.io/command")).unwrap_or_default();
        let argv: Vec<String> =
            serde_json::from_str(command).expect("the command is a JSON array of strings");
        assert!(
            argv.iter()
                .any(|word| word.starts_with("/quiescent/postgresql-dump/")),
            "{argv:?}"
        );
    }
    assert_eq!(
        annotation(pod, "pre.hook.backup.velero.io/on-error"),
        Some("Fail")
    );
    let provenance = annotation(pod, "quiescent.dev/policies").unwrap_or_default();
    let hash = provenance
        .strip_prefix("postgresql-dump@")
        .unwrap_or_else(|| panic!("{provenance:?}"));
    assert!(
        hash.len() == 12 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{provenance:?}"
    );
    let saved: Vec<_> = annotation(pod, BACKUP_VOLUMES)
        .unwrap_or_default()
        .split(',')
        .collect();
    assert_eq!(
        saved.iter().filter(|name| **name == DUMP).count(),
        1,
        "{saved:?}"
    );

    let named = |list: &Value, name: &str| -> Vec<Value> {
        list.as_array()
            .into_iter()
            .flatten()
            .filter(|item| item["name"] == name)
            .cloned()
            .collect()
    };
    let scripts = named(&pod["spec"]["volumes"], SCRIPTS);
    assert_eq!(scripts.len(), 1, "{pod:#}");
    assert_eq!(scripts[0]["configMap"]["optional"], true);
    assert_eq!(scripts[0]["configMap"]["defaultMode"], 0o555);
    let map = scripts[0]["configMap"]["name"].as_str().unwrap_or_default();
    assert!(map.starts_with("quiescent-postgresql-dump-"), "{map}");
    let dump = named(&pod["spec"]["volumes"], DUMP);
    assert_eq!(
        dump,
        [json!({"name": DUMP, "emptyDir": {"sizeLimit": "10Gi"}})]
    );

    for other in pod["spec"]["containers"].as_array().into_iter().flatten() {
        let ours = usize::from(other["name"] == container);
        assert_eq!(
            named(&other["volumeMounts"], SCRIPTS).len(),
            ours,
            "{other:#}"
        );
        assert_eq!(named(&other["volumeMounts"], DUMP).len(), ours, "{other:#}");
        if ours == 1 {
            let mount = &named(&other["volumeMounts"], SCRIPTS)[0];
            assert_eq!(mount["mountPath"], "/quiescent/postgresql-dump");
            assert_eq!(mount["readOnly"], true);
            assert_eq!(
                named(&other["volumeMounts"], DUMP)[0]["mountPath"],
                "/quiescent/dump"
            );
        }
    }
    is_consistent(pod);
}

/// Volume names are unique, and mount paths within each container.
#[track_caller]
fn is_consistent(pod: &Value) {
    let unique = |list: &Value, key: &str| {
        let mut seen = BTreeSet::new();
        list.as_array()
            .into_iter()
            .flatten()
            .all(|item| seen.insert(item[key].to_string()))
    };
    assert!(unique(&pod["spec"]["volumes"], "name"), "{pod:#}");
    for list in ["initContainers", "containers"] {
        for container in pod["spec"][list].as_array().into_iter().flatten() {
            assert!(
                unique(&container["volumeMounts"], "mountPath"),
                "{container:#}"
            );
        }
    }
}

/// A stored pod without what the API server makes up, to be compared with another.
pub fn as_written(pod: &Value) -> Value {
    // The service account's volume has a random end: here all have the same one, none.
    let mark = "\"kube-api-access-";
    let text = pod.to_string();
    let mut parts = text.split(mark);
    let mut same = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        same += mark;
        same += &part[part.find('"').expect("a string ends")..];
    }
    let mut pod: Value = serde_json::from_str(&same).expect("still JSON");

    pod.as_object_mut()
        .expect("a pod is an object")
        .remove("status");
    let metadata = pod["metadata"].as_object_mut().expect("a pod has metadata");
    for key in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "namespace",
        "managedFields",
        "generation",
    ] {
        metadata.remove(key);
    }
    if metadata.contains_key("generateName") {
        metadata.remove("name");
    }
    pod
}

/// The same without what the policy adds. What is left is what would be there without us.
pub fn essence(pod: &Value) -> Value {
    let mut pod = as_written(pod);
    let metadata = pod["metadata"].as_object_mut().expect("a pod has metadata");
    if let Some(annotations) = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        for key in ANNOTATIONS {
            annotations.remove(key);
        }
        if let Some(volumes) = annotations.get_mut(BACKUP_VOLUMES) {
            let others: Vec<_> = volumes
                .as_str()
                .unwrap_or_default()
                .split(',')
                .filter(|name| *name != DUMP)
                .collect();
            *volumes = others.join(",").into();
        }
        annotations.retain(|key, value| key != BACKUP_VOLUMES || value != "");
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    let spec = pod["spec"].as_object_mut().expect("a pod has a spec");
    remove_ours(spec, "volumes");
    for list in ["initContainers", "containers"] {
        for container in spec
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            remove_ours(
                container.as_object_mut().expect("a container is an object"),
                "volumeMounts",
            );
        }
    }
    pod
}

fn remove_ours(parent: &mut Map<String, Value>, list: &str) {
    let Some(items) = parent.get_mut(list).and_then(Value::as_array_mut) else {
        return;
    };
    items.retain(|item| item["name"] != SCRIPTS && item["name"] != DUMP);
    if items.is_empty() {
        parent.remove(list);
    }
}
