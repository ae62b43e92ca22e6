//! Policies as `MutatingAdmissionPolicy` and `ValidatingAdmissionPolicy` (`admissionregistration.k8s.io/v1`):
//! the API server itself writes the hooks, with no webhook that could be away.
//!
//! An expression cannot say all that the engine knows. What is lost is said for each policy, and a pod
//! that the expression is not sure about gets nothing, so that the second policy names it.

mod cel;
mod changes;
mod image;
mod selection;

use std::fmt;

use serde_json::{Value, json};

use crate::{
    policy::{OnConflict, Policy, PolicySet, Role},
    recognise::{self, Evidence},
    select::Settings,
};
use changes::Changes;

/// What becomes of a pod that a policy selects and that has no hook in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backstop {
    /// It is created, and whoever creates it reads a warning.
    Warn,
    /// It is refused.
    Deny,
}

/// A policy in the words of the API server.
#[derive(Debug)]
pub struct Rendered<'p> {
    pub policy: &'p Policy,
    /// Both kinds of policy with their bindings.
    pub objects: Vec<Value>,
    pub losses: Vec<Loss>,
}

/// What an expression cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Of a pod that sets a parameter.
    Parameters,
    /// Of a pod with hooks of its author, where the policy says something else than to keep them.
    Conflict,
    /// What a shell in a container runs.
    Scripts,
    /// Of a policy whose hooks are calls: there is nothing to say.
    Calls,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameters => {
                "pods and namespaces that set a parameter get no hook: no value is put into a command"
            }
            Self::Conflict => {
                "hooks of a pod's author are kept: onConflict Compose, Override and Deny need the webhook"
            }
            Self::Calls => "its hooks call HTTP, which Velero cannot: its pods stay as they are",
            Self::Scripts => {
                "a client that a shell starts (sh -c psql …) counts as a server: alone it gets a hook, beside one the pod gets none"
            }
        })
    }
}

/// What holds for all policies.
pub const ALWAYS: [&str; 3] = [
    "a pod that several policies select gets the hooks of one of them",
    "hooks of an earlier version in a manifest stay as they are",
    "policies with a coordinator are left out: containers are added by the webhook alone",
];

/// All policies of a set, in their order.
#[must_use]
pub fn admission_policy<'p>(
    policies: &'p PolicySet,
    settings: &Settings,
    backstop: Backstop,
) -> Vec<Rendered<'p>> {
    let all = policies.iter().filter(|it| it.coordinator.is_none());
    all.map(|policy| render(policy, settings, backstop))
        .collect()
}

fn render<'p>(policy: &'p Policy, settings: &Settings, backstop: Backstop) -> Rendered<'p> {
    if policy.calls_without_velero() {
        return Rendered {
            policy,
            objects: Vec::new(),
            losses: vec![Loss::Calls],
        };
    }
    let changes = Changes::of(policy, settings);
    let selection = selection::variables(policy, settings);
    let name = format!("quiescent-{}", policy.name);
    let described = format!("{}: {}", policy.provenance(), policy.about.description);
    let metadata = json!({
        "name": name,
        "labels": {"app.kubernetes.io/name": "quiescent", "quiescent.dev/policy": policy.name},
        "annotations": {"quiescent.dev/policies": policy.provenance(), "kubernetes.io/description": described},
    });
    let matching = json!({
        "namespaceSelector": {"matchExpressions": [{
            "key": "kubernetes.io/metadata.name",
            "operator": "NotIn",
            "values": settings.left_out(),
        }]},
        "resourceRules": [{
            "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"],
        }],
    });
    let variables = |more: selection::Variables| -> Value {
        let all = selection.iter().cloned().chain(more);
        all.map(|(name, expression)| json!({"name": name, "expression": expression}))
            .collect()
    };
    let operations = format!("variables.fits ?\n{} : []", changes.operations());
    let message = format!(
        "policy {} selects this pod, and it has no hook: a backup of it may not be restorable",
        policy.name
    );
    let action = match backstop {
        Backstop::Warn => "Warn",
        Backstop::Deny => "Deny",
    };
    let object = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": metadata, "spec": spec,
        })
    };
    Rendered {
        policy,
        objects: vec![
            object(
                "MutatingAdmissionPolicy",
                json!({
                    "failurePolicy": "Ignore",
                    "reinvocationPolicy": "IfNeeded",
                    "matchConstraints": matching,
                    "variables": variables(beside(&changes)),
                    "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": operations}}],
                }),
            ),
            object(
                "MutatingAdmissionPolicyBinding",
                json!({"policyName": name}),
            ),
            object(
                "ValidatingAdmissionPolicy",
                json!({
                    "failurePolicy": "Ignore",
                    "matchConstraints": matching,
                    "variables": variables(Vec::new()),
                    "validations": [{
                        "expression": format!("!variables.selected || {}", changes.has_hooks()),
                        "message": message,
                    }],
                }),
            ),
            object(
                "ValidatingAdmissionPolicyBinding",
                json!({"policyName": name, "validationActions": [action]}),
            ),
        ],
        losses: losses(policy),
    }
}

/// What the changes look at beside the selection.
fn beside(changes: &Changes) -> selection::Variables {
    let target = "object.spec.containers.filter(c, c.name == variables.container)[0]";
    let at = "object.spec.containers.map(c, c.name).indexOf(variables.container)";
    let volumes = "has(object.spec.volumes) ? object.spec.volumes : []";
    let mounts = "has(variables.target.volumeMounts) ? variables.target.volumeMounts : []";
    vec![
        ("target", target.to_owned()),
        ("at", at.to_owned()),
        ("volumes", volumes.to_owned()),
        ("mounts", mounts.to_owned()),
        ("fits", format!("variables.selected && {}", changes.fits())),
    ]
}

fn losses(policy: &Policy) -> Vec<Loss> {
    let has_programs = |role: &Role| {
        let known = recognise::all().iter().filter(|known| known.role == *role);
        let mut evidence = known.flat_map(|known| known.evidence);
        evidence.any(|it| matches!(it, Evidence::Program(_)))
    };
    let lost = [
        (Loss::Parameters, !policy.parameters.is_empty()),
        (Loss::Conflict, policy.on_conflict != OnConflict::Keep),
        (Loss::Scripts, policy.leave_alone.iter().any(has_programs)),
    ];
    let lost = lost.into_iter().filter(|(_, lost)| *lost);
    lost.map(|(loss, _)| loss).collect()
}
