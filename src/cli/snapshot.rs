//! `quiescent snapshot`: CSI snapshots of claims while the hooks of their pods hold.

pub mod asked;
mod restore;
mod text;
mod value;

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{self, Instant};

use self::asked::AskedArgs;
use super::{Ended, block_on, cluster::ClusterArgs, output, policies::PolicyArgs, test::progress};
use crate::{
    shutdown,
    snapshot::{Snapshot, Verdict},
    snapshotter::{Busy, Drive, Lock, Plan, Unkept, backed_up, forget},
    velero::Timeout,
};

/// So often a claim is asked for again that somebody else has.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The pre hooks of the pods that mount the claims run as Velero would run them, all
snapshots are made at once, and the post hooks run as soon as the last one is cut.
They run after a failure, a timeout and Ctrl-C too.

Exit codes: 0 consistent, 1 taken and not consistent, 2 nothing taken.

Examples:
  quiescent snapshot -n shop pod/pg-0
  quiescent snapshot -n shop pvc/data-pg-0 --snapshot-class fast --keep 7
  quiescent snapshot -n shop -l app=pg -o json
  quiescent snapshot restore -n shop data-pg-0-20260131-020000")]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    also: Option<Also>,
    #[command(flatten)]
    asked: AskedArgs,
    /// The namespace of the claims, else that of the kubeconfig
    #[arg(short, long, value_name = "NAMESPACE", env = "QUIESCENT_NAMESPACE")]
    namespace: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    policies: PolicyArgs,
    /// What is printed: text, or all of it for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Also {
    /// Make a claim from a snapshot, or find out whether a server starts on it
    ///
    /// The claim is as the one that the snapshot was taken of, where that is still there. A snapshot
    /// that is not consistent is not restored without --unusable-too. With --verify no claim is
    /// left: the pod starts on copies in a namespace of its own that reaches nobody, the policy's
    /// check runs in it, and all of it is taken away, whatever happens.
    #[command(after_help = "\
Exit codes: 0 restored, or sound; 1 no volume in time, or not sound; 2 it could not be done.

Examples:
  quiescent snapshot restore -n shop data-pg-0-20260131-020000
  quiescent snapshot restore -n shop data-pg-0-20260131-020000 --to data-pg-new-0
  quiescent snapshot restore -n shop --set pg-20260131-020000-0a1b2 --verify")]
    Restore(restore::Args),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    match &args.also {
        Some(Also::Restore(args)) => restore::run(args),
        None => block_on(snapshot(args)),
    }
}

async fn snapshot(args: &Args) -> anyhow::Result<Ended> {
    let client = args.cluster.client().await?;
    let shutdown = shutdown::on_signals().context("failed to listen for signals")?;
    let wanted = args.asked.wanted(args.namespace.as_deref());
    let policies = if args.asked.without_hooks {
        None
    } else {
        Some(args.policies.load()?)
    };
    let until = Instant::now() + args.asked.wait.map_or(Duration::ZERO, Timeout::to_std);
    let mut is_said = false;
    let (plan, mut snapshot, lock) = loop {
        let plan = Plan::make(&client, wanted, policies.as_ref().map(|it| it.with(&[]))).await?;
        let members = plan.members.iter();
        let members = members.map(|it| (it.title(), it.hooks.clone())).collect();
        let snapshot = Snapshot::new(args.asked.terms(), members, plan.claims.len());
        let busy = match backed_up(&client, &plan).await? {
            Some(backup) => backup.into(),
            None => match Lock::take(&client, &plan).await {
                Ok(lock) => break (plan, snapshot, lock),
                Err(error) if error.is::<Busy>() => error,
                Err(error) => return Err(error),
            },
        };
        if Instant::now() >= until {
            return Err(busy.context("nothing was done; --wait 10m waits for others"));
        }
        if !is_said {
            anstream::eprintln!("{busy}: waiting");
            is_said = true;
        }
        tokio::select! {
            () = time::sleep(AGAIN) => {}
            () = shutdown.draining() => anyhow::bail!("stopped while it waited: {busy}"),
        }
    };
    for note in &plan.notes {
        anstream::eprintln!("{note}");
    }
    let mut drive = Drive::new(&client, &shutdown, &plan, lock, progress).await?;
    let times = drive.until_done(&mut snapshot, &Unkept).await?;
    let mut notes = plan.notes.clone();
    notes.extend(snapshot.notes());
    if let Some(keep) = args.asked.keep
        && snapshot.verdict().is_good()
    {
        let told = forget(&client, &plan, keep as usize).await;
        notes.push(told.unwrap_or_else(|error| format!("nothing older was deleted: {error:#}")));
    }
    match args.output {
        Format::Text => output::print_folded(&text::text(
            &plan,
            &snapshot,
            times,
            &notes[plan.notes.len()..],
        ))?,
        Format::Json => output::print_raw(&output::json(&value::value(
            &plan, &snapshot, times, &notes,
        )))?,
    };
    Ok(match snapshot.verdict() {
        Verdict::Consistent | Verdict::CrashConsistent => Ended::Fine,
        Verdict::Unusable | Verdict::Deleted | Verdict::NotReady => Ended::Findings,
        Verdict::Undone | Verdict::Stopped | Verdict::NotUndone => Ended::Undone,
    })
}
