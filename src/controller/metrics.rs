//! What the controller counts. All labels come from closed lists.
use std::{
    fmt,
    sync::{Arc, atomic::AtomicI64},
};

use k8s_openapi::jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::gauge::{ConstGauge, Gauge},
    registry::Registry,
};

use super::{
    scripts::Failure,
    world::{Kind, Seen, World},
};
use crate::{
    kubernetes::Leadership,
    replica::Action,
    telemetry::metrics::{Closed, Counters},
};

#[derive(Clone, Debug)]
pub struct ControllerMetrics {
    steps: Counters<Action>,
    failures: Counters<Failure>,
    breaks: Counters<Kind>,
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
            last_pass,
        }
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
        Ok(())
    }
}

impl Closed for Action {
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
