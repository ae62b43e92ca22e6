//! YAML documents as trees that know where in the text each of their nodes stands.
//!
//! Scalars mean what they mean to `kubectl`: `yes` and `on` are booleans, `0755` is octal.

mod decode;
pub mod edit;
mod parse;
mod scalar;

use std::ops::Range;

pub use decode::{DecodeError, Wrong, decode};
pub use parse::{SyntaxError, each, parse};

/// One document of a stream.
#[derive(Debug)]
pub struct Document {
    /// Its bytes, from its `---` to the next one's.
    pub range: Range<usize>,
    /// Absent in a document that has nothing but comments.
    pub root: Option<Node>,
    /// Keys that stand twice in their mapping; the last one counts, as for `kubectl`.
    pub duplicates: Vec<Duplicate>,
}

#[derive(Debug)]
pub struct Duplicate {
    pub key: String,
    pub first: Range<usize>,
    pub second: Range<usize>,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    pub span: Range<usize>,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    String(String),
    Sequence(Vec<Node>),
    /// In the order of the text, each key once.
    Mapping(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub struct Key {
    pub name: String,
    pub span: Range<usize>,
}

impl Node {
    /// The value under `key`, when this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Mapping(entries) => entries
                .iter()
                .find(|(name, _)| name.name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string, and of nothing else.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The deepest node that exists on a path of keys and indices, and this node for an empty one.
    #[must_use]
    pub fn nearest(&self, path: &[&str]) -> &Self {
        let mut node = self;
        for step in path {
            let next = match &node.value {
                Value::Sequence(items) => {
                    step.parse().ok().and_then(|index: usize| items.get(index))
                }
                _ => node.get(step),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// The key at the end of a path of keys, or the value there when it has none.
    #[must_use]
    pub fn key(&self, path: &[&str]) -> &Range<usize> {
        let Some((last, before)) = path.split_last() else {
            return &self.span;
        };
        let parent = self.nearest(before);
        let key = match &parent.value {
            Value::Mapping(entries) => entries.iter().find(|(key, _)| key.name == *last),
            _ => None,
        };
        key.map_or(&parent.span, |(key, _)| &key.span)
    }

    /// The way to a key or a value with this place, such as `spec.exclude[0]`; as far as there is one.
    #[must_use]
    pub fn path(&self, span: &Range<usize>) -> String {
        let around = |it: &Self| it.span.start <= span.start && span.end <= it.span.end;
        let (step, below) = match &self.value {
            Value::Mapping(entries) => {
                let entry = entries.iter();
                let mut found = entry.filter(|(key, value)| key.span == *span || around(value));
                match found.next() {
                    Some((key, value)) => (key.name.clone(), value),
                    None => return String::new(),
                }
            }
            Value::Sequence(items) => match items.iter().position(around) {
                Some(index) => (format!("[{index}]"), &items[index]),
                None => return String::new(),
            },
            _ => return String::new(),
        };
        let rest = below.path(span);
        let joint = if rest.is_empty() || rest.starts_with('[') {
            ""
        } else {
            "."
        };
        format!("{step}{joint}{rest}")
    }

    /// The same tree as JSON, without places.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(value) => value.clone().into(),
            Value::String(value) => value.clone().into(),
            Value::Sequence(items) => items.iter().map(Self::to_json).collect(),
            Value::Mapping(entries) => entries
                .iter()
                .map(|(key, value)| (key.name.clone(), value.to_json()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
