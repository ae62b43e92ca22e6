//! `quiescent audit`: every database of a cluster or of manifests, and what its backup is worth.

pub mod cluster;
mod fold;
mod manifests;
mod table;
mod value;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::{Ended, OtherSettings, input::FileArgs, output, policies::PolicyArgs};
use crate::{
    audit::{Finding, Verdict},
    select::{Mode, Settings},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without a file the current cluster of kubectl is asked, which needs the right to list
pods; what else may not be listed is called unknown.

Examples:
  quiescent audit -f shop.yaml
  quiescent audit manifests -o wide
  kubectl get pods -A -o yaml | quiescent audit -f - -o json")]
pub struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// One namespace alone; with manifests, that of objects that name none
    #[arg(short, long, value_name = "NAMESPACE", value_parser = namespace)]
    namespace: Option<String>,
    /// All namespaces, which is the default
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Only pods with these labels, as kubectl takes them
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with_all = ["filenames", "positional"])]
    selector: Option<String>,
    /// The kubeconfig to use, else KUBECONFIG, else ~/.kube/config
    #[arg(long, value_name = "FILE", conflicts_with_all = ["filenames", "positional"])]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use
    #[arg(long, value_name = "NAME", conflicts_with_all = ["filenames", "positional"])]
    context: Option<String>,
    #[command(flatten)]
    policies: PolicyArgs,
    /// Which pods are considered when neither they nor their namespace have the label
    /// quiescent.dev/inject: in a cluster opt-in by default, as the webhook is registered; for
    /// manifests opt-out
    #[arg(long, value_name = "MODE", env = "QUIESCENT_MODE",
        value_parser = PossibleValuesParser::new(["opt-in", "opt-out"]).try_map(|it| it.parse::<Mode>()))]
    mode: Option<Mode>,
    #[command(flatten)]
    others: OtherSettings,
    /// What is printed: a table, a table with everything, or all of it for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Wide,
    Json,
    Yaml,
}

pub fn namespace(text: &str) -> Result<String, String> {
    crate::policy::name::is_dns_label(text)
        .then(|| text.to_owned())
        .ok_or_else(|| format!("{text:?} cannot be a namespace's name"))
}

/// What a look at all pods led to.
#[derive(Debug, Default)]
struct Audited {
    findings: Vec<Finding>,
    /// What could not be seen, and what that means.
    notes: Vec<String>,
    /// Pods that could not be read, and why.
    unreadable: Vec<String>,
}

/// How wide a table is where nobody knows how wide it is shown.
const WIDTH: usize = 120;

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let policies = args.policies.load()?;
    let mut audited = if args.files.is_empty() {
        cluster::audit(args, &policies)?
    } else {
        manifests::audit(args, &policies)?
    };
    fold::sort(&mut audited.findings);
    let Audited {
        findings,
        notes,
        unreadable,
    } = &audited;
    match args.output {
        Format::Table | Format::Wide if findings.is_empty() => {
            anstream::eprintln!("no pod looks like a database");
        }
        Format::Table => {
            let width = output::terminal().unwrap_or(WIDTH);
            output::print(&table::text(findings, Some(width)))?;
        }
        Format::Wide => {
            output::print(&table::text(findings, None))?;
        }
        Format::Json => {
            output::print_raw(&output::json(&value::value(&audited)))?;
        }
        Format::Yaml => {
            output::print_raw(&output::yaml(&value::value(&audited))?)?;
        }
    }
    for line in notes.iter().chain(unreadable) {
        anstream::eprintln!("{line}");
    }
    Ok(if !unreadable.is_empty() {
        Ended::Undone
    } else if findings.iter().any(|it| it.verdict().is_bad()) {
        Ended::Findings
    } else {
        Ended::Fine
    })
}

impl Args {
    fn settings(&self, mode: Mode) -> Settings {
        self.others.settings(self.mode.unwrap_or(mode))
    }
}

/// How many findings come to each verdict.
fn counts(findings: &[Finding]) -> [(Verdict, usize); 5] {
    Verdict::ALL.map(|verdict| {
        let of = findings.iter().filter(|it| it.verdict() == verdict);
        (verdict, of.count())
    })
}
