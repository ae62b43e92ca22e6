//! Where in the text the parts of a tree begin and end, comments and line breaks left aside.

use std::ops::Range;

use super::{
    super::{Key, Node, Value},
    Obstacle,
};

/// The children of a node with their keys, in the order of the tree.
pub fn children(node: &Node) -> Vec<(Option<&Key>, &Node)> {
    match &node.value {
        Value::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| (Some(key), value))
            .collect(),
        Value::Sequence(items) => items.iter().map(|item| (None, item)).collect(),
        _ => Vec::new(),
    }
}

/// A child that stands in the text of its parent, and nowhere else.
pub fn child<'n>(text: &str, node: &'n Node, position: usize) -> Result<&'n Node, Obstacle> {
    let (value, is_own) = match &node.value {
        Value::Mapping(entries) => {
            let (key, value) = entries.get(position).ok_or(Obstacle::Form)?;
            (value, holds(node, &key.span))
        }
        Value::Sequence(items) => (items.get(position).ok_or(Obstacle::Form)?, true),
        _ => return Err(Obstacle::Form),
    };
    if is_own && !is_alias(text, value) {
        Ok(value)
    } else {
        Err(Obstacle::Alias)
    }
}

fn is_alias(text: &str, node: &Node) -> bool {
    text[node.span.clone()].starts_with('*')
        && !is_block_scalar(text, node)
        && !begins_with_item(node)
}

/// Whether a block sequence is given the place of its first item, as one without indentation is.
fn begins_with_item(node: &Node) -> bool {
    let Value::Sequence(items) = &node.value else {
        return false;
    };
    let first = items.first().map(|item| item.span.start);
    first == Some(node.span.start)
}

fn holds(node: &Node, span: &Range<usize>) -> bool {
    node.span.start <= span.start && span.end <= node.span.end.max(node.span.start)
}

pub fn is_flow(text: &str, node: &Node) -> bool {
    let text = &text[node.span.clone()];
    match node.value {
        Value::Mapping(_) => text.starts_with('{'),
        Value::Sequence(_) => text.starts_with('[') && !begins_with_item(node),
        _ => false,
    }
}

/// Where the line of an offset begins.
pub fn line(text: &str, offset: usize) -> usize {
    text[..offset].rfind('\n').map_or(0, |newline| newline + 1)
}

/// How many characters stand before an offset in its line.
pub fn column(text: &str, offset: usize) -> usize {
    text[line(text, offset)..offset].chars().count()
}

pub fn is_first_of_line(text: &str, offset: usize) -> bool {
    text[line(text, offset)..offset].trim_start().is_empty()
}

/// The column of the keys of a block mapping that has some of its own.
pub fn mapping_column(text: &str, node: &Node) -> Option<usize> {
    let Value::Mapping(entries) = &node.value else {
        return None;
    };
    let own = entries.iter().map(|(key, _)| &key.span);
    let first = own
        .filter(|span| holds(node, span))
        .map(|span| span.start)
        .min()?;
    Some(column(text, first))
}

/// The dash before an item of a block sequence.
pub fn dash(text: &str, item: &Node) -> Option<usize> {
    let before = text[..header(text, item)].trim_end_matches([' ', '\t', '\r', '\n']);
    before.ends_with('-').then(|| before.len() - 1)
}

/// Behind the colon of a key.
pub fn colon(text: &str, key: &Key) -> Option<usize> {
    let rest = &text[key.span.end..];
    let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    rest[blank..]
        .starts_with(':')
        .then_some(key.span.end + blank + 1)
}

pub fn entry_end(text: &str, key: &Key, value: &Node) -> usize {
    if value.span.is_empty() && matches!(value.value, Value::Null) {
        colon(text, key).unwrap_or(key.span.end)
    } else {
        end(text, value)
    }
}

/// Behind the last character of a node.
pub fn end(text: &str, node: &Node) -> usize {
    let block = !is_flow(text, node) && !is_alias(text, node);
    match &node.value {
        Value::Mapping(entries) if block => entries
            .iter()
            .filter(|(key, _)| holds(node, &key.span))
            .map(|(key, value)| entry_end(text, key, value))
            .max()
            .unwrap_or(node.span.end),
        Value::Sequence(items) if block => items
            .iter()
            .map(|item| end(text, item))
            .max()
            .unwrap_or(node.span.end),
        _ => written(text, node).end,
    }
}

/// All of a scalar or a flow collection: of a block scalar its header too.
pub fn written(text: &str, node: &Node) -> Range<usize> {
    let Range { start, end } = node.span;
    if !is_block_scalar(text, node) {
        return start..end;
    }
    let header = header(text, node);
    let keeps = text[header..start].contains('+');
    let content = &text[header..end];
    let length = if keeps {
        content.len() - usize::from(content.ends_with('\n'))
    } else {
        content.trim_end().len()
    };
    header..header + length
}

fn is_block_scalar(text: &str, node: &Node) -> bool {
    header(text, node) != node.span.start
}

/// Where a node begins: a block scalar with its `|` or `>`.
fn header(text: &str, node: &Node) -> usize {
    let start = node.span.start;
    if !matches!(node.value, Value::String(_)) {
        return start;
    }
    let before = text[..start].trim_end_matches([' ', '\r', '\n']);
    if !text[before.len()..start].contains('\n') {
        return start;
    }
    // The header may have a comment.
    let last = line(text, before.len());
    let head = before[last..].split(" #").next().unwrap_or_default();
    let head = head.trim_end();
    let bare = head.trim_end_matches(|it: char| it.is_ascii_digit() || matches!(it, '+' | '-'));
    if bare.ends_with(['|', '>']) {
        last + bare.len() - 1
    } else {
        start
    }
}

/// The whole lines of a part of the text that begins one, its line break too.
pub fn lines(text: &str, part: Range<usize>) -> Option<Range<usize>> {
    if !is_first_of_line(text, part.start) {
        return None;
    }
    let start = line(text, part.start);
    if let Some(length) = text[part.end..].find('\n') {
        return Some(start..part.end + length + 1);
    }
    // The last line has no line break of its own: it goes with the one before it.
    let before = text[..start].strip_suffix('\n')?;
    let before = before.strip_suffix('\r').unwrap_or(before);
    Some(before.len()..text.len())
}
