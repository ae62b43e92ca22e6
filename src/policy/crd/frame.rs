//! What all CustomResourceDefinitions of ours have in common.

use serde_json::{Value, json};

use super::{ACCEPTED, GROUP, VERSION};

/// A kind of objects: what it is called, what is shown of it, and what its objects say.
pub(crate) struct Frame<'f> {
    pub kind: &'f str,
    pub plural: &'f str,
    pub short: &'f str,
    pub scope: &'f str,
    pub description: &'f str,
    pub columns: Vec<Value>,
    pub spec: Value,
    pub status: Value,
}

impl Frame<'_> {
    pub(crate) fn definition(self) -> Value {
        let Self {
            kind,
            plural,
            short,
            scope,
            description,
            columns,
            spec,
            status,
        } = self;
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": format!("{plural}.{GROUP}"),
                "labels": {"app.kubernetes.io/name": "quiescent"},
            },
            "spec": {
                "group": GROUP,
                "scope": scope,
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
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": {
                        "description": description,
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "apiVersion": {"type": "string"},
                            "kind": {"type": "string"},
                            "metadata": {"type": "object"},
                            "spec": spec,
                            "status": status,
                        },
                    }},
                }],
            },
        })
    }
}

/// What `kubectl get` shows of an object; with a priority above 0 only when it is asked for more.
pub(crate) fn column(name: &str, kind: &str, path: &str, priority: u8) -> Value {
    json!({"name": name, "type": kind, "jsonPath": path, "priority": priority})
}

/// A field of the condition that says whether an object is in force.
pub(crate) fn accepted(field: &str) -> String {
    format!(".status.conditions[?(@.type==\"{ACCEPTED}\")].{field}")
}

pub(crate) fn age() -> Value {
    column("Age", "date", ".metadata.creationTimestamp", 0)
}
