//! What keeps every policy away from a pod.

use std::{fmt, str::FromStr};

use super::{Facts, Namespace, Reason, Settings, method};
use crate::{pod::PodView, policy::INJECT_LABEL};

/// Which pods are considered when neither they nor their namespace say anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// None.
    OptIn,
    /// All.
    OptOut,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OptIn => "opt-in",
            Self::OptOut => "opt-out",
        })
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "opt-in" => Ok(Self::OptIn),
            "opt-out" => Ok(Self::OptOut),
            _ => Err(format!("{text:?} is not opt-in or opt-out")),
        }
    }
}

/// Why no policy is asked about this pod, if none is.
#[must_use]
pub fn gate(pod: &PodView<'_>, facts: Facts<'_>) -> Option<Reason> {
    let Facts {
        namespace,
        settings,
        ..
    } = facts;
    if pod.annotation("kubernetes.io/config.mirror").is_some() {
        return Some(Reason::MirrorPod);
    }
    if is_windows(pod) {
        return Some(Reason::WindowsPod);
    }
    if let Some(why) = left_alone(namespace, settings) {
        return Some(why);
    }
    if let Some(why) = not_wanted(pod, facts) {
        return Some(why);
    }
    if ends_by_itself(pod, facts) {
        return Some(Reason::EndsByItself);
    }
    (method(pod, facts) == "off").then_some(Reason::MethodOff)
}

/// Why nothing is done in a namespace, whatever is in it.
#[must_use]
pub fn left_alone(namespace: &str, settings: &Settings) -> Option<Reason> {
    if namespace.starts_with("kube-") {
        Some(Reason::SystemNamespace)
    } else if namespace == settings.own_namespace {
        Some(Reason::OwnNamespace)
    } else if namespace == settings.velero_namespace {
        Some(Reason::VeleroNamespace)
    } else {
        None
    }
}

fn is_windows(pod: &PodView<'_>) -> bool {
    let os = pod.spec.os.as_ref().map(|os| &*os.name);
    let selected = pod.spec.node_selector.as_ref();
    os == Some("windows") || selected.and_then(|it| it.get("kubernetes.io/os")) == Some("windows")
}

/// The pod's word counts before its namespace's, and that before the mode.
fn not_wanted(pod: &PodView<'_>, facts: Facts<'_>) -> Option<Reason> {
    match pod.label(INJECT_LABEL) {
        Some("enabled") => return None,
        Some("disabled") => return Some(Reason::DisabledByPod),
        _ => {}
    }
    let of_namespace = match facts.about_namespace {
        Namespace::Known { labels, .. } => labels.get(INJECT_LABEL).map(String::as_str),
        unknown if facts.settings.mode == Mode::OptIn => {
            return Some(unknown.why_unknown());
        }
        Namespace::Unknown | Namespace::NotSeen => None,
    };
    match (of_namespace, facts.settings.mode) {
        (Some("enabled"), _) => None,
        (Some("disabled"), _) => Some(Reason::DisabledByNamespace),
        (_, Mode::OptIn) => Some(Reason::NotEnabled),
        (_, Mode::OptOut) => None,
    }
}

fn ends_by_itself(pod: &PodView<'_>, facts: Facts<'_>) -> bool {
    let restarts = pod.spec.restart_policy.as_deref().unwrap_or("Always");
    let of_a_job = |kind: &str| matches!(kind, "Job" | "CronJob");
    restarts != "Always"
        || pod.owners().any(|owner| of_a_job(&owner.kind))
        || facts.owner.is_some_and(|(kind, _)| of_a_job(kind))
}
