//! The CustomResourceDefinitions of ConsistentSnapshot and SnapshotHook, from the types behind them.

use serde_json::{Value, json};

use super::{
    resource::{ClaimHooks, HOOK, HOOKS, REQUEST, REQUESTS, Request},
    standing::MOST_PODS,
};
use crate::policy::crd::{Frame, WHO_IS_CALLED, accepted, age, column, conditions, schema_of};

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
        "",
        "!has(self.group) || self.group != 'Always' || !has(self.snapshotClassName)",
        "a group takes no snapshotClassName",
    ),
    (
        "/properties/target",
        "[has(self.pod), has(self.claim), has(self.statefulSet), has(self.deployment), has(self.daemonSet)].filter(it, it).size() == 1",
        "a target is one of pod, claim, statefulSet, deployment and daemonSet",
    ),
];

/// What the API server can tell of a hook by itself; the rest is found by who reads it.
const RULES_OF_A_HOOK: &[(&str, &str, &str)] = &[
    (
        "",
        "has(self.exec) != has(self.http)",
        "a hook is one of exec and http",
    ),
    (
        "",
        "has(self.http) || !has(self.retry)",
        "only calls are made again: a command tries again by itself",
    ),
    ("/properties/http", WHO_IS_CALLED.0, WHO_IS_CALLED.1),
    (
        "/properties/http",
        "!has(self.url) || self.url.startsWith('http://') || self.url.startsWith('https://')",
        "an address begins with http:// or https://",
    ),
    (
        "/properties/http",
        "!has(self.caSecretRef) || has(self.url) && self.url.startsWith('https://')",
        "only https:// asks for certificates",
    ),
];

/// Those of both hooks, and of what they are together.
fn rules_of_hooks() -> Vec<(String, &'static str, &'static str)> {
    let together = (
        String::new(),
        "has(self.preHook) || has(self.postHook)",
        "nothing runs: add preHook, postHook or both",
    );
    let each = ["preHook", "postHook"].iter().flat_map(|field| {
        let rules = RULES_OF_A_HOOK.iter();
        rules.map(move |(place, rule, why)| (format!("/properties/{field}{place}"), *rule, *why))
    });
    each.chain([together]).collect()
}

/// Both definitions.
#[must_use]
pub fn definitions() -> [Value; 2] {
    [requests(), hooks()]
}

fn requests() -> Value {
    let consistent = ".status.conditions[?(@.type==\"Consistent\")].status";
    Frame {
        kind: REQUEST,
        plural: REQUESTS,
        short: "csnap",
        scope: "Namespaced",
        description: "Snapshots of claims while the hooks of their pods hold, taken once by the controller.",
        columns: vec![
            column("Phase", "string", ".status.phase", 0),
            column("Consistent", "string", consistent, 0),
            column("Target", "string", ".status.target", 0),
            column("Held ms", "integer", ".status.heldMilliseconds", 0),
            age(),
            column("Message", "string", ".status.message", 1),
        ],
        spec: schema_of::<Request>(RULES_OF_REQUESTS),
        status: status_of_requests(),
    }
    .definition()
}

fn hooks() -> Value {
    Frame {
        kind: HOOK,
        plural: HOOKS,
        short: "shook",
        scope: "Namespaced",
        description: "What runs in the pods that mount a claim while a snapshot of it is taken, in place of what policies say.",
        columns: vec![
            column("Claim", "string", ".spec.targetPVC", 0),
            column("Accepted", "string", &accepted("status"), 0),
            column("Reason", "string", &accepted("reason"), 0),
            column("Pods", "string", ".status.pods", 0),
            age(),
            column("Message", "string", &accepted("message"), 1),
        ],
        spec: schema_of::<ClaimHooks>(&rules_of_hooks()),
        status: status_of_hooks(),
    }
    .definition()
}

fn status_of_hooks() -> Value {
    json!({
        "type": "object",
        "properties": {
            "observedGeneration": {"type": "integer", "format": "int64"},
            "pods": {
                "type": "array",
                "description": "The running pods in which it runs, as last seen.",
                "maxItems": MOST_PODS,
                "items": {"type": "string"},
            },
            "conditions": conditions(),
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
        let owned = |rules: &[(&str, &'static str, &'static str)]| {
            let owned = rules.iter();
            owned
                .map(|(place, rule, why)| ((*place).to_owned(), *rule, *why))
                .collect()
        };
        let all = [owned(RULES_OF_REQUESTS), rules_of_hooks()];
        for (definition, rules) in definitions().iter().zip(all) {
            let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            let spec = &schema["properties"]["spec"];
            for (place, rule, _) in rules {
                let all = &spec.pointer(&place).unwrap()["x-kubernetes-validations"];
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
