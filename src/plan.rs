//! What a pod is to get from the policies that select it, and what is left alone and why.
//!
//! Wanted and present are compared one by one, so that a pod that has it all gets nothing, and one
//! that has a part of it gets the rest.

mod choice;
mod compose;
mod hooks;
mod volumes;
mod withdraw;

use crate::{
    pod::PodView,
    policy::{Policy, Volume},
    select::{Facts, Reason, Verdict},
    velero::{BACKUP_VOLUMES, HookPhase, RESTORE_NAME_LABEL, RestoreWait, backup_volumes},
};
use choice::{Choice, Fate, choose};
use compose::{Step, Undo};
use hooks::{Existing, Present};

pub use withdraw::{Kept, Removal, Withdrawal, withdraw};

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
}

/// Makes the plan for a pod.
#[must_use]
pub fn plan<'p>(verdicts: &[Verdict<'p>], pod: &PodView<'_>, facts: Facts<'_>) -> Plan<'p> {
    let selected: Vec<(&Policy, usize)> = verdicts
        .iter()
        .filter_map(|verdict| match *verdict {
            Verdict::Selected(policy, container) => Some((policy, container)),
            Verdict::Passed(..) => None,
        })
        .collect();
    if selected.is_empty() {
        return Plan::default();
    }
    let existing = Existing::read(pod, &selected, facts);
    let choice = match choose(&selected, pod, &existing) {
        Ok(choice) => choice,
        Err(policy) => {
            return Plan {
                denied: Some(policy),
                ..Plan::default()
            };
        }
    };
    follow(choice, &existing, pod, facts)
}

/// The plan that carries a choice out.
fn follow<'p>(
    choice: Choice<'p>,
    existing: &Existing,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) -> Plan<'p> {
    let Choice {
        followed,
        passed,
        changes,
        fate,
    } = choice;
    let mut plan = Plan {
        passed,
        changes,
        ..Plan::default()
    };
    let Some((_, container)) = followed.first() else {
        return plan;
    };
    let container = pod.containers()[*container].name.to_string();
    let names = followed.iter().map(|(policy, _)| policy.provenance());
    let provenance = names.collect::<Vec<_>>().join(",");
    if comes_with_others(pod, &provenance) {
        let kept = followed.iter();
        return Plan {
            passed: kept
                .map(|(policy, _)| (*policy, Reason::Restored))
                .collect(),
            ..Plan::default()
        };
    }
    for phase in HookPhase::ALL {
        let steps: Vec<Step> = followed
            .iter()
            .filter_map(|(policy, _)| hooks::step(policy, phase, pod, facts))
            .collect();
        if steps.is_empty() {
            continue;
        }
        let kept = match with_author(steps, phase, &container, existing, fate) {
            Some(_) if comes_without_dump(pod, phase, existing) => Reason::Restored,
            Some(steps) => {
                annotate_hook(&mut plan, phase, steps, &container, &followed, pod);
                continue;
            }
            None => Reason::AuthorsHooks,
        };
        plan.notes.push(Note {
            subject: phase.prefix().to_owned(),
            reason: kept,
        });
    }
    annotate_backup_volumes(&mut plan, &followed, pod);
    set(&mut plan.changes, pod, PROVENANCE, provenance);
    plan.applied = followed
        .into_iter()
        .map(|(policy, _)| Applied {
            policy,
            container: container.clone(),
        })
        .collect();
    plan
}

/// Whether Velero restores the pod with hooks of other policies, or of other versions of them.
///
/// The scripts of those come back with it; the scripts of these may not be in its namespace.
fn comes_with_others(pod: &PodView<'_>, provenance: &str) -> bool {
    let theirs = pod.annotation(PROVENANCE);
    is_restored(pod) && theirs.is_some_and(|theirs| theirs != provenance)
}

/// Whether Velero restores the pod from a backup without a restore hook.
///
/// There is no dump of ours in that backup, and the script may not be in the namespace yet: a
/// restore hook that fails cancels those of all other pods.
fn comes_without_dump(pod: &PodView<'_>, phase: HookPhase, existing: &Existing) -> bool {
    phase == HookPhase::PostRestore && is_restored(pod) && *existing.of(phase) == Present::Nothing
}

fn is_restored(pod: &PodView<'_>) -> bool {
    pod.label(RESTORE_NAME_LABEL).is_some()
}

/// Our steps with the author's first, or `None` where the author's hook stays as it is.
fn with_author(
    mut steps: Vec<Step>,
    phase: HookPhase,
    container: &str,
    existing: &Existing,
    fate: Fate,
) -> Option<Vec<Step>> {
    match (existing.of(phase), fate) {
        (Present::Nothing | Present::Ours(None), _)
        | (_, Fate::Overridden)
        | (Present::Fragment, Fate::Composed) => {}
        (Present::Ours(Some(author)), _) => {
            steps.insert(0, with_undo(author.step.clone(), existing, phase));
        }
        (Present::Authors(authors), Fate::Composed) if authors.container == container => {
            steps.insert(0, with_undo(authors.step.clone(), existing, phase));
        }
        (Present::Authors(_) | Present::Fragment, _) => return None,
    }
    Some(steps)
}

fn annotate_hook(
    plan: &mut Plan<'_>,
    phase: HookPhase,
    mut steps: Vec<Step>,
    container: &str,
    followed: &[(&Policy, usize)],
    pod: &PodView<'_>,
) {
    if phase == HookPhase::Post {
        steps.reverse();
    }
    let waits = followed
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
fn with_undo(author: Step, existing: &Existing, phase: HookPhase) -> Step {
    if phase != HookPhase::Pre {
        return author;
    }
    let post = match existing.of(HookPhase::Post) {
        Present::Authors(author) | Present::Ours(Some(author)) => Some(author.step.clone()),
        Present::Nothing | Present::Ours(None) | Present::Fragment => None,
    };
    let undo = post.map(|Step { argv, limit, .. }| Undo { argv, limit });
    Step {
        undo: undo.or(author.undo),
        ..author
    }
}

fn annotate_backup_volumes(plan: &mut Plan<'_>, followed: &[(&Policy, usize)], pod: &PodView<'_>) {
    let there = pod.annotation(BACKUP_VOLUMES).unwrap_or_default();
    let mut names: Vec<&str> = Vec::new();
    let wanted = followed
        .iter()
        .flat_map(|(policy, _)| &policy.backup_volumes);
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
        if followed.iter().any(ours) || pod.volumes().iter().any(|volume| *volume.name == **name) {
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
