//! Policies as objects of a cluster: the same text, the same parser, the same findings.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    Input, PARAMETER_PREFIX, Policy, ScriptFile,
    call::Call,
    file::{self, CLUSTER_KIND, HookPolicy, KIND},
    lint, parse,
};
use crate::{
    diagnostic::{Diagnostic, Findings, Severity, Source, any_error},
    yaml,
};

/// What is to be said of an object.
#[derive(Debug)]
pub struct Judged {
    /// Absent when there is an error in it.
    pub policy: Option<Policy>,
    /// The first error, or else the first warning.
    pub remark: Option<String>,
}

/// Reads an object as the file that says the same.
#[must_use]
pub fn judge(object: &Value) -> Judged {
    let text = pared(object).to_string();
    let metadata = &object["metadata"];
    let name = [&metadata["namespace"], &metadata["name"]];
    let name: Vec<&str> = name.into_iter().filter_map(Value::as_str).collect();
    let kind = object["kind"].as_str().unwrap_or_default();
    let (places, found) = parse(&Input {
        source: Arc::new(Source {
            name: format!("{kind} {}", name.join("/")),
            text,
        }),
        scripts: BTreeMap::new(),
    });
    let sound = !any_error(&found);
    let policy = places.into_iter().next().filter(|_| sound);
    Judged {
        policy: policy.map(|place| *place.policy),
        remark: remark(&found),
    }
}

/// A call that nothing stands in the way of.
pub struct Called {
    pub call: Call,
    pub warning: Option<String>,
}

/// Reads the call of a hook that stands at `path` of an object that is no policy.
///
/// # Errors
/// The first of what is wrong with it.
pub fn judge_call(object: &Value, path: &[&str], hook: &file::Hook) -> Result<Called, String> {
    let source = Arc::new(Source {
        name: String::new(),
        text: json!({"spec": object["spec"]}).to_string(),
    });
    let unreadable = || "it cannot be read".to_owned();
    let documents = yaml::parse(&source.text).map_err(|_| unreadable())?;
    let root = documents.iter().find_map(|it| it.root.as_ref());
    let root = root.ok_or_else(unreadable)?;
    let mut findings = Findings::new(&source);
    let call = lint::call(hook, root, path, &mut findings);
    let found = findings.into_diagnostics();
    let remark = remark(&found);
    match call.filter(|_| !any_error(&found)) {
        Some(call) => Ok(Called {
            call,
            warning: remark,
        }),
        None => Err(remark.unwrap_or_else(unreadable)),
    }
}

/// The first of the worst findings.
fn remark(found: &[Diagnostic]) -> Option<String> {
    let worst = found.iter().map(|it| it.severity).max();
    let remark = found.iter().find(|it| Some(it.severity) == worst);
    remark.map(sentence)
}

/// Code, place and what is wrong there. An object has no lines: its place is a path.
fn sentence(found: &Diagnostic) -> String {
    let documents = yaml::parse(&found.source.text).unwrap_or_default();
    let root = documents.first().and_then(|it| it.root.as_ref());
    let path = root.map(|root| root.path(&found.span)).unwrap_or_default();
    let mut text = format!("{} ", found.code);
    if found.severity == Severity::Warning {
        text.push_str("(warning) ");
    }
    if !path.is_empty() {
        let _ = write!(text, "at {path}: ");
    }
    text.push_str(&found.message);
    if let Some(help) = &found.help {
        let _ = write!(text, "; {help}");
    }
    text
}

/// What its author wrote, without what the API server and tools keep on it.
fn pared(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut kept = Map::new();
    for key in ["name", "namespace"] {
        if let Some(value) = metadata.get(key) {
            kept.insert(key.to_owned(), value.clone());
        }
    }
    if let Some(annotations) = metadata["annotations"].as_object() {
        let own = annotations.iter();
        let own = own.filter(|(key, _)| key.starts_with(PARAMETER_PREFIX));
        let own: Map<String, Value> = own.map(|(key, it)| (key.clone(), it.clone())).collect();
        kept.insert("annotations".to_owned(), own.into());
    }
    json!({
        "apiVersion": object["apiVersion"],
        "kind": object["kind"],
        "metadata": kept,
        "spec": object["spec"],
    })
}

/// The policies of a sound file as objects of a cluster, with their scripts inside: for all
/// namespaces, or for one.
#[must_use]
pub fn manifests(input: &Input, namespace: Option<&str>) -> Vec<Value> {
    let documents = yaml::parse(&input.source.text).unwrap_or_default();
    let roots = documents.iter().filter_map(|it| it.root.as_ref());
    let written = roots.filter_map(|root| yaml::decode::<HookPolicy>(root).ok());
    let objects = written.filter_map(|mut policy| {
        match namespace {
            Some(namespace) => {
                KIND.clone_into(&mut policy.kind);
                policy.metadata.namespace = Some(namespace.to_owned());
            }
            None if policy.metadata.namespace.is_none() => {
                CLUSTER_KIND.clone_into(&mut policy.kind);
            }
            None => {}
        }
        if policy.spec.script_files.is_empty() {
            let texts = input.scripts.iter().filter_map(|(name, file)| match file {
                ScriptFile::Text(text) => Some((name.clone(), text.clone())),
                ScriptFile::Binary | ScriptFile::Outside => None,
            });
            policy.spec.script_files = texts.collect();
        }
        serde_json::to_value(policy).ok()
    });
    objects.collect()
}

#[cfg(test)]
mod tests;
