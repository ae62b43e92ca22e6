//! Label selectors, as Kubernetes compares them.

use super::{
    METHOD_LABEL,
    file::{LabelOperator, LabelRequirement, LabelSelector},
};

/// Why a selector cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    #[error(
        "{0:?} cannot be a label's key: a name of at most 63 letters, digits and - _ . with an optional DNS prefix and /"
    )]
    Key(String),
    #[error(
        "{0:?} cannot be a label's value: at most 63 letters, digits and - _ . with a letter or digit at both ends"
    )]
    Value(String),
    #[error("the operator {operator} needs values")]
    NeedsValues { operator: &'static str },
    #[error("the operator {operator} takes no values")]
    TakesNoValues { operator: &'static str },
}

/// What a label selector asks for, in less memory than as it was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    /// By their keys, each once.
    pub pairs: Box<[(Box<str>, Box<str>)]>,
    pub expressions: Box<[LabelRequirement]>,
}

impl From<&LabelSelector> for Selector {
    fn from(written: &LabelSelector) -> Self {
        let LabelSelector {
            match_labels,
            match_expressions,
        } = written;
        let pairs = match_labels.iter();
        Self {
            pairs: pairs
                .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
                .collect(),
            expressions: match_expressions.as_slice().into(),
        }
    }
}

impl Selector {
    /// Whether `labels`, a look-up by key, is what the selector asks for.
    pub fn matches<'a>(&self, labels: impl Fn(&str) -> Option<&'a str>) -> bool {
        let mut pairs = self.pairs.iter();
        pairs.all(|(key, value)| labels(key) == Some(value))
            && self.expressions.iter().all(|it| it.holds(&labels))
    }

    /// The value that a label must have, where one is given.
    #[must_use]
    pub fn pair(&self, key: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(name, _)| **name == *key);
        found.map(|(_, value)| &**value)
    }

    /// The methods that it asks for, when it asks for any.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        let listed = self.expressions.iter().filter(|requirement| {
            requirement.key == METHOD_LABEL && requirement.operator == LabelOperator::In
        });
        let listed = listed.flat_map(|requirement| &requirement.values);
        let alone = self.pair(METHOD_LABEL).into_iter();
        alone.chain(listed.map(String::as_str))
    }

    /// Whether the selector says nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.expressions.is_empty()
    }
}

impl LabelRequirement {
    /// Whether `labels`, a look-up by key, has what is required.
    pub fn holds<'a>(&self, labels: impl Fn(&str) -> Option<&'a str>) -> bool {
        let Self {
            key,
            operator,
            values,
        } = self;
        let label = labels(key);
        let listed = label.is_some_and(|label| values.iter().any(|value| value == label));
        match operator {
            LabelOperator::In => listed,
            // Kubernetes counts a label that is not there as not listed.
            LabelOperator::NotIn => !listed,
            LabelOperator::Exists => label.is_some(),
            LabelOperator::DoesNotExist => label.is_none(),
        }
    }
}

/// What is wrong with a selector, and the path below it at which that stands.
#[must_use]
pub fn problems(selector: &LabelSelector) -> Vec<(Vec<String>, SelectorError)> {
    let mut problems = Vec::new();
    let path = |steps: &[&str]| steps.iter().map(|step| (*step).to_owned()).collect();
    for (key, value) in &selector.match_labels {
        if !is_key(key) {
            problems.push((path(&["matchLabels", key]), SelectorError::Key(key.clone())));
        }
        if !is_value(value) {
            let error = SelectorError::Value(value.clone());
            problems.push((path(&["matchLabels", key]), error));
        }
    }
    for (index, requirement) in selector.match_expressions.iter().enumerate() {
        let index = index.to_string();
        let at = |field: &str| path(&["matchExpressions", &index, field]);
        let LabelRequirement {
            key,
            operator,
            values,
        } = requirement;
        if !is_key(key) {
            problems.push((at("key"), SelectorError::Key(key.clone())));
        }
        let operator = match operator {
            LabelOperator::In if values.is_empty() => SelectorError::NeedsValues { operator: "In" },
            LabelOperator::NotIn if values.is_empty() => {
                SelectorError::NeedsValues { operator: "NotIn" }
            }
            LabelOperator::Exists if !values.is_empty() => {
                SelectorError::TakesNoValues { operator: "Exists" }
            }
            LabelOperator::DoesNotExist if !values.is_empty() => SelectorError::TakesNoValues {
                operator: "DoesNotExist",
            },
            _ => {
                let wrong = values
                    .iter()
                    .enumerate()
                    .filter(|(_, value)| !is_value(value));
                problems.extend(wrong.map(|(place, value)| {
                    let place = place.to_string();
                    let path = path(&["matchExpressions", &index, "values", &place]);
                    (path, SelectorError::Value(value.clone()))
                }));
                continue;
            }
        };
        problems.push((at("operator"), operator));
    }
    problems
}

fn is_key(key: &str) -> bool {
    let (prefix, name) = match key.rsplit_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let domain = prefix.is_none_or(super::name::is_dns_subdomain);
    domain && !name.is_empty() && is_value(name)
}

fn is_value(value: &str) -> bool {
    let inside = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let bytes = value.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            bytes.len() <= 63
                && first.is_ascii_alphanumeric()
                && last.is_ascii_alphanumeric()
                && bytes.iter().all(|c| inside(*c))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests;
