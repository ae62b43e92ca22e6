//! The fixes of findings, carried out on the text of their file.

use std::ops::Range;

use crate::{
    diagnostic::{Diagnostic, Fix},
    patch::{self, New, Op, Operation, Patch, Path, escape},
    yaml::{self, Node, Value, edit::Obstacle},
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
    let mut wanted = Vec::new();
    for finding in found {
        let place = |change| documents.iter().position(|it| it.range.contains(change));
        let (at, op) = match &finding.fix {
            None => continue,
            Some(Fix::Person(why)) => {
                fixed.left.push((finding, (*why).to_owned()));
                continue;
            }
            Some(Fix::Text { at, text }) => (at, Op::Replace(New::Text(text.into()))),
            Some(Fix::Entry { into, text, .. }) => (into, Op::Add(New::Text(text.into()))),
        };
        wanted.push((place(&at.start), finding, at, op));
    }
    let mut written = 0;
    for (number, document) in documents.iter().enumerate() {
        let Some(root) = &document.root else { continue };
        let here = wanted.iter().filter(|(place, ..)| *place == Some(number));
        let changes: Vec<Change<'_>> = here
            .filter_map(|(_, finding, at, op)| {
                let path = match &finding.fix {
                    Some(Fix::Entry { key, .. }) => {
                        let mapping = pointer(root, at, true)?;
                        format!("{mapping}/{}", escape(key))
                    }
                    _ => pointer(root, at, false)?,
                };
                let op = op.clone();
                let path = Path::Pointer(path.into());
                Some((*finding, Operation { op, path }))
            })
            .collect();
        let Range { start, end } = document.range;
        fixed.text.push_str(&text[written..start]);
        let document = carry_out(&text[start..end], changes, &mut fixed);
        fixed.text.push_str(&document);
        written = end;
    }
    fixed.text.push_str(&text[written..]);
    fixed
}

/// A finding and what is to happen to its document.
type Change<'d> = (&'d Diagnostic, Operation<'d>);

/// All at once where that can be; else one by one, so that one obstacle is in nobody else's way.
fn carry_out<'d>(document: &str, changes: Vec<Change<'d>>, fixed: &mut Fixed<'d>) -> String {
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
    for (finding, operation) in changes {
        match write(&text, vec![operation]) {
            Ok(new) => {
                text = new;
                fixed.done.push(finding);
            }
            Err(obstacle) => fixed.left.push((finding, obstacle.to_string())),
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
