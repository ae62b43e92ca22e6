//! `quiescent serve`: the admission webhook, from its arguments to its last answer.

mod banner;
mod counters;
mod files;
mod guards;
mod reviews;
mod sample;
mod size;

use std::{
    future,
    net::SocketAddr,
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};

use self::size::Size;
use super::{
    Ended, SettingsArgs,
    policies::{ClusterPolicies, PolicyArgs, PolicyMetrics},
};
use crate::{
    admission::Guard,
    certs::{self, Certificate, CertificateMetrics, Directory, Follower, Served},
    kubernetes::{self, Namespaces},
    policy::PARAMETER_PREFIX,
    policy_files::{InForce, Watcher},
    server::{
        Bound, JSON, Limits, PATH, Readiness, Reviewer, Reviewers, Route, ServerMetrics, Service,
    },
    shutdown::{self, Shutdown},
    telemetry::{log, metrics::Metrics},
    velero::Timeout,
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every flag can be given by the environment variable named beside it. \
    The level of the log is set by QUIESCENT_LOG_LEVEL: error, warn, info or debug.

Examples:
  quiescent serve
  quiescent serve --policies my-policy
  quiescent serve --listen 127.0.0.1:0 --admin 127.0.0.1:0 --log json"
)]
pub struct Args {
    /// Where reviews are answered, over TLS
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8443",
        value_parser = address,
        env = "QUIESCENT_LISTEN"
    )]
    listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are answered
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9090",
        value_parser = address,
        env = "QUIESCENT_ADMIN"
    )]
    admin: SocketAddr,
    /// A folder with tls.crt and tls.key, read again when they change; without it a certificate is made in memory
    #[arg(long, value_name = "DIR", env = "QUIESCENT_CERT_DIR")]
    cert_dir: Option<PathBuf>,
    /// How long a certificate of another authority waits before it is shown, so that the API servers have heard whom to trust
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "0s",
        env = "QUIESCENT_TRUST_DELAY"
    )]
    trust_delay: Timeout,
    /// A name for the certificate that is made in memory, beside localhost; may be repeated
    #[arg(
        long,
        value_name = "NAME",
        env = "QUIESCENT_TLS_NAME",
        value_delimiter = ',',
        conflicts_with = "cert_dir"
    )]
    tls_name: Vec<String>,
    /// A file with the authorities of the certificates that callers must show, read at the start; everybody may call when absent
    #[arg(long, value_name = "FILE", env = "QUIESCENT_CLIENT_CA")]
    client_ca: Option<PathBuf>,
    /// Memory for the bodies of all reviews under way; callers beyond it are asked to try again
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "32Mi",
        env = "QUIESCENT_BODY_MEMORY"
    )]
    body_memory: Size,
    /// The cluster whose namespaces to watch; in a pod, the pod's own when absent
    #[arg(long, value_name = "FILE", env = "QUIESCENT_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// How many threads answer reviews
    #[arg(long, value_name = "N", default_value = "1", env = "QUIESCENT_THREADS")]
    threads: NonZeroUsize,
    /// How long to go on answering after the signal to stop
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5s",
        env = "QUIESCENT_DRAIN"
    )]
    drain: Timeout,
    /// Follow the HookPolicy and ClusterHookPolicy objects of the cluster too
    #[arg(long, env = "QUIESCENT_WATCH_POLICIES")]
    watch_policies: bool,
    /// How often to look whether policies or certificate have changed
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "2s",
        env = "QUIESCENT_RELOAD"
    )]
    reload: Timeout,
    /// How to log: text or json; text on a terminal when absent
    #[arg(long, value_name = "FORMAT", env = "QUIESCENT_LOG")]
    log: Option<log::Format>,
    #[command(flatten)]
    policies: PolicyArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "write an IP address and a port, such as 0.0.0.0:8443".to_owned())
}

pub fn run(args: Args) -> anyhow::Result<Ended> {
    let log = log::install(args.log, &["QUIESCENT_LOG_LEVEL", "RUST_LOG"])?;
    certs::install_default_provider();
    // This thread reads certificates and policies, which may take its time; the other accepts
    // connections and answers the operator. Reviews have threads of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    runtime.block_on(serve(args, &log))
}

async fn serve(args: Args, log: &log::Log) -> anyhow::Result<Ended> {
    let Args {
        listen,
        admin,
        cert_dir,
        trust_delay,
        tls_name,
        client_ca,
        body_memory,
        kubeconfig,
        threads,
        drain,
        watch_policies,
        reload,
        log: _,
        policies,
        settings,
    } = args;
    if !reload.is_positive() {
        bail!("--reload {reload}: it takes a time above zero, such as 2s");
    }
    if trust_delay < Timeout::from_seconds(0) {
        bail!("--trust-delay {trust_delay}: it takes a time, such as 10s");
    }
    let limits = limits(&body_memory)?;
    let callers = client_ca.as_deref().map(certs::client_ca).transpose()?;
    let shutdown = shutdown::on_signals().context("failed to listen for signals")?;
    let mut metrics = Metrics::new("quiescent");
    log.register(metrics.registry());
    let counters = counters::Counters::register(metrics.registry());
    let server_metrics = ServerMetrics::register(metrics.registry());
    let certificate_metrics = CertificateMetrics::register(metrics.registry());

    let (loaded, seen) = policies.load_to_watch()?;
    let in_force = InForce::new(loaded);
    let policy_metrics = PolicyMetrics::register(metrics.registry(), in_force.clone());
    let watcher = Watcher::new(policies.sources(), in_force.clone(), seen);
    let identity = Identity::load(
        cert_dir,
        trust_delay.to_std(),
        &tls_name,
        certificate_metrics,
    )?;
    let client = kubernetes::client(kubeconfig.as_deref()).await?;
    let of_cluster = ClusterPolicies::new(watch_policies, client.as_ref(), &in_force)?;
    let (namespaces, watch) = client
        .map(|client| Namespaces::watch(client, PARAMETER_PREFIX))
        .unzip();
    let bound = Bound::bind(listen, admin).await?;

    let banner = banner::Banner {
        policies: &in_force.get(),
        sources: &policies.sources(),
        webhook: bound.webhook_address(),
        admin: bound.admin_address(),
        certificate: &identity.served.current(),
        from: identity.follower.as_ref().map(|(path, _)| path.as_path()),
        cluster: namespaces.is_some(),
    };
    super::output::print(&banner.text(SystemTime::now()))?;

    let reload = reload.to_std();
    let readiness = of_cluster.ready(readiness(namespaces.as_ref()));
    let following = of_cluster.run(reload, policy_metrics.clone(), |_| {});
    let told = move |outcome| policy_metrics.reload(outcome);
    let service = Service {
        tls: certs::server_config(identity.served.clone(), callers)?,
        routes: routes(&identity.served),
        reviewers: reviewers(
            reviews::Basis {
                policies: in_force,
                settings: settings.settings(),
                namespaces,
            },
            counters,
        ),
        threads,
        limits,
        drain: drain.to_std(),
        metrics: Arc::new(metrics),
        server_metrics,
        readiness,
    };
    tokio::select! {
        ending = bound.run(service, shutdown.clone()) => {
            ending?;
            Ok(Ended::Fine)
        }
        failed = follow(identity.follower, reload) => bail!("the task that follows the certificate ended: {failed}"),
        () = until_stopped(following, shutdown.clone()) => {
            bail!("the task that follows the policies of the cluster ended")
        }
        () = until_stopped(watcher.run(reload, told), shutdown.clone()) => bail!("the task that follows the policies ended"),
        () = async { match watch { Some(watch) => watch.run().await, None => future::pending().await } } => {
            bail!("the task that follows the namespaces ended")
        }
    }
}

fn reviewers(basis: reviews::Basis, counters: counters::Counters) -> Reviewers {
    let basis = Arc::new(basis);
    let guards = [
        (guards::WARN, Guard::Warn),
        (guards::ENFORCE, Guard::Enforce),
    ];
    let guards = guards.map(|(path, guard)| {
        let guards = guards::Guards {
            guard,
            basis: Arc::clone(&basis),
            counters: counters.clone(),
        };
        (path, Arc::new(guards) as Arc<dyn Reviewer>)
    });
    let mut reviewers = Vec::from(guards);
    let reviews = reviews::Reviews { basis, counters };
    reviewers.insert(0, (PATH, Arc::new(reviews)));
    reviewers
}

fn limits(body_memory: &Size) -> anyhow::Result<Limits> {
    let limits = Limits {
        bodies: body_memory.bytes,
        connections: files::connections(Limits::default().connections),
        ..Limits::default()
    };
    if limits.bodies < limits.body {
        bail!(
            "--body-memory {body_memory}: the body of one review alone may have {}Mi",
            limits.body >> 20
        );
    }
    Ok(limits)
}

/// While we take leave, a change of policies is of no use any more.
async fn until_stopped(task: impl Future<Output = ()>, shutdown: Shutdown) {
    tokio::select! {
        () = task => {}
        () = shutdown.draining() => future::pending().await,
    }
}

/// The certificate that is shown to callers, and what keeps it new.
struct Identity {
    served: Arc<Served>,
    follower: Option<(PathBuf, Follower)>,
}

impl Identity {
    fn load(
        dir: Option<PathBuf>,
        trust_delay: Duration,
        names: &[String],
        metrics: CertificateMetrics,
    ) -> anyhow::Result<Self> {
        let now = SystemTime::now();
        let Some(path) = dir else {
            return Ok(Self {
                served: Served::new(certs::self_made(names, now)?, metrics),
                follower: None,
            });
        };
        let directory = Directory::new(&path);
        let files = directory.files()?;
        let served = Served::new(files.certificate(now)?, metrics);
        let follower = Follower::new(directory, files, served.clone(), trust_delay);
        Ok(Self {
            served,
            follower: Some((path, follower)),
        })
    }
}

async fn follow(follower: Option<(PathBuf, Follower)>, every: Duration) -> impl std::fmt::Display {
    match follower {
        Some((_, follower)) => follower.run(every).await,
        None => future::pending().await,
    }
}

fn readiness(namespaces: Option<&Namespaces>) -> Readiness {
    match namespaces.cloned() {
        Some(namespaces) => Readiness::default().with("namespaces", move || namespaces.is_synced()),
        None => Readiness::default(),
    }
}

fn routes(served: &Arc<Served>) -> Vec<Route> {
    let page = |path, text: fn(&Certificate) -> String| {
        let served = Arc::clone(served);
        Route {
            path,
            content_type: "application/x-pem-file",
            body: Box::new(move || text(&served.current()).into_bytes()),
        }
    };
    vec![
        page("/ca.pem", |it| it.ca_pem().to_owned()),
        // For whoever reaches this port and not the webhook's, as a proxy does.
        page(certs::CHAIN_PAGE, Certificate::chain_pem),
        Route {
            path: "/sample",
            content_type: JSON,
            body: Box::new(|| sample::review().to_string().into_bytes()),
        },
    ]
}
