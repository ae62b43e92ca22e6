//! `quiescent verify`: restores a backup beside the original, checks what came back, and takes it away.

mod archive;
mod backup;
mod checks;
mod text;
mod value;
mod world;

use std::{
    collections::{BTreeSet, hash_map::RandomState},
    hash::BuildHasher as _,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio::time::{self, Instant};

use self::{archive::Contents, backup::Backup, checks::Checks, world::World};
use super::{
    Ended, output,
    policies::PolicyArgs,
};
use crate::{
    kubernetes::{self, Asker},
    results::hooks,
    shutdown,
    velero::{
        Timeout,
        copy::Copy,
        objects::{File, Kind},
        verification::Verdict,
    },
    velero_files,
    verify::{Pod, Seen, Stage, Verified, id, mapping, subjects, unready},
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

/// What is told of a verification.
#[derive(Debug)]
struct Report {
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start")?;
    let report = runtime.block_on(verify(args))?;
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

async fn verify(args: &Args) -> anyhow::Result<Report> {
    let policies = args.policies.load()?;
    let client = kubernetes::current_client_that_asks_once(
        args.kubeconfig.as_deref(),
        args.context.as_deref(),
    )
    .await?;
    let shutdown = shutdown::on_signals().context("failed to listen for signals")?;
    let velero = args.velero_namespace.as_str();
    let asker = Asker {
        client: client.clone(),
        patience: PATIENCE,
    };
    let world = World {
        asker: &asker,
        velero_namespace: velero,
    };
    let Backup { name, taken, note } = backup::chosen(&client, args).await?;
    let mut notes: Vec<String> = note.into_iter().collect();
    let began = Timestamp::now();
    let packed = velero_files::packed(
        &client,
        velero,
        Kind::Backup,
        &name,
        File::Contents,
        velero_files::PACKED,
    )
    .await?;
    let Contents { pods, namespaces } = archive::contents(&packed)
        .with_context(|| format!("failed to read what is in backup {name}"))?;
    let wanted: BTreeSet<String> = args.namespaces.iter().cloned().collect();
    let (subjects, unfit) =
        subjects(&pods, &wanted).with_context(|| format!("backup {name} has a broken pod"))?;
    let seed = RandomState::new().hash_one(began.as_nanosecond());
    let id = id(seed);
    let mapping = mapping(subjects.iter().map(|it| it.namespace.as_str()), &id);
    let until =
        began + SignedDuration::from_secs(i64::try_from(args.timeout.seconds())?) + CLEANING;
    let copy = Copy {
        id,
        backup: name.clone(),
        mapping,
        until: (!args.keep).then(|| until.to_string()),
        timeout: args.timeout,
    };
    let pods = subjects.into_iter().map(|subject| Pod {
        namespace: copy.mapping[&subject.namespace].clone(),
        subject,
        ready: None,
        state: None,
        checks: Vec::new(),
    });
    let mut run = Run {
        client: &client,
        world: &world,
        copy: &copy,
        checks: Checks {
            client: &client,
            policies: &policies,
            namespaces: &namespaces,
        },
        until: Instant::now() + args.timeout.to_std(),
        restored: None,
        seen: Seen {
            pods: pods.collect(),
            unfit,
            ..Seen::default()
        },
        took: None,
    };
    for swept in world.sweep().await? {
        notes.push(format!("left by a verification that was killed: {swept}"));
    }
    if !run.seen.pods.is_empty() {
        let stopped = tokio::select! {
            outcome = run.steps() => {
                run.seen.broken = outcome.err().map(|error| format!("{error:#}"));
                false
            }
            () = shutdown.draining() => true,
        };
        run.seen.stopped = stopped;
    }
    let Run { seen, took, .. } = run;
    let verified = seen.verdict();
    let mut report = Report {
        backup: name.clone(),
        restore_seconds: took
            .filter(|_| verified.verdict == Verdict::Passed)
            .map(|took| took.as_secs()),
        data_age_seconds: u64::try_from(began.duration_since(taken).as_secs()).unwrap_or_default(),
        kept: Vec::new(),
        notes,
        seen,
        verified,
    };
    let annotations = value::annotations(&report, Timestamp::now());
    if let Err(error) = world.annotate(&name, &annotations).await {
        let note = format!("the verdict is not on the Backup: {error:#}");
        report.notes.push(note);
    }
    if args.keep {
        report.kept = copy.mapping.values().cloned().collect();
        return Ok(report);
    }
    let removed = tokio::select! {
        removed = world.remove(&copy) => removed,
        () = shutdown.aborted() => Err(anyhow!("stopped at once")),
    };
    if let Err(error) = removed {
        report.notes.push(format!(
            "not all of the copy is gone ({error:#}); the next verification removes it after {until}"
        ));
    }
    Ok(report)
}

/// One verification under way.
struct Run<'r> {
    client: &'r Client,
    world: &'r World<'r>,
    copy: &'r Copy,
    checks: Checks<'r>,
    until: Instant,
    /// When the first Restore was asked for.
    restored: Option<Instant>,
    seen: Seen,
    /// From then until the last check.
    took: Option<Duration>,
}

impl Run<'_> {
    async fn steps(&mut self) -> anyhow::Result<()> {
        self.world.prepare(self.copy).await?;
        let began = Instant::now();
        self.restored = Some(began);
        if !self.restore(&self.copy.surroundings()).await? {
            return Ok(());
        }
        self.seen.stage = Stage::Surrounded;
        let labels = self.seen.pods.iter().map(|pod| &pod.subject.labels);
        let pods = self.copy.pods(labels);
        if !self.restore(&pods).await? {
            return Ok(());
        }
        self.seen.stage = Stage::Restored;
        let name = pods["metadata"]["name"].as_str().unwrap_or_default();
        let complete = self.seen.restores.last().is_some_and(|it| it.is_complete());
        if !complete {
            self.failed_hooks(name).await;
        }
        self.wait(began).await?;
        self.seen.stage = Stage::Waited;
        for pod in self.seen.pods.iter_mut().filter(|it| it.ready.is_some()) {
            pod.checks = self.checks.run(pod).await?;
        }
        self.seen.stage = Stage::Checked;
        self.took = Some(began.elapsed());
        Ok(())
    }

    /// Asks for a Restore and waits for its end; says whether it goes on after it.
    async fn restore(&mut self, restore: &serde_json::Value) -> anyhow::Result<bool> {
        let name = self.world.ask(restore).await?;
        loop {
            let restored = self.world.restored(&name).await?;
            let over = restored.is_over();
            if over || Instant::now() > self.until {
                self.seen.late |= !over;
                let goes_on = over && !restored.is_refused();
                self.seen.restores.push(restored);
                return Ok(goes_on);
            }
            time::sleep(world::PAUSE).await;
        }
    }

    /// What the hooks of the restore had to say. It is left out where Velero's log cannot be read.
    async fn failed_hooks(&mut self, restore: &str) {
        let log = velero_files::log_of_restore(self.client, self.world.velero_namespace, restore, None).await;
        let hooks = hooks(&log.unwrap_or_default());
        for run in hooks.iter().filter(|it| it.error.is_some()) {
            let said = run.stderr.lines().map(str::trim).rfind(|it| !it.is_empty());
            let why = said.or(run.error.as_deref()).unwrap_or_default();
            let original = self
                .copy
                .mapping
                .iter()
                .find(|(_, it)| **it == run.namespace);
            let namespace = original.map_or(&run.namespace, |(namespace, _)| namespace);
            let sentence = format!("the restore hook of {namespace}/{}: {why}", run.pod);
            self.seen.hooks.push(sentence);
        }
    }

    /// Waits until every pod is ready.
    async fn wait(&mut self, began: Instant) -> anyhow::Result<()> {
        loop {
            let mut all = true;
            for pod in self.seen.pods.iter_mut().filter(|it| it.ready.is_none()) {
                let there = self.world.pod(&pod.namespace, &pod.subject.name).await?;
                let Some(there) = there else { continue };
                pod.state = unready(&there);
                if pod.state.is_none() {
                    pod.ready = Some(began.elapsed());
                } else {
                    all = false;
                }
            }
            // A pod that Velero has not made will not come any more.
            if all || Instant::now() > self.until {
                return Ok(());
            }
            time::sleep(world::PAUSE).await;
        }
    }
}
