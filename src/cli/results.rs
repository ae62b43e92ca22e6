//! `quiescent results`: what became of the hooks and volumes of one backup or restore of Velero.

mod text;
mod value;

pub use text::text;
pub use value::value;

use std::str::FromStr;

use anyhow::{Context as _, bail};
use kube::Client;
use serde_json::Value;

use super::{Ended, block_on, cluster::ClusterArgs, output};
use crate::{
    kubernetes::{ListError, Objects, list, object},
    results::{Flag, HookRun, Volume, copied_back, hooks, never_undone, together, volumes},
    velero::objects::{COPIES_BACK, File, Kind, path},
    velero_files::{file, log_of_restore},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Velero keeps a log of each backup and restore beside its data. It is asked for with a
DownloadRequest, as velero backup logs does, and comes from the object storage. Of the
hooks of a restore only the log of Velero's pod tells.

Examples:
  quiescent results backup/nightly-20261121
  quiescent results restore/nightly-20261121 -n velero -o json")]
pub struct Args {
    /// backup/NAME or restore/NAME
    #[arg(value_name = "TARGET")]
    target: Target,
    /// The namespace that Velero runs in
    #[arg(
        short = 'n',
        long = "namespace",
        value_name = "NAMESPACE",
        default_value = "velero",
        env = "QUIESCENT_VELERO_NAMESPACE"
    )]
    namespace: String,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// What is printed: a table, or all of it for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Which backup or restore.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    kind: Kind,
    name: String,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = match text.split_once('/') {
            Some(("backup" | "backups", name)) => (Kind::Backup, name),
            Some(("restore" | "restores", name)) => (Kind::Restore, name),
            _ => return Err("write backup/NAME or restore/NAME".to_owned()),
        };
        if name.is_empty() || name.contains('/') {
            return Err("write backup/NAME or restore/NAME".to_owned());
        }
        Ok(Self {
            kind,
            name: name.to_owned(),
        })
    }
}

/// All that is known of it.
pub struct Results {
    kind: Kind,
    name: String,
    pub phase: String,
    /// How many hooks Velero says it attempted, and how many of them failed.
    attempted: Option<u64>,
    failed: Option<u64>,
    hooks: Vec<HookRun>,
    flags: Vec<Flag>,
    volumes: Vec<Volume>,
    notes: Vec<String>,
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let results = block_on(asked(args))?;
    match args.output {
        Format::Table => output::print_folded(&text(&results))?,
        Format::Json => output::print_raw(&output::json(&value(&results)))?,
    };
    Ok(if results.is_good() {
        Ended::Fine
    } else {
        Ended::Findings
    })
}

impl Results {
    /// Whether nobody has to look at it.
    pub fn is_good(&self) -> bool {
        // Hooks may be fine, and what they made not be in the backup.
        !self.phase.contains("Failed")
            && self.flags.is_empty()
            && self.failed.unwrap_or_default() == 0
            && self
                .hooks
                .iter()
                .all(|it| it.error.is_none() && !it.is_open())
    }
}

async fn asked(args: &Args) -> anyhow::Result<Results> {
    let client = args.cluster.client().await?;
    let Target { kind, name } = &args.target;
    results(&client, &args.namespace, *kind, name).await
}

/// What became of a backup or restore that is over, in Velero's namespace.
pub async fn results(
    client: &Client,
    namespace: &str,
    kind: Kind,
    name: &str,
) -> anyhow::Result<Results> {
    let text = match object(client, &path(namespace, kind.plural()), name).await {
        Ok(text) => text,
        Err(ListError::Absent { .. }) => {
            bail!("there is no {} {name} in {namespace}", kind.word())
        }
        Err(error) => return Err(error.into()),
    };
    let object: Value = serde_json::from_str(&text).context("the API server sent no object")?;
    let status = &object["status"];
    let phase = status["phase"].as_str().unwrap_or("New").to_owned();
    if ["New", "Queued", "ReadyToStart", "InProgress"].contains(&&*phase) {
        bail!(
            "{} {name} is {phase}: Velero has a log of it when it is done",
            kind.word()
        );
    }
    let mut notes = Vec::new();
    let log = match kind {
        Kind::Backup => file(client, namespace, kind, name, File::Log).await?,
        // What its hooks did stands in the log of the server alone.
        Kind::Restore => {
            let log = log_of_restore(client, namespace, name, None).await?;
            notes.extend(log.is_empty().then(|| {
                "Velero's pod has no line of its hooks: there were none, or it was started anew since"
                    .to_owned()
            }));
            log
        }
    };
    let infos = file(client, namespace, kind, name, File::Volumes).await;
    let mut volumes = match infos.and_then(|it| Ok(volumes(&it)?)) {
        Ok(volumes) => volumes,
        Err(error) => {
            notes.push(format!(
                "Velero's list of its volumes is missing: {error:#}"
            ));
            Vec::new()
        }
    };
    if kind == Kind::Restore {
        match copies(client, namespace, name).await {
            Ok(copied) => volumes = together(volumes, copied),
            Err(error) => notes.push(format!("volumes may be missing here: {error:#}")),
        }
    }
    let hooks = hooks(&log);
    let flags = match kind {
        Kind::Backup => never_undone(&hooks),
        Kind::Restore => Vec::new(),
    };
    // Of hooks that failed there is a line each.
    if phase.contains("Failed") && hooks.iter().all(|it| it.error.is_none()) {
        notes.push(format!(
            "no hook failed, and yet it is {phase}: velero {} logs {name} says why",
            kind.word()
        ));
    }
    // Of zero Velero says nothing.
    let counted = &status["hookStatus"];
    let count = |key: &str| {
        let count = counted[key].as_u64();
        count.or_else(|| counted.is_object().then_some(0))
    };
    Ok(Results {
        kind,
        name: name.to_owned(),
        phase,
        attempted: count("hooksAttempted"),
        failed: count("hooksFailed"),
        hooks,
        flags,
        volumes,
        notes,
    })
}

/// The volumes into which files are copied by a restore.
async fn copies(client: &Client, namespace: &str, restore: &str) -> anyhow::Result<Vec<Volume>> {
    let objects = Objects {
        path: &path(namespace, COPIES_BACK),
        labels: None,
        metadata_only: false,
    };
    let copies = list(client, objects, |text| copied_back(text, restore)).await?;
    let copies = copies.into_iter().filter_map(Result::transpose);
    Ok(copies.collect::<Result<_, _>>()?)
}
