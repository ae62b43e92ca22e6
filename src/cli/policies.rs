//! Which policies a command asks, and what it says when something is wrong with them.

use std::{future, path::PathBuf, sync::atomic::AtomicI64, time::Duration};

use anyhow::bail;
use kube::Client;
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

use crate::{
    diagnostic::any_error,
    policy::PolicySet,
    policy_files::{Fingerprint, InForce, Loaded, Reload, Sources},
    policy_resources::{ResourceWatch, Resources},
    report::diagnostics,
    server::Readiness,
    telemetry::metrics::{Closed, Counters},
};

/// What is wrong was said already, with its place.
#[derive(Debug, thiserror::Error)]
#[error("the policies have errors, nothing was done")]
pub struct BrokenPolicies;

#[derive(Clone, Debug, clap::Args)]
pub struct PolicyArgs {
    /// A policy file, or a folder with such files, in place of the compiled-in library; may be repeated
    #[arg(
        long,
        value_name = "PATH",
        env = "QUIESCENT_POLICIES",
        value_delimiter = ','
    )]
    pub policies: Vec<PathBuf>,
    /// Use the compiled-in library beside --policies
    #[arg(long, env = "QUIESCENT_LIBRARY")]
    pub library: bool,
}

impl PolicyArgs {
    pub fn sources(&self) -> Sources {
        let Self { policies, library } = self;
        Sources {
            paths: policies.clone(),
            library: *library || policies.is_empty(),
        }
    }

    /// The policies, or all that is wrong with them on standard error.
    pub fn load(&self) -> anyhow::Result<PolicySet> {
        Ok(self.load_to_watch()?.0)
    }

    /// The same, with what a watcher must know of their files.
    pub fn load_to_watch(&self) -> anyhow::Result<(PolicySet, Fingerprint)> {
        let Loaded {
            policies,
            diagnostics: found,
            fingerprint,
        } = self.sources().load()?;
        for diagnostic in &found {
            anstream::eprintln!("{}\n", diagnostics::text(diagnostic, diagnostics::WIDTH));
        }
        if any_error(&found) {
            return Err(BrokenPolicies.into());
        }
        Ok((policies, fingerprint))
    }
}

/// The policies that are objects of the cluster, where they are wanted.
pub struct ClusterPolicies(Option<(Resources, ResourceWatch)>);

impl ClusterPolicies {
    pub fn new(wanted: bool, client: Option<&Client>, in_force: &InForce) -> anyhow::Result<Self> {
        if !wanted {
            return Ok(Self(None));
        }
        let Some(client) = client else {
            bail!("--watch-policies: there is no cluster, name one with --kubeconfig");
        };
        let watched = Resources::watch(client.clone(), in_force.clone());
        Ok(Self(Some(watched)))
    }

    pub fn resources(&self) -> Option<Resources> {
        let Self(watched) = self;
        watched.as_ref().map(|(resources, _)| resources.clone())
    }

    /// Ready is who knows them too.
    pub fn ready(&self, readiness: Readiness) -> Readiness {
        match self.resources() {
            Some(resources) => readiness.with("policies", move || resources.is_synced()),
            None => readiness,
        }
    }

    /// Follows them for as long as it is polled.
    pub async fn run(
        self,
        settle: Duration,
        metrics: PolicyMetrics,
        mut changed: impl FnMut(Reload),
    ) {
        let Self(Some((resources, watch))) = self else {
            return future::pending().await;
        };
        let told = |outcome| {
            metrics.resources(outcome, &resources);
            changed(outcome);
        };
        watch.run(settle, told).await;
    }
}

/// What is counted of policies that are followed.
#[derive(Clone, Debug)]
pub struct PolicyMetrics {
    in_force: InForce,
    reloads: Counters<Reload>,
    policies: Gauge<i64, AtomicI64>,
    refused: Gauge<i64, AtomicI64>,
}

impl PolicyMetrics {
    pub fn register(registry: &mut Registry, in_force: InForce) -> Self {
        let policies = Gauge::default();
        registry.register("policies", "Policies in force", policies.clone());
        let reloads = Counters::register(
            registry,
            "policy_reloads",
            "Changes of policies, by what came of them",
        );
        let refused = Gauge::default();
        registry.register(
            "policy_resources_refused",
            "Policies of the cluster that have an error in them",
            refused.clone(),
        );
        let metrics = Self {
            in_force,
            reloads,
            policies,
            refused,
        };
        metrics.count();
        metrics
    }

    pub fn reload(&self, reload: Reload) {
        if reload != Reload::Unchanged {
            self.reloads.increment(reload);
            self.count();
        }
    }

    /// The same of a change of policies of the cluster.
    fn resources(&self, reload: Reload, resources: &Resources) {
        self.reload(reload);
        let refused = resources.refused();
        self.refused.set(i64::try_from(refused).unwrap_or(i64::MAX));
    }

    fn count(&self) {
        let count = self.in_force.get().len();
        self.policies.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

impl Closed for Reload {
    const ALL: &'static [Self] = &[Self::Applied, Self::Refused];

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        let result = match self {
            Self::Unchanged => "unchanged",
            Self::Applied => "applied",
            Self::Refused => "refused",
        };
        vec![("result", result)]
    }
}
