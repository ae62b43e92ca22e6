//! `quiescent render admission-policy`.

use anstream::eprintln;

use super::{Format, print};
use crate::{
    cli::{Ended, SettingsArgs, policies::PolicyArgs},
    render::{ALWAYS, Backstop, Rendered, admission_policy},
};

#[derive(Debug, clap::Args)]
pub struct Args {
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

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let policies = args.policies.load()?;
    let backstop = match args.backstop {
        Action::Warn => Backstop::Warn,
        Action::Deny => Backstop::Deny,
    };
    let rendered = admission_policy(&policies, &args.settings.settings(), backstop);
    say_losses(&rendered);
    let objects = rendered.into_iter().flat_map(|it| it.objects);
    print(args.output, "", &objects.collect::<Vec<_>>())
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
