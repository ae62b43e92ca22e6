//! What changes while the webhook runs: other webhooks around it, labels of namespaces, policy files.
use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use super::{
    ApiServer,
    kit::{Webhook, eventually},
    pod_named,
    stored::{annotation, has_all_hooks, has_hooks},
};

/// How long a watch or a poll may take to notice.
const SOON: Duration = Duration::from_secs(30);

/// A proxy injector that comes after us and puts its container first. It is a policy and not a
/// webhook because the API server itself then runs it; `IfNeeded` makes it run after webhooks too,
/// and its change makes the API server call the webhooks once more.
const PROXY_INJECTOR: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: proxy}
spec:
  reinvocationPolicy: IfNeeded
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: agreeing}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  # A condition for the whole policy would not do: one that is not met in the first round is not asked
  # in the second.
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: >
          has(object.metadata.annotations) && "quiescent.dev/policies" in object.metadata.annotations
          && !object.spec.containers.exists(container, container.name == "proxy")
          ? [JSONPatch{op: "add", path: "/spec/containers/0", value: Object.spec.containers{name: "proxy", image: "envoy:1"}}]
          : []
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: proxy}
spec: {policyName: proxy}
"#;

pub fn two_webhooks_agree(api: &ApiServer, library: &Webhook) {
    let second = Webhook::start(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    api.namespace("agreeing", &json!({}));
    api.register_as("agreeing-1", library, "agreeing", "Fail");
    api.register_as("agreeing-2", &second, "agreeing", "Fail");
    api.kubectl.apply("create -f -", PROXY_INJECTOR);
    eventually("the proxy injector is in force", SOON, || {
        let pod = api
            .dry_run("agreeing", &pod_named("early"))
            .expect("a dry run");
        (pod["spec"]["containers"][0]["name"] == "proxy").then_some(())
    });

    let stored = api.create("agreeing", &pod_named("called-again"));
    has_all_hooks(&stored, "postgres");
    assert_eq!(stored["spec"]["containers"][0]["name"], "proxy");
    assert_eq!(
        stored["spec"]["containers"].as_array().map(Vec::len),
        Some(2)
    );
    let log = library.log();
    let reviews = log
        .lines()
        .filter(|line| line.contains("called-again"))
        .count();
    assert!(
        reviews >= 2,
        "the first webhook was called {reviews} times:\n{log}"
    );
}

/// A policy of its own for these tests; it needs no script and no volume.
fn policy(name: &str, matching: &Value, timeout: &str) -> String {
    json!({
        "apiVersion": "quiescent.dev/v1", "kind": "HookPolicy", "metadata": {"name": name},
        "spec": {
            "match": matching,
            "container": {"image": "postgres"},
            "hooks": {
                "pre": {"command": ["/bin/true"], "timeout": timeout, "onError": "Fail"},
                "post": {"command": ["/bin/true"], "timeout": "10s", "onError": "Continue"},
            },
        },
    })
    .to_string()
}

fn serve(policies: &Path, more: &[&str]) -> Webhook {
    let policies = policies.display().to_string();
    let mut arguments = vec![
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--policies",
        &policies,
    ];
    arguments.extend(more);
    Webhook::start(arguments)
}

pub fn namespace_labels_are_watched(api: &ApiServer, library: &Webhook) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let matching =
        json!({"namespaceSelector": {"matchLabels": {"tier": "gold"}}, "images": ["postgres"]});
    fs::write(
        directory.path().join("gold.yaml"),
        policy("gold", &matching, "1m"),
    )
    .expect("a policy");
    // With the rights that deploy/ gives it and no more.
    let gold = serve(
        directory.path(),
        &["--kubeconfig", &api.kubeconfig_of_the_webhook()],
    );
    api.namespace("labelled", &json!({}));
    api.register(&gold, "labelled", "Fail");
    let hooked = || {
        has_hooks(
            &api.dry_run("labelled", &pod_named("pg"))
                .expect("a dry run"),
        )
    };
    assert!(!hooked());
    api.kubectl.run("label namespace labelled tier=gold");
    eventually("the new label counts", SOON, || hooked().then_some(()));
    api.kubectl.run("label namespace labelled tier-");
    eventually("the label that is gone no longer counts", SOON, || {
        (!hooked()).then_some(())
    });

    api.namespace("opted-out", &json!({"quiescent.dev/inject": "disabled"}));
    api.register(library, "opted-out", "Fail");
    let mut pod: Value = serde_json::from_str(&pod_named("pg")).expect("JSON");
    eventually("the namespace is left alone", SOON, || {
        let shown = api
            .dry_run("opted-out", &pod.to_string())
            .expect("a dry run");
        (!has_hooks(&shown)).then_some(())
    });
    pod["metadata"]["labels"] = json!({"quiescent.dev/inject": "enabled"});
    has_all_hooks(&api.create("opted-out", &pod.to_string()), "postgres");
}

pub fn bad_policies_leave_the_last_good_ones(api: &ApiServer, _: &Webhook) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("reloaded.yaml");
    let matching = json!({"images": ["postgres"]});
    fs::write(&file, policy("reloaded", &matching, "2m")).expect("a policy");
    let webhook = serve(directory.path(), &["--reload", "200ms"]);
    api.namespace("reloading", &json!({}));
    api.register(&webhook, "reloading", "Fail");
    let provenance = || {
        let pod = api
            .dry_run("reloading", &pod_named("pg"))
            .expect("a dry run");
        annotation(&pod, "quiescent.dev/policies").map(str::to_owned)
    };
    let first = provenance().expect("a hook");
    assert!(first.starts_with("reloaded@"), "{first}");

    let broken = policy("reloaded", &matching, "3m").replace("onError", "onerror");
    fs::write(&file, broken).expect("a broken policy");
    webhook.logged(&["onerror"]);
    assert_eq!(provenance().as_ref(), Some(&first));
    assert!(
        webhook.admin("/readyz").is_some(),
        "the last good set is as good as ever"
    );

    fs::write(&file, policy("reloaded", &matching, "4m")).expect("a policy");
    eventually("the repaired file is in force", SOON, || {
        provenance().filter(|now| *now != first)
    });
}
