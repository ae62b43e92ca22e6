//! `quiescent inject`: manifests in, manifests with hooks out.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Ended,
    input::{InputArgs, Manifest, Surroundings, title},
    output,
    policies::PolicyArgs,
};
use crate::{
    inject::{Injection, inject},
    pod::PodView,
    policy::{Policy, PolicySet},
    report::Style,
    select::Facts,
    workload::{Place, places},
};

/// The widest first column of the summary that still is a column.
const COLUMN: usize = 40;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    policies: PolicyArgs,
    /// What to print: the manifests, the same as one JSON List, or the JSON patches
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Yaml,
    Json,
    Patch,
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let policies = args.policies.load()?;
    let surroundings = args.input.surroundings();
    let mut manifests = args.input.read()?;
    let mut work = Work {
        policies: &policies,
        surroundings: &surroundings,
        ended: Ended::Fine,
        config_maps: BTreeMap::new(),
        patches: Vec::new(),
        summary: Vec::new(),
    };
    let mut changed: Vec<Vec<bool>> = Vec::new();
    for manifest in &mut manifests {
        let documents = manifest.documents.iter_mut();
        changed.push(
            documents
                .map(|document| work.document(&manifest.name, &mut document.object))
                .collect(),
        );
    }
    work.forget_those_there(&manifests);
    let text = match args.output {
        Format::Yaml => yaml(&manifests, &changed, work.config_maps.values())?,
        Format::Json => output::json(&list(&manifests, work.config_maps.values())),
        Format::Patch => output::json(&Value::from(work.patches.clone())),
    };
    output::print_raw(&text)?;
    for (subject, text) in &work.summary {
        anstream::eprintln!("{subject:<COLUMN$} {text}");
    }
    Ok(work.ended)
}

struct Work<'w> {
    policies: &'w PolicySet,
    surroundings: &'w Surroundings,
    ended: Ended,
    /// By namespace and name.
    config_maps: BTreeMap<(Option<String>, String), Value>,
    patches: Vec<Value>,
    summary: Vec<(String, String)>,
}

impl<'w> Work<'w> {
    /// Gives the pods of a document their hooks, and says whether any of them changed.
    fn document(&mut self, file: &str, document: &mut Value) -> bool {
        let mut changed = false;
        for place in places(document) {
            let surroundings = self.surroundings;
            let facts = surroundings.facts(&place);
            let Some(pod) = document.pointer(&place.pointer).map(Value::to_string) else {
                continue;
            };
            let view = match PodView::parse(&pod) {
                Ok(view) => view,
                Err(error) => {
                    self.ended = Ended::Undone;
                    let problem = format!("in {file}: this is not a pod that can be read: {error}");
                    self.say(title(&place, facts), Style::Bad.paint(problem));
                    continue;
                }
            };
            let injection = inject(self.policies, &view, facts);
            self.describe(&place, facts, &injection);
            if injection.plan.denied.is_some() {
                self.ended = self.ended.max(Ended::Findings);
            }
            for applied in &injection.plan.applied {
                self.add_scripts(applied.policy, &place, facts);
            }
            if injection.patch.is_empty() {
                continue;
            }
            self.patches.push(json!({
                "kind": place.kind,
                "namespace": facts.namespace,
                "name": place.name,
                "patch": injection.patch.to_json(&place.pointer),
            }));
            if let Err(error) = injection.patch.apply(document, &place.pointer) {
                self.ended = Ended::Undone;
                let problem =
                    format!("in {file}: the patch does not apply, which is a bug: {error}");
                self.say(title(&place, facts), Style::Bad.paint(problem));
                continue;
            }
            changed = true;
        }
        changed
    }

    fn describe(&mut self, place: &Place, facts: Facts<'_>, injection: &Injection<'_>) {
        let plan = &injection.plan;
        let applied = plan.applied.iter();
        let applied: Vec<String> = applied
            .map(|it| format!("{} → container {}", it.policy.name, it.container))
            .collect();
        let text = match injection.reason() {
            None if plan.is_empty() => format!("unchanged: {}", applied.join(", ")),
            None => Style::Good.paint(applied.join(", ")),
            Some(reason) if plan.denied.is_some() => Style::Bad.paint(format!("refused: {reason}")),
            Some(reason) => format!("nothing to do: {reason}"),
        };
        let subject = title(place, facts);
        self.say(subject.clone(), text);
        if !place.known {
            self.say(
                subject,
                "taken for a pod template because of its /spec/template".to_owned(),
            );
        }
        for (policy, reason) in &plan.passed {
            self.say(
                String::new(),
                format!("{} not applied: {reason}", policy.name),
            );
        }
        for note in &plan.notes {
            self.say(
                String::new(),
                format!("{} left alone: {}", note.subject, note.reason),
            );
        }
    }

    fn say(&mut self, subject: String, text: String) {
        self.summary.push((subject, text));
    }

    fn add_scripts(&mut self, policy: &'w Policy, place: &Place, facts: Facts<'_>) {
        let namespace = place
            .namespace
            .clone()
            .or_else(|| self.surroundings.namespace.clone());
        let (Some(name), Some(manifest)) = (
            policy.config_map(),
            policy.config_map_manifest(namespace.as_deref()),
        ) else {
            return;
        };
        let files = policy.scripts.files().len();
        let subject = format!("ConfigMap {}/{name}", facts.namespace);
        if self
            .config_maps
            .insert((namespace, name), manifest)
            .is_none()
        {
            self.say(subject, format!("added ({files} scripts)"));
        }
    }

    /// What was injected before has its ConfigMaps with it.
    fn forget_those_there(&mut self, manifests: &[Manifest]) {
        let objects = manifests.iter().flat_map(|manifest| &manifest.documents);
        for document in objects.flat_map(|document| items(&document.object)) {
            let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
            if text("/kind") == Some("ConfigMap") {
                let namespace = text("/metadata/namespace").map(str::to_owned);
                let name = text("/metadata/name").unwrap_or_default().to_owned();
                if self
                    .config_maps
                    .remove(&(namespace, name.clone()))
                    .is_some()
                {
                    self.summary
                        .retain(|(subject, _)| !subject.ends_with(&format!("/{name}")));
                }
            }
        }
    }
}

/// The items of a List, or the object itself.
fn items(object: &Value) -> Vec<&Value> {
    match object.get("items").and_then(Value::as_array) {
        Some(items) => items.iter().flat_map(self::items).collect(),
        None => vec![object],
    }
}

fn list<'v>(manifests: &'v [Manifest], config_maps: impl Iterator<Item = &'v Value>) -> Value {
    let documents = manifests.iter().flat_map(|manifest| &manifest.documents);
    let objects = documents.flat_map(|document| items(&document.object));
    let objects = objects.filter(|object| !object.is_null());
    json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": objects.chain(config_maps).collect::<Vec<_>>(),
    })
}

/// Documents without a change as they were written, the others written anew.
fn yaml<'v>(
    manifests: &[Manifest],
    changed: &[Vec<bool>],
    config_maps: impl Iterator<Item = &'v Value>,
) -> anyhow::Result<String> {
    let mut text = String::new();
    for (manifest, changed) in manifests.iter().zip(changed) {
        let mut whole = false;
        for (document, changed) in manifest.documents.iter().zip(changed) {
            let written = &manifest.text[document.range.clone()];
            if !changed && whole {
                // Neighbours are kept apart by what their author wrote between them.
                text.push_str(written);
            } else if !changed {
                append(&mut text, written);
            } else if written.trim_start().starts_with('{') {
                append(&mut text, &output::json(&document.object));
            } else {
                if written.starts_with("---") {
                    append(&mut text, "---\n");
                }
                append(&mut text, &output::yaml(&document.object)?);
            }
            whole = !changed;
        }
    }
    for config_map in config_maps {
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
