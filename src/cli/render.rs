//! `quiescent render`: the same policies as objects that do without the webhook.

use anstream::eprintln;
use serde_json::{Value, json};

use super::{Ended, SettingsArgs, output, policies::PolicyArgs};
use crate::render::{ALWAYS, Backstop, Rendered, admission_policy};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quiescent render admission-policy | kubectl apply -f -")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the policies as MutatingAdmissionPolicies, which the API server follows by itself
    ///
    /// Each policy becomes a MutatingAdmissionPolicy that writes the hooks and a
    /// ValidatingAdmissionPolicy that names a pod that ends up without, with a binding for each. They
    /// need Kubernetes 1.36, and no server of ours; the scripts come from `quiescent controller` or
    /// `quiescent scripts`. What an expression cannot say is told on standard error.
    #[command(after_help = "\
Examples:
  quiescent render admission-policy | kubectl apply -f -
  quiescent render admission-policy --mode opt-in --backstop deny
  quiescent render admission-policy --policies my-policy -o json")]
    AdmissionPolicy(AdmissionPolicy),
}

#[derive(Debug, clap::Args)]
struct AdmissionPolicy {
    #[command(flatten)]
    policies: PolicyArgs,
    #[command(flatten)]
    settings: SettingsArgs,
    /// What becomes of a pod that a policy selects and that has no hook in the end: warn or deny
    #[arg(long, value_name = "ACTION", default_value = "warn")]
    backstop: Action,
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Action {
    Warn,
    Deny,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let What::AdmissionPolicy(args) = &args.what;
    let policies = args.policies.load()?;
    let backstop = match args.backstop {
        Action::Warn => Backstop::Warn,
        Action::Deny => Backstop::Deny,
    };
    let rendered = admission_policy(&policies, &args.settings.settings(), backstop);
    say_losses(&rendered);
    let objects: Vec<Value> = rendered.into_iter().flat_map(|it| it.objects).collect();
    match args.output {
        Format::Yaml => {
            let documents: anyhow::Result<Vec<String>> = objects.iter().map(output::yaml).collect();
            output::print_raw(&documents?.join("---\n"))
        }
        Format::Json => output::print_raw(&output::json(&json!({
            "apiVersion": "v1",
            "kind": "List",
            "items": objects,
        }))),
    }
}

/// Each loss once, with the policies that have it.
fn say_losses(rendered: &[Rendered<'_>]) {
    let mut told = Vec::new();
    for loss in rendered.iter().flat_map(|it| &it.losses) {
        if told.contains(loss) {
            continue;
        }
        told.push(*loss);
        let losing = rendered.iter().filter(|it| it.losses.contains(loss));
        let names: Vec<&str> = losing.map(|it| &*it.policy.name).collect();
        let whose = if names.len() == rendered.len() {
            "all policies".to_owned()
        } else {
            names.join(", ")
        };
        eprintln!("lost: {loss}\n      {whose}");
    }
    for loss in ALWAYS {
        eprintln!("lost: {loss}");
    }
}
