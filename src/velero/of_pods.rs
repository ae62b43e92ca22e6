//! A Backup of a few pods and what belongs to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The label of backups that were made to try hooks.
pub const TEST_LABEL: &str = "quiescent.dev/test";

/// So long Velero keeps such a backup.
const KEPT: &str = "24h0m0s";

pub type Labels = BTreeMap<String, String>;

/// The Backup of pods that have all the labels of one of these, with the hooks that the pods themselves
/// say. Velero selects by labels alone, and takes the claims and volumes of each pod along.
#[must_use]
pub fn backup_of_pods(velero: &str, namespace: &str, pods: &[&Labels]) -> Value {
    let selectors: Vec<Value> = pods
        .iter()
        .map(|labels| json!({"matchLabels": labels}))
        .collect();
    json!({
        "apiVersion": "velero.io/v1",
        "kind": "Backup",
        "metadata": {
            "generateName": "quiescent-test-",
            "namespace": velero,
            "labels": {TEST_LABEL: "true"},
        },
        "spec": {
            "includedNamespaces": [namespace],
            "orLabelSelectors": selectors,
            "ttl": KEPT,
        },
    })
}
