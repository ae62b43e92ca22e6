//! What the hooks of one backup or restore mean for each pod.

use std::collections::BTreeMap;

use super::{HookRun, Volume, never_undone};
use crate::{trial::Said, velero::objects::Kind};

/// When a hook ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Pre,
    Post,
    /// After the pod was restored.
    Restore,
}

impl Phase {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::Post => "post",
            Self::Restore => "restore",
        }
    }
}

/// One hook of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    pub phase: Phase,
    /// One that is in force; empty where it is of none.
    pub policy: String,
    /// How long it took, in whole seconds.
    pub seconds: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
}

/// What is known of a pod's data after a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dump {
    /// They were dumped, or held still, at this time, in seconds since 1970.
    Good(i64),
    Bad,
    /// No policy was to make any, or the pod was not the one to make it.
    None,
}

/// What became of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub namespace: String,
    /// Empty where the log does not tell whose hooks they were.
    pub pod: String,
    pub ran: Vec<Ran>,
    /// Why no post hook ran after pre, where one should have.
    pub missing: Option<&'static str>,
    /// For how long writes were held, in seconds, where the hook says it.
    pub held: Option<u64>,
    pub dump: Dump,
}

/// By pod. `has_post` says of a policy that is in force in a namespace whether it has a post hook; a name
/// that is of none is passed over, since whoever wrote the pod decides what stands there.
#[must_use]
pub fn outcomes(
    kind: Kind,
    runs: &[HookRun],
    volumes: &[Volume],
    has_post: impl Fn(&str, &str) -> Option<bool>,
) -> Vec<Outcome> {
    let mut by_pod: BTreeMap<(&str, &str), Vec<&HookRun>> = BTreeMap::new();
    for run in runs {
        let of_pod = by_pod.entry((&run.namespace, &run.pod)).or_default();
        of_pod.push(run);
    }
    let flags = match kind {
        Kind::Backup => never_undone(runs),
        Kind::Restore => Vec::new(),
    };
    let outcome = |((namespace, pod), runs): ((&str, &str), Vec<&HookRun>)| {
        let is_its = |of: &str, name: &str| of == namespace && name == pod;
        let flag = flags.iter().find(|it| is_its(&it.namespace, &it.pod));
        let mut its = volumes
            .iter()
            .filter(|it| is_its(&it.namespace, it.pod.as_deref().unwrap_or_default()));
        let copied = !its.any(Volume::has_failed);
        let policy = |run| policy(run).filter(|it| has_post(it, namespace).is_some());
        let runs: Vec<(&HookRun, Option<String>)> =
            runs.into_iter().map(|run| (run, policy(run))).collect();
        let is_undone = |policy: &Option<String>| {
            let policy = policy.as_deref();
            policy.is_some_and(|it| has_post(it, namespace) == Some(true))
        };
        // A pre hook that somebody wrote by hand may need none.
        let needed = runs.iter().any(|(_, policy)| is_undone(policy));
        let missing = flag.filter(|flag| needed || !flag.may_have_none);
        Outcome {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            missing: missing.map(|flag| flag.says),
            held: runs.iter().filter_map(|(run, _)| held(run)).max(),
            dump: match (kind, dump(&runs)) {
                (Kind::Restore, _) => Dump::None,
                (Kind::Backup, Dump::Good(_)) if !copied => Dump::Bad,
                (Kind::Backup, dump) => dump,
            },
            ran: runs
                .into_iter()
                .map(|(run, policy)| ran(kind, run, policy))
                .collect(),
        }
    };
    by_pod.into_iter().map(outcome).collect()
}

fn ran(kind: Kind, run: &HookRun, policy: Option<String>) -> Ran {
    let open = || "the log does not say how it ended".to_owned();
    Ran {
        phase: match (kind, &*run.phase) {
            (Kind::Restore, _) => Phase::Restore,
            (Kind::Backup, "post") => Phase::Post,
            (Kind::Backup, _) => Phase::Pre,
        },
        policy: policy.unwrap_or_default(),
        seconds: run.seconds,
        error: run.error.clone().or_else(|| run.is_open().then(open)),
    }
}

/// The policy that a hook is of.
fn policy(run: &HookRun) -> Option<String> {
    if let Some(said) = run.results().into_iter().next() {
        return Some(said.policy);
    }
    let (_, scripts) = run.command.split_once("/quiescent/")?;
    let (policy, _) = scripts.split_once('/')?;
    Some(policy.to_owned())
}

fn held(run: &HookRun) -> Option<u64> {
    run.results().iter().filter_map(Said::held).max()
}

fn dump(runs: &[(&HookRun, Option<String>)]) -> Dump {
    let of_policies = runs
        .iter()
        .filter(|(run, policy)| run.phase == "pre" && policy.is_some());
    let mut dump = Dump::None;
    for (run, _) in of_policies {
        if run.error.is_some() || run.is_open() {
            return Dump::Bad;
        }
        if run.results().iter().any(|said| said.result == "ok") {
            dump = run.ended().map_or(Dump::None, Dump::Good);
        }
    }
    dump
}

/// What somebody should be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub namespace: String,
    pub pod: String,
    pub policy: String,
    pub phase: Phase,
    pub reason: Reason,
    pub says: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    HookFailed,
    PostMissing,
}

impl Reason {
    /// As Events and alerts write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HookFailed => "HookFailed",
            Self::PostMissing => "PostMissing",
        }
    }
}

/// What is wrong with a pod.
pub fn problems(outcome: &Outcome) -> impl Iterator<Item = Problem> {
    let Outcome {
        namespace,
        pod,
        ran,
        missing,
        held: _,
        dump: _,
    } = outcome;
    let problem = |phase, policy: &str, reason, says| Problem {
        namespace: namespace.clone(),
        pod: pod.clone(),
        policy: policy.to_owned(),
        phase,
        reason,
        says,
    };
    let failed = ran.iter().filter_map(move |ran| {
        let says = format!(
            "the {} hook failed: {}",
            ran.phase.as_str(),
            ran.error.as_ref()?
        );
        Some(problem(ran.phase, &ran.policy, Reason::HookFailed, says))
    });
    let missing = missing.map(|says| {
        let policy = ran.first().map_or("", |it| &it.policy);
        problem(Phase::Post, policy, Reason::PostMissing, says.to_owned())
    });
    failed.chain(missing)
}
