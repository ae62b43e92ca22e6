//! The fixes of findings, carried out on the text of their file.

use std::ops::Range;

use super::fail::{TOO_EARLY, writes_fail};
use crate::{
    diagnostic::{Diagnostic, Fix, Severity},
    patch::{self, New, Op, Operation, Patch, Path, escape},
    yaml::{self, Document, Node, Value, edit::Obstacle},
};

/// A text after its fixes.
#[derive(Debug)]
pub struct Fixed<'d> {
    pub text: String,
    /// The findings that are gone.
    pub done: Vec<&'d Diagnostic>,
    /// Those that only a person can do away with, and why.
    pub left: Vec<(&'d Diagnostic, String)>,
}

/// Carries out what fixes the findings of a text. Everything else in it stays as it is written.
#[must_use]
pub fn fix<'d>(text: &str, found: &'d [Diagnostic]) -> Fixed<'d> {
    let mut fixed = Fixed {
        text: String::with_capacity(text.len()),
        done: Vec::new(),
        left: Vec::new(),
    };
    let documents = yaml::parse(text).unwrap_or_default();
    let mut changes: Vec<Vec<Change<'_>>> = documents.iter().map(|_| Vec::new()).collect();
    for finding in found {
        let (at, key, op) = match &finding.fix {
            None => continue,
            Some(Fix::Person(why)) => {
                fixed.left.push((finding, (*why).to_owned()));
                continue;
            }
            Some(Fix::Text { at, text }) => (at, None, Op::Replace(New::Text(text.into()))),
            Some(Fix::Entry { into, key, text }) => {
                (into, Some(key), Op::Add(New::Text(text.into())))
            }
        };
        let Some((number, path)) = place(&documents, at, key.map(String::as_str)) else {
            fixed.left.push((finding, NOT_FOUND.to_owned()));
            continue;
        };
        let path = Path::Pointer(path.into());
        changes[number].push((finding, Operation { op, path }));
    }
    let mut written = 0;
    for (document, changes) in documents.iter().zip(changes) {
        let Range { start, end } = document.range;
        fixed.text.push_str(&text[written..start]);
        let document = carry_out(&text[start..end], changes, &mut fixed);
        fixed.text.push_str(&document);
        written = end;
    }
    fixed.text.push_str(&text[written..]);
    fixed
}

const NOT_FOUND: &str = "what changes is not found in the text";

/// The number of the document, and the JSON pointer in it, of the scalar with this span, or of the
/// key in the mapping with this span.
fn place(documents: &[Document], at: &Range<usize>, key: Option<&str>) -> Option<(usize, String)> {
    let mut documents = documents.iter().enumerate();
    let (number, document) = documents.find(|(_, it)| it.range.contains(&at.start))?;
    let mut path = pointer(document.root.as_ref()?, at, key.is_some())?;
    if let Some(key) = key {
        path = format!("{path}/{}", escape(key));
    }
    Some((number, path))
}

/// A finding and what is to happen to its document.
type Change<'d> = (&'d Diagnostic, Operation<'d>);

/// All at once where that can be; else one by one, so that one obstacle is in nobody else's way but
/// that of `on-error: Fail`.
fn carry_out<'d>(document: &str, mut changes: Vec<Change<'d>>, fixed: &mut Fixed<'d>) -> String {
    let write = |text: &str, operations: Vec<Operation<'_>>| -> Result<String, Obstacle> {
        patch::write(text, &[(String::new(), Patch(operations))])
    };
    if changes.is_empty() {
        return document.to_owned();
    }
    let all = changes.iter().map(|(_, operation)| operation.clone());
    if let Ok(text) = write(document, all.collect()) {
        fixed.done.extend(changes.into_iter().map(|(it, _)| it));
        return text;
    }
    let mut text = document.to_owned();
    let mut error_stays = false;
    changes.sort_by_key(|(finding, _)| writes_fail(finding));
    for (finding, operation) in changes {
        if error_stays && writes_fail(finding) {
            fixed.left.push((finding, TOO_EARLY.to_owned()));
            continue;
        }
        match write(&text, vec![operation]) {
            Ok(new) => {
                text = new;
                fixed.done.push(finding);
            }
            Err(obstacle) => {
                error_stays |= finding.severity == Severity::Error;
                fixed.left.push((finding, obstacle.to_string()));
            }
        }
    }
    text
}

/// The JSON pointer to the mapping, or to the scalar, with this span.
fn pointer(node: &Node, span: &Range<usize>, mapping: bool) -> Option<String> {
    let below = |step: String, child| Some(format!("/{step}{}", pointer(child, span, mapping)?));
    match &node.value {
        Value::Mapping(_) if mapping && node.span == *span => Some(String::new()),
        Value::Mapping(entries) => entries
            .iter()
            .find_map(|(key, child)| below(escape(&key.name), child)),
        Value::Sequence(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(position, child)| below(position.to_string(), child))
        }
        _ => (!mapping && node.span == *span).then(String::new),
    }
}

#[cfg(test)]
mod tests;
