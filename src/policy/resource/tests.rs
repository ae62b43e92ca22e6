use super::*;

fn object(spec: &Value) -> Value {
    json!({
        "apiVersion": "quiescent.dev/v1", "kind": "HookPolicy",
        "metadata": {
            "name": "pg", "namespace": "shop", "uid": "u", "generation": 3, "managedFields": [{}],
            "labels": {"app": "x"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "quiescent.dev/engine": "PostgreSQL"},
        },
        "spec": spec,
        "status": {"conditions": []},
    })
}

fn sound() -> Value {
    json!({
        "match": {"images": ["postgres"]},
        "hooks": {
            "pre": {"script": "pre.sh", "timeout": "1m", "onError": "Fail"},
            "post": {"command": ["/bin/true"], "timeout": "1m", "onError": "Continue"},
        },
        "scriptFiles": {"pre.sh": "sync\n\techo \"a\u{e9}\\\"\n"},
    })
}

#[test]
fn what_the_api_server_keeps_on_an_object_is_no_part_of_the_policy() {
    let Judged { policy, remark } = judge(&object(&sound()));
    assert_eq!(remark, None);
    let policy = policy.unwrap();
    assert_eq!(policy.title(), "shop/pg");
    assert_eq!(policy.about.engine, "PostgreSQL");
    assert_eq!(policy.matching.namespaces, ["shop"]);
    assert_eq!(
        policy.scripts.files()["pre.sh"],
        "sync\n\techo \"a\u{e9}\\\"\n"
    );
    let mut other = object(&sound());
    other["metadata"]["labels"] = json!({"app": "y"});
    other["metadata"]["namespace"] = json!("elsewhere");
    assert_eq!(judge(&other).policy.unwrap().digest, policy.digest);
    other["spec"]["priority"] = json!(1);
    assert_ne!(judge(&other).policy.unwrap().digest, policy.digest);
}

#[test]
fn an_error_is_told_with_its_code_and_its_path() {
    let mut spec = sound();
    spec["hooks"]["pre"]["script"] = json!("other.sh");
    let Judged { policy, remark } = judge(&object(&spec));
    assert_eq!(policy, None);
    assert_eq!(
        remark.unwrap(),
        "QP013 at spec.hooks.pre.script: there is no script \"other.sh\"; the policy has: pre.sh"
    );
    let mut spec = sound();
    spec["match"]["images"] = json!(["postgres", ":"]);
    let remark = judge(&object(&spec)).remark.unwrap();
    assert!(
        remark.starts_with("QP010 at spec.match.images[1]: "),
        "{remark}"
    );
}

#[test]
fn a_warning_is_told_of_a_policy_that_is_taken() {
    let mut spec = sound();
    spec["hooks"].as_object_mut().unwrap().remove("post");
    let Judged { policy, remark } = judge(&object(&spec));
    assert!(policy.is_some());
    let remark = remark.unwrap();
    assert!(
        remark.starts_with("QP026 (warning) at spec.hooks.pre: "),
        "{remark}"
    );
}

#[test]
fn a_policy_of_a_namespace_asks_for_no_other() {
    let mut spec = sound();
    spec["match"]["namespaces"] = json!(["web", "sho*"]);
    assert!(judge(&object(&spec)).policy.is_some());
    spec["match"]["namespaces"] = json!(["web"]);
    let remark = judge(&object(&spec)).remark.unwrap();
    assert!(
        remark.starts_with("QP029 at spec.match.namespaces: "),
        "{remark}"
    );
    let mut cluster = object(&sound());
    cluster["kind"] = json!("ClusterHookPolicy");
    let remark = judge(&cluster).remark.unwrap();
    assert!(
        remark.starts_with("QP029 at metadata.namespace: "),
        "{remark}"
    );
}
