//! `quiescent explain`: what happens to each pod, and why.

use serde_json::Value;

use super::{
    Ended,
    input::{InputArgs, title},
    output,
    policies::PolicyArgs,
};
use crate::{inject::explain, pod::PodView, report::explanation, workload::places};

#[derive(Debug, clap::Args)]
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
                let Some(pod) = document
                    .object
                    .pointer(&place.pointer)
                    .map(Value::to_string)
                else {
                    continue;
                };
                let title = title(&place, facts);
                let view = match PodView::parse(&pod) {
                    Ok(view) => view,
                    Err(error) => {
                        ended = Ended::Undone;
                        anstream::eprintln!(
                            "{title} in {}: this is not a pod that can be read: {error}",
                            manifest.name
                        );
                        continue;
                    }
                };
                let injection = explain(&policies, &view, facts);
                if injection.plan.denied.is_some() {
                    ended = ended.max(Ended::Findings);
                }
                match args.output {
                    Format::Text => texts.push(explanation::text(&title, &injection, &view, facts)),
                    Format::Json => values.push(explanation::value(
                        &place.kind,
                        &place.name,
                        &injection,
                        &view,
                        facts,
                    )),
                }
            }
        }
    }
    match args.output {
        Format::Json => output::print_raw(&output::json(&values.into()))?,
        Format::Text if texts.is_empty() && ended == Ended::Fine => {
            anstream::eprintln!("no pod and no pod template in there");
            return Ok(Ended::Fine);
        }
        Format::Text => output::print(&texts.join("\n"))?,
    };
    Ok(ended)
}
