//! What the controller counts. All labels come from closed lists.
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use k8s_openapi::jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{
        MetricType,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};

use super::{
    asking::Failure,
    certificates::MENDED,
    world::{Kind, Seen, World},
};
use crate::{
    kubernetes::Leadership,
    missed,
    replica::Action,
    rotation::{Held, Kept, Step},
    snapshot::{Snapshot, Verdict},
    snapshotter::Times,
    telemetry::metrics::{Closed, Counters, Histograms},
};

#[derive(Clone, Debug)]
pub struct ControllerMetrics {
    steps: Counters<Action>,
    failures: Counters<Failure>,
    breaks: Counters<Kind>,
    mended: Counters<missed::Action>,
    unmended: Counters<Failure>,
    not_said: Counters<Failure>,
    last_pass: Gauge<i64, AtomicI64>,
}

impl ControllerMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let last_pass = Gauge::default();
        registry.register(
            "controller_last_pass_timestamp_seconds",
            "When everything was last looked at and nothing failed, 0 in a replica that never led",
            last_pass.clone(),
        );
        Self {
            steps: Counters::register(
                registry,
                "scripts_steps",
                "What was done about ConfigMaps with scripts",
            ),
            failures: Counters::register(
                registry,
                "scripts_failures",
                "What could not be done about ConfigMaps with scripts, by reason",
            ),
            breaks: Counters::register(
                registry,
                "controller_watch_breaks",
                "Watches that broke, by what they watched",
            ),
            mended: Counters::register(
                registry,
                "missed_steps",
                "What was done about pods that lack their hooks",
            ),
            unmended: Counters::register(
                registry,
                "missed_failures",
                "What could not be done about them, by reason",
            ),
            not_said: Counters::register(
                registry,
                "policy_status_failures",
                "Conditions and Events of policies that could not be written, by reason",
            ),
            last_pass,
        }
    }

    pub(super) fn mended(&self, action: missed::Action) {
        self.mended.increment(action);
    }

    pub(super) fn unmended(&self, failure: Failure) {
        self.unmended.increment(failure);
    }

    pub(super) fn not_said(&self, failure: Failure) {
        self.not_said.increment(failure);
    }

    pub(super) fn done(&self, action: Action) {
        self.steps.increment(action);
    }

    pub(super) fn failed(&self, failure: Failure) {
        self.failures.increment(failure);
    }

    pub(super) fn broke(&self, kind: Kind) {
        self.breaks.increment(kind);
    }

    pub(super) fn passed(&self, now: Timestamp) {
        self.last_pass.set(now.as_second());
    }
}

/// What is done about a backup or restore that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultStep {
    Read,
    Tell,
    Notify,
    Note,
}

impl ResultStep {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Tell => "tell",
            Self::Notify => "notify",
            Self::Note => "note",
        }
    }
}

/// How that goes.
#[derive(Clone, Debug)]
pub struct ResultMetrics {
    steps: Counters<ResultStep>,
    failures: Counters<ResultStep>,
}

impl ResultMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        Self {
            steps: Counters::register(
                registry,
                "results_steps",
                "What was done about backups and restores that ended",
            ),
            failures: Counters::register(
                registry,
                "results_failures",
                "What could not be done about them for now",
            ),
        }
    }

    pub(super) fn done(&self, step: ResultStep) {
        self.steps.increment(step);
    }

    pub(super) fn failed(&self, step: ResultStep) {
        self.failures.increment(step);
    }
}

impl Closed for ResultStep {
    const ALL: &'static [Self] = &[Self::Read, Self::Tell, Self::Notify, Self::Note];

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        vec![("step", self.as_str())]
    }
}

/// Snapshots that ConsistentSnapshots asked for.
#[derive(Clone, Debug)]
pub struct SnapshotMetrics {
    ended: Counters<End>,
    held: Histograms<Verdict>,
    ready: Histograms<Verdict>,
    under_way: Gauge<i64, AtomicI64>,
    last_good: Gauge<i64, AtomicI64>,
}

impl SnapshotMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let gauge = |registry: &mut Registry, name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Self {
            ended: Counters::register(
                registry,
                "snapshots",
                "ConsistentSnapshots that came to their end, by what they may be called",
            ),
            held: Histograms::register(
                registry,
                "snapshots_held_seconds",
                "How long pods may have been held for a ConsistentSnapshot",
                &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0],
            ),
            ready: Histograms::register(
                registry,
                "snapshots_ready_seconds",
                "How long it took from the request until all snapshots of one could be restored",
                &[
                    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0,
                ],
            ),
            under_way: gauge(
                registry,
                "snapshots_under_way",
                "ConsistentSnapshots that this replica is at",
            ),
            last_good: gauge(
                registry,
                "snapshots_last_good_timestamp_seconds",
                "When the last one of the cluster ended well, 0 where none has",
            ),
        }
    }

    pub(super) fn ended(&self, snapshot: &Snapshot, times: Times) {
        let verdict = snapshot.verdict();
        self.ended.increment(End(Some(verdict)));
        for (histogram, time) in [(&self.held, snapshot.held()), (&self.ready, times.ready)] {
            if let Some(time) = time {
                histogram.observe(verdict, time.as_secs_f64());
            }
        }
    }

    pub(super) fn refused(&self) {
        self.ended.increment(End(None));
    }

    /// One of the cluster has ended well then, in seconds since 1970.
    pub(super) fn good(&self, then: i64) {
        self.last_good.inner().fetch_max(then, Ordering::Relaxed);
    }

    pub(super) fn under_way(&self, count: usize) {
        self.under_way.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// What one came to; nothing where it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End(Option<Verdict>);

impl Closed for End {
    const ALL: &'static [Self] = &[
        Self(None),
        Self(Some(Verdict::Consistent)),
        Self(Some(Verdict::CrashConsistent)),
        Self(Some(Verdict::Unusable)),
        Self(Some(Verdict::Deleted)),
        Self(Some(Verdict::NotReady)),
        Self(Some(Verdict::Undone)),
        Self(Some(Verdict::Stopped)),
        Self(Some(Verdict::NotUndone)),
    ];

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        let Self(verdict) = self;
        vec![("verdict", verdict.map_or("refused", Verdict::as_str))]
    }
}

impl Closed for Verdict {
    const ALL: &'static [Self] = Self::ALL;

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        vec![("verdict", self.as_str())]
    }
}

#[derive(Clone, Debug)]
pub struct RotationMetrics {
    steps: Counters<Done>,
    failures: Counters<Failure>,
    leaf_ends: Gauge<i64, AtomicI64>,
    authority_ends: Gauge<i64, AtomicI64>,
}

/// The name of a step of the rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Done(&'static str);

impl RotationMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let gauge = |registry: &mut Registry, name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Self {
            leaf_ends: gauge(
                registry,
                "controller_certificate_not_after_seconds",
                "When the certificate in the Secret ends, 0 when it has none that can be served",
            ),
            authority_ends: gauge(
                registry,
                "controller_authority_not_after_seconds",
                "When the authority beside it ends, 0 when there is none",
            ),
            steps: Counters::register(
                registry,
                "controller_certificate_steps",
                "What was done about the webhook's certificate and whom its entries trust",
            ),
            failures: Counters::register(
                registry,
                "controller_certificate_failures",
                "What could not be done about them, by reason",
            ),
        }
    }

    pub(super) fn done(&self, step: &'static str) {
        self.steps.increment(Done(step));
    }

    pub(super) fn failed(&self, failure: Failure) {
        self.failures.increment(failure);
    }

    pub(super) fn looked(&self, kept: &Kept) {
        let end = |held: Option<&Held>| held.map_or(0, |held| held.until);
        self.leaf_ends.set(end(kept.leaf.as_ref()));
        self.authority_ends.set(end(kept.authorities.first()));
    }
}

impl Closed for Done {
    const ALL: &'static [Self] = &[
        Self(Step::NAMES[0]),
        Self(Step::NAMES[1]),
        Self(Step::NAMES[2]),
        Self(Step::NAMES[3]),
        Self(Step::NAMES[4]),
        Self(MENDED),
    ];

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        vec![("step", self.0)]
    }
}

/// What is looked up when somebody asks for it.
pub struct Levels {
    pub world: Arc<World>,
    pub leadership: Leadership,
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Levels").finish_non_exhaustive()
    }
}

impl Collector for Levels {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Seen {
            namespaces,
            workloads,
            scripts,
        } = self.world.seen();
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for (name, help, value) in [
            (
                "controller_leader",
                "Whether this replica leads and writes",
                i64::from(self.leadership.is_held()),
            ),
            (
                "controller_namespaces",
                "Namespaces that are known",
                count(namespaces),
            ),
            (
                "controller_workloads",
                "Pods and pod templates that a policy may select or that use scripts",
                count(workloads),
            ),
            (
                "controller_scripts",
                "ConfigMaps with scripts that are there",
                count(scripts),
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let mut unprotected = encoder.encode_descriptor(
            "pods_unprotected",
            "Pods with a database that lack the hooks they should have, or have old ones",
            None,
            MetricType::Gauge,
        )?;
        for ((namespace, policy, reason), pods) in self.world.unprotected() {
            let labels = [
                ("namespace", &*namespace),
                ("policy", &*policy),
                ("reason", reason.as_str()),
            ];
            ConstGauge::new(count(pods)).encode(unprotected.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl Closed for Action {
    const ALL: &'static [Self] = Self::ALL;

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        vec![("step", self.as_str())]
    }
}

impl Closed for missed::Action {
    const ALL: &'static [Self] = Self::ALL;

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        vec![("step", self.as_str())]
    }
}

impl Closed for Failure {
    const ALL: &'static [Self] = Self::ALL;

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        vec![("reason", self.as_str())]
    }
}

impl Closed for Kind {
    const ALL: &'static [Self] = Self::ALL;

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        vec![("resource", self.as_str())]
    }
}
