//! `quiescent uninject`: manifests with hooks in, manifests without ours out.

use serde_json::{Value, json};

use super::{
    Ended,
    input::{InputArgs, Surroundings, title, unreadable},
    manifests::{Change, Format, Summary, print},
    policies::PolicyArgs,
};
use crate::{
    patch::Patch,
    pod::PodView,
    policy::{PolicySet, is_scripts_config_map},
    report::Style,
    select::Facts,
    uninject::{Uninjection, uninject},
    workload::{Place, places},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quiescent uninject -f injected.yaml > shop.yaml
  kubectl get sts pg -o yaml | quiescent uninject - | kubectl apply -f -
  quiescent uninject -f injected.yaml -o patch  what would be taken out

What an author's hook was composed into goes back to that hook; a hook that a policy \
with onConflict: Override replaced is nowhere, and cannot come back.")]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    policies: PolicyArgs,
    /// What to print: the manifests, the same as one JSON List, or the JSON patches
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let policies = args.policies.load()?;
    let surroundings = args.input.surroundings();
    let mut manifests = args.input.read()?;
    let mut work = Work {
        policies: &policies,
        surroundings: &surroundings,
        ended: Ended::Fine,
        patches: Vec::new(),
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
    let Work {
        ended,
        patches,
        summary,
        ..
    } = work;
    print(args.output, &manifests, &changes, &[], patches, summary)?;
    Ok(ended)
}

struct Work<'w> {
    policies: &'w PolicySet,
    surroundings: &'w Surroundings,
    ended: Ended,
    patches: Vec<Value>,
    summary: Summary,
}

impl Work<'_> {
    fn document(&mut self, file: &str, document: &mut Value) -> Change {
        if is_scripts_config_map(document) {
            self.drop_scripts(document);
            return Change::Dropped;
        }
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
                    self.summary
                        .say(title(&place, facts), Style::Bad.paint(problem));
                    continue;
                }
            };
            let uninjection = uninject(self.policies, pod, &view, facts);
            self.describe(&place, facts, &uninjection);
            let patch = uninjection.patch;
            if patch.is_empty() {
                continue;
            }
            self.patches.push(json!({
                "kind": place.kind,
                "namespace": facts.namespace,
                "name": place.name,
                "patch": patch.to_json(&place.pointer),
            }));
            patch
                .apply(document, &place.pointer)
                .expect("what was found in the pod can be taken out");
            patches.push((place.pointer, patch));
        }
        if let Some(patch) = self.drop_items(document) {
            patch
                .apply(document, "")
                .expect("items that were found can be taken out");
            patches.push((String::new(), patch));
        }
        if patches.is_empty() {
            Change::None
        } else {
            Change::Patched(patches)
        }
    }

    fn describe(&mut self, place: &Place, facts: Facts<'_>, uninjection: &Uninjection) {
        let withdrawal = &uninjection.withdrawal;
        let text = if withdrawal.policies.is_empty() {
            "nothing to do: no policy was injected".to_owned()
        } else {
            Style::Good.paint(format!("{} taken out", withdrawal.policies.join(", ")))
        };
        self.summary.say(title(place, facts), text);
        for kept in &withdrawal.kept {
            self.summary.say(String::new(), kept.to_string());
        }
    }

    fn drop_scripts(&mut self, object: &Value) {
        let metadata = &object["metadata"];
        let namespace = metadata["namespace"].as_str();
        let namespace = namespace.or(self.surroundings.namespace.as_deref());
        let namespace = namespace.unwrap_or("default");
        let name = metadata["name"].as_str().unwrap_or_default();
        let subject = format!("ConfigMap {namespace}/{name}");
        self.summary.say(subject, "left out".to_owned());
    }

    /// The patch that takes our ConfigMaps out of a List.
    fn drop_items(&mut self, document: &Value) -> Option<Patch<'static>> {
        let items = document.get("items").and_then(Value::as_array)?;
        let positions = (0..items.len()).rev();
        let ours: Vec<usize> = positions
            .filter(|position| is_scripts_config_map(&items[*position]))
            .collect();
        for position in &ours {
            self.drop_scripts(&items[*position]);
        }
        (!ours.is_empty()).then(|| Patch::without_items(&ours))
    }
}
