//! `quiescent verify`: restores a backup beside the original, checks what came back, and takes it away.

mod archive;
mod backup;
pub mod checks;
mod run;
pub mod scratch;
pub mod text;
pub mod value;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::RandomState},
    hash::BuildHasher as _,
    time::Duration,
};

use anyhow::Context as _;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Client;

use self::{
    archive::Contents, backup::Backup, checks::Checks, run::Run, scratch::unless_aborted,
    world::World,
};
use super::{Ended, block_on, cluster::ClusterArgs, output, policies::PolicyArgs};
use crate::{
    kubernetes::Asker,
    shutdown,
    velero::{
        Timeout,
        copy::Copy,
        objects::{File, Kind},
        verification::{VERIFICATION_LABEL, Verdict},
    },
    velero_files::{self, PACKED},
    verify::{Pod, Seen, Verified, completed, id, mapping, subjects},
};

/// So long the API server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// So much longer than its own time a verification may take until it has cleaned up.
const CLEANING: SignedDuration = SignedDuration::from_mins(10);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The pods that have hooks of policies come back in namespaces of their own, which reach
nothing but themselves, and are taken away again, whatever happens. Each policy's check
runs in its pod. The verdict is written on the Backup.

Examples:
  quiescent verify nightly-20261121
  quiescent verify --schedule nightly --timeout 2h
  quiescent verify nightly-20261121 --namespace shop --keep -o json")]
pub struct Args {
    /// The name of the backup
    #[arg(
        value_name = "BACKUP",
        required_unless_present = "schedule",
        conflicts_with = "schedule"
    )]
    backup: Option<String>,
    /// The newest completed backup of this schedule
    #[arg(long, value_name = "NAME")]
    schedule: Option<String>,
    /// Verify the pods of this namespace alone; may be repeated
    #[arg(long = "namespace", value_name = "NAMESPACE", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// The namespace that Velero runs in
    #[arg(
        short = 'n',
        long,
        value_name = "NAMESPACE",
        default_value = "velero",
        env = "QUIESCENT_VELERO_NAMESPACE"
    )]
    velero_namespace: String,
    /// How long restoring, waiting and checking may take together
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    timeout: Timeout,
    /// Leave the copy where it is, for a look
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
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

/// What is told of a verification.
#[derive(Debug)]
pub struct Report {
    backup: String,
    verified: Verified,
    seen: Seen,
    /// In whole seconds, from the first Restore until all checks were through.
    restore_seconds: Option<u64>,
    /// In whole seconds, at the beginning of the verification.
    data_age_seconds: u64,
    /// The namespaces of a copy that was left on purpose.
    kept: Vec<String>,
    notes: Vec<String>,
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let report = block_on(verify(args))?;
    match args.output {
        Format::Text => output::print_folded(&text::text(&report))?,
        Format::Json => output::print_raw(&output::json(&value::value(&report)))?,
    };
    Ok(match report.verified.verdict {
        Verdict::Passed => Ended::Fine,
        Verdict::Failed => Ended::Findings,
        Verdict::Incomplete => Ended::Undone,
    })
}

/// What is to be verified.
struct Meant {
    backup: Backup,
    copy: Copy,
    /// Labels and annotations of the original namespaces.
    namespaces: BTreeMap<String, [BTreeMap<String, String>; 2]>,
    seen: Seen,
}

async fn verify(args: &Args) -> anyhow::Result<Report> {
    let policies = args.policies.load()?;
    let client = args.cluster.client().await?;
    let shutdown = shutdown::on_signals().context("failed to listen for signals")?;
    let asker = Asker {
        client: client.clone(),
        patience: PATIENCE,
    };
    let world = World {
        asker: &asker,
        velero_namespace: &args.velero_namespace,
    };
    let began = Timestamp::now();
    let Meant {
        backup,
        copy,
        namespaces,
        seen,
    } = meant(&client, args, began).await?;
    let mut notes: Vec<String> = backup.note.into_iter().collect();
    for swept in world.sweep().await? {
        notes.push(format!("left by a verification that was killed: {swept}"));
    }
    let checks = Checks {
        client: &client,
        policies: &policies,
        namespaces: &namespaces,
    };
    let mut run = Run::new(&world, &copy, checks, args.timeout.to_std(), seen);
    tokio::select! {
        () = run.go() => {}
        () = shutdown.draining() => run.seen.stopped = true,
    }
    let Run { seen, took, .. } = run;
    let verified = seen.verdict();
    let age = began.duration_since(backup.taken).as_secs();
    let mut report = Report {
        restore_seconds: took
            .filter(|_| verified.verdict == Verdict::Passed)
            .map(|took| took.as_secs()),
        data_age_seconds: u64::try_from(age).unwrap_or_default(),
        backup: backup.name,
        verified,
        seen,
        kept: Vec::new(),
        notes,
    };
    let annotations = value::annotations(&report, Timestamp::now());
    if let Err(error) = world.annotate(&report.backup, &annotations).await {
        let note = format!("the verdict is not on the Backup: {error:#}");
        report.notes.push(note);
    }
    let tidy = async {
        if args.keep {
            report.kept = copy.mapping.values().cloned().collect();
            world.leave(&copy).await
        } else {
            world.remove(&copy).await
        }
    };
    let tidied = unless_aborted(&shutdown, tidy).await;
    if let Err(error) = tidied {
        report.notes.push(format!(
            "not all is gone that has the label {VERIFICATION_LABEL}={}: {error:#}",
            copy.id
        ));
    }
    Ok(report)
}

async fn meant(client: &Client, args: &Args, began: Timestamp) -> anyhow::Result<Meant> {
    let backup = backup::chosen(client, args).await?;
    let (velero, name) = (&args.velero_namespace, &backup.name);
    let packed =
        velero_files::packed(client, velero, Kind::Backup, name, File::Contents, PACKED).await?;
    let Contents { pods, namespaces } = archive::contents(&packed)
        .with_context(|| format!("failed to read what is in backup {name}"))?;
    let wanted: BTreeSet<String> = args.namespaces.iter().cloned().collect();
    let (subjects, unfit) =
        subjects(&pods, &wanted).with_context(|| format!("backup {name} has a broken pod"))?;
    let id = id(RandomState::new().hash_one(began.as_nanosecond()));
    let seconds = i64::try_from(args.timeout.seconds())?;
    let until = began + SignedDuration::from_secs(seconds) + CLEANING;
    let copy = Copy {
        mapping: mapping(subjects.iter().map(|it| it.namespace.as_str()), &id),
        id,
        backup: name.clone(),
        until: (!args.keep).then(|| until.to_string()),
        timeout: args.timeout,
        completed: completed(&subjects),
    };
    let pods = subjects.into_iter().map(|subject| Pod {
        namespace: copy.mapping[&subject.namespace].clone(),
        subject,
        ready: None,
        state: None,
        checks: Vec::new(),
    });
    let seen = Seen {
        pods: pods.collect(),
        unfit,
        ..Seen::default()
    };
    Ok(Meant {
        backup,
        copy,
        namespaces,
        seen,
    })
}

#[cfg(test)]
mod tests;
