//! What to do about a finding, as a command wherever one does it.

use std::{collections::BTreeMap, sync::LazyLock};

use super::{Finding, Reason, Volume, volumes::Holds};
use crate::{library, velero::BACKUP_VOLUMES};

/// The policy of the library for each engine: one that is proven and makes a dump, if there is one.
static LIBRARY: LazyLock<BTreeMap<String, (Rank, String)>> = LazyLock::new(|| {
    let mut by_engine: BTreeMap<String, (Rank, String)> = BTreeMap::new();
    for place in library::policies() {
        let about = &place.policy.about;
        for engine in about.engine.split(", ") {
            let mut methods = place.policy.matching.pod_selector.methods();
            let rank = (about.proven.is_some(), methods.any(|it| it == "dump"));
            let candidate = (rank, place.policy.name.clone());
            let best = by_engine
                .entry(engine.to_owned())
                .or_insert_with(|| candidate.clone());
            if rank > best.0 {
                *best = candidate;
            }
        }
    }
    by_engine
});

/// Whether a policy is proven, and whether it makes a dump.
type Rank = (bool, bool);

/// What to do next, where something is to be done.
pub fn next(finding: &Finding, dumps: &[String]) -> Option<String> {
    let namespace = &finding.namespace;
    match finding.reason {
        Reason::Hooked
        | Reason::WhenCreated
        | Reason::OtherPolicy
        | Reason::AuthorsHook
        | Reason::BackupsHook
        | Reason::Operator
        | Reason::MethodOff
        | Reason::Disabled
        | Reason::EndsByItself
        | Reason::ReservedNamespace => None,
        Reason::Missed | Reason::Incomplete | Reason::Outdated => Some(made_anew(finding)),
        Reason::WrongContainer | Reason::AuthorsHookFails => Some(finding.lint.map_or_else(
            || made_anew(finding),
            |code| format!("quiescent lint --explain {code}"),
        )),
        Reason::SeveralClaims => Some(
            "label the namespace quiescent.dev/method=dump, or keep the data on one claim"
                .to_owned(),
        ),
        Reason::DataNotSaved => Some(format!(
            "back up the volume with the data of {namespace}/{}",
            finding.pod
        )),
        Reason::NoPreHook => Some(format!(
            "add a pre hook to {}, or take the others out",
            maker(finding)
        )),
        Reason::NotEnabled => Some(format!(
            "kubectl label namespace {namespace} quiescent.dev/inject=enabled, then {}",
            made_anew(finding)
        )),
        Reason::NoPolicy => Some(policy_for(finding)),
        Reason::NotSelected => Some(format!(
            "kubectl -n {namespace} get pod {} -o yaml | quiescent explain -f -",
            finding.pod
        )),
        Reason::NoSchedule => Some(format!(
            "velero schedule create {namespace} --schedule '0 1 * * *' --include-namespaces {namespace}"
        )),
        Reason::ExcludedFromBackup => Some(format!(
            "take the label velero.io/exclude-from-backup off {}",
            maker(finding)
        )),
        Reason::MissingScripts => Some(scripts(finding)),
        Reason::DumpNotSaved => Some(format!(
            "list {} in {BACKUP_VOLUMES} of {}, and leave it out of no backup",
            dumps.join(","),
            maker(finding)
        )),
        Reason::FileCopy => Some(format!(
            "take the data volume out of {BACKUP_VOLUMES}, or label the namespace quiescent.dev/method=dump"
        )),
    }
}

/// The scripts of the policies as they are now. A pod with those of an older version needs newer hooks.
fn scripts(finding: &Finding) -> String {
    match &finding.recreated {
        super::Recreated::Hooked(now) if *now != finding.policies => made_anew(finding),
        _ => format!(
            "quiescent scripts -n {0} | kubectl apply -f -",
            finding.namespace
        ),
    }
}

/// Has the pod made anew. What lies in no claim is lost then.
fn made_anew(finding: &Finding) -> String {
    let namespace = &finding.namespace;
    let restart = match &finding.owner {
        Some((kind, name))
            if matches!(kind.as_str(), "StatefulSet" | "Deployment" | "DaemonSet") =>
        {
            format!(
                "kubectl -n {namespace} rollout restart {}/{name}",
                kind.to_lowercase()
            )
        }
        _ => format!("make {} anew", maker(finding)),
    };
    let data = finding.volumes.iter().filter(|it| it.holds == Holds::Data);
    if data.clone().next().is_none() || data.clone().any(|it: &Volume| it.fleeting) {
        format!("save its data, which no claim keeps, then {restart}")
    } else {
        restart
    }
}

/// Whose manifest is to be changed.
fn maker(finding: &Finding) -> String {
    let namespace = &finding.namespace;
    match &finding.owner {
        Some((kind, name)) => format!("{} {namespace}/{name}", kind.to_lowercase()),
        None => format!("pod {namespace}/{}", finding.pod),
    }
}

fn policy_for(finding: &Finding) -> String {
    match LIBRARY.get(&finding.engine) {
        // It is for other images, or has to be named.
        Some((_, name)) => format!("quiescent library export {name} my-policy, and name its image"),
        None => format!("write a policy for {}: quiescent schema", finding.engine),
    }
}
