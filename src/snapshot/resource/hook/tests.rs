use serde_json::json;

use super::*;

fn object(spec: &Value) -> Value {
    json!({"metadata": {"name": "one"}, "spec": spec})
}

fn named(name: &str, claim: &str, labels: &Value) -> Named {
    let object = json!({
        "metadata": {"name": name},
        "spec": {
            "targetPVC": claim, "container": "db", "podLabels": labels,
            "preHook": {"exec": {"command": ["hold"]}, "timeoutSeconds": 5, "onError": "Continue"},
            "postHook": {"exec": {"command": ["let", "go"]}},
        },
    });
    Named::of(&object).unwrap()
}

#[test]
fn hooks_of_a_claim_are_run_as_any() {
    let hooks = named("one", "data", &json!({})).hooks.unwrap();
    assert!(hooks.may_fail(HookPhase::Pre) && !hooks.may_fail(HookPhase::Post));
    let exec = |hook: Option<Hook>| hook.unwrap().exec().unwrap().clone();
    let (pre, post) = (exec(hooks.pre), exec(hooks.post));
    assert_eq!(
        (pre.command, pre.timeout.seconds()),
        (vec!["hold".to_owned()], 5)
    );
    assert_eq!((post.command.len(), post.timeout.seconds()), (2, 30));
    assert_eq!(pre.container.as_deref(), Some("db"));
}

#[test]
fn a_call_is_that_of_a_policy() {
    let spec = json!({
        "targetPVC": "data",
        "preHook": {
            "http": {
                "port": 8080, "path": "/pause",
                "headers": {"Authorization": {"secretKeyRef": {"name": "shop", "key": "token"}}},
                "expect": {"status": [200, "2xx"]},
            },
            "retry": {"attempts": 2, "delay": "1s"},
        },
        "postHook": {"http": {"url": "http://example.com/resume"}, "onError": "Continue"},
    });
    let named = Named::of(&object(&spec)).unwrap();
    let hooks = named.hooks.unwrap();
    let call = |hook: &Option<Hook>| hook.as_ref().unwrap().call().unwrap().clone();
    let (pre, post) = (call(&hooks.pre), call(&hooks.post));
    assert_eq!(pre.to_string(), "POST :8080/pause");
    assert_eq!((pre.statuses.len(), pre.retry.unwrap().attempts), (2, 2));
    assert_eq!(post.on_error, OnError::Continue);
    let warning = named.warning.unwrap();
    assert!(
        warning.contains("spec.postHook.http.url") && warning.contains("no Service"),
        "{warning}"
    );
}

#[test]
fn what_nobody_can_follow_is_of_its_claim_and_says_why() {
    let call = |http: Value| json!({"targetPVC": "data", "preHook": {"http": http}});
    for (spec, why) in [
        (json!({"targetPVC": "data"}), "neither preHook"),
        (
            json!({"targetPVC": "data", "preHook": {"timeoutSeconds": 3}}),
            "one of exec and http",
        ),
        (
            json!({"targetPVC": "data", "preHook": {"exec": {"command": []}}}),
            "exec.command is empty",
        ),
        (
            json!({"targetPVC": "data", "preHook": {
                "exec": {"command": ["a"]}, "retry": {"attempts": 2, "delay": "1s"},
            }}),
            "only calls",
        ),
        (
            json!({"targetPVC": "data", "prehook": {"exec": {"command": ["a"]}}}),
            "prehook",
        ),
        (call(json!({"url": "http://localhost/"})), "not to the pod"),
        (call(json!({"path": "/pause"})), "who is called"),
        (call(json!({"port": 80, "url": "http://shop/"})), "not both"),
        (call(json!({"port": 80, "methods": "GET"})), "methods"),
        (
            call(json!({"port": 80, "headers": {"X-Token": {"value": "0815"}}})),
            "spec.preHook.http.headers.X-Token",
        ),
    ] {
        let named = Named::of(&object(&spec)).unwrap();
        let said = named.hooks.clone().unwrap_err();
        assert!(
            said.starts_with("SnapshotHook one: ") && said.contains(why),
            "{said}"
        );
        let all = [named];
        let refused = super::said(&all, &json!({}), &["data"]);
        assert_eq!(refused, Err(said));
        assert_eq!(super::said(&all, &json!({}), &["wal"]), Ok(Said::Nothing));
    }
    let nameless = Named::of(&object(&json!({"preHook": {"exec": {"command": ["a"]}}})));
    assert!(nameless.unwrap_err().contains("add targetPVC"));
}

#[test]
fn one_says_what_runs_in_a_pod_and_no_more() {
    let pod = json!({"metadata": {"labels": {"role": "primary"}}});
    let all = [
        named("mine", "data", &json!({"role": "primary"})),
        named("others", "data", &json!({"role": "replica"})),
        named("wal", "wal", &json!({})),
        named("logs", "logs", &json!({"role": "replica"})),
    ];
    let name = |claims: &[&str]| said(&all, &pod, claims);
    let of = |said: Result<Said<'_>, String>| match said.unwrap() {
        Said::Nothing => "nothing".to_owned(),
        Said::Hooks { named, .. } => format!("runs {}", named.name),
        Said::AnotherPod(named) => format!("elsewhere {}", named.name),
    };
    for (claims, expected) in [
        (&["data"][..], "runs mine"),
        (&["wal"], "runs wal"),
        (&["logs"], "elsewhere logs"),
        (&["tmp"], "nothing"),
    ] {
        assert_eq!(of(name(claims)), expected);
    }
    let why = name(&["data", "wal"]).unwrap_err();
    assert!(why.contains("mine (of data), wal (of wal)"), "{why}");
}
