//! What is heard, and what then is to be done.
use serde_json::{Value, json};

use super::*;
use crate::{
    inject::inject,
    library,
    pod::PodView,
    policy::PolicySet,
    select::Mode,
    select::{Facts, Namespace},
};

const KEEP: Duration = Duration::from_mins(1);

/// A world that has heard of everything, of which nothing is there.
fn world(mode: Mode) -> World {
    let (policies, _) = PolicySet::new(library::defaults());
    let settings = Settings {
        mode,
        ..Settings::default()
    };
    let world = World::new(InForce::new(policies), settings);
    list(|heard| world.hear_namespace(heard), &[]);
    list(|heard| world.hear_config_map(heard), &[]);
    for kind in Kind::WORKLOADS {
        list(|heard| world.hear_workload(kind, heard), &[]);
    }
    assert!(world.is_whole());
    world
}

fn list<K: serde::de::DeserializeOwned>(hear: impl Fn(Heard<K>), objects: &[Value]) {
    hear(Heard::Event(Event::Init));
    for object in objects {
        hear(Heard::Event(Event::InitApply(parsed(object))));
    }
    hear(Heard::Event(Event::InitDone));
}

fn parsed<K: serde::de::DeserializeOwned>(object: &Value) -> K {
    serde_json::from_value(object.clone()).unwrap()
}

fn namespace(inject: &str) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": {"name": "shop", "labels": {"quiescent.dev/inject": inject}},
    })
}

fn pod(image: &str, uses: &str) -> Value {
    json!({
        "metadata": {"name": "pg-0", "namespace": "shop"},
        "spec": {
            "containers": [{"name": "db", "image": image}],
            "volumes": [{"name": "scripts", "configMap": {"name": uses}}],
        },
    })
}

fn hear_namespace(world: &World, inject: &str) {
    world.hear_namespace(Heard::Event(Event::Apply(parsed(&namespace(inject)))));
}

fn hear_pod(world: &World, pod: &Value) {
    world.hear_workload(Kind::Pods, Heard::Event(Event::Apply(parsed(pod))));
}

/// What is to be done at once, as `ACTION NAME` without the digest.
fn check(world: &World) -> Vec<String> {
    let steps = world.steps("shop", |name| !name.ends_with("-old"), KEEP, 1_000_000);
    let said = steps.into_iter().map(|step| {
        let (policy, _) = step.name.rsplit_once('-').unwrap();
        format!("{} {policy}", step.action.as_str())
    });
    said.collect()
}

const DUMP: &str = "create quiescent-postgresql-dump";

#[test]
fn a_pod_that_comes_before_its_namespace_is_judged_when_that_comes() {
    let world = world(Mode::OptIn);
    hear_pod(&world, &pod("postgres:17", "none"));
    assert_eq!(check(&world), Vec::<String>::new());
    hear_namespace(&world, "enabled");
    assert_eq!(check(&world), [DUMP]);
    hear_namespace(&world, "disabled");
    assert_eq!(check(&world), Vec::<String>::new());
}

#[test]
fn of_pods_that_no_policy_means_nothing_is_kept() {
    let world = world(Mode::OptOut);
    hear_namespace(&world, "enabled");
    hear_pod(&world, &pod("postgres:17", "none"));
    assert_eq!(world.seen().workloads, 1);
    hear_pod(&world, &pod("nginx:1", "none"));
    assert_eq!(world.seen().workloads, 0);
    hear_pod(&world, &pod("nginx:1", "quiescent-any-old"));
    assert_eq!(world.seen().workloads, 1);
}

#[test]
fn a_new_list_takes_the_place_of_what_was_known() {
    let world = world(Mode::OptOut);
    hear_namespace(&world, "enabled");
    hear_pod(&world, &pod("postgres:17", "none"));
    assert_eq!(check(&world), [DUMP]);
    world.take_stirred();
    list(|heard| world.hear_workload(Kind::Pods, heard), &[]);
    assert_eq!(check(&world), Vec::<String>::new());
    assert_eq!(world.take_stirred(), BTreeSet::from(["shop".to_owned()]));
    // Others stay.
    assert_eq!(world.seen().namespaces, 1);
}

#[test]
fn other_policies_are_asked_about_what_is_known() {
    let world = world(Mode::OptOut);
    hear_namespace(&world, "enabled");
    hear_pod(&world, &pod("postgres:17", "none"));
    let mut reloads = world.reloads();
    world.reloaded();
    assert!(reloads.has_changed().unwrap());
    reloads.mark_unchanged();
    assert_eq!(check(&world), [DUMP]);
}

#[test]
fn nothing_is_done_where_nothing_may_be() {
    let world = world(Mode::OptOut);
    hear_pod(&world, &pod("postgres:17", "none"));
    // Nobody knows of it.
    assert_eq!(check(&world), Vec::<String>::new());
    let mut going = namespace("enabled");
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    world.hear_namespace(Heard::Event(Event::Apply(parsed(&going))));
    assert_eq!(check(&world), Vec::<String>::new());
    hear_namespace(&world, "enabled");
    assert_eq!(check(&world), [DUMP]);
    world.terminates("shop");
    assert_eq!(check(&world), Vec::<String>::new());
}

#[test]
fn while_a_watch_is_broken_nothing_is_deleted() {
    let world = world(Mode::OptOut);
    hear_namespace(&world, "enabled");
    let (policies, _) = PolicySet::new(library::defaults());
    let policy = policies.get("postgresql-dump", "shop").unwrap();
    let mut old = policy.config_map_manifest(Some("shop")).unwrap();
    old["metadata"]["annotations"] = json!({UNUSED_SINCE: "1970-01-01T00:00:00Z"});
    world.hear_config_map(Heard::Event(Event::Apply(parsed(&old))));
    let delete = ["delete quiescent-postgresql-dump"];
    assert_eq!(check(&world), delete);
    world.hear_workload(Kind::Pods, Heard::Broke);
    assert_eq!(check(&world), Vec::<String>::new());
    list(|heard| world.hear_workload(Kind::Pods, heard), &[]);
    assert_eq!(check(&world), delete);
}

#[test]
fn a_config_map_is_whole_when_it_says_what_its_name_stands_for() {
    let (policies, _) = PolicySet::new(library::defaults());
    let policy = policies.get("postgresql-dump", "shop").unwrap();
    let manifest = policy.config_map_manifest(Some("shop")).unwrap();
    let whole = |change: &dyn Fn(&mut Value)| {
        let mut manifest = manifest.clone();
        change(&mut manifest);
        Script::new(&parsed(&manifest), 0).map(|script| script.present.whole)
    };
    assert_eq!(whole(&|_| {}), Some(true));
    assert_eq!(whole(&|it| it["data"]["pre.sh"] = "".into()), Some(false));
    assert_eq!(whole(&|it| it["data"]["more.sh"] = "".into()), Some(false));
    assert_eq!(whole(&|it| it["immutable"] = false.into()), Some(false));
    assert_eq!(
        whole(&|it| it["binaryData"] = json!({"x": "AA=="})),
        Some(false)
    );
    assert_eq!(whole(&|it| it["metadata"]["labels"] = json!({})), None);
    assert_eq!(whole(&|it| it["metadata"]["name"] = "another".into()), None);
}

/// A pod that runs, as the API server tells of it.
fn running(image: &str) -> Value {
    let mut pod = pod(image, "none");
    pod["metadata"]["uid"] = "1".into();
    pod["metadata"]["resourceVersion"] = "1".into();
    pod["metadata"]["ownerReferences"] = json!([
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "pg", "uid": "2", "controller": true},
    ]);
    pod
}

/// The pods that are counted, as `POLICY REASON NUMBER`.
fn counted(world: &World) -> Vec<String> {
    let all = world.unprotected().into_iter();
    all.map(|((namespace, policy, reason), pods)| {
        assert_eq!(namespace, "shop");
        format!("{policy} {} {pods}", reason.as_str())
    })
    .collect()
}

const MISSED: &str = "postgresql-dump missed 1";

#[test]
fn a_pod_without_its_hooks_is_counted_until_it_goes() {
    let world = world(Mode::OptIn);
    hear_pod(&world, &running("postgres:17"));
    // Its namespace is not known.
    assert_eq!(counted(&world), Vec::<String>::new());
    hear_namespace(&world, "enabled");
    assert_eq!(counted(&world), [MISSED]);
    hear_namespace(&world, "other");
    assert_eq!(counted(&world), [" not_enabled 1"]);
    assert_eq!(world.missed(), []);
    hear_namespace(&world, "disabled");
    assert_eq!(counted(&world), Vec::<String>::new());
    hear_namespace(&world, "enabled");
    assert_eq!(world.missed().len(), 1);
    let mut going = running("postgres:17");
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    hear_pod(&world, &going);
    assert_eq!(counted(&world), Vec::<String>::new());
    assert!(world.has_one_going("2") && !world.has_one_going("1"));
    hear_pod(&world, &running("postgres:17"));
    assert_eq!(counted(&world), [MISSED]);
    list(|heard| world.hear_namespace(heard), &[]);
    assert_eq!(counted(&world), Vec::<String>::new());
}

#[test]
fn a_database_without_a_policy_is_known_before_its_namespace_is() {
    let (policies, _) = PolicySet::new(Vec::new());
    let world = World::new(InForce::new(policies), Settings::default());
    for kind in Kind::WORKLOADS {
        list(|heard| world.hear_workload(kind, heard), &[]);
    }
    list(|heard| world.hear_config_map(heard), &[]);
    hear_pod(&world, &running("postgres:17"));
    list(|heard| world.hear_namespace(heard), &[namespace("any")]);
    assert_eq!(counted(&world), [" no_policy 1"]);
}

#[test]
fn scripts_that_come_and_go_count_at_once() {
    let world = world(Mode::OptOut);
    hear_namespace(&world, "enabled");
    let (policies, _) = PolicySet::new(library::defaults());
    let policy = policies.get("postgresql-dump", "shop").unwrap();
    let scripts = policy.config_map_manifest(Some("shop")).unwrap();
    // As the webhook makes it.
    let mut pod = running("postgres:17");
    let text = pod.to_string();
    let view = PodView::parse(&text).unwrap();
    let settings = Settings::default();
    let facts = Facts {
        namespace: "shop",
        about_namespace: Namespace::Unknown,
        owner: None,
        settings: &settings,
    };
    let injection = inject(&policies, &view, facts);
    injection.patch(&view).apply(&mut pod, "").unwrap();
    hear_pod(&world, &pod);
    let missing = ["postgresql-dump missing_scripts 1"];
    assert_eq!(counted(&world), missing);
    let there = || parsed::<ConfigMap>(&scripts);
    world.hear_config_map(Heard::Event(Event::Apply(there())));
    assert_eq!(counted(&world), Vec::<String>::new());
    world.hear_config_map(Heard::Event(Event::Delete(there())));
    assert_eq!(counted(&world), missing);
    let name = there().metadata.name.unwrap();
    world.answered("shop", &name, Some(&there()));
    assert_eq!(counted(&world), Vec::<String>::new());
    list(|heard| world.hear_config_map(heard), &[]);
    assert_eq!(counted(&world), missing);
}

#[test]
fn nothing_is_counted_in_namespaces_that_are_left_alone_or_before_all_is_known() {
    let world = World::new(
        InForce::new(PolicySet::new(library::defaults()).0),
        Settings::default(),
    );
    hear_namespace(&world, "enabled");
    hear_pod(&world, &running("postgres:17"));
    assert_eq!(counted(&world), Vec::<String>::new());
    let world = self::world(Mode::OptOut);
    let mut namespace = namespace("enabled");
    namespace["metadata"]["name"] = "kube-data".into();
    world.hear_namespace(Heard::Event(Event::Apply(parsed(&namespace))));
    let mut pod = running("postgres:17");
    pod["metadata"]["namespace"] = "kube-data".into();
    hear_pod(&world, &pod);
    assert!(world.unprotected().is_empty());
    assert_eq!(world.missed(), []);
}
