//! `quiescent schema`: what a policy may say, for editors and for a cluster.

use super::{Ended, output};
use crate::{
    policy::{crd, file::HookPolicy},
    snapshot,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quiescent schema > hookpolicy.schema.json
  quiescent schema --crd | kubectl apply -f -
  quiescent schema --snapshot-crd | kubectl apply -f -")]
pub struct Args {
    /// Print the CustomResourceDefinitions of HookPolicy and ClusterHookPolicy instead
    #[arg(long)]
    crd: bool,
    /// Print those of ConsistentSnapshot and SnapshotHook
    #[arg(long, conflicts_with = "crd")]
    snapshot_crd: bool,
}

/// The JSON Schema of a policy file, as it stands in the tree too.
#[must_use]
fn text() -> String {
    let schema = schemars::schema_for!(HookPolicy);
    output::json(schema.as_value())
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let definitions = match args {
        Args { crd: true, .. } => crd::definitions(),
        Args {
            snapshot_crd: true, ..
        } => snapshot::crd::definitions(),
        Args { .. } => return output::print_raw(&text()),
    };
    let documents: anyhow::Result<Vec<String>> = definitions.iter().map(output::yaml).collect();
    output::print_raw(&documents?.join("---\n"))
}
