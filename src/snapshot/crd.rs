//! The CustomResourceDefinitions of ConsistentSnapshot and SnapshotHook, from the types behind them.

use serde_json::{Value, json};

use super::resource::{ClaimHooks, HOOK, HOOKS, REQUEST, REQUESTS, Request};
use crate::policy::crd::{GROUP, VERSION, conditions, schema_of};

const RULES_OF_REQUESTS: &[(&str, &str, &str)] = &[
    (
        "",
        "self == oldSelf",
        "what is wanted cannot be changed: create another ConsistentSnapshot",
    ),
    (
        "",
        "has(self.target) != has(self.selector)",
        "one of target and selector says what is to be snapshot",
    ),
    (
        "/properties/target",
        "[has(self.pod), has(self.claim), has(self.statefulSet), has(self.deployment), has(self.daemonSet)].filter(it, it).size() == 1",
        "a target is one of pod, claim, statefulSet, deployment and daemonSet",
    ),
];

const RULES_OF_HOOKS: &[(&str, &str, &str)] = &[(
    "",
    "has(self.preHook) || has(self.postHook)",
    "nothing runs: add preHook, postHook or both",
)];

/// Both definitions.
#[must_use]
pub fn definitions() -> [Value; 2] {
    [requests(), hooks()]
}

fn requests() -> Value {
    let column = |name: &str, kind: &str, path: &str, priority: u8| json!({"name": name, "type": kind, "jsonPath": path, "priority": priority});
    let consistent = ".status.conditions[?(@.type==\"Consistent\")].status";
    definition(
        (REQUEST, REQUESTS, "csnap"),
        "Snapshots of claims while the hooks of their pods hold, taken once by the controller.",
        &json!([
            column("Phase", "string", ".status.phase", 0),
            column("Consistent", "string", consistent, 0),
            column("Target", "string", ".status.target", 0),
            column("Held ms", "integer", ".status.heldMilliseconds", 0),
            column("Age", "date", ".metadata.creationTimestamp", 0),
            column("Message", "string", ".status.message", 1),
        ]),
        &schema_of::<Request>(RULES_OF_REQUESTS),
        Some(&status_of_requests()),
    )
}

fn hooks() -> Value {
    let column = |name: &str, path: &str| json!({"name": name, "type": "string", "jsonPath": path, "priority": 0});
    definition(
        (HOOK, HOOKS, "shook"),
        "What runs in the pods that mount a claim while a snapshot of it is taken, in place of what policies say.",
        &json!([
            column("Claim", ".spec.targetPVC"),
            column("Container", ".spec.container"),
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "priority": 0},
        ]),
        &schema_of::<ClaimHooks>(RULES_OF_HOOKS),
        None,
    )
}

fn definition(
    (kind, plural, short): (&str, &str, &str),
    description: &str,
    columns: &Value,
    spec: &Value,
    status: Option<&Value>,
) -> Value {
    let mut properties = json!({
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": spec,
    });
    if let Some(status) = status {
        properties["status"] = status.clone();
    }
    let subresources = status.map_or_else(|| json!({}), |_| json!({"status": {}}));
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{GROUP}"),
            "labels": {"app.kubernetes.io/name": "quiescent"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": format!("{kind}List"),
                "plural": plural,
                "singular": kind.to_lowercase(),
                "shortNames": [short],
                "categories": ["quiescent"],
            },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": subresources,
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": {
                    "description": description,
                    "type": "object",
                    "required": ["spec"],
                    "properties": properties,
                }},
            }],
        },
    })
}

fn status_of_requests() -> Value {
    let text = || json!({"type": "string"});
    let time = || json!({"type": "string", "format": "date-time"});
    json!({
        "type": "object",
        "properties": {
            "observedGeneration": {"type": "integer", "format": "int64"},
            "phase": {
                "type": "string",
                "enum": ["Pending", "Quiescing", "Cutting", "Resuming", "Verifying", "Ready", "Failed"],
            },
            "target": text(),
            "set": text(),
            "verdict": text(),
            "message": {"type": "string", "maxLength": 32768},
            "reasons": {"type": "array", "maxItems": 64, "items": {"type": "string"}},
            "notes": {"type": "array", "maxItems": 64, "items": {"type": "string"}},
            "heldMilliseconds": {"type": "integer", "format": "int64"},
            "startTime": time(),
            "completionTime": time(),
            "snapshots": {
                "type": "array",
                "maxItems": 256,
                "items": {
                    "type": "object",
                    "required": ["claim", "name"],
                    "properties": {
                        "claim": text(),
                        "name": text(),
                        "class": text(),
                        "ready": {"type": "boolean"},
                    },
                },
            },
            "conditions": conditions(),
            "holder": {
                "type": "string",
                "description": "The controller that is at it.",
            },
            "state": {
                "type": "string",
                "description": "What whoever goes on with it needs. It is gone at the end, and its form may change.",
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_place() {
        for (definition, rules) in definitions()
            .iter()
            .zip([RULES_OF_REQUESTS, RULES_OF_HOOKS])
        {
            let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            let spec = &schema["properties"]["spec"];
            for (place, rule, _) in rules {
                let all = &spec.pointer(place).unwrap()["x-kubernetes-validations"];
                let mut all = all.as_array().unwrap().iter();
                assert!(all.any(|it| it["rule"] == *rule), "{place}");
            }
        }
        let [request, hook] = definitions();
        let spec = |it: &Value| {
            it["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
        };
        assert_eq!(spec(&request)["properties"]["cutTimeout"]["default"], "1m");
        assert_eq!(spec(&hook)["required"], json!(["targetPVC"]));
    }
}
