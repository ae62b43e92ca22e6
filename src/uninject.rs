//! The way back for one pod: what injection put in is taken out, and nothing else.

use serde_json::Value;

use crate::{
    patch::{Patch, withdrawal},
    plan::{Withdrawal, withdraw},
    pod::PodView,
    policy::PolicySet,
    select::Facts,
};

/// What is taken out of one pod, and how.
#[derive(Debug)]
pub struct Uninjection {
    pub withdrawal: Withdrawal,
    pub patch: Patch<'static>,
}

/// Decides about a pod, of which `view` is a view. The policies tell what of it is theirs.
#[must_use]
pub fn uninject(
    policies: &PolicySet,
    pod: &Value,
    view: &PodView<'_>,
    facts: Facts<'_>,
) -> Uninjection {
    let found = withdraw(policies, pod, view, facts);
    let patch = withdrawal(&found.removals, pod);
    Uninjection {
        withdrawal: found,
        patch,
    }
}

#[cfg(test)]
mod tests;
