//! What a pod is to get from the policies that select it, and what is left alone and why.
//!
//! Wanted and present are compared one by one, so that a pod that has it all gets nothing, and one
//! that has a part of it gets the rest.

mod choice;
mod compose;
mod coordinator;
mod hooks;
mod init;
mod volumes;
mod withdraw;

use std::borrow::Cow;

use crate::{
    pod::{PodView, Storage},
    policy::Policy,
    select::{Facts, Reason, Verdict},
    velero::{
        BACKUP_VOLUMES, HookPhase, LEGACY_PRE, RESTORE_NAME_LABEL, RESTORE_WAIT_FOR_READY,
        RESTORE_WAIT_TIMEOUT, backup_volumes,
    },
};
use choice::{Choice, Fate, choose};
use compose::{AUTHOR, Step, Undo, compose};
use hooks::{Existing, Present, Record};

pub use compose::with_variable;
pub use coordinator::{ContainerList, NewContainer};
pub use hooks::{Alone, alone, check};
pub use init::{Completion, Part, complete, invocation as init_invocation};
pub use volumes::taken as taken_volume;
pub use withdraw::{Kept, Removal, Withdrawal, withdraw};

/// Whose the hook of a phase is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// There is none.
    Nobodys,
    /// Written by us, now or by an earlier version.
    Ours,
    /// The author's, or what is left of one.
    Authors,
}

/// Whose hook a pod has, which these policies have been asked about.
#[must_use]
pub fn whose(
    pod: &PodView<'_>,
    phase: HookPhase,
    verdicts: &[Verdict<'_>],
    facts: Facts<'_>,
) -> Whose {
    match Existing::read(pod, verdicts, facts).of(phase) {
        Present::Nothing => Whose::Nobodys,
        Present::Ours(_) => Whose::Ours,
        Present::Authors(_) | Present::Fragment => Whose::Authors,
    }
}

/// Which policies a pod was changed by, and in which version.
pub const PROVENANCE: &str = "quiescent.dev/policies";

/// Which of the pod's hooks we wrote: a fingerprint of each command, so that one that was changed
/// since counts as its author's.
pub const WRITTEN: &str = "quiescent.dev/hooks";

/// The outcome for one pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan<'a> {
    /// The policies that the pod follows now, in order.
    pub applied: Vec<Applied<'a>>,
    /// Those that selected the pod and still could not be followed.
    pub passed: Vec<(&'a Policy, Reason)>,
    /// What is left out of an applied policy.
    pub notes: Vec<Note<'a>>,
    /// What is to be done, in the order in which it must be done.
    pub changes: Vec<Change<'a>>,
    /// The policy that refuses the pod. Nothing is changed then.
    pub denied: Option<&'a Policy>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Applied<'a> {
    pub policy: &'a Policy,
    /// The name of the container that it chose.
    pub container: &'a str,
}

impl<'a> Applied<'a> {
    /// The name of the container in which its hook of a phase runs.
    #[must_use]
    pub fn runs_in(&self, phase: HookPhase) -> &'a str {
        let Self { policy, container } = self;
        match (phase, &policy.coordinator) {
            (HookPhase::Pre | HookPhase::Post, Some(coordinator)) => &coordinator.name,
            (HookPhase::Pre | HookPhase::Post | HookPhase::PostRestore, _) => container,
        }
    }
}

/// A part of a policy that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    pub subject: &'a str,
    pub reason: Reason,
}

/// One thing that a pod is to get.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<'a> {
    Volume(NewVolume<'a>),
    /// A volume of ours that has the scripts of an earlier version.
    Scripts {
        volume: usize,
        name: &'a str,
        config_map: &'a str,
    },
    Mount(NewMount<'a>),
    /// A container of a coordinator.
    Container(Box<NewContainer>),
    /// One of ours that has no meaning any more.
    NoAnnotation {
        key: &'static str,
        was: &'a str,
    },
    Annotation {
        key: &'static str,
        value: Cow<'a, str>,
        /// What stands there now. It is ours, or a policy says to override it.
        instead_of: Option<&'a str>,
    },
    /// What an init container that Velero made for us lacks.
    Complete(Completion<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewVolume<'a> {
    pub name: &'a str,
    pub source: Source<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source<'a> {
    Scripts { config_map: &'a str },
    Policy(&'a crate::policy::VolumeSource),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewMount<'a> {
    /// The position in `spec.containers`.
    pub container: usize,
    pub volume: &'a str,
    pub path: &'a str,
    pub read_only: bool,
}

impl<'a> Plan<'a> {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The policies that call the pod: with a coordinator, which does so for Velero, and without.
    pub fn callers(&self) -> impl Iterator<Item = &'a Policy> {
        let passed = self.passed.iter();
        let passed = passed.filter(|(_, why)| *why == Reason::CallsHttp);
        let applied = self.applied.iter().map(|it| it.policy);
        applied
            .filter(|policy| !policy.hooks.calls.is_empty())
            .chain(passed.map(|(policy, _)| *policy))
    }

    /// The policies that the pod follows, each in its version.
    #[must_use]
    pub fn provenance(&self) -> Cow<'a, str> {
        match self.applied.as_slice() {
            [only] => only.policy.provenance().into(),
            several => {
                let several = several.iter().map(|it| it.policy.provenance());
                several.collect::<Vec<_>>().join(",").into()
            }
        }
    }
}

/// Makes the plan for a pod.
#[must_use]
pub fn plan<'a>(
    verdicts: &[Verdict<'a>],
    pod: &'a PodView<'_>,
    storage: &Storage<'_>,
    facts: Facts<'_>,
) -> Plan<'a> {
    if comes_with_others(pod, verdicts) {
        let kept = selected(verdicts).map(|(policy, _)| (policy, Reason::Restored));
        return Plan {
            passed: kept.collect(),
            changes: complete(pod),
            ..Plan::default()
        };
    }
    let existing = Existing::read(pod, verdicts, facts);
    match choose(verdicts, pod, storage, &existing) {
        Ok(choice) => {
            let mut plan = follow(choice, &existing, pod, storage, facts);
            plan.changes.extend(complete(pod));
            plan
        }
        Err(policy) => Plan {
            denied: Some(policy),
            ..Plan::default()
        },
    }
}

/// The policies that select the pod, with the position of the container that each means.
fn selected<'a>(verdicts: &[Verdict<'a>]) -> impl Iterator<Item = (&'a Policy, usize)> {
    verdicts.iter().filter_map(|verdict| match *verdict {
        Verdict::Selected(policy, container) => Some((policy, container)),
        Verdict::Passed(..) => None,
    })
}

/// The plan that carries a choice out.
fn follow<'a>(
    choice: Choice<'a>,
    existing: &Existing,
    pod: &'a PodView<'_>,
    storage: &Storage<'_>,
    facts: Facts<'_>,
) -> Plan<'a> {
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
    let Some(first) = followed.first() else {
        return plan;
    };
    let containers = pod.containers().iter();
    let model = containers.clone().find(|it| *it.name == *first.container);
    for it in model.iter().flat_map(|_| &followed) {
        let beside = model.map(|model| coordinator::changes(it.policy, model, pod, facts));
        let (changes, notes) = beside.unwrap_or_default();
        plan.changes.extend(changes);
        plan.notes.extend(notes);
    }
    let mut written = Record::new();
    let mut steps = Vec::with_capacity(followed.len() + 1);
    for phase in HookPhase::ALL {
        let ours = followed.iter();
        steps.clear();
        steps.extend(ours.filter_map(|it| hooks::step(it.policy, phase, pod, facts)));
        let container = first.runs_in(phase);
        let fate = match phase {
            HookPhase::Pre | HookPhase::Post => backup,
            HookPhase::PostRestore => restore,
        };
        match resolve(&mut steps, phase, container, existing, fate, pod) {
            Hook::Write => {
                let run = compose(phase, &steps);
                // An author's hook that stands alone again is theirs.
                if steps.iter().any(|step| step.name != AUTHOR) {
                    written.add(hooks::word(phase), &run);
                }
                let command = match run {
                    Cow::Borrowed(run) => Cow::Borrowed(run.command.as_str()),
                    Cow::Owned(run) => Cow::Owned(run.command),
                };
                set(&mut plan.changes, pod, phase.keys().command, command);
                let wait = hooks::wait(phase, &followed, existing, pod);
                for (key, value) in hooks::beside_command(phase, container, &steps, wait) {
                    set(&mut plan.changes, pod, key, value);
                }
            }
            Hook::Remove => remove(&mut plan.changes, pod, phase),
            Hook::Leave(None) => {}
            Hook::Leave(Some(reason)) => plan.notes.push(Note {
                subject: phase.prefix(),
                reason,
            }),
        }
    }
    let instead = restore == Fate::Overridden;
    init::annotate(&mut plan, &followed, instead, &mut written, pod, facts);
    annotate_backup_volumes(&mut plan, &followed, pod, storage);
    plan.applied = followed;
    let provenance = plan.provenance();
    set(&mut plan.changes, pod, PROVENANCE, provenance);
    let Record(written) = written;
    if !written.is_empty() {
        set(&mut plan.changes, pod, WRITTEN, written.into());
    }
    plan
}

/// Whether Velero restores the pod with hooks of other policies, or of other versions of them.
///
/// The scripts of those come back with it; the scripts of these may not be in its namespace.
fn comes_with_others(pod: &PodView<'_>, verdicts: &[Verdict<'_>]) -> bool {
    let ours = |entry: &str| selected(verdicts).any(|(policy, _)| policy.provenance() == entry);
    let theirs = pod.annotation(PROVENANCE).filter(|_| is_restored(pod));
    theirs.is_some_and(|theirs| !theirs.split(',').all(ours))
}

fn is_restored(pod: &PodView<'_>) -> bool {
    pod.label(RESTORE_NAME_LABEL).is_some()
}

/// What is done about the hook of one phase.
enum Hook {
    Write,
    /// Ours from before, or the author's in whose place others have come.
    Remove,
    /// It stays as it is, or absent, and why if that is news.
    Leave(Option<Reason>),
}

/// What becomes of our steps beside what is there. The author's step may come among them.
fn resolve(
    steps: &mut Vec<Step<'_>>,
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
            Hook::Write
        }
        None if steps.is_empty() => Hook::Remove,
        None => {
            if phase == HookPhase::Post {
                steps.reverse();
            }
            Hook::Write
        }
    }
}

/// The author's pre hook is taken back by the author's post hook.
fn with_undo(author: Step<'static>, existing: &Existing, phase: HookPhase) -> Step<'static> {
    if phase != HookPhase::Pre {
        return author;
    }
    let post = match existing.of(HookPhase::Post) {
        Present::Authors(author) | Present::Ours(Some(author)) => Some(author.step.clone()),
        Present::Nothing | Present::Ours(None) | Present::Fragment => None,
    };
    let undo = post.map(|Step { run, limit, .. }| Undo { run, limit });
    Step {
        undo: undo.or(author.undo),
        ..author
    }
}

fn annotate_backup_volumes<'a>(
    plan: &mut Plan<'a>,
    followed: &[Applied<'a>],
    pod: &'a PodView<'_>,
    storage: &Storage<'_>,
) {
    // The author's part stays as it was written, so that nothing of it gets lost.
    let mut value = Cow::Borrowed(pod.annotation(BACKUP_VOLUMES).unwrap_or_default());
    for name in followed.iter().flat_map(|it| &it.policy.backup_volumes) {
        if backup_volumes(&value).any(|listed| listed == name) {
            continue;
        }
        let mut ours = followed.iter().flat_map(|it| &it.policy.volumes);
        let mut theirs = storage.volumes.iter();
        if ours.any(|volume| volume.name == *name) || theirs.any(|it| *it.name == **name) {
            value = if value.is_empty() {
                name.into()
            } else {
                format!("{value},{name}").into()
            };
        } else {
            plan.notes.push(Note {
                subject: name,
                reason: Reason::NoSuchVolume,
            });
        }
    }
    if !value.is_empty() {
        set(&mut plan.changes, pod, BACKUP_VOLUMES, value);
    }
}

fn set<'a>(
    changes: &mut Vec<Change<'a>>,
    pod: &'a PodView<'_>,
    key: &'static str,
    value: Cow<'a, str>,
) {
    let there = pod.annotation(key);
    if there != Some(&*value) {
        changes.push(Change::Annotation {
            key,
            value,
            instead_of: there,
        });
    }
}

/// Takes out all keys of the hook that is in force in a phase: the pre hook's oldest ones only where
/// no newer command hides them.
fn remove<'a>(changes: &mut Vec<Change<'a>>, pod: &'a PodView<'_>, phase: HookPhase) {
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
            changes.push(Change::NoAnnotation { key, was });
        }
    }
}
