//! All policies in force, in their order, with an index that finds those a pod may match.

mod index;
mod positions;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use index::Index;

use super::{Policy, Rule, Volume, VolumeSource};
use crate::diagnostic::{Diagnostic, Source};

/// A policy and where it was written.
#[derive(Clone, Debug)]
pub struct Place {
    pub policy: Box<Policy>,
    pub source: Arc<Source>,
    /// Where its name stands.
    pub name: std::ops::Range<usize>,
}

/// Policies by priority, the higher first, then by name.
///
/// Two may have one name when they are not of the same namespace: there, the one of the namespace takes
/// the place of the one for all.
#[derive(Debug, Default)]
pub struct PolicySet {
    policies: Vec<Arc<Policy>>,
    index: Index,
    /// By the name of a policy for all, the namespaces that have one of their own.
    replaced: BTreeMap<String, BTreeSet<Box<str>>>,
}

impl PolicySet {
    /// Orders policies, and says which of them contradict each other. Of two with one name the first stays.
    #[must_use]
    pub fn new(mut places: Vec<Place>) -> (Self, Vec<Diagnostic>) {
        places.sort_by(|one, other| order(&one.policy).cmp(&order(&other.policy)));
        let diagnostics = contradictions(&places);
        let policies = places.into_iter().map(|place| Arc::from(place.policy));
        (Self::of(policies.collect()), diagnostics)
    }

    /// The same policies, and these: each takes the place of one with its name and namespace.
    #[must_use]
    pub fn with(&self, others: &[Arc<Policy>]) -> Self {
        let all = others.iter().chain(&self.policies);
        Self::of(all.map(Arc::clone).collect())
    }

    /// Of two with one name and namespace the first stays.
    fn of(mut policies: Vec<Arc<Policy>>) -> Self {
        let mut seen = BTreeSet::new();
        policies.retain(|policy| seen.insert((policy.name.clone(), policy.namespace.clone())));
        policies.sort_by(|one, other| order(one).cmp(&order(other)));
        let mut replaced: BTreeMap<String, BTreeSet<Box<str>>> = BTreeMap::new();
        for (name, namespace) in &seen {
            if let Some(namespace) = namespace
                && seen.contains(&(name.clone(), None))
            {
                let namespaces = replaced.entry(name.clone()).or_default();
                namespaces.insert(namespace.clone());
            }
        }
        Self {
            index: Index::new(&policies),
            policies,
            replaced,
        }
    }

    pub fn iter(&self) -> <&Self as IntoIterator>::IntoIter {
        self.into_iter()
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.policies.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The policy that pods of a namespace know by this name.
    #[must_use]
    pub fn get(&self, name: &str, namespace: &str) -> Option<&Policy> {
        let reaches = |policy: &&Policy| {
            let of = policy.namespace.as_deref();
            policy.name == name
                && of.is_none_or(|of| of == namespace)
                && !self.is_replaced(policy, namespace)
        };
        self.iter().find(reaches)
    }

    /// Whether a policy of the namespace with the same name takes the place of this one there.
    #[must_use]
    pub fn is_replaced(&self, policy: &Policy, namespace: &str) -> bool {
        policy.namespace.is_none()
            && !self.replaced.is_empty()
            && (self.replaced.get(&policy.name)).is_some_and(|it| it.contains(namespace))
    }

    /// Whether this policy takes the place of one for all namespaces in its own.
    #[must_use]
    pub fn replaces(&self, policy: &Policy) -> bool {
        let namespace = policy.namespace.as_deref();
        let replaced = self.replaced.get(&policy.name);
        namespace.is_some_and(|namespace| replaced.is_some_and(|it| it.contains(namespace)))
    }

    /// Every policy that may match a pod of these images, labels and namespace, in order.
    ///
    /// Those left out cannot, for want of something or on account of a label.
    pub fn candidates<'a>(
        &self,
        images: impl Iterator<Item = &'a str>,
        labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        namespace: &str,
    ) -> impl Iterator<Item = &Policy> {
        let found = self.index.find(images, labels, namespace).into_iter();
        found.map(|position| &*self.policies[position as usize])
    }
}

impl<'s> IntoIterator for &'s PolicySet {
    type Item = &'s Policy;
    type IntoIter = std::iter::Map<std::slice::Iter<'s, Arc<Policy>>, fn(&Arc<Policy>) -> &Policy>;

    fn into_iter(self) -> Self::IntoIter {
        self.policies.iter().map(Arc::as_ref)
    }
}

/// The order in which they are asked.
fn order(policy: &Policy) -> (Reverse<i32>, &str, Option<&str>) {
    let Policy {
        priority,
        name,
        namespace,
        ..
    } = policy;
    (Reverse(*priority), name, namespace.as_deref())
}

/// Pairs of policies that share a name, or that one pod could not follow both of.
fn contradictions(places: &[Place]) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut by_name: BTreeMap<(&str, Option<&str>), &Place> = BTreeMap::new();
    let mut by_volume: BTreeMap<&str, Vec<(&Place, &Volume)>> = BTreeMap::new();
    let mut by_path: BTreeMap<&str, Vec<(&Place, &Volume)>> = BTreeMap::new();
    for place in places {
        let known_as = (&*place.policy.name, place.policy.namespace.as_deref());
        if let Some(first) = by_name.get(&known_as) {
            diagnostics.push(place.contradicts(
                first,
                format!("two policies have the name {:?}", place.policy.name),
                "give one of them another name, or remove it",
            ));
            continue;
        }
        by_name.insert(known_as, place);
        for volume in &place.policy.volumes {
            let others = by_volume.entry(&volume.name).or_default();
            let contradicted = others.iter().find(|(other, theirs)| {
                let differs = theirs.mount_path != volume.mount_path
                    || !same_kind(&theirs.source, &volume.source);
                differs && may_meet(&other.policy, &place.policy)
            });
            if let Some((other, _)) = contradicted {
                diagnostics.push(place.contradicts(
                    other,
                    format!(
                        "the volume {:?} means something else in the policy {:?}, and one pod may match both",
                        volume.name, other.policy.name
                    ),
                    "give the volume another name, or write it alike in both",
                ));
            }
            others.push((place, volume));
            let paths = by_path.entry(&volume.mount_path).or_default();
            let elsewhere = paths.iter().find(|(other, theirs)| {
                theirs.name != volume.name && may_meet(&other.policy, &place.policy)
            });
            if let Some((other, theirs)) = elsewhere {
                diagnostics.push(place.contradicts(
                    other,
                    format!(
                        "{:?} is where the policy {:?} mounts its volume {:?}, and one pod may match both",
                        volume.mount_path, other.policy.name, theirs.name
                    ),
                    "mount it elsewhere, or give it the same name in both",
                ));
            }
            paths.push((place, volume));
        }
    }
    diagnostics
}

/// Sizes may differ: the first policy's counts.
fn same_kind(one: &VolumeSource, other: &VolumeSource) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

/// Whether some pod can be what both ask for; true when in doubt.
fn may_meet(one: &Policy, other: &Policy) -> bool {
    let elsewhere = match (&one.namespace, &other.namespace) {
        (Some(one), Some(other)) => one != other,
        (None, None) => false,
        // One of them takes the other's place.
        (Some(_), None) | (None, Some(_)) => one.name == other.name,
    };
    let mut pairs = one.matching.pod_selector.pairs.iter();
    let apart = pairs.any(|(key, value)| {
        let theirs = other.matching.pod_selector.pair(key);
        theirs.is_some_and(|theirs| *theirs != **value)
    });
    !elsewhere && !apart
}

impl Place {
    fn contradicts(&self, first: &Self, message: String, help: &str) -> Diagnostic {
        let (line, _) = first
            .diagnostic(Rule::Contradiction, String::new())
            .position();
        let mut diagnostic = self.diagnostic(Rule::Contradiction, message);
        diagnostic.label = Some(format!("the other is at {}:{line}", first.source.name));
        diagnostic.help = Some(help.to_owned());
        diagnostic
    }

    fn diagnostic(&self, rule: Rule, message: String) -> Diagnostic {
        Diagnostic {
            code: rule.code(),
            severity: rule.severity(),
            message,
            source: Arc::clone(&self.source),
            span: self.name.clone(),
            label: None,
            help: None,
            fix: None,
        }
    }
}

#[cfg(test)]
mod tests;
