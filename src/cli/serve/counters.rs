//! What the webhook counts of its own subject. All labels come from closed lists.

use std::sync::atomic::AtomicI64;

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

use crate::{
    admission::{Outcome, Refusal},
    policy_files::Reload,
    select::Reason,
    telemetry::metrics::{self, Closed},
};

#[derive(Clone, Debug)]
pub struct Counters {
    outcomes: metrics::Counters<Outcome>,
    reasons: metrics::Counters<Reason>,
    refusals: metrics::Counters<Refused>,
    reloads: metrics::Counters<Reload>,
    policies: Gauge<i64, AtomicI64>,
}

/// The name of a [`Refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(&'static str);

impl Counters {
    pub fn register(registry: &mut Registry) -> Self {
        let policies = Gauge::default();
        registry.register("policies", "Policies in force", policies.clone());
        Self {
            outcomes: metrics::Counters::register(
                registry,
                "reviews",
                "Reviews answered, by what was done",
            ),
            reasons: metrics::Counters::register(
                registry,
                "reviews_passed",
                "Reviews of which the pod got nothing, by reason",
            ),
            refusals: metrics::Counters::register(
                registry,
                "reviews_refused",
                "Bodies that were no review, by what was wrong",
            ),
            reloads: metrics::Counters::register(
                registry,
                "policy_reloads",
                "Changes of policy files, by what came of them",
            ),
            policies,
        }
    }

    pub fn answered(&self, outcome: Outcome, reason: Option<Reason>) {
        self.outcomes.increment(outcome);
        if let Some(reason) = reason {
            self.reasons.increment(reason);
        }
    }

    pub fn refused(&self, refusal: &Refusal) {
        self.refusals.increment(Refused(refusal.as_str()));
    }

    pub fn policies(&self, count: usize) {
        self.policies.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub fn reload(&self, reload: Reload, count: usize) {
        if reload != Reload::Unchanged {
            self.reloads.increment(reload);
            self.policies(count);
        }
    }
}

impl Closed for Outcome {
    const ALL: &'static [Self] = &Self::ALL;

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        vec![("outcome", self.as_str())]
    }
}

impl Closed for Reason {
    const ALL: &'static [Self] = Self::ALL;

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        vec![("reason", self.as_str())]
    }
}

impl Closed for Refused {
    const ALL: &'static [Self] = &{
        let mut all = [Self(""); Refusal::ALL.len()];
        let mut position = 0;
        while position < all.len() {
            all[position] = Self(Refusal::ALL[position]);
            position += 1;
        }
        all
    };

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        vec![("reason", self.0)]
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
