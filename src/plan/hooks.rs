//! The hooks of the applied policies as Velero's annotations.

use super::{
    PROVENANCE, WRITTEN,
    compose::{AUTHOR, Origin, Step, Undo, compose, origin, overall},
};
use crate::{
    pod::PodView,
    policy::{Action, Delivery, Hook, Policy, TIMEOUT_VARIABLE, fingerprint},
    select::{Facts, parameter_value},
    velero::{
        HookKeys, HookPhase, LEGACY_PRE, LONGEST_TIMEOUT, OnError, RESTORE_WAIT_FOR_READY,
        RESTORE_WAIT_TIMEOUT, RestoreWait, Timeout, decode_command, encode_command, parse_bool,
    },
};

/// What Velero gives a hook that says no time, or one that it cannot read.
const DEFAULT_TIMEOUT: Timeout = Timeout::from_seconds(30);

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
    pub step: Step,
}

/// What stands in a pod's annotations for every phase.
pub struct Existing([Present; 3]);

impl Existing {
    /// Reads a pod that these policies have selected: a command that is one of theirs is ours.
    pub fn read(pod: &PodView<'_>, selected: &[(&Policy, usize)], facts: Facts<'_>) -> Self {
        Self(HookPhase::ALL.map(|phase| {
            let wanted = |argv: &[String]| {
                let mut steps = selected
                    .iter()
                    .filter_map(|(policy, _)| step(policy, phase, pod, facts));
                steps.any(|step| step.argv == argv)
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
    let ours = || is_recorded(pod, phase, text) || is_script_of_ours(&argv) || wanted(&argv);
    match origin(&argv) {
        Origin::Composed(None) => Present::Ours(None),
        Origin::Composed(Some(step)) => Present::Ours(Some(Authors { container, step })),
        Origin::Elsewhere if ours() => Present::Ours(None),
        Origin::Elsewhere => Present::Authors(Authors {
            container,
            step: authors_step(pod, keys, argv),
        }),
    }
}

/// The commands that we wrote, as an annotation remembers them.
#[must_use]
pub fn record(written: &[(HookPhase, String)]) -> String {
    let entries = written
        .iter()
        .map(|(phase, command)| entry(*phase, command));
    entries.collect::<Vec<_>>().join(",")
}

fn is_recorded(pod: &PodView<'_>, phase: HookPhase, command: &str) -> bool {
    let record = pod.annotation(WRITTEN).unwrap_or_default();
    !record.is_empty()
        && record
            .split(',')
            .any(|written| written == entry(phase, command))
}

fn entry(phase: HookPhase, command: &str) -> String {
    let phase = match phase {
        HookPhase::Pre => "pre",
        HookPhase::Post => "post",
        HookPhase::PostRestore => "restore",
    };
    format!("{phase}@{}", fingerprint([command.as_bytes()], 12))
}

fn authors_step(pod: &PodView<'_>, keys: HookKeys, argv: Vec<String>) -> Step {
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
        name: AUTHOR.to_owned(),
        argv,
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
    followed: &[(&Policy, usize)],
    existing: &Existing,
    pod: &PodView<'_>,
) -> Option<RestoreWait> {
    if phase != HookPhase::PostRestore {
        return None;
    }
    let of_policies = followed
        .iter()
        .filter_map(|(policy, _)| policy.hooks.restore.as_ref());
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

/// Every script of ours is started in one way.
fn is_script_of_ours(argv: &[String]) -> bool {
    let [program, variable, ..] = argv else {
        return false;
    };
    let variable = variable.strip_prefix(TIMEOUT_VARIABLE);
    program == ENV && variable.is_some_and(|rest| rest.starts_with('='))
}

const ENV: &str = "/usr/bin/env";

/// The step that a policy brings into a phase.
#[must_use]
pub fn step(
    policy: &Policy,
    phase: HookPhase,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) -> Option<Step> {
    let hook = hook(policy, phase)?;
    let undo = policy
        .hooks
        .post
        .as_ref()
        .filter(|_| phase == HookPhase::Pre)
        .map(|post| Undo {
            argv: argv(policy, post, pod, facts),
            limit: limit(post.timeout),
        });
    let retry = hook.retry;
    Some(Step {
        name: policy.name.clone(),
        argv: argv(policy, hook, pod, facts),
        timeout: hook.timeout,
        limit: limit(hook.timeout),
        on_error: hook.on_error,
        attempts: retry.map_or(1, |retry| retry.attempts),
        delay: retry.map_or(0, |retry| retry.delay.seconds()),
        undo,
    })
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

/// A little less than the annotation's time, so that the hook ends by itself and says why.
fn limit(timeout: Timeout) -> u64 {
    let seconds = timeout.seconds();
    let margin = (seconds / 10).clamp(1, 5);
    seconds.saturating_sub(margin).max(1)
}

fn argv(policy: &Policy, hook: &Hook, pod: &PodView<'_>, facts: Facts<'_>) -> Vec<String> {
    let variables = policy.parameters.iter().filter_map(|(name, parameter)| {
        let set = parameter_value(policy, name, pod, facts);
        let value = set.unwrap_or(&parameter.default);
        (!value.is_empty()).then(|| format!("{}={value}", parameter.variable))
    });
    let mut argv = Vec::new();
    match &hook.action {
        Action::Script(name) => {
            argv.push(ENV.to_owned());
            argv.push(format!("{TIMEOUT_VARIABLE}={}", limit(hook.timeout)));
            argv.extend(variables);
            argv.push("/bin/sh".to_owned());
            match policy.delivery {
                Delivery::ConfigMap => argv.push(format!("{}/{name}", policy.scripts_path())),
                Delivery::Inline => {
                    argv.push("-c".to_owned());
                    argv.push(policy.scripts.inline(name));
                    // Scripts find out from their path which policy they belong to.
                    argv.push(format!("{}/{name}", policy.scripts_path()));
                }
            }
        }
        // As it is: an image without a shell may have no `env` either.
        Action::Command(command) => {
            let variables: Vec<String> = variables.collect();
            if !variables.is_empty() {
                argv.push(ENV.to_owned());
                argv.extend(variables);
            }
            argv.extend_from_slice(command);
        }
    }
    argv
}

/// The annotations of a phase, all of its keys.
#[must_use]
pub fn annotations(
    phase: HookPhase,
    container: &str,
    steps: &[Step],
    wait: Option<RestoreWait>,
) -> Vec<(&'static str, String)> {
    let keys = phase.keys();
    let timeout = steps
        .iter()
        .fold(Timeout::from_seconds(0), |sum, step| {
            sum.saturating_add(step.timeout)
        })
        .min(LONGEST_TIMEOUT);
    let mut annotations = vec![
        (keys.command, encode_command(&compose(phase, steps))),
        (keys.container, container.to_owned()),
        (keys.on_error, overall(steps).to_string()),
        (keys.timeout, timeout.to_string()),
    ];
    if let Some(RestoreWait { timeout, for_ready }) = wait {
        annotations.push((RESTORE_WAIT_TIMEOUT, timeout.to_string()));
        annotations.push((RESTORE_WAIT_FOR_READY, for_ready.to_string()));
    }
    annotations
}
