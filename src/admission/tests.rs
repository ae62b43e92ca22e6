use serde_json::{Value, json};

use super::{Outcome, answer, parse};
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
            "object": {
                "metadata": {"generateName": "pg-"},
                "spec": {"containers": [{"name": "db", "image": "postgres:16"}]},
            },
        },
    })
}

/// The code of the refusal of a body, or nothing.
fn refused(body: &[u8]) -> Option<&'static str> {
    parse(body).err().map(|refusal| refusal.as_str())
}

fn answered(review: &Value) -> (Value, Outcome) {
    let body = review.to_string();
    let review = parse(body.as_bytes()).unwrap();
    let (policies, _) = PolicySet::new(library::defaults());
    let settings = Settings::default();
    let facts = Facts {
        namespace: &review.namespace,
        about_namespace: Namespace::Unknown,
        owner: None,
        settings: &settings,
    };
    let answer = answer(&review, &policies, facts);
    (
        serde_json::from_slice(&answer.body).unwrap(),
        answer.outcome,
    )
}

#[test]
fn what_is_no_review_is_refused_with_a_reason_of_its_own() {
    let body = |change: &dyn Fn(&mut Value)| {
        let mut review = review();
        change(&mut review);
        review.to_string().into_bytes()
    };
    let whole = body(&|_| {});
    assert_eq!(refused(&whole), None);
    assert_eq!(refused(b""), Some("not_json"));
    assert_eq!(refused(b"null"), Some("not_json"));
    assert_eq!(refused(&whole[..whole.len() - 1]), Some("not_json"));
    assert_eq!(refused(&[&whole[..], b"x"].concat()), Some("not_json"));
    assert_eq!(refused(b"\xff\xfe"), Some("not_utf8"));
    assert_eq!(refused("[".repeat(200_000).as_bytes()), Some("not_json"));
    assert_eq!(
        refused(&body(
            &|it| it["apiVersion"] = "admission.k8s.io/v1beta1".into()
        )),
        Some("other_version")
    );
    assert_eq!(refused(b"{}"), Some("other_version"));
    assert_eq!(
        refused(&body(&|it| it["request"] = Value::Null)),
        Some("no_request")
    );
    assert_eq!(
        refused(&body(&|it| it["request"]["uid"] = "".into())),
        Some("no_uid")
    );
    assert_eq!(
        refused(&body(&|it| it["request"]["kind"]["kind"] = "Service".into())),
        Some("not_a_pod")
    );
    assert_eq!(
        refused(&body(&|it| it["request"]["object"] = Value::Null)),
        Some("no_object")
    );
    assert_eq!(
        refused(&body(
            &|it| it["request"]["object"]["spec"]["containers"] = "x".into()
        )),
        Some("bad_pod")
    );
}

#[test]
fn what_is_read_late_and_cannot_be_leaves_the_pod_with_a_warning() {
    let volumes = |volumes: Value| {
        let mut review = review();
        review["request"]["object"]["spec"]["volumes"] = volumes;
        answered(&review)
    };
    for broken in [
        json!("x"),
        json!([{"name": 7}]),
        vec![json!({}); 10_001].into(),
    ] {
        let (answer, outcome) = volumes(broken);
        let response = &answer["response"];
        assert_eq!(outcome, Outcome::Passed);
        assert_eq!(response["allowed"], true);
        assert_eq!(response["auditAnnotations"]["reason"], "unreadable");
        assert!(response.get("patch").is_none(), "{response}");
        assert!(response["warnings"][0].is_string(), "{response}");
    }
    // Nobody reads them of a pod that no policy selects.
    let mut review = review();
    review["request"]["object"]["spec"]["containers"][0]["image"] = "nginx".into();
    review["request"]["object"]["spec"]["volumes"] = "x".into();
    let (answer, _) = answered(&review);
    assert_eq!(
        answer["response"]["auditAnnotations"]["reason"],
        "no_policy_matches"
    );
}

#[test]
fn a_pod_with_more_containers_than_anything_is_refused() {
    let mut review = review();
    review["request"]["object"]["spec"]["containers"] = vec![json!({}); 10_001].into();
    assert_eq!(refused(review.to_string().as_bytes()), Some("bad_pod"));
}

#[test]
fn nesting_without_end_costs_nothing() {
    let mut review = review();
    review["request"]["object"]["spec"]["unknown"] = "DEEP".into();
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let body = review.to_string().replace("\"DEEP\"", &deep);
    let _ = parse(body.as_bytes());
}

#[test]
fn a_pod_gets_a_patch_and_says_by_what() {
    let (answer, outcome) = answered(&review());
    let response = &answer["response"];
    assert_eq!(outcome, Outcome::Injected);
    assert_eq!(response["uid"], "u1");
    assert_eq!(response["allowed"], true);
    assert_eq!(response["patchType"], "JSONPatch");
    assert_eq!(response["auditAnnotations"]["outcome"], "injected");
    assert!(
        response["auditAnnotations"]["policies"]
            .as_str()
            .unwrap()
            .starts_with("postgresql-dump@")
    );
}

#[test]
fn without_anything_to_do_there_is_no_patch_and_no_type_of_one() {
    let mut other = review();
    other["request"]["object"]["spec"]["containers"][0]["image"] = "nginx".into();
    let (answer, outcome) = answered(&other);
    assert_eq!(outcome, Outcome::Passed);
    assert_eq!(
        answer["response"]["auditAnnotations"]["reason"],
        "no_policy_matches"
    );
    assert_eq!(answer["response"].get("patch"), None);
    assert_eq!(answer["response"].get("patchType"), None);
}

#[test]
fn only_the_creation_of_a_pod_is_changed() {
    let mut update = review();
    update["request"]["operation"] = "UPDATE".into();
    let mut debug = review();
    debug["request"]["subResource"] = "ephemeralcontainers".into();
    for other in [update, debug] {
        let (answer, outcome) = answered(&other);
        assert_eq!(outcome, Outcome::Passed);
        assert_eq!(answer["response"], json!({"uid": "u1", "allowed": true}));
    }
}

#[test]
fn warnings_are_short_enough_to_be_shown() {
    let mut twice = review();
    let container = twice["request"]["object"]["spec"]["containers"][0].clone();
    twice["request"]["object"]["spec"]["containers"] = json!([container, container]);
    let (answer, outcome) = answered(&twice);
    assert_eq!(outcome, Outcome::Passed);
    assert_eq!(
        answer["response"]["auditAnnotations"]["reason"],
        "several_containers"
    );
    let warning = answer["response"]["warnings"][0].as_str().unwrap();
    assert!(warning.contains("postgresql-dump"), "{warning}");
    assert!(warning.chars().count() <= 120);
}

#[test]
fn a_refusal_never_says_what_stood_there() {
    let mut secret = review();
    secret["request"]["object"]["spec"]["containers"] = "hunter2".into();
    let body = secret.to_string();
    let refusal = parse(body.as_bytes()).unwrap_err().to_string();
    assert!(!refusal.contains("hunter2"), "{refusal}");
    assert!(refusal.contains("line 1, column"), "{refusal}");
}
