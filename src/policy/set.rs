//! All policies in force, in their order, with an index that finds those a pod may match.

mod index;
mod positions;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use index::Index;

use super::{Criteria, Policy, Rule, Volume, VolumeSource};
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
#[derive(Debug, Default)]
pub struct PolicySet {
    #[expect(
        clippy::vec_box,
        reason = "to sort and to grow a list of policies would take the room of a second one"
    )]
    policies: Vec<Box<Policy>>,
    index: Index,
}

impl PolicySet {
    /// Orders policies, and says which of them contradict each other. Of two with one name the first stays.
    #[must_use]
    pub fn new(mut places: Vec<Place>) -> (Self, Vec<Diagnostic>) {
        places.sort_by(|one, other| {
            let key = |place: &Place| {
                (
                    std::cmp::Reverse(place.policy.priority),
                    place.policy.name.clone(),
                )
            };
            key(one).cmp(&key(other))
        });
        let diagnostics = contradictions(&places);
        let mut policies: Vec<Box<Policy>> = Vec::with_capacity(places.len());
        let mut seen = BTreeSet::new();
        for Place { policy, .. } in places {
            if seen.insert(policy.name.clone()) {
                policies.push(policy);
            }
        }
        let index = Index::new(&policies);
        (Self { policies, index }, diagnostics)
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

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Policy> {
        self.iter().find(|policy| policy.name == name)
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
    type IntoIter = std::iter::Map<std::slice::Iter<'s, Box<Policy>>, fn(&Box<Policy>) -> &Policy>;

    fn into_iter(self) -> Self::IntoIter {
        self.policies.iter().map(Box::as_ref)
    }
}

/// Pairs of policies that share a name, or that one pod could not follow both of.
fn contradictions(places: &[Place]) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut by_name: BTreeMap<&str, &Place> = BTreeMap::new();
    let mut by_volume: BTreeMap<&str, Vec<(&Place, &Volume)>> = BTreeMap::new();
    let mut by_path: BTreeMap<&str, Vec<(&Place, &Volume)>> = BTreeMap::new();
    for place in places {
        if let Some(first) = by_name.get(place.policy.name.as_str()) {
            diagnostics.push(place.contradicts(
                first,
                format!("two policies have the name {:?}", place.policy.name),
                "give one of them another name, or remove it",
            ));
            continue;
        }
        by_name.insert(&place.policy.name, place);
        for volume in &place.policy.volumes {
            let others = by_volume.entry(&volume.name).or_default();
            let contradicted = others.iter().find(|(other, theirs)| {
                let differs = theirs.mount_path != volume.mount_path
                    || !same_kind(&theirs.source, &volume.source);
                differs && may_meet(&other.policy.matching, &place.policy.matching)
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
                theirs.name != volume.name
                    && may_meet(&other.policy.matching, &place.policy.matching)
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
fn may_meet(one: &Criteria, other: &Criteria) -> bool {
    let mut pairs = one.pod_selector.pairs.iter();
    let apart = pairs.any(|(key, value)| {
        let theirs = other.pod_selector.pair(key);
        theirs.is_some_and(|theirs| *theirs != **value)
    });
    !apart
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
