//! What the webhook counts of its own subject. All labels come from closed lists.

use prometheus_client::registry::Registry;

use crate::{
    admission::{Judgement, Outcome, Refusal},
    select::Reason,
    telemetry::metrics::{self, Closed},
};

#[derive(Clone, Debug)]
pub struct Counters {
    outcomes: metrics::Counters<Outcome>,
    reasons: metrics::Counters<Reason>,
    refusals: metrics::Counters<Refused>,
    guarded: metrics::Counters<Guarded>,
}

/// What became of a review of a guard: judged, or nobody could tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarded(pub Option<Judgement>);

/// The name of a [`Refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(&'static str);

impl Counters {
    pub fn register(registry: &mut Registry) -> Self {
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
            guarded: metrics::Counters::register(
                registry,
                "guarded",
                "Reviews of guarded namespaces answered, by what was said of the hooks",
            ),
        }
    }

    pub fn answered(&self, outcome: Outcome, reason: Option<Reason>) {
        self.outcomes.increment(outcome);
        if let Some(reason) = reason {
            self.reasons.increment(reason);
        }
    }

    pub fn guarded(&self, guarded: Guarded) {
        self.guarded.increment(guarded);
    }

    pub fn refused(&self, refusal: &Refusal) {
        self.refusals.increment(Refused(refusal.as_str()));
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

impl Closed for Guarded {
    const ALL: &'static [Self] = &[
        Self(Some(Judgement::Allowed)),
        Self(Some(Judgement::Named)),
        Self(Some(Judgement::Refused)),
        Self(None),
    ];

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        let judgement = self.0.map_or("undecided", Judgement::as_str);
        vec![("judgement", judgement)]
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
