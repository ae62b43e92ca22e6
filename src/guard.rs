//! Whether the hooks that a pod comes with are those that policies give it. Judged by what they are:
//! a marker in the pod would be anybody's to write.

use std::{collections::BTreeMap, fmt};

use crate::{
    inject::{Injection, inject},
    plan::{Change, PROVENANCE, WRITTEN},
    pod::PodView,
    policy::PolicySet,
    select::{Facts, Namespace, Reason},
    velero::{HOOKS, RESTORE_NAME_LABEL, hook_of},
};

/// The label of namespaces whose pods are looked at: `warn` or `enforce`.
pub const LABEL: &str = "quiescent.dev/guard";

/// A hook annotation that no policy gives the pod, or gives it with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strange {
    pub key: String,
    pub allowed: Allowed,
}

/// What would be allowed in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// This, which these policies give.
    Value { value: String, policies: String },
    /// Not this annotation, beside what these policies give.
    Others { policies: String },
    /// No hook at all, and why.
    Nothing(Reason),
}

/// Why nobody can tell what policies give a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not known which hooks policies give the pod: {0}")]
pub struct Undecided(pub Reason);

/// Annotations of hooks by their keys.
type Hooks<'h> = BTreeMap<&'h str, &'h str>;

/// Looks at the hooks of a pod that were not there `before`, and finds the first that is strange.
///
/// A hook is judged as a whole: a part of it that is changed or taken away makes another of it. One
/// that is taken out as a whole is nobody's command any more.
///
/// # Errors
/// Where what policies give the pod cannot be told.
pub fn judge(
    policies: &PolicySet,
    pod: &PodView<'_>,
    before: Option<&PodView<'_>>,
    facts: Facts<'_>,
) -> Result<Option<Strange>, Undecided> {
    let there = hooks(pod);
    let before = before.map(hooks).unwrap_or_default();
    let is_new = |hook: &&str| {
        let mut parts = of(&there, hook).peekable();
        parts.peek().is_some() && !parts.eq(of(&before, hook))
    };
    let new: Vec<&str> = HOOKS.into_iter().filter(is_new).collect();
    if new.is_empty() {
        return Ok(None);
    }
    if !matches!(facts.about_namespace, Namespace::Known { .. }) {
        return Err(Undecided(facts.about_namespace.why_unknown()));
    }
    let bare = bare(pod);
    let injection = inject(policies, &bare, facts);
    if injection.gate == Some(Reason::Unreadable) {
        return Err(Undecided(Reason::Unreadable));
    }
    let given = given(&injection);
    let mut strange = new
        .into_iter()
        .filter_map(|hook| first_difference(of(&there, hook), of(&given, hook)));
    Ok(strange.next().map(|key| Strange {
        key: key.to_owned(),
        allowed: allowed(key, &given, &injection),
    }))
}

fn hooks<'p>(pod: &'p PodView<'_>) -> Hooks<'p> {
    let annotations = pod.annotations();
    annotations
        .filter(|(key, _)| hook_of(key).is_some())
        .collect()
}

/// The parts of one hook.
fn of<'h>(hooks: &'h Hooks<'_>, hook: &str) -> impl Iterator<Item = (&'h str, &'h str)> {
    let parts = hooks.iter().map(|(key, value)| (*key, *value));
    parts.filter(move |(key, _)| hook_of(key) == Some(hook))
}

/// The pod as if nobody had written a hook into it, and nobody had restored it.
fn bare<'a>(pod: &PodView<'a>) -> PodView<'a> {
    let mut bare = pod.clone();
    if let Some(metadata) = &mut bare.metadata {
        if let Some(annotations) = &mut metadata.annotations {
            annotations.retain(|key| hook_of(key).is_none() && key != PROVENANCE && key != WRITTEN);
        }
        if let Some(labels) = &mut metadata.labels {
            labels.retain(|key| key != RESTORE_NAME_LABEL);
        }
    }
    bare
}

/// The hooks that policies write into a pod that has none.
fn given<'i>(injection: &'i Injection<'_>) -> Hooks<'i> {
    let changes = injection.plan.changes.iter();
    let annotations = changes.filter_map(|change| match change {
        Change::Annotation { key, value, .. } => Some((*key, &**value)),
        _ => None,
    });
    annotations
        .filter(|(key, _)| hook_of(key).is_some())
        .collect()
}

/// The first key, in order, that stands in one and not in the other, or not with the same value.
fn first_difference<'k>(
    one: impl Iterator<Item = (&'k str, &'k str)>,
    other: impl Iterator<Item = (&'k str, &'k str)>,
) -> Option<&'k str> {
    let (one, other): (Hooks<'k>, Hooks<'k>) = (one.collect(), other.collect());
    let differs = |key: &&str| one.get(key) != other.get(key);
    let keys = one.keys().chain(other.keys()).copied();
    keys.filter(differs).min()
}

fn allowed(key: &str, given: &Hooks<'_>, injection: &Injection<'_>) -> Allowed {
    let policies = || injection.plan.provenance().into_owned();
    if let Some(value) = given.get(key) {
        Allowed::Value {
            value: (*value).to_owned(),
            policies: policies(),
        }
    } else if injection.plan.applied.is_empty() {
        Allowed::Nothing(injection.reason().unwrap_or(Reason::NoPolicyMatches))
    } else {
        Allowed::Others {
            policies: policies(),
        }
    }
}

impl fmt::Display for Strange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not what a policy gives: ", self.key)?;
        match &self.allowed {
            Allowed::Value { value, policies } => write!(f, "{policies} gives {value}"),
            Allowed::Others { policies } => write!(f, "{policies} gives no such annotation"),
            Allowed::Nothing(reason) => write!(f, "none gives this pod hooks, as {reason}"),
        }
    }
}

#[cfg(test)]
mod tests;
