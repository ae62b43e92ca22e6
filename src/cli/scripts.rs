//! `quiescent scripts`: the ConfigMaps that hooks need, for one namespace.

use serde_json::{Value, json};

use super::{Ended, output, policies::PolicyArgs};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: quiescent scripts -n shop | kubectl apply -f -")]
#[command(after_help = "\
Examples:
  quiescent scripts -n shop | kubectl apply -f -
  quiescent scripts -n shop --policies my-policy -o json")]
pub struct Args {
    /// The namespace whose pods will use them; the current one of kubectl when absent
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    #[command(flatten)]
    policies: PolicyArgs,
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let policies = args.policies.load()?;
    let namespace = args.namespace.as_deref();
    let manifests: Vec<Value> = policies
        .iter()
        .filter_map(|policy| policy.config_map_manifest(namespace))
        .collect();
    match args.output {
        Format::Yaml => {
            let documents: anyhow::Result<Vec<String>> =
                manifests.iter().map(output::yaml).collect();
            output::print_raw(&documents?.join("---\n"))
        }
        Format::Json => output::print_raw(&output::json(&json!({
            "apiVersion": "v1",
            "kind": "List",
            "items": manifests,
        }))),
    }
}
