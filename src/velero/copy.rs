//! A copy of databases beside the originals: the Restores that make it, and what they must change on
//! the way, so that the copy touches nothing that the original touches.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    EXCLUDE_LABEL, HookKeys, HookPhase, LEGACY_PRE, RESTORE_WAIT, Timeout,
    objects::is_over,
    verification::{UNTIL, VERIFICATION_LABEL},
};
use crate::csi;

/// What surrounds pods and is needed by them.
const SURROUNDINGS: [&str; 4] = ["configmaps", "secrets", "serviceaccounts", "services"];

/// Pods and what their files come back from. Volumes themselves are made anew for each claim.
const PODS: [&str; 5] = {
    let [snapshots, contents, classes] = csi::RESOURCES;
    [
        "pods",
        "persistentvolumeclaims",
        snapshots,
        contents,
        classes,
    ]
};

/// Which copy is made of which backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub id: String,
    pub backup: String,
    /// The original namespaces, and those of the copy.
    pub mapping: BTreeMap<String, String>,
    /// When whoever made it has certainly ended, as RFC 3339; nothing where it is to be kept.
    pub until: Option<String>,
    pub timeout: Timeout,
    pub completed: Vec<Completed>,
}

/// What the init container that Velero makes in one pod lacks. Velero makes it first and changes the pod
/// afterwards, so that what is changed can be this container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// Of the original.
    pub namespace: String,
    pub pod: String,
    /// Where it stands in `spec.initContainers`.
    pub position: usize,
    /// By which it is known.
    pub command: Vec<String>,
    /// As operations of RFC 6902.
    pub patch: Vec<Value>,
}

impl Completed {
    /// The rule, in Velero's own words: values are JSON in a text.
    fn rule(&self) -> Value {
        let Self {
            namespace,
            pod,
            position,
            command,
            patch,
        } = self;
        let command = json!({
            "path": format!("/spec/initContainers/{position}/command"),
            "value": json!(command).to_string(),
        });
        let first = json!({"path": "/spec/initContainers/0/name", "value": RESTORE_WAIT});
        let matches = std::iter::once(command).chain((*position > 0).then_some(first));
        let patches = patch.iter().map(|it| {
            json!({"operation": it["op"], "path": it["path"], "value": it["value"].to_string()})
        });
        json!({
            "conditions": {
                "groupResource": "pods",
                "namespaces": [namespace],
                "resourceNameRegex": format!("^{}$", pod.replace('.', r"\.")),
                "matches": matches.collect::<Vec<_>>(),
            },
            "patches": patches.collect::<Vec<_>>(),
        })
    }
}

impl Copy {
    /// The name of the ConfigMap with what is changed on the way.
    #[must_use]
    pub fn modifiers_name(&self) -> String {
        format!("quiescent-verify-{}", self.id)
    }

    /// What every object of a copy says of itself.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Value {
        let mut metadata = self.marks();
        metadata["name"] = name.into();
        metadata
    }

    /// By what an object is known as a part of the copy.
    fn marks(&self) -> Value {
        let mut marks = json!({
            "labels": {"app.kubernetes.io/managed-by": "quiescent", VERIFICATION_LABEL: self.id},
        });
        if let Some(until) = &self.until {
            marks["annotations"] = json!({UNTIL: until});
        }
        marks
    }

    /// A namespace that no backup takes.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Value {
        let mut metadata = self.metadata(name);
        metadata["labels"][EXCLUDE_LABEL] = "true".into();
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    }

    /// What is changed on the way, in the ConfigMap that both Restores name.
    #[must_use]
    pub fn modifiers(&self) -> Value {
        let rules: Vec<Value> = [
            ("pods", pod()),
            ("services", service()),
            // A cloud gives its rights to accounts with certain annotations.
            (
                "serviceaccounts",
                json!({"metadata": {"annotations": null}}),
            ),
            // The volume that the original is bound to.
            (
                "persistentvolumeclaims",
                json!({"spec": {"volumeName": null}}),
            ),
            // They are in no namespace, with which they would go.
            (csi::CONTENTS, json!({"metadata": self.marks()})),
        ]
        .into_iter()
        .map(|(resource, patch)| {
            json!({
                "conditions": {"groupResource": resource},
                "mergePatches": [{"patchData": patch.to_string()}],
            })
        })
        .chain(self.completed.iter().map(Completed::rule))
        .collect();
        let rules = json!({"version": "v1", "resourceModifierRules": rules});
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": self.metadata(&self.modifiers_name()),
            "data": {"rules": rules.to_string()},
        })
    }

    /// The Restore of what the pods need beside their files.
    #[must_use]
    pub fn surroundings(&self) -> Value {
        self.restore("around", &SURROUNDINGS)
    }

    /// The Restore of pods that carry all labels of one of these.
    #[must_use]
    pub fn pods<'l>(
        &self,
        labels: impl IntoIterator<Item = &'l BTreeMap<String, String>>,
    ) -> Value {
        let mut restore = self.restore("pods", &PODS);
        let mut selectors: Vec<Value> = Vec::new();
        for labels in labels {
            let selector = json!({"matchLabels": labels});
            if !selectors.contains(&selector) {
                selectors.push(selector);
            }
        }
        restore["spec"]["orLabelSelectors"] = selectors.into();
        restore
    }

    fn restore(&self, what: &str, resources: &[&str]) -> Value {
        let Self {
            id,
            backup,
            mapping,
            until: _,
            timeout,
            completed: _,
        } = self;
        json!({
            "apiVersion": "velero.io/v1",
            "kind": "Restore",
            "metadata": self.metadata(&format!("quiescent-verify-{id}-{what}")),
            "spec": {
                "backupName": backup,
                "includedNamespaces": mapping.keys().collect::<Vec<_>>(),
                "includedResources": resources,
                "namespaceMapping": mapping,
                "itemOperationTimeout": timeout.text(),
                "resourceModifier": {"apiGroup": "", "kind": "ConfigMap", "name": self.modifiers_name()},
            },
        })
    }
}

/// A pod of a copy is in no backup, so it has no hooks of one; those of the restore stay. It puts no pod
/// of others out of its place.
fn pod() -> Value {
    let hooks = [HookPhase::Pre.keys(), HookPhase::Post.keys(), LEGACY_PRE];
    let annotations: BTreeMap<&str, Value> = hooks
        .iter()
        .flat_map(HookKeys::all)
        .map(|key| (key, Value::Null))
        .collect();
    json!({
        "metadata": {"annotations": annotations},
        "spec": {"priorityClassName": null, "priority": null, "preemptionPolicy": null},
    })
}

/// A Service of a copy is a name for its pods and nothing else: no address, no port on a node, no load
/// balancer, and nothing from which others make a route or a public name.
fn service() -> Value {
    json!({
        "metadata": {"annotations": null},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "clusterIPs": null,
            "ports": null,
            "externalIPs": null,
            "externalName": null,
            "externalTrafficPolicy": null,
            "healthCheckNodePort": null,
            "allocateLoadBalancerNodePorts": null,
            "loadBalancerClass": null,
            "loadBalancerIP": null,
            "loadBalancerSourceRanges": null,
        },
    })
}

/// How far a Restore is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    pub phase: String,
    pub errors: u64,
    pub warnings: u64,
    /// Why Velero did not begin, or gave up.
    pub because: Vec<String>,
}

impl Restored {
    #[must_use]
    pub fn read(restore: &Value) -> Self {
        let status = &restore["status"];
        let count = |key: &str| status[key].as_u64().unwrap_or_default();
        let invalid = status["validationErrors"].as_array().into_iter().flatten();
        let reasons = invalid.chain([&status["failureReason"]]);
        Self {
            phase: status["phase"].as_str().unwrap_or("New").to_owned(),
            errors: count("errors"),
            warnings: count("warnings"),
            because: reasons
                .filter_map(|it| it.as_str().map(str::to_owned))
                .collect(),
        }
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        is_over(&self.phase)
    }

    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.phase == "Completed"
    }

    /// Whether Velero has not begun, and will not.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.phase == "FailedValidation"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy() -> Copy {
        Copy {
            id: "k7xqa".to_owned(),
            backup: "nightly-1".to_owned(),
            mapping: BTreeMap::from([("shop".to_owned(), "shop-verify-k7xqa".to_owned())]),
            until: Some("2026-11-22T04:00:00Z".to_owned()),
            timeout: "1h".parse().unwrap(),
            completed: Vec::new(),
        }
    }

    fn patch(resource: &str) -> Value {
        let modifiers = copy().modifiers();
        let data = modifiers["data"].as_object().unwrap();
        // Velero takes a ConfigMap of one key, and refuses fields that it does not know.
        assert_eq!(data.len(), 1);
        let rules: Value = serde_json::from_str(data["rules"].as_str().unwrap()).unwrap();
        let rules = rules["resourceModifierRules"].as_array().unwrap();
        let of_it = |rule: &&Value| rule["conditions"] == json!({"groupResource": resource});
        let rule = rules.iter().find(of_it).unwrap();
        serde_json::from_str(rule["mergePatches"][0]["patchData"].as_str().unwrap()).unwrap()
    }

    fn changed(resource: &str, mut object: Value) -> Value {
        json_patch::merge(&mut object, &patch(resource));
        object
    }

    #[test]
    fn a_pod_loses_the_hooks_of_backups_and_keeps_that_of_the_restore() {
        let pod = json!({
            "metadata": {"name": "pg-0", "annotations": {
                HookPhase::Pre.keys().command: "a", HookPhase::Post.keys().timeout: "b",
                LEGACY_PRE.command: "c", HookPhase::PostRestore.keys().command: "d", "other": "e",
            }},
            "spec": {"priorityClassName": "high", "priority": 1000, "nodeSelector": {"a": "b"}},
        });
        assert_eq!(
            changed("pods", pod),
            json!({
                "metadata": {"name": "pg-0", "annotations": {
                    HookPhase::PostRestore.keys().command: "d", "other": "e",
                }},
                "spec": {"nodeSelector": {"a": "b"}},
            })
        );
    }

    #[test]
    fn a_service_is_a_name_and_nothing_else() {
        let service = json!({
            "metadata": {"name": "pg", "annotations": {"external-dns.alpha.kubernetes.io/hostname": "db.example.com"}},
            "spec": {
                "type": "LoadBalancer", "selector": {"app": "pg"}, "publishNotReadyAddresses": true,
                "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001,
                "ports": [{"port": 5432, "nodePort": 30000}],
            },
        });
        assert_eq!(
            changed("services", service),
            json!({
                "metadata": {"name": "pg"},
                "spec": {
                    "type": "ClusterIP", "selector": {"app": "pg"}, "publishNotReadyAddresses": true,
                    "clusterIP": "None",
                },
            })
        );
    }

    #[test]
    fn the_contents_of_snapshots_are_known_again() {
        let content = json!({"metadata": {"name": "a", "labels": {"b": "c"}}, "spec": {"deletionPolicy": "Retain"}});
        assert_eq!(
            changed(csi::CONTENTS, content),
            json!({
                "metadata": {
                    "name": "a",
                    "labels": {
                        "b": "c", "app.kubernetes.io/managed-by": "quiescent",
                        "quiescent.dev/verification": "k7xqa",
                    },
                    "annotations": {"quiescent.dev/verification-until": "2026-11-22T04:00:00Z"},
                },
                "spec": {"deletionPolicy": "Retain"},
            })
        );
    }

    #[test]
    fn an_init_container_is_known_by_its_place_and_command_and_gets_what_it_lacks() {
        let mut copy = copy();
        copy.completed = [0, 1]
            .map(|position| Completed {
                namespace: "shop".to_owned(),
                pod: "pg.a-0".to_owned(),
                position,
                command: vec!["/bin/sh".to_owned(), "/quiescent/a/init.sh".to_owned()],
                patch: vec![
                    json!({"op": "add", "path": "/spec/initContainers/0/env", "value": [{"name": "A"}]}),
                    json!({"op": "add", "path": "/spec/initContainers/0/imagePullPolicy", "value": "Never"}),
                ],
            })
            .into();
        let rules: Value =
            serde_json::from_str(copy.modifiers()["data"]["rules"].as_str().unwrap()).unwrap();
        let [.., first, second] = &rules["resourceModifierRules"].as_array().unwrap()[..] else {
            panic!("{rules:#}")
        };
        let known = |position: usize| {
            let path = format!("/spec/initContainers/{position}/command");
            json!({"path": path, "value": r#"["/bin/sh","/quiescent/a/init.sh"]"#})
        };
        assert_eq!(
            first["conditions"],
            json!({
                "groupResource": "pods", "namespaces": ["shop"],
                "resourceNameRegex": r"^pg\.a-0$", "matches": [known(0)],
            })
        );
        assert_eq!(
            second["conditions"]["matches"],
            json!([known(1), {"path": "/spec/initContainers/0/name", "value": "restore-wait"}])
        );
        // Velero takes values as texts, and puts quotes around those that have them or are words.
        assert_eq!(
            first["patches"],
            json!([
                {"operation": "add", "path": "/spec/initContainers/0/env", "value": r#"[{"name":"A"}]"#},
                {"operation": "add", "path": "/spec/initContainers/0/imagePullPolicy", "value": r#""Never""#},
            ])
        );
    }

    #[test]
    fn a_claim_gets_a_volume_of_its_own_and_an_account_no_rights_of_a_cloud() {
        let claim = json!({"spec": {"volumeName": "pv-1", "storageClassName": "fast"}});
        assert_eq!(
            changed("persistentvolumeclaims", claim),
            json!({"spec": {"storageClassName": "fast"}})
        );
        let account = json!({"metadata": {"name": "pg", "annotations": {"eks.amazonaws.com/role-arn": "arn"}}});
        assert_eq!(
            changed("serviceaccounts", account),
            json!({"metadata": {"name": "pg"}})
        );
    }

    #[test]
    fn both_restores_name_what_is_restored_and_where_to() {
        let labels = BTreeMap::from([("app".to_owned(), "pg".to_owned())]);
        let pods = copy().pods([&labels, &labels]);
        assert_eq!(
            pods["spec"]["orLabelSelectors"],
            json!([{"matchLabels": {"app": "pg"}}])
        );
        for restore in [pods, copy().surroundings()] {
            let spec = &restore["spec"];
            assert_eq!(spec["backupName"], "nightly-1");
            assert_eq!(spec["includedNamespaces"], json!(["shop"]));
            assert_eq!(
                spec["namespaceMapping"],
                json!({"shop": "shop-verify-k7xqa"})
            );
            assert_eq!(spec["resourceModifier"]["name"], "quiescent-verify-k7xqa");
            let resources = spec["includedResources"].as_array().unwrap();
            for outwards in [
                "ingresses",
                "cronjobs",
                "jobs",
                "deployments",
                "persistentvolumes",
            ] {
                assert!(!resources.contains(&outwards.into()), "{outwards}");
            }
        }
    }

    #[test]
    fn a_restore_says_how_far_it_is() {
        let restored = |status: Value| Restored::read(&json!({"status": status}));
        assert_eq!(Restored::read(&json!({})).phase, "New");
        assert!(!restored(json!({"phase": "Finalizing"})).is_over());
        let partly = restored(json!({"phase": "PartiallyFailed", "errors": 2, "warnings": 1}));
        assert!(partly.is_over() && !partly.is_complete());
        assert_eq!((partly.errors, partly.warnings), (2, 1));
        let refused =
            json!({"phase": "FailedValidation", "validationErrors": ["no such location"]});
        let refused = restored(refused);
        assert!(refused.is_refused());
        assert_eq!(refused.because, ["no such location"]);
    }
}
