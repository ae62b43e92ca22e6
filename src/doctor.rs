//! What is wrong with an installation, and what to do: judged over what somebody has seen of it.
//!
//! Pure. What may not be seen is unknown, and never wrong.

mod calls;
mod certificate;
mod controller;
mod entries;
mod finding;
mod namespaces;
mod object;
mod replicas;
mod rights;
mod schedules;
mod velero;
mod volume_policy;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use calls::{Calls, Outcome, Trial};
pub use certificate::{Shown, Source, Trust};
pub use controller::Lease;
pub use entries::{bundles, is_cluster_wide, services};
pub use finding::{Check, Finding, Weight};
pub use replicas::{Endpoint, Endpoints, secret};
pub use rights::{Account, Needed, Place, RIGHTS, Right, account, needed};
pub use volume_policy::named as volume_policies_named;

/// What came of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen<T> {
    Known(T),
    /// There is no such thing.
    Absent,
    /// We may not ask.
    Forbidden,
    /// No answer, or one that cannot be read, and why.
    Failed(String),
}

impl<T> Seen<T> {
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(it) => Some(it),
            Self::Absent | Self::Forbidden | Self::Failed(_) => None,
        }
    }

    pub fn map<U>(self, read: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Known(it) => Seen::Known(read(it)),
            Self::Absent => Seen::Absent,
            Self::Forbidden => Seen::Forbidden,
            Self::Failed(why) => Seen::Failed(why),
        }
    }
}

/// Where the parts of an installation are.
#[derive(Clone, Debug)]
pub struct Names {
    pub own_namespace: String,
    pub velero_namespace: String,
    /// Of both configurations.
    pub webhook: String,
    pub service: String,
    /// The Secret with the certificate.
    pub secret: String,
}

impl Names {
    /// What the API server calls the webhook.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.service, self.own_namespace)
    }
}

/// The labels of a namespace.
pub type Labels = BTreeMap<String, String>;

/// Everything that was seen. Objects are as the API server sent them.
#[derive(Clone, Debug)]
pub struct Observed {
    pub names: Names,
    /// Seconds since 1970, by our clock.
    pub now: i64,
    /// By how many seconds our clock is ahead of the API server's.
    pub ahead: Option<i64>,
    /// All MutatingWebhookConfigurations.
    pub mutating: Seen<Vec<Value>>,
    /// All ValidatingWebhookConfigurations.
    pub validating: Seen<Vec<Value>>,
    pub namespaces: Seen<BTreeMap<String, Labels>>,
    /// The ready endpoints of Services, by namespace and name; absent where there is no Service.
    pub services: BTreeMap<(String, String), Seen<Endpoints>>,
    /// The Deployments of our namespace.
    pub deployments: Seen<Vec<Value>>,
    /// The pods of our namespace.
    pub pods: Seen<Vec<Value>>,
    /// The annotations of the Secret with the certificate.
    pub secret: Seen<Labels>,
    pub shown: Vec<Shown>,
    pub trial: Seen<Trial>,
    pub calls: Seen<Calls>,
    /// Those rights that were asked about, and whether they are given.
    pub rights: Seen<Vec<(&'static Right, &'static str, bool)>>,
    pub lease: Seen<Lease>,
    /// The ConfigMaps with scripts that pods have and their namespaces have not, with such a pod.
    pub missing_scripts: Seen<BTreeSet<(String, String)>>,
    pub velero: Seen<Vec<Value>>,
    pub node_agents: Seen<Vec<Value>>,
    pub storage: Seen<Vec<Value>>,
    pub schedules: Seen<Vec<Value>>,
    pub backups: Seen<Vec<Value>>,
    /// The ConfigMaps that Schedules name as their volume policies.
    pub volume_policies: BTreeMap<String, Seen<Value>>,
}

/// What was found out in one check.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub check: Check,
    pub found: Found,
    /// In one sentence.
    pub says: String,
    /// A command, or a few words, that mends it.
    pub step: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Fine,
    /// Nobody lets us see it, or it cannot be told.
    Unknown,
    Finding(Finding),
}

impl Found {
    /// For programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Unknown => "unknown",
            Self::Finding(finding) => match finding.weight() {
                Weight::Careful => "careful",
                Weight::Wrong => "wrong",
            },
        }
    }

    #[must_use]
    pub const fn is_wrong(self) -> bool {
        matches!(self, Self::Finding(it) if matches!(it.weight(), Weight::Wrong))
    }
}

impl Told {
    fn fine(check: Check, says: impl Into<String>) -> Self {
        Self {
            check,
            found: Found::Fine,
            says: says.into(),
            step: None,
        }
    }

    fn unknown(check: Check, says: impl Into<String>) -> Self {
        Self {
            check,
            found: Found::Unknown,
            says: says.into(),
            step: None,
        }
    }

    fn finding(finding: Finding, says: impl Into<String>, step: impl Into<String>) -> Self {
        Self {
            check: finding.check(),
            found: Found::Finding(finding),
            says: says.into(),
            step: Some(step.into()),
        }
    }

    /// What could not be seen, where `what` is a plural; what is absent is the caller's matter.
    fn unseen<T>(check: Check, what: &str, seen: &Seen<T>) -> Self {
        Self::unknown(
            check,
            match seen {
                Seen::Forbidden => format!("we may not see {what}"),
                Seen::Failed(why) => format!("{what} were not seen: {why}"),
                Seen::Known(_) | Seen::Absent => format!("the API server knows no {what}"),
            },
        )
    }
}

/// Judges everything, in the order of the checks.
#[must_use]
pub fn examine(observed: &Observed) -> Vec<Told> {
    let judges = [
        entries::judge,
        certificate::judge,
        replicas::judge,
        calls::judge,
        rights::judge,
        namespaces::judge,
        controller::judge,
        velero::judge,
        schedules::judge,
        volume_policy::judge,
        clock,
    ];
    let mut told: Vec<Told> = judges.iter().flat_map(|judge| judge(observed)).collect();
    told.sort_by_key(|it| it.check);
    told
}

/// Differences that a certificate or a lease would notice.
const SKEW: i64 = 60;

fn clock(observed: &Observed) -> Vec<Told> {
    let Some(ahead) = observed.ahead else {
        return Vec::new();
    };
    if ahead.abs() <= SKEW {
        return Vec::new();
    }
    let how = if ahead > 0 { "ahead of" } else { "behind" };
    let says = format!("ours is {} s {how} the API server's", ahead.abs());
    vec![Told::finding(
        Finding::ClockSkew,
        says,
        "timedatectl set-ntp true",
    )]
}

#[cfg(test)]
mod tests;
