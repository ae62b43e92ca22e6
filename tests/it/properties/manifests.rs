//! What holds for the text of every manifest that is changed, and for the way back.

use std::collections::BTreeMap;

use proptest::prelude::*;
use quiescent::{
    patch::{Patch, write},
    plan::PROVENANCE,
    pod::PodView,
    uninject::uninject,
    velero::{BACKUP_VOLUMES, HookPhase, LEGACY_PRE, Timeout, decode_command},
    yaml,
};
use serde_json::{Value, json};

use super::{
    POLICIES, config, injected,
    pods::{self, Case},
    written,
};

fn read(text: &str) -> Value {
    yaml::parse(text).unwrap()[0]
        .root
        .as_ref()
        .unwrap()
        .to_json()
}

fn patch_of(case: &Case) -> Patch<'static> {
    injected(case, &case.pod, |injection, view, _| {
        injection.patch(view).into_owned()
    })
}

/// The patch that takes out of a pod what was put in.
fn back(case: &Case, pod: &Value) -> Patch<'static> {
    let text = pod.to_string();
    let view = PodView::parse(&text).unwrap();
    uninject(&POLICIES, pod, &view, case.facts()).patch
}

/// A workload around a pod, and the pointer to the pod in it.
fn workload(pod: &Value, of_controller: bool) -> (Value, String) {
    if of_controller {
        let workload = json!({"kind": "Deployment", "spec": {"template": pod, "replicas": 1}});
        (workload, "/spec/template".to_owned())
    } else {
        (pod.clone(), String::new())
    }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn a_manifest_is_changed_by_additions_only(
        case in pods::case(),
        style in written::style(),
        of_controller in any::<bool>(),
    ) {
        let (workload, pointer) = workload(&case.pod, of_controller);
        let text = style.write(&workload);
        prop_assert_eq!(&read(&text), &workload, "{}", text);
        let patch = patch_of(&case);
        let new = write(&text, &[(pointer.clone(), patch.clone())]);
        prop_assert!(new.is_ok(), "{:?}\n{}", new, text);
        let new = new.unwrap();
        let mut patched = workload.clone();
        patch.apply(&mut patched, &pointer).unwrap();
        prop_assert_eq!(read(&new), patched, "{}", new);
        prop_assert_eq!(new.contains('\r'), text.contains('\r'));
        prop_assert_eq!(new.matches('\r').count(), new.matches("\r\n").count());
        let changed = replaced(&patch);
        let mut lines = new.lines();
        for line in text.lines() {
            let had_to_change = line.contains(['{', '[', '~'])
                || line.contains("null")
                || changed.iter().any(|key| line.contains(key.as_str()));
            // Those may look like others further down.
            if !had_to_change {
                prop_assert!(lines.any(|it| it == line), "{:?} is gone\n{}\n---\n{}", line, text, new);
            }
        }
    }

    #[test]
    fn what_was_put_in_is_taken_out_again(
        case in pods::case(),
        style in written::style(),
        tidy in any::<bool>(),
    ) {
        let mut case = of_author(case);
        if tidy {
            drop_empty_parents(&mut case.pod);
        }
        let patch = patch_of(&case);
        let mut after = case.pod.clone();
        patch.apply(&mut after, "").unwrap();
        let undo = back(&case, &after);
        if patch.is_empty() {
            prop_assert!(undo.is_empty());
            return Ok(());
        }
        let mut again = after.clone();
        undo.apply(&mut again, "").unwrap();
        same(&case.pod, &again)?;
        let nothing_more = back(&case, &again);
        prop_assert!(nothing_more.is_empty());
        // In the text too, byte for byte where nothing was replaced or empty before.
        let text = style.write(&case.pod);
        let new = write(&text, &[(String::new(), patch.clone())]).unwrap();
        let restored = write(&new, &[(String::new(), undo)]);
        prop_assert!(restored.is_ok(), "{:?}\n{}", restored, new);
        let restored = restored.unwrap();
        prop_assert_eq!(read(&restored), again.clone());
        if again == case.pod && !has_empty_parents(&case.pod) && replaced(&patch).is_empty() {
            prop_assert_eq!(restored, text);
        }
    }

    #[test]
    fn nothing_is_taken_out_of_a_pod_that_was_never_injected(case in pods::case()) {
        let case = of_author(case);
        prop_assert!(back(&case, &case.pod).is_empty());
    }
}

/// The last steps of what a patch replaces.
fn replaced(patch: &Patch<'_>) -> Vec<String> {
    let patch = patch.to_json("");
    let operations = patch.as_array().unwrap().iter();
    let replacing = operations.filter(|it| it["op"] == "replace");
    replacing
        .map(|it| {
            let pointer = it["path"].as_str().unwrap();
            let last = pointer.rsplit('/').next().unwrap();
            last.replace("~1", "/").replace("~0", "~")
        })
        .collect()
}

/// A pod without what an earlier injection left, and without mounts that the API server refuses.
fn of_author(mut case: Case) -> Case {
    let pod = &mut case.pod;
    if let Some(Value::Object(annotations)) = pod.pointer_mut("/metadata/annotations") {
        annotations.shift_remove(PROVENANCE);
    }
    let mut names: Vec<Value> = Vec::new();
    if let Some(Value::Array(volumes)) = pod.pointer_mut("/spec/volumes") {
        volumes.retain(|it| it["name"] != "quiescent-postgresql-dump");
        names.extend(volumes.iter().map(|it| it["name"].clone()));
    }
    for position in 0..containers(pod).len() {
        let mounts = pod.pointer_mut(&format!("/spec/containers/{position}/volumeMounts"));
        if let Some(Value::Array(mounts)) = mounts {
            mounts.retain(|mount| names.contains(&mount["name"]));
        }
    }
    case
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(entries) => entries.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn containers(pod: &Value) -> &[Value] {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    containers.map(Vec::as_slice).unwrap_or_default()
}

/// Whether a parent is written that has nothing in it: what it looked like is not known afterwards.
fn has_empty_parents(pod: &Value) -> bool {
    let parents = ["/metadata", "/metadata/annotations", "/spec/volumes"];
    let mut parents = parents.iter().filter_map(|pointer| pod.pointer(pointer));
    let mut mounts = containers(pod)
        .iter()
        .filter_map(|it| it.get("volumeMounts"));
    parents.any(is_empty) || mounts.any(is_empty)
}

fn annotations(pod: &Value) -> BTreeMap<String, String> {
    let annotations = &pod["metadata"]["annotations"];
    serde_json::from_value(annotations.clone()).unwrap_or_default()
}

/// A pod without annotations and without parents that have nothing in them.
fn without_annotations(pod: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(Value::Object(metadata)) = pod.pointer_mut("/metadata") {
        metadata.shift_remove("annotations");
    }
    drop_empty_parents(&mut pod);
    pod
}

fn drop_empty_parents(pod: &mut Value) {
    let drop = |parent: Option<&mut Value>, key: &str| {
        if let Some(Value::Object(entries)) = parent
            && entries.get(key).is_some_and(is_empty)
        {
            entries.shift_remove(key);
        }
    };
    drop(pod.pointer_mut("/metadata"), "annotations");
    drop(Some(pod), "metadata");
    drop(pod.pointer_mut("/spec"), "volumes");
    for position in 0..containers(pod).len() {
        let container = pod.pointer_mut(&format!("/spec/containers/{position}"));
        drop(container, "volumeMounts");
    }
}

/// Whether a pod is again what it was, as far as Velero and the API server can tell.
fn same(before: &Value, after: &Value) -> Result<(), TestCaseError> {
    prop_assert_eq!(without_annotations(before), without_annotations(after));
    let (mut old, mut new) = (annotations(before), annotations(after));
    let volumes = before.pointer("/spec/volumes").and_then(Value::as_array);
    let volumes: Vec<&str> = volumes
        .map(|volumes| {
            volumes
                .iter()
                .filter_map(|it| it["name"].as_str())
                .collect()
        })
        .unwrap_or_default();
    let listed = |value: Option<String>| -> Vec<String> {
        let value = value.unwrap_or_default();
        let names = value.split(',').filter(|name| volumes.contains(name));
        names.map(str::to_owned).collect()
    };
    // A name of an author's volume may be the author's, and stays.
    let (old_listed, new_listed) = (
        listed(old.remove(BACKUP_VOLUMES)),
        listed(new.remove(BACKUP_VOLUMES)),
    );
    prop_assert!(
        new_listed.starts_with(&old_listed),
        "{:?} {:?}",
        old_listed,
        new_listed
    );
    let containers = containers(before);
    let legacy = old.contains_key(LEGACY_PRE.command);
    let hook = |all: &mut BTreeMap<String, String>, phase: HookPhase| {
        let keys = phase.keys();
        let command = all.remove(keys.command);
        let container = all.remove(keys.container);
        let on_error = all.remove(keys.on_error);
        let timeout = all
            .remove(keys.timeout)
            .and_then(|it| it.parse::<Timeout>().ok());
        let seconds = timeout.map_or(30, |it| {
            it.nanoseconds().unsigned_abs().div_ceil(1_000_000_000)
        });
        let first = containers.first().and_then(|it| it["name"].as_str());
        command.and_then(|it| decode_command(&it)).map(|argv| {
            let container = container.unwrap_or_else(|| first.unwrap_or_default().to_owned());
            (
                argv,
                container,
                on_error.as_deref() == Some("Fail"),
                seconds,
            )
        })
    };
    for phase in HookPhase::ALL {
        let (old, new) = (hook(&mut old, phase), hook(&mut new, phase));
        // What a policy overrode is gone.
        let overridden = new.is_none()
            && containers.iter().any(|it| {
                it["image"]
                    .as_str()
                    .is_some_and(|image| image.contains("mysql"))
            });
        let may_differ = overridden || (legacy && phase == HookPhase::Pre);
        if !may_differ {
            prop_assert_eq!(old, new);
        }
    }
    prop_assert_eq!(old, new);
    Ok(())
}
