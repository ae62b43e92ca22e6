//! `quiescent explain`: what happens to each pod, and why.

use serde_json::Value;

use super::{
    Ended,
    input::{InputArgs, title, unreadable},
    output,
    policies::PolicyArgs,
};
use crate::{
    inject::explain,
    pod::PodView,
    recognise::spread,
    report::explanation::{self, OfClaim},
    select::Facts,
    snapshot::{
        claims,
        resource::{HOOK, Named, Said, said},
    },
    workload::{self, Place, places},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quiescent explain -f shop.yaml
  helm template shop ./chart | quiescent explain -f - -n shop
  quiescent explain shop.yaml --namespace-labels quiescent.dev/method=snapshot
  quiescent explain shop.yaml --policies my-policy -o json")]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    policies: PolicyArgs,
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let policies = args.policies.load()?;
    let surroundings = args.input.surroundings();
    let mut texts = Vec::new();
    let mut values = Vec::new();
    let mut ended = Ended::Fine;
    let manifests = args.input.read()?;
    let mut hooks = Vec::new();
    for document in manifests.iter().flat_map(|it| &it.documents) {
        if document.object["kind"] == HOOK {
            match Named::of(&document.object) {
                Ok(named) => {
                    if let Err(why) = &named.hooks {
                        ended = Ended::Undone;
                        anstream::eprintln!("{why}");
                    }
                    hooks.push((document.object["metadata"]["namespace"].clone(), named));
                }
                Err(why) => {
                    ended = Ended::Undone;
                    anstream::eprintln!("{why}");
                }
            }
        }
    }
    for manifest in manifests {
        for document in &manifest.documents {
            for place in places(&document.object) {
                let facts = surroundings.facts(&place);
                let Some(pod) = document.object.pointer(&place.pointer) else {
                    continue;
                };
                let text = pod.to_string();
                let title = title(&place, facts);
                let view = match PodView::parse(&text) {
                    Ok(view) => view,
                    Err(error) => {
                        ended = Ended::Undone;
                        anstream::eprintln!(
                            "{title} in {}: {}",
                            manifest.name,
                            unreadable(pod, &error)
                        );
                        continue;
                    }
                };
                let injection = explain(&policies, &view, facts);
                let whole = workload::pod(&document.object, &place);
                let spread = whole.and_then(|pod| spread(&pod.to_string()).ok());
                let spread = spread.unwrap_or_default();
                let of_claim = of_claims(&hooks, &document.object, &place, facts);
                if matches!(of_claim, Some(OfClaim::Refused(_))) {
                    ended = ended.max(Ended::Findings);
                }
                if injection.plan.denied.is_some() {
                    ended = ended.max(Ended::Findings);
                }
                match args.output {
                    Format::Text => {
                        let mut text = explanation::text(&title, &injection, &view, &spread, facts);
                        text.extend(of_claim.iter().map(OfClaim::text));
                        texts.push(text);
                    }
                    Format::Json => {
                        let mut value = explanation::value(
                            &place.kind,
                            &place.name,
                            &injection,
                            &view,
                            &spread,
                            facts,
                        );
                        if let Some(of_claim) = of_claim {
                            value["snapshotHook"] = of_claim.value();
                        }
                        values.push(value);
                    }
                }
            }
        }
    }
    match args.output {
        Format::Json => output::print_raw(&output::json(&values.into()))?,
        Format::Text if texts.is_empty() && ended == Ended::Fine => {
            anstream::eprintln!("no pod and no pod template to explain");
            return Ok(Ended::Fine);
        }
        Format::Text => output::print_folded(&texts.join("\n"))?,
    };
    Ok(ended)
}

/// What SnapshotHooks, each with its namespace, mean for the pods of a place.
fn of_claims(
    hooks: &[(Value, Named)],
    document: &Value,
    place: &Place,
    facts: Facts<'_>,
) -> Option<OfClaim> {
    let pod = workload::pod(document, place)?;
    let here = |namespace: &Value| namespace.is_null() || *namespace == facts.namespace;
    let here = hooks.iter().filter(|(namespace, _)| here(namespace));
    let all: Vec<Named> = here.map(|(_, named)| named.clone()).collect();
    let mounted = claims(&pod);
    let mounts = |target: &str| mounted.iter().any(|(claim, _)| is_of(claim, place, target));
    let targets = all.iter().map(|it| it.claim.as_str());
    let targets: Vec<&str> = targets.filter(|it| mounts(it)).collect();
    let named = |named: &Named| (named.name.clone(), named.claim.clone());
    match said(&all, &pod, &targets) {
        Ok(Said::Nothing) => None,
        Ok(Said::Hooks { named: it, .. }) => {
            let (name, claim) = named(it);
            Some(OfClaim::Runs { name, claim })
        }
        Ok(Said::AnotherPod(it)) => {
            let (name, claim) = named(it);
            Some(OfClaim::Elsewhere { name, claim })
        }
        Err(why) => Some(OfClaim::Refused(why)),
    }
}

/// Whether a claim, as a pod or a template of a StatefulSet has it, is this one.
fn is_of(claim: &str, place: &Place, target: &str) -> bool {
    let ordinal = || {
        let rest = target.strip_prefix(claim)?.strip_prefix('-')?;
        rest.strip_prefix(&*place.name)?.strip_prefix('-')
    };
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    claim == target || (place.kind == "StatefulSet" && ordinal().is_some_and(is_number))
}
