//! What is recognised is left alone where a policy says so, and nowhere else; and people are told.

use serde_json::{Value, json};

use crate::support::run;

/// A policy of somebody's own for `postgres` that leaves these alone.
fn policy(leave_alone: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "apiVersion: quiescent.dev/v1
kind: HookPolicy
metadata: {{name: mine}}
spec:
  match: {{images: [postgres]}}
  leaveAlone: [{leave_alone}]
  hooks:
    pre: {{command: [/bin/true], timeout: 30s, onError: Fail}}
    post: {{command: [/bin/true], timeout: 30s, onError: Continue}}
"
    );
    std::fs::write(folder.path().join("policy.yaml"), text).unwrap();
    folder
}

/// What `explain` says of a pod.
fn explained(policy: &tempfile::TempDir, pod: &Value) -> Value {
    let folder = policy.path().to_str().unwrap();
    let output = run(
        &["explain", "-f", "-", "--policies", folder, "-o", "json"],
        &pod.to_string(),
    );
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    all[0].clone()
}

fn pod(labels: &Value, containers: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pg-0", "namespace": "shop", "labels": labels},
        "spec": {"containers": containers},
    })
}

fn of_an_operator() -> Value {
    let server = json!([{"name": "postgres", "image": "postgres:16"}]);
    pod(&json!({"cnpg.io/cluster": "pg"}), &server)
}

fn client() -> Value {
    let client = json!([{"name": "psql", "image": "postgres:16", "command": ["psql"]}]);
    pod(&json!({}), &client)
}

#[test]
fn a_policy_matches_what_it_names_unless_it_says_otherwise() {
    for (leave_alone, of_operator, of_client) in [
        ("", true, true),
        ("Operator", false, true),
        ("Client, Migration", true, false),
        ("Operator, Client", false, false),
    ] {
        let policy = policy(leave_alone);
        for (pod, selected) in [(of_an_operator(), of_operator), (client(), of_client)] {
            let answer = explained(&policy, &pod);
            let verdict = &answer["verdicts"][0];
            assert_eq!(verdict["selected"], selected, "{leave_alone}: {answer:#}");
            let reason = if selected {
                Value::Null
            } else {
                "recognised".into()
            };
            assert_eq!(answer["reason"], reason, "{leave_alone}: {answer:#}");
        }
    }
}

#[test]
fn people_are_told_who_was_recognised_and_what_to_use_instead() {
    let answer = explained(&policy("Operator"), &of_an_operator());
    let recognised = &answer["recognised"][0];
    assert_eq!(recognised["name"], "CloudNativePG");
    assert_eq!(recognised["role"], "Operator");
    assert_eq!(recognised["subject"], "pod");
    let advice = recognised["advice"].as_str().unwrap();
    assert!(advice.contains("ScheduledBackup"), "{advice}");
    assert_eq!(answer["verdicts"][0]["opens"], advice);

    let answer = explained(&policy("Client"), &client());
    assert_eq!(answer["recognised"][0]["subject"], "container psql");
}

#[test]
fn what_no_policy_means_is_explained_all_the_same() {
    let containers = json!([
        {"name": "app", "image": "shop/web:1"},
        {"name": "metrics", "image": "quay.io/prometheuscommunity/postgres-exporter:v0.15.0"},
    ]);
    let answer = explained(&policy("Exporter"), &pod(&json!({}), &containers));
    assert_eq!(answer["reason"], "no_policy_matches");
    assert_eq!(answer["recognised"].as_array().unwrap().len(), 1);
    assert_eq!(answer["recognised"][0]["subject"], "container metrics");
    assert_eq!(answer["recognised"][0]["role"], "Exporter");
}

#[test]
fn a_client_beside_its_server_does_not_hide_it() {
    let containers = json!([
        {"name": "backups", "image": "postgres:16", "command": ["sh", "-c", "pg_dump shop"]},
        {"name": "server", "image": "postgres:16", "args": ["postgres"]},
    ]);
    let answer = explained(&policy("Client"), &pod(&json!({}), &containers));
    assert_eq!(answer["verdicts"][0]["container"], "server");
    let answer = explained(&policy("Operator"), &pod(&json!({}), &containers));
    assert_eq!(answer["reason"], "several_containers");
}
