//! One review: read, decided, logged in a line where there is something to tell, counted. Nothing is asked of the API server.

use axum::http::StatusCode;
use tracing::{debug, info, warn};

use super::counters::Counters;
use crate::{
    admission::{self, Answer, Outcome, Review},
    kubernetes::{Lookup, Namespaces},
    policy_files::InForce,
    select::{Facts, Namespace, Reason, Settings},
    server::{JSON, Reply, Reviewer, TEXT},
};

pub struct Reviews {
    pub policies: InForce,
    pub settings: Settings,
    /// Absent without a cluster.
    pub namespaces: Option<Namespaces>,
    pub counters: Counters,
}

impl Reviewer for Reviews {
    fn review(&self, body: &[u8]) -> Reply {
        match admission::parse(body) {
            Ok(review) => self.answer(&review),
            Err(refusal) => {
                self.counters.refused(&refusal);
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
        }
    }
}

impl Reviews {
    fn answer(&self, review: &Review<'_>) -> Reply {
        let looked_up = self
            .namespaces
            .as_ref()
            .map(|namespaces| namespaces.get(&review.namespace));
        let about_namespace = match &looked_up {
            Some(Lookup::Known(metadata)) => Namespace::Known {
                labels: &metadata.labels,
                annotations: &metadata.annotations,
            },
            Some(Lookup::Unknown | Lookup::NotSynced) => Namespace::NotSeen,
            None => Namespace::Unknown,
        };
        let facts = Facts {
            namespace: &review.namespace,
            about_namespace,
            owner: None,
            settings: &self.settings,
        };
        let policies = self.policies.get();
        let answer = admission::answer(review, &policies, facts);
        if !review.dry_run {
            self.counters.answered(answer.outcome, answer.reason);
        }
        log(review, &answer);
        Reply {
            status: StatusCode::OK,
            content_type: JSON,
            body: answer.body.into(),
        }
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
