//! `quiescent test`: the hooks of a backup on live pods, as Velero would run them, and always undone.

mod backup;
mod pods;
pub mod text;
pub mod value;

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, bail};

use super::{
    Ended, OtherSettings, block_on, cluster::ClusterArgs, output, policies::PolicyArgs, results,
};
use crate::{
    live::{Live, Subject, Target},
    shutdown,
    trial::{Hook, Tried, Verdict, word},
    velero::Timeout,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What runs is what the pod's annotations say, which is what Velero would run. The
post hook runs whatever became of the pre hook, and when you press Ctrl-C too.
It needs the rights to get and list pods, and to exec into them.

Examples:
  quiescent test -n shop pod/pg-0
  quiescent test -n shop statefulset/pg --all --hold 30s
  quiescent test -n shop -l app=pg -o json
  quiescent test -n shop pod/pg-0 --backup")]
pub struct Args {
    /// pod/NAME, or statefulset/NAME, deployment/NAME, daemonset/NAME for a pod of it
    #[arg(
        value_name = "TARGET",
        required_unless_present = "selector",
        conflicts_with = "selector"
    )]
    target: Option<Target>,
    /// The namespace of the pods, else that of the kubeconfig
    #[arg(short, long, value_name = "NAMESPACE", env = "QUIESCENT_NAMESPACE")]
    namespace: Option<String>,
    /// A pod with these labels, as kubectl takes them
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// All running pods that are meant, one after the other, and not only the first
    #[arg(long)]
    all: bool,
    /// How long to wait between pre and post, as a backup does while it takes the volumes
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    hold: Timeout,
    /// Run the hooks that this policy would give the pod, not those that it has
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// When all hooks work, have Velero back these pods up, and show what became of that
    #[arg(long, conflicts_with = "policy")]
    backup: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    policies: PolicyArgs,
    #[command(flatten)]
    others: OtherSettings,
    /// What is printed: text, or all of it for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// On a terminal, what is going on.
pub fn progress(subject: &Subject, hook: &Hook) {
    if io::stderr().is_terminal() {
        let (what, pod, most) = (word(hook.phase()), subject.title(), hook.timeout());
        anstream::eprintln!("{pod}: {what} runs, for {most} at most");
    }
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    block_on(test(args))
}

async fn test(args: &Args) -> anyhow::Result<Ended> {
    let client = args.cluster.client().await?;
    let shutdown = shutdown::on_signals().context("failed to listen for signals")?;
    let (subjects, mut notes) = pods::subjects(&client, args).await?;
    for note in &notes {
        anstream::eprintln!("{note}");
    }
    let live = Live {
        client: &client,
        shutdown: &shutdown,
        hold: args.hold.to_std(),
        tell: progress,
    };
    let mut tried = Vec::new();
    for subject in subjects {
        if shutdown.is_draining() {
            break;
        }
        let outcome = live.trial(&subject).await?;
        if args.output == Format::Text {
            output::print_folded(&text::text(&subject, &outcome))?;
        }
        tried.push((subject, outcome));
    }
    if tried.is_empty() {
        bail!("stopped before the first hook");
    }
    let mut worst = ended(&tried);
    let mut backup = None;
    if args.backup && worst == Ended::Fine {
        let subjects: Vec<&Subject> = tried.iter().map(|(subject, _)| subject).collect();
        let made =
            backup::made(&live, &args.others.velero_namespace, &subjects, &mut notes).await?;
        if args.output == Format::Text {
            output::print_folded(&results::text(&made))?;
        }
        if !made.is_good() || made.phase != "Completed" {
            worst = Ended::Findings;
        }
        backup = Some(made);
    } else if args.backup {
        let note = "no backup was made, because not all hooks work";
        anstream::eprintln!("{note}");
        notes.push(note.to_owned());
    }
    if args.output == Format::Json {
        output::print_raw(&output::json(&value::value(
            &tried,
            backup.as_ref(),
            &notes,
        )))?;
    }
    Ok(worst)
}

/// How bad the worst was.
fn ended(tried: &[(Subject, Tried)]) -> Ended {
    let each = tried.iter().map(|(_, tried)| match tried.verdict() {
        Verdict::Works => Ended::Fine,
        Verdict::Fails | Verdict::NotUndone | Verdict::NoHooks => Ended::Findings,
        Verdict::Stopped => Ended::Undone,
    });
    each.max().unwrap_or(Ended::Undone)
}
