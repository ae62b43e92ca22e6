//! One review: read, decided, logged in a line where there is something to tell, counted. Nothing is asked of the API server.

use std::sync::Arc;

use axum::http::StatusCode;
use tracing::{debug, info, warn};

use super::counters::Counters;
use crate::{
    admission::{self, Answer, Outcome, Refusal, Review},
    kubernetes::{Lookup, Namespaces},
    policy_files::InForce,
    select::{Facts, Namespace, Reason, Settings},
    server::{JSON, Reply, Reviewer, TEXT},
};

/// What is asked about every pod.
pub struct Basis {
    pub policies: InForce,
    pub settings: Settings,
    /// Absent without a cluster.
    pub namespaces: Option<Namespaces>,
}

pub struct Reviews {
    pub basis: Arc<Basis>,
    pub counters: Counters,
}

impl Reviewer for Reviews {
    fn review(&self, body: &[u8]) -> Reply {
        match admission::parse(body) {
            Ok(review) => self.answer(&review),
            Err(refusal) => refuse(&refusal, &self.counters),
        }
    }
}

impl Reviews {
    fn answer(&self, review: &Review<'_>) -> Reply {
        let Self { basis, counters } = self;
        let policies = basis.policies.get();
        basis.about(&review.namespace, |facts| {
            let answer = admission::answer(review, &policies, facts);
            if !review.dry_run {
                counters.answered(answer.outcome, answer.reason);
            }
            log(review, &answer);
            Reply {
                status: StatusCode::OK,
                content_type: JSON,
                body: answer.body.into(),
            }
        })
    }
}

impl Basis {
    /// Decides with what is known of a namespace.
    pub fn about<T>(&self, namespace: &str, decide: impl FnOnce(Facts<'_>) -> T) -> T {
        let namespaces = self.namespaces.as_ref();
        let looked_up = namespaces.map(|namespaces| namespaces.get(namespace));
        let about_namespace = match &looked_up {
            Some(Lookup::Known(metadata)) => Namespace::Known {
                labels: &metadata.labels,
                annotations: &metadata.annotations,
            },
            Some(Lookup::Unknown | Lookup::NotSynced) => Namespace::NotSeen,
            None => Namespace::Unknown,
        };
        decide(Facts {
            namespace,
            about_namespace,
            owner: None,
            settings: &self.settings,
        })
    }
}

/// Sends a body away that is no review.
pub fn refuse(refusal: &Refusal, counters: &Counters) -> Reply {
    counters.refused(refusal);
    warn!(
        reason = refusal.as_str(),
        "a body that is no review: {refusal}"
    );
    Reply {
        status: StatusCode::BAD_REQUEST,
        content_type: TEXT,
        body: format!("{refusal}\n").into(),
    }
}

/// Never the object: it has other people's passwords in it.
///
/// Most pods are none of ours, and a line for each would cost more than its review: those are told at
/// the level `debug` alone.
fn log(review: &Review<'_>, answer: &Answer<'_>) {
    let Answer {
        outcome,
        reason,
        recognised,
        policies,
        pod,
        ..
    } = answer;
    macro_rules! line {
        ($level:ident, $what:literal) => {
            $level!(
                uid = &*review.uid,
                namespace = &*review.namespace,
                pod,
                owner = answer.owner().map(tracing::field::display),
                policies = &**policies,
                outcome = outcome.as_str(),
                reason = reason.map(Reason::as_str),
                recognised = recognised.map(|known| known.name),
                dry_run = review.dry_run,
                $what
            )
        };
    }
    match outcome {
        Outcome::Injected => line!(info, "hooks injected"),
        Outcome::Denied => line!(info, "refused by a policy"),
        Outcome::Unchanged => line!(debug, "hooks are there already"),
        Outcome::Passed if recognised.is_some() => line!(debug, "left alone"),
        Outcome::Passed if reason.is_some_and(Reason::is_near) => line!(info, "passed over"),
        Outcome::Passed => line!(debug, "passed over"),
    }
}
