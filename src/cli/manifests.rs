//! Manifests after their pods were changed: as text with all that was not changed as it was written,
//! as one List, and in a line for each object on standard error.

use serde_json::{Value, json};

use super::{input::Manifest, output};
use crate::patch::{self, Patch};

/// What became of a document.
#[derive(Debug)]
pub enum Change {
    None,
    /// Patches and the pointers to the pods that they are for. The object has them in it.
    Patched(Vec<(String, Patch<'static>)>),
    /// Not to be printed.
    Dropped,
}

/// What is printed of manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Yaml,
    Json,
    Patch,
}

/// What is said about objects, beside what is printed.
#[derive(Debug, Default)]
pub struct Summary(Vec<(String, String)>);

/// The widest first column of the summary that still is a column.
const COLUMN: usize = 40;

impl Summary {
    pub fn say(&mut self, subject: String, text: String) {
        self.0.push((subject, text));
    }

    /// Takes back what was said about subjects with this end.
    pub fn forget(&mut self, end: &str) {
        self.0.retain(|(subject, _)| !subject.ends_with(end));
    }

    pub fn print(&self) {
        for (subject, text) in &self.0 {
            anstream::eprintln!("{subject:<COLUMN$} {text}");
        }
    }
}

/// Prints manifests with the changes in them and more objects behind them, then what is said of them.
pub fn print(
    format: Format,
    manifests: &[Manifest],
    changes: &[Vec<Change>],
    more: &[Value],
    patches: Vec<Value>,
    mut summary: Summary,
) -> anyhow::Result<()> {
    let text = match format {
        Format::Yaml => yaml(manifests, changes, more, &mut summary)?,
        Format::Json => output::json(&list(manifests, changes, more)),
        Format::Patch => output::json(&Value::from(patches)),
    };
    output::print_raw(&text)?;
    summary.print();
    Ok(())
}

/// The items of a List, or the object itself.
pub fn items(object: &Value) -> Vec<&Value> {
    match object.get("items").and_then(Value::as_array) {
        Some(items) => items.iter().flat_map(self::items).collect(),
        None => vec![object],
    }
}

fn list(manifests: &[Manifest], changes: &[Vec<Change>], more: &[Value]) -> Value {
    let documents = manifests.iter().flat_map(|manifest| &manifest.documents);
    let documents = documents.zip(changes.iter().flatten());
    let left = documents.filter(|(_, change)| !matches!(change, Change::Dropped));
    let objects = left.flat_map(|(document, _)| items(&document.object));
    let objects = objects.filter(|object| !object.is_null());
    json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": objects.chain(more).collect::<Vec<_>>(),
    })
}

/// Documents as they were written with the changes in them, and more behind them.
///
/// Where a change cannot be made in the text, the document is written anew, and the summary says why.
fn yaml(
    manifests: &[Manifest],
    changes: &[Vec<Change>],
    more: &[Value],
    summary: &mut Summary,
) -> anyhow::Result<String> {
    let mut text = String::new();
    for (manifest, changes) in manifests.iter().zip(changes) {
        let mut untouched = false;
        for (document, change) in manifest.documents.iter().zip(changes) {
            let written = &manifest.text[document.range.clone()];
            let patches = match change {
                // Neighbours are kept apart by what their author wrote between them.
                Change::None if untouched => {
                    text.push_str(written);
                    continue;
                }
                Change::None => {
                    untouched = true;
                    append(&mut text, written);
                    continue;
                }
                Change::Dropped => {
                    untouched = false;
                    continue;
                }
                Change::Patched(patches) => patches,
            };
            untouched = false;
            match patch::write(written, patches) {
                Ok(new) => append(&mut text, &new),
                Err(obstacle) => {
                    summary.say(
                        name(&document.object),
                        format!("written anew, without its comments and quotes: {obstacle}"),
                    );
                    append(&mut text, &anew(written, &document.object)?);
                }
            }
        }
    }
    for config_map in more {
        append(&mut text, &format!("---\n{}", output::yaml(config_map)?));
    }
    Ok(text)
}

/// Documents are kept apart, also where a file ends without a line break.
fn append(text: &mut String, document: &str) {
    let separated = text == "---\n" || text.ends_with("\n---\n");
    if !text.is_empty() && !separated {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if !document.starts_with("---") {
            text.push_str("---\n");
        }
    }
    text.push_str(document);
}

fn anew(written: &str, object: &Value) -> anyhow::Result<String> {
    if written.trim_start().starts_with('{') {
        return Ok(output::json(object));
    }
    let start = if written.starts_with("---") {
        "---\n"
    } else {
        ""
    };
    Ok(format!("{start}{}", output::yaml(object)?))
}

/// A document as people call it.
fn name(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind").unwrap_or_default();
    match (text("/metadata/namespace"), text("/metadata/name")) {
        (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (None, Some(name)) => format!("{kind} {name}"),
        _ => kind.to_owned(),
    }
}
