//! Hooks for pods that somebody has seen: what the engine says of each, in namespaces and labels.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    Claim, Lost, Rendered, Seen, Wanted, Why,
    lost::LARGEST_ARGUMENT,
    volumes::{self, Dumped},
};
use crate::{
    inject::{Injection, inject},
    json::Raw,
    plan::{Alone, Applied, Change, Whose, alone, init_invocation, whose},
    pod::{PodView, same_path},
    policy::{Policy, PolicySet},
    select::{Facts, Reason, Verdict},
    velero::{
        HookPhase, INIT_IMAGE,
        spec::{Exec, HookSet, Hooks},
    },
};

/// Labels that are another's with each pod, or with each version of what makes it.
const FLEETING: [&str; 8] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "velero.io/backup-name",
    "velero.io/restore-name",
    "velero.io/schedule-name",
];

/// Where the API server puts the token of a pod's account. Its volume has another name in each pod, and each
/// new one gets it.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

type Labels = BTreeMap<String, String>;

/// What is to run in pods, under the names of its policies. Nothing of it depends on the pod's name.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    name: String,
    hooks: Hooks,
}

/// A pod with what is to run in it, if anything is.
struct Told<'a> {
    seen: Seen<'a>,
    labels: Labels,
    outcome: Option<Outcome>,
    /// Where a dump is written.
    dumped: Option<Dumped<'a>>,
}

/// Pods of a namespace that have the same hooks and can be named by the same labels.
struct Group {
    namespace: String,
    labels: Labels,
    outcome: Outcome,
}

impl Group {
    fn covers(&self, told: &Told<'_>) -> bool {
        self.namespace == told.seen.facts.namespace
            && told.outcome.as_ref() == Some(&self.outcome)
            && has(&told.labels, &self.labels)
    }
}

/// Says what the engine would do for these pods, which are all that may be met. The policies have
/// their scripts in their commands; the claims are all of the backup, if anybody knows them.
#[must_use]
pub fn found(
    policies: &PolicySet,
    pods: &[Seen<'_>],
    claims: Option<&[Claim]>,
    wanted: Wanted,
) -> Rendered {
    let mut lost = Vec::new();
    let mut told = Vec::with_capacity(pods.len());
    for seen in pods {
        let (outcome, dumped) = outcome(policies, *seen, wanted, &mut lost);
        let labels = seen.pod.labels();
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        told.push(Told {
            seen: *seen,
            labels: labels.collect(),
            outcome,
            dumped,
        });
    }
    let groups = groups(&told, &mut lost);
    let volumes = match wanted {
        Wanted::Backup => {
            // Data may be left out only where a hook dumps them.
            let hooked = told
                .iter()
                .filter(|it| groups.iter().any(|group| group.covers(it)));
            let dumped: Vec<&Dumped<'_>> = hooked.filter_map(|it| it.dumped.as_ref()).collect();
            volumes::rules(&dumped, claims, &mut lost)
        }
        Wanted::Restore => Vec::new(),
    };
    Rendered {
        hooks: sets(groups),
        volumes,
        lost,
    }
}

/// What is to run in one pod, and the pod once more where that writes a dump.
fn outcome<'s>(
    policies: &PolicySet,
    seen: Seen<'s>,
    wanted: Wanted,
    lost: &mut Vec<Lost>,
) -> (Option<Outcome>, Option<Dumped<'s>>) {
    let Seen {
        title, pod, facts, ..
    } = seen;
    let injection = inject(policies, pod, facts);
    let mut say = |why| lost.push(Lost::new(title, why));
    let selected = injection.verdicts.iter().any(|it| it.container().is_some());
    if selected && has_hooks(seen, &injection.verdicts, wanted) {
        say(Why::Annotated);
        return (None, None);
    }
    for why in passed(&injection) {
        say(why);
    }
    let missing: BTreeSet<&str> = injection
        .plan
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::Volume(volume) => Some(volume.name),
            Change::Mount(mount) => Some(mount.volume),
            Change::Scripts { .. }
            | Change::NoAnnotation { .. }
            | Change::Annotation { .. }
            | Change::Container(_)
            | Change::Complete(_) => None,
        })
        .collect();
    let mut followed: Vec<&Applied<'_>> = Vec::new();
    for applied in &injection.plan.applied {
        let Applied { policy, container } = applied;
        let beside = injection.plan.changes.iter();
        if beside
            .into_iter()
            .any(|it| matches!(it, Change::Container(_)))
        {
            say(Why::NoCoordinator {
                policy: policy.name.clone(),
            });
            continue;
        }
        if let Some(volume) = policy.volumes.iter().find(|it| missing.contains(&*it.name)) {
            say(Why::NoVolume {
                policy: policy.name.clone(),
                volume: volume.name.clone(),
                path: volume.mount_path.clone(),
                container: (*container).to_owned(),
            });
        } else if let Some(bytes) = too_large(policy, seen) {
            say(Why::TooLarge {
                policy: policy.name.clone(),
                bytes,
            });
        } else {
            followed.push(applied);
        }
    }
    let Some(first) = followed.first() else {
        return (None, None);
    };
    let first = *first;
    let followed: Vec<&Policy> = followed.iter().map(|it| it.policy).collect();
    let dumped = volumes::dumped(seen, first.container, &followed);
    let hooks = hooks(&followed, first, seen, wanted);
    if hooks == Hooks::default() {
        return (None, None);
    }
    if hooks.pre.len() > 1 {
        say(Why::Undo);
    }
    let names: Vec<&str> = followed.iter().map(|it| it.name.as_str()).collect();
    let outcome = Outcome {
        name: names.join("+"),
        hooks,
    };
    (Some(outcome), dumped)
}

/// Whether hooks in the pod's annotations hide all that is said here.
fn has_hooks(seen: Seen<'_>, verdicts: &[Verdict<'_>], wanted: Wanted) -> bool {
    let phases: &[HookPhase] = match wanted {
        Wanted::Backup => &[HookPhase::Pre, HookPhase::Post],
        Wanted::Restore => &[HookPhase::PostRestore],
    };
    let has_init = seen.pod.annotation(INIT_IMAGE).is_some();
    let of = |phase: &HookPhase| whose(seen.pod, *phase, verdicts, seen.facts);
    wanted == Wanted::Restore && has_init || phases.iter().any(|phase| of(phase) != Whose::Nobodys)
}

/// Policies that came near, and why they have no hook in the pod.
fn passed<'i>(injection: &'i Injection<'_>) -> impl Iterator<Item = Why> + 'i {
    let plan = &injection.plan;
    let refused = plan.denied.map(|policy| (policy, Reason::Denied));
    let verdicts = injection.verdicts.iter().filter_map(|it| match it {
        Verdict::Passed(policy, reason) => Some((*policy, *reason)),
        Verdict::Selected(..) => None,
    });
    let passed = verdicts
        .chain(plan.passed.iter().copied())
        .chain(refused)
        .filter(|(_, reason)| is_news(*reason))
        .map(|(policy, reason)| Why::Passed {
            policy: policy.name.clone(),
            reason,
        });
    let gate = injection.gate.filter(|reason| is_news(*reason));
    gate.map(Why::Unknown).into_iter().chain(passed)
}

/// Whether somebody may have expected a hook all the same.
const fn is_news(reason: Reason) -> bool {
    let meant = matches!(
        reason,
        Reason::Excluded | Reason::Recognised | Reason::Method | Reason::NamespaceLabels
    );
    reason.is_near() && !meant
}

fn too_large(policy: &Policy, seen: Seen<'_>) -> Option<usize> {
    let hooks = HookPhase::ALL.into_iter();
    let hooks = hooks.filter_map(|phase| alone(policy, phase, seen.pod, seen.facts));
    let init = init_invocation(policy, seen.pod, seen.facts);
    let lengths = hooks
        .flat_map(|hook| hook.argv)
        .chain(init.into_iter().flat_map(|run| run.into_owned().argv))
        .map(|argument| argument.len());
    lengths.max().filter(|bytes| *bytes >= LARGEST_ARGUMENT)
}

/// The hooks of the policies in their order, those that undo in the other.
fn hooks(policies: &[&Policy], first: &Applied<'_>, seen: Seen<'_>, wanted: Wanted) -> Hooks {
    let Seen { pod, facts, .. } = seen;
    let execs = |phase| {
        let runs = policies.iter();
        let runs = runs.filter_map(move |policy| alone(policy, phase, pod, facts));
        runs.map(move |run| exec(run, first.runs_in(phase)))
    };
    match wanted {
        Wanted::Backup => {
            let mut post: Vec<Exec> = execs(HookPhase::Post).collect();
            post.reverse();
            Hooks {
                pre: execs(HookPhase::Pre).collect(),
                post,
                ..Hooks::default()
            }
        }
        Wanted::Restore => {
            let waits = policies.iter().filter_map(|it| it.hooks.restore.as_ref());
            let waits = waits.map(|(_, wait)| *wait);
            Hooks {
                restore: execs(HookPhase::PostRestore).zip(waits).collect(),
                init: init(policies, first.container, pod, facts)
                    .into_iter()
                    .collect(),
                ..Hooks::default()
            }
        }
    }
}

/// The init container of the first policy that has one: it is made like the container of its hooks.
fn init(
    policies: &[&Policy],
    container: &str,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) -> Option<Value> {
    let mut runs = policies.iter();
    let run = runs.find_map(|policy| init_invocation(policy, pod, facts))?;
    let mut containers = pod.containers().iter();
    let model = containers.find(|it| *it.name == *container)?;
    let mut init = json!({
        "image": model.image.as_deref()?,
        "command": run.argv,
    });
    let mounts = model.volume_mounts.iter();
    let mounts: Vec<&str> = mounts
        .flat_map(|list| list.iter().zip(list.raw()))
        .filter(|(mount, _)| !same_path(&mount.mount_path, ACCOUNT))
        .map(|(_, raw)| raw)
        .collect();
    let mounts = format!("[{}]", mounts.join(","));
    let parts = [
        ("imagePullPolicy", model.image_pull_policy),
        ("env", model.env),
        ("envFrom", model.env_from),
        ("resources", model.resources),
        ("securityContext", model.security_context),
        ("volumeMounts", Some(Raw(&mounts))),
    ];
    for (key, part) in parts {
        if let Some(Raw(text)) = part {
            init[key] = serde_json::from_str(text).ok()?;
        }
    }
    Some(init)
}

pub(super) fn exec(run: Alone, container: &str) -> Exec {
    let Alone {
        argv,
        timeout,
        on_error,
    } = run;
    Exec {
        container: container.to_owned(),
        argv,
        on_error,
        timeout,
    }
}

/// Pods that have their hooks by the same words, none of which reach any other pod.
fn groups(told: &[Told<'_>], lost: &mut Vec<Lost>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    // Who says less may speak for others with the same hooks.
    let mut hooked: Vec<(&Told<'_>, &Outcome)> = Vec::new();
    hooked.extend(
        told.iter()
            .filter_map(|it| Some((it, it.outcome.as_ref()?))),
    );
    hooked.sort_by_key(|(it, _)| it.labels.len());
    for (told_of, outcome) in hooked {
        let namespace = told_of.seen.facts.namespace;
        if groups.iter().any(|group| group.covers(told_of)) {
            continue;
        }
        let mut lasting = told_of.labels.clone();
        lasting.retain(|key, _| !FLEETING.contains(&key.as_str()));
        let mut words = [lasting, told_of.labels.clone()].into_iter();
        let words = words.find(|labels| {
            !labels.is_empty() && stranger(told, namespace, labels, outcome).is_none()
        });
        if let Some(labels) = words {
            groups.push(Group {
                namespace: namespace.to_owned(),
                labels,
                outcome: outcome.clone(),
            });
        } else {
            let other = stranger(told, namespace, &told_of.labels, outcome);
            let other = other.filter(|_| !told_of.labels.is_empty());
            let why = other.map_or(Why::NoLabels, |other| Why::Alike(other.to_owned()));
            lost.push(Lost::new(told_of.seen.title, why));
        }
    }
    groups
}

/// A pod that has these labels too, and is to have other hooks or none.
fn stranger<'t>(
    told: &'t [Told<'_>],
    namespace: &str,
    labels: &Labels,
    outcome: &Outcome,
) -> Option<&'t str> {
    let mut others = told.iter().filter(|other| {
        other.seen.facts.namespace == namespace && other.outcome.as_ref() != Some(outcome)
    });
    let other = others.find(|other| has(&other.labels, labels))?;
    Some(other.seen.title)
}

pub(super) fn has(labels: &Labels, wanted: &Labels) -> bool {
    let mut wanted = wanted.iter();
    wanted.all(|(key, value)| labels.get(key) == Some(value))
}

/// One entry for groups of several namespaces that say the same.
fn sets(groups: Vec<Group>) -> Vec<HookSet> {
    let mut sets: Vec<HookSet> = Vec::new();
    for Group {
        namespace,
        labels,
        outcome: Outcome { name, hooks },
    } in groups
    {
        let selector = json!({"matchLabels": labels});
        let same = sets
            .iter_mut()
            .find(|set| set.name == name && set.hooks == hooks && set.selector == selector);
        match same {
            Some(set) => set.included.push(namespace),
            None => sets.push(HookSet {
                name,
                included: vec![namespace],
                excluded: Vec::new(),
                selector,
                hooks,
            }),
        }
    }
    for set in &mut sets {
        set.included.sort();
    }
    sets.sort_by(|one, other| (&one.name, &one.included).cmp(&(&other.name, &other.included)));
    sets
}
