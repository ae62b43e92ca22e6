//! What a pod is to get from the policies that select it, and what is left alone and why.
//!
//! Wanted and present are compared one by one, so that a pod that has it all gets nothing, and one
//! that has a part of it gets the rest.

mod compose;
mod hooks;
mod volumes;

use crate::{
    pod::PodView,
    policy::{OnConflict, Policy, Volume},
    select::{Facts, Reason, Verdict},
    velero::{BACKUP_VOLUMES, HookPhase, RestoreWait, backup_volumes},
};
use compose::{Step, Undo};
use hooks::Present;

/// Which policies a pod was changed by, and in which version.
pub const PROVENANCE: &str = "quiescent.dev/policies";

/// The outcome for one pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan<'p> {
    /// The policies that the pod follows now, in order.
    pub applied: Vec<Applied<'p>>,
    /// Those that selected the pod and still could not be followed.
    pub passed: Vec<(&'p Policy, Reason)>,
    /// What is left out of an applied policy.
    pub notes: Vec<Note>,
    /// What is to be done, in the order in which it must be done.
    pub changes: Vec<Change>,
    /// The policy that refuses the pod. Nothing is changed then.
    pub denied: Option<&'p Policy>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Applied<'p> {
    pub policy: &'p Policy,
    /// The name of the container in which its hooks run.
    pub container: String,
}

/// A part of a policy that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub subject: String,
    pub reason: Reason,
}

/// One thing that a pod is to get.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Volume(NewVolume),
    /// A volume of ours that has the scripts of an earlier version.
    Scripts {
        volume: usize,
        name: String,
        config_map: String,
    },
    Mount(NewMount),
    Annotation {
        key: String,
        value: String,
        /// What stands there now. It is ours, or a policy says to override it.
        instead_of: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewVolume {
    pub name: String,
    pub source: Source,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Scripts { config_map: String },
    Policy(crate::policy::VolumeSource),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMount {
    /// The position in `spec.containers`.
    pub container: usize,
    pub volume: String,
    pub path: String,
    pub read_only: bool,
}

impl Plan<'_> {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn keeps_authors(&mut self, phase: HookPhase) {
        self.notes.push(Note {
            subject: phase.prefix().to_owned(),
            reason: Reason::AuthorsHooks,
        });
    }
}

/// Makes the plan for a pod.
#[must_use]
pub fn plan<'p>(verdicts: &[Verdict<'p>], pod: &PodView<'_>, facts: Facts<'_>) -> Plan<'p> {
    let mut plan = Plan::default();
    let mut volumes = volumes::Volumes::new(pod);
    let mut chosen: Vec<(&Policy, usize)> = Vec::new();
    for verdict in verdicts {
        let Verdict::Selected(policy, container) = *verdict else {
            continue;
        };
        match admit(policy, container, pod, &chosen, &mut volumes) {
            Ok(()) => chosen.push((policy, container)),
            Err(Reason::Denied) => {
                return Plan {
                    denied: Some(policy),
                    ..Plan::default()
                };
            }
            Err(why) => plan.passed.push((policy, why)),
        }
    }
    if chosen.is_empty() {
        return plan;
    }
    plan.changes = volumes.into_changes();
    for phase in HookPhase::ALL {
        annotate_hook(&mut plan, phase, &chosen, pod, facts);
    }
    annotate_backup_volumes(&mut plan, &chosen, pod);
    let provenance: Vec<String> = chosen
        .iter()
        .map(|(policy, _)| policy.provenance())
        .collect();
    set(&mut plan.changes, pod, PROVENANCE, provenance.join(","));
    plan.applied = chosen
        .into_iter()
        .map(|(policy, container)| Applied {
            policy,
            container: pod.containers()[container].name.to_string(),
        })
        .collect();
    plan
}

/// Whether a policy can be followed beside the pod's own hooks and the policies before it.
fn admit(
    policy: &Policy,
    container: usize,
    pod: &PodView<'_>,
    chosen: &[(&Policy, usize)],
    volumes: &mut volumes::Volumes<'_>,
) -> Result<(), Reason> {
    if chosen.iter().any(|(_, other)| *other != container) {
        return Err(Reason::OtherContainer);
    }
    let name = &*pod.containers()[container].name;
    for phase in [HookPhase::Pre, HookPhase::Post] {
        let elsewhere = match hooks::present(pod, phase) {
            Present::Nothing | Present::Ours(_) => continue,
            Present::Authors(authors) => authors.container != name,
            Present::Fragment => false,
        };
        match policy.on_conflict {
            OnConflict::Keep => return Err(Reason::AuthorsHooks),
            OnConflict::Deny => return Err(Reason::Denied),
            OnConflict::Compose if elsewhere => return Err(Reason::OtherContainer),
            OnConflict::Compose | OnConflict::Override => {}
        }
    }
    volumes.add(policy, container)
}

fn annotate_hook(
    plan: &mut Plan<'_>,
    phase: HookPhase,
    chosen: &[(&Policy, usize)],
    pod: &PodView<'_>,
    facts: Facts<'_>,
) {
    let mut steps: Vec<Step> = chosen
        .iter()
        .filter_map(|(policy, _)| hooks::step(policy, phase, pod, facts))
        .collect();
    let Some((first, container)) = chosen.first().filter(|_| !steps.is_empty()) else {
        return;
    };
    let container = &*pod.containers()[*container].name;
    match hooks::present(pod, phase) {
        Present::Nothing | Present::Ours(None) => {}
        Present::Ours(Some(author)) => steps.insert(0, with_undo(author, pod, phase)),
        Present::Authors(authors) => match first.on_conflict {
            OnConflict::Override => {}
            OnConflict::Compose if authors.container == container => {
                steps.insert(0, with_undo(authors.step, pod, phase));
            }
            OnConflict::Keep | OnConflict::Deny | OnConflict::Compose => {
                return plan.keeps_authors(phase);
            }
        },
        Present::Fragment => match first.on_conflict {
            OnConflict::Override | OnConflict::Compose => {}
            OnConflict::Keep | OnConflict::Deny => return plan.keeps_authors(phase),
        },
    }
    if phase == HookPhase::Post {
        steps.reverse();
    }
    let waits = chosen
        .iter()
        .filter_map(|(policy, _)| policy.hooks.restore.as_ref());
    let wait = waits
        .map(|(_, wait)| *wait)
        .reduce(|one, other| RestoreWait {
            timeout: one.timeout.max(other.timeout),
            for_ready: one.for_ready || other.for_ready,
        })
        .filter(|_| phase == HookPhase::PostRestore);
    for (key, value) in hooks::annotations(phase, container, &steps, wait) {
        set(&mut plan.changes, pod, key, value);
    }
}

/// The author's pre hook is taken back by the author's post hook.
fn with_undo(author: Step, pod: &PodView<'_>, phase: HookPhase) -> Step {
    if phase != HookPhase::Pre {
        return author;
    }
    let post = match hooks::present(pod, HookPhase::Post) {
        Present::Authors(authors) => Some(authors.step),
        Present::Ours(author) => author,
        Present::Nothing | Present::Fragment => None,
    };
    let undo = post.map(|Step { argv, limit, .. }| Undo { argv, limit });
    Step {
        undo: undo.or(author.undo),
        ..author
    }
}

fn annotate_backup_volumes(plan: &mut Plan<'_>, chosen: &[(&Policy, usize)], pod: &PodView<'_>) {
    let there = pod.annotation(BACKUP_VOLUMES).unwrap_or_default();
    let mut names: Vec<&str> = Vec::new();
    let wanted = chosen.iter().flat_map(|(policy, _)| &policy.backup_volumes);
    for name in wanted {
        if backup_volumes(there).any(|listed| listed == name) || names.contains(&name.as_str()) {
            continue;
        }
        let ours = |(policy, _): &(&Policy, usize)| {
            policy
                .volumes
                .iter()
                .any(|Volume { name: it, .. }| it == name)
        };
        if chosen.iter().any(ours) || pod.volumes().iter().any(|volume| *volume.name == **name) {
            names.push(name);
        } else {
            plan.notes.push(Note {
                subject: name.clone(),
                reason: Reason::NoSuchVolume,
            });
        }
    }
    if names.is_empty() {
        return;
    }
    // The author's part stays as it was written, so that nothing of it gets lost.
    let mut value = there.to_owned();
    for name in names {
        if !value.is_empty() {
            value.push(',');
        }
        value.push_str(name);
    }
    set(&mut plan.changes, pod, BACKUP_VOLUMES, value);
}

fn set(changes: &mut Vec<Change>, pod: &PodView<'_>, key: &str, value: String) {
    let there = pod.annotation(key);
    if there != Some(value.as_str()) {
        changes.push(Change::Annotation {
            key: key.to_owned(),
            value,
            instead_of: there.map(str::to_owned),
        });
    }
}
