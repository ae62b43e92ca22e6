use serde_json::{Value, json};

use super::places;

fn template() -> Value {
    json!({"metadata": {}, "spec": {"containers": [{"name": "c"}]}})
}

fn pointers(document: &Value) -> Vec<String> {
    places(document)
        .into_iter()
        .map(|place| place.pointer)
        .collect()
}

#[test]
fn every_kind_with_a_template_is_known() {
    for (version, kind, pointer) in [
        ("apps/v1", "Deployment", "/spec/template"),
        ("apps/v1", "StatefulSet", "/spec/template"),
        ("apps/v1", "DaemonSet", "/spec/template"),
        ("apps/v1", "ReplicaSet", "/spec/template"),
        ("v1", "ReplicationController", "/spec/template"),
        ("batch/v1", "Job", "/spec/template"),
    ] {
        let document = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": "shop"}, "spec": {"template": template()}});
        let found = places(&document);
        assert_eq!(found[0].pointer, pointer, "{kind}");
        assert_eq!(found[0].owner, Some((kind.to_owned(), "x".to_owned())));
        assert_eq!(found[0].namespace.as_deref(), Some("shop"));
        assert!(found[0].known);
    }
    let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": template()}}}});
    assert_eq!(pointers(&cron), ["/spec/jobTemplate/spec/template"]);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "x-"}, "spec": {"containers": []}});
    assert_eq!(places(&pod)[0].name, "x-*");
    assert_eq!(places(&pod)[0].owner, None);
}

#[test]
fn lists_are_looked_into() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {}});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [pod, {"kind": "Service"}, {"kind": "PodList", "items": [pod]}]});
    assert_eq!(pointers(&list), ["/items/0", "/items/2/items/0"]);
}

#[test]
fn what_looks_like_a_template_is_taken_for_one_and_nothing_else_is() {
    let rollout = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "spec": {"template": template()}});
    assert_eq!(pointers(&rollout), ["/spec/template"]);
    assert!(!places(&rollout)[0].known);
    let external = json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "spec": {"target": {}, "template": {"type": "Opaque"}}});
    assert_eq!(places(&external), []);
    for other in [
        json!(null),
        json!([1]),
        json!({"kind": "Service", "spec": {}}),
        json!("text"),
    ] {
        assert_eq!(places(&other), []);
    }
}
