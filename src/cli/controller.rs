//! `quiescent controller`: the cluster side, from its arguments to the last step.

mod backups;
mod certificates;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};

use self::{backups::BackupArgs, certificates::CertificateArgs};
use super::{
    Ended, SettingsArgs, output,
    policies::{ClusterPolicies, PolicyArgs, PolicyMetrics},
    serve::address,
};
use crate::{
    controller::{
        Controller, ControllerMetrics, Kind, Levels, Plan, ResultMetrics, RotationMetrics,
        SnapshotMetrics, World,
    },
    kubernetes::{self, Terms},
    policy_files::{InForce, Reload, Sources, Watcher},
    server::{Admin, Readiness},
    shutdown,
    telemetry::{log, metrics::Metrics},
    velero::Timeout,
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every flag can be given by the environment variable named beside it. \
    The level of the log is set by QUIESCENT_LOG_LEVEL: error, warn, info or debug.

Examples:
  quiescent controller --kubeconfig ~/.kube/config --mode opt-in
  quiescent controller --kubeconfig ~/.kube/config --policies my-policy"
)]
pub struct Args {
    /// Where /livez, /readyz and /metrics are answered
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9091",
        value_parser = address,
        env = "QUIESCENT_ADMIN"
    )]
    admin: SocketAddr,
    /// The cluster to take care of; in a pod, the pod's own when absent
    #[arg(long, value_name = "FILE", env = "QUIESCENT_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// How often everything is looked at, whatever was heard of it
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "60s",
        env = "QUIESCENT_INTERVAL"
    )]
    interval: Timeout,
    /// How long scripts stay that no pod and no template uses: as long as a backup that may need them
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "720h",
        env = "QUIESCENT_KEEP_SCRIPTS"
    )]
    keep_scripts: Timeout,
    /// What is put right on running pods, as the webhook would have written it
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        default_value = "annotations",
        env = "QUIESCENT_REPAIR"
    )]
    repair: Repair,
    /// Evict pods that lack their hooks and would get them, one after the other, so that they are made
    /// anew; it needs the rights of deploy/components/heal
    #[arg(long, env = "QUIESCENT_HEAL")]
    heal: bool,
    /// The namespace of the lease; the pod's own, or that of the kubeconfig, when absent
    #[arg(long, value_name = "NAMESPACE", env = "QUIESCENT_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,
    /// The lease whose holder writes; the others wait
    #[arg(
        long,
        value_name = "NAME",
        default_value = "quiescent-controller",
        env = "QUIESCENT_LEASE_NAME"
    )]
    lease_name: String,
    /// After how long without a sign another one takes the lease, in whole seconds
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "15s",
        env = "QUIESCENT_LEASE_DURATION"
    )]
    lease_duration: Timeout,
    /// How often to look whether policies have changed
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "2s",
        env = "QUIESCENT_RELOAD"
    )]
    reload: Timeout,
    /// Follow the HookPolicy and ClusterHookPolicy objects of the cluster too, and say on each whether it is in force
    #[arg(long, env = "QUIESCENT_WATCH_POLICIES")]
    watch_policies: bool,
    /// Take the snapshots that ConsistentSnapshot objects ask for; it needs the rights of
    /// deploy/components/snapshots
    #[arg(long, env = "QUIESCENT_SNAPSHOTS")]
    snapshots: bool,
    #[command(flatten)]
    backups: BackupArgs,
    #[command(flatten)]
    certificates: CertificateArgs,
    /// How to log: text or json; text on a terminal when absent
    #[arg(long, value_name = "FORMAT", env = "QUIESCENT_LOG")]
    log: Option<log::Format>,
    #[command(flatten)]
    policies: PolicyArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// What of a running pod is put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Repair {
    /// Its annotations, where it has all volumes that its hooks need.
    Annotations,
    /// Nothing.
    Off,
}

pub fn run(args: Args) -> anyhow::Result<Ended> {
    let log = log::install(args.log, &["QUIESCENT_LOG_LEVEL", "RUST_LOG"])?;
    crate::certs::install_default_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    runtime.block_on(control(args, &log))
}

async fn control(args: Args, log: &log::Log) -> anyhow::Result<Ended> {
    let Args {
        admin,
        kubeconfig,
        interval,
        keep_scripts,
        repair,
        heal,
        lease_namespace,
        lease_name,
        lease_duration,
        reload,
        watch_policies,
        snapshots,
        backups,
        certificates,
        log: _,
        policies,
        settings,
    } = args;
    positive("--reload", reload, "2s")?;
    positive("--interval", interval, "60s")?;
    if keep_scripts < Timeout::from_seconds(0) {
        bail!("--keep-scripts {keep_scripts}: it takes a time, such as 720h");
    }
    let lease_duration = whole_seconds(lease_duration)?;
    let shutdown = shutdown::on_signals().context("failed to listen for signals")?;
    let mut metrics = Metrics::new("quiescent");
    log.register(metrics.registry());
    let controller_metrics = ControllerMetrics::register(metrics.registry());

    let (loaded, seen) = policies.load_to_watch()?;
    let in_force = InForce::new(loaded);
    let policy_metrics = PolicyMetrics::register(metrics.registry(), in_force.clone());
    let watcher = Watcher::new(policies.sources(), in_force.clone(), seen);
    let Some(client) = kubernetes::client(kubeconfig.as_deref()).await? else {
        bail!("there is no cluster: name one with --kubeconfig, or run it in a pod");
    };
    let lease = Terms {
        namespace: lease_namespace.unwrap_or_else(|| client.default_namespace().to_owned()),
        name: lease_name,
        duration: lease_duration,
    };
    let certificates = certificates
        .plan(&lease.namespace)?
        .map(|plan| (plan, RotationMetrics::register(metrics.registry())));
    let backups = backups.plan(|| ResultMetrics::register(metrics.registry()))?;
    let bound = Admin::bind(admin).await?;
    let count = in_force.get().len();
    output::print(&banner(count, &policies.sources(), &lease, bound.address()))?;

    let of_cluster = ClusterPolicies::new(watch_policies, Some(&client), &in_force)?;
    let plan = Plan {
        settings: settings.settings(),
        interval: interval.to_std(),
        keep_scripts: keep_scripts.to_std(),
        lease,
        repair: repair == Repair::Annotations,
        heal,
        certificates,
        backups,
        snapshots: snapshots.then(|| SnapshotMetrics::register(metrics.registry())),
        resources: of_cluster.resources(),
    };
    let controller = Controller::new(client, in_force, plan, controller_metrics);
    let world = controller.world();
    metrics.registry().register_collector(Box::new(Levels {
        world: Arc::clone(&world),
        leadership: controller.leadership(),
    }));
    if let Some(results) = controller.results() {
        metrics.registry().register_collector(Box::new(results));
    }
    let readiness = of_cluster.ready(readiness(&world));
    let changed = move |outcome| {
        if outcome == Reload::Applied {
            world.reloaded();
        }
    };
    let following = of_cluster.run(reload.to_std(), policy_metrics.clone(), changed.clone());
    let refusals = controller.refusals();
    let told = move |outcome| {
        policy_metrics.reload(outcome);
        changed(outcome);
        if outcome == Reload::Refused {
            refusals.tell();
        }
    };
    tokio::select! {
        () = controller.run(shutdown.clone()) => {
            if !shutdown.is_draining() {
                bail!("the controller ended by itself");
            }
            tracing::info!("stopped");
            Ok(Ended::Fine)
        }
        () = bound.run(Arc::new(metrics), readiness, shutdown.clone()) => bail!("the admin listener ended by itself"),
        () = following => bail!("the task that follows the policies of the cluster ended"),
        () = watcher.run(reload.to_std(), told) => bail!("the task that follows the policies ended"),
        () = shutdown.aborted() => bail!("stopped before the lease was given back"),
    }
}

fn banner(count: usize, sources: &Sources, lease: &Terms, admin: SocketAddr) -> String {
    format!(
        "quiescent {}\n  policies   {count} of {sources}\n  lease      {}/{}\n  admin      http://{admin}  /livez /readyz /metrics\n",
        env!("CARGO_PKG_VERSION"),
        lease.namespace,
        lease.name,
    )
}

fn positive(flag: &str, time: Timeout, usual: &str) -> anyhow::Result<()> {
    if !time.is_positive() {
        bail!("{flag} {time}: it takes a time above zero, such as {usual}");
    }
    Ok(())
}

/// What a Lease can say of its duration.
fn whole_seconds(lease_duration: Timeout) -> anyhow::Result<Duration> {
    match lease_duration.to_std() {
        whole if whole.subsec_nanos() == 0 && whole >= Duration::from_secs(2) => Ok(whole),
        _ => bail!(
            "--lease-duration {lease_duration}: it takes whole seconds, two at least, such as 15s"
        ),
    }
}

/// Ready is who knows the cluster, whether it leads or waits to.
fn readiness(world: &Arc<World>) -> Readiness {
    let parts = Kind::ALL.iter();
    parts.fold(Readiness::default(), |readiness, kind| {
        let world = Arc::clone(world);
        readiness.with(kind.as_str(), move || world.is_synced(*kind))
    })
}
