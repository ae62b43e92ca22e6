//! `quiescent inject`: manifests in, manifests with hooks out.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Ended,
    input::{InputArgs, Manifest, Surroundings, title, unreadable},
    manifests::{Change, Format, Summary, items, print},
    policies::PolicyArgs,
};
use crate::{
    inject::{Injection, inject},
    patch::Patch,
    pod::PodView,
    policy::{Policy, PolicySet},
    report::Style,
    select::Facts,
    workload::{Place, places},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quiescent inject -f shop.yaml | kubectl apply -f -
  helm template shop ./chart | quiescent inject -f - -n shop
  quiescent inject --check -f manifests   in CI: 1 where hooks are missing
  quiescent inject -f shop.yaml -o patch  what the webhook would answer")]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    policies: PolicyArgs,
    /// What to print: the manifests, the same as one JSON List, or the JSON patches
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,
    /// Print no manifest, and exit with 1 when an object would change
    #[arg(long, conflicts_with = "output")]
    check: bool,
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
        would_change: Summary::default(),
        summary: Summary::default(),
    };
    let mut changes: Vec<Vec<Change>> = Vec::new();
    for manifest in &mut manifests {
        let documents = manifest.documents.iter_mut();
        changes.push(
            documents
                .map(|document| work.document(&manifest.name, &mut document.object))
                .collect(),
        );
    }
    if args.check {
        work.would_change.print();
        return Ok(match work.ended {
            Ended::Fine if !work.patches.is_empty() => Ended::Findings,
            ended => ended,
        });
    }
    work.forget_those_there(&manifests);
    let Work {
        ended,
        config_maps,
        patches,
        summary,
        ..
    } = work;
    let config_maps: Vec<Value> = config_maps.into_values().collect();
    print(
        args.output,
        &manifests,
        &changes,
        &config_maps,
        patches,
        summary,
    )?;
    Ok(ended)
}

struct Work<'w> {
    policies: &'w PolicySet,
    surroundings: &'w Surroundings,
    ended: Ended,
    /// By namespace and name.
    config_maps: BTreeMap<(Option<String>, String), Value>,
    patches: Vec<Value>,
    /// What `--check` says: changes, and what kept us from looking for them.
    would_change: Summary,
    summary: Summary,
}

impl Work<'_> {
    /// Gives the pods of a document their hooks, and says what was changed in it.
    fn document(&mut self, file: &str, document: &mut Value) -> Change {
        let mut patches: Vec<(String, Patch<'static>)> = Vec::new();
        for place in places(document) {
            let surroundings = self.surroundings;
            let facts = surroundings.facts(&place);
            let Some(pod) = document.pointer(&place.pointer) else {
                continue;
            };
            let text = pod.to_string();
            let view = match PodView::parse(&text) {
                Ok(view) => view,
                Err(error) => {
                    self.ended = Ended::Undone;
                    let problem = format!("in {file}: {}", unreadable(pod, &error));
                    let problem = Style::Bad.paint(problem);
                    self.would_change.say(title(&place, facts), problem.clone());
                    self.summary.say(title(&place, facts), problem);
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
            let patch = injection.patch(&view).into_owned();
            if patch.is_empty() {
                continue;
            }
            self.patches.push(json!({
                "kind": place.kind,
                "namespace": facts.namespace,
                "name": place.name,
                "patch": patch.to_json(&place.pointer),
            }));
            if let Err(error) = patch.apply(document, &place.pointer) {
                self.ended = Ended::Undone;
                let problem =
                    format!("in {file}: the patch does not apply, which is a bug: {error}");
                self.say(title(&place, facts), Style::Bad.paint(problem));
                continue;
            }
            patches.push((place.pointer, patch));
        }
        if patches.is_empty() {
            Change::None
        } else {
            Change::Patched(patches)
        }
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
        if plan.denied.is_some() {
            self.would_change.say(subject.clone(), text.clone());
        } else if !plan.is_empty() {
            let text = format!("would change: {text}");
            self.would_change.say(subject.clone(), text);
        }
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
        self.summary.say(subject, text);
    }

    fn add_scripts(&mut self, policy: &Policy, place: &Place, facts: Facts<'_>) {
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
            .insert((namespace, name.to_owned()), manifest)
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
                    self.summary.forget(&format!("/{name}"));
                }
            }
        }
    }
}
