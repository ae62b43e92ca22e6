//! `quiescent snapshot restore`: claims made from snapshots, or a pod that starts on them beside its original
//! to know whether they are any good.

mod beside;
mod claims;
mod found;

use std::time::Duration;

use anyhow::{Context as _, bail};

use self::found::Found;
use crate::{
    cli::{Ended, block_on, cluster::ClusterArgs, policies::PolicyArgs},
    kubernetes::Asker,
    policy::name::is_dns_subdomain,
    restore_snapshot::{Asked, Source},
    shutdown,
    velero::Timeout,
};

/// So long the API server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The name of the VolumeSnapshot
    #[arg(
        value_name = "SNAPSHOT",
        required_unless_present = "set",
        conflicts_with = "set"
    )]
    name: Option<String>,
    /// All snapshots that were taken together: the label quiescent.dev/snapshot
    #[arg(long, value_name = "SET")]
    set: Option<String>,
    /// The namespace of the snapshots, else that of the kubeconfig
    #[arg(short, long, value_name = "NAMESPACE", env = "QUIESCENT_NAMESPACE")]
    namespace: Option<String>,
    /// The name of the claim, else that of the snapshot and -restored
    #[arg(long, value_name = "NAME", conflicts_with_all = ["set", "verify"], value_parser = claim_name)]
    to: Option<String>,
    /// The StorageClass, else that of the claim that the snapshot was taken of
    #[arg(long, value_name = "NAME")]
    storage_class: Option<String>,
    /// How big the claim is to be, else as big as the one that the snapshot was taken of
    #[arg(long, value_name = "SIZE")]
    size: Option<String>,
    /// How it may be mounted, else as the claim that the snapshot was taken of; may be repeated
    #[arg(long = "access-mode", value_name = "MODE", value_delimiter = ',',
        value_parser = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"])]
    access_modes: Vec<String>,
    /// Restore what is labelled as not consistent too
    #[arg(long)]
    unusable_too: bool,
    /// Start a copy of the pod in a namespace of its own, run the policy's check in it, and take all away
    #[arg(long)]
    verify: bool,
    /// The pod that is copied, else the one that mounts the claim that the snapshot was taken of
    #[arg(long, value_name = "NAME", requires = "verify")]
    pod: Option<String>,
    /// How long restoring, and with --verify waiting and checking, may take together
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    timeout: Timeout,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    policies: PolicyArgs,
    /// What is printed: text, or all of it for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: super::Format,
}

fn claim_name(text: &str) -> Result<String, String> {
    is_dns_subdomain(text)
        .then(|| text.to_owned())
        .ok_or_else(|| format!("{text:?} cannot be a claim's name"))
}

impl Args {
    fn asked(&self) -> Asked<'_> {
        Asked {
            class: self.storage_class.as_deref(),
            size: self.size.as_deref(),
            modes: &self.access_modes,
        }
    }

    /// What is restored, as people call it.
    fn what(&self) -> String {
        match (&self.name, &self.set) {
            (Some(name), _) => format!("volumesnapshot/{name}"),
            (None, set) => format!("set {}", set.as_deref().unwrap_or_default()),
        }
    }
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    block_on(restore(args))
}

async fn restore(args: &Args) -> anyhow::Result<Ended> {
    let client = args.cluster.client().await?;
    let shutdown = shutdown::on_signals().context("failed to listen for signals")?;
    let asker = Asker {
        client: client.clone(),
        patience: PATIENCE,
    };
    let namespace = args.namespace.as_deref();
    let found = Found {
        asker: &asker,
        namespace: namespace.unwrap_or_else(|| client.default_namespace()),
    };
    let sources = found
        .sources(args.name.as_deref(), args.set.as_deref())
        .await?;
    let notes = warnings(&sources, args.unusable_too)?;
    for note in &notes {
        anstream::eprintln!("{note}");
    }
    if args.verify {
        beside::verify(args, &found, &shutdown, &sources, notes).await
    } else {
        claims::make(args, &found, &shutdown, &sources, notes).await
    }
}

/// What is to be said of them, or why not all of them are restored.
fn warnings(sources: &[Source], unusable_too: bool) -> anyhow::Result<Vec<String>> {
    let (mut notes, mut refused) = (Vec::new(), Vec::new());
    for source in sources {
        match source.warning(unusable_too) {
            Ok(note) => notes.extend(note),
            Err(why) => refused.push(why),
        }
    }
    if !refused.is_empty() {
        bail!("{}", refused.join("; "));
    }
    Ok(notes)
}
