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
    velero::{
        BACKUP_VOLUMES, HookPhase, LEGACY_PRE, RESTORE_NAME_LABEL, RESTORE_WAIT_FOR_READY,
        RESTORE_WAIT_TIMEOUT, backup_volumes,
    },
};
use choice::{Choice, Fate, choose};
use compose::{AUTHOR, Step, Undo};
use hooks::{Existing, Present};

pub use withdraw::{Kept, Removal, Withdrawal, withdraw};

/// Which policies a pod was changed by, and in which version.
pub const PROVENANCE: &str = "quiescent.dev/policies";

/// Which of the pod's hooks we wrote: a fingerprint of each command, so that one that was changed
/// since counts as its author's.
const WRITTEN: &str = "quiescent.dev/hooks";

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
    /// One of ours that has no meaning any more.
    NoAnnotation {
        key: String,
        was: String,
    },
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
    if comes_with_others(pod, &selected) {
        let kept = selected
            .iter()
            .map(|(policy, _)| (*policy, Reason::Restored));
        return Plan {
            passed: kept.collect(),
            ..Plan::default()
        };
    }
    let existing = Existing::read(pod, &selected, facts);
    match choose(&selected, pod, &existing) {
        Ok(choice) => follow(choice, &existing, pod, facts),
        Err(policy) => Plan {
            denied: Some(policy),
            ..Plan::default()
        },
    }
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
        backup,
        restore,
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
    let mut written = Vec::new();
    for phase in HookPhase::ALL {
        let steps = followed
            .iter()
            .filter_map(|(policy, _)| hooks::step(policy, phase, pod, facts));
        let fate = match phase {
            HookPhase::Pre | HookPhase::Post => backup,
            HookPhase::PostRestore => restore,
        };
        match resolve(steps.collect(), phase, &container, existing, fate, pod) {
            Hook::Write(steps) => {
                let wait = hooks::wait(phase, &followed, existing, pod);
                // An author's hook that stands alone again is theirs.
                let ours = steps.iter().any(|step| step.name != AUTHOR);
                for (key, value) in hooks::annotations(phase, &container, &steps, wait) {
                    if ours && key == phase.keys().command {
                        written.push((phase, value.clone()));
                    }
                    set(&mut plan.changes, pod, key, value);
                }
            }
            Hook::Remove => remove(&mut plan.changes, pod, phase),
            Hook::Leave(None) => {}
            Hook::Leave(Some(reason)) => plan.notes.push(Note {
                subject: phase.prefix().to_owned(),
                reason,
            }),
        }
    }
    annotate_backup_volumes(&mut plan, &followed, pod);
    let provenance = followed.iter().map(|(policy, _)| policy.provenance());
    let provenance = provenance.collect::<Vec<_>>().join(",");
    set(&mut plan.changes, pod, PROVENANCE, provenance);
    if !written.is_empty() {
        set(&mut plan.changes, pod, WRITTEN, hooks::record(&written));
    }
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
fn comes_with_others(pod: &PodView<'_>, selected: &[(&Policy, usize)]) -> bool {
    let ours = |entry: &str| {
        selected
            .iter()
            .any(|(policy, _)| policy.provenance() == entry)
    };
    let theirs = pod.annotation(PROVENANCE).filter(|_| is_restored(pod));
    theirs.is_some_and(|theirs| !theirs.split(',').all(ours))
}

fn is_restored(pod: &PodView<'_>) -> bool {
    pod.label(RESTORE_NAME_LABEL).is_some()
}

/// What is done about the hook of one phase.
enum Hook {
    Write(Vec<Step>),
    /// Ours from before, or the author's in whose place others have come.
    Remove,
    /// It stays as it is, or absent, and why if that is news.
    Leave(Option<Reason>),
}

/// Our steps beside what is there.
fn resolve(
    mut steps: Vec<Step>,
    phase: HookPhase,
    container: &str,
    existing: &Existing,
    fate: Fate,
    pod: &PodView<'_>,
) -> Hook {
    let present = existing.of(phase);
    let author = match (present, fate) {
        (Present::Nothing, _) if steps.is_empty() => return Hook::Leave(None),
        // There is no dump of ours in the backup it comes from, and the script may not be in the
        // namespace yet: a restore hook that fails cancels those of all other pods.
        (Present::Nothing, _) if phase == HookPhase::PostRestore && is_restored(pod) => {
            return Hook::Leave(Some(Reason::Restored));
        }
        (Present::Nothing | Present::Ours(None), _)
        | (_, Fate::Overridden)
        | (Present::Fragment, Fate::Composed) => None,
        (Present::Ours(Some(author)), _) => Some(author),
        (Present::Authors(author), Fate::Composed) if author.container == container => Some(author),
        (Present::Authors(_) | Present::Fragment, _) if steps.is_empty() => {
            return Hook::Leave(None);
        }
        (Present::Authors(_) | Present::Fragment, _) => {
            return Hook::Leave(Some(Reason::AuthorsHooks));
        }
    };
    match author {
        // Only what we composed gets the author's hook back as it was.
        Some(_) if steps.is_empty() && matches!(present, Present::Authors(_)) => Hook::Leave(None),
        Some(author) => {
            let author = with_undo(author.step.clone(), existing, phase);
            match phase {
                HookPhase::Post => {
                    steps.reverse();
                    steps.push(author);
                }
                HookPhase::Pre | HookPhase::PostRestore => steps.insert(0, author),
            }
            Hook::Write(steps)
        }
        None if steps.is_empty() => Hook::Remove,
        None => {
            if phase == HookPhase::Post {
                steps.reverse();
            }
            Hook::Write(steps)
        }
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

/// Takes out all keys of the hook that is in force in a phase: the pre hook's oldest ones only where
/// no newer command hides them.
fn remove(changes: &mut Vec<Change>, pod: &PodView<'_>, phase: HookPhase) {
    let waits = [RESTORE_WAIT_TIMEOUT, RESTORE_WAIT_FOR_READY];
    let waits = waits
        .into_iter()
        .filter(|_| phase == HookPhase::PostRestore);
    let legacy = LEGACY_PRE
        .all()
        .into_iter()
        .filter(|_| phase == HookPhase::Pre && pod.annotation(phase.keys().command).is_none());
    for key in phase.keys().all().into_iter().chain(waits).chain(legacy) {
        if let Some(was) = pod.annotation(key) {
            changes.push(Change::NoAnnotation {
                key: key.to_owned(),
                was: was.to_owned(),
            });
        }
    }
}
