//! `quiescent explain`: what happens to each pod, and why.

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
    report::explanation,
    workload::{self, places},
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
    for manifest in args.input.read()? {
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
                if injection.plan.denied.is_some() {
                    ended = ended.max(Ended::Findings);
                }
                match args.output {
                    Format::Text => {
                        texts.push(explanation::text(&title, &injection, &view, &spread, facts));
                    }
                    Format::Json => values.push(explanation::value(
                        &place.kind,
                        &place.name,
                        &injection,
                        &view,
                        &spread,
                        facts,
                    )),
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
