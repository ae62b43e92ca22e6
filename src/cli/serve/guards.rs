//! One review of a guarded namespace: read, judged, logged where something is strange, counted.

use std::sync::Arc;

use axum::http::StatusCode;
use tracing::{info, warn};

use super::{
    counters::{Counters, Guarded as Counted},
    reviews::{Basis, refuse},
};
use crate::{
    admission::{self, Guard, Guarded, Judged},
    guard::Undecided,
    server::{JSON, Reply, Reviewer, TEXT},
};

/// Where strange hooks are named in a warning.
pub const WARN: &str = "/guard/warn";

/// Where pods with strange hooks are refused.
pub const ENFORCE: &str = "/guard/enforce";

pub struct Guards {
    pub guard: Guard,
    pub basis: Arc<Basis>,
    pub counters: Counters,
}

impl Reviewer for Guards {
    fn review(&self, body: &[u8]) -> Reply {
        match admission::parse_guarded(body) {
            Ok(review) => self.answer(&review),
            Err(refusal) => refuse(&refusal, &self.counters),
        }
    }
}

impl Guards {
    fn answer(&self, review: &Guarded<'_>) -> Reply {
        let policies = self.basis.policies.get();
        let judged = self.basis.about(&review.namespace, |facts| {
            admission::judge(review, self.guard, &policies, facts)
        });
        if !review.dry_run {
            let judgement = judged.as_ref().ok().map(|judged| judged.judgement);
            self.counters.guarded(Counted(judgement));
        }
        match judged {
            Ok(judged) => {
                log(review, &judged);
                Reply {
                    status: StatusCode::OK,
                    content_type: JSON,
                    body: judged.body.into(),
                }
            }
            Err(undecided) => cannot_tell(review, undecided),
        }
    }
}

/// The key alone: what stands there may be somebody's secret.
fn log(review: &Guarded<'_>, judged: &Judged) {
    if let Some(strange) = &judged.strange {
        info!(
            uid = &*review.uid,
            namespace = &*review.namespace,
            pod = review.name.as_deref(),
            key = strange.key,
            judgement = judged.judgement.as_str(),
            dry_run = review.dry_run,
            "a hook that no policy gives"
        );
    }
}

fn cannot_tell(review: &Guarded<'_>, undecided: Undecided) -> Reply {
    let Undecided(reason) = undecided;
    warn!(
        uid = &*review.uid,
        namespace = &*review.namespace,
        pod = review.name.as_deref(),
        reason = reason.as_str(),
        "hooks that cannot be judged"
    );
    Reply {
        status: StatusCode::SERVICE_UNAVAILABLE,
        content_type: TEXT,
        body: format!("{undecided}\n").into(),
    }
}
