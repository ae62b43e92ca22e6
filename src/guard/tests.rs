use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::{Value, json};

use super::{Allowed, Strange, Undecided, judge};
use crate::{
    inject::inject,
    library,
    plan::PROVENANCE,
    pod::PodView,
    policy::PolicySet,
    select::{Facts, Namespace, Reason, Settings},
};

static POLICIES: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::new(library::policies()).0);
static SETTINGS: LazyLock<Settings> = LazyLock::new(Settings::default);
static NONE: BTreeMap<String, String> = BTreeMap::new();

const COMMAND: &str = "pre.hook.backup.velero.io/command";

fn facts() -> Facts<'static> {
    Facts {
        namespace: "shop",
        about_namespace: Namespace::Known {
            labels: &NONE,
            annotations: &NONE,
        },
        owner: None,
        settings: &SETTINGS,
    }
}

fn pod(image: &str, annotations: &Value) -> Value {
    json!({
        "metadata": {"name": "db", "annotations": annotations},
        "spec": {"containers": [{"name": "db", "image": image}]},
    })
}

/// A pod as the webhook leaves it.
fn injected() -> Value {
    let mut pod = pod("postgres:17", &json!({}));
    let text = pod.to_string();
    let view = PodView::parse(&text).unwrap();
    let injection = inject(&POLICIES, &view, facts());
    let patch = injection.patch(&view);
    assert!(!patch.is_empty());
    patch.apply(&mut pod, "").unwrap();
    pod
}

/// The same with one annotation written, or taken out.
fn with(pod: &Value, key: &str, value: Option<&str>) -> Value {
    let mut pod = pod.clone();
    let annotations = pod["metadata"]["annotations"].as_object_mut().unwrap();
    match value {
        Some(value) => annotations.insert(key.to_owned(), value.into()),
        None => annotations.remove(key),
    };
    pod
}

fn judged(pod: &Value, before: Option<&Value>) -> Option<Strange> {
    let (pod, before) = (pod.to_string(), before.map(Value::to_string));
    let before = before.as_deref().map(|text| PodView::parse(text).unwrap());
    judge(
        &POLICIES,
        &PodView::parse(&pod).unwrap(),
        before.as_ref(),
        facts(),
    )
    .unwrap()
}

fn key(strange: Option<Strange>) -> Option<String> {
    strange.map(|it| it.key)
}

#[test]
fn what_policies_give_is_no_stranger() {
    assert_eq!(judged(&injected(), None), None);
    assert_eq!(judged(&pod("nginx", &json!({})), None), None);
    // Of an earlier version, or without its marker: the hooks are what counts.
    for marker in [Some("postgresql-dump@000000000000"), None] {
        assert_eq!(judged(&with(&injected(), PROVENANCE, marker), None), None);
    }
}

#[test]
fn another_command_is_one_and_it_is_said_what_would_be_none() {
    let ours = injected();
    let wanted = ours["metadata"]["annotations"][COMMAND].as_str().unwrap();
    let theirs = with(&ours, COMMAND, Some(r#"["/bin/sh","-c","curl evil"]"#));
    let strange = judged(&theirs, None).unwrap();
    assert_eq!(strange.key, COMMAND);
    let Allowed::Value { value, policies } = &strange.allowed else {
        panic!("{strange:?}")
    };
    assert_eq!(value, wanted);
    assert!(policies.starts_with("postgresql-dump@"), "{policies}");
    assert!(!strange.to_string().contains("evil"), "{strange}");
}

#[test]
fn no_marker_makes_a_hook_ours() {
    let marked = json!({
        COMMAND: r#"["/bin/date"]"#,
        "quiescent.dev/policies": "postgresql-dump@000000000000",
        "quiescent.dev/hooks": "0123456789ab",
    });
    let mut pod = pod("nginx", &marked);
    pod["metadata"]["labels"] = json!({"velero.io/restore-name": "nightly"});
    let strange = judged(&pod, None).unwrap();
    assert_eq!(strange.allowed, Allowed::Nothing(Reason::NoPolicyMatches));
    assert_eq!(
        strange.to_string(),
        "pre.hook.backup.velero.io/command is not what a policy gives: none gives this pod hooks, as no policy matches"
    );
}

#[test]
fn every_hook_that_velero_reads_is_looked_at() {
    for (hook, value) in [
        ("hook.backup.velero.io/command", "/bin/date"),
        ("post.hook.backup.velero.io/command", "/bin/date"),
        ("post.hook.restore.velero.io/command", "/bin/date"),
        ("init.hook.restore.velero.io/container-image", "evil"),
        ("init.hook.restore.velero.io/command", "/bin/date"),
    ] {
        let theirs = pod("nginx", &json!({hook: value}));
        assert_eq!(key(judged(&theirs, None)).as_deref(), Some(hook));
    }
    let init = with(
        &injected(),
        "init.hook.restore.velero.io/container-image",
        Some("evil"),
    );
    let strange = judged(&init, None).unwrap();
    assert!(matches!(strange.allowed, Allowed::Others { .. }));
    // What Velero does not read runs nothing.
    let harmless = json!({"pre.hook.backup.velero.io/comment": "x", "backup.velero.io/backup-volumes": "data"});
    assert_eq!(judged(&pod("nginx", &harmless), None), None);
}

#[test]
fn a_part_that_is_taken_out_makes_another_hook() {
    let container = "pre.hook.backup.velero.io/container";
    let ours = injected();
    let other = with(&ours, container, None);
    assert_eq!(key(judged(&other, Some(&ours))).as_deref(), Some(container));
    let bare = pod("postgres:17", &json!({}));
    assert_eq!(judged(&bare, Some(&ours)), None);
}

#[test]
fn what_was_there_before_is_no_news() {
    let theirs = pod("nginx", &json!({COMMAND: "/bin/date"}));
    let labelled = {
        let mut pod = theirs.clone();
        pod["metadata"]["labels"] = json!({"a": "b"});
        pod
    };
    assert_eq!(judged(&labelled, Some(&theirs)), None);
    let changed = with(&theirs, COMMAND, Some("/bin/sh"));
    assert_eq!(
        key(judged(&changed, Some(&theirs))).as_deref(),
        Some(COMMAND)
    );
    // One hook that is new does not bring up another.
    let second = with(&theirs, "post.hook.backup.velero.io/command", Some("x"));
    assert_eq!(
        key(judged(&second, Some(&theirs))).as_deref(),
        Some("post.hook.backup.velero.io/command")
    );
}

#[test]
fn without_its_namespace_nobody_can_tell() {
    let asked = |pod: &Value| {
        let text = pod.to_string();
        let facts = Facts {
            about_namespace: Namespace::NotSeen,
            ..facts()
        };
        judge(&POLICIES, &PodView::parse(&text).unwrap(), None, facts)
    };
    assert_eq!(asked(&injected()), Err(Undecided(Reason::NamespaceNotSeen)));
    assert_eq!(asked(&pod("nginx", &json!({}))), Ok(None));
}
