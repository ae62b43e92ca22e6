use std::sync::LazyLock;

use serde_json::{Value, json};

use super::uninject;
use crate::{
    inject::inject,
    library,
    plan::{Kept, PROVENANCE},
    pod::PodView,
    policy::PolicySet,
    select::{Facts, Namespace, Settings},
    velero::{BACKUP_VOLUMES, HookPhase},
};

static POLICIES: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::new(library::policies()).0);

static SETTINGS: LazyLock<Settings> = LazyLock::new(Settings::default);

fn facts() -> Facts<'static> {
    Facts {
        namespace: "shop",
        about_namespace: Namespace::Unknown,
        owner: None,
        settings: &SETTINGS,
    }
}

fn postgresql() -> Value {
    json!({"spec": {"containers": [{"name": "db", "image": "postgres:17"}]}})
}

fn injected(pod: &Value) -> Value {
    let text = pod.to_string();
    let mut after = pod.clone();
    let view = PodView::parse(&text).unwrap();
    let injection = inject(&POLICIES, &view, facts());
    let patch = injection.patch(&view);
    assert!(!patch.is_empty());
    patch.apply(&mut after, "").unwrap();
    after
}

/// What is left of a pod, and what is kept in it that may be ours.
fn back_by(policies: &PolicySet, pod: &Value) -> (Value, Vec<Kept>) {
    let text = pod.to_string();
    let mut after = pod.clone();
    let found = uninject(policies, pod, &PodView::parse(&text).unwrap(), facts());
    found.patch.apply(&mut after, "").unwrap();
    (after, found.withdrawal.kept)
}

fn check(pod: &Value, after: &Value, kept: &[Kept]) {
    let (left, left_alone) = back_by(&POLICIES, pod);
    assert_eq!(left, *after);
    assert_eq!(left_alone, kept);
}

#[test]
fn a_pod_is_what_it_was_before() {
    check(&injected(&postgresql()), &postgresql(), &[]);
}

#[test]
fn without_a_provenance_nothing_is_ours() {
    let mut pod = injected(&postgresql());
    let annotations = pod["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.shift_remove(PROVENANCE);
    check(&pod, &pod, &[]);
}

#[test]
fn a_volume_that_an_author_mounts_too_stays() {
    let mut pod = injected(&postgresql());
    let author = json!({"name": "tools", "image": "busybox", "volumeMounts": [
        {"name": "quiescent-dump", "mountPath": "/dump"},
    ]});
    let containers = pod["spec"]["containers"].as_array_mut().unwrap();
    containers.push(author.clone());
    let mut left = postgresql();
    left["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(author);
    left["spec"]["volumes"] =
        json!([{"name": "quiescent-dump", "emptyDir": {"sizeLimit": "10Gi"}}]);
    // It stays in the backup too: whose name it is cannot be told.
    left["metadata"] = json!({"annotations": {BACKUP_VOLUMES: "quiescent-dump"}});
    check(&pod, &left, &[Kept::Volume("quiescent-dump".to_owned())]);
}

#[test]
fn a_hook_that_somebody_put_in_place_of_ours_stays() {
    let mut pod = injected(&postgresql());
    let key = HookPhase::Pre.keys().command;
    pod["metadata"]["annotations"][key] = "/bin/date".into();
    let (left, kept) = back_by(&POLICIES, &pod);
    assert_eq!(left["metadata"]["annotations"][key], "/bin/date");
    assert_eq!(
        left["metadata"]["annotations"].as_object().unwrap().len(),
        4
    );
    assert_eq!(kept, [Kept::Hook(HookPhase::Pre.prefix())]);
}

#[test]
fn names_in_backup_volumes_go_and_the_authors_stay() {
    for authors in ["data", "data, other,", "quiescent-dumps"] {
        let mut pod = postgresql();
        pod["metadata"] = json!({"annotations": {BACKUP_VOLUMES: authors}});
        check(&injected(&pod), &pod, &[]);
    }
}

#[test]
fn an_older_version_of_a_policy_goes_too() {
    let mut pod = injected(&postgresql());
    pod["metadata"]["annotations"][PROVENANCE] = "postgresql-dump@000000000000".into();
    let volumes = pod["spec"]["volumes"].as_array_mut().unwrap();
    volumes[0]["configMap"]["name"] = "quiescent-postgresql-dump-0000000000".into();
    volumes[1]["emptyDir"]["sizeLimit"] = "1Gi".into();
    check(&pod, &postgresql(), &[]);
}

#[test]
fn of_a_policy_that_nobody_knows_the_scripts_go_and_the_rest_is_told() {
    let none = PolicySet::default();
    let (left, kept) = back_by(&none, &injected(&postgresql()));
    assert_eq!(kept, [Kept::UnknownPolicy("postgresql-dump".to_owned())]);
    assert_eq!(
        left,
        json!({
            "spec": {
                "containers": [{"name": "db", "image": "postgres:17", "volumeMounts": [
                    {"name": "quiescent-dump", "mountPath": "/quiescent/dump"},
                ]}],
                "volumes": [{"name": "quiescent-dump", "emptyDir": {"sizeLimit": "10Gi"}}],
            },
            "metadata": {"annotations": {BACKUP_VOLUMES: "quiescent-dump"}},
        })
    );
}
