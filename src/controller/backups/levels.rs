//! What hooks did and how verifications went, for whoever asks the replica that leads.
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::{
    kubernetes::Leadership,
    results::ledger::{Group, Ledger, Levels},
};

/// The metrics of a ledger. Another replica has none, so that nothing is said twice.
pub struct ResultLevels {
    pub ledger: Arc<Mutex<Ledger>>,
    pub leadership: Leadership,
}

impl fmt::Debug for ResultLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultLevels").finish_non_exhaustive()
    }
}

impl Collector for ResultLevels {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let levels = if self.leadership.is_held() {
            let ledger = self.ledger.lock();
            ledger.unwrap_or_else(PoisonError::into_inner).levels()
        } else {
            Levels::default()
        };
        let Levels {
            hooks,
            missing,
            held,
            dumps,
            verified,
            failures,
            never_ran,
        } = &levels;
        let mut samples = Samples(&mut encoder);
        samples.gauges(
            "hook_duration_seconds",
            "How long the slowest hook of a group took in the newest backup or restore of its pod",
            hooks.iter().map(|(group, it)| (of(group), it.seconds)),
        )?;
        samples.gauges(
            "hooks_failed",
            "Hooks that failed in the newest backup or restore of their pod",
            hooks
                .iter()
                .map(|(group, it)| (of(group), count(it.failed))),
        )?;
        samples.gauges(
            "posts_missing",
            "Pods whose pre hook ran in their newest backup, and whose post hook never did",
            missing
                .iter()
                .map(|(namespace, pods)| (vec![("namespace", &**namespace)], count(*pods))),
        )?;
        samples.gauges(
            "writes_held_seconds",
            "For how long writes were held in the newest backup, where the hook says it",
            held.iter().map(|((namespace, policy), seconds)| {
                let labels = vec![("namespace", &**namespace), ("policy", &**policy)];
                (labels, i64::try_from(*seconds).unwrap_or(i64::MAX))
            }),
        )?;
        samples.gauges(
            "last_good_dump_timestamp_seconds",
            "When a pre hook of a policy last ended well and all volumes of the pod were copied, 0 for never",
            dumps.iter().map(|((namespace, pod), at)| {
                (vec![("namespace", &**namespace), ("pod", &**pod)], *at)
            }),
        )?;
        let verified = || verified.iter();
        samples.gauges(
            "verification_last_success_timestamp_seconds",
            "When a backup of the schedule last passed its verification, 0 for never",
            verified().map(|(schedule, it)| (vec![("schedule", &**schedule)], it.passed)),
        )?;
        samples.gauges(
            "verification_failed",
            "Whether the newest verification of a backup of the schedule failed",
            verified()
                .map(|(schedule, it)| (vec![("schedule", &**schedule)], i64::from(it.failed))),
        )?;
        samples.counters(
            "hook_failures",
            "Hooks that failed, since this replica leads",
            failures.iter().map(|(group, count)| (of(group), *count)),
        )?;
        samples.counters(
            "post_missing",
            "Pods whose pre hook ran and whose post hook never did, since this replica leads",
            never_ran
                .iter()
                .map(|(namespace, count)| (vec![("namespace", &**namespace)], *count)),
        )
    }
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

struct Samples<'e, 'd>(&'e mut DescriptorEncoder<'d>);

impl Samples<'_, '_> {
    fn gauges<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl Iterator<Item = (Labels<'a>, i64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl Iterator<Item = (Labels<'a>, u64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn of((namespace, policy, phase): &Group) -> Labels<'_> {
    vec![
        ("namespace", namespace),
        ("policy", policy),
        ("phase", phase.as_str()),
    ]
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
