//! Quiescent as it is installed, asked as an operator asks it.
use serde_json::Value;

use super::node::{Node, SOON, database};
use crate::{
    apiserver::kit::{eventually, run},
    support::quiescent,
};

const PRE: &str = "pre.hook.backup.velero.io/command";

/// Whether a pod has the hook that its policy gives.
pub fn has_hooks(pod: &Value) -> bool {
    pod["metadata"]["annotations"][PRE].is_string()
}

/// Waits until both Deployments are there, and the API server trusts the webhook.
pub fn is_ready(node: &Node) {
    for deployment in ["quiescent-controller", "quiescent"] {
        node.kubectl.run(&format!(
            "rollout status -n quiescent deployment/{deployment} --timeout 180s"
        ));
    }
    eventually("every entry trusts the certificate", SOON, || {
        let entries = node
            .kubectl
            .json("get mutatingwebhookconfiguration quiescent", "");
        let mut entries = entries["webhooks"].as_array().unwrap().iter();
        entries
            .all(|entry| entry["clientConfig"]["caBundle"].is_string())
            .then_some(())
    });
}

/// A namespace without a label gets nothing; with it, the next pod has its hooks and its scripts.
pub fn the_next_pod_has_hooks(node: &Node, namespace: &str) {
    let kubectl = &node.kubectl;
    node.namespace(namespace, "");
    kubectl.apply(&format!("create -n {namespace} -f -"), &database());
    let ready = format!("rollout status -n {namespace} statefulset/pg --timeout 120s");
    kubectl.run(&ready);
    let pod = || kubectl.json(&format!("get pod -n {namespace} pg-0"), "");
    assert!(!has_hooks(&pod()), "{:#}", pod());

    kubectl.run(&format!(
        "label namespace {namespace} quiescent.dev/inject=enabled"
    ));
    sees_the_label(node, namespace);
    kubectl.run(&format!("delete pod -n {namespace} pg-0"));
    kubectl.run(&ready);
    let pod = pod();
    assert!(has_hooks(&pod), "{pod:#}");
    let command = pod["metadata"]["annotations"][PRE].as_str().unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    let script = command.iter().find(|word| word.starts_with("/quiescent/"));
    let script = script.expect("the hook is a script of ours");
    // In the pod, which Velero would ask, and readable to it.
    let text = kubectl
        .exec(namespace, "pg-0", "postgres", &["cat", script])
        .expect("the script is in the pod");
    assert!(text.starts_with("#!/bin/sh"), "{text}");
}

/// The API server and the webhook know of a label by watches.
pub fn sees_the_label(node: &Node, namespace: &str) {
    let probe = super::load::pod("probe", false);
    eventually("pods of the namespace get hooks", SOON, || {
        let create = format!("create --dry-run=server -n {namespace} -o json -f -");
        let shown = node.kubectl.attempt(&create, &probe.to_string()).ok()?;
        shown.contains(PRE).then_some(())
    });
}

/// The pods that `quiescent audit` calls missed.
pub fn missed(node: &Node, namespace: &str) -> Vec<String> {
    let kubeconfig = node.kubectl.kubeconfig.to_str().unwrap();
    let arguments = ["audit", "--kubeconfig", kubeconfig, "-n", namespace];
    let mut audit = quiescent(&arguments);
    let output = audit.args(["-o", "json"]).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let databases = found["databases"].as_array().unwrap().iter();
    let missed = databases.filter(|it| it["reason"] == "missed");
    let mut names: Vec<_> = missed
        .map(|it| it["pod"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// How many missed pods each replica of the controller counts in a namespace.
pub fn counted(node: &Node, namespace: &str) -> Vec<u64> {
    let head = format!("quiescent_pods_unprotected{{namespace=\"{namespace}\",");
    let pages = node.metrics("quiescent-controller").into_iter();
    pages
        .map(|page| {
            let lines = page.lines().filter(|line| line.starts_with(&head));
            lines
                .filter(|line| line.contains("reason=\"missed\""))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
                .sum()
        })
        .collect()
}

/// Runs a program of the kit against the cluster.
pub fn with_kubeconfig(node: &Node, mut command: std::process::Command) -> String {
    command.env("KUBECONFIG", &node.kubectl.kubeconfig);
    run(&mut command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
