//! `quiescent snapshot`: CSI snapshots of claims while the hooks of their pods hold.

mod text;
mod value;

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use tokio::time::{self, Instant};

use super::{Ended, block_on, output, policies::PolicyArgs, test::progress};
use crate::{
    kubernetes, shutdown,
    snapshot::{Snapshot, Terms, Verdict},
    snapshotter::{Busy, Drive, Grouping, Lock, Plan, Target, Wanted, forget},
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
  quiescent snapshot -n shop -l app=pg -o json")]
pub struct Args {
    /// pod/NAME, pvc/NAME, or statefulset/NAME, deployment/NAME, daemonset/NAME for all its pods
    #[arg(
        value_name = "TARGET",
        required_unless_present = "selector",
        conflicts_with = "selector"
    )]
    target: Option<Target>,
    /// The namespace of the claims, else that of the kubeconfig
    #[arg(short, long, value_name = "NAMESPACE", env = "QUIESCENT_NAMESPACE")]
    namespace: Option<String>,
    /// All running pods with these labels, as kubectl takes them
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// The VolumeSnapshotClass, else the default one of the driver of each claim
    #[arg(long, value_name = "NAME")]
    snapshot_class: Option<String>,
    /// Whether claims of one driver are cut in one moment, as a VolumeGroupSnapshot
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    group: When,
    /// How long to wait until all is cut, while pods may be held
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    cut_timeout: Timeout,
    /// How long to wait until the snapshots can be restored; nothing is held then
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    timeout: Timeout,
    /// How far the clock of the storage may be from that of the API server
    #[arg(long, value_name = "DURATION", default_value = "2s")]
    skew: Timeout,
    /// How long to wait for another snapshot of the same claims; without it, not at all
    #[arg(long, value_name = "DURATION")]
    wait: Option<Timeout>,
    /// Run no hooks: what is taken is as after a power cut, and labelled so
    #[arg(long)]
    without_hooks: bool,
    /// Delete snapshots that are not consistent, in place of labelling them
    #[arg(long)]
    delete_unusable: bool,
    /// After success, delete what is older than the newest N consistent ones of the same target
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// The kubeconfig to use, else KUBECONFIG, else ~/.kube/config
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    #[command(flatten)]
    policies: PolicyArgs,
    /// What is printed: text, or all of it for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum When {
    /// Where the driver, the cluster and our rights let it be done
    Auto,
    /// Or nothing is done
    Always,
    Never,
}

impl From<When> for Grouping {
    fn from(when: When) -> Self {
        match when {
            When::Auto => Self::Auto,
            When::Always => Self::Always,
            When::Never => Self::Never,
        }
    }
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    block_on(snapshot(args))
}

async fn snapshot(args: &Args) -> anyhow::Result<Ended> {
    let client = kubernetes::current_client_that_asks_once(
        args.kubeconfig.as_deref(),
        args.context.as_deref(),
    )
    .await?;
    let shutdown = shutdown::on_signals().context("failed to listen for signals")?;
    let wanted = Wanted {
        namespace: args.namespace.as_deref(),
        target: args.target.as_ref(),
        selector: args.selector.as_deref(),
        class: args.snapshot_class.as_deref(),
        group: args.group.into(),
    };
    let policies = if args.without_hooks {
        None
    } else {
        Some(args.policies.load()?)
    };
    let terms = Terms {
        cut: args.cut_timeout.to_std(),
        ready: args.timeout.to_std(),
        skew: args.skew.to_std(),
        delete_unusable: args.delete_unusable,
    };
    let until = Instant::now() + args.wait.map_or(Duration::ZERO, Timeout::to_std);
    let mut is_said = false;
    let (plan, mut snapshot, lock) = loop {
        let plan = Plan::make(&client, wanted, policies.as_ref().map(|it| it.with(&[]))).await?;
        let members = plan.members.iter();
        let members = members.map(|it| (it.title(), it.hooks.clone())).collect();
        let snapshot = Snapshot::new(terms, members, plan.claims.len());
        let busy = match Lock::take(&client, &plan, snapshot.longest()).await {
            Ok(lock) => break (plan, snapshot, lock),
            Err(error) => error.downcast::<Busy>()?,
        };
        if Instant::now() >= until {
            return Err(
                anyhow::Error::new(busy).context("nothing was done; --wait 10m waits for others")
            );
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
    let times = drive.until_done(&mut snapshot).await?;
    let mut notes = plan.notes.clone();
    notes.extend(snapshot.notes());
    if let Some(keep) = args.keep
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
