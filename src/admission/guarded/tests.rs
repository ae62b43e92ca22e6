use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Guard, Judgement, judge, parse};
use crate::{
    library,
    policy::PolicySet,
    select::{Facts, Namespace, Settings},
};

fn review() -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u1", "operation": "CREATE", "namespace": "shop",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "userInfo": {"username": "system:serviceaccount:shop:ci"},
            "object": {
                "metadata": {
                    "name": "web",
                    "annotations": {"pre.hook.backup.velero.io/command": "[\"/bin/date\"]"},
                },
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            },
            "oldObject": null,
        },
    })
}

fn answered(review: &Value, guard: Guard) -> (Value, Judgement) {
    let body = review.to_string();
    let review = parse(body.as_bytes()).unwrap();
    let (policies, _) = PolicySet::new(library::defaults());
    let settings = Settings::default();
    let nothing = BTreeMap::new();
    let facts = Facts {
        namespace: &review.namespace,
        about_namespace: Namespace::Known {
            labels: &nothing,
            annotations: &nothing,
        },
        owner: None,
        settings: &settings,
    };
    let judged = judge(&review, guard, &policies, facts).unwrap();
    let answer: Value = serde_json::from_slice(&judged.body).unwrap();
    assert_eq!(answer["response"]["uid"], "u1");
    assert_eq!(answer["response"].get("patch"), None);
    (answer["response"].clone(), judged.judgement)
}

#[test]
fn a_strange_hook_is_named_or_refused() {
    let (response, judgement) = answered(&review(), Guard::Warn);
    assert_eq!(judgement, Judgement::Named);
    assert_eq!(response["allowed"], true);
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(
        warning
            .starts_with("quiescent: pre.hook.backup.velero.io/command is not what a policy gives")
    );

    let (response, judgement) = answered(&review(), Guard::Enforce);
    assert_eq!(judgement, Judgement::Refused);
    assert_eq!(response["allowed"], false);
    assert_eq!(response["status"]["code"], 403);
    assert_eq!(
        response["status"]["message"],
        "pre.hook.backup.velero.io/command is not what a policy gives: none gives this pod hooks, as no policy matches; the namespace shop is guarded (quiescent.dev/guard=enforce): leave hook annotations out, and policies write theirs"
    );
    assert_eq!(response["auditAnnotations"]["outcome"], "refused");
}

#[test]
fn an_update_is_judged_by_what_it_changes() {
    let mut update = review();
    update["request"]["operation"] = "UPDATE".into();
    update["request"]["oldObject"] = update["request"]["object"].clone();
    assert_eq!(answered(&update, Guard::Enforce).1, Judgement::Allowed);
    update["request"]["oldObject"]["metadata"]["annotations"] = Value::Null;
    assert_eq!(answered(&update, Guard::Enforce).1, Judgement::Refused);
}

#[test]
fn what_writes_no_annotation_is_not_judged() {
    let mut deletion = review();
    deletion["request"]["operation"] = "DELETE".into();
    deletion["request"]["object"] = Value::Null;
    let mut debug = review();
    debug["request"]["subResource"] = "ephemeralcontainers".into();
    for other in [deletion, debug] {
        assert_eq!(answered(&other, Guard::Enforce).1, Judgement::Allowed);
    }
}

/// A pod comes back with the hooks of the day it was backed up on.
#[test]
fn velero_restores_what_was_and_nobody_else_can_say_so() {
    let mut restored = review();
    restored["request"]["object"]["metadata"]["labels"] =
        json!({"velero.io/restore-name": "nightly"});
    assert_eq!(answered(&restored, Guard::Enforce).1, Judgement::Refused);
    let mut by = |account: &str| {
        restored["request"]["userInfo"]["username"] = account.into();
        answered(&restored, Guard::Enforce).1
    };
    assert_eq!(by("system:serviceaccount:velero:velero"), Judgement::Named);
    assert_eq!(
        by("system:serviceaccount:velero-x:velero"),
        Judgement::Refused
    );
    assert_eq!(by("velero"), Judgement::Refused);
    restored["request"]["object"]["metadata"]["labels"] = Value::Null;
    restored["request"]["userInfo"]["username"] = "system:serviceaccount:velero:velero".into();
    assert_eq!(answered(&restored, Guard::Enforce).1, Judgement::Refused);
}

#[test]
fn a_pod_that_was_and_cannot_be_read_is_no_review() {
    let mut update = review();
    update["request"]["oldObject"] = json!({"spec": {"containers": 7}});
    assert_eq!(
        parse(update.to_string().as_bytes())
            .map(|_| ())
            .unwrap_err()
            .as_str(),
        "bad_pod"
    );
}
