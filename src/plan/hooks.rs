//! The hooks of the applied policies as Velero's annotations.

use std::borrow::Cow;

use super::{
    Applied, PROVENANCE, WRITTEN,
    compose::{AUTHOR, Origin, Step, Undo, compose, origin, overall},
    selected,
};
use crate::{
    pod::PodView,
    policy::{Check, Hook, Invocation, Parameter, Policy, limit},
    select::{Facts, Verdict, parameter_value},
    velero::{
        DEFAULT_TIMEOUT, HookKeys, HookPhase, LEGACY_PRE, LONGEST_TIMEOUT, OnError,
        RESTORE_WAIT_FOR_READY, RESTORE_WAIT_TIMEOUT, RestoreWait, Timeout, decode_command,
        parse_bool,
    },
};

/// What stands in a pod's annotations for one phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Present {
    Nothing,
    /// Written by us, now or by an earlier version. It may have taken the author's hook in.
    Ours(Option<Authors>),
    Authors(Authors),
    /// Keys of a hook whose command is missing. Velero runs nothing, yet somebody wrote them.
    Fragment,
}

/// A hook of the pod's author, in the container in which Velero runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authors {
    pub container: String,
    pub step: Step<'static>,
}

/// What stands in a pod's annotations for every phase.
pub struct Existing([Present; 3]);

impl Existing {
    /// Reads a pod that these policies have selected: a command that is one of theirs is ours.
    pub fn read(pod: &PodView<'_>, verdicts: &[Verdict<'_>], facts: Facts<'_>) -> Self {
        Self(HookPhase::ALL.map(|phase| {
            let wanted = |argv: &[String]| {
                let mut steps =
                    selected(verdicts).filter_map(|(policy, _)| step(policy, phase, pod, facts));
                steps.any(|step| step.run.argv == argv)
            };
            present(pod, phase, wanted)
        }))
    }

    pub const fn of(&self, phase: HookPhase) -> &Present {
        let Self([pre, post, restore]) = self;
        match phase {
            HookPhase::Pre => pre,
            HookPhase::Post => post,
            HookPhase::PostRestore => restore,
        }
    }
}

/// Whose the hook of a phase is.
pub fn present(pod: &PodView<'_>, phase: HookPhase, wanted: impl Fn(&[String]) -> bool) -> Present {
    let keys = phase.keys();
    let (keys, text) = match pod.annotation(keys.command).filter(|text| !text.is_empty()) {
        Some(text) => (keys, Some(text)),
        None if phase == HookPhase::Pre => (LEGACY_PRE, pod.annotation(LEGACY_PRE.command)),
        None => (keys, None),
    };
    let Some((text, argv)) = text.and_then(|text| Some((text, decode_command(text)?))) else {
        let mut keys = phase.keys().all().into_iter();
        let fragment = keys.any(|key| pod.annotation(key).is_some());
        // Beside our provenance they are what is left of a hook of ours.
        return if fragment && pod.annotation(PROVENANCE).is_none() {
            Present::Fragment
        } else {
            Present::Nothing
        };
    };
    let first = pod.containers().first();
    let first = first.map_or("", |container| &container.name);
    let container = pod.annotation(keys.container).unwrap_or(first).to_owned();
    let ours = || {
        is_recorded(pod, word(phase), text) || Invocation::is_of_a_script(&argv) || wanted(&argv)
    };
    match origin(&argv) {
        Origin::Composed(None) => Present::Ours(None),
        Origin::Composed(Some(step)) => Present::Ours(Some(Authors {
            container,
            step: *step,
        })),
        Origin::Elsewhere if ours() => Present::Ours(None),
        Origin::Elsewhere => Present::Authors(Authors {
            container,
            step: authors_step(pod, keys, argv),
        }),
    }
}

/// The commands that we wrote, as an annotation remembers them.
#[derive(Debug)]
pub struct Record(pub String);

impl Record {
    pub fn new() -> Self {
        // Three phases with their fingerprints.
        Self(String::with_capacity(64))
    }

    pub fn add(&mut self, of: &str, run: &Invocation) {
        let Self(text) = self;
        let comma = if text.is_empty() { "" } else { "," };
        text.extend([comma, of, "@", &run.fingerprint]);
    }
}

pub fn is_recorded(pod: &PodView<'_>, of: &str, command: &str) -> bool {
    let record = pod.annotation(WRITTEN).unwrap_or_default();
    let mut written = record.split(',').filter_map(|entry| {
        let (written, fingerprint) = entry.split_once('@')?;
        (written == of).then_some(fingerprint)
    });
    written.any(|fingerprint| fingerprint == Invocation::fingerprint(command))
}

/// What the record calls the init container of a restored pod, and the hooks.
pub const INIT: &str = "init";

pub const fn word(phase: HookPhase) -> &'static str {
    match phase {
        HookPhase::Pre => "pre",
        HookPhase::Post => "post",
        HookPhase::PostRestore => "restore",
    }
}

fn authors_step(pod: &PodView<'_>, keys: HookKeys, argv: Vec<String>) -> Step<'static> {
    let timeout = pod
        .annotation(keys.timeout)
        .and_then(|text| text.parse::<Timeout>().ok())
        .filter(|timeout| timeout.is_positive())
        .unwrap_or(DEFAULT_TIMEOUT)
        .min(LONGEST_TIMEOUT);
    let whole = timeout.nanoseconds().unsigned_abs().div_ceil(1_000_000_000);
    let on_error = match pod.annotation(keys.on_error) {
        Some("Fail") => OnError::Fail,
        _ => OnError::Continue,
    };
    Step {
        name: Cow::Borrowed(AUTHOR),
        run: Cow::Owned(Invocation::new(argv)),
        timeout: Timeout::from_seconds(u32::try_from(whole).unwrap_or(u32::MAX)),
        limit: whole,
        on_error,
        attempts: 1,
        delay: 0,
        undo: None,
    }
}

/// What the restore hook waits for: the longest and the most that anybody asks.
#[must_use]
pub fn wait(
    phase: HookPhase,
    followed: &[Applied<'_>],
    existing: &Existing,
    pod: &PodView<'_>,
) -> Option<RestoreWait> {
    if phase != HookPhase::PostRestore {
        return None;
    }
    let of_policies = followed
        .iter()
        .filter_map(|it| it.policy.hooks.restore.as_ref());
    let of_policies = of_policies.map(|(_, wait)| *wait);
    let of_author = match existing.of(phase) {
        Present::Authors(_) | Present::Ours(Some(_)) => Some(RestoreWait {
            // Unset is for ever, and for ever blocks every other restore: ours counts alone then.
            timeout: pod
                .annotation(RESTORE_WAIT_TIMEOUT)
                .and_then(|text| text.parse().ok())
                .unwrap_or(Timeout::from_seconds(0)),
            for_ready: pod.annotation(RESTORE_WAIT_FOR_READY).and_then(parse_bool) == Some(true),
        }),
        Present::Nothing | Present::Ours(None) | Present::Fragment => None,
    };
    of_policies
        .chain(of_author)
        .reduce(|one, other| RestoreWait {
            timeout: one.timeout.max(other.timeout),
            for_ready: one.for_ready || other.for_ready,
        })
}

/// The step that a policy brings into a phase.
#[must_use]
pub fn step<'a>(
    policy: &'a Policy,
    phase: HookPhase,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) -> Option<Step<'a>> {
    let hook = hook(policy, phase)?;
    let undo = policy
        .hooks
        .post
        .as_ref()
        .filter(|_| phase == HookPhase::Pre)
        .map(|post| Undo {
            run: invocation(policy, post, pod, facts),
            limit: limit(post.timeout),
        });
    let retry = hook.retry;
    Some(Step {
        name: Cow::Borrowed(&policy.name),
        run: invocation(policy, hook, pod, facts),
        timeout: hook.timeout,
        limit: limit(hook.timeout),
        on_error: hook.on_error,
        attempts: retry.map_or(1, |retry| retry.attempts),
        delay: retry.map_or(0, |retry| retry.delay.seconds()),
        undo,
    })
}

/// What a policy runs in a phase where no other has a part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alone {
    pub argv: Vec<String>,
    pub timeout: Timeout,
    pub on_error: OnError,
}

/// What a policy would have Velero run in a pod that nobody else has a hook for.
#[must_use]
pub fn alone(
    policy: &Policy,
    phase: HookPhase,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) -> Option<Alone> {
    let step = step(policy, phase, pod, facts)?;
    let steps = std::slice::from_ref(&step);
    Some(Alone {
        argv: compose(phase, steps).into_owned().argv,
        timeout: step.timeout,
        on_error: overall(steps),
    })
}

/// How a restored pod is checked: the argv has all of the script in it, since the pod has the scripts that
/// it was backed up with. With it the container that the policy names, if it does.
#[must_use]
pub fn check(
    policy: &Policy,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) -> Option<(Alone, Option<String>)> {
    let inlined = policy.inlined();
    let Check { hook, container } = inlined.hooks.check.as_ref()?;
    let alone = Alone {
        argv: invocation(&inlined, hook, pod, facts).argv.clone(),
        timeout: hook.timeout,
        on_error: hook.on_error,
    };
    Some((alone, container.clone()))
}

/// The hook that a policy has for a phase.
pub fn hook(policy: &Policy, phase: HookPhase) -> Option<&Hook> {
    let hooks = &policy.hooks;
    match phase {
        HookPhase::Pre => hooks.pre.as_ref(),
        HookPhase::Post => hooks.post.as_ref(),
        HookPhase::PostRestore => hooks.restore.as_ref().map(|(hook, _)| hook),
    }
}

/// How a hook is started with what the pod and its namespace say about the policy's parameters.
pub fn invocation<'a>(
    policy: &'a Policy,
    hook: &'a Hook,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) -> Cow<'a, Invocation> {
    let set = |parameter: &Parameter| parameter_value(parameter, pod, facts);
    if policy.parameters.values().all(|it| set(it).is_none()) {
        return Cow::Borrowed(policy.usual_invocation(hook));
    }
    Cow::Owned(policy.invocation(hook, set))
}

/// The annotations of a phase beside its command.
pub fn beside_command<'a>(
    phase: HookPhase,
    container: &'a str,
    steps: &[Step<'_>],
    wait: Option<RestoreWait>,
) -> impl Iterator<Item = (&'static str, Cow<'a, str>)> + use<'a> {
    let keys = phase.keys();
    let timeouts = steps.iter().map(|step| step.timeout);
    let timeout = timeouts
        .fold(Timeout::from_seconds(0), Timeout::saturating_add)
        .min(LONGEST_TIMEOUT);
    let wait = wait.map(|RestoreWait { timeout, for_ready }| {
        let for_ready = if for_ready { "true" } else { "false" };
        [
            (RESTORE_WAIT_TIMEOUT, timeout.text()),
            (RESTORE_WAIT_FOR_READY, for_ready.into()),
        ]
    });
    [
        (keys.container, container.into()),
        (keys.on_error, overall(steps).as_str().into()),
        (keys.timeout, timeout.text()),
    ]
    .into_iter()
    .chain(wait.into_iter().flatten())
}
