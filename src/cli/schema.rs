//! `quiescent schema`: what a policy may say, for editors and for a cluster.

use super::{Ended, output};
use crate::policy::{crd, file::HookPolicy};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quiescent schema > hookpolicy.schema.json
  quiescent schema --crd | kubectl apply -f -")]
pub struct Args {
    /// Print the CustomResourceDefinitions of HookPolicy and ClusterHookPolicy instead
    #[arg(long)]
    crd: bool,
}

/// The JSON Schema of a policy file, as it stands in the tree too.
#[must_use]
fn text() -> String {
    let schema = schemars::schema_for!(HookPolicy);
    output::json(schema.as_value())
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let Args { crd } = args;
    if !crd {
        return output::print_raw(&text());
    }
    let documents: anyhow::Result<Vec<String>> =
        crd::definitions().iter().map(output::yaml).collect();
    output::print_raw(&documents?.join("---\n"))
}
