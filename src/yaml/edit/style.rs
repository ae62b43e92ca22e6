//! How new text is to look: what the neighbours do, and scalars that mean to every reader what they say.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::{
    super::{Node, Value, scalar},
    place,
};

/// How a document is written.
#[derive(Debug)]
pub struct Style {
    pub newline: &'static str,
    /// A document that is JSON too, and is to stay so.
    pub json: bool,
    seen: Seen,
}

/// By how many columns something is set in at a place of the text, in the order of the text.
type Columns = Vec<(usize, usize)>;

#[derive(Debug, Default)]
struct Seen {
    mappings: Columns,
    sequences: Columns,
    dashes: Columns,
}

/// By how many columns the parts of a block are set in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// A mapping below its key.
    pub mapping: usize,
    /// The dashes of a sequence below its key.
    pub sequence: usize,
    /// An item behind its dash.
    pub dash: usize,
}

impl Style {
    pub fn of(text: &str, root: &Node) -> Self {
        let mut seen = Seen::default();
        seen.look(text, root);
        seen.mappings.sort_unstable();
        seen.sequences.sort_unstable();
        seen.dashes.sort_unstable();
        let crlf = text.find('\n').is_some_and(|it| text[..it].ends_with('\r'));
        Self {
            newline: if crlf { "\r\n" } else { "\n" },
            json: place::is_flow(text, root)
                && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
            seen,
        }
    }

    /// What is seen next to a place.
    pub fn near(&self, offset: usize) -> Shape {
        let Seen {
            mappings,
            sequences,
            dashes,
        } = &self.seen;
        Shape {
            mapping: nearest(mappings, offset).unwrap_or(2),
            sequence: nearest(sequences, offset).unwrap_or(0),
            dash: nearest(dashes, offset).unwrap_or(2),
        }
    }

    /// A scalar in the quotes of the one that it replaces.
    pub fn like(&self, old: &str, value: &Json, in_flow: bool) -> String {
        match value {
            Json::String(text) if old.starts_with('"') => double(text),
            Json::String(text) if old.starts_with('\'') && is_printable(text) => single(text),
            _ if self.json => value.to_string(),
            _ => scalar(value, in_flow),
        }
    }
}

fn nearest(seen: &Columns, offset: usize) -> Option<usize> {
    let next = seen.partition_point(|(at, _)| *at < offset);
    let around = [next.checked_sub(1).map(|it| &seen[it]), seen.get(next)];
    let around = around.into_iter().flatten();
    let nearest = around.min_by_key(|(at, _)| at.abs_diff(offset));
    nearest.map(|(_, columns)| *columns)
}

impl Seen {
    fn look(&mut self, text: &str, node: &Node) {
        if place::is_flow(text, node) {
            return;
        }
        match &node.value {
            Value::Mapping(entries) => {
                let Some(column) = place::mapping_column(text, node) else {
                    return;
                };
                for (position, (key, value)) in entries.iter().enumerate() {
                    if place::child(text, node, position).is_err() || place::is_flow(text, value) {
                        continue;
                    }
                    let (inner, seen) = match &value.value {
                        Value::Mapping(_) => {
                            (place::mapping_column(text, value), &mut self.mappings)
                        }
                        Value::Sequence(items) => {
                            let dash = items.first().and_then(|item| place::dash(text, item));
                            let dash = dash.map(|dash| place::column(text, dash));
                            (dash, &mut self.sequences)
                        }
                        _ => continue,
                    };
                    if let Some(columns) = inner.and_then(|inner| inner.checked_sub(column)) {
                        seen.push((key.span.start, columns));
                    }
                    self.look(text, value);
                }
            }
            Value::Sequence(items) => {
                for item in items.iter().filter(|item| !place::is_flow(text, item)) {
                    let inner = place::mapping_column(text, item);
                    if let (Some(inner), Some(dash)) = (inner, place::dash(text, item))
                        && let Some(columns) = inner.checked_sub(place::column(text, dash))
                    {
                        self.dashes.push((dash, columns));
                    }
                    self.look(text, item);
                }
            }
            _ => {}
        }
    }
}

/// The lines of a mapping or a sequence in block style.
pub fn lines(value: &Json, column: usize, shape: Shape) -> Vec<String> {
    let indent = " ".repeat(column);
    let mut all = Vec::new();
    match value {
        Json::Object(entries) => {
            for (name, value) in entries {
                let name = key(name, false);
                match value {
                    Json::Object(inner) if !inner.is_empty() => {
                        all.push(format!("{indent}{name}:"));
                        all.extend(lines(value, column + shape.mapping.max(1), shape));
                    }
                    Json::Array(inner) if !inner.is_empty() => {
                        all.push(format!("{indent}{name}:"));
                        all.extend(lines(value, column + shape.sequence, shape));
                    }
                    _ => all.push(format!("{indent}{name}: {}", scalar(value, false))),
                }
            }
        }
        Json::Array(items) => {
            let width = shape.dash.max(2);
            let dash = format!("{indent}-{}", " ".repeat(width - 1));
            for item in items {
                let inner = lines(item, column + width, shape);
                let mut inner = inner.into_iter();
                let first = inner.next().unwrap_or_default();
                all.push(format!("{dash}{}", first.trim_start()));
                all.extend(inner);
            }
        }
        _ => all.push(format!("{indent}{}", scalar(value, false))),
    }
    all
}

/// A value in flow style: on one line, or with the entries of a mapping on lines of their own, set in from a column.
pub fn flow(value: &Json, json: bool, column: Option<usize>) -> String {
    match value {
        Json::Object(entries) if !entries.is_empty() => {
            let inner = column.map(|column| column + 2);
            let entries = entries.iter();
            let entries: Vec<String> = entries
                .map(|(name, value)| format!("{}: {}", key(name, json), flow(value, json, inner)))
                .collect();
            match column {
                Some(column) if entries.len() > 3 => {
                    let indent = format!("\n{}", " ".repeat(column + 2));
                    let entries = entries.join(&format!(",{indent}"));
                    format!("{{{indent}{entries}}}")
                }
                _ => format!("{{{}}}", entries.join(", ")),
            }
        }
        Json::Array(items) if !items.is_empty() => {
            let of_objects = items.iter().all(Json::is_object);
            let items = items.iter().map(|item| flow(item, json, None));
            let items: Vec<String> = items.collect();
            match column {
                Some(column) if of_objects => {
                    let indent = format!("\n{}", " ".repeat(column + 2));
                    let items = items.join(&format!(",{indent}"));
                    format!("[{indent}{items}]")
                }
                _ => format!("[{}]", items.join(", ")),
            }
        }
        _ if json => value.to_string(),
        _ => scalar(value, true),
    }
}

pub fn key(name: &str, json: bool) -> String {
    if json {
        Json::from(name).to_string()
    } else {
        text(name, true)
    }
}

/// A scalar, or an empty collection.
pub fn scalar(value: &Json, in_flow: bool) -> String {
    match value {
        Json::String(value) => text(value, in_flow),
        _ => value.to_string(),
    }
}

fn text(text: &str, in_flow: bool) -> String {
    if is_plain(text, in_flow) {
        text.to_owned()
    } else if is_printable(text) && !text.contains('\'') {
        single(text)
    } else {
        double(text)
    }
}

/// As JSON writes it, and with the control characters escaped that only JSON allows.
fn double(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    for it in Json::from(text).to_string().chars() {
        if it.is_control() {
            let _ = write!(quoted, "\\u{:04x}", u32::from(it));
        } else {
            quoted.push(it);
        }
    }
    quoted
}

fn single(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn is_printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Whether a text needs no quotes, for readers of any version of YAML.
fn is_plain(text: &str, in_flow: bool) -> bool {
    let plain = |it: u8| {
        it.is_ascii_alphanumeric()
            || matches!(it, b'.' | b'_' | b'/' | b'-' | b'@')
            || (it == b',' && !in_flow)
    };
    text.bytes().all(plain)
        && text.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '/')
        && text.bytes().any(|it| it.is_ascii_alphabetic())
        && !matches!(text, "y" | "Y" | "n" | "N")
        && matches!(scalar::resolve(text), Value::String(_))
}
