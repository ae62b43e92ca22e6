//! From the text of a policy file to policies, or to diagnostics that say where it went wrong.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::{
    Place, Rule, ScriptFile,
    file::{API_VERSION, CLUSTER_KIND, HookPolicy, KIND},
    lint,
};
use crate::{
    diagnostic::{Diagnostic, Findings, Source},
    yaml::{self, DecodeError, Document, Node, Value, Wrong},
};

/// A policy file and the files beside it that its scripts may be.
#[derive(Clone, Debug)]
pub struct Input {
    pub source: Arc<Source>,
    pub scripts: BTreeMap<String, ScriptFile>,
}

/// Reads all policies of a file. A policy with an error in it is not among them.
#[must_use]
pub fn parse(input: &Input) -> (Vec<Place>, Vec<Diagnostic>) {
    let mut places = Vec::new();
    let mut findings = Findings::new(&input.source);
    let mut empty = true;
    let read = yaml::each(&input.source.text, |document| {
        empty &= document.root.is_none();
        places.extend(place(document, input, &mut findings));
    });
    if let Err(syntax) = read {
        let mut findings = Findings::new(&input.source);
        findings.push(Rule::Syntax, syntax.span, syntax.message);
        return (Vec::new(), findings.into_diagnostics());
    }
    if empty {
        findings
            .push(
                Rule::Empty,
                0..input.source.text.len(),
                "there is no policy in this file",
            )
            .help("write one, or remove the file");
    }
    let mut found = findings.into_diagnostics();
    found.sort_by_key(|found| found.span.start);
    (places, found)
}

/// The policy of a document, if it is a sound one.
fn place(document: Document, input: &Input, findings: &mut Findings<'_>) -> Option<Place> {
    let Document {
        range: _,
        root,
        duplicates,
    } = document;
    let root = root?;
    for twice in duplicates {
        findings
            .push(
                Rule::DuplicateKey,
                twice.second,
                format!("the key {:?} stands here twice", twice.key),
            )
            .help("remove one of them: only the last would count");
    }
    let before = findings.errors();
    let file = typed(root.clone(), findings)?;
    let policy = lint::compile(&file, &root, &input.scripts, findings)?;
    let sound = findings.errors() == before;
    sound.then(|| Place {
        policy: Box::new(policy),
        source: Arc::clone(&input.source),
        name: root.nearest(&["metadata", "name"]).span.clone(),
    })
}

/// The document as types, or all that keeps it from being one.
fn typed(mut root: Node, findings: &mut Findings<'_>) -> Option<HookPolicy> {
    if !is_policy(&root, findings) {
        return None;
    }
    let mut sound = true;
    loop {
        let DecodeError { wrong, span } = match yaml::decode::<HookPolicy>(&root) {
            Ok(file) => return sound.then_some(file),
            Err(error) => error,
        };
        // What is missing may be what was misspelled, or what was just taken out.
        let missing = matches!(wrong, Wrong::MissingField(_));
        if missing && !sound {
            return None;
        }
        say(findings, wrong, span.clone());
        sound = false;
        if missing || !remove(&mut root, &span) {
            return None;
        }
    }
}

/// Said first, so that a Deployment among the policies is not read field by field.
fn is_policy(root: &Node, findings: &mut Findings<'_>) -> bool {
    if is_another_api(root) {
        findings
            .push(
                Rule::NotOurs,
                first_line(root),
                "this is an object of another API, and is passed over",
            )
            .help("name the folder or the file that has the policies");
        return false;
    }
    let expected = [("apiVersion", API_VERSION), ("kind", KIND)];
    for (field, wanted) in expected {
        let node = root.get(field);
        let said = node.and_then(Node::as_str);
        if said == Some(wanted) || field == "kind" && said == Some(CLUSTER_KIND) {
            continue;
        }
        let (span, found) = match node {
            Some(node) => (node.span.clone(), format!("the {field} is not {wanted}")),
            None => (first_line(root), format!("{field} is missing")),
        };
        findings
            .push(Rule::NotAPolicy, span, found)
            .help(format!("write {field}: {wanted}"));
        return false;
    }
    true
}

/// Such as a kustomization, or a pod to try a policy on.
fn is_another_api(root: &Node) -> bool {
    let field = |name: &str| root.get(name).and_then(Node::as_str).unwrap_or_default();
    let group = field("apiVersion").split('/').next().unwrap_or_default();
    let ours = API_VERSION.split('/').next().unwrap_or_default();
    !group.is_empty() && group != ours && ![KIND, CLUSTER_KIND].contains(&field("kind"))
}

/// A whole mapping is too much to point at.
fn first_line(node: &Node) -> Range<usize> {
    match &node.value {
        Value::Mapping(entries) => entries
            .first()
            .map_or_else(|| node.span.clone(), |(key, _)| key.span.clone()),
        _ => node.span.clone(),
    }
}

/// Takes out the entry or item with this key or value, so that the next thing that is wrong shows.
fn remove(node: &mut Node, span: &Range<usize>) -> bool {
    match &mut node.value {
        Value::Mapping(entries) => {
            let before = entries.len();
            entries.retain(|(name, value)| name.span != *span && value.span != *span);
            entries.len() < before || entries.iter_mut().any(|(_, value)| remove(value, span))
        }
        Value::Sequence(items) => {
            let before = items.len();
            items.retain(|item| item.span != *span);
            items.len() < before || items.iter_mut().any(|item| remove(item, span))
        }
        _ => false,
    }
}

fn unknown(
    findings: &mut Findings<'_>,
    rule: Rule,
    span: Range<usize>,
    what: &str,
    found: &str,
    known: &[&str],
) {
    let mut finding = findings.push(rule, span, format!("unknown {what} {found:?}"));
    let nearest = known
        .iter()
        .map(|known| {
            (
                strsim::jaro_winkler(&found.to_lowercase(), &known.to_lowercase()),
                known,
            )
        })
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    match nearest {
        Some((_, nearest)) => finding.help(format!("did you mean {nearest:?}?")),
        None => finding.help(format!("known here: {}", known.join(", "))),
    };
}

fn say(findings: &mut Findings<'_>, wrong: Wrong, span: Range<usize>) {
    match wrong {
        Wrong::UnknownField { field, known } => {
            unknown(findings, Rule::UnknownField, span, "field", &field, known);
        }
        Wrong::UnknownVariant { found, known } => {
            unknown(findings, Rule::WrongType, span, "value", &found, known);
        }
        Wrong::MissingField(field) => {
            findings
                .push(
                    Rule::MissingField,
                    span,
                    format!("the field {field:?} is missing"),
                )
                .label(format!("{field} belongs here"))
                .help(format!("add {field}: quiescent schema says what it takes"));
        }
        Wrong::Type { found, expected } => {
            let text_expected = expected == "a string";
            let expected = match expected.as_str() {
                "i32" => "a whole number",
                "u8" => "a whole number from 0 to 255",
                "u16" => "a whole number from 0 to 65535",
                "a sequence" => "a list",
                "a map" => "a mapping",
                structure if structure.starts_with("struct ") => "a mapping",
                expected => expected,
            };
            let mut finding = findings.push(
                Rule::WrongType,
                span,
                format!("found {found} where {expected} belongs"),
            );
            if text_expected {
                finding.help("a number or yes/no that is meant as text needs quotes");
            }
        }
        Wrong::Value(message) => {
            // The only values that are judged while reading are durations.
            findings
                .push(Rule::BadDuration, span, message)
                .help("write a number and a unit, such as 30s, 5m or 1h30m");
        }
    }
}
