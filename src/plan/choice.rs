//! Which of the selected policies are followed, beside the author's hooks and beside each other.

use super::{
    Applied, Change, coordinator,
    hooks::{Existing, Present, hook},
    is_restored, selected,
    volumes::Volumes,
};
use crate::{
    pod::{PodView, Storage},
    policy::{OnConflict, Policy},
    select::{Reason, Verdict},
    velero::{HookPhase, LONGEST_TIMEOUT, Timeout},
};

/// What becomes of the hooks that a pod's author wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Kept,
    Composed,
    Overridden,
}

/// The policies that are followed, and what that means for the pod's volumes.
pub struct Choice<'a> {
    /// In order. The container of their hooks is the same for all.
    pub followed: Vec<Applied<'a>>,
    pub passed: Vec<(&'a Policy, Reason)>,
    pub changes: Vec<Change<'a>>,
    /// What becomes of the author's pre and post hook, which belong together.
    pub backup: Fate,
    /// What becomes of the author's restore hook.
    pub restore: Fate,
}

/// Chooses among the selected policies, in their order.
///
/// What one of them does with the author's hooks is done for all of them, so that the answer is the
/// same for the pod that comes out.
///
/// # Errors
/// The policy that refuses the pod.
pub fn choose<'a>(
    verdicts: &[Verdict<'a>],
    pod: &'a PodView<'_>,
    storage: &Storage<'_>,
    existing: &Existing,
) -> Result<Choice<'a>, &'a Policy> {
    let refuses = |(policy, _): &(&Policy, usize)| {
        policy.on_conflict == OnConflict::Deny && has_backup_hook(policy)
    };
    let held = BACKUP.iter().any(|phase| is_authors(existing.of(*phase)));
    // Nobody may lose a restore to a policy that came after the backup.
    if let Some((policy, _)) = selected(verdicts).find(refuses)
        && held
        && !is_restored(pod)
    {
        return Err(policy);
    }
    for (fate, wanted) in STRONGER {
        let wants = |policy: &Policy| policy.on_conflict == wanted && has_backup_hook(policy);
        if selected(verdicts).any(|(policy, _)| wants(policy)) {
            let choice = under(fate, verdicts, pod, storage, existing);
            // Who wanted it may have been passed over for another reason.
            if choice.followed.iter().any(|it| wants(it.policy)) {
                return Ok(choice);
            }
        }
    }
    Ok(under(Fate::Kept, verdicts, pod, storage, existing))
}

/// The fates beside keeping, the strongest first, and what asks for them.
const STRONGER: [(Fate, OnConflict); 2] = [
    (Fate::Overridden, OnConflict::Override),
    (Fate::Composed, OnConflict::Compose),
];

/// What the followed policies make of the author's restore hook.
fn restore_fate(followed: &[Applied<'_>]) -> Fate {
    let asks = |wanted: OnConflict| {
        let mut policies = followed.iter().map(|it| it.policy);
        policies.any(|policy| {
            let hooks = &policy.hooks;
            policy.on_conflict == wanted && (hooks.restore.is_some() || hooks.init.is_some())
        })
    };
    let stronger = STRONGER.into_iter().find(|(_, wanted)| asks(*wanted));
    stronger.map_or(Fate::Kept, |(fate, _)| fate)
}

const fn has_backup_hook(policy: &Policy) -> bool {
    policy.hooks.pre.is_some() || policy.hooks.post.is_some()
}

const BACKUP: [HookPhase; 2] = [HookPhase::Pre, HookPhase::Post];

const fn is_authors(present: &Present) -> bool {
    match present {
        Present::Nothing | Present::Ours(None) => false,
        Present::Ours(Some(_)) | Present::Authors(_) | Present::Fragment => true,
    }
}

fn under<'a>(
    fate: Fate,
    verdicts: &[Verdict<'a>],
    pod: &'a PodView<'_>,
    storage: &Storage<'_>,
    existing: &Existing,
) -> Choice<'a> {
    let mut followed: Vec<Applied<'_>> = Vec::new();
    let mut passed = Vec::new();
    let mut volumes = Volumes::new(storage);
    let mut theirs = None;
    for (policy, position) in selected(verdicts) {
        let container = &*pod.containers()[position].name;
        let applied = Applied { policy, container };
        let runs_in = applied.runs_in(HookPhase::Pre);
        let place = (position, runs_in);
        let admitted = if policy.calls_without_velero() {
            Err(Reason::CallsHttp)
        } else if theirs.is_some_and(|theirs| theirs != place) {
            Err(Reason::OtherContainer)
        } else {
            beside_authors(policy, runs_in, existing, fate)
                .and_then(|()| in_time(policy, &followed, existing, fate))
                .and_then(|()| one_coordinator(policy, &followed))
                .and_then(|()| coordinator::fits(policy, pod))
                .and_then(|()| volumes.add(policy, position))
        };
        match admitted {
            Ok(()) => {
                theirs = Some(place);
                followed.push(applied);
            }
            Err(why) => passed.push((policy, why)),
        }
    }
    Choice {
        restore: restore_fate(&followed),
        backup: fate,
        followed,
        passed,
        changes: volumes.into_changes(),
    }
}

/// A coordinator has one session.
fn one_coordinator(policy: &Policy, followed: &[Applied<'_>]) -> Result<(), Reason> {
    if policy.coordinator.is_some() && !followed.is_empty() {
        return Err(Reason::OtherContainer);
    }
    Ok(())
}

fn beside_authors(
    policy: &Policy,
    container: &str,
    existing: &Existing,
    fate: Fate,
) -> Result<(), Reason> {
    let composes = policy.on_conflict == OnConflict::Compose;
    if !has_backup_hook(policy) {
        return Ok(());
    }
    for phase in BACKUP {
        match (existing.of(phase), fate) {
            (Present::Nothing | Present::Ours(None), _)
            | (_, Fate::Overridden)
            | (Present::Fragment, Fate::Composed) => {}
            (Present::Ours(Some(authors)), _) | (Present::Authors(authors), Fate::Composed)
                if composes =>
            {
                if authors.container != container {
                    return Err(Reason::OtherContainer);
                }
            }
            _ => return Err(Reason::AuthorsHooks),
        }
    }
    Ok(())
}

/// Whether the hooks of a phase still fit into the time after which Velero ends any.
fn in_time(
    policy: &Policy,
    followed: &[Applied<'_>],
    existing: &Existing,
    fate: Fate,
) -> Result<(), Reason> {
    for phase in HookPhase::ALL {
        let Some(hook) = hook(policy, phase) else {
            continue;
        };
        let of_author = match (existing.of(phase), fate) {
            (Present::Authors(author), Fate::Composed)
            | (Present::Ours(Some(author)), Fate::Composed | Fate::Kept) => author.step.timeout,
            _ => Timeout::from_seconds(0),
        };
        let others = followed
            .iter()
            .filter_map(|it| self::hook(it.policy, phase))
            .map(|hook| hook.timeout);
        let sum = others.fold(of_author, Timeout::saturating_add);
        if sum.saturating_add(hook.timeout) > LONGEST_TIMEOUT {
            return Err(Reason::TooLong);
        }
    }
    Ok(())
}
