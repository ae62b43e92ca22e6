//! Finds the policies that a pod may match without asking each of them.
//!
//! A policy stands under one thing that it requires. One that requires nothing which could be looked
//! up stands under the labels that it refuses instead, and is found where a pod has none of them.

use std::{collections::HashMap, sync::Arc};

use super::{
    super::{Criteria, ImagePattern, METHOD_LABEL, Policy, file::LabelOperator, glob},
    positions::{Bits, Taken},
};

/// Positions of policies by what a pod must have for them, or must not.
#[derive(Debug, Default)]
pub struct Index {
    by_image: HashMap<String, Vec<u32>>,
    by_label: ByLabel<Vec<u32>>,
    by_namespace: HashMap<String, Vec<u32>>,
    /// Those that stand under nothing.
    rest: Bits,
    /// Those of the rest that no pod with such a label matches.
    refusing: ByLabel<Taken>,
}

/// Something for labels of a key, and for those that have a value too.
#[derive(Debug)]
struct ByLabel<T>(HashMap<String, Values<T>>);

#[derive(Debug, Default)]
struct Values<T> {
    any: T,
    each: HashMap<String, T>,
}

impl<T> Default for ByLabel<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl Index {
    pub fn new(policies: &[Arc<Policy>]) -> Self {
        let mut index = Self::default();
        let mut refusing = ByLabel::default();
        for (position, policy) in (0..).zip(policies) {
            if let Some(namespace) = &policy.namespace {
                file(&mut index.by_namespace, namespace).push(position);
            } else if !index.file(position, &policy.matching) {
                index.rest.insert(position);
                file_refused(position, &policy.matching, &mut refusing);
            }
        }
        index.refusing = refusing.map(|positions| Taken::new(positions, policies.len()));
        index
    }

    /// All that a pod of these images, labels and namespace may match, in order.
    pub fn find<'a>(
        &self,
        images: impl Iterator<Item = &'a str>,
        labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        namespace: &str,
    ) -> Vec<u32> {
        let Self {
            by_image,
            by_label,
            by_namespace,
            rest: _,
            refusing: _,
        } = self;
        let mut found = self.unrefused(&labels);
        found.extend(images.filter_map(|name| by_image.get(name)).flatten());
        let labelled = labels.filter_map(|(key, value)| by_label.get(key, value));
        found.extend(labelled.flatten().flatten().flatten());
        found.extend(by_namespace.get(namespace).into_iter().flatten());
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Those of the rest that refuse none of the labels.
    fn unrefused<'a>(
        &self,
        labels: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
    ) -> Vec<u32> {
        if self.rest.is_empty() {
            return Vec::new();
        }
        let mut left = self.rest.clone();
        for (key, value) in labels.clone() {
            let Some(refusing) = self.refusing.get(key, value) else {
                continue;
            };
            // Of a key that stands there twice the last value counts.
            let last = labels.clone().filter(|(other, _)| *other == key).last();
            if last == Some((key, value)) {
                for refusing in refusing.into_iter().flatten() {
                    left.remove(refusing);
                }
            }
        }
        left.iter().collect()
    }

    /// Under images first: few pods share one. Whether something was found to file it under.
    fn file(&mut self, position: u32, criteria: &Criteria) -> bool {
        let Criteria {
            pod_selector,
            namespace_selector: _,
            namespaces,
            images,
            owners: _,
        } = criteria;
        let images: Option<Vec<&str>> = images.iter().map(ImagePattern::literal_name).collect();
        if let Some(images) = images.filter(|images| !images.is_empty()) {
            for name in images {
                file(&mut self.by_image, name).push(position);
            }
            return true;
        }
        let mut pairs = pod_selector.pairs.iter();
        if let Some((key, value)) = pairs.find(|(key, _)| tells(key)) {
            self.by_label.at(key, Some(&**value)).push(position);
            return true;
        }
        for requirement in &pod_selector.expressions {
            let key = &requirement.key;
            match requirement.operator {
                LabelOperator::In if tells(key) => {
                    for value in &requirement.values {
                        self.by_label.at(key, Some(value.as_str())).push(position);
                    }
                    return true;
                }
                LabelOperator::Exists if tells(key) => {
                    self.by_label.at(key, None).push(position);
                    return true;
                }
                _ => {}
            }
        }
        let literal = |name: &String| !glob::has_wildcard(name);
        if !namespaces.is_empty() && namespaces.iter().all(literal) {
            for name in namespaces {
                file(&mut self.by_namespace, name).push(position);
            }
            return true;
        }
        false
    }
}

fn file_refused(position: u32, criteria: &Criteria, refusing: &mut ByLabel<Vec<u32>>) {
    for requirement in &criteria.pod_selector.expressions {
        let key = &requirement.key;
        match requirement.operator {
            LabelOperator::NotIn if tells(key) => {
                for value in &requirement.values {
                    refusing.at(key, Some(value.as_str())).push(position);
                }
            }
            LabelOperator::DoesNotExist if tells(key) => {
                refusing.at(key, None).push(position);
            }
            _ => {}
        }
    }
}

/// The method is every pod's, so it tells nothing.
fn tells(key: &str) -> bool {
    key != METHOD_LABEL
}

fn file<'m, T: Default>(map: &'m mut HashMap<String, T>, key: &str) -> &'m mut T {
    map.entry(key.to_owned()).or_default()
}

impl<T: Default> ByLabel<T> {
    fn at(&mut self, key: &str, value: Option<&str>) -> &mut T {
        let Values { any, each } = file(&mut self.0, key);
        match value {
            Some(value) => file(each, value),
            None => any,
        }
    }

    fn get(&self, key: &str, value: &str) -> Option<[Option<&T>; 2]> {
        let Values { any, each } = self.0.get(key)?;
        Some([Some(any), each.get(value)])
    }

    fn map<U>(self, to: impl Fn(T) -> U) -> ByLabel<U> {
        let values = self.0.into_iter().map(|(key, Values { any, each })| {
            let each = each.into_iter().map(|(value, it)| (value, to(it)));
            let values = Values {
                each: each.collect(),
                any: to(any),
            };
            (key, values)
        });
        ByLabel(values.collect())
    }
}
