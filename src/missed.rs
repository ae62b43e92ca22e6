//! Pods that run without the hooks they should have: how each stands, what would mend it, whom to tell.
//!
//! Pure: whoever watches pods hands them over, keeps the outcome, and does what is to be done.
mod heal;
mod notice;

use std::collections::BTreeMap;

pub use heal::{Healed, Healing, anew, candidates, is_ready, last, to_forget};
pub use notice::{Notice, Told, notices};

use crate::{
    audit::{Around, Finding, Holds, Reason, Recreated, audit},
    inject::inject,
    plan::{Change, Plan},
    pod::PodView,
    policy::PolicySet,
    replica::Moment,
    select::Facts,
};

/// How one pod stands: what an audit says of the database in it that is worst off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub reason: Reason,
    /// The policy that it has or lacks, of those in force; the first, where there are several.
    pub policy: Option<Box<str>>,
    pub mend: Mend,
    /// What a person would do, where somebody is to be told.
    pub next: Option<Box<str>>,
}

/// What gives a pod the hooks that it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mend {
    /// Nothing is to be mended, or nothing here can.
    Nothing,
    /// It lacks annotations and nothing else, and those of a running pod can be changed.
    InPlace,
    /// To be made anew, which loses nothing of its database; it then gets these policies.
    Anew { policies: Box<str> },
}

/// A pod that is counted, with what has to be known to do something about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub namespace: String,
    pub pod: String,
    pub uid: String,
    pub created: Moment,
    /// What keeps making it; a pod without is its own.
    pub owner: Option<Owner>,
    pub standing: Standing,
}

/// What controls a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
}

/// What was done about missed pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Tell,
    Repair,
    Heal,
}

impl Action {
    pub const ALL: &'static [Self] = &[Self::Tell, Self::Repair, Self::Heal];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tell => "tell",
            Self::Repair => "repair",
            Self::Heal => "heal",
        }
    }
}

impl Standing {
    /// Whether it belongs among the unprotected: a hook of an older version runs, and is not what it
    /// should be.
    #[must_use]
    pub const fn is_counted(&self) -> bool {
        self.reason.verdict().is_bad() || matches!(self.reason, Reason::Outdated)
    }

    /// Whether its owner is told. Nobody is who left the pod out on purpose, or has asked for nothing.
    #[must_use]
    pub const fn is_told(&self) -> bool {
        self.is_counted() && !is_somebodys_choice(self.reason)
    }

    /// Whether something is to be said or done about it.
    #[must_use]
    pub const fn matters(&self) -> bool {
        self.is_told() || !matches!(self.mend, Mend::Nothing)
    }
}

const fn is_somebodys_choice(reason: Reason) -> bool {
    matches!(reason, Reason::NotEnabled | Reason::ExcludedFromBackup)
}

/// Looks at a pod, given as its JSON. One without a database has no standing.
#[must_use]
pub fn look(policies: &PolicySet, pod: &str, around: Around<'_>) -> Option<Standing> {
    let found = audit(policies, pod, around).ok()?;
    let worst = found.iter().min_by_key(|it| rank(it))?;
    let mut standing = Standing {
        reason: worst.reason,
        policy: policy(policies, worst, around.facts.namespace),
        mend: mend(policies, pod, around.facts, &found),
        next: None,
    };
    if standing.is_told() {
        standing.next = worst.next.as_deref().map(Box::from);
    }
    Some(standing)
}

/// The worst first.
fn rank(finding: &Finding) -> u8 {
    match finding.reason {
        reason if reason.verdict().is_bad() => 0,
        Reason::Outdated => 1,
        _ => 2,
    }
}

/// A name that is in force: what else stands in an annotation anybody may write there.
fn policy(policies: &PolicySet, finding: &Finding, namespace: &str) -> Option<Box<str>> {
    let recreated = match &finding.recreated {
        Recreated::Hooked(recreated) => recreated.as_slice(),
        Recreated::AsWritten(_) => &[],
    };
    let mut entries = finding.policies.iter().chain(recreated);
    entries.find_map(|entry| {
        let (name, _) = entry.split_once('@')?;
        Some(policies.get(name, namespace)?.name.as_str().into())
    })
}

fn mend(policies: &PolicySet, pod: &str, facts: Facts<'_>, found: &[Finding]) -> Mend {
    let Ok(view) = PodView::parse(pod) else {
        return Mend::Nothing;
    };
    let injection = inject(policies, &view, facts);
    if annotations(&injection.plan).is_some() {
        return Mend::InPlace;
    }
    let mut missed = found.iter().filter(|it| it.reason.verdict().is_bad());
    let anew = |it: &Finding| {
        matches!(it.reason, Reason::Missed | Reason::Incomplete)
            && matches!(it.recreated, Recreated::Hooked(_))
    };
    let is_missed = found.iter().any(anew);
    if is_missed && missed.all(anew) && found.iter().all(outlives_its_pod) {
        let policies = injection.plan.provenance().into();
        return Mend::Anew { policies };
    }
    Mend::Nothing
}

/// Whether all data of a database are still there when its pod is made anew.
fn outlives_its_pod(finding: &Finding) -> bool {
    let mut data = finding.volumes.iter().filter(|it| it.holds == Holds::Data);
    let first = data.next();
    first.is_some_and(|it| !it.fleeting) && data.all(|it| !it.fleeting)
}

/// The annotations that a pod is to get, and those to lose, where a plan asks for nothing else.
///
/// Volumes and mounts of a running pod cannot be changed. A plan without them means that all are there,
/// so the hook can run.
fn annotations(plan: &Plan<'_>) -> Option<Annotations> {
    // Init containers of a running pod have run.
    let changes = plan.changes.iter();
    let changes = changes.filter(|change| !matches!(change, Change::Complete(_)));
    let changes = changes.map(|change| match change {
        Change::Annotation { key, value, .. } => Some((*key, Some(value.to_string()))),
        Change::NoAnnotation { key, .. } => Some((*key, None)),
        Change::Volume(_)
        | Change::Scripts { .. }
        | Change::Mount(_)
        | Change::Container(_)
        | Change::Complete(_) => None,
    });
    let annotations: Annotations = changes.collect::<Option<_>>()?;
    (!annotations.is_empty()).then_some(annotations)
}

/// Values by key; none where the annotation is to go.
pub type Annotations = BTreeMap<&'static str, Option<String>>;

/// What is to be written on a running pod, exactly as the webhook would have written it.
#[must_use]
pub fn in_place(policies: &PolicySet, pod: &str, facts: Facts<'_>) -> Option<Annotations> {
    let view = PodView::parse(pod).ok()?;
    annotations(&inject(policies, &view, facts).plan)
}

#[cfg(test)]
mod tests;
